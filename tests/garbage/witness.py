"""A well-behaved client that goes on working while others misbehave, in a process of its own.

What lives here: a session that writes, reads and deletes its own nodes, checks every answer, and
measures how long each took. What does not: the misbehaviour (attacks.py), the verdict (garbage.py).
A process and not a thread, so that our own attacks do not slow it down more than they slow the
server.
"""

import multiprocessing
import struct
import time

import encode as e
from side import Connection

_HEADER = struct.Struct(">iqi")
_STAT = struct.Struct(">qqqqiiiqiiq")
PAUSE_SECONDS = 0.002


class Witness:
    """`measure` returns what the client saw since the last call."""

    def __init__(self, port):
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(port, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def reset(self):
        """Forgets what was measured so far."""
        self.measure()

    def measure(self):
        """Report of all requests since the last call."""
        self.pipe.send("report")
        if not self.pipe.poll(60):
            return Report([], ["the client has had no answer for a minute"])
        return Report(*self.pipe.recv())

    def close(self):
        self.pipe.close()
        self.process.join(5)
        if self.process.is_alive():
            self.process.terminate()


class Report:
    """`delays` in seconds, sorted; `wrong` says what was answered wrongly."""

    def __init__(self, delays, wrong):
        self.delays = sorted(delays)
        self.wrong = wrong

    def __add__(self, later):
        return Report(self.delays + later.delays, self.wrong + later.wrong)

    def quantile(self, share):
        if not self.delays:
            return 0.0
        return self.delays[min(len(self.delays) - 1, int(share * len(self.delays)))]

    def __str__(self):
        return (f"{len(self.delays)} requests, p50 {self.quantile(0.5) * 1e3:.2f} ms, "
                f"p95 {self.quantile(0.95) * 1e3:.2f} ms, "
                f"max {(self.delays[-1] if self.delays else 0) * 1e3:.1f} ms")


def _work(port, pipe):
    """The client's process: works until the pipe closes."""
    session = _Session(port)
    delays, wrong = [], []
    number = 0
    try:
        while True:
            if pipe.poll(PAUSE_SECONDS):
                pipe.recv()
                pipe.send((delays, wrong[:20]))
                delays, wrong = [], []
            number += 1
            for act in session.round(number):
                started = time.perf_counter()
                fault = act()
                delays.append(time.perf_counter() - started)
                if fault:
                    wrong.append(fault)
                    session = _Session(port)
                    break
    except (EOFError, BrokenPipeError):
        session.connection.close()


class _Session:
    """One session; each act does one request and returns None or what was wrong."""

    def __init__(self, port):
        self.connection = Connection(port)
        self.connection.send(e.connect(timeout_ms=20000))
        self.connection.frames(count=1)
        self.xid = 0

    def round(self, number):
        """A life of one node."""
        path = b"/witness-%d" % number
        data = b"data %d" % number
        return [
            lambda: self._expect("create", e.CREATE, e.create(path, data, flags=1),
                                 lambda body: body == e.string(path)),
            lambda: self._expect("getData", e.GET_DATA, e.path_watch(path),
                                 lambda body: body[:4 + len(data)] == e.buffer(data)),
            lambda: self._expect("setData", e.SET_DATA, e.set_data(path, data, 0),
                                 lambda body: _STAT.unpack(body)[4] == 1),
            lambda: self._expect("exists", e.EXISTS, e.path_watch(path),
                                 lambda body: _STAT.unpack(body)[8] == len(data)),
            lambda: self._expect("delete", e.DELETE, e.path_int(path, 1), lambda body: not body),
            lambda: self._expect("exists again", e.EXISTS, e.path_watch(path), None, -101),
        ]

    def _expect(self, name, op, body, right, wanted=0):
        self.xid += 1
        self.connection.send(e.request(self.xid, op, body))
        frames = self.connection.frames(count=1)
        if not frames:
            return f"{name}: no answer ({'closed' if self.connection.closed else 'silence'})"
        xid, _, error = _HEADER.unpack_from(frames[0])
        if (xid, error) != (self.xid, wanted):
            return f"{name}: xid {xid} err {error}, wanted {self.xid} {wanted}"
        if right is not None and not right(frames[0][_HEADER.size:]):
            return f"{name}: wrong record {frames[0].hex()[:100]}"
        return None
