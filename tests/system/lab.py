# SPDX-License-Identifier: BSD-3-Clause
#
# What every system test shares: the lab (scripts/lab) and the gate in it, started and stopped as
# context managers; sockets inside a host's namespace; the pinned counters; checks that are
# reported one by one. Nothing here waits for a time to pass: it polls for a state, with a limit.
# Does not know SMTP (smtp.py) nor any scenario.
"""Lab, gate, counters and checks for the tests in this folder."""
import configparser
import contextlib
import ctypes
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get('RELAYGATE_BUILD', 'build'))
BINARY = os.path.join(BUILD, 'control', 'relaygate')
LAB = os.path.join(ROOT, 'scripts', 'lab')

GATE = {4: '192.0.2.10', 6: '2001:db8:1::10'}
SERVERS = {4: '10.0.0.11', 6: '2001:db8:2::12'}
FAMILIES = (4, 6)
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


class Checks:
    """Results of a test: every one is printed, and the last line says how many failed."""

    def __init__(self):
        self.count = 0
        self.failures = []

    def that(self, what, holds, seen=''):
        self.count += 1
        if not holds:
            self.failures.append(what)
        print(f"{'ok' if holds else 'NOT'}: {what}{'' if holds else f' -- {seen}'}", flush=True)
        return holds

    def equal(self, what, got, want):
        return self.that(what, got == want, f'got {got!r}, want {want!r}')

    def starts(self, what, got, want):
        return self.that(what, got.startswith(want), f'got {got!r}, want {want!r}...')


def run(test):
    """Runs test(checks) and exits 0 only if it made checks and all of them held."""
    # A time limit must unwind the context managers, too, so that nothing is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped by SIGTERM'))
    checks = Checks()
    test(checks)
    if checks.count == 0:
        sys.exit('no check was made')
    if checks.failures:
        sys.exit('%d of %d checks failed:\n  %s' % (len(checks.failures), checks.count,
                                                   '\n  '.join(checks.failures)))
    print(f'{checks.count} checks held')


def wait_for(what, condition, seconds=20):
    """Polls until condition() is true and returns its value; fails with the text after a limit."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f'{what}: not within {seconds} s')
        time.sleep(0.02)


class Lab:
    """One lab under a name of its own, so that tests can run side by side."""

    def __init__(self):
        self.name = f'rgtest{os.getpid()}'
        self.pins = f'/sys/fs/bpf/{self.name}'
        self.environment = dict(os.environ, RELAYGATE_LAB=self.name)

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix='relaygate-test.')
        os.chmod(self.folder, 0o755)  # Postfix's user reads below it
        try:
            self.command('up', '--dir', os.path.join(self.folder, 'lab'))
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_):
        self.command('down')
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, *arguments):
        done = subprocess.run([LAB, *arguments], env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode:
            raise RuntimeError(f'lab {" ".join(arguments)}: {done.stdout}')
        return done.stdout.strip()

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, host, *command, **options):
        """A process in a host's namespace. nsenter executes it: the pid is the command's own."""
        return subprocess.Popen(['nsenter', f'--net=/run/netns/{self.name}-{host}', *command],
                                stdin=subprocess.DEVNULL, **options)

    def run(self, host, *command, seconds=60):
        """Runs a command in a host's namespace: (exit code, output of both streams)."""
        with self.start(host, *command, text=True, errors='replace', stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT) as process:
            try:
                output, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                output, _ = process.communicate()
                return None, output
        return process.returncode, output

    @contextlib.contextmanager
    def inside(self, host):
        """This thread in a host's network; a socket made here stays there."""
        with open('/proc/thread-self/ns/net') as home, \
                open(f'/run/netns/{self.name}-{host}') as there:
            enter(there)
            try:
                yield
            finally:
                enter(home)

    def connect(self, host, family=4, seconds=10.0, port=25):
        with self.inside(host):
            return socket.create_connection((GATE[family], port), timeout=seconds)

    def loss(self, leg, percent):
        self.command('loss', leg, str(percent))

    def mailbox(self):
        """Messages in the backend's maildir, as files hold them."""
        new = os.path.join(self.command('maildir'), 'new')
        if not os.path.isdir(new):
            return []
        return [read(os.path.join(new, name)) for name in sorted(os.listdir(new))]

    def mailbox_count(self):
        new = os.path.join(self.folder, 'lab', 'mail', 'new')
        return len(os.listdir(new)) if os.path.isdir(new) else 0

    def await_mail(self, count, seconds=60):
        wait_for(f'{count} messages in the mailbox', lambda: self.mailbox_count() >= count,
                 seconds)
        return self.mailbox()

    def config(self):
        """The lab's configuration for the gate; sections and keys as in the file."""
        config = configparser.ConfigParser(interpolation=None, delimiters=('=',))
        config.optionxform = str
        config.read(self.command('gate-config'))
        shape(config, os.environ.get('RELAYGATE_WORKERS'), os.environ.get('RELAYGATE_DEVICE'))
        return config


def shape(config, workers, device):
    """So many workers, and ports opened through this driver; None leaves what there is."""
    if workers:
        config['gate']['Workers'] = workers
    for section in config.sections():
        if device and section.startswith('port '):
            interface = config[section]['Device'].split(':')[-1]
            config[section]['Device'] = f'{device}:{interface}'


def enter(namespace):
    if LIBC.setns(namespace.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), 'setns')


def read(path):
    with open(path, 'rb') as file:
        return file.read()


class Gate:
    """relaygate in the lab's gate namespace."""

    def __init__(self, lab, config=None):
        self.lab = lab
        self.file = lab.path('relaygate.ini')
        with open(self.file, 'w') as file:
            (config or lab.config()).write(file)
        self.log = lab.path('gate.log')
        self.process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            if self.process:
                self.kill()
            raise
        return self

    def __exit__(self, kind, *_):
        """A gate that crashed, or ends in another way than in good order, fails every test."""
        code = 'nothing'
        try:
            code = self.stop()
        finally:
            if kind or code:
                print('--- the gate said:', flush=True)
                print(read(self.log).decode(errors='replace')[-4000:], flush=True)
        if code and not kind:
            raise RuntimeError(f'the gate ended with {code}')

    def start(self):
        """Returns when the gate says that it takes frames (sd_notify READY=1)."""
        path = self.lab.path('notify')
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, \
                open(self.log, 'ab') as log:
            notify.bind(path)
            os.chmod(path, 0o666)  # a gate that has become another user tells as such
            self.process = self.lab.start(
                'gate', BINARY, 'run', '-c', self.file, stdout=log, stderr=log,
                env=dict(os.environ, NOTIFY_SOCKET=path))
            wait_for('the gate is ready', lambda: self.said_ready(notify), 30)

    def said_ready(self, notify):
        if self.process.poll() is not None:
            raise RuntimeError(f'the gate ended with {self.process.returncode}: '
                               + read(self.log).decode(errors='replace')[-2000:])
        if not select.select([notify], [], [], 0)[0]:
            return False
        return b'READY=1' in notify.recv(4096)

    def stop(self, seconds=90):
        """Ends it in good order; its exit code. Does nothing when it is not running."""
        if self.process is None:
            return None
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f'the gate did not stop within {seconds} s of SIGTERM') from None
        finally:
            self.process = None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def resident_bytes(self):
        status = read(f'/proc/{self.process.pid}/status').decode()
        return int(re.search(r'VmRSS:\s+(\d+) kB', status).group(1)) * 1024

    def records(self, *arguments):
        """What `relaygate log` prints."""
        done = subprocess.run([BINARY, 'log', '-c', self.file, *arguments], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        return done.stdout

    # ---- Counters ----

    def dump(self, pin):
        dumped = subprocess.run(['bpftool', '-j', 'map', 'dump', 'pinned',
                                 os.path.join(self.lab.pins, pin)],
                                stdout=subprocess.PIPE, check=True).stdout
        return json.loads(dumped)

    def rows(self, pin):
        rows = (row['formatted']['value'] for row in self.dump(pin))
        return [dict(row, name=text(row['name'])) for row in rows if text(row['name'])]

    def summed(self, pin):
        """The rows of all workers as they stand, added up by name: the totals beside them are those
        of up to 100 ms ago, or of longer ago on a busy machine."""
        sums = {}
        for row in self.rows(f'{pin}_worker'):
            total = sums.setdefault(row['name'], {})
            for key, value in row.items():
                total[key] = total.get(key, 0) + value if isinstance(value, int) else value
        return sums

    def connectors(self):
        return self.summed('connectors')

    def connectors_at_rest(self):
        return self.at_rest('the counters of the connectors', self.connectors)

    def sessions_of_workers(self):
        """Sessions that each worker has opened, over all connectors. A worker has as many rows."""
        dumped = self.dump('connectors_worker')
        rows = [row['formatted']['value'] for row in dumped]
        workers = len(rows) // len(self.dump('connectors'))
        size = len(rows) // workers
        return [sum(row['sessions'] for row in rows[i * size:(i + 1) * size])
                for i in range(workers)]

    def ports(self):
        return self.summed('ports')

    def reasons(self):
        return {name: row['count'] for name, row in self.summed('reasons').items()}

    def reason(self, name):
        return self.reasons().get(name, 0)

    def drops(self):
        return {name: row['count'] for name, row in self.summed('reasons').items()
                if text(row['kind']) == 'drop' and row['count']}

    def pulse(self):
        """Numbers that differ once the main thread and each worker have gone round again."""
        instance = self.dump('instance')[0]['formatted']['value']
        return [instance['alive_us'], *(
            row['turns'] for row in self.rows('workers')[:instance['workers']])]

    def at_rest(self, what, reading):
        """reading()'s value once it holds still: for longer than frames are on their way, and while
        all threads of the gate that may change it go round three times, however long that takes."""
        last, same, rounds, pulse = None, 0, 0, None

        def still():
            nonlocal last, same, rounds, pulse
            now, beat = reading(), self.pulse()
            if now != last:
                last, same, rounds, pulse = now, 0, 0, beat
            same += 1
            if all(a != b for a, b in zip(beat, pulse)):
                rounds, pulse = rounds + 1, beat
            return same >= 15 and (rounds >= 3 or not self.alive())

        wait_for(f'{what} at rest', still)
        return last

    def table(self, pin):
        return read(os.path.join(self.lab.pins, pin)).decode()


def text(value):
    """A NUL-padded char array as bpftool prints it: a string, or a list of characters."""
    if isinstance(value, list):
        value = ''.join(chr(c) if isinstance(c, int) else c for c in value)
    return value.split('\0')[0]
