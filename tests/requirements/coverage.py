"""Which tests name which requirement.

A test names a requirement in its name (`test_b05_fr_01_02_...`), its docstring, its body or its
parameters. A range or a list (`B09.FR.26/27`) names its first requirement only.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from requirements import facts
from requirements.test_requirement_ids import requirements_in

TESTS: Final = Path(__file__).parents[1]
STATION: Final = frozenset({"CS", "both"})
# `test_b05_fr_01_02_b06_fr_03` names B05.FR.01, B05.FR.02 and B06.FR.03.
IN_NAME: Final = re.compile(r"(?<![a-z0-9])([a-z]\d\d)_fr((?:_\d{2,3})+)(?![0-9])")


def bound(version: str, use_cases: re.Pattern[str]) -> set[str]:
    """The requirements of some use cases that bind the station: those of a version with what its
    errata added, without what they removed. All that the errata added binds the station."""
    found = {
        row["id"]
        for row in facts.rows(facts.VERSION_OF_FILE[version])
        if row["actor"] in STATION and use_cases.match(row["id"])
    }
    return (found | _errata(version, "new", use_cases)) - _errata(version, "removed", use_cases)


def _errata(version: str, kind: str, use_cases: re.Pattern[str]) -> set[str]:
    number = version.replace(".", "")
    return {
        row["id"]
        for row in facts.rows("fr_errata.csv")
        if row["version"] == number and row["kind"] == kind and use_cases.match(row["id"])
    }


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
