"""A proxy with a planted fault, to see that the differ finds what it is for.

What lives here: relaying between a client and a real server, frame by frame, and one function per
fault that changes a frame on its way to the client. What does not: any judgement. Callers:
bench_of_two.py (`--right faulty:KIND`) and selftest.py.
"""

import select
import socket
import struct
import threading

import encode as e

HOST = "127.0.0.1"
MARKER_XID = 0x7FFFFFF1
EVERY = 7
_HEADER = struct.Struct(">iqi")
_STAT_BYTES = 68
# Offset of a field in a Stat, and its form.
_STAT = {"czxid": (0, ">q"), "mzxid": (8, ">q"), "ctime": (16, ">q"), "mtime": (24, ">q"),
         "version": (32, ">i"), "cversion": (36, ">i"), "aversion": (40, ">i"),
         "ephemeralOwner": (44, ">q"), "dataLength": (52, ">i"), "numChildren": (56, ">i"),
         "pzxid": (60, ">q")}
_STAT_LAST = (e.EXISTS, e.GET_DATA, e.SET_DATA, e.CREATE2, e.CREATE_CONTAINER, e.CREATE_TTL,
              e.GET_CHILDREN2, e.SET_ACL, e.GET_ACL)


class Relay:
    """One connection through the proxy. `plant` decides what becomes of each frame."""

    def __init__(self, client, server, plant):
        self.client = client
        self.server = server
        self.plant = plant
        self.ops = {}
        self.connected = False
        self.to_server = b""
        self.to_client = b""
        self.held = b""

    def run(self):
        try:
            while self._turn():
                pass
        except OSError:
            pass
        finally:
            self.client.close()
            self.server.close()

    def _turn(self):
        ready, _, _ = select.select([self.client, self.server], [], [], 30)
        for end in ready:
            data = end.recv(1 << 18)
            if not data:
                if end is self.server and self.held:
                    self.client.sendall(self.held)
                return False
            if end is self.client:
                self._note(data)
                self.server.sendall(data)
            elif not self._answer(data):
                return False
        return bool(ready)

    def _note(self, data):
        """Remembers which op each xid asks for."""
        self.to_server += data
        for frame in _frames(self, "to_server"):
            if len(frame) >= 12 and self.connected:
                xid, op = struct.unpack_from(">ii", frame, 4)
                self.ops.setdefault(xid, []).append(op)
            self.connected = True

    def _answer(self, data):
        """Passes frames on, as the plant will have them; False when it wants a close."""
        self.to_client += data
        out = b""
        for frame in _frames(self, "to_client"):
            changed = self.plant(self, frame)
            if changed is None:
                self.client.sendall(out)
                return False
            out += changed
        self.client.sendall(out)
        return True

    def op_of(self, xid):
        asked = self.ops.get(xid)
        return asked.pop(0) if asked else None


def _frames(relay, name):
    """Splits whole frames, with their length, off a buffer of the relay."""
    data, at, found = getattr(relay, name), 0, []
    while len(data) - at >= 4:
        length = struct.unpack_from(">i", data, at)[0]
        if length < 0 or len(data) - at - 4 < length:
            break
        found.append(data[at:at + 4 + length])
        at += 4 + length
    setattr(relay, name, data[at:])
    return found


class Plant:
    """Applies one kind of fault to every seventh frame it fits, or as `kind/N` to every Nth."""

    def __init__(self, kind):
        name, _, every = kind.partition("/")
        if name not in FAULTS:
            raise SystemExit(f"no such fault: {name} (known: {', '.join(FAULTS)})")
        self.fault = FAULTS[name]
        self.every = int(every or EVERY)
        self.fitting = 0

    def __call__(self, relay, frame):
        if not relay.ops and len(frame) in (40, 41):
            parts = ("connect", None, None, 0, 0)
        else:
            parts = _parts(relay, frame)
        if relay.held:
            frame, relay.held = frame + relay.held, b""
        if parts is None:
            return frame
        changed = self.fault(relay, frame, *parts)
        if changed is NOT_FITTING:
            return frame
        self.fitting += 1
        if self.fitting % self.every:
            relay.held = b""
            return frame
        return changed


def _parts(relay, frame):
    """(kind, op, xid, zxid, err) of a frame to the client; None for the marker's answer."""
    if len(frame) < 20:
        return None
    xid, zxid, error = _HEADER.unpack_from(frame, 4)
    if xid == MARKER_XID:
        return None
    if xid == -1:
        return "event", None, xid, zxid, error
    return "reply", relay.op_of(xid), xid, zxid, error


NOT_FITTING = object()


def _reframed(payload):
    return struct.pack(">i", len(payload)) + payload


def _error(_relay, frame, kind, op, xid, zxid, error):
    if kind != "reply" or error or op in (e.CLOSE_SESSION, e.AUTH, None):
        return NOT_FITTING
    return _reframed(_HEADER.pack(xid, zxid, -101))


def _other_error(_relay, frame, kind, _op, xid, zxid, error):
    if kind != "reply" or error != -101:
        return NOT_FITTING
    return _reframed(_HEADER.pack(xid, zxid, -110) + frame[20:])


def _zxid(_relay, frame, kind, _op, xid, zxid, error):
    if kind != "reply" or zxid <= 0:
        return NOT_FITTING
    return _reframed(_HEADER.pack(xid, zxid + 1, error) + frame[20:])


def _stat_fault(field):
    offset, form = _STAT[field]

    def fault(_relay, frame, kind, op, _xid, _zxid, error):
        if kind != "reply" or error or op not in _STAT_LAST or len(frame) < 20 + _STAT_BYTES:
            return NOT_FITTING
        at = len(frame) - _STAT_BYTES + offset
        value = struct.unpack_from(form, frame, at)[0]
        if field == "ephemeralOwner" and value == 0:
            return NOT_FITTING
        return frame[:at] + struct.pack(form, value + 1) + frame[at + struct.calcsize(form):]
    return fault


def _on_event(change):
    def fault(relay, frame, kind, _op, _xid, _zxid, _error):
        return change(relay, frame) if kind == "event" else NOT_FITTING
    return fault


def _late(relay, frame):
    relay.held = frame
    return b""


def _event_type(_relay, frame):
    kind = struct.unpack_from(">i", frame, 20)[0]
    return frame[:20] + struct.pack(">i", kind % 4 + 1) + frame[24:]


def _event_zxid(_relay, frame):
    return frame[:8] + struct.pack(">q", -1 if frame[8:16] != b"\xff" * 8 else 5) + frame[16:]


def _on_op(ops, change):
    def fault(relay, frame, kind, op, _xid, _zxid, error):
        fits = kind == "reply" and not error and op in ops
        return change(relay, frame) if fits else NOT_FITTING
    return fault


def _child_missing(_relay, frame):
    count = struct.unpack_from(">i", frame, 20)[0]
    if count < 1:
        return NOT_FITTING
    length = struct.unpack_from(">i", frame, 24)[0]
    return _reframed(frame[4:20] + struct.pack(">i", count - 1) + frame[28 + length:])


def _last_byte(_relay, frame):
    return frame[:-1] + bytes([frame[-1] ^ 1])


def _null_as_empty(_relay, frame):
    if frame[20:24] != b"\xff\xff\xff\xff":
        return NOT_FITTING
    return frame[:20] + bytes(4) + frame[24:]


def _multi_type(_relay, frame):
    if struct.unpack_from(">i", frame, 20)[0] != 15:
        return NOT_FITTING
    return frame[:20] + struct.pack(">i", 19) + frame[24:]


def _any_reply(change):
    def fault(relay, frame, kind, op, _xid, _zxid, _error):
        return change(relay, frame) if kind == "reply" and op is not None else NOT_FITTING
    return fault


def _on_connect(change):
    def fault(_relay, frame, kind, *_rest):
        return change(frame) if kind == "connect" else NOT_FITTING
    return fault


FAULTS = {
    "error": _error, "other-error": _other_error, "zxid": _zxid,
    **{f"stat-{field}": _stat_fault(field) for field in _STAT},
    "event-lost": _on_event(lambda relay, frame: b""), "event-late": _on_event(_late),
    "event-type": _on_event(_event_type), "event-zxid": _on_event(_event_zxid),
    "event-twice": _on_event(lambda relay, frame: frame + frame),
    "event-path": _on_event(_last_byte),
    "child-missing": _on_op((e.GET_CHILDREN, e.GET_CHILDREN2), _child_missing),
    "created-path": _on_op((e.CREATE,), _last_byte), "sync-path": _on_op((e.SYNC,), _last_byte),
    "null-as-empty": _on_op((e.GET_DATA,), _null_as_empty),
    "who-am-i": _on_op((e.WHO_AM_I,), _last_byte),
    "multi-type": _on_op((e.MULTI,), _multi_type),
    "multi-end": _on_op((e.MULTI, e.MULTI_READ), _last_byte),
    "count": _on_op((e.GET_ALL_CHILDREN_NUMBER,), _last_byte),
    "xid": _any_reply(lambda relay, frame: frame[:4] + b"\x70" + frame[5:]),
    "extra-byte": _any_reply(lambda relay, frame: _reframed(frame[4:] + b"\0")),
    "twice": _any_reply(lambda relay, frame: frame + frame),
    "close": _any_reply(lambda relay, frame: None),
    "connect-flag": _on_connect(lambda frame: _reframed(frame[4:40])),
    "connect-timeout": _on_connect(lambda frame: frame[:8] + b"\0\0\1\1" + frame[12:]),
    "connect-password": _on_connect(lambda frame: frame[:24] + bytes(16) + frame[40:]),
}


class Proxy:
    """Listens on `port`, relays to `target`, plants the fault `kind`, until closed."""

    def __init__(self, port, target, kind):
        self.plant = Plant(kind)
        self.target = target
        self.listener = socket.create_server((HOST, port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((HOST, self.target))
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            relay = Relay(client, server, self.plant)
            threading.Thread(target=relay.run, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
