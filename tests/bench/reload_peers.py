# SPDX-License-Identifier: BSD-3-Clause
#
# What `scripts/bench reload` compares with: HAProxy with a list of addresses in a file, reloaded by
# its master process; nftables, whose set is replaced in one transaction; Postfix, each process of
# which reads its cidr table anew. Each gets so many single addresses, in the gate's place of a lab, and
# then the same with one more, 192.0.2.20: a reload is over when that one is let in. Sessions of
# 192.0.2.30, which is in every list, are open meanwhile: those that end are counted.
"""Reloads of a long list, by others."""
import contextlib
import functools
import random
import signal
import subprocess
import time

import accounts
import lab as labs
import middles

HAPROXY = """global
    master-worker
    maxconn 1000
defaults
    mode tcp
    timeout connect 5s
    timeout client 10m
    timeout server 10m
frontend smtp
    bind 192.0.2.10:25
    tcp-request connection reject unless {{ src -f {file} }}
    default_backend sink
backend sink
    server sink 10.0.0.11:25
"""
SET = """table ip bench {{
set sources {{ type ipv4_addr; {flags}
elements = {{ {elements} }}
}}
chain input {{ type filter hook input priority 0; policy accept;
tcp dport 25 ip saddr != @sources drop
}}
}}
"""
REPLACE = """flush set ip bench sources
add element ip bench sources {{ {elements} }}
"""
EARLIER, LATER = '192.0.2.30', '192.0.2.20'  # the lab's "host" and "app"
SESSIONS, RELOADS, LIMIT = 50, 2, 120


@functools.lru_cache(1)
def hosts(count):
    """So many addresses as text, none of them the lab's."""
    chance = random.Random(1)
    return ['%d.%d.%d.%d' % (n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255)
            for n in chance.sample(range(0x0b000000, 0x7e000000), count)]


def write(file, content):
    with open(file, 'w') as out:
        out.write(content)


def greeted(lab, host, seconds=0.25):
    """A connection that was greeted, or None."""
    try:
        connection = lab.connect(host, seconds=seconds)
    except OSError:
        return None
    try:
        if connection.recv(4) == b'220 ':
            connection.settimeout(5)
            return connection
    except OSError:
        pass
    connection.close()
    return None


def is_alive(connection):
    heard = b''
    try:
        connection.sendall(b'NOOP\r\n')
        while b'\n250 ' not in heard:
            more = connection.recv(200)
            if not more:
                return False
            heard += more
        return True
    except OSError:
        return False


def held_sessions(lab):
    return labs.wait_for('sessions are open', lambda: all(
        found := [greeted(lab, 'host', 5) for _ in range(SESSIONS)]) and found)


def row(entries, seconds, group, before, alive, note):
    return {'entries': entries, 'seconds': sorted(seconds)[len(seconds) // 2],
            'seconds_each': seconds, 'bytes': before, 'bytes_peak': group.peak(),
            'sessions': SESSIONS, 'broken': SESSIONS - sum(map(is_alive, alive)), 'note': note}


@contextlib.contextmanager
def haproxy_with(lab, config):
    file = lab.path('haproxy.cfg')
    write(file, config)
    with middles.kernel_addresses(lab):
        with open(lab.path('haproxy.log'), 'wb') as log:
            process = lab.start('gate', 'haproxy', '-W', '-f', file, stdout=log, stderr=log)
        try:
            labs.wait_for('HAProxy serves', lambda: greeted(lab, 'host'), LIMIT)
            # Only then does its master hear signals.
            labs.wait_for('HAProxy says so', lambda: b'Loading success' in labs.read(log.name))
            yield process
        finally:
            process.send_signal(signal.SIGTERM)  # its workers, too, and their sessions
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def haproxy(lab, count):
    """The file anew, SIGUSR2 to the master; until the new worker lets the new one in."""
    listed = lab.path('listed')

    def listing(*more):
        write(listed, '\n'.join(hosts(count) + list(more)) + '\n')

    listing(EARLIER)
    with accounts.Memory(lab, 'haproxy') as group, \
            haproxy_with(lab, HAPROXY.format(file=listed)) as master:
        before = sum(group.bytes())
        alive = held_sessions(lab)
        listing(EARLIER, LATER)
        begun = time.monotonic()
        master.send_signal(signal.SIGUSR2)
        labs.wait_for('the list is in force', lambda: greeted(lab, 'app'), LIMIT)
        return row(count, [time.monotonic() - begun], group, before, alive,
                   'old workers stay until their sessions end')


def nftables(lab, count, flags):
    """One transaction; it is in force when nft ends."""
    file = lab.path('rules.nft')

    def replace(text, addresses):
        write(file, text.format(flags=flags, elements=', '.join(addresses)))
        begun = time.monotonic()
        code, output = lab.run('gate', 'nft', '-f', file, seconds=LIMIT)
        if code != 0:
            raise RuntimeError(f'nft: {output[-500:]}')
        return time.monotonic() - begun

    with accounts.Memory(lab, 'nftables') as group, haproxy_with(lab, middles.HAPROXY.format(
            connections=4000, idle='60s')):
        replace(SET, hosts(count) + [EARLIER])
        before = sum(group.bytes())
        alive = held_sessions(lab)
        seconds = [replace(REPLACE, hosts(count) + [EARLIER, LATER])
                   for number in range(1, RELOADS + 1)]
        if not greeted(lab, 'app'):
            raise RuntimeError('nftables does not let the new address in')
        result = row(count, seconds, group, before, alive, 'one transaction; the highest has nft itself')
        lab.run('gate', 'nft', 'delete', 'table', 'ip', 'bench')
        return result


def postfix(lab, count):
    """What each new process of Postfix does before its first session: it reads the table."""
    file = lab.path('listed.cidr')
    write(file, ''.join(f'{address}/32 OK\n' for address in hosts(count) + [EARLIER]))
    with accounts.Memory(lab, 'postfix') as group:
        begun = time.monotonic()
        code, output = lab.run('gate', 'postmap', '-q', EARLIER, 'cidr:' + file, seconds=LIMIT)
        took = time.monotonic() - begun
        if (code, output) != (0, 'OK\n'):
            raise RuntimeError(f'postmap: {output}')
        return {'entries': count, 'seconds': took, 'seconds_each': [took], 'bytes': group.peak(),
                'bytes_peak': group.peak(), 'note': 'of each smtpd process, at its start'}


def measure(lab, count):
    """All of them; the lab has a sink behind it, and nobody in the gate's place."""
    return {'HAProxy, ACL file': haproxy(lab, count),
            'nftables, hash': nftables(lab, count, ''),
            # Of a million it takes minutes on a busy machine, and 1.4 GB.
            'nftables, interval': nftables(lab, count // 10, 'flags interval;'),
            'Postfix, cidr table': postfix(lab, count)}
