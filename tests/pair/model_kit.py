"""A site whose station has a component of ours beside the standard ones; short requests to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from device_model.models import (
    Place,
    attribute,
    component,
    component_type,
    component_variables,
    get_request,
    report_request,
    set_request,
    variable,
    variable_type,
)
from device_model.oracle import place_of
from ocpp_fast.connection import Way
from ocpp_fast.errors import CallErrorReceived
from ocpp_fast.messages import OcppVersion
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.station_kit import QUIET, Site
from vectors.schemas import validator

SECRET: Final = "hush-hush"
"""Part of every WriteOnly value."""


def monitor(kind: str, value: float, severity: int, owner: str, **more: Any) -> dict[str, Any]:
    """One entry of `monitors` in a component file."""
    return {
        "type": kind,
        "value": value,
        "severity": severity,
        "transaction": False,
        "config_type": f"{owner}Monitor",
        **more,
    }


RIG: Final = (
    component(
        "Rig",
        variable(
            "Level",
            "decimal",
            attribute(value="0"),
            attribute("Target", value="0"),
            minLimit=-1000,
            maxLimit=1000,
            unit="kW",
        ),
        variable("Count", "integer", attribute(value="0"), minLimit=0, maxLimit=100),
        variable("Mode", "OptionList", attribute(value="one"), valuesList="one,two,three"),
        variable("Order", "SequenceList", attribute(value="one"), valuesList="one,two,three"),
        variable("Set", "MemberList", attribute(value="one"), valuesList="one,two,three"),
        variable("On", "boolean", attribute(value="false")),
        variable("Since", "dateTime", attribute(value="2026-01-01T00:00:00Z")),
        variable("Note", "string", attribute(value="a note"), monitoring=False),
        variable("Unset", "string", attribute(), attribute("Target", "ReadOnly")),
        variable("Passing", "integer", attribute(value="1", persistent=False)),
        variable("Code", "string", attribute("Actual", "WriteOnly", f"{SECRET}0")),
        variable("Temp", "decimal", attribute(value="20"), instance="A"),
        variable("Temp", "decimal", attribute(value="21"), instance="B"),
        variable(
            "Fixed",
            "integer",
            attribute("Actual", "ReadOnly", "10"),
            monitors=[monitor("UpperThreshold", 50, 3, "HardWired")],
        ),
        variable(
            "Alarm",
            "boolean",
            attribute("Actual", "ReadOnly", "false"),
            monitors=[monitor("Delta", 1, 6, "Preconfigured")],
        ),
        variable(
            "Speed",
            "integer",
            attribute("Actual", "ReadOnly", "300"),
            attribute("Target", value="300"),
            attribute("MinSet", value="200"),
            attribute("MaxSet", value="500"),
            minLimit=0,
            maxLimit=1000,
        ),
    ),
    component("Rig", variable("Level", "decimal", attribute(value="2")), instance="Two"),
    component("Rig", variable("Heat", "decimal", attribute(value="20")), evse=1),
    component("Rig", variable("Heat", "decimal", attribute(value="20")), evse=2),
    component("Rig", variable("Lock", "boolean", attribute(value="true")), evse=1, connector=1),
)
"""One variable of each kind, at each tier, with monitors of its maker's."""


class ModelSite(Site):
    """A `Site` with the components above, and the requests of blocks B and N."""

    def __init__(self, *arguments: Any, own: Sequence[Mapping[str, Any]] = RIG, **options: Any):
        super().__init__(*arguments, **options)
        self.lengths: dict[str, list[int]] = {}
        """Of the station's CALLs, by action, in bytes."""
        for one in own:
            self.model.define(one)

    def _log(self, way: Way, frame: bytes) -> None:
        super()._log(way, frame)
        last = self.frames[-1][2]
        if way is Way.OUT and last[0] == 2:
            self.lengths.setdefault(last[2], []).append(len(frame))

    @property
    def model(self) -> Any:
        """The station's DeviceModel."""
        return self.station.charge_point.device_model

    @property
    def m(self) -> Any:
        """The message types of the version."""
        return self.version.module

    async def call(self, request: Any) -> Any:
        """The CSMS asks."""
        return await self.csms.call("CS001", request)

    async def refused(self, request: Any) -> str:
        """The code of the CALLERROR that a request is answered with."""
        try:
            response = await self.call(request)
        except CallErrorReceived as error:
            return error.code
        raise AssertionError(f"answered with {response}")

    def own(
        self, name: str, *, where: str = "Rig", instance: str | None = None, **more: Any
    ) -> Any:
        """The handle of a variable."""
        return self.model.variable(where, name, variable_instance=instance, **more)

    # --- B05, B06 -------------------------------------------------------------------------

    async def get(self, where: Place, which: Place, kind: str | None = None) -> tuple[str, Any]:
        """Status and value of one variable."""
        response = await self.call(get_request(self.version, (where, which, kind)))
        (result,) = response.get_variable_result
        return str(result.attribute_status), result.attribute_value

    async def put(self, where: Place, which: Place, value: str, kind: str | None = None) -> str:
        """Status of setting one variable."""
        response = await self.call(set_request(self.version, (where, which, kind, value)))
        (result,) = response.set_variable_result
        return str(result.attribute_status)

    # --- B07, B08 -------------------------------------------------------------------------

    async def base_report(self, base: str, request_id: int = 1) -> tuple[str, list[dict[str, Any]]]:
        """Status, and the NotifyReports that followed."""
        request = self.m.GetBaseReportRequest(request_id=request_id, report_base=base)
        return await self._reported(request, "NotifyReport")

    async def report(self, request_id: int = 1, **wanted: Any) -> tuple[str, list[dict[str, Any]]]:
        """The same for GetReport: `criteria`, `wanted`."""
        request = report_request(self.version, request_id=request_id, **wanted)
        return await self._reported(request, "NotifyReport")

    async def _reported(self, request: Any, action: str) -> tuple[str, list[dict[str, Any]]]:
        before = len(self.sent(action))
        response = await self.call(request)
        await self.clock.sleep(5)
        found = self.sent(action)[before:]
        for payload in found:
            validator(self.version.value, f"{action}Request").validate(payload)
        return str(response.status), found

    # --- N02 to N06 -----------------------------------------------------------------------

    async def monitors(
        self, request_id: int = 1, *, criteria: Any = None, wanted: Any = None
    ) -> tuple[str, list[dict[str, Any]]]:
        """Status of a GetMonitoringReport, and the NotifyMonitoringReports that followed."""
        request = self.m.GetMonitoringReportRequest(
            request_id=request_id,
            monitoring_criteria=criteria,
            component_variable=component_variables(self.version, wanted),
        )
        return await self._reported(request, "NotifyMonitoringReport")

    async def set_monitors(self, *data: Mapping[str, Any]) -> list[Any]:
        """The results of a SetVariableMonitoring."""
        request = self.m.SetVariableMonitoringRequest(
            set_monitoring_data=[self._monitoring(one) for one in data]
        )
        response = await self.call(request)
        return list(response.set_monitoring_result)

    async def watch(self, which: Place, kind: str, value: float = 1, **more: Any) -> Any:
        """The result of setting one monitor."""
        (result,) = await self.set_monitors({"which": which, "type": kind, "value": value, **more})
        return result

    def _monitoring(self, given: Mapping[str, Any]) -> Any:
        members: dict[str, Any] = {"where": "Rig", "severity": 5, **given}
        return self.m.SetMonitoringDataType(
            component=component_type(self.version, members.pop("where")),
            variable=variable_type(self.version, members.pop("which")),
            **members,
        )

    async def clear(self, *ids: int) -> list[tuple[int, str]]:
        """(id, status) of each."""
        response = await self.call(self.m.ClearVariableMonitoringRequest(id=ids))
        return [(one.id, str(one.status)) for one in response.clear_monitoring_result]

    async def base(self, base: str) -> str:
        """Status of a SetMonitoringBase."""
        return str((await self.call(self.m.SetMonitoringBaseRequest(monitoring_base=base))).status)

    async def level(self, severity: int) -> str:
        """Status of a SetMonitoringLevel."""
        return str((await self.call(self.m.SetMonitoringLevelRequest(severity=severity))).status)

    # --- what was sent --------------------------------------------------------------------

    def noticed(self, which: str | None = None, where: str = "Rig") -> list[dict[str, Any]]:
        """Elements of eventData about a variable of ours, in order."""
        return [
            {**event, "seqNo": request["seqNo"], "tbc": request.get("tbc", False)}
            for request in self.sent("NotifyEvent")
            for event in request["eventData"]
            if event["component"]["name"] == where
            and (which is None or event["variable"]["name"] == which)
        ]

    async def settle(self, seconds: float = 2) -> None:
        """Lets what is under way arrive."""
        await self.clock.sleep(seconds)

    def answers(self) -> list[list[Any]]:
        """All CALLERRORs of the station."""
        return [frame for _, way, frame in self.frames if way is Way.OUT and frame[0] == 4]

    async def raw(self, action: str, payload: Mapping[str, Any]) -> list[Any]:
        """Sends a CALL that no CSMS of ours could make; returns the station's answer."""
        assert self.link is not None
        message_id = f"raw{len(self.frames)}"
        self.link.right.send(json.dumps([2, message_id, action, payload]).encode())
        await self.settle()
        (answer,) = [
            frame
            for _, way, frame in self.frames
            if way is Way.OUT and frame[0] in {3, 4} and frame[1] == message_id
        ]
        return answer


def items(reports: Sequence[Mapping[str, Any]], name: str = "reportData") -> list[dict[str, Any]]:
    """The elements of all parts of a report."""
    return [item for report in reports for item in report.get(name, [])]


def named(reports: Sequence[Mapping[str, Any]], name: str = "reportData") -> set[tuple[Any, ...]]:
    """(component, its instance, EVSE, connector, variable, its instance) of each element."""
    return {
        (
            *place_of(item["component"]),
            item["variable"]["name"].lower(),
            item["variable"].get("instance", "").lower(),
        )
        for item in items(reports, name)
    }


def in_sequence(reports: Sequence[Mapping[str, Any]], request_id: int) -> bool:
    """Whether the parts of one report have its id, count from 0 and say when they go on."""
    last = len(reports) - 1
    return [(r["requestId"], r["seqNo"], r.get("tbc", False)) for r in reports] == [
        (request_id, number, number < last) for number in range(last + 1)
    ]


def at_rig(
    scenario: Callable[[ModelSite], Coroutine[Any, Any, None]],
    version: OcppVersion = OcppVersion.V21,
    *,
    variables: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    """Runs a scenario at such a site, in virtual time."""

    async def run(clock: VirtualClock) -> None:
        settings = replace(QUIET, **(variables or {}))
        async with ModelSite(clock, version, variables=settings, **options) as site:
            await scenario(site)

    run_virtual(run)
