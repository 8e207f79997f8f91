"""Transactions from plug to plug: E01, E02, E03, E05, E06, E07 and their readings, J02."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from ocpp_fast.config import EvseConfig, TxPoint
from ocpp_fast.errors import ConfigurationError, HardwareError, ValidationError
from ocpp_fast.messages import OcppVersion, v21
from ocpp_fast.simulator import Car
from pair.station_kit import TOKEN, VERSIONS, Site, at_site

versions = pytest.mark.parametrize("version", VERSIONS)

EV, AUTH = TxPoint.EV_CONNECTED, TxPoint.AUTHORIZED
CLOSED, ENERGY = TxPoint.POWER_PATH_CLOSED, TxPoint.ENERGY_TRANSFER
BAY = TxPoint.PARKING_BAY_OCCUPANCY


def points(start: set[TxPoint], stop: set[TxPoint]) -> dict[str, Any]:
    return {"tx_start_point": frozenset(start), "tx_stop_point": frozenset(stop)}


def readings(event: dict[str, Any], context: str) -> list[float]:
    """Energy values of an event that have a reading context."""
    return [
        value["value"]
        for reading in event.get("meterValue", [])
        for value in reading["sampledValue"]
        if value["context"] == context and "phase" not in value
    ]


@versions
def test_a_whole_transaction_reaches_the_csms(version: OcppVersion) -> None:
    """Started, Updated with readings, Ended; no gap; one transactionId."""

    async def scenario(site: Site) -> None:
        await site.charge(35)
        (record,) = site.transactions
        assert record.problems() == []
        assert record.seq_nos.count == record.seq_nos.next == 6
        assert record.updates_with_readings == 3
        assert (record.evse_id, record.connector_id) == (1, 1)
        assert record.stopped_reason == "Local"
        assert record.energy_wh == pytest.approx(11_000 * 34 / 3_600, abs=0.2)
        assert site.record.connectors[1, 1] == "Available"
        ids = {e["transactionInfo"]["transactionId"] for e in site.sent("TransactionEvent")}
        assert len(ids) == 1

    at_site(scenario, version, variables={"tx_updated_interval_s": 10})


@versions
def test_e02_cable_first(version: OcppVersion) -> None:
    """E01.FR.02, E02.FR.01, E02.FR.06, E02.FR.13, E02.FR.15, E06.FR.02, E07.FR.02."""

    async def scenario(site: Site) -> None:
        await site.charge(10)
        assert site.events() == [
            ("Started", "CablePluggedIn", "EVConnected", 0),
            ("Updated", "Authorized", "EVConnected", 1),
            ("Updated", "ChargingStateChanged", "Charging", 2),
            ("Updated", "StopAuthorized", "EVConnected", 3),
            ("Ended", "EVCommunicationLost", "Idle", 4),
        ]
        assert site.transactions[0].stopped_reason == "Local", "E07.FR.05: what ended it first"

    at_site(scenario, version, variables=points({EV}, {EV}))


@versions
def test_e03_token_first(version: OcppVersion) -> None:
    """E01.FR.03, E03.FR.01, E01.FR.16, E06.FR.03."""

    async def scenario(site: Site) -> None:
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        await site.station.plug_in(1)
        await site.clock.sleep(10)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(1)
        assert site.events() == [
            ("Started", "Authorized", "Idle", 0),
            ("Updated", "CablePluggedIn", "EVConnected", 1),
            ("Updated", "ChargingStateChanged", "Charging", 2),
            ("Ended", "StopAuthorized", "EVConnected", 3),
        ]
        started, plugged, *_ = site.sent("TransactionEvent")
        assert "idToken" in started
        assert "evse" not in started
        assert plugged["evse"] == {"id": 1, "connectorId": 1}

    at_site(scenario, version, variables=points({AUTH}, {AUTH}))


@versions
def test_what_is_told_once_is_told_once(version: OcppVersion) -> None:
    """E01.FR.16, E03.FR.01, E07.FR.02: evse, and the token at the start and at the end."""

    async def scenario(site: Site) -> None:
        await site.charge(35)
        events = site.sent("TransactionEvent")
        assert [e["seqNo"] for e in events if "evse" in e] == [0]
        assert [e["triggerReason"] for e in events if "idToken" in e] == [
            "Authorized",
            "StopAuthorized",
        ]
        assert events[0]["idToken"] == {"idToken": TOKEN, "type": "ISO14443"}

    at_site(scenario, version, variables={"tx_updated_interval_s": 10})


@pytest.mark.parametrize(
    ("start", "trigger", "state"),
    [
        ({BAY}, "EVDetected", "Idle"),
        ({EV}, "CablePluggedIn", "EVConnected"),
        ({CLOSED}, "Authorized", "EVConnected"),
        ({AUTH}, "Authorized", "EVConnected"),
        ({ENERGY}, "ChargingStateChanged", "Charging"),
        ({EV, AUTH}, "CablePluggedIn", "EVConnected"),
    ],
    ids=str,
)
def test_e01_the_start_point_says_when_it_starts(
    start: set[TxPoint], trigger: str, state: str
) -> None:
    """E01.FR.01, E01.FR.02, E01.FR.03, E01.FR.05, E01.FR.06."""

    async def scenario(site: Site) -> None:
        await site.station.evse(1).bay_changed(occupied=True)
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        first, *others = site.events()
        assert first == ("Started", trigger, state, 0)
        assert all(event[0] == "Updated" for event in others)
        assert sum("idToken" in e for e in site.sent("TransactionEvent")) == 1, "E01.FR.10"
        assert sum("evse" in e for e in site.sent("TransactionEvent")) == 1, "E01.FR.16"

    at_site(scenario, variables=points(start, {EV}))


@pytest.mark.parametrize(
    ("stop", "what", "trigger", "reason"),
    [
        ({EV}, "unplug", "EVCommunicationLost", "EVDisconnected"),
        ({AUTH}, "unplug", "EVCommunicationLost", "EVDisconnected"),
        ({AUTH}, "swipe", "StopAuthorized", "Local"),
        ({CLOSED}, "unplug", "EVCommunicationLost", "EVDisconnected"),
        ({CLOSED}, "swipe", "StopAuthorized", "Local"),
        ({ENERGY}, "full", "ChargingStateChanged", "StoppedByEV"),
        ({ENERGY}, "swipe", "StopAuthorized", "Local"),
        ({BAY}, "leave", "EVDeparted", "Local"),
        ({AUTH}, "fault", "AbnormalCondition", "Other"),
    ],
    ids=str,
)
def test_e06_the_stop_point_says_when_it_ends(
    stop: set[TxPoint], what: str, trigger: str, reason: str
) -> None:
    """E06.FR.01, E06.FR.02, E06.FR.03, E06.FR.06, E06.FR.07, E06.FR.16."""

    async def scenario(site: Site) -> None:
        await site.station.evse(1).bay_changed(occupied=True)
        car = await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        assert site.events()[-1][0] == "Updated"
        match what:
            case "unplug":
                await site.station.unplug(1)
            case "swipe":
                await site.station.swipe(TOKEN, 1)
            case "full":
                car.energy_wh = car.capacity_wh
            case "fault":
                await site.station.evse(1).faulted()
            case _:
                await site.station.swipe(TOKEN, 1)
                await site.station.unplug(1)
                await site.clock.sleep(1)
                assert site.transactions[0].ended_at is None
                await site.station.evse(1).bay_changed(occupied=False)
        await site.clock.sleep(5)
        assert site.events()[-1][:2] == ("Ended", trigger)
        assert site.transactions[0].stopped_reason == reason

    at_site(scenario, variables=points({CLOSED}, stop))


@pytest.mark.parametrize("start", [{CLOSED}, {ENERGY}], ids=str)
@pytest.mark.parametrize("what", ["full", "paused", "leave"])
def test_c01_fr_01_no_energy_flows_after_the_end(start: set[TxPoint], what: str) -> None:
    """The authorization ends with the transaction, whatever has ended it (Part 2, C 1.1)."""

    async def scenario(site: Site) -> None:
        evse, hardware = site.station.evse(1), site.station.hardware[1]
        await evse.bay_changed(occupied=True)
        car = await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        open_ = hardware.stop_power
        moves: list[str | None] = []

        async def stop_power() -> None:
            moves.append(evse.transaction_id)
            await open_()

        hardware.stop_power = stop_power
        match what:
            case "full":
                car.energy_wh = car.capacity_wh
            case "paused":
                await evse.pause()
            case _:
                await evse.bay_changed(occupied=False)
        await site.clock.sleep(5)
        assert site.events()[-1][0] == "Ended"
        assert moves[0] is not None, "before the last reading"
        taken = hardware.energy_wh
        car.energy_wh = 0.0
        await evse.resume()
        await site.clock.sleep(60)
        assert (evse.state, hardware.energy_wh) == ("stopped", taken)
        assert len(site.transactions) == 1
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(60)
        assert evse.state == "charging"
        assert len(site.transactions) == 2

    at_site(scenario, variables=points(start, {ENERGY, BAY}))


def test_a_driver_who_is_awaited_is_so_no_longer_when_the_bay_is_empty() -> None:
    async def scenario(site: Site) -> None:
        evse = site.station.evse(1)
        await evse.bay_changed(occupied=True)
        await site.station.swipe(TOKEN, 1)
        await evse.bay_changed(occupied=False)
        await site.clock.sleep(1)
        assert site.events()[-1][:2] == ("Ended", "EVDeparted")
        assert evse.state == "available"
        await site.clock.sleep(10)
        await site.station.swipe("04OTHER", 1)
        await site.clock.sleep(15)
        assert evse.state == "authorized", "the timeout of the first one is over"

    at_site(scenario, variables={"ev_connection_timeout_s": 20, **points({BAY, AUTH}, {BAY})})


@versions
def test_e01_fr_09_e06_fr_11_the_readings_of_begin_and_end(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        site.station.hardware[1]._energy_wh = 17_000_123.4
        await site.charge(3_600)
        started, *_, ended = site.sent("TransactionEvent")
        assert readings(started, "Transaction.Begin") == [17_000_123.4]
        assert readings(ended, "Transaction.Begin") == [17_000_123.4]
        (last,) = readings(ended, "Transaction.End")
        assert last == pytest.approx(17_000_123.4 + 11_000, abs=10)

    at_site(scenario, version)


def test_j02_fr_11_every_interval_the_configured_measurands() -> None:
    async def scenario(site: Site) -> None:
        await site.charge(65)
        updates = [
            e for e in site.sent("TransactionEvent") if e["triggerReason"] == "MeterValuePeriodic"
        ]
        assert len(updates) == 6
        for update in updates:
            (reading,) = update["meterValue"]
            shown = [(v["measurand"], v.get("phase")) for v in reading["sampledValue"]]
            assert shown == [
                ("Power.Active.Import", None),
                *(("Voltage", f"L{n}-N") for n in (1, 2, 3)),
            ]
            assert {v["context"] for v in reading["sampledValue"]} == {"Sample.Periodic"}

    measurands = ("Power.Active.Import", "Voltage")
    at_site(
        scenario,
        variables={"tx_updated_interval_s": 10, "tx_updated_measurands": measurands},
    )


def test_j02_fr_10_a_meter_that_is_silent_repeats_nothing() -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(25)
        site.station.hardware[1].broken.add("read_meter")
        await site.clock.sleep(60)
        assert len([e for e in site.events() if e[1] == "MeterValuePeriodic"]) == 3

    at_site(scenario, variables={"tx_updated_interval_s": 10})


def test_ended_holds_the_samples_of_its_own_interval() -> None:
    """SampledDataCtrlr.TxEndedInterval."""

    async def scenario(site: Site) -> None:
        await site.charge(60)
        ended = site.sent("TransactionEvent")[-1]
        assert len(readings(ended, "Sample.Periodic")) == 3
        assert len(ended["meterValue"]) == 5
        stamps = [datetime.fromisoformat(r["timestamp"]) for r in ended["meterValue"]]
        assert stamps == sorted(stamps)

    at_site(scenario, variables={"tx_ended_interval_s": 20})


def test_the_interval_can_change_during_a_transaction() -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(21)
        assert len(site.transactions) == 1
        before = site.transactions[0].updates_with_readings
        site.station.charge_point.device_model.write(tx_updated_interval_s=5)
        await site.clock.sleep(21)
        assert (before, site.transactions[0].updates_with_readings) == (2, 6)

    at_site(scenario, variables={"tx_updated_interval_s": 10})


def test_e01_fr_17_without_a_meter_at_the_start_the_readings_come_with_charging() -> None:
    async def scenario(site: Site) -> None:
        hardware = site.station.hardware[1]
        hardware.broken.add("read_meter")
        site.station.charge_point._parts.readings._latest.clear()
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        hardware.broken.clear()
        await site.clock.sleep(5)
        started, charging = site.sent("TransactionEvent")
        assert "meterValue" not in started
        assert readings(charging, "Transaction.Begin") == [pytest.approx(0, abs=5)]

    at_site(scenario)


@versions
def test_two_evses_keep_their_own_numbers(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.station.plug_in(2)
        await site.station.swipe("AA", 1)
        await site.station.swipe("BB", 2)
        await site.clock.sleep(35)
        await site.station.unplug(1)
        await site.station.unplug(2)
        await site.clock.sleep(1)
        assert len(site.transactions) == 2
        assert [t.problems() for t in site.transactions] == [[], []]
        assert {t.evse_id for t in site.transactions} == {1, 2}

    at_site(scenario, version, variables={"tx_updated_interval_s": 10})


def test_e01_fr_14_an_evse_has_one_transaction_at_a_time() -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        point = site.station.charge_point
        with pytest.raises(ConfigurationError, match="has a transaction already"):
            await point.on_transaction_started(1, 1, "another", site.clock.now(), "CablePluggedIn")
        with pytest.raises(ConfigurationError, match="has no transaction"):
            await point.on_transaction_finished(2, site.clock.now())
        with pytest.raises(ConfigurationError, match="no EVSE 3"):
            await point.on_transaction_started(3, 1, "another", site.clock.now(), "CablePluggedIn")
        assert not await point.on_charging_state_changed(2, "Charging")

    at_site(scenario)


def test_e01_fr_19_a_car_that_pauses_and_goes_on() -> None:
    async def scenario(site: Site) -> None:
        car = await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        car.paused = True
        await site.clock.sleep(5)
        car.paused = False
        await site.clock.sleep(5)
        assert [state for _, _, state, _ in site.events()] == [
            "EVConnected", "Charging", "SuspendedEV", "Charging",
        ]  # fmt: skip

    at_site(scenario)


def test_a_full_car_stops_taking_and_pays_for_what_it_took() -> None:
    async def scenario(site: Site) -> None:
        car = Car(capacity_wh=10_000, energy_wh=9_000)
        await site.station.plug_in(1, car)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(3_600)
        assert site.events()[-1][2] == "SuspendedEV"
        await site.station.unplug(1)
        await site.clock.sleep(1)
        assert site.transactions[0].energy_wh == pytest.approx(1_000, abs=0.2)

    at_site(scenario)


def test_what_a_load_management_pauses_it_can_resume() -> None:
    async def scenario(site: Site) -> None:
        evse, hardware = site.station.evse(1), site.station.hardware[1]
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        await evse.pause()
        await site.clock.sleep(60)
        assert (hardware.power_w, site.events()[-1][2]) == (0, "SuspendedEVSE")
        await evse.resume()
        await site.clock.sleep(5)
        assert hardware.power_w > 0
        assert [event[2] for event in site.events()[-2:]] == ["EVConnected", "Charging"]

    at_site(scenario)


def test_e06_fr_08_the_reason_is_that_of_the_last_authorization() -> None:
    """A driver who stops, goes on after all and then pulls the plug has not stopped it."""

    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        for _ in range(3):
            await site.station.swipe(TOKEN, 1)
            await site.clock.sleep(5)
        assert site.station.evse(1).state == "charging"
        await site.station.unplug(1)
        await site.clock.sleep(1)
        assert site.transactions[0].stopped_reason == "EVDisconnected"

    at_site(scenario, variables=points({EV}, {EV}))


@versions
def test_c01_fr_26_e03_fr_05_a_driver_who_does_not_plug_in(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(25)
        assert site.events() == [
            ("Started", "Authorized", "Idle", 0),
            ("Ended", "EVConnectTimeout", "Idle", 1),
        ]
        assert site.transactions[0].stopped_reason == "Timeout"
        await site.station.plug_in(1)
        await site.clock.sleep(5)
        assert site.station.evse(1).state == "connected"

    at_site(scenario, version, variables={"ev_connection_timeout_s": 20, **points({AUTH}, {EV})})


def test_e03_fr_15_with_a_bay_detector_the_timeout_only_deauthorizes() -> None:
    async def scenario(site: Site) -> None:
        await site.station.evse(1).bay_changed(occupied=True)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(25)
        assert [e[:2] for e in site.events()][-1] == ("Updated", "EVConnectTimeout")
        await site.station.evse(1).bay_changed(occupied=False)
        await site.clock.sleep(1)
        assert [e[:2] for e in site.events()][-1] == ("Ended", "EVDeparted")
        assert site.transactions[0].stopped_reason == "Timeout"

    at_site(scenario, variables={"ev_connection_timeout_s": 20, **points({BAY}, {BAY})})


@versions
@pytest.mark.parametrize("stop", [{EV}, {ENERGY}], ids=str)
@pytest.mark.parametrize("end", ["card", "remote stop", "fault"])
def test_a_driver_who_gives_up_before_he_plugs_in(
    version: OcppVersion, stop: set[TxPoint], end: str
) -> None:
    """E03.FR.05, C20.FR.01: no EV will come whose leaving could end his transaction, and nobody
    else could use the EVSE meanwhile (C01.FR.23)."""
    ended = {
        "card": ("StopAuthorized", "Local"),
        "remote stop": ("RemoteStop", "Remote"),
        "fault": ("AbnormalCondition", "Other"),
    }

    async def scenario(site: Site) -> None:
        evse = site.station.evse(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        if end == "card":
            await site.station.swipe(TOKEN, 1)
        elif end == "fault":
            await evse.faulted()
        else:
            m: Any = version.module
            request = m.RequestStopTransactionRequest(transaction_id=evse.transaction_id or "")
            await site.csms.call("CS001", request)
        await site.clock.sleep(1)
        trigger, reason = ended[end]
        assert site.events()[1:] == [("Ended", trigger, "Idle", 1)]
        assert site.transactions[0].stopped_reason == reason
        await evse.fault_cleared()
        await site.station.swipe("04OTHER", 1)
        await site.station.plug_in(1)
        await site.clock.sleep(60)
        assert evse.state == "charging", "the next driver, and no timeout of the first one"
        assert len(site.transactions) == 2

    changed = {"ev_connection_timeout_s": 20, **points({EV, AUTH}, stop)}
    at_site(scenario, version, variables=changed)


def test_e03_fr_15_with_a_bay_detector_his_transaction_stays_open() -> None:
    async def scenario(site: Site) -> None:
        await site.station.evse(1).bay_changed(occupied=True)
        await site.station.swipe(TOKEN, 1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(300)
        assert [e[:2] for e in site.events()][-1] == ("Updated", "StopAuthorized")
        await site.station.evse(1).bay_changed(occupied=False)
        await site.clock.sleep(1)
        assert [e[:2] for e in site.events()][-1] == ("Ended", "EVDeparted")
        assert site.transactions[0].stopped_reason == "Local"

    at_site(scenario, variables=points({BAY}, {BAY, EV}))


def test_the_timeout_of_a_driver_who_came_in_time_does_nothing() -> None:
    async def scenario(site: Site) -> None:
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(15)
        await site.station.plug_in(1)
        await site.clock.sleep(60)
        assert site.station.evse(1).state == "charging"

    at_site(scenario, variables={"ev_connection_timeout_s": 20})


# --- hardware that fails, or has several connectors -------------------------------------------


@pytest.mark.parametrize("how", ["raises", "hangs"])
@pytest.mark.parametrize("method", ["lock", "allow_power"])
def test_g05_fr_01_hardware_that_fails_gives_no_energy(method: str, how: str) -> None:
    """A cable that is not locked, or a contactor that does not close: the EVSE is Faulted."""

    async def fails() -> None:
        if how == "hangs":
            await asyncio.Event().wait()
        raise HardwareError("stuck")

    async def scenario(site: Site) -> None:
        evse, hardware = site.station.evse(1), site.station.hardware[1]
        moves: list[str] = []
        for name in ("stop_power", "lock", "allow_power", "unlock"):
            do = fails if name == method else getattr(hardware, name)
            setattr(hardware, name, noting(moves, name, do))
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(15)
        expected = ["lock", "stop_power"] if method == "lock" else ["lock", method, "stop_power"]
        assert moves == expected
        assert (evse.state, hardware.energy_wh) == ("faulted with an EV", 0)
        assert [event[:2] for event in site.events()] == [
            ("Started", "Authorized"), ("Ended", "AbnormalCondition"),
        ]  # fmt: skip
        assert site.record.connectors[1, 1] == "Faulted"

    at_site(scenario, variables=points({CLOSED}, {AUTH}))


def test_g05_a_contactor_that_does_not_open_is_a_fault() -> None:
    """The driver's transaction ends all the same; his cable, which may be under power, is unlocked
    when the fault is cleared."""

    async def fails() -> None:
        raise HardwareError("welded")

    async def scenario(site: Site) -> None:
        evse, hardware = site.station.evse(1), site.station.hardware[1]
        moves: list[str] = []
        hardware.stop_power = noting(moves, "stop_power", fails)
        hardware.unlock = noting(moves, "unlock", hardware.unlock)
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        assert moves == ["stop_power"]
        assert site.events()[-1][:2] == ("Ended", "StopAuthorized")
        assert evse.state == "faulted with an EV"
        outcome = await site.station.swipe(TOKEN, 1)
        assert outcome.result == "no use"
        await evse.fault_cleared()
        await site.clock.sleep(1)
        assert moves == ["stop_power", "unlock"]
        assert (evse.state, site.record.connectors[1, 1]) == ("stopped", "Occupied")

    at_site(scenario, variables=points({CLOSED}, {AUTH}))


def noting(moves: list[str], name: str, do: Callable[[], Awaitable[None]]) -> Any:
    async def noted() -> None:
        moves.append(name)
        await do()

    return noted


@versions
def test_each_connector_is_reported_as_itself(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        evse = site.station.evse(1)

        async def states() -> list[str]:
            await site.clock.sleep(1)
            return [site.record.connectors[1, n] for n in (1, 2)]

        await evse.plugged_in(2)
        assert await states() == ["Available", "Occupied"]
        await evse.faulted()
        assert await states() == ["Faulted", "Faulted"]
        await evse.fault_cleared()
        assert await states() == ["Available", "Occupied"]
        await evse.unplugged()
        assert await states() == ["Available", "Available"]
        await evse.plugged_in(1)
        assert await states() == ["Occupied", "Available"]
        assert [e.get("evse") for e in site.sent("TransactionEvent") if "evse" in e] == [
            {"id": 1, "connectorId": 2}, {"id": 1, "connectorId": 1},
        ]  # fmt: skip

    config = {"evses": (EvseConfig(connectors=2),)}
    at_site(scenario, version, variables=points({EV}, {EV}), config=config)


# --- E05: the CSMS does not accept the token of a running transaction -------------------------


def refuse_in_events(version: OcppVersion) -> dict[str, Any]:
    """A CSMS that authorizes a token, and refuses it once it is in a TransactionEvent."""

    def answer(_station: object, request: Any) -> Any:
        m: Any = version.module
        if request.id_token is None:
            return m.TransactionEventResponse()
        return m.TransactionEventResponse(id_token_info=m.IdTokenInfoType(status="Blocked"))

    return {"TransactionEvent": answer}


@versions
@pytest.mark.parametrize(
    ("stop", "last"),
    [
        ({AUTH}, ("Ended", "Deauthorized", "EVConnected")),
        ({CLOSED}, ("Ended", "Deauthorized", "EVConnected")),
        ({EV}, ("Updated", "Deauthorized", "EVConnected")),
    ],
    ids=str,
)
def test_e05_fr_09_10_a_token_refused_later_ends_the_authorization(
    version: OcppVersion, stop: set[TxPoint], last: tuple[str, str, str]
) -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(10)
        assert site.events()[-1][:3] == last
        assert site.station.hardware[1].power_w == 0
        if last[0] == "Ended":
            assert site.transactions[0].stopped_reason == "DeAuthorized"

    at_site(scenario, version, variables=points({CLOSED}, stop), handlers=refuse_in_events(version))


@versions
def test_e05_fr_02_without_stop_tx_on_invalid_id_the_energy_stops(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(10)
        assert site.events()[-1][:3] == ("Updated", "ChargingStateChanged", "SuspendedEVSE")
        assert site.station.hardware[1].power_w == 0

    at_site(
        scenario,
        version,
        variables={"stop_tx_on_invalid_id": False},
        handlers=refuse_in_events(version),
    )


@pytest.mark.parametrize("limit_wh", [0, 500])
def test_e05_fr_02_nobody_but_a_driver_lets_it_flow_again(limit_wh: int) -> None:
    """What a load management pauses and resumes is not what the CSMS does not want."""

    async def scenario(site: Site) -> None:
        evse = site.station.evse(1)
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(600)
        assert evse.state == "suspended by the station"
        taken = site.station.hardware[1].energy_wh
        await evse.resume()
        await site.clock.sleep(600)
        assert site.station.hardware[1].energy_wh == taken
        await site.station.swipe(TOKEN, 1)
        site.csms.on("TransactionEvent", lambda *_: v21.TransactionEventResponse())
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(60)
        assert evse.state == "charging"

    variables = {
        "stop_tx_on_invalid_id": False,
        "max_energy_on_invalid_id_wh": limit_wh,
        **points({EV}, {EV}),
    }
    at_site(scenario, variables=variables, handlers=refuse_in_events(OcppVersion.V21))


@versions
def test_e05_fr_02_nor_for_an_ev_that_is_plugged_in_after_the_refusal(
    version: OcppVersion,
) -> None:
    async def scenario(site: Site) -> None:
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(10)
        await site.station.plug_in(1)
        await site.clock.sleep(60)
        assert site.events()[-1][2] == "EVConnected"
        assert site.station.hardware[1].energy_wh == 0

    variables = {"stop_tx_on_invalid_id": False, **points({AUTH}, {AUTH})}
    at_site(scenario, version, variables=variables, handlers=refuse_in_events(version))


def test_e05_fr_03_energy_is_allowed_up_to_max_energy_on_invalid_id() -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(60)
        assert site.station.evse(1).state == "charging"
        await site.clock.sleep(600)
        assert site.events()[-1][2] == "SuspendedEVSE"
        taken = site.station.hardware[1].energy_wh
        assert 500 <= taken < 510

    at_site(
        scenario,
        variables={"stop_tx_on_invalid_id": False, "max_energy_on_invalid_id_wh": 500.0},
        handlers=refuse_in_events(OcppVersion.V21),
    )


# --- E14 --------------------------------------------------------------------------------------


@versions
def test_e14_the_csms_asks_how_a_transaction_is(version: OcppVersion) -> None:
    """E14.FR.01, E14.FR.02, E14.FR.03, E14.FR.05, E14.FR.06, E14.FR.08."""

    async def scenario(site: Site) -> None:
        m: Any = version.module

        async def ask(transaction_id: str | None) -> tuple[bool | None, bool]:
            request = m.GetTransactionStatusRequest(transaction_id=transaction_id)
            response: Any = await site.csms.call("CS001", request)
            return response.ongoing_indicator, response.messages_in_queue

        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        (record,) = site.transactions
        assert await ask(record.transaction_id) == (True, False)
        assert await ask("unheard-of") == (False, False)
        assert await ask(None) == (None, False)
        await site.station.unplug(1)
        await site.clock.sleep(5)
        assert await ask(record.transaction_id) == (False, False)

    at_site(scenario, version)


def test_e14_fr_04_07_while_an_event_waits_for_its_next_attempt() -> None:
    async def scenario(site: Site) -> None:
        m: Any = OcppVersion.V21.module
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        (lane,) = {e["transactionInfo"]["transactionId"] for e in site.sent("TransactionEvent")}
        for wanted in (lane, None):
            request = m.GetTransactionStatusRequest(transaction_id=wanted)
            response: Any = await site.csms.call("CS001", request)
            assert response.messages_in_queue

    def fail(_station: object, _request: object) -> Any:
        raise ValueError("no")

    at_site(scenario, handlers={"TransactionEvent": fail})


def test_a_mistake_of_the_caller_leaves_everything_as_it_was() -> None:
    async def scenario(site: Site) -> None:
        point = site.station.charge_point
        now = site.clock.now()
        with pytest.raises(ValidationError):
            await point.on_transaction_started(1, 1, "x" * 37, now, "CablePluggedIn")
        assert point.get_evse_transaction_id(1) is None
        await point.on_transaction_started(1, 1, "tx", now, "CablePluggedIn")
        with pytest.raises(ValueError, match="NoReason"):
            await point.on_transaction_finished(1, now, "NoReason")
        assert point.get_evse_transaction_id(1) == "tx"
        await point.on_transaction_finished(1, now)
        await site.clock.sleep(1)
        (record,) = site.transactions
        assert record.seq_nos.missing == []
        assert record.seq_nos.count == 2

    at_site(scenario)


def test_on_authorized_tells_a_token_once() -> None:
    """For those who use the charge point without the station around it."""

    async def scenario(site: Site) -> None:
        point = site.station.charge_point
        token = site.station.token("04A1B2C3")
        await point.on_authorized(1, 1, token)
        assert site.events() == []
        await point.on_transaction_started(1, None, "tx", site.clock.now(), "EVDetected")
        await point.on_authorized(1, 1, token)
        await point.on_authorized(1, 1, token)
        await site.clock.sleep(1)
        assert [event[:2] for event in site.events()] == [
            ("Started", "EVDetected"),
            ("Updated", "Authorized"),
        ]
        assert site.sent("TransactionEvent")[1]["evse"] == {"id": 1, "connectorId": 1}

    at_site(scenario)
