"""Storage that lives as long as the process: for benchmarks, simulators and tests."""

from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from dataclasses import replace
from itertools import islice

from ocpp_fast.errors import StorageRefused
from ocpp_fast.storage.base import (
    MAX_ROWS_PER_APPEND,
    MAX_ROWS_PER_LOAD,
    MAX_SECURITY_LOG_ROWS,
    NO_FACTS,
    ComponentKey,
    ComponentRow,
    DeadLetter,
    Facts,
    MonitorRow,
    OutboxRow,
    QueueSize,
    ReadingRow,
    SecurityLogRow,
    ValueKey,
    ValueRow,
)

# Names compare without regard to the case of ASCII letters, and of no others.
_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


class _Done:
    """What is awaited when all has been done already."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


_DONE = _Done()


def _fold(name: str) -> str:
    """Without the case of ASCII letters, as SQLite's NOCASE; other letters keep theirs."""
    return name.lower() if name.isascii() else name.translate(_LOWER)


def _component(component: str, instance: str, evse_id: int, connector_id: int) -> ComponentKey:
    """The key under which it is kept."""
    return _fold(component), _fold(instance), evse_id, connector_id


def _value(key: ValueKey) -> ValueKey:
    return (
        *_component(*key[:4]),
        _fold(key[4]),
        _fold(key[5]),
        key[6],
    )


class _Messages:
    """The outbox and what is stored together with its rows."""

    def __init__(self) -> None:
        self._rows: dict[int, OutboxRow] = {}
        self._dead: dict[int, DeadLetter] = {}
        self._readings: dict[tuple[str, int], ReadingRow] = {}
        self._state: dict[str, str] = {}

    async def outbox_load(
        self, after: int = 0, limit: int = MAX_ROWS_PER_LOAD, lane: str | None = None
    ) -> list[OutboxRow]:
        """See `Storage.outbox_load`."""
        return self._page(after, limit, lambda row: lane is None or row.lane == lane)

    async def outbox_last_row_id(self) -> int:
        """See `Storage.outbox_last_row_id`."""
        return max((*self._rows, *self._dead), default=0)

    def outbox_append(self, rows: Sequence[OutboxRow], facts: Facts = NO_FACTS) -> Awaitable[None]:
        """See `Storage.outbox_append`. Keeps the rows themselves: copying them would be the
        dearest part of a message's way through the outbox."""
        known = self._rows
        if len(rows) > MAX_ROWS_PER_APPEND:
            raise StorageRefused("memory", "outbox_append", f"more than {MAX_ROWS_PER_APPEND} rows")
        for row in rows:
            if row.row_id in known:
                raise StorageRefused("memory", "outbox_append", f"row {row.row_id} exists")
        for row in rows:
            known[row.row_id] = row
        return self.state_store(facts) if facts else _DONE

    def outbox_remove(self, row_ids: Iterable[int]) -> Awaitable[None]:
        """See `Storage.outbox_remove`."""
        for row_id in row_ids:
            self._rows.pop(row_id, None)
        return _DONE

    def outbox_attempted(self, row_id: int, attempts: int) -> Awaitable[None]:
        """See `Storage.outbox_attempted`."""
        if row := self._rows.get(row_id):
            row.attempts = attempts
        return _DONE

    def outbox_bury(self, row: OutboxRow, cause: str, time: str) -> Awaitable[None]:
        """See `Storage.outbox_bury`."""
        self._rows.pop(row.row_id, None)
        self._dead[row.row_id] = DeadLetter(row, cause, time)
        return _DONE

    async def outbox_dead_letters(
        self, after: int = 0, limit: int = MAX_ROWS_PER_LOAD
    ) -> list[DeadLetter]:
        """See `Storage.outbox_dead_letters`."""
        found = (self._dead[row_id] for row_id in sorted(self._dead) if row_id > after)
        return [replace(each, row=replace(each.row)) for each in islice(found, limit)]

    async def outbox_requeue(self, row_ids: Iterable[int]) -> list[OutboxRow]:
        """See `Storage.outbox_requeue`."""
        found = [self._dead.pop(row_id).row for row_id in sorted({*row_ids} & {*self._dead})]
        for row in found:
            row.attempts = 0
            self._rows[row.row_id] = row
        return [replace(row) for row in found]

    def outbox_discard(self, row_ids: Iterable[int]) -> Awaitable[None]:
        """See `Storage.outbox_discard`."""
        for row_id in row_ids:
            self._dead.pop(row_id, None)
        return _DONE

    async def outbox_thin(self, after: int, *, transactions: bool) -> int:
        """See `Storage.outbox_thin`."""
        lanes: dict[str, list[int]] = {}
        for row_id in sorted(self._rows):
            row = self._rows[row_id]
            if (
                row_id > after
                and row.droppable
                and (row.action == "TransactionEvent") is transactions
            ):
                lanes.setdefault(row.lane, []).append(row_id)
        dropped = [row_id for lane in lanes.values() for row_id in lane[::2]]
        self.outbox_remove(dropped)
        return len(dropped)

    async def outbox_holds(self, lane: str, after: int = 0) -> bool:
        """See `Storage.outbox_holds`."""
        return any(row_id > after and row.lane == lane for row_id, row in self._rows.items())

    async def outbox_undated(
        self, after: int = 0, limit: int = MAX_ROWS_PER_LOAD
    ) -> list[OutboxRow]:
        """See `Storage.outbox_undated`."""
        return self._page(after, limit, lambda row: row.run != 0)

    def outbox_redate(self, payloads: Sequence[tuple[int, bytes]]) -> Awaitable[None]:
        """See `Storage.outbox_redate`."""
        for row_id, payload in payloads:
            if row := self._rows.get(row_id):
                row.payload, row.run = payload, 0
        return _DONE

    async def queue_size(self) -> QueueSize:
        """See `Storage.queue_size`."""
        return QueueSize(len(self._rows), len(self._dead))

    def _page(self, after: int, limit: int, wanted: Callable[[OutboxRow], bool]) -> list[OutboxRow]:
        """Copies of the first rows in the order of their ids."""
        ids = sorted(row_id for row_id in self._rows if row_id > after)
        found = (row for row_id in ids if wanted(row := self._rows[row_id]))
        return [replace(row) for row in islice(found, limit)]

    def readings_append(self, rows: Sequence[ReadingRow]) -> Awaitable[None]:
        """See `Storage.readings_append`."""
        self._readings |= {(row.transaction_id, row.number): row for row in rows}
        return _DONE

    async def readings_load(self) -> list[ReadingRow]:
        """See `Storage.readings_load`."""
        return [self._readings[key] for key in sorted(self._readings)]

    def readings_thin(self, transaction_id: str) -> Awaitable[None]:
        """See `Storage.readings_thin`."""
        for key in [key for key in sorted(self._readings) if key[0] == transaction_id][1::2]:
            del self._readings[key]
        return _DONE

    def readings_remove(self, transaction_ids: Iterable[str]) -> Awaitable[None]:
        """See `Storage.readings_remove`."""
        gone = {*transaction_ids}
        for key in [key for key in self._readings if key[0] in gone]:
            del self._readings[key]
        return _DONE

    async def state_load(self) -> dict[str, str]:
        """See `Storage.state_load`."""
        return dict(self._state)

    def state_store(self, changes: Facts) -> Awaitable[None]:
        """See `Storage.state_store`."""
        for name, value in changes.items():
            if value is None:
                self._state.pop(name, None)
            else:
                self._state[name] = value
        return _DONE


class MemoryStorage(_Messages):
    """A `Storage` of which nothing survives. No verb ever waits."""

    durable = False
    set_aside: str | None = None
    fault: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self._components: dict[ComponentKey, ComponentRow] = {}
        self._values: dict[ValueKey, ValueRow] = {}
        self._monitors: dict[int, MonitorRow] = {}
        self._security_log: deque[SecurityLogRow] = deque(maxlen=MAX_SECURITY_LOG_ROWS)

    async def open(self) -> None:
        """See `Storage.open`."""

    async def close(self) -> None:
        """See `Storage.close`. What is stored stays for another `open`."""

    async def replace_damaged(
        self, rows: Iterable[OutboxRow] = (), facts: Facts = NO_FACTS
    ) -> None:
        """See `Storage.replace_damaged`. Nothing is ever damaged here."""
        self._rows |= {row.row_id: row for row in rows}
        self.state_store(facts)

    async def components_load(self) -> list[ComponentRow]:
        """See `Storage.components_load`."""
        return [self._components[key] for key in sorted(self._components)]

    def components_store(self, rows: Sequence[ComponentRow]) -> Awaitable[None]:
        """See `Storage.components_store`."""
        self._components |= {_component(*row.key): row for row in rows}
        return _DONE

    def components_remove(self, keys: Iterable[ComponentKey]) -> Awaitable[None]:
        """See `Storage.components_remove`."""
        removed = {_component(*key) for key in keys} & {*self._components}
        for key in removed:
            del self._components[key]
        for key in [key for key in self._values if key[:4] in removed]:
            del self._values[key]
        for row in [row for row in self._monitors.values() if _component(*row[1:5]) in removed]:
            del self._monitors[row.monitor_id]
        return _DONE

    async def values_load(self) -> list[ValueRow]:
        """See `Storage.values_load`."""
        return list(self._values.values())

    def values_store(self, rows: Sequence[ValueRow]) -> Awaitable[None]:
        """See `Storage.values_store`."""
        self._values |= {_value(row[:7]): row for row in rows}
        return _DONE

    def values_remove(self, keys: Iterable[ValueKey]) -> Awaitable[None]:
        """See `Storage.values_remove`."""
        for key in keys:
            self._values.pop(_value(key), None)
        return _DONE

    async def monitors_load(self) -> list[MonitorRow]:
        """See `Storage.monitors_load`."""
        return [self._monitors[monitor_id] for monitor_id in sorted(self._monitors)]

    def monitors_store(self, rows: Sequence[MonitorRow]) -> Awaitable[None]:
        """See `Storage.monitors_store`."""
        self._monitors |= {row.monitor_id: row for row in rows}
        return _DONE

    def monitors_remove(self, monitor_ids: Iterable[int]) -> Awaitable[None]:
        """See `Storage.monitors_remove`."""
        for monitor_id in monitor_ids:
            self._monitors.pop(monitor_id, None)
        return _DONE

    def security_log_append(self, rows: Sequence[SecurityLogRow]) -> Awaitable[None]:
        """See `Storage.security_log_append`."""
        self._security_log.extend(rows)
        return _DONE

    async def security_log_load(self, limit: int) -> list[SecurityLogRow]:
        """See `Storage.security_log_load`."""
        return list(self._security_log)[-limit:] if limit > 0 else []
