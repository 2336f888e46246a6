# SPDX-License-Identifier: BSD-3-Clause
#
# What a host of the lab costs, kernel included. CPU: of its processes, and of the kernel threads
# that receive for its interfaces (threaded NAPI), so that a softirq is not charged to whom it
# happens to interrupt. Memory: of a control group that all of the host's processes are started in;
# sockets, processes and page tables are charged to it like the pages of programs. Owns the group.
"""CPU time and memory of a host of the lab."""
import contextlib
import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
import lab as labs  # noqa: E402 (from the folder above)

TICKS = os.sysconf('SC_CLK_TCK')
V1, V2 = '/sys/fs/cgroup/memory', '/sys/fs/cgroup'
# Both ends of the gate's cables: what a thread of the switch's end does is the wire's.
CABLES = {'gate': ('outside', 'inside'), 'switch': ('gate-outside', 'gate-inside')}


def kernel_receivers():
    """Threads that receive for interfaces of these names, in any lab."""
    found = set()
    for comm in glob.glob('/proc/[0-9]*/comm'):
        try:
            with open(comm) as file:
                if re.match(r'napi/(outside|inside)-', file.read()):
                    found.add(int(comm.split('/')[2]))
        except OSError:
            pass
    return found


def stat_seconds(pid, children):
    """CPU time of a process so far, of the children that it waited for, too."""
    try:
        with open(f'/proc/{pid}/stat') as file:
            fields = file.read().rsplit(') ', 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(field) for field in fields[11:15 if children else 13]) / TICKS


def processes_in(lab, host):
    """Processes in a host's network."""
    network = os.stat(f'/run/netns/{lab.name}-{host}').st_ino
    for entry in glob.glob('/proc/[0-9]*/ns/net'):
        with contextlib.suppress(OSError):
            if os.stat(entry).st_ino == network:
                yield int(entry.split('/')[2])


def cpu_seconds(lab, host):
    return sum(stat_seconds(pid, True) for pid in processes_in(lab, host))


def seconds_of(pid):
    """CPU time of a process so far, to the nanosecond, and of the children that it waited for."""
    took = stat_seconds(pid, True) - stat_seconds(pid, False)
    for file in glob.glob(f'/proc/{pid}/task/*/schedstat'):
        try:
            took += int(labs.read(file).split()[0]) / 1e9
        except OSError:
            pass
    return took


class Lab(labs.Lab):
    """A lab whose gate is accounted for; its CPU time only with `receivers`."""

    def __init__(self, receivers=True):
        super().__init__()
        self.cables = CABLES if receivers else {}
        self.group = None
        self.strangers = kernel_receivers()

    def __enter__(self):
        super().__enter__()
        try:
            for host, interfaces in self.cables.items():
                for name in interfaces:
                    self.receive_in_threads(host, name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def receive_in_threads(self, host, interface):
        """A veth has NAPI only with GRO or XDP. `ip netns exec` brings the host's own /sys."""
        self.command('exec', host, 'ethtool', '-K', interface, 'gro', 'on')
        self.command('exec', host, 'ip', 'netns', 'exec', f'{self.name}-{host}', 'sh', '-c',
                     f'echo 1 >/sys/class/net/{interface}/threaded')

    def start(self, host, *command, **options):
        if host == 'gate' and self.group:
            command = ('sh', '-c', 'echo $$ >$0/cgroup.procs; exec "$@"', self.group.path, *command)
        return super().start(host, *command, **options)

    def cpu_seconds(self):
        """User and system time of the gate's processes, its kernel threads' beside it."""
        threads = kernel_receivers() - self.strangers
        return (sum(seconds_of(pid) for pid in processes_in(self, 'gate')),
                sum(seconds_of(pid) for pid in threads))


class Memory:
    """A control group for what the gate's host starts next; a context manager."""

    def __init__(self, lab, name):
        self.lab = lab
        self.v1 = os.path.isdir(V1)
        self.path = os.path.join(V1 if self.v1 else V2, f'{lab.name}-{name}')

    def __enter__(self):
        if not self.v1:
            with open(V2 + '/cgroup.subtree_control', 'w') as file:
                file.write('+memory')
        os.mkdir(self.path)
        if self.v1:  # sockets are charged only where their buffers have a limit
            with open(self.path + '/memory.kmem.tcp.limit_in_bytes', 'w') as file:
                file.write(str(2**40))
        self.lab.group = self
        return self

    def __exit__(self, *_):
        self.lab.group = None
        labs.wait_for('the control group is empty', self.removed, 30)

    def removed(self):
        try:
            os.rmdir(self.path)
        except OSError:
            return False
        return True

    def peak(self):
        """The most that it was."""
        return self.number('memory.max_usage_in_bytes' if self.v1 else 'memory.peak')

    def number(self, name):
        return int(labs.read(os.path.join(self.path, name)))

    def bytes(self):
        """Programs and page cache that they brought in; kernel, buffers of sockets included."""
        if self.v1:
            kernel = self.number('memory.kmem.usage_in_bytes')
            return (self.number('memory.usage_in_bytes') - kernel,
                    kernel + self.number('memory.kmem.tcp.usage_in_bytes'))
        rows = dict(line.split() for line in labs.read(self.path + '/memory.stat').splitlines())
        kernel = int(rows[b'kernel']) + int(rows[b'sock'])
        return self.number('memory.current') - kernel, kernel
