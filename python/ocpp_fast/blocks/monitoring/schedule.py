"""When periodic monitors are due. No clock: the time of now comes as an argument."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from ocpp_fast.blocks.timing import seconds_to_next

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Schedule"]

# By how much a timer may fire too early, by the monotonic and by the wall clock; see `timing`.
_EARLY_S: Final = 0.001
_EARLY_WALL_S: Final = 0.05

LOOK_AGAIN_S: Final = 60.0
"""How long at most until the wall clock is looked at again, in case somebody has set it."""


@dataclass(slots=True)
class _Entry:
    monitor_id: int
    interval_s: float
    aligned: bool
    due: float
    """Monotonic seconds, or for an aligned one seconds since the epoch."""


class Schedule:
    """The moments of all periodic monitors.

    Periodic ones count from the moment they were set, without adding up delays (N08.FR.06);
    clock-aligned ones follow the wall clock, also when it is set (N08.FR.07). A moment that was
    missed is skipped, not made up for.
    """

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}
        # Entries that were replaced or removed stay in their heap until their time has come.
        self._periodic: list[tuple[float, int, _Entry]] = []
        self._aligned: list[tuple[float, int, _Entry]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(
        self,
        monitor_id: int,
        interval_s: float,
        monotonic: float,
        now: datetime,
        *,
        aligned: bool,
    ) -> None:
        """A monitor was set, or set anew: its first moment is an interval from now, or the next
        multiple of the interval since midnight UTC."""
        entry = _Entry(monitor_id, interval_s, aligned, monotonic + interval_s)
        self._entries[monitor_id] = entry
        if aligned:
            self._align(entry, now)
        else:
            heappush(self._periodic, (entry.due, monitor_id, entry))

    def remove(self, monitor_id: int) -> None:
        """The monitor is gone; nothing happens if it was not there."""
        self._entries.pop(monitor_id, None)

    def wait_s(self, monotonic: float, now: datetime) -> float | None:
        """Seconds until `take` is to be called; None when nothing is scheduled."""
        self._drop(self._periodic)
        self._drop(self._aligned)
        waits = [self._periodic[0][0] - monotonic] if self._periodic else []
        if self._aligned:
            waits.append(min(self._aligned[0][0] - now.timestamp(), LOOK_AGAIN_S))
        return max(0.0, min(waits)) if waits else None

    def take(self, monotonic: float, now: datetime) -> list[int]:
        """Ids of the monitors that are due, in order of their ids; each has its next moment."""
        due: list[int] = []
        heap = self._periodic
        while heap and heap[0][0] <= monotonic + _EARLY_S:
            _, monitor_id, entry = heappop(heap)
            if self._entries.get(monitor_id) is entry:
                due.append(monitor_id)
                missed = max(0.0, (monotonic - entry.due) // entry.interval_s)
                entry.due += (missed + 1) * entry.interval_s
                heappush(heap, (entry.due, monitor_id, entry))
        due += self._take_aligned(now)
        return sorted(due)

    def _take_aligned(self, now: datetime) -> list[int]:
        wall = now.timestamp()
        heap, taken, again = self._aligned, list[int](), list[_Entry]()
        while heap and heap[0][0] <= wall + _EARLY_WALL_S:
            _, monitor_id, entry = heappop(heap)
            if self._entries.get(monitor_id) is entry:
                # One that is long overdue was passed when somebody set the clock.
                if wall - entry.due < LOOK_AGAIN_S:
                    taken.append(monitor_id)
                again.append(entry)
        for entry in again:
            self._align(entry, now)
        # The clock was set back: everything lies too far ahead.
        if heap and any(due - wall > entry.interval_s + 1 for due, _, entry in heap):
            entries = [e for _, i, e in heap if self._entries.get(i) is e]
            heap.clear()
            for entry in entries:
                self._align(entry, now)
        return taken

    def _align(self, entry: _Entry, now: datetime) -> None:
        entry.due = now.timestamp() + seconds_to_next(now, entry.interval_s)
        heappush(self._aligned, (entry.due, entry.monitor_id, entry))

    def _drop(self, heap: list[tuple[float, int, _Entry]]) -> None:
        while heap and self._entries.get(heap[0][1]) is not heap[0][2]:
            heappop(heap)
