"""The station's way to its CSMS: builds what opens links and what speaks OCPP on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocpp_fast._core import Codec
from ocpp_fast.connection import Connection, ConnectionSettings
from ocpp_fast.connectivity import Connectivity
from ocpp_fast.dialling import Dialler
from ocpp_fast.messages.version import OcppVersion
from ocpp_fast.router import Role, Router

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.blocks.provisioning import Provisioning
    from ocpp_fast.config import StationConfig
    from ocpp_fast.connection import ConnectionObserver, FrameLog
    from ocpp_fast.connectivity import Attempt, LinkEvents
    from ocpp_fast.connectivity.link import Link
    from ocpp_fast.connectivity.slots import Slots
    from ocpp_fast.dialling import Opener, Passwords
    from ocpp_fast.errors import OcppError
    from ocpp_fast.router import Gate, Handler, Limit
    from ocpp_fast.security.station import StationCertificates
    from ocpp_fast.transport.base import Transport

__all__ = ["Uplink"]


class Uplink:
    """One link to the CSMS at a time, kept open as long as `run` runs."""

    def __init__(
        self,
        config: StationConfig,
        context: Context,
        slots: Slots,
        passwords: Passwords,
        certificates: StationCertificates,
        *,
        events: LinkEvents,
        opener: Opener | None,
        connection_observer: ConnectionObserver | None,
        frame_log: FrameLog | None,
    ) -> None:
        self._context = context
        self._connection_observer = connection_observer
        self._frame_log = frame_log
        self._codecs = {version: Codec(version) for version in config.versions}
        self._gate: Gate | None = None
        self._tables: Sequence[Mapping[str, Handler]] = ()
        self._limits: Mapping[str, Limit] = {}
        self._dialler = Dialler(
            config,
            slots,
            passwords,
            context.callbacks,
            tls=certificates.tls,
            variables=lambda: context.device_model.variables,
            clock=context.clock,
            opener=opener,
        )
        self.connectivity = Connectivity(
            self._open,
            slots,
            events,
            variables=lambda: context.device_model.variables,
            clock=context.clock,
            ids=context.ids,
        )

    def serve(
        self,
        provisioning: Provisioning,
        tables: Sequence[Mapping[str, Handler]],
        limits: Mapping[str, Limit],
    ) -> None:
        """Says who answers the requests of the CSMS, once `provisioning` lets them pass."""
        self._gate = provisioning.answer_early
        self._tables = tables
        self._limits = limits

    @property
    def error(self) -> OcppError | None:
        """Why the last attempt to connect failed; None after one that did not."""
        return self.connectivity.error

    async def _open(self, attempt: Attempt) -> Link:
        return await self._dialler.open(attempt, self._make_connection)

    def _make_connection(self, transport: Transport) -> Connection:
        context = self._context
        version = OcppVersion.from_subprotocol(transport.subprotocol)
        # Before the first frame can arrive, which may be a request.
        context.use_version(version)
        variables = context.device_model.variables
        transport.ping_every(
            variables.web_socket_ping_interval_s, variables.web_socket_pong_timeout_s
        )
        return Connection(
            transport,
            Router(
                version,
                Role.CHARGING_STATION,
                self._tables,
                limits=self._limits,
                gate=self._gate,
            ),
            self._codecs[version],
            clock=context.clock,
            ids=context.ids,
            settings=ConnectionSettings(call_timeout_s=variables.message_timeout_s),
            observer=self._connection_observer,
            frame_log=self._frame_log,
        )

    def on_variables(self, changed: frozenset[str]) -> None:
        """Variables have changed that a link in use follows."""
        connection = self._context.connection
        if connection is None:
            return
        variables = self._context.device_model.variables
        if "message_timeout_s" in changed:
            connection.call_timeout_s = variables.message_timeout_s
        if changed & {"web_socket_ping_interval_s", "web_socket_pong_timeout_s"}:
            connection.transport.ping_every(
                variables.web_socket_ping_interval_s, variables.web_socket_pong_timeout_s
            )
