"""Base reports and custom reports over the wire: B07, B08."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest

from device_model.models import attribute, component, report_request, variable
from device_model.oracle import place_of
from ocpp_fast.connection import Way
from ocpp_fast.messages import OcppVersion
from pair.model_kit import RIG, SECRET, ModelSite, at_rig, in_sequence, items, named
from pair.station_kit import VERSIONS

versions = pytest.mark.parametrize("version", VERSIONS)

OF_THE_RIG = {
    (*place_of(one), each["variable_name"].lower(), each.get("instance", "").lower())
    for one in RIG
    for each in one["properties"].values()
}


def rig(reports: Sequence[Mapping[str, Any]]) -> set[tuple[Any, ...]]:
    return {key for key in named(reports) if key[0] == "rig"}


def found(reports: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """The one element of a variable of the rig's top level."""
    (item,) = (
        item
        for item in items(reports)
        if item["component"] == {"name": "Rig"} and item["variable"] == {"name": name}
    )
    return item


def attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    """Values by attribute type; those without a value are not in it."""
    return {
        one.get("type", "Actual"): one["value"]
        for one in item["variableAttribute"]
        if "value" in one
    }


# --- B07 ----------------------------------------------------------------------------------


@versions
def test_b07_fr_01_03_04_08_10_11_12_full_inventory(version: OcppVersion) -> None:
    """B07.FR.01, B07.FR.03, B07.FR.04, B07.FR.08, B07.FR.10, B07.FR.11, B07.FR.12; TC_B_13."""

    async def scenario(site: ModelSite) -> None:
        status, reports = await site.base_report("FullInventory", 4711)
        assert status == "Accepted"
        assert in_sequence(reports, 4711)
        assert len(items(reports)) == len(named(reports)), "nothing twice"
        assert rig(reports) == OF_THE_RIG
        assert len(items(reports)) == site.model.cache.variable_count
        for item in items(reports):
            characteristics = item["variableCharacteristics"]
            if characteristics["dataType"].endswith("List"):
                assert "valuesList" in characteristics, item
        level = found(reports, "Level")["variableCharacteristics"]
        assert level == {
            "dataType": "decimal",
            "unit": "kW",
            "minLimit": -1000,
            "maxLimit": 1000,
            "supportsMonitoring": True,
        }
        assert attributes(found(reports, "Speed")) == {
            "Actual": "300",
            "Target": "300",
            "MinSet": "200",
            "MaxSet": "500",
        }
        assert attributes(found(reports, "Unset")) == {"Actual": "", "Target": ""}, "B07.FR.11"
        (code,) = found(reports, "Code")["variableAttribute"]
        assert code["mutability"] == "WriteOnly"
        assert "value" not in code
        assert SECRET not in str(site.frames)

    at_rig(scenario, version)


@versions
def test_b07_fr_07_configuration_inventory(version: OcppVersion) -> None:
    """B07.FR.07, B07.FR.12: what the operator can set, and nothing else; TC_B_12."""

    async def scenario(site: ModelSite) -> None:
        status, reports = await site.base_report("ConfigurationInventory", 5)
        assert status == "Accepted"
        assert in_sequence(reports, 5)
        assert rig(reports) == {key for key in OF_THE_RIG if key[4] not in {"fixed", "alarm"}}
        for item in items(reports):
            kinds = {one.get("mutability", "ReadWrite") for one in item["variableAttribute"]}
            assert kinds & {"ReadWrite", "WriteOnly"}, item
            assert item["variableCharacteristics"]["dataType"]
        assert SECRET not in str(site.frames)

    at_rig(scenario, version)


@versions
def test_b07_fr_09_summary_inventory(version: OcppVersion) -> None:
    """B07.FR.09: availability, and what is in an abnormal state; TC_B_14."""

    async def scenario(site: ModelSite) -> None:
        status, quiet = await site.base_report("SummaryInventory", 6)
        assert status == "Accepted"
        assert in_sequence(quiet, 6)
        needed = {
            ("chargingstation", "", 0, 0, "availabilitystate", ""),
            ("evse", "", 1, 0, "availabilitystate", ""),
            ("evse", "", 2, 0, "availabilitystate", ""),
        }
        assert needed <= named(quiet)
        assert not rig(quiet), "nothing of it is about availability"
        assert {key[4] for key in named(quiet)} == {"availabilitystate"}, "nothing is wrong"
        own = site.own("Problem", where="ChargingStation")
        own.set(True)
        _, loud = await site.base_report("SummaryInventory", 7)
        assert named(loud) >= {*needed, ("chargingstation", "", 0, 0, "problem", "")}
        own.set(False)
        _, again = await site.base_report("SummaryInventory", 8)
        assert named(again) == named(quiet)

    at_rig(scenario, version)


@versions
def test_b07_fr_09_the_summary_tells_states_as_they_are(version: OcppVersion) -> None:
    async def scenario(site: ModelSite) -> None:
        await site.station.plug_in(1)
        await site.settle()
        _, reports = await site.base_report("SummaryInventory")
        states = {
            place_of(item["component"]): attributes(item)["Actual"]
            for item in items(reports)
            if item["variable"]["name"] == "AvailabilityState"
        }
        assert states["evse", "", 1, 0] == "Occupied"
        assert states["evse", "", 2, 0] == "Available"
        # The state of a connector may be left out when it is that of its EVSE.
        assert states.get(("connector", "", 1, 1), "Occupied") == "Occupied"
        assert states.get(("connector", "", 2, 1), "Available") == "Available"

    at_rig(scenario, version)


@versions
def test_b07_fr_02_05_a_base_that_does_not_exist(version: OcppVersion) -> None:
    """B07.FR.02, B07.FR.05: the station knows all three, any other breaks the schema; TC_B_15."""

    async def scenario(site: ModelSite) -> None:
        answer = await site.raw("GetBaseReport", {"requestId": 1, "reportBase": "Everything"})
        assert answer[0] == 4
        assert answer[2] == "PropertyConstraintViolation"
        await site.settle(10)
        assert site.sent("NotifyReport") == []

    at_rig(scenario, version)


@versions
def test_b07_fr_03_the_answer_comes_first_and_parts_one_after_the_other(
    version: OcppVersion,
) -> None:
    """B07.FR.03, FR.05: no part before the answer, and none before the last one was answered."""

    async def scenario(site: ModelSite) -> None:
        site.own("MaxMessageSize", where="InternalCtrlr").set(4_000)
        start = len(site.frames)
        _, reports = await site.base_report("FullInventory", 9)
        assert len(reports) > 5
        assert in_sequence(reports, 9)
        now = site.clock.now()
        for report in reports:
            assert abs((datetime.fromisoformat(report["generatedAt"]) - now).total_seconds()) < 60
        order = [frame for _, _, frame in site.frames[start:]]
        assert order[1][0] == 3, "the response"
        open_calls: set[str] = set()
        for frame in order[2:]:
            if frame[0] == 2:
                assert not open_calls
                open_calls.add(frame[1])
            else:
                open_calls.discard(frame[1])

    at_rig(scenario, version)


@versions
def test_b07_fr_13_b08_fr_16_a_busy_station_rejects(version: OcppVersion) -> None:
    """B07.FR.13, B08.FR.16: while it cannot report; later it can."""

    async def scenario(site: ModelSite) -> None:
        assert site.link is not None
        site.own("MaxMessageSize", where="InternalCtrlr").set(2_000)
        statuses: list[str] = []
        site.link.right.faults.delay_s = 4
        for number in range(30):
            request: Any
            if number % 2:
                request = site.m.GetBaseReportRequest(
                    request_id=number, report_base="FullInventory"
                )
            else:
                request = report_request(version, request_id=number, criteria=["Available"])
            statuses.append(str((await site.call(request)).status))
        assert statuses[0] == "Accepted"
        assert set(statuses) == {"Accepted", "Rejected"}, "there is a bound"
        refused = {number for number, status in enumerate(statuses) if status == "Rejected"}
        assert {number % 2 for number in refused} == {0, 1}, "of both kinds"
        site.link.right.faults.delay_s = 0
        await site.settle(600)
        assert refused.isdisjoint(report["requestId"] for report in site.sent("NotifyReport"))
        site.own("MaxMessageSize", where="InternalCtrlr").set(60_000)
        status, reports = await site.base_report("FullInventory", 99)
        assert status == "Accepted"
        assert in_sequence(reports, 99)

    at_rig(scenario, version)


@versions
@pytest.mark.parametrize("action", ["GetBaseReport", "GetReport", "GetMonitoringReport"])
def test_b07_fr_13_a_burst_of_requests_is_bounded(version: OcppVersion, action: str) -> None:
    """B07.FR.13, B08.FR.16: no CSMS may send so (FR.01), and it must not cost much if one does."""
    more = {"reportBase": "FullInventory"} if action == "GetBaseReport" else {}

    async def scenario(site: ModelSite) -> None:
        assert site.link is not None
        for number in range(30):
            request = [2, f"burst{number}", action, {"requestId": number, **more}]
            site.link.right.send(json.dumps(request).encode())
        await site.settle()
        statuses = [
            frame[2]["status"]
            for _, way, frame in site.frames
            if way is Way.OUT and frame[0] == 3 and str(frame[1]).startswith("burst")
        ]
        assert statuses[0] == "Accepted"
        assert 1 <= statuses.count("Accepted") <= 10

    at_rig(scenario, version)


@versions
def test_a_lost_link_ends_a_report(version: OcppVersion) -> None:
    """The rest of it does not come later, and the next report is whole."""

    async def scenario(site: ModelSite) -> None:
        assert site.link is not None
        site.own("MaxMessageSize", where="InternalCtrlr").set(2_000)
        site.link.right.faults.delay_s = 1
        request = site.m.GetBaseReportRequest(request_id=1, report_base="FullInventory")
        await site.call(request)
        await site.settle(3)
        site.cut()
        await site.settle(30)
        first = [report for report in site.sent("NotifyReport") if report["requestId"] == 1]
        assert all(report["tbc"] for report in first), "it was cut in the middle"
        await site.settle(60)
        assert len([r for r in site.sent("NotifyReport") if r["requestId"] == 1]) == len(first)
        _, reports = await site.base_report("FullInventory", 2)
        assert in_sequence(reports, 2)
        assert len(items(reports)) == site.model.cache.variable_count

    at_rig(scenario, version)


# --- B08 ----------------------------------------------------------------------------------


@versions
@pytest.mark.parametrize("criterion", ["Active", "Available", "Enabled", "Problem"])
def test_b08_fr_01_03_04_07_08_09_10_12_14_criteria(version: OcppVersion, criterion: str) -> None:
    """B08.FR.01, B08.FR.03, B08.FR.04, B08.FR.07, B08.FR.08, B08.FR.09, B08.FR.10, B08.FR.12,
    B08.FR.14; TC_B_16: all of a component that has it set, or (not for Problem) lacks it."""
    own = [
        _switch("Yes", criterion, "true"),
        _switch("No", criterion, "false"),
        _switch("Without", "Other", "true"),
    ]

    async def scenario(site: ModelSite) -> None:
        status, reports = await site.report(12, criteria=[criterion])
        assert status == "Accepted"
        assert in_sequence(reports, 12)
        names = {key[0] for key in named(reports)}
        assert ("without" in names) == (criterion != "Problem")
        assert "yes" in names
        assert "no" not in names
        extra = {key[4] for key in named(reports) if key[0] == "yes"}
        assert extra == {criterion.lower(), "extra", "secret"}, "every variable of the component"
        for item in items(reports):
            assert item["variableCharacteristics"]["dataType"]
        assert SECRET not in str(site.frames)

    at_rig(scenario, version, own=own)


def _switch(name: str, which: str, value: str) -> dict[str, Any]:
    return component(
        name,
        variable(which, "boolean", attribute("Actual", "ReadOnly", value)),
        variable("Extra", "string", attribute(value="x")),
        variable("Secret", "string", attribute("Actual", "WriteOnly", SECRET)),
    )


@versions
def test_b08_fr_13_one_of_several_criteria_is_enough(version: OcppVersion) -> None:
    own = [
        _switch("Enabled", "Enabled", "true"),
        _switch("Disabled", "Enabled", "false"),
        _switch("Broken", "Problem", "true"),
    ]
    # Disabled, but nothing says that it is not available.

    async def scenario(site: ModelSite) -> None:
        _, both = await site.report(criteria=["Enabled", "Problem"])
        names = {key[0] for key in named(both)}
        assert {"enabled", "broken"} <= names
        assert "disabled" not in names
        _, three = await site.report(criteria=["Enabled", "Available"])
        assert "disabled" in {key[0] for key in named(three)}

    at_rig(scenario, version, own=own)


@versions
def test_b08_fr_02_criteria_that_the_station_does_not_support(version: OcppVersion) -> None:
    """B08.FR.02, TC_B_19_CS: InternalCtrlr.SupportedCriteria says which it supports."""

    async def scenario(site: ModelSite) -> None:
        site.own("SupportedCriteria", where="InternalCtrlr").set(("Enabled", "Available"))
        status, reports = await site.report(criteria=["Available", "Problem"])
        assert (status, reports) == ("NotSupported", [])
        status, reports = await site.report(criteria=["Available"])
        assert status == "Accepted"
        assert reports
        answer = await site.raw("GetReport", {"requestId": 1, "componentCriteria": ["Shiny"]})
        assert answer[2] == "PropertyConstraintViolation"

    at_rig(scenario, version)


@versions
def test_b08_fr_05_15_criteria_and_variables_together(version: OcppVersion) -> None:
    """B08.FR.05, B08.FR.15, TC_B_18: both must hold."""

    async def scenario(site: ModelSite) -> None:
        wanted = [({"name": "EVSE", "evse": {"id": 1}}, "AvailabilityState")]
        status, reports = await site.report(1, criteria=["Available"], wanted=wanted)
        assert status == "Accepted"
        assert named(reports) == {("evse", "", 1, 0, "availabilitystate", "")}
        (item,) = items(reports)
        assert item["variableCharacteristics"]["dataType"] == "OptionList"
        states = {one.strip() for one in item["variableCharacteristics"]["valuesList"].split(",")}
        assert states == {"Available", "Occupied", "Reserved", "Unavailable", "Faulted"}
        assert [one.get("type", "Actual") for one in item["variableAttribute"]] == ["Actual"]
        assert item["variableAttribute"][0]["mutability"] == "ReadOnly"
        status, reports = await site.report(2, criteria=["Problem"], wanted=wanted)
        assert (status, reports) == ("EmptyResultSet", [])

    at_rig(scenario, version)


@versions
def test_b08_fr_15_nothing_found_is_an_empty_result_set(version: OcppVersion) -> None:
    async def scenario(site: ModelSite) -> None:
        for wanted in (
            [("Nothing", None)],
            [("Rig", "Nothing")],
            [({"name": "Rig", "instance": "Three"}, None)],
            [({"name": "Rig", "evse": {"id": 9}}, None)],
        ):
            status, reports = await site.report(wanted=wanted)
            assert (status, reports) == ("EmptyResultSet", [])

    at_rig(scenario, version)


TOP = ("rig", "", 0, 0)
TWO = ("rig", "two", 0, 0)
EVSE_1 = ("rig", "", 1, 0)
EVSE_2 = ("rig", "", 2, 0)
CONNECTOR = ("rig", "", 1, 1)


@versions
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        # B08.FR.20: no variable means all of them.
        (
            ({"name": "Rig", "evse": {"id": 1, "connectorId": 1}}, None),
            {(*CONNECTOR, "lock", "")},
        ),
        # B08.FR.21: no instance of the variable means every one.
        (("Rig", "Temp"), {(*TOP, "temp", "a"), (*TOP, "temp", "b")}),
        (("Rig", {"name": "Temp", "instance": "b"}), {(*TOP, "temp", "b")}),
        # B08.FR.22: no connector means the EVSE and every connector of it.
        (
            ({"name": "Rig", "evse": {"id": 1}}, None),
            {(*EVSE_1, "heat", ""), (*CONNECTOR, "lock", "")},
        ),
        # B08.FR.23: no EVSE means every place, the top level too.
        (("Rig", "Heat"), {(*EVSE_1, "heat", ""), (*EVSE_2, "heat", "")}),
        (("Rig", "Level"), {(*TOP, "level", ""), (*TWO, "level", "")}),
        (("Rig", None), OF_THE_RIG),
        # B08.FR.24: an instance of the component is meant.
        (({"name": "Rig", "instance": "Two"}, None), {(*TWO, "level", "")}),
        (({"name": "Rig", "instance": "Two"}, "Level"), {(*TWO, "level", "")}),
        # B08.FR.25: none means the one without and every instance.
        (("rIG", "lEVEL"), {(*TOP, "level", ""), (*TWO, "level", "")}),
    ],
)
def test_b08_fr_11_20_21_22_23_24_25_component_variables(
    version: OcppVersion, wanted: Any, expected: set[tuple[Any, ...]]
) -> None:
    """B08.FR.11, B08.FR.20, B08.FR.21, B08.FR.22, B08.FR.23, B08.FR.24, B08.FR.25; TC_B_17."""

    async def scenario(site: ModelSite) -> None:
        status, reports = await site.report(3, wanted=[wanted])
        assert status == "Accepted"
        assert in_sequence(reports, 3)
        assert named(reports) == expected
        _, twice = await site.report(4, wanted=[wanted, wanted, ("Nothing", None)])
        assert items(twice) == items(reports), "B08.FR.05: nothing twice"

    at_rig(scenario, version)


@versions
def test_without_criteria_and_variables_everything_is_reported(version: OcppVersion) -> None:
    """B08.FR.05 limits a report only if they are not both empty."""

    async def scenario(site: ModelSite) -> None:
        status, reports = await site.report(3)
        assert status == "Accepted"
        assert len(items(reports)) == site.model.cache.variable_count

    at_rig(scenario, version)


@versions
def test_b08_fr_17_18_too_much_in_one_request(version: OcppVersion) -> None:
    """B08.FR.17, B08.FR.18: this station does what it may."""

    async def scenario(site: ModelSite) -> None:
        for name, value in (("ItemsPerMessage", 2), ("BytesPerMessage", 100_000)):
            site.own(name, where="DeviceDataCtrlr", instance="GetReport").set(value)
        three = report_request(version, wanted=[("Rig", "Count")] * 3)
        assert await site.refused(three) == "OccurrenceConstraintViolation"
        status, _ = await site.report(wanted=[("Rig", "Count")] * 2)
        assert status == "Accepted"
        site.own("BytesPerMessage", where="DeviceDataCtrlr", instance="GetReport").set(150)
        long = report_request(version, wanted=[("Rig" * 15, "Count"), ("Rig" * 16, "Count")])
        assert await site.refused(long) == "FormatViolation"

    at_rig(scenario, version)
