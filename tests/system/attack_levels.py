# SPDX-License-Identifier: BSD-3-Clause
#
# What the gate's pools hold, found out from outside by using each one up: sessions until one more
# is refused, runs beyond gaps until no buffer is given to them, half-open entries until the oldest
# goes. The same before and after all attacks: nothing of theirs is left, and nothing took more than
# its share.
"""The levels of the pools, and the limits themselves."""
import attack
import attack_handshake
import frames
from frames import ACK, RST, SYN

RUNS_MAX = 62   # of one flow
CHUNKS = 2048   # of 4 MB
FLOWS = 60      # 60 x 62 runs are more than the pool's share for them
SYNS = 1200


def sessions(scene):
    """So many are open when the next one is refused."""
    peers, refused = [], False
    while not refused and len(peers) < attack.SESSIONS + 10:
        peer = scene.peer(4, len(peers) % 100)
        peer.open()
        peer.say(b'EHLO a.example\r\nMAIL FROM:<a@sender.test>\r\n') # nobody's place for 10 s
        peers.append(peer)
        # A fence for each would be most of these 10 s on a busy machine.
        if len(peers) % 50 == 0 or len(peers) > attack.SESSIONS:
            refused = any(segment.flags & RST for segment in scene.link.answers(1))
    scene.expect('levels: one session more', {'sessions_full': 1})
    opened = scene.sessions_open()
    for peer in peers:
        peer.reset()
    scene.await_no_sessions('levels: sessions')
    return opened


def runs(scene):
    """So many runs of all flows together: the last quarter of the pool is not for gaps."""
    peers = [scene.peer((4, 6)[number % 2], number).connect() for number in range(FLOWS)]
    scene.moved()
    for number in range(RUNS_MAX):
        for peer in peers:
            peer.send(ACK, b'x' * 10, sequence=peer.sequence + 100 + 20 * number)
        scene.link.answers()
    scene.gate.at_rest('runs', scene.reasons)
    moved = scene.counted_until({})
    kept = len(peers) * RUNS_MAX - moved.get('tcp_no_buffer', 0)
    scene.checks.that(f'levels: {kept} of {FLOWS * RUNS_MAX} runs kept, the others counted',
                      set(moved) == {'tcp_no_buffer'} and CHUNKS / 2 < kept <= CHUNKS * 3 / 4,
                      moved)
    scene.checks.that('levels: flows with runs go on', all(
        peer.alive() is True for peer in peers[:3] + peers[-3:]))
    for peer in peers:
        peer.reset()
    scene.await_no_sessions('levels: runs')
    return kept


def half_open(scene):
    """So many entries."""
    peers = [scene.peer(4, number % 100) for number in range(SYNS)]
    for number, peer in enumerate(peers):
        peer.send(SYN, options=frames.mss(1460), acknowledgment=0)
        if number % 200 == 199:
            scene.link.answers(200)
    moved = scene.counted_until({})
    entries = SYNS - moved.get('half_open_evicted', 0) - moved.get('half_open_full', 0)
    attack_handshake.forget(scene, peers)
    return entries


def measure(scene):
    with scene.alone():
        scene.link.answers()
        scene.moved()
        return {'sessions': sessions(scene), 'runs': runs(scene), 'half-open': half_open(scene)}
