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
from ocpp_fast.csms.security import Admission, CsmsSecurity
from ocpp_fast.csms.signing import Signing
from ocpp_fast.csms.station_security import StationSecurity
from ocpp_fast.errors import ConfigurationError, ConnectionLost, ErrorCode, RequestRefused
from ocpp_fast.ids import Ids
from ocpp_fast.messages import Message, OcppVersion
from ocpp_fast.router import Handling, Reply, Role, Router

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ocpp_fast.clock import Clock
    from ocpp_fast.connection import FrameLog
    from ocpp_fast.errors import ConnectFailed
    from ocpp_fast.security.tls_server import ServerTls
    from ocpp_fast.transport.base import CloseReason, Transport
    from ocpp_fast.transport.handshake import Handshake
    from ocpp_fast.transport.picows import Accepted, Refused, Server, WebSocketSettings

__all__ = ["Csms", "CsmsHandler", "CsmsObserver"]

_log = logging.getLogger(__name__)
_M = TypeVar("_M", bound=Message)

CsmsHandler: TypeAlias = "Callable[[StationRecord, Any], Handling | Awaitable[Handling]]"
"""Takes the station and its typed request, gives the response; like `router.Handler`."""

_REPLACED: Final = 1008
_FULL: Final = 503
_RENEWAL_S: Final = 2
_SETTLE_S: Final = 0.1
# Requests that let a Pending station send what they ask for (B02.FR.02).
_ASKING: Final = frozenset({"GetBaseReport", "GetReport", "TriggerMessage"})


class CsmsObserver:
    """What a CSMS reports. Override what is of interest; be quick, nothing else goes on."""

    def on_connected(self, station: StationRecord) -> None:
        """A station has connected."""

    def on_disconnected(self, station: StationRecord, reason: CloseReason) -> None:
        """A station's link is gone, and no newer one has taken its place."""

    def on_refused(self, identity: str, status: int, reason: str) -> None:
        """A station was not let in; it got this HTTP status (A00.FR.408)."""

    def on_tls_refused(self, error: ConnectFailed) -> None:
        """A client, unknown which, was refused in the TLS handshake (A00.FR.408)."""

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
        security: CsmsSecurity | None = None,
        web_socket: WebSocketSettings | None = None,
        max_stations: int = 10_000,
    ) -> None:
        """Port 0 takes a free one, see `port`. `handlers` replace the answers to some actions.
        Without `security` every station may connect, over plain TCP (security profile 0).

        No more than `max_stations` identities are kept; any other is refused with HTTP 503.
        """
        self._host = host
        self._wanted_port = port
        self._clock: Clock = clock or SystemClock()
        self._ids = ids or Ids()
        self._settings = settings or ConnectionSettings()
        self._observer = observer or CsmsObserver()
        self._frame_log = frame_log
        self._security = security or CsmsSecurity()
        self._web_socket = web_socket
        self._max_stations = max_stations
        self._tls: ServerTls | None = None
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
        if self._security.signer is not None:
            signing = Signing(self, self._security, self._security.signer, self._clock)
            self._handlers.update(signing.handlers())
        for action, handler in (handlers or {}).items():
            self.on(action, handler)

    # --- life -----------------------------------------------------------------------------

    async def start(self) -> None:
        """Begins to listen.

        Raises `OSError` when the address cannot be had, and `ConfigurationError` for files of
        `CsmsSecurity` that cannot be used.
        """
        from ocpp_fast.transport import picows  # not needed when serving memory links

        tls = self._tls = self._security.tls(
            self._clock, partial(self._report, self._observer.on_tls_refused)
        )
        self._server = await picows.serve(
            self.admit,
            self._host,
            self._wanted_port,
            clock=self._clock,
            subprotocols=[version.subprotocol for version in self._codecs],
            ssl_context=None if tls is None else tls.context,
            settings=self._web_socket or picows.WebSocketSettings(),
            peer_certificate=None if tls is None else tls.peer_certificate,
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
        scheme = "wss" if self._security.key_pairs else "ws"
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
        return StationModel(self, self._known(identity), self._clock)

    def security(self, identity: str) -> StationSecurity:
        """The password, certificates and network profiles of a station.

            await csms.security("CS001").change_password()

        Raises `ConnectionLost` for a station that has never connected.
        """
        return StationSecurity(self, self._known(identity), self._security, self._ids)

    def _known(self, identity: str) -> StationRecord:
        station = self.stations.get(identity)
        if station is None:
            raise ConnectionLost(1006, f"station {identity} is not connected")
        return station

    # --- links ----------------------------------------------------------------------------

    def listener(self, identity: str) -> Callable[[Transport], Connection]:
        """Makes the CSMS's end of a link to a station, whatever the transport."""
        return partial(self._connect, identity, Admission())

    def admit(self, handshake: Handshake) -> Accepted | Refused:
        """Whether a station may connect, and what makes the CSMS's end of its link then."""
        from ocpp_fast.transport.picows import Accepted, Refused

        identity = handshake.identity
        if identity not in self.stations and len(self.stations) >= self._max_stations:
            admission = Admission(_FULL, f"there are {self._max_stations} stations already")
        else:
            client = None if self._tls is None else self._tls.client()
            objection = None if client is None else client.objection
            admission = self._security.admit(handshake, self._clock.now(), objection)
        if not admission.status:
            return Accepted(partial(self._connect, identity, admission))
        _log.info("%s refused with %d: %s", identity, admission.status, admission.reason)
        self._report(self._observer.on_refused, identity, admission.status, admission.reason)
        return Refused(admission.status)

    def _connect(self, identity: str, admission: Admission, transport: Transport) -> Connection:
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
        station.security_profile = self._security.profile
        station.certificate_expired = admission.expired
        station.renewal_asked = False
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
        if handler is not None:
            handling = handler(station, request)
        elif action == "BootNotification" and station.certificate_expired:
            handling = self._ask_to_renew(station)
        else:
            handling = answer(request)
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
            if station.registration == "Accepted":
                self._security.accepted(station.identity)
        self._report(self._observer.on_request, station, action, request)
        return handling

    async def _handled_later(
        self, station: StationRecord, action: str, request: Any, handling: Awaitable[Handling]
    ) -> Handling:
        return self._handled(station, action, request, await handling)

    def _ask_to_renew(self, station: StationRecord) -> Reply:
        """A00.FR.429: Pending, and at once the request to renew the certificate (A02).

        Boots are asked for often, so that the station need not wait once it has the new one.
        """
        version = station.version or OcppVersion.V21
        pending = version.module.BootNotificationResponse(
            current_time=self._clock.now(),
            interval=_RENEWAL_S,
            status=version.module.RegistrationStatusEnumType.PENDING,
        )

        if station.renewal_asked:
            return Reply(pending)
        station.renewal_asked = True

        async def ask() -> None:
            # A station that reads both at once might refuse what comes before it has registered.
            await self._clock.sleep(_SETTLE_S)
            await self.security(station.identity).renew_certificate()

        return Reply(pending, ask)

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
