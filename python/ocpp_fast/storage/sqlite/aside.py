"""Renaming database files: a damaged one out of the way, the one with what was saved in its place.

Whenever the power goes, there is either the old database or the new one: the new one is complete
and on the disk, under a name of its own, before the old one is renamed.
"""

import os
from itertools import count
from os.path import realpath
from pathlib import Path

# What SQLite keeps beside a database named `x`; the database itself is first, since what is left
# beside no database is recognised (`is_left_alone`) if the process ends between two renames.
_PARTS = ("", "-wal", "-journal", "-shm")


def unfinished(path: str) -> str:
    """Where a database is written to that is not complete yet. What stood there is gone."""
    name = f"{realpath(path)}.unfinished"
    for part in _PARTS:
        Path(name + part).unlink(missing_ok=True)
    return name


def exchange(path: str) -> str:
    """Puts the database that is now complete in the place of a damaged one; where that is now.

    The damaged one may still be open: SQLite then leaves its WAL alone, which it would otherwise
    copy into the damaged file and delete.
    """
    real = realpath(path)
    Path(f"{real}.unfinished").rename(_saved(path))
    _sync_folder(real)
    kept = move_away(path)
    take_saved(path)
    return kept


def take_saved(path: str) -> None:
    """Completes what `exchange` could not, because the process ended."""
    saved, real = _saved(path), Path(realpath(path))
    if not saved.exists():
        return
    if _size(str(real)):
        saved.unlink()  # The damaged one is there still, and all that is here is from it.
    else:
        saved.rename(real)
    _sync_folder(str(real))


def whichever_is_there(path: str) -> str:
    """The database, or the one that could not be put in its place yet."""
    saved = _saved(path)
    return str(saved) if saved.exists() and not _size(realpath(path)) else path


def is_left_alone(path: str) -> bool:
    """Whether a WAL with something in it has lost its database. SQLite would delete it."""
    real = realpath(path)
    return not _size(real) and _size(f"{real}-wal") > 0


def has_wal(path: str) -> bool:
    """Whether some of the database is beside it, in its WAL."""
    return _size(f"{realpath(path)}-wal") > 0


def move_away(path: str) -> str:
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
    _sync_folder(real)
    return kept


def _saved(path: str) -> Path:
    """Where a complete database waits for the place of the damaged one."""
    return Path(f"{realpath(path)}.saved")


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0


def _sync_folder(path: str) -> None:
    folder = os.open(Path(path).parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
