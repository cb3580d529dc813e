"""What servers say to each other: the steps.

Each step waits for the messages that end it, so that they are noted under its name.
"""

import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "drivers" / "raw"))

import files  # noqa: E402
import wire  # noqa: E402
from client import Connection  # noqa: E402
from relays import Talk  # noqa: E402
from server import ensemble  # noqa: E402
from wire import OPCODES, frame, i32, i64, ustring  # noqa: E402

CONFIG = ["tickTime=500", "initLimit=20", "syncLimit=10", "reconfigEnabled=true", "standaloneEnabled=false"]
SUPER_AUTH = ("digest", b"super:driver")


class Client:
    """A session, at one server after the other."""

    def __init__(self, server, session=0, passwd=b"\0" * 16):
        self.xid = 0
        self.wire = Connection(("127.0.0.1", server.port))
        self.wire.send(frame(wire.connect_request(session=session, passwd=passwd)))
        reader = wire.Reader(self.wire.read_frame())
        reader.i64()
        self.session, self.passwd = reader.i64(), reader.buffer()

    def send(self, op, body, xid=None):
        self.xid += 1
        self.wire.send(frame(i32(self.xid if xid is None else xid) + i32(OPCODES[op]) + body))

    def ask(self, op, body, xid=None):
        """The answer's error and what is behind it."""
        self.send(op, body, xid)
        answer = self.wire.read_frame()
        return int.from_bytes(answer[12:16], "big", signed=True), answer[16:]

    def leave(self):
        self.wire.close()


def zxid(message):
    return message[4:12]


def record_ensemble(class_path, folder, flags):
    """Three voters and an observer. Returns what they said."""
    roles = ("participant", "participant", "participant", "observer")
    # Who is far behind gets the whole tree, however small that is.
    flags = [*flags, "zookeeper.snapshotSizeFactor=-1"]
    servers = ensemble(class_path, folder, CONFIG, flags, roles)
    talk = Talk(servers)
    try:
        begin(talk, servers)
        requests(talk, servers)
        sessions(talk, servers)
        synchronization(talk, servers)
        truncation(talk, servers)
        reconfiguration(talk, servers)
    finally:
        for server in servers:
            server.stop()
    return talk


def begin(talk, servers):
    one, two, three, observer = servers
    # The last is there when the others come, and its number is the highest: it leads.
    three.start(mode=b"not currently serving")
    talk.mark("start/voters")
    for server in (one, two):
        server.start(mode=None)
    for server in (one, two, three):
        server.wait(b"Mode: leader", b"Mode: follower")
    if not three.serves(b"Mode: leader"):
        sys.exit("another server leads: record this part again")
    for sid in (1, 2):
        talk.wait_for("PING", sid, 3)
    talk.mark("start/observer")
    observer.start(mode=b"Mode: observer")
    talk.wait_for("PING", 4, 3)


def committed(talk, leader, follower, observer=4):
    talk.wait_for("COMMIT", leader, follower)
    talk.wait_for("ACK", follower, leader)
    talk.wait_for("INFORM", leader, observer)


def requests(talk, servers):
    one, _, _, observer = servers

    def step(name, client, op, body, xid=None):
        talk.mark(name)
        client.ask(op, body, xid)
        for follower in (1, 2):
            committed(talk, 3, follower)

    talk.mark("session/create")
    at_one = Client(one)
    for follower in (1, 2):
        committed(talk, 3, follower)
    step("request/create", at_one, "create", wire.create_body("/a", b"one"))
    step("request/error", at_one, "setData", wire.set_data_body("/none", b"x"))
    at_one.ask("auth", wire.auth_body(*SUPER_AUTH), xid=-4)
    elements = [("create", wire.create_body("/a/b", None)), ("delete", wire.path_version_body("/a/b"))]
    step("request/multi", at_one, "multi", wire.multi_body(elements))
    talk.mark("request/sync")
    at_one.ask("sync", ustring("/a"))
    talk.wait_for("SYNC", 3, 1)
    talk.mark("session/create-at-observer")
    at_four = Client(observer)
    for follower in (1, 2):
        committed(talk, 3, follower)
    step("request/create-at-observer", at_four, "create", wire.create_body("/o", b"four", flags=1))
    talk.mark("request/sync-at-observer")
    at_four.ask("sync", ustring("/"))
    talk.wait_for("SYNC", 3, 4)
    talk.mark("ping/sessions")
    at_one.ask("ping", b"", xid=-2)
    talk.wait_for("PING", 1, 3, lambda message: len(message) > 20)
    step("session/close", at_four, "closeSession", b"")
    at_one.leave()
    at_four.leave()


def sessions(talk, servers):
    one, two, _, _ = servers
    talk.mark("revalidate/create")
    client = Client(one)
    for follower in (1, 2):
        committed(talk, 3, follower)
    client.leave()
    talk.mark("revalidate/valid")
    Client(two, client.session, client.passwd).leave()
    talk.wait_for("REVALIDATE", 3, 2)
    talk.mark("revalidate/unknown")
    unknown = 0x0900_1234_5678_0000
    Client(two, unknown, wire.password_of(unknown)).leave()
    talk.wait_for("REVALIDATE", 3, 2)


def synchronization(talk, servers):
    one, two, _, _ = servers
    one.stop()
    talk.forget(1)
    talk.mark("sync/behind")
    client = Client(two)
    client.ask("create", wire.create_body("/d", b"diff"))
    for name in ("sync/diff", "sync/nothing", "sync/snap"):
        talk.mark(name)
        if name == "sync/snap":
            shutil.rmtree(one.folder / "data" / "version-2")
        one.start(mode=b"Mode: follower")
        talk.wait_for("PING", 1, 3)
        if name != "sync/snap":
            one.stop()
            talk.forget(1)
    client.leave()


def truncation(talk, servers):
    """The leader logs what nobody else gets, and comes back when there is another leader."""
    one, two, three, _ = servers
    talk.mark("trunc/alone")
    client = Client(three)
    client.ask("create", wire.create_body("/t", b"kept"))
    for follower in (1, 2):
        committed(talk, 3, follower)
    talk.hold(3)
    logged = len(log_of(three))
    client.send("create", wire.create_body("/u", b"lost"))
    while len(log_of(three)) == logged:
        time.sleep(0.05)
    three.stop()
    client.leave()
    talk.mark("trunc/election")
    talk.forget(3)
    for server in (one, two):
        server.wait(b"Mode: leader", b"Mode: follower")
    talk.mark("trunc/return")
    three.start(mode=b"Mode: follower")
    talk.wait_for("TRUNC", None, 3)
    leader = 2 if two.serves(b"Mode: leader") else 1
    talk.wait_for("PING", 3, leader)


def log_of(server):
    return list(files.log_records(server.files("log")[-1]))


def reconfiguration(talk, servers):
    """The leader is to leave, and names who should lead then."""
    leader = next(server for server in servers if server.serves(b"Mode: leader"))
    observer = servers[3]
    observer.wait(b"Mode: observer")
    talk.mark("reconfig/before")
    others = [server.sid for server in servers[:3] if server is not leader]
    for sid in (*others, 4):
        talk.wait_for("PING", sid, leader.sid)
    talk.mark("reconfig/leader-leaves")
    client = Client(leader)
    client.ask("auth", wire.auth_body(*SUPER_AUTH), xid=-4)
    client.send("reconfig", ustring(None) + ustring(str(leader.sid)) + ustring(None) + i64(-1))
    for sid in others:
        talk.wait_for("COMMITANDACTIVATE", leader.sid, sid)
    talk.wait_for("INFORMANDACTIVATE", leader.sid, 4)
    # The two that stay follow the one that was named, and so does the observer.
    for kind in ("FOLLOWERINFO", "OBSERVERINFO", "UPTODATE"):
        talk.wait_for(kind)
    client.leave()


def record_groups(class_path, folder, flags, before):
    """Groups and weights, and a server with two addresses. Returns what they said; connections are counted on."""
    groups = ["group.1=1:2", "group.2=3", "weight.1=2", "weight.3=3"]
    flags = [*flags, "zookeeper.multiAddress.enabled=true"]
    servers = ensemble(class_path, folder, CONFIG + groups, flags, hosts={2: ["localhost", "127.0.0.1"]})
    talk = Talk(servers, before.connections)
    try:
        talk.mark("groups/start")
        for server in servers:
            server.start(mode=None)
        for server in servers:
            server.wait(b"Mode: leader", b"Mode: follower")
        for server in servers:
            if server.serves(b"Mode: follower"):
                talk.wait_for("PING", server.sid)
    finally:
        for server in servers:
            server.stop()
    return talk
