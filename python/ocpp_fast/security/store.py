"""The certificates and keys of a station, in a folder that an operator may change at any time.

    csms/ manufacturer/ v2g/ mo/ oem/                   roots, one or more in a file (PEM or DER)
    leaves/charging_station/ leaves/v2g/ leaves/v2g20/  chains (PEM, leaf first); keys of operators
    keys/                                               private keys made here, <id>.key
    issuers/                                            who signed a root that is not self-signed

File names are free; a key of the operator may have any name with the ending `.key`, or stand in the
file of its chain. Two things of a file tell how far a change has come, so that one renaming, which
is whole or not there after a power cut, is each time what makes it: a certificate of the station
that no connection has proved yet is named `*.new.pem`, and a CSMS root that replaces another names
that one in a line before it. Certificates in `issuers/` are never trusted, hash data needs them.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ocpp_fast.errors import ConfigurationError, StorageError
from ocpp_fast.security.certificates import is_issued_by, parse_certificate, parse_chain
from ocpp_fast.security.layout import Layout
from ocpp_fast.security.leaves import Leaves
from ocpp_fast.security.records import (
    Discarded,
    Installed,
    LeafChain,
    LeafUse,
    Listed,
    Removal,
    RootUse,
    SigningRequest,
)
from ocpp_fast.security.roots import Roots

if TYPE_CHECKING:
    from collections.abc import Collection
    from os import PathLike

    from cryptography import x509

    from ocpp_fast.clock import Clock
    from ocpp_fast.security.certificates import Chain, HashData
    from ocpp_fast.security.csr import Subject
    from ocpp_fast.security.keys import KeyKind, KeyProvider

__all__ = [
    "CertificateStore",
    "Discarded",
    "Installed",
    "LeafChain",
    "LeafUse",
    "Listed",
    "Removal",
    "RootUse",
    "SigningRequest",
]

_log = logging.getLogger(__name__)

_V2G: Final = (LeafUse.V2G, LeafUse.V2G20)
_CHAIN_TYPE: Final = "V2GCertificateChain"
_MAX_CHILDREN: Final = 4


class CertificateStore:
    """See the module. Synchronous: small files, rarely written.

    Every reading method looks first whether files have changed. A file that cannot be read is
    logged once and passed over; it never hides the others. What is written is on the disk when the
    method returns, and a power cut leaves what was there before or what was to be there after.
    Writing raises `StorageError` when the disk fails.
    """

    def __init__(
        self, folder: str | PathLike[str] | None, clock: Clock, *, keys: KeyProvider | None = None
    ) -> None:
        """`folder` is made when something is first written. None: a folder of its own in the
        place for temporary files, made then too, removed by `close`. Raises `ConfigurationError`
        if there is a file in its place."""
        if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
            raise ConfigurationError(f"certificates: {Path(folder)} is no folder")
        self._layout = Layout(None if folder is None else Path(folder))
        self._roots = Roots(self._layout, clock)
        self._leaves = Leaves(self._layout, clock, keys)

    def close(self) -> None:
        """Ends the use; removes the folder if it was a temporary one."""
        self._layout.close()

    @property
    def folder(self) -> str | None:
        """Where it all is; None while a temporary folder was not needed yet."""
        return None if self._layout.base is None else str(self._layout.base)

    @property
    def revision(self) -> int:
        """Grows with every change of the folder that anyone has made; looks for them first."""
        self._layout.refresh()
        return self._layout.revision

    # --- roots ---

    def roots(self, use: RootUse, *, fallback: bool = False) -> tuple[x509.Certificate, ...]:
        """The trust anchors of a use, each once.

        For the CSMS with `fallback` those too that a newer one has replaced and that stay until
        `settle_roots` (M05.FR.14, M05.FR.16); without it they are left out.
        """
        self._layout.refresh()
        active, replaced = self._roots.anchors(use)
        return (*active, *replaced) if fallback else active

    def fallback_roots(self) -> tuple[x509.Certificate, ...]:
        """CSMS roots that were replaced and wait for the first good connection (M05.FR.12)."""
        self._layout.refresh()
        return self._roots.anchors(RootUse.CSMS)[1]

    def install_root(
        self,
        use: RootUse,
        certificate: x509.Certificate | str,
        *,
        additional_check: bool = False,
        limit: int | None = None,
    ) -> Installed:
        """M05: installs a root, given as certificate or PEM text (M05.FR.01, M05.FR.02).

        Raises `CertificateInvalid` where the answer is Rejected: it is no valid root now
        (M05.FR.07), there would be more than `limit` certificates (CertificateEntries.maxLimit,
        M05.FR.06), or, with `additional_check` (AdditionalRootCertificateCheck) and for the CSMS,
        it is not signed by the one it replaces (M05.FR.10, M05.FR.11). `StorageError` is the
        answer Failed (M05.FR.03).

        With `additional_check` all roots of before become the fallback (M05.FR.12); there is one,
        unless the check was switched on later (M05.FR.09). Where the last replacement was never
        proved by a connection, its fallback stays, and what never worked goes.
        """
        if isinstance(certificate, str):
            certificate = parse_certificate(certificate)
        entries = self.entries()
        full = limit is not None and entries >= limit
        successor = additional_check and use is RootUse.CSMS
        return self._roots.install(use, certificate, successor=successor, full=full)

    def settle_roots(self) -> tuple[x509.Certificate, ...]:
        """A connection was made with the new CSMS root: the fallback is removed (M05.FR.13); those
        that were. Not to be called when the old root was needed."""
        self._layout.refresh()
        return self._roots.settle()

    # --- list, delete, count ---

    def listed(self, types: Collection[str] | None = None) -> tuple[Listed, ...]:
        """M03: the hash data of what is installed, of the GetCertificateIdUse types given or all.

        A fallback root is listed like the others. Certificates of the use
        `ChargingStationCertificate` are not, there is no type for them.
        """
        self._layout.refresh()
        found = [
            Listed(certificate_type=use.value, data=self._layout.hash(certificate))
            for use in RootUse
            if types is None or use in types
            for roots in self._roots.anchors(use)
            for certificate in roots
        ]
        if types is None or _CHAIN_TYPE in types:
            chains = {each.id: each for use in _V2G for each in self._leaves.chains(use)}
            found.extend(map(self._listed_chain, chains.values()))
        return tuple(found)

    def remove(self, wanted: HashData, *, keep_last: Collection[RootUse] = ()) -> Removal:
        """M04: deletes a certificate, wherever it is installed (M04.FR.02).

        The station's own certificate of the use ChargingStation and its chain: Failed (M04.FR.06);
        so is the last root of a use in `keep_last` (M04.FR.03). With a V2G root or sub CA goes the
        chain under it, which could be neither used nor deleted any more (M04.FR.08). A disk that
        fails is Failed and logged; NotFound is M04.FR.04.
        """
        layout = self._layout
        own = self.chains(LeafUse.CHARGING_STATION)
        if any(layout.means(wanted, each.chain.leaf) for each in own):
            return Removal.FAILED
        doomed_roots = {
            use: [each for each in self.roots(use, fallback=True) if layout.means(wanted, each)]
            for use in RootUse
        }
        for use in keep_last:
            goes = doomed_roots[use]
            if goes and not set(self.roots(use)).difference(goes):
                return Removal.FAILED
        doomed = [
            each
            for use in _V2G
            for each in self.chains(use)
            if any(layout.means(wanted, part) for part in self.path(each.chain, use))
        ]
        if not doomed and not any(doomed_roots.values()):
            inside = (part for each in own for part in each.chain.intermediates)
            known = any(layout.means(wanted, part) for part in inside)
            return Removal.FAILED if known else Removal.NOT_FOUND
        try:
            # The chains first: a root without its chains can still be deleted, but not they.
            for each in doomed:
                self._leaves.discard(each)
            for use, certificates in doomed_roots.items():
                if certificates:
                    self._roots.drop(use, certificates)
        except (OSError, StorageError) as error:
            _log.warning("a certificate could not be deleted: %s", error)
            return Removal.FAILED
        return Removal.ACCEPTED

    def entries(self) -> int:
        """SecurityCtrlr.CertificateEntries: roots without fallback, and all certificates of all
        chains."""
        self._layout.refresh()
        roots = sum(len(self._roots.anchors(use)[0]) for use in RootUse)
        leaves = (file for folder in self._layout.leaves.values() for file in folder.files)
        return roots + sum(len(file.certificates) for file in leaves)

    # --- the station's own ---

    def client_chain(
        self, use: LeafUse = LeafUse.CHARGING_STATION, *, old: bool = False
    ) -> LeafChain | None:
        """The certificate to be used; with `old` its predecessor, as long as both exist
        (A02.FR.28, A03.FR.24); None where there is none.

        Of several of the same generation one that is valid now, if one is, and of these the newest
        by start of validity (A02.FR.15, A03.FR.15). An expired one is given too: the CSMS decides
        (A00.FR.430).
        """
        chains = self.chains(use)
        if not old:
            return chains[0] if chains else None
        proved = [each for each in chains if not each.new]
        return proved[0] if proved and len(proved) < len(chains) else None

    def chains(self, use: LeafUse) -> tuple[LeafChain, ...]:
        """All chains of a use that have their key, in the order of `client_chain`: new ones before
        old ones, then the newest first. For V2G there may be one for each root and each SeccId."""
        self._layout.refresh()
        return self._leaves.chains(use)

    def path(self, chain: Chain, use: LeafUse) -> tuple[x509.Certificate, ...]:
        """The chain up to its root, which is the last, if the store has one; dates, rights and the
        signatures below the top are not looked at."""
        anchors = self.roots(use.roots, fallback=True)
        for index, certificate in enumerate(chain.certificates):
            if certificate in anchors:
                return chain.certificates[: index + 1]
        top = chain.certificates[-1]
        root = next((each for each in anchors if is_issued_by(top, each)), None)
        return chain.certificates if root is None else (*chain.certificates, root)

    def begin_key(
        self, use: LeafUse, subject: Subject, *, kind: KeyKind | None = None
    ) -> SigningRequest:
        """Makes a key pair and the request for its certificate (A02.FR.02, A02.FR.03).

        By default P-256; for ISO 15118-20, which asks for more, P-521. Keys without certificate are
        kept until theirs comes, the 64 newest at most. Raises `ConfigurationError` for a subject
        that cannot be.
        """
        return self._leaves.begin(use, subject, kind)

    def discard_key(self, key_id: str) -> None:
        """Forgets the key of a request that will not be answered; no effect on one in use."""
        if self._layout.base is not None:
            self._leaves.forget_key(key_id)

    def has_key(self, certificate: x509.Certificate) -> bool:
        """Whether the private key of this certificate is here."""
        self._layout.refresh()
        return self._leaves.has_key(certificate)

    def accept_signed(self, use: LeafUse, chain: Chain) -> LeafChain:
        """Keeps a certificate that `rules.judge` found good, durable when it returns (A02.FR.08,
        A03.FR.08).

        For the use ChargingStation it becomes the new one beside the old one until `settle`; an
        earlier new one that was never settled goes. For V2G it takes the place of chains of the
        same root and the same CN; others stay (A02.FR.15). Raises `CertificateInvalid` if its
        private key is not here.
        """
        return self._leaves.accept(use, chain, self.roots(use.roots, fallback=True))

    def import_leaf(self, use: LeafUse, chain: Chain | str, key_pem: str) -> LeafChain:
        """Takes a certificate with its private key from outside, from the factory or from files
        of an operator. It counts at once, as if a connection had proved it; the others stay.

        No effect if it is here already. Raises `CertificateInvalid` if the key is not that of the
        certificate, or has a password.
        """
        if isinstance(chain, str):
            chain = parse_chain(chain)
        self._layout.refresh()
        return self._leaves.bring(use, chain, key_pem)

    def settle(self, use: LeafUse, chain_id: str) -> tuple[Discarded, ...]:
        """A connection was made with this certificate: all others of the use are discarded, with
        their keys (A02.FR.10, A03.FR.10); those that were. No effect if the id is not known."""
        self._layout.refresh()
        return self._leaves.settle(use, chain_id)

    def _listed_chain(self, chain: LeafChain) -> Listed:
        above = chain.chain.intermediates[:_MAX_CHILDREN]
        return Listed(
            certificate_type=_CHAIN_TYPE,
            data=self._layout.hash(chain.chain.leaf),
            children=tuple(map(self._layout.hash, above)),
        )
