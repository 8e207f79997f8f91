"""What a user of the package gets: names, types, a cheap import, the right files in the wheel."""

import importlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ocpp_fast
from ocpp_fast import _core

PACKAGE = Path(ocpp_fast.__file__).parent

PUBLIC = [
    "Call",
    "CallError",
    "CallResult",
    "CallResultError",
    "Callbacks",
    "ChargePoint",
    "Codec",
    "Connection",
    "Csms",
    "Deviation",
    "DeviceModel",
    "EvseConfig",
    "InvalidFrame",
    "OcppVersion",
    "OnRestart",
    "Send",
    "SimulatedStation",
    "Station",
    "StationConfig",
    "TxPoint",
    "Variables",
    "__version__",
]

# What a bare `import ocpp_fast` must not drag in.
HEAVY = {"aiosqlite", "asyncio", "orjson", "picows", "ssl", "uvloop"}
# What even a running station must not, as long as nobody asks for it.
SELDOM = {"cryptography", "fastjsonschema", "prometheus_client", "rich", "typer"}
# What the package is built and tested with; never part of it.
NEVER = {"hypothesis", "jsonschema", "ocpp", "ocpp_codegen", "pytest"}


def loaded_by(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter once `code` has run."""
    script = f"{code}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    return set(done.stdout.split())


def test_public_names_are_pinned() -> None:
    assert sorted(ocpp_fast.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(ocpp_fast, name) is not None
        assert name in dir(ocpp_fast)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Sation'"):
        _ = ocpp_fast.Sation


def test_the_import_alone_loads_nothing_heavy() -> None:
    assert not loaded_by("import ocpp_fast") & (HEAVY | SELDOM | NEVER)


def test_messages_load_no_runtime() -> None:
    code = (
        "from ocpp_fast.messages import v201, v21; v201.HeartbeatRequest(); v21.HeartbeatRequest()"
    )
    assert not loaded_by(code) & (HEAVY | SELDOM | NEVER)


def test_the_facade_loads_nothing_that_is_seldom_needed() -> None:
    loaded = loaded_by("import ocpp_fast; ocpp_fast.ChargePoint, ocpp_fast.Csms")
    assert "asyncio" in loaded
    assert not loaded & (SELDOM | NEVER)


def test_the_version_is_that_of_the_rust_part() -> None:
    assert ocpp_fast.__version__ == _core.__version__


def test_a_debug_build_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "build_profile", "debug")
    with pytest.warns(RuntimeWarning, match="debug build"):
        importlib.reload(ocpp_fast)
    monkeypatch.undo()
    importlib.reload(ocpp_fast)  # and a release build does not


def test_type_information_is_shipped() -> None:
    for name in ("py.typed", "_core.pyi", "messages/v201.pyi", "messages/v21.pyi"):
        assert (PACKAGE / name).is_file(), name


@pytest.fixture(name="wheel")
def built_wheel() -> Path:
    """The built wheel, named by the environment variable OCPP_FAST_WHEEL."""
    named = os.environ.get("OCPP_FAST_WHEEL")
    if named is None:
        pytest.skip("`make package` builds the wheel")
    return Path(named)


def test_wheel_content(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    found = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    wanted = {
        str(Path("ocpp_fast", path.relative_to(PACKAGE)))
        for pattern in ("*.py", "*.pyi", "*.sql", "py.typed")
        for path in PACKAGE.rglob(pattern)
    }
    # Behind a link, which `rglob` does not follow.
    wanted |= {
        str(Path("ocpp_fast", path.relative_to(PACKAGE)))
        for folder in ("component_config/standardized", "component_config/custom", "templates")
        for path in (PACKAGE / "component_files" / folder).glob("*.json")
    }
    assert "ocpp_fast/component_files/component_config/standardized/TxCtrlr.json" in wanted
    assert "ocpp_fast/component_files/templates/EVSE.json" in wanted
    assert {"ocpp_fast/_core.pyi", "ocpp_fast/messages/v21.pyi", "ocpp_fast/py.typed"} < wanted
    assert any(name.endswith(".sql") for name in wanted)
    (extension,) = found - wanted
    assert extension.startswith("ocpp_fast/_core.")
    assert extension.endswith(".so")
    assert wanted < found
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import ocpp_fast\n"
        f"assert ocpp_fast.__file__.startswith({str(tmp_path)!r}), ocpp_fast.__file__\n"
        "assert ocpp_fast._core.build_profile == 'release'\n"
        "from ocpp_fast.messages import v21\n"
        "v21.HeartbeatRequest()\n"
        "from ocpp_fast.device_model import files\n"
        "assert files.load(files.packaged_files(), [1, 2]).connectors() == {1: 1, 2: 2}\n"
        "assert files.load(files.sample_files()).connectors() == {1: 1, 2: 1}"
    )
    loaded_by(code)
