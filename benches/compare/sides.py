"""The servers that are compared: started, known by address and process, driven by the harness.

A side is a list of addresses and processes, so that an ensemble is a side like any other. What lives
here: starting sides with equal durability, and one run of the harness against one of them. What does
not: which runs are made, and what they mean.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "compat"))
import server as launcher  # noqa: E402  (the path above must be set first)

# A heap that holds a million znodes; everything else as the JVM of a production server would have
# it, compilers and collector among it. The suites that only ask for right answers use less.
JAVA_OPTIONS = "-Xmx4g -Dfile.encoding=UTF-8 -Djava.awt.headless=true"
# Both sync every write before it is answered: ZooKeeper by its default (forceSync), Ostler always.
CONFIG = {"maxClientCnxns": "0", "tickTime": "2000", "maxSessionTimeout": "60000"}
RUN_SECONDS_MAX = 900


class Side:
    """One of the compared: `name` as reports call it, `kind` as the launcher does."""

    def __init__(self, name, kind, port, directory, protocol="jute", config=None):
        self.name = name
        self.protocol = protocol
        self.servers = [launcher.Server(kind, Path(directory) / name, port,
                                        {**CONFIG, **(config or {})})]

    @classmethod
    def of(cls, name, other, protocol):
        """The servers of another side, asked in another protocol."""
        side = cls.__new__(cls)
        side.name, side.protocol, side.servers = name, protocol, other.servers
        return side

    def start(self):
        os.environ["OSTLER_COMPAT_JAVA_OPTIONS"] = JAVA_OPTIONS
        for server in self.servers:
            server.start()
        return self

    def kill(self):
        for server in self.servers:
            server.kill()
            server.wipe()

    def restart(self):
        """Ends the servers in order and starts them on what they left; seconds until they serve."""
        for server in self.servers:
            server.stop(120)
        begun = time.monotonic()
        for server in self.servers:
            server.start(300, wait=False)
        for server in self.servers:
            server.wait_ready(300)
        return time.monotonic() - begun

    @property
    def addresses(self):
        return [f"127.0.0.1:{server.port}" for server in self.servers]

    @property
    def pids(self):
        return [server.pid for server in self.servers]

    def resident_bytes(self):
        """Resident memory of all servers of the side."""
        lines = [Path(f"/proc/{pid}/status").read_text().splitlines() for pid in self.pids]
        return sum(int(line.split()[1]) * 1024 for status in lines for line in status
                   if line.startswith("VmRSS:"))


def bench(workload, side, *options):
    """One run of the harness against a side; its report as a dictionary."""
    return bench_at(workload, side.addresses, side.protocol,
                    "--pids", ",".join(str(pid) for pid in side.pids), *options)


def bench_at(workload, addresses, protocol, *options):
    """One run of the harness against addresses."""
    command = [str(launcher.ostler_binary()), "bench", "run", workload, "--quiet", "--json", "-",
               "--servers", ",".join(addresses), "--protocol", protocol, *map(str, options)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                          timeout=RUN_SECONDS_MAX, text=True)
    # 1: requests failed, which is part of the result.
    if done.returncode not in (0, 1):
        raise launcher.ServerError(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)
