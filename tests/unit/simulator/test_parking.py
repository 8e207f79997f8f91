"""Simulated cars and meters over restarts."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from ocpp_fast.restoring import Restart
from ocpp_fast.simulator import Car, SimulatedEvse
from ocpp_fast.simulator.parking import Parked, Parking
from ocpp_fast.testing import VirtualClock, run_virtual


class Writer:
    def __init__(self, *, durable: bool = True) -> None:
        self.durable = durable
        self.facts: dict[str, str | None] = {}

    def put(self, facts: Mapping[str, str | None]) -> None:
        self.facts |= facts


def found(facts: Mapping[str, str]) -> dict[int, Parked]:
    cars: dict[int, Parked] = {}
    parking = Parking(Writer, cars.update)
    asyncio.run(parking.restore(facts, Restart("PowerUp", datetime(2026, 1, 1, tzinfo=UTC))))
    return cars


def test_a_car_is_found_as_it_was_left() -> None:
    writer = Writer()
    parking = Parking(lambda: writer, lambda _: None)
    parked = Parked(Car(capacity_wh=40_000, energy_wh=7_000, phases=1), 2, 123.4)
    parking.note(7, parked)
    parking.note(8, None)
    assert writer.facts["simulator.8"] is None
    fact = writer.facts["simulator.7"]
    assert fact is not None
    assert found({"simulator.7": fact}) == {7: parked}


def test_nothing_is_written_where_nothing_stays() -> None:
    writer = Writer(durable=False)
    Parking(lambda: writer, lambda _: None).note(1, Parked(Car(), 1, 0))
    assert writer.facts == {}


@pytest.mark.parametrize("fact", ["", "[]", "{}", '{"car": {"wheels": 4}}', '{"car": 1}'])
def test_a_car_that_cannot_be_read_is_none(fact: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert found({"simulator.1": fact}) == {}
    assert "simulator.1" in caplog.text


def test_a_parked_car_has_what_it_took() -> None:
    async def scenario(clock: VirtualClock) -> None:
        evse = SimulatedEvse(clock)
        evse.count_on(1_500)
        evse.park(Parked(Car(energy_wh=10_000), 2, 1_000))
        assert evse.car is not None
        assert evse.car.energy_wh == 10_500
        assert await evse.connected_at() == 2
        evse.park(Parked(Car(capacity_wh=10_000, energy_wh=9_900), 1, 1_000))
        assert evse.car.energy_wh == 10_000, "no more than it can hold"
        evse.park(Parked(Car(energy_wh=10_000), 1, 2_000))
        assert evse.car.energy_wh == 10_000, "no less than it had"

    run_virtual(scenario)


def test_a_register_never_runs_backwards() -> None:
    async def scenario(clock: VirtualClock) -> None:
        evse = SimulatedEvse(clock, energy_wh=500)
        evse.count_on(400)
        assert evse.energy_wh == 500
        evse.count_on(600)
        assert evse.energy_wh == 600

    run_virtual(scenario)


def test_without_mains_nothing_flows() -> None:
    async def scenario(clock: VirtualClock) -> None:
        evse = SimulatedEvse(clock)
        assert await evse.connected_at() is None
        evse.car = Car()
        await evse.allow_power()
        await clock.sleep(10)
        evse.lose_power()
        energy = evse.energy_wh
        assert energy > 0
        await clock.sleep(100)
        assert (evse.power_w, evse.energy_wh) == (0, energy)
        assert await evse.connected_at() == 1, "the car stays"

    run_virtual(scenario)
