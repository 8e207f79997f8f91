"""The official schemas of both versions, as the differential tests read them.

They come from the pinned PyPI package `ocpp` through the generator's loader, so the tests and the
generated tables apply the same corrections.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

from jsonschema import Draft6Validator, FormatChecker

from ocpp_codegen import schemas, tables
from ocpp_codegen.__main__ import package_folder

Schema: TypeAlias = dict[str, Any]

VERSIONS: Final = ("2.0.1", "2.1")
FILES: Final = {"2.0.1": 128, "2.1": 181}
"""How many schemas each version has."""

_REF_PREFIX: Final = "#/definitions/"


@dataclass(frozen=True, repr=False)
class SchemaFile:
    """One schema: a request, a response or a SEND message with all the datatypes below it."""

    version: str
    name: str
    schema: Schema

    def __str__(self) -> str:
        return f"{self.version} {self.name}"

    __repr__ = __str__

    @property
    def action(self) -> str:
        """The action it belongs to."""
        return self.name.removesuffix("Request").removesuffix("Response")

    @property
    def message_type(self) -> int:
        """The message type number of its frames: 2 CALL, 3 CALLRESULT, 6 SEND."""
        if self.name.endswith("Request"):
            return 2
        return 3 if self.name.endswith("Response") else 6

    def resolve(self, schema: Schema) -> Schema:
        """The schema behind a reference into this file, or the schema itself."""
        while "$ref" in schema:
            name = schema["$ref"].removeprefix(_REF_PREFIX)
            schema = self.schema["definitions"][name]
        return schema

    @staticmethod
    def is_open(schema: Schema) -> bool:
        """Whether an object may have members that its schema does not name (customData)."""
        return schema.get("additionalProperties", True) is not False

    def datatype(self, name: str) -> "SchemaFile":
        """One of the datatypes of this file, as if it had a file of its own."""
        definitions = self.schema["definitions"]
        return SchemaFile(self.version, name, {**definitions[name], "definitions": definitions})

    def walk(self, schema: Schema | None = None, path: str = "") -> Iterator[tuple[str, Schema]]:
        """Every place of the schema with its resolved schema, arrays as `path/0`, outside in."""
        schema = self.resolve(self.schema if schema is None else schema)
        yield path, schema
        for name, member in schema.get("properties", {}).items():
            yield from self.walk(member, f"{path}/{name}")
        if schema.get("type") == "array":
            yield from self.walk(schema["items"], f"{path}/0")


@cache
def schema_files(version: str) -> dict[str, SchemaFile]:
    """All schemas of a version by name, corrected."""
    folder = package_folder() / f"v{version.replace('.', '')}" / "schemas"
    loaded = schemas.load(folder, tables.corrections(version))
    return {name: SchemaFile(version, name, schema) for name, schema in loaded.items()}


def all_files() -> list[SchemaFile]:
    """All schemas of both versions."""
    return [file for version in VERSIONS for file in schema_files(version).values()]


def keyword_number(schema: Schema, keyword: str) -> float | None:
    """The number of a keyword, None without it; the schemas write integers as `0.0`."""
    value = schema.get(keyword)
    return None if value is None else float(value)


@cache
def validator(version: str, name: str) -> Draft6Validator:
    """The reference implementation's judge of one schema, with format checking."""
    schema = schema_files(version)[name].schema
    return Draft6Validator(schema, format_checker=FormatChecker(["date-time"]))
