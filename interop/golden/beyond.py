"""What no call of the Java client sends: frames made by hand, answered by a Java server."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "drivers" / "raw"))

import wire  # noqa: E402
from client import Connection  # noqa: E402
from wire import OPCODES, boolean, buffer, frame, i32, i64, ustring  # noqa: E402

PERSISTENT, RECURSIVE = 0, 1
CHILDREN, DATA, ANY, PERSISTENT_TYPE, RECURSIVE_TYPE = range(1, 6)


class Beyond:
    """One connection after the other, each step with a name."""

    def __init__(self, trace):
        self.trace = trace
        self.door = trace.door("beyond")
        self.xid = 0

    def open(self, name, **fields):
        """A connection; returns (session, password) from the answer, or None without one."""
        self.trace.mark("raw", "connect/" + name)
        self.wire = Connection(("127.0.0.1", self.door.port))
        self.wire.send(frame(wire.connect_request(**fields)))
        answer = self.wire.read_frame()
        if answer is None:
            return None
        reader = wire.Reader(answer)
        reader.i64()
        return reader.i64(), reader.buffer()

    def ask(self, name, op, body, xid=None):
        """A request and its answer; the events before it are in the trace."""
        self.trace.mark("raw", name)
        self.xid += 1
        xid = self.xid if xid is None else xid
        self.wire.send(frame(i32(xid) + i32(OPCODES.get(op, op)) + body))
        while (answer := self.wire.read_frame()) is not None and answer[:4] == i32(-1):
            pass
        return answer

    def end(self, name):
        self.ask("close/" + name, "closeSession", b"")
        self.closed()

    def closed(self):
        """Waits until the server has closed the connection."""
        self.wire.read_to_end()
        self.drop()

    def drop(self):
        """Closes the connection; the session stays."""
        self.wire.close()
        self.door.wait_until_quiet()


def record(trace):
    beyond = Beyond(trace)
    old_client(beyond)
    watches(beyond)
    elements(beyond)
    refusals(beyond)
    beyond.open("left-open", timeout=60_000)
    beyond.ask("create/left-open", "create", wire.create_body("/raw/left-open", b"e", flags=1))
    beyond.ask("error/set-data-null-path", "setData", ustring(None) + buffer(b"") + i32(-1))
    beyond.drop()


def old_client(beyond):
    session = beyond.open("without-read-only-byte", read_only=None, timeout=12_345)
    beyond.ask("ping/numbered", "ping", b"", xid=55)
    beyond.drop()
    beyond.open("renew-without-read-only-byte", read_only=None, session=session[0], passwd=session[1])
    beyond.ask("sasl/not-configured", "sasl", buffer(b""))
    beyond.ask("get-ephemerals/null-prefix", "getEphemerals", ustring(None))
    beyond.ask("sync/null-path", "sync", ustring(None))
    beyond.ask("auth/numbered", "auth", wire.auth_body("digest", b"ann:pw"))
    beyond.ask("auth/ip", "auth", wire.auth_body("ip", None), xid=-4)
    beyond.ask("auth/refused", "auth", wire.auth_body("nobody", b"x"), xid=-4)
    beyond.closed()
    beyond.open("after-refused-auth", session=session[0], passwd=session[1])
    beyond.ask("unknown/operation", 99, b"")
    beyond.closed()
    beyond.open("after-unknown-operation", session=session[0], passwd=session[1])
    beyond.end("old-client")
    beyond.open("ahead-of-the-server", last_zxid=0x7FFF_0000_0000)
    beyond.drop()


def watches(beyond):
    beyond.open("for-watches", passwd=b"")
    beyond.ask("get-data/for-check", "getData", wire.path_watch_body("/app", 1))
    beyond.ask("check-watches/data", "checkWatches", ustring("/app") + i32(DATA))
    beyond.ask("check-watches/none", "checkWatches", ustring("/app") + i32(CHILDREN))
    beyond.ask("check-watches/bad-type", "checkWatches", ustring("/app") + i32(9))
    beyond.ask("remove-watches/none", "removeWatches", ustring("/app") + i32(CHILDREN))
    beyond.ask("add-watch/bad-mode", "addWatch", ustring("/app") + i32(2))
    beyond.ask("set-watches/missed", "setWatches", wire.set_watches_body(2, ["/app"], ["/app"], ["/app"]), xid=-8)
    beyond.ask("set-watches/null-list", "setWatches", wire.set_watches_body(2, ["/app"], None, []))
    beyond.end("watches")


def elements(beyond):
    beyond.open("for-multi")
    beyond.ask(
        "multi/create2",
        "multi",
        wire.multi_body([
            ("create2", wire.create_body("/raw", b"raw")),
            ("create", wire.create_body("/raw/c-", b"c", flags=4)),
            ("setData", wire.set_data_body("/raw", None, 0)),
        ]),
    )  # fmt: skip
    beyond.ask("multi/empty", "multi", wire.multi_body([]))
    beyond.ask("create2/sequential", "create2", wire.create_body("/raw/", b"", flags=2))
    beyond.ask(
        "multi-read/refused",
        "multiRead",
        wire.multi_body([("getData", wire.path_watch_body("/raw", True)), ("delete", wire.path_version_body("/raw"))]),
    )
    beyond.ask("get-children2/root-as-empty", "getChildren2", wire.path_watch_body("", False))
    beyond.ask("exists/zero-byte", "exists", wire.path_watch_body("/a\0b", False))
    beyond.end("multi")


def refusals(beyond):
    beyond.open("for-refusals")
    beyond.ask("error/ttl-flags", "create", wire.create_body("/raw/t", b"", flags=5))
    beyond.ask("error/unknown-flags", "create", wire.create_body("/raw/t", b"", flags=7))
    beyond.ask("error/null-acl", "create", wire.create_body("/raw/t", b"", acl=None))
    beyond.ask("error/bad-path", "create", wire.create_body("nope", b""))
    beyond.ask("remove-watches/persistent-none", "removeWatches", ustring("/app") + i32(PERSISTENT_TYPE))
    beyond.ask("add-watch/persistent-again", "addWatch", ustring("/raw") + i32(PERSISTENT))
    beyond.ask("check-watches/persistent", "checkWatches", ustring("/raw") + i32(PERSISTENT_TYPE))
    beyond.ask("remove-watches/persistent", "removeWatches", ustring("/raw") + i32(PERSISTENT_TYPE))
    beyond.ask("add-watch/recursive-again", "addWatch", ustring("/raw") + i32(RECURSIVE))
    beyond.ask("remove-watches/recursive", "removeWatches", ustring("/raw") + i32(RECURSIVE_TYPE))
    beyond.ask("error/get-data-short", "getData", ustring("/raw"))
    beyond.ask("error/multi-unknown-element", "multi", wire.multi_header(77) + i64(0))
    beyond.ask("multi/bad-flags", "multi", wire.multi_body([("create", wire.create_body("/raw/t", b"", flags=7))]))
    beyond.ask("exists/any-true", "exists", ustring("/raw") + boolean(7))
    beyond.end("refusals")


def record_unidentified(trace):
    """At a server that serves only those who have shown who they are."""
    beyond = Beyond(trace)
    beyond.open("unidentified")
    beyond.ask("error/unidentified", "getData", wire.path_watch_body("/", False))
    beyond.closed()
