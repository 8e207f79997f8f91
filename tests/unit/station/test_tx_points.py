"""TxStartPoint and TxStopPoint: every combination of what was and what is."""

from itertools import product

import pytest

from ocpp_fast.config import TxPoint
from ocpp_fast.station.machine import Facts
from ocpp_fast.station.tx_points import TxStep, decide, holds, stopped_from_afar

BAY = TxPoint.PARKING_BAY_OCCUPANCY
STATES = [Facts(*values) for values in product([False, True], repeat=4)]
CONDITIONS = {
    TxPoint.PARKING_BAY_OCCUPANCY: lambda f: f.bay_occupied,
    TxPoint.EV_CONNECTED: lambda f: f.connected,
    TxPoint.AUTHORIZED: lambda f: f.authorized,
    TxPoint.POWER_PATH_CLOSED: lambda f: f.connected and f.authorized,
    TxPoint.ENERGY_TRANSFER: lambda f: f.energy,
    TxPoint.DATA_SIGNED: lambda _: False,
}


def decided(before: Facts, after: Facts, point: TxPoint, *, active: bool) -> TxStep:
    return decide(before, after, active=active, start_points=[point], stop_points=[point])


@pytest.mark.parametrize("point", TxPoint)
def test_a_transaction_starts_when_its_point_comes_to_hold(point: TxPoint) -> None:
    """E01.FR.01, E01.FR.02, E01.FR.03, E01.FR.05, E01.FR.06."""
    for before, after in product(STATES, STATES):
        comes = CONDITIONS[point](after) and not CONDITIONS[point](before)
        assert holds(point, after) == CONDITIONS[point](after)
        expected = TxStep.START if comes else TxStep.NONE
        assert decided(before, after, point, active=False) is expected


@pytest.mark.parametrize("point", TxPoint)
def test_it_ends_when_its_point_ceases_to_hold(point: TxPoint) -> None:
    """E06.FR.01, E06.FR.02, E06.FR.03, E06.FR.07, and E03.FR.05, E03.FR.15: no EV has come, and
    none is awaited any more."""
    if point is TxPoint.POWER_PATH_CLOSED:
        return
    for before, after in product(STATES, STATES):
        goes = CONDITIONS[point](before) and not CONDITIONS[point](after)
        if before.authorized and not after.authorized and point is not BAY:
            goes = goes or not (before.connected or after.connected)
        expected = TxStep.STOP if goes else TxStep.NONE
        assert decided(before, after, point, active=True) is expected


def test_power_path_closed_ends_it_with_the_cable_or_the_authorization() -> None:
    """E06.FR.06: the same as EVConnected and Authorized together."""
    both = [TxPoint.EV_CONNECTED, TxPoint.AUTHORIZED]
    for before, after in product(STATES, STATES):
        one = decided(before, after, TxPoint.POWER_PATH_CLOSED, active=True)
        other = decide(before, after, active=True, start_points=[], stop_points=both)
        assert one is other


def test_whichever_of_several_points_comes_first() -> None:
    points = [TxPoint.EV_CONNECTED, TxPoint.AUTHORIZED]
    idle, plugged, paid = Facts(), Facts(connected=True), Facts(authorized=True)
    for first in (plugged, paid):
        started = decide(idle, first, active=False, start_points=points, stop_points=[])
        assert started is TxStep.START
    ready = Facts(connected=True, authorized=True)
    for gone in (plugged, paid):
        ended = decide(ready, gone, active=True, start_points=[], stop_points=points)
        assert ended is TxStep.STOP


def test_with_a_bay_detector_among_others_a_driver_who_gives_up_ends_nothing() -> None:
    """E03.FR.15, F02.FR.08."""
    paid, gone = Facts(bay_occupied=True, authorized=True), Facts(bay_occupied=True)
    for other in (TxPoint.EV_CONNECTED, TxPoint.ENERGY_TRANSFER):
        points = [BAY, other]
        step = decide(paid, gone, active=True, start_points=[], stop_points=points)
        assert step is TxStep.NONE


def test_what_has_ended_does_not_start_again_by_itself() -> None:
    charging = Facts(connected=True, authorized=True, energy=True)
    stopped = Facts(connected=True)
    points = [TxPoint.EV_CONNECTED]
    assert decide(charging, stopped, active=False, start_points=points, stop_points=[]) is (
        TxStep.NONE
    )


@pytest.mark.parametrize("point", TxPoint)
@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("bay", [True, False])
def test_f03_fr_02_03_a_remote_stop_without_a_driver(
    point: TxPoint, *, connected: bool, bay: bool
) -> None:
    points = {point} | ({BAY} if bay else set())
    ends = point in (TxPoint.AUTHORIZED, TxPoint.POWER_PATH_CLOSED)
    gone = not connected and BAY not in points
    step = stopped_from_afar(Facts(connected=connected), always_ends=False, stop_points=points)
    assert step is (TxStep.STOP if ends or gone else TxStep.NONE)
    reset = stopped_from_afar(Facts(connected=connected), always_ends=True, stop_points=points)
    assert reset is TxStep.STOP, "B12.FR.04"
