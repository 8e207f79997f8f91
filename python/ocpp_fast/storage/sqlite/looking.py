"""The queue in a station's file, looked at from outside: neither changed nor migrated.

Reads what every schema so far has kept, also while the station runs: what is seen is then one
moment of it. Pages keep memory small and hold up no checkpoint of the station. Knows no event loop.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from ocpp_fast.errors import ConfigurationError, StorageDamaged, StorageError
from ocpp_fast.storage.base import DeadLetter
from ocpp_fast.storage.sqlite.file import is_damage, migrations
from ocpp_fast.storage.sqlite.rows import COLUMNS, row_of
from ocpp_fast.storage.sqlite.salvage import decoded

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from ocpp_fast.storage.base import OutboxRow

__all__ = ["Lane", "QueueFile", "check_unused"]

_PAGE: Final = 500

_UNKNOWN_TIME: Final = "1970-01-01T00:00:00Z"
"""When dead letters of the first schemas were given up, as migration 4 has it too."""

# Before there was a table of dead letters, a cause made a row one.
_OLD: Final = f"SELECT {COLUMNS.removesuffix('run')}0 AS run"
_OLD_WAITING: Final = f"{_OLD} FROM outbox WHERE cause IS NULL"
_OLD_DEAD: Final = f"{_OLD}, cause, '{_UNKNOWN_TIME}' AS time FROM outbox WHERE cause IS NOT NULL"
_WAITING: Final = f"SELECT {COLUMNS} FROM outbox"
_DEAD: Final = f"SELECT {COLUMNS}, cause, time FROM dead_letter"


class Lane(NamedTuple):
    """How much of one kind there is in one lane."""

    lane: str
    action: str
    messages: int
    first: int
    """Lowest row id."""
    last: int
    undated: int
    """How many have times that are not right, see `OutboxRow.run`."""


class QueueFile:
    """The queue in the file at `path`, from `__enter__` to `__exit__`.

    Everything raises `StorageError`, and `StorageDamaged` where the file contradicts itself; to
    enter raises `ConfigurationError` when it is not there or not the file of a station.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.in_use = False
        """Whether a station has it open, or had when its process or the power ended."""
        self._connection: sqlite3.Connection | None = None
        self._waiting, self._dead = _WAITING, _DEAD

    def __enter__(self) -> Self:
        if not Path(self.path).is_file():
            raise ConfigurationError(f"{self.path}: there is no such file")
        real = Path(self.path).resolve()
        self.in_use = any(Path(f"{real}{part}").exists() for part in ("-wal", "-journal"))
        # Where nothing else can have it open nothing needs to be kept beside it, and nothing is.
        how = "mode=ro" if self.in_use else "mode=ro&immutable=1"
        with self._failing():
            self._connection = connection = sqlite3.connect(
                f"{real.as_uri()}?{how}", uri=True, isolation_level=None
            )
            connection.text_factory = decoded
        try:
            self._check()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def waiting(self, *, lane: str | None = None) -> Iterator[OutboxRow]:
        """Messages that wait for delivery, in the order of their row ids."""
        for values in self._pages(self._waiting, lane, 0, None):
            yield row_of(values)

    def dead_letters(
        self, after: int = 0, limit: int | None = None, *, lane: str | None = None
    ) -> Iterator[DeadLetter]:
        """Dead letters with a higher row id than `after`, in their order."""
        for values in self._pages(self._dead, lane, after, limit):
            yield DeadLetter(row_of(values[:-2]), *values[-2:])

    def dead_ids(self, lane: str | None = None) -> list[int]:
        """The row ids of all dead letters, or of those of one lane."""
        sql = f"SELECT row_id FROM ({self._dead}) WHERE ?1 IS NULL OR lane = ?1 ORDER BY row_id"
        return [row_id for (row_id,) in self._ask(sql, (lane,))]

    def waiting_lanes(self) -> list[Lane]:
        """What waits for delivery, by lane and action; those that began first come first."""
        return self._lanes(self._waiting)

    def dead_lanes(self) -> list[Lane]:
        """What was given up, by lane and action; those that began first come first."""
        return self._lanes(self._dead)

    def row(self, row_id: int, *, dead: bool) -> OutboxRow | None:
        """One message; None when it is no longer there."""
        source = self._dead if dead else self._waiting
        found = self._ask(f"SELECT * FROM ({source}) WHERE row_id = ?", (row_id,))
        return row_of(found[0][:10]) if found else None

    def check_whole(self) -> None:
        """Reads the whole file. Raises `StorageDamaged`."""
        finding = self._ask("PRAGMA integrity_check(1)")[0][0]
        if finding != "ok":
            raise StorageDamaged(self.path, "check", " ".join(finding.split()))

    # --- how ------------------------------------------------------------------------------

    def _check(self) -> None:
        version = self._ask("PRAGMA user_version")[0][0]
        if version > len(migrations()):
            raise StorageError(
                self.path,
                "open",
                f"its version {version} is newer than {len(migrations())}, the last known",
            )
        tables = {name for (name,) in self._ask("SELECT name FROM sqlite_master")}
        if "outbox" not in tables:
            raise ConfigurationError(f"{self.path}: is not the storage of a station")
        if "dead_letter" not in tables:
            self._waiting, self._dead = _OLD_WAITING, _OLD_DEAD

    def _pages(
        self, source: str, lane: str | None, after: int, limit: int | None
    ) -> Iterator[Sequence[Any]]:
        chosen, given = ("", ()) if lane is None else ("lane = ? AND ", (lane,))
        sql = f"SELECT * FROM ({source}) WHERE {chosen}row_id > ? ORDER BY row_id LIMIT ?"
        left, most = limit, _PAGE
        while left is None or left > 0:
            count = most if left is None else min(most, left)
            try:
                page = self._ask(sql, (*given, after, count))
            except StorageDamaged:
                if count == 1:
                    raise
                most = 1  # those before the damage are seen
                continue
            yield from page
            if len(page) < count:
                return
            after = page[-1][0]
            left = None if left is None else left - count

    def _lanes(self, source: str) -> list[Lane]:
        found = self._ask(
            "SELECT lane, action, count(*), min(row_id), max(row_id), sum(run != 0)"
            f" FROM ({source}) GROUP BY lane, action ORDER BY min(row_id)"
        )
        return [Lane._make(values) for values in found]

    def _ask(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        if self._connection is None:
            raise StorageError(self.path, "read", "it is not open")
        with self._failing():
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def _failing(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _failure(self.path, error) from error

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def check_unused(path: str) -> None:
    """Raises `ConfigurationError` when a process has the file open, which must be there.

    What an earlier process has left in its WAL is then in the file itself.
    """
    connection = sqlite3.connect(
        f"{Path(path).resolve().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0
    )
    try:
        # Of a database in WAL mode every connection holds a shared lock for as long as it is open,
        # which only this mode minds.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise ConfigurationError(f"{path}: is in use; stop the station first") from None
        raise _failure(path, error) from error
    finally:
        connection.close()


def _failure(path: str, error: sqlite3.Error) -> StorageError:
    return (StorageDamaged if is_damage(error) else StorageError)(path, "read", str(error))
