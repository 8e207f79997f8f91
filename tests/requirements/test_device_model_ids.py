"""Every requirement of the device model that binds the station is named by a test (issue 4).

B05 to B08 and N02 to N08, both versions, with what the errata removed left out.
"""

import re
from typing import Final

import pytest

from requirements import coverage, facts

USE_CASES: Final = re.compile(r"(B0[5-8]|N0[2-8])\.FR\.\d+$")


@pytest.mark.parametrize("version", facts.VERSION_OF_FILE)
def test_every_requirement_of_the_device_model_has_a_test(version: str) -> None:
    missing = coverage.bound(version, USE_CASES) - coverage.tests_of().keys()
    assert not missing, sorted(missing)


def test_the_requirements_are_as_many_as_the_specification_has() -> None:
    """So that an empty table proves nothing; B07.FR.15 and N02.FR.23 are gone by the errata."""
    bound = {version: coverage.bound(version, USE_CASES) for version in facts.VERSION_OF_FILE}
    assert {version: len(ids) for version, ids in bound.items()} == {"2.0.1": 130, "2.1": 135}
    assert {"N02.FR.22", "N07.FR.20", "N07.FR.23"} <= bound["2.1"] - bound["2.0.1"]
    assert bound["2.1"].isdisjoint({"B07.FR.15", "N02.FR.23", "B05.FR.11", "N08.FR.02"})


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("test_b05_fr_01_02_12_b06_fr_03_x", {"B05.FR.01", "B05.FR.02", "B05.FR.12", "B06.FR.03"}),
        ("test_tc_b_11_n07_fr_04", {"N07.FR.04"}),
        ("test_a00_fr_501_502_keys", {"A00.FR.501", "A00.FR.502"}),
        ("test_part_1_section_3_3", set()),
    ],
)
def test_names_are_read(name: str, found: set[str]) -> None:
    assert {*coverage.named_by(name)} == found
