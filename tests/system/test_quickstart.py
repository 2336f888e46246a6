#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
# variants: story
# by name: story
#
# scripts/quickstart by several people at once: one is killed while its gate runs, one is interrupted
# by Ctrl-C, and a third one goes through the story undisturbed. Nothing of any of them is left but
# what was killed leaves, and that until the next run.
import glob
import os
import signal
import subprocess
import tempfile

import lab as labs

PLACES = ('/run/relaygate-lab.rgquick-*', '/run/netns/rgquick-*', '/sys/fs/bpf/rgquick-*',
          '/tmp/relaygate-quickstart.*')
SECONDS = 200


def left(pid=None):
    """All that runs leave, or what can be seen to be of one of them."""
    return sorted(path for place in PLACES for path in glob.glob(
        place if pid is None else place.replace('rgquick-*', f'rgquick-{pid}*'))
        if pid is None or 'rgquick-' in path)


class Run:
    """One run of the script, in a session of its own as a terminal gives it."""

    def __init__(self):
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [os.path.join(labs.ROOT, 'scripts', 'quickstart')], stdin=subprocess.DEVNULL,
            stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True)

    def said(self):
        return os.pread(self.output.fileno(), 1 << 20, 0).decode(errors='replace')

    def reaches(self, words):
        labs.wait_for(words, lambda: words in self.said() or self.process.poll() is not None,
                      SECONDS)
        assert words in self.said(), self.said()

    def pins(self):
        return f'/sys/fs/bpf/rgquick-{self.process.pid}'


def test(checks):
    before = left()
    undisturbed, killed = Run(), Run()
    killed.reaches('== 1.')
    os.kill(killed.process.pid, signal.SIGKILL)
    killed.process.wait()
    checks.that('a killed run leaves its lab', os.path.exists(killed.pins()))
    interrupted = Run()
    interrupted.reaches('== 1.')
    checks.that('which the next run removes', not left(killed.process.pid),
                left(killed.process.pid))
    os.killpg(interrupted.process.pid, signal.SIGINT)
    checks.equal('Ctrl-C: exit code', interrupted.process.wait(SECONDS), 1)
    checks.that('Ctrl-C: nothing is left', not left(interrupted.process.pid),
                left(interrupted.process.pid))
    checks.equal('the other one goes through', undisturbed.process.wait(SECONDS), 0)
    checks.that('and its story is true', 'Every part of the story came true' in undisturbed.said(),
                undisturbed.said()[-2000:])
    checks.equal('nothing is left', left(), before)


if __name__ == '__main__':
    labs.run(test)
