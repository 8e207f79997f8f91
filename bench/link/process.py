"""One end of the link in a process of its own.

    python -m bench.link.process server <candidate>
    python -m bench.link.process client <candidate> <action> <port> <seconds>

The server prints its port and stops when its standard input ends; the client prints a `Usage`.
"""

import asyncio
import gc
import json
import os
import sys
import time
from itertools import cycle, islice
from typing import Any, Final

import uvloop

from bench.link import floor, ours, station
from bench.link.workload import Usage

CANDIDATES: Final[dict[str, Any]] = {"floor": floor, "ours": ours, "station": station}

_WARM_UP_BATCHES: Final = 12
_BATCH: Final = 256


def _pin(core: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


async def _serve(candidate: str) -> None:
    print(await CANDIDATES[candidate].serve(), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def _ask(candidate: str, action: str, port: int, seconds: float) -> Usage:
    items, run = await CANDIDATES[candidate].connect(port, action)
    stream = cycle(items)
    for _ in range(_WARM_UP_BATCHES):
        await run(islice(stream, _BATCH))
    gc.collect()
    calls = 0
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        await run(islice(stream, _BATCH))
        calls += _BATCH
    return Usage(calls, time.perf_counter() - wall, time.process_time() - cpu)


def main() -> None:
    """Runs the end that the command line names."""
    match sys.argv[1:]:
        case ["server", candidate]:
            _pin(0)
            uvloop.run(_serve(candidate))
        case ["client", candidate, action, port, seconds]:
            _pin(1)
            usage = uvloop.run(_ask(candidate, action, int(port), float(seconds)))
            print(json.dumps(usage._asdict()))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
