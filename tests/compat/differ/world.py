"""What the generator knows: the nodes, connections and sessions of the round, and how to choose.

What lives here: a rough model of the tree, learnt from the reference's answers, so that requests
often meet nodes that exist and versions that are right; and the choosers of paths, data, versions
and access lists, valid, at the edge and malformed. What does not live here: requests (requests.py).
"""

import dataclasses

import encode as e

NAMES = (b"a", b"b", b"c", b"d", b"e", b"node", b"x-", b"lock-", b"\xc3\xa9", b"A B")
INT_MIN, INT_MAX, LONG_MIN, LONG_MAX = -2**31, 2**31 - 1, -2**63, 2**63 - 1
CREATES = (e.CREATE, e.CREATE2, e.CREATE_CONTAINER, e.CREATE_TTL)
GLOBAL_PATHS = (b"/", b"/zookeeper", b"/zookeeper/config", b"/zookeeper/quota")
USERS = (b"ann:one", b"bob:two", b"cyd:three")
ANN = "ann:grDcJ7OS1jCu/cG2TyJHw/I9L8o="  # user:base64(sha1(user:password))
SUPER = b"super:super"
SUPER_DIGEST = "super:gG7s8t3oDEtIqF6DM9LlI/R+9Ss="

# Tails of paths that no create may accept, and some that look odd but are fine.
ODD_TAILS = (
    b"/", b"//", b"//a", b"/.", b"/..", b"/./a", b"/../a", b"/a/.", b"/a/..", b"/a//b", b"/a/",
    b"/...", b"/.a", b"/a.", b"/a..b", b"/ ", b"/\x00", b"/a\x00b", b"/\x01", b"/\x1f", b"/\x20",
    b"/\x7e", b"/\x7f", b"/\xc2\x80", b"/\xc2\x9f", b"/\xc2\xa0", b"/\xed\x9f\xbf",
    b"/\xed\xa0\x80",
    b"/\xed\xbf\xbf", b"/\xed\xa0\xbd\xed\xb8\x80", b"/\xee\x80\x80", b"/\xef\xa3\xbf",
    b"/\xef\xa4\x80", b"/\xef\xbf\xaf", b"/\xef\xbf\xb0", b"/\xef\xbf\xbd", b"/\xef\xbf\xbf",
    b"/\xf0\x9f\x98\x80", b"/\xf0\x90\x80\x80", b"/\xff", b"/a\xc3", b"/\xc0\x80", b"/\xe2\x82",
    b"/\xf5\x80\x80\x80", b"/\xf8\x88\x80\x80\x80", b"/e\xcc\x81", b"/" + b"n" * 300,
    b"/zookeeper", b"/zookeeper_limits", b"/-", b"/%s", b"/a\tb", b"/a\nb", b"/a\\b",
)
ODD_PATHS = (
    None, b"", b"a", b"abc/def", b" /a", b".", b"..", b"//", b"///", b"/.", b"/..", b"/zookeeper/",
    b"/zookeeper/quota/", b"/zookeeper/nothing/x", b"/nowhere/x", b"\x00", b"/\x00",
    b"\xff\xfe", b"/zookeeper/config/x/y")


@dataclasses.dataclass
class Node:
    version: int = 0
    aversion: int = 0
    owner: int | None = None


class World:
    """The model of one round under `root`; `rng` is the round's only source of chance."""

    def __init__(self, root, rng):
        self.root = root
        self.rng = rng
        self.nodes = {root: Node()}
        self.paths = [root]

    def learn(self, conn, request, item):
        """Takes in one reply of the reference to a request of `conn`'s session."""
        error, body = item[4], item[5]
        if error or request.target is None:
            return
        if request.op == e.MULTI:
            self._learn_multi(conn, request, body)
        elif request.op in CREATES and body:
            self._add(body[0], conn if _is_ephemeral(request) else None)
        elif request.op == e.DELETE:
            self.forget(request.target)
        elif request.op == e.SET_DATA and body:
            self.nodes.setdefault(request.target, Node()).version = body[0][4]
        elif request.op == e.SET_ACL and body:
            self.nodes.setdefault(request.target, Node()).aversion = body[0][6]

    def _learn_multi(self, conn, request, results):
        for (op, path, flags), result in zip(request.target, results):
            if result[0] in (e.CREATE, e.CREATE2):
                self._add(result[2], conn if flags in (1, 3) and op != e.CREATE_CONTAINER else None)
            elif result[0] == e.DELETE:
                self.forget(path)
            elif result[0] == e.SET_DATA:
                self.nodes.setdefault(path, Node()).version = result[2][4]

    def _add(self, path, owner):
        if path not in self.nodes:
            self.paths.append(path)
        self.nodes[path] = Node(owner=owner)

    def forget(self, path):
        if self.nodes.pop(path, None) is not None:
            self.paths.remove(path)

    def session_ended(self, owner):
        """The session of connection `owner` took its ephemerals with it."""
        for path in [p for p, node in self.nodes.items() if node.owner == owner]:
            self.forget(path)

    def existing(self):
        return self.rng.choice(self.paths) if self.paths else self.root

    def child(self):
        """A path under a node that exists; the child itself may exist or not."""
        return self.existing() + b"/" + self.rng.choice(NAMES)

    def path(self):
        """Any path: mostly of a node that exists, now and then an odd one."""
        draw = self.rng.random()
        if draw < 0.62:
            return self.existing()
        if draw < 0.86:
            return self.child()
        if draw < 0.92:
            return self.rng.choice(GLOBAL_PATHS)
        return self.odd_path()

    def odd_path(self):
        rng = self.rng
        if rng.random() < 0.6:
            return self.existing() + rng.choice(ODD_TAILS)
        return rng.choice(ODD_PATHS)

    def version(self, path, attribute="version"):
        """Any (-1), the right one, a wrong one, or an extreme."""
        draw = self.rng.random()
        node = self.nodes.get(path)
        right = 0 if node is None else getattr(node, attribute)
        if draw < 0.45:
            return -1
        if draw < 0.8:
            return right
        return self.rng.choice((right + 1, right - 1, 0, 1, -2, INT_MIN, INT_MAX))

    def data(self):
        draw = self.rng.random()
        if draw < 0.1:
            return None
        if draw < 0.25:
            return b""
        if draw < 0.97:
            return self.rng.randbytes(self.rng.randrange(1, 60))
        return self.rng.randbytes(self.rng.choice((1000, 1024, 4096, 20000)))

    def acl(self):
        """Mostly open; else one of the lists below, or some of their entries together."""
        draw = self.rng.random()
        if draw < 0.75:
            return e.OPEN
        if draw < 0.9:
            return self.rng.choice(ACL_LISTS)
        return [self.rng.choice(ACL_ENTRIES) for _ in range(self.rng.randrange(1, 4))]

    def flags(self):
        draw = self.rng.random()
        if draw < 0.5:
            return 0
        if draw < 0.95:
            return self.rng.choice((1, 1, 2, 2, 3, 4))
        return self.rng.choice((5, 6, 7, -1, 8, 255, INT_MIN, INT_MAX))


def _is_ephemeral(request):
    return request.op in (e.CREATE, e.CREATE2) and request.body[-4:] in (
        b"\0\0\0\1", b"\0\0\0\3")


ACL_ENTRIES = (
    (31, "world", "anyone"), (1, "world", "anyone"), (0, "world", "anyone"),
    (30, "world", "anyone"), (15, "world", "anyone"), (31, "auth", ""), (21, "auth", "anything"),
    (31, "digest", ANN), (31, "digest", "bob:x"),
    (31, "ip", "127.0.0.1"), (31, "ip", "10.0.0.0/8"), (1, "ip", "127.0.0.0/8"),
    (63, "world", "anyone"),
)
# Whole lists, each here for a reason of its own.
ACL_LISTS = (
    None, [],
    [(31, "nobody", "x")], [(31, "", "")], [(31, None, "x")], [(31, "world", "nobody")],
    [(31, "world", "")], [(31, "World", "anyone")], [(31, "digest", None)],
    [(31, "auth", "")], [(31, "auth", None)], [(1, "auth", ""), (31, "world", "anyone")],
    [(31, "digest", "nocolon")], [(31, "digest", "")], [(31, "digest", "a:b:c")],
    [(31, "digest", ":")], [(31, "digest", "a:")], [(31, "digest", ANN)],
    [(31, "ip", "127.0.0.1")], [(31, "ip", "127.0.0.0/8")], [(31, "ip", "127.0.0.1/32")],
    [(31, "ip", "127.0.0.1/0")], [(31, "ip", "127.0.0.1/33")], [(31, "ip", "127.0.0.1/-1")],
    [(31, "ip", "127.0.0.1/x")], [(31, "ip", "127.0.0")], [(31, "ip", "256.0.0.1")],
    [(31, "ip", "::1")], [(31, "ip", "fe80::/10")], [(31, "ip", "")], [(31, "ip", "localhost")],
    [(31, "ip", "127.0.0.1/8/9")], [(31, "ip", "1.2.3.4/16")],
    [(31, "super", "")], [(31, "x509", "CN=a")], [(31, "sasl", "a")], [(31, "ensemble", "a")],
    [(31, "world", "anyone"), (31, "world", "anyone")],
    [(1, "world", "anyone"), (2, "world", "anyone")],
    [(1, "world", "anyone"), (30, "digest", ANN)],
    [(-1, "world", "anyone")], [(32, "world", "anyone")], [(2**31 - 1, "world", "anyone")],
    [(31, "world", "anyone"), (31, "nobody", "x")],
)
