"""What becomes of messages, written to the storage in one task.

First what is new is stored, with the facts that changed with it; then what has happened to it is
noted; and what was confirmed is forgotten, when it is much or nothing else is to be written. While
one batch is written the next one gathers: many messages share one fdatasync.

A failing storage stops nothing. What it does not take is kept here, in the order in which it came,
and tried again after 1, 2, 4 ... 30 s; meanwhile nobody waits for the disk. A storage that turns
out to be damaged is replaced, and gets what the memory knows.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from ocpp_fast.errors import StorageDamaged, StorageError, StorageRefused
from ocpp_fast.journal.entries import Batch, Entry, Note, Read, Unstored, merged
from ocpp_fast.journal.timing import MANY, Patience, Removals
from ocpp_fast.storage.base import MAX_ROWS_PER_APPEND, NO_FACTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from ocpp_fast.clock import Clock
    from ocpp_fast.storage.base import Facts, OutboxRow, Storage

__all__ = ["MAX_NOTES", "Journal"]

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

MAX_NOTES: Final = 10_000
"""Notes that wait for a failing storage; of more, the oldest are given up."""

_NOTE_ATTEMPTS: Final = 5
"""How often a note may fail on a storage that takes everything else."""


def _no_rows() -> Iterable[OutboxRow]:
    return ()


def _ignored(_: StorageError | None) -> None: ...


class Journal:
    """The one writer of outbox rows and of the facts that go with them. Belongs to one event loop.

    Only a durable storage needs it: with another, `durable` is false, and facts are not made.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        *,
        on_stored: Callable[[OutboxRow, bool], None],
        rows: Callable[[], Iterable[OutboxRow]] = _no_rows,
        on_health: Callable[[StorageError | None], None] = _ignored,
    ) -> None:
        """`on_stored` gets each row once it is durable (True), or known not to become so for the
        time being (False; True follows when it has become so after all). `rows` gives all rows
        that are in memory, and `on_health` is called with what failed, and with None when the
        storage works again."""
        self._storage = storage
        self._clock = clock
        self._on_stored = on_stored
        self._rows = rows
        self._on_health = on_health
        self.durable = storage.durable
        """Whether facts are worth making."""
        self.running = False
        """Between `start` and `finish`."""
        self.error: StorageError | None = None
        """Why the storage takes nothing; None while it works."""
        self._batches: deque[Batch] = deque()
        self._notes: deque[Note] = deque()
        self._reads: deque[Read] = deque()
        self._batches_made = self._batches_done = 0
        self._notes_made = self._notes_done = 0
        self._unstored = Unstored()
        self._buried: set[int] = set()
        self._is_damaged = False
        self._work = asyncio.Event()
        self._removals = Removals(clock, self._work.set)
        self._patience = Patience(clock, self._work.set)

    # --- for whoever has something to store -------------------------------------------------

    @property
    def unstored(self) -> int:
        """Rows that are in memory only, because the storage fails."""
        return len(self._unstored.rows)

    @property
    def unremoved(self) -> Collection[int]:
        """Ids of rows that are confirmed or buried, but perhaps still stored as waiting."""
        ids = self._removals.ids.keys()
        return self._buried | ids if self._buried else ids

    def start(self) -> None:
        """From now on `run` waits for more when nothing is left."""
        self.running = True

    def finish(self) -> None:
        """Lets `run` return once everything is written, or was tried once more."""
        self.running = False
        self._work.set()

    async def store(self, row: OutboxRow, facts: Facts | None = None) -> bool:
        """Returns true when the row and its facts are durable; false when they are not, because the
        storage fails: they are kept, and will be when it works again."""
        if self.error is not None:
            self._keep_unstored(Entry(row, facts or NO_FACTS))
            return False
        batch = self._batch()
        batch.rows += 1
        batch.entries.append(Entry(row, facts or NO_FACTS))
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        batch.waiters.append(waiter)
        return await waiter

    def put(self, facts: Facts) -> None:
        """Stores facts soon, with what comes next; a power cut before that loses them."""
        if not facts:
            return
        if self.error is not None:
            self._keep_unstored(Entry(None, facts))
        else:
            self._batch().entries.append(Entry(None, facts))

    async def keep(self, facts: Facts) -> bool:
        """Returns when the facts are durable, and all that came before; as `store` does."""
        if self.error is not None:
            self.put(facts)
            return False
        batch = self._batch()
        batch.entries.append(Entry(None, facts))
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        batch.waiters.append(waiter)
        return await waiter

    def note(self, verb: Callable[[], Awaitable[object]], *, buries: int | None = None) -> None:
        """Runs a verb of the storage when its turn comes, and once more when the storage has
        failed; it must not matter when it is run twice."""
        self._notes.append(Note(verb, buries))
        self._notes_made += 1
        if self.error is None:
            self._work.set()
        elif len(self._notes) > MAX_NOTES:
            self._notes.popleft()
            self._notes_done += 1

    def bury(self, row: OutboxRow, cause: str, time: str) -> None:
        """Makes the row a dead letter, stored or not (`Storage.outbox_bury`)."""
        self._unstored.forget(row.row_id)
        self._buried.add(row.row_id)
        self.note(lambda: self._storage.outbox_bury(row, cause, time), buries=row.row_id)

    def confirm(self, row_ids: Iterable[int]) -> None:
        """Removes rows some time later; a crash before that delivers them once more."""
        for row_id in row_ids:
            if not self._unstored.forget(row_id):
                self._removals.add(row_id)

    async def read(self, verb: Callable[[], Awaitable[_T]]) -> _T:
        """The result of a verb that is run when all that was asked for before has been done, or
        at least tried. Raises its `StorageError`, and one when the journal has been finished."""
        if not self.running:
            raise _finished()
        read = Read(
            verb,
            self._batches_made,
            self._notes_made,
        )
        self._reads.append(read)
        self._work.set()
        return await read.result  # type: ignore[return-value]

    # --- the writer ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Writes until `finish` was called and nothing is left."""
        if self._storage.fault is not None:
            # What kind of failure it is shows when something is to be written.
            try:
                await self._storage.outbox_append((), NO_FACTS)
            except StorageError as error:
                self._fail(error)
        try:
            while True:
                await self._work.wait()
                if self.error is not None:
                    if not await self._step_failing():
                        return
                elif not await self._step():
                    return
        finally:
            self._end()

    async def _step(self) -> bool:
        """One thing while the storage works; false when there is nothing left and will not be."""
        read = self._reads[0] if self._reads else None
        removals = self._removals
        if len(removals.ids) >= MANY:
            await self._remove()
        elif self._batches and (read is None or self._batches_done < read.batches):
            await self._write(self._batches.popleft())
        elif self._notes and (read is None or self._notes_done < read.notes):
            try:
                await self._take_note()
            except StorageError as error:
                self._fail(error)
        elif removals.ids and (removals.are_due or read or not self.running):
            await self._remove()
        elif read is not None:
            self._reads.popleft()
            await self._answer(read)
        elif self.running:
            self._work.clear()
        else:
            return False
        return True

    async def _step_failing(self) -> bool:
        """The same while the storage fails: reads it may do, the rest has its time."""
        if self._patience.is_over or not self.running:
            await self._try_again()
            return self.running or self.error is None
        if self._reads:
            await self._answer(self._reads.popleft())
        else:
            self._work.clear()
        return True

    async def _write(self, batch: Batch) -> None:
        entries = batch.entries
        if len(entries) == 1 and (row := entries[0].row) is not None:  # As it mostly is.
            rows, facts = [row], entries[0].facts
        else:
            rows = [entry.row for entry in entries if entry.row is not None]
            facts = merged(entries)
        try:
            await self._storage.outbox_append(rows, facts)
        except StorageRefused as error:
            _log.error("%s; its messages are stored one by one", error)
            batch.set_result(is_stored=await self._write_singly(entries))
        except StorageError as error:
            for entry in entries:
                self._keep_unstored(entry)
            batch.set_result(is_stored=False)
            self._fail(error)
        else:
            for row in rows:
                self._on_stored(row, True)  # noqa: FBT003
            batch.set_result(is_stored=True)
        self._batches_done += 1

    async def _write_singly(self, entries: Sequence[Entry]) -> bool:
        """One that cannot be stored must not keep the others from it. Whether all were stored."""
        are_stored = True
        for number, entry in enumerate(entries):
            row = entry.row
            try:
                await self._storage.outbox_append(() if row is None else (row,), entry.facts)
            except StorageRefused as error:
                are_stored = False
                _log.error("a message is not stored, and never will be: %s", error)
                if row is not None:
                    self._on_stored(row, False)  # noqa: FBT003
            except StorageError as error:
                for unstored in entries[number:]:
                    self._keep_unstored(unstored)
                self._fail(error)
                return False
            else:
                if row is not None:
                    self._on_stored(row, True)  # noqa: FBT003
        return are_stored

    async def _take_note(self) -> None:
        """Runs the next one. Raises when it has failed, and is still the next."""
        note = self._notes.popleft()
        try:
            await note.verb()
        except StorageRefused as error:
            _log.error("%s; the memory goes on with the newer state", error)
        except StorageError as error:
            note.failures += 1
            if note.failures < _NOTE_ATTEMPTS:
                self._notes.appendleft(note)
                raise
            _log.error("%s; it is given up, and the memory goes on with the newer state", error)
        except Exception:  # Whatever it was, the next verb must have its turn.
            _log.exception("a verb of the storage failed")
        self._notes_done += 1
        if note.row_id is not None:
            self._buried.discard(note.row_id)

    async def _remove(self) -> None:
        removed = list(islice(self._removals.ids, MANY))
        try:
            await self._storage.outbox_remove(removed)
        except StorageError as error:
            # They stay stored, and are delivered once more if the next start comes first.
            self._fail(error)
        else:
            self._removals.done(removed)

    async def _answer(self, read: Read) -> None:
        if read.result.done():
            return  # Whoever waited was cancelled.
        try:
            result = await read.verb()
        except Exception as error:
            if isinstance(error, StorageDamaged):
                self._fail(error)
            if not read.result.done():
                read.result.set_exception(error)
        else:
            if not read.result.done():
                read.result.set_result(result)

    # --- a failing storage --------------------------------------------------------------------

    def _fail(self, error: StorageError) -> None:
        """The storage has not done what it was asked for: it gets its time."""
        is_news, self.error = self.error is None, error
        self._patience.begin()
        if isinstance(error, StorageDamaged) and not self._is_damaged:
            self._is_damaged = True
            self._patience.end()  # It will not mend itself.
        if not is_news:
            _log.warning("%s; next attempt in %.0f s", error, self._patience.pause_s)
            return
        _log.error("%s; what is new is kept in memory only until it works again", error)
        while self._batches:
            batch = self._batches.popleft()
            for entry in batch.entries:
                self._keep_unstored(entry)
            batch.set_result(is_stored=False)
            self._batches_done += 1
        self._on_health(error)

    async def _try_again(self) -> None:
        """Writes all that was not taken; the storage works again when nothing of it fails."""
        self._patience.stop()
        try:
            if self._is_damaged:
                await self._replace_damaged()
            await self._storage.outbox_append((), NO_FACTS)
            while self._unstored.entries:
                await self._write_unstored()
            while self._notes:
                await self._take_note()
        except StorageError as error:
            self._fail(error)
            return
        _log.warning("the storage works again")
        self.error = None
        self._patience.forget()
        self._on_health(None)

    async def _replace_damaged(self) -> None:
        unstored = self._unstored
        entries = list(unstored.entries)
        rows = {row.row_id: row for row in self._rows()}
        rows |= {row_id: entry.row for row_id, entry in unstored.rows.items() if entry.row}
        unstored.being_written = {*rows}
        try:
            await self._storage.replace_damaged(list(rows.values()), merged(entries))
        finally:
            unstored.being_written = set()
        self._is_damaged = False
        _log.error("the storage was damaged; what it held is in %s", self._storage.set_aside)
        self._are_stored(len(entries))

    async def _write_unstored(self) -> None:
        """Some of them, so that what is stored is at no time newer than what is not."""
        entries = list(islice(self._unstored.entries, MAX_ROWS_PER_APPEND))
        try:
            await self._append_unstored(entries)
        except StorageRefused as error:
            _log.error("%s; its messages are stored one by one", error)
            for entry in entries:
                try:
                    await self._append_unstored([entry])
                except StorageRefused as refused:
                    _log.error("a message is not stored, and never will be: %s", refused)
                    self._unstored.pop()

    async def _append_unstored(self, entries: Sequence[Entry]) -> None:
        """The first ones. A row that is forgotten meanwhile has to be removed afterwards."""
        rows = [entry.row for entry in entries if entry.row is not None]
        self._unstored.being_written = {row.row_id for row in rows}
        try:
            await self._storage.outbox_append(rows, merged(entries))
        finally:
            self._unstored.being_written = set()
        self._are_stored(len(entries))

    def _are_stored(self, count: int) -> None:
        """The first entries of what was unstored."""
        for _ in range(count):
            if (row := self._unstored.pop()) is not None:
                self._on_stored(row, True)  # noqa: FBT003

    def _keep_unstored(self, entry: Entry) -> None:
        self._unstored.add(entry)
        if entry.row is not None:
            self._on_stored(entry.row, False)  # noqa: FBT003

    # --- small parts --------------------------------------------------------------------------

    def _batch(self) -> Batch:
        """The one that gathers."""
        batches = self._batches
        if not batches or batches[-1].rows == MAX_ROWS_PER_APPEND:
            batches.append(Batch())
            self._batches_made += 1
            self._work.set()
        return batches[-1]

    def _end(self) -> None:
        """Nothing is written any more, and nobody waits for it."""
        self._removals.stop()
        self._patience.stop()
        if self._unstored.rows:
            _log.error("%d messages could not be stored", len(self._unstored.rows))
        while self._reads:
            result = self._reads.popleft().result
            if not result.done():
                result.set_exception(_finished())


def _finished() -> StorageError:
    return StorageError("the storage", "read", "the charge point does not run")
