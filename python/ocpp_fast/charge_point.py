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

from ocpp_fast.blocks.context import Context, Registration
from ocpp_fast.blocks.transactions import adapted
from ocpp_fast.clock import SystemClock
from ocpp_fast.connectivity import LinkEvents
from ocpp_fast.delivery import Delivery
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.errors import ConfigurationError, ConnectFailed, StorageDamaged
from ocpp_fast.ids import Ids
from ocpp_fast.outbox import Outbox, RetryPolicy
from ocpp_fast.parts import Parts
from ocpp_fast.restoring import Restart
from ocpp_fast.station_clock import StationClock
from ocpp_fast.storage.bounded import bounded
from ocpp_fast.storage.memory import MemoryStorage
from ocpp_fast.uplink import Uplink

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from datetime import datetime

    from ocpp_fast.blocks.monitoring import EventDetails
    from ocpp_fast.callbacks import Callbacks
    from ocpp_fast.clock import Clock
    from ocpp_fast.config import StationConfig
    from ocpp_fast.connection import ConnectionObserver, FrameLog
    from ocpp_fast.connectivity.link import Link
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.dialling import Opener
    from ocpp_fast.errors import OcppError, StorageError
    from ocpp_fast.messages import JsonInput, Message, OcppVersion, v21
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
        self.clock = StationClock(clock or SystemClock())
        self._ids = ids or Ids()
        storage = storage or _storage(config)
        # The queue has a watch of its own over it.
        self._storage = bounded(storage, self.clock)
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
        self.delivery = self._make_delivery(storage)
        self._set_aside: str | None = None
        """What was told last of `Storage.set_aside`."""
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
        self._parts = Parts(
            self._context,
            config,
            self.device_model,
            self._storage,
            self.clock,
            keys=keys,
            reconnect=self._reconnect,
            on_registration=self._on_registration,
        )
        self.certificates = self._parts.certificate_store
        """The certificate store, made when first needed."""
        self.restoring = self._parts.restoring
        """What is found again after a restart; parts of one's own may register before `start`."""
        self._uplink = self._make_uplink(opener, observer, frame_log)

    def _make_delivery(self, storage: Storage) -> Delivery:
        return Delivery(
            storage,
            self.clock,
            retry=self._retry_policy,
            on_delivered=self._on_delivered,
            outbox=Outbox(
                max_rows=self.config.max_queued_messages,
                replay_rate=lambda: float(self.device_model.variables.message_replay_rate),
            ),
            adapt=adapted,
            on_pressure=self._on_pressure,
            on_health=self._on_storage_health,
        )

    def _make_uplink(
        self,
        opener: Opener | None,
        observer: ConnectionObserver | None,
        frame_log: FrameLog | None,
    ) -> Uplink:
        parts = self._parts
        uplink = Uplink(
            self.config,
            self._context,
            parts.slots,
            parts.passwords,
            parts.certificate_store,
            events=LinkEvents(self._on_connected, self._on_disconnected, self._on_connect_failed),
            opener=opener,
            connection_observer=observer,
            frame_log=frame_log,
        )
        uplink.serve(parts.provisioning, parts.tables(), parts.limits.table)
        self.device_model.subscribe(uplink.on_variables)
        return uplink

    # --- life -----------------------------------------------------------------------------

    async def start(self, boot_reason: str = "PowerUp") -> None:
        """Opens the storage, takes up what an earlier run left, and begins to connect.

        Returns without waiting for the CSMS. `boot_reason` is a BootReasonEnumType (B01.FR.09).
        Raises `StorageError`, after which it may be tried again, and `ConfigurationError` for
        another boot reason and when it was started already.
        """
        if self._runner is not None:
            raise ConfigurationError("the charge point was started already")
        self._parts.provisioning.set_boot_reason(boot_reason)
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
            try:
                await self._take_up(boot_reason)
            except StorageDamaged as error:
                _log.error("%s", error)
                await self._storage.replace_damaged()
                await self._take_up(boot_reason)
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
                await self._parts.transactions.recover()
                group.create_task(self._keep_running(self.device_model.run), name="store values")
                self.spawn(self._keep_running(self._parts.availability.run), "report states")
                self.spawn(self._keep_running(self._parts.monitoring.run), "tell events")
                for part in (self._parts.client_certificates, self._parts.certificate_status):
                    self.spawn(self._keep_running(part.run), "watch certificates")
                self.spawn(self._keep_running(self._uplink.connectivity.run), "connect")
                self._parts.meter_values.start()
                self.spawn(self._parts.security_events.started(boot_reason), "tell of the start")
                self._tell_set_aside()
                started.set_result(None)
                await self._stopping.wait()
                await self._uplink.connectivity.close(1000, "the station stops")
                self._end_tasks()
        finally:
            self._group = None
            await self.device_model.close()
            await self._storage.close()
            self.certificates.close()

    async def _take_up(self, boot_reason: str) -> None:
        """What an earlier run has left."""
        await self.device_model.open()
        restart = Restart(boot_reason, self.clock.now())
        await self.restoring.restore_all(await self._storage.state_load(), restart)
        self._parts.certificates.changed()
        await self.delivery.restore()
        await self._parts.monitoring.open()

    def _on_pressure(self, text: str) -> None:
        self._parts.security_events.queue_is_full(text)

    def _on_storage_health(self, error: StorageError | None) -> None:
        self._parts.security_events.storage_health(error)
        self._tell_set_aside()

    def _tell_set_aside(self) -> None:
        path = self._storage.set_aside
        if path not in (None, self._set_aside):
            self._set_aside = path
            self.spawn(self._parts.security_events.storage_set_aside(path), "set aside")

    def _end_tasks(self) -> None:
        self._parts.heartbeat.stop()
        self._parts.meter_values.stop()
        self._parts.monitoring.stop()
        self._parts.transactions.stop()
        for task in self._tasks:
            task.cancel()
        self._parts.redating.close()
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
        self._parts.slots.connected(link.slot)
        self._parts.security_events.connected()
        await self._parts.passwords.connected(link)
        await self._parts.client_certificates.connected(link)
        await self._parts.certificates.connected(link)
        self._tell_connection(connected=True)
        csms = (link.slot.slot, link.slot.csms_url, link.slot.identity)
        if self._csms_in_use not in (None, csms):
            self._parts.provisioning.begin_anew()
        self._csms_in_use = csms
        if context.registration is Registration.ACCEPTED:
            self._parts.availability.on_online()
            self._parts.heartbeat.restart()
            self._parts.client_certificates.accepted()
            # Accepted long ago, perhaps by a CSMS that is not behind this link any more.
            self.clock.call_later(_PROVEN_S, lambda: self._on_proven_link(link))
        else:
            self._registering = self.spawn(self._parts.provisioning.register(), "register")
        self._parts.monitoring.on_online_changed()

    async def _on_disconnected(self, _link: Link) -> None:
        self._context.connection = self._link = None
        if self._registering is not None:
            self._registering.cancel()
        self._parts.heartbeat.stop()
        self._parts.availability.on_offline()
        self._tell_connection(connected=False)
        self.delivery.detach()
        self._parts.monitoring.on_online_changed()

    def _on_connect_failed(self, error: OcppError) -> None:
        if isinstance(error, ConnectFailed):
            self._parts.security_events.connect_failed(error)

    def _on_registration(self) -> None:
        accepted = self._context.registration is Registration.ACCEPTED
        self._parts.redating.release(open_=accepted)
        if accepted:
            self._accepted.set()
            self._parts.availability.on_accepted()
            self._parts.heartbeat.restart()
        else:
            self._accepted.clear()
        self._parts.monitoring.on_online_changed()
        if accepted and self._link is not None:
            self._parts.client_certificates.accepted()
            self._on_proven_link(self._link)

    def _on_proven_link(self, link: Link) -> None:
        """The CSMS has accepted the station on this link, or has kept it open for some time."""
        if link is self._link:
            self._uplink.connectivity.settle(link)
            self._parts.certificate_status.refresh()
            self.spawn(self._parts.slots.confirmed(link.slot), "confirm the slot")

    def _reconnect(self, reason: str) -> None:
        self._uplink.connectivity.reconnect(reason)

    def _tell_connection(self, *, connected: bool) -> None:
        callback = self._context.callbacks.connection_state_changed_callback
        if callback is not None:
            version = self._context.version if connected else None
            self._context.tell(
                "connection_state_changed_callback", lambda: callback(connected, version)
            )

    def _on_delivered(self, row: OutboxRow, response: Message) -> None:
        self._context.last_sent = self.clock.monotonic()
        self._parts.transactions.on_delivered(row, response)

    def _retry_policy(self) -> RetryPolicy:
        variables = self.device_model.variables
        return RetryPolicy(variables.message_attempts, variables.message_attempt_interval_s)

    def _set_state(self, evse_id: int, connector_id: int, flag: str, *, on: bool) -> None:
        self._parts.availability.set(evse_id, connector_id, flag, on=on)

    def _dated(self, reading: v21.MeterValueType) -> v21.MeterValueType:
        """The reading with the right time, see `StationClock.dated`."""
        at = self.clock.dated(reading.timestamp)
        return reading if at is reading.timestamp else reading.replace(timestamp=at)

    # --- what has happened at the station ---------------------------------------------------

    def on_session_started(self, evse_id: int, connector_id: int) -> None:
        """An EV was plugged in: the connector is Occupied (G01.FR.03, E02.FR.05)."""
        self._set_state(evse_id, connector_id, "Occupied", on=True)
        self._parts.transactions.ev_connected(evse_id, connector_id)

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
        await self._parts.transactions.start(
            evse_id, connector_id, session_id, self.clock.dated(timestamp), trigger_reason,
            meter_start=meter_start and self._dated(meter_start),
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
        await self._parts.transactions.finish(
            evse_id, self.clock.dated(timestamp), reason, trigger_reason,
            meter_stop=meter_stop and self._dated(meter_stop),
            id_token=id_token, charging_state=charging_state,
        )  # fmt: skip

    async def on_authorized(
        self, evse_id: int, connector_id: int | None, id_token: v21.IdTokenType
    ) -> None:
        """A token was authorized for the running transaction; told once (E02.FR.01). Durable
        when this returns; nothing happens without a transaction."""
        if connector_id is not None:
            self._parts.transactions.ev_connected(evse_id, connector_id)
        await self._parts.transactions.authorized(evse_id, id_token)

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
        return await self._parts.transactions.charging_state_changed(
            evse_id, charging_state, trigger_reason,
            id_token=id_token, remote_start_id=remote_start_id,
        )  # fmt: skip

    def on_meter_value(self, evse_id: int, meter_value: v21.MeterValueType) -> None:
        """A new reading of an EVSE's meter, or with EVSE 0 of the station's. Any measurands; each
        message takes those that it is configured to contain (J01, J02)."""
        self._parts.readings.put(evse_id, self._dated(meter_value))

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
        self._parts.security_events.report(event_type, tech_info, critical=critical)

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
        if (at := details.get("timestamp")) is not None:
            details["timestamp"] = self.clock.dated(at)
        return self._parts.monitoring.raise_event(
            component, variable, actual_value, instance=instance, evse_id=evse_id,
            connector_id=connector_id, variable_instance=variable_instance, **details,
        )  # fmt: skip

    # --- what the station asks ------------------------------------------------------------

    def get_evse_transaction_id(self, evse_id: int) -> str | None:
        """The id of the transaction on an EVSE; None when there is none."""
        return self._parts.transactions.transaction_id(evse_id)

    async def recovered(self, evse_id: int) -> None:
        """Returns when it is decided, and durable, what becomes of the transaction that a power
        loss has interrupted on an EVSE; at once where there was none. No energy may flow before."""
        await self._parts.transactions.recovered(evse_id)

    def last_energy_wh(self, evse_id: int) -> float | None:
        """The register of an EVSE's meter as it is known to be stored; None when it is not."""
        return self._parts.transactions.last_energy_wh(evse_id)

    async def validate_token(
        self,
        id_token: v21.IdTokenType,
        certificate: str | None = None,
        ocsp_data: Sequence[v21.OCSPRequestDataType] | None = None,
    ) -> v21.AuthorizeResponse:
        """Whether a token may charge, see `Authorization.validate_token`; never raises for what
        the CSMS does or does not answer."""
        return await self._parts.authorization.validate_token(id_token, certificate, ocsp_data)

    async def data_transfer_req(
        self, vendor_id: str, message_id: str | None = None, data: JsonInput = None
    ) -> v21.DataTransferResponse:
        """Sends a vendor's message (P02). Raises `ConnectionLost` without a link, `NotAccepted`
        before the boot was accepted, and `PeerError` when the CSMS refuses or keeps silent."""
        return await self._parts.data_transfer.data_transfer_req(vendor_id, message_id, data)


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
