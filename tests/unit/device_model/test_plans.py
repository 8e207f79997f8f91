"""What lies between the checks of a SetVariables and its effect: storing, guards, failures."""

from __future__ import annotations

from typing import Any

import pytest

from device_model.asking import applied, put, reason, status, value_of
from device_model.models import (
    VERSIONS,
    attribute,
    component,
    load,
    set_request,
    variable,
)
from ocpp_fast._core import DeviceModelCache
from ocpp_fast.messages import OcppVersion

versions = pytest.mark.parametrize("version", VERSIONS)


def switch() -> DeviceModelCache:
    return load(
        component(
            "Box",
            variable("Kept", "integer", attribute(value="1", persistent=True)),
            variable("Passing", "integer", attribute(value="2", persistent=False)),
            variable("Secret", "string", attribute("Actual", "WriteOnly", "old", persistent=True)),
        )
    )


@versions
def test_a_plan_changes_nothing_before_it_is_applied(version: OcppVersion) -> None:
    cache = switch()
    for watched in range(2):
        cache.watch(watched)
    request = set_request(version, ("Box", "Kept", None, "5"), ("Box", "Passing", None, "6"))
    plan = cache.plan(request, "csms")
    assert [value_of(cache, name, where="Box") for name in ("Kept", "Passing")] == ["1", "2"]
    assert cache.source(0) == "default"
    response, changes, events = applied(plan)
    assert [status(one) for one in response.set_variable_result] == ["Accepted", "Accepted"]
    assert [value_of(cache, name, where="Box") for name in ("Kept", "Passing")] == ["5", "6"]
    assert cache.source(0) == "csms"
    assert [(c[0], c[1], c[2], c[3]) for c in changes] == [(0, 0, "1", "5"), (1, 0, "2", "6")]
    assert events == []


@versions
def test_a_plan_that_is_dropped_leaves_everything_as_it_was(version: OcppVersion) -> None:
    cache = switch()
    plan = cache.plan(set_request(version, ("Box", "Kept", None, "5")), "csms")
    del plan
    assert value_of(cache, "Kept", where="Box") == "1"


@versions
def test_rows_are_what_must_outlive_the_process(version: OcppVersion) -> None:
    cache = switch()
    plan = cache.plan(
        set_request(
            version,
            ("box", "kept", None, "5"),
            ("Box", "Passing", None, "6"),
            ("Box", "Secret", None, "new"),
            ("Box", "Kept", "Target", "7"),
            ("Box", "Nothing", None, "8"),
        ),
        "csms",
    )
    assert sorted(plan.rows) == [
        ("Box", "", 0, 0, "Kept", "", "Actual", "5", "csms"),
        ("Box", "", 0, 0, "Secret", "", "Actual", "new", "csms"),
    ]


@versions
def test_reboot_required(version: OcppVersion) -> None:
    """SetVariableStatusEnumType RebootRequired: set, and in effect later (B05.FR.10)."""
    cache = switch()
    plan = cache.plan(
        set_request(version, ("Box", "Kept", None, "5"), ("Box", "Passing", None, "6")), "csms"
    )
    plan.reboot(0)
    response, _, _ = applied(plan)
    assert [status(one) for one in response.set_variable_result] == ["RebootRequired", "Accepted"]
    assert value_of(cache, "Kept", where="Box") == "5"


@versions
def test_b05_fr_09_whoever_guards_a_variable_may_refuse(version: OcppVersion) -> None:
    cache = switch()
    cache.guard(0)
    cache.guard(2)
    plan = cache.plan(
        set_request(
            version,
            ("Box", "Passing", None, "6"),
            ("Box", "Kept", None, "5"),
            ("Box", "Kept", None, "no number"),
            ("Box", "Secret", None, "new"),
        ),
        "csms",
    )
    assert plan.guarded == [(1, 0, 0, "5"), (3, 2, 0, "new")], "only what would be accepted"
    plan.refuse(1, "TxInProgress", "not now")
    assert [row[4] for row in plan.rows] == ["Secret"], "what is refused is not stored"
    response, changes, _ = applied(plan)
    assert [status(one) for one in response.set_variable_result] == [
        "Accepted",
        "Rejected",
        "Rejected",
        "Accepted",
    ]
    refused = response.set_variable_result[1]
    assert (reason(refused), refused.attribute_status_info.additional_info) == (
        "TxInProgress",
        "not now",
    )
    assert value_of(cache, "Kept", where="Box") == "1"
    assert [change[0] for change in changes] == [1, 2]
    cache.guard(0, False)
    assert cache.plan(set_request(version, ("Box", "Kept", None, "5")), "csms").guarded == []


@versions
def test_b05_fr_09_a_failure_of_the_storage_rejects_what_it_should_have_kept(
    version: OcppVersion,
) -> None:
    """Technical problems: nothing has changed, and what was refused anyway keeps its reason."""
    cache = switch()
    plan = cache.plan(
        set_request(
            version,
            ("Box", "Kept", None, "5"),
            ("Box", "Nothing", None, "5"),
            ("None", "Nothing", None, "5"),
        ),
        "csms",
    )
    response: Any = plan.fail("InternalError", "disk full")
    assert [status(one) for one in response.set_variable_result] == [
        "Rejected",
        "UnknownVariable",
        "UnknownComponent",
    ]
    assert reason(response.set_variable_result[0]) == "InternalError"
    assert value_of(cache, "Kept", where="Box") == "1"
    assert cache.source(0) == "default"


@versions
def test_b05_fr_13_the_same_attribute_twice_ends_in_one_of_the_values(version: OcppVersion) -> None:
    """No CSMS may send it; the answer still has two elements, and memory and disk agree."""
    cache = switch()
    plan = cache.plan(
        set_request(version, ("Box", "Kept", None, "5"), ("box", "KEPT", "Actual", "6")), "csms"
    )
    stored = {row[4]: row[7] for row in plan.rows}
    response, _, _ = applied(plan)
    accepted = [
        text
        for text, one in zip(("5", "6"), response.set_variable_result, strict=True)
        if status(one) == "Accepted"
    ]
    assert value_of(cache, "Kept", where="Box") == stored["Kept"] == accepted[-1]


def test_a_copy_has_values_of_its_own() -> None:
    first = switch()
    second = first.copy()
    put(second, OcppVersion.V21, ("Box", "Kept", None, "9"))
    assert value_of(first, "Kept", where="Box") == "1"
    assert value_of(second, "Kept", where="Box") == "9"


def test_a_write_that_changes_nothing_says_so() -> None:
    cache = switch()
    cache.watch(0)
    assert cache.write(0, 0, "5", "internal") is not None
    assert cache.write(0, 0, "5", "internal") is None
    other = cache.write(0, 0, "5", "integrator")
    assert other is not None, "it has another source now, which has to be stored"
    assert (other[2:5], other[5] and other[5][7:]) == ((None, "5", False), ("5", "integrator"))
