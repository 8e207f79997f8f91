"""Reports of monitors: N02."""

from __future__ import annotations

from typing import Any

import pytest

from device_model.models import attribute, component, variable
from ocpp_fast.messages import OcppVersion
from pair.model_kit import ModelSite, at_rig, in_sequence, named
from pair.monitor_kit import TEMP_A, TEMP_B, V21, kinds, listed, of_the_rig, one_of_each
from pair.station_kit import VERSIONS

versions = pytest.mark.parametrize("version", VERSIONS)


@versions
def test_n02_fr_01_03_04_09_11_22_all_monitors(version: OcppVersion) -> None:
    """N02.FR.01, N02.FR.03, N02.FR.04, N02.FR.09, N02.FR.11, N02.FR.22; TC_N_47."""

    async def scenario(site: ModelSite) -> None:
        (level,) = await site.set_monitors(
            {"which": "Level", "type": "UpperThreshold", "value": 7.5, "transaction": True}
        )
        status, reports = await site.monitors(31)
        assert status == "Accepted"
        assert in_sequence(reports, 31)
        mine = {n: one for n, one in listed(reports).items() if one["of"][0] == "Rig"}
        found = {(one["of"][1], one["type"], one["severity"]) for one in mine.values()}
        assert found == {
            ("Level", "UpperThreshold", 5),
            ("Fixed", "UpperThreshold", 3),
            ("Alarm", "Delta", 6),
        }
        assert (mine[level.id]["value"], mine[level.id]["transaction"]) == (7.5, True)
        if version is V21:
            owners = {one["of"][1]: one["eventNotificationType"] for one in mine.values()}
            assert owners == {
                "Level": "CustomMonitor",
                "Fixed": "HardWiredMonitor",
                "Alarm": "PreconfiguredMonitor",
            }

    at_rig(scenario, version)


@versions
@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        (["ThresholdMonitoring"], {"UpperThreshold", "LowerThreshold"}),
        (["DeltaMonitoring"], {"Delta", "TargetDelta", "TargetDeltaRelative"}),
        (["PeriodicMonitoring"], {"Periodic", "PeriodicClockAligned"}),
        (
            ["ThresholdMonitoring", "DeltaMonitoring"],
            {"UpperThreshold", "LowerThreshold", "Delta", "TargetDelta", "TargetDeltaRelative"},
        ),
        (
            ["DeltaMonitoring", "PeriodicMonitoring"],
            {"Delta", "TargetDelta", "TargetDeltaRelative", "Periodic", "PeriodicClockAligned"},
        ),
    ],
)
def test_n02_fr_06_12_13_14_criteria(
    version: OcppVersion, criteria: list[str], expected: set[str]
) -> None:
    """N02.FR.06, N02.FR.12, N02.FR.13 (with the errata of 2.1: TargetDelta too), N02.FR.14;
    TC_N_01."""

    async def scenario(site: ModelSite) -> None:
        await one_of_each(site)
        status, reports = await site.monitors(8, criteria=criteria)
        assert status == "Accepted"
        assert in_sequence(reports, 8)
        known = expected if version is V21 else {k for k in expected if "Target" not in k}
        assert kinds(listed(reports)) == known

    at_rig(scenario, version)


@versions
def test_n02_fr_02_criteria_that_do_not_exist(version: OcppVersion) -> None:
    """N02.FR.02, TC_N_04_CS: the station knows all three, any other breaks the schema."""

    async def scenario(site: ModelSite) -> None:
        answer = await site.raw(
            "GetMonitoringReport",
            {"requestId": 1, "monitoringCriteria": ["DeltaMonitoring", "OddMonitoring"]},
        )
        assert answer[2] == "PropertyConstraintViolation"
        await site.settle(10)
        assert site.sent("NotifyMonitoringReport") == []

    at_rig(scenario, version)


@versions
def test_n02_fr_05_10_criteria_and_variables_together(version: OcppVersion) -> None:
    """N02.FR.05, N02.FR.10; TC_N_03: both must hold, and nothing found is an EmptyResultSet."""

    async def scenario(site: ModelSite) -> None:
        await one_of_each(site)
        await site.watch(TEMP_A, "Delta", 1)
        wanted = [("Rig", "Level"), ("Rig", "Alarm")]
        found = await of_the_rig(site, criteria=["ThresholdMonitoring"], wanted=wanted)
        assert {one["of"][1] for one in found.values()} == {"Level"}
        assert kinds(found) == {"UpperThreshold", "LowerThreshold"}
        for criteria, places in (
            (["ThresholdMonitoring"], [("Rig", "Alarm")]),
            (["PeriodicMonitoring"], [("Rig", TEMP_A)]),
            (None, [("Rig", "Count")]),
            (None, [("Nothing", None)]),
        ):
            status, reports = await site.monitors(criteria=criteria, wanted=places)
            assert (status, reports) == ("EmptyResultSet", [])

    at_rig(scenario, version)


EVERYWHERE: list[dict[str, Any]] = [
    {"which": "Level"},
    {"where": {"name": "Rig", "instance": "Two"}, "which": "Level"},
    {"which": TEMP_A},
    {"which": TEMP_B},
    {"where": {"name": "Rig", "evse": {"id": 1}}, "which": "Heat"},
    {"where": {"name": "Rig", "evse": {"id": 2}}, "which": "Heat"},
    {"where": {"name": "Rig", "evse": {"id": 1, "connectorId": 1}}, "which": "Lock"},
]
TOP, TWO, EVSE_1, EVSE_2 = (
    ("rig", "", 0, 0),
    ("rig", "two", 0, 0),
    ("rig", "", 1, 0),
    ("rig", "", 2, 0),
)
CONNECTOR = ("rig", "", 1, 1)


@versions
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        # N02.FR.16: no variable means all of them.
        (
            ({"name": "Rig", "evse": {"id": 1, "connectorId": 1}}, None),
            {(*CONNECTOR, "lock", "")},
        ),
        # N02.FR.17: no instance of the variable means every one.
        (("Rig", "Temp"), {(*TOP, "temp", "a"), (*TOP, "temp", "b")}),
        (("Rig", TEMP_B), {(*TOP, "temp", "b")}),
        # N02.FR.18: no connector means the EVSE and every connector of it.
        (
            ({"name": "Rig", "evse": {"id": 1}}, None),
            {(*EVSE_1, "heat", ""), (*CONNECTOR, "lock", "")},
        ),
        # N02.FR.19: no EVSE means every place.
        (("Rig", "Heat"), {(*EVSE_1, "heat", ""), (*EVSE_2, "heat", "")}),
        # N02.FR.20: an instance of the component is meant.
        (({"name": "Rig", "instance": "Two"}, None), {(*TWO, "level", "")}),
        # N02.FR.21: none means the one without and every instance.
        (("Rig", "Level"), {(*TOP, "level", ""), (*TWO, "level", "")}),
    ],
)
def test_n02_fr_08_16_17_18_19_20_21_component_variables(
    version: OcppVersion, wanted: Any, expected: set[tuple[Any, ...]]
) -> None:
    """N02.FR.08, N02.FR.16, N02.FR.17, N02.FR.18, N02.FR.19, N02.FR.20, N02.FR.21; TC_N_02."""

    async def scenario(site: ModelSite) -> None:
        done = await site.set_monitors(
            *({**one, "type": "Delta", "value": 1} for one in EVERYWHERE)
        )
        assert {str(one.status) for one in done} == {"Accepted"}
        status, reports = await site.monitors(9, wanted=[wanted])
        assert status == "Accepted"
        assert in_sequence(reports, 9)
        assert named(reports, "monitor") == expected
        _, twice = await site.monitors(9, wanted=[wanted, wanted])
        assert set(listed(twice)) == set(listed(reports))

    at_rig(scenario, version)


@versions
def test_n02_fr_09_a_long_report_has_parts(version: OcppVersion) -> None:
    """N02.FR.09, N02.FR.04: and every part has its monitors (libocpp lost them after the tenth)."""
    own = [
        component("Row", *(variable(f"V{n}", "integer", attribute(value="0")) for n in range(40)))
    ]

    async def scenario(site: ModelSite) -> None:
        site.own("MaxMessageSize", where="InternalCtrlr").set(2_000)
        for n in range(40):
            wanted = {"where": "Row", "which": f"V{n}", "type": "Delta", "value": n}
            (result,) = await site.set_monitors(wanted)
            assert result.status == "Accepted"
        _, reports = await site.monitors(3)
        assert len(reports) > 2
        assert in_sequence(reports, 3)
        values = sorted(o["value"] for o in listed(reports).values() if o["of"][0] == "Row")
        assert values == list(range(40))

    at_rig(scenario, version, own=own)


@versions
def test_n02_fr_07_more_items_than_allowed(version: OcppVersion) -> None:
    """N02.FR.07: ItemsPerMessage[GetReport] counts for this request too."""

    async def scenario(site: ModelSite) -> None:
        site.own("ItemsPerMessage", where="DeviceDataCtrlr", instance="GetReport").set(2)
        request = site.m.GetMonitoringReportRequest(
            request_id=1,
            component_variable=[
                site.m.ComponentVariableType(component=site.m.ComponentType(name="Rig"))
            ]
            * 3,
        )
        assert await site.refused(request) == "OccurrenceConstraintViolation"

    at_rig(scenario, version)
