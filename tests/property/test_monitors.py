"""Monitors against plain Python: any sequence of settings, writes, transactions, pauses (N07)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_model.models import (
    ATTRIBUTES,
    MONITORS,
    attribute,
    component,
    load,
    set_request,
    variable,
)
from device_model.oracle import Event, Monitor, MonitorOracle
from ocpp_fast._core import DeviceModelCache
from ocpp_fast.messages import OcppVersion

ACTUAL, TARGET = 0, 1
SECRET: Final = "hush"


@dataclass(frozen=True)
class Watched:
    """One variable that can be monitored, and what it is set to."""

    component: str
    evse: int
    variable: str
    data_type: str
    values: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        if self.data_type in {"integer", "decimal"}:
            return (*MONITORS[:3], *MONITORS[5:])
        return ("Delta",)


NUMBERS: Final = tuple(str(number) for number in range(-6, 14))
HALVES: Final = tuple(str(number / 2) for number in range(-6, 14))
WATCHED: Final = (
    Watched("Meter", 0, "Level", "integer", NUMBERS),
    Watched("EVSE", 1, "Power", "decimal", HALVES),
    Watched("EVSE", 2, "Mode", "OptionList", ("one", "two", "three")),
    Watched("Safe", 0, "Code", "string", (f"{SECRET}1", f"{SECRET}2", f"{SECRET}3")),
)


def model() -> DeviceModelCache:
    """Every numeric variable with Target, `Safe.Code` WriteOnly; variable n is `WATCHED[n]`."""
    contents: list[Any] = []
    for one in WATCHED:
        secret = one.component == "Safe"
        kinds = ATTRIBUTES[:2] if one.data_type in {"integer", "decimal"} else ATTRIBUTES[:1]
        limits: dict[str, Any] = (
            {"valuesList": "one,two,three"} if one.data_type == "OptionList" else {}
        )
        start = one.values[0] if one.data_type == "OptionList" or secret else "0"
        mutability = "WriteOnly" if secret else "ReadWrite"
        contents.append(
            component(
                one.component,
                variable(
                    one.variable,
                    one.data_type,
                    *(attribute(kind, mutability, start, persistent=False) for kind in kinds),
                    **limits,
                ),
                evse=one.evse or None,
            )
        )
    return load(*contents)


class Run:
    """The cache and the oracle, side by side."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.cache = model()
        self.numbers = [
            self.cache.find(one.component, None, one.evse or None, None, one.variable, None)
            for one in WATCHED
        ]
        self.texts = {
            (number, kind): self.cache.value(self.numbers[number], kind)
            for number, one in enumerate(WATCHED)
            for kind in (ACTUAL, TARGET)
            if kind == ACTUAL or one.data_type in {"integer", "decimal"}
        }
        self.oracle = MonitorOracle(
            actual=lambda number: self.texts[number, ACTUAL] or "",
            target=lambda number: self.texts.get((number, TARGET)),
            data_type=lambda number: WATCHED[number].data_type,
            evse=lambda number: WATCHED[number].evse,
            secret=lambda number: WATCHED[number].component == "Safe",
        )

    def compare(self, events: list[Any], expected: list[Event]) -> None:
        """The same events of the same monitors; in which order, only the monitor's own counts."""
        found = [*events, *self.cache.take_events()]
        wanted = [(i, self.numbers[v], text, cleared) for i, v, text, cleared in expected]
        assert sorted(found) == sorted(wanted)
        for identity in {event[0] for event in found}:
            mine = [event for event in found if event[0] == identity]
            assert mine == [event for event in wanted if event[0] == identity]

    # --- steps ----------------------------------------------------------------------------

    def put(self) -> None:
        draw = self.data.draw
        identity = draw(st.integers(1, 6))
        old = self.oracle.monitors.get(identity)
        number = draw(st.integers(0, len(WATCHED) - 1)) if old is None else old.variable
        kind = draw(st.sampled_from(WATCHED[number].kinds)) if old is None else old.kind
        monitor = Monitor(
            identity,
            number,
            kind,
            draw(st.integers(0 if kind == "Delta" else -4, 8)) / 2,
            draw(st.integers(0, 9)),
            draw(st.booleans()) if old is None else old.transaction,
        )
        if kind.startswith("Target"):
            monitor.value = abs(monitor.value)
        expected = self.oracle.put(monitor)
        events = self.cache.set_monitor(
            identity,
            self.numbers[number],
            MONITORS.index(kind),
            monitor.value,
            monitor.severity,
            monitor.transaction,
        )
        self.compare(events, expected)

    def remove(self) -> None:
        identity = self.data.draw(st.integers(1, 6))
        is_there = self.oracle.monitors.pop(identity, None) is not None
        assert self.cache.clear_monitor(identity) == is_there
        self.compare([], [])  # N07.FR.12

    def write(self) -> None:
        number, kind, text = self._value()
        self.cache.write(self.numbers[number], kind, text, "internal")
        self.compare([], self._written(number, kind, text))

    def write_twice(self) -> None:
        """Events wait; that of the first value is not lost."""
        expected: list[Event] = []
        for _ in range(2):
            number, kind, text = self._value()
            self.cache.write(self.numbers[number], kind, text, "internal")
            expected += self._written(number, kind, text)
        self.compare([], expected)

    def set(self) -> None:
        number, kind, text = self._value()
        one = WATCHED[number]
        where = {"name": one.component}
        place: dict[str, Any] = {**where, "evse": {"id": one.evse}} if one.evse else {**where}
        request = set_request(OcppVersion.V21, (place, one.variable, ATTRIBUTES[kind], text))
        response: Any
        response, _, events = self.cache.plan(request, "csms").apply()
        assert response.set_variable_result[0].attribute_status == "Accepted"
        self.compare(events, self._written(number, kind, text))

    def _value(self) -> tuple[int, int, str]:
        number, kind = self.data.draw(st.sampled_from(sorted(self.texts)))
        return number, kind, self.data.draw(st.sampled_from(WATCHED[number].values))

    def _written(self, number: int, kind: int, text: str) -> list[Event]:
        if self.texts[number, kind] == text:
            return []
        self.texts[number, kind] = text
        return self.oracle.written(number)

    def transaction(self) -> None:
        evse, active = self.data.draw(st.integers(1, 2)), self.data.draw(st.booleans())
        expected = self.oracle.transaction(evse, active=active)
        self.compare(self.cache.set_transaction(evse, active), expected)

    def suspend(self) -> None:
        above = self.data.draw(st.integers(-1, 9))
        expected = self.oracle.suspend(above)
        self.compare(list(self.cache.suspend(above) or []), expected)

    def resume(self) -> None:
        expected = self.oracle.suspend(9)
        self.compare(self.cache.resume(), expected)


STEPS: Final = (
    *("put", "put", "remove", "write", "write", "write", "write_twice", "set"),
    *("transaction", "suspend", "resume"),
)


@settings(max_examples=250)
@given(data=st.data())
def test_n07_events_against_an_oracle(data: st.DataObject) -> None:
    """N07.FR.02, N07.FR.10, N07.FR.11, N07.FR.12, N07.FR.16 to N07.FR.19, N07.FR.22, N07.FR.23."""
    run = Run(data)
    for step in data.draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=30)):
        getattr(run, step)()


# --- the same, word by word ---------------------------------------------------------------

LEVEL, POWER, MODE, CODE = (
    model().find(one.component, None, one.evse or None, None, one.variable, None) for one in WATCHED
)
MONITOR: Final = {name: number for number, name in enumerate(MONITORS)}


class Desk:
    """One monitor after the other, by hand."""

    def __init__(self) -> None:
        self.cache = model()

    def monitor(
        self, kind: str, value: float, *, of: int = LEVEL, identity: int = 1, **more: Any
    ) -> list[Any]:
        return self.cache.set_monitor(
            identity,
            of,
            MONITOR[kind],
            value,
            more.get("severity", 5),
            more.get("transaction", False),
            more.get("triggered", False),
        )

    def write(self, *texts: str, of: int = LEVEL, kind: int = ACTUAL) -> list[tuple[str, bool]]:
        for text in texts:
            self.cache.write(of, kind, text, "internal")
        return [(text, cleared) for _, _, text, cleared in self.cache.take_events()]


@pytest.mark.parametrize(
    ("kind", "quiet", "loud"), [("UpperThreshold", "7", "8"), ("LowerThreshold", "7", "6")]
)
def test_n07_fr_02_16_17_thresholds_fire_when_crossed_not_when_met(
    kind: str, quiet: str, loud: str
) -> None:
    """N07.FR.02, N07.FR.16, N07.FR.17."""
    desk = Desk()
    desk.write("7")
    assert desk.monitor(kind, 7) == []
    assert desk.write(quiet) == []
    assert desk.write(loud) == [(loud, False)]
    further = "9" if loud == "8" else "5"
    assert desk.write(further, loud) == [], "still on the other side"
    assert desk.write(quiet) == [(quiet, True)], "back on the threshold is back within it"
    assert desk.write(loud, quiet) == [(loud, False), (quiet, True)]


def test_n07_fr_16_a_new_monitor_fires_if_the_value_is_beyond_already() -> None:
    desk = Desk()
    desk.write("9")
    assert desk.monitor("UpperThreshold", 7) == [(1, LEVEL, "9", False)]
    assert desk.monitor("LowerThreshold", 7, identity=2) == []


def test_n07_fr_11_a_changed_threshold_is_looked_at_anew() -> None:
    """TC_N_51: told again when it is beyond the new one, cleared when it is not any more."""
    desk = Desk()
    desk.write("9")
    assert desk.monitor("UpperThreshold", 11) == []
    assert desk.monitor("UpperThreshold", 7) == [(1, LEVEL, "9", False)]
    assert desk.monitor("UpperThreshold", 8) == [(1, LEVEL, "9", False)], "beyond the new one"
    assert desk.monitor("UpperThreshold", 12) == [(1, LEVEL, "9", True)]
    assert desk.monitor("UpperThreshold", 13) == []


def test_n07_fr_12_a_removed_monitor_says_nothing() -> None:
    """TC_N_52."""
    desk = Desk()
    desk.monitor("UpperThreshold", 7)
    assert desk.write("9") == [("9", False)]
    assert desk.cache.clear_monitor(1) is True
    assert desk.write("1") == []
    assert desk.cache.clear_monitor(1) is False


def test_n07_fr_14_what_returned_during_a_reboot_is_cleared_at_start() -> None:
    desk = Desk()
    desk.write("3")
    assert desk.monitor("UpperThreshold", 7, triggered=True) == [(1, LEVEL, "3", True)]
    desk.write("9")
    assert desk.monitor("UpperThreshold", 7, identity=2, triggered=True) == [], "known already"
    assert desk.write("3") == [("3", True), ("3", True)]


def test_n07_fr_18_a_delta_counts_from_the_last_notice() -> None:
    """N07.FR.18, TC_N_61_CS: more than the value, since it was set or last told."""
    desk = Desk()
    desk.write("2")
    assert desk.monitor("Delta", 3) == []
    assert desk.write("5") == [], "changed by no more than 3"
    assert desk.write("6") == [("6", False)]
    assert desk.write("9", "3") == [], "counted from 6"
    assert desk.write("2") == [("2", False)]
    assert desk.write("4", "5") == []


def test_n07_fr_18_a_delta_of_0_tells_every_change() -> None:
    desk = Desk()
    desk.monitor("Delta", 0)
    assert desk.write("1", "1", "2") == [("1", False), ("2", False)]


def test_n07_fr_19_any_change_of_what_is_no_number() -> None:
    """N07.FR.19, TC_N_56: whatever the value of the monitor."""
    desk = Desk()
    desk.monitor("Delta", 1_000, of=MODE)
    assert desk.write("two", "two", "one", of=MODE) == [("two", False), ("one", False)]


def test_n07_fr_10_a_write_only_value_is_not_told() -> None:
    """TC_N_48: the event comes, its value is empty."""
    desk = Desk()
    desk.monitor("Delta", 1, of=CODE)
    assert desk.write(f"{SECRET}9", of=CODE) == [("", False)]


def test_n07_fr_22_target_delta() -> None:
    """N07.FR.22, N07.FR.02: more than 10 from a target of 100; either of them may move."""
    desk = Desk()
    desk.write("100", kind=TARGET)
    desk.write("100")
    assert desk.monitor("TargetDelta", 10) == []
    assert desk.write("90", "110") == []
    assert desk.write("111") == [("111", False)]
    assert desk.write("120") == [], "not told again"
    assert desk.write("110") == [("110", True)]
    assert desk.write("89") == [("89", False)]
    assert desk.write("99", kind=TARGET) == [("89", True)], "the target came nearer"
    assert desk.write("100", kind=TARGET) == [("89", False)]


def test_n07_fr_23_target_delta_relative() -> None:
    """N07.FR.23: more than a tenth from a target of 100."""
    desk = Desk()
    desk.write("100", of=POWER, kind=TARGET)
    desk.write("100", of=POWER)
    assert desk.monitor("TargetDeltaRelative", 0.5, of=POWER) == []
    assert desk.write("50", "150", of=POWER) == []
    assert desk.write("150.5", of=POWER) == [("150.5", False)]
    assert desk.write("302", of=POWER, kind=TARGET) == [], "beyond on the other side"
    assert desk.write("200", of=POWER, kind=TARGET) == [("150.5", True)]


def test_n04_a_monitor_for_transactions_sleeps_without_one() -> None:
    """SetMonitoringDataType.transaction: at the EVSE of the variable, anywhere for the station."""
    desk = Desk()
    desk.write("3", of=POWER)
    assert desk.monitor("UpperThreshold", 2, of=POWER, transaction=True) == []
    assert desk.monitor("UpperThreshold", 2, identity=2, transaction=True) == []
    assert desk.write("3.5", of=POWER) == []
    assert desk.write("3") == []
    assert desk.cache.set_transaction(2, True) == [(2, LEVEL, "3", False)], "EVSE 2 is not EVSE 1"
    assert desk.cache.set_transaction(1, True) == [(1, POWER, "3.5", False)]
    assert desk.write("1", of=POWER) == [("1", True)]
    assert desk.cache.set_transaction(2, False) == []
    assert desk.write("1") == [("1", True)], "EVSE 1 still charges"
    assert desk.cache.set_transaction(1, False) == []
    assert desk.write("9", of=POWER) == desk.write("9") == []


def test_n07_fr_04_evaluation_waits_for_the_link() -> None:
    """The remark of N07: what came and went offline is not told, what still is so is."""
    desk = Desk()
    desk.monitor("UpperThreshold", 7, severity=6)
    desk.monitor("UpperThreshold", 7, severity=5, identity=2)
    desk.monitor("Delta", 1, severity=9, identity=3)
    desk.cache.suspend(5)
    assert desk.write("9") == [("9", False)], "severity 5 is not above 5"
    assert desk.write("3") == [("3", True)]
    assert desk.write("8") == [("8", False)]
    found = sorted(desk.cache.resume())
    assert found == [(1, LEVEL, "8", False), (3, LEVEL, "8", False)]
    assert desk.cache.resume() == []


def test_events_come_in_the_same_order_every_time() -> None:
    """A simulated day repeats from its seed: nothing may hang on the order of a hash table."""
    orders: set[tuple[int, ...]] = set()
    for _ in range(20):
        desk = Desk()
        desk.write("9", of=POWER)
        for identity in range(1, 13):
            desk.monitor("UpperThreshold", 2, of=POWER, identity=identity, transaction=True)
        orders.add(tuple(event[0] for event in desk.cache.set_transaction(1, True)))
    assert len(orders) == 1
    assert [len(order) for order in orders] == [12]
