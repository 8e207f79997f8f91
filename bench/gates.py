"""The gates: read from gates.toml, judged on what several processes measured."""

import datetime as dt
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from bench.run import Record

GATES_FILE: Final = Path(__file__).with_name("gates.toml")

SLACK: Final = 1.10
"""A gate above its figure stands at the best measured value times this."""


@dataclass(frozen=True, slots=True)
class NotReached:
    """A measurement that misses the figure, for one payload and form or for the whole row."""

    measured: float
    measured_on: dt.date
    payload: str | None = None
    variant: str | None = None

    def covers(self, record: Record) -> bool:
        """Whether it speaks of that benchmark."""
        return self.payload in {None, record.get("payload")} and self.variant in {
            None,
            record.get("variant"),
        }


@dataclass(frozen=True, slots=True)
class Gate:
    """One row of the figures to reach."""

    row: str
    what: str
    unit: str
    figure: float
    source: Mapping[str, Any]
    at_least: bool = False
    not_reached: tuple[NotReached, ...] = ()

    @property
    def command(self) -> tuple[str, ...] | None:
        """Arguments for Python of a measurement outside the suites; it prints a JSON object."""
        found = self.source.get("command")
        return None if found is None else tuple(found)

    def limit(self, record: Record) -> float:
        """Where the gate stands for one benchmark."""
        known = [entry.measured for entry in self.not_reached if entry.covers(record)]
        if not known:
            return self.figure
        if self.at_least:
            return min(self.figure, min(known) / SLACK)
        return max(self.figure, max(known) * SLACK)

    def values(self, records: Sequence[Record]) -> dict[str, tuple[Record, float]]:
        """The number of each benchmark of the row in one process's records, by label."""
        if self.command is not None:
            return self._values_of_command(records)
        found = (self._value(record) for record in records)
        return {label: (record, value) for label, record, value in filter(None, found)}

    def _values_of_command(self, records: Sequence[Record]) -> dict[str, tuple[Record, float]]:
        """In such an object each payload has a table of candidates."""
        candidate, name = self.source["candidate"], self.source["field"]
        return {
            payload: ({"payload": payload}, table[candidate][name])
            for record in records
            for payload, table in record.items()
            if isinstance(table, dict) and candidate in table
        }

    def _value(self, record: Record) -> tuple[str, Record, float] | None:
        source = self.source
        if record.get("operation") != source["operation"]:
            return None
        if "step" in source:
            step = record["steps"].get(source["step"])
            return None if step is None else (source["step"], record, step[source["field"]])
        candidate = record["candidates"].get(source.get("candidate", "ocpp_fast"))
        if candidate is None or not self._speaks_of(record):
            return None
        named = (str(record[key]) for key in ("payload", "version", "variant") if key in record)
        label = " ".join(named) + f" x{record.get('messages')}" * (record.get("messages", 1) > 1)
        if "field" in source:
            return (label, record, candidate[source["field"]])
        return (label, record, candidate["ratio"][source["reference"]]["median"])

    def _speaks_of(self, record: Record) -> bool:
        payloads, variants = self.source.get("payloads"), self.source.get("variants", ("compact",))
        if payloads is not None and record["payload"] not in payloads:
            return False
        if "variant" not in record or "*" in variants:
            return True
        return record["variant"] in variants and record["messages"] == 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """One benchmark of one row: the median of the processes against the gate."""

    gate: Gate
    label: str
    measured: float
    limit: float
    processes: tuple[float, ...]

    @property
    def passed(self) -> bool:
        """Whether it is on the right side of its gate."""
        return self._within(self.limit)

    @property
    def reached(self) -> bool:
        """Whether it is on the right side of the figure itself."""
        return self._within(self.gate.figure)

    @property
    def strain(self) -> float:
        """How near it is to the gate: above 1 it fails."""
        if self.gate.at_least:
            return self.limit / self.measured
        return self.measured / self.limit

    def _within(self, limit: float) -> bool:
        return self.measured >= limit if self.gate.at_least else self.measured <= limit


def load(path: Path = GATES_FILE) -> list[Gate]:
    """The gates of a file, in its order."""
    with path.open("rb") as file:
        tables = cast("list[dict[str, Any]]", tomllib.load(file)["gate"])
    found: list[Gate] = []
    for table in tables:
        entries = tuple(NotReached(**entry) for entry in table.pop("not_reached", ()))
        found.append(Gate(**table, not_reached=entries))
    return found


def judge(gate: Gate, processes: Sequence[Sequence[Record]]) -> list[Verdict]:
    """A verdict for each benchmark of the row; empty where nothing was measured."""
    found = [gate.values(records) for records in processes]
    labels = found[0].keys() if found else ()
    verdicts: list[Verdict] = []
    for label in labels:
        values = tuple(values[label][1] for values in found if label in values)
        limit = gate.limit(found[0][label][0])
        verdicts.append(Verdict(gate, label, statistics.median(values), limit, values))
    return verdicts
