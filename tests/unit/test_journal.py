"""The journal between those who have something to store and a storage that may fail."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest

from ocpp_fast.errors import StorageDamaged, StorageError, StorageFull, StorageRefused
from ocpp_fast.journal import Journal, writer
from ocpp_fast.storage import OutboxRow
from ocpp_fast.storage.base import Facts
from ocpp_fast.testing import VirtualClock, run_virtual
from unit.journal_kit import JournalSite, row
from unit.storage.faulty import FaultyStorage


class Site(JournalSite[FaultyStorage]):
    """A journal and a storage that may fail."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock, FaultyStorage(), says=lambda error: type(error).__name__)


def at_site(scenario: Callable[[Site, Journal], Coroutine[Any, Any, None]]) -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        async with site.running() as journal:
            await scenario(site, journal)

    run_virtual(run)


# --- a storage that works -----------------------------------------------------------------------


def test_a_row_is_durable_with_its_facts_when_store_returns() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        assert await journal.store(row(1), {"a.a": "1", "a.b": None})
        assert (site.stored, site.facts, site.told) == ([1], {"a.a": "1"}, [(1, True)])

    at_site(scenario)


def test_what_comes_while_a_batch_is_written_shares_the_next_one() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        site.storage.gate.clear()
        tasks = [asyncio.create_task(journal.store(row(1), {"a.a": "1"}))]
        await site.clock.sleep(1)
        tasks += [
            asyncio.create_task(journal.store(row(number), {"a.a": str(number)}))
            for number in range(2, 1_500)
        ]
        await asyncio.sleep(0)
        journal.put({"a.a": "last", "a.b": "put"})
        site.storage.gate.set()
        assert await asyncio.gather(*tasks) == [True] * 1_499
        assert [len(rows) for rows in site.storage.appended] == [1, 1_000, 498]
        assert site.facts == {"a.a": "last", "a.b": "put"}
        assert site.told == [(number, True) for number in range(1, 1_500)]

    at_site(scenario)


def test_facts_without_rows_are_written_as_well() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        journal.put({"a.a": "1"})
        journal.put({})
        assert site.facts == {}
        await site.clock.sleep(0.01)
        assert site.facts == {"a.a": "1"}
        assert await journal.keep({"a.a": "2"})
        assert site.facts == {"a.a": "2"}
        task = asyncio.create_task(journal.store(row(1)))
        await asyncio.sleep(0)
        assert await journal.keep({})
        assert (site.stored, task.done() and task.result()) == ([1], True), "it is a barrier"

    at_site(scenario)


def test_who_is_cancelled_does_not_take_the_others_along() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        site.storage.gate.clear()
        tasks = [asyncio.create_task(journal.store(row(number))) for number in (1, 2, 3)]
        reading = asyncio.create_task(journal.read(site.storage.outbox_load))
        await site.clock.sleep(1)
        tasks[1].cancel()
        reading.cancel()
        site.storage.gate.set()
        assert [await tasks[0], await tasks[2]] == [True, True]
        assert site.stored == [1, 2, 3]
        assert len(await journal.read(site.storage.outbox_load)) == 3

    at_site(scenario)


def test_confirmed_rows_are_removed_together_and_do_not_stand_before_a_new_one() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        for number in range(1, 6):
            await journal.store(row(number))
            site.delivered(number)
            assert [*journal.unremoved] == [*range(1, number + 1)]
            await site.clock.sleep(0.01)
        assert "outbox_remove" not in site.storage.verbs
        await site.clock.sleep(0.2)
        assert site.storage.verbs.count("outbox_remove") == 1
        assert (site.stored, [*journal.unremoved]) == ([], [])
        await site.clock.sleep(1)
        await journal.store(row(6))
        site.delivered(6)
        await journal.store(row(7))
        assert site.stored == [6, 7], "again not at once"

    at_site(scenario)


def test_rows_that_a_read_has_removed_do_not_hold_up_the_next_ones() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        await journal.store(row(1))
        site.delivered(1)
        await journal.read(site.storage.outbox_load)
        assert site.stored == []
        await site.clock.sleep(1)
        for number in (3, 4):
            await journal.store(row(number))
            await site.clock.sleep(1)
        site.delivered(3)
        await site.clock.sleep(0.2)
        assert site.stored == [4], "nothing else has woken the writer"

    at_site(scenario)


def test_many_confirmed_rows_are_removed_whatever_else_is_to_be_written() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        for number in range(1, 1_201):
            await journal.store(row(number))
            site.delivered(number)
        assert 1 <= site.storage.verbs.count("outbox_remove") <= 2
        assert len(site.stored) <= 201

    at_site(scenario)


def test_a_read_comes_after_all_that_was_asked_for_before() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        await journal.store(row(1))
        await journal.store(row(2))
        site.delivered(1)
        site.storage.verbs.clear()
        first = asyncio.create_task(journal.store(row(3)))
        await asyncio.sleep(0)
        journal.note(lambda: site.storage.outbox_attempted(2, 7))
        reading = asyncio.create_task(journal.read(site.storage.outbox_load))
        await asyncio.sleep(0)
        # What comes later does not keep it waiting.
        journal.note(lambda: site.storage.outbox_attempted(2, 8))
        found = await reading
        assert [(each.row_id, each.attempts) for each in found] == [(2, 7), (3, 0)]
        assert await first
        assert site.storage.verbs[:4] == [
            "outbox_append",
            "outbox_attempted",
            "outbox_remove",
            "outbox_load",
        ]

    at_site(scenario)


def test_who_stores_without_end_does_not_keep_others_from_reading() -> None:
    """Also after a failure."""

    async def scenario(site: Site, journal: Journal) -> None:
        number = 0

        async def store_and_store() -> None:
            nonlocal number
            while True:
                number += 1
                await journal.store(row(number))

        for _ in range(2):
            busy: list[asyncio.Task[None]] = []
            for _ in range(40):
                # At different times: while one row is written, another waits already.
                if len(busy) < 3:
                    busy.append(asyncio.create_task(store_and_store()))
                await asyncio.sleep(0)
            before = number
            await journal.read(site.storage.outbox_load)
            assert before < number < before + 10
            for task in busy:
                task.cancel()
            await asyncio.wait(busy)
            site.storage.gate.clear()
            tasks = [asyncio.create_task(journal.store(row(number + 1)))]
            await site.clock.sleep(1)
            tasks += [asyncio.create_task(journal.store(row(number + n))) for n in range(2, 12_500)]
            await site.clock.sleep(1)
            number += 12_500
            site.storage.fill_up()
            site.storage.gate.set()
            await asyncio.gather(*tasks)
            site.storage.error = None
            await site.clock.sleep(1.1)
            assert journal.error is None

    at_site(scenario)


def test_a_read_gives_its_error_to_who_reads_alone() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        site.storage.read_error = StorageError("x", "outbox_load", "bad sector")
        with pytest.raises(StorageError, match="bad sector"):
            await journal.read(site.storage.outbox_load)
        assert site.health == []
        assert await journal.store(row(1))

    at_site(scenario)


def test_nobody_reads_after_the_end() -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        async with site.running() as journal:
            site.storage.gate.clear()
            writing = asyncio.create_task(journal.store(row(1)))
            await site.clock.sleep(1)
            reading = asyncio.create_task(journal.read(site.storage.outbox_load))
            await asyncio.sleep(0)
            site.storage.gate.set()
        assert await writing
        assert len(await reading) == 1, "asked for in time"
        with pytest.raises(StorageError, match="does not run"):
            await journal.read(site.storage.outbox_load)

    run_virtual(run)


def test_the_end_waits_for_what_is_to_be_written() -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        async with site.running() as journal:
            await journal.store(row(1))
            site.delivered(1)
            journal.put({"a.a": "1"})
            journal.bury(row(2), "no", "2026-01-01T00:00:00Z")
        assert (site.stored, site.facts) == ([], {"a.a": "1"})
        assert [*site.storage.inner._dead] == [2]

    run_virtual(run)


# --- a storage that fails -----------------------------------------------------------------------


def test_nobody_waits_for_a_failing_disk_and_nothing_is_lost() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        await journal.store(row(1), {"a.a": "1"})
        site.storage.fill_up()
        assert not await journal.store(row(2), {"a.a": "2"})
        assert site.health == ["StorageFull"]
        assert isinstance(journal.error, StorageFull)
        # From here on without a single look at the disk.
        site.storage.gate.clear()
        site.storage.verbs.clear()
        assert not await journal.store(row(3), {"a.a": "3", "a.b": "3"})
        assert not await journal.keep({"a.c": "3"})
        journal.put({"a.b": None})
        assert site.storage.verbs == []
        assert site.told == [(1, True), (2, False), (3, False)]
        assert journal.unstored == 2
        assert (site.stored, site.facts) == ([1], {"a.a": "1"})

        site.storage.gate.set()
        site.storage.error = None
        await site.clock.sleep(1.1)
        assert site.health == ["StorageFull", None]
        assert journal.error is None
        assert (site.stored, site.facts) == ([1, 2, 3], {"a.a": "3", "a.c": "3"})
        assert site.told[3:] == [(2, True), (3, True)]
        assert journal.unstored == 0
        assert await journal.store(row(4))

    at_site(scenario)


def test_it_is_tried_again_after_1_2_4_seconds_and_so_on_to_30() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        site.storage.fill_up()
        await journal.store(row(1))
        times: list[float] = []
        start = site.clock.elapsed_s
        seen = len(site.storage.verbs)
        while len(times) < 8:
            await site.clock.sleep(0.5)
            if len(site.storage.verbs) > seen:
                seen = len(site.storage.verbs)
                times.append(round(site.clock.elapsed_s - start))
        assert times == [1, 3, 7, 15, 31, 61, 91, 121]
        assert site.health == ["StorageFull"], "told once"
        # It begins with 1 s again when it has worked in between.
        site.storage.error = None
        await site.clock.sleep(31)
        assert (site.health, site.stored) == (["StorageFull", None], [1])
        site.storage.fill_up()
        await journal.store(row(2))
        site.storage.error = None
        await site.clock.sleep(1.1)
        assert site.stored == [1, 2]

    at_site(scenario)


def test_what_waited_in_the_queue_is_not_kept_waiting() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        site.storage.gate.clear()
        first = asyncio.create_task(journal.store(row(1)))
        await site.clock.sleep(1)
        others = [asyncio.create_task(journal.store(row(n))) for n in range(2, 2_000)]
        await site.clock.sleep(1)
        site.storage.fill_up()
        site.storage.gate.set()
        assert not any(await asyncio.gather(first, *others))
        assert len(site.storage.appended) == 0
        assert [row_id for row_id, _ in site.told] == [*range(1, 2_000)], "in their order"
        site.storage.error = None
        await site.clock.sleep(1.1)
        assert site.stored == [*range(1, 2_000)]
        assert [len(rows) for rows in site.storage.appended] == [0, 1_000, 999]

    at_site(scenario)


def test_what_was_delivered_before_it_could_be_stored_is_not_stored_any_more() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        await journal.store(row(1))
        site.storage.fill_up()
        for number in (2, 3, 4):
            await journal.store(row(number), {"a.a": str(number)})
        site.delivered(1, 2, 4)
        assert journal.unstored == 1
        assert [*journal.unremoved] == [1], "the only one that is on the disk"
        site.storage.error = None
        await site.clock.sleep(2)
        assert (site.stored, site.facts) == ([3], {"a.a": "4"})

    at_site(scenario)


def test_what_is_delivered_while_it_is_written_at_last_is_removed() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        site.storage.fill_up()
        await journal.store(row(1))
        await journal.store(row(2))
        site.storage.error = None
        append = site.storage.outbox_append
        is_writing, may_end = asyncio.Event(), asyncio.Event()

        async def slow(rows: Iterable[OutboxRow], facts: Facts) -> None:
            await append(rows, facts)
            if rows:
                is_writing.set()
                await may_end.wait()

        site.storage.outbox_append = slow  # type: ignore[method-assign]
        await is_writing.wait()
        site.delivered(1)
        assert [*journal.unremoved] == [1]
        may_end.set()
        await site.clock.sleep(1)
        assert site.stored == [2]
        assert journal.unstored == 0

    at_site(scenario)


def test_what_is_kept_does_not_grow_with_the_time_that_it_fails() -> None:
    """A fleet charges for a day on a full disk: each event is delivered, none is stored."""

    async def scenario(site: Site, journal: Journal) -> None:
        site.storage.fill_up()
        await journal.store(row(1), {"tx.0": "0"})
        for number in range(2, 20_000):
            await journal.store(row(number), {f"tx.{number % 10}": str(number)})
            if number != 777:
                site.delivered(number)
            journal.put({"meter.1": str(number)})
            if number % 1_000 == 0:
                journal.put({f"once.{number}": "x"})
        for number in range(3_000):
            journal.put({f"late.{number}": "x"})
        assert journal.unstored == 2
        assert len(journal._unstored.entries) < 2_100
        assert sum(len(entry.facts) for entry in journal._unstored.entries) < 6_000
        site.storage.error = None
        await site.clock.sleep(31)
        assert site.stored == [1, 777]
        assert site.facts == {
            "meter.1": "19999",
            **{f"once.{number}": "x" for number in range(1_000, 20_000, 1_000)},
            **{f"late.{number}": "x" for number in range(3_000)},
            **{f"tx.{number % 10}": str(number) for number in range(19_990, 20_000)},
        }

    at_site(scenario)


def test_notes_burials_and_removals_are_done_when_it_works_again() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        for number in (1, 2, 3):
            await journal.store(row(number))
        site.storage.fill_up()
        await journal.store(row(4))
        await journal.store(row(5))
        journal.note(lambda: site.storage.outbox_attempted(3, 5))
        journal.bury(row(2), "no", "2026-01-01T00:00:00Z")
        journal.bury(row(4), "never stored", "2026-01-01T00:00:00Z")
        site.delivered(1)
        assert {*journal.unremoved} == {1, 2, 4}
        assert journal.unstored == 1
        await site.clock.sleep(100)
        assert site.stored == [1, 2, 3]
        site.storage.error = None
        await site.clock.sleep(31)
        assert site.stored == [3, 5]
        assert site.storage.inner._rows[3].attempts == 5
        assert {key: letter.cause for key, letter in site.storage.inner._dead.items()} == {
            2: "no",
            4: "never stored",
        }
        assert [*journal.unremoved] == []

    at_site(scenario)


def test_a_note_that_fails_alone_has_its_turn_again_a_few_times() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        calls: list[float] = []

        async def note(until: int) -> None:
            calls.append(round(site.clock.elapsed_s))
            if len(calls) < until:
                raise StorageError("x", "test", "not yet")

        async def odd() -> None:
            raise ZeroDivisionError

        journal.note(lambda: note(3))
        journal.note(odd)
        await site.clock.sleep(10)
        assert calls == [0, 1, 3]
        assert site.health == ["StorageError", None], "told once"
        assert await journal.store(row(1))

        calls.clear()
        journal.note(lambda: note(100))
        await site.clock.sleep(0.1)
        assert not await journal.store(row(2))
        await site.clock.sleep(100)
        assert len(calls) == 5
        assert site.stored == [1, 2]
        assert site.health == ["StorageError", None] * 2
        assert await journal.store(row(3))

    at_site(scenario)


def test_reads_go_on_while_nothing_can_be_written() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        await journal.store(row(1))
        site.storage.fill_up()
        await journal.store(row(2))
        found = await journal.read(site.storage.outbox_load)
        assert [each.row_id for each in found] == [1]

    at_site(scenario)


def test_one_row_that_cannot_be_stored_does_not_keep_the_others_from_it() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        await journal.store(row(5))
        site.storage.gate.clear()
        tasks = [asyncio.create_task(journal.store(row(n), {f"a.{n}": "x"})) for n in (4, 5, 6)]
        await site.clock.sleep(1)
        site.storage.gate.set()
        await asyncio.gather(*tasks)
        assert site.stored == [4, 5, 6]
        assert site.told == [(5, True), (4, True), (5, False), (6, True)]
        assert (site.health, journal.unstored) == ([], 0)
        # The same when it has failed before.
        site.storage.fill_up()
        for number in (7, 4, 8):
            await journal.store(row(number))
        site.storage.error = None
        await site.clock.sleep(1.1)
        assert site.stored == [4, 5, 6, 7, 8]
        assert site.health == ["StorageFull", None]
        assert isinstance(StorageRefused("x", "y", "z"), StorageError)

    at_site(scenario)


def test_a_disk_that_becomes_full_among_rows_that_are_written_singly() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        await journal.store(row(5))
        site.storage.gate.clear()
        tasks = [asyncio.create_task(journal.store(row(n))) for n in (4, 5, 6, 7)]
        await site.clock.sleep(1)
        site.storage.good_appends = 2  # of 4, 5, 6
        site.storage.gate.set()
        await asyncio.gather(*tasks)
        assert site.stored == [4, 5]
        assert journal.unstored == 2
        site.storage.error = None
        await site.clock.sleep(1.1)
        assert site.stored == [4, 5, 6, 7]

    at_site(scenario)


def test_notes_are_bounded_while_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_NOTES", 5)

    async def scenario(site: Site, journal: Journal) -> None:
        done: list[int] = []

        async def note(number: int) -> None:
            done.append(number)

        site.storage.fill_up()
        await journal.store(row(1))
        for number in range(20):
            journal.note(lambda number=number: note(number))
        site.storage.error = None
        await site.clock.sleep(1.1)
        assert done == [15, 16, 17, 18, 19]

    at_site(scenario)


def test_what_cannot_be_written_at_the_end_is_tried_once_more() -> None:
    async def run(clock: VirtualClock) -> None:
        for error in (None, StorageError("x", "y", "still")):
            site = Site(clock)
            async with site.running() as journal:
                site.storage.fill_up()
                await journal.store(row(1))
                site.storage.error = error
                begun = clock.elapsed_s
            assert clock.elapsed_s - begun < 0.1
            assert site.stored == ([] if error else [1])

    run_virtual(run)


def test_what_works_again_at_the_end_is_done_as_well() -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        async with site.running() as journal:
            await journal.store(row(1))
            site.storage.fill_up()
            await journal.store(row(2))
            site.delivered(1)
            site.storage.error = None
        assert site.stored == [2], "what was delivered is not delivered again"

    run_virtual(run)


def test_a_storage_that_could_not_be_written_at_the_start() -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        site.storage.fault = "read-only file system"
        site.storage.error = StorageError("x", "outbox_append", "read-only file system")
        async with site.running() as journal:
            await clock.sleep(0.1)
            assert site.health == ["StorageError"]
            assert not await journal.store(row(1))
            site.storage.error = None
            await clock.sleep(31)
            assert (site.health, site.stored) == (["StorageError", None], [1])

    run_virtual(run)


def test_rows_that_nobody_else_holds_are_kept_as_well() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        site.storage.fill_up()
        await journal.store(row(1), {"a.a": "1"})
        site.memory.clear()
        site.storage.break_()
        await site.clock.sleep(3)
        assert site.storage.replaced == [[1]]
        assert (site.stored, site.facts) == ([1], {"a.a": "1"})

    at_site(scenario)


# --- a storage that is damaged --------------------------------------------------------------------


def test_a_damaged_storage_is_replaced_and_gets_what_the_memory_knows() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        for number in (1, 2, 3):
            await journal.store(row(number), {"a.a": str(number)})
        site.delivered(1)
        site.storage.break_()
        assert not await journal.store(row(4), {"a.a": "4"})
        assert site.health == ["StorageDamaged"]
        await site.clock.sleep(0.1)
        assert site.health == ["StorageDamaged", None], "at once"
        assert site.storage.replaced == [[2, 3, 4]]
        assert (site.stored, site.facts) == ([2, 3, 4], {"a.a": "4"})
        assert site.told[3:] == [(4, False), (4, True)]
        assert await journal.store(row(5))

    at_site(scenario)


def test_damage_that_a_read_finds_is_mended_too() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        await journal.store(row(1))
        site.storage.read_error = StorageDamaged("x", "outbox_load", "malformed")
        with pytest.raises(StorageDamaged):
            await journal.read(site.storage.outbox_load)
        await site.clock.sleep(0.1)
        assert site.storage.replaced == [[1]]
        assert site.health == ["StorageDamaged", None]

    at_site(scenario)


def test_a_damaged_storage_on_a_full_disk_is_replaced_when_there_is_room() -> None:
    async def scenario(site: Site, journal: Journal) -> None:
        await journal.store(row(1))
        site.storage.break_()
        site.storage.replace_error = StorageFull("x", "replace_damaged", "disk is full")
        assert not await journal.store(row(2))
        await site.clock.sleep(20)
        assert not await journal.store(row(3))
        assert site.health == ["StorageDamaged"]
        site.storage.replace_error = None
        await site.clock.sleep(31)
        assert site.storage.replaced == [[1, 2, 3]]
        assert site.health == ["StorageDamaged", None]
        assert site.stored == [1, 2, 3]

    at_site(scenario)
