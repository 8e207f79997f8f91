"""What stations live through while they are recorded.

    python -m crash.scenarios FOLDER VERSION PRAGMAS SCENARIO...

Each scenario has a folder of its own below FOLDER; one that goes through a power cut has several.
PRAGMAS are set in the database after each start, `synchronous=OFF` for instance, with commas in
between. Everything is in virtual time and seeded: a scenario is the same every time.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from dataclasses import replace as changed
from datetime import timedelta
from pathlib import Path
from typing import Any

from crash.database_time import databases_in_the_loop
from crash.recording import mark
from crash.site import VARIABLES, CrashSite, World
from ocpp_fast.config import OnRestart, TxPoint
from ocpp_fast.csms import CsmsHandler
from ocpp_fast.errors import ErrorCode, RequestRefused
from ocpp_fast.messages import OcppVersion
from ocpp_fast.security.pki import Pki
from ocpp_fast.testing import VirtualClock, run_virtual

CONFIGURED: Mapping[str, str] = {
    "OCPPCommCtrlr.OfflineThreshold": "1{}",
    "SampledDataCtrlr.TxUpdatedInterval": "6{}",
    "TxCtrlr.EVConnectionTimeOut": "12{}",
}
"""What is set in one request, to values that end with its number."""
OLD_PASSWORD = "old-password-0000"
NEW_PASSWORD = "new-password-0001"
CONFIG: Mapping[str, Mapping[str, Any]] = {
    "configure": {"password": OLD_PASSWORD},
    "pressure": {
        "max_queued_messages": 100,
        "variables": changed(VARIABLES, tx_updated_interval_s=1),
    },
    "remote": {
        "variables": changed(
            VARIABLES, tx_start_point=frozenset({TxPoint.EV_CONNECTED, TxPoint.AUTHORIZED})
        )
    },
}
"""What the station of a scenario is configured with, beside what all are."""
UNREACHABLE_S = 1e9
UNKNOWN_TIME: Mapping[str, Any] = {
    "variables": changed(VARIABLES, tx_before_accepted_enabled=True, tx_updated_interval_s=20)
}


@dataclass
class Stage:
    """Where a scenario takes place."""

    clock: VirtualClock
    version: OcppVersion
    root: Path
    name: str
    pragmas: Sequence[str]
    lives: int = 0
    site: CrashSite | None = None
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.root / self.name
        mark("scenario", name=self.name)
        self.folder.mkdir()
        mark("settled")  # The folder itself is the integrator's.

    @asynccontextmanager
    async def life(
        self,
        world: World | None = None,
        *,
        boot_reason: str = "PowerUp",
        handlers: Mapping[str, CsmsHandler] | None = None,
        knows_time: bool = True,
        reachable: bool = True,
        **config: Any,
    ) -> AsyncGenerator[CrashSite]:
        """A station from its start to its stop."""
        self.lives += 1
        site = CrashSite(
            self.clock,
            self.version,
            self.folder,
            seed=self.lives,
            handlers=handlers,
            knows_time=knows_time,
            **{**CONFIG.get(self.name, {}), **config},
        )
        if world is not None:
            site.live_in(world)
        self.site = site
        site.reachable = reachable
        site.recorded = True
        site.mark("life", folder=self.folder.name, scenario=self.name)
        await site.station.start(boot_reason)
        for pragma in self.pragmas:
            await site.set_pragma(pragma)
        try:
            await self.clock.sleep(0.5)
            yield site
        finally:
            await site.station.stop()
            site.mark("end")
            site.recorded = False
            await site.csms.stop()

    def cut_power(self) -> World:
        """The site lives on, but nobody looks; the next life finds its files as they are now."""
        assert self.site is not None
        self.site.mark("end")
        self.site.recorded = False
        target = self.root / f"{self.name}.{self.lives}"
        target.mkdir()
        for path in sorted(self.folder.rglob("*")):
            copy = target / path.relative_to(self.folder)
            if path.is_dir():
                copy.mkdir()
            elif not path.name.endswith("-shm"):
                copy.write_bytes(path.read_bytes())
        self.folder = target
        mark("settled")
        return self.site.world()

    def on_disk(self) -> None:
        """Before each job of the database."""
        if self.site is not None:
            self.site.mark("disk")


Scenario = Callable[[Stage], Awaitable[None]]


async def charge(stage: Stage) -> None:
    """Start, update, stop; then the same at the other EVSE."""
    async with stage.life() as site:
        await site.charge(130)
        await site.charge(20, evse_id=2)


async def together(stage: Stage) -> None:
    """Two transactions at the same time."""
    async with stage.life() as site:
        await site.charge_without_end(1)
        await site.charge_without_end(2)
        await site.clock.sleep(130)
        await site.station.unplug(2)
        await site.station.unplug(1)
        await site.clock.sleep(5)


async def offline(stage: Stage) -> None:
    """Ended offline, begun and ended offline, begun offline and going on; the link comes back."""
    async with stage.life() as site:
        await site.charge_without_end(1)
        site.cut(until_s=UNREACHABLE_S)
        await site.clock.sleep(70)
        await site.station.unplug(1)
        await site.charge(70, evse_id=2)
        await site.charge_without_end(1)
        await site.clock.sleep(100)
        site.reachable = True
        await site.clock.sleep(90)
        await site.station.unplug(1)
        await site.settle()


async def replay(stage: Stage) -> None:
    """The link is lost again while what was queued is sent."""
    async with stage.life() as site:
        site.cut(until_s=UNREACHABLE_S)
        await site.charge_without_end(1)
        await site.charge(200, evse_id=2)
        await site.station.unplug(1)
        await site.charge_without_end(2)
        heard = len(site.sent("TransactionEvent"))
        for more in (2, 3, 4):
            site.reachable = True
            while len(site.sent("TransactionEvent")) < heard + more:
                await site.clock.sleep(0.003)
            heard += more
            site.cut(until_s=UNREACHABLE_S)
            await site.clock.sleep(20)
        site.reachable = True
        await site.settle()
        await site.station.unplug(2)
        await site.settle()


async def pressure(stage: Stage) -> None:
    """More is queued than there is room for."""
    async with stage.life() as site:
        site.cut(until_s=UNREACHABLE_S)
        await site.charge_without_end(1)
        await site.charge_without_end(2)
        await site.clock.sleep(45)
        await site.station.unplug(1)
        await site.clock.sleep(10)
        assert site.station.charge_point.delivery.thinned
        site.reachable = True
        await site.settle()
        await site.station.unplug(2)
        await site.settle()


async def wrong_clock(stage: Stage) -> None:
    """Nobody has told the station the time: not before its first transaction, and not before the
    power is cut in the second."""
    async with stage.life(knows_time=False, reachable=False, **UNKNOWN_TIME) as site:
        await site.charge(70)
        await site.charge_without_end(2)
        await site.clock.sleep(30)
        world = stage.cut_power()
    world.now += timedelta(seconds=50)
    await stage.clock.sleep(50)
    async with stage.life(
        world, knows_time=False, reachable=False, on_restart=OnRestart.CLOSE, **UNKNOWN_TIME
    ) as site:
        await site.station.unplug(2)
        await site.charge_without_end(1)
        await site.clock.sleep(70)
        site.reachable = True
        await site.settle()
        await site.clock.sleep(70)
        await site.station.unplug(1)
        await site.settle()


async def remote(stage: Stage) -> None:
    """Started by the CSMS, before the car comes and while it waits."""
    async with stage.life() as site:
        m: Any = site.version.module
        for evse in (1, 2):
            token = m.IdTokenType(id_token=f"REMOTE{evse}", type="Central")
            if evse == 2:
                await site.station.plug_in(evse)
                await site.clock.sleep(5)
            start = m.RequestStartTransactionRequest(
                id_token=token, remote_start_id=evse, evse_id=evse
            )
            await site.csms.call("CS001", start)
            await site.clock.sleep(5)
            if evse == 1:
                await site.station.plug_in(evse)
            await site.clock.sleep(40)
        for record in site.transactions:
            stop = m.RequestStopTransactionRequest(transaction_id=record.transaction_id)
            await site.csms.call("CS001", stop)
            await site.clock.sleep(5)
        await site.station.unplug(1)
        await site.station.unplug(2)
        await site.settle()


async def configure(stage: Stage) -> None:
    """SetVariables of several, a network profile, a password, all during a transaction."""
    async with stage.life() as site:
        m: Any = site.version.module
        await site.charge_without_end(1)
        for number in (1, 2):
            data = [
                m.SetVariableDataType(
                    attribute_value=value.format(number),
                    component=m.ComponentType(name=name.partition(".")[0]),
                    variable=m.VariableType(name=name.partition(".")[2]),
                )
                for name, value in CONFIGURED.items()
            ]
            await site.csms.call("CS001", m.SetVariablesRequest(set_variable_data=data))
            await site.clock.sleep(2)
        security = site.csms.security("CS001")
        await security.set_network_profile(2, "ws://two.test/ocpp", 1)
        await site.clock.sleep(2)
        await site.csms.model("CS001").set({"SecurityCtrlr.BasicAuthPassword": NEW_PASSWORD})
        await site.clock.sleep(90)
        await site.station.unplug(1)
        await site.settle()


async def certificates(stage: Stage) -> None:
    """Root certificates are installed and deleted."""
    roots = [Pki(stage.clock.now()).csms_root.pem for _ in range(2)]
    async with stage.life() as site:
        security = site.csms.security("CS001")
        for use, root in zip(("CSMSRootCertificate", "V2GRootCertificate"), roots, strict=True):
            await security.install_certificate(use, root)
            await site.clock.sleep(1)
        for chain in await security.installed_certificates("V2GRootCertificate"):
            await security.delete_certificate(chain.certificate_hash_data)
            await site.clock.sleep(1)
        await security.install_certificate("ManufacturerRootCertificate", roots[1])


async def reset(stage: Stage) -> None:
    """A scheduled reset, then one that ends the transactions."""
    async with stage.life() as site:
        m: Any = site.version.module
        await site.charge_without_end(1)
        await site.csms.call("CS001", m.ResetRequest(type="OnIdle"))
        await site.clock.sleep(20)
        await site.station.unplug(1)
        while not site.resets:
            await site.clock.sleep(0.1)
        world = site.world()
    async with stage.life(world, boot_reason="ScheduledReset") as site:
        await site.charge_without_end(1)
        await site.charge_without_end(2)
        await site.clock.sleep(20)
        await site.csms.call("CS001", m.ResetRequest(type="Immediate"))
        while site.resets < 1:
            await site.clock.sleep(0.1)
        world = site.world()
    async with stage.life(world, boot_reason="RemoteReset") as site:
        await site.clock.sleep(10)


async def restart(stage: Stage) -> None:
    """The station is stopped during a transaction, as by an operator, and goes on."""
    async with stage.life() as site:
        await site.charge_without_end(1)
        await site.clock.sleep(90)
        world = site.world()
    async with stage.life(
        world, boot_reason="ApplicationReset", on_restart=OnRestart.RESUME
    ) as site:
        await site.clock.sleep(90)
        await site.end_all()
        await site.charge(20, evse_id=2)


async def power_cut(stage: Stage) -> None:
    """The power fails during two transactions, one of them offline; both are closed. It fails
    again; both are resumed."""
    async with stage.life() as site:
        await site.charge_without_end(1)
        await site.clock.sleep(40)
        site.cut(until_s=UNREACHABLE_S)
        await site.charge_without_end(2)
        await site.clock.sleep(70)
        world = stage.cut_power()
    async with stage.life(world, on_restart=OnRestart.CLOSE) as site:
        await site.settle()
        await site.clock.sleep(5)
        for evse in world.cars:
            await site.station.unplug(evse)
        await site.charge_without_end(2)
        await site.charge_without_end(1)
        await site.clock.sleep(70)
        world = stage.cut_power()
    async with stage.life(world, on_restart=OnRestart.RESUME) as site:
        await site.settle()
        await site.clock.sleep(70)
        await site.end_all()


async def dead_letter(stage: Stage) -> None:
    """The CSMS never takes the Ended of the first transaction, which is given up."""
    refused: list[str] = []

    def answer(_station: object, request: Any) -> Any:
        transaction_id = request.transaction_info.transaction_id
        if request.event_type == "Ended":
            if not refused:
                refused.append(transaction_id)
            if transaction_id in refused:
                raise RequestRefused(ErrorCode.INTERNAL_ERROR, "the database is asleep")
        return stage.version.module.TransactionEventResponse()

    async with stage.life(handlers={"TransactionEvent": answer}) as site:
        await site.charge(30)
        await site.charge(70, evse_id=2)
        await site.settle()
        await site.clock.sleep(2)


SCENARIOS: Mapping[str, Scenario] = {
    each.__name__: each
    for each in (
        charge,
        together,
        offline,
        replay,
        pressure,
        wrong_clock,
        remote,
        configure,
        certificates,
        reset,
        restart,
        power_cut,
        dead_letter,
    )
}


def play(root: Path, version: OcppVersion, name: str, pragmas: Sequence[str] = ()) -> None:
    """One scenario, in virtual time."""

    async def run(clock: VirtualClock) -> None:
        stage = Stage(clock, version, root, name, pragmas)
        with databases_in_the_loop(stage.on_disk):
            await SCENARIOS[name](stage)

    run_virtual(run)


if __name__ == "__main__":
    for wanted in sys.argv[4:]:
        settings = [pragma for pragma in sys.argv[3].split(",") if pragma]
        play(Path(sys.argv[1]), OcppVersion(sys.argv[2]), wanted, settings)
