"""etcd beside the others: its server and a driver, built at run time by the Go tool.

It speaks a protocol of its own, so the harness cannot drive it: benches/compare/etcd/load.go does
the same over etcd's own client. What it cannot do (sessions, watches as ZooKeeper knows them,
the keeper mix) it is not asked. Its driver costs more of the machine than the harness does, which
its rates suffer from; its CPU per operation, counted on the servers alone, does not.
"""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import sides

SOURCES = Path(__file__).resolve().parent / "etcd"
HOST = "127.0.0.1"
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def build():
    """Server and driver, built in the cache unless they are there. Raises ServerError."""
    target = sides.launcher.cache_directory() / "etcd"
    stamp = target / "built"
    sources = "".join(path.read_text() for path in sorted(SOURCES.rglob("*.*")))
    with sides.launcher.cache_lock("etcd"):
        if stamp.exists() and stamp.read_text() == sources:
            return target
        if shutil.which("go") is None:
            raise sides.launcher.ServerError("there is no Go tool to build etcd with")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(SOURCES, target)
        for command in (["mod", "tidy"], ["build", "-o", "etcd-server", "./server"],
                        ["build", "-o", "etcd-load", "."]):
            sides.launcher.run_bounded(["go", "-C", str(target), *command], 540)
        stamp.write_text(sources)
    return target


def version():
    """The version that go.mod asks for."""
    return re.search(r"etcd/server/v3 (v\S+)", (SOURCES / "go.mod").read_text()).group(1)


class EtcdSide:
    """etcd as one of the compared. Each member has two ports: clients' and the others'."""

    def __init__(self, name, port, directory, members=1):
        self.name = name
        self.directory = Path(directory) / f"{name}-{members}"
        self.ports = [port + 2 * number for number in range(members)]
        self.processes = []

    def start(self):
        built = build()
        shutil.rmtree(self.directory, ignore_errors=True)
        cluster = ",".join(f"m{port}=http://{HOST}:{port + 1}" for port in self.ports)
        for port in self.ports:
            home = self.directory / str(port)
            home.mkdir(parents=True)
            client, peer = f"http://{HOST}:{port}", f"http://{HOST}:{port + 1}"
            with open(home / "server.log", "wb") as log:
                self.processes.append(subprocess.Popen(
                    [built / "etcd-server", "--name", f"m{port}", "--data-dir", home / "data",
                     "--listen-client-urls", client, "--advertise-client-urls", client,
                     "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                     "--initial-cluster", cluster, "--log-level", "error"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        # It has no word to ask for its state that needs no client: the driver waits for it.
        self.run("get", ("-c", 1, "-d", 1), 0.1, 0.1)
        return self

    def kill(self):
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes = []
        shutil.rmtree(self.directory, ignore_errors=True)

    def can(self, row):
        return row.etcd is not None

    def drive(self, row, size):
        """One run of a row's load, as the harness reports it, as far as figures are kept."""
        counts = [str(option) for option in row.options[:4]]
        return self.run(row.etcd, counts, size.seconds, size.warm_up)

    def run(self, workload, counts, seconds, warm_up):
        servers = ",".join(f"{HOST}:{port}" for port in self.ports)
        command = [build() / "etcd-load", "-servers", servers, "-workload", workload, *counts,
                   "-t", seconds, "-warm-up", warm_up]
        driver = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            cpu_us = self.cpu_while_measured(driver, seconds)
            answer, problem = driver.communicate(timeout=seconds + warm_up + 60)
        except subprocess.TimeoutExpired as late:
            driver.kill()
            raise sides.launcher.ServerError(f"{self.name}: {late}") from late
        if driver.returncode != 0:
            raise sides.launcher.ServerError(f"{self.name}: {problem}")
        found = json.loads(answer)
        total = {key: found[key] for key in ("rate", "p50", "p99", "max", "errors")}
        each = cpu_us / max(1, found["count"])
        return {"total": total, "operations": [], "errors": [],
                "server": {"cpu_per_operation": each}, "verdict": {"bound_by": ""},
                "machine_busy": 0.0, "busiest_thread": 0.0}

    def cpu_while_measured(self, driver, seconds):
        """CPU time of the servers from when the driver says that it measures, in microseconds."""
        while (line := driver.stderr.readline()) and line.strip() != "measuring":
            pass
        before = self.cpu_us()
        time.sleep(seconds)
        return self.cpu_us() - before

    def cpu_us(self):
        ticks = 0
        for process in self.processes:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks * 1e6 / TICKS_A_SECOND
