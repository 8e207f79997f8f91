"""A station's TLS against servers that are good, and servers that are not."""

import asyncio
import base64
import socket
import ssl
import threading
import warnings
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from interop.steady_time import SteadyClock, SteadyLoop
from interop.websocket_kit import Csms, Listener
from ocpp_fast.clock import SystemClock
from ocpp_fast.errors import ConnectFailed
from ocpp_fast.security.certificates import Chain
from ocpp_fast.security.ocsp import OcspClient
from ocpp_fast.security.pki import Issued, Pki
from ocpp_fast.security.store import LeafChain, LeafUse, RootUse
from ocpp_fast.security.tls import ClientTls, TlsPolicy
from ocpp_fast.security.tls_server import KeyPair, ServerTls
from ocpp_fast.transport import picows
from ocpp_fast.transport.handshake import Credentials
from ocpp_fast.transport.picows import WebSocketSettings

_T = TypeVar("_T")

LIMIT_S = 10.0
PASSWORD = "a password of 24 letters"
SETTINGS = WebSocketSettings(open_timeout_s=5.0, close_timeout_s=0.5)
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
LOOPS = ("asyncio", "uvloop")


class Then(SteadyClock):
    """The clock of a station in another year."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


@cache
def pki() -> Pki:
    """Of today: OpenSSL servers, unlike ours, look at the computer's clock."""
    return Pki(datetime.now(UTC))


@cache
def other_pki() -> Pki:
    """One that nobody trusts."""
    return Pki(datetime.now(UTC), organization="Somebody else")


def run(loop: str, task: Coroutine[Any, Any, _T]) -> _T:
    """Runs on a new event loop of the kind."""
    factory = uvloop.new_event_loop if loop == "uvloop" else SteadyLoop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(asyncio.wait_for(task, 30))


# --- files --------------------------------------------------------------------------------------


def key_pair(folder: Path, issued: Issued, name: str = "server") -> KeyPair:
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_text(issued.chain_pem, encoding="ascii")
    key.write_text(issued.key_pem, encoding="ascii")
    return KeyPair(str(chain), str(key))


def leaf_chain(folder: Path, issued: Issued) -> LeafChain:
    pair = key_pair(folder, issued, "station")
    return LeafChain(
        id=str(issued.certificate.serial_number),
        use=LeafUse.CHARGING_STATION,
        chain=Chain(issued.certificate, issued.chain[1:]),
        chain_file=str(pair.chain_file),
        key_file=str(pair.key_file),
        key_id="key",
    )


# --- the station --------------------------------------------------------------------------------


@dataclass
class Trusted:
    """A certificate store in memory."""

    csms: Sequence[x509.Certificate] = ()
    fallback: Sequence[x509.Certificate] = ()
    own: LeafChain | None = None
    before: LeafChain | None = None
    revision: int = 0

    def roots(self, _use: RootUse) -> Sequence[x509.Certificate]:
        return self.csms

    def fallback_roots(self) -> Sequence[x509.Certificate]:
        return self.fallback

    def client_chain(self, *, old: bool = False) -> LeafChain | None:
        return self.before if old else self.own


@dataclass
class Station:
    """Dials with security profile 2, or 3 if it has a certificate."""

    store: Trusted
    policy: TlsPolicy = field(default_factory=TlsPolicy)
    clock: SystemClock = field(default_factory=SteadyClock)
    ocsp: OcspClient | None = None
    host: str = "localhost"
    """What the certificate is compared with; it is at the address below."""
    address: str = "localhost"
    identity: str = "CS001"
    settings: WebSocketSettings = SETTINGS
    change: Callable[[ssl.SSLContext], object] = lambda _: None
    """What is done to the context before it is used."""
    dials: int = 0

    def __post_init__(self) -> None:
        self.tls = ClientTls(self.store, self.clock, lambda: self.policy, self.ocsp)

    async def dial(self, port: int, *, allow_old_root: bool = False) -> Listener:
        own = self.store.own
        credentials = Credentials(self.identity, PASSWORD) if own is None else None

        async def dial(context: ssl.SSLContext) -> Listener:
            self.dials += 1
            self.change(context)
            return await picows.connect(
                f"wss://{self.address}:{port}/ocpp/{self.identity}",
                Listener,
                clock=SteadyClock(),
                credentials=credentials,
                ssl_context=context,
                settings=self.settings,
            )

        return await self.tls.dial(dial, host=self.host, chain=own, allow_old_root=allow_old_root)

    def with_policy(self, **changes: Any) -> "Station":
        self.policy = replace(self.policy, **changes)
        return self


# --- a server that is not ours ------------------------------------------------------------------


class Stranger:
    """A server in a thread, on plain sockets: with the alerts and the habits of OpenSSL."""

    def __init__(self, speak: Callable[[socket.socket, "Stranger"], None]) -> None:
        self.heard = b""
        """What clients have said inside TLS, or to a server without TLS."""
        self.refused: list[str] = []
        self._speak = speak
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def heard_password(self) -> bool:
        secret = base64.b64encode(f"CS001:{PASSWORD}".encode())
        return secret in self.heard or PASSWORD.encode() in self.heard

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            client.settimeout(LIMIT_S)
            self._open.append(client)
            with suppress(OSError):
                self._speak(client, self)

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        # A client that gives up has to close (A00.FR.311, A00.FR.414).
        self._thread.join(LIMIT_S / 2)
        assert not self._thread.is_alive(), "the client has left its connection open"
        for each in self._open:
            each.close()


def speak_tls(context: ssl.SSLContext) -> Callable[[socket.socket, Stranger], None]:
    """A handshake, then one request is heard and refused with 503."""

    def speak(client: socket.socket, server: Stranger) -> None:
        try:
            with context.wrap_socket(client, server_side=True) as inner:
                while b"\r\n\r\n" not in server.heard:
                    heard = inner.recv(4_096)
                    if not heard:
                        break
                    server.heard += heard
                inner.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        except ssl.SSLError as error:
            server.refused.append(error.reason or str(error))

    return speak


def stranger(
    pair: KeyPair,
    version: str = "1.3",
    *,
    ciphers: str = "DEFAULT:@SECLEVEL=0",
    client_roots: Sequence[x509.Certificate] | None = None,
) -> Stranger:
    """A TLS server that takes whatever keys it is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are what is tested
        if version == "1.1":
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        else:
            context.minimum_version = context.maximum_version = VERSIONS[version]
    context.load_cert_chain(pair.chain_file, pair.key_file)
    if client_roots is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        for root in client_roots:
            context.load_verify_locations(cadata=root.public_bytes(Encoding.DER))
    return Stranger(speak_tls(context))


# --- our own CSMS -------------------------------------------------------------------------------


@asynccontextmanager
async def our_csms(tls: ServerTls, version: str | None = None) -> AsyncGenerator[Csms]:
    one = Csms()
    if version is not None:
        tls.context.minimum_version = tls.context.maximum_version = VERSIONS[version]
    one.server = await picows.serve(
        one.accept,
        "127.0.0.1",
        0,
        clock=SteadyClock(),
        ssl_context=tls.context,
        peer_certificate=tls.peer_certificate,
        settings=SETTINGS,
    )
    try:
        yield one
    finally:
        await one.server.close()


def roots() -> list[x509.Certificate]:
    return [pki().csms_root.certificate]


def good_pair(folder: Path) -> KeyPair:
    return key_pair(folder, pki().server("localhost"))


async def links(one: Station, tls: ServerTls, version: str | None = None, **options: bool) -> None:
    """Connects, with the password that belongs to profile 2 and none in profile 3."""
    async with our_csms(tls, version) as csms:
        link = await one.dial(csms.server.port, **options)
        assert csms.handshakes[0].identity == one.identity
        credentials = csms.handshakes[0].credentials
        assert (credentials is None) == (one.store.own is not None)
        assert credentials is None or credentials.password == PASSWORD
        link.transport.close(1000, "")
        await link.end()


async def refused(
    one: Station, tls: ServerTls, version: str | None = None, **options: bool
) -> ConnectFailed:
    """Why it does not connect; no request is made, and the event loop does not complain."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    async with our_csms(tls, version) as csms:
        with pytest.raises(ConnectFailed) as caught:
            await one.dial(csms.server.port, **options)
        assert csms.handshakes == []
    assert complaints == []
    return caught.value
