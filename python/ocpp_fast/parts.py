"""The parts of a station's OCPP side: all blocks and what they share, built and joined.

Nothing here decides anything and nothing runs; `charge_point` starts the parts, stops them, and
tells them what happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocpp_fast.blocks.authorization import Authorization
from ocpp_fast.blocks.availability import Availability, Heartbeat
from ocpp_fast.blocks.certificates import Certificates, CertificateStatus
from ocpp_fast.blocks.context import text_of
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
from ocpp_fast.connectivity.access import Access
from ocpp_fast.connectivity.slots import Slots
from ocpp_fast.connectivity.tls_policy import tls_policy
from ocpp_fast.device_model.facts import StationFacts
from ocpp_fast.redating import Redating
from ocpp_fast.restoring import Restoring
from ocpp_fast.security.station import StationCertificates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.config import StationConfig
    from ocpp_fast.device_model import DeviceModel
    from ocpp_fast.router import Handler
    from ocpp_fast.security.keys import KeyProvider
    from ocpp_fast.station_clock import StationClock
    from ocpp_fast.storage import Storage

__all__ = ["Parts"]


class Parts:
    """One of each."""

    def __init__(
        self,
        context: Context,
        config: StationConfig,
        model: DeviceModel,
        storage: Storage,
        clock: StationClock,
        *,
        keys: KeyProvider | None,
        reconnect: Callable[[str], None],
        on_registration: Callable[[], None],
    ) -> None:
        """`clock` is the one of the context. `reconnect(reason)` gives up the link for a new one;
        `on_registration` is called when `Context.registration` has changed."""
        self._context = context
        self._config = config
        self._model = model
        self._storage = storage
        self._clock = clock
        self._build_security(keys, reconnect)
        self._build_station(on_registration)
        self._build_requests()
        self.restoring = Restoring()
        for part in (
            self.redating,  # first: others ask for the time
            self.slots,
            self.passwords,
            self.client_certificates,
            self.certificate_status,
            self.availability,
            self.transactions,
            self.transactions.checkpoints,
        ):
            self.restoring.register(part)

    def _build_security(self, keys: KeyProvider | None, reconnect: Callable[[str], None]) -> None:
        """The ways to a CSMS, and what proves who is who on them."""
        context, config, model, storage = self._context, self._config, self._model, self._storage
        access = Access(model)
        store = StationCertificates(config, self._clock.earliest, lambda: tls_policy(access), keys)
        self.certificate_store = store
        self.slots = Slots(model, config, storage, store)
        self.network_profiles = NetworkProfiles(context, model, self.slots)
        self.security_events = SecurityEvents(context, model, storage)
        self.passwords = Passwords(
            context,
            model,
            storage,
            self.security_events,
            common=lambda: self.slots.common.password,
            reconnect=reconnect,
        )
        self.certificate_status = CertificateStatus(context, model, store, storage)
        self.certificates = Certificates(
            context, model, store, self.security_events, self.certificate_status
        )
        self.client_certificates = ClientCertificates(
            context,
            model,
            store,
            storage,
            self.security_events,
            serial_number=config.serial_number or config.identity,
            reconnect=reconnect,
            on_changed=self.certificates.changed,
        )

    def _build_station(self, on_registration: Callable[[], None]) -> None:
        """What the station is and does."""
        context, config, model, storage = self._context, self._config, self._model, self._storage
        self.facts = StationFacts(model)
        self.readings = Readings(context)
        self.readings.subscribe(self.facts.metered)
        self.transactions = Transactions(
            context,
            self.readings,
            on_idle=self._on_idle,
            on_active=self._on_active,
            storage=storage,
            model=model,
            on_restart=config.on_restart,
        )
        self.provisioning = Provisioning(
            context,
            config,
            on_registration=on_registration,
            learn=self._learn,
        )
        self.resets = Resets(context, self.transactions, flush=context.delivery.drained)
        self.monitoring = Monitoring(context, model, storage, self.transactions)
        self.authorization = Authorization(context)
        self.availability = Availability(context, on_state=self.facts.connector)
        self.heartbeat = Heartbeat(context, self.provisioning.sync_time)
        self.meter_values = MeterValues(context, self.readings, self.transactions)
        self.redating = Redating(
            self._clock,
            context.delivery,
            storage,
            dated=(self.transactions, self.availability, self.readings, self.monitoring),
            spawn=context.spawn,
            report=self.security_events.report,
            threshold_s=self._time_threshold_s,
        )

    def _build_requests(self) -> None:
        """What the CSMS can ask for beside."""
        context, model = self._context, self._model
        self.variable_access = VariableAccess(model, (self.passwords,))
        self.reports = Reports(context, model)
        self.limits = RequestLimits(context, model)
        self.data_transfer = DataTransfer(context)
        self.remote_control = RemoteControl(
            context,
            self.transactions,
            self.availability,
            {
                **self.provisioning.triggers,
                **self.availability.triggers,
                **self.heartbeat.triggers,
                **self.meter_values.triggers,
                **self.transactions.triggers,
                **self.client_certificates.triggers,
            },
        )

    def _learn(self, time: datetime) -> None:
        self.redating.learn(time)

    def _time_threshold_s(self) -> float | None:
        text = text_of(self._model, "ClockCtrlr", "TimeAdjustmentReportingThreshold")
        return float(text) if text else None

    def _on_idle(self) -> None:
        self.resets.on_idle()

    def _on_active(self, evse_id: int, transaction_id: str | None) -> None:
        self.monitoring.on_transaction(evse_id, transaction_id)

    def tables(self) -> list[Mapping[str, Handler]]:
        """Who answers which request of the CSMS."""
        blocks = (
            self.provisioning,
            self.resets,
            self.variable_access,
            self.reports,
            self.network_profiles,
            self.client_certificates,
            self.certificates,
            self.monitoring,
            self.authorization,
            self.availability,
            self.transactions,
            self.meter_values,
            self.data_transfer,
            self.remote_control,
        )
        return [block.handlers for block in blocks]
