"""Setting and clearing monitors, base and level: N03 to N06. Reports of them are in
test_monitoring_reports.py, what they do in test_monitoring_events.py."""

from __future__ import annotations

from typing import Any

import pytest

from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from pair.model_kit import RIG, ModelSite, at_rig
from pair.monitor_kit import TEMP_A, V21, names, of_the_rig, one_of_each, three_owners
from pair.station_kit import VERSIONS

versions = pytest.mark.parametrize("version", VERSIONS)

# --- N03 ----------------------------------------------------------------------------------


@versions
def test_n03_fr_01_03_all_keeps_what_was_set(version: OcppVersion) -> None:
    """N03.FR.01, N03.FR.03; TC_N_05: preconfigured ones come back, changed ones stay changed."""

    async def scenario(site: ModelSite) -> None:
        _, alarm, _ = await three_owners(site)
        changed = await site.watch("Alarm", "Delta", 1, id=alarm, severity=2)
        assert (str(changed.status), changed.id) == ("Accepted", alarm)
        assert await site.base("All") == "Accepted"
        assert await names(site) == {"Fixed", "Alarm", "Level"}
        assert (await of_the_rig(site))[alarm]["severity"] == 2
        assert await site.get("MonitoringCtrlr", "ActiveMonitoringBase") == ("Accepted", "All")

    at_rig(scenario, version)


@versions
def test_n03_fr_04_n04_fr_15_factory_default_restores_the_preconfigured(
    version: OcppVersion,
) -> None:
    """N03.FR.04, N04.FR.15; TC_N_41: a changed one is a custom monitor until then."""

    async def scenario(site: ModelSite) -> None:
        _, alarm, _ = await three_owners(site)
        await site.watch("Alarm", "Delta", 1, id=alarm, severity=2)
        if version is V21:
            owner = (await of_the_rig(site))[alarm]["eventNotificationType"]
            assert owner == "CustomMonitor"
        assert await site.base("FactoryDefault") == "Accepted"
        found = await of_the_rig(site)
        assert {one["of"][1] for one in found.values()} == {"Fixed", "Alarm"}
        assert found[alarm]["severity"] == 6
        if version is V21:
            assert found[alarm]["eventNotificationType"] == "PreconfiguredMonitor"
        base = await site.get("MonitoringCtrlr", "ActiveMonitoringBase")
        assert base == ("Accepted", "FactoryDefault")

    at_rig(scenario, version)


@versions
def test_n03_fr_05_hard_wired_only(version: OcppVersion) -> None:
    """N03.FR.05; TC_N_05, TC_N_06: they are gone from reports, and they are silent."""

    async def scenario(site: ModelSite) -> None:
        await three_owners(site)
        assert await site.base("HardWiredOnly") == "Accepted"
        assert await names(site) == {"Fixed"}
        site.own("Alarm").set(True)
        site.own("Level").set(50.0)
        site.own("Fixed").set(51)
        await site.settle()
        assert [event["variable"]["name"] for event in site.noticed()] == ["Fixed"]
        assert await site.base("All") == "Accepted"
        assert await names(site) == {"Fixed", "Alarm"}, "the custom one is gone for good"
        site.own("Alarm").set(False)
        await site.settle()
        assert len(site.noticed("Alarm")) == 1

    at_rig(scenario, version)


@versions
def test_n03_fr_02_a_base_that_does_not_exist(version: OcppVersion) -> None:
    """N03.FR.02, TC_N_07_CS: the station knows all three, any other breaks the schema."""

    async def scenario(site: ModelSite) -> None:
        answer = await site.raw("SetMonitoringBase", {"monitoringBase": "Nothing"})
        assert answer[2] == "PropertyConstraintViolation"
        assert await names(site) == {"Fixed", "Alarm"}

    at_rig(scenario, version)


@versions
@pytest.mark.parametrize("base", ["All", "FactoryDefault", "HardWiredOnly"])
def test_n03_the_base_survives_a_restart(version: OcppVersion, base: str) -> None:
    storage = MemoryStorage()
    kept: list[set[str]] = []

    async def first(site: ModelSite) -> None:
        await three_owners(site)
        await site.base(base)
        kept.append(await names(site))

    async def second(site: ModelSite) -> None:
        assert await names(site) == kept[0]
        assert await site.get("MonitoringCtrlr", "ActiveMonitoringBase") == ("Accepted", base)

    at_rig(first, version, storage=storage)
    at_rig(second, version, storage=storage)


# --- N04 ----------------------------------------------------------------------------------


@versions
def test_n04_fr_01_02_08_11_every_element_has_its_result(version: OcppVersion) -> None:
    """N04.FR.01, N04.FR.02, N04.FR.08, N04.FR.11; TC_N_08, TC_N_09, TC_N_10."""

    async def scenario(site: ModelSite) -> None:
        data = [
            {"where": "RIG", "which": "LEVEL", "type": "UpperThreshold", "value": 5},
            {"which": "Level", "type": "LowerThreshold", "value": 2},
            {"which": "Level", "type": "UpperThreshold", "value": 6, "severity": 4},
            {"where": "Nothing", "which": "Level", "type": "Delta", "value": 1, "severity": 8},
            {"which": "Mode", "type": "Delta", "value": 1},
            {
                "where": {"name": "Rig", "evse": {"id": 1, "connectorId": 1}},
                "which": "Lock",
                "type": "Periodic",
                "value": 60,
            },
        ]
        results = await site.set_monitors(*data)
        assert len(results) == len(data)
        for result, given in zip(results, data, strict=True):
            where: Any = given.get("where", "Rig")
            assert result.component.name == (where if isinstance(where, str) else where["name"])
            assert result.variable.name == given["which"]
            assert (str(result.type), result.severity) == (given["type"], given.get("severity", 5))
        assert [str(one.status) for one in results] == [
            *["Accepted"] * 3,
            "UnknownComponent",
            *["Accepted"] * 2,
        ]
        ids = [one.id for one in results if one.status == "Accepted"]
        assert len(set(ids)) == 5
        assert all(number >= 0 for number in ids)
        assert results[3].id is None
        assert set(ids) <= set(await of_the_rig(site))

    at_rig(scenario, version)


@versions
def test_n04_fr_03_04_05_06_14_what_cannot_be_monitored(version: OcppVersion) -> None:
    """N04.FR.03, N04.FR.04, N04.FR.05, N04.FR.06, N04.FR.14; TC_N_11, TC_N_12, TC_N_13, TC_N_37,
    TC_N_38_CS."""

    async def scenario(site: ModelSite) -> None:
        table: list[tuple[dict[str, Any], str]] = [
            ({"where": "Nothing", "which": "Level"}, "UnknownComponent"),
            ({"where": {"name": "EVSE", "evse": {"id": 99}}, "which": "Power"}, "UnknownComponent"),
            ({"which": "Nothing"}, "UnknownVariable"),
            ({"which": "Temp"}, "UnknownVariable"),
            ({"which": "Mode", "type": "UpperThreshold"}, "UnsupportedMonitorType"),
            ({"which": "On", "type": "LowerThreshold"}, "UnsupportedMonitorType"),
            ({"which": "Since", "type": "Periodic", "value": 60}, "UnsupportedMonitorType"),
            ({"type": "UpperThreshold", "value": 1000.5}, "Rejected"),
            ({"type": "LowerThreshold", "value": -1000.5}, "Rejected"),
            ({"type": "UpperThreshold", "value": -1001}, "Rejected"),
            ({"value": -1}, "Rejected"),
            ({"value": -0.5, "which": "Mode"}, "Rejected"),
            ({"type": "UpperThreshold", "value": 1000}, "Accepted"),
            ({"type": "LowerThreshold", "value": -1000}, "Accepted"),
        ]
        for given, expected in table:
            data = {"which": "Level", "type": "Delta", "value": 1, **given}
            (result,) = await site.set_monitors(data)
            assert (given, str(result.status)) == (given, expected)
            assert (result.id is None) == (expected != "Accepted")
        (silent,) = await site.set_monitors({"which": "Note", "type": "Delta", "value": 1})
        assert str(silent.status) in {"UnsupportedMonitorType", "Rejected"}

    at_rig(scenario, version)


@versions
def test_n04_fr_06_one_bad_element_among_good_ones(version: OcppVersion) -> None:
    """TC_N_43: N04.FR.06, N04.FR.14 concern their own element only."""

    async def scenario(site: ModelSite) -> None:
        results = await site.set_monitors(
            {"which": "Level", "type": "UpperThreshold", "value": 50},
            {"which": "Level", "type": "Delta", "value": -1},
            {"which": "Level", "type": "LowerThreshold", "value": -50},
        )
        assert [str(one.status) for one in results] == ["Accepted", "Rejected", "Accepted"]

    at_rig(scenario, version)


@versions
@pytest.mark.parametrize("severity", [10, 200])
def test_a_severity_beyond_9_is_rejected(version: OcppVersion, severity: int) -> None:
    """SetMonitoringDataType.severity: 0 to 9."""

    async def scenario(site: ModelSite) -> None:
        result = await site.watch("Level", "Delta", 1, severity=severity)
        assert str(result.status) == "Rejected"
        assert await names(site) == {"Fixed", "Alarm"}

    at_rig(scenario, version)


@versions
def test_n04_fr_10_one_of_a_type_and_severity(version: OcppVersion) -> None:
    """N04.FR.10; TC_N_15: also within one request, and against those of the maker."""

    async def scenario(site: ModelSite) -> None:
        first = await site.watch("Level", "UpperThreshold", 5, severity=4)
        assert (
            str((await site.watch("Level", "UpperThreshold", 6, severity=4)).status) == "Duplicate"
        )
        other = await site.watch("Level", "UpperThreshold", 6, severity=5)
        assert str(other.status) == "Accepted"
        moved = await site.watch("Level", "UpperThreshold", 6, severity=4, id=other.id)
        assert str(moved.status) == "Duplicate", "the other has that severity already"
        same = await site.watch("Level", "UpperThreshold", 7, severity=4, id=first.id)
        assert str(same.status) == "Accepted", "it may replace itself"
        results = await site.set_monitors(
            *({"which": "Count", "type": "Delta", "value": 1} for _ in range(2))
        )
        assert [str(one.status) for one in results] == ["Accepted", "Duplicate"]
        assert str((await site.watch("Alarm", "Delta", 1, severity=6)).status) == "Duplicate"

    at_rig(scenario, version)


@versions
def test_n04_fr_12_13_16_18_replacing(version: OcppVersion) -> None:
    """N04.FR.12, N04.FR.13, N04.FR.16, N04.FR.18; TC_N_39, TC_N_40."""

    async def scenario(site: ModelSite) -> None:
        fixed, _, custom = await three_owners(site)
        done = await site.watch("Level", "LowerThreshold", 3, severity=1, id=custom)
        assert (str(done.status), done.id) == ("Accepted", custom)
        one = (await of_the_rig(site))[custom]
        assert (one["type"], one["value"], one["severity"]) == ("LowerThreshold", 3, 1)
        assert str((await site.watch("Level", "Delta", 1, id=987_654)).status) == "Rejected"
        assert str((await site.watch("Count", "Delta", 1, id=custom)).status) == "Rejected"
        assert str((await site.watch("Fixed", "Delta", 1, id=fixed)).status) == "Rejected"
        found = await of_the_rig(site)
        assert found[custom] == one
        assert found[fixed]["type"] == "UpperThreshold"
        assert set(found) == {fixed, custom, *found}

    at_rig(scenario, version)


@versions
def test_n04_fr_07_safety_monitors_are_not_overridden(version: OcppVersion) -> None:
    """N04.FR.07 is a MAY; here what must not be overridden is hard-wired (N04.FR.18), and a custom
    monitor beside it changes nothing of it."""

    async def scenario(site: ModelSite) -> None:
        fixed, _, _ = await three_owners(site)
        before = (await of_the_rig(site))[fixed]
        assert (
            str((await site.watch("Fixed", "UpperThreshold", 60, severity=3)).status) == "Duplicate"
        )
        assert (
            str((await site.watch("Fixed", "UpperThreshold", 60, severity=4)).status) == "Accepted"
        )
        assert (await of_the_rig(site))[fixed] == before

    at_rig(scenario, version)


@versions
def test_n04_fr_09_more_items_than_allowed(version: OcppVersion) -> None:
    """N04.FR.09: ItemsPerMessage and BytesPerMessage of SetVariableMonitoring."""

    async def scenario(site: ModelSite) -> None:
        items_limit = site.own(
            "ItemsPerMessage", where="MonitoringCtrlr", instance="SetVariableMonitoring"
        )
        items_limit.set(1)
        m = site.m
        data = m.SetMonitoringDataType(
            value=1,
            type="Delta",
            severity=5,
            component=m.ComponentType(name="Rig"),
            variable=m.VariableType(name="Level"),
        )
        two = m.SetVariableMonitoringRequest(
            set_monitoring_data=[data, data.replace(type="UpperThreshold")]
        )
        assert await site.refused(two) == "OccurrenceConstraintViolation"
        items_limit.set(10)
        site.own("BytesPerMessage", where="MonitoringCtrlr", instance="SetVariableMonitoring").set(
            150
        )
        assert await site.refused(two) == "FormatViolation"
        assert await names(site) == {"Fixed", "Alarm"}

    at_rig(scenario, version)


@versions
def test_n07_fr_13_monitors_survive_a_restart(version: OcppVersion) -> None:
    """N07.FR.13 and the remark of N04; TC_N_53. One whose variable is gone is removed."""
    storage = MemoryStorage()
    kept: list[dict[int, dict[str, Any]]] = []

    async def first(site: ModelSite) -> None:
        await one_of_each(site)
        _, alarm, _ = await three_owners(site)
        await site.watch("Alarm", "Delta", 1, id=alarm, severity=2)
        await site.watch(TEMP_A, "Delta", 2.5, severity=9)
        kept.append(await of_the_rig(site))

    async def second(site: ModelSite) -> None:
        assert await of_the_rig(site) == kept[0]
        new = await site.watch("Count", "Delta", 1)
        assert new.id not in kept[0]
        await site.clear(new.id)

    async def third(site: ModelSite) -> None:
        left = {n: one for n, one in kept[0].items() if one["of"][1] != "Level"}
        assert await of_the_rig(site) == left

    at_rig(first, version, storage=storage)
    at_rig(second, version, storage=storage)
    top = {**RIG[0], "properties": {k: v for k, v in RIG[0]["properties"].items() if k != "p0"}}
    at_rig(third, version, storage=storage, own=[top, *RIG[1:]])


# --- N05 ----------------------------------------------------------------------------------


@versions
def test_n05_fr_01_02_03_level(version: OcppVersion) -> None:
    """N05.FR.01, N05.FR.02, N05.FR.03, N07.FR.15; TC_N_16, TC_N_17."""

    async def scenario(site: ModelSite) -> None:
        for severity in (4, 8):
            await site.watch("Mode", "Delta", 1, severity=severity)
        assert await site.level(7) == "Accepted"
        assert await site.get("MonitoringCtrlr", "ActiveMonitoringLevel") == ("Accepted", "7")
        site.own("Mode").set("two")
        await site.settle()
        assert len(site.noticed("Mode")) == 1
        if version is V21:
            assert site.noticed("Mode")[0]["severity"] == 4
        assert await site.level(10) == "Rejected"
        assert await site.get("MonitoringCtrlr", "ActiveMonitoringLevel") == ("Accepted", "7")
        assert await site.level(8) == "Accepted"
        start = len(site.noticed("Mode"))
        site.own("Mode").set("three")
        await site.settle()
        assert len(site.noticed("Mode")) >= start + 1
        assert len({event["variableMonitoringId"] for event in site.noticed("Mode")}) == 2

    at_rig(scenario, version)


@versions
def test_n05_fr_03_level_0_and_a_restart(version: OcppVersion) -> None:
    """N05.FR.03: equal or lower numbers, the most urgent ones; the level is kept."""
    storage = MemoryStorage()

    async def first(site: ModelSite) -> None:
        await site.watch("Mode", "Delta", 1, severity=0)
        await site.watch("Mode", "Delta", 1, severity=1)
        assert await site.level(0) == "Accepted"
        await change(site)

    async def change(site: ModelSite) -> None:
        other = "two" if site.own("Mode").get() == "one" else "one"
        site.own("Mode").set(other)
        await site.settle()
        assert len(site.noticed("Mode")) == 1

    at_rig(first, version, storage=storage)
    at_rig(change, version, storage=storage)


# --- N06 ----------------------------------------------------------------------------------


@versions
def test_n06_fr_01_02_03_05_clearing(version: OcppVersion) -> None:
    """N06.FR.01, N06.FR.02, N06.FR.03, N06.FR.05; TC_N_18, TC_N_19, TC_N_44."""

    async def scenario(site: ModelSite) -> None:
        fixed, _, custom = await three_owners(site)
        assert await site.clear(custom, 987_654, fixed) == [
            (custom, "Accepted"),
            (987_654, "NotFound"),
            (fixed, "Rejected"),
        ]
        assert await site.clear(custom) == [(custom, "NotFound")]
        assert await names(site) == {"Fixed", "Alarm"}
        site.own("Level").set(50.0)
        site.own("Fixed").set(51)
        await site.settle()
        assert [event["variable"]["name"] for event in site.noticed()] == ["Fixed"]

    at_rig(scenario, version)


@versions
def test_n06_fr_01_what_was_cleared_stays_cleared_after_a_restart(version: OcppVersion) -> None:
    storage = MemoryStorage()

    async def first(site: ModelSite) -> None:
        _, _, custom = await three_owners(site)
        assert await site.clear(custom) == [(custom, "Accepted")]

    async def second(site: ModelSite) -> None:
        assert await names(site) == {"Fixed", "Alarm"}

    at_rig(first, version, storage=storage)
    at_rig(second, version, storage=storage)


@versions
def test_n06_fr_06_07_too_much_in_one_request(version: OcppVersion) -> None:
    """N06.FR.06, N06.FR.07: this station does what it may; nothing is cleared then."""

    async def scenario(site: ModelSite) -> None:
        _, _, custom = await three_owners(site)
        limits = {
            name: site.own(name, where="MonitoringCtrlr", instance="ClearVariableMonitoring")
            for name in ("ItemsPerMessage", "BytesPerMessage")
        }
        limits["ItemsPerMessage"].set(2)
        many = site.m.ClearVariableMonitoringRequest(id=[custom, 1_000, 1_001])
        assert await site.refused(many) == "OccurrenceConstraintViolation"
        limits["ItemsPerMessage"].set(1_000)
        limits["BytesPerMessage"].set(100)
        long = site.m.ClearVariableMonitoringRequest(id=[custom, *range(10_000, 10_050)])
        assert await site.refused(long) == "FormatViolation"
        assert await names(site) == {"Fixed", "Alarm", "Level"}
        assert await site.clear(custom) == [(custom, "Accepted")]

    at_rig(scenario, version)
