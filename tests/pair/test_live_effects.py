"""What the CSMS sets has its effect on the running station, at once and without polling.

Heartbeat and meter values have theirs in their own tests (test_availability, test_meter_values,
test_transactions); B05 itself is in test_variables.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from device_model.models import set_request
from ocpp_fast.errors import CallTimedOut
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from ocpp_fast.transport.memory import MemoryTransport
from pair.station_kit import TOKEN, VERSIONS, Site, at_site

versions = pytest.mark.parametrize("version", VERSIONS)

COMM = "OCPPCommCtrlr"


async def put(site: Site, component: str, variable: Any, value: str) -> str:
    """The CSMS sets a variable; the status."""
    request = set_request(site.version, (component, variable, None, value))
    response: Any = await site.csms.call("CS001", request)
    return str(response.set_variable_result[0].attribute_status)


async def must_put(site: Site, component: str, variable: Any, value: str) -> None:
    assert await put(site, component, variable, value) == "Accepted"


def model(site: Site) -> Any:
    return site.station.charge_point.device_model


def instance(name: str, of: str) -> dict[str, str]:
    return {"name": name, "instance": of}


# --- the link -------------------------------------------------------------------------------


@versions
def test_web_socket_ping_interval(version: OcppVersion) -> None:
    """Part 4, WebSocketPingInterval: on the open link, and on the next one."""

    async def scenario(site: Site) -> None:
        def interval() -> float:
            assert site.link is not None
            assert isinstance(site.link.left, MemoryTransport)
            return site.link.left.ping_interval_s

        assert interval() == 30
        await must_put(site, COMM, "WebSocketPingInterval", "7")
        assert interval() == 7
        site.cut()
        await site.clock.sleep(10)
        assert interval() == 7
        await must_put(site, COMM, "WebSocketPingInterval", "0")
        assert interval() == 0
        assert await put(site, COMM, "WebSocketPingInterval", "-1") == "Rejected"

    at_site(scenario, version)


def test_message_timeout() -> None:
    """OCPPCommCtrlr.MessageTimeout is ReadOnly for the CSMS; the station may change it."""

    async def scenario(site: Site) -> None:
        assert site.link is not None
        assert await put(site, COMM, instance("MessageTimeout", "Default"), "5") == "Rejected"
        model(site).write(message_timeout_s=5)
        site.link.freeze()
        begun = site.clock.monotonic()
        with pytest.raises(CallTimedOut):
            await site.station.charge_point.data_transfer_req("com.example")
        assert site.clock.monotonic() - begun == pytest.approx(5, abs=0.1)

    at_site(scenario)


def test_message_attempts() -> None:
    """MessageAttempts and MessageAttemptInterval, of messages that are being tried (E13)."""

    async def scenario(site: Site) -> None:
        refuse = asyncio.Event()

        def answer(_station: Any, _request: Any) -> Any:
            refuse.set()
            raise RuntimeError("the CSMS cannot take it")

        site.csms.on("TransactionEvent", answer)
        await must_put(site, COMM, instance("MessageAttemptInterval", "TransactionEvent"), "10")
        await site.station.plug_in(1)
        await site.station.swipe(TOKEN, 1)
        await refuse.wait()
        await must_put(site, COMM, instance("MessageAttempts", "TransactionEvent"), "2")
        await site.clock.sleep(9)
        assert site.station.charge_point.delivery.dead == 0
        await site.clock.sleep(5)
        assert site.station.charge_point.delivery.dead == 1

    at_site(scenario)


def test_back_off() -> None:
    async def scenario(site: Site) -> None:
        await must_put(site, COMM, "RetryBackOffWaitMinimum", "20")
        await must_put(site, COMM, "RetryBackOffRepeatTimes", "0")
        dials = site.dials
        site.cut(until_s=1_000)
        await site.clock.sleep(99)
        assert site.dials - dials == 4  # 20, 40, 60, 80 s

    at_site(scenario)


def test_offline_threshold() -> None:
    """B04.FR.01, B04.FR.02."""

    async def scenario(site: Site) -> None:
        await must_put(site, COMM, "OfflineThreshold", "5")
        before = len(site.sent("StatusNotification"))
        site.cut(until_s=20)
        await site.clock.sleep(60)
        assert len(site.sent("StatusNotification")) == before + 2
        await must_put(site, COMM, "OfflineThreshold", "500")
        site.cut(until_s=20)
        await site.clock.sleep(60)
        assert len(site.sent("StatusNotification")) == before + 2

    at_site(scenario, OcppVersion.V201)


# --- charging -------------------------------------------------------------------------------


@versions
def test_tx_start_and_stop_point(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await must_put(site, "TxCtrlr", "TxStartPoint", "EVConnected")
        await site.station.plug_in(1)
        assert site.station.evse(1).transaction_id is not None
        await must_put(site, "TxCtrlr", "TxStopPoint", "Authorized")
        await site.station.swipe(TOKEN, 1)
        await site.clock.sleep(5)
        await site.station.swipe(TOKEN, 1)
        assert site.station.evse(1).transaction_id is None
        assert await put(site, "TxCtrlr", "TxStartPoint", "DataSigned") == "Rejected"
        assert await put(site, "TxCtrlr", "TxStopPoint", "DataSigned") == "Rejected"

    at_site(scenario, version)


def test_ev_connection_timeout() -> None:
    async def scenario(site: Site) -> None:
        await must_put(site, "TxCtrlr", "EVConnectionTimeOut", "15")
        await site.station.swipe(TOKEN, 1)
        assert str(site.station.evse(1).state) == "authorized"
        await site.clock.sleep(14)
        assert str(site.station.evse(1).state) == "authorized"
        await site.clock.sleep(2)
        assert str(site.station.evse(1).state) == "available"

    at_site(scenario)


def test_time_source() -> None:
    """B01.FR.06, G02.FR.06."""
    synced: list[Any] = []

    async def sync(time: Any) -> None:
        synced.append(time)

    async def scenario(site: Site) -> None:
        await must_put(site, COMM, "HeartbeatInterval", "10")
        await site.clock.sleep(15)
        assert synced
        await must_put(site, "ClockCtrlr", "TimeSource", "NTP,RealTimeClock")
        await site.clock.sleep(1)
        synced.clear()
        await site.clock.sleep(50)
        assert not synced
        assert len(site.sent("Heartbeat")) > 3

    at_site(scenario, adapt=lambda callbacks: replace(callbacks, time_sync_callback=sync))


@versions
def test_a_disabled_component_sends_no_readings(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await must_put(site, "SampledDataCtrlr", "TxUpdatedInterval", "10")
        await site.charge_without_end(1)

        def readings() -> int:
            return sum("meterValue" in event for event in site.sent("TransactionEvent"))

        await site.clock.sleep(30)
        before = readings()
        assert before >= 3
        await must_put(site, "SampledDataCtrlr", "Enabled", "false")
        await site.clock.sleep(60)
        assert readings() == before
        await must_put(site, "SampledDataCtrlr", "Enabled", "true")
        await site.clock.sleep(30)
        assert readings() > before

    at_site(scenario, version)


# --- what the station knows -----------------------------------------------------------------


def test_states_and_power_are_in_the_device_model() -> None:
    async def scenario(site: Site) -> None:
        def state(component: str, **place: int) -> str:
            return model(site).variable(component, "AvailabilityState", **place).get()

        power = model(site).variable("EVSE", "Power", evse_id=1)
        assert state("Connector", evse_id=1, connector_id=1) == "Available"
        await site.charge_without_end(1)
        assert state("Connector", evse_id=1, connector_id=1) == "Occupied"
        assert state("EVSE", evse_id=1) == "Occupied"
        assert (state("EVSE", evse_id=2), state("ChargingStation")) == ("Available", "Available")
        assert power.get() > 1_000.0
        site.station.charge_point.on_faulted(2, 1)
        assert state("EVSE", evse_id=2) == "Faulted"
        assert model(site).variable("ChargingStation", "Problem").get() is True
        await site.station.unplug(1)
        await site.clock.sleep(2)
        assert power.get() == 0.0
        assert model(site).variable(COMM, "ActiveNetworkProfile").text() == "1"

    at_site(scenario)


# --- over restarts ----------------------------------------------------------------------------


def test_what_was_set_holds_from_the_first_moment_of_the_next_start() -> None:
    async def run(clock: VirtualClock) -> None:
        storage = MemoryStorage()
        async with Site(clock, storage=storage) as site:
            await must_put(site, COMM, "RetryBackOffWaitMinimum", "33")
            model(site).write(offline_threshold_s=44)  # stored some time later, at the latest now
        async with Site(clock, storage=storage) as site:
            variables = model(site).variables
            assert variables.retry_back_off_wait_minimum_s == 33
            assert variables.offline_threshold_s == 44
            assert variables.tx_updated_interval_s == 0  # as configured, which nobody has changed

    run_virtual(run)


@versions
def test_a_database_that_was_set_aside_is_told(
    version: OcppVersion, caplog: pytest.LogCaptureFixture
) -> None:
    """A04.FR.01: a security event, as soon as the CSMS has accepted the station.
    tests/interop/test_damaged_database.py has a real file."""

    async def run(clock: VirtualClock) -> None:
        storage = MemoryStorage()
        storage.set_aside = "station.db.corrupt-1"
        async with Site(clock, version, storage=storage) as site:
            await clock.sleep(2)
            (event,) = site.sent("SecurityEventNotification")
            assert event["type"] == "DatabaseCorrupted"
            assert event["techInfo"] == "kept as station.db.corrupt-1"
            calls = site.calls()
            assert calls.index("BootNotification") < calls.index("SecurityEventNotification")
            assert not site.station.charge_point.delivery.waiting
        storage.set_aside = None
        async with Site(clock, version, storage=storage) as site:
            await clock.sleep(2)
            assert not site.sent("SecurityEventNotification")

    run_virtual(run)
    assert "kept as station.db.corrupt-1" in caplog.text


def test_a_security_event_waits_for_the_link() -> None:
    """A04.FR.02."""

    async def run(clock: VirtualClock) -> None:
        storage = MemoryStorage()
        storage.set_aside = "somewhere"
        site = Site(clock, storage=storage)
        site.reachable = False
        async with site:
            await clock.sleep(60)
            assert not site.sent("SecurityEventNotification")
            assert len(await storage.outbox_load()) == 1
            site.reachable = True
            await clock.sleep(200)
            assert len(site.sent("SecurityEventNotification")) == 1
            assert not await storage.outbox_load()

    run_virtual(run)
