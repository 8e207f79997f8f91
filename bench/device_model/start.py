"""How long a station's device model takes to be ready, imports excluded; reported, not gated.

    python -m bench.device_model.start

Fresh processes, in turns with an empty and with a filled database: read the folder, load the files
into the cache, open the SQLite file, take up what is stored. The yardstick is orjson.loads of the
same files in the same process. The files lie in the page cache.
"""

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

import orjson
import uvloop

from bench.device_model.models import ASKED, START_EVSES, Model
from bench.harness import environment, pin_to_one_core
from bench.run import RESULTS, ROOT

EMPTY: Final = "empty database"
FILLED: Final = "filled database"

_Step = dict[str, float]


async def _start(folder: Path, database: Path, *, fill: bool) -> _Step:
    from ocpp_fast._core import Codec
    from ocpp_fast.clock import SystemClock
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.device_model.files import load, read_folder
    from ocpp_fast.storage.sqlite import SqliteStorage

    clock, storage = SystemClock(), SqliteStorage(database)
    lap = _laps()
    files = read_folder(folder)
    found = {"read_ms": lap()}
    cache = load(files)
    found["load_ms"] = lap()
    model = DeviceModel(cache, storage, clock=clock)
    found["model_ms"] = lap()
    await storage.open()
    try:
        found["storage_ms"] = lap()
        await model.open()
        found["open_ms"] = lap()
        found["ms"] = sum(found.values())
        for _, content in files:
            orjson.loads(content)
        found["orjson_ms"] = lap()
        found["variables"] = cache.variable_count
        if fill:
            codec, settings = Codec("2.0.1"), Model(START_EVSES)
            for frame in settings.set_variables(len(settings.settings()) // ASKED):
                call: Any = codec.decode(frame)
                await model.set_variables(call.payload)
    finally:
        await storage.close()
    return found


def _laps() -> Callable[[], float]:
    """A function that gives the milliseconds since it was called last."""
    last = time.perf_counter_ns()

    def lap() -> float:
        nonlocal last
        before, last = last, time.perf_counter_ns()
        return (last - before) / 1e6

    return lap


def measure(runs: int) -> dict[str, _Step]:
    """Medians over that many fresh processes with an empty and with a filled database."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    samples: dict[str, list[_Step]] = {EMPTY: [], FILLED: []}
    with TemporaryDirectory(prefix="start-", dir=RESULTS) as name:
        folder, full = Path(name), Path(name) / "full.db"
        Model(START_EVSES).write(folder)
        _child(folder, full, "--fill")
        for number in range(runs):
            empty, filled = folder / f"{number}-empty.db", folder / f"{number}-filled.db"
            shutil.copyfile(full, filled)
            samples[EMPTY].append(_child(folder, empty))
            samples[FILLED].append(_child(folder, filled))
    return {
        name: {key: round(statistics.median(run[key] for run in found), 2) for key in found[0]}
        for name, found in samples.items()
    }


def _child(folder: Path, database: Path, *options: str) -> _Step:
    here = ["--here", str(folder), str(database), *options]
    done = subprocess.run(
        [sys.executable, "-m", "bench.device_model.start", *here],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    return cast("_Step", json.loads(done.stdout))


def main() -> None:
    """Prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--here", nargs=2, type=Path, metavar=("FOLDER", "DATABASE"))
    parser.add_argument("--fill", action="store_true", help="set every setting afterwards")
    options = parser.parse_args()
    if options.here is None:
        print(json.dumps({"steps": measure(options.runs), "environment": environment()}, indent=1))
        return
    pin_to_one_core()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_start(*options.here, fill=options.fill))))


if __name__ == "__main__":
    main()
