"""Variables of a station in short, as logs and files write them: `EVSE[1].Power`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from ocpp_fast.errors import ConfigurationError

if TYPE_CHECKING:
    from types import ModuleType

    from ocpp_fast.messages import v21

__all__ = ["VariableAddress"]

_FORM: Final = re.compile(
    r"(?P<component>[^.()\[\]]+)(\((?P<instance>[^()]*)\))?"
    r"(\[(?P<evse_id>\d+)(,\s*(?P<connector_id>\d+))?\])?"
    r"\.(?P<variable>[^()]+?)(\((?P<variable_instance>[^()]*)\))?"
)


class VariableAddress(NamedTuple):
    """Where a variable is."""

    component: str
    variable: str
    instance: str | None = None
    """Of the component."""
    evse_id: int | None = None
    connector_id: int | None = None
    variable_instance: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """`Component.Variable`, with `[evse]` or `[evse,connector]` behind the component and an
        instance in parentheses behind what it belongs to: `Connector[1,1].AvailabilityState`,
        `OCPPCommCtrlr.MessageTimeout(Default)`.

        Raises `ConfigurationError` for anything else.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise ConfigurationError(f"{text!r} is not like Component[1].Variable(Instance)")
        found = match.groupdict()
        return cls(
            component=found["component"],
            variable=found["variable"],
            instance=found["instance"],
            evse_id=None if found["evse_id"] is None else int(found["evse_id"]),
            connector_id=None if found["connector_id"] is None else int(found["connector_id"]),
            variable_instance=found["variable_instance"],
        )

    def __str__(self) -> str:
        text = self.component if self.instance is None else f"{self.component}({self.instance})"
        if self.evse_id is not None:
            connector = "" if self.connector_id is None else f",{self.connector_id}"
            text += f"[{self.evse_id}{connector}]"
        text += f".{self.variable}"
        return text if self.variable_instance is None else f"{text}({self.variable_instance})"

    def component_type(self, module: ModuleType) -> v21.ComponentType:
        """The component in the types of `messages.v201` or `messages.v21`."""
        evse = None
        if self.evse_id is not None:
            evse = module.EVSEType(id=self.evse_id, connector_id=self.connector_id)
        return module.ComponentType(name=self.component, instance=self.instance, evse=evse)

    def variable_type(self, module: ModuleType) -> v21.VariableType:
        """The variable likewise."""
        return module.VariableType(name=self.variable, instance=self.variable_instance)
