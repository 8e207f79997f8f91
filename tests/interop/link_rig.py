"""A station that dials real sockets, on a fast clock, with every dial noted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from interop.bad_front import LIMIT_S, FastClock, Front, front
from ocpp_fast.clock import SystemClock
from ocpp_fast.config import EvseConfig, StationConfig, Variables
from ocpp_fast.csms import Csms
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.errors import TransportError
from ocpp_fast.ids import Ids
from ocpp_fast.security.pki import Pki
from ocpp_fast.security.store import CertificateStore, RootUse
from ocpp_fast.simulator import SimulatedStation
from ocpp_fast.transport import picows

SPEED = 60.0
MINIMUM_S, REPEAT_TIMES = 2, 2
PING_S, PONG_S = 24, 24
OPEN_S = 20.0
"""`WebSocketSettings.open_timeout_s`"""
LATE_S = 0.1 * SPEED
"""What slow computing may add to a pause; 0.004 were seen."""
EARLY_S = 0.002 * SPEED
VARIABLES = Variables(
    heartbeat_interval_s=0,
    retry_back_off_wait_minimum_s=MINIMUM_S,
    retry_back_off_repeat_times=REPEAT_TIMES,
    retry_back_off_random_range_s=0,
    web_socket_ping_interval_s=PING_S,
    web_socket_pong_timeout_s=PONG_S,
    tx_updated_interval_s=0,
)
PASSWORD = "correct-horse-battery"
FILES = ComponentFiles()


@dataclass
class Dialled:
    """One attempt, in seconds of the fast clock."""

    began_s: float
    ended_s: float = 0.0
    failure: TransportError | None = None
    connection: Any = None
    lost_s: float | None = None


@dataclass
class Rig:
    """A station, the front it dials, and the CSMS behind that."""

    clock: FastClock
    csms: Csms
    front: Front
    station: SimulatedStation
    dials: list[Dialled] = field(default_factory=list)

    async def until(self, what: Callable[[], Any], limit_s: float = LIMIT_S) -> None:
        async with asyncio.timeout(limit_s):
            while not what():  # noqa: ASYNC110  # nobody could set an event for all of it
                await asyncio.sleep(0.005)

    async def accepted(self) -> None:
        await self.until(lambda: self.point.connected and self.point.registration == "Accepted")

    @property
    def point(self) -> Any:
        return self.station.charge_point

    def pauses(self) -> list[float]:
        """Before each dial but the first, from the end of what was before it."""
        found: list[float] = []
        for before, after in zip(self.dials, self.dials[1:], strict=False):
            end = before.ended_s if before.failure is not None else before.lost_s
            assert end is not None
            found.append(after.began_s - end)
        return found

    def check(self, expected: list[float]) -> None:
        """The last pauses are these, none shorter."""
        pauses = self.pauses()[-len(expected) :]
        assert len(pauses) == len(expected)
        for pause_s, expected_s in zip(pauses, expected, strict=True):
            assert expected_s - EARLY_S <= pause_s <= expected_s + LATE_S, pauses


def _watched(rig: Rig, connect: Any) -> Any:
    """`picows.connect` that notes what becomes of it."""

    async def watched(*arguments: Any, **options: Any) -> Any:
        dial = Dialled(rig.clock.monotonic())
        rig.dials.append(dial)
        try:
            dial.connection = await connect(*arguments, **options)
        except TransportError as error:
            dial.failure = error
            raise
        finally:
            dial.ended_s = rig.clock.monotonic()

        async def note() -> None:
            await dial.connection.wait_closed()
            dial.lost_s = rig.clock.monotonic()

        dial.connection.noting = asyncio.ensure_future(note())
        return dial.connection

    return watched


@asynccontextmanager
async def rig(
    monkeypatch: pytest.MonkeyPatch,
    *,
    scheme: str = "ws",
    host: str = "127.0.0.1",
    csms_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> AsyncGenerator[Rig]:
    clock = FastClock(SPEED)
    csms = Csms(clock=clock, ids=Ids(2), heartbeat_interval_s=0, **(csms_options or {}))
    async with csms, front(csms.port) as between:
        config = StationConfig(
            identity="CS001",
            csms_url=f"{scheme}://{host}:{between.port}/ocpp",
            evses=(EvseConfig(),),
            password=PASSWORD,
            variables=VARIABLES,
            **options,
        )
        station = SimulatedStation(config, clock=clock, ids=Ids(1), component_files=FILES)
        one = Rig(clock, csms, between, station)
        monkeypatch.setattr(picows, "connect", _watched(one, picows.connect))
        try:
            yield one
        finally:
            await asyncio.wait_for(station.stop(), LIMIT_S)
            dials = len(one.dials)
            await asyncio.sleep(1.5 * MINIMUM_S / SPEED)
            assert len(one.dials) == dials, "nothing dials after stop"


def trusting(folder: Path) -> str:
    """The folder of a certificate store with a CSMS root of ours."""
    path = folder / "certificates"
    clock = SystemClock()
    CertificateStore(path, clock).install_root(RootUse.CSMS, Pki(clock.now()).csms_root.pem)
    return str(path)
