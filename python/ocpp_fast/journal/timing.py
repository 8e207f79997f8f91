"""When something is written that does not have to be written at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ocpp_fast.clock import Clock, Timer

__all__ = ["MANY", "Patience", "Removals"]

_FIRST_RETRY_S: Final = 1.0
_LAST_RETRY_S: Final = 30.0

_PAUSE_S: Final = 0.1
"""How long after the first confirmation rows are removed: a row that is stored meanwhile does not
have to wait for that."""

MANY: Final = 1_000
"""Confirmed rows that are removed whatever else there is to write, and the most at a time."""


class Removals:
    """Ids of rows that are to be removed, and when."""

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self.ids: dict[int, None] = {}
        self.are_due = False
        self._pause: Timer | None = None

    def add(self, row_id: int) -> None:
        self.ids[row_id] = None
        if len(self.ids) >= MANY:
            self.make_due()
        elif self._pause is None and not self.are_due:
            self._pause = self._clock.call_later(_PAUSE_S, self.make_due)

    def make_due(self) -> None:
        """Of nothing there is nothing to remove: whoever comes next waits for a time of its own."""
        self.stop()
        if self.ids:
            self.are_due = True
            self._wake()

    def done(self, row_ids: Iterable[int]) -> None:
        for row_id in row_ids:
            del self.ids[row_id]
        if not self.ids:
            self.are_due = False
            self.stop()

    def stop(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None


class Patience:
    """When a storage that failed is tried again."""

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self.is_over = False
        self.pause_s = 0.0
        self._timer: Timer | None = None

    def begin(self) -> None:
        """Each time for twice as long as the last time."""
        self.stop()
        self.pause_s = min(max(2 * self.pause_s, _FIRST_RETRY_S), _LAST_RETRY_S)
        self._timer = self._clock.call_later(self.pause_s, self.end)

    def end(self) -> None:
        self.stop()
        self.is_over = True
        self._wake()

    def forget(self) -> None:
        """What failed works."""
        self.pause_s = 0.0

    def stop(self) -> None:
        self.is_over = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
