"""Relays between servers that write down every message that passes.

Servers reach each other by the addresses of their configuration, and tell each other
where to call back, so no door can stand in front of them. But Java's sockets can be told
to go through a SOCKS proxy: every server has one of its own, and its connections to the
others' election and quorum ports pass there. A message is noted once it is whole, before
the bytes that end it are passed on.

Votes that are the same as before, and pings, are noted once in a step and direction: how
often they are repeated is a matter of clocks.
"""

import socket
import struct
import threading

import files
from doors import read_exactly, thread

WAIT_SECONDS = 60

TYPES = [
    "none", "REQUEST", "PROPOSAL", "ACK", "COMMIT", "PING", "REVALIDATE", "SYNC", "INFORM", "COMMITANDACTIVATE",
    "NEWLEADER", "FOLLOWERINFO", "UPTODATE", "DIFF", "TRUNC", "SNAP", "OBSERVERINFO", "LEADERINFO", "ACKEPOCH",
    "INFORMANDACTIVATE",
]  # fmt: skip
PING, SNAP = TYPES.index("PING"), TYPES.index("SNAP")
SIGNATURE = b"BenWasHere"


class Talk:
    """What servers say to each other, in one order."""

    def __init__(self, servers, connections=0):
        self.ports = {}
        for server in servers:
            address = server.address.partition(";")[0]
            for one in address.split("|"):
                quorum, election = one.split(":")[1:3]
                self.ports[int(quorum)] = server.sid, "quorum"
                self.ports[int(election)] = server.sid, "election"
        self.lock = threading.Condition()
        self.name = "start"
        self.lines = []
        self.step = []  # (type, sender, receiver, message) of this step
        self.noted = set()  # what need not be noted again in this step
        self.connections = connections
        self.held = set()
        self.relays = [Relay(self, server) for server in servers]

    def mark(self, name):
        """What comes from now on belongs to this step."""
        with self.lock:
            self.name, self.step, self.noted = name, [], set()

    def note(self, port, connection, sender, receiver, kind, message):
        """Called with the lock held."""
        self.step.append((kind, sender, receiver, message))
        self.lock.notify_all()
        if kind in ("notification", "PING"):
            key = (sender, receiver, kind, message if kind == "notification" else len(message))
            if key in self.noted:
                return
            self.noted.add(key)
        self.lines.append(f"{self.name} {port} {connection} {sender}>{receiver} {kind} {message.hex()}")

    def wait_for(self, kind, sender=None, receiver=None, fits=lambda message: True):
        """Until such a message has passed since the last mark."""

        def seen():
            return any(
                kind == a and sender in (None, b) and receiver in (None, c) and fits(message)
                for a, b, c, message in self.step
            )

        with self.lock:
            if not self.lock.wait_for(seen, WAIT_SECONDS):
                raise TimeoutError(f"{self.name}: no {kind} from {sender} to {receiver}")

    def hold(self, sid):
        """Nothing of what this server sends is passed on any more, nor noted."""
        with self.lock:
            self.held.add(sid)

    def forget(self, sid):
        """Ends the connections of a server that is gone, with what was held back in them."""
        with self.lock:
            for relay in self.relays:
                for passing in relay.passing:
                    if sid in (passing.source, passing.target):
                        passing.end()
            self.held.discard(sid)


class Relay:
    """The proxy of one server."""

    def __init__(self, talk, server):
        self.talk = talk
        self.sid = server.sid
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.passing = []
        port = self.listener.getsockname()[1]
        # Java goes around the proxy for loopback addresses unless the last of these is there, and empty.
        server.flags += ["socksProxyHost=127.0.0.1", f"socksProxyPort={port}", "socksNonProxyHosts="]
        thread(self.accept)

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            thread(lambda client=client: self.serve(client))

    def serve(self, client):
        try:
            port = greet(client)
            # By name of the port alone: everybody is on loopback.
            server = socket.create_connection(("127.0.0.1", port))
        except OSError:
            client.close()
            return
        client.sendall(b"\x05\x00\x00\x01" + bytes(6))
        with self.talk.lock:
            target, kind = self.talk.ports[port]
            self.passing.append(Passing(self.talk, client, server, self.sid, target, kind))


def greet(client):
    """The SOCKS 5 handshake up to its last answer; returns the port that is wanted."""
    _version, methods = read_exactly(client, 2)
    read_exactly(client, methods)
    client.sendall(b"\x05\x00")
    _version, _command, _reserved, kind = read_exactly(client, 4)
    length = {1: 4, 4: 16}.get(kind) or read_exactly(client, 1)[0]
    read_exactly(client, length)
    return struct.unpack(">H", read_exactly(client, 2))[0]


class Passing:
    """One connection between servers."""

    def __init__(self, talk, client, server, source, target, port):
        self.talk, self.client, self.server = talk, client, server
        self.source, self.target, self.port = source, target, port
        self.number = None
        self.is_over = False
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        from_source = election(True) if port == "election" else quorum()
        from_target = election(False) if port == "election" else quorum()
        thread(lambda: self.pump(client, server, source, target, from_source))
        thread(lambda: self.pump(server, client, target, source, from_target))

    def pump(self, source, sink, sender, receiver, cutter):
        """Passes on what comes. The cutter is sent bytes and yields a list of whole messages."""
        next(cutter)
        try:
            while piece := source.recv(65536):
                with self.talk.lock:
                    self.talk.lock.wait_for(lambda: self.is_over or sender not in self.talk.held)
                    if self.is_over:
                        return
                    for kind, message in cutter.send(piece):
                        self.note(sender, receiver, kind, message)
                sink.sendall(piece)
        except OSError:
            pass  # The end of a connection, like any other.
        with self.talk.lock:
            self.end()

    def note(self, sender, receiver, kind, message):
        if self.number is None:
            self.talk.connections += 1
            self.number = self.talk.connections
        self.talk.note(self.port, self.number, sender, receiver, kind, message)

    def end(self):
        """Called with the lock held."""
        self.is_over = True
        self.talk.lock.notify_all()
        for side in (self.client, self.server):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # It is closed already.
            side.close()


class Short(Exception):
    """More bytes are needed."""


class Head(files.Cutter):
    """Takes bytes from the front of a stream."""

    def i32(self):
        self.need(4)
        return super().i32()

    def skip(self, count):
        self.need(count)
        super().skip(count)

    def string(self):
        length = self.i32()
        self.skip(max(length, 0))
        return self.data[self.at - max(length, 0) : self.at]

    def need(self, count):
        if self.at + count > len(self.data):
            raise Short


def cut(one):
    """A generator that is sent bytes and yields lists of (kind, message); `one` takes a message from a `Head`."""
    pending, messages = b"", []
    while True:
        pending += yield messages
        messages = []
        try:
            while pending:
                head = Head(pending)
                kind = one(head)
                messages.append((kind, head.piece()))
                pending = pending[head.at :]
        except Short:
            pass


def election(is_opener):
    """What goes over an election connection: the one who opened it says first who it is."""
    expects_initial = is_opener

    def one(head):
        nonlocal expects_initial
        if expects_initial:
            head.skip(16)
            head.string()
            expects_initial = False
            return "initial"
        head.string()
        return "notification"

    return cut(one)


def quorum():
    """Packets; behind SNAP a snapshot and its signature."""
    expects_snapshot = False

    def one(head):
        nonlocal expects_snapshot
        if expects_snapshot:
            for _ in files.tree_parts(head):
                pass
            if head.string() != SIGNATURE:
                raise ValueError("a snapshot without its signature")
            expects_snapshot = False
            return "snapshot"
        kind = head.i32()
        head.skip(8)
        head.string()
        for _ in range(head.i32()):
            head.string()
            head.string()
        expects_snapshot = kind == SNAP
        return TYPES[kind]

    return cut(one)
