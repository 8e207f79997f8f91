"""permessage-deflate (RFC 7692): what is offered and agreed upon, and the compression itself.

Neither socket nor WebSocket library: headers in, headers out, bytes in, bytes out.

What is compressed well in OCPP is what was said before: the same keys, components and measurands in
every message. A TransactionEvent of 2.6 KB becomes 590 bytes on its own and 270 among other
messages if the last 4 KB are remembered; with 32 KB it is 170. So both sides keep their context by
default, in windows of 4 KB. That takes 30 KB of memory where messages are compressed and 12 KB
where they are inflated, against 200 KB and 40 KB with the widest windows, which thousands of
stations in one process would feel; and each only from the first message that needs it.
`python -m bench.deflate` has these figures for every window.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ocpp_fast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "NAME",
    "Agreement",
    "BadExtensions",
    "DeflateSettings",
    "Deflater",
    "Extension",
    "Inflater",
    "NotDeflate",
    "TooLong",
    "accept_offer",
    "check_response",
    "offer",
    "parse_extensions",
]

NAME: Final = "permessage-deflate"

_SERVER_NO_CONTEXT: Final = "server_no_context_takeover"
_CLIENT_NO_CONTEXT: Final = "client_no_context_takeover"
_SERVER_WINDOW: Final = "server_max_window_bits"
_CLIENT_WINDOW: Final = "client_max_window_bits"

_SMALLEST_WINDOW_BITS: Final = 8
_WIDEST_WINDOW_BITS: Final = 15
_WINDOW_BITS: Final = {str(n): n for n in range(_SMALLEST_WINDOW_BITS, _WIDEST_WINDOW_BITS + 1)}
# zlib compresses with windows of 512 bytes and more.
_SMALLEST_OWN_WINDOW_BITS: Final = 9

_LEVEL: Final = 6
# The end of every message, which neither side sends (RFC 7692, section 7.2.1).
_TAIL: Final = b"\x00\x00\xff\xff"
# A sender may end its stream within a message (section 7.2.3.4). Each end costs a new stream and a
# copy of what follows, so their number is bound.
_MAX_STREAM_ENDS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DeflateSettings:
    """What one end asks for, and what it does where the peer leaves it the choice."""

    from_bytes: int = 128
    """Shorter messages are sent as they are. A Heartbeat of 57 bytes would become 48, an Authorize
    of 115 81, and the headers of TCP, IP and TLS around each take 60 and more; a StatusNotification
    of 161 becomes 83. Nearly all answers of a CSMS are shorter, so it seldom needs the memory to
    compress."""
    window_bits: int = 12
    """The window of what is sent, and what the peer is asked to keep to: 2**9 to 2**15 bytes."""
    keep_context: bool = True
    """Whether messages refer to earlier ones. Without, no memory is held between messages."""

    def __post_init__(self) -> None:
        if not _SMALLEST_OWN_WINDOW_BITS <= self.window_bits <= _WIDEST_WINDOW_BITS:
            raise ConfigurationError(f"window_bits is 9 to 15, not {self.window_bits}")
        if self.from_bytes < 1:
            raise ConfigurationError(f"from_bytes is at least 1, not {self.from_bytes}")


# --- the header -----------------------------------------------------------------------------


class BadExtensions(ValueError):
    """A `Sec-WebSocket-Extensions` header breaks its grammar (RFC 6455, section 9.1), or a server's
    answer names what was not offered; the opening handshake must fail."""


class Extension(NamedTuple):
    """One extension with its parameters, in the order given; a value is None if there is none."""

    name: str
    parameters: tuple[tuple[str, str | None], ...] = ()

    def __str__(self) -> str:
        return "; ".join((self.name, *(k if v is None else f"{k}={v}" for k, v in self.parameters)))


_WORD: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER: Final = re.compile(
    rf"[ \t]*;[ \t]*(?P<name>{_WORD})"
    rf'(?:[ \t]*=[ \t]*(?:(?P<value>{_WORD})|"(?P<quoted>(?:[^"\\]|\\.)*)"))?'
)
_EXTENSION_NAME: Final = re.compile(rf"[ \t]*(?P<name>{_WORD})")
_SEPARATOR: Final = re.compile(r"[ \t]*(?:,|$)")
_ONE_WORD: Final = re.compile(_WORD)


def parse_extensions(headers: Iterable[str]) -> list[Extension]:
    """What `Sec-WebSocket-Extensions` headers list, several count as one.

    Raises `BadExtensions`.
    """
    found: list[Extension] = []
    for header in headers:
        at = 0
        while at < len(header):
            empty = _SEPARATOR.match(header, at)
            if empty is not None:  # lists may have empty elements
                at = max(empty.end(), at + 1)
                continue
            extension, at = _parse_one(header, at)
            found.append(extension)
    return found


def _parse_one(header: str, at: int) -> tuple[Extension, int]:
    name = _EXTENSION_NAME.match(header, at)
    if name is None:
        raise BadExtensions("an extension without a name")
    at = name.end()
    parameters: list[tuple[str, str | None]] = []
    while (parameter := _PARAMETER.match(header, at)) is not None:
        value = parameter["value"]
        if parameter["quoted"] is not None:
            value = re.sub(r"\\(.)", r"\1", parameter["quoted"])
            if not _ONE_WORD.fullmatch(value):
                raise BadExtensions("a quoted value that is no token")
        parameters.append((parameter["name"], value))
        at = parameter.end()
    separator = _SEPARATOR.match(header, at)
    if separator is None:
        raise BadExtensions("an extension that does not end")
    return Extension(name["name"], tuple(parameters)), separator.end()


# --- the agreement --------------------------------------------------------------------------


class Agreement(NamedTuple):
    """What both ends keep to, seen from one of them."""

    send_window_bits: int
    """8 to 15. What is sent refers back no further than 2**n bytes."""
    receive_window_bits: int
    send_context: bool
    """Whether a message may refer to earlier ones."""
    receive_context: bool


class _Parameters(NamedTuple):
    """The parameters of one offer or answer, checked."""

    server_no_context: bool
    client_no_context: bool
    server_window_bits: int | None
    client_window_bits: int | None
    client_window_named: bool
    """With or without value: a client that does not name it cannot be told."""


def _read(extension: Extension, *, answer: bool) -> _Parameters | None:
    """None for a parameter that is unknown, repeated, or has a value it may not have."""
    given = dict(extension.parameters)
    if len(given) != len(extension.parameters):
        return None
    flags = [given.pop(name, "no") for name in (_SERVER_NO_CONTEXT, _CLIENT_NO_CONTEXT)]
    if any(value not in (None, "no") for value in flags):
        return None
    client_named = _CLIENT_WINDOW in given
    windows: list[int | None] = []
    for name in (_SERVER_WINDOW, _CLIENT_WINDOW):
        value = given.pop(name, "")
        if value is None and (name == _SERVER_WINDOW or answer):
            return None
        bits = _WINDOW_BITS.get(value) if value else None
        if value and bits is None:
            return None
        windows.append(bits)
    if given:
        return None
    return _Parameters(flags[0] is None, flags[1] is None, windows[0], windows[1], client_named)


def offer(settings: DeflateSettings) -> str:
    """The header of a client (section 5.1): its favourite, and the same without asking for the
    server's window, which a server may be unable to limit."""
    context: list[tuple[str, str | None]] = []
    if not settings.keep_context:
        context = [(_SERVER_NO_CONTEXT, None), (_CLIENT_NO_CONTEXT, None)]
    bits = str(settings.window_bits)
    own: list[tuple[str, str | None]] = [(_CLIENT_WINDOW, bits), *context]
    favourite = Extension(NAME, ((_SERVER_WINDOW, bits), *own))
    return f"{favourite}, {Extension(NAME, tuple(own))}"


def accept_offer(
    offers: Sequence[Extension], settings: DeflateSettings
) -> tuple[Agreement, str] | None:
    """The server's agreement and its header; None if no offer can be accepted (section 7.1).

    The first offer that can be is, so the client's order counts. Offers of other extensions are
    passed over, as are those with a parameter that is unknown, repeated or out of range.
    """
    for extension in offers:
        if extension.name != NAME:
            continue
        given = _read(extension, answer=False)
        if given is None:
            continue
        if (given.server_window_bits or _WIDEST_WINDOW_BITS) < _SMALLEST_OWN_WINDOW_BITS:
            continue  # zlib has no such window; the client's next offer may do without
        return _accept(given, settings)
    return None


def _accept(given: _Parameters, settings: DeflateSettings) -> tuple[Agreement, str]:
    answer: list[tuple[str, str | None]] = []
    send_context = settings.keep_context and not given.server_no_context
    if not send_context:
        answer.append((_SERVER_NO_CONTEXT, None))
    receive_context = settings.keep_context and not given.client_no_context
    if not receive_context:
        answer.append((_CLIENT_NO_CONTEXT, None))
    send_bits = min(settings.window_bits, given.server_window_bits or _WIDEST_WINDOW_BITS)
    if given.server_window_bits is not None:
        answer.append((_SERVER_WINDOW, str(send_bits)))
    receive_bits = _WIDEST_WINDOW_BITS
    if given.client_window_named:
        receive_bits = min(settings.window_bits, given.client_window_bits or _WIDEST_WINDOW_BITS)
        answer.append((_CLIENT_WINDOW, str(receive_bits)))
    agreement = Agreement(send_bits, receive_bits, send_context, receive_context)
    return agreement, str(Extension(NAME, tuple(answer)))


def check_response(
    extensions: Sequence[Extension], settings: DeflateSettings | None
) -> Agreement | None:
    """The client's agreement with what the server answered; None for nothing.

    Raises `BadExtensions` for anything that was not offered, twice the same, or parameters that
    are unknown, repeated or out of range: the client must fail the connection then (section 7.1).
    """
    if not extensions:
        return None
    name = extensions[0].name
    if settings is None or name != NAME:
        raise BadExtensions(f"{name} was not offered")
    if len(extensions) > 1:
        raise BadExtensions(f"more than the one {NAME} was answered")
    given = _read(extensions[0], answer=True)
    if given is None:
        raise BadExtensions(f"not an answer to what was offered: {extensions[0]}")
    return Agreement(
        send_window_bits=min(settings.window_bits, given.client_window_bits or _WIDEST_WINDOW_BITS),
        receive_window_bits=given.server_window_bits or _WIDEST_WINDOW_BITS,
        # Nobody is forbidden to forget, and what was asked for is kept to even if the server did
        # not repeat it.
        send_context=settings.keep_context and not given.client_no_context,
        receive_context=not given.server_no_context,
    )


# --- compression ----------------------------------------------------------------------------


class TooLong(Exception):
    """A message is longer, inflated, than the bound. Nothing more can be inflated."""


class NotDeflate(Exception):
    """What arrived is not compressed data. Nothing more can be inflated."""


class _Compressing(Protocol):
    """A zlib stream, whose own type has no public name."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self, mode: int, /) -> bytes: ...


class _Decompressing(Protocol):
    """The same, the other way."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /, max_length: int) -> bytes: ...


class Deflater:
    """Compresses messages, one after the other."""

    __slots__ = ("_agreement", "_stream")

    def __init__(self, agreement: Agreement) -> None:
        self._agreement = agreement
        self._stream: _Compressing | None = None

    @property
    def able(self) -> bool:
        """Whether it can compress at all: zlib knows no window of 256 bytes, which a peer may ask
        for. Messages are sent as they are then, which section 6 leaves to the sender."""
        return self._agreement.send_window_bits >= _SMALLEST_OWN_WINDOW_BITS

    def compress(self, message: bytes) -> bytes:
        """The payload of a message with the first reserved bit. It must be sent, in this order:
        the peer's context follows ours. `message` is not empty."""
        stream = self._stream
        if stream is None:
            bits = self._agreement.send_window_bits
            # The hash table as large as the window is; more gains nothing on messages like these.
            stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, -bits, max(bits - 8, 1))
            if self._agreement.send_context:
                self._stream = stream
        return (stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


class Inflater:
    """Inflates messages, whole or in fragments, one after the other."""

    __slots__ = ("_agreement", "_ends", "_stream")

    def __init__(self, agreement: Agreement) -> None:
        self._agreement = agreement
        self._stream: _Decompressing | None = None
        self._ends = 0
        """How often the stream has ended within this message."""

    def inflate(self, payload: bytes, limit_bytes: int, *, last: bool) -> bytes:
        """The content of one fragment, `last` if it is the end of its message.

        Raises `TooLong` for more than `limit_bytes`, having made hardly more than these, however
        much `payload` would have become; `NotDeflate` for what cannot be inflated.
        """
        if last:
            payload += _TAIL
        if self._stream is None:
            self._stream = zlib.decompressobj(-self._agreement.receive_window_bits)
        try:
            content = self._stream.decompress(payload, limit_bytes + 1)
            if self._stream.eof:
                content = self._go_on(content, limit_bytes)
        except zlib.error as error:
            raise NotDeflate(str(error)) from error
        if len(content) > limit_bytes:
            raise TooLong
        if last:
            self._ends = 0
            if not self._agreement.receive_context:
                self._stream = None
        return content

    def _go_on(self, content: bytes, limit_bytes: int) -> bytes:
        """Inflates what follows the end of a stream as another stream.

        It may refer back to the content before it in this fragment. A sender that ends a stream and
        still refers to earlier messages is not understood; none is known.
        """
        stream = self._stream
        while stream is not None and stream.eof and len(content) <= limit_bytes:
            rest = stream.unused_data
            self._ends += 1
            if self._ends > _MAX_STREAM_ENDS:
                raise NotDeflate("too many ends of streams in a message")
            bits = self._agreement.receive_window_bits
            stream = zlib.decompressobj(-bits, content[-(1 << bits) :])
            content += stream.decompress(rest, limit_bytes + 1 - len(content))
        self._stream = stream
        return content
