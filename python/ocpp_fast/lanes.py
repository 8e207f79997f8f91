"""Messages in memory: in what order they leave, when one is tried again.

Pure decisions over rows: no I/O, no clock.

Order: messages of one lane (one transaction) leave strictly in the order they were created. Of the
lanes whose first message may go, those whose message is not *offline* come first: what happens now
is not told behind what happened last week. The offline ones follow, not faster than the replay
rate. Among equals the oldest message goes first. A message that the CSMS did not accept holds up
its own lane until its next attempt, never the others. One message is under way at a time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, merge
from itertools import pairwise
from operator import attrgetter
from typing import Final

from ocpp_fast.storage.base import OutboxRow

MAX_LIVE_IN_A_ROW: Final = 20
"""So many live messages may pass one that is offline: a link that can only just carry what happens
now must not keep yesterday's bill back for ever."""

# A timer that rings a little early must not find the bucket a little too empty.
_ONE_TOKEN: Final = 1 - 1e-6

_row_id = attrgetter("row_id")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when a message that failed is sent again."""

    attempts: int
    """Attempts in all, the first included (E13.FR.02); less than one counts as one.
    `OCPPCommCtrlr.MessageAttempts[TransactionEvent]`"""
    interval_s: float
    """Pause after the first failure; after the n-th it is n times as long (E13.FR.03).
    `OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]`"""


class _Bucket:
    """Lets `rate()` messages a second pass, and one second's worth of them at once; 0 or less:
    all."""

    __slots__ = ("_at", "_rate", "_tokens", "next_at")

    def __init__(self, rate: Callable[[], float]) -> None:
        self._rate = rate
        self._tokens = 0.0
        self._at: float | None = None
        self.next_at = 0.0
        """When `take` will succeed, after it has failed."""

    def take(self, now: float) -> bool:
        rate = self._rate()
        if rate <= 0:
            return True
        most = max(1.0, rate)
        gained = most if self._at is None else (now - self._at) * rate
        self._tokens = min(most, self._tokens + gained)
        self._at = now
        if self._tokens < _ONE_TOKEN:
            self.next_at = now + (1 - self._tokens) / rate
            return False
        self._tokens -= 1
        return True


class Lanes:
    """The messages in memory, and which is next.

    `replay_rate` is asked for messages a second each time an offline one may go, see
    `InternalCtrlr.MessageReplayRate`.
    """

    def __init__(self, replay_rate: Callable[[], float]) -> None:
        # A lane is a chain of rows: its last row, and for each row the one behind it. Its first
        # row is in exactly one place: ready, waiting for its next attempt, or under way.
        self._last: dict[str, OutboxRow] = {}
        self._behind: dict[int, OutboxRow] = {}
        self._live: list[tuple[int, OutboxRow]] = []
        self._replay: list[tuple[int, OutboxRow]] = []
        self._waiting: list[tuple[float, int, OutboxRow]] = []
        self._due: dict[int, float] = {}
        """Next attempts of rows that were first of their lane, before `insert` put one there."""
        self._under_way: OutboxRow | None = None
        self.in_memory: int = 0
        """Rows in memory."""
        self._is_watched = False
        """Whether `_left` is to be called; most fleets of stations have no need of it."""
        self._bucket = _Bucket(replay_rate)
        self._passed = 0
        """Live rows that went while an offline one was ready."""
        self.offline_to = 0
        """Rows up to this id are offline, whatever they say themselves (E11.FR.07): nothing is
        written, not even in memory, for each row when the link breaks."""

    def add(self, row: OutboxRow) -> None:
        """Takes a row; row ids of one lane must come in rising order."""
        last = self._last.get(row.lane)
        self._last[row.lane] = row
        if last is not None:
            self._behind[last.row_id] = row
        elif row.offline or row.row_id <= self.offline_to:
            row.offline = True
            heappush(self._replay, (row.row_id, row))
        else:
            heappush(self._live, (row.row_id, row))
        self.in_memory += 1

    def insert(self, rows: Iterable[OutboxRow]) -> None:
        """Takes rows that may be older than others of their lanes: they go before those, but after
        one that is under way."""
        by_lane: dict[str, list[OutboxRow]] = {}
        for row in sorted(rows, key=_row_id):
            by_lane.setdefault(row.lane, []).append(row)
        firsts = {first.lane: first for first in self._firsts()}
        for lane, new in by_lane.items():
            if (first := firsts.get(lane)) is not None:
                self._insert_behind(first, new)
                continue
            for row in new:
                self.add(row)

    def _insert_behind(self, first: OutboxRow, rows: Sequence[OutboxRow]) -> None:
        """Or before it, those that are the oldest of the lane."""
        chain = self._chain(first)
        older: Sequence[OutboxRow] = ()
        if first is not self._under_way:
            # The first one may be newer than those behind it, which came while it was under way.
            oldest = min(map(_row_id, chain))
            older = [row for row in rows if row.row_id < oldest]
        if older:
            self._step_back(first)
        self._link([*older, first, *merge(chain[1:], rows[len(older) :], key=_row_id)])
        if older:
            self._make_ready(older[0])
        self.in_memory += len(rows)

    def take(self, now: float) -> OutboxRow | None:
        """The row to send now, which is then under way; None when there is none.

        `now` is in seconds on the clock that `failed` uses.
        """
        if self._under_way is not None:
            return None
        waiting = self._waiting
        while waiting and waiting[0][0] <= now:
            self._make_ready(heappop(waiting)[2])
        live, replay = self._live, self._replay
        if replay and (not live or self._passed >= MAX_LIVE_IN_A_ROW) and self._bucket.take(now):
            self._passed = 0
            row = heappop(replay)[1]
        elif live:
            row = heappop(live)[1]
            if replay:
                self._passed += 1
        else:
            return None
        self._under_way = row
        return row

    def next_attempt_at(self) -> float | None:
        """When `take`, which has just found nothing, may find a row; None when time alone will
        not bring one."""
        due = self._waiting[0][0] if self._waiting else None
        if not self._replay:
            return due
        return self._bucket.next_at if due is None else min(due, self._bucket.next_at)

    def delivered(self, row: OutboxRow) -> None:
        """The row that was under way is done with, and gone; the next of its lane follows."""
        self._land(row)
        self.in_memory -= 1
        behind = self._behind.pop(row.row_id, None)
        if behind is None:
            del self._last[row.lane]
        elif behind.offline or behind.row_id <= self.offline_to or self._due:
            self._make_ready(behind)
        else:
            heappush(self._live, (behind.row_id, behind))
        if self._is_watched:
            self._left(row)

    def interrupted(self, row: OutboxRow) -> None:
        """The link broke under the row: it is first again, and no attempt is counted."""
        self._land(row)
        self._make_ready(row)

    def failed(self, row: OutboxRow, now: float, policy: RetryPolicy) -> bool:
        """The CSMS did not accept the row, or did not answer (E13.FR.02, E13.FR.03, E13.FR.04).

        Counts the attempt in `row.attempts`. True when it will be tried again; false when this was
        the last attempt: the row is no longer in the outbox, and the next of its lane follows.
        """
        row.attempts += 1
        if row.attempts >= policy.attempts:
            self.delivered(row)
            return False
        self._land(row)
        heappush(self._waiting, (now + policy.interval_s * row.attempts, row.row_id, row))
        return True

    def went_offline(self, last_row_id: int) -> None:
        """The link is gone: rows up to this id, those too that will come here later, count as
        sent offline (E11.FR.07)."""
        self.offline_to = last_row_id
        for _, row in self._live:
            row.offline = True
        self._replay += self._live
        heapify(self._replay)
        self._live.clear()

    def rows(self) -> Iterable[OutboxRow]:
        """All rows in memory, lane by lane, those of a lane in their order."""
        for first in self._firsts():
            yield from self._chain(first)

    def drop_every_second(self, may_go: Callable[[OutboxRow], bool]) -> list[OutboxRow]:
        """Drops, of each lane, every second of the rows that may go and are not its first row,
        beginning with the first (E04.FR.08, E11.FR.05, E12.FR.05): the course of the transaction
        stays visible from end to end. Returns them."""
        dropped: list[OutboxRow] = []
        for first in self._firsts():
            chain = self._chain(first)
            inner = [row for row in chain[1:] if may_go(row)][::2]
            if inner:
                gone = {row.row_id for row in inner}
                self._link([row for row in chain if row.row_id not in gone])
                for row_id in gone:
                    self._behind.pop(row_id, None)
                dropped += inner
        self.in_memory -= len(dropped)
        return dropped

    def forget_after(self, row_id: int) -> list[OutboxRow]:
        """Forgets rows with a higher row id, unless they are under way or wait for their next
        attempt, or others of their lane, which stay, follow them. Returns them, those of a lane in
        their order."""
        forgotten: list[OutboxRow] = []
        for first in self._firsts():
            chain = self._chain(first)
            # Rows that were put behind the first one may be older.
            staying = 1 + max(
                (n for n, row in enumerate(chain) if row.row_id <= row_id), default=-1
            )
            if not staying and (first is self._under_way or first.attempts):
                staying = 1
            if staying:
                self._link(chain[:staying])
            else:
                del self._last[first.lane]
            for row in chain[staying:]:
                self._behind.pop(row.row_id, None)
            forgotten += chain[staying:]
        gone = {row.row_id for row in forgotten}
        # Whoever waits has been tried, and is not among them.
        self._live = [entry for entry in self._live if entry[0] not in gone]
        self._replay = [entry for entry in self._replay if entry[0] not in gone]
        heapify(self._live)
        heapify(self._replay)
        self.in_memory -= len(forgotten)
        return forgotten

    def _left(self, row: OutboxRow) -> None:
        """The row has been delivered, or given up."""

    def _make_ready(self, row: OutboxRow) -> None:
        """The row is first of its lane now."""
        if self._due and (due := self._due.pop(row.row_id, None)) is not None:
            heappush(self._waiting, (due, row.row_id, row))
        elif row.offline or row.row_id <= self.offline_to:
            row.offline = True
            heappush(self._replay, (row.row_id, row))
        else:
            heappush(self._live, (row.row_id, row))

    def _step_back(self, first: OutboxRow) -> None:
        """Takes the first row of a lane, which is not under way, from where it stands."""
        self._due |= {row.row_id: due for due, _, row in self._waiting if row is first}
        self._live = [entry for entry in self._live if entry[1] is not first]
        self._replay = [entry for entry in self._replay if entry[1] is not first]
        self._waiting = [entry for entry in self._waiting if entry[2] is not first]
        heapify(self._live)
        heapify(self._replay)
        heapify(self._waiting)

    def _firsts(self) -> list[OutboxRow]:
        """The first row of each lane."""
        under_way = [] if self._under_way is None else [self._under_way]
        ready = (row for heap in (self._live, self._replay) for _, row in heap)
        return [*under_way, *ready, *(row for *_, row in self._waiting)]

    def _chain(self, first: OutboxRow) -> list[OutboxRow]:
        """A row and all behind it."""
        rows = [first]
        while (behind := self._behind.get(rows[-1].row_id)) is not None:
            rows.append(behind)
        return rows

    def _link(self, chain: Sequence[OutboxRow]) -> None:
        """Makes these rows a lane, in this order."""
        self._behind |= {row.row_id: behind for row, behind in pairwise(chain)}
        self._behind.pop(chain[-1].row_id, None)
        self._last[chain[-1].lane] = chain[-1]

    def _land(self, row: OutboxRow) -> None:
        if self._under_way is not row:
            raise ValueError(f"row {row.row_id} is not under way")
        self._under_way = None
