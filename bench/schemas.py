"""The official OCPP JSON schemas, as the PyPI package `ocpp` ships them, and their Python names.

The one known error of that copy (Get15118EVCertificateResponse) is in no message measured here.
"""

import importlib.util
import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from bench.payloads import JsonObject, Version

_PACKAGE: Final[dict[Version, str]] = {"2.0.1": "v201", "2.1": "v21"}
_NAMES: Final = Path(__file__).parents[1] / "python" / "ocpp_codegen" / "names.py"

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def schema(version: Version, type_name: str) -> JsonObject:
    """The schema of a message type, `HeartbeatRequest` say. Not to be changed."""
    folder = resources.files("ocpp") / _PACKAGE[version] / "schemas"
    text = (folder / f"{type_name}.json").read_text(encoding="utf-8-sig")
    return cast("JsonObject", json.loads(text))


def referenced(node: JsonObject) -> str | None:
    """Name of the definition that a property (or the items of an array) points to."""
    target: str | None = node.get("items", node).get("$ref")
    return None if target is None else target.rpartition("/")[2]


@cache
def _snake_case() -> "Callable[[str], str]":
    # By path: the generator is part of the checkout, not always of what is installed.
    spec = importlib.util.spec_from_file_location("_bench_names", _NAMES)
    if spec is None or spec.loader is None:
        raise ImportError(f"no generator at {_NAMES}")
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("Callable[[str], str]", module.snake_case)


@cache
def attribute(key: str) -> str:
    """The generated Python attribute for a member: `evse_id` for `evseId`."""
    return _snake_case()(key)
