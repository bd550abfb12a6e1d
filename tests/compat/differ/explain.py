"""Deliberate differences: rules that say which, and why.

What lives here: the list of rules, matched against each Difference. explained.md tells the same to
a reader and has to name every rule (the self-test compares the two). A rule is as narrow as it can
be: it names the operation, the field and both values, so that a fault beside it still shows.
"""

import dataclasses
import re
from collections.abc import Callable

import encode as e
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


def _lines(difference, _step):
    """A four-letter word whose lines differ only where EXPLAINED_LINES says so."""
    if not difference.field.startswith("word "):
        return False
    patterns = EXPLAINED_LINES.get(difference.field.removeprefix("word "), ())
    return all(any(re.fullmatch(pattern, line) for pattern in patterns)
               for line in (*difference.left, *difference.right))


# Shapes of lines (words.py) that only one server needs to have; a reason each in explained.md.
EXPLAINED_LINES = {}

RULES = (
    Rule("delete-container-refused", _free("delete-container-refused"), resync=True),
    Rule("body-behind-an-error", _body_behind_error),
    Rule("words", _lines),
)


def rule_for(difference, step):
    """The first rule that explains `difference`, or None."""
    return next((rule for rule in RULES if rule.applies(difference, step)), None)
