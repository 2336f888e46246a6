#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 200
# variants: af_packet af_xdp
#
# Two workers behind devices that know nothing of whose flow is whose: AF_PACKET with a queue each
# and the kernel's own hash, AF_XDP with one queue for both. Both carry sessions and hand over what
# is the other's; every frame is counted once; ARP is answered once; MaxConnections holds for both
# together and nobody waits in vain; then the gate drains in good order.
import concurrent.futures
import itertools
import socket
import struct
import sys
import threading
import time

import lab as labs
import smtp

SENDER, ACCEPTED, FOREIGN = 'a@sender.test', 'b@accepted.test', 'b@foreign.test'
SESSIONS = 24
MOST = 4  # connections to the server
# host, recipient: the reply to RCPT, of two connectors.
RULES = (('app', ACCEPTED, '250'), ('app', FOREIGN, '250'), ('host', ACCEPTED, '250'),
         ('host', FOREIGN, '550 5.7.1 Unable to relay'), ('mute', ACCEPTED, '530'))


def content(number):
    return b'X-Number: %d\r\n\r\n' % number + b'Many words in a line of its own.\r\n' * 600


def mail_by_the_rules(checks, lab, backend):
    """Short sessions: every one is a new port, and so a worker by chance."""
    before, sent = len(backend.accepted), 0
    for (host, recipient, want), family in itertools.product(RULES, labs.FAMILIES):
        for _ in range(3):
            with smtp.Client(lab, host, family) as client:
                client.greet()
                reply = client.message(SENDER, recipient, content(0))
                sent += want == '250'
                checks.starts(f'{host}, IPv{family}, {recipient}', reply, want)
                client.quit()
    checks.equal('what was accepted is at the server, and nothing else',
                 len(backend.accepted) - before, sent)


def deliver(lab, family, number, replies):
    with smtp.Client(lab, 'app', family, seconds=60) as client:
        client.greet()
        replies[number] = client.message(SENDER, ACCEPTED, content(number))
        client.quit()


def more_mail_than_connections(checks, backend, lab, gate):
    """The server answers nobody's end of data: as many as may have one, and no more."""
    before, replies = len(backend.accepted), {}
    backend.answering.clear()
    threads = [threading.Thread(target=deliver, args=(lab, 4 + 2 * (i % 2), i, replies))
               for i in range(SESSIONS)]
    for thread in threads:
        thread.start()
    labs.wait_for('all sessions are open', lambda: sum(
        row['sessions_open'] for row in gate.connectors().values()) == SESSIONS, 30)
    in_hand = lambda: len(backend.seen) - len(backend.accepted)  # noqa: E731
    labs.wait_for('the server has its hands full', lambda: in_hand() >= MOST)
    gate.at_rest('what the server has in hand', in_hand)
    checks.equal('messages at the server at once: MaxConnections', in_hand(), MOST)
    checks.equal('and connections', len(backend.connections), MOST)
    backend.answering.set()
    for thread in threads:
        thread.join(90)
    checks.equal('then each is accepted', sorted(number for number, reply in replies.items()
                                                 if reply.startswith('250')),
                 list(range(SESSIONS)))
    checks.equal('once', len(backend.accepted) - before, SESSIONS)


def arp_answers(lab, questions):
    """How many answers a station with so many addresses gets that asks once from each."""
    with lab.inside('app'):
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
        link.bind(('net0', 0x0806))
    own, gate = link.getsockname()[4], socket.inet_aton(labs.GATE[4])
    for i in range(questions):
        sender = socket.inet_aton(f'192.0.2.{100 + i}')
        link.send(b'\xff' * 6 + own + struct.pack('!HHHBBH', 0x0806, 1, 0x0800, 6, 4, 1) + own
                  + sender + bytes(6) + gate)
    answers, end = 0, time.monotonic() + 20
    link.settimeout(20)
    while time.monotonic() < end:
        if answers == questions:
            link.settimeout(1)  # more of them? longer than any worker sleeps
        try:
            frame = link.recv(2048)
        except TimeoutError:
            break
        answers += frame[20:22] == b'\0\2' and frame[28:32] == gate
    link.close()
    return answers


def accounts(gate):
    ports = gate.ports().values()
    return {name: sum(port[name] for port in ports)
            for name in ('frames_in', 'frames_accepted', 'frames_handed')}, gate.drops()


def check_accounts(checks, gate, when):
    frames, drops = gate.at_rest('the totals', lambda: accounts(gate))
    checks.equal(f'{when}: frames in are those accepted and those dropped', frames['frames_in'],
                 frames['frames_accepted'] + sum(drops.values()))
    checks.that(f'{when}: no frame was lost between workers', 'handover_full' not in drops, drops)
    return frames


def device_that_takes_key_and_table(checks, lab):
    """DPDK's null device shows whatever it was given: such a one is believed."""
    config = lab.config()
    labs.shape(config, '3', None)
    config['port outside']['Device'] = 'vdev:net_null0,no-rx=1'
    config['port inside']['Device'] = 'vdev:net_null1,no-rx=1'
    with labs.Gate(lab, config) as gate:
        said = labs.read(gate.log).decode()
        checks.that('a device that takes our key and table is said to', said.count(
            "3 queues; the device puts each connection into its worker's queue") == 2, said)
        checks.equal('and the gate stops in good order', gate.stop(), 0)


def config_of(lab, device):
    config = lab.config()
    labs.shape(config, '2', device)
    config['backend cluster'].update(Servers=f'{labs.SERVERS[4]}:25', MaxConnections=str(MOST),
                                     ProbeInterval='1s')
    return config


def stops_in_good_order(checks, lab, gate):
    """Which it tells who is there, and waits for him to close."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool, smtp.Client(lab, 'app') as client:
        client.greet()
        stopped = pool.submit(gate.stop)
        checks.starts('who is there is told of the end', client.reply(), '421')
        client.close()
        checks.equal('the gate stops in good order', stopped.result(), 0)


def test(checks):
    with labs.Lab() as lab:
        lab.command('backend', 'none')
        device_that_takes_key_and_table(checks, lab)
        with smtp.Backend(lab, (4,)) as backend, \
                labs.Gate(lab, config_of(lab, sys.argv[1])) as gate:
            smtp.await_backend(lab)
            said = labs.read(gate.log).decode()
            checks.that('it says how frames find their worker',
                        said.count('workers hand over what came in at another') == 2, said)
            mail_by_the_rules(checks, lab, backend)
            memory = gate.resident_bytes()
            more_mail_than_connections(checks, backend, lab, gate)
            checks.equal('ARP: one answer to a question', arp_answers(lab, 20), 20)
            frames = check_accounts(checks, gate, 'while it runs')
            checks.that('frames were handed over', frames['frames_handed'] > 100, frames)
            sessions = gate.sessions_of_workers()
            checks.that('each worker has carried sessions',
                        len(sessions) == 2 and min(sessions) > 5, sessions)
            checks.equal('all of them are those of the totals', sum(sessions),
                         sum(row['sessions'] for row in gate.connectors().values()))
            checks.that('memory did not grow', gate.resident_bytes() - memory < 4 << 20,
                        gate.resident_bytes() - memory)
            records = gate.records()
            checks.equal('one gate started', records.count('gate_started'), 1)
            times = [line.split()[0] for line in records.splitlines() if line]
            checks.equal('the log of both is in the order of time', times, sorted(times))
            stops_in_good_order(checks, lab, gate)
            check_accounts(checks, gate, 'after it stopped')


if __name__ == '__main__':
    labs.run(test)
