"""When periodic monitors are due."""

from datetime import UTC, datetime, timedelta

from ocpp_fast.blocks.monitoring.schedule import LOOK_AGAIN_S, Schedule

START = datetime(2026, 1, 1, 10, 7, 30, tzinfo=UTC)


class Times:
    """A schedule, and the moments at which it was due."""

    def __init__(self) -> None:
        self.schedule = Schedule()
        self.elapsed_s = 0.0
        self.wall = START

    def add(self, monitor_id: int, interval_s: float, *, aligned: bool = False) -> None:
        self.schedule.add(monitor_id, interval_s, self.elapsed_s, self.wall, aligned=aligned)

    def advance(self, seconds: float) -> None:
        self.elapsed_s += seconds
        self.wall += timedelta(seconds=seconds)

    def run(self, seconds: float, *, late_s: float = 0.0) -> list[tuple[float, int]]:
        """Wakes whenever the schedule wants it, for so long; (when, who)."""
        end, due = self.elapsed_s + seconds, list[tuple[float, int]]()
        while True:
            wait_s = self.schedule.wait_s(self.elapsed_s, self.wall)
            if wait_s is None or self.elapsed_s + wait_s > end:
                self.advance(end - self.elapsed_s)
                return due
            self.advance(wait_s + late_s)
            due += [
                (round(self.elapsed_s, 3), who)
                for who in self.schedule.take(self.elapsed_s, self.wall)
            ]


def test_an_empty_schedule_waits_for_nothing() -> None:
    times = Times()
    assert times.schedule.wait_s(0, START) is None
    assert times.schedule.take(0, START) == []


def test_a_periodic_monitor_counts_from_when_it_was_set() -> None:
    """N08.FR.06."""
    times = Times()
    times.advance(5)
    times.add(1, 20)
    times.add(2, 30)
    assert times.run(100) == [
        (25, 1),
        (35, 2),
        (45, 1),
        (65, 1),
        (65, 2),
        (85, 1),
        (95, 2),
        (105, 1),
    ]


def test_delays_do_not_add_up() -> None:
    times = Times()
    times.add(1, 10)
    assert [when for when, _ in times.run(45, late_s=0.5)] == [10.5, 20.5, 30.5, 40.5]


def test_missed_moments_are_skipped() -> None:
    times = Times()
    times.add(1, 10)
    times.add(2, 10, aligned=True)
    times.advance(35)
    assert times.schedule.take(times.elapsed_s, times.wall) == [1, 2]
    assert times.run(10) == [(40, 1), (40, 2)]


def test_an_aligned_monitor_follows_the_wall_clock() -> None:
    """N08.FR.07: 900 seconds are the quarters of an hour."""
    times = Times()
    times.add(1, 900, aligned=True)
    assert [when for when, _ in times.run(3_600)] == [450, 1_350, 2_250, 3_150]


def test_a_clock_that_is_put_forward() -> None:
    times = Times()
    times.add(1, 900, aligned=True)
    times.advance(10)
    times.wall += timedelta(hours=1)
    # It is looked at within a minute; the quarter that was passed is nobody's.
    assert [when for when, _ in times.run(1_400)] == [450, 1_350]


def test_a_clock_that_is_put_back() -> None:
    times = Times()
    times.add(1, 60, aligned=True)
    times.advance(10)
    times.wall -= timedelta(hours=1)
    # Within a minute it sees that everything lies too far ahead.
    assert [when for when, _ in times.run(300)] == [90, 150, 210, 270]


def test_it_looks_again_every_minute() -> None:
    times = Times()
    times.add(1, 86_400, aligned=True)
    assert times.schedule.wait_s(0, START) == LOOK_AGAIN_S
    times.schedule.remove(1)
    times.add(2, 86_400)
    assert times.schedule.wait_s(0, START) == 86_400


def test_a_replaced_monitor_begins_anew() -> None:
    times = Times()
    times.add(1, 10)
    times.advance(9)
    times.add(1, 30)
    assert times.run(60) == [(39, 1), (69, 1)]


def test_a_removed_monitor_is_silent() -> None:
    times = Times()
    times.add(1, 10)
    times.add(2, 10, aligned=True)
    times.add(3, 25)
    times.schedule.remove(1)
    times.schedule.remove(2)
    times.schedule.remove(4)
    assert len(times.schedule) == 1
    assert times.run(30) == [(25, 3)]


def test_from_one_kind_to_the_other() -> None:
    times = Times()
    times.add(1, 60)
    times.add(1, 60, aligned=True)
    assert times.run(120) == [(30, 1), (90, 1)]
    times.add(1, 40)
    assert times.run(90) == [(160, 1), (200, 1)]


def test_a_timer_may_be_a_little_early() -> None:
    times = Times()
    times.add(1, 60, aligned=True)
    times.add(2, 30)
    times.advance(29.9995)
    assert times.schedule.take(times.elapsed_s, times.wall) == [1, 2]
    assert times.run(35) == [(60, 2)]
