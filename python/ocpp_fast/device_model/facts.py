"""What the station knows about itself, as values of its device model.

Nothing of it is stored: it is known anew after each start.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from ocpp_fast.config import Variables
from ocpp_fast.device_model.handle import INTERNAL
from ocpp_fast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocpp_fast._core import DeviceModelCache
    from ocpp_fast.config import StationConfig
    from ocpp_fast.device_model.handle import Value, VariableHandle
    from ocpp_fast.device_model.model import DeviceModel
    from ocpp_fast.messages import v21

__all__ = ["StationFacts", "configure", "security_profile", "slot_values"]

_log = logging.getLogger(__name__)

# The first that is true of a connector is the state of its EVSE: one that is in use cannot be
# used at another connector, one that is free can as long as one connector is.
_EVSE_STATES: Final = ("Occupied", "Reserved", "Available", "Unavailable", "Faulted")
# The first that is true of an EVSE is the state of the station.
_STATION_STATES: Final = ("Available", "Occupied", "Reserved", "Unavailable", "Faulted")
_FAULTED: Final = "Faulted"

_DEFAULTS: Final = Variables()

_POWER: Final = "Power.Active.Import"


def security_profile(url: str, *, password: bool) -> int:
    """The security profile of a link (Part 2, A 1.3): 1 with a password, 2 with TLS; 0 is none."""
    if url.startswith("wss:"):
        return 2
    return 1 if password else 0


def slot_values(config: StationConfig) -> dict[int, dict[str, str]]:
    """What `config` says of the slots of the network configuration: slot 1 is its own address, its
    `slots` are 2, 3, ...; variable -> value."""
    profile = config.security_profile
    if profile is None:
        profile = security_profile(config.csms_url, password=config.password is not None)
    first = {"OcppCsmsUrl": config.csms_url, "SecurityProfile": str(profile)}
    timeout_s = (config.variables or _DEFAULTS).message_timeout_s
    if timeout_s != _DEFAULTS.message_timeout_s:
        first["MessageTimeout"] = str(int(timeout_s))
    found = {1: first}
    for number, slot in enumerate(config.slots, 2):
        profile = slot.security_profile
        if profile is None:
            password = slot.password or config.password
            profile = security_profile(slot.csms_url, password=password is not None)
        found[number] = {
            "OcppCsmsUrl": slot.csms_url,
            "SecurityProfile": str(profile),
            "OcppInterface": slot.interface,
            "MessageTimeout": str(int(slot.message_timeout_s)),
        }
        if slot.identity is not None:
            found[number]["Identity"] = slot.identity
        if slot.password is not None:
            found[number]["BasicAuthPassword"] = slot.password
    return found


def configure(cache: DeviceModelCache, config: StationConfig) -> None:
    """Puts what `config` says of the station in the place of what its component files say. Raises
    `ConfigurationError` for more slots than the files have."""
    slots = slot_values(config)
    versions = ",".join(version.subprotocol for version in config.versions)
    known: list[tuple[str, str | None, str, str | None]] = [
        ("ChargingStation", None, "Model", config.model),
        ("ChargingStation", None, "VendorName", config.vendor_name),
        ("ChargingStation", None, "SerialNumber", config.serial_number),
        ("ChargingStation", None, "FirmwareVersion", config.firmware_version),
        ("SecurityCtrlr", None, "Identity", config.identity),
        ("SecurityCtrlr", None, "SecurityProfile", slots[1]["SecurityProfile"]),
        ("InternalCtrlr", None, "SupportedOcppVersions", versions),
    ]
    if config.slots:
        _check_slots(cache, slots)
        listed = ",".join(map(str, slots))
        known.append(("OCPPCommCtrlr", None, "NetworkConfigurationPriority", listed))
    for slot, values in slots.items():
        known += [("NetworkConfiguration", str(slot), *entry) for entry in values.items()]
    for component, instance, variable, value in known:
        number = cache.find(component, instance, None, None, variable, None)
        if number >= 0 and value is not None:
            try:
                cache.default(number, 0, value)
            except ValueError as error:
                # Not the value: it may be a password.
                _log.warning("%s.%s cannot be what is configured: %s", component, variable, error)


def _check_slots(cache: DeviceModelCache, slots: Iterable[int]) -> None:
    priority = cache.find("OCPPCommCtrlr", None, None, None, "NetworkConfigurationPriority", None)
    listed = (cache.describe(priority)[10] or "") if priority >= 0 else None
    if listed is None:  # The files know nothing of slots, and the configuration alone counts.
        return
    there = {slot.strip() for slot in listed.split(",")}
    for slot in slots:
        number = cache.find("NetworkConfiguration", str(slot), None, None, "OcppCsmsUrl", None)
        if str(slot) not in there or number < 0:
            text = f"/slots: the component files have no NetworkConfiguration {slot}"
            raise ConfigurationError(text)


class StationFacts:
    """Writes what happens at the station into its device model, as far as that has the variables:
    AvailabilityState and Problem of the station, its EVSEs and connectors, and Power of the EVSEs.
    Which link is in use `connectivity.Slots` writes."""

    def __init__(self, device_model: DeviceModel) -> None:
        self._model = device_model
        self._states: dict[int, dict[int, str]] = {
            evse_id: dict.fromkeys(range(1, count + 1), "Available")
            for evse_id, count in device_model.connectors.items()
        }
        self._evses = Counter(self._evse_state(evse_id) for evse_id in self._states)
        self._faulted = 0
        self._handles: dict[tuple[str, int, int, str], VariableHandle | None] = {}

    # --- what happens -----------------------------------------------------------------------

    def connector(self, evse_id: int, connector_id: int, state: str) -> None:
        """A connector is in this state (ConnectorStatusEnumType)."""
        of_evse = self._states[evse_id]
        before, evse_before = of_evse[connector_id], self._evse_state(evse_id)
        if state == before:
            return
        of_evse[connector_id] = state
        self._write("Connector", evse_id, connector_id, "AvailabilityState", state)
        evse_after = self._evse_state(evse_id)
        if evse_after != evse_before:
            self._evses[evse_before] -= 1
            self._evses[evse_after] += 1
            self._write("EVSE", evse_id, 0, "AvailabilityState", evse_after)
            self._write("ChargingStation", 0, 0, "AvailabilityState", self._station_state())
        if _FAULTED in (state, before):  # B07.FR.09: a summary report has the problems
            self._faulted += 1 if state == _FAULTED else -1
            self._write("EVSE", evse_id, 0, "Problem", _FAULTED in of_evse.values())
            self._write("ChargingStation", 0, 0, "Problem", self._faulted > 0)

    def metered(self, evse_id: int, reading: v21.MeterValueType) -> None:
        """The meter of an EVSE was read."""
        handle = self._handle("EVSE", evse_id, 0, "Power")
        if handle is not None and (power_w := active_power_w(reading)) is not None:
            in_kilowatts = handle.info.unit == "kW"
            handle.set(power_w / 1_000.0 if in_kilowatts else power_w, source=INTERNAL)

    # --- how it is written --------------------------------------------------------------------

    def _evse_state(self, evse_id: int) -> str:
        states = self._states[evse_id].values()
        return next((state for state in _EVSE_STATES if state in states), "Available")

    def _station_state(self) -> str:
        return next((state for state in _STATION_STATES if self._evses[state] > 0), "Available")

    def _write(
        self, component: str, evse_id: int, connector_id: int, variable: str, value: Value
    ) -> None:
        handle = self._handle(component, evse_id, connector_id, variable)
        if handle is not None:
            try:
                handle.set(value, source=INTERNAL)
            except ConfigurationError as error:  # The files give it another type or values list.
                _log.warning("the station cannot write what it knows: %s", error)

    def _handle(
        self, component: str, evse_id: int, connector_id: int, variable: str
    ) -> VariableHandle | None:
        key = (component, evse_id, connector_id, variable)
        if key not in self._handles:
            number = self._model.cache.find(
                component, None, evse_id or None, connector_id or None, variable, None
            )
            self._handles[key] = self._model.handle(number) if number >= 0 else None
        return self._handles[key]


def active_power_w(reading: v21.MeterValueType) -> float | None:
    """The imported power in W, as the meter shows it or as the sum of the phases; None when it was
    not measured."""
    phases: float | None = None
    for value in reading.sampled_value:
        if value.measurand != _POWER:
            continue
        unit = value.unit_of_measure
        power_w = value.value
        if unit is not None:
            power_w *= 10.0 ** (unit.multiplier or 0) * (1_000.0 if unit.unit == "kW" else 1.0)
        if value.phase is None:
            return power_w
        if value.phase in _PHASES:
            phases = (phases or 0.0) + power_w
    return phases


_PHASES: Final = ("L1", "L2", "L3", "L1-N", "L2-N", "L3-N")
