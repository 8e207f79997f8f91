"""The verbs of the outbox and of its dead letters."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from ocpp_fast.errors import StorageRefused
from ocpp_fast.storage.base import (
    MAX_ROWS_PER_APPEND,
    MAX_ROWS_PER_LOAD,
    NO_FACTS,
    DeadLetter,
    Facts,
    OutboxRow,
    QueueSize,
)
from ocpp_fast.storage.sqlite.file import Damaged
from ocpp_fast.storage.sqlite.rows import COLUMNS, row_of, values_of
from ocpp_fast.storage.sqlite.state import StateTables, state_statements
from ocpp_fast.storage.sqlite.statements import Statement, insert, json_list, listed, portions

_ANEW = COLUMNS.replace("attempts", "0")
"""Of a row of which no attempt counts any more."""
_LETTER = f"{COLUMNS}, cause, time"
_KINDS = (int, str, str, str, bytes, int, int, int, int, int)
_LISTED = listed("row_id")


class OutboxTables(StateTables):
    """What waits for delivery, and what was given up: see `Storage.outbox_append` and its like."""

    async def outbox_load(
        self, after: int = 0, limit: int = MAX_ROWS_PER_LOAD, lane: str | None = None
    ) -> list[OutboxRow]:
        """See `Storage.outbox_load`."""
        if lane is None:
            return await self._page("outbox_load", "", (), after, limit)
        return await self._page("outbox_load", "AND lane = ?", (lane,), after, limit)

    async def outbox_last_row_id(self) -> int:
        """See `Storage.outbox_last_row_id`."""
        # Each maximum in a statement of its own: SQLite then looks at the last row only.
        sql = "SELECT max(row_id) FROM outbox UNION ALL SELECT max(row_id) FROM dead_letter"
        found = await self._run("outbox_last_row_id", sql)
        return max(row_id or 0 for (row_id,) in found)

    async def outbox_append(self, rows: Sequence[OutboxRow], facts: Facts = NO_FACTS) -> None:
        """See `Storage.outbox_append`. One hop and one fdatasync for all rows and facts."""
        if len(rows) > MAX_ROWS_PER_APPEND:
            cause = f"more than {MAX_ROWS_PER_APPEND} rows"
            raise StorageRefused(self.path, "outbox_append", cause)
        statements: list[Statement] = []
        if len(rows) == 1:
            statements.append((insert("outbox", COLUMNS, 1), values_of(rows[0])))
        elif rows:
            values: list[Any] = []
            for row in rows:
                values += values_of(row)
            statements.append((insert("outbox", COLUMNS, len(rows)), values))
        if facts:
            statements += state_statements(facts)
        if statements:
            await self._change("outbox_append", statements, facts)
        else:
            await self._prove("outbox_append")

    async def outbox_remove(self, row_ids: Iterable[int]) -> None:
        """See `Storage.outbox_remove`."""
        sql = f"DELETE FROM outbox WHERE {_LISTED}"
        await self._change("outbox_remove", [(sql, (json_list(row_ids),))])

    async def outbox_attempted(self, row_id: int, attempts: int) -> None:
        """See `Storage.outbox_attempted`."""
        sql = "UPDATE outbox SET attempts = ? WHERE row_id = ?"
        await self._change("outbox_attempted", [(sql, (attempts, row_id))])

    async def outbox_bury(self, row: OutboxRow, cause: str, time: str) -> None:
        """See `Storage.outbox_bury`."""
        await self._change(
            "outbox_bury",
            [
                (
                    insert("dead_letter", _LETTER, 1, or_replace=True),
                    (*values_of(row), cause, time),
                ),
                ("DELETE FROM outbox WHERE row_id = ?", (row.row_id,)),
            ],
        )

    async def outbox_dead_letters(
        self, after: int = 0, limit: int = MAX_ROWS_PER_LOAD
    ) -> list[DeadLetter]:
        """See `Storage.outbox_dead_letters`."""
        sql = f"SELECT {_LETTER} FROM dead_letter WHERE row_id > ? ORDER BY row_id LIMIT ?"
        found = await self._run("outbox_dead_letters", sql, (after, limit))
        return [DeadLetter(row_of(values[:-2]), *values[-2:]) for values in found]

    async def outbox_requeue(self, row_ids: Iterable[int]) -> list[OutboxRow]:
        """See `Storage.outbox_requeue`."""
        wanted = (json_list(row_ids),)

        def requeue(connection: sqlite3.Connection) -> list[Any]:
            # No RETURNING, which SQLite has only since 3.35.
            found = connection.execute(
                f"SELECT {_ANEW} FROM dead_letter WHERE {_LISTED} ORDER BY row_id", wanted
            ).fetchall()
            into = f"INSERT INTO outbox ({COLUMNS}) SELECT {_ANEW} FROM dead_letter"
            connection.execute(f"{into} WHERE {_LISTED}", wanted)
            connection.execute(f"DELETE FROM dead_letter WHERE {_LISTED}", wanted)
            return found

        return [row_of(values) for values in await self._together("outbox_requeue", requeue)]

    async def outbox_discard(self, row_ids: Iterable[int]) -> None:
        """See `Storage.outbox_discard`."""
        sql = f"DELETE FROM dead_letter WHERE {_LISTED}"
        await self._change("outbox_discard", [(sql, (json_list(row_ids),))])

    async def outbox_thin(self, after: int, *, transactions: bool) -> int:
        """See `Storage.outbox_thin`."""
        sql = """
            SELECT row_id FROM (
                SELECT row_id, row_number() OVER (PARTITION BY lane ORDER BY row_id) AS place
                FROM outbox
                WHERE row_id > ? AND droppable AND (action = 'TransactionEvent') = ?
            ) WHERE place % 2 = 1"""
        found = await self._run("outbox_thin", sql, (after, transactions))
        # Of a long queue this is half of all pages: at once it would double the file on a disk that
        # may be full of it. A power cut in between leaves some of them, which is as good.
        dropped = [row_id for (row_id,) in found]
        for portion in portions(dropped):
            await self.outbox_remove(portion)
        return len(dropped)

    async def outbox_holds(self, lane: str, after: int = 0) -> bool:
        """See `Storage.outbox_holds`."""
        sql = "SELECT EXISTS (SELECT 1 FROM outbox WHERE row_id > ? AND lane = ?)"
        return bool((await self._run("outbox_holds", sql, (after, lane)))[0][0])

    async def outbox_undated(
        self, after: int = 0, limit: int = MAX_ROWS_PER_LOAD
    ) -> list[OutboxRow]:
        """See `Storage.outbox_undated`. There is an index of these rows alone."""
        return await self._page("outbox_undated", "AND run <> 0", (), after, limit)

    async def outbox_redate(self, payloads: Sequence[tuple[int, bytes]]) -> None:
        """See `Storage.outbox_redate`."""
        sql = "UPDATE outbox SET payload = ?, run = 0 WHERE row_id = ?"
        await self._change(
            "outbox_redate", [(sql, (payload, row_id)) for row_id, payload in payloads]
        )

    async def queue_size(self) -> QueueSize:
        """See `Storage.queue_size`."""
        sql = "SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM dead_letter)"
        return QueueSize._make((await self._run("queue_size", sql))[0])

    async def _page(
        self, verb: str, condition: str, values: tuple[Any, ...], after: int, limit: int
    ) -> list[OutboxRow]:
        """Rows as they are wanted, each of them looked at: nothing has checked this table as a
        whole when it is large (see `file`)."""
        sql = f"SELECT {COLUMNS} FROM outbox WHERE row_id > ? {condition} ORDER BY row_id LIMIT ?"
        found = await self._run(verb, sql, (after, *values, limit))
        for each in found:
            if each[0] <= after or not all(map(isinstance, each, _KINDS)):
                raise self._failure(verb, Damaged(f"row {each[0]} makes no sense"))
            after = each[0]
        return [row_of(each) for each in found]
