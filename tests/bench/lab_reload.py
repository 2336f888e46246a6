#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
#
# Ten reloads of a file with a million ranges while smtp-source mails through the gate as fast as it
# goes and a flood of forged SYNs comes in. Shown for each: the steps' times as the gate measured
# them, and its memory behind it. What was lost meanwhile (by the device, or for want of room) stands
# beside what was lost in the seconds before, without reloads. No session may break. Then the same
# number of addresses by those of reload_peers.py, without mail and flood, in the same place.
"""lab_reload.py [--json FILE] [--ranges N] [--reloads N] [--rate N] [--calm SECONDS] [--alone]:
needs root."""
import argparse
import json
import os
import signal
import subprocess
import sys
import time

import accounts
import lab as labs
import reload_peers
import smtp

FLOOD = os.path.join(labs.BUILD, 'tests', 'system', 'flood')
SESSIONS = 10  # of smtp-source, which ends when one breaks
STEPS = ('load', 'compile', 'swap', 'free')
LOST = ('syn_unsent', 'handover_full', 'tcp_no_buffer', 'smtp_connector_gone', 'session_evicted')


def many(count):
    """So many hosts, eight a line."""
    texts = reload_peers.hosts(count)
    return ',\n    '.join(', '.join(texts[i:i + 8]) for i in range(0, count, 8))


def record(gate):
    return gate.dump('instance')[0]['formatted']['value']


def lost(gate):
    reasons = gate.reasons()
    counts = {name: reasons.get(name, 0) for name in LOST}
    counts['device_missed'] = sum(row['device_missed'] for row in gate.ports().values())
    return counts


def reload(gate, number):
    begun = time.monotonic()
    done = subprocess.run([labs.BINARY, 'reload', '-c', gate.file], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    seconds, row = time.monotonic() - begun, record(gate)
    took = {step: row[f'{step}_took_us'] / 1e6 for step in STEPS}
    took['seconds'] = seconds
    took['memory'] = gate.resident_bytes() / 2**20
    if done.returncode:
        sys.exit(f'reload {number} was refused')
    print(f'{number:>7}' + ''.join(f'{took[step]:>10.3f}' for step in STEPS)
          + f'{took["memory"]:>12.1f}', flush=True)
    return took


def measure(lab, gate, group, options):
    smtp.await_backend(lab)
    reloads = []
    mac = json.loads(lab.run('gate', 'ip', '-json', 'link', 'show', 'outside')[1])[0]['address']
    print(f'memory before {gate.resident_bytes() / 2**20:.1f} MB\n'
          f' reload  load, s   compile      swap      free  memory, MB')
    alone = [reload(gate, f'alone {number + 1}') for number in range(2)]
    alone_peak = group.peak()
    mailing = lab.start('app', 'smtp-source', '-c', '-m', '1000000', '-s', str(SESSIONS), '-l', '4000', '-f',
                        'a@sender.test', '-t', 'b@accepted.test', '192.0.2.10:25',
                        stdout=subprocess.DEVNULL)
    flood = lab.start('stranger', FLOOD, 'net0', mac, '198.18.0.0', '15', '192.0.2.10', '25',
                      '100000000', str(options.rate), '1', stdout=subprocess.DEVNULL)
    try:
        start, before = time.monotonic(), lost(gate)
        time.sleep(options.calm)
        middle, between = time.monotonic(), lost(gate)
        for number in range(options.reloads):
            reloads.append(reload(gate, number + 1))
        end, after = time.monotonic(), lost(gate)
        working = mailing.poll() is None
    finally:
        for process in (mailing, flood):
            process.kill()
            process.wait()
    rows = gate.connectors_at_rest()
    result = {'alone': alone, 'alone_peak': alone_peak, 'reloads': reloads,
              'seconds': [middle - start, end - middle],
              'lost': {name: [between[name] - before[name], after[name] - between[name]]
                       for name in after},
              'messages': rows['Anonymous Relay']['messages'],
              'dropped': gate.reason('no_connector'), 'mail_went_on': working}
    print(f'{result["messages"]} messages, {result["dropped"]} frames of the flood dropped; '
          f'in {middle - start:.1f} s without reloads and {end - middle:.1f} s with them: '
          + ', '.join(f'{name} {counts[0]} and {counts[1]}'
                      for name, counts in result['lost'].items()))
    if not working:
        sys.exit('smtp-source ended: a session was broken')
    return result


def row_of(reloads, options, before, peak, **more):
    seconds = sorted(row['seconds'] for row in reloads)
    return {'entries': options.ranges, 'seconds': seconds[len(seconds) // 2], 'seconds_each': seconds,
            'bytes': before, 'bytes_peak': peak, **more}


def show(table):
    """All of them beside one another."""
    rows = [('', 'entries', 'seconds', 'MB before', 'most MB', 'broken', '')]
    rows += [(name, f'{row["entries"]:,}', f'{row["seconds"]:.2f}', f'{row["bytes"] / 1e6:.0f}',
              f'{row["bytes_peak"] / 1e6:.0f}', f'{row["broken"]} of {row["sessions"]}'
              if 'broken' in row else '', row['note']) for name, row in table.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print('\nreload: seconds until the new list is in force (the middle of some), memory of the host '
          'in the middle with its kernel, sessions that it broke')
    for row in rows:
        print('  ' + '  '.join(cell.rjust(width) if 0 < i < len(row) - 1 else cell.ljust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))), flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('--json')
    parser.add_argument('--ranges', type=int, default=1000000)
    parser.add_argument('--reloads', type=int, default=10)
    parser.add_argument('--rate', type=int, default=50000)
    parser.add_argument('--calm', type=float, default=10)
    parser.add_argument('--alone', action='store_true')
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped by SIGTERM'))
    with accounts.Lab(receivers=False) as lab:
        lab.command('backend', 'sink')
        config = lab.config()
        config['connector Many'] = dict(config['connector Submission'],
                                        RemoteIPRanges=many(options.ranges))
        with accounts.Memory(lab, 'gate') as group, labs.Gate(lab, config) as gate:
            before = sum(group.bytes())
            result = measure(lab, gate, group, options)
            result['table'] = {
                'relaygate': row_of(result['alone'], options, before, result['alone_peak'],
                                    note='the whole configuration; old and new at once'),
                'relaygate under mail and a flood': row_of(
                    result['reloads'], options, before, group.peak(), note='likewise',
                    sessions=SESSIONS, broken=0)}
        if not options.alone:
            result['table'].update(reload_peers.measure(lab, options.ranges))
    show(result['table'])
    if options.json:
        with open(options.json, 'w') as file:
            json.dump(result, file)


if __name__ == '__main__':
    main()
