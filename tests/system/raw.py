# SPDX-License-Identifier: BSD-3-Clause
#
# A host without a TCP of its own: sends any frame, sees what comes back for addresses that its
# kernel does not have (so that no kernel answers for them), and speaks TCP only as far as a test
# tells it. A fence, two pings one after the other, proves that the gate has dealt with all that was
# sent before: silence is then a fact, without waiting. Does not judge anything.
"""Raw links and hand-driven TCP connections."""
import contextlib
import select
import socket
import struct
import time

import frames
import lab as labs
from frames import ACK, FIN, PSH, RST, SYN

SO_RCVBUFFORCE = 33 # Python has no name for it
PATIENCE = 10  # seconds for an answer that must come
OVERTAKEN = 3  # seconds for a frame that another one overtook between two processors
FENCE_PAUSE = 0.0025 # the gate answers 1,000 pings a second, and a fence takes two


def fresh(segments):
    return [segment for segment in segments if not segment.again]


class Link:
    """One host's interface. Addresses are bytes; those in `addresses` get ARP and ND answers."""

    def __init__(self, lab, host, gate_mac, addresses, interface='net0'):
        with lab.inside(host):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.socket.bind((interface, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.socket.setblocking(False)
        self.mac = self.socket.getsockname()[4]
        self.gate_mac = gate_mac
        self.addresses = set(addresses)
        self.gate = {family: frames.packed(labs.GATE[family]) for family in labs.FAMILIES}
        self.heard = []     # TCP segments for our addresses, in order
        self.known = set()  # those of them that take numbers
        self.echoes = set() # numbers of the pings that were answered
        self.defences = [] # addresses that the gate announced as its own
        self.ping_number = 0
        self.fenced_at = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, frame):
        while True:
            try:
                self.socket.send(frame)
                return
            except BlockingIOError:
                select.select([], [self.socket], [], 1)
            except OSError as error: # the queue of the interface is full
                if error.errno != 105:
                    raise
                time.sleep(0.0005)

    def send_packet(self, packet, **how):
        self.send(frames.ethernet(self.gate_mac, self.mac, packet, **how))

    def pump(self, seconds=0.0):
        """Takes what has come; waits so long for the first frame."""
        if seconds and not select.select([self.socket], [], [], seconds)[0]:
            return
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, origin = self.socket.recvfrom(65536)
                if origin[2] != socket.PACKET_OUTGOING:
                    self.take(frame)

    def take(self, frame):
        if frame[6:12] != self.gate_mac:
            return
        if frame[12:14] == b'\x08\x06':
            self.take_arp(frame)
            return
        read = frames.read_ip(frame)
        if read is None:
            return
        source, destination, protocol, data = read
        if protocol == frames.ICMP6 and data[0] == 135:
            self.answer_solicitation(source, data)
        elif protocol == frames.ICMP6 and data[0] == 136 and frame[0] == 0x33:
            self.defences.append(data[8:24])
        elif destination not in self.addresses:
            return
        elif protocol == frames.TCP:
            self.heard.append(self.judged(frames.Segment(source, destination, data)))
        elif protocol in (frames.ICMP, frames.ICMP6) and data[0] in (0, 129):
            self.echoes.add(struct.unpack('!H', data[6:8])[0])

    def judged(self, segment):
        """Was it said before? A gate repeats what a slow test has not acknowledged in time."""
        if segment.payload or segment.flags & (SYN | FIN):
            key = (segment.destination, segment.destination_port, segment.sequence,
                   segment.flags, len(segment.payload))
            segment.again = key in self.known
            self.known.add(key)
        return segment

    def take_arp(self, frame):
        sender, target = frame[28:32], frame[38:42]
        if sender == target:
            self.defences.append(sender)
        elif frame[20:22] == b'\0\1' and target in self.addresses:
            self.send(frames.ethernet(frame[22:28], self.mac, frames.arp(
                2, self.mac, target, frame[22:28], sender), kind=frames.ARP))

    def answer_solicitation(self, source, data):
        target = data[8:24]
        if target in self.addresses:
            self.send_packet(frames.advertisement(target, source, target, self.mac))

    def ping(self, source):
        """Numbers one and sends it."""
        self.ping_number = (self.ping_number + 1) & 0xffff
        destination = self.gate[frames.family_of(source)]
        rest = struct.pack('!HH', 1, self.ping_number)
        if len(source) == 4:
            packet = frames.ipv4(frames.icmp(8, 0, rest), source, destination, frames.ICMP)
        else:
            packet = frames.ipv6(frames.icmp6(source, destination, 128, 0, rest), source,
                                 destination, frames.ICMP6)
        self.send_packet(packet)
        return self.ping_number

    def fence(self):
        """Returns when the gate has dealt with everything sent here before and answered it."""
        source = next(address for address in self.addresses if len(address) == 4)
        time.sleep(max(0.0, self.fenced_at + FENCE_PAUSE - time.monotonic()))
        self.fenced_at = time.monotonic()
        for _ in range(2):
            number = self.ping(source)
            deadline = time.monotonic() + PATIENCE
            while number not in self.echoes:
                if time.monotonic() > deadline:
                    raise TimeoutError('the gate does not answer a ping')
                self.pump(0.2)
            self.echoes.discard(number)

    def settle(self, least, count):
        """A fence, and a moment more while fewer than the least number of segments came."""
        self.fence()
        deadline = time.monotonic() + OVERTAKEN
        while count() < least and time.monotonic() < deadline:
            self.pump(0.05)

    def answers(self, least=0):
        """All segments heard since the last call but those that only repeat others, once the gate
        is through with what was sent."""
        self.settle(least, lambda: len(fresh(self.heard)))
        heard, self.heard = self.heard, []
        return fresh(heard)


class Peer:
    """One connection, driven by hand. A closed one costs nothing to forget."""

    def __init__(self, link, address, port, isn=1000):
        self.link, self.address, self.port = link, address, port
        self.gate = link.gate[frames.family_of(address)]
        self.isn, self.sequence = isn, isn
        self.acknowledgment = 0
        self.window = 64000
        self.clock = None # our TSval while timestamps are in use; a float counts itself up
        self.echo = 0
        self.text = b''   # what the gate said, in order
        self.syn_ack = None

    def segment(self, flags=ACK, payload=b'', options=b'', **fields):
        """A frame of this connection; fields as in frames.tcp, by default where we are."""
        if self.clock is not None and 'bare' not in fields:
            options = frames.timestamps(self.clock, self.echo) + options
        fields.pop('bare', None)
        fields.setdefault('sequence', self.sequence)
        fields.setdefault('acknowledgment', self.acknowledgment)
        fields.setdefault('window', self.window)
        segment = frames.tcp(self.address, self.gate, flags=flags, payload=payload, options=options,
                             ports=(self.port, 25), **fields)
        return frames.ip(segment, self.address, self.gate)

    def send(self, flags=ACK, payload=b'', options=b'', link=None, **fields):
        (link or self.link).send_packet(self.segment(flags, payload, options, **fields))

    def mine(self, segment):
        return segment.destination == self.address and segment.destination_port == self.port

    def take_mine(self):
        mine = [segment for segment in self.link.heard if self.mine(segment)]
        self.link.heard = [segment for segment in self.link.heard if not self.mine(segment)]
        return mine

    def answers(self, least=0):
        """Segments of this connection since the last call, repetitions too, behind a fence."""
        self.link.settle(least, lambda: sum(map(self.mine, fresh(self.link.heard))))
        return self.take_mine()

    def await_segment(self, what, wanted, seconds=PATIENCE):
        """The first segment that wanted() likes; those before it are passed over."""
        deadline = time.monotonic() + seconds
        while True:
            mine = self.take_mine()
            for number, segment in enumerate(mine):
                if wanted(segment):
                    self.link.heard = mine[number + 1:] + self.link.heard
                    return segment
            if time.monotonic() > deadline:
                raise TimeoutError(f'{what}: not within {seconds} s; {mine}')
            self.link.pump(0.2)

    def open(self, options=b''):
        """SYN, SYN-ACK; returns the SYN-ACK. The handshake's ACK is not sent."""
        clock, self.clock = self.clock, None
        if clock is not None:
            options = frames.timestamps(clock, 0) + options
        self.send(SYN, options=options, acknowledgment=0)
        self.syn_ack = self.await_segment('SYN-ACK', lambda s: s.flags == SYN | ACK)
        self.clock = clock
        self.sequence = (self.isn + 1) & 0xffffffff
        self.acknowledgment = (self.syn_ack.sequence + 1) & 0xffffffff
        if 8 in self.syn_ack.options:
            self.echo = struct.unpack('!I', self.syn_ack.options[8][:4])[0]
        return self.syn_ack

    def connect(self, options=b''):
        """The whole handshake, and the banner read."""
        self.open(options)
        self.send()
        self.hear(b'\r\n')
        return self

    def follow(self, segment):
        """Takes the segment's bytes if they are the next ones."""
        if 8 in segment.options:
            self.echo = struct.unpack('!I', segment.options[8][:4])[0]
        behind = (self.acknowledgment - segment.sequence) & 0xffffffff
        if behind < len(segment.payload) or (behind == 0 and segment.flags & FIN):
            fresh = segment.payload[behind:]
            self.text += fresh
            self.acknowledgment += len(fresh) + bool(segment.flags & FIN)
            self.acknowledgment &= 0xffffffff

    def hear(self, ending, seconds=PATIENCE):
        """Reads and acknowledges until the text heard so far ends so; returns and forgets it."""
        while not self.text.endswith(ending):
            segment = self.await_segment(f'text ending with {ending!r} behind {self.text!r}',
                                         lambda s: s.payload or s.flags & (FIN | RST), seconds)
            if segment.flags & RST:
                raise ConnectionResetError(repr(segment))
            if segment.flags & FIN and not segment.payload.endswith(ending):
                raise ConnectionError(f'FIN behind {self.text!r}')
            self.follow(segment)
            self.send()
        text, self.text = self.text, b''
        return text

    def say(self, payload, flags=ACK | PSH, **fields):
        self.send(flags, payload, **fields)
        self.sequence = (self.sequence + len(payload)) & 0xffffffff

    def command(self, line):
        self.say(line)
        return self.hear(b'\r\n')

    def alive(self):
        """Does the connection still carry a command and its reply?"""
        try:
            return self.command(b'NOOP\r\n').startswith(b'250')
        except (OSError, TimeoutError) as error:
            return f'{error}'

    def reset(self):
        self.send(RST | ACK)
