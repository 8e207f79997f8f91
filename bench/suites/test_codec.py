"""Decode, encode, and decode followed by reading every member."""

from typing import Any

import pytest

from bench.harness import EFFORTS, Effort
from bench.payloads import PAYLOADS, UNLIKE, VARIANTS, VERSIONS, Case
from bench.peers import entrants, ours

COMPACT = [Case(payload, version) for payload in PAYLOADS.values() for version in VERSIONS]
OTHERWISE_WRITTEN = [
    Case(payload, version, variant)
    for payload in PAYLOADS.values()
    for version in VERSIONS
    for variant in VARIANTS[1:]
]
OFTEN = [PAYLOADS[name] for name in ("TransactionEvent.Updated", "MeterValues.2x16")]
SEVERAL = [
    Case(payload, version, count=16)
    for payload in (*OFTEN, PAYLOADS["StatusNotification"], UNLIKE)
    for version in VERSIONS
]
READ = [case for case in COMPACT if case.payload.name != "TransactionEvent.response"]


@pytest.mark.parametrize("case", COMPACT, ids=lambda case: case.name)
def test_decode(race: Any, effort: Effort, case: Case) -> None:
    """Bytes to a checked message, each candidate as far as it checks."""
    race("decode", case, [peer.decode(case) for peer in entrants(effort, "orjson")])


@pytest.mark.parametrize("case", OTHERWISE_WRITTEN + SEVERAL, ids=lambda case: case.name)
def test_decode_any_form(race: Any, case: Case) -> None:
    """Other key orders and spacing, and different messages in turn."""
    race("decode", case, [peer.decode(case) for peer in entrants(EFFORTS["quick"], "orjson")])


@pytest.mark.parametrize("case", READ, ids=lambda case: case.name)
def test_read(race: Any, effort: Effort, case: Case) -> None:
    """Bytes to a checked message, then every member read, absent ones included."""
    race("read", case, [peer.read(case) for peer in entrants(effort, "msgspec")])


@pytest.mark.parametrize("case", COMPACT, ids=lambda case: case.name)
def test_encode(race: Any, effort: Effort, case: Case) -> None:
    """A built message to bytes."""
    jobs = [peer.encode(case) for peer in entrants(effort, "orjson")]
    if (this := ours()) is not None and effort is not EFFORTS["quick"]:
        jobs.append(this.encode_decoded(case))
    race("encode", case, jobs)
