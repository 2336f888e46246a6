# SPDX-License-Identifier: BSD-3-Clause
#
# What an operator's tools make of a gate: a strict reader of Prometheus' text format, a client of
# DPDK's telemetry, a reader of pcapng, the columns of a table, a pinned map's bytes, and a terminal.
# Each is written from the format's document and shares no code with the product. Judges only form.
"""Readers of everything that a gate shows of itself."""
import ctypes
import fcntl
import json
import mmap
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time

import lab as labs

SYS_BPF, BPF_OBJ_GET = 321, 7

# ---- Prometheus, text exposition format 0.0.4 ----

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
SAMPLE = re.compile(rf'({NAME})(?:\{{(.*)\}})? (-?[0-9]+(?:\.[0-9]+)?)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
ABBREVIATED = re.compile(r'_(us|ms|s|kb|mb)(_|$)')


def labels_of(written):
    found, at = {}, 0
    while at < len(written):
        match = LABEL.match(written, at)
        if not match or match[1] in found:
            raise ValueError(f'labels {written!r}')
        found[match[1]] = re.sub(r'\\(.)', lambda m: '\n' if m[1] == 'n' else m[1], match[2])
        at = match.end()
    return frozenset(found.items())


def prometheus(written):
    """{(metric, labels): value}; ValueError for what a scraper or promtool would complain of."""
    samples, types, helped, current = {}, {}, set(), None
    if not written.endswith('\n'):
        raise ValueError('no newline at the end')
    for line in written.splitlines():
        if match := re.fullmatch(rf'# HELP ({NAME}) (.+)', line):
            if match[1] in helped:
                raise ValueError(f'two helps: {line}')
            helped.add(match[1])
            continue
        if match := re.fullmatch(rf'# TYPE ({NAME}) (counter|gauge)', line):
            current = match[1]
            if current in types or current not in helped:
                raise ValueError(f'type again, or before its help: {line}')
            if (match[2] == 'counter') != current.endswith('_total'):
                raise ValueError(f'only counters end in _total: {line}')
            if ABBREVIATED.search(current):
                raise ValueError(f'an abbreviated unit: {line}')
            types[current] = match[2]
            continue
        match = SAMPLE.fullmatch(line)
        if not match or match[1] != current:
            raise ValueError(f'not a sample of {current}: {line!r}')
        key = (match[1], labels_of(match[2] or ''))
        if key in samples:
            raise ValueError(f'twice: {line}')
        samples[key] = float(match[3])
    return samples


# ---- DPDK's telemetry ----

class Telemetry:
    def __init__(self, lab):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(10)
        self.socket.connect(f'/var/run/dpdk/{lab.name}/dpdk_telemetry.v2')
        self.greeting = json.loads(self.socket.recv(4096))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, command):
        self.socket.send(command.encode())
        answer = json.loads(self.socket.recv(self.greeting['max_output_len']))
        return answer[command.split(',')[0]]

    def rows(self, kind):
        """All rows, from as many replies as it takes."""
        found = []
        while True:
            reply = self.ask(f'/relaygate/{kind},{len(found)}')
            columns = {key: value for key, value in reply.items() if key != 'rows'}
            found += [dict(zip(columns, values)) for values in zip(*columns.values())]
            if len(found) >= reply['rows']:
                return found


# ---- pcapng ----

class Pcapng:
    """Packets of a file: dicts of data, length, interface, comment, sent, time."""

    def __init__(self, path):
        self.interfaces, self.packets, self.lost, self.application = [], [], 0, ''
        data = labs.read(path)
        at = 0
        while at < len(data):
            kind, length = struct.unpack_from('=II', data, at)
            if length % 4 or struct.unpack_from('=I', data, at + length - 4)[0] != length:
                raise ValueError('a block whose lengths differ')
            self.block(kind, data[at + 8:at + length - 4])
            at += length

    def block(self, kind, body):
        if kind == 0x0a0d0d0a:
            if struct.unpack_from('=IHH', body) != (0x1a2b3c4d, 1, 0):
                raise ValueError('section header')
            self.application = options(body[16:]).get(4, b'').decode()
        elif kind == 1:
            link, _, snap = struct.unpack_from('=HHI', body)
            self.interfaces.append((options(body[8:])[2].decode(), link, snap))
        elif kind == 6:
            interface, high, low, kept, length = struct.unpack_from('=IIIII', body)
            found = options(body[20 + (kept + 3) // 4 * 4:])
            self.packets.append({
                'data': body[20:20 + kept], 'length': length,
                'interface': self.interfaces[interface][0], 'comment': found[1].decode(),
                'sent': {1: False, 2: True}[struct.unpack('=I', found[2])[0] & 3],
                'time': (high << 32 | low) / 1e6})
        elif kind == 5:
            self.lost += struct.unpack('=Q', options(body[12:])[5])[0]
        else:
            raise ValueError(f'block {kind}')


def options(data):
    found, at = {}, 0
    while at + 4 <= len(data):
        code, length = struct.unpack_from('=HH', data, at)
        if code == 0:
            return found
        found[code] = data[at + 4:at + 4 + length]
        at += 4 + (length + 3) // 4 * 4
    raise ValueError('options without an end')


# ---- Tables and maps ----

def table_rows(written, texts):
    """Rows of a table that opens with `texts` columns of text; numbers counted from the right."""
    head, *lines = written.splitlines()
    columns = head.split()[texts:]
    return [dict({'name': ' '.join(line.split()[:-len(columns)])},
                 **dict(zip(columns, map(int, line.split()[-len(columns):])))) for line in lines]


def map_bytes(path, size):
    """A pinned map's memory, as the tools see it."""
    name = ctypes.create_string_buffer(path.encode())
    attributes = struct.pack('=QIIQ', ctypes.addressof(name), 0, 0, 0)
    fd = labs.LIBC.syscall(SYS_BPF, BPF_OBJ_GET, attributes, len(attributes))
    if fd < 0:
        raise OSError(ctypes.get_errno(), path)
    try:
        return mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ)
    finally:
        os.close(fd)


# ---- A terminal ----

class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, command, rows=24, columns=80):
        self.ours, self.theirs = pty.openpty()
        self.resize(rows, columns)
        self.modes = termios.tcgetattr(self.theirs)
        self.process = subprocess.Popen(command, stdin=self.theirs, stdout=self.theirs,
                                        stderr=subprocess.STDOUT, start_new_session=True,
                                        preexec_fn=self.adopt)
        self.said = b''

    def adopt(self):
        fcntl.ioctl(self.theirs, termios.TIOCSCTTY, 0)

    def resize(self, rows, columns):
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def key(self, key):
        os.write(self.ours, key)

    def listen(self, seconds=0.05):
        while select.select([self.ours], [], [], seconds)[0]:
            self.said += os.read(self.ours, 65536)
            seconds = 0

    def frames(self):
        """Whole frames so far, each as its lines without escape sequences."""
        self.listen()
        whole = [part.split(b'\033[J')[0] for part in self.said.split(b'\033[H')[1:]
                 if b'\033[J' in part]
        return [re.sub(rb'\033\[[?0-9]*[a-zA-Z]', b'', frame).decode().split('\r\n')
                for frame in whole]

    def close(self):
        """The exit code, and whether the terminal's modes are as they were."""
        deadline = time.monotonic() + 10
        while self.process.poll() is None and time.monotonic() < deadline:
            self.listen()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.listen()
        same = termios.tcgetattr(self.theirs) == self.modes
        os.close(self.ours)
        os.close(self.theirs)
        return self.process.returncode, same
