# SPDX-License-Identifier: BSD-3-Clause
#
# What others wrote to break stacks: nmap's fingerprinting, hping3, t50, THC-IPv6. What they send is
# theirs to choose, so the claim is that it is all counted (frames in = accepted + drops), that mail
# passes, and that the gate is as large as before. Each is bounded in time.
"""Third-party attack tools."""
import re

import lab as labs

G4, G6 = labs.GATE[4], labs.GATE[6]
# Host, seconds until it is stopped (many of them know no end), command.
TOOLS = (
    ('host', 20, f'hping3 -q -c 20000 -i u50 --rand-source -S -p 25 {G4}'),
    ('host', 20, f'hping3 -q -c 20000 -i u50 -F -P -U -p 25 {G4}'),
    ('host', 20, f'hping3 -q -c 5000 -i u100 -f -d 200 -S -p 25 {G4}'),
    ('host', 20, f'hping3 -q -c 5000 -i u100 -b -S -p 25 {G4}'),
    ('stranger', 20, f't50 {G4} --threshold 20000 --protocol TCP --dport 25'),
    ('stranger', 20, f't50 {G4} --threshold 20000 --protocol T50 --dport 25'),
    ('host', 150, f'atk6-implementation6 net0 {G6}'),
    ('host', 60, f'atk6-fragmentation6 net0 {G6}'),
    ('host', 60, f'atk6-exploit6 net0 {G6}'),
    *(('host', 3, f'atk6-denial6 net0 {G6} {number}') for number in range(1, 8)),
    ('host', 3, f'atk6-thcsyn6 net0 {G6} 25'),
    ('host', 10, f'atk6-toobig6 net0 {G6} 2001:db8:1::30 1280'),
    ('host', 3, f'atk6-flood_solicitate6 net0 {G6}'),
    ('host', 3, f'atk6-ndpexhaust26 net0 {G6}'),
    ('host', 10, f'atk6-redir6 net0 {G6} 2001:db8:1::30 2001:db8:1::1 2001:db8:1::50'),
)


def totals(gate):
    ports = gate.ports().values()
    return (sum(port['frames_in'] for port in ports),
            sum(port['frames_accepted'] for port in ports), sum(gate.drops().values()))


def prediction(scene):
    """nmap judges our first numbers; 257 and more is what it calls the best."""
    _, output = scene.lab.run('host', 'nmap', '-O', '-v', '-Pn', '-n', '-p', '25,26',
                              '--max-os-tries', '1', G4, seconds=60)
    found = re.search(r'TCP Sequence Prediction: Difficulty=(\d+)', output)
    scene.checks.that('T3 nmap -O: TCP Sequence Prediction at least 250',
                      found and int(found.group(1)) >= 250, output)


def run(scene):
    with scene.attack('T3, nmap'):
        prediction(scene)
    for host, seconds, command in TOOLS:
        words = command.split()
        with scene.attack(command):
            code, output = scene.lab.run(host, *words, seconds=seconds)
            scene.checks.that(f'{words[0]} ran', code in (None, 0, 1) and
                              'command not found' not in output, output[-300:])
    with scene.alone():
        frames_in, accepted, dropped = scene.gate.at_rest('totals', lambda: totals(scene.gate))
    scene.checks.equal('tools: frames in', frames_in, accepted + dropped)
