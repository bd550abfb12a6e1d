"""The two servers of a run: started, stopped, restarted empty, with one of several settings.

What lives here: the settings each variant of a run needs, and the life of the servers. What does
not: any request. Caller: differ.py.
"""

import os
import time

from faults import Proxy
from runner import Pair
from server import JAVA_OPTIONS, Server
from side import Side
from world import SUPER_DIGEST

# Sessions must not expire while two servers are compared step by step, and containers must not
# be removed at a moment of the server's choosing.
COMMON = {
    "minSessionTimeout": "30000", "maxSessionTimeout": "90000",
    "DigestAuthenticationProvider.superDigest": SUPER_DIGEST,
    "znode.container.checkIntervalMs": "86400000",
}
RAW_PROPERTIES = "-Dznode.container.checkIntervalMs=86400000"
SETTINGS = {
    "plain": {},
    "quota": {"enforceQuota": "true"},
    "no-ttl": {"extendedTypesEnabled": "false", "4lw.commands.whitelist": "srvr, ruok, mntr"},
    "expiry": {"minSessionTimeout": "2000"},
}
# How much of a run each gets; 0 is for the systematic rounds only.
VARIANTS = (("plain", 6), ("quota", 3), ("no-ttl", 1), ("expiry", 0))


class Bench:
    """`left` and `right` are apache, ostler or faulty:KIND; `port` is the first of four."""

    def __init__(self, left, right, port, work):
        self.names = (left, right)
        self.port = port
        self.work = work
        self.servers = []
        self.proxies = []
        self.pair = None
        self.variant = None
        self.starts = 0
        self._events_before = 0

    def start(self, variant):
        """Starts both servers with empty directories."""
        self.stop()
        self.variant = variant
        self.starts += 1
        os.environ["OSTLER_COMPAT_JAVA_OPTIONS"] = f"{JAVA_OPTIONS} {RAW_PROPERTIES}"
        sides = []
        for place, name in enumerate(self.names):
            kind, _, fault = name.partition(":")
            port = self.port + 2 * place
            server = Server("apache" if kind == "faulty" else kind,
                            self.work / f"{self.starts}-{place}-{kind}", port,
                            {**COMMON, **SETTINGS[variant]})
            self.servers.append(server)
            server.start(wait=False)
            if kind == "faulty":
                self.proxies.append(Proxy(port + 1, port, fault))
                port += 1
            sides.append(Side(("left", "right")[place] + f" {name}", port))
        for server in self.servers:
            server.wait_ready()
        self.pair = Pair(*sides)

    def restart(self):
        """Both servers again, empty: what one has done wrong must not follow us."""
        self.start(self.variant)

    def stop(self):
        if self.pair is not None:
            self._events_before += self.pair.events
            for side in self.pair.sides:
                side.drop_all()
            self.pair = None
        for proxy in self.proxies:
            proxy.close()
        for server in self.servers:
            server.kill()
            server.wipe()
        self.servers, self.proxies = [], []

    def last_words(self):
        """The end of the log of a server that is not there any more, for the report."""
        time.sleep(0.2)
        return "\n".join(f"{server.kind} is gone:\n{server.log_tail(10)}"
                         for server in self.servers if not server.is_running())

    @property
    def events(self):
        return self._events_before + (self.pair.events if self.pair is not None else 0)
