"""Options, pinning and the fixture that runs candidates interleaved in one benchmark."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bench.harness import EFFORTS, Effort, Interleaved, Job, environment, pin_to_one_core
from bench.payloads import Case
from bench.peers import REFERENCES


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--effort`."""
    parser.addoption("--effort", choices=sorted(EFFORTS), default="quick")


def pytest_configure(config: pytest.Config) -> None:
    """One core for everything, the subprocesses of memory and start-up included."""
    del config
    pin_to_one_core()


def effort_of(config: pytest.Config) -> Effort:
    """The effort asked for on the command line."""
    return EFFORTS[str(config.getoption("--effort"))]


@pytest.fixture
def effort(request: pytest.FixtureRequest) -> Effort:
    """How long to measure."""
    return effort_of(request.config)


Race = Callable[..., None]


@pytest.fixture
def race(benchmark: Any, effort: Effort) -> Race:
    """Runs jobs interleaved as one benchmark, each result verified before, ratios recorded."""

    def run(operation: str, case: Case, jobs: Sequence[Job | None]) -> None:
        present = [job for job in jobs if job is not None]
        interleaved = Interleaved(
            present, batch_ms=effort.batch_ms, seed=f"{operation} {case.name}"
        )
        frames = case.frames()
        rounds = effort.rounds // 2 if len(frames[0]) > 10_000 else effort.rounds
        benchmark.pedantic(interleaved.round, rounds=rounds, iterations=1)
        benchmark.extra_info.update(
            operation=operation,
            payload=case.payload.name,
            version=case.version,
            variant=case.variant,
            messages=case.count,
            frame_bytes=len(frames[0]),
            candidates=interleaved.summary(REFERENCES),
            environment=environment(),
        )

    return run
