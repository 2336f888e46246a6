#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
#
# relaygate import: exports of Exchange 2010 to 2019, as JSON and as CLIXML, become files that
# `check` accepts, and `explain` says of each what its export says. What has no equivalent is told,
# with connector and parameter. Broken and hostile exports are refused in a line that names file and
# place, and nothing is written. Needs no lab.
import json
import os
import subprocess
import tempfile

import lab as labs

EXPORTS = os.path.join(labs.ROOT, 'tests', 'system', 'exports')

# Short names of rights, as they stand behind ms-Exch-.
SUBMIT, ANY_RECIPIENT = 'SMTP-Submit', 'SMTP-Accept-Any-Recipient'
ANY_SENDER, OWN_SENDER = 'SMTP-Accept-Any-Sender', 'SMTP-Accept-Authoritative-Domain-Sender'
FLAG, EXCH50 = 'SMTP-Accept-Authentication-Flag', 'SMTP-Accept-Exch50'
ROUTING, NO_SPAM = 'Accept-Headers-Routing', 'Bypass-Anti-Spam'
ANONYMOUS = {SUBMIT, ANY_SENDER, OWN_SENDER, ROUTING}
WORLD = 'a@foreign.test'

# Options; words on stderr; then who, where, which connector, which rights, sender, recipient, the
# last reply before QUIT (None = the backend answers).
EXPECTED = {
    'exchange2010.xml': (
        (), ('"EX10\\Default EX10"', 'PermissionGroups: disabled: nobody may submit',
             'AuthMechanism: BasicAuth is not offered', '--domains: not given'),
        (('203.0.113.9', '192.0.2.10', None, None, None, None, None),
         ('203.0.113.9', '192.0.2.10:587', None, None, None, None, None))),
    'exchange2013.json': (
        (), ('"EX13\\Default EX13": TransportRole: disabled', '"EX13\\Outbound Proxy Frontend EX13": '
             'TransportRole: disabled'),
        (('203.0.113.9', '192.0.2.10', 'Default Frontend EX13', ANONYMOUS, WORLD, WORLD,
          '550 5.7.1 Unable to relay'),
         ('2001:db8:9::9', '[2001:db8::10]:25', 'Default Frontend EX13', ANONYMOUS, WORLD, WORLD,
          '550 5.7.1 Unable to relay'),
         ('203.0.113.9', '192.0.2.10:2525', None, None, None, None, None),
         ('203.0.113.9', '192.0.2.10:587', None, None, None, None, None))),
    'exchange2019.xml': (
        (), ('"EX19\\Client Proxy EX19": TransportRole: disabled', 'BareLinefeedRejectionEnabled'),
        (('203.0.113.9', '192.0.2.10', 'Default Frontend EX19', ANONYMOUS, WORLD, WORLD,
          '550 5.7.1 Unable to relay'),
         ('203.0.113.9', '192.0.2.10:717', None, None, None, None, None))),
    'anonymous-relay.json': (
        ('--permissions', 'anonymous-relay-permissions.json',
         '--domains', 'anonymous-relay-domains.json'),
        ('"EX16\\Default EX16": PermissionGroups: --permissions has no entry for it',),
        (('192.168.5.77', '192.0.2.10', 'Anonymous Relay', ANONYMOUS | {ANY_RECIPIENT}, WORLD,
          WORLD, None),
         ('192.168.5.89', '192.0.2.10', 'Anonymous Relay', ANONYMOUS | {ANY_RECIPIENT}, WORLD,
          WORLD, None),
         ('192.168.5.90', '192.0.2.10', 'Default Frontend EX16', ANONYMOUS, WORLD, WORLD,
          '550 5.7.1 Unable to relay'),
         ('192.168.5.90', '192.0.2.10', 'Default Frontend EX16', ANONYMOUS, WORLD,
          'b@contoso.com', None),
         ('192.168.5.90', '192.0.2.10', 'Default Frontend EX16', ANONYMOUS, WORLD,
          'b@x.lab.contoso.com', None))),
    'externally-secured.xml': (
        ('--permissions', 'externally-secured-permissions.xml',
         '--domains', 'externally-secured-domains.xml'),
        ('ms-Exch-Bypass-Message-Size-Limit was taken from externally-secured',
         'CONTOSO\\Exchange Servers'),
        (('198.51.100.20', '203.0.113.5', 'Partner over IPsec',
          ANONYMOUS | {ANY_RECIPIENT, FLAG, EXCH50, NO_SPAM}, 'ceo@contoso.com', WORLD, None),
         ('198.51.100.32', '203.0.113.5', None, None, None, None, None),
         ('198.51.100.32', '203.0.113.5:26', None, None, None, None, None))),
    # Of a German server; several bindings, one of which hides a wildcard, and ranges of both families.
    'exchange-se.json': (
        ('--permissions', 'exchange-se-permissions.json', '--domains', 'exchange-se-domains.json',
         '--address', '10.10.1.25/24, 10.10.2.25/24, 10.10.3.25/24, fd00:10::25/64'),
        ('"EX19A\\Default EX19A": TransportRole: disabled',
         '"EX19A\\Relay Drucker & Scanner (anonym)": User: "CONTOSO\\svc-scanner": what is granted to',
         '"CONTOSO\\Exchange Servers": left out: nobody is an Exchange server here',
         '"MS Exchange\\Hub Transport Servers": left out', 'TlsDomainCapabilities: "set"'),
        (('10.10.16.5', '10.10.1.25', 'Relay Drucker & Scanner (anonym)',
          ANONYMOUS | {ANY_RECIPIENT, NO_SPAM}, WORLD, WORLD, None),
         ('fd00:10:9::20', '[fd00:10::25]:25', 'Relay Drucker & Scanner (anonym)',
          ANONYMOUS | {ANY_RECIPIENT, NO_SPAM}, WORLD, WORLD, None),
         ('10.10.16.41', '10.10.2.25', None, None, None, None, None),
         ('203.0.113.31', '10.10.3.25', 'Extern gesichert - Partner Süd',
          ANONYMOUS | {ANY_RECIPIENT, FLAG, EXCH50, NO_SPAM, 'Bypass-Message-Size-Limit',
                       'Accept-Headers-Organization'}, 'ceo@contoso.com', WORLD, None),
         ('203.0.113.32', '10.10.3.25', 'Default Frontend EX19A', ANONYMOUS - {OWN_SENDER},
          'ceo@contoso.com', 'b@contoso.com',
          '550 5.7.1 Anonymous client does not have permissions to send as this sender'),
         ('203.0.113.32', '10.10.3.25', 'Default Frontend EX19A', ANONYMOUS - {OWN_SENDER}, WORLD,
          'b@sub.partner.example', None))),
    'messy.json': (
        ('--server', 'msg01', '--permissions', 'messy-permissions.json',
         '--domains', 'messy-domains.json'),
        ('the connector is called "Relay _Hall 3__ Scanner" here',
         'the connector is called "Relay _Hall 3__ Scanner (2)" here',
         'Bindings: "[fe80::5%11]:25": the zone id is left out',
         'RequireTLS: "yes": this version has no TLS',
         'TarpitInterval: 30m there is out of range here: 10m is taken',
         'Fqdn: left out: "MSG01"', 'Banner: left out',
         '"MSG01\\relay": "SomethingNew"',
         '"FABRIKAM\\svc-erp": what is granted to it is left out',
         '"MSG01\\Nur Server": IsInherited: ms-Exch-SMTP-Accept-Any-Recipient',
         '"ms-Exch-SMTP-Accept-XProxyFrom": left out', '"ms-Exch-Made-Up": left out',
         'ms-Exch-SMTP-Accept-Authoritative-Domain-Sender was taken from anonymous',
         '10.20.50.0/24 stands twice', '"MSG02\\relay"', 'DomainName: "fabrikam.de": left out',
         'xn--', 'DefaultDomain: "fabrikam.de"', 'TlsCertificateName'),
        (('10.20.30.5', '10.20.0.5', 'Relay _Hall 3__ Scanner',
          (ANONYMOUS | {ANY_RECIPIENT}) - {OWN_SENDER}, WORLD, WORLD, None),
         ('10.20.30.5', '10.20.0.5', 'Relay _Hall 3__ Scanner',
          (ANONYMOUS | {ANY_RECIPIENT}) - {OWN_SENDER}, 'boss@fabrikam.de', WORLD,
          '550 5.7.1 Anonymous client does not have permissions to send as this sender'),
         ('10.20.40.7', '10.20.0.5', 'Relay _Hall 3__ Scanner',
          (ANONYMOUS | {ANY_RECIPIENT}) - {OWN_SENDER}, WORLD, WORLD, None),
         ('2001:db8:20::77', '[fe80::5]:25', 'Relay _Hall 3__ Scanner',
          (ANONYMOUS | {ANY_RECIPIENT}) - {OWN_SENDER}, WORLD, WORLD, None),
         ('10.20.30.100', '10.20.0.5', 'relay', ANONYMOUS - {OWN_SENDER}, WORLD, WORLD,
          '550 5.7.1 Unable to relay'),
         ('10.20.31.5', '10.20.0.5', None, None, None, None, None),
         ('10.20.50.9', '10.20.0.5', 'Relay _Hall 3__ Scanner (2)', ANONYMOUS, WORLD,
          'a@mx.fabrikam.de', None),
         ('10.20.60.9', '10.20.0.5', 'Nur Server', set(), WORLD, WORLD,
          '530 5.7.1 Client was not authenticated'))),
}

# Lines that the file must have, beside what explain says.
LINES = {
    'anonymous-relay.json': ('Banner = 220 relay.contoso.com ready', 'MaxMessageSize = 50MB',
                             'TarpitInterval = 0s', 'ConnectionInactivityTimeout = 2m',
                             'MaxInboundConnectionPerSource = unlimited',
                             'MaxInboundConnectionPercentagePerSource = 100',
                             'Comment = Printers and the ERP, see ticket 4711'),
    'exchange2010.xml': ('MaxMessageSize = 10MB', 'MaxHopCount = 30', 'MaxRecipientsPerMessage = 5000',
                         'SizeEnabled = EnabledWithoutValue', 'MessageRateLimit = 5'),
    'exchange2013.json': ('MaxMessageSize = 35MB', 'ProtocolLoggingLevel = Verbose'),
    'exchange-se.json': ('OrarEnabled = yes', 'LongAddressesEnabled = yes', 'Type = ExternalRelay',
                         'MatchSubDomains = yes', 'MaxMessageSize = unlimited'),
    'messy.json': ('MaxMessageSize = unlimited', 'ConnectionTimeout = 1d', 'MaxMessageSize = 10MB',
                   'AuthMechanism = None', 'Type = InternalRelay'),
}
PLAIN = {'Name': 'C', 'Identity': 'EX\\C', 'Bindings': ['0.0.0.0:25'],
         'RemoteIPRanges': ['0.0.0.0-255.255.255.255'], 'PermissionGroups': 'AnonymousUsers'}


def changed(**values):
    return json.dumps([{**PLAIN, **values}])


def clixml(body):
    return ('<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">'
            f'{body}</Objs>')


def two(first, second):
    return json.dumps([{**PLAIN, 'Name': name, 'Identity': 'EX\\' + name, 'RemoteIPRanges': [ranges]}
                       for name, ranges in (('A', first), ('B', second))])


# Exports that are refused: what they are; the file; words on stderr ({file} = its path).
REFUSED = (
    ('an empty file', '', ('{file}: the file is empty',)),
    ('JSON cut in the middle', changed()[:60], ('{file}:1:61:', 'was the file cut')),
    ('JSON with a comma too many', '[{"Name": "a",\n "x": ,}]', ('{file}:2:', 'not JSON')),
    ('something behind the JSON', changed() + '\n[', ('{file}:2:1:', 'something follows')),
    ('no UTF-8', b'[{"Name": "\xfc"}]', ('{file}:1:', 'UTF-8')),
    ('a NUL in a text', changed(Name='a\0b'), ('{file}', 'NUL')),
    ('deep JSON', '[' * 100000, ('{file}:1:', 'inside one another')),
    ('deep XML', clixml('<Obj>' * 100000), ('{file}:1:', 'inside one another')),
    ('an empty list', '[]', ('{file}', 'no connector')),
    ('null', 'null', ('{file}', 'no connector')),
    ('a number', '42', ('{file}', 'no receive connector')),
    ('a list of texts', '["a"]', ('{file}', 'no receive connector')),
    ('a name that is no text', changed(Name={'a': 1}), ('{file}', 'no receive connector')),
    ('something else that was exported', '[{"Name": "a", "Id": 4}]', ('no receive connector',)),
    ('XML cut in the middle', clixml('<Obj>')[:-3], ('{file}:1:', 'not XML')),
    ('XML of something else', '<html><body/></html>', ('{file}:1:', 'Export-Clixml')),
    ('entities that grow', '<!DOCTYPE Objs [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">'
     ']>' + clixml('<S>&b;</S>'), ('{file}:1:', 'document type')),
    ('an entity from a file', '<!DOCTYPE Objs [<!ENTITY a SYSTEM "file:///etc/passwd">]>' +
     clixml('<S>&a;</S>'), ('{file}:1:', 'document type')),
    ('references that grow', clixml('<Obj RefId="0"><LST><S>a</S></LST></Obj>' + ''.join(
        f'<Obj RefId="{i}"><LST>' + f'<Ref RefId="{i - 1}"/>' * 10 + '</LST></Obj>'
        for i in range(1, 12))), ('{file}:1:', 'more values')),
    ('broken UTF-16', b'\xff\xfe\x00\xd8\x00', ('{file}', 'UTF-16')),
    ('a wrong binding', changed(Bindings=['host:25']), ('connector "EX\\C": Bindings',
                                                      'host:25')),
    ('a binding without a port', changed(Bindings=['10.0.0.1']), ('Bindings', 'port missing')),
    ('bindings that are a number', changed(Bindings=7), ('Bindings',)),
    ('no ranges', changed(RemoteIPRanges=[]), ('RemoteIPRanges', 'the export has none')),
    ('a wrong range', changed(RemoteIPRanges=['10.0.0.300']), ('RemoteIPRanges', 'octet')),
    ('a range of objects', changed(RemoteIPRanges=[{'a': 1}]), ('RemoteIPRanges', 'LowerBound')),
    ('a mask with holes', changed(RemoteIPRanges=['10.0.0.1(255.0.255.0)']), ('netmask',)),
    ('a huge number', changed(MaxHopCount=10 ** 30), ('MaxHopCount', 'not a value')),
    ('a negative number', changed(MaxHopCount=-1), ('MaxHopCount', 'not a value')),
    ('a fraction', changed(MaxHopCount=1.5), ('MaxHopCount', 'not a value')),
    ('a list for a number', changed(MaxHopCount=[[1], {}]), ('MaxHopCount', 'not a value')),
    ('a text for a boolean', changed(Enabled='maybe'), ('Enabled', '"maybe"')),
    ('a time in words', changed(TarpitInterval='soon'), ('TarpitInterval', '"soon"')),
    ('a time beyond numbers', changed(TarpitInterval='P99999999999999999999D'), ('TarpitInterval',)),
    ('a size in words', changed(MaxMessageSize='(big)'), ('MaxMessageSize', '(big)')),
    ('an unknown group', changed(PermissionGroups='Friends'), ('PermissionGroups', 'Friends')),
    ('a bit that no group has', changed(PermissionGroups=1 << 20), ('PermissionGroups',)),
    ('ten megabytes of a group', changed(PermissionGroups='x' * 10_000_000), ('PermissionGroups',)),
    ('ExternalAuthoritative alone', changed(AuthMechanism='ExternalAuthoritative'),
     ('AuthMechanism', 'ExchangeServers')),
    ('ranges that overlap in part', two('10.0.0.0-10.0.0.20', '10.0.0.10-10.0.0.30'),
     ('overlaps in part', '"A"', '"B"', 'nothing is written')),
    ('two connectors with one range', two('10.0.0.0/8', '10.0.0.0-10.255.255.255'),
     ('is also listed by', 'nothing is written')),
)

# Exports that are odd, and taken: what; the file; words in the INI file; words on stderr.
TAKEN = (
    ('one object, no list', json.dumps(PLAIN), ('[connector C]',), ()),
    ('a list in a list', '[' + changed() + ']', ('[connector C]',), ()),
    ('a byte order mark', b'\xef\xbb\xbf' + changed().encode(), ('[connector C]',), ()),
    ('UTF-16 of the other order', b'\xfe\xff' + changed(Name='Bücher').encode('utf-16-be'),
     ('[connector Bücher]',), ()),
    ('an object without a value', changed(MaxMessageSize={}), ('[connector C]',),
     ('MaxMessageSize: the export has no value of it',)),
    ('ten megabytes of a comment', changed(Comment='x' * 10_000_000), ('[connector C]',), ('Comment',)),
    ('a comment that is a section', changed(Comment='a\n[connector D]\nBindings = 1.2.3.4:25'),
     ('Comment = a [connector D] Bindings = 1.2.3.4:25',), ()),
    ('a name that is a section', changed(Name='C]\n[gate'), ('[connector C___gate]',), ('Name:',)),
    ('a long name', changed(Name='x' + 'ä' * 100), ('[connector x' + 'ä' * 31 + ']',), ('Name:',)),
    ('two long names', json.dumps([{**PLAIN, 'Name': 'x' + 'ä' * 100, 'RemoteIPRanges': [ranges]}
                                   for ranges in ('10.0.0.0/8', '10.1.0.0/16')]),
     ('[connector x' + 'ä' * 27 + ' (2)]',), ()),
    ('an escaped text', clixml(
        '<Obj RefId="0"><MS><S N="Name">A_x005F_B</S><S N="Banner">220 a_x0020_b</S><TS '
        'N="TarpitInterval">PT1M30S</TS><Obj N="Bindings" RefId="1"><LST><S>0.0.0.0:25</S></LST>'
        '</Obj><Obj N="RemoteIPRanges" RefId="2"><LST><S>10.0.0.0/8</S></LST></Obj></MS></Obj>'),
     ('[connector A_B]', 'Banner = 220 a b', 'TarpitInterval = 90s'), ()),
    ('a reference', clixml(
        '<Obj RefId="0"><Props><S N="Name">A</S><Obj N="Bindings" RefId="1"><LST><S>0.0.0.0:25</S>'
        '</LST></Obj><Obj N="RemoteIPRanges" RefId="2"><LST><S>10.0.0.0/8</S></LST></Obj></Props>'
        '</Obj><Obj RefId="3"><Props><S N="Name">B</S><Obj N="Bindings" RefId="4"><LST><S>'
        '0.0.0.0:26</S></LST></Obj><Ref N="RemoteIPRanges" RefId="2"/></Props></Obj>'),
     ('[connector B]\nEnabled = no\nBindings = 0.0.0.0:26\nRemoteIPRanges = 10.0.0.0/8',), ()),
)


def run(*arguments):
    return subprocess.run((labs.BINARY, *arguments), capture_output=True, text=True, timeout=120)


def explain(checks, label, path, case):
    source, target, connector, rights, sender, recipient, reply = case
    arguments = ['explain', '-c', path, '--json', '--from', source, '--to', target]
    if sender:
        arguments += ['--mail-from', sender, '--rcpt-to', recipient]
    done = run(*arguments)
    label = f'{label}: {source} -> {target}, {sender} -> {recipient}'
    if not checks.equal(f'{label}: explain', done.returncode, 0):
        return
    said = json.loads(done.stdout)
    checks.equal(f'{label}: connector', said['connector'], connector)
    if connector is None or said['connector'] != connector:
        return
    held = {row['right'].removeprefix('ms-Exch-') for row in said['rights'] if row['held']}
    checks.equal(f'{label}: rights', held, rights)
    replies = [row['gate'] for row in said['dialogue'] if 'gate' in row]
    refusals = [text for text in replies if text[0] in '45']
    checks.equal(f'{label}: refusal', refusals[:1], [reply] if reply else [])


def test_exports(checks, folder):
    for name, (options, told, cases) in EXPECTED.items():
        path = os.path.join(folder, name + '.ini')
        options = [os.path.join(EXPORTS, word) if word.endswith(('.json', '.xml')) else word
                   for word in options]
        done = run('import', os.path.join(EXPORTS, name), '-o', path, *options)
        if not checks.equal(f'{name}: import', (done.returncode, done.stdout), (0, '')):
            print(done.stderr)
            continue
        for word in told:
            checks.that(f'{name}: {word!r} is told', word in done.stderr, done.stderr)
        checked = run('check', '-c', path)
        checks.equal(f'{name}: check', checked.returncode, 0)
        with open(path, encoding='utf-8') as file:
            lines = file.read().splitlines()
        for line in LINES.get(name, ()):
            checks.that(f'{name}: {line!r} is written', line in lines, '\n'.join(lines))
        for case in cases:
            explain(checks, name, path, case)


def test_options(checks, folder):
    source = os.path.join(EXPORTS, 'externally-secured.xml')
    own = ('--device', 'eth7', '--address', '203.0.113.5/27, 2001:db8:7::5/64', '--gateway',
           '203.0.113.1', '--backend', '10.1.1.1,10.1.1.2:2525')
    done = run('import', source, *own)
    checks.equal('options: exit code', done.returncode, 0)
    for line in ('Device = eth7', 'Address = 203.0.113.5/27, 2001:db8:7::5/64',
                 'Gateway = 203.0.113.1', 'Servers = 10.1.1.1,10.1.1.2:2525'):
        checks.that(f'options: {line}', line in done.stdout.splitlines(), done.stdout)
    checks.that('options: no placeholder is left',
                not any(line.startswith('# PLACEHOLDER') for line in done.stdout.splitlines()),
                done.stdout)
    out = os.path.join(folder, 'not-written.ini')
    done = run('import', source, '--address', '203.0.113.6/27', '-o', out)
    checks.equal('an address that no binding names: exit code', done.returncode, 1)
    checks.that('an address that no binding names: why', 'is no Address of any port' in done.stderr,
                done.stderr)
    checks.that('an address that no binding names: nothing is written', not os.path.exists(out))
    done = run('import', os.path.join(EXPORTS, 'messy.json'))
    checks.that('two servers: both are named', done.returncode == 1 and
                'MSG01, MSG02' in done.stderr, done.stderr)
    done = run('import', os.path.join(EXPORTS, 'messy.json'), '--server', 'EX9')
    checks.that('no such server', done.returncode == 1 and 'no connector of server EX9' in
                done.stderr, done.stderr)


def write(path, content):
    with open(path, 'wb') as file:
        file.write(content if isinstance(content, bytes) else content.encode())


def test_refused(checks, folder):
    source, out = os.path.join(folder, 'export'), os.path.join(folder, 'refused.ini')
    for what, content, words in REFUSED:
        write(source, content)
        done = run('import', source, '-o', out)
        checks.equal(f'{what}: exit code', done.returncode, 1)
        for word in words:
            word = word.replace('{file}', source)
            checks.that(f'{what}: {word!r} is told', word in done.stderr, done.stderr[:2000])
        checks.that(f'{what}: told briefly', len(done.stderr) < 20000, done.stderr[:300])
        checks.that(f'{what}: nothing is written', not os.path.exists(out))
    for what, option, content, word in (
            ('permissions that are none', '--permissions', '[{"a": 1}]', 'Get-ADPermission'),
            ('a Deny that is a word', '--permissions',
             '[{"Identity": "EX\\\\C", "User": "S-1-5-7", "Deny": "perhaps"}]', 'Deny'),
            ('permissions that are no list', '--permissions', '"x"', 'Get-ADPermission'),
            ('domains that are none', '--domains', '[{"a": 1}]', 'Get-AcceptedDomain'),
            ('a domain of no type', '--domains', '[{"DomainName": "a.test", "DomainType": "X"}]',
             'DomainType')):
        other = os.path.join(folder, 'other')
        write(source, changed())
        write(other, content)
        done = run('import', source, option, other, '-o', out)
        checks.equal(f'{what}: exit code', done.returncode, 1)
        checks.that(f'{what}: {other} and {word} are told', other in done.stderr and
                    word in done.stderr, done.stderr)
        checks.that(f'{what}: nothing is written', not os.path.exists(out))


def test_taken(checks, folder):
    source = os.path.join(folder, 'export')
    for what, content, words, told in TAKEN:
        write(source, content)
        done = run('import', source)
        checks.equal(f'{what}: exit code', done.returncode, 0)
        for word in words:
            checks.that(f'{what}: {word!r} is written', word in done.stdout, done.stdout[-3000:] +
                        done.stderr[:1000])
        for word in told:
            checks.that(f'{what}: {word!r} is told', word in done.stderr, done.stderr[:2000])


def test(checks):
    with tempfile.TemporaryDirectory() as folder:
        test_exports(checks, folder)
        test_options(checks, folder)
        test_refused(checks, folder)
        test_taken(checks, folder)


if __name__ == '__main__':
    labs.run(test)
