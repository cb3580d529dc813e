"""Closing and expiry of sessions, and what becomes of their nodes."""

import time

import wire
from client import ANSWER_SECONDS
from harness import scenario


@scenario("sessions/close")
def close(s):
    """Ephemerals go in one transaction, watchers are told, others stay."""
    c, w = s.start(), s.open("w")
    p = s.root
    c.create(p + "/a")
    for path in ("/e1", "/e2", "/a/e3"):
        c.create(p + path, b"", flags=1)
    c.create(p + "/stays")
    w.add_watch(p, 1)
    w.get_children(p, True)
    w.get_children(p + "/a", True)
    w.exists(p + "/e1", True)
    with s.unordered():
        c.close_session()
        w.ping()
    w.get_children2(p)
    w.exists(p)
    w.exists(p + "/a")


@scenario("sessions/close-tells-its-own-watches")
def close_own_watches(s):
    c = s.start()
    p = s.root
    c.create(p + "/e", b"", flags=1)
    c.exists(p + "/e", True)
    c.get_children(p, True)
    c.add_watch(p, 1)
    with s.unordered():
        c.close_session()


@scenario("sessions/close-behind-requests")
def close_behind(s):
    """Requests ahead of the close are answered; the close comes last."""
    c, other = s.start(), s.open("o")
    p = s.root
    sent = [
        ("create", c.path_reply, c.send("create", wire.create_body(p + "/e", b"", flags=1))),
        ("create", c.path_reply, c.send("create", wire.create_body(p + "/n"))),
        ("getData", c.data_reply, c.send("getData", wire.path_watch_body(p + "/e"))),
        ("closeSession", None, c.send("closeSession", b"")),
    ]
    for op, decode, xid in sent:
        c.reply(op, "", decode, xid)
    c.expect_close("rest")
    s.sessions.pop(c.session)
    other.get_children2(p)


@scenario("sessions/a-new-one-per-connect")
def new_per_connect(s):
    for _ in range(3):
        s.client().connect()


def wait_gone(client, path, what):
    """Polls until a node is gone; a session's end has no other sign."""
    deadline = time.monotonic() + ANSWER_SECONDS
    began = time.monotonic()
    while client.exists_quietly(path):
        if time.monotonic() > deadline:
            client.log(f"{what} -> still there")
            return None
        time.sleep(0.02)
    client.log(f"{what} -> gone")
    return time.monotonic() - began


@scenario("sessions/expiry-of-a-dropped-connection")
def expiry_dropped(s):
    c, w = s.start(), s.open("w")
    p = s.root
    short = s.client("short")
    short.connect(timeout=1000)
    short.create(p + "/e", b"", flags=1)
    short.drop()
    waited = wait_gone(w, p + "/e", "ephemeral of the dropped session")
    early = waited is not None and waited < 0.9
    w.log("too early" if early else "not before its time")
    w.get_children2(p)
    again = s.resume(short)
    again.expect_close("rest")
    c.ping()


@scenario("sessions/expiry-of-a-silent-connection")
def expiry_silent(s):
    """The connection is closed without a message."""
    w = s.start()
    p = s.root
    short = s.client("short")
    short.connect(timeout=1000)
    short.create(p + "/e", b"", flags=1)
    short.expect_close("silence")
    wait_gone(w, p + "/e", "ephemeral")
    s.resume(short).expect_close("rest")


@scenario("sessions/expiry-and-watchers")
def expiry_watchers(s):
    w = s.start()
    p = s.root
    short = s.client("short")
    short.connect(timeout=1000)
    short.create(p + "/e", b"", flags=1)
    w.exists(p + "/e", True)
    w.get_children(p, True)
    short.drop()
    # The first event is the sign; a ping behind it brings the rest.
    w.wait_event()
    w.ping()
    w.exists(p)


@scenario("sessions/requests-keep-it-alive")
def kept_alive(s):
    """Reads, pings and writes touch the session; auth packets do not."""
    c = s.client()
    c.connect(timeout=1000)
    for step in range(9):
        time.sleep(0.35)
        if step % 3 == 0:
            c.ping()
        elif step % 3 == 1:
            c.exists("/")
        else:
            c.set_watches(0)
    c.log("alive")


@scenario("sessions/auth-does-not-keep-it-alive")
def auth_touch(s):
    c, w = s.client(), s.open("w")
    c.connect(timeout=1000)
    c.create(s.root, b"", flags=1)
    deadline = time.monotonic() + 5
    while w.exists_quietly(s.root) and time.monotonic() < deadline:
        c.send("auth", wire.auth_body("digest", b"a:b"), xid=-4)
        time.sleep(0.1)
    w.exists(s.root)


@scenario("sessions/renewal-keeps-it-alive")
def renewal_alive(s):
    """A reconnect renews with the newly negotiated timeout."""
    c = s.client()
    # Long enough for a create and a reconnect on a machine that is busy otherwise.
    c.connect(timeout=4000)
    c.create(s.root, b"", flags=1)
    again = s.resume(c, timeout=20000)
    time.sleep(6)
    again.exists(s.root)


def open_in_the_end(s, label):
    """A session on a connection of which an earlier one may take the place."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        client = s.client(label)
        client.wire.send(wire.frame(wire.connect_request()))
        payload = client.wire.read_frame()
        if payload is not None:
            return client
        client.drop()
        time.sleep(0.05)
    s.log(f"{label} -> never let in")
    return None


@scenario("sessions/connection-limit", profile="limit")
@scenario("sessions/connection-total", profile="total")
def connection_limit(s):
    """Three per address, or altogether: the fourth is closed at once."""
    clients = [open_in_the_end(s, f"c{number}") for number in (1, 2, 3)]
    fourth = s.client("fourth")
    fourth.wire.send(wire.frame(wire.connect_request()))
    fourth.expect_close("over the limit")
    clients[0].ping()
    clients[0].drop()
    if open_in_the_end(s, "fifth"):
        s.log("a place that became free is given again")
