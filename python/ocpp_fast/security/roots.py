"""Roots: what is trusted, what replaces what (M05)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocpp_fast.errors import CertificateInvalid
from ocpp_fast.security import files, rules
from ocpp_fast.security.certificates import fingerprint, to_pem
from ocpp_fast.security.folder import REPLACES
from ocpp_fast.security.layout import file_name
from ocpp_fast.security.records import Installed, RootUse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography import x509

    from ocpp_fast.clock import Clock
    from ocpp_fast.security.folder import Folder, ReadFile
    from ocpp_fast.security.layout import Layout

__all__ = ["Roots"]


class Roots:
    """The roots in the folders of `layout`; see `CertificateStore` for what the verbs promise.

    That a root replaces another is said by a line in its own file, so that one renaming makes the
    one the root and the other the fallback.
    """

    def __init__(self, layout: Layout, clock: Clock) -> None:
        self._layout = layout
        self._clock = clock

    def anchors(
        self, use: RootUse
    ) -> tuple[tuple[x509.Certificate, ...], tuple[x509.Certificate, ...]]:
        """The roots of a use that count, and those that were replaced; as of the last refresh.

        Never all are replaced: whatever the files say, one that is left is trusted.
        """
        active, replaced, _ = self._sorted(use)
        return active, replaced

    def install(
        self, use: RootUse, certificate: x509.Certificate, *, successor: bool, full: bool
    ) -> Installed:
        """`successor`: as one that replaces the others; `full`: no further one may be added."""
        active, replaced, _ = self._sorted(use)
        rules.check_root(certificate, self._clock.now(), (*active, *replaced))
        if certificate in active:
            self._finish(use)
            return Installed(certificate=certificate, replaced=True)
        if successor and active:
            self._check_successor(certificate, active)
            self._succeed(use, certificate, active, replaced)
            return Installed(certificate=certificate, replaced=False, fallback=replaced or active)
        data = self._layout.hash(certificate)
        twins = [each for each in active if self._layout.hash(each) == data]
        if full and not twins:
            raise CertificateInvalid("no more certificates are allowed (CertificateEntries)")
        folder = self._layout.root_folder(use)
        with files.disk_errors(folder.path, "install a root"):
            self._release(certificate)
            self._write(folder, certificate)
            self.drop(use, twins)
        return Installed(certificate=certificate, replaced=bool(twins))

    def settle(self) -> tuple[x509.Certificate, ...]:
        """The fallback goes, then the lines that made it one."""
        _, replaced, superseded = self._sorted(RootUse.CSMS)
        folder = self._layout.roots.get(RootUse.CSMS)
        if folder is not None and any(file.replaces for file in folder.files):
            with files.disk_errors(folder.path, "remove the fallback root"):
                self.drop(RootUse.CSMS, (*replaced, *superseded))
                for file in folder.files:
                    if file.replaces:
                        _rewrite(file, file.certificates, ())
            self._layout.refresh()
        return replaced

    def drop(self, use: RootUse, certificates: Iterable[x509.Certificate]) -> None:
        """Takes certificates out of the files of a use; raises `OSError`."""
        folder = self._layout.roots[use]
        folder.refresh()
        names = {fingerprint(each) for each in certificates}
        for file in folder.files:
            kept = [each for each in file.certificates if fingerprint(each) not in names]
            if not kept and file.certificates:
                files.remove(file.path)
            elif len(kept) < len(file.certificates):
                _rewrite(file, kept, file.replaces)
        self._layout.refresh()
        self._layout.forget_issuers()

    def _check_successor(
        self, certificate: x509.Certificate, roots: Iterable[x509.Certificate]
    ) -> None:
        """M05.FR.10, M05.FR.11. The chain is checked in full, dates included, as a note at the
        variable AdditionalRootCertificateCheck asks."""
        refusals: list[CertificateInvalid] = []
        for root in roots:
            try:
                rules.check_issuance(certificate, root)
                rules.check_dates((root,), self._clock.now())
            except CertificateInvalid as error:
                refusals.append(error)
            else:
                return
        raise refusals[0]

    def _succeed(
        self,
        use: RootUse,
        certificate: x509.Certificate,
        active: tuple[x509.Certificate, ...],
        replaced: tuple[x509.Certificate, ...],
    ) -> None:
        """Where the last replacement was never proved by a connection, its fallback stays: it is
        what the link of now was made with. What never worked goes (M05.FR.09)."""
        folder = self._layout.root_folder(use)
        with files.disk_errors(folder.path, "install a root"):
            self._write(folder, certificate, (*active, *replaced))
        self._finish(use)

    def _finish(self, use: RootUse) -> None:
        """Removes what does not count any more, since when does not matter."""
        superseded = self._sorted(use)[2]
        if superseded:
            with files.disk_errors(self._layout.roots[use].path, "remove a root"):
                self.drop(use, superseded)

    def _sorted(
        self, use: RootUse
    ) -> tuple[
        tuple[x509.Certificate, ...], tuple[x509.Certificate, ...], tuple[x509.Certificate, ...]
    ]:
        """The roots that count; those that were replaced after connections had proved them; and
        those that were replaced before any had."""
        folder = self._layout.roots.get(use)
        if folder is None:
            return (), (), ()
        everything: dict[str, x509.Certificate] = {}
        gone: set[str] = set()
        unproved: set[str] = set()
        for file in folder.files:
            own = {fingerprint(each): each for each in file.certificates}
            everything |= own
            if use is RootUse.CSMS and file.replaces:
                gone |= file.replaces - own.keys()
                unproved |= own.keys()
        active = tuple(each for name, each in everything.items() if name not in gone)
        if not active:
            return tuple(everything.values()), (), ()
        rest = [name for name in everything if name in gone]
        replaced = tuple(everything[name] for name in rest if name not in unproved)
        return active, replaced, tuple(everything[name] for name in rest if name in unproved)

    def _write(
        self,
        folder: Folder,
        certificate: x509.Certificate,
        replaced: Iterable[x509.Certificate] = (),
    ) -> None:
        self._layout.keep_issuer(certificate)
        data = _text((certificate,), map(fingerprint, replaced))
        files.write(folder.path / file_name(certificate), data)
        self._layout.refresh()

    def _release(self, certificate: x509.Certificate) -> None:
        """A root that was replaced counts again: nobody claims to replace it any more."""
        name = fingerprint(certificate)
        for file in self._layout.roots[RootUse.CSMS].files:
            if name in file.replaces:
                _rewrite(file, file.certificates, file.replaces - {name})


def _rewrite(
    file: ReadFile, certificates: Iterable[x509.Certificate], replaced: Iterable[str]
) -> None:
    files.write(file.path, _text(certificates, replaced))


def _text(certificates: Iterable[x509.Certificate], replaced: Iterable[str]) -> bytes:
    lines = "".join(f"{REPLACES}{name}\n" for name in sorted(replaced))
    return (lines + to_pem(certificates)).encode()
