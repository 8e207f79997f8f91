"""SetVariables (B05) and GetVariables (B06): the device model answers them whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocpp_fast.router import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocpp_fast.blocks.context import SettingObserver
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.messages import Message
    from ocpp_fast.router import After, Handler

__all__ = ["VariableAccess"]


class VariableAccess:
    """The CSMS's way to the values of the device model.

    Reading is answered at once (B06.FR.01). A SetVariables is answered when what it sets is durable
    and in force (B05.FR.10). A value out of format, out of limits or not in the values list, such
    as a list of measurands with one that the station does not support, is Rejected by the device
    model (B05.FR.07, B05.FR.08).
    """

    def __init__(
        self, device_model: DeviceModel, observers: Sequence[SettingObserver] = ()
    ) -> None:
        self._device_model = device_model
        self._observers = observers
        self.handlers: Mapping[str, Handler] = {
            "GetVariables": device_model.get_variables,
            "SetVariables": self._on_set,
        }

    async def _on_set(self, request: Message) -> Message | Reply:
        for observer in self._observers:
            await observer.before(request)
        response = await self._device_model.set_variables(request)
        afters: list[After | None] = [
            await observer.after(request, response) for observer in self._observers
        ]
        if not any(afters):
            return response

        async def act() -> None:
            for after in afters:
                if after is not None:
                    await after()

        return Reply(response, act)
