"""A connection that reads whole frames, and the record of what went over it.

What lives here: sending one request after the other and writing down every frame in the order it
came, in the format that HEAD describes. What does not: which requests (scenes.py).
"""

import socket
import struct
from pathlib import Path

import encode as e

SECONDS = 15.0
HEAD = """\
# Golden frames of the Jute protocol, captured from a real Apache ZooKeeper {version} server.
# Written by tests/golden/capture.py; do not edit by hand.
#
# An entry is a block of lines, set apart by empty lines:
#   name <text>             what the entry shows; unique in this file
#   request <op> <hex>      what the client sent (<op> is the operation's name, `connect` for the
#                           connect request, `unknown` for an opcode nobody knows)
#   reply <hex>             what the server answered to it
#   event <hex>             a watch event that reached a client (a reply header with xid -1 first)
# <hex> is one whole frame, its 4-byte big-endian length included. Replies and events stand in the
# order of their arrival; the events of a request may have gone to another connection than its own.
# An entry may lack a request (events only) or a reply (the server closed without one).
# A request in an entry whose name begins with `malformed` cannot be decoded: a decoder must
# refuse it. Every other request, and every reply and event, decodes and encodes back to itself.
# Lines that begin with `#` are comments; `# closed` says that the server closed the connection.
"""


class Link:
    """One client connection; `frames` reads what has come."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.xid = 0

    def send(self, data):
        self.socket.sendall(data)

    def frame(self):
        """The next whole frame, or None when the server has closed."""
        head = self._exactly(4)
        if head is None:
            return None
        return head + self._exactly(struct.unpack(">i", head)[0])

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                piece = self.socket.recv(count - len(data))
            except ConnectionResetError:
                return None
            if not piece:
                return None
            data += piece
        return data

    def close(self):
        self.socket.close()


class Recorder:
    """The entries so far. Every `name` is used once."""

    def __init__(self):
        self.blocks = []
        self.names = set()

    def connect(self, name, link, frame):
        """Sends a connect request; returns (session id, password) of the answer, or None."""
        self._begin(name)
        link.send(frame)
        self._line(f"request connect {frame.hex()}")
        reply = link.frame()
        if reply is None:
            self._line("# closed")
            return None
        self._line(f"reply {reply.hex()}")
        return struct.unpack_from(">q", reply, 12)[0], reply[24:40]

    def call(self, name, link, op, body=b"", xid=None, events=(), replies=1):
        """Sends one request and records all that comes until its reply, then `events` elsewhere.

        `events` names other connections that get one event each. Returns the error of the reply.
        """
        self._begin(name)
        error = self._call(link, op, body, xid, replies)
        for other in events:
            self._line(f"event {other.frame().hex()}")
        return error

    def also(self, link, op, body=b"", xid=None):
        """One more request in the entry of the last call."""
        return self._call(link, op, body, xid, 1)

    def raw(self, name, link, op_name, frame):
        """Sends a frame as it is and records what comes until a reply or the close."""
        self._begin(name)
        link.send(frame)
        self._line(f"request {op_name} {frame.hex()}")
        return self._replies(link, 1)

    def events(self, name, *links):
        """Records one event on each of `links`."""
        self._begin(name)
        for link in links:
            self._line(f"event {link.frame().hex()}")

    def closed(self, link):
        """Notes that the server has closed `link`."""
        if link.frame() is not None:
            raise SystemExit(f"expected a close after: {self.blocks[-1][0]}")
        self._line("# closed")

    def write(self, out, version):
        names = [block[0] for block in self.blocks]
        text = HEAD.format(version=version) + "".join(
            "\n" + "\n".join(block) + "\n" for block in self.blocks)
        Path(out).write_text(text)
        print(f"{len(names)} entries written to {out}")

    def _call(self, link, op, body, xid, replies):
        if xid is None:
            link.xid += 1
            xid = link.xid
        frame = e.request(xid, op, body)
        link.send(frame)
        self._line(f"request {e.OP_NAMES.get(op, 'unknown')} {frame.hex()}")
        return self._replies(link, replies)

    def _replies(self, link, replies):
        error = None
        while replies:
            frame = link.frame()
            if frame is None:
                self._line("# closed")
                return error
            xid, _, error = struct.unpack_from(">iqi", frame, 4)
            # A request of ours never has xid -1, so this is a notification.
            if xid == -1:
                self._line(f"event {frame.hex()}")
                continue
            self._line(f"reply {frame.hex()}")
            replies -= 1
        return error

    def _begin(self, name):
        if name in self.names:
            raise SystemExit(f"name used twice: {name}")
        self.names.add(name)
        self.blocks.append([f"name {name}"])

    def _line(self, line):
        self.blocks[-1].append(line)
