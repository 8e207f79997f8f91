"""RFC 6455 and RFC 7692 at the byte, against a peer that speaks WebSocket by hand.

Every case runs against both sides: our server with a client made by hand, and the other way round.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from interop.raw_peer import LIMIT_S
from interop.websocket_kit import CLOCK, Listener, csms, small
from interop.wire_kit import (
    BINARY,
    CLOSE,
    CONTINUATION,
    EXTENSION,
    FIN,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    Wire,
    close_payload,
    frame,
    wire_client,
    wire_server,
)
from ocpp_fast.transport import picows
from ocpp_fast.transport.base import ClosedBy, CloseReason
from ocpp_fast.transport.deflate import DeflateSettings

DEFLATE = "permessage-deflate"
SIDES = ["server", "client"]
"""Which side is ours."""
LIMIT_BYTES = 1_000


@asynccontextmanager
async def link(
    side: str, *, extension: str | None = None, **settings: Any
) -> AsyncGenerator[tuple[Wire, Listener]]:
    """A wire by hand, and our listener at its other end. `extension` is what the hand offers, or
    answers."""
    bounds = small(max_message_bytes=LIMIT_BYTES, **settings)
    headers = [] if extension is None else [f"{EXTENSION}: {extension}"]
    if side == "server":
        async with csms(settings=bounds) as server:
            wire = await wire_client(server.server.port, headers=headers)
            # The handshake is answered and the listener made in one callback.
            yield wire, server.listeners[0]
            wire.writer.close()
        return
    async with wire_server(["Sec-WebSocket-Protocol: ocpp2.1", *headers]) as hand:
        url = f"ws://127.0.0.1:{hand.port}/ocpp/CS001"
        ours = await picows.connect(url, Listener, clock=CLOCK, settings=bounds)
        wire = await hand.wires.get()
        yield wire, ours
        wire.writer.close()
        await ours.end()


async def texts(listener: Listener, count: int) -> list[bytes]:
    while len(listener.frames) < count:
        await listener.something()
    return listener.frames


# --- what must be understood -----------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
async def test_frames_that_arrive_byte_by_byte(side: str) -> None:
    async with link(side) as (wire, ours):
        for message in (b"", b"short", b"x" * 125, b"y" * 126, b"z" * 1_000):
            for byte in frame(TEXT, message, mask=wire.mask):
                wire.writer.write(bytes((byte,)))
                await asyncio.sleep(0)
        assert [len(text) for text in await texts(ours, 5)] == [0, 5, 125, 126, 1_000]


@pytest.mark.parametrize("side", SIDES)
async def test_fragments_cut_at_every_byte_with_pings_between(side: str) -> None:
    message = b"0123456789" * 3
    async with link(side) as (wire, ours):
        for cut in range(len(message) + 1):
            wire.send(TEXT, message[:cut], flags=0)
            wire.send(PING, b"%d" % cut)
            wire.send(CONTINUATION, b"", flags=0)
            wire.send(CONTINUATION, message[cut:])
        for cut in range(len(message) + 1):
            pong = await wire.receive()
            assert (pong.kind, pong.payload) == (PONG, b"%d" % cut)
        assert await texts(ours, len(message) + 1) == [message] * (len(message) + 1)


@pytest.mark.parametrize("side", SIDES)
async def test_pings_of_every_length_are_answered_and_pongs_are_not(side: str) -> None:
    async with link(side) as (wire, _):
        for size in (0, 1, 125):
            wire.send(PONG, b"unasked")
            wire.send(PING, b"x" * size)
            assert await wire.receive() == (PONG, b"x" * size, FIN)


@pytest.mark.parametrize("side", SIDES)
async def test_text_that_is_no_utf_8_is_left_to_the_codec(side: str) -> None:
    async with link(side) as (wire, ours):
        wire.send(TEXT, b"\xff\xfe")
        assert await texts(ours, 1) == [b"\xff\xfe"]


# --- what must not be said -------------------------------------------------------------------

Say = Callable[[Wire], None]


def plain(kind: int, payload: bytes = b"", flags: int = FIN, **options: int) -> Say:
    return lambda wire: wire.send(kind, payload, flags, **options)


def both(*said: Say) -> Say:
    def say(wire: Wire) -> None:
        for one in said:
            one(wire)

    return say


def wrong_mask(wire: Wire) -> None:
    wire.send(TEXT, b"x", mask=not wire.mask)


VIOLATIONS: dict[str, tuple[Say, int]] = {
    **{f"opcode {kind}": (plain(kind), 1002) for kind in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    **{
        f"reserved bit {bit:#x} in {kind}": (plain(kind, b"", FIN | bit), 1002)
        for bit in (RSV1, RSV2, RSV3, RSV1 | RSV2 | RSV3)
        for kind in (TEXT, BINARY, PING, PONG, CLOSE)
    },
    **{
        f"reserved bit {bit:#x} in a continuation": (
            both(plain(TEXT, b"x", 0), plain(CONTINUATION, b"x", FIN | bit)),
            1002,
        )
        for bit in (RSV1, RSV2, RSV3)
    },
    "ping too long": (plain(PING, b"x" * 126), 1002),
    "pong too long": (plain(PONG, b"x" * 126), 1002),
    "close too long": (plain(CLOSE, close_payload(1000, b"x" * 124)), 1002),
    "ping in fragments": (plain(PING, b"x", 0), 1002),
    "close in fragments": (plain(CLOSE, close_payload(1000), 0), 1002),
    "masked the wrong way": (wrong_mask, 1002),
    "continuation of nothing": (plain(CONTINUATION, b"x"), 1002),
    "continuation of nothing, not the last": (plain(CONTINUATION, b"x", 0), 1002),
    "text within a message": (both(plain(TEXT, b"x", 0), plain(TEXT, b"y")), 1002),
    "binary within a message": (both(plain(TEXT, b"x", 0), plain(BINARY, b"y")), 1002),
    "a length of 16 bits that needs 7": (plain(TEXT, b"x", length_bytes=2), 1002),
    "a length of 64 bits that needs 16": (plain(TEXT, b"x" * 200, length_bytes=8), 1002),
    "a length beyond 63 bits": (plain(TEXT, b"", length_bytes=8, length=1 << 63), 1002),
    "too long": (plain(TEXT, b"x" * 1_001), 1009),
    "too long by word": (plain(BINARY, b"", length_bytes=8, length=1 << 40), 1009),
    "too long in fragments": (
        both(plain(TEXT, b"x" * 600, 0), plain(CONTINUATION, b"x" * 401)),
        1009,
    ),
    "close with one byte": (plain(CLOSE, b"\x03"), 1002),
    "close with text that is no UTF-8": (plain(CLOSE, close_payload(1000, b"\xff")), 1007),
    **{
        f"close with {code}": (plain(CLOSE, close_payload(code)), 1002)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("case", VIOLATIONS)
async def test_a_violation_ends_the_link(case: str, side: str) -> None:
    say, code = VIOLATIONS[case]
    async with link(side) as (wire, ours):
        say(wire)
        await asyncio.sleep(0)
        wire.send(TEXT, b"nothing after it is believed")
        wire.send(BINARY, b"of any kind")
        wire.send(TEXT, b"in frag", flags=0)
        wire.send(CONTINUATION, b"ments")
        wire.send(PING, b"or answered")
        assert await wire.close_code() == code
        wire.writer.close()
        reason = await ours.end()
        assert (reason.code, reason.by) == (code, ClosedBy.VIOLATION)
        assert ours.frames == []
        assert ours.binary_sizes == []


# --- closing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999])
async def test_every_code_that_may_be_sent_is_taken_and_answered(code: int, side: str) -> None:
    async with link(side) as (wire, ours):
        wire.send(CLOSE, close_payload(code, "schön".encode()))
        wire.send(TEXT, b"after the end")
        wire.send(BINARY, b"after the end")
        wire.send(PING, b"after the end")
        assert await wire.close_code() == code
        assert await ours.end() == CloseReason(code, "schön", ClosedBy.PEER)
        assert ours.frames == []
        assert ours.binary_sizes == []
        await wire.end()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("code", [1000, 3000, None])
async def test_what_follows_a_close_frame_is_no_violation(code: int | None, side: str) -> None:
    """picows answers it with 1002, as if the close frame had not come; the peer closed all the
    same."""
    async with link(side) as (wire, ours):
        wire.send(CLOSE, b"" if code is None else close_payload(code, b"bye"))
        wire.send(CLOSE, close_payload(1001))
        await wire.end_of_frames()
        text = "" if code is None else "bye"
        assert await ours.end() == CloseReason(code or 1005, text, ClosedBy.PEER)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("code", [0, 1006, 5000])
async def test_a_close_frame_that_may_not_be_is_followed_by_the_end(code: int, side: str) -> None:
    async with link(side, close_timeout_s=30.0) as (wire, ours):
        wire.send(CLOSE, close_payload(code))
        assert await wire.close_code() == 1002
        await wire.end()
        assert (await ours.end()).by is ClosedBy.VIOLATION


@pytest.mark.parametrize("side", SIDES)
async def test_after_a_violation_the_connection_ends_whatever_the_peer_does(side: str) -> None:
    async with link(side) as (wire, ours):
        wire.send(CONTINUATION)
        assert await wire.close_code() == 1002
        await wire.end()
        assert (await ours.end()).by is ClosedBy.VIOLATION


@pytest.mark.parametrize("side", SIDES)
async def test_a_close_frame_without_code(side: str) -> None:
    async with link(side) as (wire, ours):
        wire.send(CLOSE)
        assert await wire.close_code() == 1000
        assert await ours.end() == CloseReason(1005, "", ClosedBy.PEER)


@pytest.mark.parametrize("side", SIDES)
async def test_what_arrives_before_the_answer_to_our_close_frame_counts(side: str) -> None:
    async with link(side) as (wire, ours):
        ours.transport.close(1000, "bye")
        wire.send(TEXT, b"still")
        wire.send(TEXT, b"under ", flags=0)
        wire.send(CONTINUATION, b"way")
        assert await wire.close_code() == 1000
        assert await texts(ours, 2) == [b"still", b"under way"]
        wire.send(CLOSE, close_payload(1000))
        assert await ours.end() == CloseReason(1000, "bye", ClosedBy.LOCAL)


@pytest.mark.parametrize("side", SIDES)
async def test_a_peer_that_goes_on_after_our_close_frame_is_cut_off_in_time(side: str) -> None:
    async with link(side) as (wire, ours):
        ours.transport.close(1001, "bye")
        begun = CLOCK.monotonic()
        while not ours.closed.done() and CLOCK.monotonic() - begun < LIMIT_S:
            wire.send(TEXT, b"I do not listen")
            await asyncio.sleep(0.02)
        assert await ours.end() == CloseReason(1001, "bye", ClosedBy.LOCAL)
        assert CLOCK.monotonic() - begun < 2.0


# --- compression -----------------------------------------------------------------------------


class Zip:
    """The hand's own compression."""

    def __init__(self, *, context: bool = True, bits: int = 15) -> None:
        self._context, self._bits = context, bits
        self._renew()

    def _renew(self) -> None:
        self._out = zlib.compressobj(6, zlib.DEFLATED, -self._bits)
        self._in = zlib.decompressobj(-self._bits)

    def pack(self, message: bytes) -> bytes:
        if not self._context:
            self._renew()
        return (self._out.compress(message) + self._out.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def unpack(self, payload: bytes) -> bytes:
        if not self._context:
            self._renew()
        return self._in.decompress(payload + b"\0\0\xff\xff")


MESSAGE = b'{"measurand":"Energy.Active.Import.Register"}' * 9


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("extension", "context", "bits"),
    [
        (DEFLATE, True, 15),
        (f"{DEFLATE}; server_max_window_bits=9; client_max_window_bits=9", True, 9),
        (f"{DEFLATE}; server_no_context_takeover; client_no_context_takeover", False, 15),
    ],
)
async def test_compressed_messages_both_ways(
    side: str, extension: str, context: bool, bits: int
) -> None:
    async with link(side, extension=extension) as (wire, ours):
        zipped = Zip(context=context, bits=bits)
        for number in range(3):
            wire.send(TEXT, zipped.pack(MESSAGE), FIN | RSV1)
            assert (await texts(ours, number + 1))[-1] == MESSAGE
            ours.transport.send(MESSAGE)
            got = await wire.receive()
            assert (got.kind, got.flags) == (TEXT, FIN | RSV1)
            assert len(got.payload) < 70
            assert zipped.unpack(got.payload) == MESSAGE


@pytest.mark.parametrize("side", SIDES)
async def test_compressed_fragments_cut_at_every_byte(side: str) -> None:
    async with link(side, extension=DEFLATE) as (wire, ours):
        zipped, message = Zip(), b"the first is the longest"
        payload = zipped.pack(message)
        for cut in range(len(payload) + 1):
            wire.send(TEXT, payload[:cut], RSV1)
            wire.send(PING)
            wire.send(CONTINUATION, payload[cut:])
            assert (await texts(ours, cut + 1))[-1] == message
            payload = zipped.pack(message)


@pytest.mark.parametrize("side", SIDES)
async def test_plain_and_binary_messages_between_compressed_ones(side: str) -> None:
    async with link(side, extension=DEFLATE) as (wire, ours):
        zipped = Zip()
        wire.send(TEXT, zipped.pack(b"one"), FIN | RSV1)
        wire.send(TEXT, b"two")
        wire.send(BINARY, zipped.pack(b"12345"), FIN | RSV1)
        wire.send(TEXT, zipped.pack(b""), FIN | RSV1)
        assert await texts(ours, 3) == [b"one", b"two", b""]
        assert ours.binary_sizes == [5]


@pytest.mark.parametrize("side", SIDES)
async def test_short_messages_are_sent_as_they_are(side: str) -> None:
    settings = DeflateSettings(from_bytes=100)
    async with link(side, extension=DEFLATE, deflate=settings) as (wire, ours):
        ours.transport.send(b"x" * 99)
        assert await wire.receive() == (TEXT, b"x" * 99, FIN)
        ours.transport.send(b"x" * 100)
        assert (await wire.receive()).flags == FIN | RSV1


COMPRESSED_VIOLATIONS: dict[str, tuple[Say, int]] = {
    "a bomb": (plain(TEXT, Zip().pack(b"\0" * 900_000), FIN | RSV1), 1009),
    "a bomb in fragments": (
        both(
            plain(TEXT, Zip().pack(b"\0" * 900_000)[:500], RSV1),
            plain(CONTINUATION, Zip().pack(b"\0" * 900_000)[500:]),
        ),
        1009,
    ),
    "a binary bomb": (plain(BINARY, Zip().pack(b"\0" * 900_000), FIN | RSV1), 1009),
    "no compressed data": (plain(TEXT, b"\xff" * 20, FIN | RSV1), 1007),
    "the bit in a continuation": (
        both(plain(TEXT, b"", RSV1), plain(CONTINUATION, b"", FIN | RSV1)),
        1002,
    ),
    "the bit in a ping": (plain(PING, b"", FIN | RSV1), 1002),
    "another bit as well": (plain(TEXT, b"", FIN | RSV1 | RSV2), 1002),
}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("case", COMPRESSED_VIOLATIONS)
async def test_a_violation_with_compression_ends_the_link(case: str, side: str) -> None:
    say, code = COMPRESSED_VIOLATIONS[case]
    async with link(side, extension=DEFLATE) as (wire, ours):
        say(wire)
        wire.send(TEXT, b"nothing after it is believed")
        assert await wire.close_code() == code
        wire.writer.close()
        reason = await ours.end()
        assert (reason.code, reason.by) == (code, ClosedBy.VIOLATION)
        assert ours.frames == []


async def test_a_server_uses_it_only_if_it_is_offered_and_it_may() -> None:
    async with csms() as server:
        for headers in ((), (f"{EXTENSION}: {DEFLATE}; unknown",), (f"{EXTENSION}: x-other",)):
            wire = await wire_client(server.server.port, headers=headers)
            assert wire.response_header(EXTENSION) is None
            wire.writer.close()
        wire = await wire_client(server.server.port, headers=[f"{EXTENSION}: x, {DEFLATE}"])
        assert wire.response_header(EXTENSION) == DEFLATE
        wire.writer.close()
    async with csms(settings=small(deflate=None)) as server:
        wire = await wire_client(server.server.port, headers=[f"{EXTENSION}: {DEFLATE}"])
        assert wire.response_header(EXTENSION) is None
        wire.writer.close()


async def test_offers_in_two_headers_and_a_header_that_is_none() -> None:
    async with csms() as server:
        two = [f"{EXTENSION}: x-other", f"{EXTENSION}: {DEFLATE}; client_max_window_bits"]
        wire = await wire_client(server.server.port, headers=two)
        assert wire.response_header(EXTENSION) == f"{DEFLATE}; client_max_window_bits=12"
        wire.writer.close()
        wire = await wire_client(server.server.port, headers=[f"{EXTENSION}: ;;"])
        assert wire.head.startswith(b"HTTP/1.1 400 ")
        wire.writer.close()


async def test_a_client_offers_it_unless_it_is_off() -> None:
    for settings, offered in ((small(), True), (small(deflate=None), False)):
        async with wire_server() as hand:
            url = f"ws://127.0.0.1:{hand.port}/ocpp/CS001"
            ours = await picows.connect(url, Listener, clock=CLOCK, settings=settings)
            wire = await hand.wires.get()
            assert (DEFLATE in (wire.response_header(EXTENSION) or "")) is offered
            ours.transport.send(MESSAGE)  # plain, since the server does not answer the offer
            assert await wire.receive() == (TEXT, MESSAGE, FIN)
            wire.send(CLOSE, close_payload(1000))
            await ours.end()
            wire.writer.close()
