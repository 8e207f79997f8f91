"""The connection and its thread: how a verb's statements are run, and how they fail.

The classes with the verbs are made from `Database`.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from os import PathLike, fspath
from typing import Any

import aiosqlite

from ocpp_fast.errors import StorageError
from ocpp_fast.storage.sqlite.file import Opened, open_file
from ocpp_fast.storage.sqlite.statements import Statement


def _is_undecodable(error: sqlite3.OperationalError) -> bool:
    """Whether text that was to be read is no UTF-8, which Python says, not SQLite."""
    return not hasattr(error, "sqlite_errorcode")


def _decoded(text: bytes) -> str:
    """A bit that has turned in the middle of a text is nothing that a check of the file finds. The
    text is read as far as it can be; whoever wanted it sees that it makes no sense."""
    return text.decode(errors="replace")


# Text that is no Unicode: given to be stored, or quoted by SQLite when it says what is damaged.
_FAILURES = (sqlite3.Error, UnicodeError)

_Hop = Callable[..., Awaitable[None]]


class _Connection(aiosqlite.Connection):
    """With transactions of several statements, in one hop to the thread as well."""

    async def run_together(self, statements: Sequence[Statement]) -> None:
        run: _Hop = self._execute  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        await run(self._together, statements)

    def _together(self, statements: Sequence[Statement]) -> None:
        connection = self._conn
        connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, values in statements:
                connection.execute(sql, values)
            connection.execute("COMMIT")
        except BaseException:
            # A full disk, among others, has SQLite roll back by itself.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


class Database:
    """The database file at `path`: opened, closed, asked."""

    durable = True

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = fspath(path)
        self.set_aside: str | None = None
        self._connection: _Connection | None = None

    async def open(self) -> None:
        """See `Storage.open`. Raises `StorageError` for a file of a newer version as well."""
        if self._connection is not None:
            return
        opened: list[Opened] = []
        failures: list[Exception] = []

        def connector() -> sqlite3.Connection:
            try:
                opened.append(open_file(self.path))
                return opened[0].connection
            except Exception as error:
                # Raised here, aiosqlite would leave its thread behind, which ends some time later
                # and wants to tell an event loop that may be closed by then.
                failures.append(error)
                return sqlite3.connect(":memory:")

        connection = _Connection(connector, iter_chunk_size=64)
        await connection
        for error in failures:
            await connection.close()
            raise error
        self.set_aside = opened[0].set_aside
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

    async def _run(self, verb: str, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """One statement, in one hop to the connection's thread; its rows, which are tuples."""
        connection = self._open_connection(verb)
        try:
            try:
                return list(await connection.execute_fetchall(sql, values))
            except sqlite3.OperationalError as error:
                if not _is_undecodable(error):
                    raise
                connection.text_factory = _decoded
                return list(await connection.execute_fetchall(sql, values))
        except _FAILURES as error:
            raise self._failure(verb, error) from error

    async def _run_together(self, verb: str, statements: Sequence[Statement]) -> None:
        """Several statements in one transaction, in one hop to the connection's thread."""
        connection = self._open_connection(verb)
        try:
            await connection.run_together(statements)
        except _FAILURES as error:
            raise self._failure(verb, error) from error

    async def _run_all(self, verb: str, statements: Sequence[Statement]) -> None:
        """Any number of statements, all or none."""
        if len(statements) == 1:
            await self._run(verb, *statements[0])
        elif statements:
            await self._run_together(verb, statements)

    def _open_connection(self, verb: str) -> _Connection:
        if self._connection is None:
            raise StorageError(self.path, verb, "it is not open")
        return self._connection

    def _failure(self, verb: str, error: Exception) -> StorageError:
        return StorageError(self.path, verb, str(error))
