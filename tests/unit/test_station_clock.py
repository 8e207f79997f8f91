"""The station's clock over that of a computer, which may be wrong, and may be set."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ocpp_fast.clock import Clock, SystemClock
from ocpp_fast.station_clock import RELEASED, SLACK, STEP, StationClock
from ocpp_fast.testing import VirtualClock, run_virtual

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WOKEN = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)
HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)


class HandClock(SystemClock):
    """A computer's clock in the hand of a test. Time passes by `wait` alone."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at
        self.reads = 0
        self.elapsed_s = 5_000.0
        self.monotonic = self._monotonic

    def _monotonic(self) -> float:
        return self.elapsed_s

    def now(self) -> datetime:
        self.reads += 1
        return self.at

    def wait(self, time: timedelta) -> None:
        self.at += time
        self.elapsed_s += time.total_seconds()


def begun(inner: HandClock, seen: datetime | None = None) -> StationClock:
    clock = StationClock(inner)
    clock.begin(seen)
    return clock


def test_it_is_a_clock_whose_hot_parts_are_those_of_the_other() -> None:
    inner = SystemClock()
    clock = StationClock(inner)
    as_clock: Clock = clock
    assert as_clock.monotonic is inner.monotonic
    earliest: Clock = clock.earliest
    assert earliest.monotonic is inner.monotonic

    hand = HandClock()
    clock = begun(hand)
    hand.reads = 0
    assert clock.now() == NOW
    assert hand.reads == 1, "one look at the other clock, and one comparison"


async def test_it_waits_as_the_other_one() -> None:
    clock = StationClock(SystemClock())
    called = asyncio.Event()
    clock.call_later(0.0, called.set)
    await clock.wait_for(called.wait(), 5.0)
    await clock.sleep(0.0)
    with pytest.raises(TimeoutError):
        await clock.wait_for(asyncio.Event().wait(), 0.001)


def test_before_begin_nothing_is_judged() -> None:
    clock = StationClock(HandClock(WOKEN))
    assert clock.now() == WOKEN
    assert clock.is_right


@pytest.mark.parametrize("at", [RELEASED, NOW, NOW + 3_650 * DAY])
def test_a_clock_that_can_be_right_counts(at: datetime) -> None:
    inner = HandClock(at)
    clock = StationClock(inner)
    assert clock.begin()
    inner.wait(HOUR)
    assert clock.now() == at + HOUR
    assert clock.is_right
    assert clock.shift is None
    assert clock.dated(WOKEN) == WOKEN


@pytest.mark.parametrize("at", [WOKEN, datetime(2020, 2, 2, tzinfo=UTC), RELEASED - SECOND])
def test_one_that_cannot_is_not_believed(at: datetime) -> None:
    clock = StationClock(HandClock(at))
    assert not clock.begin()
    assert not clock.is_right


def test_nor_is_one_from_before_the_time_was_last_seen() -> None:
    """A computer that wakes up when it was last shut down."""
    assert begun(HandClock(NOW - SLACK), seen=NOW).is_right
    inner = HandClock(NOW - SLACK - SECOND)
    clock = begun(inner, seen=NOW)
    assert not clock.is_right
    inner.wait(DAY)
    assert not clock.is_right, "that time goes by proves nothing"


def test_until_somebody_tells_it_the_time_since_the_start_is_counted() -> None:
    inner = HandClock(WOKEN)
    clock = begun(inner)
    inner.wait(HOUR)
    assert clock.now() == WOKEN + HOUR
    inner.at = datetime(2001, 1, 1, tzinfo=UTC)  # whatever that was
    assert clock.now() == WOKEN + HOUR
    assert not clock.is_right


def test_b01_fr_06_the_csms_tells_the_time() -> None:
    inner = HandClock(WOKEN)
    clock = begun(inner)
    told: list[bool] = []
    clock.on_right = lambda: told.append(clock.is_right)
    inner.wait(HOUR)
    clock.learn(NOW)
    assert clock.is_right
    assert clock.now() == NOW
    inner.wait(HOUR)
    assert clock.now() == NOW + HOUR
    assert told == [True]
    clock.learn(NOW + HOUR)
    assert told == [True], "once"


def test_what_was_stamped_before_is_dated() -> None:
    inner = HandClock(WOKEN)
    clock = begun(inner)
    early = clock.now()
    inner.wait(HOUR)
    late = clock.now()
    assert clock.dated(early) == early, "nobody knows better"
    clock.learn(NOW)
    assert clock.dated(early) == NOW - HOUR
    assert clock.dated(late) == NOW
    assert clock.dated(NOW) == NOW
    assert clock.dated(NOW - DAY) == NOW - DAY, "somebody with a clock of his own"
    # The hardware side goes on to stamp by the computer's clock, which is still wrong.
    inner.wait(DAY)
    assert clock.dated(inner.at) == clock.now() == NOW + DAY
    inner.at = clock.now()  # and is set now
    assert clock.dated(inner.at) == clock.now() == NOW + DAY
    assert clock.dated(early) == NOW - HOUR


async def test_whoever_waits_for_the_time_is_told() -> None:
    clock = begun(HandClock(WOKEN))
    waiting = asyncio.ensure_future(clock.wait_right())
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.learn(NOW)
    await asyncio.wait_for(waiting, 1)
    await clock.wait_right()


def test_what_an_earlier_run_has_stamped_rightly_stays() -> None:
    """A transaction goes on after a restart with a clock that was saved an hour ago."""
    woken = NOW - HOUR
    clock = begun(HandClock(woken), seen=NOW)
    clock.learn(NOW + HOUR)
    for at in (RELEASED, woken - HOUR, woken - STEP - SECOND, NOW):
        assert clock.dated(at) == at
    for at in (woken - STEP, woken):
        assert clock.dated(at) == at + 2 * HOUR


def test_what_an_earlier_run_of_the_same_scale_has_stamped_is_dated() -> None:
    """The process has restarted, the computer has not."""
    clock = begun(HandClock(WOKEN + HOUR))
    clock.learn(NOW)
    assert clock.dated(WOKEN) == NOW - HOUR


def test_a_clock_that_somebody_sets_is_right_from_then_on() -> None:
    """NTP, or the integrator in his time_sync_callback."""
    inner = HandClock(WOKEN)
    clock = begun(inner)
    inner.wait(HOUR)
    inner.at = NOW
    assert clock.is_right
    assert clock.now() == NOW
    assert clock.dated(WOKEN) == NOW - HOUR
    inner.wait(HOUR)
    assert clock.now() == NOW + HOUR


def test_so_it_is_after_the_csms_has_told_the_time() -> None:
    inner = HandClock(WOKEN)
    clock = begun(inner)
    clock.learn(NOW)
    inner.wait(HOUR)
    inner.at = NOW + HOUR + 3 * SECOND  # a better source than the CSMS
    assert clock.now() == inner.at
    inner.wait(HOUR)
    clock.learn(NOW)
    assert clock.now() == inner.at, "right by itself, it follows nobody"


def test_g02_fr_06_a_clock_that_follows_goes_on_to_follow() -> None:
    inner = HandClock(WOKEN)
    clock = begun(inner)
    clock.learn(NOW)
    inner.wait(DAY)
    clock.learn(NOW + DAY + STEP / 2)
    assert clock.now() == NOW + DAY, "not for the time that the answer was under way"
    clock.learn(NOW + DAY + 5 * SECOND)
    assert clock.now() == NOW + DAY + 5 * SECOND
    clock.learn(NOW + DAY - 5 * SECOND)
    assert clock.now() == NOW + DAY - 5 * SECOND


def test_nonsense_is_not_followed() -> None:
    clock = begun(HandClock(WOKEN))
    clock.learn(RELEASED - SECOND)
    assert not clock.is_right
    clock.learn(datetime(1970, 1, 1, tzinfo=UTC))
    assert not clock.is_right


def test_a_wrong_memory_of_the_time_does_not_last() -> None:
    """Somebody once said that it is 2040: the clock is right, and the CSMS says so."""
    future = datetime(2040, 1, 1, tzinfo=UTC)
    inner = HandClock(NOW)
    clock = begun(inner, seen=future)
    assert not clock.is_right
    clock.learn(NOW + SECOND)
    assert clock.is_right
    assert clock.now() == NOW
    assert clock.shift is None, "nothing was wrong with the stamps"
    inner.wait(HOUR)
    assert clock.now() == NOW + HOUR
    assert clock.is_right

    clock = begun(HandClock(NOW), seen=future)
    clock.learn(NOW + DAY)
    assert clock.now() == NOW, "a clock that can be right is believed more than a CSMS"

    clock = begun(HandClock(WOKEN), seen=future)
    clock.learn(NOW)
    assert clock.now() == NOW


def test_a_clock_that_falls_back_while_the_station_runs_costs_nothing() -> None:
    inner = HandClock(NOW)
    clock = begun(inner)
    inner.wait(HOUR)
    inner.at = WOKEN
    assert clock.now() == NOW + HOUR
    assert clock.is_right
    inner.wait(HOUR)
    assert clock.now() == NOW + 2 * HOUR
    assert clock.dated(inner.at) == NOW + 2 * HOUR
    inner.at = NOW + 2 * HOUR
    assert clock.now() == NOW + 2 * HOUR


@pytest.mark.parametrize("by", [HOUR, -HOUR, DAY, -DAY])
def test_a_right_clock_may_be_set(by: timedelta) -> None:
    inner = HandClock(NOW)
    clock = begun(inner)
    clock.learn(NOW)
    inner.wait(HOUR)
    inner.at += by
    assert clock.now() == NOW + HOUR + by
    assert clock.is_right
    assert clock.learn(NOW + HOUR + by) == by, "that it was set is noticed"
    assert clock.learn(NOW + HOUR + by) == timedelta()


def test_by_how_much_it_was_set_is_told() -> None:
    inner = HandClock(WOKEN)
    clock = begun(inner)
    inner.wait(HOUR)
    assert clock.learn(NOW) == NOW - (WOKEN + HOUR)
    inner.wait(HOUR)
    assert clock.learn(NOW + HOUR) == timedelta()


def test_who_must_judge_by_the_time_before_it_is_known_gets_the_earliest() -> None:
    """TLS: the CSMS that could tell the time shows a certificate first."""
    inner = HandClock(WOKEN)
    clock = StationClock(inner)
    earliest = clock.earliest
    clock.begin(seen=NOW)
    assert earliest.now() == NOW - SLACK
    inner.wait(HOUR)
    assert earliest.now() == NOW - SLACK + HOUR
    clock.learn(NOW + DAY)
    assert earliest.now() == NOW + DAY
    assert begun(HandClock(NOW + DAY), seen=NOW).earliest.now() == NOW + DAY


def test_virtual_time_goes_through_it() -> None:
    async def scenario(inner: VirtualClock) -> None:
        clock = StationClock(inner)
        clock.begin()
        start = clock.now()
        await clock.sleep(3_600)
        assert clock.now() - start == HOUR
        assert await clock.wait_for(_answer(), 1.0) == 42

    async def _answer() -> int:
        return 42

    run_virtual(scenario)
