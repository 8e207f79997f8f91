"""Tolerant and strict mode, what the codec refuses to encode, and templates of meter values."""

import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import orjson
import pytest

from ocpp_fast import _core
from ocpp_fast.errors import ValidationError
from ocpp_fast.messages import Json, Message, v21, v201
from vectors import subject

NOW: Final = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def tolerant(payload: str) -> _core.Call:
    """An Authorize of 2.0.1 that strict mode would refuse."""
    frame = f'[2,"i","Authorize",{payload}]'.encode()
    assert isinstance(subject.codec("2.0.1").decode(frame), _core.InvalidFrame)
    found = subject.codec("2.0.1", tolerant=True).decode(frame)
    assert isinstance(found, _core.Call), found
    return found


def test_tolerant_mode_reports_every_deviation() -> None:
    found = tolerant(
        '{"x":{"a":[1]},"idToken":{"idToken":"%s","type":"Central","additionalInfo":[],"y":null},'
        '"certificate":null,"z":1}' % ("a" * 40)
    )
    assert {(item.pointer, item.code) for item in found.deviations} == {
        ("/x", "FormatViolation"),
        ("/idToken/idToken", "PropertyConstraintViolation"),
        ("/idToken/additionalInfo", "OccurrenceConstraintViolation"),
        ("/idToken/y", "FormatViolation"),
        ("/certificate", "TypeConstraintViolation"),
        ("/z", "FormatViolation"),
    }
    values = {item.pointer: item.value for item in found.deviations}
    assert values["/x"] == Json({"a": [1]})
    assert values["/idToken/y"] == Json(None)
    assert all(item.cause for item in found.deviations)
    payload = found.payload
    assert isinstance(payload, v201.AuthorizeRequest)
    assert payload.id_token.id_token == "a" * 40
    assert payload.id_token.additional_info is None
    assert payload.certificate is None
    assert "a" * 40 not in repr(found)


def test_encoding_refuses_what_tolerant_decoding_let_through() -> None:
    found = tolerant('{"idToken":{"idToken":"%s","type":"Central"}}' % ("a" * 37))
    for encode in (
        lambda: _core.encode_payload(found.payload),
        lambda: subject.codec("2.0.1").encode_call("i", found.payload),
        lambda: subject.codec("2.0.1", tolerant=True).encode_call("i", found.payload),
    ):
        with pytest.raises(ValidationError) as raised:
            encode()
        assert raised.value.code == "PropertyConstraintViolation"
        assert raised.value.pointer == "/idToken/idToken"
    fine = tolerant('{"idToken":{"idToken":"a","type":"Central","x":1},"certificate":null}')
    assert orjson.loads(_core.encode_payload(fine.payload)) == {
        "idToken": {"idToken": "a", "type": "Central"}
    }


def test_tolerant_encoding_lets_long_texts_out_again() -> None:
    found = tolerant('{"idToken":{"idToken":"%s","type":"Central"}}' % ("a" * 37))
    codec = _core.Codec("2.0.1", tolerant_encode=True)
    sent = orjson.loads(codec.encode_call("i", found.payload))
    assert sent[3] == {"idToken": {"idToken": "a" * 37, "type": "Central"}}


def test_strict_encoding_does_not_learn_from_tolerant_encoding() -> None:
    """The texts of small objects are kept; a text that only tolerant encoding writes is not."""
    lenient = _core.Codec("2.0.1", tolerant=True, tolerant_encode=True)
    for length in range(21, 30):
        unit = '{"value":1,"unitOfMeasure":{"unit":"%s"}}' % ("u" * length)
        values = f'[{{"timestamp":"2026-11-21T09:30:00Z","sampledValue":[{unit}]}}]'
        frame = f'[2,"i","MeterValues",{{"evseId":1,"meterValue":{values}}}]'
        found = lenient.decode(frame.encode())
        assert isinstance(found, _core.Call)
        assert ("u" * length).encode() in lenient.encode_call("i", found.payload)
        with pytest.raises(ValidationError) as raised:
            subject.codec("2.0.1").encode_call("i", found.payload)
        assert raised.value.code == "PropertyConstraintViolation"


def test_replace_refuses_nothing_that_was_not_changed() -> None:
    found = tolerant('{"idToken":{"idToken":"%s","type":"Central"}}' % ("a" * 37))
    assert found.payload.replace() == found.payload
    token = found.payload.id_token  # type: ignore[attr-defined]
    assert token.replace(type="eMAID").id_token == "a" * 37
    with pytest.raises(ValidationError):
        token.replace(id_token=token.id_token)


def test_tolerantly_decoded_messages_pickle() -> None:
    found = tolerant('{"idToken":{"idToken":"%s","type":"Central"}}' % ("a" * 37))
    assert pickle.loads(pickle.dumps(found)) == found


# --- encoding -----------------------------------------------------------------------------


def test_codecs_frame_only_what_fits() -> None:
    heartbeat = v201.HeartbeatRequest()
    codec = subject.codec("2.0.1")
    for encode, message in (
        (codec.encode_call, v201.HeartbeatResponse(current_time=NOW)),
        (codec.encode_call, v201.EVSEType(id=1)),
        (codec.encode_call, v21.HeartbeatRequest()),
        (codec.encode_result, heartbeat),
        (codec.encode_send, heartbeat),
        (codec.encode_call, subject.codec("2.0.1").decode(b"[]")),
        (codec.encode_call, None),
        (codec.encode_call, {}),
    ):
        with pytest.raises(TypeError):
            encode("i", message)  # type: ignore[arg-type]
    for message_id in ("", "x" * 37):
        with pytest.raises(ValueError, match="message id"):
            codec.encode_call(message_id, heartbeat)
    with pytest.raises(TypeError):
        codec.encode_call(5, heartbeat)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="OCPP 2\\.1"):
        codec.encode_result_error("i", "GenericError")
    for details in (Json([]), Json("x")):
        with pytest.raises(ValidationError):
            codec.encode_error("i", "GenericError", "", details)
    with pytest.raises(ValueError, match="action"):
        codec.encode_call_raw("i", "Unknown", b"{}")


def test_payload_functions_take_messages_only() -> None:
    for value in (None, 5, {}, v201.EVSEType, subject.codec("2.0.1").decode(b"[]")):
        with pytest.raises(TypeError):
            _core.encode_payload(value)  # type: ignore[arg-type]
    for type_ in (None, int, dict, Message, _core.Call, v201.IdTokenEnumType):
        with pytest.raises(TypeError):
            _core.decode_payload(type_, b"{}")  # type: ignore[type-var]
    for data in (None, "{}", 5, [1]):
        with pytest.raises((TypeError, BufferError)):
            _core.decode_payload(v201.HeartbeatRequest, data)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        _core.message_type("2.0.1", "Nonsense")
    with pytest.raises(ValueError, match="version"):
        _core.message_type("1.6", "HeartbeatRequest")
    for module in (v201, v21):
        with pytest.raises(AttributeError):
            _ = module.Nonsense


# --- templates ----------------------------------------------------------------------------


def template(module: Any) -> _core.MeterValueTemplate:
    """Three readings with different members."""
    return _core.MeterValueTemplate(
        [
            module.SampledValueType(value=0, measurand="Voltage", phase="L1"),
            module.SampledValueType(value=0, unit_of_measure=module.UnitOfMeasureType(unit="A")),
            module.SampledValueType(value=0),
        ]
    )


@pytest.mark.parametrize("module", [v201, v21])
def test_templates_build_what_constructors_build(module: Any) -> None:
    for values in ((231.56, 16, -0.5), [0, 1e300, 5e-324], [1.0, 2.0, 3.0]):
        made = template(module).meter_value(NOW.astimezone(timezone(timedelta(hours=1))), values)
        assert made == module.MeterValueType(
            timestamp=NOW,
            sampled_value=[
                module.SampledValueType(value=values[0], measurand="Voltage", phase="L1"),
                module.SampledValueType(
                    value=values[1], unit_of_measure=module.UnitOfMeasureType(unit="A")
                ),
                module.SampledValueType(value=values[2]),
            ],
        )
        assert all(type(sample.value) is float for sample in made.sampled_value)
        assert _core.decode_payload(module.MeterValueType, _core.encode_payload(made)) == made


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (float("nan"), "PropertyConstraintViolation"),
        (float("inf"), "PropertyConstraintViolation"),
        (10**400, "PropertyConstraintViolation"),
        ("1", "TypeConstraintViolation"),
        (None, "TypeConstraintViolation"),
        (True, "TypeConstraintViolation"),
    ],
)
def test_templates_check_their_numbers(value: Any, code: str) -> None:
    with pytest.raises(ValidationError) as raised:
        template(v21).meter_value(NOW, [1.0, value, 2.0])
    assert (raised.value.code, raised.value.pointer) == (code, "/sampledValue/1/value")


def test_templates_check_their_timestamps() -> None:
    for moment in (datetime(2026, 11, 21), "2026-11-21T09:30:00Z", None):  # noqa: DTZ001
        with pytest.raises(ValidationError) as raised:
            template(v21).meter_value(moment, [1, 2, 3])  # type: ignore[arg-type]
        assert raised.value.pointer == "/timestamp"


def test_templates_want_one_number_for_each_value() -> None:
    for values in ((), [1, 2], [1, 2, 3, 4]):
        with pytest.raises(ValueError, match="3 values"):
            template(v201).meter_value(NOW, values)
    with pytest.raises(TypeError):
        template(v201).meter_value(NOW, 5)  # type: ignore[arg-type]


def test_templates_are_made_of_sampled_values_of_one_version() -> None:
    one, other = v201.SampledValueType(value=1), v21.SampledValueType(value=1)
    for samples in ([one, other], [one, v201.EVSEType(id=1)], [v201.EVSEType(id=1)], [one, 5], [5]):
        with pytest.raises(TypeError):
            _core.MeterValueTemplate(samples)
    with pytest.raises(ValueError, match="no sampled values"):
        _core.MeterValueTemplate([])


# --- values that are not what they seem -----------------------------------------------------


@pytest.mark.parametrize(
    "made",
    ["object.__new__(Json)", "Json.from_raw('{}')", "Json.from_raw(5)", "Json.from_raw(None)"],
)
@pytest.mark.parametrize(
    "use",
    [
        "_core.encode_payload(v21.DataTransferRequest(vendor_id='x', data=made))",
        "repr(v21.CustomDataType(vendor_id='x', extra=made))",
        "_core.Codec('2.1').encode_error('i', 'GenericError', '', made)",
    ],
)
def test_a_json_without_text_is_refused(made: str, use: str) -> None:
    """In a process of its own: where it is not refused, the process may die of it."""
    program = f"""
from ocpp_fast import _core
from ocpp_fast.messages import Json, v21
try:
    made = {made}
    {use}
except (TypeError, ValueError, AttributeError):
    raise SystemExit(17)
"""
    found = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert found.returncode == 17, found.stderr.decode()[-600:]
