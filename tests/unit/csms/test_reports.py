"""Reports put together from their parts."""

from itertools import permutations

import pytest

from ocpp_fast.csms.reports import Report, ReportParts

PARTS = ((0, ("a", "b"), True), (1, ("c",), True), (2, ("d", "e"), False))


class Completed:
    def __init__(self, max_items: int = 100) -> None:
        self.times = 0
        self.parts = ReportParts(self.complete, max_items)

    def complete(self) -> None:
        self.times += 1


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_parts_come_in_any_order(order: tuple[int, ...]) -> None:
    completed = Completed()
    for index in order:
        assert completed.times == 0
        seq_no, items, more = PARTS[index]
        completed.parts.add(seq_no, items, more=more)
        completed.parts.add(seq_no, items, more=more)  # twice
    assert completed.times == 1
    assert completed.parts.report("Accepted") == Report("Accepted", list("abcde"), 3)


def test_a_part_without_items() -> None:
    completed = Completed()
    completed.parts.add(0, (), more=False)
    assert completed.times == 1
    assert completed.parts.report("Accepted") == Report("Accepted", [], 1)


def test_too_much_is_never_complete() -> None:
    completed = Completed(max_items=4)
    for seq_no, items, more in PARTS:
        completed.parts.add(seq_no, items, more=more)
    assert completed.times == 0
    assert completed.parts.report("Accepted").items == ["a", "b", "c"]
