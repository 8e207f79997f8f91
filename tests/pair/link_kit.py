"""A site whose every dial is noted, and whose dials and links fail as a test wants them to.

`BackOffOracle` is Part 4, section 5.4 (2.0.1: 5.3) with its errata, written from the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ocpp_fast.config import EvseConfig, SlotConfig, StationConfig, Variables
from ocpp_fast.connection import Connection
from ocpp_fast.connectivity.link import Link, Target
from ocpp_fast.csms import Csms, CsmsObserver, StationRecord
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.simulator import SimulatedStation
from ocpp_fast.storage import MemoryStorage, Storage
from ocpp_fast.testing import VirtualClock, run_virtual
from ocpp_fast.transport.base import CloseReason, MakeListener, TransportListener
from ocpp_fast.transport.memory import MemoryLink
from pair.station_kit import QUIET, Site

IDENTITY = "CS001"
FILES = ComponentFiles()


class DrawnIds(Ids):
    """Remembers all random numbers it has given."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.drawn: list[float] = []

    def random(self) -> float:
        self.drawn.append(super().random())
        return self.drawn[-1]


class BackOffOracle:
    """The back-off time before each attempt, without its random part, in seconds.

    The first is the minimum; after a failed attempt the time before is doubled, which happens no
    more than RetryBackOffRepeatTimes times; after a success it is the minimum again.
    """

    def __init__(self, minimum_s: float, repeat_times: int) -> None:
        self._minimum_s = minimum_s
        self._repeat_times = repeat_times
        self.succeeded()

    def succeeded(self) -> None:
        self._now_s, self._left = self._minimum_s, self._repeat_times

    def failed(self) -> None:
        if self._left:
            self._left -= 1
            self._now_s += self._now_s

    @property
    def pause_s(self) -> float:
        return self._now_s

    def sequence(self, count: int) -> Iterator[float]:
        """The pauses of so many attempts in a row that fail."""
        for _ in range(count):
            yield self.pause_s
            self.failed()


@dataclass
class Dial:
    """One attempt to connect."""

    target: Target = field(repr=False)
    began_s: float
    ended_s: float | None = None
    failure: BaseException | None = None
    link: MemoryLink | None = None
    lost_s: float | None = None
    """When the station was told that this link is gone."""
    lost_by: CloseReason | None = None

    @property
    def slot(self) -> int:
        return self.target.slot.slot

    @property
    def url(self) -> str:
        return self.target.slot.csms_url


class _Witness:
    """Stands before the station's end of a link and notes when it is told of the end."""

    def __init__(self, inner: TransportListener, site: LinkSite, dial: Dial) -> None:
        self._inner = inner
        self._site = site
        self._dial = dial

    def on_frame(self, frame: bytes) -> None:
        self._inner.on_frame(frame)

    def on_binary_frame(self, size_bytes: int) -> None:
        self._inner.on_binary_frame(size_bytes)

    def on_closed(self, reason: CloseReason) -> None:
        self._dial.lost_s = self._site.clock.elapsed_s
        self._dial.lost_by = reason
        self._inner.on_closed(reason)


class LinkSite(Site):
    """A station with any number of slots, and a CSMS for each.

    `fail` decides the fate of each dial: it returns what is raised, None to connect. `at` has the
    CSMS of each slot that is not `csms`.
    """

    def __init__(
        self,
        clock: VirtualClock,
        version: OcppVersion = OcppVersion.V21,
        *,
        variables: Variables = QUIET,
        ids: Ids | None = None,
        frame_log: Any = None,
        csms: Csms | None = None,
        callbacks: Any = None,
        options: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> None:
        """`config` are fields of `StationConfig`, `options` go to the station."""
        self.clock = clock
        self.version = version
        self.ids = ids or DrawnIds(7)
        self.reachable = True
        self.dials = 0
        self.frames = []
        self.link = None
        self.log: list[Dial] = []
        self.fail: Callable[[Dial], BaseException | None] = lambda _: None
        self.opened: Callable[[MemoryLink], None] = lambda _: None
        """What befalls a link before anybody has it."""
        self.old_root = False
        """Whether it takes a replaced root to verify the CSMS."""
        self.takes_s = 0.0
        """How long a dial takes that fails."""
        self.csms = csms or new_csms(clock, 2)
        self.at: dict[int, Csms] = {}
        given: dict[str, Any] = {
            "identity": IDENTITY,
            "csms_url": "ws://one.test/ocpp",
            "evses": (EvseConfig(),) * 2,
            "versions": (version,),
            "variables": variables,
            **config,
        }
        self.station = SimulatedStation(
            StationConfig(**given),
            clock=clock,
            ids=self.ids,
            opener=self._open,
            frame_log=self._log,
            component_files=FILES,
            **(options or {}),
        )

    async def _open(self, make: MakeListener[Connection], target: Target) -> Link:
        dial = Dial(target, self.clock.elapsed_s)
        self.log.append(dial)
        self.dials = len(self.log)
        if (failure := self.fail(dial)) is not None:
            if self.takes_s:
                await self.clock.sleep(self.takes_s)
            dial.failure = failure
            dial.ended_s = self.clock.elapsed_s
            raise failure
        self.link = dial.link = MemoryLink(
            make,
            self.at.get(dial.slot, self.csms).listener(target.slot.identity),
            clock=self.clock,
            ids=Ids(seed=3),
            subprotocol=self.version.subprotocol,
        )
        connection = self.link.left.listener
        assert isinstance(connection, Connection)
        self.link.left.listener = _Witness(connection, self, dial)
        dial.ended_s = self.clock.elapsed_s
        self.opened(self.link)
        return Link(connection, target, old_root=self.old_root)

    @property
    def point(self) -> Any:
        return self.station.charge_point

    @property
    def slots(self) -> list[int]:
        """The slot of each dial."""
        return [dial.slot for dial in self.log]

    def pauses(self) -> list[float]:
        """Between the end of each dial, or of its link, and the beginning of the next."""
        found: list[float] = []
        for before, after in zip(self.log, self.log[1:], strict=False):
            end = before.lost_s if before.failure is None else before.ended_s
            assert end is not None
            found.append(after.began_s - end)
        return found

    async def until(
        self, what: Callable[[], Any], limit_s: float = 600.0, *, every_s: float = 0.05
    ) -> None:
        """Waits in virtual time; looks so often."""
        end = self.clock.elapsed_s + limit_s
        while not what():
            assert self.clock.elapsed_s < end, "it does not happen"
            await self.clock.sleep(every_s)


class Counted(CsmsObserver):
    """Counts what a CSMS was asked and has not refused."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()

    def on_request(self, station: StationRecord, action: str, request: Any) -> None:
        self.requests[action] += 1


def new_csms(clock: VirtualClock, seed: int) -> Csms:
    return Csms(clock=clock, ids=Ids(seed=seed), heartbeat_interval_s=0, observer=Counted())


def requests(csms: Csms, action: str) -> int:
    """How many requests of an action a CSMS has had."""
    observer = csms._observer
    assert isinstance(observer, Counted)
    return observer.requests[action]


def refused(_: Dial) -> BaseException:
    """What a host without a CSMS says."""
    return ConnectFailed(ConnectFailure.NETWORK, "connection refused")


def http(status: int) -> ConnectFailed:
    return ConnectFailed(ConnectFailure.HTTP, f"HTTP {status}", http_status=status)


def boot(version: OcppVersion, clock: VirtualClock, status: str, interval: int) -> Any:
    """A CSMS's answer to BootNotification."""
    module: Any = version.module

    def answer(_station: object, _request: object) -> Any:
        return module.BootNotificationResponse(
            current_time=clock.now(), interval=interval, status=status
        )

    return answer


# --- several slots ------------------------------------------------------------------------------

ATTEMPTS = 3
SLOT_VARIABLES = replace(
    QUIET,
    retry_back_off_wait_minimum_s=2,
    retry_back_off_repeat_times=3,
    network_profile_connection_attempts=ATTEMPTS,
    web_socket_ping_interval_s=20,
    web_socket_pong_timeout_s=5,
)
SLOTS = tuple(SlotConfig(csms_url=f"ws://{name}.test/ocpp") for name in ("two", "three"))


class SlotSite(LinkSite):
    """Slots 1 to `count`, each with a CSMS of its own in `at`."""

    def __init__(
        self,
        clock: VirtualClock,
        version: OcppVersion = OcppVersion.V21,
        *,
        count: int = 2,
        own_slots: tuple[SlotConfig, ...] = (),
        storage: Storage | None = None,
        adapt: Any = None,
        **config: Any,
    ) -> None:
        """`own_slots` take the place of slots 2 and up."""
        self.storage = storage or MemoryStorage()
        config.setdefault("variables", SLOT_VARIABLES)
        super().__init__(
            clock,
            version,
            slots=own_slots or SLOTS[: count - 1],
            options={"storage": self.storage} | ({} if adapt is None else {"adapt": adapt}),
            **config,
        )
        self.at = {slot: new_csms(clock, slot + 1) for slot in range(1, count + 1)}
        self.csms = self.at[1]
        self.dead: set[int] = set()
        self.fail = self._die

    def _die(self, dial: Dial) -> BaseException | None:
        return refused(dial) if dial.slot in self.dead else None

    async def __aexit__(self, *_: object) -> None:
        await self.station.stop()
        for csms in self.at.values():
            await csms.stop()

    async def ask(self, request: Any) -> Any:
        """The CSMS of the slot in use asks."""
        return await self.at.get(self.log[-1].slot, self.csms).call(IDENTITY, request)

    async def set(self, name: str, value: str, component: str = "OCPPCommCtrlr") -> str:
        m = self.m
        response = await self.ask(
            m.SetVariablesRequest(
                set_variable_data=[
                    m.SetVariableDataType(
                        attribute_value=value,
                        component=m.ComponentType(name=component),
                        variable=m.VariableType(name=name),
                    )
                ]
            )
        )
        return str(response.set_variable_result[0].attribute_status)

    async def get(self, name: str, component: str = "OCPPCommCtrlr") -> str | None:
        m = self.m
        response = await self.ask(
            m.GetVariablesRequest(
                get_variable_data=[
                    m.GetVariableDataType(
                        component=m.ComponentType(name=component),
                        variable=m.VariableType(name=name),
                    )
                ]
            )
        )
        value = response.get_variable_result[0].attribute_value
        return None if value is None else str(value)

    async def set_profile(self, slot: int, url: str, profile: int = 0, **more: Any) -> str:
        m = self.m
        data = m.NetworkConnectionProfileType(
            ocpp_csms_url=url,
            ocpp_interface="Wired0",
            ocpp_transport="JSON",
            message_timeout=30,
            security_profile=profile,
            **({"ocpp_version": "OCPP20"} if self.version is OcppVersion.V201 else {}),
            **more,
        )
        response = await self.ask(
            m.SetNetworkProfileRequest(configuration_slot=slot, connection_data=data)
        )
        return str(response.status)

    @property
    def m(self) -> Any:
        return self.version.module

    async def accepted(self, slot: int, limit_s: float = 600) -> None:
        await self.until(
            lambda: (
                self.log
                and self.log[-1].slot == slot
                and self.point.connected
                and self.point.registration == "Accepted"
            ),
            limit_s,
        )
        await self.clock.sleep(0.5)

    def boots(self, slot: int) -> int:
        """How many BootNotifications this CSMS has had."""
        return requests(self.at[slot], "BootNotification")


def at_slots(
    scenario: Callable[[SlotSite], Coroutine[Any, Any, None]],
    version: OcppVersion = OcppVersion.V21,
    *,
    before: Callable[[SlotSite], None] | None = None,
    **options: Any,
) -> None:
    """Runs a scenario at such a site; `before` the station starts."""

    async def run(clock: VirtualClock) -> None:
        site = SlotSite(clock, version, **options)
        if before is not None:
            before(site)
        async with site:
            await scenario(site)

    run_virtual(run)


def all_dead(site: SlotSite) -> None:
    site.dead = set(site.at)


def round_robin(order: Sequence[int], attempts: int) -> list[int]:
    return [slot for slot in order for _ in range(attempts)]
