"""Certificate signing requests: what stands in them for each type of certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ocpp_fast.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa

__all__ = ["MAX_SIZE", "Subject", "digest_for", "make", "name"]

MAX_SIZE: Final = 5_500
"""Characters that SignCertificateRequest.csr may have."""
_MAX_NAME: Final = 64
_COUNTRY: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom a certificate is for.

    For `ChargingStationCertificate`: the unique serial number of the station and
    SecurityCtrlr.OrganizationName (A00.FR.509, A00.FR.511). For `V2GCertificate` and
    `V2G20Certificate`: SeccId, OrganizationName and CountryName of ISO15118Ctrlr, of the EVSE if
    each has its own.
    """

    common_name: str
    organization: str
    country: str | None = None
    """Two letters of ISO 3166-1."""
    domain_component: str | None = None
    """By which ISO 15118-2 tells its certificates apart (`CPO`); OCPP does not ask for it."""
    key_agreement: bool = False
    """Whether the key is also for agreeing on keys, as that of an SECC is."""


def name(subject: Subject) -> x509.Name:
    """The distinguished name. Raises `ConfigurationError` that names the part that cannot be."""
    parts = [
        (x509.NameOID.COUNTRY_NAME, "country", subject.country),
        (x509.NameOID.DOMAIN_COMPONENT, "domain component", subject.domain_component),
        (x509.NameOID.ORGANIZATION_NAME, "organization", subject.organization),
        (x509.NameOID.COMMON_NAME, "common name", subject.common_name),
    ]
    attributes: list[x509.NameAttribute[str]] = []
    for oid, part, value in parts:
        if value is None:
            continue
        if part == "country":
            good, wanted = (
                len(value) == _COUNTRY and value.isascii() and value.isalpha(),
                "2 letters",
            )
        elif part == "domain component":
            good, wanted = 0 < len(value) <= _MAX_NAME and value.isascii(), "1 to 64 ASCII letters"
        else:
            good, wanted = 0 < len(value.encode()) <= _MAX_NAME, "1 to 64 bytes in UTF-8"
        if not good:
            raise ConfigurationError(f"{part} of a certificate: {value!r} is not {wanted}")
        attributes.append(x509.NameAttribute(oid, value))
    return x509.Name(attributes)


def make(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, subject: Subject) -> str:
    """The request for this key, signed by it, in PEM (A02.FR.03, A03.FR.03).

    It asks for a certificate whose use is restricted (A00.FR.512), without extended key usage
    (A00.FR.514).
    """
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=subject.key_agreement,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(name(subject))
    request = builder.add_extension(usage, critical=True).sign(key, digest_for(key))
    return request.public_bytes(Encoding.PEM).decode("ascii")


def digest_for(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    """The hash that is as strong as the key, at least SHA-256 (A00.FR.506)."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if isinstance(key.curve, ec.SECP521R1):
            return hashes.SHA512()
        if isinstance(key.curve, ec.SECP384R1):
            return hashes.SHA384()
    return hashes.SHA256()
