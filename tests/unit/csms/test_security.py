"""Who may connect: a table for each security profile."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ocpp_fast.clock import SystemClock
from ocpp_fast.csms import CsmsSecurity, KeyPair, ProfileFloor, Signer
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.pki import Pki
from ocpp_fast.transport.handshake import Credentials, Handshake

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
PKI = Pki(NOW)
PASSWORD = "0123456789abcdef"
PAIR = KeyPair("chain.pem", "key.pem")


def shake(
    identity: str = "CS001",
    username: str | None = None,
    password: str | None = None,
    certificate: bytes | None = None,
) -> Handshake:
    credentials = None if password is None else Credentials(username or identity, password)
    path = f"/{identity}"
    shaken = Handshake(identity, path, ("ocpp2.1",), credentials, {})
    return replace(shaken, peer_certificate=certificate)


def station(serial_number: str = "CS001", /, **changes: Any) -> bytes:
    return PKI.station(serial_number, **changes).certificate.public_bytes(Encoding.DER)


def test_the_profile_follows_from_what_is_given() -> None:
    """A00.FR.001, A00.FR.006: one profile for a port."""
    assert CsmsSecurity().profile == 0
    assert CsmsSecurity(passwords={}).profile == 1
    assert CsmsSecurity(passwords={}, key_pairs=(PAIR,)).profile == 2
    assert CsmsSecurity(client_roots="roots.pem", key_pairs=(PAIR,)).profile == 3
    with pytest.raises(ConfigurationError, match="profile 2 needs passwords"):
        CsmsSecurity(key_pairs=(PAIR,))
    with pytest.raises(ConfigurationError, match="need a certificate of the server"):
        CsmsSecurity(client_roots="roots.pem")
    assert PASSWORD not in repr(CsmsSecurity(passwords={"CS001": PASSWORD}))


@pytest.mark.parametrize("pairs", [(), (PAIR,)], ids=["profile 1", "profile 2"])
@pytest.mark.parametrize(
    ("handshake", "status"),
    [
        (shake(password=PASSWORD), 0),
        (shake(), 401),
        (shake(password="wrong"), 401),
        (shake(password=""), 401),
        (shake(username="CS003", password=PASSWORD), 401),  # which is that of CS003
        (shake("CS002", password=PASSWORD), 404),
        (shake("CS002", username="CS001", password=PASSWORD), 404),
    ],
)
def test_passwords(handshake: Handshake, status: int, pairs: tuple[KeyPair, ...]) -> None:
    """A00.FR.002, A00.FR.202-204, A00.FR.207, A00.FR.301-303, A00.FR.324."""
    passwords = {"CS001": PASSWORD, "CS003": PASSWORD}
    security = CsmsSecurity(passwords=passwords, key_pairs=pairs)
    assert security.admit(handshake, NOW).status == status


def test_a_password_check_of_ones_own() -> None:
    security = CsmsSecurity(passwords=lambda identity, password: identity == password)
    assert security.admit(shake(password="CS001"), NOW).status == 0
    assert security.admit(shake("CS002", password="CS002"), NOW).status == 0
    assert security.admit(shake("CS002", password="CS001"), NOW).status == 401
    known = replace(security, identities={"CS001"})
    assert known.admit(shake("CS002", password="CS002"), NOW).status == 404


def test_the_reason_does_not_tell_the_password() -> None:
    """A01.FR.09."""
    security = CsmsSecurity(passwords={"CS001": PASSWORD})
    assert "secret" not in security.admit(shake(password="secret"), NOW).reason


def certificates(**changes: Any) -> CsmsSecurity:
    return CsmsSecurity(key_pairs=(PAIR,), client_roots="roots.pem", **changes)


@pytest.mark.parametrize(
    ("certificate", "changes", "reason"),
    [
        (station(), {}, ""),
        (station(), {"organization": PKI.organization}, ""),
        (None, {}, "no client certificate"),
        (b"nothing", {}, "no readable certificate"),
        (station("CS002"), {}, "belongs to 'CS002'"),
        (station("CS0010"), {}, "belongs to 'CS0010'"),
        (station(common_name=None), {}, "belongs to None"),
        (station("SN-1"), {"serial_numbers": {"CS001": "SN-1"}}, ""),
        (station(), {"serial_numbers": {"CS001": "SN-1"}}, "belongs to 'CS001'"),
        (station(organization="Others"), {"organization": PKI.organization}, "to the operator"),
        (station(organization=None), {"organization": PKI.organization}, "to the operator"),
        (station(**PKI.expired()), {}, "has expired"),
        (station(**PKI.expired()), {"accept_expired": {"CS002"}}, "has expired"),
        (station(**PKI.expired()), {"accept_expired": {"CS001"}}, ""),
        (station("CS002", **PKI.expired()), {"accept_expired": {"CS001"}}, "belongs to"),
        (station(), {"identities": {"CS001"}}, ""),
        (station(), {"identities": {"CS002"}}, "not a known station"),
    ],
)
def test_certificates(certificate: bytes | None, changes: dict[str, Any], reason: str) -> None:
    """A00.FR.404, A00.FR.405, A00.FR.407, A00.FR.429."""
    admission = certificates(**changes).admit(shake(certificate=certificate), NOW)
    assert reason in admission.reason
    assert admission.status == (404 if "known" in reason else 403 if reason else 0)
    assert admission.expired is ("accept_expired" in changes and not reason)


def test_a_password_is_no_certificate() -> None:
    """A00.FR.002, A00.FR.401: profile 3 is not profile 2."""
    security = certificates(passwords={"CS001": PASSWORD})
    assert security.admit(shake(password=PASSWORD), NOW).status == 403
    assert security.admit(shake(certificate=station()), NOW).status == 0


def test_what_the_handshake_found_counts() -> None:
    """A00.FR.407, A00.FR.429: only an expired certificate may be let in."""
    security = certificates(accept_expired={"CS001"})
    assert security.admit(shake(certificate=station()), NOW, "weak").status == 403
    expired = station(**PKI.expired())
    assert security.admit(shake(certificate=expired), NOW, "expired").status == 0


def test_a_revoked_certificate() -> None:
    """A00.FR.702, A00.FR.705."""
    authority = CertificateAuthority(PKI.csms_ca, SystemClock())
    security = certificates(signer=Signer(authority=authority))
    issued = PKI.station("CS001", serial_number=77)
    authority.revoked.add(77)
    der = issued.certificate.public_bytes(Encoding.DER)
    assert "revoked" in security.admit(shake(certificate=der), NOW).reason
    assert security.admit(shake(certificate=station()), NOW).status == 0


@pytest.mark.parametrize("allow", [False, True])
def test_no_way_back_to_a_lower_profile(allow: bool) -> None:
    """A05.FR.07, A00.FR.005."""
    floor = ProfileFloor(allow_downgrade=allow)
    basic = CsmsSecurity(passwords={"CS001": PASSWORD}, floor=floor)
    tls = CsmsSecurity(passwords={"CS001": PASSWORD}, key_pairs=(PAIR,), floor=floor)
    best = certificates(floor=floor)

    def verdicts() -> Collection[int]:
        given = shake(password=PASSWORD, certificate=station())
        return [each.admit(given, NOW).status for each in (basic, tls, best)]

    assert verdicts() == [0, 0, 0]
    basic.accepted("CS001")
    assert verdicts() == [0, 0, 0]
    best.accepted("CS001")
    assert verdicts() == [403, 0 if allow else 403, 0]
    basic.accepted("CS001")
    assert verdicts() == [403, 0 if allow else 403, 0]
    tls.accepted("CS002")
    assert not floor.permits("CS002", 1)
    assert floor.permits("CS002", 2)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    clock = SystemClock()
    with pytest.raises(ConfigurationError, match=r"roots\.pem: "):
        certificates().tls(clock, print)
    roots = tmp_path / "roots.pem"
    roots.write_text(PKI.csms_root.pem)
    security = CsmsSecurity(key_pairs=(PAIR,), client_roots=str(roots))
    with pytest.raises(ConfigurationError, match=r"chain\.pem with key\.pem"):
        security.tls(clock, print)
    assert CsmsSecurity(passwords={}).tls(clock, print) is None
