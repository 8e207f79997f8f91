"""Whatever ends a link or keeps it from coming to be, in whatever state: the station dials again
within the back-off of Part 4, section 5.4 (2.0.1: 5.3), and only `stop` ends that.

What needs a socket is in tests/interop/test_link_causes.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

import pytest

from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.messages import OcppVersion
from ocpp_fast.testing import VirtualClock, run_virtual
from ocpp_fast.transport.base import ClosedBy, CloseReason
from ocpp_fast.transport.memory import MemoryLink
from pair.link_kit import (
    IDENTITY,
    BackOffOracle,
    DrawnIds,
    LinkSite,
    boot,
    http,
    refused,
)
from pair.station_kit import QUIET, TOKEN, VERSIONS

MINIMUM_S, REPEAT_TIMES, RANDOM_S = 3, 4, 0
PING_S, PONG_S = 20, 5
VARIABLES = replace(
    QUIET,
    retry_back_off_wait_minimum_s=MINIMUM_S,
    retry_back_off_repeat_times=REPEAT_TIMES,
    retry_back_off_random_range_s=RANDOM_S,
    web_socket_ping_interval_s=PING_S,
    web_socket_pong_timeout_s=PONG_S,
    offline_tx_for_unknown_id_enabled=True,
)
SLACK_S = 0.01

# --- what ends a link ---------------------------------------------------------------------------


def _ended(by: ClosedBy, code: int = 1006) -> Callable[[MemoryLink], None]:
    def end(link: MemoryLink) -> None:
        link.left.end(CloseReason(code, "", by))
        link.right.end(CloseReason(1006, "", ClosedBy.NETWORK))

    return end


def _closed(code: int) -> Callable[[MemoryLink], None]:
    return lambda link: link.right.send_close(code, "because")


ENDS: Mapping[str, Callable[[MemoryLink], None]] = {
    "reset": MemoryLink.cut,
    "fin": _ended(ClosedBy.NETWORK),
    "violation": _ended(ClosedBy.VIOLATION, 1002),
    **{f"close {code}": _closed(code) for code in (*range(1000, 1016), 3000, 4999)},
    "black hole": MemoryLink.freeze,
}
AT_ONCE = [one for one in ENDS if one != "black hole"]

# --- what keeps one from coming to be -----------------------------------------------------------

FAILURES: Mapping[str, Callable[[], BaseException]] = {
    **{
        str(failure): lambda failure=failure: ConnectFailed(failure, "a test")
        for failure in ConnectFailure
        if failure not in {ConnectFailure.HTTP, ConnectFailure.SLOT}
    },
    **{
        f"HTTP {status}": lambda status=status: http(status)
        for status in (200, 301, 302, 307, 308, 400, 401, 403, 404, 429, 500, 502, 503, 504)
    },
    "OSError": lambda: OSError(24, "too many open files"),
    "TimeoutError": TimeoutError,
    "a bug": lambda: RuntimeError("a bug of a library"),
    "a stray cancellation": asyncio.CancelledError,
}

# --- in what state ------------------------------------------------------------------------------


async def _never(_station: object, _request: object) -> Any:
    await asyncio.Event().wait()


async def _before_boot_answer(site: LinkSite) -> None:
    site.csms.on("BootNotification", _never)


async def _pending(site: LinkSite) -> None:
    site.csms.on("BootNotification", boot(site.version, site.clock, "Pending", 60))


async def _rejected(site: LinkSite) -> None:
    site.csms.on("BootNotification", boot(site.version, site.clock, "Rejected", 60))


async def _idle(site: LinkSite) -> None:
    pass


async def _charging(site: LinkSite) -> None:
    """A transaction runs, of which the CSMS has confirmed nothing."""
    await site.until(lambda: site.point.registration == "Accepted")
    site.csms.on("TransactionEvent", _never)
    await site.station.plug_in(1)
    await site.station.swipe(TOKEN, 1)
    await site.clock.sleep(1)
    assert site.sent("TransactionEvent")


async def _calling(site: CausesSite) -> None:
    """A CALL of the station waits for its answer, and another one behind it."""
    await site.until(lambda: site.point.registration == "Accepted")
    site.csms.on("DataTransfer", _never)
    for _ in range(2):
        site.lost_calls.append(asyncio.ensure_future(site.point.data_transfer_req("org.test")))
    await site.clock.sleep(0.1)


async def _answering(site: CausesSite) -> None:
    """A request of the CSMS is being worked on."""
    await site.until(lambda: site.point.registration == "Accepted")
    request = site.version.module.GetBaseReportRequest(request_id=1, report_base="FullInventory")
    site.lost_calls.append(asyncio.ensure_future(site.csms.call(IDENTITY, request)))
    await asyncio.sleep(0)


class CausesSite(LinkSite):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.lost_calls: list[asyncio.Future[Any]] = []
        options.setdefault("variables", VARIABLES)
        super().__init__(*arguments, **options)

    def heal(self) -> None:
        """The CSMS behaves from now on."""
        self.fail = lambda _: None
        self.csms.on("BootNotification", boot(self.version, self.clock, "Accepted", 0))
        for action in ("TransactionEvent", "DataTransfer"):
            self.csms._handlers.pop(action, None)

    async def settled(self) -> None:
        """The station is back in every respect."""
        await self.until(lambda: self.point.registration == "Accepted" and self.point.connected)
        await self.clock.sleep(200)
        assert await self.point._storage.outbox_load() == []
        await self.point.data_transfer_req("org.test")
        for one in self.lost_calls:
            assert one.done()
            assert one.exception() is not None or one.result() is not None

    @property
    def open(self) -> MemoryLink:
        assert self.link is not None
        return self.link


STATES: Mapping[str, Callable[[CausesSite], Coroutine[Any, Any, None]]] = {
    "before the answer to BootNotification": _before_boot_answer,
    "Pending": _pending,
    "Rejected": _rejected,
    "Accepted": _idle,
    "charging": _charging,
    "calling": _calling,
    "answering": _answering,
}

states = pytest.mark.parametrize("state", STATES)
versions = pytest.mark.parametrize("version", VERSIONS)


def in_state(
    state: str,
    scenario: Callable[[CausesSite], Coroutine[Any, Any, None]],
    version: OcppVersion = OcppVersion.V21,
    **options: Any,
) -> None:
    """Runs a scenario at a site in this state."""
    enter = STATES[state]

    async def run(clock: VirtualClock) -> None:
        site = CausesSite(clock, version, **options)
        if enter in {_before_boot_answer, _pending, _rejected}:
            await enter(site)
        async with site:
            if enter not in {_before_boot_answer, _pending, _rejected}:
                await enter(site)
            await scenario(site)

    run_virtual(run)


# --- tests --------------------------------------------------------------------------------------


@states
@pytest.mark.parametrize("cause", AT_ONCE)
def test_after_every_end_in_every_state_the_first_back_off(cause: str, state: str) -> None:
    async def scenario(site: CausesSite) -> None:
        began = len(site.log)
        ended_s = site.clock.elapsed_s
        ENDS[cause](site.open)
        await site.clock.sleep(SLACK_S)
        site.heal()
        await site.until(lambda: len(site.log) > began, limit_s=MINIMUM_S + 1)
        lost_s = site.log[began - 1].lost_s
        assert lost_s == pytest.approx(ended_s, abs=SLACK_S)
        assert site.pauses()[-1] == pytest.approx(MINIMUM_S, abs=SLACK_S)
        await site.settled()
        assert len(site.log) == began + 1

    in_state(state, scenario)


@states
@versions
def test_a_half_open_link_is_found_within_interval_and_timeout(
    state: str, version: OcppVersion
) -> None:
    """And what waits for answers then is let go of, so that nothing hangs on the dead link."""

    async def scenario(site: CausesSite) -> None:
        began = len(site.log)
        dead_s = site.clock.elapsed_s
        ENDS["black hole"](site.open)
        await site.clock.sleep(SLACK_S)
        site.heal()
        limit_s = PING_S + PONG_S + MINIMUM_S + 3 * SLACK_S
        await site.until(lambda: len(site.log) > began, limit_s=limit_s + 1)
        lost = site.log[began - 1]
        assert lost.lost_s is not None
        assert lost.lost_s - dead_s <= PING_S + PONG_S + SLACK_S
        assert lost.lost_by is not None
        assert lost.lost_by.by is ClosedBy.NETWORK
        assert site.pauses()[-1] == pytest.approx(MINIMUM_S, abs=SLACK_S)
        await site.settled()

    in_state(state, scenario, version)


@pytest.mark.parametrize("cause", AT_ONCE)
def test_a_link_that_ends_at_once_is_dialled_again_with_back_off(cause: str) -> None:
    """The first link ends before the station has got hold of it."""

    async def run(clock: VirtualClock) -> None:
        site = CausesSite(clock)
        site.opened = ENDS[cause]
        async with site:
            site.opened = lambda _: None
            await site.until(lambda: len(site.log) == 2, limit_s=MINIMUM_S + 1)
            assert site.pauses() == [pytest.approx(MINIMUM_S, abs=SLACK_S)]
            site.heal()
            await site.settled()
            assert len(site.log) == 2

    run_virtual(run)


@pytest.mark.parametrize("cause", FAILURES)
def test_every_failure_of_the_first_dials_is_followed_by_the_next_back_off(cause: str) -> None:
    """The sequence of Part 4 is walked to its end and beyond; success starts it over."""
    failures = REPEAT_TIMES + 3

    async def run(clock: VirtualClock) -> None:
        site = CausesSite(clock)
        site.fail = lambda dial: FAILURES[cause]() if len(site.log) <= failures else None
        site.takes_s = 1.25
        async with site:
            await site.until(lambda: len(site.log) > failures, limit_s=1_000)
            oracle = BackOffOracle(MINIMUM_S, REPEAT_TIMES)
            expected = [*oracle.sequence(failures)]
            assert expected == [3, 6, 12, 24, 48, 48, 48]
            assert site.pauses() == pytest.approx(expected, abs=SLACK_S)
            await site.settled()
            site.open.cut()
            await site.clock.sleep(MINIMUM_S + SLACK_S)
            assert site.pauses()[-1] == pytest.approx(MINIMUM_S, abs=SLACK_S)

    run_virtual(run)


@states
@pytest.mark.parametrize("cause", FAILURES)
def test_every_failure_after_a_loss_in_every_state(cause: str, state: str) -> None:
    """A loss, three dials in vain, a success, another loss."""

    async def scenario(site: CausesSite) -> None:
        began = len(site.log)
        site.fail = lambda _: FAILURES[cause]() if len(site.log) < began + 4 else None
        site.open.cut()
        await site.clock.sleep(SLACK_S)
        failing = site.fail
        site.heal()
        site.fail = failing
        await site.until(lambda: len(site.log) == began + 4)
        expected = [3, 6, 12, 24]
        assert site.pauses()[began - 1 :] == pytest.approx(expected, abs=SLACK_S)
        await site.settled()
        site.open.cut()
        await site.clock.sleep(MINIMUM_S + SLACK_S)
        assert site.pauses()[-1] == pytest.approx(MINIMUM_S, abs=SLACK_S)

    in_state(state, scenario)


@versions
@pytest.mark.parametrize(
    ("minimum_s", "repeat_times", "random_s"),
    [(3, 4, 0), (3, 0, 0), (1, 1, 2), (7, 2, 5), (30, 3, 10), (2, 10, 1)],
)
def test_the_back_off_is_that_of_part_4_with_one_random_part_for_each_dial(
    version: OcppVersion, minimum_s: int, repeat_times: int, random_s: int
) -> None:
    """Every pause is the doubled minimum and a fresh random number out of the range."""
    variables = replace(
        VARIABLES,
        retry_back_off_wait_minimum_s=minimum_s,
        retry_back_off_repeat_times=repeat_times,
        retry_back_off_random_range_s=random_s,
    )

    async def run(clock: VirtualClock) -> None:
        site = CausesSite(clock, version, variables=variables)
        assert isinstance(site.ids, DrawnIds)
        for rounds in (repeat_times + 3, 1, 4):
            site.fail = refused
            began = len(site.log)
            if not site.log:
                await site.station.start()
            else:
                site.open.cut()
                began -= 1
            await site.until(lambda n=began + rounds: len(site.log) >= n, limit_s=1e6, every_s=1)
            oracle = BackOffOracle(minimum_s, repeat_times)
            pauses = site.pauses()[began:]
            for pause_s, base_s in zip(pauses, oracle.sequence(rounds), strict=False):
                extra_s = pause_s - base_s
                assert -1e-6 <= extra_s <= random_s + 1e-6
                if random_s:
                    assert any(abs(extra_s - random_s * drawn) < 1e-6 for drawn in site.ids.drawn)
            if random_s:
                extra = [p - b for p, b in zip(pauses, oracle.sequence(99), strict=False)]
                assert len({round(one, 6) for one in extra}) == len(extra)
            site.heal()
            await site.until(lambda: site.point.connected, limit_s=1e6, every_s=1)
        await site.station.stop()
        await site.csms.stop()

    run_virtual(run)


def test_stations_of_different_seeds_come_back_at_different_times() -> None:
    """The first dial has its random part too: a thousand stations that get their power back
    together do not dial together. The same seed repeats."""
    variables = replace(VARIABLES, retry_back_off_random_range_s=10)

    def first_dials(seed: int) -> list[float]:
        async def run(clock: VirtualClock) -> list[float]:
            site = CausesSite(clock, variables=variables, ids=DrawnIds(seed))
            site.fail = refused
            await site.station.start()
            await site.until(lambda: len(site.log) == 3)
            await site.station.stop()
            return [dial.began_s for dial in site.log]

        return run_virtual(run)

    found = [first_dials(seed) for seed in range(6)]
    assert found == [first_dials(seed) for seed in range(6)]
    assert all(0 <= times[0] <= 10 for times in found)
    for number in range(3):
        assert len({times[number] for times in found}) == len(found)


@pytest.mark.parametrize("cause", [*ENDS, "nothing"])
@states
def test_nothing_dials_after_stop_whatever_ends_the_link(cause: str, state: str) -> None:
    """The link ends a moment before `stop`, with it, or a moment after."""

    def run_it(early: bool) -> None:
        async def scenario(site: CausesSite) -> None:
            if early and cause != "nothing":
                ENDS[cause](site.open)
            stopping = asyncio.ensure_future(site.station.stop())
            await asyncio.sleep(0)
            if not early and cause != "nothing":
                ENDS[cause](site.open)
            await site.clock.wait_for(stopping, 30)
            dials = len(site.log)
            await site.clock.sleep(7_200)
            assert len(site.log) == dials == 1
            assert site.open.left.closed

        in_state(state, scenario)

    run_it(early=True)
    run_it(early=False)


@pytest.mark.parametrize("moment_s", [0.0, 0.5, 1.0, 1.5, 2.9, 3.0, 3.1, 4.0])
def test_stop_ends_a_dial_and_a_pause(moment_s: float) -> None:
    """In the middle of a dial that takes a second, and of the pause after it."""

    async def run(clock: VirtualClock) -> None:
        before = asyncio.all_tasks()
        site = CausesSite(clock)
        site.fail, site.takes_s = refused, 1.0
        await site.station.start()
        await clock.sleep(moment_s)
        began_s = clock.elapsed_s
        await clock.wait_for(site.station.stop(), 10)
        assert clock.elapsed_s - began_s < 0.1
        dials = len(site.log)
        await clock.sleep(3_600)
        assert len(site.log) == dials
        assert asyncio.all_tasks() == before
        await site.csms.stop()

    run_virtual(run)


def test_a_flapping_link_costs_no_delivery_attempts_and_loses_nothing() -> None:
    """The link ends 200 times in the middle of a transaction, two seconds after it came up."""

    async def scenario(site: CausesSite) -> None:
        site.heal()
        for number in range(200):
            await site.clock.sleep(2)
            if site.point.connected:
                ENDS[AT_ONCE[number % len(AT_ONCE)]](site.open)
            await site.clock.sleep(MINIMUM_S)
        await site.settled()
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        await site.station.unplug(1)
        await site.settled()
        (transaction,) = site.transactions
        assert not transaction.seq_nos.missing
        assert transaction.ended_at is not None

    in_state("charging", scenario)


def test_values_of_the_back_off_that_change_hold_for_the_next_pause() -> None:
    async def run(clock: VirtualClock) -> None:
        site = CausesSite(clock)
        site.fail = refused
        async with site:
            await site.until(lambda: len(site.log) == 3)
            model = site.point.device_model
            model.write(retry_back_off_wait_minimum_s=10, retry_back_off_repeat_times=1)
            await site.until(lambda: len(site.log) == 6)
            # The pause under way was decided with the old values.
            assert site.pauses()[:3] == pytest.approx([3, 6, 12], abs=SLACK_S)
            assert site.pauses()[3:] == pytest.approx([20, 20], abs=SLACK_S)

    run_virtual(run)
