"""What is done to an ensemble, one act at a time.

Each act leaves all servers serving again before it returns. It names, before anything happens, the
servers whose clients may notice more than a pause, and returns how long, after the fault had
ended, it took until all served.
"""

import errno
import os
import random
import time

from jute import Client, Op, SessionRefused, ZkError, set_data_body

SETTLE_SECONDS = 1.0
HOLD_SECONDS = 4.0
AFTERMATH_SECONDS = 8.0
# How long a disk that was just filled may take to be noticed.
FULL_SECONDS = 20.0
EXIT_DISK = 74
CLOCK_STEPS_SECONDS = (3600.0, -3600.0, 86400.0 * 400, -7.0)
SLOW_SYNCS_SECONDS = (0.02, 0.2, 0.7)


class Disturbance:
    """Remembers which servers were under a fault, for workers that ask whether an error counts.

    It counts for some time after the fault too: what was lost on the way to a host that was off
    the net is sent again at ever longer intervals, and its client may lose patience before.
    """

    def __init__(self):
        self._until = {}
        self._now = set()

    def begin(self, *servers):
        self._until.update(dict.fromkeys(self._now, time.monotonic() + AFTERMATH_SECONDS))
        self._now = set(servers)

    def __call__(self, server):
        return server in self._now or time.monotonic() < self._until.get(server, 0.0)


class Act:
    """One way to disturb. `needs` names what it cannot do without: partitions, shim."""

    def __init__(self, do, away, needs=()):
        self.do = do
        self.away = away
        self.needs = needs


def victim_only(_cluster, victim, _random):
    return {victim}


def everybody(cluster, _victim, _random):
    return set(cluster.servers)


def nobody(_cluster, _victim, _random):
    return set()


def restart(cluster, victim):
    began = time.monotonic()
    cluster.servers[victim].start(wait=False)
    cluster.await_serving(victim)
    return time.monotonic() - began


def kill(cluster, victim, _away, _random):
    """SIGKILL, and a new start after the others had to do without for a second."""
    cluster.servers[victim].kill()
    time.sleep(SETTLE_SECONDS)
    return restart(cluster, victim)


def kill_briefly(cluster, victim, _away, _random):
    """SIGKILL, and at once a new start."""
    cluster.servers[victim].kill()
    return restart(cluster, victim)


def stop_and_continue(cluster, victim, _away, _random):
    """SIGSTOP: the process hangs, its sockets stay open. Then it goes on."""
    cluster.servers[victim].pause()
    time.sleep(2.0 + SETTLE_SECONDS)
    cluster.servers[victim].resume()
    return cluster.await_serving(victim)


def terminate(cluster, victim, _away, _random):
    """SIGTERM and a new start."""
    cluster.servers[victim].stop()
    return restart(cluster, victim)


def roll(cluster, victim, _away, _random):
    """A rolling upgrade: one after the other is ended in order and started again."""
    longest = 0.0
    for number in sorted(cluster.servers, key=lambda number: number == victim):
        cluster.servers[number].stop()
        longest = max(longest, restart(cluster, number))
    return longest


def kill_everybody(cluster, _victim, _away, _random):
    """SIGKILL to all at once: only what is on the disks is left."""
    for server in cluster.servers.values():
        server.kill()
    began = time.monotonic()
    for server in cluster.servers.values():
        server.start(wait=False)
    cluster.await_all()
    return time.monotonic() - began


def isolate(cluster, victim, away, _random):
    """Nothing gets from one side to the other, in either direction; clients reach everybody."""
    for one in away:
        for other in set(cluster.servers) - away:
            cluster.hosts.cut(one, other)
            cluster.hosts.cut(other, one)
    return heal(cluster)


def deafen(cluster, victim, _away, _random):
    """The victim is heard and hears nobody."""
    for other in set(cluster.servers) - {victim}:
        cluster.hosts.cut(other, victim)
    return heal(cluster)


def mute(cluster, victim, _away, _random):
    """The victim hears and is heard by nobody."""
    for other in set(cluster.servers) - {victim}:
        cluster.hosts.cut(victim, other)
    return heal(cluster)


def part_two(cluster, victim, away, _random):
    """Two servers lose each other, and both still have everybody else."""
    (other,) = away - {victim}
    cluster.hosts.cut(victim, other)
    cluster.hosts.cut(other, victim)
    return heal(cluster)


def heal(cluster):
    cluster.struck = time.monotonic()
    time.sleep(HOLD_SECONDS)
    cluster.hosts.heal()
    return cluster.await_all()


def unplug(cluster, victim, _away, _random):
    """The host is off the net, for its clients too."""
    cluster.hosts.unplug(victim)
    cluster.struck = time.monotonic()
    time.sleep(HOLD_SECONDS)
    cluster.hosts.plug(victim)
    return cluster.await_all()


def minority(cluster, victim, choice):
    """The victim and as many others as can be cut off without harm to the rest."""
    others = [number for number in cluster.servers if number != victim]
    return {victim, *choice.sample(others, (len(cluster.servers) - 1) // 2 - 1)}


def pair(cluster, victim, choice):
    return {victim, choice.choice([number for number in cluster.servers if number != victim])}


def fill_disk(cluster, victim, _away, choice):
    """The victim's disk is full, and writes go on: it ends, and comes back when there is room."""
    server = cluster.servers[victim]
    balloon = server.data_directory / "balloon"
    _inflate(balloon)
    others = [number for number in cluster.servers if number != victim]
    deadline = time.monotonic() + FULL_SECONDS
    while server.is_running() and time.monotonic() < deadline:
        _write_much(cluster, choice.choice(others))
    ended = not server.is_running()
    cluster.struck = time.monotonic()
    balloon.unlink()
    if not ended:
        raise AssertionError(f"server {victim} lives on a full disk")
    if cluster.kind == "ostler" and server.exit_code != EXIT_DISK:
        raise AssertionError(f"server {victim} ended with {server.exit_code} on a full disk")
    return restart(cluster, victim)


def _inflate(balloon):
    size = 1 << 28
    with open(balloon, "wb") as file:
        end = 0
        while size >= 4096:
            try:
                os.posix_fallocate(file.fileno(), end, size)
                end += size
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2


def _write_much(cluster, number):
    """A few MiB through this server, which may lose its leader meanwhile."""
    host, port = cluster.addresses[number]
    body = set_data_body("/bulk", bytes(200_000))
    try:
        with Client(port, host=host, socket_seconds=5.0) as client:
            if client.exists("/bulk") is None:
                client.create("/bulk")
            for _ in client.pipeline(Op.SET_DATA, [body] * 24, depth=4):
                pass
    except (OSError, SessionRefused, ZkError):
        time.sleep(0.1)


def slow_disk(cluster, victim, _away, choice):
    """Each sync of the victim takes long."""
    cluster.shims[victim].slow_disk(choice.choice(SLOW_SYNCS_SECONDS))
    time.sleep(HOLD_SECONDS)
    cluster.shims[victim].slow_disk(0)
    return cluster.await_all()


def step_clock(cluster, victim, _away, choice):
    """The victim's wall clock jumps, and later back."""
    cluster.shims[victim].step_clock(choice.choice(CLOCK_STEPS_SECONDS))
    time.sleep(HOLD_SECONDS / 2)
    cluster.shims[victim].step_clock(0)
    time.sleep(HOLD_SECONDS / 2)
    return cluster.await_all()


ACTS = {
    "kill": Act(kill, victim_only),
    "blink": Act(kill_briefly, victim_only),
    "stop": Act(stop_and_continue, victim_only),
    "term": Act(terminate, victim_only),
    "roll": Act(roll, everybody),
    "all": Act(kill_everybody, everybody),
    "cut": Act(isolate, minority, ("partitions",)),
    "deaf": Act(deafen, victim_only, ("partitions",)),
    "mute": Act(mute, victim_only, ("partitions",)),
    "pair": Act(part_two, pair, ("partitions",)),
    "unplug": Act(unplug, victim_only, ("partitions",)),
    "full": Act(fill_disk, victim_only, ("partitions",)),
    "slow": Act(slow_disk, nobody, ("shim",)),
    "clock": Act(step_clock, nobody, ("shim",)),
}


def possible(cluster):
    """The acts that this machine and this kind of server allow."""
    has = {name for name, there in (("partitions", cluster.hosts.partitions),
                                    ("shim", bool(cluster.shims))) if there}
    return [name for name, act in ACTS.items() if has.issuperset(act.needs)]


def pick(cluster, act, choice):
    """The victim of an act: the leader two times of three."""
    leader = cluster.leader()
    others = [number for number in cluster.servers if number != leader]
    return leader if act == "all" or choice.random() < 2 / 3 else choice.choice(others)


def chance(seed):
    return random.Random(seed)
