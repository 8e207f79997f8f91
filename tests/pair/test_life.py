"""Starting and stopping a station, in good order and in bad."""

import asyncio
from pathlib import Path

import pytest

from ocpp_fast.errors import ConfigurationError, StorageError
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.storage.sqlite import SqliteStorage
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.station_kit import QUIET, TOKEN, Site, at_site


def test_a_station_starts_once() -> None:
    async def scenario(site: Site) -> None:
        with pytest.raises(ConfigurationError, match="started already"):
            await site.station.start()

    at_site(scenario)


def test_a_reason_to_boot_is_one_of_the_specification() -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        with pytest.raises(ConfigurationError, match="'Boredom' is no reason"):
            await site.station.start("Boredom")
        await site.station.start("Watchdog")
        await clock.sleep(1)
        assert site.sent("BootNotification")[0]["reason"] == "Watchdog"
        await site.station.stop()

    run_virtual(run)


def test_a_storage_that_does_not_open_is_told_and_can_be_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "missing"

    async def run(clock: VirtualClock) -> None:
        site = Site(clock, storage=SqliteStorage(folder / "station.db"))
        with pytest.raises(StorageError, match=r"station\.db: open failed"):
            await site.station.start()
        folder.mkdir()
        async with site:
            assert site.station.charge_point.connected

    run_virtual(run)


def test_stopping_is_clean_and_may_be_repeated() -> None:
    async def run(clock: VirtualClock) -> None:
        before = asyncio.all_tasks()
        site = Site(clock, variables=QUIET)
        await site.station.stop()
        async with site:
            await site.station.plug_in(1)
            await site.station.swipe(TOKEN, 1)
            await clock.sleep(5)
        await site.station.stop()
        assert site.link is not None
        assert site.link.left.closed
        await clock.sleep(100)
        assert asyncio.all_tasks() == before

    run_virtual(run)


def test_events_of_a_station_that_does_not_run_are_refused() -> None:
    async def run(clock: VirtualClock) -> None:
        site = Site(clock)
        point = site.station.charge_point
        with pytest.raises(ConfigurationError, match="does not run"):
            await point.on_transaction_started(1, 1, "tx", clock.now(), "CablePluggedIn")
        async with site:
            pass
        with pytest.raises(ConfigurationError, match="does not run"):
            await point.on_transaction_started(2, 1, "tx", clock.now(), "CablePluggedIn")

    run_virtual(run)


def test_what_was_not_delivered_is_there_for_the_next_run() -> None:
    storage = MemoryStorage()

    async def run(clock: VirtualClock) -> None:
        async with Site(clock, storage=storage) as site:
            site.cut(until_s=1e6)
            site.station.charge_point.device_model.write(offline_tx_for_unknown_id_enabled=True)
            await clock.sleep(1)
            await site.charge(10)
        assert len(await storage.outbox_load()) == 3

    run_virtual(run)


@pytest.mark.parametrize("moment", range(40))
def test_stopping_at_any_moment_ends(moment: int) -> None:
    """Whatever goes on, `stop` returns and leaves nothing behind."""

    async def run(clock: VirtualClock) -> None:
        site = Site(clock, variables=QUIET)
        await site.station.start()
        driver = asyncio.create_task(site.charge(3))
        for _ in range(moment):
            await asyncio.sleep(0)
        await clock.wait_for(site.station.stop(), 30)
        driver.cancel()
        await asyncio.gather(driver, return_exceptions=True)

    run_virtual(run)
