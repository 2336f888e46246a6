# SPDX-License-Identifier: BSD-3-Clause
#
# Attacks on an open connection: blind segments (T1), reports and windows (T4), overlaps and holes
# (T6), options (T7), timestamps (T8), urgent bytes, keep-alives and wrapping numbers (T13). Most
# rows take a connection of their own, forge one thing, and ask it for a NOOP at the end: whatever
# did not belong to it did not change it.
"""T1, T4, T6, T7, T8 and T13."""
import time

import frames
from frames import ACK, FIN, PSH, RST, SYN, URG
from raw import fresh

WINDOW = 65535   # offered to who scales nothing
RUNS_MAX = 62    # runs of one flow beyond a gap
FLOOD = 300
CHALLENGES = 5   # a second, of each flow alone
BLIND_MAC = b'\2\0\0\0\0\x66'
HALF = 1 << 31

# What a blind attacker sends: flags, where relative to the next number expected, ACK number
# relative to ours, payload. Then the counter, and the number of answers (ACKs that say where we
# are).
BLIND = (
    ('RST one further', RST, 1, 0, b'', 'tcp_reset_challenged', 1),
    ('RST in the window', RST, 30000, 0, b'', 'tcp_reset_challenged', 1),
    ('RST at the last byte of the window', RST, WINDOW - 1, 0, b'', 'tcp_reset_challenged', 1),
    ('RST at the edge', RST, WINDOW, 0, b'', 'tcp_unacceptable', 0),
    ('RST before', RST, -1, 0, b'', 'tcp_unacceptable', 0),
    ('RST far away', RST, HALF, 0, b'', 'tcp_unacceptable', 0),
    ('RST+ACK in the window', RST | ACK, 1000, 0, b'', 'tcp_reset_challenged', 1),
    ('SYN at the next number', SYN, 0, 0, b'', 'tcp_syn_challenged', 1),
    ('SYN in the window', SYN, 1000, 0, b'', 'tcp_syn_challenged', 1),
    ('SYN at the edge', SYN, WINDOW, 0, b'', 'tcp_syn_challenged', 1),
    ('SYN far away', SYN, HALF, 0, b'', 'tcp_syn_challenged', 1),
    ('SYN+ACK', SYN | ACK, 0, 0, b'', 'tcp_syn_challenged', 1),
    ('ACK of what was never sent', ACK, 0, 1, b'RSET\r\n', 'tcp_ack_unacceptable', 1),
    ('ACK half the numbers ahead', ACK, 0, HALF - 1, b'RSET\r\n', 'tcp_ack_unacceptable', 1),
    ('ACK older than the largest window', ACK, 0, -64001, b'RSET\r\n', 'tcp_ack_unacceptable', 1),
    ('bytes before the window', ACK, -100, 0, b'x' * 100, 'tcp_unacceptable', 1),
    ('bytes behind the window', ACK, WINDOW, 0, b'x' * 100, 'tcp_unacceptable', 1),
    ('FIN behind the window', ACK | FIN, WINDOW + 1, 0, b'', 'tcp_unacceptable', 1),
    ('no ACK bit', PSH, 0, 0, b'RSET\r\n', 'tcp_flags', 0),
)

# Options of a segment that carries NOOP: does it count?
OPTIONS = (
    ('length 0', b'\x08\x00\1\1', False), ('length 1', b'\x08\x01\1\1', False),
    ('past the end', b'\x08\x0a\1\1', False), ('length past 40', b'\x1e\xff\1\1', False),
    ('without its length', b'\1\1\1\x05', False), ('unknown, broken', b'\xfd\x00\1\1', False),
    ('SACK past the end', b'\x05\x22' + bytes(10), False),
    ('40 NOPs', b'\1' * 40, True), ('40 ends', bytes(40), True),
    ('an end, then rubbish', b'\0\x08\x00\x05' * 10, True),
    ('unknown', b'\xfd\x08\1\2\3\4\5\6', True), ('MD5', b'\x13\x12' + bytes(16) + b'\1\1', True),
    ('SYN options later', frames.mss(1) + frames.scale(14) + frames.SACK_PERMITTED, True),
    ('duplicates', frames.timestamps(1, 2) * 3, True),
    ('SACK not agreed', frames.sack([(1, 2)]), True),
    ('timestamps not agreed', frames.timestamps(5, 6), True),
    ('SACK of no block', b'\1\1\x05\x02', True),
    ('SACK of half a block', b'\1\1\x05\x06' + bytes(4), True),
)


def ends_well(scene, what, peer):
    scene.checks.equal(f'{what}: the connection lives', peer.alive(), True)
    peer.reset()


def blind(scene, family):
    """T1: from another station, with numbers that were guessed."""
    for what, flags, offset, ahead, payload, reason, answers in BLIND:
        label = f'IPv{family}: T1 {what}'
        peer = scene.peer(family).connect()
        scene.expect(f'{label}: before', {})
        forged = peer.segment(flags, payload, sequence=peer.sequence + offset,
                              acknowledgment=peer.acknowledgment + ahead)
        scene.link.send(frames.ethernet(scene.link.gate_mac, BLIND_MAC, forged))
        scene.expect(f'{label}: {reason}', {reason: 1}, {ACK: answers} if answers else {})
        ends_well(scene, label, peer)


def challenges(scene, family):
    """T1: each flow has its own budget, so what one spends tells nothing about another."""
    label = f'IPv{family}: T1 {FLOOD} RST in the window'
    first, second = (scene.peer(family).connect() for _ in range(2))
    scene.expect(f'{label}: before', {})
    begun = time.monotonic()
    for number in range(FLOOD):
        first.send(RST, sequence=first.sequence + 1 + number)
    answers = first.answers(1)
    # Those that come in one burst share an answer; the flood may lie across the ends of seconds.
    seconds = int(time.monotonic() - begun) + 2
    scene.checks.that(f'{label}: {len(answers)} challenges',
                      1 <= len(answers) <= seconds * CHALLENGES)
    scene.expect(f'{label}: counted', {'tcp_reset_challenged': FLOOD}, {})
    answered = 0
    for number in range(CHALLENGES):
        second.send(RST, sequence=second.sequence + 1 + number)
        answered += len(fresh(second.answers(1)))
    scene.checks.equal(f'{label}: all those of another flow are answered', answered, CHALLENGES)
    scene.expect(f'{label}: and counted', {'tcp_reset_challenged': CHALLENGES}, {})
    ends_well(scene, label, first)
    ends_well(scene, label, second)


def exact_reset(scene, family):
    """T1: the one that knows is obeyed, and what follows belongs to nothing."""
    peer = scene.peer(family).connect()
    scene.expect(f'IPv{family}: T1 exact RST: before', {})
    peer.send(RST)
    scene.expect(f'IPv{family}: T1 exact RST: accepted', {}, {})
    tries, answers = 0, []
    while not answers and tries < 3: # this second's share of RSTs may be used up
        peer.send(ACK, b'NOOP\r\n')
        answers = scene.link.answers(1)
        tries += 1
    scene.expect(f'IPv{family}: T1 bytes after the RST', {'cookie_invalid': tries})
    scene.checks.equal(f'IPv{family}: T1 bytes after the RST: answers',
                       [segment.flags for segment in answers], [RST])


def overlaps(scene, family):
    """T6: of bytes that come twice the first stay, whichever way round."""
    label = f'IPv{family}: T6 overlap'
    peer = scene.peer(family).connect()
    peer.send(ACK, b'OP\r\n', sequence=peer.sequence + 2)
    peer.send(ACK, b'NOXX\r\n')
    peer.sequence += 6
    scene.checks.starts(f'{label}: what came first beyond the gap stays', peer.hear(b'\r\n'),
                        b'250')
    peer.send(ACK, b'XX\r\n', sequence=peer.sequence + 2)
    peer.send(ACK, b'NOOP\r\n')
    peer.sequence += 6
    scene.checks.starts(f'{label}: even if it is nonsense', peer.hear(b'\r\n'), b'500')
    peer.say(b'NO')
    peer.send(ACK, b'XXOP\r\n', sequence=peer.sequence - 2)
    peer.sequence += 4
    scene.checks.starts(f'{label}: what was in order stays', peer.hear(b'\r\n'), b'250')
    scene.expect(f'{label}: nothing is dropped', {'smtp_unrecognized': 1})
    ends_well(scene, label, peer)


def holes(scene, family, count=2000):
    """T6: single bytes with gaps between: the first runs are kept, the others are counted."""
    label = f'IPv{family}: T6 {count} holes'
    peer = scene.peer(family).connect()
    scene.expect(f'{label}: before', {})
    answered = 0
    for number in range(count):
        # From far to near: each one would be a run before all others.
        peer.send(ACK, b'x', sequence=peer.sequence + 60000 - 2 * (number % 29000))
        if number % 200 == 199:
            answered += len(fresh(peer.answers()))
    answered += len(fresh(peer.answers(count - answered)))
    # Those that are held are known when they come again.
    rounds = -(-count // 29000)
    scene.expect(f'{label}: counted', {'tcp_out_of_order_full': count - rounds * RUNS_MAX}, {})
    scene.checks.equal(f'{label}: a duplicate ACK for each', answered, count)
    ends_well(scene, label, peer)


def crumbs(scene, family):
    """T4: reports of single bytes, none acknowledged: repetitions are bounded, the stream whole."""
    label = f'IPv{family}: T4 SACK in crumbs'
    peer = scene.peer(family)
    peer.clock = 1
    peer.connect(frames.mss(536) + frames.SACK_PERMITTED)
    scene.expect(f'{label}: before', {})
    for _ in range(10):
        peer.say(b'NOOP\r\n' * 100)
    sent = len(peer.answers(1))
    again = 0
    for number in range(300):
        start = peer.acknowledgment + 20 + 12 * number
        peer.send(ACK, options=frames.sack([(start + 4 * n, start + 4 * n + 1) for n in range(3)]))
        again += len(peer.answers())
    scene.checks.that(f'{label}: {again} segments more than the {sent} before', again < 300)
    text = b''
    peer.send()
    while text.count(b'\n') < 1000:
        segment = peer.await_segment('the rest', lambda s: s.payload)
        peer.follow(segment)
        peer.send()
        text, peer.text = text + peer.text, b''
    scene.checks.equal(f'{label}: the stream is whole', text, b'250 2.0.0 OK\r\n' * 1000)
    scene.expect(f'{label}: nothing is dropped', {})
    peer.reset()


def windows(scene, family):
    """T4: a window of one byte, and one that shrinks below what is in flight."""
    label = f'IPv{family}: T4'
    peer = scene.peer(family)
    peer.window = 1
    peer.connect()
    scene.checks.equal(f'{label} window of 1: the dialogue goes on', peer.alive(), True)
    peer.reset()
    peer = scene.peer(family).connect()
    peer.say(b'NOOP\r\n' * 200)
    peer.answers()
    for window in (100, 10, 0):
        peer.window = window
        peer.send()
        peer.answers()
    peer.window = 64000
    peer.send()
    text = b''
    while text.count(b'\n') < 200:
        peer.follow(peer.await_segment('the replies', lambda s: s.payload))
        peer.send()
        text, peer.text = text + peer.text, b''
    scene.checks.equal(f'{label} shrinking window: the stream is whole', text,
                       b'250 2.0.0 OK\r\n' * 200)
    scene.expect(f'{label} windows: nothing is dropped', {})
    peer.reset()


def fins(scene, family):
    """T6: FIN before its bytes, bytes after it, both sides at once."""
    label = f'IPv{family}: T6'
    peer = scene.peer(family).connect()
    peer.send(ACK | FIN, sequence=peer.sequence + 6)
    scene.checks.equal(f'{label} FIN before its bytes: a duplicate ACK',
                       len(fresh(peer.answers(1))), 1)
    peer.send(ACK, b'QUIT\r\n', sequence=peer.sequence + 7)
    peer.say(b'NOOP\r\n')
    last = peer.await_segment('FIN', lambda s: s.flags & FIN)
    scene.checks.equal(f'{label} FIN before its bytes: they are answered, those behind it not',
                       last.payload, b'250 2.0.0 OK\r\n')
    peer.follow(last)
    peer.sequence += 1
    peer.send()
    scene.expect(f'{label} FIN before its bytes: nothing is dropped', {})

    peer = scene.peer(family).connect()
    peer.say(b'QUIT\r\n')
    closing = peer.await_segment('the last reply', lambda s: s.flags & FIN)
    peer.send(ACK | FIN)
    peer.sequence += 1
    peer.follow(closing)
    peer.send()
    scene.expect(f'{label} simultaneous close: nothing is dropped', {})
    peer.send(ACK | FIN, sequence=peer.sequence - 1)
    scene.expect(f'{label} FIN again: the record answers', {'time_wait': 1}, {ACK: 1})


def options(scene, family):
    """T7: what cannot be read drops the segment; what is read but unknown is passed over."""
    for what, data, counts in OPTIONS:
        label = f'IPv{family}: T7 {what}'
        peer = scene.peer(family).connect()
        scene.expect(f'{label}: before', {})
        if counts:
            peer.say(b'NOOP\r\n', options=data)
            scene.checks.starts(f'{label}: the segment counts', peer.hear(b'\r\n'), b'250')
            scene.expect(f'{label}: nothing is dropped', {})
        else:
            peer.send(ACK, b'RSET\r\n', options=data)
            peer.send(RST, options=data)
            scene.expect(f'{label}: tcp_options', {'tcp_options': 2}, {})
        ends_well(scene, label, peer)


def stamped(scene, family, clock):
    peer = scene.peer(family)
    peer.clock = clock
    return peer.connect()


def timestamps(scene, family):
    """T8: old ones are told where we are, missing ones nothing; numbers wrap."""
    label = f'IPv{family}: T8'
    for what, value in (('old', -1), ('half the numbers old', -HALF + 1), ('zero', -5000000)):
        peer = stamped(scene, family, 5000000)
        scene.expect(f'{label} {what}: before', {})
        peer.clock += value
        peer.send(ACK, b'RSET\r\n')
        scene.expect(f'{label} {what}: tcp_paws', {'tcp_paws': 1}, {ACK: 1})
        peer.clock -= value
        ends_well(scene, f'{label} {what}', peer)
    peer = stamped(scene, family, 5000000)
    scene.expect(f'{label} missing: before', {})
    peer.send(ACK, b'RSET\r\n', bare=True)
    scene.expect(f'{label} missing: tcp_paws', {'tcp_paws': 1}, {})
    ends_well(scene, f'{label} missing', peer)
    for what, clock in (('zero from the start', 0), ('wrapping', 0xffffffff)):
        peer = stamped(scene, family, clock)
        peer.clock += 1
        scene.checks.equal(f'{label} {what}: counts', peer.alive(), True)
        peer.clock += HALF - 1
        peer.echo = 12345
        ends_well(scene, f'{label} {what}, then far ahead with a false echo', peer)
        scene.expect(f'{label} {what}: nothing is dropped', {})
    # Who guesses the window but not the ACK must not set the clock of PAWS ahead.
    peer = stamped(scene, family, 1000)
    scene.expect(f'{label} poison: before', {})
    peer.send(ACK, b'RSET\r\n', bare=True, options=frames.timestamps(1000 + HALF - 1, 0),
              acknowledgment=peer.acknowledgment + 1000)
    scene.expect(f'{label} poison: tcp_ack_unacceptable', {'tcp_ack_unacceptable': 1}, {ACK: 1})
    ends_well(scene, f'{label} poison', peer)


def keep_alives(scene, family, count=FLOOD):
    """T13: bytes that were received before, or none: never more answers than questions."""
    label = f'IPv{family}: T13 {count} keep-alives'
    peer = scene.peer(family).connect()
    for what, payload in (('empty', b''), ('of a byte', b'?')):
        scene.expect(f'{label} {what}: before', {})
        heard, lives = 0, True
        for number in range(count):
            peer.send(ACK, payload, sequence=peer.sequence - 1)
            if number % 200 == 199:
                heard += len(peer.answers())
            if number % 10000 == 9999: # keep-alives do not count as a client's word
                lives = lives and peer.alive()
        heard += len(peer.answers(1 - heard))
        scene.expect(f'{label} {what}: tcp_unacceptable', {'tcp_unacceptable': count})
        scene.checks.that(f'{label} {what}: {heard} answers', 1 <= heard <= count)
        scene.checks.equal(f'{label} {what}: the connection lives', lives and peer.alive(), True)
    peer.reset()


def urgent(scene, family):
    """T13: the pointer is not believed, the bytes are ordinary."""
    for pointer in (0, 1, 6, 7, 65535):
        peer = scene.peer(family).connect()
        peer.say(b'NOOP\r\n', flags=ACK | PSH | URG, urgent=pointer)
        scene.checks.starts(f'IPv{family}: T13 urgent pointer {pointer}: bytes in order',
                            peer.hear(b'\r\n'), b'250')
        ends_well(scene, f'IPv{family}: T13 urgent pointer {pointer}', peer)
    scene.expect(f'IPv{family}: T13 urgent pointers: nothing is dropped', {})


def wrap(scene, family):
    """T13: a message whose numbers pass 2^32."""
    peer = scene.peer(family, isn=0xffffffff - 3000).connect()
    for line, answer in ((b'EHLO x.example', b'250'), (b'MAIL FROM:<a@sender.test>', b'250'),
                         (b'RCPT TO:<b@accepted.test>', b'250'), (b'DATA', b'354')):
        scene.checks.starts(f'IPv{family}: T13 wrap: {line.decode()}', peer.command(
            line + b'\r\n'), answer)
    for number in range(10):
        peer.say((b'%d' % number) * 998 + b'\r\n')
        peer.answers()
    scene.checks.starts(f'IPv{family}: T13 wrap: 10 KB across 2^32', peer.command(b'.\r\n'), b'250')
    scene.checks.that(f'IPv{family}: T13 wrap: it did wrap', peer.sequence < 10000)
    scene.expect(f'IPv{family}: T13 wrap: nothing is dropped', {})
    peer.reset()


CLASSES = (('T1', (blind, challenges, exact_reset)), ('T4', (crumbs, windows)),
           ('T6', (overlaps, holes, fins)),
           ('T7', (options,)), ('T8', (timestamps,)), ('T13', (keep_alives, urgent, wrap)))


def run(scene):
    for name, kinds in CLASSES:
        with scene.attack(name):
            for family in (4, 6):
                for kind in kinds:
                    kind(scene, family)
        scene.await_no_sessions(name)
