#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# variants: unlisted listed
# long: unlisted listed
#
# A million forged SYNs at 60,000 a second, from sources that no connector lists or from a listed
# network, over IPv4 and then IPv6, while a thousand mails pass: none of them is lost, the gate's
# memory is what it was, and the SYNs are counted under the reason or connector they belong to, or
# as missed by the device or a cable, when the machine has no time for them. Beside listed ones a
# host that was never here before loses the last ACK of its handshake, and is greeted all the same:
# the SYN-ACK comes again after 1 s, in which the flood displaces more entries than there are.
import contextlib
import json
import os
import subprocess
import sys
import time

import lab as labs
import smtp

SYNS = 1000000
RATE = 60000      # asked for; a busy machine comes to less
MAILS = 1000
SESSIONS = 5
GROWTH_MAX = 1 << 20
SOURCES = {
    'unlisted': {4: ('198.18.0.0', 15), 6: ('2001:db8:bad::', 64)},
    'listed': {4: ('203.0.112.0', 20), 6: ('2001:db8:600d::', 64)},
}
FLOOD = os.path.join(labs.BUILD, 'tests', 'system', 'flood')
HALF_OPEN_ENTRIES = 16384
# In the newcomer's own network: the first bare ACK to the gate does not leave it.
LOSE_AN_ACK = ('add table inet lose', 'add chain inet lose out { type filter hook output priority 0; }',
               'add rule inet lose out tcp dport 25 tcp flags == ack limit rate 1/day burst 1 packets '
               'drop')


def gate_mac(lab):
    _, output = lab.run('gate', 'ip', '-json', 'link', 'show', 'outside')
    return json.loads(output)[0]['address']


def lost_on_cables(lab):
    """Frames that queues of the kernel had no room for, on both cables between stranger and gate."""
    lost = 0
    for host, interface in (('stranger', 'net0'), ('switch', 'gate-outside')):
        _, output = lab.run(host, 'ip', '-s', '-json', 'link', 'show', interface)
        lost += json.loads(output)[0]['stats64']['tx']['dropped']
    return lost


def tally(lab, gate):
    """(dropped as no_connector, lost before the gate could take them), as they come to rest."""
    return gate.at_rest('the tally', lambda: (
        gate.reason('no_connector'),
        gate.ports()['outside']['device_missed'] + lost_on_cables(lab)))


def mails(lab, family, count):
    """smtp-source must end well: every message was answered 250."""
    return lab.start('app', 'smtp-source', '-m', str(count), '-s', str(SESSIONS), '-l', '4000',
                     '-f', 'a@sender.test', '-t', 'b@accepted.test', '-M', 'app.example.org',
                     f'[{labs.GATE[family]}]:25')


@contextlib.contextmanager
def losing_an_ack(lab, host):
    for command in LOSE_AN_ACK:
        code, output = lab.run(host, 'nft', *command.split())
        if code:
            raise RuntimeError(f'nft {command}: {output}')
    try:
        yield
    finally:
        lab.run(host, 'nft', 'delete', 'table', 'inet', 'lose')


def newcomer(checks, lab, gate, family, label):
    """Its kernel answers the repeated SYN-ACK with the ACK once more."""
    def displaced():
        return gate.reason('half_open_evicted') - before

    before = gate.reason('half_open_evicted')
    labs.wait_for('the flood has displaced all entries', lambda: displaced() > HALF_OPEN_ENTRIES, 60)
    with losing_an_ack(lab, 'remote'):
        before, begun = gate.reason('half_open_evicted'), time.monotonic()
        with lab.connect('remote', family, 60) as client:
            checks.starts(f'{label}: a newcomer whose ACK was lost is greeted', client.recv(100),
                          b'220 ')
            checks.that(f'{label}: by the second SYN-ACK', time.monotonic() - begun > 0.5)
            checks.that(f'{label}: {displaced()} entries displaced meanwhile',
                        displaced() > 1000)


def flood(checks, lab, gate, variant, family):
    label = f'{variant}, IPv{family}'
    # Warm: pools, Postfix and the kernel have grown to what a thousand mails need.
    checks.equal(f'{label}: mails before the flood', mails(lab, family, MAILS).wait(120), 0)
    memory = gate.resident_bytes()
    before = tally(lab, gate)
    network, length = SOURCES[variant][family]
    mailing = mails(lab, family, MAILS)
    flooding = lab.start('stranger', FLOOD, 'net0', gate_mac(lab), network, str(length),
                         labs.GATE[family], '25', str(SYNS), str(RATE), '1',
                         stdout=subprocess.PIPE, text=True)
    try:
        if variant == 'listed':
            newcomer(checks, lab, gate, family, label)
    finally:
        output, _ = flooding.communicate(timeout=120)
    checks.equal(f'{label}: the flood ran', flooding.returncode, 0)
    sent, microseconds = map(int, output.split())
    rate = sent * 1000000 // microseconds
    checks.that(f'{label}: {sent} SYNs at {rate} a second', sent >= SYNS)
    checks.equal(f'{label}: {MAILS} mails in the meantime', mailing.wait(120), 0)
    if variant == 'unlisted':
        dropped, lost = (after - then for after, then in zip(tally(lab, gate), before))
        # Frames of the mails may be among those that were lost.
        checks.that(f'{label}: of {sent} SYNs {dropped} dropped as no_connector, {lost} lost before',
                    dropped <= sent <= dropped + lost)
        checks.that(f'{label}: many of them reached the gate', dropped >= sent // 20)
    else:
        checks.that(f'{label}: SYNs were answered with cookies',
                    gate.connectors()['Flooded']['syns'] > 0, gate.connectors()['Flooded'])
        checks.equal(f'{label}: sessions opened by the flood',
                     gate.connectors()['Flooded']['sessions'], 0)
    growth = gate.resident_bytes() - memory
    checks.that(f'{label}: memory grew by {growth} bytes', abs(growth) <= GROWTH_MAX)


def test(checks):
    variant = sys.argv[1] if len(sys.argv) > 1 else 'unlisted'
    with labs.Lab() as lab:
        config = lab.config()
        ranges = ('%s/%d' % source for source in SOURCES['listed'].values())
        config['connector Flooded'] = dict(config['connector Submission'],
                                           RemoteIPRanges=', '.join(ranges))
        with labs.Gate(lab, config) as gate:
            smtp.await_backend(lab)
            for family in labs.FAMILIES:
                flood(checks, lab, gate, variant, family)
            # Two thousand a family; Postfix may still be delivering.
            checks.equal('messages in the mailbox',
                         len(lab.await_mail(2 * MAILS * len(labs.FAMILIES), 120)),
                         2 * MAILS * len(labs.FAMILIES))
            checks.equal('the gate stops in good order', gate.stop(), 0)


if __name__ == '__main__':
    labs.run(test)
