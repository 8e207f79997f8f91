"""A charge point without a station around it, whose power can be cut after any write, and the CSMS
that sees all its lives."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Self

from ocpp_fast.callbacks import Callbacks, OpenTransaction, RestoredTransaction
from ocpp_fast.charge_point import ChargePoint
from ocpp_fast.config import EvseConfig, StationConfig, Variables
from ocpp_fast.connection import Connection, Way
from ocpp_fast.connectivity.link import Link, Target
from ocpp_fast.csms import Csms
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage, Storage
from ocpp_fast.storage.base import OutboxRow
from ocpp_fast.testing import MemoryLink, VirtualClock
from ocpp_fast.transport.base import MakeListener
from pair.station_kit import QUIET

FILES = ComponentFiles()
WRITES = (
    "outbox_append",
    "outbox_attempted",
    "outbox_bury",
    "outbox_remove",
    "readings_append",
    "readings_remove",
    "readings_thin",
    "security_log_append",
    "state_store",
    "values_store",
)
Restore = Callable[[OpenTransaction], Awaitable[RestoredTransaction | None]]


class CutStorage(MemoryStorage):
    """A durable storage that knows what it held after each of its writes."""

    durable = True

    def __init__(self) -> None:
        super().__init__()
        self.cuts: list[Cut] = []
        self.watch: Life | None = None
        for verb in WRITES:
            setattr(self, verb, self._cutting(verb, getattr(self, verb)))

    def _cutting(self, verb: str, write: Callable[..., Awaitable[Any]]) -> Any:
        def cutting(*arguments: Any) -> Awaitable[Any]:
            done = write(*arguments)
            if self.watch is not None:
                self.cuts.append(Cut(verb, self, self.watch))
            return done

        return cutting

    def content(self) -> dict[str, Any]:
        """All that would survive, apart from this object."""
        held = {n: v for n, v in vars(self).items() if n.startswith("_") and hasattr(v, "copy")}
        held = {name: value.copy() for name, value in held.items()}
        held["_rows"] = {row_id: replace(row) for row_id, row in held["_rows"].items()}
        return held

    @classmethod
    def holding(cls, content: Mapping[str, Any]) -> CutStorage:
        """One that comes up with what was left."""
        found = cls()
        vars(found).update({name: value.copy() for name, value in content.items()})
        vars(found)["_rows"] = {n: replace(row) for n, row in content["_rows"].items()}
        return found

    @property
    def facts(self) -> dict[str, str]:
        return self._state

    @property
    def rows(self) -> list[OutboxRow]:
        return list(self._rows.values())


class Cut:
    """The power fails right after a write: what is stored, and what the CSMS has seen."""

    def __init__(self, verb: str, storage: CutStorage, life: Life) -> None:
        self.verb = verb
        self.content = storage.content()
        self.seen = life.events()
        self.drawn_wh = dict(life.drawn_wh)
        self.at = life.clock.now()


class Life:
    """One run of a charge point, from power to power cut."""

    def __init__(
        self,
        clock: VirtualClock,
        storage: Storage | None = None,
        *,
        version: OcppVersion = OcppVersion.V21,
        versions: tuple[OcppVersion, ...] | None = None,
        csms: Csms | None = None,
        online: bool = True,
        restore: Restore | None = None,
        boot_reason: str = "PowerUp",
        evses: int = 2,
        variables: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> None:
        """`version` is the one that the CSMS speaks; `versions` are those of the charge point."""
        self.clock = clock
        self.version = version
        self.online = online
        self.boot_reason = boot_reason
        self.csms = csms or Csms(clock=clock, ids=Ids(seed=2), heartbeat_interval_s=0)
        self.storage = storage or CutStorage()
        self.frames: list[tuple[Way, list[Any]]] = []
        self.asked: list[OpenTransaction] = []
        self.stops: list[tuple[int, str]] = []
        self.pauses: list[int] = []
        self.active: list[tuple[int, str | None]] = []
        self.drawn_wh: dict[int, float] = {}
        """What the meter of each EVSE shows."""
        self._restore = restore
        settings: Variables = replace(QUIET, **(variables or {}))
        self.point = ChargePoint(
            StationConfig(
                identity="CS001",
                csms_url="ws://csms.test/ocpp",
                evses=(EvseConfig(),) * evses,
                versions=versions or (version,),
                variables=settings,
                **config,
            ),
            self._callbacks(),
            clock=clock,
            ids=Ids(seed=1),
            component_files=FILES,
            opener=self._open,
            storage=self.storage,
            frame_log=lambda way, frame: self.frames.append((way, json.loads(frame))),
        )
        parts = self.point._parts
        tell = parts.transactions._on_active

        def on_active(evse_id: int, transaction_id: str | None) -> None:
            self.active.append((evse_id, transaction_id))
            tell(evse_id, transaction_id)

        parts.transactions._on_active = on_active

    def _callbacks(self) -> Callbacks:
        async def ask(open_: OpenTransaction) -> RestoredTransaction:
            self.asked.append(open_)
            answer: Any = None if self._restore is None else await self._restore(open_)
            return answer

        async def stop(evse_id: int, reason: str) -> None:
            self.stops.append((evse_id, str(reason)))

        async def pause(evse_id: int) -> None:
            self.pauses.append(evse_id)

        async def no(*_: object) -> Any:
            return None

        return Callbacks(
            is_reset_allowed_callback=no,
            reset_callback=no,
            stop_transaction_callback=stop,
            pause_charging_callback=pause,
            remote_start_transaction_callback=no,
            restore_transaction_callback=None if self._restore is None else ask,
        )

    async def _open(self, make: MakeListener[Connection], target: Target) -> Link:
        if not self.online:
            raise ConnectFailed(ConnectFailure.NETWORK, "nobody there")
        link = MemoryLink(
            make, self.csms.listener("CS001"), clock=self.clock, ids=self.point._ids,
            subprotocol=self.version.subprotocol,
        )  # fmt: skip
        connection = link.left.listener
        assert isinstance(connection, Connection)
        return Link(connection, target)

    async def __aenter__(self) -> Self:
        await self.point.start(self.boot_reason)
        if isinstance(self.storage, CutStorage):
            self.storage.watch = self
        await self.clock.sleep(1)
        return self

    async def __aexit__(self, *_: object) -> None:
        if isinstance(self.storage, CutStorage):
            self.storage.watch = None
        await self.point.stop()

    def cut(self) -> CutStorage:
        """The power fails now: what the next life finds."""
        assert isinstance(self.storage, CutStorage)
        self.storage.watch = None
        return CutStorage.holding(self.storage.content())

    async def cut_when_told(self) -> CutStorage:
        """The power fails when the CSMS knows all there is to know."""
        await self.clock.sleep(0.5)
        return self.cut()

    # --- the hardware -------------------------------------------------------------------------

    def reading(self, energy_wh: float, at: datetime | None = None) -> Any:
        m: Any = self.point.version.module
        value = m.SampledValueType(value=energy_wh, measurand="Energy.Active.Import.Register")
        return m.MeterValueType(timestamp=at or self.clock.now(), sampled_value=[value])

    def meter(self, energy_wh: float, evse_id: int = 1) -> Any:
        """The meter shows this."""
        self.drawn_wh[evse_id] = energy_wh
        value = self.reading(energy_wh)
        self.point.on_meter_value(evse_id, value)
        return value

    async def begin(
        self, evse_id: int = 1, name: str = "tx-1", energy_wh: float = 1_000, **more: Any
    ) -> None:
        """A transaction with everything that an event can tell."""
        m: Any = self.point.version.module
        self.point.on_session_started(evse_id, 1)
        options: dict[str, Any] = {
            "meter_start": self.meter(energy_wh, evse_id),
            "id_token": m.IdTokenType(id_token="04A1B2C3", type="ISO14443"),
        }
        await self.point.on_transaction_started(
            evse_id, 1, name, self.clock.now(), "Authorized", **(options | more)
        )

    async def charge(self, evse_id: int = 1, name: str = "tx-1", energy_wh: float = 1_000) -> None:
        """The same, and energy flows."""
        await self.begin(evse_id, name, energy_wh)
        await self.point.on_charging_state_changed(evse_id, "Charging")

    async def draw(self, seconds: int, power_w: float = 11_000, evse_id: int = 1) -> None:
        """Charges with a reading every second."""
        for _ in range(seconds):
            await self.clock.sleep(1)
            self.meter(self.drawn_wh[evse_id] + power_w / 3_600, evse_id)

    # --- what the CSMS has seen -----------------------------------------------------------------

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Payloads of the TransactionEvents that were sent, of one transaction or of all."""
        return [
            frame[3]
            for way, frame in self.frames
            if way is Way.OUT
            and frame[0] == 2
            and frame[2] == "TransactionEvent"
            and name in (None, frame[3]["transactionInfo"]["transactionId"])
        ]

    def told(self, name: str | None = None) -> list[SimpleNamespace]:
        """The same, the gist of each."""
        return [gist(event) for event in self.events(name)]


def gist(event: Mapping[str, Any]) -> SimpleNamespace:
    """What an event says, in short."""
    info = event["transactionInfo"]
    return SimpleNamespace(
        id=info["transactionId"],
        type=event["eventType"],
        trigger=event["triggerReason"],
        seq_no=event["seqNo"],
        state=info.get("chargingState"),
        reason=info.get("stoppedReason"),
        offline=event.get("offline", False),
        energies=[
            (value["context"], value["value"])
            for reading in event.get("meterValue", ())
            for value in reading["sampledValue"]
        ],
    )
