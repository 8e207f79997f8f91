"""A storage that hangs when a test says so: it neither does what it is asked for, nor fails."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from ocpp_fast.clock import Timer
from ocpp_fast.errors import StorageError
from ocpp_fast.storage import MemoryStorage, OutboxRow
from ocpp_fast.storage.base import NO_FACTS, Facts
from ocpp_fast.testing import VirtualClock
from unit.storage.faulty import FaultyStorage


class CountingClock(VirtualClock):
    """Counts how many timers were set."""

    calls = 0

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        self.calls += 1
        return super().call_later(delay_s, callback)


class HangingStorage(FaultyStorage):
    """As a database in a thread of its own: one verb after the other, each to its end even if
    nobody waits for it any more.

    After `hang` the next verb of that name, or the next of all, begins and does not end, and those
    after it do not begin; `come_back` lets it do what it is for, or fail. Each verb takes
    `slow_s`.
    """

    def __init__(self, inner: MemoryStorage | None = None) -> None:
        super().__init__()
        self.inner = inner or MemoryStorage()
        self.slow_s = 0.0
        self.begun: list[str] = []
        """Verbs, in the order in which they had their turn."""
        self.hung: list[str] = []
        """What has hung so far."""
        self._hangs_at: str | None = None
        self._skip = 0
        self._for_s: float | None = None
        self._error: StorageError | None = None
        self._back: asyncio.Future[StorageError | None] | None = None
        self._thread: asyncio.Lock = asyncio.Lock()
        self._jobs: set[asyncio.Task[Any]] = set()

    def hang(
        self,
        verb: str = "*",
        *,
        skip: int = 0,
        for_s: float | None = None,
        error: StorageError | None = None,
    ) -> None:
        """The next verb of this name hangs, after `skip` others of it; it comes back by itself
        after some seconds, with an error or none, unless that is left to `come_back`."""
        self._hangs_at, self._skip, self._for_s, self._error = verb, skip, for_s, error

    @property
    def hangs(self) -> bool:
        """Whether one does now."""
        return self._back is not None

    def come_back(self, error: StorageError | None = None) -> None:
        """What hangs is done, or has failed."""
        self._hangs_at = None
        back, self._back = self._back, None
        if back is not None:
            back.set_result(error)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        verb = super().__getattr__(name)

        async def run(*arguments: Any, **options: Any) -> Any:
            return await self._in_turn(name, lambda: verb(*arguments, **options))

        run.__name__ = name
        return run

    async def outbox_append(self, rows: Iterable[OutboxRow], facts: Facts = NO_FACTS) -> None:
        copies = [replace(row) for row in rows]
        given = dict(facts)

        async def append() -> None:
            if self.error is not None:
                raise self.error
            await self.inner.outbox_append(copies, given)
            self.appended.append([row.row_id for row in copies])

        await self._in_turn("outbox_append", append)

    async def replace_damaged(
        self, rows: Iterable[OutboxRow] = (), facts: Facts = NO_FACTS
    ) -> None:
        copies = [replace(row) for row in rows]
        base = super().replace_damaged
        await self._in_turn("replace_damaged", lambda: base(copies, facts))

    async def _in_turn(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        job = asyncio.ensure_future(self._job(name, work))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return await asyncio.shield(job)

    async def _job(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        async with self._thread:
            self.begun.append(name)
            if self.slow_s:
                await asyncio.sleep(self.slow_s)
            if self._hangs_at in (name, "*"):
                self._skip -= 1
                if self._skip < 0:
                    self.hung.append(name)
                    loop = asyncio.get_running_loop()
                    self._back = loop.create_future()
                    if self._for_s is not None:
                        loop.call_later(self._for_s, self.come_back, self._error)
                    if (error := await self._back) is not None:
                        raise error
            return await work()
