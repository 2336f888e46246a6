#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
#
# The README's figures are the benchmarks' own: "How fast" shows the picture of each benchmark and
# has no other figure of speed or size, and each picture is what its JSON makes. Measures nothing.
"""test_pictures.py: exits with 1 and a line for each fault."""
import importlib.machinery
import importlib.util
import json
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
RESULTS = 'tests/bench/results'
# A figure that somebody typed: a number with a unit of speed, memory or time.
TYPED = re.compile(r'\d[\d.,]* ?(?:Mpps|Gbit/s|(?:[MG]|million )/s|cycles|bytes|MB|ms|us|s)\b')


def benchmarks():
    """scripts/bench as a module: names and what makes their pictures."""
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader('bench', os.path.join(ROOT, 'scripts', 'bench'))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('bench', loader))
    loader.exec_module(module)
    return {name: picture for name, (_, picture) in module.BENCHMARKS.items()}


def read(path):
    try:
        with open(os.path.join(ROOT, path)) as file:
            return file.read()
    except FileNotFoundError:
        return None


def faults():
    section = re.search(r'^## How fast$(.*?)^## ', read('README.md'), re.M | re.S).group(1)
    shown = re.findall(r'\]\((tests/bench/results/[^)]*)\)', section)
    pictures = benchmarks()
    for name, picture in pictures.items():
        path = f'{RESULTS}/{name}.svg'
        drawn, figures = read(path), read(f'{RESULTS}/{name}.json')
        if shown.count(path) != 1:
            yield f'README.md shows {path} {shown.count(path)} times, not once'
        if drawn is None or figures is None:
            yield f'{RESULTS}/{name}: its JSON or its picture is missing (scripts/bench all)'
            continue
        figures = json.loads(figures)
        if picture(figures[name], figures['machine']).rstrip() != drawn.rstrip():
            yield f'{path} is not what {name}.json makes (scripts/bench --draw all)'
    for path in set(shown) - {f'{RESULTS}/{name}.svg' for name in pictures}:
        yield f'README.md shows {path}, which no benchmark makes'
    for typed in TYPED.findall(section):
        yield f'README.md, "How fast": {typed} is written by hand; figures come from the benchmarks'


def main():
    found = list(faults())
    for fault in found:
        print(fault)
    print(f'{len(found)} faults')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
