"""One server as the differ sees it: its connections, its sessions, its frames.

What lives here: raw sockets and framing. Nothing is retried and nothing judged: a connection that
the server closed stays closed, a server that does not answer in time is `silent`. Callers: runner.
"""

import socket
import struct
import time

from decode import Mapping, xid_of

HOST = "127.0.0.1"
SILENCE_SECONDS = 10.0
READ_BYTES = 1 << 18
_LENGTH = struct.Struct(">i")


class Connection:
    """A socket with the bytes that have come and are no whole frame yet."""

    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port), SILENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        self.closed = False
        self.silent = False

    def send(self, data):
        """Sends all; a connection the server has closed takes note and goes on."""
        if self.closed:
            return
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            # What the server sent before it closed may still be there to read.
            pass
        except TimeoutError:
            self.silent = True

    def frames(self, until_xid=None, count=None, seconds=None):
        """Frames up to and with the one whose xid is `until_xid`, or `count`, or until the close.

        A frame here is the payload without its length. A server that sends nothing for too long
        is marked silent, unless the caller gave the `seconds` it wants to wait.
        """
        found = []
        deadline = time.monotonic() + (seconds or SILENCE_SECONDS)
        while not self.closed and not self.silent:
            found.extend(self._split())
            if count is not None and len(found) >= count:
                break
            if until_xid is not None and found and xid_of(found[-1]) == until_xid:
                break
            if not self._receive(deadline):
                self.silent = seconds is None
                break
        return found

    def _split(self):
        data, at = self.pending, 0
        while len(data) - at >= 4:
            length = _LENGTH.unpack_from(data, at)[0]
            if length < 0 or len(data) - at - 4 < length:
                break
            yield data[at + 4:at + 4 + length]
            at += 4 + length
        self.pending = data[at:]

    def _receive(self, deadline):
        """Takes in what has come or notes the close; False when the deadline passed first."""
        try:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            piece = self.socket.recv(READ_BYTES)
        except TimeoutError:
            return False
        except ConnectionResetError:
            piece = b""
        if piece:
            self.pending += piece
        else:
            self.closed = True
        return True

    def close(self):
        self.closed = True
        self.socket.close()


class Side:
    """One of the two servers: `name` for reports, connections and sessions by our own numbers."""

    def __init__(self, name, port):
        self.name = name
        self.port = port
        self.connections = {}
        self.sessions = {}
        self.mapping = Mapping(0)

    def begin_round(self, base):
        """Forgets sessions and counts zxids from `base`."""
        self.drop_all()
        self.sessions = {}
        self.mapping = Mapping(base, self.mapping)

    def open(self, number):
        connection = Connection(self.port)
        self.connections[number] = connection
        return connection

    def drop(self, number):
        connection = self.connections.pop(number, None)
        if connection is not None:
            connection.close()

    def drop_all(self):
        for number in list(self.connections):
            self.drop(number)

    def remember_session(self, number, session, password):
        """The session that connection `number` got from the server."""
        self.sessions[number] = (session, password)
        self.mapping.sessions[session] = number

    def live(self):
        """Numbers of the connections that hold a session and that nobody has closed."""
        return [number for number, connection in self.connections.items()
                if not connection.closed and not connection.silent]
