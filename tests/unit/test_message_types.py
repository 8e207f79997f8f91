"""Messages as Python values: construction, errors, comparison, copies, pickles."""

import copy
import enum
import pickle
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final

import orjson
import pytest

from ocpp_fast import _core
from ocpp_fast.errors import ValidationError
from ocpp_fast.messages import Json, Message, v21, v201
from vectors import subject
from vectors.construction import constructed, datatypes
from vectors.schemas import VERSIONS, SchemaFile

ALL_TYPES: Final = list(datatypes())
NOW: Final = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SECRET_NUMBER: Final = 73_556_081
SECRET: Final = f"s{SECRET_NUMBER}t"


def instances(version: str) -> Iterator[tuple[SchemaFile, dict[str, Any], Message]]:
    """One full message of every type of a version, with its schema and its payload."""
    for file, payload in ALL_TYPES:
        if file.version == version:
            yield file, payload, constructed(file, payload)


def error_of(type_: Any, **arguments: Any) -> ValidationError:
    """The error that a constructor raises."""
    with pytest.raises(ValidationError) as raised:
        type_(**arguments)
    return raised.value


# --- what constructors accept -------------------------------------------------------------


def test_arguments_are_converted() -> None:
    request = v201.MeterValuesRequest(
        evse_id=17.0,  # type: ignore[arg-type]
        meter_value=[
            v201.MeterValueType(
                timestamp=datetime(2026, 11, 21, 10, 30, 0, 123_999, timezone(timedelta(hours=1))),
                sampled_value=(
                    v201.SampledValueType(value=7, context="Transaction.Begin", phase=None),  # type: ignore[arg-type]
                ),
            )
        ],
    )
    assert type(request.evse_id) is int
    assert request.evse_id == 17
    assert type(request.meter_value) is tuple
    value = request.meter_value[0]
    assert value.timestamp == NOW.replace(microsecond=123_000)
    assert value.timestamp.tzinfo is UTC
    sample = value.sampled_value[0]
    assert type(sample.value) is float
    assert sample.context is v201.ReadingContextEnumType.TRANSACTION_BEGIN
    assert sample.phase is None


class Number(int):
    """A whole number of a caller's own."""


class Text(str):
    """A string of a caller's own."""

    __slots__ = ()


class Moment(datetime):
    """A datetime of a caller's own, as test tools make them."""


class Colour(enum.IntEnum):
    """An enumeration of whole numbers."""

    RED = 4


def test_subclasses_become_the_plain_type() -> None:
    evse = v201.EVSEType(id=Number(3), connector_id=Colour.RED)
    assert (type(evse.id), evse.id) == (int, 3)
    assert (type(evse.connector_id), evse.connector_id) == (int, 4)
    token = v201.IdTokenType(id_token=Text("abc"), type=Text("Central"))  # type: ignore[arg-type]
    assert type(token.id_token) is str
    assert token.type is v201.IdTokenEnumType.CENTRAL
    response = v201.HeartbeatResponse(current_time=Moment(2026, 11, 21, 9, 30, tzinfo=UTC))
    assert type(response.current_time) is datetime
    assert response.current_time == NOW


def test_an_enumeration_of_the_other_version_is_its_text() -> None:
    status: Any = v21.GenericStatusEnumType.ACCEPTED
    response = v201.ClearDisplayMessageResponse(status=status)
    assert type(response.status) is v201.ClearMessageStatusEnumType


def test_a_datatype_of_the_other_version_is_refused() -> None:
    error = error_of(v201.AuthorizeRequest, id_token=v21.IdTokenType(id_token="a", type="Central"))
    assert (error.code, error.pointer) == ("TypeConstraintViolation", "/idToken")


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (datetime(2026, 11, 21, 9, 30), "/currentTime"),  # noqa: DTZ001 - naive on purpose
        (datetime(9999, 12, 31), "/currentTime"),  # noqa: DTZ001 - naive on purpose
    ],
)
def test_naive_datetimes_are_refused(value: datetime, pointer: str) -> None:
    error = error_of(v201.HeartbeatResponse, current_time=value)
    assert (error.code, error.pointer) == ("PropertyConstraintViolation", pointer)
    assert "aware" in error.cause


class NoOffset(tzinfo):
    """A time zone that does not know its offset: such datetimes are naive in spite of it."""

    def utcoffset(self, dt: datetime | None) -> None:
        """No offset."""

    def tzname(self, dt: datetime | None) -> None:
        """No name."""

    def dst(self, dt: datetime | None) -> None:
        """No daylight saving time."""


def test_a_time_zone_without_offset_is_as_good_as_none() -> None:
    error = error_of(v201.HeartbeatResponse, current_time=NOW.replace(tzinfo=NoOffset()))
    assert (error.code, error.pointer) == ("PropertyConstraintViolation", "/currentTime")


@pytest.mark.parametrize("hours", [-1, 1])
def test_datetimes_beyond_the_calendar_are_refused(hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    edge = (9999, 12, 31, 23, 59) if hours < 0 else (1, 1, 1, 0, 0)
    error = error_of(v201.HeartbeatResponse, current_time=datetime(*edge, tzinfo=zone))
    assert (error.code, error.pointer) == ("PropertyConstraintViolation", "/currentTime")


def test_other_offsets_are_converted() -> None:
    for minutes in (-23 * 60 - 59, -8 * 60, 0, 90, 14 * 60):
        zone = timezone(timedelta(minutes=minutes))
        response = v201.HeartbeatResponse(current_time=NOW.astimezone(zone))
        assert response.current_time == NOW
        assert response.current_time.tzinfo is UTC


class Treacherous(list[Any]):
    """A list whose iteration fails."""

    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("no iteration")


class Hostile(int):
    """A whole number that cannot be added to."""

    def __add__(self, other: int) -> int:
        raise RuntimeError("no addition")


def test_errors_of_the_callers_own_types_come_through_or_do_not_matter() -> None:
    data = v201.GetVariableDataType(
        component=v201.ComponentType(name="a"), variable=v201.VariableType(name="b")
    )
    try:
        made = v201.GetVariablesRequest(get_variable_data=Treacherous([data]))
    except RuntimeError:
        pass
    else:
        assert made.get_variable_data == (data,)
    try:
        evse = v201.EVSEType(id=Hostile(3))
    except RuntimeError:
        pass
    else:
        assert evse.id == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_numbers_are_finite(value: float) -> None:
    error = error_of(v201.SampledValueType, value=value)
    assert (error.code, error.pointer) == ("PropertyConstraintViolation", "/value")


@pytest.mark.parametrize("value", [True, "1", None, 1.5, float("nan"), b"1", [1], 1j])
def test_what_is_no_integer(value: object) -> None:
    error = error_of(v201.EVSEType, id=value)
    assert (error.code, error.pointer) == ("TypeConstraintViolation", "/id")


@pytest.mark.parametrize("value", [iter(["a"]), {"a"}, "a", b"a", {0: "a"}, range(2), 5])
def test_only_lists_and_tuples_are_arrays(value: object) -> None:
    error = error_of(
        v21.PublishFirmwareStatusNotificationRequest, status="Published", location=value
    )
    assert (error.code, error.pointer) == ("TypeConstraintViolation", "/location")


def test_custom_data_keeps_its_extra_members() -> None:
    extra = {"a": [1, {"b": None}], "c": "d"}
    custom = v201.CustomDataType(vendor_id="x", extra=extra)
    assert isinstance(custom.extra, Json)
    extra["a"] = "changed afterwards"
    assert custom.extra.value == {"a": [1, {"b": None}], "c": "d"}
    assert orjson.loads(_core.encode_payload(custom)) == {"vendorId": "x", **custom.extra.value}
    assert v201.CustomDataType(vendor_id="x", extra={}) == v201.CustomDataType(vendor_id="x")
    assert custom.replace(extra=None) == v201.CustomDataType(vendor_id="x")


@pytest.mark.parametrize("value", [[], "x", 1, True, Json([]), Json("{}")])
def test_extra_members_are_an_object(value: Any) -> None:
    error = error_of(v201.CustomDataType, vendor_id="x", extra=value)
    assert error.code == "TypeConstraintViolation"


def test_extra_members_may_not_be_members() -> None:
    error = error_of(v201.CustomDataType, vendor_id="x", extra={"vendorId": "y"})
    assert (error.code, error.pointer) == ("FormatViolation", "/vendorId")


@pytest.mark.parametrize("value", [float("nan"), {1: 2}, object(), {"a": {1, 2}}, b"x", "\ud800"])
def test_any_json_must_be_json(value: Any) -> None:
    error = error_of(v201.DataTransferRequest, vendor_id="x", data=value)
    assert error.code in {"TypeConstraintViolation", "FormatViolation"}


# --- error texts --------------------------------------------------------------------------


def test_errors_name_the_place() -> None:
    error = error_of(
        v201.GetVariablesRequest,
        get_variable_data=[
            v201.GetVariableDataType(
                component=v201.ComponentType(name="a"), variable=v201.VariableType(name="b")
            ),
            "nonsense",
        ],
    )
    assert (error.code, error.pointer) == ("TypeConstraintViolation", "/getVariableData/1")
    assert str(error) == f"TypeConstraintViolation at /getVariableData/1: {error.cause}"
    assert isinstance(error, ValueError)
    assert pickle.loads(pickle.dumps(error)).args == error.args


@pytest.mark.parametrize("version", VERSIONS)
def test_causes_never_repeat_the_value(version: str) -> None:
    """They go into logs and to the peer."""
    secret = SECRET * 2000
    payloads = (
        b'{"idToken":{"idToken":"%s","type":"Central"}}',
        b'{"idToken":{"idToken":"a","type":"%s"}}',
        b'{"idToken":{"idToken":{"%s":1},"type":"Central"}}',
        b'{"idToken":"%s"}',
        b'{"certificate":"%s%s",',
    )
    for payload in payloads:
        body = payload.replace(b"%s", secret.encode())
        found = subject.codec(version).decode(b'[2,"i","Authorize",' + body + b"]")
        assert isinstance(found, _core.InvalidFrame), body
        assert SECRET not in found.cause
    module: Any = v201 if version == "2.0.1" else v21
    for arguments in ({"id_token": secret, "type": "Central"}, {"id_token": "a", "type": secret}):
        assert SECRET not in str(error_of(module.IdTokenType, **arguments))


# --- values that do not change ------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_are_frozen(version: str) -> None:
    for _, _, message in instances(version):
        type_ = type(message)
        assert isinstance(message, Message)
        for name in (*attributes(message), "replace", "__class__", "anything"):
            with pytest.raises((AttributeError, TypeError)):
                setattr(message, name, None)
            with pytest.raises((AttributeError, TypeError)):
                delattr(message, name)
            with pytest.raises(TypeError):
                setattr(type_, name, None)
        assert not hasattr(message, "__dict__")
        with pytest.raises(TypeError, match="base type"):
            type("Derived", (type_,), {})
        with pytest.raises(TypeError):
            object.__new__(type_)
        with pytest.raises(TypeError, match="keyword"):
            type_(None)  # pyright: ignore[reportCallIssue]


def test_the_base_is_only_a_base() -> None:
    with pytest.raises(TypeError):
        Message()
    with pytest.raises(TypeError):
        type("Derived", (Message,), {})
    assert not isinstance(5, Message)
    assert issubclass(v201.EVSEType, Message)


def attributes(message: Message) -> list[str]:
    """The members of a message."""
    methods = {"replace"}
    return [name for name in dir(message) if not name.startswith("_") and name not in methods]


@pytest.mark.parametrize("version", VERSIONS)
def test_equal_messages_are_equal(version: str) -> None:
    seen: dict[Message, str] = {}
    for file, payload, message in instances(version):
        same = constructed(file, payload)
        assert same is not message
        assert same == message
        assert not same != message  # noqa: SIM202 - both operators
        assert hash(same) == hash(message)
        assert message != file.name
        assert message is not None
        seen[message] = file.name
    assert len(seen) == len([file for file, _ in ALL_TYPES if file.version == version])
    for file, payload, _ in instances(version):
        assert seen[constructed(file, payload)] == file.name


def test_different_messages_differ() -> None:
    one, other = v201.EVSEType(id=1), v201.EVSEType(id=1, connector_id=1)
    assert one != other
    assert one != v21.EVSEType(id=1)
    assert v201.HeartbeatRequest() != v201.ClearCacheRequest()
    assert len({one, other, v21.EVSEType(id=1), v201.EVSEType(id=1)}) == 3
    with pytest.raises(TypeError):
        _ = one < other  # type: ignore[operator]
    assert v201.SampledValueType(value=0.0) == v201.SampledValueType(value=-0.0)
    assert hash(v201.SampledValueType(value=0.0)) == hash(v201.SampledValueType(value=-0.0))


@pytest.mark.parametrize("version", VERSIONS)
def test_replace_changes_one_member(version: str) -> None:
    for _, _, message in instances(version):
        assert message.replace() == message
        for name in attributes(message):
            value = getattr(message, name)
            assert message.replace(**{name: value}) == message
            assert type(message.replace(**{name: value})) is type(message)


def test_replace_is_a_copy() -> None:
    token = v201.IdTokenType(id_token="a", type=v201.IdTokenEnumType.CENTRAL)
    other = token.replace(id_token="b", additional_info=None)
    assert (token.id_token, other.id_token) == ("a", "b")
    assert other.type is token.type


@pytest.mark.parametrize("version", VERSIONS)
def test_copies_are_the_same_object(version: str) -> None:
    for _, _, message in instances(version):
        assert copy.copy(message) is message
        assert copy.deepcopy(message) is message
        assert copy.deepcopy([message])[0] is message


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("version", VERSIONS)
def test_pickles(version: str, protocol: int) -> None:
    for _, _, message in instances(version):
        again = pickle.loads(pickle.dumps(message, protocol))
        assert again == message
        assert type(again) is type(message)
        assert hash(again) == hash(message)
        for name in attributes(message):
            mine, other = getattr(message, name), getattr(again, name)
            assert type(mine) is type(other)
            if isinstance(mine, enum.Enum):
                assert mine is other


@pytest.mark.parametrize("version", VERSIONS)
def test_types_and_enumerations_have_names_and_pickle(version: str) -> None:
    module = sys.modules[
        "ocpp_fast.messages.v201" if version == "2.0.1" else "ocpp_fast.messages.v21"
    ]
    for name in _core.type_names(version):
        type_ = getattr(module, name)
        assert type_.__name__ == type_.__qualname__ == name
        assert type_.__module__ == module.__name__
        assert pickle.loads(pickle.dumps(type_)) is type_
        assert copy.deepcopy(type_) is type_
        if issubclass(type_, enum.Enum):
            for member in type_:
                assert pickle.loads(pickle.dumps(member)) is member


def frames() -> Iterator[Message]:
    """One of each kind of frame."""
    codec = subject.codec("2.1", tolerant=True)
    stream = '{"id":1,"pending":0,"basetime":"2026-11-21T09:30:00Z","data":[{"t":0.5,"v":"1"}]}'
    for frame in (
        '[2,"i","Heartbeat",{"unknown":[1]}]',
        '[3,"i",{}]',
        '[4,"i","GenericError","x",{"a":1}]',
        '[5,"i","GenericError","x",{"a":1}]',
        f'[6,"i","NotifyPeriodicEventStream",{stream}]',
        "nonsense",
    ):
        yield codec.decode(frame.encode())


def test_frames_are_values_too() -> None:
    kinds: set[type] = set()
    for frame in frames():
        kinds.add(type(frame))
        assert isinstance(frame, Message)
        assert pickle.loads(pickle.dumps(frame)) == frame
        assert copy.deepcopy(frame) is frame
        assert {frame: 1}[frame] == 1
        with pytest.raises(AttributeError):
            frame.message_id = "x"  # type: ignore[attr-defined]
    assert len(kinds) == 6
    deviation = _core.Deviation(pointer="/a", code="c", cause="b", value=Json([1]))
    assert pickle.loads(pickle.dumps(deviation)) == deviation


def test_a_decoded_message_equals_its_pickle_whatever_its_digits() -> None:
    frame = b'{"currentTime":"2026-11-21T09:30:00.123456Z"}'
    response = _core.decode_payload(v21.HeartbeatResponse, frame)
    assert pickle.loads(pickle.dumps(response)) == response
    assert response.replace(current_time=response.current_time) == response
    again = _core.decode_payload(v21.HeartbeatResponse, _core.encode_payload(response))
    assert again == response


def message_of_unknown_type(message: Message) -> Message:
    """The same, without what a type checker knows of it."""
    return message


def test_match_statements_see_members() -> None:
    message = message_of_unknown_type(v201.EVSEType(id=3, connector_id=None))
    match message:
        case v201.EVSEType(id=3, connector_id=None):
            pass
        case _:
            pytest.fail("no match")
    other = message_of_unknown_type(v201.HeartbeatRequest())
    match other:
        case v201.EVSEType():
            pytest.fail("wrong type")
        case Message():
            pass
        case _:
            pytest.fail("no match")


@pytest.mark.parametrize(
    ("version", "name", "members"),
    [
        ("2.0.1", "EVSEType", ("x", None, None)),
        ("2.0.1", "EVSEType", (None, 1, None)),
        ("2.0.1", "EVSEType", (1,)),
        ("2.0.1", "EVSEType", (1, 2, None, None)),
        ("2.0.1", "Nonsense", ()),
        ("2.0.1", "IdTokenEnumType", ("Central",)),
        ("1.6", "EVSEType", (1, None, None)),
        ("", "Nonsense", ()),
        ("", "Call", ("i",)),
        ("2.0.1", "MeterValueType", (datetime(2026, 11, 21), (), None)),  # noqa: DTZ001
        ("2.0.1", "AuthorizeRequest", (v21.EVSEType(id=1), None, None, None)),
    ],
)
def test_pickles_are_checked(version: str, name: str, members: tuple[Any, ...]) -> None:
    """They may come from anywhere."""
    restore: Any = getattr(_core, "_restore")  # noqa: B009 - not part of the stub
    with pytest.raises((TypeError, ValueError)):
        restore(version, name, members)
