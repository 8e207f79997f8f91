"""A WebSocket peer without OCPP manners, on either side: sends whatever a test tells it to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_connect,
    ws_create_server,
)

LIMIT_S = 5.0


class RawPeer(WSListener):
    """Collects text frames and remembers how the link ended."""

    ws: WSTransport

    def __init__(self, *, answers_close: bool = True) -> None:
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.pongs: asyncio.Queue[bytes] = asyncio.Queue()
        self.connected = asyncio.Event()
        self.disconnected = asyncio.Event()
        self.close_code: int | None = None
        self.close_text = b""
        self._answers_close = answers_close

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.ws = transport
        self.connected.set()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        if frame.msg_type is WSMsgType.TEXT:
            self.frames.put_nowait(payload)
        elif frame.msg_type is WSMsgType.PONG:
            self.pongs.put_nowait(payload)
        elif frame.msg_type is WSMsgType.CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big")
            self.close_text = payload[2:]
            if self._answers_close:
                transport.send_close(frame.get_close_code())
                transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.disconnected.set()

    def send(self, *elements: Any) -> None:
        self.send_raw(json.dumps(elements).encode())

    def send_raw(
        self,
        payload: bytes,
        kind: WSMsgType = WSMsgType.TEXT,
        *,
        fin: bool = True,
        rsv1: bool = False,
    ) -> None:
        self.ws.send(kind, payload, fin, rsv1)

    async def receive(self) -> Any:
        return json.loads(await asyncio.wait_for(self.frames.get(), LIMIT_S))

    async def end(self) -> int | None:
        """The code of the close frame that came, once the link is down."""
        await asyncio.wait_for(self.disconnected.wait(), LIMIT_S)
        return self.close_code


async def raw_client(
    port: int,
    path: str = "/ocpp/CS001",
    subprotocols: Sequence[str] = ("ocpp2.1",),
    headers: Sequence[tuple[str, str]] = (),
    **options: Any,
) -> RawPeer:
    lines = [("Sec-WebSocket-Protocol", ", ".join(subprotocols))] if subprotocols else []
    _, peer = await ws_connect(
        lambda: RawPeer(**options), f"ws://127.0.0.1:{port}{path}", extra_headers=[*lines, *headers]
    )
    assert isinstance(peer, RawPeer)
    return peer


class RawServer:
    """Accepts one client; `peer` is its end once it has connected."""

    def __init__(self, subprotocol: str | None, **options: Any) -> None:
        self.peer = RawPeer(**options)
        self.port = 0
        self.request: WSUpgradeRequest | None = None
        self._subprotocol = subprotocol

    def upgrade(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        self.request = request
        chosen = [("Sec-WebSocket-Protocol", self._subprotocol)] if self._subprotocol else []
        response = WSUpgradeResponse.create_101_response(extra_headers=chosen)
        return WSUpgradeResponseWithListener(response, self.peer)


@asynccontextmanager
async def raw_server(
    subprotocol: str | None = "ocpp2.1", **options: Any
) -> AsyncGenerator[RawServer]:
    raw = RawServer(subprotocol, **options)
    server = await ws_create_server(raw.upgrade, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        server.close()
        if raw.peer.connected.is_set():
            raw.peer.ws.disconnect(graceful=False)
            await asyncio.wait_for(raw.peer.disconnected.wait(), LIMIT_S)
