"""Remote start and stop, triggers, Reset, DataTransfer: F01, F02, F03, F06, B11, B12, P01, P02."""

from dataclasses import replace
from typing import Any

import pytest

from ocpp_fast.callbacks import Callbacks
from ocpp_fast.config import TxPoint
from ocpp_fast.connection import Way
from ocpp_fast.errors import CallErrorReceived, ConnectionLost
from ocpp_fast.messages import OcppVersion
from pair.station_kit import VERSIONS, Site, at_site

versions = pytest.mark.parametrize("version", VERSIONS)


async def start(site: Site, **changes: Any) -> Any:
    m: Any = site.version.module
    values: dict[str, Any] = {
        "id_token": m.IdTokenType(id_token="REMOTE", type="Central"),
        "remote_start_id": 77,
        "evse_id": 1,
    }
    request = m.RequestStartTransactionRequest(**(values | changes))
    response: Any = await site.csms.call("CS001", request)
    await site.clock.sleep(1)
    return response


async def stop(site: Site, transaction_id: str) -> Any:
    m: Any = site.version.module
    request = m.RequestStopTransactionRequest(transaction_id=transaction_id)
    response: Any = await site.csms.call("CS001", request)
    await site.clock.sleep(1)
    return response


async def trigger(site: Site, message: str, **changes: Any) -> str:
    m: Any = site.version.module
    request = m.TriggerMessageRequest(requested_message=message, **changes)
    response: Any = await site.csms.call("CS001", request)
    await site.clock.sleep(1)
    return response.status


def remote_ids(site: Site) -> list[int | None]:
    return [
        event["transactionInfo"].get("remoteStartId") for event in site.sent("TransactionEvent")
    ]


@versions
def test_f01_cable_first(version: OcppVersion) -> None:
    """F01.FR.13, F01.FR.19, F01.FR.25: the transaction exists, the token comes from afar."""

    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.clock.sleep(1)
        response = await start(site)
        assert response.status == "Accepted"
        assert response.transaction_id == site.transactions[0].transaction_id
        await site.clock.sleep(5)
        assert [e[:3] for e in site.events()] == [
            ("Started", "CablePluggedIn", "EVConnected"),
            ("Updated", "RemoteStart", "EVConnected"),
            ("Updated", "ChargingStateChanged", "Charging"),
        ]
        assert remote_ids(site) == [None, 77, None]
        assert site.sent("TransactionEvent")[1]["idToken"]["idToken"] == "REMOTE"

    variables = {"tx_start_point": frozenset({TxPoint.EV_CONNECTED})}
    at_site(scenario, version, variables=variables)


@versions
def test_f02_remote_start_first(version: OcppVersion) -> None:
    """F02.FR.01, F02.FR.21: the first event says RemoteStart though the cable started it."""

    async def scenario(site: Site) -> None:
        response = await start(site)
        assert response.status == "Accepted"
        assert response.transaction_id is None
        assert site.station.evse(1).state == "authorized"
        await site.station.plug_in(1)
        await site.clock.sleep(5)
        assert site.events()[0][:3] == ("Started", "RemoteStart", "EVConnected")
        assert remote_ids(site)[0] == 77
        assert remote_ids(site)[1:] == [None] * (len(remote_ids(site)) - 1)

    at_site(scenario, version)


@versions
def test_f02_fr_07_a_remote_start_nobody_comes_for(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await start(site)
        await site.clock.sleep(30)
        assert [e[:2] for e in site.events()] == [
            ("Started", "RemoteStart"),
            ("Ended", "EVConnectTimeout"),
        ]
        assert site.transactions[0].stopped_reason == "Timeout"

    variables = {
        "ev_connection_timeout_s": 20,
        "tx_start_point": frozenset({TxPoint.AUTHORIZED}),
    }
    at_site(scenario, version, variables=variables)


@versions
@pytest.mark.parametrize("authorize", [True, False])
def test_f01_fr_01_02_authorize_remote_start(version: OcppVersion, *, authorize: bool) -> None:
    """The answer comes first, then Authorize (or not), then the event."""

    async def scenario(site: Site) -> None:
        m: Any = version.module
        await site.station.plug_in(1)
        await site.clock.sleep(1)
        site.frames.clear()
        await start(site, id_token=m.IdTokenType(id_token="CARD", type="ISO14443"))
        order = [frame[2] if frame[0] == 2 else frame[0] for _, way, frame in site.frames
                 if way is Way.OUT]  # fmt: skip
        assert order[0] == 3, "F01.FR.01: the response before anything else"
        assert ("Authorize" in order) == authorize
        assert site.station.evse(1).state in ("ready", "charging")

    at_site(scenario, version, variables={"authorize_remote_start": authorize})


def test_a_token_that_is_refused_starts_nothing() -> None:
    def refuse(_station: object, _request: object) -> Any:
        m: Any = OcppVersion.V21.module
        return m.AuthorizeResponse(id_token_info=m.IdTokenInfoType(status="Blocked"))

    async def scenario(site: Site) -> None:
        m: Any = site.version.module
        await site.station.plug_in(1)
        response = await start(site, id_token=m.IdTokenType(id_token="X", type="ISO14443"))
        assert response.status == "Accepted"
        await site.clock.sleep(5)
        assert site.transactions == []

    at_site(scenario, handlers={"Authorize": refuse})


@versions
def test_f01_fr_23_24_when_a_remote_start_is_rejected(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        point = site.station.charge_point
        await site.charge_without_end(1)
        assert (await start(site, evse_id=1)).status == "Rejected", "F01.FR.24"
        point.on_faulted(2, 1)
        assert (await start(site, evse_id=2)).status == "Rejected", "F01.FR.23"
        assert (await start(site, evse_id=9)).status == "Rejected"
        assert (await start(site, evse_id=None)).status == "Rejected", "none is left"
        point.on_fault_cleared(2, 1)
        assert (await start(site, evse_id=None)).status == "Accepted"
        assert site.station.evse(2).state == "authorized"

    at_site(scenario, version)


def test_f01_fr_20_the_station_takes_the_evse_where_a_car_waits() -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(2)
        assert (await start(site, evse_id=None)).status == "Accepted"
        assert site.station.evse(2).state != "connected"
        assert site.station.evse(1).state == "available"

    at_site(scenario)


@versions
def test_f03_fr_03_07_a_remote_stop(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.charge_without_end(1)
        (record,) = site.transactions
        assert (await stop(site, record.transaction_id)).status == "Accepted"
        assert site.events()[-1][:2] == ("Ended", "RemoteStop")
        assert record.stopped_reason == "Remote"
        assert "idToken" not in site.sent("TransactionEvent")[-1]
        assert site.station.hardware[1].power_w == 0
        assert (await stop(site, record.transaction_id)).status == "Rejected", "F03.FR.08"

    at_site(scenario, version)


@versions
def test_f03_fr_02_with_only_ev_connected_the_end_comes_with_the_cable(
    version: OcppVersion,
) -> None:
    async def scenario(site: Site) -> None:
        await site.charge_without_end(1)
        (record,) = site.transactions
        await stop(site, record.transaction_id)
        assert site.events()[-1][:3] == ("Updated", "RemoteStop", "EVConnected")
        await site.station.unplug(1)
        await site.clock.sleep(1)
        assert site.events()[-1][:2] == ("Ended", "EVCommunicationLost")
        assert record.stopped_reason == "Remote"

    at_site(scenario, version, variables={"tx_stop_point": frozenset({TxPoint.EV_CONNECTED})})


@versions
@pytest.mark.parametrize(
    ("stop_point", "last"),
    [
        (TxPoint.AUTHORIZED, ("Ended", "RemoteStop", "EVConnected")),
        (TxPoint.POWER_PATH_CLOSED, ("Ended", "RemoteStop", "EVConnected")),
        (TxPoint.EV_CONNECTED, ("Updated", "RemoteStop", "EVConnected")),
        (TxPoint.PARKING_BAY_OCCUPANCY, ("Updated", "RemoteStop", "EVConnected")),
    ],
)
def test_f03_fr_02_03_a_transaction_without_a_driver(
    version: OcppVersion, stop_point: TxPoint, last: tuple[str, str, str]
) -> None:
    """It began with the cable, and nobody has presented a token."""

    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.clock.sleep(1)
        (record,) = site.transactions
        assert (await stop(site, record.transaction_id)).status == "Accepted"
        assert site.events()[1:] == [(*last, 1)]
        if last[0] == "Ended":
            assert record.stopped_reason == "Remote"
            assert (await stop(site, record.transaction_id)).status == "Rejected"

    ev = frozenset({TxPoint.EV_CONNECTED})
    variables = {"tx_start_point": ev, "tx_stop_point": frozenset({stop_point})}
    at_site(scenario, version, variables=variables)


@pytest.mark.parametrize("bay", [False, True])
def test_f03_fr_02_03_one_whose_ev_has_gone(bay: bool) -> None:
    """With EnergyTransfer alone nothing else would end it, and nobody else could charge."""

    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.clock.sleep(1)
        await site.station.unplug(1)
        await site.clock.sleep(1)
        (record,) = site.transactions
        assert record.ended_at is None
        await stop(site, record.transaction_id)
        assert site.events()[-1][:3] == ("Updated" if bay else "Ended", "RemoteStop", "Idle")

    stops = {TxPoint.ENERGY_TRANSFER} | ({TxPoint.PARKING_BAY_OCCUPANCY} if bay else set())
    ev = frozenset({TxPoint.EV_CONNECTED})
    at_site(scenario, variables={"tx_start_point": ev, "tx_stop_point": frozenset(stops)})


def test_f02_fr_21_the_id_of_a_remote_start_nobody_came_for_is_forgotten() -> None:
    async def scenario(site: Site) -> None:
        await start(site)
        assert site.station.evse(1).state == "authorized", "EVConnected is still to come"
        await site.clock.sleep(30)
        await site.station.plug_in(1)
        await site.clock.sleep(1)
        assert site.events() == [("Started", "CablePluggedIn", "EVConnected", 0)]
        assert remote_ids(site) == [None]

    ev = frozenset({TxPoint.EV_CONNECTED})
    at_site(scenario, variables={"ev_connection_timeout_s": 20, "tx_start_point": ev})


# --- F06 ------------------------------------------------------------------------------------------


@versions
def test_f06_fr_04_the_answer_comes_before_the_message(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        site.frames.clear()
        assert await trigger(site, "Heartbeat") == "Accepted"
        kinds = [frame[0] for _, way, frame in site.frames if way is Way.OUT]
        assert kinds == [3, 2]
        assert len(site.sent("Heartbeat")) == 1

    at_site(scenario, version)


@versions
def test_f06_fr_12_status_notification_needs_a_connector(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        m: Any = version.module
        site.frames.clear()
        assert await trigger(site, "StatusNotification") == "Rejected"
        assert await trigger(site, "StatusNotification", evse=m.EVSEType(id=1)) == "Rejected"
        nobody = m.EVSEType(id=1, connector_id=5)
        assert await trigger(site, "StatusNotification", evse=nobody) == "Rejected"
        evse = m.EVSEType(id=2, connector_id=1)
        assert await trigger(site, "StatusNotification", evse=evse) == "Accepted"
        (status,) = site.sent("StatusNotification")
        assert (status["evseId"], status["connectorStatus"]) == (2, "Available")

    at_site(scenario, version)


@versions
def test_f06_fr_06_11_meter_values_of_one_or_all_evses(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        m: Any = version.module
        assert await trigger(site, "MeterValues") == "Accepted"
        assert [value["evseId"] for value in site.sent("MeterValues")] == [1, 2]
        assert await trigger(site, "MeterValues", evse=m.EVSEType(id=2)) == "Accepted"
        last = site.sent("MeterValues")[-1]
        assert last["evseId"] == 2
        (sample,) = last["meterValue"][0]["sampledValue"]
        assert sample["context"] == "Trigger"

    measurands = ("Energy.Active.Import.Register",)
    at_site(scenario, version, variables={"aligned_measurands": measurands})


def test_f06_meter_values_without_a_reading_are_rejected() -> None:
    async def scenario(site: Site) -> None:
        assert await trigger(site, "MeterValues") == "Rejected"

    at_site(scenario)


@versions
def test_f06_fr_07_a_transaction_event(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        assert await trigger(site, "TransactionEvent") == "Rejected", "there is none"
        await site.charge_without_end(1)
        assert await trigger(site, "TransactionEvent") == "Accepted"
        event = site.sent("TransactionEvent")[-1]
        assert event["triggerReason"] == "Trigger"
        assert event["transactionInfo"]["chargingState"] == "Charging"
        assert event["meterValue"][0]["sampledValue"][0]["context"] == "Trigger"

    at_site(scenario, version)


@versions
def test_f06_fr_08_what_is_not_implemented(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        for message in ("LogStatusNotification", "FirmwareStatusNotification"):
            assert await trigger(site, message) == "NotImplemented"
        if version is OcppVersion.V21:  # F06.FR.19
            status = await trigger(site, "CustomTrigger", custom_trigger="x")
            assert status == "NotImplemented"

    at_site(scenario, version)


# --- Reset ----------------------------------------------------------------------------------------


class Resets:
    """Keeps the resets that a station was asked to make."""

    def __init__(self, *, allowed: bool = True) -> None:
        self.done: list[tuple[int | None, str]] = []
        self.allowed = allowed

    def adapt(self, callbacks: Callbacks) -> Callbacks:
        async def is_allowed(_evse_id: int | None, _kind: object) -> bool:
            return self.allowed

        async def reset(evse_id: int | None, kind: Any) -> None:
            self.done.append((evse_id, kind.value))

        return replace(callbacks, is_reset_allowed_callback=is_allowed, reset_callback=reset)


async def reset(site: Site, kind: str, evse_id: int | None = None) -> str:
    m: Any = site.version.module
    response: Any = await site.csms.call("CS001", m.ResetRequest(type=kind, evse_id=evse_id))
    await site.clock.sleep(1)
    return response.status


@versions
@pytest.mark.parametrize("kind", ["Immediate", "OnIdle"])
def test_b11_fr_01_03_an_idle_station_is_reset_at_once(version: OcppVersion, kind: str) -> None:
    resets = Resets()

    async def scenario(site: Site) -> None:
        assert await reset(site, kind) == "Accepted"
        assert resets.done == [(None, kind)]

    at_site(scenario, version, adapt=resets.adapt)


@versions
def test_b12_fr_01_03_on_idle_waits_for_the_transaction(version: OcppVersion) -> None:
    resets = Resets()

    async def scenario(site: Site) -> None:
        await site.charge_without_end(1)
        assert await reset(site, "OnIdle") == "Scheduled"
        await site.clock.sleep(60)
        assert resets.done == []
        await site.station.unplug(1)
        await site.clock.sleep(1)
        assert resets.done == [(None, "OnIdle")]
        assert site.transactions[0].stopped_reason == "EVDisconnected"

    at_site(scenario, version, adapt=resets.adapt)


@versions
@pytest.mark.parametrize("stop_point", [TxPoint.AUTHORIZED, TxPoint.PARKING_BAY_OCCUPANCY])
def test_b12_fr_02_04_immediate_ends_the_transaction_first(
    version: OcppVersion, stop_point: TxPoint
) -> None:
    resets = Resets()

    async def scenario(site: Site) -> None:
        await site.charge_without_end(1)
        await site.charge_without_end(2)
        assert await reset(site, "Immediate") == "Accepted"
        assert resets.done == [(None, "Immediate")]
        for record in site.transactions:
            assert record.stopped_reason == "ImmediateReset"
            assert record.ended_at is not None
        assert [e[1] for e in site.events()][-2:] == ["ResetCommand", "ResetCommand"]

    at_site(
        scenario,
        version,
        adapt=resets.adapt,
        variables={"tx_stop_point": frozenset({stop_point})},
    )


def test_b12_fr_05_an_unconfirmed_end_does_not_stop_the_reset() -> None:
    resets = Resets()

    async def scenario(site: Site) -> None:
        await site.charge_without_end(1)
        m: Any = site.version.module
        assert site.link is not None
        site.link.to_right.script = lambda frame: [] if b"TransactionEvent" in frame else [frame]
        response: Any = await site.csms.call("CS001", m.ResetRequest(type="Immediate"))
        assert response.status == "Accepted"
        await site.clock.sleep(20)
        assert resets.done == []
        await site.clock.sleep(15)
        assert resets.done == [(None, "Immediate")]
        assert site.station.charge_point.delivery.waiting > 0

    at_site(scenario, adapt=resets.adapt)


@versions
def test_b11_fr_06_09_what_cannot_be_reset_is_rejected(version: OcppVersion) -> None:
    refusing = Resets(allowed=False)

    async def scenario(site: Site) -> None:
        assert await reset(site, "OnIdle") == "Rejected"
        refusing.allowed = True
        assert await reset(site, "OnIdle", evse_id=1) == "Rejected"
        if version is OcppVersion.V21:
            assert await reset(site, "ImmediateAndResume") == "Rejected"
        assert refusing.done == []

    at_site(scenario, version, adapt=refusing.adapt)


def test_without_a_reset_callback_the_station_says_so() -> None:
    async def scenario(site: Site) -> None:
        assert await reset(site, "Immediate") == "Rejected"

    at_site(scenario)


# --- DataTransfer ---------------------------------------------------------------------------------


@versions
def test_p01_fr_05_without_a_callback_the_vendor_is_unknown(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        m: Any = version.module
        request = m.DataTransferRequest(vendor_id="org.example", data={"a": [1, None]})
        response: Any = await site.csms.call("CS001", request)
        assert response.status == "UnknownVendorId"

    at_site(scenario, version)


@versions
def test_p01_fr_07_the_vendor_answers_for_itself(version: OcppVersion) -> None:
    def adapt(callbacks: Callbacks) -> Callbacks:
        async def answer(request: Any) -> Any:
            m: Any = version.module
            return m.DataTransferResponse(status="Accepted", data=[request.data.value, "back"])

        return replace(callbacks, data_transfer_callback=answer)

    async def scenario(site: Site) -> None:
        m: Any = version.module
        request = m.DataTransferRequest(vendor_id="org.example", data={"a": 1})
        response: Any = await site.csms.call("CS001", request)
        assert response.status == "Accepted"
        assert response.data.value == [{"a": 1}, "back"]

    at_site(scenario, version, adapt=adapt)


@versions
def test_p02_the_station_sends_one(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        point = site.station.charge_point
        response = await point.data_transfer_req("org.example", "hello", {"x": [True]})
        assert response.status == "UnknownVendorId"
        (sent,) = site.sent("DataTransfer")
        assert sent == {"vendorId": "org.example", "messageId": "hello", "data": {"x": [True]}}
        site.cut(until_s=60)
        await site.clock.sleep(1)
        with pytest.raises(ConnectionLost):
            await point.data_transfer_req("org.example")

    at_site(scenario, version)


# --- what no block handles --------------------------------------------------------------------


@versions
def test_an_action_without_a_block_is_not_supported(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        m: Any = version.module
        with pytest.raises(CallErrorReceived) as caught:
            await site.csms.call("CS001", m.ClearCacheRequest())
        assert caught.value.code == "NotSupported"
        assert await trigger(site, "Heartbeat") == "Accepted", "the link is well"

    at_site(scenario, version)
