"""What `outbox.Outbox` decides, step by step, over a disk that is a dictionary."""

from collections.abc import Iterable

from ocpp_fast.outbox import Outbox, Page, RetryPolicy
from ocpp_fast.storage import OutboxRow

POLICY = RetryPolicy(attempts=2, interval_s=60)


def row(row_id: int, lane: str = "old", *, offline: bool = False) -> OutboxRow:
    action = "TransactionEvent"
    return OutboxRow(row_id, lane, "2.1", action, b"{}", row_id, droppable=True, offline=offline)


def opening(row_id: int, lane: str) -> OutboxRow:
    found = row(row_id, lane)
    found.opens = True
    return found


def closing(row_id: int, lane: str) -> OutboxRow:
    found = row(row_id, lane)
    found.closes = True
    return found


class Disk:
    """An outbox that takes up `rows` of an earlier run, and what they are on."""

    def __init__(self, rows: Iterable[OutboxRow] = (), *, window: int = 4) -> None:
        self.outbox = Outbox(window=window)
        self.rows = {each.row_id: each for each in rows}
        self.outbox.resume(max(self.rows, default=0))

    def read(self) -> tuple[Page, list[OutboxRow]] | None:
        """Reads the page that is wanted now."""
        page = self.outbox.next_page()
        if page is None:
            return None
        found = [
            each
            for each in sorted(self.rows.values(), key=lambda each: each.row_id)
            if each.row_id > page.after and page.lane in (None, each.lane)
        ]
        return page, found[: page.limit]

    def load(self) -> Page | None:
        """Reads it, and hands it over."""
        found = self.read()
        if found is None:
            return None
        self.outbox.take_page(found[1])
        return found[0]

    def post(self, new: OutboxRow) -> None:
        self.rows[new.row_id] = new
        self.outbox.accept(new)

    def take(self, now: float = 0.0) -> OutboxRow:
        found = self.outbox.take(now)
        assert found is not None
        return found

    def deliver(self, times: int = 1, now: float = 0.0) -> list[int]:
        """What it delivers, without loading anything."""
        ids: list[int] = []
        for _ in range(times):
            found = self.outbox.take(now)
            if found is None:
                break
            self.outbox.delivered(found)
            self.rows.pop(found.row_id, None)
            ids.append(found.row_id)
        return ids


def drained(disk: Disk, now: float = 0.0) -> list[int]:
    ids: list[int] = []
    while True:
        loaded = disk.load()
        got = disk.deliver(now=now)
        ids += got
        if loaded is None and not got:
            return ids


def in_memory(disk: Disk) -> list[int]:
    return sorted(each.row_id for each in disk.outbox.rows())
