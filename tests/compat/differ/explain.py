"""Deliberate differences: rules that say which, and why.

What lives here: the list of rules, matched against each Difference. explained.md tells the same to
a reader and has to name every rule (the self-test compares the two). A rule is as narrow as it can
be: it names the operation, the field and both values, so that a fault beside it still shows.
"""

import dataclasses
import re
from collections.abc import Callable

import encode as e
import metrics
from decode import BODY_BEHIND_ERROR
from script import Connect


@dataclasses.dataclass(frozen=True)
class Rule:
    """`applies(difference, step)` is true for what this rule explains; `resync` when one side
    may have used a zxid the other did not."""

    name: str
    applies: Callable
    resync: bool = False


def _free(name):
    return lambda difference, _step: (difference.request is not None
                                      and difference.request.free == name)


def _body_behind_error(difference, _step):
    return (difference.field == "body" and difference.left == (BODY_BEHIND_ERROR,)
            and difference.right == () and difference.request is not None
            and difference.request.op == e.MULTI_READ)


def _same_acl(difference, _step):
    """The entries that `auth` stands for, in another order."""
    return (difference.field == "acl" and difference.left and difference.right
            and sorted(map(repr, difference.left)) == sorted(map(repr, difference.right)))


def _surrogates(difference, _step):
    """A path given back: three bytes a surrogate on the left, the same text in UTF-8 on the right.
    """
    if difference.field not in ("path", "event.path"):
        return False
    if not isinstance(difference.left, bytes) or not isinstance(difference.right, bytes):
        return False
    try:
        halves = difference.left.decode("utf-8", "surrogatepass")
        whole = halves.encode("utf-16", "surrogatepass").decode("utf-16")
        return halves != whole and whole == difference.right.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _kick_by_guess(difference, step):
    """A live connection that Apache ends because another one guessed at its session's password."""
    return (isinstance(step, Connect) and step.session_of is not None
            and step.password is not None and difference.conn != step.conn
            and difference.left == ("end", "closed") and difference.right[0] == "reply")


def _lines(difference, _step):
    """A four-letter word whose lines differ only where EXPLAINED_LINES says so."""
    if not difference.field.startswith("word "):
        return False
    both = EXPLAINED_LINES.get(difference.field.removeprefix("word "), ((), ()))
    return all(any(re.fullmatch(pattern, line) for pattern in patterns)
               for patterns, lines in zip(both, (difference.left, difference.right))
               for line in lines)


# Shapes of lines (words.py) that only Apache, or only Ostler, has; a reason each in explained.md.
EXPLAINED_LINES = {
    "mntr": ((metrics.SHAPE,), (metrics.OURS,)),
    "envi": ((r"java\.(class\.path|compiler|home|io\.tmpdir|library\.path|vendor|version)",
              r"os\.memory\.(free|max|total)"), ()),
}

RULES = (
    Rule("delete-container-refused", _free("delete-container-refused"), resync=True),
    Rule("create-session-refused", _free("create-session-refused"), resync=True),
    Rule("body-behind-an-error", _body_behind_error),
    Rule("order-of-auth-entries", _same_acl),
    Rule("surrogates", _surrogates),
    Rule("password-guessed", _kick_by_guess),
    Rule("words", _lines),
)


def rule_for(difference, step):
    """The first rule that explains `difference`, or None."""
    return next((rule for rule in RULES if rule.applies(difference, step)), None)
