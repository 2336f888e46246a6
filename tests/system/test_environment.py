#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
#
# Where the environment lacks something, the gate does not start: exit code 1, and one line that
# names the thing and what to do about it. It leaves neither pins nor an XDP program behind, and what
# a former gate left it leaves as it was. On AF_XDP, whatever driver is asked for: the others leave
# nothing on an interface that could be found. A gate that runs and loses its pins goes on. Who asks
# one that is dead is told so.
import json
import os
import signal
import subprocess

import lab as labs
import smtp

NOT_ROOT = ('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all',
            '--bounding-set=-all')
NO_BPFFS = ('unshare', '--mount', 'sh', '-c', 'umount -l /sys/fs/bpf && exec "$@"', 'sh')
READ_ONLY = ('unshare', '--mount', 'sh', '-c',
             'mount -o remount,bind,ro /sys/fs/bpf && exec "$@"', 'sh')


os.environ['RELAYGATE_DEVICE'] = 'af_xdp'


def edited(section, **keys):
    def edit(config):
        config[section].update(keys)
    return edit


# What lacks; wrapper of the command; change of the configuration; words of the line.
CASES = (
    ('root', NOT_ROOT, None, ('root',)),
    ('a BPF file system', NO_BPFFS, None, ('mount -t bpf', '/sys/fs/bpf')),
    ('a BPF file system to write in', READ_ONLY, None, ('/sys/fs/bpf', 'Read-only')),
    ('a pin directory in a BPF file system', (), edited('gate', PinDirectory='/tmp/pins'),
     ('/tmp is not in a bpffs', 'mount')),
    ('a parent of the pin directory', (), edited('gate', PinDirectory='/sys/fs/bpf/a/b/c'),
     ('/sys/fs/bpf/a/b',)),
    ('the interface', (), edited('port outside', Device='af_xdp:nowhere0'), ('nowhere0',)),
    ('a worker for each queue',
     ('sh', '-c', 'ethtool -L outside rx 2; "$@"; code=$?; ethtool -L outside rx 1; exit $code',
      'sh'), None, ('2 queues', 'ethtool -L outside rx 1')),
    ('the PCI device', (), edited('port outside', Device='pci:0000:7f:1f.7'), ('0000:7f:1f.7',)),
    ('the user', (), edited('gate', User='nobody-of-that-name'), ('nobody-of-that-name',)),
    ('leave to be realtime', ('setpriv', '--bounding-set=-sys_nice'),
     edited('gate', Realtime='yes'), ('Realtime', 'CAP_SYS_NICE')),
    ('the file', ('sh', '-c', 'exec "$1" run -c /nonexistent/relaygate.ini', 'sh'), None,
     ('/nonexistent/relaygate.ini',)),
)


def traces(lab):
    """Pins of ours and XDP programs on the gate's interfaces."""
    _, output = lab.run('gate', 'ip', '-json', 'link', 'show')
    found = [link['ifname'] for link in json.loads(output) if link.get('xdp')]
    return found + sorted(os.listdir(lab.pins) if os.path.exists(lab.pins) else ())


def owners(lab):
    """Who owns the pins, and their directory."""
    return {os.stat(os.path.join(lab.pins, name)).st_uid for name in [*os.listdir(lab.pins), '.']}


def refuses(checks, lab, what, wrapper, config, words):
    path = lab.path('environment.ini')
    with open(path, 'w') as file:
        config.write(file)
    os.chmod(path, 0o644)
    process = lab.start('gate', *wrapper, labs.BINARY, 'run', '-c', path, text=True,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        _, said = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        checks.that(f'without {what}: it ends', False)
        return
    checks.equal(f'without {what}: exit code', process.returncode, 1)
    # What `check` warns about, too, is not about the environment.
    lines = [line for line in said.splitlines() if not line.endswith('(warning)')]
    checks.that(f'without {what}: one line on stderr', len(lines) == 1, repr(said))
    checks.that(f'without {what}: the line says {words}',
                all(word in said for word in words), repr(said))


def second_instance(checks, lab):
    """A live gate keeps its pins and its interfaces."""
    with labs.Gate(lab) as gate:
        smtp.await_backend(lab)
        refuses(checks, lab, 'pins of its own', (), lab.config(), (lab.pins, 'in use'))
        config = lab.config()
        config['gate']['PinDirectory'] = lab.pins + '_other'
        refuses(checks, lab, 'an interface of its own', (), config, ('outside', 'in use'))
        checks.that('and pins nothing there', not os.path.exists(lab.pins + '_other'))
        mail_passes(checks, lab, 'the first one goes on')
        checks.equal('and stops in good order', gate.stop(), 0)


def mail_passes(checks, lab, what):
    with smtp.Client(lab, 'app') as client:
        client.greet()
        checks.starts(what, client.message('a@sender.test', 'b@accepted.test', b'X: y\r\n\r\n'),
                      '250')
        client.quit()


def pins_lost(checks, lab):
    """Somebody removes them: mail and reloads go on, and the next start makes new ones."""
    with labs.Gate(lab) as gate:
        smtp.await_backend(lab)
        subprocess.run(['rm', '-r', lab.pins], check=True)
        mail_passes(checks, lab, 'without its pins mail passes')
        gate.process.send_signal(signal.SIGHUP)
        labs.wait_for('a reload', lambda: b'reloaded (signal)' in labs.read(gate.log))
        mail_passes(checks, lab, 'and after a reload')
        checks.equal('without its pins it stops in good order', gate.stop(), 0)
        checks.equal('and leaves nothing', traces(lab), [])
        gate.start()
        smtp.await_backend(lab)
        labs.wait_for('it counts in new ones',
                      lambda: gate.connectors()['Anonymous Relay']['sessions'] > 0)
        checks.equal('the next one stops, too', gate.stop(), 0)


# Starts that fail late, with other connectors and another shape than the gate had before.
LATE = (
    ('the user', {}, 'nobody-of-that-name'),
    ('the user, with more bans', {'ban': {'Enabled': 'yes', 'BanEntries': '1000'}}, 'no-such-user'),
    ('the user, with a longer log', {'gate': {'LogRecords': '2048'}}, 'no-such-user'),
)


def failed_starts(checks, lab):
    """What a former gate left is the same after a start that failed: pins, counters, owners."""
    config = lab.config()
    config['gate']['User'] = 'nobody'
    with labs.Gate(lab, config) as gate:
        smtp.await_backend(lab)
        mail_passes(checks, lab, 'mail for a gate with User')
        checks.equal('it stops', gate.stop(), 0)
        checks.equal('its pins are its user\'s', owners(lab), {65534})
        maps = ('connectors', 'reasons', 'ports', 'instance')
        before = traces(lab), {name: gate.dump(name) for name in maps}
        for what, keys, user in LATE:
            config = lab.config()
            config['gate']['User'] = user
            for section, values in keys.items():
                if not config.has_section(section):
                    config.add_section(section)
                config[section].update(values)
            config.add_section('connector Newcomer')
            config['connector Newcomer'].update(Bindings='192.0.2.10:25',
                                                RemoteIPRanges='203.0.113.7',
                                                PermissionGroups='AnonymousUsers')
            refuses(checks, lab, what, (), config, (user,))
            checks.equal(f'without {what}: the former gate\'s pins',
                         (traces(lab), {name: gate.dump(name) for name in maps}), before)
            checks.equal(f'without {what}: they are whose they were', owners(lab), {65534})
    with labs.Gate(lab) as gate:
        checks.equal('a gate that stays root takes them back', owners(lab), {0})
        checks.that('and counts on', gate.connectors()['Anonymous Relay']['messages'] == 1)
        checks.equal('and stops', gate.stop(), 0)


def give_pid(lab, pid):
    """As if another process had the dead gate's number by now."""
    path = os.path.join(lab.pins, 'instance')
    row = json.loads(subprocess.run(['bpftool', '-j', 'map', 'lookup', 'pinned', path, 'key', '0',
                                     '0', '0', '0'], stdout=subprocess.PIPE, check=True).stdout)
    value = bytes(int(byte, 16) for byte in row['value'])
    value = value[:8] + pid.to_bytes(8, 'little') + value[16:]
    subprocess.run(['bpftool', 'map', 'update', 'pinned', path, 'key', '0', '0', '0', '0', 'value',
                    *map(str, value)], check=True)


def killed(checks, lab):
    """Who asks a gate that is dead is told so at once, whoever has its process number now."""
    with labs.Gate(lab) as gate:
        smtp.await_backend(lab)
        gate.kill()
        give_pid(lab, os.getpid())
        for command in ('reload', 'drain'):
            # A gate that lives has a minute to answer.
            done = subprocess.run([labs.BINARY, command, '-c', gate.file], text=True,
                                  stderr=subprocess.PIPE, timeout=50)
            checks.equal(f'{command} of a killed gate: exit code', done.returncode, 1)
            checks.that(f'{command} says that none runs', 'no gate is running there' in done.stderr,
                        done.stderr)
        gate.start()
        checks.equal('after a kill it starts and stops', gate.stop(), 0)


def realtime(checks, lab):
    """The worker's thread goes first, and no other."""
    config = lab.config()
    config['gate']['Realtime'] = 'yes'
    config['gate']['User'] = 'nobody'
    with labs.Gate(lab, config) as gate:
        folder = f'/proc/{gate.process.pid}/task'
        threads = {labs.read(f'{folder}/{thread}/comm').decode().strip(): int(thread)
                   for thread in os.listdir(folder)}
        urgent = {name for name, thread in threads.items()
                  if os.sched_getscheduler(thread) == os.SCHED_FIFO}
        checks.equal('Realtime = yes: threads that go first', urgent, {'rte-worker-1'})


def test(checks):
    with labs.Lab() as lab:
        for what, wrapper, edit, words in CASES:
            config = lab.config()
            if edit:
                edit(config)
            refuses(checks, lab, what, wrapper, config, words)
            checks.equal(f'without {what}: nothing is left', traces(lab), [])
        second_instance(checks, lab)
        pins_lost(checks, lab)
        killed(checks, lab)
        failed_starts(checks, lab)
        realtime(checks, lab)
        checks.equal('after a stop nothing is attached',
                     [name for name in traces(lab) if name == 'outside' or 'xdp' in name], [])


if __name__ == '__main__':
    labs.run(test)
