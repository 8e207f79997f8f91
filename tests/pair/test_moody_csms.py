"""CSMSs that drop answers, answer late, twice or not at all, hang up at the worst moment and refuse
one message for ever: what comes of the transactions is the same in the end (`moody_kit`)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from ocpp_fast.csms import StationRecord
from ocpp_fast.errors import ErrorCode, RequestRefused
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.moody_kit import (
    ALL_MOODS,
    CALM,
    STUBBORN,
    TIMEOUT_S,
    Moods,
    MoodySite,
    at_moody_site,
    drivers,
    key,
)
from pair.station_kit import VERSIONS


async def busy(site: MoodySite, moods: Moods, *, sessions: int = 3) -> None:
    """Drivers at all EVSEs while the CSMS has its moods, then time enough to make good for it."""
    site.moods = moods
    await asyncio.gather(*(drivers(site, evse_id, sessions) for evse_id in (1, 2, 3)))
    await site.clock.sleep(60)
    site.moods = CALM
    await site.clock.sleep(2_000)
    delivery = site.station.charge_point.delivery
    assert (delivery.waiting, delivery.dead, delivery.thinned) == (0, 0, 0)
    assert len({key(event)[0] for event in site.created}) == 3 * sessions


ONE_MOOD = {
    "loses requests": Moods(lose_request=0.3),
    "hangs up on requests": Moods(hang_up_on_request=0.2),
    "refuses": Moods(refuse=0.3),
    "thinks": Moods(think=0.3),
    "loses answers": Moods(lose_answer=0.25),
    "hangs up on answers": Moods(hang_up_on_answer=0.2),
    "hangs up after answers": Moods(hang_up_after_answer=0.2),
    "says it twice": Moods(say_twice=0.5),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("moods", ONE_MOOD.values(), ids=ONE_MOOD)
def test_a_csms_with_one_mood(moods: Moods, version: OcppVersion) -> None:
    """It drops one answer in four, or answers late, or twice, or hangs up, or refuses."""

    async def scenario(site: MoodySite) -> None:
        await busy(site, moods)
        assert max(site.met.values()) > 5
        site.check()

    at_moody_site(scenario, version, evses=3)


@pytest.mark.parametrize("seed", range(10))
def test_a_csms_with_all_moods(seed: int) -> None:
    """Whatever comes together: nothing lost, in order, without a gap."""

    async def scenario(site: MoodySite) -> None:
        await busy(site, ALL_MOODS, sessions=5)
        assert len(site.met) == 8
        site.check()

    version = VERSIONS[seed % 2]
    at_moody_site(scenario, version, evses=3, seed=seed, ids=Ids(seed=100 + seed))


# --- one message that is refused for ever -------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_one_ended_is_refused_for_ever_and_the_others_flow(version: OcppVersion) -> None:
    """E13.FR.04, and what we make of it: kept aside with its cause, sent again when somebody says
    so, and then the transaction is whole."""
    storage = MemoryStorage()

    async def scenario(site: MoodySite) -> None:
        healed: list[bool] = []

        def refuse(event: Any) -> None:
            if event.event_type == "Ended" and poisoned(site, event) and not healed:
                raise RequestRefused(ErrorCode.INTERNAL_ERROR, "no tariff for this customer")

        site.judge = refuse
        begun = site.clock.elapsed_s
        await asyncio.gather(*(drivers(site, evse_id, 4) for evse_id in (1, 2, 3)))
        took = site.clock.elapsed_s - begun
        await site.clock.sleep(1)
        delivery = site.station.charge_point.delivery
        assert delivery.waiting <= 1, "nobody waits for the poisoned one"
        ends = {key(e)[0]: e for e in site.received if e.event_type == "Ended"}
        assert len(ends) == 12
        await site.clock.sleep(1_000 - took)
        (letter,) = await storage.outbox_dead_letters()
        assert (delivery.waiting, delivery.dead) == (0, 1)
        assert "no tariff for this customer" in letter.cause
        assert json.loads(letter.row.payload)["eventType"] == "Ended"
        assert letter.row.attempts == 4
        tries = [e for e in site.received if poisoned(site, e) and e.event_type == "Ended"]
        assert len(tries) == 4
        await site.clock.sleep(10_000)
        assert len(site.received) == len(site.created) + 3, "nothing is sent by itself"
        healed.append(True)
        assert await delivery.requeue([letter.row.row_id]) == 1
        assert await delivery.requeue([letter.row.row_id]) == 0
        await site.clock.sleep(10)
        assert (delivery.waiting, await storage.outbox_dead_letters()) == (0, [])
        site.check()

    at_moody_site(
        scenario,
        version,
        evses=3,
        storage=storage,
        variables=replace(STUBBORN, message_attempts=4, message_attempt_interval_s=20),
    )


def poisoned(site: MoodySite, event: Any) -> bool:
    """Whether it is of the very first transaction."""
    return key(event)[0] == key(site.created[0])[0]


def test_a_started_that_is_refused_for_ever_holds_up_its_own_transaction_only() -> None:
    """What follows comes after it was given up, in order; the CSMS sees that 0 is missing."""

    async def scenario(site: MoodySite) -> None:
        def refuse(event: Any) -> None:
            if event.event_type == "Started" and poisoned(site, event):
                raise RequestRefused(ErrorCode.GENERIC_ERROR, "never")

        site.judge = refuse
        await asyncio.gather(drivers(site, 1, 1), drivers(site, 2, 3))
        await site.clock.sleep(500)
        numbers = [e.seq_no for e in site.received if poisoned(site, e)]
        assert numbers == [0, 0, 0, *range(1, max(numbers) + 1)]
        others = [key(e) for e in site.received if not poisoned(site, e)]
        assert others == [key(e) for e in site.created if not poisoned(site, e)]

    at_moody_site(
        scenario,
        evses=2,
        variables=replace(STUBBORN, message_attempts=3, message_attempt_interval_s=20),
    )


# --- late answers -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_a_late_answer_is_not_taken_for_that_of_another_message(version: OcppVersion) -> None:
    """It says that the token of EVSE 1 is blocked, and comes while an event of EVSE 2 is under way:
    EVSE 2 goes on, and the event of EVSE 1 is not delivered by it."""
    m: Any = version.module

    async def scenario(site: MoodySite) -> None:
        async def judge_first(_event: Any) -> Any:
            return m.TransactionEventResponse(id_token_info=m.IdTokenInfoType(status="Blocked"))

        async def judge_second(_event: Any) -> Any:
            await site.clock.sleep(5)
            return m.TransactionEventResponse()

        def judge(event: Any) -> Any:
            evse_1 = poisoned(site, event)
            return judge_first(event) if evse_1 and event.seq_no == 0 else judge_second(event)

        held: list[bytes] = []

        def hold(frame: bytes) -> tuple[bytes, ...]:
            if b"Blocked" in frame:
                held.append(frame)
                return ()
            return (frame,)

        assert site.link is not None
        site.judge = judge
        site.link.to_left.script = hold
        await site.station.plug_in(1)
        await site.station.swipe("FIRST", 1)
        await site.clock.sleep(TIMEOUT_S + 1)
        await site.station.plug_in(2)
        await site.station.swipe("SECOND", 2)
        await site.clock.sleep(2)
        delivery = site.station.charge_point.delivery
        waiting = delivery.waiting
        assert not poisoned(site, site.received[-1]), "that of EVSE 2 is under way"
        for _ in range(3):
            site.link.left.listener.on_frame(held[0])
        assert delivery.waiting == waiting
        await site.clock.sleep(20)
        assert site.station.hardware[1].power_w > 0, "nobody has told it in time"
        assert site.station.hardware[2].power_w > 0
        assert any(not poisoned(site, e) and e.seq_no == 1 for e in site.received)
        site.link.to_left.script = None
        await site.clock.sleep(60)
        assert site.station.hardware[1].power_w == 0, "told again, and in time: E05"
        assert site.station.hardware[2].power_w > 0
        await site.station.swipe("SECOND", 2)
        await site.clock.sleep(100)
        site.check()

    at_moody_site(
        scenario, version, evses=2, variables=replace(STUBBORN, message_attempt_interval_s=40)
    )


# --- a CSMS that keeps the station waiting ------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_pending_for_a_day(version: OcppVersion) -> None:
    """B02.FR.02, B02.FR.03, B03.FR.01: cars charge all day, without any card, since
    TxBeforeAcceptedEnabled says so; nothing of it leaves before the CSMS has accepted, then
    everything in order."""
    m: Any = version.module

    async def scenario(site: MoodySite) -> None:
        assert site.station.charge_point.registration.value == "Pending"
        for _ in range(8):
            for evse_id in (1, 2):
                await site.station.plug_in(evse_id)
            await site.clock.sleep(600)
            for evse_id in (1, 2):
                await site.station.unplug(evse_id)
            await site.clock.sleep(9_000)
            if site.clock.elapsed_s < 86_000:
                assert set(site.calls()) == {"BootNotification"}
        await site.clock.sleep(30_000)
        boots = site.times("BootNotification")
        assert len(boots) == 24
        assert all(b - a >= 3_600 for a, b in pairwise(boots))
        assert site.dials == 1, "B02.FR.06: the link stays"
        assert len({key(e)[0] for e in site.created}) == 16
        site.check()

    boots = [0]

    def boot(_station: StationRecord, _request: Any) -> Any:
        boots[0] += 1
        status = "Pending" if boots[0] < 24 else "Accepted"
        return m.BootNotificationResponse(
            current_time=clocks[0].now(),
            interval=3_600 if status == "Pending" else 0,
            status=status,
        )

    clocks: list[VirtualClock] = []

    async def run(clock: VirtualClock) -> None:
        clocks.append(clock)
        variables = replace(STUBBORN, tx_before_accepted_enabled=True, auth_enabled=False)
        site = MoodySite(clock, version, evses=2, variables=variables, sample_interval_s=10)
        site.csms.on("BootNotification", boot)
        async with site:
            await scenario(site)

    run_virtual(run)
