"""Private keys of a station, and what it asks to be signed."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ocpp_fast.errors import ConfigurationError, StorageError
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.certificates import parse_chain, public_key_id, spki
from ocpp_fast.security.csr import MAX_SIZE, Subject, digest_for, name
from ocpp_fast.security.keys import FileKeys, KeyKind, KeyProvider, key_id_of, read_key
from unit.security.kit import PKI, StandingClock

SUBJECT = Subject(common_name="CS001", organization="Org")


@pytest.fixture
def keys(tmp_path: Path) -> FileKeys:
    return FileKeys(tmp_path / "keys")


def verify(public_key: bytes, signature: bytes, data: bytes) -> None:
    key = load_der_public_key(public_key)
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, padding.PKCS1v15(), digest_for_public(key))
    else:
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(signature, data, ec.ECDSA(digest_for_public(key)))


def digest_for_public(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
    from cryptography.hazmat.primitives import hashes

    sizes = {384: hashes.SHA384(), 521: hashes.SHA512()}
    return sizes.get(key.key_size, hashes.SHA256())


@pytest.mark.parametrize("kind", list(KeyKind))
def test_keys_are_made_kept_and_used(keys: FileKeys, kind: KeyKind) -> None:
    """A02.FR.02, A03.FR.02, A02.FR.03, A03.FR.03, A00.FR.501, A00.FR.502, A00.FR.503."""
    provider: KeyProvider = keys
    key_id = provider.create(kind)
    assert provider.ids() == (key_id,)
    public_key = provider.public_key(key_id)
    assert public_key_id(public_key) == key_id
    verify(public_key, provider.sign(key_id, b"data"), b"data")
    request = x509.load_pem_x509_csr(provider.csr(key_id, SUBJECT).encode())
    assert request.is_signature_valid
    assert request.public_key() == load_der_public_key(public_key)
    path = provider.tls_file(key_id)
    chain = Path(path).with_name("chain.pem")
    chain.write_text(parse_chain(_sign(provider.csr(key_id, SUBJECT))).pem)
    ssl.create_default_context().load_cert_chain(chain, path)
    chain.unlink()
    provider.remove(key_id)
    provider.remove(key_id)
    assert provider.ids() == ()
    for use in (provider.public_key, provider.tls_file):
        with pytest.raises(KeyError):
            use(key_id)


def _sign(csr: str) -> str:
    return CertificateAuthority(PKI.csms_ca, StandingClock()).sign(csr)


def test_an_id_leads_nowhere_else(keys: FileKeys) -> None:
    for key_id in ("", "../secret", "a/b", "a.b"):
        with pytest.raises(KeyError):
            keys.public_key(key_id)
        with pytest.raises(KeyError):
            keys.remove(key_id)


def test_a_damaged_key_is_told_without_its_content(keys: FileKeys, tmp_path: Path) -> None:
    key_id = keys.create()
    path = tmp_path / f"keys/{key_id}.key"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-4] + "AAAA", *lines[2:]]))
    with pytest.raises(StorageError, match="no private key of a known kind") as told:
        keys.sign(key_id, b"")
    assert lines[1][:20] not in str(told.value)
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageError, match="read a key"):
        keys.sign(key_id, b"")
    (tmp_path / "other").write_text("")
    with pytest.raises(StorageError, match="list the keys"):
        FileKeys(tmp_path / "other").ids()
    assert key_id not in repr(keys)


def test_a_key_is_found_in_any_text() -> None:
    issued = PKI.station("CS001")
    key_id = public_key_id(spki(issued.certificate))
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    text = issued.pem + parameters + issued.key_pem
    assert key_id_of(text.encode()) == key_id
    found = read_key(text.encode())
    assert found is not None
    assert found[0] == key_id
    assert key_id_of(found[1]) == key_id
    for nothing in ("", issued.pem, issued.key_pem[:100], "-----BEGIN PRIVATE KEY-----\n\n"):
        assert key_id_of(nothing.encode()) is None
        assert read_key(nothing.encode()) is None


# --- requests -------------------------------------------------------------------------------------


def test_a_request_says_whom_and_what_it_is_for(keys: FileKeys) -> None:
    """A02.FR.03, A00.FR.507, A00.FR.509, A00.FR.511, A00.FR.512, A00.FR.514."""
    key_id = keys.create()
    full = Subject(
        common_name="DE-ICE-S-0003C4D5578786756453309675436-2",
        organization="John Doe Charging Services Ltd",
        country="DE",
        domain_component="CPO",
        key_agreement=True,
    )
    text = keys.csr(key_id, full)
    assert len(text) <= MAX_SIZE
    request = x509.load_pem_x509_csr(text.encode())
    assert request.subject == name(full)
    assert request.subject.rfc4514_string() == (
        "CN=DE-ICE-S-0003C4D5578786756453309675436-2,O=John Doe Charging Services Ltd,DC=CPO,C=DE"
    )
    usage = request.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage == x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=True, key_cert_sign=False, crl_sign=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    assert len(request.extensions) == 1
    plain = x509.load_pem_x509_csr(keys.csr(key_id, SUBJECT).encode())
    assert plain.subject.rfc4514_string() == "CN=CS001,O=Org"
    assert not plain.extensions.get_extension_for_class(x509.KeyUsage).value.key_agreement


@pytest.mark.parametrize(
    ("subject", "part"),
    [
        (Subject(common_name="", organization="Org"), "common name"),
        (Subject(common_name="x" * 65, organization="Org"), "common name"),
        (Subject(common_name="x", organization=""), "organization"),
        (Subject(common_name="x", organization="o" * 65), "organization"),
        (Subject(common_name="x", organization="o", country="DEU"), "country"),
        (Subject(common_name="x", organization="o", country="D"), "country"),
        (Subject(common_name="x", organization="o", country=""), "country"),
        (Subject(common_name="x", organization="o", country="Ä1"), "country"),
        (Subject(common_name="x", organization="株" * 22), "organization"),
        (Subject(common_name="x", organization="o", domain_component="Ä"), "domain component"),
    ],
)
def test_what_no_certificate_can_say_is_refused(subject: Subject, part: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{part} of a certificate"):
        name(subject)


def test_names_of_any_script_are_fine(keys: FileKeys) -> None:
    subject = Subject(common_name="CS-Ä-001", organization="株式会社")
    request = x509.load_pem_x509_csr(keys.csr(keys.create(), subject).encode())
    assert request.subject == name(subject)


def test_the_longest_request_fits_into_its_message() -> None:
    key = rsa.generate_private_key(65_537, 4_096)
    from ocpp_fast.security.csr import make

    longest = Subject(
        common_name="Ä" * 32, organization="Ä" * 32, country="DE", domain_component="C" * 64
    )
    assert len(make(key, longest)) <= MAX_SIZE
    assert digest_for(key).name == "sha256"
