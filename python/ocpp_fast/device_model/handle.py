"""Typed access to one variable."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

from ocpp_fast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ocpp_fast._core import DeviceModelCache
    from ocpp_fast.device_model.model import DeviceModel

__all__ = [
    "ATTRIBUTES",
    "CSMS",
    "DEFAULT",
    "INTEGRATOR",
    "INTERNAL",
    "AttributeInfo",
    "Value",
    "VariableChange",
    "VariableHandle",
    "VariableInfo",
]

DEFAULT: Final = "default"
"""Source of a value that the component files give."""
CSMS: Final = "csms"
INTERNAL: Final = "internal"
"""Source of what this package writes by itself."""
INTEGRATOR: Final = "integrator"
"""Source of what the integrator writes, unless it says another word."""

ATTRIBUTES: Final = ("Actual", "Target", "MinSet", "MaxSet")
"""AttributeEnumType, in the order of the numbers that the cache knows them by."""

Value: TypeAlias = "str | float | int | bool | datetime | tuple[str, ...]"
"""What a value is in Python: `str` for string and OptionList, `float` for decimal, `int` for
integer, `bool` for boolean, an aware `datetime` for dateTime, and `tuple[str, ...]` for MemberList
and SequenceList."""


class AttributeInfo(NamedTuple):
    """One attribute of a variable, as the component files define it."""

    name: str
    mutability: str
    """MutabilityEnumType: what the CSMS may do."""
    persistent: bool
    """Whether what is written to it survives the end of the process."""
    constant: bool


class VariableInfo(NamedTuple):
    """What the component files say of a variable."""

    component: str
    component_instance: str | None
    evse_id: int | None
    connector_id: int | None
    variable: str
    variable_instance: str | None
    data_type: str
    """DataEnumType."""
    unit: str | None
    min_limit: float | None
    max_limit: float | None
    values_list: str | None
    supports_monitoring: bool
    attributes: tuple[AttributeInfo, ...]
    source: str | None
    """Who owns it, in the words of the component file."""

    def __str__(self) -> str:
        return address(self[:6])


@dataclass(frozen=True, slots=True)
class VariableChange:
    """An attribute has another value than before."""

    variable: VariableHandle
    attribute: str
    """AttributeEnumType."""
    old: str | None = field(repr=False)  # It may be a password.
    """As text; None when it had no value, or when nobody listens to this variable in particular."""
    new: str = field(repr=False)
    source: str
    """Who has changed it."""

    @property
    def value(self) -> Value | None:
        """The new value in the type of the variable."""
        return self.variable.parse(self.new)


Place: TypeAlias = "tuple[str, str | None, int | None, int | None, str, str | None]"
"""Component, its instance, EVSE, connector, variable, its instance."""


def address(place: Place) -> str:
    """A variable's name for logs and errors: `EVSE[1].Power`, `Connector[1,1].AvailabilityState`,
    `OCPPCommCtrlr.MessageTimeout(Default)`. Absent is None, empty or 0."""
    component, instance, evse_id, connector_id, variable, variable_instance = place
    text = component if not instance else f"{component}({instance})"
    if evse_id:
        text += f"[{evse_id},{connector_id}]" if connector_id else f"[{evse_id}]"
    text += f".{variable}"
    return f"{text}({variable_instance})" if variable_instance else text


class VariableHandle:
    """One variable, found once; reading and writing it takes about a microsecond.

    Got from `DeviceModel.variable`. Belongs to the thread of the event loop. `attribute` is always
    an AttributeEnumType. Values are of the Python type that `Value` names, or their text.
    """

    __slots__ = ("_cache", "_format", "_model", "_parse", "info", "number")

    def __init__(self, model: DeviceModel, number: int) -> None:
        self._model = model
        self._cache: DeviceModelCache = model.cache
        self.number = number
        """What the cache knows it by."""
        self.info = describe(self._cache, number)
        """Its characteristics and attributes."""
        self._parse, self._format = _CONVERSIONS[self.info.data_type]

    def __repr__(self) -> str:
        return f"<variable {self.info}>"

    def get(self, attribute: str = "Actual") -> Any:
        """The value, `None` when there is none. WriteOnly values too: never hand them to a peer.

        Raises `ConfigurationError` for an attribute that the variable does not have.
        """
        text = self.text(attribute)
        return None if text is None else self.parse(text)

    def text(self, attribute: str = "Actual") -> str | None:
        """The value as it stands in messages; otherwise like `get`."""
        try:
            return self._cache.value(self.number, _number(attribute))
        except ValueError as error:
            raise self._error(attribute, error) from None

    def source(self, attribute: str = "Actual") -> str:
        """Where the value comes from: `default`, `csms`, `internal`, or an integrator's word."""
        try:
            return self._cache.source(self.number, _number(attribute))
        except ValueError as error:
            raise self._error(attribute, error) from None

    def set(self, value: Value, *, attribute: str = "Actual", source: str = INTEGRATOR) -> None:
        """Writes a value, whatever the CSMS may do with the variable; holds when it returns.

        A persistent attribute is stored some time later: at most its last value is lost in a power
        cut. Other attributes never touch the disk. Limits of numbers are not checked, as measured
        values may exceed them. A run-time value survives a changed component file, therefore
        `source` may be any word but `default`.

        Raises `ConfigurationError` for a value of another type or out of its values list, and for
        an attribute that the variable does not have; nothing has changed then.
        """
        if type(value) is not str:
            value = self._format(value)
        # The attribute that nearly all writes are about is told by identity, which costs nothing.
        number = 0 if attribute is _ACTUAL else _number(attribute)
        if source == DEFAULT:
            raise ConfigurationError(f"{self.info}: {DEFAULT!r} is no source of a write")
        try:
            change = self._cache.write(self.number, number, value, source)
        except ValueError as error:
            raise self._error(attribute, error) from None
        if change is not None:
            self._model.took((change,), source)
        if self._cache.has_events:
            self._model.flush_events()

    async def store(
        self, value: Value, *, attribute: str = "Actual", source: str = INTEGRATOR
    ) -> None:
        """Like `set`, and durable when it returns.

        Raises `ConfigurationError` for an attribute that is not persistent too, and `StorageError`
        when the storage fails; the value then holds all the same, and is stored as soon as the
        storage works again.
        """
        if not any(each.persistent for each in self.info.attributes if each.name == attribute):
            raise ConfigurationError(f"{self.info}: {attribute} is not persistent")
        self.set(value, attribute=attribute, source=source)
        of = self.info
        await self._model.flush(
            (
                of.component, of.component_instance or "", of.evse_id or 0, of.connector_id or 0,
                of.variable, of.variable_instance or "", attribute,
            )
        )  # fmt: skip

    def on_change(self, listener: Callable[[VariableChange], None]) -> Callable[[], None]:
        """Calls `listener` after each change of an attribute, whoever has made it; returns what
        ends that. What a listener raises is logged."""
        return self._model.watch(self.number, listener)

    def parse(self, text: str) -> Any:
        """The value of a text that the variable may have."""
        return self._parse(text)

    def format(self, value: Value) -> str:
        """The text of a value; raises `ConfigurationError` for one of another type."""
        return value if type(value) is str else self._format(value)

    def _error(self, attribute: str, error: ValueError) -> ConfigurationError:
        return ConfigurationError(f"{self.info}, {attribute}: {error}")


def describe(cache: DeviceModelCache, number: int) -> VariableInfo:
    """What the component files say of a variable."""
    found = cache.describe(number)
    attributes = (
        AttributeInfo(ATTRIBUTES[kind], mutability, persistent, constant)
        for kind, mutability, persistent, constant in found[12]
    )
    return VariableInfo(*found[:12], tuple(attributes), found[13])


_ACTUAL: Final = ATTRIBUTES[0]
_NUMBERS: Final = {name: number for number, name in enumerate(ATTRIBUTES)}


def _number(attribute: str) -> int:
    try:
        return _NUMBERS[attribute]
    except KeyError:
        raise ConfigurationError(f"{attribute!r} is no AttributeEnumType") from None


def _refuse(value: object, wanted: str) -> ConfigurationError:
    return ConfigurationError(f"{value!r} is not {wanted}")


def _text(value: object) -> str:
    if isinstance(value, str):  # such as a StrEnum
        return str(value)
    raise _refuse(value, "a text")


def _decimal_text(value: object) -> str:
    # Not `repr`, which numpy's floats have their own of.
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__repr__(value)
    raise _refuse(value, "a number")


def _integer_text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__repr__(value)
    if isinstance(value, float) and value.is_integer():
        return int.__repr__(int(value))
    raise _refuse(value, "a whole number")


def _boolean_text(value: object) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    raise _refuse(value, "a bool")


def _time_text(value: object) -> str:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise _refuse(value, "an aware datetime")


def _time(text: str) -> datetime:
    # The core takes a time without an offset for UTC, as it does in messages.
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _list_text(value: object) -> str:
    if isinstance(value, (tuple, list, set, frozenset)):
        return ",".join(str(word) for word in cast("Collection[object]", value))
    raise _refuse(value, "a list of texts")


def _list(text: str) -> tuple[str, ...]:
    return tuple(word for part in text.split(",") if (word := part.strip()))


_CONVERSIONS: Final[dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]]] = {
    "string": (str, _text),
    "OptionList": (str, _text),
    "decimal": (float, _decimal_text),
    "integer": (int, _integer_text),
    "boolean": ("true".__eq__, _boolean_text),
    "dateTime": (_time, _time_text),
    "MemberList": (_list, _list_text),
    "SequenceList": (_list, _list_text),
}
"""DataEnumType -> text to value, value to text."""
