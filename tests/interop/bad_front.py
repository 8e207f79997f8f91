"""What lies between a station and its CSMS on loopback: passes on, or misbehaves in many ways."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import TypeAlias, TypeVar

from interop.steady_time import running_s
from ocpp_fast.clock import SystemClock, Timer

LIMIT_S = 5.0
_T = TypeVar("_T")

Manner: TypeAlias = "Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]"


class FastClock:
    """A `Clock` that runs `speed` times faster than the loop's."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._real = SystemClock()

    def now(self) -> datetime:
        return self._real.now()

    def monotonic(self) -> float:
        return running_s() * self.speed

    async def sleep(self, delay_s: float) -> None:
        await self._real.sleep(delay_s / self.speed)

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        return self._real.call_later(delay_s / self.speed, callback)

    async def wait_for(self, awaitable: Awaitable[_T], timeout_s: float) -> _T:
        return await self._real.wait_for(awaitable, timeout_s / self.speed)


class Front:
    """Listens on one port; `manner` decides what happens to the next connections, None passes
    them on to the CSMS at `csms_port`."""

    def __init__(self, csms_port: int) -> None:
        self.csms_port = csms_port
        self.manner: Manner | None = None
        self.tls: ssl.SSLContext | None = None
        """What it speaks from the next `listen` on; to the CSMS it is plain."""
        self.accepted = 0
        self.ciphers: list[tuple[str, str, int] | None] = []
        """What was negotiated for each connection."""
        self.requests: list[bytes] = []
        """What clients sent before they were answered badly."""
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: list[asyncio.StreamWriter] = []
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop_listening(self) -> None:
        """Whoever dials now is refused; open links stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def close(self) -> None:
        await self.stop_listening()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- to open links --------------------------------------------------------------------

    def reset(self) -> None:
        """RST to every client."""
        for client in self._still_there():
            client.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            client.transport.abort()
        self._clients.clear()

    def fin(self) -> None:
        """FIN to every client, without a closing handshake."""
        for client in self._still_there():
            client.write_eof()
        self._clients.clear()

    def hole(self) -> None:
        """Nothing is passed on any more, in either direction, and nobody is told."""
        self._flowing.clear()

    def heal(self) -> None:
        self._flowing.set()
        self.manner = None

    def inject(self, data: bytes) -> None:
        """Bytes to every client, as if from the CSMS."""
        for client in self._still_there():
            client.write(data)

    def _still_there(self) -> list[asyncio.StreamWriter]:
        """Without those that left by themselves: their sockets are closed."""
        return [client for client in self._clients if not client.is_closing()]

    # --- connections ----------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.accepted += 1
        self.ciphers.append(writer.get_extra_info("cipher"))
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                if self.manner is None:
                    await self._pass(reader, writer)
                else:
                    await self.manner(reader, writer)
            with suppress(OSError):
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self.csms_port)
        self._clients.append(writer)
        try:
            done, rest = await asyncio.wait(
                [
                    asyncio.create_task(self._pump(reader, ours)),
                    asyncio.create_task(self._pump(theirs, writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for one in rest:
                one.cancel()
            await asyncio.gather(*done, *rest, return_exceptions=True)
        finally:
            ours.transport.abort()
            with suppress(ValueError):  # `reset` and `fin` have forgotten it
                self._clients.remove(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flowing = self._flowing
        while data := await reader.read(65_536):
            await flowing.wait()
            writer.write(data)

    async def request(self, reader: asyncio.StreamReader) -> None:
        """Reads the request of an upgrade."""
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))


@asynccontextmanager
async def front(csms_port: int) -> AsyncGenerator[Front]:
    one = Front(csms_port)
    await one.listen()
    try:
        yield one
    finally:
        await one.close()


# --- manners ------------------------------------------------------------------------------------


async def _silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Takes everything, says nothing."""
    while await reader.read(65_536):
        pass


async def _deaf(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(600)


async def _reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def _fin(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def says(answer: bytes, *, then: Manner = _fin) -> Manner:
    """Answers the first request with these bytes."""

    async def manner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await then(reader, writer)

    return manner


def http(status: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _after_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await _silence(reader, writer)


async def _endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never ends its header."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\n")
    while True:
        writer.write(b"X-Filler: " + b"y" * 60_000 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0.005)


async def _drop_by_drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Would need hours for its header."""
    await reader.readuntil(b"\r\n\r\n")
    for byte in b"HTTP/1.1 101 Switching Protocols\r\n" + b"X-Filler: " + b"y" * 60_000:
        writer.write(bytes((byte,)))
        await asyncio.sleep(0.02)


def _switching(*headers: str) -> bytes:
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


BASIC = 'WWW-Authenticate: Basic realm="ocpp"'

ANSWERS: Mapping[str, Manner] = {
    "RST": _reset,
    "FIN": _fin,
    "silence": _silence,
    "never reads": _deaf,
    "silence after the request": _after_request,
    "garbage": says(bytes(range(256)) * 40),
    "garbage and silence": says(b"\x16\x03\x01\x00 what?", then=_silence),
    "garbage with an end": says(b"what?\r\n\r\n" * 3),
    "an endless header": _endless,
    "drop by drop": _drop_by_drop,
    "200": says(http("200 OK", body=b"<html>hello</html>")),
    "200 without an end": says(b"HTTP/1.1 200 OK\r\n\r\n<html>", then=_silence),
    "401": says(http("401 Unauthorized", BASIC)),
    "403": says(http("403 Forbidden", body=b"go away")),
    "404": says(http("404 Not Found")),
    "429": says(http("429 Too Many Requests", "Retry-After: 86400")),
    "500": says(http("500 Internal Server Error", body=b"x" * 100_000)),
    "502": says(http("502 Bad Gateway")),
    "503": says(http("503 Service Unavailable", "Retry-After: 86400")),
    "503 and silence": says(http("503 Service Unavailable"), then=_silence),
    "1000": says(http("1000 Nonsense")),
    "101 with a wrong key": says(_switching("Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
    "101 without a key": says(_switching("Sec-WebSocket-Protocol: ocpp2.1"), then=_silence),
}
