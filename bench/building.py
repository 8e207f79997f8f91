"""Building a TransactionEvent Updated from what a meter gives: numbers and a time.

One function for every typed candidate, so that only the constructors differ. Names of constants
are bound once, as a careful user would: looking up `MeasurandEnumType.VOLTAGE` for each sample
would cost more than building the sample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from bench.payloads import CHANNELS, instant, message_id, readings, transaction_id

MESSAGE_ID = message_id(0)


class Reading(NamedTuple):
    """What a station knows when it is time to report."""

    timestamp: datetime
    seq_no: int
    transaction_id: str
    time_spent_charging_s: int
    values: list[float]


def some_readings(count: int) -> list[Reading]:
    """The readings behind the payloads `TransactionEvent.Updated` of index 0 and up."""
    return [
        Reading(instant(i), 3 + i, transaction_id(i), 1_830 + 30 * i, readings(i))
        for i in range(count)
    ]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A candidate's types by name, its enumeration members by wire name, and its absent value."""

    types: Callable[[str], Any]
    member: Callable[[str, str], Any]
    absent: Any

    def channels(self) -> list[tuple[Any, ...]]:
        """Arguments of the 16 samples beside their values."""
        return [
            (
                self.member("MeasurandEnumType", channel.measurand),
                self._optional("PhaseEnumType", channel.phase),
                self.member("LocationEnumType", channel.location),
                channel.unit,
                self.absent if channel.multiplier is None else channel.multiplier,
            )
            for channel in CHANNELS
        ]

    def _optional(self, enum: str, value: str | None) -> Any:
        return self.absent if value is None else self.member(enum, value)


Encode = Callable[[Any], bytes]
MeterValues = Callable[[datetime, Sequence[float]], Any]


def request_maker(words: Vocabulary, meter_value: MeterValues) -> Callable[[Reading], Any]:
    """A function that builds the request around a meter value made by `meter_value`."""
    request_type = words.types("TransactionEventRequest")
    transaction_type, evse_type = words.types("TransactionType"), words.types("EVSEType")
    updated = words.member("TransactionEventEnumType", "Updated")
    periodic = words.member("TriggerReasonEnumType", "MeterValuePeriodic")
    charging = words.member("ChargingStateEnumType", "Charging")

    def make(reading: Reading) -> Any:
        timestamp, seq_no, transaction_id, time_spent_charging_s, values = reading
        return request_type(
            event_type=updated,
            timestamp=timestamp,
            trigger_reason=periodic,
            seq_no=seq_no,
            offline=False,
            cable_max_current=32,
            transaction_info=transaction_type(
                transaction_id=transaction_id,
                charging_state=charging,
                time_spent_charging=time_spent_charging_s,
            ),
            evse=evse_type(id=1, connector_id=1),
            meter_value=[meter_value(timestamp, values)],
        )

    return make


def meter_value_maker(words: Vocabulary) -> MeterValues:
    """A function that builds a meter value with one constructor call per sample and unit."""
    meter_value_type = words.types("MeterValueType")
    sampled_value_type = words.types("SampledValueType")
    unit_type = words.types("UnitOfMeasureType")
    context = words.member("ReadingContextEnumType", "Sample.Periodic")
    channels = words.channels()

    def make(timestamp: datetime, values: Sequence[float]) -> Any:
        return meter_value_type(
            timestamp=timestamp,
            sampled_value=[
                sampled_value_type(
                    value=value,
                    context=context,
                    measurand=measurand,
                    phase=phase,
                    location=location,
                    unit_of_measure=unit_type(unit=unit, multiplier=multiplier),
                )
                for value, (measurand, phase, location, unit, multiplier) in zip(
                    values, channels, strict=True
                )
            ],
        )

    return make
