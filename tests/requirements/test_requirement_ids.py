"""Every requirement and test-case id that our sources mention exists: a typo fails here."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from requirements import facts

THIS_FILE: Final = Path(__file__)
"""Names ids that do not exist, on purpose."""
ROOT: Final = THIS_FILE.parents[2]
FOLDERS: Final = ("python", "rust", "tests")
SUFFIXES: Final = frozenset({".py", ".pyi", ".rs", ".md", ".json", ".toml"})
SKIPPED: Final = frozenset({"target", "corpus", "artifacts", "__pycache__", ".hypothesis"})

# Wider than the true forms, so that a slip of the pen is still seen as an id. In names of
# functions the dots are underscores.
REQUIREMENT: Final = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]\d{1,3})[._]?(?:FR|fr)[._]?(\d+)(?!\d)")
LETTERED: Final = re.compile(r"(?<![A-Za-z0-9.])((?:SC|V2X)\.\d+)(?!\d)")
TEST_CASE: Final = re.compile(r"(?<![A-Za-z0-9])TC_([A-Za-z]+)_(\w*\d)(_CSMS|_CS)?(?![A-Za-z0-9])")


def requirements_in(text: str) -> Iterator[str]:
    """Requirement ids in a text, in the form of the specification."""
    for match in REQUIREMENT.finditer(text):
        yield f"{match[1].upper()}.FR.{match[2]}"
    for match in LETTERED.finditer(text):
        yield match[1]


def test_cases_in(text: str) -> Iterator[str]:
    """Part 6 test-case ids in a text."""
    for match in TEST_CASE.finditer(text):
        yield f"TC_{match[1]}_{match[2]}{match[3] or ''}"


test_cases_in.__test__ = False  # type: ignore[attr-defined] - no test, in spite of its name


def sources() -> Iterator[Path]:
    """All our source files; generated tables name no requirement, but cost little."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in SUFFIXES or path == THIS_FILE:
                continue
            if SKIPPED.isdisjoint(path.parts):
                yield path


def test_facts_are_complete() -> None:
    assert len(facts.rows("fr_201.csv")) == 1_264
    assert len(facts.rows("fr_21.csv")) == 1_849
    assert len(facts.rows("tc_cs.csv")) == 424
    assert len(facts.rows("messages.csv")) == 91
    assert {"A00.FR.001", "FR.01", "SC.01", "V2X.01"} <= facts.requirement_ids()
    assert {"TC_A_01_CS", "TC_A_01", "TC_A_02_CSMS"} <= facts.test_case_ids()


def test_every_mentioned_id_exists() -> None:
    unknown: list[str] = []
    for path in sources():
        text = path.read_text(encoding="utf-8")
        named = {*requirements_in(text)} - facts.requirement_ids()
        tests = {*test_cases_in(text)} - facts.test_case_ids()
        unknown += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(named | tests)]
    assert not unknown, "\n".join(unknown)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see B05.FR.02, E01.FR.999.", ["B05.FR.02", "E01.FR.999"]),
        ("def test_k01_fr_03_profile", ["K01.FR.03"]),
        ("B05FR02", ["B05.FR.02"]),
        ("SC.09 and V2X.99", ["SC.09", "V2X.99"]),
        ("0xB05F, fr_201, Z.FR, ABC01.FR", []),
    ],
)
def test_slips_are_seen(text: str, found: list[str]) -> None:
    assert [*requirements_in(text)] == found


def test_test_cases_are_seen() -> None:
    text = "TC_A_01_CS, TC_B_999_CSMS and TC_E_1"
    assert [*test_cases_in(text)] == ["TC_A_01_CS", "TC_B_999_CSMS", "TC_E_1"]
