"""A02, A03: certificates of the station itself, asked for, judged, tried and kept."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ocpp_fast.blocks.context import NotAccepted, Registration
from ocpp_fast.blocks.security.settings import STATION, V2G20, PlugAndCharge, SigningSettings
from ocpp_fast.blocks.security.signing import Outstanding, Request
from ocpp_fast.config import CLIENT_CERTIFICATE_PROFILE
from ocpp_fast.errors import (
    CertificateInvalid,
    ConfigurationError,
    ConnectionLost,
    OcppError,
    StorageError,
)
from ocpp_fast.messages.version import OcppVersion
from ocpp_fast.router import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocpp_fast.blocks.context import Context, Trigger
    from ocpp_fast.blocks.security.events import SecurityEvents
    from ocpp_fast.clock import Timer
    from ocpp_fast.connectivity.link import Link
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.messages import v21
    from ocpp_fast.restoring import Restart
    from ocpp_fast.router import After, Handler
    from ocpp_fast.security.certificates import Chain
    from ocpp_fast.security.station import StationCertificates
    from ocpp_fast.security.store import LeafUse
    from ocpp_fast.storage.base import Storage

__all__ = ["ClientCertificates"]

_log = logging.getLogger(__name__)

REQUESTS: Final = "signing.requests"
"""Name of the durable fact."""
_V2G_BITS: Final = 256
"""ISO 15118 knows elliptic curves only."""
_TRIGGERS: Final = {
    "SignChargingStationCertificate": STATION,
    "SignV2GCertificate": "V2GCertificate",
    "SignV2G20Certificate": V2G20,
}
_USES: Final = tuple(_TRIGGERS.values())


class ClientCertificates:
    """Asks the CSMS for certificates, and takes what it sends if it is good.

    A request is made when the CSMS triggers one (A02), and when a certificate in use has no more
    than InternalCtrlr.ClientCertificateRenewalDays left (A03), which is looked at
    ClientCertificateExpireCheckInitialDelaySeconds after the start and then every
    ClientCertificateExpireCheckIntervalSeconds. Each has a key pair of its own, made here
    (A02.FR.02, A02.FR.05). What was asked for survives a restart, and so does the answer.

    A certificate that is refused is discarded; the CSMS is told, and nothing is asked for before
    it triggers that (A02.FR.07, A02.FR.20) or the next look at what expires. One that is taken
    stands beside the one in use: the station connects with it, falls back on the old one if that
    fails, and discards the other as soon as it is connected (A02.FR.08, A02.FR.10, A02.FR.28).

    SignCombinedCertificate is not implemented, and TriggerMessage says so (F06.FR.08): one
    certificate cannot have the serial number and the SeccId as its common name.
    """

    prefix = "signing."

    def __init__(
        self,
        context: Context,
        device_model: DeviceModel,
        certificates: StationCertificates,
        storage: Storage,
        events: SecurityEvents,
        *,
        serial_number: str,
        reconnect: Callable[[str], None],
        on_changed: Callable[[str], None],
    ) -> None:
        """`serial_number` becomes the common name of the station's certificate (A00.FR.511);
        `reconnect` closes the link, for the reason given, and dials again at once; `on_changed` is
        called with the CertificateSigningUseEnumType of which there are other certificates now."""
        self._context = context
        self._certificates = certificates
        self._storage = storage
        self._events = events
        self._settings = SigningSettings(context, device_model, serial_number)
        self._plug_and_charge = PlugAndCharge(device_model, storage)
        self._reconnect = reconnect
        self._on_changed = on_changed
        self._profile = 0
        self._outstanding = Outstanding()
        self._due: set[int] = set()
        """Ids of requests that go as soon as there is a link."""
        self._triggered: set[int] = set()
        """Ids of those that the CSMS wants, so that they may go while it keeps us Pending."""
        self._timers: dict[int, Timer] = {}
        self._check_due = False
        self.handlers: Mapping[str, Handler] = {"CertificateSigned": self._on_signed}
        self.triggers: Mapping[str, Trigger] = {
            name: partial(self._on_trigger, use) for name, use in _TRIGGERS.items()
        }

    # --- life -----------------------------------------------------------------------------

    async def restore(self, facts: Mapping[str, str], _restart: Restart) -> None:
        """See `DurablePart.restore`; raises `StorageError`."""
        try:
            self._outstanding = Outstanding.load(facts.get(REQUESTS))
        except (KeyError, TypeError, ValueError):
            _log.exception("what was asked of the CSMS cannot be read; it is asked for again")
        self._due |= {each.id for each in self._outstanding.active() if not each.sent}
        await self._plug_and_charge.restore(facts)

    async def run(self) -> None:
        """Looks for certificates that expire, for ever (A03.FR.02)."""
        clock = self._context.clock
        await clock.sleep(self._settings.initial_delay_s)
        while True:
            self._check_due = True
            if self._context.accepted:
                await self._check()
            await clock.sleep(self._settings.interval_s)

    async def connected(self, link: Link) -> None:
        """There is a link: of two client certificates the one that was not used is discarded
        (A02.FR.10, A03.FR.10)."""
        self._profile = link.slot.security_profile
        chain = link.target.chain
        if chain is None:
            return
        store = self._certificates.store()
        try:
            discarded = store.settle(chain.use, chain.id)
        except StorageError as error:
            _log.error("the certificate that is not in use stays: %s", error)
            return
        for each in discarded:
            if each.new:  # A02.FR.29, A03.FR.25
                await self._events.notify("DiscardedRenewedClientCertificate", each.label)
            else:
                _log.info("the old client certificate is discarded: %s", each.label)
        if discarded:
            self._on_changed(STATION)

    def accepted(self) -> None:
        """The CSMS has accepted the station, or it is back and accepted: sends what waits."""
        for request in self._outstanding.active():
            if request.id in self._due:
                self._send_soon(request.id)
            elif request.id not in self._timers:
                self._wait(request)
        if self._check_due:
            self._context.spawn(self._check(), "check certificates")

    # --- asking ---------------------------------------------------------------------------

    def _on_trigger(self, use: str, evse: v21.EVSEType | None) -> After | None:
        """A02.FR.02, A02.FR.22, A02.FR.23: Rejected when what the certificate needs is not
        configured, or V2G certificates are not to be installed."""
        evse_id = None if evse is None else evse.id
        if not self._settings.is_wanted(use) or self._settings.subject(use, evse_id) is None:
            return None

        async def begin() -> None:
            await self._begin(use, evse_id, triggered=True)

        return begin

    async def _check(self) -> None:
        """A03.FR.02: renews the certificates that expire soon."""
        self._check_due = False
        if not self._certificates.in_use():
            return
        left = self._settings.renewal
        for use in _USES:
            if not self._settings.is_wanted(use) or self._outstanding.is_active(use):
                continue
            if use == STATION and self._profile != CLIENT_CERTIFICATE_PROFILE:
                continue  # It is not in use.
            chain = self._certificates.store().client_chain(_leaf_use(use))
            if chain is None or chain.not_after - self._context.clock.now() > left:
                continue
            _log.warning("the %s expires on %s, a new one is asked for", use, chain.not_after)
            await self._begin(use, None)

    async def _begin(self, use: str, evse_id: int | None, *, triggered: bool = False) -> None:
        """A new key pair and the request for its certificate (A02.FR.02, A02.FR.03)."""
        subject = self._settings.subject(use, evse_id)
        if subject is None:
            _log.error("no %s can be asked for: its subject is not configured", use)
            return
        store = self._certificates.store()
        try:
            made = store.begin_key(_leaf_use(use), subject)
            request, dropped = self._outstanding.begin(
                use=use,
                key_id=made.key_id,
                csr=made.csr,
                common_name=subject.common_name,
                organization=subject.organization,
            )
            for each in dropped:
                store.discard_key(each.key_id)
            await self._keep()
        except (ConfigurationError, StorageError) as error:
            _log.error("no %s can be asked for: %s", use, error)
            return
        self._due.add(request.id)
        if triggered:
            self._triggered.add(request.id)
        await self._send(request.id)

    def _send_soon(self, request_id: int) -> None:
        self._due.add(request_id)
        self._timers.pop(request_id, None)
        self._context.spawn(self._send(request_id), "ask for a certificate")

    async def _send(self, request_id: int) -> None:
        """Sends a request that is due, if it can go now; else it goes after `accepted`."""
        request = self._outstanding.get(request_id)
        if request is None or request.stopped:
            self._forget(request_id)
            return
        triggered = request_id in self._triggered
        may_send = self._context.accepted or (triggered and self._is_pending())
        if request_id not in self._due or not may_send or not self._settings.is_wanted(request.use):
            return
        self._due.discard(request_id)
        m = self._context.messages
        try:
            response = await self._context.call(
                self._message(request), m.SignCertificateResponse, triggered=triggered
            )
        except (ConnectionLost, NotAccepted):
            self._due.add(request_id)
            return
        except OcppError as error:  # As if it had been accepted and then forgotten.
            _log.warning("SignCertificate failed: %s", error)
            refused = False
        else:
            refused = response.status == m.GenericStatusEnumType.REJECTED
        current = self._outstanding.get(request_id)
        if current is None:  # Its certificate was faster.
            return
        if refused:
            await self._on_refused(current)
        else:
            sent = replace(current, sent=current.sent + 1)
            self._outstanding.put(sent)
            self._wait(sent)
            await self._keep_if_possible()

    def _is_pending(self) -> bool:
        return self._context.online and self._context.registration is Registration.PENDING

    def _message(self, request: Request) -> v21.SignCertificateRequest:
        m = self._context.messages
        use = m.CertificateSigningUseEnumType(request.use)  # A02.FR.13, A03.FR.13
        if self._context.version is OcppVersion.V201:
            return m.SignCertificateRequest(csr=request.csr, certificate_type=use)
        return m.SignCertificateRequest(
            csr=request.csr,
            certificate_type=use,
            hash_root_certificate=self._root_of(request.use),
            request_id=request.id,  # A02.FR.24, A03.FR.20
        )

    def _root_of(self, use: str) -> v21.CertificateHashDataType | None:
        """The V2G root whose authority is to sign: that of the certificate in use, else the newest
        (A02.FR.27, A03.FR.23)."""
        if use == STATION:
            return None
        from ocpp_fast.security.certificates import hash_data

        store = self._certificates.store()
        roots = store.roots(_leaf_use(use).roots)
        if not roots:
            return None
        root = max(roots, key=lambda each: each.not_valid_before_utc)
        if (chain := store.client_chain(_leaf_use(use))) is not None:
            last = store.path(chain.chain, chain.use)[-1]
            root = last if last in roots else root
        return self._context.hash_data(hash_data(root))

    def _wait(self, request: Request) -> None:
        """Sees to it that the request goes again when its certificate does not come."""
        pause_s = self._settings.back_off.pause_s(request.sent)
        if pause_s is None:
            _log.error("the CSMS owes a %s; it is not asked again", request.use)
            self._outstanding.put(replace(request, stopped=True))
            self._forget(request.id)
            return
        self._timers[request.id] = self._context.clock.call_later(
            pause_s, partial(self._send_soon, request.id)
        )

    async def _on_refused(self, request: Request) -> None:
        """SignCertificate was answered Rejected."""
        _log.error("the CSMS refuses to have a %s signed", request.use)
        self._outstanding.drop(request)
        self._forget(request.id)
        self._certificates.store().discard_key(request.key_id)
        await self._keep_if_possible()
        if request.use != STATION:  # A02.FR.21
            await self._plug_and_charge.forbid()

    # --- answers --------------------------------------------------------------------------

    def _on_signed(
        self, request: v21.CertificateSignedRequest
    ) -> v21.CertificateSignedResponse | Reply:
        """CertificateSigned."""
        from ocpp_fast.security.certificates import label, parse_chain, public_key_id, spki

        # Only 2.1 has it.
        request_id: int | None = getattr(request, "request_id", None)
        refusal = self._refusal(request_id, len(request.certificate_chain))
        if refusal is not None:
            return refusal
        use = None if request.certificate_type is None else str(request.certificate_type)
        store = self._certificates.store()
        try:
            chain = parse_chain(request.certificate_chain)
            key_id = public_key_id(spki(chain.leaf))
            asked = self._outstanding.find(key_id=key_id, use=use, request_id=request_id)
            if asked is None:
                if store.has_key(chain.leaf) and request_id is None:
                    # A second answer to what was sent twice.
                    return self._rejected("NotFound", "no such certificate was asked for")
                reason = f"{label(chain.leaf)}: it is not for the key of a request"
                return self._invalid(use, request_id, reason)
            self._judge(asked, chain)
            store.accept_signed(_leaf_use(asked.use), chain)
        except CertificateInvalid as error:
            return self._invalid(use, request_id, str(error))
        except StorageError as error:
            _log.error("the certificate cannot be kept: %s", error)
            return self._rejected("OutOfStorage", "the certificate cannot be kept")
        return self._taken(asked, label(chain.leaf))

    def _refusal(self, request_id: int | None, size: int) -> v21.CertificateSignedResponse | None:
        """What is refused unread."""
        if request_id is not None and self._outstanding.get(request_id) is None:
            text = f"there is no request {request_id}"  # A02.FR.26, A03.FR.22
            return self._rejected("NotFound", text)
        limit = self._settings.longest_chain
        if limit is not None and size > limit:  # A02.FR.16, A03.FR.16
            return self._rejected("TooLargeElement", f"{size} characters, {limit:g} are allowed")
        return None

    def _judge(self, asked: Request, chain: Chain) -> None:
        """A02.FR.06, A03.FR.06. Raises `CertificateInvalid`."""
        from ocpp_fast.security.rules import Purpose, judge
        from ocpp_fast.security.store import RootUse

        store = self._certificates.store()
        is_station = asked.use == STATION
        judge(
            chain,
            store.roots(RootUse.CSMS, fallback=True) if is_station else store.roots(RootUse.V2G),
            self._context.clock.now(),
            purpose=Purpose.CLIENT if is_station else Purpose.SERVER,
            common_name=asked.common_name,
            organization=asked.organization,
            station=is_station,
            elliptic_bits=None if is_station else _V2G_BITS,
        )

    def _invalid(
        self, use: str | None, request_id: int | None, reason: str
    ) -> v21.CertificateSignedResponse:
        """The certificate is discarded, and not asked for any more (A02.FR.07, A02.FR.20)."""
        _log.error("the CSMS has sent a certificate that is not valid: %s", reason)
        self._events.report("InvalidChargingStationCertificate", reason)
        for each in tuple(self._outstanding.active()):
            if use in (None, each.use) and request_id in (None, each.id):
                self._outstanding.put(replace(each, stopped=True))
                self._forget(each.id)
        self._context.spawn(self._keep_if_possible(), "keep requests")
        return self._rejected("InvalidCertificate", reason)

    def _taken(self, asked: Request, label: str) -> Reply:
        """It is valid and durable: the station switches to it (A02.FR.08, A03.FR.08)."""
        store = self._certificates.store()
        for each in self._outstanding.answered(asked):
            store.discard_key(each.key_id)
            self._forget(each.id)
        self._forget(asked.id)
        self._context.spawn(self._keep_if_possible(), "keep requests")
        text = f"new {asked.use}: {label}"
        self._events.report("ReconfigurationOfSecurityParameters", text)
        self._on_changed(asked.use)
        m = self._context.messages
        response = m.CertificateSignedResponse(status=m.CertificateSignedStatusEnumType.ACCEPTED)
        if asked.use != STATION or self._profile != CLIENT_CERTIFICATE_PROFILE:
            return Reply(response)

        async def switch() -> None:
            self._reconnect("there is a new client certificate")

        return Reply(response, switch)

    def _rejected(self, reason_code: str, text: str) -> v21.CertificateSignedResponse:
        m = self._context.messages
        return m.CertificateSignedResponse(
            status=m.CertificateSignedStatusEnumType.REJECTED,
            status_info=self._context.status_info(reason_code, text),
        )

    # --- small things ---------------------------------------------------------------------

    async def _keep(self) -> None:
        await self._storage.state_store({REQUESTS: self._outstanding.dump()})

    async def _keep_if_possible(self) -> None:
        try:
            await self._keep()
        except StorageError as error:  # After a restart it is asked for once more.
            _log.error("what was asked of the CSMS cannot be stored: %s", error)

    def _forget(self, request_id: int) -> None:
        """The request is not sent any more."""
        self._due.discard(request_id)
        self._triggered.discard(request_id)
        if (timer := self._timers.pop(request_id, None)) is not None:
            timer.cancel()


def _leaf_use(use: Any) -> LeafUse:
    from ocpp_fast.security.store import LeafUse

    return LeafUse(use)
