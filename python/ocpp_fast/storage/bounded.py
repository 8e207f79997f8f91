"""The same storage for whoever asks it directly, so that nobody waits for one that hangs.

The journal of the queue has a watch of its own: it has to know when a verb that it has given up
comes back after all. All others are content with a `StorageError`: what they store is kept in
memory and stored once more, or refused, and a verb that is run twice does no harm.

A verb is run in the task of its caller, and costs next to nothing more: no timer is set for it. One
timer looks after all that are under way, and cancels what has waited for too long. In a database
that ends the waiting, not the work, which is done in a thread.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from ocpp_fast.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ocpp_fast.clock import Clock, Timer
    from ocpp_fast.storage.base import Storage

__all__ = ["bounded"]

_log = logging.getLogger(__name__)

VERB_S: Final = 15.0
"""A verb that has not returned by then, and a quarter more at most, hangs: somewhat later than the
journal gives one up, since its notes may be among these; sooner than a CSMS, which waits 30 s."""

FILE_S: Final = 300.0
"""For verbs that work on the whole file: what is damaged is saved row by row."""

_LOOKS: Final = 4
"""How often it is looked after a verb until it hangs, see `journal.hanging`."""

_SLOW: Final = {"open": FILE_S, "replace_damaged": FILE_S}


def bounded(storage: Storage, clock: Clock) -> Storage:
    """The same storage with verbs that return in bounded time.

    They raise `StorageError` when they have not done what they are for, and from then on at once,
    until the storage has come back. Whether what was given up is done nobody knows. `close` raises
    nothing. A storage that is not durable does not hang.
    """
    return cast("Storage", _Bounded(storage, clock)) if storage.durable else storage


class _Bounded:
    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._looks: dict[asyncio.Task[Any], int] = {}
        """Who waits for a verb, and how often it was looked after him."""
        self._given_up: set[asyncio.Task[Any]] = set()
        """Who waits no more."""
        self._late: dict[asyncio.Future[Any], str] = {}
        """What has to come back before anything else is asked for."""
        self._timer: Timer | None = None

    def __getattr__(self, name: str) -> Any:
        found: Any = getattr(self._storage, name)
        run: Callable[..., Any] = self._run_slow if name in _SLOW else self._run
        return partial(run, name, found) if callable(found) else found

    async def close(self) -> None:
        """See `Storage.close`; of one that hangs, when it has come back."""
        try:
            await self._in_time("close", self._storage.close(), VERB_S)
        except StorageError as error:
            _log.error("%s", error)

    async def _run(
        self, name: str, verb: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any
    ) -> Any:
        if self._late:
            raise self._not_back(name)
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("verbs are awaited in tasks")
        before = task.cancelling()
        self._looks[task] = 0
        if self._timer is None:
            self._timer = self._clock.call_later(VERB_S / _LOOKS, self._look)
        try:
            return await verb(*arguments, **options)
        except asyncio.CancelledError:
            # Somebody else may have cancelled him as well.
            if task not in self._given_up or task.uncancel() > before:
                raise
            raise _hung(name, VERB_S) from None
        finally:
            del self._looks[task]
            self._given_up.discard(task)

    def _look(self) -> None:
        self._timer = None
        for task, looks in self._looks.items():
            self._looks[task] = looks + 1
            if looks == _LOOKS:
                self._given_up.add(task)
                task.cancel()
        if self._looks:
            self._timer = self._clock.call_later(VERB_S / _LOOKS, self._look)
        if self._given_up and not self._late:
            # It is back when it does something again; what is asked for now comes after that.
            probe = asyncio.ensure_future(self._storage.outbox_last_row_id())
            self._wait_for(probe, "a verb")

    async def _run_slow(
        self, name: str, verb: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any
    ) -> Any:
        if self._late:
            raise self._not_back(name)
        return await self._in_time(name, verb(*arguments, **options), _SLOW[name])

    async def _in_time(self, name: str, verb: Awaitable[Any], limit_s: float) -> Any:
        work = asyncio.ensure_future(verb)
        try:
            return await self._clock.wait_for(asyncio.shield(work), limit_s)
        except TimeoutError:
            self._wait_for(work, name)
            raise _hung(name, limit_s) from None

    def _wait_for(self, work: asyncio.Future[Any], name: str) -> None:
        self._late[work] = name
        work.add_done_callback(self._is_back)

    def _is_back(self, work: asyncio.Future[Any]) -> None:
        name = self._late.pop(work)
        error = None if work.cancelled() else work.exception()
        _log.warning("%s of the storage has come back: %s", name, error or "done")
        if name == "open" and error is None and not work.cancelled():
            # Nobody who waited for it is left to close it.
            self._wait_for(asyncio.ensure_future(self._storage.close()), "close")

    def _not_back(self, name: str) -> StorageError:
        late = next(iter(self._late.values()))
        return StorageError("the storage", name, f"{late} has not returned yet")


def _hung(name: str, limit_s: float) -> StorageError:
    return StorageError("the storage", name, f"it has not returned for {limit_s:.0f} s")
