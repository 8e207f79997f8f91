"""`ocpp-fast station --storage`, killed in the middle of charging and run again."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from interop.test_cli import LIMIT_S, csms_process, run

pytestmark = pytest.mark.timeout(240)


def kill_while_charging(command: Sequence[str], csms: subprocess.Popen[str]) -> None:
    """Runs it until the CSMS knows that both cars charge, and cuts its power."""
    charging = 0
    with subprocess.Popen(
        [sys.executable, "-m", "ocpp_fast.cli", *command, "--seconds", "60"],
        stdout=subprocess.DEVNULL,
    ) as process:
        assert csms.stdout is not None
        for line in csms.stdout:
            charging += "ChargingStateChanged  Charging" in line
            if charging == 2:
                break
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(
    ("options", "became", "events"),
    [
        ((), "goes on, Charging", ["TxResumed  Charging", "Ended.*StopAuthorized"]),
        (("--on-restart", "close"), "has ended, EVConnected", ["Ended.*AbnormalCondition"]),
        (("--cars-gone",), "has ended, Idle", ["Ended.*EVCommunicationLost  Idle"]),
    ],
)
def test_a_station_that_was_killed_goes_on(
    tmp_path: Path, options: tuple[str, ...], became: str, events: list[str]
) -> None:
    with csms_process() as (url, process):
        command = ["station", "--url", url, "--id", "CS1", "--storage", str(tmp_path / "s.db")]
        kill_while_charging(command, process)
        done = run(*command, "--seconds", "2", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        found = re.findall(
            r"^EVSE (\d): transaction ([0-9a-f-]{36}) was interrupted \d+ s ago while Charging; "
            rf"it {became}$",
            done.stdout, re.MULTILINE,
        )  # fmt: skip
        assert sorted(evse_id for evse_id, _ in found) == ["1", "2"], done.stdout
        last = done.stdout.splitlines()[-1]
        assert last.startswith("2 transactions delivered: ")
        assert {transaction_id for _, transaction_id in found} == set(
            re.findall(r"[0-9a-f-]{36}", last)
        )
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=LIMIT_S)
        for event in events:
            assert len(re.findall(event, output)) == 2, output
