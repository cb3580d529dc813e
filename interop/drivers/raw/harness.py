"""Scenarios: how they are named, run, logged and cleaned up after."""

from contextlib import contextmanager
from dataclasses import dataclass, field

from canon import Canon
import wire
from client import Client, Closed
from wire import Reader

SUPER = b"super:driver"
KEPT = {"/zookeeper", "/zookeeper/quota", "/zookeeper/config"}

REGISTRY = []


def scenario(name, profile="full"):
    """Registers a function as a scenario of one server profile."""

    def register(run):
        REGISTRY.append((profile, name, run))
        return run

    return register


@dataclass
class Scenario:
    """One scenario's log, clients and memory of what to clean up."""

    address: tuple
    profile: str
    name: str
    canon: Canon = field(default_factory=Canon)
    lines: list = field(default_factory=list)
    clients: list = field(default_factory=list)
    sessions: dict = field(default_factory=dict)
    held: list | None = None

    @property
    def root(self):
        return "/" + self.name.replace("/", "-")

    def log(self, line):
        self.lines.append(line)

    def event(self, client, line, zxid):
        """Logs a notification; its zxid on a line of its own.

        The versions differ in that number alone, and a line of its own keeps
        the rest of the event comparable.
        """
        if self.held is not None:
            self.held.append((client, line, zxid))
            return
        if zxid > 0:
            self.canon.learn(zxid)
        client.log(line)
        client.log(f"!zxid {self.canon.zxid(zxid)}")

    @contextmanager
    def unordered(self):
        """Within it, events are logged sorted: their order is unspecified."""
        self.held = []
        yield
        held, self.held = self.held, None
        for client, line, zxid in sorted(held, key=lambda event: event[1]):
            self.event(client, line, zxid)

    def client(self, label=None):
        """A connection without a handshake."""
        client = Client(self, label or f"c{len(self.clients) + 1}")
        self.clients.append(client)
        return client

    def open(self, label=None, **fields):
        """A connection with a fresh session; the handshake is not logged."""
        client = self.client(label)
        if not client.connect(quiet=True, **fields):
            raise Closed("connect")
        return client

    def start(self):
        """The first client, and the scenario's own root node."""
        client = self.open()
        client.create(self.root, b"")
        return client

    def resume(self, client, label=None, **fields):
        """A new connection for a client's session; the reply is logged."""
        again = self.client(label or client.label + "'")
        again.connect(session=client.session, passwd=client.passwd, **fields)
        return again

    def disconnect(self):
        for client in self.clients:
            client.wire.close()

    def clean_up(self):
        """Closes every session that is left and deletes every node made."""
        for session, passwd in list(self.sessions.items()):
            client = Client(self, "cleanup")
            if client.connect(quiet=True, session=session, passwd=passwd):
                quiet_call(client, "closeSession", b"")
                client.wire.read_to_end()
            client.wire.close()
        client = Client(self, "cleanup")
        client.connect(quiet=True)
        # Where digest is disabled the packet would end the connection, and is not needed.
        if self.profile != "open":
            quiet_call(client, "auth", wire.auth_body("digest", SUPER))
        delete_below(client, "/")
        quiet_call(client, "closeSession", b"")
        # The server forgets a connection before it closes it, so that the
        # next scenario finds none of this one's.
        client.wire.read_to_end()
        client.wire.close()


def quiet_call(client, op, body):
    """A request outside the log. Returns a reader behind the reply header."""
    xid = client.send(op, body)
    while True:
        payload = client.wire.read_frame()
        if payload is None:
            raise Closed(op)
        reader = Reader(payload)
        got, _zxid, err = reader.i32(), reader.i64(), reader.i32()
        if got == xid:
            return err, reader


def delete_below(client, path):
    err, reader = quiet_call(client, "getChildren", wire.path_watch_body(path))
    if err != 0:
        return
    for child in reader.vector(reader.ustring):
        below = ("" if path == "/" else path) + "/" + child
        delete_below(client, below)
        if below not in KEPT:
            quiet_call(client, "delete", wire.path_version_body(below))


def run_all(address, profile, only, out):
    """Runs the profile's scenarios in order and prints each one's log."""
    for wanted, name, run in REGISTRY:
        if wanted != profile or (only and only not in name):
            continue
        current = Scenario(address, profile, name)
        try:
            run(current)
        except Closed as why:
            current.log(f"!! ended early: {why}")
        except Exception as why:  # Whatever an answer has made of it, the others must run.
            current.log(f"!! ended early: {type(why).__name__}: {why}")
        print(f"### {profile}/{name}", file=out)
        print("\n".join(current.lines), file=out, flush=True)
        current.disconnect()
        try:
            # Where connections are scarce, nothing may compete for them.
            if profile not in ("limit", "total"):
                current.clean_up()
        except Exception as why:
            print(f"!! clean-up failed: {type(why).__name__}", file=out, flush=True)
