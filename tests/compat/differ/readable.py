"""Requests and answers as text for a person.

What lives here: best-effort descriptions. A body that does not decode is shown as hex. Callers:
script.py and the reports.
"""

import struct

import encode as e
from decode import Reader, Undecodable

SHOWN_BYTES = 60


def shorten(text, limit=2 * SHOWN_BYTES):
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def quoted(value):
    """Bytes as a quoted string, None as null."""
    if value is None:
        return "null"
    text = repr(value[:SHOWN_BYTES])[1:]
    return text if len(value) <= SHOWN_BYTES else f"{text}...({len(value)} bytes)"


def request(op, body):
    """`name field=value ...` of a request body."""
    name = e.OP_NAMES.get(op, f"op {op}")
    form = _FORMS.get(op)
    if form is None:
        return f"{name} {shorten(body.hex())}".rstrip()
    reader = Reader(body, None)
    try:
        text = form(reader)
    except (Undecodable, struct.error):
        return f"{name} undecodable {shorten(body.hex(), 400)}"
    rest = body[reader.at:]
    return f"{name} {text}" + (f" extra={shorten(rest.hex())}" if rest else "")


def _flag(reader):
    reader.at += 1
    if reader.at > len(reader.data):
        raise Undecodable("no flag")
    return reader.data[reader.at - 1]


def _acls(reader):
    entries = reader.vector(reader.acl)
    if entries is None:
        return "null"
    return "[" + ", ".join(f"{perms}:{quoted(scheme)}:{quoted(identity)}"
                           for perms, scheme, identity in entries) + "]"


def _create(reader):
    return (f"path={quoted(reader.buffer())} data={quoted(reader.buffer())} acl={_acls(reader)} "
            f"flags={reader.integer()}")


def _lists(reader, names):
    parts = [f"zxid={reader.long()}"]
    for name in names:
        paths = reader.vector(reader.buffer)
        parts.append(f"{name}=" + ("null" if paths is None else
                                   "[" + ", ".join(map(quoted, paths)) + "]"))
    return " ".join(parts)


def _multi(reader):
    parts = []
    while True:
        kind, flag, error = reader.integer(), _flag(reader), reader.integer()
        if flag or kind not in _FORMS:
            return "{" + "; ".join(parts) + f"}} end=({kind}, {flag}, {error})"
        odd = "" if error == -1 else f" header-err={error}"
        parts.append(f"{e.OP_NAMES[kind]} {_FORMS[kind](reader)}{odd}")


def _path_watch(reader):
    return f"path={quoted(reader.buffer())} watch={_flag(reader)}"


def _path_number(name):
    return lambda reader: f"path={quoted(reader.buffer())} {name}={reader.integer()}"


def _path(reader):
    return f"path={quoted(reader.buffer())}"


_FORMS = {
    e.CREATE: _create, e.CREATE2: _create, e.CREATE_CONTAINER: _create,
    e.CREATE_TTL: lambda r: f"{_create(r)} ttl={r.long()}",
    e.DELETE: _path_number("version"), e.CHECK: _path_number("version"),
    e.CHECK_WATCHES: _path_number("type"), e.REMOVE_WATCHES: _path_number("type"),
    e.ADD_WATCH: _path_number("mode"),
    e.EXISTS: _path_watch, e.GET_DATA: _path_watch, e.GET_CHILDREN: _path_watch,
    e.GET_CHILDREN2: _path_watch,
    e.SET_DATA: lambda r: (f"path={quoted(r.buffer())} data={quoted(r.buffer())} "
                           f"version={r.integer()}"),
    e.GET_ACL: _path, e.SYNC: _path, e.GET_EPHEMERALS: _path, e.GET_ALL_CHILDREN_NUMBER: _path,
    e.DELETE_CONTAINER: _path,
    e.SET_ACL: lambda r: f"path={quoted(r.buffer())} acl={_acls(r)} version={r.integer()}",
    e.RECONFIG: lambda r: (f"joining={quoted(r.buffer())} leaving={quoted(r.buffer())} "
                           f"members={quoted(r.buffer())} configId={r.long()}"),
    e.AUTH: lambda r: f"type={r.integer()} scheme={quoted(r.buffer())} auth={quoted(r.buffer())}",
    e.SET_WATCHES: lambda r: _lists(r, ("data", "exist", "child")),
    e.SET_WATCHES2: lambda r: _lists(r, ("data", "exist", "child", "persistent", "recursive")),
    e.SASL: lambda r: f"token={quoted(r.buffer())}",
    e.MULTI: _multi, e.MULTI_READ: _multi,
}
