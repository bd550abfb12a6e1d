#!/usr/bin/env python3
"""A server that missed a million writes comes back while the others are under load.

One follower of three is away while `ostler bench` writes; then a load runs against the two others,
and the server is started again. What is measured, four times a second: writes that the leader
applied, the memory of every process. The last line is `N passed, M failed`: no quarter of a second
may fall below half of what was usual before, and the memory of the leader is bounded.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import hosts
from cluster import Cluster, launcher

BUCKET_SECONDS = 0.25
# Before the return and after it. The first part of the load only warms up.
QUIET_SECONDS = 10.0
WARM_UP_SECONDS = 3.0
RETURN_SECONDS_MAX = 180.0
# A server that follows under load is always a little behind.
CAUGHT_UP_ZXIDS = 5000
SHARE_MIN = 0.5
# What a leader may need more than before for one that is behind: pieces under way, and their
# copies on the way to the socket.
LEADER_GROWTH_MIB_MAX = 256
COUNTER_MASK = (1 << 32) - 1


class Gauge(threading.Thread):
    """Looks at one server every bucket and keeps (time, zxid, MiB)."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.looks = []
        self._ending = threading.Event()

    def run(self):
        due = time.monotonic()
        while not self._ending.is_set():
            zxid = zxid_of(self.server)
            self.looks.append((time.monotonic(), zxid, mib_of(self.server)))
            due += BUCKET_SECONDS
            time.sleep(max(0.0, due - time.monotonic()))

    def finish(self):
        self._ending.set()
        self.join()

    @property
    def zxid(self):
        """What it had applied when it was looked at last; 0 if it did not serve."""
        return self.looks[-1][1] if self.looks else 0

    def rates(self, begin, end):
        """Writes a second that it applied, bucket by bucket, within this span."""
        looks = [look for look in self.looks if begin <= look[0] <= end and look[1]]
        return [(after[1] - before[1]) / (after[0] - before[0])
                for before, after in zip(looks, looks[1:])]

    def memory(self, begin, end):
        return max(memory for at, _, memory in self.looks if begin <= at <= end)


def zxid_of(server):
    """The counter of what a server has applied, 0 while it does not serve."""
    try:
        answer = server.word("srvr", timeout=2.0)
    except OSError:
        return 0
    lines = [line for line in answer.splitlines() if line.startswith("Zxid: ")]
    return int(lines[0].split()[1], 16) & COUNTER_MASK if lines else 0


def mib_of(server):
    try:
        status = Path(f"/proc/{server.pid}/status").read_text()
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(lines[0].split()[1]) // 1024 if lines else 0


def bench(servers, *arguments):
    """Starts `ostler bench`, which leaves its znodes so that its end does not disturb."""
    addresses = ",".join(server.connect for server in servers)
    command = [str(launcher.ostler_binary()), "bench", "run", *map(str, arguments),
               "--servers", addresses, "--quiet", "--keep", "--keys", "1000"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def write_much(servers, writes, workload):
    """Writes until the ensemble has so many more; returns how many it has."""
    begun = zxid_of(servers[0])
    load = bench(servers, workload, "-c", 8, "-d", 128, "-t", 3600, "--warm-up", 0)
    try:
        while zxid_of(servers[0]) - begun < writes:
            if load.poll() is not None:
                raise launcher.ServerError("the load ended")
            time.sleep(BUCKET_SECONDS)
    finally:
        load.kill()
        load.wait()
    return zxid_of(servers[0]) - begun


def await_caught_up(away, leader):
    """Waits until one server, by its gauge, follows the other closely; returns when it did."""
    deadline = time.monotonic() + RETURN_SECONDS_MAX
    while time.monotonic() < deadline:
        if away.zxid and leader.zxid - away.zxid < CAUGHT_UP_ZXIDS:
            return time.monotonic()
        time.sleep(BUCKET_SECONDS / 4)
    raise launcher.ServerError(f"it has not caught up in {RETURN_SECONDS_MAX} s\n"
                               f"{away.server.log_tail()}")


def measure(cluster, options):
    """Plays it; returns the gauges of the leader and of who was away, and the moments."""
    leader = cluster.leader()
    away = next(number for number in cluster.servers if number != leader)
    others = [cluster.servers[number] for number in cluster.servers if number != away]
    cluster.servers[away].stop()
    missed = write_much(others, options.writes, options.missed)
    print(f"server {away} was away for {missed} writes", flush=True)
    rate = ["--rate", options.rate] if options.rate else []
    load = bench(others, "set", "-c", 8, "-d", options.in_flight, "-t", 3600, *rate)
    gauges = [Gauge(cluster.servers[number]) for number in (leader, away)]
    try:
        time.sleep(WARM_UP_SECONDS)
        for gauge in gauges:
            gauge.start()
        time.sleep(QUIET_SECONDS)
        back = time.monotonic()
        cluster.servers[away].start(wait=False)
        there = await_caught_up(gauges[1], gauges[0])
        time.sleep(QUIET_SECONDS)
        end = time.monotonic()
        for gauge in gauges:
            gauge.finish()
        if load.poll() is not None:
            raise launcher.ServerError("the load ended")
    finally:
        load.kill()
        load.wait()
    return *gauges, (gauges[0].looks[0][0], back, there, end)


def report(leader, away, moments):
    """Prints what was measured; returns the verdicts."""
    first, back, there, end = moments
    spans = {"before": (first, back), "while it comes back": (back, there), "after": (there, end)}
    usual = statistics.median(leader.rates(first, back))
    print(f"it followed closely after {there - back:.1f} s")
    shares = {}
    for name, (begin, until) in spans.items():
        rates = leader.rates(begin, until)
        if not rates:
            continue
        shares[name] = min(rates) / usual
        print(f"{name}: median {statistics.median(rates):.0f} writes/s, least in "
              f"{BUCKET_SECONDS} s {min(rates):.0f} ({shares[name]:.2f} of the usual); leader "
              f"{leader.memory(begin, until)} MiB, who was away "
              f"{away.memory(begin, until)} MiB")
    shown = leader.rates(back - 1.0, there + 2.0)
    print(f"from a second before the return on: {' '.join(f'{rate:.0f}' for rate in shown)}")
    growth = leader.memory(back, end) - leader.memory(first, back)
    return {
        f"no {BUCKET_SECONDS} s fell below {SHARE_MIN:.2f} of the usual":
            shares.get("while it comes back", 1.0) >= SHARE_MIN,
        f"the leader needed {growth} MiB more, at most {LEADER_GROWTH_MIB_MAX}":
            growth <= LEADER_GROWTH_MIB_MAX,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=launcher.KINDS, default="ostler")
    parser.add_argument("--writes", type=int, default=1_000_000)
    parser.add_argument("--missed", default="set", help="the workload that is missed")
    parser.add_argument("--rate", type=int, help="writes a second; as many as may be without it")
    parser.add_argument("--in-flight", type=int, default=16, help="of each of 8 connections")
    parser.add_argument("--port", type=int, default=24000, help="first of 100 ports to use")
    options = parser.parse_args()
    hosts.enter()
    directory = Path(tempfile.mkdtemp(prefix="rejoin-"))
    with Cluster(options.server, directory, options.port, 3, hosts.network(range(1, 4)),
                 {"txnLogSizeLimitInKb": None}) as cluster:
        cluster.start()
        verdicts = report(*measure(cluster, options))
    shutil.rmtree(directory, ignore_errors=True)
    for name, holds in verdicts.items():
        print(f"{'ok  ' if holds else 'FAIL'} {name}")
    failed = list(verdicts.values()).count(False)
    print(f"{len(verdicts) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
