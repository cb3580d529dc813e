#!/usr/bin/env python3
"""Records what a standalone Java server and its clients say to each other, and what the server writes.

    record.py RELEASE CLASS-PATH OUT

writes OUT/wire-RELEASE.txt, OUT/log-RELEASE.txt and OUT/snapshot-RELEASE.txt. The class path holds the release's
server and client.
"""

import pathlib
import subprocess
import sys
import tempfile

import beyond
import doors
import files
from server import Server

HERE = pathlib.Path(__file__).parent
CONFIG = ["tickTime=500", "maxSessionTimeout=60000"]
FLAGS = [
    "zookeeper.extendedTypesEnabled=true",
    "zookeeper.enforceQuota=true",
    # Containers stay for as long as the recording takes.
    "znode.container.checkIntervalMs=3600000",
]


def run_java(class_path, folder, main, *arguments):
    subprocess.run(["javac", "-cp", class_path, "-d", folder, *HERE.glob("*.java")], check=True)
    flags = ["-Dfile.encoding=UTF-8", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
    subprocess.run(["java", *flags, "-cp", f"{class_path}:{folder}", main, *arguments], check=True)


def write(path, kind, release, lines):
    head = f"# {kind}, release {release}. Made by interop/golden; README.md says how to read it.\n"
    path.write_text(head + "".join(line + "\n" for line in lines))


def record(release, class_path, out):
    with tempfile.TemporaryDirectory() as folder:
        server = Server(class_path, pathlib.Path(folder) / "server", CONFIG, FLAGS)
        try:
            server.start()
            trace = doors.Trace(server.port)
            run_java(class_path, folder, "Session", str(doors.serve_control(trace)))
            beyond.record(trace)
            server.stop()
            server.start()
        finally:
            server.stop()
        write(out / f"wire-{release}.txt", "Frames between clients and a standalone server", release, trace.lines)
        write(out / f"log-{release}.txt", "Records of a standalone server's log", release, log_lines(server, trace))
        snapshot = server.files("snapshot")[-1]
        parts = [f"{name} {part.hex()}" for name, part in files.snapshot_parts(snapshot)]
        write(out / f"snapshot-{release}.txt", "Parts of a standalone server's snapshot", release, parts)


def log_lines(server, trace):
    for path in server.files("log"):
        for session, cxid, zxid, _kind, record in files.log_records(path):
            name = trace.named.get((session, cxid), "server")
            yield f"{name} {zxid:#x} {record.hex()}"


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    record(sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]))
