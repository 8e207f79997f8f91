"""Both sides of our picows transport, with listeners that keep what they are told."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from interop.raw_peer import LIMIT_S
from interop.steady_time import SteadyClock
from ocpp_fast.transport import picows
from ocpp_fast.transport.base import CloseReason, Transport
from ocpp_fast.transport.handshake import Handshake
from ocpp_fast.transport.picows import Accepted, Refused, Server, WebSocketSettings

CLOCK = SteadyClock()


class Listener:
    """Keeps what a transport tells it."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.frames: list[bytes] = []
        self.binary_sizes: list[int] = []
        self.arrived = asyncio.Event()
        self.closed: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()

    def on_frame(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.arrived.set()

    def on_binary_frame(self, size_bytes: int) -> None:
        self.binary_sizes.append(size_bytes)
        self.arrived.set()

    def on_closed(self, reason: CloseReason) -> None:
        self.closed.set_result(reason)

    async def something(self) -> None:
        await asyncio.wait_for(self.arrived.wait(), LIMIT_S)
        self.arrived.clear()

    async def end(self) -> CloseReason:
        return await asyncio.wait_for(asyncio.shield(self.closed), LIMIT_S)


class Csms:
    """A server that listens on every link and keeps what its clients asked for."""

    def __init__(self) -> None:
        self.handshakes: list[Handshake] = []
        self.listeners: list[Listener] = []
        self.verdict: Callable[[Handshake], Refused | None] = lambda _: None
        self.server: Server

    def accept(self, handshake: Handshake) -> Accepted | Refused:
        self.handshakes.append(handshake)
        return self.verdict(handshake) or Accepted(self.listen)

    def listen(self, transport: Transport) -> Listener:
        self.listeners.append(Listener(transport))
        return self.listeners[-1]

    async def connect(self, path: str = "/ocpp/CS001", **options: Any) -> Listener:
        url = f"ws://127.0.0.1:{self.server.port}{path}"
        return await picows.connect(url, Listener, clock=CLOCK, **options)


@asynccontextmanager
async def csms(**options: Any) -> AsyncGenerator[Csms]:
    one = Csms()
    one.server = await picows.serve(one.accept, "127.0.0.1", 0, clock=CLOCK, **options)
    try:
        yield one
    finally:
        await one.server.close()


SMALL = WebSocketSettings(max_message_bytes=1_000, close_timeout_s=0.3)


def small(**bounds: Any) -> WebSocketSettings:
    return replace(SMALL, **bounds)
