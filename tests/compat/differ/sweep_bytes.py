"""Systematic rounds about form: cut, lengthened and lying bytes, frames, opcodes, handshakes.

What lives here: what a client sends when it is broken or hostile. What a well-formed request may
say is in sweep_fields.py.
"""

import encode as e
from script import Request

WORDS = (-1, -2, -2**31, 2**31 - 1, 1 << 20, 0)
PER_BATCH = 40
CONNECT_BYTES = 45


def samples(game):
    """(op, body) of one valid request for every operation that has a body and a plain reply.

    All are about nodes under the round's root that `prepare` made.
    """
    root = game.root
    node, gone = root + b"/n", root + b"/gone"
    lists = ([node], [gone], [root])
    return [
        (e.CREATE, e.create(root + b"/s", b"data", e.OPEN, 2)),
        (e.CREATE2, e.create(root + b"/s", b"data", e.OPEN, 3)),
        (e.CREATE_CONTAINER, e.create(root + b"/c", None, e.OPEN, 4)),
        (e.CREATE_TTL, e.create_ttl(root + b"/t", b"x")),
        (e.DELETE, e.path_int(gone, -1)), (e.EXISTS, e.path_watch(node)),
        (e.GET_DATA, e.path_watch(node, True)), (e.SET_DATA, e.set_data(node, b"new", -1)),
        (e.GET_ACL, e.path_only(node)), (e.SET_ACL, e.set_acl(node, e.OPEN, -1)),
        (e.GET_CHILDREN, e.path_watch(root)), (e.GET_CHILDREN2, e.path_watch(root, True)),
        (e.SYNC, e.path_only(node)), (e.CHECK_WATCHES, e.path_int(node, 3)),
        (e.REMOVE_WATCHES, e.path_int(node, 3)), (e.ADD_WATCH, e.path_int(node, 1)),
        (e.GET_EPHEMERALS, e.path_only(root)), (e.GET_ALL_CHILDREN_NUMBER, e.path_only(root)),
        (e.SET_WATCHES, e.set_watches(0, *lists)),
        (e.SET_WATCHES2, e.set_watches(0, *lists, [node], [node])),
        (e.RECONFIG, e.reconfig("server.2=h:1:2;3", "1", None, -1)),
        (e.MULTI, e.multi([(e.CREATE, e.create(root + b"/m", b"1", e.OPEN, 2)),
                           (e.SET_DATA, e.set_data(node, b"2")), (e.CHECK, e.path_int(node, -1))])),
        (e.MULTI_READ, e.multi([(e.GET_DATA, e.path_watch(node)),
                                (e.GET_CHILDREN, e.path_watch(root))])),
    ]


def prepare(game, conn):
    yield from game.batch(conn, [Request(e.CREATE, e.create(game.root + b"/n", b"old"))])


def in_batches(game, conn, requests):
    """Sends many requests; a connection that is lost on the way is replaced."""
    for start in range(0, len(requests), PER_BATCH):
        conn = yield from alive(game, conn)
        yield from game.batch(conn, requests[start:start + PER_BATCH])
    return conn


def alive(game, conn):
    """`conn` if it still carries a session, else a connection that brings its session back."""
    if conn in game.live():
        return conn
    for name, at in list(game.sessions.items()):
        if at is None:
            back = yield from game.reconnect(name)
            if back is not None:
                return back
    return (yield from game.connect())


def truncated(game, conn):
    """Every body cut at every offset."""
    yield from prepare(game, conn)
    for op, body in samples(game):
        conn = yield from in_batches(game, conn, [
            Request(op, body[:length]) for length in range(len(body))])
    for op, body in [(e.AUTH, e.auth("digest", b"ann:one")), (e.SASL, e.buffer(b"token"))]:
        for length in range(0, len(body), 3):
            conn = yield from alive(game, conn)
            yield from game.one(conn, Request(op, body[:length], alone=True))


def extra_bytes(game, conn):
    """Every body with bytes behind it, and bodies where none belongs."""
    yield from prepare(game, conn)
    for extra in (b"\0", b"more", bytes(100)):
        conn = yield from in_batches(game, conn, [
            Request(op, body + extra) for op, body in samples(game) if op != e.SET_ACL])
        conn = yield from in_batches(game, conn, [
            Request(e.PING, extra), Request(e.WHO_AM_I, extra)])
    yield from game.one(conn, Request(e.SET_ACL, e.set_acl(game.root + b"/n", e.OPEN) + b"more"))
    yield from game.one(conn, Request(e.AUTH, e.auth("digest", b"ann:one") + b"more", xid=-4,
                                      alone=True))
    other = yield from game.connect()
    yield from game.one(other, Request(e.CLOSE_SESSION, b"more", alone=True))


def lying_lengths(game, conn):
    """Every offset of every body overwritten with words that make bad lengths and counts."""
    yield from prepare(game, conn)
    for op, body in samples(game):
        if op == e.MULTI:
            # Parts that create could land outside the round's root.
            body = e.multi([(e.CHECK, e.path_int(game.root, -1)),
                            (e.SET_DATA, e.set_data(game.root + b"/n", b"2"))])
        requests = []
        # The zxid has to stay one that means the same on both sides.
        first = e.ZXID_BYTES if op in (e.SET_WATCHES, e.SET_WATCHES2) else 0
        for at in range(first, len(body) - 3):
            for word in WORDS:
                changed = body[:at] + e.integer(word) + body[at + 4:]
                if _stays(game, op, changed):
                    requests.append(Request(op, changed))
        if op == e.SET_ACL:
            # Nothing may be pipelined behind one that is carried out.
            for request in requests:
                conn = yield from in_batches(game, conn, [request])
        else:
            conn = yield from in_batches(game, conn, requests)


def _stays(game, op, body):
    """False for a write whose path was changed: it might land outside the round's root."""
    end = 4 + len(game.root)
    writes = (e.CREATE, e.CREATE2, e.CREATE_CONTAINER, e.CREATE_TTL, e.DELETE, e.SET_DATA,
              e.SET_ACL)
    return op not in writes or body[4:end + 1] == game.root + b"/" and body[:4] >= e.integer(
        len(game.root) + 1)


def opcodes(game, conn):
    """Opcodes known and unknown, with an empty body and with a path as body."""
    known_alone = {e.AUTH, e.SASL, e.CLOSE_SESSION, e.PING}
    for op in [*range(-20, 30), *range(95, 112), 127, 128, 255, 256, 1000, 2**31 - 1, -2**31]:
        if op in known_alone:
            continue
        for body in (b"", e.path_only(game.root)):
            if op in (e.DELETE_CONTAINER, e.CREATE_SESSION) and body:
                # Deliberate differences: see scrap.
                continue
            conn = yield from alive(game, conn)
            yield from game.one(conn, Request(op, body, alone=True))


def xids(game, conn):
    """Odd xids, the notification's own, and the same one again and again."""
    for xid in (0, -1, -2, -3, -4, -8, -9, -100, 2**31 - 100, -2**31):
        for op, body in ((e.EXISTS, e.path_watch(game.root)), (e.WHO_AM_I, b""),
                         (e.SET_DATA, e.set_data(game.root, b"x"))):
            yield from game.one(conn, Request(op, body, xid=xid, alone=True))
    yield from game.batch(conn, [Request(e.EXISTS, e.path_watch(game.root), xid=7)
                                 for _ in range(20)])
    yield from game.batch(conn, [Request(e.PING, xid=-2), Request(e.PING, xid=5),
                                 Request(e.PING, xid=0)])
    yield from game.one(conn, Request(e.AUTH, e.auth("digest", b"ann:one"), xid=99, alone=True))
    yield from game.one(conn, Request(e.SET_WATCHES, e.set_watches(0, [game.root], [], []),
                                      xid=12))


def frames(game, conn):
    """Frames whose length is wrong, or too short for a header."""
    cases = [(e.integer(length) + bytes(8), f"frame length {length}")
             for length in (-1, -2, -2**31, 2**31 - 1, 1048576, 1 << 24)]
    cases += [(e.framed(bytes(length)), f"payload of {length} bytes") for length in range(8)]
    cases += [(word, f"four-letter word {word} in a session")
              for word in (b"ruok", b"stat", b"mntr", b"abcd")]
    cases += [(b"\xff\xf4\xff\xfd", "telnet interrupt")]
    for data, note in cases:
        conn = yield from alive(game, conn)
        yield from game.raw(conn, data, note)
    # The longest frame that is allowed, and one byte more.
    for length in (1048575, 1048576):
        conn = yield from alive(game, conn)
        path = game.root + b"/big"
        rest = length - 8 - len(e.create(path, b""))
        yield from game.one(conn, Request(e.CREATE, e.create(path, bytes(rest)), alone=True))


def connects(game, conn):
    """Handshakes: every extreme of every field."""
    for timeout in (0, 1, -1, 29999, 30000, 30001, 89999, 90000, 90001, 2**31 - 1, -2**31):
        yield from game.connect(timeout_ms=timeout)
    for protocol in (1, -1, 2**31 - 1):
        yield from game.connect(protocol=protocol)
    for flag in (1, 2, 255, None):
        yield from game.connect(read_only=flag)
    for name in list(game.sessions)[1:]:
        yield from game.close_session(name)
    for session in (1, -1, 2**62, -2**63, 0x1234567812345678):
        yield from game.connect(session=session)
        yield from game.connect(session=session, password=b"0123456789abcdef")
    for password in (None, b"", b"short", bytes(16), b"x" * 16, bytes(17), bytes(1000)):
        fresh = yield from game.connect(password=password)
        yield from game.connect(session_of=fresh, password=password)
        if fresh in game.sessions:
            yield from game.close_session(fresh)
    for distance in (-5, -1, 0, 1, 100):
        yield from game.connect(last_zxid=distance, literal_zxid=False)
    for zxid in (-1, -2**63, 2**63 - 1, 1 << 40):
        yield from game.connect(last_zxid=zxid)
    yield from _pipelined(game)


def _pipelined(game):
    """Requests that travel in the same bytes as the connect request."""
    root = game.root
    reads = [Request(e.EXISTS, e.path_watch(root, True)), Request(e.GET_DATA, e.path_watch(root)),
             Request(e.SET_DATA, e.set_data(root, b"early")), Request(e.WHO_AM_I),
             Request(e.PING, xid=-2), Request(e.GET_EPHEMERALS, e.path_only(b"/"))]
    yield from game.connect(tail=reads)
    yield from game.connect(read_only=None, tail=[
        Request(e.SET_WATCHES, e.set_watches(0, [root], [root + b"/x"], [root]), xid=-8),
        Request(e.CREATE, e.create(root + b"/early", flags=1))])
    yield from game.connect(tail=[Request(e.AUTH, e.auth("digest", b"ann:one"), xid=-4)])
    yield from game.connect(tail=[Request(e.CREATE, e.create(root + b"/large", bytes(300_000)))])
    yield from game.connect(tail=[Request(e.SYNC, e.path_only(root)) for _ in range(100)])


def connect_bytes(game, _conn):
    """Connect requests cut at every length, and with bytes behind the record."""
    for cut in range(CONNECT_BYTES):
        yield from game.connect(cut=cut)
    for extra in (b"\0", b"x", b"more", bytes(100)):
        yield from game.connect(extra=extra)
        yield from game.connect(extra=extra, read_only=None)
