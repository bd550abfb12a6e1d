"""Rows that need a server of their own: memory, start-up, watches, idle sessions, snapshots.

Each function gives figures of one side, as name → (value, unit). They are measured once: memory and
start-up do not vary as rates do.
"""

import time

import sides

WATCHERS = 100


def empty(side):
    """Memory of a server that nobody asked anything, once it has settled."""
    time.sleep(2)
    return {"empty server, resident": (side.resident_bytes() / 1e6, "MB")}


def idle(side, size):
    run = sides.bench("idle", side, "-c", size.sessions, "-t", 3, "--session-timeout", 40)
    facts = {fact["name"]: fact for fact in run["facts"]}
    each = facts["memory for each session"]["value"]
    return {
        "idle session with its connection": (each / 1e3, "KB"),
        "idle sessions lost": (facts["sessions lost"]["value"], ""),
    }


def watches(side, size):
    run = sides.bench(f"watches:{size.watches}", side, "-c", WATCHERS, "-t", 5)
    facts = {fact["name"]: fact["value"] for fact in run["facts"]}
    rows = {row["name"]: row for row in run["operations"]}
    count = f"{size.watches // 1000} k watches on {WATCHERS} connections"
    return {
        "memory for each watch": (facts.get("memory for each watch", 0.0), "B"),
        f"{count}: until the last is told, p50": (rows["last event"]["p50"] / 1e3, "ms"),
        f"{count}: a bystander meanwhile, max": (rows["probe"]["max"] / 1e3, "ms"),
    }


def written(side, size):
    """Bytes that the server wrote for each byte of data it was given, under a steady load of sets.

    The system counts what write calls are handed. ZooKeeper's answers are among that, Ostler's are
    not, so ZooKeeper's figure is some 0.9 too high at 100 bytes of data.
    """
    run = sides.bench("set", side, "-c", 16, "-d", 64, "-t", max(5, size.seconds), "--warm-up", 0.5)
    given = run["total"]["count"] * run["setting"]["value_bytes"]
    return {"written for each byte of data, sets of 100 B": (
        run["server"]["written_bytes"] / given, "B")}


def fill_and_restart(side, size):
    empty_bytes = side.resident_bytes()
    run = sides.bench(f"fill:{size.znodes}", side, "-c", 16, "-d", 64, "--value-bytes", 100)
    full_bytes = side.resident_bytes()
    count = f"{size.znodes / 1e6:g} M znodes of 100 B"
    figures = {
        f"{count}: creates": (run["total"]["rate"], "a second"),
        f"{count}: resident": (full_bytes / 1e6, "MB"),
        f"{count}: for each": ((full_bytes - empty_bytes) / size.znodes, "B"),
    }
    figures[f"{count}: start until it serves"] = (side.restart(), "s")
    figures[f"{count}: resident after the start"] = (side.resident_bytes() / 1e6, "MB")
    return figures


def snapshots(side, size):
    """Writes while snapshots are taken one after another: the worst half second against the mean.

    The side's configuration takes one every 100 k transactions.
    """
    run = sides.bench("set", side, "-c", 16, "-d", 64, "-t", size.snapshot_seconds)
    length = run["timeline"][1]["at"] - run["timeline"][0]["at"]
    width = max(1, round(0.5 / length))
    rates = [moment["rate"] for moment in run["timeline"][:-1]]
    halves = [sum(rates[at:at + width]) / width for at in range(0, len(rates) - width + 1, width)]
    mean = sum(halves) / len(halves)
    return {
        "sets under continuous snapshots": (run["total"]["rate"], "a second"),
        "their worst half second against the mean": (100 * min(halves) / mean, "%"),
    }
