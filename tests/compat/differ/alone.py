"""What only Ostler is asked, because the reference would do harm.

What lives here: checks of deliberate differences that cannot be compared: the reference deletes
what op 20 names for any client, ends its process for good on one createTTL, and computes passwords
anybody can compute. Each check says what Ostler has to do. Caller: differ.py, once per variant.
"""

import struct

import encode as e
from compare import connect_items
from decode import error_of
from side import Connection

ROOT = b"/alone"


class Client:
    """A session to send one request at a time."""

    def __init__(self, port):
        self.connection = Connection(port)
        self.connection.send(e.connect(timeout_ms=60000))
        _, self.session = connect_items(self.connection, self.connection.frames(count=1))
        self.xid = 0

    def call(self, op, body=b""):
        """The error of the answer, or None when the server closed or kept silent."""
        self.xid += 1
        self.connection.send(e.request(self.xid, op, body))
        frames = self.connection.frames(until_xid=self.xid)
        return error_of(frames[-1]) if frames else None

    def close(self):
        self.call(e.CLOSE_SESSION)
        self.connection.close()


def check(port, variant):
    """(passed, texts of failures) of all checks against the server on `port`."""
    client = Client(port)
    client.call(e.CREATE, e.create(ROOT))
    results = [*_containers(port, client), *_ttls(client, variant), *_passwords(port)]
    client.call(e.DELETE, e.path_int(ROOT, -1))
    client.close()
    failures = [text for good, text in results if not good]
    return len(results) - len(failures), failures


def _containers(port, client):
    """Op 20 is the server's own: no client's, whatever the node is."""
    kinds = [(b"/plain", e.CREATE, e.create(ROOT + b"/plain")),
             (b"/box", e.CREATE_CONTAINER, e.create(ROOT + b"/box", flags=4)),
             (b"/mine", e.CREATE, e.create(ROOT + b"/mine", flags=1))]
    for name, op, body in kinds:
        client.call(op, body)
        other = Client(port)
        error = other.call(e.DELETE_CONTAINER, e.path_only(ROOT + name))
        other.connection.close()
        again = client.call(e.EXISTS, e.path_watch(ROOT + name))
        yield error != 0, f"op 20 of a client on {name.decode()} was answered {error}"
        yield again == 0, f"op 20 of a client removed {name.decode()}"
        client.call(e.DELETE, e.path_int(ROOT + name, -1))


def _ttls(client, variant):
    """A mode without ttl refuses any ttl; the negative ones end an Apache server for good."""
    wanted = -6 if variant == "no-ttl" else -8
    for flags in range(5):
        for ttl in (-1, -2, -2**63, 0, 1000):
            error = client.call(e.CREATE_TTL, e.create_ttl(ROOT + b"/t", b"", e.OPEN, flags, ttl))
            # The mode is looked at first or the ttl: either answer refuses.
            yield error in (-8, wanted), f"createTTL flags={flags} ttl={ttl} was answered {error}"
            client.call(e.DELETE, e.path_int(ROOT + b"/t", -1))


def _passwords(port):
    """A session's password does not follow from its id, and no two are alike."""
    clients = [Client(port) for _ in range(4)]
    known = {client.session[1] for client in clients}
    yield len(known) == len(clients), "two sessions have the same password"
    for client in clients:
        session, password = client.session
        yield password != apache_password(session), f"password of {session:#x} can be computed"
        client.close()


def apache_password(session):
    """The password every Apache server gives the session: Java's Random, seeded by the id."""
    state = ((session ^ 0xB3415C00) ^ 0x5DEECE66D) & (2**48 - 1)
    words = []
    for _ in range(4):
        state = (state * 0x5DEECE66D + 0xB) & (2**48 - 1)
        words.append(struct.pack("<I", (state >> 16) & 0xFFFFFFFF))
    return b"".join(words)
