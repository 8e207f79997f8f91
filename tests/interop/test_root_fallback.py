"""A new CSMS root beside the one it replaces, over real TLS (M05.FR.12 to M05.FR.16)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interop.bad_front import LIMIT_S, FastClock
from ocpp_fast.config import EvseConfig, SlotConfig, StationConfig, Variables
from ocpp_fast.csms import Csms, CsmsSecurity, KeyPair
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.ids import Ids
from ocpp_fast.security.pki import Issued, Pki
from ocpp_fast.security.store import CertificateStore, RootUse
from ocpp_fast.simulator import SimulatedStation
from ocpp_fast.storage import MemoryStorage

SPEED = 20.0
ATTEMPTS = 2
PASSWORD = "correct-horse-battery"
FILES = ComponentFiles()
VARIABLES = Variables(
    heartbeat_interval_s=0,
    retry_back_off_wait_minimum_s=1,
    retry_back_off_repeat_times=0,
    retry_back_off_random_range_s=0,
    network_profile_connection_attempts=ATTEMPTS,
    tx_updated_interval_s=0,
)


class Scene:
    """A station with two slots, each with a CSMS that shows whatever certificate it is given."""

    def __init__(self, folder: Path) -> None:
        self.clock = FastClock(SPEED)
        self.folder = folder
        self.pki = Pki(self.clock.now())
        self.new_root = self.pki.sub_ca("CSMS Root CA 2", self.pki.csms_root)
        self.files = CertificateStore(folder / "store", self.clock)
        self.files.install_root(RootUse.CSMS, self.pki.csms_root.pem)
        self.storage = MemoryStorage()
        self.ports: dict[int, int] = {}
        self.csms: dict[int, Csms] = {}
        self.failures: list[ConnectFailed] = []
        self.station: Any = None

    async def serve(self, slot: int, issuer: Issued | None = None) -> None:
        """(Re)starts the CSMS of a slot with a certificate of this authority."""
        if slot in self.csms:
            await self.csms[slot].stop()
        server = self.pki.server("localhost", issuer=issuer or self.pki.csms_root)
        name = f"{slot}-{len([*self.folder.iterdir()])}"
        chain, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        server.write(chain, key)
        pair = KeyPair(str(chain), str(key))
        self.csms[slot] = Csms(
            port=self.ports.get(slot, 0),
            clock=self.clock,
            ids=Ids(seed=slot),
            heartbeat_interval_s=0,
            security=CsmsSecurity(passwords={"CS001": PASSWORD}, key_pairs=(pair,)),
        )
        await self.csms[slot].start()
        self.ports[slot] = self.csms[slot].port

    async def start(self) -> None:
        urls = [f"wss://localhost:{self.ports[slot]}/ocpp" for slot in sorted(self.ports)]
        config = StationConfig(
            identity="CS001",
            csms_url=urls[0],
            slots=tuple(SlotConfig(csms_url=url) for url in urls[1:]),
            evses=(EvseConfig(),),
            password=PASSWORD,
            certificates=str(self.folder / "store"),
            variables=VARIABLES,
        )
        self.station = SimulatedStation(
            config, clock=self.clock, ids=Ids(1), storage=self.storage, component_files=FILES
        )
        await self.station.start()

    @property
    def point(self) -> Any:
        return self.station.charge_point

    async def until(self, what: Callable[[], Any]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not what():  # noqa: ASYNC110  # nobody could set an event for all of it
                await asyncio.sleep(0.01)

    async def accepted(self, slot: int) -> None:
        active = self.point.device_model.variable("OCPPCommCtrlr", "ActiveNetworkProfile")
        await self.until(
            lambda: (
                self.point.connected
                and self.point.registration == "Accepted"
                and active.get() == slot
            )
        )
        await asyncio.sleep(0.05)

    async def lose(self, slot: int) -> None:
        self.csms[slot].connection("CS001").transport.close(1001, "")
        await self.until(lambda: not self.point.connected)

    async def stop(self) -> None:
        if self.station is not None:
            await self.station.stop()
        for csms in self.csms.values():
            await csms.stop()


async def test_m05_fr_13_14_15_16_the_way_from_one_root_to_the_next(tmp_path: Path) -> None:
    """M05.FR.10, M05.FR.12: both roots are there. M05.FR.14: at the CSMS it was connected to the
    old one will do. M05.FR.15: at another it will not, that costs its attempts. M05.FR.16: back at
    the first, it will again. M05.FR.13: it goes when the new one has worked."""
    scene = Scene(tmp_path)
    try:
        await scene.serve(1)
        await scene.serve(2)
        await scene.start()
        await scene.accepted(1)
        model = scene.point.device_model
        model.variable("SecurityCtrlr", "AdditionalRootCertificateCheck").set("true")
        m = scene.point.version.module
        response: Any = await scene.csms[1].call(
            "CS001",
            m.InstallCertificateRequest(
                certificate_type="CSMSRootCertificate", certificate=scene.new_root.pem
            ),
        )
        assert response.status == "Accepted"
        assert len(scene.files.fallback_roots()) == 1

        await scene.lose(1)
        await scene.accepted(1)
        assert len(scene.files.fallback_roots()) == 1, "M05.FR.14: the old one was needed"

        model.variable("OCPPCommCtrlr", "NetworkConfigurationPriority").set("2,1")
        await scene.station.stop()
        failed: list[Any] = []
        await scene.start()
        events = scene.point._uplink.connectivity._events
        object.__setattr__(
            events,
            "failed",
            lambda error, inner=events.failed: (failed.append(error), inner(error)),
        )
        await scene.accepted(1)
        assert [error.failure for error in failed] == [ConnectFailure.CERTIFICATE] * ATTEMPTS
        assert not scene.csms[2].stations, "M05.FR.15"
        assert len(scene.files.fallback_roots()) == 1, "M05.FR.16"

        await scene.serve(1, scene.new_root)
        await scene.accepted(1)
        await scene.until(lambda: not scene.files.fallback_roots())
        assert [root.subject for root in scene.files.roots(RootUse.CSMS)] == [
            scene.new_root.certificate.subject
        ]
        # And now the old one is worth nothing.
        await scene.serve(1)
        await scene.until(lambda: scene.point.connect_error is not None)
        await scene.until(
            lambda: (
                isinstance(scene.point.connect_error, ConnectFailed)
                and scene.point.connect_error.failure is ConnectFailure.CERTIFICATE
            )
        )
    finally:
        await scene.stop()


@pytest.mark.parametrize("wrong", ["stranger", "other host"])
async def test_m05_fr_14_the_fallback_is_no_way_past_the_checks(wrong: str, tmp_path: Path) -> None:
    """M05.FR.14 is about the root; a name that is not that of the CSMS, and a certificate that
    neither root has signed, stay what they are (A00.FR.309, A00.FR.310, A00.FR.311)."""
    scene = Scene(tmp_path)
    try:
        await scene.serve(1)
        await scene.start()
        await scene.accepted(1)
        scene.files.install_root(RootUse.CSMS, scene.new_root.pem, additional_check=True)
        pki = Pki(scene.clock.now()) if wrong == "stranger" else scene.pki
        hosts = "localhost" if wrong == "stranger" else "elsewhere.test"
        bad = pki.server(hosts, issuer=pki.csms_root)
        good_server = scene.pki.server
        scene.pki.server = lambda *_, **__: bad
        await scene.serve(1)
        scene.pki.server = good_server
        await scene.until(
            lambda: (
                isinstance(scene.point.connect_error, ConnectFailed)
                and scene.point.connect_error.failure is ConnectFailure.CERTIFICATE
            )
        )
        await asyncio.sleep(0.3)
        assert not scene.csms[1].stations
        await scene.serve(1)
        await scene.accepted(1)
    finally:
        await scene.stop()
