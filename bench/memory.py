"""Bytes held per decoded message, measured in a fresh process.

    python -m bench.memory ocpp_fast 2.0.1

The growth of the resident set counts what the native allocators hold, which tracemalloc does not
see; a walk over the objects with `sys.getsizeof` is the cross-check.
"""

import gc
import json
import os
import subprocess
import sys
import time
import types
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, cast

from bench.harness import EFFORTS, pin_to_one_core
from bench.payloads import PAYLOADS, Case, Version
from bench.peers import peers

_ROOT: Final = Path(__file__).parents[1]
_DISTINCT_FRAMES: Final = 500
_SLOW: Final = {"mobilityhouse ocpp": 2_000}
"""Messages to keep for candidates that would take minutes."""


def held_per_message(candidate: str, version: Version, messages: int) -> dict[str, float]:
    """Runs `python -m bench.memory` for a candidate and returns what it prints."""
    command = [sys.executable, "-m", "bench.memory", candidate, version, str(messages)]
    done = subprocess.run(
        command, cwd=_ROOT, check=True, capture_output=True, text=True, timeout=120
    )
    return cast("dict[str, float]", json.loads(done.stdout))


def resident_bytes() -> int:
    """The resident set of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(candidate: str, version: Version, messages: int) -> dict[str, float]:
    """Decodes and keeps that many TransactionEvent Updated; only sensible in a fresh process."""
    case = Case(PAYLOADS["TransactionEvent.Updated"], version, count=_DISTINCT_FRAMES)
    peer = next(peer for peer in peers() if peer.name == candidate)
    job = peer.decode(case)
    if job is None:
        raise SystemExit(f"{candidate} does not decode")
    messages = min(messages, _SLOW.get(candidate, messages))
    once = [_payload(job.once(frame)) for frame in job.items[:8]]
    kept: list[Any] = [None] * messages
    frames = [job.items[i % _DISTINCT_FRAMES] for i in range(messages)]
    func, after = job.func, job.after
    del once
    gc.collect()
    resident, start = resident_bytes(), time.thread_time_ns()
    for i, frame in enumerate(frames):
        kept[i] = _payload(func(frame, *after))
    took = time.thread_time_ns() - start
    grown = resident_bytes() - resident
    return {
        "bytes_per_message": round(grown / messages, 1),
        "bytes_walked": round(walked_bytes(kept[:500]) / min(500, messages), 1),
        "keep_us": round(took / messages / 1000, 3),
        "messages": messages,
    }


def _payload(decoded: Any) -> Any:
    """What a user keeps: the message. An orjson list is kept without its frame, too."""
    if isinstance(decoded, list):
        return cast("list[Any]", decoded)[-1]
    return getattr(decoded, "payload", decoded)


def walked_bytes(roots: list[Any]) -> int:
    """Sum of `sys.getsizeof` of everything below; what several messages share counts once."""
    seen: set[int] = set()
    total, todo = 0, list(roots)
    while todo:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        total += sys.getsizeof(value)
        todo.extend(_children(value))
    return total


def _children(value: Any) -> list[Any]:
    match value:
        case dict():
            pairs = cast("dict[Any, Any]", value)
            return [*pairs.keys(), *pairs.values()]
        case list() | tuple():
            return list(cast("list[Any]", value))
        case str() | bytes() | int() | float() | None:
            return []
        case _ if is_dataclass(value):
            return [vars(value), *(getattr(value, field.name) for field in fields(value))]
        case _:
            return [getattr(value, name) for name in _slots(cast("type[object]", type(value)))]


def _slots(type_: type[object]) -> list[str]:
    """Members kept in slots: our native types and msgspec's Structs (datetimes have none)."""
    named = getattr(type_, "__struct_fields__", None)
    if named is not None:
        return list(named)
    return [
        name
        for base in type_.__mro__
        for name, member in vars(base).items()
        if isinstance(member, types.MemberDescriptorType) and not name.startswith("_")
    ]


def main(arguments: list[str]) -> None:
    """Candidate, version and optionally the number of messages; prints JSON."""
    candidate, version, *rest = arguments
    pin_to_one_core()
    messages = int(rest[0]) if rest else EFFORTS["full"].kept_messages
    print(json.dumps(measure(candidate, cast("Version", version), messages)))


if __name__ == "__main__":
    main(sys.argv[1:])
