"""Frames behind the handshake: broken ones, odd ones, unknown ones."""

import wire
from client import Closed
from harness import scenario
from wire import OPCODES, boolean, buffer, frame, i32, i64, ustring


def bodies(path):
    """A well-formed body for every opcode that has one."""
    return {
        "create": wire.create_body(path + "/new"),
        "create2": wire.create_body(path + "/new"),
        "createContainer": wire.create_body(path + "/new", flags=4),
        "createTTL": wire.create_ttl_body(path + "/new"),
        "delete": wire.path_version_body(path + "/new"),
        "exists": wire.path_watch_body(path),
        "getData": wire.path_watch_body(path),
        "getChildren": wire.path_watch_body(path),
        "getChildren2": wire.path_watch_body(path),
        "setData": wire.set_data_body(path, b"x"),
        "getACL": ustring(path),
        "setACL": wire.set_acl_body(path, wire.OPEN),
        "sync": ustring(path),
        "multi": wire.multi_body([("setData", wire.set_data_body(path, b"x"))]),
        "multiRead": wire.multi_body([("getData", wire.path_watch_body(path))]),
        "reconfig": ustring("a") + ustring("b") + ustring(None) + i64(-1),
        "setWatches": wire.set_watches_body(0, [path], [path], [path]),
        "setWatches2": wire.set_watches_body(2**60, [path], [path + "/no"], [path], [path], [path]),
        "addWatch": ustring(path) + i32(0),
        "checkWatches": ustring(path) + i32(1),
        "removeWatches": ustring(path) + i32(1),
        "getEphemerals": ustring(path),
        "getAllChildrenNumber": ustring(path),
    }


@scenario("frames/truncated-body")
def truncated_body(s):
    """A record that ends early is refused and the connection stays."""
    c = s.start()
    for op, body in bodies(s.root).items():
        for cut in sorted({0, 3, 4, 5, len(body) // 2, len(body) - 1}):
            c.call(op, f"cut at {cut}", body[:cut])
    c.get_data(s.root)
    c.get_children(s.root)


@scenario("frames/null-path")
def null_path(s):
    c = s.start()
    ttl = i64(1000)
    acl = wire.acl_list(wire.OPEN)
    rest = {
        "create": buffer(b"") + acl + i32(0),
        "create2": buffer(b"") + acl + i32(0),
        "createContainer": buffer(b"") + acl + i32(4),
        "createTTL": buffer(b"") + acl + i32(5) + ttl,
        "delete": i32(-1),
        "exists": boolean(False),
        "getData": boolean(False),
        "getChildren": boolean(False),
        "getChildren2": boolean(False),
        "setData": buffer(b"") + i32(-1),
        "getACL": b"",
        "setACL": acl + i32(-1),
        "sync": b"",
        "addWatch": i32(0),
        "checkWatches": i32(1),
        "removeWatches": i32(1),
        "getAllChildrenNumber": b"",
        "getEphemerals": b"",
    }
    for op, tail in rest.items():
        decode = {"sync": c.string_reply, "getEphemerals": c.names_reply, "addWatch": c.int_reply}
        c.call(op, "null", ustring(None) + tail, decode.get(op))
        c.ping()


@scenario("frames/wrong-lengths")
def wrong_lengths(s):
    c = s.start()
    good = s.root.encode()
    for length in (-2, -(2**31), len(good) + 100, 0xFFFFF, 2**31 - 1):
        c.call("exists", f"path length {length}", i32(length) + good + b"\0")
    data = ustring(s.root + "/new")
    for length in (-2, 5, 2**31 - 1):
        c.call("create", f"data length {length}", data + i32(length) + b"x")
    for count in (-1, -2, -5, 0, 2, 2**31 - 1):
        body = data + buffer(b"") + i32(count) + wire.acl_entry(wire.OPEN[0])
        c.call("create", f"acl count {count}", body + i32(0))
    for count in (-1, -2, 3, 2**31 - 1):
        lists = i32(count) + ustring(s.root) + wire.vector([], ustring) * 2
        c.call("setWatches", f"count {count}", i64(2**60) + lists)
    for count in (-1, -2, 3):
        lists = wire.vector([], ustring) * 3 + i32(count) + wire.vector([], ustring)
        c.call("setWatches2", f"count {count}", i64(2**60) + lists)
    c.exists(s.root)


@scenario("frames/trailing-bytes")
def trailing_bytes(s):
    """Bytes behind a complete record are ignored."""
    c = s.start()
    extra = b"\xde\xad\xbe\xef" * 3
    decoders = {
        "create": c.path_reply, "create2": c.path_stat_reply, "createContainer": c.path_stat_reply,
        "createTTL": c.path_stat_reply, "exists": c.stat_reply, "getData": c.data_reply,
        "getChildren": c.names_reply, "getChildren2": c.names_stat_reply, "setData": c.stat_reply,
        "getACL": c.acl_reply, "setACL": c.stat_reply, "sync": c.string_reply,
        "multi": c.multi_reply, "multiRead": c.multi_reply, "addWatch": c.int_reply,
        "getEphemerals": c.names_reply, "getAllChildrenNumber": c.int_reply,
    }  # fmt: skip
    for op, body in bodies(s.root).items():
        c.call(op, "and more", body + extra, decoders.get(op))
        if op.startswith("create"):
            c.delete(s.root + "/new")
    c.call("ping", "and more", extra, xid=-2)
    c.call("whoAmI", "and more", extra, c.clients_reply)
    c.call("auth", "and more", wire.auth_body("digest", b"a:b") + extra, xid=-4)
    c.call("closeSession", "and more", extra)
    c.expect_close("rest")


@scenario("frames/bad-header")
def bad_header(s):
    """What has no whole header, or no believable length, closes."""
    forms = {
        "length 0": frame(b""),
        "length 4": frame(i32(1)),
        "length 7": frame(b"\0" * 7),
        "length -1": i32(-1),
        "length over limit": i32(0xFFFFF + 1),
        "length max": i32(2**31 - 1),
        "ruok": b"ruok",
        "srvr": b"srvr",
    }
    for shown, data in forms.items():
        c = s.open()
        c.wire.send(data)
        c.expect_close(shown)
        s.resume(c, "again").ping()


@scenario("frames/over-limit-is-not-executed")
def over_limit(s):
    c = s.start()
    path = s.root + "/big"
    empty = len(wire.create_body(path)) + 8
    for size in (0xFFFFF - empty, 0xFFFFF - empty + 1):
        data = b"x" * size
        try:
            s.log(f"-- frame of {empty + size}")
            c.create(path, data)
            c.get_data(path)
            c.delete(path)
        except Closed:
            c = s.resume(c)
            c.exists(path)


@scenario("frames/unknown-opcode")
def unknown_opcode(s):
    """Refused, then closed; the session survives."""
    s.start()
    for kind in (0, 10, 13, 23, 99, 108, 1000, -1, -2, -9, -12, 2**31 - 1, -(2**31)):
        c = s.open()
        s.log(f"-- type {kind}")
        c.send("check", wire.path_version_body(s.root), kind=kind)
        c.expect_close("unknown")
        s.resume(c, "again").ping()


@scenario("frames/unknown-opcode-in-a-row")
def unknown_in_a_row(s):
    """A request ahead of it is carried out, if perhaps not answered.

    Whether one behind it still is depends on how far the server had read.
    """
    c = s.start()
    c.send("setData", wire.set_data_body(s.root, b"before"))
    c.send("setData", b"", kind=99)
    while c.wire.read_frame() is not None:
        pass
    again = s.resume(c)
    again.get_data(s.root)


@scenario("frames/internal-opcodes")
def internal_opcodes(s):
    """createSession and deleteContainer are the server's own."""
    c = s.start()
    c.create_container(s.root + "/c")
    c.create(s.root + "/p")
    for op, body in (
        ("createSession", i32(30000)),
        ("createSession", b""),
        ("deleteContainer", ustring(s.root + "/c")),
        ("deleteContainer", ustring(s.root + "/p")),
        ("deleteContainer", (s.root + "/c").encode()),
        ("deleteContainer", b""),
    ):
        other = s.open()
        s.log(f"-- {op} {body[:8].hex()}")
        other.send(op, body)
        other.wire.send(frame(i32(77) + i32(OPCODES["ping"])))
        try:
            payload = other.wire.read_frame()
            if payload is None:
                other.log("first frame -> closed")
            elif len(payload) == 16:
                reader = wire.Reader(payload)
                xid, _zxid, err = reader.i32(), reader.i64(), reader.i32()
                other.log(f"first frame xid={xid} err={err}")
            else:
                other.log(f"first frame of {len(payload)} bytes")
        finally:
            other.wire.close()
    c.get_children(s.root)


@scenario("frames/xids")
def xids(s):
    """Echoed, whatever they are; only ping answers with its own."""
    c = s.start()
    for xid in (0, 5, 5, -1000, -4, -8, -2, 2**31 - 1, -(2**31), 3):
        c.call("exists", f"xid {xid}", wire.path_watch_body(s.root), c.stat_reply, xid=xid)
        c.call("setData", f"xid {xid}", wire.set_data_body(s.root, b""), c.stat_reply, xid=xid)
    for xid in (-2, 55, 0, -4):
        c.ping(xid)
    c.auth("digest", b"a:b", xid=66)
    c.set_watches(0, xid=67)
    c.set_watches2(0, xid=68)


@scenario("frames/booleans")
def booleans(s):
    c = s.start()
    w = s.open("w")
    w.call("getData", "watch=7", ustring(s.root) + boolean(7), w.data_reply)
    w.call("getChildren", "watch=255", ustring(s.root) + boolean(255), w.names_reply)
    c.set_data(s.root, b"x")
    c.create(s.root + "/x")
    w.ping()


@scenario("frames/pipelined-mix")
def pipelined_mix(s):
    """Replies leave in the order of the requests, reads behind writes."""
    c = s.start()
    sent = []
    for turn in range(60):
        path = f"{s.root}/n{turn}"
        sent.append(("create", c.path_reply, c.send("create", wire.create_body(path, b"%d" % turn))))
        sent.append(("getData", c.data_reply, c.send("getData", wire.path_watch_body(path, True))))
        sent.append(("setData", c.stat_reply, c.send("setData", wire.set_data_body(path, b"new"))))
        sent.append(("exists", c.stat_reply, c.send("exists", wire.path_watch_body(path))))
        if turn % 3 == 0:
            sent.append(("delete", None, c.send("delete", wire.path_version_body(path))))
        if turn % 7 == 0:
            sent.append(("ping", None, c.send("ping", b"", xid=-2)))
        sent.append(("getChildren2", c.names_stat_reply, c.send("getChildren2", wire.path_watch_body(s.root))))
    for op, decode, xid in sent:
        c.reply(op, "", decode, xid)


@scenario("frames/not-utf8")
def not_utf8(s):
    """Malformed text is read leniently; paths then refuse what came out."""
    c = s.start()
    root = s.root.encode()
    for raw in (b"/\xff", b"/\xc3", b"/\xed\xa0\x80", b"/\xf0\x9f\x98\x80", b"/\xc0\x80"):
        c.create(root + raw)
        c.call("exists", raw.hex(), wire.path_watch_body(root + raw), c.stat_reply)
        c.call("getData", raw.hex(), wire.path_watch_body(root + raw), c.data_reply)
        c.call("sync", raw.hex(), ustring(root + raw), c.string_reply)
    for raw in (b"u\xff:h", b"\xf0\x9f\x98\x80:h"):
        path = s.root + "/acl"
        c.create(path, b"", [(31, "world", "anyone"), (1, "digest", raw)])
        c.get_acl(path)
        c.delete(path)


@scenario("frames/replies-not-read")
def replies_not_read(s):
    """A client that asks on and on without reading gets every answer, in order."""
    c = s.start()
    c.create(s.root + "/n", b"x" * 100_000)
    body = wire.path_watch_body(s.root + "/n")
    data = b"".join(frame(i32(xid) + i32(OPCODES["getData"]) + body) for xid in range(300))
    c.wire.send(data)
    wrong = 0
    for xid in range(300):
        payload = c.read("a reply")
        wrong += payload[:4] != i32(xid) or len(payload) != 16 + 4 + 100_000 + 68
    c.log(f"wrong or out of order: {wrong}")
    c.ping()


@scenario("frames/large-replies")
def large_replies(s):
    """After each reply of almost a megabyte and more the next request is read."""
    c = s.start()
    path = s.root + "/big"
    size = 0xFFFFF - len(wire.create_body(path)) - 8
    c.create(path, b"x" * size)
    for turn in range(40):
        sent = [c.send("setData", wire.set_data_body(s.root, b"%d" % turn))]
        sent.append(c.send("getData", wire.path_watch_body(path)))
        c.reply("setData", "", c.stat_reply, sent[0])
        c.reply("getData", "", c.data_reply, sent[1])
        c.set_data(s.root, b"")


@scenario("frames/small-limit", profile="limit")
def small_limit(s):
    """jute.maxbuffer bounds frames, not what a reply may hold."""
    c = s.start()
    path = s.root + "/n"
    empty = len(wire.create_body(path)) + 8
    c.create(path, b"x" * (4096 - empty))
    for number in range(4):
        c.create(f"{s.root}/{'y' * 2000}{number}")
    c.get_children(s.root)
    c.send("setData", wire.set_data_body(path, b"x" * 4090))
    c.expect_close("setData of 4090 bytes")
