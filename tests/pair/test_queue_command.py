"""What a CSMS refused for good reaches it after `ocpp-fast queue requeue` and the next start."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.cli.app import run
from ocpp_fast.csms import StationRecord
from ocpp_fast.errors import ErrorCode, RequestRefused
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage.sqlite import SqliteStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.station_kit import QUIET, VERSIONS, Site

IMPATIENT = replace(QUIET, message_attempts=2, message_attempt_interval_s=1)

Queue = Callable[..., str]


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Queue:
    def run_it(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["ocpp-fast", "queue", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run()
        out, err = capfd.readouterr()
        assert not ended.value.code, err
        return out

    return run_it


@pytest.mark.parametrize("version", VERSIONS)
def test_a_refused_end_is_told_after_all(
    version: OcppVersion, tmp_path: Path, queue: Queue
) -> None:
    """E13.FR.04: it was given up, and kept."""
    file = tmp_path / "station.db"

    def refuses_the_end(_: StationRecord, request: Any) -> Any:
        if request.event_type == "Ended":
            raise RequestRefused(ErrorCode.INTERNAL_ERROR, "the tariff is gone")
        module: Any = version.module
        return module.TransactionEventResponse()

    async def first(clock: VirtualClock) -> list[dict[str, Any]]:
        site = Site(clock, version, variables=IMPATIENT, storage=SqliteStorage(file))
        site.csms.on("TransactionEvent", refuses_the_end)
        async with site:
            await site.charge(30)
            await site.station.charge_point.delivery.drained()
        return site.sent("TransactionEvent")

    async def second(clock: VirtualClock) -> list[dict[str, Any]]:
        storage = SqliteStorage(file)
        site = Site(clock, version, variables=IMPATIENT, storage=storage, ids=Ids(seed=3))
        async with site:
            await site.station.charge_point.delivery.drained()
        return site.sent("TransactionEvent")

    *_, last, again = run_virtual(first)
    assert last == again
    assert last["eventType"] == "Ended"
    (line,) = queue("export", file).splitlines()
    letter = json.loads(line)
    assert letter["payload"] == last
    assert (letter["attempts"], letter["seq_no"]) == (2, last["seqNo"])
    assert "the tariff is gone" in letter["cause"]
    assert "1 message will be sent" in queue("requeue", file, letter["id"])
    assert run_virtual(second) == [{**last, "offline": True}]
    assert "0 messages waiting, 0 dead letters" in queue("list", file)
