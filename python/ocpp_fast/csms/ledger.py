"""What the CSMS has learned: stations, their connectors, transactions, events. No I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ocpp_fast.csms.reports import ReportParts
    from ocpp_fast.messages import OcppVersion, v21

__all__ = ["SeqNos", "StationRecord", "TransactionRecord"]

MAX_TRANSACTIONS: Final = 1_000
"""Transactions kept for each station; beyond it the oldest that has ended goes first."""

MAX_EVENTS: Final = 1_000
"""Events kept for each station, and security events; the oldest go first."""

MAX_SIGNED: Final = 100
"""Answers to CertificateSigned kept for each station."""

_ENERGY: Final = "Energy.Active.Import.Register"


class SeqNos:
    """Which seqNos have arrived, in whatever order."""

    __slots__ = ("_early", "count", "duplicates", "first", "next")

    def __init__(self) -> None:
        self.first: int | None = None
        """The lowest so far."""
        self.next = 0
        """The lowest above `first` that has not arrived."""
        self.count = 0
        self.duplicates = 0
        self._early: set[int] = set()

    def add(self, seq_no: int) -> bool:
        """Notes one; false if it had arrived before."""
        if self.first is None:
            self.first = self.next = seq_no
        if seq_no in self._early or self.first <= seq_no < self.next:
            self.duplicates += 1
            return False
        self.count += 1
        self._early.add(seq_no)
        if seq_no < self.first:
            self._early.update(range(self.first, self.next))
            self.first = self.next = min(self._early)
        while self.next in self._early:
            self._early.remove(self.next)
            self.next += 1
        return True

    @property
    def missing(self) -> list[int]:
        """Numbers that have not arrived though a higher one has."""
        if not self._early:
            return []
        return sorted(set(range(self.next, max(self._early))) - self._early)


@dataclass(slots=True)
class TransactionRecord:
    """One transaction as its events told it."""

    transaction_id: str
    seq_nos: SeqNos = field(default_factory=SeqNos)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    updates: int = 0
    updates_with_readings: int = 0
    offline_events: int = 0
    evse_id: int | None = None
    connector_id: int | None = None
    id_token: v21.IdTokenType | None = None
    charging_state: str | None = None
    stopped_reason: str | None = None
    first_energy_wh: float | None = None
    last_energy_wh: float | None = None

    def add(self, event: v21.TransactionEventRequest) -> None:
        """Takes one event; a repeated one changes nothing but the count of duplicates."""
        if not self.seq_nos.add(event.seq_no):
            return
        if event.event_type == "Started":
            self.started_at = event.timestamp
        elif event.event_type == "Ended":
            self.ended_at = event.timestamp
        else:
            self.updates += 1
            self.updates_with_readings += event.meter_value is not None
        self.offline_events += event.offline is True
        if event.evse is not None:
            self.evse_id, self.connector_id = event.evse.id, event.evse.connector_id
        self.id_token = self.id_token or event.id_token
        self.charging_state = event.transaction_info.charging_state or self.charging_state
        self.stopped_reason = event.transaction_info.stopped_reason or self.stopped_reason
        for reading in event.meter_value or ():
            self._take_energy(reading)

    def _take_energy(self, reading: v21.MeterValueType) -> None:
        for value in reading.sampled_value:
            if (value.measurand or _ENERGY) == _ENERGY and value.phase is None:
                unit = value.unit_of_measure
                scale = 10.0 ** ((unit and unit.multiplier) or 0)
                if unit is not None and unit.unit == "kWh":
                    scale *= 1_000.0
                if self.first_energy_wh is None:
                    self.first_energy_wh = value.value * scale
                self.last_energy_wh = value.value * scale

    @property
    def energy_wh(self) -> float | None:
        """Energy from the first to the last reading; None without a reading."""
        if self.first_energy_wh is None or self.last_energy_wh is None:
            return None
        return self.last_energy_wh - self.first_energy_wh

    def problems(self) -> list[str]:
        """What a complete transaction would have and this one has not; empty when complete."""
        found: list[str] = []
        if self.started_at is None:
            found.append("no Started event")
        if not self.updates_with_readings:
            found.append("no Updated event with meter values")
        if self.ended_at is None:
            found.append("no Ended event")
        if missing := self.seq_nos.missing:
            found.append(f"missing seqNo {', '.join(map(str, missing[:10]))}")
        return found


@dataclass(slots=True)
class StationRecord:
    """One station, over all its connections."""

    identity: str
    version: OcppVersion | None = None
    """Of the last connection."""
    connected: bool = False
    security_profile: int = 0
    """Of the last connection (Part 2, A 1.3)."""
    certificate_expired: bool = False
    """It was let in with an expired certificate, which it is to renew (A00.FR.429)."""
    renewal_asked: bool = False
    """Whether it was told so over this connection."""
    registration: str | None = None
    """What its last BootNotification was answered; None before one was seen."""
    boot: v21.BootNotificationRequest | None = None
    may_report: bool = False
    """Whether it was asked for a message while Pending (B02.FR.02)."""
    connectors: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    """(EVSE, connector): the last known ConnectorStatusEnumType."""
    transactions: dict[str, TransactionRecord] = field(default_factory=dict[str, TransactionRecord])
    """By transactionId, the oldest first."""
    events: deque[v21.EventDataType] = field(default_factory=lambda: deque[Any](maxlen=MAX_EVENTS))
    """What NotifyEvent told, the newest last (N07, N08)."""
    security_events: deque[v21.SecurityEventNotificationRequest] = field(
        default_factory=lambda: deque[Any](maxlen=MAX_EVENTS)
    )
    """What SecurityEventNotification told, the newest last (A04)."""
    signed: deque[str] = field(default_factory=lambda: deque[str](maxlen=MAX_SIGNED))
    """What it has answered to CertificateSigned: Accepted or Rejected (A02)."""
    reports: dict[tuple[str, int], ReportParts] = field(
        default_factory=dict[tuple[str, int], "ReportParts"]
    )
    """Reports that somebody waits for, by the action of their parts and their requestId."""
    next_request_id: Callable[[], int] = field(default_factory=lambda: count(1).__next__)

    def note(self, request: object) -> None:
        """Takes from a request what it says about the station."""
        match type(request).__name__:
            case "TransactionEventRequest":
                self._note_event(request)  # pyright: ignore[reportArgumentType]  # by its name
            case "StatusNotificationRequest":
                self._note_status(request)  # pyright: ignore[reportArgumentType]
            case "NotifyEventRequest":
                self._note_events(request)  # pyright: ignore[reportArgumentType]
            case "SecurityEventNotificationRequest":
                self.security_events.append(request)  # pyright: ignore[reportArgumentType]
            case "NotifyReportRequest":
                part: Any = request
                self._note_part("NotifyReport", part, part.report_data)
            case "NotifyMonitoringReportRequest":
                part = request
                self._note_part("NotifyMonitoringReport", part, part.monitor)
            case "BootNotificationRequest":
                self.boot = request  # pyright: ignore[reportAttributeAccessIssue]
            case _:
                pass

    def _note_event(self, event: v21.TransactionEventRequest) -> None:
        transaction_id = event.transaction_info.transaction_id
        record = self.transactions.get(transaction_id)
        if record is None:
            record = self.transactions[transaction_id] = TransactionRecord(transaction_id)
            self._limit()
        record.add(event)

    def _note_status(self, request: v21.StatusNotificationRequest) -> None:
        self.connectors[request.evse_id, request.connector_id] = request.connector_status

    def _note_events(self, request: v21.NotifyEventRequest) -> None:
        for event in request.event_data:
            self.events.append(event)
            evse = event.component.evse
            state = event.variable.name == "AvailabilityState"
            if state and event.component.name == "Connector" and evse and evse.connector_id:
                self.connectors[evse.id, evse.connector_id] = event.actual_value

    def _note_part(self, action: str, part: Any, items: Any) -> None:
        report = self.reports.get((action, part.request_id))
        if report is not None:
            report.add(part.seq_no, items or (), more=part.tbc is True)

    def _limit(self) -> None:
        if len(self.transactions) > MAX_TRANSACTIONS:
            ended = (i for i, record in self.transactions.items() if record.ended_at is not None)
            self.transactions.pop(next(ended, next(iter(self.transactions))))
