"""Where a link is dialled from, and where it never goes: interfaces, redirects, proxies, and
servers that answer with a version or an extension that was not offered."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from interop.raw_peer import LIMIT_S
from interop.steady_time import run_steadily
from interop.websocket_kit import CLOCK, Csms, Listener, csms, small
from interop.wire_kit import CLOSE, EXTENSION, FIN, PING, wire_server
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.transport import picows, sockets
from ocpp_fast.transport.handshake import Credentials
from ocpp_fast.transport.sockets import local_end


async def dial(port: int, host: str = "127.0.0.1", **options: Any) -> Listener:
    return await picows.connect(f"ws://{host}:{port}/ocpp/CS001", Listener, clock=CLOCK, **options)


async def refused(port: int, **options: Any) -> ConnectFailed:
    with pytest.raises(ConnectFailed) as caught:
        await dial(port, **options)
    return caught.value


def peer_of(server: Csms) -> str:
    return server.listeners[-1].transport.peer.rpartition(":")[0]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


# --- interfaces ------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
async def test_a_link_comes_from_the_address_that_was_named(address: str) -> None:
    async with csms() as server:
        await dial(server.server.port, local_interface=address)
        assert peer_of(server) == address


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("address", ["::1", "[::1]"])
async def test_the_same_with_ipv6(address: str) -> None:
    one = Csms()
    one.server = await picows.serve(one.accept, "::1", 0, clock=CLOCK)
    link = await dial(one.server.port, "[::1]", local_interface=address)
    assert peer_of(one) == "::1"
    await one.server.close()
    await link.end()


async def test_a_link_comes_from_the_device_that_was_named() -> None:
    async with csms() as server:
        await dial(server.server.port, local_interface="lo")
        assert peer_of(server) == "127.0.0.1"


async def test_a_device_reaches_nothing_but_what_is_behind_it() -> None:
    """A socket that is bound to another device does not come through."""
    others = [name for _, name in socket.if_nameindex() if name != "lo"]
    if not others or local_end(others[0]).device is None:
        pytest.skip("no other device, or none may be bound to")
    async with csms() as server:
        error = await refused(
            server.server.port, local_interface=others[0], settings=small(open_timeout_s=0.3)
        )
        assert error.failure in {ConnectFailure.NETWORK, ConnectFailure.TIMEOUT}
        assert server.handshakes == []


async def test_where_devices_may_not_be_bound_to_their_address_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(sockets, "_bind_to_device", forbidden)
    end = local_end("lo")
    assert end.device is None
    assert dict(end.addresses)[socket.AF_INET] == ("127.0.0.1", 0)
    async with csms() as server:
        await dial(server.server.port, local_interface="lo")
        assert peer_of(server) == "127.0.0.1"


async def test_a_device_without_an_address_where_it_may_not_be_bound_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "not permitted")

    def none_of(_device: str) -> list[Any]:
        return []

    monkeypatch.setattr(sockets, "_bind_to_device", forbidden)
    monkeypatch.setattr(sockets, "_addresses_of", none_of)
    assert (await refused(1, local_interface="lo")).failure is ConnectFailure.INTERFACE


@pytest.mark.parametrize(
    "name",
    ["nosuch0", "a name that is much too long for a device", "", "lo\0", "203.0.113.77", "ü"],
)
async def test_an_interface_that_is_none(name: str) -> None:
    """203.0.113.77 is for documentation, and no address of this computer."""
    async with csms() as server:
        error = await refused(server.server.port, local_interface=name)
        assert error.failure is ConnectFailure.INTERFACE
        assert name.rstrip("\0") in str(error)
        assert server.handshakes == []


async def test_an_interface_of_the_wrong_family() -> None:
    async with csms() as server:
        error = await refused(server.server.port, local_interface="::1")
        assert error.failure is ConnectFailure.ADDRESS
        assert "::1" in str(error)


# --- several addresses -----------------------------------------------------------------------


def resolve_to(monkeypatch: pytest.MonkeyPatch, port: int, addresses: Sequence[str]) -> None:
    async def resolve(_host: str, _port: int) -> list[Any]:
        return [(socket.AF_INET, (address, port)) for address in addresses]

    monkeypatch.setattr(sockets, "_resolve", resolve)


async def test_an_address_that_refuses_is_followed_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with csms() as server:
        resolve_to(monkeypatch, server.server.port, ["127.0.0.9", "127.0.0.1"])
        await dial(server.server.port, "csms.test")
        assert len(server.listeners) == 1


async def test_an_address_that_swallows_everything_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with csms() as server:
        port = server.server.port
        with socket.socket() as hole, socket.socket() as first, socket.socket() as second:
            hole.bind(("127.0.0.9", port))
            hole.listen(0)  # what does not fit into the queue is not answered at all
            for filling in (first, second):
                filling.setblocking(False)
                filling.connect_ex(("127.0.0.9", port))
            resolve_to(monkeypatch, port, ["127.0.0.9", "127.0.0.1"])
            begun = CLOCK.monotonic()
            await dial(port, "csms.test", settings=small(open_timeout_s=0.8))
            assert 0.3 < CLOCK.monotonic() - begun < 0.8
            resolve_to(monkeypatch, port, ["127.0.0.9"])
            error = await refused(port, host="csms.test", settings=small(open_timeout_s=0.2))
            assert error.failure is ConnectFailure.TIMEOUT


async def test_no_address_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with csms() as server:
        resolve_to(monkeypatch, server.server.port, ["127.0.0.9", "127.0.0.10"])
        error = await refused(server.server.port, host="csms.test")
        assert error.failure is ConnectFailure.NETWORK


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".test"])
async def test_a_name_that_cannot_be_resolved(host: str) -> None:
    assert (await refused(1, host=host)).failure is ConnectFailure.ADDRESS


# --- where the password never goes -----------------------------------------------------------


@asynccontextmanager
async def answering(answer: bytes) -> AsyncGenerator[tuple[int, list[bytes]]]:
    """A server that says the same to everyone, and what it was told."""
    told: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], told


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    async with answering(b"") as (elsewhere, told):
        where = f"Location: ws://127.0.0.1:{elsewhere}/ocpp/CS001"
        answer = f"HTTP/1.1 {status} Go\r\n{where}\r\nContent-Length: 0\r\n\r\n".encode()
        async with answering(answer) as (port, asked):
            error = await refused(port, credentials=Credentials("CS001", "open sesame"))
            assert (error.failure, error.http_status) == (ConnectFailure.HTTP, status)
            assert b"Authorization: Basic " in asked[0]
            assert b"Authorization" not in b"".join(asked[1:])
        assert told == []


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(b"HTTP/1.1 502 No\r\n\r\n") as (proxy, told), csms() as server:
        for name in ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
            monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{proxy}")
        await dial(server.server.port, credentials=Credentials("CS001", "open sesame"))
        assert len(server.handshakes) == 1
        assert told == []


# --- nothing is left open --------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_attempt_that_is_given_up_ends_its_connection_at_once(loop: str, tls: bool) -> None:
    """picows would keep it for the whole of its own time."""

    async def scenario() -> None:
        gone, come = asyncio.Event(), asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            come.set()
            await reader.read()
            writer.close()
            gone.set()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            scheme = "wss" if tls else "ws"
            attempt = asyncio.ensure_future(
                picows.connect(f"{scheme}://127.0.0.1:{port}/CS001", Listener, clock=CLOCK)
            )
            await asyncio.wait_for(come.wait(), LIMIT_S)
            await asyncio.sleep(0.01)
            attempt.cancel()
            await asyncio.wait([attempt])
            assert attempt.cancelled()
            await asyncio.wait_for(gone.wait(), LIMIT_S)

    (uvloop.run if loop == "uvloop" else run_steadily)(scenario())


@pytest.mark.parametrize("frames", [((PING, 0),), ((CLOSE, FIN), (CLOSE, FIN))])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_violation_of_the_server_leaves_no_exception_that_nobody_asks_for(
    loop: str, frames: Sequence[tuple[int, int]], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with wire_server() as hand:
            ours = await dial(hand.port)
            wire = await hand.wires.get()
            for kind, flags in frames:
                wire.send(kind, flags=flags)
            assert await wire.close_code() == 1002
            wire.writer.close()
            assert (await ours.end()).code == (1002 if len(frames) == 1 else 1005)
            del ours, wire
            gc.collect()

    with caplog.at_level("ERROR", "asyncio"):
        (uvloop.run if loop == "uvloop" else run_steadily)(scenario())
        gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


# --- answers that were not offered -----------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "failure"),
    [
        ([], ConnectFailure.SUBPROTOCOL),
        (["Sec-WebSocket-Protocol: ocpp1.6"], ConnectFailure.SUBPROTOCOL),
        (["Sec-WebSocket-Protocol: ocpp2.1, ocpp2.0.1"], ConnectFailure.SUBPROTOCOL),
        (
            ["Sec-WebSocket-Protocol: ocpp2.1", f"{EXTENSION}: x-other"],
            ConnectFailure.HANDSHAKE,
        ),
        (
            ["Sec-WebSocket-Protocol: ocpp2.1", f"{EXTENSION}: permessage-deflate; unknown"],
            ConnectFailure.HANDSHAKE,
        ),
        (["Sec-WebSocket-Protocol: ocpp2.1", f"{EXTENSION}: ;"], ConnectFailure.HANDSHAKE),
    ],
)
async def test_a_link_that_is_none_of_what_was_offered_is_closed_cleanly(
    headers: list[str], failure: ConnectFailure
) -> None:
    async with wire_server(headers) as hand:
        attempt = asyncio.ensure_future(
            dial(hand.port, settings=small(), subprotocols=("ocpp2.1", "ocpp2.0.1"))
        )
        wire = await asyncio.wait_for(hand.wires.get(), LIMIT_S)
        assert wire.response_header("Sec-WebSocket-Protocol") == "ocpp2.1, ocpp2.0.1"
        assert await wire.close_code() == 1002
        await asyncio.sleep(0.01)
        assert not attempt.done()  # before its connection has ended
        wire.writer.close()
        with pytest.raises(ConnectFailed) as caught:
            await attempt
        assert caught.value.failure is failure


async def test_a_server_that_ignores_the_good_bye_does_not_hold_the_next_attempt_up() -> None:
    async with wire_server([]) as hand:
        begun = CLOCK.monotonic()
        error = await refused(hand.port, settings=small())
        assert error.failure is ConnectFailure.SUBPROTOCOL
        assert CLOCK.monotonic() - begun < 2.0
        (await hand.wires.get()).writer.close()


async def test_a_client_without_subprotocols_takes_none() -> None:
    async with wire_server([]) as hand:
        ours = await dial(hand.port, subprotocols=())
        wire = await hand.wires.get()
        assert wire.response_header("Sec-WebSocket-Protocol") is None
        assert ours.transport.subprotocol == ""
        wire.writer.close()
        await ours.end()
    async with wire_server() as hand:
        error = await refused(hand.port, subprotocols=(), settings=small())
        assert error.failure is ConnectFailure.SUBPROTOCOL
        (await hand.wires.get()).writer.close()
