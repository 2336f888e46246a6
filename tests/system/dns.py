# SPDX-License-Identifier: BSD-3-Clause
#
# A small name server in a host's namespace that does what it is told to each name: answers, lies,
# breaks answers, cuts them short, or says nothing. UDP and TCP; it remembers who was asked about.
# Knows no DNS beyond questions for addresses.
"""Server: a name server whose answers a test chooses."""
import socket
import struct
import threading

ADDRESS, CLASS_IN = 1, 1
NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5


def name_of(query):
    """The question's name, and where the question ends."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode('ascii'))
        at += 1 + query[at]
    return '.'.join(labels), at + 5


def answer(query, addresses=(), code=0, ttl=300, truncated=False):
    """A well-formed answer to the query."""
    _, end = name_of(query)
    flags = 0x8180 | code | (0x0200 if truncated else 0)
    reply = query[:2] + struct.pack('>HHHHH', flags, 1, len(addresses), 0, 0) + query[12:end]
    for address in addresses:
        reply += struct.pack('>HHHIH', 0xc00c, ADDRESS, CLASS_IN, ttl, 4)
        reply += socket.inet_aton(address)
    return reply


class Server:
    """Names map to a list of addresses, or to a function of (query, tcp) that returns the reply's
    bytes, None for silence. Names that are not there do not exist."""

    def __init__(self, lab, host='gate', address='127.0.0.1', port=53):
        self.names, self.asked, self.dead = {}, [], False
        self.queries = set() # as they came: who hears nothing for a while sends the same again
        with lab.inside(host):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.udp.bind((address, port))
        self.tcp.bind((address, port))
        self.tcp.listen()
        for work in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=work, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in (self.udp, self.tcp):
            try:
                sock.shutdown(socket.SHUT_RDWR)  # wakes who reads it
            except OSError:
                pass
            sock.close()

    def reply_to(self, query, tcp):
        name, _ = name_of(query)
        if query not in self.queries:
            self.asked.append(name)
        self.queries.add(query)
        if self.dead:
            return None
        what = self.names.get(name.lower())
        if callable(what):
            return what(query, tcp)
        return answer(query, what or (), 0 if what else NXDOMAIN)

    def serve_udp(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(4096)
                if not query:
                    return  # it was shut
                reply = self.reply_to(query, False)
                if reply is not None:
                    self.udp.sendto(reply, peer)
            except OSError:
                return

    def serve_tcp(self):
        while True:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            with connection:
                query = connection.recv(4096)[2:]
                reply = self.reply_to(query, True) if len(query) > 12 else None
                if reply:
                    connection.sendall(struct.pack('>H', len(reply)) + reply)
