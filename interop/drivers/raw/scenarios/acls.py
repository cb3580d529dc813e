"""Authentication, the ACL list's fix-up, permission checks, masking."""

import wire
from client import Closed
from harness import SUPER, scenario
from wire import i32, ustring

from .reads import read_all

BOB = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="


@scenario("acls/auth-packet")
def auth_packet(s):
    """Which schemes are taken, and what a refusal does to the connection."""
    c = s.start()
    for scheme, secret in (
        ("digest", b"bob:pw"), ("digest", b"abc"), ("digest", b""), ("digest", b":"), ("digest", b":x"),
        ("digest", b"a:b:c"), ("digest", b"\xff\xfe:x"), ("ip", b""), ("ip", b"10.0.0.1"),
    ):  # fmt: skip
        c = s.open()
        c.auth(scheme, secret)
        c.who_am_i()
        c.ping()
    for scheme, secret in (
        ("world", b"anyone"), ("sasl", b"x"), ("super", b"x"), ("auth", b""), ("x509", b"x"), ("nosuch", b""),
        ("", b""), ("Digest", b"a:b"), (" digest", b"a:b"),
    ):  # fmt: skip
        c = s.open()
        c.auth(scheme, secret)
        c.expect_close("refused")
        s.resume(c, "again").ping()


@scenario("acls/auth-odd-packets")
def auth_odd(s):
    for shown, body in {
        "null scheme": i32(0) + ustring(None) + i32(0),
        "null auth": i32(0) + ustring("digest") + i32(-1),
        "cut": i32(0) + ustring("dig"),
        "empty": b"",
        "type 9": i32(9) + ustring("digest") + i32(3) + b"a:b",
    }.items():
        c = s.open()
        s.log(f"-- {shown}")
        try:
            c.call("auth", "", body, xid=-4)
            c.who_am_i()
        except Closed:
            pass
        c.drop()


@scenario("acls/auth-in-order")
def auth_in_order(s):
    """A request behind the packet sees the identity, one ahead does not."""
    c = s.start()
    path = s.root + "/n"
    acl = [(31, "digest", BOB)]
    c.create(path, b"x", acl)
    first = c.send("getData", wire.path_watch_body(path))
    auth = c.send("auth", wire.auth_body("digest", b"bob:pw"), xid=-4)
    second = c.send("getData", wire.path_watch_body(path))
    seen = {}
    while len(seen) < 3:
        reader = wire.Reader(c.read("pipelined auth"))
        xid, _zxid, err = reader.i32(), reader.i64(), reader.i32()
        seen[xid] = err
    c.log(f"ahead {seen[first]} auth {seen[auth]} behind {seen[second]}")


@scenario("acls/auth-is-of-the-connection")
def auth_of_connection(s):
    c = s.start()
    c.auth("digest", b"bob:pw")
    path = s.root + "/n"
    c.create(path, b"x", [(31, "auth", "")])
    c.get_data(path)
    again = s.resume(c)
    again.who_am_i()
    again.get_data(path)
    again.auth("digest", b"bob:pw")
    again.get_data(path)


@scenario("acls/several-identities")
def several_identities(s):
    c = s.start()
    for secret in (b"bob:pw", b"eve:pw", b"bob:pw", b"bob:other"):
        c.auth("digest", secret)
        c.who_am_i()
    path = s.root + "/n"
    c.create(path, b"", [(31, "auth", "ignored"), (1, "world", "anyone"), (31, "auth", "ignored")])
    c.get_acl(path)
    c.set_acl(path, [(5, "auth", ""), (31, "digest", BOB)])
    c.get_acl(path)


@scenario("acls/fix-up")
def fix_up(s):
    """Which lists are taken and what is stored of them."""
    c = s.start()
    both = [
        [], None, [(31, "world", "anyone")], [(31, "world", "anyone")] * 3,
        [(1, "world", "anyone"), (2, "world", "anyone"), (1, "world", "anyone")],
        [(31, "world", "nobody")], [(31, "world", "")], [(31, "world", None)], [(31, None, "anyone")],
        [(31, None, None)], [(31, "World", "anyone")], [(31, "", "")], [(31, "nosuch", "x")],
        [(31, "super", "x")], [(31, "super", "")], [(31, "sasl", "bob")], [(31, "x509", "CN=x")],
        [(31, "auth", "")], [(31, "auth", None)], [(31, "digest", BOB)], [(31, "digest", "bob")],
        [(31, "digest", "bob:")], [(31, "digest", ":hash")], [(31, "digest", "a:b:c")], [(31, "digest", "a:b:")],
        [(31, "digest", ":")], [(31, "digest", "")], [(31, "digest", None)], [(31, "digest", "a::b")],
        [(31, "world", "anyone"), (31, "nosuch", "x")], [(0, "world", "anyone")], [(255, "world", "anyone")],
        [(-1, "world", "anyone")],
    ]  # fmt: skip
    for number, acl in enumerate(both):
        path = f"{s.root}/n{number}"
        err, _ = c.create(path, b"", acl)
        if err == 0:
            c.get_acl(path)
        c.set_acl(s.root, acl + [(31, "world", "anyone")] if acl else acl)


@scenario("acls/ip-forms")
def ip_forms(s):
    c = s.start()
    forms = (
        "127.0.0.1", "127.0.0.1/32", "127.0.0.1/0", "127.0.0.0/8", "127.0.0.1/33", "127.0.0.1/-1", "127.0.0.1/",
        "127.0.0.1/x", "127.0.0.1/8/8", "/8", "", "127.0.0", "127.0.0.256", "127.0.0.1.1", "127.0.0.-1",
        "0127.0.0.1", "127.0.0.01", " 127.0.0.1", "localhost", "10.0.0.0/8", "0.0.0.0/0", "::1", "::", "::1/128",
        "fe80::/10", "::1/129", "::1/-1", "2001:db8::1", "2001:db8:0:0:0:0:0:1", "::ffff:127.0.0.1", "1::2::3",
        "g::1", "2001:db8::/32/3", "1:2:3:4:5:6:7:8:9", None,
    )  # fmt: skip
    for number, form in enumerate(forms):
        path = f"{s.root}/n{number}"
        err, _ = c.create(path, b"x", [(31, "ip", form)])
        if err == 0:
            c.get_data(path)


@scenario("acls/permission-bits")
def permission_bits(s):
    """Each operation against a node that grants one bit, and all but one."""
    c = s.start()
    for perms in (1, 2, 4, 8, 16, 30, 29, 27, 23, 15, 0, 31):
        path = f"{s.root}/p{perms}"
        s.log(f"-- perms {perms}")
        c.create(path, b"d")
        c.create(path + "/kid", b"k")
        c.set_acl(path, [(perms, "world", "anyone")])
        read_all(c, path)
        c.set_data(path, b"e")
        c.create(path + "/new", b"")
        c.create_container(path + "/new2", b"")
        c.create_ttl(path + "/new3", b"")
        c.delete(path + "/kid")
        c.multi([("check", wire.path_version_body(path))])
        c.sync(path)
        c.add_watch(path, 0)
        c.set_acl(path, [(perms, "world", "anyone")])
        c.delete(path)


@scenario("acls/who-matches")
def who_matches(s):
    bob, eve, plain = s.start(), s.open("eve"), s.open("plain")
    bob.auth("digest", b"bob:pw")
    eve.auth("digest", b"eve:pw")
    nodes = {
        "bob": [(31, "auth", "")],
        "bob-reads": [(1, "digest", BOB), (2, "world", "anyone")],
        "ip": [(31, "ip", "127.0.0.0/8")],
        "far": [(31, "ip", "10.0.0.0/8")],
        "mixed": [(1, "ip", "127.0.0.1"), (2, "digest", BOB), (16, "world", "anyone")],
    }
    for name, acl in nodes.items():
        path = f"{s.root}/{name}"
        bob.create(path, b"x", acl)
        for client in (bob, eve, plain):
            client.get_data(path)
            client.set_data(path, b"y")
            client.get_acl(path)
    plain.who_am_i()
    bob.who_am_i()


@scenario("acls/masking")
def masking(s):
    """Who reads without ADMIN sees no hashes."""
    c = s.start()
    path = s.root + "/n"
    entries = [(1, "world", "anyone"), (31, "digest", BOB), (31, "digest", ":odd"), (1, "ip", "10.0.0.1")]
    c.create(path, b"", entries)
    c.get_acl(path)
    c.auth("digest", b"bob:pw")
    c.get_acl(path)
    c.create(s.root + "/m", b"", [(16, "world", "anyone"), (31, "digest", BOB)])
    other = s.open("other")
    other.get_acl(s.root + "/m")


@scenario("acls/super")
def superuser(s):
    c, boss = s.start(), s.open("boss")
    boss.auth("digest", b"super:wrong")
    path = s.root + "/n"
    c.create(path, b"x", [(0, "world", "anyone")])
    boss.get_data(path)
    boss.auth("digest", SUPER)
    boss.who_am_i()
    read_all(boss, path)
    boss.set_data(path, b"y")
    boss.create(path + "/kid", b"", [(31, "auth", "")])
    boss.get_acl(path + "/kid")
    boss.set_acl(path, [(31, "digest", BOB)])
    c.get_acl(path)
    boss.get_acl(path)
    boss.delete(path + "/kid")
    boss.delete(path)
    for system in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
        boss.delete(system)


@scenario("acls/sasl-not-configured")
def sasl_not_configured(s):
    for token in (b"", b"x", None):
        c = s.open()
        try:
            c.sasl(token)
            c.ping()
        except Closed:
            pass
        c.drop()


@scenario("acls/enforced", profile="enforce")
def enforced(s):
    """Without an identity of the scheme every request ends the connection."""
    for op, body in (
        ("ping", b""), ("exists", wire.path_watch_body("/")), ("create", wire.create_body("/x")),
        ("whoAmI", b""), ("closeSession", b""), ("setWatches", wire.set_watches_body(0, [], [], [])),
    ):  # fmt: skip
        c = s.open()
        c.send(op, body)
        c.expect_close(op)
        again = s.resume(c, "again")
        again.auth("ip", b"")
        again.send(op, body)
        again.expect_close(op)
        third = s.resume(c, "third")
        third.auth("digest", b"bob:pw")
        third.exists("/")
    c = s.open()
    c.send("exists", b"", kind=99)
    c.expect_close("unknown opcode")


@scenario("acls/no-super-without-digest", profile="plain")
def no_super(s):
    c = s.open()
    c.auth("digest", SUPER)
    c.who_am_i()


@scenario("acls/digest-algorithm", profile="enforce")
def digest_algorithm(s):
    """Another hash than SHA-1 makes other ids."""
    c = s.open()
    c.auth("digest", b"bob:pw")
    c.create(s.root, b"x", [(31, "auth", "")])
    c.get_acl(s.root)
    c.create(s.root + "/n", b"x", [(31, "digest", BOB)])
    c.get_data(s.root + "/n")


@scenario("acls/skipped", profile="open")
def skipped(s):
    """skipACL lets everything pass, but lists must still be well formed."""
    c = s.start()
    path = s.root + "/n"
    c.create(path, b"x", [(0, "world", "anyone")])
    read_all(c, path)
    c.create(path + "/k")
    c.set_data(path, b"y")
    c.set_acl(path, wire.READ_ONLY)
    c.delete(path + "/k")
    c.set_data("/zookeeper/config", b"x")
    c.create(s.root + "/bad", b"", [(31, "nosuch", "x")])
    c.create(s.root + "/bad", b"", [])
    c.delete("/zookeeper/config")


@scenario("acls/digest-disabled", profile="open")
def digest_disabled(s):
    c = s.start()
    c.create(s.root + "/n", b"", [(31, "digest", BOB)])
    c.create(s.root + "/m", b"", [(31, "ip", "127.0.0.1")])
    c.auth("digest", b"bob:pw")
    c.expect_close("refused")
