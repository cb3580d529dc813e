"""multi and multiRead: results by element, atomicity, refusals."""

import wire
from harness import scenario
from wire import i32, ustring


def create(path, data=b"", flags=0, op="create", acl=wire.OPEN):
    return (op, wire.create_body(path, data, acl, flags))


def create_ttl(path, ttl=10**9, flags=5):
    return ("createTTL", wire.create_ttl_body(path, b"", wire.OPEN, flags, ttl))


def delete(path, version=-1):
    return ("delete", wire.path_version_body(path, version))


def set_data(path, data, version=-1):
    return ("setData", wire.set_data_body(path, data, version))


def check(path, version=-1):
    return ("check", wire.path_version_body(path, version))


def get_data(path, watch=False):
    return ("getData", wire.path_watch_body(path, watch))


def get_children(path, watch=False):
    return ("getChildren", wire.path_watch_body(path, watch))


@scenario("multi/result-types")
def result_types(s):
    """Each element kind alone: what type its result carries."""
    c = s.start()
    p = s.root
    c.create(p + "/n", b"")
    c.multi([create(p + "/a")])
    c.multi([create(p + "/b", op="create2")])
    c.multi([create(p + "/c", flags=4, op="createContainer")])
    c.multi([create(p + "/d", flags=4)])
    c.multi([create(p + "/e", flags=4, op="create2")])
    c.multi([create_ttl(p + "/f")])
    c.multi([create_ttl(p + "/g", flags=6)])
    c.multi([create(p + "/h", flags=1)])
    c.multi([create(p + "/i", flags=3)])
    c.multi([create(p + "/j", flags=1, op="create2")])
    c.multi([set_data(p + "/n", b"x")])
    c.multi([check(p + "/n", 1)])
    c.multi([delete(p + "/n", 1)])
    c.get_children2(p)
    for name in "abcdefgh":
        c.exists(f"{p}/{name}")


@scenario("multi/later-sees-earlier")
def later_sees_earlier(s):
    c = s.start()
    p = s.root
    c.multi([
        create(p + "/a", b"1"), set_data(p + "/a", b"2", 0), check(p + "/a", 1), set_data(p + "/a", b"3", 1),
        create(p + "/a/s-", b"", 2), create(p + "/a/s-", b"", 2), delete(p + "/a/s-0000000000"),
    ])  # fmt: skip
    c.get_data(p + "/a")
    c.get_children2(p + "/a")
    c.multi([create(p + "/b"), delete(p + "/b", 0), create(p + "/b", op="create2")])
    c.exists(p + "/b")
    c.exists(p)
    c.multi([create(p + "/c", b"", 1), create(p + "/c/x")])
    c.multi([create(p + "/d"), create(p + "/d/x"), delete(p + "/d")])
    c.exists(p + "/d")


@scenario("multi/failure-position")
def failure_position(s):
    c = s.start()
    p = s.root
    good = [create(f"{p}/{name}") for name in "abcd"]
    for at in range(4):
        elements = list(good)
        elements[at] = check(p + "/none")
        c.multi(elements)
        c.get_children2(p)
    for bad in (
        delete("/zookeeper"), delete(p + "/none"), set_data(p, b"", 9), check(p, 9), check("x"), create(p),
        create("x"), create(p + "/none/x"), create(p + "/x", acl=[]), create(p + "/x/"), create_ttl(p + "/x", 0),
        create_ttl(p + "/x", -1), set_data("", b""), delete("", 1), check("", 7),
    ):  # fmt: skip
        c.multi([good[0], bad, good[1], bad])
    s.log("-- nothing moved")
    c.exists(p)
    c.create(p + "/s-", flags=2)


@scenario("multi/null-acl")
def null_acl(s):
    """A null list in place of an empty one."""
    c = s.start()
    path = s.root + "/x"
    for flags in (0, 1, 4):
        for op in ("create", "create2", "createContainer"):
            c.multi([create(path, flags=flags, op=op, acl=None)], shown=f"{op} flags={flags}")
            c.create(path, b"", None, flags, op)
    c.get_children2(s.root)


@scenario("multi/rollback")
def rollback(s):
    """After a failure, versions and counters stand where they stood."""
    c = s.start()
    p = s.root
    c.create(p + "/n", b"0")
    c.multi([set_data(p + "/n", b"1"), set_data(p + "/n", b"2"), create(p + "/n/k"), check(p + "/none")])
    c.get_data(p + "/n")
    c.set_data(p + "/n", b"1", 0)
    c.create(p + "/n/s-", flags=2)
    c.multi([delete(p + "/n/s-0000000000"), delete(p + "/n"), create(p + "/n", b"new"), check(p + "/none")])
    c.get_children2(p + "/n")
    c.delete(p + "/n")
    c.delete(p + "/n/s-0000000000")
    c.delete(p + "/n", 1)


@scenario("multi/refused-as-a-whole")
def refused(s):
    """What cannot be read at all: one code, no results, still connected."""
    c = s.start()
    p = s.root
    one = create(p + "/a")
    c.multi([one, get_data(p)])
    c.multi([get_data(p), one])
    c.multi([get_children(p)])
    c.multi([(99, b""), one])
    c.multi([one, (99, b"")])
    c.multi([(16, b"")])
    c.multi([(3, wire.path_watch_body(p))])
    c.multi([(-11, b"")])
    c.multi([(14, b"")])
    c.multi([(20, ustring(p))])
    c.multi([one, (1, ustring(None) + i32(-1))])
    for flags in (-1, 7, 9, 255):
        c.multi([one, create(p + "/x", flags=flags)], shown=f"flags {flags}")
        c.multi([create(p + "/x", flags=flags, op="create2")], shown=f"create2 flags {flags}")
    for flags in (5, 6):
        c.multi([create(p + "/x", flags=flags)], shown=f"flags {flags}")
    c.get_children2(p)
    c.call("multi", "no terminator", wire.multi_header(1) + one[1])
    c.call("multi", "empty body", b"")
    body = wire.multi_body([one])
    c.call("multi", "cut terminator", body[:-2])
    c.get_children2(p)


@scenario("multi/framing")
def framing(s):
    c = s.start()
    p = s.root
    c.multi([])
    c.multi_read([])
    s.log("-- done wins over type")
    c.call("multi", "done with type 1", wire.multi_header(1, 1, 0), c.multi_reply)
    s.log("-- the element's err is not looked at")
    body = wire.multi_header(1, 0, 77) + create(p + "/a")[1] + wire.multi_header(-1, 1, -1)
    c.call("multi", "err 77", body, c.multi_reply)
    s.log("-- elements behind the terminator are not looked at")
    body = wire.multi_body([create(p + "/b")]) + wire.multi_header(1) + create(p + "/c")[1]
    c.call("multi", "behind", body, c.multi_reply)
    c.get_children2(p)


@scenario("multi/one-zxid-one-time")
def one_zxid(s):
    c = s.start()
    p = s.root
    c.multi([create(p + "/a"), create(p + "/b", op="create2"), create(p + "/a/x"), set_data(p, b"x")])
    for path in ("", "/a", "/b", "/a/x"):
        c.exists(p + path)


@scenario("multi/permissions")
def permissions(s):
    c = s.start()
    p = s.root
    c.create(p + "/ro", b"", wire.READ_ONLY)
    c.create(p + "/no", b"", [(30, "world", "anyone")])
    c.create(p + "/wo", b"", [(2, "world", "anyone")])
    c.multi([check(p + "/ro", 0), create(p + "/ro/x")])
    c.multi([set_data(p + "/ro", b"")])
    c.multi([check(p + "/no", 0)])
    c.multi([check(p + "/no", 9)])
    c.multi([set_data(p + "/wo", b"x")])
    c.multi([delete(p + "/ro/none")])
    c.multi([check(p + "/none", 9)])


@scenario("multi/events")
def events(s):
    """All events of the elements, in their order, before the reply."""
    c, w = s.start(), s.open("w")
    p = s.root
    c.create(p + "/n", b"")
    w.add_watch(p, 1)
    c.add_watch(p, 0)
    w.get_data(p + "/n", True)
    w.get_children(p, True)
    c.exists(p + "/later", True)
    c.multi([
        set_data(p + "/n", b"1"), create(p + "/later"), set_data(p + "/n", b"2"), create(p + "/later/x"),
        delete(p + "/later/x"), delete(p + "/n"), set_data(p, b"3"), check(p + "/later"),
    ])  # fmt: skip
    w.ping()
    s.log("-- a failed multi has none")
    c.multi([set_data(p, b"4"), check(p + "/none")])
    c.multi([])
    w.ping()
    c.ping()


@scenario("multi/read")
def read(s):
    c = s.start()
    p = s.root
    c.create(p + "/n", b"data")
    c.create(p + "/null", None)
    c.create(p + "/no", b"", [(30, "world", "anyone")])
    c.multi_read([get_data(p + "/n"), get_children(p), get_data(p + "/null")])
    c.multi_read([get_data(p + "/none"), get_data(p + "/n"), get_children(p + "/none"), get_children(p)])
    c.multi_read([get_data(p + "/no"), get_children(p + "/no"), get_data(""), get_children("x")])
    s.log("-- watch flags do nothing")
    c.multi_read([get_data(p + "/n", True), get_children(p, True)])
    c.set_data(p + "/n", b"2")
    c.create(p + "/m")
    s.log("-- refusals")
    c.multi_read([create(p + "/x")])
    c.multi_read([get_data(p), create(p + "/x")])
    c.multi_read([check(p)])
    c.multi_read([(3, wire.path_watch_body(p))])
    c.multi_read([(12, wire.path_watch_body(p))])
    c.multi_read([(99, b"")])
    c.call("multiRead", "cut", wire.multi_body([get_data(p)])[:-1])
    c.call("multiRead", "empty body", b"")
    c.call("multiRead", "null path", wire.multi_body([get_data(None)]), c.multi_reply)


@scenario("multi/large")
def large(s):
    c = s.start()
    p = s.root
    elements = [create(f"{p}/n{number}", b"x" * 100) for number in range(1000)]
    c.multi(elements, shown="1000 creates")
    c.count(p)
    c.exists(p)
    c.multi([delete(f"{p}/n{number}") for number in range(1000)], shown="1000 deletes")
    c.exists(p)


@scenario("multi/closing-own-ephemerals")
def own_ephemerals(s):
    c, w = s.start(), s.open("w")
    p = s.root
    c.multi([create(f"{p}/e{number}", b"", 1) for number in range(3)])
    w.add_watch(p, 0)
    c.multi([delete(p + "/e1")])
    c.ephemerals("/")
    with s.unordered():
        c.close_session()
        w.ping()
    w.get_children2(p)
