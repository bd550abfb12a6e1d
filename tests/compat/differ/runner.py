"""Both servers driven in lock-step: one step at a time, every answer read before the next.

What lives here: performing a step on both sides, reading until a marker request's reply shows
that all is quiet on every connection, and collecting the differences. What does not: which steps
(rounds.py, sweeps.py), whether a difference is deliberate (explain.py).

Why a marker works: a server hands a watch event to a connection before it answers anything that
shows the change, so once the marker read is answered on a connection its events have come.
"""

import dataclasses

import encode as e
import words
from compare import Difference, connect_items, difference, items, unordered
from decode import error_of, zxid_of
from script import MARKER, MARKER_XID, Await, Connect, Drop, Word, count

CLOSING_ERRORS = (-6, -115, -124)
CLOSE_SECONDS = 1.0


class Unreachable(Exception):
    """A server does not accept connections any more."""


@dataclasses.dataclass
class Outcome:
    """What came of a step: the left side's items by connection, and where the sides differ.

    `live` are the connections with a session on the left side afterwards.
    """

    left: dict
    differences: list
    live: list


class Pair:
    """Two servers. `left` is the reference: what it answers guides the generator."""

    def __init__(self, left, right):
        self.left = left
        self.right = right
        self.sides = (left, right)
        self.steps_done = 0
        self.answered = 0
        self.events = 0

    def begin_round(self):
        """Fresh mappings on both sides, counted from what each server shows now."""
        self.steps_done = 0
        for side in self.sides:
            side.begin_round(_zxid_now(side))

    def perform(self, step):
        """Does one step on both sides; the Outcome names every connection that has something."""
        index = self.steps_done
        self.steps_done += 1
        self.answered += count(step)
        if isinstance(step, Word):
            return self._word(index, step.word)
        observed = self._act(step)
        others = [conn for conn in self._connections() if conn not in observed]
        observed.update(self._quiet(others))
        return self._judge(index, step, observed)

    def resynchronise(self):
        """Takes what both sides show now for the same zxid: a deliberate difference used one up."""
        zxids = [_zxid_now(side) for side in self.sides]
        for side, zxid in zip(self.sides, zxids):
            side.mapping.rebase(zxid, zxid - (zxids[0] - self.left.mapping.base))

    def _act(self, step):
        if isinstance(step, Drop):
            for side in self.sides:
                side.drop(step.conn)
            return {}
        if isinstance(step, Connect):
            return {step.conn: self._connect(step)}
        if step.conn not in self.left.connections or step.conn not in self.right.connections:
            return {}
        if isinstance(step, Await):
            return {step.conn: [self._await(side, step) for side in self.sides]}
        alone = any(request.alone for request in step.requests())
        for side in self.sides:
            frame = step.frame(side)
            side.connections[step.conn].send(frame if alone else frame + MARKER)
        return {step.conn: [self._read_batch(side, step, alone) for side in self.sides]}

    def _word(self, index, word):
        try:
            left, right = (set(words.shapes(word, words.ask(side.port, word)))
                           for side in self.sides)
        except OSError as error:
            raise Unreachable(f"four-letter word {word}: {error}") from error
        if left == right:
            return Outcome({}, [], self.left.live())
        only_left, only_right = tuple(sorted(left - right)), tuple(sorted(right - left))
        found = Difference(index, -1, f"word {word}", only_left, only_right, None,
                           ("lines of left alone", *only_left),
                           ("lines of right alone", *only_right))
        return Outcome({}, [found], self.left.live())

    def _await(self, side, step):
        connection = side.connections[step.conn]
        frames = connection.frames(count=step.events, seconds=step.seconds)
        connection.send(MARKER)
        frames += connection.frames(until_xid=MARKER_XID)
        return items(connection, side.mapping, [], frames, True)

    def _read_batch(self, side, step, alone):
        connection = side.connections[step.conn]
        frames = []
        if alone:
            # The reply may come out of turn or be followed by a close: ask for quiet after it.
            request = step.requests()[-1]
            frames = connection.frames(until_xid=request.reply_xid)
            if frames and (request.op == e.CLOSE_SESSION or error_of(frames[-1]) in CLOSING_ERRORS):
                # The close follows the reply, but not at once.
                frames += connection.frames(seconds=CLOSE_SECONDS)
            connection.send(MARKER)
        frames += connection.frames(until_xid=MARKER_XID)
        return items(connection, side.mapping, step.requests(), frames, True)

    def _connect(self, step):
        frames = []
        for side in self.sides:
            if step.session_of is not None and step.session_of not in side.sessions:
                return [[("end", "no such session")]] * 2
            try:
                side.open(step.conn).send(step.frame(side))
            except OSError as error:
                raise Unreachable(f"{side.name}: {error}") from error
        for side in self.sides:
            frames.append(side.connections[step.conn].frames(count=1))
        return [self._finish_connect(side, step, found)
                for side, found in zip(self.sides, frames)]

    def _finish_connect(self, side, step, frames):
        connection = side.connections[step.conn]
        answer, session = connect_items(connection, frames)
        if session is None:
            # Refused: what is left to see is the close.
            connection.frames()
            side.drop(step.conn)
            return answer + [("end", "silent" if connection.silent else "closed")]
        known = side.sessions.get(step.session_of)
        answer.append(("session", _kinship(side, session, known)))
        side.remember_session(step.conn, *session)
        if known is not None:
            side.mapping.sessions[session[0]] = step.session_of
        connection.send(MARKER)
        more = frames[1:] + connection.frames(until_xid=MARKER_XID)
        return answer + items(connection, side.mapping, step.tail, more, True)

    def _connections(self):
        return [conn for conn in self.left.connections if conn in self.right.connections]

    def _quiet(self, conns):
        """Sends the marker on `conns` of both sides, then reads all up to its reply."""
        for conn in conns:
            for side in self.sides:
                side.connections[conn].send(MARKER)
        return {conn: [self._read_marker(side, conn) for side in self.sides] for conn in conns}

    def _read_marker(self, side, conn):
        connection = side.connections[conn]
        frames = connection.frames(until_xid=MARKER_XID)
        return items(connection, side.mapping, [], frames, True)

    def _judge(self, index, step, observed):
        closing = isinstance(step, Await) or any(
            request.op == e.CLOSE_SESSION for request in step.requests())
        differences, left_items = [], {}
        for conn, (left, right) in observed.items():
            left_items[conn] = left
            self.events += sum(item[0] == "event" for item in left)
            requests = step.requests() if conn == getattr(step, "conn", None) else []
            if closing:
                left, right = unordered(left), unordered(right)
            found = difference(index, conn, left, right, requests)
            if found is not None:
                differences.append(found)
        self._forget_closed()
        return Outcome(left_items, differences, self.left.live())

    def _forget_closed(self):
        """A connection that either side has closed is of no use for comparing."""
        for conn in self._connections():
            if any(side.connections[conn].closed or side.connections[conn].silent
                   for side in self.sides):
                for side in self.sides:
                    side.drop(conn)


def _kinship(side, session, known):
    if known is not None:
        return "the same" if session == known else "another"
    return "seen before" if session[0] in side.mapping.sessions else "new"


def _zxid_now(side):
    """The zxid `side` shows, through a session of its own that is closed again."""
    try:
        connection = side.open(-1)
        connection.send(e.connect())
        connection.frames(count=1)
        connection.send(MARKER)
        zxid = zxid_of(connection.frames(until_xid=MARKER_XID)[-1])
        connection.send(e.request(1, e.CLOSE_SESSION))
        connection.frames()
    except (OSError, IndexError) as error:
        raise Unreachable(f"{side.name}: {error}") from error
    finally:
        side.drop(-1)
    return zxid
