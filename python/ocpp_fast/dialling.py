"""Opening one link to the CSMS: the network, the credentials, TLS, the WebSocket."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias
from urllib.parse import urlsplit

from ocpp_fast.config import CLIENT_CERTIFICATE_PROFILE, TLS_PROFILE
from ocpp_fast.connectivity.link import Link, Target
from ocpp_fast.connectivity.rotation import Generation
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.transport.handshake import Credentials, connection_url

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from ocpp_fast.callbacks import Callbacks
    from ocpp_fast.clock import Clock
    from ocpp_fast.config import StationConfig, Variables
    from ocpp_fast.connection import Connection
    from ocpp_fast.connectivity.rotation import Attempt
    from ocpp_fast.connectivity.slots import NetworkSlot, Slots
    from ocpp_fast.security.tls import ClientTls
    from ocpp_fast.transport.base import MakeListener

__all__ = ["Dialler", "Opener", "Passwords"]

_log = logging.getLogger(__name__)

_BASIC_AUTH_PROFILES: Final = (1, 2)
_UNAUTHORIZED: Final = (401, 403)

Opener: TypeAlias = "Callable[[MakeListener[Connection], Target], Awaitable[Link]]"
"""Opens a transport to the CSMS and makes its listener; raises `ConnectFailed`."""


class Passwords(Protocol):
    """A password that has just been replaced, as long as the new one has not proved good."""

    @property
    def previous(self) -> str | None:
        """The one before; None when there is nothing to go back to."""
        ...


class Dialler:
    """Opens links with what holds at the moment: nothing is kept from one dial to the next but
    which of two passwords is the next to try."""

    def __init__(
        self,
        config: StationConfig,
        slots: Slots,
        passwords: Passwords,
        callbacks: Callbacks,
        *,
        tls: Callable[[], ClientTls],
        variables: Callable[[], Variables],
        clock: Clock,
        opener: Opener | None = None,
    ) -> None:
        """`tls` is called when a link needs it, and not before; `opener` replaces the WebSocket."""
        self._config = config
        self._slots = slots
        self._passwords = passwords
        self._callbacks = callbacks
        self._tls = tls
        self._variables = variables
        self._clock = clock
        self._opener = opener or self._open_web_socket
        self._turned = False
        """Whether the CSMS has refused the password whose turn it was."""

    async def open(self, attempt: Attempt, make: MakeListener[Connection]) -> Link:
        """Opens a link; raises `ConnectFailed`. Bounded by NetworkConfigTimeout and the opening
        time of the transport together."""
        old = attempt.generation is Generation.OLD
        slot = self._slots.read(attempt.slot, former=old)
        password, generation = self._password(slot)
        chain = None
        if slot.security_profile == CLIENT_CERTIFICATE_PROFILE:
            chain = self._tls().client_chain(old=old)
        interface = await self._interface(slot)
        target = Target(slot, password, generation, chain, interface)
        try:
            return await self._opener(make, target)
        except ConnectFailed as error:
            if error.http_status in _UNAUTHORIZED and self._has_previous(slot):
                self._turned = not self._turned
            raise

    def _password(self, slot: NetworkSlot) -> tuple[str | None, Generation | None]:
        """Where there are two, a refusal by the CSMS gives the turn to the other (A01). Nothing
        else does: while it takes both, the old one must not win."""
        if slot.security_profile not in _BASIC_AUTH_PROFILES:
            return None, None
        if self._passwords.previous is None:
            self._turned = False
        if self._turned and self._has_previous(slot):
            return self._passwords.previous, Generation.OLD
        return slot.password, Generation.NEW

    def _has_previous(self, slot: NetworkSlot) -> bool:
        """Whether the password of this slot has a predecessor. A slot's own was not replaced, and
        another CSMS is not to learn the old one."""
        is_own = slot.password != self._slots.common.password
        return self._passwords.previous is not None and not is_own

    async def _interface(self, slot: NetworkSlot) -> str | None:
        """Where to dial from, once the integrator has made the network ready."""
        named = self._config.interfaces.get(slot.interface)
        configure = self._callbacks.configure_network_connection_profile_callback
        if configure is None:
            return named
        limit_s = self._variables().network_config_timeout_s
        try:
            ready = await self._clock.wait_for(configure(slot), limit_s)
            success, interface = ready.success, ready.interface
        except TimeoutError:
            text = f"the network was not configured within {limit_s:g} s"
            raise ConnectFailed(ConnectFailure.INTERFACE, text) from None
        except Exception as error:  # A user's code may raise anything.
            _log.exception("configure_network_connection_profile_callback failed")
            text = "the callback that configures the network failed"
            raise ConnectFailed(ConnectFailure.INTERFACE, text) from error
        if not success:
            raise ConnectFailed(ConnectFailure.INTERFACE, "the network could not be configured")
        return interface or named

    async def _open_web_socket(self, make: MakeListener[Connection], target: Target) -> Link:
        slot = target.slot
        if slot.security_profile < TLS_PROFILE:
            return Link(await self._dial(make, target), target)
        tls = self._tls()
        connection = await tls.dial(
            lambda context: self._dial(make, target, context),
            host=urlsplit(slot.csms_url).hostname or "",
            chain=target.chain,
            # A root that is on its way out vouches for the CSMS that brought its successor, and
            # for no other (M05.FR.14, M05.FR.15).
            allow_old_root=slot.slot == self._slots.last_good,
        )
        return Link(connection, target, old_root=tls.old_root_used)

    async def _dial(
        self,
        make: MakeListener[Connection],
        target: Target,
        ssl_context: ssl.SSLContext | None = None,
    ) -> Connection:
        from ocpp_fast.transport import picows  # only when a real socket is used

        slot, password = target.slot, target.password
        return await picows.connect(
            connection_url(slot.csms_url, slot.identity),
            make,
            clock=self._clock,
            subprotocols=[version.subprotocol for version in self._config.versions],
            credentials=None if password is None else Credentials(slot.identity, password),
            ssl_context=ssl_context,
            local_interface=target.interface,
        )
