#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 400
#
# Every frame that the gate took is counted once: frames_in = frames_accepted + the sum of all
# reasons of kind drop, exactly, read with bpftool after mail, scans, floods, pings and a table of
# broken frames. Each broken frame moves the reason that it should, by exactly the number sent.
import json
import os
import socket

import frames
import lab as labs
import smtp
from frames import tcp

FLOOD = os.path.join(labs.BUILD, 'tests', 'system', 'flood')
TIMES = 7
APP = socket.inet_aton('192.0.2.20')
HERE = socket.inet_aton(labs.GATE[4])
APP6 = socket.inet_pton(socket.AF_INET6, '2001:db8:1::20')
HERE6 = socket.inet_pton(socket.AF_INET6, labs.GATE[6])


def ipv4(payload, source=APP, destination=HERE, **fields):
    return frames.ipv4(payload, source, destination, **fields)


def ipv6(payload, source=APP6, destination=HERE6, **fields):
    return frames.ipv6(payload, source, destination, **fields)


SYN = tcp(APP, HERE)
SYN6 = tcp(APP6, HERE6)
ELSEWHERE = socket.inet_aton('192.0.2.77')

# What is wrong with the frame: Ethernet type, packet, the reason. A steering program in front may
# leave a frame to the kernel; then the gate never took it, and no reason moves.
BROKEN = (
    ('IPv4 fragment', 0x0800, ipv4(SYN, flags=0x2000), 'ipv4_fragment'),
    ('IPv4 options', 0x0800, ipv4(SYN, version=0x46, options=b'\1\1\1\1'), 'ipv4_options'),
    ('IPv4 checksum', 0x0800, ipv4(SYN, spoil=1), 'ipv4_checksum'),
    ('IPv4 longer than its frame', 0x0800, ipv4(SYN, length=1200), 'ipv4_malformed'),
    ('our own source', 0x0800, ipv4(tcp(HERE, HERE), source=HERE), 'ip_martian_source'),
    ('multicast source', 0x0800, ipv4(tcp(b'\xe0\0\0\1', HERE), source=b'\xe0\0\0\1'),
     'ip_martian_source'),
    ('TCP checksum', 0x0800, ipv4(tcp(APP, HERE, spoil=1)), 'tcp_checksum'),
    ('TCP checksum over IPv6', 0x86dd, ipv6(tcp(APP6, HERE6, spoil=1)), 'tcp_checksum'),
    ('TCP offset of 4', 0x0800, ipv4(tcp(APP, HERE, offset=4)), 'tcp_malformed'),
    ('TCP offset past the end', 0x0800, ipv4(tcp(APP, HERE, offset=15)), 'tcp_malformed'),
    ('TCP without flags', 0x0800, ipv4(tcp(APP, HERE, flags=0)), 'tcp_flags'),
    ('SYN and FIN', 0x0800, ipv4(tcp(APP, HERE, flags=3)), 'tcp_flags'),
    ('XMAS', 0x86dd, ipv6(tcp(APP6, HERE6, flags=0x29)), 'tcp_flags'),
    ('source port 0', 0x0800, ipv4(tcp(APP, HERE, ports=(0, 25))), 'tcp_port_zero'),
    ('ACK of nothing', 0x0800, ipv4(tcp(APP, HERE, flags=0x10)), 'cookie_invalid'),
    ('RST of nothing', 0x0800, ipv4(tcp(APP, HERE, flags=0x04)), 'no_flow'),
    ('IPv6 extension header', 0x86dd, ipv6(b'\x06\0\1\4\0\0\0\0' + SYN6, protocol=0),
     'ipv6_extension'),
    ('IPv6 longer than its frame', 0x86dd, ipv6(SYN6, length=999), 'ipv6_malformed'),
    ('unlisted source', 0x0800,
     ipv4(tcp(ELSEWHERE, HERE), source=ELSEWHERE), 'no_connector'),
    ('echo reply that nobody asked for', 0x0800, ipv4(b'\0\0\xff\xff\0\0\0\0', protocol=1),
     'icmp_ignored'),
    ('ICMP checksum', 0x0800, ipv4(b'\x08\0\1\2\0\0\0\0', protocol=1), 'icmp_checksum'),
)


def broken_frames(checks, lab, gate, mac):
    with lab.inside('app'):
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        link.bind(('net0', 0))
    own = link.getsockname()[4]
    settle(gate)
    after, taken_after = gate.reasons(), gate.ports()['outside']['frames_in']
    for what, kind, packet, reason in BROKEN:
        frame = frames.ethernet(mac, own, packet, kind=kind)
        before, taken = after, taken_after
        for _ in range(TIMES):
            link.send(frame)
        settle(gate)
        after, taken_after = gate.reasons(), gate.ports()['outside']['frames_in']
        moved = {name: after[name] - before.get(name, 0) for name in after
                 if after[name] != before.get(name, 0)}
        if taken_after == taken:
            checks.equal(f'{what}: left to the kernel', moved, {})
        else:
            checks.that(f'{what}: {reason} moves by {TIMES}', moved.get(reason) == TIMES, moved)
    link.close()


def totals(gate):
    ports = gate.ports().values()
    return (sum(port['frames_in'] for port in ports),
            sum(port['frames_accepted'] for port in ports), sum(gate.drops().values()))


def settle(gate):
    return gate.at_rest('the totals', lambda: totals(gate))


def traffic(checks, lab, mac):
    for family in labs.FAMILIES:
        address = labs.GATE[family]
        code, output = lab.run('app', 'smtp-source', '-m', '50', '-s', '5', '-l', '20000',
                               '-f', 'a@sender.test', '-t', 'b@accepted.test',
                               f'[{address}]:25')
        checks.equal(f'IPv{family}: fifty mails pass', code, 0)
        _, output = lab.run('host', 'ping', '-c', '3', '-i', '0.2', '-W', '2', address)
        checks.that(f'IPv{family}: pings are answered', ' 0% packet loss' in output, output)
        lab.run('host', 'nmap', *(['-6'] if family == 6 else []), '-Pn', '-n', '-sS', '-p',
                '1-100', '--max-retries', '1', '--host-timeout', '20', address)
        lab.run('host', 'nmap', *(['-6'] if family == 6 else []), '-Pn', '-n', '-sX', '-p', '25',
                '--host-timeout', '20', address)
        network, length = ('198.18.0.0', '15') if family == 4 else ('2001:db8:bad::', '64')
        lab.run('stranger', FLOOD, 'net0', mac, network, length, address, '25', '50000', '100000',
                '1')
    lab.run('app', 'hping3', '-c', '20', '-i', 'u2000', '-S', '-A', '-p', '25', labs.GATE[4])
    lab.run('app', 'hping3', '-c', '20', '-i', 'u2000', '--rand-source', '-F', '-p', '25',
            labs.GATE[4])


def test(checks):
    with labs.Lab() as lab, labs.Gate(lab) as gate:
        smtp.await_backend(lab)
        _, output = lab.run('gate', 'ip', '-json', 'link', 'show', 'outside')
        mac = json.loads(output)[0]['address']
        traffic(checks, lab, mac)
        broken_frames(checks, lab, gate, bytes.fromhex(mac.replace(':', '')))
        frames_in, accepted, dropped = settle(gate)
        checks.equal('while it runs: frames in', frames_in, accepted + dropped)
        # Of two floods of 50,000 a busy machine loses most on the way to the gate.
        checks.that('and there were many', accepted > 1000 and dropped > 5000,
                    f'{accepted} {dropped}')
        table = gate.table('reasons_table')
        checks.that('cat of the table says the same', all(
            str(count) in next(line for line in table.splitlines() if name in line).split()
            for name, count in gate.drops().items()), table)
        checks.equal('the gate stops in good order', gate.stop(), 0)
        frames_in, accepted, dropped = totals(gate)
        checks.equal('after it stopped: frames in', frames_in, accepted + dropped)


if __name__ == '__main__':
    labs.run(test)
