#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
#
# Legitimate mail while a flood fills the wire: relaygate, HAProxy (kernel, SYN cookies) and Postfix's
# postscreen take the same place in the lab, one after the other, between the same smtp-source and
# smtp-sink. Of each the greatest mail rate is measured, then half of that is offered, without a
# flood and beside each kind of flood; to relaygate then half of HAProxy's, too, which is the same
# work for all that shares the two cores. What is offered begins on time whatever became of what was
# begun before; counted are messages whose final dot their clients have sent, from WARM seconds on to
# the end of the offer, so that neither the first batch nor how late the last one ends is in the rate.
# All of a batch must be answered 250 in the end, or it is a failure. relaygate's
# worker is realtime, as the kernel's softirq, which is HAProxy's and postscreen's TCP, goes before
# every program. The wire is a veth and a bridge: sender, bridge and the receiving side's softirq
# use the sender's core, so on two cores the sender's share of the CPU, not the gate's, bounds the
# flood.
"""lab_flood.py [--json FILE] [--rate FRAMES] [--seconds S] [--family 4|6] [--middle NAME]: root."""
import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
import lab as labs  # noqa: E402 (from the folder above)
import middles  # noqa: E402

FLOOD = os.path.join(labs.BUILD, 'tests', 'system', 'flood')
LISTED = {4: ('203.0.112.0', 20), 6: ('2001:db8:600d::', 64)}
UNLISTED = {4: ('198.18.0.0', 15), 6: ('2001:db8:bad::', 64)}
# Name, where it comes from, KIND of tests/system/flood.
FLOODS = (('SYN, unlisted', UNLISTED, 'syn'), ('SYN, listed', LISTED, 'syn'),
          ('ACK, listed', LISTED, 'ack'), ('UDP to 25', UNLISTED, 'udp'),
          ('fragments', UNLISTED, 'fragment'), ('port scan', UNLISTED, 'scan'))
SLICE = 0.25  # of a second: so often a batch of mails begins
WARM = 0.5
KEPT = 0.95

POSTSCREEN = """smtp inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
  -o smtpd_proxy_filter=10.0.0.11:25
dnsblog unix - - n - 0 dnsblog
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
POSTSCREEN_MAIN = """
inet_interfaces = 192.0.2.10, [2001:db8:1::10]
inet_protocols = all
mynetworks = 192.0.2.0/24, [2001:db8:1::]/64
postscreen_access_list = permit_mynetworks
postscreen_greet_action = ignore
"""


@contextlib.contextmanager
def relaygate(lab):
    config = lab.config()
    config['gate']['MaxSessions'] = '4000'
    config['gate']['Realtime'] = 'yes'
    config['backend cluster']['MaxConnections'] = '200'
    config['backend cluster']['Servers'] = f'{middles.SERVER}:25'
    ranges = ', '.join('%s/%d' % source for source in LISTED.values())
    # What an operator sets who expects forged SYNs from a network that he lists.
    config['connector Flooded'] = dict(config['connector Submission'], RemoteIPRanges=ranges,
                                       MaxSynRate='20000', MaxSynRateAction='drop')
    with labs.Gate(lab, config) as gate:
        yield gate


def postscreen(lab):
    return middles.postfix(lab, POSTSCREEN, POSTSCREEN_MAIN)


MIDDLES = {'HAProxy': middles.haproxy, 'postscreen': postscreen, 'relaygate': relaygate}
SAME_RATE = 'relaygate at HAProxy\'s rate'


def start_mails(lab, family, count, sessions, told=subprocess.DEVNULL):
    """smtp-source ends with 0 only if every message was answered 250; of each it tells with a
    carriage return when it has sent it to its end."""
    return lab.start('app', 'smtp-source', '-c', '-l', '4096', '-m', str(count), '-s',
                     str(sessions), '-f', 'reports@sender.test', '-t', 'colleague@accepted.test',
                     f'[{labs.GATE[family]}]:25', stdout=told, stderr=subprocess.DEVNULL)


def greatest_rate(lab, family, seconds):
    """Messages a second, 20 sessions that never pause."""
    count, rate = 200, 0.0
    while True:
        begun = time.monotonic()
        if start_mails(lab, family, count, 20).wait(120):
            sys.exit('smtp-source failed without any flood')
        took = time.monotonic() - begun
        rate = count / took
        if took >= seconds / 2:
            return rate
        count = int(max(rate * seconds, 2 * count))


class Offer:
    """So many messages a second, in batches that begin on time."""

    def __init__(self, lab, family, rate):
        self.lab, self.family = lab, family
        self.batch = max(int(rate * SLICE), 1)
        self.file = lab.path('sent')
        self.batches, self.took = [], []

    def begin(self, told):
        process = start_mails(self.lab, self.family, self.batch, min(self.batch, 8), told)
        self.batches.append((time.monotonic(), process))

    def look(self):
        """Notes how long batches took that have ended meanwhile; are there others?"""
        for entry in self.batches[:]:
            if entry[1].poll() is not None:
                self.took.append((time.monotonic() - entry[0], entry[1].returncode))
                self.batches.remove(entry)
        return bool(self.batches)

    def sent(self):
        return time.monotonic(), labs.read(self.file).count(b'\r')

    def run(self, seconds):
        """The rate of messages sent, failures of batches, the longest batch in seconds."""
        begun, due, first = time.monotonic(), 0, None
        end = begun + seconds
        with open(self.file, 'wb') as told:
            told.truncate()
        with open(self.file, 'ab') as told:
            while (now := time.monotonic()) < end or first is None:
                if now >= begun + due * SLICE:
                    self.begin(told)
                    due += 1
                if first is None and now >= begun + WARM:
                    first = self.sent()
                    end = first[0] + seconds - WARM  # as long, however late it is
                self.look()
                time.sleep(0.01)
            last = self.sent()
            while self.look() and time.monotonic() < begun + 3 * seconds + 20:
                time.sleep(0.02)
        for _, process in self.batches:
            process.kill()
            process.wait()
        failures = len(self.batches) + sum(code != 0 for _, code in self.took)
        return {'offered': self.batch / SLICE, 'failures': failures, 'batches': due,
                'per_second': (last[1] - first[1]) / (last[0] - first[0]),
                'longest_batch': max(took for took, _ in self.took) if self.took else None}


@contextlib.contextmanager
def flooded(lab, family, source, kind, rate, told):
    """A flood from a host that shares the clients' wire; told: where its own figures go."""
    network, length = source[family]
    _, output = lab.run('gate', 'ip', '-json', 'link', 'show', 'outside')
    mac = json.loads(output)[0]['address']
    # The mail's programs go first on the core that they share; the flood has what they leave.
    process = lab.start('stranger', 'nice', '-n', '10', FLOOD, 'net0', mac, network, str(length),
                        labs.GATE[family], '25', '1000000000', str(rate), '1', kind,
                        stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.5)
        yield
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=20)
    sent, microseconds = map(int, output.split())
    told['flood_per_second'] = sent * 1e6 / microseconds


def load_of(gate):
    """Frames that came to the gate's interfaces, those lost there, cycles of its worker."""
    if gate is None:
        return {}
    ports, worker = gate.ports().values(), gate.dump('workers')[0]['formatted']['value']
    return {'frames': sum(row['frames_in'] for row in ports),
            'missed': sum(row['device_missed'] for row in ports),
            'busy_cycles': worker['busy_cycles'], 'idle_cycles': worker['idle_cycles']}


def measure(lab, gate, family, options, greatest):
    row = {'greatest': greatest}
    half = greatest / 2
    row['no flood'] = Offer(lab, family, half).run(options.seconds)
    for name, source, kind in FLOODS:
        told, before = {}, load_of(gate)
        with flooded(lab, family, source, kind, options.rate, told):
            told.update(Offer(lab, family, half).run(options.seconds))
        told.update({key: value - before[key] for key, value in load_of(gate).items()})
        told['kept'] = told['per_second'] / row['no flood']['per_second']
        row[name] = told
    return row


def compare(lab, options):
    results = {}
    for name in options.middle:
        with MIDDLES[name](lab) as gate:
            labs.wait_for(f'{name} takes a message',
                          lambda: start_mails(lab, 4, 1, 1).wait(20) == 0)
            results[name] = {str(family): measure(lab, gate, family, options, greatest_rate(
                lab, family, options.seconds)) for family in options.family}
            if name == 'relaygate' and 'HAProxy' in results:
                results[SAME_RATE] = {
                    family: measure(lab, gate, int(family), options, row['greatest'])
                    for family, row in results['HAProxy'].items()}
    return results


def cell(row):
    mark = '' if row['kept'] >= KEPT and not row['failures'] else ' !'
    failed = f', {row["failures"]} failed' if row['failures'] else ''
    return f'{row["kept"]:.0%}{failed} ({row["flood_per_second"] / 1e3:,.0f} k/s){mark}'


def print_load(results):
    cells = [row[flood] for name, families in results.items() if name in ('relaygate', SAME_RATE)
             for row in families.values() for flood, _, _ in FLOODS]
    if cells:
        busy = max(cell['busy_cycles'] / (cell['busy_cycles'] + cell['idle_cycles'])
                   for cell in cells)
        print(f'  relaygate: worker busy {busy:.0%} at most; of '
              f'{sum(cell["frames"] for cell in cells) / 1e6:,.1f} million frames '
              f'{sum(cell["missed"] for cell in cells):,} lost at its interfaces')


def print_results(results, options):
    print(f'\nflood: mails of 4 KB at half of the greatest rate, beside a flood of up to '
          f'{options.rate:,} frames a second; kept: mail rate beside the flood / without; goal '
          f'{KEPT:.0%} and no failure')
    header = ['', 'greatest', 'no flood'] + [name for name, _, _ in FLOODS]
    rows = [header]
    for name, families in results.items():
        for family, row in families.items():
            rows.append([f'{name}, IPv{family}', f'{row["greatest"]:,.0f}/s',
                         f'{row["no flood"]["per_second"]:,.0f}/s']
                        + [cell(row[flood]) for flood, _, _ in FLOODS])
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    for row in rows:
        print('  ' + '  '.join(value.ljust(width) if i == 0 else value.rjust(width)
                               for i, (value, width) in enumerate(zip(row, widths))))
    print_load(results)


def main():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument('--json')
    parser.add_argument('--rate', type=int, default=300000)
    parser.add_argument('--seconds', type=float, default=3.5)
    parser.add_argument('--family', type=int, nargs='*', choices=(4, 6), default=[4, 6])
    parser.add_argument('--middle', nargs='*', choices=MIDDLES, default=list(MIDDLES))
    options = parser.parse_args()
    if os.geteuid():
        sys.exit('the lab needs root')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped by SIGTERM'))
    with labs.Lab() as lab:
        lab.command('backend', 'sink')
        results = compare(lab, options)
    print_results(results, options)
    if options.json:
        with open(options.json, 'w') as file:
            json.dump(results, file, indent=1)


if __name__ == '__main__':
    main()
