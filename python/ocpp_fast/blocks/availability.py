"""Block G: the state of the connectors (G01, B04) and the heartbeat (G02)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from ocpp_fast.blocks.context import OTHERS, Registration
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
    from ocpp_fast.restoring import Restart
    from ocpp_fast.router import After, Handler

__all__ = ["Availability", "Heartbeat"]

_log = logging.getLogger(__name__)

DAILY_S: Final = 86_400.0
EVENTS_PER_MESSAGE: Final = 20
"""How many connectors one NotifyEvent of OCPP 2.1 reports."""

# What a connector can be at once, the strongest first. A reserved connector stays Reserved while
# an EV is plugged in, until the reservation is cleared for the right driver (G01.FR.09).
_PRECEDENCE: Final = ("Faulted", "Unavailable", "Reserved", "Occupied")

_RESERVED: Final = "Reserved"
_YES: Final = "1"
"""What facts say; that they are there is all there is to know."""

Key = tuple[int, int]


class Availability:
    """Reports each connector whose state has changed, once, with the state it has by then.

    A connector that flaps costs one message at a time, and one that is back in the state last
    reported costs none (B04.FR.02). With QueueAllMessages the states of a time offline are queued.

    What the CSMS has commanded, and that a connector is reserved, is found again after a restart
    (B01.FR.07, B01.FR.13); what the hardware side has said it says again by itself.
    """

    prefix = "availability."

    def __init__(
        self,
        context: Context,
        *,
        on_state: Callable[[int, int, str], None] = lambda _evse, _connector, _state: None,
    ) -> None:
        """`on_state(evse_id, connector_id, state)` is called for each change of a state."""
        self._context = context
        self._on_state = on_state
        self.handlers: Mapping[str, Handler] = {}
        self.triggers: Mapping[str, Trigger] = {"StatusNotification": self._on_trigger}
        self._flags: dict[Key, set[str]] = {
            (evse_id, connector_id): set()
            for evse_id, count in context.device_model.connectors.items()
            for connector_id in range(1, count + 1)
        }
        self._inoperative: set[Key] = set()
        """What the CSMS has made Inoperative: connectors; EVSEs, as connector 0; and the station,
        as EVSE 0. Each keeps its own state (G03.FR.07, G04.FR.08)."""
        self._restored = False
        self._since: dict[Key, datetime] = {}
        self._reported: dict[Key, str] = {}
        self._changed = asyncio.Event()
        self._offline_since: float | None = None
        self._by_status = False
        """Whether the CSMS has no use for NotifyEvent in 2.1."""

    # --- what happens at the station ------------------------------------------------------

    def set(self, evse_id: int, connector_id: int, flag: str, *, on: bool) -> None:
        """Sets or clears Occupied, Reserved, Unavailable or Faulted of one connector.

        Reserved is durable soon after. Raises `ConfigurationError` for a connector that the station
        does not have.
        """
        flags = self._flags_of(evse_id, connector_id)
        if on is (flag in flags):
            return
        before = self.status(evse_id, connector_id)
        (flags.add if on else flags.discard)(flag)
        self._note_changes({(evse_id, connector_id): before})
        if flag == _RESERVED and self._restored:
            self._keep_reserved(evse_id, connector_id, on=on)

    async def command(
        self, evse_id: int | None, connector_id: int | None, *, operative: bool
    ) -> None:
        """The CSMS makes the station, an EVSE or a connector Operative or Inoperative (G03, G04);
        durable when this returns.

        That is its own state, beside those of the others: a connector can be used when nothing that
        it belongs to is Inoperative. Raises `ConfigurationError` for what the station does not
        have.
        """
        key = self._commanded(evse_id, connector_id)
        before = {key: self.status(*key) for key in self._flags}
        (self._inoperative.discard if operative else self._inoperative.add)(key)
        self._note_changes(before)
        if self._context.facts.durable:
            name = f"{self.prefix}inoperative.{key[0]}.{key[1]}"
            await self._context.facts.keep({name: None if operative else _YES})

    def is_operative(self, evse_id: int | None = None, connector_id: int | None = None) -> bool:
        """What was commanded last for the station, an EVSE or a connector; Operative at first."""
        return self._commanded(evse_id, connector_id) not in self._inoperative

    async def restore(self, facts: Mapping[str, str], _restart: Restart, /) -> None:
        """See `DurablePart.restore`. What was reserved before the start counts as well."""
        before = {key: self.status(*key) for key in self._flags}
        self._restored = True
        for key, flags in self._flags.items():
            if _RESERVED in flags:
                self._keep_reserved(*key, on=True)
        for name in facts:
            try:
                kind, evse_id, connector_id = name.removeprefix(self.prefix).split(".")
                key = int(evse_id), int(connector_id)
                if kind == "reserved":
                    self._flags_of(*key).add(_RESERVED)
                elif kind == "inoperative":
                    self._inoperative.add(self._commanded(key[0] or None, key[1] or None))
            except (ConfigurationError, ValueError) as error:
                # The station has fewer connectors than before.
                _log.error("%s cannot be restored: %s", name, error)
        self._note_changes(before)

    def redate(self, correct: Callable[[datetime], datetime]) -> None:
        """See `redating.Dated`."""
        self._since = {key: correct(since) for key, since in self._since.items()}

    def status(self, evse_id: int, connector_id: int) -> str:
        """The ConnectorStatusEnumType of a connector, always a valid one (G01.FR.01)."""
        flags = self._flags_of(evse_id, connector_id)
        if "Faulted" in flags:
            return "Faulted"
        if self._inoperative and not self._may_operate(evse_id, connector_id):
            return "Unavailable"
        return next((flag for flag in _PRECEDENCE if flag in flags), "Available")

    def usable(self, evse_id: int) -> bool:
        """See `ConnectorStates.usable`."""
        return any(
            self.status(*key) not in ("Faulted", "Unavailable")
            for key in self._flags
            if key[0] == evse_id
        )

    def occupied(self, evse_id: int) -> bool:
        """See `ConnectorStates.occupied`."""
        return any("Occupied" in flags for (e, _), flags in self._flags.items() if e == evse_id)

    def _keep_reserved(self, evse_id: int, connector_id: int, *, on: bool) -> None:
        if self._context.facts.durable:
            name = f"{self.prefix}reserved.{evse_id}.{connector_id}"
            self._context.facts.put({name: _YES if on else None})

    def _may_operate(self, evse_id: int, connector_id: int) -> bool:
        """Whether nothing that the connector belongs to is Inoperative (G03.FR.06, G04.FR.07)."""
        return self._inoperative.isdisjoint({(0, 0), (evse_id, 0), (evse_id, connector_id)})

    def _note_changes(self, before: Mapping[Key, str]) -> None:
        """Of connectors that were in these states, some may be in others now."""
        for key, was in before.items():
            if (state := self.status(*key)) != was:
                self._since[key] = self._context.clock.now()
                self._changed.set()
                self._on_state(*key, state)

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
            if self._context.accepted or self._queues:
                await self._report()

    @property
    def _queues(self) -> bool:
        return self._context.device_model.variables.queue_all_messages

    async def _report(self) -> None:
        due = [key for key in self._flags if self._reported.get(key) != self.status(*key)]
        if not self._context.accepted:
            # What was never reported and never changed is, once the station is accepted.
            due = [key for key in due if key in self._reported or key in self._since]
        if self._context.version is OcppVersion.V201 or self._by_status:
            for key in due:
                await self._report_some([key], self._status_notification)
        else:
            for start in range(0, len(due), EVENTS_PER_MESSAGE):
                await self._report_some(due[start : start + EVENTS_PER_MESSAGE], self._notify_event)

    async def _report_some(self, keys: list[Key], make: Callable[[list[Key]], Message]) -> None:
        told = {key: self.status(*key) for key in keys}
        request = make(keys)
        if self._queues:
            # In the order in which they happened, behind those that wait already.
            action = type(request).__name__.removesuffix("Request")
            delivery, version = self._context.delivery, self._context.version
            await delivery.post(version, action, request, OTHERS, droppable=True)
            self._reported.update(told)
            return
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

    def _commanded(self, evse_id: int | None, connector_id: int | None) -> Key:
        """Under which key a command is kept."""
        if evse_id is None:
            return 0, 0
        self._flags_of(evse_id, connector_id or 1)
        return evse_id, connector_id or 0

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
        if response is not None:  # G02.FR.06
            self._sync_time(response.current_time)

    def _on_trigger(self, _evse: v21.EVSEType | None) -> After | None:
        async def send() -> None:
            await self._send(triggered=True)

        return send
