# SPDX-License-Identifier: BSD-3-Clause
#
# The pictures of the benchmarks but gate and flood: bars, ours blue, others grey, each group to a
# scale of its own, which is logarithmic where the longest bar is more than 40 times the shortest
# (and says so). Made from the figures that the JSON has, and from nothing else.
"""Pictures of cookie, sessions, relay, idle, waiting and reload."""
import math

import chart
from chart import OURS, THEIRS

LOGARITHMIC = 40
ROOM = chart.WIDTH - chart.LEFT - 170


def colour(name):
    return OURS if name.startswith('relaygate') else THEIRS


def group(heading, rows, top):
    """Rows of (name, value, text beside the bar) under a heading; SVG, and where it ends."""
    values = [value for _, value, _ in rows if value > 0]
    most, ratio = max(values, default=1), max(values, default=1) / min(values, default=1)
    logarithmic = ratio > LOGARITHMIC
    out = [chart.text(20, top, heading + (' (logarithmic)' if logarithmic else ''), size=12,
                      weight='bold')]
    y = top + 10
    for name, value, beside in rows:
        share = value / most
        if logarithmic:  # the shortest bar gets a tenth
            share = 1 + 0.9 * math.log(max(share, 1e-9)) / math.log(ratio)
        width = max(share * ROOM, 1)
        out.append(chart.text(chart.LEFT - 8, y + 12, name, 'end'))
        out.append(f'<rect x="{chart.LEFT}" y="{y}" width="{width:.1f}" height="{chart.BAR}" '
                   f'fill="{colour(name)}"/>')
        out.append(chart.text(chart.LEFT + width + 6, y + 12, beside, size=11))
        y += chart.ROW
    return out, y + 22


def picture(title, groups, notes, machine):
    """Groups of (heading, rows), then notes, then what it was measured on."""
    parts, y = [chart.text(20, 24, title, size=15, weight='bold')], 52
    for heading, rows in groups:
        out, y = group(heading, rows, y)
        parts += out
    versions = ', '.join(f'{name} {machine[name]}' for name in
                         ('DPDK', 'HAProxy', 'Postfix', 'nftables', 'Haraka') if name in machine)
    for line in (*notes, f'{machine["cpu"]}, {machine["cores"]} cores, Linux {machine["kernel"]}, '
                 f'commit {machine["commit"]}', versions):
        parts.append(chart.text(20, y, line, size=11))
        y += 16
    return chart.document(parts, y + 4)


def cookie(results, machine):
    rows = [(f'relaygate, IPv{row["family"]}, {"huge" if row["huge_pages"] else "4 KB"} pages',
             row['mpps_median'], f'{row["mpps_median"]:.2f}') for row in results['gate']]
    rows += [('XDP program, bpf_tcp_raw_gen_syncookie_ipv4 *', results['xdp']['mpps'],
              f'{results["xdp"]["mpps"]:.2f}'),
             ('Linux, tcp_syncookies = 2 *', results['kernel']['mpps'],
              f'{results["kernel"]["mpps"]:.2f}')]
    groups = [('million SYNs a second on one core', rows)]
    strays = [(f'relaygate, IPv{row["family"]}', row['mpps_median'], f'{row["mpps_median"]:.2f}')
              for row in results.get('strays', [])]
    if strays:
        groups.append(('million ACKs a second that belong to no connection', strays))
    return picture('SYNs of listed sources answered with a cookie', groups, [
            '* neither receiving a frame nor sending its answer is in the figure; IPv4'], machine)


def notes_of(rows):
    return [f'{name}: {row["note"]}' for name, row in rows.items() if 'note' in row]


def sessions(results, machine):
    rows = [(f'relaygate: {name}', row.get('per_second_median') or row['per_second_wall'])
            for name, row in results['variants'].items()]
    groups = [('sessions a second on one core, from memory',
               [(name, value, f'{value:,.0f}') for name, value in rows])]
    if 'lab' in results:
        groups.append(('microseconds of CPU time a session, in the lab', [
            (name, row['us'], f'{row["us"]:,.0f}') for name, row in results['lab'].items()]))
    return picture('Refused sessions: handshake, EHLO, MAIL, RCPT refused, QUIT', groups, [
        'lab: the host in the middle with its part of the kernel; not clients, wire, server behind',
        *notes_of(results.get('lab', {}))], machine)


def relay(results, machine):
    rows = [(f'relaygate: {name}', row.get('per_second_median') or row['per_second_wall'])
            for name, row in results['variants'].items()]
    groups = [('messages a second on one core, from memory',
               [(name, value, f'{value:,.0f}') for name, value in rows])]
    for load in next(iter(results.get('lab', {'': {}}).values())):
        if load != 'idle_cpu_percent':
            groups.append((f'microseconds of CPU time a message, in the lab, {load}', [
                (name, row[load]['middle_us'], f'{row[load]["middle_us"]:,.0f} (all '
                 f'{row[load]["all_us"]:,.0f})')
                for name, row in results['lab'].items()]))
    return picture('Messages of 4 KB relayed', groups, [
        'lab: the process in the middle (all: client and server, too, and what interrupts the three)',
        'HAProxy in tcp mode judges nothing; Postfix is a before-queue proxy'], machine)


def size(number):
    return f'{number / 1e6:,.1f} MB' if number >= 1e6 else f'{number / 1e3:,.1f} KB'


def idle(results, machine):
    rows = [(f'relaygate, {results["sessions"]:,} sessions, from memory', results['bytes_ehlo'],
             size(results['bytes_ehlo']))]
    rows += [(f'{name}, {row["sessions"]:,} sessions', row['bytes'],
              f'{size(row["bytes"])} (kernel {size(row["kernel_bytes"])})')
             for name, row in results.get('lab', {}).items()]
    return picture('Memory of an idle session', [('bytes a session', rows)], [
        'in the lab, behind the greeting: growth of a control group of the host in the middle, kernel '
        'and sockets included'], machine)


def waiting(results, machine):
    each = [('relaygate: refusal kept back by the tarpit', results['tarpitted_bytes']),
            ('relaygate: greeting delayed', results['delayed_bytes'])]
    dialogues = [('relaygate: nobody waits', results['alone_cycles']),
                 (f'relaygate: beside {2 * results["waiting"]:,} who wait', results['beside_cycles'])]
    return picture('Sessions that are made to wait', [
        ('bytes for each beside what is taken at the start', [
            (name, max(value, 0), f'{value:,.0f}') for name, value in each]),
        ('cycles a dialogue of others', [
            (name, value, f'{value:,.0f}') for name, value in dialogues])], [
                f'a core is busy by {results["idle_percent"]:.2f} % while all wait'], machine)


def reload(results, machine):
    table = results['table']
    return picture('A long list of addresses reloaded', [
        ('seconds until it is in force', [
            (f'{name}, {row["entries"]:,}', row['seconds'], f'{row["seconds"]:.2f}')
            for name, row in table.items()]),
        ('memory, the most meanwhile', [
            (f'{name}, {row["entries"]:,}', row['bytes_peak'],
             f'{row["bytes_peak"] / 1e6:,.0f} MB') for name, row in table.items()])], [
                 *notes_of(table), 'sessions that broke: ' + ', '.join(
                     f'{name} {row["broken"]} of {row["sessions"]}'
                     for name, row in table.items() if 'broken' in row)], machine)
