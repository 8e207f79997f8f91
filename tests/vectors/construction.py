"""Messages made with keyword arguments, from the same wire values that the decoder gets."""

from collections.abc import Iterator
from typing import Any, Final

from ocpp_fast import _core
from vectors.payloads import FULL, PayloadMaker
from vectors.schemas import Schema, SchemaFile, all_files
from vectors.subject import attribute, instant, payload_type

_REF: Final = "#/definitions/"


def constructed(file: SchemaFile, payload: dict[str, Any]) -> _core.Message:
    """The message of a valid payload, made with constructors alone."""
    return payload_type(file.version, file.name)(**keywords(file, payload))


def keywords(file: SchemaFile, payload: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments for a payload whose members need not all be right."""
    type_ = payload_type(file.version, file.name)
    members: dict[str, Schema] = file.schema.get("properties", {})
    arguments = {
        attribute(type_, name): python_value(file, members[name], value)
        for name, value in payload.items()
        if name in members
    }
    if file.is_open(file.schema):
        extra = {name: value for name, value in payload.items() if name not in members}
        arguments["extra"] = extra or None
    return arguments


def python_value(file: SchemaFile, schema: Schema, value: Any) -> Any:
    """What a caller passes for a wire value; a value of the wrong type is passed as it is."""
    if schema.get("$ref", "").startswith(_REF) and isinstance(value, dict):
        datatype = file.datatype(schema["$ref"].removeprefix(_REF))
        if "properties" in datatype.schema:
            return constructed(datatype, value)
    schema = file.resolve(schema)
    if schema.get("type") == "array" and isinstance(value, list):
        return [python_value(file, schema["items"], item) for item in value]
    if schema.get("format") == "date-time" and isinstance(value, str):
        return instant(value)
    return value


def datatypes() -> Iterator[tuple[SchemaFile, dict[str, Any]]]:
    """Every type of both versions once, with a full payload: messages first, then datatypes."""
    seen: set[tuple[str, str]] = set()
    for file in all_files():
        payload = PayloadMaker(file, 1).make(FULL)
        yield from _new_types(file, payload, seen)


def _new_types(
    file: SchemaFile, payload: dict[str, Any], seen: set[tuple[str, str]]
) -> Iterator[tuple[SchemaFile, dict[str, Any]]]:
    if (file.version, file.name) in seen:
        return
    seen.add((file.version, file.name))
    yield file, payload
    for name, member in file.schema.get("properties", {}).items():
        items = member.get("items", member)
        value = payload[name][0] if "items" in member else payload[name]
        reference = items.get("$ref", "").removeprefix(_REF)
        if isinstance(value, dict) and reference:
            yield from _new_types(file.datatype(reference), value, seen)
