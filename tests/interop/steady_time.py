"""Time that passes only while this process runs: an event loop, and the clock that goes with it.

A shared computer lets a process wait for a second now and then, and the collection of garbage of a
big one takes its time as well. By the computer's clock a time limit of a third of a second is then
over before those whom it bounds could do anything: a test finds out how busy the computer was.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import TYPE_CHECKING, Any, TypeVar

from ocpp_fast.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Coroutine

_T = TypeVar("_T")

TURN_S = 0.01
"""The most that counts for one stretch of computing, or of waiting without a timer that is due."""


class _CountingSelector(selectors.DefaultSelector):
    """Counts how long it has waited, and the thread computed in between."""

    def __init__(self) -> None:
        super().__init__()
        # Not 0: comparable with the computer's clock, for whoever mixes them by mistake.
        self._counted_s = time.monotonic()
        self._turn_began_s = time.thread_time()

    def now_s(self) -> float:
        return self._counted_s + min(time.thread_time() - self._turn_began_s, TURN_S)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._counted_s = self.now_s()
        # What has arrived is taken before a timer that came due meanwhile.
        events = super().select(0)
        left_s = float("inf") if timeout is None else timeout
        while not events and left_s > 0:
            turn_s = min(left_s, TURN_S)
            began_s = time.monotonic()
            events = super().select(turn_s)
            waited_s = min(time.monotonic() - began_s, turn_s)
            left_s -= waited_s
            self._counted_s += waited_s
        self._turn_began_s = time.thread_time()
        return events


class SteadyLoop(asyncio.SelectorEventLoop):
    """An event loop for which no time passes while the computer does something else.

    Never ahead of the computer's clock: what has lasted a time here has lasted at least as long.
    """

    def __init__(self) -> None:
        self._counting = _CountingSelector()
        super().__init__(self._counting)

    def time(self) -> float:
        return self._counting.now_s()


def running_s() -> float:
    """The time of the running loop, if that is steady, else of the computer."""
    loop = asyncio.get_running_loop()
    return loop.time() if isinstance(loop, SteadyLoop) else time.monotonic()


class SteadyClock(SystemClock):
    """The `Clock` of the running loop."""

    monotonic = staticmethod(running_s)


def run_steadily(task: Coroutine[Any, Any, _T]) -> _T:
    """`asyncio.run` on a `SteadyLoop`."""
    with asyncio.Runner(loop_factory=SteadyLoop) as runner:
        return runner.run(task)
