"""docs/errors.md tells the truth: its table is the one in the code, its examples are refused so."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from ocpp_fast._core import CallResult, Codec, InvalidFrame
from ocpp_fast.errors import ErrorCode

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
CODE = (ROOT / "rust/ocpp-core/src/violation.rs").read_text(encoding="utf-8")


class Row(NamedTuple):
    """A line of the table of rules."""

    rule: str
    code: str
    frame: bytes
    versions: tuple[str, ...]
    pointer: str


def expanded(text: str) -> str:
    """Without the shorthand for repetitions."""
    return re.sub(r"⟨(.+?)⟩×(\d+)", lambda found: found[1] * int(found[2]), text)


def table(heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, without its head."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def rows() -> list[Row]:
    found: list[Row] = []
    for rule, code, example, *rest in table("Rules"):
        written = re.fullmatch(r"`(.+)`( \(2\.1\))?", example)
        assert written is not None, example
        versions = ("2.1",) if written[2] else ("2.0.1", "2.1")
        pointer = expanded(rest[0].strip("`| ")) if rest else ""
        frame = expanded(written[1]).encode()
        found.append(Row(rule.strip("`"), code, frame, versions, pointer))
    return found


def test_the_rules_are_those_of_the_code_in_its_order() -> None:
    listed = CODE.split("pub const ALL", 1)[1].split("];", 1)[0]
    names = re.findall(r'\(Self::\w+, "([^"]+)"\)', listed)
    assert len(names) > 10
    assert [row.rule for row in rows()] == names


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.rule)
def test_the_example_is_refused_as_the_page_says(row: Row) -> None:
    for version in row.versions:
        found = Codec(version).decode(row.frame)
        assert isinstance(found, InvalidFrame), found
        assert (found.code, found.pointer) == (row.code, row.pointer), found.cause
        assert found.cause


def test_every_code_on_the_page_exists() -> None:
    codes = {row.code for row in rows()} | {
        cells[0] for cells in table("Codes that no schema rule gives")
    }
    assert codes <= set(ErrorCode)


def test_tolerant_mode_keeps_what_the_page_says() -> None:
    tolerant, strict = Codec("2.1", tolerant=True), Codec("2.1")
    too_long = "x" * 99
    members = {
        "an unknown member": '"x":1',
        "a string that is too long": f'"statusInfo":{{"reasonCode":"{too_long}"}}',
        "null for an absent optional member": '"statusInfo":null',
        "an optional array that is empty": '"supersededIds":[]',
    }
    assert [cells[0] for cells in table("Tolerant mode")] == list(members)
    for what, member in members.items():
        data = f'[3,"1",{{"status":"Accepted",{member}}}]'.encode()
        refused = strict.decode(data, "1", "SetDERControl")
        assert isinstance(refused, InvalidFrame), what
        frame = tolerant.decode(data, "1", "SetDERControl")
        assert isinstance(frame, CallResult), what
        (deviation,) = frame.deviations
        assert (deviation.code, deviation.pointer) == (refused.code, refused.pointer)
