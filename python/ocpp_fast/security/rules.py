"""Which certificates may be trusted: pure judgement, without clock and without disk.

The path validation of RFC 5280, section 6 (A00.FR.308, A00.FR.403), as far as the hierarchies of
OCPP need it, and the certificate properties of Part 2, A00. Policies are not evaluated: a chain
that asks for them is refused, as is one with any critical extension that is not known here.

Every refusal is a `CertificateInvalid` whose text is one line: whose certificate, and why.
"""

from __future__ import annotations

import ipaddress
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from ocpp_fast.errors import CertificateInvalid
from ocpp_fast.security import name_constraints
from ocpp_fast.security.certificates import (
    common_name as common_name_of,
)
from ocpp_fast.security.certificates import (
    fingerprint,
    is_issued_by,
    is_self_issued,
    label,
    organizations,
    spki,
    validity,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives import hashes

    from ocpp_fast.security.certificates import Chain

__all__ = [
    "Purpose",
    "check_dates",
    "check_issuance",
    "check_root",
    "check_strength",
    "check_subject",
    "is_safe",
    "judge",
    "judge_path",
]

_RSA_BITS: Final = 2_048
_EC_BITS: Final = 224
# What BSI recommends for the years to come (A00.FR.504): nothing below 256 bits.
_DIGESTS: Final = {"sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"}
_SERIAL_BITS: Final = 160
"""20 octets (RFC 5280, 4.1.2.2); more do not fit into CertificateHashDataType.serialNumber."""
_MAX_PATH: Final = 10
_MAX_CHECKS: Final = 64
"""How many signatures are looked at for one path, whatever a peer puts into its chain."""

# Critical extensions that are honoured below, or that only restrict what is not used here.
_KNOWN: Final = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.ISSUER_ALTERNATIVE_NAME,
    ExtensionOID.NAME_CONSTRAINTS,
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.POLICY_MAPPINGS,
    ExtensionOID.INHIBIT_ANY_POLICY,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    ExtensionOID.CRL_DISTRIBUTION_POINTS,
}

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class Purpose(Enum):
    """What the leaf of a chain is to be used for."""

    CLIENT = "TLS client"
    """A ChargingStationCertificate."""
    SERVER = "TLS server"
    """The certificate of a CSMS, or a V2G certificate, which serves the EV."""
    ANY = "any"
    """Not looked at."""


_EXTENDED: Final = {
    Purpose.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
    Purpose.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
}


# --- whole chains ---------------------------------------------------------------------------------


def judge(
    chain: Chain,
    anchors: Iterable[x509.Certificate],
    now: datetime,
    *,
    purpose: Purpose = Purpose.ANY,
    common_name: str | None = None,
    organization: str | None = None,
    public_key: bytes | None = None,
    require_organization: bool = True,
    station: bool = False,
    elliptic_bits: int | None = None,
) -> tuple[x509.Certificate, ...]:
    """The path from the leaf to an anchor, both included, when everything about it is good.

    Checked are the signatures up to one of the anchors, the dates of every certificate, the right
    of each to sign the next, key strengths and algorithms (A00.FR.501, A00.FR.502, A00.FR.503,
    A00.FR.504), the serial number (A00.FR.508), the subject of the leaf (A00.FR.509, A00.FR.511;
    `common_name` and `organization` are what it must say, None asks only that they are there) and,
    if given, that it is for `public_key` (SubjectPublicKeyInfo as DER). `station` says that the CN
    must not look like that of a CSMS (A00.FR.511). `elliptic_bits` asks for an elliptic curve key
    of at least so many bits (V2G: 256). A02.FR.06, A03.FR.06.

    The order of the intermediates does not matter, and one that is not needed does no harm. Where
    several paths lead to an anchor, one that is good suffices. Raises `CertificateInvalid`.
    """
    leaf = chain.leaf
    if public_key is not None and spki(leaf) != public_key:
        raise _refusal(leaf, "is not for the key pair that was made for it")
    check_subject(
        leaf,
        common_name=common_name,
        organization=organization,
        require_organization=require_organization,
        station=station,
    )
    _check_serial_number(leaf)
    if elliptic_bits is not None:
        _check_elliptic(leaf, elliptic_bits)
    first: CertificateInvalid | None = None
    for path in _paths(chain, tuple(anchors)):
        try:
            judge_path(path, now, purpose=purpose)
        except CertificateInvalid as error:
            first = first or error
        else:
            return path
    raise first or _no_path(chain)


def judge_path(
    path: Sequence[x509.Certificate],
    now: datetime,
    *,
    purpose: Purpose = Purpose.ANY,
    require_organization: bool = False,
    check_time: bool = True,
) -> None:
    """The same for a path, leaf first and anchor last, whose signatures are known to hold because
    the TLS library has verified them. A third of a millisecond or less, for use in a handshake.

    `check_time` False leaves the dates out: a CSMS that was told to accept the expired certificate
    of a station (A00.FR.429). Raises `CertificateInvalid`.
    """
    leaf, anchor = path[0], path[-1]
    if require_organization and not organizations(leaf.subject):
        raise _refusal(leaf, "names no organization (O) in its subject (A00.FR.509)")
    if check_time:
        check_dates(path, now)
    below = 0  # intermediates under the certificate that count for its path length
    for index, certificate in enumerate(path):
        check_strength(certificate, anchor=certificate is anchor and len(path) > 1)
        _check_critical(certificate)
        if index:
            _check_authority(certificate, below)
            below += not is_self_issued(certificate)
    _check_purpose(leaf, purpose)
    reason = name_constraints.objection(path)
    if reason is not None:
        raise _refusal(leaf, reason)


def _paths(
    chain: Chain, anchors: Sequence[x509.Certificate]
) -> Iterator[tuple[x509.Certificate, ...]]:
    """All paths from the leaf to an anchor, the shortest of each branch first."""
    checks = _MAX_CHECKS
    trusted = {fingerprint(each) for each in anchors}
    open_paths: list[tuple[x509.Certificate, ...]] = [(chain.leaf,)]
    while open_paths:
        path = open_paths.pop()
        top = path[-1]
        if fingerprint(top) in trusted:
            yield path
            continue
        longer: list[tuple[x509.Certificate, ...]] = []
        for above in (*anchors, *chain.intermediates):
            if above.subject != top.issuer or above in path or len(path) == _MAX_PATH:
                continue
            if not checks:
                return
            checks -= 1
            if is_issued_by(top, above):
                longer.append((*path, above))
        open_paths.extend(reversed(longer))


def _no_path(chain: Chain) -> CertificateInvalid:
    """Why there is no path, as near to the cause as can be told."""
    top = chain.leaf
    seen = [top]
    while above := next(
        (each for each in chain.intermediates if each not in seen and is_issued_by(top, each)), None
    ):
        seen.append(above)
        top = above
    issuer = " ".join(top.issuer.rfc4514_string().split())[:120]
    return _refusal(top, f"is signed by no installed root (its issuer is {issuer or 'nameless'})")


# --- single certificates --------------------------------------------------------------------------


def check_root(
    certificate: x509.Certificate, now: datetime, issuers: Iterable[x509.Certificate] = ()
) -> None:
    """A certificate that is to be installed as root (M05.FR.07): a CA, not expired, strong enough,
    and if it names itself as its issuer, signed by itself or by one of `issuers`.

    One that begins later may be installed ahead: every use of it looks at its dates again. Raises
    `CertificateInvalid`.
    """
    not_after = validity(certificate)[1]
    if now > not_after:
        raise _refusal(certificate, f"expired on {_moment(not_after)}, it is now {_moment(now)}")
    _check_authority(certificate, 0)
    check_strength(certificate)
    _check_critical(certificate)
    _check_serial_number(certificate)
    if is_self_issued(certificate) and not any(
        is_issued_by(certificate, issuer) for issuer in (certificate, *issuers)
    ):
        raise _refusal(certificate, "is damaged, its signature does not fit")


def check_issuance(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """That `issuer` may sign certificates and has signed this one (M05.FR.10). Raises
    `CertificateInvalid`."""
    if not is_issued_by(certificate, issuer):
        raise _refusal(certificate, f"is not signed by {label(issuer)}")
    _check_authority(issuer, 0)


def check_dates(certificates: Iterable[x509.Certificate], now: datetime) -> None:
    """That each is valid now; both ends of the validity are included. Raises
    `CertificateInvalid`."""
    for certificate in certificates:
        not_before, not_after = validity(certificate)
        if now > not_after:
            reason = f"expired on {_moment(not_after)}, it is now {_moment(now)}"
            raise _refusal(certificate, reason)
        if now < not_before:
            reason = f"is not valid before {_moment(not_before)}, it is now {_moment(now)}"
            raise _refusal(certificate, reason)


def check_strength(certificate: x509.Certificate, *, anchor: bool = False) -> None:
    """Key (A00.FR.501, A00.FR.502, A00.FR.503) and signature algorithm (A00.FR.504, A00.FR.505,
    A00.FR.506). Of an anchor the key alone: it is trusted for what it is, not for who signed it.
    Raises `CertificateInvalid`."""
    try:
        key = certificate.public_key()
        digest = None if anchor else certificate.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        raise _refusal(certificate, "has a key or signature of an unknown kind") from None
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        if key.key_size < _RSA_BITS:
            reason = f"has a key of {key.key_size} bits, {_RSA_BITS} are needed (A00.FR.502)"
            raise _refusal(certificate, reason)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.key_size < _EC_BITS:
            reason = f"has a key of {key.curve.key_size} bits, {_EC_BITS} are needed (A00.FR.503)"
            raise _refusal(certificate, reason)
    elif not isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        raise _refusal(certificate, "has a key of an unknown kind (A00.FR.501)")
    # EdDSA has its hash built in and names none.
    if digest is not None and not is_safe(digest):
        reason = f"is signed with {digest.name}, which is not safe any more (A00.FR.504)"
        raise _refusal(certificate, reason)


def is_safe(digest: hashes.HashAlgorithm) -> bool:
    """Whether signatures may be made with this hash (A00.FR.504, A00.FR.506)."""
    return digest.name in _DIGESTS


def check_subject(
    certificate: x509.Certificate,
    *,
    common_name: str | None = None,
    organization: str | None = None,
    require_organization: bool = True,
    station: bool = False,
) -> None:
    """O (A00.FR.509) and CN (A00.FR.510, A00.FR.511). Raises `CertificateInvalid`.

    `organization` must be contained in an O and `common_name` be the CN, regardless of case. The CN
    of a `station` must look like neither a URL nor an IP address.
    """
    names = organizations(certificate.subject)
    if require_organization and not any(names):
        raise _refusal(certificate, "names no organization (O) in its subject (A00.FR.509)")
    if organization is not None and not any(
        organization.casefold() in each.casefold() for each in names
    ):
        found = ", ".join(names) or "none"
        reason = f"belongs to {found}, not to {organization} (O, A00.FR.509)"
        raise _refusal(certificate, _one_line(reason))
    found = common_name_of(certificate)
    if not found:
        raise _refusal(certificate, "has no common name (CN) in its subject")
    if common_name is not None and found.casefold() != common_name.casefold():
        raise _refusal(certificate, _one_line(f"is for {found}, not for {common_name} (CN)"))
    if station and _is_address(found):
        reason = "has a CN in the form of a URL or an IP address, not a serial number (A00.FR.511)"
        raise _refusal(certificate, reason)


def _is_address(name: str) -> bool:
    if "://" in name:
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _check_serial_number(certificate: x509.Certificate) -> None:
    number = certificate.serial_number
    if number < 0 or number.bit_length() > _SERIAL_BITS:
        raise _refusal(certificate, "has a serial number that is no 20 octets (A00.FR.508)")


def _check_elliptic(certificate: x509.Certificate, bits: int) -> None:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.key_size < bits:
        raise _refusal(certificate, f"has no elliptic curve key of {bits} bits, as ISO 15118 asks")


def _check_authority(certificate: x509.Certificate, below: int) -> None:
    """That it may sign certificates, with `below` intermediates between it and the leaf."""
    basic = _extension(certificate, x509.BasicConstraints)
    if basic is None or not basic.ca:
        raise _refusal(certificate, "is no certificate authority, it may not sign certificates")
    if basic.path_length is not None and below > basic.path_length:
        reason = f"allows {basic.path_length} authorities below it, the chain has {below}"
        raise _refusal(certificate, reason)
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise _refusal(certificate, "may not sign certificates (key usage)")


def _check_purpose(leaf: x509.Certificate, purpose: Purpose) -> None:
    """A00.FR.512. The extended usage is looked at where it is there, though A00.FR.514 advises not
    to use it: the peer's TLS library looks too."""
    if purpose is Purpose.ANY:
        return
    basic = _extension(leaf, x509.BasicConstraints)
    if purpose is Purpose.CLIENT and basic is not None and basic.ca:
        raise _refusal(leaf, "is a certificate authority, which no station is (A00.FR.512)")
    usage = _extension(leaf, x509.KeyUsage)
    if usage is not None:
        signs = usage.digital_signature or usage.key_agreement
        if not signs and not (purpose is Purpose.SERVER and usage.key_encipherment):
            raise _refusal(leaf, f"may not be used as {purpose.value} (key usage)")
    extended = _extension(leaf, x509.ExtendedKeyUsage)
    if extended is not None and not {
        _EXTENDED[purpose],
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    } & set(extended):
        raise _refusal(leaf, f"may not be used as {purpose.value} (extended key usage)")


def _check_critical(certificate: x509.Certificate) -> None:
    for extension in _extensions(certificate):
        if extension.critical and extension.oid not in _KNOWN:
            reason = f"has a critical extension that is not known, {extension.oid.dotted_string}"
            raise _refusal(certificate, reason)


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return _extensions(certificate).get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _extensions(certificate: x509.Certificate) -> x509.Extensions:
    try:
        return certificate.extensions
    except (ValueError, TypeError, x509.DuplicateExtension):
        raise _refusal(certificate, "has extensions that cannot be read") from None


def _refusal(certificate: x509.Certificate, reason: str) -> CertificateInvalid:
    return CertificateInvalid(f"certificate {label(certificate)}: {reason}")


def _one_line(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)[:300]


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
