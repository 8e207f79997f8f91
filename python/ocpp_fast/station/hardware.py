"""What the station needs of the charging hardware of one EVSE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["EvseHardware", "MeterReading"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReading:
    """What the meter of an EVSE shows at one moment. What it does not measure is left out."""

    timestamp: datetime
    energy_wh: float
    """The register of imported energy, never reset (J02.FR.16, J02.FR.17)."""
    power_w: float | None = None
    current_a: tuple[float, float, float] | None = None
    """In the phases L1, L2 and L3."""
    voltage_v: tuple[float, float, float] | None = None
    """Of each phase against neutral."""
    soc_percent: float | None = None
    """State of charge of the EV."""


class EvseHardware(Protocol):
    """The actuators and the meter of one EVSE.

    Each method has the time limit of the station and may raise `HardwareError`. What happens at
    the EVSE is reported to `EvseController`: plugged in, energy flows, and so on.
    """

    async def allow_power(self) -> None:
        """Closes the contactor as soon as the EV wants it."""
        ...

    async def stop_power(self) -> None:
        """Opens the contactor."""
        ...

    async def lock(self) -> None:
        """Locks the cable; nothing to do where it is fixed."""
        ...

    async def unlock(self) -> None:
        """Unlocks the cable."""
        ...

    async def connected_at(self) -> int | None:
        """The connector where an EV is plugged in now; None when there is none.

        Asked when the station starts, after `stop_power`. An EVSE that cannot say is faulted, and
        asked again when that fault is cleared.
        """
        ...

    async def read_meter(self) -> MeterReading | None:
        """What the meter shows now; None when it cannot be read."""
        ...
