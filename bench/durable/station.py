"""What the measurements of durable delivery have in common: events, facts, processes."""

import json
import subprocess
import sys
from typing import Any, Final, cast

from bench.payloads import PAYLOADS, Case
from bench.run import ROOT

VERSION: Final = "2.1"
EVENT: Final = "TransactionEvent"
_VARIANTS: Final = 64
"""Different events in turn."""


def events() -> list[Any]:
    """TransactionEvents (Updated, with the reading of a three-phase meter), as typed messages."""
    from ocpp_fast._core import Call, Codec

    codec, found = Codec(VERSION), list[Any]()
    for frame in Case(PAYLOADS["TransactionEvent.Updated"], VERSION, count=_VARIANTS).frames():
        tree = json.loads(frame)
        del tree[-1]["offline"]  # Delivery says it.
        call = codec.decode(json.dumps(tree).encode())
        assert isinstance(call, Call)
        found.append(call.payload)
    return found


def payloads() -> list[bytes]:
    """The same as they are stored."""
    from ocpp_fast._core import encode_payload

    return [encode_payload(event) for event in events()]


def fact(evse_id: int, seq_no: int) -> dict[str, str]:
    """What a transaction stores with each of its events, in content and in size."""
    kept = {
        "id": f"e626dc01-334b-4cc7-654f-{evse_id:012d}",
        "evse": evse_id,
        "connector": 1,
        "next_seq_no": seq_no,
        "charging_state": "Charging",
        "id_token": {"id_token": "04E23A91B25C80", "type": "ISO14443"},
        "authorized": True,
        "began_at": "2026-11-21T09:00:00.125Z",
        "evse_told": True,
        "token_told": True,
        "remote_start_id": None,
        "begin_reading": "2026-11-21T09:00:00.125Z 12345678.9",
        "last_event_at": "2026-11-21T10:39:30.125Z",
        "energy_limit_wh": None,
    }
    return {f"transaction.{evse_id}": json.dumps(kept, separators=(",", ":"))}


def child(module: str, *options: str, timeout_s: float = 120.0) -> dict[str, Any]:
    """The JSON object that a module prints which runs in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", module, *options],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=timeout_s,
    )
    return cast("dict[str, Any]", json.loads(done.stdout))


class CsmsProcess:
    """The simple CSMS of `bench.link` in a process of its own, on another core."""

    def __enter__(self) -> str:
        """Its port."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.link.process", "server", "station"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.terminate()
        self._process.wait(timeout=10)
        assert self._process.stdout is not None
        self._process.stdout.close()
