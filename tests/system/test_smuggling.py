#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
# variants: literal postfix haraka everything haraka-everything
# long: literal everything haraka-everything
# by name: everything haraka-everything
#
# A second message is never smuggled behind a false end of data. Every mixture of CR, LF, NUL and
# their like around a dot, followed by a whole second transaction, is sent by DATA and by BDAT, whole
# and cut at every place, on a connector that refuses bare line feeds and on one that repairs them.
# It is either refused (521) or text of the one message: judged by what backends received that take
# false ends for true ones: a literal one that takes all of them, Postfix without its protection, and
# Haraka. That each can be fooled is shown first, without the gate. In the same ways a field of the header
# that the session may not send is hidden: no reading of the received header finds it. The first two
# take messages by DATA and by BDAT. With BODY=BINARYMIME each of the ends, the true one, too, is
# content, and arrives as it was sent.
import concurrent.futures
import itertools
import re
import socket
import sys

import haraka
import lab as labs
import smtp

ENDS = (b'\n', b'\r', b'\r\n', b'\r\r', b'\n\n', b'\r\r\n', b'\n\r', b'\r\n\0', b'\r\0\n', b'\0\r\n',
        b'\0\n', b'\0', b'\x0b', b'\x0c', b'\x85', b'\xe2\x80\xa8', b'\x1a', b' ', b'')
EVERY_DOT = (b'.', b'..', b'\0.', b'.\0', b'\xef\xbc\x8e')
DOTS = {'postfix': (), 'literal': (b'.',), 'haraka': (), 'everything': EVERY_DOT,
        'haraka-everything': EVERY_DOT}
TRUE_END = b'\r\n.\r\n'
SECOND = (b'MAIL FROM:<smuggled@evil.test>\r\nRCPT TO:<victim@accepted.test>\r\nDATA\r\n'
          b'Subject: smuggled\r\n\r\nsmuggled')
FIRST = b'From: <a@sender.test>\r\nX-Number: %d\r\n\r\nfirst'
REFUSED = '521 5.5.2 Bare CR, bare LF or NUL, closing transmission channel'
STAMP = b'X-MS-Exchange-Organization-SCL'
PORTS = {True: 25, False: 2525}  # by BareLinefeedRejectionEnabled
CLASSICS = (b'\n.\n', b'\n.\r\n', b'\r\n.\n', b'\r.\r', b'\r\n.\r', b'\r.\r\n', b'\n.\r', b'\r.\n',
            b'\r\n\0.\r\n', b'\r\n.\0\r\n', b'\r\r\n.\r\r\n', b'\n..\n', b'\n..\r\n', b'\r\n..\n',
            b'\n\n.\n\n', b'\r\n.\r\r\n', b'\0\n.\n', b'\r\n.\x0b\r\n')


def false_ends(variant):
    """Each variant once. The true end is not among them."""
    found = {before + dot + after
             for before, dot, after in itertools.product(ENDS, DOTS[variant], ENDS)}
    return sorted(end for end in found.union(CLASSICS) if TRUE_END not in b'x' + end + b'M')


class Lenient(smtp.Dialogue):
    """Takes CR, LF and any row of them for a line end, and does not see NUL."""

    END = re.compile(rb'(?:^|\r\n|[\r\n])\0*\.\0*(?:\r\0*\n|\r|\n)')

    binary = False  # has BINARYMIME
    numbers = itertools.count()

    def on_ehlo(self, _):
        # Each second connection is for chunks.
        chunks = self.binary or next(self.numbers) % 2
        self.say('250-backend.example.net\r\n250-PIPELINING\r\n'
                 + '250-CHUNKING\r\n' * chunks + '250-BINARYMIME\r\n' * self.binary
                 + '250 8BITMIME')

    def octets(self, size):
        while not self.buffer and self.more():
            pass
        piece, self.buffer = self.buffer[:size], self.buffer[size:]
        return piece

    def serve(self):
        self.buffer = b''
        self.say('220 backend.example.net ESMTP')
        while line := self.line():
            verb, _, rest = line.decode('latin-1').strip().partition(' ')
            if getattr(self, 'on_' + verb.lower(), self.on_noop)(rest):
                return

    def more(self):
        data = self.connection.recv(65536)
        self.buffer += data
        return data

    def line(self):
        while not (found := re.search(rb'\r\n|\n|\r(?=[^\n])', self.buffer)):
            if not self.more():
                return b''
        line, self.buffer = self.buffer[:found.start()] + b' ', self.buffer[found.end():]
        return line

    def on_data(self, _):
        self.say('354 go on')
        while not (found := self.END.search(self.buffer)):
            if not self.more():
                return True
        content, self.buffer = self.buffer[:found.start()], self.buffer[found.end():]
        content = re.sub(rb'(?:(?<=^)|(?<=\n))\.', b'', content) + b'\r\n'
        with self.backend.lock:
            self.backend.accepted.append((self.sender, tuple(self.recipients), content))
        self.say('250 2.0.0 Ok: queued')
        return False


# ---- What must become of it: one octet after the other, as the reference has it -----------------

def expected(content, rejects, chunked):
    """The text that the backend has to get, lines joined by CR LF; None: the message is refused."""
    if b'\0' in content or re.search(rb'\r(?!\n)', content):
        return None
    if rejects and re.search(rb'(?<!\r)\n', content):
        return None
    lines, soft = [], False
    for line, end in re.findall(rb'([^\r\n]*)(\r\n|\n)', content):
        # A dot that the client's own stuffing added; none was, behind a bare LF nor in a chunk.
        stuffed = line.startswith(b'.') and not soft and not chunked
        lines.append(line[1:] if stuffed else line)
        soft = end == b'\n'
    return b'\r\n'.join(lines)


# ---- The clients -------------------------------------------------------------------------------

def pieces(content, cut):
    """The content's pieces when cut there; None: whole; 'all': octet by octet around the end."""
    if cut is None:
        return [content]
    start = content.index(b'first') + len(b'first')
    if cut == 'all':
        middle = [bytes([octet]) for octet in content[start:start + 12]]
        return [content[:start], *middle, content[start + 12:]]
    return [content[:start + cut], content[start + cut:]]


def transmit(client, content, chunked, cut):
    parts = pieces(content, cut)
    if not chunked:
        if (reply := client.command('DATA'))[:3] != '354':
            return reply
        for part in parts:
            client.send(part)
        client.send(b'.\r\n')
        return client.reply()
    for number, part in enumerate(parts):
        last = b' LAST' if number == len(parts) - 1 else b''
        client.send(b'BDAT %d%s\r\n' % (len(part), last) + part)
        reply = client.reply()
        if reply[:3] != '250':
            return reply
    return reply


def attempt(lab, job):
    """Sends it: None when all is as it must be, else what is not."""
    number, end, rejects, chunked, cut = job
    content = FIRST % number + end + SECOND + b'\r\n'
    want = expected(content, rejects, chunked)
    with smtp.Client(lab, 'app', seconds=15, port=PORTS[rejects]) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.greet()
        client.envelope('a@sender.test', 'b@accepted.test')
        try:
            reply = transmit(client, content, chunked, cut)
            after = client.quit() if reply.startswith('250') else client.reply()
        except OSError as error:
            return f'{end!r} chunked {chunked} cut {cut}: {error}'
    if want is None and (reply, after) == (REFUSED, ''):
        return None
    if want is not None and reply.startswith('250') and after.startswith('221'):
        return None
    return f'{end!r} rejects {rejects} chunked {chunked} cut {cut}: {reply!r}, then {after!r}'


def jobs(variant):
    number = 0
    for end in false_ends(variant):
        for rejects, chunked in itertools.product((True, False), (False, True)):
            cuts = [None, 'all']
            if end in CLASSICS and DOTS[variant]:
                cuts += range(len(end) + 1)
            for cut in cuts:
                yield number, end, rejects, chunked, cut
                number += 1
    for rejects, cut in itertools.product((True, False), (None, 'all', *range(6))):
        yield number, TRUE_END, rejects, True, cut  # text, in a chunk
        number += 1


# ---- What the backends got ---------------------------------------------------------------------

def without_gate(lab, end):
    """The number of 250s that a client beside the backend reads: one a message, two an envelope."""
    with lab.inside('backend'):
        connection = socket.create_connection((labs.SERVERS[4], 25), timeout=10)
    with connection, connection.makefile('rb') as file:
        file.readline()
        for line in (b'EHLO x', b'MAIL FROM:<a@sender.test>', b'RCPT TO:<control@accepted.test>',
                     b'DATA'):
            connection.sendall(line + b'\r\n')
            while file.readline()[3:4] == b'-':
                pass
        connection.sendall(FIRST % 999999 + end + SECOND + TRUE_END + b'QUIT\r\n')
        return len(re.findall(rb'^250', file.read(), re.M))


START = b'From: <a@sender.test>\r\n'


def from_start(content):
    """Without the trace fields; a message that is not ours stays whole."""
    return content[max(content.find(START), 0):]


def number_of(content):
    found = re.search(rb'^X-Number: (\d+)\r$', content, re.M)
    return int(found.group(1)) if found and content.startswith(START) else None


def judge(checks, work, senders, received, reading=lambda text: text):
    """reading: of a text, as far as this backend can be compared."""
    wanted = {}
    for number, end, rejects, chunked, _ in work:
        want = expected(FIRST % number + end + SECOND + b'\r\n', rejects, chunked)
        if want is not None:
            wanted[number] = want + b'\r\n'
    checks.that('no smuggled sender in the backend',
                not [sender for sender in senders if b'smuggled' in sender], senders[:5])
    checks.equal('messages in the backend', len(received), len(wanted))
    got = {number_of(content): content for content in received}
    wrong = [n for n, want in wanted.items() if reading(got.get(n, b'')) != reading(want)]
    checks.that('each is the text that was sent', not wrong,
                [(work[n], got.get(n), wanted[n]) for n in wrong[:3]])
    checks.that('some were text, and some refused', 0 < len(wanted) < len(work), len(wanted))


class Binary(Lenient):
    binary = True


def send_binary(lab, job):
    """One message in two chunks: None, or the reply that is no 250."""
    number, end, cut = job
    content = FIRST % number + b'\r\n\r\n' + end + SECOND
    at = content.index(b'\r\n\r\n') + 4 + cut
    with smtp.Client(lab, 'app', seconds=15) as client:
        client.greet()
        reply = client.command('MAIL FROM:<a@sender.test> BODY=BINARYMIME')
        if reply.startswith('250'):
            reply = client.command('RCPT TO:<b@accepted.test>')
        if reply.startswith('250'):
            client.send(b'BDAT %d\r\n' % at + content[:at])
            client.send(b'BDAT %d LAST\r\n' % len(content[at:]) + content[at:])
            client.reply()
            reply = client.reply()
        client.quit()
    return None if reply.startswith('250') else f'{job}: {reply}'


def binary(checks, lab, backend):
    ends = [end for end in false_ends('literal') if len(end) < 6] + [TRUE_END]
    work = [(number, end, cut) for number, (end, cut) in
            enumerate(itertools.product(ends, (0, 1, 2, 3, 5)))]
    backend.dialogue = Binary
    backend.accepted.clear()
    with labs.Gate(lab, config_of(lab)):
        smtp.await_backend(lab)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            faults = [fault for fault in pool.map(lambda job: send_binary(lab, job), work) if fault]
    checks.that(f'{len(work)} binary messages, each taken', not faults, faults[:3])
    got = sorted(from_start(content) for _, _, content in backend.accepted)
    sent = sorted(FIRST % number + b'\r\n\r\n' + end + SECOND for number, end, _ in work)
    checks.that('and each is what was sent', got == sent,
                [pair for pair in zip(got, sent) if pair[0] != pair[1]][:2])
    checks.that('nobody else speaks in the backend',
                {sender for sender, _, _ in backend.accepted} ==
                {'FROM:<a@sender.test> BODY=BINARYMIME'}, backend.accepted[:2])


def config_of(lab):
    config = lab.config()
    relay = config['connector Anonymous Relay']
    relay['TarpitInterval'] = '0s'
    config['connector Repairs'] = dict(relay, Bindings=f'192.0.2.10:{PORTS[False]}',
                                       RemoteIPRanges='192.0.2.20',
                                       BareLinefeedRejectionEnabled='no')
    config['backend cluster']['Servers'] = '10.0.0.11:25, [2001:db8:2::12]:25'
    return config


def attack(checks, lab, work):
    with labs.Gate(lab, config_of(lab)) as gate:
        smtp.await_backend(lab)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            faults = [fault for fault in pool.map(lambda job: attempt(lab, job), work) if fault]
        checks.that(f'{len(work)} attempts, each refused or taken as one message', not faults,
                    f'{len(faults)}: {faults[:5]}')
        checks.equal('the gate stops in good order', gate.stop(), 0)


def literal(checks, lab, variant):
    work = list(jobs(variant))
    with smtp.Backend(lab, families=(4,)) as backend:
        backend.dialogue = Lenient
        for end in (b'\n.\n', b'\r.\r', b'\r\n.\r', b'\n.\r\n', b'\r\n\0.\r\n'):
            checks.that(f'{end!r} fools it without the gate', without_gate(lab, end) == 4)
        backend.accepted.clear()
        attack(checks, lab, work)
        messages = list(backend.accepted)
        fields(checks, lab, backend)
        binary(checks, lab, backend)
    judge(checks, work, [message[0].encode() for message in messages],
          [from_start(message[2]) for message in messages])


def hidden_fields():
    """Headers with a forbidden field behind each line end, in other letters and with a blank."""
    for end, name, dot in itertools.product(ENDS, (STAMP, STAMP.upper(), STAMP + b' ', STAMP + b'\t'),
                                            (b'', b'.')):
        yield b'From: <a@sender.test>' + end + dot + name + b': -1\r\nTo: b\r\n\r\nbody\r\n'
    yield STAMP + b': -1\r\n\r\nbody\r\n'
    yield STAMP + b':\r\n -1\r\n\r\nbody\r\n'
    yield b'no field\r\n' + STAMP + b': -1\r\n\r\nbody\r\n'
    yield b'.\tno field\r\n' + STAMP + b': -1\r\n\r\nbody\r\n'


def hide(lab, job):
    try:
        return hidden(lab, *job)
    except OSError as error:
        return str(error)


def hidden(lab, content, rejects, chunked, cut):
    """The reply to a message with a hidden field."""
    with smtp.Client(lab, 'app', seconds=15, port=PORTS[rejects]) as client:
        client.greet()
        client.envelope('a@sender.test', 'b@accepted.test')
        if chunked:
            client.send(b'BDAT %d\r\n' % cut + content[:cut])
            if not (reply := client.reply()).startswith('250'):
                return reply
            client.send(b'BDAT %d LAST\r\n' % len(content[cut:]) + content[cut:])
        else:
            client.command('DATA')
            client.send(content[:cut])
            client.send(content[cut:] + b'.\r\n')
        return client.reply()


def fields(checks, lab, backend):
    jobs_of_fields = list(itertools.product(hidden_fields(), (True, False), (False, True),
                                            (0, 21, 23, 30)))
    backend.accepted.clear()
    with labs.Gate(lab, config_of(lab)):
        smtp.await_backend(lab)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda job: hide(lab, job), jobs_of_fields))
    odd = [(job, reply) for job, reply in zip(jobs_of_fields, replies)
           if reply != REFUSED and not reply.startswith('250')]
    checks.that(f'{len(replies)} hidden fields: refused or taken', not odd, odd[:3])
    contents = [message[2] for message in backend.accepted]
    checks.equal('as many messages as were taken', len(contents),
                 sum(reply.startswith('250') for reply in replies))
    found = [content for content in contents if re.search(
        rb'(?:^|[\r\n])\0*' + re.escape(STAMP), content.partition(b'\r\n\r\n')[0], re.I)]
    checks.that('no hidden field in the backend', contents and not found, found[:3])


def postfix(checks, lab, variant):
    lab.run('backend', 'postconf', '-c', lab.path('lab/postfix'), '-e',
            'smtpd_forbid_bare_newline = no')
    lab.command('backend', 'postfix')
    checks.that('LF.LF fools it without the gate', without_gate(lab, b'\n.\n') == 4)
    control = lab.await_mail(2)
    checks.that('and a smuggled message is in the mailbox',
                any(b'Return-Path: <smuggled@evil.test>' in mail for mail in control))
    work = list(jobs(variant))
    attack(checks, lab, work)
    lab.run('backend', 'postqueue', '-c', lab.path('lab/postfix'), '-f')
    labs.wait_for('Postfix has delivered', lambda: 'is empty' in lab.run(
        'backend', 'postqueue', '-c', lab.path('lab/postfix'), '-p')[1], 60)
    mails = [mail for mail in lab.mailbox() if mail not in control]
    judge(checks, work, [mail.split(b'\n', 1)[0] for mail in mails],
          [from_start(mail.replace(b'\n', b'\r\n')) for mail in mails])


def with_haraka(checks, lab, variant):
    with haraka.Haraka(lab) as backend:
        for end in (b'\n.\r\n', b'\r\r\n.\r\n', b'\n\n.\r\n'):
            checks.that(f'{end!r} fools it without the gate', without_gate(lab, end) == 4)
        checks.equal('two messages of each', len(backend.messages()), 6)
        backend.forget()
        work = list(jobs(variant))
        attack(checks, lab, work)
        messages = backend.messages()
    # It takes a line's first dot away only where a second one follows.
    judge(checks, work, [sender for sender, _ in messages],
          [from_start(content) for _, content in messages],
          lambda text: re.sub(rb'^\.', b'', text, flags=re.M))


def test(checks):
    variant = sys.argv[1] if len(sys.argv) > 1 else 'literal'
    play = {'postfix': postfix, 'haraka': with_haraka, 'haraka-everything': with_haraka}
    with labs.Lab() as lab:
        lab.command('backend', 'none')
        play.get(variant, literal)(checks, lab, variant)


if __name__ == '__main__':
    labs.run(test)
