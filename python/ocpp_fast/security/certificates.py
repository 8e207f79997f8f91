"""X.509 certificates as OCPP speaks of them: PEM texts, chains, hash data.

Reading and writing only. Whether a certificate may be trusted is the affair of `rules`, where it is
kept of `store`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from ocpp_fast.errors import CertificateInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

__all__ = [
    "DEFAULT_HASH",
    "HASH_ALGORITHMS",
    "MAX_CERTIFICATES",
    "PEM_MARK",
    "Chain",
    "HashData",
    "chain_of",
    "common_name",
    "common_names",
    "fingerprint",
    "hash_data",
    "is_issued_by",
    "is_self_issued",
    "is_self_signed",
    "label",
    "match",
    "organizations",
    "parse_certificate",
    "parse_chain",
    "parse_der",
    "parse_pem",
    "pem_blocks",
    "public_key_id",
    "read_file",
    "spki",
    "to_pem",
    "validity",
]

HASH_ALGORITHMS: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    "SHA256": hashes.SHA256,
    "SHA384": hashes.SHA384,
    "SHA512": hashes.SHA512,
}
"""HashAlgorithmEnumType, the same in 2.0.1 and 2.1."""
DEFAULT_HASH: Final = "SHA256"
"""What this station reports hash data with (A00.FR.506)."""
MAX_CERTIFICATES: Final = 1_000
"""How many certificates one text may hold; the bundles of operating systems have about 150."""
_MAX_CHAIN: Final = 10
PEM_MARK: Final = b"-----BEGIN "
_MAX_NAME: Final = 120

_BEGIN: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\s")
_LABELS: Final = {"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"}
# What `cryptography` raises for bytes that are no certificate, or one that it refuses to read.
_UNREADABLE = (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, x509.InvalidVersion)


# --- PEM and DER ----------------------------------------------------------------------------------


def parse_der(der: bytes) -> x509.Certificate:
    """The certificate of these bytes, all parts of it readable. Raises `CertificateInvalid`."""
    try:
        return _whole(x509.load_der_x509_certificate(der))
    except _UNREADABLE as error:
        raise CertificateInvalid(f"no readable certificate: {_one_line(error)}") from None


def pem_blocks(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The complete blocks of a PEM text, each with what it says to be. Takes a time that grows with
    the length of the text and no faster, whatever is in it."""
    begin = _BEGIN.search(data)
    while begin is not None:
        following = _BEGIN.search(data, begin.end())
        end = b"-----END " + begin[1] + b"-----"
        stop = data.find(end, begin.end(), following.start() if following else len(data))
        if stop >= 0:
            yield begin[1].decode("ascii"), data[begin.start() : stop + len(end)]
        begin = following


def _certificate_blocks(data: bytes) -> Iterator[bytes]:
    return (block for kind, block in pem_blocks(data) if kind in _LABELS)


def parse_pem(text: str | bytes) -> list[x509.Certificate]:
    """The certificates of a PEM text, one or more, in the order of the text (A00.FR.507).

    What stands between and around them (comments, keys) is passed over, line ends may be of any
    kind. Raises `CertificateInvalid` when there is none, when one of them cannot be read, or when
    there are more than `MAX_CERTIFICATES`.
    """
    data = text.encode(errors="replace") if isinstance(text, str) else text
    certificates: list[x509.Certificate] = []
    for block in _certificate_blocks(data):
        if len(certificates) == MAX_CERTIFICATES:
            raise CertificateInvalid(f"more than {MAX_CERTIFICATES} certificates in one text")
        try:
            certificates.append(_whole(x509.load_pem_x509_certificate(block)))
        except _UNREADABLE as error:
            number = len(certificates) + 1
            reason = f"certificate {number} of the text cannot be read: {_one_line(error)}"
            raise CertificateInvalid(reason) from None
    if not certificates:
        raise CertificateInvalid("no certificate in PEM format")
    return certificates


def read_file(data: bytes) -> tuple[list[x509.Certificate], list[str]]:
    """The readable certificates of a file, PEM or DER, and what is wrong with the others.

    Never raises: in a bundle with one damaged certificate the others stay readable.
    """
    if PEM_MARK not in data:
        try:
            return [parse_der(data)], []
        except CertificateInvalid as error:
            return [], [str(error)]
    certificates: list[x509.Certificate] = []
    problems: list[str] = []
    for number, block in enumerate(_certificate_blocks(data), 1):
        if number > MAX_CERTIFICATES:
            problems.append(f"more than {MAX_CERTIFICATES} certificates in one file")
            break
        try:
            certificates.append(_whole(x509.load_pem_x509_certificate(block)))
        except _UNREADABLE as error:
            problems.append(f"certificate {number} cannot be read: {_one_line(error)}")
    return certificates, problems


def parse_certificate(text: str | bytes) -> x509.Certificate:
    """The only certificate of a PEM text. Raises `CertificateInvalid` if there are none or more."""
    certificates = parse_pem(text)
    if len(certificates) > 1:
        raise CertificateInvalid(f"{len(certificates)} certificates where one is expected")
    return certificates[0]


def to_pem(certificates: x509.Certificate | Iterable[x509.Certificate]) -> str:
    """One or more certificates as PEM text."""
    if isinstance(certificates, x509.Certificate):
        certificates = (certificates,)
    return "".join(each.public_bytes(Encoding.PEM).decode("ascii") for each in certificates)


def _whole(certificate: x509.Certificate) -> x509.Certificate:
    """Raises what `_UNREADABLE` lists if a part that is only read later is damaged.

    `cryptography` reads lazily. A certificate with a broken extension must be found when it
    arrives, not when a rule asks for that extension in the middle of a handshake.
    """
    _ = certificate.subject, certificate.issuer, certificate.extensions, certificate.version
    certificate.public_key()
    return certificate


# --- chains ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chain:
    """A certificate and those that lead up to, but do not include, a root."""

    leaf: x509.Certificate
    intermediates: tuple[x509.Certificate, ...] = ()
    """From the issuer of the leaf upwards as far as the order is known."""

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """The leaf, then the intermediates."""
        return (self.leaf, *self.intermediates)

    @property
    def pem(self) -> str:
        """The form of CertificateSignedRequest: the leaf first."""
        return to_pem(self.certificates)

    def __repr__(self) -> str:
        return f"Chain({', '.join(label(each) for each in self.certificates)})"


def parse_chain(text: str | bytes, max_size: int | None = None) -> Chain:
    """The chain of a CertificateSignedRequest, or of a file.

    The leaf is the one certificate that signed none of the others, the order above it does not
    matter, repetitions and self-signed certificates above the leaf are left out: CSMSs send all
    of these. Where the leaf cannot be told so, the first one is it, as the specification says.
    Raises `CertificateInvalid`, also for more than 10 certificates or a text of more than
    `max_size` characters (MaxCertificateChainSize, A02.FR.16, A03.FR.16).
    """
    if max_size is not None and len(text) > max_size:
        reason = f"the chain has {len(text)} characters, MaxCertificateChainSize allows {max_size}"
        raise CertificateInvalid(reason)
    return chain_of(parse_pem(text))


def chain_of(certificates: Sequence[x509.Certificate]) -> Chain:
    """The chain that these certificates make, see `parse_chain`."""
    distinct = list({fingerprint(each): each for each in certificates}.values())
    if len(distinct) > _MAX_CHAIN:
        raise CertificateInvalid(f"{len(distinct)} certificates in a chain, {_MAX_CHAIN} allowed")
    leaf = _leaf(distinct)
    rest = [each for each in distinct if each is not leaf and not is_self_signed(each)]
    ordered: list[x509.Certificate] = []
    below = leaf
    while rest:
        above = next((each for each in rest if each.subject == below.issuer), rest[0])
        rest.remove(above)
        ordered.append(above)
        below = above
    return Chain(leaf, tuple(ordered))


def _leaf(certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    ends = [
        each
        for each in certificates
        if not any(other is not each and other.issuer == each.subject for other in certificates)
    ]
    return ends[0] if len(ends) == 1 else certificates[0]


# --- hash data ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HashData:
    """What CertificateHashDataType says of a certificate; its members in the same order."""

    hash_algorithm: str
    """`SHA256`, `SHA384` or `SHA512`."""
    issuer_name_hash: str
    """Over the DER form of the issuer field of the certificate; hexadecimal."""
    issuer_key_hash: str
    """Over the bits of the issuer's public key, without tag, length and the count of unused bits
    (the same as in an OCSP request); hexadecimal."""
    serial_number: str
    """Hexadecimal, without leading zeros; `0` for a zero."""

    def same(self, other: HashData) -> bool:
        """Whether both mean the same certificate. Case does not matter, nor do leading zeros: the
        specification asks for neither in comparisons, and CSMSs differ in both."""
        return self._folded() == other._folded()

    def _folded(self) -> tuple[str, str, str, str]:
        return (
            self.hash_algorithm,
            self.issuer_name_hash.lower(),
            self.issuer_key_hash.lower(),
            self.serial_number.lower().lstrip("0"),
        )


def hash_data(
    certificate: x509.Certificate,
    issuer: x509.Certificate | None = None,
    algorithm: str = DEFAULT_HASH,
) -> HashData:
    """The hash data of a certificate, in lower case (M03.FR.04).

    `issuer` is the certificate above it; None for a root, which is above itself. Where the issuer
    is not known, None gives data that identify the certificate all the same, as long as both ends
    do not compute it themselves. Raises `ValueError` for an algorithm that OCPP does not have.
    """
    if algorithm not in HASH_ALGORITHMS:
        raise ValueError(f"{algorithm} is none of {', '.join(HASH_ALGORITHMS)}")
    return _hash_data(certificate, issuer or certificate, algorithm)


def _hash_data(certificate: x509.Certificate, issuer: x509.Certificate, algorithm: str) -> HashData:
    # The certificate id of RFC 6960 is over the same three things, so it is left to the package
    # that knows how to compute them from the original bytes.
    digest = HASH_ALGORITHMS[algorithm]()
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, digest)
    request = builder.build()
    return HashData(
        algorithm,
        request.issuer_name_hash.hex(),
        request.issuer_key_hash.hex(),
        f"{request.serial_number:x}",
    )


def match(
    wanted: HashData, certificate: x509.Certificate, issuer: x509.Certificate | None = None
) -> bool:
    """Whether the hash data mean this certificate; False also for an unknown algorithm."""
    if wanted.hash_algorithm not in HASH_ALGORITHMS:
        return False
    return hash_data(certificate, issuer, wanted.hash_algorithm).same(wanted)


# --- names ----------------------------------------------------------------------------------------


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 over the whole certificate, hexadecimal: two are equal when these are."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def spki(certificate: x509.Certificate) -> bytes:
    """The public key with its algorithm, as DER (SubjectPublicKeyInfo)."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def public_key_id(public_key: bytes) -> str:
    """A name for a key pair: the first 32 hexadecimal digits of SHA-256 over the public key, which
    is given as DER (SubjectPublicKeyInfo)."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(public_key)
    return digest.finalize().hex()[:32]


def common_names(name: x509.Name) -> tuple[str, ...]:
    """The CN parts of a subject or an issuer."""
    return _parts(name, x509.NameOID.COMMON_NAME)


def common_name(certificate: x509.Certificate) -> str | None:
    """The CN of the subject; None if there is none. The last one, if there are several."""
    names = common_names(certificate.subject)
    return names[-1] if names else None


def organizations(name: x509.Name) -> tuple[str, ...]:
    """The O parts of a subject or an issuer (A00.FR.509)."""
    return _parts(name, x509.NameOID.ORGANIZATION_NAME)


def _parts(name: x509.Name, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    values = (each.value for each in name.get_attributes_for_oid(oid))
    return tuple(value for value in values if isinstance(value, str))


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Whether subject and issuer are the same, which says nothing about who signed it."""
    return certificate.subject == certificate.issuer


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the names fit and the key of `issuer` has made the signature."""
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether it was signed with its own key, as roots are."""
    return is_issued_by(certificate, certificate)


def validity(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    """The first and the last moment of its validity, aware UTC."""
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def label(certificate: x509.Certificate) -> str:
    """A certificate in a line of a log: its subject, in at most about 120 characters.

    One line whatever the subject holds, since peers choose it.
    """
    name = certificate.subject.rfc4514_string()
    if not name:
        name = f"serial number {certificate.serial_number:x}"
    text = "".join(each if each.isprintable() else "?" for each in name)
    return text if len(text) <= _MAX_NAME else f"{text[:_MAX_NAME]}..."


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:_MAX_NAME] or type(error).__name__
