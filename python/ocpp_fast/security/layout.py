"""The folders of a certificate store, and what all that is in them tells about one certificate."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final

from ocpp_fast.security import files
from ocpp_fast.security.certificates import (
    fingerprint,
    hash_data,
    is_issued_by,
    is_self_signed,
    match,
    to_pem,
)
from ocpp_fast.security.folder import Folder
from ocpp_fast.security.records import LeafUse, RootUse

if TYPE_CHECKING:
    from cryptography import x509

    from ocpp_fast.security.certificates import HashData

__all__ = ["Layout", "file_name"]

_ROOTS: Final = {
    RootUse.CSMS: "csms",
    RootUse.MANUFACTURER: "manufacturer",
    RootUse.V2G: "v2g",
    RootUse.MO: "mo",
    RootUse.OEM: "oem",
}
_LEAVES: Final = {
    LeafUse.CHARGING_STATION: "leaves/charging_station",
    LeafUse.V2G: "leaves/v2g",
    LeafUse.V2G20: "leaves/v2g20",
}
_ISSUERS: Final = "issuers"
_KEYS: Final = "keys"


class Layout:
    """Where everything is. Without a base it makes a temporary one when something is written."""

    def __init__(self, base: Path | None) -> None:
        self.base = base
        self.revision = 0
        self.roots: dict[RootUse, Folder] = {}
        self.leaves: dict[LeafUse, Folder] = {}
        self._temporary = base is None
        self._issuers: Folder | None = None
        self._above: dict[str, x509.Certificate | None] = {}
        if base is not None:
            self._use(base)

    def close(self) -> None:
        """Removes a temporary base with all that is in it."""
        if self._temporary and self.base is not None:
            shutil.rmtree(self.base, ignore_errors=True)
            self.base = self._issuers = None
            self.roots, self.leaves = {}, {}

    def refresh(self) -> None:
        """Looks what has changed on the disk."""
        if self._issuers is None:
            return
        changed = [folder.refresh() for folder in self._folders()]
        if any(changed):
            self.revision += 1
            self._above.clear()

    def root_folder(self, use: RootUse) -> Folder:
        """To write into: made if it is not there. Raises `StorageError`."""
        self._make(_ROOTS[use])
        return self.roots[use]

    def leaf_folder(self, use: LeafUse) -> Folder:
        """To write into: made if it is not there. Raises `StorageError`."""
        self._make(_LEAVES[use])
        return self.leaves[use]

    def keys_path(self) -> Path:
        """Where private keys are made; the base is there. Raises `StorageError`."""
        return (self.base or self._make(_KEYS).parent) / _KEYS

    def keep_issuer(self, certificate: x509.Certificate) -> None:
        """Remembers who signed it, for its hash data, when that one will be gone. Raises
        `OSError`."""
        above = self.issuer(certificate)
        if above is not None:
            files.write(self._make(_ISSUERS) / file_name(above), to_pem(above).encode())

    def forget_issuers(self) -> None:
        """Removes those that have signed none of the roots that are left; fails silently."""
        if self._issuers is None or not self._issuers.files:
            return
        roots = [
            each
            for folder in self.roots.values()
            for file in folder.files
            for each in file.certificates
        ]
        for file in self._issuers.files:
            if not any(is_issued_by(root, each) for each in file.certificates for root in roots):
                with suppress(OSError):
                    files.remove(file.path)

    def hash(self, certificate: x509.Certificate) -> HashData:
        """Its hash data, with whoever of those here has signed it."""
        return hash_data(certificate, self.issuer(certificate))

    def means(self, wanted: HashData, certificate: x509.Certificate) -> bool:
        """Whether the hash data mean this certificate."""
        return match(wanted, certificate, self.issuer(certificate))

    def issuer(self, certificate: x509.Certificate) -> x509.Certificate | None:
        """Who signed it, of all that are here; None for itself and for nobody that is known."""
        name = fingerprint(certificate)
        if name not in self._above:
            self._above[name] = self._find_issuer(certificate)
        return self._above[name]

    def _find_issuer(self, certificate: x509.Certificate) -> x509.Certificate | None:
        if is_self_signed(certificate):
            return None
        everything = (
            each
            for folder in self._folders()
            for file in folder.files
            for each in file.certificates
        )
        return next((each for each in everything if is_issued_by(certificate, each)), None)

    def _folders(self) -> list[Folder]:
        folders = [*self.roots.values(), *self.leaves.values()]
        return folders if self._issuers is None else [*folders, self._issuers]

    def _use(self, base: Path) -> None:
        self.base = base
        self.roots = {use: Folder(base / name) for use, name in _ROOTS.items()}
        self.leaves = {use: Folder(base / name, keys=True) for use, name in _LEAVES.items()}
        self._issuers = Folder(base / _ISSUERS)

    def _make(self, name: str) -> Path:
        base = self.base
        if base is None:
            with files.disk_errors(Path("a temporary folder"), "make"):
                base = Path(mkdtemp(prefix="ocpp-fast-"))
            self._use(base)
        path = base / name
        with files.disk_errors(path, "make a folder"):
            files.make_folder(path)
            files.sweep(path)
        return path


def file_name(certificate: x509.Certificate) -> str:
    """The name of a file that this program writes for a certificate."""
    return f"{fingerprint(certificate)[:32]}.pem"
