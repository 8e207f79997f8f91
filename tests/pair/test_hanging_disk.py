"""A station whose disk hangs goes on charging and telling, and loses and doubles nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from ocpp_fast.errors import StorageError
from ocpp_fast.ids import Ids
from ocpp_fast.journal.hanging import FINISH_S, HANG_S
from ocpp_fast.messages import OcppVersion, v21
from ocpp_fast.storage.bounded import FILE_S, VERB_S
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.fault_kit import check_transactions, told
from pair.station_kit import QUIET, TOKEN, VERSIONS, Site
from unit.storage.hanging import HangingStorage

versions = pytest.mark.parametrize("version", VERSIONS)
comes_back = pytest.mark.parametrize(
    "error", [None, StorageError("station.db", "any", "disk I/O error")], ids=["well", "failed"]
)

OFTEN = replace(QUIET, tx_updated_interval_s=10, offline_tx_for_unknown_id_enabled=True)


def check_order(site: Site) -> None:
    """The events of each transaction went over the wire once, in their order."""
    seen: dict[str, list[int]] = {}
    for event in site.sent("TransactionEvent"):
        lane = event["transactionInfo"]["transactionId"]
        seen.setdefault(lane, []).append(event["seqNo"])
    for numbers in seen.values():
        assert numbers == list(range(len(numbers)))


def set_interval() -> v21.SetVariablesRequest:
    """What the CSMS sets is durable before it is answered."""
    datum = v21.SetVariableDataType(
        attribute_value="10",
        component=v21.ComponentType(name="SampledDataCtrlr"),
        variable=v21.VariableType(name="TxUpdatedInterval"),
    )
    return v21.SetVariablesRequest(set_variable_data=[datum])


async def quickly(site: Site, seconds: float, evse_id: int) -> None:
    """Charges; whoever stands there does not wait much longer than the bound."""
    begun = site.clock.elapsed_s
    await site.charge(seconds, evse_id)
    assert site.clock.elapsed_s - begun < seconds + 10 + 2 * 1.25 * HANG_S


@versions
@comes_back
def test_charging_goes_on_while_the_disk_hangs(
    version: OcppVersion, error: StorageError | None
) -> None:
    storage: Any = HangingStorage()

    async def run(clock: VirtualClock) -> None:
        first = Site(clock, version, storage=storage, variables=OFTEN)
        async with first:
            await quickly(first, 30, 1)
            await first.charge_without_end(2)
            storage.hang()
            for _ in range(3):
                await quickly(first, 40, 1)
            await first.station.swipe("CARD2", 2)
            await clock.sleep(2)
            await first.station.unplug(2)
            await clock.sleep(1)
            assert storage.hangs
            check_transactions(first, 5)
            check_order(first)
            assert told(first, "StorageFailed") == 1
            # Some more that are open, and a cut in the middle: what waits then is in memory alone.
            await first.charge_without_end(1)
            await clock.sleep(30)
            first.cut(until_s=200)
            await first.charge_without_end(2)
            await clock.sleep(60)
            storage.come_back(error)
            await clock.sleep(40)
            delivery = first.station.charge_point.delivery
            assert (delivery.unstored, delivery.facts.error) == (0, None)
            left = await storage.inner.outbox_load()
            assert len(left) >= 10
        second = Site(
            clock,
            version,
            storage=HangingStorage(storage.inner),  # type: ignore[arg-type]
            csms=first.csms,
            ids=Ids(seed=3),
            variables=OFTEN,
        )
        async with second:
            await clock.sleep(60)
            check_transactions(second, 7)
            assert await storage.inner.outbox_load() == []
            await quickly(second, 30, 1)
            check_transactions(second, 8)

    run_virtual(run)


@comes_back
def test_a_hang_at_every_verb_in_turn(error: StorageError | None) -> None:
    """From the plug to the restart: whichever verb of whichever part it is that hangs, for longer
    than anybody waits, every event comes once and in order, and the next start has nothing left."""

    async def run(clock: VirtualClock) -> None:
        number, hung = 0, set[str]()
        while True:
            storage: Any = HangingStorage()
            first = Site(clock, storage=storage, variables=OFTEN, ids=Ids(seed=number))
            async with first:
                storage.hang("*", skip=number, for_s=40, error=error)
                await quickly(first, 21, 1)
                await first.station.plug_in(2)
                await first.station.swipe(TOKEN, 2)
                first.station.charge_point.on_security_event("TamperDetectionActivated")
                setting = asyncio.ensure_future(first.csms.call("CS001", set_interval()))
                await clock.sleep(20)
                assert setting.done()
                first.cut(until_s=60)
                await quickly(first, 21, 1)
                await clock.sleep(70)
                await first.station.swipe(TOKEN, 2)
                await clock.sleep(2)
                await first.station.unplug(2)
                await clock.sleep(60)
                check_transactions(first, 3)
                delivery = first.station.charge_point.delivery
                assert (delivery.waiting, delivery.unstored) == (0, 0)
                assert delivery.facts.error is None
                told_of = told(first, "StorageFailed")
            second = Site(
                clock,
                storage=HangingStorage(storage.inner),  # type: ignore[arg-type]
                csms=first.csms,
                ids=Ids(seed=1_000 + number),
                variables=OFTEN,
            )
            async with second:
                await clock.sleep(10)
                assert second.sent("TransactionEvent") == [], storage.hung
            assert told_of <= 1
            hung |= {*storage.hung}
            if not storage.hung:
                break
            number += 1
        assert number > 40
        assert hung == {
            "outbox_append",
            "outbox_remove",
            "values_store",
            "security_log_append",
            "close",
        }

    run_virtual(run)


@comes_back
def test_a_station_whose_disk_hangs_stops_in_bounded_time(
    error: StorageError | None, caplog: pytest.LogCaptureFixture
) -> None:
    """What it could store or deliver is not lost; the rest is counted in the log."""
    storage: Any = HangingStorage()

    async def run(clock: VirtualClock) -> None:
        first = Site(clock, storage=storage, variables=OFTEN)
        await first.station.start()
        await clock.sleep(1)
        await first.charge(21, 1)
        await first.charge_without_end(2)
        storage.hang()
        await clock.sleep(60)
        first.cut(until_s=10_000)
        await clock.sleep(25)
        begun = clock.elapsed_s
        await first.station.stop()
        assert clock.elapsed_s - begun < FINISH_S + 2 * VERB_S + 5
        # The thread was not waited for; it is still at work when the next process starts.
        storage.come_back(error)
        await clock.sleep(1)
        second = Site(
            clock,
            storage=HangingStorage(storage.inner),  # type: ignore[arg-type]
            csms=first.csms,
            ids=Ids(seed=3),
            variables=OFTEN,
        )
        async with second:
            await clock.sleep(30)
            done, open_ = second.transactions
            assert done.problems() == []
            assert done.seq_nos.duplicates == 0
            # Nothing of the other was stored since: what the next start tells of it begins there.
            assert open_.started_at is not None
            ended = second.sent("TransactionEvent")[-1]
            assert ended["eventType"] == "Ended"
            assert ended["transactionInfo"]["transactionId"] == open_.transaction_id
            assert await storage.inner.outbox_load() == []
            await quickly(second, 21, 1)

    run_virtual(run)
    assert "could not be stored" in caplog.text


def test_a_disk_that_hangs_at_the_start_is_an_error_in_bounded_time() -> None:
    """Whichever verb it is; and when the disk is back the station can be started."""

    async def run(clock: VirtualClock) -> None:
        old = HangingStorage()
        async with Site(clock, storage=old, variables=OFTEN) as site:  # type: ignore[arg-type]
            await site.charge(21, 1)
            site.cut(until_s=10_000)
            await site.charge(21, 1)
        failed, number = set[str](), 0
        while True:
            storage: Any = HangingStorage(old.inner)
            later = Site(clock, storage=storage, variables=OFTEN, csms=site.csms)
            storage.hang("*", skip=number)
            begun = clock.elapsed_s
            try:
                await later.station.start()
            except StorageError as error:
                assert "not returned" in str(error)
                failed |= {*storage.hung}
                assert clock.elapsed_s - begun <= FILE_S + 2 * VERB_S
                storage.come_back()
                await clock.sleep(1)
                await later.station.start()
            else:
                assert clock.elapsed_s - begun <= 2 * VERB_S
                storage.come_back()
            await clock.sleep(5)
            await later.station.stop()
            if not storage.hung:
                break
            number += 1
        assert {"open", "state_load", "values_load", "outbox_last_row_id"} <= failed

    run_virtual(run)
