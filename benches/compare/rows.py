"""What is compared: each row one load, its floor and its aim against Apache ZooKeeper.

A row names what is asked of the harness and how good its figures have to be. Ratios are Ostler's
figure over Apache's in the same round; other bounds are absolute.
"""

from dataclasses import dataclass, field


@dataclass
class Bound:
    """What a figure must reach; a bound that is not set demands nothing."""

    ratio: float = None
    cpu_us: float = None
    p50_us: float = None
    p99_us: float = None

    def text(self):
        parts = []
        if self.ratio is not None:
            parts.append(f"{self.ratio:g}×")
        parts += [f"{what} ≤ {value:g} µs" for what, value in
                  (("CPU", self.cpu_us), ("p50", self.p50_us), ("p99", self.p99_us))
                  if value is not None]
        return ", ".join(parts)

    def is_met(self, ratio, figures):
        """Whether a ratio of rates and the figures of Ostler's runs reach it."""
        least = self.ratio is None or (ratio is not None and ratio >= self.ratio)
        most = ((self.cpu_us, figures["cpu_us"]), (self.p50_us, figures["p50_us"]),
                (self.p99_us, figures["p99_us"]))
        return least and all(bound is None or value <= bound for bound, value in most)


@dataclass
class Row:
    """One load, driven against every side in turn."""

    name: str
    workload: str
    options: tuple
    floor: Bound = field(default_factory=Bound)
    aim: Bound = field(default_factory=Bound)


def shape(connections, in_flight, *more):
    return ("-c", connections, "-d", in_flight, *more)


ROWS = (
    Row("get 1×1", "get", shape(1, 1), Bound(p50_us=30), Bound(p50_us=22)),
    Row("get 64×1", "get", shape(64, 1), Bound(2.5, cpu_us=6), Bound(3.5, cpu_us=4.5)),
    Row("get 16×64", "get", shape(16, 64), Bound(12, cpu_us=0.9), Bound(25, cpu_us=0.4)),
    Row("set 1×1", "set", shape(1, 1), Bound(p50_us=80, p99_us=400), Bound(p50_us=60)),
    Row("set 64×1", "set", shape(64, 1), Bound(2, cpu_us=10), Bound(3, cpu_us=7)),
    Row("set 16×64", "set", shape(16, 64), Bound(6, cpu_us=3), Bound(10, cpu_us=1.5)),
    Row("create 16×64", "create", shape(16, 64), Bound(6), Bound(9)),
    Row("multi of 10 creates 16×16", "multi", shape(16, 16, "--multi", "10"), Bound(6), Bound(10)),
    Row("90/10 mix 16×64", "get=90,set=10", shape(16, 64), Bound(8), Bound(15)),
    Row("keeper mix 16×16", "keeper", shape(16, 16)),
    Row("sessions, 20 tracks", "sessions", shape(20, 1)),
    Row("one change, 500 watchers", "watches:500", shape(500, 1)),
)


@dataclass
class Size:
    """How much of everything a mode does."""

    rounds: int
    seconds: float
    warm_up: float
    znodes: int
    sessions: int
    watches: int
    snapshot_seconds: float


SHORT = Size(rounds=2, seconds=2, warm_up=0.5, znodes=200_000, sessions=1_000, watches=100_000,
             snapshot_seconds=0)
FULL = Size(rounds=5, seconds=10, warm_up=3, znodes=1_000_000, sessions=5_000, watches=100_000,
            snapshot_seconds=60)
