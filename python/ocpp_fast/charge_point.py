"""The charging station's OCPP side: builds the parts, starts and stops them, forwards events.

    charge_point = ChargePoint(config, callbacks)
    await charge_point.start()
    charge_point.on_session_started(1, 1)
    ...
    await charge_point.stop()

The `on_*` methods are how the station's hardware side reports what has happened; the callbacks
are how it is asked to act. Nothing here decides anything about OCPP: that is in `blocks`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Self, Unpack

from ocpp_fast.blocks.authorization import Authorization
from ocpp_fast.blocks.availability import Availability, Heartbeat
from ocpp_fast.blocks.certificates import Certificates, CertificateStatus
from ocpp_fast.blocks.context import Context, Registration
from ocpp_fast.blocks.data_transfer import DataTransfer
from ocpp_fast.blocks.meter_values import MeterValues
from ocpp_fast.blocks.monitoring import Monitoring
from ocpp_fast.blocks.network_profiles import NetworkProfiles
from ocpp_fast.blocks.provisioning import (
    Provisioning,
    Reports,
    RequestLimits,
    Resets,
    VariableAccess,
)
from ocpp_fast.blocks.readings import Readings
from ocpp_fast.blocks.remote_control import RemoteControl
from ocpp_fast.blocks.security import ClientCertificates, Passwords, SecurityEvents
from ocpp_fast.blocks.transactions import Transactions
from ocpp_fast.clock import SystemClock
from ocpp_fast.connectivity import LinkEvents
from ocpp_fast.connectivity.access import Access
from ocpp_fast.connectivity.slots import Slots
from ocpp_fast.connectivity.tls_policy import tls_policy
from ocpp_fast.delivery import Delivery
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.device_model.facts import StationFacts
from ocpp_fast.errors import ConfigurationError, ConnectFailed
from ocpp_fast.ids import Ids
from ocpp_fast.outbox import RetryPolicy
from ocpp_fast.security.station import StationCertificates
from ocpp_fast.storage.memory import MemoryStorage
from ocpp_fast.uplink import Uplink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
    from datetime import datetime

    from ocpp_fast.blocks.monitoring import EventDetails
    from ocpp_fast.callbacks import Callbacks
    from ocpp_fast.clock import Clock
    from ocpp_fast.config import StationConfig
    from ocpp_fast.connection import ConnectionObserver, FrameLog
    from ocpp_fast.connectivity.link import Link
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.dialling import Opener
    from ocpp_fast.errors import OcppError
    from ocpp_fast.messages import JsonInput, Message, OcppVersion, v21
    from ocpp_fast.router import Handler
    from ocpp_fast.security.keys import KeyProvider
    from ocpp_fast.storage import OutboxRow, Storage

__all__ = ["ChargePoint"]

_log = logging.getLogger(__name__)

_RESTART_PAUSE_S = 1.0
_PROVEN_S = 10.0
"""A link of a station that was accepted before is a good one when it has lived so long."""


class ChargePoint:
    """One charging station, as its CSMS sees it.

    All its tasks live in one TaskGroup, from `start` to `stop`. Messages and enumerations may be
    of either OCPP version; they are converted to the one in use.
    """

    def __init__(
        self,
        config: StationConfig,
        callbacks: Callbacks,
        *,
        storage: Storage | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
        device_model: DeviceModel | None = None,
        component_files: ComponentFiles | None = None,
        keys: KeyProvider | None = None,
        opener: Opener | None = None,
        observer: ConnectionObserver | None = None,
        frame_log: FrameLog | None = None,
        callback_timeout_s: float = 20.0,
    ) -> None:
        """Builds everything and starts nothing.

        Without `storage` the durable state is kept in `config.storage`, or in memory when that is
        None. `keys` makes and holds the private keys where they are not to be files, in a TPM for
        instance; `opener` replaces the WebSocket, `device_model` the one that is made of component
        files; `component_files`, given to many stations, reads them once. Raises
        `ConfigurationError`, with all that is wrong in them.
        """
        self.config = config
        self.clock: Clock = clock or SystemClock()
        self._ids = ids or Ids()
        self._storage = storage or _storage(config)
        self.device_model = device_model or (component_files or ComponentFiles()).device_model(
            config,
            self._storage,
            clock=self.clock,
            networks=callbacks.configure_network_connection_profile_callback is not None,
        )
        self._runner: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._accepted = asyncio.Event()
        self._registering: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._csms_in_use: tuple[int, str, str] | None = None
        """Slot, address and identity of the last link there was."""
        self.delivery = Delivery(
            self._storage,
            self.clock,
            retry=self._retry_policy,
            on_delivered=self._on_delivered,
        )
        self._context = Context(
            clock=self.clock,
            ids=self._ids,
            device_model=self.device_model,
            callbacks=callbacks,
            delivery=self.delivery,
            spawn=self.spawn,
            version=config.versions[0],
            callback_timeout_s=callback_timeout_s,
        )
        self._build_security(keys)
        self._uplink = Uplink(
            config,
            self._context,
            self._slots,
            self._passwords,
            self.certificates,
            events=LinkEvents(self._on_connected, self._on_disconnected, self._on_connect_failed),
            opener=opener,
            connection_observer=observer,
            frame_log=frame_log,
        )
        self._build_blocks()
        self._uplink.serve(self._provisioning, self._tables(), self._limits.table)
        self.device_model.subscribe(self._uplink.on_variables)

    def _build_security(self, keys: KeyProvider | None) -> None:
        """The ways to a CSMS, and what proves who is who on them."""
        context, model, storage = self._context, self.device_model, self._storage
        access = Access(model)
        certificates = StationCertificates(
            self.config, self.clock, lambda: tls_policy(access), keys
        )
        self.certificates = certificates
        """The certificate store, made when first needed."""
        self._slots = Slots(model, self.config, storage, certificates)
        self._network_profiles = NetworkProfiles(context, model, self._slots)
        self._security_events = SecurityEvents(context, model, storage)
        self._passwords = Passwords(
            context,
            model,
            storage,
            self._security_events,
            common=lambda: self._slots.common.password,
            reconnect=self._reconnect,
        )
        self._certificate_status = CertificateStatus(context, model, certificates, storage)
        self._certificates = Certificates(
            context, model, certificates, self._security_events, self._certificate_status
        )
        self._client_certificates = ClientCertificates(
            context,
            model,
            certificates,
            storage,
            self._security_events,
            serial_number=self.config.serial_number or self.config.identity,
            reconnect=self._reconnect,
            on_changed=self._certificates.changed,
        )

    def _build_blocks(self) -> None:
        context = self._context
        self._facts = StationFacts(self.device_model)
        self._readings = Readings(context)
        self._readings.subscribe(self._facts.metered)
        self._transactions = Transactions(
            context, self._readings, on_idle=self._on_idle, on_active=self._on_active
        )
        self._provisioning = Provisioning(
            context, self.config, on_registration=self._on_registration
        )
        self._resets = Resets(context, self._transactions, flush=self.delivery.drained)
        self._variable_access = VariableAccess(self.device_model, (self._passwords,))
        self._reports = Reports(context, self.device_model)
        self._limits = RequestLimits(context, self.device_model)
        self._monitoring = Monitoring(context, self.device_model, self._storage, self._transactions)
        self._authorization = Authorization(context)
        self._availability = Availability(context)
        self._heartbeat = Heartbeat(context, self._provisioning.sync_time)
        self._meter_values = MeterValues(context, self._readings, self._transactions)
        self._data_transfer = DataTransfer(context)
        self._remote_control = RemoteControl(
            context,
            self._transactions,
            self._availability,
            {
                **self._provisioning.triggers,
                **self._availability.triggers,
                **self._heartbeat.triggers,
                **self._meter_values.triggers,
                **self._transactions.triggers,
                **self._client_certificates.triggers,
            },
        )

    def _tables(self) -> list[Mapping[str, Handler]]:
        """Who answers which request of the CSMS."""
        blocks = (
            self._provisioning,
            self._resets,
            self._variable_access,
            self._reports,
            self._network_profiles,
            self._client_certificates,
            self._certificates,
            self._monitoring,
            self._authorization,
            self._availability,
            self._transactions,
            self._meter_values,
            self._data_transfer,
            self._remote_control,
        )
        return [block.handlers for block in blocks]

    # --- life -----------------------------------------------------------------------------

    async def start(self, boot_reason: str = "PowerUp") -> None:
        """Opens the storage, takes up what an earlier run left, and begins to connect.

        Returns without waiting for the CSMS. `boot_reason` is a BootReasonEnumType (B01.FR.09).
        Raises `StorageError`, after which it may be tried again, and `ConfigurationError` for
        another boot reason and when it was started already.
        """
        if self._runner is not None:
            raise ConfigurationError("the charge point was started already")
        self._provisioning.set_boot_reason(boot_reason)
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._runner = asyncio.create_task(self._run(started, boot_reason), name="charge point")
        try:
            await asyncio.shield(started)
        except BaseException:
            self._runner.cancel()  # where it has not ended by itself
            self._runner = None
            raise

    async def stop(self) -> None:
        """Closes the link, ends all tasks and closes the storage. May be called again.

        What waits for delivery stays in the storage.
        """
        if self._runner is not None:
            self._stopping.set()
            await asyncio.shield(self._runner)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _run(self, started: asyncio.Future[None], boot_reason: str) -> None:
        try:
            await self._storage.open()
            await self.device_model.open()
            state = await self._storage.state_load()
            await self._slots.open(state)
            self._passwords.open(state)
            await self._client_certificates.open(state)
            self._certificate_status.open(state)
            self._certificates.changed()
            await self.delivery.restore()
            await self._monitoring.open()
        except BaseException as error:
            await self._storage.close()
            if not started.cancelled():
                started.set_exception(error)
            return
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                # Not cancelled at the end: it returns when everything is stored.
                group.create_task(self._keep_running(self.delivery.write), name="write")
                group.create_task(self._keep_running(self.device_model.run), name="store values")
                self.spawn(self._keep_running(self._availability.run), "report states")
                self.spawn(self._keep_running(self._monitoring.run), "tell events")
                for part in (self._client_certificates, self._certificate_status):
                    self.spawn(self._keep_running(part.run), "watch certificates")
                self.spawn(self._keep_running(self._uplink.connectivity.run), "connect")
                self._meter_values.start()
                self.spawn(self._security_events.started(boot_reason), "tell of the start")
                if (path := self._storage.set_aside) is not None:
                    self.spawn(self._security_events.storage_set_aside(path), "set aside")
                started.set_result(None)
                await self._stopping.wait()
                await self._uplink.connectivity.close(1000, "the station stops")
                self._end_tasks()
        finally:
            self._group = None
            await self.device_model.close()
            await self._storage.close()
            self.certificates.close()

    def _end_tasks(self) -> None:
        self._heartbeat.stop()
        self._meter_values.stop()
        self._monitoring.stop()
        self._transactions.stop()
        for task in self._tasks:
            task.cancel()
        self.delivery.finish()
        self.device_model.finish()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None] | None:
        """Runs `work` as a task of the station until `stop`; what it raises is logged. Unless the
        station runs, nothing happens."""
        if self._group is None or self._stopping.is_set():
            work.close()
            return None
        task = self._group.create_task(_logged(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # One that is cancelled before its first step has not even begun with `work`.
        task.add_done_callback(lambda _: work.close())
        return task

    async def _keep_running(self, work: Callable[[], Awaitable[None]]) -> None:
        """Runs what ends only with the station; an error is logged, and it starts afresh."""
        while True:
            try:
                await work()
            except Exception:
                _log.exception("a part of the station failed and is started again")
                await self.clock.sleep(_RESTART_PAUSE_S)
            else:
                return

    # --- the link -------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether there is a link to the CSMS."""
        return self._context.online

    @property
    def registration(self) -> Registration:
        """What the CSMS said to the last BootNotification."""
        return self._context.registration

    async def wait_accepted(self, timeout_s: float = 60.0) -> None:
        """Returns when the CSMS has accepted the station (B01.FR.01), at once if it has already.

        Raises `TimeoutError` after `timeout_s`; `connected`, `connect_error` and `registration`
        then tell what stands in the way.
        """
        await self.clock.wait_for(self._accepted.wait(), timeout_s)

    @property
    def version(self) -> OcppVersion:
        """The OCPP version of the link, of the last one, or the preferred one before the first."""
        return self._context.version

    @property
    def connect_error(self) -> OcppError | None:
        """Why the last attempt to connect failed; None after one that did not."""
        return self._uplink.error

    async def _on_connected(self, link: Link) -> None:
        context = self._context
        context.connection = link.connection
        self._link = link
        self.delivery.attach(link.connection)
        self._slots.connected(link.slot)
        self._security_events.connected()
        await self._passwords.connected(link)
        await self._client_certificates.connected(link)
        await self._certificates.connected(link)
        self._tell_connection(connected=True)
        csms = (link.slot.slot, link.slot.csms_url, link.slot.identity)
        if self._csms_in_use not in (None, csms):
            self._provisioning.begin_anew()
        self._csms_in_use = csms
        if context.registration is Registration.ACCEPTED:
            self._availability.on_online()
            self._heartbeat.restart()
            self._client_certificates.accepted()
            # Accepted long ago, perhaps by a CSMS that is not behind this link any more.
            self.clock.call_later(_PROVEN_S, lambda: self._on_proven_link(link))
        else:
            self._registering = self.spawn(self._provisioning.register(), "register")
        self._monitoring.on_online_changed()

    async def _on_disconnected(self, _link: Link) -> None:
        self._context.connection = self._link = None
        if self._registering is not None:
            self._registering.cancel()
        self._heartbeat.stop()
        self._availability.on_offline()
        self._tell_connection(connected=False)
        self.delivery.detach()
        self._monitoring.on_online_changed()

    def _on_connect_failed(self, error: OcppError) -> None:
        if isinstance(error, ConnectFailed):
            self._security_events.connect_failed(error)

    def _on_registration(self) -> None:
        accepted = self._context.registration is Registration.ACCEPTED
        self.delivery.release(open_=accepted)
        if accepted:
            self._accepted.set()
            self._availability.on_accepted()
            self._heartbeat.restart()
        else:
            self._accepted.clear()
        self._monitoring.on_online_changed()
        if accepted and self._link is not None:
            self._client_certificates.accepted()
            self._on_proven_link(self._link)

    def _on_proven_link(self, link: Link) -> None:
        """The CSMS has accepted the station on this link, or has kept it open for some time."""
        if link is self._link:
            self._uplink.connectivity.settle(link)
            self._certificate_status.refresh()
            self.spawn(self._slots.confirmed(link.slot), "confirm the slot")

    def _reconnect(self, reason: str) -> None:
        self._uplink.connectivity.reconnect(reason)

    def _on_idle(self) -> None:
        self._resets.on_idle()

    def _on_active(self, evse_id: int, transaction_id: str | None) -> None:
        self._monitoring.on_transaction(evse_id, transaction_id)

    def _tell_connection(self, *, connected: bool) -> None:
        callback = self._context.callbacks.connection_state_changed_callback
        if callback is not None:
            version = self._context.version if connected else None
            self._context.tell(
                "connection_state_changed_callback", lambda: callback(connected, version)
            )

    def _on_delivered(self, row: OutboxRow, response: Message) -> None:
        self._context.last_sent = self.clock.monotonic()
        self._transactions.on_delivered(row, response)

    def _retry_policy(self) -> RetryPolicy:
        variables = self.device_model.variables
        return RetryPolicy(variables.message_attempts, variables.message_attempt_interval_s)

    def _set_state(self, evse_id: int, connector_id: int, flag: str, *, on: bool) -> None:
        self._availability.set(evse_id, connector_id, flag, on=on)
        state = self._availability.status(evse_id, connector_id)
        self._facts.connector(evse_id, connector_id, state)

    # --- what has happened at the station ---------------------------------------------------

    def on_session_started(self, evse_id: int, connector_id: int) -> None:
        """An EV was plugged in: the connector is Occupied (G01.FR.03, E02.FR.05)."""
        self._set_state(evse_id, connector_id, "Occupied", on=True)
        self._transactions.ev_connected(evse_id, connector_id)

    def on_session_finished(self, evse_id: int, connector_id: int) -> None:
        """The EV was unplugged: the connector is Available again (G01.FR.04)."""
        self._set_state(evse_id, connector_id, "Occupied", on=False)

    async def on_transaction_started(
        self,
        evse_id: int,
        connector_id: int | None,
        session_id: str,
        timestamp: datetime,
        trigger_reason: v21.TriggerReasonEnumType | str,
        *,
        meter_start: v21.MeterValueType | None = None,
        id_token: v21.IdTokenType | None = None,
        reservation_id: int | None = None,
        remote_start_id: int | None = None,
        charging_state: v21.ChargingStateEnumType | str = "EVConnected",
    ) -> None:
        """A transaction has started (E01).

        `session_id` becomes the transactionId: at most 36 characters, never used before
        (E01.FR.08; `Ids.transaction_id` makes them). `connector_id` is None before an EV is
        connected. `meter_start` may hold any measurands; None moves the begin readings to the
        first event after charging has started (E01.FR.17).

        The event is durable when this returns. Raises `ConfigurationError` for an EVSE that does
        not exist or has a transaction, `ValidationError` for values that break the schema.
        """
        await self._transactions.start(
            evse_id, connector_id, session_id, timestamp, trigger_reason,
            meter_start=meter_start,
            id_token=id_token, reservation_id=reservation_id, remote_start_id=remote_start_id,
            charging_state=charging_state,
        )  # fmt: skip

    async def on_transaction_finished(
        self,
        evse_id: int,
        timestamp: datetime,
        reason: v21.ReasonEnumType | str = "Local",
        trigger_reason: v21.TriggerReasonEnumType | str = "StopAuthorized",
        *,
        meter_stop: v21.MeterValueType | None = None,
        id_token: v21.IdTokenType | None = None,
        charging_state: v21.ChargingStateEnumType | str = "EVConnected",
    ) -> None:
        """The transaction of an EVSE has ended (E06); `id_token` is the one that ended it.

        The event is durable when this returns. Raises `ConfigurationError` for an EVSE without a
        transaction.
        """
        await self._transactions.finish(
            evse_id, timestamp, reason, trigger_reason, meter_stop=meter_stop,
            id_token=id_token, charging_state=charging_state,
        )  # fmt: skip

    async def on_authorized(
        self, evse_id: int, connector_id: int | None, id_token: v21.IdTokenType
    ) -> None:
        """A token was authorized for the running transaction; told once (E02.FR.01). Durable
        when this returns; nothing happens without a transaction."""
        if connector_id is not None:
            self._transactions.ev_connected(evse_id, connector_id)
        await self._transactions.authorized(evse_id, id_token)

    async def on_charging_state_changed(
        self,
        evse_id: int,
        charging_state: v21.ChargingStateEnumType | str,
        trigger_reason: v21.TriggerReasonEnumType | str = "ChargingStateChanged",
        *,
        id_token: v21.IdTokenType | None = None,
        remote_start_id: int | None = None,
    ) -> bool:
        """The charging state is another, or something else is to be told with it (E02.FR.13).

        `id_token` is one that has just begun or ended the authorization (E07.FR.02). False when
        the EVSE has no transaction; else the event is durable when this returns.
        """
        return await self._transactions.charging_state_changed(
            evse_id, charging_state, trigger_reason,
            id_token=id_token, remote_start_id=remote_start_id,
        )  # fmt: skip

    def on_meter_value(self, evse_id: int, meter_value: v21.MeterValueType) -> None:
        """A new reading of an EVSE's meter, or with EVSE 0 of the station's. Any measurands; each
        message takes those that it is configured to contain (J01, J02)."""
        self._readings.put(evse_id, meter_value)

    def on_unavailable(self, evse_id: int, connector_id: int) -> None:
        """The connector cannot be used."""
        self._set_state(evse_id, connector_id, "Unavailable", on=True)

    def on_enabled(self, evse_id: int, connector_id: int) -> None:
        """The connector can be used again."""
        self._set_state(evse_id, connector_id, "Unavailable", on=False)

    def on_faulted(self, evse_id: int, connector_id: int) -> None:
        """The connector has an error that makes it unusable."""
        self._set_state(evse_id, connector_id, "Faulted", on=True)

    def on_fault_cleared(self, evse_id: int, connector_id: int) -> None:
        """The error is gone."""
        self._set_state(evse_id, connector_id, "Faulted", on=False)

    def on_reserved(self, evse_id: int, connector_id: int) -> None:
        """The connector is kept for somebody."""
        self._set_state(evse_id, connector_id, "Reserved", on=True)

    def on_reservation_cleared(self, evse_id: int, connector_id: int) -> None:
        """The connector is kept for nobody any more."""
        self._set_state(evse_id, connector_id, "Reserved", on=False)

    def on_security_event(
        self, event_type: str, tech_info: str | None = None, *, critical: bool | None = None
    ) -> None:
        """Something that concerns security has happened: it goes into the security log, and a
        critical one to the CSMS as soon as possible (A04). `event_type` is one of the appendix
        where one fits, at most 50 characters; `critical` is what the appendix says, or True for
        a type that is not there. Needs the event loop."""
        self._security_events.report(event_type, tech_info, critical=critical)

    def raise_event(
        self,
        component: str,
        variable: str,
        actual_value: str | None = None,
        *,
        instance: str | None = None,
        evse_id: int | None = None,
        connector_id: int | None = None,
        variable_instance: str | None = None,
        **details: Unpack[EventDetails],
    ) -> int:
        """Something has happened at a component that no monitor watches (HardWiredNotification of
        N07); returns the eventId, which other events can name as their `cause`.

        Without `actual_value` it is the one of the device model. The CSMS is told unless the level
        of SetMonitoringLevel excludes the severity (5, Alert, when none is given), at once or, if
        OfflineQueuingSeverity says so, when the station is online again. Needs the event loop.

        Raises `ValidationError` for texts and ids that break the schema, `ConfigurationError` for a
        severity beyond 9.
        """
        return self._monitoring.raise_event(
            component, variable, actual_value, instance=instance, evse_id=evse_id,
            connector_id=connector_id, variable_instance=variable_instance, **details,
        )  # fmt: skip

    # --- what the station asks ------------------------------------------------------------

    def get_evse_transaction_id(self, evse_id: int) -> str | None:
        """The id of the transaction on an EVSE; None when there is none."""
        return self._transactions.transaction_id(evse_id)

    async def validate_token(
        self,
        id_token: v21.IdTokenType,
        certificate: str | None = None,
        ocsp_data: Sequence[v21.OCSPRequestDataType] | None = None,
    ) -> v21.AuthorizeResponse:
        """Whether a token may charge, see `Authorization.validate_token`; never raises for what
        the CSMS does or does not answer."""
        return await self._authorization.validate_token(id_token, certificate, ocsp_data)

    async def data_transfer_req(
        self, vendor_id: str, message_id: str | None = None, data: JsonInput = None
    ) -> v21.DataTransferResponse:
        """Sends a vendor's message (P02). Raises `ConnectionLost` without a link, `NotAccepted`
        before the boot was accepted, and `PeerError` when the CSMS refuses or keeps silent."""
        return await self._data_transfer.data_transfer_req(vendor_id, message_id, data)


def _storage(config: StationConfig) -> Storage:
    if config.storage is None:
        return MemoryStorage()
    from ocpp_fast.storage.sqlite import SqliteStorage  # only where it is used

    return SqliteStorage(config.storage)


async def _logged(work: Coroutine[Any, Any, None], name: str) -> None:
    try:
        await work
    except Exception:  # One failed task must not take the station down with it.
        _log.exception("%s failed", name)
