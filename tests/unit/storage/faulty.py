"""A storage that fails when a test says so."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from ocpp_fast.errors import StorageDamaged, StorageError, StorageFull
from ocpp_fast.storage import MemoryStorage, OutboxRow
from ocpp_fast.storage.base import NO_FACTS, Facts
from ocpp_fast.storage.sqlite import SqliteStorage

READS = {
    "outbox_load",
    "outbox_last_row_id",
    "outbox_dead_letters",
    "outbox_holds",
    "outbox_undated",
    "queue_size",
    "readings_load",
    "components_load",
    "values_load",
    "monitors_load",
    "state_load",
    "security_log_load",
    "open",
    "close",
}


class FaultyStorage:
    """A `Storage` that counts as durable, in memory; what it holds is what a power cut leaves.

    `error` is raised by everything that writes, `read_error` by everything that reads,
    `replace_error` by `replace_damaged`; while `gate` is not set, verbs wait. After `good_appends`
    more appends there is no room.
    """

    durable = True
    set_aside: str | None = None
    fault: str | None = None

    def __init__(self) -> None:
        self.inner = MemoryStorage()
        self.error: StorageError | None = None
        self.read_error: StorageError | None = None
        self.replace_error: StorageError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.good_appends: int | None = None
        self.verbs: list[str] = []
        self.appended: list[list[int]] = []
        self.replaced: list[list[int]] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        verb = getattr(self.inner, name)

        async def run(*arguments: Any, **options: Any) -> Any:
            self.verbs.append(name)
            await asyncio.sleep(0)
            await self.gate.wait()
            error = self.read_error if name in READS else self.error
            if error is not None:
                raise error
            return await verb(*arguments, **options)

        return run

    async def outbox_append(self, rows: Iterable[OutboxRow], facts: Facts = NO_FACTS) -> None:
        """Copies, since the memory storage keeps what it is given."""
        copies = [replace(row) for row in rows]
        if self.good_appends is not None:
            self.good_appends -= 1
            if self.good_appends < 0:
                self.good_appends = None
                self.fill_up()
        await self.__getattr__("outbox_append")(copies, facts)
        self.appended.append([row.row_id for row in copies])

    async def replace_damaged(
        self, rows: Iterable[OutboxRow] = (), facts: Facts = NO_FACTS
    ) -> None:
        """Begins anew with these alone."""
        copies = [replace(row) for row in rows]
        self.verbs.append("replace_damaged")
        await asyncio.sleep(0)
        if self.replace_error is not None:
            raise self.replace_error
        self.error = None
        self.inner = MemoryStorage()
        self.replaced.append([row.row_id for row in copies])
        self.set_aside = "station.db.corrupt-1"
        await self.inner.replace_damaged(copies, facts)

    def fill_up(self) -> None:
        """From now on there is no room."""
        self.error = StorageFull("station.db", "outbox_append", "database or disk is full")

    def break_(self) -> None:
        """From now on it contradicts itself."""
        self.error = StorageDamaged("station.db", "outbox_append", "malformed")


class FaultySqlite(SqliteStorage):
    """The real one; `error` is raised by everything that writes, until it is replaced."""

    error: StorageError | None = None

    async def replace_damaged(
        self, rows: Iterable[OutboxRow] = (), facts: Facts = NO_FACTS
    ) -> None:
        self.error = None
        await super().replace_damaged(rows, facts)

    async def _change(self, *arguments: Any, **options: Any) -> None:
        self._raise()
        await super()._change(*arguments, **options)

    async def _together(self, *arguments: Any, **options: Any) -> Any:
        self._raise()
        return await super()._together(*arguments, **options)

    def _raise(self) -> None:
        if self.error is not None:
            raise self.error
