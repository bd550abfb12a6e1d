#!/usr/bin/env python3
"""Real servers, real disks, real faults, and clients that check every promise meanwhile.

Clients of both protocols write and read through all servers of an ensemble while its servers are
killed, stopped, restarted, cut off from each other, given full and slow disks and wrong clocks. At
the end what they were told goes through the checks of history.py and is compared with what every
server holds, no session that was kept alive may have expired, and no client of a server that was
left alone may have seen an error. The last line is `N passed, M failed`; what was measured stands
before it.
"""

import argparse
import collections
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

import history
import hosts
from cluster import HERE, Cluster, launcher
from faults import ACTS, Disturbance, chance, pick, possible
from jute import Client, Op, Writer, path_watch_body
from workers import GUEST_TIMEOUT_MS, REGISTERS, SEQUENCE, Native, Worker, prepare

QUIET_SECONDS = 0.5
# Of acts by which an ensemble loses one server: what clients of the others may notice, in seconds.
# A hung or unreachable leader has to be silent for a second before it is given up.
PAUSE_SECONDS = {"kill": 5.0, "blink": 5.0, "term": 5.0, "stop": 8.0, "cut": 8.0, "unplug": 8.0}
# Acts whose victim cannot go on leading.
LOSES_LEADER = ("kill", "blink", "stop", "term", "cut", "deaf", "mute", "unplug")
# Sessions that were left expire within their timeout and two ticks, and whatever an election adds.
EXPIRY_SECONDS = GUEST_TIMEOUT_MS / 1000 + 8.0


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Run:
    """One ensemble, its workers, and what was found."""

    def __init__(self, options, directory):
        self.options = options
        network = hosts.network(range(1, options.servers + 1))
        self.cluster = Cluster(options.server, directory, options.port, options.servers, network)
        self.acts = [act for act in possible(self.cluster) if act in options.acts]
        self.disturbance = Disturbance()
        self.workers = []
        self.pauses = collections.defaultdict(list)
        self.firsts = collections.defaultdict(list)
        self.returns = collections.defaultdict(list)
        self.checks = []

    def check(self, name, problems):
        problems = list(problems)
        self.checks.append(not problems)
        print(f"{'ok  ' if not problems else 'FAIL'} {name}", flush=True)
        for problem in problems[:5]:
            print(f"     {problem}")

    def play(self):
        with self.cluster:
            self.cluster.start()
            self.begin()
            deadline = time.monotonic() + self.options.seconds if self.options.seconds else None
            for number in range(10**9 if deadline else self.options.rounds):
                if deadline and time.monotonic() > deadline:
                    break
                self.round(number)
            for worker in self.workers:
                worker.finish()
            for worker in self.workers:
                worker.join(30.0)
            self.judge()

    def begin(self):
        addresses = self.cluster.addresses
        prepare(addresses[1])
        for number in range(self.options.clients):
            self.workers.append(Worker(number, addresses, self.workers, self.disturbance,
                                       self.options.pause / 1000))
        if self.options.server == "ostler":
            binary = native_binary()
            for number in range(self.options.clients, self.options.clients + self.options.natives):
                self.workers.append(Native(number, addresses, binary,
                                           self.options.pause / 1000))
        for worker in self.workers:
            worker.start()
        time.sleep(QUIET_SECONDS)

    def round(self, number):
        name = self.acts[number % len(self.acts)]
        choice = chance(f"{self.options.seed}/{number}")
        victim = pick(self.cluster, name, choice)
        led = self.cluster.mode(victim)
        act = ACTS[name]
        away = act.away(self.cluster, victim, choice)
        self.disturbance.begin(*away)
        self.cluster.struck = time.monotonic()
        try:
            back = act.do(self.cluster, victim, away, choice)
        except AssertionError as problem:
            self.check(f"round {number}, {name}", [problem])
            return
        time.sleep(QUIET_SECONDS)
        pause, first = self.noticed(self.cluster.struck, time.monotonic(), away)
        self.returns[name].append(back)
        shown = ""
        if len(away) < len(self.cluster.servers):
            self.pauses[name].append(pause)
            shown = f"longest call elsewhere {pause * 1000:.0f} ms, "
            if led == "leader" and name in LOSES_LEADER and first is not None:
                self.firsts[name].append(first)
                shown += f"first write {first * 1000:.0f} ms, "
        print(f"{number:4} {name:6} server {victim} ({led}): {shown}back in {back * 1000:.0f} ms",
              flush=True)

    def noticed(self, begin, end, away):
        """By clients of servers not in `away`: the longest call that touched this span, and when,
        counted from its beginning, the first write was done that was asked for within it."""
        longest, first = 0.0, None
        for worker in self.workers:
            since = worker.waiting_since
            if since is not None and since > begin - QUIET_SECONDS and worker.home not in away:
                longest = max(longest, end - since)
            for call in reversed(worker.calls):
                if call.end < begin - 1.0:
                    break
                # What began earlier may have waited for the round before.
                if call.home in away or call.number is None or call.end < begin or (
                        not begin - QUIET_SECONDS < call.begin < end):
                    continue
                longest = max(longest, call.end - call.begin)
                if call.verb in ("set", "append") and call.begin >= begin:
                    first = min(first or call.end, call.end)
        return longest, None if first is None else first - begin

    def judge(self):
        for worker in self.workers:
            name = f"{worker.protocol} client {worker.number}"
            self.check(f"{name} saw nothing a client must not see", worker.faults)
            self.check(f"{name} saw no error of a server left alone", worker.errors)
        # While their sessions last without them.
        self.check("clients that live have their ephemerals", self.missing_ephemerals())
        began = time.monotonic()
        finals = {number: self.final(number) for number in self.cluster.servers}
        calls = [call for worker in self.workers for call in worker.calls]
        for number, final in finals.items():
            self.check(f"server {number} has what every other one has",
                       [] if final == finals[1] else ["it differs from server 1"])
        for name, check in history.CHECKS.items():
            self.check(name, check(calls, finals[1]))
        time.sleep(max(0.0, began + EXPIRY_SECONDS - time.monotonic()))
        self.check("sessions that were left are gone with their ephemerals", self.leftovers())
        for name, pauses in self.pauses.items():
            bound = PAUSE_SECONDS.get(name)
            if bound is not None:
                self.check(f"clients elsewhere waited at most {bound} s at {name}",
                           [f"{pause:.1f} s" for pause in pauses if pause > bound])

    def client(self, number):
        host, port = self.cluster.addresses[number]
        client = Client(port, host=host)
        client.call(Op.SYNC, Writer().string("/").bytes())
        return client

    def final(self, number):
        """What a server holds in the end: {key: {number: value}}."""
        with self.client(number) as client:
            keys = [f"/register-{register}" for register in range(REGISTERS)]
            keys += [worker.counter for worker in self.workers if worker.calls]
            final = {}
            for key in keys:
                data, stat = client.get(key)
                final[key] = {stat.version: data.decode()}
            names = sorted(client.children(SEQUENCE))
            bodies = (path_watch_body(f"{SEQUENCE}/{name}") for name in names)
            answers = client.pipeline(Op.GET_DATA, bodies, depth=256)
            final[SEQUENCE] = {int(name.rsplit("-", 1)[1]): reader.buffer().decode()
                               for name, (_, reader) in zip(names, answers)}
            return final

    def missing_ephemerals(self):
        with self.client(1) as client:
            for worker in self.workers:
                if client.exists(worker.ephemeral) is None and not worker.faults:
                    yield f"{worker.ephemeral} is gone"

    def leftovers(self):
        for number in self.cluster.servers:
            with self.client(number) as client:
                there = {f"/{name}" for name in client.children("/")}
            for worker in self.workers:
                yield from (f"server {number} has {path}" for path in worker.left if path in there)

    def report(self):
        calls = [call for worker in self.workers for call in worker.calls]
        writes = [call for call in calls if call.verb in ("set", "append")]
        doubtful = sum(call.number is None for call in writes)
        print(f"{len(writes) - doubtful} acknowledged and {doubtful} unanswered writes, "
              f"{len(calls) - len(writes)} reads by {len(self.workers)} clients in "
              f"{sum(map(len, self.returns.values()))} rounds")
        for kind, figures in (("longest call elsewhere", self.pauses),
                              ("first write after the loss of a leader", self.firsts),
                              ("back", self.returns)):
            for name, values in figures.items():
                print(f"{name}: {kind} in {len(values)} rounds: median "
                      f"{statistics.median(values) * 1000:.0f} ms, p95 "
                      f"{percentile(values, 0.95) * 1000:.0f} ms, longest "
                      f"{max(values) * 1000:.0f} ms")


def native_binary():
    """The client of the native protocol, as built last."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target"))
    built = [target / profile / "examples" / "blackbox" for profile in ("release", "debug")]
    built = [path for path in built if path.exists()]
    if not built:
        raise launcher.ServerError("build the native client: cargo build --example blackbox")
    return max(built, key=lambda path: path.stat().st_mtime)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=launcher.KINDS, default="ostler")
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--clients", type=int, default=5, help="clients of ZooKeeper's protocol")
    parser.add_argument("--natives", type=int, default=3, help="clients of Ostler's own")
    parser.add_argument("--rounds", type=int, default=len(ACTS))
    parser.add_argument("--seconds", type=float, help="so long, instead of so many rounds")
    parser.add_argument("--pause", type=float, default=4, help="rest of a client, milliseconds")
    parser.add_argument("--acts", nargs="+", choices=list(ACTS), default=list(ACTS))
    parser.add_argument("--seed", default=str(time.time_ns() % 1_000_000))
    parser.add_argument("--port", type=int, default=24000, help="first of 100 ports to use")
    parser.add_argument("--keep", action="store_true", help="leave what the servers wrote")
    options = parser.parse_args()
    hosts.enter()
    # So that a run that is ended from outside ends its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    directory = Path(tempfile.mkdtemp(prefix="blackbox-"))
    run = Run(options, directory)
    print(f"blackbox: {options.servers} servers, seed {options.seed}, {' '.join(run.acts)}",
          flush=True)
    run.play()
    run.report()
    failed = run.checks.count(False)
    if failed or options.keep:
        print(f"what the servers left is in {directory}")
        keep(directory, options.servers)
    else:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{run.checks.count(True)} passed, {failed} failed")
    return 1 if failed else 0


def keep(directory, servers):
    """File systems of our own end with us: copies what stands in them."""
    for number in range(1, servers + 1):
        data = directory / str(number) / "data"
        if os.path.ismount(data):
            shutil.copytree(data, directory / str(number) / "data-left", dirs_exist_ok=True)


if __name__ == "__main__":
    sys.exit(main())
