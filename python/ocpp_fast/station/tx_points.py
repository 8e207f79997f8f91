"""When a transaction starts and ends: TxStartPoint and TxStopPoint. No I/O."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ocpp_fast.config import TxPoint

if TYPE_CHECKING:
    from collections.abc import Collection

    from ocpp_fast.station.machine import Facts

__all__ = ["TxStep", "decide", "holds", "stopped_from_afar"]


class TxStep(StrEnum):
    """What a step of the charging session does to the transaction."""

    NONE = "none"
    START = "start"
    STOP = "stop"


def holds(point: TxPoint, facts: Facts) -> bool:
    """Whether the condition of a point is met (Part 2, TxStartStopPoint values)."""
    match point:
        case TxPoint.PARKING_BAY_OCCUPANCY:
            return facts.bay_occupied
        case TxPoint.EV_CONNECTED:
            return facts.connected
        case TxPoint.AUTHORIZED:
            return facts.authorized
        case TxPoint.POWER_PATH_CLOSED:
            return facts.connected and facts.authorized
        case TxPoint.ENERGY_TRANSFER:
            return facts.energy
        case TxPoint.DATA_SIGNED:
            return False  # No meter that signs is supported yet.


def stopped_from_afar(
    facts: Facts, *, always_ends: bool, stop_points: Collection[TxPoint]
) -> TxStep:
    """What a remote stop does to a transaction for which nobody is authorized: it ends where the
    end of the authorization would (F03.FR.03), and when no EV is there whose leaving would
    (F03.FR.02), unless a bay detector is to end it."""
    points = set(stop_points)
    ends = always_ends or not points.isdisjoint({TxPoint.AUTHORIZED, TxPoint.POWER_PATH_CLOSED})
    gone = not facts.connected and TxPoint.PARKING_BAY_OCCUPANCY not in points
    return TxStep.STOP if ends or gone else TxStep.NONE


def decide(
    before: Facts,
    after: Facts,
    *,
    active: bool,
    start_points: Collection[TxPoint],
    stop_points: Collection[TxPoint],
) -> TxStep:
    """What happens to the transaction between two moments.

    One that is not active starts when the condition of any start point comes to be met (E01.FR.01
    to E01.FR.06); an active one stops when that of any stop point ceases to be (E06.FR.01 to
    E06.FR.07). Conditions that were met all the time start and stop nothing: after its end a
    transaction does not start again by itself.

    One whose driver is no longer authorized before an EV has come stops as well: what the other
    stop points wait for, the EV's leaving above all, will not happen, and the next driver would be
    turned away (E03.FR.05, F02.FR.07, C20.FR.01). Only a bay detector still ends it by itself
    (E03.FR.15, F02.FR.08).
    """
    if active:
        points = set(stop_points)
        given_up = before.authorized and not (
            before.connected or after.connected or after.authorized
        )
        if given_up and TxPoint.PARKING_BAY_OCCUPANCY not in points:
            return TxStep.STOP
        if TxPoint.POWER_PATH_CLOSED in points:  # As stop point it is one or the other (E06.FR.06).
            points |= {TxPoint.EV_CONNECTED, TxPoint.AUTHORIZED}
        ceased = any(holds(p, before) and not holds(p, after) for p in points)
        return TxStep.STOP if ceased else TxStep.NONE
    begun = any(holds(p, after) and not holds(p, before) for p in start_points)
    return TxStep.START if begun else TxStep.NONE
