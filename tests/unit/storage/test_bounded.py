"""A storage that hangs, for whoever asks it directly."""

import asyncio
import logging
from typing import Any

import pytest

from ocpp_fast.errors import StorageError
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.storage.bounded import FILE_S, VERB_S, bounded
from ocpp_fast.testing import VirtualClock, run_virtual
from unit.storage.hanging import CountingClock, HangingStorage

BOUND_S = 1.25 * VERB_S


def test_a_storage_that_works_is_the_same(caplog: pytest.LogCaptureFixture) -> None:
    async def run(clock: VirtualClock) -> None:
        inner: Any = HangingStorage()
        inner.fault = "read-only"
        storage = bounded(inner, clock)
        assert storage.durable
        assert storage.fault == "read-only"
        await storage.open()
        await storage.state_store({"a.a": "1"})
        assert await storage.state_load() == {"a.a": "1"}
        assert await storage.outbox_load(after=0, limit=1) == []
        inner.error = error = StorageError("station.db", "state_store", "disk I/O error")
        with pytest.raises(StorageError) as raised:
            await storage.state_store({"a.a": "2"})
        assert raised.value is error
        await storage.close()
        assert inner.begun[-1] == "close"
        memory = MemoryStorage()
        assert bounded(memory, clock) is memory, "it does its work when it is called"

    run_virtual(run)
    assert caplog.text == ""


def test_nobody_waits_for_one_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    async def run(clock: VirtualClock) -> None:
        inner: Any = HangingStorage()
        storage = bounded(inner, clock)
        inner.hang("state_store")
        work = asyncio.ensure_future(storage.state_store({"a.a": "1"}))
        await clock.sleep(5)
        behind = asyncio.ensure_future(storage.state_load())
        await clock.sleep(VERB_S - 5.1)
        assert not work.done()
        with pytest.raises(StorageError, match="state_store failed: it has not returned for 15 s"):
            await work
        assert clock.elapsed_s <= BOUND_S + 0.1
        for verb in (storage.state_load, storage.values_load, storage.open):
            before = clock.elapsed_s
            with pytest.raises(StorageError, match="a verb has not returned yet"):
                await verb()
            assert clock.elapsed_s == before
        with pytest.raises(StorageError, match="state_load failed: it has not returned for 15 s"):
            await behind
        assert clock.elapsed_s <= BOUND_S + 5.1
        inner.come_back()
        await clock.sleep(0.1)
        assert inner.begun.count("outbox_last_row_id") == 1, "it was asked once whether it is back"
        assert await storage.state_load() == {"a.a": "1"}, "it has been done after all"

        inner.hang("state_store")
        with pytest.raises(StorageError):
            await storage.state_store({"a.a": "2"})
        inner.come_back(StorageError("x", "y", "dying"))
        await clock.sleep(0.1)
        assert await storage.state_load() == {"a.a": "1"}

    with caplog.at_level(logging.WARNING):
        run_virtual(run)
    assert caplog.text.count("of the storage has come back: done") == 2


def test_it_goes_on_when_even_the_question_whether_it_is_back_fails() -> None:
    async def run(clock: VirtualClock) -> None:
        inner: Any = HangingStorage()
        storage = bounded(inner, clock)
        inner.hang("state_store")
        with pytest.raises(StorageError):
            await storage.state_store({"a.a": "1"})
        inner.read_error = StorageError("x", "outbox_last_row_id", "dying")
        inner.come_back()
        await clock.sleep(0.1)
        await storage.state_store({"a.a": "2"})

    run_virtual(run)


def test_a_slow_one_is_waited_for_and_nothing_ticks_without_need() -> None:
    async def run(clock: VirtualClock) -> None:
        inner: Any = HangingStorage()
        counting = CountingClock()
        storage = bounded(inner, counting)
        for _ in range(1_000):
            await storage.state_store({"a.a": "1"})
        assert counting.calls == 1
        await clock.sleep(1_000)
        assert counting.calls == 1
        inner.slow_s = VERB_S - 0.1
        for _ in range(10):
            await storage.state_store({"a.a": "1"})

    run_virtual(run)


def test_who_is_cancelled_is_told_so_also_when_it_hangs() -> None:
    async def run(clock: VirtualClock) -> None:
        inner: Any = HangingStorage()
        storage = bounded(inner, clock)
        inner.hang()
        first = asyncio.ensure_future(storage.state_store({"a.a": "1"}))
        await clock.sleep(1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        # In the very moment in which it is given up.
        second = asyncio.ensure_future(storage.state_store({"a.a": "1"}))
        third = asyncio.ensure_future(storage.state_store({"a.a": "1"}))
        fourth = asyncio.ensure_future(storage.state_store({"a.a": "1"}))
        looking = storage._look  # type: ignore[attr-defined]
        await clock.sleep(1)
        second.cancel()
        for _ in range(5):
            looking()
        third.cancel()
        for each in (second, third):
            with pytest.raises(asyncio.CancelledError):
                await each
        with pytest.raises(StorageError):
            await fourth

        # Who has caught it goes on, and may be cancelled later as anybody.
        async def go_on() -> str:
            with pytest.raises(StorageError):
                await storage.state_store({"a.a": "1"})
            task = asyncio.current_task()
            assert task is not None
            assert not task.cancelling()
            await clock.sleep(1)
            return "goes on"

        inner.come_back()
        await clock.sleep(1)
        inner.hang()
        assert await asyncio.ensure_future(go_on()) == "goes on"

    run_virtual(run)


def test_one_that_hangs_is_closed_in_bounded_time(caplog: pytest.LogCaptureFixture) -> None:
    async def run(clock: VirtualClock) -> None:
        for verb in ("state_store", "close"):
            inner: Any = HangingStorage()
            storage = bounded(inner, clock)
            inner.hang(verb)
            if verb != "close":
                with pytest.raises(StorageError):
                    await storage.state_store({"a.a": "1"})
            before = clock.elapsed_s
            await storage.close()
            assert clock.elapsed_s - before == pytest.approx(VERB_S)
            inner.come_back()
            await clock.sleep(0.1)
            assert inner.begun[-1] == "close", "it was asked for all the same"

    run_virtual(run)
    assert caplog.text.count("close failed: it has not returned") == 2


def test_a_file_may_take_longer_to_open() -> None:
    async def run(clock: VirtualClock) -> None:
        inner: Any = HangingStorage()
        storage = bounded(inner, clock)
        inner.slow_s = FILE_S - 1
        await storage.open()
        await storage.replace_damaged()
        inner.slow_s = 0
        inner.hang("open")
        before = clock.elapsed_s
        with pytest.raises(StorageError, match="open failed: it has not returned for 300 s"):
            await storage.open()
        assert clock.elapsed_s - before == pytest.approx(FILE_S)
        with pytest.raises(StorageError, match="open has not returned yet"):
            await storage.open()
        # Nobody is left who would close it.
        inner.begun.clear()
        inner.come_back()
        await clock.sleep(0.1)
        assert inner.begun == ["close"]
        await storage.open()

    run_virtual(run)


def test_who_is_cancelled_leaves_nothing_undone() -> None:
    async def run(clock: VirtualClock) -> None:
        inner: Any = HangingStorage()
        storage = bounded(inner, clock)
        inner.slow_s = 1
        work = asyncio.ensure_future(storage.state_store({"a.a": "1"}))
        await clock.sleep(0.5)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert await storage.state_load() == {"a.a": "1"}

    run_virtual(run)
