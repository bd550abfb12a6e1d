"""Two sides' answers to one step, compared field by field.

What lives here: turning the frames of one connection into items (events, replies, the end), and
finding the first difference between two lists of items. What does not: whether a difference is
deliberate (explain.py), what is sent (runner.py).
"""

import dataclasses

import encode as e
from decode import STAT_FIELDS, Undecodable, connect_response, event, reply, xid_of
from script import MARKER_XID, Request

MARKER_REQUEST = Request(e.EXISTS, e.path_watch("/"), MARKER_XID)
_REPLY_FIELDS = ("kind", "request", "xid", "zxid", "err", "body")
_EVENT_FIELDS = ("kind", "zxid", "err", "type", "state", "path")
_BODY_FIELDS = {
    e.CREATE: ("path",), e.CREATE2: ("path", "stat"), e.CREATE_CONTAINER: ("path", "stat"),
    e.CREATE_TTL: ("path", "stat"), e.EXISTS: ("stat",), e.GET_DATA: ("data", "stat"),
    e.SET_DATA: ("stat",), e.SET_ACL: ("stat",), e.GET_ACL: ("acl", "stat"),
    e.GET_CHILDREN: ("children",), e.GET_CHILDREN2: ("children", "stat"), e.SYNC: ("path",),
    e.GET_EPHEMERALS: ("ephemerals",), e.GET_ALL_CHILDREN_NUMBER: ("totalNumber",),
    e.WHO_AM_I: ("clientInfo",), e.SASL: ("token",),
}


@dataclasses.dataclass
class Difference:
    """Where the sides part: `field` is a dotted name; `left` and `right` are what they said."""

    step: int
    conn: int
    field: str
    left: object
    right: object
    request: Request | None
    left_item: tuple
    right_item: tuple

    def signature(self):
        """What has to stay the same for a shorter script to show the same thing."""
        op = None if self.request is None else self.request.op
        return op, self.field.split("[")[0], _shape(self.left), _shape(self.right)


def items(connection, mapping, requests, frames, marked):
    """Events, replies and the end, in order; `marked` when a marker followed the requests."""
    found = []
    waiting = list(enumerate(requests))
    if marked:
        waiting.append((len(requests), MARKER_REQUEST))
    for frame in frames:
        xid = xid_of(frame)
        if xid is None:
            found.append(("short frame", frame.hex()))
        elif xid == -1 and not (waiting and waiting[0][1].xid == -1):
            found.append(event(frame, mapping))
        else:
            found.append(_answer(xid, frame, mapping, waiting))
    if connection.pending and connection.closed:
        found.append(("half a frame", connection.pending.hex()))
    found.append(("end", "closed" if connection.closed else
                  "silent" if connection.silent else "open"))
    return found


def _answer(xid, frame, mapping, waiting):
    for place, (index, request) in enumerate(waiting):
        if request.reply_xid == xid:
            # Requests before it got no answer: the gap shows as a missing item.
            del waiting[:place + 1]
            return ("reply", index, *reply(request.op, frame, mapping))
    return ("reply to nothing", frame.hex())


def connect_items(connection, frames):
    """The answer to a connect request; the session id is checked elsewhere, the password random."""
    if not frames:
        return [("end", "closed" if connection.closed else "silent")], None
    try:
        protocol, timeout, session, password, tail = connect_response(frames[0])
    except Undecodable as reason:
        return [("connect", "undecodable", str(reason), frames[0].hex())], None
    blank = not any(password)
    answer = ("connect", protocol, timeout, session != 0, len(password), blank, tail)
    return [answer], (session, password) if session and timeout > 0 else None


def unordered(found):
    """Items with each run of events of one zxid sorted: a session's ephemerals go in any order."""
    result, run = [], []
    for item in found:
        if item[0] == "event" and (not run or run[0][1] == item[1]):
            run.append(item)
            continue
        result.extend(sorted(run, key=repr))
        run = []
        if item[0] == "event":
            run.append(item)
        else:
            result.append(item)
    return result + sorted(run, key=repr)


def difference(step, conn, left, right, requests):
    """The first difference between two lists of items of one connection, or None."""
    if left == right:
        return None
    for one, other in zip(left, right):
        if one != other:
            request = _request_of(one, other, requests)
            return Difference(step, conn, *_drill(one, other, request), request, one, other)
    longer = left if len(left) > len(right) else right
    extra = longer[min(len(left), len(right))]
    absent = ("nothing",)
    one, other = (extra, absent) if longer is left else (absent, extra)
    return Difference(step, conn, "number of frames", one, other,
                      _request_of(one, other, requests), one, other)


def _request_of(one, other, requests):
    for item in (one, other):
        if item[0] == "reply":
            return requests[item[1]] if item[1] < len(requests) else MARKER_REQUEST
    return requests[0] if len(requests) == 1 else None


def _drill(one, other, request):
    """(field, left value, right value) of the first place where two items part."""
    if one[0] != other[0] or one[0] not in ("reply", "event"):
        return "frame", one, other
    names = _REPLY_FIELDS if one[0] == "reply" else _EVENT_FIELDS
    for place, (left, right) in enumerate(zip(one, other)):
        if left == right:
            continue
        name = names[place] if place < len(names) else "rest"
        if name == "body" and request is not None:
            return _drill_body(left, right, request.op)
        prefix = "event." if one[0] == "event" else ""
        return prefix + name, left, right
    return "length", one, other


def _drill_body(left, right, op):
    names = _BODY_FIELDS.get(op, ())
    if len(left) != len(right):
        return "body", left, right
    for place, (one, other) in enumerate(zip(left, right)):
        if one == other:
            continue
        name = names[place] if place < len(names) else f"body[{place}]"
        if name == "stat":
            return _drill_stat("stat", one, other)
        return name, one, other
    return "body", left, right


def _drill_stat(name, left, right):
    for field, one, other in zip(STAT_FIELDS, left, right):
        if one != other:
            return f"{name}.{field}", one, other
    return name, left, right


def _shape(value):
    """A value without its particulars, so that the same fault in a shorter script is recognised."""
    if isinstance(value, tuple):
        return tuple(_shape(part) for part in value[:2])
    if isinstance(value, bytes):
        return "bytes"
    if isinstance(value, int) and not -200 < value < 0:
        return "number"
    return value
