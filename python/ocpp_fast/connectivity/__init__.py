"""Keeping the link to the CSMS: over which slot, when, and doing it.

`slots` and `rules` know the network configuration, `rotation` and `back_off` decide, and
`Connectivity` dials. Nothing but the end of the station ends it.
"""

from ocpp_fast.connectivity.back_off import MAX_DOUBLINGS, SHORTEST_S, BackOff
from ocpp_fast.connectivity.connectivity import Connectivity, LinkEvents
from ocpp_fast.connectivity.rotation import Attempt, Generation, Rotation

__all__ = [
    "MAX_DOUBLINGS",
    "SHORTEST_S",
    "Attempt",
    "BackOff",
    "Connectivity",
    "Generation",
    "LinkEvents",
    "Rotation",
]
