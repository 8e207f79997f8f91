"""ItemsPerMessage and BytesPerMessage are read live, and only for a station that may answer."""

from __future__ import annotations

from typing import Any

import pytest

from ocpp_fast.device_model.handle import INTERNAL
from ocpp_fast.errors import CallErrorReceived
from ocpp_fast.messages import OcppVersion
from pair.station_kit import VERSIONS, Site, at_site

versions = pytest.mark.parametrize("version", VERSIONS)


def limit(site: Site, name: str, instance: str, value: int, ctrlr: str = "DeviceDataCtrlr") -> None:
    model = site.station.charge_point.device_model
    model.variable(ctrlr, name, variable_instance=instance).set(value, source=INTERNAL)


async def code(site: Site, request: Any) -> str | None:
    """The code of the CALLERROR; None for an answer."""
    try:
        await site.csms.call("CS001", request)
    except CallErrorReceived as error:
        return error.code
    return None


def two_variables(m: Any) -> Any:
    data = m.GetVariableDataType(
        component=m.ComponentType(name="OCPPCommCtrlr"),
        variable=m.VariableType(name="HeartbeatInterval"),
    )
    return m.GetVariablesRequest(get_variable_data=[data, data])


@versions
def test_limits_follow_their_variables(version: OcppVersion) -> None:
    """B06.FR.16, B06.FR.17."""

    async def scenario(site: Site) -> None:
        request = two_variables(version.module)
        assert await code(site, request) is None
        limit(site, "ItemsPerMessage", "GetVariables", 1)
        assert await code(site, request) == "OccurrenceConstraintViolation"
        limit(site, "ItemsPerMessage", "GetVariables", 2)
        assert await code(site, request) is None
        limit(site, "BytesPerMessage", "GetVariables", 120)
        assert await code(site, request) == "FormatViolation"

    at_site(scenario, version)


@versions
def test_clearing_monitors_has_limits_of_its_own(version: OcppVersion) -> None:
    """N06.FR.06, N06.FR.07."""

    async def scenario(site: Site) -> None:
        request = version.module.ClearVariableMonitoringRequest(id=[1, 2, 3])
        assert await code(site, request) is None
        limit(site, "ItemsPerMessage", "ClearVariableMonitoring", 2, "MonitoringCtrlr")
        assert await code(site, request) == "OccurrenceConstraintViolation"
        limit(site, "ItemsPerMessage", "ClearVariableMonitoring", 3, "MonitoringCtrlr")
        limit(site, "BytesPerMessage", "ClearVariableMonitoring", 20, "MonitoringCtrlr")
        assert await code(site, request) == "FormatViolation"

    at_site(scenario, version)


@versions
@pytest.mark.parametrize(
    ("status", "expected"),
    [("Rejected", "SecurityError"), ("Pending", "OccurrenceConstraintViolation")],
)
def test_a_station_that_may_not_answer_says_only_that(
    version: OcppVersion, status: str, expected: str
) -> None:
    """B03.FR.08."""

    async def scenario(site: Site) -> None:
        limit(site, "ItemsPerMessage", "GetVariables", 1)
        assert await code(site, two_variables(version.module)) == expected

    at_site(scenario, version, boot=[(status, 60)])
