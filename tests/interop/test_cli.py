"""The command line as a user runs it: processes, exit codes, output that is no terminal."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ocpp_fast.messages import OcppVersion

# Processes that only hang for ever would go on so long; several at once on a busy computer do not.
LIMIT_S = 100.0
pytestmark = pytest.mark.timeout(240)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ocpp_fast.cli", *arguments],
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def csms_process() -> Generator[tuple[str, subprocess.Popen[str]]]:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "ocpp_fast.cli", "csms", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        found = re.search(r"ws://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None
        try:
            yield found[0], process
        finally:
            process.kill()


@pytest.mark.parametrize("version", OcppVersion)
def test_the_demo_charges_two_cars(version: OcppVersion) -> None:
    done = run("demo", "--version", version, "--seconds", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "\x1b[" not in done.stdout, "plain, for it is no terminal"
    assert "60 times faster than the clock" in done.stdout
    for evse_id in (1, 2):
        for state in ("charging", "stopped", "available"):
            assert f"EVSE {evse_id}: {state}\n" in done.stdout
        assert re.search(
            rf"^Transaction [0-9a-f-]{{36}} at EVSE {evse_id}: \d+ events, seqNo 0 to \d+,"
            r" [1-9]\d* with meter values, [1-9]\d* Wh, stopped: Local: complete$",
            done.stdout, re.MULTILINE,
        ), done.stdout  # fmt: skip
    assert "TransactionEvent  Started  seqNo 0" in done.stdout
    assert "TransactionEvent  Ended" in done.stdout
    assert "DEADBEEF" not in done.stdout, "tokens are secrets"


@pytest.mark.parametrize("version", [None, OcppVersion.V201])
def test_a_station_charges_at_a_csms_of_its_own_process(version: OcppVersion | None) -> None:
    with csms_process() as (url, process):
        offer = () if version is None else ("--version", version)
        done = run(
            "station", "--url", url, "--id", "CS 7", *offer, "--evses", "1", "--seconds", "2"
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"accepted, OCPP {version or OcppVersion.V21}" in done.stdout
        assert "1 transactions delivered" in done.stdout
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 130
        assert errors == ""
        assert "CSMS: CS 7 connected" in output
        assert "CS 7 TransactionEvent  Ended" in output
        assert "CS 7 disconnected" in output


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    (line,) = done.stderr.splitlines()
    return line


def test_nobody_answers() -> None:
    done = run("station", "--url", f"ws://127.0.0.1:{free_port()}", "--id", "CS1", "--wait", "4")
    assert done.returncode == 3
    assert one_line(done).startswith("ocpp-fast: ws://127.0.0.1:")
    assert "Connect call failed" in one_line(done)


def test_a_url_that_is_none() -> None:
    done = run("station", "--url", "http://127.0.0.1", "--id", "CS1")
    assert done.returncode == 2
    assert "ws:// or wss://" in one_line(done)


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("csms", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 3
    assert "address already in use" in one_line(done)


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["demo", "--version", "1.6"], ["station"], ["demo", "--seconds", "0"],
     ["--log-level", "loud", "demo"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


def test_help_and_version() -> None:
    done = run("--help")
    assert done.returncode == 0
    for word in ("demo", "csms", "station", "Exit codes"):
        assert word in done.stdout
    done = run("--version")
    assert re.fullmatch(r"ocpp-fast \d+\.\d+\.\d+\S*\n", done.stdout)
    for command in ("demo", "csms", "station"):
        assert run(command, "--help").returncode == 0


def test_without_typer_one_line_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('no', name='typer')\n")
    done = run("demo", PYTHONPATH=str(tmp_path))
    assert done.returncode == 3
    assert one_line(done).endswith("pip install 'ocpp-fast[cli]'")
