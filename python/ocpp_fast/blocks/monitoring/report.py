"""N02: which monitors a report holds, and its pages."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from ocpp_fast.blocks.monitoring.events import component_of, variable_of
from ocpp_fast.blocks.monitoring.table import Kind
from ocpp_fast.messages.version import OcppVersion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.blocks.monitoring.table import Monitor
    from ocpp_fast.messages import v21

__all__ = ["CRITERIA", "pages", "select"]

CRITERIA: Final = {
    "ThresholdMonitoring": frozenset({Kind.UPPER_THRESHOLD, Kind.LOWER_THRESHOLD}),  # N02.FR.12
    # N02.FR.13, with the errata of 2.1, where N02.FR.23 is gone.
    "DeltaMonitoring": frozenset({Kind.DELTA, Kind.TARGET_DELTA, Kind.TARGET_DELTA_RELATIVE}),
    "PeriodicMonitoring": frozenset({Kind.PERIODIC, Kind.PERIODIC_CLOCK_ALIGNED}),  # N02.FR.14
}

_ONLY_IN_21: Final = frozenset({Kind.TARGET_DELTA, Kind.TARGET_DELTA_RELATIVE})

# Of one monitor with its component and variable as JSON.
_MONITOR_BYTES: Final = 500


def select(
    monitors: Iterable[Monitor],
    criteria: Collection[str] | None,
    variables: Collection[int] | None,
    version: OcppVersion,
) -> list[Monitor]:
    """The monitors that meet one of the criteria and watch one of the variables; None excludes
    nothing (N02.FR.05, N02.FR.06, N02.FR.08, N02.FR.11). Those that the version has no name for
    are left out. Ordered by variable."""
    kinds = frozenset(Kind)
    if criteria is not None:
        kinds = frozenset[Kind]().union(*(CRITERIA[criterion] for criterion in criteria))
    if version is OcppVersion.V201:
        kinds -= _ONLY_IN_21
    found = [
        monitor
        for monitor in monitors
        if monitor.kind in kinds and (variables is None or monitor.watched.number in variables)
    ]
    found.sort(key=lambda monitor: (monitor.watched.number, monitor.monitor_id))
    return found


def pages(
    context: Context, monitors: Sequence[Monitor], request_id: int, max_bytes: int
) -> Iterator[v21.NotifyMonitoringReportRequest]:
    """The messages that report these monitors, made one by one as they are asked for: the same
    requestId in all (N02.FR.04), seqNo from 0 (N02.FR.09), tbc in all but the last."""
    size = max(1, max_bytes // _MONITOR_BYTES)
    for seq_no, start in enumerate(range(0, len(monitors), size)):
        yield context.messages.NotifyMonitoringReportRequest(
            request_id=request_id,
            generated_at=context.clock.now(),
            seq_no=seq_no,
            tbc=True if start + size < len(monitors) else None,
            monitor=[
                _data(context, list(group))
                for _, group in groupby(monitors[start : start + size], _variable)
            ],
        )


def _variable(monitor: Monitor) -> int:
    return monitor.watched.number


def _data(context: Context, monitors: Sequence[Monitor]) -> v21.MonitoringDataType:
    """The monitors of one variable."""
    m = context.messages
    watched = monitors[0].watched
    return m.MonitoringDataType(
        component=component_of(context, watched),
        variable=variable_of(context, watched),
        variable_monitoring=[_setting(context, monitor) for monitor in monitors],
    )


def _setting(context: Context, monitor: Monitor) -> v21.VariableMonitoringType:
    m = context.messages
    if context.version is OcppVersion.V201:
        return m.VariableMonitoringType(  # pyright: ignore[reportCallIssue]  # a member less
            id=monitor.monitor_id,
            transaction=monitor.transaction,
            value=monitor.value,
            type=m.MonitorEnumType(monitor.kind),
            severity=monitor.severity,
        )
    return m.VariableMonitoringType(
        id=monitor.monitor_id,
        transaction=monitor.transaction,
        value=monitor.value,
        type=m.MonitorEnumType(monitor.kind),
        severity=monitor.severity,
        event_notification_type=m.EventNotificationEnumType(f"{monitor.origin}Monitor"),
    )  # N02.FR.22
