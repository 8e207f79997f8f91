"""What becomes of messages, written to the storage in one task.

First what is new is stored, with the facts that changed with it; then what has happened to it is
noted; and what was confirmed is forgotten, when it is much or nothing else is to be written. While
one batch is written the next one gathers: many messages share one fdatasync.

A failing storage stops nothing. What it does not take is kept here, in the order in which it came,
and tried again after 1, 2, 4 ... 30 s; meanwhile nobody waits for the disk. A storage that turns
out to be damaged is replaced, and gets what the memory knows. One that hangs has failed as well; it
is tried again when it has come back, for no verb can be called off, or run beside another.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from ocpp_fast.errors import StorageDamaged, StorageError, StorageRefused
from ocpp_fast.journal.entries import Batch, Entry, Note, Read, Unstored, merged
from ocpp_fast.journal.hanging import FINISH_S, Deadline, Watch, hung, name_of
from ocpp_fast.journal.timing import MANY, Patience, Removals
from ocpp_fast.storage.base import MAX_ROWS_PER_APPEND, NO_FACTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

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
        self._refused: Batch | None = None
        """What is being stored one by one."""
        self._is_damaged = False
        self._work = asyncio.Event()
        self._removals = Removals(clock, self._work.set)
        self._patience = Patience(clock, self._work.set)
        self._watch = Watch(clock, on_hang=self._hangs, on_back=self._patience.end)
        self._deadline = Deadline(clock)

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
        """Lets `run` return once everything is written, or was tried once more, and after
        `FINISH_S` in any case."""
        self.running = False
        self._work.set()
        self._deadline.begin()

    async def store(self, row: OutboxRow, facts: Facts | None = None) -> bool:
        """Returns true when the row and its facts are durable; false when they are not, because the
        storage fails: they are kept, and will be when it works again."""
        if self.error is not None:
            self._unstored.add(Entry(row, facts or NO_FACTS))
            self._on_stored(row, False)  # noqa: FBT003
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
            self._unstored.add(Entry(None, facts))
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
        at least tried. Raises its `StorageError`, one when the journal has been finished, and one
        when the storage hangs; the verb may still be run to its end then."""
        if not self.running:
            raise _finished()
        if self._watch.is_hanging:
            raise hung("read")
        read = Read(verb, self._batches_made, self._notes_made)
        self._reads.append(read)
        self._work.set()
        return await read.result  # type: ignore[return-value]

    # --- the writer ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Writes until `finish` was called and nothing is left, or the time for it is over."""
        self._deadline.watch(asyncio.current_task())
        if not self.running:
            self._deadline.begin()
        try:
            if self._storage.fault is not None:
                # What kind of failure it is shows when something is to be written.
                try:
                    await self._watch.run(self._storage.outbox_append((), NO_FACTS))
                except StorageError as error:
                    self._fail(error)
            while True:
                await self._work.wait()
                if self.error is not None:
                    if not await self._step_failing():
                        return
                elif not await self._step():
                    return
        except asyncio.CancelledError:
            if not self._deadline.is_over or (task := asyncio.current_task()) is None:
                raise
            task.uncancel()
            late = f"not all was written within {FINISH_S:.0f} s, it is given up"
            self._give_up(StorageError("the storage", "finish", late))
            _log.error("%s", self.error)
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
            await self._answer(self._reads[0])
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
        watch = self._watch
        watch.begin(batch)
        try:
            await self._storage.outbox_append(rows, facts)
        except BaseException as error:
            if watch.end():
                self._unstored.put_back(self._removals.ids)
            else:
                self._unstored.take(entries)
            if isinstance(error, StorageRefused):
                _log.error("%s; its messages are stored one by one", error)
                await self._write_singly(batch)
            else:
                batch.set_result(is_stored=False)
                if not isinstance(error, StorageError):
                    raise
                self._fail(error)
        else:
            if watch.end():
                self._are_stored()
            else:
                for row in rows:
                    self._on_stored(row, True)  # noqa: FBT003
                batch.set_result(is_stored=True)
        self._batches_done += 1

    async def _write_singly(self, batch: Batch) -> None:
        """One that cannot be stored must not keep the others from it."""
        self._refused = batch
        are_stored = True
        try:
            while self.error is None and self._unstored.entries:
                are_stored &= await self._write_unstored(1)
        except StorageError as error:
            self._fail(error)
        self._refused = None
        batch.set_result(is_stored=are_stored and self.error is None)

    async def _take_note(self) -> None:
        """Runs the next one. Raises when it has failed, and is still the next."""
        note = self._notes.popleft()
        try:
            await self._watch.run(note.verb())
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
            await self._watch.run(self._storage.outbox_remove(removed))
        except StorageError as error:
            # They stay stored, and are delivered once more if the next start comes first.
            self._fail(error)
        else:
            self._removals.done(removed)

    async def _answer(self, read: Read) -> None:
        result = read.result
        try:
            if not result.done():  # Else whoever waited was cancelled.
                found = await self._watch.run(read.verb())
                if not result.done():
                    result.set_result(found)
        except Exception as error:
            if isinstance(error, StorageDamaged):
                self._fail(error)
            if not result.done():
                result.set_exception(error)
        if self._reads and self._reads[0] is read:
            self._reads.popleft()

    # --- a failing storage --------------------------------------------------------------------

    def _fail(self, error: StorageError) -> None:
        """The storage has not done what it was asked for: it gets its time."""
        self._patience.begin()
        if isinstance(error, StorageDamaged) and not self._is_damaged:
            self._is_damaged = True
            self._patience.end()  # It will not mend itself.
        if not self._give_up(error):
            _log.warning("%s; next attempt in %.0f s", error, self._patience.pause_s)

    def _hangs(self, verb: object) -> None:
        """A verb has not come back. When it does, the storage is tried again at once."""
        is_batch = isinstance(verb, Batch)
        if is_batch:
            self._unstored.take(verb.entries)
            self._unstored.begin(len(verb.entries))
            verb.set_result(is_stored=False)
        name = "outbox_append" if is_batch else name_of(verb)
        if not self._give_up(hung(name)):
            _log.warning("%s", self.error)
        _refuse(self._reads, lambda: hung(name))

    def _give_up(self, error: StorageError) -> bool:
        """Nobody waits for the storage any more. False if nobody did before."""
        is_news, self.error = self.error is None, error
        if is_news:
            _log.error("%s; what is new is kept in memory only until it works again", error)
        while self._batches:
            batch = self._batches.popleft()
            self._unstored.take(batch.entries)
            batch.set_result(is_stored=False)
            self._batches_done += 1
        if self._refused is not None:
            self._refused.set_result(is_stored=False)
        for row in self._unstored.untold():
            self._on_stored(row, False)  # noqa: FBT003
        if is_news:
            self._on_health(error)
        return is_news

    async def _try_again(self) -> None:
        """Writes all that was not taken; the storage works again when nothing of it fails, or takes
        too long: one that is slow for good is to be told of once."""
        self._patience.stop()
        hangs = self._watch.hangs
        try:
            if self._is_damaged:
                await self._replace_damaged()
            await self._watch.run(self._storage.outbox_append((), NO_FACTS))
            # What comes while a note is run was not taken either.
            while self._unstored.entries or self._notes:
                if self._unstored.entries:
                    await self._write_unstored()
                else:
                    await self._take_note()
        except StorageError as error:
            self._fail(error)
            return
        if self._watch.hangs != hangs:
            self._patience.begin()
            _log.warning("the storage is slow; next attempt in %.0f s", self._patience.pause_s)
            return
        _log.warning("the storage works again")
        self.error = None
        self._patience.forget()
        self._on_health(None)

    async def _replace_damaged(self) -> None:
        unstored = self._unstored
        rows = {row.row_id: row for row in self._rows()}
        entries = unstored.begin(len(unstored.entries))
        rows |= {entry.row.row_id: entry.row for entry in entries if entry.row}
        verb = self._storage.replace_damaged(list(rows.values()), merged(entries))
        try:
            await self._watch.run(verb)
        except BaseException:
            unstored.put_back(self._removals.ids)
            raise
        self._is_damaged = False
        _log.error("the storage was damaged; what it held is in %s", self._storage.set_aside)
        self._are_stored()

    async def _write_unstored(self, most: int = MAX_ROWS_PER_APPEND) -> bool:
        """The first ones, so that what is stored is at no time newer than what is not. False if one
        can never be stored. A row that is forgotten meanwhile has to be removed afterwards."""
        unstored = self._unstored
        entries = unstored.begin(most)
        rows = [entry.row for entry in entries if entry.row is not None]
        try:
            await self._watch.run(self._storage.outbox_append(rows, merged(entries)))
        except StorageRefused as error:
            if len(entries) > 1:
                unstored.put_back(self._removals.ids)
                _log.error("%s; its messages are stored one by one", error)
                for _ in entries:
                    await self._write_unstored(1)
                return False
            _log.error("a message is not stored, and never will be: %s", error)
            for row in unstored.end():
                if self.error is None:  # Else it is known.
                    self._on_stored(row, False)  # noqa: FBT003
            return False
        except BaseException:
            unstored.put_back(self._removals.ids)
            raise
        self._are_stored()
        return True

    def _are_stored(self) -> None:
        """What was begun of what was not."""
        for row in self._unstored.end():
            self._on_stored(row, True)  # noqa: FBT003

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
        self._deadline.watch(None)
        self._watch.stop()
        self._removals.stop()
        self._patience.stop()
        if self._unstored.rows:
            _log.error("%d messages could not be stored", len(self._unstored.rows))
        _refuse(self._reads, _finished)


def _finished() -> StorageError:
    return StorageError("the storage", "read", "the charge point does not run")


def _refuse(reads: deque[Read], error: Callable[[], StorageError]) -> None:
    """None of them gets its result."""
    while reads:
        result = reads.popleft().result
        if not result.done():
            result.set_exception(error())
