"""The RPC rules of Part 4, chapter 4, as a state machine without I/O.

It knows no socket, no event loop and no clock: bytes and the current time are arguments, what
is to be sent is returned. One exchange serves one connection. Its methods are of four kinds:

- commands of our own program: `submit`, `withdraw`, `answer`, `refuse`, `drop`, `close`;
- what comes in: `receive`, `receive_binary`, `expire`;
- what goes out, beside the results of the above: `next_frame`;
- getters: `open_call`, `deadline`, `waiting`, `fault_counts`.

There are two directions, each with at most one CALL in flight if the peer keeps the rule too
(FR.01, Part 4 section 4.1.1). For our own CALLs it holds always: one is open, the others wait
their turn. A reply counts only if it carries the id of the open call and comes before its
deadline; every other is a `Fault` and changes nothing. The peer's CALLs are accepted beyond
one, because a peer may have given up on an earlier one, up to a bound.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeAlias, TypeVar

from ocpp_fast._core import Call, CallError, CallResult, CallResultError, InvalidFrame, Send
from ocpp_fast.errors import (
    CallErrorReceived,
    CallTimedOut,
    ErrorCode,
    OcppError,
    QueueFull,
    ReplyInvalid,
)

if TYPE_CHECKING:
    from ocpp_fast._core import Frame
    from ocpp_fast.messages import Message
    from ocpp_fast.messages.json_value import Json

__all__ = ["CodecLike", "Exchange", "Fault", "FaultKind", "OutgoingCall", "Received"]

UNREADABLE_ID: Final = "-1"
"""The message id of an answer to a frame whose own id cannot be read (Part 4, 4.2.3)."""

# The message type numbers of Part 4, table 3.
_CALL: Final = 2
_CALLRESULT: Final = 3
_CALLERROR: Final = 4
_CALLRESULTERROR: Final = 5
_SEND: Final = 6

_REMEMBERED: Final = 8


class CodecLike(Protocol):
    """What an exchange needs of `ocpp_fast._core.Codec`.

    It never raises for what comes in, and cuts descriptions to the 255 characters of Part 4.
    """

    @property
    def version(self) -> str: ...

    def decode(
        self, frame: bytes, open_id: str | None = None, open_action: str | None = None, /
    ) -> Frame: ...

    def encode_result(self, message_id: str, response: Message, /) -> bytes: ...

    def encode_error(
        self, message_id: str, code: str, description: str = "", details: Json | None = None, /
    ) -> bytes: ...

    def encode_result_error(
        self, message_id: str, code: str, description: str = "", details: Json | None = None, /
    ) -> bytes: ...


class OutgoingCall:
    """One CALL of ours, from `submit` until `reply` or `error` is set.

    Whoever submits a subclass gets the same object back when the call has ended.
    """

    __slots__ = ("action", "deadline", "error", "frame", "message_id", "reply", "timeout_s")

    def __init__(self, message_id: str, action: str, frame: bytes, timeout_s: float) -> None:
        self.message_id = message_id
        self.action = action
        self.frame = frame
        self.timeout_s = timeout_s
        """Seconds that the peer has to answer, from the moment the frame is sent."""
        self.deadline = 0.0
        """When an answer comes too late; set when the frame is sent."""
        self.reply: CallResult | None = None
        """The answer, if one came in time."""
        self.error: OcppError | None = None
        """Why there is no answer."""


_C = TypeVar("_C", bound=OutgoingCall)


class FaultKind(StrEnum):
    """What was wrong with something that came in."""

    INVALID_FRAME = "invalid frame"
    """It breaks JSON, the RPC framework or a schema; see the `InvalidFrame`."""
    BINARY_FRAME = "binary frame"
    """OCPP is text (Part 4, section 4.1.2)."""
    UNKNOWN_TYPE = "unknown message type"
    """A message type number that this version does not have (Part 4, 4.1.3 and 4.4)."""
    LATE_REPLY = "late reply"
    """It answers a call of ours that has timed out."""
    DUPLICATE_REPLY = "duplicate reply"
    """It answers a call of ours that has been answered."""
    FOREIGN_REPLY = "foreign reply"
    """It answers no call that this side remembers."""
    DUPLICATE_REQUEST = "duplicate request"
    """A CALL with the id of one that is still being handled (Part 4, section 4.2.3)."""
    TOO_MANY_REQUESTS = "too many requests"
    """A CALL or SEND while so many others are being handled that the bound is reached."""
    RESULT_REFUSED = "result refused"
    """A CALLRESULTERROR: the peer could not process an answer of ours (FR.06)."""


@dataclass(frozen=True, slots=True)
class Fault(Generic[_C]):
    """Something came in that was not accepted."""

    kind: FaultKind
    frame: Frame | None
    """What came in; None for a binary frame."""
    answer: bytes | None = None
    """A frame to be sent to the peer."""
    ended: _C | None = None
    """The call of ours that ended by it; its `error` is set."""

    def __str__(self) -> str:
        return str(self.kind) if self.frame is None else f"{self.kind}: {self.frame!r}"


Received: TypeAlias = "_C | Call | Send | Fault[_C]"
"""What a frame turned out to be: the end of our call, a request, a SEND, or a fault."""


class Exchange(Generic[_C]):
    """The state of one connection: our calls, the peer's calls, and what went wrong.

    `max_waiting` bounds our CALLs behind the open one, `max_requests` the peer's CALLs in
    progress. Times are seconds of one monotonic clock, always passed in as `now`.
    """

    __slots__ = (
        "_answered_id",
        "_codec",
        "_decode",
        "_expired_ids",
        "_in_progress",
        "_max_requests",
        "_max_waiting",
        "_with_result_error",
        "closed",
        "fault_counts",
        "open_call",
        "waiting",
    )

    def __init__(self, codec: CodecLike, *, max_waiting: int = 64, max_requests: int = 16) -> None:
        self._codec = codec
        self._decode = codec.decode
        self._with_result_error = codec.version != "2.0.1"
        self._max_waiting = max_waiting
        self._max_requests = max_requests
        self._in_progress: set[str] = set()
        self._answered_id: str | None = None
        self._expired_ids: tuple[str, ...] = ()
        self.open_call: _C | None = None
        """Our CALL that is in flight."""
        self.waiting: list[_C] = []
        """Our CALLs that have not been sent, first come first served."""
        self.fault_counts: dict[FaultKind, int] = {}
        """How often each kind of fault was met."""
        self.closed: OcppError | None = None
        """What calls fail with since the connection ended; None while it is open."""

    @property
    def deadline(self) -> float | None:
        """When `expire` has something to do; None without an open call."""
        return None if self.open_call is None else self.open_call.deadline

    @property
    def requests_in_progress(self) -> frozenset[str]:
        """Message ids of the peer's CALLs that have not been answered."""
        return frozenset(self._in_progress)

    # Our calls

    def submit(self, call: _C, now: float) -> bytes | None:
        """Takes a CALL; gives the frame to send, or None while another one is in flight.

        Raises `QueueFull`, and the error that the connection ended with once it has.
        """
        if self.closed is not None:
            raise copy(self.closed)
        if self.open_call is None and not self.waiting:
            self.open_call = call
            call.deadline = now + call.timeout_s
            return call.frame
        if len(self.waiting) >= self._max_waiting:
            raise QueueFull(call.action, self._max_waiting)
        self.waiting.append(call)
        return None

    def next_frame(self, now: float) -> bytes | None:
        """The frame of the next waiting CALL, if its turn has come.

        To be asked whenever a call has ended, until it gives None.
        """
        if self.open_call is not None or not self.waiting:
            return None
        call = self.waiting.pop(0)
        self.open_call = call
        call.deadline = now + call.timeout_s
        return call.frame

    def withdraw(self, call: _C) -> None:
        """Our program does not want the answer to `call` any more.

        A waiting call is not sent. An open one stays open until it is answered or times out,
        because no other CALL may be sent before that (FR.01).
        """
        if call in self.waiting:
            self.waiting.remove(call)

    def take_back(self, call: _C) -> None:
        """`call` was to be sent and could not be: it is open no more, and the next may be."""
        if self.open_call is call:
            self.open_call = None

    def expire(self, now: float) -> _C | None:
        """Ends the open call if its deadline has come, and gives it."""
        call = self.open_call
        if call is None or now < call.deadline:
            return None
        self.open_call = None
        self._expired_ids = (*self._expired_ids[1 - _REMEMBERED :], call.message_id)
        call.error = CallTimedOut(call.action, call.message_id, call.timeout_s)
        return call

    def close(self, error: OcppError) -> list[_C]:
        """The connection is gone: ends all our calls with `error`, and gives them.

        Each gets a copy, because an exception changes when it is raised.
        """
        if self.closed is not None:
            return []
        self.closed = error
        ended = list(self.waiting) if self.open_call is None else [self.open_call, *self.waiting]
        for call in ended:
            call.error = copy(error)
        self.open_call = None
        self.waiting.clear()
        self._in_progress.clear()
        return ended

    # The peer's calls

    def answer(self, message_id: str, response: Message) -> bytes | None:
        """The CALLRESULT for a CALL of the peer (FR.02); None if it was answered before.

        Raises what the codec raises for a response that cannot be sent; the CALL then still
        waits for its answer.
        """
        if message_id not in self._in_progress:
            return None
        frame = self._codec.encode_result(message_id, response)
        self._in_progress.discard(message_id)
        return frame

    def take_back_answer(self, message_id: str) -> None:
        """The answer to a CALL of the peer could not be sent: the CALL waits for another one."""
        if self.closed is None:
            self._in_progress.add(message_id)

    def refuse(
        self, message_id: str, code: ErrorCode, description: str, details: Json | None = None
    ) -> bytes | None:
        """The CALLERROR for a CALL of the peer (FR.03); None if it was answered before.

        Raises `ValidationError` for `details` that are no object; the CALL then still waits.
        """
        if message_id not in self._in_progress:
            return None
        frame = self._codec.encode_error(message_id, code, description, details)
        self._in_progress.discard(message_id)
        return frame

    # What comes in

    def receive(self, data: bytes, now: float) -> Received[_C]:
        """One text frame from the peer, before `close`. Never raises, whatever it holds."""
        call = self.open_call
        if call is None:
            frame = self._decode(data)
        else:
            frame = self._decode(data, call.message_id, call.action)
        # The hot path. `type() is` costs half of `isinstance` when the answer is no.
        if type(frame) is CallResult:
            if call is not None and frame.message_id == call.message_id and now < call.deadline:
                call.reply = frame
                self.open_call = None
                self._answered_id = call.message_id
                return call
        elif type(frame) is Call:
            in_progress = self._in_progress
            message_id = frame.message_id
            if message_id not in in_progress and len(in_progress) < self._max_requests:
                in_progress.add(message_id)
                return frame
        return self._receive_other(frame, now)

    def receive_binary(self) -> Fault[_C]:
        """A binary frame came. It is answered like one that cannot be read."""
        answer = self._codec.encode_error(
            UNREADABLE_ID, ErrorCode.RPC_FRAMEWORK_ERROR, "binary frames are not OCPP"
        )
        return self._fault(FaultKind.BINARY_FRAME, None, answer)

    def drop(self, send: Send) -> Fault[_C]:
        """A SEND that `receive` gave cannot be handled, because too many others are."""
        return self._fault(FaultKind.TOO_MANY_REQUESTS, send)

    def _receive_other(self, frame: Frame, now: float) -> Received[_C]:
        """Everything but an answer in time and a request that can be taken."""
        if isinstance(frame, Call):
            return self._refused_request(frame)
        if isinstance(frame, Send):
            return frame
        if isinstance(frame, CallResult):
            return self._stray_reply(frame, frame.message_id, now)
        if isinstance(frame, CallError):
            error = CallErrorReceived(frame.code, frame.description, frame.details)
            ended = self._fail_open(frame.message_id, error, now)
            return ended or self._stray_reply(frame, frame.message_id, now)
        if isinstance(frame, CallResultError):
            return self._fault(FaultKind.RESULT_REFUSED, frame)
        return self._invalid(frame, now)

    def _refused_request(self, frame: Call) -> Fault[_C]:
        if frame.message_id in self._in_progress:
            kind, code = FaultKind.DUPLICATE_REQUEST, ErrorCode.RPC_FRAMEWORK_ERROR
            text = "a CALL with this message id is being handled already"
        else:
            kind, code = FaultKind.TOO_MANY_REQUESTS, ErrorCode.GENERIC_ERROR
            text = f"{self._max_requests} CALLs are being handled already"
        return self._fault(kind, frame, self._codec.encode_error(frame.message_id, code, text))

    def _stray_reply(self, frame: CallResult | CallError, message_id: str, now: float) -> Fault[_C]:
        """A reply that ends no call, or ends it because it came too late."""
        call = self.open_call
        if call is not None and call.message_id == message_id:
            return self._fault(FaultKind.LATE_REPLY, frame, ended=self.expire(now))
        if message_id in self._expired_ids:
            return self._fault(FaultKind.LATE_REPLY, frame)
        if message_id == self._answered_id:
            return self._fault(FaultKind.DUPLICATE_REPLY, frame)
        return self._fault(FaultKind.FOREIGN_REPLY, frame)

    def _invalid(self, frame: InvalidFrame, now: float) -> Fault[_C]:
        """Who is told what about a frame that cannot be accepted.

        A request gets a CALLERROR (FR.03), and so does a frame of which not even the type can
        be read. A response gets a CALLRESULTERROR in 2.1 (FR.06), and ends the call it belongs
        to. Errors and SENDs get no answer, so no two peers can quarrel for ever (FR.07). A type
        number of no message gets an answer in 2.0.1 (Part 4 there, section 4.4) and none in 2.1.
        """
        codec = self._codec
        message_type = frame.message_type
        description = f"{frame.pointer}: {frame.cause}" if frame.pointer else frame.cause
        telling = (frame.message_id, frame.code, description)
        if message_type is None or message_type == _CALL:
            return self._fault(FaultKind.INVALID_FRAME, frame, codec.encode_error(*telling))
        if message_type in (_CALLRESULT, _CALLERROR):
            error = ReplyInvalid(frame.code, frame.pointer, frame.cause)
            ended = self._fail_open(frame.message_id, error, now) or self.expire(now)
            answer = None
            if message_type == _CALLRESULT and self._with_result_error:
                answer = codec.encode_result_error(*telling)
            return self._fault(FaultKind.INVALID_FRAME, frame, answer, ended)
        if self._with_result_error:
            known = message_type in (_CALLRESULTERROR, _SEND)
            kind = FaultKind.INVALID_FRAME if known else FaultKind.UNKNOWN_TYPE
            return self._fault(kind, frame)
        return self._fault(FaultKind.UNKNOWN_TYPE, frame, codec.encode_error(*telling))

    def _fail_open(self, message_id: str, error: OcppError, now: float) -> _C | None:
        """Ends the open call with `error` if it has that id and time is not up yet."""
        call = self.open_call
        if call is None or call.message_id != message_id or now >= call.deadline:
            return None
        self.open_call = None
        self._answered_id = message_id
        call.error = error
        return call

    def _fault(
        self,
        kind: FaultKind,
        frame: Frame | None,
        answer: bytes | None = None,
        ended: _C | None = None,
    ) -> Fault[_C]:
        self.fault_counts[kind] = self.fault_counts.get(kind, 0) + 1
        return Fault(kind, frame, answer, ended)
