"""M06: the OCSP status of the station's V2G certificates, ready for the handshake with an EV."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64decode, b64encode
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ocpp_fast.blocks.context import NotAccepted, number_of
from ocpp_fast.errors import ConnectionLost, PeerError, StorageError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from cryptography import x509

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.messages import v21
    from ocpp_fast.restoring import Restart
    from ocpp_fast.security.ocsp import CertificateStatus as Status
    from ocpp_fast.security.ocsp import StatusRequest
    from ocpp_fast.security.station import StationCertificates
    from ocpp_fast.storage.base import Storage

__all__ = ["CertificateStatus"]

_log = logging.getLogger(__name__)

STATE: Final = "ocsp."
"""Begin of the names of the durable facts; the fingerprint of the certificate follows."""
_WEEK_S: Final = 604_800.0
_EARLY_S: Final = 3_600.0
_RETRY_S: Final = 86_400.0
_REST_S: Final = 3_600.0
"""Longest time between two looks at what is due."""


class CertificateStatus:
    """Asks the CSMS for the status of each V2G certificate and sub CA that names a responder.

    That happens once the CSMS has accepted the station, when there are other certificates than
    before (M06.FR.07), and before an answer is a week old (M06.FR.10; every
    InternalCtrlr.OcspRequestInterval seconds, if that is less). What could not be had is asked for
    again a day later. Answers are durable.
    """

    prefix = STATE

    def __init__(
        self,
        context: Context,
        device_model: DeviceModel,
        certificates: StationCertificates,
        storage: Storage,
    ) -> None:
        self._context = context
        self._device_model = device_model
        self._certificates = certificates
        self._storage = storage
        self._answers: dict[str, bytes] = {}
        """Fingerprint -> OCSPResponse."""
        self._asked: dict[str, datetime] = {}
        """Fingerprint -> when it was asked for, successfully or not."""
        self._failed: set[str] = set()
        self._due: set[str] = set()
        """Those that are to be asked for as soon as the CSMS can be asked."""
        self._anew = False
        """Whether all are to be asked for, due or not."""
        self._wake = asyncio.Event()

    async def restore(self, facts: Mapping[str, str], _restart: Restart) -> None:
        """See `DurablePart.restore`."""
        for name, text in facts.items():
            try:
                self._answers[name.removeprefix(STATE)] = b64decode(text)
            except ValueError:
                _log.warning("%s cannot be read, it is asked for again", name)

    def refresh(self) -> None:
        """The CSMS can be asked, or other certificates are installed: looks for what is due."""
        self._wake.set()

    def updated(self) -> None:
        """There is a new V2G certificate: it is asked for, and so are the sub CAs, whatever is
        known of them (M06.FR.07)."""
        self._anew = True
        self._wake.set()

    def response(self, certificate: x509.Certificate) -> bytes | None:
        """What there is to be shown to an EV, as DER (M06.FR.06): the OCSPResponse for a
        certificate of the station; None when there is none that still counts."""
        from ocpp_fast.security.certificates import fingerprint

        for request in self._requests():
            if fingerprint(request.certificate) == fingerprint(certificate):
                status = self._judged(request)
                return None if status is None else status.response
        return None

    async def run(self) -> None:
        """Keeps the answers fresh, for ever."""
        while True:
            self._wake.clear()
            if self._context.accepted and self._certificates.in_use():
                await self._look()
            try:
                await self._context.clock.wait_for(self._wake.wait(), _REST_S)
            except TimeoutError:
                continue

    # --- inside ---------------------------------------------------------------------------

    def _requests(self) -> list[StatusRequest]:
        from ocpp_fast.security.ocsp import status_requests
        from ocpp_fast.security.store import LeafUse

        store = self._certificates.store()
        return [
            request
            for use in (LeafUse.V2G, LeafUse.V2G20)
            for chain in store.chains(use)
            for request in status_requests(store.path(chain.chain, use))
        ]

    async def _look(self) -> None:
        from ocpp_fast.security.certificates import fingerprint

        requests = {fingerprint(each.certificate): each for each in self._requests()}
        await self._forget({*self._answers} - {*requests})
        now = self._context.clock.now()
        if self._anew:
            self._anew = False
            self._due |= {*requests}
        self._due |= {name for name, each in requests.items() if self._is_due(name, each, now)}
        self._due &= {*requests}
        for name in sorted(self._due):
            if not await self._ask(name, requests[name]):
                return

    def _is_due(self, name: str, request: StatusRequest, now: datetime) -> bool:
        if name in self._failed:
            return now - self._asked[name] >= timedelta(seconds=_RETRY_S)
        status = self._judged(request)
        if status is None:
            return True
        interval_s = number_of(
            self._device_model, "InternalCtrlr", "OcspRequestInterval", _WEEK_S - _EARLY_S
        )
        # Somewhat early, since it is looked at every hour only.
        interval = timedelta(seconds=min(interval_s, _WEEK_S - _EARLY_S))
        asked = self._asked.get(name, status.this_update)
        until = status.next_update
        return now - asked >= interval or (
            until is not None and until - now <= timedelta(seconds=_EARLY_S)
        )

    async def _ask(self, name: str, request: StatusRequest) -> bool:
        """GetCertificateStatus for one certificate; False when there is no link any more."""
        from ocpp_fast.security.ocsp import OcspFailed, judge_response, read_result

        m = self._context.messages
        now = self._context.clock.now()
        try:
            response = await self._context.call(
                m.GetCertificateStatusRequest(ocsp_request_data=self._data(request)),
                m.GetCertificateStatusResponse,
            )
            # Failed (M06.FR.04) has no result, and an empty text is none either.
            answer = read_result(response.ocsp_result or "")
            judge_response(answer, request.certificate, request.issuer, now)
        except (ConnectionLost, NotAccepted):
            return False
        except (OcspFailed, PeerError, ValidationError) as error:
            _log.warning("no OCSP status of certificate %s: %s", request.data.serial_number, error)
            self._failed.add(name)
        else:
            self._failed.discard(name)
            self._answers[name] = answer
            await self._store({STATE + name: b64encode(answer).decode()})
        self._asked[name] = now
        self._due.discard(name)
        return True

    def _data(self, request: StatusRequest) -> v21.OCSPRequestDataType:
        m = self._context.messages
        data = request.data
        return m.OCSPRequestDataType(
            hash_algorithm=m.HashAlgorithmEnumType(data.hash_algorithm),
            issuer_name_hash=data.issuer_name_hash,
            issuer_key_hash=data.issuer_key_hash,
            serial_number=data.serial_number,
            responder_url=request.responder_url,
        )

    def _judged(self, request: StatusRequest) -> Status | None:
        """The answer that is there, if it still counts."""
        from ocpp_fast.security.certificates import fingerprint
        from ocpp_fast.security.ocsp import OcspFailed, judge_response

        answer = self._answers.get(fingerprint(request.certificate))
        if answer is None:
            return None
        now = self._context.clock.now()
        try:
            return judge_response(answer, request.certificate, request.issuer, now)
        except OcspFailed:
            return None

    async def _forget(self, names: set[str]) -> None:
        for name in names:
            del self._answers[name]
            self._asked.pop(name, None)
        # What was never answered has no answer that could be forgotten.
        if names:
            await self._store({STATE + name: None for name in names})

    async def _store(self, changes: dict[str, str | None]) -> None:
        try:
            await self._storage.state_store(changes)
        except StorageError as error:  # It holds until the end of the process.
            _log.error("the OCSP status cannot be stored: %s", error)
