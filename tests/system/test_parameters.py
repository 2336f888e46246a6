#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
#
# What a connector's limits do on the wire: each at its smallest value, at its default where the
# section does not have it, and at its largest where a client can reach it; what is just within the
# limit is taken, the next is refused in the words of the connector reference, and a limit is not
# crossed by what does not count (a chunk's size, a field of the body, another session). One
# connector for each on a port of its own, a literal client, and a backend that says what it got.
import itertools
import time

import lab as labs
import smtp

TOO_LARGE = '552 5.3.4 Message size exceeds fixed maximum message size'
HEADER_TOO_LARGE = '552 5.3.4 Header size exceeds fixed maximum size'
LOOP = '554 5.4.6 Hop count exceeded - possible mail loop'
TOO_MANY = '452 4.5.3 Too many recipients'
RATE = '421 4.4.2 Message submission rate for this client has exceeded the configured limit'
UNKNOWN = '500 5.3.3 Unrecognized command'
SENDER, RECIPIENT = 'a@sender.test', 'b@accepted.test'
FQDN = 'mx.example.com'
TAKEN = '250 2.0.0 Ok: queued'
SERVERS_SIZE = 1 << 32  # the servers' own limit, above that of every connector but one


def of_size(octets):
    """A message of so many octets, a small header among them."""
    start = b'Subject: parameters\r\n\r\n'
    lines, rest = divmod(octets - len(start), 100)
    return start + (b'x' * 98 + b'\r\n') * (lines - 1) + b'x' * (98 + rest) + b'\r\n'


def of_header(octets):
    """A message whose header, with the empty line, has so many octets."""
    lines, rest = divmod(octets - 2, 100)
    first = b'A: ' + b'x' * (95 + rest) + b'\r\n'
    return first + (b'A: ' + b'x' * 95 + b'\r\n') * (lines - 1) + b'\r\nbody\r\n'


def of_hops(count, by='other.test'):
    return b'Received: from c.test by %s; date\r\n' % by.encode() * count + \
        b'Subject: x\r\n\r\n' + b'Received: by other.test\r\n' * 3


# ---- One limit: (key, value or None) -> checks on a port of its own ------------------------------

def by_data(client, content):
    return client.message(SENDER, RECIPIENT, content)


def by_chunks(client, content):
    client.envelope(SENDER, RECIPIENT)
    half = len(content) // 2
    client.send(b'BDAT %d\r\n' % half + content[:half])
    if not (reply := client.reply()).startswith('250'):
        return reply
    client.send(b'BDAT %d LAST\r\n' % (len(content) - half) + content[half:])
    return client.reply()


def messages(within, beyond, refusal):
    """Both contents, by DATA and in chunks, in one session: a refused one leaves no trace."""
    def play(open_client):
        for send in (by_data, by_chunks):
            with open_client() as client:
                for content, want in ((within, TAKEN), (beyond, refusal), (within, TAKEN)):
                    yield f'{send.__name__} {len(content)} octets', send(client, content), want
    return play


def declared(octets):
    def play(open_client):
        with open_client() as client:
            for size, want in ((octets, '250 2.1.0 Sender OK'), (octets + 1, TOO_LARGE)):
                yield f'SIZE={size}', client.command(f'MAIL FROM:<{SENDER}> SIZE={size}'), want
                client.command('RSET')
    return play


def recipients(most):
    def play(open_client):
        with open_client() as client:
            for transaction in range(2):
                client.command(f'MAIL FROM:<{SENDER}>')
                client.send(b''.join(b'RCPT TO:<r%d@accepted.test>\r\n' % i
                                     for i in range(most + 2)))
                replies = [client.reply() for _ in range(most + 2)]
                yield (f'transaction {transaction}: {most} recipients', set(replies[:most]),
                       {'250 2.1.5 Ok'})
                yield 'the surplus', replies[most:], [TOO_MANY] * 2
                client.command('DATA')
                client.send(b'Subject: x\r\n\r\n.\r\n')
                yield 'the message goes on', client.reply(), TAKEN
    return play


def errors(most):
    def play(open_client):
        with open_client() as client:
            for i in range(most):
                yield f'error {i + 1}', client.command('JUNK'), UNKNOWN
            yield 'one more', client.command('JUNK')[:9], '421 4.7.0'
            yield 'then', client.reply(), ''
        with open_client() as client:
            yield 'another session', client.command('NOOP'), '250 2.0.0 OK'
    return play


def rate(most):
    def play(open_client):
        for i in range(most):
            with open_client() as client:
                yield f'message {i + 1}', client.command(f'MAIL FROM:<{SENDER}>'), \
                    '250 2.1.0 Sender OK'
        with open_client() as client:
            yield 'one more', client.command(f'MAIL FROM:<{SENDER}>'), RATE
            yield 'then', client.reply(), ''
    return play


def waits(seconds, line):
    """The reply to the line takes so long, and its like before it took no time to speak of."""
    def play(open_client):
        with open_client() as client:
            client.command(f'MAIL FROM:<{SENDER}>')
            start = time.monotonic()
            reply = client.command(line)
            took = time.monotonic() - start
            yield f'{reply[:3]} after {seconds} s', took >= seconds, True
    return play


def silence(seconds, want):
    def play(open_client):
        start = time.monotonic() # the gate counts from before the client reads its last reply
        with open_client() as client:
            yield 'a silent client', client.reply(), want
            yield f'after {seconds} s, not before', time.monotonic() - start >= seconds, True
            yield 'then', client.reply(), ''
    return play


def long_talk(seconds, want):
    def play(open_client):
        start = time.monotonic()
        with open_client() as client:
            while (reply := client.command('NOOP')) == '250 2.0.0 OK':
                time.sleep(0.1)
            yield 'a client that talks', reply, want
            yield f'after {seconds} s, not before', time.monotonic() - start >= seconds, True
    return play


def alternates(backend):
    """ORAR= goes on to a server that has XORAR, if its address may be a recipient."""
    rcpt = f'RCPT TO:<{RECIPIENT}>'

    def play(open_client):
        with open_client() as client:
            yield 'EHLO offers XORAR', client.greet().endswith('250 XORAR'), True
            client.command(f'MAIL FROM:<{SENDER}>')
            for address, want in (('rfc822;c@foreign.test', '550 5.7.1 Unable to relay'),
                                  ('c@accepted.test', '501 5.5.4 Invalid arguments'),
                                  ('rfc822;c', '501 5.1.3 Invalid address'),
                                  ('rfc822;c+2Bd@accepted.test', '250 2.1.5 Ok')):
                yield f'ORAR={address}', client.command(f'{rcpt} ORAR={address}'), want
            client.command('DATA')
            client.send(of_size(1000) + b'.\r\n')
            yield 'the message', client.reply(), TAKEN
            yield 'what the server got', backend.accepted[-1][1], \
                (f'TO:<{RECIPIENT}> ORAR=rfc822;c+2Bd@accepted.test',)
    return play


def no_alternates(open_client):
    with open_client() as client:
        yield 'no XORAR', 'XORAR' in client.greet(), False
        client.command(f'MAIL FROM:<{SENDER}>')
        yield ('ORAR=', client.command(f'RCPT TO:<{RECIPIENT}> ORAR=rfc822;{RECIPIENT}'),
               '555 5.5.4 Unsupported parameter')


ROWS = (
    ({'MaxMessageSize': '64KB'}, messages(of_size(65536), of_size(65537), TOO_LARGE)),
    ({'MaxMessageSize': '64KB'}, declared(65536)),
    ({}, declared(36 << 20)),
    ({'MaxMessageSize': '2147483647'}, declared(2147483647)),
    ({'MaxMessageSize': 'unlimited'}, declared(SERVERS_SIZE)),
    # A header without fields has two octets.
    ({'MaxHeaderSize': '2B'}, messages(b'\r\nbody\r\n', b'A:\r\n\r\n', HEADER_TOO_LARGE)),
    ({'MaxHeaderSize': '1000'}, messages(of_header(1000), of_header(1001), HEADER_TOO_LARGE)),
    ({}, messages(of_header(262144), of_header(262145), HEADER_TOO_LARGE)),
    ({'MaxHopCount': '1'}, messages(of_hops(1), of_hops(2), LOOP)),
    ({}, messages(of_hops(60), of_hops(61), LOOP)),
    ({'MaxHopCount': '500'}, messages(of_hops(500), of_hops(501), LOOP)),
    ({'MaxLocalHopCount': '1'}, messages(of_hops(1, FQDN), of_hops(2, FQDN), LOOP)),
    ({}, messages(of_hops(5, FQDN), of_hops(6, FQDN), LOOP)),
    ({'MaxLocalHopCount': '50'}, messages(of_hops(50, FQDN), of_hops(51, FQDN), LOOP)),
    # 0: as many as may be
    ({'MaxLocalHopCount': '0'}, messages(of_hops(60, FQDN), of_hops(61, FQDN), LOOP)),
    ({'MaxRecipientsPerMessage': '1'}, recipients(1)),
    ({}, recipients(200)),
    ({'MaxProtocolErrors': '0'}, errors(0)),
    ({'MaxProtocolErrors': '1'}, errors(1)),
    ({}, errors(5)),
    ({'MessageRateLimit': '1'}, rate(1)),
    ({'MessageRateLimit': '3'}, rate(3)),
    ({'TarpitInterval': '1s'}, waits(1, 'RCPT TO:<a@foreign.test>')),
    ({'ConnectionInactivityTimeout': '1s'},
     silence(1, '451 4.7.0 Timeout waiting for client input')),
    ({'ConnectionTimeout': '2s', 'ConnectionInactivityTimeout': '1s'},
     long_talk(2, '421 4.4.1 Connection timed out')),
    ({}, no_alternates),
)
PORTS = itertools.count(2600)


def connector(values):
    port = next(PORTS)
    return port, {'Bindings': f'192.0.2.10:{port}', 'RemoteIPRanges': '192.0.2.20',
                  'PermissionGroups': 'AnonymousUsers', 'TarpitInterval': '0s',
                  'Backend': 'cluster', **values}


def test(checks):
    with labs.Lab() as lab:
        lab.command('backend', 'none')
        config = lab.config()
        table = []
        backend = smtp.Backend(lab)
        backend.size, backend.keywords = SERVERS_SIZE, ('XORAR',)
        for values, play in (*ROWS, ({'OrarEnabled': 'yes'}, alternates(backend))):
            port, section = connector(values)
            config[f'connector parameter {port}'] = section
            table.append((port, values, play))
        with backend, labs.Gate(lab, config) as gate:
            smtp.await_backend(lab)
            for port, values, play in table:
                def open_client(port=port):
                    client = smtp.Client(lab, 'app', port=port)
                    client.greet()
                    return client
                name = ', '.join(f'{key} = {value}' for key, value in values.items()) or 'default'
                for what, got, want in play(open_client):
                    if isinstance(want, str) and want.startswith(TAKEN):
                        got = got[:len(TAKEN)]
                    checks.equal(f'{name}: {what}', got, want)
            checks.equal('the gate stops in good order', gate.stop(), 0)


if __name__ == '__main__':
    labs.run(test)
