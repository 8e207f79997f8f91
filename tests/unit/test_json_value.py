"""`Json`: any JSON value as a frozen Python value."""

import copy
import pickle
from collections import UserDict
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from math import inf, nan
from typing import Any

import pytest

from ocpp_fast.errors import ValidationError
from ocpp_fast.messages.json_value import MAX_DEPTH, Json


class Color(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (None, b"null"),
        (True, b"true"),
        (0, b"0"),
        (-1.5, b"-1.5"),
        (231.56, b"231.56"),
        (2**80, b"1208925819614629174706176"),
        ("", b'""'),
        ('a"\\\n', b'"a\\"\\\\\\n"'),
        ("Müller ⚡ 🔌", '"Müller ⚡ 🔌"'.encode()),
        ([], b"[]"),
        ((1, "a", None), b'[1,"a",null]'),
        ({}, b"{}"),
        ({"b": [1, {"c": False}], "a": 2}, b'{"b":[1,{"c":false}],"a":2}'),
        (UserDict({"a": 1}), b'{"a":1}'),
        (range(3), b"[0,1,2]"),
        (Color.RED, b'"red"'),
        ({Color.RED: Level.HIGH}, b'{"red":3}'),
        (Json({"a": 1}), b'{"a":1}'),
        ([Json({"a": 1})], b'[{"a":1}]'),
    ],
)
def test_value_is_kept_as_compact_text(value: Any, raw: bytes) -> None:
    assert Json(value).raw == raw


def test_value_gives_fresh_objects() -> None:
    json = Json({"a": [1, 2]})
    json.value["a"].append(3)
    assert json.value == {"a": [1, 2]}


def test_later_changes_of_the_source_do_not_show() -> None:
    source = {"a": [1]}
    json = Json(source)
    source["a"].append(2)
    assert json.value == {"a": [1]}


@pytest.mark.parametrize(
    ("value", "code", "pointer", "cause"),
    [
        (nan, "FormatViolation", "", "NaN"),
        ([1, inf], "FormatViolation", "/1", "infinity"),
        ({"a": {"b": -inf}}, "FormatViolation", "/a/b", "infinity"),
        ({"a": {1: 2}}, "TypeConstraintViolation", "/a", "int"),
        ({"a/b~": {None: 2}}, "TypeConstraintViolation", "/a~1b~0", "NoneType"),
        ("\ud800", "FormatViolation", "", "surrogate"),
        ({"\udfff": 1}, "FormatViolation", "", "surrogate"),
        ([b"bytes"], "TypeConstraintViolation", "/0", "bytes"),
        (bytearray(b"a"), "TypeConstraintViolation", "", "bytearray"),
        ({1, 2}, "TypeConstraintViolation", "", "set"),
        (Decimal("1.5"), "TypeConstraintViolation", "", "Decimal"),
        (datetime(2026, 1, 1, tzinfo=UTC), "TypeConstraintViolation", "", "datetime"),
        (object(), "TypeConstraintViolation", "", "object"),
        pytest.param(10**5000, "FormatViolation", "", "digits", id="5000 digits"),
        (nested(MAX_DEPTH + 1), "FormatViolation", "/0" * MAX_DEPTH, "deeper"),
        ([Json(nested(MAX_DEPTH))], "FormatViolation", "/0" * MAX_DEPTH, "deeper"),
    ],
)
def test_what_json_cannot_say_is_refused(value: Any, code: str, pointer: str, cause: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Json(value)
    assert (caught.value.code, caught.value.pointer) == (code, pointer)
    assert cause in caught.value.cause


def test_a_value_that_holds_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValidationError, match="deeper"):
        Json(circle)


def test_deepest_value_is_accepted() -> None:
    assert Json(nested(MAX_DEPTH)).value == nested(MAX_DEPTH)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a":1,"b":[true,null]}', b'{"b":[true,null],"a":1}'),
        (b"1", b"1.0"),
        (b"[100]", b"[1e2]"),
        (b'"\\u0041"', b'"A"'),
        (b"0", b"-0.0"),
        pytest.param(b"1" + b"0" * 5000, b"1" + b"0" * 5000 + b" ", id="5001 digits"),
    ],
)
def test_equal_values_are_equal_and_hash_alike(one: bytes, other: bytes) -> None:
    first, second = Json.from_raw(one), Json.from_raw(other)
    assert first == second
    assert hash(first) == hash(second)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, 1),
        (False, 0),
        ([True], [1]),
        ({"a": False}, {"a": 0}),
        (None, False),
        ("1", 1),
        ([], {}),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 1, "b": None}),
        ([["a", 1]], {"a": 1}),
        (["boolean", True], True),
        (2**53 + 1, float(2**53)),
    ],
)
def test_different_values_differ(one: Any, other: Any) -> None:
    assert Json(one) != Json(other)


def test_it_equals_no_plain_value() -> None:
    assert Json(1) != 1
    assert Json("a") != "a"


def test_whole_numbers_of_any_length_are_exact() -> None:
    digits = "9" * 5000
    assert str(Json.from_raw(digits.encode()).value) == digits
    assert Json.from_raw(digits.encode()) != Json.from_raw(b"8" + digits[1:].encode())


def test_copies_are_the_same_object() -> None:
    json = Json({"a": [1]})
    assert copy.copy(json) is json
    assert copy.deepcopy([json])[0] is json


def test_pickle_keeps_the_text() -> None:
    json = Json.from_raw(b'{"b":1.0,"a":[]}')
    assert pickle.loads(pickle.dumps(json)).raw == json.raw


def test_it_is_frozen() -> None:
    json = Json(1)
    with pytest.raises(AttributeError, match="frozen"):
        json.raw = b"2"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError, match="frozen"):
        del json.raw  # pyright: ignore[reportAttributeAccessIssue]
    assert json.raw == b"1"


def test_repr_shows_the_text_but_not_all_of_a_long_one() -> None:
    assert repr(Json({"a": 1})) == 'Json({"a":1})'
    long = repr(Json("x" * 10_000))
    assert len(long) < 250
    assert "10002 characters" in long
