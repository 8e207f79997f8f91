"""The readings that Ended events will repeat (J02), in memory and in the storage."""

from __future__ import annotations

import logging
from itertools import groupby, pairwise
from math import gcd
from typing import TYPE_CHECKING

from ocpp_fast._core import encode_payload
from ocpp_fast.blocks.transactions.durable import reading_of, redated
from ocpp_fast.blocks.transactions.transaction import MAX_KEPT_READINGS
from ocpp_fast.errors import StorageError
from ocpp_fast.storage.base import ReadingRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from ocpp_fast.blocks.transactions.transaction import Transaction
    from ocpp_fast.delivery import Delivery
    from ocpp_fast.messages import v21
    from ocpp_fast.storage.base import Storage

__all__ = ["KeptReadings"]

_log = logging.getLogger(__name__)


class KeptReadings:
    """Keeps readings until the transaction has ended.

    They are written after what is more urgent, those of all EVSEs together; a power loss takes the
    few that were not yet written. The reading at the start is not among them: it is a fact.
    """

    def __init__(self, delivery: Delivery, storage: Storage) -> None:
        """Unless the storage is durable nothing is written."""
        self._delivery = delivery
        self._storage = storage if storage.durable else None
        self._new: dict[tuple[str, int], ReadingRow] = {}
        """What is not yet written."""
        self._is_noted = False
        self._written: dict[str, int] = {}
        """Stride of what is stored of each transaction."""
        self._strides: dict[str, int] = {}
        """The strides that are to be, of those of which something is not yet written."""

    def keep(self, transaction: Transaction, reading: v21.MeterValueType | None) -> None:
        """Keeps a reading; None is passed over."""
        if reading is None:
            return
        number, stride = transaction.kept_number, transaction.kept_stride
        is_kept = transaction.keep(reading)
        if self._storage is None:
            return
        transaction_id = transaction.transaction_id
        self._strides[transaction_id] = transaction.kept_stride
        if transaction.kept_stride != stride:
            self._drop(transaction_id, transaction.kept_stride)
        if is_kept:
            self._append(ReadingRow(transaction_id, number, encode_payload(reading)))

    def forget(self, transaction: Transaction) -> None:
        """The transaction has ended."""
        if (storage := self._storage) is not None and transaction.kept_number:
            transaction_id = transaction.transaction_id
            self._drop(transaction_id)
            self._written.pop(transaction_id, None)
            self._strides.pop(transaction_id, None)
            self._delivery.note(lambda: storage.readings_remove((transaction_id,)))

    async def restore(self, transactions: Iterable[Transaction]) -> None:
        """Gives transactions of an earlier run their readings; raises `StorageError`."""
        if (storage := self._storage) is None:
            return
        known = {transaction.transaction_id: transaction for transaction in transactions}
        unknown: set[str] = set()
        for transaction_id, rows in groupby(
            await storage.readings_load(), key=lambda row: row.transaction_id
        ):
            if (transaction := known.get(transaction_id)) is None:
                unknown.add(transaction_id)
            else:
                self._written[transaction_id] = _take(transaction, list(rows))
        if unknown:  # Their Ended events were stored just before the end of that run.
            try:
                await storage.readings_remove(unknown)
            except StorageError as error:
                _log.error("readings of ended transactions could not be removed: %s", error)

    def redate(
        self, transactions: Iterable[Transaction], correct: Callable[[datetime], datetime]
    ) -> None:
        """Corrects the times of what is kept, now that the right time is known."""
        for transaction in transactions:
            kept = transaction.kept_readings
            transaction.kept_readings = [redated(reading, correct) for reading in kept]
        if (storage := self._storage) is None:
            return

        async def rewrite() -> None:
            rows: list[ReadingRow] = []
            for row in await storage.readings_load():
                reading = reading_of(row.value)
                right = redated(reading, correct)
                if right is not reading:
                    rows.append(row._replace(value=encode_payload(right)))
            if rows:
                await storage.readings_append(rows)

        self._delivery.note(rewrite)

    def _append(self, row: ReadingRow) -> None:
        self._new[row.transaction_id, row.number] = row
        # Again from time to time: a journal that fails for long gives up what is oldest.
        if not self._is_noted or len(self._new) % MAX_KEPT_READINGS == 0:
            self._is_noted = True
            self._delivery.note(self._write)

    def _drop(self, transaction_id: str, stride: int | None = None) -> None:
        """Does not write what has become of no use: all of a transaction, or what is not a multiple
        of the stride."""
        for key in list(self._new):
            if key[0] == transaction_id and (stride is None or key[1] % stride):
                del self._new[key]

    async def _write(self) -> None:
        """May be run again when the storage has failed."""
        self._is_noted = False  # What comes from here on wants to be written too.
        storage = self._storage
        rows = list(self._new.values())
        if storage is None or not rows:
            return
        strides = {row.transaction_id: self._strides[row.transaction_id] for row in rows}
        for transaction_id, stride in strides.items():
            while self._written.get(transaction_id, stride) < stride:
                await storage.readings_thin(transaction_id)
                self._written[transaction_id] *= 2
        await storage.readings_append(rows)
        self._written |= {id_: stride for id_, stride in strides.items() if id_ in self._strides}
        for row in rows:
            key = row.transaction_id, row.number
            if self._new.get(key) is row:
                del self._new[key]


def _take(transaction: Transaction, rows: list[ReadingRow]) -> int:
    """Gives a transaction the readings that the storage has of it; returns their stride."""
    numbers = [row.number for row in rows]
    transaction.kept_number = numbers[-1] + 1
    # What was thinned has even gaps, of a power of two.
    gaps = gcd(*(after - before for before, after in pairwise(numbers)))
    written = transaction.kept_stride = gaps & -gaps or 1
    for row in rows:
        try:
            transaction.kept_readings.append(reading_of(row.value))
        except ValueError as error:
            _log.error("a reading of %s cannot be read: %s", row.transaction_id, error)
    while len(transaction.kept_readings) > MAX_KEPT_READINGS:
        del transaction.kept_readings[1::2]
        transaction.kept_stride *= 2
    return written
