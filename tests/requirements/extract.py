"""Copies the facts the tests use out of the requirement tables: ids and classes, no prose.

    python tests/requirements/extract.py ../shared/requirements

writes the CSV files beside this script. Needed only when those tables change; the tests read the
committed files.
"""

import csv
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent

COLUMNS: Final = {
    "fr_201.csv": ("id", "block", "use_case_id", "actor", "level"),
    "fr_21.csv": ("id", "block", "use_case_id", "actor", "level"),
    "fr_errata.csv": ("version", "id", "kind"),
    "tc_cs.csv": ("tc_id", "block", "use_cases", "requirements"),
    "tc_profiles.csv": ("tc_id", "certification_profile", "mandatory|conditional|optional"),
    "tc_profiles_21e2.csv": ("tc_id", "certification_profile", "cs", "csms"),
    "device_model.csv": (
        "version",
        "component",
        "variable",
        "instance",
        "required_class",
        "datatype",
        "unit",
        "mutability_part2",
    ),
    "messages.csv": ("action", "in_201", "in_21", "direction", "block", "response_required"),
}
"""The tables and the columns that are facts."""
RENAMED: Final = {
    "mandatory|conditional|optional": "level",
    "required_class": "required",
    "mutability_part2": "mutability",
}
LETTER_ONLY: Final = frozenset({"block"})
"""Columns of which the first letter is enough."""
MUTABILITIES: Final = re.compile("ReadOnly|ReadWrite|WriteOnly")
"""All that counts of what stands in `mutability_part2`."""


def main(folder: Path) -> None:
    """Writes every table."""
    for name, columns in COLUMNS.items():
        with (folder / name).open(newline="", encoding="utf-8") as source:
            rows = [_row(row, columns) for row in csv.DictReader(source)]
        _write(HERE / name, [RENAMED.get(column, column) for column in columns], rows)


def _row(row: dict[str, str], columns: Iterable[str]) -> list[str]:
    return [_fact(column, row[column]) for column in columns]


def _fact(column: str, text: str) -> str:
    if column in LETTER_ONLY:
        return text[:1]
    if column == "mutability_part2":
        return "/".join(MUTABILITIES.findall(text))
    return text


def _write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
