"""WebSocket over TCP or TLS, by the picows library.

`connect` is the charging station's side, `serve` the CSMS's. A frame is handed to the listener
inside the callback of the socket: nothing is queued, and there is no task for each link.

Redirects are never followed and proxies never taken from the environment: the password would
travel to whoever is named there.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from socket import SHUT_RDWR
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
from ocpp_fast.transport.deflate import (
    Agreement,
    BadExtensions,
    accept_offer,
    check_response,
    offer,
    parse_extensions,
)
from ocpp_fast.transport.handshake import (
    Credentials,
    Handshake,
    choose_subprotocol,
    identity_in,
    offered_subprotocols,
    parse_authorization,
)
from ocpp_fast.transport.link import Nobody, PicowsTransport, WebSocketSettings
from ocpp_fast.transport.sockets import local_end, open_socket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from picows.url import WSParsedURL

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
    local_interface: str | None = None,
) -> _L:
    """Opens a WebSocket to `url` and returns what `make_listener` made of it.

    `url` holds the station's identity, see `handshake.connection_url`. `subprotocols` are
    offered in this order (Part 4, section 3.1.2); with none, none is offered or taken. A `wss` URL
    without `ssl_context` is checked against the certificates of the operating system.
    `local_interface` is the network device, or the local address, to dial from.

    Raises `ConnectFailed`, and `ConfigurationError` for a URL that is none; what
    `make_listener` raises is raised here too. Takes no longer than `settings.open_timeout_s`, and
    leaves nothing open when it raises.
    """
    opening = _Opening(make_listener, subprotocols, clock, settings, local_interface)
    try:
        link = await opening.link(url, ssl_context, _request_headers(opening, credentials, headers))
    except BaseException:
        opening.abandon()
        raise
    if link.failure is not None:
        raise link.failure
    return link.listener  # pyright: ignore[reportReturnType]  # make_listener made it


class _Opening:
    """One attempt to connect."""

    def __init__(
        self,
        make_listener: MakeListener[TransportListener],
        subprotocols: Sequence[str],
        clock: Clock,
        settings: WebSocketSettings,
        local_interface: str | None,
    ) -> None:
        self.subprotocols = subprotocols
        self.settings = settings
        self._abandoned = False
        """Nobody waits for the link any more."""
        self._connection: socket.socket | None = None
        self._make_listener = make_listener
        self._clock = clock
        self._local_interface = local_interface
        self._refusal: ConnectFailed | None = None
        """Why the answer of the server is no good, although it is a WebSocket's."""
        self._refused_link_closed = asyncio.Event()

    async def link(
        self, url: str, ssl_context: ssl.SSLContext | None, headers: list[tuple[str, str]]
    ) -> PicowsTransport:
        """The open link; raises like `connect`."""
        tls = url[:4].lower() == "wss:"
        coming = ws_connect(
            self._make_link,
            url,
            ssl_context=ssl_context,
            max_redirects=0,
            proxy=None,
            socket_factory=self._socket,
            extra_headers=headers,
            **self.settings.for_picows(tls=tls),
        )
        return await _opened(
            self._clock.wait_for(self._without_refusal(coming), self.settings.open_timeout_s)
        )

    async def _socket(self, url: WSParsedURL) -> socket.socket:
        local = None if self._local_interface is None else local_end(self._local_interface)
        self._connection = await open_socket(
            url.host,
            url.port,
            clock=self._clock,
            timeout_s=self.settings.open_timeout_s,
            local=local,
        )
        return self._connection

    def abandon(self) -> None:
        """Ends what there is of a link. picows would go on with a handshake that was cancelled, and
        keep the connection until its own time is over."""
        self._abandoned = True
        if self._connection is not None:
            with suppress(OSError):  # It is closed already.
                self._connection.shutdown(SHUT_RDWR)

    async def _without_refusal(
        self, coming: Coroutine[Any, Any, tuple[WSTransport, WSListener]]
    ) -> WSListener:
        _, link = await coming
        if self._refusal is not None:
            await self._refused_link_closed.wait()
            raise self._refusal
        return link

    def _make_link(self, _request: WSUpgradeRequest, response: WSUpgradeResponse) -> WSListener:
        if self._abandoned:
            raise ConnectFailed(ConnectFailure.TIMEOUT, "the answer came too late")
        chosen = response.headers.get("Sec-WebSocket-Protocol")
        if chosen is None and not self.subprotocols:
            chosen = ""
        elif chosen is None or chosen not in self.subprotocols:
            text = f"offered {', '.join(self.subprotocols) or 'none'}; "
            text += f"the server chose {chosen or 'none'}"
            return self._refuse(ConnectFailure.SUBPROTOCOL, text)
        try:
            extensions = parse_extensions(response.headers.getall("Sec-WebSocket-Extensions", ()))
            agreement = check_response(extensions, self.settings.deflate)
        except BadExtensions as error:
            return self._refuse(ConnectFailure.HANDSHAKE, str(error))
        return PicowsTransport(
            self._make_listener, chosen, self._clock, self.settings, agreement=agreement
        )

    def _refuse(self, failure: ConnectFailure, text: str) -> WSListener:
        """A link that says good-bye as soon as it is open."""

        def turn_down(transport: Transport) -> TransportListener:
            transport.close(_PROTOCOL_ERROR, text)
            return Nobody()

        def ended(_link: PicowsTransport) -> None:
            self._refused_link_closed.set()

        self._refusal = ConnectFailed(failure, text)
        return PicowsTransport(turn_down, "", self._clock, self.settings, ended=ended)


def _request_headers(
    opening: _Opening, credentials: Credentials | None, headers: Mapping[str, str] | None
) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    if opening.subprotocols:
        lines.append(("Sec-WebSocket-Protocol", ", ".join(opening.subprotocols)))
    if opening.settings.deflate is not None:
        lines.append(("Sec-WebSocket-Extensions", offer(opening.settings.deflate)))
    if credentials is not None:
        lines.append(("Authorization", credentials.header()))
    lines.extend((headers or {}).items())
    return lines


async def _opened(opening: Coroutine[Any, Any, WSListener]) -> PicowsTransport:
    """The link, or the error that says how far the attempt came."""
    try:
        link = await opening
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
    except OSError as error:
        raise ConnectFailed(ConnectFailure.NETWORK, str(error)) from error
    if not isinstance(link, PicowsTransport):
        raise ConnectFailed(ConnectFailure.NETWORK, "closed during the handshake")
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
        subprotocols: Sequence[str] | None,
        clock: Clock,
        settings: WebSocketSettings,
        peer_certificate: Callable[[], bytes | None] | None = None,
    ) -> None:
        self._accept = accept
        self._subprotocols = None if subprotocols is None else tuple(subprotocols)
        self._peer_certificate = peer_certificate
        self._clock = clock
        self._settings = settings
        self._links: set[PicowsTransport] = set()
        self._listening: asyncio.Server | None = None
        self._stopping = False
        self._all_closed = asyncio.Event()

    async def start(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> None:
        """Starts to listen. Raises `OSError` if the address cannot be had."""
        arguments = self._settings.for_picows(tls=ssl_context is not None)
        self._listening = await ws_create_server(
            self._upgrade, host, port, ssl=ssl_context, **arguments
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
        handshake = self._handshake(request)
        if handshake is None:
            return _refusal(Refused())
        try:
            offers = parse_extensions(request.headers.getall("Sec-WebSocket-Extensions", ()))
        except BadExtensions:
            return _refusal(Refused(400))
        verdict = Refused(503) if self._stopping else self._verdict(handshake)
        if isinstance(verdict, Refused):
            return _refusal(verdict)
        deflate = self._settings.deflate
        agreed = None if deflate is None else accept_offer(offers, deflate)
        chosen = self._choose(handshake.subprotocols)
        if chosen is None:
            return self._welcome(_no_common_version, "", None)
        return self._welcome(verdict.make_listener, chosen, agreed)

    def _handshake(self, request: WSUpgradeRequest) -> Handshake | None:
        """What the client asks for; None without a possible identity in the URL."""
        target = request.path.decode("latin-1")
        identity = identity_in(target)
        if identity is None:
            if self._subprotocols is not None:
                return None
            identity = ""
        # picows calls this while the bytes of this very client are being read.
        certificate = None if self._peer_certificate is None else self._peer_certificate()
        return Handshake(
            identity=identity,
            path=target.partition("?")[0],
            subprotocols=offered_subprotocols(request.headers.get("Sec-WebSocket-Protocol")),
            credentials=parse_authorization(request.headers.get("Authorization")),
            headers=request.headers,
            peer_certificate=certificate,
        )

    def _choose(self, offered: Sequence[str]) -> str | None:
        """The version, empty for none; None if there has to be one and is not."""
        if self._subprotocols is None:
            return offered[0] if offered else ""
        return choose_subprotocol(offered, self._subprotocols)

    def _verdict(self, handshake: Handshake) -> Accepted | Refused:
        try:
            return self._accept(handshake)
        except Exception:
            # picows would show the text of the exception to the client.
            _log.exception("no decision about the client %r", handshake.identity)
            return Refused(500)

    def _welcome(
        self,
        make_listener: MakeListener[TransportListener],
        chosen: str,
        agreed: tuple[Agreement, str] | None,
    ) -> WSUpgradeResponseWithListener:
        def opened(transport: Transport) -> TransportListener:
            self._links.add(link)
            return make_listener(transport)

        headers: dict[str, str] = {}
        if chosen:
            headers["Sec-WebSocket-Protocol"] = chosen
        agreement = None
        if agreed is not None:
            agreement, headers["Sec-WebSocket-Extensions"] = agreed
        link = PicowsTransport(
            opened,
            chosen,
            self._clock,
            self._settings,
            agreement=agreement,
            ended=self._on_ended,
        )
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
    subprotocols: Sequence[str] | None = SUBPROTOCOLS,
    ssl_context: ssl.SSLContext | None = None,
    peer_certificate: Callable[[], bytes | None] | None = None,
    settings: WebSocketSettings = _DEFAULTS,
) -> Server:
    """Serves WebSockets at `ws://host:port/any/path/<identity>`, wss with `ssl_context`.

    `accept` is asked about every client with a possible identity. Of the client's subprotocols
    the first that is in `subprotocols` is taken; a client that offers none of them gets a
    handshake without subprotocol and is closed at once (Part 4, section 3.3). With `subprotocols`
    None these rules of OCPP are off: any path, the client's first subprotocol or none.

    `peer_certificate` tells the certificate of the client whose bytes are being read (the
    context's SSLObject knows); it becomes `Handshake.peer_certificate`.

    Raises `OSError` if the address cannot be had.
    """
    server = Server(accept, subprotocols, clock, settings, peer_certificate)
    await server.start(host, port, ssl_context)
    return server


def _refusal(refused: Refused) -> WSUpgradeResponseWithListener:
    headers = dict(refused.headers)
    if refused.status == _UNAUTHORIZED and "WWW-Authenticate" not in headers:
        headers["WWW-Authenticate"] = 'Basic realm="OCPP"'
    response = WSUpgradeResponse.create_error_response(refused.status, extra_headers=headers)
    return WSUpgradeResponseWithListener(response, None)


def _no_common_version(transport: Transport) -> TransportListener:
    transport.close(_PROTOCOL_ERROR, "no OCPP version in common")
    return Nobody()
