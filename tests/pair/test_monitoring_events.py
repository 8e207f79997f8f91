"""What monitors do: N07, N08. How they trigger, step by step: tests/property/test_monitors.py."""

from __future__ import annotations

from datetime import datetime

import pytest

from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from pair.model_kit import SECRET, ModelSite, at_rig
from pair.monitor_kit import TEMP_A, V21, of_the_rig, told, write
from pair.station_kit import VERSIONS
from vectors.schemas import validator

versions = pytest.mark.parametrize("version", VERSIONS)

# --- what an event says -------------------------------------------------------------------


@versions
def test_n07_fr_06_07_20_what_an_event_says(version: OcppVersion) -> None:
    """N07.FR.06, N07.FR.07, N07.FR.20; TC_N_20."""

    async def scenario(site: ModelSite) -> None:
        result = await site.watch("Level", "UpperThreshold", 10, severity=4)
        place = {"name": "Rig", "evse": {"id": 1}}
        (heat,) = await site.set_monitors(
            {"where": place, "which": "Heat", "type": "Delta", "value": 5, "severity": 8}
        )
        temp = await site.watch(TEMP_A, "Delta", 1)
        site.own("Level").set(12.5)
        site.own("Heat", evse_id=1).set(30.0)
        site.own("Temp", instance="A").set(30.0)
        await site.settle()
        for request in site.sent("NotifyEvent"):
            validator(version.value, "NotifyEventRequest").validate(request)
            assert request["seqNo"] == 0 or request["eventData"]
        events = {event["variable"]["name"]: event for event in site.noticed()}
        level = events["Level"]
        assert level["variableMonitoringId"] == result.id
        assert level["component"] == {"name": "Rig"}
        assert level["trigger"] == "Alerting"
        assert level["actualValue"] == "12.5"
        assert not level.get("cleared")
        assert level["eventNotificationType"] == "CustomMonitor"
        assert level["seqNo"] == 0, "N07.FR.07"
        assert "transactionId" not in level
        when = datetime.fromisoformat(level["timestamp"])
        assert abs((site.clock.now() - when).total_seconds()) < 10
        assert events["Heat"]["component"] == place
        assert (events["Heat"]["variableMonitoringId"], events["Heat"]["trigger"]) == (
            heat.id,
            "Delta",
        )
        assert events["Temp"]["variable"] == TEMP_A
        assert events["Temp"]["variableMonitoringId"] == temp.id
        severities = {name: event.get("severity") for name, event in events.items()}
        expected: dict[str, int | None] = {"Level": 4, "Heat": 8, "Temp": 5}
        assert severities == (expected if version is V21 else dict.fromkeys(expected))

    at_rig(scenario, version)


@versions
def test_events_have_ids_of_their_own_over_restarts(version: OcppVersion) -> None:
    """EventDataType.eventId: another event may name it as its cause."""
    storage = MemoryStorage()
    ids: list[int] = []

    async def scenario(site: ModelSite) -> None:
        await site.watch("Count", "Delta", 0)
        await write(site, "Count", 11, 12, 13)
        ids.extend(event["eventId"] for event in site.noticed())
        ids.extend(
            event["eventId"]
            for request in site.sent("NotifyEvent")
            for event in request["eventData"]
            if event["component"]["name"] != "Rig"
        )

    at_rig(scenario, version, storage=storage)
    at_rig(scenario, version, storage=storage)
    assert len(ids) >= 6
    assert len(set(ids)) == len(ids)


@versions
def test_many_events_at_once_share_messages_in_order(version: OcppVersion) -> None:
    """N07.FR.07 also for a NotifyEvent of several events; none is lost."""

    async def scenario(site: ModelSite) -> None:
        await site.watch("Count", "Delta", 0)
        for value in range(1, 61):
            site.own("Count").set(value)
        await site.settle(10)
        assert [event["actualValue"] for event in site.noticed("Count")] == [
            str(value) for value in range(1, 61)
        ]
        for request in site.sent("NotifyEvent"):
            validator(version.value, "NotifyEventRequest").validate(request)
        assert len(site.sent("NotifyEvent")) < 60
        firsts = [request["seqNo"] for request in site.sent("NotifyEvent")]
        assert firsts[0] == 0

    at_rig(scenario, version)


@versions
def test_n07_fr_10_a_write_only_value_stays_here(version: OcppVersion) -> None:
    """N07.FR.10; TC_N_48, for our own variable and for the station's password."""

    async def scenario(site: ModelSite) -> None:
        await site.watch("Code", "Delta", 1)
        (password,) = await site.set_monitors(
            {"where": "SecurityCtrlr", "which": "BasicAuthPassword", "type": "Delta", "value": 1}
        )
        assert password.status == "Accepted"
        assert await site.put("Rig", "Code", f"{SECRET}1") == "Accepted"
        new = f"{SECRET}-{SECRET}-2"
        assert await site.put("SecurityCtrlr", "BasicAuthPassword", new) in {
            "Accepted",
            "RebootRequired",
        }
        await site.settle()
        assert told(site, "Code") == [("Delta", "", False)]
        assert told(site, "BasicAuthPassword", "SecurityCtrlr") == [("Delta", "", False)]
        assert SECRET not in str([f for _, way, f in site.frames if way.name == "OUT"])

    at_rig(scenario, version)


# --- triggers (N07) -----------------------------------------------------------------------


@versions
def test_n07_fr_02_16_17_thresholds(version: OcppVersion) -> None:
    """N07.FR.02, N07.FR.16, N07.FR.17; TC_N_20."""

    async def scenario(site: ModelSite) -> None:
        await site.watch("Level", "UpperThreshold", 10)
        await site.watch("Level", "LowerThreshold", -10)
        await write(site, "Level", 10.0, 10.5, 12.0, 10.0, -10.0, -10.5, -10.0)
        assert told(site, "Level") == [
            ("Alerting", "10.5", False),
            ("Alerting", "10.0", True),
            ("Alerting", "-10.5", False),
            ("Alerting", "-10.0", True),
        ]

    at_rig(scenario, version)


@versions
def test_n07_fr_16_whoever_sets_the_value(version: OcppVersion) -> None:
    """N07.FR.16 by SetVariables as by the station itself, and TC_N_61_CS on a setting."""

    async def scenario(site: ModelSite) -> None:
        await site.watch("Count", "UpperThreshold", 50)
        assert await site.put("Rig", "Count", "51") == "Accepted"
        await site.settle()
        assert told(site, "Count") == [("Alerting", "51", False)]
        where = "OCPPCommCtrlr"
        (result,) = await site.set_monitors(
            {"where": where, "which": "OfflineThreshold", "type": "Delta", "value": 1}
        )
        assert result.status == "Accepted"
        await site.put(where, "OfflineThreshold", "61")
        await site.settle()
        assert told(site, "OfflineThreshold", where) == []
        await site.put(where, "OfflineThreshold", "62")
        await site.settle()
        assert told(site, "OfflineThreshold", where) == [("Delta", "62", False)]

    at_rig(scenario, version)


@versions
def test_n07_fr_18_delta_of_a_number(version: OcppVersion) -> None:
    """N07.FR.18; TC_N_45, TC_N_61_CS: counted from the last notice, not from the last value."""

    async def scenario(site: ModelSite) -> None:
        await site.watch("Level", "Delta", 3)
        await write(site, "Level", 3.0, 3.5, 5.0, 6.5, 7.0, 4.0, 3.5)
        assert told(site, "Level") == [
            ("Delta", "3.5", False),
            ("Delta", "7.0", False),
            ("Delta", "3.5", False),
        ]

    at_rig(scenario, version)


@versions
def test_n07_fr_19_delta_of_anything_else(version: OcppVersion) -> None:
    """N07.FR.19; TC_N_56: any change of a boolean, a list or a text."""

    async def scenario(site: ModelSite) -> None:
        for name in ("Mode", "On", "Set"):
            await site.watch(name, "Delta", 100)
        (state,) = await site.set_monitors(
            {
                "where": {"name": "EVSE", "evse": {"id": 1}},
                "which": "AvailabilityState",
                "type": "Delta",
                "value": 1,
            }
        )
        assert state.status == "Accepted"
        await write(site, "Mode", "two", "two", "one")
        await write(site, "On", True)
        await write(site, "Set", "two,three")
        await site.station.plug_in(1)
        await site.settle()
        assert told(site, "Mode") == [("Delta", "two", False), ("Delta", "one", False)]
        assert told(site, "On") == [("Delta", "true", False)]
        assert told(site, "Set") == [("Delta", "two,three", False)]
        (event,) = [
            event
            for event in site.noticed("AvailabilityState", "EVSE")
            if event.get("variableMonitoringId") == state.id
        ]
        assert (event["trigger"], event["actualValue"]) == ("Delta", "Occupied")

    at_rig(scenario, version)


def test_n07_fr_22_23_target_delta() -> None:
    """N07.FR.22, N07.FR.23, N07.FR.02; 2.1 only."""

    async def scenario(site: ModelSite) -> None:
        await write(site, "Level", 100.0, attribute="Target")
        await write(site, "Level", 100.0)
        absolute = await site.watch("Level", "TargetDelta", 10)
        relative = await site.watch("Level", "TargetDeltaRelative", 0.5)
        assert (str(absolute.status), str(relative.status)) == ("Accepted", "Accepted")
        await write(site, "Level", 110.0, 111.0, 150.0, 151.0, 150.0, 90.0, 49.5)
        mine = {
            result.id: [
                (e["trigger"], e["actualValue"], e.get("cleared", False))
                for e in site.noticed("Level")
                if e["variableMonitoringId"] == result.id
            ]
            for result in (absolute, relative)
        }
        assert mine[absolute.id] == [
            ("Alerting", "111.0", False),
            ("Alerting", "90.0", True),
            ("Alerting", "49.5", False),
        ]
        assert mine[relative.id] == [
            ("Alerting", "151.0", False),
            ("Alerting", "150.0", True),
            ("Alerting", "49.5", False),
        ]
        before = len(site.noticed("Level"))
        assert await site.put("Rig", "Level", "50", "Target") == "Accepted"
        await site.settle()
        cleared = [event["cleared"] for event in site.noticed("Level")[before:]]
        assert cleared == [True, True], "the target came nearer"

    at_rig(scenario)


@versions
def test_n07_fr_11_a_changed_threshold(version: OcppVersion) -> None:
    """N07.FR.11; TC_N_51."""

    async def scenario(site: ModelSite) -> None:
        await write(site, "Level", 50.0)
        first = await site.watch("Level", "UpperThreshold", 60)
        await site.settle()
        assert told(site, "Level") == []
        await site.watch("Level", "UpperThreshold", 10, id=first.id)
        await site.settle()
        assert told(site, "Level") == [("Alerting", "50.0", False)]
        await site.watch("Level", "UpperThreshold", 70, id=first.id)
        await site.settle()
        assert told(site, "Level")[1:] == [("Alerting", "50.0", True)]
        assert {event["variableMonitoringId"] for event in site.noticed("Level")} == {first.id}

    at_rig(scenario, version)


@versions
def test_n07_fr_12_a_removed_monitor_is_silent(version: OcppVersion) -> None:
    """N07.FR.12; TC_N_52."""

    async def scenario(site: ModelSite) -> None:
        result = await site.watch("Level", "UpperThreshold", 10)
        await write(site, "Level", 20.0)
        assert await site.clear(result.id) == [(result.id, "Accepted")]
        status, _ = await site.monitors(criteria=["ThresholdMonitoring"], wanted=[("Rig", "Level")])
        assert status == "EmptyResultSet"
        await write(site, "Level", 0.0, 30.0)
        assert told(site, "Level") == [("Alerting", "20.0", False)]

    at_rig(scenario, version)


@versions
def test_n07_fr_14_a_value_that_returned_during_a_reboot(version: OcppVersion) -> None:
    """N07.FR.14: cleared is told after the start; what is still beyond is not told twice."""
    storage = MemoryStorage()

    async def first(site: ModelSite) -> None:
        await site.watch("Passing", "UpperThreshold", 10)
        await site.watch("Count", "UpperThreshold", 10)
        await write(site, "Passing", 20)
        await write(site, "Count", 20)
        assert len(site.noticed()) == 2

    async def second(site: ModelSite) -> None:
        await site.settle(10)
        assert told(site, "Passing") == [("Alerting", "1", True)], "not persistent: 1 again"
        assert told(site, "Count") == []
        await write(site, "Count", 5)
        assert told(site, "Count") == [("Alerting", "5", True)]

    at_rig(first, version, storage=storage)
    at_rig(second, version, storage=storage)


@versions
def test_n07_fr_15_level(version: OcppVersion) -> None:
    """N07.FR.15, N05.FR.03: also of the maker's own monitors, and of thresholds."""

    async def scenario(site: ModelSite) -> None:
        await site.watch("Level", "UpperThreshold", 10, severity=6)
        assert await site.level(5) == "Accepted"
        await write(site, "Level", 20.0)
        await write(site, "Alarm", True)
        await write(site, "Fixed", 51)
        assert [event["variable"]["name"] for event in site.noticed()] == ["Fixed"]

    at_rig(scenario, version)


# --- the maker's monitors, and events without one -----------------------------------------


@versions
def test_monitors_of_the_files_name_their_owner(version: OcppVersion) -> None:
    """EventNotificationEnumType."""

    async def scenario(site: ModelSite) -> None:
        await write(site, "Fixed", 51)
        await write(site, "Alarm", True)
        found = {e["variable"]["name"]: e["eventNotificationType"] for e in site.noticed()}
        assert found == {"Fixed": "HardWiredMonitor", "Alarm": "PreconfiguredMonitor"}
        ids = {event["variableMonitoringId"] for event in site.noticed()}
        assert ids == set(await of_the_rig(site))

    at_rig(scenario, version)


@versions
def test_n07_fr_05_21_hard_wired_notifications(version: OcppVersion) -> None:
    """N07.FR.05, N07.FR.21; TC_N_21: the integrator tells of what no monitor watches."""

    async def scenario(site: ModelSite) -> None:
        await write(site, "Fixed", 51)
        (cause,) = site.noticed("Fixed")
        site.station.charge_point.raise_event(
            "Rig", "Mode", "one", severity=2, cause=cause["eventId"], tech_code="E42"
        )
        await site.settle()
        (event,) = site.noticed("Mode")
        assert event["eventNotificationType"] == "HardWiredNotification"
        assert event["trigger"] == "Alerting"
        assert event["actualValue"] == "one"
        assert event["techCode"] == "E42"
        assert event["cause"] == cause["eventId"] != event["eventId"]
        assert "variableMonitoringId" not in event
        assert event.get("severity") == (2 if version is V21 else None)

    at_rig(scenario, version)


# --- transactions -------------------------------------------------------------------------


@versions
def test_a_monitor_for_transactions_names_the_transaction(version: OcppVersion) -> None:
    """SetMonitoringDataType.transaction, EventDataType.transactionId; TC_N_20."""

    async def scenario(site: ModelSite) -> None:
        place = {"name": "Rig", "evse": {"id": 1}}
        (result,) = await site.set_monitors(
            {
                "where": place,
                "which": "Heat",
                "type": "UpperThreshold",
                "value": 50,
                "transaction": True,
            }
        )
        heat = site.own("Heat", evse_id=1)
        heat.set(60.0)
        await site.settle()
        assert told(site, "Heat") == [], "no transaction"
        await site.charge_without_end(2)
        assert told(site, "Heat") == [], "none at EVSE 1"
        await site.charge_without_end(1)
        (event,) = site.noticed("Heat")
        assert event["variableMonitoringId"] == result.id
        (mine,) = [one for one in site.transactions if one.evse_id == 1]
        assert event["transactionId"] == mine.transaction_id
        heat.set(40.0)
        await site.settle()
        assert site.noticed("Heat")[1]["cleared"] is True
        assert site.noticed("Heat")[1]["transactionId"] == mine.transaction_id
        await site.station.swipe("CARD1", 1)
        await site.settle()
        await site.station.unplug(1)
        await site.settle()
        heat.set(70.0)
        await site.settle()
        assert len(site.noticed("Heat")) == 2, "it is over"

    at_rig(scenario, version)


# --- N08 ----------------------------------------------------------------------------------


@versions
def test_n08_fr_04_05_06_periodic(version: OcppVersion) -> None:
    """N08.FR.04, N08.FR.05, N08.FR.06; TC_N_24."""

    async def scenario(site: ModelSite) -> None:
        start = site.clock.elapsed_s
        result = await site.watch("Level", "Periodic", 60)
        await site.settle(30)
        site.own("Level").set(5.0)
        await site.settle(155)
        events = site.noticed("Level")
        assert [e["trigger"] for e in events] == ["Periodic"] * 3
        assert [e["actualValue"] for e in events] == ["5.0"] * 3
        assert [e["seqNo"] for e in events] == [0] * 3
        assert {e["variableMonitoringId"] for e in events} == {result.id}
        assert not any(e.get("cleared") for e in events)
        times = [t for t in site.times("NotifyEvent") if t > start]
        for number, at in enumerate(times, 1):
            assert at - start == pytest.approx(60 * number, abs=1)
        await site.clear(result.id)
        await site.settle(300)
        assert len(site.noticed("Level")) == 3

    at_rig(scenario, version)


@versions
def test_n08_fr_07_clock_aligned(version: OcppVersion) -> None:
    """N08.FR.07: at 0, 15, 30 and 45 minutes after the hour, whenever it was set."""

    async def scenario(site: ModelSite) -> None:
        await site.settle(400)
        await site.watch("Mode", "PeriodicClockAligned", 900)
        await site.settle(3_700)
        events = site.noticed("Mode")
        assert [e["trigger"] for e in events] == ["Periodic"] * 4
        for event in events:
            at = datetime.fromisoformat(event["timestamp"])
            assert (at.minute % 15, at.second) == (0, 0)

    at_rig(scenario, version)


@versions
def test_n08_fr_06_a_periodic_monitor_goes_on_after_a_restart(version: OcppVersion) -> None:
    """N08.FR.06, N07.FR.13."""
    storage = MemoryStorage()

    async def first(site: ModelSite) -> None:
        await site.watch("Mode", "Periodic", 60)

    async def second(site: ModelSite) -> None:
        await site.settle(130)
        assert len(site.noticed("Mode")) == 2

    at_rig(first, version, storage=storage)
    at_rig(second, version, storage=storage)


@versions
def test_n08_fr_05_periodic_write_only_values_stay_here(version: OcppVersion) -> None:
    """N07.FR.10 for N08.FR.05 too."""

    async def scenario(site: ModelSite) -> None:
        result = await site.watch("Code", "Periodic", 30)
        assert result.status == "Accepted"
        await site.settle(35)
        assert told(site, "Code") == [("Periodic", "", False)]
        assert SECRET not in str(site.frames)

    at_rig(scenario, version)


@versions
def test_a_station_without_monitoring_says_so(version: OcppVersion) -> None:
    """MonitoringCtrlr.Enabled false: no events, and the requests are refused."""

    async def scenario(site: ModelSite) -> None:
        await site.watch("Mode", "Delta", 1)
        assert await site.put("MonitoringCtrlr", "Enabled", "false") == "Accepted"
        await write(site, "Mode", "two")
        assert site.noticed() == []
        request = site.m.SetMonitoringLevelRequest(severity=5)
        assert await site.refused(request) in {"NotSupported", "NotImplemented"}
        assert await site.put("MonitoringCtrlr", "Enabled", "true") == "Accepted"
        await write(site, "Mode", "three")
        assert told(site, "Mode")[-1:] == [("Delta", "three", False)]

    at_rig(scenario, version)
