"""A link that comes and goes for an hour: no attempt is spent, nothing is lost or reordered, and
what arrives twice can be told from its number."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from ocpp_fast.ids import Ids
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.storage.sqlite import SqliteStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.moody_kit import STUBBORN, MoodySite, drivers, key
from pair.station_kit import VERSIONS

if TYPE_CHECKING:
    from pathlib import Path

    from ocpp_fast.storage import Storage

HOUR_S: Final = 3_600

# An attempt that is counted is the last one, and the message dead.
ONE_TRY: Final = replace(STUBBORN, message_attempts=1, message_timeout_s=20)


async def flap(site: MoodySite, *, up_s: float, down_s: float, seed: int) -> int:
    """Breaks the link again and again for an hour; returns how often."""
    chance = Ids(seed=seed)
    cuts = 0
    end_s = site.clock.elapsed_s + HOUR_S
    while site.clock.elapsed_s < end_s:
        await site.clock.sleep(0.05 + up_s * chance.random())
        if site.link is not None and not site.link.left.closed:
            site.cut(until_s=0.05 + down_s * chance.random())
            cuts += 1
        # Frames take their time, so that most cuts fall between a request and its answer.
        while not site.reachable or site.link is None or site.link.left.closed:
            await site.clock.sleep(0.1)
        site.link.to_right.delay_s = site.link.to_left.delay_s = 0.2
    return cuts


async def an_hour(site: MoodySite, *, up_s: float, down_s: float, seed: int = 5) -> None:
    sessions = 12
    everybody = asyncio.gather(*(drivers(site, evse_id, sessions) for evse_id in (1, 2, 3)))
    cuts = await flap(site, up_s=up_s, down_s=down_s, seed=seed)
    await everybody
    storage = site.station.charge_point._storage
    assert all(row.attempts == 0 for row in await storage.outbox_load())
    await site.clock.sleep(300)
    delivery = site.station.charge_point.delivery
    assert (delivery.waiting, delivery.dead, delivery.thinned) == (0, 0, 0)
    assert await storage.outbox_dead_letters() == []
    site.check()
    assert len({key(event)[0] for event in site.created}) == 3 * sessions
    twice = len(site.received) - len(site.created)
    assert cuts > 150
    assert 0 < twice <= cuts, "one message is under way at a time, so each cut doubles one at most"
    times = Counter(key(event) for event in site.received)
    assert max(times.values()) < 60, "every message gets through, however short the link lives"


def at_flapping_site(storage: Storage, seed: int, *, up_s: float, down_s: float) -> None:
    async def run(clock: VirtualClock) -> None:
        site = MoodySite(
            clock,
            VERSIONS[seed % 2],
            evses=3,
            variables=ONE_TRY,
            storage=storage,
            ids=Ids(seed=50 + seed),
        )
        async with site:
            await an_hour(site, up_s=up_s, down_s=down_s, seed=seed)

    run_virtual(run)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("up_s", "down_s"), [(1.0, 1.0), (8.0, 4.0), (2.0, 20.0)])
def test_an_hour_of_flapping_spends_no_attempt(up_s: float, down_s: float, seed: int) -> None:
    """E11.FR.01, E11.FR.02, E11.FR.07, E13.FR.02."""
    at_flapping_site(MemoryStorage(), seed, up_s=up_s, down_s=down_s)


def test_an_hour_of_flapping_with_a_database(tmp_path: Path) -> None:
    at_flapping_site(SqliteStorage(tmp_path / "station.db"), 9, up_s=8.0, down_s=4.0)
