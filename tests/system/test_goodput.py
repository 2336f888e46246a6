#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 900
# variants: client backend client-compared backend-compared
# long: client backend
# by name: client-compared backend-compared
#
# TCP against the Linux kernel over a bad wire (wire.c) on the client's or on the backend's leg: 10 ms
# of round trip, 100 Mbit/s, segmentation offload off. First 100 messages of 1 MB each, in 8 sessions,
# with 0, 1, 3 and 10 % of the frames lost in each direction, 5 % reordered, or a path MTU that drops
# to 1280 in the middle: all arrive byte by byte. The compared ones, only by name because a machine that
# is busy with other things decides about them: goodput at 1 % loss, one session: through the
# gate, and through a Linux relay in its place (HAProxy) over the same wire, in turns, with the same
# client (smtp-source) and server (smtp-sink); with the round trip of the lab itself and with 10 ms,
# against the congestion control that the machine prefers and against CUBIC. At least 0.8 of Linux.
# Here, too, the wire is limited to 100 Mbit/s, also without delay: an unlimited one measures how soon
# the machine's cores schedule a process in user space, which a kernel's ACKs need not wait for. For
# the same reason all of this test goes before the machine's other work (nice).
import concurrent.futures
import hashlib
import os
import random
import statistics
import sys
import time

import lab as labs
import smtp
import wire as wires

MESSAGES = 100
BYTES = 1000000
SESSIONS = 8
FAR = {'delay': 5000, 'rate': 100000}
NEAR = {'delay': 0, 'rate': 100000}
CASES = {
    '0 % loss': {},
    '1 % loss': {'loss': 10},
    '3 % loss': {'loss': 30},
    '10 % loss': {'loss': 100},
    '5 % reordered': {'reorder': 50},
    'path MTU drops to 1280': {},
}
LEAST = 0.8


# ---- Intact ------------------------------------------------------------------------------------

def message(number):
    """Lines of 70 characters that no other message has, some of them beginning with a dot."""
    source = random.Random(number)
    lines = [f'X-Number: {number}', '']
    while len(lines) * 72 < BYTES:
        lines.append(source.choice('.abcd') + f'{source.getrandbits(276):069x}')
    return '\r\n'.join(lines).encode() + b'\r\n'


def digest(content):
    """Of what the client sent: from its first header on, behind what the gate put before it."""
    return hashlib.sha256(content[content.index(b'X-Number: '):]).hexdigest()


def send(lab, family, contents):
    """One session; the replies to its messages."""
    with smtp.Client(lab, 'app', family, seconds=300) as client:
        client.greet()
        replies = [client.message('a@sender.test', 'b@accepted.test', content)
                   for content in contents]
        client.quit()
    return replies


def intact(checks, lab, wire, backend, case):
    wire.set(loss=0, reorder=0, mtu=0, **FAR)
    wire.set(**CASES[case])
    contents = [message(number) for number in range(MESSAGES)]
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(SESSIONS) as pool:
        jobs = [pool.submit(send, lab, labs.FAMILIES[i % 2], contents[i::SESSIONS])
                for i in range(SESSIONS)]
        if 'MTU' in case:
            labs.wait_for('half of the messages', lambda: len(backend.accepted) >= MESSAGES // 2,
                          300)
            wire.set(mtu=1280)
        replies = [reply for job in jobs for reply in job.result()]
    seconds = time.monotonic() - started
    bad = [reply for reply in replies if not reply.startswith('250')]
    checks.that(f'{case}: {MESSAGES} messages answered 250', not bad, bad[:3])
    got = sorted(digest(content) for _, _, content in backend.accepted)
    checks.that(f'{case}: each arrived once, byte by byte', got == sorted(map(digest, contents)),
                f'{len(got)} messages, {len(set(got))} different ones')
    print(f'   {MESSAGES * BYTES * 8 / seconds / 1e6:.1f} Mbit/s in {SESSIONS} sessions', flush=True)
    backend.accepted.clear()
    backend.seen.clear()


def test_intact(checks, leg):
    with labs.Lab() as lab:
        lab.command('backend', 'none')
        wire = wires.Wire(lab, leg)
        with wire, smtp.Backend(lab) as backend, labs.Gate(lab) as gate:
            smtp.await_backend(lab)
            for case in CASES:
                intact(checks, lab, wire, backend, case)
            checks.that('the gate runs still', gate.alive())
        print(wire.summary, end='')
        for what in ('lost', 'reordered', 'too big'):
            checks.that(f'the wire did its work: {what}',
                        any(f' {what}' in line and f' 0 {what}' not in line
                            for line in wire.summary.splitlines()), wire.summary)


# ---- Goodput -----------------------------------------------------------------------------------

def goodput(lab, count):
    """Mbit/s of one smtp-source that sends count messages in one session."""
    started = time.monotonic()
    code, output = lab.run('app', 'smtp-source', '-d', '-m', str(count), '-s', '1', '-l', str(BYTES),
                           '-f', 'a@sender.test', '-t', 'b@accepted.test', '192.0.2.10:25',
                           seconds=200)
    if code:
        raise RuntimeError(f'smtp-source: {code}, {output}')
    return count * BYTES * 8 / (time.monotonic() - started) / 1e6


def through_gate(lab, count):
    config = lab.config()
    config['backend cluster']['Servers'] = '10.0.0.11:25'  # one server, as the relay has
    with labs.Gate(lab, config):
        smtp.await_backend(lab)
        return goodput(lab, count)


def through_linux(lab, control, count):
    with wires.linux_relay(lab, control):
        return goodput(lab, count)


def compare(checks, lab, leg, control, where, turns, count):
    wires.congestion_control(lab, 'app', control)
    gate, linux = [], []
    for turn in range(turns):
        with wires.Wire(lab, leg, seed=turn) as wire:
            wire.set(**where, loss=10)
            gate.append(through_gate(lab, count))
        with wires.Wire(lab, leg, seed=turn) as wire:
            wire.set(**where, loss=10)
            linux.append(through_linux(lab, control, count))
    ours, theirs = statistics.median(gate), statistics.median(linux)
    name = f'{leg} leg, {where["delay"] * 2 // 1000} ms, {control}'
    print(f'   {name}: gate {" ".join(f"{n:.1f}" for n in gate)}, '
          f'Linux {" ".join(f"{n:.1f}" for n in linux)} Mbit/s', flush=True)
    checks.that(f'{name}: {ours / theirs:.2f} of Linux', ours >= LEAST * theirs)


def test_compared(checks, leg):
    os.nice(-15)
    with labs.Lab() as lab:
        lab.command('backend', 'sink')
        for host in ('app', 'gate', 'backend'):
            # What the kernel learned of a peer in one run must not help it in the next one.
            lab.run(host, 'sysctl', '-qw', 'net.ipv4.tcp_no_metrics_save=1')
        _, preferred = lab.run('app', 'sysctl', '-n', 'net.ipv4.tcp_congestion_control')
        for control in dict.fromkeys((preferred.strip(), 'cubic')):
            compare(checks, lab, leg, control, NEAR, turns=5, count=8)
            compare(checks, lab, leg, control, FAR, turns=3, count=8)


def test(checks):
    variant = sys.argv[1] if len(sys.argv) > 1 else 'client'
    leg, _, compared = variant.partition('-')
    (test_compared if compared else test_intact)(checks, leg)


if __name__ == '__main__':
    labs.run(test)
