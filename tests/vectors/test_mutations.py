"""Every single mutation of every schema: the verdict of jsonschema, our code and our pointer.

jsonschema takes milliseconds a payload, so it judges each mutation where it happened (the broken
value against its own part of the schema, each pair once) and the whole payload once for each
schema and kind of mutation. A part that fails makes the whole fail: OCPP schemas know no `anyOf`
and no `not`.

Justified differences to jsonschema with format checking, each with a test in this folder:
integers beyond 64 bits and numbers beyond doubles are refused; duplicate members are refused, where
`json.loads` keeps the last; a date-time needs no offset, may not be followed by a line feed, and
must lie in the years 1 to 9999 in UTC; date-times are kept to milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any, Final

import orjson
import pytest

from ocpp_fast import _core
from vectors import subject
from vectors.mutations import Mutation, Mutator
from vectors.payloads import FULL, MINIMAL, PayloadMaker
from vectors.schemas import VERSIONS, Schema, SchemaFile, all_files, validator

SEED: Final = 3_141_592
SHOWN: Final = 5
"""Failures that one test reports."""
FILLED: Final = replace(FULL, extra=True)

pytestmark = pytest.mark.differential
every_schema = pytest.mark.parametrize("file", all_files(), ids=str)


def mutations(file: SchemaFile) -> Iterator[Mutation]:
    """Every mutation of a full payload, and of a minimal one."""
    maker = PayloadMaker(file, SEED)
    yield from Mutator(file, maker.make(FILLED)).mutations()
    yield from Mutator(file, maker.make(MINIMAL)).mutations()


def report(file: SchemaFile, failures: list[str], count: int) -> None:
    """Fails with the first few of them."""
    shown = "\n".join(failures[:SHOWN])
    assert not failures, f"{file}, seed {SEED}: {len(failures)} of {count} mutations\n{shown}"


@every_schema
def test_mutations_get_their_code_and_pointer(file: SchemaFile) -> None:
    failures: list[str] = []
    count = 0
    for mutation in mutations(file):
        count += 1
        text = mutation.text
        found = subject.decode(file, text)
        alone = subject.payload_verdict(file, text)
        problem = answer_problem(file, mutation, found, alone)
        if problem:
            failures.append(f"{mutation}: {problem}; {text[:400]!r}")
    report(file, failures, count)


def answer_problem(
    file: SchemaFile, mutation: Mutation, found: _core.Frame, alone: tuple[str, str] | None
) -> str | None:
    """What is wrong with the answers to a mutation, in its frame and alone."""
    if not isinstance(found, _core.InvalidFrame):
        return f"accepted as {found!r}"
    if (found.message_type, found.message_id) != (file.message_type, subject.MESSAGE_ID):
        return f"it belongs to {found.message_type}, {found.message_id}"
    if found.action != (None if file.message_type == 3 else file.action):
        return f"its action is {found.action!r}"
    if found.code != mutation.code:
        return f"the code is {found.code} ({found.cause})"
    if alone is None or alone[0] != mutation.code:
        return f"without frame it is {alone}"
    if mutation.kind == "broken JSON":
        # The parser stops inside the value, or behind it.
        return (
            None if found.pointer.startswith(mutation.pointer.rpartition("/")[0]) else found.pointer
        )
    if (found.pointer, alone[1]) != (mutation.pointer, mutation.pointer):
        return f"the pointer is {found.pointer!r}, without frame {alone[1]!r}"
    return None if found.cause else "no cause"


@every_schema
def test_jsonschema_gives_the_same_verdict(file: SchemaFile) -> None:
    failures: list[str] = []
    whole_done: set[str] = set()
    count = 0
    for mutation in mutations(file):
        if mutation.keyword is None:
            continue
        count += 1
        if mutation.keyword not in failed_keywords(file, mutation.schema, mutation.value):
            failures.append(f"{mutation}: {mutation.keyword} holds in {mutation.value!r:.200}")
        if mutation.kind not in whole_done:
            whole_done.add(mutation.kind)
            if validator(file.version, file.name).is_valid(mutation.root):
                failures.append(f"{mutation}: jsonschema accepts {mutation.root!r:.400}")
    report(file, failures, count)


# Verdicts by version, schema part and value: most datatypes stand in many files.
_verdicts: dict[tuple[str, bytes, bytes], frozenset[str]] = {}


def failed_keywords(file: SchemaFile, schema: Schema, value: Any) -> frozenset[str]:
    """The keywords of a schema part that jsonschema finds broken in a value."""
    key = (file.version, expanded(file, schema), orjson.dumps(value))
    known = _verdicts.get(key)
    if known is None:
        errors = validator(file.version, file.name).descend(value, schema)
        known = frozenset(str(error.validator) for error in errors if not error.path)
        _verdicts[key] = known
    return known


_expanded: dict[int, tuple[Schema, bytes]] = {}


def expanded(file: SchemaFile, schema: Schema) -> bytes:
    """A schema part as text, with everything it refers to."""
    known = _expanded.get(id(schema))
    if known is None:
        # The schema is kept beside its text so that its id stays taken.
        known = _expanded[id(schema)] = schema, orjson.dumps(_without_refs(file, schema))
    return known[1]


def _without_refs(file: SchemaFile, schema: Schema) -> Schema:
    schema = {key: part for key, part in file.resolve(schema).items() if key != "definitions"}
    if "properties" in schema:
        members = schema["properties"].items()
        schema["properties"] = {name: _without_refs(file, member) for name, member in members}
    if "items" in schema:
        schema["items"] = _without_refs(file, schema["items"])
    return schema


@every_schema
def test_tolerant_mode_keeps_and_reports(file: SchemaFile) -> None:
    failures: list[str] = []
    count = 0
    for mutation in mutations(file):
        count += 1
        found = subject.decode(file, mutation.text, tolerant=True)
        if not mutation.tolerated:
            strict = subject.decode(file, mutation.text)
            if found != strict:
                failures.append(f"{mutation}: tolerant {found!r}, strict {strict!r}")
            continue
        problem = tolerance_problem(file, mutation, found)
        if problem:
            failures.append(f"{mutation}: {problem}; {mutation.text[:400]!r}")
    report(file, failures, count)


def tolerance_problem(file: SchemaFile, mutation: Mutation, found: _core.Frame) -> str | None:
    """What is wrong with a tolerated mutation."""
    if not isinstance(found, _core.Call | _core.CallResult | _core.Send):
        return f"refused as {found!r}"
    reported = [(deviation.code, deviation.pointer) for deviation in found.deviations]
    if reported != [(mutation.code, mutation.pointer)]:
        return f"reported {reported}"
    unknown = mutation.keyword == "additionalProperties"
    set_aside = found.deviations[0].value
    if unknown and (set_aside is None or not subject.same_json(set_aside.value, last(mutation))):
        return f"set aside {set_aside!r}"
    if mutation.keyword == "maxLength":
        kept = at_pointer(found.payload, mutation.pointer)
        return None if kept == mutation.value else f"kept as {kept!r}"
    repaired = orjson.loads(mutation.text)
    remove(repaired, mutation.pointer)
    wanted = subject.decoded(file, orjson.dumps(repaired))
    return None if found.payload == wanted else f"shown as {found.payload}"


def at_pointer(shown: Any, pointer: str) -> Any:
    """The value of a message at a JSON pointer."""
    for step in pointer.split("/")[1:]:
        is_index = isinstance(shown, tuple)
        shown = (
            shown[int(step)] if is_index else getattr(shown, subject.attribute(type(shown), step))
        )
    return shown


def last(mutation: Mutation) -> Any:
    """The unknown member's value."""
    name = mutation.pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
    return mutation.value[name]


def remove(payload: Any, pointer: str) -> None:
    """Takes the member at a JSON pointer out of a payload."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    for step in steps[:-1]:
        payload = payload[int(step)] if isinstance(payload, list) else payload[step]
    del payload[steps[-1]]


@cache
def date_place(version: str) -> tuple[SchemaFile, dict[str, Any]]:
    """A schema with a required date-time at its root and a minimal payload for it."""
    files = {file.name: file for file in all_files() if file.version == version}
    file = files["HeartbeatResponse"]
    return file, {"currentTime": "2026-11-21T09:30:00Z"}


# Text of a date-time, verdict of jsonschema, ours.
DATE_TIMES: Final = (
    ("2026-11-21T09:30:00Z", True, True),
    ("2026-11-21t09:30:00z", True, True),
    ("2026-11-21T09:30:00.123456789012345678901234567890Z", True, True),
    ("2026-11-21T09:30:00+23:59", True, True),
    ("2026-11-21T09:30:00-23:59", True, True),
    ("2026-11-21T09:30:00-00:00", True, True),
    ("0001-01-01T00:00:00Z", True, True),
    ("0001-01-01T00:00:00-00:01", True, True),
    ("9999-12-31T23:59:59+00:01", True, True),
    ("2000-02-29T00:00:00Z", True, True),
    # Without offset: read as UTC, as real CSMSs mean it.
    ("2026-11-21T09:30:00", False, True),
    ("2026-11-21T09:30:00.5", False, True),
    # Beyond the years of a datetime in UTC.
    ("0001-01-01T00:00:00+00:01", True, False),
    ("9999-12-31T23:59:59-00:01", True, False),
    # A regular expression's `$` also matches before a line feed.
    ("2026-11-21T09:30:00Z\n", True, False),
    ("0000-01-01T00:00:00Z", False, False),
    ("1900-02-29T00:00:00Z", False, False),
    ("2026-04-31T00:00:00Z", False, False),
    ("2026-00-10T00:00:00Z", False, False),
    ("2026-01-00T00:00:00Z", False, False),
    ("2026-01-32T00:00:00Z", False, False),
    ("2026-1-01T00:00:00Z", False, False),
    ("2026-11-21T9:30:00Z", False, False),
    ("2026-11-21T09:60:00Z", False, False),
    ("2026-11-21T23:59:60Z", False, False),
    ("2026-11-21T09:30Z", False, False),
    ("2026-11-21T09:30:00,5Z", False, False),
    ("2026-11-21T09:30:00.5.5Z", False, False),
    ("2026-11-21T09:30:00+24:00", False, False),
    ("2026-11-21T09:30:00+01:60", False, False),
    ("2026-11-21T09:30:00+01", False, False),
    ("2026-11-21T09:30:00+0100", False, False),
    ("2026-11-21T09:30:00 Z", False, False),
    ("2026-11-21T09:30:00ZZ", False, False),
    ("2026-11-21T09:30:00Z\x00", False, False),
    (" 2026-11-21T09:30:00Z", False, False),
    ("2026-11-21 09:30:00Z", False, False),
    ("20261121T093000Z", False, False),
    ("2026-W47-6T09:30:00Z", False, False),
    ("+2026-11-21T09:30:00Z", False, False),
    ("-026-11-21T09:30:00Z", False, False),
    ("12026-11-21T09:30:00Z", False, False),
    ("2026-11-21T09:30:00\u2212" + "01:00", False, False),
    ("２０２６-11-21T09:30:00Z", False, False),  # noqa: RUF001 - digits, but not ours
    ("2026-11-21T09:30:00.١Z", False, False),  # noqa: RUF001 - the same
    ("2026/11/21T09:30:00Z", False, False),
    ("T", False, False),
    ("Z", False, False),
)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("text", "theirs", "ours"), DATE_TIMES, ids=[repr(d[0]) for d in DATE_TIMES]
)
def test_date_times(version: str, text: str, theirs: bool, ours: bool) -> None:
    file, payload = date_place(version)
    broken = {**payload, "currentTime": text}
    assert validator(version, file.name).is_valid(broken) is theirs
    for spelled in (json.dumps(broken), json.dumps(broken, ensure_ascii=False)):
        found = subject.decode(file, spelled.encode())
        if ours:
            assert subject.verdict(found) is None, found
            assert found.payload.current_time == subject.milliseconds(subject.instant(text))  # type: ignore[union-attr]
        else:
            assert subject.verdict(found) == ("PropertyConstraintViolation", "/currentTime")
