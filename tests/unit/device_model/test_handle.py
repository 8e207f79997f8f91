"""Typed reading and writing of single variables."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import pytest

from device_model.keeping import FaultyStorage, device_model
from device_model.models import attribute, component, variable
from ocpp_fast.device_model import VariableChange
from ocpp_fast.device_model.handle import address
from ocpp_fast.errors import ConfigurationError, StorageError

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Colour(StrEnum):
    RED = "red"


RIG = component(
    "Rig",
    variable("Text", "string", attribute(value="a")),
    variable("Option", "OptionList", attribute(value="red"), valuesList="red,green"),
    variable("Level", "decimal", attribute("Actual", "ReadOnly", "0"), maxLimit=10, unit="kW"),
    variable("Count", "integer", attribute(value="1", persistent=False)),
    variable("On", "boolean", attribute(value="false")),
    variable("Since", "dateTime", attribute()),
    variable("Members", "MemberList", attribute(value="red"), valuesList="red,green,blue"),
    variable("Order", "SequenceList", attribute(value="red"), valuesList="red,green,blue"),
    variable("Code", "string", attribute("Actual", "WriteOnly", "1234")),
    variable(
        "Speed", "integer", attribute(value="5"), attribute("Target", persistent=True), instance="a"
    ),
    evse=1,
    instance="x",
)


def handle(name: str, **more: Any) -> Any:
    model = device_model(RIG, **more)
    instance = "a" if name == "Speed" else None
    return model.variable("rig", name.upper(), instance="X", evse_id=1, variable_instance=instance)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("Text", "some text", "some text"),
        ("Option", "green", "green"),
        ("Option", Colour.RED, "red"),
        ("Level", 7.5, "7.5"),
        ("Level", 7, "7"),
        ("Level", 1e-7, "1e-07"),
        ("Count", 3, "3"),
        ("Count", 3.0, "3"),
        ("On", True, "true"),
        ("On", False, "false"),
        ("Since", NOON, "2026-05-01T12:00:00Z"),
        ("Since", NOON.astimezone(timezone(timedelta(hours=2))), "2026-05-01T12:00:00Z"),
        ("Members", ("blue", "red"), "blue,red"),
        ("Members", ["blue"], "blue"),
        ("Members", (), ""),
        ("Order", ("blue", "red"), "blue,red"),
    ],
)
def test_values_are_typed_both_ways(name: str, value: Any, text: str) -> None:
    it = handle(name)
    it.set(value)
    assert it.text() == text
    expected = tuple(value) if isinstance(value, list) else value
    assert it.get() == expected
    it.set("true" if name == "On" else it.text())  # as text, which is checked as well


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Text", 5),
        ("Option", "blue"),
        ("Level", "much"),
        ("Level", True),
        ("Level", float("nan")),
        ("Level", float("inf")),
        ("Count", 1.5),
        ("Count", None),
        ("On", 1),
        ("On", "yes"),
        ("Since", datetime(2026, 1, 1)),  # noqa: DTZ001  # that is the mistake
        ("Since", "yesterday"),
        ("Members", ("red", "pink")),
        ("Members", 3),
    ],
)
def test_what_is_no_such_value_changes_nothing(name: str, value: Any) -> None:
    it = handle(name)
    before = it.text()
    with pytest.raises(ConfigurationError):
        it.set(value)
    assert it.text() == before
    assert it.source() == "default"


def test_a_measured_value_may_leave_its_limits() -> None:
    it = handle("Level")
    it.set(11.5)
    assert it.get() == 11.5


def test_a_time_without_offset_is_utc() -> None:
    it = handle("Since")
    assert it.get() is None
    try:
        it.set("2026-05-01T12:00:00")
    except ConfigurationError:
        return  # as strict as RFC 3339
    assert it.get() == NOON


def test_attributes_and_sources() -> None:
    it = handle("Speed")
    assert it.get("Target") is None
    it.set(9, attribute="Target", source="tuner")
    assert (it.get("Target"), it.get()) == (9, 5)
    assert (it.source("Target"), it.source()) == ("tuner", "default")
    it.set(5)
    assert it.source() == "integrator"
    with pytest.raises(ConfigurationError, match="no such attribute"):
        it.get("MinSet")
    with pytest.raises(ConfigurationError, match="AttributeEnumType"):
        it.set(1, attribute="actual")
    with pytest.raises(ConfigurationError, match="no source"):
        it.set(1, source="default")


def test_what_a_variable_is() -> None:
    info = handle("Level").info
    assert str(info) == "Rig(x)[1].Level"
    assert (info.data_type, info.unit, info.max_limit) == ("decimal", "kW", 10)
    assert [each.mutability for each in info.attributes] == ["ReadOnly"]
    assert address(("Connector", "", 1, 2, "State", "")) == "Connector[1,2].State"
    assert address(("C", None, 0, 0, "V", "i")) == "C.V(i)"


def test_what_does_not_exist_is_named() -> None:
    model = device_model(RIG)
    with pytest.raises(ConfigurationError, match=r"no such component: Rig\[1\]\.Level"):
        model.variable("Rig", "Level", evse_id=1)
    with pytest.raises(ConfigurationError, match=r"no such variable: Rig\(x\)\[1\]\.Depth"):
        model.variable("Rig", "Depth", instance="x", evse_id=1)


# --- listeners ------------------------------------------------------------------------------


def test_a_listener_hears_of_its_variable_only_and_until_it_ends() -> None:
    model = device_model(RIG)
    level = model.variable("Rig", "Level", instance="x", evse_id=1)
    count = model.variable("Rig", "Count", instance="x", evse_id=1)
    heard: list[VariableChange] = []
    end = level.on_change(heard.append)
    level.set(1.5, source="meter")
    level.set(1.5)
    count.set(8)
    (change,) = heard
    assert change.variable is level
    assert (change.attribute, change.old, change.new) == ("Actual", "0", "1.5")
    assert (change.value, change.source) == (1.5, "meter")
    end()
    end()
    level.set(2.5)
    assert len(heard) == 1


def test_a_listener_that_raises_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    it = handle("Level")
    heard: list[Any] = []

    def fail(change: VariableChange) -> None:
        raise RuntimeError("no")

    it.on_change(fail)
    it.on_change(heard.append)
    it.set(2.0)
    assert it.get() == 2.0
    assert len(heard) == 1
    assert "a listener of the device model failed" in caplog.text


def test_a_listener_may_write() -> None:
    model = device_model(RIG)
    level = model.variable("Rig", "Level", instance="x", evse_id=1)
    count = model.variable("Rig", "Count", instance="x", evse_id=1)
    level.on_change(lambda change: count.set(int(level.get())))
    count.on_change(lambda change: level.set(float(min(count.get(), 5))))
    level.set(9.5)
    assert (level.get(), count.get()) == (5.0, 5)


def test_secrets_show_in_no_repr() -> None:
    it = handle("Code")
    heard: list[VariableChange] = []
    it.on_change(heard.append)
    it.set("5678")
    assert heard[0].new == "5678"
    assert "1234" not in repr(heard[0])
    assert "5678" not in repr(heard[0])


# --- the disk ---------------------------------------------------------------------------------


async def test_only_what_is_persistent_goes_to_the_disk() -> None:
    storage = FaultyStorage()
    model = device_model(RIG, storage=storage)
    for name, value in (("Level", 1.0), ("Count", 2), ("Text", "kept"), ("On", True)):
        it = model.variable("Rig", name, instance="x", evse_id=1)
        for _ in range(3):
            it.set(value)
    model.finish()
    await model.run()
    assert storage.texts() == {"Text": "kept", "On": "true"}
    assert storage.attempts == 1


async def test_a_default_that_is_set_again_becomes_a_run_time_value() -> None:
    """So that it survives a changed component file."""
    storage = FaultyStorage()
    it = handle("Text", storage=storage)
    heard: list[Any] = []
    it.on_change(heard.append)
    await it.store("a")
    assert storage.texts() == {"Text": "a"}
    assert not heard


async def test_store_is_durable_when_it_returns() -> None:
    storage = FaultyStorage()
    it = handle("Speed", storage=storage)
    await it.store(7)
    await it.store(8, attribute="Target")
    await it.store(8, attribute="Target")
    assert [row[6:8] for rows in storage.stored for row in rows] == [
        ("Actual", "7"),
        ("Target", "8"),
    ]


async def test_store_on_a_failing_disk() -> None:
    storage = FaultyStorage()
    model = device_model(RIG, storage=storage)
    it = model.variable("Rig", "Text", instance="x", evse_id=1)
    storage.broken = True
    with pytest.raises(StorageError):
        await it.store("new")
    assert it.get() == "new"
    storage.broken = False
    model.finish()
    await model.run()
    assert storage.texts() == {"Text": "new"}


async def test_store_of_what_is_not_persistent_is_refused() -> None:
    it = handle("Count")
    with pytest.raises(ConfigurationError, match="not persistent"):
        await it.store(5)
    assert it.get() == 1


async def test_telemetry_at_1_khz_makes_no_task_and_touches_no_disk() -> None:
    storage = FaultyStorage()
    it = handle("Level", storage=storage)
    tasks = asyncio.all_tasks()
    for number in range(10_000):
        it.set(number / 10)
        if number % 1_000 == 0:
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == tasks
    assert it.get() == 999.9
    assert storage.attempts == 0
