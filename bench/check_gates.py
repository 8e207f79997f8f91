"""Judges the performance gates: `python -m bench.check_gates`.

Runs the quick suites in three processes, takes the median of the three for each benchmark, prints
a table and writes bench/results/gates.json. If a gate fails, three more processes are run and the
median of all six decides: one process in ten is slow from memory layout alone, and a noisy
neighbour can slow several in a row. Ends with 1 when a gate fails, with 2 when nothing could be
judged (no release build, suites broken).
"""

import argparse
import datetime as dt
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from bench import gates
from bench.run import (
    RESULTS,
    ROOT,
    BenchmarkError,
    Record,
    environment_of,
    read_records,
    refuse_unmeasurable,
    run_suites,
    verify,
)

_HEADER = ("row", "figure", "gate", "measured", "verdict", "where it is nearest to its gate")


def main() -> int:
    """Runs, judges and reports."""
    options = _options()
    try:
        chosen = [gate for gate in gates.load() if options.only in gate.row]
        session = _Session(options, chosen)
        verdicts = session.measure()
        failed = [row for row, found in verdicts.items() if not _passed(found)]
        if failed and not options.judge:
            print(f"measured again: {', '.join(failed)}", file=sys.stderr)
            verdicts = session.measure(failed)
    except BenchmarkError as error:
        print(f"check_gates: {error}", file=sys.stderr)
        return 2
    print(_table(chosen, verdicts), _advice(verdicts), sep="\n")
    if options.suggest:
        print(_suggestion(verdicts))
    _write(chosen, verdicts, session.environment)
    return int(not all(_passed(found) for found in verdicts.values()))


def _passed(found: Sequence[gates.Verdict]) -> bool:
    return bool(found) and all(verdict.passed for verdict in found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.check_gates", description=__doc__)
    parser.add_argument("--processes", type=int, default=3, help="runs to take the median of")
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name contains it")
    parser.add_argument(
        "--judge", nargs="+", type=Path, metavar="JSON", help="judge these runs, measure nothing"
    )
    parser.add_argument(
        "--suggest", action="store_true", help="print not_reached entries for gates.toml"
    )
    return parser.parse_args()


class _Session:
    """What was measured so far, and the verdicts on it."""

    def __init__(self, options: argparse.Namespace, chosen: Sequence[gates.Gate]) -> None:
        self._options = options
        self._chosen = chosen
        self._suites: list[list[Record]] = []
        # Of measurements outside the suites, by their command lines.
        self._commands: dict[tuple[str, ...], list[list[Record]]] = {}

    @property
    def environment(self) -> Record:
        """Of the first process."""
        return environment_of(self._suites[0]) if self._suites else {}

    def measure(self, rows: Sequence[str] | None = None) -> dict[str, list[gates.Verdict]]:
        """Measures what `rows` (all by default) need once more, and judges everything."""
        needed = [gate for gate in self._chosen if rows is None or gate.row in rows]
        if any(gate.command is None for gate in needed):
            self._run_suites()
        for command in {gate.command for gate in needed}:
            if command is not None:
                self._run_command(command)
        return {gate.row: self._judged(gate) for gate in self._chosen}

    def _run_suites(self) -> None:
        """More processes. A first look makes sure that there is something to judge."""
        if self._options.judge:
            self._suites = [read_records(path) for path in self._options.judge]
        else:
            if not self._suites:
                verify()
            for _ in range(self._options.processes):
                start = time.perf_counter()
                number = len(self._suites) + 1
                self._suites.append(run_suites("quick", RESULTS / f"quick-{number}.json"))
                print(f"process {number}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
        for records in self._suites:
            refuse_unmeasurable(records)
        if len({environment_of(records).get("build") for records in self._suites}) > 1:
            raise BenchmarkError("the extension was rebuilt in between: nothing is judged")

    def _run_command(self, command: tuple[str, ...]) -> None:
        """Such a command takes medians over fresh processes itself; the second time it runs twice,
        so that three medians decide.
        """
        records = self._commands.setdefault(command, [])
        for _ in range(2 if records else 1):
            try:
                records.append([_record_of(command)])
            except BenchmarkError as error:
                print(error, file=sys.stderr)

    def _judged(self, gate: gates.Gate) -> list[gates.Verdict]:
        if gate.command is None:
            return gates.judge(gate, self._suites)
        return gates.judge(gate, self._commands.get(gate.command, []))


def _record_of(command: tuple[str, ...]) -> Record:
    """The JSON object that a measurement outside the suites prints."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"{' '.join(command)}: {done.returncode}\n{done.stderr[-2000:]}")
    return cast("Record", json.loads(done.stdout))


def _table(chosen: Sequence[gates.Gate], verdicts: dict[str, list[gates.Verdict]]) -> str:
    rows = [_HEADER, *(_row(gate, verdicts[gate.row]) for gate in chosen)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _row(gate: gates.Gate, found: list[gates.Verdict]) -> tuple[str, ...]:
    figure = f"{'>=' if gate.at_least else '<='} {gate.figure:g} {gate.unit}"
    if not found:
        return (gate.row, figure, "", "", "NOT MEASURED", "")
    worst = max(found, key=lambda verdict: verdict.strain)
    word = "FAILED" if not worst.passed else "held"
    if all(verdict.reached for verdict in found):
        word = "reached"
    return (gate.row, figure, f"{worst.limit:.4g}", f"{worst.measured:.4g}", word, worst.label)


def _by_payload(found: Sequence[gates.Verdict]) -> dict[str, list[gates.Verdict]]:
    groups: dict[str, list[gates.Verdict]] = {}
    for verdict in found:
        groups.setdefault(verdict.label.partition(" ")[0], []).append(verdict)
    return groups


def _advice(verdicts: dict[str, list[gates.Verdict]]) -> str:
    """Payloads that miss their figure, with their worst form; relaxed gates no longer needed."""
    lines: list[str] = []
    for row, found in verdicts.items():
        for group in _by_payload(found).values():
            over = [verdict for verdict in group if not verdict.reached]
            if over:
                worst = max(over, key=lambda verdict: verdict.strain)
                lines.append(f"over the figure: {row}: {len(over)} of {len(group)}: {_line(worst)}")
            elif any(verdict.limit != verdict.gate.figure for verdict in group):
                lines.append(f"not_reached can go: {row}: {_line(group[0])}")
    return "\n".join(lines)


def _suggestion(verdicts: dict[str, list[gates.Verdict]]) -> str:
    """What to write into gates.toml: the worst form of each payload that misses its figure."""
    lines: list[str] = []
    today = dt.datetime.now(dt.UTC).date().isoformat()
    for row, found in verdicts.items():
        entries: list[str] = []
        for payload, group in _by_payload(found).items():
            worst = max(group, key=lambda verdict: verdict.strain)
            if not worst.reached:
                measured = f"measured = {worst.measured:.3g}, measured_on = {today}"
                where = "" if "step" in worst.gate.source else f'payload = "{payload}", '
                entries.append(f"    {{ {where}{measured} }},")
        if entries:
            lines += [f'# row = "{row}"', "not_reached = [", *entries, "]"]
    return "\n".join(lines)


def _line(verdict: gates.Verdict) -> str:
    spread = ", ".join(f"{value:.4g}" for value in verdict.processes)
    return f"{verdict.label}: {verdict.measured:.4g} ({spread})"


def _write(
    chosen: Sequence[gates.Gate], verdicts: dict[str, list[gates.Verdict]], environment: Record
) -> None:
    rows: list[dict[str, Any]] = []
    for gate in chosen:
        found = verdicts[gate.row]
        rows.append(
            {
                "row": gate.row,
                "what": gate.what,
                "unit": gate.unit,
                "figure": gate.figure,
                "at_least": gate.at_least,
                "passed": _passed(found),
                "reached": bool(found) and all(verdict.reached for verdict in found),
                "benchmarks": [
                    {
                        "label": verdict.label,
                        "measured": verdict.measured,
                        "gate": verdict.limit,
                        "processes": verdict.processes,
                    }
                    for verdict in found
                ],
            }
        )
    judged_on = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    RESULTS.mkdir(parents=True, exist_ok=True)
    summary = {"judged_on": judged_on, "environment": environment, "rows": rows}
    (RESULTS / "gates.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
