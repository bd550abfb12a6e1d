#!/usr/bin/env python3
"""The door test tested on itself: it must fail for a door that is bad, each time for its reason.

What lives here: a relay before a good server that has one fault at a time (it blocks on half a
frame, leaks memory, keeps dead connections, changes answers, stalls), and the check that the
matching attack is reported. Prints `N passed, M failed`. Needs Apache, no Ostler.
"""

import contextlib
import io
import multiprocessing
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMPAT = HERE.parent / "compat"
sys.path[:0] = [str(HERE), str(COMPAT), str(COMPAT / "differ")]

import attacks  # noqa: E402
import garbage  # noqa: E402
from server import Server  # noqa: E402

PORT = 22500
LEAK_BYTES = 1 << 16
STALL_SECONDS = 3.0


class BadDoor:
    """A relay to `target` in a process of its own; looks like a Server to the door test."""

    def __init__(self, port, target, fault):
        self.port = port
        self.target = target
        self.fault = fault
        self.leaked = []
        self.turn = threading.Lock()
        self.process = multiprocessing.get_context("fork").Process(target=self._serve, daemon=True)
        self.process.start()
        self.pid = self.process.pid
        self._wait_ready()

    def is_running(self):
        return self.process.is_alive()

    def log_tail(self, _lines):
        return "the relay ended"

    def close(self):
        self.process.terminate()
        self.process.join()

    def _wait_ready(self):
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection((attacks.HOST, self.port)).close()
                return
            time.sleep(0.02)
        raise SystemExit("the relay does not listen")

    def _serve(self):
        listener = socket.create_server((attacks.HOST, self.port), backlog=1000)
        if self.fault == "stalls":
            threading.Thread(target=self._stall, daemon=True).start()
        while True:
            client, _ = listener.accept()
            if self.fault == "leaks":
                self.leaked.append(os.urandom(LEAK_BYTES))
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _stall(self):
        time.sleep(garbage.BASELINE_SECONDS + 2)
        while True:
            with self.turn:
                time.sleep(STALL_SECONDS)
            time.sleep(STALL_SECONDS)

    def _connect(self, client):
        server = socket.create_connection((attacks.HOST, self.target))
        threading.Thread(target=self._answers, args=(server, client), daemon=True).start()
        with contextlib.suppress(OSError):
            while self._request(client, server):
                pass
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _request(self, client, server):
        if self.fault == "blocks":
            # Holds the only turn until the whole frame has come.
            head = client.recv(4, socket.MSG_WAITALL)
            with self.turn:
                length = int.from_bytes(head, "big", signed=True)
                body = client.recv(max(0, min(length, 1 << 20)), socket.MSG_WAITALL)
            data = head + body
        else:
            data = client.recv(65536)
            with self.turn:
                pass
        if data:
            server.sendall(data)
        return bool(data)

    def _answers(self, server, client):
        count = 0
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                count += 1
                if self.fault == "changes" and count % 50 == 0:
                    data = data[:-1] + bytes([data[-1] ^ 1])
                client.sendall(data)
        if self.fault != "keeps":
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            client.close()


def idle(target):
    return attacks.idle_connections(target, 400, garbage.IDLE_BYTES_MAX)


def wait(_target):
    time.sleep(2 * STALL_SECONDS)
    return []


# Fault, attack, and the words that the report of its failure has to hold; None: no failure.
CASES = (
    ("none", attacks.random_bytes, None), ("none", attacks.slow_senders, None),
    ("blocks", attacks.half_frames, "witness"), ("leaks", idle, "bytes, more than"),
    ("keeps", attacks.random_bytes, "were not closed"),
    ("changes", attacks.slow_senders, "witness's answers"), ("stalls", wait, "the slowest is"),
)


def run(port, target, fault, attack):
    """(failures, output) of one attack on a door with a fault."""
    door = BadDoor(port, target, fault)
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            test = garbage.Door(door, 1)
            if fault == "changes":
                # A baseline that is judged would fail already: its answers are changed too.
                time.sleep(1)
                test.baseline = test.busy = test.witness.measure()
            else:
                test.measure_baseline()
            test.attack(fault, attack)
            test.witness.close()
    finally:
        door.close()
    return test.failed, output.getvalue()


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="garbage-") as work:
        with Server("apache", f"{work}/server", PORT) as server:
            server.start()
            for number, (fault, attack, words) in enumerate(CASES):
                failures, output = run(PORT + 1 + number, PORT, fault, attack)
                good = not failures if words is None else failures and words in output
                failed += not good
                print(f"{'ok' if good else 'FAILED'} {fault}: {attack.__name__}", flush=True)
                if not good:
                    print(output)
    print(f"{len(CASES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
