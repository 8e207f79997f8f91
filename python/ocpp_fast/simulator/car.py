"""A simulated electric car: how much power it takes, and when it has enough. No clock, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["Car"]

_TAPER_FROM: Final = 0.8
"""State of charge from which on a car takes less and less."""
_TAPER_TO: Final = 0.1
"""Share of its power that a car still takes just before it is full."""


@dataclass(slots=True, kw_only=True)
class Car:
    """A car with a battery, plugged in or not."""

    capacity_wh: float = 60_000.0
    energy_wh: float = 15_000.0
    """In the battery now."""
    max_power_w: float = 11_000.0
    phases: int = 3
    """How many phases its charger uses, 1 to 3."""
    paused: bool = False
    """Whether the driver has told it to wait."""

    @property
    def soc(self) -> float:
        """State of charge, 0 to 1."""
        return self.energy_wh / self.capacity_wh

    def power_w(self, offered_w: float) -> float:
        """The power it takes of what is offered, now."""
        if self.paused or self.energy_wh >= self.capacity_wh:
            return 0.0
        wanted = self.max_power_w
        if self.soc > _TAPER_FROM:
            rest = (1.0 - self.soc) / (1.0 - _TAPER_FROM)
            wanted *= _TAPER_TO + (1.0 - _TAPER_TO) * rest
        return min(wanted, offered_w)

    def charge(self, offered_w: float, duration_s: float) -> float:
        """Takes power for a while; returns the energy taken, in Wh. Stops when full.

        Steps are as long as they are; call it often where the power changes.
        """
        taken = self.power_w(offered_w) * duration_s / 3_600.0
        taken = min(taken, self.capacity_wh - self.energy_wh)
        self.energy_wh += taken
        return taken
