"""Which network configuration slot is dialled next, and with which credentials (B10, A02)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Attempt", "Generation", "Rotation"]


class Generation(Enum):
    """Which of two is used where an old and a new one exist at once: the client certificate or the
    content of a slot and its predecessor (A02.FR.28, A03.FR.24, B10.FR.07)."""

    NEW = "new"
    OLD = "old"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to connect."""

    slot: int
    generation: Generation = Generation.NEW
    lap: int = 0
    """How often the whole list was tried in vain before."""


class Rotation:
    """Goes round the slots, without clock and without socket.

    A lap gives each slot its number of attempts (B10.FR.03). The first lap begins with the first
    slot of the list after a start (B10.FR.04), and with the slot that was in use after the loss
    of a link. The laps after it begin with the slot of the last good connection, even if that is
    no longer listed (B10.FR.07), go on with the whole list (B10.FR.08), and never end (B10.FR.09).
    Every other lap uses the old certificate and slots where there are two (A02.FR.28).
    """

    def __init__(self) -> None:
        self._lap = 0
        self._tried: dict[int, int] = {}
        self._in_use: int | None = None
        self._even_unlisted = False

    def next(self, priority: Sequence[int], attempts: int, last_good: int | None) -> Attempt | None:
        """The attempt to make now; None when there is no slot at all.

        `attempts` is NetworkProfileConnectionAttempts; less than 1 counts as 1. The list may
        change from one call to the next.
        """
        slot = self._untried(priority, attempts, last_good)
        if slot is None:
            self._lap += 1
            self._tried.clear()
            slot = self._untried(priority, attempts, last_good)
        if slot is None:
            return None
        generation = Generation.OLD if self._lap % 2 else Generation.NEW
        return Attempt(slot, generation, self._lap)

    def failed(self, slot: int) -> None:
        """An attempt at this slot has failed."""
        self._tried[slot] = self._tried.get(slot, 0) + 1

    def skip(self, slot: int) -> None:
        """This slot cannot be used; it is not tried again in this lap."""
        self._tried[slot] = -1

    def begin(self, slot: int, *, even_unlisted: bool = False) -> None:
        """There is a good link over this slot, or something new to be tried at it: what follows is
        a first lap, from this slot on if it is listed, or anyway."""
        self._lap = 0
        self._tried.clear()
        self._in_use = slot
        self._even_unlisted = even_unlisted

    def _untried(self, priority: Sequence[int], attempts: int, last_good: int | None) -> int | None:
        in_use = self._in_use if self._even_unlisted or self._in_use in priority else None
        first = last_good if self._lap else in_use
        order = priority if first is None else (first, *priority)
        for slot in order:
            if 0 <= self._tried.get(slot, 0) < max(attempts, 1):
                return slot
        return None
