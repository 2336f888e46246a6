#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
#
# CPU time a relayed message: relaygate, HAProxy in tcp mode and Postfix as a before-queue proxy take
# the same place in the lab, one after the other, between the same smtp-source and smtp-sink.
# Counted is the time of the process in the middle, user and system, from /proc. What the kernel
# does in a softirq is charged to whatever task it interrupts: on veth, to sender and receiver as
# well as to the process in the middle. So the sum of all three is shown, too.
"""lab_relay.py [--json FILE] [--messages N] [--bytes N] [--rounds N]: needs root."""
import argparse
import contextlib
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
import accounts  # noqa: E402 (from the folder above)
import lab as labs  # noqa: E402
import middles  # noqa: E402

# Name, options of smtp-source: 20 sessions that never pause, or 200 with a pause of a second.
LOADS = (('as fast as it goes, 20 sessions', ('-s', '20'), 1),
         ('about 200 a second, 200 sessions', ('-s', '200', '-w', '1'), 0.2))

MASTER = """smtp inet n - n - - smtpd
  -o smtpd_proxy_filter=10.0.0.11:25
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@contextlib.contextmanager
def relaygate(lab):
    config = lab.config()
    config['gate']['MaxSessions'] = '1000'
    # A server that must take what the other two bring, one connection a session.
    config['backend cluster']['MaxConnections'] = '200'
    config['backend cluster']['Servers'] = f'{middles.SERVER}:25'
    with labs.Gate(lab, config):
        yield


def postfix(lab):
    return middles.postfix(lab, MASTER)


MIDDLES = {'relaygate': relaygate, 'HAProxy': middles.haproxy, 'Postfix': postfix}


def greets(lab):
    """The way to the sink is open: a whole message went through."""
    code, _ = lab.run('app', 'smtp-source', '-m', '1', '-t', 'colleague@accepted.test',
                      '192.0.2.10:25', seconds=10)
    return code == 0


def measure(lab, messages, size, arguments):
    before = {host: accounts.cpu_seconds(lab, host) for host in ('gate', 'backend')}
    used = os.times()
    started = time.monotonic()
    code, output = lab.run('app', 'smtp-source', '-d', '-l', str(size), '-m', str(messages),
                           *arguments, '-f', 'reports@sender.test', '-t',
                           'colleague@accepted.test', '192.0.2.10:25', seconds=120)
    elapsed = time.monotonic() - started
    if code:
        sys.exit(f'smtp-source: exit code {code}: {output}')
    middle, sink = (accounts.cpu_seconds(lab, host) - before[host] for host in ('gate', 'backend'))
    now = os.times()
    source = now.children_user + now.children_system - used.children_user - used.children_system
    return {'messages_per_second': messages / elapsed, 'middle_us': middle / messages * 1e6,
            'all_us': (middle + sink + source) / messages * 1e6}


def middle_of(rows):
    """Of several rounds the one in the middle, by the time of the process in the middle."""
    return sorted(rows, key=lambda row: row['middle_us'])[len(rows) // 2]


def compare(lab, options):
    results = {}
    for name, middle in MIDDLES.items():
        with middle(lab):
            labs.wait_for(f'{name} takes a message', lambda: greets(lab))
            idle_from, idle = time.monotonic(), accounts.cpu_seconds(lab, 'gate')
            time.sleep(2)  # what it costs to do nothing
            idle = (accounts.cpu_seconds(lab, 'gate') - idle) / (time.monotonic() - idle_from)
            results[name] = {'idle_cpu_percent': idle * 100}
            for load, arguments, share in LOADS:
                rows = [measure(lab, int(options.messages * share), options.bytes, arguments)
                        for _ in range(options.rounds)]
                results[name][load] = middle_of(rows)
    return results


def print_results(results, options):
    print(f'\nlab: messages of {options.bytes} bytes, smtp-source -> ... -> smtp-sink over veth; '
          f'CPU time a message, of {options.rounds} rounds the middle one')
    print(f'  {"":12}{"idle":>8}' + ''.join(f'{load:>44}' for load, _, _ in LOADS))
    for name, row in results.items():
        cells = ''.join(f'{row[load]["messages_per_second"]:10,.0f}/s'
                        f'{row[load]["middle_us"]:10,.0f} us, all {row[load]["all_us"]:10,.0f} us'
                        for load, _, _ in LOADS)
        print(f'  {name:12}{row["idle_cpu_percent"]:7.1f}%{cells}')


def main():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument('--json')
    parser.add_argument('--messages', type=int, default=10000)
    parser.add_argument('--bytes', type=int, default=4096)
    parser.add_argument('--rounds', type=int, default=3)
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
            json.dump(results, file)


if __name__ == '__main__':
    main()
