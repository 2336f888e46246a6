#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# long: yes
#
# A client that connects again from the same port right after it left (a NAT or a busy smarthost does):
# after QUIT, where the gate keeps TIME-WAIT, and after a reset. Each time it is greeted at once, over
# IPv4 and IPv6, with TCP timestamps and without.
import concurrent.futures
import errno
import socket
import struct
import time

import lab as labs

TIMES = 8
GAPS = (0, 0, 0.0005, 0.002, 0.01, 0.1, 0.5, 1.5)
REPEATED = struct.Struct('100xI')  # tcpi_total_retrans of struct tcp_info: its SYN among them


def own_port_is_busy(error):
    """The client's own kernel still waits for the last ACK of the connection before."""
    return error.errno == errno.EADDRNOTAVAIL


def session(lab, family, port, leave):
    """Connects from the port, leaves. How many segments had to be repeated, or what went wrong."""
    while True:
        try:
            return greeted(lab, family, port, leave)
        except OSError as error:
            if not own_port_is_busy(error):
                return f'{type(error).__name__}: {error}'
            time.sleep(0.0005)


def greeted(lab, family, port, leave):
    with lab.inside('app'):
        client = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
    client.settimeout(5)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        client.bind(('0.0.0.0' if family == 4 else '::', port))
        client.connect((labs.GATE[family], 25))
        greeting = client.recv(100)
        repeated, = REPEATED.unpack(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO,
                                                      REPEATED.size))
        leave(client)
        return repeated if greeting.startswith(b'220') else f'greeted with {greeting!r}'
    finally:
        client.close()


def quit_politely(client):
    client.sendall(b'QUIT\r\n')
    while client.recv(100):
        pass


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))


def reuse(lab, family, leave, port):
    """What went wrong."""
    bad = []
    for number, gap in enumerate(GAPS):
        for _ in range(2):
            result = session(lab, family, port + number, leave)
            if result != 0:
                bad.append((gap, result))
            time.sleep(gap)
    return bad


def test(checks):
    with labs.Lab() as lab, labs.Gate(lab) as gate:
        for timestamps in (1, 0):
            lab.run('app', 'sysctl', '-qw', f'net.ipv4.tcp_timestamps={timestamps}')
            word = 'timestamps' if timestamps else 'no timestamps'
            with concurrent.futures.ThreadPoolExecutor() as pool:
                results = [(family, label, pool.submit(reuse, lab, family, leave, port + 100 * family))
                           for family in labs.FAMILIES for label, leave, port in (
                               ('QUIT', quit_politely, 20000 + 1000 * timestamps),
                               ('a reset', reset, 20500 + 1000 * timestamps))]
            for family, label, result in results:
                checks.equal(f'IPv{family}, after {label}, {word}: greeted at once, {TIMES} ports '
                             'twice', result.result(), [])
        labs.wait_for('no session is left', lambda: all(
            row['sessions_open'] == 0 for row in gate.connectors().values()))


if __name__ == '__main__':
    labs.run(test)
