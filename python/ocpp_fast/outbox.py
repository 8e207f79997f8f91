"""What waits for delivery, in what order, when it is tried again and what may be dropped.

Pure decisions over stored rows: no I/O, no clock. `delivery.Delivery` stores the rows, sends them
and tells the outbox what came of it.

Order: messages of one lane (one transaction) leave strictly in the order they were created; among
lanes the oldest message goes first. A message that the CSMS did not accept holds up its own lane
until its next attempt, never the others. One message is under way at a time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import pairwise

from ocpp_fast.storage.base import OutboxRow


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when a message that failed is sent again."""

    attempts: int
    """Attempts in all, the first included (E13.FR.02); less than one counts as one.
    `OCPPCommCtrlr.MessageAttempts[TransactionEvent]`"""
    interval_s: float
    """Pause after the first failure; after the n-th it is n times as long (E13.FR.03).
    `OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]`"""


def wire_payload(row: OutboxRow) -> bytes:
    """The payload to send: the stored one, with `offline: true` where it applies (E04.FR.03).

    The flag is kept beside the payload because the link may break after the payload was stored
    (E11.FR.07); of the messages that go through the outbox only TransactionEvent has it.
    """
    if row.offline and row.action == "TransactionEvent":
        return b'{"offline":true,' + row.payload[1:]
    return row.payload


class Outbox:
    """The messages that wait, and what to do next with them.

    Bounded by `max_rows`: beyond it `thin` says what to drop. Messages that may not be dropped are
    kept whatever their number; `thin` is worth its price again when a tenth more have come.
    """

    def __init__(self, *, max_rows: int = 100_000) -> None:
        self.max_rows = max_rows
        self.dropped = 0
        """Messages that `thin` gave up since the start."""
        # A lane is a chain of rows: its last row, and for each row the one behind it. Its first
        # row is in exactly one place: ready, waiting for its next attempt, or under way.
        self._last: dict[str, OutboxRow] = {}
        self._behind: dict[int, OutboxRow] = {}
        self._ready: list[tuple[int, OutboxRow]] = []
        self._waiting: list[tuple[float, int, OutboxRow]] = []
        self._under_way: OutboxRow | None = None
        self._count = 0
        self._thin_at = max_rows

    def __len__(self) -> int:
        """Messages not yet confirmed, the one under way included."""
        return self._count

    @property
    def overfull(self) -> bool:
        """Whether it is time to `thin`."""
        return self._count > self._thin_at

    def holds(self, lane: str) -> bool:
        """Whether messages of this lane wait for delivery (E14.FR.04, E14.FR.05)."""
        return lane in self._last

    def add(self, row: OutboxRow) -> None:
        """Takes a stored row; row ids of one lane must come in rising order."""
        last = self._last.get(row.lane)
        self._last[row.lane] = row
        if last is None:
            heappush(self._ready, (row.row_id, row))
        else:
            self._behind[last.row_id] = row
        self._count += 1

    def take(self, now: float) -> OutboxRow | None:
        """The row to send now, which is then under way; None when there is none.

        `now` is in seconds on the clock that `failed` uses.
        """
        if self._under_way is not None:
            return None
        waiting = self._waiting
        while waiting and waiting[0][0] <= now:
            _, row_id, row = heappop(waiting)
            heappush(self._ready, (row_id, row))
        if not self._ready:
            return None
        self._under_way = row = heappop(self._ready)[1]
        return row

    def next_attempt_at(self) -> float | None:
        """When `take` may find a row that it does not find now; None when nothing waits for it."""
        return self._waiting[0][0] if self._waiting else None

    def delivered(self, row: OutboxRow) -> None:
        """The row that was under way is done with, and gone; the next of its lane follows."""
        self._land(row)
        self._count -= 1
        behind = self._behind.pop(row.row_id, None)
        if behind is None:
            del self._last[row.lane]
            if not self._count:
                self._thin_at = self.max_rows
        else:
            heappush(self._ready, (behind.row_id, behind))

    def interrupted(self, row: OutboxRow) -> None:
        """The link broke under the row: it is first again, and no attempt is counted."""
        self._land(row)
        heappush(self._ready, (row.row_id, row))

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

    def retry_now(self) -> None:
        """Makes every row that waits for its next attempt ready."""
        self._ready += [(row_id, row) for _, row_id, row in self._waiting]
        heapify(self._ready)
        self._waiting.clear()

    def mark_offline(self) -> bool:
        """Sets `offline` on every row (E11.FR.07); false when all had it already."""
        changed = False
        for row in self.rows():
            if not row.offline:
                row.offline = changed = True
        return changed

    def thin(self) -> list[OutboxRow]:
        """What to drop because there are more than `max_rows`; it is no longer in the outbox.

        Of each lane every second droppable row that is not its head, beginning with the first
        (E04.FR.08, E11.FR.05, E12.FR.05): the course of the transaction stays visible from end
        to end. Empty while the bound is kept or when nothing may be dropped.
        """
        if not self.overfull:
            return []
        dropped: list[OutboxRow] = []
        for first in self._firsts():
            inner = [row for row in self._lane(first) if row.droppable and row is not first]
            dropped += inner[::2]
        gone = {row.row_id for row in dropped}
        for first in self._firsts():
            kept = [row for row in self._lane(first) if row.row_id not in gone]
            for row in self._lane(first):
                self._behind.pop(row.row_id, None)
            self._behind |= {row.row_id: behind for row, behind in pairwise(kept)}
            self._last[first.lane] = kept[-1]
        self._count -= len(dropped)
        self.dropped += len(dropped)
        self._thin_at = max(self.max_rows, self._count + self.max_rows // 10)
        return dropped

    def rows(self) -> Iterable[OutboxRow]:
        """All rows, lane by lane."""
        for first in self._firsts():
            yield from self._lane(first)

    def _firsts(self) -> list[OutboxRow]:
        """The first row of each lane."""
        under_way = [] if self._under_way is None else [self._under_way]
        return [
            *under_way,
            *(row for _, row in self._ready),
            *(row for *_, row in self._waiting),
        ]

    def _lane(self, first: OutboxRow) -> list[OutboxRow]:
        """A row and all behind it."""
        rows = [first]
        while (behind := self._behind.get(rows[-1].row_id)) is not None:
            rows.append(behind)
        return rows

    def _land(self, row: OutboxRow) -> None:
        if self._under_way is not row:
            raise ValueError(f"row {row.row_id} is not under way")
        self._under_way = None
