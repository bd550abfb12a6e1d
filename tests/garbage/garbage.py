#!/usr/bin/env python3
"""Throws garbage at a server's door while a well-behaved client goes on working.

    garbage.py --server ostler

What lives here: the list of attacks, the witness's verdict after each, the command line. The
delay of the witness is judged against its own undisturbed delay in the same run, by a generous
factor, never by a time of the clock: this machine may be slow. The last line is
`N passed, M failed`; the exit code is 1 when anything failed.
"""

import argparse
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
from witness import Witness  # noqa: E402

BASELINE_SECONDS = 3.0
# How much slower the witness may get: most requests, and the slowest.
USUAL_FACTOR = 100
WORST_FACTOR = 3000
IDLE_CONNECTIONS = 3000
IDLE_BYTES_MAX = 16 * 1024
UNREAD_BYTES_MAX = 256 << 20
OPEN_FILES = 16_000


def all_attacks(kind):
    """(name, function of the Target)."""
    listed = [
        ("random bytes", attacks.random_bytes), ("bad lengths", attacks.bad_lengths),
        ("half frames", attacks.half_frames), ("slow senders", attacks.slow_senders),
        ("connect storms", attacks.storms), ("junk in sessions", attacks.junk_after_handshake),
        ("deep nonsense", attacks.deep_nonsense), ("giant multis", attacks.giant_multis),
        ("abandoned sessions", attacks.abandoned_sessions),
        ("idle connections", lambda target: attacks.idle_connections(
            target, IDLE_CONNECTIONS, IDLE_BYTES_MAX))]
    if kind == "ostler":
        # Apache keeps unread answers without a bound, and speaks its own protocol alone.
        listed.append(("never reads", lambda target: attacks.never_reads(
            target, UNREAD_BYTES_MAX)))
        listed += native.ATTACKS
        listed.append(("native: never reads", lambda target: native.never_reads(
            target, UNREAD_BYTES_MAX)))
    return listed


class Door:
    """One run: the server, the witness, the counts."""

    def __init__(self, server, seed):
        self.server = server
        self.target = attacks.Target(server.port, server.pid, seed)
        self.witness = Witness(server.port)
        self.passed = self.failed = 0
        self.baseline = None

    def measure_baseline(self):
        time.sleep(1)
        self.witness.reset()
        time.sleep(BASELINE_SECONDS)
        self.baseline = self.witness.measure()
        print(f"undisturbed: {self.baseline}", flush=True)
        self._verdict("undisturbed client", self.baseline.wrong)

    def attack(self, name, function):
        self.witness.reset()
        started = time.monotonic()
        try:
            complaints = function(self.target)
        except OSError as error:
            complaints = [f"the attack could not go on: {error!r}"]
        report = self.witness.measure()
        print(f"{name}: {time.monotonic() - started:.1f} s, witness {report}, server "
              f"{self._memory()}", flush=True)
        self._verdict(name, complaints)
        self._verdict(f"{name}: the witness's answers", report.wrong)
        self._verdict(f"{name}: the witness's delay", self._slow(report))
        self._verdict(f"{name}: the server is there",
                      [] if self.server.is_running() else [self.server.log_tail(5)])

    def _slow(self, report):
        usual, worst = self.baseline.quantile(0.5), self.baseline.delays[-1]
        complaints = []
        if not report.delays:
            return ["the witness did nothing"]
        if report.quantile(0.95) > USUAL_FACTOR * usual:
            complaints.append(f"p95 is {report.quantile(0.95) / usual:.0f} times the usual delay")
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
