"""Short names of variables."""

from types import ModuleType

import pytest

from ocpp_fast.csms import VariableAddress
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.messages import v21, v201

ADDRESSES = {
    "OCPPCommCtrlr.HeartbeatInterval": VariableAddress("OCPPCommCtrlr", "HeartbeatInterval"),
    "OCPPCommCtrlr.MessageTimeout(Default)": VariableAddress(
        "OCPPCommCtrlr", "MessageTimeout", variable_instance="Default"
    ),
    "EVSE[1].Power": VariableAddress("EVSE", "Power", evse_id=1),
    "Connector[12,3].AvailabilityState": VariableAddress(
        "Connector", "AvailabilityState", evse_id=12, connector_id=3
    ),
    "NetworkConfiguration(1).OcppCsmsUrl": VariableAddress(
        "NetworkConfiguration", "OcppCsmsUrl", instance="1"
    ),
    "Fan(left)[2].Speed(max. of day)": VariableAddress(
        "Fan", "Speed", instance="left", evse_id=2, variable_instance="max. of day"
    ),
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_there_and_back(text: str) -> None:
    parsed = VariableAddress.parse(text)
    assert parsed == ADDRESSES[text]
    assert str(parsed) == text


@pytest.mark.parametrize("text", ["", "EVSE", "EVSE.", ".Power", "EVSE[x].Power", "EVSE[1]Power"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ConfigurationError):
        VariableAddress.parse(text)


@pytest.mark.parametrize("module", [v201, v21])
def test_in_the_types_of_a_version(module: ModuleType) -> None:
    parsed = VariableAddress.parse("Connector[1,2].State(a)")
    component = parsed.component_type(module)
    assert (component.name, component.instance) == ("Connector", None)
    assert component.evse is not None
    assert (component.evse.id, component.evse.connector_id) == (1, 2)
    variable = parsed.variable_type(module)
    assert (variable.name, variable.instance) == ("State", "a")
    assert VariableAddress.parse("A.B").component_type(module).evse is None
