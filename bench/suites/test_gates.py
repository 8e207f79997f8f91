"""The judge: what passes, what is held, what fails, and what is not judged at all."""

import datetime as dt
from typing import Any

import pytest

from bench import gates
from bench.gates import Gate, NotReached
from bench.run import BenchmarkError, refuse_unmeasurable

SOURCE = {"operation": "decode", "reference": "orjson", "variants": ["*"]}
TODAY = dt.date(2026, 11, 21)


def record(payload: str, ratio: float, variant: str = "compact", **changes: Any) -> dict[str, Any]:
    """What a suite records, as far as the judge looks."""
    found: dict[str, Any] = {
        "operation": "decode",
        "payload": payload,
        "version": "2.1",
        "variant": variant,
        "messages": 1,
        "candidates": {"ocpp_fast": {"ratio": {"orjson": {"median": ratio}}}},
    }
    return found | changes


def test_the_median_of_the_processes_decides() -> None:
    """One slow process of three does not fail a gate, two do."""
    gate = Gate("decode", "", "x", 0.5, SOURCE)
    (verdict,) = gates.judge(gate, [[record("Heartbeat", value)] for value in (0.4, 0.45, 0.9)])
    assert (verdict.measured, verdict.passed, verdict.reached) == (0.45, True, True)
    (verdict,) = gates.judge(gate, [[record("Heartbeat", value)] for value in (0.4, 0.8, 0.9)])
    assert (verdict.passed, verdict.reached) == (False, False)


def test_a_gate_not_reached_stands_ten_percent_above_the_best_measurement() -> None:
    """Only for its payload, and never below the figure."""
    entries = (NotReached(0.6, TODAY, payload="Heartbeat"),)
    gate = Gate("decode", "", "x", 0.5, SOURCE, not_reached=entries)
    records = [[record("Heartbeat", 0.65), record("Authorize", 0.65)]]
    held, failed = gates.judge(gate, records)
    assert held.limit == pytest.approx(0.66)
    assert (held.passed, held.reached, failed.passed) == (True, False, False)


def test_at_least_turns_the_comparison_round() -> None:
    """More is better."""
    gate = Gate("link", "", "x", 0.65, {**SOURCE}, at_least=True)
    above, below = gates.judge(gate, [[record("A", 0.7), record("B", 0.6)]])
    assert (above.passed, below.passed) == (True, False)
    assert below.strain > 1 > above.strain


def test_a_row_takes_only_its_benchmarks() -> None:
    """By operation, payload, form and number of messages."""
    gate = Gate("decode", "", "x", 0.5, {**SOURCE, "payloads": ["A"], "variants": ["compact"]})
    others = [
        record("B", 1.0),
        record("A", 1.0, variant="pretty"),
        record("A", 1.0, messages=16),
        record("A", 1.0, operation="encode"),
    ]
    (verdict,) = gates.judge(gate, [[record("A", 0.4), *others]])
    assert verdict.label == "A 2.1 compact"


def test_the_committed_gates_are_readable() -> None:
    """Every row of the acceptance text is there once."""
    rows = [gate.row for gate in gates.load()]
    assert len(rows) == len(set(rows)) == 22


@pytest.mark.parametrize("profile", ["debug", "absent"])
def test_only_a_release_build_is_judged(profile: str) -> None:
    """A debug build, or none, ends the run."""
    with pytest.raises(BenchmarkError, match=profile):
        refuse_unmeasurable([{"environment": {"build_profile": profile}}])
