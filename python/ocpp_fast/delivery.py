"""Guaranteed delivery: stores messages, sends them in order, removes them when confirmed.

    post --> storage --> outbox --> connection --> on_delivered
                 |       ^   ^----- retry, next connection
                 +-pages-+

A message is stored before it is sent for the first time and removed only when the CSMS has
answered it with a CALLRESULT. What `outbox.Outbox` decides happens here.

Sending takes no task: the answer to one message sends the next. Only `write`, which stores, is a
task, and it rests when the storage is not durable: such a storage does its work at once, and all
messages stay in memory. Of a durable one, memory holds a window: pages are loaded when it runs low.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from ocpp_fast._core import decode_payload, encode_payload
from ocpp_fast.disk_queue import DiskQueue
from ocpp_fast.errors import (
    CallErrorReceived,
    ConfigurationError,
    ConnectionLost,
    ErrorCode,
    MessageTooLong,
    OcppError,
    QueueFull,
    ValidationError,
)
from ocpp_fast.journal import Journal
from ocpp_fast.messages.registry import actions
from ocpp_fast.outbox import Outbox, wire_payload
from ocpp_fast.storage.base import OutboxRow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from ocpp_fast.clock import Clock, Timer
    from ocpp_fast.connection import Outcome
    from ocpp_fast.errors import StorageError
    from ocpp_fast.messages import Message, OcppVersion
    from ocpp_fast.outbox import RetryPolicy
    from ocpp_fast.storage.base import Facts, Storage

__all__ = ["Delivery", "Link"]

_log = logging.getLogger(__name__)

_BUSY_PAUSE_S: Final = 1.0
"""When to try again after a link had too many calls waiting already."""


class Link(Protocol):
    """What delivery needs of a connection."""

    @property
    def version(self) -> OcppVersion: ...

    def start_raw(self, action: str, payload: bytes, outcome: Outcome) -> None: ...


class _Answer:
    """The `Outcome` of every call: whichever message is under way, it is about that one."""

    __slots__ = ("_on_error", "_on_response")

    def __init__(
        self, on_response: Callable[[Message], None], on_error: Callable[[OcppError], None]
    ) -> None:
        self._on_response = on_response
        self._on_error = on_error

    def done(self) -> bool:
        return False

    def set_result(self, result: Message, /) -> None:
        self._on_response(result)

    def set_exception(self, exception: OcppError, /) -> None:
        self._on_error(exception)


class Delivery:
    """The one way of messages that must reach the CSMS. Belongs to one event loop."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        *,
        retry: Callable[[], RetryPolicy],
        on_delivered: Callable[[OutboxRow, Message], None],
        outbox: Outbox | None = None,
        adapt: Callable[[OutboxRow, OcppVersion], bytes | None] | None = None,
        on_pressure: Callable[[str], None] | None = None,
        on_health: Callable[[StorageError | None], None] | None = None,
    ) -> None:
        """`retry` is asked at each failure; `on_delivered` gets each row with its response.

        `adapt` makes a payload for the version of the link of a row whose own does not fit it, or
        None. `on_pressure` is told, for people, that messages had to be dropped; `on_health` once
        that the storage fails, and None once it does not any more.
        """
        self._storage = storage
        self._durable = storage.durable
        self._clock = clock
        self._monotonic = clock.monotonic
        self._retry = retry
        self._on_delivered = on_delivered
        self._adapt = adapt
        self.outbox = Outbox() if outbox is None else outbox
        self.dead = 0
        """Messages given up since the start; `Storage.outbox_dead_letters` has them."""
        self.unsupported = 0
        """How many of them the CSMS has no use for: it does not know their action."""
        self.run = 0
        """What new rows say in `OutboxRow.run`: 0 while the station knows the time."""
        self.redate: Callable[[OutboxRow], None] | None = None
        """Corrects, in place, rows of a `run` that come from the storage."""
        self._last_row_id = 0
        self._link: Link | None = None
        self._released = False
        self._under_way: OutboxRow | None = None
        self._answer = _Answer(self._on_response, self._on_error)
        self._timer: Timer | None = None
        self._drained: asyncio.Future[None] | None = None
        self._journal = Journal(
            storage,
            clock,
            on_stored=self._on_stored,
            rows=self.outbox.rows,
            on_health=lambda error: self._disk.on_health(error),  # noqa: PLW0108 -- made below
        )
        self._disk = DiskQueue(
            storage,
            clock,
            self._journal,
            self.outbox,
            correct=self._correct,
            on_rows=self._send_next,
            on_pressure=on_pressure,
            on_health=on_health,
        )

    # --- for the blocks -------------------------------------------------------------------

    async def post(
        self, version: OcppVersion, action: str, request: Message, lane: str,
        *, seq_no: int = 0, droppable: bool = False, opens: bool = False, closes: bool = False,
        facts: Facts | None = None,
    ) -> int:  # fmt: skip
        """Takes a message; once this returns it is stored and will be sent. Returns its row id.

        The order of the calls, not of their returns, is the order of the messages. `opens` and
        `closes`: it is the first, the last, that its lane will ever have; a lane that was opened
        passes what has waited for longer. `facts` change with it, both or none survive a power
        cut; a storage that is not durable gets none. When the storage fails, or hangs for more than
        `journal.hanging.HANG_S`, the message is kept in memory only, which is logged and counted.
        Raises `ConfigurationError` before `restore`
        and after `finish`, when nothing would store it.
        """
        if not self._journal.running:
            raise ConfigurationError(f"{action} came while the charge point does not run")
        self._last_row_id = row_id = self._last_row_id + 1
        payload = encode_payload(request)
        offline = self._link is None  # E04.FR.03
        row = OutboxRow(
            row_id, lane, version, action, payload, seq_no, droppable, offline, 0, self.run
        )
        if self._durable:
            row.opens, row.closes = opens, closes
            await self._journal.store(row, facts)
        else:
            # Done when the call returns, see `Storage.durable`.
            _ = self._storage.outbox_append((row,))
            self._accept(row)
        return row_id

    def note(self, verb: Callable[[], Awaitable[None]]) -> None:
        """Runs a verb of the storage after what has to be stored first; a failure is logged.

        Nothing happens after `finish` was called.
        """
        self._journal.note(verb)

    @property
    def facts(self) -> Journal:
        """Where blocks put what they must remember: `durable`, `put`, `keep`."""
        return self._journal

    async def holds(self, lane: str) -> bool:
        """Whether messages of this lane are still to be delivered (E14.FR.04, E14.FR.05). When
        the storage, which would know, fails: yes."""
        return await self._disk.holds(lane)

    async def any_transaction_waits(self) -> bool:
        """Whether TransactionEvents are still to be delivered (E14.FR.07, E14.FR.08)."""
        return await self._disk.any_transaction_waits()

    @property
    def waiting(self) -> int:
        """About how many messages are still to be delivered; 0 only when there is none."""
        return len(self.outbox)

    @property
    def unstored(self) -> int:
        """How many of them are in memory only, because the storage fails."""
        return self.outbox.unstored

    @property
    def thinned(self) -> int:
        """Messages that were dropped since the start, because too many waited (E04.FR.07)."""
        return self.outbox.dropped

    async def drained(self) -> None:
        """Returns when nothing waits for delivery, or there is no link to deliver over."""
        while self._link is not None and len(self.outbox):
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._drained)

    # --- for the owner --------------------------------------------------------------------

    async def restore(self) -> None:
        """Takes up what an earlier run left; raises `StorageError`, also when the storage hangs. Of
        a long queue it loads the first page."""
        self._last_row_id = await self._disk.restore()
        self._journal.start()

    async def requeue(self, row_ids: Iterable[int]) -> int:
        """Sends dead letters again, those of a lane in their order; returns how many there were.

        Raises `StorageError`; of a storage that hangs they may still be sent, when it is back.
        """
        return await self._disk.requeue(row_ids)

    def attach(self, link: Link) -> None:
        """The link to use from now on; nothing is sent before `release`."""
        self._link = link
        self._send_next()

    def detach(self) -> None:
        """The link is gone: what still waits counts as sent offline (E11.FR.07)."""
        self._link = None
        self._tell_drained()
        self.outbox.went_offline(self._last_row_id)

    def release(self, *, open_: bool) -> None:
        """Whether the station may send at all (B01.FR.08, B02.FR.02)."""
        self._released = open_
        self._send_next()

    async def write(self) -> None:
        """Stores, notes and forgets, until `finish` was called and nothing is left, or the storage
        takes too long for it."""
        await self._journal.run()

    def finish(self) -> None:
        """Sends nothing more, and lets `write` return once everything is stored."""
        self._link = None
        self._tell_drained()
        if self._timer is not None:
            self._timer.cancel()
        self._disk.finish()
        self._journal.finish()

    # --- storing --------------------------------------------------------------------------

    def _accept(self, row: OutboxRow) -> None:
        """Takes a row that a storage which is not durable has, and sends it if it is its turn."""
        outbox = self.outbox
        outbox.add(row)
        if outbox.in_memory > outbox.thin_at:
            self._disk.thin_memory()
        if self._under_way is None:
            self._send_next()

    def _on_stored(self, row: OutboxRow, stored: bool) -> None:  # noqa: FBT001
        """Takes a row that is stored, or that a failing storage did not take."""
        outbox = self.outbox
        if stored and outbox.became_stored(row):
            return
        if self._link is None:  # It may have gone while the row was being stored.
            row.offline = True
        outbox.accept(row, stored=stored)
        self._disk.check()
        if self._under_way is None:
            self._send_next()

    def _correct(self, rows: Iterable[OutboxRow]) -> None:
        """Rows that come from the storage may bear times of a clock that was wrong."""
        if self.redate is not None:
            for row in rows:
                if row.run:
                    self.redate(row)

    # --- sending --------------------------------------------------------------------------

    def _send_next(self) -> None:
        """Sends what there is to send now; else sees to it that it is called when there is."""
        link = self._link
        if link is None or not self._released or self._under_way is not None:
            return
        while (row := self.outbox.take(self._monotonic())) is not None:
            if row.version != link.version and not _fits(row, link.version, self._adapt):
                self._give_up(row, OcppError(f"the message does not exist in OCPP {link.version}"))
                continue
            self._under_way = row
            try:
                link.start_raw(row.action, wire_payload(row), self._answer)
            except ConnectionLost as error:
                self._on_error(error)
            except QueueFull:
                self._under_way = None
                self.outbox.interrupted(row)
                self._wake_at(self._monotonic() + _BUSY_PAUSE_S)
            except MessageTooLong as error:
                self._under_way = None
                self._give_up(row, error)
                continue
            return
        outbox = self.outbox
        if not outbox.in_memory and not outbox.away:
            if self._drained is not None:
                self._tell_drained()
            return
        due = self.outbox.next_attempt_at()
        if self._durable:
            self._disk.refill()
            due = min(filter(None, (due, self._disk.next_load_at)), default=None)
        if due is not None:
            self._wake_at(due)

    def _on_response(self, response: Message) -> None:
        """The CSMS has confirmed the message that was under way."""
        row, self._under_way = self._under_way, None
        if row is None:
            return
        self.outbox.delivered(row)
        if self._durable:
            self._journal.confirm((row.row_id,))
            self._disk.refill()
        else:
            _ = self._storage.outbox_remove((row.row_id,))
        try:
            self._on_delivered(row, response)
        except Exception:  # Whatever it was, the next message must go.
            _log.exception("handling the answer to %s of %s failed", row.action, row.lane)
        self._send_next()

    def _on_error(self, error: OcppError) -> None:
        """It has not."""
        row, self._under_way = self._under_way, None
        if row is None:
            return
        if isinstance(error, ConnectionLost):
            # The owner will hear of it too: `detach`, and then `attach` with another link.
            self.outbox.interrupted(row)
            self._link = None
            return
        is_unknown = _is_unknown(row, error)
        self.unsupported += is_unknown
        if is_unknown or isinstance(error, MessageTooLong):  # It will not become shorter.
            self._give_up(row, error)
        else:
            self._try_again(row, error)
        self._send_next()

    def _try_again(self, row: OutboxRow, error: OcppError) -> None:
        """After the pause of E13.FR.03, unless this was the last attempt."""
        if not self.outbox.failed(row, self._monotonic(), self._retry()):
            self._bury(row, error)
            return
        _log.warning("%s of %s: attempt %d: %s", row.action, row.lane, row.attempts, error)
        self._journal.note(lambda: self._storage.outbox_attempted(row.row_id, row.attempts))

    def _give_up(self, row: OutboxRow, error: OcppError) -> None:
        """No attempt would help: the row under way is kept aside, the next of its lane follows."""
        self.outbox.delivered(row)
        self._bury(row, error)

    def _bury(self, row: OutboxRow, error: OcppError) -> None:
        self.dead += 1
        _log.error(
            "%s of %s, seqNo %d, is given up after %d attempts and kept as a dead letter: %s",
            row.action, row.lane, row.seq_no, row.attempts, error,
        )  # fmt: skip
        self._journal.bury(row, str(error), self._clock.now().isoformat())

    def _wake_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_later(max(0.0, due - self._monotonic()), self._send_next)

    def _tell_drained(self) -> None:
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None


def _is_unknown(row: OutboxRow, error: OcppError) -> bool:
    """Whether the CSMS does not know this kind of message, so that no attempt will help. Of
    transactions it has to know (E13.FR.02); security events are news to many (A04)."""
    if row.action == "TransactionEvent" or not isinstance(error, CallErrorReceived):
        return False
    return error.code in (ErrorCode.NOT_IMPLEMENTED, ErrorCode.NOT_SUPPORTED)


def _fits(
    row: OutboxRow,
    version: OcppVersion,
    adapt: Callable[[OutboxRow, OcppVersion], bytes | None] | None,
) -> bool:
    """Whether a row that was made for another version fits this one too, or can be made to."""
    if _is_valid(row, version):
        return True
    payload = None if adapt is None else adapt(row, version)
    if payload is None:
        return False
    row.payload, row.version = payload, version
    return _is_valid(row, version)


def _is_valid(row: OutboxRow, version: OcppVersion) -> bool:
    info = actions(version).get(row.action)
    if info is None:
        return False
    try:
        decode_payload(info.request, wire_payload(row))
    except ValidationError:
        return False
    return True
