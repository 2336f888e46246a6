#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
#
# Legitimate mail while a flood fills the wire: relaygate, HAProxy (kernel, SYN cookies) and Postfix's
# postscreen take the same place in the lab, one after the other, between the same smtp-source and
# smtp-sink. Of each the greatest mail rate is measured, then half of that is offered, without a
# flood and beside each kind of flood; to relaygate then half of HAProxy's, too, which is the same
# work for all that shares the two cores. What is offered begins on time whatever became of what was
# begun before. relaygate's worker is realtime, as the kernel's softirq, which is HAProxy's and
# postscreen's TCP, goes before every program. The wire is a veth and a bridge: sender, bridge and the receiving side's softirq use
# the sender's core, so on two cores the sender's share of the CPU, not the gate's, bounds the flood.
"""lab_flood.py [--json FILE] [--rate FRAMES] [--seconds S] [--family 4|6] [--middle NAME]: root."""
import argparse
import contextlib
import json
import os
import pwd
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
import lab as labs  # noqa: E402 (from the folder above)
import lab_relay  # noqa: E402

FLOOD = os.path.join(labs.BUILD, 'tests', 'system', 'flood')
ADDRESSES = {4: ('192.0.2.10/24', '10.0.0.1/24'), 6: ('2001:db8:1::10/64', '2001:db8:2::1/64')}
GATEWAYS = {4: '192.0.2.1', 6: '2001:db8:1::1'}
LISTED = {4: ('203.0.112.0', 20), 6: ('2001:db8:600d::', 64)}
UNLISTED = {4: ('198.18.0.0', 15), 6: ('2001:db8:bad::', 64)}
# Name, where it comes from, KIND of tests/system/flood.
FLOODS = (('SYN, unlisted', UNLISTED, 'syn'), ('SYN, listed', LISTED, 'syn'),
          ('ACK, listed', LISTED, 'ack'), ('UDP to 25', UNLISTED, 'udp'),
          ('fragments', UNLISTED, 'fragment'), ('port scan', UNLISTED, 'scan'))
SLICE = 0.25  # of a second: so often a batch of mails begins
KEPT = 0.95

HAPROXY = """global
    nbthread 1
    maxconn 8000
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen smtp
    bind 192.0.2.10:25
    bind [2001:db8:1::10]:25
    server sink 10.0.0.11:25
"""
POSTSCREEN = """smtp inet n - n - 1 postscreen
smtpd pass - - n - - smtpd
  -o smtpd_proxy_filter=10.0.0.11:25
dnsblog unix - - n - 0 dnsblog
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
POSTSCREEN_MAIN = """
postscreen_access_list = permit_mynetworks
postscreen_greet_action = ignore
"""


@contextlib.contextmanager
def kernel_stack(lab):
    """The gate's addresses of both families with the kernel, and a way back for its answers."""
    def change(*commands):
        for command in commands:
            lab_relay.inside_gate(lab, *command.split())
    change('sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.outside.disable_ipv6=0 '
           'net.ipv6.conf.inside.disable_ipv6=0 net.ipv4.tcp_syncookies=1 '
           'net.ipv6.conf.all.accept_dad=0')
    for family, (outside, inside) in ADDRESSES.items():
        nodad = ' nodad' if family == 6 else ''
        change(f'ip address add {outside} dev outside{nodad}',
               f'ip address add {inside} dev inside{nodad}',
               f'ip -{family} route add default via {GATEWAYS[family]}')
    try:
        yield
    finally:
        change('ip address flush dev outside scope global', 'ip address flush dev inside scope global',
               'sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.outside.disable_ipv6=1 '
               'net.ipv6.conf.inside.disable_ipv6=1')


@contextlib.contextmanager
def relaygate(lab):
    config = lab.config()
    config['gate']['MaxSessions'] = '4000'
    config['gate']['Realtime'] = 'yes'
    config['backend cluster']['MaxConnections'] = '200'
    config['backend cluster']['Servers'] = f'{lab_relay.SERVER}:25'
    ranges = ', '.join('%s/%d' % source for source in LISTED.values())
    # What an operator sets who expects forged SYNs from a network that he lists.
    config['connector Flooded'] = dict(config['connector Submission'], RemoteIPRanges=ranges,
                                       MaxSynRate='20000', MaxSynRateAction='drop')
    with labs.Gate(lab, config):
        yield


@contextlib.contextmanager
def haproxy(lab):
    file = lab.path('haproxy.cfg')
    with open(file, 'w') as config:
        config.write(HAPROXY)
    with kernel_stack(lab):
        process = lab.start('gate', 'haproxy', '-db', '-f', file, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


@contextlib.contextmanager
def postscreen(lab):
    folder = lab.path('postscreen')
    user = pwd.getpwnam('postfix')
    for name in ('', '/config', '/queue', '/data'):
        os.mkdir(folder + name)
    os.chown(folder + '/data', user.pw_uid, user.pw_gid)
    main = (lab_relay.MAIN.format(dir=folder) + POSTSCREEN_MAIN)
    main = main.replace('inet_interfaces = 192.0.2.10', 'inet_interfaces = 192.0.2.10, '
                        '[2001:db8:1::10]').replace('inet_protocols = ipv4', 'inet_protocols = all')
    main = main.replace('mynetworks = 192.0.2.0/24', 'mynetworks = 192.0.2.0/24, [2001:db8:1::]/64')
    for name, text in (('main.cf', main), ('master.cf', POSTSCREEN)):
        with open(f'{folder}/config/{name}', 'w') as file:
            file.write(text)
    with kernel_stack(lab):
        lab_relay.inside_gate(lab, 'postfix', '-c', folder + '/config', 'start')
        with open(folder + '/queue/pid/master.pid') as file:
            master = int(file.read())
        try:
            yield
        finally:
            lab.run('gate', 'postfix', '-c', folder + '/config', 'stop')
            if os.path.exists(f'/proc/{master}'):
                os.kill(master, signal.SIGTERM)
    subprocess.run(['rm', '-rf', folder], check=True)


MIDDLES = {'HAProxy': haproxy, 'postscreen': postscreen, 'relaygate': relaygate}
SAME_RATE = 'relaygate at HAProxy\'s rate'


def start_mails(lab, family, count, sessions):
    """smtp-source ends with 0 only if every message was answered 250."""
    return lab.start('app', 'smtp-source', '-l', '4096', '-m', str(count), '-s', str(sessions),
                     '-f', 'reports@sender.test', '-t', 'colleague@accepted.test',
                     f'[{labs.GATE[family]}]:25', stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)


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


def offer(lab, family, rate, seconds):
    """So many messages a second, in batches that begin on time: {rate, failures of batches}."""
    batch = max(int(rate * SLICE), 1)
    begun, batches = time.monotonic(), []
    for i in range(int(seconds / SLICE)):
        time.sleep(max(0, begun + i * SLICE - time.monotonic()))
        batches.append(start_mails(lab, family, batch, min(batch, 8)))
    failures = 0
    for process in batches:
        try:
            failures += process.wait(max(0.1, begun + 3 * seconds + 20 - time.monotonic())) != 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            failures += 1
    took = max(time.monotonic() - begun, seconds)
    return {'offered': batch / SLICE, 'per_second': (len(batches) - failures) * batch / took,
            'failures': failures, 'batches': len(batches)}


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


def measure(lab, family, options, greatest):
    row = {'greatest': greatest}
    half = greatest / 2
    row['no flood'] = offer(lab, family, half, options.seconds)
    for name, source, kind in FLOODS:
        told = {}
        with flooded(lab, family, source, kind, options.rate, told):
            told.update(offer(lab, family, half, options.seconds))
        told['kept'] = told['per_second'] / row['no flood']['per_second']
        row[name] = told
    return row


def compare(lab, options):
    results = {}
    for name in options.middle:
        with MIDDLES[name](lab):
            labs.wait_for(f'{name} takes a message',
                          lambda: start_mails(lab, 4, 1, 1).wait(20) == 0)
            results[name] = {str(family): measure(lab, family, options, greatest_rate(
                lab, family, options.seconds)) for family in options.family}
            if name == 'relaygate' and 'HAProxy' in results:
                results[SAME_RATE] = {
                    family: measure(lab, int(family), options, row['greatest'])
                    for family, row in results['HAProxy'].items()}
    return results


def cell(row):
    mark = '' if row['kept'] >= KEPT and not row['failures'] else ' !'
    failed = f', {row["failures"]} failed' if row['failures'] else ''
    return f'{row["kept"]:.0%}{failed} ({row["flood_per_second"] / 1e3:,.0f} k/s){mark}'


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


def main():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument('--json')
    parser.add_argument('--rate', type=int, default=300000)
    parser.add_argument('--seconds', type=float, default=3)
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
