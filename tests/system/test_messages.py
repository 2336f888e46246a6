#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 900
# variants: clean client-loss backend-loss
# long: client-loss backend-loss
# workers: af_xdp
#
# Two hundred messages reach Postfix byte by byte behind the Received field and the stamps of the gate:
# 180 of 0 bytes to 256 KB, 18 of 1 to 5 MB, 2 of 25 MB; lone dots and lines that begin with dots,
# also where buffers and segments end; 8-bit text; lines of 998 bytes. By DATA and by BDAT on either
# side. On a clean wire, and with 3 % of the frames lost on the client's or on the backend's side, in
# both directions.
import concurrent.futures
import random
import re
import sys

import lab as labs
import smtp

LOSS_PERCENT = 3
SESSIONS = 8
SEGMENT = 1460
STAMPS = (b'X-MS-Exchange-Organization-AuthAs: Anonymous\n'
          b'X-MS-Exchange-Organization-AuthSource: mx.example.com\n')
EDGES = (SEGMENT, 1440, 1448, 1428, 2048, 4096, 8192, 16384, 65536, 131072)


def text_line(source, length, eight_bit):
    letters = bytes(range(33, 127)) + (bytes(range(160, 256)) if eight_bit else b'')
    return bytes(source.choices(letters, k=length))


def body(source, size, kind):
    """size octets of CR LF lines (0 is nothing at all)."""
    parts, left = [], size
    while left > 0:
        length = 996 if kind == 'long' else source.randint(0, 200)
        line = text_line(source, length, kind == '8bit')
        if kind == 'dots':
            line = source.choice((b'.', b'..', b'.' + line, b'.\t', line))
        line = (line + b'\r\n')[-left:] if left > 1 else b'\n'
        parts.append(line)
        left -= len(line)
    content = b''.join(parts)
    # Whatever the cut did at the end, lines end with CR LF.
    return content[:-2] + b'\r\n' if size >= 2 else b''


def dots_at_edges(content):
    """A line of one dot around every place where some buffer may end (data begins anew there)."""
    content = bytearray(content)
    for edge in EDGES:
        for shift in range(-4, 5, 3):
            at = edge + shift
            if 2 <= at and at + 3 <= len(content):
                content[at - 2:at + 3] = b'\r\n.\r\n'
    # The writing may have torn a CR LF in two: mend what it left.
    return re.sub(rb'\r(?!\n)|(?<!\r)\n', b'x', bytes(content))


def messages():
    """(number, sender, content) of each message; contents begin with a header that Postfix keeps."""
    source = random.Random(25)
    sizes = [0, 1, 2, 3] + [source.randint(0, 256 * 1024) for _ in range(176)]
    sizes += [source.randint(1 << 20, 5 << 20) for _ in range(18)] + [25 << 20] * 2
    kinds = ('plain', 'dots', '8bit', 'long')
    for number, size in enumerate(sizes):
        kind = kinds[number % len(kinds)]
        content = body(source, size, kind)
        if kind == 'dots':
            content = dots_at_edges(content)
        header = f'From: <a@sender.test>\r\nX-Number: {number}\r\n\r\n'.encode()
        yield number, kind, header + content


def by_data(client, content):
    reply = client.command('DATA')
    if reply.startswith('354'):
        client.send(smtp.stuffed(content) + b'.\r\n')
        reply = client.reply()
    return reply


def by_chunks(client, number, content):
    """In up to four pieces, the last perhaps empty; none of them waited for."""
    source = random.Random(number)
    cuts = sorted(source.choices(range(len(content) + 1), k=source.randrange(4)))
    edges = list(zip([0] + cuts, cuts + [len(content)]))
    for start, end in edges:
        last = b' LAST' if end == len(content) and (start, end) == edges[-1] else b''
        client.send(b'BDAT %d%s\r\n' % (end - start, last) + content[start:end])
    replies = [client.reply() for _ in edges]
    return next((reply for reply in replies if not reply.startswith('250')), replies[-1])


def send(lab, family, batch):
    """One session: {number: reply to the message}."""
    replies = {}
    with smtp.Client(lab, 'app', family, seconds=300) as client:
        client.greet()
        for number, kind, content in batch:
            parameters = ' BODY=8BITMIME' if kind == '8bit' else ''
            reply = client.command(f'MAIL FROM:<a@sender.test>{parameters}')
            if reply.startswith('250'):
                reply = client.command(f'RCPT TO:<m{number}@accepted.test>')
            if reply.startswith('250'):
                reply = by_chunks(client, number, content) if number % 3 == 2 else \
                    by_data(client, content)
            replies[number] = reply
        client.quit()
    return replies


def as_sent(mail):
    """(number, what the client sent, whether the gate's own fields stood before it)."""
    number = int(re.search(rb'^Delivered-To: m(\d+)@accepted\.test$', mail, re.M).group(1))
    start = mail.index(b'\nFrom: <a@sender.test>\n') + 1
    received = re.findall(rb'^Received: (?:.|\n[ \t])*', mail[:start], re.M)
    ours = (len(received) == 2 and b'by mx.example.com' in received[1]
            and mail[:start].endswith(received[1] + b'\n' + STAMPS))
    return number, mail[start:].replace(b'\n', b'\r\n'), ours


def test(checks):
    variant = sys.argv[1] if len(sys.argv) > 1 else 'clean'
    wanted = {number: (kind, content) for number, kind, content in messages()}
    with labs.Lab() as lab, labs.Gate(lab) as gate:
        smtp.await_backend(lab)
        if variant != 'clean':
            lab.loss(variant.split('-')[0], LOSS_PERCENT)
        batches = [[(n, *wanted[n]) for n in range(s, len(wanted), SESSIONS)]
                   for s in range(SESSIONS)]
        with concurrent.futures.ThreadPoolExecutor(SESSIONS) as pool:
            jobs = [pool.submit(send, lab, labs.FAMILIES[i % 2], batch)
                    for i, batch in enumerate(batches)]
            replies = {}
            for job in jobs:
                replies.update(job.result())
        bad = {n: reply for n, reply in replies.items() if not reply.startswith('250')}
        checks.equal('messages answered 250', len(replies) - len(bad), len(wanted))
        checks.that('no other answer', not bad, bad)

        lab.loss('client', 0)
        lab.loss('backend', 0)
        mails = lab.await_mail(len(wanted))
        checks.equal('messages in the mailbox', len(mails), len(wanted))
        seen = set()
        for mail in mails:
            number, content, received = as_sent(mail)
            kind, want = wanted[number]
            seen.add(number)
            if content != want or not received:
                at = next((i for i, (a, b) in enumerate(zip(content, want)) if a != b),
                          min(len(content), len(want)))
                checks.that(f'message {number} ({kind}, {len(want)} octets)', False,
                            f'{len(content)} octets, Received {received}, first difference at '
                            f'{at}: {content[at - 20:at + 20]!r} for {want[at - 20:at + 20]!r}')
        checks.equal('each message once and identical', seen, set(wanted))
        checks.that('the gate runs still', gate.alive())
        gate.stop()
        # What Postfix says of each connection when it ends: the gate's used one or the other.
        ended = re.findall(r'disconnect from \S+\[(?:10\.0\.0\.1|2001:db8:2::1)\] (.*)',
                           labs.read(lab.path('lab/maillog')).decode(errors='replace'))
        ended = [line for line in ended if ' mail=' in line]
        checks.that('some bodies went by BDAT', any(' bdat=' in line for line in ended), ended[:5])
        checks.that('some by DATA', any(' data=' in line for line in ended), ended[:5])
        checks.that('none by both', not any(' bdat=' in line and ' data=' in line for line in ended),
                    ended)


if __name__ == '__main__':
    labs.run(test)
