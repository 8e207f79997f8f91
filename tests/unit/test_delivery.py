"""Guaranteed delivery between a storage and a link: order, durability, batches, cancellation."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.clock import SystemClock
from ocpp_fast.connection import Outcome
from ocpp_fast.delivery import Delivery
from ocpp_fast.errors import (
    CallErrorReceived,
    ConnectionLost,
    MessageTooLong,
    OcppError,
    StorageError,
)
from ocpp_fast.messages import Message, OcppVersion, v21
from ocpp_fast.outbox import Outbox, RetryPolicy
from ocpp_fast.storage import MemoryStorage, OutboxRow, Storage
from ocpp_fast.storage.sqlite import SqliteStorage

V21 = OcppVersion.V21
ANSWER = v21.DataTransferResponse(status=v21.DataTransferStatusEnumType.ACCEPTED)


def message(n: int) -> v21.DataTransferRequest:
    return v21.DataTransferRequest(vendor_id="org.example", data=n)


class FakeLink:
    """A connection whose answers a test decides."""

    version = V21

    def __init__(self, answer: Callable[[int], Message | OcppError] = lambda _: ANSWER) -> None:
        self.answer = answer
        self.sent: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def start_raw(self, action: str, payload: bytes, outcome: Outcome) -> None:
        assert action == "DataTransfer"
        self.sent.append(payload)
        self._task = asyncio.create_task(self._answer(len(self.sent), outcome))

    async def _answer(self, number: int, outcome: Outcome) -> None:
        await self.gate.wait()
        answer = self.answer(number)
        if isinstance(answer, OcppError):
            outcome.set_exception(answer)
        else:
            outcome.set_result(answer)


class CountingStorage(SqliteStorage):
    """Counts appends, and can be made slow or faulty."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.appends: list[int] = []
        self.removes: list[int] = []
        self.fail = False

    async def outbox_append(self, rows: Sequence[OutboxRow]) -> None:
        self.appends.append(len(rows))
        if self.fail:
            raise StorageError(self.path, "outbox_append", "disk full")
        await super().outbox_append(rows)

    async def outbox_remove(self, row_ids: Any) -> None:
        row_ids = list(row_ids)
        self.removes.append(len(row_ids))
        await super().outbox_remove(row_ids)


@asynccontextmanager
async def running(
    storage: Storage, *, attempts: int = 3, max_rows: int = 1_000
) -> AsyncGenerator[Delivery]:
    delivery = Delivery(
        storage,
        SystemClock(),
        retry=lambda: RetryPolicy(attempts, 0.001),
        on_delivered=lambda _row, _response: None,
        outbox=Outbox(max_rows=max_rows),
    )
    await storage.open()
    await delivery.restore()
    writing = asyncio.create_task(delivery.write())
    try:
        yield delivery
    finally:
        delivery.finish()
        await asyncio.wait_for(writing, 5)
        await storage.close()


async def online(delivery: Delivery, link: FakeLink | None = None) -> FakeLink:
    link = link or FakeLink()
    delivery.attach(link)
    delivery.release(open_=True)
    return link


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return MemoryStorage() if request.param == "memory" else SqliteStorage(tmp_path / "x.db")


async def test_a_response_comes_back_to_who_waits_for_it(storage: Storage) -> None:
    async with running(storage) as delivery:
        await online(delivery)
        assert await delivery.deliver(V21, "DataTransfer", message(1), "lane") is ANSWER
        assert delivery.waiting == 0


async def test_nothing_is_sent_before_release(storage: Storage) -> None:
    async with running(storage) as delivery:
        link = FakeLink()
        delivery.attach(link)
        await delivery.post(V21, "DataTransfer", message(1), "lane")
        await asyncio.sleep(0.01)
        assert link.sent == []
        delivery.release(open_=True)
        await asyncio.wait_for(delivery.drained(), 5)
        assert len(link.sent) == 1


async def test_a_message_is_stored_before_it_is_sent_and_removed_after(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "x.db")
    async with running(storage) as delivery:
        link = FakeLink()
        link.gate.clear()
        await online(delivery, link)
        await delivery.post(V21, "DataTransfer", message(1), "lane", seq_no=7)
        (row,) = await storage.outbox_load()
        assert (row.seq_no, row.lane) == (7, "lane")
        await asyncio.sleep(0.01)
        assert len(link.sent) == 1
        assert len(await storage.outbox_load()) == 1, "not confirmed yet"
        link.gate.set()
        await asyncio.wait_for(delivery.drained(), 5)
        await until_empty(storage)


async def until_empty(storage: Storage) -> None:
    for _ in range(500):
        if not await storage.outbox_load():
            return
        await asyncio.sleep(0.01)
    pytest.fail("rows stay stored")


async def test_the_order_of_the_calls_is_the_order_of_the_messages(storage: Storage) -> None:
    async with running(storage) as delivery:
        link = FakeLink()
        posts = [delivery.post(V21, "DataTransfer", message(n), "lane") for n in range(200)]
        ids = await asyncio.gather(*posts)
        assert ids == sorted(ids)
        await online(delivery, link)
        await asyncio.wait_for(delivery.drained(), 5)
        assert [int(payload.rsplit(b":", 1)[1].rstrip(b"}")) for payload in link.sent] == list(
            range(200)
        )


async def test_messages_of_one_moment_share_a_commit(tmp_path: Path) -> None:
    storage = CountingStorage(tmp_path / "x.db")
    async with running(storage) as delivery:
        await asyncio.gather(
            *(delivery.post(V21, "DataTransfer", message(n), f"tx-{n}") for n in range(2_500))
        )
        assert sum(storage.appends) == 2_500
        assert len(storage.appends) <= 4
        await online(delivery)
        await asyncio.wait_for(delivery.drained(), 10)
        await until_empty(storage)
        assert len(storage.removes) < 2_500


async def test_cancelling_a_post_does_not_lose_the_message(storage: Storage) -> None:
    async with running(storage) as delivery:
        task = asyncio.create_task(delivery.post(V21, "DataTransfer", message(1), "lane"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        link = await online(delivery)
        await asyncio.sleep(0.05)
        await asyncio.wait_for(delivery.drained(), 5)
        assert len(link.sent) == 1


async def test_a_new_run_takes_up_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with running(SqliteStorage(path)) as delivery:
        first = await delivery.post(V21, "DataTransfer", message(1), "lane")
    async with running(SqliteStorage(path)) as delivery:
        second = await delivery.post(V21, "DataTransfer", message(2), "lane")
        assert second > first
        link = await online(delivery)
        await asyncio.wait_for(delivery.drained(), 5)
        assert [payload[-2:-1] for payload in link.sent] == [b"1", b"2"]


async def test_a_disk_that_fails_keeps_nothing_from_being_sent(tmp_path: Path) -> None:
    storage = CountingStorage(tmp_path / "x.db")
    async with running(storage) as delivery:
        storage.fail = True
        await delivery.post(V21, "DataTransfer", message(1), "lane")
        assert (delivery.undurable, delivery.waiting) == (1, 1)
        link = await online(delivery)
        await asyncio.wait_for(delivery.drained(), 5)
        assert len(link.sent) == 1
        storage.fail = False
        await delivery.post(V21, "DataTransfer", message(2), "lane")
        assert delivery.undurable == 1


class NarrowLink(FakeLink):
    """Carries no message with a 7 in it: refused at once, or in its turn."""

    def __init__(self, *, later: bool) -> None:
        super().__init__()
        self.later = later

    def start_raw(self, action: str, payload: bytes, outcome: Outcome) -> None:
        if b"7" not in payload:
            super().start_raw(action, payload, outcome)
        elif self.later:
            asyncio.get_running_loop().call_soon(outcome.set_exception, MessageTooLong(9, 8))
        else:
            raise MessageTooLong(9, 8)


@pytest.mark.parametrize("later", [False, True])
async def test_what_no_link_can_carry_is_set_aside_and_the_others_go(
    storage: Storage, later: bool
) -> None:
    async with running(storage, attempts=5) as delivery:
        link = await online(delivery, NarrowLink(later=later))
        for data in (1, 7, 77, 2):
            await delivery.post(V21, "DataTransfer", message(data), "lane")
        await asyncio.wait_for(delivery.drained(), 5)
        assert len(link.sent) == 2
        assert delivery.dead == 2
    await storage.open()
    letters = await storage.outbox_dead_letters()
    await storage.close()
    assert len(letters) == 2 if isinstance(storage, SqliteStorage) else True


async def test_a_message_given_up_tells_who_waits_and_stays_as_dead_letter(
    storage: Storage,
) -> None:
    refusal = CallErrorReceived("InternalError", "never")
    async with running(storage, attempts=3) as delivery:
        link = await online(delivery, FakeLink(lambda _: refusal))
        with pytest.raises(CallErrorReceived, match="never"):
            await delivery.deliver(V21, "DataTransfer", message(1), "lane")
        assert len(link.sent) == 3
        (letter,) = await storage.outbox_dead_letters()
        assert letter.row.attempts == 3
        assert delivery.dead == 1

        link.answer = lambda _: ANSWER
        assert await delivery.requeue([letter.row.row_id, 99]) == 1
        await asyncio.wait_for(delivery.drained(), 5)
        assert len(link.sent) == 4


async def test_a_lost_link_is_not_an_attempt_and_the_next_link_sends_it(
    storage: Storage,
) -> None:
    async with running(storage, attempts=1) as delivery:
        first = await online(delivery, FakeLink(lambda _: ConnectionLost(1006, "gone")))
        await delivery.post(V21, "DataTransfer", message(1), "lane")
        await asyncio.sleep(0.02)
        assert len(first.sent) == 1, "it waits for the next link"
        delivery.detach()
        assert delivery.waiting == 1
        second = await online(delivery)
        await asyncio.wait_for(delivery.drained(), 5)
        assert len(second.sent) == 1
        assert delivery.dead == 0


async def test_a_full_outbox_is_thinned_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    storage = MemoryStorage()
    async with running(storage, max_rows=10) as delivery:
        for n in range(12):
            await delivery.post(V21, "DataTransfer", message(n), "lane", droppable=0 < n < 11)
        assert delivery.outbox.dropped == 5
        assert delivery.waiting == 7
        assert "thinned out" in caplog.text
        await asyncio.sleep(0.01)
        assert len(await storage.outbox_load()) == 7


async def test_what_the_other_version_does_not_have_is_set_aside(storage: Storage) -> None:
    async with running(storage) as delivery:
        await delivery.post(V21, "OpenPeriodicEventStream", message(1), "lane")
        await delivery.post(V21, "DataTransfer", message(2), "lane")
        link = FakeLink()
        link.version = OcppVersion.V201
        await online(delivery, link)
        await asyncio.wait_for(delivery.drained(), 5)
        assert len(link.sent) == 1
        (letter,) = await storage.outbox_dead_letters()
        assert letter.cause == "the message does not exist in OCPP 2.0.1"


async def test_drained_does_not_wait_without_a_link(storage: Storage) -> None:
    async with running(storage) as delivery:
        await delivery.post(V21, "DataTransfer", message(1), "lane")
        await asyncio.wait_for(delivery.drained(), 1)
        link = FakeLink()
        link.gate.clear()
        await online(delivery, link)
        waiting = asyncio.create_task(delivery.drained())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        delivery.detach()
        await asyncio.wait_for(waiting, 1)
