#!/usr/bin/env python3
"""Asks two servers the same things and compares every answer, field by field.

    differ.py --requests 100000 --seed 7 --left apache --right ostler

What lives here: the command line, the plan of a run (which server settings, which rounds, how
many), and the report. The last line is `N passed, M failed`; the exit code is 1 when anything
failed. Everything random comes from the seed.
"""

import argparse
import collections
import itertools
import random
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import alone  # noqa: E402
import rounds  # noqa: E402
import sweeps  # noqa: E402
from bench_of_two import Bench, VARIANTS  # noqa: E402
from explain import RULES, rule_for  # noqa: E402
from report import describe  # noqa: E402
from rounds import Game  # noqa: E402
from runner import Unreachable  # noqa: E402
from shrink import shrink  # noqa: E402

RANDOM_ROUND_REQUESTS = 400
# The same difference shows again and again until it is mended: enough is enough.
REPEATS_MAX = 5


class Failure(Exception):
    """A round ended with a difference that no rule explains."""

    def __init__(self, difference, steps):
        super().__init__(difference.field)
        self.difference = difference
        self.steps = steps


class Run:
    """One run of the differ: the servers, the counters, the failures found."""

    def __init__(self, options, work):
        self.options = options
        self.bench = Bench(options.left, options.right, options.port, work)
        self.explained = collections.Counter()
        self.passed = 0
        self.failures = []
        self.seen = collections.Counter()
        self.numbers = itertools.count(1)
        self.started = time.monotonic()

    def play(self):
        share = self.options.requests / sum(weight for _, weight in VARIANTS)
        for variant, weight in VARIANTS:
            if self.options.variant in (None, variant):
                self._play_variant(variant, share * weight)

    def _play_variant(self, variant, requests):
        rng = random.Random(f"{self.options.seed}/{variant}")
        self.bench.start(variant)
        target = self.passed + requests
        for name, sweep in sweeps.all_for(variant):
            if self.options.only in (None, name) and not self._enough():
                self._round(f"{variant}/{name}", sweep, variant, rng.getrandbits(64))
        count = 0
        while self.passed < target and not self._enough() and self.options.only in (None, "random"):
            count += 1
            self._round(f"{variant}/random {count}", random_play, variant, rng.getrandbits(64))
        if self.options.only in (None, "alone"):
            self._alone(variant)
        self.bench.stop()

    def _alone(self, variant):
        """What can be asked of Ostler only."""
        for name, side in zip(self.bench.names, self.bench.pair.sides):
            if name == "ostler":
                passed, failures = alone.check(side.port, variant)
                self.passed += passed
                self.failures += failures
                for failure in failures:
                    print(f"\nFAILED {variant}/alone: {failure}", flush=True)

    def _enough(self):
        return (len(self.seen) >= self.options.failures
                or len(self.failures) >= REPEATS_MAX * self.options.failures)

    def _round(self, name, play, variant, seed):
        number = next(self.numbers)
        game = Game(number, random.Random(seed), variant)
        pair = self.bench.pair
        try:
            pair.begin_round()
            self._drive(pair, play(game))
        except Failure as failure:
            self._record(name, variant, game.root, failure)
        except Unreachable as error:
            self.failures.append(name)
            print(f"\nFAILED {name}: {error}\n{self.bench.last_words()}", flush=True)
            self.bench.restart()
        self.passed += pair.answered
        pair.answered = 0

    def _drive(self, pair, play):
        """Sends a round its outcomes until it ends; raises Failure on the first difference."""
        steps, outcome = [], None
        while True:
            try:
                step = play.send(outcome)
            except StopIteration:
                return
            steps.append(step)
            outcome = pair.perform(step)
            for difference in outcome.differences:
                rule = rule_for(difference, step)
                if rule is None:
                    raise Failure(difference, steps)
                self.explained[rule.name] += 1
                if rule.resync:
                    pair.resynchronise()

    def _record(self, name, variant, root, failure):
        """Prints a difference with the shortest steps that show it, and starts afresh."""
        self.failures.append(name)
        steps = failure.steps
        difference = failure.difference
        signature = difference.signature()
        if signature in self.seen:
            self.seen[signature] += 1
            print(f"\nAGAIN in {name}: {difference.field} of "
                  f"{difference.request or 'a step'}"[:200], flush=True)
            self.bench.restart()
            return
        self.seen[signature] = 1
        if not self.options.no_shrink:
            self.bench.restart()
            steps, difference, again = shrink(self.bench, steps, difference, root, self.numbers)
            name += "" if again else " (did not show again in a rerun)"
        print(describe(name, self.options.seed, variant, steps, difference), flush=True)
        if not self._enough():
            self.bench.restart()

    def close(self):
        print("\nexplained differences:" if self.explained else "\nno explained differences")
        for rule in RULES:
            if self.explained[rule.name]:
                print(f"  {self.explained[rule.name]:7} {rule.name}")
        seconds = time.monotonic() - self.started
        print(f"{self.bench.events} watch events compared, {seconds:.0f} s, "
              f"seed {self.options.seed}")
        print(f"{self.passed} passed, {len(self.failures)} failed")


def random_play(game):
    return rounds.random_round(game, RANDOM_ROUND_REQUESTS)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--left", default="apache", help="the reference: apache or ostler")
    parser.add_argument("--right", default="ostler",
                        help="apache, ostler, or faulty:KIND (apache behind a planted fault)")
    parser.add_argument("--port", type=int, default=22100, help="first of four ports to use")
    parser.add_argument("--variant", choices=[name for name, _ in VARIANTS],
                        help="only this server setting")
    parser.add_argument("--only", help="only the rounds of this name (or 'random')")
    parser.add_argument("--failures", type=int, default=10,
                        help="give up after so many different ones")
    parser.add_argument("--no-shrink", action="store_true", help="report whole scripts")
    parser.add_argument("--work", help="directory for the servers' files (default: temporary)")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="differ-") as temporary:
        run = Run(options, Path(options.work or temporary))
        try:
            run.play()
        finally:
            run.bench.stop()
        run.close()
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
