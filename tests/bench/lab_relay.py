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
import glob
import json
import os
import pwd
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
import lab as labs  # noqa: E402 (from the folder above)

SERVER = '10.0.0.11'
ADDRESSES = {4: ('192.0.2.10/24', '10.0.0.1/24'), 6: ('2001:db8:1::10/64', '2001:db8:2::1/64')}
GATEWAYS = {4: '192.0.2.1', 6: '2001:db8:1::1'}
TICKS = os.sysconf('SC_CLK_TCK')
# Name, options of smtp-source: 20 sessions that never pause, or 200 with a pause of a second.
LOADS = (('as fast as it goes, 20 sessions', ('-s', '20'), 1),
         ('about 200 a second, 200 sessions', ('-s', '200', '-w', '1'), 0.2))

HAPROXY = """global
    nbthread 1
    maxconn 4000
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

MAIN = """compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {dir}/maillog
maillog_file_prefixes = {dir}
myhostname = mx.example.com
inet_interfaces = 192.0.2.10
inet_protocols = ipv4
smtpd_peername_lookup = no
disable_dns_lookups = yes
mydestination = accepted.test
mynetworks = 192.0.2.0/24
alias_maps =
alias_database =
local_recipient_maps =
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_error_sleep_time = 0
default_process_limit = 500
"""
MASTER = """smtp inet n - n - - smtpd
  -o smtpd_proxy_filter=10.0.0.11:25
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


def stat_seconds(pid, children):
    """CPU time of a process so far, of the children that it waited for, too."""
    try:
        with open(f'/proc/{pid}/stat') as file:
            fields = file.read().rsplit(') ', 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(field) for field in fields[11:15 if children else 13]) / TICKS


def processes_in(lab, host):
    """Processes in a host's network."""
    network = os.stat(f'/run/netns/{lab.name}-{host}').st_ino
    for entry in glob.glob('/proc/[0-9]*/ns/net'):
        with contextlib.suppress(OSError):
            if os.stat(entry).st_ino == network:
                yield int(entry.split('/')[2])


def cpu_seconds(lab, host):
    return sum(stat_seconds(pid, True) for pid in processes_in(lab, host))


def inside_gate(lab, *command):
    code, output = lab.run('gate', *command)
    if code:
        sys.exit(f'{" ".join(command)}: {output}')


@contextlib.contextmanager
def kernel_addresses(lab):
    """The gate's addresses of both families, for once with the kernel, and a way back for its
    answers."""
    def change(*commands):
        for command in commands:
            inside_gate(lab, *command.split())
    change('sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.outside.disable_ipv6=0 '
           'net.ipv6.conf.inside.disable_ipv6=0 net.ipv6.conf.all.accept_dad=0 '
           'net.ipv4.tcp_syncookies=1')
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
    config['gate']['MaxSessions'] = '1000'
    # A server that must take what the other two bring, one connection a session.
    config['backend cluster']['MaxConnections'] = '200'
    config['backend cluster']['Servers'] = f'{SERVER}:25'
    with labs.Gate(lab, config):
        yield


@contextlib.contextmanager
def haproxy(lab):
    file = lab.path('haproxy.cfg')
    with open(file, 'w') as config:
        config.write(HAPROXY)
    with kernel_addresses(lab):
        process = lab.start('gate', 'haproxy', '-db', '-f', file, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


@contextlib.contextmanager
def postfix(lab, master_cf=MASTER, more=''):
    """Postfix of this master.cf; `more` settings in main.cf go before those of the same name."""
    folder = lab.path('proxy')
    user = pwd.getpwnam('postfix')
    for name in ('', '/config', '/queue', '/data'):
        os.mkdir(folder + name)
    os.chown(folder + '/data', user.pw_uid, user.pw_gid)
    for name, text in (('main.cf', MAIN.format(dir=folder) + more), ('master.cf', master_cf)):
        with open(f'{folder}/config/{name}', 'w') as file:
            file.write(text)
    with kernel_addresses(lab):
        inside_gate(lab, 'postfix', '-c', folder + '/config', 'start')
        with open(folder + '/queue/pid/master.pid') as file:
            master = int(file.read())
        try:
            yield
        finally:
            lab.run('gate', 'postfix', '-c', folder + '/config', 'stop')
            if os.path.exists(f'/proc/{master}'):
                os.kill(master, signal.SIGTERM)
    subprocess.run(['rm', '-rf', folder], check=True)


MIDDLES = {'relaygate': relaygate, 'HAProxy': haproxy, 'Postfix': postfix}


def greets(lab):
    """The way to the sink is open: a whole message went through."""
    code, _ = lab.run('app', 'smtp-source', '-m', '1', '-t', 'colleague@accepted.test',
                      '192.0.2.10:25', seconds=10)
    return code == 0


def measure(lab, messages, size, arguments):
    before = {host: cpu_seconds(lab, host) for host in ('gate', 'backend')}
    used = os.times()
    started = time.monotonic()
    code, output = lab.run('app', 'smtp-source', '-d', '-l', str(size), '-m', str(messages),
                           *arguments, '-f', 'reports@sender.test', '-t',
                           'colleague@accepted.test', '192.0.2.10:25', seconds=120)
    elapsed = time.monotonic() - started
    if code:
        sys.exit(f'smtp-source: exit code {code}: {output}')
    middle, sink = (cpu_seconds(lab, host) - before[host] for host in ('gate', 'backend'))
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
            idle_from, idle = time.monotonic(), cpu_seconds(lab, 'gate')
            time.sleep(2)  # what it costs to do nothing
            idle = (cpu_seconds(lab, 'gate') - idle) / (time.monotonic() - idle_from)
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
