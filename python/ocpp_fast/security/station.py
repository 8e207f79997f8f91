"""The certificates of one station, made when first needed.

Many stations, simulated ones above all, need neither TLS nor certificates, and what reads
certificates is large. Nothing of it is imported before `store` or `tls` is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocpp_fast.clock import Clock
    from ocpp_fast.config import StationConfig
    from ocpp_fast.security.keys import KeyProvider
    from ocpp_fast.security.store import CertificateStore
    from ocpp_fast.security.tls import ClientTls, TlsPolicy

__all__ = ["StationCertificates"]


class StationCertificates:
    """The certificate store of a station, and its side of TLS."""

    def __init__(
        self,
        config: StationConfig,
        clock: Clock,
        policy: Callable[[], TlsPolicy],
        keys: KeyProvider | None = None,
    ) -> None:
        """`policy` says what TLS may do at the moment; without `keys` private keys are files."""
        folder = config.certificates
        if folder is None and config.storage is not None:
            folder = f"{config.storage}.certificates"
        self._folder = folder
        self._clock = clock
        self._policy = policy
        self._keys = keys
        self._store: CertificateStore | None = None
        self._tls: ClientTls | None = None

    def in_use(self) -> bool:
        """Whether there may be a certificate at all."""
        return self._store is not None or (self._folder is not None and Path(self._folder).is_dir())

    def store(self) -> CertificateStore:
        """The store; made at the first call. Raises `ConfigurationError` for a folder that cannot
        be one."""
        if self._store is None:
            from ocpp_fast.security.store import CertificateStore

            self._store = CertificateStore(self._folder, self._clock, keys=self._keys)
        return self._store

    def tls(self) -> ClientTls:
        """The station's side of TLS; made at the first call."""
        if self._tls is None:
            from ocpp_fast.security.ocsp import OcspClient
            from ocpp_fast.security.tls import ClientTls

            ocsp = OcspClient(self._clock)
            self._tls = ClientTls(self.store(), self._clock, self._policy, ocsp)
        return self._tls

    def has_csms_root(self) -> bool:
        """Whether there is a root that can vouch for a CSMS now (A05.FR.02)."""
        if not self.in_use():
            return False
        from ocpp_fast.security.store import RootUse

        now = self._clock.now()
        return any(
            root.not_valid_before_utc <= now <= root.not_valid_after_utc
            for root in self.store().roots(RootUse.CSMS, fallback=True)
        )

    def has_client_certificate(self) -> bool:
        """Whether the station has a valid certificate to show to a CSMS (A05.FR.03)."""
        chain = self.store().client_chain() if self.in_use() else None
        return chain is not None and chain.not_before <= self._clock.now() <= chain.not_after

    def close(self) -> None:
        """Removes a temporary folder."""
        if self._store is not None:
            self._store.close()
            self._store = self._tls = None
