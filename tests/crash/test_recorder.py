"""The recorder sees everything that real processes do, and what it sees can be rebuilt."""

from __future__ import annotations

import sqlite3
import textwrap
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from crash.disk import Disk, Fate, found, write
from crash.recording import Kind, Op, mark, record, words

Run = Callable[..., list[Op]]


@pytest.fixture
def run(library: Path, memory: Path) -> Run:
    """Runs a script in the folder `state`, whose path is its first argument."""

    def run(script: str, *arguments: str) -> list[Op]:
        state = memory / "state"
        code = textwrap.dedent(script)
        return record(["-c", code, str(state), *arguments], library, state, memory / "log")

    return run


def rebuilt(ops: Sequence[Op], fate: Fate = Fate.KEPT) -> dict[str, bytes | None]:
    disk = Disk()
    for op in ops:
        disk.apply(op)
    return dict(disk.image(fate, Random(0)))


def test_every_way_to_change_a_file_is_seen(run: Run, memory: Path) -> None:
    ops = run(
        """
        import os, sys
        root = sys.argv[1]
        os.chdir(root)
        a = os.open("a", os.O_RDWR | os.O_CREAT)
        os.write(a, b"0123456789")
        os.pwrite(a, b"xy", 3)
        os.lseek(a, 8, os.SEEK_SET)
        os.writev(a, [b"AB", b"", b"CD"])
        os.pwritev(a, [b"u", b"v"], 0)
        os.ftruncate(a, 11)
        os.fdatasync(a)
        again = os.dup(a)
        os.write(again, b"end")
        os.fsync(again)
        with open(f"{root}/b", "ab") as b:
            b.write(b"one")
        with open("b", "a") as b:
            b.write("two")
        with open("c", "w") as c:
            c.write("long")
        with open("c", "w") as c:
            c.write("x")
        os.mkdir("f")
        folder = os.open("f", os.O_RDONLY)
        d = os.open("d", os.O_WRONLY | os.O_CREAT, dir_fd=folder)
        os.write(d, b"d")
        os.rename("d", "e", src_dir_fd=folder, dst_dir_fd=folder)
        os.replace("f/e", f"{root}/../state/./g")
        os.write(d, b"after")
        os.fsync(folder)
        os.mkdir("h", dir_fd=folder)
        os.rmdir("f/h")
        open("i", "w").close()
        os.remove("i")
        os.unlink("b", dir_fd=os.open(root, os.O_RDONLY))
        # Nothing of this is ours.
        open(f"{root}.other", "w").write("x")
        os.write(1, b"x")
        """
    )
    state = found(memory / "state")
    assert state == {"a": b"uv2xy567ABC\0end", "c": b"x", "f": None, "g": b"dafter"}
    assert rebuilt(ops) == state
    syncs = [op.path for op in ops if op.is_durable]
    assert syncs == ["a", "a", "f"]


def test_threads_are_put_in_one_order(run: Run, memory: Path) -> None:
    ops = run(
        """
        import os, sys, threading
        handle = os.open(sys.argv[1] + "/a", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        def work(number):
            for turn in range(200):
                os.write(handle, b"%d:%d\\n" % (number, turn))
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for each in threads: each.start()
        for each in threads: each.join()
        """
    )
    assert len([op for op in ops if op.kind is Kind.WRITE]) == 800
    assert rebuilt(ops) == found(memory / "state")


@pytest.mark.parametrize(
    "script",
    [
        "import mmap; m = mmap.mmap(os.open('a', os.O_RDWR), 4)",
        "os.link('a', 'c')",
        "os.symlink('a', 'c')",
        "os.truncate('a', 1)",
        "os.posix_fallocate(os.open('a', os.O_RDWR), 0, 100)",
        "os.sendfile(os.open('a', os.O_RDWR), os.open(sys.executable, os.O_RDONLY), 0, 10)",
        "os.copy_file_range(os.open('b', os.O_RDONLY), os.open('a', os.O_RDWR), 4)",
        "os.rename('a', '../a')",
        "os.open('.', os.O_TMPFILE | os.O_RDWR)",
    ],
)
def test_what_cannot_be_rebuilt_is_not_passed_over(run: Run, script: str) -> None:
    with pytest.raises(ValueError, match=r"nothing that can be rebuilt|moved into or out"):
        run(
            f"""
            import os, sys
            os.chdir(sys.argv[1])
            for name in "ab":
                with open(name, "wb") as file:
                    file.write(b"1234")
            {script}
            """
        )


def test_marks_stand_where_they_were_made(run: Run) -> None:
    ops = run(
        """
        import sys
        from crash.recording import mark
        mark("first")
        open(sys.argv[1] + "/a", "w").close()
        mark("second", number=1, text="ü")
        """
    )
    assert [op.kind for op in ops] == [Kind.MARK, Kind.OPEN, Kind.MARK]
    assert words(ops[2]) == {"is": "second", "number": 1, "text": "ü"}


def test_a_process_that_is_not_recorded_makes_no_marks() -> None:
    mark("nobody listens")


# --- SQLite ---------------------------------------------------------------------------------------

WRITES = """
import sqlite3, sys
from crash.recording import mark
root, synchronous, journal = sys.argv[1:]
connection = sqlite3.connect(root + "/x.db", isolation_level=None)
connection.execute(f"PRAGMA journal_mode = {journal}")
connection.execute(f"PRAGMA synchronous = {synchronous}")
connection.execute("PRAGMA wal_autocheckpoint = 8")
connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, text)")
mark("made")
for number in range(1, 40):
    connection.execute("INSERT INTO t VALUES (?, ?)", (number, "x" * (number * 377 % 3000)))
    mark("stored", number=number)
connection.close()
"""


def lost(ops: Sequence[Op], folder: Path, seed: int) -> list[str]:
    """What is wrong after power cuts, at every write and sync."""
    disk, chance, stored, made, wrong = Disk(), Random(seed), 0, False, list[str]()
    for number, op in enumerate(ops):
        disk.apply(op)
        if op.kind is Kind.MARK:
            made = True
            stored = words(op).get("number", 0)
            continue
        for fate in Fate:
            place = folder / f"{number}-{fate}"
            write(disk.image(fate, chance), place)
            with closing(sqlite3.connect(place / "x.db")) as connection:
                try:
                    (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
                    rows = (
                        connection.execute("SELECT n FROM t ORDER BY n").fetchall() if made else []
                    )
                except sqlite3.Error as error:
                    verdict, rows = str(error), []
            numbers = [row[0] for row in rows]
            if verdict != "ok":
                wrong.append(f"{place.name}: {verdict}")
            elif numbers not in ([*range(1, stored + 1)], [*range(1, stored + 2)]):
                wrong.append(f"{place.name}: {stored} were stored, {len(numbers)} are there")
    return wrong


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_what_sqlite_says_is_stored_survives(run: Run, memory: Path, journal: str) -> None:
    """With the settings of the storage, and a rollback journal that is removed for good (EXTRA)."""
    ops = run(WRITES, "FULL" if journal == "WAL" else "EXTRA", journal)
    assert rebuilt(ops) == found(memory / "state")
    assert lost(ops, memory, 1) == []


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_what_is_not_synced_is_seen_to_be_lost(run: Run, memory: Path, synchronous: str) -> None:
    """The proof that the tools can fail: with OFF the database is damaged or rows are gone; with
    NORMAL, in WAL mode, the last rows are."""
    wrong = lost(run(WRITES, synchronous, "WAL"), memory, 1)
    assert any("were stored" in each for each in wrong)
    assert synchronous == "NORMAL" or any("malformed" in each for each in wrong), wrong
