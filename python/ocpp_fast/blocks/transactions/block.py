"""The transactions of a station: their events, their readings, and what the CSMS says to them."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ocpp_fast._core import decode_payload
from ocpp_fast.blocks.readings import energy_wh
from ocpp_fast.blocks.timing import Repeater
from ocpp_fast.blocks.transactions.transaction import Transaction, droppable
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.messages.version import OcppVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from ocpp_fast.blocks.context import Context, Trigger
    from ocpp_fast.blocks.readings import Readings
    from ocpp_fast.messages import Message, v21
    from ocpp_fast.router import After, Handler
    from ocpp_fast.storage import OutboxRow

__all__ = ["Transactions"]

_log = logging.getLogger(__name__)

_ACTION: Final = "TransactionEvent"


class Transactions:
    """At most one transaction for each EVSE (E01.FR.14).

    Every event is stored for guaranteed delivery before the method that makes it returns.
    """

    def __init__(
        self,
        context: Context,
        readings: Readings,
        *,
        on_idle: Callable[[], None],
        on_active: Callable[[int, str | None], None],
    ) -> None:
        """`on_active(evse_id, transaction_id)` is called when a transaction has begun, and with
        None when it has ended; `on_idle` when the last one has."""
        self._context = context
        self._readings = readings
        self._on_idle = on_idle
        self._on_active = on_active
        self._active: dict[int, Transaction] = {}
        self.handlers: Mapping[str, Handler] = {"GetTransactionStatus": self._on_get_status}
        self.triggers: Mapping[str, Trigger] = {_ACTION: self._on_trigger}
        readings.subscribe(self._on_reading)
        context.device_model.subscribe(self._on_variables)

    # --- what other blocks may know -------------------------------------------------------

    def active_evses(self) -> Iterable[int]:
        """See `ActiveTransactions.active_evses`."""
        return self._active.keys()

    def transaction_id(self, evse_id: int) -> str | None:
        """See `ActiveTransactions.transaction_id`."""
        transaction = self._active.get(evse_id)
        return None if transaction is None else transaction.transaction_id

    def is_authorized(self, evse_id: int) -> bool:
        """See `ActiveTransactions.is_authorized`."""
        transaction = self._active.get(evse_id)
        return transaction is not None and transaction.id_token is not None

    def evse_of(self, transaction_id: str) -> int | None:
        """See `ActiveTransactions.evse_of`."""
        for evse_id, transaction in self._active.items():
            if transaction.transaction_id == transaction_id:
                return evse_id
        return None

    # --- what happens at the station ------------------------------------------------------

    async def start(
        self,
        evse_id: int,
        connector_id: int | None,
        transaction_id: str,
        timestamp: datetime,
        trigger: str,
        *,
        meter_start: v21.MeterValueType | None,
        id_token: v21.IdTokenType | None,
        reservation_id: int | None,
        remote_start_id: int | None,
        charging_state: str,
    ) -> None:
        """E01: the Started event. Raises `ConfigurationError` if the EVSE is busy (E01.FR.14)."""
        if evse_id not in self._context.device_model.connectors:
            raise ConfigurationError(f"this station has no EVSE {evse_id}")
        if evse_id in self._active:
            raise ConfigurationError(f"EVSE {evse_id} has a transaction already")
        transaction = Transaction(
            transaction_id,
            evse_id,
            charging_state,
            connector_id=connector_id,
            remote_start_id=remote_start_id,
            reservation_id=reservation_id,
            begin_due=meter_start is None,
        )
        begin = [] if meter_start is None else self._begin(transaction, meter_start)
        request = self._event(
            transaction, "Started", trigger, timestamp, meter_value=begin, id_token=id_token
        )
        self._active[evse_id] = transaction
        self._set_timers(transaction)
        await self._post(transaction, request)
        if self._active.get(evse_id) is transaction:
            self._on_active(evse_id, transaction_id)

    async def finish(
        self,
        evse_id: int,
        timestamp: datetime,
        reason: str,
        trigger: str,
        *,
        meter_stop: v21.MeterValueType | None,
        id_token: v21.IdTokenType | None,
        charging_state: str,
    ) -> None:
        """E06: the Ended event, with the readings of the whole transaction (E06.FR.11).

        Raises `ConfigurationError` if the EVSE has no transaction.
        """
        transaction = self._active.get(evse_id)
        if transaction is None:
            raise ConfigurationError(f"EVSE {evse_id} has no transaction")
        m = self._context.messages
        measurands = self._context.device_model.variables.tx_ended_measurands
        end = m.ReadingContextEnumType.TRANSACTION_END
        last = meter_stop and self._readings.select(meter_stop, measurands, end)
        kept = [
            reading
            for each in (*transaction.kept_readings, last)
            if each is not None and (reading := self._readings.converted(each)) is not None
        ]
        transaction.charging_state = charging_state
        request = self._event(
            transaction, "Ended", trigger, timestamp,
            meter_value=kept, id_token=id_token, stopped_reason=reason,
        )  # fmt: skip
        # Not before the event exists: a mistake of the caller must not lose the transaction.
        del self._active[evse_id]
        self._on_active(evse_id, None)
        transaction.stop_timers()
        try:
            await self._post(transaction, request)
        finally:
            if not self._active:
                self._on_idle()

    async def authorized(self, evse_id: int, id_token: v21.IdTokenType) -> None:
        """E02.FR.01, E02.FR.20: tells the token of a running transaction, once."""
        transaction = self._active.get(evse_id)
        if transaction is not None and transaction.id_token is None:
            await self._send(transaction, "Authorized", id_token=id_token)

    async def charging_state_changed(
        self,
        evse_id: int,
        charging_state: str,
        trigger: str,
        *,
        id_token: v21.IdTokenType | None = None,
        remote_start_id: int | None = None,
    ) -> bool:
        """E02.FR.13: an Updated event, if the state is another or something else triggered it.

        False when the EVSE has no transaction.
        """
        transaction = self._active.get(evse_id)
        if transaction is None:
            return False
        if transaction.charging_state == charging_state and trigger == "ChargingStateChanged":
            return True
        transaction.charging_state = charging_state
        if remote_start_id is not None:
            transaction.remote_start_id = remote_start_id
        begin = None
        if transaction.begin_due and charging_state == "Charging":  # E01.FR.17, E02.FR.21
            latest = self._readings.latest(evse_id)
            begin = None if latest is None else self._begin(transaction, latest)
        await self._send(transaction, trigger, meter_value=begin, id_token=id_token)
        return True

    def ev_connected(self, evse_id: int, connector_id: int) -> None:
        """An EV was plugged in; the next event of a running transaction says where."""
        if (transaction := self._active.get(evse_id)) is not None:
            transaction.connector_id = connector_id

    def stop(self) -> None:
        """Times nothing more: the station stops."""
        for transaction in self._active.values():
            transaction.stop_timers()

    # --- what the CSMS says ---------------------------------------------------------------

    def on_delivered(self, row: OutboxRow, response: Message) -> None:
        """The CSMS has answered an event, of this run or an earlier one."""
        if row.action != _ACTION:
            return
        answer: v21.TransactionEventResponse = response  # pyright: ignore[reportAssignmentType]
        callback = self._context.callbacks.transaction_event_response_callback
        if callback is not None:
            module = OcppVersion(row.version).module
            request = decode_payload(module.TransactionEventRequest, row.payload)
            self._context.tell(
                "transaction_event_response_callback", lambda: callback(request, answer)
            )
        info = answer.id_token_info
        if info is not None and info.status != "Accepted":
            evse_id = self.evse_of(row.lane)
            if evse_id is not None:
                self._context.spawn(self._not_accepted(evse_id), "token not accepted")

    async def _not_accepted(self, evse_id: int) -> None:
        """E05: the token of a running transaction is not, or no longer, accepted."""
        context = self._context
        callbacks = context.callbacks
        variables = context.device_model.variables
        transaction = self._active.get(evse_id)
        if transaction is None:
            return
        if variables.stop_tx_on_invalid_id:  # E05.FR.09, E05.FR.10
            reason = context.messages.ReasonEnumType.DEAUTHORIZED
            await context.ask(
                "stop_transaction_callback",
                lambda: callbacks.stop_transaction_callback(evse_id, reason),
                None,
            )
            return
        latest = self._readings.latest(evse_id)
        energy = None if latest is None else energy_wh(latest)
        allowed = variables.max_energy_on_invalid_id_wh
        if allowed and energy is not None:
            if transaction.energy_limit_wh is None:
                transaction.energy_limit_wh = energy + allowed  # E05.FR.03
            return
        await self._pause(evse_id)  # E05.FR.02

    async def _pause(self, evse_id: int) -> None:
        callbacks = self._context.callbacks
        await self._context.ask(
            "pause_charging_callback", lambda: callbacks.pause_charging_callback(evse_id), None
        )

    def _on_reading(self, evse_id: int, reading: v21.MeterValueType) -> None:
        transaction = self._active.get(evse_id)
        if transaction is None or transaction.energy_limit_wh is None:
            return
        energy = energy_wh(reading)
        if energy is not None and energy >= transaction.energy_limit_wh:
            transaction.energy_limit_wh = None
            self._context.spawn(self._pause(evse_id), "energy limit of an invalid token")

    def _on_get_status(
        self, request: v21.GetTransactionStatusRequest
    ) -> v21.GetTransactionStatusResponse:
        """E14."""
        m = self._context.messages
        delivery = self._context.delivery
        wanted = request.transaction_id
        if wanted is None:  # E14.FR.06, E14.FR.07, E14.FR.08
            queued = any(row.action == _ACTION for row in delivery.outbox.rows())
            return m.GetTransactionStatusResponse(messages_in_queue=queued)
        return m.GetTransactionStatusResponse(
            ongoing_indicator=self.evse_of(wanted) is not None,  # E14.FR.01 to E14.FR.03
            messages_in_queue=delivery.holds(wanted),  # E14.FR.04, E14.FR.05
        )

    def _on_trigger(self, evse: v21.EVSEType | None) -> After | None:
        """F06.FR.07, and F06.FR.11 without an EVSE. Refused without a transaction."""
        evses = list(self._active) if evse is None else [evse.id]
        if not self._context.accepted or not any(id_ in self._active for id_ in evses):
            return None
        trigger = self._context.messages.ReadingContextEnumType.TRIGGER

        async def send() -> None:
            for evse_id in evses:
                if (transaction := self._active.get(evse_id)) is not None:
                    await self._send_reading(transaction, "Trigger", trigger, None)

        return send

    # --- readings -------------------------------------------------------------------------

    def _begin(
        self, transaction: Transaction, reading: v21.MeterValueType
    ) -> list[v21.MeterValueType]:
        """The readings at the start (E01.FR.09), which Ended repeats in its own measurands."""
        variables = self._context.device_model.variables
        begin = self._context.messages.ReadingContextEnumType.TRANSACTION_BEGIN
        transaction.begin_due = False
        transaction.keep(self._readings.select(reading, variables.tx_ended_measurands, begin))
        started = self._readings.select(reading, variables.tx_started_measurands, begin)
        return [] if started is None else [started]

    def _set_timers(self, transaction: Transaction) -> None:
        m = self._context.messages
        contexts = m.ReadingContextEnumType
        variables = self._context.device_model.variables

        async def send() -> None:
            interval_s = self._context.device_model.variables.tx_updated_interval_s
            await self._send_reading(
                transaction, "MeterValuePeriodic", contexts.SAMPLE_PERIODIC, interval_s
            )

        def sampled() -> None:
            self._context.spawn(send(), "sampled meter values")

        def keep_sampled() -> None:
            self._keep(transaction, variables.tx_ended_measurands, contexts.SAMPLE_PERIODIC)

        def keep_aligned() -> None:
            self._keep(transaction, variables.aligned_tx_ended_measurands, contexts.SAMPLE_CLOCK)

        clock = self._context.clock
        transaction.timers += (
            Repeater(clock, variables.tx_updated_interval_s, sampled),
            Repeater(clock, variables.tx_ended_interval_s, keep_sampled),
            Repeater(clock, variables.aligned_tx_ended_interval_s, keep_aligned, aligned=True),
        )

    def _on_variables(self, changed: frozenset[str]) -> None:
        if any(name.endswith("_interval_s") and "tx_" in name for name in changed):
            for transaction in self._active.values():
                transaction.stop_timers()
                self._set_timers(transaction)

    def _keep(
        self,
        transaction: Transaction,
        measurands: Iterable[str],
        context: v21.ReadingContextEnumType,
    ) -> None:
        latest = self._readings.latest(transaction.evse_id)
        if latest is not None:
            transaction.keep(self._readings.select(latest, tuple(measurands), context))

    async def _send_reading(
        self,
        transaction: Transaction,
        trigger: str,
        context: v21.ReadingContextEnumType,
        interval_s: float | None,
    ) -> None:
        """J02.FR.11: an Updated event with the last reading. With an interval only if it was
        taken within it (J02.FR.10); without one the event goes in any case."""
        now = self._context.clock.now()
        after = None if interval_s is None else now - timedelta(seconds=interval_s)
        measurands = self._context.device_model.variables.tx_updated_measurands
        reading = self._readings.selected(transaction.evse_id, measurands, context, after=after)
        if reading is not None or interval_s is None:
            values = [] if reading is None else [reading]
            await self._send(transaction, trigger, meter_value=values)

    # --- sending --------------------------------------------------------------------------

    async def _send(
        self,
        transaction: Transaction,
        trigger: str,
        *,
        meter_value: list[v21.MeterValueType] | None = None,
        id_token: v21.IdTokenType | None = None,
    ) -> None:
        """An Updated event, unless the transaction has ended since somebody decided to send it:
        Ended is the last event."""
        if self._active.get(transaction.evse_id) is transaction:
            now = self._context.clock.now()
            request = self._event(
                transaction, "Updated", trigger, now, meter_value=meter_value, id_token=id_token
            )
            await self._post(transaction, request)

    def _event(
        self,
        transaction: Transaction,
        event_type: str,
        trigger: str,
        timestamp: datetime,
        *,
        meter_value: list[v21.MeterValueType] | None = None,
        id_token: v21.IdTokenType | None = None,
        stopped_reason: str | None = None,
    ) -> v21.TransactionEventRequest:
        """The next event. It must be posted before anything waits: the order of the seqNo is the
        order of the outbox."""
        if id_token is not None:
            id_token = self._context.convert(id_token)
        request = transaction.event(
            self._context, event_type, trigger, timestamp,
            meter_value=meter_value, id_token=id_token, stopped_reason=stopped_reason,
        )  # fmt: skip
        transaction.id_token = transaction.id_token or id_token
        return request

    async def _post(self, transaction: Transaction, request: v21.TransactionEventRequest) -> None:
        context = self._context
        await context.delivery.post(
            context.version,
            _ACTION,
            request,
            transaction.transaction_id,
            seq_no=request.seq_no,
            droppable=droppable(request.event_type, request.trigger_reason),
        )
        callback = context.callbacks.transaction_event_callback
        if callback is not None:
            context.tell("transaction_event_callback", lambda: callback(request))
