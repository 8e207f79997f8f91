"""What a changed folder of component files does to what an earlier run has stored."""

from __future__ import annotations

from ocpp_fast.device_model.merge import component_key, merge, value_key
from ocpp_fast.storage import ComponentRow, ValueRow

STATION = {1: 2, 2: 1}


def row(name: str, definition: str = "{}", evse: int = 0, connector: int = 0) -> ComponentRow:
    return ComponentRow(name, "", evse, connector, definition)


def value(of: ComponentRow, variable: str = "V", text: str = "1") -> ValueRow:
    return (*of.key, variable, "", "Actual", text, "csms")


def test_a_first_start_stores_everything() -> None:
    defined = [row("A"), row("EVSE", evse=1)]
    plan = merge(defined, [], [], STATION)
    assert plan.store == defined
    assert not plan.remove
    assert not plan.keep
    assert not plan.values


def test_what_has_not_changed_is_not_stored_again() -> None:
    known = [row("A"), row("B")]
    assert merge(known, known, [], STATION).store == []


def test_what_is_new_or_different_is_stored() -> None:
    stored = [row("A"), row("B")]
    defined = [row("A"), row("B", "{1}"), row("C")]
    assert merge(defined, stored, [], STATION).store == [row("B", "{1}"), row("C")]


def test_another_spelling_is_the_same_component() -> None:
    plan = merge(
        [row("evse", evse=1)], [row("EVSE", evse=1)], [value(row("Evse", evse=1))], STATION
    )
    assert plan.store == [row("evse", evse=1)]
    assert plan.remove == []
    assert len(plan.values) == 1


def test_what_is_gone_and_holds_nothing_goes() -> None:
    gone = row("Old", evse=1)
    plan = merge([row("A")], [row("A"), gone], [value(row("A"))], STATION)
    assert plan.remove == [gone.key]
    assert plan.keep == []
    assert plan.values == [value(row("A"))]


def test_what_is_gone_but_holds_values_stays_with_them() -> None:
    gone = row("Old", evse=1)
    held = [value(gone, "V"), value(gone, "W")]
    plan = merge([row("A")], [row("A"), gone], held, STATION)
    assert plan.remove == []
    assert plan.keep == [gone]
    assert plan.values == held
    assert plan.held == {gone.key: held}


def test_what_belongs_to_an_evse_or_connector_that_is_gone_is_no_part_of_the_model() -> None:
    """An EVSE that the station does not have any more must not be reported."""
    there = [row("EVSE", evse=2), row("Connector", evse=1, connector=2)]
    gone = [
        row("EVSE", evse=3),
        row("Connector", evse=2, connector=2),
        row("Meter", evse=3, connector=1),
    ]
    plan = merge([], there + gone, [value(each) for each in there + gone], STATION)
    assert plan.keep == there
    assert plan.absent == gone
    assert plan.remove == []
    assert plan.values == [value(each) for each in there]


def test_values_of_no_component_are_left_to_be_judged() -> None:
    orphan = value(row("Nowhere"))
    assert merge([row("A")], [row("A")], [orphan], STATION).values == [orphan]


def test_only_ascii_letters_have_no_case() -> None:
    assert component_key(("Évse", "A", 1, 0)) == ("Évse", "a", 1, 0)
    assert component_key(("ÉVSE", "A", 1, 0)) != component_key(("évse", "A", 1, 0))
    assert value_key(value(row("A"), "Vé"))[4] == "vé"
    assert value_key(value(row("A"), "VÉ"))[4] == "vÉ"
