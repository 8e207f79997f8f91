"""The part of the queue that is on disk only: loading pages of it, asking what it holds, dropping
what is too much. What `window.Window` and `outbox.Outbox` decide happens here.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, TypeVar

from ocpp_fast.errors import StorageError
from ocpp_fast.journal.hanging import in_time
from ocpp_fast.outbox import TRANSACTION_EVENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from ocpp_fast.clock import Clock
    from ocpp_fast.journal import Journal
    from ocpp_fast.outbox import Outbox, Page
    from ocpp_fast.storage.base import OutboxRow, Storage

__all__ = ["DiskQueue"]

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

_PAUSE_S: Final = 10.0
"""When to try again what the storage did not do."""


class DiskQueue:
    """Between the journal, the outbox and the storage. Belongs to one event loop."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        journal: Journal,
        outbox: Outbox,
        *,
        correct: Callable[[Iterable[OutboxRow]], None],
        on_rows: Callable[[], None],
        on_pressure: Callable[[str], None] | None,
        on_health: Callable[[StorageError | None], None] | None,
    ) -> None:
        """`correct` gets rows that come from the storage, before anyone else; `on_rows` is called
        when there may be something to send; `on_pressure`, `on_health`: see `Delivery`."""
        self._storage = storage
        self._clock = clock
        self._monotonic = clock.monotonic
        self._journal = journal
        self._outbox = outbox
        self._correct = correct
        self._on_rows = on_rows
        self._on_pressure = on_pressure
        self._tell_health = on_health
        self._loading: asyncio.Task[None] | None = None
        self._load_at = 0.0
        # A page must not be read before, and taken after, a row that a dead letter has become.
        self._reading = asyncio.Lock()
        self._relieving: asyncio.Task[None] | None = None
        self._relieve_at = 0.0

    # --- loading --------------------------------------------------------------------------

    async def restore(self) -> int:
        """Takes up what an earlier run left; of a long queue, the first page. Returns the last row
        id in use; raises `StorageError`, also when the storage hangs."""
        outbox, storage, clock = self._outbox, self._storage, self._clock
        last_row_id = await in_time(clock, storage.outbox_last_row_id())
        if storage.durable:
            outbox.resume(last_row_id)
            if (page := outbox.next_page()) is not None:
                try:
                    rows = await in_time(clock, storage.outbox_load(*page))
                except StorageError:
                    outbox.page_failed()
                    raise
                self._correct(rows)
                outbox.take_page(rows)
            if await in_time(clock, storage.outbox_dead_letters(limit=1)):
                _log.warning("messages that were given up wait for somebody to look at them")
            return last_row_id
        outbox.went_offline(last_row_id)
        after = 0
        while rows := await storage.outbox_load(after):
            self._correct(rows)
            for row in rows:
                outbox.add(row)
            after = rows[-1].row_id
        return last_row_id

    def refill(self) -> None:
        """Loads a page if memory runs low; `on_rows` is called when it is there."""
        if self._loading is not None or not self._journal.running:
            return
        if self._load_at > self._monotonic() or (page := self._outbox.next_page()) is None:
            return
        self._loading = asyncio.get_running_loop().create_task(self._load(page), name="load")

    @property
    def next_load_at(self) -> float | None:
        """When to call `refill` again, although nothing else has happened: the last page could not
        be loaded."""
        return self._load_at if self._load_at > self._monotonic() else None

    async def _load(self, page: Page) -> None:
        storage, outbox = self._storage, self._outbox
        try:
            async with self._reading:
                rows = await self._journal.read(lambda: storage.outbox_load(*page))
                self._correct(rows)
                outbox.take_page(rows, self._journal.unremoved)
        except Exception as error:  # Whatever it was, the queue must go on.
            outbox.page_failed()
            if self._journal.running:
                self._load_at = self._monotonic() + _PAUSE_S
                is_strange = not isinstance(error, StorageError)
                text = "queued messages cannot be read, once more in 10 s: %s"
                _log.error(text, error, exc_info=is_strange)
        finally:
            self._loading = None
        self._on_rows()

    async def requeue(self, row_ids: Iterable[int]) -> int:
        """See `Delivery.requeue`."""
        ids = list(row_ids)
        await in_time(self._clock, self._reading.acquire())
        try:
            return await self._journal.read(lambda: self._requeue(ids))
        finally:
            self._reading.release()

    async def _requeue(self, row_ids: Iterable[int]) -> int:
        """Also when it hangs, and nobody waits for it any more: the rows are on the disk then."""
        rows = await self._storage.outbox_requeue(row_ids)
        self._correct(rows)
        self._outbox.requeue(rows)
        self._on_rows()
        return len(rows)

    def on_health(self, error: StorageError | None) -> None:
        """The storage fails, or does not any more."""
        if error is None:
            self._outbox.storage_works()
            self._load_at = self._relieve_at = 0.0
            self._on_rows()
        if self._tell_health is not None:
            self._tell_health(error)

    # --- asking ---------------------------------------------------------------------------

    async def holds(self, lane: str) -> bool:
        """See `Delivery.holds`."""
        known = self._outbox.holds(lane)
        if known is None:
            known = await self._ask(lambda: self._storage.outbox_holds(lane))
        return known is not False

    async def any_transaction_waits(self) -> bool:
        """See `Delivery.any_transaction_waits`."""
        if any(row.action == TRANSACTION_EVENT for row in self._outbox.rows()):
            return True
        after = 0
        while not self._outbox.all_in_memory:
            # A page at a time: between two of them rows are stored.
            rows = await self._ask(lambda after=after: self._storage.outbox_load(after))
            if rows is None or any(row.action == TRANSACTION_EVENT for row in rows):
                return True
            if not rows:
                break
            after = rows[-1].row_id
        return False

    async def _ask(self, verb: Callable[[], Awaitable[_T]]) -> _T | None:
        """What the storage says; None when it fails."""
        try:
            return await self._journal.read(verb)
        except StorageError as error:
            _log.error("whether messages wait cannot be found out: %s", error)
            return None

    # --- dropping -------------------------------------------------------------------------

    def check(self) -> None:
        """Sees to it that not too much waits (E04.FR.07, E04.FR.08)."""
        outbox = self._outbox
        if outbox.overfull and self._relieving is None and self._relieve_at <= self._monotonic():
            loop = asyncio.get_running_loop()
            self._relieving = loop.create_task(self._relieve(), name="thin")
        if outbox.overfull_unstored:
            self._forget(rows := outbox.thin_unstored())
            self._tell_pressure(len(rows))

    def thin_memory(self) -> None:
        """Drops what may be dropped of a queue that is too long, where all of it is in memory."""
        self._forget(rows := self._outbox.thin())
        self._tell_pressure(len(rows))

    async def _relieve(self) -> None:
        """On disk first. Of a long queue that takes seconds; it is done beside the journal, which
        stores what comes meanwhile between the portions in which the storage does it."""
        outbox = self._outbox
        try:
            async with self._reading:
                dropped, too_many = await self._thin_disk()
        except Exception as error:  # Whatever it was, the queue must go on.
            self._relieve_at = self._monotonic() + _PAUSE_S
            if self._journal.running:
                is_strange = not isinstance(error, StorageError)
                text = "too many messages wait, and cannot be thinned out now: %s"
                _log.error(text, error, exc_info=is_strange)
            return
        finally:
            self._relieving = None
        if too_many:
            self._forget(rows := outbox.thin())
            dropped += len(rows)
        outbox.was_thinned()
        if dropped or too_many:
            self._tell_pressure(dropped)

    async def _thin_disk(self) -> tuple[int, bool]:
        """How many rows it has dropped, and whether there are still too many."""
        outbox, storage = self._outbox, self._storage
        dropped = 0
        waiting, _ = await self._journal.read(storage.queue_size)
        too_many = outbox.counted(waiting)
        for transactions in (False, True):
            while too_many and not outbox.all_in_memory:
                gone = await storage.outbox_thin(outbox.scanned_to, transactions=transactions)
                dropped += gone
                too_many = outbox.thinned_on_disk(gone)
                # TransactionEvents last, and each time only every second.
                if not gone or transactions:
                    break
        return dropped, too_many

    def finish(self) -> None:
        """What has not been dropped by now is not."""
        if self._relieving is not None:
            self._relieving.cancel()

    def _forget(self, rows: Sequence[OutboxRow]) -> None:
        """Rows have been dropped from memory."""
        ids = [row.row_id for row in rows]
        if self._storage.durable:
            self._journal.confirm(ids)
        else:
            _ = self._storage.outbox_remove(ids)

    def _tell_pressure(self, dropped: int) -> None:
        done = f"{dropped} messages were thinned out" if dropped else "none may be thinned out"
        text = f"{len(self._outbox)} messages wait for the CSMS, {done}"
        _log.error("%s", text)
        if self._on_pressure is not None:
            self._on_pressure(text)
