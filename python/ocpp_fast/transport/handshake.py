"""What is decided before a WebSocket opens: address, identity, version, password.

Pure functions over text, so that every case of Part 4, sections 3.1 to 3.3, is a unit test.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ocpp_fast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "MAX_IDENTITY_LENGTH",
    "Credentials",
    "Handshake",
    "check_identity",
    "choose_subprotocol",
    "connection_url",
    "identity_in",
    "offered_subprotocols",
    "parse_authorization",
]

MAX_IDENTITY_LENGTH = 48
"""Characters in the identity of a charging station (Part 4, section 3.1.1)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """User name and password of HTTP basic authentication; the password never shows in logs."""

    username: str
    password: str = field(repr=False)

    def header(self) -> str:
        """The value of the `Authorization` header."""
        token = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(token).decode("ascii")


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client asks for when it opens a WebSocket."""

    identity: str
    """Identity of the charging station, from the URL."""
    path: str
    """The whole path of the URL, still percent-encoded, without the query."""
    subprotocols: tuple[str, ...]
    """As offered by the client, its favourite first."""
    credentials: Credentials | None
    """From the `Authorization` header; None if there is none that can be read."""
    headers: Mapping[str, str] = field(repr=False)
    """All headers; names compare without regard to case. May hold secrets."""
    peer_certificate: bytes | None = field(default=None, repr=False)
    """The certificate that the client has shown in the TLS handshake and proved to own, as DER;
    None without TLS, and for a client without one."""


def check_identity(identity: str) -> None:
    """Raises `ConfigurationError` for what cannot be the identity of a charging station.

    It must have 1 to 48 characters and no colon, which separates user and password in basic
    authentication (Part 4, section 3.1.1). The specification wants identifierString on top; the
    stricter alphabet is left to those who give out identities, since stations in the field
    have others. Only what would corrupt a log line is refused.
    """
    if not identity or len(identity) > MAX_IDENTITY_LENGTH:
        raise ConfigurationError(f"an identity has 1 to {MAX_IDENTITY_LENGTH} characters")
    if ":" in identity or not identity.isprintable():
        raise ConfigurationError("an identity has no colon and no control characters")


def connection_url(endpoint: str, identity: str) -> str:
    """The URL at which the station `identity` reaches the CSMS at `endpoint`.

    Part 4, section 3.1.1: the percent-encoded identity as one more segment of the path. Raises
    `ConfigurationError` if `endpoint` is no ws or wss URL, if it holds a user or password, since
    the device model tells it to anyone who asks, and if `identity` cannot be one.
    """
    check_identity(identity)
    parts = urlsplit(endpoint)
    if "@" in parts.netloc:
        raise ConfigurationError("the URL holds a user or password, which has a field of its own")
    if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.fragment:
        raise ConfigurationError(f"not a ws:// or wss:// URL: {endpoint}")
    path = f"{parts.path.rstrip('/')}/{quote(identity, safe='')}"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def identity_in(target: str) -> str | None:
    """The identity in a request target such as `/ocpp/CS001?x=y`; None if there is none.

    The last segment of the path, percent-decoded.
    """
    try:
        identity = unquote(target.partition("?")[0].rpartition("/")[2], errors="strict")
        check_identity(identity)
    except ValueError:  # broken UTF-8, or no possible identity
        return None
    return identity


def offered_subprotocols(header: str | None) -> tuple[str, ...]:
    """The names in a `Sec-WebSocket-Protocol` header, in the order given."""
    if header is None:
        return ()
    names = (name.strip() for name in header.split(","))
    return tuple(name for name in names if name)


def choose_subprotocol(offered: Sequence[str], supported: Sequence[str]) -> str | None:
    """The first offer that is supported; None if there is none in common.

    The client lists its versions in order of preference (Part 4, section 3.1.2), so the order
    of `supported` does not matter.
    """
    return next((name for name in offered if name in supported), None)


def parse_authorization(header: str | None) -> Credentials | None:
    """The user name and password of a basic `Authorization` header; None if it is no such."""
    scheme, _, token = (header or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(token.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    username, colon, password = text.partition(":")
    return Credentials(username, password) if colon else None
