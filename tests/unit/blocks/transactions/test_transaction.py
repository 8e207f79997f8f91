"""One transaction: its numbers, and what may be dropped when memory runs low."""

from itertools import pairwise

import pytest

from ocpp_fast.blocks.transactions.transaction import (
    MAX_KEPT_READINGS,
    Transaction,
    droppable,
)
from ocpp_fast.messages import OcppVersion, v21
from unit.blocks.transactions.kit import NOW, context, reading


@pytest.mark.parametrize("version", OcppVersion)
def test_e01_fr_07_seq_no_counts_from_0_in_the_order_of_creation(version: OcppVersion) -> None:
    transaction = Transaction("tx", 1, "EVConnected")
    events = [
        transaction.event(context(version), kind, "Trigger", NOW)
        for kind in ("Started", *["Updated"] * 50, "Ended")
    ]
    assert [event.seq_no for event in events] == list(range(52))


def test_an_event_that_cannot_be_made_takes_no_number_and_tells_nothing() -> None:
    transaction = Transaction("tx", 1, "EVConnected", connector_id=1, reservation_id=4)
    with pytest.raises(ValueError, match="NoSuchReason"):
        transaction.event(context(), "Updated", "NoSuchReason", NOW)
    event = transaction.event(context(), "Started", "Trigger", NOW)
    assert (event.seq_no, event.reservation_id) == (0, 4)
    assert event.evse is not None
    assert event.evse.connector_id == 1


def values(transaction: Transaction) -> list[float]:
    return [each.sampled_value[0].value for each in transaction.kept_readings]


def test_e06_fr_13_of_too_many_readings_every_second_goes_but_the_first_stays() -> None:
    """Evenly, from the first to the last: none of the time is left without readings."""
    transaction = Transaction("tx", 1, "EVConnected")
    count = MAX_KEPT_READINGS * 9
    for n in range(count):
        is_kept = transaction.keep(reading(n))
        assert len(transaction.kept_readings) <= MAX_KEPT_READINGS
        assert is_kept is (values(transaction)[-1] == n)
    assert values(transaction) == list(range(0, count, 16))


@pytest.mark.parametrize("trigger", v21.TriggerReasonEnumType)
def test_e12_fr_04_j02_fr_12_only_mere_readings_may_be_dropped(trigger: str) -> None:
    mere = trigger in ("MeterValueClock", "MeterValuePeriodic")
    transaction = Transaction("tx", 1, "Charging")
    for kind in v21.TransactionEventEnumType:
        event = transaction.event(context(), kind, trigger, NOW)
        assert droppable(event) is (mere and kind == "Updated")


def test_an_event_that_tells_what_is_told_once_may_not_be_dropped() -> None:
    token = v21.IdTokenType(id_token="AB", type="Central")
    told: list[dict[str, object]] = [
        {"connector_id": 1},
        {"reservation_id": 0},
        {"remote_start_id": 0},
        {},
    ]
    for members in told:
        transaction = Transaction("tx", 1, "Charging", **members)  # type: ignore[arg-type]
        event = transaction.event(context(), "Updated", "MeterValuePeriodic", NOW)
        assert droppable(event) is not bool(members), members
        again = transaction.event(context(), "Updated", "MeterValuePeriodic", NOW)
        assert droppable(again)
    transaction = Transaction("tx", 1, "Charging")
    event = transaction.event(context(), "Updated", "MeterValuePeriodic", NOW, id_token=token)
    assert not droppable(event)


def test_the_gaps_of_what_is_kept_differ_by_nothing() -> None:
    transaction = Transaction("tx", 1, "EVConnected")
    for n in range(MAX_KEPT_READINGS * 3 + 7):
        transaction.keep(reading(n))
    assert len({b - a for a, b in pairwise(values(transaction))}) == 1
