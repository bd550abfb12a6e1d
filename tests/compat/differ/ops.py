"""Random requests: one function per operation, drawing its fields from the round's World.

What lives here: the mix of operations and what each is asked with. What does not: how requests
are grouped and on which connection they go (rounds.py), the systematic tours (sweeps.py).
"""

import encode as e
from decode import Reader, Undecodable
from script import Request
from world import INT_MAX, INT_MIN, LONG_MAX, LONG_MIN

TTLS = (0, -1, 1, 1000, 10**9, (1 << 40) - 1, 1 << 40, (1 << 40) + 1, LONG_MAX, LONG_MIN)
LONG_TTLS = (10**7, 10**9, (1 << 40) - 1)
WATCH_TYPES = (1, 2, 3, 4, 5)


def create(world, op=e.CREATE):
    path = world.odd_path() if world.rng.random() < 0.06 else world.child()
    body = e.create(path, world.data(), world.acl(), world.flags())
    return Request(op, body, target=path)


def create2(world):
    return create(world, e.CREATE2)


def create_container(world):
    path = world.child()
    flags = 4 if world.rng.random() < 0.8 else world.flags()
    body = e.create(path, world.data(), world.acl(), flags)
    return Request(e.CREATE_CONTAINER, body, target=path)


def create_ttl(world):
    """TTL modes with any ttl; other modes with a ttl are a deliberate difference (rounds.scrap)."""
    path = world.child()
    rng = world.rng
    ttl = rng.choice(LONG_TTLS if rng.random() < 0.7 else TTLS[:2] + TTLS[4:])
    body = e.create_ttl(path, world.data(), world.acl(), rng.choice((5, 5, 6, 7, -1)), ttl)
    return Request(e.CREATE_TTL, body, target=path)


def delete(world):
    path = world.path()
    return Request(e.DELETE, e.path_int(path, world.version(path)), target=path)


def set_data(world):
    path = world.path()
    if path == b"/zookeeper/config":
        # A super user could change it for good, and no later round could undo that.
        path = world.root
    return Request(e.SET_DATA, e.set_data(path, world.data(), world.version(path)), target=path)


def set_acl(world):
    path = world.path()
    if path is not None and not path.startswith(world.root):
        # The root and /zookeeper stay open: other rounds need them.
        path = world.existing()
    return Request(e.SET_ACL, e.set_acl(path, world.acl(), world.version(path, "aversion")),
                   target=path)


def read(op):
    def make(world):
        watch = world.rng.random() < 0.4
        return Request(op, e.path_watch(world.path(), watch))
    return make


def on_path(op):
    return lambda world: Request(op, e.path_only(world.path()))


def get_ephemerals(world):
    draw = world.rng.random()
    prefix = b"/" if draw < 0.3 else world.path()
    if 0.3 < draw < 0.4:
        prefix = world.root[:-1]
    return Request(e.GET_EPHEMERALS, e.path_only(prefix))


def sync(world):
    return Request(e.SYNC, e.path_only(world.path()))


def who_am_i(_world):
    return Request(e.WHO_AM_I)


def ping(world):
    return Request(e.PING, b"" if world.rng.random() < 0.9 else b"xyz")


def watch_type(world):
    draw = world.rng.random()
    return world.rng.choice(WATCH_TYPES) if draw < 0.9 else world.rng.choice(
        (0, 6, -1, INT_MIN, INT_MAX))


def on_watches(op):
    return lambda world: Request(op, e.path_int(world.path(), watch_type(world)))


def add_watch(world):
    draw = world.rng.random()
    mode = world.rng.choice((0, 1)) if draw < 0.92 else world.rng.choice((2, -1, INT_MAX))
    return Request(e.ADD_WATCH, e.path_int(world.path(), mode))


def set_watches(op, count):
    def make(world):
        rng = world.rng
        lists = [[world.existing() if rng.random() < 0.7 else world.child()
                  for _ in range(rng.randrange(0, 4))] for _ in range(count)]
        if rng.random() < 0.05:
            lists[rng.randrange(count)] = None
        if rng.random() < 0.15:
            zxid = rng.choice((0, -1, LONG_MAX, LONG_MIN, 1))
            return Request(op, e.set_watches(zxid, *lists), xid=-8)
        return Request(op, e.set_watches(0, *lists), zxid=rng.randrange(-3, 400), xid=-8)
    return make


def reconfig(world):
    text = world.rng.choice((None, b"", b"server.2=127.0.0.1:1:2;3", b"1"))
    return Request(e.RECONFIG, e.reconfig(text, None, text, world.rng.choice((-1, 0, 5))))


def sub_operation(world):
    """One part of a multi and what the model has to know of it."""
    rng = world.rng
    kind = rng.choice((e.CREATE, e.CREATE, e.CREATE2, e.CREATE_CONTAINER, e.CREATE_TTL, e.DELETE,
                       e.SET_DATA, e.SET_DATA, e.CHECK))
    path = world.child() if kind in (e.CREATE, e.CREATE2, e.CREATE_CONTAINER, e.CREATE_TTL) \
        else world.existing() if rng.random() < 0.8 else world.child()
    if rng.random() < 0.03:
        path = world.existing() + b"/a/.."
    flags = world.flags() if kind in (e.CREATE, e.CREATE2) else 4
    # A null id makes the reference stop half-way in a multi and keep what it had begun.
    acl = [entry for entry in world.acl() or [] if entry[2] is not None]
    if kind == e.CREATE_TTL:
        body = e.create_ttl(path, world.data(), acl, 5, 10**9)
    elif kind in (e.CREATE, e.CREATE2, e.CREATE_CONTAINER):
        body = e.create(path, world.data(), acl, flags)
    elif kind == e.SET_DATA:
        body = e.set_data(path, world.data(), world.version(path))
    else:
        body = e.path_int(path, world.version(path))
    return (kind, body), (kind, path, flags)


def multi(world):
    parts = [sub_operation(world) for _ in range(world.rng.choice((0, 1, 1, 2, 2, 3, 4, 6)))]
    body = e.multi([part for part, _ in parts])
    return Request(e.MULTI, body, target=[known for _, known in parts])


def multi_read(world):
    rng = world.rng
    parts = [(rng.choice((e.GET_DATA, e.GET_CHILDREN)),
              e.path_watch(world.path(), rng.random() < 0.3))
             for _ in range(rng.choice((0, 1, 2, 3, 5)))]
    return Request(e.MULTI_READ, e.multi(parts))


def malformed(world):
    """A valid request cut short, lengthened, or with four bytes of it overwritten."""
    rng = world.rng
    request = pick(world)
    body = request.body
    draw = rng.random()
    if not body or draw < 0.2:
        body += rng.randbytes(rng.randrange(1, 9))
    elif draw < 0.6:
        body = body[:rng.randrange(len(body))]
    else:
        # Lengths and counts are small, so a wild word is seldom taken for a right one.
        at = rng.randrange(max(1, len(body) - 3))
        if request.op in (e.SET_WATCHES, e.SET_WATCHES2):
            # The zxid has to stay one that means the same on both sides.
            at = max(at, e.ZXID_BYTES)
        word = rng.choice((-1, -2, INT_MIN, INT_MAX, 1 << 24, 0, 1))
        body = body[:at] + e.integer(word) + body[at + 4:]
    if not _contained(world, request.op, body):
        return request
    return Request(request.op, body, target=_first_path(body))


def _contained(world, op, body):
    """False for what must not be sent by chance: a write that outlives the round, or one whose
    fields could wander into a deliberate difference."""
    if op in (e.MULTI, e.CREATE_TTL):
        return False
    path = _first_path(body)
    return op not in _WRITES or path is None or path == world.root or path.startswith(
        world.root + b"/")


def _first_path(body):
    try:
        return Reader(body, None).buffer()
    except Undecodable:
        return None


_WRITES = (e.CREATE, e.CREATE2, e.CREATE_CONTAINER, e.DELETE, e.SET_DATA, e.SET_ACL)
def unsettled(request):
    """True when nothing may be pipelined behind `request`.

    The reference judges what follows by its notes on writes in flight, which for these say
    something else than the tree says a moment later; which of the two holds is a matter of luck.
    """
    if request.op == e.CREATE_CONTAINER:
        return request.body[-4:] in (e.integer(1), e.integer(3))
    return request.op == e.SET_ACL


MIX = (
    (16, create), (10, create2), (4, create_container), (4, create_ttl), (10, delete),
    (12, set_data), (5, set_acl), (8, read(e.EXISTS)), (10, read(e.GET_DATA)),
    (5, read(e.GET_CHILDREN)), (7, read(e.GET_CHILDREN2)), (4, on_path(e.GET_ACL)),
    (3, on_path(e.GET_ALL_CHILDREN_NUMBER)), (3, get_ephemerals), (3, sync), (2, who_am_i),
    (2, ping), (3, on_watches(e.CHECK_WATCHES)), (3, on_watches(e.REMOVE_WATCHES)),
    (5, add_watch), (2, set_watches(e.SET_WATCHES, 3)), (3, set_watches(e.SET_WATCHES2, 5)),
    (1, reconfig), (10, multi), (5, multi_read),
)
_WEIGHTS = [weight for weight, _ in MIX]
_MAKERS = [maker for _, maker in MIX]


def pick(world):
    """A random well-formed request (its content may well be refused)."""
    return world.rng.choices(_MAKERS, _WEIGHTS)[0](world)


def random_request(world):
    return malformed(world) if world.rng.random() < 0.04 else pick(world)
