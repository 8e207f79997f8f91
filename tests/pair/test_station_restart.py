"""A station that loses its power in the middle of charging: E17, and what is safe."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from ocpp_fast.callbacks import Callbacks, OpenTransaction, RestoredTransaction
from ocpp_fast.config import EvseConfig, OnRestart, TxPoint
from ocpp_fast.messages import OcppVersion
from ocpp_fast.station import EvseState, TokenResult
from pair.restart_kit import Lives, charging, in_lives, is_whole, new_car
from pair.station_kit import TOKEN, VERSIONS

S = EvseState
versions = pytest.mark.parametrize("version", VERSIONS)
RESUMED = {OcppVersion.V201: "ChargingStateChanged", OcppVersion.V21: "TxResumed"}


# --- resumed, with the EV still there -----------------------------------------------------------


@versions
def test_e17_fr_11_14_it_goes_on_as_it_was(version: OcppVersion) -> None:
    async def scenario(lives: Lives) -> None:
        transaction_id = await charging(lives)
        site = await lives.restart()
        assert site.events() == [("Updated", RESUMED[version], "Charging", 2)]
        assert site.station.evse(1).state is S.CHARGING
        assert site.station.evse(1).transaction_id == transaction_id
        await lives.clock.sleep(5)
        assert lives.power() > 0
        assert site.station.hardware[1].locked
        assert site.record.connectors[1, 1] == "Occupied"
        outcome = await site.station.swipe(TOKEN)
        assert outcome.result is TokenResult.STOPPED, "the same card ends it"
        assert lives.power() == 0
        assert not site.station.hardware[1].locked
        await site.station.unplug(1)
        await lives.clock.sleep(1)
        assert site.events()[1:] == [("Ended", "StopAuthorized", "EVConnected", 3)]
        is_whole(lives)

    in_lives(scenario, version)


def test_nothing_flows_before_it_is_decided() -> None:
    """Not even where the contactor was closed all the time."""
    answer = asyncio.Event()

    def adapt(callbacks: Callbacks) -> Callbacks:
        own = callbacks.restore_transaction_callback
        assert own is not None

        async def slow(transaction: OpenTransaction) -> RestoredTransaction:
            await answer.wait()
            return await own(transaction)

        return replace(callbacks, restore_transaction_callback=slow)

    async def scenario(lives: Lives) -> None:
        answer.clear()
        await charging(lives)
        lives.fail()
        await lives.dark()
        site = lives.build()
        hardware = site.station.hardware[1]
        hardware.car = new_car()
        await hardware.allow_power()
        await lives.clock.sleep(3)
        assert hardware.power_w > 0, "stuck since the crash"
        await site.station.start()
        assert hardware.power_w == 0
        await lives.clock.sleep(5)
        assert (hardware.power_w, site.events()) == (0, [])
        answer.set()
        await lives.clock.sleep(5)
        assert hardware.power_w > 0
        assert site.events() == [("Updated", "TxResumed", "Charging", 2)]

    in_lives(scenario, adapt=adapt)


def test_e17_fr_18_energy_comes_back_after_a_random_time() -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        delays: list[float] = []
        for _ in range(8):
            site = await lives.restart()
            back = lives.clock.elapsed_s
            while not lives.power():
                assert site.station.evse(1).state is S.CHARGING
                await lives.clock.sleep(1)
            delays.append(lives.clock.elapsed_s - back)
            energy = site.station.hardware[1].energy_wh
            await lives.clock.sleep(36)
            assert site.station.hardware[1].energy_wh == pytest.approx(energy + 110, abs=4)
            assert [event[1] for event in site.events()] == ["TxResumed"]
        assert 0 <= min(delays) < 100, "random, from 0 on"
        assert 200 < max(delays) <= 301, "up to the range"
        assert len(set(delays)) > 4

    in_lives(scenario, variables={"energy_transfer_resumption_random_range_s": 300})


@pytest.mark.parametrize("how", ["card", "cable", "CSMS", "fault", "pause"])
def test_e17_fr_18_what_ends_the_charging_ends_the_waiting(how: str) -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        site = await lives.restart()
        evse = site.station.evse(1)
        assert (evse.state, lives.power()) == (S.CHARGING, 0)
        match how:
            case "card":
                await site.station.swipe(TOKEN)
            case "cable":
                await site.station.unplug(1)
                site.station.hardware[1].car = new_car()  # nobody has told of this one
            case "CSMS":
                await evse.deauthorize("Remote")
            case "fault":
                await evse.faulted()
            case _:
                await evse.pause()
        for _ in range(40):
            await lives.clock.sleep(10)
            assert lives.power() == 0

    in_lives(scenario, variables={"energy_transfer_resumption_random_range_s": 300})


def test_e17_fr_18_a_stop_that_came_first_comes_first() -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        site = await lives.restart()
        evse = site.station.evse(1)
        await evse.lock.acquire()  # something takes its time
        stopping = asyncio.create_task(evse.deauthorize("Remote"))
        await lives.clock.sleep(400)
        evse.lock.release()
        await stopping
        await lives.clock.sleep(10)
        assert (evse.state, lives.power()) == (S.STOPPED, 0)

    in_lives(scenario, variables={"energy_transfer_resumption_random_range_s": 300})


@versions
def test_e17_fr_12_without_permission_no_energy_flows_again(version: OcppVersion) -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        site = await lives.restart()
        evse = site.station.evse(1)
        assert site.events() == [("Updated", RESUMED[version], "SuspendedEVSE", 2)]
        assert evse.state is S.SUSPENDED_EVSE
        await evse.resume()
        await lives.clock.sleep(100)
        assert (evse.state, lives.power()) == (S.SUSPENDED_EVSE, 0)
        lives.variables = replace(lives.variables, allow_energy_transfer_resumption=True)
        site = await lives.restart()  # and once more, now with permission
        await site.station.evse(1).resume()
        await lives.clock.sleep(100)
        assert lives.power() == 0
        await site.station.swipe(TOKEN)
        assert (await site.station.swipe(TOKEN, 1)).result is TokenResult.STARTED
        await lives.clock.sleep(5)
        assert lives.power() > 0, "a driver is there"

    in_lives(scenario, version, allow=False)


async def suspended_by_the_ev(lives: Lives) -> None:
    await charging(lives)
    car = lives.site.station.hardware[1].car
    assert car is not None
    car.energy_wh = car.capacity_wh
    await lives.clock.sleep(3)


async def suspended_by_the_station(lives: Lives) -> None:
    await charging(lives)
    await lives.site.station.evse(1).pause()


async def offered(lives: Lives) -> None:
    async def nobody_reacts() -> None:
        pass

    hardware = lives.site.station.hardware[1]
    hardware.allow_power = nobody_reacts
    await lives.site.station.plug_in(1)
    await lives.site.station.swipe(TOKEN, 1)


async def plugged_in(lives: Lives) -> None:
    await lives.site.station.plug_in(1)


STATES = [
    (suspended_by_the_ev, S.SUSPENDED_EV, "SuspendedEV", S.SUSPENDED_EVSE, "SuspendedEVSE"),
    (suspended_by_the_station, S.SUSPENDED_EVSE, "SuspendedEVSE", S.SUSPENDED_EVSE,
     "SuspendedEVSE"),
    (offered, S.READY, "EVConnected", S.READY, "EVConnected"),
    (plugged_in, S.CONNECTED, "EVConnected", S.CONNECTED, "EVConnected"),
]  # fmt: skip


@pytest.mark.parametrize("allow", [True, False])
@pytest.mark.parametrize("row", STATES, ids=lambda row: row[0].__name__)
def test_e17_fr_11_13_the_other_states(row: Any, allow: bool) -> None:
    prepare, *rest = row
    state, told = rest[:2] if allow else rest[2:]

    async def scenario(lives: Lives) -> None:
        await prepare(lives)
        await lives.clock.sleep(1)
        number = lives.events()[-1][3]
        site = await lives.restart()
        assert site.events() == [("Updated", "TxResumed", told, number + 1)]
        assert site.station.evse(1).state is state
        car = site.station.hardware[1].car
        assert car is not None
        car.energy_wh = 1_000
        await lives.clock.sleep(60)
        energy = allow and state in (S.READY, S.SUSPENDED_EV)
        assert (lives.power() > 0) == energy

    in_lives(scenario, allow=allow, start=[TxPoint.EV_CONNECTED])


# --- resumed or ended, with the EV gone -----------------------------------------------------------


@versions
def test_e17_fr_17_an_ev_that_has_gone_ends_it_as_ever(version: OcppVersion) -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        site = await lives.restart(cars={})
        assert site.events() == [("Ended", "EVCommunicationLost", "Idle", 2)]
        event = site.sent("TransactionEvent")[0]
        assert event["transactionInfo"]["stoppedReason"] == "EVDisconnected"
        assert site.station.evse(1).state is S.AVAILABLE
        assert site.record.connectors[1, 1] == "Available"
        await charging(lives, token="ANOTHER")
        assert len(site.transactions) == 2

    in_lives(scenario, version)


@versions
def test_e17_fr_16_without_a_stop_point_it_goes_on_idle(version: OcppVersion) -> None:
    async def scenario(lives: Lives) -> None:
        await lives.site.station.evse(1).bay_changed(occupied=True)
        transaction_id = await charging(lives)
        site = await lives.restart(cars={})
        assert site.events() == [("Updated", RESUMED[version], "Idle", 4)]
        evse = site.station.evse(1)
        assert (evse.state, evse.transaction_id) == (S.AVAILABLE, transaction_id)
        await site.station.plug_in(1)
        await lives.clock.sleep(5)
        assert lives.power() == 0, "another EV, perhaps"
        outcome = await site.station.swipe("ANOTHER", 1)
        assert outcome.result is TokenResult.NO_USE, "C01.FR.23: it keeps to its token"
        await site.station.swipe(TOKEN, 1)
        await lives.clock.sleep(5)
        assert lives.power() > 0
        await evse.bay_changed(occupied=False)
        await lives.clock.sleep(1)
        assert site.events()[-1][:2] == ("Ended", "EVDeparted")
        assert lives.power() == 0
        await site.station.unplug(1)
        await lives.clock.sleep(1)
        is_whole(lives)
        assert "session.1" not in await lives.disk.state_load()

    bay = [TxPoint.PARKING_BAY_OCCUPANCY]
    in_lives(scenario, version, start=bay, stop=bay)


def test_an_ev_at_another_connector_is_another_session() -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        lives.fail()
        await lives.dark()
        site = lives.build(cars={})
        hardware = site.station.hardware[1]
        hardware.car, hardware.connector_id = new_car(), 2
        await site.station.start()
        await lives.clock.sleep(5)
        assert site.events() == [("Ended", "EVCommunicationLost", "Idle", 2)]
        evse = site.station.evse(1)
        assert (evse.state, evse.connector_id, lives.power()) == (S.CONNECTED, 2, 0)

    in_lives(scenario, config={"evses": (EvseConfig(connectors=2),)})


def test_e06_fr_07_energy_that_may_not_flow_again_ends_it() -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        site = await lives.restart()
        assert site.events() == [("Ended", "AbnormalCondition", "EVConnected", 1)]
        assert site.station.evse(1).state is S.STOPPED

    in_lives(scenario, allow=False, stop=[TxPoint.ENERGY_TRANSFER], start=[TxPoint.ENERGY_TRANSFER])


# --- closed ------------------------------------------------------------------------------------


@versions
def test_a_closed_one_needs_a_driver_for_the_next(version: OcppVersion) -> None:
    """E17.FR.20, E17.FR.21; nobody charges by himself after it."""

    async def scenario(lives: Lives) -> None:
        first = await charging(lives)
        site = await lives.restart()
        assert site.events() == [("Ended", "AbnormalCondition", "EVConnected", 2)]
        event = site.sent("TransactionEvent")[0]
        assert event["transactionInfo"]["stoppedReason"] == "PowerLoss"
        await lives.clock.sleep(100)
        evse = site.station.evse(1)
        assert (evse.state, evse.transaction_id, lives.power()) == (S.STOPPED, None, 0)
        assert not site.station.hardware[1].locked
        assert (await site.station.swipe(TOKEN)).result is TokenResult.STARTED
        await lives.clock.sleep(5)
        assert lives.power() > 0
        assert evse.transaction_id not in (None, first)
        await site.station.unplug(1)
        await lives.clock.sleep(1)
        is_whole(lives)

    in_lives(scenario, version, resume=None)


def test_the_meter_is_read_for_the_end() -> None:
    """What it shows after the power loss is more than any reading that was stored."""

    async def scenario(lives: Lives) -> None:
        await charging(lives)
        lives.fail()
        await lives.dark()
        site = lives.build()
        site.station.hardware[1].count_on(777.0)
        await site.station.start()
        await lives.clock.sleep(1)
        assert lives.site.transactions[0].last_energy_wh == 777.0

    in_lives(scenario, resume=OnRestart.CLOSE)


def test_where_nobody_is_authorized_the_ev_begins_anew() -> None:
    """C02: there is nobody who could present a card."""

    async def scenario(lives: Lives) -> None:
        await lives.site.station.plug_in(1)
        await lives.clock.sleep(5)
        assert lives.power() > 0
        site = await lives.restart()
        await lives.clock.sleep(5)
        assert [event[:2] for event in site.events()] == [
            ("Ended", "AbnormalCondition"),
            ("Started", "Authorized"),
            ("Updated", "ChargingStateChanged"),
        ]
        assert lives.power() > 0
        await site.station.evse(1).deauthorize("Remote")
        await lives.restart()
        await lives.clock.sleep(5)
        assert lives.power() == 0, "the CSMS had stopped it"

    in_lives(scenario, resume=None, variables={"auth_enabled": False})


# --- without a transaction ------------------------------------------------------------------------


@versions
def test_an_ev_that_came_in_the_dark_is_noticed(version: OcppVersion) -> None:
    async def scenario(lives: Lives) -> None:
        site = await lives.restart(cars={2: new_car()})
        assert site.events() == [("Started", "CablePluggedIn", "EVConnected", 0)]
        assert site.station.evse(2).state is S.CONNECTED
        assert site.record.connectors == {(1, 1): "Available", (2, 1): "Occupied"}
        assert (await site.station.swipe(TOKEN)).evse_id == 2
        await lives.clock.sleep(5)
        assert lives.power(2) > 0

    in_lives(scenario, version, start=[TxPoint.EV_CONNECTED])


def test_an_ev_that_has_charged_does_not_begin_again_by_itself() -> None:
    async def scenario(lives: Lives) -> None:
        await charging(lives)
        await lives.site.station.swipe(TOKEN)
        site = await lives.restart()
        assert site.events() == []
        assert site.station.evse(1).state is S.STOPPED
        await site.station.unplug(1)
        site = await lives.restart(cars={1: new_car()})
        assert site.station.evse(1).state is S.CONNECTED
        assert [event[0] for event in site.events()] == ["Started"]

    in_lives(scenario, start=[TxPoint.EV_CONNECTED])


def test_a_fault_without_a_transaction_is_not_remembered() -> None:
    async def scenario(lives: Lives) -> None:
        await lives.site.station.evse(1).faulted()
        site = await lives.restart()
        assert site.station.evse(1).state is S.AVAILABLE
        await charging(lives)

    in_lives(scenario)
