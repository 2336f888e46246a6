# SPDX-License-Identifier: BSD-3-Clause
#
# What a router or a neighbour could say, said by somebody else (T12): errors about segments in
# flight and others, redirects, claims of our addresses and of a gateway's, neighbours without
# number. Errors about nothing in flight are counted; the others have no effect beyond smaller
# segments.
"""T12: ICMP, ARP and neighbour discovery."""
import struct

import frames
import attack_handshake
import smtp
from frames import ACK, ICMP, ICMP6

SOLICITORS = 5000
NEIGHBOURS = 4096 # places in the table
# type, codes: none of them may end a connection (RFC 5927 section 5), nor change a route.
IGNORED = {
    4: ((3, (0, 1, 2, 3, 5, 6, 7, 9, 10, 11, 12, 13)), (4, (0,)), (5, (0, 1, 2, 3)), (11, (0, 1)),
        (12, (0,)), (0, (0,)), (13, (0,)), (17, (0,)), (9, (0,))),
    6: ((1, (0, 1, 2, 3, 4, 5, 6)), (3, (0, 1)), (4, (0, 1, 2)), (129, (0,)), (133, (0,)),
        (134, (0,)), (137, (0,)), (200, (0,))),
}


def quotation(peer, sequence, source=None):
    """The first bytes of a segment of the gate's to the peer."""
    segment = frames.tcp(source or peer.gate, peer.address, flags=ACK, ports=(25, peer.port),
                         sequence=sequence)
    packet = frames.ip(segment, source or peer.gate, peer.address)
    return packet[:28] if len(peer.gate) == 4 else packet[:48]


def error(peer, kind, code, rest, source):
    """An ICMP error to the gate in its packet. rest: four bytes, then the quotation."""
    if len(peer.gate) == 4:
        return frames.ipv4(frames.icmp(kind, code, rest), source, peer.gate, ICMP)
    return frames.ipv6(frames.icmp6(source, peer.gate, kind, code, rest), source, peer.gate, ICMP6,
                       hops=255)


def too_big(peer, mtu, sequence, quoted_source=None):
    """'Fragmentation needed' or 'packet too big', from the gateway's address."""
    quoted = quotation(peer, sequence, quoted_source)
    if len(peer.gate) == 4:
        return error(peer, 3, 4, struct.pack('!HH', 0, mtu) + quoted, frames.packed('192.0.2.1'))
    return error(peer, 2, 0, struct.pack('!I', mtu) + quoted, frames.packed('2001:db8:1::1'))


def in_flight(scene, family):
    """A connection with full segments whose last reply is not acknowledged, where it begins."""
    peer = scene.peer(family).connect(frames.mss(1460))
    peer.say(b'NOOP\r\n')
    peer.await_segment('a reply', lambda s: s.payload)
    scene.link.answers()
    scene.moved()
    return peer, peer.acknowledgment


def largest(scene, peer):
    """The largest of many replies' segments."""
    peer.send(acknowledgment=peer.acknowledgment)
    lengths, _ = attack_handshake.replies(peer, 200)
    peer.reset()
    scene.moved()
    return max(lengths)


def packets_too_big(scene, family):
    """Believed for what is in flight, down to a floor; RFC 8201 has nothing below 1,280."""
    whole, floor = {4: (1460, 512), 6: (1440, 1220)}[family]
    refused = 'icmp_too_big_unacceptable'
    cases = ((68, 0, None, None, floor), (0, 0, None, None, floor),
             (600, 0, None, None, 560)) if family == 4 else \
        ((68, 0, None, refused, whole), (0, 0, None, refused, whole),
         (1279, 0, None, refused, whole), (1280, 0, None, None, floor))
    cases += ((1400, -1, None, refused, whole), (1400, 14, None, refused, whole),
              (1400, 1 << 31, None, refused, whole), (65535, 0, None, refused, whole),
              (1400, 0, frames.packed('192.0.2.20' if family == 4 else '2001:db8:1::20'),
               'icmp_ignored', whole))
    for mtu, offset, other, reason, size in cases:
        whose = ' of another' if other else ''
        label = f'IPv{family}: T12 packet too big, {mtu} at {offset}{whose}'
        peer, first = in_flight(scene, family)
        scene.link.send_packet(too_big(peer, mtu, first + offset, other))
        scene.expect(label, {reason: 1} if reason else {})
        got = largest(scene, peer)
        scene.checks.that(f'{label}: segments of {got} bytes', size - 14 <= got <= size, size)
    peer, _ = in_flight(scene, family)
    peer.port += 1
    scene.link.send_packet(too_big(peer, 1400, 5))
    scene.expect(f'IPv{family}: T12 packet too big of no connection', {refused: 1})
    peer.port -= 1
    peer.reset()


def ignored(scene, family):
    """Hard errors, redirects and the rest, about what is in flight: counted, without effect."""
    peer, first = in_flight(scene, family)
    source = frames.packed('192.0.2.1' if family == 4 else '2001:db8:1::1')
    for kind, codes in IGNORED[family]:
        for code in codes:
            scene.link.send_packet(error(peer, kind, code, bytes(4) + quotation(peer, first),
                                         source))
            scene.expect(f'IPv{family}: T12 ICMP type {kind} code {code}', {'icmp_ignored': 1})
    peer.take_mine()
    peer.send()
    peer.hear(b'\r\n')
    scene.checks.equal(f'IPv{family}: T12 errors: the connection lives', peer.alive(), True)
    peer.reset()


def claims(scene, family):
    """Another station says that our address is its own: told back, and nothing else changes."""
    link, ours = scene.link, scene.link.gate[family]
    label = f'IPv{family}: T12 claim of our address'
    link.defences.clear()
    if family == 4:
        packets = [frames.arp(operation, link.mac, ours, bytes(6), target)
                   for operation in (1, 2)
                   for target in (ours, frames.packed('192.0.2.20'))]
        kind = frames.ARP
    else:
        packets = [frames.advertisement(scene.address(6), ours, ours, link.mac, flags)
                   for flags in (0x20, 0x60, 0)]
        # RFC 4861 7.2.3: it solicits as if it were we.
        group = frames.packed('ff02::1:ff00:10')
        packets.append(frames.solicitation(ours, group, ours, link.mac))
        kind = frames.IPV6
    for packet in packets:
        link.send_packet(packet, kind=kind)
    link.settle(1, lambda: len(link.defences))
    scene.expect(f'{label}: one event in ten seconds',
                 {'address_claimed': len(packets), 'address_conflict': 1})
    scene.checks.equal(f'{label}: defended once', link.defences, [ours])


def neighbours_without_number(scene, family):
    """Solicitors that no table holds: each is answered, strangers displace strangers only."""
    if family == 4: # a network of 254 stations
        return
    link, ours = scene.link, scene.link.gate[6]
    label = f'IPv6: T12 {SOLICITORS} solicitors'
    prefix = frames.packed('2001:db8:1::b:0:0')[:12]
    for number in range(SOLICITORS):
        source = prefix + struct.pack('!I', number + 1)
        link.send_packet(frames.solicitation(source, ours, ours, link.mac))
        if number % 200 == 199:
            link.fence()
    link.fence()
    moved = scene.counted_until({})
    full = moved.pop('neighbour_full', 0)
    scene.checks.equal(f'{label}: nothing is dropped', moved, {})
    scene.checks.that(f'{label}: {full} displaced', SOLICITORS - NEIGHBOURS <= full <= SOLICITORS)


def gateway(scene, family):
    """The gateway's address with another MAC: a connection through it waits, and goes on."""
    address = frames.packed('192.0.2.1' if family == 4 else '2001:db8:1::1')
    link = scene.link
    with smtp.Client(scene.lab, 'remote', family, 100) as client:
        client.greet()
        for _ in range(3):
            if family == 4:
                link.send_packet(frames.arp(2, b'\2\0\0\0\0\x66', address, link.gate_mac,
                                            link.gate[4]), kind=frames.ARP)
            else:
                link.send_packet(frames.advertisement(address, link.gate[6], address,
                                                      b'\2\0\0\0\0\x66', 0x20))
        link.fence()
        scene.checks.starts(f"IPv{family}: T12 another's MAC for the gateway: the connection lives",
                            client.command('NOOP'), '250')
        client.quit()


def run(scene):
    with scene.attack('T12'):
        for family in (4, 6):
            for kind in (packets_too_big, ignored, claims, neighbours_without_number):
                kind(scene, family)
    scene.await_no_sessions('T12')


def run_long(scene):
    with scene.attack('T12, a false gateway'):
        for family in (4, 6):
            gateway(scene, family)
