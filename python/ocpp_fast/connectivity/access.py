"""The variables of the network configuration in the device model, found when they are needed: that
is seldom, and there are hundreds of them in a process with many stations."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from ocpp_fast.connectivity.rules import slot_numbers
from ocpp_fast.device_model.handle import CSMS, INTERNAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocpp_fast.device_model.model import DeviceModel

__all__ = ["COMPONENT", "PRIORITY", "VARIABLES", "Access", "number_of"]

_log = logging.getLogger(__name__)

COMPONENT: Final = "NetworkConfiguration"
PRIORITY: Final = ("OCPPCommCtrlr", "NetworkConfigurationPriority")

VARIABLES: Final = (
    "OcppCsmsUrl", "SecurityProfile", "OcppInterface", "OcppTransport", "OcppVersion",
    "MessageTimeout", "Identity", "BasicAuthPassword",
    "CsmsRootCertificateHashAlgorithm", "CsmsRootCertificateIssuerKeyHash",
    "CsmsRootCertificateIssuerNameHash", "CsmsRootCertificateSerialNumber",
    "VpnEnabled", "VpnType", "VpnServer", "VpnUser", "VpnGroup", "VpnPassword", "VpnKey",
    "ApnEnabled", "Apn", "ApnUserName", "ApnPassword", "SimPin", "PreferredNetwork",
    "UseOnlyPreferredNetwork", "ApnAuthentication",
)  # fmt: skip
"""The variables of a slot."""

SWITCHES: Final = ("VpnEnabled", "ApnEnabled", "UseOnlyPreferredNetwork")
"""Those that are true or false."""

_READ_ONLY: Final = "ReadOnly"


class Access:
    """Reads and writes by name; what is not in the component files reads as None."""

    def __init__(self, device_model: DeviceModel) -> None:
        self.model = device_model
        self._cache = device_model.cache

    def find(self, component: str, variable: str, instance: str | None = None) -> int:
        """What the cache knows a variable by; negative when there is none."""
        return self._cache.find(component, instance, None, None, variable, None)

    def text(self, component: str, variable: str) -> str | None:
        """The Actual value."""
        number = self.find(component, variable)
        return self._cache.value(number) if number >= 0 else None

    def source(self, number: int) -> str:
        """Who has set it."""
        return self._cache.source(number)

    @property
    def known(self) -> tuple[int, ...]:
        """The slots in the values list of NetworkConfigurationPriority."""
        number = self.find(*PRIORITY)
        return () if number < 0 else slot_numbers(self._cache.describe(number)[10])

    @property
    def priority(self) -> tuple[int, ...]:
        """The slots that it names."""
        return slot_numbers(self.text(*PRIORITY))

    # --- of a slot ----------------------------------------------------------------------------

    def number(self, slot: int, variable: str) -> int:
        """What the cache knows a variable of a slot by; negative when there is none."""
        return self.find(COMPONENT, variable, str(slot))

    def value(self, slot: int, variable: str) -> str | None:
        """One variable of a slot."""
        number = self.number(slot, variable)
        return self._cache.value(number) if number >= 0 else None

    def texts(self, slot: int, pending: Mapping[int, str] | None = None) -> dict[str, str | None]:
        """All variables of a slot as they stand, or as they will with `pending`, which are values
        by the numbers of the cache."""
        found: dict[str, str | None] = {}
        for variable in VARIABLES:
            number = self.number(slot, variable)
            if pending and number in pending:
                found[variable] = pending[number]
            else:
                found[variable] = self._cache.value(number) if number >= 0 else None
        return found

    def is_local(self, slot: int, pending: Mapping[int, str] | None = None) -> bool:
        """Whether the integrator has configured a slot, rather than the CSMS."""
        for variable in ("OcppCsmsUrl", "SecurityProfile"):
            number = self.number(slot, variable)
            by_csms = number >= 0 and self._cache.source(number) == CSMS
            if by_csms or (pending and number in pending):
                return False
        return True

    def supports(self, slot: int, switch: str) -> bool:
        """Whether ApnEnabled or VpnEnabled can be true (B09.FR.13)."""
        number = self.number(slot, switch)
        if number < 0:
            return False
        return self._cache.describe(number)[12][0][1] != _READ_ONLY

    def emptied(self, slot: int) -> dict[int, str]:
        """The writes after which nothing is in a slot. What has no empty value, such as a number,
        stays as it is."""
        writes: dict[int, str] = {}
        for variable, text in self.texts(slot).items():
            number = self.number(slot, variable)
            empty = "false" if variable in SWITCHES else ""
            if text and text != empty and self.fits(number, empty):
                writes[number] = empty
        return writes

    # --- writing ------------------------------------------------------------------------------

    def fits(self, number: int, text: str) -> bool:
        """Whether a variable can have that value."""
        try:
            self._cache.check(number, 0, text)
        except ValueError:
            return False
        return True

    def write(
        self,
        component: str,
        variable: str,
        text: str,
        *,
        source: str = INTERNAL,
        lasting: bool = True,
    ) -> None:
        """Writes what the station knows, if the variable is there; with `lasting` false it is not
        stored, whatever the variable."""
        number = self.find(component, variable)
        if number < 0:
            return
        try:
            change = self._cache.write(number, 0, text, source)
        except ValueError as error:  # The files give it another type or other limits.
            _log.warning("%s.%s cannot be written: %s", component, variable, error)
            return
        if change is not None:
            self.model.took((change if lasting else (*change[:5], None),), source)
        self.model.flush_events()


def number_of(text: str | None) -> int | None:
    """The whole number that a text is."""
    return int(text) if text and text.isascii() and text.isdigit() else None
