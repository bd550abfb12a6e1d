"""Answers as comparable values: what two right servers may do differently is mapped away.

What lives here: decoding of replies, events and connect responses into nested tuples in which
zxids count from the round's base, session ids are the numbers of our connections, times are
checked for themselves and replaced, and sets are sorted. Two servers behave alike when these
tuples are equal. What does not live here: sockets (side.py), verdicts (compare.py).
"""

import struct
import time

import encode as e

_HEADER = struct.Struct(">iqi")
_STAT = struct.Struct(">qqqqiiiqiiq")
_INT = struct.Struct(">i")
_LONG = struct.Struct(">q")
_MULTI_HEADER = struct.Struct(">i?i")
_CONNECT = struct.Struct(">iiqi")

STAT_FIELDS = ("czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion",
               "ephemeralOwner", "dataLength", "numChildren", "pzxid")
CLOCK_SLACK_MS = 60_000
# No client looks at such a body, so its content is not compared, only that there is one.
BODY_BEHIND_ERROR = "a body behind an error"


class Undecodable(Exception):
    """The bytes are not the record they should be."""


class Mapping:
    """What one server's zxids, session ids and times mean; one per server and round.

    `base` is the server's zxid at the start of the round. `sessions` maps its session ids to our
    connection numbers. Times are only checked: one zxid has one time, and it is about now.
    """

    def __init__(self, base, before=None):
        """Counts from `base`; what is older keeps the distances it had in the mapping `before`."""
        self.base = base
        self.sessions = {}
        self.times = {}
        self._since = 0 if before is None else before._since
        self._earlier = [] if before is None else [
            (since, old + base - before.base) for since, old in before._earlier]

    def zxid(self, value):
        """Distance from the base; values that are no zxid (0, -1) stay what they are."""
        if value <= 0:
            return ("literal", value)
        if value > self._since:
            return value - self.base
        return value - next(base for since, base in self._earlier if value > since)

    def rebase(self, now, base):
        """From zxid `now` on distances count from `base`; what came before keeps its own."""
        self._earlier.insert(0, (self._since, self.base))
        self._since, self.base = now, base

    def owner(self, value):
        if value == 0:
            return 0
        return ("session", self.sessions.get(value, hex(value)))

    def clock(self, value, zxid):
        """'right' when `value` may be the time in ms of the txn `zxid`, else what is wrong."""
        if zxid == 0:
            return value
        known = self.times.setdefault(zxid, value)
        if known != value:
            return ("other time than before", value, known)
        if abs(value - time.time() * 1000) > CLOCK_SLACK_MS and known == value:
            # A node of an earlier round may be old; only what this round made has to be recent.
            return ("not about now", value) if zxid > self.base else "right"
        return "right"


class Reader:
    """Reads Jute values from `data`; raises Undecodable instead of running over the end."""

    __slots__ = ("data", "at", "mapping")

    def __init__(self, data, mapping, at=0):
        self.data = data
        self.at = at
        self.mapping = mapping

    def _unpack(self, form):
        try:
            values = form.unpack_from(self.data, self.at)
        except struct.error as error:
            raise Undecodable(str(error)) from error
        self.at += form.size
        return values

    def integer(self):
        return self._unpack(_INT)[0]

    def long(self):
        return self._unpack(_LONG)[0]

    def buffer(self):
        """Bytes or None; strings are compared as bytes too."""
        length = self.integer()
        if length == -1:
            return None
        if length < 0 or self.at + length > len(self.data):
            raise Undecodable(f"length {length}")
        self.at += length
        return self.data[self.at - length:self.at]

    def vector(self, element):
        count = self.integer()
        if count == -1:
            return None
        if count < 0 or count > len(self.data):
            raise Undecodable(f"count {count}")
        return tuple(element() for _ in range(count))

    def names(self):
        """A vector of strings whose order means nothing."""
        found = self.vector(self.buffer)
        return found if found is None else tuple(sorted(found))

    def acl(self):
        return self.integer(), self.buffer(), self.buffer()

    def client(self):
        return self.buffer(), self.buffer()

    def clients(self):
        return tuple(sorted(self.vector(self.client) or ()))

    def stat(self):
        (czxid, mzxid, ctime, mtime, version, cversion, aversion, owner, length, children,
         pzxid) = self._unpack(_STAT)
        mapping = self.mapping
        return (mapping.zxid(czxid), mapping.zxid(mzxid), mapping.clock(ctime, czxid),
                mapping.clock(mtime, mzxid), version, cversion, aversion, mapping.owner(owner),
                length, children, mapping.zxid(pzxid))

    def multi(self):
        """Results up to the end marker, each as (type, done, err, body...)."""
        results = []
        while True:
            kind, done, error = self._unpack(_MULTI_HEADER)
            if done:
                return (*results, ("end", kind, error))
            results.append((kind, error, *self._result(kind)))

    def _result(self, kind):
        if kind == e.ERROR:
            return (self.integer(),)
        fields = BODIES.get(kind, ())
        return tuple(getattr(self, field)() for field in fields)


# What each operation's response record holds, as names of Reader's methods.
BODIES = {
    e.CREATE: ("buffer",), e.CREATE2: ("buffer", "stat"), e.CREATE_CONTAINER: ("buffer", "stat"),
    e.CREATE_TTL: ("buffer", "stat"), e.EXISTS: ("stat",), e.GET_DATA: ("buffer", "stat"),
    e.SET_DATA: ("stat",), e.SET_ACL: ("stat",), e.GET_CHILDREN: ("names",),
    e.GET_CHILDREN2: ("names", "stat"), e.SYNC: ("buffer",), e.RECONFIG: ("buffer", "stat"),
    e.GET_EPHEMERALS: ("names",), e.GET_ALL_CHILDREN_NUMBER: ("integer",),
    e.WHO_AM_I: ("clients",), e.SASL: ("buffer",), e.ADD_WATCH: ("integer",),
}


def xid_of(frame):
    """The xid of a frame without its length; None when it is too short for a header."""
    return _INT.unpack_from(frame)[0] if len(frame) >= _HEADER.size else None


def error_of(frame):
    return _HEADER.unpack_from(frame)[2]


def zxid_of(frame):
    return _HEADER.unpack_from(frame)[1]


def reply(op, frame, mapping):
    """(xid, zxid, err, body) of a reply to `op`; the body is a tuple, or says why it is none."""
    xid, zxid, error = _HEADER.unpack_from(frame)
    reader = Reader(frame, mapping, _HEADER.size)
    try:
        body = () if error else _body(op, reader)
    except Undecodable as reason:
        return xid, mapping.zxid(zxid), error, ("undecodable", str(reason), frame.hex())
    if error and reader.at != len(frame):
        body = (BODY_BEHIND_ERROR,)
    elif reader.at != len(frame):
        body = (*body, ("bytes behind the record", frame[reader.at:].hex()))
    return xid, mapping.zxid(zxid), error, body


def _body(op, reader):
    if op in (e.MULTI, e.MULTI_READ):
        return reader.multi()
    if op == e.GET_ACL:
        return reader.vector(reader.acl), reader.stat()
    return tuple(getattr(reader, field)() for field in BODIES.get(op, ()))


def event(frame, mapping):
    """("event", zxid, err, type, state, path) of a notification."""
    _, zxid, error = _HEADER.unpack_from(frame)
    reader = Reader(frame, mapping, _HEADER.size)
    try:
        found = (reader.integer(), reader.integer(), reader.buffer())
    except Undecodable as reason:
        return "event", mapping.zxid(zxid), error, "undecodable", str(reason), frame.hex()
    rest = frame[reader.at:]
    return ("event", mapping.zxid(zxid), error, *found, *((rest.hex(),) if rest else ()))


def connect_response(frame):
    """(protocol, timeout, session id, password, tail): the tail is the flag and what follows."""
    if len(frame) < _CONNECT.size:
        raise Undecodable(f"connect response of {len(frame)} bytes")
    protocol, timeout, session, length = _CONNECT.unpack_from(frame)
    if length < 0 or _CONNECT.size + length > len(frame):
        raise Undecodable(f"password of {length} bytes")
    end = _CONNECT.size + length
    return protocol, timeout, session, frame[_CONNECT.size:end], frame[end:]
