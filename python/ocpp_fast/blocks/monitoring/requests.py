"""What the CSMS asks of the monitors (N02 to N06)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from ocpp_fast.blocks.monitoring.report import CRITERIA, pages, select
from ocpp_fast.blocks.monitoring.table import MAX_SEVERITY, Base, Kind, Refusal, Wanted, Watched
from ocpp_fast.blocks.reporting import PartedReports, max_message_bytes
from ocpp_fast.errors import ErrorCode, RequestRefused, StorageError
from ocpp_fast.router import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping, Sequence

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.blocks.monitoring.settings import Settings
    from ocpp_fast.blocks.monitoring.table import Monitor, MonitorTable
    from ocpp_fast.blocks.reporting import Part
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.messages import v21
    from ocpp_fast.router import Handler, Handling

__all__ = ["Monitors", "Requests"]

_log = logging.getLogger(__name__)

_STORAGE_FAILED: Final = Refusal("Rejected", "InternalError", "the storage failed")


class Monitors(Protocol):
    """What the requests are about; see `Monitoring`."""

    @property
    def table(self) -> MonitorTable: ...

    async def apply(self, draft: MonitorTable) -> None: ...

    def set_level(self, severity: int) -> None: ...


class Requests:
    """Decides by the rules of the table, answers when the new monitors are durable.

    Without MonitoringCtrlr, or while it is not available or not enabled, every request is refused
    with NotSupported.
    """

    def __init__(
        self, context: Context, device_model: DeviceModel, monitors: Monitors, settings: Settings
    ) -> None:
        self._context = context
        self._device_model = device_model
        self._cache = device_model.cache
        self._monitors = monitors
        self._settings = settings
        # One request after the other: the answer to one says what the next one finds.
        self._changing = asyncio.Lock()
        self._reports = PartedReports("NotifyMonitoringReport", lambda: context.connection)
        handlers: dict[str, Handler] = {
            "ClearVariableMonitoring": self._on_clear,
            "GetMonitoringReport": self._on_report,
            "SetMonitoringBase": self._on_set_base,
            "SetMonitoringLevel": self._on_set_level,
            "SetVariableMonitoring": self._on_set,
        }
        self.handlers: Mapping[str, Handler] = {
            action: self._when_enabled(handler) for action, handler in handlers.items()
        }

    def _when_enabled(self, handler: Handler) -> Handler:
        def handle(request: Any) -> Handling | Awaitable[Handling]:
            if not self._settings.enabled:
                what = "enabled" if self._settings.available else "available"
                raise RequestRefused(ErrorCode.NOT_SUPPORTED, f"monitoring is not {what}")
            return handler(request)

        return handle

    # --- N04 ------------------------------------------------------------------------------

    async def _on_set(
        self, request: v21.SetVariableMonitoringRequest
    ) -> v21.SetVariableMonitoringResponse:
        """N04.FR.01: one result for each element, in their order."""
        async with self._changing:
            draft = self._monitors.table.draft()
            outcomes = [self._set(draft, data) for data in request.set_monitoring_data]
            if any(isinstance(outcome, int) for outcome in outcomes):
                try:
                    await self._monitors.apply(draft)
                except StorageError as error:
                    _log.error("monitors of the CSMS are not set: %s", error)
                    outcomes = [_STORAGE_FAILED if isinstance(o, int) else o for o in outcomes]
        return self._context.messages.SetVariableMonitoringResponse(
            set_monitoring_result=[
                self._result(data, outcome)
                for data, outcome in zip(request.set_monitoring_data, outcomes, strict=True)
            ]
        )

    def _set(self, draft: MonitorTable, data: v21.SetMonitoringDataType) -> int | Refusal:
        component, variable = data.component, data.variable
        evse = component.evse
        number = self._cache.find(
            component.name,
            component.instance,
            None if evse is None else evse.id,
            None if evse is None else evse.connector_id,
            variable.name,
            variable.instance,
        )
        if number < 0:  # N04.FR.03, N04.FR.04
            status = "UnknownComponent" if number == _UNKNOWN_COMPONENT else "UnknownVariable"
            return Refusal(status, "NotFound", "")
        # Event streams (N11) are not there yet; 2.0.1 does not have the member.
        if getattr(data, "periodic_event_stream", None) is not None:
            text = "periodic event streams are not supported"
            return Refusal("Rejected", "UnsupportedParam", text)
        return draft.set(
            Wanted(
                monitor_id=data.id,
                watched=Watched.of(self._cache, number),
                kind=Kind(data.type),
                value=data.value,
                severity=data.severity,
                transaction=data.transaction is True,
            )
        )

    def _result(
        self, data: v21.SetMonitoringDataType, outcome: int | Refusal
    ) -> v21.SetMonitoringResultType:
        """N04.FR.02."""
        m = self._context.messages
        accepted = isinstance(outcome, int)
        return m.SetMonitoringResultType(
            id=outcome if accepted else None,
            status=m.SetMonitoringStatusEnumType("Accepted" if accepted else outcome.status),
            type=data.type,
            severity=data.severity,
            component=data.component,
            variable=data.variable,
            status_info=None if accepted else self._info(outcome.reason_code, outcome[2]),
        )

    # --- N06 ------------------------------------------------------------------------------

    async def _on_clear(
        self, request: v21.ClearVariableMonitoringRequest
    ) -> v21.ClearVariableMonitoringResponse:
        """N06.FR.05: one result for each id, in their order."""
        m = self._context.messages
        reasons = {"Accepted": None, "NotFound": "NotFound", "Rejected": "InvalidValue"}
        async with self._changing:
            draft = self._monitors.table.draft()
            statuses = [draft.clear(monitor_id) for monitor_id in request.id]
            if "Accepted" in statuses:
                try:
                    await self._monitors.apply(draft)
                except StorageError as error:
                    _log.error("monitors are not cleared: %s", error)
                    reasons["Accepted"] = "InternalError"
                    statuses = ["Rejected" if s == "Accepted" else s for s in statuses]
        return m.ClearVariableMonitoringResponse(
            clear_monitoring_result=[
                m.ClearMonitoringResultType(
                    id=monitor_id,
                    status=m.ClearMonitoringStatusEnumType(status),
                    status_info=self._info(reasons[status]),
                )
                for monitor_id, status in zip(request.id, statuses, strict=True)
            ]
        )

    # --- N03, N05 -------------------------------------------------------------------------

    async def _on_set_base(
        self, request: v21.SetMonitoringBaseRequest
    ) -> v21.SetMonitoringBaseResponse:
        wanted = request.monitoring_base
        base = next((base for base in Base if base == wanted), None)
        if base is None:  # N03.FR.02
            return self._base_response("NotSupported", "UnsupportedParam", wanted)
        async with self._changing:
            draft = self._monitors.table.draft()
            draft.set_base(base)
            try:
                await self._monitors.apply(draft)
            except StorageError as error:
                _log.error("the monitoring base is not set: %s", error)
                return self._base_response(*_STORAGE_FAILED)
            self._settings.set_base(base)
        return self._base_response("Accepted")  # N03.FR.01

    def _base_response(
        self, status: str, reason_code: str | None = None, additional_info: str = ""
    ) -> v21.SetMonitoringBaseResponse:
        m = self._context.messages
        return m.SetMonitoringBaseResponse(
            status=m.GenericDeviceModelStatusEnumType(status),
            status_info=self._info(reason_code, additional_info),
        )

    def _on_set_level(
        self, request: v21.SetMonitoringLevelRequest
    ) -> v21.SetMonitoringLevelResponse:
        m = self._context.messages
        status = m.GenericStatusEnumType
        if not 0 <= request.severity <= MAX_SEVERITY:  # N05.FR.02
            info = self._info("ValueOutOfRange", f"the level is from 0 to {MAX_SEVERITY}")
            return m.SetMonitoringLevelResponse(status=status.REJECTED, status_info=info)
        self._monitors.set_level(request.severity)
        return m.SetMonitoringLevelResponse(status=status.ACCEPTED)  # N05.FR.01

    # --- N02 ------------------------------------------------------------------------------

    def _on_report(self, request: v21.GetMonitoringReportRequest) -> Handling:
        criteria = request.monitoring_criteria
        unsupported = {*(criteria or ())} - {*CRITERIA}
        if unsupported:  # N02.FR.02
            text = ",".join(sorted(unsupported))
            return self._report_response("NotSupported", "UnsupportedParam", text)
        if (busy := self._reports.refusal(request.request_id)) is not None:
            return self._report_response("Rejected", *busy)
        # N02.FR.16 to N02.FR.21: which variables are meant is for the device model to say.
        variables = self._cache.monitored(request)
        monitors = select(
            self._monitors.table.live.values(),
            criteria,
            None if variables is None else frozenset(variables),
            self._context.version,
        )
        if not monitors:  # N02.FR.10
            return self._report_response("EmptyResultSet", "NotFound")
        self._reports.promise(request.request_id)

        async def send() -> None:
            await self._reports.send(request.request_id, self._parts(request.request_id, monitors))

        return Reply(self._report_response("Accepted"), send)  # N02.FR.01, N02.FR.03

    def _parts(self, request_id: int, monitors: Sequence[Monitor]) -> Iterator[Part]:
        context = self._context
        response = context.messages.NotifyMonitoringReportResponse
        max_bytes = max_message_bytes(self._device_model)
        for page in pages(context, monitors, request_id, max_bytes):
            yield context.call(page, response), page.tbc is not True

    def _report_response(
        self, status: str, reason_code: str | None = None, additional_info: str = ""
    ) -> v21.GetMonitoringReportResponse:
        m = self._context.messages
        return m.GetMonitoringReportResponse(
            status=m.GenericDeviceModelStatusEnumType(status),
            status_info=self._info(reason_code, additional_info),
        )

    def _info(
        self, reason_code: str | None, additional_info: str = ""
    ) -> v21.StatusInfoType | None:
        return self._context.status_info(reason_code, additional_info or None)


_UNKNOWN_COMPONENT: Final = -1
"""What `DeviceModelCache.find` says of it; -2 is an unknown variable."""
