"""The committed tables and stubs are what the generator makes of the schemas, and nothing less."""

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILES = [
    "python/ocpp_fast/messages/v201.pyi",
    "python/ocpp_fast/messages/v21.pyi",
    "rust/ocpp-core/src/schema/v201.rs",
    "rust/ocpp-core/src/schema/v21.rs",
]
VERSIONS = ["v201", "v21"]
ACTIONS = {"v201": 64, "v21": 91}
MESSAGES = {"v201": 128, "v21": 181}

Node = dict[str, Any]


def package() -> Path:
    """Folder of the PyPI package that ships the official schemas."""
    spec = importlib.util.find_spec("ocpp")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def run_generator(into: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the generator of this checkout, which is not part of the wheel."""
    return subprocess.run(
        [sys.executable, "-m", "ocpp_codegen", "--into", str(into), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def schemas(version: str) -> dict[str, Node]:
    folder = package() / version / "schemas"
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8-sig"))
        for path in folder.glob("*.json")
    }


def bodies(version: str) -> dict[str, Node]:
    """Every type of the schemas by name: the definitions and the messages themselves."""
    found: dict[str, Node] = {}
    for name, schema in schemas(version).items():
        found |= schema["definitions"]
        found[name] = schema
    return found


def stub_classes(version: str) -> dict[str, ast.ClassDef]:
    stub = ROOT / f"python/ocpp_fast/messages/{version}.pyi"
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def stub_fields(node: ast.ClassDef) -> dict[str, str]:
    """Attributes of a stub class and their annotations."""
    return {
        item.target.id: ast.unparse(item.annotation)
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }


def rust_fields(version: str) -> dict[str, dict[str, str]]:
    """Object types of the Rust table: their members on the wire and as attributes."""
    text = (ROOT / f"rust/ocpp-core/src/schema/{version}.rs").read_text(encoding="utf-8")
    objects = re.findall(r'object!\("(\w+)", \d+, \[(.*?)\n    \]\)', text, re.DOTALL)
    return {name: dict(re.findall(r'!\("(\w+)", "(\w+)"', body)) for name, body in objects}


def test_committed_files_are_what_the_generator_writes(tmp_path: Path) -> None:
    result = run_generator(tmp_path)
    assert result.returncode == 0, result.stderr
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert written == FILES
    for file in FILES:
        assert (tmp_path / file).read_bytes() == (ROOT / file).read_bytes(), (
            f"{file} is out of date: make generate"
        )


@pytest.mark.parametrize("file", FILES)
def test_generated_files_say_so(file: str) -> None:
    head = (ROOT / file).read_text(encoding="utf-8")[:300]
    assert "Do not edit." in head
    assert re.search(r"sha256:[0-9a-f]{64}\n", head)


@pytest.mark.parametrize("version", VERSIONS)
def test_all_actions_and_messages_are_there(version: str) -> None:
    table = (ROOT / f"rust/ocpp-core/src/schema/{version}.rs").read_text(encoding="utf-8")
    assert table.count("Action { name:") == ACTIONS[version]
    messages = schemas(version).keys()
    assert len(messages) == MESSAGES[version]
    assert messages <= stub_classes(version).keys()
    assert messages <= rust_fields(version).keys()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_property_of_the_schemas_has_a_field(version: str) -> None:
    tables, stubs = rust_fields(version), stub_classes(version)
    objects = {name: body for name, body in bodies(version).items() if "properties" in body}
    assert objects.keys() == tables.keys()
    for name, body in objects.items():
        assert tables[name].keys() == body["properties"].keys(), name
        attributes = list(stub_fields(stubs[name]))
        open_members = ["extra"] if name == "CustomDataType" else []
        assert attributes == [*tables[name].values(), *open_members], name


@pytest.mark.parametrize("version", VERSIONS)
def test_optional_members_and_no_others_may_be_none(version: str) -> None:
    tables, stubs = rust_fields(version), stub_classes(version)
    for name, body in bodies(version).items():
        if "properties" not in body:
            continue
        fields = stub_fields(stubs[name])
        required = set(body.get("required", []))
        for key, attribute in tables[name].items():
            optional = fields[attribute].endswith("| None]")
            assert optional == (key not in required), f"{name}.{attribute}"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_enumeration_has_its_values_in_order(version: str) -> None:
    stubs = stub_classes(version)
    for name, body in bodies(version).items():
        if "enum" not in body:
            continue
        members = [item for item in stubs[name].body if isinstance(item, ast.Assign)]
        values = [ast.literal_eval(item.value) for item in members]
        assert values == body["enum"], name


def test_names_read_well() -> None:
    """One of each kind of awkward name."""
    names: dict[str, str] = {}
    for fields in rust_fields("v21").values():
        names |= fields
    assert names["iso15118CertificateHashData"] == "iso15118_certificate_hash_data"
    assert names["responderURL"] == "responder_url"
    assert names["numEPriceLevels"] == "num_e_price_levels"
    assert names["evMaxV2XEnergyRequest"] == "ev_max_v2x_energy_request"
    assert names["prioritizedEMAIDs"] == "prioritized_emaids"
    assert names["soC"] == "soc"
    assert names["targetSoC"] == "target_soc"
    assert names["taxRuleID"] == "tax_rule_id"
    assert names["fixedPFAbsorb"] == "fixed_pf_absorb"
    assert names["setpointReactive_L2"] == "setpoint_reactive_l2"
    assert names["evDurationLevel1DCInjection"] == "ev_duration_level1_dc_injection"


def break_keyword(schema: Node) -> None:
    schema["properties"]["status"]["pattern"] = "^A"


def break_shape(schema: Node) -> None:
    schema["properties"]["customData"] = {"$ref": "other.json"}


def break_definition(schema: Node) -> None:
    schema["definitions"]["StatusInfoType"]["properties"]["reasonCode"]["maxLength"] = 21


def break_attribute(schema: Node) -> None:
    schema["properties"]["custom_data"] = {"type": "string"}


def break_member(schema: Node) -> None:
    schema["definitions"]["ClearCacheStatusEnumType"]["enum"].append("ACCEPTED")


def break_array(schema: Node) -> None:
    schema["properties"]["list"] = {"type": "array", "items": {"type": "string"}}


def break_required(schema: Node) -> None:
    schema["required"].append("absent")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_keyword, "ClearCacheResponse.json#/properties/status: unexpected keyword: pattern"),
        (break_shape, "ClearCacheResponse.json#/properties/customData: reference to other.json"),
        (break_definition, "#/definitions/StatusInfoType: StatusInfoType differs from the one in"),
        (break_attribute, "ClearCacheResponse.json#: names collide"),
        (break_member, "/definitions/ClearCacheStatusEnumType: member names collide"),
        (break_array, "ClearCacheResponse.json#/properties/list: missing keyword: additional"),
        (break_required, "ClearCacheResponse.json#: required, but no property: {'absent'}"),
    ],
)
def test_unknown_shapes_stop_the_generator(
    tmp_path: Path, damage: Callable[[Node], None], message: str
) -> None:
    file = "v201/schemas/ClearCacheResponse.json"
    result = run_on_damaged(tmp_path, file, damage)
    assert result.returncode == 1
    assert result.stderr.startswith("OCPP 2.0.1: ")
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_correction_that_is_no_longer_needed_stops_the_generator(tmp_path: Path) -> None:
    def upstream_fixed_it(schema: Node) -> None:
        schema["properties"]["exiResponse"]["maxLength"] = 5600

    file = "v201/schemas/Get15118EVCertificateResponse.json"
    result = run_on_damaged(tmp_path, file, upstream_fixed_it)
    assert result.returncode == 1
    assert "expects maxLength 7500, found 5600" in result.stderr


def test_a_schema_without_an_action_stops_the_generator(tmp_path: Path) -> None:
    for version in VERSIONS:
        shutil.copytree(package() / version / "schemas", tmp_path / version / "schemas")
    (tmp_path / "v21/schemas/ResetRequest.json").unlink()
    result = run_generator(tmp_path / "out", "--schemas", str(tmp_path))
    assert result.returncode == 1
    assert "['ResetRequest']" in result.stderr


def run_on_damaged(
    folder: Path, file: str, damage: Callable[[Node], None]
) -> subprocess.CompletedProcess[str]:
    """Runs the generator on a copy of the schemas with one file changed."""
    for version in VERSIONS:
        shutil.copytree(package() / version / "schemas", folder / version / "schemas")
    schema = json.loads((folder / file).read_text(encoding="utf-8-sig"))
    damage(schema)
    (folder / file).write_text(json.dumps(schema), encoding="utf-8")
    return run_generator(folder / "out", "--schemas", str(folder))
