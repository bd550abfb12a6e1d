#!/usr/bin/env python3
"""Captures tests/golden/jute.txt: frames in both directions from a real Apache ZooKeeper server.

What lives here: a fixed scenario that shows each operation, each error and each event once, the
servers it needs (a plain one, and some with one setting changed to provoke one error), and the
writing of the file. What does not: any judgement on the frames; the tests that read the file do
that. Run by hand when the scenario grows: `capture.py --out tests/golden/jute.txt`.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "compat"), str(HERE.parent / "compat" / "differ")]

import scenes  # noqa: E402
from recorder import Recorder  # noqa: E402
from server import JAVA_OPTIONS, Server  # noqa: E402

PORT = 22010
SUPER_DIGEST = "super:gG7s8t3oDEtIqF6DM9LlI/R+9Ss="  # the password is "super"


def quorum_config(**more):
    config = {"standaloneEnabled": "false", "initLimit": "10", "syncLimit": "5",
              "clientPort": None, "clientPortAddress": None,
              "server.1": f"127.0.0.1:22090:22091;127.0.0.1:{PORT}"}
    return {**config, **more}


SCENES = [
    (scenes.plain_server, {"enforceQuota": "true"}, None, ""),
    (scenes.ttl_switched_off, {"extendedTypesEnabled": "false"}, None, ""),
    (scenes.reconfig_standalone, {"reconfigEnabled": "true"}, None, ""),
    (scenes.requires_sasl, {
        "sessionRequireClientSASLAuth": "true",
        "authProvider.1": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
    }, None, ""),
    (scenes.throttled, {"throttled_op_wait_time": "1", "request_throttle_max_requests": "1",
                        "request_throttle_stall_time": "20"}, None, ""),
    (scenes.one_quorum_server, quorum_config(reconfigEnabled="true"), 1, ""),
    (scenes.local_sessions, quorum_config(localSessionsEnabled="true"), 1, ""),
    (scenes.read_only_server, quorum_config(localSessionsEnabled="true", **{
        "server.2": "127.0.0.1:22092:22093;127.0.0.1:22094"}), 1, "-Dreadonlymode.enabled=true"),
]


@contextlib.contextmanager
def apache(directory, config, myid, java_options):
    """A running server; its raw JVM properties go through the launcher's environment."""
    settings = {"DigestAuthenticationProvider.superDigest": SUPER_DIGEST, **config}
    before = os.environ.get("OSTLER_COMPAT_JAVA_OPTIONS")
    os.environ["OSTLER_COMPAT_JAVA_OPTIONS"] = f"{JAVA_OPTIONS} {java_options}"
    try:
        with Server("apache", directory, PORT, settings, myid) as server:
            server.start()
            yield server
    finally:
        if before is None:
            del os.environ["OSTLER_COMPAT_JAVA_OPTIONS"]
        else:
            os.environ["OSTLER_COMPAT_JAVA_OPTIONS"] = before


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=HERE / "jute.txt")
    options = parser.parse_args()
    record, version = Recorder(), "?"
    with tempfile.TemporaryDirectory(prefix="golden-") as work:
        for number, (scene, config, myid, java_options) in enumerate(SCENES):
            with apache(f"{work}/{number}", config, myid, java_options) as server:
                version = server.word("srvr").split("version: ")[1].split("-")[0]
                scene(record, PORT)
    record.write(options.out, version)


if __name__ == "__main__":
    main()
