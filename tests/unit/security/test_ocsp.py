"""What responders say about certificates: believed only if they may say it."""

import asyncio
import base64
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.certificates import hash_data
from ocpp_fast.security.ocsp import (
    CertificateStatus,
    OcspCache,
    OcspClient,
    OcspFailed,
    Status,
    build_request,
    judge_response,
    read_result,
    responder_urls,
    status_requests,
)
from ocpp_fast.security.pki import Issued, KeyKind, Pki, Recipe, certify
from unit.security.kit import CA, DAY, NOW, OTHER, PKI, StandingClock, certificate

URL = "http://ocsp.example/status"
ISSUER = PKI.csms_ca
SERVER = PKI.server("csms.example", ocsp_url=URL)
SUBJECT, ABOVE = SERVER.certificate, ISSUER.certificate
HOUR = timedelta(hours=1)
SHA256 = hashes.SHA256()


def answer(
    certificate: x509.Certificate = SUBJECT,
    issuer: x509.Certificate = ABOVE,
    *,
    signer: tuple[x509.Certificate, Any] = (ABOVE, ISSUER.key),
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    this_update: datetime = NOW - HOUR,
    next_update: datetime | None = NOW + DAY,
    algorithm: hashes.HashAlgorithm | None = None,
    digest: Any = SHA256,
    certificates: tuple[x509.Certificate, ...] = (),
    by_name: bool = False,
) -> bytes:
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        certificate, issuer, algorithm or hashes.SHA256(), status, this_update, next_update,
        NOW - DAY if revoked else None, None,
    )  # fmt: skip
    encoding = ocsp.OCSPResponderEncoding
    builder = builder.responder_id(encoding.NAME if by_name else encoding.HASH, signer[0])
    if certificates:
        builder = builder.certificates(list(certificates))
    return builder.sign(signer[1], digest).public_bytes(Encoding.DER)


def judged(response: bytes, now: datetime = NOW) -> CertificateStatus:
    return judge_response(response, SUBJECT, ABOVE, now)


def refusal(response: bytes, now: datetime = NOW) -> str:
    with pytest.raises(OcspFailed) as failed:
        judged(response, now)
    assert str(failed.value).isprintable()
    return str(failed.value)


# --- asking ---------------------------------------------------------------------------------------


def test_only_http_addresses_are_asked() -> None:
    def access(*places: tuple[x509.ObjectIdentifier, x509.GeneralName]) -> x509.Certificate:
        descriptions = [x509.AccessDescription(*each) for each in places]
        extension = x509.AuthorityInformationAccess(descriptions)
        return certificate("leaf", extensions=((extension, False),))[0]

    def uri(text: str) -> x509.GeneralName:
        return x509.UniformResourceIdentifier(text)

    ask = AuthorityInformationAccessOID.OCSP
    assert responder_urls(SUBJECT) == (URL,)
    assert responder_urls(PKI.csms_root.certificate) == ()
    made = access(
        (AuthorityInformationAccessOID.CA_ISSUERS, uri("http://ca.example")),
        (ask, x509.DNSName("ocsp.example")),
        (ask, uri("ldap://ocsp.example")),
        (ask, uri("file:///etc/passwd")),
        (ask, uri("http://a b")),
        (ask, uri("http://a\r\nX: y")),
        (ask, uri("http://" + "a" * 2_000)),
        *((ask, uri(f"HTTPS://{number}.example")) for number in range(5)),
    )
    assert responder_urls(made) == tuple(f"HTTPS://{number}.example" for number in range(3))


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
def test_a_request_names_the_certificate(algorithm: str) -> None:
    asked = ocsp.load_der_ocsp_request(build_request(SUBJECT, ABOVE, algorithm))
    data = hash_data(SUBJECT, ABOVE, algorithm)
    assert asked.issuer_name_hash.hex() == data.issuer_name_hash
    assert asked.issuer_key_hash.hex() == data.issuer_key_hash
    assert asked.serial_number == SUBJECT.serial_number


def test_what_a_station_asks_its_csms_about() -> None:
    """M06.FR.06, M06.FR.07: the leaf and each sub CA that names a responder, never the root."""
    pki = Pki(NOW, ocsp_url=URL)
    secc = pki.secc("SECC")
    path = (*secc.chain, pki.v2g_root.certificate)
    requests = status_requests(path, "SHA384")
    assert [each.certificate for each in requests] == list(secc.chain)
    assert [each.issuer for each in requests] == list(path[1:])
    for each in requests:
        assert each.data == hash_data(each.certificate, each.issuer, "SHA384")
        assert each.responder_url == URL
    # Without its issuer nothing can be asked of the uppermost.
    assert [each.certificate for each in status_requests(secc.chain)] == list(secc.chain[:-1])
    assert status_requests(PKI.secc("SECC").chain) == ()


def test_the_result_of_the_csms_is_base64_of_der() -> None:
    """M06.FR.03, M06.FR.08, M06.FR.09."""
    text = base64.b64encode(answer()).decode()
    assert judged(read_result(f"{text[:64]}\r\n{text[64:]}\n")).status is Status.GOOD
    with pytest.raises(OcspFailed, match="no base64"):
        read_result("???")
    assert "cannot be read" in refusal(read_result(""))


# --- judging --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (ocsp.OCSPCertStatus.GOOD, Status.GOOD),
        (ocsp.OCSPCertStatus.REVOKED, Status.REVOKED),
        (ocsp.OCSPCertStatus.UNKNOWN, Status.UNKNOWN),
    ],
)
@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA512()])  # noqa: S303
def test_the_issuer_may_answer(
    said: ocsp.OCSPCertStatus, status: Status, algorithm: hashes.HashAlgorithm, *, by_name: bool
) -> None:
    response = answer(status=said, by_name=by_name, algorithm=algorithm)
    done = judged(response)
    assert done.status is status
    assert done.response == response
    assert (done.this_update, done.next_update) == (NOW - HOUR, NOW + DAY)
    assert "response" not in repr(done)


def test_the_development_authority_answers() -> None:
    authority = CertificateAuthority(ISSUER, StandingClock())
    request = build_request(SUBJECT, ABOVE)
    assert judged(authority.answer(request)).status is Status.GOOD
    authority.revoked.add(SUBJECT.serial_number)
    assert judged(authority.answer(request)).status is Status.REVOKED
    assert "refuses to answer: malformed_request" in refusal(authority.answer(b"x"))


def test_a_refusal_is_no_status() -> None:
    for status in ocsp.OCSPResponseStatus:
        if status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            response = ocsp.OCSPResponseBuilder.build_unsuccessful(status)
            text = refusal(response.public_bytes(Encoding.DER))
            assert text == f"the responder refuses to answer: {status.name.lower()}"


def test_an_answer_has_its_time() -> None:
    assert "from the future" in refusal(answer(this_update=NOW + HOUR, next_update=NOW + DAY))
    assert "too old" in refusal(answer(), NOW + 2 * DAY)
    judged(answer(this_update=NOW + timedelta(minutes=4)))
    judged(answer(), NOW + DAY + timedelta(minutes=4))
    judged(answer(next_update=None))
    assert "too old" in refusal(answer(next_update=None), NOW + DAY)


def test_an_answer_must_be_about_this_certificate() -> None:
    other = PKI.server("csms.example").certificate
    assert "not about" in refusal(answer(other))
    # The same serial number of another issuer.
    twin = OTHER.server("csms.example", serial_number=SUBJECT.serial_number)
    above = OTHER.csms_ca
    assert "not about" in refusal(answer(twin.certificate, above.certificate))


def responder(issuer: Issued = ISSUER, *, may: bool = True, **changes: Any) -> tuple[Any, Any]:
    usage = ExtendedKeyUsageOID.OCSP_SIGNING if may else ExtendedKeyUsageOID.SERVER_AUTH
    above: Any = (issuer.certificate, issuer.key)
    extensions = ((x509.ExtendedKeyUsage([usage]), False),)
    return certificate("Responder", above, extensions=extensions, **changes)


def test_a_responder_may_answer_if_the_issuer_says_so() -> None:
    good = responder()
    for by_name in (False, True):
        response = answer(signer=good, certificates=(good[0],), by_name=by_name)
        assert judged(response).status is Status.GOOD
    assert "neither" in refusal(answer(signer=good))
    for bad, reason in (
        (responder(OTHER.csms_ca), "is not signed by"),
        (responder(may=False), "may not answer for"),
        (responder(not_after=NOW - HOUR), "expired"),
        (responder(digest=hashes.SHA224()), "sha224"),
    ):
        assert reason in refusal(answer(signer=bad, certificates=(bad[0],)))
    plain = certificate("Responder", (ABOVE, ISSUER.key))  # type: ignore[arg-type]
    assert "may not answer" in refusal(answer(signer=plain, certificates=(plain[0],)))


def test_a_forged_signature_is_found() -> None:
    look_alike = certificate(ABOVE.subject)
    forged = answer(signer=look_alike, by_name=True)
    assert "the signature of the answer is not" in refusal(forged)
    other_kind = PKI.root("x", key=KeyKind.RSA)
    twin = certify(
        Recipe(common_name="CSMS Sub-CA", organization=PKI.organization, not_before=NOW,
               not_after=NOW),
        other_kind.key.public_key(), None, other_kind.key,
    )  # fmt: skip
    assert twin.subject == ABOVE.subject
    forged = answer(signer=(twin, other_kind.key), by_name=True)
    assert "the signature of the answer is not" in refusal(forged)
    assert "signed with sha224" in refusal(answer(digest=hashes.SHA224()))


def test_all_kinds_of_keys_may_sign() -> None:
    rsa_issuer = PKI.root("RSA", key=KeyKind.RSA)
    subject = PKI.server("x", issuer=rsa_issuer).certificate
    response = answer(
        subject, rsa_issuer.certificate, signer=(rsa_issuer.certificate, rsa_issuer.key)
    )
    done = judge_response(response, subject, rsa_issuer.certificate, NOW)
    assert done.status is Status.GOOD
    key = ed25519.Ed25519PrivateKey.generate()
    above = (
        x509.CertificateBuilder().subject_name(ABOVE.subject).issuer_name(ABOVE.subject)
        .public_key(key.public_key()).serial_number(1).not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY).add_extension(*CA).sign(key, None)
    )  # fmt: skip
    response = answer(SUBJECT, above, signer=(above, key), digest=None)
    assert judge_response(response, SUBJECT, above, NOW).status is Status.GOOD


@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_an_answer_with_one_wrong_byte_is_refused_or_the_same(place: int, value: int) -> None:
    response = bytearray(GOOD)
    response[place % len(response)] = value
    try:
        done = judged(bytes(response))
    except OcspFailed as error:
        assert str(error).isprintable()
    else:
        assert done.status is Status.GOOD


GOOD = answer()


@given(data=st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    assert refusal(data)


# --- remembering ----------------------------------------------------------------------------------


def told(
    status: Status = Status.GOOD, at: datetime = NOW, ends: datetime | None = None
) -> CertificateStatus:
    return CertificateStatus(status=status, this_update=at, next_update=ends)


def test_an_answer_is_kept_as_long_as_it_holds() -> None:
    """M06.FR.10: a week at most."""
    cache = OcspCache()
    assert cache.get(SUBJECT, NOW) is None
    cache.put(SUBJECT, told(ends=NOW + 2 * DAY))
    assert cache.get(SUBJECT, NOW + 2 * DAY) is not None
    assert cache.get(SUBJECT, NOW + 2 * DAY + HOUR) is None
    cache.put(SUBJECT, told(ends=NOW + 30 * DAY))
    assert cache.get(SUBJECT, NOW + 7 * DAY) is not None
    assert cache.get(SUBJECT, NOW + 7 * DAY + HOUR) is None
    cache.put(SUBJECT, told())
    assert cache.get(SUBJECT, NOW + DAY) is not None
    assert cache.get(SUBJECT, NOW + DAY + HOUR) is None


def test_that_nobody_answers_is_kept_for_minutes_and_hides_no_answer() -> None:
    cache = OcspCache()
    cache.put(SUBJECT, told(Status.FAILED))
    assert cache.get(SUBJECT, NOW + timedelta(minutes=9)) is not None
    assert cache.get(SUBJECT, NOW + timedelta(minutes=10)) is None
    cache.put(SUBJECT, told(Status.REVOKED, ends=NOW + DAY))
    cache.put(SUBJECT, told(Status.FAILED, NOW + HOUR))
    assert (kept := cache.get(SUBJECT, NOW + HOUR)) is not None
    assert kept.status is Status.REVOKED
    cache.put(SUBJECT, told(Status.FAILED, NOW + 2 * DAY))
    assert (kept := cache.get(SUBJECT, NOW + 2 * DAY)) is not None
    assert kept.status is Status.FAILED


def test_the_cache_is_bounded() -> None:
    cache = OcspCache()
    many = [certificate(str(number))[0] for number in range(257)]
    for each in many:
        cache.put(each, told())
    assert cache.get(many[0], NOW) is None
    assert cache.get(many[1], NOW) is not None


class Responders:
    """Answers by address; anything else fails."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def fetch(self, url: str, request: bytes) -> bytes:
        self.asked.append(url)
        assert ocsp.load_der_ocsp_request(request).serial_number == SUBJECT.serial_number
        if url not in self.answers:
            raise OcspFailed("HTTP 500")
        return self.answers[url]


def test_a_client_asks_once() -> None:
    clock, responders = StandingClock(), Responders({URL: GOOD})
    client = OcspClient(clock, responders.fetch)
    assert client.cached(SUBJECT, ABOVE) is None
    done = asyncio.run(client.status(SUBJECT, ABOVE))
    assert done.status is Status.GOOD
    assert client.cached(SUBJECT, ABOVE) == asyncio.run(client.status(SUBJECT, ABOVE)) == done
    assert responders.asked == [URL]
    clock.moment = NOW + 2 * DAY
    assert client.cached(SUBJECT, ABOVE) is None
    again = asyncio.run(client.status(SUBJECT, ABOVE))
    assert again.status is Status.FAILED
    assert again.reason.startswith(f"{URL}: the answer is too old")


def test_a_dead_responder_is_left_alone_for_a_while() -> None:
    clock, responders = StandingClock(), Responders({})
    client = OcspClient(clock, responders.fetch)
    done = asyncio.run(client.status(SUBJECT, ABOVE))
    assert (done.status, done.reason) == (Status.FAILED, f"{URL}: HTTP 500")
    assert client.cached(SUBJECT, ABOVE) == done
    asyncio.run(client.status(SUBJECT, ABOVE))
    assert responders.asked == [URL]
    clock.moment += timedelta(minutes=10)
    responders.answers[URL] = GOOD
    assert asyncio.run(client.status(SUBJECT, ABOVE)).status is Status.GOOD


def test_the_next_responder_is_asked_when_one_fails() -> None:
    places = [
        x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(f"http://{each}")
        )
        for each in "abc"
    ]
    extension = (x509.AuthorityInformationAccess(places), False)
    above: Any = (ABOVE, ISSUER.key)
    subject, _ = certificate(
        "x", above, extensions=(extension,), serial_number=SUBJECT.serial_number
    )
    responders = Responders({"http://b": answer(subject)})
    client = OcspClient(StandingClock(), responders.fetch)
    assert asyncio.run(client.status(subject, ABOVE)).status is Status.GOOD
    assert responders.asked == ["http://a", "http://b"]
    nobody = asyncio.run(client.status(PKI.csms_root.certificate, PKI.csms_root.certificate))
    assert (nobody.status, nobody.reason) == (Status.FAILED, "it names no responder")


def test_by_default_answers_are_fetched_by_http() -> None:
    assert OcspClient(StandingClock()).cached(SUBJECT, ABOVE) is None
