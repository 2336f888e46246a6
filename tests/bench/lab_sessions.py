#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
#
# What a refused session costs in CPU time, and an idle one in memory: relaygate and what else could
# stand there take the same place in the lab, one after the other (middles.py), before the same
# clients (clients.c). Counted is the host in the middle with its part of the kernel (accounts.py);
# the clients, the wire and the server behind are not.
"""lab_sessions.py cpu|memory [--json FILE] [--sessions N] [--rounds N] [--middle NAME...]: root."""
import argparse
import json
import os
import resource
import signal
import subprocess
import sys

import accounts
import lab as labs
import middles

CLIENTS = os.path.join(labs.BUILD, 'tests', 'bench', 'bench_clients')
CONCURRENT = 200
# A proxy has two sockets a session, and some machines allow no more than 20,000 a process.
FEW, LEAST = 1, 64  # sessions that a program is made for when nobody comes; that are measured
# Name, program, its share of the sessions to talk and to hold, what is to be known of the row.
MIDDLES = (
    ('relaygate', middles.relaygate, 1, 1, 'refuses by itself'),
    ('HAProxy, tcp mode', middles.refusing_haproxy, 1, 1, 'judges nothing: a server behind it refuses'),
    ('Postfix postscreen', middles.postscreen, 0.5, 0.5, 'defers every recipient by itself'),
    ('Haraka', middles.haraka, 0.2, 0.2, 'refuses by itself'),
    ('Postfix smtpd', middles.smtpd, 0.1, 0.02, 'refuses by itself; a process a session'),
)


def command(lab, sessions, *more):
    return ['host', CLIENTS, '192.0.2.10', '--sessions', str(sessions), '--concurrent',
            str(min(CONCURRENT, sessions)), *more]


def talk(lab, sessions):
    """So many sessions from beginning to end: CPU time of the middle a session, by kind."""
    file = lab.path('clients.json')
    before = lab.cpu_seconds()
    code, output = lab.run(*command(lab, sessions, '--json', file), seconds=300)
    if code:
        sys.exit(f'bench_clients: exit code {code}: {output}')
    after = lab.cpu_seconds()
    told = json.loads(labs.read(file))
    own, kernel = ((b - a) / sessions * 1e6 for a, b in zip(before, after))
    return {'sessions': sessions, 'us': own + kernel, 'process_us': own, 'receive_us': kernel,
            'per_second': sessions / told['seconds']}


def cpu(lab, name, middle, options, share):
    sessions = max(int(options.sessions * share), LEAST)
    with middle(lab, CONCURRENT * 2):
        labs.wait_for(f'{name} serves', lambda: lab.run(*command(lab, 1))[0] == 0)
        talk(lab, max(sessions // 10, LEAST))  # processes have begun, caches are warm
        rows = sorted((talk(lab, sessions) for _ in range(options.rounds)),
                      key=lambda row: row['us'])
    return dict(rows[0], middle_us=rows[len(rows) // 2]['us'])


def held(lab, sessions, memory):
    """The group's memory while so many sessions are idle behind their greeting."""
    clients = subprocess.Popen(
        ['nsenter', f'--net=/run/netns/{lab.name}-host', *command(lab, sessions, '--hold')[1:]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if clients.stdout.readline() != 'held\n':
            sys.exit(f'bench_clients: {sessions} sessions could not be held')
        taken = memory.bytes()
        clients.stdin.close()
        if clients.wait(60):
            sys.exit('sessions were closed while they were idle')
    finally:
        clients.kill()
        clients.wait()
        clients.stdout.close()
    return taken


def memory(lab, name, middle, options, share):
    """Memory with all sessions, less that of the program made for a few and without any."""
    sessions = max(int(options.sessions * share), LEAST)
    taken = {}
    for made_for in (FEW, FEW, sessions):  # the first one brings what all later ones share
        with accounts.Memory(lab, str(made_for)) as group, middle(lab, made_for):
            labs.wait_for(f'{name} serves', lambda: lab.run(*command(lab, 1))[0] == 0)
            taken[made_for] = group.bytes() if made_for == FEW else held(lab, sessions, group)
    own, kernel = (b - a for a, b in zip(taken[FEW], taken[sessions]))
    return {'sessions': sessions, 'bytes': (own + kernel) / sessions, 'process_bytes': own / sessions,
            'kernel_bytes': kernel / sessions, 'program_bytes': sum(taken[FEW])}


def show(what, results):
    if what == 'cpu':
        print('\nsessions in the lab: handshake, EHLO, MAIL, refused RCPT, QUIT; CPU time of the host '
              f'in the middle, {CONCURRENT} sessions at once, the best round')
        header = ('', 'us a session', 'its processes', 'kernel, receiving', 'sessions/s here', '')
        rows = [(name, f'{row["us"]:,.0f}', f'{row["process_us"]:,.0f}', f'{row["receive_us"]:,.0f}',
                 f'{row["per_second"]:,.0f}', row['note']) for name, row in results.items()]
    else:
        print('\nidle sessions in the lab, behind the greeting: memory of the host in the middle, '
              'kernel included')
        header = ('', 'bytes a session', 'its processes', 'kernel', 'sessions', 'MB without any', '')
        rows = [(name, f'{row["bytes"]:,.0f}', f'{row["process_bytes"]:,.0f}',
                 f'{row["kernel_bytes"]:,.0f}', f'{row["sessions"]:,}',
                 f'{row["program_bytes"] / 1e6:.0f}', row['note']) for name, row in results.items()]
    rows.insert(0, header)
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    for row in rows:
        print('  ' + '  '.join(cell.rjust(width) if 0 < i < len(row) - 1 else cell.ljust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))), flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument('what', choices=('cpu', 'memory'))
    parser.add_argument('--json')
    parser.add_argument('--sessions', type=int, default=8000)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--middle', nargs='*', default=[row[0] for row in MIDDLES])
    options = parser.parse_args()
    if os.geteuid():
        sys.exit('the lab needs root')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped by SIGTERM'))
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    results = {}
    with accounts.Lab() as lab:
        lab.command('backend', 'sink', '-f', 'RCPT', '-m', str(options.sessions + 1000))
        for name, middle, talks, holds, note in MIDDLES:
            if name in options.middle:
                row = (cpu(lab, name, middle, options, talks) if options.what == 'cpu' else
                       memory(lab, name, middle, options, holds))
                results[name] = dict(row, note=note)
    show(options.what, results)
    if options.json:
        with open(options.json, 'w') as file:
            json.dump(results, file, indent=1)


if __name__ == '__main__':
    main()
