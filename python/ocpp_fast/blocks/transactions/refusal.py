"""E05: the CSMS does not accept the token of a running transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocpp_fast.blocks.readings import energy_wh

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.blocks.readings import Readings
    from ocpp_fast.blocks.transactions.events import TransactionEvents
    from ocpp_fast.blocks.transactions.transaction import Transaction
    from ocpp_fast.messages import v21

__all__ = ["Refusals"]


class Refusals:
    """Ends the authorization, stops the energy, or lets as much of it flow as is allowed.

    That a token was refused, and up to which reading it may charge, is remembered over a restart.
    """

    def __init__(
        self,
        context: Context,
        readings: Readings,
        active: Mapping[int, Transaction],
        events: TransactionEvents,
    ) -> None:
        self._context = context
        self._readings = readings
        self._active = active
        self._events = events
        readings.subscribe(self._on_reading)

    def judged(self, transaction: Transaction, *, accepted: bool) -> None:
        """The CSMS has said what it thinks of the token that an event told."""
        if transaction.refused is accepted:
            transaction.refused = not accepted
            if accepted:
                transaction.energy_limit_wh, transaction.limit_reached = None, False
            # Durable before the event that was answered is forgotten.
            self._events.remember(transaction)
        if not accepted:
            self.act(transaction)

    def act(self, transaction: Transaction) -> None:
        """Does what E05 wants of a transaction whose token was refused."""
        self._context.spawn(self._not_accepted(transaction), "token not accepted")

    async def _not_accepted(self, transaction: Transaction) -> None:
        context = self._context
        callbacks = context.callbacks
        variables = context.device_model.variables
        evse_id = transaction.evse_id
        if self._active.get(evse_id) is not transaction:
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
        if allowed and not transaction.limit_reached:
            if transaction.energy_limit_wh is None and energy is not None:
                transaction.energy_limit_wh = energy + allowed  # E05.FR.03
                self._events.remember(transaction)
            if transaction.energy_limit_wh is not None:
                return
        await self._pause(evse_id)  # E05.FR.02

    async def _pause(self, evse_id: int) -> None:
        callbacks = self._context.callbacks
        await self._context.ask(
            "pause_charging_callback", lambda: callbacks.pause_charging_callback(evse_id), None
        )

    def _on_reading(self, evse_id: int, reading: v21.MeterValueType) -> None:
        transaction = self._active.get(evse_id)
        if transaction is None or transaction.limit_reached or transaction.restored:
            return
        limit_wh = transaction.energy_limit_wh
        if limit_wh is None:
            return
        energy = energy_wh(reading)
        if energy is not None and energy >= limit_wh:
            # The limit itself stays, also in the storage: after a restart it is reached at once.
            transaction.limit_reached = True
            self._context.spawn(self._pause(evse_id), "energy limit of an invalid token")
