"""The way of events to the CSMS: at once while online, through the outbox while not."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from ocpp_fast.blocks.context import NotAccepted
from ocpp_fast.blocks.monitoring.events import EVENTS_PER_MESSAGE, notify_event, portion
from ocpp_fast.errors import (
    CallErrorReceived,
    ConnectionLost,
    ErrorCode,
    OcppError,
    PeerError,
    QueueFull,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from ocpp_fast.blocks.context import Context
    from ocpp_fast.blocks.monitoring.events import Notice

__all__ = ["LANE", "Outgoing"]

_log = logging.getLogger(__name__)

LANE: Final = "NotifyEvent"
"""The lane of the outbox in which events wait; no transactionId has a name like it."""

MAX_PENDING: Final = 10_000
"""Events that may wait in memory, for their turn or for the link."""

MAX_QUEUED: Final = 1_000
"""NotifyEvent messages that may wait in the outbox while offline."""

_BUSY_PAUSE_S: Final = 1.0
"""When to try again after the link had too many calls waiting already."""


class Outgoing:
    """Sends events in the order they come, several in one message where several wait.

    While the station is offline, events whose severity number is at most OfflineQueuingSeverity
    are stored in the outbox (N07.FR.04, N08.FR.03) and survive a restart; others that had happened
    before the link broke wait in memory. As long as the outbox holds events, new ones go behind
    them there. `full` says that nobody should make events; those that come nevertheless are
    dropped and counted when memory holds `MAX_PENDING`.
    """

    def __init__(
        self,
        context: Context,
        *,
        queuing_severity: Callable[[], int],
        max_bytes: Callable[[], int],
        on_full: Callable[[], None],
    ) -> None:
        """`queuing_severity` gives OfflineQueuingSeverity, -1 for none; `max_bytes` how long a
        message may be; `on_full` is called when `full` has changed."""
        self._context = context
        self._queuing_severity = queuing_severity
        self._max_bytes = max_bytes
        self._on_full = on_full
        self._pending: deque[Notice] = deque()
        self._held: list[Notice] = []
        self._queued = 0
        self._work = asyncio.Event()
        self.full = False
        """Whether nobody should make events, until some have gone."""
        self.dropped = 0
        """Events that nobody will hear of, since the start."""

    def __len__(self) -> int:
        """Events that wait in memory."""
        return len(self._pending) + len(self._held)

    def put(self, notices: Iterable[Notice]) -> None:
        """Takes events; they go after the answers that are being made right now."""
        for notice in notices:
            if len(self) >= MAX_PENDING:
                self.dropped += 1
                _log.error("event %d is dropped, %d wait", notice.event_id, len(self))
            else:
                self._pending.append(notice)
        self._check_full()
        # Not at once: a handler that causes an event answers in this pass of the event loop.
        asyncio.get_running_loop().call_soon(self._work.set)

    def redate(self, correct: Callable[[datetime], datetime]) -> None:
        """See `redating.Dated`."""
        notices: deque[Notice] | list[Notice]
        for notices in (self._pending, self._held):
            for index, notice in enumerate(notices):
                notices[index] = replace(notice, timestamp=correct(notice.timestamp))

    def on_online_changed(self) -> None:
        """The link came or went, or the CSMS has accepted the station."""
        if self._context.accepted:
            self._pending.extendleft(reversed(self._held))
            self._held.clear()
        else:
            rows = self._context.delivery.outbox.rows()
            self._queued = sum(row.lane == LANE for row in rows)
        self._check_full()
        self._work.set()

    async def run(self) -> None:
        """Sends and stores, for ever."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._pending:
                first = tuple(islice(self._pending, EVENTS_PER_MESSAGE))
                batch = first[: portion(first, self._max_bytes())]
                for _ in batch:
                    self._pending.popleft()
                if not self._context.accepted:
                    await self._queue(batch)
                elif self._context.delivery.outbox.holds(LANE) is False:
                    await self._send(batch)
                else:  # Events wait, or may wait on the disk.
                    await self._post(batch)
                self._check_full()

    # --- online ---------------------------------------------------------------------------

    async def _send(self, batch: Sequence[Notice]) -> None:
        context = self._context
        try:
            await context.call(notify_event(context, batch), context.messages.NotifyEventResponse)
        except (ConnectionLost, NotAccepted):
            self._pending.extendleft(reversed(batch))  # They happened before what came meanwhile.
            if context.accepted:  # The owner of the link does not know yet.
                await context.clock.sleep(_BUSY_PAUSE_S)
        except QueueFull:
            self._pending.extendleft(reversed(batch))
            await context.clock.sleep(_BUSY_PAUSE_S)
        except PeerError as error:
            await self._refused(batch, error)
        except ValidationError:
            self.dropped += len(batch)
            _log.exception("events cannot be told")

    async def _refused(self, batch: Sequence[Notice], error: PeerError) -> None:
        """What is worth queueing offline is worth another attempt, unless the CSMS does not know
        events at all. After a timeout it may be told twice, which is better than not at all."""
        again = [notice for notice in batch if self._is_queued(notice)]
        if _unknown(error):
            again = []
        if again:
            await self._post(again)
        if len(again) < len(batch):
            self.dropped += len(batch) - len(again)
            _log.warning("the CSMS did not take %d events: %s", len(batch) - len(again), error)

    # --- offline --------------------------------------------------------------------------

    def _is_queued(self, notice: Notice) -> bool:
        return notice.severity is not None and notice.severity <= self._queuing_severity()

    async def _queue(self, batch: Sequence[Notice]) -> None:
        queued = [notice for notice in batch if self._is_queued(notice)]
        self._held += (notice for notice in batch if not self._is_queued(notice))
        if queued:
            await self._post(queued)

    async def _post(self, batch: Sequence[Notice]) -> None:
        context = self._context
        try:
            request = notify_event(context, batch)
            self._queued += 1
            await context.delivery.post(context.version, "NotifyEvent", request, LANE)
        except OcppError:
            self.dropped += len(batch)
            _log.exception("events cannot be queued")

    def _check_full(self) -> None:
        # Once it was full there has to be some room before it goes on.
        room = MAX_PENDING // 2 if self.full else MAX_PENDING
        queue_is_full = self._queued >= MAX_QUEUED and not self._context.accepted
        full = len(self) >= room or queue_is_full
        if full != self.full:
            self.full = full
            _log.warning("monitoring pauses" if full else "monitoring goes on")
            self._on_full()


def _unknown(error: PeerError) -> bool:
    codes = (ErrorCode.NOT_IMPLEMENTED, ErrorCode.NOT_SUPPORTED)
    return isinstance(error, CallErrorReceived) and error.code in codes
