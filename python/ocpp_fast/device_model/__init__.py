"""The device model of a station.

`DeviceModel` is what the blocks and an integrator use; the values themselves are in Rust
(`ocpp_fast._core.DeviceModelCache`). The other modules are its parts.
"""

from ocpp_fast.device_model.guards import REBOOT_REQUIRED, Along, Refusal, Verdict, Write
from ocpp_fast.device_model.handle import VariableChange, VariableHandle
from ocpp_fast.device_model.model import DeviceModel

__all__ = [
    "REBOOT_REQUIRED",
    "Along",
    "DeviceModel",
    "Refusal",
    "VariableChange",
    "VariableHandle",
    "Verdict",
    "Write",
]
