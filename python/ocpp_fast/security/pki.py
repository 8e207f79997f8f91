"""A public key infrastructure for development and tests: not one for the field.

    pki = Pki(clock.now())
    pki.server("csms.example")  # good
    pki.server("csms.example", **pki.expired())  # and with any fault

`Pki` makes what a station and its CSMS need of the hierarchies of OCPP and ISO 15118, each part
when it is first asked for. Private keys are in memory, or in files without a password. All dates
come from the moment that is handed in.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from ocpp_fast.errors import CertificateInvalid, ConfigurationError
from ocpp_fast.security.certificates import parse_pem, to_pem

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

__all__ = [
    "Issued",
    "KeyKind",
    "Pki",
    "PrivateKey",
    "PublicKey",
    "Recipe",
    "certify",
    "issue",
    "write_new",
]

PrivateKey: TypeAlias = "ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey"
PublicKey: TypeAlias = "ec.EllipticCurvePublicKey | rsa.RSAPublicKey"

_DAY: Final = timedelta(days=1)
_EXPONENT: Final = 65_537


class KeyKind(StrEnum):
    """Kinds of keys; the last two are too weak (A00.FR.501-503)."""

    EC = "EC P-256"
    EC_384 = "EC P-384"
    RSA = "RSA 2048"
    RSA_3072 = "RSA 3072"
    EC_192 = "EC P-192"
    RSA_1024 = "RSA 1024"

    def new(self) -> PrivateKey:
        """A new private key; RSA takes some tenths of a second."""
        if self.name.startswith("RSA"):
            size = int(self.value.removeprefix("RSA "))
            return rsa.generate_private_key(_EXPONENT, size)
        curves = {KeyKind.EC: ec.SECP256R1, KeyKind.EC_384: ec.SECP384R1, KeyKind.EC_192: _P192}
        return ec.generate_private_key(curves[self]())


_P192: Final = ec.SECP192R1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a certificate says. Each field can be made wrong on purpose."""

    common_name: str | None
    not_before: datetime
    not_after: datetime
    organization: str | None = None
    domain: str | None = None
    """The domain component by which ISO 15118 tells its kinds of certificates apart."""
    names: tuple[str, ...] = ()
    """Host names, also wildcards, and IP addresses for the subjectAltName."""
    key: KeyKind = KeyKind.EC
    private_key: PrivateKey | None = field(default=None, repr=False)
    """To use this key instead of a new one."""
    authority: bool = False
    """Whether it may sign certificates."""
    path_length: int | None = None
    digest: hashes.HashAlgorithm = field(default_factory=hashes.SHA256)
    ocsp_url: str | None = None
    """Where its status is told (authorityInfoAccess)."""
    serial_number: int | None = None
    """A random one by default."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its private key, and the one above it."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    issuer: Issued | None = None
    """None: it has signed itself."""

    @property
    def pem(self) -> str:
        """The certificate alone."""
        return to_pem(self.certificate)

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """This certificate and those above it, without the root; the root's is itself."""
        return tuple(each.certificate for each in self._chain())

    @property
    def chain_pem(self) -> str:
        """`chain` as PEM, the leaf first."""
        return to_pem(self.chain)

    @property
    def root(self) -> Issued:
        """The top of the hierarchy."""
        top = self
        while top.issuer is not None:
            top = top.issuer
        return top

    @property
    def key_pem(self) -> str:
        """The private key as PKCS 8 without a password. A secret."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    @classmethod
    def read(cls, certificate: Path, key: Path, issuer: Issued | None = None) -> Issued:
        """What `write` wrote. Raises `ConfigurationError` naming the file that cannot be used."""
        try:
            read = parse_pem(certificate.read_bytes())[0]
        except (OSError, CertificateInvalid) as error:
            raise ConfigurationError(f"{certificate}: {error}") from None
        try:
            private = serialization.load_pem_private_key(key.read_bytes(), None)
        except (OSError, TypeError, ValueError) as error:
            raise ConfigurationError(f"{key}: {error}") from None
        if not isinstance(private, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
            raise ConfigurationError(f"{key}: is neither an EC nor an RSA key")
        return cls(read, private, issuer)

    def write(self, certificate: Path, key: Path) -> None:
        """Writes the chain, and the key to a file that only its owner may read.

        Raises `OSError`, also when there is a file of that name already.
        """
        write_new(certificate, self.chain_pem, 0o644)
        write_new(key, self.key_pem, 0o600)

    def _chain(self) -> list[Issued]:
        chain: list[Issued] = [self]
        while (above := chain[-1].issuer) is not None and above.issuer is not None:
            chain.append(above)
        return chain


def issue(recipe: Recipe, issuer: Issued | None = None) -> Issued:
    """A certificate by the recipe, signed by `issuer`, or by itself without one."""
    key = recipe.private_key or recipe.key.new()
    return Issued(certify(recipe, key.public_key(), issuer, key), key, issuer)


def certify(
    recipe: Recipe,
    public_key: PublicKey,
    issuer: Issued | None,
    own_key: PrivateKey | None = None,
) -> x509.Certificate:
    """A certificate for a public key, signed by `issuer`, or without one by `own_key`.

    It has a serial number (A00.FR.508), says what its key is for (A00.FR.512), and has no extended
    key usage (A00.FR.514). Raises `TypeError` with neither `issuer` nor `own_key`.
    """
    signer = own_key if issuer is None else issuer.key
    if signer is None:
        raise TypeError("nobody signs the certificate")
    subject = _subject(recipe)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(public_key)
        .serial_number(recipe.serial_number or x509.random_serial_number())
        .not_valid_before(recipe.not_before)
        .not_valid_after(recipe.not_after)
        .add_extension(
            x509.BasicConstraints(
                recipe.authority, recipe.path_length if recipe.authority else None
            ),
            critical=True,
        )
        .add_extension(_usage(recipe, public_key), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
    )
    if recipe.names:
        names = x509.SubjectAlternativeName([_name(name) for name in recipe.names])
        builder = builder.add_extension(names, critical=False)
    if recipe.ocsp_url is not None:
        place = x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(recipe.ocsp_url)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([place]), critical=False)
    return builder.sign(signer, recipe.digest)  # pyright: ignore[reportArgumentType]  # any digest


class Pki:
    """Roots, authorities and certificates, valid from the day before `now`.

    Roots are valid for 20 years, authorities below them for 10, all others for `days`. The methods
    that make a certificate take any field of `Recipe` as a change, and `issuer` for a wrong
    authority: `pki.station("CS001", issuer=other.csms_ca)`.
    """

    def __init__(
        self,
        now: datetime,
        *,
        organization: str = "ocpp_fast development",
        key: KeyKind = KeyKind.EC,
        days: float = 365.0,
        ocsp_url: str | None = None,
    ) -> None:
        """`ocsp_url` goes into all certificates that are no roots."""
        self.now = now
        self.organization = organization
        self.key = key
        self._days = days
        self._ocsp_url = ocsp_url

    # --- the charging station operator ----------------------------------------------------

    @cached_property
    def csms_root(self) -> Issued:
        """The operator's root, `CSMSRootCertificate` (A00.FR.601)."""
        return self.root("CSMS Root CA")

    @cached_property
    def csms_ca(self) -> Issued:
        """Signs the certificates of the CSMS and of the stations (A00.FR.602)."""
        return self.sub_ca("CSMS Sub-CA", self.csms_root)

    def server(self, *hosts: str, issuer: Issued | None = None, **changes: Any) -> Issued:
        """The certificate of a CSMS with these host names and addresses.

        The first is the common name (A00.FR.510), all are in the subjectAltName, see A00.FR.511.
        """
        recipe = self._recipe(hosts[0] if hosts else None, names=hosts)
        return issue(replace(recipe, **changes), issuer or self.csms_ca)

    def station(
        self, serial_number: str, /, *, issuer: Issued | None = None, **changes: Any
    ) -> Issued:
        """The client certificate of a station (A00.FR.509, 511), `ChargingStationCertificate`."""
        return issue(replace(self._recipe(serial_number), **changes), issuer or self.csms_ca)

    # --- ISO 15118 ------------------------------------------------------------------------

    @cached_property
    def v2g_root(self) -> Issued:
        """`V2GRootCertificate`."""
        return self.root("V2G Root CA", domain="V2G")

    @cached_property
    def v2g_upper_ca(self) -> Issued:
        """The upper of the two authorities below the root."""
        return self.sub_ca("CPO Sub-CA 1", self.v2g_root, domain="V2G", path_length=1)

    @cached_property
    def v2g_ca(self) -> Issued:
        """The operator's authority below the V2G root, the lower of two."""
        return self.sub_ca("CPO Sub-CA 2", self.v2g_upper_ca, domain="V2G")

    def secc(self, secc_id: str, /, *, issuer: Issued | None = None, **changes: Any) -> Issued:
        """The certificate that a station shows to cars, `V2GCertificate`."""
        recipe = self._recipe(secc_id, domain="CPO")
        return issue(replace(recipe, **changes), issuer or self.v2g_ca)

    @cached_property
    def mo_root(self) -> Issued:
        """The root of a mobility operator, `MORootCertificate`."""
        return self.root("MO Root CA", domain="MO")

    @cached_property
    def mo_upper_ca(self) -> Issued:
        """The upper of the two authorities below the root."""
        return self.sub_ca("MO Sub-CA 1", self.mo_root, domain="MO", path_length=1)

    @cached_property
    def mo_ca(self) -> Issued:
        """Signs contracts, the lower of two."""
        return self.sub_ca("MO Sub-CA 2", self.mo_upper_ca, domain="MO")

    def contract(self, emaid: str, /, *, issuer: Issued | None = None, **changes: Any) -> Issued:
        """The contract certificate that a car holds."""
        recipe = self._recipe(emaid, domain="MO")
        return issue(replace(recipe, **changes), issuer or self.mo_ca)

    @cached_property
    def oem_root(self) -> Issued:
        """The root of a maker of cars, `OEMRootCertificate`."""
        return self.root("OEM Root CA", domain="OEM")

    # --- the manufacturer -----------------------------------------------------------------

    @cached_property
    def manufacturer_root(self) -> Issued:
        """`ManufacturerRootCertificate` (A00.FR.604)."""
        return self.root("Manufacturer Root CA")

    def firmware_signer(self, *, issuer: Issued | None = None, **changes: Any) -> Issued:
        """The certificate that firmware is signed with."""
        recipe = self._recipe("Firmware Signing")
        return issue(replace(recipe, **changes), issuer or self.manufacturer_root)

    # --- parts and faults -----------------------------------------------------------------

    def root(self, common_name: str, /, **changes: Any) -> Issued:
        """One more root."""
        return issue(replace(self._authority(common_name, 20), ocsp_url=None, **changes))

    def sub_ca(self, common_name: str, issuer: Issued, /, **changes: Any) -> Issued:
        """One more authority, by default one that signs no further authorities."""
        recipe = replace(self._authority(common_name, 10), path_length=0)
        return issue(replace(recipe, **changes), issuer)

    def expired(self) -> dict[str, Any]:
        """Changes that make a certificate that expired the day before `now`."""
        return {"not_before": self.now - 30 * _DAY, "not_after": self.now - _DAY}

    def not_yet_valid(self) -> dict[str, Any]:
        """Changes that make one that will be valid the day after `now`."""
        return {"not_before": self.now + _DAY, "not_after": self.now + 30 * _DAY}

    def _recipe(self, common_name: str | None, **changes: Any) -> Recipe:
        recipe = Recipe(
            common_name=common_name,
            not_before=self.now - _DAY,
            not_after=self.now + self._days * _DAY,
            organization=self.organization,
            key=self.key,
            ocsp_url=self._ocsp_url,
        )
        return replace(recipe, **changes)

    def _authority(self, common_name: str, years: int) -> Recipe:
        return self._recipe(common_name, authority=True, not_after=self.now + years * 365 * _DAY)


def write_new(path: Path, text: str, mode: int) -> None:
    """Writes a file that was not there before. Raises `OSError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _subject(recipe: Recipe) -> x509.Name:
    parts = (
        (NameOID.COMMON_NAME, recipe.common_name),
        (NameOID.ORGANIZATION_NAME, recipe.organization),
        (NameOID.DOMAIN_COMPONENT, recipe.domain),
    )
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts if text is not None])


def _usage(recipe: Recipe, public_key: PublicKey) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,  # an authority signs OCSP responses with it
        content_commitment=False,
        # The TLS_RSA suites send the secret to this key (A00.FR.318).
        key_encipherment=not recipe.authority and isinstance(public_key, rsa.RSAPublicKey),
        data_encipherment=False,
        key_agreement=not recipe.authority and isinstance(public_key, ec.EllipticCurvePublicKey),
        key_cert_sign=recipe.authority,
        crl_sign=recipe.authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
