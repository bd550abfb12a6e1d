"""Systematic rounds about contents: paths, flags, versions, access lists, permissions, sizes.

What lives here: well-formed requests that say every odd thing a field can say.
"""

import encode as e
from rounds import BAD_AUTHS
from script import Request
from sweep_bytes import alive, in_batches
from world import ACL_LISTS, ANN, INT_MAX, INT_MIN, ODD_PATHS, ODD_TAILS, SUPER

FLAGS = (*range(-2, 11), 127, 128, 255, 256, INT_MIN, INT_MAX)
VERSIONS = (-1, 0, 1, 2, 3, -2, INT_MIN, INT_MAX)


def paths(game, conn):
    """Every operation that has a path, with every odd path."""
    root = game.root
    yield from game.one(conn, Request(e.CREATE, e.create(root + b"/a", b"data")))
    odd = [root + tail for tail in ODD_TAILS] + [root + b"/a" + tail for tail in ODD_TAILS]
    for path in (*odd, *ODD_PATHS):
        requests = [Request(op, e.path_watch(path, watch)) for watch in (False, True)
                    for op in (e.EXISTS, e.GET_DATA, e.GET_CHILDREN, e.GET_CHILDREN2)]
        requests += [Request(op, e.path_only(path)) for op in (
            e.GET_ACL, e.SYNC, e.GET_EPHEMERALS, e.GET_ALL_CHILDREN_NUMBER)]
        requests += [Request(e.DELETE, e.path_int(path, -1)),
                     Request(e.SET_DATA, e.set_data(path, b"x")),
                     Request(e.CHECK_WATCHES, e.path_int(path, 3)),
                     Request(e.REMOVE_WATCHES, e.path_int(path, 2)),
                     Request(e.MULTI_READ, e.multi([(e.GET_DATA, e.path_watch(path)),
                                                    (e.GET_CHILDREN, e.path_watch(path))]))]
        requests += _creates_at(path)
        requests += [Request(e.SET_ACL, e.set_acl(path, e.OPEN))]
        conn = yield from in_batches(game, conn, requests)
        conn = yield from in_batches(game, conn, _watches_at(path))


def _creates_at(path):
    """Creates, alone and in a multi; whatever came into being goes again at once."""
    requests = []
    for flags in (0, 1, 2):
        requests += [Request(e.CREATE, e.create(path, b"", flags=flags)),
                     Request(e.DELETE, e.path_int(path, -1)),
                     Request(e.CREATE2, e.create(path, b"", flags=flags)),
                     Request(e.DELETE, e.path_int(path, -1))]
    return requests + [
        Request(e.MULTI, e.multi([(e.CREATE, e.create(path)), (e.CHECK, e.path_int(path, -1)),
                                  (e.SET_DATA, e.set_data(path, b"x")),
                                  (e.DELETE, e.path_int(path, -1))])),
        Request(e.CREATE_CONTAINER, e.create(path, flags=4)),
        Request(e.DELETE, e.path_int(path, -1)),
        Request(e.CREATE_TTL, e.create_ttl(path)), Request(e.DELETE, e.path_int(path, -1))]


def _watches_at(path):
    requests = []
    for mode in (0, 1):
        requests += [Request(e.ADD_WATCH, e.path_int(path, mode)),
                     Request(e.CHECK_WATCHES, e.path_int(path, 4 + mode)),
                     Request(e.REMOVE_WATCHES, e.path_int(path, 4 + mode))]
    lists = [[path]] * 5
    requests += [Request(e.SET_WATCHES, e.set_watches(0, *lists[:3]), xid=-8),
                 Request(e.SET_WATCHES2, e.set_watches(0, *lists), xid=-8),
                 Request(e.REMOVE_WATCHES, e.path_int(path, 3))]
    return requests


def flags(game, conn):
    """Every flag with every kind of create, and the node it made."""
    parent = game.root + b"/f"
    yield from game.one(conn, Request(e.CREATE, e.create(parent)))
    for flag in FLAGS:
        for op in (e.CREATE, e.CREATE2, e.CREATE_CONTAINER):
            path = parent + b"/%d-%d" % (op, flag & 0xffffffff)
            for request in [Request(op, e.create(path, b"x", flags=flag)),
                            Request(e.EXISTS, e.path_watch(path)),
                            Request(op, e.create(path + b"/child", None, flags=flag)),
                            Request(e.GET_CHILDREN2, e.path_watch(path)),
                            Request(op, e.create(path, b"again", flags=flag))]:
                yield from game.batch(conn, [request])
    yield from game.batch(conn, [Request(e.GET_CHILDREN2, e.path_watch(parent)),
                                 Request(e.GET_EPHEMERALS, e.path_only(parent))])


def ttls(game, conn):
    """TTL modes with every ttl, and what kind of node comes of it."""
    parent = game.root + b"/t"
    yield from game.one(conn, Request(e.CREATE, e.create(parent)))
    number = 0
    for flag in (5, 6):
        for ttl in (0, -1, 1 << 20, 10**9, (1 << 40) - 1, 1 << 40, (1 << 40) + 1, 1 << 56,
                    2**63 - 1, -2**63):
            path = parent + b"/%d" % number
            number += 1
            yield from game.batch(conn, [
                Request(e.CREATE_TTL, e.create_ttl(path, b"x", flags=flag, ttl=ttl)),
                Request(e.EXISTS, e.path_watch(path)),
                Request(e.CREATE, e.create(path + b"/child")),
                Request(e.GET_CHILDREN2, e.path_watch(parent))])
    yield from game.batch(conn, [
        Request(op, e.create(parent + b"/x", b"", flags=flag))
        for op in (e.CREATE, e.CREATE2, e.CREATE_CONTAINER) for flag in (5, 6)])


def versions(game, conn):
    """Every version against a node whose versions are 2."""
    node = game.root + b"/v"
    start = [Request(e.CREATE, e.create(node, b"0")),
             *(Request(e.SET_DATA, e.set_data(node, b"%d" % n, n)) for n in range(2))]
    yield from game.batch(conn, start)
    for number in range(2):
        yield from game.one(conn, Request(e.SET_ACL, e.set_acl(node, e.OPEN, number)))
    for version in VERSIONS:
        yield from game.batch(conn, [
            Request(e.SET_DATA, e.set_data(node, b"x", version)),
            Request(e.MULTI, e.multi([(e.CHECK, e.path_int(node, version))])),
            Request(e.GET_DATA, e.path_watch(node))])
        yield from game.one(conn, Request(e.SET_ACL, e.set_acl(node, e.OPEN, version)))
    for version in VERSIONS:
        yield from game.batch(conn, [
            Request(e.DELETE, e.path_int(node, version)), Request(e.EXISTS, e.path_watch(node)),
            Request(e.CREATE, e.create(node))])
    for data in (None, b"", b"\0", b"x" * 1000, None):
        yield from game.batch(conn, [
            Request(e.SET_DATA, e.set_data(node, data)), Request(e.GET_DATA, e.path_watch(node)),
            Request(e.EXISTS, e.path_watch(node))])


def acls(game, conn):
    """Every access list in create and setACL, by connections with different identities."""
    conns = [conn]
    for tokens in ([b"ann:one"], [b"ann:one", b"bob:two"], [SUPER]):
        other = yield from game.connect()
        for token in tokens:
            yield from game.auth(other, b"digest", token)
        conns.append(other)
    for number, acl in enumerate(ACL_LISTS):
        for who, asker in enumerate(conns):
            path = game.root + b"/acl-%d-%d" % (number, who)
            yield from game.batch(asker, [Request(e.CREATE, e.create(path, b"x", acl))])
            yield from game.batch(asker, [
                Request(e.CREATE2, e.create(path + b"/b", b"x", e.OPEN)),
                Request(e.SET_ACL, e.set_acl(path + b"/b", acl))])
            for reader in conns:
                yield from game.batch(reader, [
                    Request(e.GET_ACL, e.path_only(path)),
                    Request(e.GET_ACL, e.path_only(path + b"/b"))])


def permissions(game, conn):
    """Each permission bit alone, and what a stranger, the owner and the super user may do."""
    owner = yield from game.connect()
    yield from game.auth(owner, b"digest", b"ann:one")
    root_user = yield from game.connect()
    yield from game.auth(root_user, b"digest", SUPER)
    strangers = [conn, root_user]
    for perms in range(32):
        parent = game.root + b"/p%d" % perms
        node = parent + b"/n"
        yield from game.batch(owner, [
            Request(e.CREATE, e.create(parent)), Request(e.CREATE, e.create(node, b"x")),
            Request(e.CREATE, e.create(node + b"/kid"))])
        acl = [(perms, "world", "anyone"), (31, "digest", ANN)]
        for path in (node, parent):
            yield from game.one(owner, Request(e.SET_ACL, e.set_acl(path, acl)))
        for asker in strangers:
            yield from game.batch(asker, _everything_on(node))
            yield from game.one(asker, Request(e.SET_ACL, e.set_acl(node, acl)))
            yield from game.batch(asker, [Request(e.DELETE, e.path_int(node + b"/kid", -1)),
                                          Request(e.DELETE, e.path_int(node, -1))])


def _everything_on(node):
    return [
        Request(e.EXISTS, e.path_watch(node, True)), Request(e.EXISTS, e.path_watch(node + b"/no")),
        Request(e.GET_DATA, e.path_watch(node, True)),
        Request(e.GET_CHILDREN, e.path_watch(node, True)),
        Request(e.GET_CHILDREN2, e.path_watch(node)), Request(e.GET_ACL, e.path_only(node)),
        Request(e.GET_ALL_CHILDREN_NUMBER, e.path_only(node)), Request(e.SYNC, e.path_only(node)),
        Request(e.SET_DATA, e.set_data(node, b"changed")),
        Request(e.CREATE, e.create(node + b"/new", flags=1)),
        Request(e.CREATE_CONTAINER, e.create(node + b"/box", flags=4)),
        Request(e.MULTI, e.multi([(e.CHECK, e.path_int(node, -1))])),
        Request(e.MULTI, e.multi([(e.CREATE, e.create(node + b"/m")),
                                  (e.SET_DATA, e.set_data(node, b"m")),
                                  (e.DELETE, e.path_int(node + b"/m", -1))])),
        Request(e.MULTI_READ, e.multi([(e.GET_DATA, e.path_watch(node)),
                                       (e.GET_CHILDREN, e.path_watch(node))])),
        Request(e.ADD_WATCH, e.path_int(node, 0)), Request(e.CHECK_WATCHES, e.path_int(node, 1)),
        Request(e.CHECK_WATCHES, e.path_int(node, 2)), Request(e.REMOVE_WATCHES,
                                                               e.path_int(node, 3))]


def auths(game, conn):
    """Every auth packet, its effect on whoAmI, and repeated ones."""
    for scheme, token in (*BAD_AUTHS, (b"digest", b"ann:one"), (b"digest", SUPER)):
        for kind in (0, 1):
            conn = yield from alive(game, conn)
            yield from game.auth(conn, scheme, token, kind)
            conn = yield from alive(game, conn)
            yield from game.batch(conn, [Request(e.WHO_AM_I)])
    conn = yield from game.connect()
    for token in (b"ann:one", b"ann:one", b"bob:two", b"ann:other", SUPER):
        yield from game.auth(conn, b"digest", token)
        yield from game.batch(conn, [
            Request(e.WHO_AM_I),
            Request(e.CREATE, e.create(game.root + b"/by-" + token[-3:], acl=[(31, "auth", "")])),
            Request(e.GET_ACL, e.path_only(game.root + b"/by-" + token[-3:]))])


def sequences(game, conn):
    """Sequential names: what counts, what does not, and where names meet."""
    top = game.root + b"/q"
    yield from game.batch(conn, [Request(e.CREATE, e.create(top))])
    kinds = [(e.CREATE, e.create, 2), (e.CREATE, e.create, 3), (e.CREATE2, e.create, 2),
             (e.CREATE_TTL, e.create_ttl, 6), (e.CREATE, e.create, 0), (e.CREATE2, e.create, 1)]
    requests = []
    for number in range(24):
        op, body, flag = kinds[number % len(kinds)]
        suffix = (b"/a-", b"/", b"/b", b"/\xc3\xa9")[number % 4]
        if flag in (0, 1):
            suffix += b"%d" % number
        requests.append(Request(op, body(top + suffix, b"", flags=flag)))
        if number % 5 == 4:
            requests.append(Request(e.DELETE, e.path_int(top + b"/b%010d" % (number - 2), -1)))
            requests.append(Request(e.CREATE, e.create(top + b"/nope/x", flags=2)))
    requests += [
        Request(e.CREATE, e.create(top + b"/c%010d" % 60)),
        Request(e.MULTI, e.multi([(e.CREATE, e.create(top + b"/m", flags=2))] * 5)),
        Request(e.MULTI, e.multi([(e.CREATE, e.create(top + b"/m", flags=2)),
                                  (e.DELETE, e.path_int(top + b"/nope", -1))])),
        *(Request(e.CREATE2, e.create(top + b"/c", flags=2)) for _ in range(60)),
        Request(e.CREATE_CONTAINER, e.create(top + b"/", flags=2)),
        Request(e.GET_CHILDREN2, e.path_watch(top)), Request(e.EXISTS, e.path_watch(top))]
    yield from in_batches(game, conn, requests)


def sizes(game, conn):
    """Data and child lists of every size class up to the frame limit."""
    for number, size in enumerate((1, 1023, 1024, 1025, 65536, 262144, 1000000)):
        path = game.root + b"/d%d" % number
        yield from game.batch(conn, [Request(e.CREATE, e.create(path, bytes(size))),
                                     Request(e.GET_DATA, e.path_watch(path, True)),
                                     Request(e.SET_DATA, e.set_data(path, b"z" * size)),
                                     Request(e.EXISTS, e.path_watch(path))])
    long_name = game.root + b"/" + b"n" * 100_000
    yield from game.batch(conn, [Request(e.CREATE2, e.create(long_name)),
                                 Request(e.GET_CHILDREN, e.path_watch(game.root)),
                                 Request(e.DELETE, e.path_int(long_name, 0))])
    deep = game.root
    for level in range(60):
        deep += b"/%d" % level
        yield from game.one(conn, Request(e.CREATE, e.create(deep)))
    yield from game.batch(conn, [Request(e.GET_ALL_CHILDREN_NUMBER, e.path_only(game.root)),
                                 Request(e.EXISTS, e.path_watch(deep))])
    many = [Request(e.CREATE, e.create(game.root + b"/many-%d" % n)) for n in range(600)]
    conn = yield from in_batches(game, conn, many)
    yield from game.batch(conn, [Request(e.GET_CHILDREN2, e.path_watch(game.root))])
