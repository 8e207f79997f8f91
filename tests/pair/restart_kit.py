"""A station that loses its power and comes back: same disk, same CSMS, same clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from ocpp_fast.config import OnRestart, TxPoint, Variables
from ocpp_fast.csms import Csms
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.simulator import Car
from ocpp_fast.station import TokenResult
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.station_kit import QUIET, TOKEN, Site

DARK_S = 20.0
WRITES = ("outbox_append", "outbox_attempted", "outbox_remove", "state_store")
PARKED = object()
"""The cars are where they were."""


def _nothing() -> None:
    pass


class Disk(MemoryStorage):
    """Keeps everything for the next life."""

    durable = True

    def __init__(self) -> None:
        super().__init__()
        for verb in WRITES:
            setattr(self, verb, self._counting(getattr(self, verb)))
        self._left = 0
        self._then: Callable[[], None] = _nothing

    def after_writes(self, number: int, then: Callable[[], None]) -> None:
        """Calls `then` when so many writes more have become durable."""
        self._left, self._then = number, then

    def _counting(self, write: Callable[..., Awaitable[Any]]) -> Any:
        def counting(*arguments: Any, **options: Any) -> Awaitable[Any]:
            done = write(*arguments, **options)
            self._left -= 1
            if self._left == 0:
                self._then()
            return done

        return counting

    def copy(self) -> Disk:
        """What is on it at this moment."""
        disk = Disk()
        content = {n: each for n, each in vars(self).items() if not callable(each)}
        vars(disk).update(deepcopy(content))
        disk.after_writes(0, _nothing)
        return disk


class Lives:
    """The lives of one station. Between them it is dark."""

    def __init__(
        self,
        clock: VirtualClock,
        version: OcppVersion,
        *,
        variables: Variables,
        csms: Csms | None = None,
        **options: Any,
    ) -> None:
        self.clock = clock
        self.version = version
        self.variables = variables
        self.disk = Disk()
        self.disk_at_start: dict[str, str] = {}
        """The facts that the present life has found."""
        self.sites: list[Site] = []
        self._csms = csms or Csms(
            clock=clock, ids=Ids(seed=2), handlers=options.pop("handlers", None),
            heartbeat_interval_s=0,
        )  # fmt: skip
        self._options = options

    @property
    def site(self) -> Site:
        """The present life, or the last one."""
        return self.sites[-1]

    def build(self, *, cars: Any = PARKED, **options: Any) -> Site:
        """The next life, not yet started. `cars`: by EVSE, which are there now."""
        site = Site(
            self.clock,
            self.version,
            variables=self.variables,
            storage=self.disk,
            csms=self._csms,
            ids=Ids(seed=100 + len(self.sites)),
            cars=None if cars is PARKED else cars,
            **(self._options | options),
        )
        self.sites.append(site)
        return site

    async def start(
        self, *, boot_reason: str = "PowerUp", cars: Any = PARKED, **options: Any
    ) -> Site:
        """The power is back."""
        site = self.build(cars=cars, **options)
        self.disk_at_start = await self.disk.state_load()
        await site.station.start(boot_reason)
        await self.clock.sleep(1.0)
        return site

    def fail(self) -> None:
        """The power fails, in the middle of whatever: what is on the disk now stays, contactors
        fall open, and nobody hears of the station any more."""
        self.disk = self.disk.copy()
        site = self.site
        for hardware in site.station.hardware.values():
            hardware.lose_power()
        site.reachable = False
        if site.link is not None and not site.link.left.closed:
            site.link.cut()

    async def dark(self, seconds: float = DARK_S) -> None:
        """What is left of the process goes, and some time passes."""
        await self.site.station.stop()
        await self.clock.sleep(seconds)

    async def restart(
        self, seconds: float = DARK_S, *, boot_reason: str = "PowerUp", cars: Any = PARKED,
        **options: Any,
    ) -> Site:  # fmt: skip
        """The power fails, when all is told, and comes back."""
        await self.clock.sleep(1.0)
        self.fail()
        await self.dark(seconds)
        return await self.start(boot_reason=boot_reason, cars=cars, **options)

    def events(self) -> list[tuple[str, str, str | None, int]]:
        """See `Site.events`, of all lives."""
        return [event for site in self.sites for event in site.events()]

    def power(self, evse_id: int = 1) -> float:
        """What flows now."""
        return self.site.station.hardware[evse_id].power_w


def in_lives(
    scenario: Callable[[Lives], Coroutine[Any, Any, None]],
    version: OcppVersion = OcppVersion.V21,
    *,
    resume: OnRestart | None = OnRestart.RESUME,
    allow: bool = True,
    stop: Sequence[TxPoint] | None = None,
    start: Sequence[TxPoint] | None = None,
    variables: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    """Runs a scenario in virtual time; it begins with the first life. `resume` is
    `StationConfig.on_restart`, `allow` AllowEnergyTransferResumption."""
    settings: dict[str, Any] = {"allow_energy_transfer_resumption": allow, **(variables or {})}
    if stop is not None:
        settings["tx_stop_point"] = frozenset(stop)
    if start is not None:
        settings["tx_start_point"] = frozenset(start)

    async def run(clock: VirtualClock) -> None:
        lives = Lives(
            clock,
            version,
            variables=replace(QUIET, **settings),
            config={"on_restart": resume, **(config or {})},
            **options,
        )
        await lives.start()
        try:
            await scenario(lives)
        finally:
            await lives.site.station.stop()
            await lives.site.csms.stop()

    run_virtual(run)


def new_car() -> Car:
    """One that nobody has seen here before."""
    return Car(energy_wh=1_000.0)


async def charging(lives: Lives, evse_id: int = 1, token: str = TOKEN) -> str:
    """A car charges, for five seconds already; returns the transactionId."""
    station = lives.site.station
    await station.plug_in(evse_id)
    outcome = await station.swipe(token, evse_id)
    assert outcome.result is TokenResult.STARTED
    await lives.clock.sleep(5)
    assert lives.power(evse_id) > 0
    transaction_id = station.evse(evse_id).transaction_id
    assert transaction_id is not None
    return transaction_id


def is_whole(lives: Lives) -> None:
    """Each transaction has one Started, one Ended, and all events between."""
    for record in lives.site.transactions:
        assert record.ended_at is not None
    for transaction_id in lives.site.record.transactions:
        events = [
            event
            for site in lives.sites
            for event in site.sent("TransactionEvent")
            if event["transactionInfo"]["transactionId"] == transaction_id
        ]
        by_number = {event["seqNo"]: event["eventType"] for event in events}
        assert sorted(by_number) == list(range(len(by_number)))
        kinds = [by_number[number] for number in sorted(by_number)]
        assert kinds[0] == "Started"
        assert kinds[-1] == "Ended"
        assert set(kinds[1:-1]) <= {"Updated"}
