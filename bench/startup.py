"""What importing costs, over a process that has the I/O libraries already.

Fresh processes, alternating between a baseline (asyncio, uvloop, picows, aiosqlite, orjson
imported), the first message (`import ocpp_fast`, one TransactionEvent decoded and encoded) and
every type of both versions touched. Each process reports what its own step added; the difference
between whole processes is the cross-check.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from bench.payloads import PAYLOADS, Case

_ROOT: Final = Path(__file__).parents[1]

_CHILD: Final = """
import os, time
import asyncio, uvloop, picows, aiosqlite, orjson
def usage():
    with open("/proc/self/statm", "rb") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return time.process_time_ns(), time.perf_counter_ns(), resident
usage()
before = usage()
{step}
after = usage()
print(orjson.dumps([before, after]).decode())
"""

_FIRST: Final = """
import sys
import ocpp_fast
from ocpp_fast._core import Codec
codec = Codec("2.0.1")
call = codec.decode({frame!r})
codec.encode_call(call.message_id, call.payload)
"""

_ALL: Final = """
from ocpp_fast._core import type_names
from ocpp_fast.messages import v21, v201
for version, module in (("2.0.1", v201), ("2.1", v21)):
    for name in type_names(version):
        getattr(module, name)
"""


def measure(runs: int, *, with_ours: bool = True) -> dict[str, dict[str, float]]:
    """Medians over that many fresh processes for each step; one unmeasured run fills caches."""
    frame = Case(PAYLOADS["TransactionEvent.Updated"], "2.0.1").frames()[0]
    first = _FIRST.format(frame=frame)
    steps = {"baseline": ""}
    if with_ours:
        steps |= {"first message": first, "every type": first + _ALL}
    samples: dict[str, list[Any]] = {name: [] for name in steps}
    for i in range(runs + 1):
        for name, step in steps.items():
            sample = _run(step)
            if i > 0:
                samples[name].append(sample)
    medians = {name: _medians(found) for name, found in samples.items()}
    whole = medians["baseline"]
    for numbers in medians.values():
        numbers["ms_between_processes"] = round(numbers["total_ms"] - whole["total_ms"], 2)
        numbers["mb_between_processes"] = round(numbers["total_mb"] - whole["total_mb"], 2)
    return medians


def _run(step: str) -> Any:
    command = [sys.executable, "-c", _CHILD.format(step=step)]
    done = subprocess.run(
        command, cwd=_ROOT, check=True, capture_output=True, text=True, timeout=60
    )
    return json.loads(done.stdout)


def _medians(samples: list[Any]) -> dict[str, float]:
    """Processor time, wall time (ms) and resident memory (MB, 10^6 bytes)."""

    def median(values: list[float]) -> float:
        return round(statistics.median(values) / 1e6, 2)

    return {
        "ms": median([after[0] - before[0] for before, after in samples]),
        "wall_ms": median([after[1] - before[1] for before, after in samples]),
        "mb": median([after[2] - before[2] for before, after in samples]),
        "total_ms": median([after[0] for _, after in samples]),
        "total_mb": median([after[2] for _, after in samples]),
    }
