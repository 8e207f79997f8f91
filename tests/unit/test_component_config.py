"""The component files that ship, against the facts of the specification and against this program.

Facts: `tests/requirements/device_model.csv` (Part 2 "Referenced Components and Variables" and the
appendices). Where Part 2 and the appendix differ, the table below says which one the files follow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from ocpp_fast.config import Variables
from ocpp_fast.device_model.bindings import BINDINGS, SWITCHES
from ocpp_fast.device_model.files import load, packaged_files, read_folder, sample_files
from ocpp_fast.messages import OcppVersion
from ocpp_fast.station.hardware import MeterReading
from ocpp_fast.station.metering import MeterValueMaker
from requirements import facts

ROOT: Final = Path(__file__).parents[2]
CONFIG: Final = ROOT / "config"
OWN: Final = "InternalCtrlr"
"""Not of the specification."""

# Part 2 has the last word over the appendices from which the table of facts is made.
PART_2_TYPES: Final = {
    ("OCPPCommCtrlr", "ActiveNetworkProfile"): "integer",
    ("OCPPCommCtrlr", "NetworkConfigurationPriority"): "SequenceList",
}
PART_2_NAMES: Final = {
    ("AuthCtrlr", "SupportedIdTokenTypes", ""): ("SupportedIdTokenType", ""),
    **{
        ("SmartChargingCtrlr", "SupportsFeature", feature): (f"Supports{feature}", "")
        for feature in (
            "DynamicProfiles",
            "EvseSleep",
            "LimitAtSoC",
            "MaxOfflineDuration",
            "RandomizedDelay",
            "UseLocalTime",
        )
    },
}
"""Name in the files -> variable and instance in the table of facts."""

BEYOND_THE_TABLES: Final = {
    # 2.0.1 2.62, 2.1 2.43; the tables of facts do not have it.
    ("SecurityCtrlr", "AllowCSMSTLSWildcards"): ("boolean", "ReadWrite"),
    # 2.1 part 2, 2.8: a heading of the wrong level, which hides it from the tables of facts.
    ("TxCtrlr", "EnergyTransferResumptionRandomRange"): ("integer", "ReadWrite"),
}
"""Variables that the tables of facts do not have: type and mutability."""

NOT_BUILT: Final = (
    "AuthCacheCtrlr",
    "ChargingStatusIndicator",
    "DisplayMessageCtrlr",
    "ISO15118Ctrlr",
    "LocalAuthListCtrlr",
    "ReservationCtrlr",
    "SmartChargingCtrlr",
    "TariffCostCtrlr",
)

SWITCHED: Final = ("Available", "Enabled")

SECRET: Final = re.compile("Password|VpnKey|SimPin|NetworkConnectionProfiles")

KEYS: Final = {
    "component": (
        "name",
        "instance",
        "evse_id",
        "connector_id",
        "description",
        "properties",
        "required",
    ),
    "variable": ("variable_name", "instance", "characteristics", "attributes", "description"),
    "characteristics": (
        "dataType",
        "unit",
        "minLimit",
        "maxLimit",
        "valuesList",
        "supportsMonitoring",
    ),
    "attribute": ("type", "mutability", "value", "persistent", "constant"),
}
"""The order in which members stand, so that files are easily compared."""


class Shipped(NamedTuple):
    """One variable of a file."""

    file: str
    component: str
    name: str
    instance: str
    characteristics: Mapping[str, Any]
    attributes: list[Mapping[str, Any]]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.component, self.name, self.instance

    @property
    def actual(self) -> Mapping[str, Any]:
        return self.attributes[0]

    @property
    def text(self) -> str | None:
        """The value as OCPP has it."""
        value = self.actual.get("value")
        if value is None or isinstance(value, str):
            return value
        return json.dumps(value)


def contents() -> dict[str, dict[str, Any]]:
    paths = sorted(CONFIG.rglob("*.json"))
    return {str(p.relative_to(CONFIG)): json.loads(p.read_text(encoding="utf-8")) for p in paths}


def shipped() -> Iterator[Shipped]:
    for file, content in contents().items():
        for label, variable in content["properties"].items():
            instance = variable.get("instance", "")
            name = variable["variable_name"]
            assert label == (f"{name}[{instance}]" if instance else name)
            yield Shipped(
                file,
                content["name"],
                name,
                instance,
                variable["characteristics"],
                variable["attributes"],
            )


ALL: Final = tuple(shipped())
BY_KEY: Final = {variable.key: variable for variable in ALL if variable.file[:9] != "templates"}
FACTS: Final = facts.rows("device_model.csv")

each = pytest.mark.parametrize(
    "variable", ALL, ids=lambda v: f"{Path(v.file).stem}.{v.name}[{v.instance}]"
)


def facts_of(variable: Shipped) -> list[dict[str, str]]:
    """What the specification says of this variable, or else of any variable of its name."""
    component = variable.component
    name, instance = PART_2_NAMES.get(variable.key, (variable.name, variable.instance))
    of_name = [row for row in FACTS if row["variable"] == name]
    own = [
        row
        for row in of_name
        if row["component"] == component
        and (row["instance"] == instance or row["instance"].startswith("<"))
    ]
    return own or [row for row in of_name if row["component"] == "<generic>"]


# --- what the specification says ----------------------------------------------------------


@each
def test_names_types_units_and_mutability(variable: Shipped) -> None:
    if variable.component == OWN:
        return
    if (wanted := BEYOND_THE_TABLES.get(variable.key[:2])) is not None:
        assert (variable.characteristics["dataType"], variable.actual["mutability"]) == wanted
        return
    rows = facts_of(variable)
    assert rows, "the specification has no such variable"
    same = {"passwordstring": "string", "identifierstring": "string"}
    types = {same.get(row["datatype"].lower(), row["datatype"].lower()) for row in rows}
    wanted = PART_2_TYPES.get((variable.component, variable.name))
    allowed_types = types if wanted is None else {wanted.lower()}
    assert variable.characteristics["dataType"].lower() in allowed_types
    units = {unit for row in rows if row["unit"] for unit in row["unit"].split(", ")}
    if units:
        assert variable.characteristics["unit"] in units
    mutabilities = {word for row in rows for word in row["mutability"].split("/") if word}
    if mutabilities:
        assert variable.actual["mutability"] in mutabilities


@pytest.mark.parametrize("version", OcppVersion)
def test_what_is_required_is_there(version: OcppVersion) -> None:
    components = {variable.component for variable in ALL}
    missing: list[str] = []
    for row in FACTS:
        if row["version"] != version or row["required"] == "no":
            continue
        component, name, instance = row["component"], row["variable"], row["instance"]
        if component not in components:
            assert row["required"] != "always", f"{component}.{name}"
            continue
        if row["required"] == "if V2X supported":
            continue
        # A station that knows one language has these without an instance (Part 2, 2.12.8).
        found = BY_KEY.get((component, name, "" if instance == "<language>" else instance))
        if found is None or (found.text is None and found.actual["mutability"] != "WriteOnly"):
            missing.append(f"{component}.{name}[{instance}]")
    assert not missing


@each
def test_writable_values_survive_a_restart(variable: Shipped) -> None:
    """Part 2, general requirements for configuration variables."""
    for attribute in variable.attributes:
        if attribute["mutability"] != "ReadOnly":
            assert attribute["persistent"] is True
            assert "constant" not in attribute


@each
def test_lists_have_their_values(variable: Shipped) -> None:
    """Part 2, VariableCharacteristicsType."""
    is_list = variable.characteristics["dataType"].endswith("List")
    assert ("valuesList" in variable.characteristics) == is_list
    if is_list:
        values = variable.characteristics["valuesList"]
        assert len(values) <= 1000
        assert not variable.text or set(variable.text.split(",")) <= set(values.split(","))


@each
def test_secrets_cannot_be_read(variable: Shipped) -> None:
    secret = SECRET.search(variable.name) is not None
    assert (variable.actual["mutability"] == "WriteOnly") == secret
    assert not secret or not variable.text, "no password is shipped"


# --- what this program does ---------------------------------------------------------------


@pytest.mark.parametrize("name", BINDINGS)
def test_the_values_are_the_defaults_of_the_configuration(name: str) -> None:
    binding = BINDINGS[name]
    variable = BY_KEY[binding.component, binding.variable, binding.instance or ""]
    assert binding.parse(variable.text) == getattr(Variables(), name)


@pytest.mark.parametrize("component", SWITCHES)
def test_what_can_be_switched_off_is_on(component: str) -> None:
    assert BY_KEY[component, "Enabled", ""].text == "true"


@pytest.mark.parametrize("component", NOT_BUILT)
def test_what_is_not_built_is_not_available(component: str) -> None:
    """And it is said once: nothing of it is switched on."""
    of_it = [v for v in ALL if v.component == component and v.name in SWITCHED]
    assert {v.name for v in of_it} >= {"Available"}
    assert {v.text for v in of_it} == {"false"}


def test_measurands_are_those_of_the_station() -> None:
    reading = MeterReading(
        timestamp=datetime(2026, 11, 21, tzinfo=UTC),
        energy_wh=1.0,
        power_w=1.0,
        current_a=(1.0, 1.0, 1.0),
        voltage_v=(230.0, 230.0, 230.0),
        soc_percent=1.0,
    )
    made = MeterValueMaker().make(reading, OcppVersion.V21)
    delivered = {str(value.measurand) for value in made.sampled_value}
    lists = [v.characteristics["valuesList"] for v in ALL if v.name.endswith("Measurands")]
    assert len(lists) == 5
    assert {frozenset(values.split(",")) for values in lists} == {frozenset(delivered)}


def test_what_the_station_keeps_up_to_date_is_not_stored() -> None:
    for key in (
        ("ChargingStation", "AvailabilityState", ""),
        ("ClockCtrlr", "DateTime", ""),
        ("Connector", "AvailabilityState", ""),
        ("EVSE", "AvailabilityState", ""),
        ("EVSE", "Power", ""),
        ("OCPPCommCtrlr", "ActiveNetworkProfile", ""),
        ("SecurityCtrlr", "SecurityProfile", ""),
    ):
        assert "persistent" not in BY_KEY[key].actual
        assert "constant" not in BY_KEY[key].actual


def test_what_changes_by_itself_can_be_monitored() -> None:
    watched = {v.key[:2] for v in ALL if v.characteristics["supportsMonitoring"]}
    for component in ("ChargingStation", "EVSE", "Connector"):
        assert (component, "AvailabilityState") in watched
    assert {("EVSE", "Power"), ("EVSE", "Problem"), ("ChargingStation", "Problem")} <= watched
    constant = [v for v in ALL if v.actual.get("constant")]
    assert not any(v.characteristics["supportsMonitoring"] for v in constant)


# --- the files ----------------------------------------------------------------------------


def test_templates_say_what_the_single_files_say() -> None:
    every = contents()
    for name, single in (("EVSE", "EVSE_1"), ("Connector", "Connector_1_1")):
        template = every[f"templates/{name}.json"]
        for other in (single, single.replace("_1", "_2", 1)):
            found = every[f"component_config/custom/{other}.json"]
            assert found["properties"] == template["properties"]
            assert found["required"] == template["required"]
        assert template["evse_id"] == "*"
    assert every["templates/Connector.json"]["connector_id"] == "*"


@pytest.mark.parametrize("file", contents())
def test_files_are_tidy(file: str) -> None:
    text = (CONFIG / file).read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert "\t" not in text
    assert not re.search(r" +$", text, re.MULTILINE)
    content = contents()[file]
    in_order(content, "component")
    identity = (content["name"], content.get("instance"), content.get("evse_id"))
    identity += (content.get("connector_id"),)
    if not file.startswith("templates/"):
        assert Path(file).stem == "_".join(str(part) for part in identity if part is not None)
    for variable in content["properties"].values():
        in_order(variable, "variable")
        assert variable["description"].endswith(".")
        in_order(variable["characteristics"], "characteristics")
        for attribute in variable["attributes"]:
            in_order(attribute, "attribute")


def in_order(members: Mapping[str, Any], kind: str) -> None:
    assert list(members) == [name for name in KEYS[kind] if name in members]


@pytest.mark.parametrize("version", OcppVersion)
def test_they_load(version: OcppVersion) -> None:
    """Against the checks of the program itself, as a folder, as a sample and by templates."""
    whole = read_folder(CONFIG / "component_config")
    assert whole == sample_files()
    assert load(whole, versions=[version]).connectors() == {1: 1, 2: 1}
    assert load(whole, [1, 1], [version]).connectors() == {1: 1, 2: 1}
    large = load(packaged_files(), [2] * 128, [version])
    assert large.connectors() == dict.fromkeys(range(1, 129), 2)
    assert load(packaged_files(), [1], [version]).variable_count < large.variable_count
