"""A simulated station: the real `Station` on simulated hardware, and drivers that use it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ocpp_fast.clock import SystemClock
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.simulator.car import Car
from ocpp_fast.simulator.evse import SimulatedEvse
from ocpp_fast.simulator.parking import Parked, Parking
from ocpp_fast.station.station import Station

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocpp_fast.clock import Clock
    from ocpp_fast.config import StationConfig
    from ocpp_fast.messages import v21
    from ocpp_fast.station.station import TokenOutcome

__all__ = ["SimulatedStation"]


class SimulatedStation(Station):
    """A `Station` whose EVSEs, meters and cars are simulated.

        async with SimulatedStation(config) as station:
            await station.plug_in(1)
            await station.swipe("04A1B2C3")

    Takes what `Station` takes, except the hardware; `speed` is how many times faster than the
    clock its cars and meters live. Many stations with the same `component_files` read them once.

    With a durable storage meters go on after a restart from the last register that is durable, and
    cars are where they were left; `cars`, by EVSE, says instead which are there at the start.
    """

    def __init__(
        self,
        config: StationConfig,
        *,
        clock: Clock | None = None,
        speed: float = 1.0,
        component_files: ComponentFiles | None = None,
        cars: Mapping[int, Car] | None = None,
        **options: Any,
    ) -> None:
        clock = clock or SystemClock()
        files = component_files or ComponentFiles()
        self.hardware = {
            evse_id: SimulatedEvse(clock, speed=speed) for evse_id in files.connectors(config)
        }
        super().__init__(config, self.hardware, clock=clock, component_files=files, **options)
        for evse_id, each in self.hardware.items():
            each.attach(self, self.evse(evse_id))
        self._cars = cars
        self._parking = Parking(lambda: self.charge_point.delivery.facts, self._on_restored)
        self.charge_point.restoring.register(self._parking)

    async def start(self, boot_reason: str = "PowerUp") -> None:
        """See `Station.start`."""
        for evse_id, car in (self._cars or {}).items():
            self.hardware[evse_id].car = car
        await super().start(boot_reason)
        if self._cars is not None:
            for evse_id in self.hardware:
                self._note(evse_id, self._cars.get(evse_id))

    def _on_restored(self, parked: Mapping[int, Parked]) -> None:
        for evse_id, each in self.hardware.items():
            each.count_on(self.charge_point.last_energy_wh(evse_id) or 0.0)
            if self._cars is None and each.car is None and evse_id in parked:
                each.park(parked[evse_id])

    def _note(self, evse_id: int, car: Car | None, connector_id: int = 1) -> None:
        """For the next life of this station."""
        if not self._parking.durable:
            return
        register_wh = self.hardware[evse_id].energy_wh
        parked = None if car is None else Parked(replace(car), connector_id, register_wh)
        self._parking.note(evse_id, parked)

    async def plug_in(self, evse_id: int, car: Car | None = None, connector_id: int = 1) -> Car:
        """A driver plugs in a car, by default one that is a quarter full; returns it."""
        car = car or Car()
        self._note(evse_id, car, connector_id)
        await self.hardware[evse_id].plug_in(car, connector_id)
        return car

    async def unplug(self, evse_id: int) -> None:
        """The driver unplugs the car."""
        self._note(evse_id, None)
        await self.hardware[evse_id].unplug()

    async def swipe(
        self, id_token: str, evse_id: int | None = None, kind: str = "ISO14443"
    ) -> TokenOutcome:
        """A driver presents a card, see `Station.present_token`."""
        return await self.present_token(self.token(id_token, kind), evse_id)

    def token(self, id_token: str, kind: str = "ISO14443") -> v21.IdTokenType:
        """A token of the OCPP version in use."""
        module: Any = self.charge_point.version.module
        return module.IdTokenType(id_token=id_token, type=kind)
