"""Functions that read every member of a message, made from its schema.

Typed candidates have the same attribute names, so the same source reads all of them; only what
stands for an absent member differs. Written inline, with no call per object, as fast as Python
can read.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bench.payloads import JsonObject, Payload, Version
from bench.schemas import attribute, referenced, schema

_INDENT = "    "


def typed_reader(
    payload: Payload, version: Version, *, decode: str, names: Mapping[str, Any], absent: object
) -> Callable[[bytes], None]:
    """A function of a frame: `decode` (source that sets `m`), then every attribute below `m`."""
    lines = _Lines(schema(version, payload.type_name), typed=True)
    return _compile(decode, lines.reading(), {**names, "absent": absent})


def dict_reader(
    payload: Payload, version: Version, *, decode: str, names: Mapping[str, Any]
) -> Callable[[bytes], None]:
    """The same for dicts: `d["key"]` for required members, `d.get("key")` for the others."""
    lines = _Lines(schema(version, payload.type_name), typed=False)
    return _compile(decode, lines.reading(), {**names, "absent": None})


def _compile(decode: str, body: list[str], names: dict[str, Any]) -> Callable[[bytes], None]:
    # Names as default arguments: locals for both sides.
    parameters = ", ".join(["frame", *(f"{name}={name}" for name in names)])
    prologue = [_INDENT + line for line in decode.splitlines()]
    source = "\n".join([f"def read({parameters}):", *prologue, *body])
    namespace: dict[str, Any] = dict(names)
    exec(source, namespace)  # noqa: S102 (our own source, made from the schema)
    return namespace["read"]


class _Lines:
    def __init__(self, root: JsonObject, *, typed: bool) -> None:
        self.root = root
        self.typed = typed
        self.names = 0

    def reading(self) -> list[str]:
        return self._object(self.root, "m", 1) or [_INDENT + "m"]

    def _object(self, node: JsonObject, name: str, depth: int) -> list[str]:
        lines: list[str] = []
        required = node.get("required", ())
        for key, child in node.get("properties", {}).items():
            access = self._access(name, key, required=key in required)
            below = self._definition(child)
            if below is None:
                lines.append(_INDENT * depth + access)
                continue
            lines += self._nested(child, below, access, depth, optional=key not in required)
        return lines

    def _access(self, name: str, key: str, *, required: bool) -> str:
        if self.typed:
            return f"{name}.{attribute(key)}"
        return f'{name}["{key}"]' if required else f'{name}.get("{key}")'

    def _definition(self, child: JsonObject) -> JsonObject | None:
        target = referenced(child)
        if target is None:
            return None
        definition: JsonObject = self.root["definitions"][target]
        return None if "enum" in definition else definition

    def _nested(
        self, child: JsonObject, below: JsonObject, access: str, depth: int, *, optional: bool
    ) -> list[str]:
        self.names += 1
        inner = f"v{self.names}"
        lines = [_INDENT * depth + f"{inner} = {access}"]
        if optional:
            lines.append(_INDENT * depth + f"if {inner} is not absent:")
            depth += 1
        if child.get("type") == "array":
            item = f"i{self.names}"
            lines.append(_INDENT * depth + f"for {item} in {inner}:")
            lines += self._object(below, item, depth + 1)
        else:
            lines += self._object(below, inner, depth)
        return lines
