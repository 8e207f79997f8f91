"""What only the SQLite storage has: a file, migrations, a view, and the errors of a disk.

What it does with a damaged file is in test_damaged.py.
"""

import asyncio
import json
import math
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.errors import StorageError, StorageRefused
from ocpp_fast.storage import ComponentRow, MonitorRow, OutboxRow, ValueRow
from ocpp_fast.storage.sqlite import SqliteStorage, database, file, migrations
from ocpp_fast.storage.sqlite.statements import MOST_ROWS


def row(row_id: int) -> OutboxRow:
    return OutboxRow(row_id, "tx-1", "2.1", "TransactionEvent", b'{"seqNo":0}')


def value(evse: int, text: str | None, variable: str = "Power") -> ValueRow:
    return ("EVSE", "", evse, 0, variable, "", "Actual", text, "csms")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "station.db"


@pytest.fixture
async def storage(path: Path) -> AsyncIterator[SqliteStorage]:
    opened = SqliteStorage(path)
    await opened.open()
    yield opened
    await opened.close()


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
    # Nor is the WAL for ever as long as it ever was, or a page believed that makes no sense.
    assert await storage._run("test", "PRAGMA journal_size_limit") == [(8_000_000,)]
    assert await storage._run("test", "PRAGMA cell_size_check") == [(1,)]
    await storage.close()


async def test_the_schema_carries_the_number_of_its_last_migration(path: Path) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    assert await storage._run("test", "PRAGMA user_version") == [(len(migrations()),)]
    await storage.close()


async def test_nobody_else_may_read_it(path: Path) -> None:
    """A01.FR.10: the password is stored in clear text, as it has to be, but with care."""
    storage = SqliteStorage(path)
    await storage.open()
    await storage.outbox_append([row(1)])
    modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    assert modes == dict.fromkeys((path.name, f"{path.name}-wal", f"{path.name}-shm"), 0o600)
    await storage.close()
    # Whoever wants it otherwise can have it.
    path.chmod(0o640)
    await storage.open()
    assert path.stat().st_mode & 0o777 == 0o640
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


def make_old(path: Path, version: int) -> sqlite3.Connection:
    """A file as the first migrations alone make it."""
    old = sqlite3.connect(path, isolation_level=None)
    for number, script in migrations()[:version]:
        old.executescript(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT;")
    return old


@pytest.mark.parametrize("number", range(len(migrations())))
async def test_every_older_file_is_brought_up_to_date(path: Path, number: int) -> None:
    make_old(path, number).close()
    storage = SqliteStorage(path)
    await storage.open()
    await storage.outbox_append([row(1)])
    assert await storage.outbox_load() == [row(1)]
    assert storage.set_aside is None
    await storage.close()


async def test_a_file_with_an_outbox_alone_keeps_its_messages(path: Path) -> None:
    old = make_old(path, 1)
    rows = [
        (1, "tx-1", "2.1", "TransactionEvent", b'{"seqNo":0}', 0, 0, 1, 2, None),
        (2, "tx-1", "2.1", "TransactionEvent", b'{"seqNo":1}', 1, 1, 0, 0, None),
        (5, "security", "2.0.1", "SecurityEventNotification", b"{}", 0, 0, 0, 3, "no"),
    ]
    old.executemany("INSERT INTO outbox VALUES (?,?,?,?,?,?,?,?,?,?)", rows)
    old.close()
    storage = SqliteStorage(path)
    await storage.open()
    try:
        assert await storage.outbox_load() == [
            replace(row(1), offline=True, attempts=2),
            replace(row(2), payload=b'{"seqNo":1}', seq_no=1, droppable=True),
        ]
        ((letter, cause),) = [
            (each.row, each.cause) for each in await storage.outbox_dead_letters()
        ]
        assert (letter.row_id, letter.version, letter.attempts, cause) == (5, "2.0.1", 3, "no")
        assert await storage.queue_size() == (2, 1)
        assert await storage.outbox_last_row_id() == 5
        await storage.values_store([value(1, "1")])
        assert await storage.values_load() == [value(1, "1")]
    finally:
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


async def test_a_migration_that_fails_halfway_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_old(path, len(migrations())).close()
    next_ = len(migrations()) + 1
    script = "CREATE TABLE later (x);\nCREATE TABLE outbox (y);"
    monkeypatch.setattr(file, "migrations", lambda: (*migrations(), (next_, script)))
    with pytest.raises(StorageError, match=rf"migration {next_} failed: .*already exists"):
        await SqliteStorage(path).open()
    monkeypatch.undo()
    storage = SqliteStorage(path)
    await storage.open()
    found = await storage._run("test", "SELECT name FROM sqlite_master WHERE name = 'later'")
    assert found == []
    await storage.close()


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


async def test_many_rows_are_stored_all_or_none(storage: SqliteStorage) -> None:
    """More than one statement takes, of which the last one fails."""
    rows = [
        MonitorRow(n, "EVSE", "", 1, 0, "Power", "", "Delta", 1.0, 5, False, "Custom", False)
        for n in range(1, 2 * MOST_ROWS + 2)
    ]
    await storage.monitors_store(rows[:1])
    # SQLite takes no NaN for a number.
    with pytest.raises(StorageError, match=r"station\.db: monitors_store failed: NOT NULL"):
        await storage.monitors_store([*rows[1:], rows[-1]._replace(value=math.nan)])
    assert await storage.monitors_load() == rows[:1]
    await storage.monitors_store(rows)
    assert await storage.monitors_load() == rows


async def test_what_is_refused_halfway_is_undone(path: Path) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    await storage.outbox_bury(row(5), "no", "2026-01-01T00:00:00Z")
    await storage.outbox_bury(row(6), "no", "2026-01-01T00:00:00Z")
    await storage.outbox_append([row(6)])
    with pytest.raises(StorageRefused, match=r"station\.db: outbox_requeue failed: UNIQUE"):
        await storage.outbox_requeue([5, 6])
    await storage.outbox_append([row(7)])
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT row_id FROM outbox").fetchall() == [(6,), (7,)]
        assert other.execute("SELECT row_id FROM dead_letter").fetchall() == [(5,), (6,)]
    other.close()
    await storage.close()


async def test_a_full_disk_keeps_the_old_values(storage: SqliteStorage) -> None:
    old = [value(evse, "old") for evse in range(2 * MOST_ROWS)]
    await storage.values_store(old)
    ((pages,),) = await storage._run("test", "PRAGMA page_count")
    await storage._run("test", f"PRAGMA max_page_count = {pages}")
    for count in (20, len(old)):
        new = [value(evse, "x" * 2_500) for evse in range(count)]
        with pytest.raises(StorageError, match=r"station\.db: values_store failed: .*full"):
            await storage.values_store(new)
        assert sorted(await storage.values_load()) == old
    await storage._run("test", "PRAGMA max_page_count = 1000000")
    await storage.values_store([value(0, "new")])
    assert ("EVSE", "", 0, 0, "Power", "", "Actual", "new", "csms") in await storage.values_load()


async def test_a_locked_file_is_not_damaged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "_BUSY_TIMEOUT_S", 0.0)
    other = make_old(path, len(migrations()))
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match=r"station\.db: open failed: database is locked"):
        await SqliteStorage(path).open()
    other.close()
    storage = SqliteStorage(path)
    await storage.open()
    assert storage.set_aside is None
    await storage.close()


async def test_who_may_not_write_is_told_at_once(path: Path) -> None:
    make_old(path, len(migrations())).close()
    content = bytearray(path.read_bytes())
    content[18] = 9  # the version of those who may write, as far as SQLite is concerned
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"station\.db: open failed: .*readonly"):
        await SqliteStorage(path).open()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "changes",
    [
        {"lane": "\udc80"},
        {"row_id": 2**63},
        {"payload": object()},
        {"payload": b"x" * 100_000},
        {"action": None},
    ],
    ids=["no Unicode", "no number of 64 bits", "nothing that can be stored", "too long", "nothing"],
)
async def test_what_can_never_be_stored_is_refused_and_the_rest_is_stored(
    storage: SqliteStorage, changes: dict[str, Any]
) -> None:
    """So that nobody tries it again, nor takes the disk for one that fails."""
    connection = storage._connection
    assert connection is not None
    await connection.run(lambda there: there.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 50_000))
    with pytest.raises(StorageRefused, match=r"station\.db: outbox_append failed"):
        await storage.outbox_append([row(1), replace(row(2), **changes)], {"a.a": "1"})
    assert await storage.outbox_load() == []
    assert await storage.state_load() == {}
    await storage.outbox_append([row(1)])
    assert await storage.outbox_load() == [row(1)]


async def test_text_that_cannot_be_stored_is_an_error_of_the_storage(
    storage: SqliteStorage,
) -> None:
    with pytest.raises(StorageError, match=r"values_store failed: .*surrogates"):
        await storage.values_store([value(1, "\udc80")])
    assert await storage.values_load() == []


async def test_a_person_sees_the_device_model(storage: SqliteStorage, path: Path) -> None:
    properties = {
        "Power": {
            "variable_name": "Power",
            "characteristics": {"dataType": "decimal", "unit": "W", "maxLimit": 22000},
            "attributes": [
                {"type": "Actual", "mutability": "ReadOnly", "value": 0},
                {"type": "MaxSet", "value": "22000"},
            ],
        },
        "TxKey": {
            "variable_name": "Password",
            "instance": "Tx",
            "characteristics": {"dataType": "string"},
            "attributes": [{"type": "Actual", "mutability": "WriteOnly", "value": "secret"}],
        },
        "Color": {
            "variable_name": "Color",
            "characteristics": {"dataType": "string"},
            "attributes": [{}],
            "default": "red",
        },
    }
    definition = json.dumps({"name": "EVSE", "evse_id": 1, "properties": properties})
    await storage.components_store([ComponentRow("EVSE", "", 1, 0, definition)])
    await storage.values_store(
        [value(1, "7400.0", "power"), ("evse", "", 1, 0, "Password", "tx", "Actual", "s", "csms")]
    )
    other = sqlite3.connect(path)
    shown = other.execute("SELECT * FROM device_variable ORDER BY variable, attribute").fetchall()
    other.close()
    evse = ("EVSE", "", 1, 0)
    assert shown == [
        (*evse, "Color", "", "Actual", "ReadWrite", "red", "default", "string", None),
        (*evse, "Password", "Tx", "Actual", "WriteOnly", "(write only)", "csms", "string", None),
        (*evse, "Power", "", "Actual", "ReadOnly", "7400.0", "csms", "decimal", "W"),
        (*evse, "Power", "", "MaxSet", "ReadWrite", "22000", "default", "decimal", "W"),
    ]


def bytes_read() -> int:
    """What this process has asked the system for so far."""
    try:
        text = Path("/proc/self/io").read_text()
    except OSError:
        pytest.skip("the system does not say how much a process reads")
    return int(text.split("rchar:")[1].split()[0])


async def test_a_start_reads_no_more_for_a_long_queue(path: Path) -> None:
    """Of 20 MB: its beginning, its end, and the page that is loaded."""
    storage = SqliteStorage(path)
    await storage.open()
    for start in range(0, 8_000, 1_000):
        rows = [replace(row(n), payload=b"x" * 2_500) for n in range(start + 1, start + 1_001)]
        await storage.outbox_append(rows)
    await storage.outbox_bury(row(8_000), "no", "2026-01-01T00:00:00Z")
    await storage.close()
    assert path.stat().st_size > 20_000_000
    before = bytes_read()
    await storage.open()
    assert storage.set_aside is None
    assert await storage.outbox_last_row_id() == 8_000
    assert len(await storage.outbox_load(limit=100)) == 100
    assert len(await storage.outbox_load(7_000, 100)) == 100
    assert await storage.outbox_undated() == []
    assert len(await storage.outbox_dead_letters()) == 1
    assert bytes_read() - before < 2_000_000
    await storage.close()


async def test_a_long_queue_is_thinned_without_a_second_file_of_its_size(path: Path) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    for start in range(0, 6_000, 1_000):
        rows = [
            replace(row(n), payload=b"x" * 2_500, droppable=True)
            for n in range(start + 1, start + 1_001)
        ]
        await storage.outbox_append(rows)
    assert await storage.outbox_thin(0, transactions=True) == 3_000
    assert path.with_name("station.db-wal").stat().st_size < 12_000_000
    assert await storage.queue_size() == (3_000, 0)
    await storage.close()


async def threads(before: Iterable[threading.Thread] = ()) -> set[threading.Thread]:
    """Those of databases that are not about to end: who closes one does not wait for that."""
    there = {thread for thread in threading.enumerate() if "connection_worker" in thread.name}
    there -= {*before}
    for thread in there:
        await asyncio.to_thread(thread.join, 1)
    return {thread for thread in there if thread.is_alive()}


async def test_nothing_is_left_of_what_could_not_be_opened(tmp_path: Path) -> None:
    before = await threads()
    for _ in range(5):
        with pytest.raises(StorageError):
            await SqliteStorage(tmp_path / "nowhere" / "station.db").open()
    assert not await threads(before)


async def test_nothing_is_left_when_nobody_waits_for_it_to_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await threads()
    opening, may_open = threading.Event(), threading.Event()
    real = file.open_file

    def slow(path: str) -> file.Opened:
        opening.set()
        may_open.wait(10)
        return real(path)

    monkeypatch.setattr(database, "open_file", slow)
    storage = SqliteStorage(path)
    task = asyncio.create_task(storage.open())
    await asyncio.to_thread(opening.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    may_open.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not await threads(before)
    # It can be opened after all, by whoever comes next.
    await storage.open()
    await storage.outbox_append([row(1)])
    await storage.close()
    assert not await threads(before)


async def test_verbs_that_are_under_way_are_done_before_it_closes(path: Path) -> None:
    storage = SqliteStorage(path)
    await storage.open()
    pending = [asyncio.ensure_future(storage.outbox_append([row(n)])) for n in range(1, 20)]
    await asyncio.sleep(0)
    await storage.close()
    await asyncio.gather(*pending)
    await storage.open()
    assert len(await storage.outbox_load()) == 19
    await storage.close()


async def test_nobody_has_to_wait_for_a_disk_that_hangs(path: Path) -> None:
    """Neither whoever ends the program by cancelling what it does, nor the end of the process."""
    before = await threads()
    storage = SqliteStorage(path)
    await storage.open()
    connection = storage._connection
    assert connection is not None
    hangs, works = threading.Event(), threading.Event()

    def hang(_: sqlite3.Connection) -> None:
        hangs.set()
        works.wait(10)

    verb = connection.run(hang)
    await asyncio.to_thread(hangs.wait, 10)
    closing = asyncio.create_task(storage.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not verb.done()
    there = {each for each in threading.enumerate() if "connection_worker" in each.name}
    assert [each.daemon for each in there - before] == [True]
    works.set()
    await verb
    assert not await threads(before)
