"""The simple CSMS: connections, answers and requests."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, TypeVar

from ocpp_fast._core import Codec
from ocpp_fast.clock import SystemClock
from ocpp_fast.connection import Connection, ConnectionSettings
from ocpp_fast.csms.answers import default_answers
from ocpp_fast.csms.ledger import StationRecord
from ocpp_fast.csms.model import StationModel
from ocpp_fast.errors import ConfigurationError, ConnectionLost, ErrorCode, RequestRefused
from ocpp_fast.ids import Ids
from ocpp_fast.messages import Message, OcppVersion
from ocpp_fast.router import Handling, Reply, Role, Router

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping

    from ocpp_fast.clock import Clock
    from ocpp_fast.connection import FrameLog
    from ocpp_fast.transport.base import CloseReason, Transport
    from ocpp_fast.transport.handshake import Handshake
    from ocpp_fast.transport.picows import Accepted, Refused, Server

__all__ = ["Csms", "CsmsHandler", "CsmsObserver"]

_log = logging.getLogger(__name__)
_M = TypeVar("_M", bound=Message)

CsmsHandler: TypeAlias = "Callable[[StationRecord, Any], Handling | Awaitable[Handling]]"
"""Takes the station and its typed request, gives the response; like `router.Handler`."""

_REPLACED: Final = 1008
_FULL: Final = 503
# Requests that let a Pending station send what they ask for (B02.FR.02).
_ASKING: Final = frozenset({"GetBaseReport", "GetReport", "TriggerMessage"})


class CsmsObserver:
    """What a CSMS reports. Override what is of interest; be quick, nothing else goes on."""

    def on_connected(self, station: StationRecord) -> None:
        """A station has connected."""

    def on_disconnected(self, station: StationRecord, reason: CloseReason) -> None:
        """A station's link is gone, and no newer one has taken its place."""

    def on_request(self, station: StationRecord, action: str, request: Any) -> None:
        """A station has sent a request that was not refused; its record is up to date."""


class Csms:
    """A CSMS for any number of stations, in both OCPP versions.

    The newest connection of a station counts; an older one of the same identity is closed.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        versions: tuple[OcppVersion, ...] = (OcppVersion.V21, OcppVersion.V201),
        heartbeat_interval_s: int = 300,
        handlers: Mapping[str, CsmsHandler] | None = None,
        observer: CsmsObserver | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
        settings: ConnectionSettings | None = None,
        frame_log: FrameLog | None = None,
        ssl_context: ssl.SSLContext | None = None,
        max_stations: int = 10_000,
    ) -> None:
        """Port 0 takes a free one, see `port`. `handlers` replace the answers to some actions.

        No more than `max_stations` identities are kept; any other is refused with HTTP 503.
        """
        self._host = host
        self._wanted_port = port
        self._clock: Clock = clock or SystemClock()
        self._ids = ids or Ids()
        self._settings = settings or ConnectionSettings()
        self._observer = observer or CsmsObserver()
        self._frame_log = frame_log
        self._ssl_context = ssl_context
        self._max_stations = max_stations
        self._server: Server | None = None
        self._handlers: dict[str, CsmsHandler] = {}
        self._codecs = {version: Codec(version) for version in versions}
        self._answers = {
            version: default_answers(version, self._clock.now, heartbeat_interval_s)
            for version in versions
        }
        self._connections: dict[str, Connection] = {}
        self.stations: dict[str, StationRecord] = {}
        """Every station that has ever connected, by its identity."""
        for action, handler in (handlers or {}).items():
            self.on(action, handler)

    # --- life -----------------------------------------------------------------------------

    async def start(self) -> None:
        """Begins to listen. Raises `OSError` when the address cannot be had."""
        from ocpp_fast.transport import picows  # not needed when serving memory links

        self._server = await picows.serve(
            self._accept,
            self._host,
            self._wanted_port,
            clock=self._clock,
            subprotocols=[version.subprotocol for version in self._codecs],
            ssl_context=self._ssl_context,
        )

    async def stop(self) -> None:
        """Closes all links and stops listening. May be called again."""
        server, self._server = self._server, None
        if server is not None:
            await server.close()
        for connection in tuple(self._connections.values()):
            await connection.close(1001, "the CSMS stops")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """The port it listens on; raises `ConfigurationError` while it does not."""
        if self._server is None:
            raise ConfigurationError("the CSMS is not started")
        return self._server.port

    @property
    def url(self) -> str:
        """The address for stations, which add their identity."""
        scheme = "ws" if self._ssl_context is None else "wss"
        return f"{scheme}://{self._host}:{self.port}"

    # --- for its user ---------------------------------------------------------------------

    def on(self, action: str, handler: CsmsHandler) -> None:
        """Replaces the answer to an action, now and for links that are open.

        Raises `ConfigurationError` for an action that no station sends.
        """
        if not any(action in answers for answers in self._answers.values()):
            raise ConfigurationError(f"no station sends {action!r}")
        self._handlers[action] = handler

    def connection(self, identity: str) -> Connection:
        """The open link of a station; raises `ConnectionLost` when there is none."""
        connection = self._connections.get(identity)
        if connection is None:
            raise ConnectionLost(1006, f"station {identity} is not connected")
        return connection

    async def call(
        self,
        identity: str,
        request: Message,
        expected: type[_M] = Message,
        *,
        timeout_s: float | None = None,
    ) -> _M:
        """Sends any request of the link's OCPP version to a station, and returns the response.

        `expected`, the type of the response, is there for the type checker. Raises like
        `Connection.call`.
        """
        connection = self.connection(identity)
        if type(request).__name__.removesuffix("Request") in _ASKING:
            self.stations[identity].may_report = True
        response = await connection.call(request, timeout_s=timeout_s)
        if not isinstance(response, expected):
            raise TypeError(f"the response is {type(response).__name__}")
        return response

    def model(self, identity: str) -> StationModel:
        """The device model of a station: reads, sets and reports variables by their short names.

            await csms.model("CS001").set({"OCPPCommCtrlr.HeartbeatInterval": "60"})

        Raises `ConnectionLost` for a station that has never connected.
        """
        station = self.stations.get(identity)
        if station is None:
            raise ConnectionLost(1006, f"station {identity} is not connected")
        return StationModel(self, station, self._clock)

    # --- links ----------------------------------------------------------------------------

    def listener(self, identity: str) -> Callable[[Transport], Connection]:
        """Makes the CSMS's end of a link to a station, whatever the transport."""
        return partial(self._connect, identity)

    def _accept(self, handshake: Handshake) -> Accepted | Refused:
        from ocpp_fast.transport.picows import Accepted, Refused

        if handshake.identity not in self.stations and len(self.stations) >= self._max_stations:
            return Refused(_FULL)
        return Accepted(self.listener(handshake.identity))

    def _connect(self, identity: str, transport: Transport) -> Connection:
        version = OcppVersion.from_subprotocol(transport.subprotocol)
        station = self.stations.setdefault(identity, StationRecord(identity))
        table = {
            action: partial(self._handle, station, action, answer)
            for action, answer in self._answers[version].items()
        }
        connection = _StationConnection(
            transport,
            Router(version, Role.CSMS, [table]),
            self._codecs[version],
            clock=self._clock,
            ids=self._ids,
            settings=self._settings,
            frame_log=self._frame_log,
        )
        connection.on_end = partial(self._disconnect, station, connection)
        older = self._connections.get(identity)
        self._connections[identity] = connection
        station.version = version
        station.connected = True
        if older is not None:
            older.transport.close(_REPLACED, "the station has connected again")
        self._report(self._observer.on_connected, station)
        return connection

    def _disconnect(
        self, station: StationRecord, connection: Connection, reason: CloseReason
    ) -> None:
        if self._connections.get(station.identity) is connection:
            del self._connections[station.identity]
            station.connected = False
            self._report(self._observer.on_disconnected, station, reason)

    # --- answers --------------------------------------------------------------------------

    def _handle(
        self,
        station: StationRecord,
        action: str,
        answer: Callable[[Any], Message | None],
        request: Any,
    ) -> Handling | Awaitable[Handling]:
        if action != "BootNotification" and not self._may_send(station):
            raise RequestRefused(ErrorCode.SECURITY_ERROR, f"registered as {station.registration}")
        handler = self._handlers.get(action)
        handling = answer(request) if handler is None else handler(station, request)
        if isinstance(handling, (Message, Reply)) or handling is None:
            return self._handled(station, action, request, handling)
        return self._handled_later(station, action, request, handling)

    def _handled(
        self, station: StationRecord, action: str, request: Any, handling: Handling
    ) -> Handling:
        """Notes a request that was not refused."""
        station.note(request)
        if action == "BootNotification":
            response = handling.response if isinstance(handling, Reply) else handling
            station.registration = str(getattr(response, "status", "Accepted"))
            station.may_report = False
        self._report(self._observer.on_request, station, action, request)
        return handling

    async def _handled_later(
        self, station: StationRecord, action: str, request: Any, handling: Awaitable[Handling]
    ) -> Handling:
        return self._handled(station, action, request, await handling)

    def _may_send(self, station: StationRecord) -> bool:
        """B01.FR.10, B02.FR.09, B03.FR.07. A station that has not booted since this CSMS started
        is let in: it need not boot to reconnect (Part 4, section 5.4)."""
        if station.registration == "Pending":
            return station.may_report
        return station.registration != "Rejected"

    def _report(self, hook: Callable[..., None], *values: object) -> None:
        try:
            hook(*values)
        except Exception:
            _log.exception("the observer failed")


class _StationConnection(Connection):
    """A connection that says when it has ended."""

    on_end: Callable[[CloseReason], None]

    def on_closed(self, reason: CloseReason) -> None:
        super().on_closed(reason)
        self.on_end(reason)
