"""Which rows are in memory and which on disk only, step by step; `property/test_outbox.py` has the
random interleavings."""

import pytest

from ocpp_fast.outbox import Page
from unit.window_kit import POLICY, Disk, closing, drained, in_memory, opening, row


def test_a_long_queue_is_loaded_in_pages_the_oldest_first() -> None:
    disk = Disk(row(n, f"tx-{n % 3}") for n in range(1, 31))
    assert disk.load() == Page(0, 4, None)
    assert in_memory(disk) == [1, 2, 3, 4]
    assert disk.load() is None, "memory is full"
    assert len(disk.outbox) == 30
    assert disk.deliver(2) == [1, 2]
    assert disk.load() == Page(4, 2, None)
    assert drained(disk) == list(range(3, 31))
    assert disk.outbox.all_in_memory
    assert len(disk.outbox) == 0


def test_pages_grow_so_that_the_first_costs_a_start_nothing() -> None:
    disk = Disk((row(n) for n in range(1, 1_001)), window=1_000)
    pages = [disk.load() for _ in range(4)]
    assert [page.limit for page in pages if page is not None] == [50, 100, 200, 200]


def test_e11_fr_07_what_an_earlier_run_left_is_offline() -> None:
    disk = Disk([row(1)])
    disk.load()
    assert disk.take().offline


def test_what_is_posted_while_all_is_in_memory_is_in_memory() -> None:
    disk = Disk()
    for n in range(1, 5):
        disk.post(row(n))
    assert disk.load() is None
    assert disk.outbox.holds("old") is True
    assert disk.outbox.holds("other") is False
    assert disk.deliver(9) == [1, 2, 3, 4]


def test_what_does_not_fit_stays_on_disk_and_comes_in_its_turn() -> None:
    disk = Disk()
    disk.outbox.went_offline(0)
    for n in range(1, 11):
        disk.post(row(n, offline=True))
    assert in_memory(disk) == [1, 2, 3, 4]
    assert len(disk.outbox) == 10
    assert drained(disk) == list(range(1, 11))


def test_a_transaction_that_opens_now_does_not_wait_for_the_backlog() -> None:
    disk = Disk(row(n) for n in range(1, 101))
    disk.load()
    disk.post(opening(101, "new"))
    disk.post(row(102, "new"))
    disk.post(closing(103, "new"))
    assert disk.deliver(3) == [101, 102, 103]
    assert not disk.outbox._open, "nothing is kept of those that are over"
    assert disk.outbox.holds("new") is None
    assert drained(disk) == list(range(1, 101))


def test_a_transaction_that_was_open_before_goes_on_behind_its_backlog() -> None:
    disk = Disk(row(n) for n in range(1, 11))
    disk.load()
    disk.post(row(11))
    assert 11 not in in_memory(disk)
    assert drained(disk) == list(range(1, 12))


def test_one_that_the_window_had_no_room_for_is_whole_again_after_the_scan() -> None:
    disk = Disk(window=2)
    disk.outbox.went_offline(0)
    for n in range(1, 7):
        found = opening(n, f"tx-{n}")
        found.offline = True
        disk.post(found)
    assert disk.outbox.holds("tx-6") is None
    assert drained(disk) == [1, 2, 3, 4, 5, 6]
    disk.outbox.went_offline(6)
    for n in range(7, 10):
        disk.post(row(n, "filler", offline=True))
    disk.post(row(10, "tx-6"))
    assert disk.deliver() == [10], "it is live, and nothing of it is on disk"


def test_a_row_that_arrives_while_a_page_is_loaded_is_not_lost() -> None:
    disk = Disk(row(n) for n in range(1, 6))
    disk.load()
    disk.deliver(3)
    found = disk.read()
    assert found is not None
    disk.post(row(6))
    assert 6 not in [each.row_id for each in found[1]]
    disk.outbox.take_page(found[1])
    assert not disk.outbox.all_in_memory
    assert drained(disk) == [4, 5, 6]


def test_a_row_that_is_delivered_while_a_page_is_loaded_is_not_delivered_again() -> None:
    disk = Disk(row(n) for n in range(1, 7))
    disk.load()
    disk.deliver(4)
    disk.post(opening(7, "new"))
    found = disk.read()
    assert found is not None
    assert [each.row_id for each in found[1]] == [5, 6, 7]
    assert disk.deliver() == [7]
    disk.outbox.take_page(found[1])
    assert drained(disk) == [5, 6]


def test_a_row_that_is_not_yet_deleted_is_not_loaded_again() -> None:
    disk = Disk(row(n) for n in range(1, 7))
    disk.load()
    disk.post(opening(7, "new"))
    seven = disk.rows[7]
    disk.deliver(4)
    disk.rows[7] = seven  # Deleting it fails.
    found = disk.read()
    assert found is not None
    disk.outbox.take_page(found[1], gone={7})
    del disk.rows[7]
    assert drained(disk) == [4, 5, 6]


def test_a_page_that_cannot_be_loaded_is_asked_for_again() -> None:
    disk = Disk(row(n) for n in range(1, 4))
    assert disk.read() is not None
    assert disk.outbox.next_page() is None, "one at a time"
    disk.outbox.page_failed()
    assert drained(disk) == [1, 2, 3]


def test_a_transaction_that_is_refused_does_not_fill_the_window() -> None:
    """Its later rows are left on disk, and loaded by its name when its turn has come."""
    poisoned = [row(n, "poisoned") for n in range(1, 9)]
    disk = Disk([*poisoned, *(row(n, "sound") for n in range(9, 13))])
    disk.load()
    assert disk.outbox.failed(disk.take(), 0, POLICY)
    assert in_memory(disk) == [1]
    others: list[int] = []
    for _ in range(10):
        disk.load()
        others += disk.deliver()
    assert others == [9, 10, 11, 12]
    assert not disk.outbox.all_in_memory
    assert disk.outbox.holds("poisoned") is True
    assert disk.deliver(now=60) == [1]
    assert disk.outbox.holds("poisoned") is None, "only the disk knows"
    page = disk.load()
    assert page == Page(1, 4, "poisoned")
    assert drained(disk, 60) == [2, 3, 4, 5, 6, 7, 8]
    assert disk.outbox.all_in_memory


def test_nor_do_its_rows_that_the_scan_comes_across_later() -> None:
    poisoned = [row(n, "poisoned") for n in (1, *range(5, 25))]
    disk = Disk([*poisoned, *(row(n, "sound") for n in (2, 3, 4, *range(25, 30)))])
    disk.load()
    assert disk.outbox.failed(disk.take(), 0, POLICY)
    assert drained(disk) == [2, 3, 4, *range(25, 30)]
    assert in_memory(disk) == [1]
    disk.post(row(30, "poisoned"))
    assert in_memory(disk) == [1]
    assert drained(disk, 60) == [1, *range(5, 25), 30]


def test_nor_do_those_that_were_in_memory_when_the_window_became_too_small() -> None:
    disk = Disk(window=6)
    for n in range(1, 6):
        disk.post(row(n, "poisoned"))
    assert disk.outbox.failed(disk.take(), 0, POLICY)
    disk.outbox.went_offline(5)
    for n in range(6, 9):
        disk.post(row(n, "sound", offline=True))
    assert in_memory(disk) == [1, 6]
    assert drained(disk) == [6, 7, 8]
    assert drained(disk, 60) == [1, 2, 3, 4, 5]


def test_nor_does_what_comes_for_it_while_others_wait_on_disk() -> None:
    disk = Disk(row(n, "sound") for n in range(1, 21))
    disk.load()
    disk.post(opening(21, "poisoned"))
    assert disk.outbox.failed(disk.take(), 0, POLICY)
    disk.post(row(22, "poisoned"))
    assert 22 not in in_memory(disk)
    delivered = drained(disk, 60)
    assert delivered[0] == 21
    assert [n for n in delivered if n < 21] == list(range(1, 21))
    assert 22 in delivered


def test_a_row_that_arrives_while_its_lane_is_loaded_is_not_lost() -> None:
    disk = Disk([*(row(n, "poisoned") for n in range(1, 4)), row(4, "sound"), row(5, "sound")])
    disk.load()
    assert disk.outbox.failed(disk.take(), 0, POLICY)
    assert drained(disk) == [4, 5]
    assert disk.deliver(now=60) == [1]
    found = disk.read()
    assert found is not None
    assert found[0].lane == "poisoned"
    disk.post(row(6, "poisoned"))
    disk.outbox.take_page(found[1])
    assert drained(disk, 60) == [2, 3, 6]


def test_a_row_that_is_never_stored_keeps_its_place() -> None:
    """A storage may refuse one row and take the next."""
    disk = Disk(row(n) for n in range(1, 6))
    disk.load()
    disk.outbox.accept(row(6), stored=False)
    disk.post(row(7))
    assert drained(disk) == [1, 2, 3, 4, 5, 6, 7]


def test_a_row_that_is_never_stored_keeps_its_place_in_a_lane_that_is_refused() -> None:
    disk = Disk(window=6)
    disk.post(row(1, "poisoned"))
    disk.post(row(2, "poisoned"))
    disk.outbox.accept(row(3, "poisoned"), stored=False)
    disk.post(row(4, "poisoned"))
    disk.outbox.went_offline(4)
    for n in range(5, 12):
        disk.post(row(n, "sound", offline=True))
    assert disk.outbox.failed(disk.take(), 0, POLICY)
    assert drained(disk, 0) == list(range(5, 12))
    assert drained(disk, 60) == [1, 2, 3, 4]


def test_a_row_that_is_never_stored_may_be_the_last_of_a_lane_that_is_refused() -> None:
    disk = Disk(window=6)
    disk.post(row(1, "poisoned"))
    disk.post(row(2, "poisoned"))
    disk.outbox.accept(row(3, "poisoned"), stored=False)
    disk.outbox.went_offline(3)
    for n in range(4, 12):
        disk.post(row(n, "sound", offline=True))
    assert disk.outbox.failed(disk.take(), 0, POLICY)
    assert drained(disk, 0) == list(range(4, 12))
    assert disk.deliver(now=60) == [1]
    assert drained(disk, 60) == [2, 3]


def test_a_lane_goes_on_behind_rows_that_are_done_with() -> None:
    """They are still on the disk: all that was loaded of the lane."""
    disk = Disk([*(row(n, "poisoned") for n in range(1, 9)), row(9, "sound"), row(10, "sound")])
    disk.load()
    assert disk.outbox.failed(disk.take(), 0, POLICY)
    assert drained(disk) == [9, 10]
    assert disk.deliver(now=60) == [1]
    found = disk.read()
    assert found is not None
    assert [each.row_id for each in found[1]] == [2, 3, 4, 5]
    disk.outbox.take_page(found[1], gone={2, 3, 4, 5})
    assert drained(disk, 60) == [6, 7, 8]


def test_what_a_lane_has_loaded_is_not_loaded_again_by_the_scan() -> None:
    poisoned = [row(n, "poisoned") for n in (1, 2, 30)]
    disk = Disk([*poisoned, *(row(n, "sound") for n in range(3, 30))])
    disk.load()
    assert disk.outbox.failed(disk.take(), 0, POLICY)
    assert disk.deliver(2) == [3, 4]
    assert disk.deliver(now=60) == [1]
    assert disk.load() == Page(1, 4, "poisoned")
    assert in_memory(disk) == [2, 30]
    assert drained(disk, 60) == [2, *range(5, 31)]


def test_the_scan_goes_back_for_a_row_that_is_stored_late() -> None:
    disk = Disk((row(n) for n in range(1, 6)), window=2)
    disk.load()
    late = row(6)
    disk.outbox.accept(late, stored=False)
    for n in range(7, 13):
        disk.post(row(n, "other"))
    delivered = disk.deliver(2)
    for _ in range(2):
        disk.load()
        delivered += disk.deliver(2)
    found = disk.read()
    assert found is not None
    assert found[0].after > 6
    disk.rows[6] = late
    assert disk.outbox.became_stored(late)
    disk.outbox.take_page(found[1])
    delivered += drained(disk)
    assert sorted(delivered) == list(range(1, 13))


def test_what_is_in_memory_is_not_loaded_again_when_the_scan_goes_back() -> None:
    disk = Disk((row(n) for n in range(1, 6)), window=4)
    disk.load()
    late = row(6)
    disk.outbox.accept(late, stored=False)
    for n in range(7, 13):
        disk.post(row(n, f"other-{n}"))
    delivered = disk.deliver(4)
    disk.load()
    assert in_memory(disk) == [5, 6, 7, 8, 9]
    disk.rows[6] = late
    assert disk.outbox.became_stored(late)
    delivered += drained(disk)
    assert sorted(delivered) == list(range(1, 13))


def test_a_lane_that_cannot_be_loaded_is_loaded_later() -> None:
    disk = Disk([*(row(n, "poisoned") for n in range(1, 4)), row(4, "sound"), row(5, "sound")])
    disk.load()
    assert disk.outbox.failed(disk.take(), 0, POLICY)
    assert disk.deliver(now=60) == [1]
    assert disk.read() is not None
    disk.outbox.page_failed()
    assert drained(disk, 60) == [2, 3, 4, 5]


def test_many_that_are_refused_do_not_keep_the_others_on_disk() -> None:
    poisoned = [row(n, f"poisoned-{n}") for n in (1, 2, 3)]
    disk = Disk([*poisoned, *(row(n, "sound") for n in range(4, 9))])
    disk.load()
    for _ in poisoned:
        assert disk.outbox.failed(disk.take(), 0, POLICY)
    assert drained(disk) == [4, 5, 6, 7, 8]


def test_what_a_failing_storage_does_not_take_waits_for_its_lane() -> None:
    disk = Disk(row(n) for n in range(1, 7))
    disk.load()
    disk.outbox.accept(row(7), stored=False)
    disk.outbox.accept(opening(8, "new"), stored=False)
    assert disk.outbox.unstored == 2
    disk.rows |= {7: row(7), 8: row(8, "new")}
    assert disk.deliver() == [8]
    assert disk.outbox.holds("old") is True
    assert drained(disk) == [1, 2, 3, 4, 5, 6, 7]
    assert disk.outbox.holds("old") is False


def test_what_is_stored_after_all_is_not_taken_twice() -> None:
    disk = Disk(row(n) for n in range(1, 7))
    disk.load()
    parked, delivered = row(7), opening(8, "new")
    disk.outbox.accept(parked, stored=False)
    disk.outbox.accept(delivered, stored=False)
    disk.rows |= {7: parked, 8: delivered}
    disk.deliver()
    for late in (parked, delivered):
        assert disk.outbox.became_stored(late), "even if it was delivered meanwhile"
    disk.outbox.storage_works()
    assert disk.outbox.unstored == 0
    assert drained(disk) == [1, 2, 3, 4, 5, 6, 7]
    assert disk.outbox.holds("old") is False


def test_memory_goes_back_to_its_window_when_the_storage_works_again() -> None:
    disk = Disk()
    rows = [row(n, f"tx-{n % 7}") for n in range(1, 31)]
    for each in rows:
        disk.outbox.accept(each, stored=False)
    for each in rows:
        assert disk.outbox.in_memory == 30, "not before all of it is on the disk"
        disk.rows[each.row_id] = each
        assert disk.outbox.became_stored(each)
    assert not disk.outbox.became_stored(row(31)), "nobody has seen it before"
    assert disk.outbox.in_memory == 4
    assert sorted(drained(disk)) == list(range(1, 31))


def test_what_the_storage_does_not_take_leaves_as_ever() -> None:
    disk = Disk()
    for n in range(1, 31):
        disk.outbox.accept(row(n), stored=False)
    assert disk.deliver(99) == list(range(1, 31))
    for n in range(31, 39):
        disk.post(row(n))
    disk.outbox.went_offline(38)
    disk.outbox.accept(row(39, offline=True), stored=False)
    assert disk.deliver(99) == list(range(31, 40)), "whatever the room: it is nowhere else"


def test_all_that_waits_for_another_attempt_stays_in_memory() -> None:
    disk = Disk(window=2)
    rows = [row(n, f"tx-{n}") for n in range(1, 7)]
    for each in rows:
        disk.outbox.accept(each, stored=False)
        assert disk.outbox.failed(disk.take(), 0, POLICY)
    for each in rows:
        disk.rows[each.row_id] = each
        assert disk.outbox.became_stored(each)
    assert drained(disk, 60) == [1, 2, 3, 4, 5, 6]


def test_what_has_left_memory_is_known_from_the_disk_alone() -> None:
    disk = Disk()
    rows = [row(n) for n in range(1, 31)]
    for each in rows:
        disk.outbox.accept(each, stored=False)
    for each in rows:
        disk.rows[each.row_id] = each
        assert disk.outbox.became_stored(each)
    disk.post(row(31))
    assert disk.deliver(99) == [1, 2, 3, 4]
    assert disk.load() is not None
    assert disk.deliver(99) == [5, 6, 7, 8]
    assert drained(disk) == list(range(9, 32))


@pytest.mark.parametrize("is_refused", [False, True])
def test_what_is_under_way_or_is_tried_again_does_not_leave_memory(is_refused: bool) -> None:
    disk = Disk()
    rows = [row(n, "new" if n == 1 else f"tx-{n}", offline=n > 1) for n in range(1, 31)]
    rows[0].row_id = 31
    for each in rows:
        disk.outbox.accept(each, stored=False)
    under_way = disk.take()
    assert under_way.row_id == 31
    if is_refused:
        assert disk.outbox.failed(under_way, 0, POLICY)
    for each in rows:
        disk.rows[each.row_id] = each
        assert disk.outbox.became_stored(each)
    assert in_memory(disk) == [2, 3, 4, 5, 31]
    if is_refused:
        assert drained(disk, 59) == list(range(2, 31))
        assert drained(disk, 60) == [31]
    else:
        del disk.rows[31]
        disk.outbox.delivered(under_way)
        assert drained(disk) == list(range(2, 31))


@pytest.mark.parametrize("is_offline", [False, True])
def test_what_stays_in_memory_keeps_its_order(is_offline: bool) -> None:
    """The oldest first, whatever has gone."""
    disk = Disk(window=6)
    # Of lanes that come forth one after the other, as no sorted list has them.
    order = (5, 7, 3, 8, 13, 4, 1, 6, 10, 9, 12, 11, 2)
    rows = [row(n, f"tx-{n}", offline=is_offline) for n in order]
    for each in rows:
        disk.outbox.accept(each, stored=False)
    for each in rows:
        disk.rows[each.row_id] = each
        assert disk.outbox.became_stored(each)
    assert in_memory(disk) == [1, 2, 3, 4, 5, 6]
    assert disk.deliver(99) == [1, 2, 3, 4, 5, 6]
    assert drained(disk) == list(range(7, 14))


@pytest.mark.parametrize("is_offline", [False, True])
def test_while_online_what_happens_now_has_room_of_its_own(is_offline: bool) -> None:
    disk = Disk(row(n) for n in range(1, 11))
    disk.load()
    for n in range(11, 21):
        new = opening(n, f"tx-{n}")
        new.offline = is_offline
        disk.post(new)
    assert disk.outbox.in_memory == (4 if is_offline else 8)
