"""SetNetworkProfile (B09), and what the CSMS may change of the network configuration by
SetVariables (A05, B09, B10)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from ocpp_fast.connectivity.access import PRIORITY, VARIABLES
from ocpp_fast.connectivity.migration import BLOB
from ocpp_fast.connectivity.rules import (
    ACTIVE,
    INVALID,
    UNKNOWN_SLOT,
    Objection,
    content_objection,
    profile_texts,
    slot_numbers,
    value_objection,
)
from ocpp_fast.device_model.guards import Along, Refusal
from ocpp_fast.device_model.handle import CSMS
from ocpp_fast.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.connectivity.slots import Slots
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.device_model.guards import Write
    from ocpp_fast.messages import Message, v21
    from ocpp_fast.router import Handler

__all__ = ["NetworkProfiles"]

_log = logging.getLogger(__name__)

_INVALID_VALUE: Final = "InvalidValue"
_ACTUAL: Final = "Actual"


class NetworkProfiles:
    """Keeps the way back open, whatever the CSMS does.

    - A slot that NetworkConfigurationPriority names can be dialled at any moment, so it is never
      changed piece by piece (B09.FR.22), nor can the one of the last good link; and a whole new
      profile has to be one that could be listed.
    - When the slot to come back to is overwritten as a whole (B09, remark), what was in it is kept
      and tried in turns with the new content until that has proved good.
    - What is listed anew must be complete, must not be weaker than the link, and the certificates
      that it needs must be there (A05, B09.FR.33, B09.FR.34, B10).

    A new priority is answered with Accepted and counts from the next dial on (B10.FR.01).
    SetNetworkProfile lists nothing by itself: that is for the CSMS to do (B10).
    """

    def __init__(self, context: Context, device_model: DeviceModel, slots: Slots) -> None:
        self._context = context
        self._model = device_model
        self._slots = slots
        self._access = slots.access
        self.handlers: Mapping[str, Handler] = {"SetNetworkProfile": self._on_set_network_profile}
        numbers = [self._access.number(slot, name) for slot in slots.known for name in VARIABLES]
        device_model.guard_all((n for n in numbers if n >= 0), self._judge_variable)
        for place, check in (
            (PRIORITY, self._judge_priority),
            (BLOB, _judge_blob),
            (("SecurityCtrlr", "Identity"), self._judge_identity),
            (("SecurityCtrlr", "BasicAuthPassword"), self._judge_password),
        ):
            if (number := self._access.find(*place)) >= 0:
                device_model.guard_all((number,), check)

    # --- SetNetworkProfile --------------------------------------------------------------------

    async def _on_set_network_profile(self, request: v21.SetNetworkProfileRequest) -> Message:
        slot, profile = request.configuration_slot, request.connection_data
        texts = profile_texts(profile)
        objection = self._objection(slot, texts)
        if objection is None:
            if not await self._integrator_agrees(slot, profile):
                objection = Objection(INVALID, "the station cannot use it")
            else:  # Meanwhile the slot may have come into use.
                objection = self._objection(slot, texts)
        if objection is not None:
            return self._answer("Rejected", objection)
        return await self._store(slot, texts)

    def _objection(self, slot: int, texts: Mapping[str, str]) -> Objection | None:
        """Why a profile cannot be stored in a slot (B09.FR.02, B09.FR.04, B09.FR.05, B09.FR.31)."""
        slots = self._slots
        if slot not in slots.known or self._access.number(slot, "OcppCsmsUrl") < 0:
            return Objection(UNKNOWN_SLOT, f"there is no slot {slot}")
        if (text := self._content_objection(slot, texts)) is not None:
            return Objection(INVALID, text)
        if slot in (slots.active, slots.last_good, *slots.priority):  # It may be dialled at once.
            return slots.listing_objection(slot, self._writes(slot, texts))
        return slots.profile_objection(int(texts["SecurityProfile"]))

    def _content_objection(self, slot: int, texts: Mapping[str, str]) -> str | None:
        for variable, text in texts.items():
            if text and (objection := value_objection(variable, text)):
                return objection
        for switch in ("ApnEnabled", "VpnEnabled"):
            if texts[switch] == "true" and not self._access.supports(slot, switch):
                return f"{switch} is ReadOnly here"
        return content_objection(texts, self._slots.common.identity)

    async def _integrator_agrees(
        self, slot: int, profile: v21.NetworkConnectionProfileType
    ) -> bool:
        validate = self._context.callbacks.validate_network_profile_callback
        if validate is None:
            return True
        name = "validate_network_profile_callback"
        return await self._context.ask(name, lambda: validate(slot, profile), default=False)

    async def _store(self, slot: int, texts: Mapping[str, str]) -> Message:
        """B09.FR.01, B09.FR.03, B09.FR.09: all variables of the slot in one transaction."""
        try:
            await self._slots.overwriting(slot)
            await self._model.write_all(self._writes(slot, texts), CSMS)
        except ConfigurationError as error:
            return self._answer("Rejected", Objection(INVALID, str(error)))
        except StorageError as error:
            _log.error("a network profile cannot be stored: %s", error)
            return self._answer("Failed", Objection("InternalError", "the storage failed"))
        return self._answer("Accepted", None)

    def _writes(self, slot: int, texts: Mapping[str, str]) -> dict[int, str]:
        """The variables to write. Those that the component files do not have are left out, and so
        are those that hold nothing and can have no empty value."""
        writes: dict[int, str] = {}
        for variable, text in texts.items():
            number = self._access.number(slot, variable)
            if number >= 0 and (text or self._access.fits(number, text)):
                writes[number] = text
        return writes

    def _answer(self, status: str, objection: Objection | None) -> Message:
        messages = self._context.messages
        info = None if objection is None else self._context.status_info(*objection)
        return messages.SetNetworkProfileResponse(
            status=messages.SetNetworkProfileStatusEnumType(status), status_info=info
        )

    # --- SetVariables -------------------------------------------------------------------------

    def _judge_variable(self, write: Write) -> Refusal | None:
        """A variable of a slot (B09.FR.22 to B09.FR.25, B09.FR.32, B09.FR.35)."""
        if write.attribute != _ACTUAL:
            return None
        of = write.variable.info
        slot, variable = int(of.component_instance or 0), of.variable
        slots = self._slots
        if slot in (slots.active, slots.last_good) or slot in self._priority(write.batch):
            return Refusal(ACTIVE, f"slot {slot} is active or in NetworkConfigurationPriority")
        if (objection := value_objection(variable, write.text)) is not None:
            return Refusal(_INVALID_VALUE, objection)
        if variable == "SecurityProfile":
            return _refusal(self._slots.profile_objection(int(write.text)))
        return None

    def _judge_priority(self, write: Write) -> Refusal | None:
        """A05.FR.02 to A05.FR.04, A05.FR.08 to A05.FR.10, B09.FR.20, B09.FR.33, B09.FR.34,
        B10.FR.01, B10.FR.02.

        A05.FR.10 asks for Accepted in edition 1 of 2.1, which contradicts A00.FR.005, its own use
        case and the same requirement in the errata of 2.0.1: it is Rejected here.
        """
        words = [word.strip() for word in write.text.split(",")]
        wanted = slot_numbers(write.text)
        if not wanted or len(wanted) != len(words):
            # Without any slot nothing but the last good one would be left.
            return Refusal(_INVALID_VALUE, "it must name at least one slot, and none twice")
        left = [slot for slot in self._slots.priority if slot in wanted]
        if left == list(wanted):
            return None
        for slot in wanted:
            if slot == self._slots.active:  # It could not be better proved.
                continue
            found = self._slots.listing_objection(slot, write.batch)
            if found is not None:
                return Refusal(found.reason_code, f"slot {slot}: {found.text}")
        return None

    def _judge_identity(self, write: Write) -> Refusal | Along | None:
        """B09.FR.26; the values of the variable are any text, not every text can be an identity."""
        objection = value_objection("Identity", write.text) if write.text else "it is empty"
        if objection is not None:
            return Refusal(_INVALID_VALUE, objection)
        return self._cleared("Identity", write)

    def _judge_password(self, write: Write) -> Along | None:
        """B09.FR.27."""
        return self._cleared("BasicAuthPassword", write)

    def _cleared(self, variable: str, write: Write) -> Along | None:
        active = self._slots.active
        if active is None or write.attribute != _ACTUAL:
            return None
        writes = self._slots.common.cleared(active, variable, write.text)
        return Along(writes) if writes else None

    def _priority(self, batch: Mapping[int, str]) -> tuple[int, ...]:
        """The list as it is, or as an earlier item of the same request makes it."""
        text = batch.get(self._access.find(*PRIORITY))
        return self._slots.priority if text is None else slot_numbers(text)


def _judge_blob(write: Write) -> Refusal | None:
    """It would be a way past all that is asked of a slot."""
    return Refusal("ReadOnly") if write.source == CSMS else None


def _refusal(objection: Objection | None) -> Refusal | None:
    return None if objection is None else Refusal(*objection)
