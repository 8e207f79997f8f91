"""TLS between our own station and our own CSMS, and what holds over several dials."""

import asyncio
import contextlib
import socket
import ssl
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from interop.tls_kit import (
    LOOPS,
    PASSWORD,
    Station,
    Then,
    Trusted,
    key_pair,
    leaf_chain,
    other_pki,
    our_csms,
    pki,
    run,
    stranger,
)
from ocpp_fast.clock import SystemClock
from ocpp_fast.errors import ConfigurationError, ConnectFailed, ConnectFailure
from ocpp_fast.security.authority import CertificateAuthority
from ocpp_fast.security.certificates import parse_chain
from ocpp_fast.security.csr import Subject
from ocpp_fast.security.names import common_names
from ocpp_fast.security.ocsp import OcspClient, OcspFailed
from ocpp_fast.security.pki import Issued, KeyKind, Pki, Recipe, issue
from ocpp_fast.security.store import CertificateStore, LeafUse, RootUse
from ocpp_fast.security.tls import ClientTls, TlsPolicy
from ocpp_fast.security.tls_object import CIPHERS
from ocpp_fast.security.tls_server import Client, KeyPair, ServerTls
from ocpp_fast.transport.handshake import Handshake
from ocpp_fast.transport.picows import Refused

EveryLoop = pytest.mark.parametrize("loop", LOOPS)
EveryVersion = pytest.mark.parametrize("version", ["1.2", "1.3"])

CLOCK = SystemClock()
IN_2040 = datetime(2040, 2, 29, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@cache
def pki_2040() -> Pki:
    return Pki(IN_2040)


@cache
def rsa_server() -> Issued:
    return pki().server("localhost", key=KeyKind.RSA)


def roots() -> list[x509.Certificate]:
    return [pki().csms_root.certificate]


def good_pair(folder: Path) -> KeyPair:
    return key_pair(folder, pki().server("localhost"))


async def links(one: Station, tls: ServerTls, version: str | None = None, **options: bool) -> str:
    """Connects, says that it did and ends the link; the name of the cipher suite."""
    async with our_csms(tls, version) as csms:
        link = await one.dial(csms.server.port, **options)
        assert csms.handshakes[0].identity == "CS001"
        credentials = csms.handshakes[0].credentials
        assert (credentials is None) == (one.store.own is not None)
        assert credentials is None or credentials.password == PASSWORD
        link.transport.close(1000, "")
        await link.end()
    return "connected"


async def refused(
    one: Station, tls: ServerTls, version: str | None = None, **options: bool
) -> ConnectFailed:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    async with our_csms(tls, version) as csms:
        with pytest.raises(ConnectFailed) as caught:
            await one.dial(csms.server.port, **options)
        assert csms.handshakes == []
    assert complaints == []
    return caught.value


# --- both sides ours ------------------------------------------------------------------------------


@EveryLoop
@EveryVersion
@pytest.mark.parametrize("profile", [2, 3])
def test_both_sides(profile: int, version: str, loop: str, tmp_path: Path) -> None:
    """A00.FR.306, A00.FR.307, A00.FR.312, A00.FR.401, A00.FR.402, A00.FR.409, A00.FR.410"""
    own = leaf_chain(tmp_path, pki().station("CS001")) if profile == 3 else None
    wants = roots() if profile == 3 else None
    tls = ServerTls([good_pair(tmp_path)], CLOCK, client_roots=wants)
    assert run(loop, links(Station(Trusted(csms=roots(), own=own)), tls, version)) == "connected"


@EveryLoop
@EveryVersion
@pytest.mark.parametrize("profile", [2, 3])
def test_dates_are_those_of_the_stations_clock(
    profile: int, version: str, loop: str, tmp_path: Path
) -> None:
    """A00.FR.308, A00.FR.411: a certificate of 2040 is good in 2040, on both sides, and not now."""
    issued = pki_2040()
    then = Then(IN_2040)
    own = leaf_chain(tmp_path, issued.station("CS001")) if profile == 3 else None
    root = [issued.csms_root.certificate]
    pair = key_pair(tmp_path, issued.server("localhost"))
    tls = ServerTls([pair], then, client_roots=root if profile == 3 else None)
    store = Trusted(csms=root, own=own)
    assert run(loop, links(Station(store, clock=then), tls, version)) == "connected"
    for moment in (datetime.now(UTC), IN_2040 - 2 * DAY, IN_2040 + 366 * DAY):
        error = run(loop, refused(Station(store, clock=Then(moment)), tls, version))
        assert error.failure is ConnectFailure.CERTIFICATE
        assert "expired" in error.detail or "not valid before" in error.detail


@EveryLoop
def test_the_dates_of_a_root_count(loop: str, tmp_path: Path) -> None:
    """A00.FR.308: the whole path is judged, the root included; a prolonged one takes its place."""
    root = pki().root("Root", **pki().expired())
    issuer = pki().sub_ca("Sub", root)
    tls = ServerTls([key_pair(tmp_path, pki().server("localhost", issuer=issuer))], CLOCK)
    error = run(loop, refused(Station(Trusted(csms=[root.certificate])), tls))
    assert error.failure is ConnectFailure.CERTIFICATE
    assert "Root: expired on" in error.detail
    prolonged = pki().root("Root", private_key=root.key)
    both = [root.certificate, prolonged.certificate]
    for order in (both, both[::-1]):
        assert run(loop, links(Station(Trusted(csms=order)), tls)) == "connected"


@EveryLoop
@pytest.mark.parametrize("cipher", CIPHERS)
def test_cipher_suites(cipher: str, loop: str, tmp_path: Path) -> None:
    """A00.FR.318, A00.FR.319, A00.FR.421, A00.FR.422: with a certificate of each kind the CSMS has
    all that it must have, and so has the station."""
    pairs = [
        key_pair(tmp_path, pki().server("localhost"), "ec"),
        key_pair(tmp_path, rsa_server(), "rsa"),
    ]
    tls = ServerTls(pairs, CLOCK)
    seen: list[ssl.SSLContext] = []
    one = Station(Trusted(csms=roots()), TlsPolicy(ciphers=(cipher,)), change=seen.append)
    assert run(loop, links(one, tls, "1.2")) == "connected"
    offered = [each["name"] for each in seen[0].get_ciphers() if each["protocol"] != "TLSv1.3"]
    assert offered == [cipher]
    plain = Station(Trusted(csms=roots()), change=seen.append)
    assert run(loop, links(plain, tls, "1.2")) == "connected"
    assert {each["name"] for each in seen[1].get_ciphers()} >= set(CIPHERS)
    assert seen[1].options & ssl.OP_NO_COMPRESSION
    assert tls.context.options & ssl.OP_NO_COMPRESSION


# --- what the CSMS refuses ------------------------------------------------------------------------


@EveryLoop
@EveryVersion
@pytest.mark.parametrize("fault", ["absent", "foreign", "expired", "not yet valid"])
def test_a_client_certificate_that_our_csms_refuses(
    fault: str, version: str, loop: str, tmp_path: Path
) -> None:
    """A00.FR.403, A00.FR.407, A00.FR.408, A00.FR.430: the station offers what it has; the CSMS
    ends the connection and tells."""
    mine = {
        "foreign": lambda: other_pki().station("CS001"),
        "expired": lambda: pki().station("CS001", **pki().expired()),
        "not yet valid": lambda: pki().station("CS001", **pki().not_yet_valid()),
    }
    own = leaf_chain(tmp_path, mine[fault]()) if fault in mine else None
    told: list[ConnectFailed] = []
    tls = ServerTls([good_pair(tmp_path)], CLOCK, client_roots=roots(), refused=told.append)
    error = run(loop, refused(Station(Trusted(csms=roots(), own=own)), tls, version))
    assert [each.failure for each in told] == [ConnectFailure.CLIENT_CERTIFICATE]
    if fault in ("absent", "foreign"):
        # OpenSSL has refused, so the station was told.
        assert error.failure is ConnectFailure.CLIENT_CERTIFICATE
    else:
        # Our dates, after OpenSSL was content: the station sees the end of the connection.
        assert error.failure is ConnectFailure.TLS
        assert "maybe because of our certificate" in error.detail


@EveryLoop
@EveryVersion
def test_an_expired_client_may_ask(version: str, loop: str, tmp_path: Path) -> None:
    """A00.FR.404, A00.FR.405, A00.FR.429: where it is wanted, the request decides; there it is
    known whose certificate it is."""
    own = leaf_chain(tmp_path, pki().station("CS001", **pki().expired()))
    tls = ServerTls([good_pair(tmp_path)], CLOCK, client_roots=roots(), expired_may_ask=True)
    clients: list[Client] = []
    ders: list[bytes | None] = []
    status = 200

    def verdict(_: Handshake) -> Refused | None:
        client = tls.client()
        assert client is not None
        clients.append(client)
        ders.append(tls.peer_certificate())
        return None if status == 200 else Refused(status)

    async def task() -> None:
        nonlocal status
        async with our_csms(tls, version) as csms:
            csms.verdict = verdict
            link = await Station(Trusted(csms=roots(), own=own)).dial(csms.server.port)
            link.transport.close(1000, "")
            await link.end()
            status = 403
            with pytest.raises(ConnectFailed) as caught:
                await Station(Trusted(csms=roots(), own=own)).dial(csms.server.port)
            assert caught.value.http_status == 403

    run(loop, task())
    assert len(clients) == 2
    for client, der in zip(clients, ders, strict=True):
        assert common_names(client.certificate) == ("CS001",)
        assert client.objection is not None
        assert "expired" in client.objection
        assert der == client.certificate.public_bytes(Encoding.DER)


@EveryLoop
@EveryVersion
def test_whose_certificate_it_is(version: str, loop: str, tmp_path: Path) -> None:
    """A00.FR.405, A00.FR.427: many stations at once, each request with its own certificate."""
    tls = ServerTls([good_pair(tmp_path)], CLOCK, client_roots=roots())
    seen: list[tuple[str, tuple[str, ...]]] = []

    def verdict(handshake: Handshake) -> Refused | None:
        client = tls.client()
        seen.append((handshake.identity, common_names(client.certificate) if client else ()))
        return None

    async def task() -> None:
        async with our_csms(tls, version) as csms:
            csms.verdict = verdict
            stations: list[Station] = []
            for number in range(8):
                folder = tmp_path / str(number)
                folder.mkdir()
                own = leaf_chain(folder, pki().station(f"CS{number}"))
                one = Station(Trusted(csms=roots(), own=own), identity=f"CS{number}")
                stations.append(one)
            opened = await asyncio.gather(*(one.dial(csms.server.port) for one in stations))
            for link in opened:
                link.transport.close(1000, "")
                await link.end()

    run(loop, task())
    assert sorted(seen) == [(f"CS{number}", (f"CS{number}",)) for number in range(8)]


@EveryLoop
@pytest.mark.parametrize(
    ("version", "ciphers", "failure", "alert"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL", ConnectFailure.TLS_VERSION, "PROTOCOL_VERSION"),
        (
            ssl.TLSVersion.TLSv1_2,
            "ECDHE-ECDSA-AES128-SHA",
            ConnectFailure.TLS_CIPHER,
            "HANDSHAKE_FAILURE",
        ),
    ],
)
def test_old_clients(
    version: ssl.TLSVersion,
    ciphers: str,
    failure: ConnectFailure,
    alert: str,
    loop: str,
    tmp_path: Path,
) -> None:
    """A00.FR.313, A00.FR.315, A00.FR.320, A00.FR.322, A00.FR.416, A00.FR.418, A00.FR.425: a client
    that knows nothing better is told so, and the connection ends."""
    told: list[ConnectFailed] = []
    tls = ServerTls([good_pair(tmp_path)], CLOCK, refused=told.append)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are what is tested
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version

    def attempt(port: int) -> str:
        try:
            with socket.create_connection(("127.0.0.1", port)) as plain:
                context.wrap_socket(plain)
        except ssl.SSLError as error:
            return error.reason or ""
        return "connected"

    async def task() -> str:
        async with our_csms(tls) as csms:
            return await asyncio.to_thread(attempt, csms.server.port)

    assert run(loop, task()).endswith(alert)
    assert [each.failure for each in told] == [failure]


@EveryLoop
@EveryVersion
def test_a_station_that_resumes_its_session(version: str, loop: str, tmp_path: Path) -> None:
    """A00.FR.403, A00.FR.407: stations of others do; the certificate is judged all the same."""
    clock = Then(datetime.now(UTC))
    tls = ServerTls([good_pair(tmp_path)], clock, client_roots=roots())
    own = leaf_chain(tmp_path, pki().station("CS001"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=pki().csms_root.pem)
    context.load_cert_chain(own.chain_file, own.key_file)
    request = b"GET /CS001 HTTP/1.1\r\nHost: x\r\n\r\n"

    def ask(port: int, session: ssl.SSLSession | None) -> tuple[bytes, ssl.SSLSession | None]:
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, session=session) as inner,
        ):
            inner.sendall(request)
            return inner.recv(1_000)[:12], inner.session

    async def task() -> None:
        async with our_csms(tls, version) as csms:
            port = csms.server.port
            answer, session = await asyncio.to_thread(ask, port, None)
            assert answer.startswith(b"HTTP/1.1 4")
            again, _ = await asyncio.to_thread(ask, port, session)
            assert again == answer
            clock.moment += 400 * DAY
            with contextlib.suppress(OSError):
                late, _ = await asyncio.to_thread(ask, port, session)
                assert late == b""

    run(loop, task())


def test_files_that_a_server_cannot_use(tmp_path: Path) -> None:
    good = good_pair(tmp_path)
    other = key_pair(tmp_path, other_pki().server("localhost"), "other")
    for pairs in ([], [KeyPair(good.chain_file, other.key_file)], [KeyPair("none", "none")]):
        with pytest.raises(ConfigurationError):
            ServerTls(pairs, CLOCK)


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
        assert await links(one, tls) == "connected"

    run(loop, task())
    store.close()
