"""One WebSocket link over picows, the same on both sides, and its bounds."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from ocpp_fast.transport.base import ClosedBy, CloseReason, TransportListener

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocpp_fast.clock import Clock, Timer
    from ocpp_fast.transport.base import MakeListener

__all__ = ["Nobody", "PicowsTransport", "WebSocketSettings"]

_log = logging.getLogger(__name__)
# Given an adapter, picows makes no logger of its own for each connection (some 2 KB each).
_picows_log = logging.LoggerAdapter(logging.getLogger("ocpp_fast.picows"), {})

_TEXT = WSMsgType.TEXT
_CONTINUATION = WSMsgType.CONTINUATION
_CLOSE = WSMsgType.CLOSE
_PONG = WSMsgType.PONG
_DATA = (_TEXT, WSMsgType.BINARY, _CONTINUATION)

_NORMAL: Final = 1000
_PROTOCOL_ERROR: Final = 1002
_NO_STATUS: Final = 1005
_ABNORMAL: Final = 1006
_TOO_BIG: Final = 1009
_INTERNAL_ERROR: Final = 1011
_MAX_CLOSE_TEXT_BYTES: Final = 123


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketSettings:
    """The bounds of a WebSocket. Times in seconds, sizes in bytes."""

    open_timeout_s: float = 20.0
    """From the look-up of the host name to the finished handshake."""
    close_timeout_s: float = 5.0
    """How long the peer may take to answer a close frame; then the connection is cut."""
    ping_interval_s: float | None = None
    """How often the peer is pinged at first, see `Transport.ping_every`; None for never."""
    ping_timeout_s: float = 10.0
    """How long a ping may stay unanswered, or as long as the interval is if that is shorter; then
    the link is cut."""
    max_message_bytes: int = 1_048_576
    """Longest message, whole or in fragments; a longer one ends the link with 1009.

    A codec has a bound of its own, and answers what is longer with a CALLERROR.
    """
    max_unsent_bytes: int = 4_194_304
    """How much may wait for a peer that does not read; beyond it the link is cut."""
    read_buffer_bytes: int = 16_384
    """First size of the read buffer that every link holds. It grows with longer frames."""

    def for_picows(self) -> dict[str, Any]:
        """The arguments that picows takes for both sides of a link. Its own pings are not used: it
        fixes their interval when a link opens, and takes a task for each link."""
        return {
            # A fault of ours in a callback is logged; it must not take the link down.
            "disconnect_on_exception": False,
            "websocket_handshake_timeout": self.open_timeout_s,
            "logger_name": _picows_log,
            "max_frame_size": self.max_message_bytes,
            "read_buffer_init_size": self.read_buffer_bytes,
        }


class PicowsTransport(WSListener):
    """A `Transport` over one WebSocket; the other methods are picows' callbacks."""

    listener: TransportListener
    """Who gets the frames; set when the link opens."""
    subprotocol: str
    peer: str

    def __init__(
        self,
        make_listener: MakeListener[TransportListener],
        subprotocol: str,
        clock: Clock,
        settings: WebSocketSettings,
        ended: Callable[[PicowsTransport], None] | None = None,
    ) -> None:
        self.subprotocol = subprotocol
        self.peer = ""
        self.failure: Exception | None = None
        """What `make_listener` raised, if it did; the link is closed then."""
        self._make_listener = make_listener
        self._clock = clock
        self._max_message_bytes = settings.max_message_bytes
        self._close_timeout_s = settings.close_timeout_s
        self._max_unsent_bytes = settings.max_unsent_bytes
        self._ping_interval_s = settings.ping_interval_s or 0.0
        self._ping_timeout_s = settings.ping_timeout_s
        self._ping_timer: Timer | None = None
        self._pong_timer: Timer | None = None
        """Runs while a ping is unanswered."""
        self._ended = ended
        self._ws: WSTransport
        self._parts: bytearray | None = None
        """The fragments of a message so far; None between messages."""
        self._parts_are_text = False
        self._reason: CloseReason | None = None
        """Why the link ends, from the moment that is decided."""
        self._close_timer: Timer | None = None
        self._paused = False
        self._open = False

    # Transport

    def send(self, frame: bytes) -> None:
        """See `Transport.send`."""
        if self._paused:
            self._check_backlog(len(frame))
        self._ws.send(_TEXT, frame)

    def close(self, code: int = _NORMAL, reason: str = "") -> None:
        """See `Transport.close`."""
        if self._reason is None:
            self._close(CloseReason(code, reason, ClosedBy.LOCAL))

    def ping_every(self, interval_s: float) -> None:
        """See `Transport.ping_every`."""
        self._ping_interval_s = interval_s
        self._stop_pings()
        if interval_s > 0 and self._open and self._reason is None:
            self._ping_timer = self._clock.call_later(interval_s, self._ping)

    # picows' callbacks

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._ws = transport
        self._open = True
        self.peer = _address(transport)
        try:
            self.listener = self._make_listener(self)
        except Exception as error:
            _log.exception("no listener for the link to %s", self.peer)
            self.failure = error
            self.listener = Nobody()
            self._close(CloseReason(_INTERNAL_ERROR, "", ClosedBy.LOCAL))
        self._on_frame = self.listener.on_frame
        if self._ping_timer is None:  # Unless the listener has said how often.
            self.ping_every(self._ping_interval_s)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002
        kind = frame.msg_type
        if kind is _TEXT and frame.fin and self._parts is None and not frame.rsv1:
            # picows delivers what it has refused with 1009 if it arrives before the end.
            if frame.payload_size <= self._max_message_bytes:
                # Bytes, not the memoryview that dies with this callback: at the size of OCPP
                # messages the copy costs as much as the view object.
                self._on_frame(frame.get_payload_as_bytes())
        elif kind is _CLOSE:
            self._on_close_frame(frame)
        elif kind in _DATA:
            self._on_rare_frame(kind, frame)
        elif kind is _PONG and self._pong_timer is not None:
            self._pong_timer.cancel()
            self._pong_timer = None

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._open = False
        self._stop_pings()
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._parts = None
        reason = self._reason or _unasked_end(transport)
        self._reason = reason
        if self._ended is not None:
            self._ended(self)
        self.listener.on_closed(reason)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False

    # Decisions

    def _ping(self) -> None:
        if self._pong_timer is None:  # One at a time.
            timeout_s = min(self._ping_timeout_s, self._ping_interval_s)
            self._pong_timer = self._clock.call_later(timeout_s, self._on_silence)
            self._ws.send_ping()
        self._ping_timer = self._clock.call_later(self._ping_interval_s, self._ping)

    def _on_silence(self) -> None:
        self._pong_timer = None
        if self._reason is None:
            self._reason = CloseReason(_ABNORMAL, "no answer to a ping", ClosedBy.NETWORK)
            self._cut()

    def _stop_pings(self) -> None:
        for timer in (self._ping_timer, self._pong_timer):
            if timer is not None:
                timer.cancel()
        self._ping_timer = self._pong_timer = None

    def _on_close_frame(self, frame: WSFrame) -> None:
        if self._reason is None:
            if self._ws.is_close_frame_sent:  # by picows, see `_unasked_end`
                self._reason = _unasked_end(self._ws)
                self._cut_later()
            else:
                self._close(_peer_reason(frame.get_payload_as_bytes()))
        self._ws.disconnect()

    def _on_rare_frame(self, kind: WSMsgType, frame: WSFrame) -> None:
        """Fragments, binary messages, and what WebSocket does not allow."""
        if frame.rsv1:
            self._violation(_PROTOCOL_ERROR, "a reserved bit without an agreed extension")
        elif (kind is _CONTINUATION) is (self._parts is None):
            self._violation(_PROTOCOL_ERROR, "a fragment out of place")
        else:
            self._add_fragment(kind, frame)

    def _add_fragment(self, kind: WSMsgType, frame: WSFrame) -> None:
        if self._parts is None:
            self._parts = bytearray()
            self._parts_are_text = kind is _TEXT
        parts = self._parts
        if len(parts) + frame.payload_size > self._max_message_bytes:
            self._violation(_TOO_BIG, f"more than {self._max_message_bytes} bytes")
            return
        parts += frame.get_payload_as_memoryview()
        if not frame.fin:
            return
        self._parts = None
        if self._parts_are_text:
            self._on_frame(bytes(parts))
        else:
            self.listener.on_binary_frame(len(parts))

    def _violation(self, code: int, text: str) -> None:
        self._parts = None
        self._on_frame = _ignore
        if self._reason is None:
            self._close(CloseReason(code, text, ClosedBy.VIOLATION))

    def _close(self, reason: CloseReason) -> None:
        """Sends a close frame, ours or the answer to the peer's."""
        self._reason = reason
        self._stop_pings()
        code = _NORMAL if reason.code == _NO_STATUS else reason.code
        # The stub asks for an enumeration without the codes from 3000 on; picows takes any.
        self._ws.send_close(code, _close_text(reason.text))  # pyright: ignore[reportArgumentType]
        self._cut_later()

    def _cut_later(self) -> None:
        self._close_timer = self._clock.call_later(self._close_timeout_s, self._cut)

    def _cut(self) -> None:
        self._ws.disconnect(graceful=False)

    def _check_backlog(self, size_bytes: int) -> None:
        unsent = self._ws.underlying_transport.get_write_buffer_size()
        if self._reason is None and unsent + size_bytes > self._max_unsent_bytes:
            self._reason = CloseReason(_ABNORMAL, "the peer does not read", ClosedBy.NETWORK)
            self._cut()


def _address(ws: WSTransport) -> str:
    name = ws.underlying_transport.get_extra_info("peername")
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)


def _peer_reason(close_payload: bytes) -> CloseReason:
    code = int.from_bytes(close_payload[:2], "big") if close_payload else _NO_STATUS
    return CloseReason(code, close_payload[2:].decode(errors="replace"), ClosedBy.PEER)


def _unasked_end(ws: WSTransport) -> CloseReason:
    """How a link ended that neither program had asked to end."""
    sent = ws.close_handshake.sent if ws.close_handshake else None
    if sent is None:
        return CloseReason(_ABNORMAL, "the connection broke", ClosedBy.NETWORK)
    return CloseReason(sent.code.value, sent.reason, ClosedBy.VIOLATION)


def _close_text(text: str) -> bytes:
    """`text` cut to what a close frame can hold, at a whole character."""
    return text.encode()[:_MAX_CLOSE_TEXT_BYTES].decode(errors="ignore").encode()


def _ignore(frame: bytes) -> None:
    """Takes the place of `on_frame` when nothing is believed any more."""


class Nobody:
    """Listens to a link that is closed as soon as it opens."""

    def on_frame(self, frame: bytes) -> None:
        """No answer."""

    def on_binary_frame(self, size_bytes: int) -> None:
        """No answer."""

    def on_closed(self, reason: CloseReason) -> None:
        """Expected."""
