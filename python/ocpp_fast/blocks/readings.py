"""The last meter reading of each EVSE, and the part of it that a message has to contain."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ocpp_fast.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.messages import v21

__all__ = ["Readings", "energy_wh"]

_log = logging.getLogger(__name__)

DEFAULT_MEASURAND = "Energy.Active.Import.Register"
"""What a sampled value without a measurand is (Part 2, SampledValueType)."""


class Readings:
    """Shared by the blocks that send meter values. EVSE 0 is the station's main meter."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._latest: dict[int, v21.MeterValueType] = {}
        self._listeners: list[Callable[[int, v21.MeterValueType], None]] = []

    def put(self, evse_id: int, reading: v21.MeterValueType) -> None:
        """Keeps a new reading in the place of the last one."""
        self._latest[evse_id] = reading
        for listener in self._listeners:
            listener(evse_id, reading)

    def subscribe(self, listener: Callable[[int, v21.MeterValueType], None]) -> None:
        """Calls `listener(evse_id, reading)` for every new reading."""
        self._listeners.append(listener)

    def latest(self, evse_id: int) -> v21.MeterValueType | None:
        """The last reading as it came."""
        return self._latest.get(evse_id)

    def redate(self, correct: Callable[[datetime], datetime]) -> None:
        """See `redating.Dated`."""
        self._latest = {
            evse_id: reading.replace(timestamp=correct(reading.timestamp))
            for evse_id, reading in self._latest.items()
        }

    def selected(
        self,
        evse_id: int,
        measurands: Collection[str],
        context: v21.ReadingContextEnumType,
        *,
        after: datetime | None = None,
    ) -> v21.MeterValueType | None:
        """The last reading for a message; None when there is none taken later than `after`."""
        reading = self._latest.get(evse_id)
        if reading is None or (after is not None and reading.timestamp <= after):
            return None
        return self.select(reading, measurands, context)

    def select(
        self,
        reading: v21.MeterValueType,
        measurands: Collection[str],
        context: v21.ReadingContextEnumType,
    ) -> v21.MeterValueType | None:
        """The sampled values of these measurands, in all phases and locations (Part 2, J 2.3),
        each with the reading context (J01.FR.08, J02.FR.04); None when none is left."""
        converted = self.converted(reading)
        if converted is None:
            return None
        reading = converted
        chosen = [
            value if value.context == context else value.replace(context=context)
            for value in reading.sampled_value
            if (value.measurand or DEFAULT_MEASURAND) in measurands
        ]
        if not chosen:
            return None
        if len(chosen) == len(reading.sampled_value) and all(
            a is b for a, b in zip(chosen, reading.sampled_value, strict=True)
        ):
            return reading
        return reading.replace(sampled_value=chosen)

    def converted(self, reading: v21.MeterValueType) -> v21.MeterValueType | None:
        """A reading for the OCPP version in use, without what that cannot express: some measurands,
        and signatures of 2.1 in 2.0.1. None when nothing of it is left."""
        try:
            return self._context.convert(reading)
        except ValidationError as error:
            _log.warning("a meter reading is not whole in this OCPP version: %s", error)
        values = [self._expressible(value) for value in reading.sampled_value]
        left = [value for value in values if value is not None]
        return self._context.convert(reading.replace(sampled_value=left)) if left else None

    def _expressible(self, value: v21.SampledValueType) -> v21.SampledValueType | None:
        """A value that can be converted: rather unsigned than not at all, since it may be the one
        that is billed."""
        for each in (value, value.replace(signed_meter_value=None)):
            try:
                self._context.convert(each)
            except ValidationError:
                continue
            return each
        return None


def energy_wh(reading: v21.MeterValueType) -> float | None:
    """The imported energy in Wh over all phases, as the meter shows it; None when not measured."""
    for value in reading.sampled_value:
        if (value.measurand or DEFAULT_MEASURAND) != DEFAULT_MEASURAND or value.phase is not None:
            continue
        unit = value.unit_of_measure
        if unit is None:
            return value.value
        scale = 1_000.0 if unit.unit == "kWh" else 1.0
        return value.value * scale * 10.0 ** (unit.multiplier or 0)
    return None
