"""The verbs of the outbox."""

from collections.abc import Iterable, Sequence
from typing import Any

from ocpp_fast.errors import StorageError
from ocpp_fast.storage.base import MAX_ROWS_PER_APPEND, DeadLetter, OutboxRow
from ocpp_fast.storage.sqlite.database import Database
from ocpp_fast.storage.sqlite.statements import insert, json_list, listed

_COLUMNS = "row_id, lane, version, action, payload, seq_no, droppable, offline, attempts"
_LISTED = listed("row_id")


def _row(values: Sequence[Any]) -> OutboxRow:
    row_id, lane, version, action, payload, seq_no, droppable, offline, attempts = values
    return OutboxRow(
        row_id=row_id,
        lane=lane,
        version=version,
        action=action,
        payload=payload,
        seq_no=seq_no,
        droppable=bool(droppable),
        offline=bool(offline),
        attempts=attempts,
    )


class OutboxTable(Database):
    """What waits for delivery: see `Storage.outbox_append` and its like."""

    async def outbox_load(self) -> list[OutboxRow]:
        """See `Storage.outbox_load`."""
        found = await self._run(
            "outbox_load", f"SELECT {_COLUMNS} FROM outbox WHERE cause IS NULL ORDER BY row_id"
        )
        return [_row(values) for values in found]

    async def outbox_last_row_id(self) -> int:
        """See `Storage.outbox_last_row_id`."""
        found = await self._run("outbox_last_row_id", "SELECT max(row_id) FROM outbox")
        return found[0][0] or 0

    async def outbox_append(self, rows: Sequence[OutboxRow]) -> None:
        """See `Storage.outbox_append`. One INSERT, one fdatasync for all rows."""
        if not rows:
            return
        if len(rows) > MAX_ROWS_PER_APPEND:
            raise StorageError(self.path, "outbox_append", f"more than {MAX_ROWS_PER_APPEND} rows")
        values: list[Any] = []
        for row in rows:
            values += (row.row_id, row.lane, row.version, row.action, row.payload)
            values += (row.seq_no, row.droppable, row.offline, row.attempts)
        await self._run("outbox_append", insert("outbox", _COLUMNS, len(rows)), values)

    async def outbox_remove(self, row_ids: Iterable[int]) -> None:
        """See `Storage.outbox_remove`."""
        await self._run(
            "outbox_remove", f"DELETE FROM outbox WHERE {_LISTED}", (json_list(row_ids),)
        )

    async def outbox_attempted(self, row_id: int, attempts: int) -> None:
        """See `Storage.outbox_attempted`."""
        await self._run(
            "outbox_attempted",
            "UPDATE outbox SET attempts = ? WHERE row_id = ?",
            (attempts, row_id),
        )

    async def outbox_mark_offline(self) -> None:
        """See `Storage.outbox_mark_offline`."""
        await self._run(
            "outbox_mark_offline",
            "UPDATE outbox SET offline = 1 WHERE offline = 0 AND cause IS NULL",
        )

    async def outbox_bury(self, row_id: int, attempts: int, cause: str) -> None:
        """See `Storage.outbox_bury`."""
        await self._run(
            "outbox_bury",
            "UPDATE outbox SET attempts = ?, cause = ? WHERE row_id = ?",
            (attempts, cause, row_id),
        )

    async def outbox_dead_letters(self) -> list[DeadLetter]:
        """See `Storage.outbox_dead_letters`."""
        found = await self._run(
            "outbox_dead_letters",
            f"SELECT {_COLUMNS}, cause FROM outbox WHERE cause IS NOT NULL ORDER BY row_id",
        )
        return [DeadLetter(_row(values[:-1]), values[-1]) for values in found]

    async def outbox_requeue(self, row_ids: Iterable[int]) -> list[OutboxRow]:
        """See `Storage.outbox_requeue`."""
        wanted = json_list(row_ids)
        dead = await self._run(
            "outbox_requeue",
            f"SELECT row_id FROM outbox WHERE cause IS NOT NULL AND {_LISTED}",
            (wanted,),
        )
        wanted = json_list(row_id for (row_id,) in dead)
        # Two looks and one change: no RETURNING, which SQLite has only since 3.35.
        await self._run(
            "outbox_requeue",
            f"UPDATE outbox SET cause = NULL, attempts = 0 WHERE {_LISTED}",
            (wanted,),
        )
        found = await self._run(
            "outbox_requeue",
            f"SELECT {_COLUMNS} FROM outbox WHERE {_LISTED} ORDER BY row_id",
            (wanted,),
        )
        return [_row(values) for values in found]
