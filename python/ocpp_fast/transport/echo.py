"""The WebSocket of this package alone: an echo endpoint for suites of RFC 6455 and RFC 7692.

    python -m ocpp_fast.transport.echo serve --port 9001
    python -m ocpp_fast.transport.echo connect ws://127.0.0.1:9001/anything
    python -m ocpp_fast.transport.echo suite ws://127.0.0.1:9001 --agent ocpp_fast

`serve` sends back every text and binary message, at any path, with the client's first subprotocol
or none, until it is interrupted; `connect` does the same as a client, until its link ends. Text
that is no UTF-8 ends a link with 1007: an OCPP link leaves that to the codec, which answers it.

For the Autobahn test suite, whose container is `crossbario/autobahn-testsuite`: its fuzzing client
takes the address of `serve`; its fuzzing server is what `suite` is for, which asks it how many
cases there are, opens a link for each of them and lets it write its report.

All of them take `--no-deflate`, `--max-message-bytes N` and `--loop asyncio|uvloop`; `serve` takes
`--host`, `--cert FILE` and `--key FILE` as well, the others `--ca FILE` (PEM files).
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from ocpp_fast.clock import SystemClock
from ocpp_fast.errors import ConnectFailed
from ocpp_fast.transport.link import PicowsTransport, WebSocketSettings
from ocpp_fast.transport.picows import Accepted, Server, connect, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from ocpp_fast.clock import Clock
    from ocpp_fast.transport.base import CloseReason, Transport

__all__ = ["Echo", "echo_client", "echo_server", "main"]

_INVALID_TEXT: Final = 1007
_MAX_MESSAGE_BYTES: Final = 33_554_432
_DEFAULTS: Final = WebSocketSettings(max_message_bytes=_MAX_MESSAGE_BYTES)


class Echo:
    """Sends back what it gets. A `TransportListener`."""

    def __init__(self, transport: Transport) -> None:
        if not isinstance(transport, PicowsTransport):
            raise TypeError("binary messages need a WebSocket")
        self.transport = transport
        self.last: bytes | None = None
        """The message that came last."""
        self.closed: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()
        """How the link ended."""

    def on_frame(self, frame: bytes) -> None:
        """See `TransportListener.on_frame`."""
        try:
            frame.decode()
        except UnicodeDecodeError:
            self.transport.close(_INVALID_TEXT, "no UTF-8")
            return
        self.last = frame
        self.transport.send(frame)

    def on_binary_message(self, content: bytes) -> None:
        """See `PicowsTransport`."""
        self.last = content
        self.transport.send_binary(content)

    def on_binary_frame(self, size_bytes: int) -> None:
        """Not called, since there is `on_binary_message`."""

    def on_closed(self, reason: CloseReason) -> None:
        """See `TransportListener.on_closed`."""
        self.closed.set_result(reason)


async def echo_server(
    host: str,
    port: int,
    *,
    clock: Clock,
    settings: WebSocketSettings = _DEFAULTS,
    ssl_context: ssl.SSLContext | None = None,
) -> Server:
    """Serves the echo. Raises `OSError` if the address cannot be had."""
    accepted = Accepted(Echo)
    return await serve(
        lambda _: accepted,
        host,
        port,
        clock=clock,
        subprotocols=None,
        settings=settings,
        ssl_context=ssl_context,
    )


async def echo_client(
    url: str,
    *,
    clock: Clock,
    settings: WebSocketSettings = _DEFAULTS,
    ssl_context: ssl.SSLContext | None = None,
    subprotocols: Sequence[str] = (),
) -> Echo:
    """Opens an echoing link and returns when it has ended. Raises `ConnectFailed`."""
    echo = await connect(
        url,
        Echo,
        clock=clock,
        subprotocols=subprotocols,
        settings=settings,
        ssl_context=ssl_context,
    )
    await echo.closed
    return echo


async def _suite(url: str, agent: str, client: Callable[[str], Coroutine[Any, Any, Echo]]) -> None:
    """Runs all cases of an Autobahn fuzzing server."""
    count = int((await client(f"{url}/getCaseCount")).last or b"0")
    for case in range(1, count + 1):
        sys.stdout.write(f"\rcase {case} of {count}")
        sys.stdout.flush()
        try:
            await client(f"{url}/runCase?case={case}&agent={quote(agent)}")
        except ConnectFailed as error:  # some cases never open
            sys.stdout.write(f": {error}\n")
    await client(f"{url}/updateReports?agent={quote(agent)}")
    sys.stdout.write("\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ocpp_fast.transport.echo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--no-deflate", action="store_true", help="without compression")
    common.add_argument("--max-message-bytes", type=int, default=_MAX_MESSAGE_BYTES)
    common.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop")
    verbs = parser.add_subparsers(dest="verb", required=True)
    server = verbs.add_parser("serve", parents=[common], help="be a server")
    server.add_argument("--host", default="127.0.0.1")
    server.add_argument("--port", type=int, default=9001, help="0 for any")
    server.add_argument("--cert", help="certificate chain, for TLS")
    server.add_argument("--key", help="its key, if it is in a file of its own")
    for verb, text in (("connect", "be a client"), ("suite", "run a fuzzing server's cases")):
        client = verbs.add_parser(verb, parents=[common], help=text)
        client.add_argument("url")
        client.add_argument("--ca", help="the certificates that are trusted, for wss")
        client.add_argument("--agent", default="ocpp_fast", help="the name in the suite's report")
    return parser


async def _run(options: argparse.Namespace) -> None:
    clock = SystemClock()
    settings = WebSocketSettings(
        max_message_bytes=options.max_message_bytes,
        max_unsent_bytes=4 * options.max_message_bytes,
        deflate=None if options.no_deflate else _DEFAULTS.deflate,
    )
    if options.verb == "serve":
        context = None
        if options.cert:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(options.cert, options.key)
        server = await echo_server(
            options.host, options.port, clock=clock, settings=settings, ssl_context=context
        )
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await server.close()
    context = None
    if options.url[:4].lower() == "wss:":
        context = ssl.create_default_context(cafile=options.ca)

    async def client(url: str) -> Echo:
        return await echo_client(url, clock=clock, settings=settings, ssl_context=context)

    if options.verb == "suite":
        await _suite(options.url.rstrip("/"), options.agent, client)
    else:
        sys.stdout.write(f"{await (await client(options.url)).closed}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.loop == "uvloop":
            import uvloop

            uvloop.run(_run(options))
        else:
            asyncio.run(_run(options))
    except KeyboardInterrupt:
        return 0
    except (ConnectFailed, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
