"""Reading certificates, chains, and the hash data by which OCPP names them."""

import hashlib
from itertools import permutations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from ocpp_fast.errors import CertificateInvalid
from ocpp_fast.security.certificates import (
    HashData,
    chain_of,
    common_name,
    fingerprint,
    hash_data,
    is_issued_by,
    is_self_signed,
    label,
    match,
    organizations,
    parse_certificate,
    parse_chain,
    parse_der,
    parse_pem,
    pem_blocks,
    public_key_id,
    read_file,
    spki,
    to_pem,
    validity,
)
from ocpp_fast.security.pki import KeyKind
from unit.security.kit import CA, NOW, PKI, certificate, named

ROOT = PKI.csms_root.certificate
SUB = PKI.csms_ca.certificate
STATION = PKI.station("CS001")
LEAF = STATION.certificate


def test_pem_texts_are_read_in_order_whatever_stands_between() -> None:
    """A00.FR.507."""
    text = f"some words\r\n{to_pem(LEAF)}more\n{STATION.key_pem}{to_pem(SUB)}\n".replace(
        "\n", "\r\n"
    )
    assert parse_pem(text) == parse_pem(text.encode()) == [LEAF, SUB]
    assert parse_pem(to_pem([LEAF, SUB])) == [LEAF, SUB]
    assert parse_der(LEAF.public_bytes(Encoding.DER)) == LEAF


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no certificate in PEM format"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n", "no certificate in PEM format"),
        ("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "cannot be read"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "cannot be read"),
        (
            to_pem(LEAF) + "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
            "certificate 2",
        ),
        ("\ud800", "no certificate"),
    ],
)
def test_what_is_no_certificate_is_refused_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(CertificateInvalid, match=reason) as refused:
        parse_pem(text)
    assert "\n" not in str(refused.value)


def test_there_may_be_one_certificate_only_where_one_is_asked_for() -> None:
    assert parse_certificate(to_pem(ROOT)) == ROOT
    with pytest.raises(CertificateInvalid, match="2 certificates where one is expected"):
        parse_certificate(to_pem([ROOT, SUB]))
    with pytest.raises(CertificateInvalid, match="more than 1000"):
        parse_pem(to_pem([LEAF]) * 1_001)


def test_a_damaged_extension_is_found_when_the_certificate_arrives() -> None:
    der = bytearray(LEAF.public_bytes(Encoding.DER))
    # The value of basicConstraints: what should be a sequence becomes something else.
    place = der.index(bytes.fromhex("0603551d13"))
    der[place + 10] = 0x05
    with pytest.raises(CertificateInvalid, match="no readable certificate"):
        parse_der(bytes(der))


def test_a_text_full_of_beginnings_takes_no_longer_than_others() -> None:
    text = b"-----BEGIN CERTIFICATE-----\n" * 20_000 + to_pem(ROOT).encode()
    assert read_file(text) == ([ROOT], [])
    assert [kind for kind, _ in pem_blocks(STATION.key_pem.encode() + text)] == [
        "PRIVATE KEY",
        "CERTIFICATE",
    ]


def test_a_damaged_certificate_does_not_hide_the_others_of_its_file() -> None:
    bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    certificates, problems = read_file((to_pem(ROOT) + bad + to_pem(SUB)).encode())
    assert certificates == [ROOT, SUB]
    assert len(problems) == 1
    assert problems[0].startswith("certificate 2 cannot be read")
    assert read_file(ROOT.public_bytes(Encoding.DER)) == ([ROOT], [])
    assert read_file(b"nonsense")[0] == []
    certificates, problems = read_file(to_pem(ROOT).encode() * 1_001)
    assert len(certificates) == 1_000
    assert problems == ["more than 1000 certificates in one file"]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_leaf_of_a_chain_is_found_in_any_order(order: tuple[int, ...]) -> None:
    """Some CSMSs send the root too, or the chain the other way round."""
    secc = PKI.secc("SECC")
    certificates = [*secc.chain]
    chain = parse_chain(to_pem([certificates[each] for each in order] + [secc.root.certificate]))
    assert chain.certificates == secc.chain
    assert chain.leaf == secc.certificate
    assert parse_chain(chain.pem) == chain
    assert "SECC" in repr(chain)


def test_a_self_issued_certificate_of_another_key_stays_in_a_chain() -> None:
    """A root that was renewed under its old name, signed with its old key (RFC 5280, 3.2)."""
    old, old_key = certificate("Root", extensions=(CA,))
    link, new_key = certificate("Root", (old, old_key), extensions=(CA,))
    leaf, _ = certificate("leaf", (link, new_key))
    assert not is_self_signed(link)
    assert chain_of([leaf, link, old]).intermediates == (link,)


def test_the_first_certificate_is_the_leaf_where_it_cannot_be_told() -> None:
    one, _ = certificate("one", issuer_name=named("X"))
    two, _ = certificate("two", issuer_name=named("Y"))
    assert chain_of([two, one]).leaf == two
    assert chain_of([one, two, one]).certificates == (one, two)
    assert chain_of([ROOT]).certificates == (ROOT,)


def test_a_chain_is_bounded() -> None:
    """A02.FR.16, A03.FR.16."""
    text = to_pem([LEAF, SUB])
    assert parse_chain(text, len(text)).leaf == LEAF
    with pytest.raises(CertificateInvalid, match="MaxCertificateChainSize allows"):
        parse_chain(text, len(text) - 1)
    many = [certificate(f"c{number}")[0] for number in range(11)]
    with pytest.raises(CertificateInvalid, match="11 certificates in a chain, 10 allowed"):
        parse_chain(to_pem(many))


# --- hash data ------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
@pytest.mark.parametrize("kind", [KeyKind.EC, KeyKind.RSA])
def test_hash_data_is_what_the_data_type_says(algorithm: str, kind: KeyKind) -> None:
    """M03.FR.04: issuerNameHash over the DER name, issuerKeyHash over the bits of the public key
    without tag and length, the serial number without prefix and leading zeros."""
    issuer = PKI.root("Hashed", key=kind)
    subject = PKI.station("CS001", issuer=issuer, serial_number=0x0ABC)
    data = hash_data(subject.certificate, issuer.certificate, algorithm)

    def digest(value: bytes) -> str:
        return hashlib.new(algorithm, value).hexdigest()

    key = issuer.certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        bits = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    else:
        bits = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert data == HashData(
        algorithm, digest(subject.certificate.issuer.public_bytes()), digest(bits), "abc"
    )
    assert len(data.issuer_name_hash) <= 128


def test_a_root_is_its_own_issuer() -> None:
    assert hash_data(ROOT) == hash_data(ROOT, ROOT)
    assert hash_data(SUB, ROOT) != hash_data(SUB)
    zero, _ = certificate("zero", serial_number=1)
    assert hash_data(zero).serial_number == "1"
    long, _ = certificate("long", serial_number=(1 << 159) - 1)
    assert len(hash_data(long).serial_number) == 40
    with pytest.raises(ValueError, match="MD5 is none of SHA256"):
        hash_data(ROOT, None, "MD5")


def test_hash_data_of_any_case_mean_the_same_certificate() -> None:
    """M04.FR.07: a CSMS sends back what it was told, often in the other case."""
    data = hash_data(SUB, ROOT, "SHA384")
    shouted = HashData(
        "SHA384",
        data.issuer_name_hash.upper(),
        data.issuer_key_hash.upper(),
        f"00{data.serial_number.upper()}",
    )
    assert match(shouted, SUB, ROOT)
    assert not match(shouted, SUB)
    assert not match(shouted, LEAF, SUB)
    assert not match(HashData("SHA1", "", "", ""), SUB, ROOT)
    assert not match(hash_data(SUB, ROOT, "SHA256"), LEAF, SUB)


# --- names ----------------------------------------------------------------------------------------


def test_names_of_a_certificate() -> None:
    assert common_name(LEAF) == "CS001"
    assert organizations(LEAF.subject) == (PKI.organization,)
    assert common_name(certificate(x509.Name([]))[0]) is None
    assert validity(LEAF)[0] < NOW < validity(LEAF)[1]
    assert len(fingerprint(LEAF)) == 64
    assert public_key_id(spki(LEAF)) != public_key_id(spki(SUB))
    assert is_issued_by(LEAF, SUB)
    assert not is_issued_by(LEAF, ROOT)
    forged, _ = certificate("forged", issuer_name=ROOT.subject)
    assert not is_issued_by(forged, ROOT)


def test_a_label_is_one_short_line_whatever_the_subject_says() -> None:
    assert "CS001" in label(LEAF)
    strange, _ = certificate("a\nb\u2028c\x1b[31m")
    assert label(strange).isprintable()
    long = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "o" * 60)] * 10)
    assert len(label(certificate(long)[0])) < 130
    assert label(certificate(x509.Name([]), serial_number=255)[0]) == "serial number ff"


@given(
    names=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4),
    number=st.integers(1, (1 << 159) - 1),
    algorithm=st.sampled_from(["SHA256", "SHA384", "SHA512"]),
)
def test_certificates_and_their_hash_data_survive_the_way_through_pem(
    names: list[str], number: int, algorithm: str
) -> None:
    attributes = [x509.NameAttribute(x509.NameOID.COMMON_NAME, each) for each in names]
    subject = x509.Name(attributes)
    root, key = certificate(subject, extensions=(CA,), serial_number=number)
    leaf, _ = certificate("leaf", (root, key), serial_number=number)
    again = parse_pem(to_pem([leaf, root]))
    assert again == [leaf, root]
    data = hash_data(again[0], again[1], algorithm)
    assert data == hash_data(leaf, root, algorithm)
    assert match(data, again[0], again[1])
    assert data.serial_number == data.serial_number.lower().lstrip("0")
    assert int(data.serial_number, 16) == number
    assert len(data.serial_number) <= 40
    assert "\n" not in label(root)


@given(data=st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    read_file(data)
    for text in (data, b"-----BEGIN CERTIFICATE-----\n" + data + b"\n-----END CERTIFICATE-----"):
        try:
            parse_pem(text)
        except CertificateInvalid as error:
            assert str(error).isprintable()


@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_certificate_with_one_wrong_byte_is_refused_or_read(place: int, value: int) -> None:
    der = bytearray(LEAF.public_bytes(Encoding.DER))
    der[place % len(der)] = value
    try:
        damaged = parse_der(bytes(der))
    except CertificateInvalid as error:
        assert str(error).isprintable()
    else:
        assert damaged == LEAF or not is_issued_by(damaged, SUB)
        assert label(damaged).isprintable()
