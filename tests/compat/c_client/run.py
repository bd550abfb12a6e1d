#!/usr/bin/env python3
"""Drives the C client's shell (cli_mt of the Debian package zookeeper-bin) against a server.

The package and its library are downloaded by apt-get and unpacked into the cache; nothing is
installed. Each step types a line and waits for what the shell has to print; a second client, ours,
changes znodes behind its back and looks at what it did. Prints a line per failed step and at the
end `N passed, M failed`.
"""

import argparse
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import jute  # noqa: E402  (the path above must be set first)
import server as launcher  # noqa: E402

PACKAGES = ("zookeeper-bin", "libzookeeper-mt2")
WAIT_SECONDS = 15.0
CONFIG = {"tickTime": "500"}
# base64 of SHA1("ada:lovelace"), as the digest scheme stores it.
ADA = ("digest", "ada:BOZYB6VIgIfYgyL3LZXjIZ09RPU=")


class ShellFailed(Exception):
    """The shell did not print in time what it had to; the text has what it printed."""


def shell_home():
    """Directory with the unpacked packages; downloads them the first time."""
    home = launcher.cache_directory() / "c-client"
    with launcher.cache_lock("c-client"):
        if not home.exists():
            partial = home.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            download(partial)
            partial.rename(home)
    return home


def download(directory):
    command = ["apt-get", "download", *PACKAGES]
    done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    archives = sorted(directory.glob("*.deb"))
    if done.returncode or len(archives) != len(PACKAGES):
        raise launcher.ServerError(f"{' '.join(command)}: {done.stdout.decode()}")
    for archive in archives:
        launcher.run_bounded(["dpkg-deb", "-x", str(archive), str(directory)], 60)


class Shell:
    """One running cli_mt. Its output goes to a terminal, else it would wait in the C library."""

    def __init__(self, home, connect, *options):
        library = next(home.glob("usr/lib/*/libzookeeper_mt.so.2")).parent
        master, slave = pty.openpty()
        self._master = master
        self._text = ""
        command = [str(home / "usr/lib/zookeeper/bin/cli_mt"), "-h", connect, *options]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=slave, stderr=slave, bufsize=0,
            env=dict(os.environ, LD_LIBRARY_PATH=str(library)))
        os.close(slave)

    def type(self, line):
        """Sends a line; what was printed before it is forgotten."""
        self._drain(0)
        self._text = ""
        self._process.stdin.write(f"{line}\n".encode())

    def expect(self, *patterns):
        """Waits until all patterns (regular expressions) are printed, in any order."""
        deadline = time.monotonic() + WAIT_SECONDS
        missing = list(patterns)
        while missing:
            missing = [p for p in missing if not re.search(p, self._text, re.MULTILINE)]
            if missing and time.monotonic() > deadline:
                raise ShellFailed(f"no {missing} in {self._text!r}")
            if missing:
                self._drain(0.05)
        return self._text

    def quit(self):
        """Types quit: the session is closed, not only the connection."""
        self.type("quit")
        code = self._process.wait(WAIT_SECONDS)
        os.close(self._master)
        if code != 0:
            raise ShellFailed(f"exit code {code}")

    def kill(self):
        """Ends the shell at once; its session goes on."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
            os.close(self._master)

    def _drain(self, seconds):
        while select.select([self._master], [], [], seconds)[0]:
            try:
                piece = os.read(self._master, 65536)
            except OSError:
                return
            if not piece:
                return
            self._text += piece.decode("utf-8", "replace").replace("\r\n", "\n")
            seconds = 0


class Steps:
    """The steps, in order; each is a method that starts with `step_` and raises when it fails."""

    def __init__(self, home, server, work):
        self._home = home
        self._server = server
        self._work = Path(work)
        self.shell = self._open()

    def close(self):
        self.shell.kill()

    def _open(self, *options):
        shell = Shell(self._home, self._server.connect, *options)
        shell.expect(r"SESSION_EVENT state = CONNECTED_STATE")
        return shell

    def _say(self, line, *patterns):
        self.shell.type(line)
        return self.shell.expect(*patterns)

    def _other(self):
        """Our own client: a new session for each use, since it sends no pings."""
        return jute.Client(self._server.port)

    def _data(self, path):
        with self._other() as other:
            return other.get(path)[0]

    def _stat(self, path):
        with self._other() as other:
            return other.exists(path)

    def _settle(self):
        """Returns when the shell has the answers to all lines before: some print nothing."""
        self._say("sync /", r"^\[/\]: rc = 0")

    def step_create(self):
        self._say("create /c", r"^\[/c\]: rc = 0", r"name = /c$")
        self._say("create /c", r"^\[/c\]: rc = -110")
        self._say("create /no/where", r"rc = -101")
        assert self._data("/c") == b"new"

    def step_create_modes(self):
        self._say("create +e /c/e", r"rc = 0")
        self._say("create /c/e/x", r"rc = -108")
        self._say("create +s /c/s-", r"name = /c/s-0000000001$")
        self._say("create +es /c/es-", r"name = /c/es-0000000002$")
        self._say("create +c /c/container", r"rc = 0")
        self._say("create +t=60000 /c/ttl", r"rc = 0")
        owner = self._stat("/c/es-0000000002").ephemeral_owner
        assert owner != 0 and owner == self._stat("/c/e").ephemeral_owner
        assert self._stat("/c/ttl").ephemeral_owner == 0

    def step_create2(self):
        self._say("create2 /c2", r"^\[/c2\]: rc = 0", r"name = /c2", r"version=0")
        self._say("create2 +s /c2/s-", r"name = /c2/s-0000000000")
        self._say("create2 +c /c2/container", r"rc = 0", r"czxid=")
        self._say("create2 +t=60000 /c2/ttl", r"rc = 0", r"czxid=")

    def step_set_and_get(self):
        self._say("set /c hello", r"^/c: rc = 0", r"version=1")
        self._say("get /c", r"^/c: rc = 0", r"value_len = 5", r"^hello$", r"version=1")
        self._say("set /nope x", r"^/nope: rc = -101")
        self._say("get /nope", r"^/nope: rc = -101")
        assert self._data("/c") == b"hello"

    def step_list(self):
        printed = self._say("ls /c", r"^/c: rc = 0", r"s-0000000001", r"ttl")
        for name in ("e", "es-0000000002", "container"):
            assert re.search(rf"^\s*{name}$", printed, re.MULTILINE), printed
        self._say("ls2 /c", r"^/c: rc = 0", r"ttl", r"aversion=0")
        self._say("ls /nope", r"rc = -101")

    def step_exists(self):
        # A stat that is found is not printed, so nothing may be printed here.
        self.shell.type("exists /c")
        self.shell.type("exists /nope")
        printed = self.shell.expect(r"Error -101 for /nope")
        assert "for /c" not in printed, printed

    def step_watch_events(self):
        self._say("wexists /later", r"Error -101 for /later")
        with self._other() as other:
            other.create("/later", b"")
        self.shell.expect(r"CREATED_EVENT state = CONNECTED_STATE\s+for path /later")
        self.shell.type("wexists /later")
        self._settle()
        with self._other() as other:
            other.call(jute.Op.SET_DATA, jute.set_data_body("/later", b"x"))
        self.shell.expect(r"CHANGED_EVENT state = CONNECTED_STATE\s+for path /later")
        self.shell.type("wexists /later")
        self._settle()
        with self._other() as other:
            other.delete("/later")
        self.shell.expect(r"DELETED_EVENT state = CONNECTED_STATE\s+for path /later")

    def step_child_watch(self):
        # The shell sets a child watch with every ls.
        self._say("ls /c2", r"^/c2: rc = 0")
        with self._other() as other:
            other.create("/c2/new", b"")
        self.shell.expect(r"CHILD_EVENT state = CONNECTED_STATE\s+for path /c2")

    def step_asynchronous(self):
        self._say("acreate /async", r"rc = 0")
        self._say("aset /async data", r"rc = 0")
        self._say("aget /async", r"value_len = 4", r"^data$")
        self._say("als /c2", r"rc = 0")
        self._say("adelete /async", r"rc = 0")
        assert self._stat("/async") is None

    def step_sync(self):
        self._say("sync /c", r"^\[/c\]: rc = 0", r"name = /c")

    def step_addauth(self):
        acl = ((31, *ADA),)
        with self._other() as other:
            other.call(jute.Op.CREATE, jute.create_body("/ada", b"secret", 0, acl))
        self._say("get /ada", r"^/ada: rc = -102")
        self.shell.type("addauth digest ada:lovelace")
        self._say("get /ada", r"^/ada: rc = 0", r"^secret$")

    def step_config(self):
        self._say("config", r"rc = 0")

    def step_delete(self):
        self._say("delete /c", r"^/c: rc = -111")
        self._say("delete /c/ttl", r"^/c/ttl: rc = 0")
        self._say("delete /c/ttl", r"^/c/ttl: rc = -101")
        assert self._stat("/c/ttl") is None

    def step_large_data(self):
        data = "x" * 3_000
        self._say(f"set /c {data}", r"^/c: rc = 0", r"version=2")
        assert self._data("/c") == data.encode()

    def step_session_is_open_to_its_password(self):
        # This shell writes its session's id and password to a file but does not read it back, so
        # our client takes the session over.
        identity = self._work / "identity"
        shell = self._open("-m", str(identity))
        try:
            shell.expect(r"Got a new session id")
            shell.type("create +e /kept")
            shell.expect(r"rc = 0")
        finally:
            shell.kill()
        session_id, password = struct.unpack("=q16s", identity.read_bytes())
        assert self._stat("/kept").ephemeral_owner == session_id
        with jute.Client(self._server.port, session_id=session_id, password=password) as heir:
            assert heir.session_id == session_id
            heir.close()
        assert self._stat("/kept") is None

    def step_restart_of_the_server(self):
        self._say("wexists /after", r"Error -101 for /after")
        self._server.restart(hard=True)
        self.shell.expect(r"SESSION_EVENT state = CONNECTED_STATE")
        # The watch goes to the restarted server by setWatches, ahead of this request.
        self._settle()
        assert self._stat("/c/e") is not None
        with self._other() as other:
            other.create("/after", b"")
        self.shell.expect(r"CREATED_EVENT state = CONNECTED_STATE\s+for path /after")

    def step_quit_ends_the_session(self):
        assert self._stat("/c/e") is not None
        self.shell.quit()
        assert self._stat("/c/e") is None


def run(kind, port, work):
    """Runs all steps on one shell; returns (passed, failures)."""
    home = shell_home()
    failures, passed = [], 0
    with launcher.Server(kind, Path(work) / "server", port, CONFIG) as server:
        server.start()
        steps = Steps(home, server, work)
        names = [name for name in vars(Steps) if name.startswith("step_")]
        try:
            for name in names:
                try:
                    getattr(steps, name)()
                    passed += 1
                except (ShellFailed, AssertionError, jute.ZkError, OSError) as error:
                    failures.append(f"{name}: {type(error).__name__} {error}")
        finally:
            steps.close()
        server.stop()
    return passed, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=launcher.KINDS, default="ostler")
    parser.add_argument("--port", type=int, default=21160)
    parser.add_argument("--prepare", action="store_true", help="only fetch the package")
    options = parser.parse_args()
    if options.prepare:
        shell_home()
        return 0
    with tempfile.TemporaryDirectory(prefix="ostler-c-") as work:
        passed, failures = run(options.server, options.port, work)
    for text in failures:
        print(text)
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
