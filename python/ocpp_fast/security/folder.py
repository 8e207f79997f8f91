"""Folders of certificates that anyone may change at any time: what is in them now."""

from __future__ import annotations

import logging
import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from ocpp_fast.security.certificates import PEM_MARK, read_file
from ocpp_fast.security.keys import key_id_of

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

__all__ = ["REPLACES", "Folder", "ReadFile"]

_log = logging.getLogger(__name__)

REPLACES: Final = "# replaces "
"""What begins a line before a certificate that names, by fingerprint, one that it replaces."""
_REPLACES: Final = re.compile(rb"^# replaces ([0-9a-f]{64})\s*$", re.MULTILINE)
_CERTIFICATES: Final = (".pem", ".crt", ".cer", ".der")
_KEY: Final = ".key"
_MAX_BYTES: Final = 4_194_304
"""Of one file; the bundles of operating systems have a quarter of a megabyte."""
_OTHERS_MAY_READ: Final = 0o077
_NO_CERTIFICATE: Final = "no certificate in it"

_Stamp: TypeAlias = "tuple[int, int, int, int]"


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file and what could be read of it."""

    path: Path
    stamp: _Stamp
    certificates: tuple[x509.Certificate, ...] = ()
    """In the order of the file."""
    whole: bool = True
    """Whether everything in it could be read."""
    pem: bool = False
    key_id: str | None = field(default=None, repr=False)
    """The id of the private key in it."""
    replaces: frozenset[str] = frozenset()
    """Fingerprints of certificates that those in this file replace."""


class Folder:
    """One folder. Files that have not changed are not read again; hidden ones never."""

    def __init__(self, path: Path, *, keys: bool = False) -> None:
        """`keys`: files with the ending `.key`, and private keys beside certificates, are read."""
        self.path = path
        self._keys = keys
        self._files: dict[str, ReadFile] = {}
        self._complaint: str | None = None

    @property
    def files(self) -> tuple[ReadFile, ...]:
        """As of the last `refresh`, in the order of their names."""
        return tuple(self._files[name] for name in sorted(self._files))

    def refresh(self) -> bool:
        """Looks for changes, which costs one look at each file; whether there was any.

        A file that cannot be read is logged once for each of its changes and holds what could be
        read. A folder that is not there is empty.
        """
        stamps = self._stamps()
        if stamps is None:
            return False
        changed = False
        for name in [name for name in self._files if name not in stamps]:
            del self._files[name]
            changed = True
        for name, stamp in stamps.items():
            known = self._files.get(name)
            if known is None or known.stamp != stamp:
                self._files[name] = self._read(name, stamp)
                changed = True
        return changed

    def _stamps(self) -> dict[str, _Stamp] | None:
        """What the files look like from outside; None when it cannot be told, so that a disk that
        fails for a moment takes no certificate away."""
        suffixes = (*_CERTIFICATES, _KEY) if self._keys else _CERTIFICATES
        stamps: dict[str, _Stamp] = {}
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or not entry.name.lower().endswith(suffixes):
                        continue
                    try:
                        status = entry.stat()
                    except FileNotFoundError:  # just gone, or a link to nowhere
                        continue
                    if not stat.S_ISREG(status.st_mode):
                        continue
                    stamps[entry.name] = (
                        status.st_ino,
                        status.st_size,
                        status.st_mtime_ns,
                        status.st_ctime_ns,
                    )
        except (FileNotFoundError, NotADirectoryError):
            stamps.clear()
        except OSError as error:
            self._complain(f"{self.path}: cannot be read: {error}")
            return None
        self._complaint = None
        return stamps

    def _read(self, name: str, stamp: _Stamp) -> ReadFile:
        path = self.path / name
        if stamp[1] > _MAX_BYTES:
            _log.warning("%s is passed over: it has more than %d bytes", path, _MAX_BYTES)
            return ReadFile(path, stamp, whole=False)
        try:
            data = path.read_bytes()
        except OSError as error:
            _log.warning("%s is passed over: %s", path, error)
            return ReadFile(path, stamp, whole=False)
        key_id = self._key_id(path, data) if self._keys else None
        if name.lower().endswith(_KEY):
            if key_id is None:
                _log.warning("%s is passed over: no readable private key without password", path)
            return ReadFile(path, stamp, whole=key_id is not None, key_id=key_id)
        certificates, problems = read_file(data)
        if not certificates and not problems and key_id is None:
            problems.append(_NO_CERTIFICATE)
        for problem in problems:
            _log.warning("%s is passed over in part or whole: %s", path, problem)
        replaces = frozenset(found.decode("ascii") for found in _REPLACES.findall(data))
        return ReadFile(
            path,
            stamp,
            tuple(certificates),
            whole=not problems,
            pem=PEM_MARK in data,
            key_id=key_id,
            replaces=replaces,
        )

    @staticmethod
    def _key_id(path: Path, data: bytes) -> str | None:
        if b"PRIVATE KEY-----" not in data:
            return None
        key_id = key_id_of(data)
        if key_id is not None and path.stat().st_mode & _OTHERS_MAY_READ:
            _log.warning("%s holds a private key that other users may read (wanted: 0600)", path)
        return key_id

    def _complain(self, complaint: str) -> None:
        """Once, until it works again."""
        if complaint != self._complaint:
            self._complaint = complaint
            _log.warning(complaint)
