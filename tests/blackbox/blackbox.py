#!/usr/bin/env python3
"""Real servers, real disks, real faults, and clients that check every promise meanwhile.

Clients write and read through all servers of an ensemble while its servers are killed, stopped,
restarted, one after another or all at once. At the end every acknowledged write must be there
once, nothing may have gone back in time, no session that was kept alive may have expired, and no
client of a server that was left alone may have seen an error. The last line is
`N passed, M failed`; what was measured stands before it.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from cluster import Cluster, launcher
from faults import ACTS, Disturbance, pick
from jute import Client, Op, Writer
from workers import Worker, longest_call

QUIET_SECONDS = 0.5
# Of acts by which the ensemble loses only one server: what its clients may notice, in seconds.
# A hung leader has to be silent for a second before it is given up.
PAUSE_SECONDS = {"kill": 5.0, "stop": 8.0, "term": 5.0}


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Run:
    """One ensemble, its workers, and what was found."""

    def __init__(self, options, directory):
        self.options = options
        self.cluster = Cluster(options.server, directory, options.port, options.servers)
        self.disturbance = Disturbance()
        self.workers = []
        self.pauses = {act: [] for act in ACTS}
        self.returns = {act: [] for act in ACTS}
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
            ports = {number: server.port for number, server in self.cluster.servers.items()}
            for number in range(self.options.clients):
                self.workers.append(Worker(number, ports, self.workers, self.disturbance))
            for worker in self.workers:
                worker.start()
            time.sleep(QUIET_SECONDS)
            for round_number in range(self.options.rounds):
                self.act(round_number)
            for worker in self.workers:
                worker.finish()
            for worker in self.workers:
                worker.join(30.0)
            self.judge()

    def act(self, round_number):
        acts = self.options.acts
        name = acts[round_number % len(acts)]
        seed = f"{self.options.seed}/{round_number}"
        victim = pick(self.cluster, name, seed)
        led = self.cluster.mode(victim)
        began = time.monotonic()
        back = ACTS[name](self.cluster, victim, self.disturbance, seed)
        time.sleep(QUIET_SECONDS)
        away = set(self.cluster.servers) if name == "all" else {victim}
        pause = longest_call(self.workers, began, time.monotonic(), away)
        self.returns[name].append(back)
        if name != "all":
            self.pauses[name].append(pause)
        print(f"{round_number:4} {name:4} server {victim} ({led}): longest call elsewhere "
              f"{pause * 1000:.0f} ms, back in {back * 1000:.0f} ms", flush=True)

    def judge(self):
        for worker in self.workers:
            self.check(f"client {worker.number} saw nothing a client must not see", worker.faults)
            self.check(f"client {worker.number} saw no error of a server left alone",
                       worker.errors)
        for number, server in self.cluster.servers.items():
            self.check(f"server {number} has every acknowledged write once", self.missing(server))
        for name, pauses in self.pauses.items():
            if pauses:
                over = [pause for pause in pauses if pause > PAUSE_SECONDS[name]]
                self.check(f"clients elsewhere waited at most {PAUSE_SECONDS[name]} s at {name}",
                           [f"{pause:.1f} s" for pause in over])

    def missing(self, server):
        with Client(server.port) as client:
            client.call(Op.SYNC, Writer().string("/").bytes())
            for worker in self.workers:
                there = set(client.children(worker.directory))
                for path in worker.acknowledged:
                    if path.rsplit("/", 1)[1] not in there:
                        yield f"{path} is lost"
                _, stat = client.get(worker.counter)
                if stat.version < worker.version:
                    yield f"{worker.counter} went back from {worker.version} to {stat.version}"
                if client.exists(f"/alive-{worker.number}") is None and not worker.faults:
                    yield f"the ephemeral of client {worker.number} is gone"

    def report(self):
        writes = sum(len(worker.acknowledged) + worker.version for worker in self.workers)
        print(f"{writes} acknowledged writes by {len(self.workers)} clients")
        for kind, figures in (("longest call elsewhere", self.pauses), ("back", self.returns)):
            for name, values in figures.items():
                if values:
                    print(f"{name}: {kind} in {len(values)} rounds: median "
                          f"{statistics.median(values) * 1000:.0f} ms, p95 "
                          f"{percentile(values, 0.95) * 1000:.0f} ms, longest "
                          f"{max(values) * 1000:.0f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=launcher.KINDS, default="ostler")
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--acts", nargs="+", choices=list(ACTS), default=list(ACTS))
    parser.add_argument("--seed", default=str(time.time_ns() % 1_000_000))
    parser.add_argument("--port", type=int, default=24000, help="first of 100 ports to use")
    parser.add_argument("--keep", action="store_true", help="leave what the servers wrote")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="blackbox-"))
    print(f"blackbox: {options.rounds} rounds on {options.servers} servers, seed {options.seed}")
    run = Run(options, directory)
    run.play()
    run.report()
    failed = run.checks.count(False)
    if failed or options.keep:
        print(f"what the servers left is in {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{run.checks.count(True)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
