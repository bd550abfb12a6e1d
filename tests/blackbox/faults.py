"""What is done to an ensemble, one act at a time, and how long its clients noticed.

Each act leaves all servers serving again before it returns.
"""

import random
import time

SETTLE_SECONDS = 1.0


class Disturbance:
    """Remembers which servers were under a fault, for workers that ask whether an error counts."""

    def __init__(self):
        self._servers = set()

    def begin(self, *servers):
        self._servers = set(servers)

    def __call__(self, server):
        return server in self._servers


def kill(cluster, victim, disturbance, _random):
    """SIGKILL, and at once a new start."""
    disturbance.begin(victim)
    cluster.servers[victim].kill()
    time.sleep(SETTLE_SECONDS)
    began = time.monotonic()
    cluster.servers[victim].start(wait=False)
    cluster.await_serving(victim)
    return time.monotonic() - began


def stop_and_continue(cluster, victim, disturbance, _random):
    """SIGSTOP: the process hangs, its sockets stay open. Then it goes on."""
    disturbance.begin(victim)
    cluster.servers[victim].pause()
    time.sleep(2.0 + SETTLE_SECONDS)
    cluster.servers[victim].resume()
    return cluster.await_serving(victim)


def terminate(cluster, victim, disturbance, _random):
    """SIGTERM and a new start, as in a rolling upgrade."""
    disturbance.begin(victim)
    cluster.servers[victim].stop()
    began = time.monotonic()
    cluster.servers[victim].start(wait=False)
    cluster.await_serving(victim)
    return time.monotonic() - began


def kill_everybody(cluster, _victim, disturbance, _random):
    """SIGKILL to all at once: only what is on the disks is left."""
    disturbance.begin(*cluster.servers)
    for server in cluster.servers.values():
        server.kill()
    began = time.monotonic()
    for server in cluster.servers.values():
        server.start(wait=False)
    for number in cluster.servers:
        cluster.await_serving(number)
    return time.monotonic() - began


ACTS = {"kill": kill, "stop": stop_and_continue, "term": terminate, "all": kill_everybody}


def pick(cluster, act, seed):
    """The victim of an act: the leader two times of three."""
    choice = random.Random(seed)
    leader = cluster.leader()
    others = [number for number in cluster.servers if number != leader]
    return leader if act == "all" or choice.random() < 2 / 3 else choice.choice(others)
