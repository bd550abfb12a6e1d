"""That speed was not bought with durability: what a server asks of the system, write by write.

`strace` follows a server alone while a client sends one set at a time. Between a request's arrival
and its answer there must be a write to the log and, after it, a sync that came back; so there are
as many syncs as answers at least, and no answer leaves while anything written is not synced.
"""

import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import sides

RATE = 50
SECONDS = 2
CALLS = "trace=pwrite64,pwritev,write,writev,fdatasync,fsync,sendto,sendmsg"
LINE = re.compile(r"^\d+\s+([\d.]+) (\w+)\((\d+)(?:<([^>]*)>)?.*= (-?\d+).*<([\d.]+)>$")


def check(side):
    """Figures of a trace of one side; nothing if there is no strace."""
    if shutil.which("strace") is None:
        return {}
    with tempfile.TemporaryDirectory() as directory:
        trace = Path(directory) / "trace"
        arguments = sides.command("set", side.addresses, *side.options, "-c", 1, "-d", 1, "--rate",
                                  RATE, "-t", SECONDS, "--warm-up", 1, "--keys", 1)
        load = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        time.sleep(1.5)
        tracer = subprocess.Popen(
            ["strace", "-f", "-y", "-ttt", "-T", "-e", CALLS, "-o", str(trace), "-p",
             str(side.pids[0])], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        time.sleep(SECONDS / 2)
        tracer.terminate()
        tracer.wait(10)
        load.wait(60)
        return judge(trace.read_text(errors="replace"))


def judge(text):
    """Counts of a trace. A line that was cut in two by another thread's is put together first."""
    calls = sorted(filter(None, map(parse, joined(text))))
    dirty = answers = syncs = writes = early = 0
    for _, name, target, result in calls:
        if result < 0:
            continue
        if name in ("fdatasync", "fsync"):
            syncs, dirty = syncs + 1, 0
        elif is_log(target):
            writes, dirty = writes + 1, 1
        elif "TCP" in target or "socket" in target:
            answers += 1
            early += dirty
    return {"answers to sets, one at a time, traced": (answers, ""),
            "writes to the log meanwhile": (writes, ""), "syncs meanwhile": (syncs, ""),
            "answers sent before what was written was synced": (early, "")}


def is_log(target):
    return "/" in target and not target.startswith("/dev") and "server.log" not in target


def joined(text):
    """Lines of a trace, with the two halves of an interrupted one as one, at its end."""
    open_calls = {}
    for line in text.splitlines():
        thread, _, rest = line.partition(" ")
        if "<unfinished ...>" in line:
            open_calls[thread] = line.replace("<unfinished ...>", "")
        elif "resumed>" in rest:
            begun = open_calls.pop(thread, None)
            if begun is not None:
                yield begun + rest.partition("resumed>")[2]
        else:
            yield line


def parse(line):
    """When a call ended, its name, the file or socket, its result; nothing for other lines."""
    found = LINE.match(line)
    if found is None:
        return None
    begun, name, _, target, result, took = found.groups()
    ended = float(begun) + (float(took) if name in ("fdatasync", "fsync") else 0.0)
    return ended, name, target or "", int(result)
