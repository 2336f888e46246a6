#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 900
# variants: all numbers times tools
# long: all numbers times tools
# by name: tools
#
# Attacks on TCP and IP, as tests/README.md lists them, each with mail beside it: what it is
# answered, which counters move and by how much, and that nothing is left of it. `all` are those
# that are over in a minute.
import sys

import attack
import attack_flow
import attack_frames
import attack_handshake
import attack_hold
import attack_levels
import attack_long
import attack_neighbours
import attack_tools
import lab as labs


def everything(scene):
    before = attack_levels.measure(scene)
    for module in (attack_frames, attack_handshake, attack_flow, attack_neighbours, attack_hold):
        module.run(scene)
    scene.checks.equal(f'levels: after all attacks as before {before}',
                       attack_levels.measure(scene), before)


VARIANTS = {'all': everything, 'numbers': attack_long.numbers, 'times': attack_long.times,
            'tools': attack_tools.run}


def test(checks):
    with attack.scene(checks) as scene:
        VARIANTS[sys.argv[1] if len(sys.argv) > 1 else 'all'](scene)


if __name__ == '__main__':
    labs.run(test)
