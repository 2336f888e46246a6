#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
#
# The command line: what each call exits with, and on which stream it says what. An option that is
# not on a command's own page is refused by it, each with each. The pages in README.md are those that
# the program prints. Needs no lab.
import os
import re
import subprocess
import tempfile

import lab as labs

SAMPLE = os.path.join(labs.ROOT, 'config', 'relaygate.ini')
CAMPUS = os.path.join(labs.ROOT, 'config', 'examples', 'campus.ini')
BROKEN = '[gate]\nName = mx.test\nMaxSesions = 3\n'

# Arguments; exit code; words on stdout; words on stderr.
CASES = (
    (('--help',), 0, ('Commands:', 'run ', 'check ', 'replay ', 'log ', 'Exit status:'), ()),
    (('--version',), 0, ('relaygate 0.',), ()),
    ((), 1, (), ('which command?',)),
    (('frobnicate',), 1, (), ('unknown command "frobnicate"',)),
    (('import',), 1, (), ('import needs a file',)),
    (('import', 'a', 'b'), 1, (), ('import takes one file',)),
    (('import', '/nonexistent.json'), 1, (), ('/nonexistent.json',)),
    (('check', 'run'), 1, (), ('one command at a time',)),
    (('check',), 1, (), ('check needs -c FILE',)),
    (('run',), 1, (), ('run needs -c FILE',)),
    (('check', '--frobnicate'), 1, (), ('--frobnicate',)),
    (('check', '-c', '/nonexistent.ini'), 1, (), ('/nonexistent.ini',)),
    (('run', '-c', '/nonexistent.ini'), 1, (), ('/nonexistent.ini',)),
    (('check', '-c', SAMPLE), 0, ('fine:', 'connectors'), ()),
    (('check', '-c', '{broken}'), 1, (), ('{broken}:3:', 'MaxSesions', 'MaxSessions')),
    (('replay', '-c', SAMPLE), 1, (), ('replay needs a file',)),
    (('replay', 'x.pcap'), 1, (), ('replay needs -c FILE',)),
    (('replay', '-c', SAMPLE, 'x.pcap', 'y.pcap'), 1, (), ('replay takes one file',)),
    (('replay', '-c', SAMPLE, '/nonexistent.pcap'), 1, (), ('/nonexistent.pcap',)),
    (('check', '-c', SAMPLE, '--json'), 1, (), ('check does not take --json: it takes -c FILE',)),
    (('check', SAMPLE), 1, (), (SAMPLE, '-c FILE')),
    (('check', '-c', SAMPLE, 'x.pcap'), 1, (), ('check does not take "x.pcap"', '-c FILE')),
    (('explain', '-c', SAMPLE, '--from', '192.0.2.1', '--to', '192.0.2.10', '--rcpt-to', 'a@b.c'),
     1, (), ('--rcpt-to needs --mail-from',)),
    (('log', '--from', '192.0.2.300'), 1, (), ('--from 192.0.2.300',)),
    (('log', '--pin-directory', '/sys/fs/bpf/nothing-here'), 1, (), ('/sys/fs/bpf/nothing-here',)),
    (('log', '-c', '{broken}'), 1, (), ('{broken}:3:', '--pin-directory')),
    (('drain',), 1, (), ('drain needs -c FILE', '--pin-directory')),
    (('drain', '--pin-directory', '/sys/fs/bpf/nothing-here'), 1, (),
     ('/sys/fs/bpf/nothing-here',)),
    (('ban', 'list'), 1, (), ('ban needs -c FILE', '--pin-directory')),
    (('ban', 'list', '--pin-directory', '/sys/fs/bpf/nothing-here'), 1, (),
     ('/sys/fs/bpf/nothing-here',)),
    (('status', '--json', '--prometheus'), 1, (), ('either --json or --prometheus',)),
    (('explain', '-c', SAMPLE, '--from', '192.0.2.1', '--to', '2001:db8::10'), 1, (),
     ('one is IPv4',)),
    (('explain', '-c', SAMPLE, '--to', '192.0.2.10'), 1, (), ('explain needs --from IP',)),
    (('capture', 'tcp'), 1, (), ('capture needs -w FILE',)),
    (('check', '-c', SAMPLE, '-c', SAMPLE), 1, (), ('--config is given twice',)),
    (('check', '-c', ''), 1, (), ('--config is empty',)),
    (('ban', 'list', '-c', SAMPLE, '--for', '1h'), 1, (), ('ban list does not take --for: it takes',
                                                           '--json')),
    (('ban', 'add', '192.0.2.1', '-c', SAMPLE, '--json'), 1, (), ('ban add does not take --json',)),
    (('ban', '', '-c', SAMPLE), 1, (), ('ban: an argument is empty',)),
    (('ban', 'add', '', '-c', SAMPLE), 1, (), ('ban: an argument is empty',)),
    (('import', ''), 1, (), ('import: an argument is empty',)),
    (('check', '-c', SAMPLE, ''), 1, (), ('check: an argument is empty',)),
    (('--json', '-c', SAMPLE, 'check'), 1, (), ('check does not take --json',)),
    (('check', '--help', '--json'), 0, ('Usage: relaygate check',), ()),
    # Who asks for what there is not is told what there is.
    (('explain', '-c', SAMPLE, '--from', '192.0.2.1', '--to', '192.0.2.99'), 0,
     ('destination is none of our addresses', 'ours: 192.0.2.10 (port outside, line 73)'), ()),
    (('explain', '-c', SAMPLE, '--from', '192.0.2.1', '--to', '192.0.2.10:587'), 0,
     ('no connector is bound to', 'there is Internet, binding 192.0.2.10:25 (line 96)'), ()),
    (('explain', '-c', CAMPUS, '--from', '192.0.2.1', '--to', '10.1.0.25'), 0,
     ('source in no RemoteIPRanges', 'it is in no range of Campus, binding 10.1.0.25:25 (line 18)',
      'it is in no range of Printing lab'), ()),
    (('explain', '-c', SAMPLE, '--from', '192.0.2.1', '--to', '192.0.2.10'), 0,
     ('250-PIPELINING\n', '250-DSN (if all servers have it)\n', '250-CHUNKING\n',
      '250 SMTPUTF8 (if all servers have it)\n'), ()),
)
USAGE = re.compile(r'^  (?:-(\w), |    )--([\w-]+)(=\S+)?', re.MULTILINE)


def call(*arguments, **options):
    return subprocess.run((labs.BINARY, *arguments), capture_output=True, text=True, timeout=30,
                          **options)


def pages(checks):
    """Each command's page: its options as {name: argument or ''}."""
    found = {}
    for name in re.findall(r'^  (\w+) ', call('--help').stdout, re.MULTILINE):
        page = call(name, '--help')
        checks.equal(f'{name} --help: exit code', page.returncode, 0)
        for words in (f'Usage: relaygate {name} ', 'Exit status: 0', f'Example:\n  relaygate {name} '):
            checks.that(f'{name} --help says {words!r}', words in page.stdout, page.stdout)
        checks.that(f'{name} --help: no line above 100 columns',
                    max(map(len, page.stdout.splitlines())) <= 100, page.stdout)
        found[name] = {option: argument for _, option, argument in USAGE.findall(
            page.stdout.split('Exit status')[0])}
    return found


def foreign_options(checks, found):
    every = {option: argument for options in found.values() for option, argument in options.items()}
    for command, options in found.items():
        for option, argument in every.items():
            if option in options:
                continue
            done = call(command, f'--{option}' + ('=1' if argument else ''))
            checks.equal(f'{command} --{option}: exit code', done.returncode, 1)
            checks.that(f'{command} --{option} is refused by name',
                        f'{command} does not take --{option}: it takes ' in done.stderr,
                        done.stderr)


def printed_pages(checks):
    """What README.md shows of the help is what is printed."""
    readme = labs.read(os.path.join(labs.ROOT, 'README.md')).decode()
    shown = re.findall(r'```\n\$ relaygate ([a-z ]*--help)\n(.*?)```', readme, re.DOTALL)
    checks.that('README.md shows pages of help', len(shown) >= 2, str(len(shown)))
    for arguments, text in shown:
        checks.equal(f'README.md: relaygate {arguments}', text, call(*arguments.split()).stdout)
    lines = call('--help').stdout.splitlines()
    checks.that('--help is one screen', len(lines) <= 24 and max(map(len, lines)) <= 100, lines)


def full_device(checks):
    """What cannot be written is a failure."""
    for arguments in (('--help',), ('check', '--help'), ('--version',), ('check', '-c', SAMPLE),
                      ('audit', '-c', SAMPLE)):
        with open('/dev/full', 'w') as full:
            done = subprocess.run((labs.BINARY, *arguments), stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=30)
        checks.equal(f'{arguments} >/dev/full: exit code', done.returncode, 1)
        checks.that(f'{arguments} >/dev/full: one line says why',
                    'No space left on device' in done.stderr, done.stderr)


def closed_streams(checks):
    """A file that is written never takes the place of a stream that is closed."""
    export = os.path.join(labs.ROOT, 'tests', 'system', 'exports', 'anonymous-relay.json')
    with tempfile.TemporaryDirectory() as folder:
        texts = []
        for number, closed in enumerate(('', '>&-', '2>&-', '<&- >&- 2>&-')):
            path = os.path.join(folder, f'{number}.ini')
            done = subprocess.run(['sh', '-c', f'"$0" import "$1" -o "$2" {closed}', labs.BINARY,
                                   export, path], stderr=subprocess.DEVNULL, timeout=30)
            texts.append(labs.read(path))
            checks.equal(f'import {closed}: exit code', done.returncode, 0)
        checks.that('import writes the same file whatever stream is closed',
                    len(set(texts)) == 1 and texts[0], [len(text) for text in texts])
    done = subprocess.run(['sh', '-c', f'"$0" check -c {SAMPLE} >&-', labs.BINARY], timeout=30,
                          stderr=subprocess.PIPE, text=True)
    checks.that('a closed stdout is a failure', done.returncode == 1 and 'stdout' in done.stderr,
                done.stderr)


def test(checks):
    with tempfile.NamedTemporaryFile('w', suffix='.ini') as file:
        file.write(BROKEN)
        file.flush()
        for arguments, code, out, err in CASES:
            filled = [argument.format(broken=file.name) for argument in arguments]
            done = call(*filled)
            line = 'relaygate ' + ' '.join(filled)
            checks.equal(f'{line}: exit code', done.returncode, code)
            for stream, said, words in (('stdout', done.stdout, out),
                                        ('stderr', done.stderr, err)):
                for word in words:
                    word = word.format(broken=file.name)
                    checks.that(f'{line}: {word!r} on {stream}', word in said, said)
                if not words and code:
                    checks.equal(f'{line}: nothing on {stream}', said, '')
    found = pages(checks)
    checks.equal('commands', len(found), 13)
    foreign_options(checks, found)
    printed_pages(checks)
    full_device(checks)
    closed_streams(checks)


if __name__ == '__main__':
    labs.run(test)
