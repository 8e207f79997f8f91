"""Keyword construction agrees with decoding: the same objects, the same code and pointer."""

from collections.abc import Iterator
from typing import Any, Final

import orjson
import pytest

from ocpp_fast import _core
from ocpp_fast.errors import ValidationError
from vectors import subject
from vectors.construction import constructed, datatypes, keywords
from vectors.mutations import Mutation, Mutator
from vectors.payloads import PayloadMaker
from vectors.schemas import SchemaFile, all_files

SEED: Final = 1_414_213
SHOWN: Final = 5

# Python says these in another way, or cannot say them at all.
NOT_IN_PYTHON: Final = frozenset({"broken JSON", "duplicate", "bad date"})
BIG_INTEGERS: Final = {
    "\x1f2**63\x1f": 2**63,
    "\x1f-2**63-1\x1f": -(2**63) - 1,
    "\x1f2**64\x1f": 2**64,
    "\x1f1e400 digits\x1f": 10**400,
}

pytestmark = pytest.mark.differential
ALL_TYPES: Final = list(datatypes())
every_type = pytest.mark.parametrize(
    ("file", "payload"), ALL_TYPES, ids=[str(file) for file, _ in ALL_TYPES]
)


@pytest.mark.parametrize("file", all_files(), ids=str)
def test_constructed_equals_decoded(file: SchemaFile) -> None:
    for style, payload in PayloadMaker(file, SEED).make_all(random_payloads=3):
        decoded = subject.decoded(file, orjson.dumps(payload))
        made = constructed(file, payload)
        place = f"{file}, {style}, seed {SEED}"
        assert made == decoded, place
        assert hash(made) == hash(decoded), place
        assert repr(made) == repr(decoded), place
        assert not list(subject.differences(file, file.schema, payload, made)), place
        assert _core.encode_payload(made) == _core.encode_payload(decoded), place


def test_every_type_is_here() -> None:
    for version in ("2.0.1", "2.1"):
        found = {file.name for file, _ in ALL_TYPES if file.version == version}
        types = {
            name
            for name in _core.type_names(version)
            if issubclass(_core.message_type(version, name), _core.Message)
        }
        assert found == types


@every_type
def test_mistakes_get_the_same_code_and_pointer(file: SchemaFile, payload: dict[str, Any]) -> None:
    type_ = subject.payload_type(file.version, file.name)
    for mutation in own_mutations(file, payload):
        arguments = keywords(file, pythonic(mutation.root))
        if mutation.kind == "null" and mutation.tolerated:
            # None is how Python says absent.
            assert type_(**arguments).replace() == type_(**arguments)
            continue
        with pytest.raises(ValidationError) as raised:
            type_(**arguments)
        error = raised.value
        found = (error.code, error.pointer)
        assert found == (mutation.code, mutation.pointer), f"{mutation}: {error}"
        assert error.cause


def own_mutations(file: SchemaFile, payload: dict[str, Any]) -> Iterator[Mutation]:
    """The mutations of an object's own members and their items, not of the objects in them."""
    for mutation in Mutator(file, payload).mutations():
        steps = mutation.pointer.split("/")[1:]
        own = len(steps) == 1 or (len(steps) == 2 and steps[1].isdecimal())
        unknown = mutation.kind.startswith("unknown")
        if own and not unknown and mutation.kind not in NOT_IN_PYTHON:
            yield mutation


def pythonic(value: Any) -> Any:
    """The markers of huge integers exchanged."""
    if isinstance(value, dict):
        return {name: pythonic(item) for name, item in value.items()}
    if isinstance(value, list):
        return [pythonic(item) for item in value]
    return BIG_INTEGERS.get(value, value) if isinstance(value, str) else value


@every_type
def test_other_names_are_refused(file: SchemaFile, payload: dict[str, Any]) -> None:
    type_ = subject.payload_type(file.version, file.name)
    arguments = keywords(file, payload)
    for name in ("unknown", "evseId", "custom_datas", "", "__class__", "ключ"):
        with pytest.raises(TypeError, match="has no member"):
            type_(**arguments, **{name: None})
        with pytest.raises(TypeError, match="has no member"):
            type_(**arguments).replace(**{name: None})
    for value in arguments.values():
        with pytest.raises(TypeError, match="keyword"):
            type_(value)  # pyright: ignore[reportCallIssue]


@every_type
def test_replace_checks_like_the_constructor(file: SchemaFile, payload: dict[str, Any]) -> None:
    type_ = subject.payload_type(file.version, file.name)
    whole = type_(**keywords(file, payload))
    for mutation in own_mutations(file, payload):
        name = mutation.pointer.split("/")[1].replace("~1", "/").replace("~0", "~")
        arguments = keywords(file, pythonic(mutation.root))
        changed = subject.attribute(type_, name)
        if mutation.kind == "drop":
            # None takes a required member away, which is the wrong type for it.
            with pytest.raises(ValidationError) as raised:
                whole.replace(**{changed: None})
            assert raised.value.code == "TypeConstraintViolation"
            assert raised.value.pointer == mutation.pointer
        elif not mutation.tolerated or mutation.kind != "null":
            with pytest.raises(ValidationError) as raised:
                whole.replace(**{changed: arguments[changed]})
            assert (raised.value.code, raised.value.pointer) == (mutation.code, mutation.pointer)
        else:
            assert getattr(whole.replace(**{changed: None}), changed) is None
    assert whole == type_(**keywords(file, payload)), "nothing has changed"
