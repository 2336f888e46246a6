#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 400
# workers: af_xdp
#
# Who may do what: {may relay, may submit, may submit but not as our own domains, listed without
# rights, not listed} x {accepted domain, foreign domain} x {foreign, own and null sender}, asked
# with swaks, smtp-source and Python's smtplib over IPv4 and IPv6, with Postfix behind the gate.
# The replies are Exchange 2007's; what was accepted, and nothing else, is in Postfix's mailbox.
import concurrent.futures
import itertools
import re
import smtplib

import lab as labs
import smtp

ANY = 'someone@sender.test'
OWN = 'someone@contoso.com'
NULL = ''
ACCEPTED = 'rcpt@accepted.test'
FOREIGN = 'rcpt@foreign.test'

AT_ONCE = 6  # most of the time smtp-source sleeps after a refusal

ALLOWED = '250'
NO_RELAY = '550 5.7.1 Unable to relay'
NO_RIGHTS = '530 5.7.1 Client was not authenticated'
NOT_AS_OWN = '550 5.7.1 Anonymous client does not have permissions to send as this sender'

# Host -> reply by (sender, recipient). A refused sender is refused whatever the recipient is.
EXPECTED = {
    'app': lambda sender, recipient: ALLOWED,
    'host': lambda sender, recipient: ALLOWED if recipient == ACCEPTED else NO_RELAY,
    'remote': lambda sender, recipient: (NOT_AS_OWN if sender == OWN else
                                         ALLOWED if recipient == ACCEPTED else NO_RELAY),
    'mute': lambda sender, recipient: NO_RIGHTS,
}


def by_swaks(lab, host, family, sender, recipient):
    """The reply that decided, or '' when there was no answer at all."""
    _, output = lab.run(host, 'swaks', '--server', labs.GATE[family], '--helo', 'client.example.org',
                        '--from', sender or '<>', '--to', recipient, '--timeout', '20')
    refused = re.findall(r'^<\*\* (.*)$', output, re.M)
    accepted = re.findall(r'^<-  (.*)$', output, re.M)
    if refused:
        return refused[0]
    # The last but QUIT's is the answer to the message.
    return accepted[-2] if len(accepted) > 1 and ' -> QUIT' in output else ''


def by_smtp_source(lab, host, family, sender, recipient):
    address = f'[{labs.GATE[family]}]:25'
    code, output = lab.run(host, 'smtp-source', '-f', sender, '-t', recipient, '-m', '1',
                           '-M', 'client.example.org', address)
    if code == 0:
        return ALLOWED
    found = re.search(r'(\d\d\d[ -].*)', output)
    return found.group(1).strip() if found else output


def by_smtplib(lab, host, family, sender, recipient):
    with lab.inside(host):
        client = smtplib.SMTP(labs.GATE[family], 25, 'client.example.org', timeout=20)
    content = f'From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: smtplib\r\n\r\nHello\r\n'
    try:
        client.sendmail(sender, [recipient], content)
        return ALLOWED
    except smtplib.SMTPSenderRefused as refusal:
        return f'{refusal.smtp_code} {refusal.smtp_error.decode()}'
    except smtplib.SMTPRecipientsRefused as refusal:
        code, reply = refusal.recipients[recipient]
        return f'{code} {reply.decode()}'
    finally:
        client.close()


CLIENTS = (by_swaks, by_smtp_source, by_smtplib)


def silence(checks, lab, gate, family):
    """A host that no connector lists gets no answer to its SYN, and the drop has a name."""
    before = gate.reason('no_connector')
    try:
        lab.connect('stranger', family, seconds=2).close()
        answer = 'accepted'
    except TimeoutError:
        answer = 'silence'
    except OSError as error:
        answer = str(error)
    checks.equal(f'stranger, IPv{family}: no answer', answer, 'silence')
    labs.wait_for('the drop is counted', lambda: gate.reason('no_connector') > before)
    code, output = lab.run('stranger', 'swaks', '--server', labs.GATE[family], '--timeout', '3',
                           '--to', ACCEPTED, '--quit-after', 'CONNECT')
    checks.that(f'stranger, IPv{family}: swaks cannot connect',
                code != 0 and '220' not in output, output)


def config_with_restricted_host(lab):
    config = lab.config()
    submission = config['connector Submission']
    submission['RemoteIPRanges'] = '192.0.2.30, 2001:db8:1::30'
    config['connector Foreign Senders Only'] = dict(
        submission, RemoteIPRanges='198.51.100.0/24, 2001:db8:9::/64',
        DeniedRights='anonymous: ms-Exch-SMTP-Accept-Authoritative-Domain-Sender')
    return config


def test(checks):
    with labs.Lab() as lab, labs.Gate(lab, config_with_restricted_host(lab)) as gate:
        smtp.await_backend(lab)
        sent = 0
        cells = [(family, client, *cell) for family, client in
                 itertools.product(labs.FAMILIES, CLIENTS) for cell in
                 itertools.product(EXPECTED, (ANY, OWN, NULL), (ACCEPTED, FOREIGN))]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            replies = pool.map(lambda cell: cell[1](lab, cell[2], cell[0], *cell[3:]), cells)
            for (family, client, host, sender, recipient), got in zip(cells, replies):
                want = EXPECTED[host](sender, recipient)
                sent += want == ALLOWED
                checks.starts(f'{client.__name__} IPv{family} {host}: <{sender}> to {recipient}',
                              got, want)
        for family in labs.FAMILIES:
            silence(checks, lab, gate, family)

        mails = lab.await_mail(sent)
        checks.equal('messages in the mailbox', len(mails), sent)
        foreign = sum(b'\nDelivered-To: rcpt@foreign.test\n' in mail for mail in mails)
        checks.equal('messages to the foreign domain: those of app', foreign,
                     len(CLIENTS) * len(labs.FAMILIES) * 3)
        checks.that('each carries our Received header',
                    all(b'by mx.example.com' in mail for mail in mails))
        labs.wait_for('the gate counted them', lambda: sum(
            row['messages'] for row in gate.connectors().values()) == sent)
        refusals = gate.records()
        for reason, text in (('smtp_unable_to_relay', FOREIGN),
                             ('smtp_not_authenticated', 'MAIL'),
                             ('smtp_own_sender_not_permitted', OWN)):
            checks.that(f'relaygate log names {reason}', any(
                reason in line and text in line for line in refusals.splitlines()), refusals)
        checks.equal('the gate stops in good order', gate.stop(), 0)


if __name__ == '__main__':
    labs.run(test)
