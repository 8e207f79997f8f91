"""The status of certificates (RFC 6960): asking, judging answers, remembering them.

Two callers: the station itself about the certificate of its CSMS, over HTTP, where it is told to
(Python's `ssl` offers no stapling); and, for ISO 15118, the station through its CSMS about its own
V2G certificates (M06), whose answers it keeps for the handshake with the EV.
"""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    SignatureAlgorithmOID,
)

from ocpp_fast.errors import CertificateInvalid, PeerError
from ocpp_fast.security import rules
from ocpp_fast.security.certificates import (
    DEFAULT_HASH,
    HASH_ALGORITHMS,
    fingerprint,
    hash_data,
    is_issued_by,
    label,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocpp_fast.clock import Clock
    from ocpp_fast.security.certificates import HashData

__all__ = [
    "CertificateStatus",
    "Fetch",
    "OcspCache",
    "OcspClient",
    "OcspFailed",
    "Status",
    "StatusRequest",
    "build_request",
    "judge_response",
    "read_result",
    "responder_urls",
    "status_requests",
]

Fetch: TypeAlias = Callable[[str, bytes], Awaitable[bytes]]
"""POSTs an OCSP request to a URL and gives the body of the answer; raises `OcspFailed`."""

MAX_RESPONSE: Final = 65_536
_MAX_URLS: Final = 3
_MAX_URL: Final = 2_000
_MAX_CACHED: Final = 256
_SKEW: Final = timedelta(minutes=5)
"""How far the clocks of station and responder may differ."""
_WEEK: Final = timedelta(days=7)
_WITHOUT_NEXT: Final = timedelta(days=1)
"""How old an answer may be that does not say how long it holds."""
_FAILED_FOR: Final = timedelta(minutes=10)


class Status(StrEnum):
    """What is known of a certificate; the words of CertificateStatusEnumType."""

    GOOD = "Good"
    REVOKED = "Revoked"
    UNKNOWN = "Unknown"
    """The responder does not know it."""
    FAILED = "Failed"
    """No responder gave an answer that can be used."""


class OcspFailed(PeerError):
    """No answer that can be used; the text says why in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateStatus:
    """A judged answer about one certificate, or that there is none."""

    status: Status
    this_update: datetime
    next_update: datetime | None = None
    """Until when it holds; None if it does not say so."""
    response: bytes = field(default=b"", repr=False)
    """The whole OCSPResponse, DER, as TLS stapling wants it; empty for `FAILED`."""
    reason: str = ""
    """Why it is `FAILED`, in one line."""

    @property
    def usable_until(self) -> datetime:
        """When it must not be used any more: its end, and never longer than a week (M06.FR.10)."""
        if self.status is Status.FAILED:
            return self.this_update + _FAILED_FOR
        end = self.next_update or self.this_update + _WITHOUT_NEXT
        return min(end, self.this_update + _WEEK) + _SKEW


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRequest:
    """OCSPRequestDataType, and what is needed to judge the answer."""

    data: HashData
    responder_url: str
    certificate: x509.Certificate
    issuer: x509.Certificate


# --- asking ---------------------------------------------------------------------------------------


def responder_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    """The http and https addresses of OCSP responders in the certificate (authority information
    access), in its order, at most 3."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except (x509.ExtensionNotFound, ValueError, TypeError):
        return ()
    urls = (
        each.access_location.value
        for each in access.value
        if each.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(each.access_location, x509.UniformResourceIdentifier)
    )
    usable = [each for each in urls if _is_http(each)]
    return tuple(usable[:_MAX_URLS])


def status_requests(
    path: Sequence[x509.Certificate], algorithm: str = DEFAULT_HASH
) -> tuple[StatusRequest, ...]:
    """M06.FR.06, M06.FR.07: what to ask of a V2G chain: the leaf and each intermediate that names
    a responder and whose issuer stands in `path` (see `CertificateStore.path`)."""
    requests: list[StatusRequest] = []
    for certificate in path:
        issuer = next(
            (each for each in path if each != certificate and is_issued_by(certificate, each)), None
        )
        urls = responder_urls(certificate)
        if issuer is not None and urls:
            data = hash_data(certificate, issuer, algorithm)
            request = StatusRequest(
                data=data, responder_url=urls[0], certificate=certificate, issuer=issuer
            )
            requests.append(request)
    return tuple(requests)


def build_request(
    certificate: x509.Certificate, issuer: x509.Certificate, algorithm: str = DEFAULT_HASH
) -> bytes:
    """An OCSPRequest, DER. Without nonce: responders that sign ahead ignore it, and the dates of
    the answer tell how fresh it is."""
    builder = ocsp.OCSPRequestBuilder()
    digest = HASH_ALGORITHMS[algorithm]()
    request = builder.add_certificate(certificate, issuer, digest).build()
    return request.public_bytes(Encoding.DER)


def read_result(text: str) -> bytes:
    """GetCertificateStatusResponse.ocspResult: DER in base64 (M06.FR.03, M06.FR.08, M06.FR.09).
    Raises `OcspFailed`."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (ValueError, binascii.Error):
        raise OcspFailed("the OCSP result is no base64") from None


def _is_http(url: str) -> bool:
    """Only these are fetched, and no text that could break out of a line of HTTP or of a log."""
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= _MAX_URL
    return plain and url.lower().startswith(("http://", "https://"))


# --- judging --------------------------------------------------------------------------------------


def judge_response(
    response: bytes, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
) -> CertificateStatus:
    """What the answer says of the certificate.

    It must be signed by the issuer, or by a responder that the issuer delegated to (its certificate
    signed by the issuer, valid now, with the extended key usage OCSP signing), with an algorithm
    that is safe (A00.FR.504), not from the future and not past its nextUpdate. Without nextUpdate
    it holds for a day. Raises `OcspFailed`.
    """
    try:
        answer = ocsp.load_der_ocsp_response(response)
        if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            name = answer.response_status.name.lower()
            raise OcspFailed(f"the responder refuses to answer: {name}")
        return _judge(response, answer, certificate, issuer, now)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        text = " ".join(str(error).split())[:120]
        raise OcspFailed(f"the answer cannot be read: {text}") from None


def _judge(
    response: bytes,
    answer: ocsp.OCSPResponse,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    now: datetime,
) -> CertificateStatus:
    signer = _signer(answer, issuer, now)
    if not _signed_by(answer, signer):
        raise OcspFailed(f"the signature of the answer is not that of {label(signer)}")
    single = next((each for each in answer.responses if _is_about(each, certificate, issuer)), None)
    if single is None:
        raise OcspFailed(f"the answer is not about {label(certificate)}")
    this_update, next_update = single.this_update_utc, single.next_update_utc
    if this_update > now + _SKEW:
        raise OcspFailed(f"the answer is from the future, {this_update:%Y-%m-%dT%H:%M:%SZ}")
    if now > (next_update or this_update + _WITHOUT_NEXT) + _SKEW:
        raise OcspFailed(f"the answer is too old, of {this_update:%Y-%m-%dT%H:%M:%SZ}")
    status = {
        ocsp.OCSPCertStatus.GOOD: Status.GOOD,
        ocsp.OCSPCertStatus.REVOKED: Status.REVOKED,
        ocsp.OCSPCertStatus.UNKNOWN: Status.UNKNOWN,
    }[single.certificate_status]
    return CertificateStatus(
        status=status, this_update=this_update, next_update=next_update, response=response
    )


def _is_about(
    single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> bool:
    """The responder chooses the hash algorithm, also SHA-1, which is not used to sign here."""
    if single.serial_number != certificate.serial_number:
        return False
    builder = ocsp.OCSPRequestBuilder()
    own = builder.add_certificate(certificate, issuer, single.hash_algorithm).build()
    names = own.issuer_name_hash == single.issuer_name_hash
    return names and own.issuer_key_hash == single.issuer_key_hash


def _signer(answer: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> x509.Certificate:
    """The certificate whose key must have signed. Raises `OcspFailed`."""
    for candidate in (issuer, *answer.certificates):
        if not _is_responder(answer, candidate):
            continue
        if candidate == issuer:
            return issuer
        if not is_issued_by(candidate, issuer):
            raise OcspFailed(f"the responder {label(candidate)} is not signed by {label(issuer)}")
        try:
            usage = candidate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            usage = ()
        if ExtendedKeyUsageOID.OCSP_SIGNING not in usage:
            raise OcspFailed(f"{label(candidate)} may not answer for {label(issuer)}")
        try:
            rules.check_dates((candidate,), now)
            rules.check_strength(candidate)
        except CertificateInvalid as error:
            raise OcspFailed(f"the responder's {error}") from None
        return candidate
    raise OcspFailed(f"neither {label(issuer)} nor a responder of it has answered")


def _is_responder(answer: ocsp.OCSPResponse, candidate: x509.Certificate) -> bool:
    if answer.responder_name is not None:
        return answer.responder_name == candidate.subject
    key_hash = answer.responder_key_hash
    return key_hash == x509.SubjectKeyIdentifier.from_public_key(candidate.public_key()).digest


def _signed_by(answer: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, digest = signer.public_key(), answer.signature_hash_algorithm
    if digest is not None and not rules.is_safe(digest):
        raise OcspFailed(f"the answer is signed with {digest.name}, which is not safe any more")
    signature, data = answer.signature, answer.tbs_response_bytes
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(signature, data, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey) and digest is not None:
            if answer.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
                scheme = padding.PSS(padding.MGF1(digest), padding.PSS.AUTO)
                key.verify(signature, data, scheme, digest)
            else:
                key.verify(signature, data, padding.PKCS1v15(), digest)
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, data)
        else:
            return False
    except InvalidSignature:
        return False
    return True


# --- remembering ----------------------------------------------------------------------------------


class OcspCache:
    """The last answers, at most 256, each until `CertificateStatus.usable_until`."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, CertificateStatus] = OrderedDict()

    def put(self, certificate: x509.Certificate, status: CertificateStatus) -> None:
        """Takes the place of an earlier answer; that there is none takes no place of a good one."""
        name = fingerprint(certificate)
        known = self._kept.get(name)
        if (
            status.status is Status.FAILED
            and known is not None
            and known.status is not Status.FAILED
            and known.usable_until > status.this_update
        ):
            return
        self._kept[name] = status
        self._kept.move_to_end(name)
        if len(self._kept) > _MAX_CACHED:
            self._kept.popitem(last=False)

    def get(self, certificate: x509.Certificate, now: datetime) -> CertificateStatus | None:
        """The answer, if it may still be used."""
        status = self._kept.get(fingerprint(certificate))
        return status if status is not None and now < status.usable_until else None


class OcspClient:
    """Asks the responders that certificates name, and remembers what they say."""

    def __init__(
        self, clock: Clock, fetch: Fetch | None = None, cache: OcspCache | None = None
    ) -> None:
        """`fetch` is `ocsp_http.fetcher(clock)` unless a test gives another."""
        if fetch is None:
            from ocpp_fast.security import ocsp_http

            fetch = ocsp_http.fetcher(clock)
        self.cache = cache or OcspCache()
        self._clock = clock
        self._fetch = fetch

    def cached(
        self, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> CertificateStatus | None:
        """What is known now, without asking: a usable answer, that there was none lately, or None.
        An answer counts for the issuer that it was judged with."""
        del issuer
        return self.cache.get(certificate, self._clock.now())

    async def status(
        self, certificate: x509.Certificate, issuer: x509.Certificate
    ) -> CertificateStatus:
        """From the cache, else from the first responder that gives a usable answer.

        Never raises for what a responder does: `Status.FAILED` with the reason, remembered for ten
        minutes, so that a dead responder is not asked at each dial.
        """
        known = self.cached(certificate, issuer)
        if known is not None:
            return known
        reason = "it names no responder"
        for url in responder_urls(certificate):
            try:
                response = await self._fetch(url, build_request(certificate, issuer))
                status = judge_response(response, certificate, issuer, self._clock.now())
            except OcspFailed as error:
                reason = f"{url}: {error}"
            else:
                self.cache.put(certificate, status)
                return status
        failed = CertificateStatus(
            status=Status.FAILED, this_update=self._clock.now(), reason=reason
        )
        self.cache.put(certificate, failed)
        return failed
