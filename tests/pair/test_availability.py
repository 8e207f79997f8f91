"""Connector states and heartbeats: G01, G02, B04, and the links between them."""

from itertools import pairwise
from typing import Any

import pytest

from ocpp_fast.errors import ConfigurationError, ErrorCode, RequestRefused
from ocpp_fast.messages import OcppVersion
from pair.station_kit import VERSIONS, Site, at_site

versions = pytest.mark.parametrize("version", VERSIONS)


def reports(site: Site) -> list[tuple[int, str]]:
    """(EVSE, state) of each reported connector, whichever message told it."""
    statuses = site.sent("StatusNotification")
    events = [event for notice in site.sent("NotifyEvent") for event in notice["eventData"]]
    return [
        *((status["evseId"], status["connectorStatus"]) for status in statuses),
        *((event["component"]["evse"]["id"], event["actualValue"]) for event in events),
    ]


@versions
def test_g01_fr_03_04_a_cable_comes_and_goes(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        assert reports(site) == [(1, "Available"), (2, "Available")]
        await site.station.plug_in(2)
        await site.clock.sleep(1)
        await site.station.unplug(2)
        await site.clock.sleep(1)
        assert reports(site)[2:] == [(2, "Occupied"), (2, "Available")]
        assert site.record.connectors[2, 1] == "Available"

    at_site(scenario, version)


@versions
def test_a_state_carries_the_time_at_which_it_began(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        site.cut(until_s=20)
        await site.clock.sleep(1)
        began = site.clock.now()
        await site.station.plug_in(1)
        await site.clock.sleep(40)
        if version is OcppVersion.V201:
            stamp = site.sent("StatusNotification")[-1]["timestamp"]
        else:
            stamp = site.sent("NotifyEvent")[-1]["eventData"][-1]["timestamp"]
        assert stamp == began.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    at_site(scenario, version)


@versions
def test_what_the_hardware_side_reports_becomes_one_state(version: OcppVersion) -> None:
    """Faulted before Unavailable before Reserved before Occupied (G01.FR.01)."""

    async def scenario(site: Site) -> None:
        point = site.station.charge_point
        steps: list[tuple[Any, str]] = [
            (point.on_reserved, "Reserved"),
            (point.on_session_started, "Reserved"),
            (point.on_reservation_cleared, "Occupied"),
            (point.on_unavailable, "Unavailable"),
            (point.on_faulted, "Faulted"),
            (point.on_session_finished, "Faulted"),
            (point.on_fault_cleared, "Unavailable"),
            (point.on_enabled, "Available"),
        ]
        for report, state in steps:
            report(1, 1)
            await site.clock.sleep(1)
            assert site.record.connectors[1, 1] == state
        assert [state for evse, state in reports(site) if evse == 1] == [
            "Available", "Reserved", "Occupied", "Unavailable", "Faulted", "Unavailable",
            "Available",
        ]  # fmt: skip
        with pytest.raises(ConfigurationError, match="no connector 2 at EVSE 1"):
            point.on_faulted(1, 2)

    at_site(scenario, version)


@versions
def test_b04_fr_02_after_a_short_time_offline_only_what_has_changed(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        site.cut(until_s=20)
        await site.clock.sleep(1)
        await site.station.plug_in(1)
        await site.station.plug_in(2)
        await site.station.unplug(2)
        await site.clock.sleep(40)
        assert reports(site)[2:] == [(1, "Occupied")]

    at_site(scenario, version, variables={"offline_threshold_s": 60})


@versions
def test_b04_fr_01_after_a_long_time_offline_all_connectors(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        site.cut(until_s=90)
        await site.clock.sleep(200)
        assert reports(site)[2:] == [(1, "Available"), (2, "Available")]

    at_site(scenario, version, variables={"offline_threshold_s": 60})


@versions
def test_a_report_that_was_cut_off_is_made_again(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        assert site.link is not None
        site.link.to_left.drop_rate = 1.0
        await site.station.plug_in(1)
        await site.clock.sleep(5)
        site.cut()
        await site.clock.sleep(5)
        assert reports(site)[2:] == [(1, "Occupied"), (1, "Occupied")]

    at_site(scenario, version)


def test_a_flapping_connector_floods_nobody() -> None:
    async def scenario(site: Site) -> None:
        assert site.link is not None
        site.link.to_left.delay_s = 1.0
        point = site.station.charge_point
        for _ in range(10_000):
            point.on_faulted(1, 1)
            await site.clock.sleep(0.0005)
            point.on_fault_cleared(1, 1)
            await site.clock.sleep(0.0005)
        await site.clock.sleep(5)
        assert len(site.sent("NotifyEvent")) <= 15
        assert site.record.connectors[1, 1] == "Available"

    at_site(scenario)


def test_many_connectors_share_messages_in_2_1() -> None:
    async def scenario(site: Site) -> None:
        assert len(site.record.connectors) == 50
        assert [len(n["eventData"]) for n in site.sent("NotifyEvent")] == [20, 20, 10]

    at_site(scenario, evses=50)


# --- heartbeat ----------------------------------------------------------------------------------


@versions
def test_g02_fr_02_a_heartbeat_at_each_interval(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.clock.sleep(3_600)
        beats = site.times("Heartbeat")
        assert len(beats) == 12
        assert all(b - a == pytest.approx(300, abs=0.1) for a, b in pairwise(beats))

    at_site(scenario, version, heartbeat_interval_s=300)


@versions
def test_g02_fr_05_other_messages_put_it_off(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        for _ in range(20):
            await site.clock.sleep(200)
            await site.station.charge_point.data_transfer_req("org.example")
        assert site.sent("Heartbeat") == []

    at_site(scenario, version, heartbeat_interval_s=300)


def test_g02_fr_05_so_do_transaction_events() -> None:
    async def scenario(site: Site) -> None:
        await site.charge(3_600)
        assert site.sent("Heartbeat") == []

    at_site(scenario, heartbeat_interval_s=300, variables={"tx_updated_interval_s": 60})


def test_g02_fr_07_but_not_for_longer_than_a_day() -> None:
    async def scenario(site: Site) -> None:
        for _ in range(24 * 30 + 5):
            await site.clock.sleep(120)
            await site.station.charge_point.data_transfer_req("org.example")
        assert len(site.sent("Heartbeat")) == 1

    at_site(scenario, heartbeat_interval_s=300)


def test_a_changed_interval_counts_at_once() -> None:
    async def scenario(site: Site) -> None:
        await site.clock.sleep(100)
        site.station.charge_point.device_model.write(heartbeat_interval_s=20.0)
        await site.clock.sleep(41)
        assert len(site.sent("Heartbeat")) == 3

    at_site(scenario, heartbeat_interval_s=300)


def test_no_heartbeat_while_offline_and_again_afterwards() -> None:
    async def scenario(site: Site) -> None:
        site.cut(until_s=1_000)
        await site.clock.sleep(1_200)
        site.frames.clear()
        await site.clock.sleep(300)
        assert len(site.sent("Heartbeat")) == 3

    at_site(scenario, heartbeat_interval_s=100)


def test_an_unanswered_heartbeat_is_not_repeated_before_its_time() -> None:
    async def scenario(site: Site) -> None:
        assert site.link is not None
        site.link.to_left.drop_rate = 1.0
        await site.clock.sleep(700)
        beats = site.times("Heartbeat")
        assert 4 <= len(beats) <= 7

    at_site(scenario, heartbeat_interval_s=100)


# --- the link -----------------------------------------------------------------------------------


def test_reconnecting_takes_longer_each_time_up_to_a_bound() -> None:
    """Part 4, section 5.4."""

    async def scenario(site: Site) -> None:
        site.cut(until_s=100_000)
        before = site.dials
        for seconds, dials in ((1.5, 1), (2, 2), (4, 3), (8, 4), (8, 5), (8, 6)):
            await site.clock.sleep(seconds)
            assert site.dials - before == dials

    at_site(
        scenario,
        variables={
            "retry_back_off_wait_minimum_s": 1,
            "retry_back_off_random_range_s": 0,
            "retry_back_off_repeat_times": 3,
        },
    )


def test_a_success_makes_the_pauses_short_again() -> None:
    async def scenario(site: Site) -> None:
        site.cut(until_s=60)
        await site.clock.sleep(120)
        assert site.station.charge_point.connected
        site.cut()
        await site.clock.sleep(1.5)
        assert site.station.charge_point.connected

    at_site(scenario)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1008, 1009, 1011, 1012, 1013])
def test_no_close_code_of_the_csms_keeps_the_station_away(code: int) -> None:
    async def scenario(site: Site) -> None:
        assert site.link is not None
        site.link.right.close(code, "go away")
        await site.clock.sleep(5)
        assert site.station.charge_point.connected
        assert site.dials == 2

    at_site(scenario)


def test_a_heartbeat_that_was_off_can_be_switched_on() -> None:
    async def scenario(site: Site) -> None:
        await site.clock.sleep(1_000)
        assert site.sent("Heartbeat") == []
        site.station.charge_point.device_model.write(heartbeat_interval_s=100.0)
        await site.clock.sleep(250)
        assert len(site.sent("Heartbeat")) == 3

    at_site(scenario)


@pytest.mark.parametrize("code", [ErrorCode.NOT_SUPPORTED, ErrorCode.NOT_IMPLEMENTED])
def test_a_2_1_csms_without_notify_event_gets_status_notifications(code: ErrorCode) -> None:
    def refuse(_station: object, _request: object) -> Any:
        raise RequestRefused(code, "no such thing here")

    async def scenario(site: Site) -> None:
        assert len(site.sent("NotifyEvent")) == 1
        assert site.record.connectors == {(1, 1): "Available", (2, 1): "Available"}
        await site.station.plug_in(1)
        await site.clock.sleep(1)
        assert len(site.sent("NotifyEvent")) == 1
        assert site.record.connectors[1, 1] == "Occupied"

    at_site(scenario, handlers={"NotifyEvent": refuse})


def test_a_csms_that_fails_at_a_report_is_not_flooded() -> None:
    def fail(_station: object, _request: object) -> Any:
        raise ValueError("a bug of the CSMS")

    async def scenario(site: Site) -> None:
        await site.clock.sleep(100)
        assert len(site.sent("NotifyEvent")) == 1

    at_site(scenario, handlers={"NotifyEvent": fail})
