# SPDX-License-Identifier: BSD-3-Clause
#
# What `scripts/bench gate` and `cookie` compare with, on the same flood: testpmd, an XDP program,
# nftables sets, the kernel's SYN cookies. Each cleans up after itself; all need root.
"""Huge pages and peers for the benchmarks of the gate."""
import contextlib
import ipaddress
import json
import os
import re
import select
import subprocess
import tempfile
import time

PAGES = '/proc/sys/vm/nr_hugepages'
GATE_PAGES = 170  # of 2 MB: the packets of one program
ADDRESS, ADDRESS6, GATEWAY = '192.0.2.10', '2001:db8:1::10', '192.0.2.1'


@contextlib.contextmanager
def huge_pages(count=GATE_PAGES):
    """Reserves huge pages and gives them back. Yields whether there are any."""
    with open(PAGES) as file:
        before = int(file.read())
    try:
        with contextlib.suppress(PermissionError), open(PAGES, 'w') as file:
            file.write(str(before + count))
        with open(PAGES) as file:
            enough = int(file.read()) >= before + count
        yield enough
    finally:
        with contextlib.suppress(PermissionError), open(PAGES, 'w') as file:
            file.write(str(before))


def read_json(program, *arguments, namespace=None, core=None):
    """One run of a program of tests/bench: what it writes by --json."""
    with tempfile.NamedTemporaryFile('r', suffix='.json') as file:
        command = [program, *map(str, arguments), '--json', file.name]
        if core is not None:
            command = ['taskset', '-c', str(core), *command]
        if namespace:
            command = ['nsenter', f'--net=/run/netns/{namespace}', *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.load(file)


# ---- testpmd ---------------------------------------------------------------------------------


def cpu_nanoseconds(pid):
    """CPU time of a process, as of now (/proc is some milliseconds behind). Of testpmd's threads
    only the one that receives uses any."""
    # The number that clock_getcpuclockid(3) makes of a process.
    return time.clock_gettime_ns(~pid << 3 | 2)


def ask_packets(process):
    """Its count of received packets, and its worker's CPU time at about that moment."""
    process.stdin.write('show port stats 0\n')
    process.stdin.flush()
    text = ''
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        if select.select([process.stdout], [], [], 0.5)[0]:
            text += os.read(process.stdout.fileno(), 65536).decode(errors='replace')
        found = re.search(r'RX-packets: (\d+)', text)
        if found:
            return int(found.group(1)), cpu_nanoseconds(process.pid)
    raise RuntimeError(f'testpmd: no statistics: {text[-500:]}')


def testpmd(capture, frames, huge, core, windows=12):
    """Mpps in CPU time of `testpmd --forward-mode=rxonly` on a capture: median and best."""
    pages = '--in-memory' if huge else '--no-huge'
    command = ['stdbuf', '-oL', 'dpdk-testpmd', f'--lcores=0@0,1@{core}', '--no-telemetry', '--no-shconf', '--no-pci',
               pages, '-m', '160', f'--vdev=net_pcap0,rx_pcap={capture},infinite_rx=1', '--', '-i',
               '--forward-mode=rxonly', '--nb-cores=1', f'--total-num-mbufs={8191 + frames}',
               '--burst=64', '--rxd=2048']
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    try:
        process.stdin.write('start\n')
        time.sleep(1.5)
        rates = []
        before = ask_packets(process)
        for _ in range(windows):
            time.sleep(0.1)
            now = ask_packets(process)
            if now[1] > before[1]:
                rates.append((now[0] - before[0]) * 1e3 / (now[1] - before[1]))
            before = now
        process.stdin.write('stop\nquit\n')
        process.stdin.flush()
    finally:
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
        process.stdout.close()
    rates.sort(reverse=True)
    return {'mpps_median': rates[len(rates) // 2], 'mpps_best': rates[0]}


# ---- The kernel ------------------------------------------------------------------------------


@contextlib.contextmanager
def namespace():
    """A network of one's own: outer, with the gate's address, and its other end."""
    name = f'rgbench{os.getpid()}'
    subprocess.run(['ip', 'netns', 'add', name], check=True)
    try:
        for command in ('link add outer type veth peer name far',
                        'link set outer address 02:00:00:00:00:01', 'link set outer up',
                        'link set far up', f'address add {ADDRESS}/24 dev outer',
                        f'neighbour add {GATEWAY} lladdr 02:00:00:00:00:99 dev outer nud permanent',
                        f'route add default via {GATEWAY}'):
            subprocess.run(['ip', '-n', name, *command.split()], check=True)
        yield name
    finally:
        subprocess.run(['ip', 'netns', 'delete', name], check=True)


def inside(name, *command, **options):
    return subprocess.run(['nsenter', f'--net=/run/netns/{name}', *command], check=True, text=True,
                          capture_output=True, **options).stdout


@contextlib.contextmanager
def rules(name, device, sets, body):
    """A table at the ingress of a device, for a while."""
    text = f"""table netdev bench {{
    {sets}
    chain ingress {{
        type filter hook ingress device {device} priority 0; policy accept;
        {body}
    }}
}}
"""
    inside(name, 'nft', '-f', '-', input=text)
    try:
        yield
    finally:
        inside(name, 'nft', 'delete', 'table', 'netdev', 'bench')


def set_of(ranges, family, kind):
    """A set of the hosts (IPv4) or /64s in a file, and the match that asks it."""
    with open(ranges) as file:
        elements = file.read().split()
    asks = 'ip saddr' if family == 4 else 'ip6 saddr'
    if family == 6 and kind == 'hash':
        elements = [str(ipaddress.ip_network(text, strict=False)[0]) for text in elements]
        asks += ' & ffff:ffff:ffff:ffff::'
    flags = 'flags interval' if kind == 'interval' else ''
    return (f'set sources {{ type ipv{family}_addr; {flags}\nelements = {{ {", ".join(elements)} }}\n }}',
            f'{asks} @sources accept')


def nftables(program, ranges, family, core, runs=60):
    """Nanoseconds a SYN that nftables drops at the ingress, beside one that it drops unseen.
    The sender is bench_xdp --live, whose own time both have."""
    binding = f'ip daddr {ADDRESS}' if family == 4 else f'ip6 daddr {ADDRESS6}'
    with namespace() as name:
        def live():
            return read_json(program, '--live', 'outer', '--family', family, '--ranges', 10, '--runs',
                             runs, namespace=name, core=core)['ns']
        with rules(name, 'outer', '', 'drop'):
            base = live()
        results = {'base_ns': base}
        for kind in ('hash', 'interval'):
            sources, asks = set_of(ranges, family, kind)
            with rules(name, 'outer', sources, f'{binding} tcp dport 25 {asks}\n{"drop"}'):
                took = live()
            results[kind] = {'ns': took - base, 'mpps': 1e3 / max(took - base, 1e-3)}
    return results


def kernel_cookies(program, core, runs=40):
    """Nanoseconds a SYN that the kernel answers with a SYN cookie, its sender's part taken off."""
    listen = ('import socket, sys\nlistener = socket.create_server(("192.0.2.10", 25))\n'
              'print("ready", flush=True)\nsys.stdin.read()')
    with namespace() as name:
        inside(name, 'sysctl', '-qw', 'net.ipv4.tcp_syncookies=2', 'net.ipv4.conf.all.rp_filter=0',
               'net.ipv4.conf.outer.rp_filter=0')
        arguments = ['--live', 'outer', '--listed', '--runs', runs]
        listener = subprocess.Popen(['nsenter', f'--net=/run/netns/{name}', 'python3', '-c', listen],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            listener.stdout.readline()
            with rules(name, 'outer', '', 'drop'):
                base = read_json(program, *arguments, namespace=name, core=core)['ns']
            with rules(name, 'far', '', 'drop'):
                took = read_json(program, *arguments, namespace=name, core=core)['ns']
            sent = inside(name, 'nstat', '-asz', 'TcpExtSyncookiesSent')
        finally:
            listener.communicate()
    count = int(re.search(r'TcpExtSyncookiesSent\s+(\d+)', sent).group(1))
    if count < runs * 16384:
        raise RuntimeError(f'the kernel answered {count} of {runs * 16384} SYNs')
    return {'ns': took - base, 'base_ns': base, 'mpps': 1e3 / (took - base), 'answered': count}
