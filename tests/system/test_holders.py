#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
#
# Clients that take all connections of a real Postfix by a message each, of which an octet comes now
# and then, by DATA and by BDAT, over IPv4 and IPv6; and one on a slow line, at 10 KB a second, whose
# message is long. Who comes then has his mail accepted as soon as the slow ones have been slow for
# ten seconds, at the price of one of them for each mail that waited; those read 421, nothing of
# theirs reaches the mailbox, and the one on the slow line delivers his message octet by octet.
import concurrent.futures
import threading

import lab as labs
import smtp

SENDER, RECIPIENT = 'a@sender.test', 'b@accepted.test'
EVICTED = '421 4.3.2 Service not available, closing transmission channel'
ATTACKERS = [(host, family, verb) for host in ('host', 'remote') for family in (4, 6)
             for verb in ('DATA', 'BDAT 100000 LAST')]
WAITING = 2      # mails that come when no connection is left
SLOW_LINE = 1000 # octets, ten times a second
LINES = b'The quick brown fox jumps over the lazy dog, again and again.\r\n' * 2500


def begin(lab, host, family, verb):
    """A client that has a connection to the server, and may begin its message."""
    client = smtp.Client(lab, host, family, seconds=60)
    client.greet()
    client.envelope(SENDER, RECIPIENT)
    if verb == 'DATA':
        client.command(verb)
    else:
        client.send(verb.encode() + b'\r\n')
    return client


class Pace:
    """A thread that sends for clients: the attackers' octets, and what the slow line carries."""

    def __init__(self, attackers, honest):
        self.attackers, self.honest = attackers, honest
        self.text = b'Subject: long\r\n\r\n' + LINES
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def run(self):
        turn, sent = 0, 0
        while not self.over.wait(0.1):
            self.honest.send(self.text[sent:sent + SLOW_LINE])
            sent = min(sent + SLOW_LINE, len(self.text))
            turn += 1
            for attacker in self.attackers if turn % 10 == 0 else ():
                try:
                    attacker.send(b'x')
                except OSError:
                    pass # evicted, and LingerTimeout is over
        self.honest.send(self.text[sent:] + b'.\r\n')


def deliver(lab, number):
    """An ordinary mail: its decisive reply."""
    with smtp.Client(lab, 'app', (4, 6)[number % 2], seconds=60) as client:
        client.greet()
        reply = client.message(SENDER, RECIPIENT, b'Subject: mail %d\r\n\r\ntext\r\n' % number)
        client.quit()
    return reply


def end_of(attacker):
    """What an attacker has heard; '' if nothing."""
    attacker.socket.settimeout(0.2)
    try:
        return attacker.reply()
    except TimeoutError:
        return ''


def evictions(gate):
    return gate.at_rest('the evictions', lambda: gate.reason('slow_sender_evicted'))


def test(checks):
    with labs.Lab() as lab:
        config = lab.config()
        config['backend cluster'].update(Servers=f'{labs.SERVERS[4]}:25', WaitTimeout='2m',
                                         MaxConnections=str(len(ATTACKERS) + 1))
        with labs.Gate(lab, config) as gate:
            smtp.await_backend(lab)
            honest = begin(lab, 'app', 4, 'DATA')
            attackers = [begin(lab, *attacker) for attacker in ATTACKERS]
            for attacker in attackers:
                attacker.send(b'X-Slow: yes\r\n\r\n')
            with Pace(attackers, honest), concurrent.futures.ThreadPoolExecutor(WAITING) as pool:
                for reply in pool.map(lambda number: deliver(lab, number), range(WAITING)):
                    checks.starts('a mail that had to wait', reply, '250')
                evicted = evictions(gate)
                checks.that('at the price of one for each, at most', 1 <= evicted <= WAITING,
                            evicted)
                for number in range(WAITING, WAITING + 5):
                    checks.starts('a mail after it', deliver(lab, number), '250')
                checks.equal('at no price any more', evictions(gate), evicted)
            honest.socket.settimeout(60)
            checks.starts('the slow line', honest.reply(), '250')
            replies = [reply for reply in map(end_of, attackers) if reply]
            checks.equal('what the evicted read', replies, [EVICTED] * evicted)
            checks.equal('each is in the log', gate.records().count('slow_sender_evicted'), evicted)
            mails = lab.await_mail(WAITING + 6)
            checks.equal('mails in the mailbox', len(mails), WAITING + 6)
            checks.equal('and nothing of the attackers',
                         sum(b'X-Slow' in mail for mail in mails), 0)
            checks.that('all that came by the slow line', any(
                mail.endswith(b'Subject: long\n\n' + LINES.replace(b'\r\n', b'\n'))
                for mail in mails), [len(mail) for mail in mails])
            for client in attackers + [honest]:
                client.close()


if __name__ == '__main__':
    labs.run(test)
