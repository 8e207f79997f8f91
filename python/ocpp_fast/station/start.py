"""What happens at one EVSE when the station starts: contactor open, then on from where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ocpp_fast.callbacks import RestoredTransaction
from ocpp_fast.station.machine import OFFERED, Effect, facts
from ocpp_fast.station.resumption import Policy, resumption

if TYPE_CHECKING:
    from ocpp_fast.callbacks import OpenTransaction
    from ocpp_fast.charge_point import ChargePoint
    from ocpp_fast.ids import Ids
    from ocpp_fast.station.evse import EvseController
    from ocpp_fast.station.resumption import Resumption
    from ocpp_fast.station.session import Session, Sessions

__all__ = ["EvseStart"]

_METER_S: Final = 5.0
"""How long the meter may take at the start: together with the question where the EV is, less than
a callback of the charge point may."""


class EvseStart:
    """Holds an EVSE from the start of the station until it is known what becomes of it.

    Events of the hardware side wait meanwhile, and no energy flows. Whatever fails, power stays
    off: it comes back for a transaction that was resumed, by the answer of `interrupted`, alone.
    """

    def __init__(
        self,
        evse: EvseController,
        charge_point: ChargePoint,
        sessions: Sessions,
        *,
        ids: Ids,
    ) -> None:
        self._evse = evse
        self._charge_point = charge_point
        self._actuators = evse.actuators
        self._sessions = sessions
        self._ids = ids
        self._holds = False
        self._sound = True
        """Whether the hardware has done, and answered, everything so far."""
        self._looked = False
        self._connector_id: int | None = None
        """Where an EV is plugged in."""
        self._interrupted = False
        """Whether there was a transaction."""
        self._authorized = False
        """Whether a token was told for it."""
        self._refused = False
        """Whether the CSMS wants no energy to flow for that token (E05)."""

    async def open(self) -> None:
        """Takes hold of the EVSE, and opens its contactor."""
        await self._evse.lock.acquire()
        self._holds = True
        self._sound = await self._actuators.move(Effect.STOP_POWER)

    def let_go(self) -> None:
        """Lets the EVSE go, if it does not yet."""
        if self._holds:
            self._holds = False
            self._evse.lock.release()

    async def interrupted(self, transaction: OpenTransaction) -> RestoredTransaction:
        """What becomes of the transaction that was running here, see
        `Callbacks.restore_transaction_callback`. An EVSE that does not know whether an EV is there
        closes it. Takes up to 15 seconds."""
        self._interrupted = True
        self._authorized = transaction.id_token is not None
        variables = self._charge_point.device_model.variables
        limited = variables.max_energy_on_invalid_id_wh and not variables.stop_tx_on_invalid_id
        self._refused = transaction.refused and not limited
        await self._look()
        reading = await self._evse.meter.sample(_METER_S)
        if not self._sound:
            return RestoredTransaction(resume=False, meter_value=reading)
        session = self._session(transaction.transaction_id)
        taken = self._taken(session, resume=transaction.resume)
        ending = taken.ending
        return RestoredTransaction(
            resume=taken.resumes,
            charging_state=taken.told,
            meter_value=reading,
            trigger_reason=None if ending is None else ending.trigger,
            stopped_reason=None if ending is None else ending.stopped_reason,
            id_token=ending and ending.id_token and ending.id_token.message(),
        )

    async def take_up(self) -> None:
        """Goes on, when it is decided and durable what has become of the transaction; then lets
        the EVSE go."""
        evse = self._evse
        try:
            await self._charge_point.recovered(evse.evse_id)
            await self._look()
            if self._sound:
                await self._go_on()
            else:
                await self._give_up()
        finally:
            self.let_go()

    async def _go_on(self) -> None:
        evse = self._evse
        open_id = evse.transaction_id
        session = self._session(open_id)
        if session is not None or open_id is not None or self._interrupted:
            # Somebody else may have answered for us: what counts is what has become of it.
            taken = self._taken(session, resume=open_id is not None)
            delay_s = self._delay_s() if taken.state in OFFERED else 0.0
            await evse.go_on(taken, session, self._connector_id, delay_s)
        if self._connector_id is not None and not facts(evse.state).connected:
            await evse.notice(self._connector_id)

    async def _give_up(self) -> None:
        """The hardware has failed. Nobody charges here before its fault is cleared."""
        evse = self._evse
        evse.look_again = self._look_again
        if evse.transaction_id is not None:
            await evse.go_on(self._taken(None, resume=False), None, None, 0.0)
        await evse.break_down()

    def _delay_s(self) -> float:
        """E17.FR.18, and for EVs that might begin to charge just then."""
        variables = self._charge_point.device_model.variables
        return self._ids.random() * variables.energy_transfer_resumption_random_range_s

    def _session(self, transaction_id: str | None) -> Session | None:
        """The session of a transaction, or the last one when none is open."""
        session = self._sessions.of(self._evse.evse_id)
        if session is None or transaction_id in (None, session.transaction_id):
            return session
        return None

    def _taken(self, session: Session | None, *, resume: bool) -> Resumption:
        variables = self._charge_point.device_model.variables
        here = self._connector_id
        if session is not None and session.connector_id not in (None, here):
            here = None  # It was unplugged, and this is another one.
        return resumption(
            session,
            connected=here is not None,
            authorized=self._authorized,
            resume=resume,
            policy=Policy(
                allow_energy=variables.allow_energy_transfer_resumption and not self._refused,
                stop_points=variables.tx_stop_point,
                auth_enabled=variables.auth_enabled,
            ),
        )

    async def _look(self) -> None:
        """Asks, once, where an EV is."""
        if self._sound and not self._looked:
            self._looked = True
            self._sound, self._connector_id = await self._actuators.connected_at()

    async def _look_again(self) -> None:
        """The fault was cleared."""
        evse = self._evse
        evse.look_again = None
        self._looked = False
        self._sound = await self._actuators.move(Effect.STOP_POWER)
        await self._look()
        if not self._sound:
            await self._give_up()
        elif self._connector_id is not None:
            await evse.notice(self._connector_id)
