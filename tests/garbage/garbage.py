#!/usr/bin/env python3
"""Throws garbage at a server's door while a well-behaved client goes on working.

    garbage.py --server ostler

What lives here: the list of attacks, the witness's verdict after each, the command line. The
delay of the witness is judged against its own delay in the same run, never by a time of the clock:
this machine may be slow. It is measured twice: undisturbed, and while every core has something
else to do, for an attack keeps cores busy too, and what that alone costs is no fault of the server.
Others may begin to use the machine later: a witness found slow is judged once more, against its
delays taken again.
A quick attack is repeated until the witness has seen enough of it. The last line is
`N passed, M failed`; the exit code is 1 when anything failed.
"""

import argparse
import contextlib
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMPAT = HERE.parent / "compat"
sys.path[:0] = [str(HERE), str(COMPAT), str(COMPAT / "differ")]

import attacks  # noqa: E402
import native  # noqa: E402
from server import Server  # noqa: E402
from witness import Report, Witness  # noqa: E402

SETTLE_SECONDS = 1.0
MEASURE_SECONDS = 3.0
BASELINE_SECONDS = SETTLE_SECONDS + 2 * MEASURE_SECONDS
# How much slower the witness may get: most requests, and the slowest. Most of them also by how slow
# they are while the cores are busy, if that allows more.
USUAL_FACTOR = 100
BUSY_FACTOR = 4
WORST_FACTOR = 3000
# An attack goes on until the witness has made so many requests, or for so long.
WITNESS_REQUESTS_MIN = 400
ATTACK_SECONDS = 15.0
IDLE_CONNECTIONS = 3000
IDLE_BYTES_MAX = 16 * 1024
UNREAD_BYTES_MAX = 256 << 20
OPEN_FILES = 16_000


def all_attacks(kind):
    """(name, function of the Target)."""
    listed = [
        # First: memory that an earlier attack left free would hide what these take.
        ("idle connections", lambda target: attacks.idle_connections(
            target, IDLE_CONNECTIONS, IDLE_BYTES_MAX)),
        ("random bytes", attacks.random_bytes), ("bad lengths", attacks.bad_lengths),
        ("half frames", attacks.half_frames), ("slow senders", attacks.slow_senders),
        ("connect storms", attacks.storms), ("junk in sessions", attacks.junk_after_handshake),
        ("deep nonsense", attacks.deep_nonsense), ("giant multis", attacks.giant_multis),
        ("abandoned sessions", attacks.abandoned_sessions)]
    if kind == "ostler":
        # Apache keeps unread answers without a bound, and speaks its own protocol alone.
        listed.append(("never reads", lambda target: attacks.never_reads(
            target, UNREAD_BYTES_MAX)))
        listed += native.ATTACKS
        listed.append(("native: never reads", lambda target: native.never_reads(
            target, UNREAD_BYTES_MAX)))
    return listed


@contextlib.contextmanager
def busy_cores():
    """For the time of a block, one process for each core that only counts."""
    context = multiprocessing.get_context("fork")
    counters = [context.Process(target=_count, daemon=True) for _ in range(os.cpu_count() or 1)]
    for counter in counters:
        counter.start()
    try:
        yield
    finally:
        for counter in counters:
            counter.terminate()
            counter.join()


def _count():
    # Not for ever, should whoever has to end it die first.
    deadline = time.monotonic() + 10 * MEASURE_SECONDS
    while time.monotonic() < deadline:
        pass


class Door:
    """One run: the server, the witness, the counts."""

    def __init__(self, server, seed):
        self.server = server
        self.target = attacks.Target(server.port, server.pid, seed)
        self.witness = Witness(server.port)
        self.passed = self.failed = 0
        self.baseline = self.busy = None

    def measure_baseline(self):
        time.sleep(SETTLE_SECONDS)
        self.witness.reset()
        time.sleep(MEASURE_SECONDS)
        self.baseline = self.witness.measure()
        print(f"undisturbed: {self.baseline}", flush=True)
        with busy_cores():
            self.witness.reset()
            time.sleep(MEASURE_SECONDS)
            self.busy = self.witness.measure()
        print(f"beside busy cores: {self.busy}", flush=True)
        self._verdict("undisturbed client", self.baseline.wrong + self.busy.wrong)

    def attack(self, name, function):
        complaints, report = self._try(name, function)
        if not complaints and not report.wrong and self._slow(report):
            print(f"{name}: once more, the witness was slow", flush=True)
            self.measure_baseline()
            complaints, report = self._try(name, function)
        self._verdict(name, complaints)
        self._verdict(f"{name}: the witness's answers", report.wrong)
        self._verdict(f"{name}: the witness's delay", self._slow(report))
        self._verdict(f"{name}: the server is there",
                      [] if self.server.is_running() else [self.server.log_tail(5)])

    def _try(self, name, function):
        started = time.monotonic()
        complaints, report = self._attacked(function, started + ATTACK_SECONDS)
        print(f"{name}: {time.monotonic() - started:.1f} s, witness {report}, server "
              f"{self._memory()}", flush=True)
        return complaints, report

    def _attacked(self, function, deadline):
        """Complaints of an attack, and what the witness saw meanwhile."""
        self.witness.reset()
        report = Report([], [])
        while True:
            try:
                complaints = function(self.target)
            except OSError as error:
                complaints = [f"the attack could not go on: {error!r}"]
            report += self.witness.measure()
            seen_enough = len(report.delays) >= WITNESS_REQUESTS_MIN
            if complaints or report.wrong or seen_enough or time.monotonic() > deadline:
                return complaints, report

    def _slow(self, report):
        usual, worst = self.baseline.quantile(0.5), self.baseline.delays[-1]
        complaints = []
        if not report.delays:
            return ["the witness did nothing"]
        slow = report.quantile(0.95)
        if slow > max(USUAL_FACTOR * usual, BUSY_FACTOR * self.busy.quantile(0.95)):
            complaints.append(f"p95 is {slow / usual:.0f} times the usual delay, and "
                              f"{slow / self.busy.quantile(0.95):.1f} times p95 beside busy cores")
        if report.delays[-1] > max(WORST_FACTOR * usual, USUAL_FACTOR * worst):
            complaints.append(f"the slowest is {report.delays[-1] / usual:.0f} times the usual")
        return complaints

    def _memory(self):
        try:
            return f"{self.target.resident_bytes() >> 20} MiB"
        except OSError:
            return "gone"

    def _verdict(self, name, complaints):
        if complaints:
            self.failed += 1
            print(f"FAILED {name}")
            for complaint in complaints[:5]:
                print(f"    {complaint}", flush=True)
        else:
            self.passed += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=("ostler", "apache"), default="ostler")
    parser.add_argument("--port", type=int, default=22400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="only attacks whose names begin so")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard), hard))
    with tempfile.TemporaryDirectory(prefix="garbage-") as work:
        with Server(options.server, f"{work}/server", options.port) as server:
            server.start()
            door = Door(server, options.seed)
            door.measure_baseline()
            for name, function in all_attacks(options.server):
                if name.startswith(options.only or ""):
                    door.attack(name, function)
            door.witness.close()
    print(f"{door.passed} passed, {door.failed} failed")
    return 1 if door.failed else 0


if __name__ == "__main__":
    sys.exit(main())
