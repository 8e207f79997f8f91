"""One WebSocket link over picows, the same on both sides, and its bounds."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from ocpp_fast.errors import MessageTooLong
from ocpp_fast.transport.base import (
    ClosedBy,
    CloseReason,
    TransportListener,
    check_close_code,
    is_close_code,
)
from ocpp_fast.transport.deflate import Deflater, DeflateSettings
from ocpp_fast.transport.reassembly import PROTOCOL_ERROR, Reassembly, Violation

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocpp_fast.clock import Clock, Timer
    from ocpp_fast.transport.base import MakeListener
    from ocpp_fast.transport.deflate import Agreement

__all__ = ["Nobody", "PicowsTransport", "WebSocketSettings"]

_log = logging.getLogger(__name__)
# Given an adapter, picows makes no logger of its own for each connection (some 2 KB each).
_picows_log = logging.LoggerAdapter(logging.getLogger("ocpp_fast.picows"), {})

_TEXT = WSMsgType.TEXT
_BINARY = WSMsgType.BINARY
_CONTINUATION = WSMsgType.CONTINUATION
_CLOSE = WSMsgType.CLOSE
_PING = WSMsgType.PING
_PONG = WSMsgType.PONG
_CONTROL = (_PING, _PONG, _CLOSE)

_NORMAL: Final = 1000
_NO_STATUS: Final = 1005
_ABNORMAL: Final = 1006
_INTERNAL_ERROR: Final = 1011
_MAX_CLOSE_TEXT_BYTES: Final = 123
_MAYBE_A_VIOLATION: Final = (ClosedBy.VIOLATION, ClosedBy.PEER)  # for picows
# Shorter than any message: all of them take the way that looks closer.
_NONE_AT_ONCE: Final = -1
_DEFLATE: Final = DeflateSettings()
_GROWTH_BYTES: Final = 16


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
    """How long the peer may keep silent after a ping, unless `ping_every` says otherwise."""
    max_message_bytes: int = 1_048_576
    """Longest message both ways, on the wire and inflated, whole or in fragments. A longer one of
    the peer ends the link with 1009; a longer one of our own is refused, see `Transport.send`.

    A codec has a bound of its own, and answers what is longer with a CALLERROR.
    """
    max_unsent_bytes: int = 4_194_304
    """How much may wait for a peer that does not read; beyond it the link is cut."""
    read_buffer_bytes: int = 16_384
    """First size of the read buffer that every link holds. It grows with longer frames."""
    deflate: DeflateSettings | None = _DEFLATE
    """Compression (Part 4, section 3.3 in 2.0.1 and 3.4 in 2.1: a CSMS has to know it, a station
    should): offered by a client, accepted by a server; used if the peer agrees. None for never."""

    def for_picows(self, *, tls: bool) -> dict[str, Any]:
        """The arguments that picows takes for both sides of a link. Its own pings are not used: it
        fixes their interval when a link opens, and takes a task for each link. Nor are its pongs:
        a ping of the peer is a sign of life, and has no reserved bits."""
        arguments: dict[str, Any] = {
            # A fault of ours in a callback is logged; it must not take the link down.
            "disconnect_on_exception": False,
            "enable_auto_pong": False,
            "websocket_handshake_timeout": self.open_timeout_s,
            "logger_name": _picows_log,
            "max_frame_size": self.max_message_bytes,
            "read_buffer_init_size": self.read_buffer_bytes,
        }
        if tls:
            # The checks of a certificate are those of the context's SSLObject, which aiofastnet
            # passes over: it talks to OpenSSL itself.
            arguments["use_aiofastnet"] = False
            arguments["ssl_handshake_timeout"] = self.open_timeout_s
            arguments["ssl_shutdown_timeout"] = self.close_timeout_s
        return arguments


class PicowsTransport(WSListener):
    """A `Transport` over one WebSocket; the other methods are picows' callbacks.

    A listener that has a method `on_binary_message(content: bytes)` gets binary messages whole
    instead of `on_binary_frame`.
    """

    # Thousands of links are open in one process, and the callbacks read these for each frame.
    __slots__ = (
        "_at_once_bytes",
        "_clock",
        "_close_timer",
        "_deflater",
        "_deliver",
        "_ended",
        "_farewell",
        "_in_message",
        "_make_listener",
        "_on_binary",
        "_on_frame",
        "_open",
        "_paused",
        "_ping_interval_s",
        "_ping_timeout_s",
        "_ping_timer",
        "_pong_timer",
        "_reason",
        "_reassembly",
        "_settings",
        "_ws",
        "agreement",
        "failure",
        "listener",
        "peer",
        "subprotocol",
    )

    listener: TransportListener
    """Who gets the frames; set when the link opens."""
    failure: Exception | None
    """What `make_listener` raised, if it did; the link is closed then."""
    agreement: Agreement | None
    """What both ends have agreed upon about compression; None for none."""
    subprotocol: str
    peer: str
    _ws: WSTransport
    _farewell: asyncio.Future[None]

    def __init__(
        self,
        make_listener: MakeListener[TransportListener],
        subprotocol: str,
        clock: Clock,
        settings: WebSocketSettings,
        *,
        agreement: Agreement | None = None,
        ended: Callable[[PicowsTransport], None] | None = None,
    ) -> None:
        self.subprotocol = subprotocol
        self.peer = ""
        self.failure = None
        self.agreement = agreement
        self._make_listener = make_listener
        self._clock = clock
        self._settings = settings
        self._ended = ended
        self._ping_interval_s = settings.ping_interval_s or 0.0
        self._ping_timeout_s = settings.ping_timeout_s
        self._ping_timer: Timer | None = None
        self._pong_timer: Timer | None = None
        """Runs from a ping to the next sign of life."""
        self._reassembly: Reassembly | None = None
        """Made when the first message comes that is not one plain frame."""
        self._in_message = False
        """Whether a message has begun whose end is still to come."""
        self._deflater: Deflater | None = None
        if agreement is not None:
            deflater = Deflater(agreement)
            self._deflater = deflater if deflater.able else None
        self._reason: CloseReason | None = None
        """Why the link ends, from the moment that is decided."""
        self._close_timer: Timer | None = None
        self._on_frame = self._deliver = _ignore
        self._on_binary: Callable[[bytes], object] | None = None
        self._paused = False
        self._open = False
        self._choose_at_once()

    # Transport

    def send(self, frame: bytes) -> None:
        """See `Transport.send`."""
        if len(frame) > self._at_once_bytes:
            self._send_with_care(_TEXT, frame)
        else:
            self._ws.send(_TEXT, frame)

    def send_binary(self, content: bytes) -> None:
        """Like `send`, for a binary message. OCPP knows none."""
        self._send_with_care(_BINARY, content)

    def close(self, code: int = _NORMAL, reason: str = "") -> None:
        """See `Transport.close`."""
        check_close_code(code)
        if self._reason is None:
            self._close(CloseReason(code, reason, ClosedBy.LOCAL))

    def ping_every(self, interval_s: float, timeout_s: float | None = None) -> None:
        """See `Transport.ping_every`."""
        self._ping_interval_s = interval_s
        if timeout_s is not None:
            self._ping_timeout_s = timeout_s
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
            if self._reason is None:
                self._close(CloseReason(_INTERNAL_ERROR, "", ClosedBy.LOCAL))
        self._on_frame = self._deliver = self.listener.on_frame
        self._on_binary = getattr(self.listener, "on_binary_message", None)
        self.ping_every(self._ping_interval_s)  # as the listener may have said by now

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if (
            kind is _TEXT
            and frame.fin
            and not frame.rsv1
            and not frame.rsv2
            and not frame.rsv3
            and not self._in_message
            and not transport.is_close_frame_sent
        ):
            # Bytes, not the memoryview that dies with this callback: at the size of OCPP
            # messages the copy costs as much as the view object.
            self._on_frame(frame.get_payload_as_bytes())
        else:
            self._on_rare_frame(kind, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._open = False
        self._stop_pings()
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._reassembly = self._deflater = None
        reason = self._reason or _unasked_end(transport)
        self._reason = reason
        if reason.by in _MAYBE_A_VIOLATION and transport.is_client_side:
            # picows has an exception for whoever asks; unasked, it would be logged as lost.
            self._farewell = asyncio.ensure_future(transport.wait_disconnected())
            self._farewell.add_done_callback(_retrieve)
        if self._ended is not None:
            self._ended(self)
        self.listener.on_closed(reason)

    def pause_writing(self) -> None:
        self._paused = True
        self._choose_at_once()

    def resume_writing(self) -> None:
        self._paused = False
        self._choose_at_once()

    # Sending

    def _choose_at_once(self) -> None:
        """One bound for the hot path: what is not longer needs neither thought nor compression."""
        if self._paused:
            self._at_once_bytes = _NONE_AT_ONCE
            return
        self._at_once_bytes = self._settings.max_message_bytes
        if self._deflater is not None and self._settings.deflate is not None:
            self._at_once_bytes = min(self._at_once_bytes, self._settings.deflate.from_bytes - 1)

    def _send_with_care(self, kind: WSMsgType, content: bytes) -> None:
        size_bytes = len(content)
        if size_bytes > self._settings.max_message_bytes:
            raise MessageTooLong(size_bytes, self._settings.max_message_bytes)
        if self._reason is not None or not self._has_room(size_bytes):
            return
        if self._deflater is not None and self._may_compress(size_bytes):
            self._ws.send(kind, self._deflater.compress(content), rsv1=True)
        else:
            self._ws.send(kind, content)

    def _may_compress(self, size_bytes: int) -> bool:
        """Not the shortest; nor the longest, since noise grows, in the smallest windows by up to a
        twentieth, and would be beyond the bound of a peer like this one."""
        limit_bytes, deflate = self._settings.max_message_bytes, self._settings.deflate
        return (
            deflate is not None
            and size_bytes >= deflate.from_bytes
            and size_bytes + (size_bytes >> 4) + _GROWTH_BYTES <= limit_bytes
        )

    def _has_room(self, size_bytes: int) -> bool:
        """False if the peer does not read what it is sent; the link is cut then."""
        if not self._paused:
            return True
        unsent = self._ws.underlying_transport.get_write_buffer_size()
        if unsent + size_bytes <= self._settings.max_unsent_bytes:
            return True
        if self._reason is None:
            self._reason = CloseReason(_ABNORMAL, "the peer does not read", ClosedBy.NETWORK)
            self._cut()
        return False

    # Signs of life

    def _ping(self) -> None:
        if self._pong_timer is None:  # One at a time.
            self._pong_timer = self._clock.call_later(self._ping_timeout_s, self._on_silence)
            # Any frame is a sign of life, and only while one is waited for is that of interest.
            self._on_frame = self._on_awaited_frame
            self._ws.send_ping()
        self._ping_timer = self._clock.call_later(self._ping_interval_s, self._ping)

    def _on_awaited_frame(self, frame: bytes) -> None:
        self._heard()
        self._deliver(frame)

    def _heard(self) -> None:
        if self._pong_timer is not None:
            self._pong_timer.cancel()
            self._pong_timer = None
            self._on_frame = self._deliver

    def _on_silence(self) -> None:
        self._heard()
        if self._reason is None:
            self._reason = CloseReason(_ABNORMAL, "no answer to a ping", ClosedBy.NETWORK)
            self._cut()

    def _stop_pings(self) -> None:
        self._heard()
        if self._ping_timer is not None:
            self._ping_timer.cancel()
            self._ping_timer = None

    # Receiving

    def _on_rare_frame(self, kind: WSMsgType, frame: WSFrame) -> None:
        """All but plain text messages, and all that comes after a close frame of this side."""
        if self._reason is None and self._ws.is_close_frame_sent:
            self._on_violation_seen_by_picows()
        reason = self._reason
        if reason is not None and kind is _CLOSE:
            self._ws.disconnect()
        if reason is not None and (kind is _CLOSE or reason.by is not ClosedBy.LOCAL):
            return  # Nothing counts after the close frame of the peer, or after a violation.
        self._heard()
        if frame.rsv2 or frame.rsv3 or (frame.rsv1 and kind in _CONTROL):
            self._violation(PROTOCOL_ERROR, "a reserved bit without an agreed extension")
        elif kind is _CLOSE:
            self._on_close_frame(frame)
        elif kind is _PING:
            if self._has_room(frame.payload_size):
                self._ws.send_pong(frame.get_payload_as_bytes())
        elif kind is not _PONG:
            self._on_data(kind, frame)

    def _on_data(self, kind: WSMsgType, frame: WSFrame) -> None:
        """Fragments, compressed and binary messages."""
        reassembly = self._reassembly
        if reassembly is None:
            reassembly = Reassembly(self._settings.max_message_bytes, self.agreement)
            self._reassembly = reassembly
        payload, fin, rsv1 = frame.get_payload_as_bytes(), bool(frame.fin), bool(frame.rsv1)
        try:
            if kind is _CONTINUATION:
                message = reassembly.go_on(payload, fin=fin, compressed=rsv1)
            else:
                message = reassembly.start(payload, is_text=kind is _TEXT, fin=fin, compressed=rsv1)
        except Violation as violation:
            self._violation(violation.code, violation.text)
            return
        self._in_message = reassembly.open
        if message is None:
            return
        if message.is_text:
            self._on_frame(message.content)
        elif self._on_binary is not None:
            self._on_binary(message.content)
        else:
            self.listener.on_binary_frame(len(message.content))

    # Closing

    def _on_close_frame(self, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        code = int.from_bytes(payload[:2], "big") if payload else _NO_STATUS
        if payload and not is_close_code(code):  # picows lets some pass
            self._violation(PROTOCOL_ERROR, f"a close frame with {code}")
            self._ws.disconnect()  # Another one will not come.
            return
        self._believe_nothing()
        self._close(CloseReason(code, payload[2:].decode(errors="replace"), ClosedBy.PEER))
        self._ws.disconnect()

    def _on_violation_seen_by_picows(self) -> None:
        """It has sent the close frame and will close the connection, but goes on reading."""
        self._reason = _unasked_end(self._ws)
        self._believe_nothing()
        self._stop_pings()
        self._cut_later()

    def _violation(self, code: int, text: str) -> None:
        self._believe_nothing()
        if self._reason is None:
            self._close(CloseReason(code, text, ClosedBy.VIOLATION))

    def _believe_nothing(self) -> None:
        self._in_message = False
        self._reassembly = None
        self._on_frame = self._deliver = _ignore

    def _close(self, reason: CloseReason) -> None:
        """Sends a close frame, ours or the answer to the peer's."""
        self._reason = reason
        self._stop_pings()
        code = _NORMAL if reason.code == _NO_STATUS else reason.code
        # The stub asks for an enumeration without the codes from 3000 on; picows takes any.
        self._ws.send_close(code, _close_text(reason.text))  # pyright: ignore[reportArgumentType]
        self._cut_later()

    def _cut_later(self) -> None:
        self._close_timer = self._clock.call_later(self._settings.close_timeout_s, self._cut)

    def _cut(self) -> None:
        self._ws.disconnect(graceful=False)


def _address(ws: WSTransport) -> str:
    name = ws.underlying_transport.get_extra_info("peername")
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)


def _unasked_end(ws: WSTransport) -> CloseReason:
    """How a link ended that neither program had asked to end."""
    handshake = ws.close_handshake
    if not handshake or handshake.sent is None:
        return CloseReason(_ABNORMAL, "the connection broke", ClosedBy.NETWORK)
    if handshake.recv is not None and handshake.recv_then_sent:
        # picows takes what follows a close frame in the same packet for a violation, and the close
        # frame does not come through to us.
        code = handshake.recv.code.value or _NO_STATUS
        if code == _NO_STATUS or is_close_code(code):
            return CloseReason(code, handshake.recv.reason or "", ClosedBy.PEER)
    return CloseReason(handshake.sent.code.value, handshake.sent.reason, ClosedBy.VIOLATION)


def _retrieve(farewell: asyncio.Future[None]) -> None:
    if not farewell.cancelled():
        farewell.exception()


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
