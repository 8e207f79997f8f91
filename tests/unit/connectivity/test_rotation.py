"""Which slot is dialled next (B10.FR.03 to B10.FR.09) and with which credentials (A02.FR.28)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_fast.connectivity import Attempt, Generation, Rotation

NEW, OLD = Generation.NEW, Generation.OLD


def failing(
    rotation: Rotation,
    count: int,
    priority: Sequence[int],
    attempts: int = 1,
    last_good: int | None = None,
) -> list[Attempt]:
    """So many attempts that all fail."""
    made: list[Attempt] = []
    for _ in range(count):
        attempt = rotation.next(priority, attempts, last_good)
        assert attempt is not None
        rotation.failed(attempt.slot)
        made.append(attempt)
    return made


def slots(attempts: Sequence[Attempt]) -> list[int]:
    return [attempt.slot for attempt in attempts]


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_each_slot_gets_its_attempts(attempts: int) -> None:
    """B10.FR.03, B10.FR.04: as many as NetworkProfileConnectionAttempts, from the first slot on."""
    made = failing(Rotation(), 3 * attempts, (2, 1, 3), attempts)
    assert slots(made) == [2] * attempts + [1] * attempts + [3] * attempts


def test_it_never_ends() -> None:
    """B10.FR.08, B10.FR.09: after all entries have failed they are all tried again."""
    assert slots(failing(Rotation(), 7, (1, 2))) == [1, 2, 1, 2, 1, 2, 1]


def test_after_a_lap_the_last_good_slot_is_first() -> None:
    """B10.FR.07, B10.FR.08: even when the list names it no more; then the whole list again."""
    assert slots(failing(Rotation(), 8, (1, 2), last_good=3)) == [1, 2, 3, 1, 2, 3, 1, 2]
    assert slots(failing(Rotation(), 6, (1, 2), last_good=2)) == [1, 2, 2, 1, 2, 1]


def test_after_a_loss_the_slot_in_use_is_first() -> None:
    rotation = Rotation()
    rotation.begin(2)
    assert slots(failing(rotation, 5, (1, 2, 3), last_good=2)) == [2, 1, 3, 2, 1]
    rotation.begin(4)  # a slot that the list does not name
    assert slots(failing(rotation, 3, (1, 2), last_good=4)) == [1, 2, 4]


def test_what_is_new_is_tried_where_it_came_from() -> None:
    """A02.FR.08: at the slot in use, even when the list names it no more."""
    rotation = Rotation()
    rotation.begin(4, even_unlisted=True)
    made = failing(rotation, 4, (1, 2), last_good=4)
    assert slots(made) == [4, 1, 2, 4]
    assert [attempt.generation for attempt in made] == [NEW, NEW, NEW, OLD]


def test_credentials_change_with_every_lap() -> None:
    """A02.FR.28, A03.FR.24: the old certificate after all entries failed with the new one, then
    in turns."""
    made = failing(Rotation(), 9, (1, 2), last_good=3)
    assert [attempt.generation for attempt in made] == [NEW, NEW, OLD, OLD, OLD, NEW, NEW, NEW, OLD]


def test_a_success_begins_anew() -> None:
    rotation = Rotation()
    failing(rotation, 3, (1, 2))
    rotation.begin(1)
    assert rotation.next((1, 2), 1, 1) == Attempt(1, NEW, 0)


def test_a_slot_that_is_skipped_waits_for_the_next_lap() -> None:
    rotation = Rotation()
    rotation.skip(1)
    assert slots(failing(rotation, 4, (1, 2), attempts=2)) == [2, 2, 1, 1]


def test_without_slots_there_is_no_attempt() -> None:
    rotation = Rotation()
    assert rotation.next((), 3, None) is None
    assert rotation.next((1,), 3, None) == Attempt(1, OLD, 1)


def test_a_list_that_changes_meanwhile() -> None:
    rotation = Rotation()
    failing(rotation, 1, (1, 2), attempts=2)
    assert slots(failing(rotation, 3, (2, 1), attempts=2)) == [2, 2, 1]


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True),
    st.integers(0, 4),
    st.none() | st.integers(0, 9),
)
def test_every_slot_comes_again_within_a_lap(
    priority: list[int], attempts: int, last_good: int | None
) -> None:
    """B10.FR.09: nothing is ever given up, whatever the settings."""
    each = max(attempts, 1)
    lap = (len(priority) + 1) * each
    made = slots(failing(Rotation(), 4 * lap, priority, attempts, last_good))
    for start in range(2 * lap):
        assert set(priority) <= set(made[start : start + 2 * lap])
