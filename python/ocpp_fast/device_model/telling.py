"""Who is told what of the device model. What a listener raises is logged and stops nothing."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ocpp_fast.device_model.handle import ATTRIBUTES, VariableChange, VariableHandle

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from ocpp_fast._core import DeviceModelCache
    from ocpp_fast.config import VariableListener

__all__ = ["Change", "ChangeListener", "EventListener", "Telling"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

Change: TypeAlias = "tuple[int, int, str | None, str, bool, Any]"
"""Variable, attribute, old and new value, watched, row to store: as the cache gives it."""

ChangeListener: TypeAlias = "Callable[[VariableChange], None]"
EventListener: TypeAlias = "Callable[[list[tuple[int, int, str, bool]]], None]"
"""Gets (monitor, variable, value, cleared) of each event."""


class Telling:
    """The listeners of one device model."""

    def __init__(
        self,
        cache: DeviceModelCache,
        handle: Callable[[int], VariableHandle],
        watched: Container[int],
    ) -> None:
        """`watched` are variables that the cache has to tell of, listeners or not."""
        self._cache = cache
        self._watched = watched
        self._handle = handle
        self._fields: tuple[VariableListener, ...] = ()
        self._variables: dict[int, tuple[ChangeListener, ...]] = {}
        self._everything: tuple[ChangeListener, ...] = ()
        self._events: tuple[EventListener, ...] = ()
        self._flushing = False

    def subscribe(self, listener: VariableListener) -> None:
        """To changes of the fields of `Variables`."""
        self._fields = (*self._fields, listener)

    def watch(self, number: int, listener: ChangeListener) -> Callable[[], None]:
        """To changes of one variable, until the result is called."""
        self._cache.watch(number)
        self._variables[number] = (*self._variables.get(number, ()), listener)

        def end() -> None:
            left = _without(self._variables.get(number, ()), listener)
            if left:
                self._variables[number] = left
            elif self._variables.pop(number, None) and number not in self._watched:
                self._cache.watch(number, False)  # noqa: FBT003  # the core has no keywords

        return end

    def watch_all(self, listener: ChangeListener) -> Callable[[], None]:
        """To all changes that are told at all, until the result is called."""
        self._everything = (*self._everything, listener)

        def end() -> None:
            self._everything = _without(self._everything, listener)

        return end

    def watch_events(self, listener: EventListener) -> None:
        """To what monitors find."""
        self._events = (*self._events, listener)

    @property
    def wants_all(self) -> bool:
        """Whether somebody wants to know also of variables that nobody watches."""
        return bool(self._everything)

    def tell(self, fields: frozenset[str], changes: Iterable[Change], source: str) -> None:
        """Tells what has changed: the fields of `Variables` first."""
        if fields:
            for listener in self._fields:
                _call(listener, fields)
        for number, attribute, old, new, _, _ in changes:
            listeners = self._variables.get(number, ()) + self._everything
            if listeners:
                change = VariableChange(
                    self._handle(number), ATTRIBUTES[attribute], old, new, source
                )
                for listener in listeners:
                    _call(listener, change)

    def texts(self) -> dict[tuple[int, int], str | None]:
        """The values of all variables that somebody listens to."""
        return {
            (number, kind): self._cache.value(number, kind)
            for number in self._variables
            for kind, *_ in self._cache.describe(number)[-2]
        }

    def tell_restored(
        self, fields: frozenset[str], before: dict[tuple[int, int], str | None]
    ) -> None:
        """Tells what an earlier run has set, where it is not what `texts` gave before."""
        self.tell(fields, (), "")
        for (number, kind), old in before.items():
            new = self._cache.value(number, kind)
            if new is not None and new != old:
                change = (number, kind, old, new, True, None)
                self.tell(frozenset(), (change,), self._cache.source(number, kind))

    def flush_events(self) -> None:
        """Tells what monitors have found, in the next pass of the event loop."""
        if not self._flushing and self._cache.has_events:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return  # Before the start; `DeviceModel.run` does it.
            self._flushing = True
            loop.call_soon(self._take_events)

    def _take_events(self) -> None:
        self._flushing = False
        self.tell_events(self._cache.take_events())

    def tell_events(self, events: Sequence[tuple[int, int, str, bool]]) -> None:
        """Tells what monitors have found."""
        if events:
            for listener in self._events:
                _call(listener, list(events))


def _call(listener: Callable[[_T], None], message: _T) -> None:
    try:
        listener(message)
    except Exception:
        _log.exception("a listener of the device model failed")


def _without(listeners: tuple[ChangeListener, ...], one: ChangeListener) -> tuple[Any, ...]:
    return tuple(each for each in listeners if each is not one)
