"""Random interleavings of calls, replies, faults, deadlines and ends (Part 4, section 4.1.1).

Whatever the peer does: at most one CALL of ours is in flight, no reply ends another's call, no
reply counts after its deadline, and no call hangs.
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ocpp_fast._core import Call, Codec
from ocpp_fast.connection import ConnectionSettings
from ocpp_fast.errors import (
    CallErrorReceived,
    CallTimedOut,
    ConnectionLost,
    ErrorCode,
    QueueFull,
    ReplyInvalid,
)
from ocpp_fast.exchange import Exchange, Fault, OutgoingCall
from ocpp_fast.messages import v21
from ocpp_fast.testing import VirtualClock, run_virtual
from pair.pairing import RawCsms, station_with_raw_csms

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
CODEC = Codec("2.1")
MAX_WAITING = 4
MAX_REQUESTS = 3


class Noted(OutgoingCall):
    """A call that knows its number; the true answer to call n is the time n seconds past EPOCH."""

    __slots__ = ("ended_at", "number", "sent_at")

    def __init__(self, number: int, timeout_s: float) -> None:
        message_id = f"call{number}"
        frame = CODEC.encode_call(message_id, v21.HeartbeatRequest())
        super().__init__(message_id, "Heartbeat", frame, timeout_s)
        self.number = number
        self.sent_at: float | None = None
        self.ended_at: float | None = None


def true_answer(number: int) -> bytes:
    time = EPOCH + timedelta(seconds=number)
    return json.dumps([3, f"call{number}", {"currentTime": time.isoformat()}]).encode()


REPLIES = {
    "result": true_answer,
    "error": lambda number: json.dumps([4, f"call{number}", "InternalError", "", {}]).encode(),
    "invalid result": lambda number: json.dumps([3, f"call{number}", {}]).encode(),
    "invalid error": lambda number: json.dumps([4, f"call{number}"]).encode(),
}

NOISE = [
    b"",
    b"[3]",
    b'[3,"nobody",{}]',
    b'[4,"-1","RpcFrameworkError","",{}]',
    b'[5,"call1","FormatViolation","",{}]',
    b'[7,"call1"]',
    b'[2,"call1","Frobnicate",{}]',
    b"\xff",
]


class ExchangeMachine(RuleBasedStateMachine):
    """Drives one exchange and keeps account of every call."""

    def __init__(self) -> None:
        super().__init__()
        self.exchange: Exchange[Noted] = Exchange(
            CODEC, max_waiting=MAX_WAITING, max_requests=MAX_REQUESTS
        )
        self.now = 0.0
        self.calls: list[Noted] = []
        self.withdrawn: set[int] = set()
        self.refused: set[int] = set()
        self.requests: set[str] = set()

    # What happens

    @rule(timeout_s=st.sampled_from([1.0, 5.0, 30.0]))
    def submit(self, timeout_s: float) -> None:
        call = Noted(len(self.calls), timeout_s)
        self.calls.append(call)
        try:
            self.sent(call, self.exchange.submit(call, self.now))
        except QueueFull:
            assert len(self.exchange.waiting) == MAX_WAITING
            self.refused.add(call.number)
        except ConnectionLost:
            assert self.exchange.closed is not None
            self.refused.add(call.number)

    # `on_closed` comes last: nothing is received after it.
    @precondition(lambda self: self.calls and self.exchange.closed is None)
    @rule(kind=st.sampled_from(sorted(REPLIES)), data=st.data())
    def reply(self, kind: str, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.calls)), label="which call")
        before = self.exchange.open_call
        received = self.exchange.receive(REPLIES[kind](number), self.now)
        ended = received.ended if isinstance(received, Fault) else received
        if ended is None:
            assert self.exchange.open_call is before
        else:
            assert isinstance(ended, Noted)
            assert ended is before
            self.end(ended, kind if ended.number == number else None)

    @precondition(lambda self: self.exchange.closed is None)
    @rule(frame=st.sampled_from(NOISE))
    def noise(self, frame: bytes) -> None:
        before = self.exchange.open_call
        received = self.exchange.receive(frame, self.now)
        assert isinstance(received, Fault)
        if received.ended is not None:
            assert received.ended is before
            self.end(received.ended, None)

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.5, 29.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def timer_fires(self) -> None:
        expired = self.exchange.expire(self.now)
        if expired is not None:
            self.end(expired, None)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.calls), label="which call")
        if call in self.exchange.waiting:
            self.withdrawn.add(call.number)
        self.exchange.withdraw(call)

    @precondition(lambda self: self.exchange.closed is None)
    @rule(message_id=st.sampled_from("pqrs"))
    def peer_calls(self, message_id: str) -> None:
        received = self.exchange.receive(
            json.dumps([2, message_id, "Heartbeat", {}]).encode(), self.now
        )
        taken = message_id not in self.requests and len(self.requests) < MAX_REQUESTS
        assert isinstance(received, Call) is taken
        if taken:
            self.requests.add(message_id)
        else:
            assert isinstance(received, Fault)
            assert received.answer is not None

    @rule(message_id=st.sampled_from("pqrs"), refuse=st.booleans())
    def we_answer(self, message_id: str, refuse: bool) -> None:
        if refuse:
            frame = self.exchange.refuse(message_id, ErrorCode.GENERIC_ERROR, "")
        else:
            frame = self.exchange.answer(message_id, v21.HeartbeatResponse(current_time=EPOCH))
        assert (frame is not None) is (message_id in self.requests)
        self.requests.discard(message_id)

    @rule()
    def close(self) -> None:
        for call in self.exchange.close(ConnectionLost(1006, "gone")):
            self.end(call, "close")
        self.requests.clear()
        assert self.exchange.open_call is None
        assert not self.exchange.waiting

    # What must hold

    def sent(self, call: Noted | None, frame: bytes | None) -> None:
        if frame is None:
            return
        assert call is not None
        in_flight = [c for c in self.calls if c.sent_at is not None and c.ended_at is None]
        assert in_flight == [], "a second CALL in flight"
        assert frame == call.frame
        assert call.number not in self.withdrawn
        call.sent_at = self.now

    def end(self, call: Noted, by: str | None) -> None:
        """`by` is the reply that carried the call's own id; None for anything else."""
        assert call.ended_at is None, "a call ended twice"
        call.ended_at = self.now
        in_time = call.sent_at is not None and self.now < call.sent_at + call.timeout_s
        if call.reply is not None:
            assert by == "result"
            assert in_time
            assert isinstance(call.reply.payload, v21.HeartbeatResponse)
            assert call.reply.payload.current_time == EPOCH + timedelta(seconds=call.number)
        elif isinstance(call.error, CallErrorReceived):
            assert (by, in_time) == ("error", True)
        elif isinstance(call.error, ReplyInvalid):
            assert by in {"invalid result", "invalid error"}
            assert in_time
        elif isinstance(call.error, CallTimedOut):
            assert not in_time
        else:
            assert isinstance(call.error, ConnectionLost)
            assert by == "close"
        if self.exchange.closed is None:
            frame = self.exchange.next_frame(self.now)
            self.sent(self.exchange.open_call, frame)

    @invariant()
    def the_open_call_is_the_one_that_was_sent_and_has_not_ended(self) -> None:
        in_flight = [c for c in self.calls if c.sent_at is not None and c.ended_at is None]
        assert in_flight == [c for c in (self.exchange.open_call,) if c is not None]

    @invariant()
    def nobody_waits_while_nothing_is_in_flight(self) -> None:
        assert self.exchange.open_call is not None or not self.exchange.waiting

    @invariant()
    def every_call_is_accounted_for(self) -> None:
        for call in self.calls:
            open_or_waiting = call is self.exchange.open_call or call in self.exchange.waiting
            gone = call.number in self.refused | self.withdrawn or call.ended_at is not None
            assert open_or_waiting is not gone

    def teardown(self) -> None:
        """Nothing hangs: timers alone bring every call to its end within its bound."""
        unfinished = 1 + len(self.exchange.waiting)
        for _ in range(unfinished):
            if self.exchange.deadline is not None:
                assert self.exchange.deadline <= self.now + 30.0
                self.now = max(self.now, self.exchange.deadline)
                self.timer_fires()
        assert self.exchange.open_call is None
        assert not self.exchange.waiting


TestExchange = ExchangeMachine.TestCase
TestExchange.settings = settings(max_examples=300, stateful_step_count=60)


# --- the same through a whole connection, with timers, futures and a link --------------------


class Plan:
    """What the peer does with each CALL: after how long, and which frames it sends."""

    def __init__(self, delay_s: float, kinds: list[str], of_call: int) -> None:
        self.delay_s = delay_s
        self.kinds = kinds
        self.of_call = of_call
        """0 answers this CALL, 1 the one before, and so on."""


def plans() -> st.SearchStrategy[Plan]:
    return st.builds(
        Plan,
        delay_s=st.sampled_from([0.0, 0.5, 0.999, 1.0, 1.5, 3.0, 100.0]),
        kinds=st.lists(st.sampled_from(["result", "error", "invalid", "foreign"]), max_size=3),
        of_call=st.integers(0, 2),
    )


class UnreliableCsms(RawCsms):
    """Answers by plan; the result for a call repeats what that call asked."""

    def follow(self, plan: list[Plan], clock: VirtualClock) -> None:
        self.plan, self.clock = plan, clock
        self.seen: list[tuple[str, Any]] = []
        self.in_flight: list[float] = []

    def on_frame(self, frame: bytes) -> None:
        elements = json.loads(frame)
        if elements[0] != 2:
            return
        self.seen.append((elements[1], elements[3]["data"]))
        self.in_flight.append(self.clock.monotonic())
        plan = self.plan[(len(self.seen) - 1) % len(self.plan)]
        target = self.seen[max(0, len(self.seen) - 1 - plan.of_call)]
        self.clock.call_later(plan.delay_s, lambda: self._send_all(plan, *target))

    def _send_all(self, plan: Plan, message_id: str, asked: Any) -> None:
        frames: dict[str, list[Any]] = {
            "result": [3, message_id, {"status": "Accepted", "data": asked}],
            "error": [4, message_id, "GenericError", json.dumps(asked), {}],
            "invalid": [3, message_id, {"status": "Nonsense"}],
            "foreign": [3, "nobody", {"status": "Accepted", "data": asked}],
        }
        for kind in plan.kinds:
            self.transport.send(json.dumps(frames[kind]).encode())


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plan=st.lists(plans(), min_size=1, max_size=6),
    timeouts_s=st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=1, max_size=8),
    cut_after_s=st.none() | st.floats(0.0, 6.0),
    cancel=st.sets(st.integers(0, 7)),
)
def test_every_call_gets_its_own_answer_or_an_error_in_time(
    plan: list[Plan], timeouts_s: list[float], cut_after_s: float | None, cancel: set[int]
) -> None:
    async def scenario(clock: VirtualClock) -> None:
        station, _, link = station_with_raw_csms(clock, ConnectionSettings(max_waiting_calls=7))
        csms = UnreliableCsms(link.right)
        csms.follow(plan, clock)
        link.right.listener = csms

        async def ask(number: int, timeout_s: float) -> None:
            request = v21.DataTransferRequest(vendor_id="test", data=number)
            try:
                response = await station.call(request, timeout_s=timeout_s)
            except CallErrorReceived as error:
                own = error.description == str(number)
            except (CallTimedOut, ConnectionLost, ReplyInvalid):
                return
            else:
                assert isinstance(response, v21.DataTransferResponse)
                own = response.data is not None and response.data.value == number
            assert own, "answered with the reply to another call"

        tasks = [asyncio.ensure_future(ask(*item)) for item in enumerate(timeouts_s)]
        if cut_after_s is not None:
            clock.call_later(cut_after_s, link.cut)
        await clock.sleep(0.25)
        for number in cancel:
            if number < len(tasks):
                tasks[number].cancel()
        await asyncio.wait(tasks)
        # No one was kept longer than all before it and itself may take.
        assert clock.elapsed_s <= 0.25 + sum(timeouts_s) + 0.1
        for task in tasks:
            if not task.cancelled():
                task.result()
        await station.close()

    run_virtual(scenario)
