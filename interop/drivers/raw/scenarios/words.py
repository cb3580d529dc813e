"""The four-letter words: text formats, whitelist, ways to ask."""

import re
import socket
import time

from client import ANSWER_SECONDS, Connection
from harness import scenario

WORDS = (
    "ruok", "isro", "srvr", "stat", "conf", "cons", "crst", "srst", "dump", "envi", "wchs", "wchc", "wchp",
    "dirs", "gtmk", "stmk", "hash", "mntr",
)  # fmt: skip

# What dashboards read. The reference adds some hundred counters of its inner
# stages after these, in no fixed order.
MNTR_KEYS = (
    "zk_version", "zk_server_state", "zk_avg_latency", "zk_max_latency", "zk_min_latency", "zk_packets_received",
    "zk_packets_sent", "zk_num_alive_connections", "zk_outstanding_requests", "zk_znode_count", "zk_watch_count",
    "zk_ephemerals_count", "zk_approximate_data_size", "zk_open_file_descriptor_count",
    "zk_max_file_descriptor_count", "zk_global_sessions", "zk_local_sessions", "zk_uptime",
    "zk_connection_drop_probability", "zk_last_client_response_size", "zk_min_client_response_size",
    "zk_max_client_response_size", "zk_non_mtls_remote_conn_count", "zk_non_mtls_local_conn_count",
    "zk_outstanding_tls_handshake", "zk_auth_failed_count", "zk_throttled_ops", "zk_response_packet_cache_hits",
)  # fmt: skip

# Their values are the same in every run of the scenario.
STEADY = {
    "zk_server_state", "zk_znode_count", "zk_watch_count", "zk_ephemerals_count", "zk_local_sessions",
    "zk_outstanding_requests", "zk_approximate_data_size", "zk_connection_drop_probability", "zk_throttled_ops",
}  # fmt: skip

MASKS = (
    (r"^Zookeeper version: \S+-\S+, built on \d{4}-\d\d-\d\d \d\d:\d\d \S+$", "Zookeeper version: VERSION"),
    (r"127\.0\.0\.1:\d+(\[[0-9a-f]\])?", "127.0.0.1:PORT"),
    (r"(Latency min/avg/max: )\d+/\d+(\.\d+)?/\d+", r"\1N/N/N"),
    (r"((Received|Sent|Connections|Outstanding): )\d+", r"\1N"),
    (r"(Zxid: )0x[0-9a-f]+", r"\1ZXID"),
    (r"(queued|recved|sent|est|lresp|llat|minlat|avglat|maxlat)=-?\d+", r"\1=N"),
    (r"lzxid=0x[0-9a-f]+", "lzxid=ZXID"),
    (r"expire at .*$", "expire at DATE"),
    (r"_size: \d+$", "_size: N"),
    (r"(dataDir|dataLogDir)=.*", r"\1=PATH"),
    (r"(dataDirSize|dataLogSize|clientPort)=\d+", r"\1=N"),
)


def ask(s, data, half_close=False):
    """Sends raw bytes on a connection of its own and reads to the end."""
    connection = Connection(s.address)
    connection.send(data)
    if half_close:
        connection.socket.shutdown(socket.SHUT_WR)
    answer = connection.read_to_end()
    connection.close()
    return answer.decode("utf-8", "replace")


def masked(s, text):
    """The text with every value masked that differs between runs."""

    def session(match):
        return s.canon.session(int(match.group(1), 16))

    lines = []
    for line in text.split("\n"):
        for pattern, mask in MASKS:
            line = re.sub(pattern, mask, line)
        lines.append(re.sub(r"0x([0-9a-f]{14,16})", session, line))
    return lines


def show(s, word, text, order=None):
    s.log(f"-- {word}")
    lines = masked(s, text)
    for line in lines if order is None else order(lines):
        s.log(f"|{line}")


@scenario("words/fixed-answers", profile="fresh")
def fixed_answers(s):
    for word in ("ruok", "isro", "crst", "srst", "gtmk", "hash"):
        show(s, word, ask(s, word.encode()))
    show(s, "stmk", ask(s, b"stmk" + (0o644).to_bytes(8, "big")))
    show(s, "gtmk", ask(s, b"gtmk"))
    show(s, "stmk", ask(s, b"stmk" + (306).to_bytes(8, "big")))


@scenario("words/ways-to-ask", profile="fresh")
def ways_to_ask(s):
    for data in (b"ruok", b"ruok\n", b"ruok\r\n", b"ruok and more of it", b"RUOK", b"ruo", b"quit", b"ruokruok"):
        s.log(f"{data} -> {ask(s, data, half_close=True)!r}")
    for data in (b"ruok", b"isro\n"):
        s.log(f"{data} without half-close -> {ask(s, data)!r}")
    s.log(f"telnet -> {ask(s, bytes.fromhex('fff4fffd'), half_close=True)!r}")
    connection = Connection(s.address)
    for byte in b"ruok":
        connection.send(bytes([byte]))
    s.log(f"byte by byte -> {connection.read_to_end()!r}")
    connection.close()


@scenario("words/srvr-and-stat", profile="fresh")
def srvr_and_stat(s):
    c = s.start()
    c.ping()
    show(s, "srvr", ask(s, b"srvr"))
    show(s, "stat", ask(s, b"stat"), order=sorted_clients)


def sorted_clients(lines):
    """Connections stand in no fixed order; the rest keeps its own."""
    clients = sorted(line for line in lines if line.startswith(" /"))
    first = next((at for at, line in enumerate(lines) if line.startswith(" /")), 0)
    rest = [line for line in lines if not line.startswith(" /")]
    return rest[:first] + clients + rest[first:]


@scenario("words/cons", profile="fresh")
def cons(s):
    """The connection line in its long form, operation by operation."""
    c = s.start()
    p = s.root
    steps = {
        "PING": c.ping, "CREA": lambda: c.create(p + "/a"), "SETD": lambda: c.set_data(p, b""),
        "EXIS": lambda: c.exists(p), "GETD": lambda: c.get_data(p), "SETA": lambda: c.set_acl(p, [(31, "world", "anyone")]),
        "GETA": lambda: c.get_acl(p), "GETC": lambda: c.get_children(p), "GETC2": lambda: c.get_children2(p),
        "GETACN": lambda: c.count(p), "GETE": lambda: c.ephemerals("/"), "SYNC": c.sync, "MULT": lambda: c.multi([]),
        "MLTR": lambda: c.multi_read([]), "SETW": lambda: c.set_watches(0), "STW2": lambda: c.set_watches2(0),
        "ADDW": lambda: c.add_watch(p, 0), "CHKW": lambda: c.check_watches(p, 3),
        "REMW": lambda: c.remove_watches(p, 3), "HOMI": c.who_am_i, "RECO": c.reconfig,
        "DELE": lambda: c.delete(p + "/a"), "AUTH": lambda: c.auth("digest", b"a:b"),
    }  # fmt: skip
    for shown, step in steps.items():
        step()
        s.log(f"-- {shown}")
        for line in masked(s, ask(s, b"cons")):
            if "sid=" in line:
                s.log(f"|{line}")
    show(s, "cons in full", ask(s, b"cons"), order=sorted_clients)
    w = s.client("no-session")
    # A connection is listed once it is accepted, which may be after a later one has asked.
    deadline = time.monotonic() + ANSWER_SECONDS
    while (text := ask(s, b"cons")).count("/127.0.0.1:") < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    show(s, "a connection without a session", text, order=sorted_clients)
    w.drop()


@scenario("words/watches", profile="fresh")
def watches(s):
    c, w = s.start(), s.open("w")
    p = s.root
    show(s, "wchs of none", ask(s, b"wchs"))
    show(s, "wchc of none", ask(s, b"wchc"))
    show(s, "wchp of none", ask(s, b"wchp"))
    c.get_data(p, True)
    c.exists(p + "/x", True)
    w.get_data(p, True)
    w.get_children(p, True)
    w.add_watch(p + "/deep", 1)
    w.add_watch(p + "/deep", 0)
    show(s, "wchs", ask(s, b"wchs"))
    show(s, "wchc", ask(s, b"wchc"), order=sorted_groups)
    show(s, "wchp", ask(s, b"wchp"), order=sorted_groups)


def sorted_groups(lines):
    """Groups of a head line and its indented lines, all sorted."""
    groups = []
    for line in lines:
        if line.startswith("\t"):
            groups[-1][1].append(line)
        else:
            groups.append((line, []))
    return [line for head, rest in sorted(groups) for line in [head, *sorted(rest)]]


def take(items, item):
    """Takes the item out of the set, if it is there."""
    there = item in items
    items.discard(item)
    return there


@scenario("words/dump", profile="fresh")
def dump(s):
    c = s.start()
    c.create(s.root + "/e", b"", flags=1)
    c.create(s.root + "/f", b"", flags=1)
    lines = masked(s, ask(s, b"dump"))
    # A Java server may list a connection after its end: when it closes a connection of which it still reads.
    own = f"sessionId: {s.canon.session(c.session)}"
    asking = "sessionId: 0x0"
    connections = {line for line in lines if line.startswith("\tip:") and line.endswith((own, asking))}
    lines = [line for line in lines if not line.startswith("\tip:") or take(connections, line)]
    # A session's paths come in hash order, connections by their expiry.
    for lead in ("\t/", "\tip:"):
        group = sorted(line for line in lines if line.startswith(lead))
        lines = [group.pop(0) if line.startswith(lead) else line for line in lines]
    for line in lines:
        line = re.sub(r"\((\d+)\)/\((\d+)\)", "(N)/(N)", line)
        # How many sessions share a bucket depends on the moment.
        if " expire at " not in line:
            s.log(f"|{line}")


@scenario("words/conf-envi-dirs", profile="fresh")
def conf(s):
    show(s, "conf", ask(s, b"conf"))
    show(s, "dirs", ask(s, b"dirs"))
    s.log("-- envi")
    for line in ask(s, b"envi").split("\n"):
        key, equals, _ = line.partition("=")
        s.log(f"|{key}{equals}")


@scenario("words/mntr", profile="fresh")
def mntr(s):
    c = s.start()
    c.create(s.root + "/e", b"12345", flags=1)
    c.get_data(s.root, True)
    lines = ask(s, b"mntr").split("\n")
    s.log(f"first {lines[0].partition(chr(9))[0]} {lines[1].partition(chr(9))[0]} last {lines[-1]!r}")
    values = dict(line.split("\t", 1) for line in lines if "\t" in line)
    malformed = [line for line in lines if line and not re.match(r"^zk_[\w.{}=\",:-]+\t\S.*$", line)]
    s.log(f"malformed {malformed}")
    for key in MNTR_KEYS:
        value = values.get(key, "missing")
        if key not in STEADY and value != "missing":
            value = re.sub(r"\d+(\.\d+)?", "N", value) if key != "zk_version" else "VERSION"
        s.log(f"|{key} {value}")


@scenario("words/whitelist-default", profile="plain")
def whitelist_default(s):
    """Which words are on; what they answer is shown elsewhere."""
    for word in WORDS:
        answer = ask(s, word.encode() + b"\0" * 8)
        s.log(f"{word} -> {answer!r}" if "not in the whitelist" in answer else f"{word} -> answered")


@scenario("words/whitelist-some", profile="enforce")
def whitelist_some(s):
    for word in WORDS:
        show(s, word, ask(s, word.encode() + b"\0" * 8))
    s.log(f"telnet -> {ask(s, bytes.fromhex('fff4fffd'), half_close=True)!r}")
