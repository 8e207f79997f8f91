"""The pauses between attempts to connect (Part 4, section 5.4)."""

from __future__ import annotations

from typing import Final

__all__ = ["MAX_DOUBLINGS", "SHORTEST_S", "BackOff"]

SHORTEST_S: Final = 0.1
"""Least pause after a failure, whatever is configured."""
MAX_DOUBLINGS: Final = 16
"""Bound on RetryBackOffRepeatTimes: 16 doublings of one second are eighteen hours."""


class BackOff:
    """The first pause is the minimum; each failure doubles it, up to a number of times; every
    pause has a random part of its own on top. A connection that was made starts it over."""

    def __init__(self) -> None:
        self._failures = 0

    def reset(self) -> None:
        """A connection was made; the next pause is the first again."""
        self._failures = 0

    def next_s(
        self, minimum_s: float, random_range_s: float, repeat_times: int, chance: float
    ) -> float:
        """The pause before the next attempt, in seconds. `chance` is a number from 0 to 1."""
        doublings = min(self._failures, repeat_times, MAX_DOUBLINGS)
        self._failures += 1
        return max(minimum_s * 2**doublings + random_range_s * chance, SHORTEST_S)
