"""The transactions of a station: what happens to them, and what the CSMS says to them."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from ocpp_fast._core import decode_payload
from ocpp_fast.blocks.reporting import max_message_bytes
from ocpp_fast.blocks.transactions.checkpoints import Checkpoints
from ocpp_fast.blocks.transactions.durable import ALIVE, PREFIX, redated, time_of, transactions_of
from ocpp_fast.blocks.transactions.events import ACTION, TransactionEvents
from ocpp_fast.blocks.transactions.kept import KeptReadings
from ocpp_fast.blocks.transactions.recovery import (
    Recovery,
    check_policy,
    closed_state,
    further,
)
from ocpp_fast.blocks.transactions.refusal import Refusals
from ocpp_fast.blocks.transactions.sampling import Sampling
from ocpp_fast.blocks.transactions.transaction import Transaction
from ocpp_fast.config import OnRestart
from ocpp_fast.device_model.guards import Refusal
from ocpp_fast.errors import ConfigurationError, StorageError
from ocpp_fast.messages.version import OcppVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from ocpp_fast.blocks.context import Context, Trigger
    from ocpp_fast.blocks.readings import Readings
    from ocpp_fast.callbacks import RestoredTransaction
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.device_model.guards import Write
    from ocpp_fast.messages import Message, v21
    from ocpp_fast.restoring import Restart
    from ocpp_fast.router import After, Handler
    from ocpp_fast.storage import OutboxRow
    from ocpp_fast.storage.base import Storage

__all__ = ["Transactions"]

_log = logging.getLogger(__name__)

_RANDOM_UUID: Final = re.compile(
    "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)

_BESIDE_BYTES: Final = 2_048
"""What an event may have beside its readings."""


class Transactions:
    """At most one transaction for each EVSE (E01.FR.14).

    Every event is stored for guaranteed delivery before the method that makes it returns. Where
    the storage is durable, so is what is needed to go on after a restart (E17.FR.01): see
    `durable`, `checkpoints` and `recovery`.
    """

    prefix = PREFIX

    def __init__(
        self,
        context: Context,
        readings: Readings,
        *,
        on_idle: Callable[[], None],
        on_active: Callable[[int, str | None], None],
        storage: Storage,
        model: DeviceModel,
        on_restart: OnRestart | None,
    ) -> None:
        """`on_active(evse_id, transaction_id)` is called when a transaction has begun or goes on
        after a restart, and with None when it has ended; `on_idle` when the last one has.
        `on_restart` is `StationConfig.on_restart`.

        Raises `ConfigurationError` for a high-density station that does not say what becomes of
        its transactions after a power loss.
        """
        self._context = context
        self._storage = storage
        self._on_idle = on_idle
        self._on_active = on_active
        self._active: dict[int, Transaction] = {}
        self.handlers: Mapping[str, Handler] = {"GetTransactionStatus": self._on_get_status}
        self.triggers: Mapping[str, Trigger] = {ACTION: self._on_trigger}
        check_policy(
            on_restart,
            len(context.device_model.connectors),
            durable=context.facts.durable,
            has_callback=context.callbacks.restore_transaction_callback is not None,
        )
        self.checkpoints = Checkpoints(context, readings, self._active)
        """The last readings, a durable part of its own; to be restored after this one."""
        self._events = TransactionEvents(context, self._active, self.checkpoints)
        self._kept = KeptReadings(context.delivery, storage)
        self._sampling = Sampling(
            context,
            readings,
            self._events,
            self._kept,
            max_bytes=lambda: max_message_bytes(model) - _BESIDE_BYTES,
        )
        self._refusals = Refusals(context, readings, self._active, self._events)
        self._readings = readings
        self._recovery = Recovery(context, self._active, self.checkpoints, self, policy=on_restart)
        context.device_model.subscribe(self._on_variables)
        if on_restart == OnRestart.CLOSE:
            number = model.cache.find("TxCtrlr", None, None, None, "ResumptionTimeout", None)
            if number >= 0:
                model.guard_all((number,), _judge_timeout)

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
        """E01: the Started event. Raises `ConfigurationError` if the EVSE is busy (E01.FR.14), or
        the transactionId was used before, as far as the station remembers (E01.FR.08)."""
        if evse_id not in self._context.device_model.connectors:
            raise ConfigurationError(f"this station has no EVSE {evse_id}")
        waits = await self._waits(transaction_id)
        if waits or self.evse_of(transaction_id) is not None:
            raise ConfigurationError(f"there is a transaction {transaction_id} already")
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
        if meter_start is None:
            begin = self._sampling.begin_late(transaction)
        else:
            begin = self._sampling.begin(transaction, meter_start)
        request = self._events.make(
            transaction, "Started", trigger, timestamp, meter_value=begin, id_token=id_token
        )
        self._active[evse_id] = transaction
        self.checkpoints.begin(evse_id, meter_start)
        self._sampling.start(transaction)
        await self._events.post(transaction, request)
        if self._active.get(evse_id) is transaction:
            self._on_active(evse_id, transaction_id)

    async def _waits(self, transaction_id: str) -> bool:
        """Whether events of a transaction of this id are still to be delivered. A storage that
        fails keeps nobody from charging."""
        known = self._context.delivery.outbox.holds(transaction_id)
        # Looking it up in a long queue takes its time, and an id made by chance is not worth it.
        storage = self._storage
        if known is not None or _RANDOM_UUID.fullmatch(transaction_id):
            return bool(known)
        try:
            return await self._context.facts.read(lambda: storage.outbox_holds(transaction_id))
        except StorageError as error:
            _log.error("whether %s was used before cannot be found out: %s", transaction_id, error)
            return False

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
        before, transaction.charging_state = transaction.charging_state, charging_state
        try:
            request = self._events.make(
                transaction, "Ended", trigger, timestamp,
                meter_value=self._sampling.all_of(transaction, meter_stop),
                id_token=id_token, stopped_reason=reason,
            )  # fmt: skip
        except ValueError:
            transaction.charging_state = before
            raise
        # Not before the event exists: a mistake of the caller must not lose the transaction.
        del self._active[evse_id]
        self._on_active(evse_id, None)
        transaction.stop_timers()
        if meter_stop is not None:
            self.checkpoints.note(evse_id, meter_stop)
        try:
            await self._events.post(transaction, request)
        finally:
            self._kept.forget(transaction)
            if not self._active:
                self._on_idle()

    async def authorized(self, evse_id: int, id_token: v21.IdTokenType) -> None:
        """E02.FR.01, E02.FR.20: tells the token of a running transaction, once."""
        transaction = self._active.get(evse_id)
        if transaction is not None and transaction.id_token is None:
            await self._events.update(transaction, "Authorized", id_token=id_token)

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
        begin = self._sampling.begin_late(transaction)
        await self._events.update(transaction, trigger, meter_value=begin, id_token=id_token)
        return True

    def ev_connected(self, evse_id: int, connector_id: int) -> None:
        """An EV was plugged in; the next event of a running transaction says where."""
        transaction = self._active.get(evse_id)
        if transaction is not None and transaction.connector_id != connector_id:
            transaction.connector_id = connector_id
            self._events.remember(transaction)

    def stop(self) -> None:
        """Times nothing more: the station stops. Where it stands becomes durable."""
        for transaction in self._active.values():
            transaction.stop_timers()
        self.checkpoints.stop()
        if self._active and self._context.facts.durable:
            self.checkpoints.write()

    # --- over a restart -------------------------------------------------------------------

    async def restore(self, facts: Mapping[str, str], restart: Restart, /) -> None:
        """See `DurablePart.restore`. The transactions run again; `recover` decides how they go
        on."""
        self._active.clear()
        self.checkpoints.forget()
        for transaction, at in transactions_of(facts):
            if transaction.evse_id not in self._context.device_model.connectors:
                _log.error("there is no EVSE %d any more", transaction.evse_id)
            self._active[transaction.evse_id] = transaction
            self.checkpoints.note_alive(at)
        try:
            self.checkpoints.note_alive(time_of(facts.get(ALIVE)))
        except ValueError as error:
            _log.error("the fact %s cannot be read: %s", ALIVE, error)
        await self._kept.restore(self._active.values())
        self._recovery.begin(restart)

    async def recover(self) -> None:
        """Decides what becomes of each restored transaction (E17), and makes its event. When this
        returns, what needed no answer of anybody is stored; the rest follows."""
        await self._recovery.recover()

    async def recovered(self, evse_id: int) -> None:
        """Returns when it is decided, and stored, what becomes of the transaction that an EVSE had
        before the restart; at once when it had none."""
        await self._recovery.recovered(evse_id)

    def last_energy_wh(self, evse_id: int) -> float | None:
        """The last energy register of an EVSE that is durable, in Wh; None when none is known."""
        return self.checkpoints.last_energy_wh(evse_id)

    def redate(self, correct: Callable[[datetime], datetime]) -> None:
        """The right time has become known: corrects the times of all that is still to be told.
        `correct` gives the right time for one that may be wrong."""
        for transaction in self._active.values():
            begin = transaction.begin_reading
            if begin is not None:
                transaction.begin_reading = redated(begin, correct)
            self._events.rewrite(transaction)
        self._kept.redate(self._active.values(), correct)
        self.checkpoints.redate(correct)

    async def resume(self, transaction: Transaction, answer: RestoredTransaction) -> None:
        """See `recovery.Outcome`: E17.FR.14."""
        context = self._context
        before = transaction.charging_state
        transaction.charging_state = answer.charging_state or before
        is_201 = context.version is OcppVersion.V201
        trigger = answer.trigger_reason or ("ChargingStateChanged" if is_201 else "TxResumed")
        reading = answer.meter_value
        if reading is not None:
            self._readings.put(transaction.evse_id, reading)
        try:
            request = self._events.make(
                transaction, "Updated", trigger, context.clock.now(),
                meter_value=self._sampling.after_interruption(transaction, reading),
            )  # fmt: skip
        except ValueError:
            transaction.charging_state = before
            raise
        transaction.restored = False
        self.checkpoints.go_on(transaction.evse_id)
        self._sampling.start(transaction)
        self._on_active(transaction.evse_id, transaction.transaction_id)
        await self._events.post(transaction, request)
        if transaction.refused:
            self._refusals.act(transaction)

    async def close(
        self, transaction: Transaction, answer: RestoredTransaction, reason: str
    ) -> None:
        """See `recovery.Outcome`: E17.FR.20 to E17.FR.22."""
        evse_id = transaction.evse_id
        known = self.checkpoints.last(evse_id) or transaction.begin_reading
        last = further(answer.meter_value, known)
        await self.finish(
            evse_id,
            self._context.clock.now(),
            reason,
            answer.trigger_reason or "AbnormalCondition",
            meter_stop=last,
            id_token=answer.id_token,
            charging_state=answer.charging_state or closed_state(transaction.charging_state),
        )

    # --- what the CSMS says ---------------------------------------------------------------

    def on_delivered(self, row: OutboxRow, response: Message) -> None:
        """The CSMS has answered an event, of this run or an earlier one."""
        if row.action != ACTION:
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
        if info is not None:
            evse_id = self.evse_of(row.lane)
            if evse_id is not None:
                accepted = info.status == "Accepted"
                self._refusals.judged(self._active[evse_id], accepted=accepted)

    async def _on_get_status(
        self, request: v21.GetTransactionStatusRequest
    ) -> v21.GetTransactionStatusResponse:
        """E14."""
        m = self._context.messages
        delivery = self._context.delivery
        wanted = request.transaction_id
        if wanted is None:  # E14.FR.06, E14.FR.07, E14.FR.08
            queued = await delivery.any_transaction_waits()
            return m.GetTransactionStatusResponse(messages_in_queue=queued)
        return m.GetTransactionStatusResponse(
            ongoing_indicator=self.evse_of(wanted) is not None,  # E14.FR.01 to E14.FR.03
            messages_in_queue=await delivery.holds(wanted),  # E14.FR.04, E14.FR.05
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
                    await self._sampling.tell(transaction, "Trigger", trigger, None)

        return send

    def _on_variables(self, changed: frozenset[str]) -> None:
        if any(name.endswith("_interval_s") and "tx_" in name for name in changed):
            for transaction in self._active.values():
                if not transaction.restored:
                    self._sampling.start(transaction)


def _judge_timeout(write: Write) -> Refusal | None:
    """No transaction is resumed by a station whose policy is to close them."""
    if write.attribute == "Actual" and write.value > 0:
        return Refusal("NotEnabled", "this station closes its transactions after a power loss")
    return None
