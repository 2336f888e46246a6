#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# variants: some all million
# long: all
# by name: million
# workers: af_xdp
#
# A source that probes for relay is banned with its third try, over IPv4 and IPv6: its sessions get
# 421, but for a message on its way, which arrives and is answered; then XDP drops and counts each of
# its packets and the gate sees none of them (on other drivers the gate drops and counts them). Bans
# end on time, by command and by bpftool, begin by command and by bpftool, and outlive kill -9. Other
# sources notice nothing, nor when the table is full, which is counted. `some` leaves out IPv6 where
# people do it by hand; `million` starts with a list so long.
import json
import os
import socket
import struct
import subprocess
import sys
import time

import lab as labs
import smtp

PACKETS = 300
MILLION = 1000000
SOURCES = {4: '198.51.100.20', 6: '2001:db8:9::20'}
NAMES = {4: '198.51.100.20', 6: '2001:db8:9::/64'}
KEYS = {4: 'ff 00 00 00 c6 33 64 14', 6: '20 01 0d b8 00 09 00 00'}


def configured(lab):
    config = lab.config()
    config['ban'] = {'Enabled': 'yes', 'BanTime': '1h'}
    config['ip-allow'] = {'Addresses': '192.0.2.20'}
    return config


def uses_xdp(config):
    return config['port outside']['Device'].startswith('af_xdp:')


# ---- The map, as people reach it ---------------------------------------------------------------

def ban(gate, *words):
    """Exit status, and what it says but for warnings about the file."""
    done = subprocess.run([labs.BINARY, 'ban', '-c', gate.file, *words], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    lines = (line for line in done.stdout.splitlines() if not line.endswith('(warning)'))
    return done.returncode, '\n'.join(lines)


def listed(gate):
    code, output = ban(gate, 'list', '--json')
    assert code == 0, output
    return {row['source']: row for row in json.loads(output)}


def explained(gate, family, *words):
    """What `explain` says of the host: its text, and its JSON."""
    call = (labs.BINARY, 'explain', '-c', gate.file, '--from', SOURCES[family], '--to',
            labs.GATE[family], *words)
    texts = [subprocess.run([*call, *more], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            text=True, check=True).stdout for more in ((), ('--json',))]
    return texts[0], json.loads(texts[1])


def explains(checks, gate, family):
    """The ban that the running gate has for it, with end and reason, as `ban list` has it."""
    text, found = explained(gate, family)
    row = listed(gate)[NAMES[family]]
    until = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(row['until']))
    checks.equal(f'IPv{family}: explain has the ban', found['ban'],
                 {key: row[key] for key in ('source', 'until', 'level', 'reason')})
    checks.that(f'IPv{family}: explain refuses', found['refused'] and 'dialogue' not in found, found)
    checks.that(f'IPv{family}: and says so',
                f'{NAMES[family]}, until {until}, level 2, reason: {row["reason"]}' in text, text)


def bpftool(lab, *words):
    subprocess.run(['bpftool', 'map', words[0], 'pinned', os.path.join(lab.pins, 'bans'),
                    *' '.join(words[1:]).split()], check=True, stdout=subprocess.DEVNULL)


def until_bytes(seconds):
    return struct.pack('<Q', int(time.time()) + seconds).hex(' ') + ' 00' * 16


# ---- Packets --------------------------------------------------------------------------------------

def checksum(data):
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def syn(family, port):
    source, destination = (socket.inet_pton(socket.AF_INET if family == 4 else socket.AF_INET6,
                                            text) for text in (SOURCES[family], labs.GATE[family]))
    header = struct.pack('!HHIIBBHHH', port, 25, port * 7919, 0, 5 << 4, 2, 65535, 0, 0)
    pseudo = source + destination + struct.pack('!II', len(header), socket.IPPROTO_TCP)
    return header[:16] + struct.pack('!H', checksum(pseudo + header)) + header[18:]


def send_syns(lab, family):
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    with lab.inside('remote'):
        raw = socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_TCP)
    with raw:
        for i in range(PACKETS):
            raw.sendto(syn(family, 20000 + i), (labs.GATE[family], 0))
            time.sleep(0.0005)  # no queue on the way overflows


def is_answered(lab, host, family, seconds=1.0):
    try:
        with smtp.Client(lab, host, family, seconds=seconds) as client:
            return client.banner.startswith('220')
    except OSError:
        return False


# ---- Scenes ---------------------------------------------------------------------------------------

def probe(lab, family):
    """A session that tries to relay: the reply to RCPT and what follows."""
    with smtp.Client(lab, 'remote', family) as client:
        client.greet()
        return client.envelope('a@sender.test', 'x@foreign.test'), client.command('QUIT')


def body_in_progress(checks, lab, gate, family):
    """While one session is inside a message, another one has the source banned."""
    before = lab.mailbox_count()
    idle = smtp.Client(lab, 'remote', family, seconds=60)
    busy = smtp.Client(lab, 'remote', family, seconds=60)
    busy.greet()
    busy.envelope('a@sender.test', 'u@contoso.com')
    busy.command('DATA')
    busy.send(b'Subject: on its way\r\n\r\n' + b'first half\r\n' * 100)
    name = f'IPv{family}'
    for number, farewell in (('first', '221'), ('second', '221'), ('third', '421 4.7.0')):
        reply, end = probe(lab, family)
        checks.that(f'{name}: {number} try', reply.startswith('550 5.7.1')
                    and end.startswith(farewell), (reply, end))
    checks.starts(f'{name}: so is an idle one of the source', idle.reply(), '421 4.7.0')
    idle.close()
    checks.equal(f'{name}: XDP does not know of it yet', NAMES[family] in listed(gate), False)
    dropped = gate.reason('banned')
    checks.that(f'{name}: no new connection', not is_answered(lab, 'remote', family))
    labs.wait_for('the SYN is counted', lambda: gate.reason('banned') > dropped)
    time.sleep(0.3)  # three rounds of the main thread
    checks.equal(f'{name}: still not, while the message is on its way',
                 NAMES[family] in listed(gate), False)
    busy.send(b'second half\r\n' * 100)
    reply = busy.command('.')
    checks.starts(f'{name}: the message is answered', reply, '250')
    checks.starts(f'{name}: then its session ends', busy.reply(), '421 4.7.0')
    busy.close()
    mails = lab.await_mail(before + 1)
    checks.that(f'{name}: the message is whole', any(
        b'second half\r\n' * 100 in mail.replace(b'\r\n', b'\n').replace(b'\n', b'\r\n')
        for mail in mails))


def shared(gate, family):
    row = labs.wait_for('the ban is in the map', lambda: listed(gate).get(NAMES[family]), 40)
    return row


def dropped_exactly(checks, lab, gate, family, xdp):
    """Each packet is counted once, and where XDP drops it, it is never seen."""
    name = f'IPv{family}'
    before = gate.at_rest('the counters', lambda: (
        gate.ports()['outside']['frames_banned'], gate.reason('banned'),
        gate.connectors()['Submission']['frames'], listed(gate)[NAMES[family]]['packets']))
    send_syns(lab, family)
    want = PACKETS if xdp else 0
    labs.wait_for('the packets are counted', lambda: gate.ports()['outside']['frames_banned']
                  + gate.reason('banned') >= before[0] + before[1] + PACKETS)
    after = gate.at_rest('the counters', lambda: (
        gate.ports()['outside']['frames_banned'], gate.reason('banned'),
        gate.connectors()['Submission']['frames'], listed(gate)[NAMES[family]]['packets']))
    checks.equal(f'{name}: dropped by XDP, dropped by the gate, seen by it, counted in the entry',
                 tuple(a - b for a, b in zip(after, before)),
                 (want, PACKETS - want, PACKETS - want, want))
    dumped = [row['formatted']['value']['packets'] for row in gate.dump('bans')
              if ' '.join(byte[2:] for byte in row['key']) == KEYS[family]]
    checks.equal(f'{name}: bpftool map dump shows it', dumped, [after[3]])
    table = gate.table('bans_table')
    checks.that(f'{name}: cat bans_table shows it', 'smtp_unable_to_relay' in table
                and f' {after[3]} ' in table, table)


def others_pass(checks, lab, family):
    with smtp.Client(lab, 'host', family) as client:
        client.greet()
        checks.starts(f'IPv{family}: another source is served',
                      client.message('a@sender.test', 'v@contoso.com', b'hello\r\n'), '250')


def offences(checks, lab, gate, family, xdp):
    body_in_progress(checks, lab, gate, family)
    row = shared(gate, family)
    checks.equal(f'IPv{family}: why', (row['reason'], row['level']), ('smtp_unable_to_relay', 1))
    checks.that(f'IPv{family}: for an hour', 3000 < row['until'] - time.time() <= 3600)
    dropped_exactly(checks, lab, gate, family, xdp)
    others_pass(checks, lab, family)


def by_hand(checks, lab, gate, family):
    name, host = NAMES[family], f'IPv{family}'
    # The end of the first ban, brought forward: on time, and remembered.
    bpftool(lab, 'update', f'key hex {KEYS[family]} value hex {until_bytes(1)}')
    labs.wait_for('the ban ends on time', lambda: name not in listed(gate))
    checks.that(f'{host}: served after the end', labs.wait_for(
        'served', lambda: is_answered(lab, 'remote', family)))
    # The score has hardly fallen, so that one try is enough now.
    checks.starts(f'{host}: banned again', probe(lab, family)[1], '421 4.7.0')
    row = shared(gate, family)
    checks.equal(f'{host}: the second ban', row['level'], 2)
    checks.that(f'{host}: is twice as long', 6600 < row['until'] - time.time() <= 7200)
    explains(checks, gate, family)
    checks.equal(f'{host}: ban del', ban(gate, 'del', SOURCES[family]), (0, ''))
    checks.that(f'{host}: served after ban del', labs.wait_for(
        'served', lambda: is_answered(lab, 'remote', family)))
    text, found = explained(gate, family)
    checks.that(f'{host}: explain knows of no ban',
                found['ban'] is None and not found['refused'] and 'banned' not in text, text)
    checks.equal(f'{host}: ban del again', ban(gate, 'del', SOURCES[family]),
                 (1, f'relaygate: {SOURCES[family]}: is not banned'))

    bpftool(lab, 'update', f'key hex {KEYS[family]} value hex {"00 " * 24}')
    checks.that(f'{host}: banned by bpftool', labs.wait_for(
        'refused', lambda: not is_answered(lab, 'remote', family, 0.5)))
    checks.equal(f'{host}: for ever', listed(gate)[name]['until'], 0)
    bpftool(lab, 'delete', f'key hex {KEYS[family]}')
    checks.that(f'{host}: served after bpftool delete', labs.wait_for(
        'served', lambda: is_answered(lab, 'remote', family)))
    code, _ = ban(gate, 'add', SOURCES[family], '--for', '5s')
    checks.that(f'{host}: banned by command', code == 0 and labs.wait_for(
        'refused', lambda: not is_answered(lab, 'remote', family, 0.5)))
    labs.wait_for('the ban ends on time', lambda: name not in listed(gate))
    checks.that(f'{host}: served after its time', labs.wait_for(
        'served', lambda: is_answered(lab, 'remote', family)))


def refused_commands(checks, gate):
    for words, want in ((('add', '192.0.2.20'), 'never banned'), (('add', '10.0.0.11'), 'never'),
                        (('add', '2001:db8:2::99'), 'never banned'),
                        (('add', '198.51.100.0/24'), 'ip-block'), (('add', '::1'), 'no source'),
                        (('add', '1.2.3'), '1.2.3'), (('add',), 'needs an address'),
                        (('add', '1.2.3.4', '--for', '1 fortnight'), '--for'),
                        (('show',), 'write list')):
        code, output = ban(gate, *words)
        checks.that(f'ban {" ".join(words)}', code == 1 and want in output, output)


def exempt(checks, lab, gate):
    """What a person puts into the map nevertheless is taken out; XDP never drops a server."""
    bpftool(lab, 'update', f'key hex ff 00 00 00 c0 00 02 14 value hex {"00 " * 24}')
    bpftool(lab, 'update', f'key hex ff 00 00 00 0a 00 00 0b value hex {"00 " * 24}')
    labs.wait_for('both are taken out',
                  lambda: not {'192.0.2.20', '10.0.0.11'} & set(listed(gate)))
    labs.wait_for('that is told', lambda: gate.reason('ban_exempt') == 2)
    checks.that('the IP Allow list is served', is_answered(lab, 'app', 4, 10.0))
    others_pass(checks, lab, 4)


def survives(checks, lab, gate):
    for family in labs.FAMILIES:
        checks.equal(f'ban add {SOURCES[family]}', ban(gate, 'add', SOURCES[family])[0], 0)
    gate.kill()
    checks.equal('the map outlives the gate', set(listed(gate)), set(NAMES.values()))
    text, found = explained(gate, 4, '--pin-directory', lab.pins)
    checks.that('explain says nothing of a gate that does not run',
                'ban' not in found and 'banned' not in text, text)
    gate.start()
    for family in labs.FAMILIES:
        checks.that(f'IPv{family}: still banned after kill -9',
                    not is_answered(lab, 'remote', family))
        others_pass(checks, lab, family)
    checks.equal('the list is the same', set(listed(gate)), set(NAMES.values()))


def full(checks, lab):
    """A table full of bans without end: who offends is refused each time, but not banned."""
    config = configured(lab)
    config['ban']['BanEntries'] = '16'
    with labs.Gate(lab, config) as gate:
        smtp.await_backend(lab)
        for source in SOURCES.values():
            ban(gate, 'del', source)
        added = [ban(gate, 'add', f'203.0.113.{i}', '--for', 'ever') for i in range(17)]
        checks.equal('sixteen find a place', added[:16], [(0, '')] * 16)
        checks.that('the next is refused', added[16][0] == 1
                    and 'raise BanEntries' in added[16][1], added[16])
        labs.wait_for('the gate knows them', lambda: all(
            f'203.0.113.{i} ' in gate.records() for i in range(16)))
        before = gate.reason('bans_full')
        replies = [probe(lab, 4) for _ in range(4)]
        checks.that('a prober is refused, but not banned', all(
            reply.startswith('550 5.7.1') and end.startswith('221') for reply, end in replies),
            replies)
        # Forty points each: the third and the fourth would ban him.
        checks.equal('which is counted each time',
                     gate.at_rest('it', lambda: gate.reason('bans_full')) - before, 2)
        checks.equal('the list is as it was', len(listed(gate)), 16)
        for family in labs.FAMILIES:
            others_pass(checks, lab, family)
        unshared(checks, lab, gate)


def unshared(checks, lab, gate):
    """With a free place the prober is banned; when the map has none by the time that his message
    has arrived, the gate drops what XDP cannot know of."""
    before = gate.reason('ban_not_shared')
    with smtp.Client(lab, 'remote', seconds=60) as busy:
        busy.greet()
        busy.envelope('a@sender.test', 'u@contoso.com')
        busy.command('DATA')
        ban(gate, 'del', '203.0.113.0')
        labs.wait_for('with a free place he is banned',
                      lambda: probe_ends(lab).startswith('421 4.7.0'))
        checks.equal('the place is taken', ban(gate, 'add', '203.0.113.99', '--for', '10m'), (0, ''))
        labs.wait_for('the table has none for it, which is counted',
                      lambda: gate.reason('ban_not_shared') == before + 1)
        checks.starts('his message arrives', busy.command('Subject: last\r\n\r\nbody\r\n.'), '250')
    labs.wait_for('the map has none for him, which is counted',
                  lambda: gate.reason('ban_not_shared') == before + 2)
    checks.that('he is refused nevertheless', not is_answered(lab, 'remote', 4))
    checks.that('by the gate', NAMES[4] not in listed(gate), listed(gate))


def probe_ends(lab):
    try:
        return probe(lab, 4)[1]
    except OSError as error:
        return f'421 4.7.0 before: {error}'


def million(checks, lab):
    """A long list is there before the gate is: it starts, obeys it, and mail passes beside it."""
    config = configured(lab)
    config['ban']['BanEntries'] = str(MILLION + 1000)
    with labs.Gate(lab, config) as gate:
        smtp.await_backend(lab)
        memory = gate.resident_bytes()
        gate.kill()
        batch = lab.path('bans.batch')
        with open(batch, 'w') as file:
            for i in range(MILLION):
                source = ' '.join(map(str, struct.pack('>I', 0x0b000000 + i)))
                file.write(f'map update pinned {lab.pins}/bans key 255 0 0 0 {source} value'
                           + ' 0' * 24 + '\n')
        started = time.monotonic()
        subprocess.run(['bpftool', 'batch', 'file', batch], check=True,
                       stdout=subprocess.DEVNULL)
        print(f'{MILLION} bans in {time.monotonic() - started:.1f} s')
        started = time.monotonic()
        gate.start()
        print(f'ready after {time.monotonic() - started:.1f} s, '
              f'{(gate.resident_bytes() - memory) >> 20} MB more')
        smtp.await_backend(lab)
        for family in labs.FAMILIES:
            others_pass(checks, lab, family)
        checks.equal('ban list has them all', len(listed(gate)), MILLION)
        checks.equal('one more by command', ban(gate, 'add', SOURCES[4])[0], 0)
        checks.that('is obeyed at once', not is_answered(lab, 'remote', 4))
        ban(gate, 'del', SOURCES[4])
        started = time.monotonic()
        labs.wait_for('and taken out', lambda: is_answered(lab, 'remote', 4), 60)
        print(f'taken out after {time.monotonic() - started:.1f} s')
        others_pass(checks, lab, 4)
        checks.equal('the gate stops in good order', gate.stop(), 0)


def accounts(checks, gate):
    rows, drops = gate.at_rest('the counters', lambda: (gate.ports(), gate.drops()))
    checks.equal('frames in = accepted + drops',
                 sum(row['frames_in'] - row['frames_accepted'] for row in rows.values()),
                 sum(drops.values()))


def life(checks, lab):
    with labs.Gate(lab, configured(lab)) as gate:
        xdp = uses_xdp(configured(lab))
        smtp.await_backend(lab)
        refused_commands(checks, gate)
        for family in labs.FAMILIES:
            offences(checks, lab, gate, family, xdp)
        for family in labs.FAMILIES if 'all' in sys.argv[1:] else (4,):
            by_hand(checks, lab, gate, family)
        exempt(checks, lab, gate)
        log = gate.records('--from', SOURCES[4])
        for word in ('source_banned', 'source_unbanned', 'smtp_unable_to_relay', 'by hand'):
            checks.that(f'the log tells: {word}', word in log, log)
        log = gate.records('--from', '2001:db8:9::99')
        checks.that('and who shares a banned /64 finds that there', '/64 source_banned' in log
                    and 'smtp_unable_to_relay [' not in log, log)
        survives(checks, lab, gate)
        accounts(checks, gate)


def test(checks):
    with labs.Lab() as lab:
        if 'million' in sys.argv[1:]:
            million(checks, lab)
        else:
            life(checks, lab)
            full(checks, lab)


if __name__ == '__main__':
    labs.run(test)
