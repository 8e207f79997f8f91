"""The OCPP 2.0.1 and 2.1 charging-station stack.

The names below are loaded when they are first used, so that `import ocpp_fast` stays cheap.
Messages are in `ocpp_fast.messages.v201` and `ocpp_fast.messages.v21`, errors in
`ocpp_fast.errors`, the test kit in `ocpp_fast.testing`.
"""

from importlib import import_module
from logging import NullHandler, getLogger
from typing import TYPE_CHECKING, Any

from ocpp_fast._core import __version__, build_profile

if TYPE_CHECKING:
    from ocpp_fast._core import Call as Call
    from ocpp_fast._core import CallError as CallError
    from ocpp_fast._core import CallResult as CallResult
    from ocpp_fast._core import CallResultError as CallResultError
    from ocpp_fast._core import Codec as Codec
    from ocpp_fast._core import Deviation as Deviation
    from ocpp_fast._core import InvalidFrame as InvalidFrame
    from ocpp_fast._core import Send as Send
    from ocpp_fast.callbacks import Callbacks as Callbacks
    from ocpp_fast.charge_point import ChargePoint as ChargePoint
    from ocpp_fast.config import EvseConfig as EvseConfig
    from ocpp_fast.config import OnRestart as OnRestart
    from ocpp_fast.config import StationConfig as StationConfig
    from ocpp_fast.config import TxPoint as TxPoint
    from ocpp_fast.config import Variables as Variables
    from ocpp_fast.connection import Connection as Connection
    from ocpp_fast.csms import Csms as Csms
    from ocpp_fast.device_model import DeviceModel as DeviceModel
    from ocpp_fast.messages import OcppVersion as OcppVersion
    from ocpp_fast.simulator import SimulatedStation as SimulatedStation
    from ocpp_fast.station import Station as Station

__all__ = [
    "Call",
    "CallError",
    "CallResult",
    "CallResultError",
    "Callbacks",
    "ChargePoint",
    "Codec",
    "Connection",
    "Csms",
    "Deviation",
    "DeviceModel",
    "EvseConfig",
    "InvalidFrame",
    "OcppVersion",
    "OnRestart",
    "Send",
    "SimulatedStation",
    "Station",
    "StationConfig",
    "TxPoint",
    "Variables",
    "__version__",
]

_HOMES = {
    "Call": "_core",
    "CallError": "_core",
    "CallResult": "_core",
    "CallResultError": "_core",
    "Callbacks": "callbacks",
    "ChargePoint": "charge_point",
    "Codec": "_core",
    "Connection": "connection",
    "Csms": "csms",
    "Deviation": "_core",
    "DeviceModel": "device_model",
    "EvseConfig": "config",
    "InvalidFrame": "_core",
    "OcppVersion": "messages",
    "OnRestart": "config",
    "Send": "_core",
    "SimulatedStation": "simulator",
    "Station": "station",
    "StationConfig": "config",
    "TxPoint": "config",
    "Variables": "config",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


# Silent until a program configures logging.
getLogger(__name__).addHandler(NullHandler())

if build_profile == "debug":
    from warnings import warn

    warn(
        "ocpp_fast._core is a debug build: slow, and not to be measured"
        " (`maturin develop --release` makes a release build)",
        RuntimeWarning,
        stacklevel=2,
    )
