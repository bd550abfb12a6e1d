#!/usr/bin/env python3
"""Kills a server by SIGKILL under load, many times, and checks that no promise was broken.

One round: several writers load the server (counters, sequential creates and deletes, multis,
sessions with ephemerals); at a random moment within 300 ms it is killed; it is started again, at
times killed once more while it recovers; then every acknowledged operation must be there, nothing
half applied, and every session that was not closed must be live and open to its owner. The data
directory lives through all rounds, and what earlier rounds left is compared again. The last line
is `N passed, M failed`.

Data in the page cache survives SIGKILL, so this proves order and recovery, not what a power cut
would leave.
"""

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

import crash_self_test
import server as launcher
from crash_history import Counter, EphemeralSession, Group, History, Observed, SequenceWriter
from crash_history import violations
from jute import (
    NO_NODE, Client, Mode, Op, SessionRefused, ZkError, create_body, delete_body,
    multi_body, multi_results, path_watch_body, set_data_body)

LOAD_SECONDS_MAX = 0.3
PIPELINE_DEPTH = 8
SESSION_TIMEOUT_MS = 10_000
# Writers without ephemerals leave a dead session behind at every kill; a short one expires soon.
WRITER_TIMEOUT_MS = 5_000
CONFIG = {"tickTime": "500"}
ROUNDS_KEPT = 2
OPEN_SESSIONS_MAX = 3
COUNTERS = ("/counters/a", "/counters/b")
# How often a server that starts after a kill is killed again while it starts.
KILL_WHILE_STARTING = 0.3


class Load:
    """The writers of one round and the history that they keep; one thread each."""

    def __init__(self, port, number, counters, seed):
        self.base = f"/round-{number}"
        self.history = History(counters={path: Counter(value, value)
                                         for path, value in counters.items()})
        self._port = port
        self._prefix = f"r{number}"
        self._seed = seed
        self._killed = threading.Event()
        self._lock = threading.Lock()
        self._threads = []

    def start(self):
        """Makes the parents of this round and lets all writers go."""
        with Client(self._port, WRITER_TIMEOUT_MS) as client:
            for path in (self.base, f"{self.base}/sequence", f"{self.base}/groups"):
                client.create(path)
        writers = [(self._count, path) for path in self.history.counters]
        writers += [(self._sequence, name) for name in ("s0", "s1")]
        writers += [(self._group, name) for name in ("g0", "g1")]
        writers.append((self._churn, "e0"))
        self._threads = [threading.Thread(target=self._guard, args=writer, daemon=True)
                         for writer in writers]
        for thread in self._threads:
            thread.start()

    def killing(self):
        """From now on a lost connection is what the writers expect."""
        self._killed.set()

    def join(self):
        """Waits until every writer has seen its connection end."""
        for thread in self._threads:
            thread.join(30)
            if thread.is_alive():
                self.history.complaints.append("a writer hangs although the server is gone")

    def _guard(self, writer, argument):
        try:
            writer(argument)
        except ZkError as error:
            self._complain(f"{writer.__name__} {argument}: unexpected {error}")
        except (OSError, SessionRefused) as error:
            if not self._killed.is_set():
                self._complain(f"{writer.__name__} {argument}: before the kill: {error}")

    def _complain(self, text):
        with self._lock:
            self.history.complaints.append(text)

    def _acked(self, zxid):
        with self._lock:
            self.history.zxid_acked = max(self.history.zxid_acked, zxid)

    def _count(self, path):
        counter = self.history.counters[path]
        with Client(self._port, WRITER_TIMEOUT_MS) as client:
            while True:
                while counter.sent - counter.acked < PIPELINE_DEPTH:
                    # Noted before it leaves: the server may apply what we never hear about.
                    counter.sent += 1
                    client.send(Op.SET_DATA, set_data_body(path, str(counter.sent).encode()))
                reply = client.receive()
                if reply.error:
                    raise ZkError(reply.error)
                counter.acked += 1
                self._acked(reply.zxid)

    def _sequence(self, label):
        writer = SequenceWriter()
        with self._lock:
            self.history.sequences.append(writer)
        random_source = random.Random(f"{self._seed}-{label}")
        waiting = deque()
        parent = f"{self.base}/sequence"
        with Client(self._port, WRITER_TIMEOUT_MS) as client:
            while True:
                while len(waiting) < PIPELINE_DEPTH:
                    waiting.append(self._send_sequence(client, writer, label, random_source))
                token, deleted = waiting.popleft()
                reply = client.receive()
                if reply.error:
                    raise ZkError(reply.error)
                self._acked(reply.zxid)
                if deleted:
                    writer.delete_acked.add(deleted)
                else:
                    writer.names[token] = reply.body.string().removeprefix(f"{parent}/")

    def _send_sequence(self, client, writer, label, random_source):
        """Sends a create, or now and then the delete of an acknowledged one: (token, deleted)."""
        parent = f"{self.base}/sequence"
        deletable = [name for name in list(writer.names.values())[-20:]
                     if name not in writer.delete_sent]
        if deletable and random_source.random() < 0.2:
            name = random_source.choice(deletable)
            writer.delete_sent.add(name)
            client.send(Op.DELETE, delete_body(f"{parent}/{name}"))
            return None, name
        token = f"{self._prefix}-{label}-{len(writer.tokens)}"
        writer.tokens.append(token)
        body = create_body(f"{parent}/{label}-", token.encode(), Mode.SEQUENTIAL)
        client.send(Op.CREATE, body)
        return token, None

    def _group(self, label):
        random_source = random.Random(f"{self._seed}-{label}")
        parent = f"{self.base}/groups"
        with Client(self._port, WRITER_TIMEOUT_MS) as client:
            for number in range(1_000_000):
                names = [f"{label}-{number}-{k}" for k in range(random_source.choice((2, 3)))]
                operations = [(Op.CREATE, create_body(f"{parent}/{n}", b"x")) for n in names]
                group = Group(tuple(names), must_fail=random_source.random() < 0.2)
                if group.must_fail:
                    operations.append((Op.CHECK, delete_body(parent, 99)))
                with self._lock:
                    self.history.groups.append(group)
                client.send(Op.MULTI, multi_body(operations))
                reply = client.receive()
                results = [] if reply.error else multi_results(reply.body)
                failed = bool(reply.error) or any(error for _, error, _ in results)
                if failed != group.must_fail:
                    self._complain(f"multi {names}: {reply.error} {results}")
                group.acked = not failed
                self._acked(reply.zxid)

    def _churn(self, label):
        random_source = random.Random(f"{self._seed}-{label}")
        left_open = 0
        for number in range(1_000_000):
            with Client(self._port, SESSION_TIMEOUT_MS) as client:
                session = EphemeralSession(
                    client.session_id, client.password, client.timeout_ms)
                with self._lock:
                    self.history.sessions.append(session)
                for k in range(3):
                    self._create_ephemeral(client, session, f"{self._prefix}-{number}-{k}")
                if left_open < OPEN_SESSIONS_MAX and random_source.random() < 0.5:
                    left_open += 1
                    continue
                session.closing = True
                client.close()
                session.closed = True

    def _create_ephemeral(self, client, session, name):
        session.sent.append(name)
        client.create(f"/ephemerals/{name}", b"", Mode.EPHEMERAL)
        session.acked.append(name)
        session.last_zxid = client.last_zxid
        self._acked(client.last_zxid)


class CrashTest:
    """Rounds on one server and one data directory."""

    def __init__(self, kind, port, directory, seed):
        self._server = launcher.Server(kind, directory, port, CONFIG)
        self._port = port
        self._random = random.Random(seed)
        self._seed = seed
        self._start_seconds = 1.0
        self._counters = {}
        self._kept = {}
        self._gone = set()
        self._sessions = []

    def begin(self):
        """First start: makes what lives through all rounds."""
        self._server.start()
        with Client(self._port, WRITER_TIMEOUT_MS) as client:
            for path in ("/counters", "/ephemerals"):
                client.create(path)
            for path in COUNTERS:
                client.create(path, b"0")
                self._counters[path] = 0

    def round(self, number, forget=False):
        """One kill and recovery; returns the violations. `forget` plays a server that lies: its
        data directory is put back to what it was before the load."""
        if forget:
            earlier = self._copy_data()
        load = Load(self._port, number, self._counters, f"{self._seed}-{number}")
        load.start()
        time.sleep(self._random.uniform(0, LOAD_SECONDS_MAX))
        load.killing()
        self._server.kill()
        load.join()
        if forget:
            shutil.rmtree(self._server.data_directory)
            earlier.rename(self._server.data_directory)
        self._recover()
        with Client(self._port, WRITER_TIMEOUT_MS) as client:
            observed = self._observe(client, load)
            found = violations(load.history, observed)
            found += self._compare_kept(client)
            self._remember(number, load, observed)
            self._forget_old(client, number)
        return found + self._reattach(load.history)

    def end(self):
        """Checks that sessions left alone expire, and ends the server."""
        wait = SESSION_TIMEOUT_MS / 1000 + 4 * int(CONFIG["tickTime"]) / 1000
        deadline = time.monotonic() + wait
        with Client(self._port, SESSION_TIMEOUT_MS) as client:
            while (left := client.children("/ephemerals")) and time.monotonic() < deadline:
                time.sleep(0.25)
        self._server.stop()
        return [f"ephemerals outlived their sessions: {left[:9]}"] if left else []

    def abandon(self):
        self._server.kill()

    def log_tail(self):
        return self._server.log_tail()

    def _copy_data(self):
        self._server.stop()
        copy = self._server.directory / "earlier"
        shutil.copytree(self._server.data_directory, copy)
        self._server.start()
        return copy

    def _recover(self):
        while self._random.random() < KILL_WHILE_STARTING:
            self._server.start(wait=False)
            time.sleep(self._random.uniform(0, self._start_seconds))
            self._server.kill()
        began = time.monotonic()
        self._server.start()
        self._start_seconds = time.monotonic() - began

    def _observe(self, client, load):
        observed = Observed(zxid=_first_zxid(client))
        observed.counters = _read(client, load.history.counters)
        parent = f"{load.base}/sequence"
        observed.sequence = _children(client, parent)
        observed.groups = _children(client, f"{load.base}/groups")
        observed.ephemerals = _children(client, "/ephemerals")
        if client.exists(parent) is None:
            load.history.complaints.append(f"{parent} is gone")
            return observed
        probe = client.create(f"{parent}/probe-", b"", Mode.SEQUENTIAL)
        observed.next_sequence = int(probe[-10:])
        client.delete(probe)
        return observed

    def _remember(self, number, load, observed):
        self._counters = {path: int(data) for path, (data, _) in observed.counters.items()}
        self._kept[number] = (load.base, observed.sequence, observed.groups)
        for session in load.history.sessions:
            if session.closed:
                self._gone.update(session.sent)

    def _compare_kept(self, client):
        """What earlier rounds left must be as it was, to the last field of each Stat."""
        found = []
        for base, sequence, groups in self._kept.values():
            for parent, known in (("sequence", sequence), ("groups", groups)):
                if _children(client, f"{base}/{parent}") != known:
                    found.append(f"{base}/{parent} has changed since it was checked")
        if back := self._gone.intersection(client.children("/ephemerals")):
            found.append(f"ephemerals of closed sessions are back: {sorted(back)[:9]}")
        return found

    def _forget_old(self, client, number):
        base, sequence, groups = self._kept.pop(number - ROUNDS_KEPT, (None, {}, {}))
        if base is None:
            return
        paths = [f"{base}/sequence/{name}" for name in sequence]
        paths += [f"{base}/groups/{name}" for name in groups]
        paths += [f"{base}/sequence", f"{base}/groups", base]
        for error, _ in client.pipeline(Op.DELETE, map(delete_body, paths)):
            if error:
                raise ZkError(error)

    def _reattach(self, history):
        """Every session that was not closed must be open to whoever has its id and password."""
        found = []
        for session in history.sessions:
            if session.closed or (session.closing and not self._alive(session)):
                continue
            try:
                with Client(self._port, SESSION_TIMEOUT_MS, session.session_id, session.password,
                            session.last_zxid) as client:
                    found += self._use(client, session)
            except (OSError, SessionRefused, ZkError) as error:
                found.append(f"session {session.session_id:#x} cannot be re-attached: {error}")
        return found

    def _alive(self, session):
        with Client(self._port, WRITER_TIMEOUT_MS) as client:
            return client.exists(f"/ephemerals/{session.acked[0]}") is not None

    def _use(self, client, session):
        """Writes as the owner; half of the sessions are then closed, the others left to expire."""
        found = []
        if client.session_id != session.session_id:
            found.append(f"session {session.session_id:#x} came back as {client.session_id:#x}")
        name = f"again-{session.session_id:x}"
        client.create(f"/ephemerals/{name}", b"", Mode.EPHEMERAL)
        if client.exists(f"/ephemerals/{name}").ephemeral_owner != session.session_id:
            found.append(f"{name} does not belong to {session.session_id:#x}")
        if self._random.random() < 0.5:
            client.close()
            self._gone.update([*session.sent, name])
            with Client(self._port, WRITER_TIMEOUT_MS) as other:
                if back := self._gone.intersection(other.children("/ephemerals")):
                    found.append(f"{sorted(back)[:9]} outlived a closed session")
        return found


def _first_zxid(client):
    client.exists("/")
    return client.last_zxid


def _read(client, paths):
    """Maps each path that exists to (data, Stat)."""
    found = {}
    bodies = [path_watch_body(path) for path in paths]
    for path, (error, reader) in zip(paths, client.pipeline(Op.GET_DATA, bodies)):
        if not error:
            found[path] = (reader.buffer(), reader.stat())
        elif error != NO_NODE:
            raise ZkError(error)
    return found


def _children(client, parent):
    """Maps each child's name to (data, Stat); empty when the parent does not exist."""
    if client.exists(parent) is None:
        return {}
    paths = [f"{parent}/{name}" for name in client.children(parent)]
    return {path.removeprefix(f"{parent}/"): value for path, value in _read(client, paths).items()}


def run(kind, port, count, seed, work):
    """Runs `count` rounds and returns how many failed; prints each failure as it comes."""
    failed = 0
    test, directory = None, None
    try:
        for number in range(count):
            if test is None:
                # After a failure nothing that is known still holds: new server, new directory.
                directory = Path(tempfile.mkdtemp(prefix="data-", dir=work))
                test = CrashTest(kind, port, directory, f"{seed}-{number}")
                test.begin()
            if found := one_round(test, number, last=number == count - 1):
                failed += 1
                test.abandon()
                test = None
                print(f"round {number} failed; its data is kept in {directory}")
                print("\n".join(f"  {text}" for text in found[:20]), flush=True)
            if (number + 1) % 25 == 0:
                print(f"{number + 1} of {count} rounds, {failed} failed", flush=True)
    finally:
        if test is not None:
            test.abandon()
    return failed


def one_round(test, number, last):
    """Violations of one round, a server that does not come back among them."""
    try:
        found = test.round(number)
        return test.end() if last and not found else found
    except (launcher.ServerError, OSError, ZkError, SessionRefused) as error:
        return [f"{type(error).__name__}: {error}"]


def self_test(kind, port, seed, work):
    """Feeds lies to the checker, then lets a real server forget a load; returns what went wrong."""
    wrong = crash_self_test.failures()
    test = CrashTest(kind, port, Path(work) / "self-test", seed)
    try:
        test.begin()
        found = test.round(0)
        wrong += [f"an honest server was blamed: {text}" for text in found]
        found = test.round(1, forget=True)
    finally:
        test.abandon()
    if not any("was acknowledged and is gone" in text for text in found):
        wrong.append(f"a server that forgot a whole load was believed: {found}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=launcher.KINDS, default="ostler")
    parser.add_argument("--port", type=int, default=21180)
    parser.add_argument("--count", type=int, default=200, help="kills")
    parser.add_argument("--seed", default=str(random.randrange(2**32)))
    parser.add_argument("--self-test", action="store_true", help="prove that the checker objects")
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="ostler-kill9-")
    if options.self_test:
        wrong = self_test(options.server, options.port, options.seed, work)
        print("\n".join(wrong) if wrong else
              f"{len(crash_self_test.LIES)} lies and one forgetful server found out")
        failed = len(wrong)
    else:
        print(f"kill9: {options.count} kills of {options.server}, seed {options.seed}")
        failed = run(options.server, options.port, options.count, options.seed, work)
        print(f"{options.count - failed} passed, {failed} failed")
    if not failed:
        shutil.rmtree(work)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
