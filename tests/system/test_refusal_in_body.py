#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 3000
# variants: clean client-loss
# long: clean client-loss
#
# A client in the middle of a body of 25 MB reads why it is refused, a hundred times of a hundred:
# a bare LF (521, at once, while it sends), a message above the limit, and a backend that is lost
# (both after its end). On a clean wire and with 3 % loss on the client's side in both directions.
# None of these messages reaches the backend.
import concurrent.futures
import sys
import threading

import lab as labs
import smtp

RUNS = 100
AT_ONCE = 20
BODY_BYTES = 25 << 20
LIMIT = '20MB'
SENDER, RECIPIENT = 'a@sender.test', 'b@accepted.test'
HEADER = b'Subject: 25 MB\r\n\r\n'
LINE = b'0123456789' * 7 + b'\r\n'
BLOCK = LINE * 1000
BLOCKS = BODY_BYTES // len(BLOCK)


def bare_lf():
    yield HEADER
    for number in range(BLOCKS):
        yield BLOCK if number != BLOCKS // 2 else BLOCK.replace(b'9\r\n', b'9\n', 1)
    yield b'.\r\n'


def whole():
    yield HEADER
    for _ in range(BLOCKS):
        yield BLOCK
    yield b'.\r\n'


def with_loss_of_backend(all_sending):
    """The backend's process dies when a quarter of every session's body is on its way."""
    yield HEADER
    for number in range(BLOCKS):
        if number == BLOCKS // 4:
            all_sending.wait(300)
        yield BLOCK
    yield b'.\r\n'


def refused(lab, family, host, blocks):
    """The reply to a message, read as a client does that looks up between its writes; and what
    came after it."""
    with smtp.Client(lab, host, family, seconds=120) as client:
        client.greet()
        reply = client.envelope(SENDER, RECIPIENT)
        if not reply.startswith('250'):
            return f'at RCPT: {reply}', ''
        reply = client.command('DATA')
        if not reply.startswith('354'):
            return f'at DATA: {reply}', ''
        try:
            client.send_until_reply(blocks)
            reply = client.reply()
            after = '' if reply.startswith('521') else client.quit()
        except (OSError, threading.BrokenBarrierError) as error:
            return f'{type(error).__name__}: {error}', ''
        return reply, after


def hundred(checks, label, want, run):
    """RUNS sessions, AT_ONCE at once: every one must read the reply."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(run, range(RUNS)))
    wrong = [result for result in results if not result[0].startswith(want)]
    checks.that(f'{label}: {RUNS} of {RUNS} read {want}', not wrong,
                f'{len(wrong)} did not: {wrong[:3]}')


def lose_backends(checks, lab, backend):
    """The backend dies under AT_ONCE sessions, and comes back for the next ones."""
    results = []
    for _ in range(RUNS // AT_ONCE):
        smtp.await_backend(lab)
        all_sending = threading.Barrier(AT_ONCE, backend.die)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            results += pool.map(lambda n: refused(lab, labs.FAMILIES[n % 2], 'app',
                                                  with_loss_of_backend(all_sending)),
                                range(AT_ONCE))
        backend.start()
    wrong = [result for result in results
             if not result[0].startswith('451') or not result[1].startswith('221')]
    checks.that(f'backend lost: {RUNS} of {RUNS} read 451, and 221 to QUIT', not wrong,
                f'{len(wrong)} did not: {wrong[:3]}')


def test(checks):
    variant = sys.argv[1] if len(sys.argv) > 1 else 'clean'
    with labs.Lab() as lab:
        lab.command('backend', 'none')
        config = lab.config()
        config['connector Submission']['MaxMessageSize'] = LIMIT
        config['backend cluster']['ProbeInterval'] = '1s'
        with smtp.Backend(lab) as backend, labs.Gate(lab, config) as gate:
            smtp.await_backend(lab)
            if variant == 'client-loss':
                lab.loss('client', 3)
            hundred(checks, 'bare LF', '521 5.5.2',
                    lambda n: refused(lab, labs.FAMILIES[n % 2], 'app', bare_lf()))
            hundred(checks, 'above the limit', '552 5.3.4 Message size',
                    lambda n: refused(lab, labs.FAMILIES[n % 2], 'host', whole()))
            lose_backends(checks, lab, backend)
            checks.equal('messages whose end the backend saw', len(backend.seen), 0)
            counters = gate.connectors_at_rest()
            checks.equal('sessions closed for a bad line ending',
                         counters['Anonymous Relay']['bad_line_endings'], RUNS)
            checks.equal('messages refused for their size',
                         counters['Submission']['messages_refused'], RUNS)
            checks.equal('messages deferred', counters['Anonymous Relay']['messages_deferred'],
                         RUNS)


if __name__ == '__main__':
    labs.run(test)
