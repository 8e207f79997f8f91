"""Meter checkpoints: how much energy and time a power loss can take."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from ocpp_fast.blocks.readings import Readings
from ocpp_fast.blocks.transactions.checkpoints import ALIVE_S, Checkpoints, meter_name
from ocpp_fast.blocks.transactions.durable import ALIVE
from ocpp_fast.blocks.transactions.transaction import Transaction
from ocpp_fast.messages import OcppVersion
from ocpp_fast.restoring import Restart
from ocpp_fast.testing import VirtualClock, run_virtual
from unit.blocks.transactions.kit import NOW, FakeFacts, context, energy_of, reading

RESTART = Restart("PowerUp", NOW)


class Desk:
    """Checkpoints and what they stand between."""

    def __init__(self, clock: VirtualClock, *, durable: bool = True, **variables: Any) -> None:
        self.clock = clock
        self.context = context(clock=clock, durable=durable, **variables)
        self.readings = Readings(self.context)
        self.active: dict[int, Transaction] = {}
        self.checkpoints = Checkpoints(self.context, self.readings, self.active)
        self.facts: FakeFacts = self.context.facts  # type: ignore[assignment]

    def begin(self, evse_id: int, energy_wh: float | None = None) -> Transaction:
        transaction = Transaction(f"tx{evse_id}", evse_id, "Charging")
        self.active[evse_id] = transaction
        first = None if energy_wh is None else reading(energy_wh)
        self.checkpoints.begin(evse_id, first)
        self.facts.put(self.checkpoints.along(transaction, self.clock.now()))
        return transaction

    def show(self, evse_id: int, energy_wh: float | None, **more: float) -> None:
        self.readings.put(
            evse_id, reading(energy_wh, self.clock.elapsed_s, OcppVersion.V21, **more)
        )

    def durable_wh(self, evse_id: int) -> float | None:
        text = self.facts.stored.get(meter_name(evse_id))
        return None if text is None else orjson.loads(text)["value"]["sampledValue"][0]["value"]

    @property
    def alive(self) -> float | None:
        text = self.facts.stored.get(ALIVE)
        return None if text is None else (datetime.fromisoformat(text) - NOW).total_seconds()


def at_desk(work: Callable[[Desk], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def run(clock: VirtualClock) -> None:
        desk = Desk(clock, **options)
        await work(desk)
        desk.checkpoints.stop()

    run_virtual(run)


def test_a_reading_is_durable_when_the_meter_has_moved_on() -> None:
    async def work(desk: Desk) -> None:
        desk.begin(1, 1_000)
        assert desk.durable_wh(1) == 1_000
        for energy in range(1_000, 2_000, 7):
            desk.show(1, energy)
            known = desk.durable_wh(1)
            assert known is not None
            assert energy - known < 100
        assert len(desk.facts.puts) == 1 + 990 // 105

    at_desk(work)


def test_the_step_is_a_setting_that_counts_at_once() -> None:
    async def work(desk: Desk) -> None:
        desk.begin(1, 0)
        desk.show(1, 49)
        assert desk.durable_wh(1) == 0
        desk.context.device_model.write(meter_checkpoint_energy_wh=10)
        desk.show(1, 50)
        assert desk.durable_wh(1) == 50

    at_desk(work)


def test_one_writing_takes_along_those_that_are_half_due() -> None:
    """A thousand EVSEs at a hundred different moments are not a hundred writings."""

    async def work(desk: Desk) -> None:
        for evse_id in (1, 2, 3):
            desk.begin(evse_id, 0)
        desk.show(2, 49)
        desk.show(3, 50)
        before = len(desk.facts.puts)
        desk.show(1, 100)
        assert len(desk.facts.puts) == before + 1
        assert [desk.durable_wh(evse_id) for evse_id in (1, 2, 3)] == [100, 0, 50]

    at_desk(work)


def test_once_a_minute_everything_is_durable_and_so_is_the_time() -> None:
    async def work(desk: Desk) -> None:
        desk.begin(1, 0)
        desk.begin(2, 0)
        await desk.clock.sleep(30)
        desk.show(1, 5)
        await desk.clock.sleep(ALIVE_S / 2 + 1)
        assert (desk.durable_wh(1), desk.durable_wh(2)) == (5, 0)
        assert desk.alive == pytest.approx(60)
        assert desk.facts.puts[-1].keys() == {ALIVE, meter_name(1)}
        await desk.clock.sleep(ALIVE_S)
        assert desk.facts.puts[-1].keys() == {ALIVE}, "what has not changed is not written again"

    at_desk(work)


@pytest.mark.parametrize(
    ("timeout_s", "every_s"), [(0, 60), (3_600, 60), (600, 60), (100, 10), (3, 1)]
)
def test_e17_fr_02_a_short_timeout_is_measured_to_a_tenth(timeout_s: int, every_s: float) -> None:
    async def work(desk: Desk) -> None:
        desk.begin(1, 0)
        desk.context.device_model.write(resumption_timeout_s=timeout_s)
        before = len(desk.facts.puts)
        await desk.clock.sleep(600.5)
        assert len(desk.facts.puts) - before == 600 // every_s

    at_desk(work)


def test_without_transactions_nothing_is_written() -> None:
    async def work(desk: Desk) -> None:
        desk.show(1, 5)
        transaction = desk.begin(1, 10)
        await desk.clock.sleep(61)
        desk.show(1, 12)
        del desk.active[1]
        desk.facts.put(desk.checkpoints.end(transaction))
        assert desk.durable_wh(1) == 12, "the register stays, for whoever asks"
        assert desk.checkpoints.last_energy_wh(1) == 12
        assert desk.alive is None
        before = len(desk.facts.puts)
        desk.show(1, 5_000)
        await desk.clock.sleep(600)
        assert len(desk.facts.puts) == before
        assert desk.durable_wh(1) == 12

    at_desk(work)


def test_the_next_transaction_is_watched_as_the_first_was() -> None:
    async def work(desk: Desk) -> None:
        transaction = desk.begin(1, 10)
        del desk.active[1]
        desk.facts.put(desk.checkpoints.end(transaction))
        await desk.clock.sleep(100)
        desk.begin(1, 20)
        await desk.clock.sleep(61)
        assert desk.alive == pytest.approx(160)

    at_desk(work)


def test_one_that_goes_on_is_watched_even_if_nothing_is_known_of_its_meter() -> None:
    async def work(desk: Desk) -> None:
        desk.active[1] = Transaction("tx1", 1, "Charging")
        desk.show(1, 5)
        desk.checkpoints.go_on(1)
        assert desk.checkpoints.last(1) is None
        desk.show(1, 7)
        assert desk.durable_wh(1) == 7
        await desk.clock.sleep(61)
        assert desk.alive == pytest.approx(60)

    at_desk(work)


def test_the_reading_at_the_end_is_durable_with_it() -> None:
    async def work(desk: Desk) -> None:
        transaction = desk.begin(1, 10)
        desk.checkpoints.note(1, reading(12))
        del desk.active[1]
        desk.facts.put(desk.checkpoints.end(transaction))
        assert desk.durable_wh(1) == 12

    at_desk(work)


def test_a_second_look_at_the_storage_begins_anew() -> None:
    """The first has found it damaged."""

    async def work(desk: Desk) -> None:
        desk.begin(1, 10)
        desk.checkpoints.note_alive(NOW)
        desk.checkpoints.forget()
        assert desk.checkpoints.last_alive is None
        assert desk.checkpoints.last(1) is None
        assert desk.checkpoints.last_energy_wh(1) is None

    at_desk(work)


@pytest.mark.parametrize(
    ("kept", "wanted"),
    [
        ([], 500),
        ([(400, 5)], 500),  # Older than the checkpoint.
        ([(400, 5), (510, 31)], 510),
        ([(400, 5), (510, 31), (None, 32)], 510),  # The last one does not tell the energy.
    ],
)
def test_a_reading_that_was_kept_may_be_newer(
    kept: list[tuple[float | None, float]], wanted: float
) -> None:
    async def run(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.begin(1)
        desk.readings.put(1, reading(500, 30))
        desk.checkpoints.stop()
        again = Desk(clock)
        again.active[1] = desk.active[1]
        again.active[1].kept_readings = [reading(wh, at, SoC=1) for wh, at in kept]
        again.active[2] = Transaction("tx2", 2, "Charging", kept_readings=[reading(8, 1)])
        await again.checkpoints.restore({meter_name(1): desk.facts.stored[meter_name(1)]}, RESTART)
        assert energy_of(again.checkpoints.last(1)) == wanted
        assert again.checkpoints.last_energy_wh(1) == wanted
        assert energy_of(again.checkpoints.last(2)) == 8, "without any checkpoint"
        again.facts.put(again.checkpoints.along(again.active[2], NOW))
        assert again.durable_wh(2) == 8

    run_virtual(run)


def test_the_end_of_one_leaves_the_others_alone() -> None:
    async def work(desk: Desk) -> None:
        one = desk.begin(1, 0)
        desk.begin(2, 0)
        del desk.active[1]
        desk.checkpoints.end(one)
        await desk.clock.sleep(61)
        assert desk.alive == pytest.approx(60)

    at_desk(work)


def test_what_is_durable_is_what_the_ended_event_may_need() -> None:
    async def work(desk: Desk) -> None:
        desk.begin(1, 0)
        desk.show(1, 200, Voltage=230, Current_Import=16, SoC=50)
        value = orjson.loads(desk.facts.stored[meter_name(1)])["value"]
        names = [each.get("measurand") for each in value["sampledValue"]]
        assert names == [None, "Voltage"]
        desk.show(1, None, SoC=51)
        await desk.clock.sleep(61)
        assert desk.durable_wh(1) == 200, "a reading without energy takes nothing from it"

    at_desk(work, tx_ended_measurands=("Voltage",))


def test_a_meter_that_was_replaced_counts_anew() -> None:
    async def work(desk: Desk) -> None:
        desk.begin(1, 50_000)
        desk.show(1, 3)
        assert desk.durable_wh(1) == 3

    at_desk(work)


@pytest.mark.parametrize("version", OcppVersion)
def test_after_a_restart_the_last_reading_and_the_last_moment_are_known(
    version: OcppVersion,
) -> None:
    async def run(clock: VirtualClock) -> None:
        desk = Desk(clock)
        desk.begin(1)
        desk.begin(2, 77)
        await clock.sleep(30)
        desk.readings.put(1, reading(500, 30, version))
        desk.checkpoints.stop()
        again = Desk(clock)
        again.active[1] = desk.active[1]
        again.active[2] = Transaction("another", 2, "Charging")
        meters = {n: t for n, t in desk.facts.stored.items() if n.startswith("meter.")}
        await again.checkpoints.restore({**meters, "meter.3": "{", "meter.4": "[]"}, RESTART)
        assert energy_of(again.checkpoints.last(1)) == 500
        assert again.checkpoints.last(2) is None, "that was another transaction"
        assert again.checkpoints.last_alive == NOW + timedelta(seconds=30)
        assert [again.checkpoints.last_energy_wh(n) for n in (1, 2, 3, 4)] == [500, 77, None, None]

    run_virtual(run)


def test_an_interruption_ends_only_when_a_transaction_goes_on() -> None:
    """E17.FR.02: a stop before it is decided what becomes of them records no new moment."""

    async def work(desk: Desk) -> None:
        desk.begin(1, 0).restored = True
        desk.checkpoints.write()
        assert desk.alive is None
        desk.active[1].restored = False
        desk.checkpoints.write()
        assert desk.alive is not None

    at_desk(work)


def test_a_time_that_is_known_to_be_wrong_is_not_recorded() -> None:
    async def run(clock: VirtualClock) -> None:
        desk = Desk(clock)
        assert not desk.context.clock.begin(NOW + timedelta(days=10))
        desk.begin(1, 0)
        await clock.sleep(61)
        assert desk.facts.stored[ALIVE] == ""
        desk.checkpoints.note_alive(None)
        assert desk.checkpoints.last_alive is None
        desk.checkpoints.redate(lambda at: at + timedelta(days=10))
        value = orjson.loads(desk.facts.stored[meter_name(1)])["value"]
        assert value["timestamp"].startswith("2026-01-11T00:00:00")
        desk.checkpoints.stop()

    run_virtual(run)


def test_a_storage_that_does_not_last_costs_nothing() -> None:
    async def work(desk: Desk) -> None:
        transaction = desk.begin(1, 0)
        desk.show(1, 5_000)
        desk.checkpoints.note(1, reading(5_000))
        desk.checkpoints.go_on(1)
        await desk.clock.sleep(600)
        assert desk.checkpoints.along(transaction, NOW) == {}
        assert desk.checkpoints.last(1) is None
        assert [put for put in desk.facts.puts if put] == []
        assert desk.readings._listeners == []

    at_desk(work, durable=False)
