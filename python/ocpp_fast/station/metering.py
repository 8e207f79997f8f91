"""Meter readings as the MeterValues of the OCPP version in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocpp_fast.messages import MeterValueTemplate, OcppVersion

if TYPE_CHECKING:
    from ocpp_fast.messages import v21
    from ocpp_fast.station.hardware import MeterReading

__all__ = ["MeterValueMaker"]

_PHASES = ("L1", "L2", "L3")

_Shape = tuple[OcppVersion, bool, bool, bool, bool]


class MeterValueMaker:
    """Makes MeterValues from numbers, by one template for each set of measured quantities.

    The reading context is Sample.Periodic; messages put in their own.
    """

    def __init__(self) -> None:
        self._templates: dict[_Shape, MeterValueTemplate] = {}

    def make(self, reading: MeterReading, version: OcppVersion) -> v21.MeterValueType:
        """All quantities of a reading, in Wh, W, A, V and percent."""
        shape = (
            version,
            reading.power_w is not None,
            reading.current_a is not None,
            reading.voltage_v is not None,
            reading.soc_percent is not None,
        )
        template = self._templates.get(shape)
        if template is None:
            template = self._templates[shape] = _template(shape)
        values = [reading.energy_wh]
        if reading.power_w is not None:
            values.append(reading.power_w)
        values += reading.current_a or ()
        values += reading.voltage_v or ()
        if reading.soc_percent is not None:
            values.append(reading.soc_percent)
        return template.meter_value(reading.timestamp, values)


def _template(shape: _Shape) -> MeterValueTemplate:
    version, power, current, voltage, soc = shape
    samples = [_sample(version, "Energy.Active.Import.Register", "Wh")]
    if power:
        samples.append(_sample(version, "Power.Active.Import", "W"))
    if current:
        samples += (_sample(version, "Current.Import", "A", phase) for phase in _PHASES)
    if voltage:
        samples += (_sample(version, "Voltage", "V", f"{phase}-N") for phase in _PHASES)
    if soc:
        samples.append(_sample(version, "SoC", "Percent", location="EV"))
    return MeterValueTemplate(samples)


def _sample(
    version: OcppVersion,
    measurand: str,
    unit: str,
    phase: str | None = None,
    location: str = "Outlet",
) -> Any:
    m: Any = version.module
    return m.SampledValueType(
        value=0.0,
        measurand=measurand,
        context="Sample.Periodic",
        phase=phase,
        location=location,
        unit_of_measure=m.UnitOfMeasureType(unit=unit),
    )
