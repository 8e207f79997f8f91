"""A simulated station with a database, whose every frame and durable event leaves a mark in the
recording, and which can be put into the state in which a power cut has left the real world."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from crash.recording import mark
from ocpp_fast._core import encode_payload
from ocpp_fast.callbacks import Callbacks
from ocpp_fast.connection import Connection, Way
from ocpp_fast.connectivity.link import Link, Target
from ocpp_fast.csms import Csms, CsmsHandler
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.simulator.car import Car
from ocpp_fast.storage.sqlite import SqliteStorage
from ocpp_fast.testing import VirtualClock
from ocpp_fast.transport.base import MakeListener
from pair.station_kit import QUIET, Site

EVSES = (1, 2)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CHECKPOINT_WH = 100.0
SAMPLE_S = 1.0
FILES = ComponentFiles()
VARIABLES = replace(
    QUIET,
    tx_updated_interval_s=60,
    tx_ended_interval_s=60,
    offline_tx_for_unknown_id_enabled=True,
    message_attempts=3,
    message_attempt_interval_s=10,
)


class Meter(StrEnum):
    """What a power cut does to a meter."""

    KEEPS = "keeps"
    """Its register is its own."""
    FORGETS = "forgets"
    """The station keeps its register."""
    FAILS = "fails"
    """As before, and it cannot be read at first."""


@dataclass(slots=True)
class World:
    """What a power cut does not change: the time, the meters, the cars that are plugged in."""

    now: datetime
    meters_wh: dict[int, float] = field(default_factory=lambda: dict.fromkeys(EVSES, 0.0))
    cars: tuple[int, ...] = ()
    """The EVSEs that have one."""

    def words(self) -> dict[str, Any]:
        """For a mark."""
        return {
            "now": self.now.isoformat(),
            "meters": {str(evse): wh for evse, wh in self.meters_wh.items()},
            "cars": self.cars,
        }

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> World:
        """From a mark."""
        meters = {int(evse): wh for evse, wh in words["meters"].items()}
        return cls(datetime.fromisoformat(words["now"]), meters, tuple(words["cars"]))


class _Storage(SqliteStorage):
    """Remembers the names of all facts that were read or are there."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.names: set[str] = set()

    async def state_load(self) -> dict[str, str]:
        found = await super().state_load()
        self.names |= found.keys()
        return found


class CrashSite(Site):
    """A station whose database is in a folder, its certificates beside it."""

    def __init__(
        self,
        clock: VirtualClock,
        version: OcppVersion,
        folder: Path,
        *,
        seed: int = 1,
        handlers: Mapping[str, CsmsHandler] | None = None,
        knows_time: bool = True,
        **config: Any,
    ) -> None:
        """`knows_time`: whether the station's computer has a clock that lives through a power cut;
        `config`: fields of `StationConfig`."""
        self.right_clock = clock
        if not knows_time:
            clock = VirtualClock(EPOCH - timedelta(seconds=clock.elapsed_s))
        self.storage = _Storage(folder / "station.db")
        self.recorded = False
        """Whether it leaves marks."""
        self.resets = 0
        self.passwords: list[str | None] = []
        """Those it has dialled with."""
        super().__init__(
            clock,
            version,
            variables=config.pop("variables", VARIABLES),
            storage=self.storage,
            ids=Ids(seed=seed),
            csms=Csms(
                clock=self.right_clock, ids=Ids(seed=2), handlers=handlers, heartbeat_interval_s=0
            ),
            tells_start=True,
            config={"certificates": str(folder / "certificates"), **config},
            adapt=self._adapt,
            component_files=FILES,
            sample_interval_s=SAMPLE_S,
        )

    def _adapt(self, callbacks: Callbacks) -> Callbacks:
        return replace(
            callbacks,
            transaction_event_callback=self._told,
            is_reset_allowed_callback=self._allow_reset,
            reset_callback=self._reset,
        )

    async def _allow_reset(self, _evse_id: int | None, _kind: object) -> bool:
        return True

    async def _reset(self, _evse_id: int | None, _kind: object) -> None:
        self.resets += 1

    async def _told(self, request: Any) -> None:
        """It has been stored, or so the library says."""
        self.mark("told", event=json.loads(encode_payload(request)))

    async def _open(self, make: MakeListener[Connection], target: Target) -> Link:
        self.passwords.append(target.password)
        return await super()._open(make, target)

    def _log(self, way: Way, frame: bytes) -> None:
        super()._log(way, frame)
        self.mark("frame", out=way is Way.OUT, frame=self.frames[-1][2])

    def mark(self, kind: str, **fields: Any) -> None:
        """A mark with what the world is like."""
        if self.recorded:
            mark(kind, **fields, **self.world().words())

    def world(self) -> World:
        """What it is like now."""
        hardware = self.station.hardware
        return World(
            self.right_clock.now(),
            {evse: each.energy_wh for evse, each in hardware.items()},
            tuple(evse for evse, each in hardware.items() if each.car is not None),
        )

    async def set_pragma(self, pragma: str) -> None:
        """Of its database, until it stops."""
        await self.storage._run("test", f"PRAGMA {pragma}")

    def live_in(self, world: World, meter: Meter = Meter.KEEPS) -> None:
        """Before the start: the meters and cars are those of the world."""
        self.station._cars = {evse: Car() for evse in world.cars}
        for evse, each in self.station.hardware.items():
            # Whoever knows less counts on from what is durable.
            each._energy_wh = world.meters_wh[evse] if meter is Meter.KEEPS else 0.0
            if meter is Meter.FAILS:
                each.broken.add("read_meter")

    def mend(self) -> None:
        """The meters work again."""
        for each in self.station.hardware.values():
            each.broken.clear()

    def running(self) -> list[int]:
        """The EVSEs with a transaction."""
        return [evse for evse in EVSES if self.station.evse(evse).transaction_id is not None]

    async def end_all(self) -> None:
        """Every transaction that runs: the cars go, and who has none is no longer authorized."""
        for evse in self.running():
            if self.station.hardware[evse].car is not None:
                await self.station.unplug(evse)
            if self.station.evse(evse).transaction_id is not None:
                await self.station.evse(evse).deauthorize("Local")
        await self.settle()

    async def settle(self, limit_s: float = 600.0) -> None:
        """Waits until nothing waits for delivery any more."""
        delivery = self.station.charge_point.delivery
        end = self.clock.elapsed_s + limit_s
        await self.clock.sleep(1)
        while delivery.waiting and self.clock.elapsed_s < end:
            await self.clock.sleep(1)
