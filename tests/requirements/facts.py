"""The committed facts about requirements and test cases, for tests."""

import csv
from functools import cache
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent

VERSION_OF_FILE: Final = {"2.0.1": "fr_201.csv", "2.1": "fr_21.csv"}


def rows(name: str) -> list[dict[str, str]]:
    """All rows of one of the tables."""
    with (HERE / name).open(newline="", encoding="utf-8") as source:
        return list(csv.DictReader(source))


@cache
def requirement_ids() -> frozenset[str]:
    """Requirement ids of both versions with those that the errata added."""
    tables = (*VERSION_OF_FILE.values(), "fr_errata.csv")
    return frozenset(row["id"] for name in tables for row in rows(name))


@cache
def test_case_ids() -> frozenset[str]:
    """Part 6 test cases of both versions, with and without the `_CS` or `_CSMS` of their side."""
    found = {row["tc_id"] for name in ("tc_cs.csv", "tc_profiles.csv") for row in rows(name)}
    for row in rows("tc_profiles_21e2.csv"):
        found.add(row["tc_id"])
        found |= {f"{row['tc_id']}_{side.upper()}" for side in ("cs", "csms") if row[side]}
    return frozenset(found)


test_case_ids.__test__ = False  # type: ignore[attr-defined] - no test, in spite of its name
