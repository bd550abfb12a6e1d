"""An ensemble of real processes on loopback, as the faults need it: who leads, who serves.

The processes themselves are started and ended by tests/compat/server.py; what is done to them is
decided in faults.py.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "compat"))
import server as launcher  # noqa: E402  (the path above must be set first)

WAIT_SECONDS = 30.0
POLL_SECONDS = 0.01


class Cluster:
    """`count` servers of `kind`; clients at port + 1 .., other members above port + 50."""

    def __init__(self, kind, directory, port, count):
        lines = {f"server.{number}": f"127.0.0.1:{port + 50 + number}:{port + 70 + number}"
                 for number in range(1, count + 1)}
        config = {"tickTime": "500", "initLimit": "20", "syncLimit": "10", **lines}
        self.servers = {
            number: launcher.Server(kind, Path(directory) / str(number), port + number, config,
                                    myid=number)
            for number in range(1, count + 1)}

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        for server in self.servers.values():
            server.kill()

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
            time.sleep(POLL_SECONDS)
        raise launcher.ServerError(f"server {number} does not serve in {WAIT_SECONDS} s")
