# SPDX-License-Identifier: BSD-3-Clause
#
# Clients that hold a connection and give nothing back (T5): closed windows, lost probes, ACKs of a
# byte, gaps never filled, and each half-closed state. All wait at once, over both families; each
# ends by a time limit that an operator sets, its memory with it, and says so by a counter. Limits
# that no key changes are virtual time's: tests/unit/tcp/test_timers.c.
"""T5, and who holds a half-closed connection."""
import time

import attack
import frames
from frames import ACK, FIN, PSH, RST

HOARDERS = 150 # times 28 KB of replies are more than the buffers
GAP_FLOWS, RUNS_MAX = 40, 62 # more than the share for runs; of one flow
BYTE_PACE = 0.02 # seconds between two ACKs of one byte


class Holder:
    """One connection that is held. What it does first, and what it answers."""

    timeouts = 0   # sessions ended by ConnectionInactivityTimeout
    told = True    # the end is an RST: the gate still owed something

    def __init__(self, scene, family):
        self.peer = scene.peer(family, attack.HASTY).connect()
        self.reset = False
        self.begin(self.peer)

    def begin(self, peer):
        raise NotImplementedError

    def hear(self, peer, segment):
        """Says nothing."""

    def pace(self, peer):
        """Called all the time."""


class ClosedWindow(Holder):
    """zero window for ever, each probe answered"""
    timeouts = 1

    def begin(self, peer):
        peer.window = 0
        peer.say(b'NOOP\r\n' * 100)

    def hear(self, peer, segment):
        peer.send()


class LostProbes(ClosedWindow):
    """zero window for ever, no probe answered"""

    def hear(self, peer, segment):
        pass


class Bytes(Holder):
    """ACK of one byte at a time"""
    timeouts = 1

    def begin(self, peer):
        peer.say(b'NOOP\r\n' * 100)
        self.last = time.monotonic()

    def pace(self, peer):
        if time.monotonic() - self.last > BYTE_PACE:
            self.last = time.monotonic()
            peer.acknowledgment += 1
            peer.send()


class Gaps(Holder):
    """62 runs beyond a gap, and silence"""
    timeouts = 1

    def begin(self, peer):
        for number in range(62):
            peer.send(ACK, b'x', sequence=peer.sequence + 10 + 2 * number)


class FinWait1(Holder):
    """no ACK of the last reply and FIN (FIN-WAIT-1)"""

    def begin(self, peer):
        peer.say(b'QUIT\r\n')


class FinWait2(FinWait1):
    """FIN acknowledged, none in return (FIN-WAIT-2)"""

    def hear(self, peer, segment):
        peer.follow(segment)
        peer.send()


class TalksOn(FinWait2):
    """goes on talking after the end"""

    def pace(self, peer):
        if not self.reset and peer.sequence - peer.isn < 2000:
            peer.say(b'x' * 10)


class LastAck(Holder):
    """FIN, and no ACK of ours (LAST-ACK)"""
    told = False

    def begin(self, peer):
        peer.send(ACK | FIN)


class Closing(Holder):
    """both FINs cross, no ACK of ours (CLOSING)"""
    told = False

    def begin(self, peer):
        peer.say(b'QUIT\r\n')
        peer.link.fence()
        peer.send(ACK | FIN)


KINDS = (ClosedWindow, LostProbes, Bytes, Gaps, FinWait1, FinWait2, TalksOn, LastAck, Closing)


def drive(scene, holders):
    """Until the gate has freed all of them."""
    deadline = time.monotonic() + attack.INACTIVITY_SECONDS + attack.LINGER_SECONDS + 10
    while scene.sessions_open() and time.monotonic() < deadline:
        scene.link.pump(BYTE_PACE)
        for holder in holders:
            for segment in holder.peer.take_mine():
                if segment.flags & RST:
                    holder.reset = True
                elif not holder.reset:
                    holder.hear(holder.peer, segment)
            if not holder.reset:
                holder.pace(holder.peer)


def fill_gaps(scene):
    """Flows whose runs take all that is given to bytes beyond gaps: the last quarter is not."""
    peers = [scene.peer((4, 6)[number % 2], number).connect() for number in range(GAP_FLOWS)]
    scene.moved()
    for number in range(RUNS_MAX):
        for peer in peers:
            peer.send(ACK, b'x' * 10, sequence=peer.sequence + 100 + 20 * number)
        scene.link.fence()
    moved = scene.counted_until({})
    scene.checks.that(f'T5 hoard: runs beyond gaps: {moved}', set(moved) == {'tcp_no_buffer'},
                      moved)
    return peers


def hoard(scene):
    """Runs beyond gaps and replies that nobody reads fill the buffers: who reads his own replies is
    served all the same, though no time limit rids the gate of the hoarders."""
    with scene.attack(f'T5, buffers hoarded by {GAP_FLOWS + HOARDERS} clients'):
        peers = fill_gaps(scene)
        for number in range(HOARDERS):
            peer = scene.peer((4, 6)[number % 2], number % 100)
            peer.window = 0
            peer.open()
            peer.send()
            peers.append(peer)
        for _ in range(10):
            for peer in peers[GAP_FLOWS:]:
                peer.say(b'NOOP\r\n' * 200)
            scene.link.fence()
        moved = scene.moved()
        scene.checks.that(f'T5 hoard: counted {moved}', moved.get('replies_unread', 0) > 0)
        scene.mails_pass(10)
        scene.checks.that('T5 hoard: mail passes before any time limit strikes',
                          'smtp_timeout' not in scene.moved())
    for peer in peers:
        peer.reset()
    scene.await_no_sessions('T5 hoard')


def run(scene):
    hoard(scene)
    with scene.attack('T5'):
        holders = [kind(scene, family) for family in (4, 6) for kind in KINDS]
        started = time.monotonic()
        drive(scene, holders)
        took = time.monotonic() - started
        scene.checks.equal(f'T5: all are gone after {took:.1f} s', scene.sessions_open(), 0)
        moved = scene.moved()
        scene.checks.equal('T5: time limits', moved.get('smtp_timeout'),
                           sum(holder.timeouts for holder in holders))
        scene.checks.equal('T5: ends by LingerTimeout', moved.get('linger_expired'), len(holders))
        for holder in holders:
            family = frames.family_of(holder.peer.address)
            scene.checks.equal(f'IPv{family}: T5 {holder.__doc__}: told by RST', holder.reset,
                               holder.told)
