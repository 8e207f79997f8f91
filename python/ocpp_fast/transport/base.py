"""What a transport is: whole text messages in both directions, and one end.

A transport knows WebSocket, not OCPP. It is made together with its listener, so that no frame
can arrive before somebody listens:

    connection = await picows.connect(url, lambda transport: Connection(transport, ...), ...)

Everything happens on one event loop and in no other thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CloseReason",
    "ClosedBy",
    "MakeListener",
    "Transport",
    "TransportListener",
]


class ClosedBy(StrEnum):
    """Who, or what, ended a link."""

    LOCAL = "local"
    """This program asked for it."""
    PEER = "peer"
    """The peer sent a close frame."""
    NETWORK = "network"
    """No closing handshake: the connection broke, or the peer stopped answering or reading."""
    VIOLATION = "violation"
    """The peer broke WebSocket itself (oversized or malformed frames) and was cut off."""


@dataclass(frozen=True, slots=True)
class CloseReason:
    """How a link ended."""

    code: int
    """WebSocket close code; 1006 when there was no closing handshake."""
    text: str
    """The text of the close frame, or what is known in its place; may be empty."""
    by: ClosedBy

    def __str__(self) -> str:
        return f"closed by {self.by} with {self.code} {self.text}".rstrip()


class Transport(Protocol):
    """One open link, seen from the side that sends."""

    @property
    def subprotocol(self) -> str:
        """The negotiated WebSocket subprotocol, such as `ocpp2.1`."""
        ...

    @property
    def peer(self) -> str:
        """The other end's address, for logs."""
        ...

    def send(self, frame: bytes) -> None:
        """Sends one text message; never waits and never raises for a link that is gone.

        What the peer does not take at once is kept, up to a bound of the transport's; beyond
        it the link is cut (`ClosedBy.NETWORK`), because the peer has stopped reading.
        """
        ...

    def ping_every(self, interval_s: float) -> None:
        """Pings the peer so often from now on; never with 0. A link on which a ping stays
        unanswered is cut (`ClosedBy.NETWORK`)."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Starts the closing handshake; `on_closed` follows within a bound, whatever the peer
        does. Nothing can be sent any more. Only the first call counts."""
        ...


class TransportListener(Protocol):
    """One open link, seen from the side that receives. No method may raise."""

    def on_frame(self, frame: bytes) -> None:
        """A whole text message arrived. It may be no valid UTF-8."""
        ...

    def on_binary_frame(self, size_bytes: int) -> None:
        """A binary message arrived. OCPP knows none, the content was dropped."""
        ...

    def on_closed(self, reason: CloseReason) -> None:
        """The link is gone. Called exactly once, and last."""
        ...


_L_co = TypeVar("_L_co", bound=TransportListener, covariant=True)

MakeListener: TypeAlias = "Callable[[Transport], _L_co]"
"""Called once with an open transport, before any frame is delivered."""
