"""E05: what is done about a token that the CSMS does not accept, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from ocpp_fast.blocks.readings import Readings
from ocpp_fast.blocks.transactions.refusal import Refusals
from ocpp_fast.blocks.transactions.transaction import Transaction
from ocpp_fast.testing import VirtualClock, run_virtual
from unit.blocks.transactions.kit import context, reading

ALLOWANCE: dict[str, Any] = {"stop_tx_on_invalid_id": False, "max_energy_on_invalid_id_wh": 500.0}


class Desk:
    """One transaction, what is remembered of it and what is asked of the hardware side."""

    def __init__(self, clock: VirtualClock, **variables: Any) -> None:
        async def stop(evse_id: int, reason: str) -> None:
            self.done.append(("stop", evse_id, str(reason)))

        async def pause(evse_id: int) -> None:
            self.done.append(("pause", evse_id))

        self.done: list[tuple[object, ...]] = []
        self.remembered: list[tuple[bool, float | None]] = []
        self.transaction = Transaction("tx", 1, "Charging")
        callbacks = SimpleNamespace(stop_transaction_callback=stop, pause_charging_callback=pause)
        shared = context(clock=clock, callbacks=callbacks, **variables)
        shared.spawn = lambda work, _name: tasks.append(asyncio.ensure_future(work))
        tasks: list[Any] = []
        events: Any = SimpleNamespace(remember=self._remember)
        self.readings = Readings(shared)
        self.refusals = Refusals(shared, self.readings, {1: self.transaction}, events)

    def _remember(self, transaction: Transaction) -> None:
        self.remembered.append((transaction.refused, transaction.energy_limit_wh))

    async def judge(self, *, accepted: bool) -> None:
        self.refusals.judged(self.transaction, accepted=accepted)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def meter(self, energy_wh: float | None, evse_id: int = 1) -> list[tuple[object, ...]]:
        """What is asked for after this reading."""
        self.done.clear()
        self.readings.put(evse_id, reading(energy_wh, Voltage=230.0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return self.done


def at_desk(work: Callable[[Desk], Coroutine[Any, Any, None]], **variables: Any) -> None:
    async def run(clock: VirtualClock) -> None:
        await work(Desk(clock, **variables))

    run_virtual(run)


def test_e05_fr_09_10_it_ends_the_authorization() -> None:
    async def work(desk: Desk) -> None:
        await desk.judge(accepted=False)
        assert desk.done == [("stop", 1, "DeAuthorized")]
        assert desk.remembered == [(True, None)]

    at_desk(work, stop_tx_on_invalid_id=True, max_energy_on_invalid_id_wh=500.0)


@pytest.mark.parametrize("limit_wh", [None, 0.0])
def test_e05_fr_02_or_the_energy_stops(limit_wh: float | None) -> None:
    async def work(desk: Desk) -> None:
        await desk.meter(1_000)
        await desk.judge(accepted=False)
        assert desk.done == [("pause", 1)]
        assert desk.transaction.energy_limit_wh is None

    at_desk(work, stop_tx_on_invalid_id=False, max_energy_on_invalid_id_wh=limit_wh)


def test_a_token_that_is_accepted_costs_no_writing() -> None:
    async def work(desk: Desk) -> None:
        await desk.judge(accepted=True)
        await desk.judge(accepted=True)
        assert (desk.remembered, desk.done) == ([], [])

    at_desk(work, **ALLOWANCE)


def test_e05_fr_03_the_allowance_is_one_however_often_it_is_refused() -> None:
    async def work(desk: Desk) -> None:
        await desk.meter(1_000)
        await desk.judge(accepted=False)
        await desk.meter(1_200)
        await desk.judge(accepted=False)
        assert desk.transaction.energy_limit_wh == 1_500
        assert desk.remembered == [(True, None), (True, 1_500)]
        assert await desk.meter(1_499.9) == []
        assert await desk.meter(None) == []
        assert await desk.meter(9_000, evse_id=2) == []
        assert await desk.meter(1_500) == [("pause", 1)]
        assert await desk.meter(1_600) == [], "once is enough"
        await desk.judge(accepted=False)
        assert desk.done == [("pause", 1)], "it has been exceeded"

    at_desk(work, **ALLOWANCE)


@pytest.mark.parametrize("is_read", [True, False])
def test_e05_fr_02_without_a_reading_nobody_knows_how_much_it_would_be(*, is_read: bool) -> None:
    async def work(desk: Desk) -> None:
        if is_read:
            await desk.meter(None)
        await desk.judge(accepted=False)
        assert desk.done == [("pause", 1)]
        await desk.meter(1_000)
        await desk.judge(accepted=False)
        assert desk.transaction.energy_limit_wh == 1_500

    at_desk(work, **ALLOWANCE)


def test_a_token_that_is_accepted_after_all_has_its_allowance_anew() -> None:
    async def work(desk: Desk) -> None:
        await desk.meter(1_000)
        await desk.judge(accepted=False)
        await desk.meter(1_500)
        await desk.judge(accepted=True)
        assert desk.remembered[-1] == (False, None)
        assert await desk.meter(2_000) == []
        await desk.judge(accepted=False)
        assert (desk.done, desk.transaction.energy_limit_wh) == ([], 2_500)
        assert await desk.meter(2_500) == [("pause", 1)]

    at_desk(work, **ALLOWANCE)


def test_before_it_is_decided_what_becomes_of_it_nothing_is_paused() -> None:
    """After a restart the register may be read before the transaction goes on."""

    async def work(desk: Desk) -> None:
        desk.transaction.refused = desk.transaction.restored = True
        desk.transaction.energy_limit_wh = 1_500
        assert await desk.meter(1_600) == []
        desk.transaction.restored = False
        assert await desk.meter(1_600) == [("pause", 1)]

    at_desk(work, **ALLOWANCE)
