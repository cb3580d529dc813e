#!/usr/bin/env python3
"""Cuts data directories of a server, and what servers said, into inputs for the fuzz targets.

    cut.py FOLDER VERSION-2-DIRECTORY...
    cut.py FOLDER FIXTURE...

Whole files go to `log_file` and `snapshot_file` of FOLDER, the transactions of
logs to `txn_record`, the insides of plain snapshots to `snapshot_body` and
`snapshot_parts`. The directories of `crates/zebu-store/testdata` made most of
the corpus.

Of the fixtures `between-*.txt` and `config-*.txt` of `crates/zebu-proto/testdata`
come `election_message`, `quorum_packet` and `quorum_config`: what went over a
connection in one direction in one step, and the texts.
"""

import hashlib
import sys
from pathlib import Path

FILE_BYTES_MAX = 6000
HEADER = 16
# Checksum and string "/".
SEAL = 13


def keep(folder, data):
    path = folder / hashlib.sha1(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def transactions(log):
    at = HEADER
    while at + 12 <= len(log):
        length = int.from_bytes(log[at + 8 : at + 12], "big")
        if length == 0:
            break
        yield log[at + 12 : at + 12 + length]
        at += 12 + length + 1


def without_preallocation(log):
    """A log's end is zeros; a few of them say as much as 64 MiB."""
    return log.rstrip(b"\0") + b"\0" * 40


def sections(snapshot):
    """Bytes behind the nodes of a plain snapshot: one to three seals."""
    end = b"\0\0\0\x01/"
    for length in (20 + 8 + 3 * SEAL, 20 + 2 * SEAL, 8 + 2 * SEAL, SEAL):
        nodes_end = snapshot[: len(snapshot) - length]
        if nodes_end.endswith(end) and snapshot[-length:].endswith(end):
            return length
    sys.exit("a snapshot without an end")


def messages(fixture):
    """Yields (target, bytes) for each connection, direction and step of what servers said."""
    streams = {}
    for line in fixture.read_text().splitlines()[1:]:
        step, port, connection, servers, _kind, data = line.split(" ")
        streams.setdefault((port, connection, servers, step), []).append(bytes.fromhex(data))
    for (port, *_), pieces in streams.items():
        yield {"election": "election_message", "quorum": "quorum_packet"}[port], b"".join(pieces)


def texts(fixture):
    for line in fixture.read_text().splitlines()[1:]:
        _name, sign, text = (line + " ").split(" ", 2)
        if sign != "=":
            yield text.strip().replace("\\n", "\n").encode()


def main(folder, directories):
    for directory in directories:
        fixture = Path(directory)
        if fixture.name.startswith("between-"):
            for target, data in messages(fixture):
                if len(data) <= FILE_BYTES_MAX:
                    keep(folder / target, data)
            continue
        if fixture.name.startswith("config-"):
            for text in texts(fixture):
                keep(folder / "quorum_config", text)
            continue
        for path in sorted(Path(directory).iterdir()):
            data = path.read_bytes()
            if path.name.startswith("log."):
                data = without_preallocation(data)
                if len(data) <= FILE_BYTES_MAX:
                    keep(folder / "log_file", data)
                for transaction in transactions(data):
                    keep(folder / "txn_record", transaction)
            elif path.name.startswith("snapshot.") and len(data) <= FILE_BYTES_MAX:
                keep(folder / "snapshot_file", data)
                if not path.suffix in (".gz", ".snappy"):
                    body = data[HEADER : len(data) - sections(data)]
                    for choice in (b"\x00", b"\x23"):
                        keep(folder / "snapshot_body", choice + body)
                    # Behind the root's empty path and the sessions and ACLs.
                    root = body.index(b"\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff")
                    keep(folder / "snapshot_parts", body[root:])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
