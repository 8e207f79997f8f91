"""What the differential tests ask of `ocpp_fast._core`, in one place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from ocpp_fast import _core
from ocpp_fast.errors import ValidationError
from ocpp_fast.messages.json_value import Json
from vectors.schemas import Schema, SchemaFile

MESSAGE_ID: Final = "7f3c2f7e-8d41-4c1e-9a53-0e2d6b8c1a90"

MAX_FRAME_BYTES: Final = 1 << 26
"""More than the default: an array one item too long may take megabytes."""


@cache
def codec(version: str, *, tolerant: bool = False) -> _core.Codec:
    """The codec of a version."""
    return _core.Codec(version, tolerant=tolerant, max_frame_bytes=MAX_FRAME_BYTES)


@cache
def payload_type(version: str, name: str) -> type[_core.Message]:
    """The message type of a schema."""
    found = _core.message_type(version, name)
    assert issubclass(found, _core.Message)
    return found


def frame(file: SchemaFile, payload: bytes) -> bytes:
    """The frame that carries a payload."""
    head = f'[{file.message_type},"{MESSAGE_ID}",'
    if file.message_type != 3:
        head += f'"{file.action}",'
    return head.encode() + payload + b"]"


def decode(file: SchemaFile, payload: bytes, *, tolerant: bool = False) -> _core.Frame:
    """A payload decoded in its frame; for a response its CALL is open."""
    return codec(file.version, tolerant=tolerant).decode(
        frame(file, payload), MESSAGE_ID, file.action
    )


def decoded(file: SchemaFile, payload: bytes) -> _core.Message:
    """The message in a good frame."""
    result = decode(file, payload)
    assert isinstance(result, _core.Call | _core.CallResult | _core.Send), (result, payload)
    assert (result.message_id, result.deviations) == (MESSAGE_ID, ())
    if not isinstance(result, _core.CallResult):
        assert result.action == file.action
    assert result.payload is not None
    return result.payload


def encoded(file: SchemaFile, message: _core.Message) -> bytes:
    """The frame a message leaves in."""
    encoders = {2: "encode_call", 3: "encode_result", 6: "encode_send"}
    made: bytes = getattr(codec(file.version), encoders[file.message_type])(MESSAGE_ID, message)
    return made


def verdict(result: _core.Frame) -> tuple[str, str] | None:
    """Code and pointer of a refused frame, None for an accepted one."""
    if isinstance(result, _core.InvalidFrame):
        return result.code, result.pointer
    return None


def payload_verdict(file: SchemaFile, payload: bytes) -> tuple[str, str] | None:
    """The same for a payload without a frame."""
    try:
        _core.decode_payload(payload_type(file.version, file.name), payload)
    except ValidationError as error:
        return error.code, error.pointer
    return None


@cache
def attribute(type_: type[_core.Message], member: str) -> str:
    """The attribute that shows a member, found by its letters and digits alone."""
    letters = member.replace("_", "").lower()
    names = (name for name in dir(type_) if not name.startswith("_"))
    found = [name for name in names if name.replace("_", "").lower() == letters]
    assert len(found) == 1, f"{type_.__name__}.{member}: {found}"
    return found[0]


def instant(text: str) -> datetime:
    """The moment of a wire date-time in UTC; without offset it is UTC."""
    moment = datetime.fromisoformat(text.upper())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def milliseconds(moment: datetime) -> datetime:
    """A moment as OCPP keeps it (Part 2, 2.1.4: at most three decimals)."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def differences(
    file: SchemaFile, schema: Schema, wire: Any, shown: Any, pointer: str = ""
) -> Iterator[str]:
    """Where the attributes of a decoded message are not the values of its payload."""
    schema = file.resolve(schema)
    match schema.get("type"):
        case "object":
            yield from _object_differences(file, schema, wire, shown, pointer)
        case "array":
            if not isinstance(shown, tuple) or len(shown) != len(wire):
                yield f"{pointer}: {len(wire)} items are shown as {shown!r}"
                return
            for index, item in enumerate(wire):
                yield from differences(
                    file, schema["items"], item, shown[index], f"{pointer}/{index}"
                )
        case "string" if schema.get("format") == "date-time":
            if not isinstance(shown, datetime) or shown.tzinfo is not UTC:
                yield f"{pointer}: {shown!r} is no datetime in UTC"
            elif shown != milliseconds(instant(wire)):
                yield f"{pointer}: {wire} is shown as {shown!r}"
        case None:
            if not isinstance(shown, Json) or not same_json(shown.value, wire):
                yield f"{pointer}: {wire!r} is shown as {shown!r}"
        case _:
            if not _is_shown_as(file, schema, wire, shown):
                yield f"{pointer}: {wire!r} is shown as {shown!r}"


def _is_shown_as(file: SchemaFile, schema: Schema, wire: Any, shown: Any) -> bool:
    """Whether a single value is shown as an equal one of the right Python type."""
    if "enum" in schema:
        return type(shown) in _enumerations(file.version) and shown == wire
    wanted = {"string": str, "number": float, "integer": int, "boolean": bool}[schema["type"]]
    return type(shown) is wanted and shown == wire


def _object_differences(
    file: SchemaFile, schema: Schema, wire: dict[str, Any], shown: Any, pointer: str
) -> Iterator[str]:
    if not isinstance(shown, _core.Message):
        yield f"{pointer}: an object is shown as {shown!r}"
        return
    members: dict[str, Any] = schema.get("properties", {})
    for name, member in members.items():
        attribute_value = getattr(shown, attribute(type(shown), name))
        if name in wire:
            yield from differences(file, member, wire[name], attribute_value, f"{pointer}/{name}")
        elif attribute_value is not None:
            yield f"{pointer}/{name}: absent, but shown as {attribute_value!r}"
    if file.is_open(schema):
        wanted = {name: value for name, value in wire.items() if name not in members}
        extra: Json | None = getattr(shown, "extra")  # noqa: B009 - only customData has it
        if not same_json(extra.value if extra else {}, wanted):
            yield f"{pointer}: extra members {wanted!r} are shown as {extra!r}"


@cache
def _enumerations(version: str) -> frozenset[type]:
    types = (_core.message_type(version, name) for name in _core.type_names(version))
    return frozenset(found for found in types if not issubclass(found, _core.Message))


def same_json(one: Any, other: Any) -> bool:
    """Equality of JSON values that tells True from 1 (but not 1 from 1.0)."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def same_wire(file: SchemaFile, schema: Schema, one: Any, other: Any) -> bool:
    """Equality of two payloads of a schema; date-times are equal when they are one instant."""
    schema = file.resolve(schema)
    if schema.get("format") == "date-time":
        return milliseconds(instant(one)) == milliseconds(instant(other))
    if isinstance(one, dict) and isinstance(other, dict):
        members: dict[str, Any] = schema.get("properties", {})
        return one.keys() == other.keys() and all(
            same_wire(file, members.get(name, {}), one[name], other[name]) for name in one
        )
    if isinstance(one, list) and isinstance(other, list) and "items" in schema:
        return len(one) == len(other) and all(
            same_wire(file, schema["items"], item, other[index]) for index, item in enumerate(one)
        )
    return same_json(one, other)


def payload_of(frame_bytes: bytes) -> Any:
    """The payload in an encoded frame."""
    return json.loads(frame_bytes)[-1]
