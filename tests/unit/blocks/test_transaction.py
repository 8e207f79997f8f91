"""One transaction: its numbers, and what may be dropped when memory runs low."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from ocpp_fast.blocks.context import Context
from ocpp_fast.blocks.transactions.transaction import (
    MAX_KEPT_READINGS,
    Transaction,
    droppable,
)
from ocpp_fast.messages import OcppVersion, v21

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def context(version: OcppVersion) -> Context:
    unused: Any = None
    return Context(
        clock=unused, ids=unused, device_model=unused, callbacks=unused, delivery=unused,
        spawn=unused, version=version, callback_timeout_s=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("version", OcppVersion)
def test_e01_fr_07_seq_no_counts_from_0_in_the_order_of_creation(version: OcppVersion) -> None:
    transaction = Transaction("tx", 1, "EVConnected")
    events = [
        transaction.event(context(version), kind, "Trigger", NOW)
        for kind in ("Started", *["Updated"] * 50, "Ended")
    ]
    assert [event.seq_no for event in events] == list(range(52))


def test_an_event_that_cannot_be_made_takes_no_number() -> None:
    transaction = Transaction("tx", 1, "EVConnected")
    with pytest.raises(ValueError, match="NoSuchReason"):
        transaction.event(context(OcppVersion.V21), "Updated", "NoSuchReason", NOW)
    event = transaction.event(context(OcppVersion.V21), "Started", "Trigger", NOW)
    assert event.seq_no == 0


def test_e06_fr_13_of_too_many_readings_every_second_goes_but_the_first_stays() -> None:
    transaction = Transaction("tx", 1, "EVConnected")
    count = MAX_KEPT_READINGS * 3
    for n in range(count):
        sample = v21.SampledValueType(value=n)
        transaction.keep(v21.MeterValueType(timestamp=NOW, sampled_value=[sample]))
        assert len(transaction.kept_readings) <= MAX_KEPT_READINGS
    values = [reading.sampled_value[0].value for reading in transaction.kept_readings]
    assert values[0] == 0
    assert values[-1] == count - 1
    assert values == sorted(values)
    gaps = [b - a for a, b in pairwise(values)]
    assert max(gaps) <= 64, "thinned from the middle, not cut off"
    transaction.keep(None)
    assert values[-1] == transaction.kept_readings[-1].sampled_value[0].value


@pytest.mark.parametrize("trigger", v21.TriggerReasonEnumType)
def test_e12_fr_04_j02_fr_12_only_mere_readings_may_be_dropped(trigger: str) -> None:
    mere = trigger in ("MeterValueClock", "MeterValuePeriodic")
    assert droppable("Updated", trigger) == mere
    assert not droppable("Started", trigger)
    assert not droppable("Ended", trigger)
