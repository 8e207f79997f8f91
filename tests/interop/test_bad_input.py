"""Bad input never closes a healthy link: over a real WebSocket, in both roles and versions.

Each bad frame gets its documented answer, or none where Part 4 wants none, and the next valid
request is answered (FR.02, FR.03, FR.06, FR.07).
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from picows import WSMsgType

from interop.raw_peer import RawPeer, raw_client, raw_server
from interop.steady_time import SteadyClock
from ocpp_fast._core import Codec
from ocpp_fast.connection import Connection
from ocpp_fast.errors import ReplyInvalid
from ocpp_fast.exchange import FaultKind
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion
from ocpp_fast.router import Role, Router
from ocpp_fast.transport import picows
from ocpp_fast.transport.base import Transport

TIME = datetime(2026, 1, 1, tzinfo=UTC)
LINKS = [(role, version) for role in Role for version in OcppVersion]


class Link(NamedTuple):
    """Our end and the raw peer at the other end."""

    version: OcppVersion
    role: Role
    ours: Connection
    peer: RawPeer
    release: asyncio.Event
    """Lets our handler of DataTransfer answer."""

    async def must_be_healthy(self) -> None:
        """The next valid request is answered, and answered next."""
        action, payload = ("Heartbeat", {}) if self.role is Role.CSMS else ("ClearCache", {})
        self.peer.send(2, "healthy", action, payload)
        answer = await self.peer.receive()
        assert answer[:2] == [3, "healthy"], answer
        assert self.ours.closed is None


@asynccontextmanager
async def open_link(role: Role, version: OcppVersion) -> AsyncGenerator[Link]:
    """Our `Connection` in the given role, and a raw peer."""
    module, clock, ids = version.module, SteadyClock(), Ids()
    tables: dict[Role, dict[str, Any]] = {
        Role.CSMS: {"Heartbeat": lambda request: module.HeartbeatResponse(current_time=TIME)},
        Role.CHARGING_STATION: {
            "ClearCache": lambda request: module.ClearCacheResponse(status="Accepted")
        },
    }
    release = asyncio.Event()

    async def transfer(request: Any) -> Any:
        await release.wait()
        return module.DataTransferResponse(status="Accepted")

    router = Router(version, role, [tables[role], {"DataTransfer": transfer}])

    def listen(transport: Transport) -> Connection:
        opened.append(Connection(transport, router, Codec(version), clock=clock, ids=ids))
        return opened[0]

    opened: list[Connection] = []
    if role is Role.CSMS:
        accepted = picows.Accepted(listen)
        server = await picows.serve(lambda handshake: accepted, "127.0.0.1", 0, clock=clock)
        peer = await raw_client(server.port, subprotocols=[version.subprotocol])
        try:
            yield Link(version, role, opened[0], peer, release)
        finally:
            await server.close()
            await peer.end()
    else:
        async with raw_server(version.subprotocol) as raw:
            url = f"ws://127.0.0.1:{raw.port}/ocpp/CS001"
            ours = await picows.connect(url, listen, clock=clock)
            await raw.peer.connected.wait()
            try:
                yield Link(version, role, ours, raw.peer, release)
            finally:
                await ours.close()


@pytest.fixture(params=LINKS, ids=lambda item: f"{item[0]}-{item[1]}".replace(" ", "-"))
async def link(request: pytest.FixtureRequest) -> AsyncGenerator[Link]:
    async with open_link(*request.param) as opened:
        yield opened


# What is sent, and the first three elements of the answer.
ANSWERED: dict[str, tuple[bytes, list[Any]]] = {
    "empty": (b"", [4, "-1", "RpcFrameworkError"]),
    "no JSON": (b"hello", [4, "-1", "RpcFrameworkError"]),
    "broken JSON before the id": (b'[2,"a', [4, "-1", "RpcFrameworkError"]),
    "broken JSON in the payload": (b'[2,"a","Heartbeat",{', [4, "a", "FormatViolation"]),
    "more than JSON": (b'[2,"a","Heartbeat",{}]]', [4, "a", "RpcFrameworkError"]),
    "no UTF-8": (b'[2,"a\xff","Heartbeat",{}]', [4, "-1", "RpcFrameworkError"]),
    "a lone surrogate": (b'[2,"\\ud800","Heartbeat",{}]', [4, "-1", "RpcFrameworkError"]),
    "NaN": (b'[2,"a","Heartbeat",NaN]', [4, "a", "FormatViolation"]),
    "an object": (b'{"a":1}', [4, "-1", "RpcFrameworkError"]),
    "a number": (b"17", [4, "-1", "RpcFrameworkError"]),
    "an empty array": (b"[]", [4, "-1", "RpcFrameworkError"]),
    "a type that is text": (b'["2","a","Heartbeat",{}]', [4, "a", "RpcFrameworkError"]),
    "an id that is a number": (b'[2,7,"Heartbeat",{}]', [4, "-1", "RpcFrameworkError"]),
    "an id of 60 characters": (
        b'[2,"' + b"x" * 60 + b'","Heartbeat",{}]',
        [4, "-1", "RpcFrameworkError"],
    ),
    "an empty id": (b'[2,"","Heartbeat",{}]', [4, "-1", "RpcFrameworkError"]),
    "an action that is a number": (b'[2,"a",7,{}]', [4, "a", "RpcFrameworkError"]),
    "a missing payload": (b'[2,"a","Heartbeat"]', [4, "a", "RpcFrameworkError"]),
    "one element too many": (b'[2,"a","Heartbeat",{},1]', [4, "a", "RpcFrameworkError"]),
    "an unknown action": (b'[2,"a","Frobnicate",{}]', [4, "a", "NotImplemented"]),
    "an action in lower case": (b'[2,"a","heartbeat",{}]', [4, "a", "NotImplemented"]),
    "a payload that is an array": (b'[2,"a","Heartbeat",[]]', [4, "a", "FormatViolation"]),
    "a payload that is null": (b'[2,"a","Heartbeat",null]', [4, "a", "FormatViolation"]),
    "an unknown member": (b'[2,"a","Heartbeat",{"x":1}]', [4, "a", "FormatViolation"]),
    "a member missing": (
        b'[2,"a","Reset",{}]',
        [4, "a", "OccurrenceConstraintViolation"],
    ),
    "a wrong type": (b'[2,"a","Reset",{"type":7}]', [4, "a", "TypeConstraintViolation"]),
    "a value not in the list": (
        b'[2,"a","Reset",{"type":"Softly"}]',
        [4, "a", "PropertyConstraintViolation"],
    ),
    "a message too deep": (b"[" * 5_000, [4, "-1", "RpcFrameworkError"]),
    "an action without handler": (
        b'[2,"a","Reset",{"type":"Immediate"}]',
        [4, "a", "NotSupported"],
    ),
}


@pytest.mark.parametrize("case", ANSWERED)
async def test_a_bad_frame_gets_its_answer_and_the_link_stays(link: Link, case: str) -> None:
    frame, expected = ANSWERED[case]
    link.peer.send_raw(frame)
    answer = await link.peer.receive()
    assert answer[:3] == expected, answer
    assert len(answer) == 5
    assert isinstance(answer[3], str)
    assert isinstance(answer[4], dict)
    await link.must_be_healthy()


UNANSWERED: dict[str, bytes] = {
    "a reply to nothing": b'[3,"a",{}]',
    "an error to nothing": b'[4,"a","InternalError","",{}]',
    "a broken CALLERROR": b'[4,"a"]',
    "an error without readable id": b'[4,"-1","RpcFrameworkError","",{}]',
}


@pytest.mark.parametrize("case", UNANSWERED)
async def test_a_stray_reply_gets_no_answer_and_the_link_stays(link: Link, case: str) -> None:
    link.peer.send_raw(UNANSWERED[case])
    await link.must_be_healthy()


@pytest.mark.parametrize(
    "frame", [b'[9,"a","Heartbeat",{}]', b'[1,"a"]', b'[-2,"a"]', b'[200,"a",{},{}]']
)
async def test_an_unknown_message_type(link: Link, frame: bytes) -> None:
    # Part 4, section 4.4: 2.0.1 answers, 2.1 ignores
    link.peer.send_raw(frame)
    if link.version is OcppVersion.V201:
        assert (await link.peer.receive())[:3] == [4, "a", "MessageTypeNotSupported"]
    await link.must_be_healthy()


@pytest.mark.parametrize(
    "frame",
    [
        b'[6,"a","Nope",{}]',
        b'[6,"a","NotifyPeriodicEventStream",{}]',
        b'[5,"a","FormatViolation","",{}]',
        b'[5,"a"]',
    ],
)
async def test_the_message_types_of_2_1(link: Link, frame: bytes) -> None:
    link.peer.send_raw(frame)
    if link.version is OcppVersion.V201:
        assert (await link.peer.receive())[:3] == [4, "a", "MessageTypeNotSupported"]
    await link.must_be_healthy()


@pytest.mark.parametrize("size_bytes", [0, 1, 2_000])
async def test_a_binary_message_is_answered_and_the_link_stays(link: Link, size_bytes: int) -> None:
    link.peer.send_raw(b"\x00" * size_bytes, WSMsgType.BINARY)
    assert (await link.peer.receive())[:3] == [4, "-1", "RpcFrameworkError"]
    await link.must_be_healthy()


async def test_an_oversized_value_within_the_limit_of_the_frame(link: Link) -> None:
    text = "x" * 1_000_000
    link.peer.send(2, "a", "Reset", {"type": text})
    assert (await link.peer.receive())[:3] == [4, "a", "PropertyConstraintViolation"]
    await link.must_be_healthy()


async def test_a_duplicate_id_while_the_first_is_handled(link: Link) -> None:
    """Part 4, section 4.2.3: the second is refused; the first is answered all the same."""
    transfer = [2, "same", "DataTransfer", {"vendorId": "slow"}]
    link.peer.send(*transfer)
    link.peer.send(*transfer)
    assert (await link.peer.receive())[:3] == [4, "same", "RpcFrameworkError"]
    link.release.set()
    assert (await link.peer.receive())[:2] == [3, "same"]
    await link.must_be_healthy()


async def test_an_invalid_answer_fails_its_call_and_the_link_stays(link: Link) -> None:
    # FR.06
    module = link.version.module
    request = module.DataTransferRequest(vendor_id="x")
    call = asyncio.ensure_future(link.ours.call(request))
    _, message_id, *_ = await link.peer.receive()
    link.peer.send(3, message_id, {"status": "Perhaps"})
    with pytest.raises(ReplyInvalid, match="PropertyConstraintViolation at /status"):
        await call
    if link.version is OcppVersion.V21:
        answer = await link.peer.receive()
        assert answer[:3] == [5, message_id, "PropertyConstraintViolation"]
    await link.must_be_healthy()


async def test_a_flood_of_bad_frames_is_answered_one_by_one(link: Link) -> None:
    for number in range(200):
        link.peer.send(2, f"bad{number}", "Frobnicate", {})
    answers = [await link.peer.receive() for _ in range(200)]
    assert [answer[1] for answer in answers] == [f"bad{number}" for number in range(200)]
    assert link.ours.fault_counts == {FaultKind.INVALID_FRAME: 200}
    await link.must_be_healthy()


async def test_an_answer_holds_no_part_of_what_was_broken(link: Link) -> None:
    # Part 4, section 4.2.3: no invalid JSON in a CALLERROR
    link.peer.send_raw(b'[2,"a","Heartbeat",{"\x01\xfe')
    raw = await asyncio.wait_for(link.peer.frames.get(), 5.0)
    json.loads(raw.decode())
    await link.must_be_healthy()
