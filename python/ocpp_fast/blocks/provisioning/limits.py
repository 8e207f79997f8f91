"""How much one request of the CSMS may hold: ItemsPerMessage and BytesPerMessage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ocpp_fast.blocks.context import Registration
from ocpp_fast.errors import ErrorCode, RequestRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.router import Limit

__all__ = ["RequestLimits"]

_LIMITED: Final = {
    "GetVariables": ("DeviceDataCtrlr", "GetVariables", "get_variable_data"),
    "SetVariables": ("DeviceDataCtrlr", "SetVariables", "set_variable_data"),
    "GetReport": ("DeviceDataCtrlr", "GetReport", "component_variable"),
    "GetMonitoringReport": ("DeviceDataCtrlr", "GetReport", "component_variable"),
    "SetVariableMonitoring": ("MonitoringCtrlr", "SetVariableMonitoring", "set_monitoring_data"),
    "ClearVariableMonitoring": ("MonitoringCtrlr", "ClearVariableMonitoring", "id"),
}
"""Action -> component and variable instance of its limits, and the list that is counted."""


class RequestLimits:
    """Refuses requests with more elements, or in longer frames, than the variables allow.

    More elements get OccurrenceConstraintViolation (B05.FR.11, B06.FR.16, B08.FR.17, N02.FR.07,
    N04.FR.09, N06.FR.06), more bytes FormatViolation (B06.FR.17, B08.FR.18, N04.FR.09, N06.FR.07).
    The variables are read at each request; one that is missing or has no value limits nothing.
    """

    def __init__(self, context: Context, device_model: DeviceModel) -> None:
        self._context = context
        self._cache = device_model.cache
        self.table: Mapping[str, Limit] = {action: self._limit(action) for action in _LIMITED}
        """For the router."""

    def _limit(self, action: str) -> Limit:
        component, instance, member = _LIMITED[action]
        find = self._cache.find
        items = find(component, None, None, None, "ItemsPerMessage", instance)
        length = find(component, None, None, None, "BytesPerMessage", instance)

        def check(request: Any, size_bytes: int) -> None:
            if self._context.registration in (Registration.NONE, Registration.REJECTED):
                return  # Such a request is refused for another reason (B03.FR.08).
            allowed = self._value(items)
            if allowed is not None and (count := len(getattr(request, member) or ())) > allowed:
                raise RequestRefused(
                    ErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
                    f"{action} has {count} elements, {allowed} are allowed",
                )
            allowed = self._value(length)
            if allowed is not None and size_bytes > allowed:
                raise RequestRefused(
                    ErrorCode.FORMAT_VIOLATION,
                    f"{action} has {size_bytes} bytes, {allowed} are allowed",
                )

        return check

    def _value(self, variable: int) -> int | None:
        text = self._cache.value(variable) if variable >= 0 else None
        return int(text) if text else None
