"""After a restart: every state of an EVSE, plugged in or not, with and without permission to take
energy again, and every stop point."""

from itertools import product

import pytest

from ocpp_fast.config import TxPoint
from ocpp_fast.station.machine import OFFERED, Effect, EvseState, charging_state, facts
from ocpp_fast.station.resumption import Policy, Resumption, entry_effects, resumption
from ocpp_fast.station.session import Ending, Session

S, X, P = EvseState, Effect, TxPoint

DEFAULT = frozenset({P.EV_CONNECTED, P.AUTHORIZED})
POINTS = [
    frozenset[TxPoint](),
    frozenset({P.EV_CONNECTED}),
    frozenset({P.AUTHORIZED}),
    frozenset({P.POWER_PATH_CLOSED}),
    frozenset({P.ENERGY_TRANSFER}),
    frozenset({P.PARKING_BAY_OCCUPANCY}),
    DEFAULT,
]
EVERYTHING = list(product(S, (True, False), (True, False), POINTS))


def at(state: EvseState, **members: object) -> Session:
    connected = facts(state).connected
    return Session(state=state, connector_id=1 if connected else None, **members)  # type: ignore[arg-type]


def after(
    state: EvseState,
    *,
    connected: bool = True,
    allow: bool = True,
    stop: frozenset[TxPoint] = DEFAULT,
    resume: bool = True,
    authorized: bool = True,
    auth_enabled: bool = True,
    **members: object,
) -> Resumption:
    return resumption(
        at(state, **members),
        connected=connected,
        authorized=authorized,
        resume=resume,
        policy=Policy(allow_energy=allow, stop_points=stop, auth_enabled=auth_enabled),
    )


@pytest.mark.parametrize(
    ("was", "allowed", "not_allowed"),
    [
        (S.AVAILABLE, S.AVAILABLE, S.AVAILABLE),
        (S.AUTHORIZED, S.AUTHORIZED, S.AUTHORIZED),
        (S.CONNECTED, S.CONNECTED, S.CONNECTED),
        (S.READY, S.READY, S.READY),
        (S.CHARGING, S.CHARGING, S.SUSPENDED_EVSE),
        (S.SUSPENDED_EV, S.SUSPENDED_EV, S.SUSPENDED_EVSE),
        (S.SUSPENDED_EVSE, S.SUSPENDED_EVSE, S.SUSPENDED_EVSE),
        (S.STOPPED, S.STOPPED, S.STOPPED),
        (S.FAULTED, S.AVAILABLE, S.AVAILABLE),
        (S.FAULTED_CONNECTED, S.STOPPED, S.STOPPED),
    ],
)
def test_with_the_ev_still_there(
    was: EvseState, allowed: EvseState, not_allowed: EvseState
) -> None:
    """E17.FR.11, E17.FR.12, E17.FR.13."""
    for allow, state in ((True, allowed), (False, not_allowed)):
        taken = after(was, allow=allow)
        assert taken.resumes
        assert taken.state is state
        assert taken.told == charging_state(state)
        if allow or was not in (S.CHARGING, S.SUSPENDED_EV):
            assert taken.told == charging_state(was), "the state it had before"


@pytest.mark.parametrize(
    ("was", "stop", "ends"),
    [
        (S.CHARGING, {P.EV_CONNECTED}, True),
        (S.CHARGING, {P.POWER_PATH_CLOSED}, True),
        (S.CHARGING, {P.ENERGY_TRANSFER}, True),
        (S.CHARGING, {P.AUTHORIZED}, True),  # as whenever an EV is unplugged
        (S.CHARGING, {P.PARKING_BAY_OCCUPANCY}, False),
        (S.CHARGING, set[TxPoint](), False),
        (S.SUSPENDED_EV, {P.ENERGY_TRANSFER}, False),
        (S.READY, {P.ENERGY_TRANSFER}, False),
        (S.CONNECTED, {P.EV_CONNECTED}, True),
        (S.CONNECTED, {P.AUTHORIZED}, False),
        (S.STOPPED, {P.EV_CONNECTED}, True),
        (S.STOPPED, {P.AUTHORIZED}, False),
        (S.FAULTED_CONNECTED, {P.EV_CONNECTED}, True),
        (S.FAULTED_CONNECTED, {P.PARKING_BAY_OCCUPANCY}, False),
    ],
)
def test_with_the_ev_gone(was: EvseState, stop: set[TxPoint], ends: bool) -> None:
    """E17.FR.16, E17.FR.17, E06.FR.02."""
    for allow in (True, False):
        taken = after(was, connected=False, allow=allow, stop=frozenset(stop), bay_occupied=True)
        assert taken.resumes is not ends
        assert taken.state is S.AVAILABLE
        assert taken.told == "Idle"
        ending = Ending("EVCommunicationLost", "EVDisconnected")
        assert taken.ending == (ending if ends else None)
        if facts(was).authorized and not ends:
            assert taken.stopped_reason == "EVDisconnected", "for an Ended that comes later"


def test_a_reason_that_was_known_before_stays() -> None:
    taken = after(S.STOPPED, connected=False, stop=frozenset(), stopped_reason="Remote")
    assert taken.stopped_reason == "Remote"
    taken = after(S.STOPPED, connected=False, stopped_reason="Remote")
    assert taken.ending == Ending("EVCommunicationLost", "Remote")


def test_who_has_not_come_yet_is_still_awaited() -> None:
    """E17.FR.16: a driver who is authorized, and no EV yet."""
    for connected, allow, stop in product((True, False), (True, False), POINTS):
        taken = after(S.AUTHORIZED, connected=connected, allow=allow, stop=stop)
        assert (taken.resumes, taken.state, taken.told) == (True, S.AUTHORIZED, "Idle")
        assert taken.held is not allow


@pytest.mark.parametrize(("was", "connected", "allow", "stop"), EVERYTHING)
def test_nothing_lets_energy_flow_that_may_not(
    was: EvseState,
    connected: bool,
    allow: bool,
    stop: frozenset[TxPoint],
) -> None:
    for resume, authorized, ending in product(
        (True, False), (True, False), (None, Ending("RemoteStop", "Remote"))
    ):
        taken = after(
            was,
            connected=connected,
            allow=allow,
            stop=stop,
            resume=resume,
            authorized=authorized,
            ending=ending,
        )
        known = facts(taken.state)
        if Effect.ALLOW_POWER in entry_effects(taken.state) and not taken.held:
            assert allow
            assert connected
            assert resume
            assert authorized
            assert taken.resumes
            assert ending is None
            assert facts(was).connected
            assert was in OFFERED, "no more than before"
        if known.connected:
            assert connected
            assert facts(was).connected, "an EV that has come is a step of its own"
        if not authorized:
            assert not known.authorized
        if not taken.resumes:
            assert not known.authorized
            assert taken.told in ("EVConnected", "Idle")
            assert (taken.told == "EVConnected") is connected
        if ending is not None:
            assert not taken.resumes
            assert taken.ending == ending
        elif not resume:
            assert not taken.resumes
            assert taken.ending is None, "closed for the power loss"
        elif connected and was is not S.CHARGING:
            assert taken.resumes, "E17.FR.10"


def test_energy_that_may_not_flow_again_can_be_the_end() -> None:
    """E06.FR.07: with EnergyTransfer as the stop point nothing else could ever end it."""
    stop = frozenset({P.ENERGY_TRANSFER})
    assert after(S.CHARGING, stop=stop, allow=True).resumes
    taken = after(S.CHARGING, stop=stop, allow=False)
    assert (taken.resumes, taken.state, taken.ending) == (False, S.STOPPED, None)
    for was in (S.READY, S.CONNECTED, S.SUSPENDED_EV, S.SUSPENDED_EVSE):
        assert after(was, stop=stop, allow=False).resumes


def test_what_is_held_stays_held_over_the_next_restart() -> None:
    for was in (S.READY, S.SUSPENDED_EVSE, S.AUTHORIZED):
        assert after(was, allow=False).held
        assert after(was, allow=True, held=True).held
        assert not after(was, allow=True).held
    assert not after(S.STOPPED, allow=False, held=True).held, "it needs a driver anyway"


def test_an_authorization_that_nobody_was_told_of_is_none() -> None:
    assert after(S.READY, authorized=False).state is S.CONNECTED
    assert after(S.AUTHORIZED, authorized=False).state is S.AVAILABLE


def test_who_ends_may_not_begin_again_by_itself() -> None:
    """Closed, with the EV still there: a fresh authorization is needed."""
    for was in S:
        closed = after(was, resume=False)
        there = facts(was).connected
        assert closed.state is (S.STOPPED if there else S.AVAILABLE)
        assert after(was, resume=False, connected=False).state is S.AVAILABLE


def test_where_nobody_is_authorized_the_ev_begins_anew() -> None:
    """Not so when the CSMS has just stopped it."""
    assert after(S.CHARGING, resume=False, auth_enabled=False).state is S.AVAILABLE
    assert after(S.STOPPED, resume=False, auth_enabled=False).state is S.STOPPED
    stopped = after(S.STOPPED, auth_enabled=False, ending=Ending("RemoteStop", "Remote"))
    assert stopped.state is S.STOPPED


def test_without_a_session_it_ends() -> None:
    policy = Policy(allow_energy=True, stop_points=DEFAULT)
    for connected in (True, False):
        taken = resumption(None, connected=connected, authorized=True, resume=True, policy=policy)
        assert not taken.resumes
        assert taken.state is (S.STOPPED if connected else S.AVAILABLE)


@pytest.mark.parametrize("state", S)
def test_what_has_to_be_done_to_be_in_a_state(state: EvseState) -> None:
    effects = entry_effects(state)
    assert list(effects) == [e for e in Effect if e in effects], "in the order of Effect"
    assert (X.ALLOW_POWER in effects) == (state in OFFERED)
    assert (X.SESSION_STARTED in effects) == facts(state).connected
    assert (X.ARM_TIMEOUT in effects) == (state is S.AUTHORIZED)
    locked = facts(state).authorized and facts(state).connected
    assert (X.LOCK in effects) == locked
    assert (X.UNLOCK in effects) == (not locked)
