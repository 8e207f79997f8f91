"""Memory per message, the cost of imports, and what each candidate's checks are worth."""

from typing import Any

import pytest

from bench import bad_frames, memory, startup
from bench.harness import Effort, environment
from bench.payloads import VERSIONS, Version
from bench.peers import entrants, ours, peers


@pytest.mark.parametrize("version", VERSIONS)
def test_memory(benchmark: Any, effort: Effort, version: Version) -> None:
    """Bytes held per decoded TransactionEvent Updated, one fresh process per candidate."""
    # What is checked as dicts holds what orjson holds; re-decoding is about encoding.
    names = [
        peer.name for peer in entrants(effort) if "+" not in peer.name and "," not in peer.name
    ]
    found = benchmark.pedantic(
        lambda: {
            name: memory.held_per_message(name, version, effort.kept_messages) for name in names
        },
        rounds=1,
        iterations=1,
    )
    benchmark.extra_info.update(
        operation="memory",
        payload="TransactionEvent.Updated",
        version=version,
        candidates=found,
        environment=environment(),
    )


def test_start_up(benchmark: Any, effort: Effort) -> None:
    """Import and the first message; every type of both versions."""
    steps = benchmark.pedantic(
        lambda: startup.measure(effort.start_ups, with_ours=ours() is not None),
        rounds=1,
        iterations=1,
    )
    benchmark.extra_info.update(operation="start-up", steps=steps, environment=environment())


@pytest.mark.parametrize("version", VERSIONS)
def test_bad_frames(benchmark: Any, version: Version) -> None:
    """The table of verdicts; ours must catch all that is bad and accept all that is valid."""
    table = benchmark.pedantic(lambda: bad_frames.table(peers(), version), rounds=1, iterations=1)
    benchmark.extra_info.update(operation="bad frames", version=version, verdicts=table)
    wrong = [
        f"{name}: {verdict}"
        for name, verdict in table.get("ocpp_fast", {}).items()
        if verdict in {"missed", "refused"}
    ]
    assert not wrong
