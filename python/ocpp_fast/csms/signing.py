"""How the simple CSMS signs the certificates of stations and tells their status (A02, A03, M06)."""

from __future__ import annotations

import logging
from base64 import b64encode
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ocpp_fast.errors import CertificateInvalid, OcppError
from ocpp_fast.router import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocpp_fast.clock import Clock
    from ocpp_fast.csms.ledger import StationRecord
    from ocpp_fast.csms.security import CsmsSecurity
    from ocpp_fast.messages import Message, v21
    from ocpp_fast.security.authority import CertificateAuthority

__all__ = ["Signer", "Signing"]

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Signer:
    """Who signs for the CSMS, and how badly. All of it can be changed at any time."""

    authority: CertificateAuthority
    delay_s: float = 0.0
    """Between SignCertificate and CertificateSigned."""
    refuse: bool = False
    """SignCertificate is answered Rejected (A02.FR.12)."""
    silent: bool = False
    """It is accepted, and nothing follows."""
    forge: Callable[[v21.SignCertificateRequest], str] | None = None
    """What is sent as the chain, instead of what the authority signs."""


class _Csms(Protocol):
    """What this needs of `Csms`."""

    async def call(self, identity: str, request: Message) -> Any: ...


class Signing:
    """The answers of a CSMS that has a `Signer`."""

    def __init__(self, csms: _Csms, security: CsmsSecurity, signer: Signer, clock: Clock) -> None:
        self._csms = csms
        self._security = security
        self._signer = signer
        self._clock = clock

    def handlers(self) -> dict[str, Callable[[StationRecord, Any], Message | Reply]]:
        """By action, to be used by `Csms.on`."""
        return {
            "SignCertificate": self._sign,
            "GetCertificateStatus": self._status,
            "GetCertificateChainStatus": self._chain_status,
        }

    # --- A02, A03 -------------------------------------------------------------------------

    def _sign(self, station: StationRecord, request: v21.SignCertificateRequest) -> Message | Reply:
        """Signs at once, so that what cannot be signed is Rejected (A02.FR.11, A02.FR.12)."""
        m = _messages(station)
        if self._signer.refuse:
            return m.SignCertificateResponse(status=m.GenericStatusEnumType.REJECTED)
        try:
            chain = self._chain(station, request)
        except CertificateInvalid as error:
            _log.warning("%s: no certificate: %s", station.identity, error)
            info = m.StatusInfoType(reason_code="InvalidCSR", additional_info=str(error))
            rejected = m.GenericStatusEnumType.REJECTED
            return m.SignCertificateResponse(status=rejected, status_info=info)
        accepted = m.SignCertificateResponse(status=m.GenericStatusEnumType.ACCEPTED)
        if self._signer.silent:
            return accepted
        return Reply(accepted, partial(self._send, station, request, chain))

    def _chain(self, station: StationRecord, request: v21.SignCertificateRequest) -> str:
        """A station gets a client certificate for itself alone (A00.FR.405, A00.FR.427)."""
        if self._signer.forge is not None:
            return self._signer.forge(request)
        from ocpp_fast.security.authority import read_csr  # only where certificates are used
        from ocpp_fast.security.certificates import common_names

        kind = request.certificate_type
        if kind is None or kind == "ChargingStationCertificate":
            asked = common_names(read_csr(request.csr).subject)
            if asked != (self._security.common_name(station.identity),):
                raise CertificateInvalid(f"the signing request is for {', '.join(asked)!r}")
        return self._signer.authority.sign(request.csr, kind)

    async def _send(
        self, station: StationRecord, request: v21.SignCertificateRequest, chain: str
    ) -> None:
        """CertificateSigned with the type and the requestId of the request (A02.FR.14, 25)."""
        m = _messages(station)
        number = getattr(request, "request_id", None)  # 2.0.1 has none
        signed = m.CertificateSignedRequest(
            certificate_chain=chain,
            certificate_type=request.certificate_type,
            **({} if number is None else {"request_id": number}),
        )
        await self._clock.sleep(self._signer.delay_s)
        try:
            response = await self._csms.call(station.identity, signed)
        except OcppError as error:
            _log.warning("%s: certificate not delivered: %s", station.identity, error)
            return
        station.signed.append(str(response.status))
        if response.status != "Accepted":
            _log.warning("%s: refused the certificate: %s", station.identity, response.status_info)

    # --- M06 ------------------------------------------------------------------------------

    def _status(self, station: StationRecord, request: v21.GetCertificateStatusRequest) -> Message:
        """M06.FR.01-04, M06.FR.08, M06.FR.09."""
        m = _messages(station)
        try:
            status = self._ocsp(request.ocsp_request_data)
        except CertificateInvalid as error:
            _log.warning("%s: no certificate status: %s", station.identity, error)
            return m.GetCertificateStatusResponse(status=m.GetCertificateStatusEnumType.FAILED)
        return m.GetCertificateStatusResponse(
            status=m.GetCertificateStatusEnumType.ACCEPTED, ocsp_result=b64encode(status).decode()
        )

    def _chain_status(
        self, station: StationRecord, request: v21.GetCertificateChainStatusRequest
    ) -> Message:
        m = _messages(station)
        authority = self._signer.authority
        status = m.CertificateStatusEnumType

        def find(asked: v21.CertificateHashDataType) -> v21.CertificateStatusEnumType:
            try:
                self._ocsp(asked)
            except CertificateInvalid:
                return status.FAILED
            return (
                status.REVOKED if int(asked.serial_number, 16) in authority.revoked else status.GOOD
            )

        next_update = self._clock.now() + authority.status_lifetime
        return m.GetCertificateChainStatusResponse(
            certificate_status=[
                m.CertificateStatusType(
                    certificate_hash_data=asked.certificate_hash_data,
                    source=asked.source,
                    status=find(asked.certificate_hash_data),
                    next_update=next_update,
                )
                for asked in request.certificate_status_requests
            ]
        )

    def _ocsp(self, asked: v21.OCSPRequestDataType | v21.CertificateHashDataType) -> bytes:
        from ocpp_fast.security.certificates import HashData

        named = HashData(
            asked.hash_algorithm,
            asked.issuer_name_hash,
            asked.issuer_key_hash,
            asked.serial_number,
        )
        return self._signer.authority.status(named)


def _messages(station: StationRecord) -> Any:
    if station.version is None:
        raise TypeError("a station that was never connected")
    return station.version.module
