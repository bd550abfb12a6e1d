"""Clients under faults: each keeps one session, whatever happens to its server, and a history.

A worker creates uniquely named znodes, raises a counter of its own without a condition (so that a
write done twice shows in the version), reads its own counter, and reads another worker's after a
sync. It reconnects with its session when its server is lost. What it sees that no client may see
goes to `faults`; what a client of a server that was left alone must not see either goes to
`errors`.
"""

import threading
import time

from cluster import launcher  # noqa: F401  (sets the path to the protocol)
from jute import Client, Mode, Op, SessionRefused, Writer, ZkError, set_data_body

SESSION_TIMEOUT_MS = 20_000
NODE_EXISTS = -110
PAUSE_SECONDS = 0.002
RECONNECT_SECONDS = 0.05


class Worker(threading.Thread):
    """See the module. `disturbed(server)` tells whether that server is or was just under a fault."""

    def __init__(self, number, ports, crowd, disturbed):
        super().__init__(daemon=True)
        self.number = number
        self.home = sorted(ports)[number % len(ports)]
        self.faults = []
        self.errors = []
        self.calls = []
        self.acknowledged = []
        self.unknown = 0
        self.version = 0
        self.acknowledged_version = 0
        self._ports = ports
        self._crowd = crowd
        self._disturbed = disturbed
        self._client = None
        self._session = (0, bytes(16), 0)
        self._ending = threading.Event()
        self._pending = None
        self._serial = 0

    @property
    def counter(self):
        return f"/counter-{self.number}"

    @property
    def directory(self):
        return f"/worker-{self.number}"

    def finish(self):
        self._ending.set()

    def run(self):
        while not self._ending.is_set():
            try:
                self._connect()
                while not self._ending.is_set():
                    self._round()
                    time.sleep(PAUSE_SECONDS)
            except SessionRefused:
                self.faults.append("the session expired although it was kept alive")
                return
            except OSError as error:
                self._lost(error)
            except ZkError as error:
                self.faults.append(f"unexpected answer: {error}")
                return

    def _connect(self):
        identity, password, zxid = self._session
        self._client = Client(self._ports[self.home], SESSION_TIMEOUT_MS, identity, password, zxid,
                              socket_seconds=15.0)
        self._session = (self._client.session_id, self._client.password, zxid)
        if identity == 0:
            self._client.create(self.directory)
            self._client.create(self.counter, b"0")
            self._client.create(f"/alive-{self.number}", b"", Mode.EPHEMERAL)

    def _lost(self, error):
        if self._client is not None:
            self._session = (*self._session[:2], max(self._session[2], self._client.last_zxid))
            self._client.drop()
            self._client = None
        if self._pending is not None:
            self.unknown += 1
        if not self._disturbed(self.home):
            self.errors.append(f"{time.monotonic():.3f} server {self.home}: {error}")
        numbers = sorted(self._ports)
        self.home = numbers[(numbers.index(self.home) + 1) % len(numbers)]
        time.sleep(RECONNECT_SECONDS)

    def _timed(self, act):
        began = time.monotonic()
        seen = self._client.last_zxid
        answer = act()
        self.calls.append((self.home, began, time.monotonic()))
        if self._client.last_zxid < seen:
            self.faults.append(f"zxid went back from {seen:#x} to {self._client.last_zxid:#x}")
        return answer

    def _round(self):
        self._create()
        self._raise()
        self._read_own()
        self._read_other()

    def _create(self):
        if not (self._pending or "").startswith(self.directory):
            self._serial += 1
            self._pending = f"{self.directory}/n{self._serial}"
        try:
            self._timed(lambda: self._client.create(self._pending, b"x"))
        except ZkError as error:
            # The attempt before, whose answer was lost, was done after all.
            if error.code != NODE_EXISTS or self.unknown == 0:
                raise
        self.acknowledged.append(self._pending)
        self._pending = None

    def _raise(self):
        allowed = 2 + (self.unknown if self._pending == self.counter else 0)
        self._pending = self.counter
        body = set_data_body(self.counter, str(self.version + 1).encode())
        stat = self._timed(lambda: self._client.call(Op.SET_DATA, body).stat())
        self._pending = None
        step = stat.version - self.version
        if not 1 <= step <= allowed:
            self.faults.append(f"version {self.version} was followed by {stat.version}")
        self.unknown = 0
        self.version = stat.version
        self.acknowledged_version = stat.version

    def _read_own(self):
        _, stat = self._timed(lambda: self._client.get(self.counter))
        if stat.version < self.version:
            self.faults.append(f"own version {self.version} read back as {stat.version}")

    def _read_other(self):
        other = self._crowd[(self.number + 1) % len(self._crowd)]
        before = other.acknowledged_version
        if before == 0:
            return
        self._timed(lambda: self._client.call(Op.SYNC, Writer().string("/").bytes()))
        _, stat = self._timed(lambda: self._client.get(other.counter))
        if stat.version < before:
            self.faults.append(f"a read after sync saw {stat.version}, acknowledged was {before}")


def longest_call(workers, begin, end, away):
    """The longest call of any worker on a server not in `away` that touched this span, seconds."""
    spans = [finished - began for worker in workers for home, began, finished in worker.calls
             if home not in away and finished > begin and began < end]
    return max(spans, default=0.0)
