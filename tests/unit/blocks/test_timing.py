"""Repeated work: alignment with the clock, no drift, no catching up."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from ocpp_fast.blocks.timing import Repeater, seconds_to_next
from ocpp_fast.testing import VirtualClock, run_virtual


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-04T{text}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "interval_s", "left_s"),
    [
        ("00:00:00", 900, 900),
        ("00:00:01", 900, 899),
        ("10:14:59.5", 900, 0.5),
        ("10:15:00", 900, 900),
        ("10:14:59.999", 900, 900.001),  # a timer that fired a little early
        ("23:59:00", 900, 60),
        ("23:00:00", 7 * 3_600, 3_600),  # the last interval of a day is shorter
        ("00:00:30", 60, 30),
    ],
)
def test_intervals_count_from_midnight(now: str, interval_s: float, left_s: float) -> None:
    assert seconds_to_next(at(now), interval_s) == pytest.approx(left_s)


def test_repeats_do_not_drift() -> None:
    async def scenario(clock: VirtualClock) -> None:
        fired: list[float] = []
        repeater = Repeater(clock, 0.1, lambda: fired.append(clock.elapsed_s))
        await clock.sleep(1_000.05)
        repeater.cancel()
        await clock.sleep(10)
        assert len(fired) == 10_000
        assert fired[-1] == pytest.approx(1_000)

    run_virtual(scenario)


def test_aligned_repeats_follow_the_clock() -> None:
    async def scenario(clock: VirtualClock) -> None:
        fired: list[datetime] = []
        Repeater(clock, 900, lambda: fired.append(clock.now()), aligned=True)
        await clock.sleep(3_600)
        assert [(f.minute, f.second) for f in fired] == [(15, 0), (30, 0), (45, 0), (0, 0)]

    run_virtual(scenario, start=at("10:07:03"))


@pytest.mark.parametrize("minutes", [-1_440, -67, -7, -1, 1, 7, 20, 67, 1_440])
def test_aligned_repeats_follow_a_clock_that_is_set(minutes: int) -> None:
    """Only on the dot, each moment once, and none is missed but those that were jumped over."""

    async def scenario(clock: VirtualClock) -> None:
        fired: list[tuple[float, datetime]] = []

        def fire() -> None:
            fired.append((clock.elapsed_s, clock.now()))

        repeater = Repeater(clock, 900, fire, aligned=True)
        await clock.sleep(1_000)
        clock.step(timedelta(minutes=minutes))
        stepped = clock.now()
        await clock.sleep(2 * 3_600)
        repeater.cancel()
        assert all(moment.minute % 15 == 0 and moment.second == 0 for _, moment in fired)
        after = [moment for elapsed_s, moment in fired if elapsed_s > 1_000]
        assert len(after) == 8
        # One that lies right behind the step may be gone before anybody looks.
        assert after[0] - stepped <= timedelta(minutes=16)
        assert all(b - a == timedelta(minutes=15) for a, b in pairwise(after))

    run_virtual(scenario, start=at("10:07:03"))


def test_an_interval_of_0_never_fires() -> None:
    async def scenario(clock: VirtualClock) -> None:
        repeater = Repeater(clock, 0, lambda: pytest.fail("fired"))
        await clock.sleep(100)
        repeater.cancel()

    run_virtual(scenario)
