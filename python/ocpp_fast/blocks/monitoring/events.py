"""What has happened, and the NotifyEvent messages that tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ocpp_fast.messages.version import OcppVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.blocks.monitoring.table import Watched
    from ocpp_fast.messages import v21

__all__ = [
    "EventIds",
    "Notice",
    "component_of",
    "event_data",
    "notify_event",
    "portion",
    "variable_of",
]

MAX_VALUE: Final = 2500
"""Characters of an actualValue; what is longer is cut off."""
MAX_TECH_CODE: Final = 50
MAX_TECH_INFO: Final = 500

EVENTS_PER_MESSAGE: Final = 50

_MAX_ID: Final = 2**31 - 1
_RESERVED_AT_ONCE: Final = 1_000
# Around the texts of an event: names of members, times, numbers.
_FRAME_OF_EVENT_BYTES: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One event that the CSMS is to hear of, in no particular OCPP version."""

    event_id: int
    timestamp: datetime
    trigger: str
    """An EventTriggerEnumType."""
    notification: str
    """An EventNotificationEnumType."""
    watched: Watched
    actual_value: str
    severity: int | None = None
    monitor_id: int | None = None
    cleared: bool | None = None
    cause: int | None = None
    """The id of the event that has caused this one (N07.FR.05)."""
    transaction_id: str | None = None
    tech_code: str | None = None
    tech_info: str | None = None

    @property
    def size_bytes(self) -> int:
        """About how much it adds to a message; rather too much than too little."""
        texts = (self.actual_value, self.tech_info or "")
        return _FRAME_OF_EVENT_BYTES + sum(map(_size_in_json, texts))


def _size_in_json(text: str) -> int:
    """At most so many bytes: an escaped quote has two, an escaped control character six."""
    return len(text) * (2 if text.isascii() and text.isprintable() else 6)


class EventIds:
    """The numbers of events, rising over restarts without a write for each.

    `reserve` makes durable which numbers may be in use: the first one after them. A restart goes
    on there. After 2,147,483,647 they begin anew.
    """

    def __init__(self, first: int, reserve: Callable[[int], None]) -> None:
        self._next = first
        self._reserved = first
        self._reserve = reserve

    def take(self) -> int:
        """The next number."""
        if self._next >= _MAX_ID:
            self._next = self._reserved = 0
        if self._next >= self._reserved:
            self._reserved = min(self._next + _RESERVED_AT_ONCE, _MAX_ID)
            self._reserve(self._reserved)
        event_id = self._next
        self._next += 1
        return event_id


def portion(notices: Sequence[Notice], max_bytes: int) -> int:
    """How many of the first notices go into one message, at least one."""
    size = 0
    for count, notice in enumerate(notices[:EVENTS_PER_MESSAGE]):
        size += notice.size_bytes
        if count and size > max_bytes:
            return count
    return min(len(notices), EVENTS_PER_MESSAGE)


def notify_event(context: Context, notices: Sequence[Notice]) -> v21.NotifyEventRequest:
    """One message of these events in the version in use (N07.FR.06, N07.FR.07, N08.FR.04)."""
    return context.messages.NotifyEventRequest(
        generated_at=context.clock.now(),
        seq_no=0,
        event_data=[event_data(context, notice) for notice in notices],
    )


def event_data(context: Context, notice: Notice) -> v21.EventDataType:
    """The event in the version in use; raises `ValidationError` for what breaks the schema."""
    m = context.messages
    event = m.EventDataType(
        event_id=notice.event_id,
        timestamp=notice.timestamp,
        trigger=m.EventTriggerEnumType(notice.trigger),
        actual_value=notice.actual_value[:MAX_VALUE],
        event_notification_type=m.EventNotificationEnumType(notice.notification),
        component=component_of(context, notice.watched),
        variable=variable_of(context, notice.watched),
        variable_monitoring_id=notice.monitor_id,
        cleared=notice.cleared,
        cause=notice.cause,
        transaction_id=notice.transaction_id,
        tech_code=notice.tech_code and notice.tech_code[:MAX_TECH_CODE],
        tech_info=notice.tech_info and notice.tech_info[:MAX_TECH_INFO],
    )
    if notice.severity is None or context.version is OcppVersion.V201:
        return event
    return event.replace(severity=notice.severity)  # N07.FR.20, N07.FR.21


def component_of(context: Context, watched: Watched) -> v21.ComponentType:
    """The component of a variable, as messages name it."""
    m = context.messages
    evse = None
    if watched.evse_id is not None:
        evse = m.EVSEType(id=watched.evse_id, connector_id=watched.connector_id)
    return m.ComponentType(name=watched.component, instance=watched.instance, evse=evse)


def variable_of(context: Context, watched: Watched) -> v21.VariableType:
    """The variable, as messages name it."""
    return context.messages.VariableType(name=watched.variable, instance=watched.variable_instance)
