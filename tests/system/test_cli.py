#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
#
# The command line: what each call exits with, and on which stream it says what. Needs no lab.
import os
import subprocess
import tempfile

import lab as labs

SAMPLE = os.path.join(labs.ROOT, 'config', 'relaygate.ini')
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
    (('check', '-c', SAMPLE, '--json'), 1, (), ('check has no --json',)),
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
)


def test(checks):
    with tempfile.NamedTemporaryFile('w', suffix='.ini') as file:
        file.write(BROKEN)
        file.flush()
        for arguments, code, out, err in CASES:
            filled = [argument.format(broken=file.name) for argument in arguments]
            done = subprocess.run((labs.BINARY, *filled), capture_output=True, text=True,
                                  timeout=30)
            call = 'relaygate ' + ' '.join(filled)
            checks.equal(f'{call}: exit code', done.returncode, code)
            for stream, said, words in (('stdout', done.stdout, out),
                                        ('stderr', done.stderr, err)):
                for word in words:
                    word = word.format(broken=file.name)
                    checks.that(f'{call}: {word!r} on {stream}', word in said, said)
                if not words and code:
                    checks.equal(f'{call}: nothing on {stream}', said, '')


if __name__ == '__main__':
    labs.run(test)
