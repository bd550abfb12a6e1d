"""A difference as text: what was done, what each side said, how to see it again.

What lives here: rendering only. Caller: differ.py.
"""

import readable
from decode import STAT_FIELDS

ERRORS = {
    0: "OK", -1: "SYSTEMERROR", -2: "RUNTIMEINCONSISTENCY", -5: "MARSHALLINGERROR",
    -6: "UNIMPLEMENTED", -8: "BADARGUMENTS", -100: "APIERROR", -101: "NONODE", -102: "NOAUTH",
    -103: "BADVERSION", -108: "NOCHILDRENFOREPHEMERALS", -110: "NODEEXISTS", -111: "NOTEMPTY",
    -112: "SESSIONEXPIRED", -114: "INVALIDACL", -115: "AUTHFAILED", -118: "SESSIONMOVED",
    -119: "NOTREADONLY", -120: "EPHEMERALONLOCALSESSION", -121: "NOWATCHER",
    -123: "RECONFIGDISABLED", -124: "SESSIONCLOSEDREQUIRESASLAUTH", -125: "QUOTAEXCEEDED",
    -127: "THROTTLEDOP",
}


def describe(name, seed, variant, steps, difference):
    """The report of one difference, several lines."""
    lines = ["", f"DIFFERENCE in {name} (seed {seed}, --variant {variant}): {difference.field}"]
    lines += [f"  {line}" for step in steps[:difference.step] for line in step.lines()]
    at_fault = steps[difference.step] if difference.step < len(steps) else None
    if at_fault is not None:
        requests = at_fault.requests()
        lines += [f"  {line}" for line in at_fault.lines()]
        if difference.request is not None and difference.request in requests and len(requests) > 1:
            lines.append(f"  at: {difference.request}")
    lines.append(f"  seen on conn {difference.conn}:")
    lines.append(f"    left : {_value(difference.field, difference.left)}   "
                 f"{_item(difference.left_item)}")
    lines.append(f"    right: {_value(difference.field, difference.right)}   "
                 f"{_item(difference.right_item)}")
    return "\n".join(lines)


def _value(field, value):
    if field == "err":
        return f"{value} {ERRORS.get(value, '?')}"
    if isinstance(value, bytes):
        return readable.quoted(value)
    return readable.shorten(repr(value), 300)


def _item(item):
    """One item as text: zxids are distances from the base."""
    if item[0] == "reply":
        _, _, xid, zxid, error, body = item
        return (f"reply xid={xid} zxid={zxid} err={error} {ERRORS.get(error, '?')} "
                f"{readable.shorten(' '.join(map(_part, body)), 400)}").rstrip()
    if item[0] == "event":
        return f"event zxid={item[1]} type={item[3]} state={item[4]} path={_part(item[5])}"
    return readable.shorten(repr(item), 300)


def _part(value):
    if isinstance(value, bytes) or value is None:
        return readable.quoted(value)
    if isinstance(value, tuple) and len(value) == len(STAT_FIELDS):
        return "{" + " ".join(f"{name}={part}" for name, part in zip(STAT_FIELDS, value)) + "}"
    return repr(value)
