"""M03, M04, M05: which certificates the station trusts, told, deleted and installed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from ocpp_fast.blocks.context import text_of
from ocpp_fast.config import TLS_PROFILE
from ocpp_fast.device_model.handle import INTERNAL
from ocpp_fast.errors import CertificateInvalid, ConfigurationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocpp_fast.blocks.certificates.status import CertificateStatus
    from ocpp_fast.blocks.context import Context, SecurityLog
    from ocpp_fast.connectivity.link import Link
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.messages import v21
    from ocpp_fast.router import Handler
    from ocpp_fast.security.station import StationCertificates
    from ocpp_fast.security.store import Listed

__all__ = ["Certificates"]

_log = logging.getLogger(__name__)

_COMPONENT: Final = "SecurityCtrlr"
_ENTRIES: Final = "CertificateEntries"
# Who may install them over a link without TLS; names of libocpp.
_PLAIN_LINK: Final = {
    "CSMSRootCertificate": "AllowCSMSRootCertInstallWithUnsecureConnection",
    "ManufacturerRootCertificate": "AllowMFRootCertInstallWithUnsecureConnection",
}


class Certificates:
    """Answers for the certificate store, and keeps SecurityCtrlr.CertificateEntries.

    The specification lets the CSMS install certificates in every security profile: a station of
    profile 1 needs a root before it can be raised to profile 2 (A05). Who does not want that
    without TLS sets InternalCtrlr.AllowCSMSRootCertInstallWithUnsecureConnection or
    AllowMFRootCertInstallWithUnsecureConnection to false.
    """

    def __init__(
        self,
        context: Context,
        device_model: DeviceModel,
        certificates: StationCertificates,
        events: SecurityLog,
        status: CertificateStatus,
    ) -> None:
        self._context = context
        self._device_model = device_model
        self._certificates = certificates
        self._events = events
        self._status = status
        self._profile = 0
        self.handlers: Mapping[str, Handler] = {
            "GetInstalledCertificateIds": self._on_list,
            "DeleteCertificate": self._on_delete,
            "InstallCertificate": self._on_install,
        }

    def changed(self, use: str | None = None) -> None:
        """Other certificates are installed than before; `use` is the CertificateSigningUseEnumType
        of a new one of the station's own. Also called at the start. Counts them, and has the
        status of V2G certificates asked for."""
        if use is not None and use != "ChargingStationCertificate":
            self._status.updated()
        else:
            self._status.refresh()
        count = self._certificates.store().entries() if self._certificates.in_use() else 0
        try:
            variable = self._device_model.variable(_COMPONENT, _ENTRIES)
        except ConfigurationError:
            return  # The component files do not have it.
        if variable.get() != count:
            variable.set(count, source=INTERNAL)

    async def connected(self, link: Link) -> None:
        """There is a link: if the new CSMS root has vouched for it, the one before it is not
        needed any more (M05.FR.13)."""
        self._profile = link.slot.security_profile
        if self._profile < TLS_PROFILE or link.old_root:
            return
        try:
            removed = self._certificates.store().settle_roots()
        except StorageError as error:
            _log.error("the old CSMS root stays: %s", error)
            return
        if removed:
            await self._events.notify(
                "ReconfigurationOfSecurityParameters", "the old CSMS root certificate is removed"
            )
            self.changed()

    # --- requests -------------------------------------------------------------------------

    def _on_list(
        self, request: v21.GetInstalledCertificateIdsRequest
    ) -> v21.GetInstalledCertificateIdsResponse:
        """M03."""
        m = self._context.messages
        status = m.GetInstalledCertificateStatusEnumType
        types = None if request.certificate_type is None else [*map(str, request.certificate_type)]
        known = {str(each) for each in m.GetCertificateIdUseEnumType}
        found: list[Listed] = []
        if self._certificates.in_use():
            # A station may hold what the version in use has no name for.
            found = [
                each
                for each in self._certificates.store().listed(types)
                if each.certificate_type in known
            ]
        if not found:  # M03.FR.02
            return m.GetInstalledCertificateIdsResponse(
                status=status.NOT_FOUND, status_info=self._context.status_info("NotFound")
            )
        return m.GetInstalledCertificateIdsResponse(  # M03.FR.03, M03.FR.04, M03.FR.05
            status=status.ACCEPTED,
            certificate_hash_data_chain=[
                m.CertificateHashDataChainType(
                    certificate_type=m.GetCertificateIdUseEnumType(each.certificate_type),
                    certificate_hash_data=self._context.hash_data(each.data),
                    child_certificate_hash_data=[*map(self._context.hash_data, each.children)]
                    or None,
                )
                for each in found
            ],
        )

    def _on_delete(self, request: v21.DeleteCertificateRequest) -> v21.DeleteCertificateResponse:
        """M04. The last root that vouches for the CSMS stays while a link needs one (M04.FR.03):
        without it the station could never connect again."""
        from ocpp_fast.security.certificates import HashData
        from ocpp_fast.security.store import Removal, RootUse

        m = self._context.messages
        data = request.certificate_hash_data
        removal = Removal.NOT_FOUND
        if self._certificates.in_use():
            wanted = HashData(
                str(data.hash_algorithm),
                data.issuer_name_hash,
                data.issuer_key_hash,
                data.serial_number,
            )
            keep = (RootUse.CSMS,) if self._profile >= TLS_PROFILE else ()
            removal = self._certificates.store().remove(wanted, keep_last=keep)
        if removal is Removal.ACCEPTED:
            text = f"certificate {data.serial_number} is deleted"
            self._events.report("ReconfigurationOfSecurityParameters", text)
            self.changed()
        reason = {Removal.NOT_FOUND: "NotFound", Removal.FAILED: "UnsupportedRequest"}
        return m.DeleteCertificateResponse(
            status=m.DeleteCertificateStatusEnumType(str(removal)),
            status_info=self._context.status_info(reason.get(removal)),
        )

    def _on_install(self, request: v21.InstallCertificateRequest) -> v21.InstallCertificateResponse:
        """M05."""
        from ocpp_fast.security.certificates import label
        from ocpp_fast.security.store import RootUse

        m = self._context.messages
        status = m.InstallCertificateStatusEnumType
        kind = str(request.certificate_type)
        if not self._may_install(kind):
            text = f"no {kind} over a link without TLS"
            return self._installed(status.REJECTED, "NotEnabled", text)
        try:
            done = self._certificates.store().install_root(
                RootUse(kind),
                request.certificate,
                additional_check=self._flag("AdditionalRootCertificateCheck"),
                limit=self._limit(),
            )
        except CertificateInvalid as error:  # M05.FR.06, M05.FR.07, M05.FR.11
            _log.warning("a %s is refused: %s", kind, error)
            return self._installed(status.REJECTED, "InvalidCertificate", str(error))
        except StorageError as error:  # M05.FR.03
            _log.error("a %s cannot be installed: %s", kind, error)
            return self._installed(status.FAILED, "OutOfStorage", "it cannot be stored")
        if not done.replaced:
            text = f"new {kind}: {label(done.certificate)}"
            self._events.report("ReconfigurationOfSecurityParameters", text)
            self.changed()
        return self._installed(status.ACCEPTED)  # M05.FR.02, M05.FR.12, M05.FR.17

    # --- small things ---------------------------------------------------------------------

    def _installed(
        self,
        status: v21.InstallCertificateStatusEnumType,
        reason_code: str | None = None,
        text: str | None = None,
    ) -> v21.InstallCertificateResponse:
        return self._context.messages.InstallCertificateResponse(
            status=status, status_info=self._context.status_info(reason_code, text)
        )

    def _may_install(self, kind: str) -> bool:
        variable = _PLAIN_LINK.get(kind)
        if self._profile >= TLS_PROFILE or variable is None:
            return True
        return text_of(self._device_model, "InternalCtrlr", variable) != "false"

    def _flag(self, variable: str) -> bool:
        return text_of(self._device_model, _COMPONENT, variable) == "true"

    def _limit(self) -> int | None:
        """SecurityCtrlr.CertificateEntries, maxLimit."""
        try:
            limit = self._device_model.variable(_COMPONENT, _ENTRIES).info.max_limit
        except ConfigurationError:
            return None
        return None if limit is None else int(limit)
