#!/usr/bin/env python3
"""The differ tested on itself: no difference where there is none, every planted fault found.

What lives here: runs of the differ against Apache twice, and against Apache behind each fault of
faults.py; the shrinking of one; and the check that explained.md names every rule. Prints
`N passed, M failed`. Needs no Ostler.
"""

import argparse
import contextlib
import io
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import alone  # noqa: E402
import differ  # noqa: E402
from explain import EXPLAINED_LINES, RULES  # noqa: E402
from faults import FAULTS  # noqa: E402

# A fault has to show within this many random requests.
REQUESTS = 6000
SHRUNK_LINES_MAX = 8
PASSWORDS = {1: "054cc74a37327db215e702e20c73f005",
             0x10007ab7c550006: "07c34e909ace120a12bf5d5fdab91304"}


def run(*arguments):
    """(exit code, output) of one run of the differ."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        code = differ.main([*arguments, "--failures", "1"])
    return code, output.getvalue()


def no_difference(options):
    code, output = run("--right", "apache", "--requests", str(options.requests), "--seed",
                       str(options.seed), "--port", str(options.port))
    return code == 0, output


def finds(options, fault):
    code, output = run("--right", f"faulty:{fault}", "--requests", str(REQUESTS), "--variant",
                       "plain", "--only", "random", "--seed", str(options.seed), "--no-shrink",
                       "--port", str(options.port))
    return code == 1 and "DIFFERENCE" in output, output


def shrinks(options):
    """A fault that always shows comes down to the few steps it needs."""
    _, output = run("--right", "faulty:count/1", "--requests", str(REQUESTS), "--variant", "plain",
                    "--only", "random", "--seed", str(options.seed), "--port", str(options.port))
    steps = output.partition("DIFFERENCE")[2].partition("seen on conn")[0].splitlines()
    return 1 < len(steps) <= SHRUNK_LINES_MAX, output


def documented():
    text = (HERE / "explained.md").read_text()
    missing = [rule.name for rule in RULES if f"`{rule.name}`" not in text]
    missing += [word for word in EXPLAINED_LINES if not re.search(rf"^\| {word} \|", text, re.M)]
    return not missing, f"explained.md does not name: {missing}"


def passwords():
    wrong = [session for session, password in PASSWORDS.items()
             if alone.apache_password(session).hex() != password]
    return not wrong, f"wrong passwords for {wrong}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int, default=40000)
    parser.add_argument("--port", type=int, default=22100)
    parser.add_argument("--only", help="only this fault")
    options = parser.parse_args()
    checks = [(f"fault {name}", lambda name=name: finds(options, name)) for name in FAULTS
              if options.only in (None, name)]
    if options.only is None:
        checks += [("documented", documented), ("passwords", passwords),
                   ("shrinks", lambda: shrinks(options)),
                   ("no difference", lambda: no_difference(options))]
    failed = 0
    for name, check in checks:
        good, output = check()
        failed += not good
        print(f"{'ok' if good else 'FAILED'} {name}", flush=True)
        if not good:
            print(output[-3000:])
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
