"""What waits to be written."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Container, Iterable, Iterator

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
        """Those that are not being written just now."""
        self.rows: dict[int, Entry] = {}
        """All that have a row, by its id."""
        self._begun: list[Entry] = []
        """Older than all others, and being written: they may be stored by now."""
        self._begun_rows: set[int] = set()
        self._untold: deque[OutboxRow] = deque()
        self._holes = 0
        """Entries without a row that are not being written."""

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        if entry.row is None:
            self._add_hole()
        else:
            self.rows[entry.row.row_id] = entry

    def take(self, entries: Iterable[Entry]) -> None:
        """Adds those of a batch, of which nobody was told yet that they are not stored."""
        for entry in entries:
            self.add(entry)
            if entry.row is not None:
                self._untold.append(entry.row)

    def untold(self) -> Iterator[OutboxRow]:
        """Rows of which somebody is to be told now."""
        while self._untold:
            yield self._untold.popleft()

    def begin(self, count: int) -> list[Entry]:
        """The first ones, which are about to be written; they stay as they are until `end` or
        `put_back`."""
        entries = self.entries
        self._begun = [entries.popleft() for _ in range(min(count, len(entries)))]
        self._begun_rows = {entry.row.row_id for entry in self._begun if entry.row is not None}
        self._holes -= len(self._begun) - len(self._begun_rows)
        return self._begun

    def end(self) -> list[OutboxRow]:
        """What was begun is done with; its rows."""
        rows = [entry.row for entry in self._begun if entry.row is not None]
        for row in rows:
            del self.rows[row.row_id]
            if self._untold and self._untold[0] is row:
                self._untold.popleft()
        self._begun, self._begun_rows = [], set()
        return rows

    def put_back(self, gone: Container[int]) -> None:
        """What was begun has not been written. `gone`: ids of rows that are of no use any more."""
        begun, self._begun, self._begun_rows = self._begun, [], set()
        self.entries.extendleft(reversed(begun))
        self._holes += sum(entry.row is None for entry in begun)
        for entry in begun:
            if entry.row is not None and entry.row.row_id in gone:
                self.forget(entry.row.row_id)

    def forget(self, row_id: int) -> bool:
        """Whether the row is not stored, and will not be any more. Its facts will."""
        if row_id not in self.rows or row_id in self._begun_rows:
            return False
        self.rows.pop(row_id).row = None
        self._add_hole()
        return True

    def _add_hole(self) -> None:
        """One more that has facts alone; many of them become one now and then, so that what is kept
        grows with the rows and the names of facts, not with the time that the storage fails."""
        self._holes += 1
        if self._holes <= _MANY_HOLES or 2 * self._holes <= len(self.entries):
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
        self._holes = int(bool(carried))
        self.entries = kept


def merged(entries: Iterable[Entry]) -> Facts:
    """The facts of all of them; the later ones count."""
    merged: dict[str, str | None] = {}
    for entry in entries:
        merged |= entry.facts
    return merged
