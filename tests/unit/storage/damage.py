"""Database files that are opened for a moment, and how a test damages one."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from ocpp_fast.storage.sqlite import SqliteStorage

PAGE = 4_096


@asynccontextmanager
async def opened(path: Path) -> AsyncGenerator[SqliteStorage]:
    storage = SqliteStorage(path)
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


async def only_in_file(storage: SqliteStorage) -> None:
    """From now on all that is stored is in the database file, and read from there: neither the WAL
    nor the memory has a page of it that is still good."""
    await storage._run("test", "PRAGMA wal_checkpoint(TRUNCATE)")
    await storage._run("test", "PRAGMA cache_size = 0")


def overwrite(path: Path, starts: Iterable[int]) -> None:
    """The pages that begin there, in the file as it is, even if it is open."""
    with path.open("r+b") as there:
        for start in starts:
            there.seek(start)
            there.write(b"\xff" * PAGE)


def all_pages(path: Path, *, first: int = 0) -> range:
    """Where the pages of a file begin, from its `first` on."""
    return range(first * PAGE, path.stat().st_size, PAGE)
