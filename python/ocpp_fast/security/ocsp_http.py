"""Fetching answers of OCSP responders by HTTP, with the standard library in a thread."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ocpp_fast.security.ocsp import MAX_RESPONSE, OcspFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocpp_fast.clock import Clock
    from ocpp_fast.security.ocsp import Fetch

__all__ = ["fetcher"]

_TIMEOUT_S: Final = 10.0
_MAX_AT_ONCE: Final = 2
_PIECE: Final = 8_192
_HEADERS: Final = {
    "Content-Type": "application/ocsp-request",
    "Accept": "application/ocsp-response",
    "Connection": "close",
}


def fetcher(clock: Clock, *, timeout_s: float = _TIMEOUT_S, max_bytes: int = MAX_RESPONSE) -> Fetch:
    """POSTs to http and https addresses, without redirects, proxies or credentials.

    An answer takes at most `timeout_s` seconds from the name look-up to the last byte and has at
    most `max_bytes`. Two are fetched at a time; a name server that keeps silent may hold its thread
    longer, but not the caller. Every failure is an `OcspFailed`.
    """
    places = asyncio.Semaphore(_MAX_AT_ONCE)

    async def fetch(url: str, request: bytes) -> bytes:
        ends = clock.monotonic() + timeout_s

        def left() -> float:
            return ends - clock.monotonic()

        async def post() -> bytes:
            async with places:
                return await asyncio.to_thread(_post, url, request, left, max_bytes)

        try:
            return await clock.wait_for(post(), timeout_s)
        except TimeoutError:
            raise OcspFailed(f"no answer within {timeout_s:g} s") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise OcspFailed(_one_line(str(error)) or type(error).__name__) from None

    return fetch


def _post(url: str, request: bytes, left: Callable[[], float], max_bytes: int) -> bytes:
    """In a thread. `left` is how many seconds it may still take."""
    parts = urlsplit(url)
    if parts.hostname is None or parts.username is not None:
        raise OcspFailed("the address has no host or has credentials")
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=max(left(), 0.001), context=context
        )
    elif parts.scheme == "http":
        connection = http.client.HTTPConnection(
            parts.hostname, parts.port, timeout=max(left(), 0.001)
        )
    else:
        raise OcspFailed(f"{parts.scheme} is no scheme for OCSP")
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, request, _HEADERS)
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise OcspFailed(_one_line(f"HTTP {answer.status} {answer.reason}"))
        body = bytearray()
        while piece := answer.read1(_PIECE):
            body += piece
            if len(body) > max_bytes:
                raise OcspFailed(f"the answer has more than {max_bytes} bytes")
            if left() <= 0:
                raise TimeoutError
            if connection.sock is not None:
                connection.sock.settimeout(max(left(), 0.001))
        return bytes(body)
    finally:
        connection.close()


def _one_line(text: str) -> str:
    """Whatever a peer says, without what would disturb a log."""
    return "".join(each if each.isprintable() else "?" for each in text)[:120]
