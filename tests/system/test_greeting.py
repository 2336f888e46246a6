#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
# variants: all dead
# long: dead
# workers: af_xdp
#
# Tests while a session begins. all: GreetDelay with real clients (swaks, smtplib) that wait,
# and bare sockets that do not; who is remembered; the protocol log and `explain` say it; then a
# name server of the test's own says who is listed, over IPv4 and IPv6, truncated, broken, forged,
# and not at all. dead: it says nothing ever, and mail flows. The gate runs as an ordinary user.
import ipaddress
import os
import re
import smtplib
import subprocess
import sys
import time

import dns
import lab as labs
import smtp

SENDER, ACCEPTED = 'a@sender.test', 'b@accepted.test'
SOURCE = {4: '192.0.2.30', 6: '2001:db8:1::30'}
REMOTE = {4: '198.51.100.20', 6: '2001:db8:9::20'}
DELAY = 1.5
PORT = 5300


def config_of(lab, connector, **gate):
    config = lab.config()
    config['gate'].update(User='nobody', **gate)
    config['connector Submission'].update(
        {'TarpitInterval': '0s', 'ProtocolLoggingLevel': 'Verbose', **connector})
    config['gate']['ReceiveProtocolLogPath'] = lab.path('log')
    return config


def add_list(config, name, **keys):
    config[f'dnsbl {name}'] = {'Zone': name, **keys}


def name_of(address, zone):
    pointer = ipaddress.ip_address(address).reverse_pointer
    return pointer.replace('.in-addr.arpa', '').replace('.ip6.arpa', '') + '.' + zone


# ---- Greeting --------------------------------------------------------------------------------

def first_words(lab, host, say=None, family=4):
    """All that a client hears that says something at once, or nothing; and when it began."""
    started = time.monotonic()
    with lab.connect(host, family) as sock:
        if say:
            sock.sendall(say)
        sock.settimeout(50)
        heard = b''
        while not re.search(rb'^\d\d\d .*\r\n', heard, re.M):
            piece = sock.recv(4096)
            if not piece:
                break
            heard += piece
        return heard.decode(), time.monotonic() - started


def good_clients(checks, lab, gate):
    for family in labs.FAMILIES:
        heard, seconds = first_words(lab, 'host', family=family)
        checks.that(f'IPv{family}: a first line at once, the greeting after the delay',
                    heard.startswith('220-') and '\r\n220 ' in heard
                    and DELAY <= seconds < DELAY + 5, (heard, seconds))
    started = time.monotonic()
    code, said = lab.run('host', 'swaks', '--server', labs.GATE[4], '--from', SENDER, '--to',
                         ACCEPTED)
    seconds = time.monotonic() - started
    checks.equal('swaks waits and delivers in the same session', code, 0)
    checks.that('after the delay', seconds >= DELAY, seconds)
    heard, seconds = first_words(lab, 'host')
    checks.that('and is remembered', heard.startswith('220 '), heard)
    with lab.inside('host'):
        with smtplib.SMTP(labs.GATE[6], 25, local_hostname='c.test', timeout=20) as client:
            client.sendmail(SENDER, ACCEPTED, 'Subject: x\r\n\r\ny\r\n')
    heard, _ = first_words(lab, 'host', family=6)
    checks.starts('so is smtplib over IPv6', heard, '220 ')
    checks.equal('nobody of them offended', [gate.reason('greet_early_talker'),
                                            gate.reason('greet_pipelining')], [0, 0])


def reload(checks, gate, config):
    with open(gate.file, 'w') as file:
        config.write(file)
    done = subprocess.run([labs.BINARY, 'reload', '-c', gate.file], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    checks.equal('the gate takes another delay', done.returncode, 0)


def early_talkers(checks, lab, gate, config):
    heard, seconds = first_words(lab, 'app', b'EHLO c.test\r\n')
    checks.that('a host of another connector does not wait', heard.startswith('220 '), heard)
    # He may have spoken before his greeting arrived, which is counted, whatever his connector does.
    before = gate.at_rest('it', lambda: gate.reason('greet_early_talker'))
    # Another source, which is not remembered. A wait of a minute, lest a slow machine look like it.
    config['connector Submission']['GreetDelay'] = '1m'
    reload(checks, gate, config)
    heard, seconds = first_words(lab, 'remote', b'EHLO c.test\r\n')
    checks.that('who talks early is closed at once', '521 5.5.1' in heard and seconds < 30,
                (heard, seconds))
    heard, seconds = first_words(lab, 'remote', b'EHLO c.test\r\n', family=6)
    checks.that('over IPv6, too', '521 5.5.1' in heard and seconds < 30, (heard, seconds))
    checks.equal('both are counted',
                 gate.at_rest('it', lambda: gate.reason('greet_early_talker')) - before, 2)
    with lab.connect('remote') as sock:
        sock.sendall(b'GET / HTTP/1.1\r\n')
        heard = sock.makefile('rb').read().decode()
    checks.that('another protocol is, too', '521' in heard, heard)
    config['connector Submission']['GreetDelay'] = '1500ms'
    reload(checks, gate, config)


def pipelining(checks, lab, gate):
    before = gate.reason('greet_pipelining')
    with smtp.Client(lab, 'host') as client:
        client.send(f'EHLO c.test\r\nMAIL FROM:<{SENDER}>\r\n'.encode())
        client.reply()
        client.reply()
        checks.starts('commands behind EHLO: recipients are refused',
                      client.command(f'RCPT TO:<{ACCEPTED}>'), '550 5.5.1')
    # Once when it was seen, once for the recipient.
    labs.wait_for('it is counted', lambda: gate.reason('greet_pipelining') == before + 2)
    with smtp.Client(lab, 'host') as client:
        client.greet()
        client.send(f'MAIL FROM:<{SENDER}>\r\nRCPT TO:<{ACCEPTED}>\r\nRSET\r\n'.encode())
        checks.equal('behind its reply a client may pipeline',
                     [client.reply()[:3] for _ in range(3)], ['250', '250', '250'])
    checks.equal('and is not counted', gate.reason('greet_pipelining'), before + 2)


def told(checks, lab, gate):
    def lines():
        text = ''
        for name in os.listdir(lab.path('log')):
            text += labs.read(os.path.join(lab.path('log'), name)).decode()
        return text
    labs.wait_for('the protocol log has both', lambda: 'greet_early_talker' in lines()
                  and 'greet_pipelining' in lines())
    checks.that('the protocol log shows both lines of the greeting', re.search(',>,"?220-', lines()))
    checks.that('`relaygate log` tells the early talker',
                'greet_early_talker [Submission] 521' in gate.records('--from', REMOTE[4]))
    code, said = lab.run('gate', labs.BINARY, 'explain', '-c', gate.file, '--from', REMOTE[4],
                         '--to', labs.GATE[4])
    checks.that('`explain` says what it would do', code == 0 and 'Greeting' in said
                and '1500ms' in said, said)


def greeting(checks, lab):
    config = config_of(lab, {'GreetDelay': '1500ms', 'EarlyTalkerAction': 'close',
                             'EarlyPipeliningAction': 'reject'})
    with labs.Gate(lab, config) as gate:
        smtp.await_backend(lab)
        good_clients(checks, lab, gate)
        early_talkers(checks, lab, gate, config)
        pipelining(checks, lab, gate)
        told(checks, lab, gate)
        checks.equal('the gate stops in good order', gate.stop(), 0)


# ---- DNS lists -------------------------------------------------------------------------------

def ask(lab, gate, host='host', family=4):
    """RCPT of a fresh session once the lists were asked and have said what they will."""
    with smtp.Client(lab, host, family) as client:
        client.greet()
        client.command(f'MAIL FROM:<{SENDER}>')

        # RCPT before the lists' answer is no failure of anybody: it is said again.
        def judged():
            late = gate.reason('dnsbl_late')
            reply = client.command(f'RCPT TO:<{ACCEPTED}>')
            return reply if gate.reason('dnsbl_late') == late else None
        return labs.wait_for('the lists have answered', judged)


def lists(checks, lab):
    config = config_of(lab, {'DnsblAction': 'reject', 'DnsblThreshold': '2'},
                       DnsServers=f'127.0.0.1:{PORT}', DnsTimeout='1s')
    ranges = config['connector Submission']['RemoteIPRanges']
    config['connector Submission']['RemoteIPRanges'] = f'{ranges}, 192.0.2.96/27'
    add_list(config, 'bad.test', Weight='2', Replies='127.0.0.2-127.0.0.4')
    add_list(config, 'poor.test')
    add_list(config, 'good.test', Weight='-3')
    with dns.Server(lab, port=PORT) as server, labs.Gate(lab, config) as gate:
        smtp.await_backend(lab)
        checks.equal('who is not listed delivers', ask(lab, gate)[:3], '250')
        asked = {name_of(SOURCE[4], zone) for zone in ('bad.test', 'poor.test', 'good.test')}
        checks.equal('each list was asked, once', sorted(server.asked), sorted(asked))
        verdicts(checks, lab, gate, server)
        oddities(checks, lab, gate, server)
        checks.equal('the gate stops in good order', gate.stop(), 0)


def verdicts(checks, lab, gate, server):
    server.names[name_of(SOURCE[6], 'bad.test')] = ['127.0.0.3']
    checks.equal('a listed IPv6 client reads which list has it', ask(lab, gate, family=6),
                 f'550 5.7.1 Client host [{SOURCE[6]}] is blocked using bad.test')
    code, said = lab.run('host', 'swaks', '--server', labs.GATE[6], '-6', '--from', SENDER,
                         '--to', ACCEPTED)
    checks.that('so does swaks', code != 0 and 'blocked using bad.test' in said, said)
    labs.wait_for('it is counted', lambda: gate.reason('dnsbl_listed') >= 2)
    server.names[name_of(REMOTE[4], 'bad.test')] = ['127.0.0.2']
    server.names[name_of(REMOTE[4], 'good.test')] = ['127.0.0.2']
    checks.starts('a list of good ones outweighs it', ask(lab, gate, 'remote'), '250')
    server.names[name_of(REMOTE[6], 'poor.test')] = ['127.0.0.2']
    server.names[name_of(REMOTE[6], 'bad.test')] = ['127.0.0.9']
    checks.starts('below the threshold, and a reply that is not among Replies',
                  ask(lab, gate, 'remote', 6), '250')


def oddities(checks, lab, gate, server):
    """From addresses of their own, since answers are remembered."""
    def truncated(query, tcp):
        return dns.answer(query, ['127.0.0.2']) if tcp else dns.answer(query, truncated=True)

    def garbage(query, tcp):
        return query[:2] + b'\x81\x80' + bytes(range(200))

    def forged(query, tcp):
        return dns.answer(bytes([query[0] ^ 1]) + query[1:], ['127.0.0.2'])

    rows = (
        ('truncated, then whole by TCP', truncated, '550', None),
        ('garbage', garbage, '250', 'dnsbl_timeout'),
        ('SERVFAIL', lambda query, tcp: dns.answer(query, code=dns.SERVFAIL), '250',
         'dnsbl_failed'),
        ('an answer with another id', forged, '250', 'dnsbl_timeout'),
        ('an answer that no list gives', lambda query, tcp: dns.answer(query, ['192.0.2.1']),
         '250', 'dnsbl_failed'),
        ('"do not ask me"', lambda query, tcp: dns.answer(query, ['127.255.255.254']), '250',
         'dnsbl_failed'),
        ('silence', lambda query, tcp: None, '250', 'dnsbl_timeout'),
    )
    for i, (what, behaviour, verdict, reason) in enumerate(rows):
        source = f'192.0.2.{100 + i}'
        lab.run('host', 'ip', 'address', 'add', f'{source}/24', 'dev', 'net0')
        lab.run('host', 'ip', 'route', 'replace', f'{labs.GATE[4]}/32', 'dev', 'net0', 'src',
                source)
        server.names[name_of(source, 'bad.test')] = behaviour
        before = gate.reasons()
        checks.starts(what, ask(lab, gate), verdict)
        if reason:
            labs.wait_for(f'{what} is counted as {reason}',
                          lambda: gate.reason(reason) > before.get(reason, 0))


# ---- No name server --------------------------------------------------------------------------

def dead(checks, lab):
    """Nobody answers, then nobody is even there."""
    for silent in (True, False):
        config = config_of(lab, {'DnsblAction': 'reject', 'GreetDelay': '100ms'},
                           DnsServers=f'127.0.0.1:{PORT}', DnsTimeout='500ms')
        add_list(config, 'bad.test')
        with dns.Server(lab, port=PORT if silent else PORT + 1) as server, \
                labs.Gate(lab, config) as gate:
            server.dead = True
            smtp.await_backend(lab)
            for family in labs.FAMILIES:
                with smtp.Client(lab, 'host', family) as client:
                    client.greet()
                    checks.starts(f'mail flows over IPv{family}', client.message(
                        SENDER, ACCEPTED, b'Subject: x\r\n\r\ny\r\n'), '250')
            reason = 'dnsbl_timeout' if silent else 'dnsbl_failed'
            labs.wait_for(reason, lambda: gate.reason(reason) >= 2)
            checks.equal('nobody was refused', gate.reason('dnsbl_listed'), 0)
            checks.equal('the gate stops in good order', gate.stop(), 0)


def test(checks):
    with labs.Lab() as lab:
        for part in (dead,) if sys.argv[1] == 'dead' else (greeting, lists):
            part(checks, lab)


if __name__ == '__main__':
    labs.run(test)
