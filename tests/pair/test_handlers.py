"""Handlers at work in virtual time: answers, failures, time limits, what follows, SEND."""

import asyncio
import logging
from typing import Any

import pytest

from ocpp_fast.connection import ConnectionSettings
from ocpp_fast.errors import (
    CallErrorReceived,
    CallTimedOut,
    ConnectionLost,
    ErrorCode,
    RequestRefused,
)
from ocpp_fast.exchange import FaultKind
from ocpp_fast.messages import Json, v21
from ocpp_fast.router import Reply
from ocpp_fast.testing import VirtualClock
from pair.pairing import (
    HEARTBEAT,
    HEARTBEAT_RESPONSE,
    RESET,
    RESET_RESPONSE,
    Pair,
    answer_heartbeat,
    virtual,
)

STREAM = v21.NotifyPeriodicEventStream(
    id=1,
    pending=0,
    basetime=HEARTBEAT_RESPONSE.current_time,
    data=[v21.StreamDataElementType(t=0.0, v="230.4")],
)


# --- handlers --------------------------------------------------------------------------------


@virtual
async def test_a_coroutine_handler_may_wait_and_even_call_back(clock: VirtualClock) -> None:
    async def handle_reset(request: v21.ResetRequest) -> v21.ResetResponse:
        await clock.sleep(3.0)
        await pair.station.call(HEARTBEAT)
        return RESET_RESPONSE

    pair = Pair(clock, station={"Reset": handle_reset}, csms={"Heartbeat": answer_heartbeat})
    assert await pair.csms.call(RESET) == RESET_RESPONSE
    assert clock.elapsed_s == 3.0


@virtual
async def test_a_slow_handler_does_not_hold_up_other_requests(clock: VirtualClock) -> None:
    async def slow(request: v21.ResetRequest) -> v21.ResetResponse:
        await clock.sleep(20.0)
        return RESET_RESPONSE

    def cleared(request: v21.ClearCacheRequest) -> v21.ClearCacheResponse:
        return v21.ClearCacheResponse(status=v21.ClearCacheStatusEnumType.ACCEPTED)

    pair = Pair(clock, station={"Reset": slow, "ClearCache": cleared})
    with pytest.raises(CallTimedOut):
        await pair.csms.call(RESET, timeout_s=5.0)
    await pair.csms.call(v21.ClearCacheRequest(), timeout_s=1.0)
    await clock.sleep(30.0)
    assert pair.csms_notes.faults == [FaultKind.LATE_REPLY]


@virtual
async def test_what_a_handler_refuses_reaches_the_caller(clock: VirtualClock) -> None:
    def refuse(request: v21.HeartbeatRequest) -> v21.HeartbeatResponse:
        raise RequestRefused(ErrorCode.SECURITY_ERROR, "not accepted yet", Json({"a": 1}))

    pair = Pair(clock, csms={"Heartbeat": refuse})
    with pytest.raises(CallErrorReceived) as caught:
        await pair.station.call(HEARTBEAT)
    assert caught.value.code == "SecurityError"
    assert caught.value.description == "not accepted yet"
    assert caught.value.details == Json({"a": 1})


@virtual
async def test_details_that_cannot_be_sent_are_left_out_of_a_refusal(clock: VirtualClock) -> None:
    def refuse(request: v21.HeartbeatRequest) -> v21.HeartbeatResponse:
        raise RequestRefused(ErrorCode.SECURITY_ERROR, "not yet", Json("no object"))

    pair = Pair(clock, csms={"Heartbeat": refuse})
    with pytest.raises(CallErrorReceived, match="SecurityError: not yet"):
        await pair.station.call(HEARTBEAT)


@pytest.mark.parametrize("action", ["Heartbeat", "Reset"])
def test_a_request_without_handler_is_not_supported(action: str) -> None:
    async def scenario(clock: VirtualClock) -> None:
        pair = Pair(clock)
        caller, request = (pair.station, HEARTBEAT) if action == "Heartbeat" else (pair.csms, RESET)
        with pytest.raises(CallErrorReceived, match="NotSupported"):
            await caller.call(request)

    virtual(scenario)()


async def fails(request: Any) -> Any:
    raise KeyError("a bug in the handler")


async def fails_later(request: Any) -> Any:
    await asyncio.get_running_loop().create_task(fails(request))


async def cancels_itself(request: Any) -> Any:
    raise asyncio.CancelledError


def fails_at_once(request: Any) -> Any:
    raise KeyError("a bug in the handler")


HANDLERS_THAT_FAIL = {
    "raises at once": fails_at_once,
    "raises in a coroutine": fails,
    "raises after waiting": fails_later,
    "is cancelled": cancels_itself,
    "gives nothing": lambda request: None,
    "gives something else": lambda request: RESET_RESPONSE,
    "gives no message": lambda request: {"currentTime": "2026-01-01T00:00:00Z"},
}


@pytest.mark.parametrize("handler", HANDLERS_THAT_FAIL.values(), ids=HANDLERS_THAT_FAIL.keys())
def test_a_handler_that_fails_is_answered_for_and_the_link_lives_on(
    handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(clock: VirtualClock) -> None:
        pair = Pair(
            clock,
            csms={
                "Heartbeat": handler,
                "StatusNotification": lambda request: v21.StatusNotificationResponse(),
            },
        )
        with pytest.raises(CallErrorReceived, match="InternalError") as caught:
            await pair.station.call(HEARTBEAT)
        assert "bug in the handler" not in caught.value.description
        await pair.station.call(
            v21.StatusNotificationRequest(
                timestamp=HEARTBEAT_RESPONSE.current_time,
                connector_status=v21.ConnectorStatusEnumType.AVAILABLE,
                evse_id=1,
                connector_id=1,
            )
        )

    virtual(scenario)()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "Heartbeat" in caplog.text


@virtual
async def test_a_handler_that_takes_too_long_is_answered_for_and_cancelled(
    clock: VirtualClock,
) -> None:
    cancelled: list[float] = []

    async def hang(request: v21.HeartbeatRequest) -> v21.HeartbeatResponse:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(clock.elapsed_s)
            raise
        raise AssertionError

    settings = ConnectionSettings(handler_timeout_s=5.0)
    pair = Pair(clock, csms={"Heartbeat": hang}, settings=settings)
    with pytest.raises(CallErrorReceived, match="InternalError: the handler took too long"):
        await pair.station.call(HEARTBEAT)
    await clock.sleep(0.0)
    assert cancelled == [5.0]


@virtual
async def test_a_handler_that_will_not_be_cancelled_cannot_answer_twice(
    clock: VirtualClock,
) -> None:
    acted: list[str] = []
    answers: list[bytes] = []

    async def stubborn(request: v21.HeartbeatRequest) -> Reply:
        try:
            await clock.sleep(100.0)
        except asyncio.CancelledError:
            await clock.sleep(1.0)
        return Reply(HEARTBEAT_RESPONSE, after)

    async def after() -> None:
        acted.append("after")

    settings = ConnectionSettings(handler_timeout_s=5.0)
    pair = Pair(clock, csms={"Heartbeat": stubborn}, settings=settings)
    pair.link.to_left.script = lambda frame: answers.append(frame) or (frame,)
    with pytest.raises(CallErrorReceived, match="InternalError"):
        await pair.station.call(HEARTBEAT)
    await clock.sleep(10.0)
    assert len(answers) == 1
    assert acted == []


@virtual
async def test_what_follows_an_answer_starts_after_the_answer_was_sent(
    clock: VirtualClock,
) -> None:
    order: list[str] = []

    async def after() -> None:
        order.append("after")
        await pair.station.call(HEARTBEAT)
        order.append("done")

    def reset(request: v21.ResetRequest) -> Reply:
        return Reply(RESET_RESPONSE, after)

    pair = Pair(clock, station={"Reset": reset}, csms={"Heartbeat": answer_heartbeat})
    pair.link.to_right.script = lambda frame: order.append(frame[:2].decode()) or (frame,)
    await pair.csms.call(RESET)
    await clock.sleep(1.0)
    assert order == ["[3", "after", "[2", "done"]


@virtual
async def test_what_follows_an_answer_does_not_start_without_a_link(clock: VirtualClock) -> None:
    acted: list[str] = []

    async def after() -> None:
        acted.append("after")

    async def reset(request: v21.ResetRequest) -> Reply:
        await clock.sleep(1.0)
        return Reply(RESET_RESPONSE, after)

    pair = Pair(clock, station={"Reset": reset})
    call = pair.task(pair.csms.call(RESET))
    await clock.sleep(0.5)
    pair.link.cut()
    await clock.sleep(10.0)
    assert isinstance(call.exception(), ConnectionLost)
    assert acted == []


def test_what_follows_an_answer_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    async def after() -> None:
        raise KeyError("a bug after the answer")

    async def scenario(clock: VirtualClock) -> None:
        pair = Pair(clock, station={"Reset": lambda request: Reply(RESET_RESPONSE, after)})
        assert await pair.csms.call(RESET) == RESET_RESPONSE
        assert await pair.csms.call(RESET) == RESET_RESPONSE

    virtual(scenario)()
    assert "what follows the answer to Reset failed" in caplog.text


@virtual
async def test_a_request_may_be_repeated_with_its_id_once_it_was_answered(
    clock: VirtualClock,
) -> None:
    pair = Pair(clock, csms={"Heartbeat": answer_heartbeat})
    for _ in range(2):
        await pair.station.call_raw("Heartbeat", b"{}", message_id="same")
    assert pair.csms_notes.faults == []


@virtual
async def test_a_request_is_not_handled_twice_at_once(clock: VirtualClock) -> None:
    handled: list[float] = []

    async def slow(request: v21.HeartbeatRequest) -> v21.HeartbeatResponse:
        handled.append(clock.elapsed_s)
        await clock.sleep(2.0)
        return HEARTBEAT_RESPONSE

    pair = Pair(clock, csms={"Heartbeat": slow})
    pair.link.to_right.script = lambda frame: (frame, frame)
    with pytest.raises(CallErrorReceived, match="RpcFrameworkError"):
        await pair.station.call(HEARTBEAT)
    await clock.sleep(5.0)
    assert len(handled) == 1
    assert pair.csms_notes.faults == [FaultKind.DUPLICATE_REQUEST]


# --- SEND ------------------------------------------------------------------------------------


@virtual
async def test_a_send_overtakes_a_call_that_waits_for_its_answer(clock: VirtualClock) -> None:
    received: list[v21.NotifyPeriodicEventStream] = []

    async def slow(request: v21.HeartbeatRequest) -> v21.HeartbeatResponse:
        await clock.sleep(5.0)
        return HEARTBEAT_RESPONSE

    def stream(message: v21.NotifyPeriodicEventStream) -> None:
        received.append(message)

    pair = Pair(clock, csms={"Heartbeat": slow, "NotifyPeriodicEventStream": stream})
    call = pair.task(pair.station.call(HEARTBEAT))
    await clock.sleep(1.0)
    pair.station.send(STREAM)
    await clock.sleep(1.0)
    assert received == [STREAM]
    assert not call.done()
    assert await call == HEARTBEAT_RESPONSE


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"NotifyPeriodicEventStream": fails_at_once},
        {"NotifyPeriodicEventStream": fails},
        {"NotifyPeriodicEventStream": cancels_itself},
        {"NotifyPeriodicEventStream": lambda message: HEARTBEAT_RESPONSE},
    ],
)
def test_a_send_is_never_answered(table: dict[str, Any]) -> None:
    # FR.07
    async def scenario(clock: VirtualClock) -> None:
        pair = Pair(clock, csms=table)
        answers: list[bytes] = []
        pair.link.to_left.script = lambda frame: answers.append(frame) or (frame,)
        pair.station.send(STREAM)
        await clock.sleep(60.0)
        assert answers == []
        assert pair.csms.closed is None

    virtual(scenario)()


@virtual
async def test_only_so_many_sends_are_handled_at_once(clock: VirtualClock) -> None:
    started: list[int] = []

    async def hang(message: v21.NotifyPeriodicEventStream) -> None:
        started.append(1)
        await asyncio.Event().wait()

    settings = ConnectionSettings(max_requests_in_progress=2, handler_timeout_s=10.0)
    pair = Pair(clock, csms={"NotifyPeriodicEventStream": hang}, settings=settings)
    for _ in range(3):
        pair.station.send(STREAM)
    await clock.sleep(1.0)
    assert len(started) == 2
    assert pair.csms_notes.faults == [FaultKind.TOO_MANY_REQUESTS]
    assert pair.csms.fault_counts == {FaultKind.TOO_MANY_REQUESTS: 1}
    await clock.sleep(10.0)
    pair.station.send(STREAM)
    await clock.sleep(1.0)
    assert len(started) == 3
