"""The loop that keeps a link: when it dials, whatever happened before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest

from ocpp_fast.config import Variables
from ocpp_fast.connectivity import Attempt, Connectivity, Generation, LinkEvents
from ocpp_fast.errors import ConnectFailed, ConnectFailure, OcppError
from ocpp_fast.ids import Ids
from ocpp_fast.testing import VirtualClock, run_virtual
from ocpp_fast.transport.base import ClosedBy, CloseReason

NEW, OLD = Generation.NEW, Generation.OLD
REFUSED = ConnectFailed(ConnectFailure.NETWORK, "refused")
UNUSABLE = ConnectFailed(ConnectFailure.SLOT, "SOAP")
VARIABLES = Variables(
    retry_back_off_wait_minimum_s=2,
    retry_back_off_random_range_s=0,
    retry_back_off_repeat_times=3,
    network_profile_connection_attempts=2,
)


class FakeTransport:
    def __init__(self, ended: asyncio.Future[CloseReason]) -> None:
        self._ended = ended

    def close(self, code: int = 1000, reason: str = "") -> None:
        if not self._ended.done():
            self._ended.set_result(CloseReason(code, reason, ClosedBy.LOCAL))


class FakeConnection:
    """A connection that lives until somebody ends it."""

    def __init__(self, clock: VirtualClock, life_s: float | None) -> None:
        self._ended: asyncio.Future[CloseReason]
        self._ended = asyncio.get_running_loop().create_future()
        self.transport = FakeTransport(self._ended)
        if life_s is not None:
            clock.call_later(life_s, self.lose)

    def lose(self) -> None:
        if not self._ended.done():
            self._ended.set_result(CloseReason(1006, "", ClosedBy.NETWORK))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.transport.close(code, reason)

    async def wait_closed(self) -> CloseReason:
        return await asyncio.shield(self._ended)


class FakeSlot:
    def __init__(self, slot: int) -> None:
        self.slot = slot


class FakeLink:
    def __init__(self, clock: VirtualClock, slot: int, life_s: float | None) -> None:
        self.connection = FakeConnection(clock, life_s)
        self.slot = FakeSlot(slot)


class Scene:
    """Connectivity over a script: an exception fails a dial, a number is how long a link lives,
    None is a link that stays. What comes after the script is refused."""

    priority: Sequence[int] = (1, 2)
    last_good: int | None = None

    def __init__(
        self,
        clock: VirtualClock,
        script: Sequence[Exception | float | None],
        *,
        settle: bool = True,
        variables: Variables = VARIABLES,
    ) -> None:
        self.clock = clock
        self.script = list(script)
        self.settle = settle
        self.dials: list[tuple[float, int]] = []
        self.generations: list[Generation] = []
        self.links: list[Any] = []
        self.failures: list[OcppError] = []
        self.connectivity = Connectivity(
            self.open,
            self,
            LinkEvents(self.connected, self.disconnected, self.failures.append),
            variables=lambda: variables,
            clock=clock,
            ids=Ids(seed=3),
        )

    async def open(self, attempt: Attempt) -> Any:
        self.dials.append((self.clock.elapsed_s, attempt.slot))
        self.generations.append(attempt.generation)
        step = self.script.pop(0) if self.script else REFUSED
        if isinstance(step, Exception):
            raise step
        return FakeLink(self.clock, attempt.slot, step)

    async def connected(self, link: Any) -> None:
        self.links.append(link)
        if self.settle:
            self.connectivity.settle(link)

    async def disconnected(self, link: Any) -> None:
        assert self.links[-1] is link

    @property
    def slots(self) -> list[int]:
        return [slot for _, slot in self.dials]

    @property
    def pauses(self) -> list[float]:
        times = [0.0, *(at for at, _ in self.dials)]
        return [round(b - a, 3) for a, b in pairwise(times)]


def run(
    script: Sequence[Exception | float | None],
    check: Callable[[Scene], Any],
    *,
    seconds: float = 100.0,
    during: Callable[[Scene], Awaitable[None]] | None = None,
    **options: Any,
) -> None:
    async def scenario(clock: VirtualClock) -> None:
        scene = Scene(clock, script, **options)
        task = asyncio.create_task(scene.connectivity.run())
        if during is not None:
            await during(scene)
        await clock.sleep(seconds)
        assert not task.done()  # nothing ends it but its station
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        check(scene)

    run_virtual(scenario)


def test_the_pauses_are_those_of_part_4() -> None:
    def check(scene: Scene) -> None:
        assert scene.pauses == [0, 2, 4, 8] + [16] * 5

    run([], check)


def test_every_dial_has_its_random_part_the_first_one_too() -> None:
    variables = Variables(retry_back_off_wait_minimum_s=2, retry_back_off_random_range_s=10)
    chances = Ids(seed=3)
    wanted = [10 * chances.random(), *(2 * 2**n + 10 * chances.random() for n in range(3))]

    def check(scene: Scene) -> None:
        assert scene.pauses[:4] == pytest.approx(wanted, abs=0.001)

    run([], check, variables=variables)


def test_a_link_starts_the_pauses_over() -> None:
    def check(scene: Scene) -> None:
        assert scene.pauses[:9] == [0, 2, 4, 1 + 2, 4, 8, 16, 16, 16]

    run([REFUSED, REFUSED, 1.0], check)


@pytest.mark.parametrize("error", [REFUSED, OSError("no"), RuntimeError("a bug"), ValueError()])
def test_whatever_goes_wrong_it_dials_again(error: Exception) -> None:
    def check(scene: Scene) -> None:
        assert scene.pauses[:3] == [0, 2, 4]
        assert isinstance(scene.failures[0], OcppError)

    run([error, error], check)


def test_b10_fr_03_each_slot_has_its_attempts() -> None:
    def check(scene: Scene) -> None:
        assert scene.slots[:8] == [1, 1, 2, 2, 1, 1, 2, 2]

    run([], check)


def test_a_link_on_which_the_station_was_not_accepted_was_an_attempt_too() -> None:
    """B10.FR.03: a CSMS that takes the link and hangs up does not keep the station for ever."""

    def check(scene: Scene) -> None:
        assert scene.slots[:5] == [1, 1, 2, 2, 1]
        assert scene.pauses[:5] == [0, 3, 3, 3, 3]

    run([1.0] * 5, check, settle=False)


def test_the_slot_in_use_is_dialled_again() -> None:
    def check(scene: Scene) -> None:
        assert scene.slots[:6] == [1, 1, 2, 2, 2, 1]

    run([REFUSED, REFUSED, 1.0], check)


def test_a_slot_of_no_use_costs_neither_pause_nor_attempts() -> None:
    def check(scene: Scene) -> None:
        assert scene.slots[:6] == [1, 2, 2, 1, 2, 2]
        assert scene.pauses[:6] == [0, 0, 2, 4, 0, 8]

    run([UNUSABLE, REFUSED, REFUSED, UNUSABLE], check)


def test_when_no_slot_is_of_use_it_waits_and_looks_again() -> None:
    def check(scene: Scene) -> None:
        assert scene.pauses[:6] == [0, 0, 2, 0, 4, 0]

    run([UNUSABLE] * 20, check)


def test_without_any_slot_it_waits_and_says_so() -> None:
    async def during(scene: Scene) -> None:
        scene.priority = ()
        await scene.clock.sleep(20)
        assert isinstance(scene.connectivity.error, ConnectFailed)
        assert scene.dials == []
        scene.priority = (1,)

    def check(scene: Scene) -> None:
        assert scene.slots == [1]

    run([None], check, during=during)


def test_a01_a02_a_reconnect_that_we_want_has_no_back_off() -> None:
    async def during(scene: Scene) -> None:
        await scene.clock.sleep(1)
        scene.connectivity.reconnect("new password")

    def check(scene: Scene) -> None:
        assert scene.pauses == [0, 1]
        assert scene.slots == [1, 1]

    run([None, None], check, during=during, settle=False)


def test_a02_fr_08_a_reconnect_begins_a_first_lap() -> None:
    """A02.FR.08: what is new is tried first, even when the link came up in a lap of what is old
    and has not proved good yet."""

    async def during(scene: Scene) -> None:
        await scene.clock.sleep(60)
        scene.connectivity.reconnect("new certificate")

    def check(scene: Scene) -> None:
        assert scene.generations[:6] == [NEW] * 4 + [OLD, NEW]
        assert scene.slots[4:6] == [1, 1]

    run([REFUSED] * 4 + [None, None], check, during=during, settle=False)


def test_closing_and_reconnecting_without_a_link_does_nothing() -> None:
    async def during(scene: Scene) -> None:
        await scene.clock.sleep(1)
        scene.connectivity.reconnect("nothing there")
        await scene.connectivity.close(1000, "")

    def check(scene: Scene) -> None:
        assert scene.pauses[:3] == [0, 2, 4]

    run([], check, during=during)
