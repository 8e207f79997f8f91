"""SetVariables (B05) and GetVariables (B06): the device model answers them whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.messages import Message
    from ocpp_fast.router import Handler

__all__ = ["VariableAccess"]


class VariableAccess:
    """The CSMS's way to the values of the device model.

    Reading is answered at once (B06.FR.01). A SetVariables is answered when what it sets is durable
    and in force (B05.FR.10). A value out of format, out of limits or not in the values list, such
    as a list of measurands with one that the station does not support, is Rejected by the device
    model (B05.FR.07, B05.FR.08).
    """

    def __init__(self, device_model: DeviceModel) -> None:
        self._device_model = device_model
        self.handlers: Mapping[str, Handler] = {
            "GetVariables": device_model.get_variables,
            "SetVariables": self._on_set,
        }

    async def _on_set(self, request: Message) -> Message:
        return await self._device_model.set_variables(request)
