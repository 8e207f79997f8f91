"""What may pass between a station and its CSMS before the CSMS has accepted the station.

Both directions ask here, and nothing else decides (B01 to B03, the same in both versions). The
lists name what passes; an action that comes later does not, until it is put on one.

- None: the station sends BootNotification, and answers TriggerMessage when it asks for that;
- Pending: it sends what the CSMS has asked for as well, and answers what sets it up; a remote start
  or stop is answered with Rejected;
- Rejected: it sends BootNotification when its time has come, and answers nothing;
- Accepted: everything passes.

What is not answered gets the CALLERROR SecurityError.
"""

from enum import StrEnum
from types import MappingProxyType
from typing import Final

__all__ = ["Registration", "Verdict", "may_send", "may_trigger", "verdict"]


class Registration(StrEnum):
    """What the CSMS said to the last BootNotification."""

    NONE = "None"
    """Nothing yet."""
    PENDING = "Pending"
    REJECTED = "Rejected"
    ACCEPTED = "Accepted"


class Verdict(StrEnum):
    """What becomes of a request of the CSMS."""

    HANDLE = "handle"
    """It is handled as ever."""
    REJECT = "reject"
    """It is answered with the status Rejected (B02.FR.05)."""
    REFUSE = "refuse"
    """It is answered with the CALLERROR SecurityError (B03.FR.08)."""


BOOT: Final = "BootNotification"
TRIGGER: Final = "TriggerMessage"

# What TriggerMessage, GetBaseReport and GetReport bring about (B02.FR.02). No TransactionEvent: it
# must not overtake those before it, which wait until the station is accepted (B01.FR.08).
SENT_WHILE_PENDING: Final = frozenset(
    {
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "NotifyReport",
        "PublishFirmwareStatusNotification",
        "SignCertificate",
        "StatusNotification",
    }
)

# How a CSMS sets up a station (B02.FR.01): variables and reports; its credentials as well, which it
# may want renewed before it accepts the station (A00.FR.806, A00.FR.807).
ANSWERED_WHILE_PENDING: Final = frozenset(
    {
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
)

REJECTED_WHILE_PENDING: Final = frozenset({"RequestStartTransaction", "RequestStopTransaction"})

# MessageTriggerEnumType: what must not be triggered in a state. Once accepted there is no reason to
# boot again (F06.FR.17).
_NOT_TRIGGERED: Final = MappingProxyType(
    {
        Registration.PENDING: frozenset({"TransactionEvent"}),
        Registration.ACCEPTED: frozenset({BOOT}),
    }
)


def may_send(action: str, registration: Registration, *, triggered: bool = False) -> bool:
    """Whether a CALL or SEND of the station may leave (B01.FR.08, B02.FR.02, B03.FR.02);
    `triggered`: the CSMS has asked for it. When a BootNotification is due is not asked here."""
    if registration is Registration.ACCEPTED or action == BOOT:
        return True
    return triggered and registration is Registration.PENDING and action in SENT_WHILE_PENDING


def may_trigger(message: str, registration: Registration) -> bool:
    """Whether TriggerMessage may ask for this MessageTriggerEnumType now. Before the first answer
    it is BootNotification alone, which B02.FR.04 lets a CSMS ask for at any time."""
    if registration in (Registration.PENDING, Registration.ACCEPTED):
        return message not in _NOT_TRIGGERED[registration]
    return registration is Registration.NONE and message == BOOT


def verdict(action: str, registration: Registration, requested: str | None = None) -> Verdict:
    """What becomes of a request of the CSMS, handled by this station or not; `requested` is the
    requestedMessage of a TriggerMessage."""
    if registration is Registration.ACCEPTED:
        return Verdict.HANDLE
    if registration is Registration.PENDING:
        if action in ANSWERED_WHILE_PENDING:
            return Verdict.HANDLE
        return Verdict.REJECT if action in REJECTED_WHILE_PENDING else Verdict.REFUSE
    if action == TRIGGER and requested is not None and may_trigger(requested, registration):
        return Verdict.HANDLE
    return Verdict.REFUSE
