"""Block J: meter values outside transactions, aligned with the clock (J01)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ocpp_fast.blocks.timing import Repeater

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ocpp_fast.blocks.context import ActiveTransactions, Context, Trigger
    from ocpp_fast.blocks.readings import Readings
    from ocpp_fast.messages import v21
    from ocpp_fast.router import After, Handler

__all__ = ["MeterValues"]


class MeterValues:
    """Sends MeterValues at each AlignedDataCtrlr.Interval for every EVSE and the main meter.

    They are not repeated when they cannot be sent at once, unless QueueAllMessages says so.
    """

    def __init__(
        self, context: Context, readings: Readings, transactions: ActiveTransactions
    ) -> None:
        self._context = context
        self._readings = readings
        self._transactions = transactions
        self.handlers: Mapping[str, Handler] = {}
        self.triggers: Mapping[str, Trigger] = {"MeterValues": self._on_trigger}
        self._repeater: Repeater | None = None
        context.device_model.subscribe(self._on_variables)

    def start(self) -> None:
        """Begins to follow the clock."""
        self.stop()
        clock = self._context.clock
        interval_s = self._context.device_model.variables.aligned_interval_s
        self._repeater = Repeater(clock, interval_s, self._tick, aligned=True)

    def stop(self) -> None:
        """Sends nothing more until `start`."""
        if self._repeater is not None:
            self._repeater.cancel()
            self._repeater = None

    def _on_variables(self, changed: frozenset[str]) -> None:
        if "aligned_interval_s" in changed and self._repeater is not None:
            self.start()

    def _tick(self) -> None:
        context = self._context
        if context.accepted or context.device_model.variables.queue_all_messages:
            context.spawn(self._send_all(), "aligned meter values")

    async def _send_all(self) -> None:
        """J01.FR.14, J01.FR.22; J01.FR.20: in idle only, when SendDuringIdle is set."""
        variables = self._context.device_model.variables
        if variables.aligned_send_during_idle and any(
            True for _ in self._transactions.active_evses()
        ):
            return
        m = self._context.messages
        # A meter that has been silent since the last time has nothing to say.
        after = self._context.clock.now() - timedelta(seconds=variables.aligned_interval_s)
        for evse_id in (0, *self._context.device_model.connectors):
            request = self._request(evse_id, m.ReadingContextEnumType.SAMPLE_CLOCK, after)
            if request is not None:
                await self._context.inform(request, m.MeterValuesResponse)

    def _request(
        self,
        evse_id: int,
        context: v21.ReadingContextEnumType,
        after: datetime | None = None,
    ) -> v21.MeterValuesRequest | None:
        measurands = self._context.device_model.variables.aligned_measurands
        reading = self._readings.selected(evse_id, measurands, context, after=after)
        if reading is None:
            return None
        return self._context.messages.MeterValuesRequest(evse_id=evse_id, meter_value=[reading])

    def _on_trigger(self, evse: v21.EVSEType | None) -> After | None:
        """F06.FR.06 and, without an EVSE, F06.FR.11. Refused when there is nothing to report."""
        m = self._context.messages
        evses = (0, *self._context.device_model.connectors) if evse is None else (evse.id,)
        requests = [self._request(evse_id, m.ReadingContextEnumType.TRIGGER) for evse_id in evses]
        if all(request is None for request in requests):
            return None

        async def send() -> None:
            for request in requests:
                if request is not None:
                    await self._context.call(request, m.MeterValuesResponse, triggered=True)

        return send
