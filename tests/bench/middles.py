# SPDX-License-Identifier: BSD-3-Clause
#
# Who takes the gate's place in the lab when sessions are measured, each of them refusing foreign
# recipients: relaygate, HAProxy (in tcp mode: the server behind it refuses), Postfix's postscreen
# (its own SMTP engine, no smtpd behind it), Postfix's smtpd, Haraka. Context managers of (lab,
# sessions at once); each ends what it started. Measures nothing.
"""Programs in the gate's place."""
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys

import accounts  # noqa: F401 (finds the folder of the system tests)
import haraka as haraka_at_backend
import lab as labs
import lab_relay

MASTER = """smtp inet n - n - - smtpd
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
MAIN = """smtpd_relay_restrictions = reject_unauth_destination
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


@contextlib.contextmanager
def relaygate(lab, sessions):
    config = lab.config()
    config['gate']['MaxSessions'] = str(max(sessions, 64))
    config['connector Submission']['MaxInboundConnection'] = 'unlimited'
    with labs.Gate(lab, config):
        yield


@contextlib.contextmanager
def addresses(lab):
    """The gate's, with the kernel; no way to a name server, so that nobody waits for its silence."""
    with lab_relay.kernel_addresses(lab):
        for family in ('-4', '-6'):
            lab_relay.inside_gate(lab, 'ip', family, 'route', 'delete', 'default')
        yield


@contextlib.contextmanager
def process(lab, *command):
    """One program at the gate's addresses."""
    with addresses(lab), open(lab.path('middle.log'), 'wb') as log:
        started = lab.start('gate', *command, stdout=log, stderr=log)
        try:
            yield
        finally:
            started.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.wait(10)
            started.kill()
            started.wait()


@contextlib.contextmanager
def haproxy(lab, sessions):
    file = lab.path('haproxy.cfg')
    with open(file, 'w') as config:
        config.write(lab_relay.HAPROXY.replace('maxconn 4000', f'maxconn {sessions + 100}')
                     .replace('60s', '10m'))
    with process(lab, 'haproxy', '-db', '-f', file):
        yield


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
        with process(lab, 'node', os.path.join(home, 'bin', 'haraka'), '-c', folder):
            yield
    finally:
        shutil.rmtree(folder)


def end_all(lab):
    """Daemons that outlive their master, as postscreen does to end its sessions."""
    def gone():
        left = list(lab_relay.processes_in(lab, 'gate'))
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        return not left

    labs.wait_for('Postfix has ended', gone, 30)


@contextlib.contextmanager
def postfix(lab, master, main):
    folder = lab.path('middle')
    user = pwd.getpwnam('postfix')
    for name in ('', '/config', '/queue', '/data'):
        os.mkdir(folder + name)
    os.chown(folder + '/data', user.pw_uid, user.pw_gid)
    settings = lab_relay.MAIN.format(dir=folder).replace('mynetworks = 192.0.2.0/24\n', '')
    for name, text in (('main.cf', settings + MAIN + main), ('master.cf', master)):
        with open(f'{folder}/config/{name}', 'w') as file:
            file.write(text)
    with addresses(lab):
        lab_relay.inside_gate(lab, 'postfix', '-c', folder + '/config', 'start')
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


def smtpd(lab, _):
    return postfix(lab, MASTER, '')


def postscreen(lab, _):
    return postfix(lab, POSTSCREEN_MASTER, POSTSCREEN_MAIN)
