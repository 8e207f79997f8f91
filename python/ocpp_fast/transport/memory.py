"""Two ends of a link without a network, for tests and simulations, with faults on demand.

Frames travel through the clock, so that virtual time works, and in order, as over TCP. All
chance comes from `Ids`, so that a run repeats from its seed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from ocpp_fast.transport.base import ClosedBy, CloseReason, TransportListener

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocpp_fast.clock import Clock, Timer
    from ocpp_fast.ids import Ids
    from ocpp_fast.transport.base import MakeListener

__all__ = ["LinkFaults", "MemoryLink", "MemoryTransport", "Script"]

_ABNORMAL: Final = 1006
_CLOSE_TIMEOUT_S: Final = 5.0

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
    """Everything vanishes, close frames too: in both directions, a half-open connection."""
    script: Script | None = None
    """Takes the place of chance for faults at a certain frame."""


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
        self.ping_interval_s = 0.0
        """What was asked for; no ping travels, since nothing here dies silently unless it is told
        to (`MemoryLink.freeze`)."""
        self.closed = False

    def send(self, frame: bytes) -> None:
        """See `Transport.send`."""
        if self._closing is None and not self.closed:
            for one in self._link.disturb(self.faults, frame):
                self._travel(one)

    def ping_every(self, interval_s: float) -> None:
        """See `Transport.ping_every`."""
        self.ping_interval_s = interval_s

    def close(self, code: int = 1000, reason: str = "") -> None:
        """See `Transport.close`."""
        if self._closing is None and not self.closed:
            self._closing = CloseReason(code, reason, ClosedBy.LOCAL)
            self._travel(CloseReason(code, reason, ClosedBy.PEER))
            self._close_timer = self._link.clock.call_later(
                _CLOSE_TIMEOUT_S, lambda: self.end(self._closing)
            )

    def end(self, reason: CloseReason | None) -> None:
        """The link is gone for this end, and `reason` is what it is told."""
        if self.closed or reason is None:
            return
        self.closed = True
        self._arriving.clear()
        if self._close_timer is not None:
            self._close_timer.cancel()
        self.listener.on_closed(reason)

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
        if isinstance(item, bytes):
            self.listener.on_frame(item)
        elif self._closing is not None:  # the peer's answer to our close
            self.end(self._closing)
        else:
            self._travel(item)
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
        self.left.listener = make_left(self.left)
        self.right.listener = make_right(self.right)

    def cut(self) -> None:
        """Breaks the link at once: both ends learn it, frames under way are lost."""
        reason = CloseReason(_ABNORMAL, "the connection broke", ClosedBy.NETWORK)
        self.left.end(reason)
        self.right.end(reason)

    def freeze(self) -> None:
        """Makes the link half-open: nothing arrives any more, and neither end is told."""
        self.to_left.black_hole = self.to_right.black_hole = True

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
