#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# long: yes
#
# Linux TCP as the peer in unusual states, in both roles: half close, windows that stay closed for
# ten seconds, urgent data, keep-alives, options switched off one by one, ECN, fast open, small
# segments and buffers, a refused connection. And, written by hand because no kernel does it on
# demand: a simultaneous close, a simultaneous open, and SYNs with options that are not for us.
# (The interpreter is Debian's, which has scapy.)
import concurrent.futures
import json
import socket
import threading
import time

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

import lab as labs
import smtp

SENDER, RECIPIENT = 'a@sender.test', 'b@accepted.test'
RAW_CLIENT, RAW_SERVER = '192.0.2.25', '10.0.0.13'  # addresses that no kernel has
CLOSED_SECONDS = 10
TIMESTAMPS, SACK, SCALE, ECN, SYN_DATA = 1, 2, 4, 8, 32  # tcpi_options
SO_RCVBUFFORCE = 33  # Python has no name for it
SWITCHES = {'tcp_timestamps': 1, 'tcp_sack': 1, 'tcp_window_scaling': 1, 'tcp_ecn': 2}
# Name, switches that differ, what both connections must have agreed on.
AGREEMENTS = (
    ('all options', {}, TIMESTAMPS | SACK | SCALE),
    ('no timestamps', {'tcp_timestamps': 0}, SACK | SCALE),
    ('no SACK', {'tcp_sack': 0}, TIMESTAMPS | SCALE),
    ('no window scale', {'tcp_window_scaling': 0}, TIMESTAMPS | SACK),
    ('window scale alone', {'tcp_timestamps': 0, 'tcp_sack': 0}, SCALE),
    ('no options', {'tcp_timestamps': 0, 'tcp_sack': 0, 'tcp_window_scaling': 0}, 0),
    ('ECN asked for', {'tcp_ecn': 1}, TIMESTAMPS | SACK | SCALE),
)


def content(name, size):
    line = b'The quick brown fox jumps over the lazy dog, again and again.\r\n'
    return b'X-Name: %s\r\n\r\n' % name.encode() + line * (size // len(line))


def agreed(connection):
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[5]


def arrived(backend, message):
    with backend.lock:  # which it holds from its 250 until it has noted the message
        return any(seen.endswith(message) for _, _, seen in backend.accepted)


class Dialogue(smtp.Dialogue):
    """The recipient's name says what is unusual about the connection."""

    def wanted(self, name):
        return any(recipient.startswith(f'TO:<{name}') for recipient in self.recipients)

    def on_rcpt(self, rest):
        if 'urgent@' not in rest:
            return super().on_rcpt(rest)
        self.recipients.append(rest)
        self.connection.send(b'250 2.1.5 O')
        self.connection.send(b'k', socket.MSG_OOB)
        self.connection.send(b'\r\n')
        return False

    def on_data(self, rest):
        self.backend.agreed = agreed(self.connection)
        if self.wanted('asleep'):
            self.say('354 go on')
            self.awake = True
            time.sleep(CLOSED_SECONDS)
        if self.wanted('halfclose'):
            self.say('354 go on')
            self.file.read(20000)
            self.connection.shutdown(socket.SHUT_WR)
            self.backend.left_open = len(self.file.read())
            return True
        return super().on_data(rest)

    def say(self, line):
        if self.awake and line.startswith('354'):  # it was said before the sleep
            self.awake = False
            return
        super().say(line)

    def on_rset(self, rest):
        once = self.wanted('once')
        super().on_rset(rest)
        return once  # and FIN: no other message on this connection

    awake = False


class Wire:
    """Reads and writes frames of one host's interface, beside its kernel."""

    def __init__(self, lab, host):
        with lab.inside(host):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.socket.bind(('net0', 0))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.mac = ':'.join('%02x' % byte for byte in self.socket.getsockname()[4])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def frames(self, seconds):
        """Frames with IPv4 or ARP, either way, until a time has passed; those that wait here by then,
        too, however long it takes to read them."""
        end = time.monotonic() + seconds
        while True:
            self.socket.settimeout(max(0.0, end - time.monotonic()))
            try:
                frame = self.socket.recv(4096)
            except (TimeoutError, BlockingIOError):
                return
            if frame[12:14] in (b'\x08\x00', b'\x08\x06'):
                yield Ether(frame)

    def segments(self, seconds, **fields):
        """TCP segments whose addresses or ports are as given: src, dst, sport, dport."""
        for frame in self.frames(seconds):
            if TCP not in frame:
                continue
            seen = {'src': frame[IP].src, 'dst': frame[IP].dst, 'sport': frame[TCP].sport,
                    'dport': frame[TCP].dport}
            if all(seen[name] == value for name, value in fields.items()):
                yield frame

    def send(self, packet, to):
        self.socket.send(bytes(Ether(src=self.mac, dst=to) / packet))


def payload_of(frame):
    header = frame[IP].ihl * 4 + frame[TCP].dataofs * 4
    return bytes(frame[IP])[header:frame[IP].len]


class RawClient:
    """One connection from an address without a kernel, segment by segment."""

    def __init__(self, lab, mac, port, isn=4000000000):
        self.wire, self.mac, self.port = Wire(lab, 'app'), mac, port
        self.next, self.heard = isn, 0

    def send(self, flags, data=b'', options=(), sequence=None, acknowledge=None):
        segment = TCP(sport=self.port, dport=25, flags=flags, window=64000, options=list(options),
                      seq=self.next if sequence is None else sequence,
                      ack=self.heard if acknowledge is None else acknowledge)
        self.wire.send(IP(src=RAW_CLIENT, dst=labs.GATE[4]) / segment / data, self.mac)

    def receive(self, wanted=lambda frame: True, seconds=10.0):
        """The next segment for us that is as wanted, or None."""
        for frame in self.wire.segments(seconds, dst=RAW_CLIENT, dport=self.port):
            if wanted(frame):
                return frame
        return None

    def open(self, flags='S', options=(), data=b''):
        """The SYN-ACK, or None; its ACK is sent."""
        self.send(flags, data, options)
        answer = self.receive(lambda frame: 'S' in str(frame[TCP].flags))
        if answer is None:
            return None
        self.next, self.heard = self.next + 1 & 0xffffffff, answer[TCP].seq + 1 & 0xffffffff
        self.send('A')
        return answer

    def line(self):
        """One segment with payload, acknowledged."""
        frame = self.receive(payload_of)
        if frame is None:
            return b''
        data = payload_of(frame)
        self.heard = frame[TCP].seq + len(data) & 0xffffffff
        self.send('A')
        return data


def gate_mac(lab):
    return json.loads(lab.run('gate', 'ip', '-json', 'link', 'show', 'outside')[1])[0]['address']


# ---- Linux -----------------------------------------------------------------------------------

def client_window_closed(checks, lab, _backend):
    """So many answers that its buffer and ours are full, then ten seconds of nothing."""
    count = 40000
    with smtp.Client(lab, 'host') as client:
        client.greet()
        sender = threading.Thread(target=client.send, args=(b'NOOP\r\n' * count,), daemon=True)
        sender.start()
        time.sleep(CLOSED_SECONDS)
        answers = sum(client.reply() == '250 2.0.0 OK' for _ in range(count))
        sender.join(20)
        checks.equal('a client that reads nothing for 10 s gets every answer', answers, count)
        checks.starts('and goes on', client.quit(), '221')


def server_window_closed(checks, lab, backend):
    message = content('asleep', 3000000)
    with smtp.Client(lab, 'host') as client:
        client.greet()
        reply = client.message(SENDER, 'asleep@accepted.test', message)
        checks.starts('a server that reads nothing for 10 s in a body takes it', reply, '250')
    checks.that('and has it whole', arrived(backend, message))


def client_asks_for_life(checks, lab, _backend):
    with smtp.Client(lab, 'host') as client:
        for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1),
                              (socket.TCP_KEEPCNT, 2)):
            client.socket.setsockopt(socket.IPPROTO_TCP, option, value)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        client.greet()
        time.sleep(6)  # twice what unanswered keep-alives would take to end it
        checks.starts("a client's keep-alives are answered", client.command('NOOP'), '250')


def pool_is_kept_alive(checks, lab, _backend):
    """What the kernel of the server's host sees of a pooled connection in 13 s of silence."""
    ends, asked, answered, ended = {}, {}, set(), set()
    with Wire(lab, 'backend') as wire:
        with smtp.Client(lab, 'host') as client:
            client.greet()
            checks.starts('a message before the silence',
                          client.message(SENDER, RECIPIENT, content('pool', 100)), '250')
        for frame in wire.segments(13):
            tcp, length = frame[TCP], len(payload_of(frame))
            port = tcp.sport if tcp.dport == 25 else tcp.dport
            if tcp.flags.F or tcp.flags.R:
                ended.add(port)
            elif tcp.sport == 25 and port in asked and tcp.ack == asked[port] + 1:
                answered.add(port)
            elif tcp.dport == 25 and not length and tcp.seq == ends.get(port, 0) - 1:
                asked[port] = tcp.seq
            elif tcp.dport == 25:
                ends[port] = tcp.seq + length + bool(tcp.flags.S)
    checks.that('a pooled connection is kept alive and stays', answered - ended,
                f'asked {asked}, answered {answered}, ended {ended}')


def urgent_data(checks, lab, _backend):
    with Wire(lab, 'app') as wire, smtp.Client(lab, 'app') as client:
        client.greet()
        client.send(b'NOO')
        client.socket.send(b'P', socket.MSG_OOB)
        client.send(b'\r\n')
        checks.equal("a client's urgent byte is one of the command", client.reply(),
                     '250 2.0.0 OK')
        port = client.socket.getsockname()[1]
        checks.that('it was urgent', any(frame[TCP].flags.U for frame in
                                         wire.segments(0.2, sport=port)))
        checks.equal("a server's is one of its reply",
                     client.envelope(SENDER, 'urgent@accepted.test'), '250 2.1.5 Ok')
        checks.starts('and the session goes on', client.quit(), '221')


def half_close(checks, lab, backend):
    message = content('client closed first', 200000)
    with smtp.Client(lab, 'app', 6) as client:
        client.send(b'EHLO client.example.org\r\nMAIL FROM:<a@sender.test>\r\n'
                    b'RCPT TO:<once@accepted.test>\r\nDATA\r\n' + smtp.stuffed(message) +
                    b'.\r\n')
        client.socket.shutdown(socket.SHUT_WR)
        replies = [client.reply() for _ in range(5)]
        checks.equal('a client that closed its side first reads every answer to the end',
                     [reply[:3] for reply in replies], ['250', '250', '250', '354', '250'])
        checks.equal('and then the end', client.reply(), '')
    checks.that('its message is whole', arrived(backend, message))
    with smtp.Client(lab, 'app') as client:
        client.greet()
        reply = client.message(SENDER, 'halfclose@accepted.test', content('half', 300000))
        checks.starts('a server that closes its side in a body: the client reads 451', reply,
                      '451 4.4.2')
        checks.starts('and the session goes on', client.quit(), '221')


def simultaneous_close(checks, lab, mac):
    client = RawClient(lab, mac, 41000)
    client.open()
    checks.starts('a peer without any option is greeted', client.line().decode(), '220')
    client.send('PA', b'QUIT\r\n')
    client.next += 6
    fin = client.receive(lambda frame: frame[TCP].flags.F)
    if not checks.that('QUIT is answered with FIN', fin):
        return
    # Our FIN was sent before theirs came.
    client.send('FA', acknowledge=fin[TCP].seq)
    answer = client.receive(lambda frame: frame[TCP].ack == client.next + 1 & 0xffffffff)
    checks.that('a FIN that crossed theirs is acknowledged',
                answer and not answer[TCP].flags.R, answer)
    client.heard = fin[TCP].seq + len(payload_of(fin)) + 1
    client.send('A', sequence=client.next + 1)
    client.send('FA')  # as if that answer had been lost
    answer = client.receive(lambda frame: frame[TCP].ack == client.next + 1 & 0xffffffff)
    checks.that('in TIME-WAIT a repeated FIN is acknowledged, too',
                answer and str(answer[TCP].flags) == 'A', answer)


SYNS = (
    ('ECN setup', 'SEC', [('MSS', 1460)], b''),
    ('a fast open cookie asked for', 'S', [(34, b'')], b''),
    ('fast open with a cookie and data', 'S', [(34, b'12345678')], b'EHLO fast\r\n'),
    ('an MD5 signature', 'S', [(19, b'0123456789abcdef')], b''),
    ('an authentication option', 'S', [(29, b'\x01\x02abcdefghijkl')], b''),
    ('options of experiments', 'S', [(253, b'\xf9\x89'), (254, b''), ('NOP', None)], b''),
    ('a window scale of 200', 'S', [('WScale', 200)], b''),
    ('an MSS of 1', 'S', [('MSS', 1)], b''),
)


def strange_syns(checks, lab, mac):
    ours = {'MSS', 'WScale', 'NOP', 'EOL'}
    for number, (name, flags, options, data) in enumerate(SYNS):
        client = RawClient(lab, mac, 42000 + number)
        isn = client.next
        answer = client.open(flags, options, data)
        if not checks.that(f'SYN with {name} is answered', answer):
            continue
        tcp = answer[TCP]
        checks.that(f'SYN with {name}: as if it were not there',
                    str(tcp.flags) == 'SA' and tcp.ack == isn + 1 & 0xffffffff
                    and {option for option, _ in tcp.options} <= ours, answer.summary())
        checks.starts(f'SYN with {name}: greeted', client.line().decode(), '220')
        client.send('R')


def fast_open(checks, lab, _backend):
    lab.run('app', 'sysctl', '-qw', 'net.ipv4.tcp_fastopen=5')  # data in the SYN, cookie or not
    with lab.inside('app'):
        client = socket.socket()
    client.settimeout(10)
    with client:
        client.sendto(b'EHLO fast\r\n', socket.MSG_FASTOPEN, (labs.GATE[4], 25))
        file = client.makefile('rb')
        checks.starts('fast open with data: greeted', file.readline().decode(), '220')
        while (line := file.readline())[3:4] == b'-':
            pass
        checks.starts('its data is taken once', line.decode(), '250 ')
        client.sendall(b'NOOP\r\n')
        checks.equal('and no second time', file.readline(), b'250 2.0.0 OK\r\n')
        checks.that('after the handshake', not agreed(client) & SYN_DATA, agreed(client))


def options_agreed(checks, lab, backend):
    """The same message by each set of options, on new connections on both sides."""
    for number, (name, differs, want) in enumerate(AGREEMENTS):
        for switch, value in dict(SWITCHES, **differs).items():
            for host in ('app', 'backend'):
                lab.run(host, 'sysctl', '-qw', f'net.ipv4.{switch}={value}')
        message = content(name, 200000)
        with smtp.Client(lab, 'app', labs.FAMILIES[number % 2]) as client:
            got = agreed(client.socket)
            client.greet()
            reply = client.message(SENDER, 'once@accepted.test', message)
            client.quit()
        checks.starts(f'{name}: accepted', reply, '250')
        checks.that(f'{name}: whole', arrived(backend, message))
        checks.equal(f'{name}: agreed with the client', got, want)
        checks.equal(f'{name}: agreed with the server', backend.agreed, want)


def small_segments(checks, lab, backend):
    """Peers that take 300 and 100 bytes a segment, and a server with the smallest buffer."""
    for listener in backend.listeners:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 100)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    message = content('small', 50000)
    with lab.inside('app'):
        connection = socket.socket()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 300)
    connection.settimeout(30)
    with Wire(lab, 'app') as outside, Wire(lab, 'backend') as inside:
        connection.connect((labs.GATE[4], 25))
        port = connection.getsockname()[1]
        with smtp.Client.__new__(smtp.Client) as client:
            client.socket, client.file = connection, connection.makefile('rb')
            checks.starts('a client of small segments is greeted', client.reply(), '220')
            client.greet()
            checks.starts('small segments and buffers: accepted',
                          client.message(SENDER, 'once@accepted.test', message), '250')
        checks.that('small segments: whole', arrived(backend, message))
        to_client = {'dport': port}
        for wire, fields, limit in ((outside, to_client, 300), (inside, {'dport': 25}, 100)):
            sizes = [len(payload_of(frame)) for frame in wire.segments(0.3, **fields)]
            checks.that(f'segments of {limit} bytes at most', 0 < max(sizes) <= limit, max(sizes))


def refused_connection(checks, lab, backend):
    """RST in SYN-SENT: told at once, not by a time limit."""
    with smtp.Client(lab, 'app') as client:
        client.greet()
        client.command(f'MAIL FROM:<{SENDER}>')
        backend.die()
        started = time.monotonic()
        reply = client.command(f'RCPT TO:<{RECIPIENT}>')
        took = time.monotonic() - started
    checks.starts('nobody listens at the server', reply, '451 4.4.1')
    checks.that('told at once', took < 5, took)


# ---- By hand ---------------------------------------------------------------------------------

def simultaneous_open(lab, opened):
    """A server that sends its SYN when ours comes: two SYNs that crossed. Remembers the EHLO."""
    with Wire(lab, 'backend') as wire:
        heard = 0
        for frame in wire.frames(20):
            if ARP in frame and frame[ARP].op == 1 and frame[ARP].pdst == RAW_SERVER:
                wire.send(ARP(op=2, hwsrc=wire.mac, psrc=RAW_SERVER, hwdst=frame[ARP].hwsrc,
                              pdst=frame[ARP].psrc), frame.src)
            if TCP not in frame or frame[IP].dst != RAW_SERVER:
                continue
            tcp, data = frame[TCP], payload_of(frame)
            answer = TCP(sport=25, dport=tcp.sport, window=64000, seq=1000, ack=tcp.seq + 1)
            text = b''
            if str(tcp.flags) == 'S':
                opened['SYN'] = heard = tcp.seq
                answer.flags, answer.options = 'S', [('MSS', 1460)]
            elif str(tcp.flags) == 'SA' and (tcp.seq, tcp.ack) == (heard, 1001):
                opened['SYN-ACK'] = True
                answer.flags, answer.seq, text = 'A', 1001, b'220 both at once\r\n'
            elif data.startswith(b'EHLO'):
                opened['EHLO'] = True
                answer.flags, answer.seq = 'R', tcp.ack
                wire.send(IP(src=RAW_SERVER, dst=frame[IP].src) / answer, frame.src)
                return
            else:
                continue
            wire.send(IP(src=RAW_SERVER, dst=frame[IP].src) / answer / text, frame.src)


def at_once(checks, lab, backend, *scenarios):
    with concurrent.futures.ThreadPoolExecutor(len(scenarios)) as pool:
        for job in [pool.submit(scenario, checks, lab, backend) for scenario in scenarios]:
            job.result()


def test(checks):
    opened = {}
    with labs.Lab() as lab:
        lab.command('backend', 'none')
        lab.run('app', 'sysctl', '-qw', 'net.ipv4.tcp_syn_retries=2')
        config = lab.config()
        config['backend cluster']['Servers'] = f'{labs.SERVERS[4]}:25, {RAW_SERVER}:25'
        config['connector Anonymous Relay']['RemoteIPRanges'] += f', {RAW_CLIENT}'
        raw_server = threading.Thread(target=simultaneous_open, args=(lab, opened))
        raw_server.start()
        with smtp.Backend(lab, (4,)) as backend:
            backend.dialogue = Dialogue
            with labs.Gate(lab, config) as gate:
                smtp.await_backend(lab)
                raw_server.join()
                checks.equal('SYNs that crossed open a connection', sorted(opened),
                             ['EHLO', 'SYN', 'SYN-ACK'])
                at_once(checks, lab, backend, client_window_closed, server_window_closed,
                        client_asks_for_life, pool_is_kept_alive)
                for scenario in (urgent_data, half_close, fast_open, options_agreed,
                                 small_segments):
                    scenario(checks, lab, backend)
                mac = gate_mac(lab)
                simultaneous_close(checks, lab, mac)
                strange_syns(checks, lab, mac)
                refused_connection(checks, lab, backend)
                labs.wait_for('no session is left', lambda: all(
                    row['sessions_open'] == 0 for row in gate.connectors().values()), 40)


if __name__ == '__main__':
    labs.run(test)
