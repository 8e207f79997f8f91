"""The verbs of the device model: components, values and monitors."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

from ocpp_fast.storage.base import ComponentKey, ComponentRow, MonitorRow, ValueKey, ValueRow
from ocpp_fast.storage.sqlite.database import Database
from ocpp_fast.storage.sqlite.statements import (
    Statement,
    flat,
    insert,
    json_list,
    listed,
    portions,
)

_COMPONENT_KEY = "component, component_instance, evse_id, connector_id"
_VALUE_KEY = f"{_COMPONENT_KEY}, variable, variable_instance, attribute"
_MONITOR_FIELDS = (
    f"{_COMPONENT_KEY}, variable, variable_instance, kind, value, severity, in_transaction, config,"
    " triggered"
)


class _Table(NamedTuple):
    """What is stored in which columns."""

    name: str
    columns: str
    conflict: str
    """What happens to a row with the same key."""

    @classmethod
    def of(cls, name: str, *, key: str, columns: str, replaced: str) -> Self:
        """`replaced` are the columns that a row takes over from one with the same key."""
        changes = ", ".join(f"{column} = excluded.{column}" for column in replaced.split(", "))
        return cls(name, columns, f"ON CONFLICT ({key}) DO UPDATE SET {changes}")

    def upsert(self, rows: Sequence[Sequence[Any]]) -> Statement:
        """Adds the rows, or replaces those with the same key."""
        return insert(self.name, self.columns, len(rows), self.conflict), flat(rows)


# A component takes over the spelling of its definition. A value does not: to write its key again
# costs more than the value, and how it is spelled decides nothing.
_COMPONENTS = _Table.of(
    "device_component",
    key=_COMPONENT_KEY,
    columns=f"{_COMPONENT_KEY}, definition",
    replaced="component, component_instance, definition",
)
_VALUES = _Table.of(
    "device_value",
    key=_VALUE_KEY,
    columns=f"{_VALUE_KEY}, value, source",
    replaced="value, source",
)
_MONITORS = _Table.of(
    "device_monitor",
    key="monitor_id",
    columns=f"monitor_id, {_MONITOR_FIELDS}",
    replaced=_MONITOR_FIELDS,
)


class DeviceModelTables(Database):
    """The device model: see `Storage.components_store` and its like."""

    async def components_load(self) -> list[ComponentRow]:
        """See `Storage.components_load`."""
        sql = f"SELECT {_COMPONENTS.columns} FROM device_component ORDER BY {_COMPONENT_KEY}"
        return [ComponentRow._make(values) for values in await self._run("components_load", sql)]

    async def components_store(self, rows: Sequence[ComponentRow]) -> None:
        """See `Storage.components_store`."""
        await self._upsert("components_store", _COMPONENTS, rows)

    async def components_remove(self, keys: Iterable[ComponentKey]) -> None:
        """See `Storage.components_remove`. A trigger takes away values and monitors."""
        sql = f"DELETE FROM device_component WHERE {listed(_COMPONENT_KEY)}"
        await self._change("components_remove", [(sql, (json_list(keys),))])

    async def values_load(self) -> list[ValueRow]:
        """See `Storage.values_load`."""
        return await self._run("values_load", f"SELECT {_VALUES.columns} FROM device_value")

    async def values_store(self, rows: Sequence[ValueRow]) -> None:
        """See `Storage.values_store`."""
        await self._upsert("values_store", _VALUES, rows)

    async def values_remove(self, keys: Iterable[ValueKey]) -> None:
        """See `Storage.values_remove`."""
        sql = f"DELETE FROM device_value WHERE {listed(_VALUE_KEY)}"
        await self._change("values_remove", [(sql, (json_list(keys),))])

    async def monitors_load(self) -> list[MonitorRow]:
        """See `Storage.monitors_load`."""
        sql = f"SELECT {_MONITORS.columns} FROM device_monitor ORDER BY monitor_id"
        found = [MonitorRow._make(values) for values in await self._run("monitors_load", sql)]
        return [
            row._replace(transaction=bool(row.transaction), triggered=bool(row.triggered))
            for row in found
        ]

    async def monitors_store(self, rows: Sequence[MonitorRow]) -> None:
        """See `Storage.monitors_store`."""
        await self._upsert("monitors_store", _MONITORS, rows)

    async def monitors_remove(self, monitor_ids: Iterable[int]) -> None:
        """See `Storage.monitors_remove`."""
        sql = f"DELETE FROM device_monitor WHERE {listed('monitor_id')}"
        await self._change("monitors_remove", [(sql, (json_list(monitor_ids),))])

    async def _upsert(self, verb: str, table: _Table, rows: Sequence[Sequence[Any]]) -> None:
        await self._change(verb, [table.upsert(portion) for portion in portions(rows)])
