"""The station's own certificates and their keys: which are there, which is used, which go."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ocpp_fast.errors import CertificateInvalid, StorageError
from ocpp_fast.security import csr, files
from ocpp_fast.security.certificates import (
    chain_of,
    common_name,
    fingerprint,
    is_issued_by,
    label,
    public_key_id,
    spki,
    validity,
)
from ocpp_fast.security.keys import FileKeys, KeyKind, read_key
from ocpp_fast.security.records import Discarded, LeafChain, LeafUse, SigningRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from ocpp_fast.clock import Clock
    from ocpp_fast.security.certificates import Chain
    from ocpp_fast.security.folder import ReadFile
    from ocpp_fast.security.keys import KeyProvider
    from ocpp_fast.security.layout import Layout

__all__ = ["Leaves"]

_log = logging.getLogger(__name__)

_NEW: Final = ".new.pem"
_MAX_WAITING_KEYS: Final = 64


class Leaves:
    """The chains in the folders of `layout`; see `CertificateStore` for what the verbs promise.

    One that no connection has proved yet is named `*.new.pem`, so that one renaming settles it.
    """

    def __init__(self, layout: Layout, clock: Clock, keys: KeyProvider | None) -> None:
        self._layout = layout
        self._clock = clock
        self._provider = keys
        self._complaints: dict[Path, object] = {}

    @property
    def keys(self) -> KeyProvider:
        """Where private keys are made and kept."""
        if self._provider is None:
            self._provider = FileKeys(self._layout.keys_path())
        return self._provider

    def chains(self, use: LeafUse) -> tuple[LeafChain, ...]:
        """All with a key, those to be used first."""
        folder = self._layout.leaves.get(use)
        if folder is None or not folder.files:
            return ()
        now = self._clock.now()
        made_here = set(self.keys.ids())
        found: dict[str, LeafChain] = {}
        for file in folder.files:
            each = self._chain(use, file, folder.files, made_here)
            if each is not None and (each.id not in found or not each.new):
                found[each.id] = each

        def order(each: LeafChain) -> tuple[bool, bool, float, str]:
            not_before, not_after = validity(each.chain.leaf)
            valid = not_before <= now <= not_after
            return not each.new, not valid, -not_before.timestamp(), each.id

        return tuple(sorted(found.values(), key=order))

    def begin(self, use: LeafUse, subject: csr.Subject, kind: KeyKind | None) -> SigningRequest:
        """A new key pair and the request for its certificate."""
        csr.name(subject)  # before anything is made
        secc = use is not LeafUse.CHARGING_STATION
        if kind is None:
            kind = KeyKind.EC_P521 if use is LeafUse.V2G20 else KeyKind.EC_P256
        key_id = self.keys.create(kind)
        request = self.keys.csr(key_id, replace(subject, key_agreement=secc))
        used = self._used_keys()
        waiting = [each for each in self.keys.ids() if each not in used and each != key_id]
        for each in waiting[: max(0, len(waiting) + 1 - _MAX_WAITING_KEYS)]:
            self.keys.remove(each)
        return SigningRequest(key_id=key_id, csr=request)

    def forget_key(self, key_id: str) -> None:
        """No effect on one that belongs to a certificate."""
        if key_id not in self._used_keys():
            self.keys.remove(key_id)

    def has_key(self, certificate: x509.Certificate) -> bool:
        """Whether the private key of this certificate is here, whoever made it."""
        if self._layout.base is None:
            return False
        key_id = public_key_id(spki(certificate))
        if key_id in self.keys.ids():
            return True
        folders = self._layout.leaves.values()
        return any(file.key_id == key_id for folder in folders for file in folder.files)

    def accept(self, use: LeafUse, chain: Chain, anchors: Sequence[x509.Certificate]) -> LeafChain:
        """A signed certificate; `anchors` are the roots of its use."""
        if not self.has_key(chain.leaf):
            reason = "its private key is not in this station"
            raise CertificateInvalid(f"certificate {label(chain.leaf)}: {reason}")
        chain_id = fingerprint(chain.leaf)
        present = self.chains(use)
        known = next((each for each in present if each.id == chain_id), None)
        proving = use is LeafUse.CHARGING_STATION
        if known is not None and known.chain == chain and proving and not known.new:
            return known
        if proving:
            goes = [each for each in present if each.new]
        else:
            place = _place(chain, anchors)
            goes = [each for each in present if _place(each.chain, anchors) == place]
        ending = _NEW if proving and (known is None or known.new) else ".pem"
        path = self._layout.leaf_folder(use).path / f"{chain_id[:32]}{ending}"
        with files.disk_errors(path, "keep a certificate"):
            if known is None or known.chain != chain:
                files.write(path, chain.pem.encode())
                self._layout.refresh()
            # Also when it was there already: a power cut may have come in between.
            for each in goes:
                if each.id != chain_id:
                    self.discard(each)
        accepted = next((each for each in self.chains(use) if each.id == chain_id), None)
        if accepted is None:
            raise StorageError(str(path), "keep a certificate", "it cannot be read back")
        return accepted

    def bring(self, use: LeafUse, chain: Chain, key_pem: str) -> LeafChain:
        """A chain and a key that were made elsewhere; the key first, a chain needs it."""
        key = read_key(key_pem.encode())
        if key is None:
            raise CertificateInvalid("no readable private key without password")
        key_id, pem = key
        if key_id != public_key_id(spki(chain.leaf)):
            reason = "the private key belongs to another certificate"
            raise CertificateInvalid(f"certificate {label(chain.leaf)}: {reason}")
        known = next((each for each in self.chains(use) if each.chain == chain), None)
        if known is not None:
            return known
        chain_id = fingerprint(chain.leaf)
        path = self._layout.leaf_folder(use).path / f"{chain_id[:32]}.pem"
        with files.disk_errors(path, "keep a certificate"):
            files.write(path.with_suffix(".key"), pem)
            files.write(path, chain.pem.encode())
        self._layout.refresh()
        return next(each for each in self.chains(use) if each.id == chain_id)

    def settle(self, use: LeafUse, chain_id: str) -> tuple[Discarded, ...]:
        """The others go first: until the last step the file name says that it is not over."""
        chains = self.chains(use)
        kept = next((each for each in chains if each.id == chain_id), None)
        if kept is None:
            return ()
        discarded: list[Discarded] = []
        path = Path(kept.chain_file)
        with files.disk_errors(path, "settle a certificate"):
            for each in chains:
                if each is not kept:
                    self.discard(each)
                    name = label(each.chain.leaf)
                    discarded.append(Discarded(id=each.id, use=use, label=name, new=each.new))
            if kept.new:
                files.move(path, path.with_name(path.name.removesuffix(_NEW) + ".pem"))
        return tuple(discarded)

    def discard(self, chain: LeafChain) -> None:
        """Removes a chain, and its key if nothing else needs that; raises `OSError`."""
        files.remove(Path(chain.chain_file))
        if chain.key_id in self._used_keys():
            return
        with suppress(KeyError):
            self.keys.remove(chain.key_id)
        for folder in self._layout.leaves.values():
            for file in folder.files:
                if file.key_id == chain.key_id and not file.certificates:
                    files.remove(file.path)

    def _used_keys(self) -> set[str]:
        self._layout.refresh()
        folders = self._layout.leaves.values()
        return {
            public_key_id(spki(each))
            for folder in folders
            for file in folder.files
            for each in file.certificates
        }

    def _chain(
        self, use: LeafUse, file: ReadFile, siblings: Sequence[ReadFile], made_here: set[str]
    ) -> LeafChain | None:
        """What a file holds; None, and a line in the log, if that cannot be used."""
        if not file.certificates or not file.whole:
            return None
        try:
            chain = chain_of(file.certificates)
        except CertificateInvalid as error:
            return self._complain(file, str(error))
        if not file.pem or file.certificates[0] != chain.leaf:
            return self._complain(file, "it must be PEM and begin with the station's certificate")
        key_id = public_key_id(spki(chain.leaf))
        key_files = [each for each in (file, *siblings) if each.key_id == key_id]
        if key_files:
            key_file = str(key_files[0].path)
        elif key_id in made_here:
            key_file = self.keys.tls_file(key_id)
        else:
            return self._complain(file, f"there is no private key for {label(chain.leaf)}")
        return LeafChain(
            id=fingerprint(chain.leaf),
            use=use,
            chain=chain,
            chain_file=str(file.path),
            key_file=key_file,
            key_id=key_id,
            new=file.path.name.endswith(_NEW),
        )

    def _complain(self, file: ReadFile, complaint: str) -> None:
        """Once for each state of the file."""
        if self._complaints.get(file.path) != file.stamp:
            self._complaints[file.path] = file.stamp
            _log.warning("%s is passed over: %s", file.path, complaint)


def _place(chain: Chain, anchors: Sequence[x509.Certificate]) -> tuple[str | None, str | None]:
    """For which SECC a chain is, and for cars that trust which root."""
    top = chain.certificates[-1]
    root = next((each for each in anchors if each == top or is_issued_by(top, each)), None)
    return common_name(chain.leaf), None if root is None else fingerprint(root)
