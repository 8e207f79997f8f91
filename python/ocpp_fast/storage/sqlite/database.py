"""The connection and its thread: how a verb's statements are run, and how they fail.

The classes with the verbs are made from `Database`.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from os import PathLike, fspath
from typing import Any, TypeVar

import aiosqlite

from ocpp_fast.errors import StorageDamaged, StorageError, StorageFull, StorageRefused
from ocpp_fast.storage.base import NO_FACTS, Facts, OutboxRow
from ocpp_fast.storage.sqlite.file import (
    Damaged,
    Opened,
    closed,
    is_damage,
    is_full,
    open_file,
    replace_file,
)
from ocpp_fast.storage.sqlite.salvage import decoded
from ocpp_fast.storage.sqlite.statements import Statement

_T = TypeVar("_T")


def _is_undecodable(error: sqlite3.OperationalError) -> bool:
    """Whether text that was to be read is no UTF-8, which Python says, not SQLite."""
    return not hasattr(error, "sqlite_errorcode")


# What was given cannot be stored: it exists, is no Unicode, too long, or no number of 64 bits.
_REFUSALS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    UnicodeError,
    OverflowError,
)
_FAILURES = (sqlite3.Error, OSError, UnicodeError, OverflowError)


def with_all(connection: sqlite3.Connection, work: Callable[[], _T]) -> _T:
    """What `work` does to the database, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work()
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise
    return result


def roll_back(connection: sqlite3.Connection) -> None:
    """Undoes what has failed; a full disk, among others, has SQLite do so by itself."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


class _Connection(aiosqlite.Connection):
    """With any work in one hop to the thread, and another file under the same thread."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        # A disk that hangs for ever must not keep the process from its end.
        self._thread.daemon = True

    def run(self, work: Callable[..., _T], *arguments: Any) -> asyncio.Future[_T]:
        """As the driver's own `_execute`, without the coroutines around it: they would cost as much
        as the rest of the hop."""
        result: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        put: Callable[[Any], None] = self._tx.put_nowait  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        put((result, partial(self._work, work, arguments)))
        return result

    def _work(self, work: Callable[..., _T], arguments: Sequence[Any]) -> _T:
        return work(self._conn, *arguments)

    def change_to(self, connection: sqlite3.Connection) -> None:
        """In the thread: from now on it is that one."""
        self._connection = connection


class Database:
    """The database file at `path`: opened, closed, asked."""

    durable = True

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = fspath(path)
        self.set_aside: str | None = None
        self.fault: str | None = None
        self._connection: _Connection | None = None
        # Whether it is open, although it may have a fault.
        self._is_readable = True
        # What was found wrong with the open file.
        self._damage: str | None = None
        # All facts, as far as they were loaded or stored: what is known is not lost with a file.
        self._facts: dict[str, str] = {}

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

        connection = _Connection(connector)
        opening = asyncio.ensure_future(_started(connection))
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The same thread, which would go on.
            await opening
            await connection.close()
            raise
        for error in failures:
            await connection.close()
            raise error
        self.set_aside = None
        self._take(opened[0])
        self._facts = {}
        self._connection = connection

    async def close(self) -> None:
        """See `Storage.close`."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            # In the thread, where it may just have been exchanged for another one.
            await connection.run(sqlite3.Connection.close)
        except asyncio.CancelledError:
            # Whoever ends the program waits for no disk: the thread ends when that lets it.
            connection.stop()  # pyright: ignore[reportUnknownMemberType]
            raise
        except sqlite3.Error as error:
            await connection.close()
            raise self._failure("close", error) from error
        await connection.close()

    async def replace_damaged(
        self, rows: Iterable[OutboxRow] = (), facts: Facts = NO_FACTS
    ) -> None:
        """See `Storage.replace_damaged`."""
        connection = self._open_connection("replace_damaged")
        held = list(rows)

        def replace(damaged: sqlite3.Connection) -> None:
            opened = replace_file(self.path, damaged, held, {**self._facts, **facts})
            connection.change_to(opened.connection)
            self._take(opened)
            self._remember(facts)

        try:
            await connection.run(replace)
        except _FAILURES as error:
            raise self._failure("replace_damaged", error) from error

    async def _run(self, verb: str, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """One statement that reads, in one hop to the connection's thread; its rows, which are
        tuples."""
        try:
            return await self._open_connection(verb).run(self._fetch, sql, values)
        except _FAILURES as error:
            raise self._failure(verb, error) from error

    def _fetch(self, connection: sqlite3.Connection, sql: str, values: Sequence[Any]) -> list[Any]:
        """In the thread."""
        if not self._is_readable:
            raise sqlite3.OperationalError(self.fault)
        try:
            return connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if not _is_undecodable(error):
                raise
            connection.text_factory = decoded
            return connection.execute(sql, values).fetchall()

    async def _change(
        self, verb: str, statements: Sequence[Statement], facts: Facts = NO_FACTS
    ) -> None:
        """Statements that write, all or none, in one hop; `facts` are the ones that they change."""
        connection = self._open_connection(verb)
        if not statements:
            return
        try:
            await connection.run(self._execute, statements, facts)
        except _FAILURES as error:
            raise self._failure(verb, error) from error

    def _execute(
        self, connection: sqlite3.Connection, statements: Sequence[Statement], facts: Facts
    ) -> None:
        """In the thread."""
        connection = self._writable(connection)
        if len(statements) == 1:
            connection.execute(*statements[0])
        else:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for sql, values in statements:
                    connection.execute(sql, values)
                connection.execute("COMMIT")
            except BaseException:
                roll_back(connection)
                raise
        self._remember(facts)

    async def _together(self, verb: str, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Work of several steps in one transaction, in one hop."""
        connection = self._open_connection(verb)

        def together(there: sqlite3.Connection) -> _T:
            writable = self._writable(there)
            return with_all(writable, lambda: work(writable))

        try:
            return await connection.run(together)
        except _FAILURES as error:
            raise self._failure(verb, error) from error

    async def _prove(self, verb: str) -> None:
        """Writes what is there already; raises as any verb that writes."""

        def write(connection: sqlite3.Connection) -> None:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {version}")

        await self._together(verb, write)

    def _writable(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """In the thread: the connection for whoever wants to write. A file that could not be
        written is opened anew; raises while it still cannot be, and for what is damaged, which
        would only become worse."""
        if self._damage is not None:
            raise Damaged(self._damage)
        if self.fault is None:
            return connection
        if (holder := self._connection) is None:
            raise sqlite3.OperationalError("it is being closed")
        # The one that only reads may hold a lock.
        connection.close()
        try:
            opened = open_file(self.path)
        except StorageError as error:
            opened = closed(error)
        holder.change_to(opened.connection)
        self._take(opened)
        if opened.fault is not None:
            raise opened.fault
        return opened.connection

    def _take(self, opened: Opened) -> None:
        self.set_aside = opened.set_aside or self.set_aside
        self.fault = None if opened.fault is None else str(opened.fault)
        self._is_readable = opened.is_readable
        self._damage = None

    def _remember(self, facts: Facts) -> None:
        for name, value in facts.items():
            if value is None:
                self._facts.pop(name, None)
            else:
                self._facts[name] = value

    def _open_connection(self, verb: str) -> _Connection:
        if self._connection is None:
            raise StorageError(self.path, verb, "it is not open")
        return self._connection

    def _failure(self, verb: str, error: Exception) -> StorageError:
        if isinstance(error, StorageError):
            return error
        if is_damage(error):
            self._damage = str(error)
            kind = StorageDamaged
        elif is_full(error):
            kind = StorageFull
        else:
            kind = StorageRefused if isinstance(error, _REFUSALS) else StorageError
        return kind(self.path, verb, str(error))


async def _started(connection: _Connection) -> None:
    await connection
