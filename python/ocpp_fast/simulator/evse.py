"""The simulated hardware of one EVSE: contactor, lock and three-phase meter."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ocpp_fast.errors import HardwareError
from ocpp_fast.station.hardware import MeterReading

if TYPE_CHECKING:
    from ocpp_fast.clock import Clock, Timer
    from ocpp_fast.simulator.car import Car
    from ocpp_fast.simulator.parking import Parked
    from ocpp_fast.station.evse import EvseController
    from ocpp_fast.station.station import Station

__all__ = ["SimulatedEvse"]

_STEP_S: Final = 10.0
"""Longest time over which the power counts as constant, in simulated seconds."""
_MAX_STEPS: Final = 100_000
"""Bound on the steps of one look; beyond it (11 days) they become longer."""
_CAR_REACTION_S: Final = 1.0
"""How long a car takes to use power that is offered."""
_CHECK_S: Final = 1.0
"""How often it is looked whether the car still takes power."""


class SimulatedEvse:
    """An `EvseHardware`. The register of its meter is the integral of the power over the clock.

    With `speed` the meter and the car live so many times faster than the clock.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        max_current_a: float = 32.0,
        voltage_v: float = 230.0,
        speed: float = 1.0,
        energy_wh: float = 0.0,
    ) -> None:
        self._clock = clock
        self.max_current_a = max_current_a
        self.voltage_v = voltage_v
        self.speed = speed
        self.car: Car | None = None
        self.connector_id = 1
        """Where the car is plugged in, if one is."""
        self.locked = False
        self.broken: set[str] = set()
        """Names of the methods that fail: `lock`, `allow_power`, ..."""
        self._energy_wh = energy_wh
        self._drawing = False
        """Whether the contactor is closed and the car has had time to react."""
        self._updated: float | None = None
        self._controller: EvseController | None = None
        self._station: Station | None = None
        self._timer: Timer | None = None
        self._flowing: bool | None = None
        """What was last told about the power; None when nothing was since it is allowed."""

    # --- for the simulation ---------------------------------------------------------------

    def attach(self, station: Station, controller: EvseController) -> None:
        """Says whom to tell what happens here."""
        self._station, self._controller = station, controller

    async def plug_in(self, car: Car, connector_id: int = 1) -> None:
        """A driver plugs in a car."""
        self._advance()
        self.car, self.connector_id = car, connector_id
        await self._told().plugged_in(connector_id)

    async def unplug(self) -> Car | None:
        """The driver unplugs, at whichever end; power stops at once. Returns the car."""
        self._advance()
        car, self.car = self.car, None
        self._stop_watching()
        await self._told().unplugged()
        return car

    def lose_power(self) -> None:
        """The mains fail: the contactor falls open, and nobody is told. The car stays."""
        self._advance()
        self._drawing = False
        self._stop_watching()

    def count_on(self, energy_wh: float) -> None:
        """The register goes on from here: it has been so far in an earlier life."""
        self._energy_wh = max(self._energy_wh, energy_wh)

    def park(self, parked: Parked) -> None:
        """The car of an earlier life is still there, with what it has taken since."""
        car = self.car = replace(parked.car)
        self.connector_id = parked.connector_id
        taken = max(0.0, self._energy_wh - parked.register_wh)
        car.energy_wh = min(car.energy_wh + taken, car.capacity_wh)

    @property
    def energy_wh(self) -> float:
        """The register of the meter now."""
        self._advance()
        return self._energy_wh

    @property
    def power_w(self) -> float:
        """The power that flows now."""
        if self.car is None or not self._drawing:
            return 0.0
        return self.car.power_w(self._offered_w(self.car))

    # --- the actuators --------------------------------------------------------------------

    async def allow_power(self) -> None:
        """See `EvseHardware.allow_power`. The car follows after its reaction time."""
        self._check("allow_power")
        self._advance()
        self._flowing = None
        self._watch(_CAR_REACTION_S)

    async def stop_power(self) -> None:
        """See `EvseHardware.stop_power`."""
        self._check("stop_power")
        self._advance()
        self._drawing = False
        self._stop_watching()

    async def lock(self) -> None:
        """See `EvseHardware.lock`."""
        self._check("lock")
        self.locked = True

    async def unlock(self) -> None:
        """See `EvseHardware.unlock`."""
        self._check("unlock")
        self.locked = False

    async def connected_at(self) -> int | None:
        """See `EvseHardware.connected_at`."""
        self._check("connected_at")
        return None if self.car is None else self.connector_id

    async def read_meter(self) -> MeterReading | None:
        """See `EvseHardware.read_meter`."""
        self._check("read_meter")
        self._advance()
        power_w = self.power_w
        phases = 0 if self.car is None else self.car.phases
        current_a = power_w / phases / self.voltage_v if phases else 0.0
        used = [current_a] * phases + [0.0] * (3 - phases)
        return MeterReading(
            timestamp=self._clock.now(),
            energy_wh=round(self._energy_wh, 1),
            power_w=round(power_w, 1),
            current_a=(round(used[0], 2), round(used[1], 2), round(used[2], 2)),
            voltage_v=(self.voltage_v, self.voltage_v, self.voltage_v),
            soc_percent=None if self.car is None else round(self.car.soc * 100.0, 1),
        )

    # --- physics --------------------------------------------------------------------------

    def _offered_w(self, car: Car) -> float:
        return self.max_current_a * self.voltage_v * car.phases

    def _advance(self) -> None:
        """Brings the register and the battery up to the present."""
        now = self._clock.monotonic()
        since, self._updated = self._updated, now
        if since is None or self.car is None or not self._drawing:
            return
        elapsed_s = (now - since) * self.speed
        step_s = max(_STEP_S, elapsed_s / _MAX_STEPS)
        while elapsed_s > 0:
            duration_s = min(step_s, elapsed_s)
            self._energy_wh += self.car.charge(self._offered_w(self.car), duration_s)
            elapsed_s -= duration_s

    # --- what the car does ----------------------------------------------------------------

    def _watch(self, delay_s: float) -> None:
        self._stop_watching()
        self._timer = self._clock.call_later(delay_s, self._look)

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Tells when the car begins or ceases to take power."""
        self._advance()
        self._drawing = True
        flows = self.power_w > 0.0
        if flows != self._flowing and self._station is not None:
            self._flowing = flows
            controller = self._told()
            event = controller.energy_flows() if flows else controller.energy_stops()
            self._station.charge_point.spawn(event, "the car takes power or not")
        self._watch(_CHECK_S)

    def _check(self, method: str) -> None:
        if method in self.broken:
            raise HardwareError(f"{method} is broken")

    def _told(self) -> EvseController:
        if self._controller is None:
            raise HardwareError("this EVSE belongs to no station")
        return self._controller
