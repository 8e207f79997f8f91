"""Valid payloads for any OCPP schema, made from a seed: the same seed, the same payloads."""

import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from vectors.schemas import Schema, SchemaFile, keyword_number

MAX_GENERATED_TEXT: Final = 40
"""Characters of a random text, where the schema would allow more."""
MAX_GENERATED_ITEMS: Final = 3
"""Items of a random array, where the schema would allow more."""
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

CUSTOM_DATA: Final = "customData"

# Characters of one to four UTF-8 bytes, and those that JSON must or may escape.
PLAIN: Final = string.ascii_letters + string.digits + " _-:.*"
ESCAPED: Final = '"\\/\b\f\n\r\t\x00\x01\x1f\x7f'
WIDE: Final = "äöüßéÅ¿\u07ff"
WIDER: Final = "€\u0800\ud7ff\ue000\uffff漢字"
ASTRAL: Final = "\U00010000\U0001f50c\U0010ffff"

EXTRA_MEMBERS: Final[dict[str, Any]] = {
    "extraText": 'a "quoted" \\ text with ünï¢ödé \U0001f50c',
    "extraNumber": -12.5e-3,
    "extraInteger": 2**53,
    "extraTrue": True,
    "extraNull": None,
    "extraList": [1, [2, [3, []]], {}, {"deep": {"deeper": [None, False]}}],
    "a/b~c": "pointer characters",
    "": "empty name",
    "vendorid": "not vendorId",
}
ANY_VALUES: Final[tuple[Any, ...]] = (
    "text",
    "",
    0,
    -17,
    1.5,
    True,
    False,
    [],
    {},
    [1, "two", None, {"three": [3.0]}],
    {"a": {"b": {"c": [1, 2, {"d": None}]}}, "": "", "a/b~c": 1},
)
"""DataTransfer.data of every JSON type; null has a test of its own."""
DATE_TIMES: Final = (
    "2026-11-21T09:30:00Z",
    "2026-11-21T09:30:00.5Z",
    "2026-11-21T09:30:00.123Z",
    "2024-02-29T23:59:59.999Z",
    "2026-11-21T09:30:00+00:00",
    "2026-11-21T09:30:00-00:00",
    "2026-11-21T09:30:00+05:30",
    "2026-12-31T23:30:00.250-08:00",
    "2000-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "1969-12-31T23:59:59.001Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999Z",
)


@dataclass(frozen=True)
class Style:
    """How the choices a schema leaves open are made."""

    name: str
    optional: float
    """Share of the optional members that are there, 0 to 1."""
    items: Callable[[random.Random, int, int | None], int]
    """Number of items for minItems and maxItems."""
    text: Callable[[random.Random, int | None], str]
    """A text for maxLength."""
    integer: Callable[[random.Random, int | None, int | None], int]
    number: Callable[[random.Random, float | None, float | None], float]
    extra: bool = False
    """Whether customData holds more than its vendorId."""


def _one_item(_rng: random.Random, at_least: int, _at_most: int | None) -> int:
    return max(1, at_least)


def _some_items(rng: random.Random, at_least: int, at_most: int | None) -> int:
    return rng.randint(max(1, at_least), min(MAX_GENERATED_ITEMS, at_most or MAX_GENERATED_ITEMS))


def _few_items(rng: random.Random, at_least: int, at_most: int | None) -> int:
    return min(rng.choice((1, 1, 2)), at_most or 2) if at_least < 2 else at_least


def _short_text(rng: random.Random, max_length: int | None) -> str:
    return "".join(rng.choices(PLAIN, k=min(6, 6 if max_length is None else max_length)))


def _any_text(rng: random.Random, max_length: int | None) -> str:
    limit = MAX_GENERATED_TEXT if max_length is None else min(max_length, MAX_GENERATED_TEXT)
    alphabet = rng.choice((PLAIN, PLAIN, PLAIN + ESCAPED, PLAIN + WIDE, WIDER, ASTRAL + PLAIN))
    return "".join(rng.choices(alphabet, k=rng.randint(0, limit)))


def _longest_of(alphabet: str) -> Callable[[random.Random, int | None], str]:
    def text(rng: random.Random, max_length: int | None) -> str:
        return "".join(rng.choices(alphabet, k=64 if max_length is None else max_length))

    return text


def _any_integer(rng: random.Random, low: int | None, high: int | None) -> int:
    bits = rng.choice((4, 8, 16, 32, 53, 63))
    low = -(2**bits) if low is None else low
    high = max(low, 2**bits - 1) if high is None else high
    return rng.randint(low, high)


def _lowest_integer(_rng: random.Random, low: int | None, _high: int | None) -> int:
    return INT64_MIN if low is None else low


def _highest_integer(_rng: random.Random, _low: int | None, high: int | None) -> int:
    return INT64_MAX if high is None else high


def _any_number(rng: random.Random, low: float | None, high: float | None) -> float:
    if low is not None and high is not None:
        return rng.uniform(low, high)
    size = rng.choice((1.0, 300.0, 1e-6, 1e6, 1e300))
    value = round(rng.random() * size, rng.choice((0, 1, 3, 17)))
    if low is not None:
        return low + value
    if high is not None:
        return high - value
    return value if rng.random() < 0.7 else -value


def _lowest_number(_rng: random.Random, low: float | None, _high: float | None) -> float:
    return -1.7976931348623157e308 if low is None else low


def _highest_number(_rng: random.Random, _low: float | None, high: float | None) -> float:
    return 1.7976931348623157e308 if high is None else high


RANDOM: Final = Style("random", 0.5, _some_items, _any_text, _any_integer, _any_number, extra=True)
MINIMAL: Final = replace(RANDOM, name="minimal", optional=0.0, items=_one_item, text=_short_text)
FULL: Final = replace(
    RANDOM, name="full", optional=1.0, items=_few_items, text=_short_text, extra=False
)
EDGES: Final = (
    replace(FULL, name="low", integer=_lowest_integer, number=_lowest_number, extra=True),
    replace(FULL, name="high", integer=_highest_integer, number=_highest_number),
    replace(FULL, name="empty texts", items=_one_item, text=lambda _rng, _limit: ""),
    replace(FULL, name="long ASCII", items=_one_item, text=_longest_of(PLAIN)),
    replace(FULL, name="long escapes", items=_one_item, text=_longest_of(ESCAPED)),
    replace(FULL, name="long two bytes", items=_one_item, text=_longest_of(WIDE)),
    replace(FULL, name="long three bytes", items=_one_item, text=_longest_of(WIDER)),
    replace(FULL, name="long surrogate pairs", items=_one_item, text=_longest_of(ASTRAL)),
    replace(FULL, name="long mixed", items=_one_item, text=_longest_of(PLAIN + WIDE + ASTRAL)),
)


class PayloadMaker:
    """Makes payloads that one schema allows."""

    def __init__(self, file: SchemaFile, seed: int) -> None:
        self._file = file
        self._rng = random.Random(f"{seed}/{file.version}/{file.name}")
        self._count = 0

    def make(self, style: Style) -> dict[str, Any]:
        """One payload."""
        return self._object(self._file.schema, style)

    def make_all(self, random_payloads: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Minimal, full, at every edge, and some random ones, each with the name of its style."""
        for style in (MINIMAL, FULL, *EDGES):
            yield style.name, self.make(style)
        for number in range(random_payloads):
            yield f"random {number}", self.make(RANDOM)

    def value(self, schema: Schema, style: Style) -> Any:
        """One value that `schema`, a part of the file's schema, allows."""
        schema = self._file.resolve(schema)
        self._count += 1
        match schema.get("type"):
            case "object":
                return self._object(schema, style)
            case "array":
                bounds = keyword_number(schema, "minItems") or 0, schema.get("maxItems")
                number = style.items(self._rng, int(bounds[0]), bounds[1])
                return [self.value(schema["items"], style) for _ in range(number)]
            case "string":
                return self._text(schema, style)
            case "integer":
                low, high = keyword_number(schema, "minimum"), keyword_number(schema, "maximum")
                return style.integer(
                    self._rng,
                    None if low is None else int(low),
                    None if high is None else int(high),
                )
            case "number":
                return style.number(
                    self._rng, keyword_number(schema, "minimum"), keyword_number(schema, "maximum")
                )
            case "boolean":
                return self._rng.random() < 0.5
            case None:
                return ANY_VALUES[self._count % len(ANY_VALUES)]
            case other:
                message = f"schema type {other!r} is new: the generator must learn it"
                raise AssertionError(message)

    def _object(self, schema: Schema, style: Style) -> dict[str, Any]:
        required: list[str] = schema.get("required", [])
        made = {
            name: self.value(member, style)
            for name, member in schema.get("properties", {}).items()
            if name in required or self._rng.random() < style.optional
        }
        if self._file.is_open(schema) and style.extra and self._rng.random() < 0.7:
            made |= EXTRA_MEMBERS
        return made

    def _text(self, schema: Schema, style: Style) -> str:
        if "enum" in schema:
            return self._rng.choice(schema["enum"])
        if schema.get("format") == "date-time":
            return self._rng.choice(DATE_TIMES)
        return style.text(self._rng, schema.get("maxLength"))
