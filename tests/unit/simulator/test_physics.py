"""Simulated cars and meters obey physics: energy is the integral of power."""

from typing import Any

import pytest

from ocpp_fast.clock import SystemClock
from ocpp_fast.errors import HardwareError
from ocpp_fast.simulator import Car, SimulatedEvse
from ocpp_fast.testing import VirtualClock, run_virtual


def charging(clock: VirtualClock, car: Car, **options: Any) -> SimulatedEvse:
    evse = SimulatedEvse(clock, **options)
    evse.car = car
    return evse


def test_the_register_is_the_integral_of_the_power() -> None:
    """Looked at in odd steps, through the taper, up to the full battery: within 0.1 %."""

    async def scenario(clock: VirtualClock) -> None:
        car = Car(capacity_wh=20_000, energy_wh=15_000, max_power_w=11_000)
        evse = charging(clock, car)
        await evse.allow_power()
        integral_wh, step_s = 0.0, 0.5
        for _ in range(40_000):
            integral_wh += evse.power_w * step_s / 3_600
            await clock.sleep(step_s)
        reading = await evse.read_meter()
        assert reading is not None
        assert reading.energy_wh == pytest.approx(5_000, rel=1e-3)
        assert integral_wh == pytest.approx(reading.energy_wh, rel=2e-3)
        assert reading.power_w == 0.0
        assert car.soc == pytest.approx(1.0)
        await evse.stop_power()

    run_virtual(scenario)


@pytest.mark.parametrize("phases", [1, 2, 3])
def test_currents_and_power_agree_and_keep_the_limit(phases: int) -> None:
    async def scenario(clock: VirtualClock) -> None:
        evse = charging(clock, Car(max_power_w=100_000, phases=phases), max_current_a=16)
        await evse.allow_power()
        await clock.sleep(10)
        reading = await evse.read_meter()
        assert reading is not None
        assert reading.current_a is not None
        assert reading.voltage_v is not None
        assert sum(1 for current in reading.current_a if current) == phases
        assert max(reading.current_a) <= 16
        apparent = sum(a * v for a, v in zip(reading.current_a, reading.voltage_v, strict=True))
        assert apparent == pytest.approx(reading.power_w, rel=1e-3)
        await evse.stop_power()

    run_virtual(scenario)


def test_nothing_flows_without_permission() -> None:
    async def scenario(clock: VirtualClock) -> None:
        evse = charging(clock, Car())
        await clock.sleep(100)
        assert evse.energy_wh == 0
        await evse.allow_power()
        await clock.sleep(0.5)
        assert evse.power_w == 0, "the car has not reacted yet"
        await clock.sleep(100)
        await evse.stop_power()
        energy_wh = evse.energy_wh
        await clock.sleep(100)
        assert evse.energy_wh == energy_wh > 0

    run_virtual(scenario)


def test_speed_makes_hours_of_minutes() -> None:
    async def scenario(clock: VirtualClock) -> None:
        evse = charging(clock, Car(max_power_w=6_000, energy_wh=0), speed=60)
        await evse.allow_power()
        await clock.sleep(61)
        assert evse.energy_wh == pytest.approx(6_000, rel=0.01)
        await evse.stop_power()

    run_virtual(scenario)


def test_a_car_takes_less_and_less_above_four_fifths() -> None:
    car = Car(capacity_wh=100, energy_wh=0, max_power_w=1_000)
    powers: list[float] = []
    for percent in range(0, 101, 10):
        car.energy_wh = percent
        powers.append(car.power_w(5_000))
    assert powers[:9] == [1_000] * 9
    assert powers[9] == pytest.approx(550)
    assert powers[10] == 0


def test_a_car_never_holds_more_than_its_battery() -> None:
    car = Car(capacity_wh=100, energy_wh=90)
    taken = sum(car.charge(1_000_000, 3_600) for _ in range(10))
    assert taken == pytest.approx(10)
    assert car.energy_wh == pytest.approx(100)


async def test_a_broken_part_says_so() -> None:
    evse = SimulatedEvse(SystemClock())
    evse.broken.add("lock")
    with pytest.raises(HardwareError, match="lock is broken"):
        await evse.lock()
    with pytest.raises(HardwareError, match="belongs to no station"):
        await evse.plug_in(Car())
