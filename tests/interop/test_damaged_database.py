"""A station whose database is no database any more: it starts all the same, and says so."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.config import StationConfig
from ocpp_fast.csms import Csms, CsmsObserver, StationRecord
from ocpp_fast.simulator import SimulatedStation


class Witness(CsmsObserver):
    """Waits for the one message, beside that of every start."""

    def __init__(self) -> None:
        self.event: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def on_request(self, station: StationRecord, action: str, request: Any) -> None:
        if action == "SecurityEventNotification" and request.type != "StartupOfTheDevice":
            self.event.set_result(request)


async def test_a_damaged_database_is_set_aside_named_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "station.db"
    path.write_bytes(b"this is a text file, not a database" * 100)
    witness = Witness()
    async with Csms(port=0, observer=witness) as csms:
        config = StationConfig(identity="CS001", csms_url=csms.url, storage=str(path))
        async with SimulatedStation(config) as station:
            event = await asyncio.wait_for(witness.event, 10)
            assert event.type == "DatabaseCorrupted"
            kept = Path(event.tech_info.removeprefix("kept as "))
            assert kept.read_bytes().startswith(b"this is a text file")
            assert str(kept) in caplog.text
            assert station.charge_point.device_model.variables.heartbeat_interval_s > 0
    assert path.read_bytes().startswith(b"SQLite format 3")
