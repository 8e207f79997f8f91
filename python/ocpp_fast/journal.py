"""What becomes of messages, written to the storage in one task.

First what is new is stored, then what has happened to it is noted, and what was confirmed is
forgotten when nothing else is to be written. While one batch is written the next one gathers: many
messages share one fdatasync. A failing storage stops nothing; the memory then has the newer state.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from ocpp_fast.errors import StorageError
from ocpp_fast.storage.base import MAX_ROWS_PER_APPEND, OutboxRow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from ocpp_fast.storage.base import Storage

__all__ = ["Journal"]

_log = logging.getLogger(__name__)


class _Batch:
    """Rows that are written to the storage together."""

    __slots__ = ("done", "rows")

    def __init__(self) -> None:
        self.rows: list[OutboxRow] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Journal:
    """The one writer of outbox rows. Belongs to one event loop."""

    def __init__(self, storage: Storage, *, on_stored: Callable[[OutboxRow], None]) -> None:
        """`on_stored` gets each row once it is durable, or known not to become so."""
        self._storage = storage
        self._on_stored = on_stored
        self.undurable = 0
        """Rows that a failing storage did not take."""
        self._batches: deque[_Batch] = deque()
        self._notes: deque[Callable[[], Awaitable[None]]] = deque()
        self._confirmed: list[int] = []
        self._work = asyncio.Event()
        self.running = False
        """Between `start` and `finish`."""

    def start(self) -> None:
        """From now on `run` waits for more when nothing is left."""
        self.running = True

    def finish(self) -> None:
        """Lets `run` return once everything is written."""
        self.running = False
        self._work.set()

    async def run(self) -> None:
        """Writes until `finish` was called and nothing is left."""
        while True:
            await self._work.wait()
            if self._batches:
                await self._write_batch(self._batches.popleft())
            elif self._notes:
                await self._guard(self._notes.popleft()())
            elif self._confirmed:
                await self._forget()
            elif self.running:
                self._work.clear()
            else:
                return

    async def store(self, row: OutboxRow) -> None:
        """Returns when the row is durable, or known not to become so."""
        batches = self._batches
        if not batches or len(batches[-1].rows) == MAX_ROWS_PER_APPEND:
            batches.append(_Batch())
            self._work.set()
        batch = batches[-1]
        batch.rows.append(row)
        await asyncio.shield(batch.done)

    def note(self, verb: Callable[[], Awaitable[None]]) -> None:
        """Runs a verb of the storage when its turn comes."""
        self._notes.append(verb)
        self._work.set()

    def confirm(self, row_ids: Iterable[int]) -> None:
        """Removes rows some time later; a crash before that delivers them once more."""
        self._confirmed += row_ids
        self._work.set()

    async def _write_batch(self, batch: _Batch) -> None:
        try:
            await self._storage.outbox_append(batch.rows)
        except StorageError as error:
            self.undurable += len(batch.rows)
            _log.error("%d messages are kept in memory only: %s", len(batch.rows), error)
        for row in batch.rows:
            self._on_stored(row)
        if not batch.done.done():
            batch.done.set_result(None)

    async def _forget(self) -> None:
        confirmed, self._confirmed = self._confirmed, []
        try:
            await self._storage.outbox_remove(confirmed)
        except StorageError as error:
            # They stay stored, and are delivered once more after a restart.
            _log.error("%d delivered messages could not be removed: %s", len(confirmed), error)

    async def _guard(self, verb: Awaitable[None]) -> None:
        try:
            await verb
        except StorageError as error:
            _log.error("%s; the memory goes on with the newer state", error)
