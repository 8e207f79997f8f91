"""Guaranteed delivery between a storage and a link: order, durability, batches, cancellation."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast import delivery as delivery_module
from ocpp_fast import disk_queue
from ocpp_fast.clock import SystemClock
from ocpp_fast.connection import Outcome
from ocpp_fast.delivery import Delivery
from ocpp_fast.errors import (
    CallErrorReceived,
    ConnectionLost,
    MessageTooLong,
    OcppError,
    QueueFull,
    StorageError,
)
from ocpp_fast.messages import Message, OcppVersion, v21
from ocpp_fast.outbox import Outbox, RetryPolicy
from ocpp_fast.storage import MemoryStorage, OutboxRow, Storage
from ocpp_fast.storage.base import NO_FACTS, DeadLetter, Facts
from ocpp_fast.storage.sqlite import SqliteStorage
from unit.storage.faulty import FaultyStorage

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
        assert action in {"DataTransfer", "TransactionEvent"}
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

    async def outbox_append(self, rows: Sequence[OutboxRow], facts: Facts = NO_FACTS) -> None:
        self.appends.append(len(rows))
        if self.fail:
            raise StorageError(self.path, "outbox_append", "disk full")
        await super().outbox_append(rows, facts)

    async def outbox_remove(self, row_ids: Any) -> None:
        row_ids = list(row_ids)
        self.removes.append(len(row_ids))
        if self.fail:
            raise StorageError(self.path, "outbox_remove", "disk full")
        await super().outbox_remove(row_ids)


@asynccontextmanager
async def running(
    storage: Storage,
    *,
    attempts: int = 3,
    max_rows: int = 1_000,
    window: int = 1_000,
    on_delivered: Callable[[OutboxRow, Message], None] = lambda _row, _response: None,
    **more: Any,
) -> AsyncGenerator[Delivery]:
    delivery = Delivery(
        storage,
        SystemClock(),
        retry=lambda: RetryPolicy(attempts, 0.001),
        on_delivered=on_delivered,
        outbox=Outbox(max_rows=max_rows, window=window),
        **more,
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


async def test_a_response_is_told_with_its_row(storage: Storage) -> None:
    told: list[tuple[int, Message]] = []
    async with running(
        storage, on_delivered=lambda row, response: told.append((row.row_id, response))
    ) as delivery:
        await online(delivery)
        row_id = await delivery.post(V21, "DataTransfer", message(1), "lane")
        await asyncio.wait_for(delivery.drained(), 5)
        assert told == [(row_id, ANSWER)]
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


async def first_dead_letter(storage: Storage) -> DeadLetter:
    for _ in range(500):
        if letters := await storage.outbox_dead_letters():
            return letters[0]
        await asyncio.sleep(0.01)
    pytest.fail("there is no dead letter")


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
        assert (delivery.unstored, delivery.waiting) == (1, 1)
        link = await online(delivery)
        await asyncio.wait_for(delivery.drained(), 5)
        assert len(link.sent) == 1
        storage.fail = False
        await delivery.post(V21, "DataTransfer", message(2), "lane")
        assert delivery.unstored == 1


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


async def test_a_message_given_up_stays_as_dead_letter(storage: Storage) -> None:
    refusal = CallErrorReceived("InternalError", "never")
    async with running(storage, attempts=3) as delivery:
        link = await online(delivery, FakeLink(lambda _: refusal))
        await delivery.post(V21, "DataTransfer", message(1), "lane")
        await asyncio.wait_for(delivery.drained(), 5)
        assert len(link.sent) == 3
        letter = await first_dead_letter(storage)
        assert "never" in letter.cause
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


# --- a queue that is longer than the memory's window ---------------------------------------


def numbers(link: FakeLink) -> list[int]:
    """What was sent, in its order."""
    return [int(payload.rsplit(b":", 1)[1].rstrip(b"}")) for payload in link.sent]


async def backlog(path: Path, count: int = 30, **post: Any) -> None:
    """An earlier run leaves messages of three lanes."""
    async with running(SqliteStorage(path)) as delivery:
        for n in range(count):
            await delivery.post(V21, "DataTransfer", message(n), f"tx-{n % 3}", **post)


async def test_of_a_long_queue_only_a_window_is_in_memory(tmp_path: Path) -> None:
    await backlog(tmp_path / "x.db")
    storage = SqliteStorage(tmp_path / "x.db")
    async with running(storage, window=4) as delivery:
        sizes: list[int] = []

        def answer(_number: int) -> Message:
            sizes.append(delivery.outbox.in_memory)
            return ANSWER

        assert delivery.waiting == 30
        link = await online(delivery, FakeLink(answer))
        await asyncio.wait_for(delivery.drained(), 5)
        assert numbers(link) == list(range(30))
        assert max(sizes) <= 4
        assert delivery.waiting == 0
        await until_empty(storage)


async def test_what_happens_now_passes_what_waits_on_disk(tmp_path: Path) -> None:
    await backlog(tmp_path / "x.db")
    async with running(SqliteStorage(tmp_path / "x.db"), window=4) as delivery:
        link = FakeLink()
        link.gate.clear()
        await online(delivery, link)
        await delivery.post(V21, "DataTransfer", message(98), "new", opens=True)
        await delivery.post(V21, "DataTransfer", message(97), "tx-0")
        await delivery.post(V21, "DataTransfer", message(99), "new", closes=True)
        assert len(link.sent) == 1, "the one that was under way"
        link.gate.set()
        await asyncio.wait_for(delivery.drained(), 5)
        sent = numbers(link)
        assert sent[:3] == [0, 98, 99]
        assert [n for n in sent[3:] if n != 97] == list(range(1, 30))
        assert sent.index(97) > sent.index(27), "it is of that lane"


async def test_e14_fr_04_05_what_waits_on_disk_is_found(tmp_path: Path) -> None:
    """E14.FR.04, E14.FR.05, E14.FR.07, E14.FR.08."""
    await backlog(tmp_path / "x.db", 10)
    async with running(SqliteStorage(tmp_path / "x.db"), window=2) as delivery:
        await delivery.post(V21, "DataTransfer", message(1), "tx-last")
        assert delivery.outbox.holds("tx-last") is None
        assert await delivery.holds("tx-last")
        assert await delivery.holds("tx-0")
        assert not await delivery.holds("tx-3")
        assert not await delivery.any_transaction_waits()
        await delivery.post(V21, "TransactionEvent", message(1), "tx-last")
        assert await delivery.any_transaction_waits()
        await online(delivery)
        await asyncio.wait_for(delivery.drained(), 5)
        assert not await delivery.holds("tx-last")
        assert not await delivery.any_transaction_waits()


class UnreadableStorage(SqliteStorage):
    """Pages cannot be read for some time, or take long."""

    failures = 0
    pause_s = 0.0

    async def outbox_load(
        self, after: int = 0, limit: int = 100, lane: str | None = None
    ) -> list[OutboxRow]:
        await asyncio.sleep(self.pause_s)
        if after and self.failures:
            self.failures -= 1
            raise StorageError(self.path, "outbox_load", "the disk is asleep")
        return await super().outbox_load(after, limit, lane)


async def test_a_page_that_cannot_be_read_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_queue, "_PAUSE_S", 0.02)
    await backlog(tmp_path / "x.db")
    storage = UnreadableStorage(tmp_path / "x.db")
    storage.failures = 2
    async with running(storage, window=4) as delivery:
        link = await online(delivery)
        await asyncio.wait_for(delivery.drained(), 5)
        assert numbers(link) == list(range(30))
        assert storage.failures == 0


async def test_what_cannot_be_removed_is_not_sent_again(tmp_path: Path) -> None:
    await backlog(tmp_path / "x.db")
    storage = CountingStorage(tmp_path / "x.db")
    async with running(storage, window=4) as delivery:
        await delivery.post(V21, "DataTransfer", message(99), "new", opens=True, closes=True)
        storage.fail = True
        link = await online(delivery)
        await asyncio.wait_for(delivery.drained(), 5)
        assert sorted(numbers(link)) == [*range(30), 99]
        assert storage.removes
        storage.fail = False


async def test_a_stop_does_not_wait_for_the_next_page(tmp_path: Path) -> None:
    await backlog(tmp_path / "x.db")
    storage = UnreadableStorage(tmp_path / "x.db")
    async with running(storage, window=4) as delivery:
        storage.pause_s = 0.05
        link = await online(delivery)
        for _ in range(100):
            await asyncio.sleep(0.001)
            if len(link.sent) == 4:
                break
        storage.pause_s = 0.0
    assert len(link.sent) == 4
    async with running(SqliteStorage(tmp_path / "x.db")) as delivery:
        link = await online(delivery)
        await asyncio.wait_for(delivery.drained(), 5)
        assert numbers(link)[-26:] == list(range(4, 30))


async def test_a_link_that_goes_while_a_page_is_loaded_loses_nothing(tmp_path: Path) -> None:
    await backlog(tmp_path / "x.db")
    storage = UnreadableStorage(tmp_path / "x.db")
    async with running(storage, window=4) as delivery:
        storage.pause_s = 0.01
        first = await online(delivery)
        await asyncio.sleep(0.015)
        delivery.detach()
        await asyncio.sleep(0.05)
        sent = numbers(first)
        second = await online(delivery)
        await asyncio.wait_for(delivery.drained(), 5)
        # The one that was under way may go twice.
        again = numbers(second)
        assert [*sent, *(n for n in again if n not in sent)] == list(range(30))
        assert len(sent) + len(again) <= 31


async def test_e04_fr_08_a_queue_that_is_too_long_is_thinned_on_disk(tmp_path: Path) -> None:
    """E04.FR.07, E04.FR.08: every second of what may be dropped, and it is told."""
    told: list[str] = []
    storage = SqliteStorage(tmp_path / "x.db")
    async with running(storage, max_rows=20, window=4, on_pressure=told.append) as delivery:
        for n in range(21):
            last = n == 20
            await delivery.post(V21, "DataTransfer", message(n), "tx", droppable=n > 0 and not last)
        for _ in range(500):
            if told:
                break
            await asyncio.sleep(0.01)
        assert delivery.thinned == 8
        assert delivery.waiting == 13
        assert told == ["13 messages wait for the CSMS, 8 messages were thinned out"]
        link = await online(delivery)
        await asyncio.wait_for(delivery.drained(), 5)
        # 0 to 3 were in memory; of the rest the first, the third and so on have gone.
        assert numbers(link) == [0, 1, 2, 3, *range(5, 20, 2), 20]


async def test_a_queue_of_which_nothing_may_be_dropped_is_told_of(storage: Storage) -> None:
    told: list[str] = []
    async with running(storage, max_rows=20, window=4, on_pressure=told.append) as delivery:
        for n in range(23):
            await delivery.post(V21, "DataTransfer", message(n), "tx")
        for _ in range(500):
            if told:
                break
            await asyncio.sleep(0.01)
        assert [text.partition(", ")[2] for text in told] == ["none may be thinned out"]
        link = await online(delivery)
        await asyncio.wait_for(delivery.drained(), 5)
        assert numbers(link) == list(range(23))


async def test_facts_change_with_their_message(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "x.db")
    async with running(storage) as delivery:
        facts = {"transaction.1": "running"}
        await delivery.post(V21, "DataTransfer", message(1), "tx", facts=facts)
        assert await storage.state_load() == facts
        assert delivery.facts.durable


async def test_the_owner_hears_of_a_disk_that_fails_and_of_one_that_works_again(
    tmp_path: Path,
) -> None:
    told: list[StorageError | None] = []
    storage = CountingStorage(tmp_path / "x.db")
    async with running(storage, on_health=told.append) as delivery:
        storage.fail = True
        await delivery.post(V21, "DataTransfer", message(1), "lane")
        assert [str(error) for error in told if error] != []
        storage.fail = False
        for _ in range(500):
            if told[-1] is None:
                break
            await asyncio.sleep(0.01)
        assert len(told) == 2
        assert told[-1] is None
        assert delivery.unstored == 0
        assert [row.row_id for row in await storage.outbox_load()] == [1]


async def test_a_payload_can_be_made_to_fit_another_version(storage: Storage) -> None:
    def adapt(row: OutboxRow, version: OcppVersion) -> bytes | None:
        assert version is OcppVersion.V201
        return b'{"vendorId":"org.example","data":5}' if b"4" in row.payload else None

    async with running(storage, adapt=adapt) as delivery:
        link = FakeLink()
        link.version = OcppVersion.V201
        for data in (3, 4):
            await delivery.post(V21, "DataTransfer", misfit(data), "lane")
        await online(delivery, link)
        await asyncio.wait_for(delivery.drained(), 5)
        assert numbers(link) == [5]
        assert delivery.dead == 1


def misfit(number: int) -> v21.OpenPeriodicEventStreamRequest:
    """What a DataTransfer of 2.0.1 cannot be."""
    stream = v21.ConstantStreamDataType(
        id=number,
        variable_monitoring_id=1,
        params=v21.PeriodicEventStreamParamsType(interval=1),
    )
    return v21.OpenPeriodicEventStreamRequest(constant_stream_data=stream)


async def test_rows_know_since_when_their_times_are_wrong(tmp_path: Path) -> None:
    async with running(SqliteStorage(tmp_path / "x.db")) as delivery:
        delivery.run = 3
        await delivery.post(V21, "DataTransfer", message(1), "lane")
        delivery.run = 0
        await delivery.post(V21, "DataTransfer", message(2), "lane")

    def redate(row: OutboxRow) -> None:
        row.payload, row.run = row.payload.replace(b"1", b"7"), 0

    storage = SqliteStorage(tmp_path / "x.db")
    delivery = Delivery(
        storage,
        SystemClock(),
        retry=lambda: RetryPolicy(1, 1),
        on_delivered=lambda _row, _response: None,
    )
    delivery.redate = redate
    await storage.open()
    await delivery.restore()
    assert [row.run for row in await storage.outbox_load()] == [3, 0]
    assert [row.payload[-2:-1] for row in delivery.outbox.rows()] == [b"7", b"2"]
    await storage.close()


async def test_a_link_that_goes_while_a_row_is_stored_makes_it_an_offline_one() -> None:
    """E11.FR.07: it waits for a link, although there was one when it was posted."""
    storage: Any = FaultyStorage()
    async with running(storage) as delivery:
        await online(delivery)
        storage.gate.clear()
        post = asyncio.create_task(
            delivery.post(V21, "TransactionEvent", message(1), "tx", opens=True)
        )
        await asyncio.sleep(0)
        delivery.detach()
        storage.gate.set()
        await post
        link = await online(delivery)
        await asyncio.wait_for(delivery.drained(), 5)
        assert [payload.startswith(b'{"offline":true,') for payload in link.sent] == [True]


async def test_failed_attempts_are_counted_on_the_disk(tmp_path: Path) -> None:
    """E13.FR.02: a restart does not begin to count anew."""
    storage = SqliteStorage(tmp_path / "x.db")
    async with running(storage) as delivery:
        failed = asyncio.Event()

        def refuse(_number: int) -> OcppError:
            failed.set()
            link.gate.clear()
            return CallErrorReceived("GenericError")

        link = await online(delivery, FakeLink(refuse))
        await delivery.post(V21, "DataTransfer", message(1), "tx")
        await asyncio.wait_for(failed.wait(), 5)
        await asyncio.sleep(0)
        (row,) = await delivery.facts.read(storage.outbox_load)
        assert row.attempts == 1


async def test_a_link_that_is_busy_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_module, "_BUSY_PAUSE_S", 0.01)

    class Busy(FakeLink):
        busy = 2

        def start_raw(self, action: str, payload: bytes, outcome: Outcome) -> None:
            if self.busy:
                self.busy -= 1
                raise QueueFull(action, 10)
            super().start_raw(action, payload, outcome)

    async with running(MemoryStorage()) as delivery:
        link = await online(delivery, Busy())
        for n in range(3):
            await delivery.post(V21, "DataTransfer", message(n), "tx")
        await asyncio.wait_for(delivery.drained(), 5)
        assert numbers(link) == [0, 1, 2]
