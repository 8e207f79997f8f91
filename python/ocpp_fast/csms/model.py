"""A station's device model as its CSMS sees it: short ways to read, set and report variables."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from ocpp_fast.csms.addresses import VariableAddress
from ocpp_fast.csms.reports import Report, ReportParts
from ocpp_fast.errors import ConnectionLost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from ocpp_fast.clock import Clock
    from ocpp_fast.csms.ledger import StationRecord
    from ocpp_fast.messages import Message, v21

__all__ = ["StationModel"]


class _Csms(Protocol):
    """What this needs of `Csms`."""

    async def call(self, identity: str, request: Message) -> Any: ...


class StationModel:
    """The device model of one station that is connected, see `Csms.model`.

    Variables are named in short, `EVSE[1].Power`, see `VariableAddress.parse`. All methods raise
    what `Csms.call` raises.
    """

    def __init__(self, csms: _Csms, station: StationRecord, clock: Clock) -> None:
        self._csms = csms
        self._station = station
        self._clock = clock

    async def get(
        self, *variables: str, attribute: str | None = None
    ) -> list[v21.GetVariableResultType]:
        """GetVariables: one result for each variable (B06)."""
        m = self._module
        response = await self._call(
            m.GetVariablesRequest(
                get_variable_data=[
                    m.GetVariableDataType(**self._place(variable), attribute_type=attribute)
                    for variable in variables
                ]
            )
        )
        return list(response.get_variable_result)

    async def set(
        self, values: Mapping[str, str], attribute: str | None = None
    ) -> list[v21.SetVariableResultType]:
        """SetVariables: one result for each variable (B05)."""
        m = self._module
        response = await self._call(
            m.SetVariablesRequest(
                set_variable_data=[
                    m.SetVariableDataType(
                        **self._place(variable), attribute_value=value, attribute_type=attribute
                    )
                    for variable, value in values.items()
                ]
            )
        )
        return list(response.set_variable_result)

    async def base_report(self, base: str = "FullInventory", *, timeout_s: float = 60.0) -> Report:
        """GetBaseReport and all that follows (B07): items are ReportDataType.

        Raises `TimeoutError` when the parts are not there `timeout_s` after the answer.
        """
        m = self._module
        request_id = self._station.next_request_id()
        request = m.GetBaseReportRequest(
            request_id=request_id, report_base=m.ReportBaseEnumType(base)
        )
        return await self._collect(request, request_id, "NotifyReport", timeout_s)

    async def report(
        self,
        *,
        criteria: Iterable[str] = (),
        variables: Iterable[str] = (),
        timeout_s: float = 60.0,
    ) -> Report:
        """GetReport likewise (B08)."""
        m = self._module
        request_id = self._station.next_request_id()
        request = m.GetReportRequest(
            request_id=request_id,
            component_criteria=[m.ComponentCriterionEnumType(each) for each in criteria] or None,
            component_variable=self._places(variables),
        )
        return await self._collect(request, request_id, "NotifyReport", timeout_s)

    async def monitoring_report(
        self,
        *,
        criteria: Iterable[str] = (),
        variables: Iterable[str] = (),
        timeout_s: float = 60.0,
    ) -> Report:
        """GetMonitoringReport likewise (N02): items are MonitoringDataType."""
        m = self._module
        request_id = self._station.next_request_id()
        request = m.GetMonitoringReportRequest(
            request_id=request_id,
            monitoring_criteria=[m.MonitoringCriterionEnumType(each) for each in criteria] or None,
            component_variable=self._places(variables),
        )
        return await self._collect(request, request_id, "NotifyMonitoringReport", timeout_s)

    # --- inside ---------------------------------------------------------------------------

    @property
    def _module(self) -> ModuleType:
        if self._station.version is None:
            raise ConnectionLost(1006, f"station {self._station.identity} was never connected")
        return self._station.version.module

    async def _call(self, request: Message) -> Any:
        return await self._csms.call(self._station.identity, request)

    async def _collect(
        self, request: Message, request_id: int, action: str, timeout_s: float
    ) -> Report:
        complete = asyncio.Event()
        parts = ReportParts(complete.set)
        key = action, request_id
        self._station.reports[key] = parts
        try:
            response = await self._call(request)
            if response.status != "Accepted":
                return Report(str(response.status))
            await self._clock.wait_for(complete.wait(), timeout_s)
        finally:
            del self._station.reports[key]
        return parts.report("Accepted")

    def _place(self, variable: str) -> dict[str, Any]:
        address = VariableAddress.parse(variable)
        return {
            "component": address.component_type(self._module),
            "variable": address.variable_type(self._module),
        }

    def _places(self, variables: Iterable[str]) -> list[v21.ComponentVariableType] | None:
        m = self._module
        return [m.ComponentVariableType(**self._place(variable)) for variable in variables] or None
