"""When a transaction starts and ends: TxStartPoint and TxStopPoint. No I/O."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ocpp_fast.config import TxPoint

if TYPE_CHECKING:
    from collections.abc import Collection

    from ocpp_fast.station.machine import Facts

__all__ = ["TxStep", "decide", "holds"]


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
    """
    if active:
        points = set(stop_points)
        if TxPoint.POWER_PATH_CLOSED in points:  # As stop point it is one or the other (E06.FR.06).
            points |= {TxPoint.EV_CONNECTED, TxPoint.AUTHORIZED}
        ceased = any(holds(p, before) and not holds(p, after) for p in points)
        return TxStep.STOP if ceased else TxStep.NONE
    begun = any(holds(p, after) and not holds(p, before) for p in start_points)
    return TxStep.START if begun else TxStep.NONE
