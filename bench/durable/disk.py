"""What the disk under `bench/results` is, and how fast it syncs: `python -m bench.durable.disk`."""

import json
import os
import statistics
import time
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from bench.run import RESULTS

_IN_MEMORY: Final = {"tmpfs", "ramfs", "hugetlbfs"}
_PAGE: Final = 4096
_PAGES: Final = 64


def file_system(folder: Path) -> str:
    """Its type, such as `ext4`, and the device it lies on."""
    best, found = "", "unknown"
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        device, place, kind, *_ = line.split()
        if folder.resolve().is_relative_to(place) and len(place) >= len(best):
            best, found = place, f"{kind} on {device}"
    return found


def need_a_disk(folder: Path = RESULTS) -> None:
    """Makes the folder. Ends the program when it lies in memory, where nothing has to be synced."""
    folder.mkdir(parents=True, exist_ok=True)
    if (kind := file_system(folder)).partition(" ")[0] in _IN_MEMORY:
        raise SystemExit(f"{folder} is {kind}: nothing is measured")


def measure(count: int = 200, folder: Path = RESULTS) -> dict[str, Any]:
    """The time of writing 4 KiB of a file over and syncing them, as a WAL in use does it."""
    times: list[float] = []
    with NamedTemporaryFile(prefix="sync-", dir=folder) as file:
        file.write(bytes(_PAGE * _PAGES))
        file.flush()
        os.fdatasync(file.fileno())
        for number in range(count):
            began = time.perf_counter()
            os.pwrite(file.fileno(), number.to_bytes(2, "big") * (_PAGE // 2), _place(number))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    middle = statistics.median(times)
    return {
        "file_system": file_system(folder),
        "fdatasync_us": round(middle * 1e6, 1),
        "fdatasyncs_per_s": round(1 / middle),
    }


def _place(number: int) -> int:
    return number % _PAGES * _PAGE


if __name__ == "__main__":
    need_a_disk()
    print(json.dumps(measure(1_000), indent=1))
