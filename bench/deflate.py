"""What permessage-deflate saves and costs, for the choice of `DeflateSettings`.

    python -m bench.deflate

For each window: the bytes that are left of typical messages (mixed, so that each follows others)
and of one on its own, processor time, and the memory that streams hold which have been used.
"""

import json
import random
import statistics
import subprocess
import sys
import time
import uuid
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bench.link.workload import WORKLOADS, frames
from bench.memory import resident_bytes
from ocpp_fast.transport.deflate import Agreement, Deflater, Inflater

_WINDOWS: Final = (9, 10, 11, 12, 13, 14, 15)
_MESSAGES: Final = 2_000
_STREAMS: Final = 1_000
_LIMIT_BYTES: Final = 1 << 20
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)


def _kinds(chance: random.Random) -> dict[str, Callable[[int], bytes]]:
    """Makers of messages, by name; the argument is a number that grows."""

    def call(action: str, payload: Any) -> bytes:
        return json.dumps([2, message_id(), action, payload], separators=(",", ":")).encode()

    def message_id() -> str:
        return str(uuid.UUID(int=chance.getrandbits(128), version=4))

    def moment(n: int) -> str:
        return (_START + timedelta(seconds=n)).isoformat()

    ready = {action: frames(action) for action in WORKLOADS}
    return {
        "empty result": lambda _: b'[3,"%s",{}]' % message_id().encode(),
        "Heartbeat": lambda _: call("Heartbeat", {}),
        "Heartbeat result": lambda n: (
            b'[3,"%s",{"currentTime":"%s"}]' % (message_id().encode(), moment(n).encode())
        ),
        "Authorize": lambda _: call(
            "Authorize",
            {"idToken": {"idToken": f"{chance.getrandbits(64):016X}", "type": "ISO14443"}},
        ),
        "StatusNotification": lambda n: call(
            "StatusNotification",
            {
                "timestamp": moment(n),
                "connectorStatus": chance.choice(("Available", "Occupied")),
                "evseId": n % 8 + 1,
                "connectorId": 1,
            },
        ),
        **{f"{a} of the link": lambda n, a=a: ready[a][n % len(ready[a])] for a in WORKLOADS},
    }


def _traffic(window_bits: int) -> dict[str, list[float]]:
    """Mean sizes before and after, and median times in us, by kind of message."""
    chance = random.Random(1)
    kinds = _kinds(chance)
    agreement = Agreement(window_bits, window_bits, send_context=True, receive_context=True)
    alone = Agreement(window_bits, window_bits, send_context=False, receive_context=False)
    deflater, inflater, forgetful = Deflater(agreement), Inflater(agreement), Deflater(alone)
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in kinds}
    for n in range(_MESSAGES):
        name = chance.choice(list(kinds))
        message = kinds[name](n)
        begun = time.perf_counter()
        packed = deflater.compress(message)
        between = time.perf_counter()
        assert inflater.inflate(packed, _LIMIT_BYTES, last=True) == message
        ended = time.perf_counter()
        sizes = len(message), len(packed), len(forgetful.compress(message))
        rows[name].append((*sizes, (between - begun) * 1e6, (ended - between) * 1e6))
    return {
        name: [
            *(statistics.mean(row[column] for row in table) for column in range(3)),
            *(statistics.median(row[column] for row in table) for column in (3, 4)),
        ]
        for name, table in rows.items()
    }


def _held_kb(window_bits: int) -> list[float]:
    """Memory of a stream that compresses, and of one that inflates; only in a fresh process."""
    agreement = Agreement(window_bits, window_bits, send_context=True, receive_context=True)
    message = random.Random(1).randbytes(40_000)
    stream = zlib.compressobj(6, zlib.DEFLATED, -window_bits)
    payload = (stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]
    before = resident_bytes()
    deflaters = [Deflater(agreement) for _ in range(_STREAMS)]
    for deflater in deflaters:
        deflater.compress(message)
    between = resident_bytes()
    inflaters = [Inflater(agreement) for _ in range(_STREAMS)]
    for inflater in inflaters:
        inflater.inflate(payload, _LIMIT_BYTES, last=True)
    after = resident_bytes()
    return [(between - before) / _STREAMS / 1024, (after - between) / _STREAMS / 1024]


def main() -> None:
    """Measures and prints."""
    if sys.argv[1:2] == ["held"]:
        print(json.dumps(_held_kb(int(sys.argv[2]))))
        return
    for window_bits in _WINDOWS:
        command = [sys.executable, "-m", "bench.deflate", "held", str(window_bits)]
        held = subprocess.run(command, check=True, capture_output=True, timeout=60)
        compressing, inflating = json.loads(held.stdout)
        print(f"window of 2**{window_bits}: {compressing:.0f} KB to compress, ", end="")
        print(f"{inflating:.0f} KB to inflate")
        for name, (size, left, alone, packing, unpacking) in _traffic(window_bits).items():
            print(f"  {name:26} {size:5.0f} B -> {left:5.0f}, alone {alone:5.0f}; ", end="")
            print(f"{packing:5.1f} us, back {unpacking:4.1f} us")


if __name__ == "__main__":
    main()
