# SPDX-License-Identifier: BSD-3-Clause
#
# Who takes the gate's place in the lab when something is measured: HAProxy (in tcp mode: the server
# behind it judges), Postfix with a main.cf and master.cf of the caller's, Haraka; and, for refused
# sessions, relaygate, Postfix's postscreen (its own SMTP engine, no smtpd behind it) and smtpd. Each
# is a context manager that ends what it started. Measures nothing.
"""Programs in the gate's place."""
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys

import accounts
import haraka as haraka_at_backend
import lab as labs

SERVER = '10.0.0.11'
ADDRESSES = {4: ('192.0.2.10/24', '10.0.0.1/24'), 6: ('2001:db8:1::10/64', '2001:db8:2::1/64')}
GATEWAYS = {4: '192.0.2.1', 6: '2001:db8:1::1'}

HAPROXY = """global
    nbthread 1
    maxconn {connections}
defaults
    mode tcp
    timeout connect 5s
    timeout client {idle}
    timeout server {idle}
listen smtp
    bind 192.0.2.10:25
    bind [2001:db8:1::10]:25
    server sink 10.0.0.11:25
"""
MAIN = """compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {dir}/maillog
maillog_file_prefixes = {dir}
myhostname = mx.example.com
inet_interfaces = 192.0.2.10
inet_protocols = ipv4
smtpd_peername_lookup = no
disable_dns_lookups = yes
mydestination = accepted.test
mynetworks = 192.0.2.0/24
alias_maps =
alias_database =
local_recipient_maps =
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_error_sleep_time = 0
default_process_limit = 500
"""
MASTER = """smtp inet n - n - - smtpd
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
# Of a server that refuses foreign recipients.
REFUSING = """smtpd_relay_restrictions = reject_unauth_destination
mynetworks = 127.0.0.0/8
"""
POSTSCREEN_MASTER = MASTER.replace('- smtpd', '1 postscreen') + """smtpd pass - - n - - smtpd
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
"""
# Its tests behind the greeting: it talks SMTP itself and defers every recipient. Nobody is known.
POSTSCREEN_MAIN = """postscreen_bare_newline_enable = yes
postscreen_bare_newline_action = enforce
postscreen_access_list =
postscreen_cache_map =
postscreen_greet_wait = 1s
postscreen_greet_banner =
postscreen_pre_queue_limit = 100000
"""
HARAKA = {'me': 'mx.example.com\n', 'plugins': '\n', 'loglevel': 'WARN\n',
          'smtp.ini': 'listen=192.0.2.10:25\nnodes=0\n'}


def inside_gate(lab, *command):
    code, output = lab.run('gate', *command)
    if code:
        sys.exit(f'{" ".join(command)}: {output}')


@contextlib.contextmanager
def kernel_addresses(lab, routes=True):
    """The gate's addresses of both families, for once with the kernel; routes: and a way back for
    its answers to those beyond the network, name servers among them."""
    def change(*commands):
        for command in commands:
            inside_gate(lab, *command.split())
    change('sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.outside.disable_ipv6=0 '
           'net.ipv6.conf.inside.disable_ipv6=0 net.ipv6.conf.all.accept_dad=0 '
           'net.ipv4.tcp_syncookies=1')
    for family, (outside, inside) in ADDRESSES.items():
        nodad = ' nodad' if family == 6 else ''
        change(f'ip address add {outside} dev outside{nodad}',
               f'ip address add {inside} dev inside{nodad}')
        if routes:
            change(f'ip -{family} route add default via {GATEWAYS[family]}')
    try:
        yield
    finally:
        change('ip address flush dev outside scope global', 'ip address flush dev inside scope global',
               'sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.outside.disable_ipv6=1 '
               'net.ipv6.conf.inside.disable_ipv6=1')


@contextlib.contextmanager
def process(lab, *command, routes=True):
    """One program at the gate's addresses."""
    with kernel_addresses(lab, routes), open(lab.path('middle.log'), 'wb') as log:
        started = lab.start('gate', *command, stdout=log, stderr=log)
        try:
            yield
        finally:
            started.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.wait(10)
            started.kill()
            started.wait()


def haproxy(lab, connections=4000, idle='60s', routes=True):
    """HAProxy in tcp mode before the lab's server."""
    file = lab.path('haproxy.cfg')
    with open(file, 'w') as config:
        config.write(HAPROXY.format(connections=connections, idle=idle))
    return process(lab, 'haproxy', '-db', '-f', file, routes=routes)


def end_all(lab):
    """Daemons that outlive their master, as postscreen does to end its sessions."""
    def gone():
        left = list(accounts.processes_in(lab, 'gate'))
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        return not left

    labs.wait_for('Postfix has ended', gone, 30)


@contextlib.contextmanager
def postfix(lab, master, more='', routes=True):
    """Postfix of this master.cf; `more` settings in main.cf go before those of the same name."""
    folder = lab.path('middle')
    user = pwd.getpwnam('postfix')
    for name in ('', '/config', '/queue', '/data'):
        os.mkdir(folder + name)
    os.chown(folder + '/data', user.pw_uid, user.pw_gid)
    for name, text in (('main.cf', MAIN.format(dir=folder) + more), ('master.cf', master)):
        with open(f'{folder}/config/{name}', 'w') as file:
            file.write(text)
    with kernel_addresses(lab, routes):
        inside_gate(lab, 'postfix', '-c', folder + '/config', 'start')
        with open(folder + '/queue/pid/master.pid') as file:
            pid = int(file.read())
        try:
            yield
        finally:
            lab.run('gate', 'postfix', '-c', folder + '/config', 'stop')
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            end_all(lab)
            shutil.rmtree(folder)


# ---- For refused sessions: of (lab, sessions at once), without a way to a name server -----------


@contextlib.contextmanager
def relaygate(lab, sessions):
    config = lab.config()
    config['gate']['MaxSessions'] = str(max(sessions, 64))
    config['connector Submission']['MaxInboundConnection'] = 'unlimited'
    with labs.Gate(lab, config):
        yield


def refusing_haproxy(lab, sessions):
    return haproxy(lab, sessions + 100, '10m', routes=False)


@contextlib.contextmanager
def haraka(lab, _):
    folder = lab.path('haraka')
    home = haraka_at_backend.HOME
    shutil.copytree(os.path.join(home, 'config'), os.path.join(folder, 'config'))
    os.mkdir(os.path.join(folder, 'plugins'))
    for name, text in HARAKA.items():
        with open(os.path.join(folder, 'config', name), 'w') as file:
            file.write(text)
    # Else it begins to make some, which takes minutes of CPU time.
    subprocess.run(['openssl', 'dhparam', '-dsaparam', '-out', folder + '/config/dhparams.pem', '2048'],
                   check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with process(lab, 'node', os.path.join(home, 'bin', 'haraka'), '-c', folder,
                     routes=False):
            yield
    finally:
        shutil.rmtree(folder)


def smtpd(lab, _):
    return postfix(lab, MASTER, REFUSING, routes=False)


def postscreen(lab, _):
    return postfix(lab, POSTSCREEN_MASTER, REFUSING + POSTSCREEN_MAIN, routes=False)
