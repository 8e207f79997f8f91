"""Parts of the transaction block without a station around them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from ocpp_fast.blocks.context import Context
from ocpp_fast.config import Variables
from ocpp_fast.messages import OcppVersion, v21
from ocpp_fast.station_clock import StationClock
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.testing import VirtualClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class FakeFacts:
    """What was put, and how often."""

    def __init__(self, *, durable: bool = True) -> None:
        self.durable = durable
        self.stored: dict[str, str] = {}
        self.puts: list[dict[str, str | None]] = []

    def put(self, facts: Mapping[str, str | None]) -> None:
        self.puts.append(dict(facts))
        for name, text in facts.items():
            if text is None:
                self.stored.pop(name, None)
            else:
                self.stored[name] = text


class FakeDelivery:
    """Takes notes and runs them when told."""

    def __init__(self, *, durable: bool = True) -> None:
        self.facts = FakeFacts(durable=durable)
        self.notes: list[Callable[[], Awaitable[None]]] = []

    def note(self, verb: Callable[[], Awaitable[None]]) -> None:
        self.notes.append(verb)

    async def write(self) -> None:
        """All that was noted, in its order."""
        while self.notes:
            await self.notes.pop(0)()


class DurableMemory(MemoryStorage):
    """A storage that outlives the station that uses it."""

    durable = True


class FakeModel:
    def __init__(self, **variables: Any) -> None:
        self.variables = replace(Variables(), **variables)
        self.connectors = dict.fromkeys(range(1, 5), 1)
        self.listeners: list[Callable[[frozenset[str]], None]] = []

    def subscribe(self, listener: Callable[[frozenset[str]], None]) -> None:
        self.listeners.append(listener)

    def write(self, **changes: Any) -> None:
        self.variables = replace(self.variables, **changes)
        for listener in self.listeners:
            listener(frozenset(changes))


def context(
    version: OcppVersion = OcppVersion.V21,
    *,
    clock: VirtualClock | None = None,
    durable: bool = True,
    callbacks: Any = None,
    **variables: Any,
) -> Context:
    """One with fakes, as far as the parts need it."""
    unused: Any = None
    model: Any = FakeModel(**variables)
    delivery: Any = FakeDelivery(durable=durable)
    asked: Any = callbacks or SimpleNamespace(restore_transaction_callback=None)
    return Context(
        clock=StationClock(clock) if clock else unused, ids=unused, device_model=model,
        callbacks=asked,
        delivery=delivery, spawn=unused, version=version, callback_timeout_s=1.0,
    )  # fmt: skip


def reading(
    energy_wh: float | None, at_s: float = 0, version: OcppVersion = OcppVersion.V21, **more: float
) -> Any:
    """A meter reading, so many seconds after NOW; `more` are values of other measurands, with
    underscores for dots."""
    m: Any = version.module
    values = [
        m.SampledValueType(value=value, measurand=name.replace("_", "."))
        for name, value in more.items()
    ]
    if energy_wh is not None:
        values.insert(0, m.SampledValueType(value=energy_wh))
    return m.MeterValueType(timestamp=NOW + timedelta(seconds=at_s), sampled_value=values)


def energy_of(value: v21.MeterValueType | None) -> float | None:
    return None if value is None else value.sampled_value[0].value
