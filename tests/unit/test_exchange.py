"""The RPC rules of Part 4, chapter 4, with no socket, no event loop and no waiting."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ocpp_fast._core import Call, Codec, Send
from ocpp_fast.errors import (
    CallErrorReceived,
    CallTimedOut,
    ConnectionLost,
    ErrorCode,
    QueueFull,
    ReplyInvalid,
    ValidationError,
)
from ocpp_fast.exchange import Exchange, Fault, FaultKind, OutgoingCall
from ocpp_fast.messages import Json, v21, v201

VERSIONS = ["2.0.1", "2.1"]
TIMEOUT_S = 30.0
TIME = "2026-01-01T00:00:00Z"
HEARTBEAT_RESULT = {"currentTime": TIME}


def frame(*elements: Any) -> bytes:
    return json.dumps(elements, separators=(",", ":")).encode()


def answer_in(fault: Any) -> list[Any] | None:
    assert isinstance(fault, Fault)
    return None if fault.answer is None else json.loads(fault.answer)


class Peer:
    """An exchange under test with a shorthand for its time and its calls."""

    def __init__(self, version: str = "2.1", **bounds: int) -> None:
        self.codec = Codec(version)
        self.exchange: Exchange[OutgoingCall] = Exchange(self.codec, **bounds)
        self.module = v21 if version == "2.1" else v201
        self.now = 100.0

    def call(self, message_id: str) -> OutgoingCall:
        request = self.codec.encode_call(message_id, self.module.HeartbeatRequest())
        return OutgoingCall(message_id, "Heartbeat", request, TIMEOUT_S)

    def submit(self, message_id: str) -> OutgoingCall:
        call = self.call(message_id)
        self.exchange.submit(call, self.now)
        return call

    def receive(self, *elements: Any) -> Any:
        return self.exchange.receive(frame(*elements), self.now)

    def heartbeat_response(self) -> Any:
        return self.module.HeartbeatResponse(current_time=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(params=VERSIONS)
def peer(request: pytest.FixtureRequest) -> Peer:
    return Peer(request.param)


@pytest.fixture
def peer201() -> Peer:
    return Peer("2.0.1")


@pytest.fixture
def peer21() -> Peer:
    return Peer("2.1")


# --- one CALL in flight (FR.01, Part 4 section 4.1.1) ----------------------------------------


def test_the_first_call_is_sent_and_the_second_waits(peer: Peer) -> None:
    first, second = peer.call("a"), peer.call("b")
    assert peer.exchange.submit(first, peer.now) == frame(2, "a", "Heartbeat", {})
    assert peer.exchange.submit(second, peer.now) is None
    assert peer.exchange.next_frame(peer.now) is None
    assert peer.exchange.open_call is first


def test_the_waiting_calls_follow_in_order_when_each_before_is_answered(peer: Peer) -> None:
    calls = [peer.submit(message_id) for message_id in "abc"]
    for call, following in zip(calls, [*calls[1:], None], strict=True):
        assert peer.receive(3, call.message_id, HEARTBEAT_RESULT) is call
        sent = peer.exchange.next_frame(peer.now)
        assert sent == (following.frame if following else None)
        assert peer.exchange.open_call is following


def test_a_call_does_not_overtake_one_that_waits_for_the_slot_just_freed(peer: Peer) -> None:
    peer.submit("a")
    waiting = peer.submit("b")
    peer.receive(3, "a", HEARTBEAT_RESULT)
    assert peer.exchange.submit(peer.call("c"), peer.now) is None
    assert peer.exchange.next_frame(peer.now) == waiting.frame


def test_only_so_many_calls_may_wait() -> None:
    peer = Peer(max_waiting=2)
    for message_id in "abc":
        peer.submit(message_id)
    with pytest.raises(QueueFull, match="2 calls are waiting"):
        peer.submit("d")
    assert len(peer.exchange.waiting) == 2


def test_our_open_call_does_not_keep_the_peer_from_calling(peer: Peer) -> None:
    ours = peer.submit("a")
    theirs = peer.receive(2, "a", "Heartbeat", {})
    assert isinstance(theirs, Call)
    assert peer.exchange.answer("a", peer.heartbeat_response()) is not None
    assert peer.exchange.open_call is ours


# --- replies ---------------------------------------------------------------------------------


def test_a_result_ends_the_open_call_with_the_typed_response(peer: Peer) -> None:
    call = peer.submit("a")
    assert peer.receive(3, "a", HEARTBEAT_RESULT) is call
    assert call.reply is not None
    assert call.reply.payload == peer.heartbeat_response()
    assert call.error is None
    assert peer.exchange.open_call is None


@pytest.mark.parametrize("code", ["NotSupported", "MadeUpByTheVendor"])
def test_a_callerror_ends_the_open_call(peer: Peer, code: str) -> None:
    call = peer.submit("a")
    assert peer.receive(4, "a", code, "no such luck", {"why": 1}) is call
    assert isinstance(call.error, CallErrorReceived)
    assert (call.error.code, call.error.description) == (code, "no such luck")
    assert isinstance(call.error.details, Json)
    assert call.error.details.value == {"why": 1}


@pytest.mark.parametrize(
    "reply", [(3, "x", HEARTBEAT_RESULT), (4, "x", "InternalError", "", {})], ids=["3", "4"]
)
def test_a_reply_with_another_id_changes_nothing(peer: Peer, reply: tuple[Any, ...]) -> None:
    call = peer.submit("a")
    fault = peer.receive(*reply)
    assert fault.kind is FaultKind.FOREIGN_REPLY
    assert answer_in(fault) is None
    assert fault.ended is None
    assert peer.exchange.open_call is call


@pytest.mark.parametrize(
    "reply", [(3, "a", HEARTBEAT_RESULT), (4, "a", "InternalError", "", {})], ids=["3", "4"]
)
def test_a_second_reply_is_a_duplicate_and_does_not_touch_the_next_call(
    peer: Peer, reply: tuple[Any, ...]
) -> None:
    peer.submit("a")
    peer.receive(*reply)
    following = peer.submit("b")
    fault = peer.receive(*reply)
    assert fault.kind is FaultKind.DUPLICATE_REPLY
    assert peer.exchange.open_call is following


def test_a_callerror_without_readable_id_ends_no_call(peer: Peer) -> None:
    call = peer.submit("a")
    fault = peer.receive(4, "-1", "RpcFrameworkError", "", {})
    assert fault.kind is FaultKind.FOREIGN_REPLY
    assert peer.exchange.open_call is call


# --- deadlines -------------------------------------------------------------------------------


def test_the_deadline_counts_from_the_moment_a_call_is_sent(peer: Peer) -> None:
    peer.submit("a")
    waiting = peer.submit("b")
    peer.now += 10.0
    peer.receive(3, "a", HEARTBEAT_RESULT)
    peer.exchange.next_frame(peer.now)
    assert waiting.deadline == peer.exchange.deadline == peer.now + TIMEOUT_S


def test_a_call_expires_at_its_deadline_and_not_before(peer: Peer) -> None:
    call = peer.submit("a")
    assert peer.exchange.expire(peer.now + TIMEOUT_S - 0.001) is None
    assert peer.exchange.expire(peer.now + TIMEOUT_S) is call
    assert isinstance(call.error, CallTimedOut)
    assert (call.error.action, call.error.message_id) == ("Heartbeat", "a")
    assert peer.exchange.deadline is None
    assert peer.exchange.expire(peer.now + 1e9) is None


@pytest.mark.parametrize(
    "reply", [(3, "a", HEARTBEAT_RESULT), (4, "a", "InternalError", "", {})], ids=["3", "4"]
)
def test_a_reply_to_an_expired_call_is_late(peer: Peer, reply: tuple[Any, ...]) -> None:
    peer.submit("a")
    peer.now += TIMEOUT_S
    peer.exchange.expire(peer.now)
    following = peer.submit("b")
    fault = peer.receive(*reply)
    assert fault.kind is FaultKind.LATE_REPLY
    assert peer.exchange.open_call is following


@pytest.mark.parametrize(
    "reply",
    [(3, "a", HEARTBEAT_RESULT), (4, "a", "InternalError", "", {}), (3, "a", {"wrong": 1})],
    ids=["3", "4", "invalid"],
)
def test_a_reply_at_the_deadline_is_late_even_if_nobody_asked_expire_before(
    peer: Peer, reply: tuple[Any, ...]
) -> None:
    call = peer.submit("a")
    peer.now += TIMEOUT_S
    fault = peer.receive(*reply)
    assert fault.ended is call
    assert isinstance(call.error, CallTimedOut)
    assert call.reply is None
    assert peer.exchange.open_call is None


def test_the_last_eight_expired_calls_are_remembered(peer: Peer) -> None:
    for number in range(10):
        peer.submit(f"call{number}")
        peer.now += TIMEOUT_S
        peer.exchange.expire(peer.now)
    kinds = [peer.receive(3, f"call{number}", HEARTBEAT_RESULT).kind for number in range(10)]
    assert kinds == [FaultKind.FOREIGN_REPLY] * 2 + [FaultKind.LATE_REPLY] * 8


def test_the_next_call_may_go_when_the_one_before_has_expired(peer: Peer) -> None:
    peer.submit("a")
    waiting = peer.submit("b")
    peer.now += TIMEOUT_S
    peer.exchange.expire(peer.now)
    assert peer.exchange.next_frame(peer.now) == waiting.frame


# --- a caller that does not wait any longer --------------------------------------------------


def test_a_withdrawn_call_that_waited_is_never_sent(peer: Peer) -> None:
    peer.submit("a")
    unwanted, following = peer.submit("b"), peer.submit("c")
    peer.exchange.withdraw(unwanted)
    peer.receive(3, "a", HEARTBEAT_RESULT)
    assert peer.exchange.next_frame(peer.now) == following.frame


def test_a_withdrawn_call_that_is_open_still_blocks_the_next(peer: Peer) -> None:
    unwanted = peer.submit("a")
    peer.submit("b")
    peer.exchange.withdraw(unwanted)
    assert peer.exchange.next_frame(peer.now) is None
    assert peer.receive(3, "a", HEARTBEAT_RESULT) is unwanted
    assert peer.exchange.next_frame(peer.now) is not None


def test_a_call_that_could_not_be_sent_gives_its_turn_to_the_next(peer: Peer) -> None:
    long, following = peer.submit("a"), peer.submit("b")
    peer.exchange.take_back(following)  # it waits, so there is nothing to take back
    peer.exchange.take_back(long)
    assert peer.exchange.next_frame(peer.now) == following.frame
    peer.exchange.take_back(long)
    assert peer.exchange.open_call is following


def test_withdrawing_what_has_ended_is_harmless(peer: Peer) -> None:
    call = peer.submit("a")
    peer.receive(3, "a", HEARTBEAT_RESULT)
    peer.exchange.withdraw(call)
    assert peer.exchange.open_call is None


# --- the end of the connection ---------------------------------------------------------------


def test_closing_ends_every_call_in_order_and_refuses_new_ones(peer: Peer) -> None:
    calls = [peer.submit(message_id) for message_id in "abc"]
    error = ConnectionLost(1006, "gone")
    assert peer.exchange.close(error) == calls
    assert [str(call.error) for call in calls] == [str(error)] * 3
    assert len({id(call.error) for call in calls}) == 3
    assert peer.exchange.close(error) == []
    with pytest.raises(ConnectionLost):
        peer.submit("d")


def test_a_request_that_was_being_handled_is_not_answered_after_the_end(peer: Peer) -> None:
    peer.receive(2, "a", "Heartbeat", {})
    peer.exchange.close(ConnectionLost(1006, "gone"))
    assert peer.exchange.answer("a", peer.heartbeat_response()) is None
    assert peer.exchange.refuse("a", ErrorCode.INTERNAL_ERROR, "") is None


# --- the peer's requests ---------------------------------------------------------------------


def test_a_request_is_handed_on_and_answered_once(peer: Peer) -> None:
    call = peer.receive(2, "x", "Heartbeat", {})
    assert isinstance(call, Call)
    assert call.payload == peer.module.HeartbeatRequest()
    answer = peer.exchange.answer("x", peer.heartbeat_response())
    assert answer is not None
    assert json.loads(answer) == [3, "x", {"currentTime": TIME}]
    assert peer.exchange.answer("x", peer.heartbeat_response()) is None


def test_a_request_whose_answer_could_not_be_sent_waits_for_another(peer: Peer) -> None:
    peer.receive(2, "a", "Heartbeat", {})
    assert peer.exchange.answer("a", peer.heartbeat_response()) is not None
    peer.exchange.take_back_answer("a")
    assert peer.exchange.refuse("a", ErrorCode.INTERNAL_ERROR, "too long") is not None
    assert peer.exchange.refuse("a", ErrorCode.INTERNAL_ERROR, "again") is None
    peer.exchange.close(ConnectionLost(1006, ""))
    peer.exchange.take_back_answer("a")
    assert not peer.exchange.requests_in_progress


def test_a_refused_request_gets_a_callerror_once(peer: Peer) -> None:
    peer.receive(2, "x", "Heartbeat", {})
    answer = peer.exchange.refuse("x", ErrorCode.SECURITY_ERROR, "not yet", Json({"a": 1}))
    assert answer is not None
    assert json.loads(answer) == [4, "x", "SecurityError", "not yet", {"a": 1}]
    assert peer.exchange.refuse("x", ErrorCode.SECURITY_ERROR, "not yet") is None


def test_the_description_of_a_callerror_is_cut_to_255_characters(peer: Peer) -> None:
    peer.receive(2, "x", "Heartbeat", {})
    answer = peer.exchange.refuse("x", ErrorCode.GENERIC_ERROR, "ü" * 300)
    assert answer is not None
    assert json.loads(answer)[3] == "ü" * 255


def test_a_response_that_cannot_be_sent_leaves_the_request_to_be_refused(peer: Peer) -> None:
    other = v201 if peer.module is v21 else v21
    peer.receive(2, "x", "Heartbeat", {})
    with pytest.raises((TypeError, ValidationError)):
        peer.exchange.answer(
            "x", other.HeartbeatResponse(current_time=datetime(2026, 1, 1, tzinfo=UTC))
        )
    assert peer.exchange.refuse("x", ErrorCode.INTERNAL_ERROR, "") is not None


def test_details_that_cannot_be_sent_leave_the_request_to_be_refused(peer: Peer) -> None:
    peer.receive(2, "x", "Heartbeat", {})
    with pytest.raises(ValidationError):
        peer.exchange.refuse("x", ErrorCode.GENERIC_ERROR, "", Json([1, 2]))
    assert peer.exchange.refuse("x", ErrorCode.GENERIC_ERROR, "") is not None


def test_a_message_id_that_is_being_handled_is_refused(peer: Peer) -> None:
    # Part 4, section 4.2.3
    peer.receive(2, "x", "Heartbeat", {})
    fault = peer.receive(2, "x", "Heartbeat", {})
    assert fault.kind is FaultKind.DUPLICATE_REQUEST
    answer = answer_in(fault)
    assert answer is not None
    assert answer[:3] == [4, "x", "RpcFrameworkError"]
    assert peer.exchange.requests_in_progress == {"x"}


def test_a_message_id_may_return_once_it_has_been_answered(peer: Peer) -> None:
    peer.receive(2, "x", "Heartbeat", {})
    peer.exchange.answer("x", peer.heartbeat_response())
    assert isinstance(peer.receive(2, "x", "Heartbeat", {}), Call)


def test_only_so_many_requests_may_be_in_progress() -> None:
    peer = Peer(max_requests=2)
    peer.receive(2, "x", "Heartbeat", {})
    peer.receive(2, "y", "Heartbeat", {})
    fault = peer.receive(2, "z", "Heartbeat", {})
    assert fault.kind is FaultKind.TOO_MANY_REQUESTS
    answer = answer_in(fault)
    assert answer is not None
    assert answer[:3] == [4, "z", "GenericError"]
    peer.exchange.answer("x", peer.heartbeat_response())
    assert isinstance(peer.receive(2, "z", "Heartbeat", {}), Call)


def test_a_send_is_handed_on_even_while_a_call_is_open(peer21: Peer) -> None:
    peer21.submit("a")
    stream = {"id": 1, "pending": 0, "basetime": TIME, "data": [{"t": 0, "v": "230.4"}]}
    send = peer21.receive(6, "s", "NotifyPeriodicEventStream", stream)
    assert isinstance(send, Send)
    assert peer21.exchange.requests_in_progress == frozenset()


# --- who is told what about an invalid frame -------------------------------------------------

BROKEN = {
    "no JSON": b"{",
    "no UTF-8": b'[2,"\xff","Heartbeat",{}]',
    "no array": b"{}",
    "empty": b"",
    "no type": b"[]",
    "text for a type": b'["2","a","Heartbeat",{}]',
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_a_frame_that_cannot_be_read_is_answered_with_a_callerror(peer: Peer, data: bytes) -> None:
    call = peer.submit("b")
    fault = peer.exchange.receive(data, peer.now)
    answer = answer_in(fault)
    assert answer is not None
    assert answer[0] == 4
    assert answer[1] in {"-1", "a"}
    assert answer[2] == "RpcFrameworkError"
    assert peer.exchange.open_call is call


@pytest.mark.parametrize(
    ("elements", "message_id", "code"),
    [
        ((2, "a", "Frobnicate", {}), "a", "NotImplemented"),
        ((2, "a", "Heartbeat", {"x": 1}), "a", "FormatViolation"),
        ((2, "a", "Heartbeat", []), "a", "FormatViolation"),
        ((2, "a", "BootNotification", {}), "a", "OccurrenceConstraintViolation"),
        ((2, "a" * 60, "Heartbeat", {}), "-1", "RpcFrameworkError"),
        ((2, 7, "Heartbeat", {}), "-1", "RpcFrameworkError"),
    ],
)
def test_an_invalid_request_is_answered_with_a_callerror(
    peer: Peer, elements: tuple[Any, ...], message_id: str, code: str
) -> None:
    fault = peer.receive(*elements)
    assert fault.kind is FaultKind.INVALID_FRAME
    answer = answer_in(fault)
    assert answer is not None
    assert answer[:3] == [4, message_id, code]
    assert peer.exchange.requests_in_progress == frozenset()


def test_the_answer_to_an_invalid_request_tells_the_place(peer: Peer) -> None:
    answer = answer_in(peer.receive(2, "a", "Heartbeat", {"x": 1}))
    assert answer is not None
    assert answer[3].startswith("/x: ")


def test_an_invalid_result_ends_its_call_and_2_1_tells_the_peer(peer21: Peer) -> None:
    # FR.06
    call = peer21.submit("a")
    fault = peer21.receive(3, "a", {"currentTime": "yesterday"})
    answer = answer_in(fault)
    assert answer is not None
    assert answer[:3] == [5, "a", "PropertyConstraintViolation"]
    assert fault.ended is call
    assert isinstance(call.error, ReplyInvalid)
    assert call.error.pointer == "/currentTime"


def test_an_invalid_result_ends_its_call_and_2_0_1_tells_nobody(peer201: Peer) -> None:
    call = peer201.submit("a")
    fault = peer201.receive(3, "a", {"currentTime": "yesterday"})
    assert answer_in(fault) is None
    assert fault.ended is call
    assert isinstance(call.error, ReplyInvalid)


def test_an_invalid_callerror_ends_its_call_and_is_never_answered(peer: Peer) -> None:
    call = peer.submit("a")
    fault = peer.receive(4, "a")
    assert answer_in(fault) is None
    assert fault.ended is call
    assert isinstance(call.error, ReplyInvalid)


@pytest.mark.parametrize("elements", [(3, "x"), (4, "x"), (3, 7, {})])
def test_an_invalid_reply_with_another_id_ends_no_call(
    peer: Peer, elements: tuple[Any, ...]
) -> None:
    call = peer.submit("a")
    assert peer.receive(*elements).ended is None
    assert peer.exchange.open_call is call


def test_a_callresulterror_is_reported_and_never_answered(peer21: Peer) -> None:
    fault = peer21.receive(5, "a", "FormatViolation", "your answer", {})
    assert fault.kind is FaultKind.RESULT_REFUSED
    assert answer_in(fault) is None


@pytest.mark.parametrize(
    "elements", [(5, "a"), (6, "a", "NotifyPeriodicEventStream", {}), (6, "a", "Nope", {})]
)
def test_an_invalid_callresulterror_or_send_is_never_answered(
    peer21: Peer, elements: tuple[Any, ...]
) -> None:
    fault = peer21.receive(*elements)
    assert fault.kind is FaultKind.INVALID_FRAME
    assert answer_in(fault) is None


@pytest.mark.parametrize("message_type", [0, 1, 7, 99, -3])
def test_an_unknown_message_type_is_ignored_in_2_1(peer21: Peer, message_type: int) -> None:
    # Part 4, sections 4.1.3 and 4.4
    fault = peer21.receive(message_type, "a", "Heartbeat", {})
    assert fault.kind is FaultKind.UNKNOWN_TYPE
    assert answer_in(fault) is None


@pytest.mark.parametrize("message_type", [0, 1, 5, 6, 7, 99])
def test_an_unknown_message_type_is_answered_in_2_0_1(peer201: Peer, message_type: int) -> None:
    # Part 4 of 2.0.1, section 4.4
    fault = peer201.receive(message_type, "a", "Heartbeat", {})
    assert fault.kind is FaultKind.UNKNOWN_TYPE
    answer = answer_in(fault)
    assert answer is not None
    assert answer[:3] == [4, "a", "MessageTypeNotSupported"]


def test_a_binary_frame_is_answered_like_one_that_cannot_be_read(peer: Peer) -> None:
    answer = answer_in(peer.exchange.receive_binary())
    assert answer is not None
    assert answer[:3] == [4, "-1", "RpcFrameworkError"]


def test_no_answer_to_a_fault_makes_a_correct_peer_answer_again(peer: Peer) -> None:
    """Two exchanges that tell each other about faults fall silent at once."""
    other = Peer(peer.codec.version)
    frames = [
        *BROKEN.values(),
        frame(2, "a", "Frobnicate", {}),
        frame(3, "a"),
        frame(3, "a", {}),
        frame(4, "a"),
        frame(5, "a"),
        frame(7, "a"),
    ]
    for data in frames:
        fault = peer.exchange.receive(data, peer.now)
        if isinstance(fault, Fault) and fault.answer is not None:
            assert answer_in(other.exchange.receive(fault.answer, other.now)) is None


def test_faults_are_counted_by_kind(peer: Peer) -> None:
    peer.receive(3, "x", {})
    peer.receive(3, "y", {})
    peer.receive(2, "z", "Frobnicate", {})
    assert peer.exchange.fault_counts == {
        FaultKind.FOREIGN_REPLY: 2,
        FaultKind.INVALID_FRAME: 1,
    }
