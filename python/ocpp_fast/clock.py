"""Time: the only module that reads a clock, sleeps or sets a timer.

Everything else is handed a `Clock`, so that `ocpp_fast.testing` can replace it with virtual
time. Durations are seconds. `now` is for what is written into messages; it jumps when the
station's clock is set. `monotonic` is for measuring and for deadlines; it never jumps.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Clock", "SystemClock", "Timer"]

_T = TypeVar("_T")


class Timer(Protocol):
    """A callback that waits for its moment."""

    def cancel(self) -> None:
        """The callback will not be called; no effect if it was already."""
        ...


class Clock(Protocol):
    """What the package needs of time."""

    def now(self) -> datetime:
        """The wall clock, as aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never runs backwards."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Returns after `delay_s` seconds; at once, but not before others ran, for 0 or less."""
        ...

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        """Calls `callback` once from the event loop, `delay_s` seconds from now."""
        ...

    async def wait_for(self, awaitable: Awaitable[_T], timeout_s: float) -> _T:
        """What `awaitable` gives; after `timeout_s` seconds cancels it and raises TimeoutError."""
        ...


class SystemClock:
    """The computer's clock and the timers of the running event loop. Holds no state."""

    # A bound C function instead of a method: it is read once for each frame.
    monotonic = staticmethod(time.monotonic)

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(delay_s, callback)

    async def wait_for(self, awaitable: Awaitable[_T], timeout_s: float) -> _T:
        async with asyncio.timeout(timeout_s):
            return await awaitable
