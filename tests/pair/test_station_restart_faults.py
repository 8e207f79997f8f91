"""The power fails at the worst moment, or comes back to hardware that does not work (E17)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from ocpp_fast.callbacks import Callbacks, OpenTransaction, RestoredTransaction
from ocpp_fast.config import OnRestart, TxPoint
from ocpp_fast.errors import ConfigurationError, HardwareError
from ocpp_fast.messages import OcppVersion
from ocpp_fast.station import EvseState, TokenResult
from pair.restart_kit import PARKED, Lives, charging, in_lives, is_whole, new_car
from pair.station_kit import TOKEN, VERSIONS, Site, at_site
from pair.test_tokens import authorize_as

S = EvseState
versions = pytest.mark.parametrize("version", VERSIONS)


# --- what was under way when the power went ----------------------------------------


@versions
def test_e07_an_end_that_was_on_its_way_is_made(version: OcppVersion) -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        hardware = lives.site.station.hardware[1]
        stuck = asyncio.Event()

        async def hang() -> None:
            await stuck.wait()

        hardware.stop_power = hang
        stopping = asyncio.create_task(lives.site.station.swipe(TOKEN))
        await lives.clock.sleep(1)
        lives.fail()
        stuck.set()
        await stopping
        await lives.dark()
        site = await lives.start()
        assert site.events() == [("Ended", "StopAuthorized", "EVConnected", 2)]
        event = site.sent("TransactionEvent")[0]
        assert event["transactionInfo"]["stoppedReason"] == "Local"
        assert event["idToken"]["idToken"] == TOKEN
        await lives.clock.sleep(10)
        assert (site.station.evse(1).state, lives.power()) == (S.STOPPED, 0)

    in_lives(scenario, version)


def test_a_reset_that_was_ending_it_has_ended_it() -> None:
    """B12.FR.04, where no authorization ends with it."""

    async def scenario(lives: Lives) -> None:
        await lives.site.station.plug_in(1)
        evse, hardware = lives.site.station.evse(1), lives.site.station.hardware[1]
        stuck = asyncio.Event()

        async def hang() -> None:
            await stuck.wait()

        hardware.read_meter = hang
        ending = asyncio.create_task(evse.deauthorize("ImmediateReset"))
        await lives.clock.sleep(1)
        lives.fail()
        stuck.set()
        await ending
        await lives.dark()
        site = await lives.start(boot_reason="RemoteReset")
        assert site.events() == [("Ended", "ResetCommand", "EVConnected", 1)]
        reason = site.sent("TransactionEvent")[0]["transactionInfo"]["stoppedReason"]
        assert reason == "ImmediateReset"

    in_lives(scenario, start=[TxPoint.EV_CONNECTED])


@pytest.mark.parametrize("how", ["stopped", "paused"])
def test_what_was_being_stopped_does_not_flow_again(how: str) -> None:
    """Though no event tells of it yet, for the contactor takes its time."""

    async def scenario(lives: Lives) -> None:
        await charging(lives)
        evse, hardware = lives.site.station.evse(1), lives.site.station.hardware[1]
        stuck = asyncio.Event()

        async def hang() -> None:
            await stuck.wait()

        hardware.stop_power = hang
        step = evse.pause() if how == "paused" else evse.deauthorize("Remote")
        stopping = asyncio.create_task(step)
        await lives.clock.sleep(1)
        lives.fail()
        stuck.set()
        await stopping
        await lives.dark()
        site = await lives.start()
        await lives.clock.sleep(30)
        state, told = {
            "paused": (S.SUSPENDED_EVSE, "SuspendedEVSE"),
            "stopped": (S.STOPPED, "EVConnected"),
        }[how]
        assert (site.station.evse(1).state, lives.power()) == (state, 0)
        assert site.events() == [("Updated", "TxResumed", told, 2)]

    in_lives(scenario, stop=[TxPoint.EV_CONNECTED])


def test_a_driver_of_whom_nobody_was_told_is_none() -> None:
    """The session was durable, the event with the token not."""

    async def scenario(lives: Lives) -> None:
        await lives.site.station.plug_in(1)
        await lives.clock.sleep(1)
        lives.fail()
        session = json.loads((await lives.disk.state_load())["session.1"])
        assert session["state"] == "connected"
        await lives.disk.state_store({"session.1": json.dumps(session | {"state": "charging"})})
        await lives.dark()
        site = await lives.start()
        await lives.clock.sleep(10)
        assert site.events() == [("Updated", "TxResumed", "EVConnected", 1)]
        assert (site.station.evse(1).state, lives.power()) == (S.CONNECTED, 0)

    in_lives(scenario, start=[TxPoint.EV_CONNECTED])


@pytest.mark.parametrize("why", ["deauthorized", "faulted"])
def test_who_was_not_authorized_any_more_gets_nothing(why: str) -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        evse = lives.site.station.evse(1)
        if why == "faulted":
            await evse.faulted()
        else:
            await evse.deauthorize("DeAuthorized")
        assert evse.transaction_id is not None
        site = await lives.restart()
        await lives.clock.sleep(30)
        evse = site.station.evse(1)
        assert (evse.state, lives.power()) == (S.STOPPED, 0)
        assert site.events()[0][:3] == ("Updated", "TxResumed", "EVConnected")
        await site.station.unplug(1)
        await lives.clock.sleep(1)
        reason = site.sent("TransactionEvent")[-1]["transactionInfo"]["stoppedReason"]
        assert reason == {"faulted": "Other", "deauthorized": "DeAuthorized"}[why]

    in_lives(scenario, stop=[TxPoint.EV_CONNECTED])


@pytest.mark.parametrize(
    ("stops", "limit", "ended", "flows"),
    [
        (True, None, True, False),
        (True, 10_000, True, False),
        (False, None, False, False),
        (False, 10_000, False, True),
    ],
)
def test_a_card_that_was_refused_gets_no_energy(
    stops: bool, limit: int | None, ended: bool, flows: bool
) -> None:
    """E05: the power failed before the station could act on it."""

    async def scenario(lives: Lives) -> None:
        await charging(lives)
        await lives.clock.sleep(1)
        lives.fail()
        fact = json.loads((await lives.disk.state_load())["transaction.1"])
        await lives.disk.state_store({"transaction.1": json.dumps(fact | {"refused": True})})
        await lives.dark()
        site = lives.build()
        hardware = site.station.hardware[1]
        allowed: list[float] = []
        allow_power = hardware.allow_power

        async def allow() -> None:
            allowed.append(lives.clock.elapsed_s)
            await allow_power()

        hardware.allow_power = allow
        await site.station.start()
        await lives.clock.sleep(30)
        assert bool(allowed) is flows, "not even for a moment"
        assert (site.station.evse(1).transaction_id is None) is ended

    variables = {"stop_tx_on_invalid_id": stops, "max_energy_on_invalid_id_wh": limit}
    in_lives(scenario, variables=variables)


def test_a_driver_who_has_not_plugged_in_yet_is_awaited() -> None:
    """E03.FR.05: for another EVConnectionTimeOut."""

    async def scenario(lives: Lives) -> None:
        await lives.site.station.swipe(TOKEN, 1)
        await lives.clock.sleep(50)
        site = await lives.restart()
        assert site.events() == [("Updated", "TxResumed", "Idle", 1)]
        await lives.clock.sleep(100)
        assert site.station.evse(1).state is S.AUTHORIZED
        await lives.clock.sleep(30)
        assert site.events()[-1][:2] == ("Ended", "EVConnectTimeout")
        assert site.station.evse(1).state is S.AVAILABLE

    in_lives(scenario, start=[TxPoint.AUTHORIZED])


@versions
@pytest.mark.parametrize("start", [TxPoint.AUTHORIZED, TxPoint.POWER_PATH_CLOSED])
def test_f02_fr_01_a_remote_start_that_waits_for_its_cable(
    version: OcppVersion, start: TxPoint
) -> None:
    """Once it has a transaction it goes on with that, and its id is not told again. One without is
    forgotten like every authorization that no event has told: the restart ends it (C01.FR.01)."""

    async def remote_start(site: Site) -> None:
        m: Any = version.module
        token = m.IdTokenType(id_token="REMOTE", type="Central")
        request = m.RequestStartTransactionRequest(id_token=token, remote_start_id=7, evse_id=1)
        response: Any = await site.csms.call("CS001", request)
        assert response.status == "Accepted"
        await site.clock.sleep(1)

    async def scenario(lives: Lives) -> None:
        await remote_start(lives.site)
        assert lives.site.station.evse(1).state is S.AUTHORIZED
        before = lives.site.sent("TransactionEvent")
        site = await lives.restart()
        await site.station.plug_in(1)
        await lives.clock.sleep(5)
        evse = site.station.evse(1)
        if start is TxPoint.POWER_PATH_CLOSED:
            assert before == site.sent("TransactionEvent") == []
            assert (evse.state, lives.power()) == (S.CONNECTED, 0)
            await remote_start(site)
            await lives.clock.sleep(5)
        told = [*before, *site.sent("TransactionEvent")]
        ids = [event["transactionInfo"].get("remoteStartId") for event in told]
        assert ids == [7] + [None] * (len(told) - 1)
        assert told[0]["triggerReason"] == "RemoteStart"
        assert (evse.state, lives.power() > 0) == (S.CHARGING, True)

    in_lives(scenario, version, start=[start])


@pytest.mark.parametrize("allow", [True, False])
def test_an_ev_that_came_for_him_in_the_dark(allow: bool) -> None:
    async def scenario(lives: Lives) -> None:
        await lives.site.station.swipe(TOKEN, 1)
        site = await lives.restart(cars={1: new_car()})
        await lives.clock.sleep(5)
        assert [event[1:3] for event in site.events()][:2] == [
            ("TxResumed", "Idle"),
            ("CablePluggedIn", "EVConnected"),
        ]
        assert (lives.power() > 0) is allow

    in_lives(scenario, allow=allow, start=[TxPoint.AUTHORIZED])


def test_a_token_of_the_group_ends_what_was_resumed() -> None:
    """C09."""
    family = OcppVersion.V21.module.IdTokenType(id_token="FAMILY", type="Central")

    async def scenario(lives: Lives) -> None:
        await charging(lives, token="MOTHER")
        site = await lives.restart()
        outcome = await site.station.swipe("FATHER", 1)
        assert outcome.result is TokenResult.STOPPED
        await lives.clock.sleep(1)
        assert site.events()[-1][:2] == ("Ended", "StopAuthorized")

    handlers = authorize_as(OcppVersion.V21, status="Accepted", group_id_token=family)
    in_lives(scenario, handlers=handlers)


def test_the_power_fails_again_and_again() -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        for _ in range(5):
            site = await lives.restart()
            await lives.clock.sleep(5)
            assert lives.power() > 0
        lives.fail()
        await lives.dark()
        site = lives.build()
        await site.station.start()  # and once more before anything was decided
        lives.fail()
        await lives.dark()
        site = await lives.start()
        await site.station.swipe(TOKEN)
        await site.station.unplug(1)
        await lives.clock.sleep(10)
        assert len(lives.site.transactions) == 1
        is_whole(lives)

    in_lives(scenario)


# --- hardware and people that do not do as they should ------------------------------


@pytest.mark.parametrize("what", ["raises", "hangs", "breaks"])
@pytest.mark.parametrize("method", ["connected_at", "stop_power"])
def test_an_evse_that_does_not_answer_closes_and_is_faulted(method: str, what: str) -> None:
    async def fails() -> None:
        if what == "raises":
            raise HardwareError("no answer")
        if what == "hangs":
            await asyncio.Event().wait()
        raise ZeroDivisionError

    async def scenario(lives: Lives) -> None:
        await charging(lives)
        await charging(lives, 2, "OTHER")
        lives.fail()
        await lives.dark()
        site = lives.build()
        hardware = site.station.hardware[1]
        sound = getattr(hardware, method)
        setattr(hardware, method, fails)
        hardware.count_on(7_777.0)
        await site.station.start()
        await lives.clock.sleep(9 if method == "connected_at" else 1)
        assert lives.power(2) > 0, "the other one waits for nobody"
        await lives.clock.sleep(10)
        evse = site.station.evse(1)
        assert (evse.state, lives.power()) == (S.FAULTED, 0)
        ended = [event for event in site.events() if event[0] == "Ended"]
        assert ended == [("Ended", "AbnormalCondition", "EVConnected", 2)]
        (told,) = [e for e in site.sent("TransactionEvent") if e["eventType"] == "Ended"]
        assert told["meterValue"][-1]["sampledValue"][0]["value"] == 7_777.0
        assert site.record.connectors[1, 1] == "Faulted"
        await evse.fault_cleared()  # not yet
        assert evse.state is S.FAULTED
        setattr(hardware, method, sound)
        await evse.fault_cleared()
        assert (evse.state, lives.power()) == (S.CONNECTED, 0)
        assert (await site.station.swipe(TOKEN, 1)).result is TokenResult.STARTED
        await lives.clock.sleep(5)
        assert lives.power() > 0

    in_lives(scenario)


def test_whoever_answers_for_it_nothing_charges_where_the_hardware_has_failed() -> None:
    def adapt(callbacks: Callbacks) -> Callbacks:
        async def always(_transaction: OpenTransaction) -> RestoredTransaction:
            return RestoredTransaction(resume=True)

        return replace(callbacks, restore_transaction_callback=always)

    async def scenario(lives: Lives) -> None:
        await charging(lives)
        lives.fail()
        await lives.dark()
        site = lives.build()
        site.station.hardware[1].broken.add("connected_at")
        await site.station.start()
        await lives.clock.sleep(10)
        assert [event[:2] for event in site.events()] == [
            ("Updated", "TxResumed"),
            ("Ended", "AbnormalCondition"),
        ]
        assert (site.station.evse(1).state, lives.power()) == (S.FAULTED, 0)

    in_lives(scenario, adapt=adapt)


def test_a_lock_that_fails_lets_no_energy_flow() -> None:
    """G05.FR.01."""

    async def scenario(lives: Lives) -> None:
        await charging(lives)
        lives.fail()
        await lives.dark()
        site = lives.build()
        site.station.hardware[1].broken.add("lock")
        await site.station.start()
        await lives.clock.sleep(10)
        assert (site.station.evse(1).state, lives.power()) == (S.FAULTED_CONNECTED, 0)
        assert site.events() == [
            ("Updated", "TxResumed", "Charging", 2),
            ("Ended", "AbnormalCondition", "EVConnected", 3),
        ]

    in_lives(scenario)


def test_a_contactor_that_fails_after_the_delay_is_a_fault() -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        site = await lives.restart()
        site.station.hardware[1].broken.add("allow_power")
        await lives.clock.sleep(400)
        assert site.station.evse(1).state is S.FAULTED_CONNECTED

    in_lives(scenario, variables={"energy_transfer_resumption_random_range_s": 300})


@pytest.mark.parametrize("fact", ["", "{", '{"state": "asleep"}', '{"state": "charging"}'])
def test_a_session_that_cannot_be_read_is_closed(fact: str) -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        lives.fail()
        await lives.disk.state_store({"session.1": fact})
        await lives.dark()
        site = await lives.start()
        await lives.clock.sleep(10)
        assert site.events() == [("Ended", "AbnormalCondition", "EVConnected", 2)]
        assert (site.station.evse(1).state, lives.power()) == (S.STOPPED, 0)

    in_lives(scenario)


def test_what_happens_meanwhile_is_not_lost() -> None:
    """The hardware side tells of an EV that goes, before it is known what it is about."""

    async def scenario(lives: Lives) -> None:
        await charging(lives)
        lives.fail()
        await lives.dark()
        site = lives.build()
        starting = asyncio.create_task(site.station.start())
        await asyncio.sleep(0)
        hardware = site.station.hardware[1]
        assert hardware.car is None
        going = asyncio.create_task(site.station.evse(1).unplugged())
        await starting
        assert hardware.car is not None
        await going
        hardware.car = None
        await lives.clock.sleep(5)
        assert site.station.evse(1).state is S.AVAILABLE
        assert site.events() == [
            ("Updated", "TxResumed", "Charging", 2),
            ("Ended", "EVCommunicationLost", "Idle", 3),
        ]

    in_lives(scenario)


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("resume", [True, False])
def test_the_integrator_may_decide(resume: bool, asks: bool) -> None:
    """One who does not ask the station gets no energy without a driver."""

    def adapt(callbacks: Callbacks) -> Callbacks:
        own = callbacks.restore_transaction_callback
        assert own is not None

        async def decide(transaction: OpenTransaction) -> RestoredTransaction:
            if asks:
                return await own(replace(transaction, resume=resume))
            return RestoredTransaction(resume=resume)

        return replace(callbacks, restore_transaction_callback=decide)

    async def scenario(lives: Lives) -> None:
        await charging(lives)
        site = await lives.restart()
        await lives.clock.sleep(10)
        evse = site.station.evse(1)
        assert (evse.transaction_id is not None) is resume
        assert (lives.power() > 0) is (resume and asks)
        if resume and not asks:
            assert evse.state is S.CONNECTED
            assert (await site.station.swipe(TOKEN, 1)).result is TokenResult.STARTED
            await lives.clock.sleep(5)
            assert lives.power() > 0

    in_lives(scenario, resume=None if resume else OnRestart.RESUME, adapt=adapt)


def test_contactors_open_when_the_station_stops() -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        hardware = lives.site.station.hardware[1]
        opened: list[float] = []
        stop_power = hardware.stop_power

        async def stop() -> None:
            opened.append(lives.clock.elapsed_s)
            await stop_power()

        hardware.stop_power = stop
        await lives.site.station.stop()
        assert len(opened) == 1
        await lives.clock.sleep(10)
        assert lives.power() == 0
        site = await lives.start()
        assert site.events() == [("Updated", "TxResumed", "Charging", 2)]

    in_lives(scenario)


def test_whatever_fails_at_the_start_the_evse_is_let_go() -> None:
    async def recovered(_: int) -> None:
        raise ZeroDivisionError

    async def scenario(lives: Lives) -> None:
        lives.fail()
        await lives.dark()
        site = lives.build()
        vars(site.station.charge_point)["recovered"] = recovered
        await site.station.start()
        await lives.clock.sleep(1)
        await lives.clock.wait_for(site.station.evse(1).plugged_in(), 10)
        assert site.station.evse(1).state is S.CONNECTED

    in_lives(scenario)


def test_a_station_that_runs_is_not_started_again() -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        with pytest.raises(ConfigurationError, match="started already"):
            await lives.site.station.start()
        assert lives.power() > 0

    in_lives(scenario)


def test_a_station_that_does_not_start_lets_its_evses_go() -> None:
    async def scenario(lives: Lives) -> None:
        await lives.site.station.stop()
        site = lives.build()
        with pytest.raises(Exception, match="no reason"):
            await site.station.start("Boredom")
        await lives.clock.wait_for(site.station.plug_in(1), 1)
        await site.station.start()
        await lives.clock.sleep(1)
        assert site.station.evse(1).state is S.CONNECTED

    in_lives(scenario)


# --- at every moment ---------------------------------------------------------------------------


async def visit(lives: Lives) -> None:
    """What a driver does."""
    station, clock = lives.site.station, lives.clock
    await station.plug_in(1)
    await clock.sleep(2)
    await station.swipe(TOKEN, 1)
    await clock.sleep(100)
    await station.swipe(TOKEN, 1)
    await clock.sleep(2)
    await station.unplug(1)
    await clock.sleep(5)


async def leave(lives: Lives) -> None:
    """Somebody ends whatever is going on."""
    station, clock = lives.site.station, lives.clock
    await clock.sleep(5)
    if station.evse(1).state in (S.READY, S.CHARGING, S.SUSPENDED_EVSE):
        await station.swipe(TOKEN, 1)
    await clock.sleep(1)
    if station.hardware[1].car is not None:
        await station.unplug(1)
    await clock.sleep(100)


@pytest.mark.parametrize(
    ("start", "gone", "resume"),
    [
        (TxPoint.EV_CONNECTED, False, OnRestart.RESUME),
        (TxPoint.EV_CONNECTED, False, OnRestart.CLOSE),
        (TxPoint.EV_CONNECTED, True, OnRestart.RESUME),
        (TxPoint.EV_CONNECTED, True, OnRestart.CLOSE),
        (TxPoint.POWER_PATH_CLOSED, False, OnRestart.RESUME),
    ],
)
def test_the_power_fails_after_each_write(start: TxPoint, gone: bool, resume: OnRestart) -> None:
    """Each transaction comes to one end, and power is on for what was resumed alone."""
    done = False
    moment = 0

    async def scenario(lives: Lives) -> None:
        nonlocal done
        cut = asyncio.Event()

        def fail() -> None:
            lives.fail()
            cut.set()

        lives.disk.after_writes(moment, fail)
        visiting = asyncio.create_task(visit(lives))
        failing = asyncio.create_task(cut.wait())
        await asyncio.wait((visiting, failing), return_when=asyncio.FIRST_COMPLETED)
        done = not cut.is_set()
        visiting.cancel()
        failing.cancel()
        await asyncio.gather(visiting, failing, return_exceptions=True)
        if not done:
            was = lives.site.station.evse(1).transaction_id
            told = {event["transactionInfo"]["transactionId"]: event["eventType"]
                    for event in lives.site.sent("TransactionEvent")}  # fmt: skip
            await lives.dark()
            site = await lives.start(cars={} if gone else PARKED)
            await lives.clock.sleep(5)
            now = site.station.evse(1).transaction_id
            if resume is OnRestart.RESUME:
                assert not any("AbnormalCondition" in event for event in site.events())
            state = lives.disk_at_start.get("transaction.1")
            for event in site.events():
                if event[1] == "TxResumed" and not gone:
                    assert state is not None
                    assert event[2] == json.loads(state)["state"], "as it was told"
            if lives.power():
                assert (now, resume, gone) == (was, OnRestart.RESUME, False)
                assert told.get(was) != "Ended"
            assert now in (None, was) or start is TxPoint.EV_CONNECTED
        await leave(lives)
        is_whole(lives)
        left = await lives.disk.state_load()
        assert not [name for name in left if name.startswith(("session.", "simulator."))]

    variables = {"tx_updated_interval_s": 30}
    while not done:
        moment += 1
        in_lives(scenario, resume=resume, start=[start], variables=variables)
    assert moment > 20, "each write was one of the moments"


def test_without_a_durable_storage_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even put together."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    async def scenario(site: Site) -> None:
        for name in ("station.evse.Session", "simulator.station.Parked"):
            monkeypatch.setattr(f"ocpp_fast.{name}", never)
        await site.charge(10)
        (record,) = site.transactions
        assert record.ended_at is not None

    at_site(scenario)


# --- the simulation -------------------------------------------------------------------------------


def test_simulated_meters_and_cars_live_on() -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        await lives.clock.sleep(100)
        old = lives.site.station.hardware[1]
        site = await lives.restart()
        new = site.station.hardware[1]
        assert old.car is not None
        assert new.car is not None
        assert new.car is not old.car
        assert old.energy_wh - 100 <= new.energy_wh <= old.energy_wh
        assert new.car.energy_wh - 15_000 == pytest.approx(new.energy_wh, abs=5)
        await site.station.swipe(TOKEN)
        await site.station.unplug(1)
        register = new.energy_wh
        site = await lives.restart()
        assert site.station.hardware[1].car is None
        assert site.station.hardware[1].energy_wh == pytest.approx(register, abs=1)

    in_lives(scenario)
