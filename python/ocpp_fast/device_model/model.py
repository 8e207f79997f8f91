"""The device model of one station: values in memory, kept on the disk, and told to who listens."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from ocpp_fast.device_model.guards import Guards
from ocpp_fast.device_model.handle import ATTRIBUTES, CSMS, INTERNAL, VariableHandle, address
from ocpp_fast.device_model.snapshot import Snapshot
from ocpp_fast.device_model.start import take_up
from ocpp_fast.device_model.telling import Telling
from ocpp_fast.device_model.writer import Writer
from ocpp_fast.errors import ConfigurationError, StorageError
from ocpp_fast.storage.base import ComponentRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ocpp_fast._core import DeviceModelCache, Selection
    from ocpp_fast.clock import Clock
    from ocpp_fast.config import VariableListener, Variables
    from ocpp_fast.device_model.guards import Check
    from ocpp_fast.device_model.telling import Change, ChangeListener, EventListener
    from ocpp_fast.messages import Message
    from ocpp_fast.storage.base import Storage, ValueKey, ValueRow

__all__ = ["DeviceModel"]

_log = logging.getLogger(__name__)

_ACTUAL: Final = ATTRIBUTES[0]
_UNKNOWN_COMPONENT: Final = -1
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_MAX_VALUE: Final = 2_500
"""Longest value of an attribute, in characters (Part 2, VariableAttributeType)."""


class DeviceModel:
    """Components and variables of one station. Belongs to one event loop.

    Single variables are read and written through handles:

        power = device_model.variable("EVSE", "Power", evse_id=1)
        power.set(7_360.0)

    What the blocks need of it is one typed snapshot, `variables`. What the CSMS writes comes
    through `set_variables`. After each change those are told who want to know; what they raise is
    logged.
    """

    def __init__(
        self,
        cache: DeviceModelCache,
        storage: Storage,
        *,
        clock: Clock,
        overrides: Variables | None = None,
        components: Sequence[ComponentRow] = (),
    ) -> None:
        """Works in memory at once; `open` adds what an earlier run has stored.

        `cache` belongs to this station alone, see `DeviceModelCache.copy`; `components` are those
        whose definitions it has forgotten, because many stations share them. Fields of `overrides`
        that differ from the defaults of `Variables` take the place of the files' values. Raises
        `ConfigurationError` for one that its variable cannot have.
        """
        self.cache = cache
        """The values, for blocks that need more of them than this class passes on."""
        self._storage = storage
        self._clock = clock
        self._components = components
        self._opened = False
        self._handles: dict[int, VariableHandle] = {}
        self._writer = Writer(storage, clock)
        self._snapshot = Snapshot(cache)
        if overrides is not None:
            self._snapshot.override(overrides)
        self._telling = Telling(cache, self.handle, self._snapshot.fields)
        self._guards = Guards(self._snapshot, self.handle)
        for number in self._snapshot.fields:
            cache.watch(number)
            cache.guard(number)
        self._connectors: dict[int, int] = cache.connectors()
        cache.set_sizes(self._size("ReportingValueSize"), self._size("ConfigurationValueSize"))
        # One request after the other, so that a later one is checked against what holds by then.
        self._setting = asyncio.Lock()
        self._date_time = cache.find("ClockCtrlr", None, None, None, "DateTime", None)
        self._second = (_NEVER, _NEVER)
        """The second that is written there, and its end."""

    def _size(self, variable: str) -> int:
        number = self.cache.find("DeviceDataCtrlr", None, None, None, variable, None)
        text = self.cache.value(number) if number >= 0 else None
        return int(text) if text else _MAX_VALUE

    # --- the port `config.DeviceModel` ------------------------------------------------------

    @property
    def connectors(self) -> Mapping[int, int]:
        """How many connectors each EVSE has; EVSE ids count from 1 without a gap."""
        return self._connectors

    @property
    def variables(self) -> Variables:
        """The variables that the blocks use, as they are now. A change makes a new object."""
        return self._snapshot.variables

    def write(self, **changes: Any) -> None:
        """Sets variables by their field names (see `Variables`), all or none, and tells the
        listeners. What is persistent is stored some time later.

        Raises `ConfigurationError` for a value that a field or its variable cannot have.
        """
        found = self._snapshot.texts(changes)
        taken = [self.cache.write(number, 0, text, INTERNAL) for number, text in found]
        unbound = self._snapshot.put_unbound(changes)
        self.took([change for change in taken if change is not None], INTERNAL, unbound)
        self._telling.flush_events()

    def subscribe(self, listener: VariableListener) -> None:
        """Calls `listener` with the names of the fields that have changed, after each change."""
        self._telling.subscribe(listener)

    # --- for integrators and blocks ---------------------------------------------------------

    def variable(
        self,
        component: str,
        variable: str,
        *,
        instance: str | None = None,
        evse_id: int | None = None,
        connector_id: int | None = None,
        variable_instance: str | None = None,
    ) -> VariableHandle:
        """One variable; `instance` is the component's. Names compare without regard to case.

        Raises `ConfigurationError` for one that this device model does not have.
        """
        place = component, instance, evse_id, connector_id, variable, variable_instance
        number = self.cache.find(*place)
        if number < 0:
            what = "component" if number == _UNKNOWN_COMPONENT else "variable"
            raise ConfigurationError(f"there is no such {what}: {address(place)}")
        return self.handle(number)

    def handle(self, number: int) -> VariableHandle:
        """The variable that the cache knows by this number."""
        handle = self._handles.get(number)
        if handle is None:
            handle = self._handles[number] = VariableHandle(self, number)
        return handle

    def define(self, component: Mapping[str, Any]) -> None:
        """Adds a component of the integrator's own, in the format of component files.

        To be called at each start, before `open`: then it counts like one of the files. Raises
        `ConfigurationError` that lists what is wrong with it, or says that it exists already.
        """
        import orjson  # only where it is needed

        problems = self.cache.add(orjson.dumps(component))
        if problems:
            listed = (f"  {pointer or '/'}: {text}" for _, pointer, _, text in problems)
            name = component.get("name")
            raise ConfigurationError(f"the component {name!r}:\n" + "\n".join(listed))
        self._connectors = self.cache.connectors()

    def guard(
        self,
        component: str,
        variable: str,
        check: Check,
        *,
        instance: str | None = None,
        evse_id: int | None = None,
        connector_id: int | None = None,
        variable_instance: str | None = None,
    ) -> None:
        """Gives `check` a say in what the CSMS writes to a variable, whichever attribute; the first
        of several checks that has something to say decides. Raises like `variable`."""
        number = self.variable(
            component,
            variable,
            instance=instance,
            evse_id=evse_id,
            connector_id=connector_id,
            variable_instance=variable_instance,
        ).number
        self.guard_all((number,), check)

    def guard_all(self, numbers: Iterable[int], check: Check) -> None:
        """Like `guard`, of several variables, by the numbers of the cache."""
        numbers = tuple(numbers)
        for number in numbers:
            self.cache.guard(number)
        self._guards.add(numbers, check)

    def on_change(self, listener: ChangeListener) -> Callable[[], None]:
        """Calls `listener` after each change that the CSMS has made, and after each change of a
        variable that somebody listens to (`VariableHandle.on_change`); returns what ends that.

        Other changes, such as telemetry, are told to nobody, which is what makes them cheap.
        """
        return self._telling.watch_all(listener)

    def on_events(self, listener: EventListener) -> None:
        """Calls `listener` with what monitors have found, once for all writes of one pass of the
        event loop."""
        self._telling.watch_events(listener)

    # --- for the owner ----------------------------------------------------------------------

    async def open(self) -> None:
        """Takes up what an earlier run has stored, and stores what the component files have changed
        since, see `start.take_up`. The storage is open already. Raises `StorageError` when nothing
        can be read, after which it may be tried again; nothing happens when it was opened
        before."""
        if self._opened:
            return
        before = self._telling.texts()
        own = (ComponentRow(*row) for row in self.cache.components())
        await take_up(
            self.cache,
            self._storage,
            (*self._components, *own),
            self._connectors,
            self._writer.waiting,
        )
        self.cache.forget_definitions()
        self._opened = True
        self._telling.tell_restored(self._snapshot.refresh(), before)

    async def run(self) -> None:
        """Stores what is written, until `finish` was called and nothing is left."""
        self._telling.flush_events()
        await self._writer.run()

    def finish(self) -> None:
        """Lets `run` return once everything is stored, or the storage has failed once more."""
        self._writer.finish()

    async def close(self) -> None:
        """Stores what was written since `run` has ended."""
        self._writer.finish()
        await self._writer.run()

    async def drained(self) -> None:
        """Returns when everything is stored; with a failing storage, when it works again."""
        await self._writer.drained()

    # --- B05 to B08 -------------------------------------------------------------------------

    def refresh(self) -> None:
        """Brings ClockCtrlr.DateTime up to the second. Whatever answers the CSMS here does it."""
        begun, over = self._second
        if self._date_time < 0 or begun <= (now := self._clock.now()) < over:
            return
        begun = now.replace(microsecond=0)
        self._second = begun, begun + _SECOND
        text = begun.isoformat().replace("+00:00", "Z")
        change = self.cache.write(self._date_time, 0, text, INTERNAL)
        if change is not None:  # Somebody listens; to store it would be of no use.
            self.took(((*change[:5], None),), INTERNAL)

    def get_variables(self, request: Message) -> Message:
        """B06: GetVariables, of either OCPP version."""
        self.refresh()
        return self.cache.get_variables(request)

    def base_report(self, kind: int) -> Selection:
        """B07: 0 ConfigurationInventory, 1 FullInventory, 2 SummaryInventory."""
        self.refresh()
        return self.cache.base_report(kind)

    def report(self, request: Message) -> Selection:
        """B08: what a GetReport of either version asks for."""
        self.refresh()
        return self.cache.report(request)

    async def set_variables(self, request: Message, source: str = CSMS) -> Message:
        """B05: SetVariables, of either OCPP version.

        What is persistent is stored in one transaction. Once that is durable all that was accepted
        changes at once, and listeners are told. When the storage fails nothing changes, and
        everything that could have been accepted is answered Rejected (B05.FR.09).
        """
        async with self._setting:
            plan = self.cache.plan(request, source)
            along = self._guards.judge(plan, source)
            response: Any = None

            def apply() -> None:
                nonlocal response
                response, changes, events = plan.apply(self._telling.wants_all)
                self.took(changes, source, stored=True)
                self._telling.tell_events(events)
                if along:
                    self._apply(along, INTERNAL)

            rows = plan.rows
            if along:
                rows += _rows(self.cache, along, INTERNAL)
            if not rows:
                apply()
                return response
            try:
                await self._writer.store(rows, apply)
            except StorageError as error:
                _log.error("what the CSMS sets cannot be stored: %s", error)
                return plan.fail("InternalError", "the storage failed")
            return response

    async def write_all(self, writes: Mapping[int, str], source: str) -> None:
        """Writes the attribute Actual of several variables, by their numbers, whatever the CSMS may
        do with them: all or none. What is persistent is stored in one transaction; all is in force
        when it returns.

        Raises `ConfigurationError` for a value that its variable cannot have, and `StorageError`;
        nothing has changed then.
        """
        for number, text in writes.items():
            try:
                self.cache.check(number, 0, text)
            except ValueError as error:
                name = address(self.cache.describe(number)[:6])
                raise ConfigurationError(f"{name}: {error}") from None
        async with self._setting:
            rows = _rows(self.cache, writes, source)
            if rows:
                await self._writer.store(rows, lambda: self._apply(writes, source))
            else:
                self._apply(writes, source)

    def _apply(self, writes: Mapping[int, str], source: str) -> None:
        """Puts checked values in force that are stored already."""
        taken = [self.cache.write(number, 0, text, source) for number, text in writes.items()]
        self.took([change for change in taken if change is not None], source, stored=True)
        self._telling.flush_events()

    # --- for handles and blocks -------------------------------------------------------------

    def took(
        self,
        changes: Iterable[Change],
        source: str,
        fields: frozenset[str] = frozenset(),
        *,
        stored: bool = False,
    ) -> None:
        """The cache has taken these changes, and `fields` have changed without a variable behind
        them: stores what is not `stored` already and tells those who want to know."""
        told: list[Change] = []
        everything = stored and self._telling.wants_all
        for change in changes:
            if not stored and change[5] is not None:
                self._writer.put(change[5])
            if change[4] or everything:
                told.append(change)
        if told or fields:
            fields |= self._snapshot.update([change[0] for change in told])
            self._telling.tell(fields, told, source)

    def watch(self, number: int, listener: ChangeListener) -> Callable[[], None]:
        """See `VariableHandle.on_change`."""
        return self._telling.watch(number, listener)

    async def flush(self, key: ValueKey) -> None:
        """Stores an attribute now if that was not done yet; raises `StorageError`, after which it
        is tried again."""
        await self._writer.flush(key)

    def flush_events(self) -> None:
        """Tells what monitors have found since, in the next pass of the event loop."""
        self._telling.flush_events()


def _rows(cache: DeviceModelCache, writes: Mapping[int, str], source: str) -> list[ValueRow]:
    """What has to be stored of writes to Actual attributes."""
    rows: list[ValueRow] = []
    for number, text in writes.items():
        found = cache.describe(number)
        component, instance, evse_id, connector_id, variable, of_variable = found[:6]
        if any(kind == 0 and persistent for kind, _, persistent, _ in found[12]):
            place = component, instance or "", evse_id or 0, connector_id or 0
            rows.append((*place, variable, of_variable or "", _ACTUAL, text, source))
    return rows
