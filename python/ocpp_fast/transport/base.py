"""What a transport is: whole text messages in both directions, and one end.

A transport knows WebSocket, not OCPP. It is made together with its listener, so that no frame
can arrive before somebody listens:

    connection = await picows.connect(url, lambda transport: Connection(transport, ...), ...)

Everything happens on one event loop and in no other thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar

from ocpp_fast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CloseReason",
    "ClosedBy",
    "MakeListener",
    "Transport",
    "TransportListener",
    "check_close_code",
    "is_close_code",
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
    """WebSocket close code; 1006 when there was no closing handshake, 1005 when the peer's close
    frame had none."""
    text: str
    """The text of the close frame, or what is known in its place; may be empty."""
    by: ClosedBy

    def __str__(self) -> str:
        return f"closed by {self.by} with {self.code} {self.text}".rstrip()


# RFC 6455, section 7.4, and the registry it founded. 1004, 1005, 1006 and 1015 name what is no
# close frame; 1016 to 2999 are for later versions of WebSocket.
_PROTOCOL_CODES: Final = frozenset((*range(1000, 1004), *range(1007, 1015)))
_FREE_CODES: Final = range(3000, 5000)


def is_close_code(code: int) -> bool:
    """Whether a close frame may bear `code`: 1000 to 1003, 1007 to 1014, 3000 to 4999."""
    return code in _PROTOCOL_CODES or code in _FREE_CODES


def check_close_code(code: int) -> None:
    """Raises `ConfigurationError` for a code that no close frame may bear."""
    if not is_close_code(code):
        raise ConfigurationError(
            f"close code {code}: 1000 to 1003, 1007 to 1014 and 3000 to 4999 may be sent"
        )


class Transport(Protocol):
    """One open link, seen from the side that sends."""

    @property
    def subprotocol(self) -> str:
        """The negotiated WebSocket subprotocol, such as `ocpp2.1`; empty if there is none."""
        ...

    @property
    def peer(self) -> str:
        """The other end's address, for logs."""
        ...

    def send(self, frame: bytes) -> None:
        """Sends one text message; never waits and never raises for a link that is gone.

        What the peer does not take at once is kept, up to a bound of the transport's; beyond
        it the link is cut (`ClosedBy.NETWORK`), because the peer has stopped reading. Raises
        `MessageTooLong` for a message beyond the bound of a message; nothing was sent then.
        """
        ...

    def ping_every(self, interval_s: float, timeout_s: float | None = None) -> None:
        """Pings the peer so often from now on; never with 0. If nothing at all arrives of the
        peer within `timeout_s` of a ping, the link is cut (`ClosedBy.NETWORK`), so a half-open
        one is found within the two together. None leaves the time as it was."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Starts the closing handshake; `on_closed` follows within a bound, whatever the peer
        does. Nothing can be sent any more. Only the first call counts. Raises
        `ConfigurationError`, and leaves the link, for a code that may not be sent."""
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
