"""What the device model says about the certificates of the station."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ocpp_fast.blocks.context import number_of, text_of
from ocpp_fast.blocks.security.signing import BackOff
from ocpp_fast.device_model.handle import INTERNAL
from ocpp_fast.errors import StorageError
from ocpp_fast.messages.version import OcppVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.security.csr import Subject
    from ocpp_fast.storage.base import Storage

__all__ = ["STATION", "V2G20", "PlugAndCharge", "SigningSettings"]

_log = logging.getLogger(__name__)

STATION: Final = "ChargingStationCertificate"
V2G20: Final = "V2G20Certificate"
"""Values of CertificateSigningUseEnumType; the second one is of 2.1 alone."""
PNC_OFF: Final = "signing.pnc_off"
"""Name of the durable fact."""
_INITIAL_DELAY_S: Final = 60.0
_INTERVAL_S: Final = 43_200.0
_RENEWAL_DAYS: Final = 30.0


class SigningSettings:
    """Read when they are needed, so every change holds at once."""

    def __init__(self, context: Context, device_model: DeviceModel, serial_number: str) -> None:
        self._context = context
        self._device_model = device_model
        self._serial_number = serial_number

    def is_wanted(self, use: str) -> bool:
        """Whether certificates of this use are to be asked for: ISO15118Ctrlr says so for its own
        (V2GCertificateInstallationEnabled)."""
        if use == STATION:
            return True
        if use == V2G20 and self._context.version is OcppVersion.V201:
            return False
        enabled = text_of(self._device_model, "ISO15118Ctrlr", "V2GCertificateInstallationEnabled")
        return enabled == "true"

    def subject(self, use: str, evse_id: int | None) -> Subject | None:
        """Whom a certificate is for (A00.FR.509, A00.FR.511); None if that is not configured.

        An EVSE may have an ISO15118Ctrlr of its own (A02).
        """
        from ocpp_fast.security.csr import Subject

        organization = self._text("SecurityCtrlr", "OrganizationName")
        if use == STATION:
            if organization is None:
                return None
            return Subject(common_name=self._serial_number, organization=organization)
        secc_id = self._text("ISO15118Ctrlr", "SeccId", evse_id)
        organization = self._text("ISO15118Ctrlr", "OrganizationName", evse_id) or organization
        if secc_id is None or organization is None:
            return None
        return Subject(
            common_name=secc_id,
            organization=organization,
            country=self._text("ISO15118Ctrlr", "CountryName", evse_id),
            key_agreement=True,
        )

    @property
    def back_off(self) -> BackOff:
        """When a request is sent again."""
        return BackOff(
            self._optional("CertSigningWaitMinimum"), self._optional("CertSigningRepeatTimes")
        )

    @property
    def longest_chain(self) -> float | None:
        """SecurityCtrlr.MaxCertificateChainSize, in characters."""
        return self._optional("MaxCertificateChainSize")

    @property
    def initial_delay_s(self) -> float:
        """From the start to the first look at what expires."""
        return self._number("ExpireCheckInitialDelaySeconds", _INITIAL_DELAY_S)

    @property
    def interval_s(self) -> float:
        """Between two looks."""
        return max(self._number("ExpireCheckIntervalSeconds", _INTERVAL_S), 1.0)

    @property
    def renewal(self) -> timedelta:
        """A certificate that has no more than this left is renewed (A03.FR.02)."""
        return timedelta(days=self._number("RenewalDays", _RENEWAL_DAYS))

    def _text(self, component: str, variable: str, evse_id: int | None = None) -> str | None:
        """A value that is not empty; of the EVSE if it has that component, else of the station."""
        found = None
        if evse_id is not None:
            found = text_of(self._device_model, component, variable, evse_id=evse_id)
        return found or text_of(self._device_model, component, variable) or None

    def _optional(self, variable: str) -> float | None:
        text = text_of(self._device_model, "SecurityCtrlr", variable)
        return float(text) if text else None

    def _number(self, variable: str, default: float) -> float:
        name = f"ClientCertificate{variable}"
        return number_of(self._device_model, "InternalCtrlr", name, default)


class PlugAndCharge:
    """ISO15118Ctrlr.PnCEnabled, which is off from the moment that the CSMS refuses to have a V2G
    certificate signed until the station is started again (A02.FR.21)."""

    def __init__(self, device_model: DeviceModel, storage: Storage) -> None:
        self._device_model = device_model
        self._storage = storage

    async def forbid(self) -> None:
        """Switches it off."""
        if text_of(self._device_model, "ISO15118Ctrlr", "PnCEnabled") != "true":
            return
        try:
            await self._storage.state_store({PNC_OFF: "true"})
        except StorageError as error:  # It could not be switched on again.
            _log.error("plug and charge stays on: %s", error)
            return
        self._device_model.variable("ISO15118Ctrlr", "PnCEnabled").set(value=False, source=INTERNAL)

    async def restore(self, state: Mapping[str, str]) -> None:
        """The station starts: switches it on if it was switched off here, and nobody else has
        written it since. Raises `StorageError`."""
        if PNC_OFF not in state:
            return
        if text_of(self._device_model, "ISO15118Ctrlr", "PnCEnabled") == "false":
            variable = self._device_model.variable("ISO15118Ctrlr", "PnCEnabled")
            if variable.source() == INTERNAL:
                await variable.store(value=True, source=INTERNAL)
        await self._storage.state_store({PNC_OFF: None})
