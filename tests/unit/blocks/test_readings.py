"""What a message takes of a meter reading."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from ocpp_fast.blocks.context import Context
from ocpp_fast.blocks.readings import Readings, energy_wh
from ocpp_fast.messages import OcppVersion, v21

NOW = datetime(2026, 1, 1, tzinfo=UTC)
M = v21.MeasurandEnumType
PERIODIC = v21.ReadingContextEnumType.SAMPLE_PERIODIC
BEGIN = v21.ReadingContextEnumType.TRANSACTION_BEGIN


def readings(version: OcppVersion = OcppVersion.V21) -> Readings:
    unused: Any = None
    context = Context(
        clock=unused, ids=unused, device_model=unused, callbacks=unused, delivery=unused,
        spawn=unused, version=version, callback_timeout_s=1.0,
    )  # fmt: skip
    return Readings(context)


def sample(value: float, measurand: Any = None, **changes: Any) -> v21.SampledValueType:
    values: dict[str, Any] = {"context": PERIODIC, "measurand": measurand} | changes
    return v21.SampledValueType(value=value, **values)


def reading(*samples: v21.SampledValueType) -> v21.MeterValueType:
    return v21.MeterValueType(timestamp=NOW, sampled_value=samples)


def test_only_the_wanted_measurands_in_all_phases() -> None:
    found = readings().select(
        reading(
            sample(1, M.VOLTAGE, phase=v21.PhaseEnumType.L1),
            sample(2, M.CURRENT_IMPORT),
            sample(3, M.VOLTAGE, phase=v21.PhaseEnumType.L2),
        ),
        ["Voltage"],
        PERIODIC,
    )
    assert found is not None
    assert [value.value for value in found.sampled_value] == [1, 3]


def test_a_value_without_a_measurand_is_imported_energy() -> None:
    whole = reading(sample(5))
    assert readings().select(whole, [M.ENERGY_ACTIVE_IMPORT_REGISTER], PERIODIC) is whole


def test_nothing_wanted_is_nothing_found() -> None:
    assert readings().select(reading(sample(5)), ["Voltage"], PERIODIC) is None
    assert readings().select(reading(sample(5)), [], PERIODIC) is None


def test_the_context_is_that_of_the_message() -> None:
    found = readings().select(reading(sample(5)), [M.ENERGY_ACTIVE_IMPORT_REGISTER], BEGIN)
    assert found is not None
    assert found.sampled_value[0].context == BEGIN
    assert found.timestamp == NOW


def test_a_reading_that_is_too_old_is_none() -> None:
    each = readings()
    each.put(1, reading(sample(5)))
    wanted = [M.ENERGY_ACTIVE_IMPORT_REGISTER]
    assert each.selected(1, wanted, PERIODIC) is not None
    assert each.selected(1, wanted, PERIODIC, after=NOW - timedelta(seconds=1)) is not None
    assert each.selected(1, wanted, PERIODIC, after=NOW) is None
    assert each.selected(2, wanted, PERIODIC) is None


def test_a_reading_becomes_one_of_the_version_in_use() -> None:
    each = readings(OcppVersion.V201)
    found = each.select(reading(sample(5, M.VOLTAGE)), ["Voltage"], PERIODIC)
    assert isinstance(found, cast("Any", OcppVersion.V201.module).MeterValueType)


def test_a_measurand_of_2_1_cannot_go_to_2_0_1() -> None:
    each = readings(OcppVersion.V201)
    assert each.converted(reading(sample(5, M.CURRENT_EXPORT_OFFERED))) is None


def test_what_2_0_1_cannot_express_takes_nothing_else_with_it() -> None:
    """A signature of 2.1 may lack the key, and be longer; a measurand may be new."""
    each = readings(OcppVersion.V201)
    short = v21.SignedMeterValueType(
        signed_meter_data="x", encoding_method="OCMF", signing_method="", public_key="y"
    )
    found = each.converted(
        reading(
            sample(5, signed_meter_value=short.replace(signing_method=None)),
            sample(6, M.CURRENT_EXPORT_OFFERED),
            sample(7, M.VOLTAGE),
            sample(8, signed_meter_value=short),
        )
    )
    assert found is not None
    assert isinstance(found, cast("Any", OcppVersion.V201.module).MeterValueType)
    assert found.timestamp == NOW
    assert [value.value for value in found.sampled_value] == [5, 7, 8]
    assert [value.signed_meter_value is None for value in found.sampled_value] == [
        True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (None, 17_000_123.4),
        (v21.UnitOfMeasureType(unit="Wh"), 17_000_123.4),
        (v21.UnitOfMeasureType(unit="kWh"), 17_000_123_400.0),
        (v21.UnitOfMeasureType(unit="Wh", multiplier=3), 17_000_123_400.0),
        (v21.UnitOfMeasureType(unit="kWh", multiplier=-3), 17_000_123.4),
    ],
)
def test_energy_in_whatever_unit(unit: v21.UnitOfMeasureType | None, expected: float) -> None:
    value = reading(
        sample(1, M.VOLTAGE),
        sample(2, M.ENERGY_ACTIVE_IMPORT_REGISTER, phase=v21.PhaseEnumType.L1),
        sample(17_000_123.4, M.ENERGY_ACTIVE_IMPORT_REGISTER, unit_of_measure=unit),
    )
    assert energy_wh(value) == pytest.approx(expected)
    assert energy_wh(reading(sample(1, M.VOLTAGE))) is None
