"""msgspec Structs for OCPP messages, with every constraint of the schemas msgspec can express.

Made from the schemas with `defstruct`, which gives the same classes as writing them by hand:
forbidden unknown members, lengths and limits, literals for enumerations, aware datetimes, UNSET
for absent members. customData is open, as in the schema (its extra members are lost).
"""

from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, cast

import msgspec

from bench.payloads import JsonObject, Version
from bench.schemas import attribute, referenced, schema

_SCALARS = {"integer": int, "number": float, "boolean": bool, "string": str}


def model(version: Version, type_name: str, *, tracked: bool = True) -> type[msgspec.Struct]:
    """The Struct of a request or response; see `models`."""
    return models(version, type_name, tracked=tracked)[type_name]


@cache
def models(
    version: Version, type_name: str, *, tracked: bool = True
) -> dict[str, type[msgspec.Struct]]:
    """The Structs of a request or response and of all datatypes in it, by name.

    `tracked` is msgspec's own default: instances take part in cyclic garbage collection.
    """
    root = schema(version, type_name)
    builder = _Builder(root, tracked=tracked)
    builder.struct(type_name, root)
    return builder.made


class _Builder:
    def __init__(self, root: JsonObject, *, tracked: bool) -> None:
        self.tracked = tracked
        self.definitions: JsonObject = root.get("definitions", {})
        self.made: dict[str, type[msgspec.Struct]] = {}

    def struct(self, name: str, node: JsonObject) -> type[msgspec.Struct]:
        if name in self.made:
            return self.made[name]
        required = set(node.get("required", ()))
        properties: JsonObject = node.get("properties", {})
        fields: list[Any] = []
        # customData last, as one would write it: msgspec looks keywords up in field order.
        for key, child in sorted(properties.items(), key=lambda item: item[0] == "customData"):
            annotation = self._annotation(child)
            if key in required:
                fields.append((attribute(key), annotation))
            else:
                optional = annotation | msgspec.UnsetType
                fields.append((attribute(key), optional, msgspec.UNSET))
        keys = {attribute(key): key for key in properties}
        self.made[name] = msgspec.defstruct(
            name,
            fields,
            kw_only=True,
            rename=keys,
            gc=self.tracked,
            forbid_unknown_fields=node.get("additionalProperties") is False,
        )
        return self.made[name]

    def _annotation(self, node: JsonObject) -> Any:
        if (target := referenced(node)) is not None:
            definition = cast("JsonObject", self.definitions[target])
            if "enum" in definition:
                inner: Any = Literal[tuple(definition["enum"])]
            else:
                inner = self.struct(target, definition)
        else:
            inner = _scalar(node.get("items", node))
        if node.get("type") == "array":
            limits = msgspec.Meta(min_length=node.get("minItems"), max_length=node.get("maxItems"))
            return Annotated[list[inner], limits]
        return inner


def _scalar(node: JsonObject) -> Any:
    if node.get("format") == "date-time":
        return Annotated[datetime, msgspec.Meta(tz=True)]
    if "type" not in node:
        return Any
    limits = {"ge": "minimum", "le": "maximum", "max_length": "maxLength"}
    found: Any = {ours: node[theirs] for ours, theirs in limits.items() if theirs in node}
    scalar = _SCALARS[node["type"]]
    if scalar is int:
        found = {key: int(value) for key, value in found.items()}
    return Annotated[scalar, msgspec.Meta(**found)] if found else scalar
