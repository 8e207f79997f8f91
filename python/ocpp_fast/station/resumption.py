"""How an EVSE goes on after a restart: E17, and E06 for what has happened in the dark. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ocpp_fast.station.machine import OFFERED, Effect, EvseState, charging_state, facts
from ocpp_fast.station.session import Ending
from ocpp_fast.station.tx_points import TxStep, decide

if TYPE_CHECKING:
    from collections.abc import Collection

    from ocpp_fast.config import TxPoint
    from ocpp_fast.station.session import Session

__all__ = ["Policy", "Resumption", "entry_effects", "resumption"]

_S = EvseState

_NOBODY: Final = {
    _S.AUTHORIZED: _S.AVAILABLE,
    _S.READY: _S.CONNECTED,
    _S.CHARGING: _S.CONNECTED,
    _S.SUSPENDED_EV: _S.CONNECTED,
    _S.SUSPENDED_EVSE: _S.CONNECTED,
}
"""States without the authorization of which no event has told the CSMS."""
_FAULTLESS: Final = {_S.FAULTED: _S.AVAILABLE, _S.FAULTED_CONNECTED: _S.STOPPED}
"""A fault ends the authorization. Whether it is still there is for the hardware side to say."""
_WITHOUT_ENERGY: Final = {_S.CHARGING: _S.SUSPENDED_EVSE, _S.SUSPENDED_EV: _S.SUSPENDED_EVSE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the settings of the station say."""

    allow_energy: bool
    """TxCtrlr.AllowEnergyTransferResumption."""
    stop_points: Collection[TxPoint]
    auth_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """How an EVSE goes on, and its transaction."""

    state: EvseState
    """Of the EVSE from now on; power is not on yet in any of them."""
    resumes: bool
    """False: the transaction has ended."""
    told: str
    """ChargingStateEnumType for the event that tells of it."""
    held: bool = False
    """See `Session.held`."""
    stopped_reason: str | None = None
    """See `Session.stopped_reason`."""
    ending: Ending | None = None
    """What the Ended event says, if it is known better than that the power was lost."""


def resumption(
    session: Session | None, *, connected: bool, authorized: bool, resume: bool, policy: Policy
) -> Resumption:
    """How the EVSE of a session goes on.

    `connected`: an EV is plugged in at the same connector as before, or at any if there was none.
    `authorized`: a token has been told for the transaction. `resume`: whether it may go on at all
    (E17.FR.10, E17.FR.20). Without a session it ends: nobody knows who was charging.
    """
    if session is None:
        return _ended(_S.STOPPED, connected=connected)
    was = session.state if authorized else _NOBODY.get(session.state, session.state)
    if session.ending is not None:  # It was on its way when the power went.
        return _ended(was, connected=connected, ending=session.ending)
    if not resume:
        # Where nobody has to be authorized the EV may begin anew at once.
        anew = facts(was).authorized and not policy.auth_enabled
        return _ended(_S.AVAILABLE if anew else was, connected=connected)
    state = _dark(was, connected=connected, allow_energy=policy.allow_energy)
    before = facts(was, bay_occupied=session.bay_occupied)
    after = facts(state, bay_occupied=session.bay_occupied)
    step = decide(before, after, active=True, start_points=(), stop_points=policy.stop_points)
    reason = session.stopped_reason
    if before.connected and not after.connected:
        reason = reason or "EVDisconnected"
        if step is TxStep.STOP:  # E17.FR.17, E06.FR.02
            return _ended(was, connected=False, ending=Ending("EVCommunicationLost", reason))
    elif step is TxStep.STOP:  # E06.FR.07: energy was flowing, and will not.
        return _ended(was, connected=connected)
    return Resumption(
        state=state,
        resumes=True,
        told=charging_state(state),
        held=_held(session, state, policy),
        stopped_reason=reason,
    )


def _dark(was: EvseState, *, connected: bool, allow_energy: bool) -> EvseState:
    """What has become of a state while the station was down. An EV that was plugged in meanwhile
    is not in it: that is a step of its own."""
    was = _FAULTLESS.get(was, was)
    if not facts(was).connected:
        return was
    if not connected:
        return _S.AVAILABLE  # E17.FR.16
    if allow_energy:
        return was  # E17.FR.11
    # E17.FR.12, E17.FR.13. Of SuspendedEV they say nothing, but it would let energy flow.
    return _WITHOUT_ENERGY.get(was, was)


def _held(session: Session, state: EvseState, policy: Policy) -> bool:
    """Part 2, E17: not allowed means that no energy flows any more, in whatever state."""
    return facts(state).authorized and (session.held or not policy.allow_energy)


def _ended(was: EvseState, *, connected: bool, ending: Ending | None = None) -> Resumption:
    """The EV that is still there may not begin again by itself."""
    stays = connected and facts(was).connected
    return Resumption(
        state=_S.STOPPED if stays else _S.AVAILABLE,
        resumes=False,
        told=charging_state(_S.STOPPED if connected else _S.AVAILABLE),
        ending=ending,
    )


def entry_effects(state: EvseState) -> tuple[Effect, ...]:
    """What has to be done to be in a state after a start, at which the contactor was opened."""
    effects: list[Effect] = []
    known = facts(state)
    if known.authorized and known.connected:
        effects.append(Effect.LOCK)
        if state in OFFERED:
            effects.append(Effect.ALLOW_POWER)
    else:
        effects.append(Effect.UNLOCK)
    if state is EvseState.AUTHORIZED:
        effects.append(Effect.ARM_TIMEOUT)
    if known.connected:
        effects.append(Effect.SESSION_STARTED)
    return tuple(effects)
