"""What waits for delivery, and what of it may be dropped.

Pure decisions over stored rows: no I/O, no clock. `delivery.Delivery` stores the rows, loads pages
of them, sends them and tells the outbox what came of it. In what order rows leave is decided in
`lanes`, which of them are in memory in `window`; here is the bound of all.
"""

from collections.abc import Callable
from typing import Final

from ocpp_fast.lanes import RetryPolicy
from ocpp_fast.storage.base import OutboxRow
from ocpp_fast.window import Page, Window

__all__ = ["TRANSACTION_EVENT", "Outbox", "Page", "RetryPolicy", "wire_payload"]

TRANSACTION_EVENT: Final = "TransactionEvent"


def wire_payload(row: OutboxRow) -> bytes:
    """The payload to send: the stored one, with `offline: true` where it applies (E04.FR.03).

    The flag is kept beside the payload because the link may break after the payload was stored
    (E11.FR.07); of the messages that go through the outbox only TransactionEvent has it.
    """
    if row.offline and row.action == TRANSACTION_EVENT:
        return b'{"offline":true,' + row.payload[1:]
    return row.payload


def _no_limit() -> float:
    return 0.0


class Outbox(Window):
    """The messages that wait, and what to do next with them.

    Bounded by `max_rows`, of which `max_unstored` not on the disk: beyond it `thin` and
    `thin_unstored` say what to drop. Messages that may not be dropped are kept whatever their
    number; thinning is worth its price again when a tenth more have come.
    """

    def __init__(
        self,
        *,
        max_rows: int = 100_000,
        max_unstored: int = 10_000,
        window: int = 1_000,
        replay_rate: Callable[[], float] = _no_limit,
    ) -> None:
        """`window`: see `Window`; `replay_rate`: see `Lanes`."""
        super().__init__(window, replay_rate)
        self.max_rows = max_rows
        self.max_unstored = max_unstored
        self.dropped = 0
        """Messages that were thinned out since the start."""
        self.thin_at = max_rows
        """More rows than that are worth thinning."""
        self._thin_unstored_at = max_unstored

    def went_offline(self, last_row_id: int) -> None:
        """See `Lanes.went_offline`."""
        super().went_offline(last_row_id)
        if len(self) <= self.max_rows:
            self.thin_at = self.max_rows

    @property
    def overfull(self) -> bool:
        """Whether it is time to `thin`."""
        return self.in_memory + self.away > self.thin_at

    @property
    def overfull_unstored(self) -> bool:
        """Whether it is time to `thin_unstored`."""
        return len(self._unstored) > self._thin_unstored_at

    def counted(self, waiting: int) -> bool:
        """Takes over how many rows the storage has; whether it is time to `thin`."""
        stored_here = self.in_memory - len(self._unstored)
        self.away = 0 if self.all_in_memory else max(1, waiting - stored_here)
        return len(self) > self.max_rows

    def thinned_on_disk(self, rows: int) -> bool:
        """So many rows that were on disk only have gone; whether there are still too many."""
        self.dropped += rows
        self.away = 0 if self.all_in_memory else max(1, self.away - rows)
        return len(self) > self.max_rows

    def thin(self) -> list[OutboxRow]:
        """What to drop of the rows in memory because there are more than `max_rows`; it is no
        longer in the outbox.

        Of each lane every second droppable row that is not its head (`drop_every_second`).
        TransactionEvents last (`OCPPCommCtrlr.QueueAllMessages`): only when nothing else may be
        dropped any more. Empty while the bound is kept or when nothing may be dropped.
        """
        if not self.overfull:
            return []
        dropped: list[OutboxRow] = []
        while len(self) > self.max_rows and (others := self._drop(_is_other)):
            dropped += others
        if len(self) > self.max_rows:
            dropped += self._drop(_is_transaction)
        self.was_thinned()
        return dropped

    def was_thinned(self) -> None:
        """Nothing more can be dropped for now; the next time is when a tenth more have come."""
        self.thin_at = max(self.max_rows, len(self) + self.max_rows // 10)

    def thin_unstored(self) -> list[OutboxRow]:
        """What to drop because more than `max_unstored` rows are in memory only."""
        if not self.overfull_unstored:
            return []
        dropped: list[OutboxRow] = []
        unstored = self._unstored
        for is_kind in (_is_other, _is_transaction):
            if len(unstored) > self.max_unstored:
                dropped += self._drop(
                    lambda row, may_go=is_kind: row.row_id in unstored and may_go(row)
                )
        more = self.max_unstored // 10
        self._thin_unstored_at = max(self.max_unstored, len(unstored) + more)
        return dropped

    def _drop(self, may_go: Callable[[OutboxRow], bool]) -> list[OutboxRow]:
        dropped = self.drop_every_second(may_go)
        by_lane: dict[str, list[OutboxRow]] = {}
        for row in self._parked:
            if may_go(row):
                by_lane.setdefault(row.lane, []).append(row)
        parked = [row for rows in by_lane.values() for row in rows[::2]]
        for row in parked:
            self._parked.remove(row)
        self.in_memory -= len(parked)
        dropped += parked
        if self._is_watched:
            for row in dropped:
                self._forget(row)
        self.dropped += len(dropped)
        return dropped


def _is_transaction(row: OutboxRow) -> bool:
    return row.droppable and row.action == TRANSACTION_EVENT


def _is_other(row: OutboxRow) -> bool:
    return row.droppable and row.action != TRANSACTION_EVENT
