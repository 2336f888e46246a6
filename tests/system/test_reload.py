#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
# variants: rules edits edits-many
# by name: edits-many
# workers: af_packet af_xdp
#
# Reconfiguration without a pause. rules: a session keeps its rights inside a transaction and has the
# new ones at its next MAIL, a connector that is gone ends it there with 421; a body in progress
# passes; servers come, are probed, and go; faulty files change nothing and
# say why, and of others the rest holds while some keys wait for a restart; SIGHUP and AutoReload; drain and its undo. edits: random edits of the file, half
# of them broken, under traffic: after each one the wire says what `explain` says of the file in
# force. edits-many: 1,000 of them.
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import lab as labs
import smtp

RIGHT = 'anonymous: ms-Exch-SMTP-Accept-Any-Recipient'
RELAY = 'connector Anonymous Relay'
SUBMISSION = 'connector Submission'
FOREIGN = 'customer@foreign.test'
SENDER = 'reports@sender.test'
BODY = b'Subject: reload\r\n\r\n' + b'line of the message\r\n' * 2000
NO_FILES = {'a FIFO that nobody writes to': os.mkfifo, 'a directory': os.mkdir,
            'a device without end': lambda path: os.symlink('/dev/zero', path),
            'a loop': lambda path: os.symlink(path, path)}
EDITS = {'edits': 40, 'edits-many': 1000}


def save(gate, config, broken=''):
    """As an editor does: a new file, renamed over the old one."""
    with open(gate.file + '.new', 'w') as file:
        config.write(file)
        file.write(broken)
    os.rename(gate.file + '.new', gate.file)


def tool(gate, command, *arguments, file=None):
    done = subprocess.run([labs.BINARY, command, '-c', file or gate.file, *arguments], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    return done.returncode, done.stdout, done.stderr


def state(gate, name):
    value = gate.dump('instance')[0]['formatted']['value'][name]
    return value if isinstance(value, int) else labs.text(value)


def reload(checks, gate, config):
    save(gate, config)
    code, said, complaint = tool(gate, 'reload')
    checks.that('the file is taken', code == 0 and 'generation' in said, said + complaint)


def settled(gate):
    """No generation but the newest is held."""
    labs.wait_for('former policies are freed', lambda: state(gate, 'generations_held') == 1)


def sessions(checks, lab, gate, backend):
    config = lab.config()
    with smtp.Client(lab, 'app') as client, smtp.Client(lab, 'app') as idle:
        client.greet()
        idle.greet()
        checks.starts('a foreign recipient is accepted', client.envelope(SENDER, FOREIGN), '250')
        checks.starts('a message begins', client.command('DATA'), '354')
        client.send(BODY[:1000])
        del config[RELAY]['ExtendedRights']
        reload(checks, gate, config)
        client.send(BODY[1000:] + b'.\r\n')
        checks.starts('a body that was in progress passes', client.reply(), '250')
        checks.that('and is at the backend, whole', any(BODY.strip() in text.strip() for _, _, text
                                                        in backend.accepted), len(backend.accepted))
        checks.starts('the next MAIL has the new rights', client.envelope(SENDER, FOREIGN),
                      '550 5.7.1')
        reload(checks, gate, lab.config())
        checks.starts('the transaction of before keeps its own', client.command(
            f'RCPT TO:<{FOREIGN}>'), '550 5.7.1')
        checks.starts('RSET', client.command('RSET'), '250')
        checks.starts('then it may relay again', client.envelope(SENDER, FOREIGN), '250')
        del config[RELAY]
        reload(checks, gate, config)
        checks.starts('its connector is gone: the transaction goes on',
                      client.command(f'RCPT TO:<{FOREIGN}>'), '250')
        checks.starts('RSET', client.command('RSET'), '250')
        checks.starts('until the next MAIL', client.command(f'MAIL FROM:<{SENDER}>'), '421 4.3.2')
        checks.equal('and the session is closed', client.reply(), '')
        checks.starts('an idle session of it lives', idle.command('NOOP'), '250')
        checks.starts('until its MAIL', idle.command(f'MAIL FROM:<{SENDER}>'), '421 4.3.2')
    try:
        smtp.Client(lab, 'app', seconds=1.5).close()
        checks.that('no connector lists it now', False)
    except OSError:
        checks.that('no connector lists it now', True)
    reload(checks, gate, lab.config())
    settled(gate)


def shown(gate):
    """The connectors as `status` has them: names of its text; rows of JSON; names of Prometheus."""
    text = tool(gate, 'status')[1].split('\nconnector ')[1].split('\n\n')[0].splitlines()[1:]
    rows = json.loads(tool(gate, 'status', '--json')[1])['connectors']
    metrics = re.findall(r'^relaygate_connector_sessions_total\{connector="(.*)"\}',
                         tool(gate, 'status', '--prometheus')[1], re.MULTILINE)
    return ([re.sub(r' +\d.*', '', line) for line in text], {row['name']: row for row in rows},
            metrics)


def gone(checks, lab, gate):
    """A connector that left the file is shown while it has sessions, and comes back as it was."""
    config = lab.config()
    del config[RELAY]
    with smtp.Client(lab, 'app') as client:
        client.greet()
        reload(checks, gate, config)
        names, rows, metrics = shown(gate)
        checks.that('gone, with a session: said so', 'Anonymous Relay (gone)' in names, names)
        checks.equal('gone, with a session: not listed', rows['Anonymous Relay']['listed'], 0)
        checks.that('gone, with a session: its series goes on', 'Anonymous Relay' in metrics)
        checks.equal('others are listed', rows['Submission']['listed'], 1)
        checks.that('others are not gone', 'Submission' in names, names)
        client.quit()
    labs.wait_for('its session ends', lambda: 'Anonymous Relay' not in shown(gate)[1])
    names, _, metrics = shown(gate)
    checks.that('gone, without one: not shown', not [name for name in names if 'Relay' in name],
                names)
    checks.that('nor in Prometheus', 'Anonymous Relay' not in metrics, metrics)
    before = gate.connectors_at_rest()['Anonymous Relay']
    checks.that('its row is still there', before['sessions'] > 0)
    reload(checks, gate, lab.config())
    after = shown(gate)[1]['Anonymous Relay']
    checks.equal('back again it counts on', {**before, 'listed': 1}, {**after, 'name': before['name']})
    settled(gate)


def renamed(checks, lab, gate):
    config = lab.config()
    config['connector Relay Two'] = dict(config[RELAY])
    del config[RELAY]
    before = gate.connectors_at_rest()['Anonymous Relay']['sessions']
    with smtp.Client(lab, 'app') as client:
        client.greet()
        reload(checks, gate, config)
        checks.starts('a renamed connector is another one', client.command('MAIL FROM:<>'),
                      '421 4.3.2')
    with smtp.Client(lab, 'app') as client:
        client.greet()
        client.quit()
    rows = gate.connectors_at_rest()
    checks.equal('it counts in a row of its own', rows['Relay Two']['sessions'], 1)
    checks.equal('the old row stays', rows['Anonymous Relay']['sessions'], before + 1)
    reload(checks, gate, lab.config())
    settled(gate)
    checks.equal('the first name has its row again',
                 gate.connectors_at_rest()['Anonymous Relay']['sessions'], before + 1)


def servers(checks, lab, gate, backend):
    config = lab.config()
    name = next(section for section in config if section.startswith('backend '))
    with smtp.Client(lab, 'app') as client:
        client.greet()
        checks.starts('a transaction at the server', client.envelope(SENDER, FOREIGN), '250')
        config[name]['Servers'] = labs.SERVERS[6]
        reload(checks, gate, config)
        checks.starts('its server is gone from the file: it goes on', client.command('DATA'), '354')
        client.send(BODY + b'.\r\n')
        checks.starts('to its end', client.reply(), '250')
        smtp.await_backend(lab)
        checks.starts('the next one is at the new server', client.message(SENDER, FOREIGN, BODY),
                      '250')
    config[name]['Servers'] = '10.0.0.99'
    reload(checks, gate, config)
    with smtp.Client(lab, 'app') as client:
        client.greet()
        checks.starts('a server that does not answer its probe gets no mail',
                      client.envelope(SENDER, FOREIGN), '451')
    reload(checks, gate, lab.config())
    settled(gate)
    smtp.await_backend(lab)


def refusals(checks, lab, gate):
    config, generation = lab.config(), state(gate, 'generation')
    save(gate, config, '[connector Broken]\nBindings = nonsense\n')
    code, _, complaint = tool(gate, 'reload')
    checks.that('a faulty file: exit 1, and where', code == 1 and f'{gate.file}:' in complaint,
                complaint)
    for words in (('status',), ('log',), ('top', '--once', '--interval', '100ms'),
                  ('ban', 'list'), ('ban', 'add', '198.51.100.99', '--for', '1h'),
                  ('ban', 'del', '198.51.100.99'), ('drain',), ('drain', '--undo')):
        code, said, complaint = tool(gate, *words)
        checks.that(f'the gate behind such a file: {" ".join(words)}',
                    code == 0 and 'has errors' in complaint, said + complaint)
    code, _, complaint = tool(gate, 'ban', 'add', '198.51.100.99')
    checks.that('a ban then needs its time', code == 1 and '--for' in complaint, complaint)
    gate.process.send_signal(signal.SIGHUP)
    labs.wait_for('the gate says so', lambda: state(gate, 'reload_result') == 'refused')
    checks.that('the faults are in the record', f'{gate.file}:' in state(gate, 'message'),
                state(gate, 'message'))
    with tempfile.NamedTemporaryFile('w', suffix='.ini') as other:
        lab.config().write(other)
        other.flush()
        code, _, complaint = tool(gate, 'reload', file=other.name)
        checks.that('another file than the gate reads is refused, and both are named',
                    code == 1 and other.name in complaint and gate.file in complaint, complaint)
    os.unlink(gate.file)
    gate.process.send_signal(signal.SIGHUP)
    labs.wait_for('a file that is not there', lambda: 'cannot open' in state(gate, 'message'))
    checks.equal('the policy is what it was', state(gate, 'generation'), generation)
    for name, make in NO_FILES.items():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(gate.file)
        make(gate.file)
        before = state(gate, 'reloads_refused')
        gate.process.send_signal(signal.SIGHUP)
        labs.wait_for(f'{name} in its place is refused',
                      lambda: state(gate, 'reloads_refused') > before)
        with smtp.Client(lab, 'app') as client:
            checks.starts(f'{name}: the gate goes on', client.greet(), '250')
        (os.rmdir if name == 'a directory' else os.unlink)(gate.file)
    checks.equal('and still', state(gate, 'generation'), generation)
    save(gate, lab.config())


def waiting(checks, lab, gate):
    """What a reload cannot change is told with both values, until a restart or the file's return;
    the rest of the file holds."""
    config = lab.config()
    config['gate'].update(MaxSessions='123', DnsServers='192.0.2.53', Name='other.example.com')
    save(gate, config)
    code, _, complaint = tool(gate, 'reload')
    wanted = 'restart needed for: MaxSessions (10000 -> 123), DnsServers (none -> 192.0.2.53:53)'
    checks.that('reload names what needs a restart, and its values',
                code == 0 and wanted in complaint, complaint)
    with smtp.Client(lab, 'app') as client:
        checks.that('the rest of that file holds', 'other.example.com' in client.banner,
                    client.banner)
    checks.that('status says so', wanted in tool(gate, 'status')[1], tool(gate, 'status')[1])
    checks.equal('and its JSON', json.loads(tool(gate, 'status', '--json')[1])['restart_needed'],
                 wanted[len('restart needed for: '):])
    checks.that('and Prometheus', '\nrelaygate_restart_needed 1\n' in tool(
        gate, 'status', '--prometheus')[1])
    config['port outside']['Address'] += ', 192.0.2.11/24'
    config[RELAY]['Bindings'] = '192.0.2.11:25'
    save(gate, config)
    code, _, complaint = tool(gate, 'reload')
    checks.that('what does not go with what stays is refused',
                code == 1 and 'does not go with what stays until a restart' in complaint and
                '192.0.2.11' in complaint, complaint)
    checks.that('status still says what waits', wanted in tool(gate, 'status')[1])
    reload(checks, gate, lab.config())
    checks.that('nothing waits once the file is as the gate is',
                'restart needed' not in tool(gate, 'status')[1])


def signals(checks, lab, gate):
    config, generation = lab.config(), state(gate, 'generation')
    config['gate']['Name'] = 'second.example.com'
    config['gate']['AutoReload'] = 'yes'
    save(gate, config)
    gate.process.send_signal(signal.SIGHUP)
    labs.wait_for('SIGHUP', lambda: state(gate, 'generation') == generation + 1)
    # A writer that a busy machine stops for longer than the gate waits has half a file read, and
    # then the whole one; that no piece is taken is unit/control/test_file_watch's.
    for number, way in enumerate((save, in_place, in_pieces)):
        config['gate']['Name'] = f'third{number}.example.com'
        way(gate, config)
        labs.wait_for(f'AutoReload, {way.__name__}: the file itself',
                      lambda: f'third{number}.example.com' in banner(lab))
    labs.wait_for('each was a generation', lambda: state(gate, 'generation') >= generation + 4)
    overtaken(lab, gate, config)
    reload(checks, gate, lab.config())


def banner(lab):
    with smtp.Client(lab, 'app') as client:
        return client.banner


def overtaken(lab, gate, config):
    """The file changes again while the gate reads it, or puts what it read to work."""
    for pause in (0, 0.001, 0.002, 0.004, 0.006, 0.01):
        name = f'after{int(pause * 1000)}.example.com'
        config['gate']['Name'] = 'before.example.com'
        save(gate, config)
        gate.process.send_signal(signal.SIGHUP)
        time.sleep(pause)
        config['gate']['Name'] = name
        save(gate, config)
        labs.wait_for(f'the file of {pause} s after SIGHUP', lambda: name in banner(lab))


def told_to_systemd(checks, lab, gate):
    """The manager takes RELOADING=1 for the answer to its SIGHUP only if its time is not before that."""
    path, early = lab.path('notify'), []
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(20)
        for _ in range(20):
            asked = time.monotonic_ns() // 1000
            gate.process.send_signal(signal.SIGHUP)
            said = notify.recv(4096).decode()
            told = int(re.fullmatch(r'RELOADING=1\nMONOTONIC_USEC=(\d+)\n*', said)[1])
            early += [asked - told] if told < asked else []
            checks.equal('and READY=1 when it is done', notify.recv(4096).strip(), b'READY=1')
    checks.equal('no reload began before it was asked for', early, [])


def in_place(gate, config):
    with open(gate.file, 'w') as file:
        config.write(file)


def in_pieces(gate, config):
    in_place(gate, config)
    whole = labs.read(gate.file)
    with open(gate.file, 'wb', buffering=0) as file:
        for i in range(0, len(whole), 200):
            file.write(whole[i:i + 200])


def drain(checks, lab, gate):
    with smtp.Client(lab, 'app') as client:
        client.greet()
        code, said, complaint = tool(gate, 'drain')
        checks.that('drain', code == 0 and said == 'draining\n', said + complaint)
        try:
            smtp.Client(lab, 'app', seconds=1.5).close()
            checks.that('no new session', False)
        except OSError:
            checks.that('no new session', True)
        checks.starts('the one there goes on', client.message(SENDER, FOREIGN, BODY), '250')
        checks.starts('as long as it likes', client.message(SENDER, FOREIGN, BODY), '250')
        client.quit()
    labs.wait_for('then the gate is drained', lambda: state(gate, 'state') == 'drained')
    code, said, complaint = tool(gate, 'drain', '--undo')
    checks.that('undo', code == 0 and said == 'running\n', said + complaint)
    with smtp.Client(lab, 'app') as client:
        checks.starts('sessions again', client.greet(), '250')


def stopping(checks, lab, gate):
    """Nothing is asked of a gate that only waits for a message's end."""
    with smtp.Client(lab, 'app') as client:
        client.greet()
        for line in (f'MAIL FROM:<{SENDER}>', f'RCPT TO:<{FOREIGN}>', 'DATA'):
            client.command(line)
        gate.process.send_signal(signal.SIGTERM)
        labs.wait_for('it stops', lambda: state(gate, 'state') == 'stopping')
        for command in ('drain', 'reload'):
            code, _, complaint = tool(gate, command)
            checks.that(f'{command} is refused', code == 1 and 'is stopping' in complaint,
                        complaint)
        checks.starts('while the message goes on', client.command('\r\nhello\r\n.'), '250')
    checks.equal('and then the gate stops in good order', gate.stop(), 0)


class Follower:
    """`relaygate log -f`, from now on."""

    def __init__(self, lab, gate):
        self.path = lab.path('followed')
        self.process = subprocess.Popen([labs.BINARY, 'log', '-f', '-c', gate.file],
                                        stdin=subprocess.DEVNULL, stdout=open(self.path, 'wb'),
                                        stderr=subprocess.STDOUT)

    def shows(self, pattern):
        return re.search(pattern, labs.read(self.path).decode())


def shifted(checks, lab, gate, config):
    """Another server stands before those there were: since when they are live is still told."""
    def since():
        return {row['name']: row['since_us'] for row in gate.rows('servers')}

    before, servers = since(), config['backend cluster']['Servers']
    config['backend cluster']['Servers'] = f'10.0.0.99:25, {servers}'
    reload(checks, gate, config)
    labs.wait_for('it is shown', lambda: '10.0.0.99:25' in since())
    after = since()
    checks.equal('a server is live since when it was', {name: after[name] for name in before}, before)
    config['backend cluster']['Servers'] = servers
    reload(checks, gate, config)


def events(checks, lab, gate, backend, follower):
    """Each kind of event is one that a follower of the log sees, with what it was about."""
    config = lab.config()
    config['backend cluster']['ProbeInterval'] = '1s'
    config[RELAY]['MaxInboundConnectionPerSource'] = '1'
    reload(checks, gate, config)
    with smtp.Client(lab, 'app'), smtp.Client(lab, 'app') as second:
        checks.starts('a limit', second.banner, '421')
    for words in (('add', '203.0.113.9'), ('del', '203.0.113.9')):
        tool(gate, 'ban', *words)
        seen = 'source_banned' if words[0] == 'add' else 'source_unbanned'
        labs.wait_for(f'ban {words[0]} is followed',
                      lambda: follower.shows(rf'203\.0\.113\.9 {seen} by hand'))
    shifted(checks, lab, gate, config)
    backend.die()
    labs.wait_for('the end of a server is followed',
                  lambda: follower.shows(r'10\.0\.0\.11:25 backend_down '))
    backend.start()
    labs.wait_for('its return is followed',
                  lambda: follower.shows(r'10\.0\.0\.11:25 backend_up '))
    for what, pattern in {
            'the start': r' - gate_started ',
            'a reload, its generation and its cause': r' - gate_reloaded generation 2, request ',
            'one that was refused, and why':
                rf' - reload_refused generation \d+, signal: {re.escape(gate.file)}:\d+: ',
            'a limit': rf'192\.0\.2\.\d+:\d+ smtp_limit_per_source \[{RELAY[10:]}\] 421'}.items():
        checks.that(f'followed: {what}', follower.shows(pattern),
                    labs.read(follower.path).decode()[-3000:])
    stopping(checks, lab, gate)
    labs.wait_for('the end is followed', lambda: follower.shows(r' - gate_stopped '))
    follower.process.kill()
    follower.process.wait()


def rules(checks, lab):
    with smtp.Backend(lab) as backend, labs.Gate(lab) as gate:
        follower = Follower(lab, gate)
        smtp.await_backend(lab)
        sessions(checks, lab, gate, backend)
        renamed(checks, lab, gate)
        gone(checks, lab, gate)
        waiting(checks, lab, gate)
        servers(checks, lab, gate, backend)
        refusals(checks, lab, gate)
        signals(checks, lab, gate)
        told_to_systemd(checks, lab, gate)
        drain(checks, lab, gate)
        events(checks, lab, gate, backend, follower)
    unreadable(checks, lab)


def unreadable(checks, lab):
    config = lab.config()
    config['gate']['User'] = 'nobody'
    with labs.Gate(lab, config) as gate:
        os.chmod(gate.file, 0o600)
        code, _, complaint = tool(gate, 'reload')
        checks.that('a file that User may not read', code == 1 and 'User = nobody' in complaint,
                    complaint)
        os.chmod(gate.file, 0o644)
        code, said, complaint = tool(gate, 'reload')
        checks.that('and one that it may', code == 0, said + complaint)


class Traffic:
    """Mails one after another over a connector that no edit touches, from another host."""

    def __init__(self, lab):
        self.lab, self.sent, self.bad = lab, 0, []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(60)

    def work(self):
        while not self.over.is_set():
            try:
                with smtp.Client(self.lab, 'host') as client:
                    client.greet()
                    for _ in range(10):
                        reply = client.message(SENDER, 'colleague@accepted.test', BODY)
                        if not reply.startswith('250'):
                            self.bad.append(reply)
                        self.sent += 1
            except OSError as error:
                self.bad.append(repr(error))


BREAKS = ('[connector Broken]\nBindings = nonsense\n', 'Unknown = 1\n', '[unknown]\n',
          '[connector Anonymous Relay]\nBindings = 192.0.2.10:25\n', '[backend twice]\nServers = x\n',
          '[gate]\nName = again.example.com\n')


def edit(chance, config):
    """Other rights, texts and ranges of the connector that serves "app", domains, servers."""
    section = config[RELAY]
    section['RemoteIPRanges'] = '192.0.2.20, 2001:db8:1::20' + ''.join(
        f', 203.0.113.{i}' for i in chance.sample(range(1, 255), chance.randrange(8)))
    section['PermissionGroups'] = chance.choice(('AnonymousUsers', 'None'))
    for key in ('ExtendedRights', 'Banner', 'MaxMessageSize'):
        section.pop(key, None)
    if chance.random() < 0.5:
        section['ExtendedRights'] = RIGHT
    section['Fqdn'] = f'mx{chance.randrange(100)}.example.com'
    config['gate']['ReplyDialect'] = chance.choice(('2007', '2016'))
    for number in range(3):
        config.remove_section(f'accepted-domain extra{number}.test')
        if chance.random() < 0.5:
            config[f'accepted-domain extra{number}.test'] = {'Type': 'InternalRelay'}
    servers = ['10.0.0.11:25', '[2001:db8:2::12]:25']
    config['backend cluster']['Servers'] = ', '.join(chance.sample(servers, chance.randint(1, 2)))
    config.remove_section('connector Extra')
    if chance.random() < 0.5:
        config['connector Extra'] = {'Bindings': '192.0.2.10:25', 'RemoteIPRanges': '192.0.2.60',
                                     'PermissionGroups': 'AnonymousUsers'}


def explained(file, recipient):
    done = subprocess.run([labs.BINARY, 'explain', '-c', file, '--from', '192.0.2.20', '--to',
                           '192.0.2.10:25', '--mail-from', SENDER, '--rcpt-to', recipient,
                           '--json'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          stdin=subprocess.DEVNULL, check=True)
    return json.loads(done.stdout)


def asked(client, recipient):
    """MAIL's and RCPT's replies, as explain gives them; RSET behind them."""
    replies = [client.command(f'MAIL FROM:<{SENDER}>'), client.command(f'RCPT TO:<{recipient}>')]
    client.command('RSET')
    return replies


def edits(checks, lab, count):
    chance = random.Random(int(os.environ.get('RELAYGATE_SEED', '1')))
    config = lab.config()
    config['gate']['ReplyDialect'] = '2007'
    with smtp.Backend(lab), labs.Gate(lab, config) as gate, Traffic(lab) as traffic:
        smtp.await_backend(lab)
        in_force = lab.path('in-force.ini')
        shutil.copy(gate.file, in_force)
        client, wrong, refused = None, [], 0
        for number in range(count):
            broken = chance.random() < 0.5
            edit(chance, config)
            save(gate, config, chance.choice(BREAKS) if broken else '')
            before = state(gate, 'generation')
            if broken and chance.random() < 0.5:
                gate.process.send_signal(signal.SIGHUP)
                labs.wait_for('an answer', lambda: state(gate, 'reloads_refused') > refused)
                code = 1
            else:
                code = tool(gate, 'reload')[0]
            refused = state(gate, 'reloads_refused')
            if code != int(broken) or state(gate, 'generation') != before + (not broken):
                wrong.append((number, 'code', code, broken))
            if not broken:
                shutil.copy(gate.file, in_force)
            recipient = chance.choice((FOREIGN, 'a@extra0.test', 'a@extra1.test'))
            if client is None or chance.random() < 0.3:
                client = smtp.Client(lab, 'app')
                client.greet()
            want = explained(in_force, recipient)
            got = asked(client, recipient)
            if not agree(want, got):
                wrong.append((number, replies_of(want), got))
        checks.that(f'{count} edits: the wire says what explain says of the file in force',
                    not wrong, wrong[:3])
        if client:
            client.close()
        checks.that('the gate lives', gate.alive())
    checks.that(f'mail passed meanwhile: {traffic.sent}', traffic.sent > 10 and not traffic.bad,
                traffic.bad[:3])


def agree(want, got):
    """Replies of the wire against explain's: the same texts, or a permission that only the backend
    answers."""
    return replies_of(want) == ['250' if reply.startswith('250') else reply for reply in got]


def replies_of(want):
    """What follows MAIL and RCPT in explain's dialogue; a yes is 250, whoever says it."""
    replies, asked_for = [], ''
    for step in want['dialogue']:
        if 'client' in step:
            asked_for = step['client'][:4]
        elif asked_for in ('MAIL', 'RCPT') and 'gate' in step:
            replies.append('250' if step['gate'].startswith('250') else step['gate'])
        if 'client' not in step and 'gate' not in step and asked_for == 'RCPT':
            replies.append('250')
    return replies


def test(checks):
    variant = sys.argv[1] if len(sys.argv) > 1 else 'rules'
    with labs.Lab() as lab:
        lab.command('backend', 'none')
        if variant == 'rules':
            rules(checks, lab)
        else:
            edits(checks, lab, EDITS[variant])


if __name__ == '__main__':
    labs.run(test)
