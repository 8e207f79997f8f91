"""Block G: the state of the connectors (G01, B04) and the heartbeat (G02)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from ocpp_fast.blocks.context import Registration
from ocpp_fast.errors import (
    CallerError,
    CallErrorReceived,
    ConfigurationError,
    ConnectionLost,
    ErrorCode,
    PeerError,
)
from ocpp_fast.messages.version import OcppVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from ocpp_fast.blocks.context import Context, Trigger
    from ocpp_fast.clock import Timer
    from ocpp_fast.messages import Message, v21
    from ocpp_fast.router import After, Handler

__all__ = ["Availability", "Heartbeat"]

_log = logging.getLogger(__name__)

DAILY_S: Final = 86_400.0
EVENTS_PER_MESSAGE: Final = 20
"""How many connectors one NotifyEvent of OCPP 2.1 reports."""

# What a connector can be at once, the strongest first. A reserved connector stays Reserved while
# an EV is plugged in, until the reservation is cleared for the right driver (G01.FR.09).
_PRECEDENCE: Final = ("Faulted", "Unavailable", "Reserved", "Occupied")

Key = tuple[int, int]


class Availability:
    """Reports each connector whose state has changed, once, with the state it has by then.

    A connector that flaps costs one message at a time, and one that is back in the state last
    reported costs none (B04.FR.02).
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.handlers: Mapping[str, Handler] = {}
        self.triggers: Mapping[str, Trigger] = {"StatusNotification": self._on_trigger}
        self._flags: dict[Key, set[str]] = {
            (evse_id, connector_id): set()
            for evse_id, count in context.device_model.connectors.items()
            for connector_id in range(1, count + 1)
        }
        self._since: dict[Key, datetime] = {}
        self._reported: dict[Key, str] = {}
        self._changed = asyncio.Event()
        self._offline_since: float | None = None
        self._by_status = False
        """Whether the CSMS has no use for NotifyEvent in 2.1."""

    # --- what happens at the station ------------------------------------------------------

    def set(self, evse_id: int, connector_id: int, flag: str, *, on: bool) -> None:
        """Sets or clears Occupied, Reserved, Unavailable or Faulted of one connector.

        Raises `ConfigurationError` for a connector that the station does not have.
        """
        flags = self._flags_of(evse_id, connector_id)
        before = self.status(evse_id, connector_id)
        (flags.add if on else flags.discard)(flag)
        if self.status(evse_id, connector_id) != before:
            self._since[evse_id, connector_id] = self._context.clock.now()
            self._changed.set()

    def status(self, evse_id: int, connector_id: int) -> str:
        """The ConnectorStatusEnumType of a connector, always a valid one (G01.FR.01)."""
        flags = self._flags_of(evse_id, connector_id)
        return next((flag for flag in _PRECEDENCE if flag in flags), "Available")

    def usable(self, evse_id: int) -> bool:
        """See `ConnectorStates.usable`."""
        return any(
            flags.isdisjoint({"Faulted", "Unavailable"})
            for (evse, _), flags in self._flags.items()
            if evse == evse_id
        )

    def occupied(self, evse_id: int) -> bool:
        """See `ConnectorStates.occupied`."""
        return any("Occupied" in flags for (e, _), flags in self._flags.items() if e == evse_id)

    # --- what happens to the link ---------------------------------------------------------

    def on_accepted(self) -> None:
        """The boot was accepted: every connector is reported (B01.FR.05)."""
        self._reported.clear()
        self._changed.set()

    def on_online(self) -> None:
        """A link came to be: after a long time offline every connector is reported, after a
        short one those that have changed (B04.FR.01, B04.FR.02)."""
        since, self._offline_since = self._offline_since, None
        threshold = self._context.device_model.variables.offline_threshold_s
        if since is not None and self._context.clock.monotonic() - since > threshold:
            self._reported.clear()
        self._changed.set()

    def on_offline(self) -> None:
        """The link is gone."""
        if self._offline_since is None:
            self._offline_since = self._context.clock.monotonic()

    async def run(self) -> None:
        """Reports what is not yet reported, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._context.accepted:
                await self._report()

    async def _report(self) -> None:
        due = [key for key in self._flags if self._reported.get(key) != self.status(*key)]
        if self._context.version is OcppVersion.V201 or self._by_status:
            for key in due:
                await self._report_some([key], self._status_notification)
        else:
            for start in range(0, len(due), EVENTS_PER_MESSAGE):
                await self._report_some(due[start : start + EVENTS_PER_MESSAGE], self._notify_event)

    async def _report_some(self, keys: list[Key], make: Callable[[list[Key]], Message]) -> None:
        told = {key: self.status(*key) for key in keys}
        request = make(keys)
        response = getattr(
            self._context.messages, type(request).__name__.replace("Request", "Response")
        )
        try:
            await self._context.call(request, response)
        except (CallerError, ConnectionLost) as error:
            _log.info("connector states were not reported: %s", error)
            return
        except PeerError as error:
            if _unknown(error) and not self._by_status:
                self._by_status = True
                self._changed.set()
                return
            # It counts as told: the next change, or a long time offline, tells it again.
            _log.warning("the CSMS did not take connector states: %s", error)
        self._reported.update(told)

    def _status_notification(self, keys: Iterable[Key]) -> v21.StatusNotificationRequest:
        m = self._context.messages
        ((evse_id, connector_id),) = keys
        return m.StatusNotificationRequest(
            timestamp=self._since.get((evse_id, connector_id)) or self._context.clock.now(),
            connector_status=m.ConnectorStatusEnumType(self.status(evse_id, connector_id)),
            evse_id=evse_id,
            connector_id=connector_id,
        )

    def _notify_event(self, keys: Iterable[Key]) -> v21.NotifyEventRequest:
        """G01.FR.03 to G01.FR.07 of 2.1, where StatusNotification is deprecated but allowed: it
        is used for a CSMS that does not know NotifyEvent."""
        m = self._context.messages
        now = self._context.clock.now()
        events: list[v21.EventDataType] = []
        for evse_id, connector_id in keys:
            events.append(
                m.EventDataType(
                    event_id=self._context.next_event_id(),
                    timestamp=self._since.get((evse_id, connector_id)) or now,
                    trigger=m.EventTriggerEnumType.DELTA,
                    actual_value=self.status(evse_id, connector_id),
                    event_notification_type=m.EventNotificationEnumType.HARD_WIRED_NOTIFICATION,
                    component=m.ComponentType(
                        name="Connector",
                        evse=m.EVSEType(id=evse_id, connector_id=connector_id),
                    ),
                    variable=m.VariableType(name="AvailabilityState"),
                )
            )
        return m.NotifyEventRequest(generated_at=now, seq_no=0, event_data=events)

    def _on_trigger(self, evse: v21.EVSEType | None) -> After | None:
        """F06.FR.12: only for one connector."""
        if evse is None or evse.connector_id is None:
            return None
        key = (evse.id, evse.connector_id)
        if key not in self._flags:
            return None

        async def send() -> None:
            m = self._context.messages
            request = self._status_notification([key])
            await self._context.call(request, m.StatusNotificationResponse, triggered=True)

        return send

    def _flags_of(self, evse_id: int, connector_id: int) -> set[str]:
        try:
            return self._flags[evse_id, connector_id]
        except KeyError:
            text = f"this station has no connector {connector_id} at EVSE {evse_id}"
            raise ConfigurationError(text) from None


def _unknown(error: PeerError) -> bool:
    codes = (ErrorCode.NOT_IMPLEMENTED, ErrorCode.NOT_SUPPORTED)
    return isinstance(error, CallErrorReceived) and error.code in codes


class Heartbeat:
    """G02: sends a Heartbeat when nothing else was sent for HeartbeatInterval seconds
    (G02.FR.02, G02.FR.05), and once a day anyway for the clock's sake (G02.FR.07)."""

    def __init__(self, context: Context, sync_time: Callable[[datetime], None]) -> None:
        self._context = context
        self._sync_time = sync_time
        self.triggers: Mapping[str, Trigger] = {"Heartbeat": self._on_trigger}
        self._timer: Timer | None = None
        self._last = 0.0
        self._sending = False
        context.device_model.subscribe(self._on_variables)

    def restart(self) -> None:
        """Times the next Heartbeat afresh: the station was accepted or came online."""
        if self._last == 0.0:
            self._last = self._context.clock.monotonic()
        self._arm()

    def stop(self) -> None:
        """Sends no Heartbeat until `restart`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_variables(self, changed: frozenset[str]) -> None:
        if "heartbeat_interval_s" in changed:
            self._arm()

    def _arm(self) -> None:
        self.stop()
        interval_s = self._context.device_model.variables.heartbeat_interval_s
        if interval_s > 0 and self._context.registration is Registration.ACCEPTED:
            clock = self._context.clock
            due = min(self._context.last_sent + interval_s, self._last + DAILY_S)
            self._timer = clock.call_later(max(0.0, due - clock.monotonic()), self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._sending or not self._context.accepted:
            return  # `_beat` or `restart` will set the timer again.
        variables = self._context.device_model.variables
        now = self._context.clock.monotonic()
        # A timer may fire a little early by the clock that it is compared with.
        idle = now - self._context.last_sent >= variables.heartbeat_interval_s - 0.001
        if idle or now - self._last >= DAILY_S - 0.001:
            self._context.spawn(self._beat(), "heartbeat")
        else:
            self._arm()

    async def _beat(self) -> None:
        self._sending = True
        try:
            await self._send(triggered=False)
        finally:
            self._sending = False
            # Also after a failure, which is not worth repeating sooner.
            self._context.last_sent = max(self._context.last_sent, self._context.clock.monotonic())
            self._arm()

    async def _send(self, *, triggered: bool) -> None:
        m = self._context.messages
        self._last = self._context.clock.monotonic()
        request = m.HeartbeatRequest()
        if triggered:
            response = await self._context.call(request, m.HeartbeatResponse, triggered=True)
        else:
            response = await self._context.attempt(request, m.HeartbeatResponse)
        sources = self._context.device_model.variables.time_source
        if response is not None and "Heartbeat" in sources:  # G02.FR.06
            self._sync_time(response.current_time)

    def _on_trigger(self, _evse: v21.EVSEType | None) -> After | None:
        async def send() -> None:
            await self._send(triggered=True)

        return send
