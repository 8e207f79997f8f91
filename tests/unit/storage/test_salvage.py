"""What is taken over from a damaged database: all but the rows on the damaged pages.

And when: before the damaged file is moved out of the way, so that a power cut in the middle leaves
one or the other.
"""

import os
import random
import shutil
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.errors import StorageDamaged, StorageError
from ocpp_fast.storage import ComponentRow, MonitorRow, OutboxRow, SecurityLogRow
from ocpp_fast.storage.base import ReadingRow
from ocpp_fast.storage.sqlite import SqliteStorage, file, migrations
from unit.storage.damage import PAGE, all_pages, only_in_file, opened, overwrite

ROWS = [
    OutboxRow(number, f"tx-{number % 7}", "2.1", "TransactionEvent", b"{%05d}" % number * 50)
    for number in range(1, 2_001)
]
BURIED = [
    OutboxRow(number, "tx", "2.1", "X", b"<%05d>" % number * 50) for number in range(3_000, 3_030)
]
FACTS = {f"block.{number}": f"fact {number} " * 30 for number in range(200)}
COMPONENTS = [ComponentRow("EVSE", "", evse, 0, f'"{evse}"' * 100) for evse in range(1, 100)]
VALUES = [("EVSE", "", evse, 0, "Power", "", "Actual", "x" * 40, "csms") for evse in range(1, 300)]
MONITORS = [
    MonitorRow(number, "EVSE", "", 1, 0, "Power", "", "Delta", 1.0, 5, False, "Custom", False)
    for number in (-5, 1, 2, 900)
]
READINGS = [ReadingRow("tx-1", number, b"{}" * 200) for number in range(100)]
LOG = [SecurityLogRow("2026-01-01T00:00:00Z", "ResetOrReboot", f"{n}", True) for n in range(300)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "station.db"


async def fill(storage: SqliteStorage) -> None:
    for start in range(0, len(ROWS), 500):
        await storage.outbox_append(ROWS[start : start + 500])
    for row in BURIED:
        await storage.outbox_bury(row, "no", "2026-01-01T00:00:00Z")
    await storage.state_store(FACTS)
    await storage.components_store(COMPONENTS)
    await storage.values_store(VALUES)
    await storage.monitors_store(MONITORS)
    await storage.readings_append(READINGS)
    await storage.security_log_append(LOG)


async def content(storage: SqliteStorage) -> dict[str, list[Any]]:
    """All that is stored."""
    return {
        "outbox": list(await storage.outbox_load(limit=10_000)),
        "dead_letter": [letter.row for letter in await storage.outbox_dead_letters()],
        "state": sorted((await storage.state_load()).items()),
        "component": list(await storage.components_load()),
        "value": sorted(await storage.values_load()),
        "monitor": list(await storage.monitors_load()),
        "reading": list(await storage.readings_load()),
        "log": list(await storage.security_log_load(1_000)),
    }


ALL: dict[str, list[Any]] = {
    "outbox": [*ROWS],
    "dead_letter": [*BURIED],
    "state": sorted(FACTS.items()),
    "component": [*COMPONENTS],
    "value": sorted(VALUES),
    "monitor": [*MONITORS],
    "reading": [*READINGS],
    "log": [*LOG],
}


@pytest.fixture
async def whole(path: Path) -> bytes:
    """The file with something of everything; without it there is no file."""
    async with opened(path) as storage:
        await fill(storage)
        assert await content(storage) == ALL
    filled = path.read_bytes()
    path.unlink()
    return filled


def pages_of(whole: bytes, mark: bytes) -> list[int]:
    """The pages on which this is written."""
    return [start for start in range(0, len(whole), PAGE) if mark in whole[start : start + PAGE]]


def with_damage(whole: bytes, starts: Iterable[int]) -> bytes:
    chance = random.Random(7)
    damaged = bytearray(whole)
    for start in starts:
        damaged[start : start + PAGE] = chance.choice(
            [bytes(PAGE), b"\xff" * PAGE, chance.randbytes(PAGE)]
        )
    return bytes(damaged)


def lost(found: list[Any], expected: list[Any]) -> list[Any]:
    """What is missing; everything else is as it was."""
    names = {repr(each) for each in found}
    assert found == [each for each in expected if repr(each) in names]
    return [each for each in expected if repr(each) not in names]


async def test_rows_on_damaged_pages_are_lost_and_no_others(path: Path, whole: bytes) -> None:
    leaves = pages_of(whole, b"}{0")  # of rows of the outbox, of which each page has several
    damaged = [leaves[0], *leaves[40:43], leaves[100], leaves[-1]]
    # More than these pages have: a page keeps what was moved to another one.
    there = {
        row.row_id
        for row in ROWS
        if any(b"{%05d}" % row.row_id * 2 in whole[at : at + PAGE] for at in damaged)
    }
    assert len(there) < 100
    path.write_bytes(with_damage(whole, damaged))
    async with opened(path) as storage:
        assert storage.set_aside == f"{path}.corrupt-1"
        found = await content(storage)
        gone = {row.row_id for row in lost(found.pop("outbox"), ALL["outbox"])}
        assert len(gone) > 40
        assert gone <= there
        assert found == {name: rows for name, rows in ALL.items() if name != "outbox"}
        await storage.outbox_append([OutboxRow(9_999, "x", "2.1", "X", b"{}")])
    async with opened(path) as storage:
        assert storage.set_aside is None
        assert await storage.outbox_last_row_id() == 9_999
    assert Path(f"{path}.corrupt-1").read_bytes() == with_damage(whole, damaged)


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_is_damaged_the_rest_is_as_it_was(
    path: Path, whole: bytes, seed: int
) -> None:
    """Any pages but the first, which has the names of all tables."""
    chance = random.Random(seed)
    pages = range(PAGE, len(whole), PAGE)
    path.write_bytes(with_damage(whole, chance.sample(pages, chance.choice([1, 3, 10]))))
    async with opened(path) as storage:
        found = await content(storage)
        missing = {name: len(lost(rows, ALL[name])) for name, rows in found.items()}
        assert sum(missing[name] > 0 for name in missing) <= 5
    async with opened(path) as storage:
        assert storage.set_aside is None
        assert await content(storage) == found


async def test_a_file_that_was_cut_off_gives_what_is_there(path: Path, whole: bytes) -> None:
    path.write_bytes(whole[: 3 * len(whole) // 4 // PAGE * PAGE])
    async with opened(path) as storage:
        found = await content(storage)
        assert len(lost(found["outbox"], ALL["outbox"])) < len(ROWS)


async def test_what_was_last_in_the_wal_is_taken_over(path: Path, tmp_path: Path) -> None:
    """As a process leaves it that was killed."""
    folder = tmp_path / "killed"
    folder.mkdir()
    async with opened(path) as storage:
        await fill(storage)
        await storage._run("test", "PRAGMA wal_checkpoint(TRUNCATE)")
        await storage.state_store({"block.0": "newer"})
        for part in ("", "-wal", "-shm"):
            shutil.copy(f"{path}{part}", folder)
    killed = folder / path.name
    damaged = killed.read_bytes()
    killed.write_bytes(with_damage(damaged, pages_of(damaged, b"}{0")[20:21]))
    wal = Path(f"{killed}-wal").read_bytes()
    async with opened(killed) as storage:
        facts = await storage.state_load()
        assert facts == {**FACTS, "block.0": "newer"}
        assert len(await storage.outbox_load(limit=10_000)) > len(ROWS) - 20
    assert Path(f"{killed}.corrupt-1-wal").read_bytes() == wal


@pytest.mark.parametrize("small", [8_000_000, 0], ids=["at the check", "at the migration"])
async def test_an_older_file_is_brought_up_to_date_as_well(
    path: Path, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    monkeypatch.setattr(file, "_SMALL", small)
    old = sqlite3.connect(path, isolation_level=None)
    for number, script in migrations()[:2]:
        old.executescript(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT;")
    old.execute("BEGIN")
    for row in ROWS:
        old.execute(
            "INSERT INTO outbox VALUES (?,?,?,?,?,0,0,0,0,?)",
            (
                row.row_id,
                row.lane,
                row.version,
                row.action,
                row.payload,
                "no" if row.row_id < 3 else None,
            ),
        )
    old.execute("COMMIT")
    old.close()
    whole = path.read_bytes()
    path.write_bytes(with_damage(whole, pages_of(whole, b"}{0")[50:51]))
    async with opened(path) as storage:
        assert storage.set_aside
        assert [letter.row.row_id for letter in await storage.outbox_dead_letters()] == [1, 2]
        found = await storage.outbox_load(limit=10_000)
        assert 0 < len(lost([*found], [*ROWS[2:]])) < 20


async def test_rows_that_make_no_sense_are_left_out(path: Path) -> None:
    async with opened(path) as storage:
        await storage.outbox_append(ROWS[:3])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("UPDATE outbox SET payload = 'text' WHERE row_id = 2")
    other.execute("UPDATE outbox SET attempts = 'many' WHERE row_id = 3")
    other.close()
    async with opened(path) as storage:
        assert storage.set_aside is None, "each page is in order"
        with pytest.raises(StorageDamaged, match="row 2 makes no sense"):
            await storage.outbox_load()
        await storage.replace_damaged()
        assert storage.set_aside == f"{path}.corrupt-1"
        assert await storage.outbox_load() == ROWS[:1]


@pytest.mark.parametrize("pointers", [(1, 0), (0, 0)])
async def test_rows_out_of_their_order_are_found_when_they_are_read(
    path: Path, monkeypatch: pytest.MonkeyPatch, pointers: tuple[int, int]
) -> None:
    """Of a queue that is too large to be checked at the start. One may be there twice."""
    monkeypatch.setattr(file, "_SMALL", 0)
    rows = [replace(row, payload=b"{}") for row in ROWS[:2]]
    async with opened(path) as storage:
        await storage.outbox_append(rows)
        ((root,),) = await storage._run(
            "test", "SELECT rootpage FROM sqlite_master WHERE name = 'outbox'"
        )
    content = bytearray(path.read_bytes())
    at = (root - 1) * PAGE + 8  # where its cells are, two bytes for each, behind its header
    cells = [content[at : at + 2], content[at + 2 : at + 4]]
    content[at : at + 4] = b"".join(cells[n] for n in pointers)
    path.write_bytes(content)
    async with opened(path) as storage:
        assert storage.set_aside is None
        with pytest.raises(StorageDamaged, match="makes no sense"):
            await storage.outbox_load()


# --- while it runs ------------------------------------------------------------------------------


async def damage_under(storage: SqliteStorage, path: Path, mark: bytes) -> None:
    """Damages pages of the open file."""
    await only_in_file(storage)
    overwrite(path, pages_of(path.read_bytes(), mark)[5:7])


async def test_damage_that_is_found_later_is_replaced_with_what_is_known(path: Path) -> None:
    async with opened(path) as storage:
        await fill(storage)
        await damage_under(storage, path, b"}{0")
        with pytest.raises(StorageDamaged, match=r"station\.db: outbox_load failed: .*malformed"):
            await storage.outbox_load(limit=10_000)
        # Writing would only make it worse, wherever it is.
        for writing in (storage.state_store({"a.a": "1"}), storage.outbox_append([])):
            with pytest.raises(StorageDamaged, match="malformed"):
                await writing
        assert await storage.outbox_load(limit=10) == ROWS[:10]
        known = [ROWS[1_999], OutboxRow(5_000, "new", "2.1", "X", b"{}")]
        await storage.replace_damaged(known, {"block.1": None, "block.2": "newer"})
        assert storage.set_aside == f"{path}.corrupt-1"
        found = await storage.outbox_load(limit=10_000)
        assert found[-2:] == known
        assert 0 < len(lost([*found], [*ROWS, known[1]])) < 50
        expected = {**FACTS, "block.2": "newer"}
        del expected["block.1"]
        assert await storage.state_load() == expected
        await storage.outbox_append([OutboxRow(5_001, "new", "2.1", "X", b"{}")])
    async with opened(path) as storage:
        assert storage.set_aside is None
        assert await storage.outbox_last_row_id() == 5_001


async def test_facts_that_were_loaded_or_stored_are_not_lost(path: Path) -> None:
    async with opened(path) as storage:
        await fill(storage)
    async with opened(path) as storage:
        assert await storage.state_load() == FACTS
        await storage.state_store({"block.7": None, "block.8": "newer"})
        await storage.outbox_append([OutboxRow(4_000, "x", "2.1", "X", b"{}")], {"block.9": "9"})
        await damage_under(storage, path, b"fact")
        with pytest.raises(StorageDamaged):
            await storage._run("test", "SELECT sum(length(value)) FROM state")
        await storage.replace_damaged()
        expected = {**FACTS, "block.8": "newer", "block.9": "9"}
        del expected["block.7"]
        assert await storage.state_load() == expected


async def test_a_file_that_is_gone_is_made_anew_from_memory(path: Path) -> None:
    """All of it is damaged, and nothing can be read."""
    async with opened(path) as storage:
        await fill(storage)
        await only_in_file(storage)
        overwrite(path, all_pages(path))
        with pytest.raises(StorageDamaged):
            await storage.components_load()
        with pytest.raises(StorageDamaged):
            await storage.outbox_append([OutboxRow(5_000, "new", "2.1", "X", b"{}")])
        await storage.replace_damaged(ROWS[:2])
        assert await storage.outbox_load() == ROWS[:2]
        assert await storage.state_load() == FACTS
        assert await storage.components_load() == []


# --- a power cut in the middle ------------------------------------------------------------------


class _PowerCut(Exception):
    """Nothing that comes after it happens."""


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("has_wal", [False, True])
async def test_a_power_cut_while_it_is_replaced_loses_nothing(
    path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch, step: int, *, has_wal: bool
) -> None:
    path.write_bytes(with_damage(whole, pages_of(whole, b"}{0")[20:21]))
    if has_wal:
        # Nothing in it is valid, so that it changes nothing, but it has to be kept.
        Path(f"{path}-wal").write_bytes(b"a WAL" * 100)
    done = 0
    real = Path.rename

    def rename(self: Path, target: str | Path) -> Path:
        nonlocal done
        if done == step:
            raise _PowerCut
        done += 1
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        try:
            async with opened(path):
                pass
        except _PowerCut:
            pass
        else:
            assert done <= step
    async with opened(path) as storage:
        found = await content(storage)
        assert len(lost(found.pop("outbox"), ALL["outbox"])) < 20
        assert found == {name: rows for name, rows in ALL.items() if name != "outbox"}
    kept = {each.name for each in path.parent.iterdir()}
    assert f"{path.name}.corrupt-1" in kept
    assert not {name for name in kept if "saved" in name or "unfinished" in name}
    wals = [path.with_name(name) for name in kept if name.endswith("-wal")]
    if step > 1:  # Before that SQLite has closed it, which a power cut would not.
        assert has_wal == any(wal.read_bytes() == b"a WAL" * 100 for wal in wals)


async def test_each_name_is_on_the_disk_before_the_next_one_changes(
    path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut might leave the later change without the earlier one: no database."""
    path.write_bytes(with_damage(whole, pages_of(whole, b"}{0")[20:21]))
    done: list[str] = []
    rename, fsync = Path.rename, os.fsync

    def renamed(self: Path, target: str | Path) -> Path:
        done.append(f"{self.name} to {Path(target).name}")
        return rename(self, target)

    def synced(descriptor: int) -> None:
        assert os.path.samestat(os.fstat(descriptor), path.parent.stat())
        done.append("sync")
        fsync(descriptor)

    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr("ocpp_fast.storage.sqlite.aside.os.fsync", synced)
    async with opened(path) as storage:
        assert storage.set_aside
    assert [name for name in done if "-shm" not in name and "-wal" not in name] == [
        "station.db.unfinished to station.db.saved",
        "sync",
        "station.db to station.db.corrupt-1",
        "sync",
        "station.db.saved to station.db",
        "sync",
    ]


async def test_what_was_saved_comes_in_the_place_of_an_empty_file(path: Path, whole: bytes) -> None:
    path.touch()
    Path(f"{path}.saved").write_bytes(whole)
    async with opened(path) as storage:
        assert await content(storage) == ALL
    assert not Path(f"{path}.saved").exists()


async def test_what_was_saved_is_not_taken_for_a_database_that_is_there(
    path: Path, whole: bytes
) -> None:
    path.write_bytes(whole)
    Path(f"{path}.saved").write_bytes(b"of a replacement that did not come to its end")
    async with opened(path) as storage:
        assert storage.set_aside is None
        assert await content(storage) == ALL
    assert not Path(f"{path}.saved").exists()


# --- a file that is too large to be checked as a whole --------------------------------------------


async def test_a_large_queue_is_not_read_at_the_start(
    path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its damage is found when it is read; that of all other tables at the start."""
    monkeypatch.setattr(file, "_SMALL", 100_000)
    path.write_bytes(with_damage(whole, pages_of(whole, b"}{0")[60:61]))
    async with opened(path) as storage:
        assert storage.set_aside is None
        assert await storage.outbox_load(limit=100) == ROWS[:100]
        with pytest.raises(StorageDamaged):
            await storage.outbox_load(100, 10_000)
        await storage.replace_damaged(ROWS[:100])
        found = await storage.outbox_load(limit=10_000)
        assert 0 < len(lost([*found], [*ROWS])) < 20
    number = 1
    for mark in (b"fact 1 ", b'"7""7"', b"xxxxxxxx", b"ResetOrReboot", b"{}{}{}"):
        for start in pages_of(whole, mark)[:3]:
            path.write_bytes(with_damage(whole, [start]))
            async with opened(path) as storage:
                number += 1
                assert storage.set_aside == f"{path}.corrupt-{number}", mark


async def test_what_cannot_be_replaced_stays(
    path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = with_damage(whole, pages_of(whole, b"}{0")[:1])
    path.write_bytes(damaged)

    def refuse(self: Path, target: str) -> Path:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(StorageError, match="Permission denied"):
            await SqliteStorage(path).open()
    assert path.read_bytes() == damaged
    async with opened(path) as storage:
        assert storage.set_aside


async def test_what_is_between_damaged_ends_is_found_wherever_it_is(path: Path) -> None:
    """Row ids that have come far, and nothing that says how far."""
    rows = [
        OutboxRow(20_000 + number, "tx", "2.1", "X", b"{%05d}" % number * 50)
        for number in range(1_000)
    ]
    async with opened(path) as storage:
        await storage.outbox_append(rows)
    whole = path.read_bytes()
    leaves = pages_of(whole, b"}{0")
    path.write_bytes(with_damage(whole, [leaves[0], leaves[-1]]))
    async with opened(path) as storage:
        assert storage.set_aside
        assert 0 < len(lost([*await storage.outbox_load(limit=10_000)], [*rows])) < 50
