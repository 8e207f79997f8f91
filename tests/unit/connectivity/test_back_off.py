"""The pauses between attempts to connect (Part 4, section 5.4)."""

import pytest

from ocpp_fast.connectivity import MAX_DOUBLINGS, SHORTEST_S, BackOff


def pauses(count: int, minimum_s: float, random_s: float, times: int, chance: float) -> list[float]:
    back_off = BackOff()
    return [back_off.next_s(minimum_s, random_s, times, chance) for _ in range(count)]


def test_each_pause_is_twice_the_one_before_up_to_the_repeat_times() -> None:
    assert pauses(6, 3, 0, 3, 0.5) == [3, 6, 12, 24, 24, 24]


def test_each_pause_has_its_own_random_part() -> None:
    assert pauses(3, 2, 10, 2, 0.5) == [7, 9, 13]


def test_a_success_starts_over() -> None:
    back_off = BackOff()
    for _ in range(3):
        back_off.next_s(1, 0, 5, 0)
    back_off.reset()
    assert back_off.next_s(1, 0, 5, 0) == 1


@pytest.mark.parametrize("times", [0, 3])
def test_the_pause_is_never_nothing(times: int) -> None:
    assert pauses(3, 0, 0, times, 0) == [SHORTEST_S] * 3


def test_a_large_repeat_times_has_a_bound() -> None:
    assert max(pauses(5_000, 1, 0, 10_000, 0)) == 2**MAX_DOUBLINGS
