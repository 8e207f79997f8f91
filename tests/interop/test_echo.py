"""`python -m ocpp_fast.transport.echo`: both sides, at each other and at peers by hand."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

from interop.raw_peer import LIMIT_S
from interop.websocket_kit import CLOCK
from interop.wire_kit import (
    BINARY,
    CLOSE,
    EXTENSION,
    FIN,
    TEXT,
    close_payload,
    wire_client,
    wire_server,
)
from ocpp_fast.transport.echo import echo_client, echo_server, main

SIDES = ["server", "client"]


@pytest.mark.parametrize("side", SIDES)
async def test_everything_comes_back(side: str) -> None:
    async def exchange() -> None:
        for kind, payload in (
            (TEXT, b""),
            (TEXT, "für alle".encode()),
            (BINARY, b""),
            (BINARY, bytes(range(256)) * 300),
        ):
            wire.send(kind, payload)
            assert await wire.receive() == (kind, payload, FIN)
        wire.send(TEXT, b"\xff")
        assert await wire.close_code() == 1007
        wire.writer.close()

    if side == "server":
        server = await echo_server("127.0.0.1", 0, clock=CLOCK)
        wire = await wire_client(server.port, "/", subprotocol=None)
        assert wire.response_header("Sec-WebSocket-Protocol") is None
        await exchange()
        await server.close()
        return
    async with wire_server([]) as hand:
        url = f"ws://127.0.0.1:{hand.port}/"
        echoing = asyncio.ensure_future(echo_client(url, clock=CLOCK))
        wire = await asyncio.wait_for(hand.wires.get(), LIMIT_S)
        await exchange()
        echo = await asyncio.wait_for(echoing, LIMIT_S)
        assert (await echo.closed).code == 1007


@pytest.mark.parametrize("offered", ["anything", "ocpp2.1", "a, b"])
async def test_the_server_takes_any_subprotocol(offered: str) -> None:
    server = await echo_server("127.0.0.1", 0, clock=CLOCK)
    wire = await wire_client(server.port, "/some/path?and=query", subprotocol=offered)
    assert wire.response_header("Sec-WebSocket-Protocol") == offered.partition(",")[0]
    wire.writer.close()
    await server.close()


async def test_the_suite_of_a_fuzzing_server() -> None:
    """What Autobahn's server expects of a client, with two cases."""
    async with wire_server([]) as hand:
        url = f"ws://127.0.0.1:{hand.port}"
        running = asyncio.ensure_future(
            asyncio.to_thread(main, ["suite", url, "--agent", "a b", "--loop", "asyncio"])
        )
        paths: list[bytes] = []
        for number in range(4):
            wire = await asyncio.wait_for(hand.wires.get(), LIMIT_S)
            paths.append(wire.head.split(b" ")[1])
            if number == 0:
                wire.send(TEXT, b"2")
                assert (await wire.receive()).payload == b"2"
            wire.writer.close()
        assert await asyncio.wait_for(running, LIMIT_S) == 0
        assert paths == [
            b"/getCaseCount",
            b"/runCase?case=1&agent=a%20b",
            b"/runCase?case=2&agent=a%20b",
            b"/updateReports?agent=a%20b",
        ]


PROGRAM = (sys.executable, "-m", "ocpp_fast.transport.echo")
on_both_loops = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@on_both_loops
async def test_the_server_as_a_program(loop: str) -> None:
    server = await asyncio.create_subprocess_exec(
        *PROGRAM, "serve", "--port", "0", "--loop", loop, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    port = int(await asyncio.wait_for(server.stdout.readline(), 20))
    wire = await wire_client(port, "/", subprotocol=None)
    wire.send(TEXT, b"hello")
    assert await wire.receive() == (TEXT, b"hello", FIN)
    server.send_signal(signal.SIGINT)
    assert await wire.close_code() == 1001
    wire.send(CLOSE, close_payload(1001))
    assert await asyncio.wait_for(server.wait(), 20) == 0
    wire.writer.close()


@on_both_loops
async def test_the_client_as_a_program(loop: str) -> None:
    async with wire_server([]) as hand:
        client = await asyncio.create_subprocess_exec(
            *PROGRAM,
            *("connect", f"ws://127.0.0.1:{hand.port}/", "--loop", loop, "--no-deflate"),
            stdout=subprocess.PIPE,
        )
        wire = await asyncio.wait_for(hand.wires.get(), 20)
        assert wire.response_header(EXTENSION) is None
        wire.send(TEXT, b"hello")
        assert await wire.receive() == (TEXT, b"hello", FIN)
        wire.send(CLOSE, close_payload(3000, b"enough"))
        assert await wire.close_code() == 3000
        wire.writer.close()
        assert client.stdout is not None
        said = await asyncio.wait_for(client.stdout.read(), 20)
        assert said == b"closed by peer with 3000 enough\n"
        assert await client.wait() == 0


def test_nobody_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", "ws://127.0.0.1:1/", "--loop", "asyncio"]) == 1
    assert "cannot connect" in capsys.readouterr().err
