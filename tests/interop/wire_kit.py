"""WebSocket spoken by hand over a plain socket, on either side, well or badly."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from interop.raw_peer import LIMIT_S

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10
MASK = b"\x11\x22\x33\x44"
KEY = b"x3JJHMbDL1EzLkh9GBhXDw=="
EXTENSION = "Sec-WebSocket-Extensions"


class Frame(NamedTuple):
    """One frame as it came."""

    kind: int
    payload: bytes
    flags: int = FIN

    @property
    def code(self) -> int:
        return int.from_bytes(self.payload[:2], "big")


def masked(payload: bytes) -> bytes:
    return bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))


def frame(
    kind: int,
    payload: bytes = b"",
    *,
    mask: bool,
    flags: int = FIN,
    length_bytes: int | None = None,
    length: int | None = None,
) -> bytes:
    """A frame; `length_bytes` 0, 2 or 8 in the place of the shortest form, `length` for a lie."""
    size = len(payload) if length is None else length
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 1 << 16 else 8
    marker = {0: size, 2: 126, 8: 127}[length_bytes]
    head = bytes((flags | kind, marker | (0x80 if mask else 0)))
    head += size.to_bytes(length_bytes, "big") if length_bytes else b""
    return head + (MASK + masked(payload) if mask else payload)


def close_payload(code: int, text: bytes = b"") -> bytes:
    return struct.pack(">H", code) + text


class Wire:
    """One end of an open WebSocket; `mask` is whether this end is the client."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, mask: bool
    ) -> None:
        self.reader, self.writer, self.mask = reader, writer, mask
        self.head = b""
        """The handshake of the other side."""

    def send(self, kind: int, payload: bytes = b"", flags: int = FIN, **options: int) -> None:
        mask = bool(options.pop("mask", self.mask))
        self.writer.write(frame(kind, payload, mask=mask, flags=flags, **options))

    async def _exactly(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), LIMIT_S)

    async def receive(self) -> Frame:
        first, second = await self._exactly(2)
        size = second & 0x7F
        if size == 126:
            size = int.from_bytes(await self._exactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self._exactly(8), "big")
        assert bool(second & 0x80) is not self.mask, "clients mask, servers do not"
        mask = await self._exactly(4) if second & 0x80 else bytes(4)
        payload = await self._exactly(size)
        content = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        return Frame(first & 0x0F, content, first & 0xF0)

    async def close_code(self) -> int:
        """The code of the close frame that comes next, pings and pongs aside; then the connection
        must end."""
        while (got := await self.receive()).kind in {PING, PONG}:
            pass
        assert got.kind == CLOSE, got
        return got.code

    async def end_of_frames(self) -> None:
        """Returns when the other side has closed the connection, whatever it said before."""
        with suppress(ConnectionError):
            await asyncio.wait_for(self.reader.read(), LIMIT_S)
        self.writer.close()

    async def end(self) -> None:
        """Returns when the other side has closed the connection."""
        with suppress(ConnectionError):
            assert await asyncio.wait_for(self.reader.read(), LIMIT_S) == b""
        self.writer.close()

    def response_header(self, name: str) -> str | None:
        for line in self.head.decode().split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None


async def wire_client(
    port: int,
    path: str = "/ocpp/CS001",
    *,
    subprotocol: str | None = "ocpp2.1",
    headers: Sequence[str] = (),
) -> Wire:
    """A client of ours at a server; `head` is what the server answered."""
    wire = Wire(*await asyncio.open_connection("127.0.0.1", port), mask=True)
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: x",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {KEY.decode()}",
        *([f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []),
        *headers,
    ]
    wire.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
    wire.head = await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), LIMIT_S)
    return wire


class WireServer:
    """Accepts clients; `wires` are its ends."""

    def __init__(self, headers: Sequence[str]) -> None:
        self.headers = headers
        self.port = 0
        self.wires: asyncio.Queue[Wire] = asyncio.Queue()

    async def on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer, mask=False)
        wire.head = await reader.readuntil(b"\r\n\r\n")
        key = (wire.response_header("Sec-WebSocket-Key") or "").encode()
        proof = hashlib.sha1(
            key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False
        ).digest()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {base64.b64encode(proof).decode()}",
            *self.headers,
        ]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        self.wires.put_nowait(wire)


@asynccontextmanager
async def wire_server(
    headers: Sequence[str] = ("Sec-WebSocket-Protocol: ocpp2.1",),
) -> AsyncGenerator[WireServer]:
    one = WireServer(headers)
    server = await asyncio.start_server(one.on_client, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    async with server:
        yield one
