"""A Java server in a folder of its own."""

import pathlib
import shutil
import socket
import subprocess
import time

START_SECONDS = 60
QUIET = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port, word):
    """The answer to a four-letter word, empty when there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as probe:
            probe.sendall(word)
            text = b""
            while piece := probe.recv(4096):
                text += piece
            return text
    except OSError:
        return b""


class Server:
    """A server's folder: `start` and `stop` as often as wanted."""

    def __init__(self, class_path, folder, config, flags, port=None):
        self.class_path = class_path
        self.folder = pathlib.Path(folder)
        self.port = port or free_port()
        self.flags = list(flags)
        self.process = None
        self.sid = None
        self.address = None
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "data").mkdir(parents=True)
        lines = [f"dataDir={self.folder}/data", "admin.enableServer=false", "4lw.commands.whitelist=*", *config]
        if not any(line.startswith("server.") for line in config):
            lines += [f"clientPort={self.port}", "clientPortAddress=127.0.0.1"]
        (self.folder / "zoo.cfg").write_text("\n".join(lines) + "\n")

    def configure(self, line):
        """One more line for the next start."""
        with open(self.folder / "zoo.cfg", "a") as config:
            config.write("\n" + line + "\n")

    def start(self, mode=b"Mode: standalone"):
        """Starts it and waits until it serves in this mode; None: does not wait."""
        flags = ["-Dzookeeper.preAllocSize=64", "-Dzookeeper.admin.enableServer=false"]
        flags += [f"-D{flag}" for flag in self.flags]
        with open(self.folder / "server.out", "ab") as out:
            self.process = subprocess.Popen(
                ["java", *QUIET, *flags, "-cp", self.class_path]
                + ["org.apache.zookeeper.server.quorum.QuorumPeerMain", str(self.folder / "zoo.cfg")],
                stdout=out,
                stderr=out,
            )
        if mode is not None:
            self.wait(mode)

    def wait(self, *modes):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if any(self.serves(mode) for mode in modes):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise TimeoutError(f"the server does not serve: see {self.folder}/server.out")

    def serves(self, mode):
        return mode in answers(self.port, b"srvr")

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def files(self, kind):
        """Its log or snapshot files, in order of their numbers."""
        files = (self.folder / "data" / "version-2").glob(kind + ".*")
        return sorted(files, key=lambda path: int(path.name.split(".")[1], 16))


def ensemble(class_path, folder, config, flags, roles=("participant",) * 3, hosts=None):
    """Servers that are to be one ensemble, not started: numbered from 1, one for each role.

    `hosts` has the names of a server that is to have several, by its number; each is a name of loopback.
    """
    addresses, client_ports = {}, {}
    for sid, role in enumerate(roles, 1):
        places = [f"{host}:{free_port()}:{free_port()}:{role}" for host in (hosts or {}).get(sid, ["127.0.0.1"])]
        client_ports[sid] = free_port()
        addresses[sid] = f"{'|'.join(places)};127.0.0.1:{client_ports[sid]}"
    members = [f"server.{sid}={address}" for sid, address in addresses.items()]
    servers = []
    for sid, address in addresses.items():
        server = Server(class_path, folder / f"server-{sid}", config + members, flags, client_ports[sid])
        server.sid, server.address = sid, address
        (server.folder / "data" / "myid").write_text(f"{sid}\n")
        servers.append(server)
    return servers
