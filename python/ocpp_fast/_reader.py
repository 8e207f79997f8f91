"""Builds a dataclass from parsed JSON or TOML by its annotations, with errors that say where.

Knows the annotations that configurations use: str, int, float, bool, enumerations, other
dataclasses, `tuple[X, ...]`, `frozenset[X]`, `Mapping[str, X]` and `X | None`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from ocpp_fast.errors import ConfigurationError

_T = TypeVar("_T")

_NAMES = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


def read_object(cls: type[_T], value: object, path: str = "") -> _T:
    """An instance of the dataclass `cls`; raises `ConfigurationError`, `/path: what is wrong`."""
    if not isinstance(value, Mapping):
        raise _error(path, "must be an object")
    given = cast("Mapping[str, object]", value)
    # `cls` is a dataclass; its type says so only for `fields` and the constructor.
    known = {entry.name: entry for entry in fields(cast("Any", cls))}
    if unknown := sorted(given.keys() - known.keys()):
        raise _error(f"{path}/{unknown[0]}", f"is not known; known are {', '.join(known)}")
    for name, entry in known.items():
        missing = entry.default is MISSING and entry.default_factory is MISSING
        if missing and name not in given:
            raise _error(f"{path}/{name}", "is required")
    hints = get_type_hints(cls)
    values = {name: _read(hints[name], item, f"{path}/{name}") for name, item in given.items()}
    try:
        return cls(**values)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}{error}") from None


def _read(hint: Any, value: object, path: str) -> Any:
    origin = get_origin(hint)
    if origin is UnionType:
        if value is None:
            return None
        (hint,) = (option for option in get_args(hint) if option is not NoneType)
        return _read(hint, value, path)
    if origin is not None:
        return _read_many(origin, get_args(hint), value, path)
    if is_dataclass(hint):
        return read_object(cast("type[Any]", hint), value, path)
    if issubclass(hint, Enum):
        return _read_member(hint, value, path)
    number = hint is float and isinstance(value, int)
    if isinstance(value, bool) != (hint is bool) or not (number or isinstance(value, hint)):
        raise _error(path, f"must be {_NAMES[hint]}, is {value!r}")
    return float(cast("int", value)) if number else value


def _read_many(origin: Any, arguments: tuple[Any, ...], value: object, path: str) -> Any:
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise _error(path, "must be an object")
        entries = cast("Mapping[str, object]", value)
        return {name: _read(arguments[1], item, f"{path}/{name}") for name, item in entries.items()}
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise _error(path, "must be a list")
    items = cast("Sequence[object]", value)
    read = (_read(arguments[0], item, f"{path}/{number}") for number, item in enumerate(items))
    return tuple(read) if origin is tuple else frozenset(read)


def _read_member(hint: type[Enum], value: object, path: str) -> Enum:
    try:
        return hint(value)
    except ValueError:
        known = ", ".join(str(member.value) for member in hint)
        raise _error(path, f"must be one of {known}, is {value!r}") from None


def _error(path: str, text: str) -> ConfigurationError:
    return ConfigurationError(f"{path or '/'}: {text}")
