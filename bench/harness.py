"""Interleaved measurement: every candidate once per round, in shuffled order, ratios per round.

A ratio taken inside a round compares two batches that ran within milliseconds of one another on
one core, so that clock changes and noisy neighbours hit both sides. Times are processor time of
the measuring thread: a preempted batch is not a slow batch.
"""

import gc
import hashlib
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

_CALIBRATION_NS: Final = 400_000
_WARM_UP_NS: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Job:
    """One candidate's work in a benchmark: `func` called with each of `items`, over and over.

    Constant arguments stand `before` or `after` the item, so that no wrapper has to be timed.
    """

    candidate: str
    func: Callable[..., Any]
    items: Sequence[Any]
    before: tuple[Any, ...] = ()
    after: tuple[Any, ...] = ()

    def once(self, item: Any) -> Any:
        """One call, its result for checks."""
        return self.func(*self.before, item, *self.after)

    def results(self) -> list[Any]:
        """The result for each item."""
        return [self.once(item) for item in self.items]


def _run(job: Job, batch: Sequence[Any]) -> int:
    """Processor time of a batch in nanoseconds; the loops differ only in constant arguments."""
    func, clock = job.func, time.thread_time_ns
    match job.before, job.after:
        case (), ():
            start = clock()
            for item in batch:
                func(item)
            return clock() - start
        case (first,), ():
            start = clock()
            for item in batch:
                func(first, item)
            return clock() - start
        case (), (second, third):
            start = clock()
            for item in batch:
                func(item, second, third)
            return clock() - start
        case _:
            raise ValueError("no loop for these constant arguments")


class Interleaved:
    """Rounds over several jobs, and the numbers they gave."""

    def __init__(self, jobs: Sequence[Job], *, batch_ms: float, seed: str) -> None:
        self.jobs = list(jobs)
        self.ns_per_call: dict[str, list[float]] = {job.candidate: [] for job in jobs}
        self._rng = random.Random(seed)
        gc.collect()
        self._batches = [self._sized(job, batch_ms) for job in self.jobs]
        self.round()
        for times in self.ns_per_call.values():
            times.clear()  # the first round was a warm-up

    @staticmethod
    def _sized(job: Job, batch_ms: float) -> list[Any]:
        """A batch of about that length: as many repetitions of the items as it takes."""
        repeat, took = 1, 0
        while (took := _run(job, [*job.items] * repeat)) < _CALIBRATION_NS:
            repeat *= 4
        for _ in range(min(3, _WARM_UP_NS // took)):
            took = min(took, _run(job, [*job.items] * repeat))
        return [*job.items] * max(1, round(repeat * batch_ms * 1e6 / max(took, 1)))

    def round(self) -> None:
        """Runs each job's batch once, in a new order."""
        order = list(range(len(self.jobs)))
        self._rng.shuffle(order)
        for i in order:
            job, batch = self.jobs[i], self._batches[i]
            self.ns_per_call[job.candidate].append(_run(job, batch) / len(batch))

    def summary(self, references: Sequence[str]) -> dict[str, Any]:
        """Per candidate the median time of a call, and its ratio to each reference present."""
        return {
            name: {
                "us": round(statistics.median(times) / 1000, 4),
                "ratio": {
                    reference: quartiles(
                        [a / b for a, b in zip(times, self.ns_per_call[reference], strict=True)]
                    )
                    for reference in references
                    if reference in self.ns_per_call
                },
            }
            for name, times in self.ns_per_call.items()
        }


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Lower quartile, median and upper quartile."""
    if len(values) == 1:
        return dict.fromkeys(("q1", "median", "q3"), values[0])
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"q1": round(low, 4), "median": round(middle, 4), "q3": round(high, 4)}


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure. `quick` judges gates, `full` also compares with the slow peers."""

    name: str
    rounds: int
    batch_ms: float
    start_ups: int
    kept_messages: int = field(default=20_000)


EFFORTS: Final = {
    "quick": Effort("quick", rounds=30, batch_ms=1.0, start_ups=7),
    "full": Effort("full", rounds=60, batch_ms=2.5, start_ups=21),
}


def pin_to_one_core() -> int | None:
    """Keeps this process and its children on one core: `BENCH_CORE`, else the last allowed."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    core = int(os.environ.get("BENCH_CORE", allowed[-1]))
    os.sched_setaffinity(0, {core})
    return core


def environment() -> dict[str, Any]:
    """What the numbers depend on besides the code."""
    return {
        "build_profile": build_profile(),
        "build": build_id(),
        "python": platform.python_version(),
        "cpu": cpu_model(),
        "gc": gc.isenabled(),
    }


def build_profile() -> str:
    """`release` or `debug`; `absent` when the extension is not built."""
    try:
        from ocpp_fast import _core
    except ImportError:
        return "absent"
    return _core.build_profile


@cache
def build_id() -> str:
    """Beginning of the extension's hash, to tell whether it was rebuilt between two processes."""
    if build_profile() == "absent":
        return ""
    from ocpp_fast import _core

    return hashlib.sha256(Path(str(_core.__file__)).read_bytes()).hexdigest()[:12]


def cpu_model() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or sys.platform
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
