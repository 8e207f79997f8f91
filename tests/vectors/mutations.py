"""Every way to break a valid payload at one place, with the answer OCPP gives to it.

A mutation is made in place in the payload tree and undone when the iterator moves on; so thousands
of them cost no copies. What JSON libraries refuse to write (duplicate members, huge integers, NaN)
is written as a marker and exchanged in the text.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson

from vectors.schemas import Schema, SchemaFile, keyword_number

CODES: Final = {
    "type": "TypeConstraintViolation",
    "required": "OccurrenceConstraintViolation",
    "minItems": "OccurrenceConstraintViolation",
    "maxItems": "OccurrenceConstraintViolation",
    "enum": "PropertyConstraintViolation",
    "maxLength": "PropertyConstraintViolation",
    "minimum": "PropertyConstraintViolation",
    "maximum": "PropertyConstraintViolation",
    "format": "PropertyConstraintViolation",
    "additionalProperties": "FormatViolation",
}
"""The answer to a schema keyword that failed (Part 4, section 4.3)."""
FORMAT_VIOLATION: Final = "FormatViolation"

# Strings that stand for what orjson does not write, and the text they become.
_DUPLICATE: Final = "\x1fduplicate\x1f"
_RAW: Final = {
    "\x1f2**63\x1f": b"9223372036854775808",
    "\x1f-2**63-1\x1f": b"-9223372036854775809",
    "\x1f2**64\x1f": b"18446744073709551616",
    "\x1f1e400 digits\x1f": b"1" + b"0" * 400,
    "\x1fNaN\x1f": b"NaN",
    "\x1fInfinity\x1f": b"Infinity",
    "\x1f-Infinity\x1f": b"-Infinity",
    "\x1flone high\x1f": b'"\\ud83d"',
    "\x1flone low\x1f": b'"x\\udd0cx"',
    "\x1fpair reversed\x1f": b'"\\udd0c\\ud83d"',
    "\x1fraw control\x1f": b'"a\x01b"',
    "\x1fbad escape\x1f": b'"\\x41"',
    "\x1fleading zero\x1f": b"01",
    "\x1fplus\x1f": b"+1",
    "\x1fbare point\x1f": b"1.",
    "\x1fliteral\x1f": b"True",
    "\x1fcut off\x1f": b"nul",
}
_BIG_INTEGERS: Final = (
    "\x1f2**63\x1f",
    "\x1f-2**63-1\x1f",
    "\x1f2**64\x1f",
    "\x1f1e400 digits\x1f",
)
_BROKEN_TEXTS: Final = tuple(key for key in _RAW if key not in _BIG_INTEGERS)

BAD_DATE_TIMES: Final = (
    "",
    "2026-11-21",
    "2026-11-21 09:30:00Z",
    "2026-02-29T09:30:00Z",
    "2026-13-01T09:30:00Z",
    "2026-11-21T24:00:00Z",
    "2026-11-21T09:30:60Z",
    "2026-11-21T09:30:00.Z",
    "2026-11-21T09:30:00+0100",
    "2026-11-21T09:30:00Zx",
    "now",
)
# Every JSON type once; True beside 1 and "1" because they are equal or alike in some languages.
_SAMPLES: Final[dict[str, tuple[Any, ...]]] = {
    "string": ("text", ""),
    "integer": (0, -1, 7),
    "number": (1.5,),
    "boolean": (True, False),
    "object": ({}, {"a": 1}),
    "array": ([], ["x"], [{}]),
    "null": (None,),
}
_ACCEPTS: Final = {"number": ("number", "integer"), "integer": ("integer",)}
_UNKNOWN_VALUES: Final[tuple[Any, ...]] = (
    'text with \\ and " and ü \U0001f50c',
    -1.5e-3,
    None,
    False,
    [],
    {},
    [[1], {"deep": [{"deeper": None}]}],
    {"vendorId": "x", "": {"": ""}},
)


@dataclass(frozen=True)
class Mutation:
    """One broken payload, valid only until the next one is asked for."""

    kind: str
    """What was done, such as `drop` or `null`."""
    pointer: str
    """JSON pointer that must be reported."""
    code: str
    """Error code that must be reported."""
    keyword: str | None
    """Schema keyword that jsonschema must name; None if JSON schema does not know the rule."""
    schema: Schema
    """The schema that owns the keyword."""
    value: Any
    """The value that breaks it."""
    root: Any
    """The whole payload, broken."""
    tolerated: bool = False
    """Whether tolerant mode keeps and reports it."""

    @property
    def text(self) -> bytes:
        """The whole payload as JSON."""
        return payload_text(self.root)

    def __str__(self) -> str:
        return f"{self.kind} at {self.pointer!r} -> {self.code}"


@dataclass(frozen=True)
class _Place:
    pointer: str
    schema: Schema
    holder: Any
    key: Any
    optional: bool


def payload_text(payload: Any) -> bytes:
    """The JSON text of a payload with its markers exchanged."""
    text = orjson.dumps(payload)
    if b"\\u001f" not in text:
        return text
    for marker, raw in _RAW.items():
        text = text.replace(orjson.dumps(marker), raw)
    return text.replace(_DUPLICATE.encode().replace(b"\x1f", b"\\u001f"), b"")


def escape(member: str) -> str:
    """A member name as a step of a JSON pointer (RFC 6901)."""
    return member.replace("~", "~0").replace("/", "~1")


class Mutator:
    """Breaks one payload of one schema at every place in every way."""

    def __init__(self, file: SchemaFile, payload: dict[str, Any]) -> None:
        self._file = file
        self._root: dict[str, Any] = {"": payload}
        self._turn = 0

    def mutations(self) -> Iterator[Mutation]:
        """All of them."""
        for place in self._places(_Place("", self._file.schema, self._root, "", optional=False)):
            schema = place.schema
            if schema.get("type") == "object":
                yield from self._object(place)
            elif schema.get("type") == "array":
                yield from self._array(place)
            elif "enum" in schema:
                yield from self._enum(place)
            elif schema.get("type") == "string":
                yield from self._text(place)
            elif schema.get("type") in {"integer", "number"}:
                yield from self._number(place)
            yield from self._types(place)
            yield from self._broken_json(place)

    def _places(self, place: _Place) -> Iterator[_Place]:
        """Every value of the payload, outside in."""
        yield place
        value = place.holder[place.key]
        if isinstance(value, dict):
            required: list[str] = place.schema.get("required", [])
            for name, member in place.schema.get("properties", {}).items():
                if name in value:
                    pointer = f"{place.pointer}/{escape(name)}"
                    schema = self._file.resolve(member)
                    yield from self._places(
                        _Place(pointer, schema, value, name, optional=name not in required)
                    )
        elif isinstance(value, list) and "items" in place.schema:
            schema = self._file.resolve(place.schema["items"])
            for index in range(len(value)):
                pointer = f"{place.pointer}/{index}"
                yield from self._places(_Place(pointer, schema, value, index, optional=False))

    @contextmanager
    def _changed(self, holder: Any, key: Any, value: Any) -> Generator[None]:
        before = holder[key]
        holder[key] = value
        try:
            yield
        finally:
            holder[key] = before

    def _made(
        self, place: _Place, kind: str, keyword: str, value: Any, *, tolerated: bool = False
    ) -> Iterator[Mutation]:
        """The value of a place exchanged."""
        code = CODES[keyword]
        if place.pointer == "" and keyword == "type":
            code = FORMAT_VIOLATION
        yield from self._exchanged(place, kind, (keyword, code), value, tolerated=tolerated)

    def _exchanged(
        self,
        place: _Place,
        kind: str,
        rule: tuple[str | None, str],
        value: Any,
        *,
        tolerated: bool = False,
    ) -> Iterator[Mutation]:
        with self._changed(place.holder, place.key, value):
            yield Mutation(
                kind=kind,
                pointer=place.pointer,
                code=rule[1],
                keyword=rule[0],
                schema=place.schema,
                value=value,
                root=self._root[""],
                tolerated=tolerated,
            )

    def _of_member(
        self, place: _Place, kind: str, name: str, keyword: str | None, changed: dict[str, Any]
    ) -> Iterator[Mutation]:
        """The object of a place exchanged, where one of its members is to blame."""
        with self._changed(place.holder, place.key, changed):
            yield Mutation(
                kind=kind,
                pointer=f"{place.pointer}/{escape(name)}",
                code=CODES[keyword] if keyword else FORMAT_VIOLATION,
                keyword=keyword,
                schema=place.schema,
                value=changed,
                root=self._root[""],
                tolerated=keyword == "additionalProperties",
            )

    def _object(self, place: _Place) -> Iterator[Mutation]:
        value: dict[str, Any] = place.holder[place.key]
        for name in place.schema.get("required", []):
            without = {key: item for key, item in value.items() if key != name}
            yield from self._of_member(place, "drop", name, "required", without)
        for name, again in value.items():
            # Twice in a row, and again at the end.
            double: dict[str, Any] = {}
            for key, item in value.items():
                double[key] = item
                if key == name:
                    double[key + _DUPLICATE] = item
            yield from self._of_member(place, "duplicate", name, None, double)
            at_end = {**value, name + _DUPLICATE: again}
            yield from self._of_member(place, "duplicate", name, None, at_end)
        if not self._file.is_open(place.schema):
            for name in self._unknown_names(value):
                self._turn += 1
                item = _UNKNOWN_VALUES[self._turn % len(_UNKNOWN_VALUES)]
                first = {name: item, **value}
                last = {**value, name: item}
                keyword = "additionalProperties"
                yield from self._of_member(place, "unknown first", name, keyword, first)
                yield from self._of_member(place, "unknown last", name, keyword, last)

    def _unknown_names(self, value: dict[str, Any]) -> Iterator[str]:
        """Names that are not known but look as if they were."""
        yield from ("unknown", "a/b~c", "", 'ключ \U0001f511 "\\', "x" * 60)
        names = list(value)
        if names:
            name = names[self._turn % len(names)]
            looks = (name[:-1], name + "s", name.upper(), name + "\x00", " " + name, name + '"')
            yield from (look for look in looks if look not in value)

    def _array(self, place: _Place) -> Iterator[Mutation]:
        value: list[Any] = place.holder[place.key]
        if keyword_number(place.schema, "minItems"):
            yield from self._made(place, "empty", "minItems", [], tolerated=place.optional)
        at_most = keyword_number(place.schema, "maxItems")
        if at_most is not None:
            # Small items: some arrays may hold a thousand.
            small = self._bare(place.schema["items"], value[0])
            long = [*value, *[small] * (int(at_most) - len(value) + 1)]
            yield from self._made(place, "too many", "maxItems", long)

    def _bare(self, schema: Schema, value: Any) -> Any:
        """The value without its optional members."""
        schema = self._file.resolve(schema)
        if isinstance(value, list) and "items" in schema:
            return [self._bare(schema["items"], value[0])]
        if not isinstance(value, dict):
            return value
        required: list[str] = schema.get("required", [])
        members: dict[str, Schema] = schema.get("properties", {})
        return {name: self._bare(members[name], value[name]) for name in required}

    def _enum(self, place: _Place) -> Iterator[Mutation]:
        value: str = place.holder[place.key]
        known: list[str] = place.schema["enum"]
        for other in ("", "Unknown", value + "x", value[:-1], value.swapcase(), " " + value):
            if other not in known:
                yield from self._made(place, "bad enum", "enum", other)

    def _text(self, place: _Place) -> Iterator[Mutation]:
        if place.schema.get("format") == "date-time":
            for text in BAD_DATE_TIMES:
                yield from self._made(place, "bad date", "format", text)
            return
        at_most = place.schema.get("maxLength")
        if at_most is None:
            return
        for character in ("a", "ü", "€", "\U0001f50c", "\n", '"'):
            long = character * (at_most + 1)
            yield from self._made(place, "too long", "maxLength", long, tolerated=True)
        long = "a" * at_most + "\U0001f50c"
        yield from self._made(place, "too long", "maxLength", long, tolerated=True)

    def _number(self, place: _Place) -> Iterator[Mutation]:
        whole = place.schema["type"] == "integer"
        low = keyword_number(place.schema, "minimum")
        high = keyword_number(place.schema, "maximum")
        steps: tuple[float, ...] = (1, 2**40) if whole else (1e-9, 1, 1e300)
        for step in steps:
            if low is not None:
                below = int(low - step) if whole else low - step
                yield from self._made(place, "below", "minimum", below)
            if high is not None:
                above = int(high + step) if whole else high + step
                if above > high:
                    yield from self._made(place, "above", "maximum", above)
        if whole:
            for marker in _BIG_INTEGERS:
                rule = (None, "PropertyConstraintViolation")
                yield from self._exchanged(place, "over 64 bits", rule, marker)

    def _types(self, place: _Place) -> Iterator[Mutation]:
        wanted = place.schema.get("type")
        if wanted is None:
            return
        accepted = _ACCEPTS.get(wanted, (wanted,))
        for name, samples in _SAMPLES.items():
            if name in accepted:
                continue
            kind = "null" if name == "null" else f"{name} for {wanted}"
            tolerated = name == "null" and place.optional
            for sample in samples:
                yield from self._made(place, kind, "type", sample, tolerated=tolerated)

    def _broken_json(self, place: _Place) -> Iterator[Mutation]:
        """A value that is no JSON; where exactly is not promised for those."""
        self._turn += 1
        marker = _BROKEN_TEXTS[self._turn % len(_BROKEN_TEXTS)]
        yield from self._exchanged(place, "broken JSON", (None, FORMAT_VIOLATION), marker)
