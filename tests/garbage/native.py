"""Clients that misbehave in Ostler's own protocol.

What lives here: a writer of native frames made from the protocol's description alone, and the
misbehaviour, one function per way to do it, as in attacks.py. What happened to others is measured
by the same witness, which speaks ZooKeeper's protocol.
"""

import struct
import time

from attacks import (
    ANSWER_SECONDS,
    SESSIONLESS_SECONDS,
    _all_close,
    _send,
    closed_within,
    exactly,
    floods,
)

MAGIC = b"OSTLER"
VERSION = 2
FRAME_BYTES_MAX = 1048575
FRAME_REQUESTS_MAX = 1024
HELLO_BYTES_MAX = 16 << 10
PING, WRITE, READ, SET_WATCHES, WHO_AM_I, UNKNOWN = 0, 1, 3, 8, 11, 15
UNIMPLEMENTED, NO_NODE = -6, -101
PING_XID = -2
# Well below the time after which a connection without a session is closed anyway.
AT_ONCE_SECONDS = SESSIONLESS_SECONDS[0] - 1

_U32, _U64, _I32, _I64 = (struct.Struct(form) for form in ("<I", "<Q", "<i", "<q"))
_HEADER = struct.Struct("<iqi")


def framed(body, length=None):
    """A body behind its length, or behind another one."""
    return _U32.pack(len(body) if length is None else length) + body


def text(value):
    """A string."""
    return _U64.pack(len(value)) + value


def greeting(version=VERSION):
    """The first bytes of a connection."""
    return MAGIC + struct.pack("<H", version)


def hello(seen=0, timeout_ms=10000, session=0):
    """The body of a client's first frame."""
    return _I64.pack(seen) + _I32.pack(timeout_ms) + _I64.pack(session) + bytes(16) + b"\0\0"


def request(xid, verb, body=b""):
    """One request of a frame."""
    return _I32.pack(xid) + _U32.pack(verb) + body


def batch(requests, count=None):
    """A frame's body with these requests, or one that says another count."""
    return _I32.pack(0) + array(requests, count)


def array(elements, count=None):
    """A list behind its count, or behind another one."""
    return _U64.pack(len(elements) if count is None else count) + b"".join(elements)


def get_data(xid, path):
    return request(xid, READ, _U32.pack(1) + text(path) + b"\0")


def delete(xid, path):
    return request(xid, WRITE, _U32.pack(1) + text(path) + _I32.pack(-1))


def body_of(connection):
    """The next frame's body, or None when the server closed."""
    head = exactly(connection, 4)
    return None if head is None else exactly(connection, _U32.unpack(head)[0])


def shaken(target):
    """A native connection with a session."""
    connection = target.open()
    connection.sendall(greeting() + framed(hello()))
    welcome = body_of(connection)
    if welcome is None or _U32.unpack_from(welcome)[0] != 0:
        raise OSError("no welcome to a good hello")
    return connection


def bad_openings(target):
    """Versions that nobody speaks, hellos that lie, and beginnings of neither protocol."""
    complaints = []
    for version in (0, VERSION + 1, 0xffff):
        connection = target.open()
        _send(connection, greeting(version) + framed(hello()))
        # Refused, because of the version, and which one would do.
        if body_of(connection) != struct.pack("<IIH", 1, 3, VERSION):
            complaints.append(f"version {version}: not refused with a reason")
        elif not closed_within(connection, AT_ONCE_SECONDS):
            complaints.append(f"version {version}: refused, but not closed")
        connection.close()
    lies = [framed(hello(), length) for length in (0xffffffff, 1 << 31, HELLO_BYTES_MAX + 1, 0, 37)]
    lies += [framed(hello()[:-1]), framed(hello() + b"\0"), framed(bytes(HELLO_BYTES_MAX))]
    for lie in lies:
        connection = target.open()
        _send(connection, greeting() + lie)
        if not closed_within(connection, AT_ONCE_SECONDS):
            complaints.append(f"a hello of {lie[:4].hex()} and {len(lie) - 4} bytes: not closed")
        connection.close()
    return complaints


def half_openings(target):
    """Beginnings that never end: each is closed when its time is up."""
    whole = greeting() + framed(hello())
    connections = []
    for number in range(300):
        connection = target.open()
        _send(connection, whole[:number % len(whole)])
        connections.append(connection)
    return _all_close("half a native handshake", connections)


def slow_senders(target):
    """One byte at a time: slow is not wrong, the answers have to come, and in order."""
    asked = batch([get_data(1, b"/none"), delete(2, b"/none"), request(3, PING), delete(4, b"/no")])
    everything = greeting() + framed(hello()) + framed(asked)
    connections = [target.open() for _ in range(50)]
    for byte in everything:
        for connection in connections:
            _send(connection, bytes([byte]))
        time.sleep(0.005)
    complaints = []
    for connection in connections:
        welcome = body_of(connection)
        answers = [_answer(body_of(connection)) for _ in range(4)]
        if welcome is None or _U32.unpack_from(welcome)[0] != 0:
            complaints.append("slow sender: no welcome")
        elif answers != [(1, NO_NODE), (2, NO_NODE), (PING_XID, 0), (4, NO_NODE)]:
            complaints.append(f"slow sender: answered {answers}")
        connection.close()
    return complaints[:3]


def _answer(body):
    """Number and error of an answer."""
    if body is None:
        return None
    xid, _, error = _HEADER.unpack_from(body)
    return xid, error


def broken_frames(target):
    """Frames that lie about lengths and counts or name nothing: closed, and nothing of them done."""
    sound = request(1, WHO_AM_I)
    huge = _U64.pack(2**64 - 1)
    bodies = [
        b"", bytes(7), batch([sound], count=2), batch([sound], count=0), batch([], count=2**64 - 1),
        batch([sound], count=1 << 32), batch([sound]) + b"\0", batch([sound, request(2, 99)]),
        batch([sound, request(2, 0xffffffff)]),
        batch([request(1, READ, _U32.pack(1) + huge + b"/a\0")]),
        batch([request(1, READ, _U32.pack(1) + text(b"/\xff\xfe") + b"\0")]),
        batch([request(1, READ, _U32.pack(1) + text(b"/a") + b"\2")]),
        batch([request(1, READ, _U32.pack(77) + text(b"/a") + b"\0")]),
        batch([request(1, SET_WATCHES, _I64.pack(0) + huge * 5)]),
        batch([sound] * (FRAME_REQUESTS_MAX + 1)),
    ]
    frames = [framed(body) for body in bodies]
    frames += [framed(batch([sound]), length) for length in (0xffffffff, 1 << 31, FRAME_BYTES_MAX + 1)]
    complaints = []
    for wrong in frames:
        connection = shaken(target)
        _send(connection, wrong)
        if body_of(connection) is not None:
            complaints.append(f"a broken frame was answered: {wrong[:40].hex()}")
        elif not closed_within(connection, AT_ONCE_SECONDS):
            complaints.append(f"a broken frame did not end the connection: {wrong[:40].hex()}")
        connection.close()
    return complaints


def unknown_operations(target):
    """An operation that does not exist is answered, and nothing behind it is."""
    complaints = []
    for doubt in (request(5, UNKNOWN), request(5, WRITE, _U32.pack(4) + text(b"/") + _I32.pack(0))):
        connection = shaken(target)
        _send(connection, framed(batch([get_data(4, b"/none"), doubt, request(6, WHO_AM_I)])))
        answers = [_answer(body_of(connection)) for _ in range(3)]
        if answers != [(4, NO_NODE), (5, UNIMPLEMENTED), None]:
            complaints.append(f"an unknown operation: answered {answers}")
        connection.close()
    return complaints


def giant_batches(target):
    """As many requests as a frame may hold, many frames at once, the answers read late."""
    connection = shaken(target)
    rounds = 40
    kinds = (lambda xid: get_data(xid, b"/none"), lambda xid: delete(xid, b"/none"),
             lambda xid: request(xid, WHO_AM_I))
    frames = []
    for number in range(rounds):
        first = 1 + number * FRAME_REQUESTS_MAX
        frames.append(framed(batch([kinds[xid % 3](xid)
                                    for xid in range(first, first + FRAME_REQUESTS_MAX)])))
    everything = b"".join(frames)
    connection.setblocking(False)
    sent, wanted, received = 0, 1, bytearray()
    deadline = time.monotonic() + ANSWER_SECONDS
    while wanted <= rounds * FRAME_REQUESTS_MAX:
        if time.monotonic() > deadline:
            return [f"giant batches: no answer to {wanted}"]
        try:
            sent += connection.send(everything[sent:sent + 65536])
        except BlockingIOError:
            pass
        try:
            received += connection.recv(1 << 20)
        except BlockingIOError:
            time.sleep(0.001)
        while len(received) >= 4 and len(received) >= 4 + (size := _U32.unpack_from(received)[0]):
            xid, error = _answer(received[4:4 + size])
            if (xid, error) != (wanted, 0 if wanted % 3 == 2 else NO_NODE):
                return [f"giant batches: {xid} with {error} where {wanted} was due"]
            wanted += 1
            del received[:4 + size]
    connection.close()
    return []


def junk_in_sessions(target):
    """Good frames with bytes changed: answered or closed, and others do not notice."""
    rng = target.rng
    complaints = []
    for _ in range(300):
        connection = shaken(target)
        good = framed(batch([get_data(1, b"/junk"), delete(2, b"/junk"),
                             request(3, SET_WATCHES, _I64.pack(0) + array([text(b"/a")]) * 5)]))
        at = rng.randrange(len(good))
        _send(connection, good[:at] + rng.randbytes(rng.randrange(1, 5)) + good[at + 2:])
        try:
            connection.shutdown(1)
        except OSError:
            # The server may have been quicker and reset the connection already.
            pass
        if not closed_within(connection, ANSWER_SECONDS):
            complaints.append("native junk: neither closed by us nor by the server")
        connection.close()
    return complaints[:3]


def never_reads(target, growth_bytes_max):
    """Asks for much in few bytes and reads nothing: the server must stop, not grow."""
    setter = shaken(target)
    path = b"/native-large-%d" % target.rng.randrange(1 << 30)
    acl = _U64.pack(1) + _I32.pack(31) + text(b"world") + text(b"anyone")
    create = (_U32.pack(0) + _U32.pack(0) + text(path) + b"\1" + text(bytes(200_000)) + acl
              + _I32.pack(1) + _I64.pack(0))
    setter.sendall(framed(batch([request(1, WRITE, create)])))
    if _answer(body_of(setter)) != (1, 0):
        return ["a good create was not answered"]
    burst = framed(batch([get_data(xid, path) for xid in range(1, FRAME_REQUESTS_MAX)])) * 20
    complaints = floods(target, lambda: shaken(target), burst, growth_bytes_max)
    setter.close()
    return complaints


ATTACKS = (
    ("native: bad openings", bad_openings), ("native: half openings", half_openings),
    ("native: slow senders", slow_senders), ("native: broken frames", broken_frames),
    ("native: unknown operations", unknown_operations), ("native: giant batches", giant_batches),
    ("native: junk in sessions", junk_in_sessions),
)
