"""What the hands of an EVSE do when the hardware does not, and when power has to wait."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ocpp_fast.errors import HardwareError
from ocpp_fast.simulator import Car, SimulatedEvse
from ocpp_fast.station.actuators import HARDWARE_TIMEOUT_S, MOVES, Actuators
from ocpp_fast.station.machine import Effect
from ocpp_fast.testing import VirtualClock, run_virtual


class Hands:
    """The actuators of one EVSE, and what they have moved."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.hardware = SimulatedEvse(clock)
        self.actuators = Actuators(3, self.hardware, clock)
        self.moved: list[str] = []
        for method in MOVES.values():
            setattr(self.hardware, method, self._noting(method))

    def _noting(self, method: str) -> Callable[[], Coroutine[Any, Any, None]]:
        async def move() -> None:
            self.moved.append(method)

        return move


def with_hands(scenario: Callable[[Hands], Coroutine[Any, Any, None]]) -> None:
    run_virtual(lambda clock: scenario(Hands(clock)))


async def hang() -> None:
    await asyncio.Event().wait()


async def refuse() -> None:
    raise HardwareError("stuck")


async def crash() -> None:
    raise ZeroDivisionError


FAILURES = [(hang, "no answer"), (refuse, "stuck"), (crash, "ZeroDivisionError")]
failing = pytest.mark.parametrize(("failure", "logged"), FAILURES)


@pytest.mark.parametrize("effect", MOVES)
def test_each_effect_moves_what_it_is_called_after(effect: Effect) -> None:
    async def scenario(hands: Hands) -> None:
        assert await hands.actuators.move(effect)
        assert hands.moved == [MOVES[effect]]

    with_hands(scenario)


@failing
@pytest.mark.parametrize("effect", MOVES)
def test_what_fails_is_told_and_logged(
    effect: Effect, failure: Any, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(hands: Hands) -> None:
        setattr(hands.hardware, MOVES[effect], failure)
        with caplog.at_level(logging.ERROR):
            assert not await hands.actuators.move(effect)
        assert hands.clock.elapsed_s == (HARDWARE_TIMEOUT_S if failure is hang else 0)

    with_hands(scenario)
    assert logged in caplog.text
    assert "EVSE 3" in caplog.text


@failing
def test_where_the_ev_is(failure: Any, logged: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(hands: Hands) -> None:
        assert await hands.actuators.connected_at() == (True, None)
        hands.hardware.car, hands.hardware.connector_id = Car(), 2
        assert await hands.actuators.connected_at() == (True, 2)
        hands.hardware.connected_at = failure
        assert await hands.actuators.connected_at() == (False, None)

    with_hands(scenario)
    assert logged in caplog.text


def test_power_that_is_held_stays_off() -> None:
    async def scenario(hands: Hands) -> None:
        hands.actuators.held = True
        assert await hands.actuators.move(Effect.ALLOW_POWER)
        assert await hands.actuators.move(Effect.LOCK)
        assert hands.moved == ["lock"]
        hands.actuators.held = False
        await hands.actuators.move(Effect.ALLOW_POWER)
        assert hands.moved == ["lock", "allow_power"]

    with_hands(scenario)


def test_power_waits_until_its_time() -> None:
    async def scenario(hands: Hands) -> None:
        due: list[float] = []
        hands.actuators.delay_power(30, lambda: due.append(hands.clock.elapsed_s))
        await hands.actuators.move(Effect.ALLOW_POWER)
        await hands.clock.sleep(29)
        await hands.actuators.move(Effect.ALLOW_POWER)
        assert (hands.moved, due) == ([], [])
        await hands.clock.sleep(2)
        assert (hands.moved, due) == ([], [30]), "whoever has it waiting does it"
        await hands.actuators.move(Effect.ALLOW_POWER)
        assert hands.moved == ["allow_power"]

    with_hands(scenario)


def test_without_a_delay_nothing_waits() -> None:
    async def scenario(hands: Hands) -> None:
        due: list[int] = []
        hands.actuators.delay_power(30, lambda: due.append(1))
        hands.actuators.delay_power(0, lambda: due.append(2))
        await hands.actuators.move(Effect.ALLOW_POWER)
        assert hands.moved == ["allow_power"]
        await hands.clock.sleep(100)
        assert due == []

    with_hands(scenario)


def test_to_stop_power_ends_the_waiting() -> None:
    async def scenario(hands: Hands) -> None:
        due: list[int] = []
        hands.actuators.delay_power(30, lambda: due.append(1))
        await hands.actuators.move(Effect.STOP_POWER)
        await hands.clock.sleep(100)
        assert due == []
        await hands.actuators.move(Effect.ALLOW_POWER)
        assert hands.moved == ["stop_power", "allow_power"]

    with_hands(scenario)
