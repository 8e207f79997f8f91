"""A device model of dicts, and monitors of plain Python: what the Rust cache is compared with.

Slow, obvious, and written from the specification: B05 to B08, N07, Part 1 chapter 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from device_model.models import ATTRIBUTES
from device_model.values import Characteristics

NUMERIC: Final = frozenset({"integer", "decimal"})
WITH_STATE: Final = frozenset(
    {"UpperThreshold", "LowerThreshold", "TargetDelta", "TargetDeltaRelative"}
)
"""Monitors whose value can return (N07.FR.02)."""

Key = tuple[str, str, int, int, str, str]
"""Component, instance, EVSE, connector, variable, instance; names in small letters."""
Place = tuple[str, str, int, int]


def place_of(component: Mapping[str, Any]) -> Place:
    """Where a component of a message or of a component file is; "" and 0 for absent."""
    evse = component.get("evse") or {}
    return (
        component["name"].lower(),
        component.get("instance", "").lower(),
        evse.get("id", component.get("evse_id", 0)),
        evse.get("connectorId", component.get("connector_id", 0)),
    )


@dataclass
class Attribute:
    """One attribute and its value."""

    mutability: str
    persistent: bool
    constant: bool
    value: str | None
    source: str = "default"

    @property
    def is_settable(self) -> bool:
        """Whether the CSMS may set it (B05.FR.09, B07.FR.07)."""
        return self.mutability != "ReadOnly" and not self.constant


@dataclass
class Variable:
    """One variable of the model."""

    component: Mapping[str, Any]
    definition: Mapping[str, Any]
    attributes: dict[str, Attribute]

    @property
    def characteristics(self) -> Mapping[str, Any]:
        """As in the component file."""
        return self.definition["characteristics"]

    @property
    def limits(self) -> Characteristics:
        """Which values are allowed."""
        c = self.characteristics
        return Characteristics(
            c["dataType"],
            c.get("minLimit"),
            c.get("maxLimit"),
            c.get("valuesList"),
            c.get("maxElements"),
        )


class ModelOracle:
    """The whole model, from the contents of component files."""

    def __init__(self, components: Iterable[Mapping[str, Any]]) -> None:
        self.variables: dict[Key, Variable] = {}
        self.places: set[Place] = set()
        for component in components:
            place = place_of(component)
            self.places.add(place)
            for found in component["properties"].values():
                key = (*place, found["variable_name"].lower(), found.get("instance", "").lower())
                self.variables[key] = Variable(component, found, _attributes(found))

    def find(self, component: Mapping[str, Any], variable: Mapping[str, Any]) -> Variable | str:
        """The variable, or the status that says what is unknown (B06.FR.06, B06.FR.07)."""
        place = place_of(component)
        if place not in self.places:
            return "UnknownComponent"
        name, instance = variable["name"].lower(), variable.get("instance", "").lower()
        return self.variables.get((*place, name, instance), "UnknownVariable")

    def get(
        self, component: Mapping[str, Any], variable: Mapping[str, Any], kind: str | None
    ) -> tuple[str, str | None]:
        """Status and value of one element of GetVariables."""
        found = self.find(component, variable)
        if isinstance(found, str):
            return found, None
        attribute = found.attributes.get(kind or "Actual")
        if attribute is None:
            return "NotSupportedAttributeType", None
        if attribute.mutability == "WriteOnly":
            return "Rejected", None
        return "Accepted", attribute.value or ""

    def set(
        self,
        component: Mapping[str, Any],
        variable: Mapping[str, Any],
        kind: str | None,
        value: str,
    ) -> str:
        """Status of one element of SetVariables; an accepted value is there at once."""
        found = self.find(component, variable)
        if isinstance(found, str):
            return found
        attribute = found.attributes.get(kind or "Actual")
        if attribute is None:
            return "NotSupportedAttributeType"
        if not attribute.is_settable:
            return "Rejected"
        if not found.limits.allows(value) or not _within_set(found, kind, value):
            return "Rejected"
        attribute.value, attribute.source = value, "csms"
        return "Accepted"

    # --- reports --------------------------------------------------------------------------

    def inventory(self, *, settable_only: bool = False) -> set[Key]:
        """FullInventory, or ConfigurationInventory (B07.FR.07, B07.FR.08)."""
        return {
            key
            for key, found in self.variables.items()
            if not settable_only or any(a.is_settable for a in found.attributes.values())
        }

    def report(
        self,
        criteria: Sequence[str] | None,
        wanted: Sequence[tuple[Mapping[str, Any], Mapping[str, Any] | None]] | None,
    ) -> set[Key]:
        """What a GetReportRequest selects (B08.FR.05, B08.FR.07 to B08.FR.25)."""
        return {
            key
            for key in self.variables
            if (criteria is None or any(self._meets(key[:4], one) for one in criteria))
            and (wanted is None or any(_matches(key, c, v) for c, v in wanted))
        }

    def _meets(self, place: Place, criterion: str) -> bool:
        found = self.variables.get((*place, criterion.lower(), ""))
        if found is None:
            return criterion != "Problem"
        attribute = found.attributes.get("Actual")
        return attribute is not None and attribute.value == "true"


def _attributes(definition: Mapping[str, Any]) -> dict[str, Attribute]:
    found: dict[str, Attribute] = {}
    for given in definition["attributes"]:
        kind, value = given.get("type", "Actual"), given.get("value")
        if kind == "Actual" and value is None:
            value = definition.get("default")
        mutability = given.get("mutability", "ReadWrite")
        found[kind] = Attribute(
            mutability,
            given.get("persistent", mutability != "ReadOnly"),
            given.get("constant", False),
            value,
        )
    return found


def _within_set(variable: Variable, kind: str | None, value: str) -> bool:
    """Target stays within MinSet and MaxSet (Part 1, section 3.3)."""
    if kind != "Target" or variable.limits.data_type not in NUMERIC:
        return True
    low, high = (variable.attributes.get(bound) for bound in ATTRIBUTES[2:])
    return (low is None or low.value is None or float(value) >= float(low.value)) and (
        high is None or high.value is None or float(value) <= float(high.value)
    )


def _matches(key: Key, component: Mapping[str, Any], variable: Mapping[str, Any] | None) -> bool:
    """What is left out means all of them (B08.FR.20 to B08.FR.25)."""
    name, instance, evse, connector = place_of(component)
    if key[0] != name or (instance and key[1] != instance):
        return False
    if (evse and key[2] != evse) or (connector and key[3] != connector):
        return False
    if variable is None:
        return True
    wanted_instance = variable.get("instance", "").lower()
    return key[4] == variable["name"].lower() and wanted_instance in {"", key[5]}


# --- monitors -----------------------------------------------------------------------------


@dataclass
class Monitor:
    """One monitor and what it remembers."""

    number: int
    variable: int
    kind: str
    value: float
    severity: int
    transaction: bool
    triggered: bool = False
    reference: str | None = None
    waits: bool = False


Event = tuple[int, int, str, bool]


@dataclass
class MonitorOracle:
    """N07, evaluated one monitor after the other."""

    actual: Callable[[int], str]
    target: Callable[[int], str | None]
    data_type: Callable[[int], str]
    evse: Callable[[int], int]
    secret: Callable[[int], bool]
    monitors: dict[int, Monitor] = field(default_factory=dict[int, Monitor])
    transactions: set[int] = field(default_factory=set[int])
    above: int = 9

    def put(self, monitor: Monitor) -> list[Event]:
        """Sets or replaces (N07.FR.11)."""
        old = self.monitors.get(monitor.number)
        self.monitors[monitor.number] = monitor
        monitor.reference = self.actual(monitor.variable)
        if old is not None and old.kind == monitor.kind:
            monitor.triggered = old.triggered
            is_awake = self._is_live(monitor) and monitor.severity <= self.above
            if is_awake and monitor.kind in WITH_STATE and self._beyond(monitor):
                monitor.triggered = False  # so that it is told again
        return self._look(monitor)

    def written(self, variable: int) -> list[Event]:
        """The Actual or Target value of a variable has changed."""
        found = [m for m in self.monitors.values() if m.variable == variable]
        return [event for monitor in found for event in self._look(monitor)]

    def transaction(self, evse: int, *, active: bool) -> list[Event]:
        """A transaction begins or ends."""
        if active == (evse in self.transactions):
            return []
        (self.transactions.add if active else self.transactions.discard)(evse)
        found = [m for m in self.monitors.values() if m.transaction]
        return [event for monitor in found for event in self._look(monitor)]

    def suspend(self, above: int) -> list[Event]:
        """Monitors of a higher severity number wait; those that need not any more look up."""
        self.above = above
        found = [m for m in self.monitors.values() if m.waits and m.severity <= above]
        for monitor in found:
            monitor.waits = False
        return [event for monitor in found for event in self._look(monitor)]

    def _is_live(self, monitor: Monitor) -> bool:
        if not monitor.transaction:
            return True
        evse = self.evse(monitor.variable)
        return evse in self.transactions if evse else bool(self.transactions)

    def _look(self, monitor: Monitor) -> list[Event]:
        if not self._is_live(monitor):
            monitor.triggered, monitor.reference = False, None
            return []
        if monitor.severity > self.above:
            monitor.waits = True
            return []
        if monitor.kind == "Delta":
            return self._delta(monitor)
        beyond = self._beyond(monitor)
        if beyond is None or beyond == monitor.triggered:
            return []
        monitor.triggered = beyond
        return [self._event(monitor, cleared=not beyond)]

    def _delta(self, monitor: Monitor) -> list[Event]:
        """N07.FR.18, N07.FR.19: from when it was set or last told."""
        now = self.actual(monitor.variable)
        if monitor.reference is None:
            monitor.reference = now
            return []
        if self.data_type(monitor.variable) in NUMERIC:
            moved = abs(float(now) - float(monitor.reference)) > monitor.value
        else:
            moved = now != monitor.reference
        if not moved:
            return []
        monitor.reference = now
        return [self._event(monitor, cleared=False)]

    def _beyond(self, monitor: Monitor) -> bool | None:
        actual = float(self.actual(monitor.variable))
        if monitor.kind == "UpperThreshold":
            return actual > monitor.value
        if monitor.kind == "LowerThreshold":
            return actual < monitor.value
        text = self.target(monitor.variable)
        if text is None:
            return None
        target = float(text)
        allowed = monitor.value * (abs(target) if monitor.kind == "TargetDeltaRelative" else 1)
        return abs(actual - target) > allowed

    def _event(self, monitor: Monitor, *, cleared: bool) -> Event:
        shown = "" if self.secret(monitor.variable) else self.actual(monitor.variable)
        return (monitor.number, monitor.variable, shown, cleared)
