#!/usr/bin/env python3
"""Runs kazoo's own test suite against a server under test.

Installs kazoo from the Python package index into a virtual environment in the cache (once per
requirements.txt), then hands over to pytest with our cluster plugin. Exit code and summary line are
pytest's. Arguments after `--` go to pytest, for example `-- -k lock`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import server as launcher  # noqa: E402  (the path above must be set first)


def python_with_kazoo():
    """Interpreter of the virtual environment, made when missing or when requirements changed."""
    home = launcher.cache_directory() / "kazoo-venv"
    wanted = (HERE / "requirements.txt").read_bytes()
    stamp = home / "requirements.txt"
    with launcher.cache_lock("kazoo"):
        if not (stamp.exists() and stamp.read_bytes() == wanted):
            shutil.rmtree(home, ignore_errors=True)
            launcher.run_bounded([sys.executable, "-m", "venv", str(home)], 120)
            launcher.run_bounded([str(home / "bin" / "python"), "-m", "pip", "install", "-q",
                                  "-r", str(HERE / "requirements.txt")], 400)
            stamp.write_bytes(wanted)
    return home / "bin" / "python"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=launcher.KINDS, default="ostler")
    parser.add_argument("--port", type=int, default=21100)
    parser.add_argument("--size", type=int, default=1, help="servers in the cluster")
    parser.add_argument("--all", action="store_true", help="run what the list excludes as well")
    parser.add_argument("--seconds", type=int, default=450, help="bound on the whole run")
    parser.add_argument("--prepare", action="store_true", help="only fetch what is needed")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest")
    options = parser.parse_args()
    python = python_with_kazoo()
    if options.prepare:
        return 0
    with tempfile.TemporaryDirectory(prefix="ostler-kazoo-") as work:
        environment = dict(
            os.environ, OSTLER_COMPAT_KIND=options.server, OSTLER_COMPAT_WORK=work,
            ZOOKEEPER_VERSION="3.9.5", ZOOKEEPER_PORT_OFFSET=str(options.port),
            ZOOKEEPER_CLUSTER_SIZE=str(options.size), PYTHONPATH=str(HERE))
        # Some tests of kazoo change their minds when they think they run on its own CI.
        environment.pop("CI", None)
        if not options.all:
            environment["OSTLER_COMPAT_EXCLUSIONS"] = str(HERE / "exclusions.txt")
        command = [str(python), "-m", "pytest", "-c", str(HERE / "pytest.ini"), "-p",
                   "ostler_cluster", "--pyargs", "kazoo.tests", *options.pytest]
        try:
            return subprocess.run(command, cwd=work, env=environment,
                                  timeout=options.seconds, check=False).returncode
        except subprocess.TimeoutExpired:
            print(f"kazoo: not done in {options.seconds} s")
            return 1
        finally:
            # pytest ends its servers itself, unless it was ended first.
            launcher.kill_all_under(work)


if __name__ == "__main__":
    sys.exit(main())
