"""The meter readings of running transactions: at their start, at intervals, on demand (J02)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ocpp_fast._core import encode_payload
from ocpp_fast.blocks.timing import Repeater

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.blocks.readings import Readings
    from ocpp_fast.blocks.transactions.events import TransactionEvents
    from ocpp_fast.blocks.transactions.kept import KeptReadings
    from ocpp_fast.blocks.transactions.transaction import Transaction
    from ocpp_fast.messages import v21

__all__ = ["Sampling"]


class Sampling:
    """Chooses what a transaction tells of its meter, and when."""

    def __init__(
        self,
        context: Context,
        readings: Readings,
        events: TransactionEvents,
        kept: KeptReadings,
        *,
        max_bytes: Callable[[], int],
    ) -> None:
        """`max_bytes` is how long the readings of one event may be."""
        self._max_bytes = max_bytes
        self._context = context
        self._readings = readings
        self._events = events
        self._kept = kept

    def begin(
        self, transaction: Transaction, reading: v21.MeterValueType
    ) -> list[v21.MeterValueType]:
        """The readings at the start (E01.FR.09), which Ended repeats in its own measurands."""
        variables = self._context.device_model.variables
        begin = self._context.messages.ReadingContextEnumType.TRANSACTION_BEGIN
        transaction.begin_due = False
        ended = self._readings.select(reading, variables.tx_ended_measurands, begin)
        transaction.begin_reading = ended
        started = self._readings.select(reading, variables.tx_started_measurands, begin)
        return [] if started is None else [started]

    def begin_late(self, transaction: Transaction) -> list[v21.MeterValueType]:
        """Those that were not known at the start, once energy flows (E01.FR.17, E02.FR.21)."""
        if not transaction.begin_due or transaction.charging_state != "Charging":
            return []
        latest = self._readings.latest(transaction.evse_id)
        return [] if latest is None else self.begin(transaction, latest)

    def after_interruption(
        self, transaction: Transaction, reading: v21.MeterValueType | None
    ) -> list[v21.MeterValueType]:
        """Those of the event that tells that the transaction goes on after a restart."""
        begin = self.begin_late(transaction)
        if begin or reading is None:
            return begin
        measurands = self._context.device_model.variables.tx_updated_measurands
        end = self._context.messages.ReadingContextEnumType.INTERRUPTION_END
        selected = self._readings.select(reading, measurands, end)
        return [] if selected is None else [selected]

    def all_of(
        self, transaction: Transaction, last: v21.MeterValueType | None
    ) -> list[v21.MeterValueType]:
        """The readings of the Ended event (E06.FR.11), `last` is the one at the end.

        Of too many for one message intermediate ones go (E06.FR.13, J02.FR.20): a message that is
        too long would never arrive. Few may be too long as well, where the meter signs.
        """
        measurands = self._context.device_model.variables.tx_ended_measurands
        end = self._context.messages.ReadingContextEnumType.TRANSACTION_END
        selected = None if last is None else self._readings.select(last, measurands, end)
        found = [
            reading
            for each in (transaction.begin_reading, *transaction.kept_readings, selected)
            if each is not None and (reading := self._readings.converted(each)) is not None
        ]
        return _fitting(found, self._max_bytes())

    def start(self, transaction: Transaction) -> None:
        """Samples at the intervals that are configured, from now on."""
        transaction.stop_timers()
        contexts = self._context.messages.ReadingContextEnumType
        variables = self._context.device_model.variables

        async def send() -> None:
            interval_s = self._context.device_model.variables.tx_updated_interval_s
            await self.tell(transaction, "MeterValuePeriodic", contexts.SAMPLE_PERIODIC, interval_s)

        def sampled() -> None:
            self._context.spawn(send(), "sampled meter values")

        keep_sampled = self._keeper(
            transaction, variables.tx_ended_measurands, contexts.SAMPLE_PERIODIC
        )
        keep_aligned = self._keeper(
            transaction, variables.aligned_tx_ended_measurands, contexts.SAMPLE_CLOCK
        )
        clock = self._context.clock
        transaction.timers += (
            Repeater(clock, variables.tx_updated_interval_s, sampled),
            Repeater(clock, variables.tx_ended_interval_s, keep_sampled),
            Repeater(clock, variables.aligned_tx_ended_interval_s, keep_aligned, aligned=True),
        )

    async def tell(
        self,
        transaction: Transaction,
        trigger: str,
        context: v21.ReadingContextEnumType,
        interval_s: float | None,
    ) -> None:
        """J02.FR.11: an Updated event with the last reading. With an interval only if it was
        taken within it (J02.FR.10); without one the event goes in any case."""
        now = self._context.clock.now()
        after = None if interval_s is None else now - timedelta(seconds=interval_s)
        measurands = self._context.device_model.variables.tx_updated_measurands
        reading = self._readings.selected(transaction.evse_id, measurands, context, after=after)
        if reading is not None or interval_s is None:
            values = self.begin_late(transaction) + ([] if reading is None else [reading])
            await self._events.update(transaction, trigger, meter_value=values)

    def _keeper(
        self,
        transaction: Transaction,
        measurands: tuple[str, ...],
        context: v21.ReadingContextEnumType,
    ) -> Callable[[], None]:
        """Keeps a reading for the Ended event whenever it is called; none of before, and none
        twice when the meter has been silent."""
        latest = self._readings.latest(transaction.evse_id)
        # A reading that was redated meanwhile still has the same values.
        last = None if latest is None else latest.sampled_value

        def keep() -> None:
            nonlocal last
            latest = self._readings.latest(transaction.evse_id)
            if latest is not None and latest.sampled_value is not last:
                last = latest.sampled_value
                self._kept.keep(transaction, self._readings.select(latest, measurands, context))

        return keep


def _fitting(readings: list[v21.MeterValueType], max_bytes: int) -> list[v21.MeterValueType]:
    """Without every second one between the first and the last, as often as it takes."""
    last = readings[-1:]
    while readings[1:-1] and sum(len(encode_payload(one)) + 1 for one in readings) > max_bytes:
        readings = readings[:-1:2] + last
    return readings
