"""A disk that loses what was not synced: what a power cut may leave of a folder.

The rules are those that a program can rely on, no more:

- what was written to a file lasts from the end of the next fsync or fdatasync of that file; before,
  each sector of 512 bytes is as it was after any of the writes that have touched it, or after none,
  whatever became of the others; so is the size of the file;
- what was done to names (made, renamed, removed) lasts from the end of the next fsync of their
  folder; before, each such change has happened or not, a renaming as a whole.

A file system may do better (ext4 keeps the order of names), but none has to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from random import Random

from crash.recording import Did, Kind, Op

SECTOR = 512

Image = Mapping[str, bytes | None]
"""The content of each file by its path; None is a folder."""


class Fate(StrEnum):
    """What becomes of that which was not synced."""

    KEPT = "kept"
    """Everything is there: only the process has died."""
    DROPPED = "dropped"
    """Nothing is."""
    REORDERED = "reordered"
    """Some writes and some changes of names are there, whatever their order."""
    TORN = "torn"
    """Of each write, some sectors."""


@dataclass(slots=True)
class _Change:
    """One write, or one change of the size."""

    offset: int
    data: bytes | None
    """None: the file was cut to, or filled up with zeros until, `offset`."""

    def size_after(self, before: int) -> int:
        """Of the file."""
        return self.offset if self.data is None else max(before, self.offset + len(self.data))

    def touches(self, size: int) -> range:
        """The numbers of the sectors that it changes in a file of that size."""
        end = size if self.data is None else self.offset + len(self.data)
        return range(self.offset // SECTOR, -(-end // SECTOR))

    def write(self, content: bytearray, start: int, end: int) -> None:
        """What it does to a range of the content."""
        start = max(start, self.offset)
        if self.data is None:
            content[start:end] = bytes(max(0, end - start))
        else:
            end = min(end, self.offset + len(self.data))
            content[start:end] = self.data[start - self.offset : end - self.offset]


@dataclass(slots=True)
class File:
    """One file, whatever its name."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[_Change] = field(default_factory=list[_Change])

    def sync(self) -> None:
        """All that was written lasts."""
        for change in self.pending:
            size = change.size_after(len(self.durable))
            self.durable.extend(bytes(max(0, size - len(self.durable))))
            change.write(self.durable, 0, len(self.durable))
            del self.durable[size:]
        self.pending.clear()

    def left(self, fate: Fate, chance: Random) -> bytes:
        """What a power cut leaves of it."""
        if fate is Fate.KEPT:
            kept = File(bytearray(self.durable), [*self.pending])
            kept.sync()
            return bytes(kept.durable)
        if fate is Fate.DROPPED or not self.pending:
            return bytes(self.durable)
        sizes = [len(self.durable)]
        for change in self.pending:
            sizes.append(change.size_after(sizes[-1]))
        content = bytearray(self.durable)
        content.extend(bytes(max(sizes) - len(content)))
        for sector, changes in self._reached(fate, chance, len(content)).items():
            for change in changes:
                change.write(content, sector * SECTOR, (sector + 1) * SECTOR)
        size = chance.choice(sizes)
        return bytes(content[:size])

    def _reached(self, fate: Fate, chance: Random, size: int) -> dict[int, list[_Change]]:
        """The changes that have reached each sector: one that was written was written with all that
        had been done to it until then."""
        flushed = [chance.random() < 0.5 for _ in self.pending]
        touching: dict[int, list[int]] = {}
        for number, change in enumerate(self.pending):
            for sector in change.touches(size):
                touching.setdefault(sector, []).append(number)
        reached: dict[int, list[_Change]] = {}
        for sector, numbers in touching.items():
            if fate is Fate.TORN:
                count = chance.randrange(len(numbers) + 1)
            else:
                count = max((place + 1 for place, n in enumerate(numbers) if flushed[n]), default=0)
            reached[sector] = [self.pending[number] for number in numbers[:count]]
        return reached


@dataclass(slots=True)
class _Naming:
    """One change of names: these paths are gone, and this one is there."""

    gone: str | None = None
    there: str | None = None
    what: File | None = None
    """None: a folder."""

    @property
    def folder(self) -> str:
        """Where it has to be synced."""
        return _folder(self.there if self.there is not None else self.gone or "")

    def do(self, names: dict[str, File | None]) -> None:
        if self.gone is not None:
            names.pop(self.gone, None)
        if self.there is not None:
            names[self.there] = self.what


def _folder(path: str) -> str:
    parent = str(PurePosixPath(path).parent)
    return "" if parent == "." else parent


class Disk:
    """The folder, empty at first, while what was recorded happens to it."""

    def __init__(self) -> None:
        self._durable: dict[str, File | None] = {}
        self._pending: list[_Naming] = []
        self._names: dict[str, File | None] = {}
        self._files: dict[int, File] = {}

    def apply(self, op: Op) -> None:
        """One record."""
        match op.kind:
            case Kind.OPEN:
                self._open(op)
            case Kind.WRITE:
                self._file(op).pending.append(_Change(op.offset, op.data))
            case Kind.TRUNCATE:
                self._file(op).pending.append(_Change(op.offset, None))
            case Kind.SYNC:
                self._file(op).sync()
            case Kind.SYNC_FOLDER:
                self._sync_folder(op.path)
            case Kind.RENAME:
                self._rename(op.path, op.to)
            case Kind.UNLINK:
                self._name(_Naming(gone=op.path))
            case Kind.MKDIR:
                self._name(_Naming(there=op.path))
            case Kind.MARK:
                pass
            case Kind.UNKNOWN:
                raise ValueError(op)

    def settle(self) -> None:
        """All that there is lasts: the power is cut long after."""
        for file in self._names.values():
            if file is not None:
                file.sync()
        self._durable = dict(self._names)
        self._pending.clear()

    def image(self, fate: Fate, chance: Random, below: str = "") -> Image:
        """What a power cut leaves now, of a folder."""
        names = dict(self._durable)
        for naming in self._pending:
            if fate is Fate.KEPT or (fate is not Fate.DROPPED and chance.random() < 0.5):
                naming.do(names)
        prefix = below and below + "/"
        return {
            path.removeprefix(prefix): None if file is None else file.left(fate, chance)
            for path, file in sorted(names.items())
            if path.startswith(prefix) and _is_reachable(path, names)
        }

    def is_settled(self, below: str = "") -> bool:
        """Whether a power cut would change nothing in a folder, whatever its luck."""
        return not any(
            file is not None and file.pending and path.startswith(below)
            for path, file in self._names.items()
        ) and not any((n.there or n.gone or "").startswith(below) for n in self._pending)

    def _open(self, op: Op) -> None:
        if Did.CREATED in op.did:
            file = self._files[op.file] = File()
            self._name(_Naming(there=op.path, what=file))
        elif Did.TRUNCATED in op.did:
            self._file(op).pending.append(_Change(0, None))

    def _file(self, op: Op) -> File:
        return self._files[op.file]

    def _rename(self, path: str, to: str) -> None:
        moved = [name for name in self._names if name == path or name.startswith(path + "/")]
        for name in moved:
            self._name(_Naming(name, to + name[len(path) :], self._names[name]))

    def _name(self, naming: _Naming) -> None:
        naming.do(self._names)
        self._pending.append(naming)

    def _sync_folder(self, path: str) -> None:
        left: list[_Naming] = []
        for naming in self._pending:
            if naming.folder == path:
                naming.do(self._durable)
            else:
                left.append(naming)
        self._pending = left


def _is_reachable(path: str, names: Mapping[str, File | None]) -> bool:
    """Whether the folders above it are there."""
    folder = _folder(path)
    return folder == "" or (folder in names and _is_reachable(folder, names))


def write(image: Image, folder: Path) -> None:
    """Makes the folder with what is in the image, and nothing else."""
    folder.mkdir()
    for path, content in image.items():
        if content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)


def found(folder: Path) -> dict[str, bytes | None]:
    """What is in a folder now, as an image; without SQLite's shared memory."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if not path.name.endswith("-shm")
    }
