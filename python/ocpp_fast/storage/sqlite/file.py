"""Opening the database file: is it whole, is it ours, is it up to date, can it be written. Runs
in the connection's thread, knows no event loop.

Every file is checked at every start, not only after an unclean end: WAL with synchronous FULL
survives that, and what damages a database (worn-out flash, a file system) does not wait for it. Of
single bits that have turned `PRAGMA integrity_check` finds twice as many as `quick_check`, since it
compares what is in an index with the row.

The check reads what it checks, and a queue of weeks is hundreds of megabytes. Beyond `_SMALL` the
tables of the queue are left out: all others, which grow with the station and not with the time it
is offline, are checked one by one. Rows of the queue are then looked at when they are read
(`outbox`), which finds a page that is no page, a cell out of bounds, an order that is none and a
value of the wrong kind; it does not find a page that two tables claim, or a row that is missing.
"""

import errno
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from ocpp_fast.errors import StorageError
from ocpp_fast.storage.base import NO_FACTS, Facts, OutboxRow
from ocpp_fast.storage.sqlite import aside, salvage

_BUSY_TIMEOUT_S = 5.0
_SMALL = 8_000_000
"""Bytes in use up to which a file is checked as a whole, in about 10 ms."""
_QUEUE = {"outbox", "dead_letter"}
_CHECKS_BY_TABLE = (3, 33)
"""The SQLite from which a check can be of one table. An older one takes its time."""
_LARGEST_WAL = 8_000_000
"""Bytes that a WAL keeps when it has been copied into the database."""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# The general error: all that a mere look into the file can mean by it is a header that asks for
# abilities which no SQLite has.
_NO_SUCH_FORMAT = sqlite3.SQLITE_ERROR
# What can pass by itself, so that it is no reason not to start.
_FAULTS = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_OS_FAULTS = {*_NO_ROOM, errno.EROFS, errno.EIO}
# May be a disk that cannot be written at present, or something that somebody has to put right.
_REFUSALS = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}


class Opened(NamedTuple):
    """A database that is ready."""

    connection: sqlite3.Connection
    set_aside: str | None = None
    """Where the one that was found damaged is now."""
    fault: sqlite3.Error | OSError | None = None
    """Why it can only be read."""
    is_readable: bool = True
    """Or not even that: the connection is one to nothing."""


class Damaged(sqlite3.DatabaseError):
    """SQLite can read the file, but what is in it contradicts itself."""


@cache
def migrations() -> tuple[tuple[int, str], ...]:
    """All migrations, (number, script), in order; a gap in the numbers is a programming error."""
    folder = files("ocpp_fast.storage") / "migrations"
    scripts = sorted(
        (int(entry.name[:4]), entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    )
    if [number for number, _ in scripts] != list(range(1, len(scripts) + 1)):
        raise AssertionError(f"migrations are not numbered without a gap: {scripts}")
    return tuple(scripts)


def open_file(path: str) -> Opened:
    """The database at `path`, checked, up to date and in WAL mode; made when it is not there.

    A damaged one is set aside, and what can be read of it taken over. On a disk that is full, or
    cannot be written for another reason that may pass, it is opened for reading. Raises
    `StorageError` for whatever else is wrong with it; the file is then as it was.
    """
    try:
        try:
            return _open_file(path)
        except (sqlite3.Error, OSError) as error:
            if not _is_fault(path, error):
                raise
            return Opened(_for_reading(path), fault=error)
    except (sqlite3.Error, OSError) as error:
        raise StorageError(path, "open", str(error)) from error


def replace_file(
    path: str, damaged: sqlite3.Connection, rows: list[OutboxRow], facts: Facts
) -> Opened:
    """Sets the open database aside, which is damaged; another one with what can be read of it, and
    with these rows and facts. The connection is closed, unless this raises."""
    kept = _replaced(path, damaged, rows, facts)
    damaged.close()
    try:
        return open_file(path)._replace(set_aside=kept)
    except StorageError as error:
        return closed(error, kept)


def closed(error: StorageError, set_aside: str | None = None) -> Opened:
    """In the place of a database that cannot be opened at present. What is stored is not known:
    that is no empty database."""
    return Opened(_memory(), set_aside, sqlite3.OperationalError(error.cause), is_readable=False)


def is_damage(error: BaseException) -> bool:
    """Whether the file is at fault, and not the disk, a lock, or the right to use it."""
    return isinstance(error, Damaged) or (
        isinstance(error, sqlite3.Error) and _code(error) in _DAMAGE
    )


def is_full(error: BaseException) -> bool:
    """Whether there is no room for what was to be written."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    return isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_FULL


def _open_file(path: str) -> Opened:
    kept = aside.move_away(path) if aside.is_left_alone(path) else None
    aside.take_saved(path)
    # Passwords are in it (A01.FR.10). What SQLite keeps beside it gets the same mode; the one of a
    # file that is there already is left to whoever has made it.
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))
    connection = _connected(path)
    try:
        _prepare(path, connection)
    except BaseException as error:
        try:
            if kept is not None or not is_damage(error):
                raise
            kept = _replaced(path, connection)
        finally:
            connection.close()
        connection = _connected(path)
        try:
            _prepare(path, connection)
        except BaseException:
            connection.close()
            raise
    return Opened(connection, kept)


def _connected(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=_BUSY_TIMEOUT_S)


def _prepare(path: str, connection: sqlite3.Connection) -> None:
    version = _version(path, connection)
    _check(connection)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_WAL}")
    # What no check has looked at is looked at when it is read.
    connection.execute("PRAGMA cell_size_check = 1")
    _migrate(path, connection, version)
    # Changes nothing, but whoever may not write is told now, not when the first message has to be
    # kept.
    connection.execute(f"PRAGMA user_version = {len(migrations())}")


def _version(path: str, connection: sqlite3.Connection) -> int:
    version = _look(connection, "PRAGMA user_version")
    if version > (last := len(migrations())):
        cause = f"its version {version} is newer than {last}, the last known"
        raise StorageError(path, "open", cause)
    return version


def _check(connection: sqlite3.Connection) -> None:
    pages = _look(connection, "PRAGMA page_count") - _look(connection, "PRAGMA freelist_count")
    is_small = pages * _look(connection, "PRAGMA page_size") <= _SMALL
    pragmas = ["PRAGMA integrity_check(1)"]
    if not is_small and sqlite3.sqlite_version_info >= _CHECKS_BY_TABLE:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        tables = ["sqlite_master", *sorted({name for (name,) in found} - _QUEUE)]
        pragmas = [f"PRAGMA integrity_check('{table}')" for table in tables]
    for pragma in pragmas:
        if (finding := _look(connection, pragma)) != "ok":
            raise Damaged(finding)


def _migrate(path: str, connection: sqlite3.Connection, version: int) -> None:
    for number, script in migrations()[version:]:
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if is_damage(error) or _is_fault(path, error):
                raise
            raise StorageError(path, f"migration {number}", str(error)) from error


# --- what is damaged ----------------------------------------------------------------------------


def _replaced(
    path: str,
    damaged: sqlite3.Connection,
    rows: list[OutboxRow] | None = None,
    facts: Facts = NO_FACTS,
) -> str:
    """Puts another file in the place of the damaged one; where that is now."""
    name = aside.unfinished(path)
    os.close(os.open(name, os.O_RDONLY | os.O_CREAT, 0o600))
    with closing(_connected(name)) as fresh:
        _salvage(path, damaged, fresh)
        fresh.execute("BEGIN")
        salvage.put(fresh, rows or (), facts)
        fresh.execute("COMMIT")
    return aside.exchange(path)


def _salvage(path: str, damaged: sqlite3.Connection, fresh: sqlite3.Connection) -> None:
    try:
        version = min(max(_version(path, damaged), 1), len(migrations()))
    except (sqlite3.Error, StorageError):
        version = len(migrations())
    for number, script in migrations()[:version]:
        fresh.executescript(f"BEGIN;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
    fresh.execute("BEGIN")
    salvage.copy(damaged, fresh)
    fresh.execute("COMMIT")
    _migrate(path, fresh, version)


# --- what cannot be written ---------------------------------------------------------------------


def _is_fault(path: str, error: Exception) -> bool:
    """Whether the disk is at fault, at present: what is on it may be read."""
    if isinstance(error, OSError):
        return error.errno in _OS_FAULTS
    if not isinstance(error, sqlite3.Error):
        return False
    return _code(error) in _FAULTS or (_code(error) in _REFUSALS and _is_read_only(path))


def _is_read_only(path: str) -> bool:
    """Whether nobody may write to this file system."""
    try:
        return bool(os.statvfs(Path(os.path.realpath(path)).parent).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _for_reading(path: str) -> sqlite3.Connection:
    """What is stored, as it can be read without writing anything."""
    path = aside.whichever_is_there(path)
    if not Path(path).exists():
        return _empty()
    connection = _looking(path)
    try:
        version = _version(path, connection)
        with _but_for_bad_sectors():
            _check(connection)
        if version == len(migrations()):
            connection.execute("PRAGMA query_only = 1")
            return connection
        # It cannot be brought up to date where it is.
        fresh = _memory()
        connection.backup(fresh)
        _migrate(path, fresh, version)
    except sqlite3.Error as error:
        if not is_damage(error):
            connection.close()
            raise
        fresh = _memory()
        _salvage(path, connection, fresh)
    except BaseException:
        connection.close()
        raise
    connection.close()
    fresh.execute("PRAGMA query_only = 1")
    return fresh


@contextmanager
def _but_for_bad_sectors() -> Generator[None]:
    """What can be read is better than nothing."""
    try:
        yield
    except sqlite3.Error as error:
        if _code(error) != sqlite3.SQLITE_IOERR:
            raise


def _looking(path: str) -> sqlite3.Connection:
    """A connection that reads, whatever it takes."""
    uri = Path(path).absolute().as_uri()
    ways = [
        (f"{uri}?mode=ro", "NORMAL"),
        # The index of a WAL is a file of its own, unless nobody else may look.
        (uri, "EXCLUSIVE"),
    ]
    if not aside.has_wal(path):
        ways.insert(1, (f"{uri}?mode=ro&immutable=1", "NORMAL"))
    for way, locking in ways:
        connection = sqlite3.connect(way, isolation_level=None, uri=True)
        try:
            connection.execute(f"PRAGMA locking_mode = {locking}")
            connection.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.Error as error:
            if is_damage(error):
                return connection
            connection.close()
        else:
            return connection
    # A WAL without its index, on a disk where none can be made.
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(path, folder)
        shutil.copy(f"{os.path.realpath(path)}-wal", f"{copy}-wal")
        with closing(_connected(copy)) as connection:
            fresh = _memory()
            connection.backup(fresh)
            return fresh


def _memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def _empty() -> sqlite3.Connection:
    """What is read where there is nothing."""
    fresh = _memory()
    _migrate(":memory:", fresh, 0)
    fresh.execute("PRAGMA query_only = 1")
    return fresh


# --- how SQLite says it -------------------------------------------------------------------------


def _look(connection: sqlite3.Connection, pragma: str) -> Any:
    """The one answer of a pragma that only looks; raises `Damaged` if there is none."""
    try:
        return connection.execute(pragma).fetchone()[0]
    except UnicodeDecodeError as error:
        # What SQLite says about the damage quotes what is damaged.
        raise Damaged(str(error)) from error
    except sqlite3.Error as error:
        if is_damage(error) or _code(error) == _NO_SUCH_FORMAT:
            raise Damaged(str(error)) from error
        raise


def _code(error: sqlite3.Error) -> int:
    """The result code of SQLite; 0 for errors that Python found."""
    # An extended code has more than the lower eight bits.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
