"""Everything that can be done with a device model, for leak checks and for valgrind.

Used by tests/memory and, under valgrind, by `under_valgrind.py`, where every import is slow.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from ocpp_fast import _core
from ocpp_fast.messages import v21, v201

NOW: Final = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
NAIVE: Final = NOW.replace(tzinfo=None)
ERRORS: Final = (ValueError, TypeError, OverflowError, RuntimeError)


def _variable(name: str, data_type: str, kinds: str, mutability: str, **more: Any) -> Any:
    return {
        "variable_name": name,
        "characteristics": {"dataType": data_type, "supportsMonitoring": True, **more},
        "attributes": [
            {"type": kind, "mutability": mutability, "persistent": kind == "Actual"}
            for kind in kinds.split()
        ],
    }


def _file(name: str, *variables: Any, **where: Any) -> tuple[str, bytes]:
    content = {"name": name, **where, "properties": {str(n): v for n, v in enumerate(variables)}}
    return f"custom/{name}.json", json.dumps(content).encode()


FAN: Final = _file(
    "Fan",
    _variable("Speed", "integer", "Actual Target MinSet MaxSet", "ReadWrite", minLimit=0),
    _variable("Mode", "OptionList", "Actual", "ReadWrite", valuesList="on,off"),
    _variable("Code", "string", "Actual", "WriteOnly"),
    _variable("Näme", "string", "Actual", "ReadOnly"),
)
FILES: Final = [
    FAN,
    _file("EVSE", _variable("Power", "decimal", "Actual", "ReadWrite"), evse_id=1),
    _file(
        "Connector", _variable("It", "boolean", "Actual", "ReadWrite"), evse_id=1, connector_id=1
    ),
]
PUMP: Final = _file("Pump", _variable("Speed", "integer", "Actual", "ReadWrite"))[1]
SPEED, MODE, CODE = 0, 1, 2
ROW: Final = ("Fan", "", 0, 0, "Mode", "", "Actual", "on", "csms")


def model() -> _core.DeviceModelCache:
    """A small model."""
    cache, problems = _core.DeviceModelCache.load(FILES, [1], ())
    assert cache is not None, problems
    return cache


def _data(m: Any, component: str, variable: str, kind: str | None) -> dict[str, Any]:
    return {
        "component": m.ComponentType(
            name=component, evse=m.EVSEType(id=1) if kind is None else None
        ),
        "variable": m.VariableType(name=variable, instance="x" if component == "x" else None),
        "attribute_type": kind,
    }


PLACES: Final = (
    ("Fan", "Speed", "Actual"),
    ("fan", "speed", "Target"),
    ("Fan", "Mode", "Actual"),
    ("Fan", "Mode", "MaxSet"),
    ("Fan", "Code", "Actual"),
    ("Fan", "Nothing", "Actual"),
    ("x", "y", None),
    ("EVSE", "Power", None),
)
VALUES: Final = ("5", "6", "on", "off", "secret", "x", "y", "1.5")


def requests(m: Any) -> tuple[Any, Any, Any, Any]:
    """GetVariables, SetVariables, GetReport and GetMonitoringReport of a version."""
    get = m.GetVariablesRequest(
        get_variable_data=[m.GetVariableDataType(**_data(m, *place)) for place in PLACES]
    )
    put = m.SetVariablesRequest(
        set_variable_data=[
            m.SetVariableDataType(**_data(m, *place), attribute_value=value)
            for place, value in zip(PLACES, VALUES, strict=True)
        ]
    )
    wanted = [
        m.ComponentVariableType(component=m.ComponentType(name="fan")),
        m.ComponentVariableType(
            component=m.ComponentType(name="EVSE", evse=m.EVSEType(id=1)),
            variable=m.VariableType(name="Power"),
        ),
    ]
    report = m.GetReportRequest(
        request_id=1, component_criteria=["Enabled", "Problem"], component_variable=wanted
    )
    monitoring = m.GetMonitoringReportRequest(request_id=1, component_variable=wanted)
    return get, put, report, monitoring


BOTH: Final = [(version, requests(m)) for version, m in (("2.0.1", v201), ("2.1", v21))]


def quietly(work: Callable[[], object]) -> None:
    """The same, without its error."""
    with suppress(*ERRORS):
        work()


def run_model() -> None:
    """A model is made, asked, set, reported, watched and dropped."""
    cache = model()
    for version, (get, put, report, monitoring) in BOTH:
        assert len(cache.get_variables(get).get_variable_result) == len(PLACES)  # type: ignore[attr-defined]
        plans(cache, put)
        for selection in [*map(cache.base_report, range(3)), cache.report(report)]:
            assert sum(1 for _ in pages(selection, version)) > 0 or not len(selection)
        cache.base_report(1).page(version, "m", 1, NOW, 2, 2_000)  # and the rest is dropped
        cache.monitored(monitoring)
    monitors(cache)
    values(cache)
    mistakes(cache)
    copy = cache.copy()
    assert not copy.add(PUMP)
    assert copy.variable_count == cache.variable_count + 1
    assert copy.components()
    copy.forget_definitions()
    assert copy.memory_bytes > 0
    repr(cache)


def pages(selection: _core.Selection, version: str) -> Iterator[bytes]:
    """All pages of a report, short ones."""
    while page := selection.page(version, "m", 1, NOW, 2, 900):
        yield page


def plans(cache: _core.DeviceModelCache, put: Any) -> None:
    """Plans that are dropped, refused, failed, applied, and applied twice."""
    cache.guard(SPEED)
    cache.watch(MODE)
    cache.plan(put, "csms")
    plan = cache.plan(put, "csms")
    assert plan.rows
    assert plan.guarded
    plan.refuse(0, "InternalError", "x" * 600)
    plan.refuse(7, "InternalError")
    plan.reboot(2)
    quietly(lambda: plan.refuse(0, "x" * 21))
    for number in (-1, 99, 2**70):
        quietly(lambda number=number: plan.refuse(number, "InternalError"))
        quietly(lambda number=number: plan.reboot(number))
    plan.apply()
    quietly(plan.apply)
    quietly(lambda: plan.fail("InternalError"))
    repr(plan)
    failed = cache.plan(put, "somebody")
    failed.fail("InternalError", "disk full")
    quietly(failed.apply)
    cache.plan(put, "csms").apply()
    cache.guard(SPEED, False)


def monitors(cache: _core.DeviceModelCache) -> None:
    """Every kind of monitor, with values that cross it."""
    for kind in range(7):
        cache.set_monitor(kind, SPEED, kind, 3.0, 5, kind == 1, kind == 2)
    cache.set_monitor(9, CODE, 2, 0.0, 9, False)
    cache.suspend(5)
    for value in ("1", "9", "2"):
        cache.write(SPEED, 0, value, "internal")
        cache.write(SPEED, 1, value, "internal")
        cache.write(CODE, 0, value, "internal")
        cache.set_transaction(1, value == "9")
        assert cache.has_events in {True, False}
        cache.take_events()
    cache.resume()
    for kind in (*range(7), 9, 11):
        cache.clear_monitor(kind)
    cache.config_monitors()


def values(cache: _core.DeviceModelCache) -> None:
    """Reading, writing, restoring one by one."""
    for number in range(cache.variable_count):
        found = cache.describe(number)
        assert cache.find(found[0], found[1], found[2], found[3], found[4], found[5]) == number
        cache.value(number)
        cache.source(number)
        cache.value_for_peer(number)
    cache.write(MODE, 0, "on", "internal")
    cache.write(MODE, 0, "off", "integrator")
    cache.default(MODE, 0, "on")
    assert cache.restore([ROW, (*ROW[:4], "Nothing", *ROW[5:]), (*ROW[:7], None, "csms")])
    cache.set_sizes(1_000, 1_000)
    cache.connectors()


MISTAKES: Final[dict[str, Callable[[_core.DeviceModelCache], object]]] = {
    "no variable": lambda cache: cache.value(10_000),
    "no attribute": lambda cache: cache.write(MODE, 3, "on", "x"),
    "no such attribute": lambda cache: cache.value(MODE, 99),
    "no value": lambda cache: cache.write(MODE, 0, "neither", "x"),
    "no text": lambda cache: cache.write(MODE, 0, 5, "x"),  # type: ignore[arg-type]
    "half a pair": lambda cache: cache.write(CODE, 0, "\ud800", "x"),
    "no default": lambda cache: cache.default(MODE, 0, "neither"),
    "no base": lambda cache: cache.base_report(9),
    "no kind": lambda cache: cache.set_monitor(1, SPEED, 99, 1.0, 5, False),
    "no monitored variable": lambda cache: cache.set_monitor(1, 10_000, 0, 1.0, 5, False),
    "negative": lambda cache: cache.describe(-1),
    "no request": lambda cache: cache.get_variables(object()),  # type: ignore[arg-type]
    "wrong request": lambda cache: cache.get_variables(BOTH[0][1][1]),
    "wrong plan": lambda cache: cache.plan(BOTH[0][1][0], "csms"),
    "plan of nothing": lambda cache: cache.plan(None, "csms"),  # type: ignore[arg-type]
    "no source": lambda cache: cache.plan(BOTH[0][1][1], None),  # type: ignore[arg-type]
    "wrong report": lambda cache: cache.report(BOTH[0][1][0]),
    "wrong monitored": lambda cache: cache.monitored(BOTH[1][1][2]),
    "no rows": lambda cache: cache.restore([("x",)]),  # type: ignore[list-item]
    "half of the rows": lambda cache: cache.restore([ROW, 5]),  # type: ignore[list-item]
    "no definition": lambda cache: cache.add(b"{"),
    "twice the same": lambda cache: cache.add(FAN[1]),
    "no files": lambda _: _core.DeviceModelCache.load([FAN, 5], None, ()),  # type: ignore[list-item]
    "wrong files": lambda _: _core.DeviceModelCache.load([FAN, ("x", b"[")], None, ("2.1",)),
    "no bytes": lambda _: _core.DeviceModelCache.load([("x", "text")], None, ()),  # type: ignore[list-item]
    "page of no version": lambda cache: cache.base_report(1).page("9", "m", 1, NOW, 5, 500),
    "page at no time": lambda cache: cache.base_report(1).page("2.1", "m", 1, NAIVE, 5, 500),
    "page with a long id": lambda cache: cache.base_report(1).page("2.1", "m" * 99, 1, NOW, 5, 9),
    "page with no id": lambda cache: cache.base_report(1).page("2.1", None, 1, NOW, 5, 9),  # type: ignore[arg-type]
}
"""One wrong call each; whether it raises or answers is not the question here."""


def mistakes(cache: _core.DeviceModelCache) -> None:
    """Every wrong call."""
    for mistake in MISTAKES.values():
        quietly(lambda mistake=mistake: mistake(cache))
