"""The development PKI: what its certificates say, and that each fault can be made."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID, NameOID

from ocpp_fast.errors import ConfigurationError
from ocpp_fast.security.pki import Issued, KeyKind, Pki, Recipe, certify, issue

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
PKI = Pki(NOW)


def text(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(each.value) for each in certificate.subject.get_attributes_for_oid(oid)]


def every() -> list[Issued]:
    return [
        PKI.csms_root, PKI.csms_ca, PKI.server("localhost"), PKI.station("CS001"),
        PKI.v2g_root, PKI.v2g_upper_ca, PKI.v2g_ca, PKI.secc("CS001"),
        PKI.mo_root, PKI.mo_upper_ca, PKI.mo_ca, PKI.contract("DE8OCPC00000001"),
        PKI.manufacturer_root, PKI.firmware_signer(), PKI.oem_root,
    ]  # fmt: skip


def test_every_certificate_keeps_the_rules_for_certificates() -> None:
    """A00.FR.501, A00.FR.503, A00.FR.506, A00.FR.508, A00.FR.509, A00.FR.512, A00.FR.514."""
    serial_numbers: set[int] = set()
    for issued in every():
        certificate = issued.certificate
        serial_numbers.add(certificate.serial_number)
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.key_size == 256
        assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
        assert text(certificate, NameOID.ORGANIZATION_NAME) == [PKI.organization]
        assert certificate.extensions.get_extension_for_class(x509.KeyUsage).critical
        with pytest.raises(x509.ExtensionNotFound):
            certificate.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE)
    assert len(serial_numbers) == len(every())


def test_every_chain_leads_to_its_root() -> None:
    for issued in every():
        for lower, upper in pairwise([*issued.chain, issued.root.certificate]):
            lower.verify_directly_issued_by(upper)
        certificate = issued.certificate
        assert certificate.not_valid_before_utc == NOW - DAY
        assert issued.root.certificate.not_valid_after_utc > NOW + timedelta(days=19 * 365)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        leaf = issued.issuer is not None and "CA" not in text(certificate, NameOID.COMMON_NAME)[0]
        assert constraints.value.ca is not leaf
    assert len(PKI.station("CS001").chain) == 2
    assert len(PKI.secc("CS001").chain) == 3
    assert PKI.csms_root.chain == (PKI.csms_root.certificate,)


def test_the_server_has_all_its_names() -> None:
    """A00.FR.510."""
    server = PKI.server("csms.example", "*.csms.example", "127.0.0.1", "::1").certificate
    assert text(server, NameOID.COMMON_NAME) == ["csms.example"]
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["csms.example", "*.csms.example"]
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["127.0.0.1", "::1"]


def test_a_station_has_its_serial_number_alone() -> None:
    """A00.FR.511: no subjectAltName."""
    station = PKI.station("SN-17").certificate
    assert text(station, NameOID.COMMON_NAME) == ["SN-17"]
    with pytest.raises(x509.ExtensionNotFound):
        station.extensions.get_extension_for_class(x509.SubjectAlternativeName)


@pytest.mark.parametrize(
    ("changes", "shows"),
    [
        (PKI.expired(), lambda c: c.not_valid_after_utc == NOW - DAY),
        (PKI.not_yet_valid(), lambda c: c.not_valid_before_utc == NOW + DAY),
        ({"issuer": Pki(NOW).csms_ca}, lambda c: c.issuer == PKI.csms_ca.certificate.subject),
        ({"common_name": "CS002"}, lambda c: text(c, NameOID.COMMON_NAME) == ["CS002"]),
        ({"common_name": None}, lambda c: not text(c, NameOID.COMMON_NAME)),
        ({"organization": None}, lambda c: not text(c, NameOID.ORGANIZATION_NAME)),
        ({"key": KeyKind.EC_192}, lambda c: c.public_key().key_size == 192),
        ({"key": KeyKind.RSA_1024}, lambda c: c.public_key().key_size == 1024),
        ({"key": KeyKind.EC_384}, lambda c: c.public_key().key_size == 384),
        ({"serial_number": 5}, lambda c: c.serial_number == 5),
        ({"digest": hashes.SHA512()}, lambda c: c.signature_hash_algorithm.name == "sha512"),
        ({"private_key": PKI.csms_ca.key},
         lambda c: c.public_key() == PKI.csms_ca.certificate.public_key()),
    ],
    ids=str,
)  # fmt: skip
def test_each_fault_can_be_made(changes: dict[str, Any], shows: Any) -> None:
    assert shows(PKI.station("CS001", **changes).certificate)


def test_a_wrong_authority_has_the_right_name_and_the_wrong_key() -> None:
    wrong = PKI.station("CS001", issuer=Pki(NOW).csms_ca).certificate
    with pytest.raises(InvalidSignature):
        wrong.verify_directly_issued_by(PKI.csms_ca.certificate)


def test_where_the_status_is_told() -> None:
    pki = Pki(NOW, ocsp_url="http://127.0.0.1:8080")
    server = pki.server("localhost").certificate
    places = server.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    (place,) = places
    assert place.access_method == AuthorityInformationAccessOID.OCSP
    assert place.access_location.value == "http://127.0.0.1:8080"
    with pytest.raises(x509.ExtensionNotFound):
        pki.csms_root.certificate.extensions.get_extension_for_class(
            x509.AuthorityInformationAccess
        )


def test_an_rsa_hierarchy() -> None:
    """A00.FR.318: what the TLS_RSA suites need."""
    pki = Pki(NOW, key=KeyKind.RSA)
    server = pki.server("localhost").certificate
    key = server.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048  # A00.FR.502
    assert server.extensions.get_extension_for_class(x509.KeyUsage).value.key_encipherment


def test_somebody_must_sign() -> None:
    recipe = Recipe(common_name="x", not_before=NOW, not_after=NOW + DAY)
    with pytest.raises(TypeError):
        certify(recipe, PKI.csms_root.certificate.public_key(), None)  # type: ignore[arg-type]


def test_files(tmp_path: Path) -> None:
    chain, key = tmp_path / "server.pem", tmp_path / "server.key"
    server = PKI.server("localhost")
    server.write(chain, key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert chain.read_text() == server.chain_pem
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key)
    read = Issued.read(chain, key, PKI.csms_ca)
    assert read.certificate == server.certificate
    assert read.chain == server.chain
    with pytest.raises(FileExistsError):
        server.write(chain, tmp_path / "other.key")
    (tmp_path / "bad.pem").write_text("nothing")
    with pytest.raises(ConfigurationError, match=r"bad\.pem: no certificate"):
        Issued.read(tmp_path / "bad.pem", key)
    with pytest.raises(ConfigurationError, match=r"bad\.pem"):
        Issued.read(chain, tmp_path / "bad.pem")
    with pytest.raises(ConfigurationError, match=r"none\.key"):
        Issued.read(chain, tmp_path / "none.key")


def test_keys_do_not_show() -> None:
    server = PKI.server("localhost")
    assert "key" not in repr(server).replace("public_key", "")
    recipe = Recipe(common_name="x", not_before=NOW, not_after=NOW, private_key=server.key)
    assert "private_key" not in repr(recipe)
    assert issue(recipe).key is server.key
