"""The station around the `ChargePoint`: charging sessions, tokens, meters.

`Station` turns what happens at the EVSEs into OCPP: it runs one state machine for each EVSE
(`machine`), starts and ends transactions by TxStartPoint and TxStopPoint (`tx_points`), finds out
which EVSE a token is meant for, and samples the meters. After a restart each EVSE goes on from its
`session` as E17 says (`resumption`, `start`).
"""

from ocpp_fast.station.evse import EvseController
from ocpp_fast.station.hardware import EvseHardware, MeterReading
from ocpp_fast.station.machine import EvseEvent, EvseState
from ocpp_fast.station.station import Station, TokenOutcome, TokenResult

__all__ = [
    "EvseController",
    "EvseEvent",
    "EvseHardware",
    "EvseState",
    "MeterReading",
    "Station",
    "TokenOutcome",
    "TokenResult",
]
