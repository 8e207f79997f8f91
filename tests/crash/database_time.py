"""The database's thread in virtual time: it becomes part of the event loop, so that a run with a
real SQLite file repeats exactly.

`run_virtual` lets timers overtake threads, which live in real time: a write would seem to take
minutes. Here each hop to the thread takes some virtual milliseconds, and what it does is done at
their end, all at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import aiosqlite.core

HOP_S = 0.002

Job = tuple[asyncio.Future[Any] | None, Callable[[], Any]]


class _Jobs:
    """In the place of the queue to the thread, and of the thread behind it."""

    before: Callable[[], None]

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()

    def put_nowait(self, job: Job) -> None:
        self._jobs.append(job)
        if len(self._jobs) == 1:
            self._later()

    def _later(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # There is no loop left to wait in.
            self._next()
        else:
            loop.call_later(HOP_S, self._next)

    def _next(self) -> None:
        future, function = self._jobs[0]
        self.before()
        try:
            result = function()
        except BaseException as error:
            if future is not None and not future.done():
                future.set_exception(error)
        else:
            if future is not None and not future.done():
                future.set_result(result)
        self._jobs.popleft()
        if self._jobs:
            self._later()


class _NoThread:
    """In the place of the thread."""

    def __init__(self, **_: Any) -> None: ...

    def start(self) -> None:
        """See `Thread.start`."""


@contextmanager
def databases_in_the_loop(before: Callable[[], None] = lambda: None) -> Generator[None]:
    """Databases that are opened meanwhile live in the event loop. `before` is called before each
    of their jobs."""
    jobs = type("_Jobs", (_Jobs,), {"before": staticmethod(before)})
    with (
        mock.patch.object(aiosqlite.core, "SimpleQueue", jobs),
        mock.patch.object(aiosqlite.core, "Thread", _NoThread),
    ):
        yield
