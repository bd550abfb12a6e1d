"""What is compared: each row one load, its floor and its aim against Apache ZooKeeper.

A row names what is asked of the harness and how good its figures have to be. Ratios are Ostler's
figure over Apache's in the same round; other bounds are absolute. `why` tells what bounds a row; a
report shows it where the floor is not reached.
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

    def missed(self, ratio, figures):
        """Which of its demands a ratio of rates and the figures of Ostler's runs do not reach."""
        least = [f"{ratio or 0:.2f}× of {self.ratio:g}×"] if self.ratio is not None and (
            ratio is None or ratio < self.ratio) else []
        most = (("CPU", self.cpu_us, figures["cpu_us"]), ("p50", self.p50_us, figures["p50_us"]),
                ("p99", self.p99_us, figures["p99_us"]))
        return least + [f"{what} {value:.3g} of {bound:g} µs" for what, bound, value in most
                        if bound is not None and value > bound]


@dataclass
class Row:
    """One load, driven against every side in turn."""

    name: str
    workload: str
    options: tuple
    floor: Bound = field(default_factory=Bound)
    aim: Bound = field(default_factory=Bound)
    why: str = ""
    # The same for etcd, as its driver understands it; None where it has no such thing.
    etcd: str = None
    # The side that ratios are taken against, and the one they are taken of.
    base: str = "apache"
    ours: str = "ostler"


def shape(connections, in_flight, *more):
    return ("-c", connections, "-d", in_flight, *more)


SOCKETS = ("one request at a time pays for a wake-up, a receive and a send of its own, in the "
           "system and on both sides of the socket")
DISK = "a write waits for one sync of the disk; see its latency above"
SHARED = ("two cores carry the harness, the server and whoever else is here; a server that needs "
          "less than the harness is bound by the harness")
TRIO = "three servers and the harness share two cores, and every write is synced three times"

ROWS = (
    Row("get 1×1", "get", shape(1, 1), Bound(p50_us=30), Bound(p50_us=22), SOCKETS, "get"),
    Row("get 64×1", "get", shape(64, 1), Bound(2.5, cpu_us=6), Bound(3.5, cpu_us=4.5), SOCKETS,
        "get"),
    Row("get 16×64", "get", shape(16, 64), Bound(12, cpu_us=0.9), Bound(25, cpu_us=0.4), SHARED,
        "get"),
    Row("set 1×1", "set", shape(1, 1), Bound(p50_us=80, p99_us=400), Bound(p50_us=60), DISK, "set"),
    Row("set 64×1", "set", shape(64, 1), Bound(2, cpu_us=10), Bound(3, cpu_us=7), DISK, "set"),
    Row("set 16×64", "set", shape(16, 64), Bound(6, cpu_us=3), Bound(10, cpu_us=1.5), SHARED,
        "set"),
    Row("create 16×64", "create", shape(16, 64), Bound(6), Bound(9), SHARED, "create"),
    Row("multi of 10 creates 16×16", "multi", shape(16, 16, "--multi", "10"), Bound(6), Bound(10),
        SHARED, "multi"),
    Row("90/10 mix 16×64", "get=90,set=10", shape(16, 64), Bound(8), Bound(15), SHARED,
        "get=90,set=10"),
    Row("keeper mix 16×16", "keeper", shape(16, 16)),
    Row("sessions, 20 tracks", "sessions", shape(20, 1)),
    Row("one change, 500 watchers", "watches:500", shape(500, 1)),
)
TRIO_ROWS = (
    Row("trio: set 24×64", "set", shape(24, 64), Bound(5), Bound(8), TRIO, "set"),
    Row("trio: set 96×1", "set", shape(96, 1), Bound(3), Bound(4.5), TRIO, "set"),
    Row("trio: set 1×1", "set", shape(1, 1), Bound(p50_us=180), Bound(p50_us=120), TRIO, "set"),
    Row("trio: get 24×64", "get", shape(24, 64), Bound(7), Bound(10), TRIO, "get"),
    Row("trio: 90/10 mix 24×64", "get=90,set=10", shape(24, 64), Bound(7), Bound(10), TRIO,
        "get=90,set=10"),
    Row("trio: linearizable get 24×64, of a local one", "get", shape(24, 64), Bound(0.8),
        Bound(0.9), "a question to the leader and its answer wake threads of two servers; what came "
        "to a server while the question before was under way shares them",
        base="ostler, native", ours="ostler, linearizable"),
)


@dataclass
class Fact:
    """The bounds of a figure that is measured once or a few times: at most, or at least."""

    floor: float
    aim: float
    more_is_better: bool = False
    why: str = ""

    def verdict(self, value):
        """How far a figure got."""
        reached = [bound for bound in ("aim", "floor")
                   if (value >= getattr(self, bound)) == self.more_is_better
                   or value == getattr(self, bound)]
        return reached[0] if reached else "below"


EMPTY = "empty server, resident"
BINARY = "binary"
IDLE = "idle session with its connection"
WATCH = "memory for each watch"
LAST_TOLD = "100 k watches on 100 connections: until the last is told, p50"
BYSTANDER = "100 k watches on 100 connections: a bystander meanwhile, max"
SETTING = "100 k watches set in one go: a bystander meanwhile, max"
WRITTEN = "written for each byte of data, sets of 100 B"
FILLED = "1 M znodes of 100 B: resident"
STARTED = "1 M znodes of 100 B: start until it serves"
LARGE = "10 M znodes of 46 B, paths of 115 B: resident"
DIP = "sets under continuous snapshots: worst half second against the mean"
KILLED = "leader killed: first good write, p95"
HUNG = "leader stopped: first good write, p95"
BACK = "10 k sessions lose their server: until the last is back"
EXPIRED = "10 k sessions lose their server: expired, of a timeout of 4 s"
FACTS = {
    EMPTY: Fact(12, 8, why="code and tables of the process itself; nothing grows with use"),
    BINARY: Fact(25, 15, why="line numbers for traces of panics are half of it"),
    IDLE: Fact(3, 1.5, why="the connection's task and its entry among the sessions"),
    WATCH: Fact(64, 40, why="the table takes some 13 B of it where paths are shared; the rest is memory that "
                            "the requests which set them took and the allocator keeps"),
    LAST_TOLD: Fact(400, 250, why=SHARED),
    BYSTANDER: Fact(20, 20, why="a bystander shares two cores with 100 k events and those who "
                                "read them"),
    WRITTEN: Fact(3, 2, why="a set of 100 bytes is a record of 240; the rest is snapshots, and zeros that "
                            "batches below 32 KiB find in a new file"),
    FILLED: Fact(270, 200, why="a slot, a name, data and a place in the index for each"),
    STARTED: Fact(2, 1, why="there is no snapshot yet, so a million records of the log are applied: some "
                            "0.9 s on a calm machine; the rest is waiting for a core"),
    LARGE: Fact(3000, 2000, why="a slot, a name, data and a place in the index for each"),
    DIP: Fact(75, 90, True, "the snapshot's slices and the disk they go to are shared with the "
                            "log"),
    KILLED: Fact(300, 150, why="followers wait for the leader's silence before they elect"),
    HUNG: Fact(1500, 1000, why="a leader that hangs is told from a slow one by its silence alone"),
    BACK: Fact(3, 1.5, why=SHARED),
    EXPIRED: Fact(0, 0, why="the session's time went on while nobody could serve it"),
}
# Of the floors, those that have nothing to be measured by yet.
UNMEASURED = {
    "planned leader move: write gap, clients dropped": "there is no command that moves a leader",
    "metrics, audit and slow log all on: loss": "metrics are always on; there is neither audit nor "
                                                "slow log yet",
}


@dataclass
class Size:
    """How much of everything a mode does."""

    rounds: int
    seconds: float
    warm_up: float
    sessions: int
    snapshot_seconds: float
    kills: int
    hangs: int
    is_large: bool
    znodes: int = 1_000_000
    watches: int = 100_000
    large_znodes: int = 10_000_000
    returning: int = 10_000


SHORT = Size(rounds=2, seconds=1.4, warm_up=0.3, sessions=2_000, snapshot_seconds=5, kills=3,
             hangs=2, is_large=False)
FULL = Size(rounds=3, seconds=5, warm_up=1.5, sessions=5_000, snapshot_seconds=30, kills=50,
            hangs=10, is_large=True)
