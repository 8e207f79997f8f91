"""What the sweep takes for a loss, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from crash import verdict


def event(seq_no: int, trigger: str = "MeterValuePeriodic") -> dict[str, Any]:
    kind = {0: "Started", 4: "Ended"}.get(seq_no, "Updated")
    return {
        "eventType": kind,
        "triggerReason": trigger,
        "seqNo": seq_no,
        "timestamp": f"2026-01-01T00:00:0{seq_no}Z",
        "transactionInfo": {"transactionId": "tx"},
    }


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize(
    ("trigger", "droppable"), [("MeterValuePeriodic", True), ("ChargingStateChanged", False)]
)
@pytest.mark.parametrize("was_told", [False, True])
def test_what_is_missing_is_lost_unless_it_could_be_dropped(
    trigger: str, droppable: bool, is_full: bool, was_told: bool
) -> None:
    """E04.FR.07: among too many messages plain readings may go, also one that had just been stored
    when the power was cut, before anybody was told so."""
    told, missing = [event(0), event(1), event(2)], event(3, trigger)
    wrong = verdict.transactions(
        [*told, missing] if was_told else told,
        [*told, event(4)],
        (),
        being_stored=[] if was_told else [missing],
        is_full=is_full,
        is_redated=False,
    )
    assert (list(wrong) == []) is (droppable and is_full)
