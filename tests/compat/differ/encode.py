"""Client messages as bytes, exactly as asked for, the wrong ones included.

What lives here: one function per request body, the headers and the connect request. Nothing is
checked, so that a caller can build what no client library would send: a string may be str, bytes
(sent as they are) or None (null). What does not live here: reading answers (decode.py), sockets.
Callers: the differ's generator, the golden capture, the garbage test.
"""

import struct

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL, GET_CHILDREN = 1, 2, 3, 4, 5, 6, 7, 8
SYNC, PING, GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG = 9, 11, 12, 13, 14, 15, 16
CHECK_WATCHES, REMOVE_WATCHES, CREATE_CONTAINER, DELETE_CONTAINER = 17, 18, 19, 20
CREATE_TTL, MULTI_READ = 21, 22
AUTH, SET_WATCHES, SASL, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER = 100, 101, 102, 103, 104
SET_WATCHES2, ADD_WATCH, WHO_AM_I = 105, 106, 107
NOTIFICATION, ERROR, CREATE_SESSION, CLOSE_SESSION = 0, -1, -10, -11

OP_NAMES = {
    CREATE: "create", DELETE: "delete", EXISTS: "exists", GET_DATA: "getData",
    SET_DATA: "setData", GET_ACL: "getACL", SET_ACL: "setACL", GET_CHILDREN: "getChildren",
    SYNC: "sync", PING: "ping", GET_CHILDREN2: "getChildren2", CHECK: "check", MULTI: "multi",
    CREATE2: "create2", RECONFIG: "reconfig", CHECK_WATCHES: "checkWatches",
    REMOVE_WATCHES: "removeWatches", CREATE_CONTAINER: "createContainer",
    DELETE_CONTAINER: "deleteContainer", CREATE_TTL: "createTTL", MULTI_READ: "multiRead",
    AUTH: "auth", SET_WATCHES: "setWatches", SASL: "sasl", GET_EPHEMERALS: "getEphemerals",
    GET_ALL_CHILDREN_NUMBER: "getAllChildrenNumber", SET_WATCHES2: "setWatches2",
    ADD_WATCH: "addWatch", WHO_AM_I: "whoAmI", NOTIFICATION: "notification", ERROR: "error",
    CREATE_SESSION: "createSession", CLOSE_SESSION: "closeSession",
}

READ, WRITE, CREATE_PERMISSION, DELETE_PERMISSION, ADMIN, ALL = 1, 2, 4, 8, 16, 31
OPEN = [(ALL, "world", "anyone")]
PASSWORD_BYTES = 16
# What a setWatches begins with.
ZXID_BYTES = 8

_INT = struct.Struct(">i")
_LONG = struct.Struct(">q")
_INT2 = struct.Struct(">ii")
_MULTI_HEADER = struct.Struct(">i?i")

integer = _INT.pack
long = _LONG.pack


def boolean(value):
    """One byte; an int is sent as it is, so that 2 or 255 can be asked for."""
    return bytes((int(value),))


def buffer(value):
    """Length and bytes; None is null."""
    if value is None:
        return b"\xff\xff\xff\xff"
    return _INT.pack(len(value)) + value


def string(value):
    """Length and UTF-8 bytes; bytes are taken as they are, None is null."""
    if value is None:
        return b"\xff\xff\xff\xff"
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    return _INT.pack(len(value)) + value


def strings(values):
    """A vector of strings; None is a null vector."""
    if values is None:
        return b"\xff\xff\xff\xff"
    return _INT.pack(len(values)) + b"".join(map(string, values))


def acls(entries):
    """A vector of (perms, scheme, id); None is a null vector."""
    if entries is None:
        return b"\xff\xff\xff\xff"
    return _INT.pack(len(entries)) + b"".join(
        _INT.pack(perms) + string(scheme) + string(identity) for perms, scheme, identity in entries)


def create(path, data=b"", acl=OPEN, flags=0):
    """Body of create, create2 and createContainer."""
    return string(path) + buffer(data) + acls(acl) + _INT.pack(flags)


def create_ttl(path, data=b"", acl=OPEN, flags=5, ttl=10**9):
    """Body of createTTL; `ttl` in ms."""
    return create(path, data, acl, flags) + _LONG.pack(ttl)


def path_only(path):
    """Body of getACL, sync, getEphemerals and getAllChildrenNumber."""
    return string(path)


def path_int(path, number):
    """Body of delete, check (version), checkWatches, removeWatches (type), addWatch (mode)."""
    return string(path) + _INT.pack(number)


def path_watch(path, watch=False):
    """Body of exists, getData, getChildren and getChildren2."""
    return string(path) + boolean(watch)


def set_data(path, data, version=-1):
    return string(path) + buffer(data) + _INT.pack(version)


def set_acl(path, acl, version=-1):
    return string(path) + acls(acl) + _INT.pack(version)


def reconfig(joining=None, leaving=None, members=None, config_id=-1):
    return string(joining) + string(leaving) + string(members) + _LONG.pack(config_id)


def auth(scheme, token, kind=0):
    return _INT.pack(kind) + string(scheme) + buffer(token)


def set_watches(zxid, *lists):
    """Body of setWatches (three lists) and setWatches2 (five lists)."""
    return _LONG.pack(zxid) + b"".join(map(strings, lists))


def multi(operations, end=True):
    """Body of multi and multiRead from (op, body) pairs."""
    parts = [_MULTI_HEADER.pack(op, False, -1) + body for op, body in operations]
    return b"".join(parts) + (_MULTI_HEADER.pack(-1, True, -1) if end else b"")


def framed(payload):
    """The payload behind its length."""
    return _INT.pack(len(payload)) + payload


def request(xid, op, body=b""):
    """A whole request frame."""
    return _INT.pack(len(body) + 8) + _INT2.pack(xid, op) + body


def connect(timeout_ms=30000, session=0, password=bytes(PASSWORD_BYTES), last_zxid=0,
            read_only=False, protocol=0):
    """A whole connect frame; `read_only` None leaves the trailing flag off (clients before 3.4)."""
    payload = (_INT.pack(protocol) + _LONG.pack(last_zxid) + _INT.pack(timeout_ms)
               + _LONG.pack(session) + buffer(password))
    if read_only is not None:
        payload += boolean(read_only)
    return framed(payload)
