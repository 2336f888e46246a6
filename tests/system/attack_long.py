# SPDX-License-Identifier: BSD-3-Clause
#
# The same attacks in the numbers and times that take minutes: a million keep-alives (T13), a
# hundred thousand holes (T6), a cookie after its keys were rotated (T2), a SYN that is never
# answered (T2), a false gateway (T12).
"""Long variants of rows of the other modules."""
import time

import attack_flow
import attack_neighbours
from frames import ACK, RST, SYN

KEEP_ALIVES = 1000000
HOLES = 100000
COOKIE_SECONDS = 130 # two epochs of 64 s
SYN_ACKS = 5         # at once, and after 1, 2, 4 and 8 s more


def numbers(scene):
    with scene.attack('T13, in a million'):
        for family in (4, 6):
            attack_flow.keep_alives(scene, family, KEEP_ALIVES // 2)
    with scene.attack('T6, in a hundred thousand'):
        for family in (4, 6):
            attack_flow.holes(scene, family, HOLES)
    scene.await_no_sessions('numbers')


def times(scene):
    """Cookies that are too old, and half-open entries that end by themselves."""
    old = []
    with scene.attack('T2, in time'):
        for family in (4, 6):
            peer = scene.peer(family)
            peer.clock = 5
            peer.open()
            old.append(peer)
        silent = [scene.peer(family) for family in (4, 6)]
        started = time.monotonic()
        for peer in silent:
            peer.send(SYN, acknowledgment=0)
        heard = {peer: 0 for peer in silent}
        while time.monotonic() - started < COOKIE_SECONDS:
            scene.link.pump(0.5)
            for peer in silent:
                heard[peer] += sum(s.flags == SYN | ACK for s in peer.take_mine())
        for peer in silent:
            scene.checks.equal('T2 a SYN that is never answered: SYN-ACKs', heard[peer], SYN_ACKS)
        scene.link.answers()
        scene.moved()
        for peer in old:
            peer.send(ACK)
            scene.expect('T2 a cookie of two minutes ago', {'cookie_invalid': 1}, {RST: 1})
    attack_neighbours.run_long(scene)
