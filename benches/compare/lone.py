"""Rows that need a server of their own: memory, start-up, watches, idle sessions, snapshots.

Each function gives figures of one side, as name → (value, unit). They are measured once: memory and
start-up do not vary as rates do.
"""

import time

import rows
import sides

WATCHERS = 100
# Of the large fill: a path as long as the mean of large ensembles, and what a lock or a member has.
LARGE = ("--value-bytes", 46, "--path-bytes", 115)


def empty(side, _size):
    """Memory of a server that nobody asked anything, once it has settled."""
    time.sleep(2)
    return {rows.EMPTY: (side.resident_bytes() / 1e6, "MB")}


def idle(side, size):
    run = sides.bench("idle", side, "-c", size.sessions, "-t", 3, "--session-timeout", 40)
    facts = {fact["name"]: fact for fact in run["facts"]}
    each = facts["memory for each session"]["value"]
    return {
        rows.IDLE: (each / 1e3, "KB"),
        "idle sessions lost": (facts["sessions lost"]["value"], ""),
    }


def watches(side, size):
    run = sides.bench(f"watches:{size.watches}", side, "-c", WATCHERS, "-t", 5)
    facts = {fact["name"]: fact["value"] for fact in run["facts"]}
    found = {row["name"]: row for row in run["operations"]}
    return {
        rows.WATCH: (facts.get("memory for each watch", 0.0), "B"),
        rows.LAST_TOLD: (found["last event"]["p50"] / 1e3, "ms"),
        rows.BYSTANDER: (found["probe"]["max"] / 1e3, "ms"),
        rows.SETTING: (found["between"]["max"] / 1e3, "ms"),
    }


def written(side, size):
    """Bytes that the server wrote for each byte of data it was given, under a steady load of sets.

    The system counts what write calls are handed. ZooKeeper's answers are among that, Ostler's are
    not, so ZooKeeper's figure is some 0.9 too high at 100 bytes of data.
    """
    run = sides.bench("set", side, "-c", 16, "-d", 64, "-t", max(5, size.seconds), "--warm-up", 0.5)
    given = run["total"]["count"] * run["setting"]["value_bytes"]
    return {rows.WRITTEN: (
        run["server"]["written_bytes"] / given, "B")}


def fill_and_restart(side, size):
    empty_bytes = side.resident_bytes()
    run = sides.bench(f"fill:{size.znodes}", side, "-c", 16, "-d", 64, "--value-bytes", 100)
    full_bytes = side.resident_bytes()
    figures = {
        "1 M znodes of 100 B: creates": (run["total"]["rate"], "a second"),
        rows.FILLED: (full_bytes / 1e6, "MB"),
        "1 M znodes of 100 B: for each": ((full_bytes - empty_bytes) / size.znodes, "B"),
    }
    figures[rows.STARTED] = (side.restart(), "s")
    figures["1 M znodes of 100 B: resident after the start"] = (side.resident_bytes() / 1e6, "MB")
    return figures


def large(side, size):
    """Ten times as many znodes; the heap that the other side would need is not on every machine."""
    run = sides.bench(f"fill:{size.large_znodes}", side, "-c", 16, "-d", 64, *LARGE)
    resident_bytes = side.resident_bytes()
    figures = {
        "10 M znodes of 46 B: creates": (run["total"]["rate"], "a second"),
        rows.LARGE: (resident_bytes / 1e6, "MB"),
    }
    figures["10 M znodes of 46 B: start until it serves"] = (side.restart(), "s")
    return figures


def snapshots(side, size):
    """Writes while snapshots are taken one after another: the worst half second against the mean.

    The side's configuration takes one every 100 k transactions.
    """
    sides.bench(f"fill:{size.znodes}", side, "-c", 16, "-d", 64, "--value-bytes", 100)
    run = sides.bench("set", side, "-c", 16, "-d", 64, "-t", size.snapshot_seconds)
    length = run["timeline"][1]["at"] - run["timeline"][0]["at"]
    width = max(1, round(0.5 / length))
    rates = [moment["rate"] for moment in run["timeline"][:-1]]
    halves = [sum(rates[at:at + width]) / width for at in range(0, len(rates) - width + 1, width)]
    mean = sum(halves) / len(halves)
    return {
        "sets under continuous snapshots": (run["total"]["rate"], "a second"),
        rows.DIP: (100 * min(halves) / mean, "%"),
    }
