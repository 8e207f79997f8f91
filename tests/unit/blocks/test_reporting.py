"""Reports in parts: their bound, their pace, their end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ocpp_fast.blocks.context import NO_LINK
from ocpp_fast.blocks.reporting import MAX_REPORTS, Part, PartedReports
from ocpp_fast.errors import CallErrorReceived, CallTimedOut, OcppError
from ocpp_fast.testing import VirtualClock, run_virtual


class Parts:
    """Parts that are answered after a second each, the last of them marked."""

    def __init__(self, clock: VirtualClock, count: int, error: OcppError | None = None) -> None:
        self.clock = clock
        self.count = count
        self.error = error
        self.made: list[float] = []

    def __iter__(self) -> Iterator[Part]:
        for number in range(self.count):
            self.made.append(self.clock.elapsed_s)
            yield self._send(number), number == self.count - 1

    async def _send(self, number: int) -> None:
        await self.clock.sleep(1)
        if self.error is not None and number == 1:
            raise self.error


def test_a_part_is_made_when_the_one_before_was_answered() -> None:
    async def scenario(clock: VirtualClock) -> None:
        parts = Parts(clock, 3)
        await PartedReports("NotifyReport").send(1, parts)
        assert parts.made == [0, 1, 2]

    run_virtual(scenario)


def test_a_report_has_its_id_for_itself_until_its_last_part_is_under_way() -> None:
    async def scenario(clock: VirtualClock) -> None:
        reports = PartedReports("NotifyReport")
        task = asyncio.create_task(reports.send(7, Parts(clock, 2)))
        await clock.sleep(0.5)
        assert (reports.refusal(7) or ("",))[0] == "DuplicateRequestId"
        assert reports.refusal(8) is None
        await clock.sleep(1)
        assert not task.done()
        assert reports.refusal(7) is None  # The CSMS may have the last part already.
        await task

    run_virtual(scenario)


def test_there_is_a_bound() -> None:
    """B07.FR.13, B08.FR.16."""

    async def scenario(clock: VirtualClock) -> None:
        reports = PartedReports("NotifyReport")
        tasks: list[asyncio.Future[None]] = []
        for request_id in range(MAX_REPORTS):
            assert reports.refusal(request_id) is None
            tasks.append(asyncio.ensure_future(reports.send(request_id, Parts(clock, 2))))
            await clock.sleep(0)
        assert (reports.refusal(99) or ("",))[0] == "Unspecified"
        await asyncio.gather(*tasks)
        assert reports.refusal(99) is None

    run_virtual(scenario)


@pytest.mark.parametrize(
    "error", [NO_LINK, CallErrorReceived("InternalError"), CallTimedOut("NotifyReport", "1", 30)]
)
def test_a_part_that_does_not_arrive_ends_the_report(error: OcppError) -> None:
    async def scenario(clock: VirtualClock) -> None:
        reports = PartedReports("NotifyReport")
        parts = Parts(clock, 5, error)
        await reports.send(1, parts)
        assert len(parts.made) == 2
        assert reports.refusal(1) is None

    run_virtual(scenario)
