"""A damaged database file is set aside: kept whole, named, and followed by another one.

What the other one has of it is in test_salvage.py. A file that is merely newer, locked or not to be
written stays where it is (test_sqlite.py).
"""

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from ocpp_fast.errors import StorageError
from ocpp_fast.storage import ComponentRow, OutboxRow
from ocpp_fast.storage.sqlite import SqliteStorage
from unit.storage.damage import PAGE, all_pages, only_in_file, opened, overwrite

ROW = OutboxRow(1, "tx-1", "2.1", "TransactionEvent", b'{"seqNo":0}')
NEXT = OutboxRow(2, "tx-1", "2.1", "TransactionEvent", b'{"seqNo":1}')
COMPONENTS = [ComponentRow("EVSE", "", evse, 0, f"{evse}" * 400) for evse in range(1, 100)]
VALUES = [("EVSE", "", evse, 0, "Power", "", "Actual", "x" * 40, "csms") for evse in range(1, 300)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "station.db"


async def fill(storage: SqliteStorage) -> None:
    await storage.components_store(COMPONENTS)
    await storage.values_store(VALUES)
    await storage.outbox_append([ROW])


async def filled(path: Path) -> bytes:
    """The content of a file with something of everything; without it there is no file."""
    async with opened(path) as storage:
        await fill(storage)
    content = path.read_bytes()
    path.unlink()
    return content


async def is_replaced(path: Path, number: int = 1) -> Path:
    """Opens what is damaged; where it is now."""
    kept = path.with_name(f"{path.name}.corrupt-{number}")
    async with opened(path) as storage:
        assert storage.set_aside == str(kept)
        assert {*await storage.components_load()} <= {*COMPONENTS}
        rows = await storage.outbox_load()
        assert rows in ([], [ROW])
        await storage.components_store(COMPONENTS)
        await storage.outbox_append([NEXT])
    assert path.stat().st_mode & 0o777 == 0o600, "passwords are in it"
    async with opened(path) as storage:
        assert storage.set_aside is None
        assert await storage.components_load() == COMPONENTS
        assert await storage.outbox_load() == [*rows, NEXT]
    return kept


async def test_what_is_no_database_is_set_aside(path: Path) -> None:
    path.write_bytes(b"this is a text file, not a database" * 100)
    kept = await is_replaced(path)
    assert kept.read_bytes() == b"this is a text file, not a database" * 100


async def test_a_few_bytes_are_set_aside(path: Path) -> None:
    path.write_bytes(b"SQLite")
    assert (await is_replaced(path)).read_bytes() == b"SQLite"


async def test_an_empty_file_is_a_new_one(path: Path) -> None:
    path.touch()
    async with opened(path) as storage:
        assert storage.set_aside is None


async def test_a_file_that_was_cut_off_is_set_aside(path: Path) -> None:
    content = await filled(path)
    path.write_bytes(content[: len(content) // 2])
    assert (await is_replaced(path)).read_bytes() == content[: len(content) // 2]


async def test_every_damaged_page_is_found(path: Path) -> None:
    content = await filled(path)
    chance = random.Random(1)
    for number, start in enumerate(range(0, len(content), PAGE), start=1):
        page = chance.choice([bytes(PAGE), b"\xff" * PAGE, chance.randbytes(PAGE)])
        damaged = content[:start] + page + content[start + PAGE :]
        path.write_bytes(damaged)
        async with opened(path) as storage:
            assert storage.set_aside == f"{path}.corrupt-{number}"
        assert Path(f"{path}.corrupt-{number}").read_bytes() == damaged
        path.unlink()


async def test_a_row_that_its_index_does_not_know_is_found(path: Path) -> None:
    """Nothing is wrong with any page here, but the value could not be replaced any more."""
    content = await filled(path)
    place = content.index(b"EVSE", content.index(b"x" * 40) - 20)
    path.write_bytes(content[:place] + b"EVSD" + content[place + 4 :])
    await is_replaced(path)


@pytest.mark.parametrize("place", range(100))
async def test_any_damaged_byte_of_the_header_is_found_or_does_not_matter(
    path: Path, place: int
) -> None:
    content = await filled(path)
    path.write_bytes(content[:place] + bytes([content[place] ^ 0x11]) + content[place + 1 :])
    if place == 18 or 60 <= place < 64:
        # It may not be written, or is of another version: both may be so without any damage.
        with pytest.raises(StorageError):
            await SqliteStorage(path).open()
        assert sorted(each.name for each in path.parent.iterdir()) == [path.name]
        return
    async with opened(path) as storage:
        found = await storage.components_load()
        assert found == COMPONENTS or (storage.set_aside and {*found} < {*COMPONENTS})


async def test_a_text_with_a_turned_bit_can_still_be_read(path: Path) -> None:
    content = await filled(path)
    place = content.index(b"x" * 40)
    path.write_bytes(content[:place] + b"\xf8" + content[place + 1 :])
    async with opened(path) as storage:
        assert storage.set_aside is None
        texts = {row[7] for row in await storage.values_load()}
        assert texts == {"x" * 40, "\ufffd" + "x" * 39}


async def test_the_wal_is_kept_with_its_database(path: Path, tmp_path: Path) -> None:
    """As a process leaves it that was killed."""
    folder = tmp_path / "killed"
    folder.mkdir()
    async with opened(path) as storage:
        await fill(storage)
        # What the WAL has of all pages is as good as the pages: make it less.
        await storage._run("test", "PRAGMA wal_checkpoint(TRUNCATE)")
        await storage.values_store([(*VALUES[0][:7], "new", "csms")])
        for part in ("", "-wal", "-shm"):
            shutil.copy(f"{path}{part}", folder)
    damaged = folder / path.name
    content = b"\xff" * damaged.stat().st_size
    damaged.write_bytes(content)
    wal = (folder / "station.db-wal").read_bytes()
    assert wal
    await is_replaced(damaged)
    assert (folder / "station.db.corrupt-1").read_bytes() == content
    assert (folder / "station.db.corrupt-1-wal").read_bytes() == wal


async def test_a_wal_that_has_lost_its_database_is_kept(path: Path, tmp_path: Path) -> None:
    """SQLite would delete it."""
    async with opened(path) as storage:
        await fill(storage)
        shutil.copy(f"{path}-wal", tmp_path / "kept")
    path.unlink()
    wal = path.with_name("station.db-wal")
    shutil.move(tmp_path / "kept", wal)
    content = wal.read_bytes()
    await is_replaced(path)
    assert path.with_name("station.db.corrupt-1-wal").read_bytes() == content


async def test_nothing_is_overwritten(path: Path) -> None:
    others = [f"{path}.corrupt-1", f"{path}.corrupt-2-wal", f"{path}.corrupt-3-shm"]
    for other in others:
        Path(other).write_text("of an earlier time")
    path.write_bytes(b"no database" * 100)
    await is_replaced(path, 4)
    path.write_bytes(b"no database either" * 100)
    await is_replaced(path, 5)
    assert [Path(other).read_text() for other in others] == ["of an earlier time"] * 3


async def test_behind_a_link_the_database_itself_is_set_aside(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "disk"
    real.mkdir()
    (real / "data.db").write_bytes(b"no database" * 100)
    path.symlink_to(real / "data.db")
    rename = Path.rename

    def renamed(self: Path, target: str | Path) -> Path:
        assert self.parent == Path(target).parent == real, "else it might be another disk"
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", renamed)
    async with opened(path) as storage:
        assert storage.set_aside == str(real / "data.db.corrupt-1")
        await fill(storage)
    assert path.is_symlink()
    async with opened(real / "data.db") as storage:
        assert await storage.outbox_load() == [ROW]


async def test_what_cannot_be_set_aside_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"no database" * 100)

    def refuse(self: Path, target: str) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StorageError, match=r"station\.db: open failed: .*Permission denied"):
        await SqliteStorage(path).open()
    assert path.read_bytes() == b"no database" * 100


async def test_a_newer_file_is_not_damaged_even_if_it_cannot_be_understood(path: Path) -> None:
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.execute("CREATE TABLE later (something)")
    newer.execute("PRAGMA writable_schema = 1")
    newer.execute("UPDATE sqlite_schema SET sql = 'CREATE TABLE later (of a later SQLite !)'")
    newer.commit()
    newer.close()
    content = path.read_bytes()
    with pytest.raises(StorageError, match="its version 99 is newer"):
        await SqliteStorage(path).open()
    assert path.read_bytes() == content


async def test_a_folder_in_its_place_is_not_damaged(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StorageError, match=r"station\.db: open failed: .*[Ii]s a directory"):
        await SqliteStorage(path).open()
    assert path.is_dir()


async def test_damage_that_is_found_later_raises_and_is_set_aside_at_the_next_start(
    path: Path,
) -> None:
    async with opened(path) as storage:
        await fill(storage)
        await only_in_file(storage)
        overwrite(path, all_pages(path, first=1))
        with pytest.raises(StorageError, match="malformed"):
            await storage.components_load()
        with pytest.raises(StorageError, match="malformed"):
            await storage.values_store(VALUES)
    await is_replaced(path)
