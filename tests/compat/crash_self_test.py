"""Proves that the checker of the crash test objects: one truthful history, and many lies about it.

Called by `kill9.py --self-test`. Each lie changes one thing, in what the writers were told or in
what the server shows; the checker must name it, and must be silent about the truth.
"""

import copy

from crash_history import (
    Counter, EphemeralSession, Group, History, Observed, SequenceWriter, violations)
from jute import Stat

SESSION = 0x1000


def _stat(czxid, version=0, owner=0):
    return Stat(czxid, czxid, 0, 0, version, 0, 0, owner, 1, 0, czxid)


def truthful():
    """A history and the state that keeps all of its promises, with unanswered operations."""
    writer = SequenceWriter(
        tokens=["a0", "a1", "a2", "a3"],
        names={"a0": "n0000000000", "a1": "n0000000001", "a2": "n0000000003"},
        delete_sent={"n0000000001"}, delete_acked={"n0000000001"})
    other = SequenceWriter(tokens=["b0"], names={"b0": "n0000000002"})
    history = History(
        counters={"/counter": Counter(acked=7, sent=9)},
        sequences=[writer, other],
        groups=[Group(("g0", "g1"), acked=True), Group(("h0", "h1", "h2")),
                Group(("i0", "i1"), must_fail=True)],
        sessions=[
            EphemeralSession(SESSION, b"", 1000, sent=["e0", "e1"], acked=["e0", "e1"]),
            EphemeralSession(SESSION + 1, b"", 1000, sent=["f0", "f1"], acked=["f0", "f1"],
                             closing=True),
            EphemeralSession(SESSION + 2, b"", 1000, sent=["x0"], acked=["x0"], closing=True,
                             closed=True)],
        zxid_acked=40)
    observed = Observed(
        counters={"/counter": (b"8", _stat(1, version=8))},
        sequence={"n0000000000": (b"a0", _stat(10)), "n0000000002": (b"b0", _stat(12)),
                  "n0000000003": (b"a2", _stat(13)), "n0000000004": (b"a3", _stat(14))},
        next_sequence=5,
        groups={"g0": (b"", _stat(20)), "g1": (b"", _stat(20))},
        ephemerals={name: (b"", _stat(30, owner=SESSION)) for name in ("e0", "e1")},
        zxid=41)
    observed.ephemerals.update(
        {name: (b"", _stat(31, owner=SESSION + 1)) for name in ("f0", "f1")})
    return history, observed


def _set_counter(value, version):
    return lambda _, o: o.counters.update({"/counter": (value, _stat(1, version=version))})


def _shows(table, name, data=b"", czxid=50, owner=0):
    return lambda _, o: getattr(o, table).update({name: (data, _stat(czxid, owner=owner))})


def _hides(table, name):
    return lambda _, o: getattr(o, table).pop(name)


def _sets(of, name, value):
    return lambda h, o: setattr(o if of == "observed" else h, name, value)


LIES = {
    "an acknowledged set is lost": _set_counter(b"6", 6),
    "a value nobody sent": _set_counter(b"10", 10),
    "a set applied twice": _set_counter(b"8", 9),
    "a counter is gone": _hides("counters", "/counter"),
    "an acknowledged sequential create is lost": _hides("sequence", "n0000000003"),
    "a deleted znode is back": _shows("sequence", "n0000000001", b"a1", 11),
    "a znode holds another's data": _shows("sequence", "n0000000003", b"b0", 13),
    "one create applied twice": _shows("sequence", "n0000000005", b"a3", 15),
    "a znode nobody created": _shows("sequence", "n0000000005", b"z9", 15),
    "numbers do not follow zxids": _shows("sequence", "n0000000004", b"a3", 9),
    "a number is handed out twice": lambda h, _: h.sequences[1].names.update(
        {"b0": "n0000000003"}),
    "a writer's numbers fall": lambda h, _: h.sequences[0].tokens.reverse(),
    "the next number is not new": _sets("observed", "next_sequence", 4),
    "half a multi is lost": _hides("groups", "g1"),
    "an acknowledged multi is lost": lambda _, o: o.groups.clear(),
    "half an unanswered multi is applied": _shows("groups", "h1"),
    "a failed multi is applied": _shows("groups", "i0"),
    "a multi is spread over two zxids": _shows("groups", "g1", czxid=21),
    "an ephemeral of a live session is lost": _hides("ephemerals", "e1"),
    "an ephemeral has another owner": _shows("ephemerals", "e1", owner=SESSION + 9),
    "a session is half closed": _hides("ephemerals", "f0"),
    "a closed session's ephemeral is back": _shows("ephemerals", "x0", owner=SESSION + 2),
    "the zxid went back": _sets("observed", "zxid", 39),
    "a writer had a complaint": _sets("history", "complaints", ["connection lost too early"]),
}


def failures():
    """What is wrong with the checker: lies it believed, or a truth it denied."""
    wrong = [f"denied the truth: {text}" for text in violations(*truthful())]
    for name, tell in LIES.items():
        history, observed = copy.deepcopy(truthful())
        tell(history, observed)
        if not violations(history, observed):
            wrong.append(f"believed: {name}")
    return wrong
