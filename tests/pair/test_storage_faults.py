"""A station whose disk fails goes on charging, tells of it once, and loses and doubles nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocpp_fast.errors import StorageDamaged, StorageError
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.storage.sqlite import SqliteStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.fault_kit import check_transactions, told
from pair.station_kit import QUIET, TOKEN, VERSIONS, Site, at_site
from unit.storage.faulty import FaultySqlite, FaultyStorage

versions = pytest.mark.parametrize("version", VERSIONS)

OFTEN = {"tx_updated_interval_s": 10, "offline_tx_for_unknown_id_enabled": True}


@versions
def test_a_full_disk_stops_no_charging_and_is_told_once(version: OcppVersion) -> None:
    """A04.FR.01: MemoryExhaustion, when the disk becomes full; the events of a transaction come as
    they would."""
    storage: Any = FaultyStorage()

    async def scenario(site: Site) -> None:
        await site.charge(30, 1)
        storage.fill_up()
        await site.charge(60, 1)
        await site.charge(60, 2)
        point = site.station.charge_point
        check_transactions(site, 3)
        assert told(site, "MemoryExhaustion") == 1
        assert point.delivery.unstored == 0, "nothing waits any more"
        storage.error = None
        await site.clock.sleep(60)
        await site.charge(30, 1)
        check_transactions(site, 4)
        assert told(site, "MemoryExhaustion") == 1
        await site.clock.sleep(1)
        assert await storage.inner.outbox_load() == []
        # Again, and it is news again.
        storage.fill_up()
        await site.charge(30, 1)
        assert told(site, "MemoryExhaustion") == 2

    at_site(scenario, version, storage=storage, variables=OFTEN)


@versions
def test_what_a_failing_disk_did_not_take_is_stored_when_it_works_again(
    version: OcppVersion,
) -> None:
    """Offline all the while; the power fails after the disk works again, and before the link."""
    storage: Any = FaultyStorage()

    async def run(clock: VirtualClock) -> None:
        first = Site(clock, version, storage=storage, variables=replace(QUIET, **OFTEN))
        async with first:
            await first.charge(30, 1)
            first.cut(until_s=1_000_000)
            await first.charge(30, 1)
            storage.error = StorageError("station.db", "outbox_append", "disk I/O error")
            await first.charge(30, 2)
            delivery = first.station.charge_point.delivery
            in_memory = delivery.unstored
            assert in_memory >= 3
            before = len(await storage.inner.outbox_load())
            await clock.sleep(100)
            storage.error = None
            await clock.sleep(31)
            assert delivery.unstored == 0
            assert len(await storage.inner.outbox_load()) >= before + in_memory
            left = await storage.inner.outbox_load()
        second = Site(clock, version, storage=storage, csms=first.csms, ids=Ids(seed=3))
        async with second:
            await clock.sleep(60)
            assert len(left) >= 6
            check_transactions(second, 3)

    run_virtual(run)


def test_a_disk_that_is_read_only_at_the_start() -> None:
    """The station starts, boots and charges; all of it is on the disk as soon as it can be."""
    storage: Any = FaultyStorage()
    storage.fault = "attempt to write a readonly database"
    storage.error = StorageError("station.db", "outbox_append", "attempt to write a readonly")

    async def scenario(site: Site) -> None:
        await site.charge(30, 1)
        check_transactions(site, 1)
        assert told(site, "MemoryExhaustion") == 0
        site.cut(until_s=300)
        await site.charge(30, 1)
        assert await storage.inner.outbox_load() == []
        storage.error, storage.fault = None, None
        await site.clock.sleep(60)
        assert len(await storage.inner.outbox_load()) > 0
        await site.clock.sleep(400)
        check_transactions(site, 2)

    at_site(scenario, storage=storage, variables=OFTEN)


def test_memory_stays_bounded_while_nothing_can_be_stored() -> None:
    """E04.FR.07, E04.FR.08: of a queue that is in memory alone only Updated events are thinned."""
    storage: Any = FaultyStorage()

    async def scenario(site: Site) -> None:
        delivery: Any = site.station.charge_point.delivery
        # Small, for a short test; 10,000 otherwise.
        delivery.outbox.max_unstored = delivery.outbox._thin_unstored_at = 500
        await site.charge_without_end(1)
        storage.fill_up()
        site.cut(until_s=6_000)
        most = 0
        for _ in range(100):
            await site.clock.sleep(50)
            most = max(most, delivery.unstored)
        await site.station.swipe("CARD1", 1)
        await site.clock.sleep(5)
        await site.station.unplug(1)
        thinned = delivery.thinned
        assert len(delivery.facts._unstored.entries) < 2_500
        storage.error = None
        await site.clock.sleep(3_000)
        (record,) = site.transactions
        assert 400 < most <= 550
        assert thinned == delivery.thinned > 1_000
        assert record.ended_at is not None
        assert record.started_at is not None
        assert record.seq_nos.duplicates == 0
        assert len(record.seq_nos.missing) > 0
        assert await storage.inner.outbox_load() == []

    at_site(scenario, storage=storage, variables={"tx_updated_interval_s": 2})


def test_a_file_that_is_damaged_while_it_runs_is_replaced(tmp_path: Path) -> None:
    """By what can be read of it and what the memory knows; it is kept, and told of."""
    path = tmp_path / "station.db"
    storage = FaultySqlite(path)

    async def scenario(site: Site) -> None:
        await site.charge(30, 1)
        site.cut(until_s=1_000)
        await site.charge(30, 1)
        await site.station.plug_in(2)
        await site.station.swipe(TOKEN, 2)
        await site.clock.sleep(30)
        await storage._run("test", "PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as there:
            there.seek(4_096)
            there.write(b"\xff" * (path.stat().st_size - 4_096))
        # SQLite still has many pages in memory, and may find out later.
        storage.error = StorageDamaged(str(path), "outbox_append", "malformed")
        await site.clock.sleep(30)
        await site.station.swipe(TOKEN, 2)
        await site.clock.sleep(5)
        await site.station.unplug(2)
        # Threads live in real time: this waits until it is done.
        await site.station.charge_point.delivery.facts.read(storage.queue_size)
        assert storage.set_aside == f"{path}.corrupt-1"
        await site.clock.sleep(1_500)
        check_transactions(site, 3)
        (event,) = [
            event
            for event in site.sent("SecurityEventNotification")
            if event["type"] == "DatabaseCorrupted"
        ]
        assert f"{path}.corrupt-1" in event["techInfo"]
        await site.charge(30, 1)
        check_transactions(site, 4)
        assert site.station.charge_point.delivery.unstored == 0

    at_site(scenario, storage=storage, variables=OFTEN)
    assert path.with_name("station.db.corrupt-1").read_bytes()[4_096:4_100] == b"\xff" * 4


def test_a_disk_that_fails_now_and_then_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """With the real database, through two restarts, offline for most of the time."""
    path = tmp_path / "station.db"

    async def run(clock: VirtualClock) -> None:
        csms = None
        charged = 0
        for number in range(3):
            storage = FaultySqlite(path)
            site = Site(
                clock,
                storage=storage,
                csms=csms,
                ids=Ids(seed=10 + number),
                variables=replace(QUIET, **OFTEN),
            )
            csms = site.csms
            async with site:
                await site.charge(20, 1)
                site.cut(until_s=200)
                for error in ("disk I/O error", None, "database or disk is full", None):
                    storage.error = error and StorageError("x", "y", error)
                    await site.charge(20, 1)
                    charged += 1
                    await clock.sleep(35 if error is None else 3)
                charged += 1
                if number == 1:
                    await clock.sleep(300)
                    assert not site.station.charge_point.delivery.waiting
        site = Site(clock, storage=SqliteStorage(path), csms=csms, ids=Ids(seed=99))
        async with site:
            await clock.sleep(100)
            check_transactions(site, charged)

    run_virtual(run)
