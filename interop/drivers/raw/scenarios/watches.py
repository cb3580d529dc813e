"""Which write fires which watch, in which order, and how watches go."""

import wire
from harness import scenario

BOB = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="


def trigger_steps(c, p):
    """Every write that can fire something on p/n, its parent and child."""
    n = p + "/n"
    return [
        ("create n", lambda: c.create(n, b"")),
        ("set n", lambda: c.set_data(n, b"1")),
        ("set ACL of n", lambda: c.set_acl(n, wire.OPEN)),
        ("create n/k", lambda: c.create(n + "/k", b"")),
        ("set n/k", lambda: c.set_data(n + "/k", b"1")),
        ("create n/k/deep", lambda: c.create(n + "/k/deep", b"")),
        ("delete n/k/deep", lambda: c.delete(n + "/k/deep")),
        ("create nn", lambda: c.create(p + "/nn", b"")),
        ("delete n/k", lambda: c.delete(n + "/k")),
        ("failed writes", lambda: (c.set_data(n, b"", 99), c.create(n), c.delete(n + "/none"))),
        ("delete n", lambda: c.delete(n)),
        ("create n again", lambda: c.create2(n, b"")),
        ("set p", lambda: c.set_data(p, b"p")),
        ("delete n again", lambda: c.delete(n)),
        ("container n", lambda: c.create_container(n, b"")),
        ("delete container n", lambda: c.delete(n)),
        ("ttl n", lambda: c.create_ttl(n, b"")),
        ("delete ttl n", lambda: c.delete(n)),
        ("ephemeral n", lambda: c.create(n, b"", flags=1)),
        ("delete ephemeral n", lambda: c.delete(n)),
        ("sequential", lambda: c.create(p + "/s-", b"", flags=2)),
    ]


def run_triggers(s, register):
    """`register` is called before every step on the watching connection."""
    c, w = s.start(), s.open("w")
    for shown, step in trigger_steps(c, s.root):
        s.log(f"-- {shown}")
        register(w)
        step()
        w.ping()


@scenario("watches/one-shot-exists")
def one_shot_exists(s):
    run_triggers(s, lambda w: w.exists(s.root + "/n", True))


@scenario("watches/one-shot-data")
def one_shot_data(s):
    run_triggers(s, lambda w: w.get_data(s.root + "/n", True))


@scenario("watches/one-shot-children")
def one_shot_children(s):
    run_triggers(s, lambda w: w.get_children(s.root + "/n", True))


@scenario("watches/one-shot-children2-of-parent")
def one_shot_parent(s):
    run_triggers(s, lambda w: w.get_children2(s.root, True))


@scenario("watches/one-shot-all")
def one_shot_all(s):
    def register(w):
        for path in (s.root, s.root + "/n"):
            w.exists(path, True)
            w.get_data(path, True)
            w.get_children(path, True)

    run_triggers(s, register)


def run_with_mode(s, path, mode):
    c, w = s.start(), s.open("w")
    w.add_watch(path, mode)
    for shown, step in trigger_steps(c, s.root):
        s.log(f"-- {shown}")
        step()
        w.ping()


@scenario("watches/persistent")
def persistent(s):
    run_with_mode(s, s.root + "/n", 0)


@scenario("watches/persistent-parent")
def persistent_parent(s):
    run_with_mode(s, s.root, 0)


@scenario("watches/recursive")
def recursive(s):
    run_with_mode(s, s.root, 1)


@scenario("watches/recursive-node")
def recursive_node(s):
    run_with_mode(s, s.root + "/n", 1)


@scenario("watches/own-writes")
def own_writes(s):
    """The event comes ahead of the reply of the write that made it."""
    c = s.start()
    p = s.root
    c.add_watch(p, 0)
    c.exists(p + "/n", True)
    c.create(p + "/n")
    c.get_data(p + "/n", True)
    c.set_data(p + "/n", b"x")
    c.get_children(p, True)
    c.get_data(p + "/n", True)
    c.delete(p + "/n")
    c.set_data(p, b"")


@scenario("watches/one-shot-is-once")
def once(s):
    c, w = s.start(), s.open("w")
    p = s.root
    for _ in range(10):
        w.get_data(p, True)
        w.exists(p, True)
    c.set_data(p, b"1")
    c.set_data(p, b"2")
    w.ping()
    for _ in range(3):
        w.get_children(p, True)
    c.create(p + "/a")
    c.create(p + "/b")
    w.ping()
    s.log("-- a plain read does not take the watch away")
    w.get_data(p, True)
    w.get_data(p)
    w.exists(p)
    c.set_data(p, b"3")
    w.ping()


@scenario("watches/failing-reads-register-nothing")
def failing_reads(s):
    c, w = s.start(), s.open("w")
    p = s.root
    w.get_data(p + "/n", True)
    w.get_children(p + "/n", True)
    w.get_children2(p + "/n", True)
    c.create(p + "/n")
    c.create(p + "/n/k")
    c.set_data(p + "/n", b"x")
    w.ping()
    c.create(p + "/no", b"", [(30, "world", "anyone")])
    w.get_data(p + "/no", True)
    w.get_children(p + "/no", True)
    w.exists(p + "/no", True)
    c.set_data(p + "/no", b"x")
    c.create(p + "/no/k")
    w.ping()
    s.log("-- exists of a missing node does register")
    w.exists(p + "/later", True)
    c.create(p + "/later")
    w.ping()


@scenario("watches/modes-on-one-path")
def modes_on_one_path(s):
    """Each mode stands by itself; one event per connection and write."""
    c, w = s.start(), s.open("w")
    p = s.root
    n = p + "/n"
    c.create(n, b"")
    s.log("-- persistent, then one-shot")
    w.add_watch(n, 0)
    w.get_data(n, True)
    w.get_children(n, True)
    c.set_data(n, b"1")
    c.set_data(n, b"2")
    c.create(n + "/k")
    c.delete(n + "/k")
    w.ping()
    s.log("-- and recursive on top")
    w.add_watch(n, 1)
    w.add_watch(p, 1)
    w.exists(n, True)
    c.set_data(n, b"3")
    c.create(n + "/k")
    c.set_data(n + "/k", b"")
    c.delete(n + "/k")
    w.ping()
    s.log("-- deleted once, though many watches match")
    w.get_data(n, True)
    w.get_children(n, True)
    c.delete(n)
    w.ping()
    c.create(n)
    c.set_data(n, b"4")
    w.ping()


@scenario("watches/recursive-prefixes")
def recursive_prefixes(s):
    c, w = s.start(), s.open("w")
    p = s.root
    w.add_watch(p + "/a", 1)
    for path in ("/a", "/ab", "/a/b", "/a/b/c", "/b"):
        c.create(p + path)
        c.set_data(p + path, b"x")
    for path in ("/a/b/c", "/a/b", "/ab", "/a"):
        c.delete(p + path)
    w.ping()


@scenario("watches/recursive-root")
def recursive_root(s):
    c, w = s.start(), s.open("w")
    w.add_watch("/", 1)
    w.add_watch("/zookeeper", 1)
    c.set_data(s.root, b"x")
    c.create(s.root + "x")
    c.delete(s.root + "x")
    c.create("/zookeeper/x")
    c.delete("/zookeeper/x")
    w.ping()


@scenario("watches/top-level-parent")
def top_level_parent(s):
    """The parent of a top-level node is "/" in events."""
    c, w = s.start(), s.open("w")
    w.get_children("/", True)
    c.create(s.root + "y")
    w.ping()
    w.add_watch("/", 0)
    c.delete(s.root + "y")
    w.ping()
    s.log("-- the empty path is another name in the tree, not in the watches")
    w.get_children("", True)
    w.exists("", True)
    c.create(s.root + "y")
    c.delete(s.root + "y")
    w.ping()


@scenario("watches/odd-add-watch")
def odd_add_watch(s):
    c = s.start()
    for mode in (-1, 2, 3, 99, 2**31 - 1):
        c.add_watch(s.root, mode)
    for path in ("", "x", s.root + "/", "//", "/none/at/all", "\0"):
        for mode in (0, 1):
            c.add_watch(path, mode)
    c.create(s.root + "/x")
    c.set_data(s.root, b"")


@scenario("watches/check-and-remove")
def check_and_remove(s):
    """Types 1 to 5 against each kind of watch."""
    kinds = {
        "none": lambda w, p: None,
        "data": lambda w, p: w.get_data(p, True),
        "exists": lambda w, p: w.exists(p, True),
        "child": lambda w, p: w.get_children(p, True),
        "persistent": lambda w, p: w.add_watch(p, 0),
        "recursive": lambda w, p: w.add_watch(p, 1),
    }
    c = s.start()
    for name, register in kinds.items():
        for kind in (1, 2, 3, 4, 5):
            w = s.open("w")
            path = f"{s.root}/{name}{kind}"
            s.log(f"-- {name} and type {kind}")
            c.create(path)
            register(w, path)
            w.check_watches(path, kind)
            w.remove_watches(path, kind)
            w.remove_watches(path, kind)
            c.set_data(path, b"x")
            c.create(path + "/k")
            w.ping()
            w.close_session()


@scenario("watches/remove-one-of-many")
def remove_one_of_many(s):
    c = s.start()
    for kind in (1, 2, 3, 4, 5):
        w = s.open("w")
        path = f"{s.root}/n{kind}"
        s.log(f"-- all kinds on one path, type {kind} removed")
        c.create(path)
        w.get_data(path, True)
        w.get_children(path, True)
        w.add_watch(path, 0)
        w.add_watch(path, 1)
        w.remove_watches(path, kind)
        for check in (1, 2, 3, 4, 5):
            w.check_watches(path, check)
        c.set_data(path, b"x")
        c.create(path + "/k")
        c.set_data(path + "/k", b"")
        w.ping()
        w.close_session()


@scenario("watches/odd-check-and-remove")
def odd_check_and_remove(s):
    c = s.start()
    c.get_data(s.root, True)
    for kind in (0, 6, 7, -1, 99):
        c.check_watches(s.root, kind)
        c.remove_watches(s.root, kind)
    for path in ("", "x", "/none", s.root + "/"):
        c.check_watches(path, 3)
        c.remove_watches(path, 3)
    s.log("-- another connection's watch is not mine")
    other = s.open("o")
    other.check_watches(s.root, 2)
    other.remove_watches(s.root, 3)
    c.check_watches(s.root, 2)


@scenario("watches/acl-filter")
def acl_filter(s):
    """No READ, no event; the one-shot watch is used up all the same."""
    c, w, b = s.start(), s.open("w"), s.open("bob")
    b.auth("digest", b"bob:pw")
    p = s.root
    n = p + "/n"
    secret = [(1, "digest", BOB), (30, "world", "anyone")]
    for client in (w, b):
        client.add_watch(p, 1)
        client.exists(n, True)
    c.create(n, b"", secret)
    w.ping()
    b.ping()
    for client in (w, b):
        client.add_watch(n, 0)
    c.set_data(n, b"1")
    c.create(n + "/k")
    c.set_data(n + "/k", b"")
    c.delete(n + "/k")
    w.ping()
    b.ping()
    s.log("-- a watch set while the node was readable")
    m = p + "/m"
    c.create(m, b"")
    for client in (w, b):
        client.get_data(m, True)
        client.get_children(m, True)
    c.set_acl(m, secret)
    c.set_data(m, b"1")
    c.create(m + "/k")
    w.ping()
    b.ping()
    c.set_acl(m, wire.OPEN)
    c.set_data(m, b"2")
    w.ping()
    b.ping()
    s.log("-- deletion of an unreadable node, and its parent's event")
    for client in (w, b):
        client.get_children(p, True)
        client.exists(n, True)
    c.delete(n)
    w.ping()
    b.ping()
    s.log("-- a parent that cannot be read")
    c.create(p + "/dir", b"")
    for client in (w, b):
        client.get_children(p + "/dir", True)
    c.set_acl(p + "/dir", secret)
    c.create(p + "/dir/k", b"")
    w.ping()
    b.ping()


@scenario("watches/auth-later")
def auth_later(s):
    """The connection's identity at delivery counts."""
    c, w = s.start(), s.open("w")
    n = s.root + "/n"
    w.add_watch(n, 0)
    c.create(n, b"", [(1, "digest", BOB), (30, "world", "anyone")])
    w.ping()
    w.auth("digest", b"bob:pw")
    c.set_data(n, b"x")
    w.ping()


@scenario("watches/gone-with-the-connection")
def gone_with_connection(s):
    c, w = s.start(), s.open("w")
    p = s.root
    w.get_data(p, True)
    w.add_watch(p, 0)
    w.add_watch(p, 1)
    again = s.resume(w)
    c.set_data(p, b"x")
    again.ping()
    again.check_watches(p, 3)


@scenario("watches/many-connections")
def many_connections(s):
    c = s.start()
    watchers = [s.open(f"w{number}") for number in range(5)]
    for w in watchers:
        w.get_data(s.root, True)
    c.set_data(s.root, b"x")
    for w in watchers:
        w.ping()


@scenario("watches/event-ahead-of-read")
def event_ahead_of_read(s):
    """A read that shows the change comes behind its event."""
    c, w = s.start(), s.open("w")
    for turn in range(20):
        w.get_data(s.root, True)
        c.set_data(s.root, b"%d" % turn)
        w.get_data(s.root)
