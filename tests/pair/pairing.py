"""A station end and a CSMS end, joined in memory and in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ocpp_fast._core import Codec, Deviation
from ocpp_fast.connection import Connection, ConnectionObserver, ConnectionSettings, FrameLog
from ocpp_fast.exchange import Fault, FaultKind
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion, v21
from ocpp_fast.router import Handler, Role, Router
from ocpp_fast.testing import VirtualClock, run_virtual
from ocpp_fast.transport.base import CloseReason, Transport
from ocpp_fast.transport.memory import MemoryLink

TIME = datetime(2026, 1, 1, tzinfo=UTC)
HEARTBEAT = v21.HeartbeatRequest()
HEARTBEAT_RESPONSE = v21.HeartbeatResponse(current_time=TIME)
RESET = v21.ResetRequest(type=v21.ResetEnumType.IMMEDIATE)
RESET_RESPONSE = v21.ResetResponse(status=v21.ResetStatusEnumType.ACCEPTED)


def answer_heartbeat(request: v21.HeartbeatRequest) -> v21.HeartbeatResponse:
    return HEARTBEAT_RESPONSE


class Notes(ConnectionObserver):
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.faults: list[FaultKind] = []
        self.deviations: list[tuple[str, tuple[Deviation, ...]]] = []

    def on_fault(self, fault: Fault[Any]) -> None:
        self.faults.append(fault.kind)

    def on_deviations(self, action: str, deviations: tuple[Deviation, ...]) -> None:
        self.deviations.append((action, deviations))


class Pair:
    """`station` and `csms` are the two connections, `link` is what lies between."""

    def __init__(
        self,
        clock: VirtualClock,
        *,
        station: Mapping[str, Handler] | None = None,
        csms: Mapping[str, Handler] | None = None,
        settings: ConnectionSettings | None = None,
        tolerant_csms: bool = False,
        station_log: FrameLog | None = None,
    ) -> None:
        self.clock = clock
        self.ids = Ids(seed=1)
        self._settings = settings or ConnectionSettings()
        self.station_notes, self.csms_notes = Notes(), Notes()
        self.link = MemoryLink(
            lambda transport: self._end(
                transport,
                Router(OcppVersion.V21, Role.CHARGING_STATION, [station or {}]),
                Codec("2.1"),
                self.station_notes,
                station_log,
            ),
            lambda transport: self._end(
                transport,
                Router(OcppVersion.V21, Role.CSMS, [csms or {}]),
                Codec("2.1", tolerant=tolerant_csms),
                self.csms_notes,
                None,
            ),
            clock=clock,
            ids=self.ids,
        )
        station_end, csms_end = self.link.left.listener, self.link.right.listener
        assert isinstance(station_end, Connection)
        assert isinstance(csms_end, Connection)
        self.station, self.csms = station_end, csms_end

    def _end(
        self,
        transport: Transport,
        router: Router,
        codec: Codec,
        notes: Notes,
        frame_log: FrameLog | None,
    ) -> Connection:
        return Connection(
            transport,
            router,
            codec,
            clock=self.clock,
            ids=self.ids,
            settings=self._settings,
            observer=notes,
            frame_log=frame_log,
        )

    def task(self, call: Awaitable[Any]) -> asyncio.Future[Any]:
        return asyncio.ensure_future(call)


class RawCsms:
    """In the place of a CSMS: sees the station's frames and sends what a test tells it to."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.received: list[bytes] = []
        self.closed: CloseReason | None = None

    def on_frame(self, frame: bytes) -> None:
        self.received.append(frame)

    def on_binary_frame(self, size_bytes: int) -> None:
        raise AssertionError("a memory link has no binary frames")

    def on_closed(self, reason: CloseReason) -> None:
        self.closed = reason


def station_with_raw_csms(
    clock: VirtualClock, settings: ConnectionSettings | None = None, **parts: Any
) -> tuple[Connection, RawCsms, MemoryLink]:
    table = parts.pop("station", {})
    router = parts.pop("router", None) or Router(OcppVersion.V21, Role.CHARGING_STATION, [table])
    link = MemoryLink(
        lambda transport: Connection(
            transport,
            router,
            Codec("2.1"),
            clock=clock,
            ids=Ids(seed=1),
            settings=settings or ConnectionSettings(),
            **parts,
        ),
        RawCsms,
        clock=clock,
        ids=Ids(seed=2),
    )
    station, csms = link.left.listener, link.right.listener
    assert isinstance(station, Connection)
    assert isinstance(csms, RawCsms)
    return station, csms, link


def virtual(scenario: Callable[[VirtualClock], Any]) -> Callable[[], None]:
    """Makes a test of a scenario in virtual time."""

    def test() -> None:
        run_virtual(scenario)

    test.__name__ = scenario.__name__
    return test
