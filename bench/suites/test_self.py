"""The benchmarks measure what they claim: valid payloads, right sizes, candidates that agree."""

import json
from datetime import datetime
from typing import Any, cast

import fastjsonschema
import pytest

from bench.harness import Job
from bench.payloads import HEADLINE, PAYLOADS, VARIANTS, VERSIONS, Case, Payload, Version
from bench.peers import ours, peers
from bench.schemas import schema

CASES = [Case(payload, version) for payload in PAYLOADS.values() for version in VERSIONS]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=lambda payload: payload.name)
def test_payload_is_valid(payload: Payload, version: Version) -> None:
    """In every form and for several indices."""
    check: Any = fastjsonschema.compile(schema(version, payload.type_name), use_default=False)
    for variant in VARIANTS:
        case = Case(payload, version, variant, count=3)
        for frame in case.frames():
            check(json.loads(frame)[-1])


@pytest.mark.parametrize("payload", HEADLINE, ids=lambda payload: payload.name)
def test_payload_has_its_size(payload: Payload) -> None:
    """Within 3 % of the size the acceptance text names, and the same bytes every time."""
    (frame,) = Case(payload, "2.0.1").frames()
    assert payload.frame_bytes is not None
    assert len(frame) == pytest.approx(payload.frame_bytes, rel=0.03)
    assert [frame] == Case(payload, "2.0.1").frames()


def test_variants_say_the_same() -> None:
    """Key order and spacing change the bytes and nothing else."""
    for payload in HEADLINE:
        written = [Case(payload, "2.1", variant).frames()[0] for variant in VARIANTS]
        assert all(json.loads(frame) == json.loads(written[0]) for frame in written)
        if payload.name != "Heartbeat":
            assert len(set(written)) == len(VARIANTS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_candidates_encode_the_same(case: Case) -> None:
    """Every candidate writes an equal frame (numbers by value, date-times by instant)."""
    for peer in peers():
        _compare(peer.encode(case), case)
    if (this := ours()) is not None:
        _compare(this.encode_decoded(case), case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_candidates_decode_and_read(case: Case) -> None:
    """Every candidate accepts the frame, and the generated readers find every member."""
    for peer in peers():
        for job in (peer.decode(case), peer.read(case)):
            if job is not None:
                results = job.results()
                assert not any(type(r).__name__ == "InvalidFrame" for r in results), results


@pytest.mark.parametrize("version", VERSIONS)
def test_candidates_build_the_same(version: Version) -> None:
    """What is built from numbers is the payload TransactionEvent.Updated."""
    case = Case(PAYLOADS["TransactionEvent.Updated"], version)
    for peer in peers():
        _compare(peer.build(version), case)
    if (this := ours()) is not None:
        _compare(this.build_with_template(version), case)


def _compare(job: Job | None, case: Case) -> None:
    if job is None:
        return
    # The dataclasses of mobilityhouse write the schema's defaults of absent members.
    ignored = _DEFAULTS if job.candidate.startswith("mobilityhouse") else {}
    for written, tree in zip(job.results(), case.trees(), strict=True):
        assert _normal(json.loads(written), ignored) == _normal(tree, ignored), job.candidate


_DEFAULTS = {"offline": False, "multiplier": 0}


def _normal(value: Any, ignored: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        kept = {k: v for k, v in members if k not in ignored or v != ignored[k]}
        return {key: _normal(member, ignored) for key, member in kept.items()}
    if isinstance(value, list):
        return [_normal(item, ignored) for item in cast("list[Any]", value)]
    if isinstance(value, str) and value[4:5] == "-" and value.endswith("Z"):
        return datetime.fromisoformat(value)
    return value
