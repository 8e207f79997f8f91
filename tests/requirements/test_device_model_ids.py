"""Every requirement of the device model that binds the station is named by a test (issue 4).

B05 to B08 and N02 to N08, both versions, with what the errata removed left out. A test names a
requirement in its name (`test_b05_fr_01_02_...`), its docstring, its body or its parameters.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from requirements import facts
from requirements.test_requirement_ids import requirements_in

TESTS: Final = Path(__file__).parents[1]
USE_CASES: Final = re.compile(r"(B0[5-8]|N0[2-8])\.FR\.\d+")
STATION: Final = frozenset({"CS", "both"})
# `test_b05_fr_01_02_b06_fr_03` names B05.FR.01, B05.FR.02 and B06.FR.03.
IN_NAME: Final = re.compile(r"(?<![a-z0-9])([a-z]\d\d)_fr((?:_\d\d)+)(?![0-9])")


def bound(version: str) -> set[str]:
    """The requirements in question of a version, without those that its errata removed."""
    found = {
        row["id"]
        for row in facts.rows(facts.VERSION_OF_FILE[version])
        if row["actor"] in STATION and USE_CASES.fullmatch(row["id"])
    }
    number = version.replace(".", "")
    gone = {
        row["id"]
        for row in facts.rows("fr_errata.csv")
        if row["version"] == number and row["kind"] == "removed"
    }
    return found - gone


def named_by(name: str) -> Iterator[str]:
    """Requirement ids in the name of a test."""
    for match in IN_NAME.finditer(name):
        for number in match[2].split("_")[1:]:
            yield f"{match[1].upper()}.FR.{number}"


@cache
def tests_of() -> dict[str, set[str]]:
    """For each requirement the tests that name it, as `file::test`."""
    found: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        if path.parent == Path(__file__).parent:
            continue
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
                "test_"
            ):
                text = _text(source, node)
                for one in {*named_by(node.name), *requirements_in(text)}:
                    found.setdefault(one, set()).add(f"{path.relative_to(TESTS)}::{node.name}")
    return found


tests_of.__test__ = False  # type: ignore[attr-defined] - no test, in spite of its name


def _text(source: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """A function with its decorators and comments, without its name."""
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    lines = source.splitlines()[first - 1 : node.end_lineno]
    return "\n".join(line.replace(node.name, "") for line in lines)


@pytest.mark.parametrize("version", facts.VERSION_OF_FILE)
def test_every_requirement_of_the_device_model_has_a_test(version: str) -> None:
    missing = bound(version) - tests_of().keys()
    assert not missing, sorted(missing)


def test_the_requirements_are_as_many_as_the_specification_has() -> None:
    """So that an empty table proves nothing; B07.FR.15 and N02.FR.23 are gone by the errata."""
    assert {version: len(bound(version)) for version in facts.VERSION_OF_FILE} == {
        "2.0.1": 130,
        "2.1": 135,
    }
    assert {"N02.FR.22", "N07.FR.20", "N07.FR.23"} <= bound("2.1") - bound("2.0.1")
    assert bound("2.1").isdisjoint({"B07.FR.15", "N02.FR.23", "B05.FR.11", "N08.FR.02"})


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("test_b05_fr_01_02_12_b06_fr_03_x", {"B05.FR.01", "B05.FR.02", "B05.FR.12", "B06.FR.03"}),
        ("test_tc_b_11_n07_fr_04", {"N07.FR.04"}),
        ("test_part_1_section_3_3", set()),
    ],
)
def test_names_are_read(name: str, found: set[str]) -> None:
    assert {*named_by(name)} == found
