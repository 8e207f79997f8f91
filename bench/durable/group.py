"""1,000 EVSEs of one station at once: each event stored, sent and confirmed.

    python -m bench.durable.group

A whole `ChargePoint` with its SQLite file, and the simple CSMS in another process, over a
WebSocket. In each round every EVSE posts an event of its own transaction with the fact of that
transaction, all at once; the round ends when the CSMS has confirmed all. Rounds follow one another
without a pause, so what is forgotten of one round is paid for in the next. Printed is the wall time
of a round divided by its events: the median of the rounds of a process, then of the processes.
"""

import argparse
import asyncio
import json
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import uvloop

from bench.durable import disk
from bench.durable.station import EVENT, CsmsProcess, child, events, fact
from bench.harness import build_profile, environment, pin_to_one_core
from bench.run import RESULTS

OURS: Final = "ocpp_fast"
EVSES: Final = 1_000
PAYLOAD: Final = "TransactionEvent.Updated"

_TRANSACTION: Final = "e626dc01-334b-4cc7-654f-{:012d}"


async def measure(port: str, rounds: int) -> dict[str, Any]:
    """Milliseconds of wall time and of processor time for each event."""
    from bench.link import station
    from ocpp_fast.messages import OcppVersion
    from ocpp_fast.storage.sqlite import SqliteStorage

    with TemporaryDirectory(prefix="group-", dir=RESULTS) as folder:
        storage = SqliteStorage(Path(folder) / "station.db")
        charge_point = await station.started(int(port), storage)
        delivery, posted = charge_point.delivery, events()
        facts = [fact(evse_id, 0) for evse_id in range(EVSES + 1)]

        async def post(evse_id: int, seq_no: int) -> None:
            await delivery.post(
                OcppVersion.V21,
                EVENT,
                posted[evse_id % len(posted)],
                _TRANSACTION.format(evse_id),
                seq_no=seq_no,
                droppable=seq_no > 0,
                opens=seq_no == 0,
                facts=facts[evse_id],
            )

        wall: list[float] = []
        cpu: list[float] = []
        for seq_no in range(rounds + 1):
            began, used = time.perf_counter(), time.process_time()
            await asyncio.gather(*(post(evse_id, seq_no) for evse_id in range(1, EVSES + 1)))
            await delivery.drained()
            wall.append((time.perf_counter() - began) / EVSES * 1e3)
            cpu.append((time.process_time() - used) / EVSES * 1e3)
        await charge_point.stop()
    # In the first round the transactions begin, and everything is done for the first time.
    return {
        "ms_per_event": round(statistics.median(wall[1:]), 4),
        "cpu_ms_per_event": round(statistics.median(cpu[1:]), 4),
        "disk": disk.measure(),
    }


def main() -> None:
    """Measures in fresh processes and prints the medians as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=15, help="in each process")
    parser.add_argument("--here", nargs=2, metavar=("PORT", "ROUNDS"), help="in this process")
    options = parser.parse_args()
    disk.need_a_disk()
    if options.here is not None:
        pin_to_one_core()
        port, rounds = options.here
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(json.dumps(runner.run(measure(port, int(rounds)))))
        return
    if build_profile() != "release":
        raise SystemExit(f"ocpp_fast._core is {build_profile()}: nothing is measured")
    runs: list[dict[str, Any]] = []
    for _ in range(options.processes):
        with CsmsProcess() as port:
            runs.append(child("bench.durable.group", "--here", port, str(options.rounds)))
    found = {
        key: statistics.median(run[key] for run in runs)
        for key in ("ms_per_event", "cpu_ms_per_event")
    }
    found["ms_per_event_of_processes"] = [run["ms_per_event"] for run in runs]
    disks = [run["disk"] for run in runs]
    print(
        json.dumps({PAYLOAD: {OURS: found}, "disk": disks, "environment": environment()}, indent=1)
    )


if __name__ == "__main__":
    main()
