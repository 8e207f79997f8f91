"""The charging session of one EVSE as a state machine: an enum and one table. No I/O.

`TABLE[state, event]` is `(effects, next state)`. What is not in the table changes nothing.
Whether a transaction starts or ends with a step is decided beside it, in `tx_points`, from the
`Facts` of the two states.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = [
    "OFFERED",
    "TABLE",
    "Effect",
    "EvseEvent",
    "EvseState",
    "Facts",
    "charging_state",
    "facts",
    "step",
]


class EvseState(StrEnum):
    """Where the charging session of an EVSE is."""

    AVAILABLE = "available"
    """No EV, nobody authorized."""
    AUTHORIZED = "authorized"
    """A driver is authorized, the EV is awaited for EVConnectionTimeOut."""
    CONNECTED = "connected"
    """An EV is plugged in, a driver is awaited."""
    READY = "ready"
    """Plugged in and authorized: power is offered, none flows yet."""
    CHARGING = "charging"
    """Energy flows."""
    SUSPENDED_EV = "suspended by the EV"
    """Power is offered, the EV does not take it."""
    SUSPENDED_EVSE = "suspended by the station"
    """The station offers no power for now."""
    STOPPED = "stopped"
    """The authorization has ended, the EV is still plugged in."""
    FAULTED = "faulted"
    """An error, no EV."""
    FAULTED_CONNECTED = "faulted with an EV"
    """An error, and an EV is plugged in."""


class EvseEvent(StrEnum):
    """What can happen to the charging session of an EVSE."""

    PLUG_IN = "plug in"
    PLUG_OUT = "plug out"
    """The EV is no longer connected, whichever end was unplugged."""
    AUTHORIZE = "authorize"
    DEAUTHORIZE = "deauthorize"
    """The authorization ends: by the driver, the CSMS or a reset."""
    CONNECT_TIMEOUT = "connect timeout"
    """No EV came within EVConnectionTimeOut."""
    ENERGY_FLOWS = "energy flows"
    ENERGY_STOPS = "energy stops"
    """The EV takes no energy though it is offered."""
    PAUSE = "pause"
    """The station has to stop offering energy for now."""
    RESUME = "resume"
    FAULT = "fault"
    FAULT_CLEARED = "fault cleared"


class Effect(StrEnum):
    """What a step makes the station do, in this order."""

    STOP_POWER = "stop power"
    LOCK = "lock"
    ALLOW_POWER = "allow power"
    UNLOCK = "unlock"
    ARM_TIMEOUT = "arm timeout"
    CANCEL_TIMEOUT = "cancel timeout"
    SESSION_STARTED = "session started"
    SESSION_FINISHED = "session finished"
    REPORT_FAULT = "report fault"
    REPORT_CLEARED = "report cleared"


Step = tuple[tuple[Effect, ...], EvseState]

_S, _E, _X = EvseState, EvseEvent, Effect

_UNPLUGGED: Final[Step] = (
    (_X.STOP_POWER, _X.UNLOCK, _X.SESSION_FINISHED),
    _S.AVAILABLE,
)
_ENDED: Final[Step] = ((_X.STOP_POWER, _X.UNLOCK), _S.STOPPED)
_BROKEN: Final[Step] = ((_X.STOP_POWER, _X.REPORT_FAULT), _S.FAULTED_CONNECTED)
_OFFERED: Final[Step] = ((_X.LOCK, _X.ALLOW_POWER), _S.READY)


def _energized() -> dict[tuple[EvseState, EvseEvent], Step]:
    """What the four states have in common in which an EV is plugged in and authorized."""
    table: dict[tuple[EvseState, EvseEvent], Step] = {}
    for state in (_S.READY, _S.CHARGING, _S.SUSPENDED_EV, _S.SUSPENDED_EVSE):
        table[state, _E.PLUG_OUT] = _UNPLUGGED
        table[state, _E.DEAUTHORIZE] = _ENDED
        table[state, _E.FAULT] = _BROKEN
        if state is not _S.SUSPENDED_EVSE:
            table[state, _E.PAUSE] = ((_X.STOP_POWER,), _S.SUSPENDED_EVSE)
    return table


TABLE: Final[dict[tuple[EvseState, EvseEvent], Step]] = {
    (_S.AVAILABLE, _E.PLUG_IN): ((_X.SESSION_STARTED,), _S.CONNECTED),
    (_S.AVAILABLE, _E.AUTHORIZE): ((_X.ARM_TIMEOUT,), _S.AUTHORIZED),
    (_S.AVAILABLE, _E.FAULT): ((_X.REPORT_FAULT,), _S.FAULTED),
    (_S.AUTHORIZED, _E.PLUG_IN): (
        (_X.LOCK, _X.ALLOW_POWER, _X.CANCEL_TIMEOUT, _X.SESSION_STARTED),
        _S.READY,
    ),
    (_S.AUTHORIZED, _E.DEAUTHORIZE): ((_X.CANCEL_TIMEOUT,), _S.AVAILABLE),
    (_S.AUTHORIZED, _E.CONNECT_TIMEOUT): ((), _S.AVAILABLE),  # C01.FR.26
    (_S.AUTHORIZED, _E.FAULT): ((_X.CANCEL_TIMEOUT, _X.REPORT_FAULT), _S.FAULTED),
    (_S.CONNECTED, _E.PLUG_OUT): ((_X.SESSION_FINISHED,), _S.AVAILABLE),
    (_S.CONNECTED, _E.AUTHORIZE): _OFFERED,
    (_S.CONNECTED, _E.FAULT): ((_X.REPORT_FAULT,), _S.FAULTED_CONNECTED),
    **_energized(),
    (_S.READY, _E.ENERGY_FLOWS): ((), _S.CHARGING),
    (_S.READY, _E.ENERGY_STOPS): ((), _S.SUSPENDED_EV),
    (_S.CHARGING, _E.ENERGY_STOPS): ((), _S.SUSPENDED_EV),
    (_S.SUSPENDED_EV, _E.ENERGY_FLOWS): ((), _S.CHARGING),
    (_S.SUSPENDED_EVSE, _E.RESUME): ((_X.ALLOW_POWER,), _S.READY),
    (_S.STOPPED, _E.PLUG_OUT): ((_X.SESSION_FINISHED,), _S.AVAILABLE),
    (_S.STOPPED, _E.AUTHORIZE): _OFFERED,
    (_S.STOPPED, _E.FAULT): ((_X.REPORT_FAULT,), _S.FAULTED_CONNECTED),
    (_S.FAULTED, _E.PLUG_IN): ((_X.SESSION_STARTED,), _S.FAULTED_CONNECTED),
    (_S.FAULTED, _E.FAULT_CLEARED): ((_X.REPORT_CLEARED,), _S.AVAILABLE),
    (_S.FAULTED_CONNECTED, _E.PLUG_OUT): ((_X.SESSION_FINISHED,), _S.FAULTED),
    # The fault has ended the authorization; the EV is still there.
    (_S.FAULTED_CONNECTED, _E.FAULT_CLEARED): ((_X.UNLOCK, _X.REPORT_CLEARED), _S.STOPPED),
}


OFFERED: Final = frozenset({_S.READY, _S.CHARGING, _S.SUSPENDED_EV})
"""States in which the EV may take energy."""


def step(state: EvseState, event: EvseEvent) -> Step | None:
    """What an event does in a state; None when it changes nothing."""
    return TABLE.get((state, event))


@dataclass(frozen=True, slots=True)
class Facts:
    """What a state means for the start and end of transactions."""

    bay_occupied: bool = False
    connected: bool = False
    authorized: bool = False
    energy: bool = False


_NOT_CONNECTED = frozenset({_S.AVAILABLE, _S.AUTHORIZED, _S.FAULTED})
_AUTHORIZED = frozenset({_S.AUTHORIZED, _S.READY, _S.CHARGING, _S.SUSPENDED_EV, _S.SUSPENDED_EVSE})
_CHARGING_STATES = {
    _S.AVAILABLE: "Idle",
    _S.AUTHORIZED: "Idle",
    _S.FAULTED: "Idle",
    _S.CHARGING: "Charging",
    _S.SUSPENDED_EV: "SuspendedEV",
    _S.SUSPENDED_EVSE: "SuspendedEVSE",
}


def facts(state: EvseState, *, bay_occupied: bool = False) -> Facts:
    """The facts of a state."""
    return Facts(
        bay_occupied=bay_occupied,
        connected=state not in _NOT_CONNECTED,
        authorized=state in _AUTHORIZED,
        energy=state is EvseState.CHARGING,
    )


def charging_state(state: EvseState) -> str:
    """The ChargingStateEnumType of a state."""
    return _CHARGING_STATES.get(state, "EVConnected")
