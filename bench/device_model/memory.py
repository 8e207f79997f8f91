"""Bytes held per variable, measured in a fresh process.

    python -m bench.device_model.memory ocpp_fast 50000

The growth of the resident set is what counts: it has what the allocator rounds up and holds back,
once it was asked to return what is free. What the C library says is in use, and what the cache
itself says, are the cross-checks; for the dicts it is a walk over the objects.
"""

import ctypes
import gc
import json
import subprocess
import sys
from typing import Any, Final, cast

from bench.device_model.models import SMALL, sized
from bench.harness import pin_to_one_core
from bench.memory import resident_bytes, walked_bytes
from bench.run import ROOT

OURS: Final = "ocpp_fast"
DICTS: Final = "dict model"


def held_per_variable(candidate: str, variables: int) -> dict[str, float]:
    """Runs `python -m bench.device_model.memory` and returns what it prints."""
    command = [sys.executable, "-m", "bench.device_model.memory", candidate, str(variables)]
    done = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120
    )
    return cast("dict[str, float]", json.loads(done.stdout))


class _MallInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _settled() -> tuple[int, int | None]:
    """Resident bytes, and bytes in use by malloc where glibc can tell."""
    gc.collect()
    libc: Any = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    used = None
    if hasattr(libc, "mallinfo2"):
        libc.mallinfo2.restype = _MallInfo
        info = libc.mallinfo2()
        used = int(info.uordblks + info.hblkhd)
    return resident_bytes(), used


def measure_ours(variables: int) -> dict[str, float]:
    """The cache as it is once storage has the definitions; only sensible in a fresh process."""
    from bench.device_model import ours

    ours.load(sized(SMALL))  # what is made once
    model = sized(variables)
    count, files = len(model.places), model.files()
    resident, used = _settled()
    cache = ours.load_files(files, model.connectors)
    cache.forget_definitions()
    ours.write_readings(cache, model)
    resident_now, used_now = _settled()
    found = {
        "bytes_per_variable": (resident_now - resident) / count,
        "bytes_own": cache.memory_bytes / count,
        "variables": cache.variable_count,
    }
    if used is not None and used_now is not None:
        found["bytes_malloc"] = (used_now - used) / count
    return found


def measure_dicts(variables: int) -> dict[str, float]:
    """The peer, made variable by variable so that nothing else is left over."""
    from bench.device_model.dicts import DictModel

    model = sized(variables)
    DictModel(sized(SMALL).each_place())
    resident, _ = _settled()
    peer = DictModel(model.each_place())
    resident_now, _ = _settled()
    count = len(peer)
    return {
        "bytes_per_variable": (resident_now - resident) / count,
        "bytes_own": walked_bytes(list(vars(peer).values())) / count,
        "variables": count,
    }


def main(arguments: list[str]) -> None:
    """Candidate and number of variables; prints JSON."""
    candidate, variables = arguments
    pin_to_one_core()
    measure = measure_ours if candidate == OURS else measure_dicts
    print(json.dumps({key: round(value, 1) for key, value in measure(int(variables)).items()}))


if __name__ == "__main__":
    main(sys.argv[1:])
