"""The verbs of what blocks remember: small facts, kept readings, and the security log."""

from collections.abc import Iterable, Sequence

from ocpp_fast.storage.base import Facts, ReadingRow, SecurityLogRow
from ocpp_fast.storage.sqlite.database import Database
from ocpp_fast.storage.sqlite.statements import (
    Statement,
    flat,
    insert,
    json_list,
    listed,
    portions,
)

_REPLACE = "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_READING = "transaction_id, number, value"
_REPLACE_READING = "ON CONFLICT (transaction_id, number) DO UPDATE SET value = excluded.value"
_LOG = "time, kind, tech_info, critical"


def state_statements(changes: Facts) -> list[Statement]:
    """What changes these facts."""
    kept = [(name, value) for name, value in changes.items() if value is not None]
    statements: list[Statement] = [
        (insert("state", "name, value", len(rows), _REPLACE), flat(rows)) for rows in portions(kept)
    ]
    if len(kept) != len(changes):
        gone = [name for name, value in changes.items() if value is None]
        statements.append((f"DELETE FROM state WHERE {listed('name')}", (json_list(gone),)))
    return statements


class StateTables(Database):
    """Facts of blocks and the security log: see `Storage.state_store` and its like."""

    async def state_load(self) -> dict[str, str]:
        """See `Storage.state_load`."""
        found = dict(await self._run("state_load", "SELECT name, value FROM state"))
        self._remember(found)
        return found

    async def state_store(self, changes: Facts) -> None:
        """See `Storage.state_store`."""
        await self._change("state_store", state_statements(changes), changes)

    async def readings_append(self, rows: Sequence[ReadingRow]) -> None:
        """See `Storage.readings_append`."""
        await self._change(
            "readings_append",
            [
                (insert("reading", _READING, len(portion), _REPLACE_READING), flat(portion))
                for portion in portions(rows)
            ],
        )

    async def readings_load(self) -> list[ReadingRow]:
        """See `Storage.readings_load`."""
        sql = f"SELECT {_READING} FROM reading ORDER BY transaction_id, number"
        return [ReadingRow._make(values) for values in await self._run("readings_load", sql)]

    async def readings_thin(self, transaction_id: str) -> None:
        """See `Storage.readings_thin`."""
        sql = """
            DELETE FROM reading WHERE transaction_id = ? AND number IN (
                SELECT number FROM (
                    SELECT number, row_number() OVER (ORDER BY number) AS place
                    FROM reading WHERE transaction_id = ?
                ) WHERE place % 2 = 0
            )"""
        await self._change("readings_thin", [(sql, (transaction_id, transaction_id))])

    async def readings_remove(self, transaction_ids: Iterable[str]) -> None:
        """See `Storage.readings_remove`."""
        sql = f"DELETE FROM reading WHERE {listed('transaction_id')}"
        await self._change("readings_remove", [(sql, (json_list(transaction_ids),))])

    async def security_log_append(self, rows: Sequence[SecurityLogRow]) -> None:
        """See `Storage.security_log_append`. A trigger drops the oldest."""
        await self._change(
            "security_log_append",
            [
                (insert("security_log", _LOG, len(portion)), flat(portion))
                for portion in portions(rows)
            ],
        )

    async def security_log_load(self, limit: int) -> list[SecurityLogRow]:
        """See `Storage.security_log_load`."""
        found = await self._run(
            "security_log_load",
            f"SELECT {_LOG} FROM security_log ORDER BY row_id DESC LIMIT ?",
            (max(limit, 0),),
        )
        rows = [SecurityLogRow._make(values) for values in reversed(found)]
        return [row._replace(critical=bool(row.critical)) for row in rows]
