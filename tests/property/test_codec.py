"""Properties of the codec that hold for any input, not only for the good and the nearly good."""

from __future__ import annotations

import json
import math
import re
import struct
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ocpp_fast import _core
from ocpp_fast.errors import ValidationError
from ocpp_fast.messages import v21, v201
from vectors import subject
from vectors.payloads import FULL, PayloadMaker
from vectors.schemas import VERSIONS, all_files

SEED: Final = 27_182_818
CODES: Final = frozenset(
    {
        "FormatViolation",
        "MessageTypeNotSupported",
        "NotImplemented",
        "OccurrenceConstraintViolation",
        "PropertyConstraintViolation",
        "RpcFrameworkError",
        "TypeConstraintViolation",
    }
)
FRAME_TYPES: Final = (
    _core.Call,
    _core.CallError,
    _core.CallResult,
    _core.CallResultError,
    _core.InvalidFrame,
    _core.Send,
)

versions = st.sampled_from(VERSIONS)
texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(width=64) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
actions = st.sampled_from(sorted({file.action for file in all_files()}))

FRAMES: Final = tuple(
    subject.frame(file, orjson.dumps(PayloadMaker(file, SEED).make(FULL)))
    for file in all_files()[::7]
)
SPICE: Final = (
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\x00",
    b"\n",
    b"null",
    b"-",
    b"1e999",
    b"\\u",
    b"\\ud800",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b'"":',
    b"[[[[",
)


def check(version: str, frame: bytes, open_action: str | None = None) -> _core.Frame:
    """Decodes in both modes; whatever comes must be one of the documented outcomes."""
    open_id = subject.MESSAGE_ID if open_action else None
    tolerant = subject.codec(version, tolerant=True).decode(frame, open_id, open_action)
    strict = subject.codec(version).decode(frame, open_id, open_action)
    for found in (tolerant, strict):
        assert isinstance(found, FRAME_TYPES)
        if isinstance(found, _core.InvalidFrame):
            assert found.code in CODES
            assert found.cause
            assert found.message_id == "-1" or 1 <= len(found.message_id) <= 36
    if not isinstance(strict, _core.InvalidFrame):
        assert tolerant == strict
    return strict


@given(versions, actions, json_values)
@settings(max_examples=400)
def test_any_json_as_a_payload(version: str, action: str, payload: Any) -> None:
    frame = json.dumps([2, subject.MESSAGE_ID, action, payload]).encode()
    found = check(version, frame)
    assert isinstance(found, _core.Call | _core.InvalidFrame)
    assert found.message_id == subject.MESSAGE_ID
    result = json.dumps([3, subject.MESSAGE_ID, payload]).encode()
    check(version, result, action if action in _core.actions(version) else "Heartbeat")


@given(versions, json_values)
@settings(max_examples=300)
def test_any_json_as_a_frame(version: str, value: Any) -> None:
    found = check(version, json.dumps(value).encode(), "Heartbeat")
    if not isinstance(value, list):
        assert isinstance(found, _core.InvalidFrame)
        assert (found.code, found.message_id) == ("RpcFrameworkError", "-1")


@given(versions, st.binary(max_size=200))
@settings(max_examples=400)
@example("2.1", b'[2,"' + b"\xe2\x82" * 40)
def test_any_bytes_as_a_frame(version: str, frame: bytes) -> None:
    check(version, frame, "Heartbeat")


@given(st.data(), versions, st.sampled_from(FRAMES))
@settings(max_examples=1_500)
def test_mutated_frames(data: st.DataObject, version: str, frame: bytes) -> None:
    broken = bytearray(frame)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(broken)))
        how = data.draw(st.sampled_from(("insert", "cut", "flip", "end", "repeat")))
        if how == "insert":
            broken[at:at] = data.draw(st.sampled_from(SPICE))
        elif how == "cut":
            del broken[at : at + data.draw(st.integers(1, 8))]
        elif how == "flip" and at < len(broken):
            broken[at] ^= 1 << data.draw(st.integers(0, 7))
        elif how == "repeat":
            broken[at:at] = broken[at : at + data.draw(st.integers(1, 40))]
        else:
            del broken[at:]
    found = check(version, bytes(broken), "Authorize")
    if not isinstance(found, _core.InvalidFrame):
        assert is_strict_json(bytes(broken)), (found, bytes(broken))


def is_strict_json(text: bytes) -> bool:
    """Whether Python's json reads it, without NaN and duplicate names."""
    try:
        json.loads(text.decode(), parse_constant=_refuse, object_pairs_hook=_no_duplicates)
    except ValueError:
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("duplicate names")
    return dict(pairs)


# A JSON text with at most one slip, so that most examples are near the border.
json_texts = json_values.map(lambda value: json.dumps(value, allow_nan=True))


@given(versions, json_texts, st.integers(0, 10_000), st.sampled_from((b"", *SPICE)))
@settings(max_examples=800)
def test_json_is_what_python_says_it_is(version: str, text: str, at: int, spice: bytes) -> None:
    """DataTransfer.data takes any JSON, so there the verdict is exactly that of the grammar."""
    at %= len(text) + 1
    token = text[:at].encode() + spice + text[at:].encode()
    frame = b'[2,"i","DataTransfer",{"vendorId":"v","data":[%s]}]' % token
    accepted = not isinstance(check(version, frame), _core.InvalidFrame)
    allowed = is_strict_json(frame) and not has_lone_surrogate(frame) and not overflows(frame)
    assert accepted == allowed, token


def has_lone_surrogate(text: bytes) -> bool:
    """Whether an escape stands for half a surrogate pair, which Python's json lets pass."""
    return (
        re.search("[\ud800-\udfff]", json.dumps(json.loads(text), ensure_ascii=False)) is not None
    )


def overflows(text: bytes) -> bool:
    """Whether a number exceeds a double, which Python's json reads as infinity."""
    numbers: list[float] = []

    def note(token: str) -> float:
        numbers.append(float(token))
        return numbers[-1]

    json.loads(text, parse_float=note, parse_int=note)
    return any(map(math.isinf, numbers))


@given(versions, st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=1_000)
@example("2.1", 231.56)
@example("2.1", 16_777_217.0)
@example("2.1", -0.0)
@example("2.1", 5e-324)
@example("2.1", 1.7976931348623157e308)
@example("2.1", 9007199254740993.0)
@example("2.0.1", 1e21)
@example("2.0.1", 1e-7)
def test_doubles_survive_exactly(version: str, value: float) -> None:
    module = v201 if version == "2.0.1" else v21
    sampled = module.SampledValueType(value=value)
    text = _core.encode_payload(sampled)
    assert bits(json.loads(text)["value"]) == bits(value)
    assert bits(_core.decode_payload(module.SampledValueType, text).value) == bits(value)
    for spelled in (repr(value), f"{value:.17e}", f"{value!r}".replace("e", "E")):
        found = _core.decode_payload(module.SampledValueType, b'{"value":%s}' % spelled.encode())
        assert bits(found.value) == bits(value), spelled


def bits(value: float) -> bytes:
    """The eight bytes of a double: tells -0.0 from 0.0."""
    return struct.pack("<d", value)


def test_short_decimals_leave_as_they_came() -> None:
    for text in ("231.56", "0.1", "0.3", "99.95", "-273.15", "16777217.0", "230.0", "1.005"):
        found = _core.decode_payload(v21.SampledValueType, b'{"value":%s}' % text.encode())
        assert _core.encode_payload(found) == b'{"value":%s}' % text.encode()


@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
)
@settings(max_examples=1_000)
def test_decimals_become_the_nearest_double(text: str) -> None:
    wanted = float(text)
    payload = b'{"value":%s}' % text.encode()
    if math.isinf(wanted):
        assert refused(v21.SampledValueType, payload) == ("PropertyConstraintViolation", "/value")
    else:
        # JSON's -0 is the whole number 0 for Python's json as well.
        shown = _core.decode_payload(v21.SampledValueType, payload).value
        assert shown == wanted


def refused(type_: type[_core.Message], payload: bytes) -> tuple[str, str]:
    """Code and pointer of the error that a payload raises."""
    try:
        found = _core.decode_payload(type_, payload)
    except ValidationError as error:
        return error.code, error.pointer
    raise AssertionError(f"accepted as {found!r}")


@given(st.integers(-(2**66), 2**66))
@settings(max_examples=300)
@example(2**63 - 1)
@example(-(2**63))
@example(2**63)
@example(-(2**63) - 1)
@example(10**18)
@example(10**18 - 1)
def test_integers_survive_exactly(value: int) -> None:
    payload = b'{"id":%d}' % value
    if value < 0 or value >= 2**63:
        assert refused(v21.EVSEType, payload) == ("PropertyConstraintViolation", "/id")
        return
    evse = _core.decode_payload(v21.EVSEType, payload)
    assert evse.id == value
    assert _core.encode_payload(evse) == payload


@given(versions, st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
@settings(max_examples=500)
def test_texts_survive_exactly(version: str, text: str) -> None:
    module = v201 if version == "2.0.1" else v21
    request = module.DataTransferRequest(vendor_id=text, message_id=text[::-1], data={text: text})
    for payload in (
        _core.encode_payload(request),
        json.dumps({"vendorId": text, "messageId": text[::-1], "data": {text: text}}).encode(),
    ):
        assert json.loads(payload) == {
            "vendorId": text,
            "messageId": text[::-1],
            "data": {text: text},
        }
        found = _core.decode_payload(module.DataTransferRequest, payload)
        assert found == request
        assert (found.vendor_id, found.message_id) == (text, text[::-1])
        assert hash(found) == hash(request)


@given(st.text(max_size=10), st.sampled_from("\ud800\udbff\udc00\udfff"), st.text(max_size=10))
def test_half_pairs_are_refused(before: str, half: str, behind: str) -> None:
    text = before + half + behind
    assume("\ud800" not in before + behind)
    try:
        v21.DataTransferRequest(vendor_id=text)
    except ValidationError as error:
        assert (error.code, error.pointer) == ("FormatViolation", "/vendorId")
    else:
        raise AssertionError(f"accepted {text!r}")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=36))
@settings(max_examples=300)
def test_message_ids_survive_exactly(message_id: str) -> None:
    for version in VERSIONS:
        codec = subject.codec(version)
        heartbeat = codec.decode(b'[2,"i","Heartbeat",{}]')
        assert isinstance(heartbeat, _core.Call)
        frame = codec.encode_call(message_id, heartbeat.payload)
        assert json.loads(frame) == [2, message_id, "Heartbeat", {}]
        found = codec.decode(frame)
        assert isinstance(found, _core.Call)
        assert found.message_id == message_id


@given(
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 30)),  # noqa: DTZ001 - the offset comes next
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
    st.integers(0, 9),
)
@settings(max_examples=500)
def test_date_times_survive_as_instants(moment: datetime, minutes: int, digits: int) -> None:
    sign = "-" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    fraction = f"{moment.microsecond:06d}000"[:digits]
    text = f"{moment:%H:%M:%S}{'.' if digits else ''}{fraction}{sign}{hours:02d}:{rest:02d}"
    text = f"{moment.year:04d}-{moment:%m-%d}T{text}"
    wanted = moment.replace(microsecond=int(f"{fraction[:6]:0<6}"), tzinfo=UTC) - timedelta(
        minutes=minutes
    )
    found = _core.decode_payload(v21.HeartbeatResponse, b'{"currentTime":"%s"}' % text.encode())
    assert found.current_time == subject.milliseconds(wanted)
    assert found.current_time.tzinfo is UTC
    assert _core.decode_payload(v21.HeartbeatResponse, _core.encode_payload(found)) == found
