"""Simulated cars, meters and EVSE hardware, all driven by the injected clock."""

from ocpp_fast.simulator.car import Car
from ocpp_fast.simulator.evse import SimulatedEvse
from ocpp_fast.simulator.station import SimulatedStation

__all__ = ["Car", "SimulatedEvse", "SimulatedStation"]
