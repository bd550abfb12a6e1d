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
# The machine rests if it is idle for such a share of such a time.
CALM_SHARE = 0.85
CALM_SECONDS = 0.15
CALM_SECONDS_MAX = 6


class Side:
    """One of the compared: `name` as reports call it, `kind` as the launcher does.

    With `members` above one it is an ensemble, whose servers have ten ports each.
    """

    def __init__(self, name, kind, port, directory, config=None, members=1):
        self.name = name
        self.options = ("--protocol", "jute")
        config = {**CONFIG, **(config or {})}
        directory = Path(directory) / (name if members == 1 else f"{name}-{members}")
        if members == 1:
            self.servers = [launcher.Server(kind, directory, port, config)]
        else:
            self.servers = launcher.Ensemble(kind, directory, port, members, config).servers

    @classmethod
    def of(cls, name, other, *options):
        """The servers of another side, asked in another way."""
        side = cls.__new__(cls)
        side.name, side.options, side.servers = name, options, other.servers
        return side

    def start(self):
        os.environ["OSTLER_COMPAT_JAVA_OPTIONS"] = JAVA_OPTIONS
        for server in self.servers:
            server.start(wait=False)
        for server in self.servers:
            server.wait_ready(60)
        return self

    def leader(self):
        """The server that leads; waits for one."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for server in self.servers:
                if server.is_running() and server.mode() == "leader":
                    return server
            time.sleep(0.05)
        raise launcher.ServerError(f"{self.name}: nobody leads")

    def drive(self, row, size):
        """One run of a row's load against this side; the harness's report as a dictionary."""
        await_calm()
        return bench(row.workload, self, "-t", size.seconds, "--warm-up", size.warm_up,
                     *row.options)

    def can(self, row):
        """Whether there is such a load for this side."""
        special = "ostler, linearizable"
        return self.name in (row.base, row.ours) if special in (self.name, row.ours) else True

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


def await_calm():
    """Returns when the machine rests, or after a few seconds if it does not.

    Servers go on after a load: they collect garbage, write snapshots and remove old files. Whoever
    is measured next must not pay for that.
    """
    deadline = time.monotonic() + CALM_SECONDS_MAX
    before = jiffies()
    while time.monotonic() < deadline:
        time.sleep(CALM_SECONDS)
        now = jiffies()
        idle, all_of_it = (later - earlier for later, earlier in zip(now, before))
        if idle > CALM_SHARE * all_of_it:
            return
        before = now


def jiffies():
    """Time that the processors were idle, and all their time; to wait for a disk is not idle."""
    spent = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return spent[3], sum(spent)


def bench(workload, side, *options):
    """One run of the harness against a side; its report as a dictionary."""
    return bench_at(workload, side.addresses, *side.options,
                    "--pids", ",".join(str(pid) for pid in side.pids), *options)


def command(workload, addresses, *options):
    """The command of one run of the harness."""
    return [str(launcher.ostler_binary()), "bench", "run", workload, "--quiet", "--json", "-",
            "--servers", ",".join(addresses), *map(str, options)]


def bench_at(workload, addresses, *options):
    """One run of the harness against addresses."""
    arguments = command(workload, addresses, *options)
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                          timeout=RUN_SECONDS_MAX, text=True)
    # 1: requests failed, which is part of the result.
    if done.returncode not in (0, 1):
        raise launcher.ServerError(f"{' '.join(arguments)}\n{done.stderr}")
    return json.loads(done.stdout)
