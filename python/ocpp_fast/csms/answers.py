"""What the simple CSMS answers when nobody has said otherwise: always valid, friendly, honest.

It answers every action that a station may send. Where a real CSMS would need something that this
one does not have (a certificate authority, an OCSP responder, a payment back end), it says no.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocpp_fast.messages.registry import Direction, Framing, actions
from ocpp_fast.messages.version import OcppVersion

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ocpp_fast.messages import Message, v21

__all__ = ["default_answers"]

Answer = "Callable[[Any], Message | None]"


class _Answers:
    """The answers that need more than an empty response, by action."""

    def __init__(
        self, version: OcppVersion, now: Callable[[], datetime], heartbeat_interval_s: int
    ) -> None:
        self._version = version
        self._module = version.module
        self._now = now
        self._heartbeat_interval_s = heartbeat_interval_s

    # See `Context.messages` for why there is no annotation.
    @property
    def _messages(self):  # noqa: ANN202
        if TYPE_CHECKING:
            from ocpp_fast.messages import v21

            return v21
        return self._module

    def _accepted_token(self) -> v21.IdTokenInfoType:
        m = self._messages
        return m.IdTokenInfoType(status=m.AuthorizationStatusEnumType.ACCEPTED)

    def Authorize(self, _: object) -> Message:
        return self._messages.AuthorizeResponse(id_token_info=self._accepted_token())

    def BootNotification(self, _: object) -> Message:
        m = self._messages
        return m.BootNotificationResponse(
            current_time=self._now(),
            interval=self._heartbeat_interval_s,
            status=m.RegistrationStatusEnumType.ACCEPTED,
        )

    def DataTransfer(self, _: object) -> Message:
        m = self._messages  # P02.FR.06
        return m.DataTransferResponse(status=m.DataTransferStatusEnumType.UNKNOWN_VENDOR_ID)

    def Get15118EVCertificate(self, _: object) -> Message:
        m = self._messages
        status = m.Iso15118EVCertificateStatusEnumType.FAILED
        return m.Get15118EVCertificateResponse(status=status, exi_response="")

    def GetCertificateChainStatus(self, request: v21.GetCertificateChainStatusRequest) -> Message:
        m = self._messages
        return m.GetCertificateChainStatusResponse(
            certificate_status=[
                m.CertificateStatusType(
                    certificate_hash_data=asked.certificate_hash_data,
                    source=asked.source,
                    status=m.CertificateStatusEnumType.FAILED,
                    next_update=self._now(),
                )
                for asked in request.certificate_status_requests
            ]
        )

    def GetCertificateStatus(self, _: object) -> Message:
        m = self._messages
        return m.GetCertificateStatusResponse(status=m.GetCertificateStatusEnumType.FAILED)

    def Heartbeat(self, _: object) -> Message:
        return self._messages.HeartbeatResponse(current_time=self._now())  # G02.FR.03

    def NotifyEVChargingNeeds(self, _: object) -> Message:
        m = self._messages
        status = m.NotifyEVChargingNeedsStatusEnumType
        none = status.ACCEPTED if self._version is OcppVersion.V201 else status.NO_CHARGING_PROFILE
        return m.NotifyEVChargingNeedsResponse(status=none)

    def NotifyEVChargingSchedule(self, _: object) -> Message:
        m = self._messages
        return m.NotifyEVChargingScheduleResponse(status=m.GenericStatusEnumType.ACCEPTED)

    def OpenPeriodicEventStream(self, _: object) -> Message:
        m = self._messages
        return m.OpenPeriodicEventStreamResponse(status=m.GenericStatusEnumType.ACCEPTED)

    def PullDynamicScheduleUpdate(self, _: object) -> Message:
        m = self._messages
        status = m.ChargingProfileStatusEnumType.REJECTED
        return m.PullDynamicScheduleUpdateResponse(status=status)

    def SignCertificate(self, _: object) -> Message:
        m = self._messages
        return m.SignCertificateResponse(status=m.GenericStatusEnumType.REJECTED)

    def TransactionEvent(self, request: v21.TransactionEventRequest) -> Message:
        m = self._messages
        if request.id_token is None:
            return m.TransactionEventResponse()
        return m.TransactionEventResponse(id_token_info=self._accepted_token())  # E01.FR.12

    def VatNumberValidation(self, request: v21.VatNumberValidationRequest) -> Message:
        m = self._messages
        return m.VatNumberValidationResponse(
            vat_number=request.vat_number, status=m.GenericStatusEnumType.ACCEPTED
        )


def default_answers(
    version: OcppVersion, now: Callable[[], datetime], heartbeat_interval_s: int
) -> dict[str, Callable[[Any], Message | None]]:
    """For each action that a station of this version may send, what makes the answer."""
    special = _Answers(version, now, heartbeat_interval_s)
    answers: dict[str, Callable[[Any], Message | None]] = {}
    for action, info in actions(version).items():
        if info.direction is Direction.CSMS_TO_CS:
            continue
        if info.framing is Framing.SEND:
            answers[action] = _nothing
        else:
            answers[action] = getattr(special, action, None) or _empty(info.response)
    return answers


def _nothing(_: object) -> None:
    return None


def _empty(response: type[Message] | None) -> Callable[[object], Message]:
    if response is None:
        raise TypeError("a CALL has a response")

    # One value serves all: messages are frozen.
    answer = response()
    return lambda _: answer
