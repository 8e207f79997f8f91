"""What the component files have changed since the last start. A decision, without I/O.

The storage keeps each component as it was defined last, and the values that were set at run time;
values that the files give are nowhere but in the files. So a changed file takes effect at the next
start, while what the CSMS, the station or the integrator has set stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocpp_fast.storage.base import ComponentKey, ComponentRow, ValueKey, ValueRow

__all__ = ["Merge", "component_key", "merge", "value_key"]


@dataclass(slots=True)
class Merge:
    """What a start has to do."""

    store: list[ComponentRow] = field(default_factory=list["ComponentRow"])
    """Components that are new, or are defined otherwise than before."""
    remove: list[ComponentKey] = field(default_factory=list["ComponentKey"])
    """Components that are gone; they hold nothing that was set at run time."""
    keep: list[ComponentRow] = field(default_factory=list["ComponentRow"])
    """Components that are gone but hold values set at run time: they stay part of the model, as
    they were defined last."""
    absent: list[ComponentRow] = field(default_factory=list["ComponentRow"])
    """Like `keep`, of an EVSE or a connector that the station does not have any more. They stay
    stored, values included, and are no part of the model: it would report what is not there."""
    values: list[ValueRow] = field(default_factory=list["ValueRow"])
    """Values to take up: those of the components in the files and in `keep`."""
    held: dict[ComponentKey, list[ValueRow]] = field(
        default_factory=dict["ComponentKey", "list[ValueRow]"]
    )
    """The values of those in `keep` and `absent`, by the keys as they are stored."""


def merge(
    defined: Iterable[ComponentRow],
    stored: Iterable[ComponentRow],
    values: Iterable[ValueRow],
    connectors: Mapping[int, int],
) -> Merge:
    """Compares the components in the files with what an earlier run has stored.

    `connectors` says how many connectors each EVSE of the station has.
    """
    result = Merge()
    old = {component_key(row.key): row for row in stored}
    new: set[ComponentKey] = set()
    for row in defined:
        key = component_key(row.key)
        new.add(key)
        known = old.get(key)
        if known is None or known != row:
            result.store.append(row)
    of: dict[ComponentKey, list[ValueRow]] = {}
    for value in values:
        of.setdefault(component_key(value[:4]), []).append(value)
    for key, row in old.items():
        if key in new:
            continue
        held = of.get(key)
        if not held:
            result.remove.append(row.key)
            continue
        result.held[row.key] = held
        if _exists(row.key, connectors):
            result.keep.append(row)
        else:
            result.absent.append(row)
            del of[key]
    result.values = [value for held in of.values() for value in held]
    return result


def _exists(key: ComponentKey, connectors: Mapping[int, int]) -> bool:
    """Whether the station has the EVSE and the connector that a component belongs to."""
    _, _, evse_id, connector_id = key
    return evse_id == 0 or connector_id <= connectors.get(evse_id, -1)


def component_key(key: ComponentKey) -> ComponentKey:
    """The same for all spellings of one component; names compare without regard to case."""
    component, instance, evse_id, connector_id = key
    return _fold(component), _fold(instance), evse_id, connector_id


def value_key(row: ValueRow) -> ValueKey:
    """The same for all spellings of one attribute."""
    component, instance, evse_id, connector_id, variable, variable_instance, attribute = row[:7]
    return (
        _fold(component), _fold(instance), evse_id, connector_id,
        _fold(variable), _fold(variable_instance), attribute,
    )  # fmt: skip


def _fold(name: str) -> str:
    """Only ASCII letters have no case (Part 2, identifierString)."""
    if name.isascii():
        return name.lower()
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)
