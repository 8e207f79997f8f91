"""The device-model benchmarks measure what they claim: candidates whose answers mean the same."""

import json
from datetime import datetime
from functools import cache
from typing import Any

import fastjsonschema
import pytest

from bench.device_model import dicts
from bench.device_model.models import ASKED, LARGE, SMALL, Model, Paging, sized
from bench.harness import build_profile
from bench.payloads import VERSIONS, JsonObject, Version, instant, message_id, write
from bench.schemas import schema

needs_core = pytest.mark.skipif(build_profile() == "absent", reason="the extension is not built")
EVERY_VARIABLE = SMALL // ASKED + 2


@cache
def model() -> Model:
    """Of 5,000 variables."""
    return sized(SMALL)


@cache
def peer() -> dicts.DictModel:
    """The same in dicts."""
    return dicts.running(model())


@cache
def core() -> Any:
    """The same in our cache."""
    from bench.device_model import ours

    return ours.running(model())


def checker(version: Version, type_name: str) -> Any:
    """Raises for a payload that is not valid."""
    return fastjsonschema.compile(schema(version, type_name), use_default=False)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_the_model_has_its_size(size: int) -> None:
    """Within 1 %, with so many EVSEs that every request asks all over it."""
    assert len(sized(size).places) == pytest.approx(size, rel=0.01)


@pytest.mark.parametrize("version", VERSIONS)
def test_requests_are_valid(version: Version) -> None:
    """And the same every time."""
    for type_name, make in (
        ("GetVariablesRequest", Model.get_variables),
        ("SetVariablesRequest", Model.set_variables),
    ):
        check, frames = checker(version, type_name), make(model(), 300)
        for frame in frames:
            check(json.loads(frame)[3])
        assert frames == make(sized(SMALL), 300)
        assert len({frame.partition(b"{")[2] for frame in frames}) == 300


def test_requests_ask_for_everything() -> None:
    """All variables but what is left over from twenties, none twice before all were asked for."""
    names = [
        key_of(row)
        for frame in model().get_variables(len(model().places) // ASKED)
        for row in json.loads(frame)[3]["getVariableData"]
    ]
    assert len(set(names)) == len(names) > len(model().places) - ASKED


def test_a_request_changes_every_value_it_sets() -> None:
    """So that each row has to be written; none is set twice in one request."""
    values: dict[str, str] = {}
    for frame in model().set_variables(200):
        rows = json.loads(frame)[3]["setVariableData"]
        assert len(rows) == ASKED
        keys = [key_of(row) for row in rows]
        assert len(set(keys)) == ASKED
        for key, row in zip(keys, rows, strict=True):
            assert values.get(key) != row["attributeValue"]
            values[key] = row["attributeValue"]


@needs_core
@pytest.mark.parametrize("version", VERSIONS)
def test_answers_mean_the_same(version: Version) -> None:
    """For every variable; ours and the checked peer answer with valid responses."""
    from bench.device_model import ours

    read, check = ours.get_variables(core(), version), checker(version, "GetVariablesResponse")
    checked = dicts.checked(peer(), version)
    statuses: set[str] = set()
    for frame in [*model().get_variables(EVERY_VARIABLE), strange_request()]:
        answer, expected = read(frame), peer().get_variables(frame)
        check(json.loads(answer)[2])
        assert meaning(answer) == meaning(expected)
        assert checked(frame) == expected
        statuses |= {row["attributeStatus"] for row in json.loads(answer)[2]["getVariableResult"]}
    assert statuses == {
        *("Accepted", "Rejected"),
        *("UnknownComponent", "UnknownVariable", "NotSupportedAttributeType"),
    }


def strange_request() -> bytes:
    """Asks for what is not there."""
    rows: list[JsonObject] = [
        {"component": {"name": "Nowhere"}, "variable": {"name": "Available"}},
        {"component": {"name": "EVSE", "evse": {"id": 9999}}, "variable": {"name": "Available"}},
        {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Nothing"}},
        {
            "component": {"name": "EVSE", "evse": {"id": 1}},
            "variable": {"name": "Available"},
            "attributeType": "MinSet",
        },
        {
            "component": {"name": "EVSE", "evse": {"id": 1}},
            "variable": {"name": "Power"},
            "attributeType": "MaxSet",
        },
    ]
    return write([2, message_id(0), "GetVariables", {"getVariableData": rows}])


def meaning(answer: bytes) -> list[Any]:
    """Without the reasons, which are ours to give or not, and with what an absent type means."""
    kind, id_, body = json.loads(answer)
    rows: list[JsonObject] = [
        {"attributeType": "Actual"} | row for row in body["getVariableResult"]
    ]
    for row in rows:
        row.pop("attributeStatusInfo", None)
    return [kind, id_, rows]


@needs_core
@pytest.mark.parametrize("version", VERSIONS)
def test_reports_are_equal(version: Version) -> None:
    """The same rows, member for member, on as many pages."""
    from bench.device_model import ours

    ids = [message_id(index) for index in range(100)]
    paging = Paging(ids, 4_711, instant(0))
    found, expected = ours.report(core(), version)(paging), peer().report(paging)
    check = checker(version, "NotifyReportRequest")
    rows: list[list[JsonObject]] = []
    for pages in (found, expected):
        bodies = [json.loads(page) for page in pages]
        assert [body[:3] for body in bodies] == [
            [2, id_, "NotifyReport"] for id_ in ids[: len(pages)]
        ]
        assert [body[3]["seqNo"] for body in bodies] == list(range(len(pages)))
        assert [body[3].get("tbc", False) for body in bodies] == [True] * (len(pages) - 1) + [False]
        for body in bodies:
            check(body[3])
            assert datetime.fromisoformat(body[3]["generatedAt"]) == instant(0)
            assert len(body[3]["reportData"]) <= paging.max_items
        rows.append([row for body in bodies for row in body[3]["reportData"]])
    assert len(found) == len(expected) == -(-len(model().places) // paging.max_items)
    assert sorted(rows[0], key=key_of) == sorted(rows[1], key=key_of)
    assert sum(map(len, found)) == pytest.approx(sum(map(len, expected)), rel=0.001)


def key_of(row: JsonObject) -> str:
    """The name of the variable that a row is about."""
    return json.dumps([row["component"], row["variable"]], sort_keys=True)
