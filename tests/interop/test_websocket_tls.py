"""WebSocket over TLS: whose checks run, on both event loops, and that every failure is told.

What the checks are is in tests/interop/test_tls.py; here they are a test's own.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop

from interop.raw_peer import LIMIT_S
from interop.steady_time import run_steadily
from interop.websocket_kit import CLOCK, Csms, Listener, small
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.security.pki import Issued, Pki
from ocpp_fast.transport import picows
from ocpp_fast.transport.base import ClosedBy
from ocpp_fast.transport.handshake import Credentials

LOOPS: dict[str, Callable[[Coroutine[Any, Any, None]], None]] = {
    "asyncio": run_steadily,
    "uvloop": uvloop.run,
}
PATIENT = small(close_timeout_s=LIMIT_S)
"""Nobody here waits for the end of it, and on uvloop time is the computer's."""
on_both_loops = pytest.mark.parametrize("loop", LOOPS)
on_both_versions = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
)


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki(datetime.now(UTC))


class Refusing(ssl.SSLObject):
    """Refuses every peer, after the handshake has succeeded."""

    def do_handshake(self) -> None:
        super().do_handshake()
        raise ssl.SSLCertVerificationError("not with me")


class Noting(ssl.SSLObject):
    """Knows which object has read last in this thread, as that of security/tls_object.py does."""

    last = threading.local()

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002
        self.last.read = self
        return super().read(len) if buffer is None else super().read(len, buffer)

    @classmethod
    def certificate(cls) -> bytes | None:
        return cls.last.read.getpeercert(True)


def loaded(context: ssl.SSLContext, issued: Issued, folder: Path, name: str) -> ssl.SSLContext:
    files = folder / f"{name}.pem", folder / f"{name}.key"
    issued.write(*files)
    context.load_cert_chain(*files)
    return context


def server_context(pki: Pki, folder: Path, *, clients: bool = False) -> ssl.SSLContext:
    context = loaded(
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pki.server("localhost"), folder, "server"
    )
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=pki.csms_root.pem)
    return context


def client_context(pki: Pki) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pki.csms_root.pem)
    return context


async def serving(context: ssl.SSLContext, **options: Any) -> Csms:
    csms = Csms()
    csms.server = await picows.serve(
        csms.accept, "127.0.0.1", 0, clock=CLOCK, ssl_context=context, settings=PATIENT, **options
    )
    return csms


async def dial(csms: Csms, context: ssl.SSLContext, **options: Any) -> Listener:
    url = f"wss://localhost:{csms.server.port}/ocpp/CS001"
    return await picows.connect(
        url, Listener, clock=CLOCK, ssl_context=context, settings=replace(PATIENT, **options)
    )


@on_both_loops
def test_the_check_of_a_client_stops_a_link_before_the_password_is_sent(
    loop: str, pki: Pki, tmp_path: Path
) -> None:
    """aiofastnet, picows' own choice, would pass the check over."""

    async def scenario() -> None:
        csms = await serving(server_context(pki, tmp_path))
        context = client_context(pki)
        context.sslobject_class = Refusing
        with pytest.raises(ConnectFailed, match="not with me") as caught:
            await picows.connect(
                f"wss://localhost:{csms.server.port}/CS001",
                Listener,
                clock=CLOCK,
                credentials=Credentials("CS001", "open sesame"),
                ssl_context=context,
            )
        assert caught.value.failure is ConnectFailure.TLS
        assert csms.handshakes == []
        await csms.server.close()

    LOOPS[loop](scenario())


@on_both_loops
def test_the_check_of_a_server_stops_a_link_before_it_is_a_websocket(
    loop: str, pki: Pki, tmp_path: Path
) -> None:
    async def scenario() -> None:
        context = server_context(pki, tmp_path)
        context.sslobject_class = Refusing
        csms = await serving(context)
        with pytest.raises(ConnectFailed):
            await dial(csms, client_context(pki))
        assert csms.handshakes == []
        await csms.server.close()

    LOOPS[loop](scenario())


@on_both_loops
@on_both_versions
def test_the_server_knows_which_certificate_belongs_to_which_client(
    version: ssl.TLSVersion, loop: str, pki: Pki, tmp_path: Path
) -> None:
    """Many at once: each request is parsed while the bytes of its own connection are read."""

    async def scenario() -> None:
        server = server_context(pki, tmp_path, clients=True)
        server.sslobject_class = Noting
        csms = await serving(server, peer_certificate=Noting.certificate)
        stations = {f"CS{number:03}": pki.station(f"CS{number:03}") for number in range(8)}
        contexts = {
            name: loaded(client_context(pki), issued, tmp_path, name)
            for name, issued in stations.items()
        }

        async def one(name: str) -> Listener:
            contexts[name].minimum_version = contexts[name].maximum_version = version
            url = f"wss://localhost:{csms.server.port}/ocpp/{name}"
            return await picows.connect(
                url, Listener, clock=CLOCK, ssl_context=contexts[name], settings=PATIENT
            )

        links = await asyncio.gather(*map(one, stations), *map(one, stations))
        assert len(csms.handshakes) == len(links) == 16
        for handshake in csms.handshakes:
            shown = stations[handshake.identity].certificate
            assert handshake.peer_certificate == ssl.PEM_cert_to_DER_cert(
                stations[handshake.identity].pem
            ), shown.subject
        await csms.server.close()
        for link in links:
            assert (await link.end()).code == 1001

    LOOPS[loop](scenario())


@on_both_loops
@on_both_versions
def test_a_client_without_the_certificate_that_is_wanted_is_told(
    version: ssl.TLSVersion, loop: str, pki: Pki, tmp_path: Path
) -> None:
    """In TLS 1.3 the refusal comes after the client's handshake, as an alert in the place of the
    answer to its request."""

    async def scenario() -> None:
        csms = await serving(server_context(pki, tmp_path, clients=True))
        context = client_context(pki)
        context.minimum_version = context.maximum_version = version
        begun = CLOCK.monotonic()
        with pytest.raises(ConnectFailed) as caught:
            await dial(csms, context)
        assert caught.value.failure in {ConnectFailure.TLS, ConnectFailure.NETWORK}
        assert CLOCK.monotonic() - begun < LIMIT_S
        assert csms.handshakes == []
        await csms.server.close()

    LOOPS[loop](scenario())


@on_both_loops
@on_both_versions
def test_messages_of_all_sizes_compressed_and_not(
    version: ssl.TLSVersion, loop: str, pki: Pki, tmp_path: Path
) -> None:
    async def scenario() -> None:
        csms = await serving(server_context(pki, tmp_path))
        for options in ({}, {"deflate": None}):
            context = client_context(pki)
            context.minimum_version = context.maximum_version = version
            client = await dial(csms, context, **options)
            server = csms.listeners[-1]
            for size in (0, 1, 125, 126, 999, 1_000):
                client.transport.send(b"a" * size)
                server.transport.send(b"b" * size)
            while len(client.frames) < 6 or len(server.frames) < 6:
                await asyncio.wait_for(asyncio.sleep(0.001), LIMIT_S)
            assert [len(frame) for frame in server.frames] == [0, 1, 125, 126, 999, 1_000]
            assert [len(frame) for frame in client.frames] == [0, 1, 125, 126, 999, 1_000]
            client.transport.close(1000, "enough")
            assert (await client.end()).by is ClosedBy.LOCAL
            assert (await server.end()).by is ClosedBy.PEER
        await csms.server.close()

    LOOPS[loop](scenario())


@on_both_loops
def test_a_handshake_that_never_ends_costs_no_more_than_the_open_timeout(
    loop: str, pki: Pki
) -> None:
    async def scenario() -> None:
        gone = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])
            gone.set()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            begun = CLOCK.monotonic()
            with pytest.raises(ConnectFailed) as caught:
                await picows.connect(
                    f"wss://127.0.0.1:{port}/CS001",
                    Listener,
                    clock=CLOCK,
                    ssl_context=client_context(pki),
                    settings=small(open_timeout_s=0.2),
                )
            assert caught.value.failure is ConnectFailure.TIMEOUT
            assert CLOCK.monotonic() - begun < 4.0  # of which a busy computer takes its part
            await asyncio.wait_for(gone.wait(), LIMIT_S)  # the socket is not left open

    LOOPS[loop](scenario())
