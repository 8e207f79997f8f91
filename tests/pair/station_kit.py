"""A simulated station and a CSMS, joined by memory links, in virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from ocpp_fast.config import EvseConfig, StationConfig, Variables
from ocpp_fast.connection import Connection, Way
from ocpp_fast.connectivity.link import Link, Target
from ocpp_fast.csms import Csms, CsmsHandler, StationRecord, TransactionRecord
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.simulator import SimulatedStation
from ocpp_fast.storage import Storage
from ocpp_fast.testing import VirtualClock, run_virtual
from ocpp_fast.transport.base import MakeListener
from ocpp_fast.transport.memory import MemoryLink

VERSIONS = tuple(OcppVersion)
TOKEN = "04A1B2C3"

# What most tests want to see little of.
QUIET = Variables(
    heartbeat_interval_s=0,
    retry_back_off_wait_minimum_s=1,
    retry_back_off_random_range_s=0,
    tx_updated_interval_s=0,
)


class Site:
    """A station, the CSMS it belongs to, and every frame between them."""

    def __init__(
        self,
        clock: VirtualClock,
        version: OcppVersion = OcppVersion.V21,
        *,
        variables: Variables = QUIET,
        evses: int = 2,
        handlers: Mapping[str, CsmsHandler] | None = None,
        heartbeat_interval_s: int = 0,
        storage: Storage | None = None,
        ids: Ids | None = None,
        csms: Csms | None = None,
        tells_start: bool = False,
        config: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """`tells_start`: with the SecurityEventNotification that every start brings; `config`:
        fields of `StationConfig`."""
        self.clock = clock
        self.version = version
        self.ids = ids or Ids(seed=1)
        self.reachable = True
        self.dials = 0
        self.frames: list[tuple[float, Way, list[Any]]] = []
        self.link: MemoryLink | None = None
        self.csms = csms or Csms(
            clock=clock,
            ids=Ids(seed=2),
            handlers=handlers,
            heartbeat_interval_s=heartbeat_interval_s,
        )
        fields: dict[str, Any] = {
            "identity": "CS001",
            "csms_url": "ws://csms.test/ocpp",
            "evses": (EvseConfig(),) * evses,
            "versions": (version,),
            "variables": variables,
        }
        self.station = SimulatedStation(
            StationConfig(**(fields | dict(config or {}))),
            clock=clock,
            ids=self.ids,
            opener=self._open,
            storage=storage,
            frame_log=self._log,
            **options,
        )
        if not tells_start:
            cache = self.station.charge_point.device_model.cache
            number = cache.find("InternalCtrlr", None, None, None, "SecurityEventsNotTold", None)
            cache.default(number, 0, "StartupOfTheDevice,ResetOrReboot")

    async def _open(self, make: MakeListener[Connection], target: Target) -> Link:
        self.dials += 1
        if not self.reachable:
            raise ConnectFailed(ConnectFailure.NETWORK, "nobody there")
        self.link = MemoryLink(
            make,
            self.csms.listener("CS001"),
            clock=self.clock,
            ids=self.ids,
            subprotocol=self.version.subprotocol,
        )
        connection = self.link.left.listener
        assert isinstance(connection, Connection)
        return Link(connection, target)

    def _log(self, way: Way, frame: bytes) -> None:
        self.frames.append((self.clock.elapsed_s, way, json.loads(frame)))

    async def __aenter__(self) -> Self:
        await self.station.start()
        await self.clock.sleep(0.5)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.station.stop()
        await self.csms.stop()

    def cut(self, *, until_s: float | None = None) -> None:
        """Breaks the link; it comes back by itself, or not before some seconds have passed."""
        assert self.link is not None
        self.reachable = until_s is None
        if until_s is not None:
            self.clock.call_later(until_s, self._heal)
        self.link.cut()

    def _heal(self) -> None:
        self.reachable = True

    @property
    def record(self) -> StationRecord:
        return self.csms.stations["CS001"]

    @property
    def transactions(self) -> list[TransactionRecord]:
        return list(self.record.transactions.values())

    def sent(self, action: str) -> list[dict[str, Any]]:
        """Payloads of the station's CALLs of an action, as on the wire."""
        return [
            frame[3]
            for _, way, frame in self.frames
            if way is Way.OUT and frame[0] == 2 and frame[2] == action
        ]

    def times(self, action: str) -> list[float]:
        """When the station sent CALLs of an action, in seconds."""
        return [
            at
            for at, way, frame in self.frames
            if way is Way.OUT and frame[0] == 2 and frame[2] == action
        ]

    def calls(self) -> list[str]:
        """Actions of all CALLs of the station, in order."""
        return [f[2] for _, way, f in self.frames if way is Way.OUT and f[0] == 2]

    def events(self) -> list[tuple[str, str, str | None, int]]:
        """(eventType, triggerReason, chargingState, seqNo) of each TransactionEvent."""
        return [
            (
                event["eventType"],
                event["triggerReason"],
                event["transactionInfo"].get("chargingState"),
                event["seqNo"],
            )
            for event in self.sent("TransactionEvent")
        ]

    async def charge_without_end(self, evse_id: int) -> None:
        """Plug in and present a card of that EVSE's own; some seconds later energy flows."""
        await self.station.plug_in(evse_id)
        await self.station.swipe(f"CARD{evse_id}", evse_id)
        await self.clock.sleep(5)

    async def charge(self, seconds: float, evse_id: int = 1) -> None:
        """Plug in, present a card, charge, present it again, unplug."""
        await self.station.plug_in(evse_id)
        await self.station.swipe(TOKEN, evse_id)
        await self.clock.sleep(seconds)
        await self.station.swipe(TOKEN, evse_id)
        await self.clock.sleep(1)
        await self.station.unplug(evse_id)
        await self.clock.sleep(1)


def at_site(
    scenario: Callable[[Site], Coroutine[Any, Any, None]],
    version: OcppVersion = OcppVersion.V21,
    *,
    variables: Mapping[str, Any] | None = None,
    boot: Sequence[tuple[str, int]] | None = None,
    **options: Any,
) -> None:
    """Runs a scenario at a running site, in virtual time. `variables` change `QUIET`; `boot` is
    what the CSMS answers to each BootNotification, (status, interval), the last one for ever."""

    async def run(clock: VirtualClock) -> None:
        settings = replace(QUIET, **(variables or {}))
        site = Site(clock, version, variables=settings, **options)
        if boot is not None:
            site.csms.on("BootNotification", _boot_answers(site, boot))
        async with site:
            await scenario(site)

    run_virtual(run)


def _boot_answers(site: Site, answers: Sequence[tuple[str, int]]) -> CsmsHandler:
    left = list(answers)

    def answer(_station: StationRecord, _request: Any) -> Any:
        status, interval = left.pop(0) if len(left) > 1 else left[0]
        m: Any = site.version.module
        now = site.clock.now()
        return m.BootNotificationResponse(current_time=now, interval=interval, status=status)

    return answer
