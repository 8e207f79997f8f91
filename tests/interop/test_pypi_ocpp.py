"""Against the PyPI package `ocpp` with `websockets`: our station and its CSMS, and crosswise."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
import websockets
from ocpp.routing import on  # pyright: ignore[reportMissingTypeStubs]

from ocpp_fast.config import EvseConfig, StationConfig, Variables
from ocpp_fast.csms import Csms
from ocpp_fast.errors import CallErrorReceived
from ocpp_fast.messages import OcppVersion
from ocpp_fast.simulator import SimulatedStation

LIMIT_S = 20.0
VERSIONS = pytest.mark.parametrize("version", OcppVersion)


def peer_modules(version: OcppVersion) -> tuple[Any, Any, Any]:
    """`ChargePoint`, `call` and `call_result` of the peer's package."""
    package = f"ocpp.{version.name.lower()}"
    found = importlib.import_module(package)
    return (
        found.ChargePoint,
        importlib.import_module(f"{package}.call"),
        importlib.import_module(f"{package}.call_result"),
    )


def now() -> str:
    return datetime.now(UTC).isoformat()


# --- its CSMS -----------------------------------------------------------------------------------


def their_csms(version: OcppVersion) -> type[Any]:
    """A CSMS for one station, made with the peer's package."""
    base, call, call_result = peer_modules(version)

    class TheirCsms(base):
        def __init__(self, identity: str, connection: Any) -> None:
            super().__init__(identity, connection)
            self.events: list[dict[str, Any]] = []
            self.states: list[str] = []
            self.call_module = call

        @on("BootNotification")
        def on_boot(self, **_: Any) -> Any:
            return call_result.BootNotification(current_time=now(), interval=300, status="Accepted")

        @on("StatusNotification")
        def on_status(self, connector_status: str, **_: Any) -> Any:
            self.states.append(connector_status)
            return call_result.StatusNotification()

        @on("NotifyEvent")
        def on_notify(self, event_data: list[dict[str, Any]], **_: Any) -> Any:
            self.states += [event["actual_value"] for event in event_data]
            return call_result.NotifyEvent()

        # Where nobody handles an action, their 2.1 keeps silent.
        @on("SecurityEventNotification")
        def on_security_event(self, **_: Any) -> Any:
            return call_result.SecurityEventNotification()

        @on("Authorize")
        def on_authorize(self, **_: Any) -> Any:
            return call_result.Authorize(id_token_info={"status": "Accepted"})

        @on("TransactionEvent")
        def on_event(self, **event: Any) -> Any:
            self.events.append(event)
            if "id_token" in event:
                return call_result.TransactionEvent(id_token_info={"status": "Accepted"})
            return call_result.TransactionEvent()

        @on("Heartbeat")
        def on_heartbeat(self) -> Any:
            return call_result.Heartbeat(current_time=now())

        @on("MeterValues")
        def on_meter_values(self, **_: Any) -> Any:
            return call_result.MeterValues()

        @on("DataTransfer")
        def on_data_transfer(self, data: Any, **_: Any) -> Any:
            return call_result.DataTransfer(status="Accepted", data=data)

    return TheirCsms


@asynccontextmanager
async def our_station_at_their_csms(
    version: OcppVersion,
) -> AsyncGenerator[tuple[SimulatedStation, Any]]:
    made = their_csms(version)
    arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def serve(connection: Any) -> None:
        csms = made("CS001", connection)
        arrived.set_result(csms)
        with suppress(websockets.ConnectionClosed):
            await csms.start()

    async with websockets.serve(
        serve,
        "127.0.0.1",
        0,
        subprotocols=[version.subprotocol],  # type: ignore[list-item]
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        config = StationConfig(
            identity="CS001",
            csms_url=f"ws://127.0.0.1:{port}/ocpp",
            evses=(EvseConfig(), EvseConfig()),
            variables=Variables(
                tx_updated_interval_s=1,
                tx_updated_measurands=(
                    "Energy.Active.Import.Register", "Power.Active.Import", "Current.Import",
                    "Voltage", "SoC",
                ),
            ),
        )  # fmt: skip
        async with SimulatedStation(config, speed=60, sample_interval_s=0.1) as station:
            csms = await asyncio.wait_for(arrived, LIMIT_S)
            await until(lambda: len(csms.states) >= 2)
            yield station, csms


async def until(condition: Any) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.02)


@VERSIONS
async def test_our_station_charges_at_their_csms(version: OcppVersion) -> None:
    async with our_station_at_their_csms(version) as (station, csms):
        assert station.charge_point.version is version
        assert csms.states == ["Available", "Available"]
        await station.plug_in(1)
        await station.swipe("04A1B2C3")
        await until(lambda: len(csms.events) >= 4)
        await station.swipe("04A1B2C3")
        await station.unplug(1)
        await until(lambda: csms.states[-1] == "Available" and len(csms.states) == 4)
        await station.charge_point.delivery.drained()
    kinds = [event["event_type"] for event in csms.events]
    assert (kinds[0], kinds[-1]) == ("Started", "Ended")
    assert set(kinds[1:-1]) == {"Updated"}
    assert [event["seq_no"] for event in csms.events] == list(range(len(kinds)))
    assert len({event["transaction_info"]["transaction_id"] for event in csms.events}) == 1
    assert sum("meter_value" in event for event in csms.events[1:-1]) >= 2
    assert csms.states == ["Available", "Available", "Occupied", "Available"]


@VERSIONS
async def test_their_csms_commands_our_station(version: OcppVersion) -> None:
    async with our_station_at_their_csms(version) as (station, csms):
        call = csms.call_module
        await station.plug_in(1)
        token = {"idToken": "REMOTE", "type": "Central"}
        started = await csms.call(
            call.RequestStartTransaction(id_token=token, remote_start_id=5, evse_id=1)
        )
        assert started.status == "Accepted"
        await until(lambda: len(csms.events) >= 3)
        first = csms.events[0]
        assert first["transaction_info"]["remote_start_id"] == 5
        transaction_id = first["transaction_info"]["transaction_id"]
        status = await csms.call(call.GetTransactionStatus(transaction_id=transaction_id))
        assert status.ongoing_indicator is True
        stopped = await csms.call(call.RequestStopTransaction(transaction_id=transaction_id))
        assert stopped.status == "Accepted"
        await until(lambda: csms.events[-1]["event_type"] == "Ended")
        assert csms.events[-1]["transaction_info"]["stopped_reason"] == "Remote"
        triggered = await csms.call(call.TriggerMessage(requested_message="Heartbeat"))
        assert triggered.status == "Accepted"
        echoed = await station.charge_point.data_transfer_req("org.example", data="ünï")
        assert echoed.data is not None
        assert echoed.data.value == "ünï"


# --- its charge point ---------------------------------------------------------------------------


@asynccontextmanager
async def their_station_at_our_csms(
    version: OcppVersion,
) -> AsyncGenerator[tuple[Any, Any, Csms]]:
    base, call, call_result = peer_modules(version)

    class TheirStation(base):
        @on("GetVariables")
        def on_get_variables(self, get_variable_data: list[dict[str, Any]]) -> Any:
            results = [
                {
                    "attribute_status": "Accepted",
                    "attribute_value": "17",
                    "component": asked["component"],
                    "variable": asked["variable"],
                }
                for asked in get_variable_data
            ]
            return call_result.GetVariables(get_variable_result=results)

        @on("Reset")
        def on_reset(self, **_: Any) -> Any:
            return call_result.Reset(status="Scheduled")

    async with (
        Csms() as csms,
        websockets.connect(
            f"{csms.url}/CS%20002",
            subprotocols=[version.subprotocol],  # type: ignore[list-item]
        ) as connection,
    ):
        station = TheirStation("CS 002", connection)
        serving = asyncio.create_task(station.start())
        try:
            yield station, call, csms
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


@VERSIONS
async def test_their_station_charges_at_our_csms(version: OcppVersion) -> None:
    async with their_station_at_our_csms(version) as (station, call, csms):
        booted = await station.call(
            call.BootNotification(
                charging_station={"model": "Theirs", "vendor_name": "PyPI"}, reason="PowerUp"
            )
        )
        assert booted.status == "Accepted"
        assert booted.interval == 300
        beat = await station.call(call.Heartbeat())
        assert datetime.fromisoformat(beat.current_time).tzinfo is not None
        await station.call(
            call.StatusNotification(
                timestamp=now(), connector_status="Occupied", evse_id=1, connector_id=1
            )
        )
        token = {"id_token": "04A1B2C3", "type": "ISO14443"}
        authorized = await station.call(call.Authorize(id_token=token))
        assert authorized.id_token_info["status"] == "Accepted"
        for seq_no, kind in enumerate(("Started", "Updated", "Updated", "Ended")):
            sample = {
                "value": 1_000.5 + seq_no,
                "measurand": "Energy.Active.Import.Register",
                "unit_of_measure": {"unit": "Wh"},
            }
            answer = await station.call(
                call.TransactionEvent(
                    event_type=kind,
                    timestamp=now(),
                    trigger_reason="MeterValuePeriodic",
                    seq_no=seq_no,
                    transaction_info={"transaction_id": "theirs"},
                    meter_value=[{"timestamp": now(), "sampled_value": [sample]}],
                    **({"id_token": token, "evse": {"id": 1}} if kind == "Started" else {}),
                )
            )
            assert (answer.id_token_info is not None) == (kind == "Started")
    record = csms.stations["CS 002"]
    assert record.version is version
    assert record.connectors == {(1, 1): "Occupied"}
    transaction = record.transactions["theirs"]
    assert transaction.problems() == []
    assert transaction.energy_wh == 3.0


@VERSIONS
async def test_our_csms_commands_their_station(version: OcppVersion) -> None:
    async with their_station_at_our_csms(version) as (_, _call, csms):
        m: Any = version.module
        asked = m.GetVariableDataType(
            component=m.ComponentType(name="OCPPCommCtrlr"),
            variable=m.VariableType(name="HeartbeatInterval"),
        )
        response: Any = await csms.call("CS 002", m.GetVariablesRequest(get_variable_data=[asked]))
        (result,) = response.get_variable_result
        assert result.attribute_value == "17"
        reset: Any = await csms.call("CS 002", m.ResetRequest(type="OnIdle"))
        assert reset.status == "Scheduled"
        if version is OcppVersion.V201:  # their 2.1 leaves what it does not know unanswered
            with pytest.raises(CallErrorReceived) as caught:
                await csms.call("CS 002", m.ClearCacheRequest())
            assert caught.value.code in ("NotImplemented", "NotSupported")


async def test_one_port_serves_both_versions() -> None:
    async with Csms() as csms:
        for version in OcppVersion:
            config = StationConfig(identity=f"CS-{version}", csms_url=csms.url, versions=(version,))
            async with SimulatedStation(config) as station:
                await until(lambda s=station: s.charge_point.registration == "Accepted")
        config = StationConfig(identity="CS-both", csms_url=csms.url)
        async with SimulatedStation(config) as station:
            await until(lambda: station.charge_point.registration == "Accepted")
        versions = {identity: record.version for identity, record in csms.stations.items()}
        assert versions == {
            "CS-2.0.1": OcppVersion.V201,
            "CS-2.1": OcppVersion.V21,
            "CS-both": OcppVersion.V21,
        }
