"""The way of events to the CSMS, with a link and an outbox that only pretend."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from ocpp_fast.blocks.context import NO_LINK
from ocpp_fast.blocks.monitoring import outgoing as module
from ocpp_fast.blocks.monitoring.events import Notice
from ocpp_fast.blocks.monitoring.outgoing import LANE, Outgoing
from ocpp_fast.blocks.monitoring.table import Watched
from ocpp_fast.errors import CallErrorReceived, CallTimedOut, OcppError, QueueFull, StorageError
from ocpp_fast.messages import OcppVersion, v21
from ocpp_fast.storage import OutboxRow
from ocpp_fast.testing import VirtualClock, run_virtual

WATCHED = Watched(number=0, component="EVSE", evse_id=1, variable="Power")


def notices(*ids: int, severity: int | None = 5) -> list[Notice]:
    return [
        Notice(
            event_id=event_id,
            timestamp=datetime(2026, 1, 1, tzinfo=UTC),
            trigger="Alerting",
            notification="CustomMonitor",
            watched=WATCHED,
            actual_value="1",
            severity=severity,
        )
        for event_id in ids
    ]


class Outbox:
    def __init__(self) -> None:
        self.kept: list[OutboxRow] = []

    def rows(self) -> Iterable[OutboxRow]:
        return self.kept

    def holds(self, lane: str) -> bool | None:
        return any(row.lane == lane for row in self.kept)


class World:
    """Context, delivery and the receiving end in one."""

    version = OcppVersion.V21
    messages = v21

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.delivery = self
        self.outbox = Outbox()
        self.accepted = True
        self.errors: list[OcppError] = []
        self.sent: list[list[int]] = []
        self.posted: list[list[int]] = []
        self.post_error: OcppError | None = None
        self.queuing_severity = 5
        self.answer_takes_s = 0.1
        self.fullness: list[bool] = []
        context: Any = self
        self.outgoing = Outgoing(
            context,
            queuing_severity=lambda: self.queuing_severity,
            max_bytes=lambda: 65_000,
            on_full=lambda: self.fullness.append(self.outgoing.full),
        )

    async def call(self, request: v21.NotifyEventRequest, _: object) -> None:
        if not self.accepted:
            raise NO_LINK
        self.sent.append([event.event_id for event in request.event_data])
        await self.clock.sleep(self.answer_takes_s)
        if self.errors:
            raise self.errors.pop(0)

    async def post(self, version: str, action: str, request: Any, lane: str) -> int:
        assert (version, action, lane) == ("2.1", "NotifyEvent", LANE)
        if self.post_error is not None:
            raise self.post_error
        self.posted.append([event.event_id for event in request.event_data])
        self.outbox.kept.append(OutboxRow(len(self.posted), lane, version, action, b"{}"))
        return 1

    def online(self, *, accepted: bool) -> None:
        self.accepted = accepted
        self.outgoing.on_online_changed()


def in_world(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def run(clock: VirtualClock) -> None:
        import asyncio

        world = World(clock)
        task = asyncio.create_task(world.outgoing.run())
        try:
            await scenario(world)
        finally:
            task.cancel()

    run_virtual(run)


def test_what_waits_goes_in_one_message_in_order() -> None:
    async def scenario(world: World) -> None:
        world.outgoing.put(notices(1))
        await world.clock.sleep(0.01)
        world.outgoing.put(notices(2, 3))
        world.outgoing.put(notices(4))
        await world.clock.sleep(1)
        assert world.sent == [[1], [2, 3, 4]]
        assert len(world.outgoing) == 0

    in_world(scenario)


def test_offline_the_severe_are_stored_and_the_others_wait() -> None:
    """N07.FR.04."""

    async def scenario(world: World) -> None:
        world.online(accepted=False)
        world.outgoing.put(notices(1) + notices(2, severity=6) + notices(3, severity=0))
        world.outgoing.put(notices(4, severity=None))
        await world.clock.sleep(1)
        assert world.posted == [[1, 3]]
        assert len(world.outgoing) == 2
        world.outbox.kept.clear()  # They were delivered.
        world.online(accepted=True)
        await world.clock.sleep(1)
        assert world.sent == [[2, 4]]

    in_world(scenario)


def test_nothing_overtakes_what_the_outbox_holds() -> None:
    async def scenario(world: World) -> None:
        world.online(accepted=False)
        world.outgoing.put(notices(1))
        await world.clock.sleep(1)
        world.online(accepted=True)
        world.outgoing.put(notices(2, severity=9))
        await world.clock.sleep(1)
        assert (world.sent, world.posted) == ([], [[1], [2]])

    in_world(scenario)


def test_a_link_that_breaks_under_an_event() -> None:
    """What had happened while online is told when it is back, in order."""

    async def scenario(world: World) -> None:
        world.errors = [NO_LINK]
        world.outgoing.put(notices(1, severity=9))
        await world.clock.sleep(0.05)
        world.outgoing.put(notices(2))
        world.online(accepted=False)
        await world.clock.sleep(1)
        assert world.sent == [[1]]
        assert world.posted == [[2]]
        world.outbox.kept.clear()
        world.online(accepted=True)
        await world.clock.sleep(1)
        assert world.sent == [[1], [1]]

    in_world(scenario)


def test_a_busy_link_is_tried_again() -> None:
    async def scenario(world: World) -> None:
        world.errors = [QueueFull("NotifyEvent", 64)]
        world.outgoing.put(notices(1))
        await world.clock.sleep(0.5)
        world.outgoing.put(notices(2))
        await world.clock.sleep(3)
        assert world.sent == [[1], [1, 2]]

    in_world(scenario)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (CallTimedOut("NotifyEvent", "1", 30), True),
        (CallErrorReceived("InternalError"), True),
        (CallErrorReceived("NotImplemented"), False),
        (CallErrorReceived("NotSupported"), False),
    ],
)
def test_an_event_that_the_csms_does_not_take(error: OcppError, *, again: bool) -> None:
    """Worth another attempt if it would have been worth queueing."""

    async def scenario(world: World) -> None:
        world.errors = [error]
        world.outgoing.put(notices(1) + notices(2, severity=6))
        await world.clock.sleep(1)
        assert world.posted == ([[1]] if again else [])
        assert world.outgoing.dropped == (1 if again else 2)
        world.outbox.kept.clear()
        world.outgoing.put(notices(3))
        await world.clock.sleep(1)
        assert world.sent[-1] == [3]

    in_world(scenario)


def test_a_failing_storage_stops_nothing() -> None:
    async def scenario(world: World) -> None:
        world.online(accepted=False)
        world.post_error = StorageError("x", "outbox_append", "full")
        world.outgoing.put(notices(1))
        await world.clock.sleep(1)
        assert world.outgoing.dropped == 1
        world.post_error = None
        world.outgoing.put(notices(2))
        await world.clock.sleep(1)
        assert world.posted == [[2]]

    in_world(scenario)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 10)

    async def scenario(world: World) -> None:
        world.online(accepted=False)
        world.queuing_severity = -1
        world.outgoing.put(notices(*range(9)))
        await world.clock.sleep(1)
        assert world.fullness == []
        world.outgoing.put(notices(9, 10, 11))
        assert world.fullness == [True]
        await world.clock.sleep(1)
        assert (len(world.outgoing), world.outgoing.dropped) == (10, 2)
        world.online(accepted=True)
        await world.clock.sleep(1)
        assert world.sent == [[*range(10)]]
        assert world.fullness == [True, False]

    in_world(scenario)


def test_the_queue_is_bounded_and_goes_on_when_online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUEUED", 3)

    async def scenario(world: World) -> None:
        world.online(accepted=False)
        for event_id in range(3):
            assert not world.outgoing.full
            world.outgoing.put(notices(event_id))
            await world.clock.sleep(1)
        assert world.outgoing.full
        world.online(accepted=True)
        assert not world.outgoing.full
        world.online(accepted=False)
        assert world.outgoing.full  # Nothing was delivered in between.
        world.outbox.kept.clear()
        world.online(accepted=True)
        world.online(accepted=False)
        assert not world.outgoing.full

    in_world(scenario)


def test_rows_of_an_earlier_run_count() -> None:
    async def scenario(world: World) -> None:
        world.outbox.kept = [
            OutboxRow(i, LANE, "2.1", "NotifyEvent", b"{}") for i in range(module.MAX_QUEUED)
        ]
        world.online(accepted=False)
        assert world.outgoing.full

    in_world(scenario)
