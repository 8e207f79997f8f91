"""What only the SQLite storage has: a file, migrations, and the errors of a disk."""

import sqlite3
from pathlib import Path

import pytest

from ocpp_fast.errors import StorageError
from ocpp_fast.storage import OutboxRow
from ocpp_fast.storage.sqlite import SqliteStorage, migrations


def row(row_id: int) -> OutboxRow:
    return OutboxRow(row_id, "tx-1", "2.1", "TransactionEvent", b'{"seqNo":0}')


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "station.db"


async def test_another_process_finds_what_was_stored(path: Path) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    await storage.outbox_append([row(1)])
    # Not closed: another connection sees what a restart after a crash would see.
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT row_id, payload FROM outbox").fetchall() == [
            (1, b'{"seqNo":0}')
        ]
    other.close()
    await storage.close()


async def test_a_commit_is_on_the_disk(path: Path) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    assert await storage._run("test", "PRAGMA journal_mode") == [("wal",)]
    assert await storage._run("test", "PRAGMA synchronous") == [(2,)]
    await storage.close()


async def test_the_schema_carries_the_number_of_its_last_migration(path: Path) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    assert await storage._run("test", "PRAGMA user_version") == [(len(migrations()),)]
    await storage.close()


async def test_a_newer_file_is_refused_and_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    storage = SqliteStorage(path)
    with pytest.raises(StorageError, match=r"station\.db: open failed: its version 99 is newer"):
        await storage.open()
    with sqlite3.connect(path) as newer:
        assert newer.execute("PRAGMA user_version").fetchone() == (99,)
    newer.close()


@pytest.mark.parametrize("number", range(len(migrations())))
async def test_every_older_file_is_brought_up_to_date(path: Path, number: int) -> None:
    old = sqlite3.connect(path, isolation_level=None)
    for version, script in migrations()[:number]:
        old.executescript(f"BEGIN; {script}; PRAGMA user_version = {version}; COMMIT;")
    old.close()
    storage = SqliteStorage(path)
    await storage.open()
    await storage.outbox_append([row(1)])
    assert await storage.outbox_load() == [row(1)]
    await storage.close()


async def test_a_failed_migration_changes_nothing_and_is_named(path: Path) -> None:
    with sqlite3.connect(path) as odd:
        odd.execute("CREATE TABLE outbox (something TEXT)")
    odd.close()
    storage = SqliteStorage(path)
    with pytest.raises(StorageError, match=r"migration 1 failed: .*already exists"):
        await storage.open()
    with sqlite3.connect(path) as odd:
        assert odd.execute("PRAGMA user_version").fetchone() == (0,)
    odd.close()


async def test_what_is_no_database_is_refused_by_name(path: Path) -> None:
    path.write_bytes(b"this is a text file, not a database" * 100)
    with pytest.raises(StorageError, match=r"station\.db: open failed: .*not a database"):
        await SqliteStorage(path).open()
    assert path.read_bytes().startswith(b"this is a text file")


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere/station\.db: open failed"):
        await SqliteStorage(tmp_path / "nowhere" / "station.db").open()


async def test_a_storage_that_is_not_open_says_so(path: Path) -> None:
    with pytest.raises(StorageError, match="outbox_load failed: it is not open"):
        await SqliteStorage(path).outbox_load()


async def test_a_full_disk_raises_and_keeps_what_was_stored(path: Path) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    await storage.outbox_append([row(1)])
    ((pages,),) = await storage._run("test", "PRAGMA page_count")
    await storage._run("test", f"PRAGMA max_page_count = {pages}")
    big = OutboxRow(2, "tx-1", "2.1", "TransactionEvent", b"x" * 100_000)
    with pytest.raises(StorageError, match=r"station\.db: outbox_append failed: .*full"):
        await storage.outbox_append([big])
    assert await storage.outbox_load() == [row(1)]
    await storage._run("test", "PRAGMA max_page_count = 1000000")
    await storage.outbox_append([big])
    assert [stored.row_id for stored in await storage.outbox_load()] == [1, 2]
    await storage.close()


async def test_a_read_only_file_raises_by_name(path: Path) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    await storage._run("test", "PRAGMA query_only = 1")
    with pytest.raises(StorageError, match=r"outbox_append failed: .*readonly"):
        await storage.outbox_append([row(1)])
    await storage.close()
