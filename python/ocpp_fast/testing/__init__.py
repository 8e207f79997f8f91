"""Test kit for code that uses this package: virtual time, and links without a network.

    async def scenario(clock: VirtualClock) -> None:
        await clock.sleep(86_400)

    run_virtual(scenario)      # returns at once; the same order of events every time

`MemoryLink` joins two connections without a network, with `LinkFaults` on demand.
"""

from ocpp_fast.testing.virtual_time import Stalled, VirtualClock, VirtualTimeLoop, run_virtual
from ocpp_fast.transport.memory import LinkFaults, MemoryLink

__all__ = [
    "LinkFaults",
    "MemoryLink",
    "Stalled",
    "VirtualClock",
    "VirtualTimeLoop",
    "run_virtual",
]
