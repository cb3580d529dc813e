"""The client protocol in bytes: encoders, decoders and opcode numbers.

Nothing here knows what a correct server answers; it only turns values into
frames and frames into values. Encoders accept wrong values on purpose (a raw
byte string where a path is expected, a length that does not fit), because a
driver must be able to send what no client library can.
"""

import struct

OPCODES = {
    "notification": 0,
    "create": 1,
    "delete": 2,
    "exists": 3,
    "getData": 4,
    "setData": 5,
    "getACL": 6,
    "setACL": 7,
    "getChildren": 8,
    "sync": 9,
    "ping": 11,
    "getChildren2": 12,
    "check": 13,
    "multi": 14,
    "create2": 15,
    "reconfig": 16,
    "checkWatches": 17,
    "removeWatches": 18,
    "createContainer": 19,
    "deleteContainer": 20,
    "createTTL": 21,
    "multiRead": 22,
    "auth": 100,
    "setWatches": 101,
    "sasl": 102,
    "getEphemerals": 103,
    "getAllChildrenNumber": 104,
    "setWatches2": 105,
    "addWatch": 106,
    "whoAmI": 107,
    "createSession": -10,
    "closeSession": -11,
}

EVENTS = {1: "Created", 2: "Deleted", 3: "DataChanged", 4: "ChildrenChanged"}

OPEN = [(31, "world", "anyone")]
READ_ONLY = [(1, "world", "anyone")]


def i32(value):
    return struct.pack(">i", value)


def i64(value):
    return struct.pack(">q", value)


def boolean(value):
    """True and False, or any byte value given as a number."""
    return struct.pack(">B", int(value))


def ustring(value):
    """A string, raw bytes in its place, or None for the null string."""
    if value is None:
        return i32(-1)
    raw = value if isinstance(value, bytes) else value.encode("utf-8")
    return i32(len(raw)) + raw


def buffer(value):
    return i32(-1) if value is None else i32(len(value)) + value


def vector(items, encode):
    """A list, or None for the null vector."""
    if items is None:
        return i32(-1)
    return i32(len(items)) + b"".join(encode(item) for item in items)


def acl_entry(entry):
    perms, scheme, ident = entry
    return i32(perms) + ustring(scheme) + ustring(ident)


def acl_list(entries):
    return vector(entries, acl_entry)


def frame(payload):
    return i32(len(payload)) + payload


def connect_request(
    session=0, passwd=b"\0" * 16, timeout=30000, last_zxid=0, read_only=False, version=0
):
    """The first frame's payload. read_only None leaves the trailing byte out."""
    body = i32(version) + i64(last_zxid) + i32(timeout) + i64(session) + buffer(passwd)
    return body if read_only is None else body + boolean(read_only)


def password_of(session):
    """The password the reference derives from a session id.

    java.util.Random seeded with the id and a constant, sixteen bytes drawn
    least significant first from each 32-bit output.
    """
    mask = (1 << 48) - 1
    state = ((session ^ 0xB3415C00) ^ 0x5DEECE66D) & mask
    out = b""
    for _ in range(4):
        state = (state * 0x5DEECE66D + 0xB) & mask
        out += struct.pack("<I", (state >> 16) & 0xFFFFFFFF)
    return out


class Short(Exception):
    """A record ended before its last field."""


class Reader:
    """Reads one frame's payload field by field."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if count < 0 or self.at + count > len(self.data):
            raise Short(f"{count} bytes wanted at {self.at} of {len(self.data)}")
        piece = self.data[self.at : self.at + count]
        self.at += count
        return piece

    def i32(self):
        return struct.unpack(">i", self.take(4))[0]

    def i64(self):
        return struct.unpack(">q", self.take(8))[0]

    def boolean(self):
        return self.take(1)[0]

    def buffer(self):
        length = self.i32()
        return None if length == -1 else self.take(length)

    def ustring(self):
        raw = self.buffer()
        return None if raw is None else raw.decode("utf-8", "replace")

    def vector(self, item):
        count = self.i32()
        return None if count == -1 else [item() for _ in range(count)]

    def acl(self):
        return self.vector(lambda: (self.i32(), self.ustring(), self.ustring()))

    def stat(self):
        names = ("czxid", "mzxid", "ctime", "mtime")
        stat = {name: self.i64() for name in names}
        stat.update({name: self.i32() for name in ("version", "cversion", "aversion")})
        stat["owner"] = self.i64()
        stat.update({name: self.i32() for name in ("length", "children")})
        stat["pzxid"] = self.i64()
        return stat

    def rest(self):
        return self.take(len(self.data) - self.at)


# Request bodies, one function per record.


def create_body(path, data=b"", acl=OPEN, flags=0):
    return ustring(path) + buffer(data) + acl_list(acl) + i32(flags)


def create_ttl_body(path, data=b"", acl=OPEN, flags=5, ttl=1000):
    return create_body(path, data, acl, flags) + i64(ttl)


def path_version_body(path, version=-1):
    return ustring(path) + i32(version)


def path_watch_body(path, watch=False):
    return ustring(path) + boolean(watch)


def set_data_body(path, data, version=-1):
    return ustring(path) + buffer(data) + i32(version)


def set_acl_body(path, acl, version=-1):
    return ustring(path) + acl_list(acl) + i32(version)


def set_watches_body(zxid, *lists):
    return i64(zxid) + b"".join(vector(paths, ustring) for paths in lists)


def auth_body(scheme, auth, kind=0):
    return i32(kind) + ustring(scheme) + buffer(auth)


def multi_header(kind, done=0, err=-1):
    return i32(kind) + boolean(done) + i32(err)


def multi_body(elements):
    """Elements are (opcode name or number, encoded record)."""
    body = b""
    for kind, record in elements:
        body += multi_header(OPCODES.get(kind, kind)) + record
    return body + multi_header(-1, 1, -1)
