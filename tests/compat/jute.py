"""A small client of the ZooKeeper protocol, close to the bytes.

What lives here: framing, the records that the suites send and read, and a blocking connection
whose requests can be pipelined (`send` many, `receive` in order). What does not: reconnecting,
pings, chroots or retries; a caller that wants them must see them happen. Callers: kill9.py, and any
suite that has to send what no well-behaved library would. Nothing here is shared with Ostler's own
codec, so that a mistake in one is not repeated in the other.
"""

import collections
import enum
import socket
import struct


class Op(enum.IntEnum):
    """Request types by their number on the wire."""

    CREATE = 1
    DELETE = 2
    EXISTS = 3
    GET_DATA = 4
    SET_DATA = 5
    GET_ACL = 6
    SET_ACL = 7
    GET_CHILDREN = 8
    SYNC = 9
    PING = 11
    GET_CHILDREN2 = 12
    CHECK = 13
    MULTI = 14
    CREATE2 = 15
    CREATE_CONTAINER = 19
    CREATE_TTL = 21
    MULTI_READ = 22
    AUTH = 100
    SET_WATCHES = 101
    ADD_WATCH = 106
    CLOSE_SESSION = -11


class Mode(enum.IntFlag):
    """Create flags; a sequential ephemeral is the sum of both."""

    PERSISTENT = 0
    EPHEMERAL = 1
    SEQUENTIAL = 2


NO_NODE = -101
BAD_VERSION = -103
NODE_EXISTS = -110
NO_PASSWORD = bytes(16)
PING_XID = -2
AUTH_XID = -4
EVENT_XID = -1
OPEN_ACL = ((31, "world", "anyone"),)

Stat = collections.namedtuple(
    "Stat", "czxid mzxid ctime mtime version cversion aversion ephemeral_owner data_length "
    "num_children pzxid")
Event = collections.namedtuple("Event", "type state path zxid")
Reply = collections.namedtuple("Reply", "xid zxid error body")


class ZkError(Exception):
    """A reply header carried an error code."""

    def __init__(self, code):
        super().__init__(f"error {code}")
        self.code = code


class SessionRefused(Exception):
    """The server answered the connect request with a zero timeout: unknown, expired, moved on."""


class Writer:
    """Builds one record; every method returns the writer, so that fields read in their order."""

    def __init__(self):
        self._pieces = []

    def int(self, value):
        self._pieces.append(struct.pack(">i", value))
        return self

    def long(self, value):
        self._pieces.append(struct.pack(">q", value))
        return self

    def boolean(self, value):
        self._pieces.append(b"\x01" if value else b"\x00")
        return self

    def buffer(self, value):
        if value is None:
            return self.int(-1)
        self._pieces.append(struct.pack(">i", len(value)) + value)
        return self

    def string(self, value):
        return self.buffer(None if value is None else value.encode())

    def strings(self, values):
        self.int(len(values))
        for value in values:
            self.string(value)
        return self

    def acls(self, acls):
        self.int(len(acls))
        for perms, scheme, identity in acls:
            self.int(perms).string(scheme).string(identity)
        return self

    def raw(self, data):
        self._pieces.append(data)
        return self

    def bytes(self):
        return b"".join(self._pieces)


class Reader:
    """Takes one record apart; raises struct.error when bytes are missing."""

    def __init__(self, data):
        self._data = data
        self._at = 0

    def int(self):
        return self._unpack(">i")

    def long(self):
        return self._unpack(">q")

    def boolean(self):
        return self._unpack(">?")

    def buffer(self):
        length = self.int()
        if length < 0:
            return None
        if self._at + length > len(self._data):
            raise struct.error("buffer runs past its frame")
        value = self._data[self._at:self._at + length]
        self._at += length
        return value

    def string(self):
        value = self.buffer()
        return None if value is None else value.decode()

    def strings(self):
        return [self.string() for _ in range(self.int())]

    def stat(self):
        return Stat._make(self._unpack_all(">qqqqiiiqiiq"))

    def left(self):
        """Bytes not read yet."""
        return len(self._data) - self._at

    def _unpack(self, form):
        return self._unpack_all(form)[0]

    def _unpack_all(self, form):
        values = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return values


def create_body(path, data=b"", flags=0, acl=OPEN_ACL):
    """Body of CREATE, CREATE2 and CREATE_CONTAINER."""
    return Writer().string(path).buffer(data).acls(acl).int(flags).bytes()


def delete_body(path, version=-1):
    """Body of DELETE and CHECK."""
    return Writer().string(path).int(version).bytes()


def set_data_body(path, data, version=-1):
    return Writer().string(path).buffer(data).int(version).bytes()


def path_watch_body(path, watch=False):
    """Body of EXISTS, GET_DATA, GET_CHILDREN and GET_CHILDREN2."""
    return Writer().string(path).boolean(watch).bytes()


def multi_body(operations):
    """Body of MULTI from pairs (op, its own body)."""
    writer = Writer()
    for op, body in operations:
        writer.int(op).boolean(False).int(-1).raw(body)
    return writer.int(-1).boolean(True).int(-1).bytes()


def multi_results(reader):
    """List of (type, error, value) of a MULTI reply; value is a path, a Stat or None."""
    results = []
    while True:
        kind, done, error = reader.int(), reader.boolean(), reader.int()
        if done:
            return results
        value = None
        if kind == -1:
            error = reader.int()
        elif kind == Op.CREATE:
            value = reader.string()
        elif kind == Op.CREATE2:
            value = (reader.string(), reader.stat())
        elif kind == Op.SET_DATA:
            value = reader.stat()
        results.append((kind, error, value))


class Client:
    """One connection with its session; raises OSError when the socket ends or times out."""

    def __init__(self, port, timeout_ms=10_000, session_id=0, password=NO_PASSWORD, last_zxid=0,
                 host="127.0.0.1", socket_seconds=20.0):
        self.last_zxid = last_zxid
        self.events = collections.deque()
        self._xid = 0
        self._rest = bytearray()
        self._socket = socket.create_connection((host, port), socket_seconds)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._attach(timeout_ms, session_id, password)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.drop()

    def send(self, op, body=b"", xid=None):
        """Sends a request without waiting; returns its xid."""
        if xid is None:
            self._xid += 1
            xid = self._xid
        self.send_frame(struct.pack(">ii", xid, op) + body)
        return xid

    def send_frame(self, payload):
        """Sends any bytes as one frame."""
        self._socket.sendall(struct.pack(">i", len(payload)) + payload)

    def send_raw(self, data):
        """Sends bytes as they are, without a length."""
        self._socket.sendall(data)

    def receive(self):
        """The next reply; events that stand before it are kept in `events`."""
        while True:
            reader = Reader(self._frame())
            reply = Reply(reader.int(), reader.long(), reader.int(), reader)
            if reply.xid == EVENT_XID:
                self.events.append(
                    Event(reader.int(), reader.int(), reader.string(), reply.zxid))
                continue
            if reply.zxid > 0:
                self.last_zxid = reply.zxid
            return reply

    def call(self, op, body=b"", xid=None):
        """Sends a request and returns the reader of its reply; raises ZkError on an error code."""
        sent = self.send(op, body, xid)
        reply = self.receive()
        if reply.xid != sent:
            raise AssertionError(f"reply to {reply.xid} where {sent} was due")
        if reply.error:
            raise ZkError(reply.error)
        return reply.body

    def pipeline(self, op, bodies, depth=64):
        """Yields (error, reader) per body, in order, with up to `depth` requests in flight."""
        waiting = 0
        for body in bodies:
            self.send(op, body)
            waiting += 1
            if waiting >= depth:
                yield self._next_outcome()
                waiting -= 1
        for _ in range(waiting):
            yield self._next_outcome()

    def create(self, path, data=b"", flags=0):
        return self.call(Op.CREATE, create_body(path, data, flags)).string()

    def delete(self, path, version=-1):
        self.call(Op.DELETE, delete_body(path, version))

    def get(self, path):
        """(data, Stat) of a znode."""
        reader = self.call(Op.GET_DATA, path_watch_body(path))
        return reader.buffer(), reader.stat()

    def exists(self, path):
        """Stat of a znode, or None."""
        try:
            return self.call(Op.EXISTS, path_watch_body(path)).stat()
        except ZkError as error:
            if error.code == NO_NODE:
                return None
            raise

    def children(self, path):
        return self.call(Op.GET_CHILDREN, path_watch_body(path)).strings()

    def ping(self):
        self.call(Op.PING, xid=PING_XID)

    def close(self):
        """Closes the session: its ephemerals are gone when this returns."""
        self.call(Op.CLOSE_SESSION)
        self.drop()

    def drop(self):
        """Closes the socket only: the session goes on until it expires."""
        self._socket.close()

    def _attach(self, timeout_ms, session_id, password):
        request = Writer().int(0).long(self.last_zxid).int(timeout_ms).long(session_id)
        self.send_frame(request.buffer(password).boolean(False).bytes())
        reader = Reader(self._frame())
        reader.int()
        self.timeout_ms = reader.int()
        self.session_id = reader.long()
        self.password = reader.buffer()
        if self.timeout_ms <= 0:
            raise SessionRefused(f"session {session_id:#x} is not known")

    def _next_outcome(self):
        reply = self.receive()
        return reply.error, reply.body

    def _frame(self):
        (length,) = struct.unpack(">i", self._take(4))
        return self._take(length)

    def _take(self, count):
        while len(self._rest) < count:
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionError("the server closed the connection")
            self._rest += piece
        taken = bytes(self._rest[:count])
        del self._rest[:count]
        return taken
