"""Component files for one station or for thousands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.clock import SystemClock
from ocpp_fast.config import EvseConfig, StationConfig
from ocpp_fast.device_model import DeviceModel, files
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.simulator import SimulatedStation
from ocpp_fast.storage import MemoryStorage


def config(**more: Any) -> StationConfig:
    settings: dict[str, Any] = {"identity": "a", "csms_url": "ws://h", **more}
    return StationConfig(**settings)


def model_of(source: ComponentFiles, **more: Any) -> DeviceModel:
    return source.device_model(config(**more), MemoryStorage(), clock=SystemClock())


@pytest.fixture(name="folder")
def written_folder(tmp_path: Path) -> Path:
    """Three EVSEs with two connectors."""
    for path, content in files.sample_files(3, 2):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    return tmp_path


def test_without_a_folder_there_are_as_many_evses_as_configured() -> None:
    source = ComponentFiles()
    assert model_of(source).connectors == {1: 1}
    evses = (EvseConfig(connectors=3), EvseConfig())
    assert model_of(source, evses=evses).connectors == {1: 3, 2: 1}
    assert source.connectors(config(evses=evses)) == {1: 3, 2: 1}


def test_a_folder_says_how_many_evses_there_are(folder: Path) -> None:
    source = ComponentFiles()
    assert model_of(source, component_config=str(folder)).connectors == {1: 2, 2: 2, 3: 2}
    evses = (EvseConfig(connectors=2),) * 3
    assert len(model_of(source, component_config=str(folder), evses=evses).connectors) == 3
    with pytest.raises(files.ComponentFilesInvalid):
        model_of(source, component_config=str(folder), evses=(EvseConfig(),))
    station = SimulatedStation(config(component_config=str(folder)))
    assert list(station.hardware) == [1, 2, 3]


def test_all_that_is_wrong_is_told_before_anything_is_built(folder: Path) -> None:
    path = folder / "standardized/TxCtrlr.json"
    content = json.loads(path.read_text())
    del content["properties"]["TxStartPoint"]
    content["properties"]["EVConnectionTimeOut"]["attributes"][0]["value"] = "soon"
    path.write_text(json.dumps(content))
    with pytest.raises(files.ComponentFilesInvalid) as caught:
        SimulatedStation(config(component_config=str(folder)))
    assert "TxCtrlr.EVConnectionTimeOut" in str(caught.value)
    assert "TxCtrlr.TxStartPoint" in str(caught.value)
    with pytest.raises(ConfigurationError, match="no such folder"):
        model_of(ComponentFiles(), component_config=str(folder / "nowhere"))


def test_files_are_read_once_for_all_stations(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    read_folder = files.read_folder

    def counted(path: str) -> Any:
        reads.append(path)
        return read_folder(path)

    monkeypatch.setattr(files, "read_folder", counted)
    source = ComponentFiles()
    for number in range(20):
        model_of(source, component_config=str(folder), identity=str(number))
    assert len(reads) == 1
    ComponentFiles().connectors(config(component_config=str(folder)))
    assert len(reads) == 2


def test_what_is_kept_has_a_bound() -> None:
    source = ComponentFiles()
    for count in range(1, 30):
        source.connectors(config(evses=(EvseConfig(),) * count))
    assert len(source._loaded) == 16


async def test_each_station_keeps_its_own_definitions_and_values() -> None:
    source, storages = ComponentFiles(), [MemoryStorage(), MemoryStorage()]
    models = [
        source.device_model(config(identity=str(number)), storage, clock=SystemClock())
        for number, storage in enumerate(storages)
    ]
    models[0].define({"name": "Own", "properties": {}})
    for model in models:
        await model.open()
    first, second = [await storage.components_load() for storage in storages]
    assert len(first) == len(second) + 1
    # The texts themselves are there once for all stations.
    shared = {id(row.definition) for row in first} & {id(row.definition) for row in second}
    assert len(shared) == len(second)
    names = [model.variable("SecurityCtrlr", "Identity").get() for model in models]
    assert names == ["0", "1"]
