"""`Json`: any JSON value as a frozen Python value, for the places where OCPP has no schema."""

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Never, Self, TypeAlias, cast, final

from ocpp_fast.errors import ErrorCode, ValidationError

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["MAX_DEPTH", "Json", "JsonInput"]

MAX_DEPTH: Final = 64
"""Deepest nesting of arrays and objects, the same as the decoder's."""

_BYTES: Final = (bytes, bytearray, memoryview)
_REPR_LENGTH: Final = 200
_MAX_BITS: Final = 13_288
"""Of 4,000 decimal digits; Python by default turns no more than 4,300 into text or back."""

JsonInput: TypeAlias = (
    "Json | bool | int | float | str | Sequence[JsonInput] | Mapping[str, JsonInput] | None"
)
"""What `Json` can be made from. Bytes are refused although they are a Sequence."""


@final
class Json:
    """Any JSON value, kept as its text: `DataTransfer.data`, error details, members of customData.

    Two of them are equal when their values are: the order of members does not count, 1 equals
    1.0, and true is not 1. Whole numbers are exact however long they are.
    """

    __slots__ = ("_raw",)
    _raw: bytes

    def __new__(cls, value: JsonInput) -> Self:
        """Copies a Python value; what it is made of may change afterwards.

        Raises `ValidationError` for what JSON cannot say (NaN, infinities, keys that are no
        strings, lone surrogates, other types) and for nesting beyond `MAX_DEPTH`; its pointer
        starts at this value.
        """
        if isinstance(value, Json):
            return cls.from_raw(value.raw)
        text = json.dumps(_plain(value, "", 0), ensure_ascii=False, separators=(",", ":"))
        return cls.from_raw(text.encode())

    @classmethod
    def from_raw(cls, raw: bytes) -> Self:
        """Wraps JSON text that has been validated already; checks nothing."""
        self = object.__new__(cls)
        object.__setattr__(self, "_raw", raw)
        return self

    @property
    def raw(self) -> bytes:
        """The JSON text in UTF-8, without spaces between its parts."""
        return self._raw

    @property
    def value(self) -> Any:
        """The value as fresh dicts, lists, strings, numbers, booleans and None.

        A whole number too long for `int` to read (4300 digits) becomes a `Decimal`.
        """
        return _DECODER.decode(self._raw.decode())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Json):
            return NotImplemented
        return self._raw == other.raw or _comparable(self.value) == _comparable(other.value)

    def __hash__(self) -> int:
        return hash(_comparable(self.value))

    def __repr__(self) -> str:
        text = self._raw.decode()
        if len(text) > _REPR_LENGTH:
            text = f"{text[:_REPR_LENGTH]}... {len(text)} characters"
        return f"Json({text})"

    def __setattr__(self, name: str, value: object) -> Never:
        raise AttributeError(f"Json is frozen, cannot set {name}")

    def __delattr__(self, name: str) -> Never:
        raise AttributeError(f"Json is frozen, cannot delete {name}")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        return Json.from_raw, (self._raw,)


def _plain(value: object, pointer: str, depth: int) -> object:
    """A copy made of dict, list, str, int, float, bool and None; refuses what is no JSON."""
    if value is None or isinstance(value, (str, int, float)):
        return _scalar(value, pointer)
    if isinstance(value, Json):
        return _plain(value.value, pointer, depth)
    if depth == MAX_DEPTH:
        raise _malformed(pointer, f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return _members(cast("Mapping[object, object]", value), pointer, depth + 1)
    cause = f"{type(value).__name__} is no JSON value"
    if isinstance(value, _BYTES) or not isinstance(value, Sequence):
        raise _mistyped(pointer, cause)
    items = enumerate(cast("Sequence[object]", value))
    return [_plain(item, f"{pointer}/{index}", depth + 1) for index, item in items]


def _scalar(value: str | float | None, pointer: str) -> str | float | None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _malformed(pointer, "a string holds half of a surrogate pair") from None
    elif isinstance(value, int):
        if value.bit_length() > _MAX_BITS:
            raise _malformed(pointer, "a whole number of more than 4,000 digits")
    elif isinstance(value, float) and not isfinite(value):
        raise _malformed(pointer, "JSON has neither NaN nor infinity")
    return value


def _members(value: Mapping[object, object], pointer: str, depth: int) -> dict[str, object]:
    plain: dict[str, object] = {}
    for key, member in value.items():
        if not isinstance(key, str):
            raise _mistyped(pointer, f"a member name is {type(key).__name__}, not str")
        _scalar(key, pointer)
        escaped = key.replace("~", "~0").replace("/", "~1")
        plain[key] = _plain(member, f"{pointer}/{escaped}", depth)
    return plain


def _malformed(pointer: str, cause: str) -> ValidationError:
    return ValidationError(ErrorCode.FORMAT_VIOLATION, pointer, cause)


def _mistyped(pointer: str, cause: str) -> ValidationError:
    return ValidationError(ErrorCode.TYPE_CONSTRAINT_VIOLATION, pointer, cause)


def _whole_number(text: str) -> "int | Decimal":
    try:
        return int(text)
    except ValueError:
        # A peer may send thousands of digits, and comparing them must not fail. That is too rare
        # to load the module decimal for it at every start.
        from decimal import Decimal

        return Decimal(text)


_DECODER: Final = json.JSONDecoder(parse_int=_whole_number)


def _comparable(value: object) -> object:
    """A hashable form that is equal exactly when the JSON values are."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return ("array", *map(_comparable, cast("list[object]", value)))
    if isinstance(value, dict):
        members = cast("dict[str, object]", value).items()
        return frozenset((key, _comparable(member)) for key, member in members)
    return value
