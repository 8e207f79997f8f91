"""Times stamped before the time was known: found in messages, corrected, placed."""

from __future__ import annotations

import json
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from ocpp_fast.delivery import Delivery
from ocpp_fast.errors import StorageError
from ocpp_fast.redating import (
    RUNS,
    SEEN,
    SEEN_INTERVAL_S,
    Correction,
    Redating,
    date_times,
    redated,
)
from ocpp_fast.restoring import Restart
from ocpp_fast.station_clock import StationClock
from ocpp_fast.storage import OutboxRow, Storage
from ocpp_fast.testing import VirtualClock, run_virtual

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WOKEN = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SHIFT = NOW - WOKEN
LATER = Correction(WOKEN, WOKEN + 60 * MINUTE, SHIFT)


def z(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- one message --------------------------------------------------------------------------------


def test_date_times_are_moved_and_nothing_else() -> None:
    payload = (
        b'{"eventType":"Started","timestamp":"1970-01-01T00:06:00.000Z","seqNo":0,'
        b'"meterValue":[{"timestamp":"1970-01-01T00:05:30Z","sampledValue":[{"value":1.50}]}],'
        b'"customData":{"vendorId":"at \\"1970-01-01T00:06:00Z\\"","n":12345678901234567890}}'
    )
    moved = redated(payload, LATER)
    assert moved == payload.replace(
        b'"timestamp":"1970-01-01T00:06:00.000Z"', b'"timestamp":"2026-11-21T12:01:00.000Z"'
    ).replace(b'"1970-01-01T00:05:30Z"', b'"2026-11-21T12:00:30.000Z"')


@pytest.mark.parametrize(
    "text",
    [
        '"2026-11-21T09:30:00.000Z"',
        '"1970-01-01T09:00:00Z"',
        '"1970-01-01T00:00:00Z"',
        '"1970-01-01"',
        '"it was 1970-01-01T00:06:00Z"',
        '"1970-02-31T00:06:00Z"',
        '{"1970-01-01T00:06:00Z":1}',
    ],
)
def test_what_is_no_time_of_the_run_stays(text: str) -> None:
    payload = f'{{"x":{text}}}'.encode()
    assert redated(payload, LATER) == payload


def test_offsets_are_understood() -> None:
    assert list(date_times(b'["1970-01-01T02:06:00+02:00","x"]')) == [WOKEN + MINUTE]
    assert redated(b'["1970-01-01T02:06:00.5+02:00"]', LATER) == b'["2026-11-21T12:01:00.500Z"]'


def test_as_long_as_nobody_knows_nothing_moves() -> None:
    payload = b'{"timestamp":"1970-01-01T00:06:00Z"}'
    assert redated(payload, Correction(WOKEN, NOW, None)) == payload


# --- a station ----------------------------------------------------------------------------------


class Wall(VirtualClock):
    """Virtual time on a computer whose clock shows `at` at its start."""

    def __init__(self, at: datetime) -> None:
        super().__init__(at)
        self.step(timedelta(seconds=-self.elapsed_s))


@dataclass
class Facts:
    """Of `Journal`, what keeps facts."""

    kept: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    durable: bool = True

    def put(self, facts: Mapping[str, str | None]) -> None:
        self.kept |= facts

    async def keep(self, facts: Mapping[str, str | None]) -> bool:
        self.put(facts)
        return True


@dataclass
class Disk:
    """Of `Storage`, what keeps messages."""

    rows: dict[int, OutboxRow] = field(default_factory=dict[int, OutboxRow])
    broken: bool = False

    async def outbox_undated(self, after: int = 0, limit: int = 2) -> list[OutboxRow]:
        if self.broken:
            raise StorageError("memory", "outbox_undated", "broken")
        found = [row for row in self.rows.values() if row.run and row.row_id > after]
        return [self.copy(row) for row in found[:limit]]

    async def outbox_redate(self, changes: Sequence[tuple[int, bytes]]) -> None:
        for row_id, payload in changes:
            self.rows[row_id].payload = payload
            self.rows[row_id].run = 0

    @staticmethod
    def copy(row: OutboxRow) -> OutboxRow:
        return OutboxRow(row.row_id, row.lane, row.version, row.action, row.payload, run=row.run)


class Memory:
    """Of `Delivery`, what Redating uses."""

    def __init__(self, disk: Disk, facts: Facts) -> None:
        self.disk = disk
        self.facts = facts
        self.run = 0
        self.redate: Any = None
        self.released: list[bool] = []
        self.held: list[OutboxRow] = []
        self.outbox = self

    def rows(self) -> Iterable[OutboxRow]:
        return self.held

    def release(self, *, open_: bool) -> None:
        if open_:
            assert all(row.run == 0 for row in self.held)
        self.released.append(open_)

    def post(self, *times: datetime, held: bool = True) -> OutboxRow:
        row_id = len(self.disk.rows) + 1
        payload = json.dumps({"times": [z(time) for time in times]}).encode()
        row = OutboxRow(row_id, "lane", "2.1", "TransactionEvent", payload, run=self.run)
        self.disk.rows[row_id] = row
        if held:
            self.held.append(self.disk.copy(row))
        return row


class Run:
    """One start of a station over facts and a disk that outlive it."""

    def __init__(self, disk: Disk, facts: Facts, at: datetime) -> None:
        self.wall = Wall(at)
        self.clock = StationClock(self.wall)
        self.delivery = Memory(disk, facts)
        self.work: list[Coroutine[Any, Any, None]] = []
        self.events: list[tuple[str, str]] = []
        self.known: list[datetime] = []
        self.threshold_s: float | None = None
        self.redating = Redating(
            self.clock,
            cast("Delivery", self.delivery),
            cast("Storage", disk),
            dated=(self,),
            spawn=lambda work, _name: self.work.append(work),
            report=lambda kind, info: self.events.append((kind, info)),
            threshold_s=lambda: self.threshold_s,
        )

    def redate(self, correct: Any) -> None:
        self.known = [correct(time) for time in self.known]

    async def start(self) -> None:
        facts = {name: fact for name, fact in self.delivery.facts.kept.items() if fact is not None}
        await self.redating.restore(facts, Restart("PowerUp", self.clock.now()))

    async def do_work(self) -> None:
        while self.work:
            await self.work.pop(0)

    def times(self) -> list[str]:
        return [
            time
            for row in self.delivery.disk.rows.values()
            for time in json.loads(row.payload)["times"]
        ]


def with_run(scenario: Any, at: datetime = WOKEN) -> None:
    async def run(_: VirtualClock) -> None:
        disk, facts = Disk(), Facts()
        first = Run(disk, facts, at)
        await first.start()
        await scenario(first, lambda when: Run(disk, facts, when))

    run_virtual(run)


def test_a_run_that_learns_the_time_corrects_everything_before_it_goes() -> None:
    async def scenario(run: Run, _again: Any) -> None:
        run.known.append(run.clock.now())
        for index in range(5):
            await run.wall.sleep(60)
            run.delivery.post(run.clock.now(), NOW - MINUTE, held=index < 2)
        assert {row.run for row in run.delivery.disk.rows.values()} == {1}
        run.redating.learn(NOW)
        run.redating.release(open_=True)
        assert run.delivery.run == 0, "what comes now is right"
        assert run.delivery.released == [], "not before all are corrected"
        run.redating.release(open_=False)
        assert run.delivery.released == [False]
        run.redating.release(open_=True)
        await run.do_work()
        assert run.delivery.released == [False, True]
        stamps = [NOW - (4 - index) * MINUTE for index in range(5)]
        assert run.times()[::2] == [z(stamp) for stamp in stamps]
        assert run.times()[1::2] == [z(NOW - MINUTE)] * 5, "a clock of one's own"
        assert [json.loads(row.payload)["times"][0] for row in run.delivery.held] == [
            z(stamp) for stamp in stamps[:2]
        ]
        assert run.known == [NOW - 5 * MINUTE]
        assert json.loads(run.delivery.facts.kept[RUNS] or "") == {"last": 1, "undated": {}}
        run.redating.release(open_=True)
        assert run.delivery.released == [False, True, True]

    with_run(scenario)


def test_a_run_that_knows_the_time_does_nothing_of_the_kind() -> None:
    async def scenario(run: Run, _again: Any) -> None:
        run.delivery.post(run.clock.now())
        run.redating.learn(NOW)
        run.redating.release(open_=True)
        assert (run.delivery.released, run.work, run.delivery.redate) == ([True], [], None)
        assert RUNS not in run.delivery.facts.kept

    with_run(scenario, NOW)


def test_an_earlier_run_that_never_knew_ends_where_this_one_starts() -> None:
    async def scenario(run: Run, again: Any) -> None:
        run.delivery.post(run.clock.now())
        await run.wall.sleep(600)
        run.delivery.post(run.clock.now(), NOW)
        second = again(WOKEN - MINUTE)
        await second.start()
        second.delivery.post(second.clock.now())
        await second.wall.sleep(120)
        second.delivery.post(second.clock.now())
        third = again(NOW)
        await third.start()
        third.redating.release(open_=True)
        await third.do_work()
        assert third.times() == [
            z(NOW - 12 * MINUTE),
            z(NOW - 2 * MINUTE),
            z(NOW),
            z(NOW - 2 * MINUTE),
            z(NOW),
        ]
        assert third.delivery.released == [True]

    with_run(scenario)


def test_it_starts_when_its_time_is_learnt() -> None:
    """The third run does not know the time at first either."""

    async def scenario(run: Run, again: Any) -> None:
        run.delivery.post(run.clock.now())
        second = again(WOKEN)
        await second.start()
        await second.wall.sleep(60)
        second.delivery.post(second.clock.now())
        second.redating.release(open_=False)
        second.redating.learn(NOW)
        await second.do_work()
        assert second.times() == [z(NOW - MINUTE), z(NOW)]

    with_run(scenario)


def test_a_crash_while_times_are_corrected_costs_nothing() -> None:
    async def scenario(run: Run, again: Any) -> None:
        for _ in range(5):
            await run.wall.sleep(60)
            run.delivery.post(run.clock.now())
        run.redating.learn(NOW)
        work = run.work.pop()
        # The shift is durable; then the storage fails, and the process ends.
        run.delivery.disk.broken = True
        await work
        assert {row.run for row in run.delivery.disk.rows.values()} == {1}
        run.delivery.disk.broken = False
        second = again(NOW + 60 * MINUTE)
        await second.start()
        second.redating.release(open_=True)
        await second.do_work()
        assert second.times() == [z(NOW - index * MINUTE) for index in (4, 3, 2, 1, 0)]

    with_run(scenario)


def test_what_a_failing_storage_kept_is_corrected_when_it_is_loaded() -> None:
    async def scenario(run: Run, _again: Any) -> None:
        run.delivery.post(run.clock.now())
        stored = run.delivery.post(run.clock.now(), held=False)
        run.delivery.disk.broken = True
        run.redating.learn(NOW)
        run.redating.release(open_=True)
        await run.do_work()
        assert run.delivery.released[-1] is True, "the CSMS does not wait for a disk"
        loaded = Disk.copy(stored)
        run.delivery.redate(loaded)
        assert loaded.run == 0
        assert json.loads(loaded.payload)["times"] == [z(NOW)]

    with_run(scenario)


def test_without_a_durable_storage_it_is_done_at_once() -> None:
    async def scenario(run: Run, _again: Any) -> None:
        run.delivery.facts.durable = False
        run.delivery.post(run.clock.now())
        run.redating.learn(NOW)
        run.redating.release(open_=True)
        assert run.delivery.released[-1] is True
        assert run.work == []
        assert json.loads(run.delivery.held[0].payload)["times"] == [z(NOW)]

    with_run(scenario)


def test_a_clock_that_somebody_sets_corrects_as_well() -> None:
    async def scenario(run: Run, _again: Any) -> None:
        run.delivery.post(run.clock.now())
        await run.wall.sleep(60)
        run.wall.step(NOW - run.wall.now())
        assert run.clock.is_right
        await run.wall.sleep(0.01)
        await run.do_work()
        assert run.times() == [z(NOW - MINUTE)]
        assert run.delivery.run == 0

    with_run(scenario)


def test_the_time_that_was_seen_is_remembered() -> None:
    async def scenario(run: Run, again: Any) -> None:
        kept = run.delivery.facts.kept
        assert kept[SEEN] == NOW.isoformat()
        await run.wall.sleep(SEEN_INTERVAL_S + 1)
        assert kept[SEEN] == (NOW + timedelta(seconds=SEEN_INTERVAL_S)).isoformat()
        await run.wall.sleep(100)
        run.redating.close()
        assert kept[SEEN] == run.clock.now().isoformat()
        await run.wall.sleep(SEEN_INTERVAL_S * 3)
        second = again(NOW)
        await second.start()
        assert not second.clock.is_right

    with_run(scenario, NOW)


def test_unless_it_is_not_known() -> None:
    async def scenario(run: Run, _again: Any) -> None:
        await run.wall.sleep(SEEN_INTERVAL_S * 3)
        run.redating.close()
        assert SEEN not in run.delivery.facts.kept

    with_run(scenario)


def test_facts_that_cannot_be_read_are_done_without(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(run: Run, again: Any) -> None:
        run.delivery.facts.kept |= {RUNS: "?", SEEN: "yesterday"}
        second = again(NOW)
        await second.start()
        assert second.clock.is_right
        assert "clock.runs" in caplog.text

    with_run(scenario)


def test_a_set_clock_is_a_security_event_if_somebody_wants_to_know() -> None:
    """ClockCtrlr.TimeAdjustmentReportingThreshold."""

    async def scenario(run: Run, _again: Any) -> None:
        run.redating.learn(NOW)
        run.wall.step(timedelta(hours=1))
        run.redating.learn(run.clock.now())
        assert run.events == []
        run.threshold_s = 60.0
        run.wall.step(timedelta(hours=-1))
        run.redating.learn(run.clock.now())
        run.redating.learn(run.clock.now())
        run.wall.step(timedelta(seconds=60))
        run.redating.learn(run.clock.now())
        assert run.events == [("SettingSystemTime", "the clock was set by 3600 s")]

    with_run(scenario, NOW)


def test_a_clock_that_differs_from_that_of_the_csms_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(run: Run, _again: Any) -> None:
        for _ in range(3):
            run.redating.learn(NOW + 10 * MINUTE)
        run.redating.learn(NOW)
        assert caplog.text.count("the CSMS says") == 1
        assert run.clock.now() == NOW, "it can be right, so it stays"

    with_run(scenario, NOW)
