"""The station's clock: right when the computer's is, and when that is not, as soon as somebody
tells the time.

A computer without a battery for its clock wakes up in 1970, or when it was last shut down. Such a
time is recognised by the *floor*, a moment that has certainly passed. From then on this clock
counts the time since the start from where the computer's clock stood, the *wrong scale*, until the
CSMS tells the time (`learn`) or somebody sets the computer's clock. What was stamped before is then
to be corrected with `dated`; see `redating`.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import CoroutineType

    from ocpp_fast.clock import Clock, Timer

__all__ = ["RELEASED", "StationClock"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

RELEASED: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""It is later than that: before, there was no such package."""

SLACK: Final = timedelta(minutes=1)
"""By how much a clock may have been set back since it was last known to be right."""

STEP: Final = timedelta(seconds=2)
"""A clock that is off by less is left alone; one that differs by more from what it was and the time
since then has been set by somebody."""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_EVER: Final = datetime.min.replace(tzinfo=UTC)


class _Scale:
    """A moment on a clock that nobody sets: where it stood, and when that was."""

    __slots__ = ("_at", "_monotonic", "_since")

    def __init__(self, at: datetime, monotonic: Callable[[], float]) -> None:
        self._at = at
        self._monotonic = monotonic
        self._since = monotonic()

    def now(self) -> datetime:
        return self._at + timedelta(seconds=self._monotonic() - self._since)


class StationClock:
    """A `Clock` over another, the computer's.

    `now` is the other clock's while that is right; `monotonic` always is its very function. Until
    `begin` the other clock counts as right.
    """

    def __init__(self, inner: Clock) -> None:
        self._inner = inner
        self._read = inner.now
        self.monotonic: Callable[[], float] = inner.monotonic
        """See `Clock.monotonic`."""
        self._floor = RELEASED
        self._trusted_from = _EVER
        self._wrong: _Scale | None = None
        """What the other clock shows since it is not trusted."""
        self._known: _Scale | None = None
        """What is right instead."""
        self._reference: _Scale | None = None
        """The time when it was last looked at and right."""
        self._shift: timedelta | None = None
        self._wrong_since = self._wrong_until = _EVER
        self._right = asyncio.Event()
        self._right.set()
        self.on_right: Callable[[], None] = lambda: None
        """Called once when the time becomes known, by whoever happens to ask for it: it must not
        do more than make a note."""

    # --- a Clock ----------------------------------------------------------------------------

    def now(self) -> datetime:
        """The time, as aware UTC; on the wrong scale unless `is_right`."""
        now = self._read()
        return now if now >= self._trusted_from else self._other(now)

    def sleep(self, delay_s: float) -> CoroutineType[Any, Any, None]:
        """See `Clock.sleep`."""
        return self._inner.sleep(delay_s)

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        """See `Clock.call_later`."""
        return self._inner.call_later(delay_s, callback)

    def wait_for(self, awaitable: Awaitable[_T], timeout_s: float) -> CoroutineType[Any, Any, _T]:
        """See `Clock.wait_for`."""
        return self._inner.wait_for(awaitable, timeout_s)

    # --- knowing the time -------------------------------------------------------------------

    @property
    def is_right(self) -> bool:
        """Whether `now` is the time, as far as anybody can know."""
        self.now()  # Somebody may have set the other clock.
        return self._right.is_set()

    async def wait_right(self) -> None:
        """Returns when the time is known; at once if it is."""
        await self._right.wait()

    @property
    def earliest(self) -> Clock:
        """This clock for those who must judge by the time even before it is known, as TLS must to
        reach who will tell it: then the earliest that it can be."""
        return _Earliest(self)

    def begin(self, seen: datetime | None = None) -> bool:
        """The station starts; `seen` is a moment at which an earlier run knew the time. Gives
        whether the other clock can be right."""
        self._floor = RELEASED if seen is None else max(RELEASED, seen - SLACK)
        now = self._read()
        if now >= self._floor:
            self._trust(now)
            return True
        _log.warning("the clock shows %s, but it is later than %s", now, self._floor)
        self._distrust(now)
        self._right.clear()
        return False

    def learn(self, time: datetime) -> timedelta:
        """Somebody who should know says that it is `time` (B01.FR.06, G02.FR.06).

        Only a clock that is not right by itself follows, and keeps on following. Gives by how much
        the clock was moved since the last time, by us or by others, in either direction.
        """
        if time < RELEASED:
            _log.warning("nobody follows who says that it is %s", time)
            return timedelta()
        before, expected = self.now(), self._reference and self._reference.now()
        if self._wrong is not None and abs(time - before) > STEP:
            self._follow(time)
        elif self._wrong is not None and not self._right.is_set():
            self._settle(timedelta())  # The other clock was suspected for no reason.
        now = self.now()
        self._reference = _Scale(now, self.monotonic)
        return now - (expected or before)

    def dated(self, time: datetime) -> datetime:
        """The right time for one that was stamped in this run, here or by the hardware side, when
        the clock was wrong. Others stay, and so do all before the time is known.

        Of earlier times those are corrected that cannot be right, they may be of the same scale;
        the others were stamped by a run that knew the time.
        """
        shift = self._shift
        if shift is None or time > self.wrong_until or RELEASED <= time < self._wrong_since:
            return time
        return time + shift

    @property
    def shift(self) -> timedelta | None:
        """How far the wrong scale is behind; None when nothing was stamped by it, or not yet
        known."""
        return self._shift

    @property
    def wrong_until(self) -> datetime:
        """Times of this run up to this one are on the wrong scale."""
        return self._wrong_until if self._wrong is None else self._wrong.now() + STEP

    @property
    def floor(self) -> datetime:
        """A moment that has certainly passed."""
        return self._floor

    # --- inside -----------------------------------------------------------------------------

    def _other(self, now: datetime) -> datetime:
        """The time when the other clock, which shows `now`, is not trusted, or no longer."""
        wrong = self._wrong
        if wrong is None:
            # It fell below the floor while the station ran: what it was, and the time since.
            wrong = self._distrust(now)
            self._known = self._reference
            self._shift = None if self._known is None else self._known.now() - now
        elif now >= self._floor and abs(now - wrong.now()) > STEP:
            self._wrong_until = wrong.now() + STEP
            self._settle(now - wrong.now())
            return now
        return wrong.now() if self._known is None else self._known.now()

    def _distrust(self, now: datetime) -> _Scale:
        self._trusted_from = _NEVER
        self._wrong_since = now - STEP
        self._wrong = _Scale(now, self.monotonic)
        return self._wrong

    def _trust(self, now: datetime) -> None:
        """From now on the other clock, which shows `now`, counts."""
        self._trusted_from = self._floor
        self._wrong = self._known = None
        self._reference = _Scale(now, self.monotonic)

    def _follow(self, time: datetime) -> None:
        """Not the other clock counts, but what the CSMS says."""
        wrong = self._wrong
        if wrong is None:
            return
        if time < self._floor:
            # The memory of the time was wrong, and with it perhaps the suspicion.
            _log.warning("it was thought to be later than %s; it is %s", self._floor, time)
            self._floor = RELEASED
            if self._read() >= RELEASED:
                self._settle(timedelta())
                return
        self._known = _Scale(time, self.monotonic)
        self._become_right(time - wrong.now())

    def _settle(self, shift: timedelta) -> None:
        """The other clock is right after all, or was set."""
        now = self._read()
        self._floor = min(self._floor, max(RELEASED, now))
        self._trust(now)
        self._become_right(shift)

    def _become_right(self, shift: timedelta) -> None:
        if self._right.is_set():
            return
        self._right.set()
        self._shift = shift if abs(shift) > STEP else None
        _log.warning("the time is known: the clock was %s behind", shift)
        self.on_right()


class _Earliest:
    """See `StationClock.earliest`."""

    def __init__(self, clock: StationClock) -> None:
        self._clock = clock
        self._start = clock.monotonic()
        self.monotonic = clock.monotonic
        self.sleep = clock.sleep
        self.call_later = clock.call_later

    def now(self) -> datetime:
        clock = self._clock
        if clock.is_right:
            return clock.now()
        running = timedelta(seconds=clock.monotonic() - self._start)
        return max(clock.now(), clock.floor + running)

    def wait_for(self, awaitable: Awaitable[_T], timeout_s: float) -> CoroutineType[Any, Any, _T]:
        return self._clock.wait_for(awaitable, timeout_s)
