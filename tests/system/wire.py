# SPDX-License-Identifier: BSD-3-Clause
#
# The bad wire of wire.c between the lab's switch and one of the gate's interfaces, and a Linux relay
# in the gate's place (HAProxy in TCP mode), so that two ends can be compared over the same wire.
# Does not know SMTP nor the gate.
"""A wire that loses, delays and reorders; a relay of the kernel's own TCP."""
import contextlib
import os
import subprocess

import lab as labs

BINARY = os.path.join(labs.BUILD, 'tests', 'system', 'wire')
SIDES = {'client': 'outside', 'backend': 'inside'}
RELAY = '''global
  nbthread 1
  maxconn 1000
defaults
  mode tcp
  timeout connect 20s
  timeout client 300s
  timeout server 300s
listen smtp
  bind 192.0.2.10:25
  server backend 10.0.0.11:25
'''


class Wire:
    """While it lives the frames of one leg of the gate pass through it, both ways."""

    def __init__(self, lab, leg, seed=1):
        self.lab, self.seed = lab, seed
        self.bridge = SIDES[leg]
        self.port = 'gate-' + self.bridge
        self.process, self.summary = None, ''

    def switch(self, *command):
        code, output = self.lab.run('switch', *command)
        if code:
            raise RuntimeError(f'{" ".join(command)}: {output}')

    def __enter__(self):
        self.switch('ip', 'link', 'set', self.port, 'nomaster')
        self.switch('ip', 'link', 'add', 'wire0', 'type', 'veth', 'peer', 'name', 'wire1')
        for interface in ('wire0', 'wire1'):
            self.switch('ethtool', '-K', interface, 'tx', 'off', 'tso', 'off', 'gso', 'off',
                        'gro', 'off')
        self.switch('ip', 'link', 'set', 'wire0', 'up')
        self.switch('ip', 'link', 'set', 'wire1', 'master', self.bridge, 'up')
        self.process = subprocess.Popen(
            ['nsenter', f'--net=/run/netns/{self.lab.name}-switch', BINARY, self.port, 'wire0',
             str(self.seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.summary = self.process.stdout.read()
        self.process.wait(20)
        self.switch('ip', 'link', 'del', 'wire0')
        self.switch('ip', 'link', 'set', self.port, 'master', self.bridge)

    def set(self, **values):
        """delay (microseconds each way), loss and reorder (per mille), rate (kbit/s), mtu."""
        for name, value in values.items():
            self.process.stdin.write(f'{name} {value}\n')
            self.process.stdin.flush()
            if self.process.stdout.readline() != 'ok\n':
                raise RuntimeError(f'the wire does not take {name} {value}')


@contextlib.contextmanager
def linux_relay(lab, control):
    """HAProxy with the gate's IPv4 addresses, which the gate must not be using; control is the
    congestion control of what its kernel sends."""
    addresses = (('outside', '192.0.2.10/24'), ('inside', '10.0.0.1/24'))
    file = lab.path('haproxy.cfg')
    with open(file, 'w') as config:
        config.write(RELAY)
    for interface, address in addresses:
        lab.run('gate', 'ip', 'address', 'add', address, 'dev', interface)
    congestion_control(lab, 'gate', control)
    process = lab.start('gate', 'haproxy', '-db', '-q', '-f', file)
    try:
        labs.wait_for('the Linux relay answers', lambda: answers(lab))
        yield
    finally:
        process.terminate()
        process.wait()
        for interface, _ in addresses:
            lab.run('gate', 'ip', 'address', 'flush', 'dev', interface)


def answers(lab):
    try:
        with lab.connect('app', seconds=5) as connection:
            return connection.recv(3) == b'220'
    except OSError:
        return False


ROUTES = {'app': (('192.0.2.0/24', 'net0', '192.0.2.20'),),
          'gate': (('192.0.2.0/24', 'outside', '192.0.2.10'),
                   ('10.0.0.0/24', 'inside', '10.0.0.1'))}


def congestion_control(lab, host, name):
    """The kernel's, for what a host of the lab sends to its neighbours by IPv4."""
    for network, interface, source in ROUTES[host]:
        code, output = lab.run(host, 'ip', 'route', 'change', network, 'dev', interface,
                               'src', source, 'congctl', name)
        if code:
            raise RuntimeError(f'congestion control {name}: {output}')
