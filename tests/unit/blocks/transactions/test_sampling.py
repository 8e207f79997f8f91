"""Which readings an Ended event has when there are too many for one message."""

from __future__ import annotations

import pytest

from ocpp_fast._core import encode_payload
from ocpp_fast.blocks.transactions.sampling import _fitting
from unit.blocks.transactions.kit import energy_of, reading

READINGS = [reading(1_000 + n) for n in range(9)]
EACH = len(encode_payload(READINGS[0])) + 1


@pytest.mark.parametrize(
    ("max_bytes", "left"),
    [
        (9 * EACH, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (9 * EACH - 1, [0, 2, 4, 6, 8]),
        (5 * EACH, [0, 2, 4, 6, 8]),
        (5 * EACH - 1, [0, 4, 8]),
        (3 * EACH - 1, [0, 8]),
        (1, [0, 8]),
    ],
)
def test_j02_fr_20_every_second_one_in_between_goes(max_bytes: int, left: list[int]) -> None:
    kept = [energy_of(each) for each in _fitting(READINGS, max_bytes)]
    assert kept == [1_000 + n for n in left]


@pytest.mark.parametrize("count", range(1, 9))
def test_the_first_and_the_last_stay_however_long_they_are(count: int) -> None:
    found = _fitting(READINGS[:count], 1)
    assert found == READINGS[:1] + READINGS[1:count][-1:]
