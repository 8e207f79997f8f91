"""What `ocpp-fast station --storage` finds when it was interrupted in the middle of charging."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ocpp_fast.cli.session import pause

if TYPE_CHECKING:
    from ocpp_fast.callbacks import Callbacks, OpenTransaction, RestoredTransaction
    from ocpp_fast.cli.screen import Screen
    from ocpp_fast.clock import Clock
    from ocpp_fast.simulator import SimulatedStation

__all__ = ["Comeback"]


class Comeback:
    """The transactions of an earlier run, and the drivers who still have to end their visits."""

    def __init__(self, screen: Screen) -> None:
        self.ids: list[str] = []
        """transactionIds."""
        self._screen = screen

    def adapt(self, callbacks: Callbacks) -> Callbacks:
        """For `Station`: lets it decide, and shows what it has decided."""
        own = callbacks.restore_transaction_callback
        if own is None:
            return callbacks

        async def decide(transaction: OpenTransaction) -> RestoredTransaction:
            restored = await own(transaction)
            self.ids.append(transaction.transaction_id)
            became = "goes on" if restored.resume else "has ended"
            self._screen.line(
                f"EVSE {transaction.evse_id}: transaction {transaction.transaction_id} was "
                f"interrupted {transaction.interrupted_s:.0f} s ago while "
                f"{transaction.charging_state}; it {became}, {restored.charging_state}"
            )
            return restored

        return replace(callbacks, restore_transaction_callback=decide)

    async def finish(self, station: SimulatedStation, seconds: float, clock: Clock) -> bool:
        """Ends the visits of the earlier run; false when there were none."""
        busy = [
            evse_id
            for evse_id, hardware in station.hardware.items()
            if hardware.car is not None or station.evse(evse_id).transaction_id is not None
        ]
        if any(station.evse(evse_id).transaction_id is not None for evse_id in busy):
            await pause(clock, seconds, self._screen)
        for evse_id in busy:
            evse = station.evse(evse_id)
            if evse.transaction_id is not None and evse.id_token is not None:
                self._screen.line(f"EVSE {evse_id}: the driver presents the card again")
                await station.present_token(evse.id_token, evse_id)
        for evse_id in busy:
            self._screen.line(f"EVSE {evse_id}: the driver unplugs and leaves")
            await station.unplug(evse_id)
        return bool(busy or self.ids)
