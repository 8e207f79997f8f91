"""Every requirement of the link that binds the station is named by a test (issue 5).

A00 to A05, B09, B10 and M03 to M06, both versions with their errata.
"""

import re
from typing import Final

import pytest

from requirements import coverage, facts

USE_CASES: Final = re.compile(r"(A0[0-5]|B09|B10|M0[3-6])\.FR\.\d+$")

NOT_TESTED: Final = {
    "A00.FR.406": "what the CSMS may do with a station of a foreign certificate",
    "A00.FR.408": "an entry in the log of the CSMS",
    "A00.FR.428": "a permission, not used: each purpose has a certificate of its own",
    "A00.FR.513": "applies only to a certificate for both purposes, see A00.FR.428",
    "A03.FR.01": "a permission, without a time or an occasion to do it",
    "B09.FR.07": "advice to whoever configures the two ends",
    "B10.FR.05": "what an operator does before he asks for the reset",
}
"""What no test of a station can show, and why."""


@pytest.mark.parametrize("version", facts.VERSION_OF_FILE)
def test_every_requirement_of_the_link_has_a_test(version: str) -> None:
    missing = coverage.bound(version, USE_CASES) - coverage.tests_of().keys() - NOT_TESTED.keys()
    assert not missing, sorted(missing)


def test_the_requirements_are_as_many_as_the_specification_has() -> None:
    """So that an empty table proves nothing."""
    bound = {version: coverage.bound(version, USE_CASES) for version in facts.VERSION_OF_FILE}
    assert {version: len(ids) for version, ids in bound.items()} == {"2.0.1": 146, "2.1": 173}
    gone = {"A00.FR.003", "A02.FR.09", "A03.FR.09"}
    assert all(gone.isdisjoint(ids) for ids in bound.values())
    added = {"A00.FR.430", "A02.FR.28", "A05.FR.10", "B09.FR.31", "B10.FR.08", "B10.FR.10"}
    assert all(added <= ids for ids in bound.values())
    assert {"B09.FR.33", "B09.FR.34", "B09.FR.35"} <= bound["2.1"] - bound["2.0.1"]
    assert "B09.FR.32" in bound["2.1"] - bound["2.0.1"]


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
