"""Clients under faults: each keeps one session, whatever happens to its server, and a history.

`Worker` speaks ZooKeeper's protocol. It reconnects with its session when its server is lost and
writes everything only once: what was not answered stays in doubt. `Native` runs a client of
Ostler's own protocol in a process (native.rs), which promises more: no call of it may fail.
Both record calls in the form of history.py. What no client may see goes to `faults`; what a client
of a server that was left alone must not see either goes to `errors`.
"""

import json
import random
import subprocess
import threading
import time

from cluster import launcher  # noqa: F401  (sets the path to the protocol)
from history import Call
from jute import (
    Client, Mode, Op, SessionRefused, Writer, ZkError, path_watch_body, set_data_body)

SESSION_TIMEOUT_MS = 20_000
# The shortest that a server with the usual ticks grants.
GUEST_TIMEOUT_MS = 4_000
GUEST_ROUNDS = 40
# A server that says nothing for so long is left for another, as clients do, well within a session.
SILENCE_SECONDS = 6.0
RETURN_ROUNDS = 50
RECONNECT_SECONDS = 0.05
REGISTERS = 4
SEQUENCE = "/sequence"


def prepare(address):
    """Makes what all clients share."""
    host, port = address
    with Client(port, host=host) as client:
        client.create(SEQUENCE)
        for number in range(REGISTERS):
            client.create(f"/register-{number}", b"0")


class Worker(threading.Thread):
    """See the module. `disturbed(server)` tells whether it is or was just under a fault."""

    protocol = "jute"

    def __init__(self, number, addresses, crowd, disturbed, pause_seconds):
        super().__init__(daemon=True)
        self.number = number
        self.preferred = sorted(addresses)[number % len(addresses)]
        self.home = self.preferred
        # Since when the call under way has waited; None between calls.
        self.waiting_since = None
        self.faults = []
        self.errors = []
        self.calls = []
        self.is_alive_since = None
        # Ephemerals of sessions that were left to expire.
        self.left = []
        self._addresses = addresses
        self._crowd = crowd
        self._disturbed = disturbed
        self._pause_seconds = pause_seconds
        self._client = None
        self._session = (0, bytes(16), 0)
        self._ending = threading.Event()
        self._serial = 0
        self._armed = {}
        self._guest = None
        self._random = random.Random(number)

    @property
    def counter(self):
        return f"/counter-{self.number}"

    @property
    def ephemeral(self):
        return f"/alive-{self.number}"

    def finish(self):
        self._ending.set()

    def run(self):
        turn = 0
        while not self._ending.is_set():
            try:
                self._connect()
                while not self._ending.is_set() and not self._wants_home(turn):
                    turn += 1
                    self._round(turn)
                    time.sleep(self._pause_seconds)
                self._leave()
            except SessionRefused:
                self.faults.append("the session expired although it was kept alive")
                return
            except OSError as error:
                self._lost(error)
            except ZkError as error:
                self.faults.append(f"unexpected answer: {error}")
                return

    def _open(self, server, timeout_ms, session=(0, bytes(16), 0)):
        host, port = self._addresses[server]
        return Client(port, timeout_ms, *session, host=host, socket_seconds=SILENCE_SECONDS)

    def _connect(self):
        identity, _, zxid = self._session
        self._client = self._open(self.home, SESSION_TIMEOUT_MS, self._session)
        self._armed.clear()
        self._session = (self._client.session_id, self._client.password, zxid)
        if identity == 0:
            self._client.create(self.counter, b"0")
            self._client.create(self.ephemeral, b"", Mode.EPHEMERAL)
            self.is_alive_since = time.monotonic()

    def _wants_home(self, turn):
        """Whether to go back, the session with us, to where this client would rather be: else all
        would gather where no fault was lately."""
        return (turn % RETURN_ROUNDS == 0 and self.home != self.preferred
                and not self._disturbed(self.preferred))

    def _leave(self):
        if self._client is not None:
            self._session = (*self._session[:2], max(self._session[2], self._client.last_zxid))
            self._client.drop()
            self._client = None
        self.home = self.preferred

    def _lost(self, error):
        lost = self.home
        self._leave()
        self.home = lost
        if not self._disturbed(self.home):
            self.errors.append(f"{time.monotonic():.3f} server {self.home}: {error}")
        numbers = sorted(self._addresses)
        self.home = numbers[(numbers.index(self.home) + 1) % len(numbers)]
        time.sleep(RECONNECT_SECONDS)

    def _ask(self, verb, key, value, act):
        """Performs a call and records it, whatever becomes of it."""
        began = time.monotonic()
        seen = self._client.last_zxid
        number = None
        self.waiting_since = began
        try:
            value, number = act()
        finally:
            self.waiting_since = None
            self.calls.append(Call(self.number, self._session[0], verb, key, value, number, began,
                                   time.monotonic(), self.home))
        if self._client.last_zxid < seen:
            self.faults.append(f"zxid went back from {seen:#x} to {self._client.last_zxid:#x}")
        return number

    def _round(self, turn):
        shared = f"/register-{(self.number + turn) % REGISTERS}"
        self._set(self.counter)
        self._append()
        self._set(shared)
        self._read(self.counter, "read")
        self._read(shared, "read")
        self._read(shared, "strong")
        self._look_after_sessions(turn)

    def _next_value(self):
        self._serial += 1
        return f"{self.number}.{self._serial}"

    def _set(self, key):
        value = self._next_value()
        body = set_data_body(key, value.encode())
        self._ask("set", key, value,
                  lambda: (value, self._client.call(Op.SET_DATA, body).stat().version))

    def _append(self):
        value = self._next_value()

        def act():
            path = self._client.create(f"{SEQUENCE}/n-", value.encode(), Mode.SEQUENTIAL)
            return value, int(path.rsplit("-", 1)[1])

        self._ask("append", SEQUENCE, value, act)

    def _read(self, key, verb):
        watched = key not in self._armed

        def act():
            if verb == "strong":
                self._client.call(Op.SYNC, Writer().string("/").bytes())
            reader = self._client.call(Op.GET_DATA, path_watch_body(key, watched))
            data, stat = reader.buffer(), reader.stat()
            return data.decode(), stat.version

        version = self._ask(verb, key, "", act)
        # Everything that stands in `events` by now came before the answer.
        told = {event.path for event in self._client.events}
        self._client.events.clear()
        if watched:
            self._armed[key] = version
        elif self._armed[key] != version and key not in told:
            self.faults.append(f"{key}: {version} was read before the event behind "
                               f"{self._armed[key]}")
        for path in told:
            # One that came behind the answer that set the watch stays in force no longer, either.
            self._armed.pop(path, None)

    def _look_after_sessions(self, turn):
        other = self._crowd[(self.number + 1) % len(self._crowd)]
        if turn % 10 == 0 and other.is_alive_since is not None:
            # The read stands behind the sync of this round.
            if self._client.exists(other.ephemeral) is None and not other.faults:
                self.faults.append(f"{other.ephemeral} is gone and its session is not")
        if self._guest is None and turn % GUEST_ROUNDS == 0:
            self._invite()
        elif self._guest is not None:
            self._see_off(self._guest)

    def _invite(self):
        """A second session at some server; it makes an ephemeral, and then ends or is left."""
        home = self._random.choice(sorted(self._addresses))
        path = f"/guest-{self.number}-{self._next_value()}"
        try:
            guest = self._open(home, GUEST_TIMEOUT_MS)
        except (OSError, SessionRefused):
            return
        try:
            guest.create(path, b"", Mode.EPHEMERAL)
            if self._random.random() < 0.5:
                guest.close()
                self._expect_gone(path)
            else:
                # A client's clock begins with what it sent, a server's with what it got.
                spoke = time.monotonic()
                guest.ping()
                guest.drop()
                self._guest = (path, spoke, spoke + guest.timeout_ms / 1000)
                self.left.append(path)
        except OSError:
            guest.drop()
            self.left.append(path)

    def _expect_gone(self, path):
        self._client.call(Op.SYNC, Writer().string("/").bytes())
        if self._client.exists(path) is not None:
            self.faults.append(f"{path} outlived its session, which was closed")

    def _see_off(self, guest):
        """A session that was left stays for its whole timeout; when it goes depends on leaders."""
        path, spoke, until = guest
        self._client.call(Op.SYNC, Writer().string("/").bytes())
        there = self._client.exists(path) is not None
        if time.monotonic() < until and not there:
            self.faults.append(f"{path} went {until - time.monotonic():.1f} s before its time, "
                               f"{time.monotonic() - spoke:.1f} s after its session spoke last")
        if not there or time.monotonic() > until + GUEST_TIMEOUT_MS / 1000:
            self._guest = None


class Native(threading.Thread):
    """Reads what a native client prints."""

    protocol = "native"

    def __init__(self, number, addresses, binary, pause_seconds):
        super().__init__(daemon=True)
        self.number = number
        self.faults = []
        self.errors = []
        self.calls = []
        self.left = []
        self.home = None
        self.waiting_since = None
        self.is_alive_since = None
        self.ephemeral = f"/alive-{number}"
        self._homes = {f"{host}:{port}": server for server, (host, port) in addresses.items()}
        strength = "strong" if number % 2 else "plain"
        self._process = subprocess.Popen(
            [str(binary), ",".join(self._homes), str(number), str(REGISTERS), strength,
             str(int(pause_seconds * 1000))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    @property
    def counter(self):
        return f"/counter-{self.number}"

    def run(self):
        for line in self._process.stdout:
            verb, key, value, number, began, ended, home = json.loads(line)
            if verb == "fault":
                self.faults.append(value)
            elif verb == "alive":
                self.is_alive_since = began
            else:
                self.calls.append(Call(self.number, self.number, verb, key, value, number, began,
                                       ended, self._homes.get(home)))
        if not self._process.stdin.closed:
            self.faults.append("the client ended")

    def finish(self):
        """Lets the process end behind its round; one that cannot is killed, and that is a fault."""
        self._process.stdin.close()
        try:
            self._process.wait(20.0)
        except subprocess.TimeoutExpired:
            self.faults.append("the client had no answers for 20 s")
            self._process.kill()
