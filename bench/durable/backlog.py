"""Start with 100,000 queued messages, beside a start with 100.

    python -m bench.durable.backlog

Two SQLite files are made, then fresh processes start a whole `ChargePoint` on them in turns, with
the simple CSMS in another process. Counted are, once everything is imported: the wall time from
building it to the first frame on the WebSocket, which is the BootNotification, and the most that
the resident set has grown by until then. "Later" is the most it has grown by until 100 messages
were delivered; it is reported, not gated. The files lie in the page cache.
"""

import argparse
import asyncio
import gc
import json
import os
import sqlite3
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import uvloop

from bench.durable import disk
from bench.durable.station import EVENT, VERSION, CsmsProcess, child, payloads
from bench.harness import build_profile, environment, pin_to_one_core
from bench.memory import resident_bytes
from bench.run import RESULTS

FEW: Final = 100
MANY: Final = 100_000
NAME: Final = "start"

_EVSES: Final = 200
_EVENTS: Final = 50
"""Of each transaction."""
_MB: Final = 1e6


# --- the files --------------------------------------------------------------------------------


async def _empty(path: Path) -> None:
    from ocpp_fast.storage.sqlite import SqliteStorage

    storage = SqliteStorage(path)
    await storage.open()
    await storage.close()


def fill(path: Path, count: int) -> None:
    """A station's file with that many queued events: of all EVSEs in turns, as time brings them."""
    asyncio.run(_empty(path))
    stored = payloads()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO outbox (row_id, lane, version, action, payload, seq_no, droppable, offline,"
        " attempts) VALUES (?, ?, ?, ?, ?, ?, ?, 1, 0)",
        (
            (number + 1, lane, VERSION, EVENT, stored[number % len(stored)], seq_no, seq_no > 0)
            for number, lane, seq_no in map(_place, range(count))
        ),
    )
    connection.execute("COMMIT")
    connection.close()
    os.sync()


def _place(number: int) -> tuple[int, str, int]:
    of_evse, evse_id = divmod(number, _EVSES)
    transaction, seq_no = divmod(of_evse, _EVENTS)
    return number, f"e626dc01-334b-4cc7-{transaction:04d}-{evse_id:012d}", seq_no


# --- one start --------------------------------------------------------------------------------


def _forget_the_peak() -> None:
    """The most that the resident set was counts from now on."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_bytes() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this system does not count the peak of the resident set")


async def start(path: str, port: int) -> dict[str, Any]:
    """One start, not brought to an end: how the station stops is of no interest."""
    from bench.link.station import callbacks
    from ocpp_fast.charge_point import ChargePoint
    from ocpp_fast.config import EvseConfig, StationConfig, Variables
    from ocpp_fast.connection import Way
    from ocpp_fast.messages import OcppVersion
    from ocpp_fast.storage.sqlite import SqliteStorage  # aiosqlite with it

    found: dict[str, Any] = {}
    events = 0
    sent, replayed = asyncio.Event(), asyncio.Event()

    def log(way: Way, frame: bytes) -> None:
        nonlocal events
        if way is Way.OUT:
            if not found:
                found["ms"] = (time.perf_counter() - began) * 1e3
                found["mb"] = (_peak_bytes() - before) / _MB
                assert b'"BootNotification"' in frame, frame
                sent.set()
            events += EVENT.encode() in frame[:80]
            if events == FEW:
                replayed.set()

    config = StationConfig(
        identity="bench",
        csms_url=f"ws://127.0.0.1:{port}",
        evses=(EvseConfig(),),
        versions=(OcppVersion.V21,),
        variables=Variables(message_replay_rate=0, retry_back_off_random_range_s=0.0),
    )
    gc.collect()
    _forget_the_peak()
    before, began = resident_bytes(), time.perf_counter()
    charge_point = ChargePoint(
        config, callbacks(lambda: None), storage=SqliteStorage(path), frame_log=log
    )
    await charge_point.start()
    await sent.wait()
    async with asyncio.timeout(20):
        await replayed.wait()
    found["mb_later"] = (_peak_bytes() - before) / _MB
    return found


# --- all of them ------------------------------------------------------------------------------


def measure(runs: int) -> dict[str, Any]:
    """Medians over that many pairs of fresh processes, and of the ratios within a pair."""
    samples: dict[int, list[dict[str, float]]] = {FEW: [], MANY: []}
    with TemporaryDirectory(prefix="backlog-", dir=RESULTS) as name, CsmsProcess() as port:
        folder = Path(name)
        many = folder / "many.db"
        fill(many, MANY)
        for number in range(runs + 1):
            few = folder / f"few-{number}.db"
            fill(few, FEW)
            order = [(FEW, few), (MANY, many)]
            for count, path in order if number % 2 else reversed(order):
                sample = child("bench.durable.backlog", "--here", str(path), port)
                if number:  # the first fills caches
                    samples[count].append(sample)
        size = many.stat().st_size
    few_runs, many_runs = samples[FEW], samples[MANY]
    keys = ("ms", "mb", "mb_later")
    result = {
        str(count): {key: round(statistics.median(run[key] for run in found), 3) for key in keys}
        for count, found in samples.items()
    }
    for key in keys:
        ratios = [many[key] / few[key] for few, many in zip(few_runs, many_runs, strict=True)]
        result[str(MANY)][f"{key}_ratio"] = round(statistics.median(ratios), 3)
    return {NAME: result, "file_mb": round(size / _MB, 1)}


def main() -> None:
    """Prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="pairs of processes")
    parser.add_argument("--here", nargs=2, metavar=("FILE", "PORT"), help="one start, here")
    options = parser.parse_args()
    disk.need_a_disk()
    if options.here is not None:
        pin_to_one_core()
        path, port = options.here
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(json.dumps(runner.run(start(path, int(port)))), flush=True)
            sys.stdout.close()
            os._exit(0)
    if build_profile() != "release":
        raise SystemExit(f"ocpp_fast._core is {build_profile()}: nothing is measured")
    found = measure(options.runs) | {"disk": disk.measure(), "environment": environment()}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
