"""The CSMS's short ways to a station's device model, over the link."""

from __future__ import annotations

import pytest

from ocpp_fast.csms import Csms
from ocpp_fast.errors import CallErrorReceived, ConnectionLost
from ocpp_fast.messages import OcppVersion
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.station_kit import VERSIONS, Site, at_site

versions = pytest.mark.parametrize("version", VERSIONS)


@versions
def test_variables_by_their_short_names(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        model = site.csms.model("CS001")
        results = await model.set(
            {"OCPPCommCtrlr.OfflineThreshold": "77", "EVSE[1].AvailabilityState": "Occupied"}
        )
        assert [str(result.attribute_status) for result in results] == ["Accepted", "Rejected"]
        results = await model.get("OCPPCommCtrlr.OfflineThreshold", "Connector[9,9].Gone")
        assert [str(r.attribute_status) for r in results] == ["Accepted", "UnknownComponent"]
        assert results[0].attribute_value == "77"
        (result,) = await model.get("OCPPCommCtrlr.OfflineThreshold", attribute="Target")
        assert result.attribute_status == "NotSupportedAttributeType"

    at_site(scenario, version)


@versions
def test_a_base_report_is_collected(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        model = site.csms.model("CS001")
        full = await model.base_report()
        assert full.status == "Accepted"
        assert len(full.items) == site.station.charge_point.device_model.cache.variable_count
        assert full.parts == len(site.sent("NotifyReport")) > 1
        summary = await model.base_report("SummaryInventory")
        assert 0 < len(summary.items) < len(full.items)
        assert site.record.reports == {}

    at_site(scenario, version)


@versions
def test_a_custom_report_is_collected(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        model = site.csms.model("CS001")
        report = await model.report(variables=["EVSE[1].AvailabilityState", "EVSE[2].Power"])
        assert [item.variable.name for item in report.items] == ["AvailabilityState", "Power"]
        assert (await model.report(criteria=["Problem"])).status == "EmptyResultSet"

    at_site(scenario, version)


@versions
def test_a_monitoring_report_is_collected(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        model = site.csms.model("CS001")
        report = await model.monitoring_report(variables=["SecurityCtrlr.Identity"])
        assert (report.status, report.items) == ("EmptyResultSet", ())
        m = version.module
        await site.csms.call(
            "CS001",
            m.SetVariableMonitoringRequest(
                set_monitoring_data=[
                    m.SetMonitoringDataType(
                        value=1,
                        type=m.MonitorEnumType.DELTA,
                        severity=8,
                        component=m.ComponentType(name="EVSE", evse=m.EVSEType(id=1)),
                        variable=m.VariableType(name="AvailabilityState"),
                    )
                ]
            ),
        )
        report = await model.monitoring_report(criteria=["DeltaMonitoring"])
        assert report.status == "Accepted"
        (item,) = report.items
        assert item.component.name == "EVSE"

    at_site(scenario, version)


def test_a_report_that_does_not_come_to_its_end() -> None:
    async def scenario(site: Site) -> None:
        def refuse(*_: object) -> None:
            raise CallErrorReceived("whatever")

        site.csms.on("NotifyReport", refuse)
        started = site.clock.elapsed_s
        with pytest.raises(TimeoutError):
            await site.csms.model("CS001").base_report(timeout_s=20)
        assert site.clock.elapsed_s - started == pytest.approx(20, abs=1)
        assert site.record.reports == {}
        assert len(site.sent("NotifyReport")) == 1  # The station gives up, too.

    at_site(scenario)


def test_parts_of_somebody_elses_report_are_not_kept() -> None:
    async def scenario(site: Site) -> None:
        m = site.version.module
        request = m.GetBaseReportRequest(request_id=4_711, report_base="SummaryInventory")
        await site.csms.call("CS001", request)
        await site.clock.sleep(5)
        assert site.sent("NotifyReport")
        assert site.record.reports == {}

    at_site(scenario)


def test_a_station_that_nobody_knows() -> None:
    async def scenario(clock: VirtualClock) -> None:
        with pytest.raises(ConnectionLost):
            Csms(clock=clock).model("CS404")

    run_virtual(scenario)


@versions
def test_events_are_kept_in_the_record(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        site.station.charge_point.raise_event("EVSE", "Problem", "true", evse_id=1)
        await site.clock.sleep(1)
        event = site.record.events[-1]
        assert (event.component.name, event.actual_value) == ("EVSE", "true")
        assert event.event_notification_type == "HardWiredNotification"

    at_site(scenario, version)
