"""What clients did and were told, and the checks on it that need no more than that.

A call is (client, session, verb, key, value, number, begin, end, home): times are of the clock that
all processes of the machine share, `home` is the server that was asked, `number` is what the
answer said or None when none came: the call may then have happened once, or not at all. Verbs:

    set     the value, which nobody else ever writes, replaced a register's; number: its version
    read    of a register through one server's own state; number: its version
    strong  the same behind a sync, or linearizable
    append  a sequential znode with a value that nobody else writes; number: its place

Each check yields what is wrong, and nothing when all is well.
"""

import bisect
import collections

Call = collections.namedtuple("Call", "client session verb key value number begin end home")


def by_key(calls, *verbs):
    """Calls of these verbs, by key."""
    keys = collections.defaultdict(list)
    for call in calls:
        if call.verb in verbs:
            keys[call.key].append(call)
    return dict(sorted(keys.items()))


def doubled_or_lost(calls, final):
    """Every version and place has one value, every value one place, acknowledged is there.

    `final` says for each key what there is at the end: {number: value} where all places can still
    be seen, or only the last version of a register.
    """
    for key, about in by_key(calls, "set", "read", "strong", "append").items():
        place_of, value_at = {}, {}
        known = [(call.number, call.value) for call in about if call.number is not None]
        for number, value in [*known, *final[key].items()]:
            if value_at.setdefault(number, value) != value:
                yield f"{key}: {number} is {value_at[number]} and {value}"
            if place_of.setdefault(value, number) != number:
                yield f"{key}: {value} happened twice, as {place_of[value]} and {number}"
        last = max(final[key])
        for call in about:
            if call.number is not None and call.number > last:
                yield f"{key}: {call.number} was seen and is lost, the last is {last}"
            if call.verb == "append" and call.number is not None and (
                    call.number not in final[key]):
                yield f"{key}: {call.value} was acknowledged as {call.number} and is lost"
        asked = {call.value for call in about if call.verb in ("set", "append")}
        for number, value in value_at.items():
            if value not in asked and not value.startswith("0"):
                yield f"{key}: {number} holds {value}, which nobody wrote"


def unexplained(calls, final):
    """Every version of a register is some client's write."""
    for key, about in by_key(calls, "set").items():
        acknowledged = sum(call.number is not None for call in about)
        doubtful = len(about) - acknowledged
        happened = max(final[key])
        if not acknowledged <= happened <= acknowledged + doubtful:
            yield (f"{key}: at version {happened} after {acknowledged} acknowledged and "
                   f"{doubtful} unanswered writes")


def not_linearizable(calls):
    """What ended before something began stands before it, in writes and in strong reads."""
    for key, about in by_key(calls, "set", "strong", "append").items():
        yield from _backwards(key, [call for call in about if call.number is not None])


def not_in_session_order(calls):
    """Within a session no register ever goes back, whichever way it is read."""
    for key, about in by_key(calls, "set", "read", "strong").items():
        sessions = collections.defaultdict(list)
        for call in about:
            if call.number is not None:
                sessions[call.session].append(call)
        for session, own in sorted(sessions.items()):
            yield from _backwards(f"{key} of session {session}", own)


def read_too_early(calls):
    """Nothing is read before somebody set out to write it."""
    for key, about in by_key(calls, "set", "read", "strong").items():
        began = {call.value: call.begin for call in about if call.verb == "set"}
        for call in about:
            if call.verb != "set" and call.end < began.get(call.value, call.end):
                yield f"{key}: {call.value} was read {began[call.value] - call.end} s too early"


def _backwards(what, calls):
    """Calls that show less than what had been shown before they began; writes must show more."""
    ended = sorted(calls, key=lambda call: call.end)
    ends = [call.end for call in ended]
    reached, highest = [], -1
    for call in ended:
        highest = max(highest, call.number)
        reached.append(highest)
    for call in calls:
        before = bisect.bisect_left(ends, call.begin)
        if before == 0:
            continue
        least = reached[before - 1] + (call.verb in ("set", "append"))
        if call.number < least:
            yield (f"{what}: {call.verb} {call.value} by client {call.client} at server "
                   f"{call.home} told {call.number} at {call.end:.3f}, after {least} was due "
                   f"since {ends[before - 1]:.3f}")


CHECKS = {
    "no write is lost, and none happened twice": doubled_or_lost,
    "every version was written by somebody": unexplained,
    "writes and strong reads are linearizable": lambda calls, _: not_linearizable(calls),
    "no session saw anything go back": lambda calls, _: not_in_session_order(calls),
    "nothing was read before it was written": lambda calls, _: read_too_early(calls),
}
