"""Valid payloads of every schema: accepted by both judges, shown by name, written back equal."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import orjson
import pytest

from ocpp_fast import _core
from vectors import subject
from vectors.payloads import CUSTOM_DATA, FULL, INT64_MAX, MINIMAL, PayloadMaker
from vectors.schemas import FILES, VERSIONS, SchemaFile, all_files, schema_files, validator

SEED: Final = 20_261_121
RANDOM_PAYLOADS: Final = 4

pytestmark = pytest.mark.differential
every_schema = pytest.mark.parametrize("file", all_files(), ids=str)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_schema_is_here(version: str) -> None:
    files = schema_files(version)
    assert len(files) == FILES[version]
    for name in files:
        assert subject.payload_type(version, name).__name__ == name
    by_action = {
        name
        for _, _, request, response in _core.actions(version).values()
        for name in (request, response)
        if name is not None
    }
    assert by_action == set(files)


@every_schema
def test_valid_payloads_round_trip(file: SchemaFile) -> None:
    for style, payload in PayloadMaker(file, SEED).make_all(RANDOM_PAYLOADS):
        place = f"{file}, {style}, seed {SEED}"
        assert validator(file.version, file.name).is_valid(payload), (place, payload)
        text = orjson.dumps(payload)
        message = subject.decoded(file, text)
        assert not list(subject.differences(file, file.schema, payload, message)), place
        assert _core.decode_payload(type(message), text) == message, place

        again = subject.encoded(file, message)
        written = subject.payload_of(again)
        assert subject.same_wire(file, file.schema, payload, written), (place, written)
        assert validator(file.version, file.name).is_valid(written), (place, written)
        assert subject.decoded(file, _core.encode_payload(message)) == message, place
        assert json.loads(_core.encode_payload(message)) == written, place


@every_schema
def test_spelling_does_not_matter(file: SchemaFile) -> None:
    maker = PayloadMaker(file, SEED + 1)
    for style in (
        FULL,
        *(replace(FULL, name=f"part {share}", optional=share) for share in (0.3, 0.6)),
    ):
        payload = maker.make(style)
        message = subject.decoded(file, orjson.dumps(payload))
        for name, text in spellings(payload, random.Random(f"{SEED}/{file}")):
            found = subject.decode(file, text)
            assert not isinstance(found, _core.InvalidFrame), (file, name, found, text)
            assert found.payload == message, (file, name, text)  # type: ignore[union-attr]
            assert hash(found.payload) == hash(message), (file, name)  # type: ignore[union-attr]


def spellings(payload: Any, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """The same JSON value written in other ways."""
    yield "escaped", json.dumps(payload, ensure_ascii=True).encode()
    yield "indented", json.dumps(payload, ensure_ascii=False, indent=3).encode()
    yield "tabs", json.dumps(payload, separators=("\t,\r", "\n:\n ")).encode()
    yield "sorted", json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()
    for turn in range(4):
        yield f"shuffled {turn}", orjson.dumps(shuffled(payload, rng))
    yield "reversed", orjson.dumps(reversed_keys(payload))
    yield "escaped names", escaped_names(payload).encode()
    yield "padded", b" \r\n\t" + orjson.dumps(payload) + b"\t\n\r "


def shuffled(value: Any, rng: random.Random) -> Any:
    """The value with the members of its objects in another order."""
    if isinstance(value, dict):
        names = list(value)
        rng.shuffle(names)
        return {name: shuffled(value[name], rng) for name in names}
    return [shuffled(item, rng) for item in value] if isinstance(value, list) else value


def reversed_keys(value: Any) -> Any:
    """The value with the members of its objects from the last to the first."""
    if isinstance(value, dict):
        return {name: reversed_keys(item) for name, item in reversed(value.items())}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


def escaped_names(value: Any) -> str:
    """The value with every character of every name and text as an escape."""
    if isinstance(value, dict):
        members = (f"{escaped(name)} : {escaped_names(item)}" for name, item in value.items())
        return "{" + " , ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(escaped_names, value)) + "]"
    return escaped(value) if isinstance(value, str) else json.dumps(value)


def escaped(text: str) -> str:
    """A JSON string of nothing but escapes, hex digits in both cases."""
    units = text.encode("utf-16-be", "surrogatepass")
    numbers = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
    forms = ("\\u{:04x}", "\\u{:04X}")
    return '"' + "".join(forms[at % 2].format(number) for at, number in enumerate(numbers)) + '"'


@every_schema
def test_whole_numbers_may_have_a_fraction_or_an_exponent(file: SchemaFile) -> None:
    payload = PayloadMaker(file, SEED).make(
        replace(
            FULL, integer=lambda rng, low, high: 100 if (high or 100) >= 100 else int(high or 0)
        )
    )
    message = subject.decoded(file, orjson.dumps(payload))
    for spelled in ("{0}.0", "{0}.000", "{0}e0", "{0}E+0", "{0}0e-1", "{0}00.0E-002", "{0}000e-3"):
        text = spell_numbers(payload, spelled)
        assert validator(file.version, file.name).is_valid(json.loads(text)), text
        assert subject.decoded(file, text.encode()) == message, text


def spell_numbers(value: Any, spelled: str) -> str:
    """The value as JSON with its whole numbers spelled another way."""
    if isinstance(value, dict):
        # The numbers in DataTransfer.data are kept as they are spelled.
        values = {
            name: json.dumps(item) if name == "data" else spell_numbers(item, spelled)
            for name, item in value.items()
        }
        return "{" + ",".join(f"{json.dumps(name)}:{item}" for name, item in values.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(spell_numbers(item, spelled) for item in value) + "]"
    if isinstance(value, int) and not isinstance(value, bool):
        return spelled.format(value)
    return json.dumps(value)


@every_schema
def test_arrays_may_be_as_long_as_their_schema_says(file: SchemaFile) -> None:
    if not any("maxItems" in schema for _, schema in file.walk()):
        return
    # Only one level of arrays is filled: three levels of 1024 would be a gigabyte.
    maker = PayloadMaker(file, SEED)
    payload = maker.make(replace(FULL, items=lambda _rng, _low, _high: 1))
    for holder, name, schema in array_members(file, file.schema, payload):
        at_most = schema.get("maxItems")
        if at_most is None:
            continue
        one = holder[name]
        holder[name] = one * at_most
        text = orjson.dumps(payload)
        holder[name] = one
        found = subject.decode(file, text)
        assert subject.verdict(found) is None, (file, name, at_most, found)


def array_members(
    file: SchemaFile, schema: dict[str, Any], value: Any
) -> Iterator[tuple[dict[str, Any], str, dict[str, Any]]]:
    """Every array of a payload: the object that holds it, its name and its schema."""
    schema = file.resolve(schema)
    if isinstance(value, list):
        for item in value:
            yield from array_members(file, schema["items"], item)
    elif isinstance(value, dict):
        for name, member in schema.get("properties", {}).items():
            inner = file.resolve(member)
            if inner.get("type") == "array":
                yield value, name, inner
            yield from array_members(file, inner, value.get(name))


@pytest.mark.parametrize("version", VERSIONS)
def test_data_transfer_carries_any_json(version: str) -> None:
    request, response = (
        schema_files(version)[name] for name in ("DataTransferRequest", "DataTransferResponse")
    )
    for file, rest in ((request, {"vendorId": "v"}), (response, {"status": "Accepted"})):
        for text in ANY_TEXTS:
            payload = orjson.dumps(rest)[:-1] + b',"data":' + text.encode() + b"}"
            message = subject.decoded(file, payload)
            assert subject.same_json(message.data.value, json.loads(text))  # type: ignore[attr-defined]
            again = subject.payload_of(subject.encoded(file, message))
            assert subject.same_json(again["data"], json.loads(text)), text
            assert subject.decoded(file, _core.encode_payload(message)) == message


ANY_TEXTS: Final = (
    '"text"',
    '""',
    '"\\u0000\\u001f\\ud83d\\udd0c\\/"',
    "0",
    "-0",
    "-0.0",
    "1e2",
    "231.56",
    "1E-300",
    "12345678901234567890123456789012345678901234567890",
    str(INT64_MAX + 1),
    "0.1000000000000000055511151231257827021181583404541015625",
    "true",
    "false",
    "[]",
    "{}",
    "[ ]",
    "{ }",
    '[null,[null],{"":null}]',
    ' { "a" : [ 1 , 2.50 , { "b" : "\\u00fc" } ] , "a/b~c" : { } } ',
)


@every_schema
def test_minimal_payload_is_minimal(file: SchemaFile) -> None:
    payload = PayloadMaker(file, SEED).make(MINIMAL)
    assert CUSTOM_DATA not in payload
    assert list(payload) == [
        name
        for name in file.schema.get("properties", {})
        if name in file.schema.get("required", [])
    ]
