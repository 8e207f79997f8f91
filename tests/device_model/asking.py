"""GetVariables and SetVariables asked of a cache, and what the answers say."""

from __future__ import annotations

from typing import Any

from device_model.models import ATTRIBUTES, get_request, set_request
from ocpp_fast._core import DeviceModelCache, SetPlan
from ocpp_fast.messages import OcppVersion


def applied(plan: SetPlan) -> tuple[Any, list[Any], list[Any]]:
    """What `apply` gives, the response as whatever it is."""
    return plan.apply()


def got(cache: DeviceModelCache, version: OcppVersion, *wanted: Any) -> list[Any]:
    response: Any = cache.get_variables(get_request(version, *wanted))
    assert type(response) is version.module.GetVariablesResponse
    return list(response.get_variable_result)


def put(cache: DeviceModelCache, version: OcppVersion, *wanted: Any) -> list[Any]:
    response, _, _ = applied(cache.plan(set_request(version, *wanted), "csms"))
    assert type(response) is version.module.SetVariablesResponse
    return list(response.set_variable_result)


def status(result: Any) -> str:
    return str(result.attribute_status)


def reason(result: Any) -> str | None:
    info = result.attribute_status_info
    return None if info is None else str(info.reason_code)


def value_of(
    cache: DeviceModelCache, name: str, kind: str | None = None, where: str = "Table"
) -> str | None:
    number = cache.find(where, None, None, None, name, None)
    assert number >= 0
    return cache.value(number, ATTRIBUTES.index(kind or "Actual"))
