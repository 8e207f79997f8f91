"""Files that are whole or not there: what is written survives a power cut at any moment.

A file is written beside its place under a temporary name, forced to the disk, and renamed; then the
folder is forced to the disk, which makes the renaming last. Every function leaves the old state or
the new one, whenever the power is cut or whatever step fails, and raises `OSError` as it comes.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from ocpp_fast.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["disk_errors", "is_temporary", "make_folder", "move", "remove", "sweep", "write"]

PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700
_SUFFIX: Final = ".tmp"
_NOT_KNOWN: Final = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}


@contextmanager
def disk_errors(path: Path, operation: str) -> Generator[None, None, None]:
    """Turns an `OSError` into a `StorageError` that names path and operation."""
    try:
        yield
    except OSError as error:
        raise StorageError(str(path), operation, str(error)) from error


def make_folder(path: Path) -> None:
    """The folder and those above it, where they are missing, for this user alone (0700)."""
    if path.is_dir():
        return
    make_folder(path.parent)
    with suppress(FileExistsError):
        path.mkdir(PRIVATE_FOLDER)
    _sync(path.parent)


def write(path: Path, data: bytes) -> None:
    """The file holds these bytes, for this user alone (0600, from before the first byte)."""
    temporary = path.with_name(f".{path.name}{_SUFFIX}")
    with suppress(FileNotFoundError):
        temporary.unlink()  # left by a power cut
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    handle = os.open(temporary, flags, PRIVATE_FILE)
    try:
        try:
            _write_all(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync(path.parent)


def move(source: Path, target: Path) -> None:
    """Renames within one folder; what was at the target is gone."""
    source.replace(target)
    _sync(target.parent)


def remove(path: Path) -> None:
    """The file is gone; no effect if it was already."""
    with suppress(FileNotFoundError):
        path.unlink()
        _sync(path.parent)


def sweep(folder: Path) -> None:
    """Removes what power cuts have left; never fails."""
    with suppress(OSError), os.scandir(folder) as entries:
        left = [folder / entry.name for entry in entries if is_temporary(entry.name)]
        for path in left:
            with suppress(OSError):
                path.unlink()


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one that `write` did not finish."""
    return name.startswith(".") and name.endswith(_SUFFIX)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems have no such thing; there is nothing more that could be done.
        if error.errno not in _NOT_KNOWN:
            raise
    finally:
        os.close(handle)
