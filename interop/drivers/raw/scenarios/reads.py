"""exists, getData, getACL, getChildren and the counting reads."""

import wire
from harness import scenario

READS = ("exists", "getData", "getACL", "getChildren", "getChildren2", "getAllChildrenNumber")


def read_all(client, path):
    client.exists(path)
    client.get_data(path)
    client.get_acl(path)
    client.get_children(path)
    client.get_children2(path)
    client.count(path)


@scenario("reads/paths")
def paths(s):
    """Reads do not validate: an odd path is not found, "" is the root."""
    c = s.start()
    forms = ["", "/", "x", "{}/", "{}//", "{}/.", "{}\0", "\0", "{}/\x01", "{}/none", "//", "{}/n", "/zookeeper/"]
    c.create(s.root + "/n", b"x")
    for form in forms:
        s.log(f"-- {form.encode('unicode_escape').decode()}")
        read_all(c, form.format(s.root))


@scenario("reads/system-nodes")
def system_nodes(s):
    c = s.open()
    for path in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
        read_all(c, path)


@scenario("reads/permissions")
def permissions(s):
    """Existence is told before permission; each read asks for READ."""
    c = s.start()
    for perms in (0, 1, 2, 4, 8, 16, 30, 31, 32, 255, -1):
        path = f"{s.root}/p{perms}"
        c.create(path, b"d", [(perms, "world", "anyone")])
        s.log(f"-- perms {perms}")
        read_all(c, path)
        read_all(c, path + "/none")


@scenario("reads/children")
def children(s):
    c = s.start()
    p = s.root
    read_all(c, p)
    for name in ("b", "a", "c-long-name", "\u4e2d", "a b"):
        c.create(f"{p}/{name}", b"x")
    c.create(p + "/a/deep", b"")
    c.create(p + "/a/deep/er", b"")
    read_all(c, p)
    c.count(p + "/a")
    c.delete(p + "/b")
    read_all(c, p)


@scenario("reads/many-children")
def many_children(s):
    c = s.start()
    names = [f"n{number:03}" for number in range(300)]
    for start in range(0, 300, 100):
        batch = names[start : start + 100]
        c.multi([("create", wire.create_body(f"{s.root}/{name}")) for name in batch], shown="100 creates")
    c.get_children2(s.root)
    c.count(s.root)


@scenario("reads/answer-beyond-the-limit")
def answer_beyond_the_limit(s):
    """The limit on frames is for what a server reads, not for what it sends."""
    c = s.start()
    for number in range(600):
        path = f"{s.root}/{'x' * 2000}{number:03}"
        c.send("create", wire.create_body(path))
    for _ in range(600):
        c.read("a reply")
    xid = c.send("getChildren2", wire.path_watch_body(s.root))
    c.log(f"{len(c.read('a reply'))} bytes for xid {xid}")
    c.ping()


@scenario("reads/sync-and-ping")
def sync_and_ping(s):
    c = s.start()
    for path in ("/", "", s.root, "nope", "/none/at/all", "\0"):
        c.sync(path)
    c.ping()
    c.set_data(s.root, b"x")
    c.ping()
    c.sync(s.root)


@scenario("reads/repeated")
def repeated(s):
    """A cached answer must follow every change that shows in the Stat."""
    c, other = s.start(), s.open("o")
    p = s.root
    for step in (
        lambda: None,
        lambda: other.set_data(p, b"1"),
        lambda: other.create(p + "/k"),
        lambda: other.set_acl(p, [(31, "world", "anyone"), (1, "ip", "10.0.0.1")]),
        lambda: other.delete(p + "/k"),
        lambda: other.set_data(p, b"2"),
    ):
        step()
        for _ in range(2):
            c.get_data(p)
            c.get_children2(p)


@scenario("reads/recreated")
def recreated(s):
    c = s.start()
    path = s.root + "/n"
    c.create(path, b"1")
    c.create(path + "/k")
    c.get_data(path)
    c.get_children2(path)
    c.delete(path + "/k")
    c.delete(path)
    c.create(path, b"2")
    c.get_data(path)
    c.get_children2(path)
