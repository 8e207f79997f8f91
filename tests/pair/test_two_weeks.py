"""Two weeks without a CSMS, 200 EVSEs, then everything at once: what is kept, what is thinned."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from ocpp_fast.config import EvseConfig, StationConfig
from ocpp_fast.connectivity.link import Link, Target
from ocpp_fast.csms import Csms, StationRecord
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.station import MeterReading, Station
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from ocpp_fast.transport.memory import MemoryLink
from pair.station_kit import QUIET

if TYPE_CHECKING:
    from ocpp_fast.connection import Connection
    from ocpp_fast.transport.base import MakeListener

DAY_S: Final = 86_400
EVSES: Final = 200
INTERVAL_S: Final = 900
POWER_W: Final = 7_000

VARIABLES: Final = replace(
    QUIET,
    auth_enabled=False,
    tx_updated_interval_s=INTERVAL_S,
    tx_updated_measurands=("Energy.Active.Import.Register",),
    retry_back_off_repeat_times=0,
    retry_back_off_wait_minimum_s=300,
)


class PlainEvse:
    """Hardware without a life of its own: two weeks of it cost nothing."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._energy_wh = 0.0
        self._since: float | None = None

    def draw(self, *, on: bool) -> None:
        now = self._clock.monotonic()
        if self._since is not None:
            self._energy_wh += (now - self._since) * POWER_W / 3_600
        self._since = now if on else None

    async def allow_power(self) -> None: ...

    async def stop_power(self) -> None:
        self.draw(on=False)

    async def lock(self) -> None: ...

    async def unlock(self) -> None: ...

    async def connected_at(self) -> int | None:
        return None

    async def read_meter(self) -> MeterReading:
        self.draw(on=self._since is not None)
        return MeterReading(timestamp=self._clock.now(), energy_wh=round(self._energy_wh, 1))


class Plant:
    """A station of plain hardware, its CSMS, and a link that is there or not."""

    def __init__(
        self,
        clock: VirtualClock,
        *,
        evses: int,
        max_queued_messages: int,
        version: OcppVersion = OcppVersion.V21,
    ) -> None:
        self.clock = clock
        self.version = version
        self.reachable = True
        self.link: MemoryLink | None = None
        self.ids = Ids(seed=7)
        self.told: dict[str, list[tuple[int, str, str, float, bool]]] = defaultdict(list)
        """For each transaction (seqNo, eventType, triggerReason, energy, offline), as they came."""
        self.security: list[str] = []
        self.csms = Csms(
            clock=clock,
            ids=Ids(seed=2),
            heartbeat_interval_s=0,
            handlers={"TransactionEvent": self._note, "SecurityEventNotification": self._warn},
        )
        self.hardware = {evse_id: PlainEvse(clock) for evse_id in range(1, evses + 1)}
        self.storage = MemoryStorage()
        config = StationConfig(
            identity="CS001",
            csms_url="ws://csms.test/ocpp",
            evses=(EvseConfig(),) * evses,
            versions=(version,),
            variables=VARIABLES,
            max_queued_messages=max_queued_messages,
        )
        self.station = Station(
            config,
            self.hardware,
            storage=self.storage,
            clock=clock,
            ids=self.ids,
            opener=self._open,
            sample_interval_s=INTERVAL_S,
        )
        self.created = 0
        self.ended: dict[str, float] = {}
        """What the meter showed at the end of each transaction."""

    async def _open(self, make: MakeListener[Connection], target: Target) -> Link:
        if not self.reachable:
            raise ConnectFailed(ConnectFailure.NETWORK, "nobody there")
        self.link = MemoryLink(
            make,
            self.csms.listener("CS001"),
            clock=self.clock,
            ids=self.ids,
            subprotocol=self.version.subprotocol,
        )
        connection: Any = self.link.left.listener
        return Link(connection, target)

    def _note(self, _station: StationRecord, request: Any) -> Any:
        energy = 0.0
        for reading in request.meter_value or ():
            energy = reading.sampled_value[0].value
        row = (
            request.seq_no,
            str(request.event_type),
            str(request.trigger_reason),
            energy,
            request.offline is True,
        )
        self.told[request.transaction_info.transaction_id].append(row)
        return self.version.module.TransactionEventResponse()

    def _warn(self, _station: StationRecord, request: Any) -> Any:
        self.security.append(str(request.type))
        return self.version.module.SecurityEventNotificationResponse()

    async def cars(self, evse_id: int, until_s: float) -> None:
        """One car after the other at an EVSE, the last one still charging at the end."""
        evse, hardware = self.station.evse(evse_id), self.hardware[evse_id]
        chance = Ids(seed=evse_id)
        while self.clock.elapsed_s < until_s:
            await evse.plugged_in()
            await self.clock.sleep(1)
            hardware.draw(on=True)
            await evse.energy_flows()
            await self.clock.sleep((4 + 12 * chance.random()) * 3_600)
            transaction_id = evse.transaction_id
            assert transaction_id is not None
            hardware.draw(on=False)
            await evse.energy_stops()
            await evse.unplugged()
            reading = await hardware.read_meter()
            self.ended[transaction_id] = reading.energy_wh
            await self.clock.sleep(chance.random() * 7_200)


async def away(plant: Plant, days: int) -> int:
    """So many days without a CSMS; returns the most messages that waited at any full hour."""
    assert plant.link is not None
    plant.reachable = False
    plant.link.cut()
    end_s = plant.clock.elapsed_s + days * DAY_S
    for evse_id in plant.hardware:
        plant.station.charge_point.spawn(plant.cars(evse_id, end_s), "cars")
    most = 0
    delivery = plant.station.charge_point.delivery
    while plant.clock.elapsed_s < end_s + DAY_S:  # until the last car has gone
        await plant.clock.sleep(3_600)
        most = max(most, delivery.waiting)
    return most


def check(plant: Plant) -> int:
    """Everything that may not be dropped has come, in order; returns how many readings have not."""
    missing = 0
    assert plant.ended.keys() == plant.told.keys()
    for transaction_id, events in plant.told.items():
        numbers = [number for number, *_ in events]
        assert numbers == sorted(set(numbers))
        kinds = [kind for _, kind, *_ in events]
        assert (kinds[0], kinds[-1], numbers[0]) == ("Started", "Ended", 0)
        assert {*kinds[1:-1]} == {"Updated"}
        triggers = [trigger for _, _, trigger, *_ in events]
        assert triggers.count("ChargingStateChanged") == 2, "only readings are dropped"
        assert all(offline for *_, offline in events)
        energies = [energy for *_, energy, _ in events if energy]
        assert energies == sorted(energies)
        assert energies[-1] == plant.ended[transaction_id], "the last word on the energy is there"
        missing += numbers[-1] + 1 - len(numbers)
    return missing


def two_weeks(*, days: int, evses: int, max_queued: int) -> None:
    async def run(clock: VirtualClock) -> None:
        plant = Plant(clock, evses=evses, max_queued_messages=max_queued)
        async with plant.station:
            await clock.sleep(1)
            most = await away(plant, days)
            point = plant.station.charge_point
            thinned = point.delivery.thinned
            assert max_queued * 0.5 < most <= max_queued * 1.11, "bounded"
            assert thinned > 0
            plant.reachable = True
            await clock.sleep(330)
            assert point.delivery.waiting > 0, "replay is paced"
            await clock.sleep(3_600)
            assert (point.delivery.waiting, point.delivery.dead) == (0, 0)
            assert check(plant) == point.delivery.thinned == thinned
            assert await plant.storage.outbox_load() == []
            assert "MemoryExhaustion" in plant.security

            # And it goes on as if nothing had been.
            plant.told.clear()
            plant.ended.clear()
            point.spawn(plant.cars(1, clock.elapsed_s + 1), "cars")
            await clock.sleep(17 * 3_600)
            (events,) = plant.told.values()
            assert [number for number, *_ in events] == list(range(len(events)))
            assert not any(offline for *_, offline in events)
        await plant.csms.stop()

    run_virtual(run)


def test_four_days_offline_with_50_evses() -> None:
    """A 14th of the full one, with the same proportions."""
    two_weeks(days=4, evses=50, max_queued=7_000)


@pytest.mark.timeout(600)
def test_two_weeks_offline_with_200_evses() -> None:
    """Issue 6: TxUpdatedInterval 900 s, in-memory storage, 100,000 messages. Some 40 s of work."""
    two_weeks(days=14, evses=EVSES, max_queued=100_000)
