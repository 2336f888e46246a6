# SPDX-License-Identifier: BSD-3-Clause
#
# Figures of `scripts/bench gate` as an SVG: bars of Mpps, and a frame's cycles by stage. Written by
# hand, so that it needs no library and the file stays small and readable.
"""The picture of the benchmark of the drop path."""
from xml.sax.saxutils import escape

WIDTH, LEFT, ROW, BAR = 860, 380, 24, 16
COLOURS = ('#4c78a8', '#f58518', '#54a24b', '#e45756', '#72b7b2', '#eeca3b', '#b279a2', '#9d755d')
OURS, THEIRS = '#4c78a8', '#a0a0a0'


def label(count):
    return {10: '10', 100000: '100 k', 1000000: '1 M'}.get(count, str(count))


def text(x, y, content, anchor='start', size=12, weight='normal'):
    return (f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}" '
            f'font-weight="{weight}">{escape(content)}</text>')


def document(parts, height):
    """The whole of an SVG."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">\n'
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n' + '\n'.join(parts)
            + '\n</svg>\n')


def bars(rows, top, goal):
    """Rows of (name, Mpps, colour), with a line at the goal."""
    most = max(max(value for _, value, _ in rows), goal) * 1.08
    scale = (WIDTH - LEFT - 60) / most
    out = []
    for i, (name, value, colour) in enumerate(rows):
        y = top + i * ROW
        out.append(text(LEFT - 8, y + 12, name, 'end'))
        out.append(f'<rect x="{LEFT}" y="{y}" width="{max(value * scale, 1):.1f}" height="{BAR}" '
                   f'fill="{colour}"/>')
        out.append(text(LEFT + value * scale + 6, y + 12, f'{value:.1f}'))
    x = LEFT + goal * scale
    bottom = top + len(rows) * ROW
    out.append(f'<line x1="{x:.1f}" y1="{top - 6}" x2="{x:.1f}" y2="{bottom}" stroke="#c00" '
               'stroke-dasharray="4 3"/>')
    out.append(text(x, top - 10, f'25 GbE line rate {goal:.0f}', 'middle', 11))
    return out, bottom


def stacks(stages, top):
    """One bar a family, cut into stages, and what the colours mean."""
    most = max(sum(row.values()) for row in stages.values()) * 1.08
    scale = (WIDTH - LEFT - 60) / most
    out = []
    for i, (family, row) in enumerate(stages.items()):
        x, y = LEFT, top + i * ROW
        out.append(text(LEFT - 8, y + 12, f'IPv{family}, 100 k ranges: cycles a frame', 'end'))
        for colour, value in zip(COLOURS, row.values()):
            out.append(f'<rect x="{x:.1f}" y="{y}" width="{value * scale:.1f}" height="{BAR}" '
                       f'fill="{colour}"/>')
            x += value * scale
        out.append(text(x + 6, y + 12, f'{sum(row.values()):.0f}'))
    x, y = 20, top + len(stages) * ROW + 8
    for colour, name in zip(COLOURS, next(iter(stages.values()))):
        out.append(f'<rect x="{x}" y="{y}" width="11" height="11" fill="{colour}"/>')
        out.append(text(x + 15, y + 10, name, size=11))
        x += 32 + 7 * len(name)
    return out, y + 20


def gate(results, machine):
    head = results['head']
    pages = 'huge pages' if head['huge_pages'] else '4 KB pages'
    rows = [(f'testpmd rxonly, IPv{family}: receives, judges nothing', row['mpps_median'], THEIRS)
            for family, row in results['testpmd'].items()]
    rows += [(f'relaygate, IPv{row["family"]}, {label(row["ranges"])} ranges', row['mpps_median'],
              OURS) for row in results['matrix']
             if row['huge_pages'] == head['huge_pages'] and row['connectors'] == 100]
    rows += [(f'XDP program, IPv{row["family"]}, {label(row["ranges"])} ranges *', row['mpps'],
              THEIRS) for row in results['xdp']]
    rows += [(f'nftables, {kind} set, IPv{family}, 100 k ranges *', row['mpps'], THEIRS)
             for family, kinds in results['nftables'].items()
             for kind, row in kinds.items() if kind != 'base_ns']
    parts = [text(20, 24, f'Dropped SYNs of unlisted sources, one core, million a second ({pages})',
                  size=15, weight='bold')]
    out, bottom = bars(rows, 62, 37.0)
    parts += out
    parts.append(text(20, bottom + 14, '* the rules alone: neither receiving nor freeing a frame is '
                      'in the figure', size=11))
    out, bottom = stacks(results['stages'], bottom + 34)
    parts += out
    parts.append(text(20, bottom + 12, f'{machine["cpu"]}, TSC {head["tsc_mhz"]:,.0f} MHz, Linux '
                      f'{machine["kernel"]}, DPDK {machine["DPDK"]}, commit {machine["commit"]}',
                      size=11))
    height = bottom + 24
    return document(parts, height)
