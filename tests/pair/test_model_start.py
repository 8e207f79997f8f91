"""What a start makes of changed component files and of what was set before (issue 4, item 2), seen
from the CSMS; and SetVariables while the link or the storage has its troubles."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable
from typing import Any

import pytest

from device_model.models import attribute, component, set_request, variable
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.testing import VirtualClock
from pair.model_kit import RIG, SECRET, ModelSite, at_rig, named
from pair.station_kit import VERSIONS

versions = pytest.mark.parametrize("version", VERSIONS)


def changed(change: Callable[[dict[str, Any]], None]) -> list[Any]:
    """The rig with another content of its first component file; `change` gets its variables by
    name."""
    rig = copy.deepcopy(list(RIG))
    by_name = {each["variable_name"]: each for each in rig[0]["properties"].values()}
    change(by_name)
    rig[0]["properties"] = {f"p{n}": each for n, each in enumerate(by_name.values())}
    return rig


async def set_everything(site: ModelSite) -> None:
    """By the CSMS, by the integrator and by the station itself; `Mode` to what it is anyway."""
    assert await site.put("Rig", "Count", "5") == "Accepted"
    assert await site.put("Rig", "Mode", "one") == "Accepted"
    assert await site.put("Rig", "Level", "7", "Target") == "Accepted"
    assert await site.put("Rig", "Code", f"{SECRET}5") == "Accepted"
    site.own("Level").set(2.5)
    site.own("Set").set(("two", "three"), source="internal")
    await site.settle()


def test_run_time_values_survive_a_changed_file_and_defaults_do_not() -> None:
    storage = MemoryStorage()

    def change(rig: dict[str, Any]) -> None:
        for name, value in (("Count", "9"), ("Mode", "three"), ("Set", "one"), ("Level", "9")):
            rig[name]["attributes"][0]["value"] = value
        rig["Level"]["attributes"][1]["value"] = "9"
        rig["Code"]["attributes"][0]["value"] = f"{SECRET}9"
        rig["Note"]["attributes"][0]["value"] = "another note"
        rig["Fixed"]["attributes"][0]["value"] = "11"
        rig["New"] = variable("New", "string", attribute(value="new"))

    async def second(site: ModelSite) -> None:
        assert await site.get("Rig", "Count") == ("Accepted", "5"), "the CSMS"
        assert await site.get("Rig", "Mode") == ("Accepted", "one"), "the CSMS, as it was anyway"
        assert await site.get("Rig", "Level") == ("Accepted", "2.5"), "the integrator"
        assert await site.get("Rig", "Level", "Target") == ("Accepted", "7")
        assert await site.get("Rig", "Set") == ("Accepted", "two,three"), "the station"
        assert site.own("Code").get() == f"{SECRET}5"
        assert await site.get("Rig", "Note") == ("Accepted", "another note")
        assert await site.get("Rig", "Fixed") == ("Accepted", "11")
        assert await site.get("Rig", "New") == ("Accepted", "new")

    at_rig(set_everything, storage=storage)
    at_rig(second, storage=storage, own=changed(change))
    at_rig(second, storage=storage, own=changed(change))


def test_what_is_removed_from_the_files_is_removed_unless_it_was_set(
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage = MemoryStorage()
    caplog.set_level(logging.INFO)

    async def first(site: ModelSite) -> None:
        place = {"name": "Rig", "evse": {"id": 1}}
        assert await site.put(place, "Heat", "25") == "Accepted"

    async def second(site: ModelSite) -> None:
        _, reports = await site.report(wanted=[("Rig", None)])
        places = {key[:4] for key in named(reports)}
        assert ("rig", "", 2, 0) not in places, "gone"
        assert ("rig", "", 1, 0) in places, "it holds what the CSMS has set"
        assert await site.get({"name": "Rig", "evse": {"id": 1}}, "Heat") == ("Accepted", "25")

    async def third(site: ModelSite) -> None:
        assert await site.get({"name": "Rig", "evse": {"id": 1}}, "Heat") == ("Accepted", "25")
        assert await site.get({"name": "Rig", "evse": {"id": 2}}, "Heat") == ("Accepted", "20")

    at_rig(first, storage=storage)
    caplog.clear()
    at_rig(second, storage=storage, own=[RIG[0]])
    assert "Rig[1].Heat" in caplog.text, "it is reported"
    at_rig(third, storage=storage)


def test_a_value_that_does_not_fit_any_more_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    storage = MemoryStorage()

    def change(rig: dict[str, Any]) -> None:
        rig["Count"]["characteristics"]["maxLimit"] = 4
        rig["Mode"]["characteristics"]["valuesList"] = "two,three"
        rig["Mode"]["attributes"][0]["value"] = "two"
        rig["Level"]["characteristics"]["dataType"] = "boolean"
        del rig["Level"]["characteristics"]["minLimit"]
        del rig["Level"]["characteristics"]["maxLimit"]
        for each in rig["Level"]["attributes"]:
            each["value"] = "true"
        del rig["Set"]

    async def second(site: ModelSite) -> None:
        assert await site.get("Rig", "Count") == ("Accepted", "0")
        assert await site.get("Rig", "Mode") == ("Accepted", "two")
        assert await site.get("Rig", "Level") == ("Accepted", "true")
        assert await site.get("Rig", "Set") == ("UnknownVariable", None)

    at_rig(set_everything, storage=storage)
    caplog.clear()
    at_rig(second, storage=storage, own=changed(change))
    for name in ("Rig.Count", "Rig.Mode", "Rig.Level", "Rig.Set"):
        assert name in caplog.text
    assert SECRET not in caplog.text


def test_a_variable_that_can_no_longer_be_set_has_the_value_of_the_file() -> None:
    """An attribute that became ReadOnly: the CSMS could never take its value back."""
    storage = MemoryStorage()

    def change(rig: dict[str, Any]) -> None:
        rig["Count"]["attributes"][0] = attribute("Actual", "ReadOnly", "3", persistent=False)

    async def second(site: ModelSite) -> None:
        status, value = await site.get("Rig", "Count")
        assert status == "Accepted"
        assert value in {"3", "5"}  # Which of them is not said anywhere; it must not fail.
        assert await site.put("Rig", "Count", "6") == "Rejected"

    at_rig(set_everything, storage=storage)
    at_rig(second, storage=storage, own=changed(change))


# --- SetVariables in trouble --------------------------------------------------------------


class SlowStorage(MemoryStorage):
    """Takes five seconds for values, as a worn SD card does."""

    clock: VirtualClock | None = None

    def values_store(self, rows: Any) -> Any:
        return self._slowly(rows)

    async def _slowly(self, rows: Any) -> None:
        if self.clock is not None:
            await self.clock.sleep(5)
        await super().values_store(rows)


async def disk(site: ModelSite, storage: MemoryStorage) -> dict[str, str | None]:
    """What the storage has of the rig's top level."""
    return {
        row[4]: row[7]
        for row in await storage.values_load()
        if row[0] == "Rig" and row[:4] == ("Rig", "", 0, 0) and row[6] == "Actual"
    }


@versions
def test_a_link_that_breaks_meanwhile_leaves_memory_and_disk_agreed(version: OcppVersion) -> None:
    """B05.FR.10: either both have the new value or neither."""
    storage = SlowStorage()

    async def scenario(site: ModelSite) -> None:
        storage.clock = site.clock
        request = set_request(version, ("Rig", "Count", None, "5"), ("Rig", "Note", None, "x"))
        asked = asyncio.ensure_future(site.call(request))
        await site.settle(2)
        assert await disk(site, storage) == {}
        site.cut()
        await asyncio.gather(asked, return_exceptions=True)
        await site.settle(30)
        stored = await disk(site, storage)
        held = {name: str(site.own(name).get()) for name in ("Count", "Note")}
        assert held in ({"Count": "5", "Note": "x"}, {"Count": "0", "Note": "a note"})
        assert stored == (held if held["Count"] == "5" else {})

    at_rig(scenario, version, storage=storage)


@versions
def test_requests_one_behind_the_other_are_judged_in_turn(version: OcppVersion) -> None:
    """B05.FR.08: the second one is checked against what the first one has set."""
    storage = SlowStorage()

    async def scenario(site: ModelSite) -> None:
        storage.clock = site.clock
        first = set_request(version, ("Rig", "Speed", "MaxSet", "350"))
        second = set_request(version, ("Rig", "Speed", "Target", "400"))
        # Not by the CSMS, which has one CALL open at a time.
        ask = site.model.set_variables
        results = await asyncio.gather(ask(first), ask(second))
        statuses = [str(one.set_variable_result[0].attribute_status) for one in results]
        assert statuses == ["Accepted", "Rejected"]
        assert await site.get("Rig", "Speed", "Target") == ("Accepted", "300")

    at_rig(scenario, version, storage=storage)


@versions
def test_nobody_is_told_of_a_value_before_it_is_durable(version: OcppVersion) -> None:
    """Listeners, monitors, readers: a value that a power cut would undo is not there yet."""
    storage = SlowStorage()

    async def scenario(site: ModelSite) -> None:
        storage.clock = site.clock
        told: list[str] = []
        site.own("Count").on_change(lambda change: told.append(change.new))
        await site.watch("Count", "Delta", 0)
        asked = asyncio.ensure_future(site.call(set_request(version, ("Rig", "Count", None, "5"))))
        await site.settle(2)
        assert told == []
        assert site.noticed("Count") == []
        assert site.own("Count").get() == 0
        await asked
        await site.settle(1)
        assert told == ["5"]
        assert len(site.noticed("Count")) == 1

    at_rig(scenario, version, storage=storage)


def test_telemetry_of_what_is_not_persistent_never_touches_the_disk() -> None:
    """Issue 4, item 6: 1 kHz for a minute, and not one write of it."""
    storage = MemoryStorage()

    async def scenario(site: ModelSite) -> None:
        before = await storage.values_load()
        passing = site.own("Passing")
        for value in range(60_000):
            passing.set(value)
            if value % 1_000 == 0:
                await site.clock.sleep(1)
        assert await storage.values_load() == before
        assert passing.get() == 59_999

    at_rig(scenario, storage=storage)


def test_a_component_of_the_integrator_is_like_any_other() -> None:
    own = component("Vendor", variable("Thing", "integer", attribute(value="1")), instance="One")

    async def scenario(site: ModelSite) -> None:
        place = {"name": "vendor", "instance": "ONE"}
        assert await site.get(place, "thing") == ("Accepted", "1")
        assert await site.put(place, "Thing", "2") == "Accepted"
        _, reports = await site.report(wanted=[("Vendor", None)])
        assert named(reports) == {("vendor", "one", 0, 0, "thing", "")}

    at_rig(scenario, own=[own])
