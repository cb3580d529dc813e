"""One connection to the server, and the lines that describe what it saw.

Each call sends one request, reads frames until its reply has come, and logs
the notifications it met on the way, the request, and the reply. So the log
shows the order in which the server put things on the connection.
"""

import socket

import canon
import wire
from wire import OPCODES, Reader, buffer, frame, i32, i64, ustring

# Every wait ends: a server that answers nothing within this time is reported.
ANSWER_SECONDS = 15

WRITES = {
    "create", "create2", "createContainer", "createTTL", "delete", "deleteContainer",
    "setData", "setACL", "multi", "reconfig", "closeSession",
}  # fmt: skip


# How a close by the server may show. A socket with unread input is reset.
CLOSED_BY_PEER = (BrokenPipeError, ConnectionResetError)


class Closed(Exception):
    """The server closed the connection where the scenario needed a reply."""


class Connection:
    """A socket that speaks frames. Logs nothing by itself."""

    def __init__(self, address):
        self.socket = socket.socket()
        self.socket.settimeout(ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        try:
            self.socket.connect(address)
        except CLOSED_BY_PEER:
            # Accepted and closed at once: reading will tell.
            pass

    def send(self, data):
        try:
            self.socket.sendall(data)
        except CLOSED_BY_PEER:
            # The close is reported where the reply is awaited.
            pass

    def receive(self):
        """More bytes, or b"" once the server has closed."""
        try:
            return self.socket.recv(65536)
        except CLOSED_BY_PEER:
            return b""

    def read_exactly(self, count):
        while len(self.pending) < count:
            piece = self.receive()
            if not piece:
                return None
            self.pending += piece
        out, self.pending = self.pending[:count], self.pending[count:]
        return out

    def read_frame(self):
        """One frame's payload, or None when the server has closed."""
        head = self.read_exactly(4)
        if head is None:
            return None
        return self.read_exactly(int.from_bytes(head, "big", signed=True))

    def read_to_end(self):
        out, self.pending = self.pending, b""
        while piece := self.receive():
            out += piece
        return out

    def close(self):
        self.socket.close()


class Client:
    """A connection with a name in the log and a session after `connect`."""

    def __init__(self, scenario, label):
        self.scenario = scenario
        self.canon = scenario.canon
        self.label = label
        self.wire = Connection(scenario.address)
        self.session = 0
        self.passwd = b"\0" * 16
        self.last_zxid = 0
        self.next_xid = 1
        self.with_read_only = True

    def log(self, line):
        self.scenario.log(f"{self.label} {line}")

    # The handshake.

    def connect(self, quiet=False, **fields):
        """Sends the first frame and logs the answer. True if a session came."""
        self.with_read_only = fields.get("read_only", False) is not None
        self.wire.send(frame(wire.connect_request(**fields)))
        return self.read_connect_reply(quiet)

    def read_connect_reply(self, quiet=False):
        payload = self.wire.read_frame()
        if payload is None:
            self.log("connect -> closed")
            return False
        reader = Reader(payload)
        version, timeout, session = reader.i32(), reader.i32(), reader.i64()
        passwd = reader.buffer()
        rest = reader.rest()
        known = session in self.canon.sessions or session == 0
        shown = self.canon.session(session) if known else self.canon.new_session(session)
        if not quiet:
            read_only = rest.hex() if rest else "absent"
            self.log(
                f"connect -> version={version} timeout={timeout} session={shown}"
                f" passwd={self.canon.passwd(session, passwd)} readOnly={read_only}"
            )
        if session == 0:
            return False
        self.session, self.passwd = session, passwd
        self.scenario.sessions[session] = passwd
        return True

    # Requests.

    def call(self, op, shown, body, decode=None, xid=None, kind=None):
        """One request and its reply. Returns (err, decoded value)."""
        sent = self.send(op, body, xid, kind)
        return self.reply(op, shown, decode, sent)

    def send(self, op, body, xid=None, kind=None):
        """Sends without waiting; the xid to give to `reply`."""
        if xid is None:
            xid, self.next_xid = self.next_xid, self.next_xid + 1
        number = OPCODES[op] if kind is None else kind
        self.wire.send(frame(i32(xid) + i32(number) + body))
        return xid

    def reply(self, op, shown, decode=None, xid=None):
        """Reads up to the next frame that is not a notification."""
        request = f"{op} {shown}".rstrip()
        while True:
            payload = self.read(request)
            reader = Reader(payload)
            got_xid, zxid, err = reader.i32(), reader.i64(), reader.i32()
            if got_xid == -1:
                self.log_event(zxid, err, reader)
                continue
            break
        self.last_zxid = max(self.last_zxid, zxid)
        wrote = op in WRITES and err == 0
        if wrote:
            self.canon.learn(zxid)
        odd_xid = "" if got_xid == xid else f" xid={got_xid}"
        label = f"({self.canon.zxid(zxid)})" if wrote else ""
        line = f"{request} -> {err}{odd_xid} z={self.canon.reply_zxid(zxid)}{label}"
        value = None
        if err == 0 and decode is not None:
            value, text = decode(reader)
            line += f" {text}"
        rest = reader.rest()
        if rest:
            line += f" body={rest.hex()}"
        self.log(line)
        return err, value

    def read(self, request):
        try:
            payload = self.wire.read_frame()
        except TimeoutError:
            self.log(f"{request} -> no answer")
            raise Closed(request) from None
        if payload is None:
            self.log(f"{request} -> closed")
            raise Closed(request)
        return payload

    def log_event(self, zxid, err, reader):
        kind, state, path = reader.i32(), reader.i32(), reader.ustring()
        odd = "" if (err, state) == (0, 3) else f" err={err} state={state}"
        rest = reader.rest()
        tail = f" body={rest.hex()}" if rest else ""
        event = wire.EVENTS.get(kind, kind)
        self.scenario.event(self, f"! {event} {canon.name(path)}{odd}{tail}", zxid)

    def wait_event(self):
        """Waits for one notification and logs it."""
        reader = Reader(self.read("waiting for an event"))
        xid, zxid, err = reader.i32(), reader.i64(), reader.i32()
        if xid == -1:
            self.log_event(zxid, err, reader)
        else:
            self.log(f"reply {xid} where an event was awaited")

    def expect_close(self, what):
        """Reads until the server closes, logging whatever comes before."""
        try:
            while (payload := self.wire.read_frame()) is not None:
                reader = Reader(payload)
                xid, zxid, err = reader.i32(), reader.i64(), reader.i32()
                if xid == -1:
                    self.log_event(zxid, err, reader)
                else:
                    shown = self.canon.reply_zxid(zxid)
                    self.log(f"{what} -> {err} xid={xid} z={shown} body={reader.rest().hex()}")
            self.log(f"{what} -> closed")
        except TimeoutError:
            self.log(f"{what} -> still open")
        self.wire.close()

    def drop(self):
        """Closes the socket and keeps the session."""
        self.wire.close()

    # One method per opcode.

    def create(self, path, data=b"", acl=wire.OPEN, flags=0, op="create"):
        shown = f"{canon.name(path)} data={canon.text(data)} flags={flags}"
        if acl is not wire.OPEN:
            shown += f" acl={canon.acl(acl)}"
        decode = self.path_reply if op == "create" else self.path_stat_reply
        return self.call(op, shown, wire.create_body(path, data, acl, flags), decode)

    def create2(self, path, data=b"", acl=wire.OPEN, flags=0):
        return self.create(path, data, acl, flags, "create2")

    def create_container(self, path, data=b"", acl=wire.OPEN, flags=4):
        return self.create(path, data, acl, flags, "createContainer")

    def create_ttl(self, path, data=b"", acl=wire.OPEN, flags=5, ttl=10**9):
        shown = f"{canon.name(path)} data={canon.text(data)} flags={flags} ttl={ttl}"
        body = wire.create_ttl_body(path, data, acl, flags, ttl)
        return self.call("createTTL", shown, body, self.path_stat_reply)

    def delete(self, path, version=-1):
        shown = f"{canon.name(path)} v={version}"
        return self.call("delete", shown, wire.path_version_body(path, version))

    def set_data(self, path, data, version=-1):
        shown = f"{canon.name(path)} {canon.text(data)} v={version}"
        return self.call("setData", shown, wire.set_data_body(path, data, version), self.stat_reply)

    def set_acl(self, path, acl, version=-1):
        shown = f"{canon.name(path)} {canon.acl(acl)} v={version}"
        return self.call("setACL", shown, wire.set_acl_body(path, acl, version), self.stat_reply)

    def get_acl(self, path):
        return self.call("getACL", canon.name(path), ustring(path), self.acl_reply)

    def watched(self, op, path, watch, decode):
        shown = canon.name(path) + (" watch" if watch else "")
        return self.call(op, shown, wire.path_watch_body(path, watch), decode)

    def exists(self, path, watch=False):
        return self.watched("exists", path, watch, self.stat_reply)

    def get_data(self, path, watch=False):
        return self.watched("getData", path, watch, self.data_reply)

    def get_children(self, path, watch=False):
        return self.watched("getChildren", path, watch, self.names_reply)

    def get_children2(self, path, watch=False):
        return self.watched("getChildren2", path, watch, self.names_stat_reply)

    def count(self, path):
        return self.call("getAllChildrenNumber", canon.name(path), ustring(path), self.int_reply)

    def ephemerals(self, prefix):
        return self.call("getEphemerals", canon.name(prefix), ustring(prefix), self.names_reply)

    def sync(self, path="/"):
        return self.call("sync", canon.name(path), ustring(path), self.string_reply)

    def ping(self, xid=-2):
        return self.call("ping", "", b"", xid=xid)

    def exists_quietly(self, path):
        """Whether a node is there, outside the log: for waiting on changes."""
        xid = self.send("exists", wire.path_watch_body(path))
        reader = Reader(self.read("exists"))
        got, _zxid, err = reader.i32(), reader.i64(), reader.i32()
        if got != xid:
            raise Closed(f"frame {got} where {xid} was awaited")
        return err == 0

    def try_ping(self):
        """A ping where the connection may be gone by now: logged either way."""
        try:
            self.ping()
        except Closed:
            pass

    def who_am_i(self):
        return self.call("whoAmI", "", b"", self.clients_reply)

    def auth(self, scheme, secret, xid=-4, kind=0):
        shown = f"{canon.name(scheme)} {canon.text(secret)}"
        return self.call("auth", shown, wire.auth_body(scheme, secret, kind), xid=xid)

    def sasl(self, token, xid=None):
        return self.call("sasl", canon.text(token), buffer(token), self.token_reply, xid=xid)

    def add_watch(self, path, mode):
        shown = f"{canon.name(path)} mode={mode}"
        return self.call("addWatch", shown, ustring(path) + i32(mode), self.int_reply)

    def check_watches(self, path, kind):
        return self.call("checkWatches", f"{canon.name(path)} type={kind}", ustring(path) + i32(kind))

    def remove_watches(self, path, kind):
        return self.call("removeWatches", f"{canon.name(path)} type={kind}", ustring(path) + i32(kind))

    def set_watches(self, zxid, data=(), exist=(), child=(), xid=-8):
        shown = f"z={self.canon.zxid(zxid)} data={data} exist={exist} child={child}"
        return self.call("setWatches", shown, wire.set_watches_body(zxid, data, exist, child), xid=xid)

    def set_watches2(self, zxid, data=(), exist=(), child=(), pers=(), rec=(), xid=-8):
        shown = (
            f"z={self.canon.zxid(zxid)} data={data} exist={exist} child={child}"
            f" persistent={pers} recursive={rec}"
        )
        body = wire.set_watches_body(zxid, data, exist, child, pers, rec)
        return self.call("setWatches2", shown, body, xid=xid)

    def reconfig(self, joining=None, leaving=None, members=None, version=-1):
        shown = f"{canon.name(joining)} {canon.name(leaving)} {canon.name(members)} v={version}"
        body = ustring(joining) + ustring(leaving) + ustring(members) + i64(version)
        return self.call("reconfig", shown, body, self.data_reply)

    def multi(self, elements, op="multi", shown=None):
        if shown is None:
            shown = "[" + " ".join(str(kind) for kind, _ in elements) + "]"
        return self.call(op, shown, wire.multi_body(elements), self.multi_reply)

    def multi_read(self, elements):
        return self.multi(elements, "multiRead")

    def close_session(self):
        """closeSession, then the close of the connection that must follow."""
        self.scenario.sessions.pop(self.session, None)
        self.call("closeSession", "", b"")
        self.expect_close("after closeSession")

    # Reply bodies: each returns (value, text).

    def path_reply(self, reader):
        path = reader.ustring()
        return path, f"path={canon.name(path)}"

    def path_stat_reply(self, reader):
        path, stat = reader.ustring(), reader.stat()
        return path, f"path={canon.name(path)} {self.canon.stat(stat)}"

    def stat_reply(self, reader):
        stat = reader.stat()
        return stat, self.canon.stat(stat)

    def data_reply(self, reader):
        data, stat = reader.buffer(), reader.stat()
        return data, f"{canon.text(data)} {self.canon.stat(stat)}"

    def acl_reply(self, reader):
        acl, stat = reader.acl(), reader.stat()
        return acl, f"{canon.acl(acl)} {self.canon.stat(stat)}"

    def names_reply(self, reader):
        names = reader.vector(reader.ustring)
        return names, "null" if names is None else str(sorted(names))

    def names_stat_reply(self, reader):
        names, text = self.names_reply(reader)
        return names, f"{text} {self.canon.stat(reader.stat())}"

    def int_reply(self, reader):
        number = reader.i32()
        return number, str(number)

    def string_reply(self, reader):
        value = reader.ustring()
        return value, canon.name(value)

    def token_reply(self, reader):
        token = reader.buffer()
        return token, canon.text(token)

    def clients_reply(self, reader):
        clients = reader.vector(lambda: (reader.ustring(), reader.ustring()))
        return clients, str(sorted(clients))

    def multi_reply(self, reader):
        """Every element with its header type, its code and its body."""
        shown = []
        while True:
            kind, done, err = reader.i32(), reader.boolean(), reader.i32()
            if done:
                end = "" if (kind, done, err) == (-1, 1, -1) else f" end={kind},{done},{err}"
                return shown, "[" + " | ".join(shown) + "]" + end
            odd = "" if kind == -1 or err == 0 else f" err={err}"
            shown.append(f"{kind}{odd}{self.multi_element(kind, err, reader)}")

    def multi_element(self, kind, err, reader):
        if kind == -1:
            inner = reader.i32()
            return f" {err}" + ("" if inner == err else f"/{inner}")
        decode = {
            1: self.path_reply,
            15: self.path_stat_reply,
            5: self.stat_reply,
            4: self.data_reply,
            8: self.names_reply,
        }.get(kind)
        return "" if decode is None else " " + decode(reader)[1]
