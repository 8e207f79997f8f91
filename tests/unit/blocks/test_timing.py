"""Repeated work: alignment with the clock, no drift, no catching up."""

from datetime import UTC, datetime

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


def test_an_interval_of_0_never_fires() -> None:
    async def scenario(clock: VirtualClock) -> None:
        repeater = Repeater(clock, 0, lambda: pytest.fail("fired"))
        await clock.sleep(100)
        repeater.cancel()

    run_virtual(scenario)
