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


def _absolute_zxid(difference, _step):
    """A setWatches whose relative zxid is a number taken from nowhere."""
    made_up = difference.right_item[:2] == ("event", ("literal", -1))
    return made_up or (difference.request is not None and difference.request.op == e.SET_WATCHES)


def _root_by_its_other_name(difference, _step):
    return (difference.field == "totalNumber" and isinstance(difference.left, int)
            and difference.left == difference.right + 1)


def _surrogates(difference, _step):
    """The echoed path of a sync: three bytes a surrogate on the left, UTF-8 on the right."""
    if difference.field not in ("path", "event.path"):
        return False
    sides = (difference.left, difference.right)
    texts = [side if isinstance(side, bytes) else str(side).encode("latin-1", "replace")
             for side in sides]
    return any(b"\xed" in text or "\\xed" in str(side) or "\xed" in str(side)
               for text, side in zip(texts, sides))


def _kick_by_guess(difference, step):
    """A live connection that Apache ends because somebody guessed at its password."""
    return difference.left == ("end", "closed") and getattr(step, "password", None) is not None


def _lines(difference, _step):
    """A four-letter word whose lines differ only where EXPLAINED_LINES says so."""
    if not difference.field.startswith("word "):
        return False
    patterns = EXPLAINED_LINES.get(difference.field.removeprefix("word "), ())
    return all(any(re.fullmatch(pattern, line) for pattern in patterns)
               for line in (*difference.left, *difference.right))


# Shapes of lines (words.py) that only one server needs to have; a reason each in explained.md.
EXPLAINED_LINES = {
    "hash": (r".*",),
    "mntr": (metrics.SHAPE,),
    "envi": (r"java\..*", r"os\.memory\..*"),
}

RULES = (
    Rule("delete-container-refused", _free("delete-container-refused"), resync=True),
    Rule("body-behind-an-error", _body_behind_error),
    Rule("order-of-auth-entries", _same_acl),
    Rule("absolute-zxid", _absolute_zxid, resync=True),
    Rule("root-by-its-other-name", _root_by_its_other_name),
    Rule("surrogates", _surrogates),
    Rule("password-guessed", _kick_by_guess, resync=True),
    Rule("words", _lines),
)


def rule_for(difference, step):
    """The first rule that explains `difference`, or None."""
    return next((rule for rule in RULES if rule.applies(difference, step)), None)
