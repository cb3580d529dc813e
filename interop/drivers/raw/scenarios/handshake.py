"""The connect frame in all its forms."""

import wire
from harness import scenario
from wire import frame


@scenario("handshake/read-only-byte")
def read_only_byte(s):
    for read_only in (None, False, True, 7):
        s.log(f"-- readOnly={read_only}")
        s.client().connect(read_only=read_only)


@scenario("handshake/timeouts")
def timeouts(s):
    for timeout in (0, 1, -1, -5, -(2**31), 999, 1000, 1001, 5000, 59999, 60000, 60001, 10**8, 2**31 - 1):
        s.log(f"-- timeout={timeout}")
        s.client().connect(timeout=timeout)


@scenario("handshake/default-timeouts", profile="plain")
def default_timeouts(s):
    for timeout in (0, 1, 1001, 9999, 10001, 10**8):
        s.log(f"-- timeout={timeout}")
        s.client().connect(timeout=timeout)


@scenario("handshake/protocol-version")
def protocol_version(s):
    for version in (1, 7, -1, 2**31 - 1):
        s.log(f"-- version={version}")
        s.client().connect(version=version)


@scenario("handshake/password-of-a-new-session")
def password_of_new(s):
    for passwd in (None, b"", b"x", b"\1" * 15, b"\1" * 17, b"\xff" * 1000):
        s.log(f"-- passwd {None if passwd is None else len(passwd)}")
        s.client().connect(passwd=passwd)


@scenario("handshake/trailing-bytes")
def trailing_bytes(s):
    for extra in (b"\0", b"ruok", b"x" * 100_000):
        c = s.client()
        c.wire.send(frame(wire.connect_request() + extra))
        c.read_connect_reply()
        c.ping()


@scenario("handshake/broken")
def broken(s):
    """What cannot be read as a connect frame closes the connection."""
    good = wire.connect_request(read_only=None)
    forms = {
        "length 0": frame(b""),
        "length 10": frame(b"\0" * 10),
        "length 27": frame(good[:27]),
        "length 43": frame(good[:43]),
        "length -1": wire.i32(-1) + good,
        "length min": wire.i32(-(2**31)) + good,
        "length over limit": wire.i32(0xFFFFF + 1) + good,
        "length max": wire.i32(2**31 - 1) + good,
        "passwd length -2": frame(good[:24] + wire.i32(-2) + b"\0" * 16),
        "passwd length 17": frame(good[:24] + wire.i32(17) + b"\0" * 16),
        "passwd length max": frame(good[:24] + wire.i32(2**31 - 1) + b"\0" * 16),
        "text": b"GET / HTTP/1.1\r\n\r\n",
        "unknown word": b"quit",
        "tls hello": bytes.fromhex("16030100c8010000c40303") + b"\x55" * 190,
    }
    for shown, data in forms.items():
        c = s.client()
        c.wire.send(data)
        c.expect_close(shown)


@scenario("handshake/largest-frame")
def largest_frame(s):
    c = s.client()
    body = wire.connect_request()
    c.wire.send(frame(body + b"\0" * (0xFFFFF - len(body))))
    c.read_connect_reply()


@scenario("handshake/byte-by-byte")
def byte_by_byte(s):
    c = s.client()
    for byte in frame(wire.connect_request()):
        c.wire.send(bytes([byte]))
    c.read_connect_reply()
    for byte in frame(wire.i32(1) + wire.i32(wire.OPCODES["exists"]) + wire.path_watch_body("/")):
        c.wire.send(bytes([byte]))
    c.reply("exists", "/", c.stat_reply, 1)


@scenario("handshake/pipelined")
def pipelined(s):
    """Everything a client has to say in one write, before any answer."""
    c = s.client()
    ops, path = wire.OPCODES, s.root
    secret = [(31, "auth", "")]
    requests = [
        (-4, ops["auth"], wire.auth_body("digest", b"eve:pw")),
        (-8, ops["setWatches"], wire.set_watches_body(0, [], [path], [])),
        (1, ops["create"], wire.create_body(path, b"one", secret)),
        (2, ops["getData"], wire.path_watch_body(path, True)),
        (3, ops["setData"], wire.set_data_body(path, b"two")),
        (4, ops["getACL"], wire.ustring(path)),
        (-2, ops["ping"], b""),
    ]
    data = frame(wire.connect_request())
    for xid, kind, body in requests:
        data += frame(wire.i32(xid) + wire.i32(kind) + body)
    c.wire.send(data)
    c.read_connect_reply()
    c.reply("auth", "", None, -4)
    c.reply("setWatches", "", None, -8)
    c.reply("create", "", c.path_reply, 1)
    c.reply("getData", "", c.data_reply, 2)
    c.reply("setData", "", c.stat_reply, 3)
    c.reply("getACL", "", c.acl_reply, 4)
    c.reply("ping", "", None, -2)


@scenario("handshake/renewal")
def renewal(s):
    c = s.start()
    c.create(s.root + "/e", b"", flags=1)
    s.log("-- on a new connection; the old one is closed")
    again = s.resume(c, timeout=5000)
    c.expect_close("old connection")
    again.exists(s.root + "/e")
    s.log("-- without the read-only byte")
    third = s.resume(again, "c1''", read_only=None, timeout=40000)
    again.expect_close("second connection")
    third.exists(s.root + "/e")
    s.log("-- after the connection was dropped")
    third.drop()
    fourth = s.resume(third, "c1'''")
    fourth.exists(s.root + "/e")
    fourth.ephemerals("/")


@scenario("handshake/wrong-password")
def wrong_password(s):
    for passwd in (b"\0" * 16, b"", None, b"short", b"\1" * 17):
        c = s.open()
        s.log(f"-- passwd {None if passwd is None else len(passwd)}")
        thief = s.client("thief")
        thief.connect(session=c.session, passwd=passwd)
        thief.expect_close("thief")
        c.try_ping()
        c.drop()
        s.log("-- the session lives on")
        s.resume(c, "owner").ping()
    s.log("-- without the read-only byte")
    c = s.open()
    thief = s.client("thief")
    thief.connect(session=c.session, passwd=b"no", read_only=None)
    thief.expect_close("thief")


@scenario("handshake/right-password-and-more")
def password_longer(s):
    c = s.open()
    c.drop()
    thief = s.client("thief")
    thief.connect(session=c.session, passwd=c.passwd + b"\0")
    thief.expect_close("thief")
    s.resume(c, "owner").ping()


@scenario("handshake/unknown-session")
def unknown_session(s):
    """Formula-true passwords included: knowing the formula is no session."""
    for session in (1, -1, 0x0100_0000_0000_0001, 0x7FFF_FFFF_FFFF_FFFF, -(2**63)):
        for passwd in (b"\0" * 16, wire.password_of(session)):
            c = s.client()
            s.canon.sessions.setdefault(session, f"fake{session:x}")
            c.connect(session=session, passwd=passwd)
            c.expect_close("rest")


@scenario("handshake/closed-session")
def closed_session(s):
    c = s.open()
    c.close_session()
    again = s.resume(c)
    again.expect_close("rest")


@scenario("handshake/last-zxid")
def last_zxid(s):
    c = s.start()
    now = c.last_zxid
    # A connect that is let in takes a zxid itself, so the offsets are spread.
    for offset in (1000, 10**6, 2**62):
        ahead = s.client()
        s.log(f"-- ahead by {offset}")
        ahead.connect(last_zxid=now + offset)
    for offset in (0, -1):
        s.log(f"-- at {offset}")
        s.client().connect(last_zxid=now + offset)
    s.log("-- negative")
    s.client().connect(last_zxid=-1)
    s.client().connect(last_zxid=-(2**63))
    s.log("-- renewal from ahead keeps the old connection")
    s.resume(c, "ahead", last_zxid=now + 10**6)
    c.ping()


@scenario("handshake/second-connect-frame")
def second_connect(s):
    """It is read as a request: xid 0, type 0."""
    c = s.open()
    c.wire.send(frame(wire.connect_request()))
    c.expect_close("second connect")


@scenario("handshake/sessionless")
def sessionless(s):
    """A connection without a handshake is closed in the end."""
    silent, half = s.client("silent"), s.client("half")
    half.wire.send(frame(wire.connect_request())[:20])
    silent.expect_close("nothing sent")
    half.expect_close("half a frame sent")
