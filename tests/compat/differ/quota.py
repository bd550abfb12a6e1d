"""Quotas: the nodes that make one, and the systematic round about them.

What lives here: limits of every form, the counters, and what goes over them. Callers: sweeps.py,
and the random rounds, some of which run under a quota.
"""

import encode as e
from script import Request

LIMITS = (b"count=3,bytes=10", b"count=2,bytes=-1=;byteHardLimit=20;countHardLimit=4",
          b"count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3",
          b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2",
          b"count=-1,bytes=5=;byteHardLimit=8;countHardLimit=-1", b"count=1,bytes=1")


def quotas(game, conn):
    """Limits of every form, counters, and what goes over them."""
    for number, limit in enumerate(LIMITS):
        yield from _one_quota(game, conn, game.root + b"/q%d" % number, limit)
    # Nested: only the deepest is looked at.
    outer, inner = game.root + b"/o", game.root + b"/o/i"
    yield from game.batch(conn, [Request(e.CREATE, e.create(outer)),
                                 Request(e.CREATE, e.create(inner))])
    for path, limit in ((outer, LIMITS[2]), (inner, LIMITS[1])):
        yield from limit_node(game, conn, path, limit)
    for number in range(6):
        yield from one_by_one(game, conn, [
            Request(e.CREATE, e.create(outer + b"/x%d" % number, b"1234")),
            Request(e.CREATE, e.create(inner + b"/y%d" % number, b"1234")),
            *_counters(outer), *_counters(inner)])


def _quota_node(path):
    return b"/zookeeper/quota" + path


def limit_node(game, conn, path, limit):
    """Makes the nodes the shell makes for a quota on `path`."""
    parts = path.split(b"/")[1:]
    nodes = [_quota_node(b"/" + b"/".join(parts[:count])) for count in range(1, len(parts) + 1)]
    requests = [Request(e.CREATE, e.create(node, None)) for node in nodes]
    requests.append(Request(e.CREATE, e.create(nodes[-1] + b"/zookeeper_limits", limit)))
    requests.append(Request(
        e.CREATE, e.create(nodes[-1] + b"/zookeeper_stats", b"count=0,bytes=0")))
    yield from game.batch(conn, requests)


def one_by_one(game, conn, requests):
    """Each request in a batch of its own: the reference checks quotas against what it has applied,
    so that behind a write in flight its answer is a matter of luck."""
    for request in requests:
        yield from game.batch(conn, [request])


def _counters(path):
    node = _quota_node(path)
    return [Request(e.GET_DATA, e.path_watch(node + b"/zookeeper_stats", True)),
            Request(e.GET_DATA, e.path_watch(node + b"/zookeeper_limits"))]


def _one_quota(game, conn, path, limit):
    yield from game.batch(conn, [Request(e.CREATE, e.create(path, b"ab")),
                                 Request(e.CREATE, e.create(path + b"/before", b"c"))])
    yield from limit_node(game, conn, path, limit)
    steps = [Request(e.CREATE, e.create(path + b"/a", b"123")),
             Request(e.CREATE2, e.create(path + b"/b", None)),
             Request(e.SET_DATA, e.set_data(path + b"/a", b"1234567")),
             Request(e.SET_DATA, e.set_data(path + b"/a", b"1")),
             Request(e.SET_DATA, e.set_data(path + b"/a", None)),
             Request(e.SET_DATA, e.set_data(path + b"/a", b"x" * 30)),
             Request(e.CREATE, e.create(path + b"/s", b"12", flags=3)),
             Request(e.CREATE, e.create(path + b"/a/deep", b"1")),
             Request(e.MULTI, e.multi([(e.CREATE, e.create(path + b"/m1", b"1")),
                                       (e.CREATE, e.create(path + b"/m2", b"2")),
                                       (e.SET_DATA, e.set_data(path + b"/m1", b"123456789"))])),
             Request(e.DELETE, e.path_int(path + b"/b", -1)),
             Request(e.CREATE_CONTAINER, e.create(path + b"/c", b"1", flags=4)),
             Request(e.CREATE_TTL, e.create_ttl(path + b"/t", b"1")),
             Request(e.DELETE, e.path_int(path + b"/before", -1)),
             Request(e.SET_DATA, e.set_data(path, b"root of it"))]
    for request in steps:
        yield from one_by_one(game, conn, [request, *_counters(path)])
    node = _quota_node(path)
    raised = b"count=100,bytes=1000=;byteHardLimit=1000;countHardLimit=100"
    yield from one_by_one(game, conn, [
        Request(e.SET_DATA, e.set_data(node + b"/zookeeper_limits", raised)),
        Request(e.CREATE, e.create(path + b"/more", b"123456")), *_counters(path),
        Request(e.EXISTS, e.path_watch(node + b"/zookeeper_stats")),
        Request(e.DELETE, e.path_int(node + b"/zookeeper_stats", -1)),
        Request(e.CREATE, e.create(path + b"/uncounted", b"123")), *_counters(path),
        Request(e.DELETE, e.path_int(node + b"/zookeeper_limits", -1)),
        Request(e.CREATE, e.create(path + b"/free", b"x" * 100)), *_counters(path),
        Request(e.CREATE, e.create(node + b"/zookeeper_stats", b"count=7,bytes=7")),
        Request(e.CREATE, e.create(path + b"/free2", b"x")), *_counters(path),
        Request(e.CREATE, e.create(node + b"/zookeeper_limits", limit)), *_counters(path)])
