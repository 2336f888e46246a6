# SPDX-License-Identifier: BSD-3-Clause
#
# Figures of `scripts/bench flood` as an SVG: a group of bars for each flood and family, the mail
# rate that each program kept beside it. Written by hand like chart.py, whose helpers it uses.
"""The picture of mail beside floods."""
import chart

ORDER = ('postscreen', 'HAProxy', 'relaygate at HAProxy\'s rate', 'relaygate')
COLOURS = {'postscreen': '#c8c8c8', 'HAProxy': '#a0a0a0', 'relaygate': chart.OURS,
           'relaygate at HAProxy\'s rate': '#9ecae9'}
LEFT, BAR, GAP, GOAL = 190, 11, 10, 0.95
NOT_FLOODS = ('greatest', 'no flood')


def legend(results, names, y):
    out = []
    for name in names:
        rates = ', '.join(f'{row["no flood"]["offered"]:,.0f}/s over IPv{family}'
                          for family, row in results[name].items())
        out.append(f'<rect x="20" y="{y}" width="11" height="11" fill="{COLOURS[name]}"/>')
        out.append(chart.text(36, y + 10, f'{name}: {rates} offered', size=11))
        y += 18
    return out, y


def groups(results, names, top):
    """Bars of a flood and family together; a failure seen by a client is written beside its bar."""
    scale = (chart.WIDTH - LEFT - 200) / 1.0
    families = results[names[0]]
    floods = [name for name in next(iter(families.values())) if name not in NOT_FLOODS]
    out, y = [], top
    for flood in floods:
        for family in families:
            out.append(chart.text(LEFT - 8, y + BAR * len(names) / 2 + 4,
                                  f'{flood}, IPv{family}', 'end'))
            for name in names:
                row = results[name][family][flood]
                width = min(row['kept'], 1.05) * scale
                failed = f', {row["failures"]} failed' if row['failures'] else ''
                out.append(f'<rect x="{LEFT}" y="{y}" width="{max(width, 1):.1f}" '
                           f'height="{BAR - 1}" fill="{COLOURS[name]}"/>')
                out.append(chart.text(LEFT + width + 6, y + 9, f'{row["kept"]:.0%}{failed}, flood '
                                      f'{row["flood_per_second"] / 1e3:,.0f} k/s', size=9))
                y += BAR
            y += GAP
    x = LEFT + GOAL * scale
    out.append(f'<line x1="{x:.1f}" y1="{top - 4}" x2="{x:.1f}" y2="{y}" stroke="#c00" '
               'stroke-dasharray="4 3"/>')
    out.append(chart.text(x, top - 8, f'goal {GOAL:.0%}', 'middle', 11))
    return out, y


def flood(results, machine):
    names = [name for name in ORDER if name in results]
    parts = [chart.text(20, 24, 'Mail beside floods: share of the mail rate that is kept', size=15,
                        weight='bold')]
    out, y = legend(results, names, 38)
    parts += out
    out, y = groups(results, names, y + 24)
    parts += out
    parts.append(chart.text(20, y + 12, f'{machine["cpu"]}, {machine["cores"]} cores for sender, '
                            f'flood, gate and server, Linux {machine["kernel"]}, DPDK '
                            f'{machine["DPDK"]}, commit {machine["commit"]}', size=11))
    height = y + 26
    return chart.document(parts, height)
