"""The shortest script that still shows a difference.

What lives here: leaving out steps and requests of a recorded round and running the rest again,
under a fresh root name, as long as the same difference shows. What does not: judging (compare.py).
Bounded in tries and in time, because each try asks two servers.
"""

import time

from explain import rule_for
from rounds import ROOT_FORM
from runner import Unreachable
from script import Batch

TRIES_MAX = 150
SECONDS_MAX = 40.0


class Shrinker:
    def __init__(self, bench, difference, root, numbers):
        self.bench = bench
        self.wanted = difference.signature()
        self.root = root
        self.numbers = numbers
        self.tries = 0
        self.shown_under = root
        self.deadline = time.monotonic() + SECONDS_MAX

    def exhausted(self):
        return self.tries >= TRIES_MAX or time.monotonic() > self.deadline

    def shows(self, steps):
        """The difference when `steps` show it again, else None."""
        self.tries += 1
        pair = self.bench.pair
        root = ROOT_FORM % next(self.numbers)
        moved = [step.moved(self.root, root) for step in steps]
        try:
            pair.begin_round()
            for step in moved:
                outcome = pair.perform(step)
                for found in outcome.differences:
                    rule = rule_for(found, step)
                    if rule is None and found.signature() == self.wanted:
                        self.shown_under = root
                        return found
                    if rule is None:
                        return None
                    if rule.resync:
                        pair.resynchronise()
        except Unreachable:
            self.bench.restart()
        return None

    def without_steps(self, steps, best):
        """Leaves out runs of steps, long ones first; the last step, at fault, stays."""
        size = max(1, (len(steps) - 1) // 2)
        while size:
            at = 0
            while at < len(steps) - 1 and not self.exhausted():
                shorter = steps[:at] + steps[min(at + size, len(steps) - 1):]
                found = self.shows(shorter)
                if found is not None:
                    steps, best = shorter[:found.step + 1], found
                else:
                    at += size
            size //= 2
        return steps, best

    def without_requests(self, steps, best):
        """Leaves requests out of batches, half a batch first."""
        for place in range(len(steps) - 1, -1, -1):
            if not isinstance(steps[place], Batch):
                continue
            size = max(1, len(steps[place].batch) // 2)
            while size:
                at = 0
                while at < len(steps[place].batch) > 1 and not self.exhausted():
                    batch = steps[place].batch
                    shorter = list(steps)
                    shorter[place] = Batch(steps[place].conn, batch[:at] + batch[at + size:])
                    found = self.shows(shorter) if shorter[place].batch else None
                    if found is not None and found.step == len(steps) - 1:
                        steps, best = shorter, found
                    else:
                        at += size
                size //= 2
        return steps, best


def shrink(bench, steps, difference, root, numbers):
    """(steps, difference, shown again): as short as the bounds allow."""
    shrinker = Shrinker(bench, difference, root, numbers)
    steps = steps[:difference.step + 1]
    best = shrinker.shows(steps)
    if best is None:
        return steps, difference, False
    steps = steps[:best.step + 1]
    steps, best = shrinker.without_steps(steps, best)
    steps, best = shrinker.without_requests(steps, best)
    steps, best = shrinker.without_steps(steps, best)
    # The last run that showed it had a root name of its own, which is in its answers.
    return [step.moved(root, shrinker.shown_under) for step in steps], best, True
