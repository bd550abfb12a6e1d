"""Four-letter words: what they look like, and of mntr what it counts.

What lives here: asking a word, and reducing its answer to line shapes in which numbers, ids,
addresses, dates and versions are replaced by what they are, but for the lines of mntr whose numbers
have to be the same. Two servers agree when they have the same shapes; how often a shape of a
listing comes does not matter. Callers: runner.py, and
sweep_groups.py for the list of words.
"""

import re
import socket

from metrics import EXACT
from side import HOST

WORDS = ("ruok", "isro", "gtmk", "crst", "srst", "dirs", "hash", "srvr", "stat", "cons", "conf",
         "dump", "envi", "wchs", "wchc", "wchp", "mntr")
# No words: the server takes them for the length of a frame and closes.
NO_WORDS = ("abcd", "RUOK", "ruo\n", "kill", "reqs", "lead")
WITH_ARGUMENT = ("stmk\0\0\0\0\0\0\1\2",)
SECONDS = 5.0
_REPLACED = (
    (re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [A-Z]{3,4} \d{4}"), "DATE"),
    (re.compile(r"/[0-9.]+:\d+"), "/ADDRESS"),
    (re.compile(r"0x[0-9a-f]+"), "HEX"),
    (re.compile(r"-?\d+(\.\d+)?(E-?\d+)?"), "N"),
)
_NAMESPACE = re.compile(r"^(zk_[a-z]+_).*_((read|write|quota)[a-z_]*_per_namespace)")
_PATH = re.compile(r"(=|^\t?)/\S+")
_EXACT = re.compile(rf"zk_({'|'.join(EXACT)})\t.*")
_DIGEST = re.compile(r"[0-9a-f]+: -?[0-9]+")
_LOP = re.compile(r"lop=[A-Z0-9]+")


def ask(port, word):
    """The whole answer as text; None when the server closes without one or does not close."""
    with socket.create_connection((HOST, port), SECONDS) as connection:
        connection.sendall(word.encode("latin-1"))
        pieces = []
        try:
            while piece := connection.recv(65536):
                pieces.append(piece)
        except TimeoutError:
            return "the server does not close"
        except ConnectionResetError:
            pass
    return b"".join(pieces).decode("utf-8", "replace")


def shapes(word, text):
    """The set of line shapes of an answer, sorted."""
    lines = text.split("\n")
    if word == "envi":
        # Every value is of the machine and the runtime.
        return tuple(sorted({line.partition("=")[0] for line in lines}))
    return tuple(sorted({_shape(word, line) for line in lines}))


def _shape(word, line):
    if line.startswith(("Zookeeper version:", "zk_version")):
        return line.split(":")[0].split("\t")[0] + " VERSION"
    if word == "hash":
        return _DIGEST.sub("ZXID: DIGEST", line)
    if word == "mntr" and _EXACT.fullmatch(line):
        return line
    line = _NAMESPACE.sub(r"\1NAMESPACE_\2", line)
    # An operation not yet seen has no cxid and NA for a name: a listing of either is one shape.
    line = _LOP.sub("lop=OP", line).replace("lcxid=", "")
    for pattern, name in _REPLACED:
        line = pattern.sub(name, line)
    line = line.replace("lop=OP,est=N,to=N,HEX,", "lop=OP,est=N,to=N,")
    return _PATH.sub(r"\1PATH", line)
