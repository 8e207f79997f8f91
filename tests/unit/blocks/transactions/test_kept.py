"""Readings that the Ended event repeats: in memory and on the disk the same, over a restart too."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ocpp_fast.blocks.transactions.kept import KeptReadings
from ocpp_fast.blocks.transactions.transaction import MAX_KEPT_READINGS, Transaction
from ocpp_fast.errors import StorageError
from ocpp_fast.messages import v21
from ocpp_fast.storage import MemoryStorage
from ocpp_fast.storage.base import ReadingRow
from ocpp_fast.testing import VirtualClock, run_virtual
from unit.blocks.transactions.kit import NOW, DurableMemory, FakeDelivery, energy_of, reading


def transaction(name: str = "tx", evse_id: int = 1) -> Transaction:
    return Transaction(name, evse_id, "Charging")


def energies(readings: list[v21.MeterValueType]) -> list[float | None]:
    return [energy_of(each) for each in readings]


async def restored(storage: MemoryStorage, name: str = "tx") -> Transaction:
    found = transaction(name)
    delivery: Any = FakeDelivery()
    await KeptReadings(delivery, storage).restore([found])
    return found


@pytest.mark.parametrize("count", [0, 1, 2, 3, MAX_KEPT_READINGS, MAX_KEPT_READINGS * 5 + 3])
def test_a_restart_loses_none_and_goes_on_in_the_same_rhythm(count: int) -> None:
    async def run(_: VirtualClock) -> None:
        storage, delivery = DurableMemory(), FakeDelivery()
        kept = KeptReadings(delivery, storage)  # type: ignore[arg-type]
        before = transaction()
        for n in range(count):
            kept.keep(before, reading(n))
            if n % 7 == 0:
                await delivery.write()
        await delivery.write()
        found = await restored(storage)
        assert energies(found.kept_readings) == energies(before.kept_readings)
        assert found.kept_stride == before.kept_stride
        assert 0 <= before.kept_number - found.kept_number < before.kept_stride

    run_virtual(run)


def test_readings_of_all_evses_share_one_writing() -> None:
    async def run(_: VirtualClock) -> None:
        storage, delivery = DurableMemory(), FakeDelivery()
        kept = KeptReadings(delivery, storage)  # type: ignore[arg-type]
        for evse_id in range(1, 200):
            kept.keep(transaction(f"tx{evse_id}", evse_id), reading(evse_id))
        assert len(delivery.notes) == 1
        await delivery.write()
        assert len(await storage.readings_load()) == 199

    run_virtual(run)


def test_a_writing_that_was_given_up_is_asked_for_again() -> None:
    """By a journal that could write nothing for long, see `Delivery.note`."""

    async def run(_: VirtualClock) -> None:
        storage, delivery = DurableMemory(), FakeDelivery()
        kept = KeptReadings(delivery, storage)  # type: ignore[arg-type]
        for n in range(MAX_KEPT_READINGS):
            kept.keep(transaction(f"tx{n}", n), reading(n))
            if n == 0:
                delivery.notes.clear()
        assert len(delivery.notes) == 1
        await delivery.write()
        assert len(await storage.readings_load()) == MAX_KEPT_READINGS

    run_virtual(run)


def test_the_end_of_a_transaction_forgets_its_readings_and_no_others() -> None:
    async def run(_: VirtualClock) -> None:
        storage, delivery = DurableMemory(), FakeDelivery()
        kept = KeptReadings(delivery, storage)  # type: ignore[arg-type]
        one, other, silent = transaction("one"), transaction("other", 2), transaction("silent", 3)
        for n in range(3):
            kept.keep(one, reading(n))
            kept.keep(other, reading(n))
            kept.keep(silent, None)
        await delivery.write()
        kept.keep(one, reading(9))  # Not yet written when it ends.
        kept.forget(one)
        kept.forget(silent)
        assert len(delivery.notes) == 2
        await delivery.write()
        assert [row.transaction_id for row in await storage.readings_load()] == ["other"] * 3
        kept.forget(other)
        assert (kept._written, kept._strides, kept._new) == ({}, {}, {})

    run_virtual(run)


def test_readings_of_nobody_are_removed_at_the_start() -> None:
    """A power loss came between the Ended event and their removal."""

    async def run(_: VirtualClock) -> None:
        storage, delivery = DurableMemory(), FakeDelivery()
        kept = KeptReadings(delivery, storage)  # type: ignore[arg-type]
        kept.keep(transaction("ended"), reading(1))
        kept.keep(transaction("open", 2), reading(2))
        await delivery.write()
        found = await restored(storage, "open")
        assert energies(found.kept_readings) == [2]
        assert [row.transaction_id for row in await storage.readings_load()] == ["open"]

    run_virtual(run)


def test_a_disk_that_takes_nothing_does_not_keep_the_station_from_starting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Full(DurableMemory):
        def readings_remove(self, transaction_ids: Any) -> Any:
            raise StorageError("disk", "readings_remove", "it is full")

    async def run(_: VirtualClock) -> None:
        storage = Full()
        await storage.readings_append([ReadingRow("ended", 0, b"{}")])
        await restored(storage, "open")
        assert "could not be removed" in caplog.text

    run_virtual(run)


def test_a_fault_of_the_disk_loses_no_reading() -> None:
    """The journal runs a verb again that has failed."""

    class Moody(DurableMemory):
        fails = True

        async def readings_append(self, rows: Any) -> None:
            if self.fails:
                raise StorageError("disk", "readings_append", "not now")
            await super().readings_append(rows)

    async def run(_: VirtualClock) -> None:
        storage, delivery = Moody(), FakeDelivery()
        kept = KeptReadings(delivery, storage)  # type: ignore[arg-type]
        one, gone = transaction(), transaction("gone", 2)
        for n in range(MAX_KEPT_READINGS * 3):
            kept.keep(one, reading(n))
            kept.keep(gone, reading(n))
            if n == MAX_KEPT_READINGS // 2:
                write = delivery.notes.pop(0)
                with pytest.raises(StorageError, match="not now"):
                    await write()
                delivery.notes.insert(0, write)
        kept.forget(gone)
        assert len(kept._new) <= MAX_KEPT_READINGS
        storage.fails = False
        await delivery.write()
        assert energies((await restored(storage)).kept_readings)[:3] == [0, 4, 8]
        assert {row.transaction_id for row in await storage.readings_load()} == {"tx"}
        # And what comes while it is writing is written next.
        kept.keep(one, reading(12_000))
        assert len(delivery.notes) == 1

    run_virtual(run)


def test_what_comes_during_a_writing_is_written_next() -> None:
    class Slow(DurableMemory):
        async def readings_append(self, rows: Any) -> None:
            if len(await self.readings_load()) == 0:
                kept.keep(one, reading(2))
            await super().readings_append(rows)

    storage, delivery, one = Slow(), FakeDelivery(), transaction()
    kept = KeptReadings(delivery, storage)  # type: ignore[arg-type]

    async def run(_: VirtualClock) -> None:
        kept.keep(one, reading(1))
        await delivery.write()
        assert energies((await restored(storage)).kept_readings) == [1, 2]
        assert kept._new == {}

    run_virtual(run)


def test_one_that_cannot_be_read_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    async def run(_: VirtualClock) -> None:
        storage, delivery = DurableMemory(), FakeDelivery()
        kept = KeptReadings(delivery, storage)  # type: ignore[arg-type]
        before = transaction()
        for n in range(3):
            kept.keep(before, reading(n))
        await delivery.write()
        await storage.readings_append([ReadingRow("tx", 1, b"nothing")])
        found = await restored(storage)
        assert energies(found.kept_readings) == [0, 2]
        assert found.kept_number == 3
        assert "a reading of tx cannot be read" in caplog.text

    run_virtual(run)


def test_more_than_fit_are_thinned_when_they_are_loaded() -> None:
    """A thinning that the storage did not hear of."""

    async def run(_: VirtualClock) -> None:
        storage = DurableMemory()
        rows = [ReadingRow("tx", n, _json(n)) for n in range(MAX_KEPT_READINGS * 2 + 1)]
        await storage.readings_append(rows)
        found = await restored(storage)
        assert len(found.kept_readings) <= MAX_KEPT_READINGS
        assert found.kept_stride == 4
        assert energies(found.kept_readings)[:3] == [0, 4, 8]

    run_virtual(run)


def _json(n: float) -> bytes:
    from ocpp_fast._core import encode_payload

    return encode_payload(reading(n))


def test_the_right_time_reaches_memory_and_disk() -> None:
    """Only where it differs: readings of an earlier run are right already."""

    async def run(_: VirtualClock) -> None:
        storage, delivery = DurableMemory(), FakeDelivery()
        kept = KeptReadings(delivery, storage)  # type: ignore[arg-type]
        before = transaction()
        for n in range(4):
            kept.keep(before, reading(n, at_s=n))
        kept.redate(
            [before], lambda at: at + timedelta(days=1) if at > NOW + timedelta(seconds=1) else at
        )
        await delivery.write()
        wanted = [NOW, NOW + timedelta(seconds=1)] + [
            NOW + timedelta(days=1, seconds=n) for n in (2, 3)
        ]
        assert [each.timestamp for each in before.kept_readings] == wanted
        assert [each.timestamp for each in (await restored(storage)).kept_readings] == wanted

    run_virtual(run)


def test_nothing_is_written_unless_it_lasts() -> None:
    delivery: Any = FakeDelivery(durable=False)
    kept = KeptReadings(delivery, MemoryStorage())
    one = transaction()
    for n in range(MAX_KEPT_READINGS + 2):
        kept.keep(one, reading(n))
    kept.redate([one], lambda at: at)
    kept.forget(one)
    assert delivery.notes == []
