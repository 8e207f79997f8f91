"""Component files on the disk and in the package; what a person is told about bad ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ocpp_fast.device_model.files import (
    ComponentFilesInvalid,
    Problem,
    load,
    packaged_files,
    packaged_folder,
    read_folder,
    sample_files,
)
from ocpp_fast.errors import CallerError, ConfigurationError
from ocpp_fast.messages import OcppVersion

ROOT = Path(__file__).parents[3]


def write(folder: Path, files: list[tuple[str, bytes]]) -> Path:
    for path, content in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def changed(folder: Path, file: str, *path: str, value: object) -> None:
    """Puts one value into a file; `...` removes what stands there."""
    content = json.loads((folder / file).read_text())
    place = content
    for key in path[:-1]:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    (folder / file).write_text(json.dumps(content))


# --- reading ------------------------------------------------------------------------------


def test_a_folder_is_read_in_order(tmp_path: Path) -> None:
    files = [("custom/B.json", b"1"), ("standardized/A.json", b"2"), ("standardized/C.json", b"3")]
    write(tmp_path, files)
    write(tmp_path, [("README.md", b""), ("custom/notes.txt", b""), ("other/D.json", b"4")])
    assert read_folder(tmp_path) == files
    assert read_folder(str(tmp_path)) == files


def test_templates_of_a_folder_are_read_too(tmp_path: Path) -> None:
    write(tmp_path, [("templates/EVSE.json", b"{}")])
    assert read_folder(tmp_path) == [("templates/EVSE.json", b"{}")]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"/nowhere: there is no such folder$"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"/file: is not a folder$"):
        read_folder(tmp_path / "file")


def test_a_folder_without_component_files(tmp_path: Path) -> None:
    (tmp_path / "standardized").mkdir()
    with pytest.raises(ConfigurationError, match=r"has no component file, standardized/\*\.json"):
        read_folder(tmp_path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "custom" / "A.json").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"/custom/A\.json: Is a directory$"):
        read_folder(tmp_path)


def test_what_the_package_brings() -> None:
    paths = [path for path, _ in packaged_files()]
    assert paths == sorted(paths)
    assert {"standardized/TxCtrlr.json", "templates/EVSE.json"} < set(paths)
    assert not any(path.startswith("custom/") for path in paths)
    assert (packaged_folder() / "component_config" / "custom" / "EVSE_1.json").is_file()


def test_the_package_is_not_read_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [])
    assert packaged_files()


# --- samples ------------------------------------------------------------------------------


def test_the_sample_is_what_is_in_the_package(tmp_path: Path) -> None:
    write(tmp_path, sample_files())
    assert read_folder(tmp_path) == sample_files()
    assert {path for path, _ in sample_files()} > {
        "custom/EVSE_2.json",
        "custom/Connector_2_1.json",
    }


@pytest.mark.parametrize(("evses", "connectors"), [(1, 1), (1, 8), (3, 2), (1000, 1)], ids=str)
def test_a_sample_for_any_number_of_evses(evses: int, connectors: int) -> None:
    files = sample_files(evses, connectors)
    assert {path for path, _ in files if "EVSE" in path} == {"templates/EVSE.json"}
    assert not any(b'"*"' in content for _, content in files)
    wanted = dict.fromkeys(range(1, evses + 1), connectors)
    assert load(files).connectors() == wanted
    assert load(files, [connectors] * evses).connectors() == wanted


def test_one_evse_may_differ_from_the_others() -> None:
    files = sample_files(24)
    ((_, template),) = [file for file in files if file[0] == "templates/EVSE.json"]
    special = template.replace(b'"1-24"', b"7").replace(b'"maxLimit": 22080', b'"maxLimit": 11040')
    model = load([*files, ("custom/EVSE_7.json", special)])
    limits = {
        evse: model.describe(model.find("EVSE", None, evse, None, "Power", None))[9]
        for evse in model.connectors()
    }
    assert limits == {**dict.fromkeys(range(1, 25), 22080.0), 7: 11040.0}


# --- what is wrong ------------------------------------------------------------------------


def test_a_problem_is_one_line() -> None:
    whole = Problem("custom/EVSE_1.json", "/properties/Power", "EVSE[1].Power", "is missing")
    assert str(whole) == "custom/EVSE_1.json: /properties/Power: EVSE[1].Power: is missing"
    assert str(Problem("custom/A.json", "", "", "is no JSON")) == "custom/A.json: is no JSON"
    assert str(Problem("", "", "TxCtrlr", "is missing")) == "TxCtrlr: is missing"


def test_all_problems_are_told_at_once() -> None:
    problems = [Problem("a.json", "/name", "", "no"), Problem("b.json", "", "", "no JSON")]
    error = ComponentFilesInvalid(problems)
    assert isinstance(error, ConfigurationError)
    assert isinstance(error, CallerError)
    assert error.problems == tuple(problems)
    assert str(error) == "a.json: /name: no\nb.json: no JSON"


def test_several_mistakes_in_several_files(tmp_path: Path) -> None:
    write(tmp_path, sample_files())
    tx, evse = "standardized/TxCtrlr.json", "custom/EVSE_2.json"
    changed(tmp_path, tx, "properties", "TxStartPoint", "attributes", "0", "value", value=...)
    changed(
        tmp_path, tx, "properties", "EVConnectionTimeOut", "attributes", "0", "value", value="x"
    )
    changed(tmp_path, evse, "evse_id", value=3)
    changed(tmp_path, evse, "properties", "Power", "characteristics", "maxLimit", value=...)
    (tmp_path / "custom" / "Broken.json").write_text("{")
    with pytest.raises(ComponentFilesInvalid) as raised:
        load(read_folder(tmp_path))
    problems = raised.value.problems
    assert {problem.file for problem in problems} >= {tx, evse, "custom/Broken.json"}
    about = {problem.variable for problem in problems}
    assert {"TxCtrlr.TxStartPoint", "TxCtrlr.EVConnectionTimeOut", "EVSE[3].Power"} <= about
    assert str(raised.value).splitlines() == [str(problem) for problem in problems]
    for problem in problems:
        assert problem.pointer == "" or problem.pointer.startswith("/")
        assert problem.message
        assert "\n" not in str(problem)


def test_the_page_shows_what_is_really_told(tmp_path: Path) -> None:
    page = (ROOT / "docs/device-model.md").read_text(encoding="utf-8")
    write(tmp_path, sample_files())
    tx, evse = "standardized/TxCtrlr.json", "custom/EVSE_2.json"
    start_point = ("properties", "TxStartPoint", "attributes", "0", "value")
    changed(tmp_path, tx, *start_point, value="Plugged")
    changed(tmp_path, evse, "properties", "Power", "characteristics", "maxLimit", value=...)
    with pytest.raises(ComponentFilesInvalid) as raised:
        load(read_folder(tmp_path))
    assert f"```text\n{raised.value}\n```" in page


def test_another_number_of_evses_than_the_files_have() -> None:
    with pytest.raises(ComponentFilesInvalid):
        load(sample_files(), [1])
    with pytest.raises(ComponentFilesInvalid):
        load(sample_files(), [1, 1, 1])
    with pytest.raises(ComponentFilesInvalid):
        load(sample_files(), [1, 2])


def test_templates_need_a_topology() -> None:
    with pytest.raises(ComponentFilesInvalid):
        load(packaged_files())


def test_what_is_required_depends_on_the_version(tmp_path: Path) -> None:
    """The state of a connector may be left out in 2.0.1 (appendix) and must be there in 2.1."""
    write(tmp_path, sample_files())
    file = "custom/Connector_1_1.json"
    changed(tmp_path, file, "properties", "AvailabilityState", value=...)
    changed(tmp_path, file, "required", value=[])
    assert load(read_folder(tmp_path), versions=[OcppVersion.V201]).connectors()
    with pytest.raises(ComponentFilesInvalid, match="AvailabilityState"):
        load(read_folder(tmp_path), versions=[OcppVersion.V21])
