"""The whole crash sweep: a power cut at every sync and frame, and at many writes (`make crash`).

    python -m crash.full [--seed TEXT] [--cuts NUMBER] [--scenario NAME] [--version 2.1]
                         [--at RECORD --fate kept|dropped|reordered|torn]

Says how far it is, what has failed and how to see that again, and ends with 1 if anything has.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from crash.disk import Fate
from crash.recording import Op, Unavailable, build, room
from crash.scenarios import SCENARIOS
from crash.sweep import Cut, Failure, Sweep, recordings
from ocpp_fast.messages import OcppVersion

_CUTS_AT_A_TIME = 60
_SHOWN = 5
_recorded: dict[tuple[str, OcppVersion], Sequence[Op]] = {}


@dataclass(frozen=True, slots=True)
class Task:
    """Some cuts of one recording."""

    name: str
    version: OcppVersion
    seed: str
    cuts: tuple[Cut, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of them."""

    task: Task
    restarts: int
    failures: tuple[Failure, ...]


def work(task: Task) -> Result:
    """In a process that has a copy of the recordings."""
    with room() as folder:
        sweep = Sweep(
            task.name, task.version, _recorded[task.name, task.version], folder, task.seed
        )
        found = tuple(failure for failure in sweep.run(task.cuts) if failure is not None)
    return Result(task, sweep.restarts, found)


def tasks(wanted: argparse.Namespace) -> list[Task]:
    """All that is to be done."""
    made: list[Task] = []
    for (name, version), ops in _recorded.items():
        if wanted.at is None:
            cuts = Sweep(name, version, ops, Path(), wanted.seed).cuts(wanted.cuts)
        else:
            cuts = [Cut(wanted.at, fate) for fate in wanted.fate or Fate]
        made += [
            Task(name, version, wanted.seed, tuple(cuts[start : start + _CUTS_AT_A_TIME]))
            for start in range(0, len(cuts), _CUTS_AT_A_TIME)
        ]
    return made


def arguments() -> argparse.Namespace:
    """As given."""
    parser = argparse.ArgumentParser(prog="crash.full", description=__doc__)
    parser.add_argument("--seed", default=os.environ.get("OCPP_FAST_CRASH_SEED") or _any_seed())
    parser.add_argument("--cuts", type=int, help="at most so many of each recording")
    parser.add_argument("--scenario", action="append", choices=[*SCENARIOS])
    parser.add_argument("--version", action="append", type=OcppVersion)
    parser.add_argument("--at", type=int, help="cut after so many records")
    parser.add_argument("--fate", action="append", type=Fate)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def _any_seed() -> str:
    return str(random.SystemRandom().randrange(1_000_000))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """The exit code."""
    wanted = arguments()
    logging.disable(logging.CRITICAL)
    versions, names = wanted.version or [*OcppVersion], wanted.scenario or [*SCENARIOS]
    say(f"seed {wanted.seed} (OCPP_FAST_CRASH_SEED), {wanted.processes} processes")
    try:
        with TemporaryDirectory() as place, room() as folder:
            library = build(Path(place))
            for version in versions:
                for name, ops in recordings(library, folder, version, names).items():
                    _recorded[name, version] = ops
    except Unavailable as reason:
        say(f"nothing can be recorded here: {reason}")
        return 0
    begun, said, results = perf_counter(), 1.0, list[Result]()
    todo = tasks(wanted)
    with multiprocessing.get_context("fork").Pool(wanted.processes) as pool:
        for result in pool.imap_unordered(work, todo):
            results.append(result)
            for failure in result.failures[:_SHOWN]:
                say(f"{failure}\n  again: {_again(result.task, failure)}")
            took = perf_counter() - begun
            if took > 10 * said:
                said = took // 10 + 1
                say(f"{100 * len(results) // len(todo):3d} %, {took:.0f} s")
    return _sum_up(results, perf_counter() - begun)


def _again(task: Task, failure: Failure) -> str:
    cut = failure.cut
    return (
        f"PYTHONPATH=tests python -m crash.full --seed {task.seed} --version {task.version} "
        f"--scenario {task.name} --at {cut.op} --fate {cut.fate}"
    )


def _sum_up(results: Sequence[Result], took_s: float) -> int:
    restarts: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for result in results:
        name = f"{result.task.name} ({result.task.version})"
        restarts[name] += result.restarts
        failed[name] += len(result.failures)
    for name in sorted(restarts):
        say(f"{name:24s} {restarts[name]:6d} cuts {failed[name]:6d} failed")
    total = sum(restarts.values())
    say(f"{total} cuts in {took_s:.0f} s, {sum(failed.values())} failed")
    return 1 if failed.total() else 0


if __name__ == "__main__":
    sys.exit(main())
