"""Start after start: what the component files have changed, and what was set at run time."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from device_model.keeping import FaultyStorage, device_model
from device_model.models import attribute, component, set_request, variable
from ocpp_fast.device_model import DeviceModel, VariableChange
from ocpp_fast.errors import StorageError
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage


def level(value: object = "1", **more: Any) -> dict[str, Any]:
    return variable("Level", "integer", attribute(value=value), **more)


def pump(*variables: Mapping[str, Any], **place: Any) -> dict[str, Any]:
    return component("Pump", *(variables or (level(),)), **place)


RIG = component("Rig", variable("Note", "string", attribute(value="")))


async def started(storage: MemoryStorage, *components: Mapping[str, Any]) -> DeviceModel:
    model = device_model(*components, storage=storage)
    await model.open()
    return model


async def put(model: DeviceModel, where: Any, name: str, value: str) -> None:
    response: Any = await model.set_variables(
        set_request(OcppVersion.V21, (where, name, None, value))
    )
    assert response.set_variable_result[0].attribute_status == "Accepted"


async def names(storage: MemoryStorage) -> list[str]:
    return [row.component for row in await storage.components_load() if row.evse_id == 0]


async def test_the_first_start_fills_and_the_next_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    storage = MemoryStorage()
    await started(storage, RIG, pump())
    filled = await storage.components_load()
    assert await names(storage) == ["Pump", "Rig"]
    assert not await storage.values_load()
    await started(storage, RIG, pump())
    assert await storage.components_load() == filled
    assert not caplog.records


async def test_defaults_follow_the_files_and_run_time_values_do_not() -> None:
    storage = MemoryStorage()
    model = await started(storage, pump(level(1), variable("Flow", "decimal", attribute(value=5))))
    await put(model, "Pump", "Level", "3")
    model = await started(
        storage, pump(level(2), variable("Flow", "decimal", attribute(value=6), unit="m"))
    )
    assert model.variable("Pump", "Level").get() == 3
    assert model.variable("Pump", "Level").source() == "csms"
    flow = model.variable("Pump", "Flow")
    assert (flow.get(), flow.info.unit, flow.source()) == (6.0, "m", "default")


async def test_values_of_every_writer_survive() -> None:
    storage = FaultyStorage()
    model = await started(storage, RIG, pump())
    model.variable("Rig", "Note").set("by hand", source="technician")
    model.variable("Pump", "Level").set(9, source="internal")
    await model.close()
    model = await started(storage, RIG, pump(level(4)))
    note, own = model.variable("Rig", "Note"), model.variable("Pump", "Level")
    assert (note.get(), note.source()) == ("by hand", "technician")
    assert (own.get(), own.source()) == (9, "internal")


async def test_what_is_gone_from_the_files_goes() -> None:
    storage = MemoryStorage()
    model = await started(storage, RIG, pump())
    await put(model, "Rig", "Note", "hello")
    model = await started(storage, RIG)
    assert await names(storage) == ["Rig"]
    assert model.cache.find("Pump", None, None, None, "Level", None) == -1
    assert model.variable("Rig", "Note").get() == "hello"


async def test_what_is_gone_but_holds_run_time_values_stays(
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage = MemoryStorage()
    model = await started(storage, RIG, pump())
    await put(model, "Pump", "Level", "7")
    for _ in range(2):  # start after start
        caplog.clear()
        model = await started(storage, RIG)
        assert model.variable("Pump", "Level").get() == 7
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "gone from the component files but stays" in record.message
        assert "Pump.Level" in record.message
        assert "7" not in record.message
    assert await names(storage) == ["Pump", "Rig"]
    model = await started(storage, RIG, pump(level(2)))
    assert model.variable("Pump", "Level").get() == 7


async def test_an_evse_that_is_gone_is_no_part_of_the_model_whatever_it_holds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage = MemoryStorage()
    model = await started(storage, pump(evse=1), pump(evse=2))
    await put(model, {"name": "Pump", "evse": {"id": 2}}, "Level", "7")
    model = await started(storage, pump(evse=1))
    assert model.connectors == {1: 1}
    assert model.cache.find("Pump", None, 2, None, "Level", None) == -1
    assert "Pump[2].Level" in caplog.text
    model = await started(storage, pump(evse=1), pump(evse=2))  # it was repaired
    assert model.variable("Pump", "Level", evse_id=2).get() == 7


async def test_a_value_whose_variable_is_gone_is_dropped_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage = MemoryStorage()
    secret = variable("Code", "string", attribute("Actual", "WriteOnly"))
    model = await started(storage, pump(level(), secret))
    await put(model, "Pump", "Code", "hush")
    await started(storage, pump())
    assert not await storage.values_load()
    assert "what csms has set is dropped: Pump.Code" in caplog.text
    assert "hush" not in caplog.text


async def test_a_value_of_an_attribute_that_is_gone_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage = FaultyStorage()
    two = variable("Level", "integer", attribute(value=1), attribute("Target"))
    model = await started(storage, pump(two))
    await model.variable("Pump", "Level").store(8, attribute="Target")
    await started(storage, pump())
    assert not await storage.values_load()
    assert "Pump.Level Target" in caplog.text


@pytest.mark.parametrize(
    "changed",
    [
        level(2, maxLimit=5),
        variable("Level", "boolean", attribute(value="true")),
        variable("Level", "OptionList", attribute(value="low"), valuesList="low,high"),
    ],
)
async def test_a_value_that_does_not_fit_any_more_waits_for_the_file_to_be_put_right(
    changed: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    storage = MemoryStorage()
    model = await started(storage, pump())
    await put(model, "Pump", "Level", "7")
    model = await started(storage, pump(changed))
    assert model.variable("Pump", "Level").source() == "default"
    assert "does not fit its definition any more and is not used: Pump.Level" in caplog.text
    assert len(await storage.values_load()) == 1
    model = await started(storage, pump())
    assert model.variable("Pump", "Level").get() == 7


async def test_a_new_value_takes_the_place_of_one_that_does_not_fit() -> None:
    storage = MemoryStorage()
    model = await started(storage, pump())
    await put(model, "Pump", "Level", "7")
    model = await started(storage, pump(level(2, maxLimit=5)))
    await put(model, "Pump", "Level", "4")
    model = await started(storage, pump())
    assert model.variable("Pump", "Level").get() == 4


async def test_what_is_written_before_the_start_is_newer_than_what_is_stored() -> None:
    storage = FaultyStorage()
    model = await started(storage, pump())
    await put(model, "Pump", "Level", "7")
    model = device_model(pump(), storage=storage)
    model.variable("Pump", "Level").set(8)
    await model.open()
    assert model.variable("Pump", "Level").get() == 8
    await model.close()
    assert storage.texts() == {"Level": "8"}


async def test_what_an_earlier_run_has_set_is_told_to_who_listens() -> None:
    storage = MemoryStorage()
    points = component(
        "OCPPCommCtrlr", variable("HeartbeatInterval", "integer", attribute(value=300))
    )
    model = await started(storage, RIG, points)
    await put(model, "Rig", "Note", "hello")
    await put(model, "OCPPCommCtrlr", "HeartbeatInterval", "20")
    model = device_model(RIG, points, storage=storage)
    fields: list[frozenset[str]] = []
    changes: list[VariableChange] = []
    model.subscribe(fields.append)
    model.variable("Rig", "Note").on_change(changes.append)
    await model.open()
    assert fields == [{"heartbeat_interval_s"}]
    assert [(each.old, each.new, each.source) for each in changes] == [("", "hello", "csms")]
    assert model.variables.heartbeat_interval_s == 20


async def test_own_components_count_like_those_of_the_files() -> None:
    storage = MemoryStorage()
    for value in ("1", "2"):
        model = device_model(RIG, storage=storage)
        model.define(pump(level(value)))
        await model.open()
    assert model.variable("Pump", "Level").text() == "2"
    assert await names(storage) == ["Pump", "Rig"]
    await started(storage, RIG)
    assert await names(storage) == ["Rig"]


async def test_a_start_that_has_failed_can_be_tried_again() -> None:
    class Failing(MemoryStorage):
        fails = True

        async def components_load(self) -> Any:
            if self.fails:
                raise StorageError("memory", "components_load", "it is broken")
            return await super().components_load()

    storage = Failing()
    model = device_model(RIG, pump(), storage=storage)
    with pytest.raises(StorageError):
        await model.open()
    storage.fails = False
    await model.open()
    await model.open()
    assert await names(storage) == ["Pump", "Rig"]


async def test_a_storage_that_cannot_be_written_does_not_stop_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Full(MemoryStorage):
        fails = True

        def components_store(self, rows: Any) -> Any:
            if self.fails:
                raise StorageError("memory", "components_store", "the disk is full")
            return super().components_store(rows)

    storage = Full()
    model = await started(storage, RIG, pump())
    assert model.variable("Pump", "Level").text() == "1"
    assert "the next start will store what the component files have changed" in caplog.text
    assert await names(storage) == []
    storage.fails = False
    await started(storage, RIG, pump())
    assert await names(storage) == ["Pump", "Rig"]


async def test_a_component_that_cannot_be_read_any_more_keeps_its_values_stored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage = MemoryStorage()
    model = await started(storage, RIG, pump())
    await put(model, "Pump", "Level", "7")
    (stored,) = [row for row in await storage.components_load() if row.component == "Pump"]
    await storage.components_store([stored._replace(definition="{")])
    model = await started(storage, RIG)
    assert model.cache.find("Pump", None, None, None, "Level", None) == -1
    assert "cannot be kept" in caplog.text
    assert len(await storage.values_load()) == 1
