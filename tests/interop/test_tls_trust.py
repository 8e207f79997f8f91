"""Whom a station trusts: roots and their successors, authorities, responders; and what holds over
several dials."""

import ssl
from collections.abc import Awaitable, Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from interop.tls_kit import (
    LOOPS,
    Station,
    Trusted,
    good_pair,
    key_pair,
    leaf_chain,
    links,
    other_pki,
    pki,
    refused,
    roots,
    run,
    stranger,
)
from ocpp_fast.clock import SystemClock
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.certificates import parse_chain
from ocpp_fast.security.csr import Subject
from ocpp_fast.security.ocsp import OcspClient, OcspFailed
from ocpp_fast.security.pki import Issued, Recipe, issue
from ocpp_fast.security.store import CertificateStore, LeafUse, RootUse
from ocpp_fast.security.tls import ClientTls, TlsPolicy
from ocpp_fast.security.tls_object import CIPHERS
from ocpp_fast.security.tls_server import ServerTls

EveryLoop = pytest.mark.parametrize("loop", LOOPS)
EveryVersion = pytest.mark.parametrize("version", ["1.2", "1.3"])

_T = TypeVar("_T")

CLOCK = SystemClock()
DAY = timedelta(days=1)


# --- an old root and its successor ----------------------------------------------------------------


def successor(old: Issued, name: str, **changes: object) -> Issued:
    """A root that is signed by the one that it replaces (M05.FR.10)."""
    recipe = Recipe(
        common_name=name,
        not_before=pki().now - DAY,
        not_after=pki().now + 365 * DAY,
        organization="CSO",
        authority=True,
    )
    return issue(replace(recipe, **changes), old)


@EveryLoop
@EveryVersion
@pytest.mark.parametrize("name", ["The next root", "CSMS Root CA"])
def test_an_old_root_and_its_successor(name: str, version: str, loop: str, tmp_path: Path) -> None:
    """M05.FR.10, M05.FR.13, M05.FR.14, M05.FR.15, M05.FR.16: the successor is trusted by itself,
    though it is signed by another; the old one counts only where it may, and that it was needed is
    known. The two may even have the same name."""
    old = pki().csms_root
    new = successor(old, name)
    of_new = key_pair(tmp_path, pki().server("localhost", issuer=pki().sub_ca("Sub", new)), "new")
    of_old = key_pair(tmp_path, pki().server("localhost"), "old")
    store = Trusted(csms=[new.certificate], fallback=[old.certificate])

    async def task() -> None:
        one = Station(store)
        await links(one, ServerTls([of_new], CLOCK), version, allow_old_root=True)
        assert not one.tls.old_root_used
        assert one.dials == 1

        error = await refused(one, ServerTls([of_old], CLOCK), version, allow_old_root=False)
        assert error.failure is ConnectFailure.CERTIFICATE
        assert one.dials == 2

        one = Station(store)
        await links(one, ServerTls([of_old], CLOCK), version, allow_old_root=True)
        assert one.tls.old_root_used
        assert one.dials == 2

        await links(one, ServerTls([of_new], CLOCK), version, allow_old_root=True)
        assert not one.tls.old_root_used

    run(loop, task())


@EveryLoop
def test_the_old_root_is_no_way_around_other_checks(loop: str, tmp_path: Path) -> None:
    """M05.FR.14: it is asked when the path is at fault, once, and what it finds is not reported in
    place of the first reason."""
    old = pki().csms_root
    new = successor(old, "The next root")
    store = Trusted(csms=[new.certificate], fallback=[old.certificate])
    stranger_pair = key_pair(tmp_path, other_pki().server("localhost"), "foreign")
    issuer = pki().sub_ca("Sub", new)
    wrong_host = pki().server("csms.example", issuer=issuer)
    expired = pki().server("localhost", issuer=issuer, **pki().expired())

    async def task() -> None:
        one = Station(store)
        error = await refused(one, ServerTls([stranger_pair], CLOCK), allow_old_root=True)
        assert "does not lead to an installed root" in error.detail
        assert one.dials == 2

        one = Station(store)
        tls = ServerTls([key_pair(tmp_path, expired, "expired")], CLOCK)
        error = await refused(one, tls, allow_old_root=True)
        assert "expired on" in error.detail
        assert one.dials == 2

        one = Station(store)
        tls = ServerTls([key_pair(tmp_path, wrong_host, "host")], CLOCK)
        error = await refused(one, tls, allow_old_root=True)
        assert "not for localhost" in error.detail
        assert one.dials == 1

    run(loop, task())


@EveryLoop
def test_a_root_of_the_system_settles_nothing(
    loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M05.FR.13: the old root goes when the new one has proved good, not when another did."""
    bundle = tmp_path / "system.pem"
    bundle.write_text(pki().csms_root.pem, encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    store = Trusted(csms=[other_pki().csms_root.certificate])
    one = Station(store, TlsPolicy(system_roots=True))
    tls = ServerTls([good_pair(tmp_path)], CLOCK)
    run(loop, links(one, tls))
    assert one.tls.old_root_used
    store.csms, store.revision = roots(), 1
    run(loop, links(one, tls))
    assert not one.tls.old_root_used


# --- authorities that are held to certain names -----------------------------------------------


def constrained_authority() -> Issued:
    """May vouch for names below vpn.example."""
    key = ec.generate_private_key(ec.SECP256R1())
    root = pki().csms_root
    names = x509.NameConstraints([x509.DNSName("vpn.example")], None)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "VPN CA")]))
        .issuer_name(root.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(pki().now - DAY)
        .not_valid_after(pki().now + 30 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(names, critical=True)
        .sign(root.key, hashes.SHA256())
    )
    return Issued(certificate, key, root)


@EveryLoop
@pytest.mark.parametrize("beside", [(), ("csms.vpn.example",)])
def test_names_that_an_authority_may_not_vouch_for(
    beside: tuple[str, ...], loop: str, tmp_path: Path
) -> None:
    """A00.FR.308, A00.FR.411: nor is a common name beside an allowed one a way around."""
    issuer = constrained_authority()
    other = pki().server("localhost", issuer=issuer, names=beside)
    good = pki().server("csms.vpn.example", issuer=issuer)

    async def task() -> None:
        store = Trusted(csms=roots())
        tls = ServerTls([key_pair(tmp_path, other)], CLOCK)
        error = await refused(Station(store), tls)
        assert error.failure is ConnectFailure.CERTIFICATE
        tls = ServerTls([key_pair(tmp_path, good)], CLOCK)
        await links(Station(store, host="csms.vpn.example"), tls)

    run(loop, task())


# --- revocation -----------------------------------------------------------------------------------


class Responder:
    """An OCSP responder without HTTP."""

    def __init__(self) -> None:
        self.authority = CertificateAuthority(pki().csms_ca, CLOCK)
        self.asked = 0
        self.silent = False

    async def fetch(self, _url: str, request: bytes) -> bytes:
        self.asked += 1
        if self.silent:
            raise OcspFailed("nobody there")
        return self.authority.answer(request)


@EveryLoop
@EveryVersion
def test_revocation(version: str, loop: str, tmp_path: Path) -> None:
    """A00.FR.308, A00.FR.411: where it is wished, the responder is asked before the station says a
    word; the answer is kept."""
    issued = pki().server("localhost", ocsp_url="http://ocsp.example")
    pair = key_pair(tmp_path, issued)
    policy = TlsPolicy(check_ocsp=True)

    async def task() -> None:
        responder = Responder()
        ocsp = OcspClient(CLOCK, responder.fetch)
        one = Station(Trusted(csms=roots()), policy, ocsp=ocsp)
        await links(one, ServerTls([pair], CLOCK), version)
        await links(one, ServerTls([pair], CLOCK), version)
        assert (one.dials, responder.asked) == (3, 1)

        responder = Responder()
        responder.authority.revoked.add(issued.certificate.serial_number)
        one = Station(Trusted(csms=roots()), policy, ocsp=OcspClient(CLOCK, responder.fetch))
        for _ in range(2):
            server = stranger(pair, version)
            async with server:
                with pytest.raises(ConnectFailed) as caught:
                    await one.dial(server.port)
            assert caught.value.failure is ConnectFailure.CERTIFICATE
            assert caught.value.detail == "the certificate of the CSMS is revoked"
            assert server.heard == b""
        assert responder.asked == 1

        # Not asked: a revoked certificate is not known to be.
        await links(Station(Trusted(csms=roots())), ServerTls([pair], CLOCK), version)

    run(loop, task())


@EveryLoop
def test_a_responder_that_is_down(loop: str, tmp_path: Path) -> None:
    """A station must not be lost to it: it connects, and does not ask again at every dial."""
    issued = pki().server("localhost", ocsp_url="http://ocsp.example")
    pair = key_pair(tmp_path, issued)
    none_named = key_pair(tmp_path, pki().server("localhost"), "none")

    async def task() -> None:
        responder = Responder()
        responder.silent = True
        ocsp = OcspClient(CLOCK, responder.fetch)
        one = Station(Trusted(csms=roots()), TlsPolicy(check_ocsp=True), ocsp=ocsp)
        await links(one, ServerTls([pair], CLOCK))
        await links(one, ServerTls([pair], CLOCK))
        assert (one.dials, responder.asked) == (3, 1)
        await links(one, ServerTls([none_named], CLOCK))
        assert responder.asked == 1

    run(loop, task())


class Impatient(SystemClock):
    """Waits for nothing."""

    async def wait_for(self, awaitable: Awaitable[_T], timeout_s: float) -> _T:
        cast("Coroutine[Any, Any, _T]", awaitable).close()
        raise TimeoutError


@EveryLoop
def test_a_responder_that_takes_too_long(loop: str, tmp_path: Path) -> None:
    """It is waited for once in a dial."""
    pair = key_pair(tmp_path, pki().server("localhost", ocsp_url="http://ocsp.example"))

    async def task() -> None:
        ocsp = OcspClient(CLOCK, Responder().fetch)
        policy = TlsPolicy(check_ocsp=True)
        one = Station(Trusted(csms=roots()), policy, clock=Impatient(), ocsp=ocsp)
        await links(one, ServerTls([pair], CLOCK))
        assert one.dials == 2

    run(loop, task())


# --- contexts -------------------------------------------------------------------------------------


@EveryLoop
def test_contexts_are_kept_until_files_change(loop: str, tmp_path: Path) -> None:
    store = Trusted(csms=roots())
    seen: list[ssl.SSLContext] = []
    one = Station(store, change=seen.append)
    tls = ServerTls([good_pair(tmp_path)], CLOCK)

    async def task() -> None:
        await links(one, tls)
        await links(one, tls)
        store.csms, store.revision = [other_pki().csms_root.certificate], 1
        error = await refused(one, tls)
        assert error.failure is ConnectFailure.CERTIFICATE
        one.policy = TlsPolicy(ciphers=CIPHERS[:1])
        await refused(one, tls)

        # Two certificates of the same store, as while a new one is tried.
        store.csms, store.revision = roots(), 2
        own = leaf_chain(tmp_path, pki().station("CS001"))
        for one.store.own in (own, replace(own, id="the one before"), own):
            await links(one, tls)

    run(loop, task())
    assert seen[0] is seen[1]
    assert seen[4] is seen[6]
    assert len({id(each) for each in seen}) == 5


@EveryLoop
def test_with_the_store_on_disk(loop: str, tmp_path: Path) -> None:
    """A00.FR.401, M05.FR.13: what the certificate store holds is what is used; it may change
    between two dials."""
    folder = tmp_path / "store"
    store = CertificateStore(folder, CLOCK)
    pair = good_pair(tmp_path)

    async def task() -> None:
        tls = ServerTls([pair], CLOCK, client_roots=roots())
        one = Station(Trusted())
        one.tls = ClientTls(store, CLOCK, TlsPolicy)
        with pytest.raises(ConnectFailed) as caught:
            one.tls.client_chain()
        assert caught.value.failure is ConnectFailure.SLOT
        assert (await refused(one, tls)).failure is ConnectFailure.CERTIFICATE

        store.install_root(RootUse.CSMS, pki().csms_root.pem)
        assert (await refused(one, tls)).failure is ConnectFailure.CLIENT_CERTIFICATE

        subject = Subject(common_name="CS001", organization="CSO")
        asked = store.begin_key(LeafUse.CHARGING_STATION, subject)
        signed = CertificateAuthority(pki().csms_ca, CLOCK).sign(asked.csr)
        store.accept_signed(LeafUse.CHARGING_STATION, parse_chain(signed))
        one.store.own = one.tls.client_chain()
        assert one.store.own == one.tls.client_chain(old=True)
        await links(one, tls)

    run(loop, task())
    store.close()
