"""create, create2, createContainer and createTTL: kinds, names, checks."""

import wire
from harness import scenario

LONGEST_TTL = (1 << 40) - 1

PATHS = [
    "", "/", "x", "nope/x", "{}/", "{}//x", "//x", "{}/x/", "{}/.", "{}/..", "{}/./x", "{}/../x",
    "{}/...", "{}/.x", "{}/x.", "{}/..x", "{}/ x", "{}/\u0000", "{}/x\u0000y", "{}/\u0001",
    "{}/\u001f", "{}/\t", "{}/\u007f", "{}/\u009f", "{}/\u00a0", "{}/\u00ff", "{}/\ud7ff",
    "{}/\ue000", "{}/\uf8ff", "{}/\uf900", "{}/\uffef", "{}/\ufff0", "{}/\ufffd", "{}/\uffff",
    "{}/\U0001f600", "{}/\u4e2d\u6587", "{}/none/x", "{}/none//x", "{}/none/.", "{}none",
]  # fmt: skip


@scenario("create/kinds")
def kinds(s):
    """Every flag number through every opcode that takes flags."""
    c = s.start()
    for op in ("create", "create2", "createContainer"):
        for flags in (-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 255, 2**31 - 1, -(2**31)):
            err, path = c.create(f"{s.root}/{op}{flags}", b"d", flags=flags, op=op)
            if err == 0:
                c.exists(path)
    c.get_children2(s.root)
    c.ephemerals(s.root)
    c.count(s.root)


@scenario("create/ttl")
def ttl(s):
    c = s.start()
    for flags in (5, 6):
        for value in (-(2**63), -2, -1, 0, 1, 10**6, LONGEST_TTL, LONGEST_TTL + 1, 2**63 - 1):
            if value == 1:
                # Too short to be looked at calmly, and the limits stand anyway.
                value = 10**7
            c.create_ttl(f"{s.root}/f{flags}t{value}", b"d", flags=flags, ttl=value)
    for flags in (-1, 0, 1, 2, 3, 4, 7):
        # ttl -1 is left out: it stops the reference server.
        c.create_ttl(f"{s.root}/g{flags}", flags=flags, ttl=0)
        c.create_ttl(f"{s.root}/g{flags}", flags=flags, ttl=1000)
    c.get_children2(s.root)


@scenario("create/ttl-off", profile="plain")
def ttl_off(s):
    """Without extended types: unimplemented, and the connection stays."""
    c = s.start()
    for flags in (5, 6):
        c.create_ttl(f"{s.root}/t", flags=flags, ttl=1000)
        c.create_ttl(f"{s.root}/t", flags=flags, ttl=-1)
        c.create(f"{s.root}/t", flags=flags)
        c.create2("bad", flags=flags)
        c.create_container(f"{s.root}/t", flags=flags)
    c.create_container(f"{s.root}/c")
    c.multi([("createTTL", wire.create_ttl_body(f"{s.root}/m"))])
    c.get_children2(s.root)


@scenario("create/paths")
def paths(s):
    c = s.start()
    for form in PATHS:
        path = form.format(s.root)
        if "\ud7ff" < path < "\ue000":
            continue
        c.create(path, b"")
        c.create(path, b"", flags=2)
        c.create2(path, b"", flags=1)
    c.get_children2(s.root)


@scenario("create/order-of-checks")
def order_of_checks(s):
    """Each request fails two checks or more; the code says which is first."""
    c = s.start()
    closed = [(27, "world", "anyone")]
    bad = [(31, "nosuch", "x")]
    c.create(s.root + "/noc", b"", closed)
    c.create(s.root + "/e", b"", flags=1)
    c.create(s.root + "/noc/x", b"")
    s.log("-- flags before path, ACL, parent")
    c.create("bad", b"", bad, flags=9)
    c.create(None, b"", bad, flags=9)
    s.log("-- ttl before path and ACL")
    c.create_ttl("bad", b"", bad, ttl=0)
    c.create("bad", b"", bad, flags=5)
    s.log("-- path before ACL")
    c.create("bad", b"", bad)
    c.create(s.root + "\0/x", b"", bad)
    s.log("-- ACL before parent")
    c.create(s.root + "/none/x", b"", bad)
    c.create(s.root + "/none/x", b"", [])
    c.create(s.root + "/none/x", b"", None)
    s.log("-- parent before permission and full path check")
    c.create(s.root + "/none/x/", b"")
    c.create(s.root + "/noc/none/./", b"")
    s.log("-- permission before full path check and existence")
    c.create(s.root + "/noc/.", b"")
    c.create(s.root + "/noc/x", b"")
    s.log("-- full path check before existence")
    c.create(s.root + "/", b"")
    s.log("-- existence, then the ephemeral parent")
    c.create(s.root + "/e", b"")
    c.create(s.root + "/e/x", b"")
    c.create(s.root + "/e/.", b"")
    c.create(s.root + "/e/", b"", flags=2)
    c.create("/", b"")
    c.create("/zookeeper", b"")
    c.get_children2(s.root)


@scenario("create/data")
def data(s):
    c = s.start()
    for number, value in enumerate((None, b"", b"\0", b"\xff" * 100, b"x" * 100_000)):
        c.create2(f"{s.root}/n{number}", value)
        c.get_data(f"{s.root}/n{number}")
        c.create_container(f"{s.root}/c{number}", value)
        c.get_data(f"{s.root}/c{number}")


@scenario("create/sequential")
def sequential(s):
    """The suffix counts every create under the parent, never a delete."""
    c = s.start()
    p = s.root
    for name in ("/s-", "/s-", "/t-", "/"):
        c.create(p + name, b"", flags=2)
    c.create(p + "/plain", b"")
    c.create2(p + "/s-", b"", flags=3)
    c.delete(p + "/plain")
    c.delete(p + "/s-0000000000")
    c.create(p + "/s-", b"", flags=2)
    c.create(p + "/plain", b"")
    c.create(p + "/plain", b"")
    c.create2(p + "/s-", b"", flags=2)
    s.log("-- a failed sequential create uses no number")
    c.create(p + "/bad\x01", b"", flags=2)
    c.create(p + "/s-", b"", [], flags=2)
    c.create2(p + "/s-", b"", flags=2)
    s.log("-- a name that is taken")
    c.exists(p)
    c.create(p + "/s-0000000011", b"")
    c.create(p + "/s-", b"", flags=2)
    c.create(p + "/s-", b"", flags=2)
    c.create_ttl(p + "/ttl-", flags=6)
    c.create_container(p + "/cont-", flags=2)
    c.create_container(p + "/cont-", flags=3)
    s.log("-- below an ephemeral parent")
    c.create(p + "/e", b"", flags=1)
    c.create(p + "/e/s-", b"", flags=2)
    s.log("-- in a multi, and after a failed one")
    step = ("create", wire.create_body(p + "/m-", flags=2))
    c.multi([step, step, step])
    c.multi([step, step, ("delete", wire.path_version_body(p + "/none"))])
    c.multi([step])
    c.get_children2(p)


@scenario("create/ephemeral")
def ephemeral(s):
    c = s.start()
    other = s.open("other")
    p = s.root
    c.create2(p + "/e", b"1", flags=1)
    c.create2(p + "/s-", b"2", flags=3)
    other.create2(p + "/o", b"3", flags=1)
    for path in ("/e", "/s-0000000001", "/o"):
        other.exists(p + path)
    other.set_data(p + "/e", b"new")
    other.delete(p + "/e")
    for prefix in ("/", "", " ", None, p, p + "/o", p + "/o/", "nope", "  / "):
        c.ephemerals(prefix)
        other.ephemerals(prefix)
    c.close_session()
    other.get_children2(p)
    other.ephemerals("/")


@scenario("create/stat-of-kinds")
def stat_of_kinds(s):
    """ephemeralOwner is shown for ordinary ephemerals alone."""
    c = s.start()
    p = s.root
    c.create_container(p + "/c")
    c.create_ttl(p + "/t")
    c.create(p + "/e", flags=1)
    for name in ("/c", "/t", "/e"):
        c.exists(p + name)
        c.get_data(p + name)
        c.get_children2(p + name)
        c.create(p + name + "/child")
        c.set_data(p + name, b"x")
    c.exists(p + "/c")
    c.exists(p + "/t")
