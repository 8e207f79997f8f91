"""The development authority: what it signs, what it refuses, what it says about certificates."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from ocpp_fast.clock import SystemClock
from ocpp_fast.errors import CertificateInvalid
from ocpp_fast.security.authority import CertificateAuthority, read_csr
from ocpp_fast.security.certificates import HASH_ALGORITHMS, HashData, hash_data, parse_pem
from ocpp_fast.security.pki import Issued, KeyKind, Pki

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class StandingClock(SystemClock):
    def now(self) -> datetime:
        return NOW


CLOCK = StandingClock()
PKI = Pki(CLOCK.now())


def authority() -> CertificateAuthority:
    return CertificateAuthority(PKI.csms_ca, CLOCK, v2g=PKI.v2g_ca, others=[PKI.mo_ca])


def make_csr(common_name: str | None = "CS001", kind: KeyKind = KeyKind.EC) -> str:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Operator")]
    if common_name is not None:
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(parts))
    request = builder.sign(kind.new(), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("kind", "issuers"),
    [
        (None, [PKI.csms_ca]),
        ("ChargingStationCertificate", [PKI.csms_ca]),
        ("V2GCertificate", [PKI.v2g_ca, PKI.v2g_upper_ca]),
        ("V2G20Certificate", [PKI.v2g_ca, PKI.v2g_upper_ca]),
    ],
)
def test_it_signs_what_it_is_asked_for(kind: str | None, issuers: list[Issued]) -> None:
    """A02.FR.06: the leaf first, no root, and valid already for a station whose clock is behind."""
    csr = make_csr()
    leaf, *above = parse_pem(authority().sign(csr, kind))
    assert above == [issuer.certificate for issuer in issuers]
    leaf.verify_directly_issued_by(above[0])
    assert leaf.public_key() == read_csr(csr).public_key()
    assert sorted(str(each.value) for each in leaf.subject) == ["CS001", "Operator"]
    assert leaf.not_valid_before_utc == CLOCK.now() - timedelta(hours=1)
    assert leaf.not_valid_after_utc == CLOCK.now() + timedelta(days=365)


def test_it_can_sign_wrongly() -> None:
    (leaf, _) = parse_pem(authority().sign(make_csr(), common_name="CS002", **PKI.expired()))
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "CS002"
    assert leaf.not_valid_after_utc < CLOCK.now()


def damaged(csr: str) -> str:
    lines = csr.splitlines()
    text = lines[-2]
    lines[-2] = text[:4] + ("A" if text[4] != "A" else "B") + text[5:]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("csr", "why"),
    [
        ("nothing", "cannot be read"),
        ("", "cannot be read"),
        (damaged(make_csr()), "wrong|cannot be read"),
        (make_csr(kind=KeyKind.RSA_1024), "has 1024 bits"),
        (make_csr(kind=KeyKind.EC_192), "has 192 bits"),
        (make_csr(None), "no common name"),
    ],
)
def test_it_refuses(csr: str, why: str) -> None:
    with pytest.raises(CertificateInvalid, match=why):
        authority().sign(csr)


def test_without_an_authority_for_v2g() -> None:
    with pytest.raises(CertificateInvalid, match="no authority for V2GCertificate"):
        CertificateAuthority(PKI.csms_ca, CLOCK).sign(make_csr(), "V2GCertificate")


@pytest.mark.parametrize("algorithm", HASH_ALGORITHMS)
def test_m06_the_status_of_a_certificate(algorithm: str) -> None:
    """M06.FR.08, M06.FR.09."""
    one = authority()
    for issued in (PKI.station("CS001"), PKI.secc("CS001"), PKI.mo_ca, PKI.v2g_upper_ca):
        assert issued.issuer is not None
        above = issued.issuer.certificate
        data = hash_data(issued.certificate, above, algorithm)
        good = ocsp.load_der_ocsp_response(one.status(data))
        assert good.certificate_status is ocsp.OCSPCertStatus.GOOD
        assert good.serial_number == issued.certificate.serial_number
        assert good.this_update_utc == CLOCK.now() - timedelta(hours=1)
        assert good.next_update_utc == CLOCK.now() + one.status_lifetime
        one.revoked.add(issued.certificate.serial_number)
        revoked = ocsp.load_der_ocsp_response(one.status(data))
        assert revoked.certificate_status is ocsp.OCSPCertStatus.REVOKED
        assert revoked.revocation_time_utc is not None


@pytest.mark.parametrize(
    "data",
    [
        hash_data(PKI.oem_root.certificate),
        HashData("MD5", "00", "00", "1"),
        HashData("SHA256", "no", "00", "1"),
        HashData("SHA256", "00", "00", ""),
    ],
)
def test_the_status_of_what_is_not_its_own(data: HashData) -> None:
    with pytest.raises(CertificateInvalid):
        authority().status(data)


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256()])  # noqa: S303  # what OCSP clients use
def test_an_ocsp_request_over_http(algorithm: hashes.SHA1 | hashes.SHA256) -> None:
    server = PKI.server("localhost").certificate
    builder = ocsp.OCSPRequestBuilder()
    request = builder.add_certificate(server, PKI.csms_ca.certificate, algorithm).build()
    der = request.public_bytes(serialization.Encoding.DER)
    answer = ocsp.load_der_ocsp_response(authority().answer(der))
    assert answer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD

    foreign = builder.add_certificate(server, Pki(CLOCK.now()).csms_ca.certificate, algorithm)
    der = foreign.build().public_bytes(serialization.Encoding.DER)
    answer = ocsp.load_der_ocsp_response(authority().answer(der))
    assert answer.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED
    answer = ocsp.load_der_ocsp_response(authority().answer(b"nothing"))
    assert answer.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_dates_are_those_of_the_clock() -> None:
    later = Pki(datetime(2031, 1, 1, tzinfo=UTC))
    assert later.station("CS001").certificate.not_valid_before_utc.year == 2030
