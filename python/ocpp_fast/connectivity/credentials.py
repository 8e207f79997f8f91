"""Identity and password: a slot has its own, or else those of SecurityCtrlr (errata 2.3 of 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ocpp_fast.device_model.handle import DEFAULT, INTERNAL

if TYPE_CHECKING:
    from ocpp_fast.config import StationConfig
    from ocpp_fast.connectivity.access import Access

__all__ = ["CREDENTIALS", "CommonCredentials"]

CREDENTIALS: Final = ("Identity", "BasicAuthPassword")
"""Their names, in SecurityCtrlr and in the slots."""

_SECURITY: Final = "SecurityCtrlr"


class CommonCredentials:
    """What slots fall back to that have none of their own.

    SecurityCtrlr shows the credentials of the slot in use (B09.FR.28), in memory only: other slots
    still fall back to what the CSMS or the integrator has set there, or they could not be reached
    any more once a slot with its own was in use.
    """

    def __init__(self, access: Access, config: StationConfig) -> None:
        self._access = access
        self._config = config
        self._shown: dict[str, tuple[int, str, str | None, str]] = {}
        """Variable -> the slot, its own value that is shown, what stands on the disk, and whose
        that is."""

    @property
    def identity(self) -> str:
        """SecurityCtrlr's, or else the configuration's."""
        return self._common("Identity")[0] or self._config.identity

    @property
    def password(self) -> str | None:
        """The one that was set at run time in SecurityCtrlr, or else the configuration's, or else
        SecurityCtrlr's default. None: there is none."""
        text, source = self._common("BasicAuthPassword")
        if source == DEFAULT:
            return self._config.password or text or None
        return text or self._config.password

    def show(self, slot: int | None) -> None:
        """This slot is in use now (B09.FR.28); None is for what is in no slot any more."""
        for variable in CREDENTIALS:
            own = None if slot is None else self._access.value(slot, variable)
            common, source = self._common(variable)
            if own and slot is not None:
                self._access.write(_SECURITY, variable, own, lasting=False)
                self._shown[variable] = slot, own, common, source
            elif variable in self._shown and common is not None:
                self._access.write(_SECURITY, variable, common, source=source, lasting=False)
                del self._shown[variable]

    def cleared(self, slot: int, variable: str, text: str) -> tuple[tuple[int, str], ...]:
        """The writes after which a slot has no own credential any more, now that SecurityCtrlr gets
        `text` (B09.FR.26, B09.FR.27). Where the component files allow no empty value the slot gets
        the same one."""
        if not self._access.value(slot, variable):
            return ()
        number = self._access.number(slot, variable)
        return ((number, "" if self._access.fits(number, "") else text),)

    def _common(self, variable: str) -> tuple[str | None, str]:
        """What SecurityCtrlr has for all slots, and whose it is, even while it shows another."""
        number = self._access.find(_SECURITY, variable)
        if number < 0:
            return None, DEFAULT
        text, source = self._access.text(_SECURITY, variable), self._access.source(number)
        if variable not in self._shown or source != INTERNAL:
            return text, source
        slot, own, common, owner = self._shown[variable]
        if text == own == self._access.value(slot, variable):
            return common, owner
        return text, source
