#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
# long: yes
#
# No sample configuration is an open relay. Each file of config/ that has connectors is moved to the
# lab's addresses by substitution of text; nmap's smtp-open-relay and a list of further address forms
# then try, from every host, with real messages. Where the sample means to relay, nmap must say so
# (else the attempts prove nothing); everywhere else no form is accepted and the backend hears of no
# foreign recipient at all.
import os
import re

import lab as labs
import smtp

FOREIGN = 'foreign.test'
RELAYS, SUBMITS, SILENCE = 'relays', 'submits', 'silence'

# Sample -> its own domain, what is replaced, and what each host may do then.
SAMPLES = {
    'relaygate.ini': (
        'contoso.com', (),
        {'app': SUBMITS, 'host': SUBMITS, 'remote': SILENCE}),
    'examples/anonymous-relay.ini': (
        'contoso.com',
        (('192.168.5.10:25', '192.0.2.10:25'), ('192.168.5.77', '192.0.2.20')),
        {'app': RELAYS, 'host': SILENCE, 'remote': SILENCE}),
    'examples/campus.ini': (
        'campus.example',
        (('10.1.0.25:25', '192.0.2.10:25'),
         ('10.0.0.0/8, 172.16.0.0/12', '192.0.2.0/24, 198.51.100.0/24'),
         ('10.1.16.40', '192.0.2.20'), ('10.2.8.0/24', '192.0.2.32/27'),
         ('10.2.8.64/26', '192.0.2.48/29')),
        {'app': RELAYS, 'mute': RELAYS, 'host': SUBMITS, 'stranger': SUBMITS, 'remote': SUBMITS}),
    'examples/externally-secured-partner.ini': (
        'contoso.com',
        (('198.51.100.25:25', '192.0.2.10:25'), ('203.0.113.16/29', '192.0.2.16/29')),
        {'app': RELAYS, 'host': SUBMITS, 'remote': SUBMITS}),
    'examples/internet-edge.ini': (
        'contoso.com',
        (('198.51.100.25:25', '192.0.2.10:25'), ('203.0.113.16/29', '192.0.2.16/29'),
         ('203.0.113.80', '192.0.2.30')),
        {'app': SUBMITS, 'host': SUBMITS, 'remote': SUBMITS}),
}
# What the lab has otherwise: no user of that name, little memory, one mail server, no patience.
ADAPTED = ((r'^User = .*\n', ''), (r'^(MaxSessions|BufferMemory|TimeWaitEntries) = .*\n', ''),
           (r'^Servers = .*$', 'Servers = 10.0.0.11'),
           (r'^(\[connector .*\])$', r'\1\nTarpitInterval = 0s'))

# {own}: the sample's accepted domain; {foreign}: somebody else's.
FORMS = (
    'u@{foreign}', 'u@{foreign}.', 'U@{FOREIGN}', 'u%{foreign}@{own}', 'u%{own}@{foreign}',
    'u%{foreign}%{own}@{own}', '"u%{foreign}"@{own}', '"u@{foreign}"@{own}', '"u@{foreign}"',
    '"u\\@{foreign}"@{own}', 'u\\@{foreign}@{own}', 'u@{foreign}@{own}', 'u@{own}@{foreign}',
    '@{own}:u@{foreign}', '@{own},@{foreign}:u@{own}', '@{foreign}:u@{own}', '{foreign}!u@{own}',
    '{own}!{foreign}!u', '"{foreign}!u"@{own}', '{foreign}!u', '{own}!u@{foreign}',
    'u@{own}.{foreign}', 'u@{foreign}{own}', 'u@x{own}', 'u@{own}%{foreign}', 'u@{own}!{foreign}',
    'u@{own} u@{foreign}', 'u@{own},u@{foreign}', 'u@{own}>,<u@{foreign}', 'u@{foreign}\0@{own}',
    'u@{own}\0.{foreign}', 'u@[192.0.2.10]', 'u@[10.0.0.11]', 'u%{foreign}@[192.0.2.10]', 'u',
    'u%{foreign}', 'u+@{foreign}=x@{foreign}', 'u:{foreign}@{own}@{foreign}', '(c)u@{foreign}',
    'u@({own}){foreign}', 'u@{foreign}(@{own})', 'u@\uff46oreign.test', 'u@*.{own}',
    'u%{foreign}@sub.{own}', 'SMTP:u@{foreign}', '"u"@{foreign}', '""@{foreign}')
SENDERS = ('', 'spam@{foreign}', 'spam@{own}', 'spam@[192.0.2.10]', 'spam@localhost', 'spam')


class Listener(smtp.Dialogue):
    """Remembers every recipient that it is asked about, whatever becomes of the message."""

    def on_rcpt(self, rest):
        with self.backend.lock:
            self.backend.asked.append(rest)
        super().on_rcpt(rest)


def adapted(lab, sample, replacements):
    """The sample's text at the lab's addresses; each replacement must have something to replace."""
    with open(os.path.join(labs.ROOT, 'config', sample)) as file:
        text = re.sub(r'^\[port [^]]*\]\n(?:(?!\[).*\n)*', '', file.read(), flags=re.M)
    for old, new in replacements:
        if old not in text:
            raise ValueError(f'{sample} has no {old}')
        text = text.replace(old, new)
    for pattern, new in ADAPTED:
        text = re.sub(pattern, new, text, flags=re.M)
    ports = labs.read(lab.command('gate-config')).decode()
    ports = ''.join(re.findall(r'^\[port [^]]*\]\n(?:(?!\[).*\n)*', ports, re.M))
    text = text.replace('[gate]\n', f'[gate]\nPinDirectory = {lab.pins}\n', 1)
    return f'{text}\n{ports}'


class Written:
    """A finished text where Gate wants a configuration."""

    def __init__(self, text):
        self.text = text

    def write(self, file):
        file.write(self.text)


def by_nmap(lab, host):
    _, output = lab.run(
        host, 'nmap', '-Pn', '-n', '-sT', '-p25', '--max-retries', '1', '--script',
        'smtp-open-relay', '--script-args',
        f'smtp-open-relay.ip=192.0.2.10,smtp-open-relay.domain={FOREIGN}', '-vv', '192.0.2.10')
    if 'Server is an open relay' in output:
        return RELAYS
    if 'all tests failed' in output:
        return SUBMITS
    return SILENCE if re.search(r'^25/tcp +filtered', output, re.M) else output


def accepted_forms(lab, host, own):
    """(sender, recipient) of every attempt that was not refused, each with a whole message."""
    accepted = []
    names = {'own': own, 'foreign': FOREIGN, 'FOREIGN': FOREIGN.upper()}
    for form in FORMS:
        with smtp.Client(lab, host) as client:
            client.greet()
            for sender in SENDERS:
                sender, recipient = sender.format(**names), form.format(**names)
                # A literal client: these are bytes, not characters.
                reply = client.command(f'MAIL FROM:<{sender}>')
                if reply.startswith('250'):
                    wire = recipient.encode().decode('latin-1')
                    reply = client.command(f'RCPT TO:<{wire}>')
                if reply.startswith('250'):
                    accepted.append((sender, recipient))
                    client.command('DATA')
                    client.send(b'Subject: spam\r\n\r\nspam\r\n.\r\n')
                    client.reply()
                elif not reply or reply.startswith(('521', '421')):
                    break
                client.command('RSET')
    return accepted


def judge(checks, lab, backend, sample, own, hosts):
    for host, may in hosts.items():
        label = f'{sample}, {host}'
        backend.asked.clear()
        checks.equal(f'{label}: nmap', by_nmap(lab, host), may)
        if may != SUBMITS:
            continue
        checks.equal(f'{label}: accepted forms', accepted_forms(lab, host, own), [])
        checks.equal(f'{label}: recipients that the backend heard of', backend.asked, [])
        checks.equal(f'{label}: messages in the backend', len(backend.seen), 0)
    mails = [host for host, may in hosts.items() if may != SILENCE]
    for host in mails:  # It is not the backend's absence that refused them.
        with smtp.Client(lab, host) as client:
            client.greet()
            reply = client.message('', f'postmaster@{own}', b'Subject: ours\r\n\r\n')
            checks.starts(f'{sample}, {host}: mail to {own}', reply, '250')
    checks.equal(f'{sample}: messages in the backend', len(backend.seen), len(mails))
    backend.seen.clear()


def test(checks):
    samples = {os.path.relpath(os.path.join(folder, name), os.path.join(labs.ROOT, 'config'))
               for folder, _, names in os.walk(os.path.join(labs.ROOT, 'config'))
               for name in names if name.endswith('.ini')}
    checks.equal('samples', samples, set(SAMPLES))
    with labs.Lab() as lab:
        lab.command('backend', 'none')
        with smtp.Backend(lab, families=(4,)) as backend:
            backend.dialogue, backend.asked = Listener, []
            for sample, (own, replacements, hosts) in SAMPLES.items():
                text = adapted(lab, sample, replacements)
                with labs.Gate(lab, Written(text)) as gate:
                    submits = next(h for h, may in hosts.items() if may != SILENCE)
                    smtp.await_backend(lab, submits, recipient=f'probe@{own}')
                    judge(checks, lab, backend, sample, own, hosts)
                    checks.equal('the gate stops in good order', gate.stop(), 0)


if __name__ == '__main__':
    labs.run(test)
