#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# workers: af_xdp
#
# A backend that dies before MAIL, in MAIL, in RCPT, in the middle of a body, or after the final
# dot but before its reply, by FIN and by RST, over IPv4 and IPv6: the client reads a 4xx, nothing
# that was answered 250 is lost, and the next message goes through once the backend is back.
# And a client that dies in the middle of a body: the backend never gets that message. Over IPv4 the
# body goes in chunks, over IPv6 by DATA.
import itertools
import re

import lab as labs
import smtp

SENDER, RECIPIENT = 'a@sender.test', 'b@accepted.test'


def content(number):
    line = b'The quick brown fox jumps over the lazy dog, again and again.\r\n'
    return b'X-Number: %d\r\n\r\n' % number + line * 5000


def numbers(messages):
    """Which of ours they are. The gate's Received header stands before X-Number."""
    return [int(re.search(rb'^X-Number: (\d+)\r\n', message, re.M).group(1))
            for _, _, message in messages]


class Story:
    """Messages by number, and which of them the client was told are safe."""

    def __init__(self, checks, lab, backend, family):
        self.checks, self.lab, self.backend, self.family = checks, lab, backend, family
        self.number = 0
        self.promised = []

    def send(self):
        """A new session with one message: its decisive reply."""
        self.number += 1
        with smtp.Client(self.lab, 'app', self.family) as client:
            client.greet()
            reply = client.message(SENDER, RECIPIENT, content(self.number))
            if reply.startswith('250'):
                self.promised.append(self.number)
            client.quit()
        return reply

    def send_until_accepted(self):
        labs.wait_for('mail passes again', lambda: self.send().startswith('250'), 40)

    def backend_dies(self, point, abrupt):
        label = f"{point}, {'RST' if abrupt else 'FIN'}, IPv{self.family}"
        self.checks.starts(f'{label}: a message before it', self.send(), '250')
        self.number += 1
        with smtp.Client(self.lab, 'app', self.family) as client:
            client.greet()
            self.backend.die_at, self.backend.abrupt = point, abrupt
            if point == 'before MAIL':
                self.backend.die()
            reply = client.message(SENDER, RECIPIENT, content(self.number))
            self.checks.that(f'{label}: the client reads a 4xx', reply[:1] == '4', repr(reply))
            # The session lives on and says the same again, or says goodbye in good order.
            self.checks.starts(f'{label}: the session goes on', client.command('RSET'), '250')
            self.checks.starts(f'{label}: to its end', client.quit(), '221')
        self.backend.start()
        self.send_until_accepted()
        with self.backend.lock:  # which it holds from its 250 until it has noted the message
            there = numbers(self.backend.accepted)
        self.checks.that(f'{label}: all that was answered 250 is there',
                         set(self.promised) <= set(there), f'{self.promised} for {there}')

    def client_dies(self, abrupt):
        label = f"client killed in a body by {'RST' if abrupt else 'FIN'}, IPv{self.family}"
        self.number += 1
        abandoned = self.number
        client = smtp.Client(self.lab, 'app', self.family)
        client.greet()
        self.checks.starts(f'{label}: accepted up to RCPT',
                           client.envelope(SENDER, RECIPIENT), '250')
        self.checks.starts(f'{label}: and DATA', client.command('DATA'), '354')
        client.send(smtp.stuffed(content(abandoned))[:150000])
        if abrupt:
            client.reset()
        else:
            client.close()
        self.send_until_accepted()
        self.checks.that(f'{label}: the backend never gets the message',
                         abandoned not in numbers(self.backend.seen),
                         numbers(self.backend.seen))


def counters_at_rest(gate):
    return gate.connectors_at_rest()['Anonymous Relay']


def test(checks):
    with labs.Lab() as lab:
        lab.command('backend', 'none')
        for family in labs.FAMILIES:
            config = lab.config()
            server = labs.SERVERS[family]
            config['backend cluster']['Servers'] = f'[{server}]:25' if family == 6 \
                else f'{server}:25'
            config['backend cluster']['ProbeInterval'] = '1s'
            with smtp.Backend(lab, (family,)) as backend, labs.Gate(lab, config) as gate:
                backend.chunking = family == 4
                smtp.await_backend(lab, family=family)
                # The gate before this one has left its counts to it.
                counted = counters_at_rest(gate)['messages']
                story = Story(checks, lab, backend, family)
                for point, abrupt in itertools.product(backend.POINTS, (False, True)):
                    story.backend_dies(point, abrupt)
                aborted = counters_at_rest(gate)['messages_aborted']
                for abrupt in (False, True):
                    story.client_dies(abrupt)
                relay = counters_at_rest(gate)
                checks.equal(f'IPv{family}: messages counted', relay['messages'] - counted,
                             len(story.promised))
                checks.that(f'IPv{family}: both abandoned messages are counted',
                            relay['messages_aborted'] - aborted == 2, relay)


if __name__ == '__main__':
    labs.run(test)
