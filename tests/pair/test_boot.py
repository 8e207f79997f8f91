"""Registration: B01, B02, B03, and what may pass before the station is accepted."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from ocpp_fast.connection import Connection
from ocpp_fast.errors import CallErrorReceived
from ocpp_fast.messages import OcppVersion
from pair.station_kit import TOKEN, VERSIONS, Site, at_site

versions = pytest.mark.parametrize("version", VERSIONS)


@versions
def test_b01_fr_01_05_09_accepted_reports_itself_and_its_connectors(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        (boot,) = site.sent("BootNotification")
        assert boot["reason"] == "PowerUp"
        assert boot["chargingStation"]["vendorName"] == "ocpp_fast"
        assert site.record.connectors == {(1, 1): "Available", (2, 1): "Available"}
        action = "NotifyEvent" if version is OcppVersion.V21 else "StatusNotification"
        assert set(site.calls()) == {"BootNotification", action}

    at_site(scenario, version)


def test_b01_fr_05_of_2_1_tells_states_by_notify_event() -> None:
    async def scenario(site: Site) -> None:
        (report,) = site.sent("NotifyEvent")
        first = report["eventData"][0]
        assert first["component"] == {"name": "Connector", "evse": {"id": 1, "connectorId": 1}}
        assert first["variable"] == {"name": "AvailabilityState"}
        assert (first["trigger"], first["actualValue"]) == ("Delta", "Available")

    at_site(scenario)


@versions
def test_b01_fr_04_g02_fr_01_the_interval_becomes_the_heartbeat(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.clock.sleep(100)
        assert site.station.charge_point.device_model.variables.heartbeat_interval_s == 40
        assert len(site.sent("Heartbeat")) == 2

    at_site(scenario, version, boot=[("Accepted", 40)])


@versions
def test_an_interval_of_0_leaves_the_heartbeat_as_it_is(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        assert site.station.charge_point.device_model.variables.heartbeat_interval_s == 0

    at_site(scenario, version, boot=[("Accepted", 0)])


@versions
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_b02_fr_04_08_b03_fr_06_the_next_boot_waits_for_the_interval(
    version: OcppVersion, status: str
) -> None:
    async def scenario(site: Site) -> None:
        await site.clock.sleep(100)
        first, second, third = site.times("BootNotification")
        assert second - first == pytest.approx(30, abs=0.1)
        assert third - second == pytest.approx(45, abs=0.1)
        assert set(site.calls()[:3]) == {"BootNotification"}, "B02.FR.02, B03.FR.02"
        assert site.record.connectors, "reported once accepted"

    at_site(scenario, version, boot=[(status, 30), (status, 45), ("Accepted", 300)])


def test_whoever_waits_is_told_of_the_acceptance_when_it_comes() -> None:
    async def scenario(site: Site) -> None:
        point = site.station.charge_point
        start = site.clock.monotonic()
        with pytest.raises(TimeoutError):
            await point.wait_accepted(20)
        await point.wait_accepted(20)
        # The station was started half a second before the scenario.
        assert site.clock.monotonic() - start == pytest.approx(29.5, abs=0.1)
        await point.wait_accepted(0.001)

    at_site(scenario, boot=[("Pending", 30), ("Accepted", 300)])


@versions
def test_b02_fr_07_b03_fr_05_without_an_interval_the_station_chooses_one(
    version: OcppVersion,
) -> None:
    async def scenario(site: Site) -> None:
        await site.clock.sleep(500)
        times = site.times("BootNotification")
        pauses = [b - a for a, b in pairwise(times)]
        assert len(pauses) > 4
        assert all(60 <= pause <= 90.1 for pause in pauses)

    at_site(scenario, version, boot=[("Rejected", 0)])


@versions
def test_an_unanswered_or_refused_boot_is_repeated(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.clock.sleep(200)
        assert len(site.times("BootNotification")) >= 2
        assert site.station.charge_point.registration == "Accepted"

    answers = iter([ValueError("a bug of the CSMS")])

    def answer(_station: object, _request: object) -> Any:
        for error in answers:
            raise error
        m: Any = version.module
        now = datetime(2026, 1, 1, tzinfo=UTC)
        return m.BootNotificationResponse(current_time=now, interval=0, status="Accepted")

    at_site(scenario, version, handlers={"BootNotification": answer})


@versions
def test_b02_fr_04_the_interval_also_holds_over_a_new_connection(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        site.cut()
        await site.clock.sleep(50)
        first, second = site.times("BootNotification")
        assert site.dials == 2
        assert second - first >= 45

    at_site(scenario, version, boot=[("Pending", 45), ("Accepted", 0)])


def test_a_reconnected_station_does_not_boot_again() -> None:
    """Part 4, section 5.4."""

    async def scenario(site: Site) -> None:
        site.cut()
        await site.clock.sleep(10)
        assert site.dials == 2
        assert len(site.sent("BootNotification")) == 1
        assert site.station.charge_point.connected

    at_site(scenario)


@versions
def test_b02_fr_05_remote_start_and_stop_are_rejected_while_pending(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        m: Any = version.module
        token = m.IdTokenType(id_token=TOKEN, type="ISO14443")
        start = m.RequestStartTransactionRequest(id_token=token, remote_start_id=1, evse_id=1)
        stop = m.RequestStopTransactionRequest(transaction_id="x")
        for request in (start, stop):
            response: Any = await site.csms.call("CS001", request)
            assert response.status == "Rejected"

    at_site(scenario, version, boot=[("Pending", 300)])


@versions
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_b03_fr_08_other_requests_are_a_security_error(version: OcppVersion, status: str) -> None:
    async def scenario(site: Site) -> None:
        m: Any = version.module
        with pytest.raises(CallErrorReceived) as caught:
            await site.csms.call("CS001", m.ResetRequest(type="OnIdle"))
        assert caught.value.code == "SecurityError"

    at_site(scenario, version, boot=[(status, 300)])


@versions
def test_f06_fr_17_tc_b_02_a_boot_can_be_triggered_while_pending_only(
    version: OcppVersion,
) -> None:
    async def scenario(site: Site) -> None:
        m: Any = version.module
        trigger = m.TriggerMessageRequest(requested_message="BootNotification")
        response: Any = await site.csms.call("CS001", trigger)
        assert response.status == "Accepted"
        await site.clock.sleep(1)
        first, second = site.sent("BootNotification")
        assert (first["reason"], second["reason"]) == ("PowerUp", "Triggered")
        assert site.station.charge_point.registration == "Accepted"
        response = await site.csms.call("CS001", trigger)
        assert response.status == "Rejected"

    at_site(scenario, version, boot=[("Pending", 300), ("Accepted", 0)])


@versions
def test_b02_fr_02_what_the_csms_triggers_may_pass_while_pending(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        m: Any = version.module
        trigger = m.TriggerMessageRequest(requested_message="Heartbeat")
        response: Any = await site.csms.call("CS001", trigger)
        assert response.status == "Accepted"
        await site.clock.sleep(1)
        assert site.calls() == ["BootNotification", "Heartbeat"]

    at_site(scenario, version, boot=[("Pending", 300)])


@versions
def test_nobody_charges_before_the_station_was_accepted(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        outcome = await site.station.swipe(TOKEN, 1)
        assert (outcome.result, outcome.status) == ("refused", "NotAtThisTime")
        await site.clock.sleep(10)
        assert set(site.calls()) == {"BootNotification"}

    at_site(scenario, version, boot=[("Pending", 300)])


@versions
def test_b02_fr_03_unless_tx_before_accepted_is_enabled(version: OcppVersion) -> None:
    """The events wait until the station is accepted."""

    async def scenario(site: Site) -> None:
        await site.clock.sleep(1)
        await site.station.plug_in(1)
        outcome = await site.station.swipe(TOKEN, 1)
        assert outcome.result == "refused"
        await site.clock.sleep(1)
        assert "TransactionEvent" not in site.calls()
        site.station.charge_point.device_model.write(auth_enabled=False)
        await site.station.unplug(1)
        await site.station.plug_in(1)
        await site.clock.sleep(5)
        assert "TransactionEvent" not in site.calls(), "B01.FR.08"
        await site.clock.sleep(60)
        assert site.events()[0][:2] == ("Started", "Authorized")

    at_site(
        scenario,
        version,
        boot=[("Pending", 30), ("Accepted", 0)],
        variables={"tx_before_accepted_enabled": True},
    )


@versions
def test_a_request_right_behind_the_boot_answer_finds_the_station_accepted(
    version: OcppVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B01.FR.02: both may come in one piece, and are looked at in their order."""
    on_frame = Connection.on_frame

    def both(connection: Connection, frame: bytes) -> None:
        on_frame(connection, frame)
        if b'"interval"' in frame:
            request = b'[2,"t1","TriggerMessage",{"requestedMessage":"Heartbeat"}]'
            on_frame(connection, request)

    monkeypatch.setattr(Connection, "on_frame", both)

    async def scenario(site: Site) -> None:
        (_, answer) = [frame for _, _, frame in site.frames if frame[1] == "t1"]
        assert answer == [3, "t1", {"status": "Accepted"}]

    at_site(scenario, version)
