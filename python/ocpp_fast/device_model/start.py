"""What a start does with the component files and with what an earlier run has stored."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ocpp_fast.device_model.handle import ATTRIBUTES, address
from ocpp_fast.device_model.merge import component_key, merge, value_key
from ocpp_fast.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ocpp_fast._core import DeviceModelCache
    from ocpp_fast.device_model.merge import Merge
    from ocpp_fast.storage.base import ComponentKey, ComponentRow, Storage, ValueRow

__all__ = ["take_up"]

_log = logging.getLogger(__name__)


async def take_up(
    cache: DeviceModelCache,
    storage: Storage,
    defined: Sequence[ComponentRow],
    connectors: Mapping[int, int],
    newer: Iterable[ValueRow],
) -> None:
    """Brings the storage up to date with the component files, and the cache with the values that
    were set at run time.

    `defined` are the components that the cache was made of, `newer` values that were set since this
    process began.

    - Components that are new or defined otherwise are stored; those that are gone are removed,
      unless they hold values set at run time: then they stay, see `merge.Merge`.
    - A stored value whose variable or attribute is gone is dropped. One that does not fit its
      variable any more, because type, limits or values list have changed, is not used but stays
      stored: it holds again when the file is put right, and until another value is set.

    Whatever is kept or dropped is logged, without its value. Each step is one transaction, and a
    start that was cut short, or could not write, is completed by the next. Raises `StorageError`
    when nothing can be read.
    """
    stored = await storage.components_load()
    values = await storage.values_load()
    plan = merge(defined, stored, values, connectors)
    lost = _keep(cache, plan)
    overtaken = {value_key(row) for row in newer}
    rows = [
        row
        for row in plan.values
        if component_key(row[:4]) not in lost and value_key(row) not in overtaken
    ]
    dropped = [row for row in cache.restore(rows) if not _fits_later(cache, row)]
    try:
        if plan.store:
            await storage.components_store(plan.store)
        if plan.remove:
            await storage.components_remove(plan.remove)
        if dropped:
            await storage.values_remove([row[:7] for row in dropped])
    except StorageError as error:
        _log.error("the next start will store what the component files have changed: %s", error)
    if stored and (plan.store or plan.remove):
        _log.info(
            "the component files have changed: %d components are new or different, %d are gone",
            len(plan.store),
            len(plan.remove),
        )


def _keep(cache: DeviceModelCache, plan: Merge) -> set[ComponentKey]:
    """Adds the components that are gone but stay; returns those that cannot be read any more,
    whose values are left alone."""
    lost: set[ComponentKey] = set()
    for row in plan.keep:
        names = ", ".join(_name(value) for value in plan.held[row.key])
        if problems := cache.add(row.definition.encode()):
            lost.add(component_key(row.key))
            _log.error(
                "a component that is gone from the component files cannot be kept: %s; "
                "these stay stored, unused: %s", problems[0][3], names,
            )  # fmt: skip
        else:
            _log.warning(
                "a component is gone from the component files but stays, for what was set at "
                "run time: %s", names,
            )  # fmt: skip
    for row in plan.absent:
        _log.warning(
            "the station has no such EVSE or connector any more; what was set there stays stored, "
            "unused: %s", ", ".join(_name(value) for value in plan.held[row.key]),
        )  # fmt: skip
    return lost


def _fits_later(cache: DeviceModelCache, row: ValueRow) -> bool:
    """Whether a stored value that is of no use now has a variable and attribute to belong to."""
    component, instance, evse_id, connector_id, variable, variable_instance, attribute = row[:7]
    number = cache.find(
        component, instance, evse_id or None, connector_id or None, variable, variable_instance
    )
    fits = number >= 0 and any(
        ATTRIBUTES[kind] == attribute for kind, *_ in cache.describe(number)[-2]
    )
    if fits:
        _log.warning(
            "what %s has set does not fit its definition any more and is not used: %s",
            row[8], _name(row),
        )  # fmt: skip
    else:
        _log.warning(
            "gone from the component files, and what %s has set is dropped: %s",
            row[8], _name(row),
        )  # fmt: skip
    return fits


def _name(row: ValueRow) -> str:
    name = address(row[:6])
    return name if row[6] == ATTRIBUTES[0] else f"{name} {row[6]}"
