"""Storage that lives as long as the process: for benchmarks, simulators and tests."""

from collections.abc import Awaitable, Generator, Iterable, Sequence
from dataclasses import replace

from ocpp_fast.errors import StorageError
from ocpp_fast.storage.base import MAX_ROWS_PER_APPEND, DeadLetter, OutboxRow


class _Done:
    """What is awaited when all has been done already."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


_DONE = _Done()


class MemoryStorage:
    """A `Storage` of which nothing survives. No verb ever waits."""

    durable = False

    def __init__(self) -> None:
        self._rows: dict[int, OutboxRow] = {}
        self._dead: dict[int, DeadLetter] = {}

    async def open(self) -> None:
        """See `Storage.open`."""

    async def close(self) -> None:
        """See `Storage.close`. What is stored stays for another `open`."""

    async def outbox_load(self) -> list[OutboxRow]:
        """See `Storage.outbox_load`."""
        return [replace(self._rows[row_id]) for row_id in sorted(self._rows)]

    async def outbox_last_row_id(self) -> int:
        """See `Storage.outbox_last_row_id`."""
        return max((*self._rows, *self._dead), default=0)

    def outbox_append(self, rows: Sequence[OutboxRow]) -> Awaitable[None]:
        """See `Storage.outbox_append`. Keeps the rows themselves: copying them would be the
        dearest part of a message's way through the outbox."""
        known, dead = self._rows, self._dead
        if len(rows) > MAX_ROWS_PER_APPEND:
            raise StorageError("memory", "outbox_append", f"more than {MAX_ROWS_PER_APPEND} rows")
        for row in rows:
            if row.row_id in known or row.row_id in dead:
                raise StorageError("memory", "outbox_append", f"row {row.row_id} exists")
        for row in rows:
            known[row.row_id] = row
        return _DONE

    def outbox_remove(self, row_ids: Iterable[int]) -> Awaitable[None]:
        """See `Storage.outbox_remove`."""
        for row_id in row_ids:
            self._rows.pop(row_id, None)
        return _DONE

    def outbox_attempted(self, row_id: int, attempts: int) -> Awaitable[None]:
        """See `Storage.outbox_attempted`."""
        if row := self._rows.get(row_id):
            row.attempts = attempts
        return _DONE

    def outbox_mark_offline(self) -> Awaitable[None]:
        """See `Storage.outbox_mark_offline`."""
        for row in self._rows.values():
            row.offline = True
        return _DONE

    def outbox_bury(self, row_id: int, attempts: int, cause: str) -> Awaitable[None]:
        """See `Storage.outbox_bury`."""
        if row := self._rows.pop(row_id, None):
            row.attempts = attempts
            self._dead[row_id] = DeadLetter(row, cause)
        return _DONE

    async def outbox_dead_letters(self) -> list[DeadLetter]:
        """See `Storage.outbox_dead_letters`."""
        return [self._dead[row_id] for row_id in sorted(self._dead)]

    async def outbox_requeue(self, row_ids: Iterable[int]) -> list[OutboxRow]:
        """See `Storage.outbox_requeue`."""
        found = [self._dead.pop(row_id).row for row_id in sorted({*row_ids} & {*self._dead})]
        for row in found:
            row.attempts = 0
            self._rows[row.row_id] = row
        return [replace(row) for row in found]
