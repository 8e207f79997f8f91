"""Opening the database file: is it whole, is it ours, is it up to date. Runs in the
connection's thread, knows no event loop.

Every file is checked by `PRAGMA integrity_check` at every start, not only after an unclean end: WAL
with synchronous FULL survives that, and what damages a database (worn-out flash, a file system)
does not wait for it. Of single bits that have turned it finds twice as many as `quick_check`, since
it compares what is in an index with the row. 900 components, 300 values and 100 messages (4.5 MB)
take 5 ms, a tenth more than with `quick_check`; 7,000 values and 1,000 messages 12 ms.
"""

import os
import sqlite3
from functools import cache
from importlib.resources import files
from itertools import count
from os.path import realpath
from pathlib import Path
from typing import Any, NamedTuple

from ocpp_fast.errors import StorageError

_BUSY_TIMEOUT_S = 5.0
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# The general error: all that a mere look into the file can mean by it is a header that asks for
# abilities which no SQLite has.
_NO_SUCH_FORMAT = sqlite3.SQLITE_ERROR
# What SQLite keeps beside a database named `x`; the database itself is first, since what is left
# beside no database is recognised (`_is_left_alone`) if the process ends between two renames.
_PARTS = ("", "-wal", "-journal", "-shm")


class Opened(NamedTuple):
    """A database that is ready."""

    connection: sqlite3.Connection
    set_aside: str | None
    """Where the one that was found damaged is now."""


class _Damaged(sqlite3.DatabaseError):
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

    A damaged one is set aside first. Raises `StorageError` for whatever else is wrong with it; the
    file is then as it was.
    """
    try:
        return _open_file(path)
    except (sqlite3.Error, OSError) as error:
        raise StorageError(path, "open", str(error)) from error


def _open_file(path: str) -> Opened:
    if _is_left_alone(path):
        kept = _move_away(path)
        return Opened(_opened(path).connection, kept)
    return _opened(path, replace_damaged=True)


def _opened(path: str, *, replace_damaged: bool = False) -> Opened:
    # Passwords are in it (A01.FR.10). What SQLite keeps beside it gets the same mode; the one of a
    # file that is there already is left to whoever has made it.
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_TIMEOUT_S)
    try:
        _prepare(path, connection)
    except BaseException as error:
        # Moved before it is closed: SQLite then leaves the WAL alone, which it would otherwise
        # copy into the damaged file and delete.
        try:
            kept = _move_away(path) if replace_damaged and _is_damage(error) else None
        finally:
            connection.close()
        if kept is None:
            raise
    else:
        return Opened(connection, None)
    return Opened(_opened(path).connection, kept)


def _prepare(path: str, connection: sqlite3.Connection) -> None:
    scripts = migrations()
    version = _look(connection, "PRAGMA user_version")
    if version > len(scripts):
        raise StorageError(
            path, "open", f"its version {version} is newer than {len(scripts)}, the last known"
        )
    finding = _look(connection, "PRAGMA integrity_check(1)")
    if finding != "ok":
        raise _Damaged(finding)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    for number, script in scripts[version:]:
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
        except sqlite3.Error as error:
            if _is_damage(error):
                raise
            raise StorageError(path, f"migration {number}", str(error)) from error
    # Changes nothing, but whoever may not write is told now, not when the first message has to be
    # kept.
    connection.execute("DELETE FROM outbox WHERE row_id IS NULL")


def _look(connection: sqlite3.Connection, pragma: str) -> Any:
    """The one answer of a pragma that only looks; raises `_Damaged` if there is none."""
    try:
        return connection.execute(pragma).fetchone()[0]
    except UnicodeDecodeError as error:
        # What SQLite says about the damage quotes what is damaged.
        raise _Damaged(str(error)) from error
    except sqlite3.Error as error:
        if _is_damage(error) or _code(error) == _NO_SUCH_FORMAT:
            raise _Damaged(str(error)) from error
        raise


def _code(error: sqlite3.Error) -> int:
    """The result code of SQLite; 0 for errors that Python found."""
    # An extended code has more than the lower eight bits.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_damage(error: BaseException) -> bool:
    """Whether the file is at fault, and not the disk, a lock, or the right to use it."""
    return isinstance(error, _Damaged) or (
        isinstance(error, sqlite3.Error) and _code(error) in _DAMAGE
    )


def _is_left_alone(path: str) -> bool:
    """Whether a WAL with something in it has lost its database. SQLite would delete it."""
    real = realpath(path)
    return not _size(real) and _size(f"{real}-wal") > 0


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0


def _move_away(path: str) -> str:
    """Renames the database and what stands beside it, overwriting nothing; where it is now."""
    # SQLite follows links, so the WAL stands beside the file that is meant.
    real = realpath(path)
    kept = next(
        name
        for name in (f"{real}.corrupt-{number}" for number in count(1))
        if not any(Path(name + part).exists() for part in _PARTS)
    )
    for part in _PARTS:
        if Path(real + part).exists():
            Path(real + part).rename(kept + part)
    folder = os.open(Path(real).parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return kept
