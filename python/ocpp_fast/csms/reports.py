"""Reports that come in parts, put together. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Report", "ReportParts"]

MAX_ITEMS: Final = 1_000_000
"""Of one report; what comes beyond is dropped, and the report is never complete."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a station has answered to GetBaseReport, GetReport or GetMonitoringReport."""

    status: str
    """A GenericDeviceModelStatusEnumType; only Accepted has items."""
    items: Sequence[Any] = ()
    """ReportDataType or MonitoringDataType, in the order of the parts."""
    parts: int = 0


@dataclass(slots=True)
class ReportParts:
    """The parts of one report, in whatever order they come."""

    on_complete: Callable[[], None]
    """Called when the last one that was missing has come."""
    max_items: int = MAX_ITEMS
    count: int = 0
    """Items so far."""
    overflown: bool = False
    _parts: dict[int, Sequence[Any]] = field(default_factory=dict[int, "Sequence[Any]"])
    _last: int | None = None

    def add(self, seq_no: int, items: Sequence[Any], *, more: bool) -> None:
        """Takes a part; one that has come before changes nothing."""
        if seq_no in self._parts:
            return
        self.count += len(items)
        if self.count > self.max_items:
            self.overflown = True
            items = ()
        self._parts[seq_no] = items
        if not more:
            self._last = seq_no
        if self.complete:
            self.on_complete()

    @property
    def complete(self) -> bool:
        """Whether all parts are there and none was too much."""
        return self._last is not None and len(self._parts) == self._last + 1 and not self.overflown

    def report(self, status: str) -> Report:
        """All items there are."""
        ordered = [self._parts[seq_no] for seq_no in sorted(self._parts)]
        return Report(status, [item for part in ordered for item in part], len(ordered))
