"""Events that turn out to go to a CSMS of the other version."""

import orjson
import pytest

from ocpp_fast._core import decode_payload, encode_payload
from ocpp_fast.blocks.transactions import adapted
from ocpp_fast.blocks.transactions.transaction import Transaction
from ocpp_fast.messages import OcppVersion, v201
from ocpp_fast.storage.base import OutboxRow
from unit.blocks.transactions.kit import NOW, context


def row(trigger: str, action: str = "TransactionEvent") -> OutboxRow:
    event = Transaction("tx", 1, "Charging", next_seq_no=7).event(
        context(), "Updated", trigger, NOW
    )
    return OutboxRow(1, "tx", "2.1", action, encode_payload(event), 7)


def test_e17_fr_14_a_resumption_reaches_a_csms_of_2_0_1_as_a_change_of_state() -> None:
    payload = adapted(row("TxResumed"), OcppVersion.V201)
    assert payload is not None
    event = decode_payload(v201.TransactionEventRequest, payload)
    assert event.trigger_reason == "ChargingStateChanged"
    before = orjson.loads(row("TxResumed").payload)
    assert orjson.loads(payload) == before | {"triggerReason": "ChargingStateChanged"}


@pytest.mark.parametrize("trigger", ["CostLimitReached", "Trigger"])
def test_no_other_event_changes(trigger: str) -> None:
    assert adapted(row(trigger), OcppVersion.V201) is None


def test_nor_does_anything_for_2_1_or_of_another_kind() -> None:
    assert adapted(row("TxResumed"), OcppVersion.V21) is None
    assert adapted(row("TxResumed", "NotifyEvent"), OcppVersion.V201) is None
