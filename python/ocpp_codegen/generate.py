"""From the schemas of a folder and the committed tables to the text of every generated file."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from ocpp_codegen import rust, schemas, stubs, tables
from ocpp_codegen.model import Secrecy, Version
from ocpp_codegen.schemas import Node, SchemaError

VERSIONS: Final = {"2.0.1": "v201", "2.1": "v21"}
"""Each version and the name of its folder, Python module and Rust module."""


def generate(folder: Path) -> dict[str, str]:
    """Every generated file: its path from the root of the checkout, and its text.

    `folder` holds `v201/schemas/*.json` and `v21/schemas/*.json`, as the package `ocpp` does.
    Raises `SchemaError` for whatever the generator does not understand.
    """
    secrets = tables.secrets()
    loaded: dict[str, dict[str, Node]] = {}
    versions: list[Version] = []
    for number, short in VERSIONS.items():
        try:
            loaded[number] = schemas.load(folder / short / "schemas", tables.corrections(number))
            versions.append(_version(number, loaded[number], secrets))
        except SchemaError as error:
            raise SchemaError(f"OCPP {number}: {error}") from error
    _check_secrets(versions, secrets)
    digest = _digest(loaded)
    files: dict[str, str] = {}
    for version in versions:
        short = VERSIONS[version.number]
        files[f"rust/ocpp-core/src/schema/{short}.rs"] = rust.render(version, digest)
        files[f"python/ocpp_fast/messages/{short}.pyi"] = stubs.render(version, digest)
    return files


def _version(
    number: str, loaded: Mapping[str, Node], secrets: Mapping[tuple[str, str], Secrecy]
) -> Version:
    actions = tables.actions(number)
    listed = {name for action in actions for name in (action.request, action.response) if name}
    if odd := listed ^ loaded.keys():
        raise SchemaError(f"only a schema or only in messages.csv: {sorted(odd)}")
    objects, enums = schemas.read(loaded, secrets)
    module = f"ocpp_fast.messages.{VERSIONS[number]}"
    return Version(number=number, module=module, objects=objects, enums=enums, actions=actions)


def _check_secrets(versions: Iterable[Version], secrets: Mapping[tuple[str, str], Secrecy]) -> None:
    known = {
        (item.name, field.key)
        for version in versions
        for item in version.objects
        for field in item.fields
    }
    if missing := secrets.keys() - known:
        raise SchemaError(f"in secrets.csv, but in no schema: {sorted(missing)}")


def _digest(loaded: Mapping[str, Mapping[str, Node]]) -> str:
    """SHA-256 of everything that decides the output except the generator itself."""
    state = hashlib.sha256(json.dumps(loaded).encode())
    for table in sorted(tables.FOLDER.glob("*.csv")):
        state.update(table.read_bytes())
    return state.hexdigest()
