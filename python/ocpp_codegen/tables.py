"""The committed tables beside the schemas: messages, corrections and secrets (CSV files)."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ocpp_codegen.model import Action, Direction, Framing, Secrecy

FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Correction:
    """A keyword whose value in the package differs from the official schema."""

    type: str
    field: str
    keyword: str
    expected: int
    corrected: int


def corrections(version: str) -> tuple[Correction, ...]:
    """Those of one version, from `corrections.csv`."""
    return tuple(
        Correction(
            type=row["type"],
            field=row["field"],
            keyword=row["keyword"],
            expected=int(row["expected"]),
            corrected=int(row["corrected"]),
        )
        for row in _rows("corrections.csv")
        if row["version"] == version
    )


def actions(version: str) -> tuple[Action, ...]:
    """The actions of one version from `messages.csv`, by name."""
    found = (
        Action(
            name=row["action"],
            direction=Direction(row["direction"]),
            block=row["block"],
            framing=Framing(row["framing"]),
        )
        for row in _rows("messages.csv")
        if version in row["versions"].split()
    )
    return tuple(sorted(found, key=lambda action: action.name))


def secrets() -> dict[tuple[str, str], Secrecy]:
    """Type and member (as on the wire) of everything in `secrets.csv`."""
    return {(row["type"], row["field"]): Secrecy(row["secrecy"]) for row in _rows("secrets.csv")}


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (FOLDER / name).open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)
