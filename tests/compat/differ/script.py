"""Steps: what the differ does to both servers, in terms that hold on either and in any round.

What lives here: the step types, their rendering to bytes for one side, their move to another root
name (so that a round can be run again), and their description for a reader. A step never holds a
session id, a password or a zxid of a server: it names a connection or a distance from the base.
"""

import dataclasses
import struct

import encode as e
import readable

MARKER_XID = 0x7FFFFFF1
PING_XID = -2
MARKER = e.request(MARKER_XID, e.EXISTS, e.path_watch("/"))
_LONG = struct.Struct(">q")


class Request:
    """One request of a batch.

    `zxid` is a distance from the base to be written over the first 8 bytes of the body
    (setWatches), or None. `alone` requests are sent in a batch of their own, because the server
    answers them out of turn or closes. `free` names the rule that explains any difference.
    `target` is the path it is about, or for a multi the (op, path) of each part: the generator's
    model of the tree learns from it.
    """

    __slots__ = ("xid", "op", "body", "zxid", "alone", "free", "target")

    def __init__(self, op, body=b"", xid=None, zxid=None, alone=False, free=None, target=None):
        self.target = target
        self.op = op
        self.body = body
        self.xid = xid
        self.zxid = zxid
        self.alone = alone
        self.free = free

    def frame(self, side):
        body = self.body
        if self.zxid is not None:
            body = _LONG.pack(side.mapping.base + self.zxid) + body[8:]
        return e.request(self.xid, self.op, body)

    @property
    def reply_xid(self):
        """The xid of the answer: a ping is answered with -2 whatever it came with."""
        return PING_XID if self.op == e.PING else self.xid

    def moved(self, old, new):
        return Request(self.op, self.body.replace(old, new), self.xid, self.zxid, self.alone,
                       self.free)

    def __str__(self):
        zxid = "" if self.zxid is None else f" (zxid: base{self.zxid:+d})"
        return f"xid={self.xid} {readable.request(self.op, self.body)}{zxid}"


@dataclasses.dataclass
class Connect:
    """Opens connection `conn` and asks for a session, new or that of connection `session_of`.

    `last_zxid` is a distance from the base, or with `literal_zxid` a value. `password` None means
    the right one. `cut` shortens the payload, `extra` lengthens it, `tail` requests travel behind
    the connect frame in the same bytes.
    """

    conn: int
    timeout_ms: int = 60000
    session_of: int | None = None
    session: int = 0
    password: bytes | None = None
    last_zxid: int = 0
    literal_zxid: bool = True
    read_only: int | None = 0
    protocol: int = 0
    cut: int | None = None
    extra: bytes = b""
    tail: list = dataclasses.field(default_factory=list)

    def frame(self, side):
        session, password = self.session, bytes(e.PASSWORD_BYTES)
        if self.session_of is not None:
            session, password = side.sessions[self.session_of]
        if self.password is not None:
            password = self.password
        zxid = self.last_zxid if self.literal_zxid else side.mapping.base + self.last_zxid
        payload = e.connect(self.timeout_ms, session, password, zxid, self.read_only,
                            self.protocol)[4:] + self.extra
        if self.cut is not None:
            payload = payload[:self.cut]
        return e.framed(payload) + b"".join(request.frame(side) for request in self.tail)

    def requests(self):
        return self.tail

    def moved(self, old, new):
        return dataclasses.replace(self, tail=[r.moved(old, new) for r in self.tail])

    def lines(self):
        parts = [f"connect conn={self.conn} timeout={self.timeout_ms}"]
        if self.session_of is not None:
            parts.append(f"session of conn {self.session_of}")
        elif self.session:
            parts.append(f"session={self.session:#x}")
        if self.password is not None:
            parts.append(f"password={self.password.hex()}")
        if self.last_zxid or not self.literal_zxid:
            parts.append(f"lastZxidSeen={'' if self.literal_zxid else 'base'}{self.last_zxid:+d}")
        if self.read_only != 0:
            parts.append(f"readOnly={self.read_only}")
        if self.protocol:
            parts.append(f"protocol={self.protocol}")
        if self.cut is not None:
            parts.append(f"payload cut to {self.cut} bytes")
        if self.extra:
            parts.append(f"extra={self.extra.hex()}")
        return [" ".join(parts), *(f"  behind it: {request}" for request in self.tail)]


@dataclasses.dataclass
class Batch:
    """Requests sent in one piece on connection `conn`."""

    conn: int
    batch: list

    def frame(self, side):
        return b"".join(request.frame(side) for request in self.batch)

    def requests(self):
        return self.batch

    def moved(self, old, new):
        return Batch(self.conn, [request.moved(old, new) for request in self.batch])

    def lines(self):
        return [f"conn {self.conn}: {request}" for request in self.batch]


@dataclasses.dataclass
class Raw:
    """Bytes that are no well-formed frame, sent on `conn`; `note` says what is wrong with them."""

    conn: int
    data: bytes
    note: str

    def frame(self, _side):
        return self.data

    def requests(self):
        return []

    def moved(self, old, new):
        return Raw(self.conn, self.data.replace(old, new), self.note)

    def lines(self):
        return [f"conn {self.conn}: raw {readable.shorten(self.data.hex())} ({self.note})"]


@dataclasses.dataclass
class Drop:
    """Closes connection `conn` from our end, without closing its session."""

    conn: int

    def requests(self):
        return []

    def moved(self, _old, _new):
        return self

    def lines(self):
        return [f"drop conn {self.conn}"]


@dataclasses.dataclass
class Await:
    """Waits until `events` frames have come on `conn` unasked, or `seconds` have passed."""

    conn: int
    events: int
    seconds: float

    def requests(self):
        return []

    def moved(self, _old, _new):
        return self

    def lines(self):
        return [f"conn {self.conn}: wait for {self.events} events, at most {self.seconds} s"]


@dataclasses.dataclass
class Word:
    """A four-letter word, on a connection of its own."""

    word: str

    def requests(self):
        return []

    def moved(self, _old, _new):
        return self

    def lines(self):
        return [f"four-letter word {self.word!r}"]


def count(step):
    """How many requests a step is, for the closing line."""
    if isinstance(step, (Drop, Await)):
        return 0
    own = 0 if isinstance(step, Batch) else 1
    return own + len(step.requests())
