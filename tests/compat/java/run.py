#!/usr/bin/env python3
"""Runs the Java suite (client, shell, Curator) against a server under test.

Starts the server in a directory of its own, hands its address and the launcher to Maven, and prints
surefire's summary line. Arguments after `--` go to Maven, for example `-- -Dtest=WatchTest`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import server as launcher  # noqa: E402  (the path above must be set first)

CONFIG = {
    # Sessions may be as short as 1 s and as long as 10 s: the tests rely on both.
    "tickTime": "500",
    "enforceQuota": "true",
    "znode.container.checkIntervalMs": "300",
    # Digest of super:ostler, for the tests that need every right.
    "DigestAuthenticationProvider.superDigest": "super:8r5IGDgDGItbWfdAMfuUpg5EImI=",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=launcher.KINDS, default="ostler")
    parser.add_argument("--port", type=int, default=21150)
    parser.add_argument("--seconds", type=int, default=450, help="bound on the whole run")
    parser.add_argument("--prepare", action="store_true", help="only fetch and compile")
    parser.add_argument("maven", nargs="*", help="arguments for Maven")
    options = parser.parse_args()
    build = launcher.cache_directory() / "java"
    build.mkdir(exist_ok=True)
    if options.prepare:
        launcher.run_bounded(["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "test-compile",
                              "surefire:help", f"-Dostler.build={build}"], 540)
        return 0
    with tempfile.TemporaryDirectory(prefix="ostler-java-") as work:
        server = launcher.Server(options.server, work, options.port, CONFIG).start()
        command = [
            "mvn", "-B", "-ntp", "-f", str(HERE / "pom.xml"), "test",
            f"-Dostler.build={build}", f"-Dostler.connect={server.connect}",
            f"-Dostler.directory={work}",
            f"-Dostler.launcher={Path(launcher.__file__).resolve()}", *options.maven]
        try:
            return run_maven(command, build / "maven.log", options.seconds)
        finally:
            # Tests restart the server by the launcher's command: it may be another process now.
            launcher.kill_all_under(work)
            (build / "server.log").write_bytes(server.log_path.read_bytes())


def run_maven(command, log, seconds):
    """Runs Maven and prints what failed and the line with the counts; the rest is in the log."""
    try:
        with open(log, "w") as output:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output,
                                  stderr=subprocess.STDOUT, timeout=seconds,
                                  check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"java: not done in {seconds} s, see {log}")
        return 1
    lines = log.read_text(errors="replace").splitlines()
    counts = [number for number, line in enumerate(lines) if "Tests run:" in line]
    end = counts[-1] if counts else len(lines)
    failures = [line for line in lines[:end] if line.startswith("[ERROR]")]
    print("".join(f"{line}\n" for line in failures[:60]), end="")
    print(lines[end].partition("] ")[2] if counts else f"no test was run, see {log}")
    return code


if __name__ == "__main__":
    sys.exit(main())
