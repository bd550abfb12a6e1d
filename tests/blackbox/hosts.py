"""Hosts for servers: network namespaces of this run alone, or loopback where those are not allowed.

`enter` runs the program once more inside namespaces of its own (network, mounts, processes), so
whatever it makes there, hosts, links, disks and processes, is gone when it ends, however it ends.
Inside, `Network` joins one namespace a host to a router, this process's own namespace, by a cable
each. A direction from one host to another is cut at the router: packets vanish, nobody is told.
`Loopback` has one host for everybody and can cut nothing.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

INSIDE = "OSTLER_BLACKBOX_INSIDE"
TOOLS = ("unshare", "nsenter", "ip", "mount")
DISK_BYTES = 2 << 30
RULE_PREFERENCE = 100


def enter():
    """Goes on inside fresh namespaces, or says on standard output why that cannot be."""
    if INSIDE in os.environ:
        return
    reason = _obstacle()
    if reason:
        print(f"hosts: loopback only, so without partitions and full disks: {reason}", flush=True)
        return
    os.environ[INSIDE] = "1"
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
               sys.executable, *sys.argv]
    sys.stdout.flush()
    os.execvp(command[0], command)


def _obstacle():
    if os.environ.get("OSTLER_BLACKBOX_LOOPBACK"):
        return "OSTLER_BLACKBOX_LOOPBACK is set"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"this machine has no {missing[0]}"
    trial = ("mount -t tmpfs none /run && mkdir /run/netns && ip netns add trial && "
             "ip link add trial type veth peer name trial0 netns trial && "
             "echo 1 > /proc/sys/net/ipv4/ip_forward")
    done = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc",
                           "sh", "-c", trial], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stderr.strip() or "unshare failed")


def network(numbers):
    """Hosts with these numbers: in namespaces if `enter` got there, else loopback."""
    return Network(numbers) if INSIDE in os.environ else Loopback()


class Loopback:
    """Everybody on one host."""

    partitions = False

    def address(self, _number):
        return "127.0.0.1"

    def prefix(self, _number):
        return []

    def disk(self, directory):
        """There is only the disk that `directory` is on; its room is not ours to fill."""
        Path(directory).mkdir(parents=True, exist_ok=True)


class Network:
    """A namespace a host, each on a cable of its own to this process's namespace."""

    partitions = True

    def __init__(self, numbers):
        # Names of namespaces are files there; nobody else is to see ours.
        _run("mount", "-t", "tmpfs", "none", "/run/netns") if Path("/run/netns").is_dir() else (
            _run("mount", "-t", "tmpfs", "none", "/run"), Path("/run/netns").mkdir())
        _run("ip", "link", "set", "lo", "up")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        self._cut = set()
        for number in numbers:
            host, cable = f"host{number}", f"cable{number}"
            _run("ip", "netns", "add", host)
            _run("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", host)
            _run("ip", "addr", "add", f"10.99.{number}.254/24", "dev", cable)
            _run("ip", "link", "set", cable, "up")
            for words in (("addr", "add", f"10.99.{number}.1/24", "dev", "eth0"),
                          ("link", "set", "lo", "up"), ("link", "set", "eth0", "up"),
                          ("route", "add", "default", "via", f"10.99.{number}.254")):
                _run("ip", "-n", host, *words)

    def address(self, number):
        return f"10.99.{number}.1"

    def prefix(self, number):
        """What to put before a command so that it runs on that host, under the same process id."""
        return ["nsenter", f"--net=/run/netns/host{number}", "--"]

    def cut(self, sender, receiver):
        """From now on nothing gets from one host to the other. The way back is another matter."""
        if (sender, receiver) not in self._cut:
            self._cut.add((sender, receiver))
            _run("ip", "rule", "add", *self._rule(sender, receiver))

    def heal(self):
        """Everything gets everywhere again."""
        for sender, receiver in sorted(self._cut):
            _run("ip", "rule", "del", *self._rule(sender, receiver))
        self._cut.clear()

    def unplug(self, number):
        """Cuts a host off from everybody, its clients too."""
        _run("ip", "link", "set", f"cable{number}", "down")

    def plug(self, number):
        _run("ip", "link", "set", f"cable{number}", "up")

    def disk(self, directory):
        """Puts a file system of its own at `directory`."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        image = directory.with_suffix(".image")
        with open(image, "wb") as made:
            made.truncate(DISK_BYTES)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
        _run("mount", "-o", "loop", str(image), str(directory))
        (directory / "lost+found").rmdir()

    @staticmethod
    def _rule(sender, receiver):
        return ("pref", str(RULE_PREFERENCE), "iif", f"cable{sender}",
                "to", f"10.99.{receiver}.0/24", "blackhole")


def _run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
