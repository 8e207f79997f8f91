"""Every status of GetVariables and SetVariables, for every data type, mutability and attribute.

The expectations come from Part 2 (B05, B06, VariableCharacteristicsType), not from the code;
`device_model.values` judges value texts a second time, in Python.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from device_model.asking import got, put, reason, status, value_of
from device_model.models import (
    ATTRIBUTES,
    DATA_TYPES,
    MUTABILITIES,
    VERSIONS,
    attribute,
    component,
    load,
    variable,
)
from device_model.values import FREE, Characteristics
from ocpp_fast._core import DeviceModelCache
from ocpp_fast.messages import OcppVersion

versions = pytest.mark.parametrize("version", VERSIONS)
data_types = pytest.mark.parametrize("data_type", DATA_TYPES)
mutabilities = pytest.mark.parametrize("mutability", MUTABILITIES)

GOOD: Final = {
    "string": "text",
    "decimal": "2.5",
    "integer": "25",
    "dateTime": "2026-11-21T09:30:00Z",
    "boolean": "true",
    "OptionList": "two",
    "SequenceList": "two,one",
    "MemberList": "three,one",
}
BAD: Final = {
    "string": None,
    "decimal": "2,5",
    "integer": "2.5",
    "dateTime": "2026-11-21",
    "boolean": "True",
    "OptionList": "four",
    "SequenceList": "one,four",
    "MemberList": "four",
}
"""Not of the type. Every text is a string."""
REQUESTED: Final = (None, *ATTRIBUTES)


def free(data_type: str) -> dict[str, Any]:
    return FREE.get(data_type, Characteristics(data_type)).members()


def model(data_type: str, mutability: str, **more: Any) -> DeviceModelCache:
    """`All` has every attribute, `Only` just Actual; nothing has a value."""
    return load(
        component(
            "Table",
            variable(
                "All",
                data_type,
                *(attribute(kind, mutability, **more) for kind in ATTRIBUTES),
                **free(data_type),
            ),
            variable("Only", data_type, attribute("Actual", mutability), **free(data_type)),
        )
    )


@versions
@data_types
@mutabilities
def test_b06_fr_06_07_08_09_10_13_every_get(
    version: OcppVersion, data_type: str, mutability: str
) -> None:
    """B06.FR.06, B06.FR.07, B06.FR.08, B06.FR.09, B06.FR.10, B06.FR.13; TC_B_32 to TC_B_34."""
    cache = model(data_type, mutability)
    good = GOOD[data_type]
    for is_set in (False, True):
        for asked in REQUESTED:
            kind = asked or "Actual"
            number = cache.find("Table", None, None, None, "All", None)
            if is_set:
                cache.write(number, ATTRIBUTES.index(kind), good, "internal")
            (every, only, no_variable, no_component) = got(
                cache,
                version,
                ("Table", "All", asked),
                ("Table", "Only", asked),
                ("Table", "None", asked),
                ("None", "All", asked),
            )
            shown = good if is_set else ""
            if mutability == "WriteOnly":
                assert (status(every), every.attribute_value) == ("Rejected", None)
                assert reason(every) in {None, "WriteOnly"}
            else:
                assert (status(every), every.attribute_value) == ("Accepted", shown)
                assert reason(every) in {None, "NoError"}
            if kind != "Actual":
                assert status(only) == "NotSupportedAttributeType"
                assert only.attribute_value is None
            else:
                assert status(only) == ("Rejected" if mutability == "WriteOnly" else "Accepted")
            assert (status(no_variable), no_variable.attribute_value) == ("UnknownVariable", None)
            assert (status(no_component), no_component.attribute_value) == (
                "UnknownComponent",
                None,
            )


@versions
@data_types
@mutabilities
def test_b05_fr_04_05_06_07_09_10_every_set(
    version: OcppVersion, data_type: str, mutability: str
) -> None:
    """B05.FR.04, B05.FR.05, B05.FR.06, B05.FR.07, B05.FR.09, B05.FR.10; TC_B_35, TC_B_36, TC_B_37,
    TC_B_39."""
    good, bad = GOOD[data_type], BAD[data_type]
    for asked in REQUESTED:
        kind = asked or "Actual"
        cache = model(data_type, mutability)
        every, only, no_variable, no_component = put(
            cache,
            version,
            ("Table", "All", asked, good),
            ("Table", "Only", asked, good),
            ("Table", "None", asked, good),
            ("None", "All", asked, good),
        )
        accepted = mutability != "ReadOnly"
        assert status(every) == ("Accepted" if accepted else "Rejected")
        assert reason(every) in ({None, "NoError"} if accepted else {None, "ReadOnly"})
        assert value_of(cache, "All", kind) == (good if accepted else None)
        if kind != "Actual":
            assert status(only) == "NotSupportedAttributeType"
        else:
            assert status(only) == status(every)
        assert status(no_variable) == "UnknownVariable"
        assert status(no_component) == "UnknownComponent"
        if bad is None:
            continue
        (refused,) = put(cache, version, ("Table", "All", asked, bad))
        assert status(refused) == "Rejected"
        assert reason(refused) in ({None, "InvalidValue"} if accepted else {None, "ReadOnly"})
        assert value_of(cache, "All", kind) == (good if accepted else None)


@versions
@data_types
@pytest.mark.parametrize("mutability", ["ReadWrite", "WriteOnly", "ReadOnly"])
def test_b05_fr_09_a_constant_is_not_set(
    version: OcppVersion, data_type: str, mutability: str
) -> None:
    cache = load(
        component(
            "Table",
            variable(
                "All",
                data_type,
                *(attribute(k, mutability, GOOD[data_type], constant=True) for k in ATTRIBUTES),
                **free(data_type),
            ),
        )
    )
    other = {"string": "other", "boolean": "false", "OptionList": "one"}.get(
        data_type, GOOD[data_type]
    )
    for asked in REQUESTED:
        (refused,) = put(cache, version, ("Table", "All", asked, other))
        assert status(refused) == "Rejected"
        assert value_of(cache, "All", asked) == GOOD[data_type]


def test_mutability_is_that_of_the_attribute_asked_for() -> None:
    """B05.FR.09, B06.FR.09: a fan whose speed is read and whose target is written."""
    cache = load(
        component(
            "Fan",
            variable(
                "Speed",
                "integer",
                attribute("Actual", "ReadOnly", "300"),
                attribute("Target", "WriteOnly", "310"),
                attribute("MinSet", "ReadWrite", "200"),
            ),
        )
    )
    found = got(cache, OcppVersion.V21, *(("Fan", "Speed", kind) for kind in ATTRIBUTES))
    assert [status(one) for one in found] == [
        "Accepted",
        "Rejected",
        "Accepted",
        "NotSupportedAttributeType",
    ]
    done = put(cache, OcppVersion.V21, *(("Fan", "Speed", kind, "320") for kind in ATTRIBUTES))
    assert [status(one) for one in done] == [
        "Rejected",
        "Accepted",
        "Accepted",
        "NotSupportedAttributeType",
    ]
