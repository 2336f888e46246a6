#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
#
# Every right x {granted by a group, granted alone by ExtendedRights, denied, absent}, in both
# dialects: a connector on a port of its own for each, asked by one literal client, with a literal
# backend behind. On each of them all rights are looked at: by replies to the letter, and by the
# header fields that the backend got. What must be seen follows from the table RIGHTS alone.
import lab as labs
import smtp

SUBMIT = 'ms-Exch-SMTP-Submit'
ANY_RECIPIENT = 'ms-Exch-SMTP-Accept-Any-Recipient'
ANY_SENDER = 'ms-Exch-SMTP-Accept-Any-Sender'
OWN_SENDER = 'ms-Exch-SMTP-Accept-Authoritative-Domain-Sender'
AUTH_FLAG = 'ms-Exch-SMTP-Accept-Authentication-Flag'
EXCH50 = 'ms-Exch-SMTP-Accept-Exch50'
ROUTING = 'ms-Exch-Accept-Headers-Routing'
ORGANIZATION = 'ms-Exch-Accept-Headers-Organization'
FOREST = 'ms-Exch-Accept-Headers-Forest'
ANTI_SPAM = 'ms-Exch-Bypass-Anti-Spam'
SIZE = 'ms-Exch-Bypass-Message-Size-Limit'

ANONYMOUS = {SUBMIT, ANY_SENDER, OWN_SENDER, ROUTING}
SECURED = ANONYMOUS | {ANY_RECIPIENT, AUTH_FLAG, EXCH50, ANTI_SPAM, SIZE}
# Right -> does a group give it to a session without AUTH? Headers of the organization and the
# forest are for Exchange's own servers, not for those that are externally secured.
RIGHTS = {right: 'anonymous' if right in ANONYMOUS else 'secured' if right in SECURED else None
          for right in sorted(SECURED | {ORGANIZATION, FOREST})}

REFUSALS = {
    SUBMIT: ('530 5.7.1 Client was not authenticated',
             '530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL '
             'FROM'),
    ANY_RECIPIENT: ('550 5.7.1 Unable to relay',
                    '550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain'),
    ANY_SENDER: ('550 5.7.1 Client does not have permissions to send as this sender',
                 '550 5.7.60 SMTP; Client does not have permissions to send as this sender'),
    OWN_SENDER: ('550 5.7.1 Anonymous client does not have permissions to send as this sender',) * 2,
    EXCH50: ('504 Need to authenticate first',) * 2,
    SIZE: ('552 5.3.4 Message size exceeds fixed maximum message size',) * 2,
}
SENDER_OK = '250 2.1.0 Sender OK'
RECIPIENT_OK = '250 2.1.5 Ok'  # the backend's own words
LIMIT = 65536

# What the client sends: fields of each kind, folded and in other letters, and harmless neighbours.
ROUTING_FIELDS = (
    'Received: from a.test by b.test;\r\n\tMon, 1 Jan 2024 00:00:00 +0000',
    'received : from c.test by d.test; Mon, 1 Jan 2024 00:00:00 +0000',
    'Resent-Date: Mon, 1 Jan 2024 00:00:00 +0000', 'Resent-From: <a@a.test>',
    'Resent-Sender: <a@a.test>', 'Resent-To: <b@b.test>', 'Resent-Cc: <b@b.test>',
    'RESENT-BCC: <b@b.test>', 'Resent-Message-ID: <1@a.test>')
ORGANIZATION_FIELDS = (
    'X-MS-Exchange-Organization-AuthAs: Internal', 'x-ms-exchange-organization-scl: -1',
    'X-MS-Exchange-Organization-AuthSource: evil.test\r\n folded.evil.test')
FOREST_FIELDS = ('X-MS-Exchange-Forest-RulesExecuted: mx', 'X-MS-EXCHANGE-FOREST-Anything: 1')
OTHER_FIELDS = (
    'From: <a@sender.test>', 'X-Received: by nobody', 'Resent: no field of anybody',
    'X-MS-Exchange-CrossTenant-Id: 1', 'X-MS-Exchange-Organizations: 1', 'Subject: rights')
# Of no field of the client's: behind the stamps they would go on with the last one.
STRAY_LINES = ' forged.evil.test\r\n\tX-MS-Exchange-Organization-SCL: -1\r\n'
BODY = 'Received: in the body\r\nX-MS-Exchange-Organization-SCL: 9\r\n'


def rows():
    """(name, PermissionGroups, secured, ExtendedRights, DeniedRights, the rights held)."""
    groups = {'anonymous': ('AnonymousUsers', ANONYMOUS), 'secured': ('ExchangeServers', SECURED)}
    for number, (right, group) in enumerate(RIGHTS.items()):
        secured = group != 'anonymous'
        name, granted = groups[group or 'secured']
        who = 'externally-secured' if secured else 'anonymous'
        yield f'{number} group', name, secured, (), (), granted
        yield f'{number} alone', 'None', False, {SUBMIT, right}, (), {SUBMIT, right}
        yield (f'{number} denied', name, secured, {right}, (f'{who}: {right}',),
               granted - {right})
        yield f'{number} absent', 'None', False, set(RIGHTS) - {right}, (), set(RIGHTS) - {right}
    yield 'no group', 'None', False, (), (), set()
    yield 'group alone does not secure', 'ExchangeServers', False, (), (), set()


def configuration(lab, dialect, table):
    config = lab.config()
    for section in [s for s in config.sections() if s.startswith(('connector', 'accepted'))]:
        del config[section]
    config['gate']['ReplyDialect'] = dialect
    config['accepted-domain accepted.test'] = {'Type': 'InternalRelay'}
    config['accepted-domain contoso.com'] = {'Type': 'Authoritative'}
    for port, (name, groups, secured, extended, denied, _) in table.items():
        section = {
            'Bindings': f'192.0.2.10:{port}', 'RemoteIPRanges': '192.0.2.20',
            'PermissionGroups': groups, 'MaxMessageSize': str(LIMIT), 'TarpitInterval': '0s',
            'MaxProtocolErrors': 'unlimited', 'Backend': 'cluster',
            'AuthMechanism': 'ExternalAuthoritative' if secured else 'None'}
        if extended:
            who = 'externally-secured' if secured else 'anonymous'
            section['ExtendedRights'] = ', '.join(f'{who}: {right}' for right in sorted(extended))
        if denied:
            section['DeniedRights'] = ', '.join(denied)
        config[f'connector {name}'] = section
    return config


def outcome(held, right, dialect, granted):
    return granted if right in held else REFUSALS[right][dialect]


def asked_senders(client, held, dialect):
    """(what, got, want) of MAIL in all its forms; nothing more for whom may not submit."""
    for sender, right in (('', None), ('a@accepted.test', None), ('a@sender.test', ANY_SENDER),
                          ('a@contoso.com', OWN_SENDER)):
        got = client.command(f'MAIL FROM:<{sender}>')
        want = SENDER_OK if right is None or right in held else REFUSALS[right][dialect]
        yield f'MAIL <{sender}>', got, want if SUBMIT in held else REFUSALS[SUBMIT][dialect]
        client.command('RSET')
    got = client.command(f'MAIL FROM:<> SIZE={LIMIT + 1}')
    want = outcome(held, SIZE, dialect, SENDER_OK)
    yield 'SIZE=', got, want if SUBMIT in held else REFUSALS[SUBMIT][dialect]
    client.command('RSET')


def asked_recipients(client, held, dialect):
    client.command('MAIL FROM:<>')
    for recipient in ('a@foreign.test', 'a%foreign.test@accepted.test'):
        yield (f'RCPT <{recipient}>', client.command(f'RCPT TO:<{recipient}>'),
               outcome(held, ANY_RECIPIENT, dialect, RECIPIENT_OK))
    for recipient in ('a@accepted.test', 'a@contoso.com', 'postmaster'):
        yield f'RCPT <{recipient}>', client.command(f'RCPT TO:<{recipient}>'), RECIPIENT_OK
    client.command('RSET')


def asked_exch50(client, hello, held, dialect):
    yield 'EHLO offers XEXCH50', 'XEXCH50' in hello, EXCH50 in held
    client.command('MAIL FROM:<>')
    client.command('RCPT TO:<a@accepted.test>')
    got = client.command('XEXCH50 6 2')
    yield 'XEXCH50', got, outcome(held, EXCH50, dialect, '354 Send binary data')
    if got.startswith('354'):
        client.send(b'QUIT\r\n')  # content, not a command
        yield 'XEXCH50 content', client.reply(), '250 2.0.0 OK'
    client.command('RSET')


def kept(fields, held, right):
    return list(fields) if right in held else []


def expected_fields(held, secured):
    """The fields of what the backend gets, but for our own Received in front of them."""
    stamps = []
    trusted = secured or AUTH_FLAG in held
    if ORGANIZATION not in held:
        stamps = ['AuthAs: ' + ('Internal' if trusted else 'Anonymous'),
                  'AuthSource: mx.example.com']
        if secured:
            stamps += ['AuthMechanism: 10']
        elif ANTI_SPAM in held:
            stamps += ['SCL: -1', 'Antispam-Report: MessageSecurityAntispamBypass']
    return ([f'X-MS-Exchange-Organization-{stamp}' for stamp in stamps]
            + kept(ROUTING_FIELDS, held, ROUTING) + kept(ORGANIZATION_FIELDS, held, ORGANIZATION)
            + kept(FOREST_FIELDS, held, FOREST) + list(OTHER_FIELDS))


def delivered(client, backend, held, dialect, secured):
    fields = (*ROUTING_FIELDS, *ORGANIZATION_FIELDS, *FOREST_FIELDS, *OTHER_FIELDS)
    content = STRAY_LINES + '\r\n'.join(fields) + '\r\n\r\n' + BODY
    client.command('MAIL FROM:<> AUTH=someone@contoso.com')
    client.command('RCPT TO:<a@accepted.test>')
    yield 'DATA', client.command('DATA')[:3], '354'
    client.send(content.encode() + b'.\r\n')
    yield 'message', client.reply()[:3], '250'
    header, _, body = backend.accepted[-1][2].decode().partition('\r\n\r\n')
    got = header.replace('\r\n\t', '\r\n ').replace('\r\n ', '\0').split('\r\n')
    want = [field.replace('\r\n\t', '\0').replace('\r\n ', '\0')
            for field in expected_fields(held, secured)]
    yield 'our Received', got[0].startswith('Received: from client.example.org'), True
    yield 'fields', got[1:], want
    yield 'body', body, BODY
    yield 'AUTH= is not for the backend', 'AUTH=' in backend.accepted[-1][0], False

    client.command('MAIL FROM:<>')
    client.command('RCPT TO:<a@accepted.test>')
    client.command('DATA')
    client.send(b'Subject: large\r\n\r\n' + (b'x' * 70 + b'\r\n') * 1000 + b'.\r\n')
    got = client.reply()
    yield ('a message above the limit', got[:3] if got.startswith('250') else got,
           outcome(held, SIZE, dialect, '250'))
    client.command('RSET')


def session(lab, backend, port, row, dialect):
    """All observations on one connector that are not as they must be, and how many there were."""
    _, _, secured, _, _, held = row
    faults, count = [], 0
    with smtp.Client(lab, 'app', port=port) as client:
        hello = client.greet()
        steps = [asked_senders(client, held, dialect)]
        if SUBMIT in held:
            steps += [asked_recipients(client, held, dialect),
                      asked_exch50(client, hello, held, dialect),
                      delivered(client, backend, held, dialect, secured)]
        for what, got, want in (seen for step in steps for seen in step):
            count += 1
            if got != want:
                faults.append(f'{what}: got {got!r}, want {want!r}')
    return faults, count


def test(checks):
    with labs.Lab() as lab:
        lab.command('backend', 'none')
        with smtp.Backend(lab) as backend:
            for dialect, name in enumerate(('2007', '2016')):
                table = dict(enumerate(rows(), 2500))
                with labs.Gate(lab, configuration(lab, name, table)) as gate:
                    live = next(port for port, row in table.items() if row[5] == SECURED)
                    smtp.await_backend(lab, port=live)
                    for port, row in table.items():
                        faults, count = session(lab, backend, port, row, dialect)
                        label = row[0].split()
                        if label[0].isdigit():
                            label[0] = list(RIGHTS)[int(label[0])]
                        checks.that(f'{name}: {" ".join(label)} ({count} observations)',
                                    not faults, '; '.join(faults))
                    checks.equal('the gate stops in good order', gate.stop(), 0)


if __name__ == '__main__':
    labs.run(test)
