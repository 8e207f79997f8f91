"""What a certificate store is asked for and what it answers. Loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from ocpp_fast.security.certificates import Chain, HashData

__all__ = [
    "Discarded",
    "Installed",
    "LeafChain",
    "LeafUse",
    "Listed",
    "Removal",
    "RootUse",
    "SigningRequest",
]


class RootUse(StrEnum):
    """What a root is for; the values are those of InstallCertificateUseEnumType and, with
    `V2GCertificateChain`, of GetCertificateIdUseEnumType."""

    CSMS = "CSMSRootCertificate"
    MANUFACTURER = "ManufacturerRootCertificate"
    V2G = "V2GRootCertificate"
    MO = "MORootCertificate"
    OEM = "OEMRootCertificate"


class LeafUse(StrEnum):
    """What a certificate of the station itself is for; CertificateSigningUseEnumType."""

    CHARGING_STATION = "ChargingStationCertificate"
    V2G = "V2GCertificate"
    V2G20 = "V2G20Certificate"

    @property
    def roots(self) -> RootUse:
        """Of which hierarchy it is."""
        return RootUse.CSMS if self is LeafUse.CHARGING_STATION else RootUse.V2G


class Removal(StrEnum):
    """DeleteCertificateStatusEnumType."""

    ACCEPTED = "Accepted"
    FAILED = "Failed"
    NOT_FOUND = "NotFound"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafChain:
    """A certificate of the station with its key, ready for `ssl.SSLContext.load_cert_chain`."""

    id: str
    """The fingerprint of the leaf: stable over restarts, different for each certificate."""
    use: LeafUse
    chain: Chain
    chain_file: str
    """PEM: the leaf, then the intermediates."""
    key_file: str = field(repr=False)
    key_id: str
    new: bool = False
    """Whether it was accepted from the CSMS and not yet settled: no good connection since."""

    @property
    def not_before(self) -> datetime:
        """The start of the validity of the leaf."""
        return self.chain.leaf.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """The end of the validity of the leaf (A03.FR.02)."""
        return self.chain.leaf.not_valid_after_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRequest:
    """What SignCertificateRequest needs."""

    key_id: str
    csr: str
    """PEM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What `install_root` has done."""

    certificate: x509.Certificate
    replaced: bool
    """Whether it was there before (M05.FR.17)."""
    fallback: tuple[x509.Certificate, ...] = ()
    """The root that was replaced and is kept until the first good connection (M05.FR.12)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One entry of GetInstalledCertificateIdsResponse."""

    certificate_type: str
    """GetCertificateIdUseEnumType."""
    data: HashData
    children: tuple[HashData, ...] = ()
    """Of a V2GCertificateChain: the sub CAs from the issuer of the leaf upwards (M03.FR.05), at
    most 4, as the message allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """A certificate of the station that is no more."""

    id: str
    use: LeafUse
    label: str
    new: bool
    """Whether it was the renewed one, which asks for the security event
    DiscardedRenewedClientCertificate (A02.FR.29, A03.FR.25)."""
