"""Clients that misbehave: one function per way to do it.

What lives here: the misbehaviour, bounded in time and in connections. Each function takes the
Target and returns a list of complaints about what the server did to the misbehaving connections
themselves (an empty list is good). What happened to others is measured by the witness.
"""

import contextlib
import random
import socket
import struct
import time

import encode as e

HOST = "127.0.0.1"
FRAME_BYTES_MAX = 1048575
# A server closes what has not shaken hands after about ten seconds; we wait up to three times that.
SESSIONLESS_SECONDS = (5.0, 30.0)
ANSWER_SECONDS = 30.0


class Target:
    """The server under attack: its port, its process, a source of chance."""

    def __init__(self, port, pid, seed):
        self.port = port
        self.pid = pid
        self.rng = random.Random(seed)

    def open(self, timeout=ANSWER_SECONDS):
        return socket.create_connection((HOST, self.port), timeout)

    def shaken(self, timeout_ms=10000):
        """A connection with a session."""
        connection = self.open()
        connection.sendall(e.connect(timeout_ms=timeout_ms))
        if frame(connection) is None:
            raise OSError("no answer to a good handshake")
        return connection

    def resident_bytes(self):
        """Resident memory of the server's process."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise OSError("no VmRSS")


def frame(connection):
    """The next frame's payload, or None when the server closed."""
    head = exactly(connection, 4)
    return None if head is None else exactly(connection, struct.unpack(">i", head)[0])


def exactly(connection, count):
    """So many bytes, or None when the server closed before."""
    data = b""
    while len(data) < count:
        try:
            piece = connection.recv(min(65536, count - len(data)))
        except ConnectionError:
            return None
        if not piece:
            return None
        data += piece
    return data


def closed_within(connection, seconds):
    """Reads until the server closes; False when it has not within `seconds`."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            if not connection.recv(65536):
                return True
        except TimeoutError:
            return False
        except OSError:
            return True
    return False


def _send(connection, data):
    """Sends what the server still takes."""
    try:
        connection.sendall(data)
    except OSError:
        pass


def random_bytes(target):
    """Noise of every length, before any handshake."""
    connections = []
    for _ in range(300):
        connection = target.open()
        _send(connection, target.rng.randbytes(target.rng.randrange(1, 4096)))
        connections.append(connection)
    return _all_close("noise", connections)


def bad_lengths(target):
    """Frame lengths that are negative or above the limit, before and after the handshake."""
    complaints = []
    for length in (-1, -2, -2**31, FRAME_BYTES_MAX + 1, 1 << 24, 2**31 - 1):
        for shaken in (False, True):
            connection = target.shaken() if shaken else target.open()
            _send(connection, e.integer(length) + bytes(100))
            # Well below the time after which a connection without a session is closed anyway.
            if not closed_within(connection, SESSIONLESS_SECONDS[0] - 1):
                complaints.append(f"frame length {length} (handshake: {shaken}): not closed")
            connection.close()
    return complaints


def half_frames(target):
    """Frames that never end: before the handshake, and with sessions that stay."""
    halves = [target.open() for _ in range(300)]
    for connection in halves:
        whole = e.connect()
        _send(connection, whole[:target.rng.randrange(0, len(whole))])
    held = [target.shaken() for _ in range(100)]
    for connection in held:
        _send(connection, e.integer(FRAME_BYTES_MAX) + bytes(1000))
    complaints = _all_close("half a handshake", halves)
    for connection in held:
        connection.close()
    return complaints


def slow_senders(target):
    """One byte at a time: slow is not wrong, the answer has to come."""
    request = e.request(1, e.CREATE, e.create(b"/slow-", b"x", flags=3))
    everything = e.connect() + request
    connections = [target.open() for _ in range(50)]
    for byte in everything:
        for connection in connections:
            _send(connection, bytes([byte]))
        time.sleep(0.01)
    complaints = []
    for connection in connections:
        hello, reply = frame(connection), frame(connection)
        if hello is None or len(hello) != 37:
            complaints.append("slow sender: no right answer to its handshake")
        elif reply is None or struct.unpack_from(">i", reply, 12)[0] != 0:
            complaints.append("slow sender: no right answer to its request")
        connection.close()
    return complaints[:3]


def storms(target):
    """Connect and close, again and again: politely, by reset, with a word, with half a word."""
    for number in range(4000):
        connection = target.open()
        if number % 4 == 1:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif number % 4 == 2:
            _send(connection, b"ruok")
        elif number % 4 == 3:
            _send(connection, b"ru")
        connection.close()
    return []


def junk_after_handshake(target):
    """Sessions that send nonsense: well-framed, badly framed, or a good request cut and changed."""
    complaints = []
    rng = target.rng
    for _ in range(300):
        connection = target.shaken()
        for _ in range(rng.randrange(1, 8)):
            _send(connection, _nonsense(rng))
        # A server still there after all that answers a good request, or has closed.
        _send(connection, e.request(77, e.EXISTS, e.path_watch("/")))
        # The server may have been quicker and reset the connection already.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        if not closed_within(connection, ANSWER_SECONDS):
            complaints.append("junk in a session: neither closed by us nor by the server")
        connection.close()
    return complaints[:3]


def _nonsense(rng):
    draw = rng.random()
    if draw < 0.3:
        return e.framed(rng.randbytes(rng.randrange(0, 200)))
    if draw < 0.6:
        return e.request(rng.randrange(1, 99), rng.choice(list(e.OP_NAMES)),
                         rng.randbytes(rng.randrange(0, 100)))
    if draw < 0.9:
        body = e.create(b"/junk", b"data")
        at = rng.randrange(len(body))
        return e.request(5, rng.choice((e.CREATE, e.CREATE2, e.SET_ACL)),
                         body[:at] + rng.randbytes(4) + body[at + 4:])
    return rng.randbytes(rng.randrange(1, 50))


def deep_nonsense(target):
    """Records that nest, repeat or promise without end; each has to be refused or answered."""
    header = e.integer(e.MULTI) + b"\0" + e.integer(-1)
    huge = (2**31 - 1, 1 << 28, 1 << 20)
    cases = [(e.MULTI, header * (FRAME_BYTES_MAX // 9 - 2)),
             (e.EXISTS, e.path_watch(b"/a" * 500_000)),
             (e.CREATE, e.create(b"/a" * 500_000)),
             (e.CREATE, e.create(b"/" * 1_000_000)),
             (e.GET_CHILDREN2, e.path_watch(b"/" + b"\xff" * 1_000_000)),
             (e.ADD_WATCH, e.path_int(b"/x" * 500_000, 1)),
             (e.CREATE, e.string(b"/v") + e.buffer(b"") + e.integer(30_000)
              + b"\0\0\0\x1f\0\0\0\5world\0\0\0\6anyone" * 30_000 + e.integer(0)),
             (e.SET_WATCHES2, e.long(0) + e.strings([b"/" + b"w" * 30] * 25_000) * 1
              + e.strings([]) * 4)]
    for count in huge:
        cases += [(e.CREATE, e.string(b"/v") + e.buffer(b"") + e.integer(count)),
                  (e.SET_WATCHES, e.long(0) + e.integer(count) * 3),
                  (e.SET_DATA, e.string(b"/v") + e.integer(count)),
                  (e.GET_DATA, e.integer(count) + b"/a")]
    complaints = []
    for op, body in cases:
        connection = target.shaken(timeout_ms=60000)
        _send(connection, e.request(1, op, body))
        if frame(connection) is None:
            complaints.append(f"{e.OP_NAMES[op]} of {len(body)} bytes: closed without an answer")
        connection.close()
    return complaints


def giant_multis(target):
    """Multis of a frame's size: all checks, all creates that fail at the end, all reads."""
    check = [(e.CHECK, e.path_int("/", -1))] * 40_000
    create = [(e.CREATE, e.create(b"/giant-%d" % n, b"", flags=1)) for n in range(15_000)]
    fail = [(e.DELETE, e.path_int(b"/no/such/node", -1))]
    read = [(e.GET_CHILDREN, e.path_watch("/zookeeper"))] * 40_000
    complaints = []
    for op, parts in ((e.MULTI, check), (e.MULTI, create + fail), (e.MULTI_READ, read)):
        connection = target.shaken(timeout_ms=60000)
        body = e.multi(parts)
        if len(body) + 8 > FRAME_BYTES_MAX:
            raise ValueError("the multi has outgrown a frame")
        _send(connection, e.request(1, op, body))
        reply = frame(connection)
        if reply is None or struct.unpack_from(">i", reply, 12)[0] != 0:
            complaints.append(f"a {e.OP_NAMES[op]} of {len(parts)} parts was not answered")
        connection.close()
    return complaints


def abandoned_sessions(target):
    """Handshakes whose client goes away at once, some reading the answer, some not."""
    for number in range(1500):
        connection = target.open()
        _send(connection, e.connect(timeout_ms=1))
        if number % 2:
            frame(connection)
        connection.close()
    return []


def idle_connections(target, count, bytes_max):
    """Thousands that say nothing: little memory each, and closed after a while."""
    # The first ones pay for buffers and tables that all later ones share.
    first = [target.open() for _ in range(count // 10)]
    time.sleep(1)
    before = target.resident_bytes()
    started = time.monotonic()
    idle = [target.open() for _ in range(count)]
    time.sleep(1)
    each = (target.resident_bytes() - before) / count
    print(f"    an idle connection takes {each:.0f} bytes", flush=True)
    complaints = []
    if each > bytes_max:
        complaints.append(f"an idle connection takes {each:.0f} bytes, more than {bytes_max}")
    early = sum(closed_within(connection, 0.001) for connection in idle[-20:])
    if early and time.monotonic() - started < SESSIONLESS_SECONDS[0]:
        complaints.append("idle connections are closed at once: slow clients could not connect")
    return complaints + _all_close("idle", first + idle)


def never_reads(target, growth_bytes_max):
    """Asks for much and reads nothing: the server must stop taking requests, not grow."""
    setter = target.shaken()
    path = b"/large-%d" % target.rng.randrange(1 << 30)
    setter.sendall(e.request(1, e.CREATE, e.create(path, bytes(200_000), flags=1)))
    frame(setter)
    burst = e.request(1, e.GET_DATA, e.path_watch(path)) * 10_000
    complaints = floods(target, target.shaken, burst, growth_bytes_max)
    setter.close()
    return complaints


def floods(target, shaken, burst, growth_bytes_max):
    """Sends what is taken of a burst by a fresh connection that reads no answer."""
    before = target.resident_bytes()
    connection = shaken()
    connection.setblocking(False)
    sent = 0
    deadline = time.monotonic() + 5
    while sent < len(burst) and time.monotonic() < deadline:
        try:
            sent += connection.send(burst[sent:sent + 65536])
        except BlockingIOError:
            time.sleep(0.05)
        except OSError:
            break
    time.sleep(1)
    growth = target.resident_bytes() - before
    connection.close()
    if growth > growth_bytes_max:
        return [f"unread answers made the server grow by {growth >> 20} MiB"]
    return []


def _all_close(name, connections):
    """Complains about connections the server has not closed in time; closes them all."""
    deadline = time.monotonic() + SESSIONLESS_SECONDS[1]
    left = sum(not closed_within(connection, max(0.01, deadline - time.monotonic()))
               for connection in connections)
    for connection in connections:
        connection.close()
    return [f"{left} of {len(connections)} connections ({name}) were not closed"] if left else []
