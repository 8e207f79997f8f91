"""What messages show of themselves, and the secrets that they never show."""

import csv
import importlib.util
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from ocpp_fast import _core
from ocpp_fast.messages import v21, v201
from vectors import subject
from vectors.construction import constructed, datatypes
from vectors.schemas import SchemaFile, schema_files

ALL_TYPES: Final = list(datatypes())
NOW: Final = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SECRET_NUMBER: Final = 73_556_081
SECRET: Final = f"s{SECRET_NUMBER}t"


def secrets() -> list[tuple[str, str, str]]:
    """Type, member and secrecy of everything the generator was told to hide."""
    spec = importlib.util.find_spec("ocpp_codegen")
    assert spec is not None
    assert spec.origin is not None
    with (Path(spec.origin).parent / "secrets.csv").open(newline="", encoding="utf-8") as file:
        return [(row["type"], row["field"], row["secrecy"]) for row in csv.DictReader(file)]


MUST_BE_SECRET: Final = (
    ("IdTokenType", "idToken"),
    ("AdditionalInfoType", "additionalIdToken"),
    ("NetworkConnectionProfileType", "basicAuthPassword"),
    ("VPNType", "password"),
    ("VPNType", "key"),
    ("APNType", "apnPassword"),
    ("APNType", "simPin"),
    ("SetVariableDataType", "attributeValue"),
    ("GetVariableResultType", "attributeValue"),
)


def test_the_known_secrets_are_listed() -> None:
    assert set(MUST_BE_SECRET) <= {(type_, member) for type_, member, _ in secrets()}


def planted(file: SchemaFile, payload: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The payload with every secret exchanged for a known text, and how many there were."""
    hidden = {(type_, member) for type_, member, secrecy in secrets() if secrecy == "secret"}
    made: dict[str, Any] = {}
    count = 0
    for name, value in payload.items():
        schema = file.schema.get("properties", {}).get(name, {})
        reference = schema.get("items", schema).get("$ref", "").removeprefix("#/definitions/")
        if (file.name, name) in hidden:
            secret = SECRET_NUMBER if isinstance(value, int) else SECRET
            made[name] = [secret] if isinstance(value, list) else secret
            count += 1
        elif isinstance(value, dict) and reference:
            made[name], inside = planted(file.datatype(reference), value)
            count += inside
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            pairs = [planted(file.datatype(reference), item) for item in value]
            made[name] = [item for item, _ in pairs]
            count += sum(inside for _, inside in pairs)
        else:
            made[name] = value
    return made, count


def test_secrets_are_never_shown() -> None:
    hidden = 0
    for file, payload in ALL_TYPES:
        with_secrets, count = planted(file, payload)
        message = constructed(file, with_secrets)
        for shown in (repr(message), str(message), f"{message}", ascii(message), f"{[message]!r}"):
            assert str(SECRET_NUMBER) not in shown, shown
        if count:
            assert "<redacted>" in repr(message)
            wire = _core.encode_payload(message).decode()
            assert wire.count(str(SECRET_NUMBER)) == count, "hidden, not lost"
        if file.name in schema_files(file.version):
            frame = subject.decode(file, orjson.dumps(with_secrets))
            assert not isinstance(frame, _core.InvalidFrame), frame
            assert str(SECRET_NUMBER) not in repr(frame)
        hidden += count
    assert hidden > 100


@pytest.mark.parametrize("module", [v201, v21])
@pytest.mark.parametrize(
    ("variable", "shown"),
    [
        ("BasicAuthPassword", False),
        ("basicauthpassword", False),
        ("SharedSecret", False),
        ("HeartbeatInterval", True),
        ("OrganizationName", True),
    ],
)
def test_values_of_variables_are_shown_unless_they_are_credentials(
    module: Any, variable: str, shown: bool
) -> None:
    names = {
        "component": module.ComponentType(name="SecurityCtrlr"),
        "variable": module.VariableType(name=variable),
    }
    for message in (
        module.SetVariableDataType(attribute_value=SECRET, **names),
        module.GetVariableResultType(attribute_status="Accepted", attribute_value=SECRET, **names),
    ):
        assert (SECRET in repr(message)) is shown, repr(message)


def test_repr_is_readable() -> None:
    request = v201.StatusNotificationRequest(
        timestamp=NOW,
        connector_status=v201.ConnectorStatusEnumType.AVAILABLE,
        evse_id=1,
        connector_id=1,
    )
    assert repr(request) == (
        "StatusNotificationRequest(timestamp=2026-11-21T09:30:00+00:00, "
        "connector_status=Available, evse_id=1, connector_id=1)"
    )
    assert repr(v201.HeartbeatRequest()) == "HeartbeatRequest()"
    assert repr(v201.GetChargingProfilesRequest(
        request_id=1,
        charging_profile=v201.ChargingProfileCriterionType(charging_profile_id=[1, 2]),
    )) == (
        "GetChargingProfilesRequest(request_id=1, "
        "charging_profile=ChargingProfileCriterionType(charging_profile_id=(1, 2)))"
    )  # fmt: skip
