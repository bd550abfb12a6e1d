#!/usr/bin/env python3
"""Each check of history.py finds what it is there for, and nothing in a history that is well."""

import sys
import unittest

import history
from history import Call


def call(verb, value, number, begin, end, key="/r", session=1):
    return Call(0, session, verb, key, value, number, begin, end, 1)


GOOD = [call("set", "a", 1, 0.0, 1.0), call("set", "b", 2, 0.5, 2.0), call("read", "a", 1, 2.1, 2.2,
        session=2), call("strong", "b", 2, 2.1, 2.3), call("set", "c", None, 3.0, 4.0)]
FINAL = {"/r": {2: "b"}}


class Checks(unittest.TestCase):
    def found(self, check, calls, final=None):
        return list(history.CHECKS[check](calls, final or FINAL))

    def test_a_good_history_passes(self):
        for check in history.CHECKS:
            self.assertEqual(self.found(check, GOOD), [], check)
            self.assertEqual(self.found(check, GOOD, {"/r": {3: "c"}}), [], check)

    def test_lost_and_doubled_writes(self):
        check = "no write is lost, and none happened twice"
        self.assertTrue(self.found(check, GOOD, {"/r": {1: "a"}}))
        self.assertTrue(self.found(check, GOOD, {"/r": {3: "a"}}))
        self.assertTrue(self.found(check, GOOD, {"/r": {3: "stranger"}}))
        self.assertTrue(self.found(check, [*GOOD, call("set", "d", 2, 5.0, 6.0)]))
        appended = [call("append", "x", 7, 0.0, 1.0, "/s")]
        self.assertTrue(self.found(check, appended, {"/s": {6: "0", 8: "0"}}))
        self.assertFalse(self.found(check, appended, {"/s": {7: "x"}}))

    def test_versions_nobody_wrote(self):
        check = "every version was written by somebody"
        self.assertTrue(self.found(check, GOOD, {"/r": {4: "c"}}))
        self.assertTrue(self.found(check, GOOD, {"/r": {1: "a"}}))

    def test_stale_strong_reads_and_writes_out_of_order(self):
        check = "writes and strong reads are linearizable"
        self.assertTrue(self.found(check, [*GOOD, call("strong", "a", 1, 2.1, 2.2)]))
        self.assertTrue(self.found(check, [*GOOD, call("set", "d", 2, 5.0, 6.0)]))

    def test_sessions_that_go_back(self):
        check = "no session saw anything go back"
        self.assertTrue(self.found(check, [*GOOD, call("read", "a", 1, 2.1, 2.2)]))

    def test_reads_of_the_future(self):
        check = "nothing was read before it was written"
        self.assertTrue(self.found(check, [*GOOD, call("read", "c", 3, 2.5, 2.9, session=3)]))


if __name__ == "__main__":
    sys.exit(unittest.main())
