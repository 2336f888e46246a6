#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
#
# `relaygate replay` against what really happened. A recorded run of the gate, played again with the
# same configuration, comes to the same sessions, messages, refusals and drops as the live counters
# did. A recording of clients of a plain Postfix, played against a gate in its place, comes to
# whole sessions, although the gate's numbers and replies are others. The same frames in files of
# other kinds come to the same; and captures that are none.
import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess

import frames
import lab as labs
import smtp
from test_frame_accounting import BROKEN

POSTFIX = {4: '192.0.2.99', 6: '2001:db8:1::99'}
OPEN = ('ss', '-Htn', *(word for state in ('established', 'syn-recv', 'fin-wait-1', 'fin-wait-2',
                                            'close-wait', 'last-ack', 'closing')
                         for word in ('state', state)))
TIMES = 3
# Of a connector's row: everything but gauges and what the servers' own answers decide.
SAME = ('frames', 'syns', 'sessions', 'sessions_reset', 'transactions', 'senders_refused',
        'recipients', 'recipients_refused', 'messages', 'message_bytes', 'messages_aborted',
        'protocol_errors', 'closed_protocol_errors', 'bad_line_endings')
# What servers and stations that do not speak to the gate have part in; fragments, which the driver's
# socket keeps to itself; and segments that came twice or late, since the gate answered at another
# moment then.
ELSEWHERE = re.compile('arp_|nd_|icmp|frame_|ip_not_ours|ip_protocol|gate_|backend_|neighbour_|'
                       'ipv4_fragment|ipv6_extension|tcp_unacceptable|time_wait|no_flow|'
                       'tcp_out_of_order')


def last_frame(lab, host, interface, file):
    """One of a local protocol; when it is in the file, all before it are."""
    words = b'the last frame'.ljust(46, b'.')
    with lab.inside(host):
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        link.bind((interface, 0))
    with link:
        link.send(b'\2\0\0\0\0\1\2\0\0\0\0\2\x88\xb5' + words)
    labs.wait_for('the recording is whole', lambda: words in labs.read(file))


@contextlib.contextmanager
def recording(checks, lab, host, interface, file):
    """tcpdump on an interface; the file is complete afterwards."""
    process = lab.start(host, 'tcpdump', '-i', interface, '-n', '-Z', 'root', '-U', '-B', '16384',
                        '--immediate-mode', '-w', file, text=True, stderr=subprocess.PIPE)
    try:
        said = process.stderr.readline()
        while 'listening on' not in said:
            if not said:
                raise RuntimeError('tcpdump does not listen')
            said = process.stderr.readline()
        yield
        last_frame(lab, host, interface, file)
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    checks.that('tcpdump lost nothing', '\n0 packets dropped' in said, said)


def replay(config, capture, *options):
    """Exit code, stdout, and stderr without the configuration's warnings."""
    done = subprocess.run((labs.BINARY, 'replay', '-c', config, capture, *options), text=True,
                          capture_output=True, timeout=120)
    said = [line for line in done.stderr.splitlines(True) if not line.endswith('(warning)\n')]
    return done.returncode, done.stdout, ''.join(said)


def replayed(checks, config, capture, *options):
    code, out, err = replay(config, capture, '--json', *options)
    checks.equal(f'replay of {os.path.basename(capture)}: exit code', (code, err), (0, ''))
    found = json.loads(out)
    found['connectors'] = {row['name']: row for row in found['connectors']}
    found['reasons'] = {row['name']: row['count'] for row in found['reasons']}
    return found


# ---- A recorded run of the gate -----------------------------------------------------------------

def mails(lab, address, family):
    """Accepted, refused and broken off, by each kind of host."""
    for host, recipients in (('app', ('a@accepted.test', 'b@foreign.test')),
                             ('host', ('a@accepted.test', 'b@foreign.test')),
                             ('mute', ('a@accepted.test',)),
                             ('remote', ('c@contoso.com',))):
        for recipient in recipients:
            with Client(lab, host, address) as client:
                client.greet()
                client.message(f'{host}@sender.test', recipient, b'Subject: x\r\n\r\n.dot\r\n')
                client.quit()
    with Client(lab, 'app', address) as client:
        client.greet()
        client.message('a@sender.test', 'big@accepted.test',
                       b'Subject: big\r\n\r\n' + b'0123456789abcde\r\n' * 20000)
        client.command('NONSENSE')
        client.command('RCPT TO:<too@early.test>')
        client.message('a@sender.test', 'two@accepted.test', b'second\r\n')
    lab.run('app', 'smtp-source', '-m', '20', '-s', '4', '-l', '5000', '-f', 'a@sender.test',
            '-t', 'b@accepted.test', f'[{address}]:25')


class Client(smtp.Client):
    """To any address."""

    def __init__(self, lab, host, address):
        with lab.inside(host):
            self.socket = socket.create_connection((address, 25), timeout=30)
        self.socket.settimeout(30)
        self.file = self.socket.makefile('rb')
        self.banner = self.reply()


def scans(lab, family):
    option = ['-6'] if family == 6 else []
    lab.run('host', 'nmap', *option, '-Pn', '-n', '-sS', '-p', '20-40', '--max-retries', '1',
            '--host-timeout', '20', labs.GATE[family])
    lab.run('stranger', 'nmap', *option, '-Pn', '-n', '-sS', '-p', '25', '--max-retries', '1',
            '--host-timeout', '20', labs.GATE[family])
    lab.run('host', 'nmap', *option, '-Pn', '-n', '-sX', '-p', '25', '--host-timeout', '20',
            labs.GATE[family])


def broken(lab, mac):
    """Every broken frame of the accounting test that a port takes, TIMES times."""
    with lab.inside('app'):
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        link.bind(('net0', 0))
    own = link.getsockname()[4]
    for _, kind, packet, _ in BROKEN:
        for _ in range(TIMES):
            link.send((mac + own + struct.pack('!H', kind) + packet).ljust(60, b'\0'))
    link.close()


def of_gate(checks, lab):
    capture = lab.path('gate.pcap')
    config = lab.config()
    # Each frame comes to the gate itself: no program in front of it leaves some to the kernel.
    labs.shape(config, None, 'af_packet')
    with recording(checks, lab, 'switch', 'gate-outside', capture), \
            labs.Gate(lab, config) as gate:
        smtp.await_backend(lab)
        _, output = lab.run('gate', 'ip', '-json', 'link', 'show', 'outside')
        mac = bytes.fromhex(json.loads(output)[0]['address'].replace(':', ''))
        for family in labs.FAMILIES:
            mails(lab, labs.GATE[family], family)
            scans(lab, family)
        broken(lab, mac)
        live, reasons = gate.connectors_at_rest(), gate.reasons()
    found = replayed(checks, gate.file, capture, '--write', lab.path('answers.pcap'))
    for name, row in live.items():
        for key in SAME:
            checks.equal(f'{name}: {key}', found['connectors'][name][key], row[key])
    checks.that('and mail passed', live['Anonymous Relay']['messages'] >= 48, live)
    for name in sorted(set(reasons) | set(found['reasons'])):
        if not ELSEWHERE.match(name) and name != 'none':
            checks.equal(f'reason {name}', found['reasons'].get(name, 0), reasons.get(name, 0))
    for name in ('no_connector', 'no_binding', 'tcp_checksum', 'ipv4_fragment', 'tcp_flags',
                 'ipv6_extension', 'no_flow', 'cookie_invalid'):
        checks.that(f'{name} occurred', found['reasons'].get(name, 0) >= TIMES, found['reasons'])
    checks.equal('relaying was refused', found['reasons'].get('smtp_unable_to_relay'), 2)
    totals = found['frames']
    checks.equal('each frame is in one total', totals['read'], sum(
        totals[key] for key in ('fed', 'server', 'backend', 'not_ours', 'cut')))
    answers(checks, lab, lab.path('answers.pcap'), found)
    moods(checks, gate.file, capture, found)
    text(checks, gate.file, capture, live)
    return gate.file, capture


def answers(checks, lab, file, found):
    """What the gate said, as tcpdump reads it."""
    done = subprocess.run(('tcpdump', '-n', '-r', file, '-vv'), text=True, capture_output=True,
                          errors='replace')
    checks.equal('tcpdump reads the answers', done.returncode, 0)
    wrong = [line for line in done.stdout.splitlines() if re.search('incorrect|bad cksum', line)]
    checks.equal('with good checksums', wrong[:5], [])
    for word in ('192.0.2.10.25 >', '2001:db8:1::10.25 >', '10.0.0.1.', '250 2.1.0 Sender OK',
                 '550 5.7.1 Unable to relay'):
        checks.that(f'the answers have {word!r}', word in done.stdout)
    written = sum(port['frames_out'] for port in found['ports'])
    lines = subprocess.run(('tcpdump', '-n', '-r', file, '-tt'), text=True,
                           capture_output=True).stdout.splitlines()
    checks.equal('every frame out was written', len(lines), written)


def moods(checks, config, capture, accepted):
    refused = replayed(checks, config, capture, '--backend', 'refuse')
    down = replayed(checks, config, capture, '--backend', 'down')
    for name, row in accepted['connectors'].items():
        checks.equal(f'{name}: sessions, whatever the servers do', *(
            (mood['connectors'][name]['sessions'], row['sessions']) for mood in (refused, down)))
        for mood in (refused, down):
            checks.equal(f'{name}: recipients and messages of such servers', [
                mood['connectors'][name][key] for key in ('recipients', 'messages')], [0, 0])
    # One recipient a session, so that no refusal changes what is asked next.
    checks.equal('servers refuse: recipients',
                 refused['connectors']['Submission']['recipients_refused_backend'],
                 accepted['connectors']['Submission']['recipients'])
    checks.equal('servers refuse: the reason', refused['reasons'].get('backend_refused_recipient'),
                 sum(row['recipients_refused_backend'] for row in refused['connectors'].values()))
    checks.that('servers down: the reason', down['reasons'].get('backend_connect_failed', 0) > 0,
                down['reasons'])


def text(checks, config, capture, live):
    code, out, err = replay(config, capture)
    checks.equal('as text: exit code', (code, err), (0, ''))
    row = next(line for line in out.splitlines() if line.startswith('Submission'))
    checks.equal('as text: frames, SYNs and sessions', row.split()[1:4],
                 [str(live['Submission'][key]) for key in ('frames', 'syns', 'sessions')])
    checks.that('as text: a reason with its help', re.search(
        r'^no_connector +drop +\d+  source in no RemoteIPRanges', out, re.M), out)


# ---- A recording of a plain Postfix ------------------------------------------------------------

def of_postfix(checks, lab):
    capture, config = lab.path('postfix.pcap'), lab.path('postfix.ini')
    lab.run('switch', 'ip', 'link', 'add', 'patch0', 'type', 'veth', 'peer', 'name', 'patch1')
    for end, bridge in (('patch0', 'outside'), ('patch1', 'inside')):
        lab.run('switch', 'ethtool', '-K', end, 'tx', 'off')
        lab.run('switch', 'ip', 'link', 'set', end, 'master', bridge, 'up')
    for address in ('192.0.2.99/24', '2001:db8:1::99/64'):
        lab.run('backend', 'ip', 'address', 'add', address, 'dev', 'net0',
                *(['nodad'] if ':' in address else []))
    for destination in ('198.51.100.0/24', '2001:db8:9::/64'):
        lab.run('backend', 'ip', 'route', 'add', destination, 'via',
                '2001:db8:1::1' if ':' in destination else '192.0.2.1')
    with recording(checks, lab, 'backend', 'net0', capture):
        for family in labs.FAMILIES:
            mails(lab, POSTFIX[family], family)
            # The rest from a server that refuses what the gate would take.
            lab.run('backend', 'sysctl', '-qw', *(f'net.ipv4.tcp_{option}=0' for option in (
                'timestamps', 'sack', 'window_scaling')))
        labs.wait_for('Postfix has closed its connections', lambda: lab.run('backend', *OPEN)[1] == '')
    lab.run('backend', 'sysctl', '-qw', *(f'net.ipv4.tcp_{option}=1' for option in (
        'timestamps', 'sack', 'window_scaling')))
    lab.run('switch', 'ip', 'link', 'delete', 'patch0')
    for address in ('192.0.2.99/24', '2001:db8:1::99/64'):
        lab.run('backend', 'ip', 'address', 'delete', address, 'dev', 'net0')
    ini = labs.read(lab.command('gate-config')).decode()
    with open(config, 'w') as file:
        file.write(ini.replace('192.0.2.10', '192.0.2.99').replace('db8:1::10', 'db8:1::99'))
    found = replayed(checks, config, capture, '--write', lab.path('postfix-answers.pcap'))
    relay, submission = (found['connectors'][name] for name in ('Anonymous Relay', 'Submission'))
    # Of each family: app's 4 messages, or 3 sessions, and those of smtp-source.
    checks.equal('Postfix, app: sessions', relay['sessions'], relay['syns'])
    checks.equal('Postfix, app: messages', relay['messages'], 2 * (4 + 20))
    checks.equal('Postfix, host and remote: sessions', submission['sessions'], 2 * 3)
    # What the gate refuses Postfix took: the content is then so many unknown commands.
    checks.equal('Postfix, host and remote: messages', submission['messages'], 2 * 2)
    checks.equal('Postfix, host: refused', found['reasons'].get('smtp_unable_to_relay'), 2)
    checks.equal('Postfix, mute: refused', found['reasons'].get('smtp_not_authenticated'), 2)
    checks.equal('Postfix, sessions left open',
                 sum(row['sessions_open'] for row in found['connectors'].values()), 0)
    for name in ('tcp_ack_unacceptable', 'tcp_checksum', 'retransmit_exhausted', 'tcp_paws'):
        checks.equal(f'Postfix: {name}', found['reasons'].get(name, 0), 0)
    one_way(checks, lab, config, capture, found)
    tarpit(checks, lab, config, capture, found)


def one_way(checks, lab, config, capture, found):
    """The same without the server's half: the client's ACKs are all that is known of it."""
    half = lab.path('half.pcap')
    subprocess.run(('tcpdump', '-n', '-r', capture, '-w', half, 'dst port 25'), check=True,
                   capture_output=True)
    alone = replayed(checks, config, half)
    checks.equal('one direction: no server frame', alone['frames']['server'], 0)
    for name, row in found['connectors'].items():
        for key in ('sessions', 'messages', 'recipients_refused'):
            checks.equal(f'one direction: {name}: {key}', alone['connectors'][name][key], row[key])


def tarpit(checks, lab, config, capture, found):
    """Replies that come five seconds late, when the client has said its last."""
    slow = lab.path('slow.ini')
    with open(slow, 'w') as file:
        file.write(re.sub('(?m)^TarpitInterval.*', 'TarpitInterval = 5s',
                          labs.read(config).decode()))
    late = replayed(checks, slow, capture)
    checks.that('tarpit: replies were kept back',
                sum(row['tarpitted'] for row in late['connectors'].values()) >= 4, late)
    for name, row in found['connectors'].items():
        for key in ('sessions', 'sessions_open', 'messages', 'recipients_refused'):
            checks.equal(f'tarpit: {name}: {key}', late['connectors'][name][key], row[key])
    checks.equal('tarpit: every next hop is known',
                 late['reasons'].get('neighbour_unresolved', 0), 0)


# ---- The same frames in other files -----------------------------------------------------------

def records(content):
    """(seconds, microseconds, frame) of a capture with Ethernet and microseconds."""
    at = 24
    while at < len(content):
        seconds, micros, captured = struct.unpack_from('<III', content, at)
        yield seconds, micros, content[at + 16:at + 16 + captured]
        at += 16 + captured


def nanoseconds(content):
    return struct.pack('<IHHiIII', 0xa1b23c4d, 2, 4, 0, 0, 262144, 1) + b''.join(
        record(frame, seconds, micros * 1000 + 999)
        for seconds, micros, frame in records(content))


def next_generation(content):
    def block(kind, body):
        body += b'\0' * (-len(body) % 4)
        return struct.pack('<II', kind, len(body) + 12) + body + struct.pack('<I', len(body) + 12)

    blocks = [block(0x0a0d0d0a, struct.pack('<IHHq', 0x1a2b3c4d, 1, 0, -1)),
              block(1, struct.pack('<HHI', 1, 0, 262144))]
    for seconds, micros, frame in records(content):
        time = seconds * 1000000 + micros
        blocks.append(block(6, struct.pack('<IIIII', 0, time >> 32, time & 0xffffffff, len(frame),
                                           len(frame)) + frame))
    return b''.join(blocks)


def linked(content, link, header_of):
    """With another link layer; header_of(source MAC, type) goes in front of each packet."""
    return struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 262144, link) + b''.join(
        record(header_of(frame[6:12], frame[12:14]) + frame[14:], seconds, micros)
        for seconds, micros, frame in records(content)
        if frame[12:14] in (b'\x08\0', b'\x86\xdd'))


def of_vlan(lab, config):
    """The same with tagged frames at the clients' port: a capture of a VLAN's interface has none."""
    path = lab.path('vlan.ini')
    with open(path, 'w') as file:
        file.write(re.sub(r'(?m)^\[port outside\]$', '[port outside]\nVlan = 42',
                          labs.read(config).decode()))
    return path


def formats(checks, lab, config, capture):
    whole = labs.read(capture)
    wanted = replayed(checks, config, capture)['connectors']
    vlan = of_vlan(lab, config)
    for what, content in (
            ('nanoseconds', nanoseconds(whole)),
            ('pcapng', next_generation(whole)),
            ('cooked', linked(whole, 113, lambda mac, kind: struct.pack(
                '>HHH', 0, 1, 6) + mac + b'\0\0' + kind)),
            ('cooked 2', linked(whole, 276, lambda mac, kind: kind + struct.pack(
                '>HIHBB', 0, 1, 1, 0, 6) + mac + b'\0\0')),
            ('raw IP', linked(whole, 101, lambda mac, kind: b''))):
        path = lab.path(f'{what}.pcap')
        with open(path, 'wb') as file:
            file.write(content)
        for settings, where in ((config, ''), (vlan, ', of a VLAN')):
            found = replayed(checks, settings, path)['connectors']
            for name, row in wanted.items():
                checks.equal(f'{what}{where}: {name}', {key: found[name][key] for key in SAME},
                             {key: row[key] for key in SAME})


# ---- Captures that are none ---------------------------------------------------------------------

HEADER = struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1)


def record(frame, seconds=1, micros=0, captured=None, length=None):
    captured = len(frame) if captured is None else captured
    return struct.pack('<IIII', seconds, micros, captured,
                       captured if length is None else length) + frame


def hostile(checks, lab, config, capture):
    app, ours, other = (frames.packed(text) for text in ('192.0.2.20', '192.0.2.10', '203.0.113.7'))
    to_us, to_other = (frames.ethernet(b'\2\0\0\0\0\1', b'\2\0\0\0\0\2', frames.ipv4(
        frames.tcp(app, ours), app, there)) for there in (ours, other))
    whole = labs.read(capture)
    cases = (
        ('no file', None, 1, 'No such file'),
        ('an empty file', b'', 1, 'truncated'),
        ('no capture', b'hello, this is no capture at all', 1, 'unknown file format'),
        ('a header alone', HEADER, 1, 'no frame in it'),
        ('another link layer', HEADER[:20] + struct.pack('<I', 105), 1, 'IEEE802_11'),
        ('only others', HEADER + record(to_other), 1, '203.0.113.7'),
        ('only runts', HEADER + record(b'x') + record(b''), 1, 'no frame for an address'),
        ('cut off in a frame', whole[:len(whole) // 2 + 7], 1, 'truncated'),
        ('a length of 4 GB', HEADER + record(to_us) + record(to_us, captured=0xffffffff), 1,
         'invalid packet capture length'),
        ('time zero', HEADER + record(to_us, 0) * 3, 0, ''),
        ('time backwards', HEADER + record(to_us, 100) + record(to_us, 5) + record(to_us, 200), 0,
         ''),
        ('time in leaps', HEADER + record(to_us, 1) + record(to_us, 0xffffffff, 0xffffffff), 0,
         ''),
        ('cut frames', HEADER + record(to_us) + record(to_us[:40], length=len(to_us)), 0, ''),
        ('every length of a frame', HEADER + b''.join(
            record(to_us[:length]) for length in range(len(to_us) + 1)), 0, ''),
    )
    for what, content, wanted, word in cases:
        path = lab.path('case.pcap')
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        if content is not None:
            with open(path, 'wb') as file:
                file.write(content)
        code, out, err = replay(config, path)
        checks.equal(f'{what}: exit code', code, wanted)
        checks.that(f'{what}: {word!r} in one line', word in err and
                    err.count('\n') == (1 if wanted else 0), err)
    code, _, err = replay(config, capture, '--write', capture)
    checks.that('the capture is not written over', code == 1 and 'the capture itself' in err, err)
    checks.equal('and is as before', labs.read(capture), whole)
    code, _, err = replay(config, capture, '--backend', 'sulk')
    checks.that('an unknown mood', code == 1 and 'accept, refuse or down' in err, err)


def test(checks):
    with labs.Lab() as lab:
        of_postfix(checks, lab)
        config, capture = of_gate(checks, lab)
        formats(checks, lab, config, capture)
        hostile(checks, lab, config, capture)


if __name__ == '__main__':
    labs.run(test)
