"""The monitors of a station and what comes of them (N02 to N08)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

from ocpp_fast.blocks.monitoring.events import Notice, event_data
from ocpp_fast.blocks.monitoring.outgoing import Outgoing
from ocpp_fast.blocks.monitoring.requests import Requests
from ocpp_fast.blocks.monitoring.schedule import Schedule
from ocpp_fast.blocks.monitoring.settings import Settings
from ocpp_fast.blocks.monitoring.table import (
    KINDS,
    MAX_SEVERITY,
    ORIGINS,
    FileMonitor,
    Kind,
    Monitor,
    MonitorTable,
    Watched,
)
from ocpp_fast.blocks.reporting import max_message_bytes
from ocpp_fast.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from ocpp_fast._core import DeviceModelEvent
    from ocpp_fast.blocks.context import ActiveTransactions, Context
    from ocpp_fast.blocks.monitoring.table import Changes
    from ocpp_fast.clock import Timer
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.router import Handler
    from ocpp_fast.storage import MonitorRow, Storage

__all__ = ["EventDetails", "Monitoring"]

_log = logging.getLogger(__name__)

DEFAULT_SEVERITY: Final = 5
"""Of a hard-wired notification that names none (N07.FR.21): Alert, the default of all events."""


class EventDetails(TypedDict, total=False):
    """What may be said of an event beside its variable and value."""

    severity: int
    """0 (danger) to 9 (debug)."""
    cleared: bool | None
    """True when a situation that was told is over."""
    cause: int | None
    """The eventId of the event that has caused this one."""
    transaction_id: str | None
    """Without it the transaction on the EVSE, if there is one."""
    tech_code: str | None
    """The maker's code, at most 50 characters."""
    tech_info: str | None
    """At most 500 characters."""
    timestamp: datetime | None
    """When it happened, aware; without it now."""


class Monitoring:
    """Keeps the monitors, lets the device model evaluate them, and tells the CSMS.

    A monitor is evaluated only while its event could be told: `_update` says up to which severity
    number. The others wait and are judged by the values that hold when they may speak again (N07,
    remark 8), so that the CSMS always gets to know the present state.
    """

    def __init__(
        self,
        context: Context,
        device_model: DeviceModel,
        storage: Storage,
        transactions: ActiveTransactions,
    ) -> None:
        self._context = context
        self._device_model = device_model
        self._cache = device_model.cache
        self._storage = storage
        self._transactions = transactions
        self._settings = Settings(device_model, self._update)
        self._outgoing = Outgoing(
            context,
            queuing_severity=lambda: self._settings.queuing_severity,
            max_bytes=lambda: max_message_bytes(device_model),
            on_full=self._update,
        )
        self.table = MonitorTable()
        """The monitors there are; replaced by each request that changes something."""
        self._schedule = Schedule()
        self._timer: Timer | None = None
        self._limit = MAX_SEVERITY
        self._running = False
        # Ids of monitors whose row in the storage does not say whether they are triggered.
        self._unstored: set[int] = set()
        self._noted = False
        self._applying = False
        self._requests = Requests(context, device_model, self, self._settings)
        self.handlers: Mapping[str, Handler] = self._requests.handlers
        device_model.on_events(self._on_events)

    # --- life -----------------------------------------------------------------------------

    async def open(self) -> None:
        """Takes up the monitors that an earlier run has left, and those of the component files;
        the device model has its values. Raises `StorageError`."""
        self._context.next_event_id = self._settings.event_ids().take
        rows = await self._storage.monitors_load()
        files = [
            FileMonitor(
                Watched.of(self._cache, variable),
                KINDS[kind],
                value,
                severity,
                transaction,
                ORIGINS[origin],
            )
            for variable, kind, value, severity, transaction, origin in (
                self._cache.config_monitors()
            )
        ]
        self.table, changes = MonitorTable.restore(rows, files, self._find, self._settings.base)
        try:
            await self._store(changes)
        except StorageError as error:
            _log.error("the next start will store what the component files monitor: %s", error)
        self._running = True
        self._update()
        self._start(changes.started)
        self._arm()

    async def run(self) -> None:
        """Tells the CSMS what there is to tell, for ever."""
        await self._outgoing.run()

    def redate(self, correct: Callable[[datetime], datetime]) -> None:
        """See `redating.Dated`."""
        self._outgoing.redate(correct)
        self._arm()

    def stop(self) -> None:
        """Times nothing more: the station stops."""
        self._running = False
        self._arm()

    # --- what happens at the station ------------------------------------------------------

    def on_online_changed(self) -> None:
        """The link came or went, or the CSMS has accepted the station."""
        self._outgoing.on_online_changed()
        self._update()

    def on_transaction(self, evse_id: int, transaction_id: str | None) -> None:
        """A transaction has begun or, with None, ended on an EVSE."""
        self._take(self._cache.set_transaction(evse_id, transaction_id is not None))

    def raise_event(
        self,
        component: str,
        variable: str,
        actual_value: str | None = None,
        *,
        instance: str | None = None,
        evse_id: int | None = None,
        connector_id: int | None = None,
        variable_instance: str | None = None,
        **details: Unpack[EventDetails],
    ) -> int:
        """See `ChargePoint.raise_event`."""
        severity = details.get("severity", DEFAULT_SEVERITY)
        if not 0 <= severity <= MAX_SEVERITY:
            raise ConfigurationError(f"severity {severity} is not from 0 to {MAX_SEVERITY}")
        event_id = self._context.next_event_id()
        # Other than a monitor, it cannot be made up for later.
        if severity > self._told_up_to():
            return event_id
        number = self._cache.find(
            component, instance, evse_id, connector_id, variable, variable_instance
        )
        if number >= 0:
            watched = Watched.of(self._cache, number)
            value = self._cache.value_for_peer(number) if actual_value is None else actual_value
        else:
            watched = Watched(
                number=number,
                component=component,
                instance=instance,
                evse_id=evse_id,
                connector_id=connector_id,
                variable=variable,
                variable_instance=variable_instance,
            )
            value = actual_value or ""
        notice = Notice(
            event_id=event_id,
            timestamp=details.get("timestamp") or self._context.clock.now(),
            trigger="Alerting",
            notification="HardWiredNotification",
            watched=watched,
            actual_value=value,
            severity=severity,
            cleared=details.get("cleared"),
            cause=details.get("cause"),
            transaction_id=details.get("transaction_id") or self._transaction_of(watched),
            tech_code=details.get("tech_code"),
            tech_info=details.get("tech_info"),
        )
        event_data(self._context, notice)  # What breaks the schema is the caller's mistake.
        self._outgoing.put((notice,))
        return event_id

    # --- requests -------------------------------------------------------------------------

    async def apply(self, draft: MonitorTable) -> None:
        """Makes a draft of `table` the table: durable when this returns, and then in force
        (N04.FR.08, N07.FR.13). Raises `StorageError`, and then nothing has changed.

        One draft at a time; what triggers at once is told after the answer.
        """
        changes = draft.changes_from(self.table)
        self._applying = True
        try:
            await self._store(changes)
        finally:
            self._applying = False
            self._keep_later(())
        draft.take_triggered(self.table)
        self.table = draft
        for monitor_id in changes.ended:
            self._cache.clear_monitor(monitor_id)
            self._schedule.remove(monitor_id)
        self._start(changes.started)
        self._arm()

    def set_level(self, severity: int) -> None:
        """N05."""
        self._settings.set_level(severity)
        self._update()

    # --- evaluation -----------------------------------------------------------------------

    def _start(self, monitors: Iterable[Monitor]) -> None:
        """Lets monitors watch from now on; those that replace another of the same id too."""
        clock = self._context.clock
        for monitor in monitors:
            monitor_id = monitor.monitor_id
            if monitor.kind.periodic:
                self._cache.clear_monitor(monitor_id)
                self._schedule.add(
                    monitor_id,
                    monitor.value,
                    clock.monotonic(),
                    clock.now(),
                    aligned=monitor.kind is Kind.PERIODIC_CLOCK_ALIGNED,
                )
            else:
                self._schedule.remove(monitor_id)
                self._take(
                    self._cache.set_monitor(
                        monitor_id,
                        monitor.watched.number,
                        monitor.kind.number,
                        monitor.value,
                        monitor.severity,
                        monitor.transaction,
                        monitor_id in self.table.triggered,
                    )
                )

    def _told_up_to(self) -> int:
        """The highest severity number of events that are told, now or when the station is online
        again; -1 for none."""
        if self._context.accepted:
            return self._settings.level
        return min(self._settings.level, self._settings.queuing_severity)

    def _update(self) -> None:
        """Lets those monitors be evaluated whose events can be told: N05.FR.03, N07.FR.04,
        N07.FR.15, MonitoringCtrlr.Enabled, and no more than can wait."""
        if not self._running:
            return
        limit = -1
        if self._settings.enabled and not self._outgoing.full:
            limit = self._told_up_to()
        if limit != self._limit:
            self._limit = limit
            self._take(self._cache.suspend(limit))

    def _take(self, events: list[DeviceModelEvent]) -> None:
        if events:
            self._on_events(events)

    def _on_events(self, events: list[DeviceModelEvent]) -> None:
        """N07: what the device model has found."""
        now = self._context.clock.now()
        notices: list[Notice] = []
        for monitor_id, _, value, cleared in events:
            monitor = self.table.live.get(monitor_id)
            if monitor is None:  # removed since (N07.FR.12)
                continue
            if monitor.kind.bounded and (monitor_id in self.table.triggered) is cleared:
                (self.table.triggered.discard if cleared else self.table.triggered.add)(monitor_id)
                self._keep_later((monitor_id,))
            trigger = "Delta" if monitor.kind is Kind.DELTA else "Alerting"
            notices.append(self._notice(monitor, now, trigger, value, cleared=cleared or None))
        self._outgoing.put(notices)

    def _notice(
        self,
        monitor: Monitor,
        now: datetime,
        trigger: str,
        value: str,
        *,
        cleared: bool | None = None,
    ) -> Notice:
        return Notice(
            event_id=self._context.next_event_id(),
            timestamp=now,
            trigger=trigger,
            notification=f"{monitor.origin}Monitor",
            watched=monitor.watched,
            actual_value=value,
            severity=monitor.severity,
            monitor_id=monitor.monitor_id,
            cleared=cleared,
            transaction_id=self._transaction_of(monitor.watched),
        )

    def _transaction_of(self, watched: Watched) -> str | None:
        if watched.evse_id is None:
            return None
        return self._transactions.transaction_id(watched.evse_id)

    # --- N08 ------------------------------------------------------------------------------

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        clock = self._context.clock
        wait_s = self._schedule.wait_s(clock.monotonic(), clock.now()) if self._running else None
        if wait_s is not None:
            self._timer = clock.call_later(wait_s, self._tick)

    def _tick(self) -> None:
        """N08.FR.05, N08.FR.06, N08.FR.07."""
        clock = self._context.clock
        now = clock.now()
        value = self._cache.value_for_peer
        due = [self.table.live[i] for i in self._schedule.take(clock.monotonic(), now)]
        self._arm()
        self._outgoing.put(
            self._notice(monitor, now, "Periodic", value(monitor.watched.number))
            for monitor in due
            if monitor.severity <= self._limit and self._is_live(monitor)
        )

    def _is_live(self, monitor: Monitor) -> bool:
        if not monitor.transaction:
            return True
        evse_id = monitor.watched.evse_id
        if evse_id is None:
            return any(True for _ in self._transactions.active_evses())
        return self._transactions.transaction_id(evse_id) is not None

    # --- the storage ----------------------------------------------------------------------

    def _find(self, row: MonitorRow) -> Watched | None:
        number = self._cache.find(
            row.component,
            row.instance or None,
            row.evse_id or None,
            row.connector_id or None,
            row.variable,
            row.variable_instance or None,
        )
        return Watched.of(self._cache, number) if number >= 0 else None

    async def _store(self, changes: Changes) -> None:
        if changes.store:
            await self._storage.monitors_store(changes.store)
        if changes.remove:
            await self._storage.monitors_remove(changes.remove)

    def _keep_later(self, monitor_ids: Iterable[int]) -> None:
        """Stores, some time later, whether monitors are triggered (N07.FR.14)."""
        self._unstored.update(monitor_ids)
        if self._unstored and not self._noted and not self._applying:
            self._noted = True
            self._context.delivery.note(self._keep)

    async def _keep(self) -> None:
        self._noted = False
        if self._applying:
            return  # It would store what is about to be replaced; `apply` comes back to it.
        ids, self._unstored = self._unstored, set()
        rows = [row for monitor_id in sorted(ids) if (row := self.table.row(monitor_id))]
        if rows:
            await self._storage.monitors_store(rows)
