"""Monitoring while the link is down, the CSMS refuses or the station is not accepted: N07, N08."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ocpp_fast.errors import ErrorCode, RequestRefused
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from pair.model_kit import ModelSite, at_rig
from pair.monitor_kit import told, write
from pair.station_kit import VERSIONS

versions = pytest.mark.parametrize("version", VERSIONS)


@versions
def test_n07_fr_04_severe_events_wait_for_the_link(version: OcppVersion) -> None:
    """N07.FR.04 and its remark; TC_N_22, TC_N_23: others are evaluated when it is back."""

    async def scenario(site: ModelSite) -> None:
        assert await site.put("MonitoringCtrlr", "OfflineQueuingSeverity", "4") == "Accepted"
        await site.watch("Level", "UpperThreshold", 10, severity=4)
        await site.watch("Count", "UpperThreshold", 10, severity=5)
        await site.watch("Mode", "Delta", 1, severity=5)
        site.cut(until_s=60)
        await site.settle()
        offline = site.clock.now()
        await write(site, "Level", 20.0, 0.0)
        await write(site, "Count", 20, 0)
        await write(site, "Mode", "two")
        assert site.noticed() == []
        await site.settle(120)
        assert told(site, "Level") == [("Alerting", "20.0", False), ("Alerting", "0.0", True)]
        assert told(site, "Count") == [], "came and went"
        assert told(site, "Mode") == [("Delta", "two", False)], "still so"
        first = datetime.fromisoformat(site.noticed("Level")[0]["timestamp"])
        assert abs((first - offline).total_seconds()) < 5, "when it happened"

    at_rig(scenario, version)


@versions
def test_n07_fr_04_what_waits_outlives_a_restart(version: OcppVersion) -> None:
    storage = MemoryStorage()

    async def first(site: ModelSite) -> None:
        await site.put("MonitoringCtrlr", "OfflineQueuingSeverity", "4")
        await site.watch("Mode", "Delta", 1, severity=4)
        site.cut(until_s=10_000)
        await site.settle()
        await write(site, "Mode", "two")
        assert site.noticed() == []

    async def second(site: ModelSite) -> None:
        await site.settle(60)
        assert told(site, "Mode")[:1] == [("Delta", "two", False)]
        assert len(site.noticed("Mode")) == 1

    at_rig(first, version, storage=storage)
    at_rig(second, version, storage=storage)


@versions
def test_n08_fr_03_periodic_events_wait_for_the_link(version: OcppVersion) -> None:
    """N08.FR.03: those that are severe enough; of the others there are none from offline."""

    async def scenario(site: ModelSite) -> None:
        assert await site.put("MonitoringCtrlr", "OfflineQueuingSeverity", "4") == "Accepted"
        await site.watch("Level", "Periodic", 50, severity=4)
        await site.watch("Mode", "Periodic", 50, severity=5)
        await site.settle(10)
        site.cut(until_s=100)
        gone = site.clock.now()
        await site.settle(100)
        back = site.clock.now()
        assert site.noticed() == []
        await site.settle(200)
        assert site.record.connected

        def offline(which: str) -> list[str]:
            return [
                event["trigger"]
                for event in site.noticed(which)
                if gone < datetime.fromisoformat(event["timestamp"]) < back
            ]

        assert offline("Level") == ["Periodic", "Periodic"]
        assert offline("Mode") == []
        assert site.noticed("Mode"), "it goes on"

    at_rig(scenario, version)


# --- a CSMS that does not answer, or refuses ----------------------------------------------


@versions
@pytest.mark.parametrize("severity", [3, 8])
def test_n07_fr_04_an_event_on_its_way_when_the_link_breaks_is_sent_again(
    version: OcppVersion, severity: int
) -> None:
    async def scenario(site: ModelSite) -> None:
        assert site.link is not None
        await site.watch("Mode", "Delta", 1, severity=severity)
        site.link.right.faults.black_hole = True
        await write(site, "Mode", "two")
        site.cut()
        await site.settle(60)
        events = site.noticed("Mode")
        assert len(events) >= 2
        assert {(one["eventId"], one["timestamp"]) for one in events} == {
            (events[0]["eventId"], events[0]["timestamp"])
        }, "when it happened, not when it is told"

    at_rig(scenario, version)


@versions
def test_a_refused_event_does_not_stop_the_next_one(version: OcppVersion) -> None:
    """A CALLERROR for one NotifyEvent; severe ones are tried again, as transaction messages are."""

    async def scenario(site: ModelSite) -> None:
        def refuse(_station: Any, _request: Any) -> Any:
            raise RequestRefused(ErrorCode.INTERNAL_ERROR, "not now")

        await site.put("MonitoringCtrlr", "OfflineQueuingSeverity", "4")
        await site.watch("Mode", "Delta", 1, severity=8)
        await site.watch("On", "Delta", 1, severity=3)
        site.csms.on("NotifyEvent", refuse)
        await write(site, "Mode", "two")
        await write(site, "On", True)
        m: Any = version.module
        site.csms.on("NotifyEvent", lambda _station, _request: m.NotifyEventResponse())
        await write(site, "Mode", "three")
        await site.settle(300)
        assert [value for _, value, _ in told(site, "Mode")] == ["two", "three"]
        assert {value for _, value, _ in told(site, "On")} == {"true"}
        assert len(site.noticed("On")) > 1, "tried again"

    at_rig(scenario, version)


@versions
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_b02_fr_02_b03_fr_02_no_event_before_the_station_is_accepted(
    version: OcppVersion, status: str
) -> None:
    def answer(_station: Any, _request: Any) -> Any:
        m: Any = version.module
        now = datetime(2026, 1, 1, tzinfo=UTC)
        return m.BootNotificationResponse(current_time=now, interval=600, status=status)

    async def scenario(site: ModelSite) -> None:
        await write(site, "Fixed", 51)
        await write(site, "Alarm", True)
        site.station.charge_point.raise_event("Rig", "Mode", "one", severity=0)
        await site.settle(30)
        assert site.calls() == ["BootNotification"]

    at_rig(scenario, version, handlers={"BootNotification": answer})


@versions
def test_events_that_nobody_hears_of_do_not_pile_up(version: OcppVersion) -> None:
    """House rule 7: a flood while the link is down is bounded, and the last state is told."""

    async def scenario(site: ModelSite) -> None:
        await site.put("MonitoringCtrlr", "OfflineQueuingSeverity", "9")
        await site.watch("Count", "Delta", 0, severity=9)
        site.cut(until_s=20)
        await site.settle(1)
        count = site.own("Count")
        for value in range(80_000):
            count.set(value % 90)
            if value % 500 == 0:
                await site.clock.sleep(0.001)
        await site.settle(300)
        assert len(site.noticed("Count")) < 70_000
        assert told(site, "Count")[-1] == ("Delta", str(79_999 % 90), False)

    at_rig(scenario, version)


@versions
def test_messages_of_events_stay_within_max_message_size(version: OcppVersion) -> None:
    """InternalCtrlr.MaxMessageSize, unless a single event is longer."""

    async def scenario(site: ModelSite) -> None:
        site.own("MaxMessageSize", where="InternalCtrlr").set(20_000)
        for character in ("a", "ü", "\U0001f600", "\x01", '"'):
            for _ in range(6):
                site.station.charge_point.raise_event("Rig", "Note", character * 2_500)
            await site.settle(5)
        events = [request["eventData"] for request in site.sent("NotifyEvent")]
        assert sum(map(len, events)) >= 30
        for frame, data in zip(site.lengths["NotifyEvent"], events, strict=True):
            assert frame <= 20_000 or len(data) == 1, (frame, len(data))

    at_rig(scenario, version)
