# SPDX-License-Identifier: BSD-3-Clause
#
# Both ends of SMTP as the tests need them: a client that sees every reply to the letter, and a
# backend that dies where it is told to. Neither repairs anything nor retries.
# Does not start labs or gates (lab.py).
"""A literal SMTP client and a scripted backend."""
import contextlib
import select
import socket
import struct
import threading

import lab as labs


class Client:
    """One session. Replies are texts, continuation lines joined by newlines."""

    def __init__(self, lab, host, family=4, seconds=30.0, port=25):
        self.socket = lab.connect(host, family, seconds, port)
        self.socket.settimeout(seconds)
        self.file = self.socket.makefile('rb')
        self.banner = self.reply()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def reply(self):
        """The next reply; '' when the gate closed the connection."""
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                return '\n'.join(lines)
            lines.append(line.decode('latin-1').rstrip('\r\n'))
            if line[3:4] != b'-':
                return '\n'.join(lines)

    def send(self, data):
        self.socket.sendall(data)

    def command(self, line):
        self.send(line.encode('latin-1') + b'\r\n')
        return self.reply()

    def greet(self):
        return self.command('EHLO client.example.org')

    def envelope(self, sender, recipient):
        """MAIL and RCPT: the first reply that is no 250, or RCPT's."""
        reply = self.command(f'MAIL FROM:<{sender}>')
        if not reply.startswith('250'):
            return reply
        return self.command(f'RCPT TO:<{recipient}>')

    def message(self, sender, recipient, content):
        """A whole transaction: the reply that ended it. content has CR LF line ends, no dots
        stuffed."""
        reply = self.envelope(sender, recipient)
        if not reply.startswith('250'):
            return reply
        reply = self.command('DATA')
        if not reply.startswith('354'):
            return reply
        self.send(stuffed(content) + b'.\r\n')
        return self.reply()

    def send_until_reply(self, blocks):
        """Sends blocks, looking for a reply between writes as a full-duplex client does; stops at
        the first sign of one. Returns the number of octets that the socket took."""
        sent = 0
        self.socket.setblocking(False)
        try:
            for block in blocks:
                view = memoryview(block)
                while view:
                    readable, _, _ = select.select([self.socket], [self.socket], [], 60)[0:3]
                    if readable:
                        return sent
                    with contextlib.suppress(BlockingIOError):
                        count = self.socket.send(view)
                        sent += count
                        view = view[count:]
        finally:
            self.socket.setblocking(True)
            self.socket.settimeout(120)
        return sent

    def quit(self):
        reply = self.command('QUIT')
        self.close()
        return reply

    def reset(self):
        """Dies as a killed process with unread data does: RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()


def stuffed(content):
    """Dots doubled at the beginnings of lines (RFC 5321 section 4.5.2)."""
    content = content.replace(b'\r\n.', b'\r\n..')
    return b'.' + content if content.startswith(b'.') else content


def unstuffed(content):
    content = content.replace(b'\r\n..', b'\r\n.')
    return content[1:] if content.startswith(b'..') else content


def await_backend(lab, host='app', family=4, port=25, recipient='probe@accepted.test'):
    """Until the gate knows a live server: a permitted recipient is accepted."""

    def accepted():
        with Client(lab, host, family, port=port) as client:
            client.greet()
            reply = client.envelope('probe@sender.test', recipient)
            client.quit()
        return reply.startswith('250')

    labs.wait_for('the gate has a live backend', accepted, 40)


class Backend:
    """An SMTP server in the backend's place that dies at a point: None or one of POINTS.

    Death closes its listening sockets and every connection, in the manner of FIN or RST.
    accepted: (sender, recipients, content) of each message that it has answered 250 to.
    seen: the same of each message whose end of data it has seen.
    answering: while cleared, it leaves each end of data unanswered.
    chunking: it offers CHUNKING. size: the largest message that it says it takes. keywords:
    further ones that it offers."""

    POINTS = ('before MAIL', 'in MAIL', 'in RCPT', 'in body', 'after final dot')

    def __init__(self, lab, families=labs.FAMILIES):
        self.lab = lab
        self.families = families
        self.lock = threading.Lock()
        self.accepted, self.seen = [], []
        self.chunking, self.size, self.keywords = False, 104857600, ()
        self.die_at = None
        self.abrupt = False
        self.alive = threading.Event()
        self.answering = threading.Event()
        self.answering.set()
        self.listeners, self.connections = [], set()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.die()

    def start(self, die_at=None, abrupt=False):
        self.die_at, self.abrupt = die_at, abrupt
        self.alive.set()
        with self.lab.inside('backend'):
            for family in self.families:
                kind = socket.AF_INET if family == 4 else socket.AF_INET6
                listener = socket.create_server((labs.SERVERS[family], 25), family=kind,
                                                backlog=100)
                self.listeners.append(listener)
                threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def die(self):
        """Like the end of the process: the port is closed and all connections are gone."""
        self.answering.set()
        with self.lock:
            self.alive.clear()
            for listener in self.listeners:
                with contextlib.suppress(OSError):  # wakes accept()
                    listener.shutdown(socket.SHUT_RDWR)
                listener.close()
            for connection in self.connections:
                self.drop(connection)
            self.listeners.clear()
            self.connections.clear()

    def drop(self, connection):
        with contextlib.suppress(OSError):
            if self.abrupt:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      struct.pack('ii', 1, 0))
            # Wakes the thread that reads; the last close is its own.
            connection.shutdown(socket.SHUT_RD if self.abrupt else socket.SHUT_RDWR)
            connection.close()

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                if not self.alive.is_set():
                    connection.close()
                    return
                self.connections.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        dialogue = self.dialogue(self, connection)
        with contextlib.suppress(OSError, ValueError):
            dialogue.serve()
        with self.lock:
            self.connections.discard(connection)
        with contextlib.suppress(OSError):
            dialogue.file.close()
            connection.close()


class Dialogue:
    """One connection to a Backend; another class may be given to it as its `dialogue`."""

    def __init__(self, backend, connection):
        self.backend = backend
        self.connection = connection
        self.file = connection.makefile('rb')
        self.sender, self.recipients, self.chunks = None, [], b''

    def say(self, line):
        if not self.backend.alive.is_set():
            raise ConnectionError('the backend is dead')
        self.connection.sendall(line.encode() + b'\r\n')

    def dies(self, point):
        if self.backend.die_at != point:
            return False
        self.backend.die()
        raise ConnectionError(point)

    def serve(self):
        self.say('220 backend.example.net ESMTP')
        while line := self.file.readline():
            verb, _, rest = line.decode('latin-1').strip().partition(' ')
            handler = getattr(self, 'on_' + verb.lower(), None)
            if handler is None:
                self.say('500 5.5.1 unknown command')
            elif handler(rest):
                return

    def on_ehlo(self, _):
        self.say(f'250-backend.example.net\r\n250-PIPELINING\r\n250-SIZE {self.backend.size}\r\n'
                 + ('250-CHUNKING\r\n' if self.backend.chunking else '')
                 + ''.join(f'250-{keyword}\r\n' for keyword in self.backend.keywords)
                 + '250 8BITMIME')

    def on_mail(self, rest):
        self.dies('in MAIL')
        self.sender, self.recipients, self.chunks = rest, [], b''
        self.say('250 2.1.0 Ok')

    def on_rcpt(self, rest):
        self.dies('in RCPT')
        self.recipients.append(rest)
        self.say('250 2.1.5 Ok')

    def on_data(self, _):
        self.say('354 go on')
        lines, size = [], 0
        while (line := self.file.readline()) != b'.\r\n':
            if not line:
                return True
            lines.append(line[1:] if line.startswith(b'.') else line)
            size += len(line)
            if size > 20000:
                self.dies('in body')
        self.finish(b''.join(lines))
        return False

    def octets(self, size):
        """At most so many; none when the connection ended."""
        return self.file.read(size)

    def on_bdat(self, rest):
        size, last = int(rest.split()[0]), rest.upper().endswith(' LAST')
        while size > 0:
            piece = self.octets(min(size, 8192))
            if not piece:
                return True
            self.chunks += piece
            size -= len(piece)
            if len(self.chunks) > 20000:
                self.dies('in body')
        if not last:
            self.say('250 2.0.0 Ok: chunk taken')
            return False
        content, self.chunks = self.chunks, b''
        self.finish(content)
        return False

    def finish(self, content):
        message = (self.sender, tuple(self.recipients), content)
        with self.backend.lock:
            self.backend.seen.append(message)
        self.dies('after final dot')
        self.backend.answering.wait()
        with self.backend.lock:
            # In this order: who reads the answer looks for the message.
            self.backend.accepted.append(message)
            try:
                self.say('250 2.0.0 Ok: queued as Q%d' % (len(self.backend.accepted) - 1))
            except OSError:
                self.backend.accepted.pop()
                raise

    def on_rset(self, _):
        self.sender, self.recipients, self.chunks = None, [], b''
        self.say('250 2.0.0 Ok')

    def on_noop(self, _):
        self.say('250 2.0.0 Ok')

    def on_quit(self, _):
        self.say('221 2.0.0 Bye')
        return True


Backend.dialogue = Dialogue
