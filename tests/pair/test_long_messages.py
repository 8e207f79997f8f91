"""Messages that are longer than the link may carry: who asked is told, and the link stays."""

import asyncio

import pytest

from ocpp_fast._core import Codec, encode_payload
from ocpp_fast.connection import Way
from ocpp_fast.errors import CallErrorReceived, MessageTooLong
from ocpp_fast.messages import v21
from ocpp_fast.testing import VirtualClock
from pair.pairing import HEARTBEAT, HEARTBEAT_RESPONSE, RESET, Pair, answer_heartbeat, virtual

LIMIT_BYTES = 400
LONG = v21.DataTransferRequest(vendor_id="org.example", data="x" * LIMIT_BYTES)
ACCEPTED = v21.DataTransferStatusEnumType.ACCEPTED


def pair_of(clock: VirtualClock, **options: object) -> Pair:
    pair = Pair(clock, csms={"Heartbeat": answer_heartbeat}, **options)  # pyright: ignore[reportArgumentType]
    pair.link.left.max_message_bytes = LIMIT_BYTES
    return pair


@virtual
async def test_a_call_fails_at_once_and_the_next_is_sent(clock: VirtualClock) -> None:
    pair = pair_of(clock)
    for _ in range(3):
        with pytest.raises(MessageTooLong):
            await pair.station.call(LONG)
        assert await pair.station.call(HEARTBEAT) == HEARTBEAT_RESPONSE
    assert pair.station.closed is None
    assert clock.elapsed_s < 1


@virtual
async def test_a_call_that_had_to_wait_fails_in_its_turn(clock: VirtualClock) -> None:
    pair = pair_of(clock)
    pair.link.to_right.delay_s = 1.0
    calls = [pair.task(pair.station.call(one)) for one in (HEARTBEAT, LONG, LONG, HEARTBEAT)]
    await asyncio.wait(calls)
    assert calls[0].result() == calls[3].result() == HEARTBEAT_RESPONSE
    for call in calls[1:3]:
        assert isinstance(call.exception(), MessageTooLong)


class Told:
    """An `Outcome` that starts the next call when it is told, as delivery does."""

    def __init__(self, pair: Pair) -> None:
        self.pair, self.outcome = pair, None

    def done(self) -> bool:
        return self.outcome is not None

    def set_result(self, result: object, /) -> None:
        self.outcome = result

    def set_exception(self, exception: Exception, /) -> None:
        self.outcome = exception
        self.next = Told(self.pair)
        self.pair.station.start_raw("Heartbeat", b"{}", self.next)


@virtual
async def test_whoever_is_told_may_start_the_next(clock: VirtualClock) -> None:
    pair = pair_of(clock)
    first = pair.task(pair.station.call(HEARTBEAT))
    await asyncio.sleep(0)
    told = Told(pair)
    pair.station.start_raw("DataTransfer", encode_payload(LONG), told)
    await first
    await clock.sleep(1.0)
    assert isinstance(told.outcome, MessageTooLong)
    assert told.next.outcome == HEARTBEAT_RESPONSE
    with pytest.raises(MessageTooLong):
        pair.station.start_raw("DataTransfer", encode_payload(LONG), Told(pair))


@pytest.mark.parametrize("later", [False, True])
def test_an_answer_becomes_a_callerror(later: bool, caplog: pytest.LogCaptureFixture) -> None:
    response = v21.DataTransferResponse(status=ACCEPTED, data="x" * LIMIT_BYTES)

    def at_once(_: v21.DataTransferRequest) -> v21.DataTransferResponse:
        return response

    async def after_a_while(_: v21.DataTransferRequest) -> v21.DataTransferResponse:
        await asyncio.sleep(0)
        return response

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        pair = pair_of(clock, station={"DataTransfer": after_a_while if later else at_once})
        with pytest.raises(CallErrorReceived) as caught:
            await pair.csms.call(v21.DataTransferRequest(vendor_id="org.example"))
        assert caught.value.code == "InternalError"
        assert pair.station.closed is pair.csms.closed is None
        with pytest.raises(CallErrorReceived):  # not handled here, but the link works
            await pair.csms.call(RESET)

    scenario()
    assert f"the link carries up to {LIMIT_BYTES}" in caplog.text


@virtual
async def test_the_log_shows_what_was_sent_and_nothing_else(clock: VirtualClock) -> None:
    sent: list[bytes] = []

    def log(way: Way, frame: bytes) -> None:
        if way is Way.OUT:
            sent.append(frame)

    pair = pair_of(clock, station_log=log)
    with pytest.raises(MessageTooLong):
        await pair.station.call(LONG)
    await pair.station.call(HEARTBEAT)
    assert [Codec("2.1").decode(frame).action for frame in sent] == ["Heartbeat"]  # pyright: ignore[reportAttributeAccessIssue]
