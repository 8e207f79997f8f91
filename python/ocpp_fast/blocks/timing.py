"""Repeated work, through the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ocpp_fast.clock import Clock, Timer

__all__ = ["Repeater", "seconds_to_next"]

_DAY_S: Final = 86_400.0
_EARLY_S: Final = 0.05
"""By how much a timer may fire too early by the wall clock, and still counts as that moment's."""
_LOOK_AGAIN_S: Final = 60.0
"""How long at most until the wall clock is looked at again, in case somebody has set it."""


def seconds_to_next(now: datetime, interval_s: float) -> float:
    """Seconds until the next multiple of the interval after midnight UTC (Part 2, J 2.2); the
    last interval of a day may be shorter."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    elapsed_s = (now - midnight).total_seconds()
    passed = (elapsed_s + _EARLY_S) // interval_s
    return min((passed + 1) * interval_s, _DAY_S) - elapsed_s


class Repeater:
    """Calls `action` every `interval_s` seconds until cancelled; never when that is 0.

    Counts from its creation, so that delays do not add up; `aligned` ones follow the wall clock
    instead, also when that is set. A moment that was missed is skipped, not made up for.
    """

    def __init__(
        self, clock: Clock, interval_s: float, action: Callable[[], None], *, aligned: bool = False
    ) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._action = action
        self._aligned = aligned
        self._due = clock.monotonic()
        self._moment = 0.0
        """When an aligned one is due, in seconds since the epoch."""
        self._timer: Timer | None = None
        if interval_s > 0:
            self._arm()

    def cancel(self) -> None:
        """Calls nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._aligned:
            wall = self._clock.now()
            delay_s = seconds_to_next(wall, self._interval_s)
            self._moment = wall.timestamp() + delay_s
            delay_s = min(delay_s, _LOOK_AGAIN_S)
        else:
            now = self._clock.monotonic()
            missed = max(0.0, (now - self._due) // self._interval_s)
            self._due += (missed + 1) * self._interval_s
            delay_s = self._due - now
        self._timer = self._clock.call_later(delay_s, self._tick)

    def _tick(self) -> None:
        is_due = not self._aligned or self._is_moment()
        self._arm()
        if is_due:
            self._action()

    def _is_moment(self) -> bool:
        """Whether the moment has come, and was not passed when somebody set the clock."""
        late_s = self._clock.now().timestamp() - self._moment
        return -_EARLY_S <= late_s < _LOOK_AGAIN_S
