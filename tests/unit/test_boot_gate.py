"""The lists of what may pass before the CSMS has accepted the station (B01 to B03).

Every action comes from the registry: one that is new is held back until somebody lets it pass here
and in the lists.
"""

from itertools import product

import pytest

from ocpp_fast.boot_gate import Registration, Verdict, may_send, may_trigger, verdict
from ocpp_fast.messages import Direction, OcppVersion, actions

NONE, PENDING, REJECTED, ACCEPTED = (
    Registration.NONE,
    Registration.PENDING,
    Registration.REJECTED,
    Registration.ACCEPTED,
)

REPORTED = {"NotifyReport"}
"""By GetBaseReport and GetReport."""
TRIGGERED = {
    "BootNotification": "BootNotification",
    "LogStatusNotification": "LogStatusNotification",
    "FirmwareStatusNotification": "FirmwareStatusNotification",
    "Heartbeat": "Heartbeat",
    "MeterValues": "MeterValues",
    "SignChargingStationCertificate": "SignCertificate",
    "SignV2GCertificate": "SignCertificate",
    "SignV2G20Certificate": "SignCertificate",
    "SignCombinedCertificate": "SignCertificate",
    "StatusNotification": "StatusNotification",
    "PublishFirmwareStatusNotification": "PublishFirmwareStatusNotification",
}
"""MessageTriggerEnumType and what it makes the station send."""
QUEUED = {"TransactionEvent", "CustomTrigger"}
"""Those that bring nothing while Pending: an event waits for those before it, and no custom one is
implemented."""

ANSWERED = {
    "SetVariables",
    "GetVariables",
    "GetBaseReport",
    "GetReport",
    "TriggerMessage",
    "CertificateSigned",
    "InstallCertificate",
    "DeleteCertificate",
    "GetInstalledCertificateIds",
}


def of(version: OcppVersion, *directions: Direction) -> list[str]:
    return [name for name, info in actions(version).items() if info.direction in directions]


SENT = [
    (version, action)
    for version in OcppVersion
    for action in of(version, Direction.CS_TO_CSMS, Direction.BOTH)
]
RECEIVED = [
    (version, action)
    for version in OcppVersion
    for action in of(version, Direction.CSMS_TO_CS, Direction.BOTH)
]


@pytest.mark.parametrize("triggered", [False, True], ids=["spontaneous", "triggered"])
@pytest.mark.parametrize("registration", Registration)
@pytest.mark.parametrize(("version", "action"), SENT)
def test_b01_fr_08_b02_fr_02_b03_fr_02_what_may_leave(
    version: OcppVersion, action: str, registration: Registration, *, triggered: bool
) -> None:
    asked_for = {*TRIGGERED.values(), *REPORTED}
    expected = (
        registration is ACCEPTED
        or action == "BootNotification"
        or (registration is PENDING and triggered and action in asked_for)
    )
    assert may_send(action, registration, triggered=triggered) is expected, version


@pytest.mark.parametrize("registration", Registration)
@pytest.mark.parametrize(("version", "action"), RECEIVED)
def test_b02_fr_01_b02_fr_05_b03_fr_08_what_is_answered(
    version: OcppVersion, action: str, registration: Registration
) -> None:
    if registration is ACCEPTED or (registration is PENDING and action in ANSWERED):
        expected = Verdict.HANDLE
    elif registration is PENDING and action.startswith(("RequestStart", "RequestStop")):
        expected = Verdict.REJECT
    else:
        expected = Verdict.REFUSE
    assert verdict(action, registration) is expected, version


@pytest.mark.parametrize("version", OcppVersion)
@pytest.mark.parametrize("registration", Registration)
def test_b02_fr_04_f06_fr_17_what_may_be_triggered(
    version: OcppVersion, registration: Registration
) -> None:
    for message in version.module.MessageTriggerEnumType:
        if registration is ACCEPTED:
            expected = message != "BootNotification"
        elif registration is PENDING:
            expected = message != "TransactionEvent"
        else:
            expected = registration is NONE and message == "BootNotification"
        assert may_trigger(message, registration) is expected, message
        handled = expected or registration in (PENDING, ACCEPTED)
        found = verdict("TriggerMessage", registration, message)
        assert found is (Verdict.HANDLE if handled else Verdict.REFUSE), message


@pytest.mark.parametrize("version", OcppVersion)
def test_what_is_triggered_while_pending_may_then_leave(version: OcppVersion) -> None:
    triggers = {str(each) for each in version.module.MessageTriggerEnumType}
    assert triggers - QUEUED <= TRIGGERED.keys()
    for message in triggers - QUEUED:
        assert may_send(TRIGGERED[message], PENDING, triggered=True)
    assert not may_send("TransactionEvent", PENDING, triggered=True)


def test_lists_name_actions_that_exist() -> None:
    known = {name for version in OcppVersion for name in actions(version)}
    assert {*TRIGGERED.values(), *REPORTED, *ANSWERED} <= known
    assert len(SENT) > 50
    assert len(RECEIVED) > 80
    for registration, action in product(Registration, ["NoSuchAction"]):
        assert may_send(action, registration) is (registration is ACCEPTED)
