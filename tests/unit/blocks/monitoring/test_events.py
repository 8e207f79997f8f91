"""Events: their numbers, and how many go into one message."""

from datetime import UTC, datetime

from ocpp_fast.blocks.monitoring.events import EVENTS_PER_MESSAGE, EventIds, Notice, portion
from ocpp_fast.blocks.monitoring.table import Watched

WATCHED = Watched(number=0, component="EVSE", evse_id=1, variable="Power")


def notice(event_id: int = 0, actual_value: str = "1") -> Notice:
    return Notice(
        event_id=event_id,
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        trigger="Alerting",
        notification="CustomMonitor",
        watched=WATCHED,
        actual_value=actual_value,
    )


class Reserved:
    """What would be stored."""

    def __init__(self, first: int = 0) -> None:
        self.value = first
        self.writes = 0
        self.ids = EventIds(first, self.store)

    def store(self, following: int) -> None:
        self.value = following
        self.writes += 1


def test_event_ids_rise_by_one() -> None:
    reserved = Reserved()
    assert reserved.writes == 0
    assert [reserved.ids.take() for _ in range(5)] == [0, 1, 2, 3, 4]


def test_they_go_on_after_a_restart_with_few_writes() -> None:
    reserved = Reserved()
    before = [reserved.ids.take() for _ in range(2_500)]
    assert reserved.writes == 3
    after = Reserved(reserved.value)
    assert after.ids.take() > before[-1]


def test_every_number_in_use_was_reserved_before() -> None:
    reserved = Reserved(first=7)
    for _ in range(3_000):
        assert reserved.ids.take() < reserved.value


def test_they_begin_anew_before_they_leave_32_bits() -> None:
    reserved = Reserved(first=2**31 - 3)
    assert [reserved.ids.take() for _ in range(4)] == [2**31 - 3, 2**31 - 2, 0, 1]
    assert reserved.value == 1_000


def test_a_message_has_so_many_events() -> None:
    assert portion([notice()], 65_000) == 1
    assert portion([notice()] * 7, 65_000) == 7
    assert portion([notice()] * 200, 65_000) == EVENTS_PER_MESSAGE


def test_a_message_has_so_many_bytes() -> None:
    long = notice(actual_value="x" * 2_500)
    assert portion([long] * 50, 65_000) == 65_000 // long.size_bytes
    assert portion([long] * 50, 100) == 1  # Something has to go.
