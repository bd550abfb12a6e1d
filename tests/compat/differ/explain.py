"""Deliberate differences: rules that say which, and why.

What lives here: the list of rules, matched against each Difference. explained.md tells the same to
a reader and has to name every rule (the self-test compares the two). A rule is as narrow as it can
be: it names the operation, the field and both values, so that a fault beside it still shows.
"""

import dataclasses
from collections.abc import Callable


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


RULES = (
    Rule("delete-container-refused", _free("delete-container-refused"), resync=True),
)


def rule_for(difference, step):
    """The first rule that explains `difference`, or None."""
    return next((rule for rule in RULES if rule.applies(difference, step)), None)
