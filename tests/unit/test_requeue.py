"""Dead letters that are sent again: each in its old place, whatever of its lane is in memory, on
disk only, or under way."""

import pytest

from ocpp_fast.outbox import Outbox
from unit.window_kit import POLICY, Disk, drained, in_memory, opening, row


def test_a_dead_letter_that_the_scan_has_still_to_come_across() -> None:
    disk = Disk(row(n) for n in range(1, 11))
    disk.load()
    disk.post(opening(11, "new"))
    letter = disk.rows[11]
    assert disk.deliver() == [11]  # Given up, and buried.
    disk.post(row(12))
    disk.rows[11] = letter
    disk.outbox.requeue([letter])
    disk.outbox.went_offline(12)
    assert drained(disk) == list(range(1, 13))


def test_a_dead_letter_of_a_transaction_that_opened_just_now_goes_now() -> None:
    disk = Disk(row(n) for n in range(1, 11))
    disk.load()
    disk.post(opening(11, "new"))
    letter = disk.rows[11]
    assert disk.deliver() == [11]  # Given up, and buried.
    disk.rows[11] = letter
    disk.outbox.requeue([letter])
    disk.post(row(12, "new"))
    assert disk.deliver(2) == [11, 12]
    assert drained(disk) == list(range(1, 11))


def test_dead_letters_of_a_storage_that_is_not_durable_are_all_in_memory() -> None:
    disk = Disk()
    disk.outbox = Outbox(window=2)
    disk.outbox.requeue(row(n) for n in range(1, 21))
    assert disk.deliver(99) == list(range(1, 21))


@pytest.mark.parametrize("is_loading", [False, True])
def test_many_dead_letters_of_a_lane_that_is_partly_on_disk(is_loading: bool) -> None:
    disk = Disk([row(n, "poisoned") for n in range(11, 15)] + [row(15, "sound"), row(16, "sound")])
    disk.load()
    assert disk.outbox.failed(disk.take(), 0, POLICY)
    assert drained(disk) == [15, 16]
    delivered: list[int] = []
    found = None
    if is_loading:
        delivered += disk.deliver(now=60)
        found = disk.read()
        assert found is not None
    letters = {n: row(n, "poisoned") for n in range(1, 11)}
    disk.rows |= letters
    disk.outbox.requeue(letters.values())
    assert disk.outbox.in_memory == 4
    if found is not None:
        disk.outbox.take_page(found[1])
    delivered += drained(disk, 60)
    assert delivered == ([11, *range(1, 11)] if is_loading else [*range(1, 12)]) + [12, 13, 14]


def test_a_dead_letter_that_goes_while_its_lane_is_loaded() -> None:
    disk = Disk([*(row(n, "poisoned") for n in range(2, 5)), row(5, "sound"), row(6, "sound")])
    disk.load()
    assert disk.outbox.failed(disk.take(), 0, POLICY)
    assert disk.deliver(now=60) == [2]
    found = disk.read()
    assert found is not None
    assert found[0].lane == "poisoned"
    disk.outbox.requeue([row(1, "poisoned")])
    assert disk.deliver() == [1]
    disk.outbox.take_page(found[1])
    assert drained(disk) == [3, 4, 5, 6]


def test_a_dead_letter_goes_before_later_ones_of_its_lane() -> None:
    disk = Disk()
    disk.post(row(1))
    disk.post(row(2))
    disk.post(row(3))
    first = disk.take()
    disk.outbox.delivered(first)  # Given up, and buried.
    waiting = disk.take()
    assert disk.outbox.failed(waiting, 0, POLICY)
    disk.outbox.requeue([first])
    assert disk.deliver(9) == [1]
    assert disk.deliver(9, now=59) == [], "E13.FR.03: the pause of the other goes on"
    assert disk.deliver(9, now=60) == [2, 3]


def test_a_dead_letter_goes_after_the_one_that_is_under_way() -> None:
    disk = Disk()
    disk.post(row(5))
    disk.post(row(6))
    under_way = disk.take()
    disk.rows[4] = row(4)
    disk.outbox.requeue([disk.rows[4]])
    disk.outbox.delivered(under_way)
    assert disk.deliver(9) == [4, 6]


def test_many_dead_letters_do_not_stay_in_memory() -> None:
    disk = Disk()
    for n in range(1, 31):
        disk.rows[n] = row(n, f"tx-{n % 7}")
    disk.outbox.requeue(disk.rows.values())
    assert disk.outbox.in_memory == 4
    assert sorted(drained(disk)) == list(range(1, 31))


@pytest.mark.parametrize("outcome", ["answered", "refused", "cut off"])
def test_many_dead_letters_of_the_lane_that_is_under_way(outcome: str) -> None:
    disk = Disk()
    disk.post(row(100))
    disk.post(row(101))
    under_way = disk.take()
    letters = {n: row(n) for n in range(1, 21)}
    disk.rows |= letters
    disk.outbox.requeue(letters.values())
    assert in_memory(disk) == [1, 2, 3, 4, 100]
    delivered = [100]
    if outcome == "answered":
        disk.outbox.delivered(under_way)
        del disk.rows[100]
        delivered = []
    elif outcome == "refused":
        assert disk.outbox.failed(under_way, 0, POLICY)
    else:
        disk.outbox.interrupted(under_way)
    assert drained(disk, 60) == [*delivered, *range(1, 21), 101]


@pytest.mark.parametrize("before", ["nothing", "refused", "refused and scanned"])
def test_dead_letters_come_behind_earlier_ones_that_are_on_disk_again(before: str) -> None:
    disk = Disk()
    disk.rows |= {n: row(n) for n in range(1, 21)}
    disk.outbox.requeue(list(disk.rows.values()))
    if before != "nothing":
        assert disk.outbox.failed(disk.take(), 0, POLICY)
    if before == "refused and scanned":
        assert drained(disk) == []
    disk.rows |= {30: row(30), 31: row(31), 32: row(32, "other")}
    disk.outbox.requeue([disk.rows[n] for n in (30, 31, 32)])
    delivered = drained(disk, 60)
    assert [n for n in delivered if n != 32] == [*range(1, 21), 30, 31]
    assert 32 in delivered


@pytest.mark.parametrize("is_refused", [False, True])
def test_dead_letters_that_come_one_by_one_behind_what_was_under_way(is_refused: bool) -> None:
    disk = Disk()
    disk.post(row(100))
    under_way = disk.take()
    disk.rows |= {n: row(n) for n in (1, 2, 30)}
    disk.outbox.requeue([disk.rows[2], disk.rows[1]])
    if is_refused:
        assert disk.outbox.failed(under_way, 0, POLICY)
    else:
        disk.outbox.interrupted(under_way)
    disk.outbox.requeue([disk.rows[30]])
    assert drained(disk, 60) == [100, 1, 2, 30]


def test_dead_letters_do_not_push_out_what_is_in_memory_alone() -> None:
    disk = Disk()
    disk.outbox.accept(row(50, "unstored"), stored=False)
    disk.rows |= {n: row(n) for n in range(1, 21)}
    disk.outbox.requeue(list(disk.rows.values()))
    assert sorted(drained(disk)) == [*range(1, 21), 50]
