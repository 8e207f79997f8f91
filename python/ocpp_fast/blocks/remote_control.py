"""Block F: starting and stopping from afar (F01 to F03), and triggered messages (F06)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocpp_fast.router import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocpp_fast.blocks.context import ActiveTransactions, ConnectorStates, Context, Trigger
    from ocpp_fast.messages import v21
    from ocpp_fast.router import Handler

__all__ = ["RemoteControl"]


class RemoteControl:
    """Decides by the rules of OCPP, asks the integrator, answers, and only then acts."""

    def __init__(
        self,
        context: Context,
        transactions: ActiveTransactions,
        connectors: ConnectorStates,
        triggers: Mapping[str, Trigger],
    ) -> None:
        """`triggers`: what can be triggered, by its MessageTriggerEnumType."""
        self._context = context
        self._transactions = transactions
        self._connectors = connectors
        self._triggers = triggers
        self.handlers: Mapping[str, Handler] = {
            "RequestStartTransaction": self._on_start,
            "RequestStopTransaction": self._on_stop,
            "TriggerMessage": self._on_trigger,
        }

    async def _on_start(self, request: v21.RequestStartTransactionRequest) -> Reply:
        """F01, F02. A charging profile is passed over as long as there is no smart charging
        (F01.FR.12, F02.FR.20)."""
        m = self._context.messages
        status = m.RequestStartStopStatusEnumType
        evse_id = self._choose(request.evse_id)
        if evse_id is None:
            return Reply(m.RequestStartTransactionResponse(status=status.REJECTED))
        transaction_id = self._transactions.transaction_id(evse_id)
        chosen = request if request.evse_id == evse_id else request.replace(evse_id=evse_id)
        authorize = self._context.device_model.variables.authorize_remote_start
        callback = self._context.callbacks.remote_start_transaction_callback
        after = await self._context.ask(
            "remote_start_transaction_callback", lambda: callback(chosen, authorize), None
        )
        if after is None:
            return Reply(m.RequestStartTransactionResponse(status=status.REJECTED))
        response = m.RequestStartTransactionResponse(
            status=status.ACCEPTED,
            transaction_id=transaction_id,  # F01.FR.13
        )
        return Reply(response, after)

    def _choose(self, wanted: int | None) -> int | None:
        """The EVSE of a remote start; None when there is none that could.

        One that is named must be usable and without an authorized transaction (F01.FR.23,
        F01.FR.24). Without a name the station chooses (F01.FR.20): an EVSE with an EV waiting,
        else the first free one.
        """
        evses = self._context.device_model.connectors
        fit = [
            evse_id
            for evse_id in (evses if wanted is None else [wanted])
            if evse_id in evses
            and self._connectors.usable(evse_id)
            and not self._transactions.is_authorized(evse_id)
        ]
        return min(fit, key=lambda e: (not self._connectors.occupied(e), e), default=None)

    async def _on_stop(self, request: v21.RequestStopTransactionRequest) -> Reply:
        """F03."""
        m = self._context.messages
        status = m.RequestStartStopStatusEnumType
        evse_id = self._transactions.evse_of(request.transaction_id)
        if evse_id is None:  # F03.FR.08
            return Reply(m.RequestStopTransactionResponse(status=status.REJECTED))
        callback = self._context.callbacks.stop_transaction_callback
        reason = m.ReasonEnumType.REMOTE

        async def act() -> None:
            await self._context.ask(
                "stop_transaction_callback", lambda: callback(evse_id, reason), None
            )

        return Reply(m.RequestStopTransactionResponse(status=status.ACCEPTED), act)  # F03.FR.07

    async def _on_trigger(self, request: v21.TriggerMessageRequest) -> Reply:
        """F06: the answer first, then the message (F06.FR.04)."""
        m = self._context.messages
        status = m.TriggerMessageStatusEnumType
        trigger = self._triggers.get(request.requested_message)
        if trigger is None:  # F06.FR.08, F06.FR.19
            return Reply(m.TriggerMessageResponse(status=status.NOT_IMPLEMENTED))
        send = trigger(request.evse)
        if send is None:
            return Reply(m.TriggerMessageResponse(status=status.REJECTED))
        return Reply(m.TriggerMessageResponse(status=status.ACCEPTED), send)
