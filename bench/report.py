"""Renders what was measured as Markdown: `python -m bench.report [full.json] [gates.json]`.

Used for the comparison in README and for bench/results; a file that does not exist is left out.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, cast

from bench.payloads import PAYLOADS
from bench.run import RESULTS, Record, environment_of, read_records

_TITLES: Final = {
    "decode": ("Decode and check", "orjson"),
    "encode": ("Check and encode", "orjson"),
    "build": ("Build from Python numbers and encode", "msgspec"),
    "read": ("Decode, check and read every member", "msgspec"),
}


def main() -> int:
    """Prints the report of the files named, or of the latest runs."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("full", nargs="?", type=Path, default=RESULTS / "full.json")
    parser.add_argument("gates", nargs="?", type=Path, default=RESULTS / "gates.json")
    parser.add_argument("--version", default="2.0.1", help="OCPP version of the comparison")
    options = parser.parse_args()
    parts: list[str] = []
    if options.gates.exists():
        parts.append(gates_table(json.loads(options.gates.read_text(encoding="utf-8"))))
    if options.full.exists():
        parts.append(comparison(read_records(options.full), options.version))
    print("\n\n".join(parts))
    return 0 if parts else 1


def gates_table(summary: Record) -> str:
    """The figures to reach and what was measured, worst payload of each row."""
    rows: list[list[str]] = []
    for row in summary["rows"]:
        benchmarks: list[Record] = row["benchmarks"]
        sign = "at least" if row["at_least"] else "at most"
        worst = (min if row["at_least"] else max)(
            benchmarks, key=lambda found: found["measured"], default=None
        )
        rows.append(
            [
                row["what"],
                f"{sign} {row['figure']:g} {row['unit']}",
                "not measured" if worst is None else f"{worst['measured']:.3g}",
                _verdict(row),
            ]
        )
    table = _markdown(["what", "figure", "measured (worst case)", "verdict"], rows)
    return f"Judged {summary['judged_on']}, {_environment(summary['environment'])}.\n\n{table}"


def _verdict(row: Record) -> str:
    if not row["benchmarks"]:
        return "-"
    if not row["passed"]:
        return "**failed**"
    return "reached" if row["reached"] else "held at its gate"


def comparison(records: Sequence[Record], version: str) -> str:
    """Every candidate and payload of one OCPP version, then memory, start-up and bad frames."""
    parts = [f"OCPP {version}; {_environment(environment_of(list(records)))}."]
    for operation, (title, reference) in _TITLES.items():
        chosen = [
            record
            for record in records
            if record["operation"] == operation
            and record["version"] == version
            and (record["variant"], record["messages"]) == ("compact", 1)
        ]
        if chosen:
            parts.append(f"### {title}\n\n{_race_table(chosen, reference)}")
    if forms := _forms_table(records, version):
        parts.append(f"### Decode in other forms, ratio to orjson\n\n{forms}")
    if device_model := _device_model_tables(records, version):
        parts.append(f"### Device model\n\n{device_model}")
    for record in records:
        if record["operation"] == "memory" and record["version"] == version:
            parts.append(f"### Memory\n\n{_memory_table(record)}")
        elif record["operation"] == "start-up":
            parts.append(f"### Start-up\n\n{_start_up_table(record)}")
        elif record["operation"] == "bad frames" and record["version"] == version:
            parts.append(f"### What the checks catch\n\n{_bad_frames_table(record)}")
    return "\n\n".join(parts)


def _race_table(records: Sequence[Record], reference: str) -> str:
    records = sorted(records, key=lambda record: list(PAYLOADS).index(record["payload"]))
    names = _in_order(record["candidates"] for record in records)
    rows: list[list[str]] = []
    for name in names:
        cells = [_cell(record["candidates"].get(name), reference) for record in records]
        rows.append([name, *cells])
    head = ["us (ratio to " + reference + ")", *(record["payload"] for record in records)]
    return _markdown(head, rows)


def _cell(candidate: Record | None, reference: str) -> str:
    if candidate is None:
        return ""
    text = _short(candidate["us"])
    ratio = candidate["ratio"].get(reference)
    return text if ratio is None else f"{text} ({_short(ratio['median'])}x)"


def _forms_table(records: Sequence[Record], version: str) -> str:
    found: dict[str, dict[str, str]] = {}
    for record in records:
        if record["operation"] != "decode" or record["version"] != version:
            continue
        ours = record["candidates"].get("ocpp_fast")
        if ours is None:
            return ""
        many = f" x{record['messages']}" * (record["messages"] > 1)
        ratio = _short(ours["ratio"]["orjson"]["median"])
        found.setdefault(record["payload"], {})[record["variant"] + many] = ratio
    forms = _in_order(found.values())
    rows = [[name, *(cells.get(form, "") for form in forms)] for name, cells in found.items()]
    return _markdown(["message", *forms], rows) if rows else ""


def _device_model_tables(records: Sequence[Record], version: str) -> str:
    """Reads and reports beside the dicts, memory per variable, starts."""
    found = {
        record["operation"]: record
        for record in records
        if record.get("version", version) == version
    }
    tables: list[str] = []
    for operation, what in (("get variables", "GetVariables x 20"), ("base report", "full report")):
        if (record := found.get(operation)) is not None:
            sizes = " and ".join(f"{count:,}" for count in record["variables"])
            rows = [[name, _cell(c, "dict model")] for name, c in record["candidates"].items()]
            head = [f"{what} of {sizes} variables", "us (ratio to the dict model at 5,000)"]
            tables.append(_markdown(head, rows))
    if (record := found.get("model memory")) is not None:
        rows = [
            [name, *(_short(c[key]) for key in ("bytes_per_variable", "bytes_own") if key in c)]
            for name, c in record["candidates"].items()
        ]
        head = ["held per variable", "bytes (resident set)", "bytes (its own account)"]
        tables.append(_markdown(head, rows))
    if (record := found.get("model start")) is not None:
        keys = ("ms", "read_ms", "load_ms", "model_ms", "storage_ms", "open_ms", "orjson_ms")
        head = ["start with 128 EVSEs, ms", "all", "read", "load", "build", "open the database"]
        head += ["take up what it has", "orjson.loads of the files, for comparison"]
        rows = [[name, *(_short(step[key]) for key in keys)] for name, step in _steps(record)]
        tables.append(_markdown(head, rows))
    return "\n\n".join(tables)


def _steps(record: Record) -> list[tuple[str, Record]]:
    return list(record["steps"].items())


def _memory_table(record: Record) -> str:
    rows = [
        [name, f"{c['bytes_per_message']:.0f}", f"{c['bytes_walked']:.0f}", _short(c["keep_us"])]
        for name, c in record["candidates"].items()
    ]
    head = ["kept TransactionEvent Updated", "bytes (resident set)", "bytes (sizes)", "us to keep"]
    return _markdown(head, rows)


def _start_up_table(record: Record) -> str:
    head = ["step", "ms processor", "ms wall", "MB", "ms between processes", "MB between processes"]
    keys = ("ms", "wall_ms", "mb", "ms_between_processes", "mb_between_processes")
    rows = [
        [name, *(f"{step[key]:.1f}" for key in keys)]
        for name, step in record["steps"].items()
        if name != "baseline"
    ]
    return _markdown(head, rows)


def _bad_frames_table(record: Record) -> str:
    verdicts: dict[str, dict[str, str]] = record["verdicts"]
    names = list(verdicts)
    frames = _in_order(verdicts.values())
    emphasised = {"missed": "**missed**", "refused": "**refused**"}
    rows = [
        [frame, *(emphasised.get(word := verdicts[name][frame], word) for name in names)]
        for frame in frames
    ]
    return _markdown(["frame", *names], rows)


def _in_order(groups: Iterable[dict[str, Any]]) -> list[str]:
    """The keys of all groups, each once, in the order they first appear."""
    return list(dict.fromkeys(key for group in groups for key in group))


def _environment(environment: Record) -> str:
    shown = (
        ("build", environment.get("build_profile")),
        ("id", environment.get("build")),
        ("Python", environment.get("python")),
        ("on", environment.get("cpu")),
    )
    return ", ".join(f"{name} {value}" for name, value in shown if value)


def _short(value: float) -> str:
    """Three significant digits, no exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    align = ["---", *("---:" for _ in head[1:])]
    lines = [head, align, *rows]
    return "\n".join("| " + " | ".join(cast("Sequence[str]", line)) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
