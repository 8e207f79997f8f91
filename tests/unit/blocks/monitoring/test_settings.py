"""MonitoringCtrlr as component files of all kinds give it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from device_model.models import attribute, component, load, variable
from ocpp_fast.blocks.monitoring.settings import Settings
from ocpp_fast.blocks.monitoring.table import Base
from ocpp_fast.device_model import DeviceModel
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.testing import VirtualClock, run_virtual


def with_variables(
    scenario: Callable[[Settings, DeviceModel, list[str]], None], *variables: Mapping[str, Any]
) -> None:
    """With a device model whose MonitoringCtrlr has these, and a list that notes changes."""

    async def run(clock: VirtualClock) -> None:
        parts = [component("MonitoringCtrlr", *variables)] if variables else []
        model = DeviceModel(load(*parts), MemoryStorage(), clock=clock)
        changes: list[str] = []
        scenario(Settings(model, lambda: changes.append("changed")), model, changes)

    run_virtual(run)


def read_only(value: str) -> dict[str, Any]:
    return attribute("Actual", "ReadOnly", value)


def test_without_the_component_there_is_no_monitoring() -> None:
    def scenario(settings: Settings, _: DeviceModel, __: list[str]) -> None:
        assert not settings.available
        assert not settings.enabled

    with_variables(scenario)


def test_what_is_not_there_has_a_default() -> None:
    def scenario(settings: Settings, _: DeviceModel, __: list[str]) -> None:
        assert settings.available
        assert settings.enabled
        assert (settings.base, settings.level, settings.queuing_severity) == (Base.ALL, 9, -1)
        settings.set_base(Base.HARD_WIRED_ONLY)
        settings.set_level(3)
        assert (settings.base, settings.level) == (Base.HARD_WIRED_ONLY, 3)
        assert settings.event_ids().take() == 0

    with_variables(scenario, variable("Other"))


@pytest.mark.parametrize(("available", "enabled"), [(True, True), (True, False), (False, True)])
def test_available_and_enabled(*, available: bool, enabled: bool) -> None:
    def scenario(settings: Settings, _: DeviceModel, __: list[str]) -> None:
        assert settings.available is available
        assert settings.enabled is (available and enabled)

    with_variables(
        scenario,
        variable("Available", "boolean", read_only(str(available).lower())),
        variable("Enabled", "boolean", attribute(value=str(enabled).lower())),
    )


@pytest.mark.parametrize("spelled", ["HardWiredOnly", "HardwiredOnly"])
def test_the_base_is_kept_as_the_files_spell_it(spelled: str) -> None:
    def scenario(settings: Settings, model: DeviceModel, _: list[str]) -> None:
        settings.set_base(Base.HARD_WIRED_ONLY)
        handle = model.variable("MonitoringCtrlr", "ActiveMonitoringBase")
        assert handle.text() == spelled
        assert settings.base is Base.HARD_WIRED_ONLY

    base = variable(
        "ActiveMonitoringBase",
        "OptionList",
        read_only("All"),
        valuesList=f"All, FactoryDefault,{spelled}",
    )
    with_variables(scenario, base)


def test_changes_are_told() -> None:
    def scenario(settings: Settings, model: DeviceModel, changes: list[str]) -> None:
        settings.set_level(4)
        assert (settings.level, changes) == (4, ["changed"])
        model.variable("MonitoringCtrlr", "OfflineQueuingSeverity").set(6)
        assert (settings.queuing_severity, len(changes)) == (6, 2)
        model.variable("MonitoringCtrlr", "Enabled").set(value=False)
        assert (settings.enabled, len(changes)) == (False, 3)

    with_variables(
        scenario,
        variable("ActiveMonitoringLevel", "integer", read_only("9")),
        variable("OfflineQueuingSeverity", "integer", attribute(value="2")),
        variable("Enabled", "boolean", attribute(value="true")),
    )
