"""pytest plugin: lets kazoo's own tests run against servers started by our launcher.

What lives here: a stand-in for the module `kazoo.testing.common` (kazoo's harness starts, stops and
wipes its servers through the classes of that module and through nothing else), and the exclusion of
listed tests. What does not: any change to a test of kazoo. Loaded by run.py with `-p`.

Environment: OSTLER_COMPAT_KIND (`ostler` or `apache`), OSTLER_COMPAT_WORK (directory for server
data), OSTLER_COMPAT_EXCLUSIONS (file with one `test id # reason` a line).
"""

import logging
import os
import sys
import types
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import server as launcher  # noqa: E402  (the path above must be set first)

KIND = os.environ.get("OSTLER_COMPAT_KIND", "ostler")
WORK = Path(os.environ["OSTLER_COMPAT_WORK"])
REASONS = ("needs SASL", "needs TLS", "needs read-only mode", "needs an ensemble", "needs reconfig",
           "fails on Apache too", "flaky on Apache")
ENSEMBLE = int(os.environ.get("ZOOKEEPER_CLUSTER_SIZE", "1")) >= 3


class CompatServer:
    """What kazoo's harness calls a managed server, with the names it expects."""

    def __init__(self, server):
        self._server = server
        self._alone = server.myid is None

    @property
    def running(self):
        return self._server.is_running()

    @property
    def address(self):
        return self._server.connect

    @property
    def client_port(self):
        return self._server.port

    def run(self):
        """Starts the server unless it runs; members of an ensemble wait for each other later."""
        if not self.running:
            self._server.start(wait=self._alone)

    def stop(self):
        self._server.stop()

    def destroy(self):
        self._server.stop()
        self._server.wipe()

    def reset(self):
        self.destroy()

    def get_logs(self, num_lines=100):
        return self._server.log_tail(num_lines).splitlines(keepends=True)


class CompatCluster:
    """Replaces kazoo.testing.common.ZookeeperCluster; ignores where jars are and what JAAS says."""

    def __init__(self, size=3, port_offset=20000, configuration_entries=(),
                 java_system_properties=(), **_unused):
        config = {"tickTime": "2000"}
        config.update(entry.split("=", 1) for entry in configuration_entries)
        for option in java_system_properties:
            if option.startswith("-Dzookeeper."):
                key, value = option.removeprefix("-Dzookeeper.").split("=", 1)
                config[key] = value
        if size > 1:
            servers = launcher.Ensemble(KIND, WORK, port_offset, size, config).servers
        else:
            servers = [launcher.Server(KIND, WORK / "server-1", port_offset, config)]
        self._servers = [CompatServer(server) for server in servers]

    def __getitem__(self, index):
        return self._servers[index]

    def __iter__(self):
        return iter(self._servers)

    def start(self):
        for one in self:
            one.run()
        for one in self:
            one._server.wait_ready()

    def stop(self):
        for one in self:
            one.stop()

    def terminate(self):
        for one in self:
            one.destroy()

    def reset(self):
        for one in self:
            one.reset()

    def get_logs(self):
        return [line for one in self for line in one.get_logs()]


# kazoo.testing imports this module by name; ours must stand there first. The original would also
# need a TLS library and a Java key-store writer for certificates that no test here uses.
sys.modules["kazoo.testing.common"] = types.ModuleType("kazoo.testing.common")
sys.modules["kazoo.testing.common"].ZookeeperCluster = CompatCluster

# Clients that a test left behind would log over pytest's summary when the interpreter ends.
logging.getLogger("kazoo").addHandler(logging.NullHandler())


def read_exclusions(path):
    """Maps test ids to reasons; raises UsageError on a line without one of the allowed reasons."""
    exclusions = {}
    for line in Path(path).read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, reason = (part.strip() for part in line.partition("#"))
        if not reason.startswith(REASONS):
            raise pytest.UsageError(f"{path}: no allowed reason in {line!r}")
        exclusions[name] = reason
    return exclusions


def _excludes(reason):
    """Whether a listed reason holds for this server and this size of cluster."""
    if reason.startswith("flaky on Apache"):
        return KIND == "apache"
    if reason.startswith("needs an ensemble"):
        return not ENSEMBLE
    if reason.startswith("needs reconfig"):
        return KIND == "ostler" or not ENSEMBLE
    return True


def _short_id(item):
    """`test_client.py::TestClient::test_x`, wherever kazoo is installed."""
    return item.nodeid.rpartition("/")[2]


def pytest_collection_modifyitems(config, items):
    """Deselects what the list names; a name that no longer exists fails the run."""
    path = os.environ.get("OSTLER_COMPAT_EXCLUSIONS")
    if not path:
        return
    exclusions = read_exclusions(path)
    found = {_short_id(item) for item in items}
    if config.option.keyword or config.option.markexpr:
        found |= exclusions.keys()
    if unknown := sorted(exclusions.keys() - found):
        raise pytest.UsageError(f"{path}: no such test: {', '.join(unknown)}")
    names = {name for name, reason in exclusions.items() if _excludes(reason)}
    excluded = [item for item in items if _short_id(item) in names]
    items[:] = [item for item in items if _short_id(item) not in names]
    config.hook.pytest_deselected(items=excluded)
