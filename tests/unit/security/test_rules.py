"""Which chains are trusted, and what a refusal says."""

import dataclasses
import ipaddress
import re
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ocpp_fast.errors import CertificateInvalid
from ocpp_fast.security.certificates import Chain, spki
from ocpp_fast.security.pki import Issued, KeyKind, Recipe, issue
from ocpp_fast.security.rules import (
    Purpose,
    check_dates,
    check_issuance,
    check_root,
    check_strength,
    check_subject,
    judge,
    judge_path,
)
from unit.security.kit import CA, DAY, NOW, OTHER, PKI, certificate, chain_of, named

ROOTS = (OTHER.csms_root.certificate, PKI.csms_root.certificate)


def refusal(chain: Chain, roots: tuple[x509.Certificate, ...] = ROOTS, **asked: Any) -> str:
    with pytest.raises(CertificateInvalid) as refused:
        judge(chain, roots, asked.pop("now", NOW), **asked)
    text = str(refused.value)
    assert text.isprintable()
    assert len(text) < 400
    return text


def station(**changes: Any) -> Issued:
    return PKI.station("CS001", **changes)


def test_a_good_chain_gives_its_path() -> None:
    """A02.FR.06, A03.FR.06, A00.FR.403."""
    issued = station()
    path = judge(
        chain_of(issued),
        ROOTS,
        NOW,
        purpose=Purpose.CLIENT,
        common_name="cs001",
        organization="OCPP_FAST",
        public_key=spki(issued.certificate),
        station=True,
        elliptic_bits=256,
    )
    assert path == (*issued.chain, PKI.csms_root.certificate)
    server = PKI.server("csms.example")
    assert judge(chain_of(server), ROOTS, NOW, purpose=Purpose.SERVER)[-1] == ROOTS[1]


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_the_order_of_intermediates_does_not_matter(order: tuple[int, ...]) -> None:
    secc = PKI.secc("SECC")
    leaf, *above = secc.chain
    stranger = OTHER.csms_ca.certificate
    chain = Chain(leaf, (stranger, *(above[each] for each in order)))
    path = judge(chain, (PKI.v2g_root.certificate,), NOW)
    assert path == (*secc.chain, PKI.v2g_root.certificate)


def test_an_intermediate_may_be_the_anchor() -> None:
    """As after a CSMS root that was signed by an older one, which has gone (M05.FR.13)."""
    issued = station()
    anchor = PKI.csms_ca.certificate
    assert judge(chain_of(issued), (anchor,), NOW) == issued.chain
    assert judge(Chain(issued.certificate), (anchor,), NOW) == issued.chain
    assert judge(Chain(issued.certificate), (issued.certificate,), NOW) == (issued.certificate,)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (PKI.expired(), r"CN=CS001.*: expired on 2026-11-20T09:30:00Z, it is now 2026-11-21T09:3"),
        (PKI.not_yet_valid(), "is not valid before 2026-11-22T09:30:00Z"),
        ({"issuer": OTHER.v2g_ca}, "CN=CPO Sub-CA 1: is signed by no installed root"),
        ({"key": KeyKind.RSA_1024}, "key of 1024 bits, 2048 are needed .A00.FR.502"),
        ({"key": KeyKind.EC_192}, "key of 192 bits, 224 are needed .A00.FR.503"),
        ({"organization": None}, "names no organization .O. in its subject .A00.FR.509"),
        ({"digest": hashes.SHA224()}, "signed with sha224, which is not safe any more"),
    ],
)
def test_a_bad_leaf_is_refused(changes: dict[str, Any], reason: str) -> None:
    """A02.FR.06, A03.FR.06, A00.FR.501, A00.FR.502, A00.FR.503, A00.FR.504, A00.FR.506,
    A00.FR.509."""
    text = refusal(chain_of(station(**changes)))
    assert text.startswith("certificate ")
    assert re.search(reason, text)


def test_the_subject_must_be_the_one_that_was_asked_for() -> None:
    """A00.FR.509, A00.FR.511."""
    chain = chain_of(station())
    assert "is for CS001, not for CS002 (CN)" in refusal(chain, common_name="CS002")
    assert "not to Somebody" in refusal(chain, organization="Somebody")
    other = PKI.station("CS001")
    assert "is not for the key pair" in refusal(chain, public_key=spki(other.certificate))
    nobody = chain_of(station(organization=None))
    with pytest.raises(CertificateInvalid, match=r"A00\.FR\.509"):
        check_subject(nobody.leaf)
    check_subject(nobody.leaf, require_organization=False)
    text = refusal(nobody, organization="Org", require_organization=False)
    assert "belongs to none, not to Org" in text
    nameless = issue(Recipe(common_name=None, not_before=NOW, not_after=NOW), PKI.csms_ca)
    assert "has no common name" in refusal(chain_of(nameless), require_organization=False)


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("SN-0001", True),
        ("DE*ABC*E1", True),
        ("https://csms.example/ocpp", False),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
        ("[2001:db8::1]", False),
    ],
)
def test_a_serial_number_is_neither_url_nor_address(name: str, *, good: bool) -> None:
    """A00.FR.511."""
    subject = PKI.station(name).certificate
    check_subject(subject)
    if good:
        check_subject(subject, station=True)
        return
    with pytest.raises(CertificateInvalid, match=r"A00\.FR\.511"):
        check_subject(subject, station=True)


def test_every_certificate_of_the_path_is_looked_at() -> None:
    old = PKI.sub_ca("Old CA", PKI.csms_root, **PKI.expired())
    assert "CN=Old CA" in refusal(chain_of(station(issuer=old)))
    weak = PKI.sub_ca("Weak CA", PKI.csms_root, key=KeyKind.RSA_1024)
    assert "CN=Weak CA" in refusal(chain_of(station(issuer=weak)))
    root = PKI.root("Old Root", **PKI.expired())
    leaf = station(issuer=root)
    assert "Old Root: expired" in refusal(chain_of(leaf), (root.certificate,)).replace(
        ",O=ocpp_fast development", ""
    ).replace("O=ocpp_fast development,", "").replace("CN=", "")


def test_both_ends_of_the_validity_are_included() -> None:
    leaf = station().certificate
    check_dates((leaf,), leaf.not_valid_before_utc)
    check_dates((leaf,), leaf.not_valid_after_utc)
    for moment in (
        leaf.not_valid_before_utc - timedelta(seconds=1),
        leaf.not_valid_after_utc + timedelta(seconds=1),
    ):
        with pytest.raises(CertificateInvalid):
            check_dates((leaf,), moment)


def test_what_is_no_authority_signs_nothing() -> None:
    """RFC 5280, 6.1.4 k, l, n."""
    leaf = station(authority=False)
    below = station(issuer=leaf)
    assert "no certificate authority" in refusal(chain_of(below))
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=False, crl_sign=True,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    root, key = certificate("root", extensions=(CA, (usage, True)))
    end, _ = certificate("leaf", (root, key))
    assert "may not sign certificates (key usage)" in refusal(Chain(end), (root,))
    flat, key = certificate("flat")
    end, _ = certificate("leaf", (flat, key))
    assert "no certificate authority" in refusal(Chain(end), (flat,))


def test_a_path_length_bounds_the_authorities_below() -> None:
    """RFC 5280, 6.1.4 m; those that are self-issued do not count."""
    upper = PKI.sub_ca("Upper", PKI.csms_root, path_length=0)
    lower = PKI.sub_ca("Lower", upper)
    text = refusal(chain_of(station(issuer=lower)))
    assert "CN=Upper" in text
    assert "allows 0 authorities below it, the chain has 1" in text
    limited = (x509.BasicConstraints(ca=True, path_length=0), True)
    old, old_key = certificate("Root", extensions=(limited,))
    link, new_key = certificate("Root", (old, old_key), extensions=(limited,))
    leaf, _ = certificate("leaf", (link, new_key))
    assert judge(Chain(leaf, (link,)), (old,), NOW) == (leaf, link, old)


def test_a_purpose_is_kept() -> None:
    """A00.FR.512, and A00.FR.514: an extended key usage is not needed, but one that is there
    counts."""
    root, key = certificate("root", extensions=(CA,))

    def leaf(*extensions: x509.ExtensionType) -> Chain:
        made = certificate("leaf", (root, key), extensions=tuple((e, False) for e in extensions))
        return Chain(made[0])

    client = leaf(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))
    anyone = leaf(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]))
    assert judge(client, (root,), NOW, purpose=Purpose.CLIENT)
    assert judge(client, (root,), NOW, purpose=Purpose.ANY)
    assert judge(anyone, (root,), NOW, purpose=Purpose.SERVER)
    assert judge(leaf(), (root,), NOW, purpose=Purpose.SERVER)
    assert "may not be used as TLS server" in refusal(client, (root,), purpose=Purpose.SERVER)
    authority = PKI.csms_ca
    usage = authority.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    signing = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    assert usage != signing
    for purpose in (Purpose.CLIENT, Purpose.SERVER):
        text = refusal(leaf(signing), (root,), purpose=purpose)
        assert f"may not be used as {purpose.value} (key usage)" in text
    encrypting = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=True,
        data_encipherment=False, key_agreement=False, key_cert_sign=False, crl_sign=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    # The TLS_RSA suites need no signature of the server, but one of the client (A00.FR.318).
    assert judge(leaf(encrypting), (root,), NOW, purpose=Purpose.SERVER)
    assert "(key usage)" in refusal(leaf(encrypting), (root,), purpose=Purpose.CLIENT)
    other = PKI.station("CS001", authority=True)
    assert "is a certificate authority" in refusal(chain_of(other), purpose=Purpose.CLIENT)
    assert judge(chain_of(other), ROOTS, NOW, purpose=Purpose.SERVER)


def test_unknown_critical_extensions_and_policies_are_refused() -> None:
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    root, key = certificate("root", extensions=(CA,))
    leaf, _ = certificate("leaf", (root, key), extensions=((strange, True),))
    assert "critical extension that is not known, 1.2.3.4" in refusal(Chain(leaf), (root,))
    leaf, _ = certificate("leaf", (root, key), extensions=((strange, False),))
    assert judge(Chain(leaf), (root,), NOW)
    policy = x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None)
    leaf, _ = certificate("leaf", (root, key), extensions=((policy, True),))
    assert "critical extension" in refusal(Chain(leaf), (root,))


def test_a_signature_must_fit() -> None:
    """A00.FR.308: the right issuer by name is not enough."""
    root, _ = certificate("root", extensions=(CA,))
    impostor = certificate("root", extensions=(CA,))
    leaf, _ = certificate("leaf", impostor)
    assert "is signed by no installed root (its issuer is" in refusal(Chain(leaf), (root,))
    assert "is signed by no installed root" in refusal(Chain(leaf), ())
    text = refusal(chain_of(OTHER.station("CS001")), (PKI.csms_root.certificate,))
    assert "CN=CSMS Sub-CA" in text
    assert "CSMS Root CA" in text


def test_of_several_paths_one_that_is_good_suffices() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    old, _ = certificate("Root", key=key, extensions=(CA,), not_after=NOW - DAY,
                         not_before=NOW - 2 * DAY)  # fmt: skip
    new, _ = certificate("Root", key=key, extensions=(CA,))
    leaf, _ = certificate("leaf", (new, key))
    assert judge(Chain(leaf), (old, new), NOW) == (leaf, new)
    assert "expired" in refusal(Chain(leaf), (old,))


def test_authorities_that_sign_each_other_lead_nowhere() -> None:
    one, two = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root, _ = certificate("root", extensions=(CA,))
    a, _ = certificate("A", (certificate("B", key=two)[0], two), key=one, extensions=(CA,))
    b, _ = certificate("B", (a, one), key=two, extensions=(CA,))
    leaf, _ = certificate("leaf", (a, one))
    assert "no installed root" in refusal(Chain(leaf, (a, b)), (root,))
    assert judge(Chain(leaf, (a, b)), (b,), NOW) == (leaf, a, b)


def test_a_crowd_of_look_alikes_costs_a_bounded_number_of_checks() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    crowd = [certificate("CA", key=key, extensions=(CA,))[0] for _ in range(9)]
    leaf, _ = certificate("leaf", (crowd[0], key))
    root, _ = certificate("root", extensions=(CA,))
    assert "no installed root" in refusal(Chain(leaf, tuple(crowd)), (root,))


def test_a_serial_number_fits_into_the_message() -> None:
    """A00.FR.508."""
    root, key = certificate("root", extensions=(CA,))
    leaf, _ = certificate("leaf", (root, key), serial_number=(1 << 159) - 1)
    assert judge(Chain(leaf), (root,), NOW)


def test_only_elliptic_curves_are_for_iso_15118() -> None:
    secc = PKI.secc("SECC", key=KeyKind.RSA)
    anchors = (PKI.v2g_root.certificate,)
    assert judge(chain_of(secc), anchors, NOW)
    assert "no elliptic curve key of 256 bits" in refusal(
        chain_of(secc), anchors, elliptic_bits=256
    )


def test_other_kinds_of_keys() -> None:
    """A00.FR.501: EdDSA is strong enough; what nobody knows here is not."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = named("ed")
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
        .add_extension(*CA).sign(key, None)
    )  # fmt: skip
    check_strength(made)
    check_root(made, NOW)


# --- roots ----------------------------------------------------------------------------------------


def test_a_root_must_be_an_authority_that_is_not_over() -> None:
    """M05.FR.07."""
    check_root(PKI.csms_root.certificate, NOW)
    check_root(PKI.csms_ca.certificate, NOW)
    check_root(PKI.root("Later", **PKI.not_yet_valid()).certificate, NOW)
    for issued, reason in (
        (PKI.root("Old", **PKI.expired()), "expired"),
        (PKI.root("Weak", key=KeyKind.RSA_1024), "2048"),
        (PKI.station("CS001"), "no certificate authority"),
        (PKI.root("Unsafe", digest=hashes.SHA224()), "sha224"),
    ):
        with pytest.raises(CertificateInvalid, match=reason):
            check_root(issued.certificate, NOW)


def test_a_root_whose_own_signature_is_wrong_is_damaged() -> None:
    old, old_key = certificate("Root", extensions=(CA,))
    link, _ = certificate("Root", (old, old_key), extensions=(CA,))
    with pytest.raises(CertificateInvalid, match="damaged, its signature does not fit"):
        check_root(link, NOW)
    check_root(link, NOW, (old,))


def test_who_has_signed_whom() -> None:
    """M05.FR.10."""
    check_issuance(PKI.csms_ca.certificate, PKI.csms_root.certificate)
    with pytest.raises(CertificateInvalid, match=r"is not signed by .*CSMS Root CA"):
        check_issuance(OTHER.csms_root.certificate, PKI.csms_root.certificate)
    leaf = station()
    below = station(issuer=leaf)
    with pytest.raises(CertificateInvalid, match="no certificate authority"):
        check_issuance(below.certificate, leaf.certificate)


# --- inside a handshake ---------------------------------------------------------------------------


def test_a_path_that_the_tls_library_has_verified() -> None:
    """A00.FR.308, A00.FR.411; a CSMS may be told to let an expired certificate in (A00.FR.429)."""
    server = PKI.server("csms.example")
    path = (*server.chain, PKI.csms_root.certificate)
    judge_path(path, NOW, purpose=Purpose.SERVER)
    judge_path(path, NOW, require_organization=True)
    with pytest.raises(CertificateInvalid, match="expired"):
        judge_path(path, NOW + 366 * DAY)
    judge_path(path, NOW + 366 * DAY, check_time=False)
    nameless = PKI.server("csms.example", organization=None)
    path = (*nameless.chain, PKI.csms_root.certificate)
    judge_path(path, NOW)
    with pytest.raises(CertificateInvalid, match=r"A00\.FR\.509"):
        judge_path(path, NOW, require_organization=True)


# --- name constraints -----------------------------------------------------------------------------


def _dns(*names: str) -> list[x509.GeneralName]:
    return [x509.DNSName(name) for name in names]


@pytest.mark.parametrize(
    ("permitted", "excluded", "subject", "names", "good"),
    [
        (_dns("example"), None, "csms", _dns("a.example", "example"), True),
        (_dns("example"), None, "csms", _dns("a.example", "evil.test"), False),
        (_dns(".example"), None, "csms.example", [], True),
        (_dns("example"), None, "csms.evil.test", [], False),
        (_dns("example"), None, "Not A Host", [], True),
        (None, _dns("bad.example"), "csms", _dns("a.example"), True),
        (None, _dns("bad.example"), "csms", _dns("x.BAD.example"), False),
        (None, _dns(""), "csms", _dns("anything"), False),
        ([x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))], None, "x",
         [x509.IPAddress(ipaddress.ip_address("10.1.2.3"))], True),
        ([x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))], None, "x",
         [x509.IPAddress(ipaddress.ip_address("11.1.2.3"))], False),
        ([x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cs")]))],
         None, "cs", [], True),
        ([x509.DirectoryName(named("other"))], None, "cs", [], False),
        ([x509.RFC822Name("example.org")], None, "cs", _dns("a"), True),
        ([x509.RFC822Name("example.org")], None, "cs", [x509.RFC822Name("a@example.org")], False),
        (None, [x509.RFC822Name("example.org")], "cs", [x509.RFC822Name("a@b.test")], False),
    ],
)  # fmt: skip
def test_an_authority_vouches_for_the_names_that_it_may(
    permitted: list[x509.GeneralName] | None,
    excluded: list[x509.GeneralName] | None,
    subject: str,
    names: list[x509.GeneralName],
    *,
    good: bool,
) -> None:
    """RFC 5280, 6.1.4 g, as A00.FR.308 asks."""
    constraints = x509.NameConstraints(permitted, excluded)
    root, key = certificate("root", extensions=(CA, (constraints, True)))
    extensions = ((x509.SubjectAlternativeName(names), False),) if names else ()
    leaf, _ = certificate(subject, (root, key), extensions=extensions)
    if good:
        assert judge(Chain(leaf), (root,), NOW)
    else:
        assert "may not vouch for" in refusal(Chain(leaf), (root,))


# --- any chain ------------------------------------------------------------------------------------

FAULTS: dict[str, dict[str, Any]] = {
    "expired": PKI.expired(),
    "early": PKI.not_yet_valid(),
    "sha224": {"digest": hashes.SHA224()},
    "weak": {"key": KeyKind.EC_192},
}


@given(data=st.data())
def test_a_chain_is_good_exactly_if_each_of_its_parts_is(data: st.DataObject) -> None:
    """A00.FR.403, A02.FR.06."""
    length = data.draw(st.integers(0, 3), "authorities between root and leaf")
    faults = [data.draw(st.sampled_from(["", *FAULTS])) for _ in range(length + 2)]
    not_an_authority = data.draw(st.integers(-1, length), "which is no authority")

    def recipe(index: int, name: str, *, authority: bool) -> Recipe:
        changes = FAULTS.get(faults[index], {})
        base = Recipe(
            common_name=name, organization="Org", not_before=NOW - DAY, not_after=NOW + DAY,
            authority=authority,
        )  # fmt: skip
        return dataclasses.replace(base, **changes)

    top = issue(recipe(0, "root", authority=not_an_authority != 0))
    below = top
    for index in range(1, length + 1):
        below = issue(recipe(index, f"ca{index}", authority=not_an_authority != index), below)
    leaf = issue(recipe(length + 1, "leaf", authority=False), below)
    intermediates = data.draw(st.permutations([*leaf.chain[1:], OTHER.csms_ca.certificate]))
    chain = Chain(leaf.certificate, tuple(intermediates))
    # The signature of an anchor does not matter.
    bad = [fault for fault in faults[1:] if fault] or [
        each for each in faults[:1] if each != "sha224"
    ]
    good = not any(bad) and not_an_authority < 0
    trusted = data.draw(st.booleans(), "root is installed")
    roots = (top.certificate, *ROOTS) if trusted else ROOTS
    if good and trusted:
        assert judge(chain, roots, NOW)[-1] == top.certificate
    else:
        text = refusal(chain, roots)
        assert text.startswith("certificate ")
