"""The picows transport over real sockets: frames, bounds, closing."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

import pytest
from picows import WSError, WSMsgType

from interop import wire_kit
from interop.raw_peer import LIMIT_S, RawPeer, raw_client, raw_server
from interop.websocket_kit import CLOCK, Listener, csms, small
from interop.wire_kit import Wire
from ocpp_fast.errors import ConfigurationError, ConnectFailed, MessageTooLong
from ocpp_fast.transport import picows
from ocpp_fast.transport.base import ClosedBy, CloseReason
from ocpp_fast.transport.deflate import DeflateSettings

CONTINUATION, TEXT, BINARY = WSMsgType.CONTINUATION, WSMsgType.TEXT, WSMsgType.BINARY
PING, CLOSE = WSMsgType.PING, WSMsgType.CLOSE


# --- frames ----------------------------------------------------------------------------------


async def test_a_message_in_fragments_arrives_whole() -> None:
    async with csms() as server:
        peer = await raw_client(server.server.port)
        peer.send_raw(b"one ", TEXT, fin=False)
        peer.send_raw(b"ping", PING)
        peer.send_raw(b"two ", CONTINUATION, fin=False)
        peer.send_raw(b"three", CONTINUATION)
        peer.send_raw(b"and another", TEXT)
        while len(server.listeners[0].frames) < 2:
            await server.listeners[0].something()
        assert server.listeners[0].frames == [b"one two three", b"and another"]
        assert await peer.pongs.get() == b"ping"


async def test_a_message_may_be_cut_anywhere() -> None:
    message = b"0123456789"
    async with csms() as server:
        peer = await raw_client(server.server.port)
        for cut in range(len(message) + 1):
            peer.send_raw(message[:cut], TEXT, fin=False)
            peer.send_raw(message[cut:], CONTINUATION)
        while len(server.listeners[0].frames) < len(message) + 1:
            await server.listeners[0].something()
        assert server.listeners[0].frames == [message] * (len(message) + 1)


async def test_binary_messages_are_told_apart_whole_or_in_fragments() -> None:
    async with csms() as server:
        peer = await raw_client(server.server.port)
        peer.send_raw(b"12345", BINARY)
        peer.send_raw(b"123", BINARY, fin=False)
        peer.send_raw(b"4567", CONTINUATION)
        while len(server.listeners[0].binary_sizes) < 2:
            await server.listeners[0].something()
        assert server.listeners[0].binary_sizes == [5, 7]
        assert server.listeners[0].frames == []


def send_nested(peer: RawPeer) -> None:
    peer.send_raw(b"x", TEXT, fin=False)
    peer.send_raw(b"y", TEXT)


VIOLATIONS: dict[str, Callable[[RawPeer], None]] = {
    "a continuation of nothing": lambda peer: peer.send_raw(b"x", CONTINUATION),
    "a message within a message": send_nested,
    "a reserved bit": lambda peer: peer.send_raw(b"x", TEXT, rsv1=True),
}


@pytest.mark.parametrize("case", VIOLATIONS)
async def test_broken_websocket_ends_the_link_with_1002(case: str) -> None:
    async with csms(settings=small()) as server:
        peer = await raw_client(server.server.port)
        VIOLATIONS[case](peer)
        peer.send_raw(b"nothing after it is believed", TEXT)
        assert await peer.end() == 1002
        reason = await server.listeners[0].end()
        assert (reason.code, reason.by) == (1002, ClosedBy.VIOLATION)
        assert server.listeners[0].frames == []


def send_fragments(peer: RawPeer) -> None:
    peer.send_raw(b"x" * 600, TEXT, fin=False)
    peer.send_raw(b"x" * 600, CONTINUATION, fin=False)


TOO_BIG: dict[str, Callable[[RawPeer], None]] = {
    "whole": lambda peer: peer.send_raw(b"x" * 1_001, TEXT),
    "in fragments": send_fragments,
    "binary": lambda peer: peer.send_raw(b"x" * 1_001, BINARY),
}


@pytest.mark.parametrize("case", TOO_BIG)
async def test_a_message_beyond_the_bound_ends_the_link_with_1009(case: str) -> None:
    async with csms(settings=small()) as server:
        peer = await raw_client(server.server.port)
        TOO_BIG[case](peer)
        assert await peer.end() == 1009
        reason = await server.listeners[0].end()
        assert (reason.code, reason.by) == (1009, ClosedBy.VIOLATION)
        assert server.listeners[0].frames == []


async def test_a_message_at_the_bound_arrives() -> None:
    async with csms(settings=small()) as server:
        client = await server.connect(settings=small())
        client.transport.send(b"x" * 1_000)
        await server.listeners[0].something()
        assert server.listeners[0].frames == [b"x" * 1_000]


async def test_a_ping_is_answered() -> None:
    async with csms() as server:
        peer = await raw_client(server.server.port)
        peer.send_raw(b"are you there", PING)
        assert await asyncio.wait_for(peer.pongs.get(), LIMIT_S) == b"are you there"


async def test_a_peer_that_answers_no_ping_is_given_up() -> None:
    async with raw_server(answers_close=False) as server:
        client = await picows.connect(
            f"ws://127.0.0.1:{server.port}/CS001",
            Listener,
            clock=CLOCK,
            settings=small(ping_interval_s=0.1, ping_timeout_s=0.1),
        )
        server.peer.ws.underlying_transport.pause_reading()
        reason = await client.end()
        assert reason == CloseReason(1006, "no answer to a ping", ClosedBy.NETWORK)


async def test_answered_pings_keep_a_link_open() -> None:
    async with csms() as server:
        client = await server.connect(settings=small(ping_interval_s=0.1, ping_timeout_s=5.0))
        await asyncio.sleep(0.35)
        assert not client.closed.done()


async def test_the_interval_of_pings_changes_on_a_live_link() -> None:
    async with raw_server(answers_close=False) as server:
        url = f"ws://127.0.0.1:{server.port}/CS001"
        silent = await picows.connect(url, Listener, clock=CLOCK, settings=small())
        server.peer.ws.underlying_transport.pause_reading()
        silent.transport.ping_every(30.0)
        silent.transport.ping_every(0.05, 0.05)
        reason = await silent.end()
        assert reason == CloseReason(1006, "no answer to a ping", ClosedBy.NETWORK)


SIGNS_OF_LIFE: dict[str, Callable[[Wire], None]] = {
    "text": lambda wire: wire.send(wire_kit.TEXT, b"x"),
    "binary": lambda wire: wire.send(wire_kit.BINARY, b"x"),
    "a fragment": lambda wire: wire.send(wire_kit.TEXT, b"", flags=0),
    "a ping": lambda wire: wire.send(wire_kit.PING),
    "an unasked pong": lambda wire: wire.send(wire_kit.PONG, b"of its own"),
}


@pytest.mark.parametrize("sign", SIGNS_OF_LIFE)
async def test_any_frame_of_the_peer_is_a_sign_of_life(sign: str) -> None:
    async with wire_kit.wire_server() as hand:
        url = f"ws://127.0.0.1:{hand.port}/CS001"
        ours = await picows.connect(url, Listener, clock=CLOCK, settings=small())
        wire = await hand.wires.get()
        begun = CLOCK.monotonic()
        ours.transport.ping_every(0.1, 0.15)
        for number in range(6):
            while (await wire.receive()).kind != wire_kit.PING:
                pass  # our answer to a ping of the hand
            # No pong; a fragment goes on with the same message.
            if sign == "a fragment" and number:
                wire.send(wire_kit.CONTINUATION, b"", flags=0)
            else:
                SIGNS_OF_LIFE[sign](wire)
        assert not ours.closed.done()
        assert CLOCK.monotonic() - begun > 0.5
        assert len(ours.frames) >= (5 if sign == "text" else 0)  # the sixth is under way
        assert await ours.end() == CloseReason(1006, "no answer to a ping", ClosedBy.NETWORK)
        wire.writer.close()


async def test_a_half_open_link_is_found_within_interval_and_timeout() -> None:
    async with wire_kit.wire_server() as hand:
        url = f"ws://127.0.0.1:{hand.port}/CS001"
        ours = await picows.connect(url, Listener, clock=CLOCK, settings=small())
        wire = await hand.wires.get()
        ours.transport.ping_every(0.1, 0.3)  # a timeout beyond the interval counts as well
        begun = CLOCK.monotonic()
        assert (await ours.end()).by is ClosedBy.NETWORK
        assert 0.38 < CLOCK.monotonic() - begun < 1.0
        wire.writer.close()


async def test_the_time_for_an_answer_changes_on_a_live_link() -> None:
    async with wire_kit.wire_server() as hand:
        url = f"ws://127.0.0.1:{hand.port}/CS001"
        ours = await picows.connect(
            url, Listener, clock=CLOCK, settings=small(ping_interval_s=0.05, ping_timeout_s=30.0)
        )
        wire = await hand.wires.get()
        await wire.receive()
        ours.transport.ping_every(0.05)  # as it was
        await wire.receive()
        assert not ours.closed.done()
        ours.transport.ping_every(0.05, 0.05)
        assert (await ours.end()).by is ClosedBy.NETWORK
        wire.writer.close()


async def test_pings_of_a_peer_that_does_not_read_are_bounded() -> None:
    async with csms(settings=small(max_unsent_bytes=100_000)) as server:
        wire = await wire_kit.wire_client(server.server.port)
        many = wire_kit.frame(wire_kit.PING, b"x" * 125, mask=True) * 1_000
        listener = server.listeners[0]
        while not listener.closed.done():
            wire.writer.write(many)
            with suppress(ConnectionError):
                await asyncio.wait_for(wire.writer.drain(), LIMIT_S)
            await asyncio.sleep(0)
        assert (await listener.end()).text == "the peer does not read"
        wire.writer.close()


async def test_without_pings_a_silent_peer_is_not_noticed() -> None:
    async with raw_server(answers_close=False) as server:
        url = f"ws://127.0.0.1:{server.port}/CS001"
        settings = small(ping_interval_s=0.05, ping_timeout_s=0.05)
        client = await picows.connect(url, Listener, clock=CLOCK, settings=settings)
        client.transport.ping_every(0)
        server.peer.ws.underlying_transport.pause_reading()
        await asyncio.sleep(0.2)
        assert not client.closed.done()


async def test_a_peer_that_does_not_read_is_cut_off_and_memory_stays_bounded() -> None:
    async with csms(settings=small(max_unsent_bytes=100_000)) as server:
        peer = await raw_client(server.server.port)
        peer.ws.underlying_transport.pause_reading()
        transport = server.listeners[0].transport
        for _ in range(100_000):
            transport.send(b"x" * 1_000)
            if server.listeners[0].closed.done():
                break
            await asyncio.sleep(0)
        assert await server.listeners[0].end() == CloseReason(
            1006, "the peer does not read", ClosedBy.NETWORK
        )
        peer.ws.disconnect(graceful=False)


@pytest.mark.parametrize("bits", [9, 12, 15])
async def test_noise_at_the_bound_passes_between_two_ends_that_compress(bits: int) -> None:
    settings = small(max_message_bytes=50_000, deflate=DeflateSettings(window_bits=bits))
    async with csms(settings=settings) as server:
        client = await server.connect(settings=settings)
        sizes = [*range(45_000, 50_000, 90), 50_000]
        for size in sizes:
            client.transport.send(os.urandom(size))
        while len(server.listeners[0].frames) < len(sizes):
            await server.listeners[0].something()
        assert [len(frame) for frame in server.listeners[0].frames] == sizes


@pytest.mark.parametrize("deflate", [None, DeflateSettings()])
async def test_a_message_of_ours_beyond_the_bound_is_refused_and_the_link_stays(
    deflate: DeflateSettings | None,
) -> None:
    async with csms(settings=small(deflate=deflate)) as server:
        client = await server.connect(settings=small(deflate=deflate))
        for end in (client.transport, server.listeners[0].transport):
            with pytest.raises(MessageTooLong, match="1001 bytes") as caught:
                end.send(b"x" * 1_001)
            assert (caught.value.size_bytes, caught.value.limit_bytes) == (1_001, 1_000)
        client.transport.send(b"x" * 1_000)
        await server.listeners[0].something()
        assert server.listeners[0].frames == [b"x" * 1_000]
        assert not client.closed.done()


async def test_a_listener_that_fails_does_not_take_the_link_down() -> None:
    async with csms() as server:
        client = await server.connect()
        listener = server.listeners[0]
        failed = asyncio.Event()

        def broken(_frame: bytes) -> None:
            failed.set()
            raise KeyError("a bug in the listener")

        listener.transport._on_frame = broken  # pyright: ignore[reportAttributeAccessIssue]
        client.transport.send(b"one")
        await asyncio.wait_for(failed.wait(), LIMIT_S)
        listener.transport._on_frame = listener.on_frame  # pyright: ignore[reportAttributeAccessIssue]
        client.transport.send(b"two")
        await listener.something()
        assert listener.frames == [b"two"]


# --- closing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("closer", ["client", "server"])
@pytest.mark.parametrize("code", [1000, 1001, 3000, 4321])
async def test_both_ends_learn_the_code_and_who_closed(closer: str, code: int) -> None:
    async with csms() as server:
        client = await server.connect()
        ends = [client, server.listeners[0]]
        if closer == "server":
            ends.reverse()
        ends[0].transport.close(code, "für heute")
        assert await ends[0].end() == CloseReason(code, "für heute", ClosedBy.LOCAL)
        assert await ends[1].end() == CloseReason(code, "für heute", ClosedBy.PEER)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 70_000])
async def test_codes_that_may_not_be_sent_are_refused_and_the_link_stays(code: int) -> None:
    async with csms() as server:
        client = await server.connect()
        with pytest.raises(ConfigurationError, match=str(code)):
            client.transport.close(code)
        client.transport.send(b"still open")
        await server.listeners[0].something()


async def test_closing_at_both_ends_at_once() -> None:
    async with csms() as server:
        client = await server.connect()
        client.transport.close()
        server.listeners[0].transport.close()
        assert (await client.end()).by is ClosedBy.LOCAL
        assert (await server.listeners[0].end()).by in {ClosedBy.LOCAL, ClosedBy.PEER}


async def test_a_close_frame_without_code_is_answered_with_a_valid_one() -> None:
    async with csms() as server:
        peer = await raw_client(server.server.port)
        peer.send_raw(b"", CLOSE)
        assert await peer.end() == 1000
        assert (await server.listeners[0].end()) == CloseReason(1005, "", ClosedBy.PEER)


async def test_a_long_reason_is_cut_at_a_whole_character() -> None:
    async with csms() as server:
        peer = await raw_client(server.server.port)
        server.listeners[0].transport.close(1000, "x" + "ü" * 100)
        assert await peer.end() == 1000
        assert peer.close_text.decode() == "x" + "ü" * 61


async def test_a_peer_that_does_not_answer_the_close_frame_is_cut_off_in_time() -> None:
    async with csms(settings=small()) as server:
        peer = await raw_client(server.server.port, answers_close=False)
        begun = CLOCK.monotonic()
        server.listeners[0].transport.close(1000, "bye")
        assert await server.listeners[0].end() == CloseReason(1000, "bye", ClosedBy.LOCAL)
        assert 0.25 < CLOCK.monotonic() - begun < 2.0
        await peer.end()


@pytest.mark.parametrize("graceful", [True, False])
async def test_a_connection_that_breaks_is_told_as_such(graceful: bool) -> None:
    async with csms() as server:
        peer = await raw_client(server.server.port)
        peer.ws.disconnect(graceful=graceful)
        assert await server.listeners[0].end() == CloseReason(
            1006, "the connection broke", ClosedBy.NETWORK
        )


async def test_sending_on_a_closed_link_does_nothing() -> None:
    async with csms() as server:
        client = await server.connect()
        client.transport.close()
        client.transport.send(b"too late")
        await client.end()
        client.transport.send(b"much too late")
        client.transport.close()
        await server.listeners[0].end()
        assert server.listeners[0].frames == []


async def test_a_server_closes_all_links_and_listens_no_more() -> None:
    async with csms() as server:
        clients = [await server.connect(f"/CS{number}") for number in range(3)]
        assert server.server.open_links == 3
        await server.server.close()
        assert server.server.open_links == 0
        for client in clients:
            assert await client.end() == CloseReason(1001, "the server stops", ClosedBy.PEER)
        with pytest.raises(ConfigurationError):
            assert server.server.port


async def test_a_server_that_stops_takes_no_more_clients() -> None:
    async with csms() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.server.port)
        await asyncio.sleep(0.05)
        await server.server.close()
        writer.write(b"GET /CS001 HTTP/1.1\r\nHost: x\r\n\r\n")
        status = await asyncio.wait_for(reader.readline(), LIMIT_S)
        assert status.startswith(b"HTTP/1.1 503 ")
        writer.close()
        await writer.wait_closed()


async def test_a_closed_link_leaves_no_timer_behind() -> None:
    async with csms() as server:
        client = await server.connect()
        client.transport.close()
        await client.end()
        transport = client.transport
        assert isinstance(transport, picows.PicowsTransport)
        assert isinstance(transport._close_timer, asyncio.TimerHandle)
        assert transport._close_timer.cancelled()


async def test_a_server_does_not_wait_for_ever_for_a_client_that_will_not_close() -> None:
    async with csms(settings=small()) as server:
        peer = await raw_client(server.server.port, answers_close=False)
        await asyncio.wait_for(server.server.close(), 2.0)
        await peer.end()


def test_the_error_of_the_library_is_not_part_of_the_interface() -> None:
    assert not issubclass(ConnectFailed, WSError)
