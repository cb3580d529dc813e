"""setWatches and setWatches2: catch-up after a reconnect."""

import wire
from harness import scenario


def prepare(s):
    """Nodes that change, stay, come and go behind a zxid; returns that zxid."""
    c = s.start()
    p = s.root
    for name in ("same", "data", "child", "gone", "both", "again"):
        c.create(f"{p}/{name}", b"")
    c.sync()
    seen = c.last_zxid
    c.set_data(p + "/data", b"new")
    c.create(p + "/child/k")
    c.delete(p + "/gone")
    c.set_data(p + "/both", b"new")
    c.create(p + "/both/k")
    c.delete(p + "/again")
    c.create(p + "/again", b"")
    c.create(p + "/came", b"")
    return c, seen


NAMES = ("same", "data", "child", "gone", "both", "again", "came", "never")


def touch_all(s, c):
    """Writes that fire whatever is registered."""
    p = s.root
    for name in NAMES:
        c.create(f"{p}/{name}", b"")
        c.set_data(f"{p}/{name}", b"touch")
        c.create(f"{p}/{name}/touch", b"")


@scenario("watch-sets/data")
def data(s):
    c, seen = prepare(s)
    w = s.open("w")
    w.set_watches(seen, data=[f"{s.root}/{name}" for name in NAMES])
    touch_all(s, c)
    w.ping()


@scenario("watch-sets/exist")
def exist(s):
    c, seen = prepare(s)
    w = s.open("w")
    w.set_watches(seen, exist=[f"{s.root}/{name}" for name in NAMES])
    touch_all(s, c)
    w.ping()


@scenario("watch-sets/child")
def child(s):
    c, seen = prepare(s)
    w = s.open("w")
    w.set_watches(seen, child=[f"{s.root}/{name}" for name in NAMES])
    touch_all(s, c)
    w.ping()


@scenario("watch-sets/persistent")
def persistent(s):
    """Registered, and no catch-up."""
    c, seen = prepare(s)
    w = s.open("w")
    w.set_watches2(seen, pers=[f"{s.root}/{name}" for name in NAMES])
    w.set_watches2(seen, rec=[f"{s.root}/{name}" for name in ("same", "never")])
    touch_all(s, c)
    w.ping()


@scenario("watch-sets/all-lists")
def all_lists(s):
    """Order of the lists, and of the events ahead of the reply."""
    c, seen = prepare(s)
    w = s.open("w")
    paths = [f"{s.root}/{name}" for name in NAMES]
    w.set_watches2(seen, paths, paths, paths, paths, paths)
    touch_all(s, c)
    w.ping()


@scenario("watch-sets/zxids")
def zxids(s):
    """The zxid itself is seen; only later ones are not."""
    c = s.start()
    p = s.root
    c.set_data(p, b"x")
    set_at = c.last_zxid
    c.create(p + "/k")
    created_at = c.last_zxid
    for zxid in (0, -1, set_at - 1, set_at, created_at - 1, created_at, 2**62):
        w = s.open("w")
        s.log(f"-- {'far' if zxid == 2**62 else s.canon.zxid(zxid)}")
        w.call("setWatches", "", wire.set_watches_body(zxid, [p], [], [p]), xid=-8)
        c.set_data(p, b"y" if zxid == 2**62 else b"x")
        w.ping()
        w.close_session()
        set_at = c.last_zxid


@scenario("watch-sets/no-filter-no-validation")
def no_filter(s):
    c = s.start()
    secret = s.root + "/secret"
    c.create(secret, b"", [(30, "world", "anyone")])
    w = s.open("w")
    w.set_watches(0, [secret], [secret], [secret])
    w.set_watches(0, ["", "x", "//", s.root + "/"], ["", "x", "//"], ["", "x", "//"])
    c.create(secret + "/k")
    w.ping()


@scenario("watch-sets/repeated")
def repeated(s):
    """Registered twice, told once; a told path is not registered."""
    c = s.start()
    p = s.root
    w = s.open("w")
    now = c.last_zxid
    w.set_watches(now, [p, p], [p + "/n", p + "/n"], [p, p])
    w.set_watches(now, [p], [], [p], xid=12)
    c.set_data(p, b"x")
    c.create(p + "/n")
    w.ping()
    w.set_watches(now, [p, p], [p + "/n", p + "/n"], [p, p])
    c.set_data(p, b"y")
    c.create(p + "/m")
    w.ping()


@scenario("watch-sets/reconnect")
def reconnect(s):
    """What a client does: connect, setWatches behind it, and go on."""
    c, w = s.start(), s.open("w")
    p = s.root
    c.create(p + "/n")
    w.get_data(p, True)
    w.exists(p + "/later", True)
    w.get_children(p + "/n", True)
    w.add_watch(p + "/n", 1)
    seen = w.last_zxid
    w.drop()
    c.set_data(p, b"x")
    c.create(p + "/later")
    again = s.resume(w, last_zxid=seen)
    again.set_watches2(seen, [p], [p + "/later"], [p + "/n"], [], [p + "/n"])
    c.create(p + "/n/k")
    again.ping()


@scenario("watch-sets/empty-and-large")
def empty_and_large(s):
    c, w = s.start(), s.open("w")
    w.set_watches(0)
    w.set_watches2(0)
    paths = [f"{s.root}/none{number}" for number in range(2000)]
    body = wire.set_watches_body(0, [], paths, [])
    w.call("setWatches", "2000 exist watches", body, xid=-8)
    c.create(s.root + "/none1999")
    w.ping()
