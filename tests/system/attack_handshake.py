# SPDX-License-Identifier: BSD-3-Clause
#
# Attacks on the handshake and on what stays after the end: floods and forged cookies (T2), numbers
# that could be guessed, reuse and assassination of old connections (T3), absurd offers in the SYN
# (T4, T7). A million SYNs a minute are test_flood.py's; the life of a cookie to the microsecond is
# tests/unit/gate/test_cookie.c's.
"""T2, T3, T4 and the SYN's part of T7."""
import struct
import time

import attack
import frames
from frames import ACK, FIN, PSH, RST, SYN

FLOOD = 2000
FORGED = 400
SAMPLES = 2000
RESETS_PER_SOURCE = 160 # a second
FLOORS = {4: (216, 536, 1460), 6: (216, 1220, 1440)} # smallest, without an offer, largest

# Options of a SYN: is it answered?
SYN_OPTIONS = (
    ('length 0', b'\x02\x00\1\1', False), ('length 1', b'\x02\x01\1\1', False),
    ('past the end', b'\x02\x08\1\1', False), ('without its length', b'\1\1\1\x02', False),
    ('40 NOPs', b'\1' * 40, True), ('40 ends', bytes(40), True), ('fast open', b'\x22\2\1\1', True),
    ('MD5', b'\x13\x12' + bytes(16) + b'\1\1', True), ('unknown', b'\xfd\4\0\0', True),
    ('MSS of the wrong length', b'\x02\x03\1\1', True), ('MSS twice', frames.mss(1460) * 2, True),
    ('ten scales', frames.scale(7) * 10, True), ('SACK blocks', frames.sack([(1, 2)] * 4), True),
)


def forget(scene, peers):
    """The half-open entries go by an exact RST each, so that no SYN-ACK is repeated."""
    for number, peer in enumerate(peers):
        peer.send(RST, sequence=peer.isn + 1)
        if number % 500 == 499:
            scene.link.answers()
    scene.link.answers()
    scene.moved()


def flood(scene, family):
    """T2: each SYN is answered, with or without an entry, and those without are counted."""
    label = f'IPv{family}: T2 {FLOOD} SYNs from 100 sources'
    peers = [scene.peer(family, number % 100) for number in range(FLOOD)]
    heard = 0
    mails = sum(witness.sent for witness in scene.witnesses)
    for number, peer in enumerate(peers):
        peer.send(SYN, options=frames.mss(1460) + frames.SACK_PERMITTED, acknowledgment=0)
        if number % 200 == 199:
            heard += len(scene.link.answers())
    heard += len(scene.link.answers(FLOOD - heard))
    moved = scene.counted_until({})
    mails = sum(witness.sent for witness in scene.witnesses) - mails
    scene.checks.equal(f'{label}: SYN-ACKs', heard, FLOOD)
    without = FLOOD - attack.HALF_OPEN_ENTRIES
    # SYNs of the mail beside, too.
    scene.checks.that(f'{label}: {moved} without an entry',
                      set(moved) <= {'half_open_evicted', 'half_open_full'} and
                      without <= sum(moved.values()) <= without + mails + 32, moved)
    scene.checks.equal(f'{label}: no session', scene.sessions_open(), 0)
    forget(scene, peers)


def forged(scene, family):
    """T2: ACKs of SYN-ACKs that never were. They use up the RSTs of this second for the source, and
    for one in 64 others: who needs some comes before."""
    label = f'IPv{family}: T2 {FORGED} forged cookies'
    begun = time.monotonic()
    for number in range(FORGED):
        peer = scene.peer(family)
        peer.send(ACK, sequence=number * 7919, acknowledgment=number * 2654435761)
        if number % 100 == 99:
            scene.link.fence()
    answers = scene.link.answers(1)
    seconds = int(time.monotonic() - begun) + 2 # that it was in, the broken ones too
    scene.checks.that(f'{label}: {len(answers)} RSTs', all(s.flags == RST for s in answers) and
                      len(answers) <= seconds * RESETS_PER_SOURCE)
    scene.expect(f'{label}: cookie_invalid', {'cookie_invalid': FORGED})
    scene.checks.equal(f'{label}: no session', scene.sessions_open(), 0)


def altered(scene, family):
    """T2: a genuine cookie with any bit changed (MSS index, epoch, kind, code), another port,
    another number of the client's, another echo; then the genuine one."""
    label = f'IPv{family}: T2 altered cookie'
    peer = scene.peer(family)
    peer.clock = 77
    peer.open(frames.mss(1460) + frames.scale(7))
    right = peer.acknowledgment, peer.sequence, peer.echo
    changes = 0
    for bit in range(32):
        peer.send(ACK, acknowledgment=((right[0] - 1 ^ 1 << bit) + 1))
        changes += 1
    for other in (right[1] - 1, right[1] + 1, right[1] ^ 1 << 31):
        peer.send(ACK, sequence=other)
        changes += 1
    for bit in range(5):
        peer.echo = right[2] ^ 1 << bit
        peer.send(ACK)
        changes += 1
    peer.echo = right[2]
    peer.send(ACK, bare=True)
    peer.port += 1
    peer.send(ACK)
    peer.port -= 1
    # One octet ahead of the handshake's ACK may be a client's that does not wait: no RST for that.
    scene.expect(f'{label}: each is refused', {'cookie_invalid': changes + 1, 'tcp_state': 1},
                 {RST: changes + 1})
    scene.checks.equal(f'{label}: no session', scene.sessions_open(), 0)
    peer.send(ACK)
    scene.checks.starts(f'{label}: the genuine one opens', peer.hear(b'\r\n'), b'220 ')
    scene.expect(f'{label}: nothing is dropped', {})
    peer.reset()


def without_entry(scene, family):
    """T2: options that only the cache knew are gone with the entry, and so is the handshake."""
    label = f'IPv{family}: T2 cookie of an entry that is gone'
    peer = scene.peer(family)
    peer.open(frames.mss(1460) + frames.SACK_PERMITTED)
    peer.send(RST)
    scene.expect(f'{label}: an exact RST takes the entry', {}, {})
    peer.send(ACK)
    scene.expect(f'{label}: refused', {'cookie_no_entry': 1}, {RST: 1})


def numbers(scene, family):
    """T3: our first numbers over ports and numbers of the client's: no order, no repetition."""
    label = f'IPv{family}: T3 {SAMPLES} first numbers'
    told, peers = {}, [] # by what was asked: a SYN-ACK may come twice
    for number in range(SAMPLES):
        if number % 2:
            peers[-1].isn += 64000 # the same 4-tuple again
        else:
            peers.append(scene.peer(family, number % 7))
        peers[-1].send(SYN, sequence=peers[-1].isn, acknowledgment=0)
        if number % 100 == 99:
            told.update(((s.destination, s.destination_port, s.acknowledgment), s.sequence)
                        for s in scene.link.answers(100) if s.flags == SYN | ACK)
    seen = list(told.values())
    # Of 2,000 numbers out of 2^28 two are the same in one run of 134, five pairs in one of 10^13.
    twice = len(seen) - len(set(seen))
    scene.checks.that(f'{label}: no more than chance are the same',
                      len(seen) == SAMPLES and twice < 5, f'{twice} of {len(seen)}')
    ones = [sum(number >> bit & 1 for number in seen) / len(seen) for bit in range(32)]
    scene.checks.that(f'{label}: each bit is set in 44 to 56 % of them (MAC bits)',
                      all(0.44 < share < 0.56 for share in ones[:28]), ones)
    steps = [(b - a) & 0xffffffff for a, b in zip(seen, seen[1:])]
    near = sum(min(step, (1 << 32) - step) < 1 << 24 for step in steps)
    scene.checks.that(f'{label}: {near} of {len(steps)} steps are below 2^24',
                      near < 4 + 3 * len(steps) * 2 * (1 << 24) / (1 << 32))
    forget(scene, peers)


def assassinated(scene, family):
    """T3: an old connection's record outlives RST, old bytes, old SYNs; a newer SYN reopens."""
    label = f'IPv{family}: T3 TIME-WAIT'
    peer = scene.peer(family).connect()
    peer.say(b'QUIT\r\n')
    last = peer.await_segment('FIN', lambda s: s.flags & FIN)
    peer.follow(last)
    peer.send(ACK | FIN)
    peer.sequence += 1
    scene.expect(f'{label}: closed', {})
    for what, flags, fields, answers in (
            ('RST', RST, {}, {}), ('RST before', RST, {'sequence': peer.sequence - 1}, {}),
            ('old bytes', ACK, {'payload': b'NOOP\r\n', 'sequence': peer.sequence - 7}, {ACK: 1}),
            ('ACK of nothing', ACK, {'acknowledgment': 5}, {}),
            ('old SYN', SYN, {'sequence': peer.isn}, {ACK: 1}),
            ('FIN again', ACK | FIN, {'sequence': peer.sequence - 1}, {ACK: 1})):
        peer.send(flags, **fields)
        scene.expect(f'{label}: {what}', {'time_wait': 1}, answers)
    peer.isn, peer.sequence, peer.text = peer.sequence + 100, peer.sequence + 100, b''
    peer.connect()
    scene.checks.equal(f'{label}: a newer SYN opens the same 4-tuple again', peer.alive(), True)
    scene.expect(f'{label}: nothing is dropped', {})
    peer.reset()


def replies(peer, count):
    """Payload lengths of the answers to so many NOOPs in one segment."""
    peer.say(b'NOOP\r\n' * count)
    lengths, text = [], b''
    while text.count(b'\n') < count:
        segment = peer.await_segment('replies', lambda s: s.payload)
        lengths.append(len(segment.payload))
        text += segment.payload
        peer.follow(segment)
        peer.send()
    peer.text = b''
    return lengths, text


def sizes(scene, family):
    """T4: an MSS of nearly nothing has a floor, and none is a default."""
    least, default, largest = FLOORS[family]
    for what, option, most in (('0', frames.mss(0), default), ('1', frames.mss(1), least),
                               ('8', frames.mss(8), least), ('48', frames.mss(48), least),
                               ('65535', frames.mss(65535), largest), ('absent', b'', default)):
        label = f'IPv{family}: T4 MSS {what}'
        peer = scene.peer(family).connect(option)
        lengths, text = replies(peer, 150)
        scene.checks.that(f'{label}: {len(text)} bytes in {len(lengths)} segments, at most {most}',
                          max(lengths) <= most and len(lengths) <= len(text) // most + 3, lengths)
        scene.expect(f'{label}: nothing is dropped', {})
        peer.reset()


def offers(scene, family):
    """T4: a scale of 15 counts as 14; T7: broken options are not answered, strange ones are."""
    peer = scene.peer(family)
    peer.clock = 1
    peer.connect(frames.scale(15) + frames.mss(1460))
    peer.window = 4 # 64 KiB by 14
    scene.checks.equal(f'IPv{family}: T4 scale 15', peer.alive(), True)
    peer.reset()
    for what, options, answered in SYN_OPTIONS:
        label = f'IPv{family}: T7 SYN with {what}'
        peer = scene.peer(family)
        scene.expect(f'{label}: before', {})
        peer.send(SYN, options=options, acknowledgment=0)
        scene.expect(label, {} if answered else {'syn_malformed': 1},
                     {SYN | ACK: 1} if answered else {})
        peer.send(RST, sequence=peer.isn + 1)
        scene.link.answers()
        scene.moved()


def syn_with_data(scene, family):
    """T6: bytes in the SYN are not taken; they come again after the handshake, or not at all."""
    label = f'IPv{family}: T6 SYN with data'
    peer = scene.peer(family)
    peer.send(SYN, b'RSET\r\nQUIT\r\n', acknowledgment=0)
    syn_ack = peer.await_segment('SYN-ACK', lambda s: s.flags == SYN | ACK)
    scene.checks.equal(f'{label}: only the SYN is acknowledged', syn_ack.acknowledgment,
                       peer.isn + 1)
    peer.sequence, peer.acknowledgment = peer.isn + 1, syn_ack.sequence + 1
    peer.say(b'NOOP\r\n', flags=ACK | PSH)
    scene.checks.starts(f'{label}: the banner', peer.hear(b'OK\r\n'), b'220 ')
    scene.expect(f'{label}: nothing is dropped', {})
    peer.reset()


CLASSES = (('T2', (altered, without_entry, flood)), ('T2, forged', (forged,)),
           ('T3', (numbers, assassinated)), ('T4, T7 of SYNs', (sizes, offers, syn_with_data)))


def run(scene):
    for name, kinds in CLASSES:
        with scene.attack(name):
            for family in (4, 6):
                for kind in kinds:
                    kind(scene, family)
        scene.await_no_sessions(name)
