"""Which rows of the queue are in memory, and which on disk only.

Pure decisions over stored rows: no I/O, no clock.

The queue is on disk; memory is a window on it. While everything fits, every row is in memory. Once
it does not, the rows that no longer fit are *on disk only*. They come into memory in pages, the
oldest first, when memory runs low: a *scan*, up to which nothing is on disk only.

The rows of a lane that are in memory come before all others of that lane: a row whose predecessor
is on disk only stays there as well. So a lane that began long ago waits for the scan. One that
opens during a scan is *whole*, all of it is in memory, and what happens in it now is sent now, not
behind a backlog of days. Three kinds of lanes are more than that:

- *blocked*: its first row has failed. During a scan its other rows are left on disk, so a
  transaction that the CSMS refuses with all its thousand rows does not fill the window;
- *parted*: some of its rows were left on disk although the scan has passed them, or will. They are
  loaded by the name of the lane when its rows in memory are gone;
- *parked* rows are neither stored, because the storage fails, nor next in their lane, because
  others of it are on disk only. They follow those, or the end of the scan.
"""

from bisect import insort
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from ocpp_fast.lanes import Lanes, RetryPolicy
from ocpp_fast.storage.base import OutboxRow

__all__ = ["MAX_PAGE_ROWS", "Page", "Window"]

MAX_PAGE_ROWS: Final = 200
"""Most rows that are loaded at once: while they are, nothing is stored."""

_FIRST_PAGE_ROWS: Final = 50
"""A start with a long queue is hardly slower than one with a short one."""


class Page(NamedTuple):
    """Rows to load: of one lane, or of all."""

    after: int
    limit: int
    lane: str | None


class _Parked:
    """Rows that wait in memory for others of their lane which are on disk only."""

    def __init__(self) -> None:
        self._lanes: dict[str, list[OutboxRow]] = {}

    def __contains__(self, lane: object) -> bool:
        return lane in self._lanes

    def __iter__(self) -> Iterator[OutboxRow]:
        for rows in self._lanes.values():
            yield from rows

    def lanes(self) -> list[str]:
        return list(self._lanes)

    def add(self, rows: Iterable[OutboxRow]) -> None:
        """Rows of a lane need not come in their order."""
        for row in rows:
            insort(self._lanes.setdefault(row.lane, []), row, key=lambda each: each.row_id)

    def has(self, row: OutboxRow) -> bool:
        return any(each.row_id == row.row_id for each in self._lanes.get(row.lane, ()))

    def take(self, lane: str, before: int | None = None) -> list[OutboxRow]:
        """Removes rows of a lane: all, or those before a row id."""
        rows = self._lanes.pop(lane, [])
        staying = [row for row in rows if before is not None and row.row_id >= before]
        if staying:
            self._lanes[lane] = staying
        return rows[: len(rows) - len(staying)]

    def remove(self, row: OutboxRow) -> None:
        rows = self._lanes[row.lane]
        rows.remove(row)
        if not rows:
            del self._lanes[row.lane]


class Window(Lanes):
    """The messages that wait, of which some are in memory.

    Rows come in by `add` when the storage is not durable, and all stay in memory. Else they come
    in by `resume`, `accept`, `requeue` and `take_page`: of those that are stored at most about
    `window` are in memory, and as many again while the station is online.
    """

    def __init__(self, window: int, replay_rate: Callable[[], float]) -> None:
        super().__init__(replay_rate)
        self.window = window
        self.scanned_to = 0
        """Rows up to this id have been scanned."""
        self._end = 0
        """Row id of the last row that was left on disk for the scan."""
        self.away = 0
        """About how many rows are on disk only; 0 only when there is none."""
        self._ahead: set[int] = set()
        """Rows in memory that the scan has still to come across."""
        self._open: dict[str, bool] = {}
        """Lanes that will get more rows, and whether they are whole: as many as there are
        transactions, and the few lanes that never close."""
        self._blocked: set[str] = set()
        self._parted: dict[str, int] = {}
        """The row id behind which the rest of each parted lane is found."""
        self._freed: dict[str, None] = {}
        """Parted lanes of which nothing is in memory any more."""
        self._parked = _Parked()
        self._unstored: set[int] = set()
        self._left_unstored: set[int] = set()
        """Rows that left while they may have been on their way to the disk."""
        self._page: Page | None = None
        self._page_rows = _FIRST_PAGE_ROWS
        self._page_end = 0
        """`_end` when the page was asked for."""
        self._page_grew = False
        """Whether the lane of the page has got more rows on disk since."""
        self._page_is_stale = False
        """Whether rows that were in memory then are on disk only by now."""

    def __len__(self) -> int:
        """About how many messages are not yet confirmed, the one under way included; 0 only when
        there is none."""
        return self.in_memory + self.away

    @property
    def unstored(self) -> int:
        """Messages that are in memory only, because the storage fails."""
        return len(self._unstored)

    @property
    def all_in_memory(self) -> bool:
        """Whether nothing is on disk only."""
        return self._end <= self.scanned_to and not self._parted

    def holds(self, lane: str) -> bool | None:
        """Whether messages of this lane wait for delivery (E14.FR.04, E14.FR.05); None when only
        the storage knows."""
        if lane in self._last or lane in self._parked:
            return True
        if lane in self._parted:
            return None
        is_known = self._end <= self.scanned_to or self._open.get(lane, False)
        return False if is_known else None

    def rows(self) -> Iterator[OutboxRow]:
        """All rows in memory; those of a lane in their order, but for parked ones."""
        yield from super().rows()
        yield from self._parked

    # --- coming in --------------------------------------------------------------------------

    def resume(self, last_row_id: int) -> None:
        """From now on memory is a window: rows of an earlier run are on disk, up to this id. They
        are offline, for the link that they waited for is gone (E11.FR.07)."""
        self._is_watched = True
        self.offline_to = self._end = self.away = last_row_id

    def accept(self, row: OutboxRow, *, stored: bool = True) -> None:
        """Takes a row that was posted, in memory or as one that is on disk."""
        lane = row.lane
        if not stored:
            self._unstored.add(row.row_id)
        if self._may_enter(row, stored=stored):
            self.add(row)
            if self._end > self.scanned_to:
                self._ahead.add(row.row_id)
            if row.closes:
                self._open.pop(lane, None)
            else:
                self._open.setdefault(lane, True)
            return
        if row.closes:
            self._open.pop(lane, None)
        elif row.opens or lane in self._open:
            self._open[lane] = False
        if stored:
            self._leave(row)
        else:
            self._parked.add((row,))
            self.in_memory += 1
            self._ahead.add(row.row_id)

    def became_stored(self, row: OutboxRow) -> bool:
        """The storage has taken a row after all; false for one that was not accepted before."""
        if row.row_id in self._left_unstored:
            self._left_unstored.discard(row.row_id)
            return True
        if row.row_id not in self._unstored:
            return False
        self._unstored.discard(row.row_id)
        if self._parked.has(row):
            self._parked.remove(row)
            self.in_memory -= 1
            self._ahead.discard(row.row_id)
            self._leave(row)
        if not self._unstored:
            self._shrink()
        return True

    def storage_works(self) -> None:
        """The storage has taken all rows that it had not taken, and that had not left."""
        self._left_unstored.clear()

    def requeue(self, rows: Iterable[OutboxRow]) -> None:
        """Takes stored rows that were dead letters; each goes before later ones of its lane, and
        behind earlier ones, which may be on disk only."""
        entering: list[OutboxRow] = []
        for row in rows:
            if self._follows_the_disk(row):
                self._leave(row)
            else:
                entering.append(row)
        self.insert(entering)
        self._ahead |= {row.row_id for row in entering if row.row_id > self.scanned_to}
        if self._is_watched and not self._unstored:
            self._shrink()

    def _follows_the_disk(self, row: OutboxRow) -> bool:
        """Whether older rows of its lane may be on disk only, and none in memory is newer."""
        lane = row.lane
        if lane in self._parted:
            return row.row_id > self._parted[lane]
        if self._end <= self.scanned_to or row.row_id <= self.scanned_to:
            return False
        last = self._last.get(lane)
        return (last is None or last.row_id < row.row_id) and not self._open.get(lane, False)

    def _may_enter(self, row: OutboxRow, *, stored: bool) -> bool:
        lane = row.lane
        if lane in self._parted:
            return False
        if self._end > self.scanned_to:
            is_whole = row.opens or self._open.get(lane, False)
            if not is_whole or (stored and lane in self._blocked):
                return False
        if not stored:
            return True
        # While the station is online, rows leave sooner than others could come from the disk.
        is_offline = row.offline or row.row_id <= self.offline_to
        return self._room() + (0 if is_offline else self.window) > 0

    def _room(self) -> int:
        """How many more rows may come from the disk. What is in memory only does not count, or
        rows that wait for others on the disk could keep those from coming."""
        return self.window - self.in_memory + len(self._unstored)

    # --- staying on disk --------------------------------------------------------------------

    def _leave(self, row: OutboxRow) -> None:
        """The row is on disk only."""
        self.away += 1
        if self._page is not None and self._page.lane == row.lane:
            self._page_grew = True
        if row.lane in self._parted:
            return
        if self._end <= self.scanned_to or row.row_id <= self.scanned_to:
            self._scan_from(row.row_id - 1)
        self._end = max(self._end, row.row_id)

    def _scan_from(self, row_id: int) -> None:
        """Begins a scan behind a row, or goes back to there."""
        self.scanned_to = row_id
        self._ahead |= {row.row_id for row in self.rows() if row.row_id > row_id}
        for _, _, first in self._waiting:
            self._part(first)

    def _part(self, first: OutboxRow) -> None:
        """Leaves on disk what is behind the first row of a blocked lane."""
        behind = self._chain(first)[1:]
        left = [row for row in behind if row.row_id not in self._unstored]
        if not left:
            return
        lane = first.lane
        for row in behind:
            self._behind.pop(row.row_id, None)
        self._link([first])
        self.in_memory -= len(left)
        self.away += len(left)
        self._parked.add(row for row in behind if row.row_id in self._unstored)
        self._parted[lane] = min(left[0].row_id - 1, self._parted.get(lane, left[0].row_id))
        if lane in self._open:
            self._open[lane] = False

    def _shrink(self) -> None:
        """Leaves on disk what is much beyond the window, once everything is there."""
        if self.in_memory <= 2 * self.window:
            return
        last = sorted(row.row_id for row in super().rows())[self.window - 1]
        left = self.forget_after(last)
        if not left:
            return
        self.away += len(left)
        self._ahead.difference_update(row.row_id for row in left)
        for row in reversed(left):
            lane = row.lane
            if lane in self._open:
                self._open[lane] = False
            if lane in self._parted:
                self._parted[lane] = min(self._parted[lane], row.row_id - 1)
                if lane not in self._last:
                    self._freed[lane] = None
        is_scan = self._end > self.scanned_to
        self._scan_from(min(self.scanned_to, last) if is_scan else last)
        self._end = max(self._end, *(row.row_id for row in left))
        self._page_is_stale = True

    # --- from the disk ----------------------------------------------------------------------

    def next_page(self) -> Page | None:
        """What to load now, for `take_page`; None while nothing is needed or a page is under
        way."""
        room = self._room()
        if self._page is not None or room <= 0:
            return None
        limit = min(self._page_rows, room)
        if self._freed:
            lane = next(iter(self._freed))
            del self._freed[lane]
            self._page = Page(self._parted[lane], limit, lane)
        elif self._end > self.scanned_to and room + len(self._waiting) >= self.window // 2:
            self._page = Page(self.scanned_to, limit, None)
            self._page_rows = min(2 * self._page_rows, MAX_PAGE_ROWS)
        self._page_end = self._end
        self._page_grew = self._page_is_stale = False
        return self._page

    def page_failed(self) -> None:
        """The page could not be loaded: it will be asked for again."""
        page, self._page = self._page, None
        if page is not None and page.lane is not None:
            self._freed[page.lane] = None

    def take_page(self, rows: Sequence[OutboxRow], gone: Container[int] = frozenset()) -> None:
        """Takes what was loaded for the page: its first rows, all there are if fewer than its
        limit. `gone`: row ids that are still on disk, but done with."""
        page = self._page
        if page is None or self._page_is_stale:
            self.page_failed()
            return
        self._page = None
        if page.lane is not None:
            self._take_lane(page, page.lane, rows, gone)
        elif page.after == self.scanned_to:  # Else the scan has gone back to an earlier place.
            self._take_scanned(page, rows, gone)
        if self._end <= self.scanned_to:
            self._end_scan()
        else:
            if not self._parted:
                self.away = min(self.away, self._end - self.scanned_to)
            self.away = max(1, self.away)

    def _take_scanned(self, page: Page, rows: Sequence[OutboxRow], gone: Container[int]) -> None:
        for row in rows:
            lane = row.lane
            self.scanned_to = row.row_id
            if row.row_id in self._ahead or row.row_id in gone or lane in self._parted:
                continue
            if lane in self._blocked:
                self._parted[lane] = row.row_id - 1
                continue
            if lane in self._parked:
                self._unpark(lane, row.row_id)
            self.add(row)
            self.away -= 1
        if len(rows) < page.limit:
            # What was left on disk since then may be missing here.
            self.scanned_to = max(self.scanned_to, self._page_end)
        self._ahead = {row_id for row_id in self._ahead if row_id > self.scanned_to}

    def _take_lane(
        self, page: Page, lane: str, rows: Sequence[OutboxRow], gone: Container[int]
    ) -> None:
        self._freed.pop(lane, None)
        after = page.after
        for row in rows:
            after = row.row_id
            self._unpark(lane, after)
            if row.row_id in gone:
                continue
            self.add(row)
            self.away -= 1
            if after > self.scanned_to:
                self._ahead.add(after)
        if len(rows) < page.limit and not self._page_grew:
            del self._parted[lane]
            self._unpark(lane)
            if lane in self._open:
                self._open[lane] = True
            return
        self._parted[lane] = after
        if lane not in self._last:
            self._freed[lane] = None

    def _unpark(self, lane: str, before: int | None = None) -> None:
        """Lets parked rows of a lane follow those in memory."""
        for row in self._parked.take(lane, before):
            self.in_memory -= 1
            self.add(row)

    def _end_scan(self) -> None:
        self._ahead.clear()
        self.away = max(len(self._parted), self.away) if self._parted else 0
        for lane in self._parked.lanes():
            if lane not in self._parted:
                self._unpark(lane)
        for lane in self._open:
            self._open[lane] = lane not in self._parted

    # --- going out --------------------------------------------------------------------------

    def failed(self, row: OutboxRow, now: float, policy: RetryPolicy) -> bool:
        """See `Lanes.failed`."""
        again = super().failed(row, now, policy)
        if again and self._is_watched:
            self._blocked.add(row.lane)
            if self._end > self.scanned_to:
                self._part(row)
        return again

    def _left(self, row: OutboxRow) -> None:
        lane = row.lane
        self._blocked.discard(lane)
        if lane in self._parted and lane not in self._last:
            self._freed[lane] = None
        self._forget(row)

    def _forget(self, row: OutboxRow) -> None:
        """The row is not in memory any more, and will not be on disk."""
        if row.row_id in self._unstored:
            self._unstored.discard(row.row_id)
            self._left_unstored.add(row.row_id)
        if self._page is None:  # Else it may be in that page.
            self._ahead.discard(row.row_id)
