"""The limits in the file: `logic.limiting.book.Book`, within one write transaction."""

from collections.abc import Mapping
from typing import Any

import msgspec

from leveret.links.sql.connection import Connection
from leveret.logic.limiting import states
from leveret.logic.limiting.book import S
from leveret.model.limiting.gate import Bound, Reason

_ENCODE = msgspec.msgpack.Encoder().encode
_DECODERS: Mapping[type[Any], msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(kind)
    for kind in (
        states.PaceState,
        states.SlotState,
        states.BreakerState,
        states.BudgetState,
        states.KeyState,
    )
}
Name = tuple[str, str]


def decode(blob: bytes, of: type[S]) -> S:
    found: S = _DECODERS[of].decode(blob)
    return found


class SqlBook:
    """Made for one transaction, and closed before its commit: each state is read once and written once."""

    def __init__(self, connection: Connection, now: float) -> None:
        self._connection = connection
        self._states: dict[Name, states.State | None] = {}
        self._changed: set[Name] = set()
        # Who is overdue has lost its place, in whatever line.
        connection.execute("prune_lines", (now - states.OVERDUE_SECONDS,))

    def close(self) -> None:
        for name in self._changed:
            state = self._states[name]
            if state is None:
                self._connection.execute("drop_limit", name)
            else:
                self._connection.execute("save_limit", (*name, _ENCODE(state), states.kept_until(state)))

    def state(self, kind: str, key: str, of: type[S]) -> S | None:
        name = kind, key
        if name not in self._states:
            row = self._connection.execute("find_limit", name).fetchone()
            self._states[name] = None if row is None else decode(row[0], of)
        found = self._states[name]
        return found if isinstance(found, of) else None

    def put(self, kind: str, key: str, state: states.State | None) -> None:
        name = kind, key
        if name not in self._states or self._states[name] != state:
            self._states[name] = state
            self._changed.add(name)

    def line(self, bound: Bound) -> "SqlLine":
        return SqlLine(self._connection, states.named(bound), bound.key)

    def holders(self, key: str) -> "SqlHolders":
        return SqlHolders(self._connection, key)

    def alive(self, session: str) -> bool:
        return self._connection.execute("find_session", (session,)).fetchone() is not None

    def note(self, reason: Reason) -> None:
        row = reason.id, reason.bound, reason.key, reason.until, reason.at, reason.ahead
        self._connection.execute("note_reason", row)

    def forget(self, id: str) -> None:
        self._connection.execute("forget_reason", (id,))


class SqlLine:
    """`book.Line`."""

    __slots__ = ("_connection", "_name")

    def __init__(self, connection: Connection, kind: str, key: str) -> None:
        self._connection, self._name = connection, (kind, key)

    def standing(self, id: str, now: float) -> states.Standing:
        kind, key = self._name
        row = self._connection.execute("line_standing", {"kind": kind, "key": key, "id": id}).fetchone()
        number, first = row
        if first is None:
            return states.Standing()
        most = 2**62 if number is None else number
        (ahead,) = self._connection.execute("line_ahead", (kind, key, most)).fetchone()
        return states.Standing(ahead=ahead, member=number is not None, first=first)

    def join(self, id: str, until: float) -> None:
        self._connection.execute("join_line", (*self._name, id, until))

    def quit(self, id: str) -> bool:
        return bool(self._connection.execute("quit_line", (*self._name, id)).rowcount == 1)


class SqlHolders:
    """`book.Holders`."""

    __slots__ = ("_connection", "_key")

    def __init__(self, connection: Connection, key: str) -> None:
        self._connection, self._key = connection, key

    def count(self) -> int:
        (count,) = self._connection.execute("held_slots", (self._key,)).fetchone()
        return int(count)

    def session(self, id: str) -> str | None:
        row = self._connection.execute("slot_session", (self._key, id)).fetchone()
        return None if row is None else row[0]

    def all(self) -> Mapping[str, str]:
        return dict(self._connection.execute("slot_holders", (self._key,)).fetchall())

    def hold(self, id: str, session: str) -> None:
        self._connection.execute("hold_slot", (self._key, id, session))

    def free(self, id: str) -> None:
        self._connection.execute("free_slot", (self._key, id))


def prune(connection: Connection, now: float) -> None:
    """Forget what would be the same if it had never been."""
    connection.execute("prune_limits", (now,))
    connection.execute("prune_lines", (now - states.OVERDUE_SECONDS,))
    connection.execute("prune_reasons", (now - states.OVERDUE_SECONDS,))
