"""What the machine itself allows: the harness against a server that does nothing, and a sync."""

import os
import statistics
import subprocess
import time
from pathlib import Path

import sides

SYNCS = 400
BLOCK = 4096


def null_runs(port, seconds):
    """Rates and latencies of the harness against its null server, by protocol and shape."""
    binary = str(sides.launcher.ostler_binary())
    server = subprocess.Popen([binary, "bench", "null", "--address", f"127.0.0.1:{port}"],
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.3)
        found = {}
        for protocol in ("jute", "native"):
            for connections, in_flight in ((1, 1), (64, 1), (16, 64)):
                found[f"{protocol} get {connections}×{in_flight}"] = sides.bench_at(
                    "get", [f"127.0.0.1:{port}"], "--protocol", protocol, "--pids", server.pid, "-c", connections,
                    "-d", in_flight, "-t", seconds, "--warm-up", 0.3)
        return found
    finally:
        server.kill()
        server.wait()


def sync_latency(directory):
    """Microseconds of pwrite and fdatasync of 4 KiB in a preallocated file: p50 and p99."""
    path = Path(directory) / "sync-probe"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        block = os.urandom(BLOCK)
        os.pwrite(handle, bytes(BLOCK * SYNCS), 0)
        os.fsync(handle)
        taken = []
        for number in range(SYNCS):
            begun = time.perf_counter_ns()
            os.pwrite(handle, block, number * BLOCK)
            os.fdatasync(handle)
            taken.append((time.perf_counter_ns() - begun) / 1e3)
        return statistics.median(taken), statistics.quantiles(taken, n=100)[98]
    finally:
        os.close(handle)
        path.unlink()
