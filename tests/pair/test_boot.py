"""Registration: B01, B02, B03, and what may pass before the station is accepted."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from ocpp_fast.connection import Connection
from ocpp_fast.errors import CallErrorReceived, ConfigurationError
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.station_kit import QUIET, TOKEN, VERSIONS, Site, at_site

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
def test_a_boot_that_nobody_answers_is_repeated_after_a_while(version: OcppVersion) -> None:
    """B01, error handling 2; the reason stays that of the start (B01.FR.09)."""

    async def scenario(site: Site) -> None:
        assert site.link is not None
        site.link.to_left.drop_rate = 1.0
        await site.clock.sleep(500)
        pauses = [b - a for a, b in pairwise(site.times("BootNotification"))]
        assert all(30 + 60 <= pause <= 30 + 90.1 for pause in pauses[1:]), "after the time-out"
        assert len(pauses) >= 4
        assert {boot["reason"] for boot in site.sent("BootNotification")} == {"PowerUp"}
        assert set(site.calls()) == {"BootNotification"}
        site.link.to_left.drop_rate = 0.0
        await site.station.charge_point.wait_accepted(200)

    at_site(scenario, version, boot=[("Pending", 1), ("Accepted", 0)])


@versions
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_b02_fr_04_b03_fr_02_the_interval_also_holds_over_a_new_connection(
    version: OcppVersion, status: str
) -> None:
    async def scenario(site: Site) -> None:
        site.cut()
        await site.clock.sleep(50)
        first, second = site.times("BootNotification")
        assert site.dials == 2
        assert second - first >= 45
        assert site.calls()[:2] == ["BootNotification"] * 2

    at_site(scenario, version, boot=[(status, 45), ("Accepted", 0)])


@versions
def test_b02_fr_08_a_pending_station_may_become_rejected_and_accepted(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.clock.sleep(60)
        pauses = [b - a for a, b in pairwise(site.times("BootNotification"))]
        assert pauses == pytest.approx([10, 20, 15], abs=0.1)
        assert site.station.charge_point.registration == "Accepted"

    boot = [("Pending", 10), ("Rejected", 20), ("Pending", 15), ("Accepted", 0)]
    at_site(scenario, version, boot=boot)


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


# --- what outlives a restart --------------------------------------------------------------------


class Disk(MemoryStorage):
    """Durable as far as anybody can see: it is still there for the next run."""

    durable = True


Runs = Callable[..., Awaitable[Site]]


def over_restarts(scenario: Callable[[VirtualClock, Runs], Awaitable[None]]) -> None:
    """Runs a scenario that starts the same station several times: `await next_run(version)` stops
    the run before, and gives the next one."""

    async def run(clock: VirtualClock) -> None:
        disk = Disk()
        runs: list[Site] = []

        async def next_run(version: OcppVersion, reason: str = "PowerUp", **options: Any) -> Site:
            await stop()
            options.setdefault("evses", 3)
            site = Site(clock, version, storage=disk, ids=Ids(seed=len(runs) + 1), **options)
            runs.append(site)
            await site.station.start(reason)
            await clock.sleep(5)
            return site

        async def stop() -> None:
            if runs:
                await runs[-1].station.stop()
                await runs[-1].csms.stop()

        await scenario(clock, next_run)
        await stop()

    run_virtual(run)


@versions
@pytest.mark.parametrize(
    ("evse_id", "connector_id", "gone"),
    [(None, None, {1, 2, 3}), (2, None, {2}), (3, 1, {3})],
    ids=["station", "EVSE", "connector"],
)
def test_b01_fr_07_b11_fr_02_b12_fr_06_what_the_csms_made_unavailable_stays_so(
    version: OcppVersion, evse_id: int | None, connector_id: int | None, gone: set[int]
) -> None:
    """G01.FR.02, G03.FR.08, G04.FR.09; TC_B_23."""

    def expected(site: Site) -> None:
        states = {evse: "Unavailable" if evse in gone else "Available" for evse in (1, 2, 3)}
        assert {evse: state for (evse, _), state in site.record.connectors.items()} == states
        cache = site.station.charge_point.device_model.cache
        for evse in (1, 2, 3):
            number = cache.find("Connector", None, evse, 1, "AvailabilityState", None)
            assert cache.value(number) == states[evse]

    async def scenario(clock: VirtualClock, next_run: Runs) -> None:
        site = await next_run(version)
        availability = site.station.charge_point._parts.availability
        assert availability.is_operative(evse_id, connector_id)
        await availability.command(evse_id, connector_id, operative=False)
        await clock.sleep(1)
        expected(site)
        for reason in ("RemoteReset", "PowerUp"):
            site = await next_run(version, reason)
            expected(site)
        availability = site.station.charge_point._parts.availability
        assert not availability.is_operative(evse_id, connector_id)
        await availability.command(evse_id, connector_id, operative=True)
        await clock.sleep(1)
        gone.clear()
        expected(site)
        expected(await next_run(version))

    gone = set(gone)
    over_restarts(scenario)


@versions
def test_b01_fr_13_b11_fr_05_what_is_reserved_stays_so(version: OcppVersion) -> None:
    """TC_B_24. What the hardware side says of itself it says again."""

    async def scenario(clock: VirtualClock, next_run: Runs) -> None:
        site = await next_run(version)
        point = site.station.charge_point
        point.on_reserved(2, 1)
        point.on_unavailable(3, 1)
        await clock.sleep(1)
        assert site.record.connectors[2, 1] == "Reserved"
        site = await next_run(version, "RemoteReset")
        states = {(1, 1): "Available", (2, 1): "Reserved", (3, 1): "Available"}
        assert site.record.connectors == states
        site.station.charge_point.on_reservation_cleared(2, 1)
        await clock.sleep(1)
        site = await next_run(version)
        assert set(site.record.connectors.values()) == {"Available"}

    over_restarts(scenario)


def test_a_smaller_station_passes_over_what_it_does_not_have(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(_clock: VirtualClock, next_run: Runs) -> None:
        site = await next_run(OcppVersion.V21)
        site.station.charge_point.on_reserved(3, 1)
        site.station.charge_point.on_reserved(1, 1)
        site = await next_run(OcppVersion.V21, evses=2)
        assert site.record.connectors == {(1, 1): "Reserved", (2, 1): "Available"}
        assert "availability.reserved.3.1" in caplog.text

    over_restarts(scenario)


@versions
def test_g03_fr_07_each_keeps_its_own_availability(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        availability = site.station.charge_point._parts.availability
        steps: list[tuple[int | None, int | None, bool, str]] = [
            (1, 1, False, "Unavailable"),
            (1, None, False, "Unavailable"),
            (None, None, False, "Unavailable"),
            (None, None, True, "Unavailable"),
            (1, None, True, "Unavailable"),
            (1, 1, True, "Available"),
        ]
        for evse_id, connector_id, operative, state in steps:
            await availability.command(evse_id, connector_id, operative=operative)
            await site.clock.sleep(1)
            assert site.record.connectors[1, 1] == state
            assert availability.usable(1) is (state == "Available")
        with pytest.raises(ConfigurationError):
            await availability.command(7, None, operative=False)

    at_site(scenario, version)


@versions
def test_b12_fr_01_a_restart_is_the_reset_that_was_scheduled(version: OcppVersion) -> None:
    async def scenario(clock: VirtualClock, next_run: Runs) -> None:
        resets: list[str] = []

        async def allowed(_evse_id: int | None, _kind: str) -> bool:
            return True

        async def reset(_evse_id: int | None, kind: str) -> None:
            resets.append(kind)

        def adapt(callbacks: Any) -> Any:
            return replace(callbacks, is_reset_allowed_callback=allowed, reset_callback=reset)

        options: dict[str, Any] = {
            "adapt": adapt,
            "variables": replace(QUIET, auth_enabled=False),
            "config": {"on_restart": "resume"},
        }
        site = await next_run(version, **options)
        await site.station.plug_in(1)
        await clock.sleep(5)
        m: Any = version.module
        response: Any = await site.csms.call("CS001", m.ResetRequest(type="OnIdle"))
        assert response.status == "Scheduled"
        site = await next_run(version, **options)
        await site.station.unplug(1)
        await clock.sleep(100)
        assert resets == []
        response = await site.csms.call("CS001", m.ResetRequest(type="OnIdle"))
        assert response.status == "Accepted"
        await clock.sleep(100)
        assert resets == ["OnIdle"]

    over_restarts(scenario)


# --- B04 with QueueAllMessages ------------------------------------------------------------------


def told(site: Site) -> list[tuple[str, str]]:
    """(state, timestamp) of EVSE 1 as the CSMS was told."""
    statuses = [
        (each["connectorStatus"], each["timestamp"])
        for each in site.sent("StatusNotification")
        if each["evseId"] == 1
    ]
    events = [event for notice in site.sent("NotifyEvent") for event in notice["eventData"]]
    return statuses + [
        (each["actualValue"], each["timestamp"])
        for each in events
        if each["component"]["evse"]["id"] == 1
    ]


@versions
def test_b04_fr_02_with_queue_all_messages_states_are_queued(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        assert [state for state, _ in told(site)] == ["Available"]
        site.cut(until_s=100)
        await site.clock.sleep(1)
        for _ in range(3):
            await site.station.plug_in(1)
            await site.clock.sleep(5)
            await site.station.unplug(1)
            await site.clock.sleep(5)
        await site.clock.sleep(200)
        states = told(site)[1:]
        assert [state for state, _ in states] == ["Occupied", "Available"] * 3
        stamps = [stamp for _, stamp in states]
        assert stamps == sorted(set(stamps))
        assert site.record.connectors[1, 1] == "Available"
        await site.station.plug_in(1)
        await site.clock.sleep(1)
        assert site.record.connectors[1, 1] == "Occupied"

    variables = {"queue_all_messages": True, "offline_threshold_s": 600}
    at_site(scenario, version, variables=variables)


@versions
def test_b04_fr_01_and_after_a_long_time_all_are_told_as_well(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        site.cut(until_s=100)
        await site.clock.sleep(1)
        await site.station.plug_in(1)
        await site.clock.sleep(300)
        assert [state for state, _ in told(site)] == ["Available", "Occupied", "Occupied"]
        assert site.record.connectors == {(1, 1): "Occupied", (2, 1): "Available"}

    variables = {"queue_all_messages": True, "offline_threshold_s": 60}
    at_site(scenario, version, variables=variables)


@versions
def test_queued_states_outlive_a_restart(version: OcppVersion) -> None:
    async def scenario(clock: VirtualClock, next_run: Runs) -> None:
        options = {"variables": replace(QUIET, queue_all_messages=True)}
        site = await next_run(version, **options)
        site.cut(until_s=10_000)
        await clock.sleep(1)
        site.station.charge_point.on_faulted(1, 1)
        await clock.sleep(1)
        site = await next_run(version, **options)
        assert [state for state, _ in told(site)] == ["Faulted", "Available"]
        assert site.record.connectors[1, 1] == "Available"

    over_restarts(scenario)


@versions
def test_before_the_first_boot_only_changes_are_queued(version: OcppVersion) -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock, version, variables=replace(QUIET, queue_all_messages=True))
        site.reachable = False
        async with site:
            site.station.charge_point.on_faulted(1, 1)
            await clock.sleep(5)
            assert site.station.charge_point.delivery.waiting == 1
            site.reachable = True
            await site.station.charge_point.wait_accepted(100)
            await clock.sleep(1)
            assert [state for state, _ in told(site)] == ["Faulted", "Faulted"]
            assert site.record.connectors == {(1, 1): "Faulted", (2, 1): "Available"}

    run_virtual(run)
