"""Component files that are wrong: every problem is named at once, and nothing is half-loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from device_model.models import attribute, component, files, load, tiers, variable
from ocpp_fast._core import DeviceModelCache

Problem = tuple[str, str, str, str]


TIERS: Final = files(*tiers(component("x")), folder="standardized")
"""An EVSE with a connector, without which there is no station."""


def problems_of(*sources: tuple[str, bytes], connectors: list[int] | None = None) -> list[Problem]:
    """Loads, and shows that there is a model or there are problems, never both."""
    cache, problems = DeviceModelCache.load([*TIERS, *sources], connectors, ())
    assert (cache is None) == bool(problems)
    return problems


def good(**changes: Any) -> dict[str, Any]:
    """A component with one variable of each kind that mistakes are made with."""
    content = component(
        "Fan",
        variable(
            "Speed",
            "integer",
            attribute("Actual", "ReadOnly", "300", persistent=False, constant=False),
            attribute("Target", "ReadWrite", 310),
            unit="rpm",
            minLimit=0,
            maxLimit=1000,
            monitors=[
                {
                    "type": "UpperThreshold",
                    "value": 900,
                    "severity": 4,
                    "transaction": False,
                    "config_type": "PreconfiguredMonitor",
                }
            ],
            default="5",
        ),
        variable("Mode", "OptionList", attribute(value="on"), valuesList="on,off"),
        variable("Silent", "boolean", attribute(value=True), monitoring=False),
        required=["p0", "p1"],
    )
    return {**content, **changes}


def changed(pointer: str, value: Any) -> dict[str, Any]:
    """The good component with another value at one place; `...` removes the member."""
    content = good()
    *path, last = pointer.removeprefix("/").split("/")
    place: Any = content
    for token in path:
        place = place[int(token) if isinstance(place, list) else token]
    key: Any = int(last) if isinstance(place, list) else last
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return content


SPEED: Final = "/properties/p0"
ACTUAL: Final = f"{SPEED}/attributes/0"
MONITOR: Final = f"{SPEED}/monitors/0"

WRONG: Final[list[tuple[str, Any]]] = [
    ("/name", ...),
    *(("/name", wrong) for wrong in (5, None, "", "n" * 51, "a\nb", ["x"])),
    *(("/instance", wrong) for wrong in (5, "n" * 51, "a\x00b", {})),
    *(("/evse_id", wrong) for wrong in (-1, 1.5, "x", "1-", "-1", "5-1", "0-2", True, [], 2**40)),
    *(("/connector_id", wrong) for wrong in (1, -1, "x")),  # without an EVSE
    *(("/properties", wrong) for wrong in (5, "x", [{}], {"p0": 5}, {"p0": []})),
    *((f"{SPEED}/variable_name", wrong) for wrong in (..., 5, "", "n" * 51, "a\tb")),
    *((f"{SPEED}/instance", wrong) for wrong in (5, "n" * 51)),
    *((f"{SPEED}/characteristics", wrong) for wrong in (..., 5, [])),
    *((f"{SPEED}/characteristics/dataType", wrong) for wrong in (..., 5, "number", "Integer")),
    *((f"{SPEED}/characteristics/unit", wrong) for wrong in (5, "u" * 17)),
    *((f"{SPEED}/characteristics/minLimit", wrong) for wrong in ("0", 2000, True, [])),
    *((f"{SPEED}/characteristics/maxLimit", wrong) for wrong in ("9", -5, {})),
    *((f"{SPEED}/characteristics/supportsMonitoring", wrong) for wrong in ("true", 1, False)),
    *((f"{SPEED}/attributes", wrong) for wrong in (..., 5, [], {}, [5])),
    *((f"{ACTUAL}/type", wrong) for wrong in (5, "actual", "Maximum", "Target")),
    *((f"{ACTUAL}/mutability", wrong) for wrong in (5, "readonly", "ReadOnce")),
    *((f"{ACTUAL}/value", wrong) for wrong in ({}, [1], "abc", "1001", -1, 2.5, True)),
    *((f"{ACTUAL}/persistent", wrong) for wrong in ("true", 1)),
    *((f"{ACTUAL}/constant", wrong) for wrong in ("true", 1)),
    *((f"{SPEED}/attributes/1/value", wrong) for wrong in ("x", 5_000)),
    *((f"{MONITOR}/type", wrong) for wrong in (..., 5, "Upper")),
    *((f"{MONITOR}/value", wrong) for wrong in (..., "900", None, True)),
    *((f"{MONITOR}/severity", wrong) for wrong in (..., -1, 10, "4", 2.5)),
    *((f"{MONITOR}/config_type", wrong) for wrong in (5, "Preconfigured")),
    *((f"{MONITOR}/transaction", wrong) for wrong in ("no", 1)),
    *((f"{SPEED}/monitors", wrong) for wrong in (5, {}, [5])),
    ("/properties/p1/attributes/0/value", "idle"),
    ("/properties/p1/attributes/0/value", "o" * 2_501),
    ("/properties/p1/characteristics/valuesList", "on," + "x" * 1_000),
    ("/properties/p1/characteristics/valuesList", ["on"]),
    *(("/properties/p1/characteristics/maxElements", wrong) for wrong in (0, -1, 1.5, "1")),
    ("/properties/p2/attributes/0/value", "yes"),
    ("/properties/p2/attributes/0/value", 1),
    ("/properties/p2/monitors", good()["properties"]["p0"]["monitors"]),
    ("/properties/p2/default", "maybe"),
    ("/required", ["p9"]),
    ("/required", "p0"),
    ("/required", [5]),
]


def resolves(content: Any, pointer: str) -> bool:
    """Whether a pointer leads into a document, its last member perhaps missing."""
    *path, _last = pointer.split("/")[1:] or [""]
    for token in path:
        is_index = isinstance(content, list) and token.isdigit()
        key: Any = int(token) if is_index else token.replace("~1", "/").replace("~0", "~")
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def name_of(value: Any) -> str:
    return "missing" if value is ... else repr(value)[:30]


def test_the_good_one_is_good() -> None:
    cache = load(good())
    assert cache.variable_count == 5, "two are of the tiers"
    assert cache.value(cache.find("Fan", None, None, None, "Speed", None), 1) == "310"
    assert len(cache.config_monitors()) == 1


@pytest.mark.parametrize(("pointer", "value"), WRONG, ids=name_of)
def test_one_mistake_is_found_where_it_is(pointer: str, value: Any) -> None:
    content = changed(pointer, value)
    (source,) = files(content)
    problems = problems_of(source)
    assert problems, "accepted"
    for file, where, which, message in problems:
        assert file == source[0]
        assert message
        assert where == "" or where.startswith("/")
        assert resolves(content, where), where
        if where.startswith(f"{SPEED}/") and pointer.startswith(
            (f"{SPEED}/characteristics/", f"{SPEED}/attributes", f"{SPEED}/monitors")
        ):
            assert "Speed" in which, "the variable as people write it"
    # What one contradicts may be the one or the other place of the same variable.
    about = "/".join(pointer.split("/")[:3])
    near = {where for _, where, _, _ in problems}
    assert any(w.startswith(about) or about.startswith(w) for w in near), near


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"{",
        b"[]",
        b"null",
        b"5",
        b'"Fan"',
        b"\xff\xfe\x00",
        b'{"name": "Fan", "properties": {}} trailing',
        b"{'name': 'Fan'}",
        b'{"name": "Fan\xff", "properties": {}}',
        b'{"name": "\\ud800", "properties": {}}',
        b'{"name": NaN, "properties": {}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_object_is_named(content: bytes) -> None:
    problems = problems_of(("custom/Odd.json", content))
    assert [problem[0] for problem in problems] == ["custom/Odd.json"]


def test_a_range_of_evses_has_a_bound() -> None:
    """A typing error must not fill the memory."""
    one = component("Fan", variable("Speed"), evse="1-4000000000")
    assert problems_of(*files(one))
    assert problems_of(*files(component("Fan", variable("Speed"), evse="*"))), "no topology"


# --- one file against another -------------------------------------------------------------


def evse(number: int) -> dict[str, Any]:
    return component("EVSE", variable("It"), evse=number)


def connector(at: int, number: int) -> dict[str, Any]:
    return component("Connector", variable("It"), evse=at, connector=number)


SETS: Final[dict[str, Callable[[], list[tuple[str, bytes]]]]] = {
    "the same component twice": lambda: files(evse(1), connector(1, 1), good(), good()),
    "the same in another spelling": lambda: files(good(), good(name="FAN")),
    "the same variable twice": lambda: files(
        component("Fan", variable("Speed"), variable("sPEED"))
    ),
    "the same attribute twice": lambda: files(
        component("Fan", variable("Speed", "string", attribute(), attribute("Actual", value="x")))
    ),
    "a gap in the EVSEs": lambda: files(evse(1), connector(1, 1), evse(3), connector(3, 1)),
    "a gap in the EVSEs, as a range": lambda: files(
        component("EVSE", variable("It"), evse="3-4"), connector(3, 1), connector(4, 1)
    ),
    "a gap in the connectors": lambda: files(evse(1), connector(1, 1), connector(1, 3)),
    "a connector without its EVSE": lambda: files(evse(1), connector(1, 1), connector(2, 1)),
    "a component at no EVSE": lambda: files(
        evse(1), connector(1, 1), component("Meter", variable("It"), evse=7)
    ),
    "a component at no connector": lambda: files(
        evse(1), connector(1, 1), component("Lock", variable("It"), evse=1, connector=4)
    ),
}


@pytest.mark.parametrize("case", SETS)
def test_files_must_go_together(case: str) -> None:
    assert problems_of(*SETS[case]()), "accepted"


@pytest.mark.parametrize("connectors", [[1], [1, 2], [1, 1, 1], [2, 1], []])
def test_the_files_must_fit_the_topology(connectors: list[int]) -> None:
    sources = files(evse(1), connector(1, 1), evse(2), connector(2, 1))
    assert problems_of(*sources, connectors=connectors)
    assert not problems_of(*sources, connectors=[1, 1])


def test_custom_replaces_standardized_but_not_another_custom() -> None:
    standard, custom = good(), component("fan", variable("Other"))
    cache, problems = DeviceModelCache.load(
        [*TIERS, *files(standard, folder="standardized"), *files(custom)], None, ()
    )
    assert not problems
    assert cache is not None
    assert cache.variable_count == 3
    assert cache.find("Fan", None, None, None, "Other", None) >= 0
    assert cache.find("Fan", None, None, None, "Speed", None) == -2


@pytest.mark.parametrize(
    ("data_type", "kind", "is_allowed"),
    [
        (data_type, kind, kind == "Delta" or data_type in {"integer", "decimal"} or other)
        for data_type in (
            *("string", "decimal", "integer", "dateTime", "boolean"),
            *("OptionList", "SequenceList", "MemberList"),
        )
        for kind, other in (
            ("UpperThreshold", False),
            ("LowerThreshold", False),
            ("Delta", True),
            ("Periodic", data_type != "dateTime"),
            ("PeriodicClockAligned", data_type != "dateTime"),
            ("TargetDelta", data_type != "dateTime"),
            ("TargetDeltaRelative", data_type != "dateTime"),
        )
    ],
)
def test_part_1_section_3_4_which_monitor_for_which_type(
    data_type: str, kind: str, *, is_allowed: bool
) -> None:
    monitor = {
        "type": kind,
        "value": 1,
        "severity": 5,
        "transaction": False,
        "config_type": "HardWiredMonitor",
    }
    limits: dict[str, Any] = {"valuesList": "a,b"} if data_type.endswith("List") else {}
    both = (attribute(), attribute("Target"))
    content = component("Fan", variable("It", data_type, *both, monitors=[monitor], **limits))
    assert bool(problems_of(*files(content))) != is_allowed


# --- all of them at once ------------------------------------------------------------------


def every_mistake() -> list[tuple[str, bytes]]:
    """A file for each mistake; their components have names of their own."""
    contents = [changed(pointer, value) for pointer, value in WRONG]
    for number, content in enumerate(contents):
        if content.get("name") == "Fan":
            content["name"] = f"Fan{number}"
    return [(f"custom/{n:03}.json", text) for n, (_, text) in enumerate(files(*contents))]


def test_every_mistake_of_every_file_is_listed_at_once_sorted_by_file() -> None:
    wrong = every_mistake()
    problems = problems_of(*wrong, *files(good()))
    found = [problem[0] for problem in problems]
    assert found == sorted(found)
    assert set(found) == {path for path, _ in wrong}


def test_several_mistakes_of_one_file_are_all_listed() -> None:
    content = good()
    content["properties"]["p0"]["characteristics"]["unit"] = "u" * 17
    content["properties"]["p1"]["attributes"][0]["value"] = "idle"
    content["properties"]["p2"]["attributes"][0]["mutability"] = "Never"
    (source,) = files(content)
    problems = problems_of(source)
    assert len(problems) >= 3
    for name in ("Speed", "Mode", "Silent"):
        assert any(name in which for _, _, which, _ in problems)


def test_problems_name_components_as_people_write_them() -> None:
    content = component("EVSE", variable("Power", "decimal", attribute(value="x")), evse=1)
    problems = problems_of(*files(content, connector(1, 1)))
    assert any("EVSE[1].Power" in which for _, _, which, _ in problems), problems


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_required_variables_of_the_standard_are_asked_for(version: str) -> None:
    """Some fifty on every station (Part 2, referenced components and variables)."""
    cache, problems = DeviceModelCache.load(TIERS, None, (version,))
    assert cache is None
    assert len(problems) == {"2.0.1": 52, "2.1": 53}[version]
    asked = {which for _, _, which, _ in problems}
    assert asked >= {
        "OCPPCommCtrlr.OfflineThreshold",
        "OCPPCommCtrlr.MessageTimeout(Default)",
        "TxCtrlr.EVConnectionTimeOut",
        "DeviceDataCtrlr.ItemsPerMessage(GetReport)",
        "EVSE[1].Power",
        "Connector[1,1].ConnectorType",
    }


def test_an_empty_value_in_a_file_is_none() -> None:
    """Of what is no text; then the default counts."""
    cache = load(changed("/properties/p0/attributes/0/value", ""))
    assert cache.value(cache.find("Fan", None, None, None, "Speed", None)) == "5"


# --- the command line ---------------------------------------------------------------------


def config_check(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ocpp_fast.cli", "config", "check", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)


def test_config_check_prints_every_problem_that_loading_finds(tmp_path: Path) -> None:
    sources = [*TIERS, *every_mistake(), ("custom/zz_odd.json", b"{]")]
    for path, content in sources:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / "custom" / "notes.txt").write_text("no component file")
    cache, problems = DeviceModelCache.load(sources, None, ("2.0.1", "2.1"))
    assert cache is None
    done = config_check(tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(problems) + 1
    for line, problem in zip(lines, problems, strict=False):
        assert line == ": ".join(part for part in problem if part)


@pytest.mark.parametrize("name", ["nowhere", "file", "empty"])
def test_config_check_of_what_is_no_folder_of_component_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("{}")
    (tmp_path / "empty").mkdir()
    done = config_check(tmp_path / name)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


# --- one more component at run time -------------------------------------------------------


@pytest.mark.parametrize(("pointer", "value"), WRONG[:-3:2], ids=name_of)
def test_add_refuses_the_same_mistakes_and_changes_nothing(pointer: str, value: Any) -> None:
    cache = load(component("Base", variable("It", "string", attribute(value="x"))))
    before = cache.variable_count, cache.components(), cache.memory_bytes
    assert cache.add(json.dumps(changed(pointer, value)).encode())
    assert (cache.variable_count, cache.components(), cache.memory_bytes) == before
    assert cache.find("Fan", None, None, None, "Speed", None) == -1


def test_add_replaces_nothing() -> None:
    cache = load(good())
    before = cache.variable_count
    other: Mapping[str, Any] = component("fAN", variable("Other"))
    assert cache.add(json.dumps(other).encode())
    assert cache.variable_count == before
    assert not cache.add(json.dumps(component("Pump", variable("Other"))).encode())
    assert cache.variable_count == before + 1
    assert cache.find("pump", None, None, None, "other", None) == before
