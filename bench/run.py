"""Runs the suites in a fresh process and reads what they recorded."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "bench" / "results"

VERIFYING: Final = ("test_self.py", "test_self_device_model.py", "test_gates.py")
# What leaves much memory behind stands last.
MEASURING: Final = ("test_codec.py", "test_build.py", "test_footprint.py", "test_device_model.py")

Record = dict[str, Any]


class BenchmarkError(Exception):
    """The suites could not be run, or an assertion in them failed."""


def run_suites(effort: str, output: Path, *, quiet: bool = True) -> list[Record]:
    """One process; returns the `extra_info` of each benchmark. Raises `BenchmarkError`."""
    output.parent.mkdir(parents=True, exist_ok=True)
    _pytest(MEASURING, "--effort", effort, f"--benchmark-json={output}", quiet=quiet)
    return read_records(output)


def verify() -> None:
    """The benchmarks' own tests, some seconds. Raises `BenchmarkError`."""
    _pytest(VERIFYING, quiet=True)


def _pytest(files: Sequence[str], *options: str, quiet: bool) -> None:
    command = [
        *(sys.executable, "-m", "pytest", "-c", "bench/pytest.ini"),
        *(f"bench/suites/{name}" for name in files),
        *options,
    ]
    done = subprocess.run(
        command, cwd=ROOT, check=False, capture_output=quiet, text=True, timeout=1800
    )
    if done.returncode != 0:
        raise BenchmarkError(f"pytest ended with {done.returncode}\n{(done.stdout or '')[-4000:]}")


def read_records(path: Path) -> list[Record]:
    """The `extra_info` of each benchmark in a pytest-benchmark file."""
    loaded: Any = json.loads(path.read_text(encoding="utf-8"))
    return [cast("Record", benchmark["extra_info"]) for benchmark in loaded["benchmarks"]]


def environment_of(records: list[Record]) -> Record:
    """Build profile, Python and processor of a run."""
    for record in records:
        if "environment" in record:
            return cast("Record", record["environment"])
    return {}


def refuse_unmeasurable(records: list[Record]) -> None:
    """Raises `BenchmarkError` for a debug build or none: such numbers must not be judged."""
    profile = environment_of(records).get("build_profile", "absent")
    if profile != "release":
        raise BenchmarkError(
            f"ocpp_fast._core is {profile}, not a release build: "
            "nothing is judged (maturin develop --release)"
        )
