"""Options, pinning and the fixture that runs candidates interleaved in one benchmark."""

from collections.abc import Callable, Sequence
from dataclasses import replace
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
def compare(benchmark: Any) -> Race:
    """Runs jobs interleaved as one benchmark and records it; `found` says what was measured."""

    def run(
        operation: str,
        jobs: Sequence[Job],
        effort: Effort,
        references: Sequence[str],
        **found: Any,
    ) -> None:
        seed = " ".join(map(str, (operation, *found.values())))
        interleaved = Interleaved(jobs, batch_ms=effort.batch_ms, seed=seed)
        benchmark.pedantic(interleaved.round, rounds=effort.rounds, iterations=1)
        benchmark.extra_info.update(
            operation=operation,
            **found,
            candidates=interleaved.summary(references),
            environment=environment(),
        )

    return run


@pytest.fixture
def race(compare: Race, effort: Effort) -> Race:
    """Runs the candidates of a message interleaved."""

    def run(operation: str, case: Case, jobs: Sequence[Job | None]) -> None:
        frames = case.frames()
        compare(
            operation,
            [job for job in jobs if job is not None],
            replace(effort, rounds=effort.rounds // (2 if len(frames[0]) > 10_000 else 1)),
            REFERENCES,
            payload=case.payload.name,
            version=case.version,
            variant=case.variant,
            messages=case.count,
            frame_bytes=len(frames[0]),
        )

    return run
