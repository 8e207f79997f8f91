"""Which identity and password a station connects with."""

from __future__ import annotations

from typing import Any

import pytest

from device_model.models import set_request
from ocpp_fast.clock import SystemClock
from ocpp_fast.config import StationConfig
from ocpp_fast.device_model import DeviceModel
from ocpp_fast.device_model.component_files import ComponentFiles
from ocpp_fast.dialling import Dialler
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage import MemoryStorage

FILES = ComponentFiles()


def station(**more: Any) -> tuple[DeviceModel, Dialler]:
    config = StationConfig(identity="CS001", csms_url="ws://h", **more)
    model = FILES.device_model(config, MemoryStorage(), clock=SystemClock())
    return model, Dialler(config, model, SystemClock())


async def put(model: DeviceModel, name: str, value: str) -> str:
    request = set_request(OcppVersion.V21, ("SecurityCtrlr", name, None, value))
    response: Any = await model.set_variables(request)
    return str(response.set_variable_result[0].attribute_status)


def test_the_configuration_holds_at_first() -> None:
    _, dialler = station()
    assert (dialler.identity, dialler.password) == ("CS001", None)
    _, dialler = station(password="short")
    assert (dialler.identity, dialler.password) == ("CS001", "short")


async def test_a01_fr_01_the_password_that_was_set_holds() -> None:
    model, dialler = station(password="short")
    assert await put(model, "BasicAuthPassword", "0123456789abcdef") == "Accepted"
    assert dialler.password == "0123456789abcdef"


async def test_the_identity_that_was_set_holds() -> None:
    model, dialler = station()
    assert await put(model, "Identity", "CS002") == "Accepted"
    assert dialler.identity == "CS002"


@pytest.mark.parametrize("identity", ["a:b", "x" * 49, ""])
async def test_what_can_be_no_identity_is_refused(identity: str) -> None:
    model, dialler = station()
    assert await put(model, "Identity", identity) == "Rejected"
    assert dialler.identity == "CS001"


async def test_both_survive_a_restart() -> None:
    storage = MemoryStorage()
    config = StationConfig(identity="CS001", csms_url="ws://h", password="configured")
    first = FILES.device_model(config, storage, clock=SystemClock())
    await first.open()
    await put(first, "BasicAuthPassword", "0123456789abcdef")
    await put(first, "Identity", "CS002")
    second = FILES.device_model(config, storage, clock=SystemClock())
    dialler = Dialler(config, second, SystemClock())
    assert (dialler.identity, dialler.password) == ("CS001", "configured")
    await second.open()
    assert (dialler.identity, dialler.password) == ("CS002", "0123456789abcdef")
