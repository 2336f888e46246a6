# SPDX-License-Identifier: BSD-3-Clause
#
# Frames that no honest host sends (T9, T10, T11): each is dropped in silence and counted once,
# under one name. A steering program in front leaves to the kernel what is not for the gate, and
# then nothing may move. What cannot be sent over a veth (jumbo frames) is in
# tests/unit/net/test_packet.c.
"""T9 scans and impossible sources, T10 broken headers, T11 fragments and extension headers."""
import struct

import frames
import raw
from frames import ACK, FIN, PSH, RST, SYN, URG

TIMES = 3
TO_THE_KERNEL = None
OUR_OTHER = {4: '10.0.0.1', 6: '2001:db8:2::1'}
UNLISTED = {4: '192.0.2.77', 6: '2001:db8:1::77'}
IMPOSSIBLE = {
    4: ('0.0.0.0', '0.1.2.3', '127.0.0.1', '127.255.255.254', '224.0.0.1', '239.1.2.3',
        '240.0.0.1', '255.255.255.255', '192.0.2.10'),
    6: ('::', '::1', 'ff02::1', 'ff0e::1', '::ffff:192.0.2.130', '::192.0.2.130',
        '2001:db8:1::10'),
}


class Maker:
    """Packets from the attacker to the gate."""

    def __init__(self, source, gate):
        self.source, self.gate = source, gate
        self.family = frames.family_of(source)

    def tcp(self, source=None, **fields):
        return frames.tcp(source or self.source, self.gate, **fields)

    def ip(self, payload, source=None, **fields):
        make = frames.ipv4 if self.family == 4 else frames.ipv6
        return make(payload, source or self.source, self.gate, **fields)

    def packet(self, **fields):
        return self.ip(self.tcp(**fields))

    def from_source(self, text):
        source = frames.packed(text)
        return self.ip(self.tcp(source), source)


def t9(make):
    """Flags, sources, ports."""
    scans = (('NULL', 0), ('XMAS', FIN | PSH | URG), ('FIN', FIN), ('SYN+FIN', SYN | FIN),
             ('SYN+RST', SYN | RST), ('SYN+FIN+ACK', SYN | FIN | ACK), ('all', 0xff),
             ('PSH', PSH), ('SYN+RST+ACK', SYN | RST | ACK))
    for name, flags in scans:
        yield f'T9 {name}', make.packet(flags=flags), 'tcp_flags'
    for text in IMPOSSIBLE[make.family]:
        yield f'T9 source {text}', make.from_source(text), 'ip_martian_source'
    yield 'T9 LAND', make.ip(make.tcp(make.gate, ports=(25, 25)), make.gate), 'ip_martian_source'
    other = OUR_OTHER[make.family]
    yield f'T9 source {other}, ours elsewhere', make.from_source(other), 'ip_martian_source'
    yield 'T9 source port 0', make.packet(ports=(0, 25)), 'tcp_port_zero'
    yield 'T9 destination port 0', make.packet(ports=(40000, 0)), TO_THE_KERNEL
    yield 'T9 unlisted source', make.from_source(UNLISTED[make.family]), 'no_connector'
    if make.family == 4:
        yield 'T9 source 192.0.2.255, our network', make.from_source('192.0.2.255'), \
            'ip_martian_source'
        yield 'T9 source 192.0.2.0, our network', make.from_source('192.0.2.0'), \
            'ip_martian_source'


def t10(make):
    """Checksums, offsets, lengths of both families."""
    syn = make.tcp()
    for spoil in (1, 0x8000, 0xffff):
        yield f'T10 TCP checksum ^ {spoil:#x}', make.packet(spoil=spoil), 'tcp_checksum'
    yield 'T10 bad checksum from who is not listed', make.ip(
        make.tcp(spoil=1), frames.packed(UNLISTED[make.family])), 'no_connector'
    for offset in range(5):
        yield f'T10 data offset {offset}', make.packet(offset=offset), 'tcp_malformed'
    for offset in (6, 15):
        yield f'T10 data offset {offset} of 20 bytes', make.packet(offset=offset), 'tcp_malformed'
    header = 20 if make.family == 4 else 0
    for short in (1, 4, 19):
        yield f'T10 packet ends {short} bytes into TCP', make.ip(syn, length=header + short), \
            'tcp_malformed'
        # Padding behind it, where the steering program looks for ports: not a binding of ours.
        yield f'T10 frame and packet end {short} bytes into TCP', make.ip(syn[:short]), \
            'tcp_malformed' if short >= 4 else TO_THE_KERNEL
    for beyond in (100, 1200, 65535):
        yield f'T10 packet claims {beyond} bytes', make.ip(syn, length=beyond), 'frame_runt'
    yield from (t10_ipv4 if make.family == 4 else t10_ipv6)(make, syn)


def t10_ipv4(make, syn):
    for length in (1, 19):
        yield f'T10 total length {length}', make.ip(syn, length=length), 'ipv4_malformed'
    # The kernel's own pass over the header drops these, or the steering program leaves them.
    for words in (0, 4):
        yield f'T10 IHL {words}', make.ip(syn, version=0x40 | words), TO_THE_KERNEL
    for words in range(6, 16):
        yield f'T10 IHL {words}', make.ip(syn, version=0x40 | words,
                                          options=bytes([1]) * 4 * (words - 5)), 'ipv4_options'
    yield 'T10 loose source route', make.ip(syn, version=0x47,
                                            options=b'\x83\7\4\x0a\0\0\1\0'), 'ipv4_options'
    yield 'T10 IHL 15 past the end', make.ip(b'', version=0x4f), 'ipv4_malformed'
    yield 'T10 version 5', make.ip(syn, version=0x55), TO_THE_KERNEL
    yield 'T10 IPv4 checksum', make.ip(syn, spoil=1), 'ipv4_checksum'
    yield 'T10 ICMP checksum', make.ip(frames.icmp(8, 0, bytes(4), spoil=1),
                                       protocol=frames.ICMP), 'icmp_checksum'
    yield 'T10 ICMP of 4 bytes', make.ip(b'\x08\0\xf7\xff', protocol=frames.ICMP), 'icmp_malformed'
    yield 'T10 UDP', make.ip(bytes(20), protocol=17), TO_THE_KERNEL


def t10_ipv6(make, syn):
    yield 'T10 payload length 0', make.ip(syn, length=0), 'ipv6_malformed'
    yield 'T10 version 7', make.ip(syn, version=7), TO_THE_KERNEL
    yield 'T10 ICMPv6 checksum', make.ip(
        frames.icmp6(make.source, make.gate, 128, 0, bytes(4), spoil=1),
        protocol=frames.ICMP6), 'icmp_checksum'
    yield 'T10 ICMPv6 of 4 bytes', make.ip(
        frames.icmp6(make.source, make.gate, 128, 0, b''), protocol=frames.ICMP6), 'icmp_malformed'
    yield 'T10 UDP', make.ip(bytes(20), protocol=17), TO_THE_KERNEL


def t11_ipv4(make):
    """Pieces: first, middle, last, tiny, past 64 KiB, of ICMP."""
    syn = make.tcp(payload=b'x' * 24)
    pieces = (('first', 0x2000, syn[:24]), ('tiny first', 0x2000, syn[:8]),
              ('middle', 0x2001, syn[8:16]), ('last', 0x0003, syn[24:]),
              ('overlapping last', 0x0001, syn[8:]), ('whole, as a last', 0x0001, syn),
              ('past 64 KiB', 0x1fff, syn), ('empty', 0x2002, b''),
              ('with DF', 0x6000, syn[:24]))
    for name, flags, data in pieces:
        yield f'T11 fragment: {name}', make.ip(data, flags=flags), 'ipv4_fragment'
    yield 'T11 fragment of an echo', make.ip(frames.icmp(8, 0, bytes(24))[:16], flags=0x2000,
                                             protocol=frames.ICMP), 'ipv4_fragment'
    yield 'T11 reserved bit', make.ip(syn, flags=0x8000), 'ipv4_malformed'
    yield 'T11 fragment of UDP', make.ip(bytes(16), flags=0x2000, protocol=17), TO_THE_KERNEL


def chain(payload, *headers):
    """(first protocol, bytes): extension headers (protocol, body) before a payload of TCP."""
    following, data = frames.TCP, payload
    for protocol, body in reversed(headers):
        body = body.ljust(6 + (len(body) + 1) // 8 * 8 if len(body) > 6 else 6, b'\0')
        data = bytes([following, (len(body) + 2) // 8 - 1]) + body + data
        following = protocol
    return following, data


def fragment(offset, more, identification=7):
    return 44, struct.pack('!HI', offset << 3 | more, identification)


def t11_ipv6(make):
    """Every extension header the steering program takes for the gate's, alone and in chains."""
    syn = make.tcp(payload=b'x' * 24)
    pad = b'\1\4\0\0\0\0'
    rh0 = b'\0\1\0\0\0\0' + make.gate
    chains = (('atomic fragment', [fragment(0, 0)], syn),
              ('first fragment', [fragment(0, 1)], syn[:24]),
              ('tiny first fragment', [fragment(0, 1)], syn[:8]),
              ('last fragment', [fragment(3, 0)], syn[24:]),
              ('overlapping fragment', [fragment(1, 0)], syn[8:]),
              ('fragment past 64 KiB', [fragment(0x1fff, 0)], syn),
              ('hop by hop', [(0, pad)], syn), ('destination options', [(60, pad)], syn),
              ('routing type 0', [(43, rh0)], syn),
              ('routing type 2', [(43, b'\2' + rh0[1:])], syn),
              ('authentication', [(51, bytes(6))], syn), ('mobility', [(135, bytes(6))], syn),
              ('hop by hop, routing, fragment', [(0, pad), (43, rh0), fragment(0, 0)], syn),
              ('150 destination options', [(60, pad)] * 150, syn),
              ('hop by hop twice', [(0, pad), (0, pad)], syn),
              ('fragment in a fragment', [fragment(0, 0), fragment(0, 1)], syn))
    for name, headers, data in chains:
        protocol, payload = chain(data, *headers)
        yield f'T11 {name}', make.ip(payload, protocol=protocol), 'ipv6_extension'
    protocol, payload = chain(syn, (0, b'\xc2\4' + struct.pack('!I', 70000)))
    yield 'T11 jumbogram', make.ip(payload, protocol=protocol, length=0), 'ipv6_malformed'
    yield 'T11 jumbo option with a length', make.ip(payload, protocol=protocol), 'ipv6_extension'
    for name, protocol in (('ESP', 50), ('no next header', 59), ('IPv6 in IPv6', 41)):
        yield f'T11 {name}', make.ip(syn, protocol=protocol), TO_THE_KERNEL
    yield 'T11 a header past the end', make.ip(bytes([6, 255]) + bytes(6), protocol=60), \
        'ipv6_extension'


def link_rows(link, make):
    """(what, frame, reason) where the Ethernet header is the attack."""
    packet, gate, mac = make.packet(), link.gate_mac, link.mac
    if make.family == 4:
        group = b'\x01\x00\x5e\x00\x00\x01'
    else:
        group = b'\x33\x33\x00\x00\x00\x01'
    yield 'T9 broadcast MAC', frames.ethernet(frames.BROADCAST, mac, packet), 'frame_broadcast'
    yield 'T9 multicast MAC', frames.ethernet(group, mac, packet), 'frame_broadcast'
    yield 'T9 source MAC of a group', frames.ethernet(gate, group, packet), 'frame_source_mac'
    yield 'T9 source MAC all zero', frames.ethernet(gate, bytes(6), packet), 'frame_source_mac'
    yield "T9 the gate's own MAC", frames.ethernet(gate, gate, packet), 'frame_source_mac'
    yield "T9 another station's MAC", frames.ethernet(b'\2\0\0\0\0\x99', mac, packet), \
        'frame_foreign_mac'
    yield 'T10 VLAN 5', frames.ethernet(gate, mac, packet, tags=((frames.VLAN, 5),)), TO_THE_KERNEL
    yield 'T10 QinQ', frames.ethernet(
        gate, mac, packet, tags=((frames.QINQ, 0), (frames.VLAN, 0))), TO_THE_KERNEL
    yield 'T10 a tag in a priority tag', frames.ethernet(
        gate, mac, packet, tags=((frames.VLAN, 0), (frames.VLAN, 0))), TO_THE_KERNEL
    yield 'T10 ethertype of a length', frames.ethernet(gate, mac, packet, kind=60), TO_THE_KERNEL
    header = 20 if make.family == 4 else 40
    whole = frames.ethernet(gate, mac, packet)
    yield 'T10 runt inside IP', whole[:14 + header - 1], TO_THE_KERNEL
    yield 'T10 runt behind IP', whole[:14 + header], 'frame_runt'
    yield 'T10 runt inside TCP', whole[:14 + header + 19], 'frame_runt'


def packet_rows(make):
    yield from t9(make)
    yield from t10(make)
    yield from (t11_ipv4 if make.family == 4 else t11_ipv6)(make)


def send_row(scene, label, row, send):
    what, data, reason = row
    for _ in range(TIMES):
        send(data)
    scene.expect(f'{label}: {what}: {reason or "left to the kernel"}',
                 {reason: TIMES} if reason else {}, {})


def framed(link, packet):
    return frames.ethernet(link.gate_mac, link.mac, packet,
                           kind=frames.IPV4 if len(packet) and packet[0] >> 4 != 6 else None)


def run(scene):
    # A bridge would not carry some of these: they enter behind it.
    with scene.attack('T9, T10, T11'), \
            raw.Link(scene.lab, 'switch', scene.link.gate_mac, (), 'gate-outside') as cable:
        for family in (4, 6):
            make = Maker(scene.address(family), scene.link.gate[family])
            for row in packet_rows(make):
                what, packet, reason = row
                send_row(scene, f'IPv{family}', (what, framed(scene.link, packet), reason),
                         cable.send)
            for row in link_rows(scene.link, make):
                send_row(scene, f'IPv{family}', row, cable.send)
