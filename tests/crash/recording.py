"""What a process did to the files under one folder, as `recorder.c` has written it down."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ctypes import CDLL, c_char_p, c_size_t
from dataclasses import dataclass
from enum import IntFlag, StrEnum
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SOURCE = Path(__file__).with_name("recorder.c")
_HEADER = struct.Struct("=BBHIQq")
_ROOT, _LOG = "OCPP_FAST_RECORD_ROOT", "OCPP_FAST_RECORD_LOG"


class Kind(StrEnum):
    """What was done."""

    OPEN = "O"
    WRITE = "W"
    TRUNCATE = "T"
    SYNC = "S"
    SYNC_FOLDER = "D"
    RENAME = "R"
    UNLINK = "U"
    MKDIR = "K"
    MARK = "M"
    UNKNOWN = "?"


class Did(IntFlag):
    """What an OPEN has done to its file."""

    NOTHING = 0
    CREATED = 1
    TRUNCATED = 2


@dataclass(frozen=True, slots=True)
class Op:
    """One record."""

    kind: Kind
    path: str
    """Below the root; the root itself is empty."""
    data: bytes = b""
    """What was written; the words of a mark, and of what is not known."""
    offset: int = 0
    """Where it was written; the size that a TRUNCATE leaves."""
    file: int = 0
    """The inode."""
    did: Did = Did.NOTHING
    to: str = ""
    """The new path of a RENAME."""

    @property
    def is_durable(self) -> bool:
        """Whether it makes something last."""
        return self.kind in {Kind.SYNC, Kind.SYNC_FOLDER}


class Unavailable(Exception):
    """Nothing can be recorded here, and why."""


def build(folder: Path) -> Path:
    """The library, compiled; raises `Unavailable` where there is no compiler, no Linux."""
    if sys.platform != "linux":
        raise Unavailable(f"LD_PRELOAD means nothing on {sys.platform}")
    compiler = shutil.which("cc")
    if compiler is None:
        raise Unavailable("there is no C compiler")
    library = folder / "recorder.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE)]
    done = subprocess.run(
        [*command, "-ldl", "-lpthread"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(f"{SOURCE.name} does not compile:\n{done.stderr}")
    return library


@contextmanager
def room() -> Generator[Path]:
    """A folder of our own, in memory if the machine has such a thing."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    place = memory if os.access(memory, os.W_OK) else None
    with TemporaryDirectory(prefix="ocpp-fast-", dir=place) as folder:
        yield Path(folder)


def environment(library: Path, root: Path, log: Path) -> dict[str, str]:
    """Of a process that is to be recorded; `root` and `log` exist not or are empty."""
    preloaded = f"{library} {os.environ.get('LD_PRELOAD', '')}".strip()
    return {
        **os.environ,
        "LD_PRELOAD": preloaded,
        _ROOT: str(root.resolve()),
        _LOG: str(log.resolve()),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
    }


def record(arguments: Sequence[str], library: Path, root: Path, log: Path) -> list[Op]:
    """Runs Python with these arguments, and says what it has done below `root`."""
    root.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment(library, root, log),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        raise AssertionError(f"{arguments} ended with {done.returncode}:\n{done.stderr[-4_000:]}")
    return list(read(log, root))


def read(log: Path, root: Path) -> Iterator[Op]:
    """The records of a log, in their order. Raises `ValueError` for a change that nobody knows how
    to model, since what is rebuilt without it would be wrong."""
    whole = str(root.resolve())

    def inside(path: bytes) -> str:
        text = os.fsdecode(path)
        if text != whole and not text.startswith(whole + "/"):
            raise ValueError(f"something was moved into or out of the folder: {text!r}")
        return text[len(whole) + 1 :]

    content, at = log.read_bytes(), 0
    while at < len(content):
        number, did, path_size, data_size, file, offset = _HEADER.unpack_from(content, at)
        at += _HEADER.size
        path, data = content[at : at + path_size], content[at + path_size :][:data_size]
        at += path_size + data_size
        kind = Kind(chr(number))
        if kind is Kind.UNKNOWN:
            raise ValueError(f"{data.decode()} of {path!r} is nothing that can be rebuilt")
        if kind is Kind.MARK:
            yield Op(kind, "", data)
        elif kind is Kind.RENAME:
            yield Op(kind, inside(path), to=inside(data))
        else:
            yield Op(kind, inside(path), data, offset, file, Did(did))


# --- in the process that is recorded --------------------------------------------------------------


@cache
def _library() -> CDLL | None:
    if _LOG not in os.environ:
        return None
    library = CDLL(None)
    library.ocpp_fast_mark.argtypes = (c_char_p, c_size_t)
    library.ocpp_fast_mark.restype = None
    return library


def mark(kind: str, **fields: Any) -> None:
    """Puts a mark between the records; nothing happens in a process that is not recorded."""
    library = _library()
    if library is not None:
        data = json.dumps({"is": kind, **fields}).encode()
        library.ocpp_fast_mark(data, len(data))


def words(op: Op) -> Mapping[str, Any]:
    """What a mark says."""
    return json.loads(op.data)
