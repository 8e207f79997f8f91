"""Reading the meters, as the MeterValues of the OCPP version in use."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ocpp_fast.errors import HardwareError
from ocpp_fast.messages import MeterValueTemplate, OcppVersion
from ocpp_fast.station.actuators import HARDWARE_TIMEOUT_S

if TYPE_CHECKING:
    from ocpp_fast.charge_point import ChargePoint
    from ocpp_fast.messages import v21
    from ocpp_fast.station.hardware import EvseHardware, MeterReading

__all__ = ["Meter", "MeterValueMaker"]

_log = logging.getLogger(__name__)

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


class Meter:
    """The meter of one EVSE."""

    def __init__(
        self,
        evse_id: int,
        hardware: EvseHardware,
        charge_point: ChargePoint,
        maker: MeterValueMaker,
    ) -> None:
        self._evse_id = evse_id
        self._hardware = hardware
        self._charge_point = charge_point
        self._maker = maker
        self._failed = False

    async def sample(self, timeout_s: float = HARDWARE_TIMEOUT_S) -> v21.MeterValueType | None:
        """Reads it and passes the reading on; None when it cannot be read."""
        point = self._charge_point
        try:
            reading = await point.clock.wait_for(self._hardware.read_meter(), timeout_s)
        except Exception as error:
            self._note(error)
            return None
        self._note(None)
        if reading is None:
            return None
        value = self._maker.make(reading, point.version)
        point.on_meter_value(self._evse_id, value)
        return value

    def _note(self, error: Exception | None) -> None:
        """Logs a meter that fails when it begins to, not at every look."""
        if error is not None and not self._failed:
            known = isinstance(error, (HardwareError, TimeoutError))
            _log.error(
                "the meter of EVSE %d cannot be read: %s",
                self._evse_id,
                str(error) or "no answer",
                exc_info=None if known else error,
            )
        elif error is None and self._failed:
            _log.info("the meter of EVSE %d can be read again", self._evse_id)
        self._failed = error is not None
