# SPDX-License-Identifier: BSD-3-Clause
#
# The scene of the attacks: a lab, a gate with pools so small that a leak shows, an attacker without
# a TCP of its own, and mail that passes beside him all the time, over IPv4 and IPv6. Reads the
# counters of workers as they stand, so that a row's effect is known to the frame. Knows no attack.
"""Lab, gate, attacker and witnesses for the tests of attacks."""
import contextlib
import json
import threading
import time

import frames
import lab as labs
import raw
import smtp
from frames import RST

SESSIONS = 300
HALF_OPEN_ENTRIES = 1024
INACTIVITY_SECONDS, LINGER_SECONDS = 6, 2
# What any lab's hosts say among themselves, at any time.
# The attacker's SMTP is only a vehicle: it does not wait for replies.
RUDE = ('greet_early_talker', 'greet_pipelining')
BACKGROUND = {'neighbour_unresolved'}
GROWTH_MAX = 1 << 20
HASTY = 102 # number of the address, of each family, whose connector has a short time limit


class Witness:
    """A client that sends one mail after the other, each over a connection of its own."""

    def __init__(self, lab, family):
        self.lab, self.family = lab, family
        self.sent, self.slowest, self.failure = 0, 0.0, None
        self.ending = threading.Event()
        self.going = threading.Event()
        self.idle = threading.Event()
        self.going.set()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self):
        while not self.ending.is_set():
            if not self.going.is_set():
                self.idle.set()
                self.going.wait()
                self.idle.clear()
            started = time.monotonic()
            try:
                with smtp.Client(self.lab, 'app', self.family, 20) as client:
                    client.greet()
                    reply = client.message('a@sender.test', 'b@accepted.test', b'text\r\n' * 100)
                    client.quit()
                if not reply.startswith('250'):
                    self.failure = self.failure or f'answered {reply!r}'
            except OSError as error:
                self.failure = self.failure or f'{type(error).__name__}: {error}'
            self.slowest = max(self.slowest, time.monotonic() - started)
            self.sent += 1
            self.ending.wait(0.05)


class Scene:
    """Everything that an attack needs. `checks` gets one line a claim."""

    def __init__(self, checks, lab, gate, link, witnesses):
        self.checks, self.lab, self.gate, self.link = checks, lab, gate, link
        self.witnesses = witnesses
        self.ports = iter(range(20000, 60000))
        self.counted = {}
        self.excused = 0

    def address(self, family, number=0):
        """An address that the connector Attackers lists and no kernel has."""
        return frames.packed(f'192.0.2.{130 + number}' if family == 4
                             else f'2001:db8:1::a:{130 + number:x}')

    def peer(self, family, number=0, **how):
        return raw.Peer(self.link, self.address(family, number), next(self.ports), **how)

    # ---- Counters as they stand ----

    def table(self, name):
        """Rows of a table by name. Names hold blanks, numbers do not."""
        return [line.split() for line in self.gate.table(name).splitlines()[1:]]

    def reasons(self):
        return {row[0]: int(row[2]) for row in self.table('reasons_table')}

    def sessions_open(self):
        return sum(int(row[4]) for row in self.table('connectors_table')
                   if row[0] in ('Attackers', 'Hasty'))

    def moved(self):
        """What moved since the last call, by name; the lab's own noise is left out."""
        now = self.reasons()
        moved = {name: count - self.counted.get(name, 0) for name, count in now.items()
                 if count != self.counted.get(name, 0) and name not in BACKGROUND and name not in RUDE}
        self.counted = now
        return moved

    # ---- Claims ----

    def repeated(self):
        """Segments that the kernels of the mail beside have sent again until now."""
        total = 0
        for host in ('app', 'backend'):
            _, text = self.lab.run(host, 'cat', '/proc/net/snmp')
            names, values = [line.split() for line in text.splitlines()
                             if line.startswith('Tcp:')]
            total += int(values[names.index('RetransSegs')])
        return total

    def without_repetitions(self, moved, wanted):
        """On a busy machine a kernel beside repeats a segment, perhaps its last one, and an ACK may
        come behind the bytes that followed it: that, and no more, is excused."""
        excess = {name: moved[name] - wanted.get(name, 0) for name in ('tcp_unacceptable', 'time_wait')
                  if moved.get(name, 0) > wanted.get(name, 0)}
        mails = sum(witness.sent for witness in self.witnesses)
        if not excess or self.excused + sum(excess.values()) > self.repeated() + mails:
            return moved
        self.excused += sum(excess.values())
        moved = {name: count - excess.get(name, 0) for name, count in moved.items()}
        return {name: count for name, count in moved.items() if count}

    def counted_until(self, wanted):
        """What moved since the last reading, once it is `wanted` or can no longer become that. On a
        busy machine a frame may overtake another between two processors, the fence among them."""
        total = self.moved()
        deadline = time.monotonic() + raw.OVERTAKEN
        while any(total.get(name, 0) < count for name, count in wanted.items()) and \
                time.monotonic() < deadline:
            self.link.pump(0.02)
            for name, count in self.moved().items():
                total[name] = total.get(name, 0) + count
        return self.without_repetitions(total, wanted)

    def expect(self, what, moved, flags=None):
        """All that was sent is dealt with: these counters moved, by so much, and nothing else; the
        answers were so many segments of these flags ({flags: number}), when that is asked for."""
        answers = self.link.answers(sum((flags or {}).values()))
        held = self.checks.equal(f'{what}: counters', self.counted_until(moved), moved)
        if flags is not None:
            got = {}
            for segment in answers:
                got[segment.flags] = got.get(segment.flags, 0) + 1
            held &= self.checks.equal(f'{what}: answers', got, flags)
        return held

    def mails_pass(self, count, seconds=60):
        """Waits until so many more have passed, over each family."""
        goals = [witness.sent + count for witness in self.witnesses]
        labs.wait_for(f'{count} mails pass', lambda: all(
            witness.sent >= goal for witness, goal in zip(self.witnesses, goals)), seconds)

    @contextlib.contextmanager
    def alone(self):
        """No mail beside: for measuring what the pools hold."""
        for witness in self.witnesses:
            witness.idle.clear() # of the time before, if it has not run since
            witness.going.clear()
        for witness in self.witnesses:
            if not witness.idle.wait(60):
                raise TimeoutError('a mail beside does not end')
        yield
        for witness in self.witnesses:
            witness.going.set()

    @contextlib.contextmanager
    def attack(self, name):
        """One class: the gate's memory before and after, and mail that passes meanwhile."""
        before = [witness.sent for witness in self.witnesses]
        for witness in self.witnesses:
            witness.slowest = 0.0
        memory = self.gate.resident_bytes()
        self.link.answers()
        self.moved()
        yield
        if any(witness.sent < count + 2 for witness, count in zip(self.witnesses, before)):
            self.mails_pass(2) # the second began inside
        for witness, count in zip(self.witnesses, before):
            self.checks.that(
                f'{name}: {witness.sent - count} mails over IPv{witness.family} meanwhile, '
                f'the slowest {witness.slowest:.2f} s',
                witness.failure is None, witness.failure)
        after = self.gate.resident_bytes()
        self.checks.that(f'{name}: memory {memory // 1024} -> {after // 1024} KiB',
                         after - memory <= GROWTH_MAX)
        self.checks.that(f'{name}: the gate lives', self.gate.alive())

    def await_no_sessions(self, what, seconds=30):
        """Whatever the gate still says is answered by an RST at the number that it waits for."""
        def gone():
            for said in self.link.answers():
                self.link.send_packet(frames.ip(frames.tcp(
                    said.destination, said.source, flags=RST, sequence=said.acknowledgment,
                    ports=(said.destination_port, 25)), said.destination, said.source))
            return self.sessions_open() == 0

        labs.wait_for(f'{what}: no session of the attacker is left', gone, seconds)
        self.checks.that(f'{what}: no session of the attacker is left', True)


def configuration(lab, changes):
    """The lab's, with a connector for the attacker's addresses and small pools."""
    config = lab.config()
    config['gate'].update({'MaxSessions': str(SESSIONS), 'BufferMemory': '4MB',
                           'HalfOpenEntries': str(HALF_OPEN_ENTRIES), 'TimeWaitEntries': '4096',
                           'LingerTimeout': f'{LINGER_SECONDS}s'})
    config['connector Attackers'] = dict(
        config['connector Submission'], Comment='addresses of no kernel',
        RemoteIPRanges='192.0.2.128/25, 2001:db8:1::a:0/112, '
        '192.0.2.0, 10.0.0.1, 2001:db8:2::1', ConnectionInactivityTimeout='9m')
    config['connector Hasty'] = dict(
        config['connector Attackers'], RemoteIPRanges=f'192.0.2.{130 + HASTY}, '
        f'2001:db8:1::a:{130 + HASTY:x}', ConnectionInactivityTimeout=f'{INACTIVITY_SECONDS}s')
    for section, keys in changes.items():
        config[section].update(keys)
    return config


@contextlib.contextmanager
def scene(checks, **changes):
    """changes: {section: {key: value}} for the configuration. The foe's connectors are Attackers,
    which lets him be silent for as long as a busy machine takes, and Hasty."""
    with labs.Lab() as lab:
        lab.command('backend', 'sink')
        with labs.Gate(lab, configuration(lab, changes)) as gate:
            smtp.await_backend(lab)
            lab.run('app', 'sysctl', '-qw', 'net.ipv4.tcp_early_retrans=0')
            _, output = lab.run('gate', 'ip', '-json', 'link', 'show', 'outside')
            mac = bytes.fromhex(json.loads(output)[0]['address'].replace(':', ''))
            witnesses = [Witness(lab, family) for family in labs.FAMILIES]
            with raw.Link(lab, 'stranger', mac, ()) as link:
                made = Scene(checks, lab, gate, link, witnesses)
                link.addresses.update(made.address(family, number) for family in labs.FAMILIES
                                      for number in range(HASTY + 1))
                for witness in witnesses:
                    witness.thread.start()
                try:
                    yield made
                finally:
                    for witness in witnesses:
                        witness.ending.set()
                        witness.going.set()
                    for witness in witnesses:
                        witness.thread.join(30)
            lost = {row['name']: row['frames_out_lost'] for row in gate.ports().values()}
            checks.that(f'frames that the device did not take: {lost}', True)
            checks.that('the gate stops in good order', gate.stop() == 0,
                        labs.read(gate.log).decode(errors='replace')[-3000:])
