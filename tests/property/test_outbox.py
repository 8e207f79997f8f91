"""The outbox over a disk, against a naive oracle: whatever the order of posts, answers, failures,
broken links, page loads, storage faults and restarts, every message is delivered exactly once, or
was allowed to be dropped, or is a dead letter; lanes keep their order; what happens now is not told
behind a backlog; memory stays within its window.

The disk is a dictionary that obeys what `Storage` and `Journal` promise; a page is what was there
when it was read, and may be taken much later.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ocpp_fast.lanes import MAX_LIVE_IN_A_ROW
from ocpp_fast.outbox import Outbox, Page, RetryPolicy
from ocpp_fast.storage import OutboxRow
from ocpp_fast.window import MAX_PAGE_ROWS

WINDOW = 3
MAX_ROWS = 40
MAX_UNSTORED = 8
POLICY = RetryPolicy(attempts=3, interval_s=60)
AT_ONCE = RetryPolicy(attempts=1, interval_s=0)
LANES = st.integers(0, 2)


class World(RuleBasedStateMachine):
    """A station, its disk and its CSMS."""

    @initialize()
    def begin(self) -> None:
        self.disk: dict[int, OutboxRow] = {}
        self.undeleted: set[int] = set()
        """Rows that are done with, but still on the disk."""
        self.unstored: set[int] = set()
        self.refused: set[int] = set()
        self.dead: dict[int, OutboxRow] = {}
        self.waiting: dict[str, list[int]] = {}
        """The oracle: row ids of each lane, in their order."""
        self.optional: set[int] = set()
        """Rows that were thinned out on disk: they may or may not be delivered, once."""
        self.droppable: set[int] = set()
        self.known: dict[int, OutboxRow] = {}
        self.generation = dict.fromkeys(range(3), 0)
        self.fresh: set[str] = set()
        """Lanes that were opened online, and of which everything has been in memory since."""
        self.online = True
        self.failing = False
        self.last = 0
        self.now = 0.0
        self.passed = 0
        self.page: tuple[Page, list[OutboxRow]] | None = None
        self.under_way: OutboxRow | None = None
        self.start()

    def start(self) -> None:
        self.outbox = Outbox(
            window=WINDOW, max_rows=MAX_ROWS, max_unstored=MAX_UNSTORED, replay_rate=lambda: 0
        )
        self.outbox.resume(self.last)
        self.fresh = set()
        self.page = None
        self.under_way = None
        self.read_page()
        self.give_page()

    # --- what the journal and the storage do ------------------------------------------------

    def flush(self) -> None:
        if not self.failing:
            for row_id in self.undeleted:
                self.disk.pop(row_id, None)
            self.undeleted.clear()

    def read_page(self) -> None:
        self.flush()
        page = self.outbox.next_page()
        if page is not None:
            assert 0 < page.limit <= MAX_PAGE_ROWS
            ids = [n for n in sorted(self.disk) if n > page.after]
            if page.lane is not None:
                ids = [n for n in ids if self.known[n].lane == page.lane]
            self.page = (page, [self.copy(n) for n in ids[: page.limit]])

    def copy(self, row_id: int) -> OutboxRow:
        """What a storage gives: not the object in memory, nor what is not stored."""
        row = self.disk[row_id]
        return OutboxRow(
            row.row_id, row.lane, "2.1", row.action, b"{}", 0, row.droppable, row.offline
        )

    def give_page(self) -> None:
        if self.page is not None:
            _, rows = self.page
            self.page = None
            self.outbox.take_page(rows, self.undeleted)

    def done(self, row: OutboxRow) -> None:
        if row.row_id in self.optional:
            self.optional.remove(row.row_id)
        else:
            self.waiting[row.lane].remove(row.row_id)
        if row.row_id in self.disk:
            self.undeleted.add(row.row_id)

    # --- what happens -----------------------------------------------------------------------

    @rule(
        lane=LANES,
        droppable=st.booleans(),
        ends=st.booleans(),
        action=st.sampled_from(["TransactionEvent", "NotifyEvent"]),
        times=st.integers(1, 5),
        is_refused=st.integers(0, 9).map(lambda n: n == 0),
    )
    def post(
        self, lane: int, droppable: bool, ends: bool, action: str, times: int, is_refused: bool
    ) -> None:
        """`is_refused`: the storage will never take it, although it works."""
        for _ in range(times):
            name = f"{lane}.{self.generation[lane]}"
            opens = name not in self.waiting
            self.waiting.setdefault(name, [])
            self.last += 1
            row = OutboxRow(self.last, name, "2.1", action, b"{}", 0, droppable, not self.online)
            row.opens, row.closes = opens, ends
            self.known[row.row_id] = row
            if droppable:
                self.droppable.add(row.row_id)
            if opens and self.online:
                self.fresh.add(name)
            if self.outbox.in_memory - self.outbox.unstored >= 2 * WINDOW or not self.online:
                self.fresh.discard(name)
            if self.failing:
                self.unstored.add(row.row_id)
            elif is_refused:
                self.refused.add(row.row_id)
            else:
                self.disk[row.row_id] = row
            self.waiting[name].append(row.row_id)
            self.outbox.accept(row, stored=not self.failing and not is_refused)
            if ends:
                self.generation[lane] += 1
            if self.outbox.overfull_unstored:
                self.dropped(self.outbox.thin_unstored())

    @precondition(lambda self: self.online)
    @rule(times=st.integers(1, 10))
    def deliver(self, times: int) -> None:
        for _ in range(times):
            row = self.take()
            if row is not None:
                self.outbox.delivered(row)
                self.done(row)

    @precondition(lambda self: self.online and self.under_way is None)
    @rule()
    def send(self) -> None:
        """Its answer comes later."""
        self.under_way = self.take()

    def take(self) -> OutboxRow | None:
        """The row under way, which has been sent just now or earlier."""
        if self.under_way is not None:
            row, self.under_way = self.under_way, None
            return row
        row = self.outbox.take(self.now)
        if row is None:
            return None
        ids = self.waiting[row.lane]
        if row.row_id in self.optional:
            assert not ids or row.row_id < ids[0], "out of order"
        else:
            assert row.row_id in ids, "delivered twice, or dropped"
            assert row.row_id == ids[0], "out of order"
        if row.offline:
            live = [name for name in self.fresh if self.waiting[name]]
            assert not live or self.passed >= MAX_LIVE_IN_A_ROW, f"{live} behind {row.lane}"
            self.passed = 0
        else:
            self.passed += 1
        return row

    @precondition(lambda self: self.online)
    @rule(times=st.integers(1, 5), policy=st.sampled_from([POLICY, AT_ONCE]))
    def refuse(self, times: int, policy: RetryPolicy) -> None:
        for _ in range(times):
            row = self.take()
            if row is None:
                return
            self.fresh.discard(row.lane)
            if not self.outbox.failed(row, self.now, policy):
                self.done(row)
                self.dead[row.row_id] = row

    @precondition(lambda self: self.online)
    @rule(mid_call=st.booleans())
    def cut(self, mid_call: bool) -> None:
        row = self.take() if mid_call or self.under_way is not None else None
        if row is not None:
            self.outbox.interrupted(row)
        self.outbox.went_offline(self.last)
        self.online = False
        self.fresh.clear()

    @precondition(lambda self: not self.online)
    @rule()
    def connect(self) -> None:
        self.online = True

    @rule(seconds=st.sampled_from([1, 60, 120]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.page is None)
    @rule()
    def load(self) -> None:
        self.read_page()

    @precondition(lambda self: self.page is not None)
    @rule(works=st.booleans())
    def loaded(self, works: bool) -> None:
        if works:
            self.give_page()
        else:
            self.page = None
            self.outbox.page_failed()

    @precondition(lambda self: not self.failing)
    @rule()
    def fault(self) -> None:
        self.failing = True

    @precondition(lambda self: self.failing)
    @rule()
    def recover(self) -> None:
        self.failing = False
        for row in sorted(self.outbox.rows(), key=lambda row: row.row_id):
            if row.row_id in self.unstored:
                self.disk[row.row_id] = row
                assert self.outbox.became_stored(row)
        self.unstored.clear()
        self.fresh.clear()  # What is too much for the window has left it.
        assert self.outbox.unstored <= len(self.refused)

    @precondition(lambda self: not self.failing and self.page is None)
    @rule(times=st.integers(0, 4), is_under_way=st.booleans(), most=st.sampled_from([1, 99]))
    def requeue(self, times: int, is_under_way: bool, most: int) -> None:
        """Not while a page is loaded. So many of what is dead, of which some is given up now."""
        if self.online:
            self.refuse(times, AT_ONCE)
            if is_under_way and self.under_way is None:
                self.send()
        self.flush()
        rows = [self.dead.pop(row_id) for row_id in sorted(self.dead)[:most]]
        for row in rows:
            row.attempts = 0
            self.disk[row.row_id] = row
            self.refused.discard(row.row_id)
            self.fresh.discard(row.lane)
            self.waiting[row.lane].append(row.row_id)
            self.waiting[row.lane].sort(key=self.place)
        self.outbox.requeue(rows)
        self.fresh.clear()

    def place(self, row_id: int) -> tuple[bool, int]:
        """In its lane: behind what is under way."""
        first = self.under_way
        return first is None or first.row_id != row_id, row_id

    @precondition(lambda self: not self.failing and self.outbox.overfull)
    @rule()
    def relieve(self) -> None:
        self.flush()
        too_many = self.outbox.counted(len(self.disk))
        for transactions in (False, True):
            while too_many and not self.outbox.all_in_memory:
                gone = self.thin_disk(self.outbox.scanned_to, transactions=transactions)
                too_many = self.outbox.thinned_on_disk(gone)
                if not gone or transactions:
                    break
        self.outbox.was_thinned()
        if too_many:
            self.dropped(self.outbox.thin())

    def thin_disk(self, after: int, *, transactions: bool) -> int:
        """What is in memory too, or in a page that is under way, may be delivered nevertheless."""
        gone = 0
        for name, ids in self.waiting.items():
            inner = [
                n
                for n in ids
                if n > after and n in self.droppable and n in self.disk
                if (self.known[n].action == "TransactionEvent") is transactions
            ][::2]
            gone += len(inner)
            for n in inner:
                del self.disk[n]
            self.waiting[name] = [n for n in ids if n not in inner]
            self.optional.update(inner)
        return gone

    def dropped(self, rows: list[OutboxRow]) -> None:
        for row in rows:
            assert row.droppable
            self.done(row)

    @precondition(lambda self: not self.failing)
    @rule()
    def restart(self) -> None:
        """All that was confirmed is deleted."""
        self.flush()
        for row in self.outbox.rows():
            is_lost = row.row_id in self.refused
            assert row.row_id in self.disk or row.droppable or is_lost
            if is_lost and row.row_id in self.waiting[row.lane]:
                self.waiting[row.lane].remove(row.row_id)
        self.optional.clear()
        for ids in self.waiting.values():
            ids.sort()
        self.online = False
        self.start()
        self.online = True

    # --- what holds -------------------------------------------------------------------------

    @invariant()
    def memory_is_bounded(self) -> None:
        outbox: Any = self.outbox
        rows = list(outbox.rows())
        ids = [row.row_id for row in rows]
        assert len(ids) == len(set(ids)) == outbox.in_memory
        # Of a lane that is refused, the row that is tried again takes no room from others.
        stored = outbox.in_memory - outbox.unstored - sum(row.attempts > 0 for row in rows)
        if not outbox.unstored:
            assert stored <= 3 * WINDOW

    @invariant()
    def nothing_waits_means_nothing_waits(self) -> None:
        if any(self.waiting.values()):
            assert len(self.outbox) > 0

    @invariant()
    def what_a_lane_holds_is_known(self) -> None:
        for name, ids in self.waiting.items():
            known = self.outbox.holds(name)
            assert known is not False or not ids, name
            assert known is not True or ids or self.optional, name

    def teardown(self) -> None:
        """With a CSMS that takes everything, everything goes."""
        if not hasattr(self, "outbox"):
            return
        if self.failing:
            self.recover()
        self.online = True
        for _ in range(10_000):
            if self.page is None:
                self.read_page()
            self.give_page()
            row = self.take()
            if row is not None:
                self.outbox.delivered(row)
                self.done(row)
            elif not len(self.outbox):
                break
            else:
                self.now += 60
        assert not any(self.waiting.values())
        assert len(self.outbox) == 0
        self.flush()
        assert not self.disk


TestOutbox = World.TestCase
TestOutbox.settings = settings(max_examples=100, stateful_step_count=50)
