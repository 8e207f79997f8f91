"""The state machine of an EVSE: the whole cross product of states and events."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_fast.station.machine import (
    TABLE,
    Effect,
    EvseEvent,
    EvseState,
    charging_state,
    facts,
    step,
)

S, E, X = EvseState, EvseEvent, Effect

CELLS = list(product(EvseState, EvseEvent))
ENERGIZED = {S.READY, S.CHARGING, S.SUSPENDED_EV}
FAULTY = {S.FAULTED, S.FAULTED_CONNECTED}


@pytest.mark.parametrize(("state", "event"), CELLS, ids=str)
def test_every_cell_keeps_the_rules(state: EvseState, event: EvseEvent) -> None:
    found = step(state, event)
    if found is None:
        return
    effects, after = found
    before_facts, after_facts = facts(state), facts(after)
    assert list(effects) == [e for e in Effect if e in effects], "in the order of Effect"

    # A cable comes and goes with its own events only, and the session with it.
    assert (before_facts.connected, after_facts.connected) == (
        (False, True) if event is E.PLUG_IN
        else (True, False) if event is E.PLUG_OUT
        else (before_facts.connected, before_facts.connected)
    )  # fmt: skip
    assert (X.SESSION_STARTED in effects) == (event is E.PLUG_IN)
    assert (X.SESSION_FINISHED in effects) == (event is E.PLUG_OUT)

    # C01.FR.01: power is offered only with an EV and an authorization, and after the lock.
    offered_before, offered_after = state in ENERGIZED, after in ENERGIZED
    assert (X.ALLOW_POWER in effects) == (offered_after and not offered_before)
    if offered_after:
        assert after_facts.connected
        assert after_facts.authorized
    if X.ALLOW_POWER in effects and state is not S.SUSPENDED_EVSE:
        assert X.LOCK in effects
    if offered_before and not offered_after:
        assert X.STOP_POWER in effects

    # Authorization begins with AUTHORIZE only.
    if after_facts.authorized and not before_facts.authorized:
        assert event is E.AUTHORIZE
    # E06.FR.10, E07.FR.07: when it ends with an EV, the cable is unlocked, but not in a fault.
    if before_facts.authorized and not after_facts.authorized and before_facts.connected:
        assert (X.UNLOCK in effects) == (event is not E.FAULT)

    # The timeout runs exactly while an EV is awaited.
    assert (X.ARM_TIMEOUT in effects) == (after is S.AUTHORIZED)
    if state is S.AUTHORIZED:
        assert (X.CANCEL_TIMEOUT in effects) == (event is not E.CONNECT_TIMEOUT)

    # Faults are reported when they begin and when they end.
    assert (X.REPORT_FAULT in effects) == (after in FAULTY and state not in FAULTY)
    assert (X.REPORT_CLEARED in effects) == (state in FAULTY and after not in FAULTY)


@pytest.mark.parametrize("state", EvseState)
def test_events_that_always_matter(state: EvseState) -> None:
    connected = facts(state).connected
    assert (step(state, E.PLUG_IN) is not None) == (not connected)
    assert (step(state, E.PLUG_OUT) is not None) == connected
    assert (step(state, E.FAULT) is not None) == (state not in FAULTY)
    assert (step(state, E.FAULT_CLEARED) is not None) == (state in FAULTY)
    assert (step(state, E.DEAUTHORIZE) is not None) == facts(state).authorized
    assert (step(state, E.CONNECT_TIMEOUT) is not None) == (state is S.AUTHORIZED)


def test_every_state_can_be_reached_and_left() -> None:
    reached = {S.AVAILABLE}
    for _ in EvseState:
        reached |= {after for (state, _), (_, after) in TABLE.items() if state in reached}
    assert reached == set(EvseState)
    assert {state for state, _ in TABLE} == set(EvseState)


@given(st.lists(st.sampled_from(EvseEvent), max_size=50))
def test_no_walk_leaves_the_power_on_without_an_ev(events: list[EvseEvent]) -> None:
    state, power, locked = EvseState.AVAILABLE, False, False
    for event in events:
        found = step(state, event)
        if found is None:
            continue
        effects, state = found
        for effect in effects:
            power = {X.ALLOW_POWER: True, X.STOP_POWER: False}.get(effect, power)
            locked = {X.LOCK: True, X.UNLOCK: False}.get(effect, locked)
        assert power == (state in ENERGIZED)
        if state is S.AVAILABLE:
            assert not power
        if power:
            assert locked


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (S.AVAILABLE, "Idle"),
        (S.AUTHORIZED, "Idle"),
        (S.CONNECTED, "EVConnected"),
        (S.READY, "EVConnected"),
        (S.CHARGING, "Charging"),
        (S.SUSPENDED_EV, "SuspendedEV"),
        (S.SUSPENDED_EVSE, "SuspendedEVSE"),
        (S.STOPPED, "EVConnected"),
        (S.FAULTED, "Idle"),
        (S.FAULTED_CONNECTED, "EVConnected"),
    ],
)
def test_the_charging_state_that_the_csms_sees(state: EvseState, shown: str) -> None:
    assert charging_state(state) == shown
    assert (shown == "Idle") == (not facts(state).connected)
