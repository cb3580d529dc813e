"""Doors to a server that write down every frame that passes.

A door is a port on loopback. What connects to it is connected to the server, and
each frame is noted before it is passed on: so the trace has every request behind
the replies that its sender had seen, and every reply behind its request.

Pings are noted where they are asked for only, once: when a client sends them is a
matter of its clock.
"""

import socket
import struct
import threading

PING = 11
CLOSE_SESSION = -11
WAIT_SECONDS = 30


class Trace:
    """The frames of all doors, in one order."""

    def __init__(self, server_port):
        self.server_port = server_port
        self.lines = []
        self.named = {}  # (session, xid) -> name of the step that sent the request
        self.lock = threading.Condition()
        self.name = "start"
        self.source = "java"
        self.connections = 0
        self.doors = {}
        self.pinged = False
        self.answered = False

    def mark(self, source, name):
        """What comes from now on belongs to this step."""
        with self.lock:
            self.source, self.name, self.answered = source, name, False

    def note(self, connection, direction, payload):
        self.answered = self.answered or direction == "<"
        line = f"{self.name} {self.source} {connection} {direction} {payload}"
        self.lines.append(line.rstrip())

    def door(self, name):
        door = self.doors[name] = Door(self)
        return door

    def wait(self, what, seen):
        with self.lock:
            if not self.lock.wait_for(seen, WAIT_SECONDS):
                raise TimeoutError(what)

    def wait_for_ping(self):
        self.wait("no ping came", lambda: self.pinged)

    def wait_for_answer(self):
        """Until something has come from the server since the last mark."""
        self.wait("no answer came", lambda: self.answered)


class Door:
    """A port, and the connections that came in by it."""

    def __init__(self, trace):
        self.trace = trace
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.is_open = True
        self.passing = []
        thread(self.accept)

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.trace.lock:
                if not self.is_open:
                    client.close()
                    continue
                self.passing.append(Passing(self.trace, client))

    def cut(self):
        """Ends all connections and lets none in until `restore`."""
        with self.trace.lock:
            self.is_open = False
            for passing in self.passing:
                passing.end("cut")
            self.passing = []

    def wait_until_quiet(self):
        """Until no connection is left."""
        self.trace.wait("a connection stays", lambda: all(passing.is_over for passing in self.passing))

    def restore(self):
        with self.trace.lock:
            self.is_open = True


class Passing:
    """One connection, passed on."""

    def __init__(self, trace, client):
        self.trace = trace
        self.number = None
        self.client = client
        self.server = socket.create_connection(("127.0.0.1", trace.server_port))
        for side in (self.client, self.server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.session = 0
        self.is_closing = False
        self.is_over = False
        self.connected = {">": False, "<": False}
        self.pings_noted = {">": 0, "<": 0}
        thread(lambda: self.pump(self.client, self.server, ">"))
        thread(lambda: self.pump(self.server, self.client, "<"))

    def pump(self, source, sink, direction):
        try:
            while (payload := read_frame(source)) is not None:
                with self.trace.lock:
                    if self.is_over:
                        return
                    self.note(direction, payload)
                    self.trace.lock.notify_all()
                sink.sendall(struct.pack(">i", len(payload)) + payload)
        except OSError:
            pass
        with self.trace.lock:
            self.end("gone" if direction == ">" else "closed")

    def note(self, direction, payload):
        """Called with the trace's lock held."""
        if not self.connected[direction]:
            self.connected[direction] = True
            if direction == ">":
                # Not before: a client may look whether anybody is there, and say nothing.
                self.trace.connections += 1
                self.number = self.trace.connections
            else:
                self.session = struct.unpack_from(">q", payload, 8)[0]
                self.trace.named.setdefault((self.session, 0), self.trace.name)
                # Who closes first after a refusal is chance.
                self.is_closing = self.session == 0
        elif direction == ">":
            xid, op = struct.unpack_from(">ii", payload) if len(payload) >= 8 else (0, 0)
            if op == PING and not self.notes_ping(">"):
                return
            if op == CLOSE_SESSION:
                self.is_closing = True
            self.trace.named[(self.session, xid)] = self.trace.name
        elif struct.unpack_from(">i", payload)[0] == -2:
            wanted = self.notes_ping("<")
            self.trace.pinged = wanted or self.trace.pinged
            if not wanted:
                return
        self.trace.note(self.number, direction, payload.hex())

    def notes_ping(self, direction):
        wanted = self.trace.name.startswith("ping/")
        self.pings_noted[direction] += wanted
        return wanted and self.pings_noted[direction] == 1

    def end(self, how):
        """Called with the trace's lock held. `how`: the server closed it, the client did, or a cut."""
        if self.is_over:
            return
        self.is_over = True
        if not self.is_closing and self.connected[">"]:
            self.trace.note(self.number, "x", how)
        for side in (self.client, self.server):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # It is closed already.
            side.close()
        self.trace.lock.notify_all()


def read_exactly(source, count):
    piece = b""
    while len(piece) < count:
        more = source.recv(count - len(piece))
        if not more:
            return None
        piece += more
    return piece


def read_frame(source):
    """A frame's payload, or None at the end."""
    head = read_exactly(source, 4)
    if head is None:
        return None
    return read_exactly(source, struct.unpack(">i", head)[0])


def thread(run):
    threading.Thread(target=run, daemon=True).start()


def serve_control(trace):
    """Takes a program's orders, one line each, and answers each with one line. Returns the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        lines = connection.makefile("rw")
        for line in lines:
            order, _, name = line.strip().partition(" ")
            answer = "done"
            if order == "mark":
                trace.mark("java", name)
            elif order == "door":
                answer = str(trace.door(name).port)
            elif order == "cut":
                trace.doors[name].cut()
            elif order == "restore":
                trace.doors[name].restore()
            elif order == "ping":
                trace.wait_for_ping()
            elif order == "answer":
                trace.wait_for_answer()
            else:
                answer = "unknown"
            lines.write(answer + "\n")
            lines.flush()

    thread(serve)
    return listener.getsockname()[1]
