"""The journal and a storage that neither works nor fails: nobody waits for it without bound."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.clock import SystemClock
from ocpp_fast.errors import StorageDamaged, StorageError
from ocpp_fast.journal import Journal, hanging
from ocpp_fast.journal.hanging import FINISH_S, HANG_S, Watch
from ocpp_fast.storage.sqlite import SqliteStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from unit.journal_kit import JournalSite, row
from unit.storage.hanging import CountingClock, HangingStorage

BOUND_S = 1.25 * HANG_S
FAILED = StorageError("station.db", "any", "disk I/O error")
DAMAGED = StorageDamaged("station.db", "any", "malformed")


class Site(JournalSite[HangingStorage]):
    """A journal and a storage that may hang."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock, HangingStorage())

    async def in_time(self, *work: Awaitable[Any]) -> list[Any]:
        """What they give, which must not take longer than the bound."""
        begun = self.clock.elapsed_s
        results = await asyncio.gather(*work, return_exceptions=True)
        assert self.clock.elapsed_s - begun <= BOUND_S + 0.01
        return results

    async def hung(self) -> None:
        """Returns when the journal has given up what hangs."""
        await self.clock.sleep(BOUND_S + 0.01)
        assert self.storage.hangs
        assert self.journal.error is not None


def at_site(scenario: Callable[[Site, Journal], Coroutine[Any, Any, None]]) -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        async with site.running() as journal:
            await scenario(site, journal)
            if site.storage.hangs:
                site.storage.come_back()

    run_virtual(run)


# --- storing ------------------------------------------------------------------------------------


def test_nobody_waits_for_a_disk_that_hangs_and_it_goes_on_when_it_is_back() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        storage = site.storage
        await journal.store(row(1), {"a.a": "1"})
        storage.hang()
        first = asyncio.create_task(journal.store(row(2), {"a.a": "2", "a.b": "2"}))
        await site.clock.sleep(HANG_S - 0.1)
        assert (first.done(), journal.error) == (False, None), "an honest disk may be slow"
        others = [
            asyncio.create_task(journal.store(row(3), {"a.a": "3"})),
            asyncio.create_task(journal.keep({"a.c": "3"})),
        ]
        await asyncio.sleep(0)
        journal.put({"a.d": "3"})
        await site.clock.sleep(BOUND_S - HANG_S + 0.2)
        assert [task.result() for task in (first, *others)] == [False, False, False]
        assert site.told == [(1, True), (2, False), (3, False)]
        assert site.health == [
            "the storage: outbox_append failed: it has not returned for 10 s",
        ]
        # From here on without waiting, and without another verb beside the one that hangs.
        before = site.clock.elapsed_s
        assert not await journal.store(row(4), {"a.a": "4"})
        assert not await journal.keep({"a.b": None})
        assert site.clock.elapsed_s == before
        await site.clock.sleep(3_600)
        assert storage.begun == ["outbox_append"] * 2
        assert journal.unstored == 3
        assert len(site.health) == 1, "told once"
        assert (site.stored, site.facts) == ([1], {"a.a": "1"})

        storage.come_back()
        await site.clock.sleep(0.01)
        assert storage.appended == [[1], [2], [], [3, 4]], "each once, the older ones first"
        assert site.facts == {"a.a": "4", "a.c": "3", "a.d": "3"}
        assert site.told[3:] == [(4, False), (2, True), (3, True), (4, True)]
        assert site.health[1:] == [None]
        assert (journal.error, journal.unstored) == (None, 0)
        assert await journal.store(row(5))

    at_site(scenario)


def test_what_comes_back_with_an_error_has_failed_as_usual() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        storage = site.storage
        storage.hang()
        await site.in_time(journal.store(row(1), {"a.a": "1"}))
        await journal.store(row(2), {"a.a": "2"})
        storage.come_back(FAILED)
        await site.clock.sleep(0.5)
        assert (storage.appended, site.stored) == ([], []), "it has its time"
        assert journal.error is FAILED
        assert not await journal.store(row(3))
        await site.clock.sleep(2)
        assert storage.appended == [[], [1, 2, 3]]
        assert site.facts == {"a.a": "2"}
        assert site.told == [(n, False) for n in (1, 2, 3)] + [(n, True) for n in (1, 2, 3)]
        assert len(site.health) == 2

    at_site(scenario)


@pytest.mark.parametrize("error", [None, FAILED, DAMAGED], ids=str)
def test_what_was_delivered_while_its_write_hangs_is_not_left_behind(
    error: StorageError | None,
) -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        storage = site.storage
        await journal.store(row(1))
        storage.hang()
        await site.in_time(*(journal.store(row(n), {"a.a": str(n)}) for n in (2, 3, 4)))
        await journal.store(row(5), {"a.a": "5"})
        site.delivered(1, 2, 3, 5)
        journal.bury(row(4), "no", "2026-01-01T00:00:00Z")
        assert {1, 2, 3, 4} <= {*journal.unremoved}, "they may be on the disk"
        storage.come_back(error)
        await site.clock.sleep(5)
        assert (site.stored, site.facts) == ([], {"a.a": "5"})
        assert [*storage.inner._dead] == [4]
        assert (journal.unstored, [*journal.unremoved]) == (0, [])
        assert journal.error is None

    at_site(scenario)


def test_facts_never_go_backwards() -> None:
    """The verb that hangs has facts alone, of which thousands come meanwhile."""

    async def scenario(site: Site, journal: Journal) -> None:
        storage = site.storage
        storage.hang()
        for number in range(1_500):
            journal.put({f"once.{number}": "old", "a.a": "old"})
        await site.hung()
        for number in range(5_000):
            journal.put({f"once.{number % 10}": "new", "a.a": str(number)})
            if number == 77:
                await journal.store(row(1), {"a.b": "77"})
        assert len(journal._unstored.entries) < 2_100
        storage.come_back()
        await site.clock.sleep(0.1)
        assert site.facts == {
            **{f"once.{number}": "new" if number < 10 else "old" for number in range(1_500)},
            "a.a": "4999",
            "a.b": "77",
        }
        assert site.stored == [1]

    at_site(scenario)


def test_what_is_written_stays_as_it_is_however_much_comes_meanwhile() -> None:
    """Facts alone, on a disk that has failed, and is slow when it works again."""

    async def scenario(site: Site, journal: Journal) -> None:
        storage = site.storage
        storage.fill_up()
        await journal.keep({"a.a": "0"})
        for number in range(900):
            journal.put({f"once.{number}": "x"})
        storage.error = None
        storage.slow_s = 1.0
        await site.clock.sleep(2.5)
        assert storage.begun[-1] == "outbox_append"
        for number in range(900, 2_500):
            journal.put({f"once.{number}": "x", "a.a": str(number)})
        await site.clock.sleep(10)
        assert len(site.facts) == 2_501
        assert site.facts["a.a"] == "2499"
        assert journal.error is None

    at_site(scenario)


def test_what_comes_while_the_last_note_is_run_is_written_before_it_works_again() -> None:
    """Else it would stay in memory, and be written over newer facts some day."""

    async def scenario(site: Site, journal: Journal) -> None:
        async def note() -> None:
            await site.clock.sleep(1)

        site.storage.fill_up()
        await journal.store(row(1))
        journal.note(note)
        site.storage.error = None
        await site.clock.sleep(1.5)
        assert not await journal.store(row(2), {"a.a": "2"})
        await site.clock.sleep(1)
        assert (journal.error, journal.unstored) == (None, 0)
        assert await journal.store(row(3), {"a.a": "3"})
        assert (site.stored, site.facts) == ([1, 2, 3], {"a.a": "3"})

    at_site(scenario)


def test_rows_that_are_stored_one_by_one() -> None:
    for hung, error in ((0, None), (1, None), (2, None), (0, FAILED), (1, FAILED), (2, FAILED)):

        async def scenario(
            site: Site, journal: Journal, hung: int = hung, error: StorageError | None = error
        ) -> None:
            storage = site.storage
            await journal.store(row(5))
            storage.hang("outbox_append", skip=1 + hung)
            results = await site.in_time(
                *(journal.store(row(n), {f"a.{n}": "x"}) for n in (4, 5, 6))
            )
            assert results == [False] * 3
            assert [(n, done) for n, done in site.told if not done] == [
                (n, False) for n in (4, 5, 6)[min(hung, 1) :]
            ]
            assert not await journal.store(row(7))
            storage.come_back(error)
            await site.clock.sleep(3)
            assert site.stored == [4, 5, 6, 7]
            assert journal.error is None
            # What can never be stored is sent all the same, and told of once.
            told = [(n, done) for n, done in site.told[1:] if n == 5]
            assert told == [(5, False)]
            assert [n for n, done in site.told if done] == [5, 4, 6, 7]

        at_site(scenario)


def test_who_is_cancelled_while_it_hangs() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        site.storage.hang()
        tasks = [asyncio.create_task(journal.store(row(n))) for n in (1, 2)]
        await site.clock.sleep(1)
        tasks += [asyncio.create_task(journal.store(row(n))) for n in (3, 4)]
        await site.clock.sleep(1)
        tasks[0].cancel()
        tasks[2].cancel()
        await site.in_time(tasks[1], tasks[3])
        assert [n for n, _ in site.told] == [1, 2, 3, 4]
        site.storage.come_back()
        await site.clock.sleep(0.1)
        assert site.stored == [1, 2, 3, 4]

    at_site(scenario)


# --- the other verbs ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, FAILED], ids=str)
def test_a_note_that_hangs_is_not_run_twice_at_a_time(error: StorageError | None) -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        storage = site.storage
        await journal.store(row(1))
        await journal.store(row(2))
        storage.hang("outbox_attempted")
        journal.note(lambda: storage.outbox_attempted(1, 3))
        journal.bury(row(2), "no", "2026-01-01T00:00:00Z")
        results = await site.in_time(
            journal.store(row(3)), journal.read(storage.outbox_load), journal.keep({"a.a": "1"})
        )
        # Rows go first, and one was quicker than the note.
        assert isinstance(results[1], StorageError)
        assert not await journal.store(row(4))
        await site.clock.sleep(100)
        assert storage.begun.count("outbox_attempted") == 1
        storage.come_back(error)
        await site.clock.sleep(5)
        assert storage.begun.count("outbox_attempted") == (1 if error is None else 2)
        assert site.stored == [1, 3, 4]
        assert storage.inner._rows[1].attempts == 3
        assert [*storage.inner._dead] == [2]
        assert len(site.health) == 2
        assert journal.error is None

    at_site(scenario)


@pytest.mark.parametrize("error", [None, FAILED], ids=str)
def test_a_removal_that_hangs(error: StorageError | None) -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        storage = site.storage
        for number in (1, 2, 3):
            await journal.store(row(number))
        storage.hang("outbox_remove")
        site.delivered(1, 2)
        await site.clock.sleep(0.2)
        assert storage.hangs
        assert await site.in_time(journal.store(row(4))) == [False]
        site.delivered(3, 4)
        assert [*journal.unremoved] == [1, 2, 3], "4 never was on the disk"
        assert not await journal.store(row(5))
        storage.come_back(error)
        await site.clock.sleep(5)
        assert (site.stored, [*journal.unremoved]) == ([5], [])
        assert len(site.health) == 2

    at_site(scenario)


@pytest.mark.parametrize("error", [None, FAILED, DAMAGED], ids=str)
def test_a_read_that_hangs_gives_an_error_to_all_who_read(error: StorageError | None) -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        storage = site.storage
        await journal.store(row(1))
        storage.hang("outbox_load")
        reads = [asyncio.create_task(journal.read(storage.outbox_load)) for _ in range(2)]
        await site.clock.sleep(1)
        results = await site.in_time(*reads, journal.store(row(2)))
        assert [str(each) for each in results[:2]] == [
            "the storage: outbox_load failed: it has not returned for 10 s"
        ] * 2
        assert results[2] is False
        before = site.clock.elapsed_s
        with pytest.raises(StorageError, match="not returned"):
            await journal.read(storage.outbox_load)
        assert site.clock.elapsed_s == before
        storage.come_back(error)
        await site.clock.sleep(3)
        assert [each.row_id for each in await journal.read(storage.outbox_load)] == [1, 2]
        assert len(site.health) == 2

    at_site(scenario)


def test_a_read_that_hangs_while_nothing_can_be_written() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        storage = site.storage
        storage.fill_up()
        await journal.store(row(1))
        storage.hang("outbox_load")
        (result,) = await site.in_time(journal.read(storage.outbox_load))
        assert isinstance(result, StorageError)
        storage.error = None
        storage.come_back()
        await site.clock.sleep(0.1)
        assert site.stored == [1]
        assert len(site.health) == 2, "one failure after the other is told of once"

    at_site(scenario)


@pytest.mark.parametrize("hung", range(5))
@pytest.mark.parametrize("error", [None, FAILED], ids=str)
def test_an_attempt_that_hangs(hung: int, error: StorageError | None) -> None:
    """The storage has failed, and hangs at one of the verbs by which it is tried again."""

    async def scenario(site: Site, journal: Journal) -> None:
        storage = site.storage
        await journal.store(row(1), {"a.a": "1"})
        storage.fill_up()
        for number in range(2, 1_500):
            await journal.store(row(number), {"a.a": str(number)})
        journal.bury(row(1_499), "no", "2026-01-01T00:00:00Z")
        journal.note(lambda: storage.outbox_attempted(2, 7))
        storage.error = None
        storage.hang("*", skip=hung)
        await site.clock.sleep(1.1)
        assert storage.hangs
        (result,) = await site.in_time(journal.read(storage.outbox_load))
        assert isinstance(result, StorageError)
        assert len(site.health) == 1
        assert not await journal.store(row(2_000), {"a.a": "2000", "a.b": "1"})
        site.delivered(5, 1_400)
        await site.clock.sleep(1_000)
        storage.come_back(error)
        await site.clock.sleep(70)
        assert site.stored == [n for n in range(1, 1_499) if n not in (5, 1_400)] + [2_000]
        assert site.facts == {"a.a": "2000", "a.b": "1"}
        assert storage.inner._rows[2].attempts == 7
        assert [*storage.inner._dead] == [1_499]
        assert len(site.health) == 2
        written = [n for rows in storage.appended for n in rows]
        assert len(written) == len(set(written)), "none is written twice"

    at_site(scenario)


@pytest.mark.parametrize("error", [None, FAILED], ids=str)
def test_a_replacement_of_a_damaged_storage_that_hangs(error: StorageError | None) -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        storage = site.storage
        await journal.store(row(1), {"a.a": "1"})
        storage.break_()
        storage.hang("replace_damaged")
        assert await site.in_time(journal.store(row(2), {"a.a": "2", "a.b": "2"})) == [False]
        await site.hung()
        assert not await journal.store(row(3), {"a.a": "3"})
        site.delivered(2)
        storage.come_back(error)
        await site.clock.sleep(40)
        assert storage.replaced == ([[1, 2]] if error is None else [[1, 3]])
        assert (site.stored, site.facts) == ([1, 3], {"a.a": "3", "a.b": "2"})
        assert len(site.health) == 2

    at_site(scenario)


def test_a_storage_that_hangs_at_the_start() -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        site.storage.fault = "read-only file system"
        site.storage.hang()
        async with site.running() as journal:
            assert await site.in_time(journal.store(row(1))) == [False]
            site.storage.come_back()
            await clock.sleep(0.1)
            assert site.stored == [1]

    run_virtual(run)


# --- when it hangs, and when not ------------------------------------------------------------------


def test_a_disk_that_is_slow_and_honest_is_waited_for() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        site.storage.slow_s = 0.95 * HANG_S
        for number in range(1, 20):
            assert await journal.store(row(number), {"a.a": str(number)})
        journal.note(lambda: site.storage.outbox_attempted(1, 1))
        assert len(await journal.read(site.storage.outbox_load)) == 19
        assert site.health == []

    at_site(scenario)


def test_a_disk_that_is_too_slow_for_good_is_told_of_once_and_stores_all_the_same() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        site.storage.slow_s = 1.5 * HANG_S
        for number in range(1, 100):
            await site.in_time(journal.store(row(number), {"a.a": str(number)}))
            await site.clock.sleep(10 if number % 10 else 200)
        assert len(site.health) == 1
        assert site.stored[:80] == [*range(1, 81)], "with some delay"
        await site.clock.sleep(300)
        site.storage.begun.clear()
        await site.clock.sleep(900)
        assert 10 <= len(site.storage.begun) <= 22, "it has its pauses"
        site.storage.slow_s = 0.01
        await site.clock.sleep(60)
        assert site.stored == [*range(1, 100)]
        assert site.facts == {"a.a": "99"}
        assert len(site.health) == 2
        assert await journal.store(row(100))

    at_site(scenario)


def test_a_verb_that_hangs_among_many_others_is_found_as_soon() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        site.storage.slow_s = 0.3
        for number in range(1, 100):
            await journal.store(row(number))
        site.storage.hang()
        assert await site.in_time(journal.store(row(100))) == [False]
        site.storage.come_back()
        await site.clock.sleep(5)
        # The same again: what has hung before is no reason to be found later, or sooner.
        site.storage.hang()
        work = asyncio.create_task(journal.store(row(101)))
        await site.clock.sleep(HANG_S - 0.1)
        assert not work.done()
        assert await site.in_time(work) == [False]

    at_site(scenario)


def test_looks_are_counted_and_not_seconds() -> None:
    """When the whole computer stood still, the disk is not what was slow."""

    async def run(clock: VirtualClock) -> None:
        hung: list[object] = []
        watch = Watch(clock, on_hang=hung.append, on_back=lambda: None)
        watch.begin("first")
        await clock.sleep(HANG_S - 0.1)
        watch.end()
        watch.begin("second")
        await clock.sleep(HANG_S)
        assert hung == []
        await clock.sleep(HANG_S / 4)
        assert hung == ["second"]
        assert watch.end()
        assert not watch.end()

    run_virtual(run)


def test_nothing_ticks_while_there_is_nothing_to_write() -> None:
    async def run(clock: VirtualClock) -> None:
        counting = CountingClock()
        site = Site(counting)
        async with site.running() as journal:
            for number in range(1, 1_001):
                await journal.store(row(number))
            assert counting.calls == 1, "not one for each write"
            await clock.sleep(HANG_S)
            before = counting.calls
            await clock.sleep(100_000)
            assert counting.calls == before <= 2

    run_virtual(run)


# --- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("verb", ["outbox_append", "outbox_attempted", "outbox_remove"])
def test_the_end_comes_in_bounded_time(
    verb: str, is_known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        storage = site.storage
        async with site.running() as journal:
            await journal.store(row(1))
            storage.hang(verb)
            site.delivered(1)
            journal.note(lambda: storage.outbox_attempted(1, 1))
            await clock.sleep(0.5)
            work = [asyncio.create_task(journal.store(row(2)))]
            if is_known:
                await clock.sleep(2 * HANG_S)
                assert journal.error is not None
            work.append(asyncio.create_task(journal.store(row(3))))
            await asyncio.sleep(0)
            begun = clock.elapsed_s
        assert clock.elapsed_s - begun <= FINISH_S
        assert [await each for each in work] == [False, False]
        assert [n for n, done in site.told if not done] == [2, 3], "they were sent, if they could"
        assert journal.unstored == 2
        with pytest.raises(StorageError, match="does not run"):
            await journal.read(storage.outbox_load)

    with caplog.at_level(logging.ERROR):
        run_virtual(run)
    assert "2 messages could not be stored" in caplog.text
    assert "not all was written within 30 s" in caplog.text


def test_the_end_waits_for_a_disk_that_comes_back() -> None:
    async def run(clock: VirtualClock) -> None:
        for error in (None, FAILED):
            site = Site(clock)
            async with site.running() as journal:
                site.storage.hang()
                await site.in_time(journal.store(row(1)))
                await journal.store(row(2), {"a.a": "2"})
                clock.call_later(FINISH_S - 1, lambda e=error, s=site: s.storage.come_back(e))
            assert (site.stored, site.facts) == ([1, 2], {"a.a": "2"})
            assert journal.unstored == 0

    run_virtual(run)


def test_the_end_of_a_slow_disk_comes_in_bounded_time_too() -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        async with site.running() as journal:
            site.storage.slow_s = 0.9 * HANG_S
            for number in range(50):
                journal.note(lambda n=number: site.storage.outbox_attempted(1, n))
            work = asyncio.create_task(journal.store(row(1)))
            reading = asyncio.create_task(journal.read(site.storage.outbox_load))
            await clock.sleep(1)
            begun = clock.elapsed_s
        assert clock.elapsed_s - begun == pytest.approx(FINISH_S)
        assert await work, "rows go first"
        with pytest.raises(StorageError, match="does not run"):
            await reading

    run_virtual(run)


def test_nobody_waits_for_what_is_not_written_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        async with site.running() as journal:
            site.storage.slow_s = 0.9 * HANG_S
            work = [asyncio.create_task(journal.store(row(n))) for n in range(1, 10_001)]
            await asyncio.sleep(0)
        results = await asyncio.gather(*work)
        assert len(site.stored) == sum(results) == 3_000
        assert site.told == [(n, n <= 3_000) for n in range(1, 10_001)]
        # The thread is still at it: what it was given is not told of again.
        await clock.sleep(HANG_S)
        assert len(site.stored) == 4_000

    run_virtual(run)
    assert "7000 messages could not be stored" in caplog.text


def test_an_end_that_came_before_the_beginning_is_bounded_too() -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        site.storage.hang()
        site.journal.put({"a.a": "1"})
        site.journal.finish()
        await site.journal.run()
        assert clock.elapsed_s == pytest.approx(FINISH_S)

    run_virtual(run)


def test_the_task_that_was_ended_can_go_on() -> None:
    """The end of the writing is no cancellation of whoever writes; one from outside still is."""

    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        site.storage.hang()

        async def write() -> str:
            await site.journal.run()
            task = asyncio.current_task()
            assert task is not None
            assert not task.cancelling()
            await clock.sleep(1)
            return "goes on"

        site.journal.start()
        writing = asyncio.create_task(write())
        work = asyncio.create_task(site.journal.store(row(1)))
        await clock.sleep(1)
        site.journal.finish()
        assert await writing == "goes on"
        assert not await work
        # Nothing is left that could cancel somebody later.
        site.journal.finish()
        await clock.sleep(2 * FINISH_S)

        other = Site(clock)
        other.storage.hang()
        other.journal.start()
        writing = asyncio.create_task(other.journal.run())
        other.journal.put({"a.a": "1"})
        await clock.sleep(1)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

    run_virtual(run)


# --- with a real thread ---------------------------------------------------------------------------


async def test_a_database_whose_thread_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In real time, which is why the bounds are short: the write that hangs, and what gathers."""
    monkeypatch.setattr(hanging, "HANG_S", 0.2)
    is_back = threading.Event()
    async with _database(tmp_path, is_back) as (storage, journal, _, works):
        assert not await journal.store(row(1), {"a.a": "1"})
        assert not await journal.store(row(2), {"a.a": "2"})
        journal.confirm([1])
        with pytest.raises(StorageError, match="not returned"):
            await journal.read(storage.outbox_load)
        is_back.set()
        await asyncio.wait_for(works.wait(), 30)
        assert (journal.error, journal.unstored) == (None, 0)
    await storage.open()
    assert [each.row_id for each in await storage.outbox_load()] == [2]
    assert await storage.state_load() == {"a.a": "2"}
    await storage.close()


async def test_a_database_whose_thread_hangs_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal ends before the thread does, which then finds nobody who waits."""
    monkeypatch.setattr(hanging, "HANG_S", 0.1)
    monkeypatch.setattr(hanging, "FINISH_S", 0.3)
    is_back = threading.Event()
    async with _database(tmp_path, is_back) as (storage, journal, writing, _):
        assert not await journal.store(row(1), {"a.a": "1"})
        journal.finish()
        await asyncio.wait_for(writing, 30)
        assert journal.unstored == 1
        is_back.set()
    await storage.open()
    assert [each.row_id for each in await storage.outbox_load()] == [1], "it was under way"
    await storage.close()


@asynccontextmanager
async def _database(
    folder: Path, is_back: threading.Event
) -> AsyncGenerator[tuple[SqliteStorage, Journal, asyncio.Task[None], asyncio.Event]]:
    """A journal over a file; the thread is busy with something until it `is_back`."""
    storage = SqliteStorage(folder / "station.db")
    await storage.open()
    connection = storage._connection
    assert connection is not None
    works = asyncio.Event()
    journal = Journal(
        storage,
        SystemClock(),
        on_stored=lambda _row, _stored: None,
        on_health=lambda error: works.set() if error is None else works.clear(),
    )
    journal.start()
    writing = asyncio.create_task(journal.run())
    busy = connection.run(lambda _: is_back.wait(60))
    try:
        yield storage, journal, writing, works
    finally:
        is_back.set()
        await busy
        journal.finish()
        await asyncio.wait_for(writing, 60)
        await storage.close()
