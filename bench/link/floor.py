"""The floor: picows and a future for each call, no OCPP."""

import asyncio
from collections.abc import Iterable

from picows import (  # its `**kwargs` go to the event loop, untyped
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,  # pyright: ignore[reportUnknownVariableType]
    ws_create_server,  # pyright: ignore[reportUnknownVariableType]
)

from bench.link.workload import ANSWER, Run, frames


class _Answering(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            transport.send(WSMsgType.TEXT, ANSWER)
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.disconnect()


class _Asking(WSListener):
    future: asyncio.Future[None]

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.future.set_result(None)


async def serve() -> int:
    """Starts the server; its port."""
    server = await ws_create_server(lambda _: _Answering(), "127.0.0.1", 0)
    return int(server.sockets[0].getsockname()[1])


async def connect(port: int, action: str) -> tuple[list[bytes], Run[bytes]]:
    """The items to send, and the function that sends some of them, one after the other."""
    loop = asyncio.get_running_loop()
    transport, listener = await ws_connect(_Asking, f"ws://127.0.0.1:{port}/bench")
    assert isinstance(listener, _Asking)

    async def call(frame: bytes) -> None:
        listener.future = loop.create_future()
        transport.send(WSMsgType.TEXT, frame)
        await listener.future

    async def run(batch: Iterable[bytes]) -> None:
        for frame in batch:
            await call(frame)

    return frames(action), run
