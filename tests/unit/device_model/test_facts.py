"""What the station knows about itself, as values of its device model."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from device_model.keeping import FaultyStorage
from ocpp_fast.clock import SystemClock
from ocpp_fast.config import EvseConfig, SlotConfig, StationConfig, Variables
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.device_model.facts import StationFacts, active_power_w, security_profile
from ocpp_fast.device_model.files import sample_files
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.messages import OcppVersion, v21
from ocpp_fast.storage import MemoryStorage

FILES = ComponentFiles()


def config(**more: Any) -> StationConfig:
    settings: dict[str, Any] = {
        "identity": "CS001",
        "csms_url": "wss://csms.example/ocpp",
        "serial_number": "S-1",
        "evses": (EvseConfig(connectors=2), EvseConfig()),
        **more,
    }
    return StationConfig(**settings)


def station(**more: Any) -> tuple[Any, StationFacts]:
    settings = config(**more)
    model = FILES.device_model(settings, FaultyStorage(), clock=SystemClock())
    return model, StationFacts(model)


def test_the_configuration_is_in_the_device_model() -> None:
    model, _ = station(model="M", vendor_name="V", versions=(OcppVersion.V201,))
    values = {
        ("ChargingStation", None, "Model"): "M",
        ("ChargingStation", None, "VendorName"): "V",
        ("ChargingStation", None, "SerialNumber"): "S-1",
        ("SecurityCtrlr", None, "Identity"): "CS001",
        ("NetworkConfiguration", "1", "OcppCsmsUrl"): "wss://csms.example/ocpp",
        ("NetworkConfiguration", "1", "Identity"): "",  # that of SecurityCtrlr
        ("InternalCtrlr", None, "SupportedOcppVersions"): "ocpp2.0.1",
    }
    for (component, instance, variable), value in values.items():
        handle = model.variable(component, variable, instance=instance)
        assert (handle.text(), handle.source()) == (value, "default")


@pytest.mark.parametrize(
    ("url", "password", "profile"),
    [
        ("ws://h", False, 0),
        ("ws://h", True, 1),
        ("wss://h", True, 2),
        ("wss://h", False, 2),
    ],
)
def test_the_security_profile(url: str, password: bool, profile: int) -> None:
    assert security_profile(url, password=password) == profile
    model, _ = station(csms_url=url, password="p" * 16 if password else None)
    assert model.variable("SecurityCtrlr", "SecurityProfile").get() == profile
    slot = model.variable("NetworkConfiguration", "SecurityProfile", instance="1")
    assert slot.get() == profile


def test_the_security_profile_can_be_said() -> None:
    model, _ = station(security_profile=3)
    assert model.variable("SecurityCtrlr", "SecurityProfile").get() == 3


def states(model: Any) -> tuple[str, ...]:
    """Of the station, EVSE 1 and EVSE 2."""
    places = (("ChargingStation", None), ("EVSE", 1), ("EVSE", 2))
    return tuple(
        model.variable(name, "AvailabilityState", evse_id=evse).get() for name, evse in places
    )


def problems(model: Any) -> tuple[bool, ...]:
    places = (("ChargingStation", None), ("EVSE", 1), ("EVSE", 2))
    return tuple(model.variable(name, "Problem", evse_id=evse).get() for name, evse in places)


def test_states_of_the_tiers_follow_those_of_the_connectors() -> None:
    model, facts = station()
    expected = [
        ((1, 1, "Occupied"), ("Available", "Occupied", "Available")),
        ((2, 1, "Reserved"), ("Occupied", "Occupied", "Reserved")),
        ((1, 1, "Available"), ("Available", "Available", "Reserved")),
        ((1, 1, "Faulted"), ("Available", "Available", "Reserved")),
        ((1, 2, "Unavailable"), ("Reserved", "Unavailable", "Reserved")),
        ((1, 2, "Faulted"), ("Reserved", "Faulted", "Reserved")),
        ((2, 1, "Faulted"), ("Faulted", "Faulted", "Faulted")),
        ((2, 1, "Available"), ("Available", "Faulted", "Available")),
    ]
    for (evse_id, connector_id, state), wanted in expected:
        facts.connector(evse_id, connector_id, state)
        handle = model.variable(
            "Connector", "AvailabilityState", evse_id=evse_id, connector_id=connector_id
        )
        assert (handle.get(), handle.source()) == (state, "internal")
        assert states(model) == wanted


def test_problems_are_true_while_a_connector_is_faulted() -> None:
    model, facts = station()
    assert problems(model) == (False, False, False)
    facts.connector(1, 1, "Faulted")
    facts.connector(1, 2, "Faulted")
    facts.connector(2, 1, "Faulted")
    assert problems(model) == (True, True, True)
    facts.connector(1, 1, "Available")
    facts.connector(2, 1, "Occupied")
    assert problems(model) == (True, True, False)
    facts.connector(1, 2, "Available")
    assert problems(model) == (False, False, False)


def sample(value: float, measurand: Any = "Power.Active.Import", **more: Any) -> Any:
    return v21.SampledValueType(value=value, measurand=measurand, **more)


def reading(*samples: Any) -> v21.MeterValueType:
    return v21.MeterValueType(timestamp=datetime(2026, 1, 1, tzinfo=UTC), sampled_value=samples)


KW = v21.UnitOfMeasureType(unit="kW")
MILLI = v21.UnitOfMeasureType(unit="kW", multiplier=-3)


@pytest.mark.parametrize(
    ("samples", "power_w"),
    [
        ([sample(5.0, None), sample(7_000.0)], 7_000.0),
        ([sample(7.0, unit_of_measure=KW)], 7_000.0),
        ([sample(7.0, unit_of_measure=MILLI)], 7.0),
        ([sample(1.0, phase="L1"), sample(2.0, phase="L2"), sample(3.0, phase="L3")], 6.0),
        ([sample(1.0, phase="L1"), sample(9.0)], 9.0),
        ([sample(1.0, "Voltage")], None),
        ([sample(0.0)], 0.0),
    ],
)
def test_the_power_of_a_reading(samples: list[Any], power_w: float | None) -> None:
    assert active_power_w(reading(*samples)) == power_w


def test_power_comes_from_the_meter_and_never_touches_the_disk() -> None:
    model, facts = station()
    handle = model.variable("EVSE", "Power", evse_id=2)
    facts.metered(2, reading(sample(11_000.0)))
    scale = 1_000.0 if handle.info.unit == "kW" else 1.0
    assert handle.get() == 11_000.0 / scale
    facts.metered(0, reading(sample(11_000.0)))  # the station's own meter has no variable
    facts.connector(1, 1, "Occupied")
    assert not list(model._writer.waiting)


def test_slots_of_the_configuration_are_in_the_device_model() -> None:
    further = (
        SlotConfig(csms_url="ws://two.example", security_profile=0, message_timeout_s=7),
        SlotConfig(
            csms_url="ws://three.example", interface="Wireless0", identity="CS3", password="p" * 16
        ),
    )
    model, _ = station(slots=further, variables=Variables(message_timeout_s=12))
    expected = {
        "1": ("wss://csms.example/ocpp", 2, "Any", 12, "", None),
        "2": ("ws://two.example", 0, "Any", 7, "", None),
        "3": ("ws://three.example", 1, "Wireless0", 30, "CS3", "p" * 16),
    }
    names = (
        "OcppCsmsUrl", "SecurityProfile", "OcppInterface", "MessageTimeout", "Identity",
        "BasicAuthPassword",
    )  # fmt: skip
    for slot, values in expected.items():
        found = [model.variable("NetworkConfiguration", name, instance=slot) for name in names]
        assert tuple(handle.get() for handle in found) == values
        assert {handle.source() for handle in found} == {"default"}
    priority = model.variable("OCPPCommCtrlr", "NetworkConfigurationPriority")
    assert (priority.get(), priority.info.values_list) == (("1", "2", "3"), "1,2,3")
    assert (
        model.variable("OCPPCommCtrlr", "MessageTimeout", variable_instance="Default").get() == 12
    )


def test_more_slots_than_the_files_of_a_folder_have(tmp_path: Path) -> None:
    for path, content in sample_files():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    further = (SlotConfig(csms_url="ws://two"), SlotConfig(csms_url="ws://three"))
    settings = StationConfig(
        identity="CS001", csms_url="ws://one", component_config=str(tmp_path), slots=further
    )
    with pytest.raises(ConfigurationError, match=r"/slots: .* NetworkConfiguration 3"):
        FILES.device_model(settings, MemoryStorage(), clock=SystemClock())


@pytest.mark.parametrize("networks", [False, True])
def test_networks_of_their_own_need_somebody_who_sets_them_up(networks: bool) -> None:
    """B09.FR.13: without APN and VPN their switches are False and ReadOnly."""
    model = FILES.device_model(config(), MemoryStorage(), clock=SystemClock(), networks=networks)
    for slot in ("1", "2"):
        for name in ("ApnEnabled", "VpnEnabled"):
            handle = model.variable("NetworkConfiguration", name, instance=slot)
            (actual,) = handle.info.attributes
            mutability = "ReadWrite" if networks else "ReadOnly"
            assert (handle.get(), actual.mutability) == (False, mutability)
            assert actual.persistent is networks


def test_files_without_these_variables_are_fine() -> None:
    from device_model.keeping import device_model
    from device_model.models import component

    model = device_model(component("Only"), storage=MemoryStorage())
    facts = StationFacts(model)
    facts.connector(1, 1, "Faulted")
    facts.metered(1, reading(sample(1.0)))
