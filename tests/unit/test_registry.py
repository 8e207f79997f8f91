"""Versions, actions and the modules that show the message types."""

import ast
import copy
import csv
import pickle
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from types import ModuleType

import pytest

from ocpp_fast.messages import (
    ActionInfo,
    Direction,
    Framing,
    Message,
    OcppVersion,
    actions,
    v21,
    v201,
)
from ocpp_fast.messages._enums import make_enum

ROOT = Path(__file__).parents[2]
MODULES: dict[OcppVersion, ModuleType] = {OcppVersion.V201: v201, OcppVersion.V21: v21}
VERSIONS = list(OcppVersion)


def messages_csv(version: OcppVersion) -> dict[str, dict[str, str]]:
    """The committed message list that the generator reads."""
    path = ROOT / "python/ocpp_codegen/messages.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {row["action"]: row for row in rows if version in row["versions"].split()}


def test_versions_know_their_subprotocol_and_module() -> None:
    assert OcppVersion("2.0.1").subprotocol == "ocpp2.0.1"
    assert OcppVersion("2.1").subprotocol == "ocpp2.1"
    for version, module in MODULES.items():
        assert version.module is module
        assert OcppVersion.from_subprotocol(version.subprotocol) is version


@pytest.mark.parametrize("subprotocol", ["ocpp1.6", "ocpp2.0", "OCPP2.1", "2.1", ""])
def test_other_subprotocols_are_refused(subprotocol: str) -> None:
    with pytest.raises(ValueError, match="subprotocol"):
        OcppVersion.from_subprotocol(subprotocol)


@pytest.mark.parametrize(("version", "count"), [("2.0.1", 64), ("2.1", 91)])
def test_every_action_is_listed(version: str, count: int) -> None:
    assert len(actions(OcppVersion(version))) == count


@pytest.mark.parametrize("version", VERSIONS)
def test_actions_are_as_in_the_message_list(version: OcppVersion) -> None:
    listed = messages_csv(version)
    assert actions(version).keys() == listed.keys()
    for name, info in actions(version).items():
        row = listed[name]
        assert info.name == name
        assert info.version is version
        assert info.direction is Direction(row["direction"])
        assert info.block == row["block"]
        assert info.framing is Framing(row["framing"])


@pytest.mark.parametrize("version", VERSIONS)
def test_every_action_has_its_messages(version: OcppVersion) -> None:
    module = MODULES[version]
    for name, info in actions(version).items():
        if info.framing is Framing.SEND:
            assert info.request is getattr(module, name)
            assert info.response is None
        else:
            assert info.request is getattr(module, f"{name}Request")
            assert info.response is getattr(module, f"{name}Response")


def test_the_one_action_without_answer() -> None:
    sends = [
        (version, info.name)
        for version in VERSIONS
        for info in actions(version).values()
        if info.framing is Framing.SEND
    ]
    assert sends == [(OcppVersion.V21, "NotifyPeriodicEventStream")]


def test_actions_cannot_be_changed() -> None:
    infos = actions(OcppVersion.V21)
    with pytest.raises(TypeError):
        infos["Reset"] = infos["Heartbeat"]  # pyright: ignore[reportIndexIssue]
    with pytest.raises(AttributeError):
        infos["Reset"].block = "A"  # pyright: ignore[reportAttributeAccessIssue]


def test_an_action_survives_copy_and_pickle() -> None:
    info: ActionInfo = actions(OcppVersion.V21)["Reset"]
    assert copy.deepcopy(info) == info
    assert pickle.loads(pickle.dumps(info)) == info


@pytest.mark.parametrize("version", VERSIONS)
def test_modules_show_what_their_stub_promises(version: OcppVersion) -> None:
    module = MODULES[version]
    stub = ROOT / f"python/ocpp_fast/messages/{module.__name__.rpartition('.')[2]}.pyi"
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert sorted(node.name for node in classes) == sorted(module.__all__) == sorted(dir(module))
    for node in classes:
        found = getattr(module, node.name)
        assert found.__name__ == found.__qualname__ == node.name
        assert found.__module__ == module.__name__
        base = ast.unparse(node.bases[0])
        assert issubclass(found, StrEnum if base == "StrEnum" else Message)


@pytest.mark.parametrize("version", VERSIONS)
def test_types_survive_copy_and_pickle(version: OcppVersion) -> None:
    module = MODULES[version]
    for name in module.__all__:
        found = getattr(module, name)
        assert pickle.loads(pickle.dumps(found)) is found
        assert copy.deepcopy(found) is found


def test_a_type_is_made_once_and_then_found_at_once() -> None:
    assert v21.BootReasonEnumType is v21.BootReasonEnumType
    assert "BootReasonEnumType" in vars(v21)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match=r"ocpp_fast\.messages\.v201.*NotifySettlementRequest"):
        v201.NotifySettlementRequest  # pyright: ignore  # noqa: B018, PGH003
    assert not hasattr(v21, "AuthorizeRequest2")


def test_enumerations_are_strings_with_upper_case_members() -> None:
    measurand = v21.MeasurandEnumType("Energy.Active.Import.Register")
    assert measurand is v21.MeasurandEnumType.ENERGY_ACTIVE_IMPORT_REGISTER
    assert measurand == "Energy.Active.Import.Register"
    assert str(measurand) == f"{measurand}" == "Energy.Active.Import.Register"
    assert pickle.loads(pickle.dumps(measurand)) is measurand
    with pytest.raises(ValueError, match="Energy"):
        v21.MeasurandEnumType("Energy")


@pytest.mark.parametrize("version", VERSIONS)
def test_enumerations_have_the_members_of_their_stub(version: OcppVersion) -> None:
    module = MODULES[version]
    stub = ROOT / f"python/ocpp_fast/messages/{module.__name__.rpartition('.')[2]}.pyi"
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.ClassDef) or ast.unparse(node.bases[0]) != "StrEnum":
            continue
        promised = {
            ast.unparse(item.targets[0]): ast.literal_eval(item.value)
            for item in node.body
            if isinstance(item, ast.Assign)
        }
        found = {member.name: member.value for member in getattr(module, node.name)}
        assert found == promised


def test_make_enum_keeps_order_and_module() -> None:
    made = make_enum("some.module", "PhaseEnumType", [("L1_N", "L1-N"), ("L1", "L1")])
    assert [member.value for member in made] == ["L1-N", "L1"]
    assert (made.__module__, made.__qualname__) == ("some.module", "PhaseEnumType")
    assert made("L1-N") is made["L1_N"]


def test_importing_the_modules_makes_no_types() -> None:
    code = (
        "from ocpp_fast.messages import v201, v21\n"
        "made = [n for m in (v201, v21) for n in m.__all__ if n in vars(m)]\n"
        "assert not made, made\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
