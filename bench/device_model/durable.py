"""SetVariables of 20 variables, durable, beside the bare thread hop that writes the same rows.

    python -m bench.device_model.durable

Ours: request bytes, decode, `DeviceModel.set_variables` with its SQLite file, encode, response
bytes. The floor: one hop to a thread that has a copy of that file and runs BEGIN, UPDATE of the 20
rows by their key, and COMMIT, with rows made beforehand; the file is in WAL mode with synchronous
FULL as well. Both lie in one folder and are written in turns, in random order; a ratio is taken
within a round, the median of the rounds within a process, and the median of the processes is
printed. Times are those of the wall clock, since the disk is what is waited for.
"""

import argparse
import asyncio
import contextlib
import json
import random
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import uvloop

from bench.device_model.models import ASKED, SMALL, Model, sized
from bench.harness import build_profile, environment, pin_to_one_core, quartiles
from bench.hop import Hop
from bench.run import RESULTS, ROOT

OURS: Final = "ocpp_fast"
FLOOR: Final = "thread hop"
FLOOR_BY_ROWID: Final = "thread hop, by rowid"
PAYLOAD: Final = "SetVariables.20"

_BATCH: Final = 5
_BY_KEY: Final = (
    "UPDATE device_value SET value = ?, source = ?"
    " WHERE component = ? AND component_instance = ? AND evse_id = ? AND connector_id = ?"
    " AND variable = ? AND variable_instance = ? AND attribute = ?"
)
_BY_ROWID: Final = "UPDATE device_value SET value = ?, source = ? WHERE rowid = ?"

_ALL: Final = (
    "SELECT rowid, component, component_instance, evse_id, connector_id, variable,"
    " variable_instance, attribute, value, source FROM device_value"
)

_Rows = list[tuple[Any, ...]]
_Update = tuple[str, _Rows]
Write = Callable[[int], Awaitable[Any]]
"""Sets what request number n says."""


def _write(connection: sqlite3.Connection, asked: _Update) -> None:
    sql, rows = asked
    connection.execute("BEGIN")
    connection.executemany(sql, rows)
    connection.execute("COMMIT")


async def _ours(
    closing: contextlib.AsyncExitStack, model: Model, path: Path, frames: Sequence[bytes]
) -> Write:
    from bench.device_model import ours
    from ocpp_fast._core import Codec
    from ocpp_fast.clock import SystemClock
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.storage.bounded import bounded
    from ocpp_fast.storage.sqlite import SqliteStorage

    clock = SystemClock()
    storage = bounded(SqliteStorage(path), clock)
    await storage.open()
    closing.push_async_callback(storage.close)
    device_model = DeviceModel(ours.load(model), storage, clock=clock)
    await device_model.open()
    codec = Codec("2.0.1")

    async def write(number: int) -> bytes:
        call: Any = codec.decode(frames[number])
        response = await device_model.set_variables(call.payload)
        return codec.encode_result(call.message_id, response)

    return write


def _rows(frame: bytes) -> _Rows:
    """The values and keys of a request as the table has them."""
    rows: _Rows = []
    for asked in json.loads(frame)[3]["setVariableData"]:
        component, variable = asked["component"], asked["variable"]
        evse = component.get("evse", {})
        place = (component["name"], component.get("instance", ""), evse.get("id", 0))
        place += (evse.get("connectorId", 0), variable["name"], variable.get("instance", ""))
        rows.append((asked["attributeValue"], "csms", *place, "Actual"))
    return rows


async def measure(rounds: int) -> dict[str, Any]:
    """Fills all settings, copies the file, then writes in turns."""
    model = sized(SMALL)
    filling = len(model.settings()) // ASKED
    frames = model.set_variables(filling + rounds * _BATCH)
    with TemporaryDirectory(prefix="durable-", dir=RESULTS) as folder:
        path = Path(folder) / "ours.db"
        copies = {sql: path.with_name(f"copy-{len(sql)}.db") for sql in (_BY_KEY, _BY_ROWID)}
        async with contextlib.AsyncExitStack() as closing:
            write = await _ours(closing, model, path, frames)
            for number in range(filling):
                assert_accepted(await write(number))
            for copy in copies.values():
                _copy(path, copy)
            rows = [_rows(frame) for frame in frames]
            of = {_BY_KEY: rows, _BY_ROWID: _by_rowid(path, rows)}
            writes: dict[str, Write] = {OURS: write}
            for name, sql in ((FLOOR, _BY_KEY), (FLOOR_BY_ROWID, _BY_ROWID)):
                hop = Hop(copies[sql], _write)
                closing.callback(hop.end)
                writes[name] = _updating(hop, sql, of[sql])
            times = await _in_turns(writes, range(filling, len(frames)), rounds)
        assert_equal(path, *copies.values())
    return {
        name: {
            "us": round(statistics.median(found), 1),
            "ratio": quartiles([a / b for a, b in zip(found, times[FLOOR], strict=True)]),
        }
        for name, found in times.items()
    }


async def _in_turns(
    writes: dict[str, Write], numbers: Sequence[int], rounds: int
) -> dict[str, list[float]]:
    """Microseconds of a write, for each round the mean of a batch."""
    rng = random.Random("durable")
    times: dict[str, list[float]] = {name: [] for name in writes}
    for start in range(0, rounds * _BATCH, _BATCH):
        batch = numbers[start : start + _BATCH]
        for name in rng.sample(list(writes), len(writes)):
            write = writes[name]
            began = time.perf_counter_ns()
            for number in batch:
                await write(number)
            times[name].append((time.perf_counter_ns() - began) / _BATCH / 1000)
    return times


def _updating(hop: Hop[_Update], sql: str, rows: Sequence[_Rows]) -> Write:
    async def write(number: int) -> None:
        await hop.ask((sql, rows[number]))

    return write


def _copy(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
    old.close()
    new.close()


def _by_rowid(path: Path, requests: Sequence[_Rows]) -> list[_Rows]:
    connection = sqlite3.connect(path)
    ids = {row[1:8]: row[0] for row in connection.execute(_ALL)}
    connection.close()
    return [[(*row[:2], ids[row[2:]]) for row in rows] for rows in requests]


def assert_accepted(answer: bytes) -> None:
    """All of a SetVariables answer is Accepted."""
    statuses = {row["attributeStatus"] for row in json.loads(answer)[2]["setVariableResult"]}
    assert statuses == {"Accepted"}, answer


def assert_equal(first: Path, *others: Path) -> None:
    """All files hold the same values."""

    def values(path: Path) -> list[Any]:
        connection = sqlite3.connect(path)
        found = [row[1:] for row in connection.execute(_ALL)]
        connection.close()
        return sorted(found)

    expected = values(first)
    assert expected
    assert others
    for other in others:
        assert values(other) == expected, other


def _child(rounds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.device_model.durable", "--here", str(rounds)]
    done = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=300
    )
    return dict(json.loads(done.stdout))


def main() -> None:
    """Measures in fresh processes and prints the medians as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=200, help="in each process")
    parser.add_argument("--here", type=int, metavar="ROUNDS", help="in this process, no other")
    options = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    if options.here is not None:
        pin_to_one_core()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(json.dumps(runner.run(measure(options.here))))
        return
    if build_profile() != "release":
        raise SystemExit(f"ocpp_fast._core is {build_profile()}: nothing is measured")
    runs = [_child(options.rounds) for _ in range(options.processes)]
    found = {
        name: {
            "us": statistics.median(run[name]["us"] for run in runs),
            "ratio": statistics.median(run[name]["ratio"]["median"] for run in runs),
            "ratio_of_processes": [run[name]["ratio"] for run in runs],
        }
        for name in runs[0]
    }
    print(json.dumps({PAYLOAD: found, "environment": environment()}, indent=1))


if __name__ == "__main__":
    main()
