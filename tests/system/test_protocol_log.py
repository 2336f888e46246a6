#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
# workers: af_xdp
#
# The protocol log of a gate that runs as an ordinary user: one connector is Verbose, the others are
# not. A whole session line by line as a CSV reader sees it; swaks; the header; a reload; then a file system
# that is full: mail passes, the lines that are missing were counted, and with room again the log
# goes on. A start without a path, or with one that the user cannot write, is refused in one line.
import csv
import os
import re
import subprocess

import lab as labs
import smtp

SENDER, ACCEPTED, FOREIGN = 'a@sender.test', 'b@accepted.test', 'b@foreign.test'
FIELDS = ['date-time', 'connector-id', 'session-id', 'sequence-number', 'local-endpoint',
          'remote-endpoint', 'event', 'data', 'context']
USER = 'nobody'
TOKENS = ('SMTPSubmit SMTPAcceptAnySender SMTPAcceptAuthoritativeDomainSender '
          'AcceptRoutingHeaders')
# Of the session below: event, data (a pattern), context.
DIALOGUE = (
    ('+', '', ''),
    ('*', TOKENS, 'Set Session Permissions'),
    ('>', r'220 mx\.example\.com Microsoft ESMTP MAIL Service ready at .*', ''),
    ('<', r'HELO client\.example\.org', ''),
    ('>', r'250 mx\.example\.com Hello \[192\.0\.2\.30\]', ''),
    ('<', r'MAIL FROM:<"a, ""b"@sender\.test>', ''),
    ('*', '', 'smtp_bad_address'),
    ('*', r"Tarpit for '0\.00:00:00\.2500000'", ''),
    ('>', r'501 5\.1\.7 Invalid address', ''),
    ('<', r'MAIL FROM:<a@sender\.test>', ''),
    ('>', r'250 2\.1\.0 Sender OK', ''),
    ('<', r'RCPT TO:<b@foreign\.test>', ''),
    ('*', '', 'smtp_unable_to_relay'),
    ('*', r"Tarpit for '0\.00:00:00\.2500000'", ''),
    ('>', r'550 5\.7\.1 Unable to relay', ''),
    ('<', r'RCPT TO:<b@accepted\.test>', ''),
    ('>', r'250 .*', ''),
    ('<', 'DATA', ''),
    ('>', r'354 Start mail input; end with <CRLF>\.<CRLF>', ''),
    ('*', '23', 'Octets of the message'),
    ('>', r'250 2\.0\.0 Ok: (?:\d+ bytes )?queued as .*', ''),
    ('<', 'QUIT', ''),
    ('>', r'221 2\.0\.0 Service closing transmission channel', ''),
    ('-', '', 'Local'),
)


def config_of(lab, path):
    config = lab.config()
    config['gate'].update(User=USER, ReceiveProtocolLogPath=path)
    config['connector Submission'].update(ProtocolLoggingLevel='Verbose', TarpitInterval='250ms')
    return config


def files_of(path):
    """Names of the log's files, the oldest first."""
    found = [re.fullmatch(r'RECV(\d{8})-(\d+)\.log', name) for name in os.listdir(path)]
    found = [match for match in found if match]
    return [match[0] for match in sorted(found, key=lambda m: (m[1], int(m[2])))]


def rows_of(path):
    """The log's lines as lists of fields, without the header lines."""
    rows = []
    for name in files_of(path):
        text = labs.read(os.path.join(path, name)).decode()
        text = text[:text.rfind('\r\n') + 2] # the gate may be in the middle of a write
        assert '\n' not in text.replace('\r\n', ''), name
        rows += [row for row in csv.reader(text.split('\r\n')) if row and row[0][0] != '#']
    return rows


def session(path, end):
    """The rows of the session whose client had this endpoint, once its last one is there."""
    def whole():
        rows = [row for row in rows_of(path) if row[5] == end]
        return rows if rows and rows[-1][6] == '-' else None
    return labs.wait_for(f'the end of the session of {end}', whole)


def talk(lab):
    """The session of DIALOGUE; the client's endpoint."""
    with smtp.Client(lab, 'host') as client:
        end = '%s:%d' % client.socket.getsockname()
        client.command('HELO client.example.org')
        client.command('MAIL FROM:<"a, ""b"@sender.test>')
        client.command(f'MAIL FROM:<{SENDER}>')
        client.command(f'RCPT TO:<{FOREIGN}>')
        client.command(f'RCPT TO:<{ACCEPTED}>')
        client.command('DATA')
        client.send(b'Subject: secret\r\n\r\nNo\r\n.\r\n')
        client.reply()
        client.quit()
    return end


def line_by_line(checks, lab, path):
    rows = session(path, talk(lab))
    checks.equal('every line has all fields', {len(row) for row in rows}, {len(FIELDS)})
    checks.equal('lines are numbered', [row[3] for row in rows],
                 [str(i) for i in range(len(rows))])
    checks.equal('the connector is named as Exchange does', {row[1] for row in rows},
                 {'mx\\Submission'})
    checks.that('all are of one session', len({row[2] for row in rows}) == 1
                and re.fullmatch('[0-9A-F]{16}', rows[0][2]), rows[0][2])
    checks.equal('and one local end', {row[4] for row in rows}, {f'{labs.GATE[4]}:25'})
    times = [row[0] for row in rows]
    checks.that('times are UTC with milliseconds, in order', times == sorted(times) and all(
        re.fullmatch(r'20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', time) for time in times), times)
    checks.equal('as many lines as the dialogue has', len(rows), len(DIALOGUE))
    for (event, data, context), row in zip(DIALOGUE, rows):
        checks.that(f'{event} {data} {context}', row[6] == event and row[8] == context
                    and re.fullmatch(data, row[7]), row)
    checks.that('the id is that of Received', rows[0][2].encode() in lab.await_mail(1)[-1],
                rows[0][2])
    checks.that('no content is in the log', not any('secret' in field for row in rows
                                                    for field in row), rows)


def no_password(checks, lab, gate, path):
    """Nor in the log of refusals, though AUTH is one here."""
    before = len(rows_of(path))
    with smtp.Client(lab, 'host') as client:
        client.greet()
        checks.starts('AUTH is refused', client.command('AUTH PLAIN c2VjcmV0'), '500')
        client.quit()
    rows = labs.wait_for('its last line', lambda: [
        new for new in [rows_of(path)[before:]] if new and new[-1][6] == '-'])[0]
    rows = [row for row in rows if row[6] == '<' and row[7].startswith('AUTH')]
    log = labs.wait_for('and in the other one', lambda: [
        line for line in gate.records().splitlines() if 'AUTH PLAIN' in line])
    checks.that('neither has what follows', [row[7] for row in rows] == ['AUTH PLAIN']
                and 'c2VjcmV0' not in log[0], (rows, log))


def by_swaks(checks, lab, path):
    before = len(rows_of(path))
    code, said = lab.run('host', 'swaks', '--server', labs.GATE[4], '--from', SENDER, '--to',
                         ACCEPTED, '--helo', 'swaks.example.org')
    checks.equal('swaks delivers', code, 0)
    sent = [line[4:].strip() for line in said.splitlines() if line.startswith(' -> ')]
    rows = labs.wait_for('its last line', lambda: [
        new for new in [rows_of(path)[before:]] if new and new[-1][6] == '-'])[0]
    heard = [row[7] for row in rows if row[6] == '<']
    checks.that('each command that swaks says it sent is in the log',
                heard and [line for line in sent if line in heard] == heard, (sent, heard))
    checks.that('each line of EHLO is', len([row for row in rows if row[7][:4] == '250-']) > 3)


def reloaded(checks, lab, gate, path):
    """The rights that a session has from its next MAIL on stand before it."""
    config = config_of(lab, path)
    config['connector Submission']['ExtendedRights'] = (
        'anonymous: ms-Exch-SMTP-Accept-Any-Recipient')
    with smtp.Client(lab, 'host') as client:
        end = '%s:%d' % client.socket.getsockname()
        client.greet()
        with open(gate.file, 'w') as file:
            config.write(file)
        done = subprocess.run((labs.BINARY, 'reload', '-c', gate.file), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        checks.equal(f'reload: {done.stdout}', done.returncode, 0)
        for _ in range(2):
            checks.starts('the new rights count', client.envelope(SENDER, FOREIGN), '250')
            client.command('RSET')
        client.quit()
    rows = session(path, end)
    told = [number for number, row in enumerate(rows) if row[8] == 'Set Session Permissions']
    mails = [number for number, row in enumerate(rows) if row[7].startswith('MAIL')]
    checks.equal('rights are told at the beginning and once with the new file', len(told), 2)
    checks.that('before the MAIL that has them', told[-1] == mails[0] - 1, rows)
    checks.that('as they are then', 'SMTPAcceptAnyRecipient' not in rows[told[0]][7]
                and 'SMTPAcceptAnyRecipient' in rows[told[-1]][7], rows)
    with open(gate.file, 'w') as file:
        config_of(lab, path).write(file)
    subprocess.run((labs.BINARY, 'reload', '-c', gate.file), stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, check=True)


def header(checks, path):
    first = files_of(path)[0]
    lines = labs.read(os.path.join(path, first)).decode().split('\r\n')[:5]
    checks.equal('software, type and fields', [lines[0], lines[2], lines[4]],
                 ['#Software: relaygate', '#Log-Type: SMTP Receive Protocol Log',
                  '#Fields: ' + ','.join(FIELDS)])
    checks.that('version and date', re.fullmatch(r'#Version: [\d.]+', lines[1])
                and re.fullmatch(r'#Date: 20\d\d-\S+Z', lines[3]), lines)
    checks.equal('the file is the user\'s', os.stat(os.path.join(path, first)).st_uid,
                 os.stat(path).st_uid)
    checks.that('and not root\'s', os.stat(path).st_uid != 0)


def deliver(lab, host):
    with smtp.Client(lab, host) as client:
        client.greet()
        reply = client.message(SENDER, ACCEPTED, b'Subject: x\r\n\r\ny\r\n')
        client.quit()
    return reply


def none_beside(checks, lab, path):
    before = len(rows_of(path))
    checks.starts('a connector without a log delivers', deliver(lab, 'app'), '250')
    rows = session(path, talk(lab))
    checks.equal('and only the verbose one has lines', len(rows_of(path)) - before, len(rows))


def full(checks, lab, gate, path):
    ballast = os.path.join(path, 'ballast')
    missing = gate.reason('protocol_log_unwritten')
    with open(ballast, 'wb', buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            pass
    sent = 0
    before = len(rows_of(path))
    while gate.reason('protocol_log_unwritten') == missing and sent < 100:
        checks.starts('the file system is full and mail passes', deliver(lab, 'host'), '250')
        sent += 1
    checks.starts('and goes on to', deliver(lab, 'host'), '250')
    os.unlink(ballast)
    with smtp.Client(lab, 'host') as client:
        end = '%s:%d' % client.socket.getsockname()
        client.greet()
        client.message(SENDER, ACCEPTED, b'Subject: x\r\n\r\ny\r\n')
        client.quit()
    end_rows = session(path, end)
    # Lines are written, or counted, in their order: those before these are.
    lost = gate.at_rest('lines lost', lambda: gate.reason('protocol_log_unwritten')) - missing
    checks.that('lines were lost and counted', lost > 0)
    written = len(rows_of(path)) - before - len(end_rows)
    # All sessions since have as many lines as this one.
    checks.equal('with room again the log goes on, and what is missing is what was counted',
                 written + lost, (sent + 1) * len(end_rows))
    labs.wait_for('that is said', lambda: b'is written again' in labs.read(gate.log))
    said = labs.read(gate.log).decode()
    checks.that('it is said once', said.count('No space left on device') == 1
                and said.count('is written again') == 1, said[-1500:])


def refused(checks, lab):
    def start(config):
        with open(lab.path('refused.ini'), 'w') as file:
            config.write(file)
        return lab.run('gate', labs.BINARY, 'run', '-c', lab.path('refused.ini'))

    config = config_of(lab, lab.path('log'))
    del config['gate']['ReceiveProtocolLogPath']
    code, said = start(config)
    checks.that('Verbose without a path is refused by name', code == 1
                and '[gate] has no ReceiveProtocolLogPath' in said, said)
    os.mkdir(lab.path('of-root'), 0o700)
    code, said = start(config_of(lab, lab.path('of-root')))
    checks.that('a directory that the user cannot write, too', code == 1
                and 'of-root cannot be written by User' in said, said)


def rotation(checks, lab, path):
    config = config_of(lab, path)
    config['gate'].update(ReceiveProtocolLogMaxFileSize='4KB',
                          ReceiveProtocolLogMaxDirectorySize='20KB')
    with labs.Gate(lab, config):
        smtp.await_backend(lab)
        for _ in range(12):
            deliver(lab, 'host')
    sizes = [os.stat(os.path.join(path, name)).st_size for name in files_of(path)]
    checks.that('files and directory stay within their sizes', max(sizes) <= 4096
                and 12288 < sum(sizes) <= 20480, sizes)
    checks.that('the oldest went', not any(name.endswith('-1.log') for name in files_of(path)))
    checks.equal('after a stop in good order the last line is an end', rows_of(path)[-1][6], '-')
    checks.that('and whole', all(labs.read(os.path.join(path, name)).endswith(b'\r\n')
                                 for name in files_of(path)))


def test(checks):
    with labs.Lab() as lab:
        refused(checks, lab)
        mount = lab.path('mount')
        os.mkdir(mount)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', mount], check=True)
        try:
            path = os.path.join(mount, 'log')
            with labs.Gate(lab, config_of(lab, path)) as gate:
                smtp.await_backend(lab)
                checks.equal('no file before there is a line', files_of(path), [])
                line_by_line(checks, lab, path)
                header(checks, path)
                by_swaks(checks, lab, path)
                no_password(checks, lab, gate, path)
                none_beside(checks, lab, path)
                reloaded(checks, lab, gate, path)
                full(checks, lab, gate, path)
                checks.equal('no ring was full', gate.reason('protocol_log_full'), 0)
                checks.equal('the gate stops in good order', gate.stop(), 0)
            rotation(checks, lab, path)
        finally:
            subprocess.run(['umount', '--lazy', mount], check=True)


if __name__ == '__main__':
    labs.run(test)
