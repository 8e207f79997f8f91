"""One suite for every `Storage`: what it stores, what it forgets, and what comes back.

An implementation of one's own is proved by adding it to `OPENERS`.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ocpp_fast.errors import StorageError
from ocpp_fast.storage import MemoryStorage, OutboxRow, Storage
from ocpp_fast.storage.base import MAX_ROWS_PER_APPEND
from ocpp_fast.storage.sqlite import SqliteStorage

OPENERS: dict[str, Callable[[Path], Storage]] = {
    "memory": lambda _: MemoryStorage(),
    "sqlite": lambda folder: SqliteStorage(folder / "station.db"),
}


@pytest.fixture(params=OPENERS)
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    opened = OPENERS[request.param](tmp_path)
    await opened.open()
    yield opened
    await opened.close()


def row(row_id: int, lane: str = "tx-1", **changes: object) -> OutboxRow:
    values: dict[str, object] = {
        "version": "2.1",
        "action": "TransactionEvent",
        "payload": f'{{"seqNo":{row_id},"text":"ä\\u0000"}}'.encode(),
    }
    return OutboxRow(row_id, lane, **(values | changes))  # type: ignore[arg-type]


async def test_a_new_storage_is_empty(storage: Storage) -> None:
    assert await storage.outbox_load() == []
    assert await storage.outbox_dead_letters() == []
    assert await storage.outbox_last_row_id() == 0


async def test_rows_come_back_as_stored_in_the_order_of_their_ids(storage: Storage) -> None:
    first = row(7, seq_no=3, droppable=True, offline=True, attempts=2)
    second = row(3, "tx-2", version="2.0.1", action="SecurityEventNotification")
    await storage.outbox_append([first, second])
    await storage.outbox_append([row(9)])
    assert await storage.outbox_load() == [second, first, row(9)]
    assert await storage.outbox_last_row_id() == 9


async def test_an_append_is_all_or_nothing(storage: Storage) -> None:
    await storage.outbox_append([row(2)])
    with pytest.raises(StorageError, match="outbox_append"):
        await storage.outbox_append([row(1), row(2)])
    assert await storage.outbox_load() == [row(2)]


async def test_an_append_takes_a_bounded_number_of_rows(storage: Storage) -> None:
    await storage.outbox_append([])
    await storage.outbox_append([row(n) for n in range(1, MAX_ROWS_PER_APPEND + 1)])
    assert len(await storage.outbox_load()) == MAX_ROWS_PER_APPEND
    with pytest.raises(StorageError, match="outbox_append"):
        await storage.outbox_append([row(n) for n in range(2_000, 3_001)])


async def test_removed_rows_are_gone_and_unknown_ids_do_not_matter(storage: Storage) -> None:
    await storage.outbox_append([row(1), row(2), row(3)])
    await storage.outbox_remove([1, 3, 99])
    await storage.outbox_remove([])
    assert await storage.outbox_load() == [row(2)]


async def test_attempts_and_the_offline_mark_are_kept(storage: Storage) -> None:
    await storage.outbox_append([row(1), row(2)])
    await storage.outbox_attempted(1, 4)
    await storage.outbox_attempted(99, 1)
    await storage.outbox_mark_offline()
    assert await storage.outbox_load() == [row(1, attempts=4, offline=True), row(2, offline=True)]


async def test_dead_letters_are_kept_with_their_cause_and_can_be_sent_again(
    storage: Storage,
) -> None:
    await storage.outbox_append([row(1), row(2), row(3)])
    await storage.outbox_bury(2, 3, "InternalError: no")
    await storage.outbox_bury(99, 1, "unknown")
    assert await storage.outbox_load() == [row(1), row(3)]
    (letter,) = await storage.outbox_dead_letters()
    assert (letter.row.row_id, letter.row.attempts) == (2, 3)
    assert letter.cause == "InternalError: no"

    assert await storage.outbox_requeue([2, 1, 99]) == [row(2)]
    assert await storage.outbox_load() == [row(1), row(2), row(3)]
    assert await storage.outbox_dead_letters() == []


async def test_the_id_of_a_dead_letter_is_not_used_again(storage: Storage) -> None:
    await storage.outbox_append([row(5)])
    await storage.outbox_bury(5, 1, "no")
    assert await storage.outbox_last_row_id() == 5
    with pytest.raises(StorageError):
        await storage.outbox_append([row(5)])


async def test_closing_twice_and_opening_again(storage: Storage) -> None:
    await storage.outbox_append([row(1)])
    await storage.close()
    await storage.close()
    await storage.open()
    await storage.open()
    assert await storage.outbox_load() == [row(1)]


def test_only_the_sqlite_one_is_durable(tmp_path: Path) -> None:
    assert not MemoryStorage().durable
    assert SqliteStorage(tmp_path / "x.db").durable
