"""Opening WebSockets to the CSMS, with the identity and the password that hold at the moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocpp_fast.device_model.guards import Refusal
from ocpp_fast.device_model.handle import DEFAULT
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.transport.handshake import Credentials, check_identity, connection_url

if TYPE_CHECKING:
    from ocpp_fast.clock import Clock
    from ocpp_fast.config import StationConfig
    from ocpp_fast.connection import Connection
    from ocpp_fast.device_model.guards import Write
    from ocpp_fast.device_model.model import DeviceModel
    from ocpp_fast.transport.base import MakeListener

__all__ = ["Dialler"]


class Dialler:
    """Identity and password are those of the configuration until they are set at run time, in
    SecurityCtrlr; what is set then has its effect the next time that the station connects (A01)."""

    def __init__(self, config: StationConfig, device_model: DeviceModel, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        cache = device_model.cache
        self._cache = cache
        self._identity = cache.find("SecurityCtrlr", None, None, None, "Identity", None)
        self._password = cache.find("SecurityCtrlr", None, None, None, "BasicAuthPassword", None)
        if self._identity >= 0:
            device_model.guard("SecurityCtrlr", "Identity", _judge_identity)

    @property
    def identity(self) -> str:
        """The identity of the station, part of the URL and user name."""
        return self._set_at_run_time(self._identity) or self._config.identity

    @property
    def password(self) -> str | None:
        """For HTTP basic authentication; None is to connect without."""
        found = self._set_at_run_time(self._password) or self._config.password
        if not found and self._password >= 0:
            found = self._cache.value(self._password)
        return found or None

    async def open(self, make: MakeListener[Connection]) -> Connection:
        """Opens a link; raises `ConnectFailed`."""
        from ocpp_fast.transport import picows  # only when a real socket is used

        identity, password = self.identity, self.password
        return await picows.connect(
            connection_url(self._config.csms_url, identity),
            make,
            clock=self._clock,
            subprotocols=[version.subprotocol for version in self._config.versions],
            credentials=None if password is None else Credentials(identity, password),
        )

    def _set_at_run_time(self, number: int) -> str | None:
        if number < 0 or self._cache.source(number) == DEFAULT:
            return None
        return self._cache.value(number)


def _judge_identity(write: Write) -> Refusal | None:
    """The values of the variable are any text; not every text can be an identity."""
    try:
        check_identity(write.text)
    except ConfigurationError as error:
        return Refusal("InvalidValue", str(error))
    return None
