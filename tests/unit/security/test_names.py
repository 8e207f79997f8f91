"""A00.FR.309, A00.FR.412, A00.FR.510, A00.FR.511: whose certificate it is."""

import warnings
from datetime import UTC, datetime
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ocpp_fast.security.names import common_names, dns_names, host_objection, printable
from ocpp_fast.security.pki import Issued, KeyKind, Pki, Recipe, issue

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(cn: str | None, *names: str) -> x509.Certificate:
    recipe = Recipe(
        common_name=cn,
        not_before=NOW,
        not_after=NOW.replace(year=2027),
        organization="CSO",
        names=names,
        private_key=key(),
    )
    return issue(recipe).certificate


def with_subject(*attributes: x509.NameAttribute[str]) -> x509.Certificate:
    name = x509.Name(list(attributes))
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key().public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW.replace(year=2027))
        .sign(key(), hashes.SHA256())
    )


def with_cn(text: str) -> x509.Certificate:
    """A common name of any text, even one that a careful builder refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such names have been seen
        return with_subject(x509.NameAttribute(NameOID.COMMON_NAME, text, _validate=False))


SAME = [
    ("csms.example", "csms.example"),
    ("CSMS.Example", "csms.example"),
    ("csms.example", "CSMS.EXAMPLE"),
    ("csms.example.", "csms.example"),
    ("csms.example", "csms.example."),
    ("localhost", "localhost"),
    ("my_csms.example", "my_csms.example"),
    # A certificate should hold the ASCII form, but a common name may be any Unicode.
    ("xn--bcher-kva.example", "bücher.example"),
    ("xn--bcher-kva.example", "BÜCHER.example"),
    ("bücher.example", "bücher.example"),
    ("Bücher.example", "xn--bcher-kva.example"),
    ("xn--strae-oqa.example", "xn--strae-oqa.example"),
    ("192.0.2.7", "192.0.2.7"),
    ("2001:db8::7", "2001:db8::7"),
    ("2001:0DB8:0:0::7", "[2001:db8::7]"),
    ("fe80::1", "fe80::1%eth0"),
]

OTHER = [
    ("csms.example", "other.example"),
    ("csms.example", "csms.example.evil.example"),
    ("csms.example.evil.example", "csms.example"),
    ("example", "csms.example"),
    ("csms.example", "example"),
    ("xcsms.example", "csms.example"),
    ("csms.example..", "csms.example"),
    (".csms.example", "csms.example"),
    (" csms.example", "csms.example"),
    ("csms.example\0.evil.example", "csms.example"),
    ("csms.example\0", "csms.example"),
    ("csms.example\n", "csms.example"),
    ("csms.example:443", "csms.example"),
    ("https://csms.example", "csms.example"),
    ("-csms.example", "-csms.example"),
    ("", "csms.example"),
    ("CS001", "csms.example"),
    # A letter that only looks like another, or becomes another when it is looked up.
    ("csms.examp1e", "csms.example"),
    ("\u212asms.example", "ksms.example"),  # the Kelvin sign
    ("csms\u3002example", "csms.example"),  # a full stop of another script
    ("ﬁrm.example", "firm.example"),  # one letter for two
    ("straße.example", "strasse.example"),
    ("c\u0455ms.example", "csms.example"),  # a Cyrillic letter
    ("192.0.2.7", "192.0.2.8"),
    ("192.0.2.7", "2001:db8::7"),
    ("192.0.2.07", "192.0.2.7"),
    ("::ffff:192.0.2.7", "192.0.2.7"),
    ("csms.example", "192.0.2.7"),
    ("192.0.2.7", "csms.example"),
    ("csms.example", ""),
    ("csms.example", "."),
    ("csms.example", "csms..example"),
    ("a.example", "a" * 64 + ".example"),
    ("\u212aü.example", "kü.example"),
]


@pytest.mark.parametrize(("cn", "host"), SAME)
def test_the_common_name_is_the_host(cn: str, host: str) -> None:
    """A00.FR.309, A00.FR.412: one and the same name, however it is written."""
    assert host_objection(with_cn(cn), host) is None


@pytest.mark.filterwarnings("ignore:Attribute's length must be")
@pytest.mark.parametrize(("cn", "host"), OTHER)
@pytest.mark.parametrize("allow_wildcards", [False, True])
def test_the_common_name_is_another(cn: str, host: str, allow_wildcards: bool) -> None:
    """A00.FR.309, A00.FR.412: whatever is not the whole name is another."""
    text = host_objection(with_cn(cn), host, allow_wildcards=allow_wildcards)
    assert text is not None
    assert text.isprintable()
    assert len(text) < 300


WILDCARDS = [
    ("*.example.org", "csms.example.org", True),
    ("*.Example.org", "CSMS.example.ORG", True),
    ("*.example.org.", "csms.example.org", True),
    ("*.example.org", "xn--bcher-kva.example.org", True),
    ("*.xn--bcher-kva.example", "csms.bücher.example", True),
    ("*.example.org", "example.org", False),
    ("*.example.org", "a.b.example.org", False),
    ("*.example.org", ".example.org", False),
    ("*.org", "example.org", False),
    ("*", "localhost", False),
    ("*.", "localhost.", False),
    ("*.*.org", "a.example.org", False),
    ("c*.example.org", "csms.example.org", False),
    ("*s.example.org", "csms.example.org", False),
    ("csms.*.org", "csms.example.org", False),
    ("csms.*", "csms.example", False),
    ("**.example.org", "csms.example.org", False),
    ("*.0.2.7", "192.0.2.7", False),
    ("*.2.7", "192.0.2.7", False),
]


@pytest.mark.parametrize(("name", "host", "covered"), WILDCARDS)
@pytest.mark.parametrize("place", ["common name", "alternative"])
def test_wildcards(name: str, host: str, covered: bool, place: str) -> None:
    """A00.FR.510: a wildcard only stands for one whole label, and only where it is allowed."""
    if place == "alternative":
        one = certificate("CSMS", name) if name.isascii() else certificate("CSMS")
    else:
        one = with_cn(name)
    assert (host_objection(one, host, allow_wildcards=True) is None) == covered
    text = host_objection(one, host)
    assert text is not None
    assert ("wildcard" in text) == covered


def test_a_wildcard_beside_the_right_name_does_no_harm() -> None:
    """A00.FR.309: the common name is the FQDN; what else is there does not matter."""
    one = certificate("csms.example.org", "*.example.org")
    assert host_objection(one, "csms.example.org") is None
    text = host_objection(one, "other.example.org")
    assert text == "has the wildcard name *.example.org, which is not allowed"


def test_alternative_names() -> None:
    """A00.FR.511: several ways to the CSMS, a name and an address."""
    one = certificate("csms.example", "csms.vpn.example", "10.0.0.7", "2001:db8::7")
    for host in ("csms.example", "csms.vpn.example", "10.0.0.7", "2001:db8::7", "[2001:DB8::7]"):
        assert host_objection(one, host) is None
    text = host_objection(one, "10.0.0.8")
    assert text == "is for csms.example, csms.vpn.example, 10.0.0.7 and 1 more, not for 10.0.0.8"
    assert host_objection(one, "10.0.0.7.example") is not None


def test_an_address_as_host_name() -> None:
    """A00.FR.511 speaks of a dnsName for a CSMS in a VPN, which is known there by its address."""
    name = x509.SubjectAlternativeName([x509.DNSName("10.0.0.7")])
    one = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key().public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW.replace(year=2027))
        .add_extension(name, critical=True)
        .sign(key(), hashes.SHA256())
    )
    assert host_objection(one, "10.0.0.7") is None
    assert host_objection(one, "10.0.0.8") is not None


def test_without_the_common_name() -> None:
    """A00.FR.308: where an authority is held to certain names, the common name is no way around."""
    one = certificate("csms.example", "csms.vpn.example")
    assert host_objection(one, "csms.example", common_name_counts=False) is not None
    assert host_objection(one, "csms.vpn.example", common_name_counts=False) is None


def test_no_name_at_all() -> None:
    """A00.FR.510: the subject has to have a CN."""
    text = host_objection(certificate(None), "csms.example")
    assert text == "is for no name, not for csms.example"


def test_several_common_names() -> None:
    """A00.FR.309: the commonName includes the FQDN."""
    one = with_subject(
        x509.NameAttribute(NameOID.COMMON_NAME, "The CSMS"),
        x509.NameAttribute(NameOID.COMMON_NAME, "csms.example"),
    )
    assert common_names(one) == ("The CSMS", "csms.example")
    assert host_objection(one, "csms.example") is None


def test_names_of_the_development_pki() -> None:
    """A00.FR.510"""
    server: Issued = Pki(NOW, key=KeyKind.EC).server("csms.example", "localhost")
    assert common_names(server.certificate) == ("csms.example",)
    assert dns_names(server.certificate) == ("csms.example", "localhost")


def test_a_name_that_cannot_be_read() -> None:
    """A00.FR.310: what cannot be read is not the name of the CSMS."""
    broken = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x03\x82\x05\xff")
    one = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "csms.example")]))
        .issuer_name(x509.Name([]))
        .public_key(key().public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW.replace(year=2027))
        .add_extension(broken, critical=False)
        .sign(key(), hashes.SHA256())
    )
    assert host_objection(one, "csms.example") == "has names that cannot be read"


def test_what_a_stranger_wrote_is_one_line() -> None:
    assert printable("a\nb\x1b[31m") == "'a\\nb\\x1b[31m'"
    assert printable("x" * 500) == "x" * 80 + "..."
    assert printable("bücher.example") == "bücher.example"
