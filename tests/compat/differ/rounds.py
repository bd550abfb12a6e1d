"""Rounds: what is done under one root node, from its creation to its removal.

What lives here: the Game (the state every round needs: connections, sessions, xids), the random
round, and the end of every round: the whole tree is read and compared, everything is removed, all
sessions are closed. Rounds are generators: they yield steps and are sent the Outcome of each.
The systematic rounds are in sweeps.py and its neighbours.
"""

import encode as e
import ops
import quota
from script import Await, Batch, Connect, Drop, Raw, Request
from world import SUPER, USERS, World

ROOT_FORM = b"/R%06d"
READS_PER_BATCH = 60
ODD_XIDS = (0, -3, -4, -8, -9, -2**31, 2**31 - 100, 1)
UNKNOWN_OPS = (0, -1, 10, 13, 23, 99, 108, 200, 999, -2, -9, -12, 2**31 - 1, -2**31)
BAD_AUTHS = ((b"digest", None), (b"digest", b""), (b"digest", b"nocolon"), (b"digest", b"a:b:c"),
             (b"digest", b":"), (b"digest", b"super:wrong"), (b"world", b"anyone"), (b"ip", b""),
             (b"auth", b""), (b"x509", b""), (b"ensemble", b"x"), (b"super", b""),
             (b"nobody", b"x"), (b"", b""), (None, b""), (b"Digest", b"ann:one"),
             (b"digest", b"\xff\xfe:\x00"))


class Game:
    """A round in progress. `sessions` maps each open session to the connection that carries it.

    A session is named by the connection that created it.
    """

    def __init__(self, number, rng, variant):
        self.root = ROOT_FORM % number
        self.rng = rng
        self.variant = variant
        self.world = World(self.root, rng)
        self.sessions = {}
        self.next_conn = 0
        self.xid = 0

    def live(self):
        """Connections that carry a session."""
        return [conn for conn in self.sessions.values() if conn is not None]

    def session_on(self, conn):
        return next((name for name, at in self.sessions.items() if at == conn), None)

    def numbered(self, request):
        """Gives a request its xid unless it has one."""
        if request.xid is None:
            self.xid += 1
            request.xid = self.xid
        return request

    def connect(self, **fields):
        """Opens a connection; returns its number when it carries a session, else None."""
        conn = self.next_conn
        self.next_conn += 1
        for request in fields.get("tail", ()):
            self.numbered(request)
        outcome = yield Connect(conn, **fields)
        self._lose(outcome)
        if conn not in outcome.live:
            return None
        name = fields.get("session_of")
        self.sessions[conn if name is None else name] = conn
        self._learn(conn, fields.get("tail", []), outcome)
        return conn

    def batch(self, conn, requests):
        """Sends requests in one batch; returns the reference's items of that connection."""
        for request in requests:
            self.numbered(request)
        outcome = yield Batch(conn, requests)
        found = outcome.left.get(conn, [])
        self._learn(conn, requests, outcome)
        self._lose(outcome)
        return found

    def one(self, conn, request):
        """One request on its own; returns its reply item of the reference, or None."""
        found = yield from self.batch(conn, [request])
        return next((item for item in found if item[0] == "reply" and item[1] == 0), None)

    def raw(self, conn, data, note):
        outcome = yield Raw(conn, data, note)
        self._lose(outcome)

    def drop(self, conn):
        outcome = yield Drop(conn)
        self._lose(outcome)

    def wait(self, conn, events, seconds):
        outcome = yield Await(conn, events, seconds)
        self._lose(outcome)

    def auth(self, conn, scheme, token, kind=0):
        reply = yield from self.one(conn, Request(
            e.AUTH, e.auth(scheme, token, kind), xid=-4, alone=True))
        return reply is not None and reply[4] == 0

    def reconnect(self, name):
        """Brings a session without a connection back; returns the connection or None."""
        conn = yield from self.connect(session_of=name)
        if conn is None:
            # The session is gone on the reference, so nobody is left to close it.
            self.sessions.pop(name, None)
            self.world.session_ended(name)
        return conn

    def close_session(self, name):
        """Closes a session, bringing it back first if it has lost its connection."""
        conn = self.sessions.get(name)
        if conn is None:
            conn = yield from self.reconnect(name)
        if conn is not None:
            yield from self.one(conn, Request(e.CLOSE_SESSION, alone=True))
        self.sessions.pop(name, None)
        self.world.session_ended(name)

    def _learn(self, conn, requests, outcome):
        name = self.session_on(conn)
        for item in outcome.left.get(conn, ()):
            if item[0] == "reply" and item[1] < len(requests):
                self.world.learn(name, requests[item[1]], item)

    def _lose(self, outcome):
        for name, conn in self.sessions.items():
            if conn is not None and conn not in outcome.live:
                self.sessions[name] = None


def begin(game):
    """The start of every round: a first session and the root node."""
    conn = yield from game.connect()
    yield from game.one(conn, Request(e.CREATE, e.create(game.root), target=game.root))
    return conn


def finish(game):
    """The end of every round: everything is compared once more, then removed."""
    conn = yield from game.connect()
    if conn is not None:
        yield from game.auth(conn, b"digest", SUPER)
        paths = yield from _read_all(game, conn, game.root)
        quotas = yield from _read_all(game, conn, b"/zookeeper/quota" + game.root)
        for _, reads in (paths, quotas):
            yield from _remove_all(game, conn, reads)
    for name in list(game.sessions):
        yield from game.close_session(name)


def _read_all(game, conn, top):
    """Reads everything at and under `top` level by level; returns (top, paths from the top)."""
    found, level = [], [top]
    while level:
        below = []
        for start in range(0, len(level), READS_PER_BATCH):
            chunk = level[start:start + READS_PER_BATCH]
            children = yield from _read_chunk(game, conn, chunk)
            for path in chunk:
                if path in children:
                    found.append(path)
                    below.extend(path + b"/" + name for name in children[path])
        level = below
    return top, found


def _read_chunk(game, conn, chunk):
    requests = []
    for path in chunk:
        requests += [Request(e.GET_CHILDREN2, e.path_watch(path)),
                     Request(e.GET_DATA, e.path_watch(path)),
                     Request(e.GET_ACL, e.path_only(path))]
    items = yield from game.batch(conn, requests)
    return {chunk[item[1] // 3]: item[5][0] for item in items
            if item[0] == "reply" and item[1] < len(requests) and item[1] % 3 == 0
            and item[4] == 0}


def _remove_all(game, conn, paths):
    for start in range(len(paths), 0, -READS_PER_BATCH):
        chunk = paths[max(0, start - READS_PER_BATCH):start]
        yield from game.batch(conn, [
            Request(e.DELETE, e.path_int(path, -1), target=path) for path in reversed(chunk)])


def random_round(game, requests):
    """A round of about `requests` random requests on two to four connections."""
    yield from begin(game)
    for _ in range(game.rng.randrange(1, 4)):
        yield from game.connect(timeout_ms=game.rng.choice((30000, 60000, 90000)))
    for conn in game.live():
        if game.rng.random() < 0.4:
            yield from game.auth(conn, b"digest", game.rng.choice(USERS))
    with_quota = game.rng.random() < 0.4
    if with_quota:
        path = game.root if game.rng.random() < 0.5 else game.root + b"/a"
        yield from quota.limit_node(game, conn=game.live()[0], path=path,
                                    limit=game.rng.choice(quota.LIMITS))
    sent = 0
    while sent < requests:
        if not game.live():
            yield from _bring_back(game)
        draw = game.rng.random()
        if draw < 0.9 and game.live():
            # With limits enforced, what is pipelined behind a write is a matter of luck.
            size = 1 if with_quota and game.variant == "quota" else game.rng.randrange(1, 26)
            conn = game.rng.choice(game.live())
            chosen = _requests(game, size)
            yield from game.batch(conn, chosen)
            sent += len(chosen)
        else:
            yield from _unusual(game)
            sent += 2
    yield from finish(game)


def _requests(game, size):
    """Up to `size` random requests for one batch."""
    found = []
    while len(found) < size:
        request = ops.random_request(game.world)
        if request.xid is None and game.rng.random() < 0.01:
            request.xid = game.rng.choice(ODD_XIDS)
        found.append(request)
        if ops.unsettled(request):
            break
    return found


def _bring_back(game):
    """At least one live connection: an old session's, else a new one."""
    for name, conn in list(game.sessions.items()):
        if conn is None:
            yield from game.reconnect(name)
    if not game.live():
        yield from game.connect()


def _unusual(game):
    """One of the rarer things a client can do to its connection or session."""
    rng = game.rng
    conn = rng.choice(game.live()) if game.live() else None
    if conn is None:
        yield from _bring_back(game)
        return
    acts = (_auth_again, _auth_again, _bad_auth, _unknown_op, _sasl, _close_session, _close_session,
            _drop, _drop_and_back, _drop_and_back, _take_over, _wrong_password, _new_session,
            _bad_frame, _odd_ops)
    yield from rng.choice(acts)(game, conn)


def _auth_again(game, conn):
    yield from game.auth(conn, b"digest", game.rng.choice((*USERS, USERS[0], SUPER)))


def _bad_auth(game, conn):
    scheme, token = game.rng.choice(BAD_AUTHS)
    yield from game.auth(conn, scheme, token, game.rng.choice((0, 0, 1, -1)))


def _unknown_op(game, conn):
    op = game.rng.choice(UNKNOWN_OPS)
    yield from game.one(conn, Request(op, game.rng.choice((b"", b"\0\0\0\0", b"xyz")), alone=True))


def _sasl(game, conn):
    yield from game.one(conn, Request(
        e.SASL, e.buffer(game.rng.choice((b"", b"token"))), alone=True))


def _close_session(game, conn):
    yield from game.close_session(game.session_on(conn))


def _drop(game, conn):
    yield from game.drop(conn)


def _drop_and_back(game, conn):
    name = game.session_on(conn)
    yield from game.drop(conn)
    tail = _requests(game, game.rng.randrange(0, 4))
    yield from game.connect(session_of=name, tail=tail, literal_zxid=False,
                            last_zxid=game.rng.randrange(-2, 2))


def _take_over(game, conn):
    yield from game.connect(session_of=game.session_on(conn),
                            read_only=game.rng.choice((0, 1, None)))


def _wrong_password(game, conn):
    name = game.session_on(conn)
    password = game.rng.choice((b"x" * 16, bytes(16), b"", b"short", b"y" * 17))
    yield from game.drop(conn)
    yield from game.connect(session_of=name, password=password)


def _new_session(game, _conn):
    if len(game.sessions) < 6:
        yield from game.connect(timeout_ms=game.rng.choice((0, -1, 1, 10**6, 2**31 - 1, 30001)))


def _bad_frame(game, conn):
    length = game.rng.choice((-1, -2**31, 1048576, 2**31 - 1, 0, 1, 4, 7))
    yield from game.raw(conn, e.integer(length) + bytes(max(0, min(length, 8))),
                        f"frame length {length}")


def _odd_ops(game, conn):
    yield from game.one(conn, Request(e.CREATE_SESSION, b"", alone=True))
