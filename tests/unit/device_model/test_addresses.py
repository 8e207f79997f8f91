"""Which variable a request means, and that the answer names it in the same words."""

from __future__ import annotations

from typing import Any, Final

import pytest

from device_model.asking import got, put, status
from device_model.models import (
    ATTRIBUTES,
    VERSIONS,
    attribute,
    component,
    get_request,
    load,
    set_request,
    variable,
)
from ocpp_fast.messages import OcppVersion

versions = pytest.mark.parametrize("version", VERSIONS)


REQUESTED: Final = (None, *ATTRIBUTES)


@versions
def test_b05_fr_01_02_03_12_b06_fr_01_02_03_11_each_element_has_its_answer(
    version: OcppVersion,
) -> None:
    """B05.FR.01, B05.FR.02, B05.FR.03, B05.FR.12, B06.FR.01, B06.FR.02, B06.FR.03, B06.FR.04,
    B06.FR.11; TC_B_06, TC_B_07, TC_B_09, TC_B_10. The spelling is that of the request."""
    cache = load(
        component(
            "Mixed", variable("Case", "string", attribute(value="x"), instance="In"), instance="One"
        ),
        component("EVSE", variable("Power", "decimal", attribute(value="1")), evse=1),
        component("Connector", variable("It"), evse=1, connector=1),
    )
    places: list[tuple[Any, Any]] = [
        ({"name": "mIXED", "instance": "oNE"}, {"name": "cASE", "instance": "iN"}),
        ({"name": "EVSE", "evse": {"id": 1}}, {"name": "POWER"}),
        ({"name": "connector", "evse": {"id": 1, "connectorId": 1}}, "it"),
        ({"name": "EVSE", "evse": {"id": 9}}, "Power"),
        ("Nothing", {"name": "x", "instance": "y"}),
    ]
    for asked in REQUESTED:
        request: Any = get_request(version, *((w, v, asked) for w, v in places))
        response: Any = cache.get_variables(request)
        _matches(response.get_variable_result, request.get_variable_data, asked)
        request = set_request(version, *((w, v, asked, "1") for w, v in places))
        response, _, _ = cache.plan(request, "csms").apply()
        _matches(response.set_variable_result, request.set_variable_data, asked)


def _matches(results: Any, data: Any, asked: str | None) -> None:
    assert len(results) == len(data)
    for result, wanted in zip(results, data, strict=True):
        assert result.component == wanted.component
        assert result.variable == wanted.variable
        assert result.component.name == wanted.component.name, "in the very spelling"
        assert result.attribute_type == (asked or "Actual")


@versions
def test_names_and_instances_are_case_insensitive(version: OcppVersion) -> None:
    """identifierString; the model keeps its own spelling."""
    cache = load(
        component(
            "TariffCostCtrlr",
            variable("Enabled", "boolean", attribute(value="true"), instance="Tariff"),
            instance="Main",
        )
    )
    for name, instance, variable_name, variable_instance in (
        ("TariffCostCtrlr", "Main", "Enabled", "Tariff"),
        ("tariffcostctrlr", "main", "enabled", "tariff"),
        ("TARIFFCOSTCTRLR", "MAIN", "ENABLED", "TARIFF"),
    ):
        where = {"name": name, "instance": instance}
        which = {"name": variable_name, "instance": variable_instance}
        (found,) = got(cache, version, (where, which, None))
        assert (status(found), found.attribute_value) == ("Accepted", "true")
        assert cache.find(name, instance, None, None, variable_name, variable_instance) == 0
    assert cache.describe(0)[:6] == ("TariffCostCtrlr", "Main", None, None, "Enabled", "Tariff")


INSTANCES: Final = (
    component("Plain", variable("Plain", value := "string", attribute(value="pp"))),
    component(
        "Plain",
        variable("Plain", value, attribute(value="ip")),
        variable("Plain", value, attribute(value="ii"), instance="A"),
        instance="A",
    ),
    component("Named", variable("Plain", value, attribute(value="np")), instance="A"),
    component("Named", variable("Plain", value, attribute(value="nb")), instance="B"),
    component("Only", variable("Named", value, attribute(value="on"), instance="A")),
)


@versions
@pytest.mark.parametrize(
    ("where", "instance", "which", "variable_instance", "expected"),
    [
        ("Plain", None, "Plain", None, "pp"),
        ("Plain", "", "Plain", "", "pp"),
        ("Plain", "A", "Plain", None, "ip"),
        ("Plain", "A", "Plain", "A", "ii"),
        ("Plain", "A", "Plain", "", "ip"),
        ("Plain", "B", "Plain", None, "UnknownComponent"),
        ("Plain", None, "Plain", "A", "UnknownVariable"),
        ("Named", "A", "Plain", None, "np"),
        ("Named", "B", "Plain", None, "nb"),
        ("Named", None, "Plain", None, "UnknownComponent"),
        ("Named", "", "Plain", None, "UnknownComponent"),
        ("Only", None, "Named", "A", "on"),
        ("Only", None, "Named", None, "UnknownVariable"),
        ("Only", None, "Named", "", "UnknownVariable"),
        ("Only", None, "Named", "B", "UnknownVariable"),
    ],
)
def test_b06_fr_14_15_instances(
    version: OcppVersion,
    where: str,
    instance: str | None,
    which: str,
    variable_instance: str | None,
    expected: str,
) -> None:
    """B06.FR.14, B06.FR.15: an instance is meant exactly, and no instance means the one without."""
    cache = load(*INSTANCES)
    place = {"name": where} if instance is None else {"name": where, "instance": instance}
    named = {"name": which}
    if variable_instance is not None:
        named["instance"] = variable_instance
    (found,) = got(cache, version, (place, named, None))
    (done,) = put(cache, version, (place, named, None, "new"))
    if expected.startswith("Unknown"):
        assert (status(found), found.attribute_value) == (expected, None)
        assert status(done) == expected
    else:
        assert (status(found), found.attribute_value) == ("Accepted", expected)
        assert status(done) == "Accepted"
        (again,) = got(cache, version, (place, named, None))
        assert again.attribute_value == "new"
    assert found.component.instance == instance
    assert found.variable.instance == variable_instance


@versions
def test_b06_fr_06_a_component_is_known_at_its_own_place_only(version: OcppVersion) -> None:
    cache = load(
        component("EVSE", variable("It"), evse=1),
        component("EVSE", variable("It"), evse=2),
        component("Connector", variable("It"), evse=1, connector=1),
        component("Connector", variable("It"), evse=2, connector=1),
        component("Station", variable("It")),
    )
    table: list[tuple[Any, str]] = [
        ({"name": "EVSE", "evse": {"id": 1}}, "Accepted"),
        ({"name": "EVSE", "evse": {"id": 2}}, "Accepted"),
        ({"name": "EVSE", "evse": {"id": 3}}, "UnknownComponent"),
        ("EVSE", "UnknownComponent"),
        ({"name": "EVSE", "evse": {"id": 1, "connectorId": 1}}, "UnknownComponent"),
        ({"name": "Connector", "evse": {"id": 1, "connectorId": 1}}, "Accepted"),
        ({"name": "Connector", "evse": {"id": 1, "connectorId": 2}}, "UnknownComponent"),
        ({"name": "Connector", "evse": {"id": 1}}, "UnknownComponent"),
        ("Connector", "UnknownComponent"),
        ("Station", "Accepted"),
        ({"name": "Station", "evse": {"id": 1}}, "UnknownComponent"),
        ({"name": "EVSE", "evse": {"id": 2**31 - 1}}, "UnknownComponent"),
    ]
    found = got(cache, version, *((where, "It", None) for where, _ in table))
    assert [(w, status(one)) for (w, _), one in zip(table, found, strict=True)] == table


def test_numbers_of_no_variable_are_refused() -> None:
    """What `find` gives for the unknown is no number to go on with."""
    cache = load(component("Table", variable("It")))
    unknown = cache.find("Nothing", None, None, None, "It", None)
    assert (unknown, cache.find("Table", None, None, None, "Nothing", None)) == (-1, -2)
    for number in (unknown, -2, cache.variable_count, 2**40):
        for ask in (cache.value, cache.source, cache.describe, cache.value_for_peer, cache.watch):
            with pytest.raises(ValueError, match=r"."):
                ask(number)
        with pytest.raises(ValueError, match=r"."):
            cache.write(number, 0, "x", "internal")
