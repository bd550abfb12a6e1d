"""What clients of three servers notice when the leader is killed or hangs.

Each function gives figures of one side, as name → (value, unit). Clients sit at the servers that
stay; they write at a fixed rate, each write's time counting from when it was due. So the longest
time is that from the last good write before the fault to the first one after it, to within the
interval of the rate; writes that were lost with a connection, those that four clients may have in
flight, make it shorter by up to 64 ms. A client that loses its connection, as ZooKeeper's do, goes
to the next server and on, every 100 ms. A run that ends before writes are good again is no figure.
"""

import json
import statistics
import subprocess
import time

import rows
import sides

RATE = 500
CLIENTS = 4
IN_FLIGHT = 8
BEFORE_SECONDS = 1.5
# ZooKeeper's followers believe in a silent leader for syncLimit ticks, here eight seconds, and then
# elect. What is due at the end of these is awaited 20 seconds more.
HANG_SECONDS = 4
# How the harness calls what nobody answered up to its end.
UNANSWERED = ("due, and never sent", "never answered")
SESSION_SECONDS = 4


def killed(side, size):
    gaps = [gap(side, 3, end_and_restart) for _ in range(size.kills)]
    return {rows.KILLED: (p95(gaps), "ms"),
            f"{rows.KILLED.split(',')[0]}, median of {len(gaps)}": (statistics.median(gaps), "ms")}


def hung(side, size):
    gaps = [gap(side, HANG_SECONDS, pause_and_resume) for _ in range(size.hangs)]
    return {rows.HUNG: (p95(gaps), "ms"),
            f"{rows.HUNG.split(',')[0]}, median of {len(gaps)}": (statistics.median(gaps), "ms")}


def p95(values):
    """The value that 95 of 100 do not exceed; of a few, the largest."""
    return sorted(values)[min(len(values) - 1, round(0.95 * len(values)))]


def end_and_restart(server):
    server.kill()
    return lambda: server.start(60)


def pause_and_resume(server):
    server.pause()
    return server.resume


def gap(side, seconds, strike):
    """Milliseconds without a good write at the other servers when the leader is struck."""
    leader = side.leader()
    survivors = [f"127.0.0.1:{server.port}" for server in side.servers if server is not leader]
    load = start("set", survivors, side, "-c", CLIENTS, "-d", IN_FLIGHT, "--rate", RATE, "-t",
                 seconds, "--warm-up", 0.2, "--session-timeout", 20, "--keys", 10, "--listed", 1,
                 "--keep")
    time.sleep(BEFORE_SECONDS)
    mend = strike(leader)
    try:
        run = finish(load, seconds + 60)
    finally:
        mend()
    if any(error["what"] in UNANSWERED for error in run["errors"]):
        raise sides.launcher.ServerError(f"no good write {seconds} s and more after the fault")
    await_follower(side, leader)
    time.sleep(0.5)
    return run["total"]["max"] / 1e3


def await_follower(side, server):
    """Until the one that was struck follows: resumed, it believes for a while that it leads."""
    deadline = time.monotonic() + 60
    while server.mode() != "follower":
        if time.monotonic() > deadline:
            raise sides.launcher.ServerError(f"{side.name}: the leader before does not follow")
        time.sleep(0.05)


def back(side, size):
    """Sessions that all lose their server, the leader, and go to the others with what they have."""
    leader = side.leader()
    others = [server for server in side.servers if server is not leader]
    addresses = [f"127.0.0.1:{server.port}" for server in [leader, *others]]
    load = start("returning", addresses, side, "-c", size.returning, "-t", 12,
                 "--session-timeout", SESSION_SECONDS)
    deadline = time.monotonic() + 90
    while connections(leader) < size.returning:
        if time.monotonic() > deadline:
            load.kill()
            raise sides.launcher.ServerError(f"{side.name}: sessions do not open")
        time.sleep(0.2)
    time.sleep(1)
    mend = end_and_restart(leader)
    try:
        run = finish(load, 120)
    finally:
        mend()
    facts = {fact["name"]: fact["value"] for fact in run["facts"]}
    return {rows.BACK: (facts.get("until the last was back", float("nan")), "s"),
            rows.EXPIRED: (facts["sessions expired"], "")}


def connections(server):
    """How many clients a server has; 0 while it does not tell."""
    try:
        answer = server.word("mntr")
    except OSError:
        return 0
    found = [line.split()[1] for line in answer.splitlines()
             if line.startswith("zk_num_alive_connections")]
    return int(found[0]) if found else 0


def start(workload, addresses, side, *options):
    """The harness in the background; `finish` gives its report."""
    arguments = sides.command(workload, addresses, *side.options, *options)
    return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def finish(load, seconds):
    try:
        answer, problem = load.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as late:
        load.kill()
        raise sides.launcher.ServerError(f"the load does not end: {late}") from late
    if load.returncode not in (0, 1):
        raise sides.launcher.ServerError(problem)
    return json.loads(answer)
