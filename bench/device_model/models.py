"""Device models of any size as component files, and the requests that are asked of them.

A model has the controllers that are shipped in config/component_config and as many EVSEs, each
with one connector, as it takes: a file of 27 variables for the EVSE and one of 27 for its
connector, in the format of the shipped files. Everything is made from a seed: the same size gives
the same bytes, only a change of the shipped controllers moves them.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast

import orjson

from bench.payloads import JsonObject, message_id, write

CONTROLLERS: Final = Path(__file__).parents[2] / "config" / "component_config"

SMALL: Final = 5_000
LARGE: Final = 50_000
"""Variables of the two models that the figures speak of."""

START_EVSES: Final = 128
"""EVSEs of the model whose start is measured."""

ASKED: Final = 20
"""Variables in one GetVariables or SetVariables request."""

STATES: Final = "Available,Occupied,Reserved,Unavailable,Faulted"


class Trait(NamedTuple):
    """One variable of every EVSE or connector; texts have the EVSE's number put in."""

    name: str
    instance: str | None
    data_type: str
    mutability: str = "ReadOnly"
    unit: str | None = None
    limits: tuple[float, float] | None = None
    values: str | None = None
    text: str | None = None
    also: tuple[str, ...] = ()
    """Attributes beside Actual."""

    @property
    def is_free(self) -> bool:
        """Whether it can have any number within its limits."""
        return self.limits is not None and self.text is None


def _readings(name: str, instances: str, unit: str, low: float, high: float) -> list[Trait]:
    return [
        Trait(name, instance, "decimal", unit=unit, limits=(low, high))
        for instance in instances.split()
    ]


def _flags(*names: str) -> list[Trait]:
    return [Trait(name, None, "boolean") for name in names]


def _setting(
    name: str, data_type: str, limits: tuple[float, float], unit: str | None = "s"
) -> Trait:
    name, _, instance = name.partition(" ")
    return Trait(name, instance or None, data_type, "ReadWrite", unit, limits)


EVSE_TRAITS: Final = (
    *_flags("AllowReset", "Overload", "Problem", "Fallback"),
    Trait("AvailabilityState", None, "OptionList", values=STATES),
    Trait("Available", None, "boolean", text="true"),
    Trait("EvseId", None, "string", text="DE*BEN*E{:06d}"),
    Trait("ISO15118EvseId", None, "string", text="DE*BEN*E{:06d}*1"),
    Trait("Power", None, "decimal", unit="W", limits=(0, 22_080), also=("MaxSet",)),
    Trait("SupplyPhases", None, "integer", limits=(0, 3), text="3"),
    *_readings("ACCurrent", "L1 L2 L3", "A", 0, 63),
    *_readings("ACVoltage", "L1 L2 L3", "V", 0, 260),
    *_readings("Energy", "Import Export", "Wh", 0, 99_999_999),
    *_readings("Temperature", "PowerModule Inlet", "Celsius", -40, 125),
    Trait("FanSpeed", None, "decimal", "ReadWrite", "RPM", (0, 4_000), also=("Target", "MaxSet")),
    Trait("Frequency", None, "decimal", unit="Hz", limits=(45, 65)),
    Trait("SerialNumber", None, "string", text="PM-2611-{:07d}"),
    Trait("FirmwareVersion", None, "string", text="2.4.1"),
    _setting("MinimumStatusDuration", "integer", (0, 3_600)),
    _setting("PostChargingTime", "decimal", (0, 900)),
    Trait("OperatingTimes", None, "string", "ReadWrite", text="Mo-Fr 06:00-22:00; Sa {:d}"),
)
CONNECTOR_TRAITS: Final = (
    Trait("AvailabilityState", None, "OptionList", values=STATES),
    Trait("Available", None, "boolean", text="true"),
    Trait("ConnectorType", None, "string", text="cCCS2"),
    Trait("SupplyPhases", None, "integer", limits=(0, 3), text="3"),
    Trait("ChargeProtocol", None, "string", text="ISO15118-2"),
    *_readings("Temperature", "DC+ DC- Cable", "Celsius", -40, 125),
    *_readings("Impedance", "Isolation Contactor", "Ohm", 0, 1_000_000),
    *_readings("Force", "Latch", "N", 0, 250),
    *_readings("ConnectedTime", "Total", "s", 0, 99_999_999),
    Trait("Count", "Matings", "integer", limits=(0, 1_000_000)),
    Trait("Count", "LockFaults", "integer", limits=(0, 1_000)),
    *_flags("Tripped", "Suspending", "Operated"),
    Trait("SerialNumber", None, "string", text="CN-2611-{:07d}"),
    Trait("VersionDate", None, "dateTime", text="2026-03-14T08:00:00Z"),
    Trait("Mode", "Lock", "OptionList", "ReadWrite", values="Always,Charging,Never"),
    Trait("Formats", None, "MemberList", values="ASCII,HTML,URI,UTF8", text="ASCII,UTF8"),
    _setting("Timeout Unlock", "decimal", (0, 60)),
    _setting("Timeout Latch", "decimal", (0, 60)),
    _setting("Tries Lock", "integer", (0, 100), unit=None),
    _setting("Interval SelfTest", "integer", (0, 86_400)),
    _setting("Percent Brightness", "decimal", (0, 100), unit="Percent"),
    Trait("Message", None, "string", "ReadWrite", text="Bay {:d}: plug in, then hold your card"),
)


def value_of(trait: Trait, number: int, rng: random.Random) -> str:
    """A value that fits the trait, of the EVSE with that number."""
    if trait.text is not None:
        return trait.text.format(number)
    match trait.data_type:
        case "boolean":
            return rng.choice(("true", "false"))
        case "OptionList":
            return rng.choice(str(trait.values).split(","))
        case _:
            assert trait.limits is not None
            low, high = trait.limits
            value = rng.uniform(low, high)
            return str(round(value, 1) if trait.data_type == "decimal" else round(value))


def _bound(trait: Trait, type_: str) -> str:
    """What an attribute beside Actual starts with: a MaxSet that lets every value pass."""
    assert trait.limits is not None
    return str(trait.limits[0 if type_ == "MinSet" else 1])


def _property(trait: Trait, number: int, rng: random.Random) -> JsonObject:
    numeric = trait.data_type in {"integer", "decimal"}
    characteristics: JsonObject = {
        "dataType": trait.data_type,
        "supportsMonitoring": numeric or trait.data_type == "OptionList",
    }
    if trait.unit is not None:
        characteristics["unit"] = trait.unit
    if trait.limits is not None:
        characteristics["minLimit"], characteristics["maxLimit"] = trait.limits
    if trait.values is not None:
        characteristics["valuesList"] = trait.values
    writable = trait.mutability == "ReadWrite"
    values = {
        type_: value_of(trait, number, rng) if type_ == "Actual" else _bound(trait, type_)
        for type_ in ("Actual", *trait.also)
    }
    attributes: list[JsonObject] = [
        {
            "type": type_,
            "mutability": trait.mutability,
            "value": value,
            "persistent": writable,
            "constant": trait.name == "SerialNumber",
        }
        for type_, value in values.items()
    ]
    made: JsonObject = {"variable_name": trait.name}
    if trait.instance is not None:
        made["instance"] = trait.instance
    made["characteristics"] = characteristics
    made["attributes"] = attributes
    made["description"] = f"{trait.name} as the power electronics report it"
    return made


def _component(name: str, traits: tuple[Trait, ...], evse: int, **place: int) -> JsonObject:
    rng = random.Random(f"{name} {evse}")
    properties = {
        f"{trait.name}{trait.instance or ''}": _property(trait, evse, rng) for trait in traits
    }
    return {
        "name": name,
        "evse_id": evse,
        **place,
        "type": "object",
        "properties": properties,
        "required": ["AvailabilityState", "Available", "SupplyPhases"],
    }


@cache
def controllers() -> tuple[JsonObject, ...]:
    """The shipped components that belong to the whole station."""
    found = [
        cast("JsonObject", orjson.loads(path.read_bytes()))
        for path in sorted(CONTROLLERS.glob("*/*.json"))
    ]
    return tuple(component for component in found if "evse_id" not in component)


class Paging(NamedTuple):
    """How a report is asked for: its ids, its time, and what a page may hold."""

    message_ids: Sequence[str]
    request_id: int
    generated_at: datetime
    max_items: int = 100
    max_bytes: int = 65_000
    """Above what so many items take, so that the number of items decides."""


class Place(NamedTuple):
    """A variable as messages name it, and what its file says of it."""

    component: JsonObject
    variable: JsonObject
    definition: JsonObject

    @property
    def trait(self) -> Trait | None:
        """What it was made from, if it belongs to an EVSE or connector."""
        if "evse" not in self.component:
            return None
        return _TRAITS[self.variable["name"], self.variable.get("instance")]


_TRAITS: Final = {(trait.name, trait.instance): trait for trait in EVSE_TRAITS + CONNECTOR_TRAITS}
"""What both have is alike."""


@dataclass(frozen=True)
class Model:
    """The controllers and that many EVSEs."""

    evses: int

    def each_component(self) -> Iterator[JsonObject]:
        """As their files have them: controllers, then EVSE and connector in turns; always anew."""
        yield from controllers()
        for evse in range(1, self.evses + 1):
            yield _component("EVSE", EVSE_TRAITS, evse)
            yield _component("Connector", CONNECTOR_TRAITS, evse, connector_id=1)

    def each_place(self) -> Iterator[Place]:
        """All variables, in the order of the files; always anew."""
        for component in self.each_component():
            named = wire_component(component)
            for definition in component["properties"].values():
                yield Place(named, wire_variable(definition), definition)

    @cached_property
    def places(self) -> list[Place]:
        """All variables, in the order of the files."""
        return list(self.each_place())

    @property
    def connectors(self) -> list[int]:
        """Connectors of EVSE 1, 2, ..."""
        return [1] * self.evses

    def files(self) -> list[tuple[str, bytes]]:
        """Path and content of each component file."""
        return [(_path(component), _file(component)) for component in self.each_component()]

    def write(self, folder: Path) -> None:
        """The files, below a folder that exists."""
        for path, content in self.files():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(content)

    def get_variables(self, requests: int) -> list[bytes]:
        """GetVariables frames that ask for all variables, in random order, over and over."""
        chunks = _chunks(self.places, "get")

        def body(places: list[Place]) -> JsonObject:
            return {"getVariableData": list(map(_asked, places, range(ASKED)))}

        return [_call(index, "GetVariables", body(next(chunks))) for index in range(requests)]

    def readings(self) -> Iterator[tuple[Place, str]]:
        """What a running station has written by itself: all numbers that the CSMS cannot set,
        each with another value than its file has.
        """
        rng = random.Random("readings")
        for place in self.places:
            trait = place.trait
            if trait is not None and trait.is_free and trait.mutability == "ReadOnly":
                yield place, value_of(trait, 0, rng)

    def settings(self) -> list[tuple[Place, Trait]]:
        """Persistent variables of EVSEs and connectors that a CSMS sets to any of many values; as
        many as fill requests.
        """
        found = [
            (place, trait)
            for place in self.places
            if (trait := place.trait) is not None
            and trait.is_free
            and trait.mutability == "ReadWrite"
        ]
        return found[: len(found) // ASKED * ASKED]

    def set_variables(self, requests: int) -> list[bytes]:
        """SetVariables frames that set all settings, over and over, each to another value than
        the request before.
        """
        rng = random.Random("values")
        chunks = _chunks(self.settings(), "set")
        last: dict[int, str] = {}

        def set_to(place: Place, trait: Trait) -> JsonObject:
            value = value_of(trait, 0, rng)
            while value == last.get(id(place)):
                value = value_of(trait, 0, rng)
            last[id(place)] = value
            row: JsonObject = {"attributeValue": value, "component": place.component}
            return row | {"variable": place.variable}

        def body(rows: list[tuple[Place, Trait]]) -> JsonObject:
            return {"setVariableData": [set_to(*row) for row in rows]}

        return [_call(index, "SetVariables", body(next(chunks))) for index in range(requests)]


_Item = TypeVar("_Item")
_PER_EVSE: Final = len(EVSE_TRAITS) + len(CONNECTOR_TRAITS)


def sized(variables: int) -> Model:
    """The model whose number of variables is nearest to that."""
    shipped = sum(len(component["properties"]) for component in controllers())
    return Model(max(1, round((variables - shipped) / _PER_EVSE)))


def wire_component(component: Mapping[str, Any]) -> JsonObject:
    """A component of a file as messages name it."""
    made: JsonObject = {"name": component["name"]}
    if component.get("instance") is not None:
        made["instance"] = component["instance"]
    if component.get("evse_id") is not None:
        made["evse"] = {"id": component["evse_id"]}
        if component.get("connector_id") is not None:
            made["evse"]["connectorId"] = component["connector_id"]
    return made


def wire_variable(definition: Mapping[str, Any]) -> JsonObject:
    """A variable of a file as messages name it."""
    made: JsonObject = {"name": definition["variable_name"]}
    if definition.get("instance") is not None:
        made["instance"] = definition["instance"]
    return made


def _path(component: JsonObject) -> str:
    name = component["name"] + (component.get("instance") or "")
    if "evse_id" not in component:
        return f"standardized/{name}.json"
    numbers = [component["evse_id"], component.get("connector_id")]
    return f"custom/{'_'.join([name, *(str(n) for n in numbers if n is not None)])}.json"


def _file(component: JsonObject) -> bytes:
    # Written as people write such files.
    return json.dumps(component, indent=2, ensure_ascii=False).encode()


def _asked(place: Place, row: int) -> JsonObject:
    asked: JsonObject = {"component": place.component, "variable": place.variable}
    if row % 2:
        asked["attributeType"] = "Actual"
    return asked


def _call(index: int, action: str, body: JsonObject) -> bytes:
    return write([2, message_id(index), action, body])


def _chunks(items: Sequence[_Item], seed: str) -> Iterator[list[_Item]]:
    """As many of them as a request has, all different, from one random order after the other."""
    rng = random.Random(seed)
    while True:
        order = rng.sample(items, len(items))
        for start in range(0, len(order) - ASKED + 1, ASKED):
            yield order[start : start + ASKED]
