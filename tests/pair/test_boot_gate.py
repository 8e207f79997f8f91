"""What leaves and what is answered before the CSMS has accepted the station, on the wire.

Each action of the registry, in each state: one that is new takes part by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from ocpp_fast._core import decode_payload
from ocpp_fast.blocks.context import Context, NotAccepted
from ocpp_fast.boot_gate import Registration
from ocpp_fast.connection import Way
from ocpp_fast.errors import PeerError
from ocpp_fast.ids import Ids
from ocpp_fast.messages import Direction, OcppVersion, actions
from ocpp_fast.storage.sqlite import SqliteStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.station_kit import QUIET, TOKEN, VERSIONS, Site, at_site
from vectors.payloads import MINIMAL, PayloadMaker
from vectors.schemas import schema_files

SEED: Final = 20_261_121
FAR_S: Final = 2_000
"""The next BootNotification is far away."""

versions = pytest.mark.parametrize("version", VERSIONS)
states = pytest.mark.parametrize("registration", Registration)
not_accepted = pytest.mark.parametrize(
    "registration", [each for each in Registration if each is not Registration.ACCEPTED]
)


def fail(_station: object, _request: object) -> Any:
    raise ValueError("a bug of the CSMS")


def in_state(
    registration: Registration, version: OcppVersion, scenario: Any, **options: Any
) -> None:
    """Runs a scenario at a station of which the CSMS thinks so. It has said nothing yet when its
    answer to the first BootNotification was a CALLERROR."""

    async def checked(site: Site) -> None:
        assert site.station.charge_point.registration is registration
        await scenario(site)

    if registration is Registration.NONE:
        at_site(checked, version, handlers={"BootNotification": fail}, **options)
    else:
        boot = [(registration, 0 if registration is Registration.ACCEPTED else FAR_S)]
        at_site(checked, version, boot=boot, **options)


def payload_of(version: OcppVersion, action: str) -> bytes:
    """A valid request, as short as can be."""
    if action == "TriggerMessage":
        return b'{"requestedMessage":"Heartbeat"}'
    name = actions(version)[action].request_name
    return orjson.dumps(PayloadMaker(schema_files(version)[name], SEED).make(MINIMAL))


async def asked(site: Site, action: str, payload: bytes) -> list[Any]:
    """What the station answers a request."""
    assert site.link is not None
    message_id = f"{action}{len(site.frames)}"[-36:]
    frame = f'[2,"{message_id}","{action}",'.encode() + payload + b"]"
    site.link.left.listener.on_frame(frame)
    await site.clock.sleep(1)
    (answer,) = [f for _, way, f in site.frames if way is Way.OUT and f[1] == message_id]
    return answer


def all_of(version: OcppVersion, direction: Direction) -> list[str]:
    found = [n for n, i in actions(version).items() if i.direction in (direction, Direction.BOTH)]
    # What restarts or moves the station comes last.
    return sorted(found, key=lambda name: name in ("Reset", "SetNetworkProfile"))


# --- what is answered ---------------------------------------------------------------------------

SETS_UP: Final = {
    "CertificateSigned",
    "DeleteCertificate",
    "GetBaseReport",
    "GetInstalledCertificateIds",
    "GetReport",
    "GetVariables",
    "InstallCertificate",
    "SetVariables",
    "TriggerMessage",
}


@versions
@states
def test_b02_fr_01_b02_fr_05_b03_fr_08_each_request_of_the_csms(
    version: OcppVersion, registration: Registration
) -> None:
    """Also those that this station does not know: SecurityError, not NotSupported (TC_B_30)."""

    async def scenario(site: Site) -> None:
        for action in all_of(version, Direction.CSMS_TO_CS):
            answer = await asked(site, action, payload_of(version, action))
            refused = answer[0] == 4 and answer[2] == "SecurityError"
            if registration is Registration.PENDING and action in SETS_UP:
                assert answer[0] == 3, answer
            elif registration is Registration.PENDING and action.startswith("RequestSt"):
                assert answer[2] == {"status": "Rejected"}, answer
            else:
                assert refused is (registration is not Registration.ACCEPTED), (action, answer)
        if registration is Registration.PENDING:
            assert set(site.calls()) <= {"BootNotification", "Heartbeat", "NotifyReport"}
        elif registration is not Registration.ACCEPTED:
            assert set(site.calls()) == {"BootNotification"}

    in_state(registration, version, scenario)


@versions
def test_b02_fr_04_a_boot_can_be_triggered_before_the_first_answer(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        boots = len(site.sent("BootNotification"))
        answer = await asked(site, "TriggerMessage", b'{"requestedMessage":"BootNotification"}')
        assert answer[2] == {"status": "Accepted"}
        assert [b["reason"] for b in site.sent("BootNotification")][boots:] == ["Triggered"]

    in_state(Registration.NONE, version, scenario)


@versions
def test_b03_fr_02_not_while_rejected(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        answer = await asked(site, "TriggerMessage", b'{"requestedMessage":"BootNotification"}')
        assert answer[2] == "SecurityError"
        await site.clock.sleep(FAR_S - 10)
        assert site.calls() == ["BootNotification"]
        await site.clock.sleep(10)
        assert site.calls() == ["BootNotification"] * 2

    in_state(Registration.REJECTED, version, scenario)


TRIGGERS: Final[Mapping[str, str | None]] = {
    "BootNotification": "BootNotification",
    "Heartbeat": "Heartbeat",
    "MeterValues": "MeterValues",
    "StatusNotification": "StatusNotification",
    "TransactionEvent": None,
}
"""What the station can be made to send here; None where it says Rejected."""


@versions
def test_f06_b02_fr_02_each_message_that_can_be_triggered_while_pending(
    version: OcppVersion,
) -> None:
    async def scenario(site: Site) -> None:
        await site.station.plug_in(1)
        await site.clock.sleep(20)
        for message in version.module.MessageTriggerEnumType:
            before = len(site.calls())
            evse = {"evse": {"id": 1, "connectorId": 1}} if message != "BootNotification" else {}
            payload = orjson.dumps({"requestedMessage": message, **evse})
            answer = await asked(site, "TriggerMessage", payload)
            sent = site.calls()[before:]
            if message.startswith("Sign"):
                assert sent == ["SignCertificate"] * (answer[2]["status"] == "Accepted"), message
            elif message not in TRIGGERS:
                assert (answer[2]["status"], sent) == ("NotImplemented", []), message
            elif TRIGGERS[message] is None:
                assert (answer[2]["status"], sent) == ("Rejected", [])
            else:
                assert (answer[2]["status"], sent) == ("Accepted", [TRIGGERS[message]])

    variables = {
        "tx_before_accepted_enabled": True,
        "auth_enabled": False,
        "aligned_measurands": ("Energy.Active.Import.Register",),
    }
    in_state(Registration.PENDING, version, scenario, variables=variables)


# --- what leaves --------------------------------------------------------------------------------

ASKED_FOR: Final = {
    "FirmwareStatusNotification",
    "Heartbeat",
    "LogStatusNotification",
    "MeterValues",
    "NotifyReport",
    "PublishFirmwareStatusNotification",
    "SignCertificate",
    "StatusNotification",
}


@versions
@states
@pytest.mark.parametrize("triggered", [False, True], ids=["spontaneous", "triggered"])
def test_b01_fr_08_b02_fr_02_b03_fr_02_each_message_of_the_station(
    version: OcppVersion, registration: Registration, *, triggered: bool
) -> None:
    async def scenario(site: Site) -> None:
        context: Context = site.station.charge_point._context
        for action in all_of(version, Direction.CS_TO_CSMS):
            before = len(site.calls())
            frame = f'[2,"{action[:36]}","{action}",'.encode() + payload_of(version, action) + b"]"
            expected = (
                registration is Registration.ACCEPTED
                or action == "BootNotification"
                or (triggered and registration is Registration.PENDING and action in ASKED_FOR)
            )
            try:
                await context.call_frame(action[:36], action, frame, triggered=triggered)
            except NotAccepted:
                assert not expected, action
            except PeerError:  # The CSMS has no use for it; it has left.
                assert expected, action
            else:
                assert expected, action
            assert site.calls()[before:] == ([action] if expected else [])

    in_state(registration, version, scenario)


@versions
@not_accepted
def test_b01_fr_08_what_is_delivered_for_sure_waits(
    version: OcppVersion, registration: Registration
) -> None:
    async def scenario(site: Site) -> None:
        point = site.station.charge_point
        for action in ("TransactionEvent", "SecurityEventNotification", "NotifyEvent"):
            request = decode_payload(actions(version)[action].request, payload_of(version, action))
            await point.delivery.post(version, action, request, action)
        await site.clock.sleep(50)
        assert set(site.calls()) == {"BootNotification"}
        site.csms.on("BootNotification", accept(site))
        await asked(site, "TriggerMessage", b'{"requestedMessage":"BootNotification"}')
        await site.clock.sleep(FAR_S)
        sent = [action for action in site.calls() if action != "BootNotification"]
        assert {"TransactionEvent", "SecurityEventNotification", "NotifyEvent"} <= set(sent)

    in_state(registration, version, scenario)


def accept(site: Site) -> Any:
    def answer(_station: object, _request: object) -> Any:
        m: Any = site.version.module
        return m.BootNotificationResponse(
            current_time=site.clock.now(), interval=0, status="Accepted"
        )

    return answer


@versions
def test_b01_fr_03_b01_fr_08_what_an_earlier_run_has_left_comes_after_the_boot(
    version: OcppVersion, tmp_path: Path
) -> None:
    """Each start connects and registers again, and says why (B01.FR.09)."""

    async def run(clock: VirtualClock) -> None:
        path = tmp_path / "station.db"
        free = replace(QUIET, auth_enabled=False)
        first = Site(clock, version, storage=SqliteStorage(path), variables=free)
        async with first:
            first.cut(until_s=FAR_S)
            await first.clock.sleep(1)
            await first.charge(20)
        for reason in ("RemoteReset", "PowerUp", "Watchdog"):
            site = Site(clock, version, storage=SqliteStorage(path), ids=Ids(seed=3))
            await site.station.start(reason)
            await site.station.charge_point.wait_accepted(60)
            await site.station.charge_point.delivery.drained()
            assert site.calls()[0] == "BootNotification"
            assert [boot["reason"] for boot in site.sent("BootNotification")] == [reason]
            assert site.dials == 1
            if reason == "RemoteReset":
                assert "TransactionEvent" in site.calls()
            await site.station.stop()
            await site.csms.stop()

    run_virtual(run)


@versions
@pytest.mark.parametrize("asked_for", ["NotifyReport", "MeterValues"])
def test_b03_fr_02_nothing_triggered_follows_a_rejection(
    version: OcppVersion, asked_for: str
) -> None:
    """Many messages are under way when the next BootNotification goes, and that is Rejected."""
    m: Any = version.module
    clocks: list[VirtualClock] = []

    async def slowly(_station: object, request: Any) -> Any:
        await clocks[0].sleep(1.0)
        return getattr(m, type(request).__name__.replace("Request", "Response"))()

    async def scenario(site: Site) -> None:
        clocks.append(site.clock)
        cache = site.station.charge_point.device_model.cache
        number = cache.find("InternalCtrlr", None, None, None, "MaxMessageSize", None)
        cache.default(number, 0, "2000")
        await site.clock.sleep(2)
        if asked_for == "NotifyReport":
            request = m.GetBaseReportRequest(request_id=1, report_base="FullInventory")
        else:
            request = m.TriggerMessageRequest(requested_message="MeterValues")
        response: Any = await site.csms.call("CS001", request)
        assert response.status == "Accepted"
        await site.clock.sleep(60)
        calls = site.calls()
        assert calls.count("BootNotification") == 2
        assert calls[1] == calls[2] == asked_for
        assert calls[-1] == "BootNotification", "nothing after the second answer"
        assert len(calls) < 10

    at_site(
        scenario,
        version,
        evses=20,
        boot=[("Pending", 6), ("Rejected", FAR_S)],
        handlers={asked_for: slowly},
        variables={"aligned_measurands": ("Energy.Active.Import.Register",)},
    )


# --- the link -----------------------------------------------------------------------------------


@versions
def test_b02_fr_06_the_link_stays_open_for_days_of_pending(version: OcppVersion) -> None:
    async def scenario(site: Site) -> None:
        await site.clock.sleep(3 * 86_400)
        assert site.dials == 1
        assert site.station.charge_point.connected
        assert len(site.sent("BootNotification")) == pytest.approx(3 * 24, abs=2)
        assert set(site.calls()) == {"BootNotification"}

    at_site(scenario, version, boot=[("Pending", 3_600)], sample_interval_s=3_600.0)


@versions
@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_b02_fr_03_b03_fr_01_charging_before_it_is_accepted(
    version: OcppVersion, status: str, *, allowed: bool
) -> None:
    """TxCtrlr.TxBeforeAcceptedEnabled: what is authorized locally may charge, and is told later."""

    async def scenario(site: Site) -> None:
        await site.clock.sleep(1)
        await site.station.plug_in(1)
        if not allowed:
            assert (await site.station.swipe(TOKEN, 1)).result == "refused"
        await site.clock.sleep(30)
        point = site.station.charge_point
        assert (point.get_evse_transaction_id(1) is not None) is allowed
        assert set(site.calls()) == {"BootNotification"}
        await site.clock.sleep(60)
        assert site.station.charge_point.registration is Registration.ACCEPTED
        assert ("TransactionEvent" in site.calls()) is allowed
        stamps = [json.dumps(event["timestamp"]) for event in site.sent("TransactionEvent")]
        assert stamps == sorted(stamps)

    at_site(
        scenario,
        version,
        boot=[(status, 60), ("Accepted", 0)],
        variables={"tx_before_accepted_enabled": allowed, "auth_enabled": not allowed},
    )
