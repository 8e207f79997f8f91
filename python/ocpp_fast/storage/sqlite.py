"""Storage in one SQLite file; the only module that imports aiosqlite.

The database runs in WAL mode with synchronous FULL: a commit is on the disk when it returns. The
connection is in autocommit and each verb is one SQL statement, so that a durable write costs one
hop to the connection's thread and one fdatasync.

The schema is versioned by `PRAGMA user_version`. `migrations/NNNN_name.sql` takes it from NNNN - 1
to NNNN; files are never changed once released, and there is no way back.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from os import PathLike, fspath
from typing import Any

import aiosqlite

from ocpp_fast.errors import StorageError
from ocpp_fast.storage.base import MAX_ROWS_PER_APPEND, DeadLetter, OutboxRow

_BUSY_TIMEOUT_S = 5.0
_COLUMNS = "row_id, lane, version, action, payload, seq_no, droppable, offline, attempts"
# One parameter carries the whole list; `json_each` unpacks it inside the one statement.
_LISTED = "row_id IN (SELECT value FROM json_each(?))"


@cache
def _append_statement(count: int) -> str:
    return f"INSERT INTO outbox ({_COLUMNS}) VALUES {', '.join(['(?,?,?,?,?,?,?,?,?)'] * count)}"


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


def _json_list(row_ids: Iterable[int]) -> str:
    return f"[{','.join(map(str, row_ids))}]"


def migrations() -> list[tuple[int, str]]:
    """All migrations, (number, script), in order; a gap in the numbers is a programming error."""
    folder = files("ocpp_fast.storage") / "migrations"
    scripts = sorted(
        (int(entry.name[:4]), entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    )
    if [number for number, _ in scripts] != list(range(1, len(scripts) + 1)):
        raise AssertionError(f"migrations are not numbered without a gap: {scripts}")
    return scripts


class SqliteStorage:
    """A `Storage` in the SQLite file at `path`, which is created when it does not exist.

    Survives a power cut and the end of the process at any moment. Only one process may use the
    file; its folder must exist.
    """

    durable = True

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = fspath(path)
        self._connection: aiosqlite.Connection | None = None

    async def open(self) -> None:
        """See `Storage.open`. Raises `StorageError` for a file of a newer version as well."""
        if self._connection is not None:
            return
        connection = await self._connect()
        try:
            await connection.execute_fetchall("PRAGMA journal_mode = WAL")
            await connection.execute_fetchall("PRAGMA synchronous = FULL")
            await self._migrate(connection)
        except BaseException as error:
            await connection.close()
            if isinstance(error, sqlite3.Error):
                raise self._failure("open", error) from error
            raise
        self._connection = connection

    async def close(self) -> None:
        """See `Storage.close`."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.close()
        except sqlite3.Error as error:
            raise self._failure("close", error) from error

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
        await self._run("outbox_append", _append_statement(len(rows)), values)

    async def outbox_remove(self, row_ids: Iterable[int]) -> None:
        """See `Storage.outbox_remove`."""
        await self._run(
            "outbox_remove", f"DELETE FROM outbox WHERE {_LISTED}", (_json_list(row_ids),)
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
        wanted = _json_list(row_ids)
        dead = await self._run(
            "outbox_requeue",
            f"SELECT row_id FROM outbox WHERE cause IS NOT NULL AND {_LISTED}",
            (wanted,),
        )
        wanted = _json_list(row_id for (row_id,) in dead)
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

    async def _connect(self) -> aiosqlite.Connection:
        failures: list[sqlite3.Error] = []

        def connector() -> sqlite3.Connection:
            try:
                return sqlite3.connect(self.path, isolation_level=None, timeout=_BUSY_TIMEOUT_S)
            except sqlite3.Error as error:
                # Raised here, aiosqlite would leave its thread behind, which ends some time later
                # and wants to tell an event loop that may be closed by then.
                failures.append(error)
                return sqlite3.connect(":memory:")

        connection = await aiosqlite.Connection(connector, iter_chunk_size=64)
        for error in failures:
            await connection.close()
            raise self._failure("open", error) from error
        return connection

    async def _migrate(self, connection: aiosqlite.Connection) -> None:
        scripts = migrations()
        ((version,),) = await connection.execute_fetchall("PRAGMA user_version")
        if version > len(scripts):
            raise StorageError(
                self.path,
                "open",
                f"its version {version} is newer than {len(scripts)}, the last known",
            )
        for number, script in scripts[version:]:
            try:
                await connection.executescript(
                    f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;"
                )
            except sqlite3.Error as error:
                raise self._failure(f"migration {number}", error) from error

    async def _run(self, verb: str, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """One statement, in one hop to the connection's thread."""
        if self._connection is None:
            raise StorageError(self.path, verb, "it is not open")
        try:
            return list(await self._connection.execute_fetchall(sql, values))
        except sqlite3.Error as error:
            raise self._failure(verb, error) from error

    def _failure(self, verb: str, error: sqlite3.Error) -> StorageError:
        return StorageError(self.path, verb, str(error))
