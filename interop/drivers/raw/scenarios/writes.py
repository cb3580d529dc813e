"""delete, setData, setACL: checks in order, versions, Stat rules."""

import wire
from harness import scenario

ODD_PATHS = ["", "x", "{}/", "{}//", "{}/.", "{}/./n", "{}/n/", "{}\0", "{}/\x01", "{}/\ufffd", "{}/none/x", "{}/none"]


@scenario("writes/delete-checks")
def delete_checks(s):
    c = s.start()
    p = s.root
    for form in ODD_PATHS:
        c.delete(form.format(p), 99)
    for system in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
        c.delete(system)
        c.delete(system, 99)
    s.log("-- parent, permission, existence, version, children")
    c.create(p + "/nod", b"", [(23, "world", "anyone")])
    c.create(p + "/nod/kid", b"")
    c.delete(p + "/nod/kid", 99)
    c.delete(p + "/nod/none", 99)
    c.create(p + "/all", b"", [(1, "world", "anyone")])
    c.create(p + "/n", b"")
    c.create(p + "/n/kid", b"")
    c.delete(p + "/none", 99)
    c.delete(p + "/n", 99)
    c.delete(p + "/n", 0)
    c.delete(p + "/n/kid", -1)
    c.delete(p + "/n", 0)
    s.log("-- the node's own permissions do not matter")
    c.delete(p + "/all")
    c.get_children2(p)


@scenario("writes/delete-versions")
def delete_versions(s):
    c = s.start()
    path = s.root + "/n"
    c.create(path)
    c.set_data(path, b"")
    for version in (0, 2, -2, -(2**31), 2**31 - 1, 1):
        c.delete(path, version)


@scenario("writes/set-data-checks")
def set_data_checks(s):
    c = s.start()
    p = s.root
    for form in ODD_PATHS:
        c.set_data(form.format(p), b"", 99)
    c.create(p + "/now", b"", [(29, "world", "anyone")])
    c.set_data(p + "/now", b"", 99)
    c.set_data(p, b"", 99)
    for system in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
        c.set_data(system, b"" if system != "/zookeeper/config" else b"x")


@scenario("writes/set-data")
def set_data(s):
    c = s.start()
    p = s.root
    for value in (b"one", None, b"", b"two", b"x" * 5000):
        c.set_data(p, value)
        c.get_data(p)
    for version in (0, 4, 5, 5, 6, -2, -1, -(2**31), 2**31 - 1):
        c.set_data(p, b"v", version)
    c.exists(p)


@scenario("writes/set-acl-checks")
def set_acl_checks(s):
    c = s.start()
    p = s.root
    bad = [(31, "nosuch", "x")]
    for form in ODD_PATHS:
        c.set_acl(form.format(p), wire.OPEN, 99)
    s.log("-- path, ACL, existence, permission, version")
    c.set_acl("bad", bad)
    c.set_acl(p + "/none", bad)
    c.set_acl(p + "/none", [])
    c.set_acl(p + "/none", None)
    c.create(p + "/noa", b"", [(15, "world", "anyone")])
    c.set_acl(p + "/noa", bad, 99)
    c.set_acl(p + "/noa", wire.OPEN, 99)
    for version in (1, -2, 0, 0, 1, -1, 2):
        c.set_acl(p, wire.OPEN, version)
    s.log("-- aversion counts, version does not")
    c.set_data(p, b"", 0)
    c.get_acl(p)


@scenario("writes/stat-rules")
def stat_rules(s):
    """Which field moves with which write, on the node and on its parent."""
    c = s.start()
    p = s.root
    steps = [
        ("create a child", lambda: c.create2(p + "/a", b"1")),
        ("create a second", lambda: c.create2(p + "/b", b"22")),
        ("create a grandchild", lambda: c.create2(p + "/a/x", b"")),
        ("set the child's data", lambda: c.set_data(p + "/a", b"333")),
        ("set the child's ACL", lambda: c.set_acl(p + "/a", wire.OPEN)),
        ("set own data", lambda: c.set_data(p, b"4444")),
        ("set own ACL", lambda: c.set_acl(p, wire.OPEN)),
        ("delete the grandchild", lambda: c.delete(p + "/a/x")),
        ("delete a child", lambda: c.delete(p + "/a")),
        ("create it again", lambda: c.create2(p + "/a", None)),
        ("a failed create", lambda: c.create2(p + "/a", None)),
        ("delete the other", lambda: c.delete(p + "/b")),
        ("create an ephemeral", lambda: c.create2(p + "/e", b"e", flags=1)),
    ]
    for shown, step in steps:
        s.log(f"-- {shown}")
        step()
        c.exists(p)
        c.exists(p + "/a")
    c.get_children2(p)


@scenario("writes/five-creates-one-delete")
def five_creates(s):
    c = s.start()
    for number in range(5):
        c.create(f"{s.root}/{number}")
    c.delete(f"{s.root}/2")
    c.exists(s.root)
    c.create2(f"{s.root}/q-", flags=2)
    c.exists(s.root)


@scenario("writes/failed-writes-and-zxid")
def failed_writes(s):
    """Which refusals take a transaction id of their own."""
    c = s.start()
    p = s.root
    c.delete(p + "/none")
    c.exists(p)
    c.set_data(p, b"", 9)
    c.exists(p)
    c.create(p)
    c.exists(p)
    c.create(p + "/x", flags=99)
    c.exists(p)
    c.call("create", "cut", b"")
    c.exists(p)
    c.call("multi", "cut", b"\0")
    c.exists(p)
    c.multi([("delete", wire.path_version_body(p + "/none"))])
    c.exists(p)
    c.multi([])
    c.exists(p)
    c.call("createTTL", "cut", b"")
    c.exists(p)
    c.reconfig(members="x")
    c.exists(p)
    c.sync()
    c.ping()


@scenario("writes/other-sessions-nodes")
def other_sessions(s):
    """Two sessions at one node see each other's versions at once."""
    a, b = s.start(), s.open("b")
    p = s.root
    a.create2(p + "/n", b"a")
    b.set_data(p + "/n", b"b", 0)
    a.set_data(p + "/n", b"a", 0)
    a.set_data(p + "/n", b"a", 1)
    b.get_data(p + "/n")
    b.delete(p + "/n", 2)
    a.get_data(p + "/n")
