"""Systematic rounds about watches: every kind, every change, every way to ask and to remove.

What lives here: which event reaches whom, in which order, with which zxid. The comparing is done
by the runner on every step.
"""

import encode as e
from script import Request
from world import ANN, INT_MAX, INT_MIN

# How to set a watch on a path; the two last ones go by setWatches at a zxid that misses nothing.
SETTERS = {
    "exists": lambda path: Request(e.EXISTS, e.path_watch(path, True)),
    "getData": lambda path: Request(e.GET_DATA, e.path_watch(path, True)),
    "getChildren": lambda path: Request(e.GET_CHILDREN, e.path_watch(path, True)),
    "getChildren2": lambda path: Request(e.GET_CHILDREN2, e.path_watch(path, True)),
    "persistent": lambda path: Request(e.ADD_WATCH, e.path_int(path, 0)),
    "recursive": lambda path: Request(e.ADD_WATCH, e.path_int(path, 1)),
    "setWatches": lambda path: Request(
        e.SET_WATCHES, e.set_watches(INT_MAX << 30, [path], [], [path]), xid=-8),
    "setWatches2": lambda path: Request(
        e.SET_WATCHES2, e.set_watches(INT_MAX << 30, [path], [], [], [path], [path]), xid=-8),
}


def changes(path):
    """Everything that may happen to `path`, a missing node, and below it, as batches."""
    kid = path + b"/kid"
    return [
        [Request(e.CREATE, e.create(path))], [Request(e.SET_DATA, e.set_data(path, b"1"))],
        [Request(e.SET_ACL, e.set_acl(path, e.OPEN))], [Request(e.CREATE, e.create(kid))],
        [Request(e.SET_DATA, e.set_data(kid, b"1"))], [Request(e.CREATE, e.create(kid + b"/low"))],
        [Request(e.DELETE, e.path_int(kid + b"/low", -1))],
        [Request(e.MULTI, e.multi([(e.SET_DATA, e.set_data(path, b"2")),
                                   (e.CREATE, e.create(path + b"/m")),
                                   (e.SET_DATA, e.set_data(path + b"/m", b"3")),
                                   (e.DELETE, e.path_int(path + b"/m", -1))]))],
        [Request(e.MULTI, e.multi([(e.SET_DATA, e.set_data(path, b"no")),
                                   (e.DELETE, e.path_int(path + b"/none", -1))]))],
        [Request(e.CREATE, e.create(path, b"exists"))], [Request(e.DELETE, e.path_int(kid, -1))],
        [Request(e.DELETE, e.path_int(path, -1))],
        [Request(e.CREATE, e.create(path, flags=1))],
        [Request(e.DELETE, e.path_int(path, -1))],
    ]


def matrix(game, conn):
    """Each kind of watch on a node, its parent and the round's root, through every change."""
    for number, setter in enumerate(SETTERS.values()):
        watcher = yield from game.connect()
        parent = game.root + b"/w%d" % number
        path = parent + b"/n"
        yield from game.batch(conn, [Request(e.CREATE, e.create(parent))])
        for place, batch in enumerate(changes(path)):
            # Again before each change: the one-shot kinds may have fired.
            yield from game.batch(watcher, [setter(path), setter(parent)])
            changer = watcher if place % 3 == 2 else conn
            yield from game.batch(changer, batch)
        yield from game.batch(watcher, [setter(game.root), setter(parent)])
        yield from game.batch(conn, [Request(e.DELETE, e.path_int(parent, -1))])
        yield from game.close_session(watcher)


def pairs(game, conn):
    """Two kinds of watch on one path by one connection: one event each change."""
    names = list(SETTERS)
    for one in range(len(names)):
        for other in range(one, len(names)):
            watcher = yield from game.connect()
            path = game.root + b"/p%d-%d" % (one, other)
            yield from game.batch(conn, [Request(e.CREATE, e.create(path))])
            yield from game.batch(watcher, [SETTERS[names[one]](path), SETTERS[names[other]](path)])
            yield from game.batch(conn, [
                Request(e.SET_DATA, e.set_data(path, b"1")),
                Request(e.CREATE, e.create(path + b"/k")),
                Request(e.SET_DATA, e.set_data(path + b"/k", b"2")),
                Request(e.DELETE, e.path_int(path + b"/k", -1)),
                Request(e.DELETE, e.path_int(path, -1)), Request(e.CREATE, e.create(path))])
            yield from game.close_session(watcher)


def removal(game, conn):
    """check and remove by every type, for every kind of watch, valid and not."""
    types = (1, 2, 3, 4, 5, 0, 6, -1, INT_MIN, INT_MAX)
    number = 0
    for setter in SETTERS.values():
        for kind in types:
            number += 1
            path = game.root + b"/r%d" % number
            yield from game.batch(conn, [
                Request(e.CREATE, e.create(path)), setter(path),
                *(Request(e.CHECK_WATCHES, e.path_int(path, each)) for each in types),
                Request(e.REMOVE_WATCHES, e.path_int(path, kind)),
                *(Request(e.CHECK_WATCHES, e.path_int(path, each)) for each in types),
                Request(e.REMOVE_WATCHES, e.path_int(path, kind)),
                Request(e.SET_DATA, e.set_data(path, b"x")),
                Request(e.CREATE, e.create(path + b"/k")),
                Request(e.DELETE, e.path_int(path + b"/k", -1)),
                Request(e.DELETE, e.path_int(path, -1))])
    # Everything on one path, taken away one by one; and a missing path.
    path = game.root + b"/all"
    yield from game.batch(conn, [Request(e.CREATE, e.create(path)),
                                 *(setter(path) for setter in SETTERS.values())])
    for kind in (5, 4, 2, 1, 3):
        yield from game.batch(conn, [
            Request(e.REMOVE_WATCHES, e.path_int(path, kind)),
            *(Request(e.CHECK_WATCHES, e.path_int(path, each)) for each in types)])
    for mode in (-1, 2, 3, INT_MIN, INT_MAX):
        yield from game.batch(conn, [Request(e.ADD_WATCH, e.path_int(path, mode)),
                                     Request(e.ADD_WATCH, e.path_int(None, mode))])


def catching_up(game, conn):
    """setWatches and setWatches2 at every zxid around the changes of three nodes."""
    old, new, gone = (game.root + name for name in (b"/old", b"/new", b"/gone"))
    yield from game.batch(conn, [
        Request(e.CREATE, e.create(old)), Request(e.CREATE, e.create(gone)),
        Request(e.SET_DATA, e.set_data(old, b"1")), Request(e.CREATE, e.create(old + b"/k")),
        Request(e.DELETE, e.path_int(gone, -1)), Request(e.CREATE, e.create(new))])
    lists = ([old, new, gone], [old, new, gone], [old, new, gone], [old, gone], [new, gone])
    for distance in range(-1, 12):
        for op, count in ((e.SET_WATCHES, 3), (e.SET_WATCHES2, 5)):
            watcher = yield from game.connect()
            yield from game.batch(watcher, [Request(
                op, e.set_watches(0, *lists[:count]), zxid=distance, xid=-8)])
            # What was registered, and what only fired.
            yield from game.batch(watcher, [
                Request(e.CHECK_WATCHES, e.path_int(path, kind))
                for path in (old, new, gone) for kind in (1, 2, 4, 5)])
            if distance % 4 == 0:
                yield from game.batch(conn, [
                    Request(e.CREATE, e.create(gone, flags=1)),
                    Request(e.SET_DATA, e.set_data(old, b"x")),
                    Request(e.DELETE, e.path_int(gone, -1))])
            yield from game.close_session(watcher)
    yield from game.batch(conn, [
        Request(op, e.set_watches(zxid, *([[old, old, new]] * count)), xid=-8)
        for op, count in ((e.SET_WATCHES, 3), (e.SET_WATCHES2, 5))
        for zxid in (0, -1, -2**63, 2**63 - 1)])
    for count in range(5):
        nulls = [[] for _ in range(5)]
        nulls[count] = None
        yield from game.batch(conn, [Request(e.SET_WATCHES2, e.set_watches(0, *nulls), xid=-8),
                                     Request(e.SET_WATCHES, e.set_watches(0, *nulls[:3]))])


def filtered(game, conn):
    """Events for a connection that may not read: none, and the one-shot watch is used up."""
    owner = yield from game.connect()
    yield from game.auth(owner, b"digest", b"ann:one")
    secret, shown = [(31, "digest", ANN)], e.OPEN
    for number, setter in enumerate(SETTERS.values()):
        watcher = yield from game.connect()
        parent = game.root + b"/f%d" % number
        path = parent + b"/n"
        yield from game.batch(owner, [Request(e.CREATE, e.create(parent))])
        yield from game.batch(watcher, [setter(path), setter(parent)])
        yield from game.batch(owner, [Request(e.CREATE, e.create(path, b"", secret))])
        for acl in (shown, secret):
            yield from game.one(owner, Request(e.SET_ACL, e.set_acl(path, shown)))
            yield from game.batch(watcher, [setter(path), setter(parent)])
            yield from game.one(owner, Request(e.SET_ACL, e.set_acl(path, acl)))
            yield from game.batch(owner, [Request(e.SET_DATA, e.set_data(path, b"1"))])
            yield from game.batch(owner, [Request(e.CREATE, e.create(path + b"/k", b"", secret))])
            yield from game.batch(owner, [Request(e.DELETE, e.path_int(path + b"/k", -1))])
        yield from game.one(owner, Request(e.SET_ACL, e.set_acl(parent, secret)))
        yield from game.batch(owner, [Request(e.DELETE, e.path_int(path, -1))])
        yield from game.one(owner, Request(e.SET_ACL, e.set_acl(parent, shown)))
        yield from game.batch(owner, [Request(e.CREATE, e.create(path))])
        yield from game.close_session(watcher)
