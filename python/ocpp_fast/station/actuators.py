"""The hands of one EVSE: lock and contactor, each with a time limit, and when power may be on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from ocpp_fast.errors import HardwareError
from ocpp_fast.station.machine import Effect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ocpp_fast.clock import Clock, Timer
    from ocpp_fast.station.hardware import EvseHardware

__all__ = ["HARDWARE_TIMEOUT_S", "MOVES", "Actuators"]

_log = logging.getLogger(__name__)

HARDWARE_TIMEOUT_S: Final = 10.0
"""How long an actuator or a meter may take."""

MOVES: Final = {
    Effect.STOP_POWER: "stop_power",
    Effect.LOCK: "lock",
    Effect.ALLOW_POWER: "allow_power",
    Effect.UNLOCK: "unlock",
}
"""The effects that move something, and the method that does it."""


class Actuators:
    """Moves the hardware of one EVSE. Nothing here raises: what fails is logged, and told."""

    def __init__(self, evse_id: int, hardware: EvseHardware, clock: Clock) -> None:
        self.held = False
        """Whether power stays off although it is to be allowed."""
        self._evse_id = evse_id
        self._hardware = hardware
        self._clock = clock
        self._due: Timer | None = None

    async def move(self, effect: Effect) -> bool:
        """Does one of `MOVES`; false when it has failed."""
        if effect is Effect.STOP_POWER:
            self.forget_delay()
        elif effect is Effect.ALLOW_POWER and (self.held or self._due is not None):
            return True
        method: Callable[[], Awaitable[None]] = getattr(self._hardware, MOVES[effect])
        try:
            await self._clock.wait_for(method(), HARDWARE_TIMEOUT_S)
        except (HardwareError, TimeoutError) as error:
            _log.error("EVSE %d: %s failed: %s", self._evse_id, effect, str(error) or "no answer")
            return False
        except Exception:
            _log.exception("EVSE %d: %s failed", self._evse_id, effect)
            return False
        return True

    async def connected_at(self) -> tuple[bool, int | None]:
        """Whether the hardware knows where an EV is plugged in, and where that is."""
        try:
            return True, await self._clock.wait_for(
                self._hardware.connected_at(), HARDWARE_TIMEOUT_S
            )
        except (HardwareError, TimeoutError) as error:
            _log.error(
                "EVSE %d does not know whether an EV is there: %s",
                self._evse_id,
                str(error) or "no answer",
            )
        except Exception:
            _log.exception("EVSE %d: connected_at failed", self._evse_id)
        return False, None

    def delay_power(self, delay_s: float, when_due: Callable[[], object]) -> None:
        """Power that is allowed within `delay_s` from now waits; `when_due` is called at its end,
        unless power was stopped before."""
        self.forget_delay()
        if delay_s > 0:

            def due() -> None:
                self._due = None
                when_due()

            self._due = self._clock.call_later(delay_s, due)

    def forget_delay(self) -> None:
        """Nothing waits any more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
