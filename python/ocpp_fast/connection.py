"""One OCPP connection: joins a transport, an exchange, a router and a clock.

It decides nothing about OCPP. It turns what the exchange returns into sent frames, resolved
futures and running handlers, and gives the exchange the time.
"""

from __future__ import annotations

import asyncio
import logging
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, final

from ocpp_fast._core import Call, Deviation, Message, Send
from ocpp_fast.errors import ConfigurationError, ConnectionLost, MessageTooLong
from ocpp_fast.exchange import CodecLike, Exchange, OutgoingCall
from ocpp_fast.handling import HandlerRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocpp_fast.clock import Clock, Timer
    from ocpp_fast.errors import OcppError
    from ocpp_fast.exchange import Fault, FaultKind
    from ocpp_fast.ids import Ids
    from ocpp_fast.router import Router
    from ocpp_fast.transport.base import CloseReason, Transport

__all__ = [
    "Connection",
    "ConnectionCodec",
    "ConnectionObserver",
    "ConnectionSettings",
    "FrameLog",
    "Outcome",
    "Way",
]

_log = logging.getLogger(__name__)

# Less than this, a timer that fired early would be set again for no visible time.
_SHORTEST_TIMER_S: Final = 0.001


class Way(StrEnum):
    """Which way a frame went."""

    IN = "in"
    OUT = "out"


FrameLog: TypeAlias = "Callable[[Way, bytes], None]"
"""Sees every frame as it is on the wire, secrets included. Must be quick."""


class ConnectionObserver:
    """What a connection reports beside its traffic. Override what is of interest; be quick."""

    def on_fault(self, fault: Fault[Any]) -> None:
        """The peer sent something that was not accepted, see `Fault`."""

    def on_deviations(self, action: str, deviations: tuple[Deviation, ...]) -> None:
        """A tolerant codec let something pass that a strict one would have refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """The bounds of a connection. Times are in seconds."""

    call_timeout_s: float = 30.0
    """How long a CALL waits for its answer from the moment it was sent (Part 2, 3.2)."""
    handler_timeout_s: float = 30.0
    """How long a handler may take; then the peer gets InternalError and the task is cancelled."""
    max_waiting_calls: int = 64
    """How many CALLs may wait for their turn behind the one in flight."""
    max_requests_in_progress: int = 16
    """How many CALLs of the peer, and how many SENDs, may be handled at once."""


_DEFAULTS: Final = ConnectionSettings()


class ConnectionCodec(CodecLike, Protocol):
    """What a connection needs of `ocpp_fast._core.Codec`."""

    def encode_call(self, message_id: str, request: Message, /) -> bytes: ...

    def encode_send(self, message_id: str, message: Message, /) -> bytes: ...

    def encode_call_raw(self, message_id: str, action: str, payload: bytes, /) -> bytes: ...


@final
class Outcome(Protocol):
    """What is told of the end of a call, once; a future is one."""

    def done(self) -> bool:
        """Whether nobody wants to know any more."""
        ...

    def set_result(self, result: Message, /) -> None:
        """The peer answered with this response."""
        ...

    def set_exception(self, exception: OcppError, /) -> None:
        """There is no response, for this reason."""
        ...


@final
class _PendingCall(OutgoingCall):
    """An outgoing CALL and the future of whoever waits for it."""

    __slots__ = ("future",)

    # Set right after the call is made: a constructor of its own would take another 0.2 us.
    # Its result is a `Message`: the exchange takes an answer without payload for a stray one.
    future: Any

    def fail(self) -> None:
        """Raises `error` for whoever waits, if somebody still does."""
        if self.error is not None and not self.future.done():
            self.future.set_exception(self.error)


class Connection:
    """One open link to the peer. A `TransportListener`; never reused.

    Make it inside the event loop, when a transport opens:

        connection = await connect(
            url, lambda transport: Connection(transport, router, codec, clock=clock, ids=ids)
        )

    The connection lives until the peer, the network or `close` ends it. `router` and `codec`
    may be shared with other connections of the same version, `ids` with all.

    Raises `ConfigurationError` if transport, router and codec are not of one OCPP version.
    """

    def __init__(
        self,
        transport: Transport,
        router: Router,
        codec: ConnectionCodec,
        *,
        clock: Clock,
        ids: Ids,
        settings: ConnectionSettings = _DEFAULTS,
        observer: ConnectionObserver | None = None,
        frame_log: FrameLog | None = None,
    ) -> None:
        self.version = router.version
        self.transport = transport
        if codec.version != self.version or transport.subprotocol != self.version.subprotocol:
            raise ConfigurationError(
                f"a router for OCPP {self.version} cannot serve {transport.subprotocol!r} "
                f"with a codec for {codec.version}"
            )
        self._codec = codec
        self._clock = clock
        self.call_timeout_s = settings.call_timeout_s
        """See `ConnectionSettings`; may be changed at any time, for calls that come later."""
        self._observer = observer
        self._frame_log = frame_log
        self._exchange: Exchange[_PendingCall] = Exchange(
            codec,
            max_waiting=settings.max_waiting_calls,
            max_requests=settings.max_requests_in_progress,
        )
        self._loop = asyncio.get_running_loop()
        self._closed: asyncio.Future[CloseReason] = self._loop.create_future()
        # One timer for the deadline of the open call. It is not moved with every call: when it
        # fires it sees how much later it is needed, if at all.
        self._timer: Timer | None = None
        self._timer_at = inf
        # Looked up once, as they are needed for each frame.
        self._send = transport.send if frame_log is None else self._send_and_log
        self._message_id = ids.message_id
        self._monotonic = clock.monotonic
        self._handlers = HandlerRunner(
            router,
            self._exchange,
            self._send,
            clock,
            limit_s=settings.handler_timeout_s,
            max_sends=settings.max_requests_in_progress,
        )
        self._handle = self._handlers.handle

    # --- for our own program ----------------------------------------------------------------

    @property
    def closed(self) -> CloseReason | None:
        """How the link ended; None while it is open."""
        return self._closed.result() if self._closed.done() else None

    @property
    def fault_counts(self) -> dict[FaultKind, int]:
        """How often each kind of fault of the peer was met on this connection."""
        return dict(self._exchange.fault_counts)

    async def call(self, request: Message, *, timeout_s: float | None = None) -> Message:
        """Sends a CALL and returns the response, of the type that belongs to `request`.

        Only one CALL is in flight (FR.01); this one waits behind those that came before it, of
        which there are at most `max_waiting_calls`. `timeout_s` is the time that the peer has
        to answer once the CALL was sent, `call_timeout_s` by default.

        Cancelled while it waits, it is not sent. Cancelled later, its answer is dropped, and
        the next CALL still waits for that answer or its deadline.

        Raises `CallErrorReceived`, `CallTimedOut`, `ReplyInvalid`, `ConnectionLost`,
        `QueueFull`, `MessageTooLong`; and `ValidationError` or `TypeError` for a message that is no
        request of this version.
        """
        action = _ACTIONS.get(type(request)) or _action_of(type(request))
        message_id = self._message_id()
        frame = self._codec.encode_call(message_id, request)
        pending = self._submit(message_id, action, frame, timeout_s)
        return await self._reply_to(pending)

    async def call_raw(
        self,
        action: str,
        payload: bytes,
        *,
        message_id: str | None = None,
        timeout_s: float | None = None,
    ) -> Message:
        """Like `call`, for a payload that `encode_payload` made earlier, such as a stored one.

        With `message_id` a retry may bear the id of its first attempt (Part 4, section 4.1.4);
        an answer to the first that comes during the retry then counts for the retry.
        """
        if message_id is None:
            message_id = self._message_id()
        frame = self._codec.encode_call_raw(message_id, action, payload)
        pending = self._submit(message_id, action, frame, timeout_s)
        return await self._reply_to(pending)

    async def call_frame(self, message_id: str, action: str, frame: bytes) -> Message:
        """Like `call`, for a CALL that is a whole frame already, such as a page of a report.

        `message_id` and `action` are those in the frame; nobody compares.
        """
        pending = self._submit(message_id, action, frame, None)
        return await self._reply_to(pending)

    async def _reply_to(self, pending: _PendingCall) -> Message:
        """The answer, which nobody waits for any more when this is cancelled."""
        try:
            return await pending.future
        except asyncio.CancelledError:
            self._exchange.withdraw(pending)
            raise

    def start_raw(self, action: str, payload: bytes, outcome: Outcome) -> None:
        """Like `call_raw` for a program without a task to wait in: `outcome` is told.

        That happens inside the callback of the socket, so it must be quick and must not raise;
        it may start the next call. Raises `QueueFull`, `ConnectionLost` and `MessageTooLong` at
        once, the last also through `outcome` if the call had to wait.
        """
        message_id = self._message_id()
        frame = self._codec.encode_call_raw(message_id, action, payload)
        self._submit(message_id, action, frame, None, outcome)

    def send(self, message: Message) -> None:
        """Sends a SEND (OCPP 2.1), at once, even while a CALL is in flight.

        Nobody will know whether it arrived (FR.07). Raises `ConnectionLost` when the link is
        known to be gone, `MessageTooLong`, and `ValidationError` or `TypeError` for what is no SEND
        message.
        """
        frame = self._codec.encode_send(self._message_id(), message)
        if self._exchange.closed is not None:
            raise copy(self._exchange.closed)
        self._send(frame)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes the link and returns when it is closed and all its tasks have ended.

        Calls that are open or waiting fail with `ConnectionLost`; handlers and what they left
        to be done after their answers are cancelled, except the task that calls this. Takes
        no longer than the closing handshake may, and five seconds more for tasks that resist.
        May be called at any time and again.
        """
        self.transport.close(code, reason)
        await self.wait_closed()
        await self._handlers.stop()

    async def wait_closed(self) -> CloseReason:
        """Returns how the link ended, as soon as it has."""
        return await asyncio.shield(self._closed)

    # --- for the transport ------------------------------------------------------------------

    def on_frame(self, frame: bytes) -> None:
        """See `TransportListener.on_frame`."""
        if self._frame_log is not None:
            self._log_frame(Way.IN, frame)
        now = self._monotonic()
        received = self._exchange.receive(frame, now)
        if type(received) is _PendingCall:
            reply = received.reply
            if reply is None:
                received.fail()
            else:
                if not received.future.done():  # or nobody waits any more
                    received.future.set_result(reply.payload)
                if reply.deviations:
                    self._report_deviations(received.action, reply.deviations)
            if self._exchange.waiting:
                self._send_next(now)
        elif type(received) is Call:
            if received.deviations:
                self._report_deviations(received.action, received.deviations)
            self._handle(received, len(frame))
        elif isinstance(received, Send):
            self._on_send(received)
        else:
            self._on_fault(received, now)

    def on_binary_frame(self, size_bytes: int) -> None:  # noqa: ARG002  # nothing to do with it
        """See `TransportListener.on_binary_frame`."""
        self._on_fault(self._exchange.receive_binary(), self._monotonic())

    def on_closed(self, reason: CloseReason) -> None:
        """See `TransportListener.on_closed`. Handlers in progress go on, unanswered."""
        if self._timer is not None:
            self._timer.cancel()
        for pending in self._exchange.close(ConnectionLost(reason.code, reason.text)):
            pending.fail()
        self._closed.set_result(reason)

    # --- our calls --------------------------------------------------------------------------

    def _submit(
        self,
        message_id: str,
        action: str,
        frame: bytes,
        timeout_s: float | None,
        outcome: Outcome | None = None,
    ) -> _PendingCall:
        if timeout_s is None:
            timeout_s = self.call_timeout_s
        pending = _PendingCall(message_id, action, frame, timeout_s)
        pending.future = self._loop.create_future() if outcome is None else outcome
        now = self._monotonic()
        if self._exchange.submit(pending, now) is not None:
            if pending.deadline < self._timer_at:
                self._arm(pending.deadline, now)
            try:
                self._send(frame)
            except MessageTooLong:
                self._exchange.take_back(pending)
                raise
        return pending

    def _send_next(self, now: float) -> None:
        """Sends the next of the waiting CALLs, if there is one."""
        while (frame := self._exchange.next_frame(now)) is not None:
            self._keep_deadline(now)
            try:
                self._send(frame)
            except MessageTooLong as error:
                pending = self._exchange.open_call
                if pending is not None:
                    self._exchange.take_back(pending)
                    pending.error = error
                    pending.fail()

    def _keep_deadline(self, now: float) -> None:
        """Sees to it that the timer fires no later than the deadline of the open call."""
        deadline = self._exchange.deadline
        if deadline is not None and deadline < self._timer_at:
            self._arm(deadline, now)

    def _arm(self, deadline: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        delay_s = max(deadline - now, _SHORTEST_TIMER_S)
        self._timer = self._clock.call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = inf
        now = self._monotonic()
        expired = self._exchange.expire(now)
        if expired is not None:
            expired.fail()
            self._send_next(now)
        self._keep_deadline(now)

    # --- what else comes in -----------------------------------------------------------------

    def _on_send(self, send: Send) -> None:
        if send.deviations:
            self._report_deviations(send.action, send.deviations)
        if not self._handlers.handle_send(send):
            self._report(self._exchange.drop(send))

    def _on_fault(self, fault: Fault[_PendingCall], now: float) -> None:
        if fault.answer is not None:
            self._send(fault.answer)
        if fault.ended is not None:
            fault.ended.fail()
            self._send_next(now)
        self._report(fault)

    def _report(self, fault: Fault[_PendingCall]) -> None:
        _log.info("from %s: %s", self.transport.peer, fault)
        if self._observer is not None:
            try:
                self._observer.on_fault(fault)
            except Exception:
                _log.exception("the observer failed")

    def _report_deviations(self, action: str, deviations: tuple[Deviation, ...]) -> None:
        if self._observer is not None:
            try:
                self._observer.on_deviations(action, deviations)
            except Exception:
                _log.exception("the observer failed")

    def _log_frame(self, way: Way, frame: bytes) -> None:
        if self._frame_log is not None:
            try:
                self._frame_log(way, frame)
            except Exception:
                _log.exception("the message log failed")

    def _send_and_log(self, frame: bytes) -> None:
        self.transport.send(frame)
        self._log_frame(Way.OUT, frame)


# The action of each request type that was ever sent; at most the requests of both versions.
_ACTIONS: dict[type[Message], str] = {}


def _action_of(request_type: type[Message]) -> str:
    """The action is the name of the request without "Request" (Part 4, section 4.1.6)."""
    action = request_type.__name__.removesuffix("Request")
    if action == request_type.__name__:
        raise TypeError(f"{request_type.__name__} is no request")
    _ACTIONS[request_type] = action
    return action
