"""The verbs of what blocks remember: small facts, and the security log."""

from collections.abc import Mapping, Sequence

from ocpp_fast.storage.base import SecurityLogRow
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
_LOG = "time, kind, tech_info, critical"


class StateTables(Database):
    """Facts of blocks and the security log: see `Storage.state_store` and its like."""

    async def state_load(self) -> dict[str, str]:
        """See `Storage.state_load`."""
        return dict(await self._run("state_load", "SELECT name, value FROM state"))

    async def state_store(self, changes: Mapping[str, str | None]) -> None:
        """See `Storage.state_store`."""
        kept = [(name, value) for name, value in changes.items() if value is not None]
        gone = [name for name, value in changes.items() if value is None]
        statements: list[Statement] = [
            (insert("state", "name, value", len(rows), _REPLACE), flat(rows))
            for rows in portions(kept)
        ]
        if gone:
            statements.append((f"DELETE FROM state WHERE {listed('name')}", (json_list(gone),)))
        await self._run_all("state_store", statements)

    async def security_log_append(self, rows: Sequence[SecurityLogRow]) -> None:
        """See `Storage.security_log_append`. A trigger drops the oldest."""
        await self._run_all(
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
