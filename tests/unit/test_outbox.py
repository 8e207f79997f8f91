"""The outbox: order, retry and thinning, as pure decisions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def drained(outbox: Outbox, now: float = 0.0) -> list[int]:
    ids: list[int] = []
    while (found := outbox.take(now)) is not None:
        ids.append(found.row_id)
        outbox.delivered(found)
    return ids


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


def test_waiting_can_be_cut_short() -> None:
    outbox = filled(row(1), row(2, "tx-2"))
    outbox.failed(taken(outbox), 0, THREE_TIMES)
    outbox.retry_now()
    assert outbox.next_attempt_at() is None
    assert drained(outbox, 0) == [1, 2]


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


def test_e11_fr_07_everything_that_waits_is_marked_offline() -> None:
    outbox = filled(row(1), row(2, "tx-2"))
    head = taken(outbox)
    assert outbox.mark_offline()
    assert not outbox.mark_offline()
    assert head.offline
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
