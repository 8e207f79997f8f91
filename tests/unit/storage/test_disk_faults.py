"""A disk that is full, read-only or moody: nothing is refused that can be read, and all is well as
soon as the disk is.

The file systems are real where the machine lets one be made (root on Linux), else the same is said
by SQLite's own limits.
"""

import errno
import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ocpp_fast.errors import StorageDamaged, StorageError, StorageFull
from ocpp_fast.storage import OutboxRow
from ocpp_fast.storage.sqlite import SqliteStorage, aside, database, file, migrations
from unit.storage.damage import PAGE, all_pages, only_in_file, opened, overwrite

ROWS = [OutboxRow(n, "tx", "2.1", "TransactionEvent", b'{"n":%d}' % n) for n in range(1, 50)]
NEXT = OutboxRow(100, "tx", "2.1", "TransactionEvent", b"{}")
FACTS = {f"block.{number}": "x" * 100 for number in range(50)}


async def fill(path: Path) -> None:
    async with opened(path) as storage:
        await storage.outbox_append(ROWS, FACTS)


async def kill(path: Path, *, with_index: bool) -> None:
    """Leaves what a process leaves that is killed: the last rows are in the WAL."""
    aside = path.with_name("aside")
    aside.mkdir()
    async with opened(path) as storage:
        await storage.outbox_append(ROWS, FACTS)
        for part in ("", "-wal", "-shm"):
            shutil.copy(f"{path}{part}", aside)
    for part in ("", "-wal") + (("-shm",) if with_index else ()):
        shutil.move(aside / f"{path.name}{part}", f"{path}{part}")
    shutil.rmtree(aside)


def run(*command: str | Path) -> bool:
    """Whether it has worked."""
    program = shutil.which(command[0])
    if program is None:
        return False
    return subprocess.run([program, *command[1:]], check=False, capture_output=True).returncode == 0


class Disk:
    """A file system of 2 MB."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "station.db"

    def make_read_only(self) -> None:
        assert run("mount", "-o", "remount,ro", self.folder)

    def make_writable(self) -> None:
        assert run("mount", "-o", "remount,rw", self.folder)

    def fill_up(self) -> None:
        """To the last byte."""
        with (self.folder / "other").open("wb", buffering=0) as other:
            try:
                while True:
                    other.write(bytes(4_096))
            except OSError as error:
                assert error.errno == errno.ENOSPC

    def make_room(self) -> None:
        (self.folder / "other").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if not run("mount", "-t", "tmpfs", "-o", "size=2m", "ocpp-fast-test", folder):
        pytest.skip("file systems cannot be mounted here")
    yield Disk(folder)
    assert run("umount", "-l", folder)


async def check_reading(storage: SqliteStorage) -> None:
    assert await storage.outbox_load() == ROWS
    assert await storage.state_load() == FACTS
    assert await storage.outbox_last_row_id() == 49


@pytest.mark.parametrize("end", ["closed", "killed", "killed, no index"])
async def test_a_read_only_disk_can_be_read_and_comes_back(disk: Disk, end: str) -> None:
    await (fill(disk.path) if end == "closed" else kill(disk.path, with_index=end == "killed"))
    disk.make_read_only()
    async with opened(disk.path) as storage:
        assert storage.fault
        assert storage.set_aside is None
        await check_reading(storage)
        for _ in range(2):
            with pytest.raises(StorageError, match="outbox_append failed"):
                await storage.outbox_append([NEXT], {"block.0": "new"})
            with pytest.raises(StorageError, match="outbox_append failed"):
                await storage.outbox_append([])
            await check_reading(storage)
        disk.make_writable()
        await storage.outbox_append([NEXT])
        assert storage.fault is None
        assert await storage.outbox_load() == [*ROWS, NEXT]
    async with opened(disk.path) as storage:
        assert storage.fault is None
        assert await storage.outbox_load() == [*ROWS, NEXT]


@pytest.mark.parametrize("end", ["closed", "killed", "killed, no index"])
async def test_a_full_disk_can_be_read_and_comes_back(disk: Disk, end: str) -> None:
    await (fill(disk.path) if end == "closed" else kill(disk.path, with_index=end == "killed"))
    disk.fill_up()
    async with opened(disk.path) as storage:
        assert storage.fault
        await check_reading(storage)
        for _ in range(2):
            with pytest.raises(StorageError, match="outbox_append failed"):
                await storage.outbox_append([NEXT], {"block.0": "new"})
            await check_reading(storage)
        disk.make_room()
        await storage.outbox_append([NEXT])
        assert storage.fault is None
    async with opened(disk.path) as storage:
        assert await storage.outbox_load() == [*ROWS, NEXT]


async def test_a_first_start_on_a_full_disk(disk: Disk) -> None:
    disk.fill_up()
    async with opened(disk.path) as storage:
        assert storage.fault
        assert await storage.outbox_load() == []
        with pytest.raises(StorageError):
            await storage.outbox_append([NEXT])
        disk.make_room()
        await storage.outbox_append([NEXT])
    async with opened(disk.path) as storage:
        assert await storage.outbox_load() == [NEXT]


async def test_what_was_saved_is_read_before_it_is_in_its_place(disk: Disk) -> None:
    """The power failed while a damaged file was replaced, and now the disk is read-only."""
    await fill(disk.path)
    disk.path.rename(f"{disk.path}.saved")
    disk.make_read_only()
    async with opened(disk.path) as storage:
        assert storage.fault
        await check_reading(storage)
        disk.make_writable()
        await storage.outbox_append([NEXT])
        assert await storage.outbox_load() == [*ROWS, NEXT]
    assert not Path(f"{disk.path}.saved").exists()


async def test_what_was_saved_is_not_read_instead_of_a_database_that_is_there(disk: Disk) -> None:
    await fill(disk.path)
    Path(f"{disk.path}.saved").write_bytes(b"of a replacement that did not come to its end")
    disk.make_read_only()
    async with opened(disk.path) as storage:
        assert storage.fault
        await check_reading(storage)


async def test_an_older_file_on_a_full_disk(disk: Disk) -> None:
    old = sqlite3.connect(disk.path, isolation_level=None)
    for number, script in migrations()[:3]:
        old.executescript(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT;")
    for row in ROWS:
        values = (row.row_id, row.lane, row.version, row.action, row.payload)
        old.execute("INSERT INTO outbox VALUES (?,?,?,?,?,0,0,0,0,NULL)", values)
    old.close()
    disk.fill_up()
    async with opened(disk.path) as storage:
        assert storage.fault
        assert await storage.outbox_load() == ROWS
        disk.make_room()
        await storage.outbox_append([NEXT])
        assert await storage.outbox_load() == [*ROWS, NEXT]


async def test_a_damaged_file_on_a_full_disk_is_replaced_when_there_is_room(disk: Disk) -> None:
    await fill(disk.path)
    overwrite(disk.path, [disk.path.read_bytes().index(b"x" * 100) // PAGE * PAGE])
    content = disk.path.read_bytes()
    disk.fill_up()
    async with opened(disk.path) as storage:
        assert storage.fault
        assert storage.set_aside is None
        assert await storage.outbox_load() == ROWS
        disk.make_room()
        await storage.outbox_append([NEXT])
        assert storage.set_aside == f"{disk.path}.corrupt-1"
        assert await storage.outbox_load() == [*ROWS, NEXT]
    assert Path(f"{disk.path}.corrupt-1").read_bytes() == content


async def test_a_disk_that_becomes_full_while_it_runs(disk: Disk) -> None:
    async with opened(disk.path) as storage:
        await storage.outbox_append(ROWS, FACTS)
        disk.fill_up()
        big = OutboxRow(200, "tx", "2.1", "TransactionEvent", b"x" * 100_000)
        with pytest.raises(StorageFull, match=r"station\.db: outbox_append failed: .*full"):
            await storage.outbox_append([big], {"block.0": "new"})
        await check_reading(storage)
        disk.make_room()
        await storage.outbox_append([big], {"block.0": "new"})
        assert len(await storage.outbox_load()) == 50
    async with opened(disk.path) as storage:
        assert storage.fault is None
        assert (await storage.state_load())["block.0"] == "new"


async def test_damage_on_a_disk_that_is_full_is_replaced_later(disk: Disk) -> None:
    async with opened(disk.path) as storage:
        await storage.outbox_append(ROWS, FACTS)
        await only_in_file(storage)
        overwrite(disk.path, all_pages(disk.path, first=1))
        disk.fill_up()
        with pytest.raises(StorageDamaged):
            await storage.outbox_load()
        for _ in range(2):
            with pytest.raises(StorageError, match=r"replace_damaged failed: .*(full|space)"):
                await storage.replace_damaged(ROWS)
        assert storage.set_aside is None
        disk.make_room()
        await storage.replace_damaged(ROWS)
        assert storage.set_aside
        await check_reading(storage)
        await storage.outbox_append([NEXT])


# --- where no file system can be made -----------------------------------------------------------


@contextmanager
def no_file_beyond(size: int) -> Generator[None]:
    """Writing further than that into any file fails."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


async def test_a_write_that_fails_is_undone_and_can_be_repeated(tmp_path: Path) -> None:
    """SQLite calls it an I/O error."""
    path = tmp_path / "station.db"
    async with opened(path) as storage:
        await storage.outbox_append(ROWS[:1], {"block.0": "old"})
        big = OutboxRow(200, "tx", "2.1", "TransactionEvent", b"x" * 2_000_000)
        with no_file_beyond(1_000_000):
            with pytest.raises(StorageError, match=r"outbox_append failed: disk I/O error") as info:
                await storage.outbox_append([big], {"block.0": "new"})
            assert type(info.value) is StorageError
            await storage.outbox_append(ROWS[1:2], {"block.1": "1"})
        assert await storage.outbox_load() == ROWS[:2]
        await storage.outbox_append([big], {"block.0": "new"})
    async with opened(path) as storage:
        assert await storage.state_load() == {"block.0": "new", "block.1": "1"}
        assert [row.row_id for row in await storage.outbox_load()] == [1, 2, 200]


async def test_a_disk_that_has_no_room_to_bring_a_file_up_to_date(tmp_path: Path) -> None:
    """But for all else that a start writes."""
    path = tmp_path / "station.db"
    old = sqlite3.connect(path, isolation_level=None)
    old.execute("PRAGMA journal_mode = WAL")
    for number, script in migrations()[:3]:
        old.executescript(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT;")
    old.execute("BEGIN")
    for number in range(1, 101):
        values = (number, "tx", "2.1", "TransactionEvent", b"x" * 1_000)
        old.execute("INSERT INTO outbox VALUES (?,?,?,?,?,0,0,0,0,'no')", values)
    old.execute("COMMIT")
    old.close()
    with no_file_beyond(50_000):
        storage = SqliteStorage(path)
        await storage.open()
        assert storage.fault
        assert len(await storage.outbox_dead_letters()) == 100
        with pytest.raises(StorageError):
            await storage.outbox_append([NEXT])
    await storage.outbox_append([NEXT])
    assert storage.fault is None
    assert len(await storage.outbox_dead_letters()) == 100
    assert await storage.outbox_load() == [NEXT]
    await storage.close()


async def test_whether_it_can_be_written_is_found_out_by_writing(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    async with opened(path) as storage:
        await storage.outbox_append(ROWS)
        size = Path(f"{path}-wal").stat().st_size
        with no_file_beyond(size), pytest.raises(StorageError, match="outbox_append failed"):
            await storage.outbox_append([])
        await storage.outbox_append([])
        assert await storage.outbox_load() == ROWS


def fail(connection: sqlite3.Connection) -> None:
    """What a bad sector does to the check of a file."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
    raise error


async def test_an_io_error_at_the_start_is_no_reason_not_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "station.db"
    await fill(path)
    with monkeypatch.context() as patch:
        patch.setattr(file, "_check", fail)
        async with opened(path) as storage:
            assert storage.fault == "disk I/O error"
            await check_reading(storage)
            with pytest.raises(StorageError, match="disk I/O error"):
                await storage.outbox_append([NEXT])
            await check_reading(storage)
            patch.undo()
            await storage.outbox_append([NEXT])
            assert storage.fault is None
    assert sorted(each.name for each in tmp_path.iterdir()) == ["station.db"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
async def test_what_the_file_system_says_about_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """At the start it is no reason not to read; later it has a name of its own if it is full."""
    path = tmp_path / "station.db"
    await fill(path)

    def fails(*_: object) -> None:
        raise OSError(code, "moody")

    with monkeypatch.context() as patch:
        patch.setattr(aside, "take_saved", fails)
        storage = SqliteStorage(path)
        await storage.open()
        assert storage.fault == f"[Errno {code}] moody"
        await check_reading(storage)
    await storage.outbox_append([NEXT])
    with monkeypatch.context() as patch:
        patch.setattr(aside, "exchange", fails)
        with pytest.raises(StorageError, match=r"replace_damaged failed: .* moody") as info:
            await storage.replace_damaged()
        is_full = code in (errno.ENOSPC, errno.EDQUOT)
        assert type(info.value) is (StorageFull if is_full else StorageError)
    assert await storage.outbox_load() == [*ROWS, NEXT]
    await storage.close()


def refuse(path: str) -> file.Opened:
    raise StorageError(path, "open", "not now")


async def test_what_cannot_be_opened_again_is_not_taken_for_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk had a fault at the start; now it is another process that has the file."""
    path = tmp_path / "station.db"
    await fill(path)
    with monkeypatch.context() as patch:
        patch.setattr(file, "_check", fail)
        storage = SqliteStorage(path)
        await storage.open()
    await check_reading(storage)
    with monkeypatch.context() as patch:
        patch.setattr(database, "open_file", refuse)
        for _ in range(2):
            with pytest.raises(StorageError, match="outbox_append failed: not now"):
                await storage.outbox_append([NEXT])
            with pytest.raises(StorageError, match="outbox_load failed: not now"):
                await storage.outbox_load()
    await storage.outbox_append([NEXT])
    assert storage.fault is None
    assert await storage.outbox_load() == [*ROWS, NEXT]
    await storage.close()


async def test_what_was_replaced_and_cannot_be_opened_is_not_taken_for_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "station.db"
    await fill(path)
    async with opened(path) as storage:
        await only_in_file(storage)
        overwrite(path, all_pages(path, first=1))
        with monkeypatch.context() as patch:
            for module in (file, database):
                patch.setattr(module, "open_file", refuse)
            await storage.replace_damaged(ROWS, FACTS)
            assert storage.fault == "not now"
            for verb in (storage.outbox_load(), storage.outbox_append([NEXT])):
                with pytest.raises(StorageError, match="not now"):
                    await verb
        await storage.outbox_append([NEXT])
        assert storage.fault is None
        assert storage.set_aside == f"{path}.corrupt-1"
        assert await storage.outbox_load() == [*ROWS, NEXT]
        assert await storage.state_load() == FACTS


async def test_who_may_not_write_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    await fill(path)
    content = bytearray(path.read_bytes())
    content[18] = 9  # the version of those who may write, as far as SQLite is concerned
    path.write_bytes(content)
    with pytest.raises(StorageError, match="readonly"):
        await SqliteStorage(path).open()
    if os.geteuid() != 0:
        path.chmod(0o400)
        with pytest.raises(StorageError):
            await SqliteStorage(path).open()
