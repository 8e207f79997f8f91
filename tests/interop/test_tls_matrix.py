"""Security profiles 0 to 3 over real TLS on loopback: what is good connects, what is not is refused
with its own failure, in one line, and before anything secret is said.

The servers are plain OpenSSL in a thread, so that alerts come as they do from servers of others.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from interop.tls_kit import (
    LIMIT_S,
    LOOPS,
    SETTINGS,
    Station,
    Stranger,
    Trusted,
    key_pair,
    leaf_chain,
    other_pki,
    pki,
    roots,
    run,
    stranger,
)
from interop.websocket_kit import csms
from ocpp_fast.blocks.security.events import _kind_of
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.security.pki import Issued, KeyKind, issue
from ocpp_fast.security.tls import TlsPolicy

EveryLoop = pytest.mark.parametrize("loop", LOOPS)
EveryVersion = pytest.mark.parametrize("version", ["1.2", "1.3"])
EveryTlsProfile = pytest.mark.parametrize("profile", [2, 3])

# A00.FR.310, A00.FR.316, A00.FR.323, A00.FR.413, A00.FR.419, A00.FR.426, and the list of events in
# the appendix: what the CSMS is told later.
EVENTS = {
    ConnectFailure.CERTIFICATE: "InvalidCsmsCertificate",
    ConnectFailure.TLS_VERSION: "InvalidTLSVersion",
    ConnectFailure.TLS_CIPHER: "InvalidTLSCipherSuite",
    ConnectFailure.CLIENT_CERTIFICATE: "FailedToAuthenticateAtCsms",
}

CERTIFICATE = ConnectFailure.CERTIFICATE
CLIENT_CERTIFICATE = ConnectFailure.CLIENT_CERTIFICATE


def station(profile: int, folder: Path, **changes: Any) -> Station:
    own = leaf_chain(folder, good_client()) if profile == 3 else None
    return Station(Trusted(csms=roots(), own=own), **changes)


@cache
def good_server() -> Issued:
    return pki().server("localhost", "127.0.0.1")


@cache
def good_client() -> Issued:
    return pki().station("CS001")


async def refusal(one: Station, server: Stranger, **options: Any) -> ConnectFailed:
    """Why it does not connect; says so in one line, and has told no secret."""
    async with server:
        try:
            await one.dial(server.port, **options)
        except ConnectFailed as error:
            assert "\n" not in error.detail
            assert len(error.detail) < 300
            assert not server.heard_password
            assert _kind_of(error) == EVENTS.get(error.failure)
            return error
    raise AssertionError("it has connected")


def speaks(error: ConnectFailed) -> bool:
    """Whether it came to an HTTP request, which strangers answer with 503."""
    return error.failure is ConnectFailure.HTTP and error.http_status == 503


async def connects(one: Station, server: Stranger, **options: Any) -> None:
    """It comes to the HTTP request."""
    async with server:
        try:
            await one.dial(server.port, **options)
        except ConnectFailed as error:
            assert speaks(error), error
    assert server.heard.startswith(b"GET /ocpp/CS001 ")
    assert server.heard_password == (one.store.own is None)


# --- the certificate of the CSMS ------------------------------------------------------------------


def of_intermediate(**changes: Any) -> Issued:
    """A server whose authority is at fault."""
    return pki().server("localhost", issuer=pki().sub_ca("Sub", pki().csms_root, **changes))


def self_signed_server() -> Issued:
    recipe = pki()._recipe("localhost", names=("localhost",))
    return issue(recipe)


def too_deep() -> Issued:
    """Below an authority that may not make authorities."""
    return pki().server("localhost", issuer=pki().sub_ca("Deeper", pki().csms_ca))


def signed_by_leaf() -> Issued:
    return pki().server("localhost", issuer=pki().server("csms.example"))


BAD_SERVERS: dict[str, tuple[Callable[[], Issued], str]] = {
    "expired": (lambda: pki().server("localhost", **pki().expired()), "expired on"),
    "not yet valid": (
        lambda: pki().server("localhost", **pki().not_yet_valid()),
        "is not valid before",
    ),
    "expired intermediate": (lambda: of_intermediate(**pki().expired()), "expired on"),
    "wrong CA": (lambda: other_pki().server("localhost"), "does not lead to an installed root"),
    "wrong host": (lambda: pki().server("csms.example"), "is for csms.example, not for localhost"),
    "no name": (lambda: pki().server("CSMS", common_name=None, names=()), "is for no name"),
    "self-signed": (self_signed_server, "signed by itself"),
    "short RSA key": (lambda: pki().server("localhost", key=KeyKind.RSA_1024), "too short"),
    "short key above": (lambda: of_intermediate(key=KeyKind.RSA_1024), "too short"),
    "path too long": (too_deep, "longer than an authority in it allows"),
    "signed by a leaf": (signed_by_leaf, "may not sign others"),
}
FOUND_BY_US = ("expired", "not yet valid", "expired intermediate", "wrong host", "no name")
cached_server = cache(lambda fault: BAD_SERVERS[fault][0]())


@EveryLoop
@EveryVersion
@EveryTlsProfile
@pytest.mark.parametrize("fault", BAD_SERVERS)
def test_a_bad_certificate_of_the_csms(
    fault: str, profile: int, version: str, loop: str, tmp_path: Path
) -> None:
    """A00.FR.308, A00.FR.309, A00.FR.310, A00.FR.311, A00.FR.411, A00.FR.412, A00.FR.413,
    A00.FR.414, A00.FR.501, A00.FR.502, A00.FR.503, A00.FR.510"""
    wants = roots() if profile == 3 else None
    server = stranger(key_pair(tmp_path, cached_server(fault)), version, client_roots=wants)
    error = run(loop, refusal(station(profile, tmp_path), server))
    assert error.failure is CERTIFICATE
    assert BAD_SERVERS[fault][1] in error.detail
    assert server.heard == b""
    cause = error.__cause__
    assert isinstance(cause, ConnectFailed)
    assert cause.failure is not ConnectFailure.TIMEOUT
    # What OpenSSL has found is told to the CSMS, which no event loop does by itself.
    assert any("ALERT" in each for each in server.refused) == (fault not in FOUND_BY_US)


@EveryLoop
@EveryTlsProfile
def test_a_short_elliptic_key(profile: int, loop: str, tmp_path: Path) -> None:
    """A00.FR.503: such a curve is not offered, so there is no suite to use the key with."""
    pair = key_pair(tmp_path, pki().server("localhost", key=KeyKind.EC_192))
    server = stranger(pair, "1.2")
    error = run(loop, refusal(station(profile, tmp_path), server))
    assert error.failure is ConnectFailure.TLS_CIPHER
    assert server.heard == b""


@EveryLoop
@EveryVersion
@EveryTlsProfile
def test_a_good_csms(profile: int, version: str, loop: str, tmp_path: Path) -> None:
    """A00.FR.317, A00.FR.420: TLS as it is: the other end is a plain OpenSSL.
    A00.FR.307, A00.FR.308, A00.FR.312, A00.FR.401, A00.FR.402, A00.FR.410, A00.FR.411,
    A00.FR.415"""
    wants = roots() if profile == 3 else None
    server = stranger(key_pair(tmp_path, good_server()), version, client_roots=wants)
    run(loop, connects(station(profile, tmp_path), server))


@EveryLoop
@EveryVersion
def test_wildcards(version: str, loop: str, tmp_path: Path) -> None:
    """A00.FR.309: a wildcard is no FQDN; it counts where AllowCSMSTLSWildcards says so."""
    pair = key_pair(tmp_path, pki().server("*.csms.example"))
    one = station(2, tmp_path, host="one.csms.example")
    error = run(loop, refusal(one, stranger(pair, version)))
    assert error.failure is CERTIFICATE
    assert "wildcard name *.csms.example, which is not allowed" in error.detail
    allowed = one.with_policy(allow_wildcards=True)
    run(loop, connects(allowed, stranger(pair, version)))
    other = station(2, tmp_path, host="localhost").with_policy(allow_wildcards=True)
    assert run(loop, refusal(other, stranger(pair, version))).failure is CERTIFICATE


@EveryLoop
def test_an_address_instead_of_a_name(loop: str, tmp_path: Path) -> None:
    """A00.FR.511: a CSMS may be known by its address too."""
    one = partial(station, 2, tmp_path, host="127.0.0.1", address="127.0.0.1")
    run(loop, connects(one(), stranger(key_pair(tmp_path, good_server()))))
    named = key_pair(tmp_path, pki().server("127.0.0.1", names=()))
    run(loop, connects(one(), stranger(named)))
    other = key_pair(tmp_path, pki().server("localhost", "127.0.0.2"))
    error = run(loop, refusal(one(), stranger(other)))
    assert error.failure is CERTIFICATE
    assert error.detail.endswith("is for localhost, 127.0.0.2, not for 127.0.0.1")


@EveryLoop
def test_the_name_is_not_checked_where_that_is_switched_off(loop: str, tmp_path: Path) -> None:
    pair = key_pair(tmp_path, pki().server("csms.example"))
    one = station(2, tmp_path).with_policy(verify_name=False)
    run(loop, connects(one, stranger(pair)))


@EveryLoop
@EveryVersion
def test_no_root_is_installed(version: str, loop: str, tmp_path: Path) -> None:
    """A00.FR.308: without a root there is nothing to verify a certificate with."""
    server = stranger(key_pair(tmp_path, good_server()), version)
    error = run(loop, refusal(Station(Trusted()), server))
    assert error.failure is CERTIFICATE
    assert "there is no root certificate" in error.detail


# --- the certificate of the station ---------------------------------------------------------------


@EveryLoop
@EveryVersion
@pytest.mark.parametrize("fault", ["absent", "expired", "foreign", "not yet valid"])
def test_a_client_certificate_that_the_csms_refuses(
    fault: str, version: str, loop: str, tmp_path: Path
) -> None:
    """A00.FR.403, A00.FR.407, A00.FR.430: offered as it is, the CSMS decides."""
    mine = {
        "expired": lambda: pki().station("CS001", **pki().expired()),
        "not yet valid": lambda: pki().station("CS001", **pki().not_yet_valid()),
        "foreign": lambda: other_pki().station("CS001"),
    }
    one = station(2, tmp_path)
    if fault in mine:
        one.store.own = leaf_chain(tmp_path, mine[fault]())
    server = stranger(key_pair(tmp_path, good_server()), version, client_roots=roots())
    error = run(loop, refusal(one, server))
    assert error.failure is CLIENT_CERTIFICATE, error
    assert server.heard == b""
    if fault != "not yet valid":
        word = {"absent": "asks for a certificate", "foreign": "authority"}.get(fault, fault)
        assert word in error.detail


@EveryLoop
def test_files_of_the_client_certificate_that_cannot_be_used(loop: str, tmp_path: Path) -> None:
    """A00.FR.401: found before anything is dialled."""
    one = station(3, tmp_path)
    assert one.store.own is not None
    other = key_pair(tmp_path, other_pki().station("CS001"), "other")
    mine = one.store.own
    for key_file in (str(other.key_file), str(tmp_path / "absent")):
        one.store.own = replace(mine, key_file=key_file, id=key_file)
        error = run(loop, refusal(one, stranger(key_pair(tmp_path, good_server()))))
        assert error.failure is ConnectFailure.SLOT
        assert one.dials == 0


# --- versions, suites, and what is no TLS ---------------------------------------------------------


def lax(context: ssl.SSLContext) -> None:
    """Nothing is refused for its strength, only for its version."""
    context.set_ciphers("ALL:@SECLEVEL=0")


@EveryLoop
@EveryTlsProfile
def test_tls_1_1(profile: int, loop: str, tmp_path: Path) -> None:
    """A00.FR.313, A00.FR.314, A00.FR.316, A00.FR.416, A00.FR.417, A00.FR.419: not even where both
    ends would take any suite and any key."""
    pair = key_pair(tmp_path, good_server())
    server = stranger(pair, "1.1", ciphers="ALL:@SECLEVEL=0")
    error = run(loop, refusal(station(profile, tmp_path, change=lax), server))
    assert error.failure is ConnectFailure.TLS_VERSION
    assert server.heard == b""


def test_tls_1_1_would_work_here(tmp_path: Path) -> None:
    """The test above shows something: this OpenSSL does speak TLS 1.1 at that level."""
    server = stranger(key_pair(tmp_path, good_server()), "1.1", ciphers="ALL:@SECLEVEL=0")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    lax(context)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1

    def version() -> str | None:
        with (
            socket.create_connection(("127.0.0.1", server.port)) as plain,
            context.wrap_socket(plain) as inner,
        ):
            return inner.version()

    async def task() -> str | None:
        async with server:
            return await asyncio.to_thread(version)

    assert run("asyncio", task()) in {"TLSv1", "TLSv1.1"}


@EveryLoop
@EveryTlsProfile
@pytest.mark.parametrize(
    "ciphers", ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-NULL-SHA", "ECDHE-ECDSA-AES128-SHA256"]
)
def test_weak_cipher_suites(ciphers: str, profile: int, loop: str, tmp_path: Path) -> None:
    """A00.FR.319, A00.FR.320, A00.FR.323, A00.FR.422, A00.FR.423, A00.FR.426"""
    server = stranger(key_pair(tmp_path, good_server()), "1.2", ciphers=f"{ciphers}:@SECLEVEL=0")
    error = run(loop, refusal(station(profile, tmp_path), server))
    assert error.failure is ConnectFailure.TLS_CIPHER
    assert server.heard == b""


@EveryLoop
def test_a_weak_suite_that_both_ends_would_take(loop: str, tmp_path: Path) -> None:
    """A00.FR.320, A00.FR.323: looked at after the handshake too."""
    pair = key_pair(tmp_path, good_server())
    server = stranger(pair, "1.2", ciphers="ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
    error = run(loop, refusal(station(2, tmp_path, change=lax), server))
    assert error.failure is ConnectFailure.TLS_CIPHER
    assert "ECDHE-ECDSA-AES128-SHA may not be used" in error.detail
    assert server.heard == b""


def alert(description: int) -> Callable[[socket.socket, Stranger], None]:
    """A server that answers with a fatal alert of TLS 1.2 and closes."""

    def speak(client: socket.socket, server: Stranger) -> None:
        server.heard += client.recv(4_096)
        client.sendall(bytes([21, 3, 3, 0, 2, 2, description]))
        client.close()

    return speak


@EveryLoop
@pytest.mark.parametrize(
    ("description", "failure"),
    [
        (40, ConnectFailure.TLS_CIPHER),  # handshake failure, before the server's hello
        (71, ConnectFailure.TLS_CIPHER),  # insufficient security
        (70, ConnectFailure.TLS_VERSION),
        (86, ConnectFailure.TLS),  # inappropriate fallback
        (80, ConnectFailure.TLS),  # internal error
        (112, ConnectFailure.TLS),  # unrecognised name
        (48, CLIENT_CERTIFICATE),  # unknown CA
        (116, CLIENT_CERTIFICATE),  # certificate required
    ],
)
def test_alerts(description: int, failure: ConnectFailure, loop: str, tmp_path: Path) -> None:
    """A00.FR.316, A00.FR.323: what the CSMS says is what is reported."""
    error = run(loop, refusal(station(2, tmp_path), Stranger(alert(description))))
    assert error.failure is failure


def speaks_http(client: socket.socket, server: Stranger) -> None:
    server.heard += client.recv(4_096)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    client.close()


def closes(client: socket.socket, server: Stranger) -> None:
    server.heard += client.recv(4_096)
    client.close()


def hangs(client: socket.socket, server: Stranger) -> None:
    while heard := client.recv(4_096):
        server.heard += heard


@EveryLoop
@EveryTlsProfile
def test_a_server_without_tls(profile: int, loop: str, tmp_path: Path) -> None:
    """A00.FR.312, A00.FR.415"""
    error = run(loop, refusal(station(profile, tmp_path), Stranger(speaks_http)))
    assert error.failure is ConnectFailure.TLS
    assert "does not speak TLS" in error.detail


@EveryLoop
def test_a_server_that_closes_in_the_handshake(loop: str, tmp_path: Path) -> None:
    error = run(loop, refusal(station(2, tmp_path), Stranger(closes)))
    assert error.failure is ConnectFailure.TLS
    assert "gave no reason" in error.detail


@EveryLoop
def test_a_server_that_hangs_in_the_handshake(loop: str, tmp_path: Path) -> None:
    one = station(2, tmp_path, settings=replace(SETTINGS, open_timeout_s=0.2))
    error = run(loop, refusal(one, Stranger(hangs)))
    assert error.failure is ConnectFailure.TIMEOUT


@EveryLoop
def test_a_server_that_stays_after_it_was_refused(loop: str, tmp_path: Path) -> None:
    """A00.FR.311: the dial ends in time all the same, and the reason is not lost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = key_pair(tmp_path, other_pki().server("localhost"))
    context.load_cert_chain(pair.chain_file, pair.key_file)

    def stays(client: socket.socket, server: Stranger) -> None:
        inner = context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        with pytest.raises(ssl.SSLError):
            inner.do_handshake()
        with socket.socket(fileno=inner.detach()) as plain:
            plain.settimeout(LIMIT_S)
            hangs(plain, server)

    # On uvloop it is the computer's time, of which a busy one may take away.
    open_timeout_s = 0.3 if loop == "asyncio" else 3.0
    one = station(2, tmp_path, settings=replace(SETTINGS, open_timeout_s=open_timeout_s))
    server = Stranger(stays)
    error = run(loop, refusal(one, server))
    assert error.failure is CERTIFICATE
    assert server.heard == b""


@EveryLoop
def test_nobody_listens(loop: str, tmp_path: Path) -> None:
    """What has nothing to do with TLS stays what it is."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = int(one.getsockname()[1])
    error = run(loop, failure_of(station(2, tmp_path), port))
    assert error.failure is ConnectFailure.NETWORK


async def failure_of(one: Station, port: int) -> ConnectFailed:
    with pytest.raises(ConnectFailed) as caught:
        await one.dial(port)
    return caught.value


# --- profiles 0 and 1 -----------------------------------------------------------------------------


@EveryLoop
@pytest.mark.parametrize("profile", [0, 1])
def test_without_tls(profile: int, loop: str, tmp_path: Path) -> None:
    """A00.FR.202, A00.FR.203: plain links work as before; at a TLS port they end without a link."""
    from interop.tls_kit import PASSWORD
    from ocpp_fast.transport.handshake import Credentials

    credentials = Credentials("CS001", PASSWORD) if profile else None

    async def plain() -> None:
        async with csms() as one:
            link = await one.connect(credentials=credentials)
            assert one.handshakes[0].credentials == credentials
            link.transport.close(1000, "")
            await link.end()

    async def at_a_tls_port() -> ConnectFailed:
        from interop.websocket_kit import CLOCK, Listener
        from ocpp_fast.transport import picows

        async with stranger(key_pair(tmp_path, good_server())) as server:
            with pytest.raises(ConnectFailed) as caught:
                await picows.connect(f"ws://127.0.0.1:{server.port}/CS001", Listener, clock=CLOCK)
            assert server.heard == b""
            return caught.value

    run(loop, plain())
    failure = run(loop, at_a_tls_port()).failure
    assert failure in (ConnectFailure.HANDSHAKE, ConnectFailure.NETWORK)


# --- settings -------------------------------------------------------------------------------------


@EveryLoop
def test_roots_of_the_system(loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A00.FR.308: only where UseSslDefaultVerifyPaths wants them."""
    bundle = tmp_path / "system.pem"
    bundle.write_text(pki().csms_root.pem, encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    server = partial(stranger, key_pair(tmp_path, good_server()))
    one = Station(Trusted(csms=[other_pki().csms_root.certificate]))
    assert run(loop, refusal(one, server())).failure is CERTIFICATE
    run(loop, connects(one.with_policy(system_roots=True), server()))


@EveryLoop
def test_key_log(loop: str, tmp_path: Path) -> None:
    """For the laboratory: the session keys of the links."""
    log = tmp_path / "keys.txt"
    one = station(2, tmp_path, policy=TlsPolicy(key_log=str(log)))
    run(loop, connects(one, stranger(key_pair(tmp_path, good_server()), "1.2")))
    assert "CLIENT_RANDOM" in log.read_text(encoding="ascii")
    gone = station(2, tmp_path, policy=TlsPolicy(key_log=str(tmp_path / "no" / "folder")))
    run(loop, connects(gone, stranger(key_pair(tmp_path, good_server()))))
