"""What the CSMS keeps of a station and its transactions."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_fast.csms import SeqNos, StationRecord, TransactionRecord
from ocpp_fast.csms.ledger import MAX_EVENTS, MAX_TRANSACTIONS
from ocpp_fast.messages import v21

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def event(
    seq_no: int, kind: str = "Updated", energy: float | None = None, **changes: Any
) -> v21.TransactionEventRequest:
    values: dict[str, Any] = {
        "event_type": kind,
        "timestamp": NOW,
        "trigger_reason": "Trigger",
        "seq_no": seq_no,
        "transaction_info": v21.TransactionType(transaction_id=changes.pop("id", "tx")),
    }
    if energy is not None:
        sample = v21.SampledValueType(value=energy)
        values["meter_value"] = [v21.MeterValueType(timestamp=NOW, sampled_value=[sample])]
    return v21.TransactionEventRequest(**(values | changes))


@given(st.lists(st.integers(0, 40), max_size=80))
def test_seq_nos_in_any_order(numbers: list[int]) -> None:
    seen = SeqNos()
    for number in numbers:
        seen.add(number)
    distinct = set(numbers)
    assert seen.count == len(distinct)
    assert seen.duplicates == len(numbers) - len(distinct)
    if distinct:
        assert seen.first == min(distinct)
        assert seen.missing == sorted(set(range(min(distinct), max(distinct))) - distinct)


def record(*events: v21.TransactionEventRequest) -> TransactionRecord:
    made = TransactionRecord("tx")
    for each in events:
        made.add(each)
    return made


def test_a_complete_transaction_has_no_problems() -> None:
    whole = record(event(0, "Started", 100), event(1, energy=150), event(2, "Ended", 300))
    assert whole.problems() == []
    assert whole.energy_wh == 200


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ([event(1, energy=1), event(2, "Ended")], "no Started event"),
        ([event(0, "Started"), event(1, "Ended")], "no Updated event with meter values"),
        ([event(0, "Started"), event(1), event(2, "Ended")], "no Updated event with"),
        ([event(0, "Started"), event(1, energy=1)], "no Ended event"),
        ([event(0, "Started"), event(2, energy=1), event(3, "Ended")], "missing seqNo 1"),
    ],
)
def test_what_is_missing_is_named(events: list[v21.TransactionEventRequest], problem: str) -> None:
    (found,) = record(*events).problems()
    assert found.startswith(problem)


def test_a_repeated_event_counts_once() -> None:
    twice = record(event(0, "Started", 100), event(0, "Started", 100), event(1, offline=True))
    assert (twice.seq_nos.duplicates, twice.updates, twice.offline_events) == (1, 1, 1)


def test_the_station_keeps_a_bounded_number_of_transactions() -> None:
    station = StationRecord("CS001")
    station.note(event(0, "Started", id="open"))
    for n in range(MAX_TRANSACTIONS + 10):
        station.note(event(0, "Ended", id=f"tx-{n}"))
    assert len(station.transactions) == MAX_TRANSACTIONS
    assert "open" in station.transactions
    assert "tx-0" not in station.transactions


def test_connectors_by_either_message() -> None:
    station = StationRecord("CS001")
    station.note(
        v21.StatusNotificationRequest(
            timestamp=NOW,
            connector_status=v21.ConnectorStatusEnumType.OCCUPIED,
            evse_id=1,
            connector_id=2,
        )
    )
    evse = v21.EVSEType(id=2, connector_id=1)
    notice = v21.EventDataType(
        event_id=1,
        timestamp=NOW,
        trigger=v21.EventTriggerEnumType.DELTA,
        actual_value="Faulted",
        event_notification_type=v21.EventNotificationEnumType.HARD_WIRED_NOTIFICATION,
        component=v21.ComponentType(name="Connector", evse=evse),
        variable=v21.VariableType(name="AvailabilityState"),
    )
    other = notice.replace(component=v21.ComponentType(name="FanUnit"), actual_value="On")
    station.note(v21.NotifyEventRequest(generated_at=NOW, seq_no=0, event_data=[notice, other]))
    assert station.connectors == {(1, 2): "Occupied", (2, 1): "Faulted"}


def test_events_are_kept_up_to_a_bound() -> None:
    record = StationRecord("CS001")
    for number in range(MAX_EVENTS + 5):
        event = v21.EventDataType(
            event_id=number,
            timestamp=NOW,
            trigger=v21.EventTriggerEnumType.ALERTING,
            actual_value="1",
            event_notification_type=v21.EventNotificationEnumType.CUSTOM_MONITOR,
            component=v21.ComponentType(name="EVSE"),
            variable=v21.VariableType(name="Power"),
        )
        record.note(v21.NotifyEventRequest(generated_at=NOW, seq_no=0, event_data=[event]))
    assert len(record.events) == MAX_EVENTS
    assert record.events[0].event_id == 5
