"""TLS between our own station and our own CSMS."""

import asyncio
import contextlib
import socket
import ssl
import warnings
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from interop.tls_kit import (
    LOOPS,
    Station,
    Then,
    Trusted,
    good_pair,
    key_pair,
    leaf_chain,
    links,
    other_pki,
    our_csms,
    pki,
    refused,
    roots,
    run,
)
from ocpp_fast.blocks.security.events import _kind_of
from ocpp_fast.clock import SystemClock
from ocpp_fast.csms.security import CsmsSecurity
from ocpp_fast.csms.security import KeyPair as CsmsKeyPair
from ocpp_fast.errors import ConfigurationError, ConnectFailed, ConnectFailure
from ocpp_fast.security.names import common_names
from ocpp_fast.security.pki import Issued, KeyKind, Pki
from ocpp_fast.security.tls import TlsPolicy
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


# --- both sides ours ------------------------------------------------------------------------------


@EveryLoop
@EveryVersion
@pytest.mark.parametrize("profile", [2, 3])
def test_both_sides(profile: int, version: str, loop: str, tmp_path: Path) -> None:
    """A00.FR.306, A00.FR.307, A00.FR.312, A00.FR.401, A00.FR.402, A00.FR.409, A00.FR.410"""
    own = leaf_chain(tmp_path, pki().station("CS001")) if profile == 3 else None
    wants = roots() if profile == 3 else None
    tls = ServerTls([good_pair(tmp_path)], CLOCK, client_roots=wants)
    run(loop, links(Station(Trusted(csms=roots(), own=own)), tls, version))


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
    run(loop, links(Station(store, clock=then), tls, version))
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
        run(loop, links(Station(Trusted(csms=order)), tls))


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
    run(loop, links(one, tls, "1.2"))
    offered = [each["name"] for each in seen[0].get_ciphers() if each["protocol"] != "TLSv1.3"]
    assert offered == [cipher]
    plain = Station(Trusted(csms=roots()), change=seen.append)
    run(loop, links(plain, tls, "1.2"))
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


def for_other_use(issued: Issued, use: x509.ObjectIdentifier) -> Issued:
    """The same certificate, restricted to a use."""
    old = issued.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(issued.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(old.not_valid_after_utc)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    )
    assert issued.issuer is not None
    signed = builder.sign(issued.issuer.key, hashes.SHA256())
    return Issued(signed, issued.key, issued.issuer)


@EveryLoop
@EveryVersion
def test_certificates_for_another_use(version: str, loop: str, tmp_path: Path) -> None:
    """A00.FR.308, A00.FR.403, A00.FR.411: the certificate of a station makes no CSMS, nor the other
    way round."""
    server = for_other_use(pki().server("localhost"), ExtendedKeyUsageOID.CLIENT_AUTH)
    tls = ServerTls([key_pair(tmp_path, server)], CLOCK)
    error = run(loop, refused(Station(Trusted(csms=roots())), tls, version))
    assert error.failure is ConnectFailure.CERTIFICATE

    client = for_other_use(pki().station("CS001"), ExtendedKeyUsageOID.SERVER_AUTH)
    own = leaf_chain(tmp_path, client)
    tls = ServerTls([good_pair(tmp_path)], CLOCK, client_roots=roots())
    error = run(loop, refused(Station(Trusted(csms=roots(), own=own)), tls, version))
    assert error.failure is ConnectFailure.CLIENT_CERTIFICATE


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
@EveryVersion
@pytest.mark.parametrize(
    ("common_name", "organization", "status"),
    [("CS001", "CSO", 0), ("CS002", "CSO", 403), (None, "CSO", 403), ("CS001", "Another", 403)],
)
def test_whose_certificates_our_csms_takes(
    common_name: str | None,
    organization: str,
    status: int,
    version: str,
    loop: str,
    tmp_path: Path,
) -> None:
    """A00.FR.404, A00.FR.405, A00.FR.407: that of another station, or of another operator, is good
    TLS and ends with an HTTP error, which the station reports as FailedToAuthenticateAtCsms."""
    issued = pki().station("CS001", common_name=common_name, organization=organization)
    own = leaf_chain(tmp_path, issued)
    pair = good_pair(tmp_path)
    roots_file = tmp_path / "roots.pem"
    roots_file.write_text(pki().csms_root.pem, encoding="ascii")
    policy = CsmsSecurity(
        key_pairs=(CsmsKeyPair(str(pair.chain_file), str(pair.key_file)),),
        client_roots=str(roots_file),
        organization="CSO",
    )
    tls = policy.tls(CLOCK, lambda _: None)
    assert tls is not None

    def verdict(handshake: Handshake) -> Refused | None:
        client = tls.client()
        assert client is not None
        admission = policy.admit(handshake, CLOCK.now(), client.objection)
        return Refused(admission.status) if admission.status else None

    async def task() -> int:
        async with our_csms(tls, version) as csms:
            csms.verdict = verdict
            try:
                link = await Station(Trusted(csms=roots(), own=own)).dial(csms.server.port)
            except ConnectFailed as error:
                assert error.failure is ConnectFailure.HTTP
                assert _kind_of(error) == "FailedToAuthenticateAtCsms"
                return error.http_status or -1
            link.transport.close(1000, "")
            await link.end()
            return 0

    assert run(loop, task()) == status


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
            assert session is not None
            assert not session.has_ticket
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
