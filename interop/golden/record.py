#!/usr/bin/env python3
"""Records what Java servers and clients say to each other, and what the servers write.

    record.py RELEASE CLASS-PATH OUT [PART ...]

writes OUT/*-RELEASE.txt. The class path holds the release's server and client. Parts: standalone, ensemble, secured,
between, config; all of them unless named.
"""

import pathlib
import subprocess
import sys
import tempfile

import between
import beyond
import files
from doors import Trace, serve_control
from server import Server, ensemble

HERE = pathlib.Path(__file__).parent
# The digest of super:driver.
SUPER = "zookeeper.DigestAuthenticationProvider.superDigest=super:r57XhibgF/CBKQmhRwxP4ixCwJ8="
JAAS = """
Server { org.apache.zookeeper.server.auth.DigestLoginModule required user_bob="secret"; };
Client { org.apache.zookeeper.server.auth.DigestLoginModule required username="bob" password="secret"; };
Wrong { org.apache.zookeeper.server.auth.DigestLoginModule required username="bob" password="guess"; };
"""
CLOSE_SESSION, DELETE_CONTAINER = -11, 20


class Recording:
    """One part's folder, and the files that come of it."""

    def __init__(self, release, class_path, out, folder):
        self.release, self.class_path, self.out = release, class_path, out
        self.folder = pathlib.Path(folder)
        self.classes = self.folder / "classes"
        self.classes.mkdir()
        subprocess.run(["javac", "-cp", class_path, "-d", self.classes, *HERE.glob("*.java")], check=True)

    def java(self, trace, main, *flags):
        """Runs a program of steps."""
        command = ["java", "-Dfile.encoding=UTF-8", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
        command += [f"-D{flag}" for flag in flags]
        command += ["-cp", f"{self.class_path}:{self.classes}", main, str(serve_control(trace))]
        subprocess.run(command, check=True)

    def write(self, kind, what, lines):
        path = self.out / f"{kind}-{self.release}.txt"
        head = f"# {what}, release {self.release}. Made by interop/golden; README.md says how to read it.\n"
        path.write_text(head + "".join(line + "\n" for line in lines))


def standalone(recording):
    config = ["tickTime=500", "maxSessionTimeout=60000"]
    flags = [
        "zookeeper.extendedTypesEnabled=true",
        "zookeeper.enforceQuota=true",
        # Containers stay for as long as the recording takes.
        "znode.container.checkIntervalMs=3600000",
    ]
    server = Server(recording.class_path, recording.folder / "server", config, flags)
    try:
        server.start()
        trace = Trace(server.port)
        recording.java(trace, "Session")
        beyond.record(trace)
        server.stop()
        server.start()
    finally:
        server.stop()
    recording.write("wire", "Frames between clients and a standalone server", trace.lines)
    recording.write("log", "Records of a standalone server's log", log_lines(server, trace))
    snapshot = server.files("snapshot")[-1]
    parts = [f"{name} {part.hex()}" for name, part in files.snapshot_parts(snapshot)]
    recording.write("snapshot", "Parts of a standalone server's snapshot", parts)


def log_lines(server, trace):
    for path in server.files("log"):
        for session, cxid, zxid, kind, record in files.log_records(path):
            name = trace.named.get((session, cxid), "server")
            if cxid == 0 and kind == CLOSE_SESSION:
                name = "server/expired"
            elif cxid == 0 and kind == DELETE_CONTAINER:
                name = "server/container"
            yield f"{name} {zxid:#x} {record.hex()}"


def in_ensemble(recording):
    config = ["tickTime=500", "initLimit=20", "syncLimit=20", "reconfigEnabled=true", "standaloneEnabled=false"]
    flags = [SUPER, "zookeeper.extendedTypesEnabled=true", "znode.container.checkIntervalMs=200"]
    servers = ensemble(recording.class_path, recording.folder, config, flags)
    try:
        # The last is there when the others come, and its number is the highest: it leads.
        servers[-1].start(mode=b"not currently serving")
        for server in servers[:-1]:
            server.start(mode=None)
        for server in servers:
            server.wait(b"Mode: leader", b"Mode: follower")
        other, _, leader = servers
        if not leader.serves(b"Mode: leader"):
            sys.exit("another server leads: record this part again")
        trace = Trace(leader.port)
        recording.java(trace, "Ensemble", f"other={other.sid}", f"address={other.address}")
        for server in servers:
            server.stop()
        # One of three is none: with these settings it serves those who only read.
        leader.flags.append("readonlymode.enabled=true")
        leader.configure("localSessionsEnabled=true")
        leader.start(mode=b"Mode: read-only")
        recording.java(trace, "ReadOnly")
    finally:
        for server in servers:
            server.stop()
    recording.write("wire-ensemble", "Frames between clients and the leader of three servers", trace.lines)
    recording.write("log-ensemble", "Records of the log of the leader of three servers", log_lines(leader, trace))


def secured(recording):
    jaas = recording.folder / "jaas.conf"
    jaas.write_text(JAAS)
    login = f"java.security.auth.login.config={jaas}"
    flags = [
        login,
        "zookeeper.authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
        "zookeeper.fips-mode=false",
        "zookeeper.enforce.auth.enabled=true",
        "zookeeper.enforce.auth.schemes=sasl",
    ]
    server = Server(recording.class_path, recording.folder / "server", ["tickTime=500"], flags)
    try:
        server.start()
        trace = Trace(server.port)
        recording.java(trace, "Secured", login, "zookeeper.fips-mode=false")
        beyond.record_unidentified(trace)
    finally:
        server.stop()
    what = "a server that wants SASL, without TTL nodes"
    recording.write("wire-secured", f"Frames between clients and {what}", trace.lines)
    recording.write("log-secured", f"Records of the log of {what}", log_lines(server, trace))


def between_servers(recording):
    talk = between.record_ensemble(recording.class_path, recording.folder / "ensemble", [SUPER])
    groups = between.record_groups(recording.class_path, recording.folder / "groups", [], talk)
    recording.write("between", "Messages between servers", talk.lines + groups.lines)


def config(recording):
    """Texts of configurations, and what a server makes of them."""
    texts = [line.split(" ", 1) for line in (HERE / "configs.txt").read_text().splitlines()]
    command = ["java", "-Dfile.encoding=UTF-8", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off"]
    command += ["-Dzookeeper.multiAddress.enabled=true"]
    command += ["-cp", f"{recording.class_path}:{recording.classes}", "Config"]
    given = "".join(text + "\n" for _, text in texts)
    out = subprocess.run(command, input=given, check=True, capture_output=True, text=True).stdout.splitlines()
    lines = []
    for (name, text), written, quorums in zip(texts, out[::2], out[1::2], strict=True):
        lines += [f"{name} < {text}", f"{name} > {written}", f"{name} = {quorums}".rstrip()]
    recording.write("config", "Texts of configurations, read and written by a server", lines)


PARTS = {
    "standalone": standalone,
    "ensemble": in_ensemble,
    "secured": secured,
    "between": between_servers,
    "config": config,
}


def main(arguments):
    if len(arguments) < 3:
        sys.exit(__doc__)
    for part in arguments[3:] or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[part](Recording(arguments[0], arguments[1], pathlib.Path(arguments[2]), folder))


if __name__ == "__main__":
    main(sys.argv[1:])
