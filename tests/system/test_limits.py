#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 200
# workers: af_xdp
#
# The limits on connections, by Linux clients over IPv4 and IPv6: a connector on a port of its own
# for each limit and each action. The first ones are greeted, the next one meets the action, other
# sources do not notice; who leaves makes room. Each refusal moves its own counter, exactly; who is on
# the IP Allow list has no limit. Sources on the IP Block list, and banned ones, get the 421 that they
# are configured to get, and XDP lets them come so far.
import contextlib
import errno
import socket
import subprocess
import time

import lab as labs

MANY = ('421 4.3.2 The maximum number of concurrent connections has exceeded a limit, '
        'closing transmission channel')
FAST = '421 4.4.2 Connection rate for this client has exceeded the configured limit'
OWN = '421 4.3.2 Come back later, see postmaster.contoso.com'
UNLIMITED = {'MaxInboundConnectionPerSource': 'unlimited',
             'MaxInboundConnectionPercentagePerSource': '100'}
PER_SOURCE = {'MaxInboundConnectionPerSource': '2',
              'MaxInboundConnectionPercentagePerSource': '100'}
TARPIT_S = 2
BLOCKED = '421 4.7.0 Blocked, see postmaster.contoso.com'
BANNED = '421 4.7.0 Banned, see postmaster.contoso.com'
# Addresses of "host" that are on the IP Block list, and that are going to be banned.
BLOCKED_FROM = {4: '192.0.2.33', 6: '2001:db8:98::33'}
BANNED_FROM = {4: '192.0.2.34', 6: '2001:db8:97::34'}
# "host" has more addresses: of its own prefix, and of another one that is on its link as well.
MORE = {4: ('192.0.2.31', '192.0.2.32', '203.0.113.30'),
        6: ('2001:db8:1::31', '2001:db8:1:1::30', '2001:db8:99::30')}
HOSTS = ('host', 'app', 'remote')
# How many of `first` come in; then who is refused with what, by which reason; then who is not.
# A client is one of HOSTS, the place of an address in MORE, or another address of "host".
CASES = {
    'reply': dict(keys=PER_SOURCE, first=['host'] * 2, refused='host', text=MANY,
                  reason='smtp_limit_per_source', others=['remote']),
    'own text': dict(keys=dict(PER_SOURCE, ConnectionLimitReply=OWN), first=['host'] * 2,
                     refused='host', text=OWN, reason='smtp_limit_per_source',
                     others=['remote']),
    'tarpit': dict(keys=dict(PER_SOURCE, MaxInboundConnectionPerSourceAction='tarpit',
                             TarpitInterval=f'{TARPIT_S}s'),
                   first=['host'] * 2, refused='host', text=MANY, wait=TARPIT_S,
                   reason='smtp_limit_per_source', others=['remote']),
    'reset': dict(keys=dict(PER_SOURCE, MaxInboundConnectionPerSourceAction='reset'),
                  first=['host'] * 2, refused='host', error=errno.ECONNREFUSED,
                  reason='limit_per_source', others=['remote']),
    'total': dict(keys=dict(UNLIMITED, MaxInboundConnection='4'),
                  first=['host', 'host', 'app', 'remote'], refused='remote', text=MANY,
                  reason='smtp_limit_connections', others=[]),
    # 4 % of 100 to 97 that are left are 4, rounded up, and so are those of 96.
    'percentage': dict(keys={'MaxInboundConnectionPerSource': 'unlimited',
                             'MaxInboundConnection': '100',
                             'MaxInboundConnectionPercentagePerSource': '4'},
                       first=['host'] * 4, refused='host', text=MANY,
                       reason='smtp_limit_percentage', others=['remote']),
    # IPv4 /24, and IPv6 /48 as the gate is told: another address counts as well.
    'prefix': dict(keys=dict(UNLIMITED, MaxInboundConnectionPerPrefix='3'),
                   first=['host', 0, 1], refused='host', text=MANY,
                   reason='smtp_limit_per_prefix', others=['remote', 2]),
    'source rate': dict(keys=dict(UNLIMITED, MaxConnectionRatePerSource='3'),
                        first=['host'] * 3, leave=True, refused='host', text=FAST,
                        reason='smtp_limit_source_rate', others=['remote']),
    'prefix rate': dict(keys=dict(UNLIMITED, MaxConnectionRatePerPrefix='3',
                                  MaxConnectionRatePerPrefixAction='reset'),
                        first=['host', 0, 1], leave=True, refused='host',
                        error=errno.ECONNREFUSED, reason='limit_prefix_rate',
                        others=['remote', 2]),
}
# Beside those, with a test each.
FURTHER = {
    'drop': dict(PER_SOURCE, MaxInboundConnectionPerSourceAction='drop'),
    'syns': dict(UNLIMITED, MaxSynRate='4', MaxSynRateAction='reset'),
    'allowed': dict(MaxInboundConnectionPerSource='1', MaxConnectionRatePerSource='1'),
}
PORTS = {name: 2500 + i for i, name in enumerate([*CASES, *FURTHER])}


def configuration(lab):
    config = lab.config()
    config['gate'].update(SourcePrefixIPv6='48', LingerTimeout='5s')
    for section in [s for s in config.sections() if s.startswith('connector ')]:
        config.remove_section(section)
    for name, port in PORTS.items():
        keys = CASES[name]['keys'] if name in CASES else FURTHER[name]
        config[f'connector {name}'] = {
            'Bindings': f'{labs.GATE[4]}:{port}, [{labs.GATE[6]}]:{port}',
            'RemoteIPRanges': '0.0.0.0/0, ::/0', 'PermissionGroups': 'AnonymousUsers',
            'TarpitInterval': '0s', 'Backend': 'cluster', **keys}
    config['port outside']['Address'] += ', 203.0.113.1/24, 2001:db8:99::1/64, 2001:db8:1:1::1/64, ' \
        '2001:db8:98::1/64, 2001:db8:97::1/64'
    config['ip-block'] = {'Addresses': ', '.join(BLOCKED_FROM.values()),
                          'BlockListAction': 'reply', 'BlockListReply': BLOCKED}
    config['ban'] = {'BanAction': 'tarpit', 'BanReply': BANNED}
    config['ip-allow'] = {'Addresses': '192.0.2.20, 2001:db8:1::20'}
    return config


def connect(lab, family, who, port, seconds=20):
    """A socket of this host, or of one of the further addresses of "host"."""
    if isinstance(who, int):
        who = MORE[family][who]
    source = None if who in HOSTS else (who, 0)
    with lab.inside(who if who in HOSTS else 'host'):
        return socket.create_connection((labs.GATE[family], port), seconds, source)


class Caller:
    def __init__(self, lab, family, who, port):
        self.socket = connect(lab, family, who, port)
        self.file = self.socket.makefile('rb')
        self.first = self.file.readline().decode().rstrip('\r\n')

    def quit(self):
        self.socket.sendall(b'QUIT\r\n')
        self.file.read()
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()


def await_empty(gate, name):
    labs.wait_for(f'no session of {name}', lambda: gate.connectors()[name]['sessions_open'] == 0)


def refused(checks, lab, family, case, name, title):
    """One more connection meets the action; None, or its error number."""
    started = time.monotonic()
    try:
        caller = Caller(lab, family, case['refused'], PORTS[name])
    except OSError as error:
        checks.equal(f'{title}: refused', error.errno, case.get('error'))
        return
    waited = time.monotonic() - started
    checks.equal(f'{title}: refused', caller.first, case.get('text'))
    checks.equal(f'{title}: and closed', caller.file.read(), b'')
    if 'wait' in case:
        checks.that(f'{title}: after {case["wait"]} s', waited >= case['wait'], waited)
    caller.close()


def run_case(checks, lab, gate, family, name):
    case, title = CASES[name], f'{name}, IPv{family}'
    reason, before = case['reason'], gate.reason(case['reason'])
    with contextlib.ExitStack() as stack:
        callers = []
        for who in case['first']:
            caller = Caller(lab, family, who, PORTS[name])
            stack.callback(caller.close)
            callers.append(caller)
            if case.get('leave'):
                caller.quit()
        checks.equal(f'{title}: {len(callers)} come in', [c.first[:4] for c in callers],
                     ['220 '] * len(callers))
        for _ in range(2):
            refused(checks, lab, family, case, name, title)
        for who in case['others']:
            other = Caller(lab, family, who, PORTS[name])
            stack.callback(other.close)
            checks.starts(f'{title}: {who} does not notice', other.first, '220 ')
        if not case.get('leave'):
            callers[0].quit()
            labs.wait_for('it left', lambda: gate.connectors()[name]['sessions_open']
                          == len(callers) - 1 + len(case['others']))
            again = Caller(lab, family, case['refused'], PORTS[name])
            stack.callback(again.close)
            checks.starts(f'{title}: who leaves makes room', again.first, '220 ')
    labs.wait_for(f'{title}: two are counted as {reason}',
                  lambda: gate.reason(reason) == before + 2)
    await_empty(gate, name)


def silence(checks, lab, gate, family):
    """The SYN gets no answer; the client's own repetition gets in when there is room."""
    before = gate.reason('limit_per_source')
    first = [Caller(lab, family, 'host', PORTS['drop']) for _ in range(2)]
    with lab.inside('host'):
        late = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
    late.setblocking(False)
    late.connect_ex((labs.GATE[family], PORTS['drop']))
    labs.wait_for('its SYN was dropped', lambda: gate.reason('limit_per_source') > before)
    first[0].quit()
    late.settimeout(20)
    checks.starts(f'drop, IPv{family}: in as soon as there is room',
                  late.makefile('rb').readline().decode(), '220 ')
    late.close()
    first[1].close()
    await_empty(gate, 'drop')


def syns(checks, lab, gate, family):
    before, syns = gate.reason('limit_syn_rate'), gate.connectors()['syns']['syns']
    started, came, errors = time.monotonic(), [], []
    for _ in range(40):
        try:
            came.append(connect(lab, family, 'host', PORTS['syns']))
        except ConnectionRefusedError as error:
            errors.append(error)
    seconds = int(time.monotonic() - started) + 2
    checks.that(f'SYN rate, IPv{family}: 4 a second come in', 0 < len(came) <= 4 * seconds,
                f'{len(came)} of 40 in {seconds} s')
    rows = gate.connectors_at_rest()
    checks.equal(f'SYN rate, IPv{family}: the others are counted',
                 gate.reason('limit_syn_rate') - before, len(errors))
    checks.equal(f'SYN rate, IPv{family}: and those that were answered',
                 rows['syns']['syns'] - syns, len(came))
    for one in came:
        one.close()
    await_empty(gate, 'syns')


def allowed(checks, lab, gate, family):
    before = gate.reason('smtp_limit_per_source')
    callers = [Caller(lab, family, 'app', PORTS['allowed']) for _ in range(6)]
    checks.equal(f'IP Allow list, IPv{family}: no limit', [c.first[:4] for c in callers],
                 ['220 '] * 6)
    host = [Caller(lab, family, 'remote', PORTS['allowed']) for _ in range(2)]
    checks.equal(f'IP Allow list, IPv{family}: for others there is one',
                 [c.first[:3] for c in host], ['220', '421'])
    for caller in callers + host:
        caller.close()
    labs.wait_for('the refusal is counted', lambda: gate.reason('smtp_limit_per_source') == before + 1)
    await_empty(gate, 'allowed')


def not_served(checks, lab, gate, family):
    """Neither is asked for a limit; what each reads, when, and as what it is counted."""
    name = f'IPv{family}'
    banned = subprocess.run([labs.BINARY, 'ban', '-c', gate.file, 'add', BANNED_FROM[family]],
                            stdin=subprocess.DEVNULL, check=False)
    checks.equal(f'{name}: banned by command', banned.returncode, 0)
    for source, text, reason, wait in (
            (BLOCKED_FROM[family], BLOCKED, 'smtp_limit_block_list', 0),
            (BANNED_FROM[family], BANNED, 'smtp_limit_ban', TARPIT_S)):
        before = gate.reason(reason)

        def first(source=source):
            return Caller(lab, family, source, PORTS['tarpit'])
        labs.wait_for(f'{source} is refused', lambda first=first: first().first == text)
        started = time.monotonic()
        caller = first()
        checks.equal(f'{source}: reads', caller.first, text)
        checks.that(f'{source}: when', time.monotonic() - started >= wait)
        checks.equal(f'{source}: and closed', caller.file.read(), b'')
        caller.close()
        labs.wait_for(f'{source}: counted as {reason}', lambda reason=reason, before=before:
                      gate.reason(reason) >= before + 2)
    checks.equal(f'{name}: XDP has dropped nothing', gate.ports()['outside']['frames_banned'], 0)


def totals(checks, gate):
    rows, reasons = gate.connectors_at_rest(), gate.reasons()
    refusals = sum(count for name, count in reasons.items() if 'limit_' in name)
    checks.equal('each refusal is in its connector\'s row',
                 sum(row['connections_refused'] for row in rows.values()), refusals)
    checks.equal('no source went uncounted', reasons.get('sources_full', 0), 0)
    ports, drops = gate.at_rest('the totals', lambda: (gate.ports(), gate.drops()))
    checks.equal('frames in are those accepted and those dropped',
                 sum(port['frames_in'] for port in ports.values()), sum(drops.values())
                 + sum(port['frames_accepted'] for port in ports.values()))
    log = gate.records()
    for word in ('smtp_limit_per_source [reply] 421', 'limit_per_source SYN'):
        checks.that(f'the log tells of it: {word}', word in log, log[-2000:])


def test(checks):
    with labs.Lab() as lab:
        for address in [a for family in labs.FAMILIES for a in (
                *MORE[family], BLOCKED_FROM[family], BANNED_FROM[family])]:
            length = 24 if '.' in address else 64
            lab.run('host', 'ip', 'address', 'add', f'{address}/{length}', 'dev', 'net0',
                    *(() if length == 24 else ('nodad',)))
        with labs.Gate(lab, configuration(lab)) as gate:
            for family in labs.FAMILIES:
                for name in CASES:
                    run_case(checks, lab, gate, family, name)
                silence(checks, lab, gate, family)
                syns(checks, lab, gate, family)
                allowed(checks, lab, gate, family)
                not_served(checks, lab, gate, family)
            totals(checks, gate)
            checks.equal('it stops in good order', gate.stop(), 0)


if __name__ == '__main__':
    labs.run(test)
