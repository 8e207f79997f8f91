"""One EVSE: runs its state machine, moves its hardware, and reports to the charge point."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ocpp_fast.config import TxPoint
from ocpp_fast.errors import HardwareError
from ocpp_fast.station.machine import Effect, EvseEvent, EvseState, Facts, charging_state, facts
from ocpp_fast.station.machine import step as step_of
from ocpp_fast.station.tx_points import TxStep, decide

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ocpp_fast.charge_point import ChargePoint
    from ocpp_fast.clock import Timer
    from ocpp_fast.ids import Ids
    from ocpp_fast.messages import v21
    from ocpp_fast.station.hardware import EvseHardware
    from ocpp_fast.station.metering import MeterValueMaker

__all__ = ["Cause", "EvseController"]

_log = logging.getLogger(__name__)

HARDWARE_TIMEOUT_S: Final = 10.0
"""How long an actuator or a meter may take."""


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


class EvseController:
    """The charging session and the transaction of one EVSE.

    The methods named after events are called by the hardware side. They return when the step is
    done and its TransactionEvent is stored; steps of one EVSE follow one another.
    """

    def __init__(
        self,
        evse_id: int,
        charge_point: ChargePoint,
        hardware: EvseHardware,
        *,
        ids: Ids,
        maker: MeterValueMaker,
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
        self._maker = maker
        self._on_change = on_change
        self._bay_occupied = False
        self._meter_failed = False
        self._stopped_reason: str | None = None
        self._remote_start_id: int | None = None
        self._timeout: Timer | None = None
        self._lock = asyncio.Lock()

    # --- what the hardware side reports -----------------------------------------------------

    async def plugged_in(self, connector_id: int = 1) -> None:
        """An EV was plugged in at a connector."""
        async with self._lock:
            if not self._facts().connected:
                self.connector_id = connector_id
                self.plugged_at = self._clock.monotonic()
            await self._step_locked(EvseEvent.PLUG_IN, _PLUG_IN)

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
        await self._step(EvseEvent.FAULT_CLEARED, _STATION)

    async def bay_changed(self, *, occupied: bool) -> None:
        """The parking bay detector sees a vehicle, or sees it no more (E01.FR.01, E06.FR.01)."""
        async with self._lock:
            before = self._facts()
            self._bay_occupied = occupied
            await self._tell(before, _EV_DETECTED if occupied else _EV_DEPARTED, changed=False)

    # --- what the station decides ---------------------------------------------------------

    @property
    def transaction_id(self) -> str | None:
        """The transaction of this EVSE."""
        return self._charge_point.get_evse_transaction_id(self.evse_id)

    def can_authorize(self) -> bool:
        """Whether an authorization would lead to charging with a transaction.

        Not while one is in force, nor when the transaction of this EV has ended and no start point
        is left to begin another: then the EV has to be unplugged first.
        """
        starting = {TxPoint.AUTHORIZED, TxPoint.POWER_PATH_CLOSED, TxPoint.ENERGY_TRANSFER}
        if self.state is EvseState.AVAILABLE:
            starting.add(TxPoint.EV_CONNECTED)
        elif self.state not in (EvseState.CONNECTED, EvseState.STOPPED):
            return False
        points = self._charge_point.device_model.variables.tx_start_point
        return self.transaction_id is not None or not starting.isdisjoint(points)

    async def authorize(
        self,
        id_token: v21.IdTokenType,
        group_id_token: v21.IdTokenType | None = None,
        remote_start_id: int | None = None,
    ) -> bool:
        """A driver is authorized (E02.FR.01); false when this EVSE has no use for it."""
        async with self._lock:
            if not self.can_authorize():
                return False
            self.id_token, self.group_id_token = id_token, group_id_token
            self._stopped_reason = None
            self._remote_start_id = remote_start_id
            cause = Cause(trigger="Authorized", id_token=id_token)
            await self._step_locked(EvseEvent.AUTHORIZE, cause)
            return True

    async def deauthorize(self, reason: str, id_token: v21.IdTokenType | None = None) -> None:
        """The authorization ends (E07, F03, E05, B12): Local, Remote, DeAuthorized or
        ImmediateReset. With Local, `id_token` is the token that ended it (E07.FR.02)."""
        cause = _DEAUTHORIZED[reason]
        async with self._lock:
            if id_token is not None:
                cause = Cause(
                    trigger=cause.trigger, stopped_reason=cause.stopped_reason, id_token=id_token
                )
            done = await self._step_locked(EvseEvent.DEAUTHORIZE, cause)
            if not done and cause.always_ends and self.transaction_id is not None:
                await self._finish(cause)

    async def pause(self) -> None:
        """Offers no energy for now (E05.FR.02)."""
        await self._step(EvseEvent.PAUSE, _STATION)

    async def resume(self) -> None:
        """Offers energy again."""
        await self._step(EvseEvent.RESUME, _STATION)

    async def sample(self) -> v21.MeterValueType | None:
        """Reads the meter and passes the reading on; None when it cannot be read."""
        try:
            reading = await self._clock.wait_for(self.hardware.read_meter(), HARDWARE_TIMEOUT_S)
        except Exception as error:
            self._note_meter(error)
            return None
        self._note_meter(None)
        if reading is None:
            return None
        value = self._maker.make(reading, self._charge_point.version)
        self._charge_point.on_meter_value(self.evse_id, value)
        return value

    def _note_meter(self, error: Exception | None) -> None:
        """Logs a meter that fails when it begins to, not at every look."""
        if error is not None and not self._meter_failed:
            known = isinstance(error, (HardwareError, TimeoutError))
            _log.error(
                "the meter of EVSE %d cannot be read: %s",
                self.evse_id,
                error or "no answer",
                exc_info=None if known else error,
            )
        elif error is None and self._meter_failed:
            _log.info("the meter of EVSE %d can be read again", self.evse_id)
        self._meter_failed = error is not None

    # --- one step -------------------------------------------------------------------------

    async def _step(self, event: EvseEvent, cause: Cause) -> None:
        async with self._lock:
            await self._step_locked(event, cause)

    async def _step_locked(self, event: EvseEvent, cause: Cause) -> bool:
        found = step_of(self.state, event)
        if found is None:
            _log.debug("EVSE %d: %s means nothing while %s", self.evse_id, event, self.state)
            return False
        effects, after = found
        before, self.state = self._facts(), after
        sound = await self._perform(effects)
        self._on_change(self.evse_id, after)
        await self._tell(before, cause, changed=True, timed_out=event is EvseEvent.CONNECT_TIMEOUT)
        if after is EvseState.AVAILABLE:
            self.connector_id = None
            if self.transaction_id is None:
                self.id_token = self.group_id_token = self._stopped_reason = None
                self._remote_start_id = None
        if not sound and event is not EvseEvent.FAULT:
            await self._step_locked(EvseEvent.FAULT, _FAULT)
        return True

    async def _perform(self, effects: tuple[Effect, ...]) -> bool:
        """False when an actuator has failed; then power is not allowed any more (G05.FR.01)."""
        sound = True
        for effect in effects:
            if effect in _ACTUATORS:
                if sound or effect is not Effect.ALLOW_POWER:
                    sound = await self._actuate(effect) and sound
            else:
                self._note(effect)
        return sound

    async def _actuate(self, effect: Effect) -> bool:
        method: Callable[[], Awaitable[None]] = getattr(self.hardware, _ACTUATORS[effect])
        try:
            await self._clock.wait_for(method(), HARDWARE_TIMEOUT_S)
        except (HardwareError, TimeoutError) as error:
            _log.error("EVSE %d: %s failed: %s", self.evse_id, effect, error)
            return False
        except Exception:
            _log.exception("EVSE %d: %s failed", self.evse_id, effect)
            return False
        return True

    def _note(self, effect: Effect) -> None:
        charge_point, evse_id, connector_id = self._charge_point, self.evse_id, self.connector_id
        match effect:
            case Effect.ARM_TIMEOUT:
                delay_s = charge_point.device_model.variables.ev_connection_timeout_s
                self._timeout = self._clock.call_later(delay_s, self._on_timeout)
            case Effect.CANCEL_TIMEOUT:
                if self._timeout is not None:
                    self._timeout.cancel()
            case Effect.SESSION_STARTED:
                charge_point.on_session_started(evse_id, connector_id or 1)
            case Effect.SESSION_FINISHED:
                charge_point.on_session_finished(evse_id, connector_id or 1)
            case Effect.REPORT_FAULT:
                for connector in self._connectors():
                    charge_point.on_faulted(evse_id, connector)
            case Effect.REPORT_CLEARED:
                for connector in self._connectors():
                    charge_point.on_fault_cleared(evse_id, connector)
            case _:
                raise AssertionError(effect)

    def _connectors(self) -> range:
        return range(1, self._charge_point.device_model.connectors[self.evse_id] + 1)

    def _on_timeout(self) -> None:
        self._charge_point.spawn(self._step(EvseEvent.CONNECT_TIMEOUT, _TIMEOUT), "connect timeout")

    # --- the transaction --------------------------------------------------------------------

    def _facts(self) -> Facts:
        return facts(self.state, bay_occupied=self._bay_occupied)

    async def _tell(
        self, before: Facts, cause: Cause, *, changed: bool, timed_out: bool = False
    ) -> None:
        """Starts, ends or updates the transaction, as it follows from the step."""
        variables = self._charge_point.device_model.variables
        active = self.transaction_id is not None
        decision = decide(
            before,
            self._facts(),
            active=active,
            start_points=variables.tx_start_point,
            stop_points=variables.tx_stop_point,
        )
        if active and (
            cause.always_ends
            # E03.FR.05, E03.FR.15: no EV came; only a bay detector may still end it later.
            or (timed_out and TxPoint.PARKING_BAY_OCCUPANCY not in variables.tx_stop_point)
        ):
            decision = TxStep.STOP
        if decision is TxStep.START:
            await self._start(cause)
        elif decision is TxStep.STOP:
            await self._finish(cause)
        elif active:
            if before.authorized and not self._facts().authorized:
                self._stopped_reason = self._stopped_reason or cause.stopped_reason
            if changed or cause is _EV_DEPARTED or cause is _EV_DETECTED:
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
        reading = await self.sample()
        await self._charge_point.on_transaction_started(
            self.evse_id,
            self.connector_id if self._facts().connected else None,
            self._ids.transaction_id(),
            self._clock.now(),
            cause.trigger,
            meter_start=reading,
            id_token=self.id_token if self._facts().authorized else None,
            remote_start_id=self._take_remote_start_id(),
            charging_state=charging_state(self.state),
        )

    async def _finish(self, cause: Cause) -> None:
        reading = await self.sample()
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


_ACTUATORS: Final = {
    Effect.STOP_POWER: "stop_power",
    Effect.LOCK: "lock",
    Effect.ALLOW_POWER: "allow_power",
    Effect.UNLOCK: "unlock",
}
