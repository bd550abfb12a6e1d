"""Systematic rounds about operations that belong together: multi, quotas, sessions, /zookeeper.

What lives here also is the `scrap` round: requests whose answers differ on purpose. They come last
in their round and stay under a node of their own, so that nothing else is led astray.
"""

import encode as e
import words
from script import Request, Word
from sweep_bytes import alive
from world import SUPER

EXPIRY_SECONDS = 20.0

def multi(game, conn):
    """Every kind of part, failing at every position with every error."""
    root = game.root
    yield from game.batch(conn, [
        Request(e.CREATE, e.create(root + b"/m", b"0")),
        Request(e.CREATE, e.create(root + b"/e", flags=1)),
        Request(e.CREATE, e.create(root + b"/m/k"))])
    good = [(e.CREATE, e.create(root + b"/m/s", b"1", flags=2)),
            (e.CREATE2, e.create(root + b"/m/t", None, flags=3)),
            (e.CREATE_CONTAINER, e.create(root + b"/m/c", b"", flags=4)),
            (e.CREATE_TTL, e.create_ttl(root + b"/m/l", b"2")),
            (e.SET_DATA, e.set_data(root + b"/m", b"3")), (e.CHECK, e.path_int(root + b"/m", -1)),
            (e.DELETE, e.path_int(root + b"/m/c", -1)), (e.DELETE, e.path_int(root + b"/m/l", 0))]
    bad = [(e.CREATE, e.create(root + b"/m")), (e.CREATE, e.create(root + b"/no/x")),
           (e.CREATE, e.create(root + b"/e/x")), (e.CREATE, e.create(root + b"/x/..")),
           (e.CREATE2, e.create(root + b"/y", acl=[])),
           (e.CREATE2, e.create(root + b"/y", flags=9)),
           (e.CREATE_TTL, e.create_ttl(root + b"/y", ttl=0)), (e.DELETE, e.path_int(root, -1)),
           (e.DELETE, e.path_int(root + b"/no", -1)), (e.DELETE, e.path_int(b"/", -1)),
           (e.SET_DATA, e.set_data(root + b"/m", b"", 99)), (e.CHECK, e.path_int(root + b"/m", 99)),
           (e.SET_DATA, e.set_data(b"/zookeeper/config", b"")),
           (e.CHECK, e.path_int(root + b"/no", -1)), (e.CREATE, e.create(b"abc")),
           (e.CHECK, e.path_int(b"abc", -1)), (e.SET_DATA, e.set_data(b"", b""))]
    for length in range(len(good) + 1):
        yield from game.batch(conn, [Request(e.MULTI, e.multi(good[:length]))])
        yield from game.batch(conn, [Request(e.DELETE, e.path_int(root + b"/m/" + name, -1))
                                     for name in (b"c", b"l")])
    for part in bad:
        for place in range(len(good) + 1):
            yield from game.batch(conn, [Request(
                e.MULTI, e.multi([*good[:place], part, *good[place:]]))])
    yield from game.batch(conn, [
        Request(e.GET_CHILDREN2, e.path_watch(root + b"/m")),
        Request(e.MULTI, e.multi([(e.CREATE, e.create(root + b"/n")),
                                  (e.CREATE, e.create(root + b"/n/k")),
                                  (e.SET_DATA, e.set_data(root + b"/n", b"1", 0)),
                                  (e.CHECK, e.path_int(root + b"/n", 1)),
                                  (e.DELETE, e.path_int(root + b"/n/k", -1)),
                                  (e.DELETE, e.path_int(root + b"/n", 1)),
                                  (e.CREATE, e.create(root + b"/n", b"again"))])),
        Request(e.MULTI, e.multi([(e.CREATE, e.create(root + b"/w%d" % n)) for n in range(500)])),
        Request(e.GET_CHILDREN2, e.path_watch(root))])


def multi_forms(game, conn):
    """Parts that are not allowed, mixtures, headers that lie, ends that are missing."""
    root = game.root
    parts = {e.CREATE: e.create(root + b"/f", flags=2), e.DELETE: e.path_int(root + b"/no", -1),
             e.SET_DATA: e.set_data(root, b"x"), e.CHECK: e.path_int(root, -1),
             e.GET_DATA: e.path_watch(root), e.GET_CHILDREN: e.path_watch(root)}
    others = {e.EXISTS: e.path_watch(root), e.GET_ACL: e.path_only(root),
              e.SET_ACL: e.set_acl(root, e.OPEN), e.SYNC: e.path_only(root),
              e.GET_CHILDREN2: e.path_watch(root), e.MULTI: e.multi([]), e.PING: b"",
              e.CLOSE_SESSION: b"", e.CREATE_SESSION: e.integer(30000), 999: b"", 0: b"", -1: b"",
              e.ERROR - 1: b"", e.AUTH: e.auth("digest", b"ann:one"), e.WHO_AM_I: b"",
              e.ADD_WATCH: e.path_int(root, 0), e.DELETE_CONTAINER: e.path_only(root + b"/no")}
    requests = []
    for op in (e.MULTI, e.MULTI_READ):
        for kind, body in {**parts, **others}.items():
            requests += [Request(op, e.multi([(kind, body)])),
                         Request(op, e.multi([(e.CHECK, parts[e.CHECK]), (kind, body)])),
                         Request(op, e.multi([(e.GET_DATA, parts[e.GET_DATA]), (kind, body)])),
                         Request(op, e.multi([(kind, body)], end=False))]
        for header in ((-1, 1, 0), (0, 1, -1), (5, 1, -1), (-1, 0, -1), (-1, 2, -1)):
            end = e.integer(header[0]) + e.boolean(header[1]) + e.integer(header[2])
            requests += [Request(op, end), Request(op, end + b"more"),
                         Request(op, e.multi([], end=False))]
        for done, error in ((2, -1), (0, 0), (0, 5)):
            head = e.integer(e.CHECK) + e.boolean(done) + e.integer(error)
            requests.append(Request(op, head + parts[e.CHECK] + e.multi([])))
    for request in requests:
        conn = yield from alive(game, conn)
        yield from game.batch(conn, [request])


def multi_read(game, conn):
    """Reads together: each fails alone, watches are not set."""
    root = game.root
    unreadable = [(e.WRITE, "world", "anyone")]
    yield from game.batch(conn, [Request(e.CREATE, e.create(root + b"/r", None)),
                                 Request(e.CREATE, e.create(root + b"/x", b"", unreadable))])
    kinds = [(op, e.path_watch(path, watch)) for op in (e.GET_DATA, e.GET_CHILDREN)
             for path in (root, root + b"/r", root + b"/no", root + b"/x", b"/", b"abc", b"",
                          b"/zookeeper/config") for watch in (False, True)]
    yield from game.batch(conn, [Request(e.MULTI_READ, e.multi([kind])) for kind in kinds])
    yield from game.batch(conn, [Request(e.MULTI_READ, e.multi(kinds)),
                                 Request(e.MULTI_READ, e.multi(kinds * 10)),
                                 Request(e.SET_DATA, e.set_data(root + b"/r", b"fires nothing")),
                                 Request(e.CHECK_WATCHES, e.path_int(root + b"/r", 3))])


def sessions(game, conn):
    """Ephemerals and the end of their session; connections that take over; requests in between."""
    root = game.root
    for count in (0, 1, 2, 5):
        other = yield from game.connect()
        yield from game.batch(other, [
            Request(e.CREATE, e.create(root + b"/e%d-%d" % (count, n), b"x", flags=1))
            for n in range(count)])
        yield from game.batch(other, [Request(e.GET_EPHEMERALS, e.path_only(prefix)) for prefix in (
            b"/", b"", None, root, root + b"/e", root + b"/no", b" / ", b"  ")])
        yield from game.batch(conn, [
            Request(e.ADD_WATCH, e.path_int(root, 0)), Request(e.ADD_WATCH, e.path_int(root, 1)),
            Request(e.GET_EPHEMERALS, e.path_only(b"/")),
            *(Request(e.EXISTS, e.path_watch(root + b"/e%d-%d" % (count, n), True))
              for n in range(count)),
            Request(e.GET_CHILDREN2, e.path_watch(root, True))])
        yield from game.close_session(other)
        yield from game.batch(conn, [Request(e.GET_CHILDREN2, e.path_watch(root))])
    other = yield from game.connect()
    yield from game.batch(other, [Request(e.CREATE, e.create(root + b"/mine", b"", flags=1)),
                                  Request(e.GET_DATA, e.path_watch(root + b"/mine", True))])
    taken = yield from game.connect(session_of=other)
    yield from game.batch(taken, [Request(e.SET_DATA, e.set_data(root + b"/mine", b"no watch")),
                                  Request(e.GET_EPHEMERALS, e.path_only(b"/")),
                                  Request(e.DELETE, e.path_int(root + b"/mine", -1)),
                                  Request(e.GET_EPHEMERALS, e.path_only(b"/"))])
    yield from game.drop(taken)
    back = yield from game.connect(session_of=other, timeout_ms=31000)
    yield from game.auth(back, b"digest", b"ann:one")
    again = yield from game.connect(session_of=other, timeout_ms=10**6)
    yield from game.batch(again, [Request(e.WHO_AM_I)])
    yield from game.close_session(other)
    yield from game.connect(session_of=other)
    yield from game.connect(session_of=other, password=b"y" * 16)


def expiry(game, conn):
    """Sessions whose client is gone: their ephemerals go with an event, then they are unknown."""
    root = game.root
    yield from game.batch(conn, [Request(e.GET_CHILDREN, e.path_watch(root, True)),
                                 Request(e.ADD_WATCH, e.path_int(root, 1))])
    lost = yield from game.connect(timeout_ms=1)
    yield from game.batch(lost, [
        Request(e.CREATE, e.create(root + b"/e%d" % number, flags=1)) for number in range(3)])
    yield from game.batch(conn, [Request(e.GET_CHILDREN, e.path_watch(root, True))])
    yield from game.drop(lost)
    yield from game.wait(conn, 4, EXPIRY_SECONDS)
    # One after the other: which of two sessions goes first is for each server to say.
    bare = yield from game.connect(timeout_ms=1)
    yield from game.drop(bare)
    # It has nothing to show: its end is one zxid more after twice its timeout and a tick.
    yield from game.wait(conn, 1, 5.0)
    yield from game.batch(conn, [Request(e.GET_CHILDREN2, e.path_watch(root))])
    for gone in (lost, bare):
        yield from game.reconnect(gone)


def zookeeper_tree(game, conn):
    """What is under /zookeeper, the config node, reconfig, and the root itself."""
    known = [b"/", b"/zookeeper", b"/zookeeper/config", b"/zookeeper/quota"]
    chief = yield from game.connect()
    yield from game.auth(chief, b"digest", SUPER)
    for asker in (conn, chief):
        for path in known:
            yield from game.batch(asker, [
                Request(e.EXISTS, e.path_watch(path)), Request(e.GET_DATA, e.path_watch(path)),
                Request(e.GET_ACL, e.path_only(path)), Request(e.GET_CHILDREN2, e.path_watch(path)),
                Request(e.GET_ALL_CHILDREN_NUMBER, e.path_only(path)),
                Request(e.DELETE, e.path_int(path, -1)), Request(e.CREATE, e.create(path)),
                Request(e.DELETE, e.path_int(path + b"/none", -1))])
        yield from game.batch(asker, [
            Request(e.RECONFIG, e.reconfig(*fields)) for fields in (
                (None, None, None, -1), ("server.2=a:1:2;3", None, None, -1),
                (None, "1", None, 0), (None, None, "server.1=a:1:2;3", 5), ("", "", "", -2**63))])
    yield from game.batch(conn, [
        Request(e.SET_DATA, e.set_data(b"/zookeeper/config", b"x")),
        Request(e.SET_DATA, e.set_data(b"/", b"root data")),
        Request(e.GET_DATA, e.path_watch(b"/")),
        Request(e.SET_DATA, e.set_data(b"/", b"")),
        Request(e.SET_DATA, e.set_data(b"/zookeeper", b"")),
        Request(e.SET_DATA, e.set_data(b"/zookeeper/quota", None)),
        Request(e.GET_DATA, e.path_watch(b"/zookeeper/quota"))])
    yield from game.one(conn, Request(e.SET_ACL, e.set_acl(b"/zookeeper/config", e.OPEN)))
    yield from game.one(conn, Request(e.SET_ACL, e.set_acl(b"/", e.OPEN)))
    yield from game.batch(conn, [Request(e.CREATE, e.create(b"/zookeeper" + game.root)),
                                 Request(e.GET_CHILDREN2, e.path_watch(b"/zookeeper")),
                                 Request(e.DELETE, e.path_int(b"/zookeeper" + game.root, -1))])


def four_letter_words(game, conn):
    """Every word, while there are sessions, ephemerals and watches to tell of."""
    yield from game.batch(conn, [
        Request(e.CREATE, e.create(game.root + b"/e", flags=1)),
        Request(e.EXISTS, e.path_watch(game.root, True)),
        Request(e.GET_CHILDREN, e.path_watch(game.root, True)),
        Request(e.ADD_WATCH, e.path_int(game.root, 1))])
    idle = yield from game.connect()
    yield from game.batch(idle, [Request(e.WHO_AM_I)])
    for word in (*words.WORDS, *words.WITH_ARGUMENT, *words.NO_WORDS):
        yield Word(word)


def scrap(game, conn):
    """The deliberate differences of explained.md; all nodes under one that nobody else uses.

    Op 20 is asked only where the reference does nothing either, so that the trees stay alike, and
    createTTL with another mode only with a ttl that does not end the reference's process for good;
    what Ostler does with the rest is checked on Ostler alone (alone.py).
    """
    top = game.root + b"/scrap"
    yield from game.batch(conn, [Request(e.CREATE, e.create(top)),
                                 Request(e.CREATE, e.create(top + b"/full")),
                                 Request(e.CREATE, e.create(top + b"/full/kid"))])
    for number, flag in enumerate((0, 1, 2, 3, 4)):
        for ttl in (0, 1000, 1 << 41):
            path = top + b"/t%d-%d" % (number, ttl)
            yield from game.one(conn, Request(
                e.CREATE_TTL, e.create_ttl(path, b"", e.OPEN, flag, ttl)))
    for path in (top + b"/full", top + b"/none", b"/", b"", None):
        yield from game.one(conn, Request(e.DELETE_CONTAINER, e.path_only(path), alone=True,
                                          free="delete-container-refused"))
        conn = yield from alive(game, conn)
    other = yield from game.connect()
    yield from game.one(other, Request(e.CREATE_SESSION, e.integer(60000), alone=True,
                                       free="create-session-refused"))
