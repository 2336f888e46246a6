#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
#
# The recipes of Exchange's administrators, in front of a real Postfix: anonymous relay, externally
# secured, and anonymous relay with the IP Allow list. With swaks and smtplib, over IPv4 and IPv6, to
# our own and to a foreign domain: what lies in the mailbox carries exactly the stamps of its recipe
# and lacks exactly the fields that its session may not send. Then `relaygate audit` has to find what
# the administrators' commands for finding relays find, and the wire has to agree with it.
import itertools
import json
import re
import smtplib
import subprocess

import lab as labs
import smtp

OWN, FOREIGN = 'colleague@contoso.com', 'customer@foreign.test'
FIELDS = (
    ('Received', 'from scanner.test by app.test; Mon, 1 Jan 2024 00:00:00 +0000'),
    ('Resent-From', '<boss@contoso.com>'),
    ('X-MS-Exchange-Organization-AuthAs', 'Internal'),
    ('X-MS-Exchange-Organization-AuthSource', 'evil.foreign.test'),
    ('X-MS-Exchange-Organization-AuthMechanism', '04'),
    ('X-MS-Exchange-Organization-SCL', '-1'),
    ('X-MS-Exchange-Forest-RulesExecuted', 'all'),
    ('From', '"The Boss" <boss@contoso.com>'),
    ('X-Recipe', ''),
    ('Subject', 'alert'))
BODY = 'Disk is full\r\n.\r\nReceived: not a field\r\n'
REMOVED = ('x-ms-exchange-organization-', 'x-ms-exchange-forest-')

ANONYMOUS = {'AuthAs': 'Anonymous', 'AuthSource': 'mx.example.com'}
SECURED = {'AuthAs': 'Internal', 'AuthSource': 'mx.example.com', 'AuthMechanism': '10'}
ALLOWED = dict(ANONYMOUS, SCL='-1', **{'Antispam-Report': 'IPOnAllowList'})
NO_RELAY = '550 5.7.1 Unable to relay'

# Host -> may it relay, and the stamps on what it sends.
HOSTS = {'app': (True, ANONYMOUS), 'host': (True, SECURED), 'mute': (True, ALLOWED),
         'stranger': (False, ANONYMOUS), 'remote': (False, ALLOWED)}
LAST_BYTES = {'app': 20, 'host': 30, 'mute': 40}

COMMON = {'Bindings': '192.0.2.10:25, [2001:db8:1::10]:25', 'Backend': 'cluster',
          'TarpitInterval': '0s'}
RELAY = {'PermissionGroups': 'AnonymousUsers',
         'ExtendedRights': 'anonymous: Ms-Exch-SMTP-Accept-Any-Recipient'}
EXTERNAL = {'PermissionGroups': 'ExchangeServers', 'AuthMechanism': 'ExternalAuthoritative'}
EVERYBODY = {'PermissionGroups': 'AnonymousUsers', 'RemoteIPRanges': '0.0.0.0/0, ::/0'}


def ranges(host):
    last = LAST_BYTES[host]
    return f'192.0.2.{last}, 2001:db8:1::{last}'


def configuration(lab, connectors, allowed=''):
    config = lab.config()
    for section in [s for s in config.sections() if s.startswith(('connector', 'accepted'))]:
        del config[section]
    config['accepted-domain contoso.com'] = {}
    for name, settings in connectors.items():
        config[f'connector {name}'] = {**COMMON, **settings}
    if allowed:
        config['ip-allow'] = {'Addresses': allowed}
    return config


def recipes(lab):
    return configuration(lab, {
        'Anonymous Relay': dict(RELAY, RemoteIPRanges=ranges('app')),
        'Externally Secured': dict(EXTERNAL, RemoteIPRanges=ranges('host')),
        'Relay Done Right': dict(RELAY, RemoteIPRanges=ranges('mute')),
        'Internet': EVERYBODY},
        # Who is externally secured gets no SCL, listed or not; an entry that has expired is none.
        f'{ranges("host")}, {ranges("mute")}, 198.51.100.0/24, 2001:db8:9::/64 until 2099-12-31, '
        f'192.0.2.50 until 2020-01-01, 2001:db8:1::50 until 2020-01-01T10:00Z')


# ---- Clients -----------------------------------------------------------------------------------

def content(label):
    fields = (f'{name}: {value or label}\r\n' for name, value in FIELDS)
    return ''.join(fields) + '\r\n' + BODY


def by_swaks(lab, host, family, recipient, label):
    path = lab.path('swaks.eml')
    with open(path, 'w', newline='') as file:  # swaks adds the last line end
        file.write(content(label).removesuffix('\r\n').replace('\r\n', '\n'))
    _, output = lab.run(host, 'swaks', '--server', labs.GATE[family], '--helo', 'app.example.org',
                        '--from', 'boss@contoso.com', '--to', recipient, '--timeout', '20',
                        '--data', f'@{path}')
    refused = re.findall(r'^<\*\* (.*)$', output, re.M)
    accepted = re.findall(r'^<-  (.*)$', output, re.M)
    return refused[0] if refused else accepted[-2] if len(accepted) > 1 else output


def by_smtplib(lab, host, family, recipient, label):
    with lab.inside(host):
        client = smtplib.SMTP(labs.GATE[family], 25, 'app.example.org', timeout=20)
    try:
        client.sendmail('boss@contoso.com', [recipient], content(label).encode())
        return '250'
    except smtplib.SMTPRecipientsRefused as refusal:
        code, reply = refusal.recipients[recipient]
        return f'{code} {reply.decode()}'
    finally:
        client.close()


# ---- What lies in the mailbox ------------------------------------------------------------------

def parsed(mail):
    """([(name, value)] in their order, body)."""
    header, _, body = mail.decode().partition('\n\n')
    fields = re.sub(r'\n[ \t]+', ' ', header).split('\n')
    return [tuple(field.split(': ', 1)) for field in fields], body


def expected(stamps, label):
    """What stands behind Postfix's and our own trace fields."""
    stamped = [(f'X-MS-Exchange-Organization-{name}', value) for name, value in stamps.items()]
    return stamped + [(name, value or label) for name, value in FIELDS
                      if not name.lower().startswith(REMOVED)]


def judge_mail(checks, mail):
    fields, body = parsed(mail)
    label = dict(fields)['X-Recipe']
    host = label.split()[0]
    ours = next(i for i, (name, value) in enumerate(fields)
                if name == 'Received' and 'by mx.example.com' in value)
    checks.equal(f'{label}: fields', fields[ours + 1:], expected(HOSTS[host][1], label))
    checks.equal(f'{label}: body', body, BODY.replace('\r\n', '\n'))
    return label


def walk_recipes(checks, lab):
    sent = set()
    for client, family, host, recipient in itertools.product(
            (by_swaks, by_smtplib), labs.FAMILIES, HOSTS, (OWN, FOREIGN)):
        label = f'{host} {client.__name__} IPv{family} {recipient}'
        may = HOSTS[host][0] or recipient == OWN
        checks.starts(label, client(lab, host, family, recipient, label),
                      '250' if may else NO_RELAY)
        if may:
            sent.add(label)
    mails = lab.await_mail(len(sent))
    checks.equal('in the mailbox: each message that was accepted, once',
                 sorted(judge_mail(checks, mail) for mail in mails), sorted(sent))


# ---- Finding who may relay ---------------------------------------------------------------------

def found_by_commands(config):
    """Connectors that the administrators' two searches print: those that grant the right to
    Anonymous Logon, and those whose AuthMechanism is ExternalAuthoritative."""
    found = {}
    for name, section in ((s[len('connector '):], config[s]) for s in config.sections()
                          if s.startswith('connector ')):
        granted = section.get('ExtendedRights', '').lower()
        if 'anonymous: ms-exch-smtp-accept-any-recipient' in granted:
            found[name] = 'anonymous'
        if section.get('AuthMechanism', '') == 'ExternalAuthoritative':
            found[name] = 'externally-secured'
    return found


CAMPUS = {'RemoteIPRanges': '192.0.0.0/8'}
AUDITS = {  # name -> connectors, exit code, the critical findings
    'scoped recipes': ({'Relay': dict(RELAY, RemoteIPRanges=ranges('app')),
                        'Partner': dict(EXTERNAL, RemoteIPRanges=ranges('host')),
                        'Internet': EVERYBODY}, 0, set()),
    'the right on the default connector': ({'Default': dict(EVERYBODY, **{
        'ExtendedRights': RELAY['ExtendedRights']})}, 2, {'relay-on-default-connector'}),
    'a range instead of one address': ({'Relay': dict(RELAY, **CAMPUS),
                                        'Internet': EVERYBODY}, 2, {'open-relay'}),
    'externally secured, not scoped': ({'Partner': dict(EXTERNAL, **CAMPUS),
                                        'Internet': EVERYBODY}, 2,
                                       {'open-relay', 'wide-externally-secured'}),
    'nobody relays': ({'Internet': EVERYBODY}, 0, set())}


def audit(path):
    done = subprocess.run([labs.BINARY, 'audit', '--json', '-c', path], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode, json.loads(done.stdout)


def judge_audit(checks, name, config, path, code, critical):
    got, found = audit(path)
    relays = {row['connector']: row['to'] for row in found['relays']}
    checks.equal(f'{name}: who may relay', relays, found_by_commands(config))
    checks.equal(f'{name}: critical', {row['code'] for row in found['findings']
                                       if row['severity'] == 'critical'}, critical)
    checks.equal(f'{name}: exit code', got, code)


def relays_on_the_wire(lab, host):
    with smtp.Client(lab, host) as client:
        client.greet()
        return client.envelope('', FOREIGN).startswith('250')


def walk_audits(checks, lab):
    for name, (connectors, code, critical) in AUDITS.items():
        config = configuration(lab, connectors)
        with labs.Gate(lab, config) as gate:
            judge_audit(checks, name, config, gate.file, code, critical)
            smtp.await_backend(lab, recipient=OWN)
            for host in ('app', 'host', 'stranger'):
                holder = {'app': 'Relay', 'host': 'Partner'}.get(host)
                wide = 2 if code else 0  # with a critical finding, whoever asks
                may = wide or holder in connectors
                checks.equal(f'{name}: {host} relays on the wire', relays_on_the_wire(lab, host),
                             bool(may))
            gate.stop()


def test(checks):
    with labs.Lab() as lab:
        with labs.Gate(lab, recipes(lab)) as gate:
            smtp.await_backend(lab)
            walk_recipes(checks, lab)
            judge_audit(checks, 'these recipes', recipes(lab), gate.file, 0, set())
            checks.equal('the gate stops in good order', gate.stop(), 0)
        walk_audits(checks, lab)


if __name__ == '__main__':
    labs.run(test)
