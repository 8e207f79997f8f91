"""Facts of a running transaction: what is written is found again, whichever version wrote it."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ocpp_fast.blocks.transactions import durable
from ocpp_fast.blocks.transactions.transaction import Transaction
from ocpp_fast.messages import OcppVersion, v21
from unit.blocks.transactions.kit import NOW, context, reading


def whole(version: OcppVersion) -> Transaction:
    """One in which every member differs from its default."""
    m: Any = version.module
    return Transaction(
        "tx-1", 3, "SuspendedEV", connector_id=2,
        id_token=m.IdTokenType(id_token="DEADBEEF", type="ISO14443"),
        remote_start_id=0, reservation_id=9, begin_due=True, evse_told=True, next_seq_no=17,
        begin_reading=reading(5.5, version=version), energy_limit_wh=1_234.5, refused=True,
    )  # fmt: skip


NOT_REMEMBERED = {
    "begin_stored",  # found out by looking
    "kept_readings", "kept_number", "kept_stride",  # rows, see test_kept
    "limit_reached",  # the next reading shows it
    "restored", "timers",
}  # fmt: skip


def facts_of(transaction: Transaction) -> dict[str, str]:
    facts = {durable.name_of(transaction.evse_id): durable.text_of_transaction(transaction, NOW)}
    if transaction.begin_reading is not None:
        name = durable.begin_name(transaction.evse_id)
        facts[name] = durable.text_of_reading(transaction.begin_reading)
    return facts


@pytest.mark.parametrize("written", OcppVersion)
@pytest.mark.parametrize("read", OcppVersion)
def test_e17_fr_01_all_that_is_needed_to_go_on_is_found_again(
    written: OcppVersion, read: OcppVersion
) -> None:
    """seqNo, idToken, evse and transactionInfo, of either version in either version."""
    before = whole(written)
    ((found, at),) = durable.transactions_of(facts_of(before))
    assert at == NOW
    assert found.restored
    assert found.begin_stored
    in_use = context(read)
    for field in fields(Transaction):
        if field.name in NOT_REMEMBERED:
            continue
        there: Any = getattr(before, field.name)
        here: Any = getattr(found, field.name)
        assert there is not None, field.name
        assert there is not False, field.name
        if field.name in ("id_token", "begin_reading"):
            there, here = in_use.convert(there), in_use.convert(here)
        assert here == there, field.name


@pytest.mark.parametrize("version", OcppVersion)
def test_what_is_not_there_stays_away(version: OcppVersion) -> None:
    before = Transaction("tx", 1, "Idle")
    ((found, _),) = durable.transactions_of(facts_of(before))
    found.restored = False
    assert found == before
    assert found.event(context(version), "Started", "Trigger", NOW).seq_no == 0


def test_one_that_cannot_be_read_keeps_no_other_from_it(caplog: pytest.LogCaptureFixture) -> None:
    good = facts_of(whole(OcppVersion.V21))
    token = '{"id":"x","seqNo":1,"state":"Idle","idToken":{"idToken":"SECRET"}}'
    bad = {
        "transaction.1": "{",
        "transaction.2": "{}",
        "transaction.4": '{"id":"x","seqNo":"many","state":"Idle"}',
        "transaction.5": '{"id":"x","seqNo":1,"state":"Idle","at":"once"}',
        "transaction.6": '{"id":"x","seqNo":1,"state":"Idle","at":"2026-01-01T00:00:00"}',
        "transaction.7": token,
        "transaction.8": "[]",
        "transaction.9": '{"id":"x","seqNo":1,"state":"Idle","idToken":"text"}',
    }
    other = {"transaction.alive": NOW.isoformat(), "transaction.1.begin": "{"}
    found = list(durable.transactions_of({**bad, **other, **good}))
    assert [transaction.evse_id for transaction, _ in found] == [3]
    for name in bad:
        assert f"fact {name} " in caplog.text
    assert "SECRET" not in caplog.text


def test_without_its_begin_reading_a_transaction_is_still_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    facts = facts_of(whole(OcppVersion.V21)) | {"transaction.3.begin": "nothing"}
    ((found, _),) = durable.transactions_of(facts)
    assert found.begin_reading is None
    assert found.next_seq_no == 17
    assert "transaction.3.begin" in caplog.text


def test_times_are_kept_in_utc_and_unknown_ones_as_unknown() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    at = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=east)
    assert durable.time_of(durable.text_of_time(at)) == at
    assert durable.text_of_time(at).endswith("+00:00")
    assert durable.time_of(durable.text_of_time(None)) is None
    assert durable.time_of(None) is None


def test_a_reading_is_redated_only_if_its_time_changes() -> None:
    right = reading(1)
    assert durable.redated(right, lambda at: at) is right
    moved = durable.redated(right, lambda at: at + timedelta(days=1))
    assert moved.timestamp == datetime(2026, 1, 2, tzinfo=UTC)
    assert moved.sampled_value == right.sampled_value


@pytest.mark.parametrize("version", OcppVersion)
def test_readings_of_either_version_are_read(version: OcppVersion) -> None:
    m: Any = version.module
    signed = m.SignedMeterValueType(
        signed_meter_data="x" * 100, signing_method="ECDSA", encoding_method="OCMF", public_key="k"
    )
    value = m.SampledValueType(
        value=12.5, measurand="Voltage", phase="L1-N", location="Outlet",
        context="Transaction.Begin", signed_meter_value=signed,
        unit_of_measure=m.UnitOfMeasureType(unit="V", multiplier=1),
    )  # fmt: skip
    before = m.MeterValueType(timestamp=NOW, sampled_value=[value])
    found = durable.reading_of(durable.text_of_reading(before))
    assert isinstance(found, v21.MeterValueType)
    assert context(version).convert(found) == before


def test_other_facts_of_a_transaction_are_no_transactions(caplog: pytest.LogCaptureFixture) -> None:
    facts = facts_of(whole(OcppVersion.V21)) | {durable.ALIVE: durable.text_of_time(NOW)}
    assert len(list(durable.transactions_of(facts))) == 1
    assert caplog.text == ""
