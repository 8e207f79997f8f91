"""The simple CSMS towards its stations: requests, records, connections, registration."""

from typing import Any

import pytest

from ocpp_fast._core import decode_payload
from ocpp_fast.csms import Csms, CsmsObserver, StationRecord
from ocpp_fast.errors import CallErrorReceived, ConnectionLost
from ocpp_fast.messages import Direction, Framing, OcppVersion, actions
from ocpp_fast.router import Reply
from ocpp_fast.testing import VirtualClock, run_virtual
from ocpp_fast.transport.base import CloseReason
from ocpp_fast.transport.handshake import Handshake
from ocpp_fast.transport.picows import Accepted
from pair.station_kit import VERSIONS, Site, at_site
from vectors.mutations import payload_text
from vectors.payloads import MINIMAL, PayloadMaker
from vectors.schemas import schema_files

versions = pytest.mark.parametrize("version", VERSIONS)


@versions
def test_every_request_can_be_sent_and_is_answered(version: OcppVersion) -> None:
    """With a response, or with NotSupported from a block that is not there yet."""

    async def scenario(site: Site) -> None:
        answered = 0
        for action, info in actions(version).items():
            if info.direction is Direction.CS_TO_CSMS or info.framing is Framing.SEND:
                continue
            payload = PayloadMaker(schema_files(version)[info.request_name], 1).make(MINIMAL)
            request = decode_payload(info.request, payload_text(payload))
            try:
                response = await site.csms.call("CS001", request)
            except CallErrorReceived as error:
                assert error.code == "NotSupported", action
            else:
                assert type(response) is info.response
                answered += 1
        assert answered >= 6

    at_site(scenario, version)


@versions
def test_every_request_of_a_station_is_answered_over_the_link(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        connection = site.station.charge_point._context.connection
        assert connection is not None
        for info in actions(version).values():
            if info.direction is Direction.CSMS_TO_CS:
                continue
            payload = PayloadMaker(schema_files(version)[info.request_name], 1).make(MINIMAL)
            message = decode_payload(info.request, payload_text(payload))
            if info.framing is Framing.SEND:
                connection.send(message)
            else:
                assert type(await connection.call(message)) is info.response

    at_site(scenario, version)


class Notes(CsmsObserver):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_connected(self, station: StationRecord) -> None:
        self.seen.append(f"{station.identity} connected")

    def on_disconnected(self, station: StationRecord, reason: CloseReason) -> None:
        self.seen.append(f"{station.identity} disconnected {reason.code}")

    def on_request(self, station: StationRecord, action: str, request: Any) -> None:
        self.seen.append(action)
        if action == "Heartbeat":
            raise RuntimeError("a bug of the observer")


def test_an_observer_sees_what_happens_and_cannot_disturb_it() -> None:
    notes = Notes()

    async def run(clock: VirtualClock) -> None:
        csms = Csms(clock=clock, observer=notes, heartbeat_interval_s=10)
        async with Site(clock, csms=csms) as site:
            await clock.sleep(11)
            assert len(site.sent("Heartbeat")) == 1
            assert site.link is not None
            site.link.cut()
            await clock.sleep(2)
        assert notes.seen == [
            "CS001 connected", "BootNotification", "NotifyEvent", "Heartbeat",
            "CS001 disconnected 1006", "CS001 connected", "CS001 disconnected 1000",
        ]  # fmt: skip

    run_virtual(run)


def test_the_newest_connection_of_a_station_counts() -> None:
    """A ghost that is closed late must not take the record of the new link with it."""

    async def run(clock: VirtualClock) -> None:
        csms = Csms(clock=clock)
        async with Site(clock, csms=csms) as ghost:
            assert ghost.link is not None
            ghost.link.freeze()
            ghost.reachable = False
            async with Site(clock, csms=csms) as site:
                await clock.sleep(30)
                assert site.record.connected
                await site.charge(5)
                assert site.transactions[0].ended_at is not None
            assert not csms.stations["CS001"].connected
            with pytest.raises(ConnectionLost, match="CS001 is not connected"):
                csms.connection("CS001")

    run_virtual(run)


@versions
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_b01_fr_10_b02_fr_09_b03_fr_07_before_it_is_accepted(
    version: OcppVersion, status: str
) -> None:
    """The CSMS refuses what a station must not send yet, and lets pass what it asked for."""

    async def scenario(site: Site) -> None:
        m: Any = version.module
        connection = site.station.charge_point._context.connection
        assert connection is not None
        with pytest.raises(CallErrorReceived) as caught:
            await connection.call(m.HeartbeatRequest())
        assert caught.value.code == "SecurityError"
        if status == "Pending":
            request = m.TriggerMessageRequest(requested_message="Heartbeat")
            await site.csms.call("CS001", request)
            await site.clock.sleep(1)
            assert len(site.sent("Heartbeat")) == 2
            await connection.call(m.HeartbeatRequest())

    at_site(scenario, version, boot=[(status, 300)])


def test_a_station_that_was_accepted_by_an_earlier_run_of_the_csms_is_welcome() -> None:
    async def scenario(site: Site) -> None:
        site.csms.stations.clear()
        site.cut()
        await site.clock.sleep(5)
        await site.charge(20)
        (record,) = site.transactions
        assert record.ended_at is not None
        assert site.record.boot is None

    at_site(scenario)


def test_a_handler_may_wait_and_act_after_its_answer() -> None:
    acted: list[str] = []

    async def scenario(site: Site) -> None:
        async def answer(station: StationRecord, _request: Any) -> Any:
            await site.clock.sleep(2)
            m: Any = site.version.module

            async def after() -> None:
                acted.append(station.identity)

            return Reply(m.DataTransferResponse(status="Accepted"), after)

        site.csms.on("DataTransfer", answer)
        response = await site.station.charge_point.data_transfer_req("org.example")
        assert response.status == "Accepted"
        await site.clock.sleep(1)
        assert acted == ["CS001"]

    at_site(scenario)


def test_the_response_is_of_the_expected_type() -> None:
    async def scenario(site: Site) -> None:
        m: Any = site.version.module
        request = m.GetTransactionStatusRequest()
        response = await site.csms.call("CS001", request, m.GetTransactionStatusResponse)
        assert response.messages_in_queue is False
        with pytest.raises(TypeError, match="GetTransactionStatusResponse"):
            await site.csms.call("CS001", request, m.HeartbeatResponse)

    at_site(scenario)


def test_the_number_of_stations_has_a_bound() -> None:
    async def run(clock: VirtualClock) -> None:
        csms = Csms(clock=clock, max_stations=1)
        async with Site(clock, csms=csms):
            pass
        for identity, accepted in (("CS001", True), ("CS002", False)):
            handshake = Handshake(identity, f"/{identity}", ("ocpp2.1",), None, {})
            assert isinstance(csms.admit(handshake), Accepted) == accepted

    run_virtual(run)
