"""Two ends of a connection in virtual time: calls, deadlines, ends, reports."""

import asyncio
import gc
import json
import weakref
from typing import Any

import pytest

from ocpp_fast._core import Codec, encode_payload
from ocpp_fast.connection import Connection, ConnectionObserver, ConnectionSettings, Way
from ocpp_fast.errors import (
    CallTimedOut,
    ConfigurationError,
    ConnectionLost,
    ErrorCode,
    QueueFull,
    ReplyInvalid,
    RequestRefused,
)
from ocpp_fast.exchange import FaultKind
from ocpp_fast.ids import Ids
from ocpp_fast.messages import OcppVersion, v21, v201
from ocpp_fast.router import Reply, Role, Router
from ocpp_fast.testing import VirtualClock
from ocpp_fast.transport.base import ClosedBy
from ocpp_fast.transport.memory import MemoryLink
from pair.pairing import (
    HEARTBEAT,
    HEARTBEAT_RESPONSE,
    RESET,
    RESET_RESPONSE,
    Pair,
    RawCsms,
    answer_heartbeat,
    station_with_raw_csms,
    virtual,
)

STREAM = v21.NotifyPeriodicEventStream(
    id=1,
    pending=0,
    basetime=HEARTBEAT_RESPONSE.current_time,
    data=[v21.StreamDataElementType(t=0.0, v="230.4")],
)


# --- calls -----------------------------------------------------------------------------------


@virtual
async def test_both_ends_call_and_are_answered(clock: VirtualClock) -> None:
    pair = Pair(
        clock,
        station={"Reset": lambda request: RESET_RESPONSE},
        csms={"Heartbeat": answer_heartbeat},
    )
    assert await pair.station.call(HEARTBEAT) == HEARTBEAT_RESPONSE
    assert await pair.csms.call(RESET) == RESET_RESPONSE
    assert pair.station.fault_counts == pair.csms.fault_counts == {}


@virtual
async def test_calls_that_cross_each_other_are_both_answered(clock: VirtualClock) -> None:
    pair = Pair(
        clock,
        station={"Reset": lambda request: RESET_RESPONSE},
        csms={"Heartbeat": answer_heartbeat},
    )
    pair.link.to_left.delay_s = pair.link.to_right.delay_s = 0.5
    answers = await asyncio.gather(pair.station.call(HEARTBEAT), pair.csms.call(RESET))
    assert answers == [HEARTBEAT_RESPONSE, RESET_RESPONSE]
    assert clock.elapsed_s == 1.0


@virtual
async def test_calls_are_sent_one_at_a_time_and_in_order(clock: VirtualClock) -> None:
    station, csms, _ = station_with_raw_csms(clock)
    calls = [asyncio.ensure_future(station.call(HEARTBEAT)) for _ in range(3)]
    for number, call in enumerate(calls, start=1):
        await clock.sleep(1.0)
        assert len(csms.received) == number
        message_id = json.loads(csms.received[-1])[1]
        csms.transport.send(f'[3,"{message_id}",{{"currentTime":"2026-01-01T00:00:00Z"}}]'.encode())
        assert await call == HEARTBEAT_RESPONSE


@virtual
async def test_a_stored_payload_is_called_with_its_own_message_id(clock: VirtualClock) -> None:
    pair = Pair(clock, csms={"Heartbeat": answer_heartbeat})
    sent: list[bytes] = []
    pair.link.to_right.script = lambda frame: sent.append(frame) or (frame,)
    response = await pair.station.call_raw(
        "Heartbeat", encode_payload(HEARTBEAT), message_id="retry-1"
    )
    assert response == HEARTBEAT_RESPONSE
    assert sent == [b'[2,"retry-1","Heartbeat",{}]']
    await pair.station.call_raw("Heartbeat", b"{}")
    assert json.loads(sent[1])[1] != "retry-1"


@virtual
async def test_a_frame_that_is_ready_is_sent_as_it_is(clock: VirtualClock) -> None:
    frames: list[bytes] = []

    def log(way: Way, frame: bytes) -> None:
        if way is Way.OUT:
            frames.append(frame)

    pair = Pair(clock, csms={"Heartbeat": answer_heartbeat}, station_log=log)
    frame = b'[2, "mine", "Heartbeat", { }]'
    assert await pair.station.call_frame("mine", "Heartbeat", frame) == HEARTBEAT_RESPONSE
    assert frames == [frame]


@virtual
async def test_a_ready_frame_waits_its_turn_and_can_be_withdrawn(clock: VirtualClock) -> None:
    pair = Pair(clock, csms={"Heartbeat": answer_heartbeat})
    first = pair.task(pair.station.call(HEARTBEAT))
    second = pair.task(pair.station.call_frame("b", "Heartbeat", b'[2,"b","Heartbeat",{}]'))
    third = pair.task(pair.station.call_frame("c", "Heartbeat", b'[2,"c","Heartbeat",{}]'))
    await clock.sleep(0)
    second.cancel()
    assert await first == await third == HEARTBEAT_RESPONSE
    assert second.cancelled()


@virtual
async def test_a_handler_is_not_asked_when_the_frame_is_too_long(clock: VirtualClock) -> None:
    """The router's limit gets the length of the frame as it came."""
    lengths: list[int] = []

    def limit(_: object, size_bytes: int) -> None:
        lengths.append(size_bytes)
        raise RequestRefused(ErrorCode.FORMAT_VIOLATION, "too long")

    router = Router(
        OcppVersion.V21,
        Role.CHARGING_STATION,
        [{"Reset": lambda request: RESET_RESPONSE}],
        limits={"Reset": limit},
    )
    _, csms, _ = station_with_raw_csms(clock, router=router)
    frame = b'[2,"1","Reset",{"type":"Immediate"}]'
    csms.transport.send(frame)
    await clock.sleep(1)
    assert lengths == [len(frame)]
    assert json.loads(csms.received[0])[:3] == [4, "1", "FormatViolation"]


@virtual
async def test_an_unanswered_call_times_out_and_the_next_one_goes_out(clock: VirtualClock) -> None:
    station, csms, _ = station_with_raw_csms(clock)
    first = asyncio.ensure_future(station.call(HEARTBEAT, timeout_s=10.0))
    second = asyncio.ensure_future(station.call(HEARTBEAT))
    with pytest.raises(CallTimedOut, match=r"Heartbeat .* within 10 s"):
        await first
    assert clock.elapsed_s == pytest.approx(10.0, abs=0.01)
    await clock.sleep(0.0)
    await clock.sleep(0.0)
    assert len(csms.received) == 2
    with pytest.raises(CallTimedOut, match="within 30 s"):
        await second
    assert clock.elapsed_s == pytest.approx(40.0, abs=0.01)


@virtual
async def test_a_short_deadline_is_kept_while_the_timer_of_a_longer_one_runs(
    clock: VirtualClock,
) -> None:
    pair = Pair(clock, csms={"Heartbeat": answer_heartbeat})
    await pair.station.call(HEARTBEAT, timeout_s=600.0)
    pair.link.freeze()
    with pytest.raises(CallTimedOut):
        await pair.station.call(HEARTBEAT, timeout_s=2.0)
    assert clock.elapsed_s == pytest.approx(2.0, abs=0.01)


@virtual
async def test_a_long_deadline_is_kept_although_the_timer_of_a_shorter_one_fired(
    clock: VirtualClock,
) -> None:
    pair = Pair(clock, csms={"Heartbeat": answer_heartbeat})
    await pair.station.call(HEARTBEAT, timeout_s=5.0)
    pair.link.freeze()
    with pytest.raises(CallTimedOut):
        await pair.station.call(HEARTBEAT, timeout_s=60.0)
    assert clock.elapsed_s == pytest.approx(60.0, abs=0.01)


@virtual
async def test_a_late_reply_does_not_answer_the_next_call(clock: VirtualClock) -> None:
    station, csms, _ = station_with_raw_csms(clock)
    with pytest.raises(CallTimedOut):
        await station.call(HEARTBEAT, timeout_s=1.0)
    second = asyncio.ensure_future(station.call(HEARTBEAT))
    await clock.sleep(0.1)
    late_id = json.loads(csms.received[0])[1]
    csms.transport.send(f'[3,"{late_id}",{{"currentTime":"1999-01-01T00:00:00Z"}}]'.encode())
    await clock.sleep(0.1)
    assert not second.done()
    assert station.fault_counts == {FaultKind.LATE_REPLY: 1}
    message_id = json.loads(csms.received[1])[1]
    csms.transport.send(f'[3,"{message_id}",{{"currentTime":"2026-01-01T00:00:00Z"}}]'.encode())
    assert await second == HEARTBEAT_RESPONSE


@virtual
async def test_an_invalid_reply_fails_the_call_at_once(clock: VirtualClock) -> None:
    station, csms, _ = station_with_raw_csms(clock)
    call = asyncio.ensure_future(station.call(HEARTBEAT))
    following = asyncio.ensure_future(station.call(HEARTBEAT))
    await clock.sleep(0.1)
    message_id = json.loads(csms.received[0])[1]
    csms.transport.send(f'[3,"{message_id}",{{"currentTime":7}}]'.encode())
    with pytest.raises(ReplyInvalid, match="TypeConstraintViolation at /currentTime"):
        await call
    await clock.sleep(0.1)
    assert clock.elapsed_s < 1.0
    answer, next_call = csms.received[1:]
    assert answer.startswith(f'[5,"{message_id}","TypeConstraintViolation"'.encode())
    assert json.loads(next_call)[2] == "Heartbeat"
    following.cancel()


@virtual
async def test_only_so_many_calls_may_wait(clock: VirtualClock) -> None:
    station, _, _ = station_with_raw_csms(clock, ConnectionSettings(max_waiting_calls=2))
    calls = [asyncio.ensure_future(station.call(HEARTBEAT)) for _ in range(3)]
    await clock.sleep(0.0)
    with pytest.raises(QueueFull):
        await station.call(HEARTBEAT)
    await station.close()
    assert all(isinstance(call.exception(), ConnectionLost) for call in calls)


@virtual
async def test_a_cancelled_call_that_waited_is_not_sent(clock: VirtualClock) -> None:
    station, csms, _ = station_with_raw_csms(clock)
    first = asyncio.ensure_future(station.call(HEARTBEAT, timeout_s=5.0))
    unwanted = asyncio.ensure_future(station.call(v21.ClearCacheRequest()))
    third = asyncio.ensure_future(station.call(HEARTBEAT, timeout_s=5.0))
    await clock.sleep(1.0)
    unwanted.cancel()
    await asyncio.wait([first, unwanted, third])
    assert unwanted.cancelled()
    assert [json.loads(frame)[2] for frame in csms.received] == ["Heartbeat", "Heartbeat"]


@virtual
async def test_a_cancelled_call_in_flight_blocks_the_next_until_its_answer(
    clock: VirtualClock,
) -> None:
    station, csms, _ = station_with_raw_csms(clock)
    unwanted = asyncio.ensure_future(station.call(HEARTBEAT))
    following = asyncio.ensure_future(station.call(HEARTBEAT))
    await clock.sleep(1.0)
    unwanted.cancel()
    await clock.sleep(1.0)
    assert unwanted.cancelled()
    assert len(csms.received) == 1
    message_id = json.loads(csms.received[0])[1]
    csms.transport.send(f'[3,"{message_id}",{{"currentTime":"2026-01-01T00:00:00Z"}}]'.encode())
    await clock.sleep(1.0)
    assert len(csms.received) == 2
    assert station.fault_counts == {}
    following.cancel()


@virtual
async def test_a_message_of_another_version_is_not_sent(clock: VirtualClock) -> None:
    pair = Pair(clock, csms={"Heartbeat": answer_heartbeat})
    with pytest.raises(TypeError):
        await pair.station.call(v201.HeartbeatRequest())
    with pytest.raises(TypeError, match="HeartbeatResponse is no request"):
        await pair.station.call(HEARTBEAT_RESPONSE)
    with pytest.raises(TypeError, match="NotifyPeriodicEventStream is no request"):
        await pair.station.call(STREAM)
    assert await pair.station.call(HEARTBEAT) == HEARTBEAT_RESPONSE


@virtual
async def test_a_connection_wants_everything_of_one_version(clock: VirtualClock) -> None:
    ids = Ids(seed=1)
    router = Router(OcppVersion.V21, Role.CSMS, [])
    for subprotocol, codec in (("ocpp2.0.1", Codec("2.1")), ("ocpp2.1", Codec("2.0.1"))):
        with pytest.raises(ConfigurationError, match=r"a router for OCPP 2\.1 cannot serve"):
            MemoryLink(
                lambda transport, codec=codec: Connection(
                    transport, router, codec, clock=clock, ids=ids
                ),
                RawCsms,
                clock=clock,
                ids=ids,
                subprotocol=subprotocol,
            )


# --- the end ---------------------------------------------------------------------------------


@virtual
async def test_closing_tells_both_ends_who_closed(clock: VirtualClock) -> None:
    pair = Pair(clock)
    await pair.station.close(1001, "maintenance")
    here, there = pair.station.closed, await pair.csms.wait_closed()
    assert here is not None
    assert (here.code, here.text, here.by) == (1001, "maintenance", ClosedBy.LOCAL)
    assert (there.code, there.text, there.by) == (1001, "maintenance", ClosedBy.PEER)


@virtual
async def test_closing_takes_no_longer_than_the_closing_handshake_may(clock: VirtualClock) -> None:
    pair = Pair(clock)
    pair.link.freeze()
    await pair.station.close()
    assert clock.elapsed_s == 5.0
    assert pair.csms.closed is None


@virtual
async def test_a_lost_link_fails_every_call_and_every_later_one(clock: VirtualClock) -> None:
    station, _, link = station_with_raw_csms(clock)
    calls = [asyncio.ensure_future(station.call(HEARTBEAT)) for _ in range(3)]
    await clock.sleep(1.0)
    link.cut()
    await asyncio.wait(calls)
    assert all(isinstance(call.exception(), ConnectionLost) for call in calls)
    with pytest.raises(ConnectionLost, match="1006"):
        await station.call(HEARTBEAT)
    with pytest.raises(ConnectionLost):
        station.send(STREAM)
    assert station.closed is not None
    assert station.closed.by is ClosedBy.NETWORK


@virtual
async def test_closing_cancels_handlers_and_leaves_no_task(clock: VirtualClock) -> None:
    async def hang(request: Any) -> Any:
        await asyncio.Event().wait()

    pair = Pair(clock, station={"Reset": hang, "ClearCache": lambda request: Reply(CLEARED, after)})

    async def after() -> None:
        await asyncio.Event().wait()

    reset = pair.task(pair.csms.call(RESET, timeout_s=1.0))
    await clock.sleep(2.0)
    await pair.csms.call(v21.ClearCacheRequest())
    await pair.station.close()
    await asyncio.wait([reset])
    assert asyncio.all_tasks() == {asyncio.current_task()}


CLEARED = v21.ClearCacheResponse(status=v21.ClearCacheStatusEnumType.ACCEPTED)


@virtual
async def test_what_follows_an_answer_may_close_the_connection(clock: VirtualClock) -> None:
    closed: list[str] = []

    async def after() -> None:
        await pair.station.close()
        closed.append("and went on")

    pair = Pair(clock, station={"Reset": lambda request: Reply(RESET_RESPONSE, after)})
    assert await pair.csms.call(RESET) == RESET_RESPONSE
    await clock.sleep(10.0)
    assert closed == ["and went on"]


@virtual
async def test_closing_does_not_wait_for_ever_for_a_task_that_resists(
    clock: VirtualClock,
) -> None:
    async def stubborn(request: Any) -> Any:
        while clock.elapsed_s < 1_000.0:
            try:
                await clock.sleep(1_000.0)
            except asyncio.CancelledError:
                continue

    pair = Pair(clock, station={"Reset": stubborn})
    call = pair.task(pair.csms.call(RESET))
    await clock.sleep(1.0)
    await pair.station.close()
    assert clock.elapsed_s == pytest.approx(6.0, abs=0.01)
    call.cancel()
    await clock.sleep(2_000.0)


@virtual
async def test_closing_again_is_harmless(clock: VirtualClock) -> None:
    pair = Pair(clock)
    await asyncio.gather(pair.station.close(), pair.station.close(), pair.csms.close())
    await pair.station.close()


@virtual
async def test_a_closed_connection_leaves_no_timer_behind(clock: VirtualClock) -> None:
    pair = Pair(clock, csms={"Heartbeat": answer_heartbeat})
    await pair.station.call(HEARTBEAT, timeout_s=3_600.0)
    await pair.station.close()
    assert pair.station._timer is not None
    assert pair.station._timer.cancelled()  # pyright: ignore[reportAttributeAccessIssue]


@virtual
async def test_a_dropped_connection_is_freed(clock: VirtualClock) -> None:
    pair = Pair(clock, csms={"Heartbeat": answer_heartbeat})
    await pair.station.call(HEARTBEAT)
    await pair.station.close()
    station = weakref.ref(pair.station)
    del pair
    gc.collect()
    assert station() is None


# --- what is reported ------------------------------------------------------------------------


@virtual
async def test_the_frame_log_sees_every_frame_as_it_was_on_the_wire(clock: VirtualClock) -> None:
    log: list[tuple[Way, bytes]] = []
    station, csms, _ = station_with_raw_csms(
        clock, frame_log=lambda way, frame: log.append((way, frame))
    )
    call = asyncio.ensure_future(station.call(HEARTBEAT))
    await clock.sleep(1.0)
    csms.transport.send(b"{ broken")
    await clock.sleep(1.0)
    assert [way for way, _ in log] == [Way.OUT, Way.IN, Way.OUT]
    assert [frame for way, frame in log if way is Way.OUT] == csms.received
    assert log[1] == (Way.IN, b"{ broken")
    call.cancel()


def test_a_frame_log_or_an_observer_that_fails_does_no_harm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(ConnectionObserver):
        def on_fault(self, fault: Any) -> None:
            raise KeyError

        def on_deviations(self, action: str, deviations: Any) -> None:
            raise KeyError

    def failing_log(way: Way, frame: bytes) -> None:
        raise KeyError

    async def scenario(clock: VirtualClock) -> None:
        station, csms, _ = station_with_raw_csms(clock, frame_log=failing_log, observer=Failing())
        csms.transport.send(b"{ broken")
        await clock.sleep(1.0)
        assert len(csms.received) == 1
        assert station.closed is None

    virtual(scenario)()
    assert "the message log failed" in caplog.text
    assert "the observer failed" in caplog.text


@virtual
async def test_a_tolerant_end_reports_what_it_let_pass(clock: VirtualClock) -> None:
    pair = Pair(clock, csms={"Heartbeat": answer_heartbeat}, tolerant_csms=True)
    await pair.station.call_raw("Heartbeat", b'{"extra":1}')
    ((action, (deviation,)),) = pair.csms_notes.deviations
    assert action == "Heartbeat"
    assert deviation.pointer == "/extra"
    assert pair.csms_notes.faults == []
