"""Sampled values are decoded and encoded with the help of the last one at their place.

Whatever came before, a reading must be what its own bytes say, and be written as its own members
say.
"""

import json
import sys
from datetime import UTC, datetime
from itertools import permutations, product
from typing import Any

import pytest

from ocpp_fast import _core
from ocpp_fast.errors import ValidationError
from ocpp_fast.messages import MeterValueTemplate, v21, v201

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
STAMP = "2026-11-21T09:30:00Z"

# Descriptions that begin alike, in every way in which one may be taken for another.
TAILS = [
    "",
    ',"measurand":"Voltage"',
    ',"measurand":"Voltage","phase":"L1"',
    ',"measurand":"Voltage","phase":"L1-N"',
    ', "measurand":"Voltage"',
    ',"phase":"L1","measurand":"Voltage"',
    ',"measurand":"Voltage","unitOfMeasure":{"unit":"V"}',
    ',"measurand":"Voltage","unitOfMeasure":{"unit":"V","multiplier":3}',
    ',"measurand":"Voltage","customData":{"vendorId":"x","a":[1,2]}',
    ',"measurand":"Voltage","customData":{"vendorId":"x","a":[1,3]}',
    ',"measurand":"Voltage","customData":{"vendorId":"' + "x" * 250 + '"}',
]
NUMBERS = ["1", "1.5", "-0.001", "1e3", "12345678.25"]


def frame(*readings: str) -> bytes:
    values = f'[{{"timestamp":"{STAMP}","sampledValue":[{",".join(readings)}]}}]'
    return f'[2,"i","MeterValues",{{"evseId":1,"meterValue":{values}}}]'.encode()


def reading(number: str, tail: str) -> str:
    return f'{{"value":{number}{tail}}}'


def decoded(codec: _core.Codec, data: bytes) -> Any:
    found = codec.decode(data)
    assert isinstance(found, _core.Call), found
    return found.payload


def as_json(codec: _core.Codec, payload: Any) -> Any:
    return json.loads(codec.encode_call("i", payload))[3]["meterValue"][0]["sampledValue"]


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_a_reading_is_what_its_own_bytes_say_whatever_came_before(version: str) -> None:
    codec = _core.Codec(version)
    for before, after in permutations(TAILS, 2):
        for number in NUMBERS:
            decoded(codec, frame(reading("7", before)))
            text = reading(number, after)
            payload = decoded(codec, frame(text))
            expected = json.loads(text)
            assert as_json(codec, payload) == [expected]
            (found,) = payload.meter_value[0].sampled_value
            assert found.value == float(expected["value"])
            assert found.measurand == expected.get("measurand")
            assert found.phase == expected.get("phase")


@pytest.mark.parametrize(
    "broken",
    [
        '{"value":1,"measurand":"Voltage","phase":"L1"',
        '{"value":1,"measurand":"Voltage","phase":"L1"]',
        '{"value":1"measurand":"Voltage","phase":"L1"}',
        '{"value":"1","measurand":"Voltage","phase":"L1"}',
        '{"value":01,"measurand":"Voltage","phase":"L1"}',
        '{"value":1.,"measurand":"Voltage","phase":"L1"}',
        '{"value":NaN,"measurand":"Voltage","phase":"L1"}',
        '{"value":1e999,"measurand":"Voltage","phase":"L1"}',
        '{"value":1,"measurand":"Voltage","phase":"L1","value":1}',
        '{"value":1,"measurand":"Voltage","phase":"L1","phase":"L1"}',
        '{"value":1,"measurand":"Voltage","phase":"L1","x":1}',
        '{"value":1,"measurand":"Voltage","phase":"L9"}',
        '{"value:1,"measurand":"Voltage","phase":"L1"}',
    ],
)
def test_what_is_refused_first_is_refused_later_too(broken: str) -> None:
    fresh = _core.Codec("2.1").decode(frame(broken))
    assert isinstance(fresh, _core.InvalidFrame)
    decoded(_core.Codec("2.1"), frame('{"value":1,"measurand":"Voltage","phase":"L1"}'))
    assert _core.Codec("2.1").decode(frame(broken)) == fresh


def test_tolerated_readings_leave_nothing_behind() -> None:
    strict, tolerant = _core.Codec("2.1"), _core.Codec("2.1", tolerant=True, tolerant_encode=True)
    long = reading("1", ',"unitOfMeasure":{"unit":"' + "u" * 21 + '"}')
    odd = reading("1", ',"measurand":"Voltage","colour":"red"')
    for text in (long, odd):
        for _ in range(2):
            found = tolerant.decode(frame(text))
            assert isinstance(found, _core.Call)
            assert len(found.deviations) == 1
            assert isinstance(strict.decode(frame(text)), _core.InvalidFrame)
            tolerant.encode_call("i", found.payload)
    payload = decoded(tolerant, frame(long))
    with pytest.raises(ValidationError):
        strict.encode_call("i", payload)


@pytest.mark.parametrize("m", [v201, v21])
def test_a_reading_is_written_as_its_own_members_say_whatever_came_before(m: Any) -> None:
    codec = _core.Codec("2.0.1" if m is v201 else "2.1")
    units = [None, m.UnitOfMeasureType(unit="V"), m.UnitOfMeasureType(unit="V", multiplier=1)]
    custom = [None, m.CustomDataType(vendor_id="x"), m.CustomDataType(vendor_id="y")]
    samples = [
        m.SampledValueType(value=value, measurand=measurand, unit_of_measure=unit, custom_data=data)
        for value, measurand, unit, data in product(
            (1.5, 2.0), (None, "Voltage", "SoC"), units, custom
        )
    ]
    for before, after in permutations(samples, 2):
        written: list[Any] = []
        for sample in (before, after):
            value = m.MeterValueType(timestamp=NOW, sampled_value=[sample])
            request = m.MeterValuesRequest(evse_id=1, meter_value=[value])
            data = codec.encode_call("i", request)
            assert decoded(codec, data) == request
            written += json.loads(data)[3]["meterValue"][0]["sampledValue"]
        assert (written[0] == written[1]) is (before == after)


def test_more_readings_than_places_are_all_right() -> None:
    codec = _core.Codec("2.1")
    texts = [reading(str(index), TAILS[index % 7]) for index in range(100)]
    for _ in range(3):
        payload = decoded(codec, frame(*texts))
        assert as_json(codec, payload) == [json.loads(text) for text in texts]
        texts = texts[1:] + texts[:1]


def test_readings_of_a_template_share_what_does_not_change() -> None:
    codec = _core.Codec("2.1")
    voltage = v21.MeasurandEnumType.VOLTAGE
    phases = (v21.PhaseEnumType.L1, v21.PhaseEnumType.L2)
    samples = [v21.SampledValueType(value=0, measurand=voltage, phase=phase) for phase in phases]
    template = MeterValueTemplate(samples)
    for values in ([230.1, 231.2], [229.9, 230], [0.5, 0.25]):
        made = template.meter_value(NOW, values)
        request = v21.MeterValuesRequest(evse_id=1, meter_value=[made])
        expected = [
            {"value": value, "measurand": "Voltage", "phase": phase}
            for value, phase in zip(values, ("L1", "L2"), strict=True)
        ]
        assert as_json(codec, request) == expected


def test_shared_members_are_counted() -> None:
    codec = _core.Codec("2.1")
    data = frame(*[reading("1.5", ',"measurand":"SoC","customData":{"vendorId":"c"}')] * 16)
    decoded(codec, data)
    member = v21.MeasurandEnumType.SOC
    before = sys.getrefcount(member)
    kept = [decoded(codec, data) for _ in range(50)]
    assert sys.getrefcount(member) == before + 50 * 16
    del kept
    assert sys.getrefcount(member) == before
