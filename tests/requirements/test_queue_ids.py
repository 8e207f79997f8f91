"""Every requirement of the queue, the boot and the power loss that binds the station is named by a
test (issue 6).

A04, B01 to B04, E04, E08 and E11 to E14, and of 2.1 E17, both versions with their errata.
"""

import re
from typing import Final

import pytest

from requirements import coverage, facts

USE_CASES: Final = re.compile(r"(A04|B0[1-4]|E04|E08|E1[1-4]|E17)\.FR\.\d+$")

NOT_TESTED: Final = {
    "B03.FR.04": "a permission, not used: the link stays open while the station is rejected",
    "E04.FR.09": "a permission, not used: a reading is one message",
    "E11.FR.06": "a permission, not used: a reading is one message",
    "E12.FR.06": "a permission, not used: a reading is one message",
}
"""What no test of a station can show, and why."""


@pytest.mark.parametrize("version", facts.VERSION_OF_FILE)
def test_every_requirement_of_the_queue_has_a_test(version: str) -> None:
    missing = coverage.bound(version, USE_CASES) - coverage.tests_of().keys() - NOT_TESTED.keys()
    assert not missing, sorted(missing)


def test_the_requirements_are_as_many_as_the_specification_has() -> None:
    """So that an empty table proves nothing."""
    bound = {version: coverage.bound(version, USE_CASES) for version in facts.VERSION_OF_FILE}
    assert {version: len(ids) for version, ids in bound.items()} == {"2.0.1": 81, "2.1": 94}
    assert {one for one in bound["2.1"] if one.startswith("E17")} == bound["2.1"] - bound["2.0.1"]
    both = {"A04.FR.02", "B01.FR.08", "B02.FR.02", "E04.FR.11", "E08.FR.11", "E11.FR.07"}
    assert all(both | {"E12.FR.09", "E13.FR.04", "E14.FR.08"} <= ids for ids in bound.values())


def test_what_is_not_tested_is_bound_and_only_advice_or_permission() -> None:
    """So that the list above hides no duty."""
    levels = {
        row["id"]: {row["level"]}
        for table in facts.VERSION_OF_FILE.values()
        for row in facts.rows(table)
    }
    for one in NOT_TESTED:
        assert levels[one] <= {"MAY", "SHOULD", "none"}, one
    everything = set[str]().union(
        *(coverage.bound(version, USE_CASES) for version in facts.VERSION_OF_FILE)
    )
    assert everything >= NOT_TESTED.keys()
