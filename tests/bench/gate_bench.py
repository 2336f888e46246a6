# SPDX-License-Identifier: BSD-3-Clause
#
# `scripts/bench gate` and `scripts/bench cookie`: runs bench_gate in its variants and the peers on
# the same flood, prints one table. Judges nothing.
"""The drop path and the SYN cookie, beside what a user would otherwise run."""
import itertools
import os
import subprocess
import tempfile

import peers

FRAMES = 16384
# Of `cookie`: of 65,536 SYNs in a circle one in 32 comes while it is remembered; a flood fills any
# cache. And fewer than 3/4 of the entries that there are otherwise.
FLOOD_FRAMES, FLOOD_ENTRIES = 65536, 2048
KNOWN_FRAMES = 12000
GOAL_GATE, GOAL_COOKIE = 37.0, 10.0
ROUNDS = 3


class Bench:
    """Programs, the core they are pinned to, and how long they measure."""

    def __init__(self, programs, quick, full):
        self.gate = os.path.join(programs, 'bench_gate')
        self.stages = os.path.join(programs, 'bench_gate_stages')
        self.xdp = os.path.join(programs, 'bench_xdp')
        self.lookup = os.path.join(programs, 'bench_lookup')
        self.forge = os.path.join(programs, 'bench_forge')
        self.core = os.cpu_count() - 1
        self.quick, self.full = quick, full
        self.milliseconds = 300 if quick else 1000

    def run(self, program, family, connectors, ranges, huge, *more):
        """One run. The EAL pins the worker to the last core by itself."""
        arguments = ['--family', family, '--connectors', connectors, '--ranges', ranges,
                     '--frames', FRAMES, '--milliseconds', self.milliseconds, *more]
        return peers.read_json(program, *arguments, *(['--huge'] if huge else []))


def label(count):
    return {10000: '10 k', 100000: '100 k', 1000000: '1 M'}.get(count, str(count))


def best_of(rows):
    return min(rows, key=lambda row: row['cycles_median'])


def show(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print('  ' + '  '.join(cell.ljust(width) if i == 0 else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))), flush=True)


# ---- The drop path ---------------------------------------------------------------------------


def head_to_head(bench, huge):
    """The rows that the goal is about, in turn with testpmd on the same file, by family."""
    ours, theirs = {}, {}
    for family in (4, 6):
        ours[family], theirs[family] = [], []
        with tempfile.TemporaryDirectory() as folder:
            capture = os.path.join(folder, 'syns.pcap')
            subprocess.run([bench.gate, '--family', str(family), '--write-capture', capture],
                           check=True)
            for _ in range(1 if bench.quick else ROUNDS):
                theirs[family].append(peers.testpmd(capture, FRAMES, huge, bench.core))
                ours[family].append(bench.run(bench.gate, family, 100, 100000, huge))
    return ({family: best_of(rows) for family, rows in ours.items()},
            {str(family): max(rows, key=lambda row: row['mpps_median'])
             for family, rows in theirs.items()})


def matrix(bench, pages, head):
    """Variants of family, connectors, ranges and pages; the fastest run of each. Those that were
    measured beside testpmd are not measured again."""
    if bench.full:
        cells = list(itertools.product((4, 6), (1, 100, 10000), (10, 100000, 1000000), pages))
    else:
        cells = [(family, 100, ranges, pages[0])
                 for family, ranges in itertools.product((4, 6), (10, 100000, 1000000))]
        cells += [(family, 100, 100000, False) for family in (4, 6) if pages[0]]
    known = {(family, 100, 100000, pages[0]): [row] for family, row in head.items()}
    runs = {cell: known.get(cell, []) for cell in cells}
    for _ in range(1 if bench.quick or bench.full else 2):
        for cell in cells:
            if cell not in known:
                runs[cell].append(bench.run(bench.gate, *cell))
    return [best_of(rows) for rows in runs.values()]


def gate_peers(bench):
    """The look-up alone, XDP and nftables. The peers' 1 M ranges tell what their 100 k do not."""
    results = {'xdp': [], 'lookup': [], 'nftables': {}}
    counts = (10, 100000) if bench.quick else (10, 100000, 1000000)
    for family, ranges in itertools.product((4, 6), counts):
        size = ['--family', family, '--ranges', ranges]
        results['xdp'].append(peers.read_json(bench.xdp, *size, '--runs', 30 if bench.quick else 60,
                                              core=bench.core))
        results['lookup'].append(peers.read_json(
            bench.lookup, *size, '--count', 1000000 if bench.quick else 10000000, core=bench.core))
    for family in (4, 6):
        with tempfile.TemporaryDirectory() as folder:
            ranges = os.path.join(folder, 'ranges')
            subprocess.run([bench.gate, '--family', str(family), '--write-ranges', ranges], check=True)
            results['nftables'][str(family)] = peers.nftables(bench.xdp, ranges, family, bench.core,
                                                              20 if bench.quick else 60)
    return results


def show_matrix(rows):
    """Mpps and cycles; a line a family, page size and number of connectors, a column a number of
    ranges."""
    ranges = sorted({row['ranges'] for row in rows})
    cells = {(row['family'], row['huge_pages'], row['connectors'], row['ranges']):
             f'{row["mpps_median"]:.1f} ({row["cycles_median"]:.0f})' for row in rows}
    show([('  Mpps (cycles)', *(f'{label(count)} ranges' for count in ranges))]
         + [(f'  IPv{family}, {"huge" if huge else "4 KB"} pages, {label(connectors)} connectors',
             *(cells.get((family, huge, connectors, count), '') for count in ranges))
            for family, huge, connectors in sorted(
                {key[:3] for key in cells}, key=lambda key: (key[0], not key[1], key[2]))])


def show_gate(results):
    head = results['head']
    mpps = head['mpps_median']
    rows = {row['family']: row['mpps_median'] for row in results['matrix']
            if (row['connectors'], row['ranges'], row['huge_pages'])
            == (100, 100000, head['huge_pages'])}
    xdp = next(row for row in results['xdp'] if row['family'] == 4 and row['ranges'] == 100000)
    pages = 'huge pages' if head['huge_pages'] else '4 KB pages'

    def line(name, family, rate):
        return (f'{name}, IPv{family}', f'{rate:.1f}', f'{head["tsc_mhz"] / rate:.1f}',
                f'{rate / rows[family]:.2f}')

    print(f'\ngate: SYNs of unlisted sources dropped, one core, {FRAMES:,} distinct frames of 60 '
          f'bytes (IPv6: 78), net_pcap infinite_rx, {pages}; CPU time of the worker, median of '
          f'windows of 10 ms, the better of the runs')
    print(f'  goal: IPv4, 100 k ranges: {GOAL_GATE:.0f} Mpps = '
          f'{head["tsc_mhz"] / GOAL_GATE:.1f} cycles of {head["tsc_mhz"]:,.0f} MHz')
    show([('', 'Mpps', 'cycles', 'beside relaygate')]
         + [line('relaygate, 100 connectors, 100 k ranges', family, rate)
            for family, rate in rows.items()]
         + [line('testpmd rxonly, same file (no verdict)', int(family), row['mpps_median'])
            for family, row in results['testpmd'].items()]
         + [line(f'XDP program, hash and LPM trie, {label(row["ranges"])} ranges (no receiving)',
                 row['family'], row['mpps']) for row in results['xdp']]
         + [line(f'nftables, netdev ingress, {kind} set, 100 k ranges (no receiving)', int(family),
                 row['mpps']) for family, kinds in results['nftables'].items()
            for kind, row in kinds.items() if kind != 'base_ns'])
    print(f'  relaygate / testpmd {mpps / results["testpmd"]["4"]["mpps_median"]:.2f} (floor 0.50), '
          f'relaygate / XDP {mpps / xdp["mpps"]:.1f} (floor 2.5)')
    show_matrix(results['matrix'])
    print('  cycles a frame by stage (the clock read where one folder calls the next):')
    show([('', *(name for name in results['stages']['4']))]
         + [(f'IPv{family}', *(f'{value:.1f}' for value in stages.values()))
            for family, stages in results['stages'].items()])
    print('  the look-up of the source alone, bursts of 64, '
          f'{results["lookup"][0]["sources"]:,} random sources:')
    show([('', 'cycles', 'best', 'MB')]
         + [(f'IPv{row["family"]}, {label(row["ranges"])} ranges', f'{row["cycles_median"]:.1f}',
             f'{row["cycles_best"]:.1f}', f'{row["bytes"] / 1e6:.1f}')
            for row in results['lookup']])


def gate(bench):
    results = {}
    with peers.huge_pages() as huge:
        if not huge:
            print('  (no huge pages to be had: all figures with 4 KB pages)')
        head, results['testpmd'] = head_to_head(bench, huge)
        results['head'] = head[4]
        results['stages'] = {
            str(family): bench.run(bench.stages, family, 100, 100000, huge)['stages']
            for family in (4, 6)}
        results['matrix'] = matrix(bench, (True, False) if huge else (False,), head)
    results.update(gate_peers(bench))
    show_gate(results)
    return results


# ---- SYN cookies -----------------------------------------------------------------------------


def show_cookie(results):
    head = results['gate'][0]
    print(f'\ncookie: SYNs of listed sources answered, one core, {results["frames"]:,} distinct '
          f'frames, {FLOOD_ENTRIES:,} half-open entries; the answers go to a driver that drops '
          f'them. Goal {GOAL_COOKIE:.0f} M/s = '
          f'{head["tsc_mhz"] / GOAL_COOKIE:.0f} cycles of {head["tsc_mhz"]:,.0f} MHz')
    show([('', 'M SYN-ACK/s', 'cycles', 'best')]
         + [(f'relaygate, IPv{row["family"]}, 100 connectors, 100 k ranges, '
             f'{"huge" if row["huge_pages"] else "4 KB"} pages', f'{row["mpps_median"]:.2f}',
             f'{row["cycles_median"]:.0f}', f'{row["cycles_best"]:.0f}')
            for row in results['gate']]
         + [('relaygate, IPv4, each SYN known and answered again (cache not full)',
             f'{results["known"]["mpps_median"]:.2f}',
             f'{results["known"]["cycles_median"]:.0f}', f'{results["known"]["cycles_best"]:.0f}')]
         + [(name, f'{row["mpps"]:.2f}', f'{head["tsc_mhz"] / row["mpps"]:.0f}', '')
            for name, row in (('XDP, bpf_tcp_raw_gen_syncookie_ipv4, same tables (no receiving, no '
                               'sending, IPv4)', results['xdp']),
                              ('Linux, tcp_syncookies = 2, to the veth (sender taken off, IPv4)',
                               results['kernel']))])
    print('  ACKs of listed sources that belong to no connection (nearly all get no RST, as in any '
          'flood):')
    show([('', 'M ACKs/s', 'cycles', 'best')]
         + [(f'relaygate, IPv{row["family"]}, 100 connectors, 100 k ranges',
             f'{row["mpps_median"]:.2f}', f'{row["cycles_median"]:.0f}',
             f'{row["cycles_best"]:.0f}') for row in results['strays']])
    print('  where the cycles go, IPv4 (sampled):')
    show([(f'  {name}', f'{cycles:,.0f}', f'{cycles / head["cycles_median"]:.0%}')
          for name, cycles in results['stages'].items()])
    print('  forged ACKs:')
    show([('', 'tries', 'passed', 'expected', 'of these need no half-open entry')]
         + [('with timestamps' if row['timestamps'] else 'without timestamps',
             f'{row["tries"]:,}', str(row['passed']),
             'less' if row['timestamps'] else f'{row["expected"]:.2f}', str(row['without_entry']))
            for row in results['forged']])


def cookie(bench, stages_of):
    """stages_of(program, arguments, cycles): cycles by stage from samples (scripts/bench)."""
    results = {'frames': FLOOD_FRAMES, 'gate': []}
    more = ['--listed', '--frames', FLOOD_FRAMES, '--half-open', FLOOD_ENTRIES]
    with peers.huge_pages(2 * peers.GATE_PAGES) as huge:
        for family in (4, 6):
            rows = [bench.run(bench.gate, family, 100, 100000, huge, *more)
                    for _ in range(1 if bench.quick else ROUNDS)]
            results['gate'].append(best_of(rows))
        results['known'] = best_of(
            [bench.run(bench.gate, 4, 100, 100000, huge, '--listed', '--frames', KNOWN_FRAMES)
             for _ in range(1 if bench.quick else ROUNDS)])
        results['strays'] = [
            best_of([bench.run(bench.gate, family, 100, 100000, huge, *more, '--acks')
                     for _ in range(1 if bench.quick else ROUNDS)]) for family in (4, 6)]
        arguments = [*map(str, more), '--milliseconds', '500' if bench.quick else '5000']
        results['stages'] = stages_of('bench_gate', arguments + (['--huge'] if huge else []),
                                      results['gate'][0]['cycles_median'])
    results['gate'].append(bench.run(bench.gate, 4, 100, 100000, False, *more))
    results['xdp'] = peers.read_json(bench.xdp, '--listed', '--runs', 60, core=bench.core)
    results['kernel'] = peers.kernel_cookies(bench.xdp, bench.core, 10 if bench.quick else 40)
    tries = 1000000000 if bench.full else 10000000 if bench.quick else 100000000
    results['forged'] = [peers.read_json(bench.forge, '--tries', tries, *more)
                         for more in ([], ['--timestamps'])]
    show_cookie(results)
    return results
