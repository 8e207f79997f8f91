"""Whole messages out of frames: fragments joined, compressed ones inflated, bounds kept.

The one place where messages that did not come as one plain text frame are put together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ocpp_fast.transport.deflate import Inflater, NotDeflate, TooLong

if TYPE_CHECKING:
    from ocpp_fast.transport.deflate import Agreement

__all__ = ["INVALID_DATA", "PROTOCOL_ERROR", "TOO_BIG", "Message", "Reassembly", "Violation"]

PROTOCOL_ERROR: Final = 1002
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009


class Violation(Exception):
    """The peer broke WebSocket or went beyond a bound; the link must be failed."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        """The close code to send."""
        self.text = text


class Message(NamedTuple):
    """A whole message."""

    content: bytes
    is_text: bool


class Reassembly:
    """The frames of one link that are no whole, plain text messages."""

    __slots__ = ("_compressed", "_inflater", "_is_text", "_limit_bytes", "_parts")

    def __init__(self, limit_bytes: int, agreement: Agreement | None) -> None:
        """`limit_bytes` is for messages, as they were before compression; without `agreement` none
        may be compressed."""
        self._limit_bytes = limit_bytes
        self._inflater = None if agreement is None else Inflater(agreement)
        self._parts: bytearray | None = None
        """The content of a message so far; None between messages."""
        self._is_text = False
        self._compressed = False

    @property
    def open(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._parts is not None

    def start(
        self, payload: bytes, *, is_text: bool, fin: bool, compressed: bool
    ) -> Message | None:
        """The first frame of a message; gives the message if it is the only one. `compressed` is
        the first reserved bit. Raises `Violation`, after which nothing more can be added."""
        if self._parts is not None:
            raise Violation(PROTOCOL_ERROR, "a message within a message")
        if compressed and self._inflater is None:
            raise Violation(PROTOCOL_ERROR, "a reserved bit without an agreed extension")
        self._is_text = is_text
        self._compressed = compressed
        content = self._content(payload, 0, fin=fin)
        if fin:
            return Message(content, is_text)
        self._parts = bytearray(content)
        return None

    def go_on(self, payload: bytes, *, fin: bool, compressed: bool) -> Message | None:
        """A continuation; gives the message if it was the last. Raises `Violation`."""
        if self._parts is None:
            raise Violation(PROTOCOL_ERROR, "a continuation of nothing")
        if compressed:
            raise Violation(PROTOCOL_ERROR, "a reserved bit in a continuation")
        self._parts += self._content(payload, len(self._parts), fin=fin)
        if not fin:
            return None
        content = bytes(self._parts)
        self._parts = None
        return Message(content, self._is_text)

    def _content(self, payload: bytes, so_far: int, *, fin: bool) -> bytes:
        """What a frame adds to the `so_far` bytes of its message."""
        limit_bytes = self._limit_bytes - so_far
        if not self._compressed or self._inflater is None:
            if len(payload) > limit_bytes:
                raise Violation(TOO_BIG, f"more than {self._limit_bytes} bytes")
            return payload
        try:
            return self._inflater.inflate(payload, limit_bytes, last=fin)
        except TooLong:
            text = f"more than {self._limit_bytes} bytes when inflated"
            raise Violation(TOO_BIG, text) from None
        except NotDeflate as error:
            raise Violation(INVALID_DATA, f"not compressed data: {error}") from None
