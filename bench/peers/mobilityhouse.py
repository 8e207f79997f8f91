"""The package `ocpp` of The Mobility House, its synchronous path without the event loop.

What its `ChargePoint.route_message` and `call` do to a message, in the same order, with schema
validation in the calling thread (as shipped it goes to a thread pool, which costs more).
"""

import types
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin, get_type_hints

from ocpp import charge_point, messages  # pyright: ignore[reportMissingTypeStubs]

from bench.building import (
    MESSAGE_ID,
    Reading,
    Vocabulary,
    meter_value_maker,
    request_maker,
    some_readings,
)
from bench.harness import Job
from bench.payloads import Case, JsonObject, Version, wire_time

if TYPE_CHECKING:
    from datetime import datetime

# The package has no type information.
_messages: Any = messages
_charge_point: Any = charge_point

_PACKAGES: dict[Version, str] = {"2.0.1": "v201", "2.1": "v21"}


class MobilityHouse:
    """Dataclasses outside, dicts inside."""

    name = "mobilityhouse ocpp"

    def decode(self, case: Case) -> Job:
        type_ = _outer_type(case.version, case.payload.kind, case.payload.action)
        unpack, validate = _messages.unpack, _messages._validate_payload
        to_snake = _charge_point.camel_to_snake_case
        is_result = case.payload.kind == "response"

        def decode(frame: bytes) -> Any:
            message = unpack(frame)
            if is_result:
                message.action = case.payload.action
            validate(message, case.version)
            return type_(**to_snake(message.payload))

        return Job(self.name, decode, case.frames())

    def encode(self, case: Case) -> Job:
        type_ = _outer_type(case.version, case.payload.kind, case.payload.action)
        encode = _encoder(case.version, case.payload.kind, case.payload.action)
        return Job(self.name, encode, [_instance(type_, body) for body in case.bodies()])

    def build(self, version: Version) -> Job:
        words = Vocabulary(
            types=lambda name: _type_of(version, name), member=lambda _, value: value, absent=None
        )
        make = request_maker(words, meter_value_maker(words))
        encode = _encoder(version, "request", "TransactionEvent")

        def build(reading: Reading) -> bytes:
            text = wire_time(reading.timestamp)  # its dataclasses hold date-times as text
            return encode(make(reading._replace(timestamp=cast("datetime", text))))

        return Job(self.name, build, some_readings(1))

    def read(self, case: Case) -> Job | None:
        return None  # the inner dicts have keys of their own spelling


def _encoder(version: Version, kind: str, action: str) -> Callable[[Any], bytes]:
    validate = _messages._validate_payload
    as_dict, to_camel = _charge_point.serialize_as_dict, _charge_point.snake_to_camel_case
    remove_nones = _charge_point.remove_nones

    def encode(payload: Any) -> bytes:
        body = remove_nones(to_camel(as_dict(payload)))
        if kind == "response":
            message = _messages.CallResult(MESSAGE_ID, body, action)
        else:
            message = _messages.Call(MESSAGE_ID, action, body)
        validate(message, version)
        return message.to_json().encode()

    return encode


@cache
def _outer_type(version: Version, kind: str, action: str) -> Any:
    module = "call_result" if kind == "response" else "call"
    return getattr(import_module(f"ocpp.{_PACKAGES[version]}.{module}"), action)


def _type_of(version: Version, name: str) -> Any:
    """The dataclass of a datatype, or of a request by its type name."""
    if name.endswith("Request"):
        return _outer_type(version, "request", name.removesuffix("Request"))
    return getattr(import_module(f"ocpp.{_PACKAGES[version]}.datatypes"), name)


@cache
def _hints(type_: type) -> dict[str, Any]:
    return get_type_hints(type_)


def _instance(type_: Any, body: JsonObject) -> Any:
    """A dataclass of that type, nested ones included, from a payload in wire spelling."""
    hints = _hints(type_)
    to_snake = _charge_point.camel_to_snake_case
    made: dict[str, Any] = {}
    for key, value in body.items():
        (name,) = to_snake({key: None})
        inner = _dataclass_in(hints.get(name, Any))
        if inner is None:
            made[name] = value
        elif isinstance(value, list):
            made[name] = [_instance(inner, item) for item in cast("list[Any]", value)]
        else:
            made[name] = _instance(inner, value)
    return type_(**made)


def _dataclass_in(hint: Any) -> Any:
    """The dataclass in `T`, `Optional[T]` or `List[T]`, if there is one."""
    if is_dataclass(hint):
        return hint
    if get_origin(hint) is None and not isinstance(hint, types.UnionType):
        return None
    return next((found for arg in get_args(hint) if (found := _dataclass_in(arg))), None)
