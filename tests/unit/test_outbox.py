"""The outbox: order, retry and thinning, as pure decisions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_fast.lanes import MAX_LIVE_IN_A_ROW
from ocpp_fast.outbox import Outbox, RetryPolicy, wire_payload
from ocpp_fast.storage import OutboxRow

THREE_TIMES = RetryPolicy(attempts=3, interval_s=60)


def row(row_id: int, lane: str = "tx-1", *, droppable: bool = False) -> OutboxRow:
    payload = b'{"eventType":"Updated"}'
    return OutboxRow(row_id, lane, "2.1", "TransactionEvent", payload, row_id, droppable)


def filled(*rows: OutboxRow, max_rows: int = 100) -> Outbox:
    outbox = Outbox(max_rows=max_rows)
    for each in rows:
        outbox.add(each)
    return outbox


def taken(outbox: Outbox, now: float = 0.0) -> OutboxRow:
    found = outbox.take(now)
    assert found is not None
    return found


def all_taken(outbox: Outbox, now: float = 0.0) -> list[OutboxRow]:
    found: list[OutboxRow] = []
    while (row := outbox.take(now)) is not None:
        found.append(row)
        outbox.delivered(row)
    return found


def drained(outbox: Outbox, now: float = 0.0) -> list[int]:
    return [row.row_id for row in all_taken(outbox, now)]


def test_messages_leave_in_the_order_they_came() -> None:
    outbox = filled(row(1), row(2, "tx-2"), row(3), row(4, "tx-2"))
    assert drained(outbox) == [1, 2, 3, 4]
    assert len(outbox) == 0


def test_one_message_is_under_way_at_a_time() -> None:
    outbox = filled(row(1), row(2, "tx-2"))
    first = taken(outbox)
    assert outbox.take(0) is None
    outbox.delivered(first)
    assert taken(outbox).row_id == 2


def test_a_broken_link_costs_no_attempt_and_no_place() -> None:
    outbox = filled(row(1), row(2))
    first = taken(outbox)
    outbox.interrupted(first)
    assert first.attempts == 0
    assert drained(outbox) == [1, 2]


def test_e13_fr_02_03_04_pauses_grow_and_the_last_attempt_is_the_last() -> None:
    """The example of E13: 3 attempts and 60 s mean sending at 0, 60 and 180 s."""
    outbox = filled(row(1), row(2))
    head = taken(outbox, 0)
    assert outbox.failed(head, 0, THREE_TIMES)
    assert outbox.take(59.9) is None
    assert outbox.next_attempt_at() == 60
    assert taken(outbox, 60) is head
    assert outbox.failed(head, 60, THREE_TIMES)
    assert outbox.take(179.9) is None
    assert taken(outbox, 180) is head
    assert not outbox.failed(head, 180, THREE_TIMES)
    assert head.attempts == 3
    assert drained(outbox, 180) == [2]


@pytest.mark.parametrize("attempts", [0, 1])
def test_a_single_attempt_means_no_retry(attempts: int) -> None:
    outbox = filled(row(1))
    assert not outbox.failed(taken(outbox), 0, RetryPolicy(attempts, 60))
    assert len(outbox) == 0


def test_a_message_that_waits_holds_up_its_lane_only() -> None:
    outbox = filled(row(1), row(2), row(3, "tx-2"))
    outbox.failed(taken(outbox), 0, THREE_TIMES)
    assert drained(outbox, 1) == [3]
    assert drained(outbox, 60) == [1, 2]


def test_e14_what_waits_for_a_transaction_is_known() -> None:
    outbox = filled(row(1))
    assert outbox.holds("tx-1")
    assert not outbox.holds("tx-2")
    head = taken(outbox)
    assert outbox.holds("tx-1")
    outbox.delivered(head)
    assert not outbox.holds("tx-1")


def test_what_is_not_under_way_cannot_land() -> None:
    outbox = filled(row(1))
    with pytest.raises(ValueError, match="not under way"):
        outbox.delivered(row(1))


def test_e11_fr_07_what_waits_when_the_link_breaks_is_offline() -> None:
    outbox = filled(row(1), row(2, "tx-2"), row(3))
    head = taken(outbox)
    outbox.went_offline(2)
    outbox.interrupted(head)
    # 3 came after that, and goes first as soon as it is first of its lane.
    assert [(each.row_id, each.offline) for each in all_taken(outbox)] == [
        (1, True),
        (3, False),
        (2, True),
    ]
    assert json.loads(wire_payload(head)) == {"offline": True, "eventType": "Updated"}


def test_only_transaction_events_have_an_offline_member() -> None:
    other = OutboxRow(1, "security", "2.1", "SecurityEventNotification", b"{}", offline=True)
    assert wire_payload(other) == b"{}"
    assert wire_payload(row(1)) == b'{"eventType":"Updated"}'


def test_e04_fr_08_thinning_takes_every_second_from_the_middle() -> None:
    rows = [row(1), *(row(n, droppable=True) for n in range(2, 9)), row(9)]
    outbox = filled(*rows, max_rows=8)
    assert [dropped.row_id for dropped in outbox.thin()] == [2, 4, 6, 8]
    assert outbox.dropped == 4
    assert outbox.thin() == []
    assert drained(outbox) == [1, 3, 5, 7, 9]


def test_what_may_not_be_dropped_is_kept_beyond_the_bound() -> None:
    outbox = filled(*(row(n) for n in range(1, 6)), max_rows=2)
    assert outbox.thin() == []
    assert drained(outbox) == [1, 2, 3, 4, 5]


def test_the_head_of_a_lane_is_never_dropped() -> None:
    """It may be under way or wait for its next attempt."""
    rows = [row(n, droppable=True) for n in range(1, 4)]
    outbox = filled(*rows, max_rows=1)
    head = taken(outbox)
    assert [dropped.row_id for dropped in outbox.thin()] == [2]
    outbox.delivered(head)
    assert drained(outbox) == [3]


def test_nothing_is_kept_of_what_has_left() -> None:
    outbox = filled(*(row(n, droppable=True) for n in range(1, 10)), max_rows=5)
    assert len(outbox.thin()) == 4
    assert len(drained(outbox)) == 5
    assert not outbox._behind
    assert not outbox._last


def other(row_id: int, lane: str = "states", *, droppable: bool = True) -> OutboxRow:
    payload = b"{}"
    return OutboxRow(row_id, lane, "2.1", "StatusNotification", payload, 0, droppable)


def test_queue_all_messages_transaction_events_are_dropped_last() -> None:
    """`OCPPCommCtrlr.QueueAllMessages`: all the others go before the first of them."""
    events = [row(n, droppable=True) for n in range(1, 9)]
    outbox = filled(*events, *(other(n) for n in range(9, 17)), max_rows=9)
    assert sorted(each.row_id for each in outbox.thin()) == list(range(10, 17))
    assert drained(outbox) == list(range(1, 10))
    outbox = filled(*events, *(other(n) for n in range(9, 17)), max_rows=8)
    assert [n for n in (each.row_id for each in outbox.thin()) if n < 9] == [2, 4, 6, 8]


def test_what_a_failing_storage_did_not_take_is_bounded() -> None:
    outbox = Outbox(max_unstored=4)
    outbox.resume(0)
    outbox.accept(row(1, droppable=True))
    outbox.accept(row(2, droppable=True))
    for n in range(3, 8):
        outbox.accept(row(n, droppable=True), stored=False)
    assert outbox.overfull_unstored
    assert [each.row_id for each in outbox.thin_unstored()] == [3, 5, 7], "2 is on the disk"
    assert outbox.thin_unstored() == []
    assert (outbox.unstored, outbox.dropped) == (2, 3)
    assert drained(outbox) == [1, 2, 4, 6]


def test_what_is_parked_is_thinned_too() -> None:
    outbox = Outbox(max_unstored=2, window=2)
    outbox.resume(1)
    for n in range(2, 6):
        outbox.accept(row(n, droppable=True), stored=False)
    assert [each.row_id for each in outbox.thin_unstored()] == [2, 4]
    assert outbox.next_page() is not None
    outbox.take_page([row(1)])
    assert drained(outbox) == [1, 3, 5]


def test_thinning_is_tried_again_when_a_tenth_more_have_come() -> None:
    outbox = filled(*(row(n) for n in range(1, 22)), max_rows=20)
    assert outbox.overfull
    assert outbox.thin() == []
    assert not outbox.overfull
    for n in range(22, 25):
        outbox.add(row(n))
    assert outbox.overfull
    outbox.thin()
    drained(outbox)
    outbox.went_offline(24)
    for n in range(25, 46):
        outbox.add(row(n))
    assert outbox.overfull, "the bound is the old one"


def offline(row_id: int, lane: str = "tx-1") -> OutboxRow:
    found = row(row_id, lane)
    found.offline = True
    return found


def test_what_happens_now_is_not_told_behind_a_backlog() -> None:
    outbox = filled(offline(1, "a"), offline(2, "b"), row(3, "c"), offline(4, "c"), row(5, "a"))
    assert drained(outbox) == [3, 1, 5, 2, 4]


def test_what_goes_offline_takes_its_place_in_the_backlog() -> None:
    outbox = filled(offline(10, "a"), row(1, "b"), row(2, "c"))
    outbox.went_offline(10)
    assert drained(outbox) == [1, 2, 10]


def test_a_backlog_goes_on_however_much_happens_now() -> None:
    outbox = filled(offline(1, "old"), *(row(n, f"tx-{n}") for n in range(2, 50)))
    assert drained(outbox).index(1) == MAX_LIVE_IN_A_ROW


def test_what_happens_now_goes_on_after_one_of_the_backlog() -> None:
    live = [row(n, f"tx-{n}") for n in range(3, 60)]
    order = drained(filled(offline(1, "old"), offline(2, "older"), *live))
    assert (order.index(1), order.index(2)) == (MAX_LIVE_IN_A_ROW, 2 * MAX_LIVE_IN_A_ROW + 1)


def test_a_backlog_goes_at_the_replay_rate() -> None:
    """`InternalCtrlr.MessageReplayRate`: one second's worth at once, then so many a second."""
    rate = 10.0
    outbox = Outbox(replay_rate=lambda: rate)
    for n in range(1, 41):
        outbox.add(offline(n))
    assert drained(outbox, 100) == list(range(1, 11))
    assert outbox.next_attempt_at() == pytest.approx(100.1)
    assert drained(outbox, 100.05) == []
    assert drained(outbox, 100.1) == [11]
    outbox.add(row(41, "new"))
    assert drained(outbox, 100.1) == [41], "what is live costs none of it"
    assert len(drained(outbox, 200)) == 10, "what was not used is not saved up"
    rate = 0.0
    assert len(drained(outbox, 200)) == 19, "no limit, from now on"


def test_a_backlog_may_take_seconds_for_a_message() -> None:
    outbox = Outbox(replay_rate=lambda: 0.5)
    for n in range(1, 4):
        outbox.add(offline(n))
    assert drained(outbox, 100) == [1]
    assert outbox.next_attempt_at() == pytest.approx(102)
    assert drained(outbox, 102) == [2]


def test_the_next_attempt_is_the_sooner_of_retry_and_replay() -> None:
    outbox = Outbox(replay_rate=lambda: 1.0)
    outbox.add(row(1, "failing"))
    outbox.failed(taken(outbox), 0, THREE_TIMES)
    outbox.add(offline(2))
    outbox.add(offline(3))
    assert drained(outbox, 0) == [2]
    assert outbox.next_attempt_at() == pytest.approx(1)
    assert drained(outbox, 1) == [3]
    assert outbox.next_attempt_at() == 60
    outbox.add(offline(4))
    outbox.add(offline(5))
    assert drained(outbox, 59.5) == [4]
    assert outbox.next_attempt_at() == 60, "before the next of the backlog"
    assert drained(outbox, 60) == [1], "but not instead of it"
    assert outbox.next_attempt_at() == pytest.approx(60.5)


# Whatever becomes of one of them, the others keep their order: ids as no sorted list has them.
MIXED = (1, 2, 4, 5, 3, 6, 7)


@pytest.mark.parametrize("is_offline", [False, True])
def test_a_dead_letter_goes_before_one_that_was_ready(is_offline: bool) -> None:
    new = offline if is_offline else row
    outbox = Outbox()
    for n in MIXED:
        outbox.add(new(10 + n, f"tx-{n}"))
    outbox.insert([new(9, "tx-5"), new(8, "tx-1")])
    assert drained(outbox) == [8, 9, *range(11, 18)]


def test_a_dead_letter_goes_before_one_that_waits_for_its_next_attempt() -> None:
    outbox = Outbox()
    for n in range(1, 8):
        outbox.add(row(n, f"tx-{n}"))
    for n in range(1, 8):
        pause_s = 10 * MIXED[n - 1]
        assert outbox.failed(taken(outbox), 0, RetryPolicy(3, pause_s))
    outbox.insert([row(0, "tx-1")])
    assert drained(outbox) == [0]
    attempts = {n: drained(outbox, 10 * n) for n in range(1, 8)}
    assert attempts == {n: [MIXED.index(n) + 1] for n in range(1, 8)}


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "ok", "fail", "cut", "wait", "thin"]), st.integers(0, 3)),
    max_size=120,
)


@given(STEPS)
def test_no_message_is_lost_doubled_or_overtaken(steps: list[tuple[str, int]]) -> None:
    """Whatever happens, each row ends delivered, given up or dropped, and lanes stay in order."""
    outbox, now, row_id = Outbox(max_rows=8), 0.0, 0
    delivered: list[OutboxRow] = []
    dead: list[OutboxRow] = []
    dropped: list[OutboxRow] = []
    added: list[OutboxRow] = []
    for step, lane in steps:
        if step == "add":
            row_id += 1
            added.append(row(row_id, f"tx-{lane}", droppable=row_id % 2 == 0))
            outbox.add(added[-1])
        elif step == "thin":
            dropped += outbox.thin()
        elif step == "wait":
            now += 60 * lane
        elif (head := outbox.take(now)) is not None:
            if step == "ok":
                outbox.delivered(head)
                delivered.append(head)
            elif step == "cut":
                outbox.interrupted(head)
            elif not outbox.failed(head, now, RetryPolicy(2, 60)):
                dead.append(head)
        assert len(outbox) == len(added) - len(delivered) - len(dead) - len(dropped)
    rest = drained(outbox, now + 1e6)
    delivered += [r for r in added if r.row_id in rest]
    gone = sorted(r.row_id for r in (*delivered, *dead, *dropped))
    assert gone == [r.row_id for r in added]
    assert all(r.droppable for r in dropped)
    for lane in range(4):
        ids = [r.row_id for r in delivered if r.lane == f"tx-{lane}"]
        assert ids == sorted(ids)
