"""The states of connectors: what they are made of, and what of it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ocpp_fast.blocks.availability import Availability
from ocpp_fast.blocks.context import Context
from ocpp_fast.errors import ConfigurationError
from ocpp_fast.restoring import Restart

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RESTART = Restart("PowerUp", NOW)
FLAGS = ("Faulted", "Unavailable", "Reserved", "Occupied")


class Facts:
    """Of `Journal`, what keeps facts."""

    def __init__(self, *, durable: bool = True) -> None:
        self.durable = durable
        self.kept: dict[str, str] = {}
        self.writes = 0

    def put(self, facts: Mapping[str, str | None]) -> None:
        self.writes += 1
        for name, fact in facts.items():
            if fact is None:
                del self.kept[name]
            else:
                self.kept[name] = fact

    async def keep(self, facts: Mapping[str, str | None]) -> bool:
        self.put(facts)
        return True


def made(facts: Facts | None = None) -> tuple[Availability, list[tuple[int, int, str]]]:
    changes: list[tuple[int, int, str]] = []
    context = SimpleNamespace(
        clock=SimpleNamespace(now=lambda: NOW),
        device_model=SimpleNamespace(connectors={1: 1, 2: 2}),
        facts=facts or Facts(),
    )
    on_state: Any = lambda *change: changes.append(change)  # noqa: E731
    return Availability(cast("Context", context), on_state=on_state), changes


@pytest.mark.parametrize("on", list(product([False, True], repeat=4)), ids=str)
@pytest.mark.parametrize("commanded", [(), (0, 0), (1, 0), (1, 1), (2, 0), (2, 1)], ids=str)
async def test_g01_fr_01_the_strongest_is_the_state(
    on: tuple[bool, ...], commanded: tuple[int, ...]
) -> None:
    availability, _ = made()
    if commanded:
        evse_id, connector_id = commanded
        await availability.command(evse_id or None, connector_id or None, operative=False)
    for flag, is_on in zip(FLAGS, on, strict=True):
        availability.set(1, 1, flag, on=is_on)
    concerned = commanded in ((0, 0), (1, 0), (1, 1))
    expected = next((flag for flag, is_on in zip(FLAGS, on, strict=True) if is_on), "Available")
    if concerned and expected != "Faulted":
        expected = "Unavailable"
    assert availability.status(1, 1) == expected
    assert availability.usable(1) is (expected not in ("Faulted", "Unavailable"))
    assert availability.occupied(1) is on[3]


async def test_every_change_of_a_state_is_told_once() -> None:
    availability, changes = made()
    availability.set(1, 1, "Occupied", on=True)
    availability.set(1, 1, "Occupied", on=True)
    availability.set(1, 1, "Faulted", on=True)
    availability.set(1, 1, "Occupied", on=False)
    availability.set(1, 1, "Faulted", on=False)
    assert changes == [(1, 1, "Occupied"), (1, 1, "Faulted"), (1, 1, "Available")]
    changes.clear()
    await availability.command(2, None, operative=False)
    assert changes == [(2, 1, "Unavailable"), (2, 2, "Unavailable")]
    await availability.command(2, 2, operative=False)
    await availability.command(2, None, operative=True)
    assert changes[2:] == [(2, 1, "Available")]


async def test_b01_fr_07_b01_fr_13_what_is_kept_is_restored() -> None:
    facts = Facts()
    availability, _ = made(facts)
    await availability.restore({}, RESTART)
    await availability.command(None, None, operative=False)
    await availability.command(None, None, operative=True)
    await availability.command(2, 1, operative=False)
    availability.set(2, 2, "Reserved", on=True)
    availability.set(1, 1, "Occupied", on=True)
    availability.set(1, 1, "Unavailable", on=True)
    assert len(facts.kept) == 2
    assert all(name.startswith(availability.prefix) for name in facts.kept)

    restored, changes = made(facts)
    await restored.restore(facts.kept, RESTART)
    assert changes == [(2, 1, "Unavailable"), (2, 2, "Reserved")]
    assert not restored.is_operative(2, 1)
    writes = facts.writes
    restored.set(2, 2, "Reserved", on=True)
    assert facts.writes == writes, "known already"
    restored.set(2, 2, "Reserved", on=False)
    await restored.command(2, 1, operative=True)
    assert facts.kept == {}


async def test_what_was_reserved_before_the_start_is_kept_by_it() -> None:
    facts = Facts()
    availability, _ = made(facts)
    availability.set(1, 1, "Reserved", on=True)
    assert facts.writes == 0, "there may be no event loop yet"
    await availability.restore({"availability.reserved.2.1": "1"}, RESTART)
    assert facts.kept == {"availability.reserved.1.1": "1"}
    assert [availability.status(*key) for key in ((1, 1), (2, 1))] == ["Reserved"] * 2


async def test_what_cannot_be_restored_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    availability, _ = made()
    facts = {
        "availability.reserved.9.1": "1",
        "availability.inoperative.1.9": "1",
        "availability.inoperative.x": "1",
        "availability.later.1.1": "1",
        "availability.reserved.1.1": "1",
    }
    await availability.restore(facts, RESTART)
    assert availability.status(1, 1) == "Reserved"
    assert availability.status(2, 1) == "Available"
    assert len(caplog.records) == 3


async def test_without_a_durable_storage_nothing_is_kept() -> None:
    facts = Facts(durable=False)
    availability, _ = made(facts)
    await availability.restore({}, RESTART)
    availability.set(1, 1, "Reserved", on=True)
    await availability.command(2, None, operative=False)
    assert facts.writes == 0
    assert availability.status(1, 1) == "Reserved"


@pytest.mark.parametrize("place", [(3, None), (3, 1), (1, 2), (0, None), (0, 1)], ids=str)
async def test_what_is_not_there_cannot_be_commanded(place: tuple[int, int | None]) -> None:
    availability, _ = made()
    with pytest.raises(ConfigurationError):
        await availability.command(*place, operative=False)
    with pytest.raises(ConfigurationError):
        availability.is_operative(*place)


def test_states_from_before_the_time_was_known_are_dated() -> None:
    availability, _ = made()
    availability.set(1, 1, "Occupied", on=True)
    availability.redate(lambda time: time + timedelta(hours=1))
    assert availability._since == {(1, 1): NOW + timedelta(hours=1)}
