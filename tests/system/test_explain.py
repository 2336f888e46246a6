#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 1800
# variants: some many
# long: some many
# by name: many
#
# Three tell the same story about random pairs of a configuration and a session: `relaygate explain
# --json`, the gate's own replies on the wire, and the slow model of model.py: which connector, which
# rights, the greeting, what EHLO offers, and the reply to MAIL and to each RCPT. Explain and the
# model agree on 2,000 pairs (`many`: 10,000), and the wire joins them on 360 (`many`: 10,000), many
# sessions to one gate. The seed is printed, and RELAYGATE_SEED repeats it.
import concurrent.futures
import configparser
import ipaddress
import json
import os
import random
import subprocess
import sys

import lab as labs
import model
import smtp

PAIRS = {'some': 2000, 'many': 10000}
SESSIONS = 20           # of one configuration
WIRE = {'some': (6, 60), 'many': (100, 100)}  # configurations, sessions of each
TODAY = '2026-01-01'    # between the dates below, whatever day it is
PAST, FUTURE = '2020-02-29', '2999-12-31'

# Nested or disjoint, no two equal.
RANGES = (
    '0.0.0.0/0', '192.0.0.0/8', '192.0.2.0/24', '192.0.2.16-192.0.2.31', '192.0.2.16/29',
    '192.0.2.20', '192.0.2.20-192.0.2.22', '192.0.2.24/29', '192.0.2.30', '192.0.2.32-192.0.2.63',
    '192.0.2.40', '192.0.2.50', '198.51.100.77/24', '198.51.100.20', '198.51.0.0-198.51.255.255',
    '10.0.0.0/8', '203.0.113.0/24', '::/0', '2001:db8::/32', '2001:db8:1::/64', '2001:db8:1::20',
    '2001:db8:1::10-2001:db8:1::2f', '2001:db8:1::30', '2001:db8:9::/64', '2001:db8:9::20',
    'fe80::/10')
BINDINGS = ('192.0.2.10:25', '0.0.0.0:25', '192.0.2.10:2525', '0.0.0.0:2525',
            '[2001:db8:1::10]:25', '[::]:25')
DESTINATIONS = {4: ('192.0.2.10:25', '192.0.2.10:2525'), 6: ('[2001:db8:1::10]:25',)}
HOSTS = {'app': '192.0.2.20 2001:db8:1::20', 'host': '192.0.2.30 2001:db8:1::30',
         'mute': '192.0.2.40 2001:db8:1::40', 'stranger': '192.0.2.50 2001:db8:1::50',
         'remote': '198.51.100.20 2001:db8:9::20'}
SOURCES = tuple(address for pair in HOSTS.values() for address in pair.split())
OTHERS = ('192.0.2.15', '192.0.2.16', '192.0.2.23', '192.0.2.24', '192.0.2.31', '192.0.2.255',
          '198.51.99.255', '10.255.255.255', '8.8.8.8', '2001:db8:1::2f', '2001:db8:1:1::',
          'fe80::1', '2a00::1')
DOMAINS = ('contoso.com', 'CONTOSO.com', 'sub.contoso.com', 'a.sub.contoso.com', 'fabrikam.com',
           'x.fabrikam.com', 'notcontoso.com', 'contoso.com.foreign.test', 'foreign.test',
           'corp.example.com', 'example.org', 'x.invalid', 'localhost', 'printer')
ACCEPTED = ('contoso.com', '*.contoso.com', 'sub.contoso.com', 'fabrikam.com', 'example.com',
            'foreign.test')
# Form -> (text, the domains it may be routed to) from two domains.
FORMS = (
    lambda a, b: (f'u@{a}', [a]), lambda a, b: (f'u%{b}@{a}', [a, b]),
    lambda a, b: (f'{b}!u@{a}', [a, b]), lambda a, b: (f'@{b}:u@{a}', [a, b]),
    lambda a, b: (f'"u@{b}"@{a}', [a, b]), lambda a, b: (f'"u"@{a}', [a]))
GROUP_NAMES = ('AnonymousUsers', 'ExchangeUsers', 'ExchangeServers', 'ExchangeLegacyServers',
               'Partners')
PRINCIPALS = ('anonymous', 'authenticated', 'externally-secured', 'partner')


# ---- Random configurations ---------------------------------------------------------------------

def some(source, items, most):
    return source.sample(items, source.randint(0, min(most, len(items))))


def grants(source):
    """Mostly few, sometimes nearly all."""
    most = source.choice((0, 2, 4, 22))
    return ', '.join(sorted({f'{source.choice(PRINCIPALS[::2])}: {right}' if source.random() < 0.8
                             else f'{source.choice(PRINCIPALS)}: {right}'
                             for right in source.choices(list(model.RIGHTS), k=most)}))


def random_connector(source, free):
    """A section, or None when nothing is left for it. free: (binding, range) pairs not yet used."""
    bindings = source.sample(BINDINGS, source.randint(1, 3))
    ranges = [text for text in source.sample(RANGES, source.randint(1, 6))
              if all((binding, text) in free for binding in bindings)]
    if not ranges:
        return None
    free -= {(binding, text) for binding in bindings for text in ranges}
    groups = some(source, GROUP_NAMES, 3)
    section = {'Bindings': ', '.join(bindings), 'RemoteIPRanges': ', '.join(ranges),
               'PermissionGroups': ', '.join(groups) or 'None', 'TarpitInterval': '0s',
               'MaxProtocolErrors': 'unlimited', 'Backend': 'cluster'}
    if 'ExchangeServers' in groups and source.random() < 0.5:
        section['AuthMechanism'] = 'ExternalAuthoritative'
    optional = {
        'ExtendedRights': grants(source), 'DeniedRights': grants(source), 'Enabled': 'no',
        'Fqdn': 'mail.contoso.com', 'Banner': '220 mail.contoso.com knocks',
        'MaxRecipientsPerMessage': source.choice(('1', '2')), 'MaxMessageSize': '100000',
        'SizeEnabled': source.choice(('Enabled', 'EnabledWithoutValue', 'Disabled')),
        'RejectReservedTopLevelRecipientDomains': 'yes',
        'RejectReservedSecondLevelRecipientDomains': 'yes',
        'RejectSingleLabelRecipientDomains': 'yes'}
    section.update((key, value) for key, value in optional.items()
                   if value and source.random() < (0.1 if key == 'Enabled' else 0.4))
    section.update((key, 'yes' if key in model.OFF else 'no')
                   for key in model.KEYWORDS.values() if source.random() < 0.1)
    return section


def random_list(source):
    entries = [text for text in source.sample(RANGES, source.randint(1, 3)) if '/0' not in text]
    return ', '.join(text + source.choice(('', '', f' until {PAST}', f' until {FUTURE}'))
                     for text in entries)


def random_configuration(source):
    config = {'gate': {'Name': 'mx.example.com', 'ReplyDialect': source.choice(('2007', '2016'))}}
    for name in some(source, ACCEPTED, len(ACCEPTED)):
        section = {'Type': source.choice(('Authoritative', 'InternalRelay', 'ExternalRelay'))}
        if not name.startswith('*') and not (name == 'contoso.com'):
            section['MatchSubDomains'] = source.choice(('yes', 'no'))
        config[f'accepted-domain {name}'] = section
    free = {(binding, text) for binding in BINDINGS for text in RANGES}
    for number in range(source.randint(1, 7)):
        if section := random_connector(source, free):
            config[f'connector C{number}'] = section
    for name in ('ip-allow', 'ip-block'):
        if source.random() < 0.3 and (entries := random_list(source)):
            config[name] = {'Addresses': entries}
    if 'ip-block' in config:
        config['ip-block']['BlockListAction'] = source.choice(
            ('drop', 'reset', 'tarpit', 'reply', 'reject'))
    return config


def random_address(source):
    text, domains = source.choice(FORMS)(source.choice(DOMAINS), source.choice(DOMAINS))
    return text, domains


def random_session(source, sources):
    address = source.choice(sources)
    family = ipaddress.ip_address(address).version
    sender = ('', []) if source.random() < 0.1 else random_address(source)
    recipients = [random_address(source) if source.random() < 0.95 else ('postmaster', [])
                  for _ in range(source.randint(1, 5))]
    extra = [name for name in ('authenticated', 'partner') if source.random() < 0.1]
    return {'from': address, 'to': source.choice(DESTINATIONS[family]), 'sender': sender,
            'recipients': recipients, 'extra': extra}


# ---- What the model says, and what explain says, in one form -------------------------------------

def told_by_model(config, session):
    source = ipaddress.ip_address(session['from'])
    name = model.choose(config, source, session['to'])
    if name is None:
        return {'connector': None, 'served': False}
    blocked = model.listed(config, 'ip-block', source, TODAY) and \
        not model.listed(config, 'ip-allow', source, TODAY)
    if blocked and config['ip-block']['BlockListAction'] != 'reject':
        return {'connector': name, 'served': False}
    played = model.Session(config, name, source, session['extra'], blocked)
    hello, keywords = played.hello()
    return {'connector': name, 'served': True, 'rights': sorted(played.rights),
            'banner': played.banner(), 'hello': hello, 'keywords': sorted(keywords),
            'mail': played.mail(session['sender'][1]),
            'rcpt': [played.rcpt(domains) for _, domains in session['recipients']]}


def told_by_explain(path, session, want):
    command = [labs.BINARY, 'explain', '--json', '-c', path, '--from', session['from'],
               '--to', session['to'], f'--mail-from={session["sender"][0]}']
    command += [f'--rcpt-to={text}' for text, _ in session['recipients']]
    command += [{'authenticated': '--auth', 'partner': '--partner'}[n] for n in session['extra']]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    if done.returncode:
        return {'failed': done.stderr}
    said = json.loads(done.stdout)
    if said['refused'] is not None:
        return {'connector': said['connector'], 'served': False}
    replies, lines = [], []
    for line in said['dialogue']:
        if 'client' in line:
            replies.append(lines)
            lines = []
        else:
            lines.append(None if line.get('backend_may_refuse') else line['gate'])
    replies.append(lines)
    rights = sorted(row['right'] for row in said['rights'] if row['held'])
    return {'connector': said['connector'], 'served': True, 'rights': rights,
            **told_by_replies(replies, session, want)}


def told_by_replies(replies, session, want):
    """replies: lists of lines, to the connection, EHLO, MAIL and each RCPT."""
    banner, hello, mail, *rcpt = replies
    banner = banner[0]
    if banner.startswith(want.get('banner', '?')):
        banner = want['banner']  # the date behind it is not compared
    return {'banner': banner, 'hello': hello[0][4:],
            'keywords': sorted(line[4:] for line in hello[1:]), 'mail': mail[0],
            'rcpt': [lines[0] for lines in rcpt[:len(session['recipients'])]]}


# ---- Explain against the model -------------------------------------------------------------------

def written(config, path, base):
    """The file: the model's sections, and what the lab has."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=('=',))
    parser.optionxform = str
    parser.read_dict({name: section for name, section in base.items()
                      if name.startswith(('port', 'backend', 'gate'))})
    parser.read_dict(config)
    if path:
        with open(path, 'w') as file:
            parser.write(file)
    return parser


def disagreement(path, config, session):
    want = told_by_model(config, session)
    got = told_by_explain(path, session, want)
    if got == want:
        return None
    keys = [key for key in {**want, **got} if got.get(key) != want.get(key)]
    return f'{session}: ' + '; '.join(f'{key}: explain {got.get(key)!r}, model {want.get(key)!r}'
                                      for key in keys) + f' -- {config}'


def compare_with_explain(checks, lab, source, pairs):
    base = lab.config()
    faults, served, silent, refused = [], 0, 0, 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for number in range(pairs // SESSIONS):
            config = random_configuration(source)
            path = lab.path(f'explain{number % 2}.ini')
            written(config, path, base)
            sessions = [random_session(source, SOURCES + OTHERS) for _ in range(SESSIONS)]
            faults += [fault for fault in pool.map(
                lambda session: disagreement(path, config, session), sessions) if fault]
            for session in sessions:
                want = told_by_model(config, session)
                served += want['served']
                silent += not want['served']
                refused += want['served'] and any(want['rcpt'])
            if len(faults) > 5:
                break
    checks.that(f'explain and the model agree on {pairs} pairs', not faults,
                f'{len(faults)}: ' + '\n'.join(faults[:3]))
    checks.that(f'{served} served, {silent} not, {refused} with a refusal: enough of each',
                min(served, silent, refused) > pairs // 10)


# ---- The wire ----------------------------------------------------------------------------------

class Willing(smtp.Dialogue):
    """A backend with all extensions, so that EHLO depends on the connector alone."""

    def on_ehlo(self, _):
        self.say('250-backend.example.net\r\n250-PIPELINING\r\n250-SIZE\r\n250-DSN\r\n'
                 '250-8BITMIME\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-XLONGADDR\r\n250-XORAR\r\n'
                 '250 SMTPUTF8')


def told_by_wire(lab, session, want):
    host = next(name for name, pair in HOSTS.items() if session['from'] in pair.split())
    family = ipaddress.ip_address(session['from']).version
    port = int(session['to'].rsplit(':', 1)[1])
    with smtp.Client(lab, host, family, port=port) as client:
        replies = [client.banner, client.command('EHLO client.example')]
        replies.append(client.command(f'MAIL FROM:<{session["sender"][0]}>'))
        replies += [client.command(f'RCPT TO:<{text}>') for text, _ in session['recipients']]
    told = told_by_replies([reply.split('\n') for reply in replies], session, want)
    # A permitted recipient's reply is the backend's.
    told['rcpt'] = [None if reply == '250 2.1.5 Ok' else reply for reply in told['rcpt']]
    return told


def connects(lab, session):
    host = next(name for name, pair in HOSTS.items() if session['from'] in pair.split())
    family = ipaddress.ip_address(session['from']).version
    try:
        with lab.connect(host, family, 0.5, int(session['to'].rsplit(':', 1)[1])) as client, \
                client.makefile('rb') as replies:
            return not replies.readline().startswith(b'421 4.7.0 ')
    except OSError:  # silence, or RST
        return False


def wire_configuration(source, count):
    """One that serves, on the wire, most of the lab's hosts, and lets some of them reach a server."""
    while True:
        config = random_configuration(source)
        sessions = [random_session(source, SOURCES) for _ in range(count)]
        for session in sessions:
            session['extra'] = []
        told = [told_by_model(config, session) for session in sessions]
        served = [want for want in told if want['served']]
        if len(served) > count // 2 and sum(None in want['rcpt'] for want in served) > count // 6:
            return config, sessions, told


def await_server(lab, sessions, told):
    """Until a permitted recipient is accepted: the gate's probe has seen the backend."""
    session, want = next((s, w) for s, w in zip(sessions, told) if None in w.get('rcpt', ()))
    labs.wait_for('the gate has a live backend',
                  lambda: None in told_by_wire(lab, session, want)['rcpt'], 40)


def wire_faults(lab, gate, config, session, want):
    got = told_by_wire(lab, session, want)
    faults = [(session, key, got[key], want[key]) for key in got if got[key] != want[key]]
    if fault := disagreement(gate.file, config, session):
        faults.append(fault)
    return faults


def compare_with_wire(checks, lab, source, configurations, count):
    lab.command('backend', 'none')
    with smtp.Backend(lab) as backend, concurrent.futures.ThreadPoolExecutor(8) as pool:
        backend.dialogue = Willing
        for number in range(configurations):
            config, sessions, told = wire_configuration(source, count)
            served = [(s, want) for s, want in zip(sessions, told) if want['served']]
            unserved = [s for s, want in zip(sessions, told) if not want['served']]
            unlike = {(s['from'], s['to']): s for s in unserved}.values()
            with labs.Gate(lab, written(config, None, lab.config())) as gate:
                await_server(lab, sessions, told)
                faults = sum(pool.map(lambda pair: wire_faults(lab, gate, config, *pair), served),
                             [])
                faults += [(s, 'connected') for s, open_ in zip(
                    unlike, pool.map(lambda s: connects(lab, s), unlike)) if open_]
                faults += [fault for fault in pool.map(
                    lambda s: disagreement(gate.file, config, s), unserved) if fault]
                gate.stop()
            checks.that(f'wire {number}: {len(served)} sessions, {len(unserved)} unserved: the '
                        'wire, explain and the model agree', not faults,
                        f'{len(faults)}: {faults[:3]} -- {config}')


def test(checks):
    variant = sys.argv[1] if len(sys.argv) > 1 else 'some'
    seed = int(os.environ.get('RELAYGATE_SEED', random.randrange(1 << 32)))
    print(f'RELAYGATE_SEED={seed}', flush=True)
    source = random.Random(seed)
    with labs.Lab() as lab:
        compare_with_explain(checks, lab, source, PAIRS[variant])
        compare_with_wire(checks, lab, source, *WIRE[variant])


if __name__ == '__main__':
    labs.run(test)
