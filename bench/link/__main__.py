"""Runs the candidates in turns and prints medians and ratios as JSON."""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from bench.link.process import CANDIDATES
from bench.link.workload import WORKLOADS, Usage

_ROOT: Final = Path(__file__).parents[2]
_FLOOR: Final = "floor"
_START_LIMIT_S: Final = 60.0


def run_once(candidate: str, action: str, seconds: float) -> Usage:
    """One measurement in two fresh processes."""
    python = [sys.executable, "-m", "bench.link.process"]
    with subprocess.Popen(
        [*python, "server", candidate],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            port = server.stdout.readline().strip()
            result = subprocess.run(
                [*python, "client", candidate, action, port, str(seconds)],
                cwd=_ROOT,
                check=True,
                capture_output=True,
                text=True,
                timeout=seconds + _START_LIMIT_S,
            )
        finally:
            server.stdin.close()
            server.terminate()
    return Usage(**json.loads(result.stdout))


def _figures(runs: dict[str, list[Usage]]) -> dict[str, Any]:
    """Medians of each candidate, and of the ratios to the floor within a repetition."""
    figures: dict[str, Any] = {}
    for candidate, usages in runs.items():
        pairs = list(zip(usages, runs[_FLOOR], strict=True))
        cpu = [_cpu_us(usage) / _cpu_us(floor) for usage, floor in pairs]
        rate = [_rate(usage) / _rate(floor) for usage, floor in pairs]
        figures[candidate] = {
            "calls_per_s": round(statistics.median(map(_rate, usages))),
            "client_cpu_us": round(statistics.median(map(_cpu_us, usages)), 2),
            "client_cpu_ratio": round(statistics.median(cpu), 3),
            "client_cpu_ratio_quartiles": _quartiles(cpu),
            "calls_per_s_ratio": round(statistics.median(rate), 3),
            "calls_per_s_ratio_quartiles": _quartiles(rate),
        }
    return figures


def _rate(usage: Usage) -> float:
    return usage.calls / usage.wall_s


def _cpu_us(usage: Usage) -> float:
    return usage.cpu_s / usage.calls * 1e6


def _quartiles(values: list[float]) -> list[float]:
    if len(values) < 2:  # fewer have none
        return []
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return [round(first, 3), round(third, 3)]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="measured time of each run")
    parser.add_argument("--candidates", nargs="*", default=list(CANDIDATES), choices=CANDIDATES)
    parser.add_argument("--output", type=Path, help="where to write the JSON as well")
    options = parser.parse_args()
    candidates = sorted({_FLOOR, *options.candidates})
    random.seed(0)
    results: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "repetitions": options.repetitions,
        "seconds": options.seconds,
    }
    for action in WORKLOADS:
        runs: dict[str, list[Usage]] = {candidate: [] for candidate in candidates}
        for _ in range(options.repetitions):
            for candidate in random.sample(candidates, len(candidates)):
                runs[candidate].append(run_once(candidate, action, options.seconds))
        results[action] = _figures(runs)
    text = json.dumps(results, indent=2)
    print(text)
    if options.output is not None:
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
