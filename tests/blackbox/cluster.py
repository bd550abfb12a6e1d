"""An ensemble of real processes, as the faults need it: who leads, who serves, on which hosts.

The processes themselves are started and ended by tests/compat/server.py, the hosts are made in
hosts.py; what is done to either is decided in faults.py.
"""

import mmap
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "compat"))
import server as launcher  # noqa: E402  (the path above must be set first)

WAIT_SECONDS = 40.0
POLL_SECONDS = 0.01
# What a small ensemble's zoo.cfg says in ZooKeeper's own guide. Segments are small, so that a
# full disk is noticed soon.
CONFIG = {"tickTime": "2000", "initLimit": "10", "syncLimit": "5", "txnLogSizeLimitInKb": "4096"}


class Shim:
    """Clock and disk of one server, through the page that shim.c reads."""

    def __init__(self, path):
        self.path = Path(path)
        self.path.write_bytes(bytes(16))
        with open(self.path, "r+b") as file:
            self._page = mmap.mmap(file.fileno(), 16)

    def step_clock(self, seconds):
        """From now on its wall clock differs by so much from ours; 0 sets it right again."""
        self._page[0:8] = struct.pack("<q", int(seconds * 1e9))

    def slow_disk(self, seconds):
        """From now on each sync takes so much longer."""
        self._page[8:16] = struct.pack("<q", int(seconds * 1e6))


class Cluster:
    """`count` servers of `kind` on `hosts`; clients at port + N, other members above port + 50.

    `config` adds to CONFIG, or takes away from it with None."""

    def __init__(self, kind, directory, port, count, hosts, config=None):
        numbers = range(1, count + 1)
        self.kind = kind
        self.hosts = hosts
        # When the fault of this round took effect.
        self.struck = 0.0
        directory = Path(directory)
        lines = {f"server.{number}": f"{hosts.address(number)}:{port + 50 + number}:"
                                     f"{port + 70 + number}" for number in numbers}
        library = build_shim(directory) if kind == "ostler" else None
        self.servers, self.shims = {}, {}
        for number in numbers:
            home = directory / str(number)
            hosts.disk(home / "data")
            environment = {}
            if library:
                self.shims[number] = Shim(directory / f"shim-{number}")
                environment = {"LD_PRELOAD": str(library),
                               "OSTLER_SHIM": str(self.shims[number].path)}
            self.servers[number] = launcher.Server(
                kind, home, port + number, {**CONFIG, **lines, **(config or {})}, myid=number,
                host=hosts.address(number), prefix=hosts.prefix(number), environment=environment)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        for server in self.servers.values():
            server.kill()

    @property
    def addresses(self):
        """Where clients find each server: (host, port)."""
        return {number: (server.host, server.port) for number, server in self.servers.items()}

    def start(self):
        """Starts all servers; returns when one leads and every other one follows it."""
        for server in self.servers.values():
            server.start(wait=False)
        for server in self.servers.values():
            server.wait_ready()
        self.leader()

    def mode(self, number):
        """`leader`, `follower`, ... or None while the server does not serve."""
        try:
            answer = self.servers[number].word("srvr", timeout=2.0)
        except OSError:
            return None
        for line in answer.splitlines():
            if line.startswith("Mode: "):
                return line.removeprefix("Mode: ")
        return None

    def leader(self, among=None):
        """The number of the leader, waited for."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            for number in among or self.servers:
                if self.mode(number) == "leader":
                    return number
            time.sleep(POLL_SECONDS)
        raise launcher.ServerError(f"no leader in {WAIT_SECONDS} s")

    def await_serving(self, number):
        """Waits until a server leads or follows; returns how long that took, in seconds."""
        began = time.monotonic()
        while time.monotonic() - began < WAIT_SECONDS:
            if self.mode(number) is not None:
                return time.monotonic() - began
            if not self.servers[number].is_running():
                break
            time.sleep(POLL_SECONDS)
        raise launcher.ServerError(f"server {number} does not serve in {WAIT_SECONDS} s\n"
                                   f"{self.servers[number].log_tail()}")

    def await_all(self):
        """Waits until every server serves; returns how long that took, in seconds."""
        return sum(self.await_serving(number) for number in self.servers)


def build_shim(directory):
    """The compiled shim.c, or None, said aloud, where there is no compiler."""
    library = Path(directory) / "shim.so"
    compiler = os.environ.get("CC", "cc")
    try:
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror",
                        "-o", str(library), str(HERE / "shim.c"), "-ldl"], check=True)
    except OSError as error:
        print(f"shim: no slow disks and clock steps: {error}", flush=True)
        return None
    return library
