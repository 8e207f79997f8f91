"""Which values SetVariables takes: formats, ranges, lists, and Target within MinSet and MaxSet."""

from __future__ import annotations

from typing import Any, Final

import pytest

from device_model.asking import applied, got, put, reason, status, value_of
from device_model.models import (
    ATTRIBUTES,
    VERSIONS,
    attribute,
    component,
    load,
    set_request,
    variable,
)
from device_model.values import FREE, Characteristics
from ocpp_fast.messages import OcppVersion

versions = pytest.mark.parametrize("version", VERSIONS)


NUMBERS: Final = (
    *("0", "-0.5", "1", "-1", "7", "10", "11", "-3", "10.0", "10.1", "7.25", "1234", "-1234"),
    *("01", "+1", "-01", "00", " 1", "1 ", "1,5", ".5", "5.", "-", "", "abc", "0x10", "1_000"),
    *("true", "null", "NaN", "nan", "inf", "Infinity", "-inf", "1e999", "٣", "१", "1.2.3", "--1"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "1" + "0" * 400),
)
TIMES: Final = (
    *("2026-11-21T09:30:00Z", "2026-11-21T09:30:00.5Z", "2026-11-21T09:30:00.123Z"),
    *("2026-11-21T09:30:00+01:00", "2026-11-21T09:30:00-12:30", "2024-02-29T00:00:00Z"),
    *("2026-11-21", "09:30:00Z", "2026-11-21T09:30:00", "2026-11-21 09:30", "2026-13-01T00:00:00Z"),
    *("2026-02-29T00:00:00Z", "2026-11-21T24:30:00Z", "2026-11-21T09:61:00Z", "abc", "", "1"),
    *("2026-11-21T09:30:00+25:00", "20261121T093000Z", "2026-11-21T09:30Z", "true"),
)
BOOLEANS: Final = ("true", "false", "True", "FALSE", "1", "0", "yes", "", " true", "true ", "null")
TEXTS: Final = ("", "a", "abc", "abcd", "abcde", "abcdef", "ünïç", "ünïçö", "ünïçöd", "日本語字典")
LISTED: Final = (
    *("", "one", "two", "one,two", "two,one", "one,two,three", "three,two,one"),
    *("four", "one,four", "One", "one,one", "one,", ",one", "one,,two", ",", "one;two", "onetwo"),
)
JUDGED: Final = [
    *((Characteristics(kind), text) for kind in ("integer", "decimal") for text in NUMBERS),
    *(
        (Characteristics(kind, low, high), text)
        for kind in ("integer", "decimal")
        for low, high in ((-3, 10), (None, 7), (7, None), (0, 0))
        for text in NUMBERS
    ),
    *((Characteristics("decimal", -0.5, 7.25), text) for text in NUMBERS),
    *((Characteristics("dateTime"), text) for text in TIMES),
    *((Characteristics("boolean"), text) for text in BOOLEANS),
    *(
        (Characteristics("string", low, high), text)
        for low, high in ((None, 5), (2, None), (2, 5))
        for text in TEXTS
    ),
    *((FREE[kind], text) for kind in FREE for text in LISTED),
    *((Characteristics(kind, None, 7, "one,two,three"), text) for kind in FREE for text in LISTED),
    *(
        (Characteristics(kind, None, None, "one,two,three", most), text)
        for kind in ("SequenceList", "MemberList")
        for most in (1, 2)
        for text in LISTED
    ),
    *(
        (Characteristics(kind, None, None, "one, two ,three"), text)
        for kind in FREE
        for text in ("one", "two", "three")
    ),
]


def name_of(case: Any) -> str:
    found, text = case
    return f"{found.data_type}-{found.min_limit}-{found.max_limit}-{found.max_elements}-{text[:24]}"


@pytest.mark.parametrize("case", JUDGED, ids=name_of)
def test_b05_fr_07_08_10_values_are_judged_as_the_specification_says(case: Any) -> None:
    """B05.FR.07 format, B05.FR.08 range, B05.FR.10; TC_B_11. Both versions answer alike."""
    found, text = case
    for version in VERSIONS:
        cache = load(component("Table", variable("It", found.data_type, **found.members())))
        (result,) = put(cache, version, ("Table", "It", None, text))
        expected = "Accepted" if found.allows(text) else "Rejected"
        assert status(result) == expected, (found, text, reason(result))
        assert value_of(cache, "It") == (text if expected == "Accepted" else None)


@pytest.mark.parametrize(
    ("limits", "text", "reasons"),
    [
        ((0, 10), "11", {"ValueOutOfRange", "ValueTooHigh"}),
        ((0, 10), "-1", {"ValueOutOfRange", "ValueTooLow", "ValuePositiveOnly"}),
        ((0, 10), "abc", {"InvalidValue"}),
    ],
)
def test_b05_fr_07_08_the_reason_is_one_of_the_appendix(
    limits: tuple[int, int], text: str, reasons: set[str]
) -> None:
    low, high = limits
    cache = load(component("Table", variable("It", "integer", minLimit=low, maxLimit=high)))
    (result,) = put(cache, OcppVersion.V21, ("Table", "It", None, text))
    assert reason(result) in {None, *reasons}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("0", "Accepted"), ("5", "Accepted"), ("86400", "Accepted")),
        *(("4", "Rejected"), ("-1", "Rejected"), ("86401", "Rejected")),
        *(("0.0", "Rejected"), ("00", "Rejected"), ("0e5", "Rejected"), ("-0.0", "Rejected")),
        *((" 0", "Rejected"), ("", "Rejected"), ("+0", "Rejected")),
    ],
)
def test_b05_fr_07_08_an_interval_of_0_is_off(text: str, expected: str) -> None:
    """B05.FR.07, B05.FR.08: 0 may lie under the minimum of these intervals, and of no others."""
    for where, which, is_off in (
        ("AlignedDataCtrlr", "Interval", True),
        ("AlignedDataCtrlr", "TxEndedInterval", True),
        ("SampledDataCtrlr", "TxUpdatedInterval", True),
        ("SampledDataCtrlr", "TxEndedInterval", True),
        ("OCPPCommCtrlr", "Interval", False),
        ("AlignedDataCtrlr", "Other", False),
    ):
        one = variable(which, "integer", minLimit=5, maxLimit=86_400)
        cache = load(component(where, one))
        (result,) = put(cache, OcppVersion.V21, (where, which, None, text))
        found = "Rejected" if text == "0" and not is_off else expected
        assert (where, which, status(result)) == (where, which, found)


def test_a_list_without_values_takes_any_text() -> None:
    for kind in FREE:
        cache = load(component("Table", variable("It", kind)))
        (result,) = put(cache, OcppVersion.V21, ("Table", "It", None, "whatever"))
        assert status(result) == "Accepted"


@versions
def test_a_value_of_the_greatest_length_is_kept(version: OcppVersion) -> None:
    """SetVariableDataType.attributeValue: 1000 characters in 2.0.1, 2500 in 2.1."""
    longest = 1_000 if version is OcppVersion.V201 else 2_500
    text = "ü" * longest
    cache = load(component("Table", variable("It")))
    (result,) = put(cache, version, ("Table", "It", None, text))
    assert status(result) == "Accepted"
    (found,) = got(cache, version, ("Table", "It", None))
    assert found.attribute_value == text


def test_part_1_section_3_3_an_internal_write_may_lie_outside_the_limits() -> None:
    """The speed of a fan is reported as measured; what is no number is refused all the same."""
    limits = Characteristics("integer", 0, 1000)
    cache = load(
        component(
            "Fan", variable("Speed", "integer", attribute("Actual", "ReadOnly"), **limits.members())
        )
    )
    number = cache.find("Fan", None, None, None, "Speed", None)
    for text in NUMBERS:
        before = cache.value(number)
        if limits.allows(text, within_limits=False):
            cache.write(number, 0, text, "internal")
            assert cache.value(number) == text
        else:
            with pytest.raises(ValueError, match=r"."):
                cache.write(number, 0, text, "internal")
            assert cache.value(number) == before


@versions
@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("199", "Rejected"),
        ("200", "Accepted"),
        ("350", "Accepted"),
        ("500", "Accepted"),
        ("501", "Rejected"),
        ("1001", "Rejected"),
        ("-1", "Rejected"),
    ],
)
def test_part_1_section_3_3_target_stays_within_min_set_and_max_set(
    version: OcppVersion, target: str, expected: str
) -> None:
    """B05.FR.08: a fan that can do 0 to 1000 and is set to stay within 200 and 500."""
    cache = load(
        component(
            "Fan",
            variable(
                "Speed",
                "integer",
                attribute("Actual", "ReadOnly", "300"),
                attribute("Target", "ReadWrite"),
                attribute("MinSet", "ReadWrite", "200"),
                attribute("MaxSet", "ReadWrite", "500"),
                minLimit=0,
                maxLimit=1000,
            ),
        )
    )
    (result,) = put(cache, version, ("Fan", "Speed", "Target", target))
    assert status(result) == expected
    assert value_of(cache, "Speed", "Target", "Fan") == (target if expected == "Accepted" else None)


@versions
def test_part_1_section_3_3_bounds_that_were_set_later_count(version: OcppVersion) -> None:
    cache = load(
        component(
            "Fan",
            variable(
                "Speed",
                "decimal",
                attribute("Actual", "ReadOnly", "300"),
                *(attribute(kind, "ReadWrite") for kind in ATTRIBUTES[1:]),
                minLimit=0,
                maxLimit=1000,
            ),
        )
    )
    speed = ("Fan", "Speed")
    (free_to_go,) = put(cache, version, (*speed, "Target", "999"))
    assert status(free_to_go) == "Accepted", "nothing is set yet"
    for kind, text, expected in (
        ("MaxSet", "1000.5", "Rejected"),
        ("MinSet", "-0.5", "Rejected"),
        ("MaxSet", "500", "Accepted"),
        ("MinSet", "200", "Accepted"),
        ("Target", "500.5", "Rejected"),
        ("Target", "199.5", "Rejected"),
        ("Target", "200.5", "Accepted"),
    ):
        (result,) = put(cache, version, (*speed, kind, text))
        assert (kind, text, status(result)) == (kind, text, expected)


@versions
def test_a_bound_that_is_refused_does_not_count(version: OcppVersion) -> None:
    """Bounds and Target in one request: Target goes by the bounds that are in force afterwards."""
    bounds = {"MinSet": "200", "MaxSet": "500"}
    fan = component(
        "Fan",
        variable(
            "Speed",
            "integer",
            attribute("Actual", "ReadOnly", "300"),
            attribute("Target", "ReadWrite", "300"),
            *(attribute(kind, "ReadWrite", value) for kind, value in bounds.items()),
        ),
    )
    for is_refused in (True, False):
        cache = load(fan)
        number = cache.find("Fan", None, None, None, "Speed", None)
        cache.guard(number)
        wanted = [
            ("Fan", "Speed", kind, text) for kind, text in (("MaxSet", "900"), ("Target", "800"))
        ]
        plan = cache.plan(set_request(version, *wanted), "csms")
        if is_refused:
            plan.refuse(0, "TxInProgress", "")
        response, _, _ = applied(plan)
        statuses = [status(one) for one in response.set_variable_result]
        assert statuses == (["Rejected", "Rejected"] if is_refused else ["Accepted", "Accepted"])
        target = int(cache.value(number, 1) or "0")
        assert target <= int(cache.value(number, 3) or "0")


def test_a_constant_that_a_program_sets_is_not_stored() -> None:
    """The component files say at each start what it is; a stored value could not be taken up."""
    answer = attribute("Actual", "ReadOnly", "42", constant=True, persistent=True)
    cache = load(component("Fan", variable("Answer", "integer", answer)))
    number = cache.find("Fan", None, None, None, "Answer", None)
    cache.watch(number)
    change = cache.write(number, 0, "43", "internal")
    assert change is not None
    assert change[5] is None
