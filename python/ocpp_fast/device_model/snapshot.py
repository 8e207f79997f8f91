"""The typed snapshot of the variables that blocks use, kept up to date change by change."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ocpp_fast.config import Variables
from ocpp_fast.device_model.bindings import BINDINGS, SWITCHES
from ocpp_fast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocpp_fast._core import DeviceModelCache

__all__ = ["Snapshot"]

_log = logging.getLogger(__name__)

_DEFAULTS: Final = Variables()


class Snapshot:
    """`variables` is what the cache says, as far as the fields of `Variables` go.

    A field whose variable is not in the component files has the default of `Variables`, or what
    the configuration or the program says; nothing keeps that.
    """

    def __init__(self, cache: DeviceModelCache) -> None:
        self._cache = cache
        self._bound: dict[str, int] = {}
        self._switches: dict[str, int] = {}
        self._off: dict[str, Any] = {}
        self.variables = _DEFAULTS
        """Never changed, always replaced."""
        self.fields: dict[int, list[str]] = {}
        """Variable number -> the fields that depend on it."""
        for component, off in SWITCHES.items():
            number = cache.find(component, None, None, None, "Enabled", None)
            if number >= 0:
                self._off |= off
                for name in off:
                    self._switches[name] = number
                    self.fields.setdefault(number, []).append(name)
        for name, binding in BINDINGS.items():
            number = cache.find(
                binding.component, None, None, None, binding.variable, binding.instance
            )
            if number >= 0:
                self._bound[name] = number
                self.fields.setdefault(number, []).append(name)
        self.refresh()

    def override(self, overrides: Variables) -> None:
        """Puts the fields that differ from the defaults in the place of the files' values.

        Raises `ConfigurationError`, `/heartbeat_interval_s: what is wrong`.
        """
        differing = {
            name: value
            for name in BINDINGS
            if (value := getattr(overrides, name)) != getattr(_DEFAULTS, name)
        }
        for name, value in differing.items():
            number = self._bound.get(name)
            if number is not None:
                text = "" if value is None else BINDINGS[name].kind.format(value)
                try:
                    self._cache.default(number, 0, text)
                except ValueError as error:
                    raise ConfigurationError(f"/{name}: {error}") from None
        self.put_unbound(differing)
        self.refresh()

    def texts(self, changes: Mapping[str, Any]) -> list[tuple[int, str]]:
        """The variables to write, and what, for changes of fields.

        Raises `ConfigurationError` when there is one that cannot be.
        """
        replace(self.variables, **changes)
        found: list[tuple[int, str]] = []
        for name, value in changes.items():
            number = self._bound.get(name)
            if number is None:
                continue
            if value is None:
                raise ConfigurationError(f"/{name}: a variable cannot lose its value")
            text = BINDINGS[name].kind.format(value)
            try:
                self._cache.check(number, 0, text)
            except ValueError as error:
                raise ConfigurationError(f"/{name}: {error}") from None
            found.append((number, text))
        return found

    def put_unbound(self, changes: Mapping[str, Any]) -> frozenset[str]:
        """Takes changes of fields that have no variable; returns those that have changed."""
        return self._take({n: v for n, v in changes.items() if n not in self._bound})

    def update(self, numbers: Iterable[int]) -> frozenset[str]:
        """Takes over the values of these variables; returns the fields that have changed."""
        names = {name for number in numbers for name in self.fields.get(number, ())}
        return self._take({name: self._value(name) for name in names}) if names else _NOTHING

    def refresh(self) -> frozenset[str]:
        """Takes over all values; returns the fields that have changed."""
        return self.update(self.fields)

    def objection(self, number: int, text: str) -> str | None:
        """Why a field cannot take this value of its variable; None if it can."""
        for name in self.fields.get(number, ()):
            if self._bound.get(name) == number:
                try:
                    replace(self.variables, **{name: BINDINGS[name].parse(text)})
                except (ConfigurationError, ValueError) as error:
                    return str(error)
        return None

    def _value(self, name: str) -> Any:
        switch = self._switches.get(name)
        if switch is not None and self._cache.value(switch) == "false":
            return self._off[name]
        number = self._bound.get(name)
        if number is None:
            return getattr(self.variables, name)
        try:
            return BINDINGS[name].parse(self._cache.value(number))
        except ValueError as error:
            return self._of_no_use(name, error)

    def _take(self, values: Mapping[str, Any]) -> frozenset[str]:
        changed = {n: v for n, v in values.items() if v != getattr(self.variables, n)}
        if not changed:
            return _NOTHING
        try:
            self.variables = replace(self.variables, **changed)
        except ConfigurationError as error:
            if len(changed) > 1:  # All the others are taken.
                return _NOTHING.union(*(self._take({n: v}) for n, v in changed.items()))
            self._of_no_use(next(iter(changed)), error)
            return _NOTHING
        return frozenset(changed)

    def _of_no_use(self, name: str, error: Exception) -> Any:
        """A guard keeps the CSMS from it; a program or a component file may still do it."""
        _log.error("a value of the device model is of no use: %s: %s", name, error)
        return getattr(self.variables, name)


_NOTHING: Final = frozenset[str]()
