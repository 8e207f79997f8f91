"""One EVSE: runs its state machine, moves its hardware, and reports to the charge point."""

from __future__ import annotations

import asyncio
import functools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ocpp_fast.config import TxPoint
from ocpp_fast.station.actuators import MOVES, Actuators
from ocpp_fast.station.machine import (
    OFFERED,
    Effect,
    EvseEvent,
    EvseState,
    Facts,
    charging_state,
    facts,
)
from ocpp_fast.station.machine import step as step_of
from ocpp_fast.station.metering import Meter
from ocpp_fast.station.resumption import entry_effects
from ocpp_fast.station.session import Ending, Session, Token, is_same
from ocpp_fast.station.tx_points import TxStep, decide, stopped_from_afar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ocpp_fast.charge_point import ChargePoint
    from ocpp_fast.clock import Timer
    from ocpp_fast.ids import Ids
    from ocpp_fast.messages import v21
    from ocpp_fast.station.hardware import EvseHardware
    from ocpp_fast.station.metering import MeterValueMaker
    from ocpp_fast.station.resumption import Resumption
    from ocpp_fast.station.session import Sessions

__all__ = ["Cause", "EvseController"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why something happens, in the words of TransactionEvent."""

    trigger: str
    stopped_reason: str = "Other"
    """For the Ended event, if the transaction ends with it."""
    id_token: v21.IdTokenType | None = None
    """The token that has begun or ended the authorization."""
    always_ends: bool = False
    """Whether it ends the transaction whatever TxStopPoint says."""


_PLUG_IN = Cause(trigger="CablePluggedIn")
_PLUG_OUT = Cause(trigger="EVCommunicationLost", stopped_reason="EVDisconnected")
_TIMEOUT = Cause(trigger="EVConnectTimeout", stopped_reason="Timeout")
_ENERGY = Cause(trigger="ChargingStateChanged", stopped_reason="StoppedByEV")
_STATION = Cause(trigger="ChargingStateChanged")
_FAULT = Cause(trigger="AbnormalCondition")
_EV_DETECTED = Cause(trigger="EVDetected")
_EV_DEPARTED = Cause(trigger="EVDeparted", stopped_reason="Local")

_DEAUTHORIZED: Final = {
    "Local": Cause(trigger="StopAuthorized", stopped_reason="Local"),
    "Remote": Cause(trigger="RemoteStop", stopped_reason="Remote"),
    "DeAuthorized": Cause(trigger="Deauthorized", stopped_reason="DeAuthorized"),
    # B12.FR.04: a reset ends the transaction in any case.
    "ImmediateReset": Cause(
        trigger="ResetCommand", stopped_reason="ImmediateReset", always_ends=True
    ),
}
_FROM_AFAR: Final = frozenset({"Remote", "ImmediateReset"})
"""What is meant for a transaction whether anybody is authorized for it or not."""


class EvseController:
    """The charging session and the transaction of one EVSE.

    The methods named after events are called by the hardware side. They return when the step is
    done and its TransactionEvent is stored; steps of one EVSE follow one another, and the first
    waits until the station has started and taken up the EVSE.
    """

    def __init__(
        self,
        evse_id: int,
        charge_point: ChargePoint,
        hardware: EvseHardware,
        *,
        ids: Ids,
        maker: MeterValueMaker,
        sessions: Sessions,
        on_change: Callable[[int, EvseState], None],
    ) -> None:
        self.evse_id = evse_id
        self.hardware = hardware
        self.state = EvseState.AVAILABLE
        self.connector_id: int | None = None
        """Where an EV is plugged in."""
        self.plugged_at = 0.0
        """When it was plugged in, monotonic."""
        self.id_token: v21.IdTokenType | None = None
        """The token that began the present authorization, or the last one of the transaction."""
        self.group_id_token: v21.IdTokenType | None = None
        self._charge_point = charge_point
        self._clock = charge_point.clock
        self._ids = ids
        self._sessions = sessions
        self._on_change = on_change
        self.actuators = Actuators(evse_id, hardware, charge_point.clock)
        self.meter = Meter(evse_id, hardware, charge_point, maker)
        self._bay_occupied = False
        self.look_again: Callable[[], Awaitable[None]] | None = None
        """For when a fault is cleared of an EVSE that did not know whether an EV is there."""
        self._stopped_reason: str | None = None
        self._remote_start_id: int | None = None
        self._timeout: Timer | None = None
        self.lock = asyncio.Lock()
        """Whoever has it makes the next step; from the start until `EvseStart` has taken up the
        EVSE nobody else."""

    # --- what the hardware side reports -----------------------------------------------------

    async def plugged_in(self, connector_id: int = 1) -> None:
        """An EV was plugged in at a connector."""
        async with self.lock:
            await self.notice(connector_id)

    async def unplugged(self) -> None:
        """The EV is no longer connected."""
        await self._step(EvseEvent.PLUG_OUT, _PLUG_OUT)

    async def energy_flows(self) -> None:
        """The EV takes energy."""
        await self._step(EvseEvent.ENERGY_FLOWS, _ENERGY)

    async def energy_stops(self) -> None:
        """The EV takes no energy, though it could (E01.FR.19)."""
        await self._step(EvseEvent.ENERGY_STOPS, _ENERGY)

    async def faulted(self) -> None:
        """Something is wrong that makes the EVSE unusable (E06.FR.16)."""
        await self._step(EvseEvent.FAULT, _FAULT)

    async def fault_cleared(self) -> None:
        """It is usable again; a driver has to be authorized anew."""
        async with self.lock:
            await self._step_locked(EvseEvent.FAULT_CLEARED, _STATION)
            if self.look_again is not None:
                await self.look_again()

    async def bay_changed(self, *, occupied: bool) -> None:
        """The parking bay detector sees a vehicle, or sees it no more (E01.FR.01, E06.FR.01)."""
        async with self.lock:
            before, cause = self._facts(), _EV_DETECTED if occupied else _EV_DEPARTED
            self._bay_occupied = occupied
            await self._tell(self._decide(before, cause), cause)
            self._remember()

    # --- what the station decides ---------------------------------------------------------

    @property
    def transaction_id(self) -> str | None:
        """The transaction of this EVSE."""
        return self._charge_point.get_evse_transaction_id(self.evse_id)

    def can_authorize(self, id_token: v21.IdTokenType | None = None) -> bool:
        """Whether an authorization, of this token, would lead to charging with a transaction.

        Not while one is in force, nor when the transaction of this EV has ended and no start point
        is left to begin another: then the EV has to be unplugged first. A transaction that was
        authorized before keeps to its token (C01.FR.23).
        """
        starting = {TxPoint.AUTHORIZED, TxPoint.POWER_PATH_CLOSED, TxPoint.ENERGY_TRANSFER}
        if self.state is EvseState.AVAILABLE:
            starting.add(TxPoint.EV_CONNECTED)
        elif self.state not in (EvseState.CONNECTED, EvseState.STOPPED):
            return False
        if self.transaction_id is not None:
            return None in (id_token, self.id_token) or is_same(self.id_token, id_token)
        points = self._charge_point.device_model.variables.tx_start_point
        return not starting.isdisjoint(points)

    async def authorize(
        self,
        id_token: v21.IdTokenType,
        group_id_token: v21.IdTokenType | None = None,
        remote_start_id: int | None = None,
    ) -> bool:
        """A driver is authorized (E02.FR.01); false when this EVSE has no use for it."""
        async with self.lock:
            if not self.can_authorize(id_token):
                return False
            self.id_token, self.group_id_token = id_token, group_id_token
            self._stopped_reason = None
            self.actuators.held = False
            self._remote_start_id = remote_start_id
            cause = Cause(trigger="Authorized", id_token=id_token)
            await self._step_locked(EvseEvent.AUTHORIZE, cause)
            return True

    async def deauthorize(self, reason: str, id_token: v21.IdTokenType | None = None) -> None:
        """The authorization ends (E07, F03, E05, B12): Local, Remote, DeAuthorized or
        ImmediateReset. With Local, `id_token` is the token that ended it (E07.FR.02)."""
        cause = _DEAUTHORIZED[reason]
        async with self.lock:
            if id_token is not None:
                cause = Cause(
                    trigger=cause.trigger, stopped_reason=cause.stopped_reason, id_token=id_token
                )
            done = await self._step_locked(EvseEvent.DEAUTHORIZE, cause)
            if done or self.transaction_id is None or reason not in _FROM_AFAR:
                return
            points = self._charge_point.device_model.variables.tx_stop_point
            step = stopped_from_afar(
                self._facts(), always_ends=cause.always_ends, stop_points=points
            )
            await self._tell(step, cause)
            self._remember()

    async def pause(self, *, hold: bool = False) -> None:
        """Offers no energy for now; with `hold` until a driver is authorized anew, also when his EV
        is plugged in only later: the CSMS does not accept this one (E05.FR.02)."""
        async with self.lock:
            self.actuators.held = self.actuators.held or hold
            await self._step_locked(EvseEvent.PAUSE, _STATION)

    async def resume(self) -> None:
        """Offers energy again; not where a driver has to be authorized anew (E05.FR.02,
        E17.FR.12)."""
        if self.actuators.held:
            _log.info("EVSE %d: a driver has to be authorized anew for energy", self.evse_id)
            return
        await self._step(EvseEvent.RESUME, _STATION)

    # --- one step -------------------------------------------------------------------------

    async def _step(self, event: EvseEvent, cause: Cause) -> None:
        async with self.lock:
            await self._step_locked(event, cause)

    async def _step_locked(self, event: EvseEvent, cause: Cause) -> bool:
        found = step_of(self.state, event)
        if found is None:
            _log.debug("EVSE %d: %s means nothing while %s", self.evse_id, event, self.state)
            return False
        effects, after = found
        before, self.state = self._facts(), after
        decision = self._decide(before, cause)
        if self.transaction_id is not None and before.authorized and not self._facts().authorized:
            self._stopped_reason = self._stopped_reason or cause.stopped_reason
        if decision is TxStep.STOP:
            self._remember(ending=cause)
        elif after not in OFFERED:
            # Before anything is moved, for the power may go. What lets energy flow is remembered
            # with the event that tells of it.
            self._remember()
        sound = await self._perform(effects)
        self._on_change(self.evse_id, after)
        await self._tell(decision, cause)
        if after is EvseState.AVAILABLE:
            self.connector_id = None
            if self.transaction_id is None:
                self.id_token = self.group_id_token = self._stopped_reason = None
                self._remote_start_id = None
        self._remember()
        if not sound and event is not EvseEvent.FAULT:
            await self._step_locked(EvseEvent.FAULT, _FAULT)
        return True

    async def _perform(self, effects: tuple[Effect, ...]) -> bool:
        """False when an actuator has failed. Then nothing more is moved: power is not allowed
        (G05.FR.01), and a cable that may be under power is not unlocked."""
        sound = True
        for effect in effects:
            if effect in MOVES:
                sound = sound and await self.actuators.move(effect)
            else:
                self._note(effect)
        return sound

    def _note(self, effect: Effect) -> None:
        charge_point, evse_id, connector_id = self._charge_point, self.evse_id, self.connector_id
        connectors = range(1, charge_point.device_model.connectors[evse_id] + 1)
        match effect:
            case Effect.ARM_TIMEOUT:
                delay_s = charge_point.device_model.variables.ev_connection_timeout_s
                step = functools.partial(self._step, EvseEvent.CONNECT_TIMEOUT, _TIMEOUT)
                self._timeout = self._clock.call_later(
                    delay_s, lambda: charge_point.spawn(step(), "connect timeout")
                )
            case Effect.CANCEL_TIMEOUT:
                if self._timeout is not None:
                    self._timeout.cancel()
            case Effect.SESSION_STARTED:
                charge_point.on_session_started(evse_id, connector_id or 1)
            case Effect.SESSION_FINISHED:
                charge_point.on_session_finished(evse_id, connector_id or 1)
            case Effect.REPORT_FAULT:
                for connector in connectors:
                    charge_point.on_faulted(evse_id, connector)
            case Effect.REPORT_CLEARED:
                for connector in connectors:
                    charge_point.on_fault_cleared(evse_id, connector)
            case _:
                raise AssertionError(effect)

    # --- the transaction --------------------------------------------------------------------

    def _facts(self) -> Facts:
        return facts(self.state, bay_occupied=self._bay_occupied)

    def _decide(self, before: Facts, cause: Cause) -> TxStep:
        """What a step does to the transaction."""
        variables = self._charge_point.device_model.variables
        active = self.transaction_id is not None
        if active and cause.always_ends:
            return TxStep.STOP
        return decide(
            before,
            self._facts(),
            active=active,
            start_points=variables.tx_start_point,
            stop_points=variables.tx_stop_point,
        )

    async def _tell(self, decision: TxStep, cause: Cause) -> None:
        """Starts, ends or updates the transaction."""
        if decision is TxStep.START:
            await self._start(cause)
        elif decision is TxStep.STOP:
            # The authorization ends with its transaction (Part 2, C 1.1; C01.FR.01): energy that
            # flows after the last reading is nobody's.
            authorized = self._facts().authorized
            if authorized:
                await self.actuators.move(Effect.STOP_POWER)
            await self._finish(cause)
            if authorized:
                await self._step_locked(EvseEvent.DEAUTHORIZE, _STATION)
        elif self.transaction_id is not None:
            self._remember()
            await self._charge_point.on_charging_state_changed(
                self.evse_id,
                charging_state(self.state),
                cause.trigger,
                id_token=cause.id_token,
                remote_start_id=self._take_remote_start_id(),
            )

    def _take_remote_start_id(self) -> int | None:
        """For the next event after a remote start, whichever it is (F01.FR.25, F02.FR.01)."""
        taken, self._remote_start_id = self._remote_start_id, None
        return taken

    async def _start(self, cause: Cause) -> None:
        if not self._facts().authorized:  # It is not that of whoever charged here last.
            self.id_token = self.group_id_token = None
        reading = await self.meter.sample()
        transaction_id = self._ids.transaction_id()
        self._remember(transaction_id=transaction_id)
        await self._charge_point.on_transaction_started(
            self.evse_id,
            self.connector_id if self._facts().connected else None,
            transaction_id,
            self._clock.now(),
            cause.trigger,
            meter_start=reading,
            id_token=self.id_token,
            remote_start_id=self._take_remote_start_id(),
            charging_state=charging_state(self.state),
        )

    async def _finish(self, cause: Cause) -> None:
        self._remember(ending=cause)
        reading = await self.meter.sample()
        reason = self._stopped_reason or cause.stopped_reason
        self._stopped_reason = None
        await self._charge_point.on_transaction_finished(
            self.evse_id,
            self._clock.now(),
            reason,
            cause.trigger,
            meter_stop=reading,
            id_token=cause.id_token,
            charging_state=charging_state(self.state),
        )

    def _remember(self, *, transaction_id: str | None = None, ending: Cause | None = None) -> None:
        """Makes durable what a restart has to know, with the next event at the latest."""
        if not self._sessions.durable:
            return
        session, transaction_id = None, transaction_id or self.transaction_id
        if transaction_id is not None:
            session = Session(
                state=self.state,
                connector_id=self.connector_id,
                transaction_id=transaction_id,
                bay_occupied=self._bay_occupied,
                held=self.actuators.held,
                stopped_reason=self._stopped_reason,
                id_token=Token.of(self.id_token),
                group_id_token=Token.of(self.group_id_token),
                ending=ending
                and Ending(
                    ending.trigger,
                    self._stopped_reason or ending.stopped_reason,
                    Token.of(ending.id_token),
                ),
            )
        elif self.state in _DONE:  # It may not begin again by itself.
            session = Session(state=self.state, connector_id=self.connector_id)
        self._sessions.keep(self.evse_id, session)

    # --- the start of the station (`EvseStart`), with the lock ----------------------------

    async def notice(self, connector_id: int) -> None:
        """An EV is plugged in at a connector."""
        if not self._facts().connected:
            self.connector_id = connector_id
            self.plugged_at = self._clock.monotonic()
        await self._step_locked(EvseEvent.PLUG_IN, _PLUG_IN)

    async def go_on(
        self, taken: Resumption, session: Session | None, connector_id: int | None, delay_s: float
    ) -> None:
        """Goes on with a session after a restart. The contactor is open, and stays so for another
        `delay_s` (E17.FR.18) or as long as the session is held."""
        active = self.transaction_id is not None
        self.state = taken.state
        if self._facts().connected:
            self.connector_id, self.plugged_at = connector_id, self._clock.monotonic()
        if session is not None and active:
            self._bay_occupied = session.bay_occupied
            self.id_token = session.id_token and session.id_token.message()
            self.group_id_token = session.group_id_token and session.group_id_token.message()
            self._stopped_reason = taken.stopped_reason
        self.actuators.held = taken.held
        self.actuators.delay_power(
            delay_s, lambda: self._charge_point.spawn(self._allow_power(), "power after a restart")
        )
        sound = await self._perform(entry_effects(taken.state))
        if active and not taken.resumes:
            ending = taken.ending or Ending("AbnormalCondition", "PowerLoss")
            token = ending.id_token and ending.id_token.message()
            await self._finish(
                Cause(trigger=ending.trigger, stopped_reason=ending.stopped_reason, id_token=token)
            )
        self._remember()
        self._on_change(self.evse_id, self.state)
        if not sound:
            await self.break_down()

    async def break_down(self) -> None:
        """The hardware has failed."""
        await self._step_locked(EvseEvent.FAULT, _FAULT)

    async def _allow_power(self) -> None:
        """The delay is over."""
        async with self.lock:
            if self.state in OFFERED and not await self.actuators.move(Effect.ALLOW_POWER):
                await self.break_down()


_DONE: Final = frozenset({EvseState.STOPPED, EvseState.FAULTED_CONNECTED})
"""An EV is plugged in, and an authorization has ended."""
