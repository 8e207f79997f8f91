"""Two ends of a link without a network, for tests and simulations, with faults on demand.

Frames travel through the clock, so that virtual time works, and in order, as over TCP. All
chance comes from `Ids`, so that a run repeats from its seed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ocpp_fast.errors import MessageTooLong
from ocpp_fast.transport.base import (
    ClosedBy,
    CloseReason,
    TransportListener,
    check_close_code,
    is_close_code,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocpp_fast.clock import Clock, Timer
    from ocpp_fast.ids import Ids
    from ocpp_fast.transport.base import MakeListener

__all__ = ["LinkFaults", "MemoryLink", "MemoryTransport", "Script"]

_PROTOCOL_ERROR: Final = 1002
_NO_STATUS: Final = 1005
_ABNORMAL: Final = 1006
_TOO_BIG: Final = 1009
_CLOSE_TIMEOUT_S: Final = 5.0
_PING_TIMEOUT_S: Final = 10.0
_MAX_MESSAGE_BYTES: Final = 1_048_576

Script: TypeAlias = "Callable[[bytes], Sequence[bytes]]"
"""Takes one frame and gives those that travel in its place: none, itself, several, others."""


@dataclass(slots=True, kw_only=True)
class LinkFaults:
    """What one direction does to frames. May be changed at any time, for what is sent then."""

    delay_s: float = 0.0
    """How long a frame travels, in seconds."""
    jitter_s: float = 0.0
    """Up to how much longer, by chance."""
    drop_rate: float = 0.0
    """The share of frames that vanish, 0 to 1."""
    duplicate_rate: float = 0.0
    """The share of frames that arrive twice, 0 to 1."""
    corrupt_rate: float = 0.0
    """The share of frames that arrive with one byte changed, 0 to 1."""
    black_hole: bool = False
    """Everything vanishes, pings and close frames too: in both directions, a half-open
    connection."""
    script: Script | None = None
    """Takes the place of chance for faults at a certain frame."""
    watch: Callable[[], object] | None = field(default=None, repr=False, compare=False)
    """The link's own: told when `black_hole` is set."""

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name == "black_hole" and getattr(self, "watch", None) is not None:
            self.watch()  # pyright: ignore[reportOptionalCall]  # narrowed above


class MemoryTransport:
    """One end. A `Transport`; made by `MemoryLink`."""

    def __init__(self, link: MemoryLink, faults: LinkFaults, peer: str) -> None:
        self.subprotocol = link.subprotocol
        self.peer = peer
        self.listener: TransportListener
        """Who gets what arrives at this end."""
        self.other: MemoryTransport
        self.faults = faults
        """What happens to frames sent from here."""
        self._link = link
        self._arriving: deque[bytes | CloseReason] = deque()
        self._last_arrival = 0.0
        self._closing: CloseReason | None = None
        self._close_timer: Timer | None = None
        self.max_message_bytes = _MAX_MESSAGE_BYTES
        """What this end sends at most, and takes at most; see `WebSocketSettings`."""
        self.ping_interval_s = 0.0
        """What was asked for. Pings travel only while they cannot arrive, so that months of a
        healthy link cost nothing; what comes of them is the same."""
        self.ping_timeout_s = _PING_TIMEOUT_S
        self._pings_since = 0.0
        self._ping_timer: Timer | None = None
        self._pong_timer: Timer | None = None
        """Runs from a ping to the next sign of life."""
        self.closed = False

    def send(self, frame: bytes) -> None:
        """See `Transport.send`."""
        if len(frame) > self.max_message_bytes:
            raise MessageTooLong(len(frame), self.max_message_bytes)
        if self._closing is None and not self.closed:
            for one in self._link.disturb(self.faults, frame):
                self._travel(one)

    def ping_every(self, interval_s: float, timeout_s: float | None = None) -> None:
        """See `Transport.ping_every`."""
        self.ping_interval_s = interval_s
        if timeout_s is not None:
            self.ping_timeout_s = timeout_s
        self._pings_since = self._link.clock.monotonic()
        self._stop_pings()
        self.watch_pings()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """See `Transport.close`."""
        check_close_code(code)
        self.send_close(code, reason)

    def send_close(self, code: int | None, reason: str = "") -> None:
        """A close frame with any code at all, or with none, as a broken peer may send it. The other
        end reacts as a WebSocket does: codes that no frame may bear are a violation."""
        if self._closing is None and not self.closed:
            code = _NO_STATUS if code is None else code
            valid = code == _NO_STATUS or is_close_code(code)
            self._closing = CloseReason(code, reason, ClosedBy.LOCAL)
            self._stop_pings()
            self._travel(
                CloseReason(code, reason, ClosedBy.PEER)
                if valid
                else CloseReason(_PROTOCOL_ERROR, f"a close frame with {code}", ClosedBy.VIOLATION)
            )
            self._close_timer = self._link.clock.call_later(
                _CLOSE_TIMEOUT_S, lambda: self.end(self._closing)
            )

    def end(self, reason: CloseReason | None) -> None:
        """The link is gone for this end, and `reason` is what it is told."""
        if self.closed or reason is None:
            return
        self.closed = True
        self._arriving.clear()
        self._stop_pings()
        if self._close_timer is not None:
            self._close_timer.cancel()
        self.listener.on_closed(reason)

    # Pings

    def watch_pings(self) -> None:
        """Pings begin to travel when they cannot arrive any more, and end when they can again."""
        if not (self.faults.black_hole or self.other.faults.black_hole):
            self._stop_pings()
        elif self._ping_timer is None and self.ping_interval_s > 0 and self._is_open:
            gone_s = self._link.clock.monotonic() - self._pings_since
            wait_s = self.ping_interval_s - gone_s % self.ping_interval_s
            self._ping_timer = self._link.clock.call_later(wait_s, self._ping)

    @property
    def _is_open(self) -> bool:
        return self._closing is None and not self.closed

    def _ping(self) -> None:
        clock = self._link.clock
        if self._pong_timer is None:
            self._pong_timer = clock.call_later(self.ping_timeout_s, self._on_silence)
        self._ping_timer = clock.call_later(self.ping_interval_s, self._ping)

    def _on_silence(self) -> None:
        self.end(CloseReason(_ABNORMAL, "no answer to a ping", ClosedBy.NETWORK))

    def _stop_pings(self) -> None:
        for timer in (self._ping_timer, self._pong_timer):
            if timer is not None:
                timer.cancel()
        self._ping_timer = self._pong_timer = None

    # What arrives

    def _travel(self, item: bytes | CloseReason) -> None:
        if self.faults.black_hole:
            return
        clock = self._link.clock
        delay_s = self.faults.delay_s + self.faults.jitter_s * self._link.ids.random()
        self.other.expect(item, clock.monotonic() + delay_s)

    def expect(self, item: bytes | CloseReason, arrival: float) -> None:
        """`item` will be here at `arrival`, but not before what was sent earlier."""
        clock = self._link.clock
        self._last_arrival = max(arrival, self._last_arrival)
        # The timers only say when; the queue says what, since timers of one moment have no
        # order among themselves.
        self._arriving.append(item)
        clock.call_later(self._last_arrival - clock.monotonic(), self._arrive)

    def _arrive(self) -> None:
        if self.closed or not self._arriving:
            return
        item = self._arriving.popleft()
        if self._pong_timer is not None:  # Any frame is a sign of life.
            self._pong_timer.cancel()
            self._pong_timer = None
        if isinstance(item, bytes) and len(item) > self.max_message_bytes:
            text = f"more than {self.max_message_bytes} bytes"
            item = CloseReason(_TOO_BIG, text, ClosedBy.VIOLATION)
        if isinstance(item, bytes):
            self.listener.on_frame(item)
        elif self._closing is not None:  # the peer's answer to our close
            self.end(self._closing)
        else:
            self._travel(CloseReason(item.code, item.text, ClosedBy.PEER))
            self.end(item)


class MemoryLink:
    """A link between two ends, open until closed or cut.

    `left` and `right` are its transports; each one's listener is made before any frame travels.
    By custom the charging station is on the left.
    """

    def __init__(
        self,
        make_left: MakeListener[TransportListener],
        make_right: MakeListener[TransportListener],
        *,
        clock: Clock,
        ids: Ids,
        subprotocol: str = "ocpp2.1",
    ) -> None:
        self.clock = clock
        self.ids = ids
        self.subprotocol = subprotocol
        self.to_right = LinkFaults()
        """Faults of what `left` sends."""
        self.to_left = LinkFaults()
        """Faults of what `right` sends."""
        self.left = MemoryTransport(self, self.to_right, "memory:right")
        self.right = MemoryTransport(self, self.to_left, "memory:left")
        self.left.other, self.right.other = self.right, self.left
        self.to_right.watch = self.to_left.watch = self._on_black_hole
        self.left.listener = make_left(self.left)
        self.right.listener = make_right(self.right)

    def cut(self) -> None:
        """Breaks the link at once: both ends learn it, frames under way are lost."""
        reason = CloseReason(_ABNORMAL, "the connection broke", ClosedBy.NETWORK)
        self.left.end(reason)
        self.right.end(reason)

    def reset(self, end: MemoryTransport) -> None:
        """Breaks the link for one end alone, as an RST of something in between does: the other is
        left with a half-open connection."""
        self.freeze()
        end.end(CloseReason(_ABNORMAL, "the connection broke", ClosedBy.NETWORK))

    def freeze(self) -> None:
        """Makes the link half-open: nothing arrives any more, and neither end is told. It learns it
        from its pings, if it sends any."""
        self.to_left.black_hole = self.to_right.black_hole = True

    def _on_black_hole(self) -> None:
        for end in (self.left, self.right):
            end.watch_pings()

    def disturb(self, faults: LinkFaults, frame: bytes) -> Sequence[bytes]:
        """The frames that travel when `frame` was sent."""
        if faults.script is not None:
            return faults.script(frame)
        if self._happens(faults.drop_rate):
            return ()
        if self._happens(faults.corrupt_rate):
            frame = self._corrupt(frame)
        return (frame, frame) if self._happens(faults.duplicate_rate) else (frame,)

    def _happens(self, rate: float) -> bool:
        return rate > 0.0 and self.ids.random() < rate

    def _corrupt(self, frame: bytes) -> bytes:
        if not frame:
            return b"\x00"
        at = int(self.ids.random() * len(frame))
        changed = frame[at] ^ (1 + int(self.ids.random() * 255))
        return frame[:at] + bytes((changed,)) + frame[at + 1 :]
