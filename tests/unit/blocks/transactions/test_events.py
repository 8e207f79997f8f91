"""What is stored together with an event."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import orjson
import pytest

from ocpp_fast.blocks.readings import Readings
from ocpp_fast.blocks.transactions.checkpoints import Checkpoints
from ocpp_fast.blocks.transactions.events import TransactionEvents
from ocpp_fast.blocks.transactions.transaction import Transaction
from ocpp_fast.messages import OcppVersion
from ocpp_fast.testing import VirtualClock, run_virtual
from unit.blocks.transactions.kit import NOW, context, reading


class Desk:
    """Events, and what is posted."""

    def __init__(self, clock: VirtualClock, version: OcppVersion, *, durable: bool) -> None:
        self.context = context(version, clock=clock, durable=durable)
        self.readings = Readings(self.context)
        self.active: dict[int, Transaction] = {}
        self.checkpoints = Checkpoints(self.context, self.readings, self.active)
        self.events = TransactionEvents(self.context, self.active, self.checkpoints)
        self.posted: list[dict[str, Any]] = []
        self.told: list[Any] = []
        self.context.delivery.post = self._post
        self.context.tell = lambda name, _: self.told.append(name)  # type: ignore[method-assign]
        callbacks: Any = self.context.callbacks
        callbacks.transaction_event_callback = lambda request: request

    async def _post(self, version: str, action: str, request: Any, lane: str, **more: Any) -> int:
        self.posted.append({"request": request, "lane": lane, "action": action, **more})
        return 0

    @property
    def facts(self) -> Mapping[str, str | None]:
        return self.posted[-1]["facts"]

    async def begin(self) -> Transaction:
        transaction = Transaction("tx", 1, "Charging", connector_id=1)
        self.active[1] = transaction
        transaction.begin_reading = reading(5)
        self.checkpoints.begin(1, reading(5))
        request = self.events.make(transaction, "Started", "Authorized", NOW)
        await self.events.post(transaction, request)
        return transaction

    async def end(self, transaction: Transaction) -> None:
        request = self.events.make(transaction, "Ended", "StopAuthorized", NOW)
        del self.active[1]
        await self.events.post(transaction, request)


def at_desk(
    work: Callable[[Desk], Coroutine[Any, Any, None]],
    version: OcppVersion = OcppVersion.V21,
    *,
    durable: bool = True,
) -> None:
    async def run(clock: VirtualClock) -> None:
        desk = Desk(clock, version, durable=durable)
        await work(desk)
        desk.checkpoints.stop()

    run_virtual(run)


@pytest.mark.parametrize("version", OcppVersion)
def test_an_event_and_its_facts_are_one(version: OcppVersion) -> None:
    async def work(desk: Desk) -> None:
        transaction = await desk.begin()
        assert desk.facts.keys() == {"transaction.1", "transaction.1.begin", "meter.1"}
        assert orjson.loads(desk.facts["transaction.1"] or "")["seqNo"] == 1
        await desk.events.update(transaction, "Trigger")
        assert desk.facts.keys() == {"transaction.1"}, "the rest has not changed"
        assert orjson.loads(desk.facts["transaction.1"] or "")["seqNo"] == 2
        desk.readings.put(1, reading(6))
        await desk.events.update(transaction, "Trigger")
        assert desk.facts.keys() == {"transaction.1", "meter.1"}
        desk.readings.put(1, reading(7))
        await desk.end(transaction)
        gone = {name for name, text in desk.facts.items() if text is None}
        assert gone == {"transaction.1", "transaction.1.begin", "transaction.alive"}
        assert orjson.loads(desk.facts["meter.1"] or "")["value"]["sampledValue"][0]["value"] == 7
        assert desk.told == ["transaction_event_callback"] * 4

    at_desk(work, version)


def test_lanes_are_opened_and_closed() -> None:
    async def work(desk: Desk) -> None:
        transaction = await desk.begin()
        await desk.events.update(transaction, "MeterValuePeriodic")
        await desk.end(transaction)
        keys = ("lane", "seq_no", "droppable", "opens", "closes")
        assert [tuple(one[key] for key in keys) for one in desk.posted] == [
            ("tx", 0, False, True, False),
            ("tx", 1, True, False, False),
            ("tx", 2, False, False, True),
        ]

    at_desk(work)


def test_after_the_end_nothing_is_sent_and_nothing_remembered() -> None:
    async def work(desk: Desk) -> None:
        transaction = await desk.begin()
        await desk.end(transaction)
        puts = len(desk.context.facts.puts)  # type: ignore[attr-defined]
        await desk.events.update(transaction, "Trigger")
        desk.events.remember(transaction)
        assert len(desk.posted) == 2
        assert len(desk.context.facts.puts) == puts  # type: ignore[attr-defined]

    at_desk(work)


def test_what_does_not_last_is_not_made() -> None:
    async def work(desk: Desk) -> None:
        transaction = await desk.begin()
        desk.readings.put(1, reading(6))
        await desk.events.update(transaction, "Trigger")
        desk.events.remember(transaction)
        desk.events.rewrite(transaction)
        await desk.end(transaction)
        assert [one["facts"] for one in desk.posted] == [None] * 3
        assert desk.context.facts.puts == []  # type: ignore[attr-defined]

    at_desk(work, durable=False)
