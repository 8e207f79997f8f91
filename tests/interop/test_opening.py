"""Opening a WebSocket: versions, identities, passwords, attempts that fail (Part 4, 3.1 to 3.3)."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from picows import WSHandshakeError

from interop.raw_peer import LIMIT_S, raw_client, raw_server
from interop.websocket_kit import CLOCK, Listener, csms, small
from ocpp_fast.errors import ConfigurationError, ConnectFailed, ConnectFailure
from ocpp_fast.transport import picows
from ocpp_fast.transport.base import ClosedBy, Transport
from ocpp_fast.transport.handshake import Credentials, Handshake
from ocpp_fast.transport.picows import Refused

# --- opening ---------------------------------------------------------------------------------


async def test_both_ends_exchange_text() -> None:
    async with csms() as server:
        client = await server.connect()
        client.transport.send(b"to the CSMS")
        await server.listeners[0].something()
        server.listeners[0].transport.send("to the station, ü".encode())
        await client.something()
        assert server.listeners[0].frames == [b"to the CSMS"]
        assert client.frames == ["to the station, ü".encode()]


@pytest.mark.parametrize(
    ("offered", "supported", "chosen"),
    [
        (("ocpp2.1", "ocpp2.0.1"), ("ocpp2.1", "ocpp2.0.1"), "ocpp2.1"),
        (("ocpp2.0.1", "ocpp2.1"), ("ocpp2.1", "ocpp2.0.1"), "ocpp2.0.1"),
        (("ocpp2.1", "ocpp2.0.1"), ("ocpp2.0.1",), "ocpp2.0.1"),
        (("ocpp1.6", "ocpp2.1"), ("ocpp2.1", "ocpp2.0.1"), "ocpp2.1"),
    ],
)
async def test_the_first_version_of_the_client_that_the_server_has_is_taken(
    offered: tuple[str, ...], supported: tuple[str, ...], chosen: str
) -> None:
    async with csms(subprotocols=supported) as server:
        client = await server.connect(subprotocols=offered)
        assert client.transport.subprotocol == chosen
        assert server.listeners[0].transport.subprotocol == chosen
        assert server.handshakes[0].subprotocols == offered


@pytest.mark.parametrize("offered", [["ocpp1.6"], []])
async def test_without_common_version_the_handshake_succeeds_and_the_link_is_closed(
    offered: list[str],
) -> None:
    # Part 4, section 3.3
    async with csms() as server:
        peer = await raw_client(server.server.port, subprotocols=offered)
        assert "Sec-WebSocket-Protocol" not in peer.ws.response.headers
        assert await peer.end() == 1002
        assert server.listeners == []


@pytest.mark.parametrize("chosen", [None, "ocpp1.6"])
async def test_a_client_does_not_stay_with_a_version_it_did_not_offer(chosen: str | None) -> None:
    async with raw_server(chosen) as server:
        url = f"ws://127.0.0.1:{server.port}/CS001"
        with pytest.raises(ConnectFailed) as caught:
            await picows.connect(url, Listener, clock=CLOCK)
        assert caught.value.failure is ConnectFailure.SUBPROTOCOL


async def test_the_identity_is_taken_from_the_url() -> None:
    async with csms() as server:
        await server.connect("/any/path/RDAM%7C123?x=1")
        (handshake,) = server.handshakes
        assert handshake.identity == "RDAM|123"
        assert handshake.path == "/any/path/RDAM%7C123"


@pytest.mark.parametrize("path", ["/", "/ocpp/", "/ocpp/" + "x" * 49, "/ocpp/a%3Ab"])
async def test_an_impossible_identity_is_not_found(path: str) -> None:
    async with csms() as server:
        with pytest.raises(ConnectFailed) as caught:
            await server.connect(path)
        assert (caught.value.failure, caught.value.http_status) == (ConnectFailure.HTTP, 404)
        assert server.handshakes == []


async def test_an_unknown_station_is_not_found() -> None:
    async with csms() as server:
        server.verdict = lambda handshake: Refused()
        with pytest.raises(ConnectFailed) as caught:
            await server.connect()
        assert (caught.value.failure, caught.value.http_status) == (ConnectFailure.HTTP, 404)
        assert server.listeners == []


async def test_the_server_sees_the_password_and_may_refuse_it() -> None:
    async with csms() as server:
        good = Credentials("CS001", "open sesame")
        server.verdict = lambda handshake: None if handshake.credentials == good else Refused(401)
        await server.connect(credentials=good)
        for wrong in (None, Credentials("CS001", "open barley")):
            with pytest.raises(ConnectFailed) as caught:
                await server.connect(credentials=wrong)
            assert caught.value.http_status == 401


async def test_a_refusal_for_the_password_says_how_to_give_one() -> None:
    async with csms() as server:
        server.verdict = lambda handshake: Refused(401)
        with pytest.raises(WSHandshakeError) as caught:
            await raw_client(server.server.port)
        assert caught.value.response is not None
        assert caught.value.response.headers["WWW-Authenticate"].startswith("Basic ")


async def test_a_hook_that_fails_tells_the_client_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with csms() as server:

        def broken(handshake: Handshake) -> None:
            raise KeyError("secret detail")

        server.verdict = broken
        with pytest.raises(WSHandshakeError) as caught:
            await raw_client(server.server.port)
        assert caught.value.response is not None
        assert caught.value.response.status == 500
        assert b"secret" not in (caught.value.raw_body or b"")
    assert "secret detail" in caplog.text


@pytest.mark.parametrize("side", ["client", "server"])
async def test_a_listener_that_cannot_be_made_closes_the_link(
    side: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(transport: Transport) -> Listener:
        raise KeyError("no listener")

    async with csms() as server:
        if side == "server":
            server.listen = broken
            peer = await raw_client(server.server.port)
            assert await peer.end() == 1011
        else:
            url = f"ws://127.0.0.1:{server.server.port}/CS001"
            with pytest.raises(KeyError):
                await picows.connect(url, broken, clock=CLOCK)
            assert (await server.listeners[0].end()).code == 1011
    assert "no listener for the link" in caplog.text


async def test_a_connection_header_of_several_words_is_understood() -> None:
    # RFC 6455, section 4.2.1; picows' own client cannot send one
    async with csms() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.server.port)
        writer.write(
            b"GET /CS001 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: keep-alive,Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n"
            b"Sec-WebSocket-Protocol: ocpp2.1\r\n\r\n"
        )
        status = await asyncio.wait_for(reader.readline(), LIMIT_S)
        assert status.startswith(b"HTTP/1.1 101 ")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    "head",
    [b"GARBAGE\r\n\r\n", b"GET /CS001 HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n"],
)
async def test_what_is_no_upgrade_is_refused_and_leaves_nothing_behind(head: bytes) -> None:
    async with csms() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.server.port)
        writer.write(head)
        status = await asyncio.wait_for(reader.readline(), LIMIT_S)
        assert status.startswith(b"HTTP/1.1 400 ")
        await asyncio.wait_for(reader.read(), LIMIT_S)
        writer.close()
        await writer.wait_closed()
        assert server.server.open_links == 0


# --- attempts that fail ----------------------------------------------------------------------


async def test_nobody_listens_at_the_address() -> None:
    async with csms() as server:
        port = server.server.port
    with pytest.raises(ConnectFailed) as caught:
        await picows.connect(f"ws://127.0.0.1:{port}/CS001", Listener, clock=CLOCK)
    assert caught.value.failure is ConnectFailure.NETWORK


async def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(ConnectFailed) as caught:
        await picows.connect("ws://no-such-host.invalid/CS001", Listener, clock=CLOCK)
    assert caught.value.failure is ConnectFailure.ADDRESS


@pytest.mark.parametrize("url", ["http://localhost/x", "localhost", "", "ws://a:99999/x"])
async def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError):
        await picows.connect(url, Listener, clock=CLOCK)


@asynccontextmanager
async def silent_server(answer: bytes) -> AsyncGenerator[int]:
    """Answers a request with `answer` and closes, or keeps silent if that is empty. Its clients
    must not leave their connections open."""
    clients = 0
    all_gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal clients
        clients += 1
        await reader.readuntil(b"\r\n\r\n")
        if answer:
            writer.write(answer)
        else:
            await reader.read()
        writer.close()
        await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])
        clients -= 1
        if not clients:
            all_gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.wait_for(all_gone.wait(), LIMIT_S)


async def test_a_server_that_never_answers_costs_no_more_than_the_open_timeout() -> None:
    async with silent_server(b"") as port:
        begun = CLOCK.monotonic()
        with pytest.raises(ConnectFailed) as caught:
            await picows.connect(
                f"ws://127.0.0.1:{port}/CS001",
                Listener,
                clock=CLOCK,
                settings=small(open_timeout_s=0.2),
            )
        assert caught.value.failure is ConnectFailure.TIMEOUT
        assert CLOCK.monotonic() - begun < 2.0


async def test_a_connection_that_nobody_waits_for_any_more_gets_no_listener() -> None:
    made: list[Transport] = []

    def listen(transport: Transport) -> Listener:
        made.append(transport)
        return Listener(transport)

    async with csms() as server:
        gate = asyncio.Event()
        connected = asyncio.Event()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            """Holds the server's answer back until the gate opens."""
            up = await asyncio.open_connection("127.0.0.1", server.server.port)
            up[1].write(await reader.readuntil(b"\r\n\r\n"))
            answer = await up[0].readuntil(b"\r\n\r\n")
            connected.set()
            await gate.wait()
            writer.write(answer)
            await reader.read()
            for end in (writer, up[1]):
                end.close()

        async with await asyncio.start_server(relay, "127.0.0.1", 0) as between:
            port = between.sockets[0].getsockname()[1]
            url = f"ws://127.0.0.1:{port}/CS001"
            attempt = asyncio.ensure_future(picows.connect(url, listen, clock=CLOCK))
            await connected.wait()
            attempt.cancel()
            await asyncio.wait([attempt])
            gate.set()
            assert (await server.listeners[0].end()).by is ClosedBy.NETWORK
        assert attempt.cancelled()
        assert made == []


@pytest.mark.parametrize(
    ("answer", "failure", "status"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\n", ConnectFailure.HTTP, 503),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://x/\r\n\r\n", ConnectFailure.HTTP, 302),
        (b"HTTP/1.1 101 Sure\r\n\r\n", ConnectFailure.HANDSHAKE, 101),
        (b"SSH-2.0\r\n\r\n", ConnectFailure.HANDSHAKE, None),
        (b"HTTP/1.1 10", ConnectFailure.NETWORK, None),
    ],
)
async def test_a_server_that_answers_with_something_else(
    answer: bytes, failure: ConnectFailure, status: int | None
) -> None:
    async with silent_server(answer) as port:
        with pytest.raises(ConnectFailed) as caught:
            await picows.connect(f"ws://127.0.0.1:{port}/CS001", Listener, clock=CLOCK)
        assert (caught.value.failure, caught.value.http_status) == (failure, status)


async def test_tls_with_a_server_that_has_none() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectFailed) as caught:
            await picows.connect(
                f"wss://127.0.0.1:{port}/CS001",
                Listener,
                clock=CLOCK,
                ssl_context=ssl.create_default_context(),
            )
    assert caught.value.failure is ConnectFailure.TLS


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ssl.SSLCertVerificationError("self-signed"), ConnectFailure.TLS),
        (ssl.SSLError("wrong version"), ConnectFailure.TLS),
        (ConnectionResetError(), ConnectFailure.NETWORK),
        (OSError(113, "no route to host"), ConnectFailure.NETWORK),
        (TimeoutError(), ConnectFailure.TIMEOUT),
    ],
)
async def test_every_failure_tells_how_far_it_came(
    error: Exception, failure: ConnectFailure, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(picows, "ws_connect", fails)
    with pytest.raises(ConnectFailed) as caught:
        await picows.connect("wss://csms.test/CS001", Listener, clock=CLOCK)
    assert caught.value.failure is failure
    assert caught.value.__cause__ is error
