"""Reset (B11, B12)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from ocpp_fast.router import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ocpp_fast.blocks.context import ActiveTransactions, Context
    from ocpp_fast.messages import v21
    from ocpp_fast.router import Handler

__all__ = ["Resets"]

_log = logging.getLogger(__name__)

FAREWELL_S: Final = 30.0
"""How long an Immediate reset waits for the Ended events to be confirmed (B12.FR.05)."""


class Resets:
    """Decides whether and when the station is reset, and prepares it.

    A scheduled reset does not outlive a restart: whatever made the station restart has done what
    the CSMS wanted, and its next BootNotification says so (B11.FR.04). To reset once more, when the
    transactions have ended that were resumed, would surprise everybody.
    """

    def __init__(
        self,
        context: Context,
        transactions: ActiveTransactions,
        *,
        flush: Callable[[], Awaitable[None]],
    ) -> None:
        """`flush` returns when all that waits for delivery has been delivered."""
        self._context = context
        self._transactions = transactions
        self._flush = flush
        self.handlers: Mapping[str, Handler] = {"Reset": self._on_reset}
        self._reset_when_idle: v21.ResetEnumType | None = None

    async def _on_reset(self, request: v21.ResetRequest) -> Reply:
        m = self._context.messages
        status = m.ResetStatusEnumType
        kind = request.type
        if request.evse_id is not None or kind not in ("Immediate", "OnIdle"):
            # No EVSE can be reset on its own (B11.FR.09, B12.FR.09), nor with its transactions.
            return Reply(m.ResetResponse(status=status.REJECTED))
        allowed = await self._context.ask(
            "is_reset_allowed_callback",
            lambda: self._context.callbacks.is_reset_allowed_callback(None, kind),
            default=False,
        )
        if not allowed:  # B11.FR.06, B12.FR.10
            return Reply(m.ResetResponse(status=status.REJECTED))
        if kind == "OnIdle" and any(True for _ in self._transactions.active_evses()):
            self._reset_when_idle = kind  # B12.FR.01, B12.FR.03
            return Reply(m.ResetResponse(status=status.SCHEDULED))

        async def act() -> None:
            self._context.spawn(self._reset(kind), "reset")

        return Reply(m.ResetResponse(status=status.ACCEPTED), act)  # B11.FR.03, B12.FR.02

    def on_idle(self) -> None:
        """The last transaction has ended: a scheduled reset is due."""
        if self._reset_when_idle is not None:
            kind, self._reset_when_idle = self._reset_when_idle, None
            self._context.spawn(self._reset(kind), "reset")

    async def _reset(self, kind: v21.ResetEnumType) -> None:
        context = self._context
        callbacks = context.callbacks
        if kind == "Immediate":
            reason = context.messages.ReasonEnumType.IMMEDIATE_RESET  # B12.FR.04
            for evse_id in tuple(self._transactions.active_evses()):
                await context.ask(
                    "stop_transaction_callback",
                    lambda evse_id=evse_id: callbacks.stop_transaction_callback(evse_id, reason),
                    None,
                )
        try:
            await context.clock.wait_for(self._flush(), FAREWELL_S)
        except TimeoutError:  # B12.FR.05: they stay queued and are sent after the reboot
            _log.warning("resetting while messages wait for delivery")
        await context.ask("reset_callback", lambda: callbacks.reset_callback(None, kind), None)
