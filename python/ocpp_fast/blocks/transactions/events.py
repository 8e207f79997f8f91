"""TransactionEvents on their way out: made, remembered and posted in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ocpp_fast.blocks.transactions.checkpoints import time_now
from ocpp_fast.blocks.transactions.durable import (
    begin_name,
    name_of,
    text_of_reading,
    text_of_transaction,
)
from ocpp_fast.blocks.transactions.transaction import droppable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.blocks.transactions.checkpoints import Checkpoints
    from ocpp_fast.blocks.transactions.transaction import Transaction
    from ocpp_fast.messages import v21

__all__ = ["ACTION", "TransactionEvents"]

ACTION: Final = "TransactionEvent"


class TransactionEvents:
    """The one way of TransactionEvents to the CSMS.

    Where the storage is durable, an event and what the station has to remember of its transaction
    are stored together: after a power loss either both are there or neither.
    """

    def __init__(
        self, context: Context, active: Mapping[int, Transaction], checkpoints: Checkpoints
    ) -> None:
        """`active` is the table of the running transactions, by their EVSEs."""
        self._context = context
        self._active = active
        self._checkpoints = checkpoints
        self._facts = context.facts

    def make(
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

    async def post(self, transaction: Transaction, request: v21.TransactionEventRequest) -> None:
        """Returns when the event is durable. Of Ended the transaction must no longer be active."""
        context = self._context
        kind = request.event_type
        facts = None
        if self._facts.durable:
            facts = self._forgotten(transaction) if kind == "Ended" else self._changes(transaction)
        await context.delivery.post(
            context.version,
            ACTION,
            request,
            transaction.transaction_id,
            seq_no=request.seq_no,
            droppable=droppable(request),
            opens=kind == "Started",
            closes=kind == "Ended",
            facts=facts,
        )
        callback = context.callbacks.transaction_event_callback
        if callback is not None:
            context.tell("transaction_event_callback", lambda: callback(request))

    async def update(
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
            request = self.make(
                transaction, "Updated", trigger, now, meter_value=meter_value, id_token=id_token
            )
            await self.post(transaction, request)

    def remember(self, transaction: Transaction) -> None:
        """Something is to be remembered that no event tells; durable soon."""
        if self._facts.durable and self._active.get(transaction.evse_id) is transaction:
            self._facts.put(self._changes(transaction))

    def rewrite(self, transaction: Transaction) -> None:
        """Writes all that is remembered of a running transaction anew."""
        transaction.begin_stored = False
        self.remember(transaction)

    def _changes(self, transaction: Transaction) -> dict[str, str | None]:
        # Until it goes on again, what was recorded last is when it was interrupted (E17.FR.02).
        is_restored = transaction.restored
        at = self._checkpoints.last_alive if is_restored else time_now(self._context)
        facts = self._checkpoints.along(transaction, at)
        facts[name_of(transaction.evse_id)] = text_of_transaction(transaction, at)
        begin = transaction.begin_reading
        if begin is not None and not transaction.begin_stored:
            facts[begin_name(transaction.evse_id)] = text_of_reading(begin)
            transaction.begin_stored = True
        return facts

    def _forgotten(self, transaction: Transaction) -> dict[str, str | None]:
        evse_id = transaction.evse_id
        return {
            **self._checkpoints.end(transaction),
            name_of(evse_id): None,
            begin_name(evse_id): None,
        }
