"""Which monitors there are: their ids, their rules, and what a request makes of them. No I/O.

A monitor has one of three origins. HardWired and Preconfigured ones come from the component files,
Custom ones from the CSMS (or, to begin with, from the files). The CSMS may overrule, clear or
disable what is preconfigured; such a monitor is dormant, and SetMonitoringBase wakes it again.

In the storage a monitor has the row of its id. A dormant one has the row of its negative id, so
that a custom monitor that overrules it can stand beside it under the id they share (N04.FR.12).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from ocpp_fast.device_model.handle import describe
from ocpp_fast.storage.base import MonitorRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ocpp_fast._core import DeviceModelCache

__all__ = [
    "Base",
    "Changes",
    "FileMonitor",
    "Kind",
    "Monitor",
    "MonitorTable",
    "Origin",
    "Refusal",
    "Wanted",
    "Watched",
]

MAX_MONITORS: Final = 10_000
"""How many monitors the CSMS may set; more are Rejected with OutOfMemory."""

MAX_SEVERITY: Final = 9

MIN_INTERVAL_S: Final = 1.0
"""The shortest interval of a periodic monitor."""


class Kind(StrEnum):
    """A MonitorEnumType; `number` is what the Rust core calls it."""

    UPPER_THRESHOLD = "UpperThreshold"
    LOWER_THRESHOLD = "LowerThreshold"
    DELTA = "Delta"
    PERIODIC = "Periodic"
    PERIODIC_CLOCK_ALIGNED = "PeriodicClockAligned"
    TARGET_DELTA = "TargetDelta"
    TARGET_DELTA_RELATIVE = "TargetDeltaRelative"

    @property
    def number(self) -> int:
        """Its place in the enumeration."""
        return _NUMBERS[self]

    @property
    def periodic(self) -> bool:
        """Whether time triggers it, not a change."""
        return self in _PERIODIC

    @property
    def bounded(self) -> bool:
        """Whether it has a state, triggered or not, and so can be cleared (N07.FR.02)."""
        return self in _BOUNDED


_NUMBERS: Final = {kind: number for number, kind in enumerate(Kind)}
KINDS: Final = tuple(Kind)
_PERIODIC: Final = {Kind.PERIODIC, Kind.PERIODIC_CLOCK_ALIGNED}
_THRESHOLDS: Final = {Kind.UPPER_THRESHOLD, Kind.LOWER_THRESHOLD}
_ON_TARGET: Final = {Kind.TARGET_DELTA, Kind.TARGET_DELTA_RELATIVE}
_BOUNDED: Final = _THRESHOLDS | _ON_TARGET


class Origin(StrEnum):
    """Who has set a monitor; with "Monitor" behind it an EventNotificationEnumType."""

    HARD_WIRED = "HardWired"
    PRECONFIGURED = "Preconfigured"
    CUSTOM = "Custom"


ORIGINS: Final = tuple(Origin)


class Base(StrEnum):
    """A MonitoringBaseEnumType."""

    ALL = "All"
    FACTORY_DEFAULT = "FactoryDefault"
    HARD_WIRED_ONLY = "HardWiredOnly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A variable of the device model, as far as monitors need to know it."""

    number: int
    """What the Rust core calls it."""
    component: str
    instance: str | None = None
    evse_id: int | None = None
    connector_id: int | None = None
    variable: str
    variable_instance: str | None = None
    data_type: str = "string"
    min_limit: float | None = None
    max_limit: float | None = None
    supports_monitoring: bool = True
    has_target: bool = False

    @classmethod
    def of(cls, cache: DeviceModelCache, number: int) -> Self:
        """The variable of this number."""
        info = describe(cache, number)
        return cls(
            number=number,
            component=info.component,
            instance=info.component_instance,
            evse_id=info.evse_id,
            connector_id=info.connector_id,
            variable=info.variable,
            variable_instance=info.variable_instance,
            data_type=info.data_type,
            min_limit=info.min_limit,
            max_limit=info.max_limit,
            supports_monitoring=info.supports_monitoring,
            has_target=any(attribute.name == "Target" for attribute in info.attributes),
        )

    def supports(self, kind: Kind) -> bool:
        """Whether monitors of this kind make sense here (Part 1, table of section 4.4 in 2.0.1 and
        3.4 in 2.1)."""
        if not self.supports_monitoring:
            return False
        if kind in _THRESHOLDS:
            return self.data_type in ("decimal", "integer")
        if kind in _ON_TARGET and not self.has_target:
            return False
        return kind is Kind.DELTA or self.data_type != "dateTime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """One monitor. Another value or severity makes another object of the same id."""

    monitor_id: int
    watched: Watched
    kind: Kind
    value: float
    """Threshold, difference, or interval in seconds."""
    severity: int
    transaction: bool = False
    origin: Origin = Origin.CUSTOM

    @property
    def key(self) -> tuple[int, Kind, int]:
        """What no two live monitors have in common (N04.FR.10)."""
        return self.watched.number, self.kind, self.severity

    def row(self, *, triggered: bool, dormant: bool = False) -> MonitorRow:
        """What is stored of it."""
        watched = self.watched
        return MonitorRow(
            -self.monitor_id if dormant else self.monitor_id,
            watched.component,
            watched.instance or "",
            watched.evse_id or 0,
            watched.connector_id or 0,
            watched.variable,
            watched.variable_instance or "",
            self.kind.value,
            self.value,
            self.severity,
            self.transaction,
            self.origin.value,
            triggered,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one element of a SetVariableMonitoringRequest asks for."""

    monitor_id: int | None
    watched: Watched
    kind: Kind
    value: float
    severity: int
    transaction: bool = False

    def refusal(self) -> Refusal | None:
        """Why no station could set this monitor; None if there is no reason."""
        watched = self.watched
        if not watched.supports(self.kind):  # N04.FR.05
            what = f"{watched.variable} has no monitors of type {self.kind}"
            return Refusal("UnsupportedMonitorType", "UnsupportedParam", what)
        if not 0 <= self.severity <= MAX_SEVERITY:
            text = f"severity {self.severity} is not from 0 to {MAX_SEVERITY}"
            return Refusal("Rejected", "ValueOutOfRange", text)
        if self.kind in _THRESHOLDS:  # N04.FR.06
            low, high = watched.min_limit, watched.max_limit
            if (low is not None and self.value < low) or (high is not None and self.value > high):
                text = f"{self.value:g} is outside the limits of {watched.variable}"
                return Refusal("Rejected", "ValueOutOfRange", text)
        elif self.kind.periodic:
            if self.value < MIN_INTERVAL_S:
                text = f"the interval must be at least {MIN_INTERVAL_S:g} s"
                return Refusal("Rejected", "ValueOutOfRange", text)
        elif self.value < 0:  # N04.FR.14
            return Refusal("Rejected", "ValueOutOfRange", "a difference is not negative")
        return None


class Refusal(NamedTuple):
    """Why a monitor was not set."""

    status: str
    """A SetMonitoringStatusEnumType."""
    reason_code: str
    additional_info: str


class FileMonitor(NamedTuple):
    """A monitor of the component files."""

    watched: Watched
    kind: Kind
    value: float
    severity: int
    transaction: bool
    origin: Origin

    def named(self, monitor_id: int) -> Monitor:
        """The monitor that it makes under this id."""
        return Monitor(monitor_id=monitor_id, **self._asdict())


class Changes(NamedTuple):
    """What one table has that another has not. To be stored in this order: store, then remove."""

    store: list[MonitorRow]
    remove: list[int]
    """Ids of rows."""
    started: list[Monitor]
    """Live monitors that are new or other than before."""
    ended: list[int]
    """Ids of monitors that are live no more."""


_NONE: Final[Mapping[tuple[int, Kind, int], int]] = MappingProxyType({})


class MonitorTable:
    """The monitors of one station."""

    def __init__(self, ids: Mapping[tuple[int, Kind, int], int] = _NONE, last_id: int = 0) -> None:
        self.live: dict[int, Monitor] = {}
        """Those that watch, and that are reported."""
        self.originals: dict[int, Monitor] = {}
        """Those of the component files, live or dormant."""
        self.triggered: set[int] = set()
        """Ids of live monitors whose boundary is crossed (N07.FR.14)."""
        self._ids = {**ids}
        self._touched: set[int] = set()
        self._last_id = last_id

    def draft(self) -> Self:
        """A copy to try a request on, see `changes_from`."""
        copy = type(self)(self._ids, self._last_id)
        copy.live = self.live.copy()
        copy.originals = self.originals
        copy.triggered = self.triggered.copy()
        return copy

    def take_triggered(self, before: MonitorTable) -> None:
        """What was triggered or cleared in `before` since the draft was made of it is so here."""
        for monitor_id, monitor in self.live.items():
            old = before.live.get(monitor_id)
            if old is not None and old.kind is monitor.kind:
                if monitor_id in before.triggered:
                    self.triggered.add(monitor_id)
                else:
                    self.triggered.discard(monitor_id)

    # --- requests -------------------------------------------------------------------------

    def set(self, wanted: Wanted) -> int | Refusal:
        """Sets or replaces a monitor; gives its id, or why it was not set."""
        monitor_id = wanted.monitor_id
        refusal = wanted.refusal() or self._not_replaceable(wanted)
        if refusal is not None:
            return refusal
        other = self._ids.get((wanted.watched.number, wanted.kind, wanted.severity))
        if other is not None and other != monitor_id:  # N04.FR.10
            text = f"monitor {other} has this type and severity"
            return Refusal("Duplicate", "InvalidValue", text)
        if monitor_id is None:
            if len(self.live) >= MAX_MONITORS:
                text = f"there are {MAX_MONITORS} monitors already"
                return Refusal("Rejected", "OutOfMemory", text)
            monitor_id = self._next_id()  # N04.FR.11
        self._start(
            Monitor(
                monitor_id=monitor_id,
                watched=wanted.watched,
                kind=wanted.kind,
                value=wanted.value,
                severity=wanted.severity,
                transaction=wanted.transaction,
            )  # Custom, whatever it replaces (N04.FR.15)
        )
        return monitor_id

    def clear(self, monitor_id: int) -> str:
        """Removes a monitor; gives the ClearMonitoringStatusEnumType. What was preconfigured
        becomes dormant."""
        monitor = self.live.get(monitor_id)
        if monitor is None:
            return "NotFound"  # N06.FR.02
        if monitor.origin is Origin.HARD_WIRED:
            return "Rejected"  # N06.FR.03
        self._end(monitor_id)
        return "Accepted"

    def set_base(self, base: Base) -> None:
        """N03.FR.03, N03.FR.04, N03.FR.05."""
        ending = {
            Base.ALL: (),
            Base.FACTORY_DEFAULT: (Origin.CUSTOM,),
            Base.HARD_WIRED_ONLY: (Origin.CUSTOM, Origin.PRECONFIGURED),
        }[base]
        for monitor in tuple(self.live.values()):
            if monitor.origin in ending:
                self._end(monitor.monitor_id)
        if base is not Base.HARD_WIRED_ONLY:
            for monitor in self.originals.values():
                if monitor.origin is Origin.PRECONFIGURED:
                    self._wake(monitor)

    # --- the storage ----------------------------------------------------------------------

    def row(self, row_id: int) -> MonitorRow | None:
        """What is to be stored under this id, which is negative for a dormant monitor."""
        live = self.live.get(abs(row_id))
        if row_id > 0:
            return None if live is None else live.row(triggered=row_id in self.triggered)
        original = self.originals.get(-row_id)
        if original is None or original is live:
            return None
        return original.row(triggered=False, dormant=True)

    def changes_from(self, before: MonitorTable) -> Changes:
        """What has happened to a draft since it was made of `before`."""
        changes = Changes([], [], [], [])
        for monitor_id in sorted(self._touched):
            for row_id in (monitor_id, -monitor_id):
                old, new = before.row(row_id), self.row(row_id)
                if new is not None and new != old:
                    changes.store.append(new)
                elif new is None and old is not None:
                    changes.remove.append(row_id)
            live = self.live.get(monitor_id)
            if live is None:
                if monitor_id in before.live:
                    changes.ended.append(monitor_id)
            elif live is not before.live.get(monitor_id):
                changes.started.append(live)
        return changes

    @classmethod
    def restore(
        cls,
        rows: Sequence[MonitorRow],
        files: Iterable[FileMonitor],
        find: Callable[[MonitorRow], Watched | None],
        base: Base,
    ) -> tuple[Self, Changes]:
        """The table at a start: what is stored and still fits (N04, remark 8; N07.FR.13), with
        what is in the component files now. Ids stay.

        `find` gives the variable of a row. `base` decides whether preconfigured monitors that are
        new to the files are live.
        """
        stored = {row.monitor_id: row for row in rows}
        table = cls(last_id=max(map(abs, stored), default=0))
        known: dict[tuple[int, Kind, int, Origin], int] = {}
        for row in rows:
            table._take(row, find(row), known)
        for file in files:
            table._take_file(file, stored, known, base)
        changes = Changes([], [], list(table.live.values()), [])
        wanted = {
            row_id: row
            for monitor_id in {*table.live, *table.originals}
            for row_id in (monitor_id, -monitor_id)
            if (row := table.row(row_id)) is not None
        }
        changes.store.extend(row for row_id, row in wanted.items() if stored.get(row_id) != row)
        changes.remove.extend(row_id for row_id in stored if row_id not in wanted)
        table._touched.clear()
        return table, changes

    def _take(
        self,
        row: MonitorRow,
        watched: Watched | None,
        known: dict[tuple[int, Kind, int, Origin], int],
    ) -> None:
        """Takes what a row says, as far as there is such a variable and it has such monitors."""
        if watched is None or row.kind not in _KIND_NAMES or row.config not in _ORIGIN_NAMES:
            return
        kind, origin = Kind(row.kind), Origin(row.config)
        if not watched.supports(kind):
            return
        # Rows come in the order of their ids: dormant monitors before those that stand in for them.
        known.setdefault((watched.number, kind, row.severity, origin), row.monitor_id)
        if row.monitor_id > 0 and origin is Origin.CUSTOM:
            self._start(
                Monitor(
                    monitor_id=row.monitor_id,
                    watched=watched,
                    kind=kind,
                    value=row.value,
                    severity=row.severity,
                    transaction=row.transaction,
                )
            )
            if row.triggered:
                self.triggered.add(row.monitor_id)

    def _take_file(
        self,
        file: FileMonitor,
        stored: dict[int, MonitorRow],
        known: dict[tuple[int, Kind, int, Origin], int],
        base: Base,
    ) -> None:
        row_id = known.get((file.watched.number, file.kind, file.severity, file.origin))
        if row_id is not None and abs(row_id) in self.originals:
            return  # the files say it twice
        monitor = file.named(self._next_id() if row_id is None else abs(row_id))
        self.originals[monitor.monitor_id] = monitor
        known[(*monitor.key, file.origin)] = monitor.monitor_id
        if row_id is None:
            if file.origin is not Origin.PRECONFIGURED or base is not Base.HARD_WIRED_ONLY:
                self._wake(monitor)
        elif row_id > 0:
            live = self.live.get(row_id)
            if live is None or live == monitor:
                self._start(monitor)
            if stored[row_id].triggered:
                self.triggered.add(row_id)

    # --- inside ---------------------------------------------------------------------------

    def _not_replaceable(self, wanted: Wanted) -> Refusal | None:
        monitor_id = wanted.monitor_id
        if monitor_id is None:
            return None
        old = self.live.get(monitor_id)
        if old is None:  # N04.FR.13
            return Refusal("Rejected", "NotFound", f"there is no monitor {monitor_id}")
        if old.watched.number != wanted.watched.number:  # N04.FR.16
            text = f"monitor {monitor_id} watches another variable"
            return Refusal("Rejected", "InvalidValue", text)
        if old.origin is Origin.HARD_WIRED:  # N04.FR.18
            text = f"monitor {monitor_id} is hard-wired"
            return Refusal("Rejected", "InvalidValue", text)
        return None

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _start(self, monitor: Monitor) -> None:
        old = self.live.get(monitor.monitor_id)
        if old is not None:
            self._ids.pop(old.key, None)
            if old.kind is not monitor.kind:
                self.triggered.discard(monitor.monitor_id)
        self.live[monitor.monitor_id] = monitor
        self._ids[monitor.key] = monitor.monitor_id
        self._touched.add(monitor.monitor_id)

    def _end(self, monitor_id: int) -> None:
        monitor = self.live.pop(monitor_id)
        self._ids.pop(monitor.key, None)
        self.triggered.discard(monitor_id)
        self._touched.add(monitor_id)

    def _wake(self, original: Monitor) -> None:
        """Makes a dormant monitor live, unless a custom one stands in its place."""
        if original.monitor_id not in self.live and original.key not in self._ids:
            self._start(original)


_KIND_NAMES: Final = frozenset(Kind)
_ORIGIN_NAMES: Final = frozenset(Origin)
