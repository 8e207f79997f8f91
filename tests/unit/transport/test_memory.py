"""The link in memory: order, faults and ends, in virtual time."""

import pytest

from ocpp_fast.errors import ConfigurationError, MessageTooLong
from ocpp_fast.ids import Ids
from ocpp_fast.testing import VirtualClock, run_virtual
from ocpp_fast.transport.base import ClosedBy, CloseReason, Transport
from ocpp_fast.transport.memory import MemoryLink

FRAMES = [f"frame {number}".encode() for number in range(200)]


class End:
    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.frames: list[bytes] = []
        self.closed: CloseReason | None = None

    def on_frame(self, frame: bytes) -> None:
        assert self.closed is None, "a frame after the end"
        self.frames.append(frame)

    def on_binary_frame(self, size_bytes: int) -> None:
        raise AssertionError

    def on_closed(self, reason: CloseReason) -> None:
        assert self.closed is None, "closed twice"
        self.closed = reason


class Link:
    def __init__(self, clock: VirtualClock, seed: int = 1) -> None:
        self.link = MemoryLink(End, End, clock=clock, ids=Ids(seed=seed))
        left, right = self.link.left.listener, self.link.right.listener
        assert isinstance(left, End)
        assert isinstance(right, End)
        self.left, self.right = left, right

    def send_all(self) -> None:
        for frame in FRAMES:
            self.link.left.send(frame)


def arrived(seed: int, **faults: float) -> list[bytes]:
    async def scenario(clock: VirtualClock) -> list[bytes]:
        link = Link(clock, seed)
        for name, value in faults.items():
            setattr(link.link.to_right, name, value)
        link.send_all()
        await clock.sleep(1_000.0)
        return link.right.frames

    return run_virtual(scenario)


def test_without_faults_everything_arrives_in_order() -> None:
    assert arrived(1) == FRAMES


def test_jitter_delays_but_never_reorders() -> None:
    assert arrived(1, delay_s=1.0, jitter_s=5.0) == FRAMES


def test_a_share_of_the_frames_vanishes() -> None:
    frames = arrived(1, drop_rate=0.5)
    assert 60 < len(frames) < 140
    assert frames == [frame for frame in FRAMES if frame in frames]


def test_a_share_of_the_frames_arrives_twice() -> None:
    frames = arrived(1, duplicate_rate=0.5)
    assert sorted(set(frames)) == sorted(FRAMES)
    assert 260 < len(frames) < 340


def test_a_share_of_the_frames_arrives_with_one_byte_changed() -> None:
    frames = arrived(1, corrupt_rate=0.5)
    changed = [(a, b) for a, b in zip(FRAMES, frames, strict=True) if a != b]
    assert 60 < len(changed) < 140
    assert all(sum(x != y for x, y in zip(a, b, strict=True)) == 1 for a, b in changed)


def test_chance_repeats_from_its_seed() -> None:
    faults = {"drop_rate": 0.2, "duplicate_rate": 0.2, "corrupt_rate": 0.2, "jitter_s": 1.0}
    assert arrived(7, **faults) == arrived(7, **faults)
    assert arrived(7, **faults) != arrived(8, **faults)


def test_a_frame_travels_for_its_delay() -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.to_right.delay_s = 2.0
        link.link.left.send(b"x")
        await clock.sleep(1.9)
        assert link.right.frames == []
        await clock.sleep(0.2)
        assert link.right.frames == [b"x"]

    run_virtual(scenario)


def test_a_quick_frame_does_not_push_a_slow_one_before_it() -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.to_right.delay_s = 10.0
        link.link.left.send(b"slow")
        link.link.to_right.delay_s = 0.0
        link.link.left.send(b"quick")
        await clock.sleep(9.9)
        assert link.right.frames == []
        await clock.sleep(0.2)
        assert link.right.frames == [b"slow", b"quick"]

    run_virtual(scenario)


def test_a_script_takes_the_place_of_chance() -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.to_right.script = lambda frame: (frame, b"!") if frame == b"a" else ()
        link.link.left.send(b"a")
        link.link.left.send(b"b")
        await clock.sleep(0.0)
        await clock.sleep(0.0)
        assert link.right.frames == [b"a", b"!"]

    run_virtual(scenario)


def test_a_half_open_link_swallows_everything_and_tells_nobody() -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.freeze()
        link.send_all()
        link.link.right.send(b"x")
        await clock.sleep(3_600.0)
        assert link.left.frames == link.right.frames == []
        assert link.left.closed is link.right.closed is None

    run_virtual(scenario)


def test_cutting_loses_what_is_under_way_and_tells_both() -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.to_right.delay_s = 1.0
        link.send_all()
        link.link.cut()
        link.link.left.send(b"after the end")
        link.link.cut()
        await clock.sleep(10.0)
        reason = CloseReason(1006, "the connection broke", ClosedBy.NETWORK)
        assert link.left.closed == link.right.closed == reason
        assert link.right.frames == []

    run_virtual(scenario)


def test_frames_sent_before_closing_still_arrive_and_none_after() -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.to_right.delay_s = 1.0
        link.link.left.send(b"before")
        link.link.left.close(1001, "bye")
        link.link.left.send(b"after")
        await clock.sleep(5.0)
        assert link.right.frames == [b"before"]
        assert link.right.closed == CloseReason(1001, "bye", ClosedBy.PEER)
        assert link.left.closed == CloseReason(1001, "bye", ClosedBy.LOCAL)

    run_virtual(scenario)


@pytest.mark.parametrize("answered", [True, False])
def test_closing_ends_within_five_seconds(answered: bool) -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.to_left.black_hole = not answered
        link.link.left.close()
        await clock.sleep(4.9)
        assert (link.left.closed is not None) is answered
        await clock.sleep(0.2)
        assert link.left.closed is not None

    run_virtual(scenario)


def test_both_ends_may_close_at_once() -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.left.close(1000, "left")
        link.link.right.close(1000, "right")
        await clock.sleep(1.0)
        assert link.left.closed == CloseReason(1000, "left", ClosedBy.LOCAL)
        assert link.right.closed == CloseReason(1000, "right", ClosedBy.LOCAL)

    run_virtual(scenario)


# --- as a WebSocket would --------------------------------------------------------------------

SILENCE = CloseReason(1006, "no answer to a ping", ClosedBy.NETWORK)
BROKEN = CloseReason(1006, "the connection broke", ClosedBy.NETWORK)


@pytest.mark.parametrize("frozen_s", [0.0, 7.5, 29.9, 30.0, 45.0])
def test_a_half_open_link_is_found_by_the_end_that_pings(frozen_s: float) -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.left.ping_every(30.0, 5.0)
        await clock.sleep(frozen_s)
        link.link.freeze()
        before_s = (frozen_s // 30.0 + 1) * 30.0 + 5.0 - frozen_s
        await clock.sleep(before_s - 0.1)
        assert link.left.closed is None
        await clock.sleep(0.2)
        assert link.left.closed == SILENCE
        assert link.right.closed is None

    run_virtual(scenario)


def test_a_link_that_is_well_costs_no_pings() -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.left.ping_every(1.0, 0.5)
        await clock.sleep(400 * 86_400.0)  # real pings would take minutes
        assert link.left.closed is None

    run_virtual(scenario)


def test_any_frame_of_the_peer_is_a_sign_of_life() -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.left.ping_every(10.0, 5.0)
        link.link.to_right.black_hole = True
        for _ in range(30):
            await clock.sleep(4.0)
            link.link.right.send(b"I am here")
        assert link.left.closed is None
        await clock.sleep(15.1)
        assert link.left.closed == SILENCE

    run_virtual(scenario)


def test_a_link_that_comes_back_in_time_stays() -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.left.ping_every(10.0, 5.0)
        link.link.freeze()
        await clock.sleep(14.0)
        link.link.to_left.black_hole = link.link.to_right.black_hole = False
        await clock.sleep(3_600.0)
        assert link.left.closed is None

    run_virtual(scenario)


def test_pings_change_on_a_live_link() -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.freeze()
        await clock.sleep(1_000.0)
        link.link.left.ping_every(600.0)
        await clock.sleep(300.0)
        link.link.left.ping_every(10.0, 2.0)
        await clock.sleep(12.1)
        assert link.left.closed == SILENCE
        link.link.right.ping_every(10.0, 2.0)
        link.link.right.ping_every(0)
        await clock.sleep(1_000.0)
        assert link.right.closed is None

    run_virtual(scenario)


def test_a_reset_may_reach_one_end_alone() -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.right.ping_every(10.0, 2.0)
        link.link.reset(link.link.left)
        assert link.left.closed == BROKEN
        assert link.right.closed is None
        await clock.sleep(12.1)
        assert link.right.closed == SILENCE

    run_virtual(scenario)


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1011, 1014, 3000, 4999, None])
def test_close_frames_of_all_kinds(code: int | None) -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.right.send_close(code, "because")
        await clock.sleep(0.1)
        assert link.left.closed == CloseReason(code or 1005, "because", ClosedBy.PEER)
        assert link.right.closed == CloseReason(code or 1005, "because", ClosedBy.LOCAL)

    run_virtual(scenario)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2000, 5000])
def test_a_close_frame_that_may_not_be_is_a_violation(code: int) -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        with pytest.raises(ConfigurationError):
            link.link.right.close(code)
        assert link.right.closed is None
        link.link.right.send_close(code)
        await clock.sleep(0.1)
        if code != 1005:  # which is what no code at all is called
            assert link.left.closed is not None
            assert (link.left.closed.code, link.left.closed.by) == (1002, ClosedBy.VIOLATION)

    run_virtual(scenario)


def test_both_ends_have_bounds() -> None:
    async def scenario(clock: VirtualClock) -> None:
        link = Link(clock)
        link.link.left.max_message_bytes = 100
        with pytest.raises(MessageTooLong):
            link.link.left.send(b"x" * 101)
        link.link.left.send(b"x" * 100)
        link.link.right.send(b"x" * 101)
        await clock.sleep(0.1)
        assert link.right.frames == [b"x" * 100]
        assert link.left.frames == []
        assert link.left.closed is not None
        assert (link.left.closed.code, link.left.closed.by) == (1009, ClosedBy.VIOLATION)
        assert link.right.closed is not None
        assert (link.right.closed.code, link.right.closed.by) == (1009, ClosedBy.PEER)

    run_virtual(scenario)
