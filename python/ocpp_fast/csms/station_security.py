"""Network profiles, certificates and the password of one station, as its CSMS manages them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ocpp_fast.errors import CallErrorReceived, ConfigurationError, ConnectionLost

if TYPE_CHECKING:
    from types import ModuleType

    from ocpp_fast.csms.ledger import StationRecord
    from ocpp_fast.csms.model import StationModel
    from ocpp_fast.csms.security import CsmsSecurity
    from ocpp_fast.ids import Ids
    from ocpp_fast.messages import Message, v21

__all__ = ["StationSecurity"]


class _Csms(Protocol):
    """What this needs of `Csms`."""

    async def call(self, identity: str, request: Message) -> Any: ...

    def model(self, identity: str) -> StationModel: ...


class StationSecurity:
    """See `Csms.security`.

    All methods raise what `Csms.call` raises, and return the status that the station has answered
    where nothing else is said.
    """

    def __init__(
        self, csms: _Csms, station: StationRecord, security: CsmsSecurity, ids: Ids
    ) -> None:
        self._csms = csms
        self._station = station
        self._security = security
        self._ids = ids

    # --- A01, A02 -------------------------------------------------------------------------

    async def change_password(self, password: str | None = None) -> str:
        """Gives the station a new password, by default a random one (A01.FR.02, A01.FR.07).

        When the station says Accepted, only the new one is good (A01.FR.03), when it refuses,
        only the old one (A01.FR.04). When it wants to reboot first, or its answer is lost, both
        are, until it connects with the new one. Raises `ConfigurationError` for a CSMS that does
        not keep the passwords itself.
        """
        passwords = self._security.kept_passwords
        if passwords is None:
            raise ConfigurationError("this CSMS does not keep the passwords of its stations")
        identity = self._station.identity
        password = self._ids.password() if password is None else password
        passwords.offer(identity, password)
        model = self._csms.model(identity)
        try:
            (result,) = await model.set({"SecurityCtrlr.BasicAuthPassword": password})
        except CallErrorReceived:  # refused; other errors leave it open
            passwords.settle(identity, accepted=False)
            raise
        status = str(result.attribute_status)
        if status != "RebootRequired":
            passwords.settle(identity, accepted=status == "Accepted")
        return status

    async def renew_certificate(self, what: str = "SignChargingStationCertificate") -> str:
        """Asks for a new key and certificate (A02): `what` is a MessageTriggerEnumType."""
        return await self.trigger(what)

    async def trigger(self, what: str, evse: v21.EVSEType | None = None) -> str:
        """TriggerMessage with a MessageTriggerEnumType (F06)."""
        m = self._module
        message = m.MessageTriggerEnumType(what)
        return await self._status(m.TriggerMessageRequest(requested_message=message, evse=evse))

    # --- B09, B10 -------------------------------------------------------------------------

    async def set_network_profile(
        self,
        slot: int,
        csms_url: str,
        security_profile: int,
        *,
        interface: str = "Wired0",
        message_timeout_s: int = 30,
        **more: Any,
    ) -> str:
        """SetNetworkProfile (B09). `more` are further fields of NetworkConnectionProfileType, such
        as `identity` and `basic_auth_password` (2.1), `apn` and `vpn`."""
        m = self._module
        if self._station.version == "2.0.1":
            more.setdefault("ocpp_version", m.OCPPVersionEnumType.OCPP20)
        profile = m.NetworkConnectionProfileType(
            ocpp_transport=m.OCPPTransportEnumType.JSON,
            ocpp_csms_url=csms_url,
            message_timeout=message_timeout_s,
            security_profile=security_profile,
            ocpp_interface=m.OCPPInterfaceEnumType(interface),
            **more,
        )
        request = m.SetNetworkProfileRequest(configuration_slot=slot, connection_data=profile)
        return await self._status(request)

    async def set_priority(self, *slots: int) -> str:
        """The order in which the station tries its network profiles (B10.FR.01)."""
        text = ",".join(map(str, slots))
        variable = "OCPPCommCtrlr.NetworkConfigurationPriority"
        (result,) = await self._csms.model(self._station.identity).set({variable: text})
        return str(result.attribute_status)

    # --- M03 to M05 -----------------------------------------------------------------------

    async def install_certificate(self, use: str, certificate: str) -> str:
        """InstallCertificate (M05): a PEM root for an InstallCertificateUseEnumType."""
        m = self._module
        kind = m.InstallCertificateUseEnumType(use)
        request = m.InstallCertificateRequest(certificate_type=kind, certificate=certificate)
        return await self._status(request)

    async def installed_certificates(self, *uses: str) -> list[v21.CertificateHashDataChainType]:
        """GetInstalledCertificateIds (M03), of some GetCertificateIdUseEnumType or of all; empty
        too when the station says NotFound."""
        m = self._module
        kinds = [m.GetCertificateIdUseEnumType(use) for use in uses] or None
        request = m.GetInstalledCertificateIdsRequest(certificate_type=kinds)
        response = await self._csms.call(self._station.identity, request)
        return list(response.certificate_hash_data_chain or ())

    async def delete_certificate(self, certificate: v21.CertificateHashDataType) -> str:
        """DeleteCertificate (M04)."""
        m = self._module
        return await self._status(m.DeleteCertificateRequest(certificate_hash_data=certificate))

    # --- inside ---------------------------------------------------------------------------

    @property
    def _module(self) -> ModuleType:
        if self._station.version is None:
            raise ConnectionLost(1006, f"station {self._station.identity} was never connected")
        return self._station.version.module

    async def _status(self, request: Message) -> str:
        response = await self._csms.call(self._station.identity, request)
        return str(response.status)
