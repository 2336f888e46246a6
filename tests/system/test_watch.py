#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 200
# workers: af_packet
#
# What a gate shows of itself: known numbers of mails and of dropped frames are in every map, table,
# form of `status`, in DPDK's telemetry and in `top`, exactly and everywhere the same; a capture holds
# each frame once with what became of it, counts what it lost, and ends with its tool, however that
# ends; after kill -9 all goes on where it was, and whether the gate runs is said truly.
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess

import frames
import lab as labs
import smtp
import watching
from frames import tcp

KINDS = {'connectors': 1, 'reasons': 2, 'ports': 1, 'workers': 1, 'servers': 2, 'offenders': 2}
# Rows with numbers that never rest.
RESTLESS = {'turns', 'busy_cycles', 'idle_cycles', 'log_sequence'}
ONE = {'connectors': 'connector', 'reasons': 'reason', 'ports': 'port', 'workers': 'worker',
       'servers': 'server'}
FIRST, SECOND = '192.0.2.77', '192.0.2.78'  # listed by no connector
NETWORK = '2001:db8:1:0::'
MANY, SOME, FEW = 137, 41, 7
RECORD_BYTES, RECORDS = 1728, 1024


class Stranger:
    """Sends SYNs from addresses that no connector lists."""

    def __init__(self, lab, mac):
        with lab.inside('stranger'):
            self.link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self.link.bind(('net0', 0))
        self.own, self.mac = self.link.getsockname()[4], mac

    def send(self, source, count):
        family = 6 if ':' in source else 4
        here, there = frames.packed(source), frames.packed(labs.GATE[family])
        packet = tcp(here, there)
        packet = frames.ipv6(packet, here, there) if family == 6 else \
            frames.ipv4(packet, here, there)
        frame = frames.ethernet(self.mac, self.own, packet,
                                kind=0x86dd if family == 6 else 0x0800)
        for _ in range(count):
            self.link.send(frame)


def relaygate(gate, *arguments):
    done = subprocess.run([labs.BINARY, *arguments, '-c', gate.file], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=30)
    return done.returncode, done.stdout, done.stderr


def status(gate):
    return json.loads(relaygate(gate, 'status', '--json')[1])


def settle(gate):
    def reading():
        shown = status(gate)
        return [shown[kind] for kind in ('connectors', 'reasons', 'ports', 'offenders')]

    return gate.at_rest('what status shows', reading)


def still(row):
    return {key: value for key, value in row.items() if key not in RESTLESS}


def by_name(rows):
    return {row['name']: still(row) for row in rows}


def plain(row):
    return {key: labs.text(value) if not isinstance(value, int) else value
            for key, value in row.items() if key != 'reserved'}


# ---- All views of the same numbers ----

def numbers(shown):
    return {kind: by_name(shown[kind]) for kind in KINDS}


def all_views(lab, gate):
    """Each view, of a moment in which no number changed: hosts send frames unasked, too."""
    def attempt():
        settle(gate)
        shown = status(gate)
        views = {'shown': shown, 'prometheus': relaygate(gate, 'status', '--prometheus'),
                 'pinned': {kind: by_name(map(plain, gate.rows(kind))) for kind in KINDS},
                 'tables': {kind: gate.table(f'{kind}_table') for kind in KINDS}}
        with watching.Telemetry(lab) as telemetry:
            views['telemetry'] = {kind: by_name(telemetry.rows(kind)) for kind in KINDS}
            views['told'] = telemetry.ask('/relaygate/status')
        return views if numbers(status(gate)) == numbers(shown) else None

    return labs.wait_for('a moment without a frame', attempt, 60)


def views_agree(checks, lab, gate, when):
    views = all_views(lab, gate)
    shown = views['shown']
    code, written, _ = views['prometheus']
    checks.equal(f'{when}: status --prometheus: exit code', code, 0)
    samples = watching.prometheus(written)
    for kind, texts in KINDS.items():
        want = by_name(shown[kind])
        checks.equal(f'{when}: {kind}: bpftool and status', views['pinned'][kind], want)
        checks.equal(f'{when}: {kind}: telemetry and status', views['telemetry'][kind], want)
        table_agrees(checks, views['tables'][kind], kind, texts, want, when)
        if kind != 'offenders':
            prometheus_agrees(checks, samples, kind, want, when)
    for key in ('state', 'build', 'pid', 'generation', 'file'):
        checks.equal(f'{when}: telemetry and status: {key}', views['told'][key], shown[key])
    checks.equal(f'{when}: prometheus says up', samples[('relaygate_up', frozenset())], 1)
    return shown


def table_agrees(checks, table, kind, texts, want, when):
    rows = watching.table_rows(table, texts) if kind != 'reasons' else [
        {'name': line.split()[0], 'count': int(line.split()[2])}
        for line in table.splitlines()[1:]]
    got = {row['name']: {key: value for key, value in still(row).items() if key != 'name'}
           for row in rows}
    numbers = {}
    for name, row in want.items():
        if kind == 'reasons' and not row['count']:
            continue
        second = [value for key, value in row.items() if isinstance(value, str) and key != 'name']
        full = ' '.join([name, *second]) if kind != 'reasons' else name
        numbers[full] = {key: value for key, value in row.items() if isinstance(value, int)}
    checks.equal(f'{when}: {kind}: table and status', got, numbers)


def prometheus_agrees(checks, samples, kind, want, when):
    got = {}
    for (metric, labels), value in samples.items():
        labels = dict(labels)
        start = f'relaygate_{ONE[kind]}_'
        if not metric.startswith(start) or ONE[kind] not in labels:
            continue
        field = metric[len(start):]
        if field.endswith('_timestamp_seconds'):
            field, value = field[:-len('_timestamp_seconds')] + '_us', round(value * 1e6)
        field = field[:-len('_total')] if field.endswith('_total') else field
        if field not in RESTLESS:
            got.setdefault(labels[ONE[kind]], {})[field] = int(value)
    numbers = {name: {key: value for key, value in row.items() if isinstance(value, int)}
               for name, row in want.items()}
    checks.equal(f'{when}: {kind}: prometheus and status', got, numbers)


# In bursts of so many each source is counted exactly.
def send_slowly(gate, stranger, source, count):
    while count:
        part, before = min(count, 16), gate.reason('no_connector')
        stranger.send(source, part)
        labs.wait_for('these', lambda: gate.reason('no_connector') == before + part)
        count -= part


def known_numbers(checks, lab, gate, stranger):
    settle(gate)
    began = by_name(status(gate)['connectors'])['Anonymous Relay']
    with smtp.Client(lab, 'app') as client:
        client.greet()
        for _ in range(3):
            checks.starts('a mail', client.message('a@sender.test', 'b@accepted.test',
                                                   b'Subject: x\r\n\r\nx\r\n'), '250')
        client.command('QUIT')
    before = gate.reason('no_connector')
    send_slowly(gate, stranger, FIRST, MANY)
    send_slowly(gate, stranger, SECOND, SOME)
    for host in range(FEW):
        stranger.send(f'{NETWORK}bad:{host + 1:x}', 1)
    labs.wait_for('the offenders', lambda: sum(
        row['frames'] for row in gate.rows('offenders')
        if plain(row)['reason'] == 'no_connector') >= MANY + SOME + FEW)
    shown = views_agree(checks, lab, gate, 'known numbers')
    checks.equal('dropped, exactly', gate.reason('no_connector') - before, MANY + SOME + FEW)
    relay = by_name(shown['connectors'])['Anonymous Relay']
    checks.equal('messages, sessions, open ones', (
        relay['messages'] - began['messages'], relay['sessions'] - began['sessions'],
        relay['sessions_open']), (3, 1, 0))
    top = [(row['name'], row['frames'], row['frames_over'], row['reason'])
           for row in shown['offenders'][:3]]
    checks.equal('the largest sources', top, [
        (FIRST, MANY, 0, 'no_connector'), (SECOND, SOME, 0, 'no_connector'),
        ('2001:db8:1::/64', FEW, 0, 'no_connector')])
    port = by_name(shown['ports'])['outside']
    drops = sum(row['count'] for row in shown['reasons'] if row['kind'] == 'drop')
    checks.equal('frames in = accepted + drops', sum(
        row['frames_in'] - row['frames_accepted'] for row in shown['ports']), drops)
    bursts = shown['workers']
    told, taken = sum(row['burst_frames'] for row in bursts), sum(
        row['frames_in'] + row['frames_handed'] for row in shown['ports'])
    # What is shown to all workers is in several bursts.
    checks.that('bursts hold the frames', told == taken if len(bursts) == 1 else told >= taken,
                f'{told} {taken}')
    checks.that('servers are live', all(row['live'] == 1 for row in shown['servers']),
                shown['servers'])
    _, text, _ = relaygate(gate, 'status')
    checks.that('status says it to a person', all(part in text for part in (
        'running; started', FIRST, 'no_connector', 'Anonymous Relay', '10.0.0.11:25', str(MANY),
        str(port['frames_in']))), text)
    return shown


# ---- Capture ----

class Capture:
    def __init__(self, lab, gate, name, *arguments):
        self.path = lab.path(name)
        self.process = subprocess.Popen(
            [labs.BINARY, 'capture', '-c', gate.file, '-w', self.path, *arguments], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while 'capturing' not in (said := self.process.stderr.readline()):
            if not said:
                raise RuntimeError('the capture ended at once')

    def end(self, number=signal.SIGINT):
        """(exit code, its last words, the packets)"""
        if number:
            self.process.send_signal(number)
        _, words = self.process.communicate(timeout=20)
        return self.process.returncode, words, watching.Pcapng(self.path)


def filtered(checks, lab, gate, stranger):
    capture = Capture(lab, gate, 'a.pcapng', '--count', '5', '--reason', 'no_connector', '--snap',
                      '60', 'tcp', 'and', 'host', FIRST)
    stranger.send(SECOND, 5)
    stranger.send(FIRST, 5)
    code, words, file = capture.end(None)
    checks.equal('a capture ends after --count', (code, words.strip()),
                 (0, 'relaygate: 5 frames captured, 0 lost'))
    checks.equal('its frames', {(packet['data'][26:30], packet['interface'], packet['sent'],
                                 packet['comment'].split(':')[0]) for packet in file.packets},
                 {(frames.packed(FIRST), 'outside', False, 'no_connector')})
    checks.equal('five', len(file.packets), 5)
    code, output = lab.run('host', 'tcpdump', '-nr', capture.path)
    checks.equal('tcpdump reads it', (code, output.count(f'IP {FIRST}.')), (0, 5))
    for arguments, want in ((('port', 'and'), 'filter'), (('--reason', 'smtp_timeout'), 'dropped'),
                            (('--connector', 'x'), 'none'), (('--snap', '0'), '1 to 1536')):
        code, _, told = relaygate(gate, 'capture', '-w', '/dev/null', *arguments)
        checks.that(f'{arguments} is refused', code == 1 and want in told, (code, told))


def whole_session(checks, lab, gate):
    before = by_name(status(gate)['ports'])
    capture = Capture(lab, gate, 'b.pcapng')
    with smtp.Client(lab, 'app') as client:
        client.greet()
        client.message('a@sender.test', 'b@accepted.test', b'Subject: y\r\n\r\ny\r\n')
        client.command('QUIT')
    settle(gate)
    code, other, told = relaygate(gate, 'capture', '-w', capture.path)
    checks.that('a second capture is refused, and harms no file', code == 1 and 'captures already' in told,
                (code, other, told))
    code, _, file = capture.end()
    after = by_name(status(gate)['ports'])
    checks.equal('SIGINT ends it well', (code, file.lost), (0, 0))
    for port in after:
        for key, sent in (('frames_in', False), ('frames_out', True)):
            got = sum(packet['interface'] == port and packet['sent'] == sent
                      for packet in file.packets)
            least = after[port][key] - before[port][key]
            checks.that(f'{port}: {key}: each is there once', got == least, f'{got}, {least}')
    handshake = [(packet['sent'], packet['data'][47]) for packet in file.packets
                 if packet['interface'] == 'outside' and len(packet['data']) >= 54
                 and packet['data'][23] == 6 and packet['data'][12:14] == b'\x08\0'][:3]
    checks.equal('question before answer', handshake, [(False, 2), (True, 18), (False, 16)])
    checks.that('frames of the client say their connector', sum(
        'connector Anonymous Relay' in packet['comment'] for packet in file.packets) > 10,
        [packet['comment'] for packet in file.packets])


def slow_reader(checks, lab, gate, stranger):
    capture = Capture(lab, gate, 'c.pcapng', '--reason', 'no_connector')
    capture.process.send_signal(signal.SIGSTOP)
    before = gate.reason('no_connector')
    stranger.send(FIRST, 3000)
    gate.at_rest('the drops', lambda: gate.reason('no_connector'))
    capture.process.send_signal(signal.SIGCONT)
    _, words, file = capture.end()
    # Those that the sender's own device lost never came.
    came = gate.reason('no_connector') - before
    checks.equal('what a stopped reader missed is counted', (len(file.packets) + file.lost,
                 words.strip()), (came, f'relaygate: {len(file.packets)} frames captured, '
                                        f'{file.lost} lost'))
    checks.that('and it did miss some', file.lost > 1000, file.lost)


def newest(ring):
    return max(struct.unpack_from('=Q', ring, i * RECORD_BYTES)[0]
               for i in range(len(ring) // RECORD_BYTES))


def killed_reader(checks, lab, gate, stranger):
    workers = len(gate.rows('workers'))
    ring = watching.map_bytes(os.path.join(lab.pins, 'captured'),
                              RECORD_BYTES * RECORDS * workers)
    capture = Capture(lab, gate, 'd.pcapng')
    stranger.send(FIRST, 1)
    labs.wait_for('it captures', lambda: b'\0' * 64 != ring[:64] and newest(ring))
    capture.process.kill()
    capture.process.wait()

    def off():
        before = newest(ring)
        drops = gate.reason('no_connector')
        stranger.send(FIRST, 3)
        labs.wait_for('three more', lambda: gate.reason('no_connector') >= drops + 3)
        return newest(ring) == before

    labs.wait_for('a capture ends with its tool', off, 10)
    checks.that('a capture ends with its tool', True)
    following = Capture(lab, gate, 'e.pcapng', '--dropped')
    stranger.send(SECOND, 4)
    labs.wait_for('they came', lambda: by_name(gate.rows('offenders'))[SECOND])
    settle(gate)
    code, _, file = following.end()
    checks.equal('another may begin then, and sees only its own', (code, len(file.packets)), (0, 4))
    code, _, said = relaygate(gate, 'capture', '-w', '/dev/full', '--seconds', '1')
    checks.that('a file that takes nothing is told once, and nothing counts as captured',
                code == 1 and said.count('/dev/full: ') == 1 and 'captured' not in said, said)


# ---- A terminal ----

def on_a_terminal(checks, gate):
    terminal = watching.Terminal([labs.BINARY, 'top', '-c', gate.file, '--interval', '200ms'])
    labs.wait_for('three frames', lambda: len(terminal.frames()) >= 3)
    small = terminal.frames()[2]
    checks.that('a frame fits 80x24', len(small) <= 24 and max(map(len, small)) <= 80, small)
    checks.that('and has all sections', all(any(line.startswith(word) for line in small) for word in (
        'relaygate ', 'worker', 'port', 'connector', 'server', 'reason', 'source')), small)
    terminal.resize(10, 40)
    labs.wait_for('a small frame', lambda: any(
        len(frame) <= 10 and max(map(len, frame)) <= 40 for frame in terminal.frames()))
    seen = len(terminal.frames())
    terminal.resize(50, 132)
    labs.wait_for('a large frame', lambda: any(
        max(map(len, frame)) > 40 for frame in terminal.frames()[seen:]))
    checks.that('80 columns are enough for it, too', all(
        len(line) <= 80 for frame in terminal.frames() for line in frame), terminal.frames()[-1])
    terminal.key(b'q')
    code, same = terminal.close()
    checks.equal('q ends it, and the terminal is as before', (code, same), (0, True))
    checks.that('the former screen is back', terminal.said.endswith(b'\033[?25h\033[?1049l'),
                terminal.said[-40:])
    terminal = watching.Terminal([labs.BINARY, 'top', '-c', gate.file])
    labs.wait_for('a frame', terminal.frames)
    terminal.key(b'\x03')
    checks.equal('Ctrl-C likewise', terminal.close(), (0, True))
    code, plain_text, _ = relaygate(gate, 'top', '--once', '--interval', '100ms')
    checks.that('--once: plain lines', code == 0 and '\033' not in plain_text
                and FIRST in plain_text, plain_text)


# ---- Maps ----

def pins(lab):
    return {name: json.loads(subprocess.run(
        ['bpftool', '-j', 'map', 'show', 'pinned', os.path.join(lab.pins, name)],
        stdout=subprocess.PIPE, check=True).stdout)['id']
        for name in sorted(os.listdir(lab.pins))
        if not name.endswith('_table') and not name.startswith('xdp_')}


def every_map(checks, lab, gate):
    """By bpftool with named fields, and by cat."""
    relaygate(gate, 'ban', 'add', '203.0.113.9')
    checks.equal('a reload for the request', relaygate(gate, 'reload')[0], 0)
    dumped = {name: [row.get('formatted', {}).get('value') for row in gate.dump(name)]
              for name in pins(lab)}
    checks.equal('bpftool knows the fields of each map', [
        name for name, rows in dumped.items() if not rows or not isinstance(rows[0], dict)], [])
    checks.equal('cat prints each map', [name for name in dumped if not labs.read(
        os.path.join(lab.pins, name)).count(b'\n') > 1], [])
    checks.that('cat prints the ban', '203.0.113.9' in gate.table('bans_table'))
    checks.equal('the ban', dumped['bans'][0]['packets'], 0)
    relaygate(gate, 'ban', 'del', '203.0.113.9')
    (standing,), (asked,), shown = dumped['instance'], dumped['requests'], status(gate)
    checks.equal('instance and status', [
        (labs.text(standing['build']), standing['pid'], labs.text(standing['state']),
         standing['generation'], standing['workers'])],
        [(shown['build'], gate.process.pid, 'running', shown['generation'],
          len(shown['workers']))])
    checks.equal('requests: one reload, answered', (
        asked['reload'], standing['reload_answered'], standing['reloads_applied'],
        asked['drain'], standing['drain_answered']), (1, 1, 1, 0, 0))


# ---- Life and death ----

def life_and_death(checks, lab, gate):
    before, ids = status(gate), pins(lab)
    checks.that('every map has its pin', set(KINDS) | {'bans', 'capture', 'captured', 'instance',
                'log', 'requests'} <= set(ids), ids)
    gate.kill()
    code, written, told = relaygate(gate, 'status', '--json')
    dead = json.loads(written)
    checks.equal('killed: status', (code, dead['running'], dead['state']), (1, False, 'died'))
    checks.that('which stderr says', 'not running' in told, told)
    checks.that('counters are there', all(row['frames_in'] >= old['frames_in'] > 0 for row, old in
                                          zip(dead['ports'], before['ports'])), dead['ports'])
    checks.that('gauges are not', 'sessions_open' not in dead['connectors'][0], dead)
    samples = watching.prometheus(relaygate(gate, 'status', '--prometheus')[1])
    checks.equal('prometheus: not up', samples[('relaygate_up', frozenset())], 0)
    code, _, told = relaygate(gate, 'capture', '-w', '/dev/null')
    checks.that('no capture of the dead', code == 1 and 'does not run' in told, told)
    gate.start()
    after = status(gate)
    checks.equal('started again: the same maps', pins(lab), ids)
    checks.that('another process', after['running'] and after['pid'] != before['pid'], after)
    fallen = [(kind, old['name'], key) for kind in ('connectors', 'reasons', 'ports', 'workers')
              for old, new in zip(before[kind], after[kind]) for key, value in old.items()
              if isinstance(value, int) and key in dead[kind][0] and new[key] < value]
    checks.equal('no counter fell', fallen, [])
    views_agree(checks, lab, gate, 'after kill -9')
    checks.equal('stop', gate.stop(), 0)
    code, written, _ = relaygate(gate, 'status', '--json')
    checks.equal('stopped: status', (code, json.loads(written)['state']), (1, 'stopped'))


def test(checks):
    with labs.Lab() as lab, labs.Gate(lab) as gate:
        smtp.await_backend(lab)
        _, output = lab.run('gate', 'ip', '-json', 'link', 'show', 'outside')
        mac = bytes.fromhex(json.loads(output)[0]['address'].replace(':', ''))
        stranger = Stranger(lab, mac)
        known_numbers(checks, lab, gate, stranger)
        on_a_terminal(checks, gate)
        filtered(checks, lab, gate, stranger)
        whole_session(checks, lab, gate)
        slow_reader(checks, lab, gate, stranger)
        killed_reader(checks, lab, gate, stranger)
        every_map(checks, lab, gate)
        life_and_death(checks, lab, gate)
        with contextlib.closing(stranger.link):
            pass


if __name__ == '__main__':
    labs.run(test)
