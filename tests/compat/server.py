#!/usr/bin/env python3
"""Starts and ends servers under test, alone or as an ensemble: Ostler's binary or Apache ZooKeeper.

What lives here: writing zoo.cfg, starting the process, waiting until it serves, ending it (orderly
or by SIGKILL), and fetching Apache's jars into the cache. What does not: any assertion about
answers. Callers: every suite under tests/compat, as a module (`Server`, `Ensemble`) or as a command
(`server.py start --kind apache --dir D --port P`, with `--servers 3` for an ensemble).

A server's directory holds all that belongs to it: `zoo.cfg`, `data/`, `server.log` (stdout and
stderr of every start) and `server.json` (the running process). The directory of an ensemble has
one such directory a server. A process is named by its id *and*
its start time, so a recycled id is never mistaken for ours: nothing else is ever signalled.

Environment: OSTLER_BIN (binary, default target/release/ostler), OSTLER_COMPAT_CACHE (downloads,
default target/compat), OSTLER_COMPAT_JAVA (java command), OSTLER_COMPAT_JAVA_OPTIONS (heap etc.).
"""

import argparse
import contextlib
import fcntl
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KINDS = ("ostler", "apache")
HOST = "127.0.0.1"
START_SECONDS = 30.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.02
APACHE_MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
# A small heap and one compiler: a test server must start fast beside its neighbours. Apache
# decodes digest credentials by the platform's character set: that must not be left to the machine.
JAVA_OPTIONS = ("-Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto "
                "-Dfile.encoding=UTF-8 -Djava.awt.headless=true")
# Apache reads these from the command line of its JVM only, under these very names. Callers give
# them as lines of zoo.cfg all the same; for Apache the launcher repeats them as properties.
JVM_ONLY = ("jute.maxbuffer", "jute.maxbuffer.extrasize", "readonlymode.enabled",
            "znode.container.checkIntervalMs", "znode.container.maxPerMinute",
            "znode.container.maxNeverUsedIntervalMs")
# What every suite relies on unless it says otherwise; None as a value removes a key.
DEFAULT_CONFIG = {
    "tickTime": "1000",
    "clientPortAddress": HOST,
    "maxClientCnxns": "0",
    "4lw.commands.whitelist": "*",
    "extendedTypesEnabled": "true",
    "admin.enableServer": "false",
}


class ServerError(Exception):
    """The server did not do in time what was asked; the text ends with its last log lines."""


class Server:
    """One server of `kind` ("ostler" or "apache") living in `directory`, serving `port`.

    `config` adds to or replaces DEFAULT_CONFIG (None removes a key); `myid` is written for a
    server that is to be a member of an ensemble. `host` is the address that it serves, `prefix`
    what its command is run by, and `environment` adds to its variables. As a context manager it
    kills the process at the end of the block; otherwise the process outlives this object.
    """

    def __init__(self, kind, directory, port, config=None, myid=None, host=HOST, prefix=(),
                 environment=None):
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, not {kind!r}")
        self.kind = kind
        self.directory = Path(directory).resolve()
        self.port = int(port)
        self.config = dict(config or {})
        self.myid = myid
        self.host = host
        self.prefix = list(prefix)
        self.environment = dict(environment or {})
        self._child = None
        self._process = None

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.kill()

    @classmethod
    def attach(cls, directory):
        """The server that an earlier start, perhaps of another process, left in `directory`."""
        state = json.loads((Path(directory) / "server.json").read_text())
        server = cls(state["kind"], directory, state["port"], state["config"], state["myid"])
        server._process = (state["pid"], state["ticks"])
        return server

    def start(self, timeout=START_SECONDS, wait=True):
        """Starts the process; returns when it serves (`wait`) or at once. Raises ServerError."""
        if self.is_running():
            raise ServerError(f"already running in {self.directory}")
        if _answers(self.host, self.port):
            raise ServerError(f"port {self.port} is taken by a process that is not ours")
        self._write_config()
        command = self._command()
        with open(self.log_path, "ab") as log:
            log.write(f"--- start {time.strftime('%H:%M:%S')} {shlex.join(command)}\n".encode())
            log.flush()
            # A session of its own, so that an interrupt at the terminal reaches the suite first.
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.directory, start_new_session=True,
                env={**os.environ, **self.environment})
        self._process = (self._child.pid, _start_ticks(self._child.pid))
        self._write_state()
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=START_SECONDS):
        """Returns once `srvr` names a mode; raises ServerError if the process ends or time does."""
        deadline = time.monotonic() + timeout
        while True:
            if not self.is_running():
                raise ServerError(f"{self.kind} ended while starting\n{self.log_tail()}")
            if self.is_serving():
                return
            if time.monotonic() > deadline:
                raise ServerError(f"{self.kind} not ready in {timeout} s\n{self.log_tail()}")
            time.sleep(POLL_SECONDS)

    def stop(self, timeout=STOP_SECONDS):
        """Ends the process orderly (SIGTERM); one that does not end is killed and reported."""
        if not self._signal(signal.SIGTERM):
            return
        if self._wait_end(timeout):
            return
        self.kill()
        raise ServerError(f"{self.kind} did not stop in {timeout} s\n{self.log_tail()}")

    def kill(self):
        """Ends the process at once (SIGKILL) and returns when it is gone."""
        if self._signal(signal.SIGKILL) and not self._wait_end(STOP_SECONDS):
            raise ServerError(f"process {self.pid} outlived SIGKILL")

    def restart(self, timeout=START_SECONDS, hard=False):
        """Ends the process, orderly or by SIGKILL (`hard`), and starts it on the same data."""
        if hard:
            self.kill()
        else:
            self.stop()
        return self.start(timeout)

    def pause(self):
        """Stops the process from running (SIGSTOP) without ending it."""
        self._signal(signal.SIGSTOP)

    def resume(self):
        """Lets a paused process run again (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def wipe(self):
        """Removes data and log of a server that is not running."""
        if self.is_running():
            raise ServerError("cannot wipe a running server")
        shutil.rmtree(self.directory, ignore_errors=True)

    def word(self, word, timeout=5.0):
        """The answer to a four-letter word, as text; raises OSError when nothing answers."""
        return four_letter_word(self.port, word, timeout, self.host)

    def mode(self):
        """What `srvr` names as the mode; None when nothing serves."""
        try:
            answer = self.word("srvr", 2.0)
        except OSError:
            return None
        _, found, rest = answer.partition("Mode: ")
        return rest.split()[0] if found else None

    def is_serving(self):
        """True when `srvr` answers with a mode."""
        return self.mode() is not None

    def is_running(self):
        """True while the process that this server started is alive (a zombie is not)."""
        if self._process is None:
            return False
        if self._child is not None and self._child.pid == self._process[0]:
            return self._child.poll() is None
        pid, ticks = self._process
        return _start_ticks(pid) == ticks

    @property
    def exit_code(self):
        """Exit code of the last ended process that this object started, else None."""
        return None if self._child is None else self._child.poll()

    @property
    def pid(self):
        return None if self._process is None else self._process[0]

    @property
    def connect(self):
        """Connect string for clients."""
        return f"{self.host}:{self.port}"

    @property
    def data_directory(self):
        return self.directory / "data"

    @property
    def log_path(self):
        return self.directory / "server.log"

    @property
    def config_path(self):
        return self.directory / "zoo.cfg"

    def log_tail(self, lines=25):
        """The last lines of server.log, for messages."""
        try:
            text = self.log_path.read_text(errors="replace")
        except OSError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:])

    def _command(self):
        if self.kind == "ostler":
            return [*self.prefix, str(ostler_binary()), "serve", "--config", str(self.config_path)]
        java = os.environ.get("OSTLER_COMPAT_JAVA", "java")
        options = shlex.split(os.environ.get("OSTLER_COMPAT_JAVA_OPTIONS", JAVA_OPTIONS))
        options += [f"-D{key}={self.config[key]}" for key in JVM_ONLY if self.config.get(key)]
        return [*self.prefix, java, *options, "-cp", apache_class_path(), APACHE_MAIN, str(self.config_path)]

    def _write_config(self):
        self.data_directory.mkdir(parents=True, exist_ok=True)
        settings = {"dataDir": str(self.data_directory), "clientPort": str(self.port)}
        settings.update(DEFAULT_CONFIG)
        settings["clientPortAddress"] = self.host
        settings.update(self.config)
        lines = [f"{key}={value}" for key, value in settings.items() if value is not None]
        self.config_path.write_text("\n".join(lines) + "\n")
        if self.myid is not None:
            (self.data_directory / "myid").write_text(f"{self.myid}\n")

    def _write_state(self):
        pid, ticks = self._process
        state = {"kind": self.kind, "port": self.port, "config": self.config,
                 "myid": self.myid, "pid": pid, "ticks": ticks}
        temporary = self.directory / "server.json.new"
        temporary.write_text(json.dumps(state))
        temporary.replace(self.directory / "server.json")

    def _signal(self, number):
        if not self.is_running():
            return False
        os.kill(self._process[0], number)
        return True

    def _wait_end(self, timeout):
        deadline = time.monotonic() + timeout
        while self.is_running():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True


class Ensemble:
    """Servers of one kind that decide together, all on this machine.

    Server N lives in `directory/server-N`. Its clients' port is `port` + 10 * (N - 1); the two
    above it are for the other servers. As a context manager it kills all of them at the end.
    """

    def __init__(self, kind, directory, port, size=3, config=None):
        ports = [int(port) + 10 * number for number in range(size)]
        members = {f"server.{number}": f"{HOST}:{first + 1}:{first + 2}"
                   for number, first in enumerate(ports, 1)}
        config = {"initLimit": "10", "syncLimit": "4", **members, **(config or {})}
        self.servers = [Server(kind, Path(directory) / f"server-{number}", first, config, number)
                        for number, first in enumerate(ports, 1)]

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.kill()

    def start(self, timeout=START_SECONDS):
        """Starts all and returns when each serves: they wait for each other. Raises ServerError."""
        for server in self.servers:
            server.start(wait=False)
        for server in self.servers:
            server.wait_ready(timeout)
        return self

    def stop(self):
        """Ends all orderly, one after the other."""
        for server in self.servers:
            server.stop()

    def kill(self):
        """Ends all at once."""
        for server in self.servers:
            server.kill()

    @property
    def connect(self):
        """Connect string that names all of them."""
        return ",".join(server.connect for server in self.servers)

    def leader(self):
        """The server that says it leads, or None at the moment."""
        return next((one for one in self.servers
                     if one.is_running() and one.mode() == "leader"), None)


def attach_all(directory):
    """The servers that an earlier start left in `directory`: one, or those of an ensemble."""
    directory = Path(directory)
    if (directory / "server.json").exists():
        return [Server.attach(directory)]
    states = sorted(directory.glob("server-*/server.json"))
    if not states:
        raise ServerError(f"no server was started in {directory}")
    return [Server.attach(state.parent) for state in states]


def four_letter_word(port, word, timeout=5.0, host=HOST):
    """Sends `word` to `port` and returns all that comes back until the server closes."""
    with socket.create_connection((host, port), timeout) as connection:
        connection.sendall(word.encode())
        pieces = []
        while piece := connection.recv(65536):
            pieces.append(piece)
    return b"".join(pieces).decode("utf-8", "replace")


def cache_directory():
    """Where downloads are kept between runs; created when missing."""
    cache = Path(os.environ.get("OSTLER_COMPAT_CACHE", ROOT / "target" / "compat")).resolve()
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def ostler_binary():
    """The binary under test; raises ServerError when it has not been built."""
    binary = Path(os.environ.get("OSTLER_BIN", ROOT / "target" / "release" / "ostler")).resolve()
    if not os.access(binary, os.X_OK):
        raise ServerError(f"no binary at {binary}: build it or set OSTLER_BIN")
    return binary


def apache_class_path():
    """Class path of Apache's server and shell; asks Maven for the jars the first time."""
    return f"{HERE / 'apache'}:{fetch_jars(HERE / 'apache' / 'pom.xml', 'apache')}/*"


def fetch_jars(pom, name):
    """Directory with all jars that `pom` names, under the cache; fetched again when it changes."""
    target = cache_directory() / f"{name}-jars"
    stamp = target / "pom.xml"
    with cache_lock(name):
        if stamp.exists() and stamp.read_bytes() == Path(pom).read_bytes():
            return target
        partial = target.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        run_bounded(["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies",
                     "-DincludeScope=runtime", f"-DoutputDirectory={partial}"], 540)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copy(pom, partial / "pom.xml")
        partial.rename(target)
    return target


def kill_all_under(directory):
    """Kills what runs in `directory` and in its direct subdirectories: after a broken suite."""
    for state in [*Path(directory).glob("server.json"), *Path(directory).glob("*/server.json")]:
        Server.attach(state.parent).kill()


@contextlib.contextmanager
def cache_lock(name):
    """Holds a file lock in the cache, so that two suites do not fetch the same thing at once."""
    with open(cache_directory() / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_bounded(command, seconds):
    """Runs a tool to its end within `seconds`; raises ServerError with its output on failure."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerError(f"{shlex.join(command)}: {error}") from error
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        raise ServerError(f"{shlex.join(command)} gave {done.returncode}\n{output[-4000:]}")
    return output


def _answers(host, port):
    try:
        socket.create_connection((host, port), 1.0).close()
        return True
    except OSError:
        return False


def _start_ticks(pid):
    """Start time of a live process in clock ticks since boot; None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # Counted after the command name, which may hold spaces: state is field 3 of proc(5),
    # num_threads field 20, starttime field 22.
    state, threads, ticks = fields[0], int(fields[17]), int(fields[19])
    # A killed process is a zombie once its first thread is; the others may still hold the port.
    return None if state in "ZX" and threads <= 1 else ticks


def _parse_setting(text):
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected key=value, not {text!r}")
    return key, value


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    start = verbs.add_parser("start", help="start a server and wait until it serves")
    start.add_argument("--kind", choices=KINDS, default="ostler")
    start.add_argument("--port", type=int, required=True)
    start.add_argument("--set", type=_parse_setting, action="append", default=[],
                       metavar="KEY=VALUE", help="a line of zoo.cfg; may be repeated")
    start.add_argument("--myid", type=int, help="number of one server of an ensemble")
    start.add_argument("--servers", type=int, default=1, help="start an ensemble of so many")
    verbs.add_parser("stop", help="end it orderly (SIGTERM)")
    verbs.add_parser("kill", help="end it at once (SIGKILL)")
    restart = verbs.add_parser("restart", help="end it and start it on the same data")
    restart.add_argument("--hard", action="store_true", help="end it by SIGKILL")
    verbs.add_parser("status", help="exit 0 when it serves, 1 when not")
    verbs.add_parser("prepare", help="fetch Apache's jars and print the class path")
    for name in ("start", "stop", "kill", "restart", "status"):
        verbs.choices[name].add_argument("--dir", required=True)
    for name in ("start", "restart"):
        verbs.choices[name].add_argument("--timeout", type=float, default=START_SECONDS)
    return parser


def main(arguments=None):
    options = _parser().parse_args(arguments)
    if options.verb == "prepare":
        print(apache_class_path())
        return 0
    if options.verb == "start":
        # A second start in one directory must see the first one's process.
        if any(Path(options.dir).glob("**/server.json")):
            if any(server.is_running() for server in attach_all(options.dir)):
                raise ServerError(f"already running in {options.dir}")
        if options.servers > 1:
            ensemble = Ensemble(options.kind, options.dir, options.port, options.servers,
                                dict(options.set))
            print(ensemble.start(options.timeout).connect)
            return 0
        server = Server(options.kind, options.dir, options.port, dict(options.set), options.myid)
        server.start(options.timeout)
        print(server.connect)
        return 0
    servers = attach_all(options.dir)
    if options.verb == "status":
        return 0 if all(one.is_running() and one.is_serving() for one in servers) else 1
    for server in servers:
        if options.verb == "stop":
            server.stop()
        elif options.verb == "kill":
            server.kill()
        elif options.verb == "restart":
            server.restart(options.timeout, options.hard)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ServerError, OSError) as failure:
        print(f"server.py: {failure}", file=sys.stderr)
        sys.exit(1)
