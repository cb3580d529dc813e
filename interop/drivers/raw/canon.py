"""Canonical text for values that differ between two runs of a correct server.

Transaction ids become labels in order of appearance, session ids become S1,
S2, and so on, wall-clock times become the relation they must satisfy. What a
client can rely on stays visible: which fields share a transaction, how far
one reply's zxid is from the one before it, which session owns a node.
"""

import time

from wire import password_of

# How far the server's wall clock may be from ours before a time is "odd".
# Both run on one machine, so only the run's own length matters.
CLOCK_SLACK_MS = 120_000


def text(value):
    """Data bytes in a form that is one printable token."""
    if value is None:
        return "null"
    if len(value) > 200:
        return f"<{len(value)} bytes>"
    return '"' + value.decode("latin-1").encode("unicode_escape").decode("ascii") + '"'


def name(value):
    """A path or another string; odd characters escaped, null shown."""
    if value is None:
        return "null"
    if isinstance(value, bytes):
        return "b" + text(value)
    if len(value) > 200:
        return f"<{len(value)} chars>"
    plain = value and all("!" <= char <= "~" for char in value)
    return value if plain else '"' + value.encode("unicode_escape").decode("ascii") + '"'


def acl(entries):
    if entries is None:
        return "null"
    shown = (f"{perms}:{name(scheme)}:{name(ident)}" for perms, scheme, ident in entries)
    return "[" + " ".join(shown) + "]"


class Canon:
    """What one scenario has seen so far."""

    def __init__(self):
        self.labels = {}
        self.strangers = 0
        self.sessions = {}
        self.times = {}
        self.last_zxid = None
        self.last_session = None

    def learn(self, zxid):
        """Gives a transaction its label: called for each successful write."""
        if zxid > 0 and zxid not in self.labels:
            count = sum(label.startswith("t") for label in self.labels.values())
            self.labels[zxid] = f"t{count + 1}"

    def zxid(self, zxid):
        if zxid <= 0:
            return str(zxid)
        if self.labels and zxid > max(self.labels):
            # A transaction of the server's own, an expiry for instance.
            self.learn(zxid)
        if zxid not in self.labels:
            self.strangers += 1
            self.labels[zxid] = f"u{self.strangers}"
        return self.labels[zxid]

    def reply_zxid(self, zxid):
        """The distance from the reply before it, on whichever connection."""
        if zxid <= 0:
            return str(zxid)
        shown = "base" if self.last_zxid is None else f"{zxid - self.last_zxid:+d}"
        self.last_zxid = zxid
        return shown

    def session(self, session):
        if session == 0:
            return "0"
        if session not in self.sessions:
            self.sessions[session] = f"S{len(self.sessions) + 1}"
        return self.sessions[session]

    def new_session(self, session):
        """A fresh session id: its label, and what the id's bits promise."""
        label = self.session(session)
        server = (session >> 56) & 0xFF
        step = "" if self.last_session is None else f" step={session - self.last_session:+d}"
        self.last_session = session
        return f"{label} server={server}{step}"

    def passwd(self, session, passwd):
        if passwd is None:
            return "null"
        if passwd == password_of(session):
            return "of-id"
        if passwd == b"\0" * len(passwd):
            return f"zero*{len(passwd)}"
        return f"other*{len(passwd)}"

    def moment(self, zxid, millis):
        """One wall-clock time and the transaction it must belong to."""
        if millis == 0:
            return "0"
        if self.times.setdefault(zxid, millis) != millis:
            return "two-times-for-one-zxid"
        off_ms = abs(millis - time.time() * 1000)
        return "now" if off_ms < CLOCK_SLACK_MS else "odd"

    def stat(self, stat):
        czxid, mzxid = stat["czxid"], stat["mzxid"]
        order = "" if stat["mtime"] >= stat["ctime"] else " mtime<ctime"
        return (
            f"{{c={self.zxid(czxid)} m={self.zxid(mzxid)} p={self.zxid(stat['pzxid'])}"
            f" ct={self.moment(czxid, stat['ctime'])}"
            f" mt={self.moment(mzxid, stat['mtime'])}{order}"
            f" v={stat['version']} cv={stat['cversion']} av={stat['aversion']}"
            f" eph={self.session(stat['owner'])}"
            f" len={stat['length']} kids={stat['children']}}}"
        )
