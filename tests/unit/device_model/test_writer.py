"""Durable writes: coalesced, in order, and never lost while the process lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest

from device_model.keeping import FaultyStorage
from ocpp_fast.device_model.writer import FIRST_PAUSE_S, LONGEST_PAUSE_S, Writer
from ocpp_fast.errors import StorageError
from ocpp_fast.storage import ValueRow
from ocpp_fast.testing import VirtualClock, run_virtual


def row(variable: str, text: str) -> ValueRow:
    return ("A", "", 0, 0, variable, "", "Actual", text, "internal")


class SlowStorage(FaultyStorage):
    """Takes until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    def values_store(self, rows: Sequence[ValueRow]) -> Awaitable[None]:
        async def work() -> None:
            await self.gate.wait()
            await FaultyStorage.values_store(self, rows)

        return work()


Scenario = Callable[[Writer, Any, VirtualClock], Coroutine[Any, Any, None]]


def with_writer(scenario: Scenario, storage: Callable[[], FaultyStorage] = FaultyStorage) -> None:
    async def run(clock: VirtualClock) -> None:
        kept = storage()
        writer = Writer(kept, clock)
        running = asyncio.create_task(writer.run())
        await scenario(writer, kept, clock)
        writer.finish()
        await running

    run_virtual(run)


def test_what_gathers_is_stored_at_once_the_last_of_each() -> None:
    async def scenario(writer: Writer, storage: FaultyStorage, _: VirtualClock) -> None:
        for number in range(1_000):
            writer.put(row("V", str(number)))
            writer.put(row("W", str(-number)))
        assert len(list(writer.waiting)) == 2
        await writer.drained()
        assert storage.stored == [[row("V", "999"), row("W", "-999")]]

    with_writer(scenario)


def test_a_failing_storage_is_tried_again_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(writer: Writer, storage: FaultyStorage, clock: VirtualClock) -> None:
        storage.broken = True
        writer.put(row("V", "1"))
        await clock.sleep(100)
        assert writer.failing
        # 0, 1, 3, 7, 15, 31, 63 s
        assert storage.attempts == 7
        writer.put(row("V", "2"))
        writer.put(row("W", "3"))
        storage.broken = False
        await writer.drained()
        assert storage.texts() == {"V": "2", "W": "3"}
        assert not writer.failing

    caplog.set_level(logging.INFO)
    with_writer(scenario)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "memory for now" in caplog.text
    assert "stored again" in caplog.text


def test_the_pauses_have_a_bound() -> None:
    assert FIRST_PAUSE_S <= LONGEST_PAUSE_S

    async def scenario(writer: Writer, storage: FaultyStorage, clock: VirtualClock) -> None:
        storage.broken = True
        writer.put(row("V", "1"))
        await clock.sleep(3_600)
        assert storage.attempts > 3_600 / LONGEST_PAUSE_S
        storage.broken = False

    with_writer(scenario)


def test_finish_tries_once_more_and_says_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(writer: Writer, storage: FaultyStorage, clock: VirtualClock) -> None:
        storage.broken = True
        writer.put(row("V", "1"))
        await clock.sleep(1.5)
        assert storage.attempts == 2

    with_writer(scenario)
    assert "1 values of the device model are lost" in caplog.text


def test_what_is_stored_now_takes_effect_when_it_is_durable() -> None:
    async def scenario(writer: Writer, storage: FaultyStorage, _: VirtualClock) -> None:
        seen: list[dict[str, str | None]] = []
        await writer.store([row("V", "1")], lambda: seen.append(storage.texts()))
        assert seen == [{"V": "1"}]

    with_writer(scenario)


def test_what_cannot_be_stored_now_does_not_take_effect_and_older_values_hold() -> None:
    async def scenario(writer: Writer, storage: FaultyStorage, _: VirtualClock) -> None:
        storage.broken = True
        writer.put(row("V", "older"))
        done: list[bool] = []
        with pytest.raises(StorageError):
            await writer.store([row("V", "new"), row("W", "new")], lambda: done.append(True))
        assert not done
        storage.broken = False
        await writer.drained()
        assert storage.texts() == {"V": "older"}

    with_writer(scenario)


def test_what_holds_already_is_stored_later_when_it_cannot_be_now() -> None:
    async def scenario(writer: Writer, storage: FaultyStorage, _: VirtualClock) -> None:
        storage.broken = True
        with pytest.raises(StorageError):
            await writer.store([row("V", "1")])
        storage.broken = False
        await writer.drained()
        assert storage.texts() == {"V": "1"}

    with_writer(scenario)


def test_an_older_value_never_comes_after_a_newer_one() -> None:
    """The last word in memory is the last word on the disk, whatever is under way."""

    async def scenario(writer: Writer, storage: SlowStorage, _: VirtualClock) -> None:
        memory = {"V": "1", "W": "1"}
        for name in memory:
            writer.put(row(name, "1"))
        await asyncio.sleep(0)  # that batch is under way now

        def apply() -> None:
            memory.update(V="3", W="3")

        setting = asyncio.create_task(writer.store([row("V", "3"), row("W", "3")], apply))
        await asyncio.sleep(0)
        for _turn in range(3):
            memory["V"] = "2"  # before the setting takes effect
            writer.put(row("V", "2"))
            await asyncio.sleep(0)
        storage.gate.set()
        await setting
        memory["W"] = "4"
        writer.put(row("W", "4"))
        await writer.drained()
        assert storage.texts() == memory == {"V": "3", "W": "4"}

    with_writer(scenario, SlowStorage)


def test_a_setting_that_is_cancelled_on_its_way_to_the_disk_takes_effect() -> None:
    """Nobody knows what the disk says by then; memory and disk have to say the same."""

    async def scenario(writer: Writer, storage: SlowStorage, _: VirtualClock) -> None:
        done: list[bool] = []
        setting = asyncio.create_task(writer.store([row("V", "1")], lambda: done.append(True)))
        await asyncio.sleep(0)
        setting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await setting
        assert done == [True]
        storage.gate.set()
        await writer.drained()
        assert storage.texts() == {"V": "1"}

    with_writer(scenario, SlowStorage)


def test_a_setting_that_is_cancelled_before_its_turn_has_no_effect() -> None:
    async def scenario(writer: Writer, storage: SlowStorage, _: VirtualClock) -> None:
        writer.put(row("V", "1"))
        await asyncio.sleep(0)
        done: list[bool] = []
        setting = asyncio.create_task(writer.store([row("V", "2")], lambda: done.append(True)))
        await asyncio.sleep(0)
        setting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await setting
        storage.gate.set()
        await writer.drained()
        assert not done
        assert storage.texts() == {"V": "1"}

    with_writer(scenario, SlowStorage)


def test_flush_stores_what_waits_of_one_attribute() -> None:
    async def scenario(writer: Writer, storage: FaultyStorage, _: VirtualClock) -> None:
        writer.put(row("V", "1"))
        await writer.flush(row("V", "")[:7])
        assert storage.texts() == {"V": "1"}
        attempts = storage.attempts
        await writer.flush(row("V", "")[:7])
        assert storage.attempts == attempts

    with_writer(scenario)
