"""A certificate authority for development and tests: signs CSRs, tells what is revoked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from ocpp_fast.errors import CertificateInvalid
from ocpp_fast.security.certificates import (
    HASH_ALGORITHMS,
    HashData,
    common_names,
    organizations,
    to_pem,
)
from ocpp_fast.security.pki import Recipe, certify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocpp_fast.clock import Clock
    from ocpp_fast.security.pki import Issued

__all__ = ["CertificateAuthority", "read_csr"]

# A station may refuse what becomes valid just now, for its clock may be behind (A02.FR.06, note).
_EARLIER: Final = timedelta(hours=1)


class CertificateAuthority:
    """Signs what stations ask for and answers for the certificates of its authorities.

    `stations` signs client certificates, `v2g` those that a station shows to cars; OCSP is also
    answered for what is signed by `others`, and by whatever stands above any of them. Nothing is
    checked that a real authority would check about who asks; that is up to its CSMS.
    """

    def __init__(
        self,
        stations: Issued,
        clock: Clock,
        *,
        v2g: Issued | None = None,
        others: Iterable[Issued] = (),
        lifetime: timedelta = timedelta(days=365),
        status_lifetime: timedelta = timedelta(days=7),
    ) -> None:
        """`lifetime` is that of what it signs, `status_lifetime` that of its OCSP responses."""
        self.stations = stations
        self.v2g = v2g
        self.lifetime = lifetime
        self.status_lifetime = status_lifetime
        self.revoked: set[int] = set()
        """Serial numbers."""
        self._clock = clock
        self._issuers: list[Issued] = []
        for each in (stations, *((v2g,) if v2g is not None else ()), *others):
            above: Issued | None = each
            while above is not None:
                self._issuers.append(above)
                above = above.issuer

    def sign(self, csr: str, certificate_type: str | None = None, **changes: Any) -> str:
        """The chain for a PEM signing request: the leaf, then all authorities but the root.

        `certificate_type` is a CertificateSigningUseEnumType; None is ChargingStationCertificate.
        Subject and public key are those of the request; `changes` are fields of `pki.Recipe`.
        Raises `CertificateInvalid` for a request that cannot be read, whose signature is wrong or
        whose key is too weak, and when there is no authority for the type.
        """
        v2g = certificate_type in {"V2GCertificate", "V2G20Certificate"}
        issuer = self.v2g if v2g else self.stations
        if issuer is None:
            raise CertificateInvalid(f"no authority for {certificate_type}")
        request = read_csr(csr)
        now = self._clock.now()
        domains = request.subject.get_attributes_for_oid(NameOID.DOMAIN_COMPONENT)
        recipe = Recipe(
            common_name=_last(common_names(request.subject)),
            organization=_last(organizations(request.subject)),
            domain=str(domains[0].value) if domains else None,
            not_before=now - _EARLIER,
            not_after=now + self.lifetime,
        )
        key = request.public_key()
        if not isinstance(key, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey)):
            raise CertificateInvalid("the signing request has neither an EC nor an RSA key")
        leaf = certify(replace(recipe, **changes), key, issuer)
        return to_pem(leaf) + ("" if issuer.issuer is None else issuer.chain_pem)

    # --- OCSP -----------------------------------------------------------------------------

    def status(self, certificate: HashData) -> bytes:
        """The OCSP response (DER) about a certificate, as GetCertificateStatus carries it (M06).

        Good, or revoked if its serial number is in `revoked`. Raises `CertificateInvalid` when it
        is none of this authority's.
        """
        try:
            algorithm = HASH_ALGORITHMS[certificate.hash_algorithm]()
            name_hash = bytes.fromhex(certificate.issuer_name_hash)
            key_hash = bytes.fromhex(certificate.issuer_key_hash)
            number = int(certificate.serial_number, 16)
        except (KeyError, ValueError):
            raise CertificateInvalid("the certificate is not named as it must be") from None
        return self._status(algorithm, name_hash, key_hash, number)

    def answer(self, request: bytes) -> bytes:
        """The OCSP response to an OCSP request over HTTP, both DER; never raises for bad ones."""
        try:
            asked = ocsp.load_der_ocsp_request(request)
            return self._status(
                asked.hash_algorithm,
                asked.issuer_name_hash,
                asked.issuer_key_hash,
                asked.serial_number,
            )
        except (CertificateInvalid, ValueError) as error:
            status = ocsp.OCSPResponseStatus
            unreadable = isinstance(error, ValueError)
            refused = status.MALFORMED_REQUEST if unreadable else status.UNAUTHORIZED
            response = ocsp.OCSPResponseBuilder.build_unsuccessful(refused)
            return response.public_bytes(serialization.Encoding.DER)

    def _status(
        self, algorithm: hashes.HashAlgorithm, name_hash: bytes, key_hash: bytes, number: int
    ) -> bytes:
        issuer = self._issuer(algorithm, name_hash, key_hash)
        now = self._clock.now()
        revoked = number in self.revoked
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                name_hash,
                key_hash,
                number,
                algorithm,
                ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
                now - _EARLIER,
                now + self.status_lifetime,
                now - _EARLIER if revoked else None,
                None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, issuer.certificate)
            .sign(issuer.key, hashes.SHA256())
        )
        return response.public_bytes(serialization.Encoding.DER)

    def _issuer(self, algorithm: hashes.HashAlgorithm, name_hash: bytes, key_hash: bytes) -> Issued:
        for issuer in self._issuers:
            own = issuer.certificate
            name = hashes.Hash(algorithm)
            name.update(own.subject.public_bytes())
            # The hash of the key is left to the package, see `certificates.hash_data`.
            request = ocsp.OCSPRequestBuilder().add_certificate(own, own, algorithm).build()
            if (name.finalize(), request.issuer_key_hash) == (name_hash, key_hash):
                return issuer
        raise CertificateInvalid("no certificate of this authority")


def read_csr(csr: str) -> x509.CertificateSigningRequest:
    """A PEM signing request whose own signature is right.

    Raises `CertificateInvalid`, also for a key that is too weak (A00.FR.501-503).
    """
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        key = request.public_key()
    except ValueError:
        raise CertificateInvalid("the signing request cannot be read") from None
    if not request.is_signature_valid:
        raise CertificateInvalid("the signature of the signing request is wrong")
    least = {rsa.RSAPublicKey: 2048, ec.EllipticCurvePublicKey: 224}
    for kind, bits in least.items():
        if isinstance(key, kind) and key.key_size < bits:
            raise CertificateInvalid(f"the key of the signing request has {key.key_size} bits")
    if not common_names(request.subject):
        raise CertificateInvalid("the signing request has no common name")
    return request


def _last(texts: tuple[str, ...]) -> str | None:
    return texts[-1] if texts else None
