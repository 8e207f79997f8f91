"""The last readings of running transactions, and when the station was alive: what a power loss
leaves to end them with.

A reading becomes a fact (`meter.3`) with every event, when its meter has moved on by
`InternalCtrlr.MeterCheckpointEnergy`, and once a minute. Those of all EVSEs share one writing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from ocpp_fast.blocks.readings import DEFAULT_MEASURAND, energy_wh
from ocpp_fast.blocks.timing import Repeater
from ocpp_fast.blocks.transactions.durable import (
    ALIVE,
    object_of,
    reading_of,
    redated,
    text_of_reading,
    text_of_time,
    time_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.blocks.readings import Readings
    from ocpp_fast.blocks.transactions.transaction import Transaction
    from ocpp_fast.messages import v21
    from ocpp_fast.restoring import Restart

__all__ = ["ALIVE_S", "Checkpoints", "meter_name", "time_now"]

_log = logging.getLogger(__name__)

ALIVE_S: Final = 60.0
"""How often the station notes that it is alive, while it has a transaction; more often where
ResumptionTimeout is short, so that the interruption is known to a tenth of it."""
_SHARE: Final = 0.5
"""From which part of MeterCheckpointEnergy on a reading is written along with that of another
EVSE."""


def meter_name(evse_id: int) -> str:
    """The name of the fact that holds the last reading of an EVSE."""
    return f"meter.{evse_id}"


def time_now(context: Context) -> datetime | None:
    """What the clock shows; None when it is known to be wrong."""
    return context.clock.now() if context.clock.is_right else None


@dataclass(slots=True)
class _Meter:
    """What is known of the meter of one EVSE during its transaction."""

    stored: v21.MeterValueType | None = None
    """The last durable reading."""
    stored_wh: float | None = None
    latest: v21.MeterValueType | None = None
    """The last one of this transaction."""


class Checkpoints:
    """The last durable readings. Does nothing at all unless the storage is durable."""

    prefix = "meter."

    def __init__(
        self, context: Context, readings: Readings, active: Mapping[int, Transaction]
    ) -> None:
        self._context = context
        self._active = active
        self._meters: dict[int, _Meter] = {}
        self._energy_wh: dict[int, float] = {}
        self._facts = context.facts
        self._alive: Repeater | None = None
        self._last_alive: datetime | None = None
        if self._facts.durable:
            readings.subscribe(self._on_reading)
            context.device_model.subscribe(self._on_variables)

    # --- of an earlier run ------------------------------------------------------------------

    def forget(self) -> None:
        """Begins anew, before anything is restored."""
        self._meters.clear()
        self._energy_wh.clear()
        self._last_alive = None

    async def restore(self, facts: Mapping[str, str], _restart: Restart) -> None:
        """See `DurablePart.restore`. The transactions have been restored before."""
        for name, text in facts.items():
            try:
                fact = object_of(text)
                evse_id = int(name.removeprefix(self.prefix))
                at = time_of(fact.get("at"))
                reading = reading_of(orjson.dumps(fact["value"]))
                transaction_id = fact["id"]
            except (LookupError, TypeError, ValueError) as error:
                _log.error("the fact %s cannot be read: %r", name, error)
                continue
            if (energy := energy_wh(reading)) is not None:
                self._energy_wh[evse_id] = energy
            transaction = self._active.get(evse_id)
            if transaction is not None and transaction.transaction_id == transaction_id:
                self._meters[evse_id] = _Meter(reading, energy)
                self.note_alive(at)
        for transaction in self._active.values():
            self._take_kept(transaction)

    def _take_kept(self, transaction: Transaction) -> None:
        """A reading that was kept for the Ended event may be the newest."""
        evse_id = transaction.evse_id
        known = self.last(evse_id)
        for reading in reversed(transaction.kept_readings):
            if (energy := energy_wh(reading)) is not None:
                if known is None or reading.timestamp > known.timestamp:
                    self._meters.setdefault(evse_id, _Meter()).latest = reading
                    self._energy_wh[evse_id] = energy
                return

    @property
    def last_alive(self) -> datetime | None:
        """When something was stored for the last time in an earlier run; None when that run had
        no right time."""
        return self._last_alive

    def note_alive(self, at: datetime | None) -> None:
        """Something of the earlier run was stored at this time."""
        if at is not None and (self._last_alive is None or at > self._last_alive):
            self._last_alive = at

    def last_energy_wh(self, evse_id: int) -> float | None:
        """The last register of an EVSE that is durable, with or without a transaction."""
        return self._energy_wh.get(evse_id)

    # --- of this run --------------------------------------------------------------------------

    def last(self, evse_id: int) -> v21.MeterValueType | None:
        """The last reading of the transaction on an EVSE, the durable one if there was none since
        the start."""
        meter = self._meters.get(evse_id)
        return meter and (meter.latest or meter.stored)

    def begin(self, evse_id: int, reading: v21.MeterValueType | None) -> None:
        """A transaction has begun with this reading."""
        if self._facts.durable:
            self._meters[evse_id] = _Meter(latest=reading)
            self.go_on(evse_id)

    def go_on(self, evse_id: int) -> None:
        """A transaction of an earlier run goes on."""
        if self._facts.durable:
            self._meters.setdefault(evse_id, _Meter())
            if self._alive is None:
                self._arm()

    def note(self, evse_id: int, reading: v21.MeterValueType) -> None:
        """This is the last reading, for the next event."""
        if self._facts.durable:
            self._meters.setdefault(evse_id, _Meter()).latest = reading

    def along(self, transaction: Transaction, at: datetime | None) -> dict[str, str | None]:
        """What is to become durable together with an event: the last reading, so that the CSMS
        never knows a later one than the station."""
        meter = self._meters.get(transaction.evse_id)
        return {} if meter is None else self._fact(transaction, meter, text_of_time(at))

    def end(self, transaction: Transaction) -> dict[str, str | None]:
        """The transaction has ended: what is to change with its last event. The last reading stays,
        for whoever wants to know where the meter stood."""
        facts = self.along(transaction, time_now(self._context))
        self._meters.pop(transaction.evse_id, None)
        if not self._active:
            self.stop()
            facts[ALIVE] = None
        return facts

    def write(self) -> None:
        """Writes all that is not yet durable, and the time."""
        at = text_of_time(time_now(self._context))
        facts: dict[str, str | None] = {}
        if not all(transaction.restored for transaction in self._active.values()):
            facts[ALIVE] = at  # Until then an interruption goes on.
        for evse_id, transaction in self._active.items():
            if (meter := self._meters.get(evse_id)) is not None:
                facts |= self._fact(transaction, meter, at)
        self._facts.put(facts)

    def stop(self) -> None:
        """Times nothing more."""
        if self._alive is not None:
            self._alive.cancel()
            self._alive = None

    def redate(self, correct: Callable[[datetime], datetime]) -> None:
        """Corrects the times of the readings, now that the right time is known, and writes them."""
        for evse_id, meter in self._meters.items():
            latest = meter.latest or meter.stored
            if latest is not None and evse_id in self._active:
                meter.latest, meter.stored = redated(latest, correct), None
        if self._active and self._facts.durable:
            self.write()

    def _arm(self) -> None:
        timeout_s = self._context.device_model.variables.resumption_timeout_s
        interval_s = min(ALIVE_S, max(1.0, timeout_s / 10)) if timeout_s else ALIVE_S
        self.stop()
        self._alive = Repeater(self._context.clock, interval_s, self.write)

    def _on_variables(self, changed: frozenset[str]) -> None:
        if "resumption_timeout_s" in changed and self._alive is not None:
            self._arm()

    def _on_reading(self, evse_id: int, reading: v21.MeterValueType) -> None:
        meter = self._meters.get(evse_id)
        if meter is None:
            return
        meter.latest = reading
        step_wh = self._context.device_model.variables.meter_checkpoint_energy_wh
        if self._gain(meter) >= step_wh:
            self._write_due(step_wh * _SHARE)

    def _write_due(self, step_wh: float) -> None:
        at = text_of_time(time_now(self._context))
        facts: dict[str, str | None] = {}
        for evse_id, transaction in self._active.items():
            meter = self._meters.get(evse_id)
            if meter is not None and self._gain(meter) >= step_wh:
                facts |= self._fact(transaction, meter, at)
        self._facts.put(facts)

    @staticmethod
    def _gain(meter: _Meter) -> float:
        """What has flowed since the durable reading, in Wh."""
        if meter.latest is None or meter.latest is meter.stored:
            return 0.0
        energy = energy_wh(meter.latest)
        if energy is None:
            return 0.0
        # Without a durable reading any is better than none; a meter that was replaced counts anew.
        return float("inf") if meter.stored_wh is None else abs(energy - meter.stored_wh)

    def _fact(self, transaction: Transaction, meter: _Meter, at: str) -> dict[str, str | None]:
        """The latest reading as a fact, if there is one that is not stored; it counts as stored."""
        reading = meter.latest
        if reading is None or reading is meter.stored:
            return {}
        meter.stored, meter.stored_wh = reading, energy_wh(reading)
        if meter.stored_wh is not None:
            self._energy_wh[transaction.evse_id] = meter.stored_wh
        wanted = {
            DEFAULT_MEASURAND,
            *self._context.device_model.variables.tx_ended_measurands,
        }
        values = [
            value
            for value in reading.sampled_value
            if (value.measurand or DEFAULT_MEASURAND) in wanted
        ]
        if not values:
            return {}
        if len(values) < len(reading.sampled_value):
            reading = reading.replace(sampled_value=values)
        text = orjson.dumps(
            {
                "id": transaction.transaction_id,
                "at": at,
                "value": orjson.Fragment(text_of_reading(reading)),
            }
        )
        return {meter_name(transaction.evse_id): text.decode()}
