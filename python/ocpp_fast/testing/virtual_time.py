"""An event loop whose time jumps to the next timer, and the clock that goes with it."""

from __future__ import annotations

import asyncio
import selectors
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ocpp_fast.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["Stalled", "VirtualClock", "VirtualTimeLoop", "run_virtual"]

_T = TypeVar("_T")

_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
# Not 0, so that a forgotten "is it set?" test of a time shows.
_FIRST_MOMENT: Final = 1_000.0
_MAX_IDLE_S: Final = 10.0
_RESOLUTION_S: Final = 1e-6


class Stalled(RuntimeError):
    """The loop would wait for ever: no timer is set, and nothing came from outside."""


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for no file as long as a timer could fire instead."""

    now = _FIRST_MOMENT

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if timeout is not None:
            self.now += timeout
            return []
        # Nothing will happen by itself; a thread (a database, a look-up) may still call in.
        events = super().select(_MAX_IDLE_S)
        if not events:
            raise Stalled("nothing is scheduled, and everybody waits")
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time: it never waits for a timer, it moves its clock instead.

    Runs what it is given in the same order every time, as long as no thread and no socket takes
    part: these live in real time, and timers may overtake them. A loop that could only wait
    for ever raises `Stalled` after 10 real seconds instead.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        # asyncio fires what is due before now plus this. Its own nanosecond is nothing beside the
        # time months from now, and the loop would turn for ever without its timer coming due.
        self._clock_resolution = _RESOLUTION_S

    def time(self) -> float:
        """Seconds of virtual time, from 1000."""
        return self._jumping.now


class VirtualClock(SystemClock):
    """The `Clock` of the running `VirtualTimeLoop`.

    The wall clock starts at `start`, in UTC; `step` sets it, as an NTP client would, without
    touching timers.
    """

    def __init__(self, start: datetime = _EPOCH) -> None:
        self._start = start.astimezone(UTC)
        self._stepped = timedelta()

    def now(self) -> datetime:
        return self._start + self._stepped + timedelta(seconds=self.elapsed_s)

    def step(self, by: timedelta) -> None:
        """Moves the wall clock only, forwards or back."""
        self._stepped += by

    @property
    def elapsed_s(self) -> float:
        """Virtual seconds since the loop was made."""
        return self.monotonic() - _FIRST_MOMENT

    @staticmethod
    def monotonic() -> float:
        return asyncio.get_running_loop().time()


def run_virtual(
    scenario: Callable[[VirtualClock], Coroutine[Any, Any, _T]],
    *,
    start: datetime = _EPOCH,
) -> _T:
    """Runs `scenario` to its end in virtual time, and returns what it returns.

    What the scenario leaves running is cancelled, as with `asyncio.run`.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(scenario(VirtualClock(start)))
