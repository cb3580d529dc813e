"""The nodes under /zookeeper, quotas, containers and TTL nodes at work."""

import time

import wire
from client import ANSWER_SECONDS
from harness import scenario

from .reads import read_all

QUOTA = "/zookeeper/quota"


def set_quota(client, path, limits, stats=b""):
    """What the command-line client does: limits first, then stats."""
    below = QUOTA
    for part in path.strip("/").split("/"):
        below += "/" + part
        if client.exists(below)[0] != 0:
            client.create(below, b"")
    client.create(below + "/zookeeper_limits", limits)
    client.create(below + "/zookeeper_stats", stats)
    return below


@scenario("system/first-look", profile="fresh")
def first_look(s):
    c = s.open()
    for path in ("/", "/zookeeper", QUOTA, "/zookeeper/config"):
        read_all(c, path)
    read_all(c, "")


@scenario("system/root", profile="fresh")
def root(s):
    """The root is a node like others: data, ACL, children."""
    c = s.open()
    c.create("/a-", b"", flags=2)
    c.exists("/")
    c.set_data("/", b"top")
    c.get_data("/")
    c.set_data("/", b"", 1)
    c.create("/", b"", flags=2)
    c.delete("/a-0000000000")
    c.get_children2("/")
    c.count("/")
    c.set_acl("/", [(31, "world", "anyone")])
    c.get_acl("/")


@scenario("system/zookeeper-node", profile="fresh")
def zookeeper_node(s):
    c = s.open()
    c.create("/zookeeper/mine", b"x")
    c.exists("/zookeeper")
    c.create("/zookeeper/config/mine", b"x")
    c.create("/zookeeper/quota/mine", b"x")
    c.set_data("/zookeeper", b"")
    c.set_data(QUOTA, b"")
    c.set_data("/zookeeper/config", b"")
    c.set_acl("/zookeeper/config", wire.OPEN)
    c.delete("/zookeeper/mine")
    c.delete("/zookeeper/quota/mine")
    read_all(c, "/zookeeper")
    read_all(c, QUOTA)
    read_all(c, "/zookeeper/config")


@scenario("system/reconfig")
def reconfig(s):
    c = s.start()
    c.reconfig(members="server.1=127.0.0.1:2888:3888:participant;2181")
    c.reconfig(joining="server.2=127.0.0.1:2889:3889;2182", leaving="1", version=0)
    c.reconfig()
    c.reconfig(members="")
    c.ping()


@scenario("system/reconfig-off", profile="plain")
def reconfig_off(s):
    c = s.open()
    c.reconfig(members="server.1=127.0.0.1:2888:3888:participant;2181")
    c.call("reconfig", "cut", b"\0")
    c.ping()


@scenario("system/quota-hard")
def quota_hard(s):
    c = s.start()
    q = s.root + "/q"
    c.create(q, b"12")
    c.create(q + "/one", b"345")
    below = set_quota(c, q, b"count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=4")
    c.get_data(below + "/zookeeper_stats")
    s.log("-- nodes")
    c.create(q + "/two", b"")
    c.create(q + "/two/three", b"")
    c.create(q + "/four", b"")
    c.create(q + "/two/four", b"")
    c.create_container(q + "/four", b"")
    c.create_ttl(q + "/four", b"")
    c.multi([("create", wire.create_body(q + "/four"))])
    c.multi([("delete", wire.path_version_body(q + "/two/three")), ("create", wire.create_body(q + "/four"))])
    c.delete(q + "/two/three")
    c.create(q + "/four", b"")
    c.get_data(below + "/zookeeper_stats")
    s.log("-- bytes")
    c.set_data(q, b"x" * 17)
    c.set_data(q, b"x" * 18)
    c.set_data(q + "/four", b"x")
    c.set_data(q + "/four", None)
    c.set_data(q + "/one", b"")
    c.set_data(q + "/four", b"xyz", 99)
    c.set_data(q + "/four", b"xyzabc", 99)
    c.delete(q + "/four")
    c.create(q + "/four", b"xyzabc")
    c.create(q + "/four", b"xyz")
    c.get_data(below + "/zookeeper_stats")
    s.log("-- order: existence and version beside quota")
    c.create(q + "/four", b"too much of it for all")
    c.create(q + "/five", b"too much of it for all")
    c.set_data(q + "/none", b"too much of it for all")
    c.create(q + "/none/x", b"too much of it for all")
    s.log("-- outside nothing counts")
    c.create(s.root + "/qq", b"x" * 100)
    c.get_data(below + "/zookeeper_stats")
    s.log("-- without limits everything goes")
    c.delete(below + "/zookeeper_limits")
    c.create(q + "/five", b"too much of it for all")
    c.get_data(below + "/zookeeper_stats")
    c.delete(below + "/zookeeper_stats")
    c.delete(below)


def use_quota(s, limits):
    """Fills a node whose quota has these limits."""
    c = s.start()
    q = s.root + "/q"
    c.create(q, b"1")
    below = set_quota(c, q, limits, b"ignored")
    c.get_data(below + "/zookeeper_limits")
    c.get_data(below + "/zookeeper_stats")
    for name in ("a", "b", "c"):
        c.create(f"{q}/{name}", b"22")
    c.set_data(q, b"x" * 50)
    c.get_data(below + "/zookeeper_stats")


# A soft limit alone only warns; a hard one of -1 is none; text that is no limit is another matter.
LIMITS = {
    "soft": b"count=1,bytes=1",
    "no-hard": b"count=1,bytes=1=;byteHardLimit=-1;countHardLimit=-1",
    "hard-count": b"count=1,bytes=1=;countHardLimit=3",
    "hard-only": b"countHardLimit=2",
    "empty": b"",
    "no-pairs": b"nonsense",
    "no-values": b"count=,bytes=",
    "no-number": b"count=x,bytes=-1",
    "too-large": b"count=99999999999999999999,bytes=-1",
    "twice": b"count=1,bytes=1=;countHardLimit=2;countHardLimit=9",
}
for _name, _limits in LIMITS.items():
    scenario(f"system/quota-limits-{_name}")(lambda s, limits=_limits: use_quota(s, limits))


@scenario("system/quota-stats")
def quota_stats(s):
    """Statistics change without a trace in Stat or watches."""
    c, w = s.start(), s.open("w")
    q = s.root + "/q"
    c.create(q, b"1")
    below = set_quota(c, q, b"count=100,bytes=10000")
    stats = below + "/zookeeper_stats"
    w.get_data(stats, True)
    w.add_watch(QUOTA, 1)
    c.create(q + "/a", b"22")
    c.create(q + "/a/b", None)
    c.create(q + "/e", b"333", flags=1)
    c.set_data(q + "/a", b"4444")
    c.set_data(q + "/a/b", b"")
    c.multi([("create", wire.create_body(q + "/m", b"55555")), ("setData", wire.set_data_body(q, None))])
    w.get_data(stats)
    c.delete(q + "/a/b")
    w.get_data(stats)
    s.log("-- the nearest quota alone counts")
    inner = set_quota(c, q + "/a", b"count=1,bytes=-1")
    c.create(q + "/a/c", b"xyz")
    c.get_data(inner + "/zookeeper_stats")
    c.get_data(stats)
    s.log("-- setting the limits again, and the stats by hand")
    c.set_data(below + "/zookeeper_limits", b"count=-1,bytes=-1=;countHardLimit=1")
    c.create(q + "/late", b"")
    c.set_data(stats, b"count=1,bytes=1")
    c.create(q + "/later", b"")
    c.get_data(stats)
    w.ping()
    s.log("-- an ephemeral that goes with its session")
    c.close_session()
    w.get_data(stats)


@scenario("system/quota-on-a-missing-node")
def quota_missing(s):
    c = s.start()
    q = s.root + "/later"
    below = set_quota(c, q, b"count=-1,bytes=-1=;countHardLimit=2")
    c.get_data(below + "/zookeeper_stats")
    c.create(q, b"x")
    c.create(q + "/a", b"x")
    c.create(q + "/b", b"x")
    c.get_data(below + "/zookeeper_stats")


@scenario("system/quota-without-stats")
def quota_without_stats(s):
    c = s.start()
    q = s.root + "/half"
    c.create(q, b"")
    c.create(QUOTA + s.root, b"")
    c.create(QUOTA + q, b"")
    c.create(QUOTA + q + "/zookeeper_limits", b"count=-1,bytes=-1=;countHardLimit=2")
    c.create(q + "/a", b"")
    c.create(q + "/b", b"")


@scenario("system/quota-not-enforced", profile="plain")
def quota_not_enforced(s):
    c = s.start()
    q = s.root + "/q"
    c.create(q, b"")
    below = set_quota(c, q, b"count=-1,bytes=-1=;byteHardLimit=1;countHardLimit=1")
    c.create(q + "/a", b"xxx")
    c.set_data(q, b"xxx")
    c.get_data(below + "/zookeeper_stats")


def wait_deleted(client, path):
    """Waits for the Deleted event of a node the server is to remove."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while client.exists_quietly(path):
        if time.monotonic() > deadline:
            client.log(f"{path} -> still there")
            return
        time.sleep(0.05)
    client.log(f"{path} -> removed")


@scenario("system/container-removal", profile="removal")
def container_removal(s):
    """A container goes once its last child has gone, with events."""
    c, w = s.start(), s.open("w")
    p = s.root
    c.create_container(p + "/c")
    c.create(p + "/c/kid")
    c.create(p + "/plain")
    c.create(p + "/plain/kid")
    w.add_watch(p, 1)
    w.exists(p + "/c", True)
    w.get_children(p, True)
    c.delete(p + "/c/kid")
    c.delete(p + "/plain/kid")
    wait_deleted(c, p + "/c")
    w.ping()
    c.get_children2(p)


@scenario("system/container-never-used", profile="removal")
def container_never_used(s):
    c = s.start()
    p = s.root
    c.create_container(p + "/c")
    wait_deleted(c, p + "/c")


@scenario("system/ttl-removal", profile="removal")
def ttl_removal(s):
    """A TTL node goes when it is old enough and has no children."""
    c, w = s.start(), s.open("w")
    p = s.root
    c.create_ttl(p + "/long", ttl=10**9)
    c.create_ttl(p + "/busy", ttl=500)
    c.create(p + "/busy/kid")
    w.add_watch(p, 0)
    c.create_ttl(p + "/short", ttl=500)
    wait_deleted(c, p + "/short")
    w.ping()
    c.get_children2(p)
    c.delete(p + "/busy/kid")
    wait_deleted(c, p + "/busy")
    w.ping()
    c.get_children2(p)
