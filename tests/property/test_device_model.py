"""The device model's cache against a model of dicts: any definitions, any sequence of requests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from random import Random
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from device_model.models import (
    ATTRIBUTES,
    DATA_TYPES,
    LISTS,
    MUTABILITIES,
    NOW,
    VERSIONS,
    attribute,
    component,
    get_request,
    load,
    pages,
    report_data,
    report_request,
    set_request,
    tiers,
    variable,
)
from device_model.oracle import Key, ModelOracle, Variable, place_of
from ocpp_fast._core import DeviceModelCache
from ocpp_fast.messages import OcppVersion
from vectors.schemas import validator

SECRET: Final = "hush"
"""Part of every WriteOnly value, and of no other text."""
WORDS: Final = "one,two,three,four"
NAMES: Final = ("Fan", "fanTray", "Meter", "RCD", "Clock")
VARIABLE_NAMES: Final = (
    *("Speed", "State", "Power", "Count", "Note", "Problem", "Available", "Enabled", "Active"),
    *("AvailabilityState", "Tripped"),
)
INSTANCES: Final = (None, None, "A", "b", "Main-1")
CRITERIA: Final = ("Active", "Available", "Enabled", "Problem")

SPOILS: Final[tuple[tuple[int, dict[str, Any]], ...]] = (
    *((0, {}) for _ in range(12)),
    (0, {"name": "Nil"}),
    (0, {"instance": "Z"}),
    (0, {"instance": ""}),
    (0, {"evse": {"id": 3}}),
    (1, {"name": "Nil"}),
    (1, {"instance": "Z"}),
)
"""What a request says in place of the truth: of the component (0) or of the variable (1)."""

versions = st.sampled_from(VERSIONS)


# --- random models ------------------------------------------------------------------------


def any_case(text: str) -> st.SearchStrategy[str]:
    """The text in its own spelling, in capitals or in small letters."""
    return st.sampled_from([text, text.upper(), text.lower()] if text.isascii() else [text])


def good_value(draw: Random, data_type: str, *, secret: bool = False) -> str:
    """A value of the type that all variables of `Maker` can have."""
    if data_type == "string":
        hidden = SECRET if secret else ""
        return hidden + "".join(draw.choices('abc é\U0001f50c"\\/', k=draw.randint(0, 12))) + hidden
    if data_type == "integer":
        return str(draw.randint(5, 100))
    if data_type == "decimal":
        return str(draw.randint(10, 200) / 2)
    if data_type == "boolean":
        return draw.choice(["true", "true", "false"])
    if data_type == "dateTime":
        return f"20{draw.randint(10, 99)}-0{draw.randint(1, 9)}-1{draw.randint(0, 9)}T09:30:00Z"
    if data_type == "OptionList":
        return draw.choice(WORDS.split(","))
    return ",".join(draw.sample(WORDS.split(","), draw.randint(0, 1)))


class Maker:
    """Makes the component files of a small model, as different from one another as can be."""

    def __init__(self, seed: int) -> None:
        self.draw = Random(seed)

    def model(self) -> list[dict[str, Any]]:
        """A few components, at the station, at one of two EVSEs or at its connector."""
        draw = self.draw
        found: dict[Any, dict[str, Any]] = {}
        for _ in range(draw.randint(1, 5)):
            evse = draw.choice([None, 1, 2])
            connector = draw.choice([None, 1]) if evse else None
            tier = {(True, False): "EVSE", (True, True): "Connector"}.get(
                (evse is not None, connector is not None), "ChargingStation"
            )
            is_tier = draw.random() < 0.3
            one = component(
                tier if is_tier else draw.choice(NAMES),
                *self.variables(),
                instance=None if is_tier else draw.choice(INSTANCES),
                evse=evse,
                connector=connector,
            )
            found[place_of(one)] = one
        return [*found.values(), *tiers(*found.values())]

    def variables(self) -> list[dict[str, Any]]:
        """Some variables with names of their own."""
        found: dict[Any, dict[str, Any]] = {}
        for _ in range(self.draw.randint(1, 4)):
            name = self.draw.choice(VARIABLE_NAMES)
            instance = None if name in CRITERIA else self.draw.choice(INSTANCES)
            found[name, instance] = self.variable(name, instance)
        return list(found.values())

    def variable(self, name: str, instance: str | None) -> dict[str, Any]:
        """One variable; its defaults are within its limits."""
        draw = self.draw
        limits: dict[str, Any] = {}
        data_type = "boolean" if name in {*CRITERIA, "Tripped"} else draw.choice(DATA_TYPES)
        if data_type in {"integer", "decimal"} and draw.random() < 0.6:
            limits = {"minLimit": draw.choice([-20, 0, 5]), "maxLimit": 100}
        elif data_type == "string" and draw.random() < 0.5:
            limits = {"maxLimit": 30}
        elif data_type in LISTS:
            limits = {"valuesList": WORDS}
            if data_type != "OptionList" and draw.random() < 0.5:
                limits["maxElements"] = draw.randint(1, 3)
        if draw.random() < 0.5:
            limits["unit"] = "kW"
        return variable(
            name,
            data_type,
            *self.attributes(data_type),
            instance=instance,
            monitoring=draw.random() < 0.5,
            **limits,
        )

    def attributes(self, data_type: str) -> list[dict[str, Any]]:
        """Actual and perhaps others. The specification says no more of MinSet and MaxSet than that
        Target stays within them, so only Target can be set where they are."""
        draw = self.draw
        kinds = ["Actual"] + ["Target"] * (draw.random() < 0.4)
        bounded = data_type in {"integer", "decimal"} and draw.random() < 0.3
        kinds += ATTRIBUTES[2:] if bounded else ()
        return [self.attribute(data_type, kind, bounded=bounded) for kind in kinds]

    def attribute(self, data_type: str, kind: str, *, bounded: bool) -> dict[str, Any]:
        draw = self.draw
        mutability = draw.choice(MUTABILITIES)
        if bounded:
            mutability = "ReadWrite" if kind == "Target" else "ReadOnly"
        value = None
        if draw.random() < 0.6:
            value = good_value(draw, data_type, secret=mutability == "WriteOnly")
        if bounded and value is not None and kind != "Actual":
            value = {"Target": "50", "MinSet": "20", "MaxSet": "80"}[kind]
        return attribute(
            kind,
            mutability,
            value,
            persistent=draw.random() < 0.5,
            constant=True if value is not None and draw.random() < 0.1 else None,
        )


@st.composite
def models(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Any model that `Maker` makes."""
    return Maker(draw(st.integers(0, 2**32))).model()


@st.composite
def values(draw: st.DrawFn, data_type: str, *, secret: bool = False) -> str:
    """A text that might be a value, mostly one of the type."""
    if not secret and draw(st.integers(0, 4)) == 0:
        odd = [
            "",
            "abc",
            "1.5",
            "01",
            "-0.25",
            "truE",
            "one,one",
            "é",
            "101",
            "-21",
            "one,two,four",
        ]
        return draw(st.sampled_from(odd))
    return good_value(Random(draw(st.integers(0, 2**32))), data_type, secret=secret)


# --- random requests ----------------------------------------------------------------------


@st.composite
def places(draw: st.DrawFn, oracle: ModelOracle) -> tuple[dict[str, Any], dict[str, Any]]:
    """A component and variable of the model in any spelling, seldom one that is not there."""
    key = draw(st.sampled_from(sorted(oracle.variables)))
    found = oracle.variables[key]
    where: dict[str, Any] = {"name": draw(any_case(found.component["name"]))}
    if instance := found.component.get("instance"):
        where["instance"] = draw(any_case(instance))
    if evse := found.component.get("evse_id"):
        where["evse"] = {"id": evse}
        if connector := found.component.get("connector_id"):
            where["evse"]["connectorId"] = connector
    which: dict[str, Any] = {"name": draw(any_case(found.definition["variable_name"]))}
    if instance := found.definition.get("instance"):
        which["instance"] = draw(any_case(instance))
    part, by = draw(st.sampled_from(SPOILS))
    (where if part == 0 else which).update(by)
    return where, which


def kinds() -> st.SearchStrategy[str | None]:
    return st.sampled_from([None, None, *ATTRIBUTES])


class Run:
    """One model in Rust and in Python, and all the bytes that came out of it."""

    def __init__(self, data: st.DataObject, version: OcppVersion = OcppVersion.V21) -> None:
        self.content = content = data.draw(models())
        self.data = data
        self.version = version
        self.cache: DeviceModelCache = load(*content)
        self.oracle = ModelOracle(content)
        for number in range(self.cache.variable_count):
            self.cache.watch(number)
        self.out: list[bytes] = []

    def get(self) -> None:
        wanted = self.data.draw(
            st.lists(st.tuples(places(self.oracle), kinds()), min_size=1, max_size=4)
        )
        request: Any = get_request(self.version, *((w, v, kind) for (w, v), kind in wanted))
        response: Any = self.cache.get_variables(request)
        self.out.append(repr(response).encode())
        results = response.get_variable_result
        assert len(results) == len(wanted), "B06.FR.01"
        for ((w, v), kind), data, result in zip(
            wanted, request.get_variable_data, results, strict=True
        ):
            assert (result.component, result.variable) == (data.component, data.variable)
            assert result.attribute_type == (kind or "Actual")
            found = (str(result.attribute_status), result.attribute_value)
            assert found == self.oracle.get(w, v, kind)

    def set(self) -> None:
        wanted: list[Any] = []
        taken: set[Any] = set()
        for (w, v), kind in self.data.draw(
            st.lists(st.tuples(places(self.oracle), kinds()), min_size=1, max_size=4)
        ):
            found = self.oracle.find(w, v)
            is_known = isinstance(found, Variable)
            if is_known and id(found) in taken:
                continue  # B05.FR.13
            taken.add(id(found) if is_known else None)
            data_type = found.limits.data_type if is_known else "string"
            secret = is_known and _is_secret(found, kind)
            wanted.append((w, v, kind, self.data.draw(values(data_type, secret=secret))))
        request: Any = set_request(self.version, *wanted)
        plan = self.cache.plan(request, "csms")
        self._compare_values()
        stored = {row[:7]: row[7:] for row in plan.rows}
        if self.data.draw(st.integers(0, 4)) == 0:
            return  # dropped: nothing may have changed
        response: Any
        response, _, events = plan.apply()
        assert events == []
        self.out.append(repr(response).encode())
        expected = [self.oracle.set(*one) for one in wanted]
        results = response.set_variable_result
        assert [str(one.attribute_status) for one in results] == expected
        for one, data, result in zip(wanted, request.set_variable_data, results, strict=True):
            assert (result.component, result.variable) == (data.component, data.variable)
            assert result.attribute_type == (one[2] or "Actual")
        assert stored == dict(
            _row(self.oracle, *one)
            for one, status in zip(wanted, expected, strict=True)
            if status == "Accepted" and _is_persistent(self.oracle, *one[:3])
        )

    def write(self) -> None:
        """An internal write: any mutability, and numbers beyond their limits (Part 1, 3.3)."""
        key = self.data.draw(st.sampled_from(sorted(self.oracle.variables)))
        found = self.oracle.variables[key]
        kind = self.data.draw(st.sampled_from(ATTRIBUTES))
        old = found.attributes.get(kind)
        number = self.cache.find(*_where(key))
        text = self.data.draw(values(found.limits.data_type, secret=_is_secret(found, kind)))
        try:
            change = self.cache.write(number, ATTRIBUTES.index(kind), text, "internal")
        except ValueError:
            assert old is None or not found.limits.allows(text, within_limits=False)
            return
        assert old is not None
        assert found.limits.allows(text, within_limits=False)
        if old.value != text:
            assert change is not None
            assert change[:4] == (number, ATTRIBUTES.index(kind), old.value, text)
            row = change[5]
            assert (row is not None) == old.persistent
            assert row is None or row[6:] == (kind, text, "internal")
        old.value = text

    def base_report(self) -> None:
        kind = self.data.draw(st.integers(0, 2))
        found = self._pages(self.cache.base_report(kind), every_attribute=kind == 1)
        if kind == 2:
            wrong = {
                key: one.attributes["Actual"]
                for key, one in self.oracle.variables.items()
                if key[4] in {"problem", "tripped"} and one.attributes["Actual"].value == "true"
            }
            secret = {key for key, one in wrong.items() if one.mutability == "WriteOnly"}
            must = wrong.keys() - secret
            shown = {key for key in found if key[4] in {"problem", "tripped"}}
            assert must <= shown, "what is wrong"
            assert shown <= must | secret, "and not what is right"
        else:
            expected = self.oracle.inventory(settable_only=kind == 0)
            assert found == expected, found ^ expected

    def report(self) -> None:
        draw = self.data.draw
        criteria = draw(st.none() | st.lists(st.sampled_from(CRITERIA), min_size=1, unique=True))
        wanted: list[Any] | None = None
        if criteria is None or draw(st.booleans()):
            wanted = [
                _loosened(self.data, *place)
                for place in draw(st.lists(places(self.oracle), min_size=1, max_size=3))
            ]
        request = report_request(self.version, criteria=criteria, wanted=wanted)
        expected = self.oracle.report(criteria, wanted)
        selection = self.cache.report(request)
        assert len(selection) == len(expected)
        assert self._pages(selection, every_attribute=True) == expected

    def _pages(self, selection: Any, *, every_attribute: bool) -> set[Key]:
        """Takes all pages, checks each, and gives back what was reported."""
        max_items = self.data.draw(st.integers(1, 8))
        max_bytes = self.data.draw(st.sampled_from([1, 400, 900, 2_000, 50_000]))
        frames = list(
            pages(selection, self.version, request_id=9, max_items=max_items, max_bytes=max_bytes)
        )
        self.out += frames
        for number, frame in enumerate(frames):
            message_type, message_id, action, payload = json.loads(frame)
            assert (message_type, message_id, action) == (2, f"m{number}", "NotifyReport")
            validator(self.version.value, "NotifyReportRequest").validate(payload)
            items = payload["reportData"]
            assert 1 <= len(items) <= max_items
            assert len(frame) <= max_bytes or len(items) == 1
            assert (payload["requestId"], payload["seqNo"]) == (9, number), "B07.FR.04, B07.FR.10"
            assert payload.get("tbc", False) == (number < len(frames) - 1)
            assert payload["generatedAt"].startswith(NOW.strftime("%Y-%m-%dT%H:%M:%S"))
        items = report_data(frames)
        assert len(items) == len(selection)
        keys = [_key(item) for item in items]
        assert len(set(keys)) == len(keys), "no variable twice"
        for key, item in zip(keys, items, strict=True):
            expected = self.oracle.variables[key]
            _check_item(self.version, expected, item, every_attribute=every_attribute)
        return set(keys)

    def _compare_values(self) -> None:
        for key, found in self.oracle.variables.items():
            number = self.cache.find(*_where(key))
            for kind, expected in found.attributes.items():
                assert self.cache.value(number, ATTRIBUTES.index(kind)) == expected.value

    def end(self) -> None:
        self._compare_values()
        for piece in self.out:
            assert SECRET.encode() not in piece, "a WriteOnly value has left"


def _where(key: Key) -> tuple[str, str | None, int | None, int | None, str, str | None]:
    return (key[0], key[1] or None, key[2] or None, key[3] or None, key[4], key[5] or None)


def _is_secret(found: Variable, kind: str | None) -> bool:
    attribute = found.attributes.get(kind or "Actual")
    return attribute is not None and attribute.mutability == "WriteOnly"


def _is_persistent(oracle: ModelOracle, w: Any, v: Any, kind: str | None) -> bool:
    found = oracle.find(w, v)
    assert isinstance(found, Variable)
    return found.attributes[kind or "Actual"].persistent


def _row(oracle: ModelOracle, w: Any, v: Any, kind: str | None, value: str) -> Any:
    """Key and value of a row, in the spelling of the definition."""
    found = oracle.find(w, v)
    assert isinstance(found, Variable)
    of = found.component
    return (
        of["name"],
        of.get("instance", ""),
        of.get("evse_id", 0),
        of.get("connector_id", 0),
        found.definition["variable_name"],
        found.definition.get("instance", ""),
        kind or "Actual",
    ), (value, "csms")


def _loosened(data: st.DataObject, w: dict[str, Any], v: dict[str, Any] | None) -> tuple[Any, Any]:
    """The same place with parts left out, which then match everything."""
    for members, name in ((w, "instance"), (w, "evse"), (v or {}, "instance")):
        if data.draw(st.booleans()):
            members.pop(name, None)
    if "evse" in w and data.draw(st.booleans()):
        w["evse"].pop("connectorId", None)
    if w.get("instance") == "":
        del w["instance"]
    return w, v if data.draw(st.booleans()) else None


def _key(item: Mapping[str, Any]) -> Key:
    instance = item["variable"].get("instance", "")
    return (*place_of(item["component"]), item["variable"]["name"].lower(), instance.lower())


def _check_item(
    version: OcppVersion, expected: Variable, item: Mapping[str, Any], *, every_attribute: bool
) -> None:
    """B07.FR.03, B07.FR.08, B07.FR.11, B08.FR.12: characteristics and attributes in full."""
    of = expected.component
    assert item["component"]["name"] == of["name"], "in the spelling of the definition"
    assert item["component"].get("instance") == of.get("instance")
    assert item["variable"]["name"] == expected.definition["variable_name"]
    known = dict(expected.characteristics)
    if version is OcppVersion.V201:
        known.pop("maxElements", None)  # It is of 2.1.
    assert item["variableCharacteristics"] == known
    shown = {one.get("type", "Actual"): one for one in item["variableAttribute"]}
    assert len(shown) == len(item["variableAttribute"])
    assert set(shown) <= set(expected.attributes)
    must = {
        kind for kind, found in expected.attributes.items() if every_attribute or found.is_settable
    }
    assert must <= set(shown), "B07.FR.11"
    for kind, one in shown.items():
        found = expected.attributes[kind]
        assert one.get("mutability", "ReadWrite") == found.mutability
        assert one.get("persistent", False) == found.persistent
        assert one.get("constant", False) == found.constant
        if found.mutability == "WriteOnly":
            assert "value" not in one
        else:
            assert one["value"] == (found.value or "")


STEPS: Final = ("get", "set", "set", "write", "report", "base_report")


@settings(max_examples=200)
@given(data=st.data(), version=versions)
def test_b05_b06_b07_b08_against_dicts(data: st.DataObject, version: OcppVersion) -> None:
    """B05.FR.01 to B08.FR.25 as far as they are about contents; statuses have their own table."""
    run = Run(data, version)
    for step in data.draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=12)):
        getattr(run, step)()
    run.end()


@settings(max_examples=60)
@given(data=st.data(), version=versions)
def test_pages_join_to_the_same_report_however_they_are_cut(
    data: st.DataObject, version: OcppVersion
) -> None:
    run = Run(data, version)
    whole = report_data(pages(run.cache.base_report(1), version, max_items=10_000, max_bytes=10**9))
    for _ in range(3):
        max_items, max_bytes = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 3_000))
        cut = pages(run.cache.base_report(1), version, max_items=max_items, max_bytes=max_bytes)
        assert report_data(cut) == whole


@settings(max_examples=60)
@given(data=st.data())
def test_both_versions_report_the_same(data: st.DataObject) -> None:
    run = Run(data)
    first, second = (
        re.sub(rb',"maxElements":\d', b"", b"".join(pages(run.cache.base_report(1), version)))
        for version in VERSIONS
    )
    assert first == second


@settings(max_examples=60)
@given(data=st.data())
def test_what_was_stored_is_restored(data: st.DataObject) -> None:
    """The rows of all writes, given to a fresh model, make the persistent values again."""
    run = Run(data)
    rows: dict[Any, Any] = {}
    for _ in range(data.draw(st.integers(1, 6))):
        key = data.draw(st.sampled_from(sorted(run.oracle.variables)))
        found = run.oracle.variables[key]
        text = data.draw(values(found.limits.data_type))
        if not found.limits.allows(text) or found.attributes["Actual"].constant:
            continue
        change = run.cache.write(run.cache.find(*_where(key)), 0, text, "internal")
        if change is not None and change[5] is not None:
            rows[change[5][:7]] = change[5]
    fresh = load(*run.content)
    strangers = [
        ("Nobody", "", 0, 0, "Speed", "", "Actual", "1", "csms"),
        ("EVSE", "", 1, 0, "Nothing", "", "Actual", "1", "csms"),
    ]
    left = fresh.restore([*rows.values(), *strangers])
    assert left == strangers, left
    for key, found in run.oracle.variables.items():
        if found.attributes["Actual"].persistent:
            number = run.cache.find(*_where(key))
            assert fresh.value(number) == run.cache.value(number)
            assert fresh.source(number) == run.cache.source(number)
