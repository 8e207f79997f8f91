"""Keeps on the disk what was written to the device model. The one writer of its values.

`put` never waits: what is put is stored some time later, the last value of each attribute only, all
that has gathered in one transaction. `store` returns when its rows are durable. A failing disk
loses nothing: what it did not take is kept and tried again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from ocpp_fast.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ocpp_fast.clock import Clock
    from ocpp_fast.storage.base import Storage, ValueKey, ValueRow

__all__ = ["Writer"]

_log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 1.0
"""Pause before a failing storage is tried again; it doubles with each failure."""
LONGEST_PAUSE_S: Final = 60.0


class Writer:
    """Belongs to one event loop. What waits is bounded by the number of attributes there are."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._waiting: dict[ValueKey, ValueRow] = {}
        # One verb at a time, so that no older value can come after a newer one.
        self._storing = asyncio.Lock()
        self._work = asyncio.Event()
        self._finished = asyncio.Event()
        self._drained: asyncio.Future[None] | None = None
        self._pause_s = FIRST_PAUSE_S
        self.failing = False
        """Whether the storage did not take what it was given last."""

    @property
    def waiting(self) -> Iterable[ValueRow]:
        """What is not stored yet."""
        return self._waiting.values()

    def put(self, row: ValueRow) -> None:
        """Stores a row when its turn comes, instead of an older one of the same attribute."""
        self._waiting[row[:7]] = row
        self._work.set()

    async def store(self, rows: Sequence[ValueRow], then: Callable[[], None] | None = None) -> None:
        """Stores rows at once, in one transaction; durable when it returns.

        With `then` the rows say what is to be: it is called once they are durable, to make it so.
        When the storage fails that has not come to pass, and `StorageError` is raised. When the
        caller is cancelled meanwhile nobody knows what the disk says; then it does come to pass.

        Without `then` the rows say what is already; when the storage fails they are kept and tried
        again, and `StorageError` is raised.
        """
        keys = [row[:7] for row in rows]
        async with self._storing:
            # Of these attributes, what waits now is older.
            older = {k: row for k in keys if (row := self._waiting.pop(k, None)) is not None}
            try:
                await self._storage.values_store(rows)
            except StorageError as error:
                kept = older if then is not None else dict(zip(keys, rows, strict=True))
                self._waiting = kept | self._waiting
                self._work.set()
                if then is None:
                    self._note_failure(error)
                raise
            except BaseException:
                self._waiting |= zip(keys, rows, strict=True)
                self._work.set()
                if then is not None:
                    then()
                raise
            self._note_success()
            if then is not None:
                # What was put while these were being stored came before they take effect.
                for key in keys:
                    self._waiting.pop(key, None)
                then()

    async def flush(self, key: ValueKey) -> None:
        """Stores what waits of one attribute; durable when it returns. Raises `StorageError`, after
        which it is tried again."""
        async with self._storing:
            pass  # It may be under way.
        row = self._waiting.get(key)
        if row is not None:
            await self.store((row,))

    async def run(self) -> None:
        """Stores what is put, until `finish` was called and nothing is left."""
        while True:
            await self._work.wait()
            if self._waiting:
                await self._store_waiting()
                continue
            self._tell_drained()
            if self._finished.is_set():
                return
            self._work.clear()

    def finish(self) -> None:
        """Lets `run` return once everything is stored, or the storage has failed once more."""
        self._finished.set()
        self._work.set()

    async def drained(self) -> None:
        """Returns when nothing waits; with a storage that fails, when it works again."""
        while self._waiting or self._storing.locked():
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
                self._work.set()
            await asyncio.shield(self._drained)

    async def _store_waiting(self) -> None:
        async with self._storing:
            batch, self._waiting = self._waiting, {}
            try:
                await self._storage.values_store(tuple(batch.values()))
            except BaseException as error:
                self._waiting = batch | self._waiting
                if not isinstance(error, StorageError):
                    raise
                self._note_failure(error)
            else:
                self._note_success()
                return
        if self._finished.is_set():
            _log.error("%d values of the device model are lost", len(self._waiting))
            self._waiting.clear()
            return
        try:
            await self._clock.wait_for(self._finished.wait(), self._pause_s)
        except TimeoutError:
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _note_failure(self, error: StorageError) -> None:
        """Logs a storage that fails when it begins to, not at every attempt."""
        if not self.failing:
            _log.error("values of the device model are kept in memory for now: %s", error)
        self.failing = True

    def _note_success(self) -> None:
        if self.failing:
            _log.info("values of the device model are stored again")
        self.failing = False
        self._pause_s = FIRST_PAUSE_S

    def _tell_drained(self) -> None:
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None
