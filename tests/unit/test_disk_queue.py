"""The part of the queue that is on disk only, and a disk that hangs, is slow or fails."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ocpp_fast.connection import Outcome
from ocpp_fast.delivery import Delivery
from ocpp_fast.errors import StorageError
from ocpp_fast.journal.hanging import FINISH_S, HANG_S
from ocpp_fast.messages import OcppVersion, v21
from ocpp_fast.outbox import Outbox, RetryPolicy
from ocpp_fast.storage import OutboxRow
from ocpp_fast.testing import VirtualClock, run_virtual
from unit.storage.hanging import HangingStorage

V21 = OcppVersion.V21
BOUND_S = 1.25 * HANG_S
ANSWER = v21.DataTransferResponse(status=v21.DataTransferStatusEnumType.ACCEPTED)
DISK_ERROR = StorageError("station.db", "any", "disk I/O error")


def message(n: int) -> v21.DataTransferRequest:
    return v21.DataTransferRequest(vendor_id="org.example", data=n)


class Link:
    """A CSMS that takes everything."""

    version = V21

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def start_raw(self, action: str, payload: bytes, outcome: Outcome) -> None:
        assert action == "DataTransfer"
        self.sent.append(payload)
        asyncio.get_running_loop().call_soon(outcome.set_result, ANSWER)

    @property
    def numbers(self) -> list[int]:
        return [int(payload.rpartition(b":")[2].rstrip(b"}")) for payload in self.sent]


class ThinningStorage(HangingStorage):
    """Takes a second for each of ten portions in which it drops rows, as SQLite does."""

    portions = 10
    thinned = 0
    at_once = 0
    most_at_once = 0

    async def outbox_thin(self, after: int, *, transactions: bool) -> int:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for _ in range(self.portions):
                await self._in_turn("outbox_thin", self._portion)
            self.thinned += 1
            return await self.inner.outbox_thin(after, transactions=transactions)
        finally:
            self.at_once -= 1

    async def _portion(self) -> None:
        if self.error is not None:
            raise self.error
        await asyncio.sleep(1)


class Site:
    """A queue of at most 20 messages, four of them in memory, and what it has said."""

    def __init__(
        self, clock: VirtualClock, storage: HangingStorage | None = None, *, window: int = 4
    ) -> None:
        self.clock = clock
        self.storage = storage or ThinningStorage()
        self.told: list[str] = []
        self.number = 0
        self.link = Link()
        self.delivery = Delivery(
            self.storage,  # type: ignore[arg-type]
            clock,
            retry=lambda: RetryPolicy(3, 1.0),
            on_delivered=lambda _row, _response: None,
            outbox=Outbox(max_rows=20, window=window),
            on_pressure=self.told.append,
        )

    async def post(
        self, count: int = 1, action: str = "DataTransfer", *, droppable: bool = True
    ) -> float:
        """How many seconds it took to store so many."""
        begun = self.clock.elapsed_s
        for _ in range(count):
            self.number += 1
            await self.delivery.post(V21, action, message(self.number), "tx", droppable=droppable)
        return self.clock.elapsed_s - begun

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Delivery]:
        await self.delivery.restore()
        writing = asyncio.create_task(self.delivery.write())
        try:
            yield self.delivery
        finally:
            self.delivery.finish()
            await asyncio.wait_for(writing, FINISH_S + 1)

    def go_online(self) -> None:
        self.delivery.attach(self.link)
        self.delivery.release(open_=True)


def at_site(scenario: Callable[[Site, Any], Coroutine[Any, Any, None]]) -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        async with site.running():
            await scenario(site, site.storage)
            if site.storage.hangs:
                site.storage.come_back()

    run_virtual(run)


# --- dropping -------------------------------------------------------------------------------------


def test_rows_are_stored_while_a_long_queue_is_thinned() -> None:
    async def scenario(site: Site, storage: Any) -> None:
        await site.post(21)
        await site.clock.sleep(0.1)
        times = [await site.post() for _ in range(5)]
        assert times == pytest.approx([0.9, 1, 1, 1, 1]), "a portion, not all of it"
        assert site.told == []
        await site.clock.sleep(10)
        assert (storage.thinned, storage.most_at_once) == (1, 1)
        assert site.told == ["15 messages wait for the CSMS, 11 messages were thinned out"]
        assert site.delivery.facts.error is None
        site.go_online()
        await site.clock.sleep(5)
        assert site.link.numbers == [1, 2, 3, 4, *range(6, 27, 2)]
        assert site.delivery.waiting == 0

    at_site(scenario)


@pytest.mark.parametrize("error", [None, DISK_ERROR], ids=str)
def test_a_thinning_that_hangs_is_not_begun_twice(error: StorageError | None) -> None:
    async def scenario(site: Site, storage: Any) -> None:
        storage.hang("outbox_thin", skip=3)
        await site.post(21)
        await site.clock.sleep(5)
        assert storage.hangs
        assert await site.post() <= BOUND_S
        assert isinstance(site.delivery.facts.error, StorageError)
        assert await site.post(20) == 0.0
        await site.clock.sleep(100)
        storage.come_back(error)
        await site.clock.sleep(30)
        await site.post()
        await site.clock.sleep(30)
        assert storage.most_at_once == 1
        assert len(site.told) == 1
        assert (site.delivery.facts.error, site.delivery.unstored) == (None, 0)

    at_site(scenario)


def test_a_thinning_that_fails_is_tried_again_later() -> None:
    async def scenario(site: Site, storage: Any) -> None:
        fails = True

        async def portion() -> None:
            await asyncio.sleep(0)
            if fails:
                raise DISK_ERROR

        storage._portion = portion
        await site.post(21)
        for _ in range(9):
            await site.post()
            await site.clock.sleep(1)
        assert storage.begun.count("outbox_thin") == 1, "not with every message"
        fails = False
        await site.clock.sleep(2)
        assert (storage.thinned, site.told) == (0, []), "not by itself"
        await site.post()
        await site.clock.sleep(1)
        assert storage.thinned == 1
        assert len(site.told) == 1

    at_site(scenario)


def test_a_thinning_that_fails_with_the_disk_is_tried_again_when_that_works() -> None:
    async def scenario(site: Site, storage: Any) -> None:
        storage.portions = 1
        storage.fill_up()
        await site.post()
        storage.error = None
        await site.clock.sleep(1.1)
        await site.post(19)
        storage.fill_up()
        await site.post(1)
        await site.clock.sleep(0.5)
        storage.error = None
        await site.clock.sleep(1)
        await site.post(1)
        await site.clock.sleep(2)
        assert storage.thinned == 1

    at_site(scenario)


def test_the_end_does_not_wait_for_a_thinning() -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        storage: Any = site.storage
        async with site.running():
            storage.portions = 1_000
            await site.post(21)
            await clock.sleep(3)
            begun = clock.elapsed_s
        assert clock.elapsed_s - begun <= 1
        await clock.sleep(10)
        assert storage.begun.count("outbox_thin") <= 5
        assert storage.at_once == 0

    run_virtual(run)


def test_e04_fr_08_of_transactions_every_second_event_is_dropped_and_no_more() -> None:
    async def scenario(site: Site, storage: Any) -> None:
        await site.post(4, droppable=False)
        await site.post(8, "TransactionEvent")
        await site.post(9, droppable=False)
        # So that there are too many still when half of the events have gone.
        await site.post(10, droppable=False)
        await site.clock.sleep(60)
        assert len(site.told) == 1
        left = [row for row in storage.inner._rows.values() if row.action == "TransactionEvent"]
        assert len(left) == 4

    at_site(scenario)


def test_what_is_dropped_from_memory_is_not_left_on_the_disk() -> None:
    async def run(clock: VirtualClock) -> None:
        storage: Any = HangingStorage()
        site = Site(clock, storage, window=1_000)
        async with site.running():
            await site.post(21)
            await clock.sleep(5)
            left = [row.row_id for row in site.delivery.outbox.rows()]
            assert len(left) == site.delivery.waiting < 15
            assert sorted(storage.inner._rows) == left

    run_virtual(run)


def test_no_page_is_read_while_some_of_its_rows_are_being_dropped() -> None:
    async def scenario(site: Site, storage: Any) -> None:
        await site.post(21)
        await site.clock.sleep(0.5)
        site.go_online()
        await site.clock.sleep(30)
        first = storage.begun.index("outbox_load")
        assert storage.begun[:first].count("outbox_thin") == storage.portions
        assert site.delivery.waiting == 0

    at_site(scenario)


# --- asking ---------------------------------------------------------------------------------------


def test_what_a_disk_that_hangs_may_hold_it_holds() -> None:
    """E14: when nobody knows whether messages wait, some do."""

    async def scenario(site: Site, storage: Any) -> None:
        await site.post(10)
        assert not await site.delivery.holds("other")
        assert not await site.delivery.any_transaction_waits()
        for verb in ("outbox_holds", "outbox_load"):
            storage.hang(verb)
            begun = site.clock.elapsed_s
            asked = asyncio.gather(
                site.delivery.holds("other"), site.delivery.any_transaction_waits()
            )
            assert await asked == [verb == "outbox_holds", True]
            assert site.clock.elapsed_s - begun <= BOUND_S
            assert await site.delivery.holds("other")
            storage.come_back()
            await site.clock.sleep(1)
        assert not await site.delivery.holds("other")

    at_site(scenario)


def test_a_transaction_far_behind_in_the_queue_is_found() -> None:
    """A page at a time: who stores meanwhile does not wait for the whole search."""

    async def run(clock: VirtualClock) -> None:
        storage: Any = HangingStorage()
        rows = [OutboxRow(n, "tx", "2.1", "DataTransfer", b"{}") for n in range(1, 2_001)]
        for start in range(0, 2_000, 1_000):
            await storage.inner.outbox_append(rows[start : start + 1_000])
        site = Site(clock, storage)
        async with site.running() as delivery:
            storage.slow_s = 1.0
            asking = asyncio.create_task(delivery.any_transaction_waits())
            await clock.sleep(0.5)
            assert await site.post() <= 2.5
            assert not asking.done()
            assert not await asking
            storage.slow_s = 0.0
            event = OutboxRow(3_000, "tx", "2.1", "TransactionEvent", b"{}")
            await storage.inner.outbox_append([event])
            assert await delivery.any_transaction_waits()

    run_virtual(run)


def test_what_could_not_be_removed_is_not_taken_from_the_disk_again() -> None:
    async def scenario(site: Site, storage: Any) -> None:
        outbox = site.delivery.outbox
        take, gone = outbox.take_page, list[set[int]]()

        def take_page(rows: Sequence[OutboxRow], done: Iterable[int] = ()) -> None:
            gone.append({*done})
            take(rows, gone[-1])

        outbox.take_page = take_page  # type: ignore[method-assign, assignment]
        await site.post(10)
        storage.fill_up()
        site.go_online()
        await site.clock.sleep(5)
        assert gone
        assert {1, 2, 3, 4} <= gone[-1]
        # What was told of as not stored, and has left since, is forgotten when all is well again.
        await site.post(3)
        await site.clock.sleep(1)
        assert outbox._left_unstored
        storage.error = None
        await site.clock.sleep(40)
        assert not outbox._left_unstored
        assert site.link.numbers == [*range(1, 14)]

    at_site(scenario)


# --- dead letters, the start ----------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, DISK_ERROR], ids=str)
def test_dead_letters_that_are_queued_again_while_the_disk_hangs(
    error: StorageError | None,
) -> None:
    async def scenario(site: Site, storage: Any) -> None:
        letter = OutboxRow(900, "tx", "2.1", "DataTransfer", b'{"data":900}')
        await storage.inner.outbox_bury(letter, "no", "2026-01-01T00:00:00Z")
        site.go_online()
        storage.hang("outbox_requeue")
        begun = site.clock.elapsed_s
        with pytest.raises(StorageError, match="not returned"):
            await site.delivery.requeue([900])
        with pytest.raises(StorageError, match="not returned"):
            await site.delivery.requeue([900])
        assert site.clock.elapsed_s - begun <= BOUND_S
        storage.come_back(error)
        await site.clock.sleep(5)
        assert site.link.numbers == ([] if error else [900]), "it has come to pass after all"
        assert await site.delivery.requeue([900]) == (1 if error else 0)
        await site.clock.sleep(1)
        assert site.link.numbers == [900]

    at_site(scenario)


def test_who_queues_again_does_not_wait_for_a_thinning_that_hangs() -> None:
    async def scenario(site: Site, storage: Any) -> None:
        storage.hang("outbox_thin")
        await site.post(21)
        await site.clock.sleep(1)
        begun = site.clock.elapsed_s
        with pytest.raises(StorageError, match="not returned"):
            await site.delivery.requeue([1])
        assert site.clock.elapsed_s - begun <= BOUND_S

    at_site(scenario)


def test_a_start_says_that_there_are_dead_letters(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing else would remind anybody of them after a restart."""
    said = "messages that were given up"

    async def run(clock: VirtualClock) -> None:
        storage: Any = HangingStorage()
        async with Site(clock, storage).running():
            assert said not in caplog.text
        letter = OutboxRow(900, "tx", "2.1", "DataTransfer", b'{"data":900}')
        await storage.inner.outbox_bury(letter, "no", "2026-01-01T00:00:00Z")
        async with Site(clock, storage).running():
            assert said in caplog.text

    run_virtual(run)


@pytest.mark.parametrize("verb", ["outbox_last_row_id", "outbox_load", "outbox_dead_letters"])
def test_a_start_from_a_disk_that_hangs_is_an_error(verb: str) -> None:
    async def run(clock: VirtualClock) -> None:
        storage: Any = HangingStorage()
        for number in range(1, 4):
            row = OutboxRow(number, "tx", "2.1", "DataTransfer", b'{"data":%d}' % number)
            await storage.inner.outbox_append([row])
        site = Site(clock, storage)
        storage.hang(verb)
        with pytest.raises(StorageError, match=f"{verb} failed: it has not returned for 10 s"):
            await site.delivery.restore()
        assert clock.elapsed_s == pytest.approx(HANG_S)
        storage.come_back()
        async with site.running():
            site.go_online()
            await clock.sleep(1)
            assert site.link.numbers == [1, 2, 3]

    run_virtual(run)
