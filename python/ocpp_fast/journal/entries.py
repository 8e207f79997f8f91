"""What waits to be written."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from ocpp_fast.storage.base import Facts, OutboxRow

__all__ = ["Batch", "Entry", "Note", "Read", "Unstored", "merged"]

_MANY_HOLES: Final = 1_000


class Entry:
    """A row, facts, or both: what has to be stored together."""

    __slots__ = ("facts", "row")

    def __init__(self, row: OutboxRow | None, facts: Facts) -> None:
        self.row = row
        self.facts = facts


class Batch:
    """Entries that are written together."""

    __slots__ = ("entries", "rows", "waiters")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.rows = 0
        self.waiters: list[asyncio.Future[bool]] = []
        """One for each who waits: to share one would take the event loop another round."""

    def set_result(self, *, is_stored: bool) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(is_stored)


class Note:
    """A verb that is run in its turn, and run again when the storage works again."""

    __slots__ = ("failures", "row_id", "verb")

    def __init__(self, verb: Callable[[], Awaitable[object]], row_id: int | None = None) -> None:
        self.verb = verb
        self.failures = 0
        self.row_id = row_id
        """The row that is buried by it."""


class Read:
    """A verb whose result somebody waits for."""

    __slots__ = ("batches", "notes", "result", "verb")

    def __init__(self, verb: Callable[[], Awaitable[object]], batches: int, notes: int) -> None:
        self.verb = verb
        self.batches = batches
        """How many batches and notes have to be done before it."""
        self.notes = notes
        self.result: asyncio.Future[object] = asyncio.get_running_loop().create_future()


class Unstored:
    """What a failing storage has not taken, in the order in which it came."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.rows: dict[int, Entry] = {}
        """Those that have a row, by its id."""
        self.being_written: set[int] = set()
        """Rows that may be stored by now; no entry changes its place meanwhile."""
        self._holes = 0

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        if entry.row is None:
            self._add_hole()
        else:
            self.rows[entry.row.row_id] = entry

    def pop(self) -> OutboxRow | None:
        """The row of the first entry, which is done with."""
        row = self.entries.popleft().row
        if row is None:
            self._holes -= 1
        else:
            del self.rows[row.row_id]
        return row

    def forget(self, row_id: int) -> bool:
        """Whether the row is not stored, and will not be any more. Its facts will."""
        if row_id not in self.rows or row_id in self.being_written:
            return False
        self.rows.pop(row_id).row = None
        self._add_hole()
        return True

    def _add_hole(self) -> None:
        """One more that has facts alone; many of them become one now and then, so that what is kept
        grows with the rows and the names of facts, not with the time that the storage fails."""
        self._holes += 1
        if self.being_written or self._holes <= _MANY_HOLES or 2 * self._holes <= len(self.entries):
            return
        kept: deque[Entry] = deque()
        carried: dict[str, str | None] = {}
        for entry in self.entries:
            carried |= entry.facts
            if entry.row is not None:
                entry.facts, carried = carried, {}
                kept.append(entry)
        if carried:
            kept.append(Entry(None, carried))
        self.entries = kept
        self._holes = len(kept) - len(self.rows)


def merged(entries: Iterable[Entry]) -> Facts:
    """The facts of all of them; the later ones count."""
    merged: dict[str, str | None] = {}
    for entry in entries:
        merged |= entry.facts
    return merged
