"""`ocpp-fast config` as a user runs it: output, exit codes, pipes and terminals."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ocpp_fast.device_model.files import (
    ComponentFilesInvalid,
    load,
    packaged_folder,
    read_folder,
    sample_files,
)

LIMIT_S = 100.0
pytestmark = pytest.mark.timeout(240)
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def config(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ocpp_fast.cli", "config", *arguments],
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture(name="sample")
def sample_folder(tmp_path: Path) -> Path:
    for path, content in sample_files():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    return tmp_path


def spoil(sample: Path) -> None:
    """A value that is no number, and a file that is no JSON."""
    file = sample / "standardized" / "TxCtrlr.json"
    text = file.read_text()
    assert '"value": 120' in text
    file.write_text(text.replace('"value": 120', '"value": "soon"'))
    (sample / "custom" / "EVSE_1.json").write_text("{")


def test_the_sample_is_fine(sample: Path) -> None:
    done = config("check", str(sample))
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""
    model = load(sample_files())
    assert done.stdout == (
        f"{sample}: no problems; {len(model.components())} components,"
        f" {model.variable_count} variables, 2 EVSEs, 2 connectors\n"
    )


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_one_version(sample: Path, version: str) -> None:
    assert config("check", str(sample), "--version", version).returncode == 0


def test_all_problems_one_a_line(sample: Path) -> None:
    spoil(sample)
    done = config("check", str(sample))
    assert done.returncode == 1
    assert done.stderr == ""
    with pytest.raises(ComponentFilesInvalid) as raised:
        load(read_folder(sample))
    problems = raised.value.problems
    *lines, last = done.stdout.splitlines()
    assert lines == [str(problem) for problem in problems]
    files = {problem.file for problem in problems if problem.file}
    assert last == f"{len(problems)} problems in {len(files)} files"


def test_colours_on_a_terminal_only(sample: Path) -> None:
    spoil(sample)
    plain = config("check", str(sample), TERM="xterm-256color")
    coloured = config("check", str(sample), TERM="xterm-256color", FORCE_COLOR="1", COLUMNS="40")
    assert "\x1b[" not in plain.stdout
    assert "\x1b[" in coloured.stdout
    assert ESCAPES.sub("", coloured.stdout) == plain.stdout, "and long lines stay whole"


def test_no_folder(tmp_path: Path) -> None:
    done = config("check", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert done.stderr == f"ocpp-fast: {tmp_path / 'nowhere'}: there is no such folder\n"


def test_init_copies_the_sample(tmp_path: Path) -> None:
    target = tmp_path / "new" / "station"
    done = config("init", str(target))
    assert done.returncode == 0, done.stderr
    assert f"ocpp-fast config check {target}\n" in done.stdout
    sample = packaged_folder() / "component_config"
    for path, content in read_folder(target):
        assert sample.joinpath(*path.split("/")).read_bytes() == content
    assert config("check", str(target)).returncode == 0


def test_init_for_many_evses(tmp_path: Path) -> None:
    target = tmp_path / "many"
    assert config("init", str(target), "--evses", "24", "--connectors", "2").returncode == 0
    done = config("check", str(target))
    assert done.returncode == 0, done.stdout
    assert ", 24 EVSEs, 48 connectors\n" in done.stdout


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for target in (tmp_path, tmp_path / "mine.txt"):
        done = config("init", str(target))
        assert done.returncode == 2
        assert done.stderr.endswith(": is there already, and nothing is overwritten\n")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_init_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = config("init", str(tmp_path / "file" / "folder"))
    assert done.returncode == 3
    assert "Not a directory" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["check"], ["init"], ["init", "x", "--evses", "0"]])
def test_wrong_usage(arguments: list[str]) -> None:
    assert config(*arguments).returncode == 2
