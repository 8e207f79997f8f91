"""The variables of MonitoringCtrlr, as the monitoring block uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ocpp_fast.blocks.monitoring.events import EventIds
from ocpp_fast.blocks.monitoring.table import MAX_SEVERITY, Base
from ocpp_fast.device_model.handle import INTERNAL
from ocpp_fast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocpp_fast.device_model import DeviceModel, VariableHandle

__all__ = ["Settings"]

_CTRLR: Final = "MonitoringCtrlr"


class Settings:
    """Reads and keeps them; a variable that the device model does not have keeps its default, and
    what is set lasts until the end of the process."""

    def __init__(self, device_model: DeviceModel, on_change: Callable[[], None]) -> None:
        """`on_change` is called when one has changed that decides which monitors are evaluated."""
        self._device_model = device_model
        self._available = self._find(_CTRLR, "Available")
        self._enabled = self._find(_CTRLR, "Enabled")
        self._base = self._find(_CTRLR, "ActiveMonitoringBase")
        self._level = self._find(_CTRLR, "ActiveMonitoringLevel")
        self._queuing = self._find(_CTRLR, "OfflineQueuingSeverity")
        self._next_event_id = self._find("InternalCtrlr", "NextEventId")
        self._own_base, self._own_level = Base.ALL, MAX_SEVERITY
        for handle in (self._available, self._enabled, self._level, self._queuing):
            if handle is not None:
                handle.on_change(lambda _: on_change())

    @property
    def available(self) -> bool:
        """Whether there is monitoring at all: not without the component."""
        return self._device_model.cache.find(
            _CTRLR, None, None, None, "ActiveMonitoringBase", None
        ) != -1 and _value(self._available, default=True)

    @property
    def enabled(self) -> bool:
        """Whether monitors work now."""
        return self.available and _value(self._enabled, default=True)

    @property
    def base(self) -> Base:
        """The MonitoringBase that was set last."""
        text: str = _value(self._base, default=self._own_base)
        return next((base for base in Base if base.lower() == text.lower()), self._own_base)

    def set_base(self, base: Base) -> None:
        """Keeps a new MonitoringBase; it is stored some time later."""
        self._own_base = base
        if self._base is not None:
            # Component files may spell it otherwise: part 2 itself has HardwiredOnly, too.
            words = (self._base.info.values_list or "").split(",")
            spelled = (word for word in words if word.strip().lower() == base.lower())
            self._base.set(next(spelled, base.value).strip(), source=INTERNAL)

    @property
    def level(self) -> int:
        """Events of a higher severity number are not told (N05.FR.03)."""
        return _value(self._level, default=self._own_level)

    def set_level(self, severity: int) -> None:
        """Keeps a new level; it is stored some time later."""
        self._own_level = severity
        if self._level is not None:
            self._level.set(severity, source=INTERNAL)

    @property
    def queuing_severity(self) -> int:
        """Events up to this severity number are queued while offline; -1 when it is not set."""
        if self._device_model.variables.queue_all_messages:
            return MAX_SEVERITY
        return _value(self._queuing, default=-1)

    def event_ids(self) -> EventIds:
        """Numbers that rise over restarts, if the device model can keep the next one."""
        handle = self._next_event_id

        def reserve(following: int) -> None:
            if handle is not None:
                handle.set(following, source=INTERNAL)

        return EventIds(_value(handle, default=0), reserve)

    def _find(self, component: str, variable: str) -> VariableHandle | None:
        try:
            return self._device_model.variable(component, variable)
        except ConfigurationError:
            return None


def _value(handle: VariableHandle | None, *, default: Any) -> Any:
    value = None if handle is None else handle.get()
    return default if value is None else value
