"""WebSocket over TCP or TLS, by the picows library.

`connect` is the charging station's side, `serve` the CSMS's. A frame is handed to the listener
inside the callback of the socket: nothing is queued, and there is no task for each link.

Pings of the peer are answered by picows itself. Compression (RFC 7692) is not offered yet.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from picows import (  # its `**kwargs` go to the event loop, untyped
    WSHandshakeError,
    WSInvalidURL,
    WSListener,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_connect,  # pyright: ignore[reportUnknownVariableType]
    ws_create_server,  # pyright: ignore[reportUnknownVariableType]
)

from ocpp_fast.errors import ConfigurationError, ConnectFailed, ConnectFailure
from ocpp_fast.transport.base import MakeListener, TransportListener
from ocpp_fast.transport.handshake import (
    Credentials,
    Handshake,
    choose_subprotocol,
    identity_in,
    offered_subprotocols,
    parse_authorization,
)
from ocpp_fast.transport.link import Nobody, PicowsTransport, WebSocketSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from ocpp_fast.clock import Clock
    from ocpp_fast.transport.base import Transport

__all__ = [
    "SUBPROTOCOLS",
    "Accept",
    "Accepted",
    "PicowsTransport",
    "Refused",
    "Server",
    "WebSocketSettings",
    "connect",
    "serve",
]

SUBPROTOCOLS: Final = ("ocpp2.1", "ocpp2.0.1")
"""The versions of this package, the newest first."""

_L = TypeVar("_L", bound=TransportListener)
_DEFAULTS: Final = WebSocketSettings()
_GOING_AWAY: Final = 1001
_PROTOCOL_ERROR: Final = 1002
_UNAUTHORIZED: Final = 401

_log = logging.getLogger(__name__)


# --- the charging station's side ------------------------------------------------------------


async def connect(
    url: str,
    make_listener: MakeListener[_L],
    *,
    clock: Clock,
    subprotocols: Sequence[str] = SUBPROTOCOLS,
    credentials: Credentials | None = None,
    headers: Mapping[str, str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    settings: WebSocketSettings = _DEFAULTS,
) -> _L:
    """Opens a WebSocket to `url` and returns what `make_listener` made of it.

    `url` holds the station's identity, see `handshake.connection_url`. `subprotocols` are
    offered in this order (Part 4, section 3.1.2). A `wss` URL without `ssl_context` is checked
    against the certificates of the operating system.

    Raises `ConnectFailed`, and `ConfigurationError` for a URL that is none; what
    `make_listener` raises is raised here too. Takes no longer than `settings.open_timeout_s`.
    """
    abandoned = False

    def make_link(_request: WSUpgradeRequest, response: WSUpgradeResponse) -> PicowsTransport:
        if abandoned:
            raise ConnectFailed(ConnectFailure.TIMEOUT, "the answer came too late")
        chosen = response.headers.get("Sec-WebSocket-Protocol")
        if chosen is None or chosen not in subprotocols:
            raise ConnectFailed(
                ConnectFailure.SUBPROTOCOL,
                f"offered {', '.join(subprotocols)}; the server chose {chosen or 'none'}",
            )
        return PicowsTransport(make_listener, chosen, clock, settings)

    opening = ws_connect(
        make_link,
        url,
        ssl_context=ssl_context,
        max_redirects=0,
        extra_headers=_request_headers(subprotocols, credentials, headers),
        **settings.for_picows(),
    )
    try:
        link = await _opened(clock.wait_for(opening, settings.open_timeout_s))
    except BaseException:
        abandoned = True  # picows may still finish the handshake after it was cancelled
        raise
    return link.listener  # pyright: ignore[reportReturnType]  # make_listener made it


def _request_headers(
    subprotocols: Sequence[str],
    credentials: Credentials | None,
    headers: Mapping[str, str] | None,
) -> list[tuple[str, str]]:
    lines = [("Sec-WebSocket-Protocol", ", ".join(subprotocols))]
    if credentials is not None:
        lines.append(("Authorization", credentials.header()))
    lines.extend((headers or {}).items())
    return lines


async def _opened(opening: Coroutine[Any, Any, tuple[WSTransport, WSListener]]) -> PicowsTransport:
    """The link, or the error that says how far the attempt came."""
    try:
        _, link = await opening
    except TimeoutError as error:
        raise ConnectFailed(ConnectFailure.TIMEOUT, "no link in time") from error
    except ssl.SSLError as error:  # first: a bad certificate is a ValueError too
        raise ConnectFailed(ConnectFailure.TLS, str(error)) from error
    except (WSInvalidURL, ValueError) as error:  # such as a port number that is none
        raise ConfigurationError(str(error)) from error
    except WSHandshakeError as error:
        status = None if error.response is None else int(error.response.status)
        failure = ConnectFailure.HANDSHAKE if status in (None, 101) else ConnectFailure.HTTP
        raise ConnectFailed(failure, str(error), status) from error
    except socket.gaierror as error:
        raise ConnectFailed(ConnectFailure.ADDRESS, str(error)) from error
    except OSError as error:
        raise ConnectFailed(ConnectFailure.NETWORK, str(error)) from error
    if not isinstance(link, PicowsTransport):
        raise ConnectFailed(ConnectFailure.NETWORK, "closed during the handshake")
    if link.failure is not None:
        raise link.failure
    return link


# --- the CSMS's side ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """A client may connect; `make_listener` is called once its link is open."""

    make_listener: MakeListener[TransportListener]


@dataclass(frozen=True, slots=True)
class Refused:
    """A client may not connect and gets this HTTP error."""

    status: int = 404
    """404 for a station that is not known (Part 4, section 3.3), 401 for a wrong password."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


Accept: TypeAlias = "Callable[[Handshake], Accepted | Refused]"
"""Decides about a client that wants to connect. Called on the event loop, so must be quick."""


class Server:
    """A WebSocket server and its open links. Made by `serve`."""

    def __init__(
        self,
        accept: Accept,
        subprotocols: Sequence[str],
        clock: Clock,
        settings: WebSocketSettings,
    ) -> None:
        self._accept = accept
        self._subprotocols = tuple(subprotocols)
        self._clock = clock
        self._settings = settings
        self._links: set[PicowsTransport] = set()
        self._listening: asyncio.Server | None = None
        self._stopping = False
        self._all_closed = asyncio.Event()

    async def start(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> None:
        """Starts to listen. Raises `OSError` if the address cannot be had."""
        self._listening = await ws_create_server(
            self._upgrade, host, port, ssl=ssl_context, **self._settings.for_picows()
        )

    @property
    def port(self) -> int:
        """The TCP port it listens on; of use when 0 was asked for."""
        if self._listening is None or not self._listening.sockets:
            raise ConfigurationError("the server does not listen")
        return int(self._listening.sockets[0].getsockname()[1])

    @property
    def open_links(self) -> int:
        """How many clients are connected."""
        return len(self._links)

    async def close(self) -> None:
        """Stops listening and closes all links with 1001; returns when the last is closed.

        Takes little more than `close_timeout_s`, whatever the clients do.
        """
        self._stopping = True
        if self._listening is not None:
            self._listening.close()
        for link in tuple(self._links):
            link.close(_GOING_AWAY, "the server stops")
        if self._links:
            await self._all_closed.wait()

    def _upgrade(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        """Answers an upgrade request (Part 4, section 3.3)."""
        # picows wants the one word; proxies send "keep-alive, Upgrade" (RFC 6455, 4.2.1).
        words = request.headers.get("Connection", "").lower().split(",")
        if "upgrade" in (word.strip() for word in words):
            request.headers["Connection"] = "Upgrade"
        handshake = _handshake(request)
        if handshake is None:
            return _refusal(Refused())
        verdict = Refused(503) if self._stopping else self._verdict(handshake)
        if isinstance(verdict, Refused):
            return _refusal(verdict)
        chosen = choose_subprotocol(handshake.subprotocols, self._subprotocols)
        if chosen is None:
            return self._welcome(_no_common_version, None)
        return self._welcome(verdict.make_listener, chosen)

    def _verdict(self, handshake: Handshake) -> Accepted | Refused:
        try:
            return self._accept(handshake)
        except Exception:
            # picows would show the text of the exception to the client.
            _log.exception("no decision about the client %r", handshake.identity)
            return Refused(500)

    def _welcome(
        self, make_listener: MakeListener[TransportListener], chosen: str | None
    ) -> WSUpgradeResponseWithListener:
        def opened(transport: Transport) -> TransportListener:
            self._links.add(link)
            return make_listener(transport)

        link = PicowsTransport(opened, chosen or "", self._clock, self._settings, self._on_ended)
        headers = {} if chosen is None else {"Sec-WebSocket-Protocol": chosen}
        response = WSUpgradeResponse.create_101_response(extra_headers=headers)
        return WSUpgradeResponseWithListener(response, link)

    def _on_ended(self, link: PicowsTransport) -> None:
        self._links.discard(link)
        if self._stopping and not self._links:
            self._all_closed.set()


async def serve(
    accept: Accept,
    host: str,
    port: int,
    *,
    clock: Clock,
    subprotocols: Sequence[str] = SUBPROTOCOLS,
    ssl_context: ssl.SSLContext | None = None,
    settings: WebSocketSettings = _DEFAULTS,
) -> Server:
    """Serves WebSockets at `ws://host:port/any/path/<identity>`, wss with `ssl_context`.

    `accept` is asked about every client with a possible identity. Of the client's subprotocols
    the first that is in `subprotocols` is taken; a client that offers none of them gets a
    handshake without subprotocol and is closed at once (Part 4, section 3.3).

    Raises `OSError` if the address cannot be had.
    """
    server = Server(accept, subprotocols, clock, settings)
    await server.start(host, port, ssl_context)
    return server


def _handshake(request: WSUpgradeRequest) -> Handshake | None:
    """What the client asks for; None without a possible identity in the URL."""
    target = request.path.decode("latin-1")
    identity = identity_in(target)
    if identity is None:
        return None
    return Handshake(
        identity=identity,
        path=target.partition("?")[0],
        subprotocols=offered_subprotocols(request.headers.get("Sec-WebSocket-Protocol")),
        credentials=parse_authorization(request.headers.get("Authorization")),
        headers=request.headers,
    )


def _refusal(refused: Refused) -> WSUpgradeResponseWithListener:
    headers = dict(refused.headers)
    if refused.status == _UNAUTHORIZED and "WWW-Authenticate" not in headers:
        headers["WWW-Authenticate"] = 'Basic realm="OCPP"'
    response = WSUpgradeResponse.create_error_response(refused.status, extra_headers=headers)
    return WSUpgradeResponseWithListener(response, None)


def _no_common_version(transport: Transport) -> TransportListener:
    transport.close(_PROTOCOL_ERROR, "no OCPP version in common")
    return Nobody()
