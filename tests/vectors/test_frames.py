"""Odd frames get their documented answer, good ones are read and written back."""

import json
from typing import Any

import pytest

from ocpp_fast import _core
from ocpp_fast.messages.json_value import Json
from vectors.frames import (
    ALL_BAD,
    BOTH,
    FRAMEWORK,
    GOOD_CALLS,
    OPEN_ACTION,
    OPEN_ID,
    RESULT,
    UNREADABLE,
    Bad,
    custom,
    raw,
)
from vectors.subject import codec, same_json


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("tolerant", [False, True], ids=["strict", "tolerant"])
@pytest.mark.parametrize("bad", ALL_BAD, ids=[bad.name for bad in ALL_BAD])
def test_bad_frames_are_answered(version: str, tolerant: bool, bad: Bad) -> None:
    if version not in bad.versions:
        pytest.skip(f"not for {version}")
    found = codec(version, tolerant=tolerant).decode(raw(bad.frame), OPEN_ID, OPEN_ACTION)
    assert isinstance(found, _core.InvalidFrame), found
    assert (found.code, found.message_id) == (bad.code, bad.message_id), found.cause
    assert (found.message_type, found.action) == (bad.message_type, bad.action)
    if bad.pointer:
        assert found.pointer == bad.pointer
    assert found.cause


def test_names_of_bad_frames_are_unique() -> None:
    assert len({bad.name for bad in ALL_BAD}) == len(ALL_BAD)


@pytest.mark.parametrize("version", BOTH)
def test_frame_length_has_a_limit(version: str) -> None:
    small = _core.Codec(version, max_frame_bytes=100)
    head, tail = b'[2,"i","Heartbeat",{}', b"]"
    assert isinstance(small.decode(head + b" " * (100 - len(head + tail)) + tail), _core.Call)
    found = small.decode(head + b" " * (101 - len(head + tail)) + tail)
    assert isinstance(found, _core.InvalidFrame)
    assert (found.code, found.message_id) == (FRAMEWORK, UNREADABLE)
    found = _core.Codec(version).decode(head + b" " * 1_048_576 + tail)
    assert isinstance(found, _core.InvalidFrame)
    assert (found.code, found.message_id) == (FRAMEWORK, UNREADABLE)


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("name", GOOD_CALLS)
def test_good_calls(version: str, name: str) -> None:
    case = GOOD_CALLS[name]
    frame, message_id = case if isinstance(case, tuple) else (case, "i")
    for shape in (bytes, bytearray, memoryview):
        found = codec(version).decode(shape(frame.encode()), OPEN_ID, OPEN_ACTION)
        assert isinstance(found, _core.Call), found
        assert (found.message_id, found.action, found.deviations) == (message_id, "Heartbeat", ())
        assert type(found.payload).__name__ == "HeartbeatRequest"
    again = codec(version).encode_call(message_id, found.payload)
    assert json.loads(again) == [2, message_id, "Heartbeat", {}]


def test_a_view_with_steps_is_refused() -> None:
    with pytest.raises((BufferError, ValueError)):
        codec("2.0.1").decode(memoryview(b'[2,"i","Heartbeat",{}]')[::2])


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.0", -0.0),
        ("0.5", 0.5),
        ("1e2", 100.0),
        ("1E+2", 100.0),
        ("1e-2", 0.01),
        ("231.56", 231.56),
        ("1E-400", 0.0),
        ("0e999999", 0.0),
        ("9" * 300, int("9" * 300)),
        ("0." + "1" * 10_000, 0.1111111111111111),
        ('"\\u0000\\u007f\\u2028\\uffff"', "\x00\x7f\u2028\uffff"),
        ('"\\ud83d\\udd0c"', "\U0001f50c"),
        ('"\\uD83D\\uDD0C"', "\U0001f50c"),
        ('"\x7f\u0080\u2028\uffff\U0010ffff"', "\x7f\x80\u2028\uffff\U0010ffff"),
        ('"\\/\\"\\\\"', '/"\\'),
        ("[[[[[[]]]]]]", [[[[[[]]]]]]),
        ('{"":{"":{"":""}}}', {"": {"": {"": ""}}}),
        ("[ ]", []),
        ("{ }", {}),
        ("null", None),
    ],
)
@pytest.mark.parametrize("version", BOTH)
def test_any_json_is_kept(version: str, token: str, value: Any) -> None:
    for frame in (
        custom(token),
        f'[2,"i","DataTransfer",{{"vendorId":"v","data":{token}}}]',
    ):
        found = codec(version).decode(frame.encode())
        assert isinstance(found, _core.Call), found
        again = json.loads(codec(version).encode_call("i", found.payload))
        assert same_json(again, json.loads(frame)), (again, value)


@pytest.mark.parametrize("version", BOTH)
def test_depth_has_a_limit_that_real_data_does_not_reach(version: str) -> None:
    for depth, accepted in ((1, True), (32, True), (64, True), (66, False)):
        frame = custom("[" * depth + "]" * depth).encode()
        assert isinstance(codec(version).decode(frame), _core.Call) is accepted, depth


@pytest.mark.parametrize("version", BOTH)
def test_results_belong_to_the_open_call(version: str) -> None:
    frame = f'[3,"{OPEN_ID}",{RESULT}]'.encode()
    found = codec(version).decode(frame, OPEN_ID, OPEN_ACTION)
    assert isinstance(found, _core.CallResult)
    assert type(found.payload).__name__ == "HeartbeatResponse"
    for open_id in (None, "other", "OPEN", f"{OPEN_ID} ", ""):
        found = codec(version).decode(frame, open_id, OPEN_ACTION if open_id else None)
        assert isinstance(found, _core.CallResult), found
        assert (found.message_id, found.payload) == (OPEN_ID, None)
    escaped = f'[3,"\\u006f{OPEN_ID[1:]}",{RESULT}]'.encode()
    found = codec(version).decode(escaped, OPEN_ID, OPEN_ACTION)
    assert isinstance(found, _core.CallResult)
    assert found.payload is not None


@pytest.mark.parametrize("version", BOTH)
def test_stray_results_may_hold_anything(version: str) -> None:
    """Nobody waits for them, so their payload is only checked to be JSON."""
    for payload in ("{}", "null", "17", '{"unknown":[1,2,{"a":null}]}', '"text"'):
        found = codec(version).decode(f'[3,"stray",{payload}]'.encode(), OPEN_ID, OPEN_ACTION)
        assert isinstance(found, _core.CallResult), found
        assert (found.message_id, found.payload) == ("stray", None)


@pytest.mark.parametrize(
    ("version", "number", "kind"),
    [("2.0.1", 4, _core.CallError), ("2.1", 4, _core.CallError), ("2.1", 5, _core.CallResultError)],
)
@pytest.mark.parametrize(
    ("code", "description", "details"),
    [
        ("GenericError", "", "{}"),
        ("NotARealCode", "ünknown \\u0000", '{ "a" : [ 1 , { } ] }'),
        ("", "x" * 3000, '{"a":1.50}'),
        ("GenericError\\ud83d\\udd0c", "\\n", "{}"),
    ],
)
def test_errors_are_kept_as_received(
    version: str,
    number: int,
    kind: type[_core.CallError | _core.CallResultError],
    code: str,
    description: str,
    details: str,
) -> None:
    frame = f'[{number},"i","{code}","{description}",{details}]'
    found = codec(version).decode(frame.encode())
    assert isinstance(found, kind), found
    wanted = json.loads(frame)
    assert [number, found.message_id, found.code, found.description] == wanted[:4]
    assert found.details is not None
    assert same_json(found.details.value, wanted[4])
    encode = codec(version).encode_error if number == 4 else codec(version).encode_result_error
    wanted[3] = wanted[3][:255]  # Part 4, 4.2.3: what we write keeps to the limit
    assert json.loads(encode("i", found.code, found.description, found.details)) == wanted


@pytest.mark.parametrize("version", BOTH)
def test_errors_are_written_with_empty_parts(version: str) -> None:
    assert json.loads(codec(version).encode_error("i", "GenericError")) == [
        4, "i", "GenericError", "", {},
    ]  # fmt: skip
    made = codec(version).encode_error("-1", "RpcFrameworkError", 'a "b"', Json({"c": [1]}))
    assert json.loads(made) == [4, "-1", "RpcFrameworkError", 'a "b"', {"c": [1]}]


def test_send_is_decoded_in_2_1() -> None:
    payload = '{"id":1,"pending":0,"basetime":"2026-11-21T09:30:00Z","data":[{"t":0.5,"v":"1"}]}'
    frame = f'[6,"i","NotifyPeriodicEventStream",{payload}]'.encode()
    found = codec("2.1").decode(frame)
    assert isinstance(found, _core.Send), found
    assert (found.message_id, found.action) == ("i", "NotifyPeriodicEventStream")
    assert json.loads(codec("2.1").encode_send("i", found.payload)) == json.loads(frame)


def test_stored_payloads_are_framed_as_they_are() -> None:
    made = codec("2.0.1").encode_call_raw('i"d', "Heartbeat", b'{"customData": {"vendorId":"v"}}')
    assert json.loads(made) == [2, 'i"d', "Heartbeat", {"customData": {"vendorId": "v"}}]
