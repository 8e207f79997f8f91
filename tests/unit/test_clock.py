import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ocpp_fast.clock import Clock, SystemClock
from ocpp_fast.testing import Stalled, VirtualClock, run_virtual

START = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)


async def test_the_system_clock_tells_the_time_in_utc() -> None:
    clock: Clock = SystemClock()
    before = datetime.now(UTC)
    now = clock.now()
    assert before <= now <= datetime.now(UTC)
    assert now.utcoffset() == timedelta(0)


async def test_the_system_clock_sleeps_and_calls_later() -> None:
    clock: Clock = SystemClock()
    called: list[str] = []
    start = clock.monotonic()
    clock.call_later(0.01, lambda: called.append("kept"))
    clock.call_later(0.01, lambda: called.append("cancelled")).cancel()
    await clock.sleep(0.03)
    assert called == ["kept"]
    assert clock.monotonic() - start >= 0.03


async def test_wait_for_gives_the_result_or_raises_and_cancels() -> None:
    clock: Clock = SystemClock()
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    done.set_result("done")
    never = loop.create_future()
    assert await clock.wait_for(done, 1.0) == "done"
    with pytest.raises(TimeoutError):
        await clock.wait_for(never, 0.01)
    assert never.cancelled()


def test_a_virtual_day_of_a_thousand_timers_takes_no_time() -> None:
    async def scenario(clock: VirtualClock) -> datetime:
        for _ in range(1_000):
            await clock.sleep(86.4)
        return clock.now()

    real, took_s = SystemClock(), list[float]()
    for _ in range(3):  # the best of them, since the computer may be busy
        begun = real.monotonic()
        assert run_virtual(scenario, start=START) == START + timedelta(days=1)
        took_s.append(real.monotonic() - begun)
    assert min(took_s) < 2.0


def test_virtual_timers_fire_in_the_order_of_their_times() -> None:
    async def scenario(clock: VirtualClock) -> list[str]:
        fired: list[str] = []
        clock.call_later(3.0, lambda: fired.append("third"))
        clock.call_later(1.0, lambda: fired.append("first"))
        clock.call_later(2.0, lambda: fired.append("second"))
        await clock.sleep(2.5)
        assert fired == ["first", "second"]
        assert clock.elapsed_s == 2.5
        await clock.sleep(1.0)
        return fired

    assert run_virtual(scenario) == ["first", "second", "third"]


def test_virtual_years_pass() -> None:
    """The rounding of large times once kept timers from firing."""

    async def scenario(clock: VirtualClock) -> float:
        for _ in range(3):
            await clock.sleep(400 * 86_400)
            await clock.sleep(0.001)
        return clock.elapsed_s

    assert run_virtual(scenario) == pytest.approx(3 * 400 * 86_400 + 0.003, abs=1e-6)


@pytest.mark.parametrize("begin_s", [0.0, 0.1, 1e-9])
@pytest.mark.parametrize("days", [195, 400, 1_000, 4_000])
def test_any_time_of_virtual_sleep_ends(days: int, begin_s: float) -> None:
    """A timer may come to lie on the last digit of the clock."""

    async def scenario(clock: VirtualClock) -> float:
        await clock.sleep(begin_s)
        await clock.sleep(days * 86_400.0)
        return clock.elapsed_s

    assert run_virtual(scenario) == pytest.approx(begin_s + days * 86_400, abs=1e-4)


def test_wait_for_works_in_virtual_time() -> None:
    async def scenario(clock: VirtualClock) -> float:
        with pytest.raises(TimeoutError):
            await clock.wait_for(asyncio.Event().wait(), 3_600.0)
        return clock.elapsed_s

    assert run_virtual(scenario) == 3_600.0


def test_setting_the_virtual_wall_clock_leaves_timers_alone() -> None:
    async def scenario(clock: VirtualClock) -> None:
        begun = clock.monotonic()
        clock.step(timedelta(hours=-1))
        await clock.sleep(60.0)
        assert clock.now() == START - timedelta(hours=1) + timedelta(seconds=60)
        assert clock.monotonic() - begun == 60.0

    run_virtual(scenario, start=START)


def test_a_thread_can_still_wake_a_virtual_loop_that_has_no_timer() -> None:
    async def scenario(clock: VirtualClock) -> str:
        return await asyncio.to_thread(lambda: "from the thread")

    assert run_virtual(scenario) == "from the thread"


def test_a_virtual_loop_without_anything_to_do_is_stalled_and_not_hung(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ocpp_fast.testing.virtual_time._MAX_IDLE_S", 0.05)

    async def scenario(clock: VirtualClock) -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stalled):
        run_virtual(scenario)
