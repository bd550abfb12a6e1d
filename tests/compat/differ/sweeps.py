"""The systematic rounds: tours through every operation, field and form of malformed input.

What lives here: the list of them. Each is a function of the Game that yields steps, as a random
round does; they live in sweep_bytes.py (forms), sweep_fields.py (contents), sweep_watches.py and
sweep_groups.py (operations that belong together).
"""

import quota
import sweep_bytes
import sweep_fields
import sweep_groups
import sweep_watches
from rounds import begin, finish

_SWEEPS = {
    "truncated": sweep_bytes.truncated, "extra-bytes": sweep_bytes.extra_bytes,
    "lying-lengths": sweep_bytes.lying_lengths, "opcodes": sweep_bytes.opcodes,
    "frames": sweep_bytes.frames, "connects": sweep_bytes.connects,
    "connect-bytes": sweep_bytes.connect_bytes, "xids": sweep_bytes.xids,
    "paths": sweep_fields.paths, "flags": sweep_fields.flags, "versions": sweep_fields.versions,
    "acls": sweep_fields.acls, "permissions": sweep_fields.permissions,
    "auths": sweep_fields.auths, "sequences": sweep_fields.sequences, "sizes": sweep_fields.sizes,
    "ttls": sweep_fields.ttls,
    "watches": sweep_watches.matrix, "watch-removal": sweep_watches.removal,
    "set-watches": sweep_watches.catching_up, "watch-acls": sweep_watches.filtered,
    "watch-pairs": sweep_watches.pairs,
    "multi": sweep_groups.multi, "multi-forms": sweep_groups.multi_forms,
    "multi-read": sweep_groups.multi_read, "quotas": quota.quotas,
    "sessions": sweep_groups.sessions, "zookeeper-tree": sweep_groups.zookeeper_tree,
    "expiry": sweep_groups.expiry, "words": sweep_groups.four_letter_words,
    "scrap": sweep_groups.scrap,
}


# A server setting changes only what these ask; the plain servers get every round.
_CHANGED_BY = {
    "quota": ("quotas", "flags", "ttls", "sequences", "sizes", "multi", "multi-forms"),
    "no-ttl": ("flags", "ttls", "sequences", "multi", "multi-forms", "truncated", "scrap",
               "words"),
    "expiry": ("expiry",),
}


def all_for(variant):
    """(name, round) of every systematic round for a server setting."""
    names = _CHANGED_BY.get(variant) or [name for name in _SWEEPS if name != "expiry"]
    return [(name, _whole(_SWEEPS[name])) for name in names]


def _whole(sweep):
    """A sweep between the start and the end that every round has."""
    def play(game):
        conn = yield from begin(game)
        yield from sweep(game, conn)
        yield from finish(game)
    return play
