# SPDX-License-Identifier: BSD-3-Clause
#
# Frames made by hand, every field at the caller's will and every checksum right unless it is
# spoiled, and the same frames read back. Sends nothing (raw.py), knows no test.
"""Ethernet, IPv4, IPv6, TCP, ICMP, ARP and neighbour discovery as bytes."""
import socket
import struct

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
IPV4, IPV6, ARP, VLAN, QINQ = 0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8
ICMP, TCP, ICMP6 = 1, 6, 58
BROADCAST = b'\xff' * 6


def checksum(data):
    data += b'\0' * (len(data) % 2)
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packed(text):
    return socket.inet_pton(socket.AF_INET6 if ':' in text else socket.AF_INET, text)


def family_of(address):
    return 4 if len(address) == 4 else 6


def tcp(source, destination, flags=SYN, offset=None, ports=(40000, 25), payload=b'', spoil=0,
        sequence=1000, acknowledgment=0, window=64000, options=b'', urgent=0):
    """A segment. offset: the data offset to claim, in words, whatever the options."""
    options += b'\0' * (-len(options) % 4)
    words = 5 + len(options) // 4 if offset is None else offset
    segment = struct.pack('!HHIIBBHHH', *ports, sequence & 0xffffffff, acknowledgment & 0xffffffff,
                          words << 4, flags, window, 0, urgent) + options + payload
    pseudo = source + destination + struct.pack('!II', len(segment), TCP)
    right = checksum(pseudo + segment)
    return segment[:16] + struct.pack('!H', right ^ spoil) + segment[18:]


def icmp(kind, code, rest, spoil=0):
    message = struct.pack('!BBH', kind, code, 0) + rest
    return message[:2] + struct.pack('!H', checksum(message) ^ spoil) + message[4:]


def icmp6(source, destination, kind, code, rest, spoil=0):
    message = struct.pack('!BBH', kind, code, 0) + rest
    pseudo = source + destination + struct.pack('!II', len(message), ICMP6)
    return message[:2] + struct.pack('!H', checksum(pseudo + message) ^ spoil) + message[4:]


def ipv4(payload, source, destination, protocol=TCP, version=0x45, flags=0, length=None, spoil=0,
         options=b''):
    header = struct.pack('!BBHHHBBH', version, 0,
                         20 + len(options) + len(payload) if length is None else length, 1, flags,
                         64, protocol, 0) + source + destination + options
    return header[:10] + struct.pack('!H', checksum(header) ^ spoil) + header[12:] + payload


def ipv6(payload, source, destination, protocol=TCP, length=None, hops=64, version=6):
    return struct.pack('!IHBB', version << 28, len(payload) if length is None else length,
                       protocol, hops) + source + destination + payload


def ip(payload, source, destination, protocol=TCP):
    return (ipv4 if len(source) == 4 else ipv6)(payload, source, destination, protocol)


def ethernet(destination, source, packet, kind=None, tags=()):
    """tags: (type, id) from the outermost. The type is that of the packet's version."""
    if kind is None:
        kind = IPV4 if packet[0] >> 4 == 4 else IPV6
    tagged = b''.join(struct.pack('!HH', tag, number) for tag, number in tags)
    frame = destination + source + tagged + struct.pack('!H', kind) + packet
    return frame.ljust(60, b'\0')


def arp(operation, sender_mac, sender, target_mac, target):
    header = struct.pack('!HHBBH', 1, IPV4, 6, 4, operation)
    return header + sender_mac + sender + target_mac + target


def advertisement(source, destination, target, mac, flags=0x60):
    """A neighbour advertisement in its packet."""
    message = icmp6(source, destination, 136, 0,
                    struct.pack('!I', flags << 24) + target + b'\x02\x01' + mac)
    return ipv6(message, source, destination, ICMP6, hops=255)


def solicitation(source, destination, target, mac):
    option = b'\x01\x01' + mac if mac else b''
    return ipv6(icmp6(source, destination, 135, 0, bytes(4) + target + option), source, destination,
                ICMP6, hops=255)


# ---- TCP options -----------------------------------------------------------------------------

NOP = b'\1'
SACK_PERMITTED = b'\1\1\4\2'


def mss(value):
    return struct.pack('!BBH', 2, 4, value)


def scale(shift):
    return struct.pack('!BBBB', 1, 3, 3, shift)


def timestamps(value, echo):
    return struct.pack('!BBBBII', 1, 1, 8, 10, value & 0xffffffff, echo & 0xffffffff)


def sack(blocks):
    body = b''.join(struct.pack('!II', start & 0xffffffff, end & 0xffffffff)
                    for start, end in blocks)
    return struct.pack('!BBBB', 1, 1, 5, 2 + len(body)) + body


def options_of(data):
    """{kind: body} of what stands in an honest header."""
    found = {}
    while data and data[0] != 0:
        if data[0] == 1:
            data = data[1:]
            continue
        found[data[0]] = data[2:data[1]]
        data = data[data[1]:]
    return found


# ---- Reading -----------------------------------------------------------------------------------

class Segment:
    """A received TCP segment."""

    def __init__(self, source, destination, data):
        self.source, self.destination = source, destination
        (self.source_port, self.destination_port, self.sequence, self.acknowledgment, words,
         self.flags, self.window) = struct.unpack('!HHIIBBH', data[:16])
        header = (words >> 4) * 4
        self.options = options_of(data[20:header])
        self.payload = data[header:]
        self.again = False # whoever listens knows

    def __repr__(self):
        names = ''.join(name for bit, name in enumerate('FSRPAU') if self.flags >> bit & 1)
        return f'<{names} {self.sequence}:{len(self.payload)} ack {self.acknowledgment}>'


def read_ip(frame):
    """(source, destination, protocol, payload) of an untagged IP frame, or None."""
    kind = struct.unpack('!H', frame[12:14])[0]
    if kind == IPV4 and len(frame) >= 34:
        length = struct.unpack('!H', frame[16:18])[0]
        return frame[26:30], frame[30:34], frame[23], frame[34:14 + length]
    if kind == IPV6 and len(frame) >= 54:
        length = struct.unpack('!H', frame[18:20])[0]
        return frame[22:38], frame[38:54], frame[20], frame[54:54 + length]
    return None
