"""Log and snapshot files, cut into their records. Nothing is decoded that need not be for the cutting."""

import struct

LOG_HEADER_BYTES = 16
SNAPSHOT_HEADER_BYTES = 16


def log_records(path):
    """Yields (session, cxid, zxid, type, record) for each record of a log file."""
    data = path.read_bytes()
    at = LOG_HEADER_BYTES
    while at + 12 <= len(data):
        _checksum, length = struct.unpack_from(">qi", data, at)
        if length == 0:
            return
        record = data[at + 12 : at + 12 + length]
        session, cxid, zxid, _time, kind = struct.unpack_from(">qiqqi", record)
        yield session, cxid, zxid, kind, record
        at += 12 + length + 1


class Cutter:
    """Takes bytes from the front."""

    def __init__(self, data):
        self.data, self.at, self.start = data, 0, 0

    def skip(self, count):
        self.at += count

    def i32(self):
        self.at += 4
        return struct.unpack_from(">i", self.data, self.at - 4)[0]

    def string(self):
        length = self.i32()
        self.at += max(length, 0)
        return self.data[self.at - max(length, 0) : self.at]

    def piece(self):
        """What was skipped since the last piece."""
        piece, self.start = self.data[self.start : self.at], self.at
        return piece


def snapshot_parts(path):
    """Yields (name, bytes) for each part of a snapshot."""
    cutter = Cutter(path.read_bytes())
    cutter.skip(SNAPSHOT_HEADER_BYTES)
    yield "header", cutter.piece()
    for name in tree_parts(cutter):
        yield name, cutter.piece()
    cutter.skip(8 + 5)
    yield "seal", cutter.piece()
    if cutter.at < len(cutter.data):
        cutter.skip(8 + 4 + 8 + 8 + 5)
        yield "digest", cutter.piece()
    if cutter.at < len(cutter.data):
        cutter.skip(8 + 8 + 5)
        yield "last-zxid", cutter.piece()


def tree_parts(cutter):
    """Goes over sessions, ACLs and nodes, which are in snapshots and between servers; yields the name of each part."""
    cutter.skip(cutter.i32() * 12)
    yield "sessions"
    for _ in range(cutter.i32()):
        cutter.skip(8)
        for _ in range(cutter.i32()):
            cutter.skip(4)
            cutter.string()
            cutter.string()
    yield "acls"
    while (node := cutter.string()) != b"/":
        cutter.string()
        cutter.skip(8 + 60)
        yield "node" + (node.decode() or "/")
    yield "end"
