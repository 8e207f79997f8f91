"""Fetching answers from real sockets on loopback: bounded in size and time, never led elsewhere."""

import asyncio
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

from ocpp_fast.clock import SystemClock
from ocpp_fast.security.ocsp import OcspFailed
from ocpp_fast.security.ocsp_http import fetcher

CLOCK = SystemClock()


@contextmanager
def responder(act: Callable[[socket.socket, bytes], None]) -> Generator[str, None, None]:
    """A server that gives each connection with its request to `act`, in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(10)
                try:
                    act(peer, receive(peer))
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def receive(peer: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += some(peer)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += some(peer)
    return head + b"\r\n\r\n" + body


def some(peer: socket.socket) -> bytes:
    data = peer.recv(4_096)
    if not data or data.startswith(b"\x16"):
        raise OSError("the end, or TLS")
    return data


def reply(body: bytes, status: str = "200 OK", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def fetch(url: str, **bounds: float) -> bytes:
    get = fetcher(
        CLOCK, timeout_s=bounds.get("timeout_s", 5), max_bytes=int(bounds.get("max_bytes", 1_000))
    )

    async def run() -> bytes:
        return await get(url, b"request")

    return asyncio.run(run())


def refusal(url: str, **bounds: float) -> str:
    with pytest.raises(OcspFailed) as failed:
        fetch(url, **bounds)
    return str(failed.value)


def test_a_request_is_posted_and_the_answer_read() -> None:
    seen: list[bytes] = []

    def act(peer: socket.socket, request: bytes) -> None:
        seen.append(request)
        peer.sendall(reply(b"answer" * 100))

    with responder(act) as url:
        assert fetch(f"{url}/a/b?c=d") == b"answer" * 100
        assert fetch(url) == b"answer" * 100
    first, second = seen
    assert first.startswith(b"POST /a/b?c=d HTTP/1.1\r\n")
    assert b"Content-Type: application/ocsp-request" in first
    assert first.endswith(b"\r\n\r\nrequest")
    assert second.startswith(b"POST / HTTP/1.1\r\n")


def test_redirects_are_not_followed() -> None:
    asked: list[bytes] = []

    def act(peer: socket.socket, request: bytes) -> None:
        asked.append(request)
        peer.sendall(reply(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n"))

    with responder(act) as url:
        assert refusal(url) == "HTTP 302 Found"
    assert len(asked) == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_that_is_too_large_is_not_read(*, chunked: bool) -> None:
    def act(peer: socket.socket, request: bytes) -> None:
        del request
        if not chunked:
            peer.sendall(reply(b"x" * 2_000))
            return
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            peer.sendall(b"64\r\n" + b"x" * 100 + b"\r\n")

    with responder(act) as url:
        assert refusal(url) == "the answer has more than 1000 bytes"


@pytest.mark.parametrize("pieces", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"])
def test_an_answer_that_does_not_come_in_time_is_given_up(pieces: bytes) -> None:
    gate = threading.Event()

    def act(peer: socket.socket, request: bytes) -> None:
        del request
        peer.sendall(pieces)
        while not gate.wait(0.02):
            if pieces:
                peer.sendall(b"x")

    with responder(act) as url:
        started = CLOCK.monotonic()
        try:
            assert refusal(url, timeout_s=0.2) in {"no answer within 0.2 s", "timed out"}
        finally:
            gate.set()
        assert CLOCK.monotonic() - started < 3


def test_what_no_responder_is_fails_in_one_line() -> None:
    with responder(lambda peer, request: peer.sendall(b"nonsense\r\n\r\n")) as url:
        assert refusal(url)
    with responder(lambda peer, request: peer.sendall(reply(b"", "500 Sorry"))) as url:
        assert refusal(url) == "HTTP 500 Sorry"
    with responder(lambda peer, request: peer.sendall(reply(b"", "500 \x1b\x80"))) as url:
        assert refusal(url) == "HTTP 500 ?Â?"
    assert "refused" in refusal(url)
    for bad, reason in (
        ("ftp://example", "no scheme for OCSP"),
        ("http://", "no host"),
        ("http://user:password@127.0.0.1/", "credentials"),
        ("http://127.0.0.1:port/", ""),
        ("http://[::1/", ""),
        ("http://127.0.0.1/a b", ""),
    ):
        text = refusal(bad)
        assert reason in text
        assert text.isprintable()


def test_an_https_responder_needs_a_certificate_that_the_system_trusts() -> None:
    def hang_up(peer: socket.socket, request: bytes) -> None:
        raise OSError(request)

    with responder(hang_up) as url:
        text = refusal(url.replace("http", "https"), timeout_s=2)
    assert "EOF" in text or "reset" in text
