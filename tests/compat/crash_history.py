"""What the writers of the crash test were told, and what the server must show afterwards.

What lives here: the records that writers keep of each operation (attempted, acknowledged), the
state that is read back after a restart, and `violations`, which compares the two. What does not:
sockets, processes and clocks; kill9.py has those. Everything here is plain data, so that a lying
history can be handed to the checker to prove that it would object.
"""

from dataclasses import dataclass, field


@dataclass
class Counter:
    """One znode that one writer sets to 1, 2, 3 …; data and version must always be equal."""

    acked: int = 0
    sent: int = 0


@dataclass
class SequenceWriter:
    """Sequential creates of one writer, in the order in which it sent them.

    `tokens` is the data of each create; `names` maps a token to the child name of its answer.
    """

    tokens: list = field(default_factory=list)
    names: dict = field(default_factory=dict)
    delete_sent: set = field(default_factory=set)
    delete_acked: set = field(default_factory=set)


@dataclass
class Group:
    """Child names that one multi creates: all of them or none."""

    names: tuple
    acked: bool = False
    must_fail: bool = False


@dataclass
class EphemeralSession:
    """A session and the names of its ephemerals. `closing` means that a close was sent."""

    session_id: int
    password: bytes
    timeout_ms: int
    last_zxid: int = 0
    sent: list = field(default_factory=list)
    acked: list = field(default_factory=list)
    closing: bool = False
    closed: bool = False


@dataclass
class History:
    """All that the writers of one load know when the server is killed."""

    counters: dict = field(default_factory=dict)
    sequences: list = field(default_factory=list)
    groups: list = field(default_factory=list)
    sessions: list = field(default_factory=list)
    zxid_acked: int = 0
    complaints: list = field(default_factory=list)


@dataclass
class Observed:
    """What the server shows after its restart. Children map a name to (data, Stat)."""

    counters: dict = field(default_factory=dict)
    sequence: dict = field(default_factory=dict)
    next_sequence: int = 0
    groups: dict = field(default_factory=dict)
    ephemerals: dict = field(default_factory=dict)
    zxid: int = 0


def violations(history, observed):
    """Every promise that `observed` breaks, as sentences; an empty list when none is."""
    found = list(history.complaints)
    found += _counter_violations(history, observed)
    found += _acknowledged_name_violations(history, observed)
    found += _sequence_order_violations(history, observed)
    found += _group_violations(history, observed)
    found += _session_violations(history, observed)
    if observed.zxid < history.zxid_acked:
        found.append(f"zxid {observed.zxid:#x} is below the acknowledged {history.zxid_acked:#x}")
    return found


def _counter_violations(history, observed):
    for path, counter in history.counters.items():
        if path not in observed.counters:
            yield f"{path} is gone"
            continue
        data, stat = observed.counters[path]
        value = int(data)
        if not counter.acked <= value <= counter.sent:
            yield f"{path} is {value}: acknowledged {counter.acked}, sent {counter.sent}"
        if stat.version != value:
            yield f"{path} is {value} at version {stat.version}: a set is missing or doubled"


def _acknowledged_name_violations(history, observed):
    for writer in history.sequences:
        for token, name in writer.names.items():
            present = name in observed.sequence
            if name in writer.delete_acked:
                if present:
                    yield f"{name} is back after its acknowledged delete"
            elif not present and name not in writer.delete_sent:
                yield f"{name} ({token}) was acknowledged and is gone"
            elif present and observed.sequence[name][0].decode() != token:
                yield f"{name} holds {observed.sequence[name][0]!r}, not {token}"


def _sequence_order_violations(history, observed):
    acked = [name for writer in history.sequences for name in writer.names.values()]
    if len(set(acked)) != len(acked):
        yield "a sequence number was acknowledged twice"
    tokens = {}
    for name, (data, _) in observed.sequence.items():
        tokens.setdefault(data.decode(), set()).add(name)
    sent = {token for writer in history.sequences for token in writer.tokens}
    for token, names in tokens.items():
        if len(names) > 1:
            yield f"{token} was created more than once: {sorted(names)}"
        if token not in sent:
            yield f"{sorted(names)[0]} holds {token}, which nobody sent"
    by_number = sorted(observed.sequence, key=_number)
    zxids = [observed.sequence[name][1].czxid for name in by_number]
    if zxids != sorted(set(zxids)):
        yield "sequence numbers do not rise with the zxids of their creates"
    for writer in history.sequences:
        yield from _writer_order_violations(writer, tokens)
    highest = max((_number(name) for name in [*acked, *observed.sequence]), default=-1)
    if observed.next_sequence <= highest:
        yield f"the next sequence number {observed.next_sequence} is not above {highest}"


def _writer_order_violations(writer, tokens):
    last = -1
    for token in writer.tokens:
        names = {writer.names[token]} if token in writer.names else tokens.get(token, set())
        for name in names:
            if _number(name) <= last:
                yield f"{name} ({token}) does not follow number {last} of the same writer"
            last = _number(name)


def _group_violations(history, observed):
    for group in history.groups:
        present = [name for name in group.names if name in observed.groups]
        if group.must_fail and present:
            yield f"multi {group.names} had to fail, yet {present} exist"
        elif 0 < len(present) < len(group.names):
            yield f"multi {group.names} is half applied: {present}"
        elif group.acked and not present:
            yield f"multi {group.names} was acknowledged and is gone"
        elif len({observed.groups[name][1].czxid for name in present}) > 1:
            yield f"multi {group.names} is spread over several zxids"


def _session_violations(history, observed):
    for session in history.sessions:
        label = f"session {session.session_id:#x}"
        present = [name for name in session.sent if name in observed.ephemerals]
        for name in present:
            owner = observed.ephemerals[name][1].ephemeral_owner
            if owner != session.session_id:
                yield f"{name} of {label} belongs to {owner:#x}"
        missing = [name for name in session.acked if name not in present]
        if session.closed and present:
            yield f"{label} was closed, yet {present} exist"
        elif session.closing and present and missing:
            yield f"{label} is half closed: {present} exist, {missing} do not"
        elif not session.closing and missing:
            yield f"{label} lives, yet its {missing} are gone"


def _number(name):
    return int(name[-10:])
