"""Whatever a network or a server does to a link, and whenever: over real sockets the station dials
again within the back-off of Part 4, section 5.4, and not before; and `stop` ends it.

The clock runs sixty times as fast as the computer's. The same in virtual time, with every state of
the station and exact times: tests/pair/test_link_causes.py.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import ssl
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from interop import bad_front
from interop.bad_front import ANSWERS, LIMIT_S, front
from interop.link_rig import (
    LATE_S,
    MINIMUM_S,
    OPEN_S,
    PASSWORD,
    PING_S,
    PONG_S,
    SPEED,
    VARIABLES,
    rig,
    trusting,
)
from ocpp_fast.clock import SystemClock
from ocpp_fast.config import EvseConfig, StationConfig
from ocpp_fast.csms import Csms
from ocpp_fast.errors import ConnectFailed, ConnectFailure
from ocpp_fast.ids import Ids
from ocpp_fast.security.pki import Pki
from ocpp_fast.security.store import CertificateStore, RootUse
from ocpp_fast.simulator import SimulatedStation

# --- attempts that fail -------------------------------------------------------------------------

TIMED_OUT = {
    "silence",
    "never reads",
    "silence after the request",
    "garbage and silence",
    "drop by drop",
}
STATUS = {
    **{code: int(code) for code in ("200", "401", "403", "404", "429", "500", "502", "503")},
    "503 and silence": 503,
}


@pytest.mark.parametrize("manner", ANSWERS)
async def test_bad_answers_to_the_first_dials(manner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three attempts in vain with growing pauses, then the CSMS, then a loss: the first pause."""
    async with rig(monkeypatch) as one:
        one.front.manner = ANSWERS[manner]
        await one.station.start()
        failures = 2 if manner in TIMED_OUT else 3
        await one.until(lambda: len([d for d in one.dials if d.failure]) == failures, 2 * LIMIT_S)
        one.front.heal()
        await one.accepted()
        one.check([MINIMUM_S * 2**number for number in range(failures)])
        one.front.reset()
        await one.until(lambda: len(one.dials) == failures + 2)
        one.check([MINIMUM_S])
        for dial in one.dials[:failures]:
            assert isinstance(dial.failure, ConnectFailed)
            assert dial.ended_s - dial.began_s <= OPEN_S + LATE_S
            if manner in TIMED_OUT:
                assert dial.failure.failure is ConnectFailure.TIMEOUT
            if manner in STATUS:
                assert dial.failure.failure is ConnectFailure.HTTP
                assert dial.failure.http_status == STATUS[manner]
            assert "\n" not in str(dial.failure)
            assert len(str(dial.failure)) < 300
            assert PASSWORD not in str(dial.failure)


@pytest.mark.parametrize("manner", ["RST", "401", "503", "silence after the request", "garbage"])
async def test_bad_answers_after_a_loss_in_a_transaction(
    manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig(monkeypatch) as one:
        await one.station.start()
        await one.accepted()
        await one.station.plug_in(1)
        await one.station.swipe("04A1B2C3", 1)
        one.front.manner = ANSWERS[manner]
        one.front.reset()
        await one.until(lambda: len([d for d in one.dials if d.failure]) == 2, 2 * LIMIT_S)
        await one.station.swipe("04A1B2C3", 1)
        one.front.heal()
        await one.accepted()
        one.check([MINIMUM_S, 2 * MINIMUM_S, 4 * MINIMUM_S])
        await one.until(lambda: _ended(one.csms))


def _ended(csms: Csms) -> bool:
    return any(
        one.ended_at is not None and not one.seq_nos.missing
        for one in csms.stations["CS001"].transactions.values()
    )


@pytest.mark.parametrize("status", ["301", "302", "303", "307", "308"])
async def test_redirects_are_never_followed(status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header with the password would travel to wherever somebody without any right to it says
    (A00.FR.205). A redirect is a failure like another."""
    async with rig(monkeypatch) as one, front(one.csms.port) as thief:
        for url in (f"ws://127.0.0.1:{thief.port}/ocpp/CS001", "/ocpp/other", "//x:1/", "\x01"):
            answer = bad_front.http(f"{status} Moved", f"Location: {url}")
            one.front.manner = bad_front.says(answer)
            if not one.dials:
                await one.station.start()
            failed = len(one.dials)
            await one.until(lambda n=failed: len(one.dials) > n and one.dials[n].failure)
        assert thief.accepted == 0
        assert one.front.accepted == len(one.dials)
        assert all(
            isinstance(dial.failure, ConnectFailed) and dial.failure.http_status == int(status)
            for dial in one.dials[:3]
        )


@pytest.mark.parametrize("chosen", [None, "ocpp1.6", "ocpp2.0", "ocpp2.1, ocpp2.0.1", ""])
async def test_no_common_version_is_a_clean_close_and_back_off(
    chosen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that upgrades and names no subprotocol of ours, as Part 4, section 3.1.2 forbids."""
    heard = asyncio.Event()

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(_upgrade(request, chosen))
        assert (await asyncio.wait_for(reader.read(100), LIMIT_S))[:1] in {b"\x88", b""}
        heard.set()

    async with rig(monkeypatch) as one:
        one.front.manner = upgrade
        await one.station.start()
        await one.until(lambda: len([d for d in one.dials if d.failure]) == 2)
        await asyncio.wait_for(heard.wait(), LIMIT_S)
        one.check([MINIMUM_S])
        first = one.dials[0].failure
        assert isinstance(first, ConnectFailed)
        assert first.failure is ConnectFailure.SUBPROTOCOL
        one.front.heal()
        await one.accepted()


def _upgrade(request: bytes, chosen: str | None) -> bytes:
    from base64 import b64encode
    from hashlib import sha1

    (key,) = [
        line.partition(b":")[2].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    ]
    accept = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()  # noqa: S324
    headers = [f"Sec-WebSocket-Accept: {accept}"]
    if chosen is not None:
        headers.append(f"Sec-WebSocket-Protocol: {chosen}")
    return bad_front._switching(*headers)


async def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as one:
        await one.front.stop_listening()
        await one.station.start()
        await one.until(lambda: len([d for d in one.dials if d.failure]) == 4)
        await one.front.listen()
        await one.accepted()
        one.check([2, 4, 8, 8])
        await one.front.stop_listening()
        one.front.fin()
        await one.until(lambda: len([d for d in one.dials if d.failure]) == 6)
        one.check([2, 4])
        await one.front.listen()
        await one.accepted()


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_host_name_that_does_not_resolve(
    hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that the name does not exist, and none at all."""
    loop = asyncio.get_running_loop()
    healthy = loop.getaddrinfo
    broken = True

    async def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "csms.invalid" and broken:
            if hangs:
                await asyncio.sleep(600)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return await healthy("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with rig(monkeypatch, host="csms.invalid") as one:
        await one.station.start()
        await one.until(lambda: len([d for d in one.dials if d.failure]) == 2, 2 * LIMIT_S)
        first = one.dials[0].failure
        assert isinstance(first, ConnectFailed)
        assert first.failure is (ConnectFailure.TIMEOUT if hangs else ConnectFailure.ADDRESS)
        broken = False
        await one.accepted()
        one.check([2, 4])


async def test_a_black_hole_that_takes_no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers the first packet of TCP: the queue of the listening socket is full."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        fill = [socket.socket() for _ in range(4)]
        try:
            for one_socket in fill:
                one_socket.setblocking(False)
                one_socket.connect_ex(hole.getsockname())
            async with rig(monkeypatch) as one:
                await one.front.stop_listening()
                config_url = f"ws://127.0.0.1:{hole.getsockname()[1]}/ocpp"
                config = StationConfig(
                    identity="CS001", csms_url=config_url, evses=(EvseConfig(),),
                    password=PASSWORD, variables=VARIABLES,
                )  # fmt: skip
                async with SimulatedStation(config, clock=one.clock, ids=Ids(1)):
                    await one.until(lambda: len([d for d in one.dials if d.failure]) == 2)
                    first = one.dials[0]
                    assert isinstance(first.failure, ConnectFailed)
                    assert first.failure.failure is ConnectFailure.TIMEOUT
                    assert first.ended_s - first.began_s == pytest.approx(OPEN_S, abs=LATE_S)
                    one.check([MINIMUM_S])
        finally:
            for one_socket in fill:
                one_socket.close()


# --- TLS ----------------------------------------------------------------------------------------


async def _plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(bad_front.http("400 Bad Request"))


async def _alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(bytes.fromhex("15030300020228"))  # fatal, handshake_failure


async def _half_a_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(bytes.fromhex("160303007a0200"))
    await bad_front._silence(reader, writer)


TLS_ANSWERS = {
    "RST": ANSWERS["RST"],
    "FIN": ANSWERS["FIN"],
    "hang in the handshake": ANSWERS["silence"],
    "half a ServerHello": _half_a_hello,
    "plain HTTP": _plain,
    "an alert": _alert,
}


@pytest.mark.parametrize("manner", TLS_ANSWERS)
async def test_servers_that_do_not_get_through_a_tls_handshake(
    manner: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = trusting(tmp_path)
    async with rig(monkeypatch, scheme="wss", certificates=folder) as one:
        one.front.manner = TLS_ANSWERS[manner]
        await one.station.start()
        await one.until(lambda: len([d for d in one.dials if d.failure]) == 3, 3 * LIMIT_S)
        one.check([2, 4])
        for dial in one.dials:
            assert isinstance(dial.failure, ConnectFailed)
            assert dial.ended_s - dial.began_s <= OPEN_S + LATE_S
            assert "\n" not in str(dial.failure)


async def test_a00_fr_308_311_a_server_whose_certificate_nobody_knows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A00.FR.308, A00.FR.310, A00.FR.311, A00.FR.414: the password stays here until the station
    knows to whom it speaks; it dials on, and says why."""
    stranger = Pki(SystemClock().now()).server("localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    stranger.write(chain, key)
    chain.write_text(stranger.chain_pem)
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.read(65_536))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    thief = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    folder = trusting(tmp_path)
    try:
        async with rig(monkeypatch, scheme="wss", host="localhost", certificates=folder) as one:
            one.front.csms_port = thief.sockets[0].getsockname()[1]
            await one.station.start()
            await one.until(lambda: len([d for d in one.dials if d.failure]) == 3)
            one.check([2, 4])
            error = one.point.connect_error
            assert isinstance(error, ConnectFailed)
            assert error.failure is ConnectFailure.CERTIFICATE
            assert not b"".join(requests)
    finally:
        thief.close()


@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a00_fr_317_420_tls_is_that_of_its_standards(
    tls: ssl.TLSVersion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A00.FR.317, A00.FR.420, A00.FR.312: a server that knows nothing of our TLS, a proxy in front
    of a plain CSMS, speaks with the station; a loss is dialled anew as without TLS."""
    clock = SystemClock()
    pki = Pki(clock.now())
    folder = tmp_path / "certificates"
    CertificateStore(folder, clock).install_root(RootUse.CSMS, pki.csms_root.pem)
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    pki.server("localhost").write(chain, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = tls
    context.load_cert_chain(chain, key)
    async with rig(monkeypatch, scheme="wss", host="localhost", certificates=str(folder)) as one:
        await one.front.stop_listening()
        one.front.tls = context
        await one.front.listen()
        await one.station.start()
        await one.accepted()
        one.front.reset()
        await one.until(lambda: len(one.dials) == 2)
        one.check([MINIMUM_S])
        await one.accepted()
        assert [cipher[1] for cipher in one.front.ciphers if cipher] == [
            "TLSv1.2" if tls is ssl.TLSVersion.TLSv1_2 else "TLSv1.3"
        ] * 2


# --- links that end -----------------------------------------------------------------------------


def _frame(opcode: int, payload: bytes, *, first: int = 0x80, size: bytes | None = None) -> bytes:
    return bytes((first | opcode,)) + (size or bytes((len(payload),))) + payload


def _close(code: int, text: bytes = b"because") -> bytes:
    return _frame(8, code.to_bytes(2, "big") + text)


FRAMES = {
    **{f"close {code}": _close(code) for code in (*range(1000, 1016), 3000, 4999)},
    **{f"close {code}": _close(code) for code in (0, 999, 1016, 2999, 5000, 65535)},
    "close without a code": _frame(8, b""),
    "close with half a code": _frame(8, b"\x03"),
    "close with a text that is no UTF-8": _close(1000, b"\xff\xfe\x80"),
    "close with the longest text": _close(1001, b"x" * 123),
    "close too long": _frame(8, b"x" * 126, size=b"\x7e\x00\x7e"),
    "an unknown opcode": _frame(3, b"x"),
    "an unknown control frame": _frame(11, b"x"),
    "reserved bits": _frame(1, b"{}", first=0xF0),
    "a message longer than allowed": _frame(1, b"", size=b"\x7f" + (2**40).to_bytes(8, "big")),
    "a negative length": _frame(1, b"", size=b"\x7f" + (2**63).to_bytes(8, "big")),
    "a continuation of nothing": _frame(0, b"x"),
    "a fragmented ping": _frame(9, b"x", first=0x00),
    "a ping too long": _frame(9, b"x" * 126, size=b"\x7e\x00\x7e"),
    "two beginnings": _frame(1, b"x", first=0x00) + _frame(1, b"x"),
    "HTTP": b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
}
"""What a server may send that ends a link, in the closing handshake or because it is wrong."""


@pytest.mark.parametrize("frame", FRAMES)
async def test_close_frames_and_violations(frame: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The link ends within the closing timeout, even when the server then does nothing more."""
    async with rig(monkeypatch) as one:
        await one.station.start()
        await one.accepted()
        sent_s = one.clock.monotonic()
        one.front.inject(FRAMES[frame])
        await one.until(lambda: one.dials[0].lost_s is not None, 2 * LIMIT_S)
        lost_s = one.dials[0].lost_s
        assert lost_s is not None
        assert lost_s - sent_s <= PING_S + PONG_S + 5 + LATE_S
        await one.until(lambda: len(one.dials) == 2)
        one.check([MINIMUM_S])
        await one.accepted()


@pytest.mark.parametrize("cause", ["reset", "fin", "hole"])
@pytest.mark.parametrize("state", ["booting", "accepted", "charging"])
async def test_losses(cause: str, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RST, FIN without a closing handshake, and a half-open connection, which is found within the
    ping interval and the pong timeout."""
    async with rig(monkeypatch) as one:
        forever = asyncio.Event()

        async def wait(_station: object, _request: object) -> Any:
            await forever.wait()

        if state == "booting":
            one.csms.on("BootNotification", wait)
        await one.station.start()
        if state == "booting":
            await one.until(lambda: one.point.connected)
        else:
            await one.accepted()
        if state == "charging":
            one.csms.on("TransactionEvent", wait)
            await one.station.plug_in(1)
            await one.station.swipe("04A1B2C3", 1)
        began_s = one.clock.monotonic()
        getattr(one.front, cause)()
        await one.until(lambda: one.dials[0].lost_s is not None)
        lost_s = one.dials[0].lost_s
        assert lost_s is not None
        limit_s = PING_S + PONG_S if cause == "hole" else 0
        assert lost_s - began_s <= limit_s + LATE_S
        one.csms._handlers.clear()
        one.front.heal()
        await one.until(lambda: len(one.dials) == 2)
        one.check([MINIMUM_S])
        await one.accepted()


async def test_a_server_that_never_reads_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """It pings us all the time but answers none of ours."""

    async with rig(monkeypatch) as one:
        await one.station.start()
        await one.accepted()
        one.front.hole()
        began_s = one.clock.monotonic()
        # Frames of the server keep the link: they show that it lives.
        for _ in range(40):
            one.front.inject(_frame(9, b"still here"))
            await asyncio.sleep(2 / SPEED)
        assert one.dials[0].lost_s is None
        await one.until(lambda: one.dials[0].lost_s is not None)
        assert one.dials[0].lost_s is not None
        assert one.dials[0].lost_s - began_s <= 40 * 2 + PING_S + PONG_S + LATE_S
        one.front.heal()
        await one.accepted()


def _open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_reconnects_leave_no_socket_task_or_object(
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Sixty losses and sixty failed dials, after some for the caches to fill."""
    folder = trusting(tmp_path)
    clock = SystemClock()
    caplog.set_level(logging.CRITICAL, "ocpp_fast")  # what is logged is kept, with its exceptions
    async with rig(monkeypatch, scheme=scheme, host="localhost", certificates=folder) as one:
        if scheme == "wss":
            chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
            # The root is in the store already; its authority signs the server.
            pki = Pki(clock.now())
            store = CertificateStore(folder, clock)
            store.install_root(RootUse.CSMS, pki.csms_root.pem)
            pki.server("localhost").write(chain, key)
            one.front.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            one.front.tls.load_cert_chain(chain, key)
            await one.front.stop_listening()
            await one.front.listen()
        await one.station.start()
        await one.accepted()
        write = one.point.device_model.write
        write(retry_back_off_wait_minimum_s=1, retry_back_off_repeat_times=0)

        async def flap(times: int) -> None:
            for _ in range(times):
                one.front.manner = bad_front.ANSWERS["503"]
                one.front.reset()
                await one.until(lambda: one.dials[-1].failure is not None)
                one.front.heal()
                await one.accepted()
                del one.dials[:-1]

        await flap(15)
        gc.collect()
        files, tasks = _open_files(), len(asyncio.all_tasks())
        before = Counter(type(each).__name__ for each in gc.get_objects())
        await flap(60)
        await asyncio.sleep(0.2)
        gc.collect()
        after = Counter(type(each).__name__ for each in gc.get_objects())
        assert _open_files() <= files + 3
        assert len(asyncio.all_tasks()) <= tasks + 3
        more = {name: after[name] - before[name] for name in after}
        assert not {name: count for name, count in more.items() if count > 30}


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("manner", ["silence", "silence after the request", "503"])
async def test_stop_in_the_middle_of_a_dial(
    manner: str, scheme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`stop` does not wait for the dial, and leaves no connection behind."""
    folder = trusting(tmp_path)
    async with rig(monkeypatch, scheme=scheme, certificates=folder) as one:
        one.front.manner = ANSWERS[manner]
        await one.station.start()
        await one.until(lambda: one.front.accepted == 1)
        await asyncio.wait_for(one.station.stop(), 1.0)
        dials = len(one.dials)
        await asyncio.sleep(0.3)
        assert len(one.dials) == dials
        await one.until(lambda: not one.front._tasks)


@pytest.mark.parametrize("manner", ["reset", "fin"])
async def test_a_client_that_left_by_itself_is_in_nobodys_way(
    manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow computer a dial may time out after the front has passed it on: what the front
    does to its clients afterwards spares this one."""
    async with rig(monkeypatch) as one:
        _, gone = await asyncio.open_connection("127.0.0.1", one.front.port)
        await one.until(lambda: one.front._clients)
        gone.transport.abort()
        await one.until(lambda: not one.front._tasks)
        assert not one.front._clients
        getattr(one.front, manner)()
