#!/usr/bin/env python3
"""Turns the golden frames into a starting corpus, tests/fuzz/corpus/<target>/<name>.

What does not live here: the fuzzers, and what they find. Called by hand when a golden file
changes; the files it writes are kept in the repository, so that a fuzzer starts from sound frames.
"""

import hashlib
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden"
# Positions in ReplyKind::ALL of what these operations are answered.
KINDS = {
    "create": 1, "create2": 2, "createContainer": 2, "createTTL": 2, "setData": 3, "setACL": 4,
    "multi": 5, "exists": 6, "getData": 7, "reconfig": 7, "getACL": 8, "getChildren": 9,
    "getChildren2": 10, "getEphemerals": 11, "getAllChildrenNumber": 12, "sync": 13,
    "addWatch": 14, "whoAmI": 15, "multiRead": 16, "sasl": 17,
}


def keep(target, data):
    """Files are named by their content, so that a second run changes nothing."""
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()[:16]).write_bytes(data)


def jute():
    """Requests and answers; the bodies without their lengths."""
    op, seen = "", set()
    for line in (GOLDEN / "jute.txt").read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "request":
            op, rest = rest.split(" ")
        if word not in ("request", "reply", "event"):
            continue
        frame = bytes.fromhex(rest)
        if op == "connect":
            keep("connect", frame[4:])
            keep("sniff", frame[:8])
        # One sound example and one refusal of each operation are enough to start from.
        elif word == "request":
            if op not in seen:
                keep("jute_request", frame[4:])
            seen.add(op)
        elif (op, word, frame[16:20]) not in seen:
            seen.add((op, word, frame[16:20]))
            keep("jute_reply", bytes([KINDS.get(op, 0)]) + frame[4:])


def native():
    """Every frame without its length, and the greeting whole."""
    for line in (GOLDEN / "native.txt").read_text().splitlines():
        if not line.startswith("#"):
            name, data = line.rsplit(": ", 1)
            frame = bytes.fromhex(data)
            keep("native_frame", frame if name == "greeting" else frame[4:])
            if name == "greeting":
                keep("sniff", frame)


def conversations():
    """Requests of each protocol, eight in a row, behind a session that is open; and an opening."""
    jute = [line.split(" ")[2] for line in (GOLDEN / "jute.txt").read_text().splitlines()
            if line.startswith("request ") and not line.startswith("request connect ")]
    native = [line.rsplit(": ", 1)[1] for line in (GOLDEN / "native.txt").read_text().splitlines()
              if line.startswith("request ")]
    for opened, frames in ((0, jute), (1, native)):
        for at in range(0, len(frames), 8):
            keep("conversation", bytes([opened, 4]) + bytes.fromhex("".join(frames[at:at + 8])))
    opening = [line.rsplit(": ", 1)[1] for line in (GOLDEN / "native.txt").read_text().splitlines()
               if line.startswith(("greeting", "hello"))]
    keep("conversation", bytes([2, 1]) + bytes.fromhex("".join(opening)))


def others():
    """Four-letter words, and a transaction of each shape as the format's test has it."""
    for word in (b"ruok", b"stmk\0\0\0\0\0\0\0\0", b"\x16\x03\x01\x02", b"\xff\xf4\xff\xfd"):
        keep("sniff", word)
    multi = (
        "0181808080100701026970033a3a3106020103022f610278013e05776f726c6406616e796f6e650ad00f"
        "02022f6201"
    )
    for text in (multi, "010000000a09", "0100000007022f61", "010000000901"):
        keep("txn_payload", bytes.fromhex(text))


if __name__ == "__main__":
    jute()
    native()
    conversations()
    others()
