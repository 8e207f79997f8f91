"""Reads the JSON schemas of one OCPP version into the model, refusing whatever it does not know."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from ocpp_codegen import names
from ocpp_codegen.model import (
    CUSTOM_DATA,
    CUSTOM_DATA_TYPE,
    EnumType,
    Field,
    Kind,
    ObjectType,
    Secrecy,
    Type,
)
from ocpp_codegen.tables import Correction

Node = dict[str, Any]

_DIALECT: Final = "http://json-schema.org/draft-06/schema#"
_REF: Final = "#/definitions/"
_ANNOTATIONS: Final = frozenset({"$id", "comment", "default", "description", "javaType"})
_TAKEN: Final = frozenset({"extra", "replace"})
"""Attributes that messages have beside their fields."""

_OBJECT: Final = frozenset({"type", "properties", "required", "additionalProperties"})
_ROOT: Final = _OBJECT | {"$schema", "definitions"}
_ENUM: Final = frozenset({"type", "enum", "additionalProperties"})
_ARRAY: Final = frozenset({"type", "items", "additionalItems", "minItems", "maxItems"})
_SCALARS: Final[Mapping[str, tuple[Type, frozenset[str]]]] = {
    "string": (Type.TEXT, frozenset({"type", "maxLength", "format"})),
    "integer": (Type.INTEGER, frozenset({"type", "minimum", "maximum"})),
    "number": (Type.NUMBER, frozenset({"type", "minimum", "maximum"})),
    "boolean": (Type.BOOLEAN, frozenset({"type"})),
}


class SchemaError(Exception):
    """A schema, or a table beside it, holds something the generator does not understand."""


@dataclass(frozen=True)
class Place:
    """A file and a JSON path in it, for error messages."""

    file: str
    path: str = ""

    def __truediv__(self, name: str) -> "Place":
        return Place(self.file, f"{self.path}/{name}")

    def __str__(self) -> str:
        return f"{self.file}#{self.path}"


def load(folder: Path, corrections: Iterable[Correction]) -> dict[str, Node]:
    """The schemas of a folder by the name of their root type, corrected and without annotations."""
    schemas: dict[str, Node] = {}
    for path in sorted(folder.glob("*.json")):
        text = path.read_text(encoding="utf-8-sig")
        schemas[path.stem] = _bare(json.loads(text, object_pairs_hook=_unique(Place(path.name))))
    if not schemas:
        raise SchemaError(f"{folder}: no schemas here")
    for correction in corrections:
        _correct(schemas, correction)
    return schemas


def read(
    schemas: Mapping[str, Node], secrets: Mapping[tuple[str, str], Secrecy]
) -> tuple[tuple[ObjectType, ...], tuple[EnumType, ...]]:
    """Object types (CustomDataType first, then by name) and enumerations (by name)."""
    definitions = _definitions(schemas)
    enums = {name for name, (body, _) in definitions.items() if "enum" in body}
    reader = _Reader(enums=enums, objects=definitions.keys() - enums, secrets=secrets)
    objects = sorted(reader.objects, key=lambda name: (name != CUSTOM_DATA_TYPE, name))
    return (
        tuple(reader.object_type(name, *definitions[name]) for name in objects),
        tuple(_enum_type(name, *definitions[name]) for name in sorted(enums)),
    )


def _unique(place: Place) -> Callable[[list[tuple[str, Any]]], Node]:
    def checked(pairs: list[tuple[str, Any]]) -> Node:
        node = dict(pairs)
        _require(len(node) == len(pairs), place, f"duplicate key among {[key for key, _ in pairs]}")
        return node

    return checked


def _bare(node: Node, *, is_name_map: bool = False) -> Node:
    """The node without annotations (but a property may well be called `description`)."""
    bare: Node = {}
    for key, value in node.items():
        if isinstance(value, dict):
            names_below = not is_name_map and key in {"properties", "definitions"}
            bare[key] = _bare(cast("Node", value), is_name_map=names_below)
        elif is_name_map or key not in _ANNOTATIONS:
            bare[key] = value
    return bare


def _correct(schemas: Mapping[str, Node], correction: Correction) -> None:
    subject = f"correction of {correction.type}.{correction.field}"
    found = False
    for stem, schema in schemas.items():
        bodies = {**schema["definitions"], stem: schema}
        field = bodies.get(correction.type, {}).get("properties", {}).get(correction.field)
        if field is None:
            continue
        found = True
        value = field.get(correction.keyword)
        _require(
            value == correction.expected,
            Place(f"{stem}.json"),
            f"{subject} expects {correction.keyword} {correction.expected}, found {value}",
        )
        field[correction.keyword] = correction.corrected
    if not found:
        raise SchemaError(f"{subject}: no such field")


def _definitions(schemas: Mapping[str, Node]) -> dict[str, tuple[Node, Place]]:
    """All definitions and roots by name; the same name must always have the same body."""
    found: dict[str, tuple[Node, Place]] = {}
    for name, body, place in _bodies(schemas):
        known, elsewhere = found.setdefault(name, (body, place))
        # The order of the members decides the order of the fields, so it counts here too.
        same = json.dumps(known) == json.dumps(body)
        _require(same, place, f"{name} differs from the one in {elsewhere}")
    return found


def _bodies(schemas: Mapping[str, Node]) -> Iterator[tuple[str, Node, Place]]:
    for stem, schema in schemas.items():
        place = Place(f"{stem}.json")
        _only(schema, _ROOT, place, needed="$schema definitions type properties")
        _require(schema["$schema"] == _DIALECT, place, f"dialect {schema['$schema']}")
        for name, body in schema["definitions"].items():
            yield name, body, place / "definitions" / name
        yield stem, {key: schema[key] for key in schema if key in _OBJECT}, place


def _enum_type(name: str, body: Node, place: Place) -> EnumType:
    _only(body, _ENUM, place, needed="type enum")
    _require(body["type"] == "string", place, f"enumeration of type {body['type']}")
    values: list[str] = body["enum"]
    members = [names.upper_snake_case(value) for value in values]
    _require(len(set(values)) == len(values), place, "duplicate value")
    _require(len(set(members)) == len(members), place, f"member names collide: {members}")
    for member in members:
        _require(names.is_member_name(member), place, f"{member!r} cannot be a member name")
    return EnumType(name=name, values=tuple(values), members=tuple(members))


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Turns bodies of type object into object types; knows what a `$ref` may point to."""

    enums: set[str]
    objects: set[str]
    secrets: Mapping[tuple[str, str], Secrecy]

    def object_type(self, name: str, body: Node, place: Place) -> ObjectType:
        _only(body, _OBJECT, place, needed="type properties")
        _require(body["type"] == "object", place, f"type {body['type']}, expected object")
        is_open = "additionalProperties" not in body
        _require(is_open or body["additionalProperties"] is False, place, "additionalProperties")
        _require(is_open == (name == CUSTOM_DATA_TYPE), place, "only CustomDataType is open")
        required: list[str] = body.get("required", [])
        unknown = set(required) - body["properties"].keys()
        _require(not unknown, place, f"required, but no property: {unknown}")
        fields = [
            self._field(name, key, schema, place / "properties" / key, required=key in required)
            for key, schema in body["properties"].items()
        ]
        fields.sort(key=lambda field: (not field.required, field.key == CUSTOM_DATA))
        attributes = [field.name for field in fields]
        _require(len(set(attributes)) == len(attributes), place, f"names collide: {attributes}")
        return ObjectType(name=name, fields=tuple(fields), is_open=is_open)

    def _field(self, owner: str, key: str, schema: Node, place: Place, *, required: bool) -> Field:
        name = names.snake_case(key)
        _require(names.is_field_name(name, _TAKEN), place, f"{name!r} cannot be an attribute")
        is_array = schema.get("type") == "array"
        item = schema
        if is_array:
            _only(schema, _ARRAY, place, needed="items minItems additionalItems")
            _require(schema["minItems"] == 1, place, f"minItems {schema['minItems']}")
            _require(schema["additionalItems"] is False, place, "additionalItems")
            item, place = schema["items"], place / "items"
        return Field(
            key=key,
            name=name,
            kind=self._kind(item, place),
            required=required,
            is_array=is_array,
            max_items=schema.get("maxItems"),
            secrecy=self.secrets.get((owner, key), Secrecy.OPEN),
        )

    def _kind(self, schema: Node, place: Place) -> Kind:
        if "$ref" in schema:
            _only(schema, frozenset({"$ref"}), place)
            return self._reference(schema["$ref"], place)
        if not schema:
            return Kind(type=Type.ANY)
        _require(schema.get("type") in _SCALARS, place, f"type {schema.get('type')}")
        scalar, keywords = _SCALARS[schema["type"]]
        _only(schema, keywords, place)
        if "format" in schema:
            _require(schema["format"] == "date-time", place, f"format {schema['format']}")
            _require("maxLength" not in schema, place, "a date-time with maxLength")
            return Kind(type=Type.DATE_TIME)
        minimum, maximum = schema.get("minimum"), schema.get("maximum")
        if scalar is Type.INTEGER:
            whole = all(limit is None or limit == int(limit) for limit in (minimum, maximum))
            _require(whole, place, f"fractional limit of an integer: {minimum}, {maximum}")
        return Kind(
            type=scalar, max_length=schema.get("maxLength"), minimum=minimum, maximum=maximum
        )

    def _reference(self, target: str, place: Place) -> Kind:
        name = target.removeprefix(_REF)
        _require(target == _REF + name and "/" not in name, place, f"reference to {target}")
        _require(name in self.enums or name in self.objects, place, f"no definition of {name}")
        return Kind(type=Type.ENUM if name in self.enums else Type.OBJECT, ref=name)


def _only(schema: Node, keywords: frozenset[str], place: Place, *, needed: str = "") -> None:
    unknown = schema.keys() - keywords
    _require(not unknown, place, f"unexpected keyword: {', '.join(sorted(unknown))}")
    missing = set(needed.split()) - schema.keys()
    _require(not missing, place, f"missing keyword: {', '.join(sorted(missing))}")


def _require(condition: bool, place: Place, problem: str) -> None:  # noqa: FBT001 (an assertion)
    if not condition:
        raise SchemaError(f"{place}: {problem}")
